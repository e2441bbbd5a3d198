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
    "live",
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
    print(f"{'':44} {'figure':>11} {'floor':>11} {'ratio':>6} {'target':>10}  met")
    for name, result in results.items():
        if "failed" in result:
            print(f"{name:44} could not be measured")
        for told in result.get("lines", ()):
            ratio = "" if told["ratio"] is None else told["ratio"]
            print(
                f"{told['what']:44} {told['figure']:>11} {told['floor']:>11} {ratio!s:>6} "
                f"{told['target']:>10}  {'yes' if told['met'] else 'NO'}"
            )
    return 1 if any("failed" in result for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
