"""What keeps `dothi up` from starting is one clear sentence, and nobody else is touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dothi.store.processes import ProcessId


def test_a_taken_port_is_said_before_anything_starts(up, home_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        instance = up(port=port)
        assert instance.exit(5) == (
            f"Port {port} at 127.0.0.1 is used by another program; choose another one with --port."
        )
        assert instance.read().count("\n") == 1
    assert instance.process.returncode == 78
    assert not (home_path / "pg").exists()


def test_an_impossible_address_is_said(up):
    assert "cannot be opened" in up(DOTHI_HOST="203.0.113.7").exit(5)


def test_a_second_instance_names_the_first_and_leaves_it_alone(up, home_path):
    first = up().ready()
    second = up()
    said = second.exit(5)
    assert said.startswith(f"Another dothi (process {first.process.pid}) runs on the data home")
    assert second.read().count("\n") == 1
    assert first.get("readyz")[0] == 200


def test_a_folder_with_other_files_is_left_as_it_is(up, home_path):
    home_path.mkdir()
    (home_path / "thesis.odt").write_text("years of work")
    assert "holds files that are not dothi's" in up().exit(5)
    assert [p.name for p in home_path.iterdir()] == ["thesis.odt"]


def test_a_home_that_is_a_file_is_said(up, home_path):
    home_path.write_text("x")
    assert "is not a folder" in up().exit(5)


def test_an_empty_folder_becomes_a_home(up, home_path):
    home_path.mkdir()
    assert up().ready().get("readyz")[0] == 200


@pytest.mark.parametrize("text", ["", "{", "17", '{"mark": "other", "layout": 1}'])
def test_an_unreadable_mark_is_damage(up, home_path, text):
    home_path.mkdir()
    (home_path / "VERSION").write_text(text)
    assert "is damaged: its file VERSION cannot be read" in up().exit(5)


def test_a_home_of_a_newer_version_is_refused(up, home_path):
    home_path.mkdir()
    (home_path / "VERSION").write_text('{"mark": "dothi-home", "layout": 99}')
    assert "was made by a newer version (layout 99" in up().exit(5)


@pytest.mark.parametrize("part", ["PG_VERSION", "global/pg_control"])
def test_a_cluster_with_a_missing_part_is_damage_and_stays_untouched(up, home_path, part):
    up().ready().end()
    (home_path / "pg" / part).unlink()
    assert f"is damaged: {part} is missing" in up().exit(5)
    assert (home_path / "pg" / "base").is_dir()


def test_a_lost_cluster_is_never_replaced_by_an_empty_one(up, home_path):
    up().ready().end()
    shutil.rmtree(home_path / "pg")
    assert "its database" in up().exit(5)
    assert not (home_path / "pg").exists()


def test_a_cluster_postgresql_refuses_is_said_in_its_words(up, home_path):
    up().ready().end()
    (home_path / "pg" / "local.conf").write_text("shared_buffers = 'much'\n")
    said = up().exit(20)
    assert said.startswith("PostgreSQL does not start: ")
    assert "postgresql.log" in said


def test_a_home_that_cannot_be_written_is_said(up, home_path):
    home_path.mkdir(0o700)
    if os.geteuid() == 0:
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "none", home_path], check=False
        ).returncode:
            pytest.skip("mounting is not allowed here")
    else:
        home_path.chmod(0o500)
    try:
        assert "cannot be written: " in up().exit(5)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", home_path], check=True)
        else:
            home_path.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
def test_a_home_behind_a_closed_folder_is_said_and_the_folder_stays_closed(up, home_path):
    home_path.parent.chmod(0o700)
    assert f"cannot pass {home_path.parent} to reach" in up().exit(5)
    assert home_path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can meet another account's home")
def test_root_does_not_take_over_a_users_home(up, home_path):
    up().ready().end()
    os.chown(home_path, 12345, 12345)
    assert "belongs to another account (uid 12345)" in up().exit(5)


@pytest.fixture
def innocent(home_path):
    """A process of the same account that a stale file is made to name."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    time.sleep(0.05)  # start instants are known to a hundredth of a second
    yield process
    process.kill()
    process.wait()


def test_stale_files_that_name_an_innocent_process_do_not_touch_it(up, home_path, innocent):
    first = up().ready()
    first.process.kill()
    first.process.wait()
    state = first.home.state()
    assert state
    names = {"pid": innocent.pid, "started": state["supervisor"]["started"]}
    state["supervisor"] = dict(names)
    state["children"] = [{**child, **names} for child in state["children"]]
    time.sleep(3.5)  # all of the first are gone
    (home_path / "run/state.json").write_text(json.dumps(state))
    (home_path / "pg/postmaster.pid").write_text(
        f"{innocent.pid}\n{home_path}/pg\n1700000000\n5432\n{home_path}/run/socket\n\n  1 2\nready\n"
    )
    stop = subprocess.run(
        [sys.executable, "-m", "dothi", "stop", "--home", home_path],
        env={**os.environ, "DOTHI_LANG": "en"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert stop.stdout.startswith("No dothi runs")
    again = up().ready(10)
    assert again.get("readyz")[0] == 200
    assert innocent.poll() is None


def test_stop_does_not_touch_an_innocent_process_even_while_the_home_is_locked(
    up, home_path, innocent
):
    instance = up().ready()
    state = instance.home.state()
    state["supervisor"]["pid"] = innocent.pid
    instance.home.write_state(state)
    subprocess.run([sys.executable, "-m", "dothi", "stop", "--home", home_path], check=True)
    assert innocent.poll() is None
    assert instance.process.poll() is None


def test_a_process_is_known_by_its_start_not_by_its_number(innocent):
    right = ProcessId.of(innocent.pid)
    assert right
    wrong = ProcessId(innocent.pid, right.started + "0")
    assert right.alive() and not wrong.alive()
    assert wrong.signal(signal.SIGKILL) is False
    assert innocent.poll() is None
    assert right.signal(signal.SIGTERM) is True
    assert innocent.wait(5) == -signal.SIGTERM
    assert right.signal(signal.SIGTERM) is False


def test_a_web_process_that_keeps_failing_ends_the_start_with_its_own_words(up, home_path):
    instance = up("migrate", "worker", "web-broken")
    said = instance.exit(20)
    assert said.startswith("web-broken keeps ending right after its start (exit code 1)")
    assert "the oven is cold" in said
    assert not [p for p in Path("/proc").glob("[0-9]*") if _in(p, home_path)]


def test_a_worker_that_keeps_failing_is_said_once_while_the_web_serves(up):
    instance = up("migrate", "broken", "web").ready()
    instance.until(lambda: "broken keeps ending" in instance.read())
    time.sleep(2)
    assert instance.read().count("broken keeps ending") == 1
    assert instance.get("readyz")[0] == 200


def _in(process: Path, home: Path) -> bool:
    try:
        return (process / "cwd").readlink() == home / "pg"
    except OSError:
        return False
