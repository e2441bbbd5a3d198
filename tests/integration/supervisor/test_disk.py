"""A disk that fills up, on a real small file system with a real PostgreSQL on it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from dothi.store.ballast import FRESH_S

MEGABYTE = 1024 * 1024


@pytest.fixture
def small_disk(home_path):
    """A file system of 320 MB mounted where the home will be: ballast 40 MB, reserve 80 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    home_path.mkdir(mode=0o711)
    mount = ["mount", "-t", "tmpfs", "-o", "size=320m,mode=0711", "none", str(home_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    yield home_path
    subprocess.run(["umount", "-l", home_path], check=True)


def free(folder: Path) -> int:
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def fill(folder: Path, leave: int) -> Path:
    """Another program's file that leaves this much room."""
    filler = folder / "lost+found"
    with filler.open("ab") as file:
        while (room := free(folder) - leave) > 0:
            try:
                file.write(b"x" * min(room, MEGABYTE))
                file.flush()
            except OSError:
                break
    return filler


@pytest.mark.slow
def test_a_full_disk_refuses_writes_keeps_reads_and_recovers_by_itself(up, small_disk):
    instance = up().ready()
    ballast = small_disk / "ballast"
    assert ballast.stat().st_size == 40 * MEGABYTE
    acknowledged = 0
    for id_ in range(1, 51):
        assert instance.get(f"add?{id_}")[0] == 200
        acknowledged += 1

    filler = fill(small_disk, leave=60 * MEGABYTE)
    time.sleep(FRESH_S)
    assert instance.get("add?1000001")[0] == 507
    assert instance.get("count") == (200, str(acknowledged))
    instance.until(lambda: "new data is refused, reading goes on" in instance.read(), 5)

    # Now the disk is filled to the last byte while PostgreSQL has to go on with its log.
    fill(small_disk, leave=0)
    assert instance.get("log?80")[0] in (0, 503)
    instance.until(lambda: "ballast file was deleted" in instance.read(), 20)
    instance.until(lambda: instance.get("count") == (200, str(acknowledged)), 30)
    assert not ballast.exists()
    assert instance.get("add?1000002")[0] == 507
    assert instance.process.poll() is None

    filler.unlink()
    took = instance.until(lambda: instance.get(f"add?{acknowledged + 1}")[0] == 200, 15)
    assert took < 5
    instance.until(ballast.exists, 5)
    assert instance.get("count") == (200, str(acknowledged + 1))


@pytest.mark.slow
def test_a_start_on_a_full_disk_serves_reads(up, small_disk):
    first = up().ready()
    assert first.get("add?1")[0] == 200
    first.end()
    filler = fill(small_disk, leave=0)
    again = up().ready(40)
    assert again.get("count") == (200, "1")
    assert again.get("add?2")[0] == 507
    filler.unlink()
    again.until(lambda: again.get("add?2")[0] == 200, 10)


def test_a_first_start_without_room_is_said_and_works_once_there_is_room(up, small_disk):
    filler = fill(small_disk, leave=20 * MEGABYTE)
    assert up().exit(10) == (
        f"The disk that holds {small_disk} is full: make room and try again. Nothing stored is lost."
    )
    filler.unlink()
    assert up().ready().get("readyz")[0] == 200
