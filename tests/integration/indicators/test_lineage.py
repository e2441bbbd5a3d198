"""From a figure to the rows, loads and files it rests on, and back from a load to its figures."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from dothi.indicators.explain import explain
from dothi.indicators.lineage import affected_by_load
from dothi.kernel import aqi
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import registry
from dothi.lake.model import Quality, Span

from .conftest import HOUR, NOON, Home

NAMES = ("vn_aqi_hourly", "vn_aqi_daily", "pm25_24h_mean", "air_means_hourly", "air_means_daily")
DAY = datetime(2026, 3, 9, tzinfo=VN).astimezone(UTC)
HOUR_OF_NOON = Period.containing("hour", NOON - HOUR)


def figures(home: Home) -> dict[tuple[str, int, str, datetime], float]:
    return {(n, *k): v for n in NAMES for k, v in home.figures(n).items()}


def test_an_hour_is_computed_by_hand_from_what_is_shown(home: Home) -> None:
    """The shown weights and rows give the NowCast, the NowCast the index, the largest the figure."""
    dice = random.Random(7)
    first = home.put(
        {("A", "pm25", NOON - h * HOUR): round(dice.uniform(20, 90), 1) for h in range(3, 20)},
        door="file", file="before.csv",
    )  # fmt: skip
    second = home.put(
        {("A", p, NOON - h * HOUR): round(dice.uniform(20, 90), 1)
         for h in range(2) for p in ("pm25", "o3", "no2")},
        door="file", file="latest.csv",
    )  # fmt: skip
    bad = home.put({("A", "pm25", NOON - 2 * HOUR): 888.0}, quality=Quality.INVALID)
    home.follow()
    why = explain(home.lake, "vn_aqi_hourly", home.thing("A"), HOUR_OF_NOON)
    assert why.values == why.again
    best = {}
    for step in why.steps:
        rows = {r.t: r for r in why.rows if r.parameter == step.parameter and r.entered}
        figure = sum(rows[part.at].value * part.weight for part in step.parts)  # type: ignore[operator]
        assert figure == pytest.approx(step.figure)
        assert len(rows) == len(step.parts)
        best[step.pollutant] = aqi.sub_index_of(step.pollutant, figure)
    lead = max(best, key=lambda p: best[p] or 0)
    assert why.values["aqi"] == aqi.half_up(best[lead] or 0)
    assert why.values["dominant"] == aqi.POLLUTANTS.index(lead)
    (nowcast,) = [s for s in why.steps if s.pollutant == "PM2.5"]
    assert nowcast.how == "nowcast" and len(nowcast.parts) == 11
    assert sum(part.weight for part in nowcast.parts) == pytest.approx(1)
    # The wrong value is shown, with its load, and did not enter; ozone of an hour ago neither.
    wrong = [r for r in why.rows if r.load_id == bad]
    assert [(r.value, r.quality, r.entered) for r in wrong] == [(888.0, Quality.INVALID, False)]
    assert [r.entered for r in why.rows if r.parameter == "o3"] == [True, False]
    assert {first, second, bad} == set(why.loads)
    assert why.loads[first].file_name == "before.csv"
    assert why.indicator.version == 1 and why.indicator.definition.words["vi"]


def test_a_day_is_computed_by_hand_from_what_is_shown(home: Home) -> None:
    dice = random.Random(8)
    home.put({("A", p, DAY + h * HOUR): round(dice.uniform(10, 150), 1)
              for h in range(-6, 25) for p in ("pm25", "pm10", "o3", "so2")
              if dice.random() < 0.9})  # fmt: skip
    home.follow()
    day = Period.containing("day", DAY)
    why = explain(home.lake, "vn_aqi_daily", home.thing("A"), day)
    assert why.values == why.again and why.values["aqi"] > 0
    known = {step.pollutant: step for step in why.steps}
    for step in why.steps:
        total = sum(p.value * p.weight for p in step.parts)
        top = max((p.value for p in step.parts if p.weight), default=0)
        assert step.figure == pytest.approx(top if step.how == "max_1h" else total)
    indices = {p: s.index for p, s in known.items() if s.index is not None}
    assert why.values["aqi"] == aqi.half_up(max(indices.values()))
    mean = explain(home.lake, "pm25_24h_mean", home.thing("A"), day)
    used = [r.value for r in mean.rows if r.entered and r.value is not None]
    assert mean.values["pm25_24h"] == pytest.approx(sum(used) / len(used), abs=1e-7)
    assert mean.values["hours"] == len(used)


def test_no_figure_no_explanation(home: Home) -> None:
    home.put({("A", "pm25", NOON): 5.0})
    home.follow()
    with pytest.raises(NotFound):
        explain(home.lake, "vn_aqi_hourly", home.thing("A"), Period.containing("hour", DAY))
    with pytest.raises(NotFound):
        explain(home.lake, "vn_aqi_hourly", 10_000, HOUR_OF_NOON)
    with pytest.raises(NotFound):
        explain(home.lake, "not_there", home.thing("A"), HOUR_OF_NOON)


@pytest.mark.parametrize("seed", range(4))
def test_removing_a_load_changes_exactly_the_figures_it_lists(home: Home, seed: int) -> None:
    """Head and body, corrections of corrections, withdrawals: the list is the difference."""
    dice = random.Random(seed)
    loads: list[int] = []
    for _ in range(14):
        act = dice.choice(["head", "head", "file", "bulk", "close", "span"])
        if act == "close":
            home.lake.close_days(home.air.id, DAY + dice.randrange(-24, 48) * HOUR)
            continue
        rows: dict[Any, float | None] = {
            (dice.choice("AB"), dice.choice(("pm25", "pm25", "o3", "no2")),
             DAY + dice.randrange(-24, 48) * HOUR): float(dice.randrange(5, 200))
            for _ in range(dice.choice([1, 10, 60]))
        }  # fmt: skip
        spans = []
        if act == "span":
            (stream,) = home.streams([("A", "pm25")]).values()
            spans = [Span(stream, DAY, DAY + 4 * HOUR)]
        door = "file" if act == "file" else "http"
        loads.append(home.put(rows, door=door, bulk=act == "bulk", replaces=spans))
    home.follow()
    for load in dice.sample(loads, 4):
        listed = affected_by_load(home.lake, load)
        before = figures(home)
        for one in listed:
            key = (one.indicator, one.thing_id, one.output, one.t)
            assert before.get(key) == one.before
        home.lake.undo(load)
        home.follow()
        after = figures(home)
        differ = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
        told = {(a.indicator, a.thing_id, a.output, a.t): a.after for a in listed}
        assert told == {k: after.get(k) for k in differ}


def test_a_load_of_figures_lists_nothing_of_others(home: Home) -> None:
    home.put({("A", "pm25", NOON - h * HOUR): 20.0 for h in range(12)})
    home.follow()
    with home.db.transaction() as conn:
        own = registry.find(conn, "vn_aqi_hourly")
        row = conn.execute("SELECT max(id) FROM load WHERE dataset_id = %s", (own.id,)).fetchone()
    assert row is not None and affected_by_load(home.lake, row[0]) == []
