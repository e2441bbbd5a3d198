"""Working days: as the notices say where there are some, and counted as one counts on a calendar."""

from datetime import date, timedelta
from itertools import takewhile

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel import workdays
from dothi.kernel.errors import Invalid
from dothi.kernel.workdays import add_working_days, day, is_working_day, working_days_between

DAY = timedelta(days=1)


def days(*spans: str) -> set[date]:
    """Days of the form "2026-02-16..20" or "2026-01-01"."""
    found = set()
    for span in spans:
        first, _, last = span.partition("..")
        start = date.fromisoformat(first)
        found |= {start.replace(day=d) for d in range(start.day, int(last or start.day) + 1)}
    return found


# What the notices and the Labour Code close on weekdays, and which Saturdays work instead.
NOTICES = {
    2024: (
        days("2024-01-01", "2024-02-08..9", "2024-02-12..14", "2024-04-18", "2024-04-29..30",
             "2024-05-01", "2024-09-02..3"),
        days("2024-05-04"),
    ),
    2025: (
        days("2025-01-01", "2025-01-27..31", "2025-04-07", "2025-04-30", "2025-05-01..2",
             "2025-09-01..2"),
        days("2025-04-26"),
    ),
    2026: (
        days("2026-01-01..2", "2026-02-16..20", "2026-04-27", "2026-04-30", "2026-05-01",
             "2026-08-31", "2026-09-01..2", "2026-11-24"),
        days("2026-01-10", "2026-08-22"),
    ),
}  # fmt: skip


def whole(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + n * DAY for n in range((date(year + 1, 1, 1) - first).days)]


@pytest.mark.parametrize("year", NOTICES)
def test_every_day_is_as_the_notices_say(year: int) -> None:
    off, on = NOTICES[year]
    for one in whole(year):
        works = one in on or (one.weekday() < 5 and one not in off)
        assert is_working_day(one) == day(one).working == works, one
        assert day(one).source == "notice"


@pytest.mark.parametrize("year", NOTICES)
def test_every_special_day_has_a_name_and_a_ground_in_both_languages(year: int) -> None:
    off, on = NOTICES[year]
    special = workdays.special_days(year)
    assert off | on <= {one.on for one in special}
    for one in special:
        assert one.name is not None
        assert all(one.name[lang] and one.ground[lang] for lang in ("vi", "en"))
        if one.other is not None:
            other = day(one.other)
            assert (other.other, other.working) == (one.on, not one.working)


def test_the_library_misses_one_exchange_only() -> None:
    """When it learns of it, or differs elsewhere, somebody has to look."""
    differ = set()
    for year in NOTICES:
        library = holidays.country_holidays("VN", years=year)
        works = {on for on in library.weekend_workdays if on.year == year}
        for one in whole(year):
            if is_working_day(one) != (one in works or (one.weekday() < 5 and one not in library)):
                differ.add(one)
    assert differ == days("2026-01-02", "2026-01-10")


def test_a_year_without_notices_says_so() -> None:
    tet, usual = day(date(2027, 2, 8)), day(date(2027, 3, 1))
    assert not tet.working
    assert tet.name is not None and tet.name["vi"] == "Mùng ba Tết Nguyên Đán"
    assert usual.working and usual.name is None
    for one in (tet, usual):
        assert (one.source, one.verify) == ("library", True)
        assert "chưa có thông báo chính thức" in one.ground["vi"]
    assert not workdays.settled(2027)
    # Exchanges of the past are the library's too.
    assert day(date(2019, 5, 4)).working and not is_working_day(date(2019, 4, 29))


def test_what_waits_for_confirmation_is_marked() -> None:
    assert day(date(2026, 1, 2)).verify
    assert not day(date(2026, 1, 1)).verify


def test_years_nobody_knows_are_refused() -> None:
    for on in (date(1999, 12, 31), date(2101, 1, 1)):
        with pytest.raises(Invalid) as refused:
            is_working_day(on)
        assert refused.value.key == "calendar.unknown_year"


def test_a_term_skips_tet_and_the_exchanged_day() -> None:
    assert add_working_days(date(2026, 2, 13), 1) == date(2026, 2, 23)
    assert add_working_days(date(2025, 12, 31), 6) == date(2026, 1, 10)  # a Saturday that works
    assert add_working_days(date(2026, 1, 2), 0) == date(2026, 1, 5)
    assert working_days_between(date(2025, 12, 31), date(2026, 1, 12)) == 7


NEAR = st.dates(date(2023, 6, 1), date(2028, 6, 30))


def step_by_step(start: date, count: int) -> date:
    """Walk from day to day, counting those that work."""
    if count == 0:
        while not is_working_day(start):
            start += DAY
        return start
    left, step = abs(count), DAY if count > 0 else -DAY
    while left:
        start += step
        left -= is_working_day(start)
    return start


@given(NEAR, st.integers(-300, 300))
def test_a_term_ends_where_walking_day_by_day_ends(start: date, count: int) -> None:
    assert add_working_days(start, count) == step_by_step(start, count)


@given(NEAR, st.integers(0, 900))
def test_days_between_are_those_one_counts(start: date, length: int) -> None:
    end = start + length * DAY
    after = (start + n * DAY for n in range(1, length + 1))
    count = sum(is_working_day(one) for one in takewhile(lambda one: one <= end, after))
    assert working_days_between(start, end) == count
    assert working_days_between(end, start) == -count


@given(NEAR, st.integers(1, 250))
def test_a_term_holds_as_many_working_days_as_it_has(start: date, count: int) -> None:
    end = add_working_days(start, count)
    assert is_working_day(end)
    assert working_days_between(start, end) == count
