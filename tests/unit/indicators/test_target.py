"""Which target counts: on every day the newest that holds it, exactly one or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.indicators.target import Target, bound, chosen, counting, day_of, for_period
from dothi.indicators.target_words import standing
from dothi.indicators.targets import Part
from dothi.kernel.period import Period

FIRST = date(2026, 1, 1)
BASE = Target(
    measure="m", part="p", place="*", grain="day", low=1.0, valid_from=FIRST, ground="QĐ 1",
    id=1, set_at=datetime(2026, 1, 1, tzinfo=UTC), set_by="account:1", setter_name="A",
)  # fmt: skip
DAYS = st.integers(0, 60).map(lambda n: FIRST + timedelta(days=n))


@st.composite
def histories(draw: st.DrawFn) -> list[Target]:
    made = []
    for number in range(draw(st.integers(0, 8))):
        start = draw(DAYS)
        length = draw(st.none() | st.integers(0, 30))
        low = draw(st.none() | st.floats(-100, 100))
        high = draw(st.none() | st.floats(100, 200))
        until = None if length is None else start + timedelta(days=length)
        made.append(
            replace(BASE, id=number + 1, valid_from=start, valid_to=until, low=low, high=high)
        )
    return made


@given(histories(), DAYS)
def test_on_any_day_the_newest_that_holds_it_counts_or_none(
    history: list[Target], day: date
) -> None:
    found = counting(history, day)
    holding = [one for one in history if one.valid_from <= day <= (one.valid_to or date.max)]
    if not holding or holding[-1].direction is None:
        assert found is None
    else:
        assert found is holding[-1]
    assert counting(list(reversed(history)), day) is found


@given(histories(), DAYS, DAYS, st.floats(-100, 100))
def test_a_new_target_changes_only_the_days_it_holds(
    history: list[Target], start: date, day: date, low: float
) -> None:
    until = start + timedelta(days=9)
    new = replace(BASE, id=99, valid_from=start, valid_to=until, low=low)
    after = counting([*history, new], day)
    assert after is (new if start <= day <= until else counting(history, day))


@given(st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 0), st.none() | st.floats(0, 1e6))
def test_a_figure_is_on_track_exactly_between_its_bounds(
    value: float, low: float | None, high: float | None
) -> None:
    one = replace(BASE, low=low, high=high)
    on_track = (low is None or value >= low) and (high is None or value <= high)
    assert one.met(value) is on_track
    if not on_track:
        gap = one.difference(value)
        assert gap != 0 and (gap < 0) == (low is not None and value < low)


def test_the_nearest_place_counts_and_only_for_periods_of_its_length() -> None:
    province = replace(BASE, grain="month", low=80.0)
    agency = replace(BASE, id=2, grain="month", place="agency:a", low=90.0)
    month = Period.of_date("month", date(2026, 3, 1))
    both = [province, agency]
    assert chosen(both, "p", ["unit:u", "agency:a", "*"], month) is agency
    assert chosen(both, "p", ["agency:b", "*"], month) is province
    assert chosen(both, "p", ["agency:b"], month) is None
    assert chosen(both, "p", ["*"], Period.of_date("year", date(2026, 3, 1))) is None
    back = replace(agency, id=3, low=None)
    assert chosen([*both, back], "p", ["agency:a", "*"], month) is province


@pytest.mark.parametrize(
    ("text", "value"),
    [("85", 85), ("85,5", 85.5), ("85.5", 85.5), ("1.234,5", 1234.5), ("1,234.5", 1234.5),
     ("-3", -3), ("0,125", 0.125), ("1 234", 1234)],
)  # fmt: skip
def test_numbers_as_people_type_them(text: str, value: float) -> None:
    assert bound(text) == value


@pytest.mark.parametrize("text", ["", "1.234", "1,234", "nan", "inf", "1e999", "12a", "--1"])
def test_what_could_be_two_numbers_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        bound(text)


@pytest.mark.parametrize(
    ("low", "value", "unit", "decimals", "said"),
    [(95.0, 70.85, "%", 1, "còn thiếu 24,1 điểm phần trăm"),
     (95.0, 94.96, "%", 1, "còn thiếu 0,04 điểm phần trăm"),
     (85.0, 81.8, "điểm", 2, "còn thiếu 3,2 điểm")],
)  # fmt: skip
def test_the_gap_is_that_of_the_figure_people_read(
    low: float, value: float, unit: str, decimals: int, said: str
) -> None:
    part = Part({"vi": "x"}, {"vi": unit}, 2, "higher")
    text = standing(replace(BASE, low=low), value, part, "vi", decimals)
    assert text == f"Chưa đạt, {said}"


def test_days_in_either_form() -> None:
    assert day_of("31/12/2026") == day_of("2026-12-31") == date(2026, 12, 31)
    assert day_of(" ") is None
    with pytest.raises(ValueError):
        day_of("31/02/2026")


def test_a_plan_of_the_year_may_be_set_changed_and_taken_back_within_it() -> None:
    year = Period.of_date("year", FIRST)
    base = replace(BASE, grain="year")
    late = replace(base, id=1, valid_from=date(2026, 11, 22), low=100.0)
    assert for_period([late], "p", "*", year) is late
    first = replace(base, id=2, valid_from=FIRST, valid_to=date(2026, 6, 30), low=50.0)
    assert for_period([first], "p", "*", year) is first
    assert for_period([first, late], "p", "*", year) is late
    back = replace(base, id=3, valid_from=date(2026, 7, 1), low=None)
    assert for_period([first, late, back], "p", "*", year) is None
    assert for_period([late], "p", "agency:a", year) is None
    assert for_period([late], "p", "*", year.previous()) is None
    assert for_period([late], "p", "*", Period.of_date("quarter", FIRST)) is None
