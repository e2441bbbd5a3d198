"""API keys from issue to end."""

from datetime import timedelta

import pytest

from dothi.identity import accounts, keys
from dothi.identity.agencies import agency_id
from dothi.identity.guard import authenticate
from dothi.identity.model import SYSTEM, Actor, Role
from dothi.kernel.errors import Forbidden, Invalid, NotFound, Unauthenticated
from dothi.store.database import Database

from .conftest import NOW, MakeAccount


@pytest.fixture
def key(city: Database) -> tuple[keys.ApiKey, str]:
    with city.transaction() as conn:
        return keys.issue(
            conn,
            name="Trạm quan trắc",
            agency="env",
            roles=["data"],
            actions=["dataset.load"],
            lifetime=timedelta(days=30),
            actor=SYSTEM,
            now=NOW,
        )


def data_team(db: Database, agency: str) -> Actor:
    with db.snapshot() as conn:
        own = agency_id(conn, agency)
    assert own is not None
    return Actor("person", 9, own, frozenset({own}), frozenset({Role.DATA}))


def test_a_key_acts_for_its_agency_within_its_limits(
    city: Database, key: tuple[keys.ApiKey, str]
) -> None:
    info, text = key
    actor = authenticate(city, None, f"Bearer {text}", NOW)
    assert (actor.kind, actor.ref) == ("key", f"key:{info.prefix}")
    assert (actor.roles, actor.actions) == ({Role.DATA}, {"dataset.load"})
    assert actor.agency_id == info.agency_id
    assert len(actor.agencies) == 2
    assert authenticate(city, None, f"bearer  {text}", NOW) == actor


def test_the_database_and_the_trail_do_not_hold_the_secret(
    city: Database, key: tuple[keys.ApiKey, str]
) -> None:
    secret = key[1].rsplit("_", 1)[1]
    with city.snapshot() as conn:
        (texts,) = conn.execute(
            "SELECT (SELECT string_agg(k::text, '') FROM api_key k) || "
            "(SELECT string_agg(e::text, '') FROM event e)"
        ).fetchone() or ("",)
    assert key[0].prefix in texts
    assert secret not in texts


def test_a_wrong_ended_or_revoked_key_is_refused_not_served_as_a_stranger(
    city: Database, key: tuple[keys.ApiKey, str]
) -> None:
    info, text = key
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    for authorization in (
        f"Bearer {wrong}",
        "Bearer",
        "Bearer x",
        f"Basic {text}",
        text,
        f"Bearer {text}\0",
        f"Bearer dothi_aaaaaaaa_{'0' * 64}",
    ):
        with pytest.raises(Unauthenticated):
            authenticate(city, None, authorization, NOW)
    with pytest.raises(Unauthenticated):
        authenticate(city, None, f"Bearer {text}", NOW + timedelta(days=30))
    with city.transaction() as conn:
        keys.revoke(conn, info.prefix, actor=SYSTEM)
    with pytest.raises(Unauthenticated):
        authenticate(city, None, f"Bearer {text}", NOW)


def test_use_is_noted_to_the_hour(city: Database, key: tuple[keys.ApiKey, str]) -> None:
    info, text = key
    for minutes in (0, 30, 90):
        authenticate(city, None, f"Bearer {text}", NOW + timedelta(minutes=minutes))
        with city.snapshot() as conn:
            used = keys.get(conn, info.prefix).used_at
        assert used == NOW + timedelta(minutes=0 if minutes < 60 else minutes)


def test_a_data_team_issues_keys_for_its_own_agency_and_no_role_it_lacks(city: Database) -> None:
    team = data_team(city, "env")

    def issue(agency: str, role: str) -> None:
        with city.transaction() as conn:
            keys.issue(conn, name="x", agency=agency, roles=[role], actor=team, now=NOW)

    issue("env", "data")
    for agency, role in (("build", "data"), ("env", "admin"), ("env", "leader"), ("none", "data")):
        with pytest.raises(Forbidden):
            issue(agency, role)


def test_another_agencys_keys_do_not_exist(city: Database, key: tuple[keys.ApiKey, str]) -> None:
    stranger = data_team(city, "build")
    with city.transaction() as conn:
        assert keys.visible(conn, stranger) == []
        with pytest.raises(NotFound):
            keys.revoke(conn, key[0].prefix, actor=stranger)
        assert [k.prefix for k in keys.visible(conn, data_team(city, "env"))] == [key[0].prefix]


def test_a_key_with_impossible_limits_is_told_all_faults(city: Database) -> None:
    with city.transaction() as conn, pytest.raises(Invalid) as refused:
        keys.issue(
            conn,
            name=" ",
            agency="none",
            roles=[],
            actions=["account.manage", "fly"],
            lifetime=timedelta(days=9999),
            actor=SYSTEM,
            now=NOW,
        )
    assert [fault.where for fault in refused.value.faults] == [
        "roles", "agency", "name", "actions", "actions", "lifetime",
    ]  # fmt: skip


def test_an_account_that_leaves_takes_no_key_along_that_others_use(
    city: Database, key: tuple[keys.ApiKey, str], make_account: MakeAccount
) -> None:
    account = make_account()
    with city.transaction() as conn:
        accounts.disable_account(conn, account.id, actor=SYSTEM)
    assert authenticate(city, None, f"Bearer {key[1]}", NOW).kind == "key"
