"""`lake.commit` of 1,000 series rows, against a bare temporary COPY and upsert.

`python -m bench.commit [--runs 15]`. Floor: psycopg alone writes the same rows by binary COPY into
a temporary table and upserts them into a table of the same shape, same PostgreSQL, fsync on.
`fresh`: keys never seen, ten instants of a hundred streams. `wide`: one instant of a thousand
streams. `mixed`: half of the keys are there already with another value.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench.home import fresh_home
from bench.measure import compared, in_turns, line, show
from dothi.lake import registry
from dothi.lake.model import Batch, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

ROWS = 1_000
TARGET = 1.7
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="commit of 1,000 rows")
    options.add_argument("--runs", type=int, default=15)
    options.add_argument("--each", type=int, default=8)
    chosen = options.parse_args()
    show(measured(chosen.runs, chosen.each))


def measured(runs: int = 15, each: int = 8) -> dict[str, Any]:
    """The figures; `fresh` is the one that counts."""
    with fresh_home() as (db, lake, _), psycopg.connect(db.url, autocommit=True) as bare:
        with db.transaction() as conn:
            air = registry.find(conn, "air_quality")
        _prepare(bare)
        streams = _streams(db, air, ROWS)
        cases = {
            "fresh": _batches(streams[:100], 10, 0),
            "wide": _batches(streams, 1, 0),
            "mixed": _batches(streams[:100], 10, 5),
        }
        out = {}
        for place, (name, batches) in enumerate(cases.items()):
            shifted = (_later(b, timedelta(days=400 * (place + 1))) for b in batches)
            # Figure and floor get batches of their own from the same sequence.
            own, other = itertools.tee(shifted)
            figure, floor = in_turns(
                _figure(lake, air, own), _floor(bare, other), runs, each=each
            )  # fmt: skip
            out[name] = compared(figure, floor, TARGET)
    fresh = out["fresh"]
    told = line("commit of 1,000 rows", fresh["figure_ms"], "ms", TARGET, floor=fresh["floor_ms"],
                ratio=fresh["ratio"])  # fmt: skip
    return {
        "name": "commit", "rows": ROWS, "runs": runs * each, **fresh, "cases": out, "lines": [told],
    }  # fmt: skip


def _streams(db: Database, air: Dataset, count: int) -> list[int]:
    names = [((f"S{i:04d}",), "pm25") for i in range(count)]
    with db.transaction() as conn:
        ids = registry.stream_ids(conn, air, names)
    return [ids[name] for name in names]


def _batches(streams: list[int], instants: int, back: int) -> Iterator[SeriesRows]:
    """Batches of `instants` steps; each begins `back` steps before the end of the one before."""
    count = len(streams) * instants
    for number in itertools.count():
        first = number * (instants - back)
        times = [START + STEP * (first + i) for i in range(instants)]
        yield SeriesRows(
            [s for _ in times for s in streams],
            [t for t in times for _ in streams],
            [float(number % 7 + i % 90) for i in range(count)],
            [0] * count,
            list(range(1, count + 1)),
        )


def _later(rows: SeriesRows, by: timedelta) -> SeriesRows:
    return SeriesRows(rows.stream_id, [t + by for t in rows.t], rows.v, rows.q, rows.row_no)


def _figure(lake: Lake, air: Dataset, batches: Iterator[SeriesRows]) -> Callable[[], object]:
    ready = _ahead(batches)
    return lambda: lake.commit(Batch(air.id, next(ready), Source("http")))


def _floor(conn: psycopg.Connection[Any], batches: Iterator[SeriesRows]) -> Callable[[], object]:
    ready = _ahead(batches)

    def store() -> None:
        batch = next(ready)
        with conn.transaction():
            with conn.cursor().copy(
                "COPY floor_batch (stream_id, row_no, t, v, load_id, q) FROM STDIN (FORMAT BINARY)"
            ) as copy:
                copy.set_types(("int4", "int4", "timestamptz", "float8", "int8", "int2"))
                for row in zip(
                    batch.stream_id, batch.row_no, batch.t, batch.v, itertools.repeat(1), batch.q
                ):
                    copy.write_row(row)
            conn.execute(
                """INSERT INTO floor_head SELECT * FROM floor_batch
                   ON CONFLICT (stream_id, t) DO UPDATE
                   SET v = excluded.v, q = excluded.q, load_id = excluded.load_id,
                       row_no = excluded.row_no"""
            )

    return store


def _ahead(batches: Iterator[SeriesRows]) -> Iterator[SeriesRows]:
    """The same batches, made before they are asked for: making them is nobody's cost."""
    while True:
        yield from list(itertools.islice(batches, 64))


def _prepare(conn: psycopg.Connection[Any]) -> None:
    conn.execute("SET search_path TO dothi; SET timezone TO 'UTC'")
    conn.execute("CREATE TABLE floor_head (LIKE series_head INCLUDING ALL)")
    conn.execute("CREATE TEMP TABLE floor_batch (LIKE series_head) ON COMMIT DELETE ROWS")
    row = conn.execute("SHOW fsync").fetchone()
    assert row == ("on",)


if __name__ == "__main__":
    main()
