"""Instants mean the same everywhere; local days begin when the zone says."""

import contextlib
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel.errors import Invalid
from dothi.kernel.time import (
    VN,
    day_bounds,
    floor_hour,
    local_date,
    named_zone,
    parse_instant,
    rfc3339,
    utc_now,
    zone,
)

BERLIN = ZoneInfo("Europe/Berlin")


def test_vietnam_is_seven_hours_ahead_without_daylight_saving() -> None:
    for month in range(1, 13):
        assert datetime(2025, month, 1, tzinfo=VN).utcoffset() == timedelta(hours=7)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2018-03-11T03:00:00+07:00", "2018-03-10T20:00:00Z"),
        ("2018-03-11T03:00:00Z", "2018-03-11T03:00:00Z"),
        ("2018-03-11 03:00+07", "2018-03-10T20:00:00Z"),
        ("2018-03-11t03:00:00.5z", "2018-03-11T03:00:00.500000Z"),
        ("20180311T030000+0700", "2018-03-10T20:00:00Z"),
        ("2018-03-11T24:00:00Z", "2018-03-12T00:00:00Z"),
        ("2018-03-11T03:00:00.123456789-00:30", "2018-03-11T03:30:00.123456Z"),
        (" 2018-03-11T03Z ", "2018-03-11T03:00:00Z"),
    ],
)
def test_iso_texts_with_an_offset_are_instants(text: str, utc: str) -> None:
    assert rfc3339(parse_instant(text)) == utc


@pytest.mark.parametrize(
    "text",
    ["", "today", "2018-03-11", "2018-02-29T00:00Z", "2018-03-11T25:00Z", "2018-03-11T24:01Z",
     "2018-03-11T03:60Z", "2018-03-11T03:00:00+24:00", "2018-03-11T03:00:00+07:60",
     "2018-03-11x03:00Z", "10000-01-01T00:00Z", "0001-01-01T00:00+07:00", "9999-12-31T24:00Z",
     "9999-12-31T23:00-07:00", "٢٠١٨-03-11T03:00Z", "2018-03-11T03:00:00Z\n2"],
)  # fmt: skip
def test_nonsense_is_refused_with_the_text_in_the_message(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_instant(text)
    assert text in str(caught.value)


def test_a_time_without_zone_needs_one_given() -> None:
    with pytest.raises(Invalid):
        parse_instant("2018-03-11T03:00:00")
    assert rfc3339(parse_instant("2018-03-11T03:00:00", VN)) == "2018-03-10T20:00:00Z"


def test_clock_changes_of_other_countries_are_not_guessed_away() -> None:
    with pytest.raises(Invalid, match="skipped"):
        parse_instant("2025-03-30T02:30", BERLIN)
    first = parse_instant("2025-10-26T02:30", BERLIN)
    assert rfc3339(first) == "2025-10-26T00:30:00Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_we_write_we_read(at: datetime) -> None:
    assert parse_instant(rfc3339(at)) == at


@given(st.text(max_size=40))
def test_any_text_is_an_instant_or_invalid(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert parse_instant(text, VN).tzinfo is UTC


def test_a_day_in_vietnam_begins_at_seventeen_utc() -> None:
    start, end = day_bounds(date(2025, 11, 21), VN)
    assert rfc3339(start) == "2025-11-20T17:00:00Z"
    assert end - start == timedelta(days=1)
    assert local_date(start, VN) == date(2025, 11, 21)
    assert local_date(end, VN) == date(2025, 11, 22)


def test_days_may_be_longer_and_may_begin_late() -> None:
    start, end = day_bounds(date(2025, 10, 26), BERLIN)
    assert end - start == timedelta(hours=25)
    # In Cairo the clocks jumped from 00:00 to 01:00 on 2025-04-25.
    start, end = day_bounds(date(2025, 4, 25), ZoneInfo("Africa/Cairo"))
    assert rfc3339(start) == "2025-04-24T22:00:00Z"
    assert end - start == timedelta(hours=23)


def test_the_last_day_of_the_calendar_has_an_end() -> None:
    assert day_bounds(date.max, VN)[1] - day_bounds(date.max, VN)[0] == timedelta(days=1)
    west = timezone(timedelta(hours=-7))
    start, end = day_bounds(date.max, west)
    assert start < end
    with pytest.raises(Invalid):
        day_bounds(date.min, VN)


@given(st.datetimes(min_value=datetime(1990, 1, 1), timezones=st.just(UTC)))
def test_full_hours_are_those_of_the_local_clock(at: datetime) -> None:
    for local in (VN, zone("+05:30"), BERLIN):
        floor = floor_hour(at, local)
        assert timedelta(0) <= at - floor < timedelta(hours=1)
        assert floor.astimezone(local).minute == 0


def test_zones_have_names_or_offsets() -> None:
    assert zone("Asia/Ho_Chi_Minh") is VN
    assert zone("UTC") is UTC
    assert datetime(2025, 1, 1, tzinfo=zone("-03:30")).utcoffset() == -timedelta(hours=3.5)
    for name in ("", "Hà Nội", "../../etc/passwd", "/etc/localtime", "+25:00", "+07:75", "a\0b"):
        with pytest.raises(Invalid):
            zone(name)


def test_now_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC


@pytest.mark.parametrize("hours", range(-12, 15))
def test_a_zone_by_its_offset_has_the_name_of_the_same_zone(hours: int) -> None:
    at = datetime(2026, 1, 5, 8)
    offset = f"{hours:+03d}:00"
    assert at.replace(tzinfo=zone(offset)) == at.replace(tzinfo=zone(named_zone(offset)))


def test_a_zone_without_a_name_that_databases_know_is_refused() -> None:
    assert [named_zone(name) for name in ("Asia/Ho_Chi_Minh", "Z")] == ["Asia/Ho_Chi_Minh", "UTC"]
    for name in ("+05:30", "+15:00", "-13:00", "nowhere"):
        with pytest.raises(Invalid):
            named_zone(name)
