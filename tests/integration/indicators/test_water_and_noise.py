"""Water and noise from committed rows to figures: the worked examples, limits, what they rest on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dothi.indicators.explain import explain
from dothi.indicators.functions import FUNCTIONS
from dothi.indicators.service import find
from dothi.kernel import noise, wqi
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import registry
from dothi.lake.model import Quality

from .conftest import HOUR, NOON, Home
from .test_limits import said

DAY = datetime(2026, 3, 9, tzinfo=VN).astimezone(UTC)
QUARTER = timedelta(minutes=15)
NAMES = {"pH": "ph", "T": "temperature", "DO": "do", "BOD5": "bod5", "COD": "cod", "NH4": "nh4",
         "NO3": "no3", "PO4": "po4", "COLIFORM": "coliform"}  # fmt: skip


@pytest.fixture(scope="module")
def oracle(shared: Path) -> dict[str, Any]:
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    return {row["id"]: row for row in rows}


def measuring(home: Home, dataset: str, **stations: dict[str, Any]) -> Home:
    """The home whose `put` brings rows of another dataset, with its stations' properties."""
    with home.db.transaction() as conn:
        found = registry.find(conn, dataset)
        for station, properties in stations.items():
            registry.put_thing(
                conn, found, key=[station], name={}, lon=None, lat=None, agency_id=None,
                properties=properties,
            )  # fmt: skip
    return replace(home, air=found)


def test_the_worked_sample_of_water(home: Home, oracle: dict[str, Any]) -> None:
    """ENV-11: a sample at 08:30 gives 77, and its groups; what stands behind it is said."""
    water = measuring(home, "surface_water")
    sample, out = oracle["ENV-11"]["input"], oracle["ENV-11"]["output"]
    at = DAY + timedelta(hours=8, minutes=30)
    water.put({("S", NAMES[p], at): float(c) for p, c in sample.items()})
    water.put({("S", "mercury", at): 9.0}, quality=Quality.INVALID)
    water.follow()
    got = {o: water.value("vn_wqi_daily", "S", o, DAY) for o in
           ("wqi", "wqi_class", "group_1", "group_3", "group_4", "group_5")}  # fmt: skip
    assert got == {
        "wqi": out["VN_WQI"], "wqi_class": 4.0, "group_1": out["WQI_pH"], "group_3": None,
        "group_4": pytest.approx(out["mean_IV"], abs=1e-3), "group_5": out["WQI_coliform"],
    }  # fmt: skip
    found = explain(water.lake, "vn_wqi_daily", water.thing("S"), Period.containing("day", DAY, VN))
    labels = found.indicator.definition.output("wqi_class").labels
    assert labels[4]["vi"] == out["class"]
    assert found.values == found.again
    steps = {step.pollutant: step.index for step in found.steps if step.figure is not None}
    assert steps == {p: pytest.approx(score, abs=1e-3) for p, score in out["WQI_IV"].items()} | {
        "pH": 100.0, "COLIFORM": 82.0, "T": None,
    }  # fmt: skip
    entered = {row.parameter: row.entered for row in found.rows}
    assert entered == dict.fromkeys((NAMES[p] for p in sample), True) | {"mercury": False}


def test_a_day_of_samples_counts_with_its_means(home: Home) -> None:
    """Every day of a random series is what the formula gives of the day's means."""
    water = measuring(home, "surface_water")
    rng = np.random.default_rng(1460)
    high = {"ph": 10.0, "temperature": 32.0, "do": 9.0, "bod5": 40.0, "cod": 90.0, "nh4": 2.0,
            "no3": 12.0, "coliform": 12_000.0, "zinc": 2.5, "ddt": 1.4}  # fmt: skip
    rows: dict[Any, float | None] = {}
    for day in range(6):
        for parameter, most in high.items():
            for hour in rng.choice(24, size=int(rng.integers(0, 4)), replace=False).tolist():
                at = DAY - timedelta(days=day) + hour * HOUR
                rows["S", parameter, at] = float(rng.uniform(0, most))
    water.put(rows)
    water.follow()
    name = {ours: theirs for theirs, ours in NAMES.items()} | {"zinc": "Zn", "ddt": "DDT"}
    told = 0
    for day in range(6):
        begin = DAY - timedelta(days=day)
        values: dict[str, list[float]] = {}
        for (_, parameter, at), value in rows.items():
            if begin <= at < begin + timedelta(days=1) and value is not None:
                values.setdefault(name[parameter], []).append(value)
        expected = wqi.combine_of({p: sum(all_) / len(all_) for p, all_ in values.items()})
        assert water.value("vn_wqi_daily", "S", "wqi", begin) == expected.value
        told += expected.value is not None
    assert told >= 2


def test_foul_water_raises_an_alarm_once(home: Home) -> None:
    water = measuring(home, "surface_water")
    foul = {"ph": 5.0, "bod5": 60.0, "cod": 200.0, "nh4": 6.0, "coliform": 50_000.0}
    water.put({("S", p, DAY + 8 * HOUR): c for p, c in foul.items()})
    water.follow()
    assert [s for s in said(water) if s[0] == "lack"] == [("lack", "up", 74.0, 99.0)]


def test_the_worked_hour_of_noise(home: Home, oracle: dict[str, Any]) -> None:
    """ENV-14: the same hour is within the limit at 10:00 and over it at 22:00."""
    near = measuring(
        home, "noise", C={"area": "common"}, Q={"area": "special"}, N={"rhythm": "PT15M"}
    )
    levels, out = oracle["ENV-14"]["input"]["LAeq_15min"], oracle["ENV-14"]["output"]
    day, night = NOON - 2 * HOUR, NOON - 14 * HOUR  # the hours that begin at 09:00 and 21:00
    for end in (day, night):
        near.put({(s, "laeq", end - i * QUARTER): x for s in "CQN" for i, x in enumerate(levels)})
    near.follow()
    over = {}
    for end in (day, night):
        level = near.value("noise_hourly", "C", "laeq", end)
        assert level == pytest.approx(out["LAeq_1h"], abs=1e-3)
        over[end] = [near.value("noise_hourly", s, "over", end) for s in "CQN"]
    assert [near.value("noise_hourly", "C", "noise_limit", e) for e in (day, night)] == [70, 55]
    assert [(over[end][0] or 0) > 0 for end in (day, night)] == out["exceeds"]
    assert over[day][1] == pytest.approx(out["LAeq_1h"] - 55, abs=1e-3)
    assert over[day][2] is None, "a station without an area is not compared"
    found = explain(near.lake, "noise_hourly", near.thing("C"), Period.containing("hour", day - QUARTER, VN))  # fmt: skip
    assert [row.value for row in found.rows if row.entered] == levels
    assert found.indicator.definition.verify is not None
    assert found.values == found.again


def test_loud_nights_are_said(home: Home) -> None:
    near = measuring(home, "noise", C={"area": "common"})
    home.now[0] = NOON + 10 * HOUR
    near.put({("C", "laeq", home.now[0] - i * QUARTER): 60.0 for i in range(4)})
    near.follow()
    assert [(s[0], s[1], s[2]) for s in said(near)] == [("over", "up", 0.0)]


def test_the_limits_of_air_by_averaging_time(home: Home) -> None:
    """24-hour means, the largest 8-hour mean, 1-hour means, each against its own limit."""
    ozone = [20.0] * 10 + [130.0] * 8 + [20.0] * 6
    rows: dict[Any, float | None] = {
        ("A", "o3", DAY + (h + 1) * HOUR): c for h, c in enumerate(ozone)
    }
    rows |= {("A", "so2", DAY + (h + 1) * HOUR): 100.0 for h in range(17)}
    rows |= {("A", "pm10", DAY + (h + 1) * HOUR): 110.0 for h in range(24)}
    rows |= {("A", "no2", NOON): 220.0}
    home.put(rows)
    home.follow()
    got = {o: home.value("air_means_daily", "A", o, DAY) for o in ("o3_8h", "so2_24h", "pm10_24h")}
    assert got == {"o3_8h": 130.0, "so2_24h": None, "pm10_24h": pytest.approx(110.0)}
    assert home.value("air_means_hourly", "A", "no2_1h", NOON) == 220.0
    over = {(parameter, limit) for parameter, _, limit, _ in said(home)}
    assert {("o3_8h", 120.0), ("pm10_24h", 100.0), ("no2_1h", 200.0)} <= over
    period = Period.containing("day", DAY, VN)
    found = explain(home.lake, "air_means_daily", home.thing("A"), period)
    assert found.values == found.again


def test_what_the_kernel_marks_unconfirmed_the_pack_says(home: Home) -> None:
    """Until an officer has confirmed a table, nobody sees its figures without being told."""
    with home.db.transaction() as conn:
        by_name = {
            n: find(conn, n).definition for n in ("vn_wqi_daily", "noise_hourly", "vn_aqi_daily")
        }
    assert wqi.DECISION_1460.verify and noise.QCVN_26.verify
    for name in ("vn_wqi_daily", "noise_hourly"):
        definition = by_name[name]
        assert definition.verify is not None and set(definition.verify) == {"vi", "en"}
        assert all(threshold.verify for threshold in definition.thresholds)
    assert by_name["vn_aqi_daily"].verify is None


def test_each_function_has_an_indicator(home: Home) -> None:
    with home.db.transaction() as conn:
        called = {
            name.split()[0]
            for one in ("vn_aqi_hourly", "vn_aqi_daily", "vn_wqi_daily", "noise_hourly",
                        "air_means_daily")
            for name in find(conn, one).definition.formulas
        }  # fmt: skip
    assert called == set(FUNCTIONS)
