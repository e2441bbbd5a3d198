"""Urging (đôn đốc): a leader asks again for what was given, once a day for each thing asked for.

A second tap on the same day changes nothing and says when it was urged and by whom. Every urging is a
line of the item's history, which counts them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from dothi.identity import audit
from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.kernel.errors import Conflict, NotFound
from dothi.kernel.time import VN, local_date, rfc3339, utc_now
from dothi.store.database import Connection
from dothi.store.events import emit
from dothi.work import store
from dothi.work.calendars import Calendars
from dothi.work.model import CLOSED
from dothi.work.service import Opened, Opening, open_item


@dataclass(frozen=True, slots=True)
class Urging:
    """An item that was urged: the how-manieth time, when last, by whom. `new` is False where
    somebody had urged it that day before; `opened`: the item was made for it."""

    code: str
    nth: int
    at: datetime
    by: str
    new: bool
    opened: bool = False


@dataclass(frozen=True, slots=True)
class Last:
    """The last urging of something: the item, the how-manieth time of it, when, by whom."""

    code: str
    nth: int
    at: datetime
    by: str


def last_of_keys(conn: Connection, keys: Iterable[str]) -> dict[str, Last]:
    """The last urging under each key while its item is open, or of today."""
    return {key: Last(*row) for key, row in store.urged_keys(conn, list(keys)).items()}


def last_of_items(conn: Connection, items: Collection[int]) -> dict[int, Last]:
    """The last urging of each item, by its number."""
    return {one: Last(*row) for one, row in store.urged_items(conn, items).items()}


def urge(conn: Connection, actor: Actor, code: str, *, now: datetime | None = None) -> Urging:
    """Urge an open item on. Raises NotFound, Forbidden, Conflict where it is closed."""
    now = now or utc_now()
    item = store.lock(conn, code, Calendars(conn))
    if item is None:
        raise NotFound("identity.not_found")
    require(actor, "work.assign", item.resource)
    if found := store.urging(conn, local_date(now, VN), item_id=item.id):
        return Urging(*found, new=False)
    if item.state in CLOSED:
        raise Conflict("work.urged_closed", code=code)
    return _urged(conn, actor, f"work:{code}", Opened(code, new=False), now)


def urge_about(
    conn: Connection, actor: Actor, opening: Opening, *, now: datetime | None = None
) -> Urging:
    """Urge what an opening is about: its open item, or one that is opened now.

    `opening` has a `dedupe_key`; what it names is urged once a day, whatever became of the item.
    """
    if opening.dedupe_key is None:
        raise ValueError("urging needs something it is known by")
    now = now or utc_now()
    key = opening.dedupe_key
    store.hold_urging(conn, key)
    item = store.lock_open(conn, key, Calendars(conn))
    held = None if item is None else item.id
    if found := store.urging(conn, local_date(now, VN), key=key, item_id=held):
        return Urging(*found, new=False)
    if item is None:
        return _urged(conn, actor, key, open_item(conn, actor, opening, now=now), now)
    require(actor, "work.assign", item.resource)
    return _urged(conn, actor, key, Opened(item.code, new=False), now)


def _urged(conn: Connection, actor: Actor, key: str, opened: Opened, now: datetime) -> Urging:
    item = store.lock(conn, opened.code, Calendars(conn))
    assert item is not None
    nth = store.add_urging(conn, key, local_date(now, VN), item.id, now, actor)
    store.add_history(conn, item.id, now, actor, "urged", None, None, "", {"nth": nth})
    told = {
        "code": item.code,
        "kind": item.kind,
        "severity": item.severity.name.lower(),
        "title": item.title,
        "service": item.service,
        "agency": item.agency_id,
        "nth": nth,
    }
    emit(conn, "work.urged", told, actor=actor.ref, subject=f"work:{item.code}")
    audit.record(conn, "work.urged", actor, f"work:{item.code}", nth=nth, at=rfc3339(now))
    return Urging(item.code, nth, now, actor.name, new=True, opened=opened.new)
