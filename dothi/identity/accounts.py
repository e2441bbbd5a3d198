"""Accounts of people: their SQL and what may be done with them.

Every change is decided by the policy, recorded in the audit trail, and made in the caller's
transaction. Faults of a form are reported all at once.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Protocol

from psycopg import errors

from dothi.identity import audit, passwords, sessions
from dothi.identity.agencies import (
    add_agency,
    agency_faults,
    agency_id,
    change_agency,
    find_agency,
    get_agency,
    name_faults,
)
from dothi.identity.model import STAFF_ROLES, SYSTEM, Account, Actor, Agency, Role, roles_of
from dothi.identity.passwords import Passwords
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.store.database import Connection
from dothi.store.settings import FIRST_ACCOUNT

FIRST_AGENCY = Agency("tinh", "Ủy ban nhân dân tỉnh", "Provincial People's Committee")

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")


def accounts(conn: Connection) -> list[Account]:
    """All accounts by login."""
    return [_account(row) for row in conn.execute(f"{_SELECT} ORDER BY login")]


def find_account(conn: Connection, login: str) -> Account | None:
    login = plain_login(login)
    if not _LOGIN.fullmatch(login):
        return None
    row = conn.execute(f"{_SELECT} WHERE login = %s", (login,)).fetchone()
    return _account(row) if row else None


def get_account(conn: Connection, account_id: int) -> Account:
    """Raises NotFound."""
    row = conn.execute(f"{_SELECT} WHERE id = %s", (account_id,)).fetchone()
    if row is None:
        raise NotFound("identity.not_found")
    return _account(row)


def create_account(
    conn: Connection,
    *,
    login: str,
    display_name: str,
    agency: str,
    roles: Collection[str],
    password: str,
    hasher: Passwords,
    actor: Actor,
    must_change: bool = False,
) -> Account:
    """An account of the agency with this code; with `must_change` its password serves once.

    Raises Invalid with all faults of the form, Conflict for a login in use.
    """
    require(actor, "account.manage", Resource("account"))
    login, display_name = plain_login(login), display_name.strip()
    faults = [*name_faults("display_name", display_name), *role_faults(roles)]
    if not _LOGIN.fullmatch(login):
        faults.append(Fault("login", "identity.login_shape"))
    belongs = agency_id(conn, agency)
    faults += agency_faults(agency, belongs)
    faults += passwords.faults(password, login)
    if faults:
        raise Invalid("identity.account_invalid", faults=faults)
    try:
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO account (login, display_name, agency_id, roles, password_hash, "
                "must_change) VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                (login, display_name, belongs, sorted(roles), hasher.hash(password), must_change),
            ).fetchone()
    except errors.UniqueViolation:
        raise Conflict("identity.login_taken", login=login) from None
    assert row is not None
    detail = {"login": login, "agency": agency, "roles": sorted(roles)}
    audit.record(conn, "account_added", actor, f"account:{row[0]}", **detail)
    return get_account(conn, row[0])


def change_roles(
    conn: Connection, account_id: int, *, agency: str, roles: Collection[str], actor: Actor
) -> Account:
    """Give an account another agency or other roles; in force everywhere within a minute."""
    require(actor, "account.manage", Resource("account"))
    belongs = agency_id(conn, agency)
    if faults := [*role_faults(roles), *agency_faults(agency, belongs)]:
        raise Invalid("identity.account_invalid", faults=faults)
    if Role.ADMIN not in roles:
        _keep_an_admin(conn, account_id)
    before = get_account(conn, account_id)
    conn.execute(
        "UPDATE account SET agency_id = %s, roles = %s WHERE id = %s",
        (belongs, sorted(roles), account_id),
    )
    detail = {
        "agency": [get_agency(conn, before.agency_id).code, agency],
        "roles": [sorted(before.roles), sorted(roles)],
    }
    audit.record(conn, "account_changed", actor, f"account:{account_id}", **detail)
    return get_account(conn, account_id)


def set_password(
    conn: Connection,
    account_id: int,
    password: str,
    *,
    hasher: Passwords,
    actor: Actor,
    must_change: bool = False,
) -> None:
    """An administrator gives an account a new password; all its sessions end."""
    require(actor, "account.manage", Resource("account"))
    account = get_account(conn, account_id)
    if faults := passwords.faults(password, account.login):
        raise Invalid("identity.account_invalid", faults=faults)
    store_hash(conn, account_id, hasher.hash(password), must_change=must_change)
    sessions.end_all(conn, account_id)
    audit.record(conn, "password_set", actor, f"account:{account_id}")


def disable_account(conn: Connection, account_id: int, *, actor: Actor) -> None:
    """End its sessions and let it sign in no more. What it did keeps its name."""
    require(actor, "account.manage", Resource("account"))
    _keep_an_admin(conn, account_id)
    get_account(conn, account_id)
    conn.execute(
        "UPDATE account SET disabled_at = coalesce(disabled_at, clock_timestamp()) WHERE id = %s",
        (account_id,),
    )
    sessions.end_all(conn, account_id)
    audit.record(conn, "account_disabled", actor, f"account:{account_id}")


def end_sessions(conn: Connection, account_id: int, *, actor: Actor) -> None:
    """Sign an account out everywhere; it may sign in again."""
    require(actor, "account.manage", Resource("account"))
    get_account(conn, account_id)
    sessions.end_all(conn, account_id)
    audit.record(conn, "sessions_ended", actor, f"account:{account_id}")


def enable_account(conn: Connection, account_id: int, *, actor: Actor) -> None:
    """Let a disabled account sign in again."""
    require(actor, "account.manage", Resource("account"))
    get_account(conn, account_id)
    conn.execute("UPDATE account SET disabled_at = NULL WHERE id = %s", (account_id,))
    audit.record(conn, "account_enabled", actor, f"account:{account_id}")


def first_admin(conn: Connection, password: str, hasher: Passwords | None = None) -> bool:
    """At the first start: the administrator's account, and the agency it belongs to.

    False, and nothing done, when there is any account already. Two processes may call it at once.
    """
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('dothi first admin'))")
    if conn.execute("SELECT 1 FROM account LIMIT 1").fetchone():
        return False
    _ensure_agency(conn, FIRST_AGENCY)
    create_account(
        conn,
        login=FIRST_ACCOUNT,
        display_name=t("identity.first_admin_name", "vi"),
        agency=FIRST_AGENCY.code,
        roles=[Role.ADMIN],
        password=password,
        hasher=hasher or Passwords(),
        actor=SYSTEM,
    )
    return True


class Wanted(Protocol):
    """An account that a demonstration asks for; packs say which."""

    @property
    def login(self) -> str: ...
    @property
    def display_name(self) -> str: ...
    @property
    def agency(self) -> str: ...
    @property
    def role(self) -> Role: ...


def demo_accounts(
    conn: Connection,
    agencies: Iterable[Agency],
    wanted: Iterable[Wanted],
    hasher: Passwords | None = None,
) -> dict[str, str]:
    """Make a demonstration's agencies (each after its parent) and accounts: login → password,
    random and told only here. Accounts that exist are left alone and are not in the answer."""
    hasher = hasher or Passwords()
    for agency in agencies:
        _ensure_agency(conn, agency)
    made: dict[str, str] = {}
    for account in wanted:
        if find_account(conn, account.login) is None:
            password = made[account.login] = passwords.generate()
            create_account(
                conn,
                login=account.login,
                display_name=account.display_name,
                agency=account.agency,
                roles=[account.role],
                password=password,
                hasher=hasher,
                actor=SYSTEM,
            )
    return made


def plain_login(login: str) -> str:
    """The one way a login is written: small letters, without blanks around it."""
    return unicodedata.normalize("NFKC", login).strip().lower()


def password_hash(conn: Connection, account_id: int) -> str | None:
    """The stored hash, the row held so that nobody changes it in this transaction; None for an
    account that does not exist or may not sign in."""
    row = conn.execute(
        "SELECT password_hash FROM account WHERE id = %s AND disabled_at IS NULL FOR UPDATE",
        (account_id,),
    ).fetchone()
    return row[0] if row else None


def store_hash(
    conn: Connection, account_id: int, stored: str, *, must_change: bool | None = None
) -> None:
    """Keep a password's hash; `must_change` None: as it was."""
    conn.execute(
        "UPDATE account SET password_hash = %s, must_change = coalesce(%s, must_change) "
        "WHERE id = %s",
        (stored, must_change, account_id),
    )


def role_faults(roles: Iterable[str]) -> list[Fault]:
    """What is wrong with a choice of roles, for the field `roles`."""
    known = {role.value for role in STAFF_ROLES}
    chosen = list(roles)
    if not chosen:
        return [Fault("roles", "identity.role_missing")]
    listed = ", ".join(sorted(known))
    return [
        Fault("roles", "identity.role_unknown", {"role": str(role), "known": listed})
        for role in chosen
        if role not in known
    ]


def _ensure_agency(conn: Connection, agency: Agency) -> None:
    """Add it if it is missing; give it its parent if it was made without one (by a pack)."""
    present = find_agency(conn, agency.code)
    if present is None:
        add_agency(conn, agency, actor=SYSTEM)
    elif present.parent is None and agency.parent is not None:
        change_agency(conn, replace(present, parent=agency.parent), actor=SYSTEM)


def _keep_an_admin(conn: Connection, leaving: int) -> None:
    """Raises Conflict if without this account nobody could manage accounts."""
    rows = conn.execute(
        "SELECT id FROM account WHERE %s = ANY (roles) AND disabled_at IS NULL "
        "ORDER BY id FOR UPDATE",
        (Role.ADMIN.value,),
    ).fetchall()
    if [row[0] for row in rows] == [leaving]:
        raise Conflict("identity.last_admin")


_SELECT = (
    "SELECT id, login, display_name, agency_id, roles, created_at, disabled_at, must_change "
    "FROM account"
)


def _account(row: tuple[Any, ...]) -> Account:
    account_id, login, name, belongs, roles, *rest = row
    return Account(account_id, login, name, belongs, roles_of(roles), *rest)
