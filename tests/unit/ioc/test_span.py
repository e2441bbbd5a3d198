"""The time ranges of the overview, and with what each is compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.ioc.span import NAMES, Span, months_before
from dothi.kernel.time import VN

NOON = datetime(2026, 3, 31, 12, 0, tzinfo=VN)
MOMENTS = st.datetimes(datetime(2021, 1, 1), datetime(2035, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("name", "start", "before"),
    [
        ("today", datetime(2026, 3, 31, tzinfo=VN), datetime(2026, 3, 30, 12, tzinfo=VN)),
        ("7d", datetime(2026, 3, 24, 12, tzinfo=VN), datetime(2026, 3, 24, 12, tzinfo=VN)),
        ("30d", datetime(2026, 3, 1, 12, tzinfo=VN), datetime(2026, 3, 1, 12, tzinfo=VN)),
        ("month", datetime(2026, 3, 1, tzinfo=VN), datetime(2026, 2, 28, 12, tzinfo=VN)),
        ("year", datetime(2026, 1, 1, tzinfo=VN), datetime(2025, 3, 31, 12, tzinfo=VN)),
        ("nonsense", datetime(2026, 3, 31, tzinfo=VN), datetime(2026, 3, 30, 12, tzinfo=VN)),
    ],
)
def test_each_range_begins_and_is_compared_where_a_person_expects(
    name: str, start: datetime, before: datetime
) -> None:
    span = Span.of(name, NOON)
    assert (span.start, span.end) == (start, NOON)
    assert span.before(NOON) == before


def test_the_29th_of_february_is_compared_with_the_28th_of_the_year_before() -> None:
    leap = datetime(2028, 2, 29, 8, 0, tzinfo=VN)
    assert Span.of("year", leap).before(leap) == datetime(2027, 2, 28, 8, 0, tzinfo=VN)


@given(MOMENTS, st.sampled_from(NAMES))
def test_the_stretch_before_ends_no_later_than_this_one_begins_or_overlaps_by_less_than_a_month(
    now: datetime, name: str
) -> None:
    span = Span.of(name, now)
    start, end = span.previous
    assert start <= end < span.end
    assert span.start - end <= timedelta(days=366)
    assert span.last_year[1] < span.end - timedelta(days=364)


@given(MOMENTS, st.integers(0, 60))
def test_going_back_months_keeps_the_local_time_and_never_the_wrong_month(
    at: datetime, months: int
) -> None:
    local, was = at.astimezone(VN), months_before(at, months).astimezone(VN)
    assert was.timetz() == local.timetz()
    assert (local.year * 12 + local.month) - (was.year * 12 + was.month) == months
    assert was.day <= local.day
