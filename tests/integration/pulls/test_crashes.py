"""A worker that is killed loses no row and doubles none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dothi.pulls.model import Pull
from tests.integration.pulls.conftest import Foreign, Town

ROWS = 200_000
FILL = f"""INSERT INTO hoso SELECT 'HS-' || n, n % 1000, 'Hồ sơ số ' || n,
           timestamp '2026-01-01' + n * interval '1 second', n / 100
           FROM generate_series(1, {ROWS}) n"""


def _start(town: Town, pull: Pull, *more: str) -> subprocess.Popen[bytes]:
    program = Path(__file__).with_name("crashing.py")
    home, url = str(town.ground.settings.home), town.db.url
    return subprocess.Popen([sys.executable, str(program), home, url, str(pull.id), *more])


def _loads(town: Town) -> list[tuple[int, int]]:
    with town.db.transaction() as conn:
        return conn.execute(
            "SELECT id, rows_in FROM load WHERE state = 'committed' ORDER BY id"
        ).fetchall()


def test_killed_in_the_middle_of_a_large_pull(town: Town, foreign_postgres: Foreign) -> None:
    foreign_postgres.do("DROP TABLE IF EXISTS hoso")
    foreign_postgres.do(
        "CREATE TABLE hoso (code text PRIMARY KEY, fee numeric, note text, changed_at timestamp, "
        "seq bigint)"
    )
    foreign_postgres.do(FILL)
    pull = town.pull(town.source(foreign_postgres), batch_rows="50000")
    worker = _start(town, pull)
    ends = time.monotonic() + 120
    while len(_loads(town)) < 2:
        assert time.monotonic() < ends and worker.poll() is None
        time.sleep(0.05)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(30)
    before = _loads(town)
    assert 2 <= len(before) < 4, "it was to be killed in the middle"
    town.ground.lake.end_leftovers()

    rest = town.run(pull)
    assert (rest.state, rest.error) == ("done", None)
    assert rest.counted == rest.read < ROWS, "it went on where it had been"
    assert rest.findings == []
    rows = town.rows()
    assert len(rows) == ROWS
    assert sum(row["fee"] for row in rows.values()) == sum(n % 1000 for n in range(1, ROWS + 1))
    with town.db.transaction() as conn:
        states = conn.execute("SELECT state FROM pull_run ORDER BY id").fetchall()
    assert states == [("interrupted",), ("done",)]


def test_killed_between_the_load_and_the_watermark(town: Town, foreign_postgres: Foreign) -> None:
    foreign_postgres.do("DROP TABLE IF EXISTS hoso")
    foreign_postgres.do(
        "CREATE TABLE hoso AS SELECT 'HS-' || n AS code, n AS fee, '' AS note, "
        "now()::timestamp AS changed_at, n AS seq FROM generate_series(1, 500) n"
    )
    pull = town.pull(town.source(foreign_postgres))
    assert _start(town, pull, "at-the-border").wait(60) == -signal.SIGKILL
    assert town.now(pull).reached is None and len(_loads(town)) == 1
    settled = town.run(pull)
    # The watermark followed the load that was there: its last row alone was read again.
    assert (settled.state, settled.read) == ("done", 1)
    assert [rows for _, rows in _loads(town)] == [500, 1]
    assert len(town.rows()) == 500
    with town.db.transaction() as conn:
        counts = conn.execute("SELECT parsed, new, same FROM pull_run ORDER BY id").fetchall()
    assert counts == [(500, 500, 0), (1, 0, 1)]
