"""A roster brought as a file: shown first, all faults together, taken over whole or not at all."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from datetime import date, time, timedelta

import httpx
import pytest

from dothi.identity.accounts import create_account
from dothi.identity.model import SYSTEM
from dothi.identity.passwords import Passwords
from dothi.kernel.time import VN, local_date, utc_now
from dothi.work.duty import roster, store
from dothi.work.duty.model import Days, DutyRole
from dothi.work.duty.roster import NewShift
from tests.contract.world import OTHERS, OURS, PASSWORD, World

HEADS = ["Ngày", "Ca", "Bắt đầu", "Kết thúc", "Vai trò", "Người trực"]


def day(n: int) -> date:
    """Days from today."""
    return local_date(utc_now(), VN) + timedelta(days=n)


@pytest.fixture(scope="module")
def leader(town: World) -> Iterator[httpx.Client]:
    """The leader of our agency, which has a day's and a night's shift; another agency has one too."""
    with town.house.db.transaction() as conn:
        for agency, name, begins, ends in (
            (OURS, "Ca ngày", time(7), time(19)), (OURS, "Ca đêm", time(19), time(7)),
            (OURS, "Giao ban", time(6, 30), time(8)), (OTHERS, "Ca khác", time(7), time(19)),
        ):  # fmt: skip
            new = NewShift(name=name, begins=begins, ends=ends, days=Days.EVERY, valid_from=day(-9))
            roster.add_shift(conn, SYSTEM, town.agencies[agency], new)
    with town.client("leader") as client:
        yield client


def look(client: httpx.Client, rows: list[list[str]], name: str = "lich.csv") -> httpx.Response:
    out = io.StringIO()
    csv.writer(out).writerows([HEADS, *rows])
    return client.post("/duty/bring", files={"file": (name, out.getvalue().encode())})


def take(client: httpx.Client, seen: httpx.Response) -> httpx.Response:
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', seen.text))
    sent = {name: html.unescape(value) for name, value in fields.items()}
    return client.post("/duty/bring/take", data=sent)


def words(answer: httpx.Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    """(row, column) of what is to be mended."""
    return re.findall(r"<tr><td>(\d*)</td><td>([^<]*)</td>", answer.text)


def inside(town: World, first: int, last: int) -> set[tuple[date, str, str, DutyRole]]:
    with town.house.db.transaction() as conn:
        agency = town.agencies[OURS]
        names = {s.id: s.name for s in store.shifts(conn, agency, day(first), day(last))}
        found = store.people(conn, agency, day(first), day(last))
    return {(p.day, names[p.shift_id], p.name, p.role) for p in found}


def line(n: int, shift: str, role: str, person: str, *hours: str) -> list[str]:
    return [day(n).isoformat(), shift, *(hours or ("", "")), role, person]


def test_what_changes_is_shown_before_it_is_stored(town: World, leader: httpx.Client) -> None:
    rows = [
        line(3, "Ca ngày", "Trực chính", "operator", "07:00", "19:00"),
        line(3, "Ca ngày", "Trực phụ", "officer"),
        [f"{day(3):%d/%m/%Y}", "ca đêm", "19:00", "7:00", "leader", "leader"],
        line(4, "Ca ngày", "", "chưa có người trực"),
    ]
    seen = look(leader, rows)
    assert seen.status_code == 200, seen.text
    assert "names 3 turns. 3 places are added" in words(seen)
    assert inside(town, 3, 4) == set()
    assert take(leader, seen).status_code == 303
    wanted = {
        (day(3), "Ca ngày", "operator", DutyRole.MAIN),
        (day(3), "Ca ngày", "officer", DutyRole.SECOND),
        (day(3), "Ca đêm", "leader", DutyRole.LEADER),
    }
    assert inside(town, 3, 4) == wanted
    again = look(leader, rows)
    assert "nothing to store" in words(again) and 'name="lines"' not in again.text
    # The file decides only about the turns it names: the night stays, the day changes hands.
    other = look(leader, [line(3, "Ca ngày", "Trực chính", "officer")])
    assert "1 removed" in words(other) and "1 get another role" in words(other)
    assert take(leader, other).status_code == 303
    assert inside(town, 3, 4) == {
        (day(3), "Ca ngày", "officer", DutyRole.MAIN), (day(3), "Ca đêm", "leader", DutyRole.LEADER),
    }  # fmt: skip
    assert "Brought the file lich.csv" in words(leader.get("/duty/roster"))


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_roster_taken_home_and_brought_back_changes_nothing(
    leader: httpx.Client, form: str
) -> None:
    for lang in ("vi", "en"):
        header = {"accept-language": lang}
        asked = {"format": form, "week": day(3).isoformat()}
        taken = leader.get("/duty/roster/file", params=asked, headers=header)
        seen = leader.post("/duty/bring", files={"file": (f"lich.{form}", taken.content)})
        assert seen.status_code == 200, words(seen)
        assert "nothing to store" in words(seen), lang


def test_all_faults_are_told_together_with_row_and_column(
    town: World, leader: httpx.Client
) -> None:
    before = inside(town, -9, 20)
    rows = [
        line(9, "Ca ngày", "Trực chính", "operator"),
        ["31/02/2026", *line(9, "Ca ngày", "Trực chính", "leader")[1:]],
        line(9, "Ca trưa", "Trực chính", "officer"),
        line(9, "Ca đêm", "Trực chính", "officer", "20:00", "07:00"),
        line(9, "Ca đêm", "Thủ kho", "officer"),
        line(9, "Ca đêm", "Trực phụ", "Nguyễn Văn Không Có"),
        line(9, "Giao ban", "Trực phụ", "operator"),
        line(9, "Ca ngày", "Trực phụ", "operator"),
        line(-3, "Ca ngày", "Trực chính", "operator"),
        line(9, "Ca khác", "Trực chính", "operator"),
        line(900, "Ca ngày", "Trực chính", "operator"),
    ]
    refused = look(leader, rows)
    assert refused.status_code == 422
    assert faults(refused) == [
        ("3", "Day"), ("4", "Shift"), ("5", "Begins"), ("6", "Role"), ("7", "Person"),
        ("8", "Person"), ("9", "Person"), ("10", "Day"), ("11", "Shift"), ("12", "Day"),
    ]  # fmt: skip
    said = words(refused)
    assert "Double booking: operator" in said and "is no account of the agency" in said
    assert inside(town, -9, 20) == before


def test_what_looks_alike_is_the_same_and_a_merged_cell_is_not_nobody(leader: httpx.Client) -> None:
    seen = look(leader, [line(16, "ca\u00a0 Đêm", "trực  CHÍNH", " Operator")])
    assert seen.status_code == 200 and "1 places are added" in words(seen), words(seen)
    refused = look(
        leader,
        [
            line(16, "Ca đêm", "Trực chính", "operator"),
            ["", *line(16, "Ca ngày", "Trực chính", "officer")[1:]],  # merged with the cell above
            line(17, "", "Trực chính", "officer"),
            line(17, "Ca ngày", "Trực chính", ""),
            line(17, "Ca đêm", "", ""),
        ],
    )
    assert refused.status_code == 422
    assert faults(refused) == [("3", "Day"), ("4", "Shift"), ("5", "Person"), ("6", "Person")]
    assert words(refused).count("This cell is empty") == 4


def test_nobody_is_in_turns_of_two_agencies_at_once(town: World, leader: httpx.Client) -> None:
    with town.house.db.transaction() as conn:
        [shift] = [s for s in store.shifts(conn, town.agencies[OTHERS], day(12), day(12))
                   if s.name == "Ca khác"]  # fmt: skip
        assert store.assign(conn, shift, day(12), town.accounts["officer"], DutyRole.MAIN)
    refused = look(leader, [line(12, "Ca ngày", "Trực chính", "officer")])
    assert refused.status_code == 422 and faults(refused) == [("2", "Person")]
    assert "Ca khác" in words(refused)


def test_who_has_left_may_stand_in_the_turns_they_kept_and_in_no_later_one(
    town: World, leader: httpx.Client
) -> None:
    with town.house.db.transaction() as conn:
        [shift] = [s for s in store.shifts(conn, town.agencies[OURS], day(-4), day(-4))
                   if s.name == "Ca ngày"]  # fmt: skip
        gone = create_account(
            conn, login="gone", display_name="Người đã nghỉ", agency=OURS, roles=["officer"],
            password=PASSWORD, hasher=Passwords(), actor=SYSTEM,
        ).id  # fmt: skip
        assert store.assign(conn, shift, day(-4), gone, DutyRole.MAIN)
        assert store.assign(conn, shift, day(-4), town.accounts["officer"], DutyRole.SECOND)
        conn.execute(
            "UPDATE account SET disabled_at = now() - interval '2 days' WHERE id = %s", (gone,)
        )
    kept = [
        line(-4, "Ca ngày", "Trực chính", "Người đã nghỉ"),
        line(-4, "Ca ngày", "Trực phụ", "officer"),
    ]
    ahead = line(18, "Ca ngày", "Trực chính", "officer")
    seen = look(leader, [*kept, ahead])
    assert seen.status_code == 200 and "1 places are added" in words(seen), words(seen)
    assert look(leader, [kept[1], ahead]).status_code == 200, "as a file without them has it"
    refused = look(leader, [*kept, line(18, "Ca ngày", "Trực chính", "gone")])
    assert refused.status_code == 422 and faults(refused) == [("4", "Person")]
    assert "was closed on" in words(refused)
    refused = look(leader, [line(-4, "Ca ngày", "Trực phụ", "Người đã nghỉ"), kept[1]])
    assert refused.status_code == 422 and "is over" in words(refused)


def test_what_was_shown_is_what_is_stored(town: World, leader: httpx.Client) -> None:
    seen = look(leader, [line(14, "Ca ngày", "Trực chính", "operator")])
    with town.house.db.transaction() as conn:
        [shift] = [s for s in store.shifts(conn, town.agencies[OURS], day(14), day(14))
                   if s.name == "Ca ngày"]  # fmt: skip
        assert store.assign(conn, shift, day(14), town.accounts["officer"], DutyRole.SECOND)
    moved = take(leader, seen)
    assert moved.status_code == 409 and "has changed since you looked" in words(moved)
    assert inside(town, 14, 14) == {(day(14), "Ca ngày", "officer", DutyRole.SECOND)}
    assert take(leader, moved).status_code == 303
    assert inside(town, 14, 14) == {(day(14), "Ca ngày", "operator", DutyRole.MAIN)}


def test_a_file_that_is_no_roster_is_refused_with_the_reason(leader: httpx.Client) -> None:
    for content, said in (
        (b"a,b\n1,2\n", "Day, Shift, Role, Person"),
        (b"PK\x03\x04 nothing of a workbook", "cannot be read"),
        (b"", "cannot be read"),
        ((",".join(HEADS) + "\n").encode(), ""),
    ):
        refused = leader.post("/duty/bring", files={"file": ("x.csv", content)})
        assert refused.status_code == 422 and said in words(refused), content
    assert leader.post("/duty/bring", files={"other": ("x.csv", b"a")}).status_code == 422
    for lines in ("", "[]", "[1]", '{"row": 1}'):
        sent = {"lines": lines, "mark": "", "name": "x"}
        assert leader.post("/duty/bring/take", data=sent).status_code == 422
