"""The event log: what happened, in the transaction of its cause, read by cursors.

Order is (tx, id) and a reader looks only below `pg_snapshot_xmin`: every event there belongs to a
transaction that has ended, so a transaction that commits late is never passed over. A cursor
moves in the same transaction as the effect of what it read: exactly once inside.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from dothi.kernel.errors import Unavailable
from dothi.store.database import Connection, Database

CHANNEL = "dothi_doorbell"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `tx` and `id` are its place in the log."""

    id: int
    tx: int
    at: datetime
    kind: str
    subject: str | None
    actor: str | None
    payload: dict[str, Any]


Position = tuple[int, int]
"""A place in the log: (tx, id) of the last event read."""


def emit(
    conn: Connection,
    kind: str,
    payload: dict[str, Any] | None = None,
    *,
    actor: str | None = None,
    subject: str | None = None,
) -> None:
    """Write an event in the caller's transaction; it is seen only if that commits."""
    conn.execute(
        "INSERT INTO event (kind, subject, actor, payload) VALUES (%s, %s, %s, %s)",
        (kind, subject, actor, Jsonb(payload or {})),
    )


def read(
    conn: Connection, after: Position, *, limit: int, kinds: Sequence[str] = ()
) -> list[Event]:
    """Settled events after a position, oldest first; `kinds` are prefixes (none means all)."""
    rows = conn.execute(
        """SELECT id, tx::text::bigint, at, kind, subject, actor, payload FROM event
           WHERE (tx, id) > (%(tx)s::text::xid8, %(id)s)
             AND tx < pg_snapshot_xmin(pg_current_snapshot())
             AND (%(kinds)s::text[] = '{}' OR kind LIKE ANY (%(kinds)s))
           ORDER BY event.tx, event.id LIMIT %(limit)s""",
        {
            "tx": str(after[0]),
            "id": after[1],
            "kinds": [k + "%" for k in kinds],
            "limit": limit,
        },
    ).fetchall()
    return [Event(*row) for row in rows]


def newest(conn: Connection) -> Position:
    """The place after every settled event: where a listener without history begins."""
    row = conn.execute(
        """SELECT tx::text::bigint, id FROM event
           WHERE tx < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY event.tx DESC, event.id DESC LIMIT 1"""
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


@dataclass(frozen=True)
class Cursor:
    """A durable reader of the log. Its handler's effect and its place commit together."""

    name: str
    kinds: tuple[str, ...]
    handle: Callable[[Connection, Sequence[Event]], None]
    batch: int = 200

    def advance(self, db: Database) -> int:
        """Handle the next events in one transaction; the number handled (0: nothing new).

        Two processes may call this at once: the cursor's row lock lets one pass at a time.
        """
        with db.transaction() as conn:
            conn.execute(
                "INSERT INTO event_cursor (name) VALUES (%s) ON CONFLICT DO NOTHING", (self.name,)
            )
            row = conn.execute(
                "SELECT tx::text::bigint, id FROM event_cursor WHERE name = %s FOR UPDATE",
                (self.name,),
            ).fetchone()
            assert row is not None
            events = read(conn, (row[0], row[1]), limit=self.batch, kinds=self.kinds)
            if not events:
                return 0
            self.handle(conn, events)
            last = events[-1]
            conn.execute(
                "UPDATE event_cursor SET tx = %s::text::xid8, id = %s, moved = clock_timestamp() "
                "WHERE name = %s",
                (str(last.tx), last.id, self.name),
            )
            return len(events)


class Doorbell:
    """Rings other processes after commits: one NOTIFY without content, at most every 20 ms.

    It rings outside the committing transaction, because a NOTIFY inside takes a lock that lets
    commits pass one by one. A ring lost by a kill costs the listener's next look, not an event.
    """

    def __init__(self, db: Database, *, pause_s: float = 0.02) -> None:
        self._db = db
        self._pause_s = pause_s
        self._wanted = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Say that something was committed. Returns at once."""
        self._wanted.set()

    def close(self) -> None:
        self._closed = True
        self._wanted.set()
        self._thread.join(2)

    def _run(self) -> None:
        while not self._closed:
            self._wanted.wait()
            if self._closed:
                return
            self._wanted.clear()
            try:
                with self._db.transaction() as conn:
                    conn.execute(f"NOTIFY {CHANNEL}")
            except (Unavailable, psycopg.Error):
                log.debug("doorbell not rung: database away")
            time.sleep(self._pause_s)


class Listener:
    """Calls `look` when the doorbell rings and at least every `poll_s`, on a thread of its own.

    Survives a database restart: it reconnects and looks again.
    """

    def __init__(self, db: Database, look: Callable[[], None], *, poll_s: float = 1.0) -> None:
        self._db = db
        self._look = look
        self._poll_s = poll_s
        self._closed = threading.Event()
        self._ended, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def signal_close(self) -> None:
        """Ask it to end and do not wait."""
        self._closed.set()
        self._end.close()  # wakes what waits for a ring: the other end has come to its end

    def close(self) -> None:
        """End it."""
        self.signal_close()
        self._thread.join(3)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with self._db.connect() as conn, selectors.DefaultSelector() as either:
                    either.register(conn, selectors.EVENT_READ)
                    either.register(self._ended, selectors.EVENT_READ)
                    conn.execute(f"LISTEN {CHANNEL}")
                    while not self._closed.is_set():
                        self._look()
                        either.select(self._poll_s)
                        for _ in conn.notifies(timeout=0):
                            pass
            except (Unavailable, psycopg.Error) as error:
                log.warning("listener waits for the database: %s", type(error).__name__)
                self._closed.wait(0.5)
            except Exception:
                log.exception("listener's look failed")
                self._closed.wait(0.5)
        self._ended.close()
