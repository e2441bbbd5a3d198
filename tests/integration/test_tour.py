"""docs/tour.md, walked as it stands: every command by one shell on an empty home, every line compared.

The page says what is on the screen; what it says of the file is computed here from the file itself.
"""

from __future__ import annotations

import csv
import gzip
import html
import re
import shutil
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tour.md").read_text("utf-8")
DONE, ENDED = "--- the block is done", "--- the shell ended"
PATIENCE_S = 180.0
BLOCK = re.compile(
    r"(?:^`(?P<file>[\w./]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$"
    r"|^> On `(?P<path>[^`]+)`: (?P<seen>[^\n]+)$",
    re.MULTILINE | re.DOTALL,
)


class Shell:
    """One bash that runs a block after the other, as a person's does."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = environment["DOTHI_PORT"]
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail"], cwd=folder, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        # What runs behind keeps the pipe open, so its end alone does not tell that the shell's came.
        self.run(f"trap \"echo '{ENDED}'\" EXIT")

    def run(self, block: str) -> str:
        """What the block printed, its errors too. Fails when a command of it did."""
        assert self.process.stdin is not None and self.process.stdout is not None
        watch = threading.Timer(PATIENCE_S, self.process.kill)
        watch.start()
        try:
            # A command that reads its input must not read the rest of the page.
            self.process.stdin.write(f"{{ {block}\n}} < /dev/null\necho '{DONE}'\n")
            lines = []
            for line in self.process.stdout:
                if line.startswith(DONE):
                    return "".join(lines)
                if line.startswith(ENDED):
                    break
                lines.append(line)
        finally:
            watch.cancel()
        pytest.fail(f"the shell ended in\n{block}\n{''.join(lines)}")


@pytest.fixture
def file(shared: Path) -> Path:
    path = shared / "data" / "hydro_nl_pastas" / "B49F0232_1.csv.gz"
    if not path.exists():
        pytest.skip(f"the file of the walk is missing: {path}")
    return path


@pytest.fixture
def shell(file: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell in an empty folder; only home, port and the place of the data come from outside."""
    binaries = ROOT / ".venv" / "bin"
    # PostgreSQL runs as another user, who cannot enter pytest's own folders.
    home = Path(tempfile.mkdtemp(prefix="dothi-tour-", dir="/tmp"))
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "no_proxy": "*",
        "DATA": str(file.parents[1]),
        "DOTHI_HOME": str(home),
        "DOTHI_PORT": str(free_port()),
    }
    folder = tmp_path / "walk"
    folder.mkdir()
    made = Shell(folder, environment)
    try:
        yield made
    finally:
        subprocess.run([binaries / "dothi", "stop"], env=environment, check=False, timeout=60)
        made.process.kill()
        made.process.wait()
        shutil.rmtree(home, ignore_errors=True)


def test_the_walk_goes_as_the_page_says(shell: Shell, tmp_path: Path) -> None:
    printed, client = None, None
    for block in BLOCK.finditer(PAGE):
        if block["kind"] == "sh":
            assert printed in (None, ""), f"the page does not show this:\n{printed}"
            printed = shell.run(block["text"])
            client = client or signed_in(shell, printed)
        elif block["kind"] == "output":
            assert printed is not None
            assert_shown(block["text"], printed)
            printed = None
        elif block["file"]:
            path = tmp_path / "walk" / block["file"]
            assert path.parent.is_dir()
            path.write_text(block["text"], "utf-8")
        else:
            assert client is not None
            page = said(client.get(block["path"]))
            for text in re.findall(r"\*\*(.+?)\*\*", block["seen"]):
                assert text in page, f"{block['path']} does not show {text}: {page}"
    assert printed is None


def signed_in(shell: Shell, printed: str) -> httpx.Client:
    """The administrator's session, with the password that the first start printed."""
    found = re.search(r"Administrator: (\S+)   Password: (\S+)", printed)
    assert found is not None, printed
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{shell.port}", timeout=60, follow_redirects=True,
        headers={"sec-fetch-site": "same-origin", "accept-language": "en"},
    )  # fmt: skip
    form = {"username": found[1], "password": found[2]}
    answer = client.post("/login", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return client


def said(answer: httpx.Response) -> str:
    """The text that a page shows."""
    assert answer.status_code == 200, answer.text
    body = answer.text[answer.text.index("<main") : answer.text.index("</main>")]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def assert_shown(page: str, printed: str) -> None:
    """Line by line the same; `…` on the page is what differs from house to house."""
    lines = printed.splitlines()
    assert len(lines) == len(page.splitlines()), printed
    for wanted, line in zip(page.splitlines(), lines, strict=True):
        pattern = ".*".join(map(re.escape, wanted.split("…")))
        assert re.fullmatch(pattern, line), f"the page says {wanted!r}, printed was {line!r}"


def test_what_the_page_says_of_the_file_is_so(file: Path) -> None:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        rows = list(csv.reader(text))[1:]
    times = [datetime.fromisoformat(time) for time, _ in rows]
    values = [Fraction(value) for _, value in rows if value]
    valid = [value for value in values if value >= Fraction("5.5")]
    hours = int((times[-1] - times[0]) / timedelta(hours=1)) + 1
    assert f"Load 1: {len(rows):,} rows; {len(rows):,} new values" in PAGE
    assert f"\n  {len(values) - len(valid)}  Outside the contract's range" in PAGE
    assert f"\n  {len(rows) - len(values)}  Marked missing" in PAGE
    assert f"\n  {hours - len(rows):,}  Intervals without a value" in PAGE
    mean = float(round(sum(valid) / len(valid), 3))
    assert f"\nmissing,{len(rows) - len(values)},,,\n" in PAGE
    assert f"\nvalid,{len(valid)},{float(min(valid))},{float(max(valid))},{mean}\n" in PAGE

    days: dict[str, list[Fraction]] = defaultdict(list)
    for time, value in rows:
        if value and Fraction(value) >= Fraction("5.5"):
            days[time[:10]].append(Fraction(value))
    means = {day: sum(found) / len(found) for day, found in days.items() if len(found) >= 6}
    lowest, highest = float(round(min(means.values()), 3)), float(round(max(means.values()), 3))
    assert f"\n{len(means)},{lowest},{highest}\n" in PAGE
    assert f"2018-01-15: {float(means['2018-01-15']):.3f} m\n" in PAGE
    assert f"**Same period last year**, **{float(means['2017-01-15']):.3f}**" in PAGE
    shown = re.findall(r"^B49F0232_1,level_mean,(\S+)T23:00:00Z,(\S+)$", PAGE, re.MULTILINE)
    assert len(shown) == 3
    for begins, figure in shown:
        day = datetime.fromisoformat(begins) + timedelta(days=1)
        assert float(figure) == pytest.approx(float(means[f"{day:%Y-%m-%d}"]), abs=1e-9)
    last = [(n, row) for n, row in enumerate(rows, 1) if row[0].startswith("2018-01-15")]
    for number, (time, value) in last:
        assert (
            f"\n+  {time[:16]}  level {float(value):.2f}  Valid  load 1, row {number}, {file.name}\n"
            in PAGE
        )
    assert f"{len(last)} rows (+ entered" in PAGE
