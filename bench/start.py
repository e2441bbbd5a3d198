"""How long a start takes: the first with the demonstration, the next, and one after `kill -9`.

`python -m bench.start [--runs 3] [--rows 10000000]`. Seconds from the command until `/readyz` says
yes and the environment page has been answered. The last case puts that many rows into the head
first and kills the supervisor while more are being written. No floor: people wait in seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.measure import line, show
from bench.product import Product, up

TARGETS_S = {"first": 45.0, "next": 5.0, "after_kill": 5.0, "after_kill_big": 10.0}
WORDS = {
    "first": "first `up --demo` until a page", "next": "next `up --demo` until a page",
    "after_kill": "start after kill -9", "after_kill_big": "start after kill -9, 10 M rows",
}  # fmt: skip
STREAM = 1_000_000
"""Numbers no real stream has: the rows weigh as any others and stand on no screen."""


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="seconds until a page is served")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--rows", type=int, default=10_000_000)
    chosen = options.parse_args()
    show(measured(chosen.runs, chosen.rows))


def measured(runs: int = 3, rows: int = 10_000_000) -> dict[str, Any]:
    """Medians of each case (the first and the big one are taken once)."""
    above = Path(tempfile.mkdtemp(prefix="dothi-bench-", dir="/tmp"))
    above.chmod(0o711)
    home = above / "home"
    try:
        taken: dict[str, list[dict[str, float]]] = {
            "first": [_started(home)],
            "next": [_started(home) for _ in range(runs)],
            "after_kill": [_after_kill(home) for _ in range(runs)],
            "after_kill_big": [_after_kill(home, rows)] if rows else [],
        }
        size = sum(f.stat().st_size for f in home.rglob("*") if f.is_file())
    finally:
        shutil.rmtree(above, ignore_errors=True)
    cases = {
        name: {
            "page_s": round(statistics.median(c["page"] for c in cases), 2),
            "ready_s": round(statistics.median(c["ready"] for c in cases), 2),
            "cpu_s": round(statistics.median(c["cpu"] for c in cases), 2),
            "target_s": TARGETS_S[name],
            "runs": len(cases),
        }
        for name, cases in taken.items()
        if cases
    }
    return {
        "lines": [line(WORDS[name], case["page_s"], "s", TARGETS_S[name]) for name, case in cases.items()],
        "name": "start", "rows": rows, "runs": runs, "home_mb": size // 2**20,
        "figure_s": {name: case["page_s"] for name, case in cases.items()},
        "target": {name: case["target_s"] for name, case in cases.items()},
        "met": all(case["page_s"] <= case["target_s"] for case in cases.values()),
        "cases": cases,
    }  # fmt: skip


def _started(home: Path) -> dict[str, float]:
    running = up(home, "--demo")
    running.stop()
    return running.started_s


def _after_kill(home: Path, rows: int = 0) -> dict[str, float]:
    """Killed in the middle of writing; measured is the start after that."""
    running = up(home, "--demo")
    if rows:
        _fill(running, rows)
    key = running.key()
    stop = threading.Event()
    writer = threading.Thread(target=_write, args=(running, key, stop))
    writer.start()
    time.sleep(3)
    orphans = running.kill()
    stop.set()
    writer.join()
    _gone(orphans)
    again = up(home, "--demo")
    again.stop()
    return again.started_s


def _fill(running: Product, rows: int) -> None:
    """Rows in the head: what recovery and the first page have to live with."""
    with running.database() as db:
        for first in range(0, rows, 1_000_000):
            with db.transaction() as conn:
                conn.execute(
                    """INSERT INTO series_head (stream_id, row_no, t, v, load_id, q)
                       SELECT %s + n / 20000, 1, now() + interval '1 minute' * (n %% 20000),
                              n %% 97, 0, 0
                       FROM generate_series(%s, %s) AS n""",
                    (STREAM, first, min(first + 1_000_000, rows) - 1),
                )


def _write(running: Product, key: str, stop: threading.Event) -> None:
    client, number = running.client(), 0
    while not stop.is_set():
        at = datetime.now(UTC) - timedelta(seconds=1)
        rows = [{"station": f"K{i}", "time": at.isoformat(), "pm25": 20.0} for i in range(100)]
        try:
            client.post_rows(key, f"{at.timestamp()}-{number}", rows)
        except OSError:
            return
        except Exception as error:  # an answer torn off by the kill
            if "Remote" in type(error).__name__ or "Incomplete" in type(error).__name__:
                return
            raise
        number += 1


def _gone(pids: list[int], patience_s: float = 10.0) -> None:
    """Wait for what the killed supervisor had; an orphan is a fault, not a slow start."""
    deadline = time.monotonic() + patience_s
    while left := [pid for pid in pids if _runs(pid)]:
        if time.monotonic() > deadline:
            raise AssertionError(f"still there: {left}")
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    main()
