"""All tests, as `make test` runs them: two rounds, each of two runs beside each other.

What waits for minutes runs beside what computes. What kills, or measures what a process may eat,
runs one by one, and so do the tests that share one installation in a browser.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSER, SCREENS = "tests/browser", "tests/browser/test_screens.py"
LASTING = "tests/browser/test_soak.py"
SINGLY = [
    "tests/integration/jail", "tests/integration/supervisor", "tests/integration/test_demo.py",
    "tests/kill",
]  # fmt: skip


def but(*paths: str) -> list[str]:
    """Everything but these."""
    return [f"--ignore={path}" for path in paths]


COMPUTING = [
    "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *but(*SINGLY, BROWSER),
    "tests/contract", "tests/integration", "tests",
]  # fmt: skip
"""On both cores; the long files first, so that none is left over at the end."""

ROUNDS = (
    (COMPUTING, [LASTING]),
    ([*SINGLY, SCREENS], [BROWSER, *but(SCREENS, LASTING)]),
)


def beside(first: list[str], second: list[str]) -> bool:
    """Run both and say whether both passed; what the second one said follows the first."""
    pytest = [sys.executable, "-m", "pytest"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        with subprocess.Popen([*pytest, *second], cwd=ROOT, stdout=said, stderr=said) as other:
            one = subprocess.run([*pytest, *first], cwd=ROOT, check=False)
        said.seek(0)
        print(said.read(), flush=True)
    return one.returncode == other.returncode == 0


if __name__ == "__main__":
    passed = [beside(*runs) for runs in ROUNDS]
    sys.exit(not all(passed))
