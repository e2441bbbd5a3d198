"""A store on a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dothi.lake.files import FileStore
from dothi.lake.service import Lake
from dothi.store.database import Database


@pytest.fixture
def lake(db: Database, tmp_path: Path) -> Iterator[Lake]:
    """A store on a fresh database, its lake in a temporary folder."""
    folder = tmp_path / "lake"
    folder.mkdir()
    made = Lake(db, folder)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Where loaded files are kept."""
    return FileStore(tmp_path / "files")
