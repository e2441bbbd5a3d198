"""The stored clock against a simulation that looks at every single minute."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dothi.identity.model import SYSTEM
from dothi.kernel.time import VN, parse_instant
from dothi.work.jobs import fire_due
from dothi.work.model import Move, Severity, State
from dothi.work.service import give_to_agency

BASE = parse_instant("2026-02-09 00:00", VN)
MINUTES = 120 * 1440
TET = {f"2026-02-{day}" for day in range(16, 21)}
SHARES = {"urge_1": 0.5, "due_soon": 0.75, "overdue": 1.0, "urge_2": 1.25, "above": 1.5}


def instant(minute: int) -> datetime:
    return (BASE + timedelta(minutes=minute)).astimezone(UTC)


@cache
def working_minutes(kind: str) -> list[int]:
    """Every minute that counts, by looking at each one's weekday and hour."""
    found = []
    for minute in range(MINUTES):
        at = (BASE + timedelta(minutes=minute)).astimezone(VN)
        clock = at.hour * 60 + at.minute
        free = at.weekday() >= 5 or f"{at:%Y-%m-%d}" in TET | {
            "2026-04-27",
            "2026-04-30",
            "2026-05-01",
        }
        in_hours = 450 <= clock < 690 or 810 <= clock < 1020
        if kind == "alarm" or (in_hours and not free):
            found.append(minute)
    return found


class ClockMachine(RuleBasedStateMachine):
    """One item whose clock is paused, resumed, held up and let go at random minutes."""

    desk: Any

    @initialize(
        kind=st.sampled_from(["alarm", "task"]),
        quarters=st.integers(1, 400),
        opened=st.integers(0, 6 * 1440),
    )
    def open(self, kind: str, quarters: int, opened: int) -> None:
        self.kind = kind
        self.now = opened
        self.budget = quarters * 4
        self.after = {name: round(share * self.budget) for name, share in SHARES.items()}
        self.used = 0
        self.reached: dict[str, int] = {}
        self.fired: set[str] = set()
        self.paused = False
        self.stood = False
        self.code = self.desk.open(
            kind=kind, budget=timedelta(minutes=self.budget), now=instant(opened)
        )
        self.desk.move(self.code, Move.ACCEPT, now=instant(opened))
        self.state = State.ACCEPTED
        self.first_due = self.desk.item(self.code).due_at

    # -- the simulation ------------------------------------------------------------------------------

    def runs(self) -> bool:
        return not self.paused and self.state not in (
            State.DONE,
            State.VERIFIED,
            State.CANCELLED,
        )

    def pass_minutes(self, count: int) -> None:
        counted = working_minutes(self.kind)
        for minute in range(self.now, self.now + count):
            place = bisect_left(counted, minute)
            if self.runs() and counted[place] == minute:
                self.used += 1
                for name, after in self.after.items():
                    if self.used == after:
                        self.reached[name] = minute + 1
        self.now += count

    def due(self, name: str) -> datetime | None:
        """When that much working time has run, if nothing more stops it."""
        if name in self.reached:
            return instant(self.reached[name])
        if self.paused:
            return None
        counted = working_minutes(self.kind)
        place = bisect_left(counted, self.now) + self.after[name] - self.used - 1
        return instant(counted[place] + 1)

    # -- what people and time do ---------------------------------------------------------------------

    @rule(minutes=st.integers(1, 300) | st.integers(300, 3 * 1440))
    def wait(self, minutes: int) -> None:
        if self.now + minutes < 60 * 1440:
            self.pass_minutes(minutes)

    def move(self, what: Move, state: State | None = None) -> None:
        self.desk.move(self.code, what, now=instant(self.now))
        self.state = state or self.state

    def open_to_work(self) -> bool:
        return self.state in (State.ACCEPTED, State.RETURNED)

    @precondition(lambda self: self.open_to_work() and not self.paused)
    @rule()
    def pause(self) -> None:
        self.move(Move.PAUSE)
        self.paused = self.stood = True

    @precondition(lambda self: self.open_to_work() and self.paused)
    @rule()
    def resume(self) -> None:
        self.move(Move.RESUME)
        self.paused = False

    @precondition(open_to_work)
    @rule()
    def done(self) -> None:
        self.move(Move.DONE, State.DONE)
        self.paused = False

    @precondition(lambda self: self.state is State.DONE)
    @rule()
    def not_accepted(self) -> None:
        self.move(Move.RETURN, State.RETURNED)
        self.stood = True

    @precondition(lambda self: self.state is State.DONE)
    @rule(sure=st.integers(0, 3))
    def verify(self, sure: int) -> None:
        if sure == 0:
            self.move(Move.VERIFY, State.VERIFIED)

    @precondition(lambda self: self.open_to_work())
    @rule(sure=st.integers(0, 5))
    def cancel(self, sure: int) -> None:
        if sure == 0:
            self.move(Move.CANCEL, State.CANCELLED)
            self.paused = False

    @precondition(open_to_work)
    @rule()
    def give_away_and_accept(self) -> None:
        desk = self.desk
        item = desk.item(self.code)
        other = next(a for a in desk.province.agencies.values() if a != item.agency_id)
        with desk.db.transaction() as conn:
            give_to_agency(
                conn, SYSTEM, self.code, other, version=item.version, now=instant(self.now)
            )
        self.paused = False
        self.move(Move.ACCEPT, State.ACCEPTED)

    @rule()
    def note(self) -> None:
        self.move(Move.NOTE)

    @rule()
    def fire(self) -> None:
        fired = fire_due(self.desk.db, instant(self.now))
        awake = self.state not in (State.DONE, State.VERIFIED, State.CANCELLED)
        expected = self.reached.keys() - self.fired if awake else set()
        assert fired == len(expected)
        self.fired |= expected

    # -- what must hold after each of them -----------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        full = self.desk.full(self.code)
        item = full.item
        assert item.left(instant(self.now)) == timedelta(minutes=self.budget - self.used)
        asleep = self.state in (State.DONE, State.VERIFIED, State.CANCELLED)
        if not asleep:
            assert item.due_at == self.due("overdue")
        if not self.stood:
            assert item.due_at == self.first_due, "nothing paused it: the deadline is what it was"
        for rung in full.rungs:
            assert (rung.fired_at is not None) == (rung.name in self.fired)
            if rung.name not in self.fired:
                assert rung.due_at == (None if asleep else self.due(rung.name))
        told = [line.detail["rung"] for line in full.history if line.what == "rung"]
        assert sorted(told) == sorted(self.fired), "one line for each rung that fired"

    def teardown(self) -> None:
        with self.desk.db.transaction() as conn:
            conn.execute("DELETE FROM work_item")


def test_the_clock_agrees_with_counting_every_minute(desk) -> None:
    machine = type("Machine", (ClockMachine,), {"desk": desk})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_alarms_and_tasks_keep_to_their_severity(desk) -> None:
    """The default deadlines are those the kinds name, counted by the minute."""
    for kind, severity, minutes in (
        ("alarm", Severity.CRITICAL, 4 * 60),
        ("task", Severity.NOTICE, 5 * 450),
        ("task", Severity.WARNING, 3 * 450),
    ):
        opened = 3 * 1440 + 600
        code = desk.open(kind=kind, severity=severity, now=instant(opened))
        counted = working_minutes(kind)
        place = bisect_left(counted, opened) + minutes - 1
        assert desk.item(code).due_at == instant(counted[place] + 1)
