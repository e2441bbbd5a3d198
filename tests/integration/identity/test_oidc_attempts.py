"""Beginning to sign in through a provider: who begins too often keeps only their own network out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dothi.identity import links
from dothi.identity.oidc import Attempt
from dothi.kernel.errors import TooMany
from dothi.store.database import Database

from .conftest import NOW

HERE, ELSEWHERE = "10.0.0.7", "10.0.0.8"


def begin(db: Database, number: int, address: str, later: timedelta = timedelta()) -> None:
    with db.transaction() as conn:
        attempt = Attempt(f"{address} {number}", "nonce", "verifier", "/")
        links.keep(conn, attempt, address, NOW + later)


def use_up(db: Database, address: str) -> None:
    with db.transaction() as conn:
        for number in range(links.MOST_OF_NETWORK):
            attempt = Attempt(f"{address} {number}", "nonce", "verifier", "/")
            links.keep(conn, attempt, address, NOW)


def test_one_network_uses_up_its_own_attempts_alone(db: Database) -> None:
    use_up(db, HERE)
    with pytest.raises(TooMany):
        begin(db, -1, HERE)
    begin(db, -1, ELSEWHERE)
    with db.transaction() as conn:
        links.take(conn, f"{HERE} 0", NOW)  # somebody came back
    begin(db, -2, HERE)
    with pytest.raises(TooMany):
        begin(db, -3, HERE)
    begin(db, -4, HERE, links.PATIENCE + timedelta(seconds=1))


def test_of_ipv6_a_subscribers_network_counts_as_one(db: Database) -> None:
    use_up(db, "2001:db8:1:2::1")
    with pytest.raises(TooMany):
        begin(db, -1, "2001:db8:1:2:ffff::9")
    begin(db, -1, "2001:db8:1:3::1")


def test_the_address_itself_is_not_kept(db: Database) -> None:
    begin(db, 1, HERE)
    with db.transaction() as conn:
        [[text]] = conn.execute("SELECT string_agg(a::text, '') FROM oidc_attempt a").fetchall()
    assert HERE.encode().hex() not in text and "10.0" not in text.replace(f"{HERE} 1", "")
