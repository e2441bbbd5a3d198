"""A roster that comes as a file: what taking it over would change, and doing just that.

The file says for each turn it names who is in it; turns that it does not name stay as they are.
Nobody is made known by it: a person is an account of the agency, by name or user name. Turns that
are over stay as they were: they may name who has left since, or leave them out.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.kernel.errors import Conflict, Fault, Invalid
from dothi.kernel.i18n import LANGS, t
from dothi.kernel.text import nfc
from dothi.kernel.time import VN, local_date, utc_now
from dothi.store.database import Connection
from dothi.work.duty import roster, store
from dothi.work.duty.model import DutyRole, Person, Shift, Turn, clashes, duty_of
from dothi.work.duty.roster_file import COLUMNS, Line

_DAY = timedelta(days=1)
_DAYS = ("%Y-%m-%d", "%d/%m/%Y")
_TIMES = ("%H:%M", "%H:%M:%S", "%Hh%M")
MOST_NAMED = 12
"""How many names a fault offers."""

Key = tuple[int, date]
"""A turn: its shift's id and its day."""


@dataclass(frozen=True)
class Place:
    """Somebody in a turn, as what; `before` is what they were where only that changes."""

    turn: Turn
    account: int
    name: str
    role: DutyRole
    before: DutyRole | None = None


@dataclass(frozen=True)
class Bringing:
    """What taking the file over would do. `same`: places that stand so already."""

    added: tuple[Place, ...]
    removed: tuple[Place, ...]
    changed: tuple[Place, ...]
    same: int
    turns: int

    @property
    def empty(self) -> bool:
        """Whether it would change nothing."""
        return not (self.added or self.removed or self.changed)

    @property
    def mark(self) -> str:
        """Tells two of them apart: what somebody saw from what would be done now."""
        told = [
            [(p.turn.shift.id, p.turn.day.isoformat(), p.account, p.role, p.before) for p in places]
            for places in (self.added, self.removed, self.changed)
        ]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


@dataclass
class _Wanted:
    """A turn as the file has it: who is in it with the line that says so."""

    shift: Shift
    day: date
    line: int
    people: dict[int, tuple[DutyRole, int]] = field(default_factory=dict)
    nobody: bool = False


def plan(
    conn: Connection, actor: Actor, agency: int, lines: Sequence[Line], lang: str,
    *, now: datetime | None = None,
) -> Bringing:  # fmt: skip
    """What taking the lines over would change. Raises Invalid with every fault of every line, each
    at "row:column"."""
    require(actor, "duty.roster", duty_of(agency))
    now = now or utc_now()
    reader = _Reader(conn, agency, now, lang)
    for line in lines:
        reader.take(line)
    faults = reader.faults
    wanted = reader.wanted
    days = [day for _, day in wanted]
    there: defaultdict[Key, dict[int, Person]] = defaultdict(dict)
    for person in store.people(conn, agency, min(days), max(days)) if days else ():
        there[person.shift_id, person.day][person.account_id] = person
    added: list[Place] = []
    removed: list[Place] = []
    changed: list[Place] = []
    rows: dict[tuple[int, date, int], int] = {}
    same = 0
    for key, want in wanted.items():
        turn, now_in = Turn(want.shift, want.day), there[key]
        over = turn.end <= now
        if over:
            stood = {a: p.role for a, p in now_in.items()}
            active = {a: p.role for a, p in now_in.items() if p.active}
            told = {a: role for a, (role, _) in want.people.items()}
            if not active.items() <= told.items() <= stood.items():
                params = {"shift": want.shift.name, "day": want.day}
                faults.append(Fault(f"{want.line}:day", "duty.turn_over", params))
            same += len(want.people)
            continue
        for account, (role, row) in want.people.items():
            rows[(*key, account)] = row
            place = Place(turn, account, reader.names[account], role)
            if account not in now_in:
                added.append(place)
            elif now_in[account].role is not role:
                before = now_in[account].role
                changed.append(Place(turn, account, place.name, role, before))
            else:
                same += 1
        removed += [
            Place(turn, account, p.name, p.role)
            for account, p in now_in.items()
            if account not in want.people
        ]
    faults += _double(conn, added, removed, rows, lang)
    if faults:
        raise Invalid("duty.file_invalid", faults=sorted(faults, key=_row_of), count=len(faults))
    return Bringing(
        _in_order(added), _in_order(removed), _in_order(changed), same, len(wanted)
    )  # fmt: skip


def take(
    conn: Connection, actor: Actor, agency: int, lines: Sequence[Line], lang: str, *,
    name: str, mark: str | None = None, now: datetime | None = None,
) -> Bringing:  # fmt: skip
    """Take the lines over, all or none; what was changed. With `mark` only what that plan said:
    raises Conflict where the roster has changed since."""
    require(actor, "duty.roster", duty_of(agency))
    for shift in sorted(store.kept(conn, agency)):  # who changes the same turns waits here
        store.lock_shift(conn, shift)
    found = plan(conn, actor, agency, lines, lang, now=now)
    if mark is not None and mark != found.mark:
        raise Conflict("duty.file_moved")
    if found.empty:
        return found
    for place in (*found.removed, *found.changed):
        store.remove(conn, place.turn.shift.id, place.turn.day, place.account)
    for place in (*found.changed, *found.added):
        roster.put(conn, place.turn.shift, place.turn.day, place.account, place.name, place.role)
    detail = {
        "file": name, "added": len(found.added), "removed": len(found.removed),
        "changed": len(found.changed),
        "places": [
            {"shift": p.turn.shift.id, "day": p.turn.day.isoformat(), "account": p.account,
             "role": None if p in found.removed else p.role.value}
            for p in (*found.removed, *found.changed, *found.added)
        ],
    }  # fmt: skip
    roster.record(conn, actor, agency, "brought", detail, now=now)
    return found


class _Reader:
    """Lines one after another into turns with people, and what is wrong with them."""

    def __init__(self, conn: Connection, agency: int, now: datetime, lang: str) -> None:
        self.names = dict(store.staff(conn, agency))
        self.faults: list[Fault] = []
        self.wanted: dict[Key, _Wanted] = {}
        self._lang = lang
        self._conn, self._agency, self._now = conn, agency, now
        self._last = local_date(now, VN) + roster.FARTHEST
        self._shifts = store.shifts(conn, agency, date(2001, 1, 1), self._last)
        self._accounts: defaultdict[str, set[int]] = defaultdict(set)
        for account, name in self.names.items():
            self._accounts[_key(name)].add(account)
        for account, login in store.logins(conn, agency):
            self._accounts[_key(login)].add(account)
        self._left: defaultdict[str, dict[int, datetime]] = defaultdict(dict)
        for account, name, login, until in store.former(conn, agency):
            self._left[_key(name)][account] = self._left[_key(login)][account] = until
        self._roles = {
            _key(word): role
            for role in DutyRole
            for word in (role.value, *(t(f"duty.role.{role}", one) for one in LANGS))
        }
        self._nobody = {_key(t("duty.nobody", one)) for one in LANGS}

    def take(self, line: Line) -> None:
        day = _day(line.day)
        if not line.day:
            self._wrong(line, "day", "duty.file_blank")
        elif day is None:
            self._wrong(line, "day", "duty.file_day", text=line.day)
        elif day > self._last:
            self._wrong(line, "day", "duty.file_far", day=self._last)
            day = None
        shift = self._shift(line, day) if day else None
        empty = _key(line.person) in self._nobody
        turn = Turn(shift, day) if shift and day else None
        account = None if empty else self._account(line, turn)
        role = self._roles.get(_key(line.role))
        if role is None and not empty and (line.role or line.person):
            known = ", ".join(t(f"duty.role.{one}", self._lang) for one in DutyRole)
            self._wrong(line, "role", "duty.file_role", text=line.role, known=known)
        if day is None or shift is None:
            return
        want = self.wanted.setdefault((shift.id, day), _Wanted(shift, day, line.row))
        want.nobody |= empty
        if account is not None and role is not None:
            if account in want.people:
                first = want.people[account][1]
                self._wrong(line, "person", "duty.file_twice", name=line.person, row=first)
            want.people.setdefault(account, (role, line.row))
        if want.nobody and want.people:
            self._wrong(line, "person", "duty.file_nobody", shift=shift.name, day=day)
            want.nobody = False

    def _shift(self, line: Line, day: date) -> Shift | None:
        if not line.shift:
            self._wrong(line, "shift", "duty.file_blank")
            return None
        named = [s for s in self._shifts if _key(s.name) == _key(line.shift)]
        if not named:
            known = ", ".join(dict.fromkeys(s.name for s in self._shifts))[:300]
            self._wrong(line, "shift", "duty.file_shift", text=line.shift, known=known)
            return None
        found = [s for s in named if s.on(day)]
        if not found:
            self._wrong(line, "shift", "duty.no_turn", shift=named[0].name, day=day)
            return None
        fits = [
            s for s in found
            if line.begins in ("", *_written(s.begins)) and line.ends in ("", *_written(s.ends))
        ]  # fmt: skip
        if len(fits) == 1:
            return fits[0]
        hours = "; ".join(roster.hours_text(s, self._lang) for s in found)
        self._wrong(line, "begins", "duty.file_hours", shift=found[0].name, day=day, hours=hours)
        return None

    def _account(self, line: Line, turn: Turn | None) -> int | None:
        if not line.person:  # a merged cell, a formula: that nobody is there has to be said
            self._wrong(line, "person", "duty.file_blank")
            return None
        found = self._accounts.get(_key(line.person), set())
        left = self._left.get(_key(line.person), {})
        if turn is not None and turn.end <= self._now:
            found = found | {account for account, until in left.items() if until > turn.start}
            if len(found) > 1:  # of namesakes the one who was there is meant
                found = (found & self._stood(turn)) or found
        if len(found) == 1:
            return next(iter(found))
        if found:
            self._wrong(line, "person", "duty.file_namesakes", name=line.person)
            return None
        if left:
            until = local_date(max(left.values()), VN)
            self._wrong(line, "person", "duty.file_left", name=line.person, day=until)
            return None
        known = ", ".join(list(self.names.values())[:MOST_NAMED])
        self._wrong(line, "person", "duty.file_person", name=line.person, known=known)
        return None

    def _stood(self, turn: Turn) -> set[int]:
        there = store.people(self._conn, self._agency, turn.day, turn.day)
        return {person.account_id for person in there if person.shift_id == turn.shift.id}

    def _wrong(self, line: Line, column: str, key: str, **params: object) -> None:
        self.faults.append(Fault(f"{line.row}:{column}", key, params))


def _double(
    conn: Connection, added: Iterable[Place], removed: Iterable[Place],
    rows: dict[tuple[int, date, int], int], lang: str,
) -> list[Fault]:  # fmt: skip
    """Who would be in two turns at once, of whatever agency, at the line that puts them there."""
    new = [Turn(p.turn.shift, p.turn.day, (Person(p.turn.shift.id, p.turn.day, p.account, p.name,
                                                  p.role),)) for p in added]  # fmt: skip
    if not new:
        return []
    gone = {(p.turn.shift.id, p.turn.day, p.account) for p in removed}
    known = [
        turn
        for turn in store.turns_of(
            conn, {turn.people[0].account_id for turn in new},
            min(turn.start for turn in new) - _DAY, max(turn.end for turn in new) + _DAY,
        )
        if (turn.shift.id, turn.day, turn.people[0].account_id) not in gone
    ]  # fmt: skip
    ours = {(turn.shift.id, turn.day, turn.people[0].account_id) for turn in new}
    faults = []
    for clash in clashes([*known, *new]):
        told = [
            (rows[key], mine, other)
            for mine, other in ((clash.first, clash.second), (clash.second, clash.first))
            if (key := (mine.shift.id, mine.day, clash.account_id)) in ours
        ]
        for row, mine, other in sorted(told, key=lambda one: one[0])[-1:]:
            params = {
                "name": clash.name, "turn": roster.turn_text(mine, lang),
                "other": roster.turn_text(other, lang),
            }  # fmt: skip
            faults.append(Fault(f"{row}:person", "duty.clash", params))
    return faults


def _key(text: str) -> str:
    """What texts that look alike share."""
    return " ".join(nfc(text).split()).casefold()


def _day(text: str) -> date | None:
    for form in _DAYS:
        try:
            return datetime.strptime(text.removesuffix(" 00:00:00")[:40], form).date()
        except ValueError:
            continue
    return None


def _written(hour: time) -> tuple[str, ...]:
    """The ways in which an hour is written."""
    return (*(hour.strftime(form) for form in _TIMES), f"{hour.hour}:{hour:%M}")


def _in_order(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(places, key=lambda p: (p.turn.start, p.turn.shift.id, p.name)))


def _row_of(fault: Fault) -> tuple[int, int]:
    row, _, column = fault.where.partition(":")
    return int(row), COLUMNS.index(column)
