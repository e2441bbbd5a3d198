"""All SQL of shifts, rosters, logs and handovers; that of the brief is in `brief`. Nothing here asks
whether somebody may; `roster`, `log` and `brief` do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from psycopg import errors
from psycopg.types.json import Jsonb
from psycopg.types.range import DateRange, TimestamptzRange

from dothi.identity.model import Actor
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.work.duty.model import (
    Change,
    Days,
    DutyRole,
    Entry,
    EntryKind,
    Handover,
    Link,
    OnDuty,
    Person,
    Shift,
    Turn,
)

_LONGEST = timedelta(days=1)

# -- shifts ----------------------------------------------------------------------------------------


def shifts(conn: Connection, agency_id: int, first: date, last: date) -> list[Shift]:
    """The shifts that may begin on one of these days, by when they begin."""
    rows = conn.execute(
        """SELECT id, agency_id, name, begins, ends, days, lower(valid), upper(valid)
           FROM duty_shift WHERE agency_id = %s AND valid && daterange(%s, %s, '[]')
           ORDER BY begins, id""",
        (agency_id, first, last),
    )
    return [_shift(row) for row in rows]


def kept(conn: Connection, agency_id: int) -> list[int]:
    """All shifts of an agency."""
    rows = conn.execute("SELECT id FROM duty_shift WHERE agency_id = %s", (agency_id,))
    return [row[0] for row in rows]


def lock_shift(conn: Connection, shift_id: int) -> Shift | None:
    """The shift, held until the transaction ends: assignments wait for its change."""
    row = conn.execute(
        """SELECT id, agency_id, name, begins, ends, days, lower(valid), upper(valid)
           FROM duty_shift WHERE id = %s FOR NO KEY UPDATE""",
        (shift_id,),
    ).fetchone()
    return _shift(row) if row else None


def add_shift(
    conn: Connection, agency_id: int, name: str, begins: time, ends: time, days: Days,
    valid_from: date, valid_to: date | None,
) -> int:  # fmt: skip
    row = conn.execute(
        """INSERT INTO duty_shift (agency_id, name, begins, ends, days, valid)
           VALUES (%s, %s, %s, %s, %s, %s) RETURNING id""",
        (agency_id, name, begins, ends, days.value, DateRange(valid_from, valid_to, "[)")),
    ).fetchone()
    assert row is not None
    return row[0]


def end_shift(conn: Connection, shift_id: int, last: date) -> None:
    """Let it begin for the last time before a day."""
    conn.execute(
        "UPDATE duty_shift SET valid = daterange(lower(valid), %s, '[)') WHERE id = %s",
        (last, shift_id),
    )


def set_shift(
    conn: Connection, shift_id: int, name: str, begins: time, ends: time, days: Days
) -> None:
    conn.execute(
        "UPDATE duty_shift SET name = %s, begins = %s, ends = %s, days = %s WHERE id = %s",
        (name, begins, ends, days.value, shift_id),
    )


def drop_shift(conn: Connection, shift_id: int) -> bool:
    """Remove a shift; False where something was written in it."""
    try:
        with conn.transaction():
            conn.execute("DELETE FROM duty_shift WHERE id = %s", (shift_id,))
    except errors.ForeignKeyViolation:
        return False
    return True


def used(conn: Connection, shift_id: int, since: date) -> list[tuple[date, int, str, DutyRole]]:
    """(day, account, name, role) of who is in its turns from a day on."""
    rows = conn.execute(
        """SELECT p.day, p.account_id, a.display_name, p.role FROM duty_person p
           JOIN account a ON a.id = p.account_id
           WHERE p.shift_id = %s AND p.day >= %s ORDER BY p.day, a.display_name""",
        (shift_id, since),
    )
    return [(day, account, name, DutyRole(role)) for day, account, name, role in rows]


def agencies_on_duty(conn: Connection) -> list[tuple[int, str, str, str]]:
    """(id, code, name in Vietnamese, in English) of the agencies that keep shifts."""
    return conn.execute(
        """SELECT id, code, name_vi, name_en FROM agency g
           WHERE EXISTS (SELECT FROM duty_shift WHERE agency_id = g.id) ORDER BY code"""
    ).fetchall()


def _shift(row: tuple[Any, ...]) -> Shift:
    number, agency, name, begins, ends, days, first, last = row
    return Shift(number, agency, name, begins, ends, Days(days), first, last)


# -- the roster ------------------------------------------------------------------------------------


def people(conn: Connection, agency_id: int, first: date, last: date) -> list[Person]:
    """Who is in an agency's turns that begin on these days."""
    rows = conn.execute(
        """SELECT p.shift_id, p.day, p.account_id, a.display_name, p.role, a.disabled_at IS NULL
           FROM duty_person p JOIN duty_shift s ON s.id = p.shift_id
           JOIN account a ON a.id = p.account_id
           WHERE s.agency_id = %s AND p.day BETWEEN %s AND %s""",
        (agency_id, first, last),
    )
    return [Person(r[0], r[1], r[2], r[3], DutyRole(r[4]), r[5]) for r in rows]


def turns_of(
    conn: Connection, account_ids: Iterable[int], since: datetime, until: datetime
) -> list[Turn]:
    """Every turn of these people, of any agency, that lasts within the stretch; each holds only
    them."""
    rows = conn.execute(
        """SELECT s.id, s.agency_id, s.name, s.begins, s.ends, s.days, lower(s.valid),
                  upper(s.valid), p.day, p.account_id, a.display_name, p.role,
                  a.disabled_at IS NULL
           FROM duty_person p JOIN duty_shift s ON s.id = p.shift_id
           JOIN account a ON a.id = p.account_id
           WHERE p.account_id = ANY (%s) AND p.during && tstzrange(%s, %s)
           ORDER BY lower(p.during)""",
        (list(account_ids), since, until),
    )
    return [
        Turn(_shift(r[:8]), r[8], (Person(r[0], r[8], r[9], r[10], DutyRole(r[11]), r[12]),))
        for r in rows
    ]


def assign(
    conn: Connection, shift: Shift, day: date, account_id: int, role: DutyRole
) -> bool:  # fmt: skip
    """Put somebody into a turn; False where they are in another one at that time, or in this."""
    try:
        with conn.transaction():
            conn.execute(
                """INSERT INTO duty_person (shift_id, day, account_id, role, during)
                   VALUES (%s, %s, %s, %s, %s)""",
                (shift.id, day, account_id, role.value, TimestamptzRange(*shift.span(day), "[)")),
            )
    except (errors.ExclusionViolation, errors.UniqueViolation):
        return False
    return True


def remove(conn: Connection, shift_id: int, day: date, account_id: int) -> DutyRole | None:
    """Take somebody out of a turn; as what they were in it, None where they were not."""
    row = conn.execute(
        "DELETE FROM duty_person WHERE shift_id = %s AND day = %s AND account_id = %s "
        "RETURNING role",
        (shift_id, day, account_id),
    ).fetchone()
    return DutyRole(row[0]) if row else None


def on_duty(conn: Connection, agency_id: int, at: datetime) -> list[OnDuty]:
    """Who is on duty at an instant and may sign in."""
    today = local_date(at, VN)
    rows = conn.execute(
        """SELECT p.account_id, a.display_name, p.role, s.id, s.name, p.day,
                  lower(p.during), upper(p.during)
           FROM duty_person p JOIN duty_shift s ON s.id = p.shift_id
           JOIN account a ON a.id = p.account_id
           WHERE s.agency_id = %s AND p.day BETWEEN %s AND %s AND p.during @> %s::timestamptz
             AND a.disabled_at IS NULL
           ORDER BY array_position(ARRAY['main', 'second', 'leader'], p.role), a.display_name""",
        (agency_id, today - _LONGEST, today, at),
    )
    return [OnDuty(r[0], r[1], DutyRole(r[2]), *r[3:]) for r in rows]


def staff(conn: Connection, agency_id: int) -> list[tuple[int, str]]:
    """(account, name) of the people of an agency who may sign in."""
    return conn.execute(
        "SELECT id, display_name FROM account WHERE agency_id = %s AND disabled_at IS NULL "
        "ORDER BY display_name, id",
        (agency_id,),
    ).fetchall()


def logins(conn: Connection, agency_id: int) -> list[tuple[int, str]]:
    """(account, user name) of the people of an agency who may sign in."""
    return conn.execute(
        "SELECT id, login FROM account WHERE agency_id = %s AND disabled_at IS NULL", (agency_id,)
    ).fetchall()


def former(conn: Connection, agency_id: int) -> list[tuple[int, str, str, datetime]]:
    """(account, name, user name, until when) of those of an agency who may sign in no more."""
    return conn.execute(
        "SELECT id, display_name, login, disabled_at FROM account "
        "WHERE agency_id = %s AND disabled_at IS NOT NULL",
        (agency_id,),
    ).fetchall()


def add_change(
    conn: Connection, agency_id: int, at: datetime, actor: Actor, what: str,
    detail: Mapping[str, Any], reason: str = "",
) -> None:  # fmt: skip
    conn.execute(
        """INSERT INTO duty_change (agency_id, at, actor, actor_name, what, detail, reason)
           VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        (agency_id, at, actor.ref, actor.name, what, Jsonb(dict(detail)), reason),
    )


def changes(conn: Connection, agency_id: int, limit: int) -> list[Change]:
    """The newest first."""
    rows = conn.execute(
        """SELECT at, actor, actor_name, what, detail, reason FROM duty_change
           WHERE agency_id = %s ORDER BY id DESC LIMIT %s""",
        (agency_id, limit),
    )
    return [Change(*row) for row in rows]


# -- the log ---------------------------------------------------------------------------------------


def add_entry(
    conn: Connection, agency_id: int, turn: tuple[int, date] | None, at: datetime, *,
    kind: EntryKind, text: str, actor: Actor, text_en: str | None = None, important: bool = False,
    links: Iterable[Link] = (), corrects: int | None = None, source: str | None = None,
) -> int | None:  # fmt: skip
    """Write an entry; its id. None where its source was pulled in before, or what it corrects was
    corrected already."""
    shift_id, day = turn or (None, local_date(at, VN))
    row = conn.execute(
        """INSERT INTO duty_entry (agency_id, shift_id, day, at, kind, text, text_en, important,
               links, actor, actor_name, corrects, source)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT DO NOTHING RETURNING id""",
        (
            agency_id, shift_id, day, at, kind.value, text, text_en, important,
            Jsonb([{"url": link.url, "text": link.text} for link in links]), actor.ref, actor.name,
            corrects, source,
        ),
    ).fetchone()  # fmt: skip
    return row[0] if row else None


_ENTRY = """SELECT e.id, e.agency_id, e.shift_id, s.name, e.day, e.at, e.kind, e.text, e.text_en,
       e.important, e.links, e.actor, e.actor_name, e.corrects, c.id, e.source, e.written_at
    FROM duty_entry e LEFT JOIN duty_shift s ON s.id = e.shift_id
    LEFT JOIN duty_entry c ON c.corrects = e.id
"""


def entries(conn: Connection, agency_id: int, since: datetime, until: datetime) -> list[Entry]:
    """The entries about a stretch of time, in its order."""
    rows = conn.execute(
        _ENTRY + "WHERE e.agency_id = %s AND e.at >= %s AND e.at < %s ORDER BY e.at, e.id",
        (agency_id, since, until),
    )
    return [_entry(row) for row in rows]


def entry(conn: Connection, entry_id: int) -> Entry | None:
    row = conn.execute(_ENTRY + "WHERE e.id = %s", (entry_id,)).fetchone()
    return _entry(row) if row else None


def sources(conn: Connection, agency_id: int, wanted: Iterable[str]) -> set[str]:
    """Those of the sources that were pulled in already."""
    rows = conn.execute(
        "SELECT source FROM duty_entry WHERE agency_id = %s AND source = ANY (%s)",
        (agency_id, list(wanted)),
    )
    return {row[0] for row in rows}


def events(
    conn: Connection, kinds: Iterable[str], since: datetime, until: datetime, limit: int
) -> list[tuple[int, datetime, str, dict[str, Any]]]:
    """(id, at, kind, payload) of events of these kinds, the newest kept."""
    return conn.execute(
        """SELECT * FROM (SELECT id, at, kind, payload FROM event
               WHERE kind = ANY (%s) AND at >= %s AND at < %s ORDER BY at DESC LIMIT %s) newest
           ORDER BY at, id""",
        (list(kinds), since, until, limit),
    ).fetchall()


def _entry(row: tuple[Any, ...]) -> Entry:
    text = {"vi": row[7], "en": row[8] or row[7]}
    links = tuple(Link(one["url"], one["text"]) for one in row[10])
    return Entry(
        id=row[0], agency_id=row[1], shift_id=row[2], shift=row[3], day=row[4], at=row[5],
        kind=EntryKind(row[6]), text=text, important=row[9], links=links, actor=row[11],
        actor_name=row[12], corrects=row[13], corrected_by=row[14], source=row[15],
        written_at=row[16],
    )  # fmt: skip


# -- handovers -------------------------------------------------------------------------------------


_HANDOVER = """SELECT h.id, h.shift_id, s.name, h.day, h.at, h.given_by, h.given_name, h.summary,
       h.open_work, h.taken_by, h.taken_name, h.taken_at, h.note
    FROM duty_handover h JOIN duty_shift s ON s.id = h.shift_id
"""


def add_handover(
    conn: Connection, agency_id: int, turn: tuple[int, date], at: datetime, actor: Actor,
    summary: str, open_work: list[dict[str, Any]],
) -> int | None:  # fmt: skip
    """The id; None where the turn was handed over already."""
    row = conn.execute(
        """INSERT INTO duty_handover (agency_id, shift_id, day, at, given_by, given_name, summary,
               open_work)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id""",
        (agency_id, *turn, at, actor.account_id, actor.name, summary, Jsonb(open_work)),
    ).fetchone()
    return row[0] if row else None


def take_handover(
    conn: Connection, handover_id: int, agency_id: int, at: datetime, actor: Actor, note: str
) -> bool:
    """Confirm it; False where that was done already."""
    done = conn.execute(
        """UPDATE duty_handover SET taken_by = %s, taken_name = %s, taken_at = %s, note = %s
           WHERE id = %s AND agency_id = %s AND taken_at IS NULL""",
        (actor.account_id, actor.name, at, note, handover_id, agency_id),
    )
    return done.rowcount == 1


def handover(conn: Connection, handover_id: int, agency_id: int) -> Handover | None:
    row = conn.execute(
        _HANDOVER + "WHERE h.id = %s AND h.agency_id = %s", (handover_id, agency_id)
    ).fetchone()
    return _as_handover(row) if row else None


def handovers(conn: Connection, agency_id: int, since: datetime, until: datetime) -> list[Handover]:
    """Those given in a stretch of time, and those that still wait, oldest first."""
    rows = conn.execute(
        _HANDOVER + "WHERE h.agency_id = %s AND (h.at >= %s OR h.taken_at IS NULL) AND h.at < %s "
        "ORDER BY h.at",
        (agency_id, since, until),
    )
    return [_as_handover(row) for row in rows]


def _as_handover(row: tuple[Any, ...]) -> Handover:
    return Handover(
        id=row[0], shift_id=row[1], shift=row[2], day=row[3], at=row[4], given_by=row[5],
        given_name=row[6], summary=row[7], open_work=tuple(row[8]), taken_by=row[9],
        taken_name=row[10], taken_at=row[11], note=row[12],
    )  # fmt: skip


# -- agencies that are merged ----------------------------------------------------------------------


def pass_on(conn: Connection, old: int, new: int) -> None:
    """An agency's shifts, with who is in them, are its successor's. What was written stays where it
    was written."""
    conn.execute("UPDATE duty_shift SET agency_id = %s WHERE agency_id = %s", (new, old))
