"""Signing in, staying signed in, and ending it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from dothi.identity import accounts, audit, sessions, signin
from dothi.identity.guard import Guard, authenticate
from dothi.identity.model import ANONYMOUS, SYSTEM, Role
from dothi.identity.passwords import Passwords
from dothi.identity.sessions import Lifetime
from dothi.kernel.errors import Invalid, TooMany, Unauthenticated
from dothi.store.database import Database

from .conftest import NOW, PASSWORD, MakeAccount

SignIn = Callable[..., signin.SignedIn]
HOUR = timedelta(hours=1)


@pytest.fixture
def sign_in(city: Database, hasher: Passwords) -> SignIn:
    def try_it(
        login: str = "canbo",
        password: str = PASSWORD,
        at: datetime = NOW,
        address: str = "10.0.0.7",
        cookie: str | None = None,
    ) -> signin.SignedIn:
        return signin.sign_in(
            city, hasher, login=login, password=password, address=address, now=at, cookie=cookie
        )

    return try_it


def test_a_session_carries_role_and_agencies_as_they_are_now(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    account = make_account()
    token = sign_in(" CANBO ").token
    actor = authenticate(city, token, None, NOW)
    assert (actor.kind, actor.account_id, actor.roles) == ("person", account.id, {Role.OFFICER})
    assert len(actor.agencies) == 2
    with city.transaction() as conn:
        accounts.change_roles(conn, account.id, agency="env.air", roles=["data"], actor=SYSTEM)
    actor = authenticate(city, token, None, NOW)
    assert (actor.roles, len(actor.agencies)) == ({Role.DATA}, 1)


def test_the_database_does_not_hold_what_the_cookie_holds(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    token = sign_in().token
    with city.snapshot() as conn:
        (row,) = conn.execute("SELECT session::text FROM session").fetchall()
    assert token not in row[0]
    assert token.encode().hex() not in row[0]


def test_an_unused_session_ends_after_twelve_hours_a_used_one_after_seven_days(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    token = sign_in().token
    at = NOW
    while at - NOW < timedelta(days=7) - HOUR:
        assert authenticate(city, token, None, at).signed_in
        at += 11 * HOUR
    assert authenticate(city, token, None, NOW + timedelta(days=7)) == ANONYMOUS
    idle = sign_in().token
    assert authenticate(city, idle, None, NOW + 12 * HOUR - timedelta(minutes=6)).signed_in
    assert authenticate(city, idle, None, NOW + 25 * HOUR) == ANONYMOUS


def test_a_clock_that_jumps_ahead_and_back_ends_no_session(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    token = sign_in().token
    tomorrow = NOW + timedelta(days=1)
    assert authenticate(city, token, None, tomorrow) == ANONYMOUS
    with city.transaction() as conn:
        sessions.purge(conn, Lifetime(), tomorrow)
    assert authenticate(city, token, None, NOW).signed_in
    assert authenticate(city, token, None, NOW - HOUR).signed_in


def test_signing_in_never_keeps_the_session_a_browser_brought(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    planted = sign_in().token
    fresh = sign_in(cookie=planted).token
    assert fresh != planted
    assert authenticate(city, planted, None, NOW) == ANONYMOUS
    assert authenticate(city, fresh, None, NOW).signed_in


def test_made_up_tokens_are_nobody(city: Database) -> None:
    for token in ("", "x", "A" * 43, "A" * 44, "'; --" + "A" * 38, "\0" * 43):
        assert authenticate(city, token, None, NOW) == ANONYMOUS


def test_a_wrong_name_and_a_wrong_password_read_the_same(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    gone = make_account("gone")
    make_account()
    with city.transaction() as conn:
        accounts.disable_account(conn, gone.id, actor=SYSTEM)
    said: set[str] = set()
    for login, password in (
        ("canbo", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("a\0b", PASSWORD),
    ):
        with pytest.raises(Unauthenticated) as refused:
            sign_in(login, password)
        said.add(refused.value.text("vi"))
    assert len(said) == 1


def test_what_was_typed_as_a_name_is_not_written_down(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    account = make_account()
    for login in ("my secret password", "canbo"):
        with pytest.raises(Unauthenticated):
            sign_in(login, "wrong")
    audit.seal(city)
    with city.snapshot() as conn:
        failed = audit.entries(conn, action="sign_in_failed")
        (everything,) = conn.execute(
            "SELECT (SELECT string_agg(event::text, '') FROM event) || "
            "(SELECT string_agg(t::text, '') FROM login_throttle t)"
        ).fetchone() or ("",)
    assert [entry.subject for entry in failed] == [f"account:{account.id}", None]
    assert "my secret" not in everything


def test_disabling_an_account_ends_its_sessions(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    account = make_account()
    token = sign_in().token
    with city.transaction() as conn:
        accounts.disable_account(conn, account.id, actor=SYSTEM)
    assert authenticate(city, token, None, NOW) == ANONYMOUS
    with city.transaction() as conn:
        accounts.enable_account(conn, account.id, actor=SYSTEM)
    assert authenticate(city, token, None, NOW) == ANONYMOUS
    assert authenticate(city, sign_in().token, None, NOW).signed_in


def test_changing_the_password_ends_every_other_session(
    city: Database, hasher: Passwords, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    here, elsewhere = sign_in().token, sign_in().token
    actor = authenticate(city, here, None, NOW)
    new = "Núi Cư Yang Sin xa"
    fresh = signin.change_password(
        city, hasher, actor=actor, old=PASSWORD, new=new, address="10.0.0.7", now=NOW
    )
    assert authenticate(city, fresh, None, NOW).account_id == actor.account_id
    assert authenticate(city, here, None, NOW) == ANONYMOUS
    assert authenticate(city, elsewhere, None, NOW) == ANONYMOUS
    with pytest.raises(Unauthenticated):
        sign_in()
    assert sign_in(password=new)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("wrong", "Núi Cư Yang Sin xa", ["old"]),
        (PASSWORD, "short", ["new"]),
        (PASSWORD, PASSWORD, ["new"]),
        ("wrong", "password123", ["old", "new"]),
    ],
)
def test_a_bad_password_change_says_which_field(
    city: Database,
    hasher: Passwords,
    make_account: MakeAccount,
    sign_in: SignIn,
    old: str,
    new: str,
    where: list[str],
) -> None:
    make_account()
    token = sign_in().token
    actor = authenticate(city, token, None, NOW)
    with pytest.raises(Invalid) as refused:
        signin.change_password(
            city, hasher, actor=actor, old=old, new=new, address="10.0.0.7", now=NOW
        )
    assert [fault.where for fault in refused.value.faults] == where
    assert authenticate(city, token, None, NOW).signed_in


def test_a_stolen_session_does_not_serve_to_guess_the_password(
    city: Database, hasher: Passwords, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    actor = authenticate(city, sign_in().token, None, NOW)

    def guess() -> None:
        signin.change_password(
            city, hasher, actor=actor, old="wrong", new="x", address="10.9.9.9", now=NOW
        )

    for _ in range(5):
        with pytest.raises(Invalid):
            guess()
    with pytest.raises(TooMany):
        guess()


def test_signing_out_ends_the_session(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    token = sign_in().token
    signin.sign_out(city, authenticate(city, token, None, NOW), token)
    assert authenticate(city, token, None, NOW) == ANONYMOUS


def test_every_process_notices_a_revocation_within_seconds(
    city: Database, make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    token = sign_in().token
    clock = [0.0]
    here, there = (Guard(city, clock=lambda: clock[0]) for _ in range(2))
    for guard in (here, there):
        assert guard.authenticate(token, None, NOW).signed_in
        assert guard.remembered(token, None) is not None
    signin.sign_out(city, here.authenticate(token, None, NOW), token)
    here.forget()
    assert here.authenticate(token, None, NOW) == ANONYMOUS
    clock[0] = 14.0
    assert there.authenticate(token, None, NOW).signed_in
    clock[0] = 15.0
    assert there.authenticate(token, None, NOW) == ANONYMOUS


def test_strangers_cost_the_guard_no_memory_and_no_query(city: Database) -> None:
    guard = Guard(city)
    assert guard.remembered(None, None) is ANONYMOUS
    for number in range(50):
        guard.authenticate(f"{number:043d}", None, NOW)
    assert guard._known == {}


def test_a_password_hashed_with_less_work_is_hashed_anew_at_the_next_sign_in(
    city: Database, make_account: MakeAccount
) -> None:
    make_account()
    today = Passwords(memory_kib=2048, passes=1)

    def stored() -> str:
        with city.snapshot() as conn:
            row = conn.execute("SELECT password_hash FROM account WHERE login = 'canbo'").fetchone()
        assert row is not None
        return row[0]

    assert today.outdated(stored())
    for _ in range(2):
        signin.sign_in(city, today, login="canbo", password=PASSWORD, address="10.0.0.7", now=NOW)
        assert not today.outdated(stored())


# -- throttle ------------------------------------------------------------------------------------


def failures_until_blocked(sign_in: SignIn, **how: Any) -> int:
    for count in range(100):
        try:
            sign_in(password="wrong", **how)
        except TooMany:
            return count
        except Unauthenticated:
            pass
    return 100


def wait_s(sign_in: SignIn, **how: Any) -> int:
    with pytest.raises(TooMany) as refused:
        sign_in(**how)
    return refused.value.retry_after_s


def test_five_failures_make_the_login_and_the_address_wait(
    make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    make_account("other")
    assert failures_until_blocked(sign_in) == 5
    # The right password has to wait too, elsewhere too, and so has another name from here.
    assert wait_s(sign_in) == 60
    assert wait_s(sign_in, address="10.0.0.8") == 60
    assert wait_s(sign_in, login="other") == 60
    assert sign_in("other", address="10.0.0.8").token
    assert sign_in(at=NOW + timedelta(seconds=61)).token


def test_failures_spread_over_minutes_make_nobody_wait(
    make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    for minute in range(8):
        with pytest.raises(Unauthenticated):
            sign_in(password="wrong", at=NOW + timedelta(seconds=61 * minute))
    assert sign_in(at=NOW + timedelta(minutes=9)).token


def test_waiting_doubles_up_to_a_quarter_of_an_hour_and_is_forgotten(
    make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    at, waits = NOW, []
    for _ in range(6):
        failures_until_blocked(sign_in, at=at)
        waits.append(wait_s(sign_in, at=at))
        at += timedelta(seconds=waits[-1] + 1)
    assert waits == [60, 120, 240, 480, 900, 900]
    at += timedelta(hours=2)
    failures_until_blocked(sign_in, at=at)
    assert wait_s(sign_in, at=at) == 60


def test_a_stranger_cannot_keep_somebody_out_of_their_own_office(
    make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    sign_in(address="10.0.0.7")
    assert failures_until_blocked(sign_in, address="203.0.113.9") == 5
    assert sign_in(address="10.0.0.7").token
    assert wait_s(sign_in, address="198.51.100.4") == 60


def test_one_subscribers_many_ipv6_addresses_are_one(
    make_account: MakeAccount, sign_in: SignIn
) -> None:
    for number in range(5):
        with pytest.raises(Unauthenticated):
            sign_in(f"name{number}", "wrong", address=f"2001:db8:1:2::{number}")
    assert wait_s(sign_in, login="another", address="2001:db8:1:2:ffff::1") == 60
    with pytest.raises(Unauthenticated):
        sign_in("another", "wrong", address="2001:db8:1:3::1")


def test_a_clock_set_back_by_a_day_blocks_nobody_for_a_day(
    make_account: MakeAccount, sign_in: SignIn
) -> None:
    make_account()
    failures_until_blocked(sign_in, at=NOW + timedelta(days=1))
    assert sign_in(at=NOW).token


def test_guesses_sent_at_once_pass_no_more_often_than_the_limit_and_the_slots(
    city: Database, make_account: MakeAccount
) -> None:
    make_account()
    hasher = Passwords(slots=2, queue=50, patience_s=30, memory_kib=1024, passes=1)
    outcomes: list[type[Exception]] = []

    def guess() -> None:
        try:
            signin.sign_in(
                city, hasher, login="canbo", password="wrong", address="10.0.0.7", now=NOW
            )
        except (TooMany, Unauthenticated) as error:
            outcomes.append(type(error))

    guessers = [threading.Thread(target=guess) for _ in range(20)]
    for guesser in guessers:
        guesser.start()
    for guesser in guessers:
        guesser.join()
    assert len(outcomes) == 20
    assert 5 <= outcomes.count(Unauthenticated) <= 6
