"""Urging: once a day for each thing asked for, however many tap at once; counted in the history."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from dothi.identity.model import Role
from dothi.kernel.errors import Conflict, Forbidden, NotFound
from dothi.store.database import Database
from dothi.work.model import Move, Severity
from dothi.work.service import Opening
from dothi.work.urging import Urging, urge, urge_about
from tests.integration.work.conftest import MONDAY, Desk, Province

DAY = timedelta(days=1)


def about(province: Province, key: str = "leader:aqi:env") -> Opening:
    return Opening(
        kind="task", title={"vi": "Đôn đốc: AQI", "en": "Urged: AQI"}, severity=Severity.WARNING,
        agency_id=province.agencies["env"], dedupe_key=key, note="Báo cáo nguyên nhân",
    )  # fmt: skip


def lines(desk: Desk, code: str) -> list[tuple[str, object]]:
    return [(h.what, h.detail.get("nth")) for h in desk.full(code).history if h.what != "rung"]


def test_a_second_tap_the_same_day_changes_nothing_and_says_who_was_first(
    db: Database, province: Province, desk: Desk
) -> None:
    first_by, second_by = (province.person(a, Role.LEADER) for a in ("top", "env"))
    with db.transaction() as conn:
        first = urge_about(conn, first_by, about(province), now=MONDAY)
    with db.transaction() as conn:
        again = urge_about(conn, second_by, about(province), now=MONDAY + timedelta(hours=3))
    assert first.new and first.opened and first.nth == 1
    assert again == Urging(first.code, 1, MONDAY, first_by.name, new=False)
    assert lines(desk, first.code) == [("opened", None), ("urged", 1)]
    with db.transaction() as conn:
        tomorrow = urge_about(conn, second_by, about(province), now=MONDAY + DAY)
    assert (tomorrow.code, tomorrow.nth, tomorrow.new, tomorrow.opened) == (
        first.code,
        2,
        True,
        False,
    )
    assert lines(desk, first.code)[1:] == [("urged", 1), ("urged", 2)]


def test_taps_at_once_make_one_item_and_one_urging(
    db: Database, province: Province, desk: Desk
) -> None:
    leader, gate = province.person("top", Role.LEADER), threading.Barrier(6)
    told: list[Urging] = []

    def tap() -> None:
        gate.wait()
        with db.transaction() as conn:
            told.append(urge_about(conn, leader, about(province), now=MONDAY))

    threads = [threading.Thread(target=tap) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 6 and len({one.code for one in told}) == 1
    assert sorted(one.new for one in told) == [False] * 5 + [True]
    assert lines(desk, told[0].code) == [("opened", None), ("urged", 1)]


def test_what_was_urged_is_not_urged_again_that_day_as_an_item_nor_once_it_is_closed(
    db: Database, province: Province, desk: Desk
) -> None:
    leader = province.person("top", Role.LEADER)
    with db.transaction() as conn:
        first = urge_about(conn, leader, about(province), now=MONDAY)
    with db.transaction() as conn:
        assert not urge(conn, leader, first.code, now=MONDAY + timedelta(hours=1)).new
    desk.move(
        first.code, Move.CANCEL, note="Không còn cần", actor=leader, now=MONDAY + timedelta(hours=2)
    )
    with db.transaction() as conn:
        again = urge_about(conn, leader, about(province), now=MONDAY + timedelta(hours=3))
    assert (again.code, again.new) == (first.code, False)
    with db.transaction() as conn, pytest.raises(Conflict):
        urge(conn, leader, first.code, now=MONDAY + DAY)
    with db.transaction() as conn:
        assert urge_about(conn, leader, about(province), now=MONDAY + DAY).opened


def test_who_may_urge(db: Database, province: Province, desk: Desk) -> None:
    code = desk.open("env")
    for person, error in (
        (province.person("env"), Forbidden),
        (province.person("build", Role.LEADER), NotFound),
        (province.person("env", Role.AUDITOR), Forbidden),
    ):
        with db.transaction() as conn, pytest.raises(error):
            urge(conn, person, code, now=MONDAY)
        with db.transaction() as conn, pytest.raises((Forbidden, NotFound)):
            urge_about(conn, replace(person, roles=frozenset({Role.AUDITOR})), about(province))
    with db.transaction() as conn:
        assert urge(conn, province.person("env", Role.LEADER), code, now=MONDAY).nth == 1
