"""Signing in and out, and changing one's own password: the acts that take a password."""

from dataclasses import dataclass
from datetime import datetime

from dothi.identity import accounts, audit, passwords, sessions, throttle
from dothi.identity.model import Account, Actor
from dothi.identity.passwords import Passwords
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import Fault, Invalid, NotFound, Unauthenticated
from dothi.store.database import Database


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The account and the token for its new cookie."""

    account: Account
    token: str


def sign_in(
    db: Database,
    hasher: Passwords,
    *,
    login: str,
    password: str,
    address: str,
    now: datetime,
    cookie: str | None = None,
) -> SignedIn:
    """Check a password and start a session; the one in `cookie` ends.

    Unauthenticated for a wrong login or password, with the same words and after the same work in
    both cases; TooMany after many failures or when too many sign in at once. No connection is
    held while the password is checked. The wait is read within the turn, so guesses made at the
    same instant pass it no more often than the hasher has slots.
    """
    login = accounts.plain_login(login)
    with hasher.turn():
        with db.transaction() as conn:
            throttle.check(conn, login, address, now)
            account = accounts.find_account(conn, login)
            stored = accounts.password_hash(conn, account.id) if account else None
        matches = hasher.matches(stored, password)
        fresh = hasher.hash(password) if matches and stored and hasher.outdated(stored) else None
        with db.transaction() as conn:
            # Between the two transactions the account may have been disabled or its password set.
            unchanged = account and accounts.password_hash(conn, account.id) == stored
            if account and matches and unchanged:
                if fresh:
                    accounts.store_hash(conn, account.id, fresh)
                throttle.succeeded(conn, login, address, now)
                token = sessions.start(conn, account.id, address=address, now=now, replaces=cookie)
                actor = Actor("person", account.id, account.agency_id)
                audit.record(conn, "signed_in", actor, actor.ref, address=address)
                return SignedIn(account, token)
            throttle.failed(conn, login, address, now)
            # The name is recorded only as the account it means: people type passwords there.
            subject = f"account:{account.id}" if account else None
            audit.record(conn, "sign_in_failed", None, subject, address=address)
    raise Unauthenticated("identity.wrong_login")


def sign_out(db: Database, actor: Actor, token: str) -> str | None:
    """End the session of this token; the issuer of the provider that had signed them in."""
    with db.transaction() as conn:
        issuer = sessions.end(conn, token)
        audit.record(conn, "signed_out", actor, actor.ref)
    return issuer


def change_password(
    db: Database,
    hasher: Passwords,
    *,
    actor: Actor,
    old: str,
    new: str,
    address: str,
    now: datetime,
) -> str:
    """Change one's own password. All sessions end; the token of a new one is returned.

    Invalid with the faults of either field; TooMany as for signing in, because a stolen session
    must not serve to guess the password.
    """
    if actor.account_id is None:
        raise NotFound("identity.not_found")
    mine = Resource("account", str(actor.account_id), owner_account=actor.account_id)
    require(actor, "account.self", mine)
    account_id = actor.account_id
    with hasher.turn():
        with db.transaction() as conn:
            account = accounts.get_account(conn, account_id)
            throttle.check(conn, account.login, address, now)
            stored = accounts.password_hash(conn, account_id)
        matches = hasher.matches(stored, old)
        faults = [
            Fault("new", fault.key, fault.params) for fault in passwords.faults(new, account.login)
        ]
        if matches and hasher.matches(stored, new):
            faults.append(Fault("new", "identity.password_same"))
        fresh = hasher.hash(new) if matches and not faults else None
        with db.transaction() as conn:
            if not matches:
                throttle.failed(conn, account.login, address, now)
                audit.record(conn, "password_change_failed", actor, actor.ref, address=address)
                faults.insert(0, Fault("old", "identity.wrong_login"))
            elif fresh and accounts.password_hash(conn, account_id) == stored:
                accounts.store_hash(conn, account_id, fresh, must_change=False)
                sessions.end_all(conn, account_id)
                audit.record(conn, "password_changed", actor, actor.ref, address=address)
                return sessions.start(conn, account_id, address=address, now=now)
    if not faults:  # somebody else changed it in this instant
        raise Unauthenticated("identity.unauthenticated")
    raise Invalid("identity.account_invalid", faults=faults)
