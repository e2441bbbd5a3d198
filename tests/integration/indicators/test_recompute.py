"""Figures that follow changes step by step are those that one computation of everything gives."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dothi.indicators import service, store
from dothi.indicators.engine import compute
from dothi.indicators.service import find, subject
from dothi.indicators.subject import instant, reach
from dothi.lake import registry
from dothi.lake.model import Quality, Span
from dothi.packs.load import load_all, shipped

from .conftest import HOUR, NOON, Home

NAMES = ("vn_aqi_hourly", "vn_aqi_daily", "pm25_24h_mean", "air_means_hourly", "air_means_daily")
START = NOON - 20 * 24 * HOUR
HOURS = 12 * 24
STATIONS = ("A", "B", "C", "D")
PARAMETERS = ("pm25", "pm10", "o3", "no2", "so2", "co")


def from_scratch(home: Home, name: str) -> dict[tuple[int, str, datetime], float]:
    """What the definition says of the data as it is, computed in one go, nothing stored."""
    with home.db.transaction() as conn:
        indicator = find(conn, name)
        about = subject(conn, indicator)
    first, last = reach(indicator.definition, START - 48 * HOUR, NOON + 48 * HOUR)
    out: dict[tuple[int, str, datetime], float] = {}
    with home.lake.view() as view:
        for piece in compute(view, about, None, first, last):
            for output, table in piece.columns.items():
                for row, column in zip(*np.nonzero(~np.isnan(table)), strict=True):
                    thing = about.things[piece.places[row]].id
                    at = instant(int(piece.us[column]))
                    out[(thing, output, at)] = float(table[row, column])
    return out


def check(home: Home, step: str) -> None:
    home.follow()
    for name in NAMES:
        stored, fresh = home.figures(name), from_scratch(home, name)
        wrong = {k for k in stored.keys() | fresh.keys() if stored.get(k) != fresh.get(k)}
        assert not wrong, f"{step}: {name} differs at {sorted(wrong, key=str)[:3]}"


@pytest.mark.slow
def test_a_thousand_insertions_corrections_and_deletions(home: Home) -> None:
    """In random order, some in bulk, days closing in between, minutes among the hours."""
    dice = random.Random(1459)
    loads: list[int] = []
    history = {
        (s, p, START + h * HOUR): round(dice.lognormvariate(3.4, 0.7), 1)
        for s in STATIONS
        for p in PARAMETERS
        for h in range(HOURS // 2)
        if dice.random() < 0.9
    }
    home.put(history, door="file", bulk=True)
    check(home, "history")
    done = 0
    while done < 1_000:
        act = dice.choices(["values", "undo", "close", "bulk", "withdraw", "wrong", "merge"],
                           [30, 6, 2, 2, 3, 4, 1])[0]  # fmt: skip
        if act == "undo" and loads:
            home.lake.undo(loads.pop(dice.randrange(len(loads))))
            done += 1
        elif act == "close":
            home.lake.close_days(home.air.id, START + dice.randrange(HOURS) * HOUR)
            for name in NAMES:
                with home.db.transaction() as conn:
                    own = registry.find(conn, name)
                home.lake.close_days(own.id, START + dice.randrange(HOURS) * HOUR)
        elif act == "merge":
            home.lake.maintain()
        elif act == "withdraw":
            (stream,) = home.streams([(dice.choice(STATIONS), dice.choice(PARAMETERS))]).values()
            a = START + dice.randrange(HOURS) * HOUR
            span = Span(stream, a, a + dice.randrange(6) * HOUR)
            loads.append(home.put({("D", "pm25", START): 5.0}, replaces=[span]))
            done += 1
        else:
            rows: dict[Any, float | None] = {}
            for _ in range(dice.choice([1, 2, 5, 20]) if act != "bulk" else 60):
                t = START + dice.randrange(HOURS) * HOUR
                if dice.random() < 0.2:
                    t += timedelta(minutes=dice.choice([5, 20, 35]))
                value = round(dice.lognormvariate(3.4, 0.9), 1)
                rows[(dice.choice(STATIONS), dice.choice(PARAMETERS), t)] = value
            done += len(rows)
            quality = Quality.INVALID if act == "wrong" else Quality.VALID
            door = dice.choice(["http", "file"])
            loads.append(home.put(rows, door=door, quality=quality, bulk=act == "bulk"))
        if dice.random() < 0.15:
            check(home, f"after {done}")
    check(home, "at the end")


def test_doing_it_again_changes_nothing(home: Home) -> None:
    """A worker killed after storing and before moving on stores nothing twice."""
    home.put({("A", "pm25", START + h * HOUR): 20.0 + h for h in range(30)})
    home.follow()
    with home.db.transaction() as conn:
        before = conn.execute("SELECT count(*) FROM load").fetchone()
        conn.execute("UPDATE event_cursor SET tx = '0', id = 0 WHERE name = 'indicators'")
    home.follow()
    with home.db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM load").fetchone() == before


def test_a_changed_definition_is_a_new_version_and_everything_is_computed_again(home: Home) -> None:
    home.put({("A", "pm25", START + h * HOUR): 20.0 for h in range(1, 31)})
    home.follow()
    with home.db.transaction() as conn:
        assert find(conn, "pm25_24h_mean").version == 1
    (pack,) = [p for p in load_all(shipped()) if p.name == "environment"]
    files = []
    for file in pack.indicators:
        text = file.text.replace("avg(pm25) AS pm25_24h", "max(pm25) + 1 AS pm25_24h")
        files.append(type(file)(file.path, text))
    changed = type(pack)(**{**pack.__dict__, "indicators": tuple(files)})
    with home.db.transaction() as conn:
        service.install(conn, [changed])
        assert find(conn, "pm25_24h_mean").version == 2
        assert find(conn, "vn_aqi_hourly").version == 1
        assert store.any_stale(conn)
    home.follow()
    values = {v for (_, o, _), v in home.figures("pm25_24h_mean").items() if o == "pm25_24h"}
    assert values == {21.0}
    with home.db.transaction() as conn:
        assert not store.any_stale(conn)


def analyst(home: Home, folder: Path, name: str, body: str) -> None:
    """Install a pack of one indicator beside the shipped one."""
    place = folder / "packs" / "haze" / "indicators"
    place.mkdir(parents=True)
    (place.parent / "pack.yaml").write_text(
        "pack: haze\nversion: 1.0.0\ntitle: {vi: Mù, en: Haze}\n"
        "owner: {code: so-nnmt, title: {vi: Sở, en: Department}}\n"
    )
    (place / f"{name}.sql").write_text(
        "---\ntitle: {vi: Thử, en: Try}\nwords: {vi: Thử, en: Try}\nkey: [station]\n"
        f"period: {{grain: day}}\nbetter: none\n{body}"
    )
    packs = [p for p in load_all(shipped()) if p.name == "environment"]
    with home.db.transaction() as conn:
        service.install(conn, [*packs, *load_all(folder / "packs")])


def test_an_indicator_over_an_indicator_follows(home: Home, tmp_path: Path) -> None:
    """An analyst counts the hours of bad air of each day over the hourly index."""
    analyst(home, tmp_path, "bad_hours", """inputs: {vn_aqi_hourly: [aqi]}
outputs:
  bad_hours: {title: {vi: Số giờ, en: Hours}, unit: "1", decimals: 0}
---
SELECT station, day AS time, count(*) AS bad_hours
FROM vn_aqi_hourly WHERE usable AND value > 100 GROUP BY station, day
""")  # fmt: skip
    day = NOON - 12 * HOUR - 5 * 24 * HOUR
    load = home.put({("A", "pm25", day + h * HOUR): 120.0 for h in range(1, 25)})
    home.follow()
    assert home.value("bad_hours", "A", "bad_hours", day) == 23
    home.put({("A", "pm25", day + h * HOUR): 10.0 for h in range(15, 25)})
    home.follow()
    assert home.value("bad_hours", "A", "bad_hours", day) == 14
    home.lake.undo(load)
    home.follow()
    assert home.figures("bad_hours") == {}


def test_a_definition_that_does_not_fit_holds_up_nobody_else(home: Home, tmp_path: Path) -> None:
    """Two rows for one day: the indicator rests and says why, the others go on."""
    analyst(home, tmp_path, "twice", """inputs: {air_quality: [pm25]}
outputs:
  twice: {title: {vi: Số, en: Figure}, unit: µg/m³, decimals: 0}
---
SELECT station, day AS time, value AS twice FROM air_quality WHERE usable
""")  # fmt: skip
    home.put({("A", "pm25", START + h * HOUR): 20.0 for h in range(1, 31)})
    home.follow()
    with home.db.transaction() as conn:
        problem = find(conn, "twice").problem
    assert problem is not None and "two rows for one thing and period" in problem
    assert home.figures("twice") == {}
    assert home.figures("vn_aqi_hourly") and home.figures("pm25_24h_mean")
