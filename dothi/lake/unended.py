"""Leftovers of two commits that cannot be ended, written down for people to help.

Only what is asked of their own dataset waits for them (`undoing.end_leftovers`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from dothi.kernel.errors import Unavailable
from dothi.store.database import Connection

MOST_REASON = 1_000
TRIED_AGAIN_S = 60
"""How soon the worker tries again what could not be ended."""
_MISSING_FILE = re.compile(r'Cannot open file "([^"]+)": No such file')


class UnendedError(Unavailable):
    """What was begun in a dataset cannot be ended, and is written down."""


@dataclass(frozen=True)
class Unended:
    """A dataset that waits: since when, when it was last tried, and what the store said."""

    dataset_id: int
    since: datetime
    tried_at: datetime
    reason: str

    @property
    def missing_file(self) -> str | None:
        """The file that the store looked for in vain, where that is the reason."""
        found = _MISSING_FILE.search(self.reason)
        return found[1] if found else None


def unended(conn: Connection) -> list[Unended]:
    """The datasets that wait, the longest first."""
    rows = conn.execute(
        "SELECT dataset_id, since, tried_at, reason FROM unended ORDER BY since, dataset_id"
    )
    return [Unended(*row) for row in rows]


def note(conn: Connection, dataset_id: int, error: Exception) -> bool:
    """Write down that a dataset's leftover could not be ended; whether that is new."""
    row = conn.execute(
        """INSERT INTO unended (dataset_id, reason) VALUES (%s, %s)
           ON CONFLICT (dataset_id) DO UPDATE
               SET tried_at = clock_timestamp(), reason = excluded.reason
           RETURNING since = tried_at""",
        (dataset_id, str(error).strip()[:MOST_REASON]),
    ).fetchone()
    return row == (True,)


def refusal(name: str) -> UnendedError:
    """The error for what a dataset that waits cannot take now."""
    return UnendedError("lake.unended", name=name, retry_after_s=TRIED_AGAIN_S)


def clear(conn: Connection, dataset_ids: list[int]) -> None:
    """Nothing waits in these datasets any more."""
    conn.execute("DELETE FROM unended WHERE dataset_id = ANY (%s)", (dataset_ids,))
