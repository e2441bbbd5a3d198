"""Shifts and turns: who is where when, checked against a model that looks at every minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from dothi.kernel import workdays
from dothi.kernel.time import VN, parse_instant
from dothi.work.duty.brief import Line, Section, compared, edited
from dothi.work.duty.model import (
    Days,
    DutyRole,
    Person,
    Shift,
    Turn,
    at,
    brief_day,
    brief_span,
    clashes,
    turns,
    week_of,
)

MONDAY = date(2026, 4, 27)  # its Thursday and Friday (30/4, 1/5) are holidays
NIGHT = Shift(1, 7, "Ca đêm", time(22), time(6), Days.EVERY, date(2026, 1, 1))

clocks = st.times(min_value=time(0), max_value=time(23, 59)).map(
    lambda t: t.replace(second=0, microsecond=0)
)
shifts_ = st.builds(
    Shift,
    st.integers(1, 9),
    st.just(7),
    st.just("Ca"),
    clocks,
    clocks,
    st.sampled_from(Days),
    st.dates(MONDAY - timedelta(days=3), MONDAY + timedelta(days=4)),
    st.none() | st.dates(MONDAY + timedelta(days=5), MONDAY + timedelta(days=9)),
)


@st.composite
def rosters(draw: st.DrawFn) -> list[Turn]:
    """A week and the days around it, with people in some of its turns."""
    kept = draw(st.lists(shifts_, max_size=4, unique_by=lambda s: s.id))
    days = [MONDAY + timedelta(days=n) for n in range(-1, 8)]
    places = [(s.id, day) for s in kept for day in days if s.on(day)]
    people = [
        Person(shift, day, account, f"Người {account}", draw(st.sampled_from(DutyRole)))
        for shift, day in places
        for account in draw(st.sets(st.integers(1, 3), max_size=2))
    ]
    return turns(kept, people, days[0], days[-1])


def local_minutes(turn: Turn) -> set[datetime]:
    """Every minute of a turn on the clock on the wall, found by walking from its beginning until
    the clock shows its end: the naive model."""
    found = set()
    now = datetime.combine(turn.day, turn.shift.begins)
    while True:
        found.add(now)
        now += timedelta(minutes=1)
        if now.time() == turn.shift.ends:
            return found


@settings(max_examples=40, deadline=None)
@given(rosters(), st.integers(0, 7 * 24 * 60))
def test_who_is_on_duty_agrees_with_the_clock_on_the_wall(found: list[Turn], minute: int) -> None:
    wall = datetime.combine(MONDAY, time(0)) + timedelta(minutes=minute)
    instant = wall.replace(tzinfo=VN).astimezone(UTC)
    expected = [turn for turn in found if wall in local_minutes(turn)]
    assert at(found, instant) == expected
    assert at(found, instant + timedelta(seconds=59)) == expected


@settings(max_examples=60, deadline=None)
@given(rosters())
def test_no_double_booking_is_overlooked_and_none_is_invented(found: list[Turn]) -> None:
    minutes = [(turn, p.account_id, local_minutes(turn)) for turn in found for p in turn.people]
    expected = {
        (one[1], frozenset({id(one[0]), id(other[0])}))
        for n, one in enumerate(minutes)
        for other in minutes[n + 1 :]
        if one[1] == other[1] and not one[2].isdisjoint(other[2])
    }
    said = {(c.account_id, frozenset({id(c.first), id(c.second)})) for c in clashes(found)}
    assert said == expected


def test_a_shift_across_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    (turn,) = turns([NIGHT], [], MONDAY, MONDAY)
    assert turn.start == parse_instant("2026-04-27 22:00", VN)
    assert turn.end == parse_instant("2026-04-28 06:00", VN)
    assert at([turn], parse_instant("2026-04-28 00:00", VN)) == [turn]
    assert at([turn], turn.end) == []


def test_a_shift_whose_hours_meet_lasts_a_whole_day() -> None:
    whole = Shift(1, 7, "Trực 24 giờ", time(7), time(7), Days.EVERY, MONDAY)
    start, end = whole.span(MONDAY)
    assert end - start == timedelta(days=1)


@settings(deadline=None)  # the library of holidays takes a second to load
@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)))
def test_shifts_of_working_days_and_of_days_off_share_every_day(day: date) -> None:
    def shift(days: Days) -> Shift:
        return Shift(1, 7, "Ca", time(7), time(17), days, date(2020, 1, 1))

    assert shift(Days.WORKING).on(day) is workdays.is_working_day(day)
    assert shift(Days.OFF).on(day) is not shift(Days.WORKING).on(day)


def test_a_holiday_and_a_saturday_worked_in_exchange_are_known() -> None:
    off = Shift(1, 7, "Ca ngày nghỉ", time(7), time(17), Days.OFF, date(2026, 1, 1))
    assert off.on(date(2026, 4, 30)) and off.on(date(2026, 5, 2))
    assert not off.on(date(2026, 1, 10))  # worked in exchange for 2 January
    assert off.on(date(2026, 1, 2))


def test_who_has_left_leaves_a_gap() -> None:
    gone = Person(1, MONDAY, 3, "Đã nghỉ", DutyRole.MAIN, active=False)
    there = Person(1, MONDAY, 4, "Trực phụ", DutyRole.SECOND)
    assert Turn(NIGHT, MONDAY).empty and Turn(NIGHT, MONDAY, (gone,)).empty
    assert Turn(NIGHT, MONDAY, (gone, there)).headless
    assert not Turn(NIGHT, MONDAY, (gone, there)).empty


@settings(deadline=None)
@given(st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)))
def test_every_instant_belongs_to_one_brief(local: datetime) -> None:
    now = local.replace(tzinfo=VN)
    day = brief_day(now)
    assert brief_span(day)[1] <= now < brief_span(day + timedelta(days=1))[1]
    assert brief_span(day)[1] == brief_span(day + timedelta(days=1))[0]
    assert week_of(day).weekday() == 0 and timedelta(0) <= day - week_of(day) < timedelta(days=7)


# -- the brief's lines ------------------------------------------------------------------------------


def line(name: str, text: str, url: str | None = None) -> Line:
    return Line(name, {"vi": text, "en": f"en {text}"}, url)


BODY = (
    Section("limits", (line("limits-1", "PM2.5 vượt", "/ioc"), line("limits-2", "PM10 vượt"))),
    Section("remarks"),
)


def test_an_edited_brief_shows_what_was_edited_added_and_left_out() -> None:
    body = edited(
        BODY,
        {"line.limits-1": "PM2.5 vượt nhẹ", "line.limits-2": " ", "add.remarks": "Ổn định\n\nTốt"},
    )
    marks = compared(BODY, body)
    assert [(c.line.text["vi"], c.mark) for c in marks["limits"]] == [
        ("PM2.5 vượt nhẹ", "edited"), ("PM10 vượt", "removed"),
    ]  # fmt: skip
    assert [(c.line.text["vi"], c.mark) for c in marks["remarks"]] == [
        ("Ổn định", "added"), ("Tốt", "added"),
    ]  # fmt: skip
    assert marks["limits"][0].line.url == "/ioc", "an edited line still leads to its number"
    again = edited(body, {"add.remarks": "Mưa"})
    ids = [one.id for section in again for one in section.lines]
    assert len(set(ids)) == len(ids)


def test_a_form_that_changes_nothing_changes_nothing() -> None:
    sent = {f"line.{one.id}": one.text["vi"] for section in BODY for one in section.lines}
    assert edited(BODY, sent) == BODY
    assert edited(BODY, {}) == BODY
