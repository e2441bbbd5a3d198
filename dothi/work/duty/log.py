"""The shift log (sổ nhật ký trực): entries that are never changed, what can be pulled in from the
event log, and the handover from one turn to the next.

Only who is on duty writes, or a leader of the agency. Events: `duty.entry`, `duty.handover`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from dothi.identity import audit
from dothi.identity.model import Actor, Role
from dothi.identity.policy import Resource, decide, require
from dothi.kernel.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from dothi.kernel.i18n import LANGS, t
from dothi.kernel.text import nfc
from dothi.kernel.time import utc_now
from dothi.store.database import Connection
from dothi.store.events import emit
from dothi.work import inbox
from dothi.work.duty import store
from dothi.work.duty.model import Entry, EntryKind, Handover, Link, OnDuty, duty_of
from dothi.work.model import CLOSED

LONGEST_TEXT = 4_000
EARLIEST = timedelta(hours=24)
"""How long after it happened something can be written down."""
HANDED_AFTER = timedelta(hours=2)
"""How long after its end a turn can still be handed over."""
TAKEN_BEFORE = timedelta(hours=1)
"""How long before its beginning a turn can take over."""
MOST_PULLED = 200
MOST_OPEN = 20
_PULLED = ("work.opened", "work.raised", "work.moved")
_WORK = re.compile(r"[A-Z]{2,4}-\d{4}-\d{4,8}", re.ASCII)
_WORK_PAGE = re.compile(r"/work/([A-Za-z]{2,4}-\d{4}-\d{4,8})(?:[/?#].*)?", re.ASCII)
_PAGE = re.compile(r"(?:https?://[^/\s]+)?(/[a-z][^\s\\]{0,300})")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """An entry as somebody writes it. `at`: when it happened (None: now); `link`: the code of a work
    item, or the address of a page of ours."""

    kind: EntryKind
    text: str
    at: datetime | None = None
    important: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that happened by itself and can be pulled into the log, once by its `source`."""

    source: str
    at: datetime
    text: dict[str, str]
    link: Link
    important: bool = False


def place(conn: Connection, actor: Actor, agency: int, now: datetime) -> OnDuty | None:
    """Where the actor is on duty at an instant; None where they are not."""
    if actor.account_id is None:
        return None
    theirs = [p for p in store.on_duty(conn, agency, now) if p.account_id == actor.account_id]
    return theirs[0] if theirs else None


def may_write(conn: Connection, actor: Actor, agency: int, now: datetime) -> bool:
    """Whether the log is theirs to write at that instant: on duty, or a leader of the agency."""
    if not decide(actor, "duty.log", duty_of(agency)).allowed:
        return False
    return Role.LEADER in actor.roles or place(conn, actor, agency, now) is not None


def writer(conn: Connection, actor: Actor, agency: int, now: datetime) -> OnDuty | None:
    """Where who writes is on duty; None for a leader who is not. Raises Forbidden for others."""
    require(actor, "duty.log", duty_of(agency, str(agency)))
    there = place(conn, actor, agency, now)
    if there is None and Role.LEADER not in actor.roles:
        raise Forbidden("duty.not_on_duty")
    return there


def read(
    conn: Connection, actor: Actor, agency: int, since: datetime, until: datetime
) -> list[Entry]:
    """The entries about a stretch of time, oldest first."""
    require(actor, "duty.read", duty_of(agency))
    return store.entries(conn, agency, since, until)


def write(
    conn: Connection, actor: Actor, agency: int, new: NewEntry, *, now: datetime | None = None
) -> int:
    """Write an entry; its id. Raises Invalid with all faults."""
    now = now or utc_now()
    there = writer(conn, actor, agency, now)
    faults: list[Fault] = []
    text = _text(new.text, faults)
    links = _links(conn, actor, new.link, faults)
    at = new.at or now
    if not now - EARLIEST <= at <= now:
        faults.append(Fault("at", "duty.at_range"))
    if faults:
        raise Invalid("duty.invalid", faults=faults)
    made = store.add_entry(
        conn, agency, _turn(there), at, kind=new.kind, text=text, actor=actor,
        important=new.important, links=links,
    )  # fmt: skip
    assert made is not None
    _told(conn, actor, agency, made)
    return made


def correct(
    conn: Connection, actor: Actor, agency: int, entry_id: int, text: str,
    *, now: datetime | None = None,
) -> int:  # fmt: skip
    """Write an entry in place of another one, which stays; its id.

    Raises Conflict for one that was corrected already: the newest is corrected.
    """
    now = now or utc_now()
    there = writer(conn, actor, agency, now)
    old = store.entry(conn, entry_id)
    if old is None or old.agency_id != agency:
        raise NotFound("identity.not_found")
    faults: list[Fault] = []
    text = _text(text, faults)
    if faults:
        raise Invalid("duty.invalid", faults=faults)
    made = store.add_entry(
        conn, agency, _turn(there), old.at, kind=old.kind, text=text, actor=actor,
        important=old.important, links=old.links, corrects=entry_id,
    )  # fmt: skip
    if made is None:
        raise Conflict("duty.corrected_already")
    _told(conn, actor, agency, made)
    return made


# -- what happened by itself -----------------------------------------------------------------------


def candidates(
    conn: Connection, actor: Actor, agency: int, since: datetime, until: datetime,
    more: Sequence[Candidate] = (),
) -> list[Candidate]:  # fmt: skip
    """What happened in a stretch of time and is not in the log yet, of what the actor may know.

    Work opened (a limit passed is one of them), raised again and closed, from the event log; `more`
    is what the caller knows besides.
    """
    require(actor, "duty.log", duty_of(agency))
    found = list(more)
    for number, at, kind, said in store.events(conn, _PULLED, since, until, MOST_PULLED):
        if kind == "work.moved" and said.get("to") not in CLOSED:
            continue
        if not decide(actor, "work.read", Resource("work", owner_agency=said["agency"])).allowed:
            continue
        what = kind.removeprefix("work.") if kind != "work.moved" else said["to"]
        text = {
            lang: t(f"duty.auto.{what}", lang, code=said["code"], title=said["title"][lang])
            for lang in LANGS
        }
        important = said["severity"] == "critical"
        link = Link(f"/work/{said['code']}", said["code"])
        found.append(Candidate(f"event:{number}", at, text, link, important))
    known = store.sources(conn, agency, [one.source for one in found])
    return sorted((c for c in found if c.source not in known), key=lambda c: (c.at, c.source))


def pull(
    conn: Connection, actor: Actor, agency: int, wanted: Iterable[Candidate],
    *, now: datetime | None = None,
) -> int:  # fmt: skip
    """Write candidates into the log; how many. One that somebody else pulled in meanwhile is passed
    over."""
    there = writer(conn, actor, agency, now or utc_now())
    count = 0
    for one in wanted:
        made = store.add_entry(
            conn, agency, _turn(there), one.at, kind=EntryKind.EVENT, text=one.text["vi"],
            text_en=one.text["en"], actor=actor, important=one.important, links=[one.link],
            source=one.source,
        )  # fmt: skip
        count += made is not None
    if count:
        emit(conn, "duty.entry", {"agency": agency, "entries": count}, actor=actor.ref)
    return count


# -- handing over ----------------------------------------------------------------------------------


def leaving(conn: Connection, actor: Actor, agency: int, now: datetime) -> OnDuty | None:
    """The turn that the actor can hand over: the one they are in, or that ended just now."""
    return place(conn, actor, agency, now) or next(
        (p for p in _theirs(conn, actor, agency, now - HANDED_AFTER, now) if p.until <= now), None
    )


def hand_over(
    conn: Connection, actor: Actor, agency: int, summary: str, *, now: datetime | None = None
) -> int:
    """Hand one's turn over with a summary and what is open; the handover's id.

    Raises Forbidden for who has no turn to hand over, Conflict where it was done.
    """
    now = now or utc_now()
    require(actor, "duty.log", duty_of(agency, str(agency)))
    there = leaving(conn, actor, agency, now)
    if there is None:
        raise Forbidden("duty.not_on_duty")
    faults: list[Fault] = []
    summary = _text(summary, faults, "summary")
    if faults:
        raise Invalid("duty.invalid", faults=faults)
    made = store.add_handover(
        conn, agency, (there.shift_id, there.day), now, actor, summary, open_work(conn, actor, now)
    )
    if made is None:
        raise Conflict("duty.handed_already")
    store.add_entry(
        conn, agency, (there.shift_id, there.day), now, kind=EntryKind.HANDOVER, text=summary,
        actor=actor, source=f"handover:{made}:given",
    )  # fmt: skip
    emit(conn, "duty.handover", {"agency": agency, "handover": made}, actor=actor.ref)
    audit.record(
        conn, "duty.handed_over", actor, f"duty:{agency}", shift=there.shift,
        day=there.day.isoformat(),
    )  # fmt: skip
    return made


def taking(
    conn: Connection, actor: Actor, agency: int, handover: Handover, now: datetime
) -> OnDuty | None:
    """The turn in which the actor can confirm a handover: another one than was handed over, that
    lasts or begins soon; and never who gave it."""
    if actor.account_id is None or actor.account_id == handover.given_by:
        return None
    theirs = _theirs(conn, actor, agency, now, now + TAKEN_BEFORE)
    return next(
        (p for p in theirs if (p.shift_id, p.day) != (handover.shift_id, handover.day)), None
    )


def take_over(
    conn: Connection, actor: Actor, agency: int, handover_id: int, note: str,
    *, now: datetime | None = None,
) -> None:  # fmt: skip
    """Confirm with one's name that a turn was taken over."""
    now = now or utc_now()
    require(actor, "duty.log", duty_of(agency, str(agency)))
    found = store.handover(conn, handover_id, agency)
    if found is None:
        raise NotFound("identity.not_found")
    there = taking(conn, actor, agency, found, now)
    if there is None:
        raise Forbidden("duty.not_taking")
    note = nfc(note.strip())
    if len(note) > LONGEST_TEXT or _UNSTORABLE.search(note):
        fault = Fault("note", "duty.text_shape", {"limit": LONGEST_TEXT})
        raise Invalid("duty.invalid", faults=[fault])
    if not store.take_handover(conn, handover_id, agency, now, actor, note):
        raise Conflict("duty.taken_already")
    words = {lang: t("duty.took_over", lang, shift=found.shift, day=found.day) for lang in LANGS}
    store.add_entry(
        conn, agency, (there.shift_id, there.day), now, kind=EntryKind.HANDOVER,
        text=f"{words['vi']} {note}".strip(), text_en=f"{words['en']} {note}".strip(), actor=actor,
        source=f"handover:{handover_id}:taken",
    )  # fmt: skip
    emit(conn, "duty.handover", {"agency": agency, "handover": handover_id}, actor=actor.ref)
    audit.record(
        conn, "duty.taken_over", actor, f"duty:{agency}", handover=handover_id, shift=there.shift,
        day=there.day.isoformat(),
    )  # fmt: skip


def open_work(conn: Connection, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """The most urgent open items the actor may see: code, title by language, whether it is late."""
    if not decide(actor, "work.read", Resource("work", agency_column="owner_agency")).allowed:
        return []
    found = inbox.inbox(conn, actor, limit=MOST_OPEN, now=now).items
    return [
        {
            "code": item.code, "title": item.title,
            "late": item.done_at is None and item.due_at is not None and item.due_at < now,
        }
        for item in found
    ]  # fmt: skip


def _theirs(
    conn: Connection, actor: Actor, agency: int, since: datetime, until: datetime
) -> list[OnDuty]:
    """The actor's own turns in an agency that last within a stretch, earliest first."""
    if actor.account_id is None:
        return []
    return [
        OnDuty(p.account_id, p.name, p.role, turn.shift.id, turn.shift.name, turn.day,
               turn.start, turn.end)
        for turn in store.turns_of(conn, [actor.account_id], since, until)
        for p in turn.present
        if turn.shift.agency_id == agency
    ]  # fmt: skip


def _turn(there: OnDuty | None) -> tuple[int, date] | None:
    return (there.shift_id, there.day) if there else None


def _text(text: str, faults: list[Fault], where: str = "text") -> str:
    text = nfc(text.strip())
    if not text or len(text) > LONGEST_TEXT or _UNSTORABLE.search(text):
        faults.append(Fault(where, "duty.text_shape", {"limit": LONGEST_TEXT}))
    return text


def _links(conn: Connection, actor: Actor, link: str, faults: list[Fault]) -> list[Link]:
    """The code of a work item that the actor may see, or the address of a page of ours, as a link."""
    link = link.strip()
    if not link:
        return []
    if _WORK.fullmatch(link.upper()):
        code = link.upper()
        made = Link(f"/work/{code}", code)
    else:
        found = _PAGE.fullmatch(link)
        if found is None or not found[1].isprintable() or found[1].startswith("//"):
            faults.append(Fault("link", "duty.link_shape"))
            return []
        made = Link(found[1], found[1])
        page = _WORK_PAGE.fullmatch(made.url)
        code = page[1] if page else None
    if code is not None:
        try:
            inbox.item(conn, actor, code)
        except (NotFound, Forbidden):
            faults.append(Fault("link", "duty.link_none", {"code": code}))
    return [made]


def _told(conn: Connection, actor: Actor, agency: int, entry: int) -> None:
    emit(conn, "duty.entry", {"agency": agency, "entry": entry}, actor=actor.ref)
