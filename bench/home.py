"""A throw-away home on the embedded PostgreSQL, as the product runs it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dothi.indicators import scores, service
from dothi.lake.service import Lake
from dothi.packs.install import install
from dothi.packs.load import load_all, shipped
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.migrations import migrate
from dothi.store.provision import provision
from dothi.store.runner import APPLICATION, OWNER, running


@contextmanager
def fresh_home() -> Iterator[tuple[Database, Lake, Path]]:
    """A migrated database with the shipped packs, its lake, and a folder for files."""
    above = Path(tempfile.mkdtemp(prefix="dothi-bench-", dir="/tmp"))
    above.chmod(0o711)
    try:
        with running(Home(above / "home")) as server:
            url = server.url(APPLICATION)
            provision(server.url(OWNER, "postgres"), url)
            migrate(url)
            db = Database(url, name="bench")
            (above / "lake").mkdir()
            lake = Lake(db, above / "lake")
            lake.body.settle()
            packs = load_all(shipped())
            with db.transaction() as conn:
                install(conn, packs)
                service.install(conn, packs)
                scores.install(conn, packs)
            try:
                yield db, lake, above
            finally:
                lake.close()
                db.close()
    finally:
        shutil.rmtree(above, ignore_errors=True)
