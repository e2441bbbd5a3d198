"""How every benchmark measures: figure and floor in turns, medians, CPU of all processes at work."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True)
class Cost:
    """What one run took: wall clock, and CPU of this process, its children and PostgreSQL."""

    wall_s: float
    cpu_s: float


def cost(work: Callable[[], object], root: int | None = None) -> Cost:
    """Run once. `root`: the process whose tree counts; this one unless named."""
    cpu, wall = cpu_s(root), time.perf_counter()
    work()
    return Cost(time.perf_counter() - wall, cpu_s(root) - cpu)


def in_turns(
    figure: Callable[[], object], floor: Callable[[], object], runs: int, *, each: int = 1,
    root: int | None = None,
) -> tuple[Cost, Cost]:  # fmt: skip
    """Medians of figure and floor over `runs` rounds of `each` calls, taken in turns. `root` as for
    `cost`.

    What disturbs the machine disturbs both; who begins changes from round to round.
    """
    costs: dict[str, list[Cost]] = {"figure": [], "floor": []}
    pair = [("figure", figure), ("floor", floor)]
    for _, work in pair:
        work()
    for _ in range(runs):
        for name, work in pair:
            costs[name] += [cost(work, root) for _ in range(each)]
        pair.reverse()
    return medians(costs["figure"]), medians(costs["floor"])


def medians(costs: Sequence[Cost]) -> Cost:
    """Median of wall clock and of CPU, each on its own."""
    return Cost(
        statistics.median(c.wall_s for c in costs), statistics.median(c.cpu_s for c in costs)
    )


def compared(figure: Cost, floor: Cost, target: float) -> dict[str, Any]:
    """Figure against floor where more is worse: the ratio of wall clocks must not pass `target`."""
    return {
        "figure_ms": round(figure.wall_s * 1000, 2),
        "figure_cpu_ms": round(figure.cpu_s * 1000, 2),
        "floor_ms": round(floor.wall_s * 1000, 2),
        "floor_cpu_ms": round(floor.cpu_s * 1000, 2),
        "ratio": round(figure.wall_s / floor.wall_s, 2),
        "cpu_ratio": round(figure.cpu_s / max(floor.cpu_s, 1e-9), 2),
        "target": target,
        "met": figure.wall_s / floor.wall_s <= target,
    }


def line(
    what: str, figure: float, unit: str, target: float, *, floor: float | None = None,
    ratio: float | None = None, least: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """One promise and whether it is kept. `target` is for the ratio where there is one, else for the
    figure, in its unit; `least`: it must be reached, not kept below."""
    judged = figure if ratio is None else ratio
    sign, of = ("≥" if least else "≤"), (f" {unit}" if ratio is None else " ×")
    return {
        "what": what, "figure": f"{_short(figure)} {unit}",
        "floor": "" if floor is None else f"{_short(floor)} {unit}",
        "ratio": None if ratio is None else round(ratio, 2), "target": f"{sign} {target:g}{of}",
        "met": judged >= target if least else judged <= target,
    }  # fmt: skip


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(result: dict[str, Any]) -> None:
    """Print one JSON object."""
    json.dump(result, sys.stdout, indent=1)
    print()


def cpu_s(root: int | None = None) -> float:
    """CPU seconds that a process and its living descendants have used up to now."""
    return sum(_used(pid) for pid in tree(root or os.getpid()))


def tree(root: int) -> list[int]:
    """A process and its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the third on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _used(pid: int) -> float:
    """Threads that have ended included, and children that have, these to the clock tick only."""
    fields = stat(pid)
    if fields is None:
        return 0.0
    ended = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    try:
        # Linux' number for the CPU clock of another process, exact to the nanosecond.
        return time.clock_gettime((~pid << 3) | 2) + ended
    except OSError:
        return 0.0
