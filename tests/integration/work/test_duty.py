"""Rosters, the log and handovers on a real database."""

from __future__ import annotations

import threading
from datetime import date, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dothi.identity.model import SYSTEM, Actor, Role
from dothi.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from dothi.kernel.time import VN, parse_instant
from dothi.store.database import Database
from dothi.work.duty import log, roster, store
from dothi.work.duty.log import NewEntry
from dothi.work.duty.model import Days, DutyRole, EntryKind
from dothi.work.duty.roster import NewShift, Slot

from .conftest import Desk, Province

DAY = date(2026, 3, 2)
NOON = parse_instant("2026-03-02 12:00", VN)
JANUARY = date(2026, 1, 1)


class Duty:
    """Three shifts a day of the agency "env", whose people take turns."""

    def __init__(self, db: Database, province: Province) -> None:
        self.db, self.province = db, province
        self.env = province.agencies["env"]
        self.shifts = {
            name: self.do(roster.add_shift, SYSTEM, self.env,
                          NewShift(name=name, begins=time(a), ends=time(b), valid_from=JANUARY))
            for name, a, b in (("Ca sáng", 6, 14), ("Ca chiều", 14, 22), ("Ca đêm", 22, 6))
        }  # fmt: skip

    def do(self, act: Any, *args: Any, **more: Any) -> Any:
        with self.db.transaction() as conn:
            return act(conn, *args, **more)

    def account(self, role: Role = Role.OFFICER) -> int:
        number = self.province.person("env", role).account_id
        assert number is not None
        return number

    def put(
        self, shift: str, role: Role = Role.OFFICER, day: date = DAY,
        as_: DutyRole = DutyRole.MAIN, now: datetime = NOON,
    ) -> None:  # fmt: skip
        self.do(roster.assign, SYSTEM, self.env, self.shifts[shift], day, self.account(role), as_,
                now=now)  # fmt: skip

    def who(self, at: str) -> list[tuple[str, DutyRole]]:
        found = self.do(roster.on_duty, self.env, parse_instant(at, VN))
        return [(one.shift, one.role) for one in found]


@pytest.fixture
def duty(db: Database, province: Province) -> Duty:
    return Duty(db, province)


def test_who_is_on_duty_across_midnight(duty: Duty) -> None:
    duty.put("Ca đêm", Role.OFFICER)
    duty.put("Ca đêm", Role.LEADER, as_=DutyRole.LEADER)
    duty.put("Ca đêm", Role.OPERATOR, as_=DutyRole.SECOND)
    both = [("Ca đêm", DutyRole.MAIN), ("Ca đêm", DutyRole.SECOND), ("Ca đêm", DutyRole.LEADER)]
    assert duty.who("2026-03-02 21:59:59") == []
    assert duty.who("2026-03-02 22:00") == both
    assert duty.who("2026-03-03 00:00") == both
    assert duty.who("2026-03-03 05:59:59") == both
    assert duty.who("2026-03-03 06:00") == []


def test_an_account_that_is_disabled_leaves_a_gap(duty: Duty) -> None:
    duty.put("Ca đêm")
    with duty.db.transaction() as conn:
        conn.execute("UPDATE account SET disabled_at = now() WHERE id = %s", (duty.account(),))
    assert duty.who("2026-03-02 23:00") == []
    (night,) = [
        turn
        for turn in duty.do(roster.read, SYSTEM, duty.env, DAY, DAY)
        if turn.shift.name == "Ca đêm"
    ]
    assert night.empty and [p.active for p in night.people] == [False]


def test_a_double_booking_is_refused_and_says_where_they_are(duty: Duty) -> None:
    duty.put("Ca đêm")
    whole = duty.do(roster.add_shift, SYSTEM, duty.env, NewShift(
        name="Trực 24 giờ", begins=time(7), ends=time(7), valid_from=JANUARY))  # fmt: skip
    with pytest.raises(Conflict) as refused:
        duty.do(roster.assign, SYSTEM, duty.env, whole, DAY, duty.account(), DutyRole.LEADER,
                now=NOON)  # fmt: skip
    assert "Ca đêm 02/03/2026 (22:00–06:00)" in refused.value.text("vi")
    duty.do(roster.assign, SYSTEM, duty.env, whole, DAY + timedelta(days=1), duty.account(),
            DutyRole.LEADER, now=NOON)  # fmt: skip


def test_two_who_put_the_same_person_in_two_turns_at_once_cannot_both(duty: Duty) -> None:
    """The database itself keeps people from being in two places."""
    whole = duty.do(roster.add_shift, SYSTEM, duty.env, NewShift(
        name="Trực 24 giờ", begins=time(7), ends=time(7), valid_from=JANUARY))  # fmt: skip
    start = threading.Barrier(2)
    told: list[str] = []

    def put(shift: int) -> None:
        start.wait()
        try:
            duty.do(roster.assign, SYSTEM, duty.env, shift, DAY, duty.account(), DutyRole.MAIN,
                    now=NOON)  # fmt: skip
            told.append("done")
        except Conflict:
            told.append("refused")

    threads = [threading.Thread(target=put, args=(s,)) for s in (whole, duty.shifts["Ca đêm"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == ["done", "refused"]


def test_two_people_swap_and_the_roster_says_why(duty: Duty) -> None:
    duty.put("Ca chiều", Role.OFFICER, as_=DutyRole.SECOND)
    duty.put("Ca đêm", Role.DATA)
    one = Slot(duty.shifts["Ca chiều"], DAY, duty.account())
    other = Slot(duty.shifts["Ca đêm"], DAY, duty.account(Role.DATA))
    with pytest.raises(Invalid):
        duty.do(roster.swap, SYSTEM, duty.env, one, other, " ", now=NOON)
    duty.do(roster.swap, SYSTEM, duty.env, one, other, "Đi họp", now=NOON)
    evening, night = [
        duty.do(roster.on_duty, duty.env, parse_instant(f"2026-03-02 {at}", VN))[0]
        for at in ("15:00", "23:00")
    ]
    assert (evening.account_id, evening.role) == (duty.account(Role.DATA), DutyRole.SECOND)
    assert (night.account_id, night.role) == (duty.account(), DutyRole.MAIN)
    change = duty.do(store.changes, duty.env, 1)[0]
    assert (change.what, change.reason) == ("swapped", "Đi họp")


def test_a_swap_that_would_book_somebody_twice_changes_nothing(duty: Duty) -> None:
    duty.put("Ca đêm", Role.OFFICER)
    duty.put("Ca đêm", Role.DATA, as_=DutyRole.SECOND)
    duty.put("Ca chiều", Role.LEADER)
    one = Slot(duty.shifts["Ca đêm"], DAY, duty.account())
    other = Slot(duty.shifts["Ca đêm"], DAY, duty.account(Role.DATA))
    duty.do(roster.swap, SYSTEM, duty.env, one, other, "Đổi vai", now=NOON)
    first = duty.do(roster.on_duty, duty.env, parse_instant("2026-03-02 23:00", VN))[0]
    assert first.account_id == duty.account(Role.DATA)
    with pytest.raises(Conflict):
        duty.do(roster.substitute, SYSTEM, duty.env, one, duty.account(Role.DATA), "Ốm", now=NOON)
    assert len(duty.who("2026-03-02 23:00")) == 2


def test_what_is_over_is_not_changed(duty: Duty) -> None:
    duty.put("Ca sáng")
    evening = parse_instant("2026-03-02 14:00", VN)
    for act in (roster.assign, roster.remove):
        more = (DutyRole.MAIN,) if act is roster.assign else ()
        with pytest.raises(Conflict):
            duty.do(act, SYSTEM, duty.env, duty.shifts["Ca sáng"], DAY, duty.account(), *more,
                    now=evening)  # fmt: skip


def test_a_week_is_copied_and_says_first_what_it_would_do(duty: Duty) -> None:
    duty.put("Ca sáng")
    duty.put("Ca chiều", Role.DATA)
    duty.put("Ca đêm", Role.LEADER)
    with duty.db.transaction() as conn:
        conn.execute(
            "UPDATE account SET disabled_at = now() WHERE id = %s", (duty.account(Role.DATA),)
        )
    # In the week after, who has the morning is in a shift of the afternoon that overlaps.
    early = duty.do(roster.add_shift, SYSTEM, duty.env, NewShift(
        name="Tăng cường", begins=time(5), ends=time(7), valid_from=JANUARY))  # fmt: skip
    week = timedelta(days=7)
    duty.do(roster.assign, SYSTEM, duty.env, early, DAY + week, duty.account(), DutyRole.SECOND,
            now=NOON)  # fmt: skip
    plan = duty.do(roster.copy_plan, SYSTEM, duty.env, DAY, now=NOON)
    assert [p.account_id for p in plan.people] == [duty.account(Role.LEADER)]
    assert [c.account_id for c in plan.clashes] == [duty.account()]
    assert [p.account_id for p in plan.left] == [duty.account(Role.DATA)]
    assert duty.who("2026-03-09 23:00") == [], "a plan does nothing"
    assert duty.do(roster.copy_week, SYSTEM, duty.env, DAY, now=NOON) == plan
    assert duty.who("2026-03-09 23:00") == [("Ca đêm", DutyRole.MAIN)]
    again = duty.do(roster.copy_plan, SYSTEM, duty.env, DAY, now=NOON)
    assert (again.people, again.already) == ((), 1)


def test_new_hours_hold_from_their_day_and_keep_who_is_there(duty: Duty) -> None:
    tomorrow = DAY + timedelta(days=1)
    for day in (DAY, tomorrow):
        duty.put("Ca chiều", day=day)
    new = NewShift(name="Ca chiều", begins=time(13), ends=time(21), valid_from=tomorrow)
    duty.do(roster.change_shift, SYSTEM, duty.env, duty.shifts["Ca chiều"], new, now=NOON)
    assert duty.who("2026-03-02 13:30") == [] and duty.who("2026-03-02 21:30") != []
    assert duty.who("2026-03-03 13:30") != [] and duty.who("2026-03-03 21:30") == []
    with pytest.raises(Conflict):
        duty.do(roster.end_shift, SYSTEM, duty.env,
                duty.do(store.shifts, duty.env, tomorrow, tomorrow)[1].id, tomorrow, now=NOON)  # fmt: skip


def test_hours_that_would_book_somebody_twice_are_refused_with_their_names(duty: Duty) -> None:
    duty.put("Ca chiều")
    duty.put("Ca đêm", Role.DATA)
    duty.do(roster.assign, SYSTEM, duty.env, duty.shifts["Ca sáng"], DAY + timedelta(days=1),
            duty.account(Role.DATA), DutyRole.MAIN, now=NOON)  # fmt: skip
    late = NewShift(name="Ca đêm", begins=time(22), ends=time(7), valid_from=DAY)
    with pytest.raises(Conflict) as refused:
        duty.do(roster.change_shift, SYSTEM, duty.env, duty.shifts["Ca đêm"], late, now=NOON)
    assert "data env (02/03/2026)" in refused.value.text("vi")
    assert duty.who("2026-03-02 23:00") != [], "nothing has changed"


@settings(
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    st.lists(
        st.tuples(st.sampled_from(["Ca sáng", "Ca chiều", "Ca đêm", "Trực 24 giờ"]),
                  st.integers(0, 3), st.sampled_from([Role.OFFICER, Role.DATA, Role.LEADER])),
        max_size=12,
    ),
    st.integers(0, 5 * 24 * 60),
)  # fmt: skip
def test_the_database_agrees_with_a_roster_on_paper(
    duty: Duty, wanted: list[tuple[str, int, Role]], minute: int
) -> None:
    hours = {"Ca sáng": (6, 14), "Ca chiều": (14, 22), "Ca đêm": (22, 30), "Trực 24 giờ": (7, 31)}
    if "Trực 24 giờ" not in duty.shifts:
        duty.shifts["Trực 24 giờ"] = duty.do(roster.add_shift, SYSTEM, duty.env, NewShift(
            name="Trực 24 giờ", begins=time(7), ends=time(7), valid_from=JANUARY))  # fmt: skip
    with duty.db.transaction() as conn:
        conn.execute("DELETE FROM duty_person")
    paper: dict[tuple[int, Role], str] = {}  # (hour from the first midnight, person) → shift
    for shift, day, role in wanted:
        first, last = hours[shift]
        theirs = [(24 * day + hour, role) for hour in range(first, last)]
        free = not any(place in paper for place in theirs)
        try:
            duty.put(shift, role, DAY + timedelta(days=day), now=NOON - timedelta(days=1))
            assert free, "an overlap went undetected"
            paper |= dict.fromkeys(theirs, shift)
        except Conflict:
            assert not free, "nothing overlapped"
    instant = datetime.combine(DAY, time(0), VN) + timedelta(minutes=minute)
    found = duty.do(roster.on_duty, duty.env, instant)
    expected = {(duty.account(r), s) for (hour, r), s in paper.items() if hour == minute // 60}
    assert {(one.account_id, one.shift) for one in found} == expected


def test_the_policy_says_who_sees_and_who_changes(duty: Duty, province: Province) -> None:
    def may(actor: Actor, act: Any, *args: Any, **more: Any) -> bool:
        try:
            duty.do(act, actor, duty.env, *args, **more)
        except (Forbidden, NotFound):
            return False
        return True

    new = NewShift(name="Ca", begins=time(1), ends=time(2), valid_from=JANUARY)
    for agency, role, sees, changes in (
        ("env", Role.OFFICER, True, False),
        ("env", Role.LEADER, True, True),
        ("top", Role.LEADER, True, True),
        ("build", Role.LEADER, False, False),
        ("build", Role.OFFICER, False, False),
        ("build", Role.OPERATOR, True, False),
        ("env", Role.OPERATOR, True, True),
        ("build", Role.AUDITOR, True, False),
        ("build", Role.ADMIN, True, True),
    ):
        person = province.person(agency, role)
        assert may(person, roster.read, DAY, DAY) is sees, (agency, role)
        assert may(person, roster.add_shift, new) is changes, (agency, role)


# -- the log ----------------------------------------------------------------------------------------


def entry(text: str = "Kiểm tra màn hình", **more: Any) -> NewEntry:
    return NewEntry(kind=EntryKind.EVENT, text=text, **more)


def test_only_who_is_on_duty_or_a_leader_writes(duty: Duty, province: Province) -> None:
    duty.put("Ca chiều", Role.OFFICER)
    afternoon = parse_instant("2026-03-02 15:00", VN)
    officer, leader = province.person("env"), province.person("env", Role.LEADER)
    with pytest.raises(Forbidden):
        duty.do(log.write, officer, duty.env, entry(), now=NOON)
    duty.do(log.write, officer, duty.env, entry(), now=afternoon)
    duty.do(log.write, leader, duty.env, entry(), now=NOON)
    for other in (province.person("env", Role.DATA), province.person("env", Role.ADMIN)):
        with pytest.raises(Forbidden):
            duty.do(log.write, other, duty.env, entry(), now=afternoon)
    with pytest.raises(NotFound):
        duty.do(log.write, province.person("build", Role.LEADER), duty.env, entry(), now=afternoon)


def test_what_was_written_is_never_changed(duty: Duty, province: Province) -> None:
    leader = province.person("env", Role.LEADER)
    first = duty.do(log.write, leader, duty.env, entry("Mất điện 5 phút"), now=NOON)
    second = duty.do(log.correct, leader, duty.env, first, "Mất điện 15 phút", now=NOON)
    with pytest.raises(Conflict):
        duty.do(log.correct, leader, duty.env, first, "Mất điện 25 phút", now=NOON)
    old, new = duty.do(log.read, leader, duty.env, NOON, NOON + timedelta(seconds=1))
    assert (old.id, old.corrected_by, old.text["vi"]) == (first, second, "Mất điện 5 phút")
    assert (new.id, new.corrects) == (second, first)
    for statement in (
        "UPDATE duty_entry SET text = 'x'",
        "DELETE FROM duty_entry",
        "TRUNCATE duty_entry CASCADE",
        "DELETE FROM duty_brief_version",
        "UPDATE duty_change SET reason = ''",
    ):
        with pytest.raises(psycopg.errors.RaiseException), duty.db.transaction() as conn:
            conn.execute(statement)  # type: ignore[arg-type]


def test_a_link_leads_to_a_page_of_ours_only(duty: Duty, province: Province) -> None:
    leader = province.person("env", Role.LEADER)
    code, hidden = Desk(duty.db, province).open("env"), Desk(duty.db, province).open("build")
    for link, url in (
        (code.lower(), f"/work/{code}"),
        (f"https://ioc.example/work/{code}?x=1", f"/work/{code}?x=1"),
        ("https://ioc.example/units/VN-01?x=1", "/units/VN-01?x=1"),
        ("/ioc/figure?key=i_x", "/ioc/figure?key=i_x"),
    ):
        duty.do(log.write, leader, duty.env, entry(link=link), now=NOON)
        newest = duty.do(log.read, leader, duty.env, NOON, NOON + timedelta(seconds=1))[-1]
        assert [one.url for one in newest.links] == [url]
    for link in ("javascript:alert(1)", "//evil.example/x", "https://evil.example//x", "không có"):
        with pytest.raises(Invalid):
            duty.do(log.write, leader, duty.env, entry(link=link), now=NOON)
    for link in ("VV-2026-999999", "/work/VV-2026-999999?x=1", hidden):
        with pytest.raises(Invalid) as refused:
            duty.do(log.write, leader, duty.env, entry(link=link), now=NOON)
        assert [fault.key for fault in refused.value.faults] == ["duty.link_none"]


def test_what_happened_by_itself_is_pulled_in_once(
    duty: Duty, province: Province, db: Database
) -> None:
    code = Desk(db, province).open("env")
    Desk(db, province).open("build")
    leader = province.person("env", Role.LEADER)
    with db.transaction() as conn:
        row = conn.execute("SELECT min(at), max(at) FROM event").fetchone()
    assert row is not None
    since, until = row[0] - timedelta(seconds=1), row[1] + timedelta(seconds=1)
    found = duty.do(log.candidates, leader, duty.env, since, until)
    assert [one.link.text for one in found] == [code], "not that of another agency"
    told: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: told.append(duty.do(log.pull, leader, duty.env, found, now=until))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == [0, 1]
    assert duty.do(log.candidates, leader, duty.env, since, until) == []


# -- handing over ------------------------------------------------------------------------------------


def test_a_turn_is_handed_over_and_confirmed_by_somebody_else(
    duty: Duty, province: Province, db: Database
) -> None:
    code = Desk(db, province).open("env")
    duty.put("Ca sáng", Role.OFFICER)
    duty.put("Ca chiều", Role.DATA)
    leaving, coming = province.person("env"), province.person("env", Role.DATA)
    before = parse_instant("2026-03-02 13:50", VN)
    with pytest.raises(Forbidden):
        duty.do(log.hand_over, coming, duty.env, "Ổn định", now=before)
    made = duty.do(log.hand_over, leaving, duty.env, "Ổn định", now=before)
    with pytest.raises(Conflict):
        duty.do(log.hand_over, leaving, duty.env, "Lần nữa", now=before)
    waiting = duty.do(store.handover, made, duty.env)
    assert [one["code"] for one in waiting.open_work] == [code]
    with pytest.raises(Forbidden):
        duty.do(log.take_over, leaving, duty.env, made, "", now=before)
    duty.do(log.take_over, coming, duty.env, made, "Đã rõ", now=before)
    with pytest.raises(Conflict):
        duty.do(log.take_over, coming, duty.env, made, "", now=before)
    taken = duty.do(store.handover, made, duty.env)
    assert (taken.taken_by, taken.taken_at) == (coming.account_id, before)
    kinds = [
        e.kind for e in duty.do(log.read, leaving, duty.env, before, before + timedelta(seconds=1))
    ]
    assert kinds == [EntryKind.HANDOVER, EntryKind.HANDOVER]
    with db.transaction() as conn:
        acts = conn.execute(
            "SELECT kind FROM event WHERE kind LIKE 'audit.duty.%over' ORDER BY id"
        ).fetchall()
    assert [row[0] for row in acts] == ["audit.duty.handed_over", "audit.duty.taken_over"]


def test_a_turn_that_ended_can_still_be_handed_over_for_a_while(
    duty: Duty, province: Province
) -> None:
    duty.put("Ca sáng", Role.OFFICER)
    leaving = province.person("env")
    with pytest.raises(Forbidden):
        duty.do(log.hand_over, leaving, duty.env, "Muộn", now=parse_instant("2026-03-02 16:30", VN))
    duty.do(log.hand_over, leaving, duty.env, "Muộn", now=parse_instant("2026-03-02 15:30", VN))


def test_a_shift_of_working_days_has_no_turn_on_a_holiday(duty: Duty) -> None:
    made = duty.do(roster.add_shift, SYSTEM, duty.env, NewShift(
        name="Hành chính", begins=time(7, 30), ends=time(17), days=Days.WORKING,
        valid_from=JANUARY))  # fmt: skip
    with pytest.raises(Conflict):
        duty.do(roster.assign, SYSTEM, duty.env, made, date(2026, 4, 30), duty.account(),
                DutyRole.MAIN, now=NOON)  # fmt: skip
