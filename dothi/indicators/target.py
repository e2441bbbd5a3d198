"""Targets (mục tiêu, kế hoạch giao) of indicators and scores: what they say, and which one counts.

A target is never changed: a newer one takes its place on the days it holds. So on any day exactly one
counts, or none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from dothi.kernel.period import Grain, Period

Direction = Literal["at_least", "at_most", "between"]
DIRECTIONS: tuple[Direction, ...] = ("at_least", "at_most", "between")
PROVINCE = "*"
LONGEST_GROUND = 500
FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Within these years targets are set."""
MOST = 1e9
"""A bound is smaller than that in size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A target as somebody sets it.

    `measure` is an indicator or a score, `part` its output or component; `place` the whole province
    (`*`), `agency:CODE` or `unit:CODE`; `grain` the length of the periods whose figures it judges.
    Below `low` or above `high`, in the figure's own unit, it is missed; without both it takes back what
    counted before. In force from `valid_from` to `valid_to`, both included. `ground` is the document
    that sets it, of `ground_date`; `verify`: nobody has compared it with the original yet.
    """

    measure: str
    part: str
    place: str = PROVINCE
    grain: Grain
    low: float | None = None
    high: float | None = None
    valid_from: date
    valid_to: date | None = None
    ground: str
    ground_date: date | None = None
    verify: bool = False

    @property
    def direction(self) -> Direction | None:
        """None: it takes back."""
        if self.low is None:
            return None if self.high is None else "at_most"
        return "at_least" if self.high is None else "between"

    def holds(self, day: date) -> bool:
        """Whether a day lies in its validity."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def difference(self, value: float) -> float:
        """The figure less the bound that counts for it; 0 between two bounds."""
        if self.low is not None and (self.high is None or value < self.low):
            return value - self.low
        if self.high is not None and (self.low is None or value > self.high):
            return value - self.high
        return 0.0

    def met(self, value: float) -> bool:
        """Whether a figure is on track (đạt mục tiêu)."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Draft):
    """A target that was set: by whom, when. The later one has the higher `id`."""

    id: int
    set_at: datetime
    set_by: str
    setter_name: str


def counting(targets: Iterable[Target], day: date) -> Target | None:
    """Of the targets of one measure, part, place and grain the one that counts on a day."""
    newest = max((one for one in targets if one.holds(day)), key=lambda one: one.id, default=None)
    return newest if newest and newest.direction else None


def chosen(
    targets: Sequence[Target], part: str, places: Sequence[str], period: Period
) -> Target | None:
    """The target for a figure of a period: that of the first of `places` for which one counts on the
    period's first day. Only a target for periods of the same length is compared with."""
    for place in places:
        there = (t for t in targets if (t.part, t.place, t.grain) == (part, place, period.grain))
        if (found := counting(there, period.first_day)) is not None:
            return found
    return None


def for_period(targets: Sequence[Target], part: str, place: str, period: Period) -> Target | None:
    """The target for all of a period: the one that counts on its last day, and where none says
    anything of that day, on its first. So what was set or changed within the period counts for it."""
    there = [t for t in targets if (t.part, t.place, t.grain) == (part, place, period.grain)]
    for day in (period.last_day, period.first_day):
        if any(one.holds(day) for one in there):
            return counting(there, day)
    return None


def bound(text: str) -> float:
    """A number as people type it, with a decimal comma or point. Raises ValueError, also for what
    could be thousands or decimals ("1.234")."""
    plain = re.sub(r"\s", "", text)
    if "," in plain and "." in plain:  # thousands stand before decimals, in either custom
        thousands = "," if plain.rindex(".") > plain.rindex(",") else "."
        plain = plain.replace(thousands, "")
    elif re.fullmatch(r"-?[1-9]\d{0,2}[.,]\d{3}", plain):
        raise ValueError(text)
    value = float(plain.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def day_of(text: str) -> date | None:
    """A day as 2026-11-21 or 21/11/2026; None for no text. Raises ValueError."""
    plain = text.strip()
    if not plain:
        return None
    if match := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", plain):
        return date(int(match[3]), int(match[2]), int(match[1]))
    return date.fromisoformat(plain)
