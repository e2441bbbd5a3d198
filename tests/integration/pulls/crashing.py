"""Runs a pull in a process that a test kills: `python -m tests.integration.pulls.crashing`.

    crashing.py HOME DATABASE_URL PULL_NUMBER [at-the-border]

At the border it ends itself, as by kill -9, between a load's commit and the watermark's.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from dothi.lake.files import FileStore
from dothi.lake.service import Lake
from dothi.pulls import running
from dothi.pulls.running import Ground
from dothi.store.database import Database
from dothi.store.settings import Settings

home, url, number, *where = sys.argv[1:]
db = Database(url, name="crashing")
ground = Ground(
    db, Lake(db, Path(home) / "lake"), FileStore(Path(home) / "files"),
    Settings(home=Path(home), database_url=url, pull_networks=("127.0.0.0/8",)),
)  # fmt: skip
if where:
    running._book = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
running.run(ground, int(number))
