"""Kernel functions that an indicator's SELECT may call as tables.

Such a function takes rows (stream, time, value), averages them to hours named by their end, and
gives for each station and period its own columns; the engine puts the key and `time` to them. What a parameter
means to it goes by the parameter's name in the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from dothi.kernel import aqi
from dothi.kernel.aqi import PARTICULATES, POLLUTANTS, AqiGrid, Floats, Grids

HOUR_US = 3_600_000_000
ARGUMENTS = ("stream", "time", "value")
_POLLUTANT = {
    "pm25": "PM2.5", "pm10": "PM10", "o3": "O3_1h", "no2": "NO2", "so2": "SO2", "co": "CO",
}  # fmt: skip
_PARAMETER = {pollutant: parameter for parameter, pollutant in _POLLUTANT.items()}
_HALF = 0.5 + 1e-9
"""Added before cutting: a true half may stand a hair below, as in `kernel.aqi`."""
_BLOCK = 200_000
"""Hours worked on at a time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class HourGrid:
    """Hourly means by parameter: a row for each thing, a column for each consecutive hour.

    The first column's hour begins at `start_us` (µs since 1970); `lead` columns stand before the
    first hour of the first period asked for. A parameter that nobody measures is left out.
    """

    start_us: int
    lead: int
    things: int
    hours: int
    means: dict[str, Floats]


@dataclass(frozen=True)
class Part:
    """One value that entered a figure: the hour's end, its mean, its weight in the figure."""

    at: datetime
    value: float
    weight: float


@dataclass(frozen=True)
class Step:
    """How one pollutant's index came about. `how`: nowcast, mean_1h, mean_24h, max_1h, max_8h.

    `figure` is the concentration (µg/m³) that went into the table, `index` what came out before
    rounding; None where it cannot be said. `parts` are the hourly means it rests on, latest first.
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
    )
}  # fmt: skip
