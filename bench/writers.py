"""Sixteen writers of small batches, with and without those who listen.

`python -m bench.writers [--runs 4] [--seconds 6]`. Two processes with eight threads each commit ten
rows at a time through `lake.commit`, doorbell and all. Floor: nobody listens. Figure: eight
listeners (a LISTEN connection that reads the event log at each ring, as every web process has one)
with forty open streams each. Rounds in turns; rates are commits acknowledged a second.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing as mp
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.home import fresh_home
from bench.measure import cpu_s, line, show
from dothi.lake import registry
from dothi.lake.model import Batch, SeriesRows, Source
from dothi.lake.service import Lake
from dothi.store.database import Database
from dothi.store.events import Doorbell
from dothi.web.live import Hub

PROCESSES, THREADS = 2, 8
ROWS = 10
LISTENERS, STREAMS = 8, 40
TARGET = 0.8
START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="commit rate with and without listeners")
    options.add_argument("--runs", type=int, default=4)
    options.add_argument("--seconds", type=float, default=6.0)
    chosen = options.parse_args()
    show(measured(chosen.runs, chosen.seconds))


def measured(runs: int = 4, seconds: float = 6.0) -> dict[str, Any]:
    """Commit rates and CPU a commit, with listeners against without."""
    with fresh_home() as (db, _, folder), _writers(db.url, folder / "lake") as writers:
        rates: dict[str, list[float]] = {"figure": [], "floor": []}
        costs: dict[str, list[float]] = {"figure": [], "floor": []}
        heard = 0
        _round(writers, 1.0)
        order = ["floor", "figure"]
        for _ in range(runs):
            for name in order:
                with _listening(db.url, LISTENERS if name == "figure" else 0) as rung:
                    cpu = cpu_s()
                    count = _round(writers, seconds)
                    costs[name].append((cpu_s() - cpu) / count)
                rates[name].append(count / seconds)
                heard += sum(rung)
            order.reverse()
    figure, floor = statistics.median(rates["figure"]), statistics.median(rates["floor"])
    return {
        "lines": [
            line("16 writers with listeners, commits a second", figure, "/s", TARGET, floor=floor,
                 ratio=figure / floor, least=True)
        ],
        "name": "writers", "rows": ROWS, "runs": runs, "writers": PROCESSES * THREADS,
        "listeners": LISTENERS, "streams": LISTENERS * STREAMS, "rings_heard": heard,
        "figure_per_s": round(figure), "floor_per_s": round(floor),
        "figure_cpu_ms": round(statistics.median(costs["figure"]) * 1000, 2),
        "floor_cpu_ms": round(statistics.median(costs["floor"]) * 1000, 2),
        "ratio": round(figure / floor, 2), "target": TARGET, "met": figure / floor >= TARGET,
    }  # fmt: skip


@contextmanager
def _writers(url: str, folder: Path) -> Iterator[list[tuple[Any, Any]]]:
    """The writing processes: each takes a number of seconds and answers with its commits."""
    spawn = mp.get_context("spawn")
    started = []
    for number in range(PROCESSES):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_writer, args=(url, folder, number, theirs), daemon=True)
        process.start()
        started.append((process, ours))
    try:
        yield started
    finally:
        for process, ours in started:
            ours.send(None)
            process.join(10)


def _round(writers: list[tuple[Any, Any]], seconds: float) -> int:
    for _, pipe in writers:
        pipe.send(seconds)
    return sum(pipe.recv() for _, pipe in writers)


def _writer(url: str, folder: Path, number: int, orders: Any) -> None:
    db = Database(url, name=f"writer {number}", max_size=4)
    bell = Doorbell(db)
    lake = Lake(db, folder, bell=bell)
    with db.transaction() as conn:
        air = registry.find(conn, "air_quality")
        names = [((f"W{number}-{i}",), "pm25") for i in range(THREADS * ROWS)]
        ids = list(registry.stream_ids(conn, air, names).values())
    counts = [0] * THREADS

    def write(thread: int, until: float) -> None:
        mine = ids[thread * ROWS : (thread + 1) * ROWS]
        while time.monotonic() < until:
            at = START + timedelta(seconds=counts[thread])
            rows = SeriesRows(mine, [at] * ROWS, [1.0] * ROWS, [0] * ROWS, list(range(ROWS)))
            lake.commit(Batch(air.id, rows, Source("http")))
            counts[thread] += 1

    while (seconds := orders.recv()) is not None:
        before, until = sum(counts), time.monotonic() + seconds
        threads = [threading.Thread(target=write, args=(n, until)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        orders.send(sum(counts) - before)
    lake.close()
    bell.close()
    db.close()


@contextmanager
def _listening(url: str, count: int) -> Iterator[list[int]]:
    """Hubs with their open streams, as web processes have them; how many rings they heard."""
    rung = [0]
    if not count:
        yield rung
        return
    stop = threading.Event()
    ready = threading.Barrier(2)

    async def read(hub: Hub) -> None:
        async for chunk in hub.stream(frozenset({"series:air_quality"})):
            rung[0] += chunk.startswith(b"event: ring")

    async def listen() -> None:
        db = Database(url, name="listener", max_size=count)
        hubs = [Hub(db, lambda _: ("series:air_quality",), "bench") for _ in range(count)]
        for hub in hubs:
            hub.start()
        streams = [asyncio.create_task(read(hub)) for hub in hubs for _ in range(STREAMS)]
        await asyncio.sleep(0.5)
        ready.wait()
        while not stop.is_set():
            await asyncio.sleep(0.05)
        for hub in hubs:
            hub.close()
        await asyncio.gather(*streams)
        for hub in hubs:
            hub.stop()
        db.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    ready.wait()
    try:
        yield rung
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
