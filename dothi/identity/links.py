"""Identities of a provider that may sign in as an account here, and who is on the way there.

A link is made by an administrator who knows the subject, or by the account's owner while signed in.
Nothing the provider says makes an account, or gives a role.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import errors

from dothi.identity import accounts, audit, sessions, throttle
from dothi.identity.model import Account, Actor
from dothi.identity.oidc import LONGEST_SUBJECT, Attempt, Identity
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound, TooMany, Unauthenticated
from dothi.store.database import Connection, Database

PATIENCE = timedelta(minutes=10)
"""Within this somebody has to come back from the provider."""
MOST_OF_NETWORK = 500
"""So many from one network may be on their way at once: anybody can begin, so somebody has to say how
often. An office behind one address has room, and whoever uses it up keeps only their own network out."""
MOST_ATTEMPTS = 50_000
"""From all networks together: what the table may hold."""


@dataclass(frozen=True, slots=True)
class Link:
    """One identity that may sign in as an account."""

    issuer: str
    subject: str
    linked_at: datetime


def keep(conn: Connection, attempt: Attempt, address: str, now: datetime) -> None:
    """Remember somebody who is sent to the provider from an address. Raises TooMany."""
    conn.execute("DELETE FROM oidc_attempt WHERE at < %s", (now - PATIENCE,))
    network = _hash(throttle.network(address))
    row = conn.execute(
        "SELECT count(*), count(*) FILTER (WHERE network = %s) FROM oidc_attempt", (network,)
    ).fetchone()
    if row and (row[0] >= MOST_ATTEMPTS or row[1] >= MOST_OF_NETWORK):
        raise TooMany("oidc.too_many", retry_after_s=60)
    conn.execute(
        "INSERT INTO oidc_attempt (state_hash, nonce, verifier, goal, account, at, network) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            _hash(attempt.state), attempt.nonce, attempt.verifier, attempt.goal, attempt.account,
            now, network,
        ),
    )  # fmt: skip


def take(conn: Connection, state: str, now: datetime) -> Attempt:
    """Who that was, once: a second answer to the same question is no answer. Unauthenticated for a
    state that was never given, is used, or is too old."""
    row = conn.execute(
        "DELETE FROM oidc_attempt WHERE state_hash = %s RETURNING nonce, verifier, goal, account, at",
        (_hash(state),),
    ).fetchone()
    if row is None or row[4] < now - PATIENCE:
        raise Unauthenticated("oidc.begin_again")
    return Attempt(state, *row[:4])


def sign_in(
    db: Database, identity: Identity, *, address: str, now: datetime, cookie: str | None
) -> str:
    """Start a session for the account an identity is linked to; the token for its cookie.

    Unauthenticated if it is linked to none that may sign in.
    """
    with db.transaction() as conn:
        row = conn.execute(
            "SELECT a.id, a.agency_id FROM account_link l JOIN account a ON a.id = l.account "
            "WHERE l.issuer = %s AND l.subject = %s AND a.disabled_at IS NULL FOR SHARE OF a",
            (identity.issuer, identity.subject),
        ).fetchone()
        if row is not None:
            actor = Actor("person", row[0], row[1])
            token = sessions.start(
                conn, row[0], address=address, now=now, replaces=cookie, issuer=identity.issuer
            )
            audit.record(
                conn, "signed_in", actor, actor.ref, address=address, issuer=identity.issuer
            )
            return token
        audit.record(
            conn, "sign_in_failed", None, None, address=address, issuer=identity.issuer,
            identity=identity.subject,
        )  # fmt: skip
    raise Unauthenticated("oidc.not_linked", subject=identity.subject)


def link_own(conn: Connection, identity: Identity, *, actor: Actor, now: datetime) -> None:
    """Let this identity sign in as the account of who is signed in. Conflict if it is another's."""
    require(
        actor,
        "account.self",
        Resource("account", str(actor.account_id), owner_account=actor.account_id),
    )
    assert actor.account_id is not None
    _link(conn, accounts.get_account(conn, actor.account_id), identity, actor, now)


def link(
    conn: Connection, account_id: int, issuer: str, subject: str, *, actor: Actor, now: datetime
) -> None:
    """An administrator lets an identity sign in as an account."""
    require(actor, "account.manage", Resource("account"))
    account = accounts.get_account(conn, account_id)
    subject = subject.strip()
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        fault = Fault("subject", "oidc.subject_shape", {"limit": LONGEST_SUBJECT})
        raise Invalid("identity.account_invalid", faults=[fault])
    _link(conn, account, Identity(issuer, subject), actor, now)


def unlink(conn: Connection, account_id: int, issuer: str, subject: str, *, actor: Actor) -> None:
    """An identity may no longer sign in; sessions that a provider began end. Raises NotFound."""
    require(actor, "account.manage", Resource("account"))
    gone = conn.execute(
        "DELETE FROM account_link WHERE account = %s AND issuer = %s AND subject = %s RETURNING 1",
        (account_id, issuer, subject),
    ).fetchone()
    if gone is None:
        raise NotFound("identity.not_found")
    conn.execute("DELETE FROM session WHERE account = %s AND issuer = %s", (account_id, issuer))
    audit.record(
        conn, "account_unlinked", actor, f"account:{account_id}", issuer=issuer, identity=subject
    )


def links(conn: Connection, account_id: int) -> list[Link]:
    """The identities that may sign in as an account."""
    rows = conn.execute(
        "SELECT issuer, subject, linked_at FROM account_link WHERE account = %s ORDER BY linked_at",
        (account_id,),
    )
    return [Link(*row) for row in rows]


def _link(
    conn: Connection, account: Account, identity: Identity, actor: Actor, now: datetime
) -> None:
    try:
        with conn.transaction():
            conn.execute(
                "INSERT INTO account_link (issuer, subject, account, linked_at) "
                "VALUES (%s, %s, %s, %s)",
                (identity.issuer, identity.subject, account.id, now),
            )
    except errors.UniqueViolation:
        raise Conflict("oidc.linked_already") from None
    audit.record(
        conn, "account_linked", actor, f"account:{account.id}", issuer=identity.issuer,
        identity=identity.subject,
    )  # fmt: skip


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
