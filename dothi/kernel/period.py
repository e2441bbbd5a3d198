"""Reporting periods: an hour, day, month, quarter or year of a local calendar."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, Self, get_args

from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import date as date_text
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, day_bounds, day_start, floor_hour, local_date

Grain = Literal["hour", "day", "month", "quarter", "year"]
GRAINS: tuple[Grain, ...] = get_args(Grain)

_HOUR = timedelta(hours=1)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_QUARTERS = ("I", "II", "III", "IV")
_CODE = re.compile(
    r"(?P<year>\d{4})(?:-Q(?P<quarter>[1-4])"
    r"|-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:T(?P<hour>\d\d))?)?)?",
    re.ASCII,
)


@dataclass(frozen=True, order=True)
class Period:
    """One period; `start` (included) is in UTC and is the period's first instant in `zone`."""

    start: datetime
    grain: Grain
    zone: tzinfo = VN

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC or self.start != _start(self.grain, self.start, self.zone):
            raise ValueError(f"{self.start} does not begin a {self.grain} in {self.zone}")

    @classmethod
    def containing(cls, grain: Grain, at: datetime, zone: tzinfo = VN) -> Self:
        """The period of that grain in which the instant falls."""
        return cls(_start(grain, at, zone), grain, zone)

    @classmethod
    def of_date(cls, grain: Grain, day: date, zone: tzinfo = VN) -> Self:
        """The day, month, quarter or year to which a calendar date belongs."""
        return cls(day_start(_first_day(grain, day), zone), grain, zone)

    @classmethod
    def parse(cls, code: str, zone: tzinfo = VN) -> Self:
        """The period written as 2025, 2025-Q4, 2025-11, 2025-11-21 or 2025-11-21T14."""
        parts = _CODE.fullmatch(code)
        try:
            if parts is None:
                raise ValueError(code)
            year, month, day = int(parts["year"]), parts["month"], parts["day"]
            if parts["hour"]:
                local = datetime(year, int(month), int(day), int(parts["hour"]), tzinfo=zone)
                return cls.containing("hour", local.astimezone(UTC), zone)
            if parts["quarter"]:
                return cls.of_date("quarter", date(year, 3 * int(parts["quarter"]) - 2, 1), zone)
            grain: Grain = "day" if day else "month" if month else "year"
            return cls.of_date(grain, date(year, int(month or 1), int(day or 1)), zone)
        except (ValueError, OverflowError) as error:
            raise Invalid("kernel.bad_period", text=code) from error

    @property
    def end(self) -> datetime:
        """The first instant after the period, in UTC; the end of year 9999 at the latest."""
        if self.grain == "hour":
            return self.start + _HOUR
        return day_bounds(self.last_day, self.zone)[1]

    @property
    def first_day(self) -> date:
        """The calendar date on which the period begins."""
        return local_date(self.start, self.zone)

    @property
    def last_day(self) -> date:
        """The calendar date on which the period ends."""
        first = self.first_day
        if self.grain in ("hour", "day"):
            return first
        last_month = first.month + _MONTHS[self.grain] - 1
        if last_month == 12:
            return date(first.year, 12, 31)
        return date(first.year, last_month + 1, 1) - timedelta(days=1)

    def next(self) -> Self:
        """The period that follows. Invalid after year 9999."""
        if self.grain == "hour":
            return self._at(self.start, _HOUR)
        if self.last_day == date.max:
            raise Invalid("kernel.beyond_calendar")
        return type(self).of_date(self.grain, self.last_day + timedelta(days=1), self.zone)

    def previous(self) -> Self:
        """The period before. Invalid before year 1."""
        if self.grain == "hour":
            return self._at(self.start, -_HOUR)
        if self.first_day == date.min:
            raise Invalid("kernel.beyond_calendar")
        return type(self).of_date(self.grain, self.first_day - timedelta(days=1), self.zone)

    def a_year_earlier(self) -> Self | None:
        """The same period of last year; None for 29 February, which has none to compare with."""
        first = self.first_day
        if first.year == 1:
            raise Invalid("kernel.beyond_calendar")
        if (first.month, first.day) == (2, 29):
            return None
        before = first.replace(year=first.year - 1)
        if self.grain != "hour":
            return type(self).of_date(self.grain, before, self.zone)
        local = self.start.astimezone(self.zone)
        earlier = local.replace(year=before.year).astimezone(UTC)
        return type(self).containing("hour", earlier, self.zone)

    @property
    def code(self) -> str:
        """The period as `parse` reads it, for addresses and machines."""
        first = self.first_day
        match self.grain:
            case "year":
                return f"{first.year:04d}"
            case "quarter":
                return f"{first.year:04d}-Q{_quarter(first)}"
            case "month":
                return f"{first.year:04d}-{first.month:02d}"
            case "day":
                return first.isoformat()
        return f"{first.isoformat()}T{self.start.astimezone(self.zone).hour:02d}"

    def label(self, lang: str) -> str:
        """The period for a person: Quý IV/2025, Q4 2025."""
        first = self.first_day
        if self.grain == "day":
            return date_text(first, lang)
        quarter = _quarter(first)
        return t(
            f"kernel.period_{self.grain}",
            lang,
            year=f"{first.year:04d}",
            month=t(f"kernel.month_{first.month}", lang),
            quarter=_QUARTERS[quarter - 1] if lang == "vi" else quarter,
            day=date_text(first, lang),
            hour=f"{self.start.astimezone(self.zone).hour:02d}:00",
        )

    def in_sentence(self, lang: str) -> str:
        """The period inside a sentence: "tháng 10/2026"."""
        label = self.label(lang)
        return label[:1].lower() + label[1:] if lang == "vi" else label

    def _at(self, start: datetime, step: timedelta) -> Self:
        try:
            return type(self)(start + step, self.grain, self.zone)
        except OverflowError as error:
            raise Invalid("kernel.beyond_calendar") from error


def _start(grain: Grain, at: datetime, zone: tzinfo) -> datetime:
    if grain == "hour":
        return floor_hour(at, zone)
    return day_start(_first_day(grain, local_date(at, zone)), zone)


def _first_day(grain: Grain, day: date) -> date:
    if grain == "day":
        return day
    if grain not in _MONTHS:
        raise ValueError(f"a date alone does not name a {grain}")
    size = _MONTHS[grain]
    return date(day.year, day.month - (day.month - 1) % size, 1)


def _quarter(day: date) -> int:
    return (day.month + 2) // 3
