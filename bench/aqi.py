"""Hourly VN_AQI of many stations over years, against the bare SELECT of the rows it reads.

`python -m bench.aqi [--stations 200] [--years 3] [--write]`. Floor: stream, time and value of the
same rows through the same view into arrays. Figure: the indicator over all of it, nothing stored;
with `--write` also with every figure stored. Medians of wall clock and of CPU time (all threads).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.home import fresh_home
from bench.measure import line
from dothi.indicators.engine import compute
from dothi.indicators.recompute import Recomputer
from dothi.indicators.service import find, subject
from dothi.indicators.subject import reach
from dothi.lake import registry
from dothi.lake.model import Batch, Source, StagedRows
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

START = datetime(2023, 1, 1, tzinfo=UTC)
SIX = ("pm25", "pm10", "o3", "no2", "so2", "co")
TARGET = 3.0
_SCALE = {"pm25": 30, "pm10": 55, "o3": 60, "no2": 40, "so2": 15, "co": 900}


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="Hourly VN_AQI over years")
    options.add_argument("--stations", type=int, default=200)
    options.add_argument("--years", type=int, default=3)
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--write", action="store_true")
    chosen = options.parse_args()
    hours = chosen.years * 8766
    out: dict[str, Any] = {"stations": chosen.stations, "hours": hours, "target": TARGET}
    for name, parameters in (("pm25", ("pm25",)), ("six", SIX)):
        with fresh_home() as (db, lake, folder):
            with db.transaction() as conn:
                air = registry.find(conn, "air_quality")
            _load(db, lake, air, folder, parameters, chosen.stations, hours)
            out[name] = _measure(db, lake, air, hours, chosen.repeat)
            if chosen.write and name == "pm25":
                out[name] |= _written(db, lake)
    out["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    out["name"] = "aqi"
    out["lines"] = [
        line(f"VN_AQI, {chosen.stations} stations, {chosen.years} years, {name}",
             out[name]["figure_cpu_s"], "s", TARGET, floor=out[name]["floor_cpu_s"],
             ratio=out[name]["cpu_ratio"])
        for name in ("pm25", "six")
    ]  # fmt: skip
    out["met"] = all(out[name]["cpu_ratio"] <= TARGET for name in ("pm25", "six"))
    json.dump(out, sys.stdout, indent=1)
    print()


def _load(
    db: Database, lake: Lake, air: Dataset, folder: Path, parameters: tuple[str, ...],
    stations: int, hours: int,
) -> None:  # fmt: skip
    """Each pollutant in one bulk load; four hours of a hundred are missing.

    Streams are numbered station by station, as files with a column for each pollutant do it.
    """
    dice = np.random.default_rng(1459)
    names = [f"S{i:03d}" for i in range(stations)]
    start = round(START.timestamp() * 1_000_000)
    instants = start + 3_600_000_000 * np.arange(1, hours + 1)
    with db.transaction() as conn:
        ids = registry.stream_ids(conn, air, [((n,), p) for n in names for p in parameters])
    for parameter in parameters:
        wave = 1 + 0.5 * np.sin(np.arange(hours) / 24 * 2 * np.pi)
        value = dice.lognormal(0, 0.5, (stations, hours)) * wave * _SCALE[parameter]
        there = np.flatnonzero(dice.random(stations * hours) > 0.04)
        streams = np.array([ids[((n,), parameter)] for n in names], np.int32)
        rows = {
            "stream": np.repeat(streams, hours)[there],
            "us": np.tile(instants, stations)[there],
            "v": value.ravel().round(1)[there],
        }
        path = folder / f"{parameter}.parquet"
        with lake.view() as view:
            view.cursor.register("rows", rows)
            view.execute(
                "COPY (SELECT stream AS stream_id, 1::INTEGER AS row_no, "
                f"make_timestamptz(us) AS t, v, 0::SMALLINT AS q FROM rows) TO '{path}'"
            )
            view.cursor.unregister("rows")
        staged = StagedRows(f"read_parquet('{path}')", len(there))
        lake.commit(Batch(air.id, staged, Source("http")))
        path.unlink()


def _measure(db: Database, lake: Lake, air: Dataset, hours: int, repeat: int) -> dict[str, Any]:
    with db.transaction() as conn:
        indicator = find(conn, "vn_aqi_hourly")
        about = subject(conn, indicator)
    first, last = reach(indicator.definition, START, START + timedelta(hours=hours))
    rows = figures = 0

    def floor() -> None:
        nonlocal rows
        with lake.view() as view:
            relation = view.series(air, streams=list(about.inputs[0].streams))
            got = view.execute(f"SELECT stream_id, t, v FROM {relation}").fetchnumpy()
            rows = len(got["v"])

    def figure() -> None:
        nonlocal figures
        with lake.view() as view:
            pieces = list(compute(view, about, None, first, last))
            figures = sum(len(piece.places) * len(piece.us) for piece in pieces)

    measured = {"floor": _medians(floor, repeat), "figure": _medians(figure, repeat)}
    return {
        "rows": rows,
        "figures": figures,
        **{f"{name}_{kind}_s": round(s, 3) for name, both in measured.items()
           for kind, s in zip(("wall", "cpu"), both, strict=True)},
        "wall_ratio": round(measured["figure"][0] / measured["floor"][0], 2),
        "cpu_ratio": round(measured["figure"][1] / measured["floor"][1], 2),
    }  # fmt: skip


def _written(db: Database, lake: Lake) -> dict[str, Any]:
    """Everything computed and stored for the first time, all three indicators apart."""
    worker = Recomputer(db, lake)
    out = {}
    for name in ("vn_aqi_hourly", "vn_aqi_daily", "pm25_24h_mean"):
        wall, cpu = time.perf_counter(), _cpu()
        count = worker.compute_all(name)
        out[f"{name}_written"] = {
            "figures": count,
            "wall_s": round(time.perf_counter() - wall, 1),
            "cpu_s": round(_cpu() - cpu, 1),
        }
    return out


def _medians(work: Callable[[], None], repeat: int) -> tuple[float, float]:
    work()
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), _cpu()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main()
