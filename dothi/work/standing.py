"""How work stands: open items by agency, what came and went in a stretch of time, what is about a
figure. Each within what the policy shows the actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from dothi.identity.model import Actor
from dothi.identity.policy import Resource, require
from dothi.identity.predicate import to_postgres
from dothi.store.database import Connection, own_sql
from dothi.work import store
from dothi.work.calendars import Calendars
from dothi.work.model import Item

_COLUMNS: Mapping[str, Any] = {"owner_agency": "int"}


@dataclass(frozen=True, slots=True)
class Standing:
    """An agency's open items: all, those past their deadline, those soon due, those waiting for
    their result to be judged."""

    agency_id: int
    name: dict[str, str]
    total: int
    overdue: int
    soon: int
    done: int
    oldest_due: datetime | None


@dataclass(frozen=True, slots=True)
class Flow:
    """What happened in a stretch of time. `in_time` of the `closed` were done by their deadline."""

    opened: int
    closed: int
    in_time: int

    @property
    def punctual(self) -> float | None:
        """The share done in time, 0…1; None where nothing was closed."""
        return self.in_time / self.closed if self.closed else None


def by_agency(conn: Connection, actor: Actor, now: datetime) -> list[Standing]:
    """The agencies with open items, those with most of them late first."""
    where, values = _seen(actor)
    rows = conn.execute(
        own_sql(f"""
        SELECT a.id, a.name_vi, a.name_en, count(*),
               count(*) FILTER (WHERE w.due_at < %(now)s AND w.done_at IS NULL) AS late,
               count(*) FILTER (WHERE w.done_at IS NULL AND w.due_at >= %(now)s AND EXISTS (
                   SELECT FROM work_rung r WHERE r.work_id = w.id AND r.name = 'due_soon'
                   AND (r.fired_at IS NOT NULL OR r.due_at <= %(now)s))) AS soon,
               count(*) FILTER (WHERE w.done_at IS NOT NULL),
               min(w.due_at) FILTER (WHERE w.done_at IS NULL)
        FROM work_item w JOIN agency a ON a.id = w.owner_agency
        WHERE {where} AND w.closed_at IS NULL
        GROUP BY a.id ORDER BY late DESC, soon DESC, count(*) DESC, a.name_vi"""),
        values | {"now": now},
    ).fetchall()
    return [Standing(r[0], {"vi": r[1], "en": r[2]}, *r[3:]) for r in rows]


def flow(conn: Connection, actor: Actor, start: datetime, end: datetime) -> Flow:
    """What was opened and closed from start to end; a cancelled item counts as neither in time nor
    late."""
    where, values = _seen(actor)
    row = conn.execute(
        own_sql(f"""
        SELECT count(*) FILTER (WHERE w.opened_at >= %(start)s AND w.opened_at < %(end)s),
               count(*) FILTER (WHERE w.state = 'verified' AND w.closed_at >= %(start)s
                                AND w.closed_at < %(end)s),
               count(*) FILTER (WHERE w.state = 'verified' AND w.closed_at >= %(start)s
                                AND w.closed_at < %(end)s AND w.used <= w.budget)
        FROM work_item w WHERE {where} AND (w.opened_at >= %(start)s OR w.closed_at >= %(start)s)"""),
        values | {"start": start, "end": end},
    ).fetchone()
    return Flow(*row) if row else Flow(0, 0, 0)


def flow_by_agency(
    conn: Connection, actor: Actor, start: datetime, end: datetime
) -> list[tuple[int, dict[str, str], int, int, int]]:
    """(agency, name, opened, closed, late) of the agencies where any of them is above none: what
    came and went from start to end, and what was open past its deadline at the end."""
    where, values = _seen(actor)
    rows = conn.execute(
        own_sql(f"""
        SELECT * FROM (
            SELECT a.id, a.name_vi, a.name_en,
                   count(*) FILTER (WHERE w.opened_at >= %(start)s AND w.opened_at < %(end)s)
                       AS opened,
                   count(*) FILTER (WHERE w.closed_at >= %(start)s AND w.closed_at < %(end)s)
                       AS closed,
                   count(*) FILTER (WHERE w.due_at < %(end)s AND w.opened_at < %(end)s
                                    AND (w.closed_at IS NULL OR w.closed_at >= %(end)s)
                                    AND (w.done_at IS NULL OR w.done_at >= %(end)s)) AS late
            FROM work_item w JOIN agency a ON a.id = w.owner_agency
            WHERE {where} AND (w.closed_at IS NULL OR w.closed_at >= %(start)s)
            GROUP BY a.id) counted
        WHERE opened + closed + late > 0 ORDER BY late DESC, opened DESC, name_vi"""),
        values | {"start": start, "end": end},
    ).fetchall()
    return [(r[0], {"vi": r[1], "en": r[2]}, *r[3:]) for r in rows]


def open_at(conn: Connection, actor: Actor, at: datetime) -> int:
    """How many items were open at an instant."""
    where, values = _seen(actor)
    row = conn.execute(
        own_sql(
            f"SELECT count(*) FROM work_item w WHERE {where} AND w.opened_at <= %(at)s"
            " AND (w.closed_at IS NULL OR w.closed_at > %(at)s)"
        ),
        values | {"at": at},
    ).fetchone()
    return row[0] if row else 0


def about(
    conn: Connection, actor: Actor, source: Mapping[str, Any], *, limit: int = 5
) -> list[Item]:
    """The open items that were raised by, or given for, what `source` names, most urgent first."""
    where, values = _seen(actor)
    values |= {"source": Jsonb(dict(source)), "limit": limit}
    return store.items(
        conn, f"{where} AND w.closed_at IS NULL AND w.source @> %(source)s",
        "(-w.severity), w.id", values, Calendars(conn),
    )  # fmt: skip


def _seen(actor: Actor) -> tuple[str, dict[str, Any]]:
    decision = require(actor, "work.read", Resource("work", agency_column="owner_agency"))
    policy = to_postgres(decision.rows, _COLUMNS, table="w")
    return policy.text, dict(policy.params)
