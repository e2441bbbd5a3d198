"""A limit passed is said once; which limit holds is the date's; the past raises nothing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from dothi.indicators.service import find, latest
from dothi.kernel.time import VN

from .conftest import HOUR, NOON, Home


def said(home: Home) -> list[tuple[str, str, float, float]]:
    with home.db.transaction() as conn:
        rows = conn.execute(
            "SELECT payload FROM event WHERE kind = 'indicator.threshold' ORDER BY tx, id"
        ).fetchall()
    return [(p["parameter"], p["direction"], p["threshold"], p["value"]) for (p,) in rows]


def steady(value: float, end: datetime, hours: int = 12) -> dict:
    return {("A", "pm25", end - h * HOUR): value for h in range(hours)}


def test_the_limit_of_pm25_depends_on_the_date(home: Home, shared: Path) -> None:
    """ENV-13: 47 is within the limit on 31/12/2025 and over it on 01/01/2026."""
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    (case,) = [row for row in rows if row["id"] == "ENV-13"]
    with home.db.transaction() as conn:
        definition = find(conn, "pm25_24h_mean").definition
    days = [date.fromisoformat(day) for day in case["input"]["dates"]]
    over = [definition.exceeded("pm25_24h", case["input"]["value"], day)[0] > 0 for day in days]
    assert over == case["output"]["exceeds"]
    # The same through the whole path: 47 all day, both days, looked at when each has ended.
    midnight = datetime(2025, 12, 31, tzinfo=VN).astimezone(UTC)
    for day in range(2):
        begin = midnight + day * timedelta(days=1)
        home.now[0] = begin + timedelta(days=1, minutes=5)
        home.put({("A", "pm25", begin + (h + 1) * HOUR): 47.0 for h in range(24)})
        home.follow()
        expected = [("pm25_24h", "up", 45.0, 47.0)] if day else []
        assert [s for s in said(home) if s[0] == "pm25_24h"] == expected


def test_up_once_further_up_and_down_again(home: Home) -> None:
    home.put(steady(100.0, NOON))
    home.follow()
    assert said(home) == [("aqi", "up", 150.0, 164.0)]
    for h in (1, 2):
        home.now[0] = NOON + h * HOUR
        home.put({("A", "pm25", NOON + h * HOUR): 100.0})
        home.follow()
    assert len(said(home)) == 1
    home.now[0] = NOON + 3 * HOUR
    home.put({("A", "pm25", NOON + 3 * HOUR): 300.0})
    home.follow()
    assert [s[:3] for s in said(home)[1:]] == [("aqi", "up", 200.0)]
    # The value was wrong: the correction takes the alarm back.
    home.put({("A", "pm25", NOON + 3 * HOUR): 10.0})
    home.follow()
    assert [s[:3] for s in said(home)[2:]] == [("aqi", "down", 200.0)]


def test_a_kill_between_storing_and_moving_on_says_it_once(home: Home) -> None:
    home.put(steady(100.0, NOON))
    home.follow()
    with home.db.transaction() as conn:
        conn.execute("UPDATE event_cursor SET tx = '0', id = 0 WHERE name = 'indicators'")
    home.follow()
    assert len(said(home)) == 1


def test_history_raises_nothing(home: Home) -> None:
    home.put(steady(400.0, NOON - 30 * HOUR))
    home.follow()
    assert said(home) == []


def test_an_hour_that_has_not_ended_is_not_the_newest(home: Home) -> None:
    """A NowCast can be told for the hour that runs; it is not the station's figure yet."""
    home.put(steady(20.0, NOON))
    home.follow()
    with home.db.transaction() as conn:
        indicator = find(conn, "vn_aqi_hourly")
        for minutes, t in ((0, NOON), (59, NOON), (60, NOON + HOUR)):
            now = NOON + timedelta(minutes=minutes)
            newest = latest(conn, home.lake, indicator, now=now, outputs=["aqi"])
            (one,) = newest.values()
            assert (one.t, one.value, one.passed) == (t, 40.0, ())
            assert one.period.end == t
    home.lake.close_days(indicator.dataset.id, NOON + 48 * HOUR)
    with home.db.transaction() as conn:
        (one,) = latest(conn, home.lake, indicator, now=NOON, outputs=["aqi"]).values()
    assert (one.t, one.value) == (NOON, 40.0)
