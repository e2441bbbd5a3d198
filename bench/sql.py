"""A question in SQL over a million rows: policy, copy, jail and answer, against DuckDB alone.

`python -m bench.sql [--runs 5]`. Floor: a new Python process with DuckDB, as many threads, and the
same rows as one Parquet file, which runs the same statement and prints the answer: no store, no
policy, no walls. Told beside it: the statement alone in an engine that is warm.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

from bench.home import fresh_home
from bench.measure import compared, cost, in_turns, line, medians, show
from dothi.identity.model import SYSTEM
from dothi.lake import registry
from dothi.lake.files import FileStore
from dothi.lake.loading import load_file
from dothi.lake.out import sql
from dothi.lake.out.formats import JSON, PARQUET, written
from dothi.lake.out.page import relation, shown
from dothi.lake.service import Lake
from dothi.store.database import Database

STATIONS, HOURS = 200, 5_000
ROWS = STATIONS * HOURS
THREADS = 2
TARGET = 3.0
DATASET = "air_quality"
FOUND = 50
STATEMENT = f"""SELECT station, date_trunc('day', time) AS day, avg(value) AS mean, max(value) AS most
FROM {DATASET} WHERE quality = 'valid' GROUP BY ALL ORDER BY most DESC, station, day LIMIT {FOUND}"""
BARE = f"""import sys, duckdb
engine = duckdb.connect(config={{"threads": "{THREADS}"}})
engine.execute("CREATE VIEW {DATASET} AS FROM '" + sys.argv[1] + "'")
for row in engine.execute(sys.argv[2]).fetchall():
    print(row)
"""


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="SQL over 1 M rows")
    options.add_argument("--runs", type=int, default=5)
    show(measured(options.parse_args().runs))


def measured(runs: int = 5) -> dict[str, Any]:
    """The door against the floor, in turns."""
    with fresh_home() as (db, lake, folder):
        _fill(db, lake, folder)
        file = _as_file(db, lake, folder)

        def figure() -> None:
            told = sql.run(lake, SYSTEM, sql.Statement(STATEMENT), JSON)
            with told.file:
                assert told.rows == FOUND

        def floor() -> None:
            done = subprocess.run(
                [sys.executable, "-c", BARE, str(file), STATEMENT], capture_output=True, check=True
            )
            assert done.stdout.count(b"\n") == FOUND, done.stdout

        taken, least = in_turns(figure, floor, runs)
        compare = compared(taken, least, TARGET)
        told = line("question in SQL over 1 M rows", compare["figure_ms"], "ms", TARGET,
                    floor=compare["floor_ms"], ratio=compare["ratio"])  # fmt: skip
        return {
            "lines": [told],
            "name": "sql", "rows": ROWS, "runs": runs, **compare,
            "warm_engine_ms": _warm(file, runs),
        }  # fmt: skip


def _fill(db: Database, lake: Lake, folder: Path) -> None:
    path = folder / "million.csv"
    with duckdb.connect(config={"threads": "1"}) as engine:
        engine.execute(
            f"""COPY (SELECT format('S{{:03d}}', s) AS station,
                    strftime(TIMESTAMP '2024-01-01' + INTERVAL (h) HOUR, '%Y-%m-%d %H:%M:%S') AS time,
                    round(35 + 25 * sin(h / 24.0) + (hash(s * 100000 + h) % 300) / 10, 1) AS pm25
                FROM range({STATIONS}) a(s), range({HOURS}) b(h) ORDER BY h, s)
            TO '{path}' (HEADER)"""
        )
    with db.transaction() as conn:
        air = registry.find(conn, DATASET)
    load_file(lake, FileStore(folder / "files"), air, path)


def _as_file(db: Database, lake: Lake, folder: Path) -> Path:
    """What the caller may see, as one Parquet file."""
    with db.transaction() as conn:
        seen = shown(conn, SYSTEM, registry.find(conn, DATASET))
    path = folder / "million.parquet"
    with lake.view() as view:
        source, params = relation(view, seen)
        rows = view.cursor.sql(f"SELECT * FROM {source} ORDER BY time", params=params)
        with written(PARQUET, rows, {}) as file:
            path.write_bytes(file.read())
    return path


def _warm(file: Path, runs: int) -> float:
    with duckdb.connect(config={"threads": str(THREADS)}) as engine:
        engine.execute(f"CREATE VIEW {DATASET} AS FROM '{file}'")
        costs = [cost(lambda: engine.execute(STATEMENT).fetchall()) for _ in range(runs)]
    return round(medians(costs).wall_s * 1000, 1)


if __name__ == "__main__":
    main()
