"""The event log: nothing passed over, everything handled exactly once."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from dothi.store import events
from dothi.store.database import Connection, Database


def _numbers(seen: list[int]) -> events.Cursor:
    def handle(_conn: Connection, batch: object) -> None:
        seen.extend(e.payload["n"] for e in batch)  # type: ignore[attr-defined]

    return events.Cursor("numbers", ("n.",), handle, batch=3)


def _drain(cursor: events.Cursor, db: Database) -> None:
    while cursor.advance(db):
        pass


def test_a_transaction_that_commits_late_is_not_passed_over(db: Database) -> None:
    seen: list[int] = []
    cursor = _numbers(seen)
    with db.connect() as slow:
        slow.execute("BEGIN")
        events.emit(slow, "n.one", {"n": 1})
        with db.transaction() as quick:
            events.emit(quick, "n.two", {"n": 2})
        _drain(cursor, db)
        assert seen == [], "an event above an open transaction is not settled yet"
        slow.execute("COMMIT")
    _drain(cursor, db)
    assert sorted(seen) == [1, 2]


def test_a_failing_effect_leaves_the_cursor_where_it_was(db: Database) -> None:
    with db.transaction() as conn:
        events.emit(conn, "n.one", {"n": 1})
    calls = 0

    def fails_once(conn: Connection, batch: object) -> None:
        nonlocal calls
        calls += 1
        conn.execute("CREATE TABLE effect ()")
        if calls == 1:
            raise RuntimeError("killed in the middle")

    cursor = events.Cursor("fragile", (), fails_once)
    with pytest.raises(RuntimeError):
        cursor.advance(db)
    with pytest.raises(psycopg.errors.UndefinedTable), db.transaction() as conn:
        conn.execute("SELECT FROM effect")
    assert cursor.advance(db) == 1
    assert cursor.advance(db) == 0


def test_two_processes_on_one_cursor_handle_each_event_once(db: Database) -> None:
    with db.transaction() as conn:
        for n in range(60):
            events.emit(conn, "n.any", {"n": n})
    seen: list[int] = []
    threads = [threading.Thread(target=_drain, args=(_numbers(seen), db)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(60))


def test_only_the_kinds_asked_for_are_read(db: Database) -> None:
    with db.transaction() as conn:
        events.emit(conn, "other", {"n": 9})
        events.emit(conn, "n.yes", {"n": 1})
    seen: list[int] = []
    _drain(_numbers(seen), db)
    assert seen == [1]


def test_the_doorbell_wakes_a_listener(db: Database) -> None:
    woken = threading.Event()
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            woken.set()

    listener = events.Listener(db, look, poll_s=6)
    bell = events.Doorbell(db)
    try:
        time.sleep(0.3)
        bell.ring()
        assert woken.wait(2), "a ring must reach the listener well before its next poll"
    finally:
        bell.close()
        began = time.monotonic()
        listener.close()
    assert time.monotonic() - began < 3, "nobody waits for the next poll to end it"
