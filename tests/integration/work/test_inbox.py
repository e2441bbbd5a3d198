"""Who sees which work items, in which order, and how many there are."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from dothi.identity.model import ANONYMOUS, SYSTEM, Role
from dothi.identity.policy import decide
from dothi.kernel.errors import Invalid, Unauthenticated
from dothi.kernel.time import VN, parse_instant
from dothi.work.inbox import Filters, counts, inbox
from dothi.work.inbox import item as read_item
from dothi.work.model import Move, Severity, State

MONDAY = parse_instant("2026-03-02 08:00", VN)


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


@pytest.fixture
def busy(desk):
    """Items of all agencies and severities in many states, opened in the week before Monday."""
    chance = random.Random(7)
    ways: tuple[tuple[Move, ...], ...] = (
        (),
        (Move.ACCEPT,),
        (Move.ACCEPT, Move.START),
        (Move.ACCEPT, Move.PAUSE),
        (Move.START, Move.DONE),
        (Move.START, Move.DONE, Move.VERIFY),
        (Move.CANCEL,),
    )
    for n in range(60):
        opened = MONDAY - timedelta(minutes=chance.randint(0, 4000))
        code = desk.open(
            chance.choice(["top", "env", "air", "build"]),
            severity=chance.choice(list(Severity)),
            now=opened,
            service=chance.choice(["environment", "transport", None]),
        )
        desk.move(code, *ways[n % len(ways)], now=opened + timedelta(minutes=chance.randint(0, 60)))
    return desk


def test_pages_show_everything_once_most_urgent_first(busy) -> None:
    for closed in (False, True):
        seen = []
        after = None
        with busy.db.transaction() as conn:
            everything = inbox(conn, SYSTEM, Filters(closed=closed), limit=200).items
            while True:
                page = inbox(conn, SYSTEM, Filters(closed=closed), after=after, limit=7)
                seen += page.items
                after = page.after
                if after is None:
                    break
                assert len(page.items) == 7
        assert seen == list(everything)
        assert len({item.code for item in seen}) == len(seen) > 10
        if closed:
            ends = [item.closed_at for item in seen]
            assert ends == sorted(ends, reverse=True)
        else:
            far = MONDAY + timedelta(days=999)
            urgency = [(-item.severity, item.due_at or far) for item in seen]
            assert urgency == sorted(urgency)
            assert any(item.paused for item in seen)


def test_everybody_sees_exactly_what_the_policy_allows(busy, province) -> None:
    with busy.db.transaction() as conn:
        everything = [
            item
            for closed in (False, True)
            for item in inbox(conn, SYSTEM, Filters(closed=closed), limit=200).items
        ]
        for actor in province.people.values():
            if actor.roles == {Role.ADMIN}:
                continue
            allowed = {
                item.code
                for item in everything
                if decide(actor, "work.read", item.resource).allowed
            }
            listed = {
                item.code
                for closed in (False, True)
                for item in inbox(conn, actor, Filters(closed=closed), limit=200).items
            }
            assert listed == allowed
            still_open = [
                item for item in everything if not item.closed_at and item.code in allowed
            ]
            assert counts(conn, actor, now=MONDAY).total == len(still_open)
            for code in list(allowed)[:3]:
                assert read_item(conn, actor, code).item.code == code


def test_strangers_are_asked_to_sign_in(busy) -> None:
    for ask in (inbox, counts):
        with pytest.raises(Unauthenticated), busy.db.transaction() as conn:
            ask(conn, ANONYMOUS)


def test_counts_are_those_of_the_list(busy) -> None:
    with busy.db.transaction() as conn:
        listed = inbox(conn, SYSTEM, limit=200, now=MONDAY).items
        found = counts(conn, SYSTEM, now=MONDAY)
        late = inbox(conn, SYSTEM, Filters(overdue=True), limit=200, now=MONDAY).items
        some = counts(conn, SYSTEM, Filters(services=frozenset({"transport"})), now=MONDAY)
    assert found.total == len(listed)
    for state in State:
        assert found.by_state.get(state, 0) == sum(item.state is state for item in listed)
    for severity in Severity:
        assert found.by_severity.get(severity, 0) == sum(i.severity is severity for i in listed)
    assert found.overdue == len(late) > 0
    assert all(item.left(MONDAY) < hours(0) and item.state is not State.DONE for item in late)
    assert some.total == sum(item.service == "transport" for item in listed)


def test_filters_narrow_the_list(busy, province) -> None:
    env = province.agencies["env"]
    with busy.db.transaction() as conn:
        everything = inbox(conn, SYSTEM, limit=200).items
        for filters, holds in (
            (Filters(states=frozenset({State.NEW})), lambda i: i.state is State.NEW),
            (
                Filters(severities=frozenset({Severity.CRITICAL})),
                lambda i: i.severity is Severity.CRITICAL,
            ),
            (Filters(agencies=frozenset({env})), lambda i: i.agency_id == env),
            (Filters(services=frozenset({"transport"})), lambda i: i.service == "transport"),
            (Filters(kinds=frozenset({"task"})), lambda i: i.kind == "task"),
            (Filters(assignee=10**6), lambda i: i.assignee == 10**6),
        ):
            listed = inbox(conn, SYSTEM, filters, limit=200).items
            assert listed == tuple(item for item in everything if holds(item))


@pytest.mark.parametrize("closed", [False, True])
def test_a_mark_that_is_none_is_refused(desk, closed: bool) -> None:
    for mark in (
        "",
        "x",
        "é",
        "W10",
        "bnVsbA",
        "WzEsMiwzXQ",
        "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIDFd" * 2,
    ):
        with pytest.raises(Invalid), desk.db.transaction() as conn:
            inbox(conn, SYSTEM, Filters(closed=closed), after=mark)
