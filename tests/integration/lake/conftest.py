"""A store with one small series dataset and one of records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

AIR = """
dataset: air
kind: series
title: {vi: Không khí, en: Air}
owner: demo
time: {zone: Asia/Ho_Chi_Minh, rhythm: PT1H, stamp: end}
key: [station]
parameters:
  pm25: {title: {vi: Bụi PM2.5, en: PM2.5}, unit: µg/m3, range: [0, 1000]}
  o3: {title: {vi: Ô-dôn, en: Ozone}, unit: µg/m3, range: [0, 2000]}
"""

SITES = """
dataset: sites
kind: records
title: {vi: Điểm đo, en: Sites}
owner: demo
key: [code]
columns:
  code: {type: text, title: {vi: Mã, en: Code}, required: true}
  people: {type: integer, title: {vi: Số người, en: People}}
  share: {type: number, title: {vi: Tỷ lệ, en: Share}}
  opened: {type: date, title: {vi: Ngày mở, en: Opened}}
"""


@pytest.fixture
def lake(db: Database, tmp_path: Path) -> Iterator[Lake]:
    """A store on a fresh database, its lake in a temporary folder."""
    folder = tmp_path / "lake"
    folder.mkdir()
    made = Lake(db, folder)
    yield made
    made.close()


@pytest.fixture
def air(db: Database) -> Dataset:
    """Hourly air quality."""
    with db.transaction() as conn:
        return registry.register(conn, parse_contract(AIR))


@pytest.fixture
def sites(db: Database) -> Dataset:
    """Some records."""
    with db.transaction() as conn:
        return registry.register(conn, parse_contract(SITES))
