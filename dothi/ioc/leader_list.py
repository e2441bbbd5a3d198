"""Which numbers stand on the leader's page, in which order, and who answers for each.

A list is never changed: the newest counts, the others are its past.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from dothi.identity import agencies, audit
from dothi.identity.model import Actor, Role
from dothi.identity.policy import Resource, decide, require
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.time import VN, local_date, utc_now
from dothi.store.database import Connection
from dothi.store.events import emit

MOST = 10
ANSWERING = (Role.LEADER, Role.OFFICER, Role.DATA, Role.OPERATOR)
"""The roles that can answer for a number."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number by its key: of a tile of the overview, or `s_SCORE PART` of a score's month. `agency`
    is the code of who answers for it, `role` that of the person there."""

    key: str
    agency: str
    role: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """A list with who fixed it when; the one that counts is the newest."""

    numbers: tuple[Number, ...]
    at: datetime
    ref: str
    by: str


def lists(conn: Connection, limit: int = 20) -> list[Fixed]:
    """The newest lists, newest first."""
    rows = conn.execute(
        "SELECT numbers, fixed_at, fixed_by, fixer_name FROM leader_list ORDER BY id DESC LIMIT %s",
        (limit,),
    ).fetchall()
    return [Fixed(tuple(Number(**one) for one in row[0]), *row[1:]) for row in rows]


def numbers(conn: Connection) -> tuple[Number, ...]:
    """The list that counts; empty where none was ever fixed."""
    found = lists(conn, 1)
    return found[0].numbers if found else ()


def page(conn: Connection) -> Resource:
    """The page as the policy judges it: it belongs to the agency above all others."""
    today = local_date(utc_now(), VN)
    tops = [a.id for a in agencies.agencies(conn, today) if a.parent is None]
    return Resource("leader", owner_agency=tops[0] if len(tops) == 1 else None)


def may_fix(conn: Connection, actor: Actor) -> bool:
    """Whether this person says which numbers stand there."""
    return decide(actor, "leader.fix", page(conn)).allowed


def fix(
    conn: Connection, actor: Actor, wanted: Sequence[Number], known: Collection[str],
    places: Sequence[int],
) -> None:  # fmt: skip
    """Make these the numbers, in the caller's transaction. `known`: the keys there are.

    Raises Forbidden, Invalid with every fault, each at `key.N`, `agency.N` or `role.N`, where N is
    the one of `places` at which the number was said.
    """
    require(actor, "leader.fix", page(conn))
    there = {a.code for a in agencies.agencies(conn, local_date(utc_now(), VN))}
    faults: list[Fault] = []
    seen: set[str] = set()
    for place, one in zip(places, wanted, strict=True):
        if one.key not in known:
            faults.append(Fault(f"key.{place}", "leader.no_number"))
        elif one.key in seen:
            faults.append(Fault(f"key.{place}", "leader.twice"))
        seen.add(one.key)
        if one.agency not in there:
            faults.append(Fault(f"agency.{place}", "leader.no_agency"))
        if one.role not in {role.value for role in ANSWERING}:
            faults.append(Fault(f"role.{place}", "leader.no_role"))
    if not wanted or len(wanted) > MOST:
        faults.append(Fault("key.1", "leader.how_many", {"most": MOST}))
    if faults:
        raise Invalid("leader.invalid", faults=faults)
    _put(conn, actor, wanted)


def fix_first(conn: Connection, actor: Actor, wanted: Sequence[Number]) -> bool:
    """Make these the numbers where none were ever fixed; whether they are now."""
    if lists(conn, 1):
        return False
    _put(conn, actor, wanted)
    return True


def _put(conn: Connection, actor: Actor, wanted: Sequence[Number]) -> None:
    said: list[dict[str, Any]] = [
        {"key": one.key, "agency": one.agency, "role": one.role} for one in wanted
    ]
    conn.execute(
        "INSERT INTO leader_list (numbers, fixed_by, fixer_name) VALUES (%s, %s, %s)",
        (Jsonb(said), actor.ref, actor.name),
    )
    keys = [one.key for one in wanted]
    emit(conn, "leader.fixed", {"keys": keys}, actor=actor.ref)
    audit.record(conn, "leader.fixed", actor, "leader", numbers=said)
