"""All SQL of work items. Nothing here asks whether somebody may; `service` and `inbox` do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from psycopg.types.json import Jsonb

from dothi.identity.model import Actor
from dothi.kernel.clock import Calendar, Clock
from dothi.store.database import Connection, own_sql
from dothi.work.model import HistoryLine, Item, Recipient, Rung, Severity, Standstill, State

ALWAYS = "always"
"""The calendar that never rests."""


class ByName(Protocol):
    """Calendars by name."""

    def __getitem__(self, name: str, /) -> Calendar: ...


# -- items -----------------------------------------------------------------------------------------

_OF_ITEM = """
    SELECT w.id, w.code, w.kind, w.title, w.detail, w.severity,
           w.owner_agency, g.name_vi, g.name_en, w.assignee, a.display_name,
           w.state, w.service, w.place, w.source, w.dedupe_key,
           w.opened_at, w.started_at, w.budget, w.calendar, p.since, p.until, p.reason,
           w.due_at, w.done_at, w.used, w.closed_at, w.raised, w.version
    FROM {source} w
    JOIN agency g ON g.id = w.owner_agency
    LEFT JOIN account a ON a.id = w.assignee
    CROSS JOIN LATERAL (
        SELECT array_agg(since ORDER BY since) AS since, array_agg(until ORDER BY since) AS until,
               max(reason) FILTER (WHERE until IS NULL) AS reason
        FROM work_pause WHERE work_id = w.id
    ) p
"""
_PAGE = "(SELECT * FROM work_item w WHERE {where} ORDER BY {order} LIMIT %(limit)s)"
_ITEM = own_sql(_OF_ITEM.format(source="work_item"))

_COUNTS = """
    SELECT w.state, w.severity, count(*),
           count(*) FILTER (WHERE w.due_at < %(now)s AND w.done_at IS NULL)
    FROM work_item w WHERE w.closed_at IS NULL AND
"""


def _item(row: Sequence[Any], calendars: ByName) -> Item:
    pauses = tuple(zip(row[20] or (), row[21] or (), strict=True))
    return Item(
        id=row[0],
        code=row[1],
        kind=row[2],
        title=row[3],
        detail=row[4],
        severity=Severity(row[5]),
        agency_id=row[6],
        agency={"vi": row[7], "en": row[8]},
        assignee=row[9],
        assignee_name=row[10],
        state=State(row[11]),
        service=row[12],
        place=row[13],
        source=row[14],
        dedupe_key=row[15],
        opened_at=row[16],
        clock=Clock(row[17], row[18], calendars[row[19]], pauses),
        calendar=row[19],
        pause=row[22],
        due_at=row[23],
        done_at=row[24],
        used=row[25],
        closed_at=row[26],
        raised=row[27],
        version=row[28],
    )


def item(conn: Connection, code: str, calendars: ByName) -> Item | None:
    if not code.isprintable():
        return None
    row = conn.execute(_ITEM + "WHERE w.code = %s", (code,)).fetchone()
    return _item(row, calendars) if row else None


def items(
    conn: Connection, where: str, order: str, values: Mapping[str, Any], calendars: ByName
) -> list[Item]:
    """Items under a condition made of our own text and the values bound in it."""
    # The page is cut before anything is joined to it, so that the order's index serves.
    query = _OF_ITEM.format(source=_PAGE.format(where=where, order=order)) + f"ORDER BY {order}"
    return [_item(row, calendars) for row in conn.execute(own_sql(query), values).fetchall()]


def counts(
    conn: Connection, where: str, values: Mapping[str, Any]
) -> list[tuple[str, int, int, int]]:
    """(state, severity, how many, how many of them past due at `now`) of the open items."""
    query = _COUNTS + where + " GROUP BY 1, 2"
    return conn.execute(own_sql(query), values).fetchall()


def lock(conn: Connection, code: str, calendars: ByName) -> Item | None:
    """The item, held until the transaction ends. Locked first and read after, so that what is read
    of its pauses is as new as its row."""
    if not code.isprintable():
        return None
    conn.execute("SELECT FROM work_item WHERE code = %s FOR NO KEY UPDATE", (code,))
    return item(conn, code, calendars)


def lock_open(conn: Connection, dedupe_key: str, calendars: ByName) -> Item | None:
    """The open item with this key, held until the transaction ends."""
    row = conn.execute(
        "SELECT code FROM work_item WHERE dedupe_key = %s AND closed_at IS NULL FOR NO KEY UPDATE",
        (dedupe_key,),
    ).fetchone()
    return item(conn, row[0], calendars) if row else None


def lock_open_by_calendar(conn: Connection, name: str, calendars: ByName) -> list[Item]:
    """The open items that count by a calendar, all held until the transaction ends."""
    conn.execute(
        "SELECT FROM work_item WHERE calendar = %s AND closed_at IS NULL "
        "ORDER BY id FOR NO KEY UPDATE",
        (name,),
    )
    rows = conn.execute(
        _ITEM + "WHERE w.calendar = %s AND w.closed_at IS NULL ORDER BY w.id", (name,)
    )
    return [_item(row, calendars) for row in rows.fetchall()]


def next_number(conn: Connection, series: str, year: int) -> int:
    """The next number of a series. Openers wait here for one another, so codes have no gaps."""
    row = conn.execute(
        "INSERT INTO work_number VALUES (%s, %s, 1) "
        "ON CONFLICT (series, year) DO UPDATE SET last = work_number.last + 1 RETURNING last",
        (series, year),
    ).fetchone()
    assert row is not None
    return row[0]


def give_number_back(conn: Connection, series: str, year: int) -> None:
    """Undo `next_number` of this transaction, which still holds the row."""
    conn.execute(
        "UPDATE work_number SET last = last - 1 WHERE series = %s AND year = %s", (series, year)
    )


def insert_item(
    conn: Connection, values: Mapping[str, Any], rungs: Sequence[Rung], actor: Actor, note: str
) -> int | None:
    """Store an item with its ladder and the first line of its history; its id.

    None where its agency does not exist or its key belongs to an open item.
    """
    row = conn.execute(
        """WITH made AS (
               INSERT INTO work_item (code, kind, title, detail, severity, owner_agency, state, service, place, source, dedupe_key, opened_at, started_at, budget,
                   calendar, due_at)
               SELECT %(code)s, %(kind)s, %(title)s, %(detail)s, %(severity)s, id, 'new', %(service)s, %(place)s, %(source)s, %(dedupe_key)s, %(at)s, %(at)s,
                   %(budget)s, %(calendar)s, %(due_at)s
               FROM agency WHERE id = %(agency)s
               ON CONFLICT (dedupe_key) WHERE closed_at IS NULL DO NOTHING
               RETURNING id
           ), ladder AS (
               INSERT INTO work_rung (work_id, name, after, recipient, message, due_at)
               SELECT made.id, rung.* FROM made, unnest(%(names)s::text[], %(afters)s::interval[],
                   %(recipients)s::text[], %(messages)s::text[], %(dues)s::timestamptz[]) AS rung
           ), told AS (
               INSERT INTO work_history
                   (work_id, at, actor, actor_name, what, to_state, note, detail)
               SELECT id, %(at)s, %(actor)s, %(actor_name)s, 'opened', 'new', %(note)s, %(source)s
               FROM made
           )
           SELECT id FROM made""",
        {
            **values,
            "title": Jsonb(values["title"]),
            "detail": Jsonb(values["detail"]),
            "source": Jsonb(values["source"]),
            "names": [rung.name for rung in rungs],
            "afters": [rung.after for rung in rungs],
            "recipients": [rung.recipient.value for rung in rungs],
            "messages": [rung.message for rung in rungs],
            "dues": [rung.due_at for rung in rungs],
            "actor": actor.ref,
            "actor_name": actor.name,
            "note": note,
        },
    ).fetchone()
    return row[0] if row else None


def raise_again(
    conn: Connection,
    item_id: int,
    severity: Severity,
    budget: timedelta,
    due_at: datetime | None,
) -> None:
    conn.execute(
        "UPDATE work_item SET raised = raised + 1, severity = %s, budget = %s, due_at = %s "
        "WHERE id = %s",
        (severity, budget, due_at, item_id),
    )


def set_due(conn: Connection, item_id: int, due_at: datetime | None) -> None:
    conn.execute("UPDATE work_item SET due_at = %s WHERE id = %s", (due_at, item_id))


def move_item(conn: Connection, after: Item) -> None:
    """Store what a move changed; the version counts up."""
    conn.execute(
        """UPDATE work_item SET state = %s, owner_agency = %s, assignee = %s, due_at = %s,
               done_at = %s, used = %s, closed_at = %s, version = version + 1 WHERE id = %s""",
        (
            after.state.value,
            after.agency_id,
            after.assignee,
            after.due_at,
            after.done_at,
            after.used,
            after.closed_at,
            after.id,
        ),
    )


# -- pauses ----------------------------------------------------------------------------------------


def add_pause(conn: Connection, item_id: int, pause: Standstill) -> None:
    conn.execute(
        "INSERT INTO work_pause VALUES (%s, %s, %s, %s, %s, %s)",
        (item_id, pause.since, pause.until, pause.reason, pause.actor, pause.waits),
    )


def end_pause(conn: Connection, item_id: int, now: datetime) -> None:
    conn.execute(
        "UPDATE work_pause SET until = %s WHERE work_id = %s AND until IS NULL", (now, item_id)
    )


def pauses(conn: Connection, item_id: int) -> tuple[Standstill, ...]:
    rows = conn.execute(
        "SELECT since, until, reason, actor, waits FROM work_pause WHERE work_id = %s "
        "ORDER BY since",
        (item_id,),
    )
    return tuple(Standstill(*row) for row in rows)


# -- rungs -----------------------------------------------------------------------------------------


def waiting_rungs(conn: Connection, item_id: int) -> list[tuple[str, timedelta]]:
    """Name and working time of the rungs that have not fired."""
    return conn.execute(
        "SELECT name, after FROM work_rung WHERE work_id = %s AND fired_at IS NULL", (item_id,)
    ).fetchall()


def time_rungs(conn: Connection, item_id: int, dues: Mapping[str, datetime | None]) -> None:
    """Say when rungs fire. One that fired meanwhile stays as it is."""
    if not dues:
        return
    conn.execute(
        """UPDATE work_rung r SET due_at = d.due_at
           FROM unnest(%s::text[], %s::timestamptz[]) AS d (name, due_at)
           WHERE r.work_id = %s AND r.name = d.name AND r.fired_at IS NULL
             AND r.due_at IS DISTINCT FROM d.due_at""",
        (list(dues), list(dues.values()), item_id),
    )


def shift_rungs(conn: Connection, item_id: int, afters: Mapping[str, timedelta]) -> None:
    """Give rungs that have not fired another working time."""
    conn.execute(
        """UPDATE work_rung r SET after = least(r.after, d.after)
           FROM unnest(%s::text[], %s::interval[]) AS d (name, after)
           WHERE r.work_id = %s AND r.name = d.name AND r.fired_at IS NULL""",
        (list(afters), list(afters.values()), item_id),
    )


def rungs(conn: Connection, item_id: int) -> tuple[Rung, ...]:
    rows = conn.execute(
        "SELECT name, after, recipient, message, due_at, fired_at FROM work_rung "
        "WHERE work_id = %s ORDER BY after, name",
        (item_id,),
    )
    return tuple(
        Rung(name, after, Recipient(recipient), message, due_at, fired_at)
        for name, after, recipient, message, due_at, fired_at in rows
    )


def take_due_rungs(conn: Connection, now: datetime, limit: int) -> list[tuple[int, str]]:
    """(item, name) of rungs that are due and nobody else is firing, held, the earliest first."""
    return conn.execute(
        "SELECT work_id, name FROM work_rung WHERE fired_at IS NULL AND due_at <= %s "
        "ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED",
        (now, limit),
    ).fetchall()


def fire_rungs(
    conn: Connection, taken: Iterable[tuple[int, str]], now: datetime, actor: Actor
) -> list[tuple[Any, ...]]:
    """Mark rungs as fired and write their history; for each what its event says, earliest first:
    (name, recipient, message, due_at, code, kind, severity, title, service, agency, above,
    assignee, state)."""
    ids, names = zip(*taken, strict=True)
    return conn.execute(
        """WITH fired AS (
               UPDATE work_rung r SET fired_at = %(now)s
               FROM unnest(%(ids)s::bigint[], %(names)s::text[]) AS t (work_id, name)
               WHERE r.work_id = t.work_id AND r.name = t.name AND r.fired_at IS NULL
               RETURNING r.*
           ), told AS (
               INSERT INTO work_history (work_id, at, actor, actor_name, what, note, detail)
               SELECT work_id, %(now)s, %(actor)s, %(actor_name)s, 'rung', '',
                      jsonb_build_object(
                          'rung', name, 'recipient', recipient, 'message', message)
               FROM fired ORDER BY due_at, after
           )
           SELECT f.name, f.recipient, f.message, f.due_at, w.code, w.kind, w.severity, w.title,
                  w.service, w.owner_agency, coalesce(g.parent, g.id), w.assignee, w.state
           FROM fired f JOIN work_item w ON w.id = f.work_id JOIN agency g ON g.id = w.owner_agency
           ORDER BY f.due_at, f.after""",
        {
            "now": now,
            "ids": list(ids),
            "names": list(names),
            "actor": actor.ref,
            "actor_name": actor.name,
        },
    ).fetchall()


def next_rung_due(conn: Connection) -> datetime | None:
    row = conn.execute(
        "SELECT due_at FROM work_rung WHERE fired_at IS NULL AND due_at IS NOT NULL "
        "ORDER BY due_at LIMIT 1"
    ).fetchone()
    return row[0] if row else None


# -- history ---------------------------------------------------------------------------------------


def add_history(
    conn: Connection,
    item_id: int,
    at: datetime,
    actor: Actor,
    what: str,
    from_state: State | None,
    to_state: State | None,
    note: str,
    detail: Mapping[str, Any],
) -> None:
    conn.execute(
        """INSERT INTO work_history
               (work_id, at, actor, actor_name, what, from_state, to_state, note, detail)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (item_id, at, actor.ref, actor.name, what, from_state, to_state, note, Jsonb(dict(detail))),
    )


def hold_urging(conn: Connection, key: str) -> None:
    """Let nobody else urge what this key names until the transaction ends."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 11))", (f"urging:{key}",))


def urging(
    conn: Connection, day: date, *, key: str | None = None, item_id: int | None = None
) -> tuple[str, int, datetime, str] | None:
    """What was urged on a day under a key, or of an item: the item's code, the how-manieth time, when,
    by whom."""
    row = conn.execute(
        """SELECT w.code, u.nth, u.at, u.actor_name
           FROM work_urging u JOIN work_item w ON w.id = u.work_id
           WHERE u.day = %s AND (u.key = %s OR u.work_id = %s) ORDER BY u.at DESC LIMIT 1""",
        (day, key, item_id),
    ).fetchone()
    return None if row is None else (row[0], row[1], row[2], row[3])


def add_urging(
    conn: Connection, key: str, day: date, item_id: int, at: datetime, actor: Actor
) -> int:
    """Note an urging; the how-manieth of its item this is. The item is locked."""
    row = conn.execute(
        """INSERT INTO work_urging (key, day, work_id, nth, at, actor, actor_name)
           SELECT %(key)s, %(day)s, %(item)s, 1 + count(*), %(at)s, %(actor)s, %(name)s
           FROM work_urging WHERE work_id = %(item)s RETURNING nth""",
        {"key": key, "day": day, "item": item_id, "at": at, "actor": actor.ref, "name": actor.name},
    ).fetchone()
    assert row is not None
    return row[0]


def urged_items(
    conn: Connection, items: Collection[int]
) -> dict[int, tuple[str, int, datetime, str]]:
    """Of every item that was urged: its code, how often, when last, by whom."""
    rows = conn.execute(
        """SELECT DISTINCT ON (u.work_id) u.work_id, w.code, u.nth, u.at, u.actor_name
           FROM work_urging u JOIN work_item w ON w.id = u.work_id
           WHERE u.work_id = ANY (%s) ORDER BY u.work_id, u.nth DESC""",
        (list(items),),
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def urged_keys(
    conn: Connection, keys: Collection[str]
) -> dict[str, tuple[str, int, datetime, str]]:
    """The last urging under each key: the item's code, its how-manieth, when, by whom; of an item
    that is closed only for the day."""
    rows = conn.execute(
        """SELECT DISTINCT ON (u.key) u.key, w.code, u.nth, u.at, u.actor_name
           FROM work_urging u JOIN work_item w ON w.id = u.work_id
           WHERE u.key = ANY (%s) AND (w.closed_at IS NULL OR u.at > now() - interval '1 day')
           ORDER BY u.key, u.at DESC""",
        (list(keys),),
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def history(conn: Connection, item_id: int) -> tuple[HistoryLine, ...]:
    """Oldest first."""
    rows = conn.execute(
        "SELECT at, actor, actor_name, what, from_state, to_state, note, detail "
        "FROM work_history WHERE work_id = %s ORDER BY id",
        (item_id,),
    )
    return tuple(
        HistoryLine(
            at,
            actor,
            name,
            what,
            State(from_state) if from_state else None,
            State(to_state) if to_state else None,
            note,
            detail,
        )
        for at, actor, name, what, from_state, to_state, note, detail in rows
    )


# -- agencies that are merged ----------------------------------------------------------------------


def pass_on(conn: Connection, old: int, new: int, actor: Actor, now: datetime) -> list[str]:
    """Give an agency's open items to its successor, in the state they are in; their codes."""
    rows = conn.execute(
        """WITH passed AS (
               UPDATE work_item SET owner_agency = %(new)s, version = version + 1
               WHERE owner_agency = %(old)s AND closed_at IS NULL RETURNING id, code, state
           ), told AS (
               INSERT INTO work_history
                   (work_id, at, actor, actor_name, what, from_state, to_state, note, detail)
               SELECT id, %(now)s, %(actor)s, %(actor_name)s, 'agency_merged', state, state, '',
                      jsonb_build_object('agency', jsonb_build_array(%(old)s, %(new)s))
               FROM passed
           )
           SELECT code FROM passed ORDER BY id""",
        {"old": old, "new": new, "now": now, "actor": actor.ref, "actor_name": actor.name},
    )
    return [row[0] for row in rows]


def open_of(conn: Connection, agency_id: int) -> int:
    """How many open items an agency has."""
    row = conn.execute(
        "SELECT count(*) FROM work_item WHERE owner_agency = %s AND closed_at IS NULL", (agency_id,)
    ).fetchone()
    return row[0] if row else 0


# -- calendars, people -----------------------------------------------------------------------------


def calendar_definition(conn: Connection, name: str, *, hold: bool) -> str | None:
    """A calendar's definition as JSON text."""
    query = "SELECT definition::text FROM work_calendar WHERE name = %s"
    row = conn.execute(query + " FOR SHARE" if hold else query, (name,)).fetchone()
    return row[0] if row else None


def calendar_author(conn: Connection, name: str) -> str | None:
    """Who last changed a calendar, as events write it."""
    row = conn.execute("SELECT changed_by FROM work_calendar WHERE name = %s", (name,)).fetchone()
    return row[0] if row else None


def put_calendar(conn: Connection, name: str, definition: Mapping[str, Any], actor: str) -> None:
    conn.execute(
        """INSERT INTO work_calendar (name, definition, changed_by) VALUES (%s, %s, %s)
           ON CONFLICT (name) DO UPDATE SET definition = excluded.definition,
               changed_by = excluded.changed_by, changed_at = clock_timestamp()""",
        (name, Jsonb(dict(definition)), actor),
    )


def agency_exists(conn: Connection, agency_id: int, on: datetime) -> bool:
    """Whether the agency exists on that day."""
    row = conn.execute(
        "SELECT FROM agency WHERE id = %s AND valid @> %s::date", (agency_id, on)
    ).fetchone()
    return row is not None


def works_for(conn: Connection, account_id: int) -> int | None:
    """The agency of an account that may sign in."""
    row = conn.execute(
        "SELECT agency_id FROM account WHERE id = %s AND disabled_at IS NULL", (account_id,)
    ).fetchone()
    return row[0] if row else None
