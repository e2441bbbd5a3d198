"""Series read from a file: streams found, rows sorted, contradictions told apart, a batch made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from dothi.kernel.errors import Invalid
from dothi.kernel.time import utc_now
from dothi.lake import quality, registry
from dothi.lake.body import Body
from dothi.lake.columns import Time
from dothi.lake.engine import table
from dothi.lake.model import (
    MOST_CLASHES,
    THROUGH_HEAD,
    Batch,
    Clash,
    Quality,
    Reject,
    SeriesRows,
    Source,
    StagedRows,
    Written,
)
from dothi.lake.registry import Dataset
from dothi.lake.reshape import literal
from dothi.lake.service import Lake

FUTURE = timedelta(days=1)
"""A value further ahead than this has a wrong date and is set aside."""
FEW_BYTES = 256 * 1024
"""A file of series up to this size has hardly more rows than go through the head."""


def many(size: int) -> bool:
    """Whether a file of this many bytes is likely to go straight to the body."""
    return size > FEW_BYTES


class StagedSeries:
    """The jail's typed rows on their way to a batch: streams found, contradictions told apart.

    Nothing that the jail wrote is taken on trust: rows are numbered and sorted here.
    """

    def __init__(
        self,
        root: duckdb.DuckDBPyConnection,
        files: Path,
        work: Path,
        value: dict[str, Any],
        dataset: Dataset,
        body: Body,
    ) -> None:
        self._root = root
        self._work = work
        self._body = body
        self._written: Written | None = None
        self._rejects = literal(files / "rejects.parquet")
        self._value = value
        self._dataset = dataset
        self._keys = [f"k{i}" for i in range(int(value["keys"]))]
        usable = " AND ".join(f"{column} IS NOT NULL" for column in ("t", *self._keys))
        rows = literal(files / "rows.parquet")
        self._rows = f"(SELECT * FROM read_parquet({rows}) WHERE {usable})"
        if not value["numbered"]:
            self._rows = (
                f"(SELECT *, (file_row_number + 1)::INTEGER AS row_no "
                f"FROM read_parquet({rows}, file_row_number = true) WHERE {usable})"
            )
        root.execute(f"SET temp_directory = {literal(work)}")
        self._parameters = [str(p) for p in value["parameters"]]
        readers = {reader.name: reader for reader in dataset.contract.readers}
        reader = readers.get(value["reader"])
        self._time = reader.time if reader else dataset.contract.time

    def newest(self) -> list[datetime]:
        """The last instant (UTC, without a zone) of a dataset that has a form; else nothing."""
        if self._dataset.contract.form is None:
            return []
        last = self._one(f"SELECT max(t) FROM {self._rows}")
        return [] if last is None else [last]

    def batch(self, lake: Lake, source: Source) -> Batch:
        """Everything the file brings, ready to commit."""
        ids = self._streams(lake)
        rejects = self._read_rejects()
        edge = utc_now() + FUTURE
        rejects += self._future(edge)
        long = self._in_order(edge, lake, source)
        count, repeated = self._look(long)
        clashes: list[Clash] = []
        twice = 0
        if repeated:
            clashes, twice, long = self._tell_apart(long)
            self._written = None
            count -= repeated
        with lake.db.transaction() as conn:
            rhythms = _rhythms(conn, self._dataset, self._time, ids.values())
        report, reach = quality.report(
            self._root,
            long,
            rhythms=rhythms,
            ranges=self._ranges(ids),
            calendar=self._calendar(),
            extra={
                **self._value["extra"],
                "reader": self._value["reader"],
                "rows": self._value["rows"],
                "rejected": len(rejects),
                "conflict": len(clashes),
                "twice": twice,
            },
        )
        rows: SeriesRows | StagedRows
        if count <= THROUGH_HEAD:
            columns = list(
                zip(
                    *self._root.execute(
                        f"SELECT stream_id, t, v, q, row_no FROM {long} ORDER BY row_no"
                    ).fetchall(),
                    strict=True,
                )
            ) or [(), (), (), (), ()]
            rows = SeriesRows(*columns)
        else:
            rows = StagedRows(long, count, True, reach, self._written, self._body)
        return Batch(self._dataset.id, rows, source, rejects, clashes, report=report)

    def _calendar(self) -> quality.Calendar | None:
        time = self._time
        if time is None or not time.months:
            return None
        return quality.Calendar(time.months, time.zone, self._things)

    def _ranges(
        self, ids: dict[registry.StreamName, int]
    ) -> dict[int, tuple[float | None, float | None]]:
        bounds = {p.name: (p.low, p.high) for p in self._dataset.contract.parameters}
        return {number: bounds[parameter] for (_, parameter), number in ids.items()}

    def _streams(self, lake: Lake) -> dict[registry.StreamName, int]:
        """Numbers for the names in the file, and a table from one to the other for joining."""
        spelt = self._root.execute(
            f"SELECT DISTINCT {', '.join(self._keys) or 'NULL'} FROM {self._rows} ORDER BY ALL"
        ).fetchall()
        # Two spellings of one name are one thing.
        names = [tuple(part.strip() for part in row[: len(self._keys)]) for row in spelt]
        self._present = [
            (i, parameter)
            for i, parameter in enumerate(self._parameters)
            if self._one(f"SELECT EXISTS (SELECT 1 FROM {self._rows} WHERE q{i} IS NOT NULL)")
        ]
        wanted = [(name, parameter) for name in names for _, parameter in self._present]
        with lake.db.transaction() as conn:
            ids = registry.stream_ids(conn, self._dataset, wanted)
        columns = {"spelling": ("INTEGER", list(range(len(spelt))))}
        for i, k in enumerate(self._keys):
            columns[k] = "VARCHAR", [row[i] for row in spelt]
        for i, parameter in self._present:
            columns[f"s{i}"] = "INTEGER", [ids[(name, parameter)] for name in names]
        table(self._root, "names", columns)
        return ids

    def _in_order(self, edge: datetime, lake: Lake, source: Source) -> str:
        """A relation with one row for each value, those of a stream side by side in order of time:
        the file's rows are sorted once, before its columns of values are taken apart."""
        same = " AND ".join(f"r.{k} = n.{k}" for k in self._keys) or "true"
        wanted = [f"n.s{i}, r.v{i}, r.q{i}::SMALLINT AS q{i}" for i, _ in self._present]
        # Any stream of a thing stands for the thing.
        thing = f"n.s{self._present[0][0]}" if self._present else "NULL::INTEGER"
        typed = (
            f"SELECT {', '.join([*wanted, 'r.row_no'])}, make_timestamptz(epoch_us(r.t)) AS t "
            f"FROM {self._rows} r JOIN names n ON {same} "
            f"WHERE r.t <= TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}' ORDER BY {thing}, t"
        )
        if self._may_be_taken_over(source) and len(self._present) == 1:
            return self._write(typed, lake.load_number())
        self._root.execute(f"CREATE TABLE typed AS {typed}")
        self._things = f"(SELECT {thing.removeprefix('n.')} AS thing, t FROM typed)"
        parts = [
            f"SELECT s{i} AS stream_id, row_no, t, v{i} AS v, q{i} AS q "
            f"FROM typed WHERE q{i} IS NOT NULL"
            for i, _ in self._present
        ]
        return "(" + " UNION ALL ".join(parts or [_EMPTY]) + ")"

    def _may_be_taken_over(self, source: Source) -> bool:
        """Whether the rows are worth writing as a file of the lake before they are looked at."""
        by_months = self._time is not None and self._time.months
        return not by_months and many(source.file_bytes or 0)

    def _write(self, typed: str, load_id: int) -> str:
        """The rows of the one value that there is, sorted and written as the lake keeps them."""
        ((i, _),) = self._present
        self._written = Written(self._work / "rows.parquet", load_id)
        self._root.execute(
            f"COPY (SELECT s{i} AS stream_id, row_no, t, v{i} AS v, {load_id:d}::BIGINT AS load_id, "
            f"q{i} AS q FROM ({typed}) WHERE q{i} IS NOT NULL) TO {literal(self._written.path)} "
            "(PARQUET_VERSION v2)"
        )
        return f"read_parquet({literal(self._written.path)})"

    def _look(self, long: str) -> tuple[int, int]:
        """How many rows there are, and how many repeat the key before them."""
        self._root.execute("SET preserve_insertion_order = true")
        row = self._root.execute(
            f"""SELECT count(*), count(*) FILTER (WHERE stream_id = stream_before AND t = t_before)
                FROM (SELECT stream_id, t, lag(t) OVER () AS t_before,
                          lag(stream_id) OVER () AS stream_before FROM {long})"""
        ).fetchone()
        self._root.execute("SET preserve_insertion_order = false")
        assert row is not None
        return row

    def _tell_apart(self, long: str) -> tuple[list[Clash], int, str]:
        """Keys that stand more than once: equal values count once, different ones clash."""
        self._root.execute(
            f"""CREATE TABLE repeated AS SELECT stream_id, t, count(*) AS n,
                    count(DISTINCT (coalesce(v, 'nan'::DOUBLE), q)) AS kinds, min(row_no) AS first,
                    list({{'row': row_no, 'value': v, 'quality': q}} ORDER BY row_no)
                        AS candidates
                FROM {long} GROUP BY stream_id, t HAVING count(*) > 1"""
        )
        found = self._root.execute(
            f"""SELECT stream_id, t, candidates FROM repeated WHERE kinds > 1
                ORDER BY t, stream_id LIMIT {MOST_CLASHES + 1}"""
        ).fetchall()
        if len(found) > MOST_CLASHES:
            raise Invalid("lake.too_many_conflicts", most=MOST_CLASHES)
        clashes = [
            Clash(stream_id, t.astimezone(UTC), candidates, self._hint(long, stream_id, t))
            for stream_id, t, candidates in found
        ]
        twice = self._one("SELECT coalesce(sum(n - 1), 0) FROM repeated WHERE kinds = 1")
        self._root.execute(
            f"""CREATE TABLE told AS SELECT l.stream_id, l.row_no, l.t, l.v,
                    (CASE WHEN r.kinds > 1 THEN {int(Quality.CONFLICT)} ELSE l.q END)::SMALLINT AS q
                FROM {long} l LEFT JOIN repeated r ON r.stream_id = l.stream_id AND r.t = l.t
                WHERE r.n IS NULL OR l.row_no = r.first ORDER BY l.stream_id, l.t"""
        )
        return clashes, int(twice), "told"

    def _hint(self, long: str, stream_id: int, t: datetime) -> str | None:
        """An hour given twice right after a missing one: clocks that were put forward."""
        step = self._dataset.contract.time.rhythm if self._dataset.contract.time else None
        if step is None:
            return None
        around = {
            row[0].astimezone(UTC)
            for row in self._root.execute(
                f"SELECT t FROM {long} WHERE stream_id = ? AND t BETWEEN ? AND ?",
                [stream_id, t - 2 * step, t - step],
            ).fetchall()
        }
        before = t.astimezone(UTC) - step
        return "summer_time" if before not in around and before - step in around else None

    def _read_rejects(self) -> list[Reject]:
        rows = self._root.execute(
            f"SELECT row_no, column_name, value, reason, limit_ FROM read_parquet({self._rejects}) "
            "ORDER BY row_no, column_name"
        ).fetchall()
        return [Reject(n, c, v, r, {} if p is None else {"form": p}) for n, c, v, r, p in rows]

    def _future(self, edge: datetime) -> list[Reject]:
        rows = self._root.execute(
            f"SELECT row_no, t FROM {self._rows} "
            f"WHERE t > TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}' ORDER BY 1"
        ).fetchall()
        column = self._dataset.contract.time.column if self._dataset.contract.time else "time"
        return [Reject(n, column, t.isoformat(sep=" "), "lake.future") for n, t in rows]

    def _one(self, query: str) -> Any:
        row = self._root.execute(query).fetchone()
        return row[0] if row else None


_EMPTY = (
    "SELECT 0 AS stream_id, 0 AS row_no, now() AS t, NULL::DOUBLE AS v, 0::SMALLINT AS q "
    "WHERE false"
)


def _rhythms(
    conn: Any, dataset: Dataset, time: Time | None, ids: Any
) -> dict[int, timedelta | None]:
    """The expected distance of values: a thing's own, or that of the file's form."""
    default = time.rhythm if time else None
    things = registry.things(conn, dataset)
    wanted = set(ids)
    out: dict[int, timedelta | None] = {}
    for stream in registry.streams(conn, dataset).values():
        if stream.id in wanted:
            own = things[stream.thing_id].properties.get("rhythm")
            out[stream.id] = registry.duration(own) if own else default
    return out
