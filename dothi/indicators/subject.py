"""An indicator with what it is computed on, and how instants, periods and arrays meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dothi.indicators.functions import HOUR_US
from dothi.indicators.model import Definition
from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.lake.read import View
from dothi.lake.registry import Dataset, Stream, Thing

TICK = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Relation = Callable[[View, Dataset, Sequence[int] | None, datetime, datetime], str]
"""What stands for a dataset's rows: (view, dataset, streams or None for all, first, last instant)
→ relation."""


@dataclass(frozen=True)
class Input:
    """A dataset that an indicator reads, with its streams of the parameters it names.

    `complete`: these are all the streams it has.
    """

    dataset: Dataset
    streams: Mapping[int, Stream]
    complete: bool

    @property
    def ends(self) -> bool:
        """Whether a value carries the end of the interval it was measured in."""
        time = self.dataset.contract.time
        return time is not None and time.stamp == "end"


@dataclass(frozen=True)
class Subject:
    """An indicator ready to be computed: its own dataset, its inputs, the things they measure."""

    definition: Definition
    dataset: Dataset
    inputs: tuple[Input, ...]
    things: tuple[Thing, ...]


def current(
    view: View, dataset: Dataset, streams: Sequence[int] | None, a: datetime, b: datetime
) -> str:
    """A dataset's rows as they are."""
    return view.series(dataset, streams=streams, start=a, end=b)


def reach(definition: Definition, a: datetime, b: datetime) -> tuple[Period, Period]:
    """The first and the last period that something measured from a to b can touch."""
    local = zone(definition.zone)
    start, end = a - definition.lookahead - TICK, b + definition.lookback
    return (
        Period.containing(definition.grain, start, local),
        Period.containing(definition.grain, end, local),
    )


def span_of(definition: Definition, first: Period, last: Period) -> tuple[datetime, datetime]:
    """From when to when the inputs of these periods were measured."""
    return first.start - definition.lookback, last.end + definition.lookahead


def inside(given: Input, a: datetime, b: datetime) -> tuple[datetime, datetime]:
    """The first and the last instant that a value measured from a to b can carry."""
    return (a + TICK, b) if given.ends else (a, b - TICK)


def instants_of(definition: Definition, first: Period, last: Period) -> NDArray[np.int64]:
    """The instants that figures of these periods carry, in µs since 1970."""
    low, high = (micros(definition.instant_of(p)) for p in (first, last))
    if definition.grain == "hour":
        return np.arange(low, high + 1, HOUR_US)
    out = []
    period = first
    while True:
        out.append(micros(definition.instant_of(period)))
        if out[-1] >= high:
            return np.array(out, np.int64)
        period = period.next()


def micros(t: datetime) -> int:
    """An instant in µs since 1970."""
    return (t - _EPOCH) // TICK


def instant(us: int) -> datetime:
    """The instant of a number of µs since 1970."""
    return _EPOCH + timedelta(microseconds=us)
