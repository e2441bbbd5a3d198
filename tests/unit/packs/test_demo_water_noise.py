"""Water and noise of the demonstration: at their own rhythm, within range, good and bad places."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dothi.kernel import noise, wqi
from dothi.lake.contract import read_contract
from dothi.packs.demo.curve import STEP_S, History, history, rows, step_of
from dothi.packs.demo.spec import Spec, demo_agencies, demo_specs
from dothi.packs.load import shipped

UNTIL = datetime(2026, 11, 21, 1, 17, 40, tzinfo=UTC)
AIR, WATER, NOISE = demo_specs()
OTHERS = pytest.mark.parametrize("spec", [WATER, NOISE], ids=["water", "noise"])
NAMES = {"ph": "pH", "temperature": "T", "do": "DO", "bod5": "BOD5", "cod": "COD", "nh4": "NH4",
         "no3": "NO3", "po4": "PO4", "coliform": "COLIFORM"}  # fmt: skip


def made(spec: Spec, days: float = 30) -> History:
    return history(spec, UNTIL, days)


@OTHERS
def test_values_keep_the_contract(spec: Spec) -> None:
    contract = read_contract(shipped() / "environment" / "datasets" / f"{spec.dataset}.yaml")
    found = made(spec)
    for place, pollutant in enumerate(spec.pollutants):
        parameter = contract.parameter(pollutant.name)
        assert parameter.low is not None and parameter.high is not None
        values = found.value[found.pollutant == place]
        assert len(values) and parameter.low <= values.min() and values.max() <= parameter.high
        assert pollutant.decimals == parameter.decimals


@OTHERS
def test_stations_report_at_their_rhythm_and_belong_to_somebody(spec: Spec) -> None:
    seconds = made(spec, 2).at.astype("datetime64[s]").astype(np.int64)
    assert set(seconds % (spec.every * STEP_S)) == {0}
    assert {s.agency for s in spec.stations} <= {a.code for a in demo_agencies()}
    codes = [s.code for one in demo_specs() for s in one.stations]
    assert len(set(codes)) == len(codes)


@OTHERS
def test_what_is_fed_live_is_what_the_history_will_say(spec: Spec) -> None:
    last = step_of(UNTIL)
    found = history(spec, UNTIL, 0.25)
    past = {
        (spec.stations[s].code, spec.pollutants[p].name, at.astype("datetime64[s]").item()): value
        for s, p, at, value in zip(
            found.station, found.pollutant, found.at, found.value, strict=True
        )
    }
    live = {}
    for station in spec.stations:
        for step in range(last - 71, last + 1):
            for row in rows(spec, station, step, step):
                at = datetime.fromisoformat(row["time"]).astimezone(UTC).replace(tzinfo=None)
                live |= {(station.code, p.name, at): row[p.name] for p in spec.pollutants}
    assert live == past
    assert max(at for _, _, at in live) <= (UNTIL + timedelta(seconds=1)).replace(tzinfo=None)


def test_the_reservoir_is_clean_and_the_canal_is_not() -> None:
    found = made(WATER, 120)
    means: dict[str, dict[str, float]] = defaultdict(dict)
    for s, station in enumerate(WATER.stations):
        for p, pollutant in enumerate(WATER.pollutants):
            here = (found.station == s) & (found.pollutant == p)
            means[station.code][NAMES[pollutant.name]] = float(found.value[here].mean())
    index = {code: wqi.combine_of(values).value or 0 for code, values in means.items()}
    assert wqi.category(index["SH-NM-01"]).code == "excellent"
    assert wqi.category(index["SH-NM-04"]).code in ("bad", "poor")
    assert min(index, key=lambda code: index[code]) == "SH-NM-04"


def test_both_kinds_of_area_are_there_and_some_hour_is_too_loud() -> None:
    assert {s.area for s in NOISE.stations} == set(noise.AREAS)
    found = made(NOISE)
    hour = (found.at.astype("datetime64[s]").astype(np.int64) - 1) // 3600
    loud = quiet = 0
    for place, station in enumerate(NOISE.stations):
        here = found.station == place
        for one in np.unique(hour[here]):
            level = float(noise.laeq(found.value[here & (hour == one)]))
            over = level > noise.QCVN_26.at(station.area or "", int(one + 7) % 24)
            loud, quiet = loud + over, quiet + (not over)
    assert 0.01 < loud / (loud + quiet) < 0.5, (loud, quiet)
