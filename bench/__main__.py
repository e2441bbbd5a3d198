"""`python -m bench [NAME …]`: all benchmarks one after the other, or those that are named.

Writes `bench/out/results.json` and prints a short table. Each runs in a process of its own, so that
none inherits another's memory or threads. Ends with 1 when one could not be measured; a missed
target is a figure to read, not a failure.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from bench.measure import OUT

ALL = (
    "commit",
    "load",
    "aqi",
    "score766",
    "page",
    "writers",
    "memory",
    "start",
    "sql",
    "search",
    "overview",
)


def main(names: list[str]) -> int:
    """Run, write, print."""
    unknown = set(names) - set(ALL)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
        return 2
    OUT.mkdir(exist_ok=True)
    results: dict[str, Any] = {}
    for name in names or ALL:
        print(f"{name} …", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], capture_output=True)
        if done.returncode == 0:
            results[name] = json.loads(done.stdout)
        else:
            sys.stderr.buffer.write(done.stderr)
            results[name] = {"name": name, "failed": done.returncode}
    load_1, _, _ = os.getloadavg()
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
        "load_at_end": round(load_1, 1),
    }  # fmt: skip
    path = OUT / "results.json"
    path.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    print(f"{'':10} {'figure':>34} {'floor':>12} {'ratio':>7} {'target':>22}  met")
    for name, result in results.items():
        print(_line(name, result))
    return 1 if any("failed" in result for result in results.values()) else 0


def _line(name: str, result: dict[str, Any]) -> str:
    if "failed" in result:
        return f"{name:10} could not be measured"
    figure, floor = _first(result, "figure"), _first(result, "floor")
    ratio = result.get("ratio", "")
    met = "yes" if result.get("met") else "NO"
    return f"{name:10} {figure:>34} {floor:>12} {ratio!s:>7} {_short(result['target']):>22}  {met}"


def _first(result: dict[str, Any], kind: str) -> str:
    """The first value of this kind with its unit, which is the end of its name."""
    for key, value in result.items():
        if key == kind or key.startswith(f"{kind}_"):
            return f"{_short(value)} {key.removeprefix(kind).strip('_').replace('_', ' ')}"
    return ""


def _short(value: Any) -> str:
    return "/".join(str(v) for v in value.values()) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
