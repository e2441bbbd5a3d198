"""The embedded PostgreSQL on its own: who gets in, what it survives, what it leaves alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from dothi.kernel.errors import Damaged, Misconfigured
from dothi.store import engine
from dothi.store.home import Home
from dothi.store.processes import SystemUser
from dothi.store.provision import provision
from dothi.store.runner import APPLICATION, OWNER, running


@pytest.fixture
def home() -> Iterator[Home]:
    above = Path(tempfile.mkdtemp(prefix="dothi-pg-", dir="/tmp"))
    above.chmod(0o711)
    try:
        yield Home(above / "home")
    finally:
        shutil.rmtree(above, ignore_errors=True)


def test_a_new_cluster_is_checked_sorted_by_code_point_and_in_utc(home: Home) -> None:
    with running(home) as database, psycopg.connect(database.url(OWNER, "postgres")) as conn:
        shown = {
            name: conn.execute(f"SHOW {name}").fetchone()
            for name in ("data_checksums", "timezone", "listen_addresses", "fsync", "lc_messages")
        }
        assert shown == {
            "data_checksums": ("on",),
            "timezone": ("UTC",),
            "listen_addresses": ("",),
            "fsync": ("on",),
            "lc_messages": ("C",),
        }
        row = conn.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding) "
            "FROM pg_database WHERE datname = 'template1'"
        ).fetchone()
        assert row == ("b", "C.UTF-8", "UTF8")


def test_nobody_enters_without_the_password(home: Home) -> None:
    with running(home) as database:
        url = database.url(OWNER, "postgres")
        password = home.secret("database_owner")
        for wrong in ("", "postgres", OWNER):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url.replace(password, wrong))
        postmaster = int((home.cluster / "postmaster.pid").read_text().splitlines()[0])
        assert psutil.Process(postmaster).net_connections("inet") == []


def test_the_application_owns_its_database_and_nothing_else(home: Home) -> None:
    with running(home) as database:
        owner, application = database.url(OWNER, "postgres"), database.url(APPLICATION)
        for _ in range(2):  # a second time changes nothing
            provision(owner, application)
        with psycopg.connect(application) as conn:
            conn.execute("CREATE SCHEMA own")
            row = conn.execute(
                "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles "
                "WHERE rolname = current_user"
            ).fetchone()
            assert row == (False, False, False, False)
            for forbidden in (
                "SELECT pg_read_file('/etc/passwd')",
                "COPY (SELECT 1) TO PROGRAM 'true'",
                "COPY (SELECT 1) TO '/tmp/x'",
                "SELECT rolpassword FROM pg_authid",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                    conn.execute(forbidden)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(database.url(APPLICATION, "postgres"))


def test_a_changed_application_password_is_set_again(home: Home) -> None:
    with running(home) as database:
        provision(database.url(OWNER, "postgres"), database.url(APPLICATION))
        (home.secrets / "database_app").unlink()
        provision(database.url(OWNER, "postgres"), database.url(APPLICATION))
        psycopg.connect(database.url(APPLICATION)).close()


def test_a_postmaster_that_lost_its_parent_is_ended_before_a_new_one_starts(home: Home) -> None:
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from dothi.store.home import Home\n"
        "from dothi.store import processes\n"
        "from dothi.store.runner import running\n"
        "processes._tie = lambda number: None\n"  # as on a system without the kernel's tie
        "with running(Home(Path(sys.argv[1]))):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, home.path], check=False)
    assert killed.returncode == -signal.SIGKILL
    orphan = psutil.Process(int((home.cluster / "postmaster.pid").read_text().splitlines()[0]))
    assert orphan.is_running()
    with running(home) as database:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        psycopg.connect(database.url(OWNER, "postgres")).close()
    assert "database system was interrupted" not in database.log_file.read_text()


def test_the_lifelines_watching_parent_stops_its_program_when_the_pipe_ends() -> None:
    """What stands in for the kernel's tie on macOS."""
    reading, writing = os.pipe()
    program = "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    watcher = subprocess.Popen(
        [sys.executable, "-m", "dothi.store.lifeline", "SIGINT", sys.executable, "-c", program],
        env={**os.environ, "DOTHI_LIFELINE": str(reading)},
        pass_fds=[reading],
        stdout=subprocess.PIPE,
    )
    os.close(reading)
    assert watcher.stdout and watcher.stdout.readline() == b"up\n"
    time.sleep(0.2)
    assert watcher.poll() is None
    os.close(writing)
    assert watcher.wait(5) == 7
    watcher.stdout.close()


def test_a_cluster_of_a_version_we_do_not_bring_is_said(home: Home) -> None:
    with running(home):
        pass
    (home.cluster / "PG_VERSION").write_text("12\n")
    with (
        pytest.raises(Misconfigured, match="PostgreSQL 12 that comes with dothi was not found"),
        running(home),
    ):
        pass


def test_a_garbled_version_is_damage(home: Home) -> None:
    with running(home):
        pass
    (home.cluster / "PG_VERSION").write_text("eighteen")
    with pytest.raises(Damaged, match="PG_VERSION"), running(home):
        pass


def test_the_operators_own_settings_are_kept_and_win(home: Home) -> None:
    with running(home):
        pass
    (home.cluster / "local.conf").write_text("work_mem = '17MB'\n")
    with running(home) as database, psycopg.connect(database.url(OWNER, "postgres")) as conn:
        assert conn.execute("SHOW work_mem").fetchone() == ("17MB",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
def test_programs_in_a_closed_folder_are_copied_to_where_the_account_can_run_them(
    tmp_path: Path,
) -> None:
    account = engine.database_account()
    assert isinstance(account, SystemUser)
    original = engine.find_programs(None)
    closed = tmp_path / "closed"
    shutil.copytree(
        original.parents[2] / engine.WHEEL / original.parent.name,
        closed / engine.WHEEL / original.parent.name,
    )
    shutil.copytree(original.parents[2] / f"{engine.WHEEL}.libs", closed / f"{engine.WHEEL}.libs")
    closed.chmod(0o700)
    shelf = Path(tempfile.mkdtemp(dir="/tmp")) / "engine"
    shelf.parent.chmod(0o711)
    try:
        copied = engine.reachable_programs(
            closed / engine.WHEEL / original.parent.name / "bin", account, shelf
        )
        assert copied.is_relative_to(shelf)
        for program in ("postgres", "initdb"):
            said = subprocess.run(
                [copied / program, "--version"], user=account.uid, group=account.gid,
                extra_groups=[], cwd="/", capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert "PostgreSQL" in said.stdout
    finally:
        shutil.rmtree(shelf.parent)
