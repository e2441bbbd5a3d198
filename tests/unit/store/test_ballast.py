"""The guard of the disk's reserve."""

from __future__ import annotations

from pathlib import Path

import pytest

from dothi.kernel.errors import StorageFull
from dothi.store import ballast
from dothi.store.ballast import Ballast

MEGABYTE = 1024 * 1024


class Disk(Ballast):
    """A guard whose disk's free space the test decides; no waiting between two looks."""

    free = 10_000 * MEGABYTE

    def free_bytes(self) -> int:
        return self.free


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(ballast, "FRESH_S", 0.0)
    return Disk(tmp_path, reserve_bytes=128 * MEGABYTE, ballast_bytes=4 * MEGABYTE)


def test_writing_stops_at_the_reserve_and_goes_on_a_quarter_above(disk: Disk) -> None:
    seen = []
    for megabytes in (1000, 129, 128, 127, 129, 150, 160, 130):
        disk.free = megabytes * MEGABYTE
        seen.append(disk.writes_allowed())
    assert seen == [True, True, True, False, False, False, True, True]


def test_a_refusal_says_what_to_do(disk: Disk) -> None:
    disk.require_room()
    disk.free = 0
    with pytest.raises(StorageFull, match="make room"):
        disk.require_room()


def test_the_ballast_takes_real_room_and_gives_it_back(disk: Disk) -> None:
    assert disk.restore()
    assert disk.file.stat().st_blocks * 512 >= 4 * MEGABYTE
    assert disk.release()
    assert not disk.file.exists()
    assert not disk.release()


def test_the_ballast_is_not_made_at_the_cost_of_the_reserve(disk: Disk) -> None:
    disk.free = 130 * MEGABYTE
    assert not disk.restore()
    assert not disk.file.exists()


def test_the_reserve_is_always_larger_than_what_the_ballast_gives_back(tmp_path: Path) -> None:
    for reserve, size in ((1, 64), (128, 64), (10, 0)):
        guard = Ballast(tmp_path, reserve_bytes=reserve * MEGABYTE, ballast_bytes=size * MEGABYTE)
        assert guard.reserve_bytes > guard.ballast_bytes
