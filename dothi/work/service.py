"""What can be done with work items: opening, moving, giving. Each act in the caller's transaction,
under the policy, with its history line, its event and its entry for the audit trail.

Events, all with subject `work:<code>`: `work.opened`, `work.raised` (the same thing again),
`work.moved`, from `jobs` `work.rung` and from `urging` `work.urged`. Their payloads name the item's agency, so that a door can
ask the policy before it passes them on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dothi.identity import audit
from dothi.identity.agencies import branch
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.kernel.clock import Clock
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.i18n import LANGS
from dothi.kernel.text import nfc
from dothi.kernel.time import VN, local_date, rfc3339, utc_now
from dothi.store.database import Connection
from dothi.store.events import emit
from dothi.work import store, timing
from dothi.work.calendars import Calendars
from dothi.work.kinds import KINDS, kind_of
from dothi.work.model import (
    CLOSED,
    OPEN,
    Item,
    Move,
    Rule,
    Rung,
    Severity,
    Standstill,
    State,
    obstacle,
    stopped,
)

LONGEST_TITLE = 300
LONGEST_NOTE = 4_000

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What an item is opened with. `title` and `detail` (a few sentences) are by language.

    `service` is the monitoring service it belongs to; `source` what raised it (dataset, stream,
    indicator, load …); while an item with the same `dedupe_key` is open, no second one is made.
    `budget` (working time) and `calendar` replace those of the kind.
    """

    kind: str
    title: Mapping[str, str]
    severity: Severity
    agency_id: int
    detail: Mapping[str, str] = field(default_factory=dict)
    service: str | None = None
    place: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    dedupe_key: str | None = None
    budget: timedelta | None = None
    calendar: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """The item an opening led to. `new` is False where it joined one that was open already."""

    code: str
    new: bool


def open_item(
    conn: Connection, actor: Actor, opening: Opening, *, now: datetime | None = None
) -> Opened:
    """Open an item and set its clock and ladder going.

    Something raised again joins its open item: counted there, told in its history, and if it has
    become more urgent with the shorter deadline from now on, never with a later one.
    """
    _check_opening(opening)
    kind = kind_of(opening.kind)
    require(actor, "work.open", Resource("work", owner_agency=opening.agency_id))
    now = now or utc_now()
    if opening.dedupe_key is not None and (code := _joined(conn, actor, opening, now)):
        return Opened(code, new=False)

    year = local_date(now, VN).year
    calendar = opening.calendar or kind.calendar
    budget = opening.budget if opening.budget is not None else kind.budgets[opening.severity]
    clock = Clock(now, budget, Calendars(conn, hold=True)[calendar])
    code = kind.number(year, store.next_number(conn, kind.series, year))
    rungs = [
        Rung(
            step.name,
            step.after(budget),
            step.recipient,
            step.message,
            replace(clock, budget=step.after(budget)).due(),
            None,
        )
        for step in kind.ladder
    ]
    values = {
        "code": code,
        "kind": kind.name,
        "title": {lang: nfc(opening.title[lang].strip()) for lang in LANGS},
        "detail": {lang: nfc(text) for lang, text in opening.detail.items()},
        "severity": opening.severity,
        "agency": opening.agency_id,
        "service": opening.service,
        "place": nfc(opening.place),
        "source": dict(opening.source),
        "dedupe_key": opening.dedupe_key,
        "at": now,
        "budget": budget,
        "calendar": calendar,
        "due_at": clock.due(),
    }
    if store.insert_item(conn, values, rungs, actor, opening.note) is None:
        # Somebody else opened it between our look and our insert, or there is no such agency.
        store.give_number_back(conn, kind.series, year)
        if opening.dedupe_key is not None and (code := _joined(conn, actor, opening, now)):
            return Opened(code, new=False)
        fault = Fault("agency", "work.no_agency", {"agency": opening.agency_id})
        raise Invalid("work.opening_invalid", faults=[fault])
    told = {
        "code": code,
        "kind": kind.name,
        "severity": opening.severity.name.lower(),
        "title": values["title"],
        "service": opening.service,
        "agency": opening.agency_id,
        "due": _when(values["due_at"]),
    }
    emit(conn, "work.opened", told, actor=actor.ref, subject=f"work:{code}")
    audit.record(conn, "work.opened", actor, f"work:{code}", kind=kind.name)
    return Opened(code, new=True)


def move(
    conn: Connection,
    actor: Actor,
    code: str,
    what: Move,
    *,
    version: int,
    note: str = "",
    now: datetime | None = None,
) -> Item:
    """Do something with an item: accept, start, pause, resume, done, refuse, verify, return, cancel,
    note. The item as it is then.

    `version` is that of the item the person saw. Raises Conflict if it was changed since or if its
    state does not allow the move, Invalid where words are missing.
    """
    if what in (Move.GIVE_AGENCY, Move.GIVE_PERSON):
        raise ValueError("giving needs somebody: give_to_agency, give_to_person")
    item, rule = _held(conn, actor, code, what, version, note)
    assignee = item.assignee
    takes = what in (Move.ACCEPT, Move.START)
    if takes and assignee is None and actor.agency_id == item.agency_id:
        assignee = actor.account_id
    return _apply(conn, actor, item, rule, what, note, now, assignee=assignee)


def give_to_agency(
    conn: Connection,
    actor: Actor,
    code: str,
    agency_id: int,
    *,
    version: int,
    note: str = "",
    now: datetime | None = None,
) -> Item:
    """Give an item to another agency, which has to accept it anew. Its deadline stays the same."""
    item, rule = _held(conn, actor, code, Move.GIVE_AGENCY, version, note)
    now = now or utc_now()
    if agency_id == item.agency_id and item.state is not State.REFUSED:
        raise Conflict("work.already_there", code=code)
    if not store.agency_exists(conn, agency_id, now.astimezone(VN)):
        fault = Fault("agency", "work.no_agency", {"agency": agency_id})
        raise Invalid("work.gift_invalid", faults=[fault])
    return _apply(
        conn, actor, item, rule, Move.GIVE_AGENCY, note, now, agency_id=agency_id, assignee=None
    )


def give_to_person(
    conn: Connection,
    actor: Actor,
    code: str,
    account_id: int,
    *,
    version: int,
    note: str = "",
    now: datetime | None = None,
) -> Item:
    """Give an item to somebody of its agency or of one below it."""
    item, rule = _held(conn, actor, code, Move.GIVE_PERSON, version, note)
    if store.works_for(conn, account_id) not in branch(conn, item.agency_id):
        fault = Fault("person", "work.no_person", {"account": account_id})
        raise Invalid("work.gift_invalid", faults=[fault])
    return _apply(conn, actor, item, rule, Move.GIVE_PERSON, note, now, assignee=account_id)


def settle(conn: Connection, actor: Actor, dedupe_key: str, note: str) -> bool:
    """End the open item with this key, because what it asked for has been done; whether there is
    one. `note` says what was done."""
    item = store.lock_open(conn, dedupe_key, Calendars(conn))
    if item is None:
        return False
    require(actor, "work.judge", item.resource)
    rule = Rule(OPEN, State.VERIFIED, "work.judge")
    _apply(conn, actor, item, rule, Move.VERIFY, note, None, assignee=item.assignee)
    return True


def possible(actor: Actor, item: Item) -> tuple[Move, ...]:
    """What this actor may do with the item now, in the order a screen offers it."""
    return tuple(
        what
        for what, rule in KINDS[item.kind].rules.items()
        if obstacle(rule, what, item.state, item.paused) is None
        and decide(actor, rule.action, item.resource).allowed
    )


def needs_note(item: Item, what: Move) -> bool:
    """Whether the move needs words: why, or what was done."""
    return KINDS[item.kind].rules[what].note


def _held(
    conn: Connection, actor: Actor, code: str, what: Move, version: int, note: str
) -> tuple[Item, Rule]:
    """The item, locked, once it is certain that the move is allowed and possible."""
    item = store.lock(conn, code, Calendars(conn))
    if item is None:
        raise NotFound("identity.not_found")
    rule = kind_of(item.kind).rules.get(what)
    require(actor, "work.read" if rule is None else rule.action, item.resource)
    if version != item.version:
        raise Conflict("work.changed_meanwhile", code=code)
    if rule is None:
        raise Conflict("work.not_for_kind", code=code)
    if why := obstacle(rule, what, item.state, item.paused):
        raise Conflict(why, code=code)
    faults = _text_faults("note", note)
    if rule.note and not note.strip():
        faults.append(Fault("note", "work.note_missing"))
    if faults:
        raise Invalid("work.move_invalid", faults=faults)
    return item, rule


def _apply(
    conn: Connection,
    actor: Actor,
    item: Item,
    rule: Rule,
    what: Move,
    note: str,
    now: datetime | None,
    *,
    agency_id: int | None = None,
    assignee: int | None,
) -> Item:
    # Several machines' clocks may differ: nothing happens before what has already happened.
    now = max(now or utc_now(), _last_instant(item))
    note = nfc(note.strip())
    state = rule.to or item.state
    after = replace(
        item,
        state=state,
        agency_id=agency_id if agency_id is not None else item.agency_id,
        assignee=assignee,
        clock=_pauses_after(conn, actor, item, state, what, note, now),
    )
    if state is not item.state:
        after = _settled(after, now)
    if after.clock != item.clock or (after.done_at, after.closed_at) != (
        item.done_at,
        item.closed_at,
    ):
        after = replace(after, due_at=timing.retime(conn, item.id, state, after.clock))
    store.move_item(conn, after)

    detail: dict[str, Any] = {}
    if after.agency_id != item.agency_id:
        detail["agency"] = [item.agency_id, after.agency_id]
    if after.assignee != item.assignee:
        detail["assignee"] = [item.assignee, after.assignee]
    store.add_history(conn, item.id, now, actor, what, item.state, state, note, detail)
    told = {
        "code": item.code,
        "kind": item.kind,
        "severity": item.severity.name.lower(),
        "title": item.title,
        "service": item.service,
        "move": what.value,
        "from": item.state.value,
        "to": state.value,
        "agency": after.agency_id,
        "from_agency": item.agency_id,
        "assignee": after.assignee,
        "due": _when(after.due_at),
        "version": item.version + 1,
    }
    emit(conn, "work.moved", told, actor=actor.ref, subject=f"work:{item.code}")
    # Not the words: they may name people, and the audit trail can never be corrected.
    acts = {"from": item.state.value, "to": state.value, **detail}
    audit.record(conn, f"work.{what}", actor, f"work:{item.code}", **acts)
    stored = store.item(conn, item.code, Calendars(conn))
    assert stored is not None
    return stored


def _settled(item: Item, now: datetime) -> Item:
    """An item that has just come to its state, with what it used and when it was done or closed."""
    if item.state in CLOSED:
        used = item.clock.used(now) if item.used is None else item.used
        return replace(item, closed_at=now, used=used)
    if item.state is State.DONE:
        return replace(item, done_at=now, used=item.clock.used(now))
    return replace(item, done_at=None, used=None)


def _pauses_after(
    conn: Connection,
    actor: Actor,
    item: Item,
    state: State,
    what: Move,
    note: str,
    now: datetime,
) -> Clock:
    """The item's clock with its pauses as the move leaves them; what changes is stored."""
    pauses = item.clock.pauses
    if what is Move.PAUSE:
        store.add_pause(conn, item.id, Standstill(now, None, note, actor.ref, waits=False))
        pauses = (*pauses, (now, None))
    elif item.paused and (what is Move.RESUME or state is not item.state):
        store.end_pause(conn, item.id, now)
        pauses = stopped(pauses, now)
    elif item.done_at is not None and state is State.RETURNED:
        store.add_pause(conn, item.id, Standstill(item.done_at, now, note, actor.ref, waits=True))
        pauses = (*pauses, (item.done_at, now))
    return replace(item.clock, pauses=pauses)


def _joined(conn: Connection, actor: Actor, opening: Opening, now: datetime) -> str | None:
    """Count the opening at the open item with its key; that item's code."""
    assert opening.dedupe_key is not None
    item = store.lock_open(conn, opening.dedupe_key, Calendars(conn))
    if item is None:
        return None
    now = max(now, _last_instant(item))
    severity = max(item.severity, opening.severity)
    clock, due_at = item.clock, item.due_at
    if severity > item.severity and item.done_at is None:
        kind = kind_of(item.kind)
        used = clock.used(now)
        fresh = opening.budget if opening.budget is not None else kind.budgets[severity]
        if used + fresh < clock.budget:
            clock = replace(clock, budget=used + fresh)
            sooner = {step.name: used + step.after(fresh) for step in kind.ladder}
            store.shift_rungs(conn, item.id, sooner)
            due_at = timing.retime(conn, item.id, item.state, clock)
    store.raise_again(conn, item.id, severity, clock.budget, due_at)
    detail = {**opening.source, "severity": severity.name.lower()}
    store.add_history(conn, item.id, now, actor, "raised", None, None, opening.note, detail)
    told = {
        "code": item.code,
        "kind": item.kind,
        "severity": severity.name.lower(),
        "title": item.title,
        "service": item.service,
        "agency": item.agency_id,
        "due": _when(due_at),
    }
    emit(conn, "work.raised", told, actor=actor.ref, subject=f"work:{item.code}")
    return item.code


def _check_opening(opening: Opening) -> None:
    faults: list[Fault] = []
    for lang in LANGS:
        title = opening.title.get(lang, "").strip()
        if not title:
            faults.append(Fault(f"title.{lang}", "work.title_missing"))
        elif len(title) > LONGEST_TITLE or not title.isprintable():
            faults.append(Fault(f"title.{lang}", "work.title_shape", {"limit": LONGEST_TITLE}))
    if opening.budget is not None and opening.budget <= timedelta(0):
        faults.append(Fault("budget", "work.budget_not_positive"))
    for lang, text in opening.detail.items():
        faults += _text_faults(f"detail.{lang}", text)
    faults += _text_faults("place", opening.place) + _text_faults("note", opening.note)
    if faults:
        raise Invalid("work.opening_invalid", faults=faults)


def _text_faults(where: str, text: str) -> list[Fault]:
    if len(text) > LONGEST_NOTE:
        return [Fault(where, "work.note_too_long", {"limit": LONGEST_NOTE})]
    return [Fault(where, "work.note_characters")] if _UNSTORABLE.search(text) else []


def _last_instant(item: Item) -> datetime:
    """The last thing known to have happened to the item's clock."""
    known = [item.opened_at, item.done_at, item.closed_at]
    for pause in item.clock.pauses:
        known += pause
    return max(instant for instant in known if instant is not None)


def _when(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)
