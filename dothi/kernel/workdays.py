"""Which days offices in Việt Nam work: Monday to Friday but for days off and Saturdays in exchange.

Years with official notices stand day by day in `workdays.toml`. All others are computed by the
library `holidays` (lunar new year, the Hùng Kings, days in lieu) and say that no notice is known:
which days around Tết are off, and what is exchanged, is decided by notice only.

Counting follows the Civil Code 2015, articles 147 and 148: the day on which a term begins does not
count, and a term whose last day is a day off ends on the next working day.
"""

import tomllib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import LANGS, t

DATA = Path(__file__).with_name("workdays.toml")
FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Of these years the lunar days are known."""

Source = Literal["notice", "library"]
Texts = Mapping[str, str]


@dataclass(frozen=True)
class Day:
    """A date, whether offices work on it, why, and who says so.

    `name` and `ground` by language; a day like any other of its weekday has no name. `source` is
    "notice" in a year whose notices are known. `other`: the day it was exchanged with. `verify`:
    the ground still has to be confirmed against the document.
    """

    on: date
    working: bool
    source: Source
    name: Texts | None
    ground: Texts
    other: date | None = None
    verify: bool = False


def day(on: date) -> Day:
    """What is known of a date. Raises Invalid outside 2000 to 2100."""
    found = _special(on.year).get(on)
    if found is not None:
        return found
    settled = on.year in _settled()
    return Day(
        on=on,
        working=on.weekday() < 5,
        source="notice" if settled else "library",
        name=None,
        ground=_both("calendar.usual" if settled else "calendar.no_notice"),
        verify=not settled,
    )


def is_working_day(on: date) -> bool:
    """Whether offices work on that date."""
    days = _working(on.year)
    place = bisect_left(days, on.toordinal())
    return place < len(days) and days[place] == on.toordinal()


def working_days_between(start: date, end: date) -> int:
    """How many working days come after `start`, up to and with `end`; negative backwards."""
    if end < start:
        return -working_days_between(end, start)
    between = sum(len(_working(year)) for year in range(start.year, end.year))
    return between + _until(end) - _until(start)


def add_working_days(start: date, count: int) -> date:
    """The last day of a term of `count` working days that begins on `start`.

    `start` itself does not count. None: `start`, or the next working day where it is a day off.
    Below zero: so many working days before `start`.
    """
    year, days = start.year, _working(start.year)
    if count > 0:
        place = bisect_right(days, start.toordinal()) + count - 1
    else:
        place = bisect_left(days, start.toordinal()) + count
    while place >= len(days):
        place -= len(days)
        year += 1
        days = _working(year)
    while place < 0:
        year -= 1
        days = _working(year)
        place += len(days)
    return date.fromordinal(days[place])


def special_days(year: int) -> tuple[Day, ...]:
    """A year's holidays, also those on a weekend, and working Saturdays, in order."""
    found = _special(year)
    return tuple(found[on] for on in sorted(found))


def settled(year: int) -> bool:
    """Whether the official notices of that year are known."""
    return year in _settled()


def _until(on: date) -> int:
    """How many working days of its year have come with that date."""
    return bisect_right(_working(on.year), on.toordinal())


@cache
def _working(year: int) -> tuple[int, ...]:
    """The ordinals of a year's working days."""
    special = _special(year)
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    usual = {n for n in range(first, last + 1) if (n - 1) % 7 < 5}
    on = {one.on.toordinal() for one in special.values() if one.working}
    off = {one.on.toordinal() for one in special.values() if not one.working}
    return tuple(sorted((usual | on) - off))


@cache
def _special(year: int) -> Mapping[date, Day]:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Invalid("calendar.unknown_year", year=year, first=FIRST_YEAR, last=LAST_YEAR)
    return MappingProxyType(_settled().get(year) or _computed(year))


@cache
def _settled() -> Mapping[int, Mapping[date, Day]]:
    """The days of `workdays.toml` by year."""
    doc = tomllib.loads(DATA.read_text(encoding="utf-8"))
    years: dict[int, dict[date, Day]] = {}
    for year, entries in doc["year"].items():
        days = years[int(year)] = {}
        for entry in entries:
            ground, other = doc["ground"][entry["ground"]], entry.get("other")
            days[entry["date"]] = Day(
                on=entry["date"],
                working=entry.get("works", False),
                source="notice",
                name=_both(f"calendar.{entry['name']}", other=other),
                ground={lang: ground[lang] for lang in LANGS},
                other=other,
                verify=ground["verify"],
            )
    return years


def _computed(year: int) -> dict[date, Day]:
    """A year by the library alone."""
    # Loading it costs more than half a second, and years with notices do not need it.
    import holidays

    of_year = {
        lang: holidays.country_holidays("VN", years=year, language=code)
        for lang, code in (("vi", "vi"), ("en", "en_US"))
    }
    ground = _both("calendar.no_notice")
    found = {
        on: Day(on, False, "library", {lang: of_year[lang][on] for lang in LANGS}, ground,
                verify=True)
        for on in of_year["vi"]
    }  # fmt: skip
    name = _both("calendar.swapped_on_library")
    for on in of_year["vi"].weekend_workdays:
        if on.year == year:
            found[on] = Day(on, True, "library", name, ground, verify=True)
    return found


def _both(key: str, **params: object) -> Texts:
    return {lang: t(key, lang, **params) for lang in LANGS}
