"""Firing the rungs of work items on time, each exactly once, by any number of workers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Unavailable
from dothi.kernel.time import rfc3339, utc_now
from dothi.store.database import Connection, Database
from dothi.store.events import emit
from dothi.work import store
from dothi.work.model import Recipient, Severity

_HELD_S = 0.2

log = logging.getLogger(__name__)


def fire_due(db: Database, now: datetime | None = None, *, batch: int = 50) -> int:
    """Fire every rung that is due; how many this call fired.

    A rung, its history line and its event `work.rung` are one transaction, which holds the rung:
    another worker passes over it, a move of its item waits, and a kill leaves all of it undone.
    """
    total = 0
    while True:
        with db.transaction() as conn:
            fired = _fire_some(conn, now or utc_now(), batch)
        total += fired
        if fired < batch:
            return total


def next_due(db: Database) -> datetime | None:
    """When the next rung is due: how long a worker may sleep; None while nothing waits."""
    with db.transaction() as conn:
        return store.next_rung_due(conn)


class RungTimer:
    """Fires rungs on a thread of its own, asleep exactly until the next one is due.

    `wake` it when work items may have changed (the doorbell); a wake that got lost costs at most
    `longest_s`. `fired` is called after rungs were fired.
    """

    def __init__(
        self, db: Database, *, fired: Callable[[], None] = lambda: None, longest_s: float = 30.0
    ) -> None:
        self._db = db
        self._fired = fired
        self._longest_s = longest_s
        self._woken = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="rungs", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look again now. Returns at once."""
        self._woken.set()

    def close(self) -> None:
        self._closed = True
        self._woken.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closed:
            wait_s = 1.0
            try:
                if fire_due(self._db):
                    self._fired()
                wait_s = self._sleep_s(next_due(self._db))
            except (Unavailable, psycopg.Error) as error:
                log.warning("rungs wait for the database: %s", type(error).__name__)
            except Exception:
                log.exception("firing rungs failed")
            self._woken.wait(wait_s)
            self._woken.clear()

    def _sleep_s(self, due: datetime | None) -> float:
        if due is None:
            return self._longest_s
        ahead_s = (due - utc_now()) / timedelta(seconds=1)
        # One that is due and was passed over is held by somebody else at the moment.
        return min(ahead_s, self._longest_s) if ahead_s > 0 else _HELD_S


def _fire_some(conn: Connection, now: datetime, limit: int) -> int:
    taken = store.take_due_rungs(conn, now, limit)
    if not taken:
        return 0
    fired = store.fire_rungs(conn, taken, now, SYSTEM)
    for name, recipient, message, due_at, *rest in fired:
        code, kind, severity, title, service, agency, above, assignee, state = rest
        told = Recipient(recipient)
        payload = {
            "code": code,
            "kind": kind,
            "severity": Severity(severity).name.lower(),
            "title": title,
            "service": service,
            "agency": agency,
            "assignee": assignee,
            "state": state,
            "rung": name,
            "message": message,
            "due": rfc3339(due_at),
            "recipient": told.value,
            "to_role": told.role.value,
            "to_agency": above if told is Recipient.ABOVE else agency,
            "to_account": assignee if told is Recipient.ASSIGNEE else None,
        }
        if told is Recipient.CENTRE:
            payload["to_agency"] = None
        emit(conn, "work.rung", payload, actor=SYSTEM.ref, subject=f"work:{code}")
    return len(taken)
