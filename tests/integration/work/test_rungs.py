"""Rungs of the ladder fire when they are due, once, whoever fires them and whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Conflict
from dothi.kernel.time import VN, parse_instant, utc_now
from dothi.work.jobs import RungTimer, fire_due, next_due
from dothi.work.model import Move, Severity, State
from dothi.work.service import move

MONDAY = parse_instant("2026-03-02 08:00", VN)
FIRING = Path(__file__).with_name("firing.py")


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def each_fired_once(desk) -> None:
    """Every rung has fired, and with each of them went exactly one history line and one event."""
    with desk.db.transaction() as conn:
        rungs = conn.execute(
            "SELECT w.code, r.name FROM work_rung r JOIN work_item w ON w.id = r.work_id "
            "WHERE r.fired_at IS NOT NULL"
        ).fetchall()
        lines = conn.execute(
            "SELECT w.code, h.detail->>'rung' FROM work_history h "
            "JOIN work_item w ON w.id = h.work_id WHERE h.what = 'rung'"
        ).fetchall()
        events = conn.execute(
            "SELECT payload->>'code', payload->>'rung' FROM event WHERE kind = 'work.rung'"
        ).fetchall()
    assert Counter(lines) == Counter(rungs)
    assert Counter(events) == Counter(rungs)


def test_rungs_fire_in_order_when_their_time_has_come(desk) -> None:
    code = desk.open()
    assert next_due(desk.db) == MONDAY + hours(6)
    assert fire_due(desk.db, MONDAY + hours(6) - timedelta(microseconds=1)) == 0
    assert fire_due(desk.db, MONDAY + hours(6)) == 1
    assert fire_due(desk.db, MONDAY + hours(6)) == 0
    assert next_due(desk.db) == MONDAY + hours(9)
    assert fire_due(desk.db, MONDAY + hours(100)) == 4
    assert next_due(desk.db) is None
    told = [line.detail["rung"] for line in desk.full(code).history if line.what == "rung"]
    assert told == ["urge_1", "due_soon", "overdue", "urge_2", "above"]
    each_fired_once(desk)


def test_the_event_says_who_is_told(desk, province) -> None:
    code = desk.open("air")
    desk.move(code, Move.ACCEPT, actor=province.person("air"))
    fire_due(desk.db, MONDAY + hours(100))
    first, *_, last = desk.events("work.rung")
    assert (first["recipient"], first["to_account"]) == (
        "assignee",
        province.person("air").account_id,
    )
    assert (last["recipient"], last["to_role"]) == ("above", "leader")
    assert (last["agency"], last["to_agency"]) == (
        province.agencies["air"],
        province.agencies["env"],
    )
    assert last["message"] == "work.rung.above"


def test_nothing_fires_for_an_item_that_ended_or_stands_still(desk) -> None:
    ended, done, paused = desk.open(), desk.open(), desk.open()
    desk.move(ended, Move.CANCEL)
    desk.move(done, Move.ACCEPT, Move.DONE)
    desk.move(paused, Move.ACCEPT, Move.PAUSE)
    assert next_due(desk.db) is None
    assert fire_due(desk.db, MONDAY + hours(1000)) == 0
    desk.move(done, Move.RETURN, now=MONDAY + hours(1000))
    assert next_due(desk.db) == MONDAY + hours(1006)


def test_eight_workers_fire_each_rung_once(desk) -> None:
    for _ in range(40):
        desk.open()
    fired: list[int] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        fired.append(fire_due(desk.db, MONDAY + hours(100), batch=3))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(fired) == 40 * 5
    assert sum(1 for count in fired if count) > 1, "they must really have shared the work"
    assert desk.count("SELECT count(*) FROM work_rung WHERE fired_at IS NULL") == 0
    each_fired_once(desk)


def test_closing_and_pausing_race_with_firing(desk) -> None:
    """After an item was closed nothing fires for it; while it is paused nothing new does."""
    codes = [desk.open(now=utc_now() - hours(11.9999)) for _ in range(30)]
    for code in codes:
        desk.move(code, Move.ACCEPT, now=utc_now())
    stop = threading.Event()

    def fire() -> None:
        while not stop.is_set():
            fire_due(desk.db, utc_now() + timedelta(hours=random.randint(0, 8)), batch=2)

    threads = [threading.Thread(target=fire) for _ in range(2)]
    for thread in threads:
        thread.start()
    closed_with: dict[str, int] = {}
    try:
        for n, code in enumerate(codes):
            what = Move.CANCEL if n % 2 else Move.DONE
            with desk.db.transaction() as conn:
                item = move(conn, SYSTEM, code, what, version=2, note="xong")
            assert item.state in (State.CANCELLED, State.DONE)
            closed_with[code] = desk.count(
                "SELECT count(*) FROM work_rung r JOIN work_item w ON w.id = r.work_id "
                "WHERE code = %s AND fired_at IS NOT NULL",
                code,
            )
    finally:
        time.sleep(0.1)
        stop.set()
        for thread in threads:
            thread.join()
    for code, count in closed_with.items():
        full = desk.full(code)
        assert sum(1 for rung in full.rungs if rung.fired_at is not None) == count
        assert full.history[-1].what in ("cancel", "done"), "nothing came after the end"
    each_fired_once(desk)


def test_a_rung_does_not_spoil_the_form_somebody_is_filling_in(desk) -> None:
    code = desk.open()
    version = desk.item(code).version
    fire_due(desk.db, MONDAY + hours(100))
    with desk.db.transaction() as conn:
        assert move(conn, SYSTEM, code, Move.ACCEPT, version=version).version == version + 1
    with pytest.raises(Conflict), desk.db.transaction() as conn:
        move(conn, SYSTEM, code, Move.START, version=version)


def test_sleeping_rungs_are_not_looked_at(desk, many_sleeping) -> None:
    many_sleeping(25_000)
    code = desk.open()
    with desk.db.transaction() as conn:
        conn.execute("SET LOCAL enable_seqscan = on")
        plan = conn.execute(
            "EXPLAIN (ANALYZE, BUFFERS OFF, FORMAT JSON) SELECT work_id, name FROM work_rung "
            "WHERE fired_at IS NULL AND due_at <= %s ORDER BY due_at LIMIT 50 "
            "FOR UPDATE SKIP LOCKED",
            (MONDAY + hours(100),),
        ).fetchone()
    assert plan is not None
    node = plan[0][0]["Plan"]
    while "Plans" in node:
        node = node["Plans"][0]
    assert node["Index Name"] == "work_rung_due"
    assert node["Actual Rows"] == 5
    assert node.get("Rows Removed by Filter", 0) == 0
    began = time.perf_counter()
    for _ in range(20):
        fire_due(desk.db, MONDAY)
        next_due(desk.db)
    assert (time.perf_counter() - began) / 20 < 0.05
    assert fire_due(desk.db, MONDAY + hours(100)) == 5
    assert desk.full(code).rungs[-1].fired_at is not None


def test_a_worker_sleeps_until_the_next_rung_and_wakes_for_a_nearer_one(desk) -> None:
    desk.open(severity=Severity.NOTICE, now=utc_now())
    fired = threading.Event()
    timer = RungTimer(desk.db, fired=fired.set, longest_s=60)
    try:
        assert not fired.wait(0.3)
        desk.open(budget=timedelta(seconds=1), now=utc_now())
        timer.wake()
        assert fired.wait(3), "half a second after opening the first rung is due"
        deadline = time.monotonic() + 5
        while desk.count("SELECT count(*) FROM work_rung WHERE fired_at IS NOT NULL") < 5:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        late = desk.count(
            "SELECT round(1000 * max(extract(epoch FROM fired_at - due_at)))::int FROM work_rung"
        )
        assert late < 500, f"a rung was {late} ms late"
    finally:
        timer.close()
    each_fired_once(desk)


@pytest.mark.kill
@pytest.mark.slow
def test_killed_workers_leave_each_rung_fired_once(desk, database_url: str) -> None:
    """Thirty workers are killed at random instants while they fire."""
    for _ in range(250):
        desk.open(now=utc_now() - hours(100))
    root = FIRING.parents[3]
    zygote = subprocess.Popen(
        [sys.executable, FIRING, database_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    waiting = "SELECT count(*) FROM work_rung WHERE fired_at IS NULL"
    chance = random.Random(os.getpid())
    lives: list[int] = []
    left = desk.count(waiting)
    try:
        for _ in range(30):
            print(chance.choice([1, 2, 5]), file=zygote.stdin, flush=True)
            worker = int(zygote.stdout.readline())
            # From before its first statement to somewhere among its later ones.
            began = time.monotonic()
            patience = chance.uniform(0.0, 0.03)
            if chance.random() < 0.8:
                while desk.count(waiting) == left and time.monotonic() - began < 5:
                    time.sleep(0.001)
            time.sleep(patience)
            os.kill(worker, signal.SIGKILL)
            now_left = desk.count(waiting)
            lives.append(left - now_left)
            left = now_left
            assert left > 0, "there was always something left to fire when one was killed"
    finally:
        zygote.stdin.close()
        zygote.wait(10)
    assert sum(1 for done in lives if done) >= 20, f"most of them were killed at work: {lives}"
    each_fired_once(desk)
    deadline = time.monotonic() + 10
    while desk.count(waiting) and time.monotonic() < deadline:
        fire_due(desk.db)  # a killed worker's connection may hold its rungs for a moment
    assert desk.count("SELECT count(*) FROM work_rung WHERE fired_at IS NOT NULL") == 250 * 5
    each_fired_once(desk)
