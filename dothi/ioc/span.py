"""The time a person looks at: today, 7 days, 30 days, this month, this year; and what it is
compared with."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from dothi.kernel.time import VN, day_start, local_date

Name = Literal["today", "7d", "30d", "month", "year"]
NAMES: tuple[Name, ...] = ("today", "7d", "30d", "month", "year")
_ROLLING = {"7d": timedelta(days=7), "30d": timedelta(days=30)}
_CHART: dict[Name, Literal["24h", "7d", "30d", "1y"]] = {
    "today": "24h", "7d": "7d", "30d": "30d", "month": "30d", "year": "1y",
}  # fmt: skip


@dataclass(frozen=True)
class Span:
    """From `start` to `end`, now. Today, month and year begin with the local day, month, year."""

    name: Name
    start: datetime
    end: datetime

    @classmethod
    def of(cls, name: str, now: datetime) -> Span:
        """The span of that name up to now; of an unknown name, today."""
        today = local_date(now, VN)
        if name in _ROLLING:
            return cls("7d" if name == "7d" else "30d", now - _ROLLING[name], now)
        if name == "month":
            return cls("month", day_start(today.replace(day=1), VN), now)
        if name == "year":
            return cls("year", day_start(date(today.year, 1, 1), VN), now)
        return cls("today", day_start(today, VN), now)

    def before(self, at: datetime) -> datetime:
        """The instant with which one of this span is compared: a day, 7 or 30 days, a month or a
        year earlier, at the same time of the day."""
        if self.name in _ROLLING:
            return at - _ROLLING[self.name]
        if self.name == "today":
            return at - timedelta(days=1)
        return months_before(at, 1 if self.name == "month" else 12)

    @property
    def previous(self) -> tuple[datetime, datetime]:
        """The stretch of time before that is as long as this one is so far."""
        return self.before(self.start), self.before(self.end)

    @property
    def last_year(self) -> tuple[datetime, datetime]:
        """The same stretch of last year."""
        return months_before(self.start, 12), months_before(self.end, 12)

    @property
    def chart(self) -> Literal["24h", "7d", "30d", "1y"]:
        """The chart's span that comes nearest."""
        return _CHART[self.name]

    @property
    def hours(self) -> int:
        """How far back a tile's curve goes."""
        return {"today": 24, "7d": 168, "30d": 720, "month": 720, "year": 8760}[self.name]


def months_before(at: datetime, months: int) -> datetime:
    """The same local time on the same day months earlier, or on that month's last day."""
    local = at.astimezone(VN)
    index = local.year * 12 + local.month - 1 - months
    year, month = divmod(index, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(at.tzinfo)
