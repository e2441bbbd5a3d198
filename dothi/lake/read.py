"""Head and body read as one, at one instant."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import duckdb

from dothi.lake.body import CATALOGUE
from dothi.lake.history import literal
from dothi.lake.layout import Layout, layout
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset
from dothi.store.database import SCHEMA

WITHDRAWN = int(Quality.WITHDRAWN)


class View:
    """One consistent snapshot of the whole store, as DuckDB relations.

    A relation is a piece of SQL to put after FROM; it stays valid while the view is open.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor
        self._numbers = itertools.count()

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        """Run a query of ours at this snapshot."""
        return self.cursor.execute(query, list(parameters))

    def series(
        self,
        dataset: Dataset,
        *,
        streams: Sequence[int] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> str:
        """Rows (stream_id, row_no, t, v, load_id, q) of a series, both ends included.

        Streams None means all. Tombstones and what they hide are not in it.
        """
        conditions = []
        if streams is not None:
            conditions.append(one_of("stream_id", streams))
        if start is not None:
            conditions.append(f"t >= {literal(start)}")
        if end is not None:
            conditions.append(f"t <= {literal(end)}")
        return self._relation(layout(dataset), " AND ".join(conditions) or "true", start)

    def qualities(
        self, dataset: Dataset, *, streams: Sequence[int], start: datetime, end: datetime
    ) -> dict[Quality, int]:
        """How many rows of each quality a stretch of a series holds."""
        rows = self.series(dataset, streams=streams, start=start, end=end)
        found = self.execute(f"SELECT q, count(*) FROM {rows} GROUP BY q").fetchall()
        return {Quality(q): count for q, count in found}

    def records(self, dataset: Dataset) -> str:
        """Rows of a records dataset: its contract's columns after _key, _row_no, _load_id, _q."""
        return self._relation(layout(dataset), "true", None)

    def _relation(self, place: Layout, where: str, start: datetime | None) -> str:
        name = self._copy(place.from_head(where))
        living = f"SELECT {place.names} FROM {name} WHERE {place.quality} <> {WITHDRAWN}"
        until = self.body_until(place.dataset_id)
        if until is None or (start is not None and start > until):
            return f"({living})"
        body = f"SELECT {place.names} FROM {place.table} b WHERE {where}"
        row = self.cursor.execute(f"SELECT count(*) FROM {name}").fetchone()
        if not row or row[0] == 0:
            return f"({body})"
        hidden = f"SELECT 1 FROM {name} h WHERE {place.same_key('h', 'b')}"
        return f"({living} UNION ALL {body} AND NOT EXISTS ({hidden}))"

    def postgres(self, query: str) -> list[tuple[Any, ...]]:
        """What PostgreSQL answers to a query of ours at this snapshot."""
        found = self.cursor.execute("SELECT * FROM postgres_query(?, ?)", [CATALOGUE, query])
        return found.fetchall()

    def head(self, place: Layout, where: str, *, past: bool = False) -> str:
        """A SELECT of the head's rows, or of their older versions, tombstones among them."""
        return f"SELECT {place.names} FROM {self._copy(place.from_head(where, past=past))}"

    def _copy(self, query: str) -> str:
        """A temporary table of ours with what PostgreSQL answers at this snapshot."""
        name = f"head_{next(self._numbers)}"
        self.cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM postgres_query(?, ?)",
            [CATALOGUE, query],
        )
        return name

    def body_until(self, dataset_id: int) -> datetime | None:
        """The last instant that may stand in the body; None: nothing is there."""
        rows = self.postgres(f"SELECT body_until FROM {SCHEMA}.dataset WHERE id = {dataset_id:d}")
        return rows[0][0] if rows else None


def one_of(column: str, numbers: Iterable[int]) -> str:
    """A condition in ranges: streams made together have neighbouring numbers, and a range is quicker
    to check and to skip files by than a long list."""
    runs: list[list[int]] = []
    for number in sorted({int(n) for n in numbers}):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    single = [str(low) for low, high in runs if low == high]
    ranges = [f"{column} BETWEEN {low} AND {high}" for low, high in runs if low < high]
    if single:
        ranges.append(f"{column} IN ({', '.join(single)})")
    return f"({' OR '.join(ranges)})" if ranges else "false"
