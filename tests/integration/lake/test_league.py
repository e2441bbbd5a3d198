"""What agencies are compared by, counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dothi.lake import rows
from dothi.lake.files import FileStore
from dothi.lake.league import Counts, counted, ranked
from dothi.lake.loading import load_file
from dothi.lake.model import Source
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database
from tests.integration.lake.test_record_files import SHOPS, made

NOW = datetime(2026, 6, 1, tzinfo=UTC)
YEARLY = """
dataset: yearly
kind: series
title: {vi: Năm, en: Year}
owner: demo
key: [place]
time: {zone: Asia/Ho_Chi_Minh, rhythm: P1Y}
freshness: P400D
parameters:
  people: {title: {vi: Số dân, en: People}, unit: "1"}
"""


def send(lake: Lake, dataset: Dataset, given: list[tuple[str, datetime, float | None]]) -> None:
    body = [{"station": s, "time": at.isoformat(), "pm25": v} for s, at, v in given]
    lake.commit(rows.batch_of(lake, dataset, body, Source("file")))


def test_a_month_of_hours_with_gaps_a_late_station_and_rejected_values(
    lake: Lake, air: Dataset
) -> None:
    start = NOW - timedelta(days=40)
    hours = [start + timedelta(hours=n) for n in range(40 * 24)]
    send(lake, air, [("whole", at, 5.0) for at in hours])
    send(lake, air, [("silent", at, 5.0) for at in hours[: 20 * 24]])
    bad = [("whole", NOW - timedelta(hours=1), None), ("whole", NOW - timedelta(hours=2), 2000.0)]
    send(lake, air, bad)
    body = [{"station": "whole", "time": "not a time", "pm25": 1.0}]
    good = {"station": "whole", "time": hours[-3].isoformat(), "pm25": 5.0}
    lake.commit(rows.batch_of(lake, air, [*body, good], Source("file")))
    found = counted(lake, air, NOW)
    month = 30 * 24
    assert (found.values, found.rejected) == (month + 10 * 24, 1)
    assert found.valid == found.values - 2, "one is missing, one beyond the range"
    assert found.expected == 2 * month
    assert found.kept == month + 10 * 24 - 2
    assert (found.promised, found.on_time) == (2, 1)
    assert found.newest == NOW - timedelta(hours=1)
    taken = 40 * 24 + 20 * 24 + 2 + 1
    assert found.accepted == taken
    share = (month + 238) / (month + 240)
    assert found.validity == pytest.approx(share * taken / (taken + 1))


def test_closed_days_count_as_open_ones(lake: Lake, air: Dataset) -> None:
    hours = [NOW - timedelta(hours=n) for n in range(1, 30 * 24)]
    send(lake, air, [("a", at, 1.0) for at in hours])
    before = counted(lake, air, NOW)
    lake.close_days(air.id, NOW - timedelta(days=3))
    assert counted(lake, air, NOW) == before


def test_of_years_what_need_not_be_there_yet_is_left_out(lake: Lake, db: Database) -> None:
    yearly = made(db, YEARLY)
    body = [
        {"place": "A", "time": f"{year}-01-01", "people": year}
        for year in (2014, *range(2016, 2026))
    ]
    lake.commit(rows.batch_of(lake, yearly, body, Source("file")))
    found = counted(lake, yearly, NOW)
    assert (found.expected, found.kept) == (12, 11), "2014 to 2025 without 2015; not 2026 yet"
    assert found.freshness == 0.0, "1 January 2025 is more than 400 days ago"


def test_records_are_judged_by_their_checks_and_their_last_load(
    lake: Lake, db: Database, tmp_path: Path
) -> None:
    shops = made(db, SHOPS.replace("ROWS", "freshness: P1D"))
    path = tmp_path / "shops.csv"
    path.write_text("code,opened,closed,staff\nA,2020-01-01,2019-01-01,1\nB,,,2\nC,,,x\n")
    load_file(lake, FileStore(tmp_path / "files"), shops, path)
    now = datetime.now(UTC)
    found = counted(lake, shops, now)
    assert (found.values, found.valid, found.rejected) == (2, 1, 1)
    assert found.completeness is None, "no rhythm says how many there should be"
    assert found.freshness == 1.0
    assert counted(lake, shops, now + timedelta(days=2)).freshness == 0.0


def test_nothing_is_no_zero_and_equal_scores_share_a_place(air: Dataset, sites: Dataset) -> None:
    def of(agency: int, counts: Counts) -> tuple[Dataset, Counts]:
        return Dataset(agency, "x", air.contract, agency, {}), counts

    half = Counts(values=2, valid=1)
    drowned = Counts(values=10_000, valid=10_000)
    places = ranked(
        [of(1, half), of(1, drowned), of(2, Counts()), of(3, Counts(values=4, valid=3))]
    )
    assert [(p.number, p.agency_id, p.shares.score) for p in places] == [
        (1, 1, 0.75), (1, 3, 0.75), (None, 2, None),
    ]  # fmt: skip
    assert places[0].counts.values == 10_002
