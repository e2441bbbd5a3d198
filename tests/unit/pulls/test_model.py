"""When a pull is due, where it begins, what may be asked, whether its counts agree."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.pulls.model import (
    back,
    farther,
    next_due,
    not_ahead,
    query_fault,
    wait_after,
)

NOW = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)
"""Noon in Vietnam."""
instants = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))


def test_a_daily_pull_is_due_at_its_time_in_vietnam() -> None:
    assert next_due(None, time(13, 30), NOW) == datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
    assert next_due(None, time(2, 0), NOW) == datetime(2026, 3, 1, 19, 0, tzinfo=UTC)
    assert next_due(15, None, NOW) == NOW + timedelta(minutes=15)


def test_failures_are_tried_ever_less_often_within_bounds() -> None:
    waits = [wait_after("pulls.gone", n) for n in range(1, 12)]
    assert waits[:3] == [timedelta(minutes=m) for m in (1, 2, 4)]
    assert waits == sorted(waits) and waits[-1] == timedelta(hours=1)
    assert wait_after("pulls.login", 1) == timedelta(hours=1)
    assert wait_after("pulls.login", 40) == timedelta(days=1)


@given(st.integers(-(10**30), 10**30), st.integers(0, 10**9))
def test_whole_numbers_keep_all_their_digits(value: int, by: int) -> None:
    assert back(str(value), "integer", by) == str(value - by)


@given(instants, st.integers(0, 10**6))
def test_an_overlap_takes_an_instant_back_and_never_past_it(at: datetime, by: int) -> None:
    text = at.isoformat(sep=" ")
    earlier = back(text, "timestamp", by)
    assert datetime.fromisoformat(earlier) == at - timedelta(seconds=by)
    assert farther(earlier, text, "timestamp") == text or by == 0


@given(instants, instants)
def test_of_two_values_the_later_is_kept_in_whatever_order(a: datetime, b: datetime) -> None:
    one, two = a.isoformat(sep=" "), b.isoformat(sep=" ")
    later = max(a, b)
    assert datetime.fromisoformat(farther(one, two, "timestamp")) == later
    assert datetime.fromisoformat(farther(two, one, "timestamp")) == later


def test_a_watermark_in_the_future_is_followed_to_tomorrow_only() -> None:
    assert not_ahead("9999-12-31 00:00:00", "timestamp", NOW) == "2026-03-02 12:00:00"
    assert not_ahead("9999-12-31", "date", NOW) == "2026-03-02"
    assert not_ahead("2026-03-01 11:00:00+07", "timestamp", NOW) == "2026-03-01 11:00:00+07"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("infinity", "timestamp"), ("NaN", "number"), ("x", "integer"), ("0000-00-00", "date")],
)
def test_what_is_no_watermark_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError):
        not_ahead(text, kind, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("SELECT a FROM b WHERE c = ';' AND d = '--'", None),
        ("with x as (select 1) select * from x -- hết", None),
        ("(SELECT 1) UNION (SELECT 2)", None),
        ("  ", "pulls.query_empty"),
        ("DELETE FROM b", "pulls.query_no_select"),
        ("SELECT 1; DROP TABLE b", "pulls.query_many"),
        ("SELECT 1) AS q; --", "pulls.query_many"),
        ("SELECT 1) AS q, (SELECT 2", "pulls.query_brackets"),
        ("SELECT (1", "pulls.query_brackets"),
        ("SELECT '" + "x" * 20_000 + "'", "pulls.query_long"),
    ],
)
def test_one_select_and_nothing_else(query: str, key: str | None) -> None:
    assert query_fault(query) == key
