"""Five million rows from a CSV file, against plain DuckDB from the same file to Parquet.

`python -m bench.load [--runs 3] [--no-web]`. Speed: rows a second by `load_file` (read in the jail,
matched, checked, committed) over rows a second of `read_csv` → Parquet with two threads. Then a real
`dothi up` answers while `dothi load` works on the same file: the 95th percentile of a panel and of
storing rows, against the same without the load.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench.home import fresh_home
from bench.measure import OUT, Cost, cost, line, medians, percentile, show
from bench.product import PAGE, Client, Product, product
from dothi.lake import registry
from dothi.lake.files import FileStore
from dothi.lake.loading import load_file

STATIONS, HOURS = 200, 25_000
ROWS = STATIONS * HOURS
TARGET_SPEED = 0.4
TARGET_P95 = 2.0
SECONDS = 15.0
PAUSE_S = 0.02


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="5 M rows from CSV")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--no-web", action="store_true")
    chosen = options.parse_args()
    show(measured(chosen.runs, web=not chosen.no_web))


def measured(runs: int = 3, *, web: bool = True) -> dict[str, Any]:
    """Speed against the floor, and how the web answers meanwhile."""
    path = made_file()
    figures, floors, steps = [], [], {}
    for _ in range(runs):
        floors.append(cost(lambda: _floor(path)))
        taken, steps = _figure(path)
        figures.append(taken)
    figure, floor = medians(figures), medians(floors)
    speed = floor.wall_s / figure.wall_s
    answer: dict[str, Any] = {
        "name": "load", "rows": ROWS, "runs": runs,
        "figure_s": round(figure.wall_s, 2), "figure_cpu_s": round(figure.cpu_s, 2),
        "floor_s": round(floor.wall_s, 2), "floor_cpu_s": round(floor.cpu_s, 2),
        "ratio": round(speed, 2), "cpu_ratio": round(floor.cpu_s / figure.cpu_s, 2),
        "target": TARGET_SPEED, "met": speed >= TARGET_SPEED, "steps_s": steps,
    }  # fmt: skip
    answer["lines"] = [
        line("5 M rows from CSV, speed", figure.wall_s, "s", TARGET_SPEED, floor=floor.wall_s,
             ratio=speed, least=True)
    ]  # fmt: skip
    if web:
        answer["web"] = _meanwhile(path)
        answer["met"] = answer["met"] and answer["web"]["met"]
        for name, ratio in answer["web"]["p95_ratio"].items():
            alone, busy = (answer["web"][when][name]["p95_ms"] for when in ("alone", "during_load"))
            answer["lines"].append(
                line(f"p95 of {name} meanwhile", busy, "ms", TARGET_P95, floor=alone, ratio=ratio)
            )
    return answer


def made_file() -> Path:
    """The file of every run, always the same bytes; made once."""
    path = OUT / "load_5m.csv"
    if path.exists():
        return path
    OUT.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    with duckdb.connect(config={"threads": "1"}) as engine:
        engine.execute(
            f"""COPY (SELECT format('S{{:03d}}', s) AS station,
                    strftime(TIMESTAMP '2020-01-01' + INTERVAL (h) HOUR, '%Y-%m-%d %H:%M:%S') AS time,
                    round(35 + 25 * sin(h / 24.0) + (hash(s * 100000 + h) % 300) / 10, 1) AS pm25
                FROM range({STATIONS}) a(s), range({HOURS}) b(h) ORDER BY h, s)
            TO '{part}' (HEADER)"""
        )
    part.replace(path)
    return path


def _floor(path: Path) -> None:
    out = OUT / "floor.parquet"
    with duckdb.connect(config={"threads": "2"}) as engine:
        engine.execute(f"COPY (SELECT * FROM read_csv('{path}')) TO '{out}'")
    out.unlink()


def _figure(path: Path) -> tuple[Cost, dict[str, float]]:
    """One load into a fresh home; how long it took, and each of its steps."""
    heard: list[tuple[str, float]] = []
    with fresh_home() as (db, lake, folder):
        with db.transaction() as conn:
            air = registry.find(conn, "air_quality")
        store = FileStore(folder / "files")
        taken = cost(
            lambda: load_file(
                lake, store, air, path, say=lambda step: heard.append((step, time.perf_counter()))
            )
        )
        ended = time.perf_counter()
        with lake.view() as view:
            row = view.execute(f"SELECT count(*) FROM {view.series(air)}").fetchone()
            assert row == (ROWS,), row
    ends = [at for _, at in heard[1:]] + [ended]
    steps = {name: round(end - at, 2) for (name, at), end in zip(heard, ends, strict=True)}
    return taken, steps


def _meanwhile(path: Path) -> dict[str, Any]:
    with product("--demo") as running:
        key = running.key()
        alone = _answers(running, key, lambda began: time.monotonic() - began < SECONDS)
        command = [sys.executable, "-m", "dothi", "load", str(path), "--dataset", "air_quality"]
        child = subprocess.Popen(
            [*command, "--home", str(running.home)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        began = time.monotonic()
        busy = _answers(running, key, lambda _: child.poll() is None)
        took = time.monotonic() - began
        assert child.returncode == 0, child.returncode
    ratios = {name: round(busy[name]["p95_ms"] / alone[name]["p95_ms"], 2) for name in alone}
    return {
        "alone": alone, "during_load": busy, "load_s": round(took, 1), "p95_ratio": ratios,
        "target": TARGET_P95, "met": max(ratios.values()) <= TARGET_P95,
    }  # fmt: skip


def _answers(running: Product, key: str, more: Callable[[float], bool]) -> dict[str, Any]:
    """Two clients, one that looks and one that stores, until told to stop."""
    taken: dict[str, list[float]] = {"tiles": [], "rows": []}

    def look(client: Client, _number: int) -> int:
        return client.get(f"{PAGE}/tiles", {"hx-request": "true"})[0]

    def store(client: Client, number: int) -> int:
        at = datetime.now(UTC) - timedelta(seconds=1)
        rows = [
            {"station": f"BENCH{i}", "time": at.isoformat(), "pm25": 20.0 + i} for i in range(20)
        ]
        return client.post_rows(key, f"{at.timestamp()}-{number}", rows)

    def run(name: str, act: Callable[[Client, int], int]) -> None:
        client, began, number = running.client(), time.monotonic(), 0
        while more(began):
            at = time.perf_counter()
            status = act(client, number)
            taken[name].append(time.perf_counter() - at)
            assert status in (200, 201), (name, status)
            number += 1
            time.sleep(PAUSE_S)
        client.close()

    threads = [
        threading.Thread(target=run, args=(name, act))
        for name, act in (("tiles", look), ("rows", store))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        name: {
            "requests": len(values),
            "p50_ms": round(percentile(values, 0.5) * 1000, 1),
            "p95_ms": round(percentile(values, 0.95) * 1000, 1),
        }
        for name, values in taken.items()
    }


if __name__ == "__main__":
    main()
