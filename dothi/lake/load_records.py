"""The jail's typed records on their way to a batch: keys made, repetitions told apart, rules held
against every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from dothi.kernel.errors import Invalid
from dothi.lake import quality_records
from dothi.lake.columns import Column
from dothi.lake.model import (
    LONGEST_CLASH_KEY,
    MOST_CANDIDATE_BYTES,
    MOST_CANDIDATES,
    MOST_CLASHES,
    THROUGH_HEAD,
    Batch,
    Quality,
    RecordClash,
    RecordRows,
    Reject,
    Source,
    StagedRows,
)
from dothi.lake.registry import Dataset
from dothi.lake.reshape import literal, quoted


class StagedRecords:
    """One file's records, in Parquet files of the jail; nothing in them is taken on trust."""

    def __init__(
        self,
        root: duckdb.DuckDBPyConnection,
        files: Path,
        work: Path,
        value: dict[str, Any],
        dataset: Dataset,
    ) -> None:
        self._root = root
        self._files = files
        self._work = work
        self._value = value
        self._dataset = dataset
        self._contract = dataset.contract
        self._names = ", ".join(quoted(c.name) for c in self._contract.columns)
        root.execute(f"SET temp_directory = {literal(work)}")

    def periods(self) -> list[Any]:
        """What stands in the period's column of a dataset that has a form; else nothing."""
        form = self._contract.form
        if form is None or form.period_column is None:
            return []
        name = quoted(form.period_column)
        found = self._root.execute(
            f"SELECT DISTINCT {name} FROM "
            f"read_parquet({literal(self._files / 'rows.parquet')}) WHERE {name} IS NOT NULL"
        ).fetchall()
        return [value for (value,) in found]

    def batch(self, source: Source) -> Batch:
        """Everything the file brings, ready to commit."""
        rejects = self._rejects()
        bad = len({r.row_no for r in rejects})
        self._make_keyed()
        conflicts, twice = self._find_repeated()
        clashes = self._clashes()
        rejects += self._undecidable()
        path = self._work / "records.parquet"
        self._root.execute(
            f"""COPY (SELECT k._key, k._row_no, (CASE WHEN r._kinds > 1 THEN {Quality.CONFLICT:d}
                    ELSE {self._quality()} END)::SMALLINT AS _q, {self._names}
                FROM keyed k LEFT JOIN repeated r ON r._again = k._key
                WHERE r._again IS NULL OR k.rowid = r._kept ORDER BY k._key)
                TO {literal(path)} (COMPRESSION lz4)"""
        )
        relation = f"read_parquet({literal(path)})"
        report = quality_records.report(
            self._root,
            relation,
            self._contract,
            extra={
                **self._value["extra"],
                "reader": self._value["reader"],
                "rows": self._value["rows"],
                "rejected": bad,
                "conflict": conflicts,
                "twice": twice,
            },
        )
        return Batch(
            self._dataset.id, self._rows(relation), source, rejects, clashes,
            snapshot=self._contract.snapshot, report=report,
        )  # fmt: skip

    def _rejects(self) -> list[Reject]:
        by_name = {c.name: c for c in self._contract.columns}
        found = self._root.execute(
            "SELECT row_no, column_name, value, reason, limit_ "
            f"FROM read_parquet({literal(self._files / 'rejects.parquet')}) "
            "ORDER BY row_no, column_name"
        ).fetchall()
        return [Reject(n, c, v, r, params_of(r, p, by_name)) for n, c, v, r, p in found]

    def _make_keyed(self) -> None:
        keys = [_key_text(column) for column in self._contract.key]
        there = " AND ".join(f"{quoted(c.name)} IS NOT NULL" for c in self._contract.key)
        self._root.execute(
            f"CREATE TABLE keyed AS SELECT concat_ws(chr(31), {', '.join(keys)}) AS _key, "
            f"row_no AS _row_no, {self._names} "
            f"FROM read_parquet({literal(self._files / 'rows.parquet')}) WHERE {there}"
        )

    def _find_repeated(self) -> tuple[int, int]:
        """Keys given several times with different content, and rows that repeat one equally.

        Raises Invalid when so many differ that the key is not what tells these rows apart.
        """
        texts = [c for c in self._contract.columns if c.type == "text"]
        lengths = " + ".join(f"coalesce(strlen({quoted(c.name)}), 0)" for c in texts) or "0"
        # One row of a table that is wide may give a key twice: row numbers alone tell nothing apart.
        self._root.execute(
            f"""CREATE TABLE repeated AS SELECT _key AS _again, count(*) AS _n,
                    count(DISTINCT row({self._names})) AS _kinds, min(_row_no) AS _first,
                    arg_min(rowid, _row_no) AS _kept,
                    count(*) <= {MOST_CANDIDATES} AND count(DISTINCT _row_no) = count(*)
                        AND sum({lengths}) <= {MOST_CANDIDATE_BYTES}
                        AND strlen(_key) <= {LONGEST_CLASH_KEY} AS _decidable
                FROM keyed GROUP BY _key HAVING count(*) > 1"""
        )
        row = self._root.execute(
            "SELECT count(*) FILTER (WHERE _kinds > 1), "
            "coalesce(sum(_n - 1) FILTER (WHERE _kinds = 1), 0) FROM repeated"
        ).fetchone()
        assert row is not None
        if row[0] > MOST_CLASHES:
            raise Invalid("lake.too_many_key_conflicts", most=MOST_CLASHES)
        return row[0], int(row[1])

    def _quality(self) -> str:
        """SQL: a row's quality by the rules of the contract."""
        suspect = " OR ".join(f"({check.sql}) IS FALSE" for check in self._contract.checks)
        return f"CASE WHEN {suspect or 'false'} THEN {Quality.SUSPECT:d} ELSE 0 END"

    def _clashes(self) -> list[RecordClash]:
        """The contradictions that a person can decide, with the whole of each row."""
        found = self._root.execute(
            f"""SELECT _key, _row_no, {self._quality()}, {self._names}
                FROM keyed JOIN repeated ON _again = _key WHERE _kinds > 1 AND _decidable
                ORDER BY _first, _key, _row_no"""
        ).fetchall()
        return [
            RecordClash(
                key,
                [{"row": n, "quality": q, "values": self._mapping(row)} for _, n, q, *row in rows],
            )
            for key, rows in groupby(found, key=lambda row: row[0])
        ]

    def _mapping(self, values: Sequence[Any]) -> dict[str, Any]:
        names = [c.name for c in self._contract.columns]
        return dict(zip(names, map(_as_json, values), strict=True))

    def _undecidable(self) -> list[Reject]:
        """The rows that give a key again with other content than the row that is kept, where they
        are too many or too long to choose between."""
        found = self._root.execute(
            """SELECT _row_no, _key, _first FROM keyed JOIN repeated ON _again = _key
               WHERE _kinds > 1 AND NOT _decidable AND keyed.rowid <> _kept ORDER BY _row_no"""
        ).fetchall()
        column = ", ".join(c.name for c in self._contract.key)
        return [
            Reject(n, column, key.replace("\x1f", ", ")[:200], "lake.key_conflict", {"row": first})
            for n, key, first in found
        ]

    def _rows(self, relation: str) -> RecordRows | StagedRows:
        row = self._root.execute(f"SELECT count(*) FROM {relation}").fetchone()
        count = row[0] if row else 0
        if count > THROUGH_HEAD or self._contract.snapshot:
            return StagedRows(relation, count, ordered=True)
        found = self._root.execute(
            f"SELECT _key, _row_no, _q, {self._names} FROM {relation} ORDER BY _row_no"
        ).fetchall()
        return RecordRows(
            self._dataset.id,
            [key for key, *_ in found],
            [self._mapping(row[3:]) for row in found],
            [number for _, number, *_ in found],
            [q for _, _, q, *_ in found],
        )


def _key_text(column: Column) -> str:
    """SQL: a key column's text, as the rows that come as JSON spell it."""
    name = quoted(column.name)
    if column.type == "boolean":
        return f"CASE WHEN {name} THEN 'True' ELSE 'False' END"
    if column.type == "instant":
        part = f"CASE WHEN epoch_us({name}) % 1000000 = 0 THEN '' ELSE strftime({name}, '.%f') END"
        return f"strftime({name}, '%Y-%m-%dT%H:%M:%S') || {part} || '+00:00'"
    return f"{name}::VARCHAR"


def params_of(reason: str, told: str | None, columns: dict[str, Column]) -> dict[str, Any]:
    """What the message of a reason needs; `told` is the contract's column, or for a malformed line
    what is wrong with it."""
    column = columns.get(told or "")
    if column is None:
        return {"form": told or ""}
    if reason == "lake.out_of_range":
        return {"low": column.low, "high": column.high}
    if reason == "lake.bad_choice":
        return {"choices": ", ".join(column.choices)}
    return {"type": column.type}


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value
