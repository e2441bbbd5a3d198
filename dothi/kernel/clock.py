"""Deadlines in working time: when work is due, and how much of a budget is left.

Pure rules on instants; the hours of an office, holidays and swapped days are data of the caller.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property, lru_cache
from typing import Self

from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.time import VN, day_bounds, local_date

Hours = tuple[time, time]
"""From and to on one day; a "to" of 00:00 is the end of that day."""

Span = tuple[datetime, datetime]
Pause = tuple[datetime, datetime | None]
"""Since when and until when work stood still; None: it still does."""

_MIDNIGHT = time(0)
_ALL_DAY: tuple[Hours, ...] = ((_MIDNIGHT, _MIDNIGHT),)
_DAY = timedelta(days=1)
_NONE = timedelta(0)
# A calendar without an hour of work for ten years cannot carry a deadline.
_GIVE_UP_AFTER_DAYS = 3_653


@dataclass(frozen=True)
class Calendar:
    """When an agency works: hours by weekday (0 is Monday), days off, and days with other hours.

    `other_days` gives the hours of single dates and wins over `days_off` and the week: a working
    Saturday in exchange for a holiday, or a half day.
    """

    week: Mapping[int, tuple[Hours, ...]]
    days_off: frozenset[date] = frozenset()
    other_days: Mapping[date, tuple[Hours, ...]] = field(default_factory=dict)
    zone: tzinfo = VN

    def __post_init__(self) -> None:
        faults = [
            Fault(f"week.{weekday}", "kernel.calendar_weekday", {"weekday": weekday})
            for weekday in self.week
            if weekday not in range(7)
        ]
        for weekday, hours in self.week.items():
            faults += _hour_faults(f"week.{weekday}", hours)
        for day, hours in self.other_days.items():
            faults += _hour_faults(f"other_days.{day.isoformat()}", hours)
        if faults:
            raise Invalid("kernel.calendar_invalid", faults=faults)

    @classmethod
    def always(cls) -> Self:
        """Every hour of every day: for alarms and emergencies."""
        return cls(dict.fromkeys(range(7), _ALL_DAY), zone=UTC)

    @classmethod
    def office_hours(
        cls,
        hours: Iterable[Hours],
        *,
        weekdays: Iterable[int] = range(5),
        days_off: Iterable[date] = (),
        other_days: Mapping[date, tuple[Hours, ...]] | None = None,
        zone: tzinfo = VN,
    ) -> Self:
        """The same hours on each working weekday, Monday to Friday unless said otherwise."""
        week = dict.fromkeys(weekdays, tuple(hours))
        return cls(week, frozenset(days_off), other_days or {}, zone)

    def hours(self, day: date) -> tuple[Hours, ...]:
        """The working hours of a date; none on a day off."""
        other = self.other_days.get(day)
        if other is not None:
            return other
        return () if day in self.days_off else self.week.get(day.weekday(), ())

    def advance(self, start: datetime, budget: timedelta) -> datetime:
        """The first instant by which `budget` of working time has passed since `start`, in UTC.

        A budget that ends with the working day ends then, not the next morning. Invalid where the
        calendar has not so much working time.
        """
        if budget < _NONE:
            raise ValueError("a budget of working time cannot be negative")
        start = start.astimezone(UTC)
        if budget == _NONE:
            return start
        try:
            if self._unbroken:
                return start + budget
            for opens, closes in self._spans_from(start):
                if closes - opens >= budget:
                    return opens + budget
                budget -= closes - opens
        except OverflowError:
            pass
        raise Invalid("kernel.calendar_exhausted")

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """The working time between two instants; negative where the end lies before the start."""
        start, end = start.astimezone(UTC), end.astimezone(UTC)
        if end < start:
            return -self.elapsed(end, start)
        if self._unbroken:
            return end - start
        total = _NONE
        for opens, closes in self._spans_from(start, local_date(end, self.zone)):
            total += max(_NONE, min(closes, end) - opens)
        return total

    def _spans_from(self, start: datetime, last: date = date.max) -> Iterator[Span]:
        """Stretches of work after `start`, the first cut to begin there."""
        day = local_date(start, self.zone)
        idle = 0
        while idle < _GIVE_UP_AFTER_DAYS or last < date.max:
            hours = self.hours(day)
            for opens, closes in _spans(hours, day, self.zone) if hours else ():
                if closes > start:
                    yield max(opens, start), closes
            if day >= last:
                return
            idle = 0 if hours else idle + 1
            day += _DAY

    @cached_property
    def _unbroken(self) -> bool:
        every_day = all(self.week.get(weekday) == _ALL_DAY for weekday in range(7))
        return every_day and not self.days_off and not self.other_days


@dataclass(frozen=True)
class Clock:
    """A budget of working time that runs since `started`, except during the pauses."""

    started: datetime
    budget: timedelta
    calendar: Calendar
    pauses: tuple[Pause, ...] = ()

    def __post_init__(self) -> None:
        if self.budget < _NONE:
            raise ValueError("a budget of working time cannot be negative")
        if any(until is not None and until < since for since, until in self.pauses):
            raise ValueError("a pause cannot end before it begins")

    @property
    def paused(self) -> bool:
        """Whether the clock stands still at the moment."""
        return any(until is None for _, until in self.pauses)

    def due(self) -> datetime | None:
        """When the budget is used up, in UTC; None while a pause that came earlier still lasts."""
        left = self.budget
        at: datetime | None = self.started
        for since, until in self._standstills():
            run = self.calendar.elapsed(at, since)
            if run >= left:
                break
            left -= run
            if until is None:
                return None
            at = until
        return self.calendar.advance(at, left)

    def used(self, now: datetime) -> timedelta:
        """The working time that has run until `now`."""
        total = _NONE
        at = self.started
        for since, until in self._standstills():
            if since >= now:
                break
            total += self.calendar.elapsed(at, since)
            if until is None or until >= now:
                return total
            at = until
        return total + max(_NONE, self.calendar.elapsed(at, now))

    def remaining(self, now: datetime) -> timedelta:
        """The working time left at `now`; below zero it is the working time overdue."""
        return self.budget - self.used(now)

    def _standstills(self) -> list[Pause]:
        """The pauses in order, those that touch made one, nothing before the start."""
        merged: list[Pause] = []
        for since, until in sorted(self.pauses, key=lambda pause: pause[0]):
            if until is not None and until <= self.started:
                continue
            since = max(since, self.started)
            if merged:
                before, ended = merged[-1]
                if ended is None:
                    break
                if since <= ended:
                    merged[-1] = (before, None if until is None else max(ended, until))
                    continue
            merged.append((since, until))
        return merged


@lru_cache(maxsize=65_536)
def _spans(hours: tuple[Hours, ...], day: date, zone: tzinfo) -> tuple[Span, ...]:
    """The hours of a date as instants in UTC."""
    spans: list[Span] = []
    midnight = day_bounds(day, zone)[1]
    for start, end in hours:
        opens = datetime.combine(day, start, zone).astimezone(UTC)
        if spans:
            # Where the clocks jump over a break, the two sides must not overlap.
            opens = max(opens, spans[-1][1])
        closes = midnight if end == _MIDNIGHT else datetime.combine(day, end, zone).astimezone(UTC)
        spans.append((opens, max(opens, closes)))
    return tuple(spans)


def _hour_faults(where: str, hours: Iterable[Hours]) -> list[Fault]:
    faults: list[Fault] = []
    before: time | None = None
    for start, end in hours:
        shown = {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}
        if end != _MIDNIGHT and end <= start:
            faults.append(Fault(where, "kernel.calendar_backwards", shown))
        elif before is not None and (before == _MIDNIGHT or start < before):
            faults.append(Fault(where, "kernel.calendar_overlap", shown))
        before = end
    return faults
