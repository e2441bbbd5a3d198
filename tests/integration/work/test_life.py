"""The life of a work item: opened once, moved by those who may, told in full, closed for good."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dothi.identity.model import ANONYMOUS, SYSTEM, Actor, Role
from dothi.kernel.errors import (
    Conflict,
    DothiError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
)
from dothi.kernel.time import VN, parse_instant
from dothi.store.database import Database
from dothi.work.calendars import set_calendar
from dothi.work.inbox import item as read_item
from dothi.work.kinds import KINDS
from dothi.work.model import Move, Severity, State, Timeliness
from dothi.work.service import (
    Opening,
    give_to_agency,
    give_to_person,
    move,
    open_item,
    possible,
)

MONDAY = parse_instant("2026-03-02 08:00", VN)


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def test_an_alarm_is_opened_with_code_owner_deadline_and_ladder(desk) -> None:
    code = desk.open(severity=Severity.WARNING, place="Phường Mẫu", service="environment")
    full = desk.full(code)
    assert code == "VV-2026-000001"
    assert full.item.state is State.NEW
    assert full.item.due_at == MONDAY + hours(12)
    assert full.item.timeliness(MONDAY + hours(1)) is Timeliness.ON_TRACK
    assert full.item.timeliness(MONDAY + hours(9)) is Timeliness.DUE_SOON
    assert full.item.timeliness(MONDAY + hours(13)) is Timeliness.OVERDUE
    assert [(rung.name, rung.due_at) for rung in full.rungs] == [
        ("urge_1", MONDAY + hours(6)),
        ("due_soon", MONDAY + hours(9)),
        ("overdue", MONDAY + hours(12)),
        ("urge_2", MONDAY + hours(15)),
        ("above", MONDAY + hours(18)),
    ]
    assert [line.what for line in full.history] == ["opened"]
    assert [event["code"] for event in desk.events("work.opened")] == [code]


def test_a_task_counts_office_hours(desk) -> None:
    friday = parse_instant("2026-03-06 16:00", VN)
    code = desk.open(kind="task", severity=Severity.CRITICAL, now=friday)
    assert desk.item(code).due_at == parse_instant("2026-03-09 16:00", VN)


def test_a_holiday_does_not_count(desk) -> None:
    before_tet = parse_instant("2026-02-13 16:00", VN)
    code = desk.open(kind="task", severity=Severity.CRITICAL, now=before_tet)
    assert desk.item(code).due_at == parse_instant("2026-02-23 16:00", VN)


def test_from_new_to_closed_with_everything_told(desk, province) -> None:
    officer, leader = province.person("env"), province.person("env", Role.LEADER)
    code = desk.open()
    accepted = desk.move(code, Move.ACCEPT, actor=officer)
    assert accepted.assignee == officer.account_id
    assert accepted.assignee_name == "officer env"
    desk.move(code, Move.START, actor=officer, now=MONDAY + hours(1))
    desk.move(code, Move.DONE, actor=officer, now=MONDAY + hours(2), note="Đã dập nguồn khói")
    closed = desk.move(code, Move.VERIFY, actor=leader, now=MONDAY + hours(30))
    assert closed.state is State.VERIFIED
    assert closed.closed_at == MONDAY + hours(30)
    assert closed.due_at == MONDAY + hours(12)
    assert closed.left(MONDAY + hours(1000)) == hours(10), "waiting for the verdict does not count"
    assert closed.timeliness(MONDAY + hours(1000)) is Timeliness.ON_TIME
    history = desk.full(code).history
    assert [(line.what, line.to_state) for line in history] == [
        ("opened", State.NEW),
        ("accept", State.ACCEPTED),
        ("start", State.IN_PROGRESS),
        ("done", State.DONE),
        ("verify", State.VERIFIED),
    ]
    assert history[3].note == "Đã dập nguồn khói"
    assert history[3].actor_name == "officer env"
    moved = desk.events("work.moved")
    assert [event["to"] for event in moved] == ["accepted", "in_progress", "done", "verified"]
    for act in ("opened", "accept", "start", "done", "verify"):
        assert len(desk.events(f"audit.work.{act}")) == 1


def test_a_result_that_is_not_accepted_goes_on_with_the_time_that_was_left(desk) -> None:
    code = desk.open()
    desk.move(code, Move.ACCEPT)
    desk.move(code, Move.DONE, now=MONDAY + hours(2))
    assert all(rung.due_at is None for rung in desk.full(code).rungs)
    back = desk.move(code, Move.RETURN, now=MONDAY + hours(20))
    assert back.state is State.RETURNED
    assert back.left(MONDAY + hours(20)) == hours(10)
    assert back.due_at == MONDAY + hours(30)
    assert desk.full(code).rungs[0].due_at == MONDAY + hours(24)
    assert not back.paused


def test_a_pause_stops_the_clock_and_says_why(desk) -> None:
    code = desk.open()
    desk.move(code, Move.ACCEPT)
    paused = desk.move(code, Move.PAUSE, now=MONDAY + hours(5), note="chờ kết quả đo")
    assert paused.paused
    assert paused.pause == "chờ kết quả đo"
    assert paused.due_at is None
    assert paused.left(MONDAY + hours(50)) == hours(7)
    assert {rung.due_at for rung in desk.full(code).rungs} == {None}
    resumed = desk.move(code, Move.RESUME, now=MONDAY + hours(50))
    assert resumed.due_at == MONDAY + hours(57)
    assert desk.full(code).rungs[0].due_at == MONDAY + hours(51)


OBSTACLES: list[tuple[tuple[Move, ...], Move, str]] = [
    ((), Move.DONE, "work.obstacle.new"),
    ((), Move.PAUSE, "work.obstacle.new"),
    ((Move.ACCEPT,), Move.ACCEPT, "work.obstacle.accepted"),
    ((Move.ACCEPT,), Move.RESUME, "work.obstacle.not_paused"),
    ((Move.ACCEPT, Move.PAUSE), Move.PAUSE, "work.obstacle.paused"),
    ((Move.ACCEPT, Move.PAUSE), Move.START, "work.obstacle.paused"),
    ((Move.ACCEPT, Move.DONE), Move.START, "work.obstacle.done"),
    ((Move.ACCEPT, Move.DONE, Move.VERIFY), Move.RETURN, "work.obstacle.verified"),
    ((Move.CANCEL,), Move.ACCEPT, "work.obstacle.cancelled"),
    ((Move.REFUSE,), Move.ACCEPT, "work.obstacle.refused"),
]


def test_a_move_that_does_not_fit_changes_nothing_and_says_why(desk) -> None:
    for before, what, key in OBSTACLES:
        code = desk.open()
        item = desk.move(code, *before)
        with pytest.raises(Conflict) as refused:
            desk.move(code, what)
        assert refused.value.key == key
        assert code in refused.value.text("vi")
        assert desk.item(code) == item


def test_every_move_from_every_state_is_either_possible_or_refused(desk) -> None:
    """What `possible` offers works, and nothing else does."""
    ways: dict[State, tuple[Move, ...]] = {
        State.NEW: (),
        State.ACCEPTED: (Move.ACCEPT,),
        State.IN_PROGRESS: (Move.START,),
        State.DONE: (Move.START, Move.DONE),
        State.RETURNED: (Move.START, Move.DONE, Move.RETURN),
        State.REFUSED: (Move.REFUSE,),
        State.VERIFIED: (Move.START, Move.DONE, Move.VERIFY),
        State.CANCELLED: (Move.CANCEL,),
    }
    assert set(ways) == set(State)
    gifts = {Move.GIVE_AGENCY, Move.GIVE_PERSON}
    for kind in KINDS:
        for state, way in ways.items():
            for what in set(Move) - gifts:
                code = desk.open(kind=kind)
                item = desk.move(code, *way)
                assert item.state is state
                if what in possible(SYSTEM, item):
                    after = desk.move(code, what)
                    assert after.version == item.version + 1
                else:
                    with pytest.raises(Conflict):
                        desk.move(code, what)


def test_words_are_needed_where_a_reason_is_owed(desk) -> None:
    code = desk.open()
    with pytest.raises(Invalid) as refused:
        desk.move(code, Move.CANCEL, note="  ")
    assert [fault.key for fault in refused.value.faults] == ["work.note_missing"]
    with pytest.raises(Invalid):
        desk.move(code, Move.ACCEPT, note="\0")
    with pytest.raises(Invalid):
        desk.move(code, Move.ACCEPT, note="\ud800")
    with pytest.raises(Invalid):
        desk.move(code, Move.ACCEPT, note="x" * 5000)


def test_a_note_on_a_closed_item_leaves_it_closed_as_it_was(desk) -> None:
    code = desk.open()
    closed = desk.move(code, Move.CANCEL, now=MONDAY + hours(1))
    noted = desk.move(code, Move.NOTE, now=MONDAY + hours(99))
    assert (noted.closed_at, noted.used) == (closed.closed_at, closed.used)


def test_two_people_who_accept_at_once(desk, province, db: Database) -> None:
    code = desk.open()
    version = desk.item(code).version
    people = [province.person("env"), province.person("env", Role.LEADER)]
    gate = threading.Barrier(2)
    found: list[object] = []

    def accept(actor: Actor) -> None:
        gate.wait()
        try:
            with db.transaction() as conn:
                found.append(move(conn, actor, code, Move.ACCEPT, version=version, now=MONDAY))
        except DothiError as error:
            found.append(error)

    threads = [threading.Thread(target=accept, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [one for one in found if isinstance(one, DothiError)]
    assert len(found) == 2
    assert len(errors) == 1
    assert isinstance(errors[0], Conflict)
    assert errors[0].key == "work.changed_meanwhile"
    assert [line.what for line in desk.full(code).history] == ["opened", "accept"]


# -- who may -----------------------------------------------------------------------------------------


def test_others_cannot_tell_that_it_exists(desk, province, db: Database) -> None:
    code = desk.open("env")
    stranger = province.person("build")
    for actor, wanted in ((stranger, code), (stranger, "VV-2026-999999"), (SYSTEM, "VV-1\0")):
        with pytest.raises(NotFound) as refused, db.transaction() as conn:
            read_item(conn, actor, wanted)
        assert refused.value.text("vi") == NotFound("identity.not_found").text("vi")
        with pytest.raises(NotFound), db.transaction() as conn:
            move(conn, actor, wanted, Move.ACCEPT, version=1)


RIGHTS: list[tuple[str, Role, Move, type[DothiError] | None]] = [
    ("env", Role.OFFICER, Move.ACCEPT, None),
    ("env", Role.OFFICER, Move.CANCEL, Forbidden),
    ("env", Role.DATA, Move.ACCEPT, Forbidden),
    ("env", Role.LEADER, Move.CANCEL, None),
    ("top", Role.LEADER, Move.CANCEL, None),
    ("top", Role.OPERATOR, Move.ACCEPT, None),
    ("top", Role.AUDITOR, Move.NOTE, Forbidden),
    ("air", Role.LEADER, Move.ACCEPT, NotFound),
    ("build", Role.LEADER, Move.CANCEL, NotFound),
]


def test_what_is_offered_is_what_is_allowed(desk, province) -> None:
    for agency, role, what, error in RIGHTS:
        code = desk.open("env")
        actor = province.person(agency, role)
        assert (what in possible(actor, desk.item(code))) == (error is None)
        if error is None:
            desk.move(code, what, actor=actor)
        else:
            with pytest.raises(error):
                desk.move(code, what, actor=actor)


def test_nobody_opens_work_without_an_account_or_for_others(desk, province, db: Database) -> None:
    opening = Opening(
        kind="task",
        title={"vi": "Việc", "en": "Work"},
        severity=Severity.NOTICE,
        agency_id=province.agencies["env"],
    )
    for actor, error in ((ANONYMOUS, Unauthenticated), (province.person("build"), Forbidden)):
        with pytest.raises(error), db.transaction() as conn:
            open_item(conn, actor, opening)
    with db.transaction() as conn:
        assert open_item(conn, province.person("env"), opening, now=MONDAY).new


def test_an_item_is_given_on(desk, province, db: Database) -> None:
    leader = province.person("env", Role.LEADER)
    code = desk.open("env")
    desk.move(code, Move.ACCEPT, Move.PAUSE, actor=leader, now=MONDAY + hours(1))
    with db.transaction() as conn:
        given = give_to_agency(
            conn, leader, code, province.agencies["build"], version=3, now=MONDAY + hours(3)
        )
    assert (given.state, given.assignee, given.paused) == (State.NEW, None, False)
    assert given.due_at == MONDAY + hours(14), "the deadline stays, but for the pause"
    with pytest.raises(NotFound):
        desk.move(code, Move.ACCEPT, actor=province.person("env"))
    colleague = province.person("build")
    with db.transaction() as conn:
        boss = province.person("build", Role.LEADER)
        assert colleague.account_id is not None
        handed = give_to_person(conn, boss, code, colleague.account_id, version=4)
    assert handed.assignee == colleague.account_id
    assert desk.full(code).history[-1].detail == {"assignee": [None, colleague.account_id]}


def test_it_is_not_given_to_nobody_or_to_strangers(desk, province, db: Database) -> None:
    code = desk.open("env")
    gifts: list[Callable[[Any], object]] = [
        lambda conn: give_to_agency(conn, SYSTEM, code, 10**9, version=1),
        lambda conn: give_to_person(conn, SYSTEM, code, 10**9, version=1),
        lambda conn: give_to_person(
            conn, SYSTEM, code, province.person("build").account_id or 0, version=1
        ),
    ]
    for give in gifts:
        with pytest.raises(Invalid), db.transaction() as conn:
            give(conn)
    with pytest.raises(Conflict), db.transaction() as conn:
        give_to_agency(conn, SYSTEM, code, province.agencies["env"], version=1)
    assert desk.item(code).version == 1


# -- opening -----------------------------------------------------------------------------------------


def test_the_same_alarm_joins_its_open_item(desk) -> None:
    first = desk.open(dedupe_key="pm25:kim-son", source={"load": 1})
    again = desk.open(dedupe_key="pm25:kim-son", source={"load": 2}, now=MONDAY + hours(1))
    assert again == first
    full = desk.full(first)
    assert full.item.raised == 2
    assert full.item.version == 1, "a person's half-filled form stays good"
    assert full.item.due_at == MONDAY + hours(12)
    assert full.history[-1].what == "raised"
    assert full.history[-1].detail["load"] == 2
    assert len(desk.events("work.raised")) == 1
    desk.move(first, Move.CANCEL)
    assert desk.open(dedupe_key="pm25:kim-son") == "VV-2026-000002"


def test_an_alarm_that_grows_more_urgent_gets_the_shorter_deadline(desk) -> None:
    code = desk.open(dedupe_key="k", severity=Severity.NOTICE)
    now = MONDAY + hours(10)
    desk.open(dedupe_key="k", severity=Severity.CRITICAL, now=now)
    full = desk.full(code)
    assert full.item.severity is Severity.CRITICAL
    assert full.item.due_at == now + hours(4)
    assert [rung.due_at for rung in full.rungs] == [now + hours(n) for n in (2, 3, 4, 5, 6)]
    desk.open(dedupe_key="k", severity=Severity.NOTICE, now=now + hours(1))
    assert desk.item(code).severity is Severity.CRITICAL
    assert desk.item(code).due_at == now + hours(4)


def test_the_deadline_never_moves_back_when_it_grows_more_urgent(desk) -> None:
    code = desk.open(dedupe_key="k", severity=Severity.NOTICE)
    desk.open(dedupe_key="k", severity=Severity.CRITICAL, now=MONDAY + hours(47))
    assert desk.item(code).due_at == MONDAY + hours(48)


def test_an_alarm_raised_by_many_at_once_is_one_item(desk, province, db: Database) -> None:
    gate = threading.Barrier(6)
    codes: list[str] = []

    def raise_it() -> None:
        gate.wait()
        codes.extend(desk.open(dedupe_key=f"k{n}") for n in range(10))

    threads = [threading.Thread(target=raise_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(codes) == 60
    assert sorted(set(codes)) == [f"VV-2026-{n:06d}" for n in range(1, 11)], "no gap, no double"
    assert desk.count("SELECT count(*) FROM work_item") == 10
    assert desk.count("SELECT sum(raised) FROM work_item") == 60


def test_numbers_begin_anew_each_year_in_vietnamese_time(desk) -> None:
    last = parse_instant("2026-12-31 23:59", VN)
    assert desk.open(now=last) == "VV-2026-000001"
    assert desk.open(now=last + timedelta(minutes=1)) == "VV-2027-000001"


def test_an_opening_that_fails_leaves_no_trace(desk, db: Database) -> None:
    with pytest.raises(RuntimeError), db.transaction() as conn:
        opening = Opening(
            kind="alarm",
            title={"vi": "Việc", "en": "Work"},
            severity=Severity.NOTICE,
            agency_id=desk.province.agencies["env"],
        )
        open_item(conn, SYSTEM, opening, now=MONDAY)
        raise RuntimeError("the reaction failed")
    assert desk.count("SELECT count(*) FROM event") == 0
    assert desk.open() == "VV-2026-000001"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"title": {"vi": "Chỉ tiếng Việt"}}, "title.en"),
    ({"title": {"vi": "a\nb", "en": "x"}}, "title.vi"),
    ({"budget": timedelta(0)}, "budget"),
    ({"place": "\0"}, "place"),
    ({"detail": {"vi": "\ud800"}}, "detail.vi"),
    ({"agency_id": 10**9}, "agency"),
]


def test_a_faulty_opening_is_refused_with_the_place_of_the_fault(
    desk, province, db: Database
) -> None:
    values: dict[str, Any] = {
        "kind": "alarm",
        "title": {"vi": "Việc", "en": "Work"},
        "severity": Severity.NOTICE,
        "agency_id": province.agencies["env"],
    }
    for change, where in FAULTS:
        with pytest.raises(Invalid) as refused, db.transaction() as conn:
            open_item(conn, SYSTEM, Opening(**{**values, **change}), now=MONDAY)
        assert [fault.where for fault in refused.value.faults] == [where]
    assert desk.open() == "VV-2026-000001"


def test_an_unknown_kind_or_calendar_is_said(desk) -> None:
    for change, key in (({"kind": "x"}, "work.no_kind"), ({"calendar": "x"}, "work.no_calendar")):
        with pytest.raises(Invalid) as refused:
            desk.open(**change)
        assert refused.value.key == key


# -- calendars ---------------------------------------------------------------------------------------

WEEK = {str(day): [["07:30", "11:30"], ["13:30", "17:00"]] for day in range(5)}


def test_a_new_holiday_moves_open_deadlines_and_says_why(desk, province, db: Database) -> None:
    task = desk.open(kind="task", severity=Severity.CRITICAL)
    alarm = desk.open(kind="alarm")
    closed = desk.open(kind="task")
    desk.move(closed, Move.CANCEL)
    before = desk.item(closed)
    definition = {
        "zone": "Asia/Ho_Chi_Minh",
        "week": WEEK,
        "days": {"2026-03-03": {"hours": [], "ground": "Thông báo thử"}},
    }
    admin = province.person("top", Role.ADMIN)
    with db.transaction() as conn:
        assert (
            set_calendar(conn, admin, "office", definition, ground="Thông báo thử", now=MONDAY) == 1
        )
    full = desk.full(task)
    assert full.item.due_at == parse_instant("2026-03-04 08:00", VN)
    assert full.rungs[2].due_at == full.item.due_at
    assert (full.history[-1].what, full.history[-1].note) == ("calendar", "Thông báo thử")
    assert desk.item(alarm).due_at == MONDAY + hours(12)
    assert desk.item(closed).due_at == before.due_at


def test_only_the_administrator_sets_a_calendar_and_only_a_whole_one(
    desk, province, db: Database
) -> None:
    whole: dict[str, Any] = {"zone": "Asia/Ho_Chi_Minh", "week": WEEK}
    with pytest.raises(Forbidden), db.transaction() as conn:
        set_calendar(conn, province.person("env"), "office", whole, ground="x")
    for broken in (
        {"week": WEEK},
        {"zone": "Nowhere", "week": WEEK},
        {"zone": "UTC", "week": {"9": []}},
        {"zone": "UTC", "week": {"0": [["7h", "8h"]]}},
        {"zone": "UTC", "week": [], "days": {}},
        {"zone": "UTC", "week": WEEK, "days": {"2026-01-01": {"hours": []}}},
    ):
        with pytest.raises(Invalid), db.transaction() as conn:
            set_calendar(conn, SYSTEM, "office", broken, ground="x")
    for name, ground in (("office", " "), ("always", "x")):
        with pytest.raises(Invalid), db.transaction() as conn:
            set_calendar(conn, SYSTEM, name, whole, ground=ground)


def test_an_item_opened_while_the_calendar_changes_is_counted_by_the_new_one(
    desk, db: Database
) -> None:
    """Opening and changing wait for each other, so that no open item keeps an old deadline."""
    definition = {"zone": "Asia/Ho_Chi_Minh", "week": {"6": [["07:30", "17:00"]]}}
    with db.transaction() as conn:
        opening = Opening(
            kind="task",
            title={"vi": "Việc", "en": "Work"},
            severity=Severity.CRITICAL,
            agency_id=desk.province.agencies["env"],
        )
        code = open_item(conn, SYSTEM, opening, now=MONDAY).code
        changed: list[int] = []

        def change() -> None:
            with db.transaction() as other:
                changed.append(set_calendar(other, SYSTEM, "office", definition, ground="x"))

        thread = threading.Thread(target=change)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(5)
    assert changed == [1]
    assert desk.item(code).due_at == parse_instant("2026-03-08 15:00", VN)
