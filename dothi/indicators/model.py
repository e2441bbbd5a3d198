"""What an indicator is: its definition in words and SQL, its outputs, its limits, its values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Literal

from dothi.kernel.period import Grain, Period
from dothi.kernel.time import zone
from dothi.lake.columns import APART, OverUnits

Severity = Literal["notice", "warning", "urgent"]
Better = Literal["higher", "lower", "none"]
"""Which way a figure should move; none: neither way is good in itself."""
SEVERITIES: tuple[Severity, ...] = ("notice", "warning", "urgent")
DIRECTIONS: tuple[Better, ...] = ("higher", "lower", "none")
SIZES: Mapping[Grain, timedelta] = {
    "hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=31),
    "quarter": timedelta(days=92), "year": timedelta(days=366),
}  # fmt: skip
"""How long a period of each grain is, or the longest of them."""
FRESHNESS: Mapping[Grain, timedelta] = {
    "hour": timedelta(days=2), "day": timedelta(days=2), "month": timedelta(days=45),
    "quarter": timedelta(days=125), "year": timedelta(days=460),
}  # fmt: skip
"""How old a figure may be, counted from its period's end, where its file says nothing: of months,
quarters and years until the next one should have been reported."""
_TICK = timedelta(microseconds=1)


SUM_GRAINS: dict[Grain, tuple[Grain, ...]] = {
    "hour": (), "day": ("month", "quarter", "year"), "month": ("quarter", "year"),
    "quarter": ("year",), "year": (),
}  # fmt: skip
"""By the length of an indicator's periods the longer ones over which its counts are added."""


@dataclass(frozen=True)
class Output:
    """One figure of an indicator. `labels`: what whole numbers stand for, where they are names."""

    name: str
    title: dict[str, str]
    unit: str
    decimals: int
    labels: dict[int, dict[str, str]]
    over_units: OverUnits = APART
    better: Better = "none"
    over_time: bool = False
    """Whether figures of shorter periods are added for a longer one: of counts, never of rates."""


@dataclass(frozen=True)
class Threshold:
    """A limit in force from a date to a date (both included); passed by values above `limit`.

    `verify`: somebody still has to confirm it against its source.
    """

    output: str
    limit: float
    valid_from: date | None
    valid_to: date | None
    severity: Severity
    title: dict[str, str]
    source: str
    verify: bool = False

    def in_force(self, on: date) -> bool:
        """Whether it held on that date."""
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_to is None or on <= self.valid_to
        )


@dataclass(frozen=True)
class Definition:
    """An indicator as its file says it. `inputs`: datasets it reads and which parameters of each.

    An output of a period [a, b) rests on what was measured from a − `lookback` to b + `lookahead`.
    Outputs of hours carry the hour's end as their instant, those of longer periods the beginning.
    """

    name: str
    pack: str
    owner: str
    title: dict[str, str]
    words: dict[str, str]
    source: str
    inputs: dict[str, tuple[str, ...]]
    key: tuple[str, ...]
    grain: Grain
    zone: str
    lookback: timedelta
    lookahead: timedelta
    freshness: timedelta
    outputs: tuple[Output, ...]
    thresholds: tuple[Threshold, ...]
    sql: str
    sql_line: int
    path: str
    text: str
    formulas: tuple[str, ...] = ()
    """Kernel functions the SELECT calls, with the version of each."""
    verify: dict[str, str] | None = None
    """What somebody still has to confirm before the figures are official, by language."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the file and the versions of the kernel's functions it calls."""
        return hashlib.sha256("\n".join((self.text, *self.formulas)).encode()).hexdigest()

    def output(self, name: str) -> Output:
        """The output of that name; KeyError when there is none."""
        for output in self.outputs:
            if output.name == name:
                return output
        raise KeyError(name)

    @property
    def size(self) -> timedelta:
        """The length of a period of this grain, the longest there is."""
        return SIZES[self.grain]

    @property
    def by_calendar(self) -> bool:
        """Whether its periods are months, quarters or years, whose lengths differ."""
        return self.grain not in ("hour", "day")

    def period_at(self, t: datetime) -> Period:
        """The period of an output's instant."""
        inside = t - _TICK if self.grain == "hour" else t
        return Period.containing(self.grain, inside, zone(self.zone))

    def instant_of(self, period: Period) -> datetime:
        """The instant that outputs of a period carry."""
        return period.end if self.grain == "hour" else period.start

    def instants_before(self, t: datetime, count: int, every: int = 1) -> list[datetime]:
        """An output's instant with `count` earlier ones, each `every` periods before the next, the
        oldest first."""
        if not self.by_calendar:
            return [t - self.size * every * k for k in range(count, -1, -1)]
        out, period = [t], self.period_at(t)
        for _ in range(count):
            for _ in range(every):
                period = period.previous()
            out.append(self.instant_of(period))
        return out[::-1]

    def periods_in(self, longer: Period) -> list[Period]:
        """The periods of this definition in a longer one, the first one first."""
        out: list[Period] = []
        one = Period.containing(self.grain, longer.start, longer.zone)
        while one.start < longer.end:
            out.append(one)
            one = Period.containing(self.grain, one.end, longer.zone)
        return out

    def limits(self, output: str, on: date) -> list[Threshold]:
        """The thresholds of an output in force on a date, lowest first."""
        found = [t for t in self.thresholds if t.output == output and t.in_force(on)]
        return sorted(found, key=lambda t: t.limit)

    def exceeded(self, output: str, value: float, on: date) -> tuple[int, Threshold | None]:
        """How many limits a value of that date passes (0: none), and the highest of them."""
        passed = [t for t in self.limits(output, on) if value > t.limit]
        return len(passed), passed[-1] if passed else None
