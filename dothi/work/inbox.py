"""Work items as their readers see them: lists, one item, counts, each within what the policy shows."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dothi.identity.model import Actor
from dothi.identity.policy import Resource, require
from dothi.identity.predicate import to_postgres
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.time import parse_instant, utc_now
from dothi.store.database import Connection
from dothi.work import store
from dothi.work.calendars import Calendars
from dothi.work.model import FullItem, Item, Severity, State

MOST_ROWS = 200

_COLUMNS: Mapping[str, Any] = {"owner_agency": "int"}
_URGENCY = "(-w.severity), coalesce(w.due_at, 'infinity'::timestamptz), w.id"


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which items are wanted; empty means all. `closed` lists those that have ended, newest first;
    otherwise the open ones, most urgent first. `overdue`: only those past their deadline."""

    closed: bool = False
    states: frozenset[State] = frozenset()
    severities: frozenset[Severity] = frozenset()
    kinds: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    agencies: frozenset[int] = frozenset()
    assignee: int | None = None
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some items, and the mark to ask for those after them (None: these were the last)."""

    items: tuple[Item, ...]
    after: str | None


@dataclass(frozen=True)
class Counts:
    """How many open items there are."""

    total: int = 0
    overdue: int = 0
    by_state: Mapping[State, int] = field(default_factory=dict)
    by_severity: Mapping[Severity, int] = field(default_factory=dict)


def inbox(
    conn: Connection,
    actor: Actor,
    filters: Filters | None = None,
    *,
    after: str | None = None,
    limit: int = 50,
    now: datetime | None = None,
) -> Page:
    """A page of the items that the actor may see. `after` is the mark of the page before.

    Raises Invalid for a mark that is none.
    """
    filters = filters or Filters()
    where, values = _wanted(actor, filters, now or utc_now())
    limit = max(1, min(limit, MOST_ROWS))
    values["limit"] = limit + 1
    if filters.closed:
        where += " AND w.closed_at IS NOT NULL"
        order = "w.closed_at DESC, w.id DESC"
        if after is not None:
            values["closed_at"], values["id"] = _mark(after, 2)
            where += " AND (w.closed_at, w.id) < (%(closed_at)s, %(id)s::bigint)"
    else:
        where += " AND w.closed_at IS NULL"
        order = _URGENCY
        if after is not None:
            values["due_at"], values["id"], values["severity"] = _mark(after, 3)
            where += (
                f" AND ({_URGENCY}) > (-%(severity)s::int, "
                "coalesce(%(due_at)s, 'infinity'::timestamptz), %(id)s::bigint)"
            )
    found = store.items(conn, where, order, values, Calendars(conn))
    if len(found) <= limit:
        return Page(tuple(found), None)
    found = found[:limit]
    last = found[-1]
    if filters.closed:
        mark = [last.closed_at, last.id]
    else:
        mark = [last.due_at, last.id, int(last.severity)]
    return Page(tuple(found), _written(mark))


def overdue(conn: Connection, actor: Actor, *, now: datetime, limit: int) -> list[Item]:
    """The items past their deadline that the actor may see, the oldest deadline first."""
    where, values = _wanted(actor, Filters(overdue=True), now)
    values["limit"] = limit
    where += " AND w.closed_at IS NULL"
    return store.items(conn, where, "w.due_at, w.id", values, Calendars(conn))


def item(conn: Connection, actor: Actor, code: str) -> FullItem:
    """One item with its pauses, ladder and history. Raises NotFound, also for a hidden one."""
    found = store.item(conn, code, Calendars(conn))
    if found is None:
        raise NotFound("identity.not_found")
    require(actor, "work.read", found.resource)
    return FullItem(
        found,
        store.pauses(conn, found.id),
        store.rungs(conn, found.id),
        store.history(conn, found.id),
    )


def counts(
    conn: Connection, actor: Actor, filters: Filters | None = None, *, now: datetime | None = None
) -> Counts:
    """How many open items the actor may see, by state and by severity, under the same filters."""
    now = now or utc_now()
    where, values = _wanted(actor, filters or Filters(), now)
    by_state: Counter[State] = Counter()
    by_severity: Counter[Severity] = Counter()
    overdue = 0
    for state, severity, count, late in store.counts(conn, where, {**values, "now": now}):
        by_state[State(state)] += count
        by_severity[Severity(severity)] += count
        overdue += late
    return Counts(by_state.total(), overdue, by_state, by_severity)


def _wanted(actor: Actor, filters: Filters, now: datetime) -> tuple[str, dict[str, Any]]:
    """The condition for `work_item w`, the policy's included, and its values."""
    decision = require(actor, "work.read", Resource("work", agency_column="owner_agency"))
    policy = to_postgres(decision.rows, _COLUMNS, table="w")
    parts, values = [policy.text], dict(policy.params)
    for name, column, wanted in (
        ("states", "w.state", [state.value for state in filters.states]),
        ("severities", "w.severity", [int(severity) for severity in filters.severities]),
        ("kinds", "w.kind", sorted(filters.kinds)),
        ("services", "w.service", sorted(filters.services)),
        ("agencies", "w.owner_agency", sorted(filters.agencies)),
    ):
        if wanted:
            parts.append(f"{column} = ANY (%({name})s)")
            values[name] = wanted
    if filters.assignee is not None:
        parts.append("w.assignee = %(assignee)s")
        values["assignee"] = filters.assignee
    if filters.overdue:
        parts.append("w.due_at < %(now)s AND w.done_at IS NULL")
        values["now"] = now
    return " AND ".join(parts), values


def _written(mark: list[Any]) -> str:
    text = json.dumps([v.isoformat() if isinstance(v, datetime) else v for v in mark])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _mark(text: str, length: int) -> list[Any]:
    """The inverse of `_written`: an instant or None, then whole numbers."""
    try:
        parts = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
        at, *numbers = parts
        if len(parts) != length or not all(type(n) is int and abs(n) < 2**31 for n in numbers[1:]):
            raise ValueError(text)
        if type(numbers[0]) is not int or not 0 <= numbers[0] < 2**63:
            raise ValueError(text)
        return [None if at is None else parse_instant(at), *numbers]
    except (ValueError, TypeError, AttributeError, binascii.Error, Invalid) as error:
        raise Invalid("work.bad_mark") from error
