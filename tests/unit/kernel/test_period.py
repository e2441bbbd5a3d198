"""Reporting periods follow the local calendar from year 1 to year 9999."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel.errors import Invalid
from dothi.kernel.period import GRAINS, Grain, Period
from dothi.kernel.time import VN

DATED: list[Grain] = ["day", "month", "quarter", "year"]
instants = st.datetimes(
    min_value=datetime(2, 1, 3), max_value=datetime(9998, 12, 30), timezones=st.just(UTC)
)


@pytest.mark.parametrize(
    ("code", "vi", "en", "start", "end"),
    [
        ("2025", "Năm 2025", "2025", "2024-12-31T17", "2025-12-31T17"),
        ("2025-Q4", "Quý IV/2025", "Q4 2025", "2025-09-30T17", "2025-12-31T17"),
        ("2024-02", "Tháng 2/2024", "February 2024", "2024-01-31T17", "2024-02-29T17"),
        ("2025-11-21", "21/11/2025", "21 Nov 2025", "2025-11-20T17", "2025-11-21T17"),
        ("2025-11-21T14", "14:00 ngày 21/11/2025", "14:00, 21 Nov 2025", "2025-11-21T07", "2025-11-21T08"),
    ],
)  # fmt: skip
def test_a_period_has_a_code_a_label_and_bounds(
    code: str, vi: str, en: str, start: str, end: str
) -> None:
    period = Period.parse(code)
    assert period.code == code
    assert (period.label("vi"), period.label("en")) == (vi, en)
    assert period.start == datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert period.end == datetime.fromisoformat(end).replace(tzinfo=UTC)


@given(st.sampled_from(GRAINS), instants)
def test_every_instant_lies_in_one_period_and_periods_follow_without_gap(
    grain: Grain, at: datetime
) -> None:
    period = Period.containing(grain, at)
    assert period.start <= at < period.end
    assert period.next().start == period.end
    assert period.next().previous() == period
    assert Period.parse(period.code) == period
    assert period.label("vi")


@given(st.sampled_from(GRAINS), st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)))
def test_clock_changes_leave_no_gap(grain: Grain, at: datetime) -> None:
    for name in ("Europe/Berlin", "Africa/Cairo"):
        period = Period.containing(grain, at.replace(tzinfo=UTC), ZoneInfo(name))
        assert period.start <= at.replace(tzinfo=UTC) < period.end == period.next().start
        assert period.next().previous() == period


def test_last_year_is_compared_with_the_same_period() -> None:
    def earlier(code: str) -> str | None:
        period = Period.parse(code).a_year_earlier()
        return period and period.code

    assert earlier("2025-Q4") == "2024-Q4"
    assert earlier("2024-02") == "2023-02"
    assert earlier("2025-11-21T14") == "2024-11-21T14"
    assert earlier("2024-02-29") is None
    assert earlier("2024-02-29T10") is None


def test_the_calendar_has_a_first_and_a_last_period() -> None:
    for grain in DATED:
        last = Period.of_date(grain, date(9999, 12, 31))
        assert last.start < last.end
        assert last.last_day == date.max
        with pytest.raises(Invalid):
            last.next()
        with pytest.raises(Invalid):
            Period.of_date(grain, date.min)
        first = Period.of_date(grain, date.min, UTC)
        with pytest.raises(Invalid):
            first.previous()
    with pytest.raises(Invalid):
        Period.containing("hour", datetime.max.replace(tzinfo=UTC), UTC).next()
    with pytest.raises(Invalid):
        Period.containing("day", datetime.max.replace(tzinfo=UTC), VN)


@pytest.mark.parametrize(
    "code",
    ["", "25", "2025-13", "2025-Q5", "2025-2", "2025-02-30", "2025-11-21T24", "2025-11-21T1",
     "0000", "20255", "2025-Q4 ", "２０２５"],
)  # fmt: skip
def test_nonsense_is_not_a_period(code: str) -> None:
    with pytest.raises(Invalid):
        Period.parse(code)


def test_a_period_cannot_begin_in_the_middle() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        Period(datetime(2025, 11, 21, tzinfo=UTC), "day", VN)


def test_periods_of_a_grain_sort_in_time() -> None:
    months = [Period.parse(f"2025-{month:02d}") for month in range(1, 13)]
    assert sorted(months) == months
    assert sum((m.end - m.start for m in months), timedelta(0)) == timedelta(days=365)


def test_a_period_inside_a_sentence_begins_small_in_vietnamese() -> None:
    month = Period.parse("2026-10")
    assert (month.in_sentence("vi"), month.in_sentence("en")) == ("tháng 10/2026", "October 2026")
