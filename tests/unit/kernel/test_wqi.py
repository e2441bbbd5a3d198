"""VN_WQI gives the worked example's figures, and agrees with a second reading of the tables."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel import wqi


@pytest.fixture(scope="module")
def oracle(shared: Path) -> dict[str, Any]:
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    return {row["id"]: row for row in rows}


def test_the_worked_example(oracle: dict[str, Any]) -> None:
    given_, out = oracle["ENV-11"]["input"], oracle["ENV-11"]["output"]
    water = wqi.combine_of(given_)
    assert wqi.saturation_of(given_["DO"], given_["T"]) == pytest.approx(out["DO_pct"], abs=1e-3)
    assert water.scores["pH"] == out["WQI_pH"]
    fourth = {p: water.scores[p] for p in out["WQI_IV"]}
    assert fourth == pytest.approx(out["WQI_IV"], abs=1e-4)
    assert water.groups["IV"] == pytest.approx(out["mean_IV"], abs=1e-3)
    assert water.groups["V"] == pytest.approx(out["WQI_coliform"])
    assert water.unrounded == pytest.approx(out["VN_WQI_unrounded"], abs=1e-4)
    assert water.value == out["VN_WQI"]
    assert wqi.category(water.value or -1).name("vi") == out["class"]


# -- a second reading: the rows as they stand in the table ------------------------------------------

SCORES = (100, 75, 50, 25, 10)
ROWS: dict[str, tuple[float | None, ...]] = {
    "BOD5": (4, 6, 15, 25, 50),
    "COD": (10, 15, 30, 50, 150),
    "TOC": (4, 6, 15, 25, 50),
    "NO3": (2, 5, 10, 15, None),
    "PO4": (0.1, 0.2, 0.3, 0.5, 4),
    "COLIFORM": (2500, 5000, 7500, 10000, None),
    "ECOLI": (20, 50, 100, 200, None),
    "As": (0.01, 0.02, 0.05, 0.1, None),
    "Cd": (0.005, 0.008, 0.01, 0.1, None),
    "Pb": (0.02, 0.04, 0.05, 0.5, None),
    "Cr6": (0.01, 0.02, 0.04, 0.1, None),
    "Cu": (0.1, 0.2, 0.5, 1, 2),
    "Zn": (0.5, 1, 1.5, 2, 3),
    "Hg": (0.001, 0.0015, 0.002, 0.01, None),
}
LIMITS = {"NO2": 0.05, "Aldrin": 0.1, "BHC": 0.02, "Dieldrin": 0.1, "DDT": 1.0, "Heptachlor": 0.2}
GROUPS = {
    "I": ["pH"],
    "II": ["Aldrin", "BHC", "Dieldrin", "DDT", "Heptachlor"],
    "III": ["As", "Cd", "Pb", "Cr6", "Cu", "Zn", "Hg"],
    "IV": ["DO", "BOD5", "COD", "TOC", "NH4", "NO3", "NO2", "PO4"],
    "V": ["COLIFORM", "ECOLI"],
}


def between(c: float, low: float, high: float, at_low: float, at_high: float) -> float:
    """WQI_SI = (q_i - q_i+1)/(BP_i+1 - BP_i) · (BP_i+1 - C) + q_i+1."""
    return (at_low - at_high) / (high - low) * (high - c) + at_high


def plainly(parameter: str, c: float) -> float:
    if parameter in LIMITS:
        return 100 if c <= LIMITS[parameter] else 10
    if parameter == "pH":
        if c < 5.5 or c > 9:
            return 10
        if c < 6:
            return between(c, 5.5, 6, 50, 100)
        return 100 if c <= 8.5 else between(c, 8.5, 9, 100, 50)
    if parameter == "NH4" and c < 0.3:
        return 100
    if parameter == "DO":
        if c < 20 or c > 200:
            return 10
        rows = [
            (20, 25),
            (50, 50),
            (75, 75),
            (88, 100),
            (112, 100),
            (125, 75),
            (150, 50),
            (200, 25),
        ]
        for (low, at_low), (high, at_high) in pairwise(rows):
            if low <= c <= high:
                return between(c, low, high, at_low, at_high)
    row = (None, 0.3, 0.6, 0.9, 5) if parameter == "NH4" else ROWS[parameter]
    known = [(bp, q) for bp, q in zip(row, SCORES, strict=True) if bp is not None]
    if c <= known[0][0]:
        return known[0][1]
    for (low, at_low), (high, at_high) in pairwise(known):
        if c <= high:
            return between(c, low, high, at_low, at_high)
    return 10


def naive(values: dict[str, float]) -> float | None:
    """The formula of the Decision, written out; None where too little is there."""
    got = {p: c for p, c in values.items() if c >= 0 or p == "T"}
    oxygen, degrees = got.pop("DO", None), got.pop("T", None)
    if oxygen is not None and degrees is not None:
        full = 14.652 - 0.41022 * degrees + 0.0079910 * degrees**2 - 0.000077774 * degrees**3
        if full > 0:
            got["DO"] = oxygen / full * 100
    by_group = {g: [plainly(p, got[p]) for p in names if p in got] for g, names in GROUPS.items()}
    if len(by_group["IV"]) < 3 or sum(bool(found) for found in by_group.values()) < 3:
        return None
    product = 1.0
    for name in ("I", "II", "III"):
        if found := by_group[name]:
            product *= math.prod(found) ** (1 / len(found)) / 100
    fourth = sum(by_group["IV"]) / len(by_group["IV"])
    if not by_group["V"]:
        return product * fourth
    fifth = sum(by_group["V"]) / len(by_group["V"])
    return product * (fourth**2 * fifth) ** (1 / 3)


HIGHEST = {p: 1.3 * max(c for c in row if c is not None) for p, row in ROWS.items()}
HIGHEST |= {p: 2 * limit for p, limit in LIMITS.items()}
HIGHEST |= {"pH": 14.0, "DO": 18.0, "NH4": 6.0}


def amounts(parameter: str) -> st.SearchStrategy[float]:
    if parameter == "T":
        return st.floats(0, 40)
    row = [float(c) for c in ROWS.get(parameter, ()) if c is not None]
    row += [LIMITS[parameter]] if parameter in LIMITS else []
    row += [0.3, 0.6, 0.9, 5.0] if parameter == "NH4" else []
    row += [5.5, 6.0, 8.5, 9.0] if parameter == "pH" else []
    spread = st.floats(-0.1 * HIGHEST[parameter], HIGHEST[parameter])
    return spread | st.sampled_from(row) if row else spread


MEASURED = st.fixed_dictionaries({}, optional={p: amounts(p) for p in wqi.PARAMETERS})


@given(MEASURED)
def test_one_by_one_it_is_the_formula(values: dict[str, float]) -> None:
    found, expected = wqi.combine_of(values), naive(values)
    if expected is None:
        assert found.value is None and found.unrounded is None
        return
    assert found.unrounded == pytest.approx(expected, abs=1e-9)
    assert 0 <= (found.value or 0) <= 100


@given(st.lists(MEASURED, min_size=1, max_size=12))
def test_arrays_are_the_same_as_single_numbers(rows: list[dict[str, float]]) -> None:
    grids = {p: np.array([[row.get(p, np.nan) for row in rows]]) for p in wqi.PARAMETERS}
    found = wqi.combine(grids)
    for place, row in enumerate(rows):
        one = wqi.combine_of(row)
        value, figure = found.value[0, place], found.unrounded[0, place]
        if one.unrounded is None:
            assert np.isnan(value) and np.isnan(figure)
        else:
            assert figure == pytest.approx(one.unrounded, abs=1e-9)
            assert value == one.value
        for parameter, score in one.scores.items():
            assert found.scores[parameter][0, place] == pytest.approx(score, abs=1e-9)


# -- rules ------------------------------------------------------------------------------------------

ENOUGH = {"pH": 7.0, "BOD5": 3.0, "COD": 8.0, "NO3": 1.0, "COLIFORM": 1000.0}


def test_clean_water_is_one_hundred() -> None:
    assert wqi.combine_of(ENOUGH).value == 100
    assert wqi.category(100).name("vi") == "Rất tốt"


@pytest.mark.parametrize("missing", ["COD", "pH", "COLIFORM"])
def test_three_groups_and_three_of_the_fourth_are_needed(missing: str) -> None:
    assert wqi.combine_of({p: c for p, c in ENOUGH.items() if p != missing}).value is None


def test_without_bacteria_the_fourth_group_stands_alone() -> None:
    values = {"pH": 7.0, "As": 0.005, "BOD5": 6.0, "COD": 15.0, "NO3": 5.0}
    assert wqi.combine_of(values).unrounded == pytest.approx(75.0)


def test_oxygen_needs_the_temperature() -> None:
    assert "DO" not in wqi.combine_of(ENOUGH | {"DO": 5.0}).scores
    assert "DO" in wqi.combine_of(ENOUGH | {"DO": 5.0, "T": 25.0}).scores


def test_ammonium_has_a_step_at_three_tenths() -> None:
    assert wqi.score_of("NH4", 0.2999) == 100
    assert wqi.score_of("NH4", 0.3) == 75


def test_a_poison_pulls_all_down() -> None:
    clean, poisoned = ENOUGH | {"Hg": 0.0005}, ENOUGH | {"Hg": 0.5}
    assert wqi.combine_of(clean).value == 100
    assert wqi.combine_of(poisoned).value == 10


def test_the_classes_meet_and_rounding_is_half_up() -> None:
    edges = [(9.4, "severe"), (9.5, "poor"), (25.5, "bad"), (50.4, "bad"), (50.5, "moderate"),
             (75.5, "good"), (90.4999, "good"), (90.5, "excellent")]  # fmt: skip
    assert [(figure, wqi.category(figure).code) for figure, _ in edges] == edges
    with pytest.raises(ValueError):
        wqi.category(101)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(KeyError):
        wqi.combine_of({"ph": 7.0})


def test_the_table_says_that_it_has_to_be_confirmed() -> None:
    assert wqi.DECISION_1460.verify
