"""Noise is averaged by energy, and its limit depends on the area and the hour."""

import json
import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel import noise
from dothi.kernel.time import VN


def test_the_worked_example(shared: Path) -> None:
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    (case,) = [row for row in rows if row["id"] == "ENV-14"]
    given_, out = case["input"], case["output"]
    level = float(noise.laeq(given_["LAeq_15min"]))
    assert level == pytest.approx(out["LAeq_1h"], abs=1e-3)
    assert level > np.mean(given_["LAeq_15min"]) == out["arithmetic_mean"]
    hours = [datetime.strptime(at, "%H:%M").replace(tzinfo=VN) for at in given_["local_time"]]
    assert [level > noise.limit("common", at) for at in hours] == out["exceeds"]


@pytest.mark.parametrize(
    ("area", "by_day", "by_night"), [("special", 55.0, 45.0), ("common", 70.0, 55.0)]
)
def test_the_limit_of_each_hour(area: str, by_day: float, by_night: float) -> None:
    """By day from 6 to 21 o'clock: the hour that begins at 20:00 is the last of the day."""
    expected = [by_day if h in range(6, 21) else by_night for h in range(24)]
    assert noise.limit_of_hours(area, np.arange(24)).tolist() == expected
    assert [noise.QCVN_26.at(area, h) for h in range(24)] == expected


def test_an_unknown_area_is_refused() -> None:
    with pytest.raises(KeyError):
        noise.QCVN_26.at("industrial", 12)


LEVELS = st.lists(st.none() | st.floats(0, 140), max_size=20)


@given(LEVELS)
def test_it_is_the_level_of_the_mean_energy(levels: list[float | None]) -> None:
    present = [x for x in levels if x is not None]
    found = float(noise.laeq([np.nan if x is None else x for x in levels]))
    if not present:
        assert math.isnan(found)
        return
    expected = 10 * math.log10(math.fsum(10 ** (x / 10) for x in present) / len(present))
    assert found == pytest.approx(expected, abs=1e-9)
    assert min(present) - 1e-9 <= found <= max(present) + 1e-9


def test_the_limits_say_that_they_have_to_be_confirmed() -> None:
    assert noise.QCVN_26.verify
    assert "QCVN 26:2025/BNNMT" in noise.QCVN_26.source
