"""Failed logins make the next ones wait, the longer the more often; nobody is ever locked out.

Five failures within a minute block further tries for one minute, then two, four, eight, at most
fifteen; an hour without a block starts anew. Failures count per login, per address, and per login
at one address. Where a login has succeeded before, only the third count matters: a stranger who
keeps failing elsewhere cannot keep somebody out of their own office.

Stored in PostgreSQL, so it holds across web processes. Subjects are stored as hashes, because
people type passwords into the field for the name.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from dothi.kernel.errors import TooMany
from dothi.store.database import Connection

FAILURES = 5
WINDOW = timedelta(minutes=1)
LONGEST = timedelta(minutes=15)
CALM = timedelta(hours=1)
PLACE_KEPT = timedelta(days=90)


def check(conn: Connection, login: str, address: str, now: datetime) -> None:
    """Raise TooMany while a try of this login from this address has to wait."""
    place, *others = _subjects(login, address)
    known = conn.execute("SELECT 1 FROM login_place WHERE subject = %s", (place,)).fetchone()
    counted = [place] if known else [place, *others]
    until = conn.execute(
        # A block further ahead than the longest was set by a clock that has since been put back.
        "SELECT max(blocked_until) FROM login_throttle WHERE subject = ANY (%s) "
        "AND blocked_until > %s AND blocked_until <= %s",
        (counted, now, now + LONGEST),
    ).fetchone()
    if until is not None and until[0] is not None:
        wait_s = ceil((until[0] - now).total_seconds())
        raise TooMany("identity.too_many_logins", retry_after_s=wait_s)


def failed(conn: Connection, login: str, address: str, now: datetime) -> None:
    """Count a failure."""
    # One order of locking for all, or two failures at once could wait for each other.
    for subject in sorted(_subjects(login, address)):
        conn.execute(
            "INSERT INTO login_throttle VALUES (%s, 0, %s, 0, NULL) ON CONFLICT DO NOTHING",
            (subject, now),
        )
        row = conn.execute(
            "SELECT failures, since, blocks, blocked_until FROM login_throttle "
            "WHERE subject = %s FOR UPDATE",
            (subject,),
        ).fetchone()
        if row is not None:
            conn.execute(
                "UPDATE login_throttle SET failures = %s, since = %s, blocks = %s, "
                "blocked_until = %s WHERE subject = %s",
                (*_after_failure(row, now), subject),
            )


def succeeded(conn: Connection, login: str, address: str, now: datetime) -> None:
    """Remember the place and forget its failures; those counted elsewhere stay."""
    place = _subjects(login, address)[0]
    conn.execute("DELETE FROM login_throttle WHERE subject = %s", (place,))
    conn.execute(
        "INSERT INTO login_place VALUES (%s, %s) ON CONFLICT (subject) DO UPDATE "
        "SET seen_at = greatest(login_place.seen_at, excluded.seen_at)",
        (place, now),
    )


def purge(conn: Connection, now: datetime) -> None:
    """Forget counts that no longer matter and places not seen for long."""
    conn.execute(
        "DELETE FROM login_throttle WHERE greatest(since, blocked_until) < %s",
        (now - timedelta(days=2),),
    )
    conn.execute("DELETE FROM login_place WHERE seen_at < %s", (now - PLACE_KEPT,))


def _after_failure(
    row: tuple[int, datetime, int, datetime | None], now: datetime
) -> tuple[int, datetime, int, datetime | None]:
    """The count after one more failure: (failures, since, blocks, blocked_until)."""
    failures, since, blocks, blocked_until = row
    if not since <= now < since + WINDOW:
        failures, since = 0, now
    if blocked_until is not None and now - blocked_until > CALM:
        blocks, blocked_until = 0, None
    failures += 1
    if failures < FAILURES:
        return failures, since, blocks, blocked_until
    wait = min(WINDOW * 2 ** min(blocks, 10), LONGEST)
    return 0, now, blocks + 1, now + wait


def _subjects(login: str, address: str) -> Sequence[bytes]:
    """The login at its address, the login, the address."""
    where = network(address)
    texts = (f"place\n{login}\n{where}", f"login\n{login}", f"address\n{where}")
    return [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in texts]


def network(address: str) -> str:
    """What counts as one caller: the address; of IPv6 the /64 that one subscriber holds."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
