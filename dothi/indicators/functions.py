"""Kernel functions that an indicator's SELECT may call as tables.

Such a function takes rows (stream, time, value), averages them to hours named by their end, and
gives for each station and period its own columns; the engine puts the key and `time` to them. What a parameter
means to it goes by the parameter's name in the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from dothi.kernel import aqi, noise, wqi
from dothi.kernel.aqi import PARTICULATES, POLLUTANTS, AqiGrid, Floats, Grids

HOUR_US = 3_600_000_000
ARGUMENTS = ("stream", "time", "value")
_POLLUTANT = {
    "pm25": "PM2.5", "pm10": "PM10", "o3": "O3_1h", "no2": "NO2", "so2": "SO2", "co": "CO",
}  # fmt: skip
_PARAMETER = {pollutant: parameter for parameter, pollutant in _POLLUTANT.items()}
_WATER = {
    "ph": "pH", "temperature": wqi.TEMPERATURE, "do": "DO", "bod5": "BOD5", "cod": "COD",
    "toc": "TOC", "nh4": "NH4", "no3": "NO3", "no2": "NO2", "po4": "PO4",
    "coliform": "COLIFORM", "ecoli": "ECOLI", "arsenic": "As", "cadmium": "Cd", "lead": "Pb",
    "chromium6": "Cr6", "copper": "Cu", "zinc": "Zn", "mercury": "Hg", "aldrin": "Aldrin",
    "bhc": "BHC", "dieldrin": "Dieldrin", "ddt": "DDT", "heptachlor": "Heptachlor",
}  # fmt: skip
_GROUPS = {"group_1": "I", "group_2": "II", "group_3": "III", "group_4": "IV", "group_5": "V"}
_VN_HOURS = 7
"""What Vietnamese time is ahead of UTC by: limits of noise hold by the clock on the wall."""
_HALF = 0.5 + 1e-9
"""Added before cutting: a true half may stand a hair below, as in `kernel.aqi`."""
_BLOCK = 200_000
"""Hours worked on at a time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class HourGrid:
    """Hourly means by parameter: a row for each thing, a column for each consecutive hour.

    The first column's hour begins at `start_us` (µs since 1970); `lead` columns stand before the
    first hour of the first period asked for. A parameter that nobody measures is left out. `about`
    holds the properties of each thing.
    """

    start_us: int
    lead: int
    things: int
    hours: int
    means: dict[str, Floats]
    about: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Part:
    """One value that entered a figure: the hour's end, its mean, its weight in the figure."""

    at: datetime
    value: float
    weight: float


@dataclass(frozen=True)
class Step:
    """How one parameter's index came about. `how`: nowcast, mean_1h, mean_24h, max_1h, max_8h,
    mean_day (of the hours there are), level.

    `figure` is what went into the table (of air in µg/m³; the function's values for others), `index`
    what came out before rounding; None where it cannot be said. `parts` are the hourly means it rests
    on, latest first.
    """

    parameter: str
    pollutant: str
    how: str
    figure: float | None
    index: float | None
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class TableFunction:
    """A function, the version of its rule (counted up when results change), and its columns."""

    name: str
    version: int
    grain: str
    columns: tuple[str, ...]
    compute: Callable[[HourGrid, frozenset[str], int], dict[str, Floats]]
    """Of a grid and the number of periods asked for, the columns wanted: a row for each thing, a
    column for each period, NaN where there is nothing; one that is left out has nothing."""
    steps: Callable[[HourGrid], list[Step]]
    """How the last period of the first thing came about."""


def _hourly(grid: HourGrid, wanted: frozenset[str], periods: int) -> dict[str, Floats]:
    return _in_blocks(_pollutants(grid), wanted, aqi.hourly, slice(grid.lead, grid.lead + periods))


def _daily(grid: HourGrid, wanted: frozenset[str], periods: int) -> dict[str, Floats]:
    return _in_blocks(
        _whole_days(grid), wanted, lambda given: aqi.daily(given, grid.lead), slice(periods)
    )


def _pollutants(grid: HourGrid) -> Grids:
    return {_POLLUTANT[p]: means for p, means in grid.means.items() if p in _POLLUTANT}


def _whole_days(grid: HourGrid) -> Grids:
    end = grid.lead + max((grid.hours - grid.lead) // 24, 0) * 24
    return {p: means[:, :end] for p, means in _pollutants(grid).items()}


def _in_blocks(
    grids: Grids, wanted: frozenset[str], compute: Callable[[Grids], AqiGrid], kept: slice
) -> dict[str, Floats]:
    """The columns of all things; of the periods computed, those kept.

    Some things at a time, so that what is worked on stays in the processor's cache.
    """
    out: dict[str, Floats] = {}
    if not grids:
        return out
    things, hours = next(iter(grids.values())).shape
    size = max(1, _BLOCK // hours)
    for start in range(0, things, size):
        block = {pollutant: means[start : start + size] for pollutant, means in grids.items()}
        for name, values in _columns(compute(block), wanted):
            values = values[:, kept]
            if name not in out:
                out[name] = np.empty((things, values.shape[1]))
            out[name][start : start + size] = values
    return out


def _columns(result: AqiGrid, wanted: frozenset[str]) -> Iterator[tuple[str, Floats]]:
    if "aqi" in wanted:
        yield "aqi", result.value
    if "dominant" in wanted:
        yield "dominant", np.where(result.dominant < 0, np.nan, result.dominant)
    for pollutant, index in result.sub.items():
        if (name := f"aqi_{_column(pollutant)}") in wanted:
            yield name, np.floor(index + _HALF)


def _column(pollutant: str) -> str:
    return "o3_8h" if pollutant == "O3_8h" else _PARAMETER[pollutant]


# -- how a figure came about ----------------------------------------------------------------------


def _hourly_steps(grid: HourGrid) -> list[Step]:
    out = []
    for pollutant, means in _ordered(_pollutants(grid)):
        latest = means[0, ::-1]
        if pollutant in PARTICULATES:
            hours = [_number(c) for c in latest[: aqi.NOWCAST_HOURS]]
            figure, weights = aqi.nowcast_of(hours), _weights(hours)
            how = "nowcast"
        else:
            hours = [_number(latest[0])]
            figure, weights, how = hours[0], [1.0], "mean_1h"
        out.append(_step(grid, pollutant, how, figure, hours, weights, grid.hours))
    return out


def _daily_steps(grid: HourGrid) -> list[Step]:
    out = []
    given = _whole_days(grid)
    for pollutant, means in _ordered(given):
        values = means[0]
        day = [_number(c) for c in values[-24:][::-1]]
        present = [c for c in day if c is not None]
        enough = len(present) >= aqi.MIN_HOURS_OF_DAY
        if pollutant in PARTICULATES:
            figure = sum(present) / len(present) if enough else None
            weights = [1 / len(present) if present else 0.0] * len(day)
            out.append(_step(grid, pollutant, "mean_24h", figure, day, weights, len(values)))
            continue
        largest = max(present) if enough else None
        weights = [1.0 if c is not None and c == largest else 0.0 for c in day]
        out.append(_step(grid, pollutant, "max_1h", largest, day, weights, len(values)))
        if pollutant == "O3_1h":
            eights = aqi.mean_series(values, aqi.MEAN_HOURS, aqi.MIN_HOURS_OF_MEAN)[-24:][::-1]
            known = [_number(c) for c in eights]
            said = [c for c in known if c is not None]
            top = max(said) if len(said) >= aqi.MIN_HOURS_OF_DAY else None
            back = known.index(top) if top is not None else 0
            hours = [_number(c) for c in values[::-1][back : back + aqi.MEAN_HOURS]]
            count = sum(c is not None for c in hours)
            weights = [1 / count if count else 0.0] * len(hours)
            out.append(_step(grid, "O3_8h", "max_8h", top, hours, weights, len(values) - back))
    return out


def _step(
    grid: HourGrid, pollutant: str, how: str, figure: float | None,
    hours: list[float | None], weights: list[float], end: int,
) -> Step:  # fmt: skip
    """`hours` are latest first; the latest is column `end` − 1 of the grid."""
    parts = tuple(
        Part(_instant(grid.start_us + (end - back) * HOUR_US), value, weight)
        for back, (value, weight) in enumerate(zip(hours, weights, strict=True))
        if value is not None
    )
    index = aqi.sub_index_of(pollutant, figure)
    parameter = "o3" if pollutant == "O3_8h" else _PARAMETER[pollutant]
    return Step(parameter, pollutant, how, figure, index, parts)


def _weights(latest_first: list[float | None]) -> list[float]:
    """The share of each hour in the NowCast: w^0, w^1, … over the sum of those present."""
    present = [c for c in latest_first if c is not None]
    if not present:
        return [0.0] * len(latest_first)
    largest = max(present)
    w = max(min(present) / largest, 0.5) if largest > 0 else 0.5
    total = sum(w**i for i, c in enumerate(latest_first) if c is not None)
    return [w**i / total for i in range(len(latest_first))]


def _ordered(grids: Grids) -> list[tuple[str, Floats]]:
    return [(p, grids[p]) for p in POLLUTANTS if p in grids]


def _number(value: float) -> float | None:
    return float(value) if value >= 0 else None


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=int(us))


# -- air: the means that QCVN 05 has limits for ----------------------------------------------------

_MEANS_OF_DAY = {"so2_24h": "so2", "no2_24h": "no2", "pm10_24h": "pm10"}
_LARGEST_8H = {"co_8h": "co", "o3_8h": "o3"}


def _air_means(grid: HourGrid, wanted: frozenset[str], periods: int) -> dict[str, Floats]:
    """24-hour means and the largest 8-hour mean of each day, each with the hours it needs."""
    out: dict[str, Floats] = {}
    end = grid.lead + periods * 24
    for name, parameter in _MEANS_OF_DAY.items():
        if name in wanted and parameter in grid.means:
            hours = grid.means[parameter][:, grid.lead : end]
            out[name] = _mean_of_days(hours, aqi.MIN_HOURS_OF_DAY)
    for name, parameter in _LARGEST_8H.items():
        if name in wanted and parameter in grid.means:
            eights = aqi.mean_series(
                grid.means[parameter][:, :end], aqi.MEAN_HOURS, aqi.MIN_HOURS_OF_MEAN
            )
            out[name] = _largest_of_days(eights[:, grid.lead :], aqi.MIN_HOURS_OF_DAY)
    return out


def _air_means_steps(grid: HourGrid) -> list[Step]:
    out = []
    for name, parameter in (_MEANS_OF_DAY | _LARGEST_8H).items():
        if parameter in grid.means:
            values = grid.means[parameter]
            (figure,) = _air_means(grid, frozenset({name}), 1)[name][0]
            taken = values[0] if name in _LARGEST_8H else values[0, grid.lead :]
            how = "max_8h" if name in _LARGEST_8H else "mean_24h"
            out.append(_mean_step(grid, parameter, name, how, _number(figure), None, taken))
    return out


# -- water -----------------------------------------------------------------------------------------


def _wqi_daily(grid: HourGrid, wanted: frozenset[str], periods: int) -> dict[str, Floats]:
    given = _water(grid, periods)
    if not given:
        return {}
    found = wqi.combine(given)
    out = {"wqi": found.value}
    if "wqi_class" in wanted:
        highest = [one.high for one in wqi.DECISION_1460.categories]
        place = np.searchsorted(highest, np.nan_to_num(found.value)).astype(np.float64)
        out["wqi_class"] = np.where(np.isnan(found.value), np.nan, place)
    out |= {name: found.groups[group] for name, group in _GROUPS.items() if group in found.groups}
    scored = {f"wqi_{p}": found.scores.get(name) for p, name in _WATER.items()}
    out |= {name: values for name, values in scored.items() if values is not None}
    return {name: values for name, values in out.items() if name in wanted}


def _water(grid: HourGrid, periods: int) -> dict[str, Floats]:
    """The mean of each day by the names of `kernel.wqi`: of a sample, the sample."""
    end = grid.lead + periods * 24
    return {
        _WATER[p]: _mean_of_days(means[:, grid.lead : end], 1)
        for p, means in grid.means.items()
        if p in _WATER
    }


def _wqi_steps(grid: HourGrid) -> list[Step]:
    means = {name: _number(values[0, 0]) for name, values in _water(grid, 1).items()}
    found = wqi.combine_of(means)
    return [
        _mean_step(grid, p, name, "mean_day", means[name], found.scores.get(name),
                   grid.means[p][0, grid.lead :])
        for p, name in _WATER.items()
        if p in grid.means
    ]  # fmt: skip


# -- noise -----------------------------------------------------------------------------------------


def _noise_hourly(grid: HourGrid, wanted: frozenset[str], periods: int) -> dict[str, Floats]:
    """Of mean energies: level, limit of the station's area at that hour, how far above it."""
    if "laeq" not in grid.means:
        return {}
    first = grid.start_us // HOUR_US + grid.lead
    laeq = noise.level(grid.means["laeq"][:, grid.lead : grid.lead + periods])
    hours = (first + _VN_HOURS + np.arange(laeq.shape[1])) % 24
    limit = np.full(laeq.shape, np.nan)
    for row, about in enumerate(grid.about):
        if about.get("area") in noise.AREAS:
            limit[row] = noise.limit_of_hours(about["area"], hours)
    limit = np.where(np.isnan(laeq), np.nan, limit)
    out = {"laeq": laeq, "noise_limit": limit, "over": laeq - limit}
    return {name: values for name, values in out.items() if name in wanted}


def _noise_steps(grid: HourGrid) -> list[Step]:
    if "laeq" not in grid.means:
        return []
    values = grid.means["laeq"][0, grid.lead :]
    figure = _number(noise.level(values[-1]).item())
    return [_mean_step(grid, "laeq", "LAeq", "level", figure, None, values[-1:])]


def _mean_of_days(hours: Floats, min_hours: int) -> Floats:
    """The mean of each day's hours; NaN with fewer than `min_hours` of them."""
    days = hours.reshape(len(hours), -1, 24)
    present = ~np.isnan(days)
    count = present.sum(axis=-1)
    total = np.where(present, days, 0.0).sum(axis=-1)
    enough = count >= max(min_hours, 1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=enough)


def _largest_of_days(hours: Floats, min_hours: int) -> Floats:
    days = hours.reshape(len(hours), -1, 24)
    present = ~np.isnan(days)
    largest = np.where(present, days, -np.inf).max(axis=-1)
    return np.where(present.sum(axis=-1) >= max(min_hours, 1), largest, np.nan)


def _mean_step(
    grid: HourGrid, parameter: str, name: str, how: str, figure: float | None,
    index: float | None, hours: Floats,
) -> Step:  # fmt: skip
    """A figure of hours that end with the grid, all of one weight."""
    count = max(int((~np.isnan(hours)).sum()), 1)
    parts = tuple(
        Part(_instant(grid.start_us + (grid.hours - back) * HOUR_US), float(value), 1 / count)
        for back, value in enumerate(hours[::-1])
        if not np.isnan(value)
    )
    return Step(parameter, name, how, figure, index, parts)


_INDICES = tuple(f"aqi_{parameter}" for parameter in _POLLUTANT)

FUNCTIONS = {
    function.name: function
    for function in (
        TableFunction(
            "vn_aqi_hourly", 1, "hour", ("aqi", "dominant", *_INDICES), _hourly, _hourly_steps
        ),
        TableFunction(
            "vn_aqi_daily", 1, "day", ("aqi", "dominant", *_INDICES, "aqi_o3_8h"),
            _daily, _daily_steps,
        ),
        TableFunction(
            "air_means_daily", 1, "day", (*_MEANS_OF_DAY, *_LARGEST_8H),
            _air_means, _air_means_steps,
        ),
        TableFunction(
            "vn_wqi_daily", 1, "day",
            ("wqi", "wqi_class", *_GROUPS, *(f"wqi_{parameter}" for parameter in _WATER)),
            _wqi_daily, _wqi_steps,
        ),
        TableFunction(
            "noise_hourly", 1, "hour", ("laeq", "noise_limit", "over"), _noise_hourly, _noise_steps
        ),
    )
}  # fmt: skip
