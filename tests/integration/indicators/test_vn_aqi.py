"""The Decision's own examples come out of rows that were committed, through SQL and store."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dothi.kernel.aqi import POLLUTANTS
from dothi.kernel.time import VN

from .conftest import HOUR, NOON, Home

DAY = datetime(2026, 3, 9, tzinfo=VN).astimezone(UTC)


@pytest.fixture(scope="module")
def oracle(shared: Path) -> dict[str, Any]:
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    return {row["id"]: row for row in rows}


def hours(station: str, parameter: str, latest_first: list[float | None], end: datetime = NOON):
    return {
        (station, parameter, end - i * HOUR): v for i, v in enumerate(latest_first) if v is not None
    }


def day(station: str, parameter: str, values: list[float]):
    return {(station, parameter, DAY + (i + 1) * HOUR): v for i, v in enumerate(values)}


def test_the_hourly_example(home: Home, oracle: dict[str, Any]) -> None:
    """ENV-01 and ENV-02: NowCast 20.3 and gases of one hour give 59, led by NO2."""
    gases, out = oracle["ENV-02"]["input"], oracle["ENV-02"]["output"]
    rows = hours("A", "pm25", oracle["ENV-01"]["input"]["c1..c12"])
    rows |= {("A", "o3", NOON): gases["O3_1h"], ("A", "no2", NOON): gases["NO2"]}
    home.put(rows)
    home.follow()
    got = {o: home.value("vn_aqi_hourly", "A", o, NOON) for o in
           ("aqi", "dominant", "aqi_pm25", "aqi_o3", "aqi_no2", "aqi_so2")}  # fmt: skip
    sub = out["sub_half_up"]
    assert got == {
        "aqi": out["AQI_h"], "dominant": POLLUTANTS.index("NO2"), "aqi_pm25": sub["PM2.5"],
        "aqi_o3": sub["O3"], "aqi_no2": sub["NO2"], "aqi_so2": None,
    }  # fmt: skip


def test_the_daily_example(home: Home, oracle: dict[str, Any]) -> None:
    """ENV-03: 24-hour mean of PM2.5, largest hours of the gases: 110."""
    case, out = oracle["ENV-03"]["input"], oracle["ENV-03"]["output"]
    flat = case["O3_8h_max"] * 8 - case["O3_1h_max"]
    ozone = [20.0] * 10 + [case["O3_1h_max"]] + [flat / 7] * 7 + [20.0] * 6
    no2 = [60.0] * 5 + [case["NO2_1h_max"]] + [60.0] * 18
    rows = day("A", "pm25", [case["PM2.5_24h"] - 5 + i % 2 * 10 for i in range(24)])
    home.put(rows | day("A", "o3", ozone) | day("A", "no2", no2))
    home.follow()
    assert home.value("vn_aqi_daily", "A", "aqi", DAY) == out["AQI_d"]
    assert home.value("vn_aqi_daily", "A", "dominant", DAY) == POLLUTANTS.index("PM2.5")
    mean = home.value("pm25_24h_mean", "A", "pm25_24h", DAY)
    assert mean == pytest.approx(case["PM2.5_24h"], abs=1e-7)


def test_break_points_no_dust_and_milligrams(home: Home, oracle: dict[str, Any]) -> None:
    """ENV-05, -07, -08, -10 in one sitting, a station for each."""
    ends = oracle["ENV-08"]
    rows: dict[Any, float | None] = {}
    for i, c in enumerate(ends["input"]["PM2.5"]):
        rows |= hours(f"P{i}", "pm25", [float(c)] * 12)
    rows |= hours("half", "pm25", oracle["ENV-05"]["input"]["c1..c12"])
    rows |= hours("co", "pm25", [1.0] * 12)
    rows |= {("co", "co", NOON): float(oracle["ENV-07"]["output"]["CO_ug_m3"])}
    gases = oracle["ENV-10"]["input"]
    rows |= {("gas", "o3", NOON): gases["O3_1h"], ("gas", "no2", NOON): gases["NO2"]}
    home.put(rows)
    home.follow()
    got = [home.value("vn_aqi_hourly", f"P{i}", "aqi", NOON) for i in range(len(ends["input"]["PM2.5"]))]  # fmt: skip
    assert got == ends["output"]["AQI"]
    # 70.168 of NowCast lies between 50 and 80: 100 + 50 · 20.168 / 30.
    expected = 100 + 50 * (oracle["ENV-05"]["output"]["normalised"] - 50) / 30
    assert home.value("vn_aqi_hourly", "half", "aqi", NOON) == round(expected)
    assert home.value("vn_aqi_hourly", "co", "aqi", NOON) == oracle["ENV-07"]["output"]["AQI_CO"]
    assert home.value("vn_aqi_hourly", "gas", "aqi", NOON) is None
    assert home.value("vn_aqi_hourly", "gas", "aqi_no2", NOON) == 30


def test_minutes_belong_to_the_hour_that_ends_after_them(home: Home) -> None:
    """11:05 … 12:00 are the hour 12:00; 12:05 is the next one's."""
    five = timedelta(minutes=5)
    rows: dict[Any, float | None] = {**hours("A", "pm25", [30.0] * 11, NOON - HOUR)}
    rows |= {("A", "pm25", NOON - HOUR + (i + 1) * five): 20.0 + i for i in range(12)}
    rows |= {("A", "pm25", NOON + five): 500.0}
    home.put(rows)
    home.follow()
    exact = hours("B", "pm25", [25.5, *([30.0] * 11)])
    home.put(exact)
    home.follow()
    both = [home.value("vn_aqi_hourly", s, "aqi", NOON) for s in "AB"]
    assert both[0] is not None and both[0] == both[1]


def test_what_is_not_valid_enters_nothing(home: Home) -> None:
    """A value outside the range, one its source calls wrong: no hour of the index knows them."""
    from dothi.lake.model import Quality

    home.put(hours("A", "pm25", [10.0] * 12))
    home.put({("A", "pm25", NOON): 900.0}, quality=Quality.INVALID)
    home.follow()
    assert home.value("vn_aqi_hourly", "A", "aqi", NOON) == 20
    assert home.value("vn_aqi_hourly", "A", "aqi", NOON - HOUR) == 20
