"""What a work item (vụ việc) is: its kinds, states and moves, its ladder, and what its clock says.

Pure rules on values. Alarms, field reports, dossiers and tasks are kinds of one thing; which kinds
there are stands in `kinds.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from dothi.identity.model import Role
from dothi.identity.policy import Action, Resource
from dothi.kernel.clock import Clock, Pause

DUE_SOON = 0.75
"""The share of the budget from which an item counts as soon due (sắp đến hạn)."""


class Severity(IntEnum):
    """How urgent: Chú ý, Cảnh báo, Khẩn cấp. The lower-case name is the level screens show."""

    NOTICE = 1
    WARNING = 2
    CRITICAL = 3


class State(StrEnum):
    """Where an item stands. Whether its clock is paused is apart from that."""

    NEW = "new"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    DONE = "done"  # reported done; the result waits for its verdict and the clock stands still
    RETURNED = "returned"  # the result was not accepted, work goes on
    REFUSED = "refused"  # the agency says it is not theirs; waits to be given to another
    VERIFIED = "verified"  # the result was accepted: the end
    CANCELLED = "cancelled"  # was no work after all: the end


CLOSED = frozenset({State.VERIFIED, State.CANCELLED})
OPEN = frozenset(State) - CLOSED


class Move(StrEnum):
    """What people do with an item."""

    ACCEPT = "accept"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    DONE = "done"
    REFUSE = "refuse"
    GIVE_AGENCY = "give_agency"
    GIVE_PERSON = "give_person"
    VERIFY = "verify"
    RETURN = "return"
    CANCEL = "cancel"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """From which states a move is possible, where it leads (None: stays), and who may do it.

    `note`: it needs words that say why, or what was done.
    """

    states: frozenset[State]
    to: State | None
    action: Action
    note: bool = False


class Recipient(StrEnum):
    """Who is told when a rung fires."""

    ASSIGNEE = "assignee"  # the person it was given to; without one the owner's officers
    OWNER_LEADER = "owner_leader"  # the leaders of the agency it belongs to
    ABOVE = "above"  # the leaders of the agency above that one
    CENTRE = "centre"  # who is on duty in the operations centre

    @property
    def role(self) -> Role:
        """The role whose people are meant."""
        return _ROLE_TOLD[self]


_ROLE_TOLD = {
    Recipient.ASSIGNEE: Role.OFFICER,
    Recipient.OWNER_LEADER: Role.LEADER,
    Recipient.ABOVE: Role.LEADER,
    Recipient.CENTRE: Role.OPERATOR,
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a kind's ladder: after a share of the budget, or after an amount of working time.

    `message` is a catalogue key; a share above 1 lies beyond the deadline.
    """

    name: str
    at: float | timedelta
    recipient: Recipient
    message: str

    def after(self, budget: timedelta) -> timedelta:
        """The working time after which it fires."""
        return self.at if isinstance(self.at, timedelta) else budget * self.at


@dataclass(frozen=True)
class Kind:
    """What the items of one kind have in common.

    Budgets are working time in the named calendar. `number` writes a code from year and number;
    kinds of one `series` count together.
    """

    name: str
    budgets: Mapping[Severity, timedelta]
    calendar: str
    ladder: tuple[Step, ...]
    rules: Mapping[Move, Rule]
    series: str
    number: Callable[[int, int], str]


@dataclass(frozen=True, slots=True)
class Item:
    """A work item as stored. Titles, details and agency names are by language.

    `pause` is the reason of the pause that lasts now; `used` the working time it had used when it
    was reported done or cancelled.
    """

    id: int
    code: str
    kind: str
    title: dict[str, str]
    detail: dict[str, str]
    severity: Severity
    agency_id: int
    agency: dict[str, str]
    assignee: int | None
    assignee_name: str | None
    state: State
    service: str | None
    place: str
    source: dict[str, Any]
    dedupe_key: str | None
    opened_at: datetime
    clock: Clock
    calendar: str
    pause: str | None
    due_at: datetime | None
    done_at: datetime | None
    used: timedelta | None
    closed_at: datetime | None
    raised: int
    version: int

    @property
    def resource(self) -> Resource:
        """What the policy judges."""
        return Resource("work", id=self.code, owner_agency=self.agency_id)

    @property
    def paused(self) -> bool:
        """Whether a person has stopped its clock."""
        return self.clock.paused

    def used_by(self, now: datetime) -> timedelta:
        """The working time it has taken so far, or took in the end."""
        return self.clock.used(now) if self.used is None else self.used

    def left(self, now: datetime) -> timedelta:
        """The working time left; below zero it is overdue by that much."""
        return self.clock.budget - self.used_by(now)

    def left_by_calendar(self, now: datetime) -> timedelta:
        """The days and hours until the deadline as people count them on the wall; below zero since.

        Of an item that is done or closed, from then; of a paused one, its working time left.
        """
        if self.due_at is None:
            return self.left(now)
        return self.due_at - (self.done_at or self.closed_at or now)

    def share_used(self, now: datetime) -> float:
        """The share of the budget that is used: 1 at the deadline, more after it."""
        if not self.clock.budget:
            return 1.0
        return self.used_by(now) / self.clock.budget

    def timeliness(self, now: datetime) -> Timeliness:
        """How it stands to its deadline, in the words officials use."""
        left = self.left(now)
        if self.used is not None:
            return Timeliness.LATE if left < timedelta(0) else Timeliness.ON_TIME
        if left < timedelta(0):
            return Timeliness.OVERDUE
        soon = self.share_used(now) >= DUE_SOON
        return Timeliness.DUE_SOON if soon else Timeliness.ON_TRACK


class Timeliness(StrEnum):
    """Trong hạn, sắp đến hạn, quá hạn; once done: đúng hạn, xong quá hạn."""

    ON_TRACK = "on_track"
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    ON_TIME = "on_time"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Standstill:
    """A pause with who made it and why. `waits`: it lay done until its result was refused."""

    since: datetime
    until: datetime | None
    reason: str
    actor: str
    waits: bool


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of one item's ladder: due at an instant, unless its clock stands still or it ended."""

    name: str
    after: timedelta
    recipient: Recipient
    message: str
    due_at: datetime | None
    fired_at: datetime | None


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One thing that happened to an item.

    `what` is a `Move`, or "opened", "raised", "urged", "rung", "calendar"; `actor` as events write it,
    `actor_name` as they were called then.
    """

    at: datetime
    actor: str
    actor_name: str
    what: str
    from_state: State | None
    to_state: State | None
    note: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FullItem:
    """An item with everything its page shows."""

    item: Item
    pauses: tuple[Standstill, ...]
    rungs: tuple[Rung, ...]
    history: tuple[HistoryLine, ...]


def obstacle(rule: Rule, move: Move, state: State, paused: bool) -> str | None:
    """Why the move is not possible now, as a catalogue key; None where it is."""
    if state not in rule.states:
        return f"work.obstacle.{state}"
    if move is Move.RESUME and not paused:
        return "work.obstacle.not_paused"
    if paused and move in (Move.PAUSE, Move.START, Move.ACCEPT):
        return "work.obstacle.paused"
    return None


def stopped(pauses: tuple[Pause, ...], now: datetime) -> tuple[Pause, ...]:
    """The pauses with the one that lasts, if any, ended now."""
    return tuple((since, now if until is None else until) for since, until in pauses)
