"""Agencies that end: merged into another, or closed; what belonged to them stays somebody's."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from dothi.identity import accounts, agencies, audit, keys, sessions
from dothi.identity.accounts import find_account
from dothi.identity.agencies import close_agency, find_agency, merge_agency, successors
from dothi.identity.model import SYSTEM, Actor, Agency, Role
from dothi.kernel.errors import Conflict, Forbidden, Invalid
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.store.database import Connection, Database
from tests.integration.identity.conftest import MakeAccount

GROUND = "Nghị quyết 12/NQ-HĐND ngày 30/06/2025"
DAY = date(2025, 7, 1)


def merge(conn: Connection, old: str, new: str, **more: Any) -> None:
    wanted: dict[str, Any] = {"on": DAY, "ground": GROUND, "actor": SYSTEM, **more}
    merge_agency(conn, old, new, **wanted)


def test_people_keys_and_agencies_below_pass_to_the_successor(
    city: Database, make_account: MakeAccount
) -> None:
    person = make_account("canbo", "env")
    with city.transaction() as conn:
        _, text = keys.issue(
            conn, name="Trạm", agency="env", roles=[Role.DATA], actor=SYSTEM, now=utc_now()
        )
        token = sessions.start(conn, person.id, address="", now=utc_now())
        old = find_agency(conn, "env")
        merge(conn, "env", "build")
        new, ended = find_agency(conn, "build"), find_agency(conn, "env")
        below = find_agency(conn, "env.air")
        assert old and new and ended and below
        assert (ended.valid_to, ended.merged_into, ended.parent) == (DAY, "build", "build")
        assert ended.name_vi == old.name_vi, "what was decided under the old name reads as it did"
        assert below.parent == "build"
        actor = sessions.find(conn, token, sessions.Lifetime(), utc_now())
        key = keys.find(conn, text, utc_now())
    for who in (actor, key):
        assert who is not None
        assert who.agency_id == new.id
        assert {old.id, new.id, below.id} <= who.agencies
        assert who.predecessors == {old.id}


def test_a_code_leads_to_who_took_over_however_often(city: Database) -> None:
    with city.transaction() as conn:
        agencies.add_agency(conn, Agency("new", "Mới", "New", "tinh"), actor=SYSTEM)
        merge(conn, "env", "build")
        merge(conn, "build", "new")
        new = find_agency(conn, "new")
        assert new is not None
        found = successors(conn, ["env", "build", "new", "no-such"])
    assert found == dict.fromkeys(("env", "build", "new"), new.id)


def test_a_merger_names_everything_wrong_with_it(city: Database) -> None:
    tomorrow = local_date(utc_now(), VN) + timedelta(days=1)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"new": "nowhere"}, "into"),
        ({"new": "env"}, "into"),
        ({"new": "env.air"}, "into"),
        ({"on": tomorrow}, "on"),
        ({"ground": "  "}, "ground"),
        ({"ground": "a\nb"}, "ground"),
    ]
    for change, where in wrong:
        wanted = {"old": "env", "new": "build", **change}
        with pytest.raises(Invalid) as refused, city.transaction() as conn:
            merge(conn, wanted.pop("old"), wanted.pop("new"), **wanted)
        assert [fault.where for fault in refused.value.faults] == [where], change
    with city.transaction() as conn:
        merge(conn, "env", "build")
        with pytest.raises(Conflict, match="ended"):
            merge(conn, "env", "tinh")
        with pytest.raises(Invalid):
            merge(conn, "env.air", "env")


def test_only_who_manages_agencies_merges_or_closes_them(
    city: Database, make_account: MakeAccount
) -> None:
    person = make_account("lanhdao", "env", Role.LEADER)
    actor = Actor("person", person.id, person.agency_id, roles=person.roles)
    with city.transaction() as conn:
        with pytest.raises(Forbidden):
            merge(conn, "env", "build", actor=actor)
        with pytest.raises(Forbidden):
            close_agency(conn, "env.air", on=DAY, ground=GROUND, actor=actor)


def test_an_agency_ends_only_when_nobody_is_left_in_it(
    city: Database, make_account: MakeAccount
) -> None:
    person = make_account("canbo", "env.air")
    with city.transaction() as conn:
        for code in ("env", "env.air"):
            with pytest.raises(Conflict, match="remain"):
                close_agency(conn, code, on=DAY, ground=GROUND, actor=SYSTEM)
        accounts.disable_account(conn, person.id, actor=SYSTEM)
        close_agency(conn, "env.air", on=DAY, ground=GROUND, actor=SYSTEM)
        ended = find_agency(conn, "env.air")
        assert ended is not None and ended.valid_to == DAY and ended.merged_into is None
        assert agencies.agency_id(conn, "env.air") is None


def test_the_trail_says_who_moved_with_whom(city: Database, make_account: MakeAccount) -> None:
    make_account("canbo", "env")
    with city.transaction() as conn:
        merge(conn, "env", "build")
    audit.seal(city)
    with city.transaction() as conn:
        entry = audit.entries(conn, action="agency_merged")[0]
        assert find_account(conn, "canbo") is not None
    assert entry.subject == "agency:env"
    assert '"canbo"' in entry.detail and "build" in entry.detail
