"""The morning brief: made exactly once, edited by one at a time, published, corrected."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time as clock
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from dothi.identity.model import SYSTEM, Actor, Role
from dothi.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from dothi.kernel.time import VN, parse_instant
from dothi.store.database import Database
from dothi.work.duty import brief, roster
from dothi.work.duty.brief import Body, Line, Section
from dothi.work.duty.model import DutyRole, brief_span
from dothi.work.duty.roster import NewShift

from .conftest import Province

DAY = date(2026, 3, 2)
SEVEN = parse_instant("2026-03-02 07:00", VN)
BODY: Body = (
    Section("limits", (Line("limits-1", {"vi": "PM2.5 vượt", "en": "PM2.5 above"}, "/ioc"),)),
    Section("remarks"),
)


class Morning:
    """An agency with a day shift from 07:00 to 19:00 that an officer has on 2 March 2026."""

    def __init__(self, db: Database, province: Province) -> None:
        self.db, self.province = db, province
        self.env = province.agencies["env"]
        new = NewShift(name="Ca ngày", begins=time(7), ends=time(19), valid_from=date(2026, 1, 1))
        shift = self.do(roster.add_shift, SYSTEM, self.env, new)
        for role, as_ in ((Role.OFFICER, DutyRole.MAIN), (Role.DATA, DutyRole.SECOND)):
            account = province.person("env", role).account_id
            self.do(roster.assign, SYSTEM, self.env, shift, DAY, account, as_, now=SEVEN)

    def do(self, act: Any, *args: Any, **more: Any) -> Any:
        with self.db.transaction() as conn:
            return act(conn, *args, **more)

    def make(self, now: datetime = SEVEN) -> bool:
        return brief.make(self.db, self.env, DAY, lambda: BODY, now=now)

    def save(self, who: Actor, version: int, now: datetime = SEVEN, **sent: str) -> brief.Brief:
        form = {name.replace("_", "."): text for name, text in sent.items()}
        return self.do(brief.save, who, self.env, DAY, version, form, now=now)

    def read(self) -> brief.Brief:
        return self.do(brief.read, SYSTEM, self.env, DAY)


@pytest.fixture
def morning(db: Database, province: Province) -> Morning:
    return Morning(db, province)


def test_it_is_due_from_seven_until_it_is_made(morning: Morning) -> None:
    before = SEVEN - timedelta(seconds=1)
    assert (morning.env, DAY - timedelta(days=1)) in morning.do(brief.due, before)
    assert morning.do(brief.due, SEVEN) == [(morning.env, DAY)]
    assert morning.make() and morning.do(brief.due, SEVEN) == []
    assert not morning.make()
    assert morning.read().newest.body == BODY


@pytest.mark.parametrize(
    ("now", "made_since", "late"),
    [
        ("2026-03-02 07:00", "2026-01-01 00:00", None),
        ("2026-03-02 07:09", "2026-01-01 00:00", None),
        ("2026-03-02 09:30", "2026-01-01 00:00", "stopped"),
        ("2026-03-03 05:00", "2026-01-01 00:00", "stopped"),
        ("2026-03-02 09:30", "2026-03-02 09:00", "no_shift"),
    ],
)
def test_one_made_late_says_why_and_is_about_the_same_time(
    morning: Morning, now: str, made_since: str, late: str | None
) -> None:
    with morning.db.transaction() as conn:
        conn.execute("UPDATE duty_shift SET created_at = %s", (parse_instant(made_since, VN),))
    assert morning.make(parse_instant(now, VN))
    found = morning.read()
    assert found.late == late
    assert (found.since, found.until) == brief_span(DAY)


def test_of_two_workers_one_makes_it(morning: Morning) -> None:
    """The second waits until the first is done with gathering, and gathers nothing itself."""
    gathered: list[int] = []
    told: list[bool] = []
    begun = threading.Event()

    def gather() -> Body:
        gathered.append(1)
        begun.set()
        clock.sleep(0.5)
        return BODY

    def make() -> None:
        told.append(brief.make(morning.db, morning.env, DAY, gather, now=SEVEN))

    first = threading.Thread(target=make)
    first.start()
    assert begun.wait(60)
    second = threading.Thread(target=make)
    second.start()
    for thread in (first, second):
        thread.join(60)
    assert sorted(told) == [False, True]
    assert gathered == [1]
    assert len(morning.read().versions) == 1


def test_a_worker_killed_while_it_gathers_leaves_nothing_and_the_next_makes_it(
    morning: Morning, database_url: str
) -> None:
    code = textwrap.dedent(
        """
        import sys, time
        from datetime import date
        from dothi.store.database import Database
        from dothi.work.duty import brief

        def gather():
            print("gathering", flush=True)
            time.sleep(600)
            return ()

        brief.make(Database(sys.argv[1], name="killed"), int(sys.argv[2]), date(2026, 3, 2), gather)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, database_url, str(morning.env)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"gathering\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(60)
    child.stdout.close()
    assert morning.do(brief.due, SEVEN) == [(morning.env, DAY)]
    assert morning.make()
    assert [v.what for v in morning.read().versions] == ["generated"]


def test_of_two_who_edit_the_second_is_told_and_nothing_is_lost(morning: Morning) -> None:
    morning.make()
    officer, second = morning.province.person("env"), morning.province.person("env", Role.DATA)
    morning.save(officer, 1, add_remarks="Trời nhiều mây")
    with pytest.raises(Conflict) as refused:
        morning.save(second, 1, add_remarks="Ổn định")
    assert "officer env" in refused.value.text("vi") and "2" in refused.value.text("vi")
    after = morning.save(second, 2, add_remarks="Ổn định")
    assert [line.text["vi"] for line in after.newest.body[1].lines] == ["Trời nhiều mây", "Ổn định"]
    assert morning.read() == after
    assert [(v.no, v.what) for v in after.versions] == [
        (1, "generated"), (2, "edited"), (3, "edited"),
    ]  # fmt: skip
    assert morning.save(second, 3).newest.no == 3, "what changes nothing makes no version"


def test_only_who_is_on_duty_edits_and_only_who_leads_the_turn_publishes(morning: Morning) -> None:
    morning.make()
    who = morning.province.person
    night = parse_instant("2026-03-02 20:00", VN)
    for person in (who("env", Role.ADMIN), who("env", Role.AUDITOR), who("top", Role.OPERATOR)):
        with pytest.raises(Forbidden):
            morning.save(person, 1, add_remarks="x")
    with pytest.raises(Forbidden):
        morning.save(who("env"), 1, now=night, add_remarks="x")
    with pytest.raises(NotFound):
        morning.save(who("build"), 1, add_remarks="x")
    with pytest.raises(Forbidden):
        morning.do(brief.publish, who("env", Role.DATA), morning.env, DAY, 1, now=SEVEN)
    morning.do(brief.publish, who("env"), morning.env, DAY, 1, now=SEVEN)


def test_what_is_published_is_only_corrected_with_a_reason(morning: Morning) -> None:
    morning.make()
    officer, leader = morning.province.person("env"), morning.province.person("env", Role.LEADER)
    morning.do(brief.publish, officer, morning.env, DAY, 1, now=SEVEN)
    with pytest.raises(Conflict):
        morning.do(brief.publish, leader, morning.env, DAY, 2, now=SEVEN)
    with pytest.raises(Forbidden):
        morning.save(morning.province.person("env", Role.DATA), 2, add_remarks="x", reason="y")
    with pytest.raises(Invalid):
        morning.save(leader, 2, add_remarks="Sửa số", reason=" ")
    found = morning.save(leader, 2, add_remarks="Sửa số", reason="Nhầm trạm")
    assert [v.what for v in found.versions] == ["generated", "published", "amended"]
    assert found.versions[1].body == BODY, "what was published stays readable"
    assert found.published == found.newest and found.newest.reason == "Nhầm trạm"
    with morning.db.transaction() as conn:
        acts = conn.execute(
            "SELECT payload->>'what' FROM event WHERE kind = 'audit.duty.published' ORDER BY id"
        ).fetchall()
    assert [row[0] for row in acts] == ["published", "amended"]
