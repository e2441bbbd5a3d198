"""Where a computation stands in the event log, and that one process at a time does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dothi.store.database import Connection, Database
from dothi.store.events import Position


def position(conn: Connection, name: str, *, lock: bool = False) -> Position:
    """The place of the last event that a computation has followed; (0, 0) at first."""
    conn.execute("INSERT INTO event_cursor (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
    row = conn.execute(
        "SELECT tx::text::bigint, id FROM event_cursor WHERE name = %s"
        + (" FOR UPDATE" if lock else ""),
        (name,),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def move(conn: Connection, name: str, to: Position) -> None:
    """All events up to this one have been followed."""
    conn.execute(
        "UPDATE event_cursor SET tx = %s::text::xid8, id = %s, moved = clock_timestamp() "
        "WHERE name = %s",
        (str(to[0]), to[1], name),
    )


@contextmanager
def alone(db: Database, lock: str) -> Iterator[bool]:
    """True while this process is the only one inside; False when another is."""
    with db.connect() as conn:
        row = conn.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (lock,)).fetchone()
        yield bool(row and row[0])
        # Closing would free the lock too, but some time after the next one has asked for it.
        conn.execute("SELECT pg_advisory_unlock_all()")
