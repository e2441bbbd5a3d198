"""The morning brief (bản tin sáng) as a document: made once a day, edited, published, corrected.

Every state of it is a version of its own that is never changed. What it says is gathered by who
makes it; here is its life and its SQL. Events: `duty.brief`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg.types.json import Jsonb

from dothi.identity import audit
from dothi.identity.model import SYSTEM, Actor, Role
from dothi.identity.policy import decide, require
from dothi.kernel.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from dothi.kernel.text import nfc
from dothi.kernel.time import utc_now
from dothi.store.database import Connection, Database
from dothi.store.events import emit
from dothi.work.duty import log
from dothi.work.duty.model import DutyRole, brief_day, brief_span, duty_of

LATE = timedelta(minutes=10)
"""From then on the brief says that it was not made at its hour."""
SECTIONS = ("limits", "work", "silent", "moved", "log", "roster", "remarks", "proposals")
"""The parts in their order; the last two are for who edits it."""
MOST_LINES = 60
LONGEST_LINE = 1_000
LONGEST_REASON = 500
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

What = Literal["generated", "edited", "published", "amended"]


class Line(msgspec.Struct, frozen=True):
    """A line by language. `id` stays through all versions; `url` is where its number leads."""

    id: str
    text: dict[str, str]
    url: str | None = None


class Section(msgspec.Struct, frozen=True):
    """A part. One without lines says so in a sentence where it is shown."""

    key: str
    lines: tuple[Line, ...] = ()


Body = tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A state of the document: who made it when, out of what."""

    no: int
    at: datetime
    what: What
    actor: str
    actor_name: str
    reason: str
    body: Body


@dataclass(frozen=True, slots=True)
class Brief:
    """The brief of an agency for a day with all its versions, oldest first. `late`: why it was not
    made at its hour."""

    id: int
    agency_id: int
    day: date
    since: datetime
    until: datetime
    made_at: datetime
    late: str | None
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        return self.versions[-1]

    @property
    def published(self) -> Version | None:
        """The version that was published, or the last correction of it."""
        return next(
            (v for v in reversed(self.versions) if v.what in ("published", "amended")), None
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """A line against what was generated: same, edited, added or removed."""

    line: Line
    mark: Literal["same", "edited", "added", "removed"]


# -- making ----------------------------------------------------------------------------------------


def due(conn: Connection, now: datetime) -> list[tuple[int, date]]:
    """(agency, day) of the newest briefs that are due and not made, of agencies that keep shifts."""
    day = brief_day(now)
    rows = conn.execute(
        """SELECT DISTINCT s.agency_id FROM duty_shift s WHERE s.valid @> %(day)s::date
           AND NOT EXISTS (SELECT FROM duty_brief b
                           WHERE b.agency_id = s.agency_id AND b.day = %(day)s)
           ORDER BY 1""",
        {"day": day},
    )
    return [(row[0], day) for row in rows]


def make(
    db: Database, agency: int, day: date, gather: Callable[[], Body], *, now: datetime | None = None
) -> bool:
    """Make the brief of a day; False where it is made already.

    Its place and its first version are one transaction: of two makers one waits for the other and
    then has nothing to do, and a kill leaves nothing of it.
    """
    now = now or utc_now()
    since, until = brief_span(day)
    with db.transaction() as conn:
        row = conn.execute(
            """INSERT INTO duty_brief (agency_id, day, since, until, made_at, late)
               SELECT %(agency)s, %(day)s, %(since)s, %(until)s, %(now)s,
                   CASE WHEN %(now)s <= %(until)s + %(late)s THEN NULL
                        WHEN min(created_at) > %(until)s THEN 'no_shift' ELSE 'stopped' END
               FROM duty_shift WHERE agency_id = %(agency)s
               ON CONFLICT DO NOTHING RETURNING id""",
            {
                "agency": agency,
                "day": day,
                "since": since,
                "until": until,
                "now": now,
                "late": LATE,
            },
        ).fetchone()
        if row is None:
            return False
        _add(conn, row[0], 1, now, "generated", SYSTEM, gather())
        emit(conn, "duty.brief", {"agency": agency, "day": day.isoformat(), "what": "generated"})
    return True


# -- reading ---------------------------------------------------------------------------------------


def read(conn: Connection, actor: Actor, agency: int, day: date) -> Brief:
    """Raises NotFound, also for a hidden one."""
    require(actor, "duty.read", duty_of(agency, str(agency)))
    found = _find(conn, agency, day)
    if found is None:
        raise NotFound("duty.no_brief", day=day)
    return found


def days(conn: Connection, actor: Actor, agency: int, limit: int = 31) -> list[tuple[date, str]]:
    """(day, what its newest version is) of the last briefs, newest first."""
    require(actor, "duty.read", duty_of(agency))
    return conn.execute(
        """SELECT b.day, (SELECT CASE WHEN bool_or(v.what IN ('published', 'amended'))
                                 THEN 'published'
                                 WHEN bool_or(v.what = 'edited') THEN 'edited'
                                 ELSE 'generated' END
                          FROM duty_brief_version v WHERE v.brief_id = b.id)
           FROM duty_brief b WHERE b.agency_id = %s ORDER BY b.day DESC LIMIT %s""",
        (agency, limit),
    ).fetchall()


def compared(first: Body, now: Body) -> dict[str, list[Compared]]:
    """By section, every line of both with how it differs from what was generated."""
    before = {line.id: line for section in first for line in section.lines}
    kept = {line.id for section in now for line in section.lines}
    out: dict[str, list[Compared]] = {}
    for section in now:
        lines = out[section.key] = []
        for line in section.lines:
            old = before.get(line.id)
            mark = "added" if old is None else "same" if old.text == line.text else "edited"
            lines.append(Compared(line, mark))
    for section in first:
        gone = [Compared(line, "removed") for line in section.lines if line.id not in kept]
        out.setdefault(section.key, []).extend(gone)
    return out


# -- editing and publishing ------------------------------------------------------------------------


def may_edit(conn: Connection, actor: Actor, agency: int, now: datetime) -> bool:
    """Whether they may edit it at that instant: as who may write the log."""
    return log.may_write(conn, actor, agency, now)


def may_publish(conn: Connection, actor: Actor, agency: int, now: datetime) -> bool:
    """Whether they may publish: who has the main duty or leads it, or a leader of the agency."""
    if not decide(actor, "duty.publish", duty_of(agency)).allowed:
        return False
    there = log.place(conn, actor, agency, now)
    leads = there is not None and there.role in (DutyRole.MAIN, DutyRole.LEADER)
    return leads or Role.LEADER in actor.roles


def edited(body: Body, sent: Mapping[str, str]) -> Body:
    """The body as a form says: `line.<id>` holds a line's text in Vietnamese, empty to leave it out;
    `add.<section>` new lines. Raises Invalid with all faults."""
    faults: list[Fault] = []
    numbers = [
        int(n) for s in body for line in s.lines if (n := line.id.rpartition("+")[2]).isdecimal()
    ]
    fresh = max(numbers, default=0)
    sections = []
    for section in body:
        lines = []
        for line in section.lines:
            text = _line(sent.get(f"line.{line.id}", line.text["vi"]), f"line.{line.id}", faults)
            if text == line.text["vi"]:
                lines.append(line)
            elif text:
                lines.append(msgspec.structs.replace(line, text={"vi": text, "en": text}))
        for text in sent.get(f"add.{section.key}", "").splitlines():
            if text := _line(text, f"add.{section.key}", faults):
                fresh += 1
                lines.append(Line(f"{section.key}+{fresh}", {"vi": text, "en": text}))
        if len(lines) > MOST_LINES:
            faults.append(Fault(f"add.{section.key}", "duty.too_many_lines", {"limit": MOST_LINES}))
        sections.append(msgspec.structs.replace(section, lines=tuple(lines)))
    if faults:
        raise Invalid("duty.invalid", faults=faults)
    return tuple(sections)


def save(
    conn: Connection, actor: Actor, agency: int, day: date, version: int, sent: Mapping[str, str],
    *, now: datetime | None = None,
) -> Brief:  # fmt: skip
    """Store the brief as somebody edited it. One that is published gets a correction, with a reason,
    from who may publish.

    `version` is what they had before them: Conflict where somebody else saved meanwhile.
    """
    now = now or utc_now()
    found = _held(conn, actor, agency, day, version)
    amends = found.published is not None
    _require(conn, actor, agency, now, publish=amends)
    reason = nfc(sent.get("reason", "").strip()) if amends else ""
    if amends and not (0 < len(reason) <= LONGEST_REASON and reason.isprintable()):
        fault = Fault("reason", "duty.reason_missing", {"limit": LONGEST_REASON})
        raise Invalid("duty.invalid", faults=[fault])
    body = edited(found.newest.body, sent)
    if body == found.newest.body:
        return found
    return _stored(conn, actor, found, "amended" if amends else "edited", body, reason, now)


def publish(
    conn: Connection, actor: Actor, agency: int, day: date, version: int,
    *, now: datetime | None = None,
) -> Brief:  # fmt: skip
    """Publish the brief as it is. Raises Conflict where it is published, or was changed meanwhile."""
    now = now or utc_now()
    found = _held(conn, actor, agency, day, version)
    _require(conn, actor, agency, now, publish=True)
    if found.published is not None:
        raise Conflict("duty.published_already", day=day)
    return _stored(conn, actor, found, "published", found.newest.body, "", now)


def _held(conn: Connection, actor: Actor, agency: int, day: date, version: int) -> Brief:
    """The brief, locked, as its editor saw it."""
    require(actor, "duty.read", duty_of(agency, str(agency)))
    conn.execute(
        "SELECT FROM duty_brief WHERE agency_id = %s AND day = %s FOR NO KEY UPDATE", (agency, day)
    )
    found = _find(conn, agency, day)
    if found is None:
        raise NotFound("duty.no_brief", day=day)
    require(actor, "duty.log", duty_of(agency, str(agency)))
    if found.newest.no != version:
        by = found.newest
        raise Conflict("duty.brief_changed", name=by.actor_name, at=by.at, version=by.no)
    return found


def _require(conn: Connection, actor: Actor, agency: int, now: datetime, *, publish: bool) -> None:
    if publish and not may_publish(conn, actor, agency, now):
        raise Forbidden("duty.not_publishing")
    if not publish and not may_edit(conn, actor, agency, now):
        raise Forbidden("duty.not_on_duty")


def _stored(
    conn: Connection, actor: Actor, found: Brief, what: What, body: Body, reason: str, now: datetime
) -> Brief:
    no = found.newest.no + 1
    _add(conn, found.id, no, now, what, actor, body, reason)
    told = {"agency": found.agency_id, "day": found.day.isoformat(), "what": what, "version": no}
    emit(conn, "duty.brief", told, actor=actor.ref)
    if what != "edited":
        subject = f"brief:{found.agency_id}:{found.day.isoformat()}"
        audit.record(conn, "duty.published", actor, subject, version=no, what=what)
    made = Version(no, now, what, actor.ref, actor.name, reason, body)
    return replace(found, versions=(*found.versions, made))


def _line(text: str, where: str, faults: list[Fault]) -> str:
    text = nfc(" ".join(text.split()))
    if len(text) > LONGEST_LINE or _UNSTORABLE.search(text):
        faults.append(Fault(where, "duty.text_shape", {"limit": LONGEST_LINE}))
    return text


# -- SQL -------------------------------------------------------------------------------------------


def _add(
    conn: Connection, brief_id: int, no: int, at: datetime, what: What, actor: Actor,
    body: Sequence[Section], reason: str = "",
) -> None:  # fmt: skip
    conn.execute(
        """INSERT INTO duty_brief_version (brief_id, no, at, what, actor, actor_name, reason, body)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        (brief_id, no, at, what, actor.ref, actor.name, reason, Jsonb(msgspec.to_builtins(body))),
    )


def _find(conn: Connection, agency: int, day: date) -> Brief | None:
    row = conn.execute(
        """SELECT id, agency_id, day, since, until, made_at, late FROM duty_brief
           WHERE agency_id = %s AND day = %s""",
        (agency, day),
    ).fetchone()
    if row is None:
        return None
    versions = conn.execute(
        """SELECT no, at, what, actor, actor_name, reason, body FROM duty_brief_version
           WHERE brief_id = %s ORDER BY no""",
        (row[0],),
    )
    return Brief(
        id=row[0], agency_id=row[1], day=row[2], since=row[3], until=row[4], made_at=row[5],
        late=row[6], versions=tuple(_version(v) for v in versions),
    )  # fmt: skip


def _version(row: tuple[Any, ...]) -> Version:
    return Version(
        no=row[0], at=row[1], what=row[2], actor=row[3], actor_name=row[4], reason=row[5],
        body=msgspec.convert(row[6], Body),
    )  # fmt: skip
