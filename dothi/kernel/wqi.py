"""VN_WQI, the Vietnamese water quality index of surface water: Decision 1460/QĐ-TCMT of 12/11/2019.

The Decision's text was not at hand: the break points are those on which two public programs agree,
and the table is marked `verify` until somebody has held it against the document.

Concentrations are in mg/L (N-NH4, N-NO3, N-NO2, P-PO4 as nitrogen and phosphorus), pesticides in
µg/L, bacteria in MPN/100 mL, DO in mg/L with the water's temperature in °C.

Functions on arrays take NaN for an absent value and give NaN for "cannot be said"; those on single
numbers (`..._of`) take and give None. Both read the same table.

What is done where the source leaves a choice:

- The index is rounded half up to a whole number at the end; nothing before that is rounded.
  Whatever lies within 1e-9 below a half counts as the half.
- A value below zero is an instrument's fault and counts as absent. Temperature only serves DO: at
  a temperature for which the formula gives no saturation, DO is absent.
- Required are group IV with three of its parameters, and three of the five groups.
- Without group V the mean of group IV stands in its place.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dothi.kernel.aqi import Floats, Grids, half_up
from dothi.kernel.i18n import t

MIN_GROUPS = 3
MIN_OF_GROUP_IV = 3
TEMPERATURE = "T"
_HALF = 0.5 + 1e-9


@dataclass(frozen=True)
class Curve:
    """The score of a parameter: straight lines between points, and what it is beyond them."""

    points: tuple[float, ...]
    scores: tuple[float, ...]
    below: float
    above: float


@dataclass(frozen=True)
class Category:
    """A class of VN_WQI with its colour; `high` is included."""

    code: str
    low: int
    high: int
    rgb: tuple[int, int, int]

    def name(self, lang: str) -> str:
        """Its name for people."""
        return t(f"wqi.{self.code}", lang)


@dataclass(frozen=True)
class Table:
    """The groups of parameters with their curves, as an instrument in force gives them.

    `verify`: not yet confirmed against the instrument's own text.
    """

    source: str
    valid_from: date
    valid_to: date | None
    verify: bool
    groups: Mapping[str, Mapping[str, Curve]]
    categories: tuple[Category, ...]

    def curve(self, parameter: str) -> Curve:
        """The curve of a parameter; KeyError for one that no group has."""
        for curves in self.groups.values():
            if parameter in curves:
                return curves[parameter]
        raise KeyError(parameter)


def _falling(*points: float, above: float = 10) -> Curve:
    """100, 75, 50, 25 and, with a fifth point, 10: the more, the worse."""
    return Curve(points, (100, 75, 50, 25, 10)[: len(points)], 100, above)


def _limit(limit: float) -> Curve:
    """100 up to a limit, 10 above it."""
    return Curve((limit,), (100,), 100, 10)


def _group(**curves: Curve) -> Mapping[str, Curve]:
    return MappingProxyType(curves)


DECISION_1460 = Table(
    source="Quyết định 1460/QĐ-TCMT ngày 12/11/2019",
    valid_from=date(2019, 11, 12),
    valid_to=None,
    verify=True,
    groups=MappingProxyType(
        {
            "I": _group(pH=Curve((5.5, 6, 8.5, 9), (50, 100, 100, 50), 10, 10)),
            "II": _group(
                Aldrin=_limit(0.1),
                BHC=_limit(0.02),
                Dieldrin=_limit(0.1),
                DDT=_limit(1.0),
                Heptachlor=_limit(0.2),
            ),
            "III": _group(
                As=_falling(0.01, 0.02, 0.05, 0.1),
                Cd=_falling(0.005, 0.008, 0.01, 0.1),
                Pb=_falling(0.02, 0.04, 0.05, 0.5),
                Cr6=_falling(0.01, 0.02, 0.04, 0.1),
                Cu=_falling(0.1, 0.2, 0.5, 1, 2),
                Zn=_falling(0.5, 1, 1.5, 2, 3),
                Hg=_falling(0.001, 0.0015, 0.002, 0.01),
            ),
            "IV": _group(
                # Of oxygen the saturation in %.
                DO=Curve(
                    (20, 50, 75, 88, 112, 125, 150, 200),
                    (25, 50, 75, 100, 100, 75, 50, 25),
                    10,
                    10,
                ),
                BOD5=_falling(4, 6, 15, 25, 50),
                COD=_falling(10, 15, 30, 50, 150),
                TOC=_falling(4, 6, 15, 25, 50),
                # Just below 0.3 it is 100, at 0.3 it is 75: the table has a step there.
                NH4=Curve((0.3, 0.6, 0.9, 5), (75, 50, 25, 10), 100, 10),
                NO3=_falling(2, 5, 10, 15),
                NO2=_limit(0.05),
                PO4=_falling(0.1, 0.2, 0.3, 0.5, 4),
            ),
            "V": _group(
                COLIFORM=_falling(2_500, 5_000, 7_500, 10_000),
                ECOLI=_falling(20, 50, 100, 200),
            ),
        }
    ),
    categories=(
        Category("severe", 0, 9, (126, 0, 35)),
        Category("poor", 10, 25, (255, 0, 0)),
        Category("bad", 26, 50, (255, 126, 0)),
        Category("moderate", 51, 75, (255, 255, 0)),
        Category("good", 76, 90, (0, 228, 0)),
        Category("excellent", 91, 100, (51, 51, 255)),
    ),
)

PARAMETERS = (*(p for group in DECISION_1460.groups.values() for p in group), TEMPERATURE)
"""All that can enter: those of the groups in their order, and the temperature."""


@dataclass(frozen=True)
class Wqi:
    """One VN_WQI: the whole number, the same before rounding, each parameter's and group's score.

    `value` and `unrounded` are None where too little was measured. The score of groups II and III is
    the geometric mean of their parameters' scores, that of the others the mean.
    """

    value: int | None
    unrounded: float | None
    scores: Mapping[str, float]
    groups: Mapping[str, float]


@dataclass(frozen=True)
class WqiGrid:
    """Many VN_WQI of one shape: whole numbers or NaN, and the scores of parameters and groups."""

    value: Floats
    unrounded: Floats
    scores: dict[str, Floats]
    groups: dict[str, Floats]


# -- single values -------------------------------------------------------------------------------


def saturation_of(oxygen: float | None, temperature: float | None) -> float | None:
    """Dissolved oxygen (mg/L) in % of what water of that temperature (°C) can hold."""
    if oxygen is None or temperature is None or not 0 <= oxygen < math.inf:
        return None
    full = _full_saturation(temperature)
    return oxygen / full * 100 if full > 0 else None


def score_of(parameter: str, value: float | None, table: Table = DECISION_1460) -> float | None:
    """A parameter's score (WQI_SI) before rounding; of DO the value is its saturation in %."""
    curve = table.curve(parameter)
    if value is None or not 0 <= value < math.inf:
        return None
    if value < curve.points[0]:
        return float(curve.below)
    for place in range(1, len(curve.points)):
        low, high = curve.points[place - 1], curve.points[place]
        if value < high:
            start, end = curve.scores[place - 1], curve.scores[place]
            return (end - start) / (high - low) * (value - low) + start
    return float(curve.scores[-1] if value == curve.points[-1] else curve.above)


def combine_of(values: Mapping[str, float | None], table: Table = DECISION_1460) -> Wqi:
    """The VN_WQI of what was measured in one place at one time; see `PARAMETERS`."""
    given = _checked(values)
    given["DO"] = saturation_of(given.get("DO"), given.pop(TEMPERATURE, None))
    scores: dict[str, float] = {}
    groups: dict[str, float] = {}
    enough = False
    for group, curves in table.groups.items():
        found = {p: score_of(p, given[p], table) for p in curves if given.get(p) is not None}
        known = {p: score for p, score in found.items() if score is not None}
        scores |= known
        if known:
            groups[group] = _group_score_of(group, [*known.values()])
        if group == "IV":
            enough = len(known) >= MIN_OF_GROUP_IV
    if not enough or len(groups) < MIN_GROUPS:
        return Wqi(None, None, scores, groups)
    factor = math.prod(groups.get(group, 100.0) / 100 for group in ("I", "II", "III"))
    fourth = groups["IV"]
    figure = factor * (fourth**2 * groups.get("V", fourth)) ** (1 / 3)
    return Wqi(int(half_up(figure)), figure, scores, groups)


def category(value: float, table: Table = DECISION_1460) -> Category:
    """The class of a VN_WQI; of a figure before rounding, the class of the rounded one."""
    rounded = half_up(value)
    if not 0 <= rounded <= 100:
        raise ValueError(f"{value} is not a WQI")
    return next(one for one in table.categories if rounded <= one.high)


def _group_score_of(group: str, scores: list[float]) -> float:
    if group in ("II", "III"):
        return math.prod(scores) ** (1 / len(scores))
    return sum(scores) / len(scores)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy; KeyError for a name that is no parameter."""
    for name in values:
        if name not in PARAMETERS:
            raise KeyError(name)
    return dict(values)


def _full_saturation(temperature: float) -> float:
    """What water of a temperature (°C) can hold of oxygen, in mg/L."""
    return (
        14.652 - 0.41022 * temperature + 0.0079910 * temperature**2 - 0.000077774 * temperature**3
    )


# -- arrays --------------------------------------------------------------------------------------


def saturation(oxygen: ArrayLike, temperature: ArrayLike) -> Floats:
    """`saturation_of` for arrays."""
    degrees = np.asarray(temperature, np.float64)
    full = 14.652 - 0.41022 * degrees + 0.0079910 * degrees**2 - 0.000077774 * degrees**3
    full = np.where(full > 0, full, np.nan)
    return np.asarray(_clean(oxygen) / full * 100)


def score(parameter: str, values: ArrayLike, table: Table = DECISION_1460) -> Floats:
    """`score_of` for an array."""
    curve, clean = table.curve(parameter), _clean(values)
    found = np.interp(clean, curve.points, curve.scores, left=curve.below, right=curve.above)
    # Between less than two points np.interp takes NaN for the point.
    return np.where(np.isnan(clean), np.nan, found)


def combine(values: Grids, table: Table = DECISION_1460) -> WqiGrid:
    """`combine_of` for arrays of one shape."""
    given = _checked(values)
    shape = np.broadcast_shapes(*(np.shape(grid) for grid in given.values()))
    temperature = given.pop(TEMPERATURE, None)
    if "DO" in given:
        absent = np.full(shape, np.nan)
        given["DO"] = saturation(given["DO"], absent if temperature is None else temperature)
    scores: dict[str, Floats] = {}
    groups: dict[str, Floats] = {}
    there = np.zeros(shape, np.int8)
    in_fourth = np.zeros(shape, np.int8)
    for group, curves in table.groups.items():
        found = [score(p, given[p], table) for p in curves if p in given]
        scores |= dict(zip((p for p in curves if p in given), found, strict=True))
        if not found:
            continue
        stacked = np.stack([np.broadcast_to(one, shape) for one in found])
        groups[group], count = _group_score(group, stacked)
        there += count > 0
        if group == "IV":
            in_fourth = count
    figure = np.full(shape, np.nan)
    if "IV" in groups:
        fourth = groups["IV"]
        fifth = groups.get("V", fourth)
        figure = np.cbrt(fourth**2 * np.where(np.isnan(fifth), fourth, fifth))
        for group in ("I", "II", "III"):
            if group in groups:
                figure = figure * np.where(np.isnan(groups[group]), 1.0, groups[group] / 100)
        figure = np.where((in_fourth >= MIN_OF_GROUP_IV) & (there >= MIN_GROUPS), figure, np.nan)
    return WqiGrid(np.floor(figure + _HALF), figure, scores, groups)


def _group_score(group: str, scores: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """A group's score and how many of its parameters (first axis) are there."""
    present = ~np.isnan(scores)
    count = present.sum(axis=0).astype(np.int8)
    some = np.where(count > 0, count, 1)
    if group in ("II", "III"):
        figure = np.where(present, scores, 1.0).prod(axis=0) ** (1 / some)
    else:
        figure = np.where(present, scores, 0.0).sum(axis=0) / some
    return np.where(count > 0, figure, np.nan), count


def _clean(values: ArrayLike) -> Floats:
    """Numbers below zero and infinite ones as absent."""
    c = np.asarray(values, np.float64)
    return np.where((c >= 0) & (c < np.inf), c, np.nan)
