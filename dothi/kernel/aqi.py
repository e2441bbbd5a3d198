"""VN_AQI, the Vietnamese air quality index: Decision 1459/QĐ-TCMT of 12/11/2019.

All concentrations are in µg/m³, CO too. Time is counted in hours named by their end: 01:00 is the
hour from 00:00 to 01:00, and a day runs from 01:00 to 00:00.

Functions on arrays take NaN for an absent value and give NaN for "cannot be said"; those on single
numbers (`..._of`) take and give None. Both read the same table, and the array functions treat every
hour alike wherever it stands in the array, so a part computed again equals the whole.

What the Decision leaves open, and what is done here:

- NowCast is normalised by the sum of its weights for both cases of w. The Decision prints the case
  w = 1/2 without that; with all twelve hours the difference is 0.025 %, with gaps it would be large.
- Rounding is half up. Binary arithmetic may leave a true half a hair below (42.4999999999), so
  whatever lies within 1e-9 below a half counts as the half. The NowCast itself is not rounded.
- A value below zero (an instrument's noise around nothing) is not used: the weights of the NowCast
  and the table have no meaning there. It is treated as absent, not as zero.
- Above the last row of the table the index stays 500.
- How many hours a daily figure needs is not in the Decision; see `MIN_HOURS_OF_DAY`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dothi.kernel.i18n import t

Floats = NDArray[np.float64]
Grids = Mapping[str, Floats]

POLLUTANTS = ("PM2.5", "PM10", "O3_8h", "O3_1h", "NO2", "SO2", "CO")
"""The names used throughout; where two have exactly the same largest index, the earlier leads."""
PARTICULATES = ("PM2.5", "PM10")
"""At least one of these is required for a VN_AQI."""

NOWCAST_HOURS = 12
MEAN_HOURS = 8
MIN_HOURS_OF_DAY = 18
"""Hours needed for a daily mean or maximum: 75 % of 24. Our own choice, verify."""
MIN_HOURS_OF_MEAN = 6
"""Hours needed for an 8-hour mean: 75 % of 8. Our own choice, verify."""
_HALF_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Category:
    """A class of VN_AQI with its official colour; `high` is included."""

    code: str
    low: int
    high: int
    rgb: tuple[int, int, int]

    def name(self, lang: str) -> str:
        """Its name for people."""
        return t(f"aqi.{self.code}", lang)


@dataclass(frozen=True)
class Table:
    """Break points of the index by pollutant in µg/m³, as an instrument in force gives them.

    The last figure of `index` is also that of everything above. A pollutant whose row is shorter
    than `index` has no index above its last figure.
    """

    source: str
    valid_from: date
    valid_to: date | None
    index: tuple[int, ...]
    concentrations: Mapping[str, tuple[int, ...]]
    categories: tuple[Category, ...]


DECISION_1459 = Table(
    source="Quyết định 1459/QĐ-TCMT ngày 12/11/2019",
    valid_from=date(2019, 11, 12),
    valid_to=None,
    index=(0, 50, 100, 150, 200, 300, 400, 500),
    concentrations=MappingProxyType(
        {
            "PM2.5": (0, 25, 50, 80, 150, 250, 350, 500),
            "PM10": (0, 50, 150, 250, 350, 420, 500, 600),
            "O3_8h": (0, 100, 120, 170, 210, 400),
            "O3_1h": (0, 160, 200, 300, 400, 800, 1_000, 1_200),
            "NO2": (0, 100, 200, 700, 1_200, 2_350, 3_100, 3_850),
            "SO2": (0, 125, 350, 550, 800, 1_600, 2_100, 2_630),
            "CO": (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000),
        }
    ),
    categories=(
        Category("good", 0, 50, (0, 228, 0)),
        Category("moderate", 51, 100, (255, 255, 0)),
        Category("poor", 101, 150, (255, 126, 0)),
        Category("bad", 151, 200, (255, 0, 0)),
        Category("very_bad", 201, 300, (143, 63, 151)),
        Category("hazardous", 301, 500, (126, 0, 35)),
    ),
)


@dataclass(frozen=True)
class Aqi:
    """One VN_AQI: the number, its pollutant, and each pollutant's index before rounding.

    `value` and `dominant` are None where neither PM10 nor PM2.5 has an index.
    """

    value: int | None
    dominant: str | None
    sub: Mapping[str, float | None]


@dataclass(frozen=True)
class AqiGrid:
    """Many VN_AQI of one shape: whole numbers or NaN, and the place of the dominant pollutant in
    `POLLUTANTS` or −1; `sub` holds each pollutant's index before rounding."""

    value: Floats
    dominant: NDArray[np.int8]
    sub: dict[str, Floats]


# -- single values -------------------------------------------------------------------------------


def nowcast_of(latest_first: Sequence[float | None]) -> float | None:
    """NowCast of up to twelve hourly means, the present hour first.

    Weights w^0, w^1, …, with w = min/max of the values but at least 1/2. None unless two of the
    three latest hours are there.
    """
    hours = [_usable(c) for c in latest_first[:NOWCAST_HOURS]]
    present = [c for c in hours if c is not None]
    if sum(c is not None for c in hours[:3]) < 2:
        return None
    largest = max(present)
    weight = max(min(present) / largest, 0.5) if largest > 0 else 0.5
    total = weights = 0.0
    for c in reversed(hours):
        total = total * weight + (c or 0.0)
        weights = weights * weight + (c is not None)
    return total / weights


def sub_index_of(
    pollutant: str, concentration: float | None, table: Table = DECISION_1459
) -> float | None:
    """A pollutant's index before rounding; None without a value and for 8-hour O3 above 400."""
    c = _usable(concentration)
    points = table.concentrations[pollutant]
    if c is None:
        return None
    for place in range(1, len(points)):
        low, high = points[place - 1], points[place]
        if c < high:
            start, end = table.index[place - 1], table.index[place]
            return (end - start) / (high - low) * (c - low) + start
    if c > points[-1] and len(points) < len(table.index):
        return None
    return float(table.index[len(points) - 1])


def combine_of(concentrations: Mapping[str, float | None], table: Table = DECISION_1459) -> Aqi:
    """The VN_AQI of an hour or a day from the figure each pollutant has for it.

    Hour: NowCast of PM10 and PM2.5, 1-hour means of gases. Day: 24-hour means of PM10 and PM2.5,
    the largest 8-hour mean and 1-hour mean of O3, the largest 1-hour mean of other gases.
    """
    sub = {p: sub_index_of(p, concentrations[p], table) for p in _in_order(concentrations)}
    if all(sub.get(p) is None for p in PARTICULATES):
        return Aqi(None, None, sub)
    known = {p: index for p, index in sub.items() if index is not None}
    dominant = max(known, key=lambda p: known[p])
    return Aqi(int(half_up(known[dominant])), dominant, sub)


def category(value: float, table: Table = DECISION_1459) -> Category:
    """The class of a VN_AQI; of a figure before rounding, the class of the rounded one."""
    rounded = half_up(value)
    if not rounded >= 0:
        raise ValueError(f"{value} is not an AQI")
    for one in table.categories:
        if rounded <= one.high:
            return one
    return table.categories[-1]


def half_up(value: float) -> float:
    """The nearest whole number, halves up."""
    return math.floor(value + (0.5 + _HALF_TOLERANCE)) if math.isfinite(value) else value


def _in_order(given: Mapping[str, object]) -> list[str]:
    """The pollutants given, in the order of preference; KeyError for a name that is none."""
    for name in given:
        if name not in POLLUTANTS:
            raise KeyError(name)
    return [pollutant for pollutant in POLLUTANTS if pollutant in given]


def _usable(c: float | None) -> float | None:
    return float(c) if c is not None and 0 <= c < math.inf else None


# -- arrays --------------------------------------------------------------------------------------


def nowcast(latest_first: ArrayLike) -> Floats:
    """`nowcast_of` along the last axis (at most twelve hours, the present one first)."""
    c = _clean(latest_first)
    if c.shape[-1] == 0:
        return np.full(c.shape[:-1], np.nan)
    return nowcast_series(c[..., NOWCAST_HOURS - 1 :: -1])[..., -1]


def nowcast_series(hourly_means: ArrayLike) -> Floats:
    """NowCast of every hour of a series of consecutive hours (last axis, oldest first).

    Hours before the first are absent, so to continue a series give the eleven hours before it too.
    """
    values = _clean(hourly_means)
    n = values.shape[-1]
    before = NOWCAST_HOURS - 1
    rows = values.reshape(-1, n)
    result = np.empty_like(rows)
    rows_at_once = max(1, _BLOCK // max(n, 1))
    for row in range(0, len(rows), rows_at_once):
        group = rows[row : row + rows_at_once]
        padded = np.full((len(group), n + before), np.nan)
        padded[:, before:] = group
        for hour in range(0, n, _BLOCK):
            width = min(_BLOCK, n - hour)
            block = padded[:, hour : hour + width + before]
            result[row : row + rows_at_once, hour : hour + width] = _nowcast_of_block(block)
    return result.reshape(values.shape)


def sub_index(pollutant: str, concentration: ArrayLike, table: Table = DECISION_1459) -> Floats:
    """`sub_index_of` for an array."""
    return _sub_index(pollutant, _clean(concentration), table)


def combine(concentrations: Grids, table: Table = DECISION_1459) -> AqiGrid:
    """`combine_of` for arrays of one shape."""
    sub: dict[str, Floats] = {}
    shape = np.broadcast_shapes(*(np.shape(grid) for grid in concentrations.values()))
    largest = np.full(shape, -1.0)
    dominant = np.full(shape, -1, np.int8)
    unknown = np.ones(shape, bool)
    for pollutant in _in_order(concentrations):
        index = sub[pollutant] = sub_index(pollutant, concentrations[pollutant], table)
        larger = index > largest
        np.copyto(largest, index, where=larger)
        np.copyto(dominant, np.int8(POLLUTANTS.index(pollutant)), where=larger)
        if pollutant in PARTICULATES:
            unknown &= np.isnan(index)
    value = np.add(largest, 0.5 + _HALF_TOLERANCE, out=largest)
    np.floor(value, out=value)
    np.copyto(value, np.nan, where=unknown)
    np.copyto(dominant, np.int8(-1), where=unknown)
    return AqiGrid(value, dominant, sub)


def hourly(means: Grids, table: Table = DECISION_1459) -> AqiGrid:
    """VN_AQI of every hour from series of hourly means (last axis, oldest first, no hour left out).

    For PM10 and PM2.5 the eleven hours before the first count as absent: give them too and drop
    their results where they exist. Of O3 the Decision takes the 1-hour mean.
    """
    return combine(
        {p: nowcast_series(c) if p in PARTICULATES else c for p, c in means.items()}, table
    )


def daily(
    means: Grids,
    lead_hours: int = 0,
    *,
    min_hours: int = MIN_HOURS_OF_DAY,
    min_hours_of_mean: int = MIN_HOURS_OF_MEAN,
    table: Table = DECISION_1459,
) -> AqiGrid:
    """VN_AQI of every day from series of hourly means whose last axis holds whole days.

    `lead_hours` hours stand before 01:00 of the first day; the 8-hour means of O3 use the last
    seven of them. The 8-hour means of O3 are made here from "O3_1h" unless a series of them is given
    as "O3_8h". A pollutant with fewer than `min_hours` hours on a day is left out of that day.
    """
    figures: dict[str, Floats] = {}
    for pollutant, grid in means.items():
        values = _clean(grid)
        days = _days(values[..., lead_hours:])
        if pollutant in PARTICULATES:
            figures[pollutant] = _mean(days, min_hours)
            continue
        figures[pollutant] = _largest(days, min_hours)
        if pollutant == "O3_1h" and "O3_8h" not in means:
            means_of_8h = mean_series(values, MEAN_HOURS, min_hours_of_mean)[..., lead_hours:]
            figures["O3_8h"] = _largest(_days(means_of_8h), min_hours)
    return combine(figures, table)


def mean_series(hourly_means: ArrayLike, hours: int, min_hours: int) -> Floats:
    """Mean of each hour and the `hours` − 1 before it; NaN with fewer than `min_hours` values."""
    values = _clean(hourly_means)
    n = values.shape[-1]
    padded = np.full((*values.shape[:-1], n + hours - 1), np.nan)
    padded[..., hours - 1 :] = values
    absent = np.isnan(padded)
    padded[absent] = 0.0
    total = np.zeros_like(values)
    count = np.zeros(values.shape, np.int16)
    # Sums of the same few numbers in the same order everywhere; a running sum would drift.
    for back in range(hours):
        total += padded[..., back : back + n]
        count += ~absent[..., back : back + n]
    return np.divide(
        total, count, out=np.full_like(total, np.nan), where=count >= max(min_hours, 1)
    )


# Hours worked on at a time: more cost the processor's cache, fewer cost calls.
_BLOCK = 32_768


def _nowcast_of_block(hours: Floats) -> Floats:
    """NowCast of each hour that has eleven before it; in the order of `nowcast_of`."""
    absent = np.isnan(hours)
    values = np.where(absent, 0.0, hours)
    present = (~absent).astype(np.float64)
    smallest = _over_twelve(np.minimum, np.where(absent, np.inf, hours))
    largest = _over_twelve(np.maximum, values)
    width = largest.shape[-1]
    weight = np.divide(smallest, largest, out=np.zeros(largest.shape), where=largest > 0)
    np.maximum(weight, 0.5, out=weight)
    total, weights = values[:, :width].copy(), present[:, :width].copy()
    for back in range(1, NOWCAST_HOURS):
        total *= weight
        total += values[:, back : back + width]
        weights *= weight
        weights += present[:, back : back + width]
    recent = sum(present[:, NOWCAST_HOURS - 1 - lag :][:, :width] for lag in range(3))
    return np.divide(total, weights, out=np.full(total.shape, np.nan), where=recent >= 2)


def _over_twelve(extreme: np.ufunc, hours: Floats) -> Floats:
    """The extreme of each hour and the eleven before it, out of those of two, four and eight."""
    two = extreme(hours[:, 1:], hours[:, :-1])
    four = extreme(two[:, 2:], two[:, :-2])
    eight = extreme(four[:, 4:], four[:, :-4])
    return extreme(eight[:, 4:], four[:, :-8])


def _sub_index(pollutant: str, clean: Floats, table: Table) -> Floats:
    points = table.concentrations[pollutant]
    above = table.index[-1] if len(points) == len(table.index) else np.nan
    return np.interp(clean, points, table.index[: len(points)], right=above)


def _clean(values: ArrayLike) -> Floats:
    """Numbers below zero and infinite ones as absent."""
    c = np.asarray(values, np.float64)
    usable = (c >= 0) & (c < np.inf)
    return c if usable.all() else np.where(usable, c, np.nan)


def _days(hours: Floats) -> Floats:
    n = hours.shape[-1]
    if n % 24:
        raise ValueError(f"{n} hours are not whole days")
    return hours.reshape(*hours.shape[:-1], n // 24, 24)


def _mean(days: Floats, min_hours: int) -> Floats:
    present = ~np.isnan(days)
    count = present.sum(axis=-1)
    total = np.where(present, days, 0.0).sum(axis=-1)
    return np.divide(
        total, count, out=np.full(total.shape, np.nan), where=count >= max(min_hours, 1)
    )


def _largest(days: Floats, min_hours: int) -> Floats:
    count = (~np.isnan(days)).sum(axis=-1)
    return np.where(count >= max(min_hours, 1), np.fmax.reduce(days, axis=-1), np.nan)
