"""All tests, as `make test` runs them: three rows of runs beside each other.

What computes takes both cores, as far as the others leave them: it gives way. What kills, or measures
what a process may eat, runs one by one, and so do the tests that share one installation in a browser;
both wait most of the time.

`DOTHI_TEST_OLDEST` may name servers of the oldest PostgreSQL we support, as `DOTHI_TEST_SERVER` does
for one run (see conftest.py): the tests that meet a server then run on them as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSER, LASTING = "tests/browser", "tests/browser/test_soak.py"
SINGLY = [
    "tests/integration/jail", "tests/integration/supervisor", "tests/integration/test_demo.py",
    "tests/kill",
]  # fmt: skip
ON_SERVERS = [
    f"tests/integration/{room}" for room in ("indicators", "lake", "identity", "store", "work")
]
BOTH_CORES = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]


@dataclass(frozen=True)
class Run:
    """One pytest."""

    name: str
    argv: Sequence[str]
    gives_way: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)

    def passed(self) -> bool:
        """Run it; what it said is printed when it is over."""
        print(f"{self.name} …", flush=True)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
            done = subprocess.run(
                ["nice", "-n", str(self.gives_way), sys.executable, "-m", "pytest", *self.argv],
                cwd=ROOT, stdout=said, stderr=said, check=False,
                env={**os.environ, **self.environment},
            )  # fmt: skip
            said.seek(0)
            print(f"== {self.name} ==\n{said.read()}", flush=True)
        return done.returncode == 0


def but(*paths: str) -> list[str]:
    """Everything but these."""
    return [f"--ignore={path}" for path in paths]


def rows() -> list[list[Run]]:
    """Runs after each other in a row; the long files first, so that none is left over at the end."""
    computing = [*BOTH_CORES, *but(*SINGLY, BROWSER)]
    first = [
        Run("what computes", [*computing, "tests/contract", "tests/integration", "tests"], 5),
    ]
    if oldest := os.environ.get("DOTHI_TEST_OLDEST", ""):
        on = {"DOTHI_TEST_SERVER": oldest}
        argv = ["-m", "server", *BOTH_CORES, *ON_SERVERS]
        first.append(Run("the oldest PostgreSQL", argv, 5, on))
    return [
        first,
        [Run("one by one", SINGLY), Run("what lasts", [LASTING])],
        [Run("in a browser", [BROWSER, *but(LASTING)])],
    ]


def main() -> int:
    """0: every test passed."""
    results: list[bool] = []

    def work(row: list[Run]) -> None:
        results.extend(run.passed() for run in row)

    todo = rows()
    threads = [threading.Thread(target=work, args=(row,)) for row in todo]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return int(results.count(True) != sum(len(row) for row in todo))


if __name__ == "__main__":
    sys.exit(main())
