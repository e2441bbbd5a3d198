"""What a shift (ca trực) is, when it lasts, who is in it: pure rules on values.

A turn is one shift on one day. It belongs to the day on which it begins, also where it ends after
midnight. All hours are Vietnamese time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from dothi.identity.policy import Resource
from dothi.kernel import workdays
from dothi.kernel.time import VN

BRIEF_AT = time(7)
"""When the morning brief is made, and where one day of it ends and the next begins."""


class DutyRole(StrEnum):
    """As what somebody is on duty, in the order in which they are named and called."""

    MAIN = "main"  # trực chính
    SECOND = "second"  # trực phụ
    LEADER = "leader"  # lãnh đạo trực


class Days(StrEnum):
    """On which days a shift begins, by the working calendar of the state's offices."""

    EVERY = "every"
    WORKING = "working"
    OFF = "off"  # weekends and holidays


class EntryKind(StrEnum):
    """What an entry of the shift log tells: sự kiện, chỉ đạo, bàn giao."""

    EVENT = "event"
    DIRECTIVE = "directive"
    HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Shift:
    """A shift as an agency keeps it. It begins on the days from `valid_from` to before `valid_to`;
    with `ends` not after `begins` it ends on the next day."""

    id: int
    agency_id: int
    name: str
    begins: time
    ends: time
    days: Days
    valid_from: date
    valid_to: date | None = None

    def on(self, day: date) -> bool:
        """Whether it begins on that day."""
        if day < self.valid_from or (self.valid_to is not None and day >= self.valid_to):
            return False
        if self.days is Days.EVERY:
            return True
        return workdays.is_working_day(day) is (self.days is Days.WORKING)

    def span(self, day: date) -> tuple[datetime, datetime]:
        """Beginning (included) and end (excluded) of its turn on that day, in UTC."""
        last = day if self.ends > self.begins else day + timedelta(days=1)
        return _instant(day, self.begins), _instant(last, self.ends)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a turn. `active`: their account may still sign in; otherwise nobody is there."""

    shift_id: int
    day: date
    account_id: int
    name: str
    role: DutyRole
    active: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """A shift on a day, with who is in it."""

    shift: Shift
    day: date
    people: tuple[Person, ...] = ()

    @property
    def start(self) -> datetime:
        return self.shift.span(self.day)[0]

    @property
    def end(self) -> datetime:
        return self.shift.span(self.day)[1]

    @property
    def present(self) -> tuple[Person, ...]:
        """Who is really there."""
        return tuple(p for p in self.people if p.active)

    @property
    def empty(self) -> bool:
        """Whether nobody is there: a gap."""
        return not self.present

    @property
    def headless(self) -> bool:
        """Whether somebody has the second duty, but nobody the main one."""
        roles = {p.role for p in self.present}
        return DutyRole.SECOND in roles and DutyRole.MAIN not in roles


@dataclass(frozen=True, slots=True)
class OnDuty:
    """Somebody who is on duty, as what, in which shift, from when to when."""

    account_id: int
    name: str
    role: DutyRole
    shift_id: int
    shift: str
    day: date
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Clash:
    """A person in two turns that overlap."""

    account_id: int
    name: str
    first: Turn
    second: Turn


@dataclass(frozen=True, slots=True)
class Link:
    """Where an entry or a line of the brief leads: a local path, and its words."""

    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the shift log. `corrects` is the entry it stands in place of, `corrected_by` the
    one that stands in its place; `source` what it was pulled in from."""

    id: int
    agency_id: int
    shift_id: int | None
    shift: str | None
    day: date
    at: datetime
    kind: EntryKind
    text: dict[str, str]
    important: bool
    links: tuple[Link, ...]
    actor: str
    actor_name: str
    corrects: int | None
    corrected_by: int | None
    source: str | None
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Handover:
    """What a leaving turn handed to the next one. `open_work`: the codes and titles of the items
    that were open then."""

    id: int
    shift_id: int
    shift: str
    day: date
    at: datetime
    given_by: int
    given_name: str
    summary: str
    open_work: tuple[dict[str, Any], ...]
    taken_by: int | None
    taken_name: str | None
    taken_at: datetime | None
    note: str


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed about shifts or the roster."""

    at: datetime
    actor: str
    actor_name: str
    what: str
    detail: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class Copy:
    """What copying a week forward would do, before it is done."""

    people: tuple[Person, ...] = ()
    clashes: tuple[Clash, ...] = ()
    left: tuple[Person, ...] = field(default=())  # their account may not sign in any more
    missing: tuple[Person, ...] = field(default=())  # the shift is not there on that day
    already: int = 0


def duty_of(agency_id: int, code: str | None = None) -> Resource:
    """What the policy judges: the duty of an agency."""
    return Resource("duty", id=code, owner_agency=agency_id)


def week_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def brief_day(now: datetime) -> date:
    """The day whose morning brief is the newest that is due."""
    local = now.astimezone(VN)
    return local.date() if local.time() >= BRIEF_AT else local.date() - timedelta(days=1)


def brief_span(day: date) -> tuple[datetime, datetime]:
    """What the brief of a day is about: from 07:00 of the day before to its own."""
    return _instant(day - timedelta(days=1), BRIEF_AT), _instant(day, BRIEF_AT)


def turns(shifts: Iterable[Shift], people: Iterable[Person], first: date, last: date) -> list[Turn]:
    """The turns that begin from `first` to `last`, in the order in which they begin."""
    inside: defaultdict[tuple[int, date], list[Person]] = defaultdict(list)
    for person in people:
        inside[person.shift_id, person.day].append(person)
    order = list(DutyRole)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    found = [
        Turn(shift, day, tuple(sorted(inside[shift.id, day],
                                      key=lambda p: (order.index(p.role), p.name))))
        for shift in shifts
        for day in days
        if shift.on(day)
    ]  # fmt: skip
    return sorted(found, key=lambda turn: (turn.start, turn.end, turn.shift.id))


def at(found: Iterable[Turn], instant: datetime) -> list[Turn]:
    """Those of the turns that last at an instant."""
    return [turn for turn in found if turn.start <= instant < turn.end]


def clashes(found: Sequence[Turn]) -> list[Clash]:
    """Everybody who is in two turns at the same time."""
    of_person: defaultdict[int, list[tuple[Turn, Person]]] = defaultdict(list)
    for turn in found:
        for person in turn.people:
            of_person[person.account_id].append((turn, person))
    out = []
    for account, theirs in of_person.items():
        theirs.sort(key=lambda pair: (pair[0].start, pair[0].end))
        for n, (turn, person) in enumerate(theirs):
            for other, _ in theirs[n + 1 :]:
                if other.start >= turn.end:
                    break
                out.append(Clash(account, person.name, turn, other))
    return out


def _instant(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, VN).astimezone(UTC)
