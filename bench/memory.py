"""Memory of all processes of an idle `dothi up --demo`.

`python -m bench.memory [--idle 60]`. PSS from /proc/<pid>/smaps_rollup: shared pages count once,
divided among those who share them; the median of one look every five seconds once the first indicators
are computed, and the most of them. The sum with and without the demonstration's feeder, which no real
installation runs; a page has been looked at before. Floor: the embedded PostgreSQL of it.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from pathlib import Path
from typing import Any

from bench.measure import line, show, tree
from bench.product import PAGE, PATIENCE_S, Product, product
from dothi.indicators.scores import scores
from dothi.indicators.service import indicators
from dothi.store.home import Home

TARGET_MB = 700
LOOK_S = 5.0


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="memory of an idle instance")
    options.add_argument("--idle", type=float, default=60.0)
    show(measured(options.parse_args().idle))


def measured(idle_s: float = 60.0) -> dict[str, Any]:
    """PSS by role over `idle_s` seconds without a visitor."""
    with product("--demo") as running:
        client = running.client()
        for path in (PAGE, f"{PAGE}/tiles", "/healthz"):
            client.get(path)
        client.close()
        _until_computed(running)
        looks = []
        for _ in range(max(1, round(idle_s / LOOK_S))):
            time.sleep(LOOK_S)
            looks.append(_by_role(running))
    by_role = {name: statistics.median(look.get(name, 0.0) for look in looks) for name in looks[-1]}
    total = statistics.median(sum(look.values()) for look in looks)
    without = total - by_role.get("demo", 0)
    database = by_role.get("postgresql", 0)
    return {
        "lines": [line("memory of all processes, idle", total, "MB", TARGET_MB, floor=database)],
        "name": "memory", "rows": None, "runs": len(looks), "figure_mb": round(total),
        "most_mb": round(max(sum(look.values()) for look in looks)),
        "without_demo_mb": round(without), "floor_mb": round(database),
        "ratio": round(total / database, 1) if database else None,
        "target": f"{TARGET_MB} MB", "met": total <= TARGET_MB,
        "by_role_mb": {name: round(mb) for name, mb in sorted(by_role.items())},
    }  # fmt: skip


def _until_computed(running: Product) -> None:
    """Until every indicator and score of the packs has been computed for the first time."""
    until = time.monotonic() + PATIENCE_S
    with running.database() as db:
        while time.monotonic() < until:
            with db.transaction() as conn:
                waiting = [one for one in indicators(conn) if one.stale]
                waiting += [one for one in scores(conn) if one.stale or one.as_of is None]
            if not waiting:
                return
            time.sleep(1)
    raise TimeoutError("the indicators are not computed")


def _by_role(running: Product) -> dict[str, float]:
    state = Home(running.home).state() or {"children": []}
    roots = {int(c["pid"]): str(c["name"]) for c in state["children"] if c["pid"]}
    found: dict[str, float] = {"supervisor": 0.0}
    claimed: set[int] = set()
    for pid, name in roots.items():
        members = tree(pid)
        claimed.update(members)
        found[name] = found.get(name, 0.0) + sum(_pss_mb(p) for p in members)
    found["supervisor"] = sum(_pss_mb(p) for p in tree(running.process.pid) if p not in claimed)
    return found


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) / 1024 if match else 0.0


if __name__ == "__main__":
    main()
