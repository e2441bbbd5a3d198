"""The audit trail: acts that matter, sealed in order into a chain of hashes.

An act is recorded as an event `audit.<action>` in its own transaction (`record`). The worker's
cursor seals events into `audit_entry`, each entry's hash covering its content and the hash before
it; entry and cursor move in one transaction, so each act is sealed exactly once.

The hash of an entry is SHA-256 over the JSON array
`[seq, event_id, at, actor, action, subject, detail, prev_hash]` without blanks and in ASCII
(everything else as `\\uXXXX`), where `at` is UTC with microseconds (`2026-01-31T08:00:00.000000Z`),
`detail` is a string holding the JSON text exactly as stored, and hashes are lower-case hex. The
first entry's `prev_hash` is 64 zeros. `docs/audit_verify.py` checks an export by this alone.

What that proves, and what it cannot, is said in docs/adr/0009-audit-chain.md.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from psycopg import sql

from dothi.identity.model import Actor
from dothi.store.database import Connection, Database
from dothi.store.events import Cursor, Event, emit

PREFIX = "audit."
GENESIS = "0" * 64

_NEVER_RECORDED = ("password", "secret", "token", "cookie")
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed act. `at` is text in the form that is hashed, `detail` the stored JSON text."""

    seq: int
    event_id: int
    at: str
    actor: str | None
    action: str
    subject: str | None
    detail: str
    prev_hash: str
    hash: str

    def expected_hash(self) -> str:
        """What the hash must be for this content."""
        return entry_hash(
            (self.seq, self.event_id, self.at, self.actor, self.action, self.subject, self.detail),
            self.prev_hash,
        )


def record(
    conn: Connection, action: str, actor: Actor | None, subject: str | None = None, **detail: Any
) -> None:
    """Record an act in the caller's transaction. Who did it is None only for a failed login.

    ValueError if the detail would carry a password, a key or the like.
    """
    for name in detail:
        if any(word in name.lower() for word in _NEVER_RECORDED):
            raise ValueError(f"{name!r} does not belong in the audit trail")
    emit(conn, PREFIX + action, detail, actor=actor.ref if actor else None, subject=subject)


def entry_hash(content: tuple[int, int, str, str | None, str, str | None, str], prev: str) -> str:
    """SHA-256 in hex over the canonical form of (seq … detail) and the hash before."""
    return hashlib.sha256(_encode([*content, prev]).encode("ascii")).hexdigest()


def seal(db: Database) -> int:
    """Seal everything that is settled; how many entries were added."""
    total = 0
    while sealed := CURSOR.advance(db):
        total += sealed
    return total


def head(conn: Connection) -> tuple[int, str]:
    """The last entry's (seq, hash); (0, GENESIS) before the first."""
    row = conn.execute(
        "SELECT seq, encode(hash, 'hex') FROM audit_entry ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return (row[0], row[1]) if row else (0, GENESIS)


def entries(
    conn: Connection,
    *,
    after: int = 0,
    subject: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
) -> list[Entry]:
    """A page of the trail for reading, newest first; with `after`, those older than that entry;
    from `since` on and before `until`."""
    where: list[sql.Composable] = [
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name, value in (("subject", subject), ("actor", actor), ("action", action))
        if value is not None
    ]
    if after:
        where.append(sql.SQL("seq < %(after)s"))
    if since:
        where.append(sql.SQL("at >= %(since)s"))
    if until:
        where.append(sql.SQL("at < %(until)s"))
    query = sql.SQL("{} WHERE {} ORDER BY seq DESC LIMIT %(limit)s").format(
        _SELECT, sql.SQL(" AND ").join(where or [sql.SQL("TRUE")])
    )
    values = {
        "subject": subject, "actor": actor, "action": action, "after": after, "limit": limit,
        "since": since, "until": until,
    }  # fmt: skip
    return [Entry(*row) for row in conn.execute(query, values)]


def actions(conn: Connection) -> list[str]:
    """The kinds of acts there are in the trail, by name."""
    return [row[0] for row in conn.execute("SELECT DISTINCT action FROM audit_entry ORDER BY 1")]


def stream(conn: Connection) -> Iterator[Entry]:
    """All entries in order, a few thousand in memory at a time."""
    with conn.cursor(name="audit_stream") as cursor:
        cursor.itersize = 5_000
        cursor.execute(sql.SQL("{} ORDER BY seq").format(_SELECT))
        for row in cursor:
            yield Entry(*row)


def export(conn: Connection, file: Path) -> int:
    """Write the whole trail as NDJSON, one entry a line; how many there are."""
    with file.open("w", encoding="ascii", newline="\n") as out:
        return write(conn, out)


def write(conn: Connection, out: TextIO) -> int:
    """As `export`, to a file that is open."""
    count = 0
    for entry in stream(conn):
        fields = {name: getattr(entry, name) for name in Entry.__slots__}
        out.write(_encode(fields) + "\n")
        count += 1
    return count


def _seal_events(conn: Connection, events: Sequence[Event]) -> None:
    stored = {
        row[0]: row[1:]
        for row in conn.execute(
            sql.SQL("SELECT id, {}, payload::text FROM event WHERE id = ANY (%s)").format(_AT),
            ([event.id for event in events],),
        )
    }
    seq, prev = head(conn)
    with conn.cursor().copy(
        "COPY audit_entry (seq, event_id, at, actor, action, subject, detail, prev_hash, hash) "
        "FROM STDIN"
    ) as copy:
        for event in events:
            seq += 1
            at, detail = stored[event.id]
            action = event.kind.removeprefix(PREFIX)
            content = (seq, event.id, at, event.actor, action, event.subject, detail)
            this = entry_hash(content, prev)
            copy.write_row((*content, bytes.fromhex(prev), bytes.fromhex(this)))
            prev = this


_AT = sql.SQL("""to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")
_SELECT = sql.SQL(
    "SELECT seq, event_id, {}, actor, action, subject, detail::text, "
    "encode(prev_hash, 'hex'), encode(hash, 'hex') FROM audit_entry"
).format(_AT)

CURSOR = Cursor("audit", (PREFIX,), _seal_events, batch=500)
"""The worker's reader that seals; `advance` it whenever the doorbell rings."""
