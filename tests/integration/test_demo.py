"""The demonstration in a real store, and its stations at a real door that refuses and breaks."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dothi.identity.agencies import add_agency, find_agency
from dothi.identity.model import SYSTEM
from dothi.lake import registry
from dothi.lake.contract import read_contract
from dothi.lake.model import Quality, Source
from dothi.lake.registry import Dataset
from dothi.lake.rows import batch_of
from dothi.lake.service import Lake
from dothi.packs.demo.curve import history, rows, step_of
from dothi.packs.demo.feed import MOST_ROWS, feed
from dothi.packs.demo.prepare import prepare
from dothi.packs.demo.spec import demo_agencies, demo_spec
from dothi.packs.load import shipped
from dothi.store.database import Database

SPEC = demo_spec()
NOW = datetime(2026, 11, 21, 1, 17, 40, tzinfo=UTC)
KEY = "dothi_only_for_tests"


@pytest.fixture
def lake(db: Database, tmp_path: Path) -> Iterator[Lake]:
    folder = tmp_path / "lake"
    folder.mkdir()
    made = Lake(db, folder)
    yield made
    made.close()


@pytest.fixture
def air(db: Database) -> Dataset:
    """The environment pack's dataset with the demonstration's agencies."""
    contract = read_contract(shipped() / "environment" / "datasets" / "air_quality.yaml")
    with db.transaction() as conn:
        for agency in demo_agencies():
            if find_agency(conn, agency.code) is None:
                add_agency(conn, agency, actor=SYSTEM)
        return registry.register(conn, contract)


def stored(lake: Lake, air: Dataset) -> dict[tuple[str, str, datetime], tuple[float, int]]:
    with lake.db.transaction() as conn:
        things = registry.things(conn, air)
        streams = registry.streams(conn, air)
    with lake.view() as view:
        found = view.execute(f"SELECT stream_id, t, v, q FROM {view.series(air)}").fetchall()
    keyed = {
        (things[streams[s].thing_id].key[0], streams[s].parameter, t): (v, q)
        for s, t, v, q in found
    }
    assert len(keyed) == len(found), "a value stands twice"
    return keyed


def expected(until: datetime, days: float) -> dict[tuple[str, str, datetime], float]:
    found = history(SPEC, until, days)
    seconds = found.at.astype("datetime64[s]").astype(int).tolist()
    return {
        (SPEC.stations[s].code, SPEC.pollutants[p].name, datetime.fromtimestamp(t, UTC)): v
        for s, p, t, v in zip(
            found.station.tolist(), found.pollutant.tolist(), seconds, found.value.tolist(),
            strict=True,
        )
    }  # fmt: skip


# -- the past -------------------------------------------------------------------------------------


def test_the_first_start_stores_the_history_and_the_next_one_only_what_is_missing(
    db: Database, lake: Lake, air: Dataset
) -> None:
    days = 3
    first = prepare(db, lake, NOW, days=days)
    want = expected(NOW, days)
    assert first.rows == len(want) and first.outcome is not None
    assert first.outcome.new == len(want)
    assert {key: v for key, (v, _) in stored(lake, air).items()} == want

    again = prepare(db, lake, NOW, days=days)
    assert again.rows == 0 and again.outcome is None
    with db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM load").fetchone() == (1,)

    later = NOW + timedelta(hours=5)
    third = prepare(db, lake, later, days=days)
    want |= {key: v for key, v in expected(later, days).items() if key[2] > NOW}
    assert third.outcome is not None
    assert third.outcome.new == third.rows
    assert {key: v for key, (v, _) in stored(lake, air).items()} == want


def test_values_outside_the_range_are_kept_as_suspect_as_every_door_keeps_them(
    db: Database, lake: Lake, air: Dataset
) -> None:
    prepare(db, lake, NOW, days=6)
    found = stored(lake, air)
    suspect = {key: v for key, (v, q) in found.items() if q == Quality.SUSPECT}
    assert suspect
    assert all(v < 0 or v > 1000 for v in suspect.values())
    assert not [key for key, (v, q) in found.items() if v < 0 and q != Quality.SUSPECT]


def test_stations_are_known_by_name_place_owner_and_rhythm(
    db: Database, lake: Lake, air: Dataset
) -> None:
    prepare(db, lake, NOW, days=1)
    with db.transaction() as conn:
        things = {thing.key[0]: thing for thing in registry.things(conn, air).values()}
        owner = find_agency(conn, "bql-kcn")
    for station in SPEC.stations:
        thing = things[station.code]
        assert thing.name == station.name
        assert (thing.lon, thing.lat) == (station.lon, station.lat)
        assert thing.properties["rhythm"] == "PT5M"
    assert owner is not None
    assert things["SH-KK-03"].agency_id == owner.id


def test_what_comes_through_the_door_after_the_history_is_new_and_what_overlaps_is_the_same(
    db: Database, lake: Lake, air: Dataset
) -> None:
    prepare(db, lake, NOW, days=2)
    last = step_of(NOW)
    live = [row for s in SPEC.stations for row in rows(SPEC, s, last - 2, last + 3)]
    outcome = lake.commit(batch_of(lake, air, live, Source("http", actor="key:test")))
    values = sum(len(row) - 2 for row in live)
    before = sum(len(row) - 2 for s in SPEC.stations for row in rows(SPEC, s, last - 2, last))
    assert (outcome.changed, outcome.same, outcome.new) == (0, before, values - before)
    assert outcome.rejected == 0


@pytest.mark.slow
def test_the_whole_history_is_stored_within_the_time_of_a_first_start(
    db: Database, lake: Lake, air: Dataset
) -> None:
    begun = datetime.now(UTC)
    done = prepare(db, lake, NOW)
    assert done.rows > 4_500_000
    assert datetime.now(UTC) - begun < timedelta(seconds=40)
    begun = datetime.now(UTC)
    assert prepare(db, lake, NOW + timedelta(minutes=10)).rows > 0
    assert datetime.now(UTC) - begun < timedelta(seconds=5)


# -- the present ----------------------------------------------------------------------------------


class Clock:
    """Time that goes on five seconds at each look, up to an end; then it tells the feeder to stop."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.at = start
        self.end = end
        self.stop = threading.Event()
        self._looks_at_end = 0

    def __call__(self) -> datetime:
        if self.at >= self.end:
            self._looks_at_end += 1
            if self._looks_at_end > 100:
                self.stop.set()
        self.at = min(self.at + timedelta(seconds=5), self.end)
        return self.at


class Door:
    """The rows door as the feeder meets it: keeps a ledger, and misbehaves as told for each request.

    `plan` gives for the n-th request: "take", a status, "reset" (before reading), "forget" (taken,
    but the connection breaks before the answer), "garbage" or "slow close".
    """

    def __init__(self, plan: dict[int, Any] | None = None) -> None:
        self.plan = plan or {}
        self.ledger: dict[str, bytes] = {}
        self.rows: list[dict[str, Any]] = []
        self.requests = 0
        self.arrivals: list[datetime] = []
        self.sizes: list[int] = []
        self.faults: list[str] = []
        self.on_refusal = lambda: None
        self.clock: Clock | None = None
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                door.serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        how = self.plan.get(self.requests, "take")
        if how == "reset":
            self.on_refusal()
            return self._break(request)
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self._check(request, body)
        if how == "garbage":
            request.wfile.write(b"220 ready to talk\r\n\r\n")
            request.close_connection = True
            return None
        if isinstance(how, int):
            self.on_refusal()
            return self._answer(request, how)
        key = request.headers["Idempotency-Key"]
        if key in self.ledger:
            if self.ledger[key] != body:
                self.faults.append("one key for two bodies")
            if how == "forget":
                return self._break(request)
            return self._answer(request, 200)
        self.ledger[key] = body
        sent = json.loads(body)["rows"]
        self.rows += sent
        self.sizes.append(len(sent))
        if self.clock:
            self.arrivals.append(self.clock.at)
        if how == "forget":
            return self._break(request)
        return self._answer(request, 201)

    def _check(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        wanted = {
            "Authorization": f"Bearer {KEY}",
            "Content-Type": "application/json",
        }
        for name, value in wanted.items():
            if request.headers.get(name) != value:
                self.faults.append(f"{name}: {request.headers.get(name)}")
        if request.path != "/api/v1/datasets/air_quality/rows":
            self.faults.append(request.path)
        if len(request.headers.get("Idempotency-Key", "")) not in range(16, 201):
            self.faults.append("no usable Idempotency-Key")
        if list(json.loads(body)) != ["rows"]:
            self.faults.append("not the shape agreed")

    def _answer(self, request: BaseHTTPRequestHandler, status: int) -> None:
        text = b"{}"
        request.send_response(status)
        if status in (429, 503):
            request.send_header("Retry-After", "0")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _break(self, request: BaseHTTPRequestHandler) -> None:
        """Reset the connection without a word."""
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
        request.close_connection = True


@pytest.fixture
def doors() -> Iterator[list[Door]]:
    opened: list[Door] = []
    yield opened
    for door in opened:
        door.close()


def run(door: Door, clock: Clock, since: datetime | None = None) -> None:
    door.clock = clock
    thread = threading.Thread(
        target=feed,
        args=(door.url, KEY, clock.stop),
        kwargs={"since": since, "now": clock, "tick_s": 0.001},
    )
    thread.start()
    thread.join(60)
    clock.stop.set()
    thread.join(5)
    assert not thread.is_alive()


def arrived(door: Door) -> dict[tuple[str, str, datetime], float]:
    times = Counter((row["station"], row["time"]) for row in door.rows)
    assert [place for place, count in times.items() if count > 1] == []
    assert {row["time"][-6:] for row in door.rows} == {"+07:00"}
    return {
        (row["station"], name, datetime.fromisoformat(row["time"]).astimezone(UTC)): value
        for row in door.rows
        for name, value in row.items()
        if name not in ("station", "time")
    }


def due(since: datetime, end: datetime) -> dict[tuple[str, str, datetime], float]:
    """What all stations have to report after one instant until the last of them has had its turn."""
    days = (end - since) / timedelta(days=1) + 1
    return {key: v for key, v in expected(end, days).items() if key[2] > since}


SINCE = datetime(2026, 11, 21, 1, 15, tzinfo=UTC)


def test_stations_report_one_after_the_other_so_that_something_new_comes_all_the_time(
    doors: list[Door],
) -> None:
    door = Door()
    doors.append(door)
    end = SINCE + timedelta(minutes=29, seconds=55)
    run(door, Clock(SINCE, end))
    assert door.faults == []
    assert arrived(door) == due(SINCE, SINCE + timedelta(minutes=25))
    gaps = np.diff([at.timestamp() for at in door.arrivals])
    assert gaps.max() <= 60
    assert np.median(gaps) <= 15
    late = [
        (at - datetime.fromisoformat(row["time"])).total_seconds()
        for at, row in zip(door.arrivals, door.rows, strict=True)
    ]
    assert min(late) >= 0 and max(late) < 305


def test_refusals_resets_and_lost_answers_cost_no_row_and_double_none(doors: list[Door]) -> None:
    plan: dict[int, Any] = {
        1: "reset", 2: "reset", 3: 503, 4: 429, 6: "forget", 9: 401, 10: 403, 11: 404, 12: 507,
        15: "forget", 16: "forget", 20: "garbage", 21: "reset", 25: 500, 26: 502, 30: "forget",
    }  # fmt: skip
    door = Door(plan)
    doors.append(door)
    run(door, Clock(SINCE, SINCE + timedelta(minutes=14, seconds=55)))
    assert door.faults == []
    assert door.requests > 30
    assert arrived(door) == due(SINCE, SINCE + timedelta(minutes=10))


def test_what_could_not_be_sent_in_an_outage_is_sent_after_it(doors: list[Door]) -> None:
    door = Door({n: 503 if n % 2 else "reset" for n in range(5, 13)})
    doors.append(door)
    clock = Clock(SINCE, SINCE + timedelta(hours=2, minutes=4, seconds=55))

    def time_passes() -> None:
        clock.at += timedelta(minutes=13)

    door.on_refusal = time_passes
    run(door, clock)
    assert door.faults == []
    assert arrived(door) == due(SINCE, SINCE + timedelta(hours=2))
    assert max(door.sizes) > 24
    assert max(door.sizes) <= MOST_ROWS


def test_a_feeder_started_late_begins_where_the_history_ended(doors: list[Door]) -> None:
    door = Door()
    doors.append(door)
    start = SINCE + timedelta(hours=30)
    run(door, Clock(start, start + timedelta(minutes=4, seconds=55)), since=SINCE)
    assert arrived(door) == due(SINCE, start)
    assert max(door.sizes) <= MOST_ROWS


def test_a_feeder_killed_and_started_again_repeats_nothing_under_another_key(
    doors: list[Door],
) -> None:
    door = Door({4: "forget"})
    doors.append(door)
    run(
        door,
        Clock(SINCE, SINCE + timedelta(minutes=4, seconds=55)),
        since=SINCE - timedelta(hours=1),
    )
    before = dict(door.ledger)
    again = Door()
    doors.append(again)
    run(
        again,
        Clock(SINCE, SINCE + timedelta(minutes=4, seconds=55)),
        since=SINCE - timedelta(hours=1),
    )
    shared = before.keys() & again.ledger.keys()
    assert shared
    assert all(before[key] == again.ledger[key] for key in shared)
    assert all(
        key == f"demo-{hashlib.sha256(body).hexdigest()[:40]}" for key, body in before.items()
    )


def test_rows_that_the_door_will_never_take_do_not_hold_up_the_rest(doors: list[Door]) -> None:
    door = Door({1: 422})
    doors.append(door)
    run(door, Clock(SINCE, SINCE + timedelta(minutes=9, seconds=55)))
    missing = due(SINCE, SINCE + timedelta(minutes=5)).keys() - arrived(door).keys()
    assert len({(station, at) for station, _, at in missing}) == 1


def test_the_feeder_ends_at_once_when_told_even_while_the_door_is_away() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        stop = threading.Event()
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        thread = threading.Thread(
            target=feed, args=(url, KEY, stop), kwargs={"since": SINCE, "now": lambda: NOW}
        )
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        stop.set()
        thread.join(2)
        assert not thread.is_alive()


@pytest.mark.parametrize("url", ["", "ftp://x", "127.0.0.1:8000", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http address"):
        feed(url, KEY, threading.Event())
