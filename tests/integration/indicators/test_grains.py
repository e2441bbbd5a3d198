"""Figures of months, quarters and years: in local time, and equal to one computation of everything."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dothi.indicators import service
from dothi.indicators.engine import compute
from dothi.indicators.explain import explain
from dothi.indicators.service import find, subject
from dothi.indicators.subject import instant, reach
from dothi.kernel.period import Grain, Period
from dothi.kernel.time import VN
from dothi.lake import registry
from dothi.lake.model import Quality, Span
from dothi.packs.load import load_all, shipped

from .conftest import HOUR, NOON, Home

START = datetime(2023, 11, 20, tzinfo=VN).astimezone(UTC)
DAYS = (NOON - START).days
STATIONS = ("A", "B", "C")
GRAINS: tuple[Grain, ...] = ("month", "quarter", "year")
OVER_MONTHS = "year_of_months"


@pytest.fixture
def sums(home: Home, tmp_path: Path) -> Home:
    """With an indicator of each grain, and one of years over that of months."""
    folder = tmp_path / "packs" / "sums" / "indicators"
    folder.mkdir(parents=True)
    (folder.parent / "pack.yaml").write_text(
        "pack: sums\nversion: 1.0.0\ntitle: {vi: Tổng, en: Sums}\n"
        "owner: {code: so-nnmt, title: {vi: Sở, en: Department}}\n"
    )
    front = (
        "---\ntitle: {vi: Thử, en: Try}\nwords: {vi: Thử, en: Try}\nkey: [station]\nbetter: none\n"
    )
    outputs = 'total: {title: {vi: Tổng, en: Total}, unit: "1", decimals: 1}'
    days = 'days: {title: {vi: Số ngày, en: Days}, unit: "1", decimals: 0}'
    for grain in GRAINS:
        (folder / f"sum_{grain}.sql").write_text(
            f"{front}inputs: {{air_quality: [pm25]}}\nperiod: {{grain: {grain}}}\n"
            f"outputs:\n  {outputs}\n  {days}\n---\n"
            f"SELECT station, {grain} AS time, sum(value) AS total, max(period_days) AS days\n"
            f"FROM air_quality WHERE usable GROUP BY station, {grain}\n"
        )
    (folder / f"{OVER_MONTHS}.sql").write_text(
        f"{front}inputs: {{sum_month: [total]}}\nperiod: {{grain: year}}\noutputs:\n  {outputs}\n"
        "---\nSELECT station, year AS time, sum(value) AS total\n"
        "FROM sum_month WHERE usable GROUP BY station, year\n"
    )
    packs = [p for p in load_all(shipped()) if p.name == "environment"]
    with home.db.transaction() as conn:
        service.install(conn, [*packs, *load_all(tmp_path / "packs")])
    return home


def from_scratch(home: Home, name: str) -> dict[tuple[int, str, datetime], float]:
    with home.db.transaction() as conn:
        indicator = find(conn, name)
        about = subject(conn, indicator)
    first, last = reach(indicator.definition, START - 48 * HOUR, NOON)
    out: dict[tuple[int, str, datetime], float] = {}
    with home.lake.view() as view:
        for piece in compute(view, about, None, first, last):
            for output, table in piece.columns.items():
                for row, column in zip(*np.nonzero(~np.isnan(table)), strict=True):
                    thing = about.things[piece.places[row]].id
                    out[(thing, output, instant(int(piece.us[column])))] = float(table[row, column])
    return out


def by_hand(home: Home, grain: Grain) -> dict[tuple[int, datetime], float]:
    """Sums of what the store holds, added in Python by the period that each value belongs to."""
    with home.db.transaction() as conn:
        streams = {
            s.id: s.thing_id
            for s in registry.streams(conn, home.air).values()
            if s.parameter == "pm25"
        }
    with home.lake.view() as view:
        rows = view.execute(
            f"SELECT stream_id, t, v FROM {view.series(home.air)} "
            f"WHERE q = {int(Quality.VALID)} AND v IS NOT NULL"
        ).fetchall()
    ends = home.air.contract.time is not None and home.air.contract.time.stamp == "end"
    found: dict[tuple[int, datetime], float] = {}
    for stream, t, v in rows:
        if stream in streams:
            inside = t - timedelta(microseconds=1) if ends else t
            at = Period.containing(grain, inside).start
            key = (streams[stream], at)
            found[key] = found.get(key, 0.0) + v
    return found


def check(home: Home, step: str) -> None:
    home.follow()
    for name in (*(f"sum_{grain}" for grain in GRAINS), OVER_MONTHS):
        stored, fresh = home.figures(name), from_scratch(home, name)
        wrong = {k for k in stored.keys() | fresh.keys() if stored.get(k) != fresh.get(k)}
        assert not wrong, f"{step}: {name} differs at {sorted(wrong, key=str)[:3]}"
    for grain in GRAINS:
        name = f"sum_{grain}"
        total = {(k[0], k[2]): v for k, v in home.figures(name).items() if k[1] == "total"}
        assert total == pytest.approx(by_hand(home, grain)), f"{step}: {name}"
    years = {(k[0], k[2]): v for k, v in home.figures(OVER_MONTHS).items()}
    assert years == pytest.approx(by_hand(home, "year"))


def test_insertions_corrections_and_undoings_in_any_order(sums: Home) -> None:
    """Values of more than two years, days closing in between, some taken back, some wrong."""
    dice = random.Random(17)
    loads: list[int] = []
    history = {
        (s, "pm25", START + d * 24 * HOUR): round(dice.uniform(1, 90), 1)
        for s in STATIONS[:2]
        for d in range(0, DAYS, 3)
    }
    sums.put(history, door="file", bulk=True)
    check(sums, "history")
    for step in range(24):
        act = dice.choices(["values", "undo", "close", "withdraw", "wrong"], [12, 4, 2, 2, 2])[0]
        if act == "undo" and loads:
            sums.lake.undo(loads.pop(dice.randrange(len(loads))))
        elif act == "close":
            sums.lake.close_days(sums.air.id, START + dice.randrange(DAYS) * 24 * HOUR)
            for grain in GRAINS:
                with sums.db.transaction() as conn:
                    own = registry.find(conn, f"sum_{grain}")
                sums.lake.close_days(own.id, START + dice.randrange(DAYS) * 24 * HOUR)
        elif act == "withdraw":
            (stream,) = sums.streams([(dice.choice(STATIONS), "pm25")]).values()
            a = START + dice.randrange(DAYS) * 24 * HOUR
            span = Span(stream, a, a + dice.randrange(1, 120) * 24 * HOUR)
            loads.append(sums.put({("C", "pm25", START): 5.0}, replaces=[span]))
        else:
            rows: dict[Any, float | None] = {
                (
                    dice.choice(STATIONS),
                    "pm25",
                    START + dice.randrange(DAYS * 24) * HOUR,
                ): round(dice.uniform(1, 90), 1)
                for _ in range(dice.choice([1, 1, 4, 12]))
            }
            quality = Quality.INVALID if act == "wrong" else Quality.VALID
            loads.append(sums.put(rows, quality=quality))
        if dice.random() < 0.12:
            check(sums, f"after {step}")
    check(sums, "at the end")


def test_a_period_begins_and_ends_at_midnight_in_viet_nam(sums: Home) -> None:
    """17:00 UTC is the next day here; each period has its own number of days."""
    last, first = datetime(2023, 12, 31, 16, 59, tzinfo=UTC), datetime(2023, 12, 31, 17, tzinfo=UTC)
    ends = sums.air.contract.time is not None and sums.air.contract.time.stamp == "end"
    edge = timedelta(minutes=1) if ends else timedelta()
    sums.put({("A", "pm25", last + edge): 1.0, ("A", "pm25", first + edge): 10.0,
              ("A", "pm25", datetime(2024, 2, 29, tzinfo=VN).astimezone(UTC) + edge): 100.0})  # fmt: skip
    sums.follow()
    thing = sums.thing("A")

    def of(grain: Grain, code: str) -> tuple[float | None, float | None]:
        found, at = sums.figures(f"sum_{grain}"), Period.parse(code).start
        return found.get((thing, "total", at)), found.get((thing, "days", at))

    assert of("month", "2023-12") == (1.0, 31)
    assert of("month", "2024-01") == (10.0, 31)
    assert of("month", "2024-02") == (100.0, 29)
    assert of("quarter", "2023-Q4") == (1.0, 92)
    assert of("quarter", "2024-Q1") == (110.0, 91)
    assert of("year", "2023") == (1.0, 365)
    assert of("year", "2024") == (110.0, 366)


def test_the_newest_figure_is_of_the_last_period_that_ended(sums: Home) -> None:
    """A month that goes on has sums already; they are told when it is over, and stay fresh until the
    next one is due."""
    sums.put({("A", "pm25", START + d * 24 * HOUR): 1.0 for d in range(DAYS)})
    sums.follow()
    for grain, code in (("month", "2026-02"), ("quarter", "2025-Q4"), ("year", "2025")):
        with sums.db.transaction() as conn:
            one = find(conn, f"sum_{grain}")
            newest = service.latest(conn, sums.lake, one, now=NOON, outputs=["total"])
        (latest,) = newest.values()
        assert latest.period.code == code
        assert NOON - latest.period.end < one.definition.freshness
        assert latest.period.next().end - latest.period.end < one.definition.freshness


def test_what_stands_behind_a_year_goes_on_to_its_months_and_what_was_measured(sums: Home) -> None:
    """A year over months names them, and of what was measured the loads with their rows; each month
    leads on to its rows."""
    loads = [
        sums.put({("A", "pm25", datetime(2024, m, 5, tzinfo=VN).astimezone(UTC)): float(m)
                  for m in months})
        for months in ((1, 2), (3,))
    ]  # fmt: skip
    outside = sums.put({("A", "pm25", datetime(2023, 12, 5, tzinfo=VN).astimezone(UTC)): 9.0})
    sums.follow()
    year = explain(sums.lake, OVER_MONTHS, sums.thing("A"), Period.parse("2024"))
    assert [row.period.code for row in year.rows if row.period] == ["2024-03", "2024-02", "2024-01"]
    brought = {one.load_id: one.rows for one in year.below}
    assert brought == {loads[0]: 2, loads[1]: 1}
    assert set(year.loads) == set(loads)
    for row in year.rows:
        assert row.period
        month = explain(sums.lake, row.dataset.name, sums.thing("A"), row.period)
        (measured,) = month.rows
        assert measured.period is None
        assert (measured.value, month.below) == (row.value, ())
        assert measured.load_id in loads and measured.load_id != outside
