"""What a start does before anything else: all of it once, nothing as long as nothing has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dothi.lake import registry
from dothi.packs.load import shipped
from dothi.store.database import Database
from dothi.store.home import Home

MIGRATE = """
import os, sys
from dothi.migrate import migrate
from dothi.store.settings import Settings
migrate(Settings.read(os.environ))
print({"alembic", "yaml", "duckdb"} & set(sys.modules) or "looked only")
"""
CONTRACT = "environment/datasets/air_quality.yaml"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


@pytest.fixture
def packs(tmp_path: Path) -> Path:
    return shutil.copytree(shipped(), tmp_path / "packs")


def migrated(home: Home, packs: Path, url: str) -> str:
    environment = {
        **os.environ,
        "DOTHI_HOME": str(home.path),
        "DOTHI_PACKS": str(packs),
        "DOTHI_DATABASE_URL": url,
    }
    said = subprocess.run(
        [sys.executable, "-c", MIGRATE], env=environment, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def title(db: Database) -> str:
    with db.transaction() as conn:
        return registry.find(conn, "air_quality").contract.title["en"]


def test_a_start_does_all_once_and_only_looks_until_a_pack_changes(
    db: Database, home: Home, packs: Path
) -> None:
    assert migrated(home, packs, db.url) != "looked only"
    home.forget_first_password()
    assert migrated(home, packs, db.url) == "looked only"

    contract = packs / CONTRACT
    before = title(db)
    contract.write_text(contract.read_text("utf-8").replace(f"en: {before}", "en: Air, renamed", 1))
    assert migrated(home, packs, db.url) != "looked only"
    assert title(db) == "Air, renamed"
    assert migrated(home, packs, db.url) == "looked only"


def test_as_long_as_the_first_password_was_not_shown_the_account_is_looked_after(
    db: Database, home: Home, packs: Path
) -> None:
    migrated(home, packs, db.url)
    assert migrated(home, packs, db.url) != "looked only"
    with db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM account").fetchone() == (1,)


def test_a_torn_start_is_done_again(db: Database, home: Home, packs: Path) -> None:
    """The mark commits with what it stands for: a pack that is refused leaves no mark."""
    contract = packs / CONTRACT
    good = contract.read_text("utf-8")
    contract.write_text("dataset: [")
    with pytest.raises(subprocess.CalledProcessError):
        migrated(home, packs, db.url)
    home.forget_first_password()
    contract.write_text(good)
    assert migrated(home, packs, db.url) != "looked only"
    assert title(db)
