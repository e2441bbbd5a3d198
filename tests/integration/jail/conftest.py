"""The jail's surroundings in tests, and the check that no job leaves anything behind."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.jail.cell import Surroundings, machine_offers, surroundings

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path) -> Iterator[None]:
    """After each test: no process of a job, no zombie, and no work directory."""
    # Whatever a child leaves alive becomes a child of ours and can be counted.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    # What lived before may start processes of its own: another test's database server does.
    now = psutil.Process().children(recursive=True)
    left = [c for c in now if c.pid not in before and c.ppid() not in before]
    assert left == []
    assert list(tmp_path.glob("scratch/*")) == []


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where work directories are made, and must be gone afterwards."""
    path = tmp_path / "scratch"
    path.mkdir()
    return path


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    """A data home with a secret, inputs and listeners."""
    with surroundings(tmp_path) as around:
        yield around


@pytest.fixture
def needs_namespaces() -> None:
    """Skips where the machine forbids namespaces; the other walls are tested there all the same."""
    if not machine_offers("namespaces"):
        pytest.skip("this machine offers no namespaces")


@pytest.fixture
def needs_tasks() -> None:
    """Skips where a job's threads can only be counted together with its user's other processes."""
    if not machine_offers("tasks"):
        pytest.skip("this machine cannot count the tasks of one job")
