"""API keys: how devices, agencies' systems and scripts show who they are.

A key reads `dothi_<prefix>_<secret>`. The prefix names it in lists and in the audit trail; of the
secret, 256 random bits, only the SHA-256 is kept (a slow hash guards guessable secrets; this one
is not). A key acts for an agency with some roles, ends by itself, and can be limited to actions.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dothi.identity import audit
from dothi.identity.accounts import role_faults
from dothi.identity.agencies import agency_faults, agency_id, name_faults
from dothi.identity.model import Actor, Role, roles_of
from dothi.identity.policy import MATRIX, PERSONS_ONLY, Resource, decide, require
from dothi.identity.sessions import touch
from dothi.kernel.errors import Fault, Forbidden, Invalid, NotFound
from dothi.store.database import Connection

LONGEST = timedelta(days=730)
TOUCH_EVERY = timedelta(hours=1)

_KEY = re.compile(r"dothi_([a-z2-7]{8})_([0-9a-f]{64})")
_PREFIX_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; `used_at` only to the hour."""

    prefix: str
    name: str
    agency_id: int
    roles: frozenset[Role]
    actions: frozenset[str] | None
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


def issue(
    conn: Connection,
    *,
    name: str,
    agency: str,
    roles: Collection[str],
    actions: Collection[str] | None = None,
    lifetime: timedelta = timedelta(days=365),
    actor: Actor,
    now: datetime,
) -> tuple[ApiKey, str]:
    """A new key and its full text, which is told only here.

    Forbidden for another agency's key and for a role the one who issues does not have, Invalid
    with all faults.
    """
    belongs = agency_id(conn, agency)
    require(actor, "key.manage", Resource("key", owner_agency=belongs))
    faults = [
        *role_faults(roles),
        *agency_faults(agency, belongs),
        *_limit_faults(name, actions, lifetime),
    ]
    if faults:
        raise Invalid("identity.key_invalid", faults=faults)
    if not _may_grant(actor, roles):
        raise Forbidden("identity.reason.no_role")
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(8))
    secret = secrets.token_hex(32)
    expires_at = now + lifetime
    limit = None if actions is None else sorted(actions)
    conn.execute(
        "INSERT INTO api_key (prefix, secret_hash, name, agency_id, roles, actions, created_at, "
        "created_by, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (prefix, _hash(secret), name.strip(), belongs, sorted(roles), limit, now, actor.ref, expires_at),
    )  # fmt: skip
    audit.record(
        conn,
        "key_issued",
        actor,
        f"key:{prefix}",
        name=name.strip(),
        agency=agency,
        roles=sorted(roles),
        actions=limit,
        expires_at=expires_at.isoformat(),
    )
    return get(conn, prefix), f"dothi_{prefix}_{secret}"


def revoke(conn: Connection, prefix: str, *, actor: Actor) -> None:
    """End a key; NotFound if there is none, or it belongs to an agency the actor has no say in."""
    key = get(conn, prefix)
    require(actor, "key.manage", Resource("key", prefix, key.agency_id))
    conn.execute(
        "UPDATE api_key SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE prefix = %s",
        (prefix,),
    )
    audit.record(conn, "key_revoked", actor, f"key:{prefix}")


def find(conn: Connection, text: str, now: datetime) -> Actor | None:
    """Who a key stands for; None for one that is wrong, revoked or past its time."""
    parts = _KEY.fullmatch(text)
    if parts is None:
        return None
    prefix, secret = parts.groups()
    row = conn.execute(
        """SELECT k.secret_hash, k.name, k.agency_id, k.roles, k.actions, k.used_at,
                  ARRAY(WITH RECURSIVE below(id) AS (
                            SELECT k.agency_id
                            UNION SELECT g.id FROM agency g JOIN below b ON g.parent = b.id)
                        SELECT id FROM below),
                  ARRAY(WITH RECURSIVE past(id) AS (
                            SELECT id FROM agency WHERE merged_into = k.agency_id
                            UNION SELECT g.id FROM agency g JOIN past p ON g.merged_into = p.id)
                        SELECT id FROM past)
           FROM api_key k WHERE k.prefix = %s AND k.revoked_at IS NULL AND k.expires_at > %s""",
        (prefix, now),
    ).fetchone()
    if row is None or not hmac.compare_digest(row[0], _hash(secret)):
        return None
    _, name, agency, roles, actions, used_at, acts_for, predecessors = row
    if used_at is None or now - used_at > TOUCH_EVERY:
        touch(conn, "UPDATE api_key SET used_at = %s WHERE prefix = %s", (now, prefix))
    return Actor(
        "key",
        agency_id=agency,
        agencies=frozenset(acts_for),
        roles=roles_of(roles),
        actions=None if actions is None else frozenset(actions),
        key_prefix=prefix,
        name=name,
        predecessors=frozenset(predecessors),
    )


def get(conn: Connection, prefix: str) -> ApiKey:
    """Raises NotFound."""
    row = conn.execute(f"{_SELECT} WHERE prefix = %s", (prefix,)).fetchone()
    if row is None:
        raise NotFound("identity.key_not_found", prefix=prefix)
    return _key(row)


def all_keys(conn: Connection) -> list[ApiKey]:
    """Every key, newest first; the caller asks the policy which of them may be shown."""
    rows = conn.execute(f"{_SELECT} ORDER BY created_at DESC, prefix")
    return [_key(row) for row in rows]


def visible(conn: Connection, actor: Actor) -> list[ApiKey]:
    """The keys the actor may manage, newest first."""
    return [
        key
        for key in all_keys(conn)
        if decide(actor, "key.manage", Resource("key", key.prefix, key.agency_id)).allowed
    ]


def _may_grant(actor: Actor, roles: Collection[str]) -> bool:
    """Nobody passes on a role they do not have, except those who give roles to people anyway."""
    unlimited = decide(actor, "account.manage", Resource("account")).allowed
    return unlimited or set(roles) <= actor.roles


def _limit_faults(name: str, actions: Collection[str] | None, lifetime: timedelta) -> list[Fault]:
    faults = name_faults("name", name.strip())
    faults += [
        Fault("actions", "identity.action_unknown", {"action": action})
        for action in actions or ()
        if action not in MATRIX or action in PERSONS_ONLY
    ]
    if not timedelta(days=1) <= lifetime <= LONGEST:
        faults.append(Fault("lifetime", "identity.key_lifetime", {"most": LONGEST.days}))
    return faults


_SELECT = (
    "SELECT prefix, name, agency_id, roles, actions, created_at, created_by, expires_at, used_at, "
    "revoked_at FROM api_key"
)


def _key(row: tuple[Any, ...]) -> ApiKey:
    prefix, name, agency, roles, actions, *rest = row
    limit = None if actions is None else frozenset(actions)
    return ApiKey(prefix, name, agency, roles_of(roles), limit, *rest)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()
