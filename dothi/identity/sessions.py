"""Sessions of people who signed in: made, found, touched and ended.

The cookie holds 256 random bits; the database holds their SHA-256, so whoever reads the database
cannot sign in with what they find. A session ends when unused for `Lifetime.idle`, at the latest
after `Lifetime.absolute`, when its account is disabled and when the password changes.
"""

import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from psycopg import errors

from dothi.identity.model import Actor, roles_of
from dothi.store.database import Connection

TOUCH_EVERY = timedelta(minutes=5)
"""How exactly the last use is known: a write for each request would cost more than it tells."""

KEPT_AFTER_END = timedelta(days=2)
"""Ended rows stay so long: if the clock was wrong by a day, setting it right ends no session."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Lifetime:
    idle: timedelta = timedelta(hours=12)
    absolute: timedelta = timedelta(days=7)


def start(
    conn: Connection,
    account_id: int,
    *,
    address: str,
    now: datetime,
    replaces: str | None = None,
    issuer: str | None = None,
) -> str:
    """A new session; the token for its cookie. The token a browser brought along is never kept
    (`replaces` ends it), so that nobody can sign in with a session planted before. `issuer`: the
    provider that said who they are."""
    if replaces is not None:
        end(conn, replaces)
    token = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO session (token_hash, account, created_at, seen_at, address, issuer) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (_hash(token), account_id, now, now, address[:64], issuer),
    )
    return token


def find(conn: Connection, token: str, lifetime: Lifetime, now: datetime) -> Actor | None:
    """Who holds this token, with their roles and agencies as they are now; None if nobody does."""
    if not well_formed(token):
        return None
    row = conn.execute(
        """SELECT a.id, a.display_name, a.agency_id, a.roles,
                  a.must_change AND s.issuer IS NULL, s.seen_at,
                  ARRAY(WITH RECURSIVE below(id) AS (
                            SELECT a.agency_id
                            UNION SELECT g.id FROM agency g JOIN below b ON g.parent = b.id)
                        SELECT id FROM below),
                  ARRAY(WITH RECURSIVE past(id) AS (
                            SELECT id FROM agency WHERE merged_into = a.agency_id
                            UNION SELECT g.id FROM agency g JOIN past p ON g.merged_into = p.id)
                        SELECT id FROM past)
           FROM session s JOIN account a ON a.id = s.account
           WHERE s.token_hash = %s AND s.seen_at > %s AND s.created_at > %s
             AND a.disabled_at IS NULL""",
        (_hash(token), now - lifetime.idle, now - lifetime.absolute),
    ).fetchone()
    if row is None:
        return None
    account_id, name, agency, roles, must_change, seen_at, agencies, predecessors = row
    if now - seen_at > TOUCH_EVERY:
        touch(
            conn,
            "UPDATE session SET seen_at = %s WHERE token_hash = %s AND seen_at < %s",
            (now, _hash(token), now),
        )
    return Actor(
        "person", account_id, agency, frozenset(agencies), roles_of(roles), name=name,
        predecessors=frozenset(predecessors), must_change=must_change,
    )  # fmt: skip


def touch(conn: Connection, statement: LiteralString, values: tuple[object, ...]) -> None:
    """Note a use. Where nothing can be written (full disk, read-only copy), reading goes on."""
    with suppress(errors.DiskFull, errors.ReadOnlySqlTransaction), conn.transaction():
        conn.execute(statement, values)


def end(conn: Connection, token: str) -> str | None:
    """End one session, as by signing out; the issuer that had signed them in, if one had."""
    row = conn.execute(
        "DELETE FROM session WHERE token_hash = %s RETURNING issuer", (_hash(token),)
    ).fetchone()
    return row[0] if row else None


def end_all(conn: Connection, account_id: int) -> None:
    """End every session of an account."""
    conn.execute("DELETE FROM session WHERE account = %s", (account_id,))


@dataclass(frozen=True, slots=True)
class Use:
    """How many sessions an account has, and when it was last active (to some minutes)."""

    sessions: int
    seen_at: datetime | None


def uses(conn: Connection, lifetime: Lifetime, now: datetime) -> dict[int, Use]:
    """The accounts that have sessions which still hold."""
    rows = conn.execute(
        "SELECT account, count(*), max(seen_at) FROM session "
        "WHERE seen_at > %s AND created_at > %s GROUP BY account",
        (now - lifetime.idle, now - lifetime.absolute),
    )
    return {account: Use(count, seen_at) for account, count, seen_at in rows}


def purge(conn: Connection, lifetime: Lifetime, now: datetime) -> None:
    """Remove sessions that ended a while ago."""
    conn.execute(
        "DELETE FROM session WHERE seen_at < %s OR created_at < %s",
        (now - lifetime.idle - KEPT_AFTER_END, now - lifetime.absolute - KEPT_AFTER_END),
    )


def well_formed(token: str) -> bool:
    """Whether it could be a token of ours at all."""
    return _TOKEN.fullmatch(token) is not None


def csrf_token(token: str) -> str:
    """What a form of this session carries, for browsers that do not say where a request is from.

    It follows from the session's token and tells nothing about it.
    """
    return hmac.new(token.encode(), b"dothi form", hashlib.sha256).hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
