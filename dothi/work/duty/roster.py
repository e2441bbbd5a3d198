"""Shifts and who is in them: what may be done about them, under the policy, in the caller's
transaction. `on_duty` is what other rooms ask.

Events: `duty.roster` with the agency, for pages that show who is on call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from dothi.identity import audit
from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.text import nfc
from dothi.kernel.time import VN, day_start, local_date, utc_now
from dothi.store.database import Connection
from dothi.store.events import emit
from dothi.work.duty import store
from dothi.work.duty.model import (
    Copy,
    Days,
    DutyRole,
    OnDuty,
    Person,
    Shift,
    Turn,
    clashes,
    duty_of,
    turns,
)

WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
FARTHEST = timedelta(days=400)
"""How far ahead somebody can be put on duty."""
LONGEST_NAME = 60
LONGEST_REASON = 500
MOST_NAMED = 5
"""How many people a refusal names."""


def on_duty(conn: Connection, agency: int, at: datetime) -> list[OnDuty]:
    """Who is on duty in an agency at an instant: trực chính, trực phụ, lãnh đạo trực, in this order.

    Accounts that may not sign in are left out: nobody there is an empty list.
    """
    return store.on_duty(conn, agency, at)


def read(conn: Connection, actor: Actor, agency: int, first: date, last: date) -> list[Turn]:
    """The turns that begin from `first` to `last`."""
    require(actor, "duty.read", duty_of(agency))
    found = store.shifts(conn, agency, first, last)
    return turns(found, store.people(conn, agency, first, last), first, last)


def next_turns(conn: Connection, account_id: int, since: datetime, *, days: int = 30) -> list[Turn]:
    """Somebody's own turns from an instant on."""
    return store.turns_of(conn, [account_id], since, since + timedelta(days=days))


@dataclass(frozen=True, kw_only=True)
class NewShift:
    """A shift as somebody wants it."""

    name: str
    begins: time
    ends: time
    days: Days = Days.EVERY
    valid_from: date
    valid_to: date | None = None


def add_shift(conn: Connection, actor: Actor, agency: int, new: NewShift) -> int:
    """Make a shift; its id. Raises Invalid with all faults."""
    require(actor, "duty.roster", duty_of(agency))
    name = _name(new.name)
    if new.valid_to is not None and new.valid_to <= new.valid_from:
        raise Invalid("duty.invalid", faults=[Fault("to", "duty.dates")])
    hours = new.begins, new.ends, new.days, new.valid_from, new.valid_to
    made = store.add_shift(conn, agency, name, *hours)
    record(conn, actor, agency, "shift_added", _told(Shift(made, agency, name, *hours)))
    return made


def change_shift(
    conn: Connection, actor: Actor, agency: int, shift_id: int, new: NewShift,
    *, now: datetime | None = None,
) -> int:  # fmt: skip
    """Give a shift other hours from a day on; the id of what goes on from then.

    What was before keeps reading as it did; who is in its later turns stays in them. Raises Conflict
    where somebody would then be in two turns at once, or in one that there is no longer.
    """
    require(actor, "duty.roster", duty_of(agency))
    since, name = new.valid_from, _name(new.name)
    old = _held(conn, agency, shift_id, since, now)
    later = store.used(conn, shift_id, since)
    for day, account, _, _ in later:
        store.remove(conn, shift_id, day, account)
    if since == old.valid_from:
        number = shift_id
        store.set_shift(conn, number, name, new.begins, new.ends, new.days)
    else:
        store.end_shift(conn, shift_id, since)
        number = store.add_shift(
            conn, agency, name, new.begins, new.ends, new.days, since, old.valid_to
        )
    made = Shift(number, agency, name, new.begins, new.ends, new.days, since, old.valid_to)
    refused = [
        f"{who} ({day:%d/%m/%Y})"
        for day, account, who, role in later
        if not made.on(day) or not store.assign(conn, made, day, account, role)
    ]
    if refused:
        raise Conflict("duty.change_clashes", who=", ".join(refused[:MOST_NAMED]), n=len(refused))
    record(conn, actor, agency, "shift_changed", _told(made), now=now)
    return number


def end_shift(
    conn: Connection, actor: Actor, agency: int, shift_id: int, since: date,
    *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Let a shift begin for the last time before a day. Raises Conflict while somebody is in one of
    its turns from then on."""
    require(actor, "duty.roster", duty_of(agency))
    old = _held(conn, agency, shift_id, since, now)
    if later := store.used(conn, shift_id, since):
        named = ", ".join(f"{who} ({day:%d/%m/%Y})" for day, _, who, _ in later[:MOST_NAMED])
        raise Conflict("duty.still_used", who=named, n=len(later))
    if since > old.valid_from:
        store.end_shift(conn, shift_id, since)
    elif not store.drop_shift(conn, shift_id):
        raise Conflict("duty.still_written")
    record(conn, actor, agency, "shift_ended", _told(old) | {"from": since.isoformat()}, now=now)


# -- who is in them --------------------------------------------------------------------------------


def assign(
    conn: Connection, actor: Actor, agency: int, shift_id: int, day: date, account: int,
    role: DutyRole, *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Put somebody of the agency into a turn that is not over.

    Raises Conflict where they are in another turn at that time, and says in which.
    """
    require(actor, "duty.roster", duty_of(agency))
    shift = _turn(conn, agency, shift_id, day, now)
    name = _names(conn, agency, account)[account]
    put(conn, shift, day, account, name, role)
    detail = _told(shift, day) | {"account": account, "name": name, "role": role.value}
    record(conn, actor, agency, "assigned", detail, now=now)


def remove(
    conn: Connection, actor: Actor, agency: int, shift_id: int, day: date, account: int,
    *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Take somebody out of a turn that is not over. Raises NotFound where they are not in it."""
    require(actor, "duty.roster", duty_of(agency))
    shift = _turn(conn, agency, shift_id, day, now)
    names = {number: name for on, number, name, _ in store.used(conn, shift_id, day) if on == day}
    role = store.remove(conn, shift_id, day, account)
    if role is None:
        raise NotFound("identity.not_found")
    detail = _told(shift, day) | {
        "account": account, "name": names[account], "role": role.value,
    }  # fmt: skip
    record(conn, actor, agency, "removed", detail, now=now)


@dataclass(frozen=True, slots=True)
class Slot:
    """One person's place in one turn."""

    shift_id: int
    day: date
    account: int


def swap(
    conn: Connection, actor: Actor, agency: int, one: Slot, other: Slot, reason: str,
    *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Let two people take each other's place, each in the other's role.

    Raises Conflict where one of them would be in two turns at once.
    """
    require(actor, "duty.roster", duty_of(agency))
    reason = _reason(reason)
    if one.account == other.account:
        raise Invalid("duty.invalid", faults=[Fault("other", "duty.same_person")])
    # In the order of their numbers, so that two people who swap the same turns do not block.
    held = {s.shift_id: s for s in sorted((one, other), key=lambda s: s.shift_id)}
    for number in held:
        _shift(conn, agency, number)
    shifts = [_turn(conn, agency, s.shift_id, s.day, now) for s in (one, other)]
    names = _names(conn, agency, one.account, other.account)
    roles = [store.remove(conn, s.shift_id, s.day, s.account) for s in (one, other)]
    if roles[0] is None or roles[1] is None:
        raise NotFound("identity.not_found")
    put(conn, shifts[0], one.day, other.account, names[other.account], roles[0])
    put(conn, shifts[1], other.day, one.account, names[one.account], roles[1])
    detail = {
        "one": _told(shifts[0], one.day) | {"account": one.account, "name": names[one.account]},
        "other": _told(shifts[1], other.day)
        | {"account": other.account, "name": names[other.account]},
    }
    record(conn, actor, agency, "swapped", detail, reason, now=now)


def substitute(
    conn: Connection, actor: Actor, agency: int, place: Slot, account: int, reason: str,
    *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Let somebody take another one's place; also that of somebody who has left."""
    require(actor, "duty.roster", duty_of(agency))
    reason = _reason(reason)
    shift = _turn(conn, agency, place.shift_id, place.day, now)
    name = _names(conn, agency, account)[account]
    role = store.remove(conn, place.shift_id, place.day, place.account)
    if role is None:
        raise NotFound("identity.not_found")
    put(conn, shift, place.day, account, name, role)
    detail = _told(shift, place.day) | {
        "account": place.account, "by": account, "name": name, "role": role.value,
    }  # fmt: skip
    record(conn, actor, agency, "substituted", detail, reason, now=now)


def copy_plan(
    conn: Connection, actor: Actor, agency: int, monday: date, *, now: datetime | None = None
) -> Copy:
    """What copying the week from `monday` into the one after it would do. Turns in which somebody is
    already are left as they are."""
    require(actor, "duty.roster", duty_of(agency))
    first, last = monday + WEEK, monday + 2 * WEEK - _DAY
    now = now or utc_now()
    there = {s.id: s for s in store.shifts(conn, agency, first, last)}
    filled = {(p.shift_id, p.day) for p in store.people(conn, agency, first, last) if p.active}
    wanted: list[Person] = []
    left: list[Person] = []
    missing: list[Person] = []
    already = 0
    for person in store.people(conn, agency, monday, first - _DAY):
        copied = replace(person, day=person.day + WEEK)
        shift = there.get(copied.shift_id)
        if (copied.shift_id, copied.day) in filled:
            already += 1
        elif shift is None or not shift.on(copied.day) or shift.span(copied.day)[1] <= now:
            missing.append(copied)
        elif not copied.active:
            left.append(copied)
        else:
            wanted.append(copied)
    known = store.turns_of(
        conn, {p.account_id for p in wanted}, day_start(first - _DAY, VN),
        day_start(last + 2 * _DAY, VN),
    )  # fmt: skip
    copies = [Turn(there[p.shift_id], p.day, (p,)) for p in wanted]
    new = {(t.shift.id, t.day, t.people[0].account_id) for t in copies}

    def is_new(turn: Turn, account: int) -> bool:
        return (turn.shift.id, turn.day, account) in new

    found = [
        c
        for c in clashes([*known, *copies])
        if is_new(c.first, c.account_id) or is_new(c.second, c.account_id)
    ]
    barred = {
        (t.shift.id, t.day, c.account_id)
        for c in found
        for t in (c.first, c.second)
        if is_new(t, c.account_id)
    }
    people = tuple(p for p in wanted if (p.shift_id, p.day, p.account_id) not in barred)
    return Copy(people, tuple(found), tuple(left), tuple(missing), already)


def copy_week(
    conn: Connection, actor: Actor, agency: int, monday: date, *, now: datetime | None = None
) -> Copy:
    """Copy the week from `monday` into the one after it, as `copy_plan` says; what was done."""
    plan = copy_plan(conn, actor, agency, monday, now=now)
    first = monday + WEEK
    there = {s.id: s for s in store.shifts(conn, agency, first, first + WEEK - _DAY)}
    for person in plan.people:
        put(conn, there[person.shift_id], person.day, person.account_id, person.name, person.role)
    if plan.people:
        detail = {"week": first.isoformat(), "count": len(plan.people)}
        record(conn, actor, agency, "copied", detail, now=now)
    return plan


def _name(name: str) -> str:
    name = nfc(name.strip())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        fault = Fault("name", "duty.name_shape", {"limit": LONGEST_NAME})
        raise Invalid("duty.invalid", faults=[fault])
    return name


def _reason(reason: str) -> str:
    reason = nfc(reason.strip())
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        fault = Fault("reason", "duty.reason_missing", {"limit": LONGEST_REASON})
        raise Invalid("duty.invalid", faults=[fault])
    return reason


def _shift(conn: Connection, agency: int, shift_id: int) -> Shift:
    found = store.lock_shift(conn, shift_id)
    if found is None or found.agency_id != agency:
        raise NotFound("identity.not_found")
    return found


def _held(conn: Connection, agency: int, shift_id: int, since: date, now: datetime | None) -> Shift:
    """A shift that is changed or ended from a day on: one that is not over, within its validity."""
    found = _shift(conn, agency, shift_id)
    today = local_date(now or utc_now(), VN)
    ended = found.valid_to is not None and since >= found.valid_to
    if since < max(found.valid_from, today) or ended:
        least = max(found.valid_from, today)
        raise Invalid("duty.invalid", faults=[Fault("from", "duty.from_day", {"least": least})])
    return found


def _turn(conn: Connection, agency: int, shift_id: int, day: date, now: datetime | None) -> Shift:
    """The shift of a turn that is there and not over."""
    now = now or utc_now()
    shift = _shift(conn, agency, shift_id)
    if day > local_date(now, VN) + FARTHEST or not shift.on(day):
        raise Conflict("duty.no_turn", shift=shift.name, day=day)
    if shift.span(day)[1] <= now:
        raise Conflict("duty.turn_over", shift=shift.name, day=day)
    return shift


def _names(conn: Connection, agency: int, *accounts: int) -> dict[int, str]:
    """The names of people of the agency who may sign in."""
    staff = dict(store.staff(conn, agency))
    if any(account not in staff for account in accounts):
        raise Invalid("duty.invalid", faults=[Fault("person", "duty.no_person")])
    return staff


def put(conn: Connection, shift: Shift, day: date, account: int, name: str, role: DutyRole) -> None:
    """Put somebody into a turn. Raises Conflict where they are in another one at that time."""
    if store.assign(conn, shift, day, account, role):
        return
    others = store.turns_of(conn, [account], *shift.span(day))
    raise Conflict("duty.clash", name=name, turn=turn_text(Turn(shift, day)),
                   other="; ".join(turn_text(one) for one in others))  # fmt: skip


def hours_text(shift: Shift, lang: str) -> str:
    """From when to when it lasts; "07:00 – 07:00 hôm sau" where it ends on the next day."""
    begins, ends = f"{shift.begins:%H:%M}", f"{shift.ends:%H:%M}"
    if shift.ends > shift.begins:
        return f"{begins}–{ends}"
    return t("duty.hours_over", lang, begins=begins, ends=ends)


def turn_text(turn: Turn, lang: str | None = None) -> str:
    """A turn as people name it: "Ca sáng 21/11/2026 (06:00–14:00)"; in an error, which is written
    in no language yet, with bare hours."""
    shift = turn.shift
    hours = hours_text(shift, lang) if lang else f"{shift.begins:%H:%M}–{shift.ends:%H:%M}"
    return f"{shift.name} {turn.day:%d/%m/%Y} ({hours})"


def _told(shift: Shift, day: date | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "shift": shift.name, "begins": f"{shift.begins:%H:%M}", "ends": f"{shift.ends:%H:%M}",
    }  # fmt: skip
    return told | ({"day": day.isoformat()} if day else {"from": shift.valid_from.isoformat()})


def record(
    conn: Connection, actor: Actor, agency: int, what: str, detail: Mapping[str, Any],
    reason: str = "", *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Tell what changed: in the list of changes, as an event, in the audit trail."""
    store.add_change(conn, agency, now or utc_now(), actor, what, detail, reason)
    emit(conn, "duty.roster", {"agency": agency, "what": what}, actor=actor.ref)
    # Not the reason: it may tell of somebody's health, and the audit trail is never corrected.
    audit.record(conn, "duty.roster", actor, f"duty:{agency}", what=what, **_nameless(detail))


def _nameless(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What changed by the numbers of accounts: names can be corrected, the audit trail cannot."""
    return {
        key: _nameless(value) if isinstance(value, Mapping) else value
        for key, value in detail.items()
        if key != "name"
    }
