"""Agencies and accounts, with a real database."""

import threading
from dataclasses import dataclass, replace
from datetime import date

import pytest

from dothi.identity import accounts, agencies, audit
from dothi.identity.model import STAFF_ROLES, SYSTEM, Actor, Agency, Role
from dothi.identity.passwords import Passwords
from dothi.kernel.errors import Conflict, Forbidden, Invalid
from dothi.store import events
from dothi.store.database import Database

from .conftest import PASSWORD, MakeAccount


def test_the_first_start_makes_one_administrator_even_if_two_processes_start(
    db: Database, hasher: Passwords
) -> None:
    made: list[bool] = []

    def start() -> None:
        with db.transaction() as conn:
            made.append(accounts.first_admin(conn, PASSWORD, hasher))

    starters = [threading.Thread(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert sorted(made) == [False, False, False, True]
    with db.snapshot() as conn:
        (admin,) = accounts.accounts(conn)
    assert (admin.login, admin.roles) == ("quantri", {Role.ADMIN})


def test_a_form_with_many_faults_is_told_all_of_them(city: Database, hasher: Passwords) -> None:
    with city.transaction() as conn, pytest.raises(Invalid) as refused:
        accounts.create_account(
            conn,
            login="Cán bộ",
            display_name="a\0b",
            agency="nowhere",
            roles=["king"],
            password="short",
            hasher=hasher,
            actor=SYSTEM,
        )
    assert [fault.where for fault in refused.value.faults] == [
        "display_name",
        "roles",
        "login",
        "agency",
        "password",
    ]
    assert all(fault.text(lang) for fault in refused.value.faults for lang in ("vi", "en"))


def test_a_login_is_taken_once_however_it_is_written(make_account: MakeAccount) -> None:
    make_account("canbo")
    with pytest.raises(Conflict):
        make_account("  CanBo ")


def test_only_those_who_manage_accounts_make_them(
    make_account: MakeAccount, city: Database, hasher: Passwords
) -> None:
    officer = make_account()
    actor = Actor("person", officer.id, officer.agency_id, roles=officer.roles)
    with city.transaction() as conn, pytest.raises(Forbidden):
        accounts.create_account(
            conn,
            login="friend",
            display_name="Friend",
            agency="env",
            roles=["admin"],
            password=PASSWORD,
            hasher=hasher,
            actor=actor,
        )


def test_the_last_administrator_cannot_be_locked_out(
    city: Database, make_account: MakeAccount
) -> None:
    with city.transaction() as conn:
        admin = accounts.find_account(conn, "quantri")
        assert admin is not None
        with pytest.raises(Conflict):
            accounts.disable_account(conn, admin.id, actor=SYSTEM)
        with pytest.raises(Conflict):
            accounts.change_roles(conn, admin.id, agency="env", roles=["officer"], actor=SYSTEM)
    make_account("second", "env", Role.ADMIN)
    with city.transaction() as conn:
        accounts.disable_account(conn, admin.id, actor=SYSTEM)
        assert accounts.get_account(conn, admin.id).disabled_at is not None


def test_an_agency_stands_above_all_that_are_below_it(city: Database) -> None:
    with city.snapshot() as conn:
        ids = {agency.code: agency.id for agency in agencies.agencies(conn)}
        assert agencies.branch(conn, ids["env"] or 0) == {ids["env"], ids["env.air"]}
        assert agencies.branch(conn, ids["tinh"] or 0) == set(ids.values())


def test_no_agency_stands_below_itself(city: Database) -> None:
    with city.transaction() as conn:
        env = agencies.find_agency(conn, "env")
        assert env is not None
        for parent in ("env", "env.air"):
            with pytest.raises(Conflict):
                agencies.change_agency(
                    conn, Agency("env", "Môi trường", "Environment", parent), actor=SYSTEM
                )


def test_a_merged_agency_keeps_its_name_and_gets_no_new_people(
    city: Database, make_account: MakeAccount
) -> None:
    ended = Agency("build", "Sở cũ", "Old", "tinh", date(2010, 1, 1), date(2025, 3, 1))
    with city.transaction() as conn:
        agencies.change_agency(conn, ended, actor=SYSTEM)
        assert agencies.find_agency(conn, "build") is not None
        on = {a.code for a in agencies.agencies(conn, date(2025, 2, 28))}
        after = {a.code for a in agencies.agencies(conn, date(2025, 3, 1))}
    assert on - after == {"build"}
    with pytest.raises(Invalid):
        make_account("late", "build")


@dataclass(frozen=True)
class Demo:
    login: str
    display_name: str
    agency: str
    role: Role


def test_demo_accounts_have_a_password_each_and_keep_it(city: Database, hasher: Passwords) -> None:
    places = (
        Agency("ward", "Phường Mẫu", "Model Ward", "tinh"),
        # Made before without a parent, as a pack does with its owner.
        Agency("owner", "Sở", "Department", "tinh"),
    )
    wanted = [Demo(f"demo-{role}", "Cán bộ", "ward", role) for role in sorted(STAFF_ROLES)]
    with city.transaction() as conn:
        agencies.add_agency(conn, replace(places[1], parent=None), actor=SYSTEM)
        made = accounts.demo_accounts(conn, places, wanted, hasher)
    assert set(made) == {account.login for account in wanted}
    assert len(set(made.values())) == len(wanted)
    with city.transaction() as conn:
        owner = agencies.find_agency(conn, "owner")
        assert owner is not None
        assert owner.parent == "tinh"
        assert accounts.demo_accounts(conn, places, wanted, hasher) == {}


def test_no_password_and_no_hash_is_written_anywhere_but_into_its_column(
    city: Database, make_account: MakeAccount, hasher: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    account = make_account()
    with city.transaction() as conn:
        accounts.set_password(conn, account.id, "Núi Cư Yang Sin xa", hasher=hasher, actor=SYSTEM)
    audit.seal(city)
    with city.snapshot() as conn:
        (texts,) = conn.execute("SELECT string_agg(event::text, ' ') FROM event").fetchone() or (
            "",
        )
        (sealed,) = conn.execute(
            "SELECT string_agg(e::text, ' ') FROM audit_entry e"
        ).fetchone() or ("",)
        stored = conn.execute("SELECT password_hash FROM account").fetchall()
    written = texts + sealed + caplog.text + repr(account)
    assert "account_added" in written
    assert "password_set" in written
    for secret in (PASSWORD, "Núi Cư Yang Sin xa", "argon2", *(row[0] for row in stored)):
        assert secret not in written


def test_the_audit_trail_refuses_to_hold_a_secret(city: Database) -> None:
    with city.transaction() as conn:
        for name in ("password", "new_password", "Token", "api_secret"):
            with pytest.raises(ValueError, match="audit trail"):
                audit.record(conn, "x", SYSTEM, None, **{name: "x"})


def test_every_change_says_who_did_it(city: Database, make_account: MakeAccount) -> None:
    account = make_account()
    with city.snapshot() as conn:
        kinds = {e.kind: e for e in events.read(conn, (0, 0), limit=100, kinds=["audit."])}
    made = kinds["audit.account_added"]
    assert (made.actor, made.subject) == ("system", f"account:{account.id}")
    assert made.payload == {"login": "canbo", "agency": "env", "roles": ["officer"]}
