"""Decisions about contradictions, and what becomes of them when their file is taken out."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Conflict
from dothi.lake import loads
from dothi.lake.model import Batch, Clash, Outcome, Quality, SeriesRows, Source, Span
from dothi.lake.overtaken import overtaken
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Case:
    """A stream of which an earlier load says 5 and a file says both 5 and 7."""

    def __init__(self, lake: Lake, air: Dataset, db: Database) -> None:
        self.lake, self.air, self.db = lake, air, db
        (self.stream,) = lake.stream_ids(air, [(("A",), "pm25")]).values()
        self.store(5.0)
        self.file = self.store(
            5.0, Quality.CONFLICT,
            [{"row": 2, "value": 5.0, "quality": 0}, {"row": 3, "value": 7.0, "quality": 0}],
        ).load_id  # fmt: skip

    def store(
        self, value: float, quality: Quality = Quality.VALID, candidates: list | None = None
    ) -> Outcome:
        rows = SeriesRows([self.stream], [AT], [value], [int(quality)], [2])
        clashes = [Clash(self.stream, AT, candidates)] if candidates else []
        return self.lake.commit(Batch(self.air.id, rows, Source("file"), clashes=clashes))

    def conflict(self) -> int | None:
        with self.db.transaction() as conn:
            found = loads.contradictions(conn, load_id=self.file, open_only=True)
        return found[0].id if found else None

    def decide(self, row: int) -> Outcome:
        number = self.conflict()
        assert number is not None
        return loads.decide_conflict(self.lake, SYSTEM, number, row)

    def value(self) -> tuple[float, int] | None:
        with self.lake.view() as view:
            return view.execute(f"SELECT v, q FROM {view.series(self.air)}").fetchone()

    def state(self, load: int) -> str:
        with self.db.transaction() as conn:
            row = conn.execute("SELECT state FROM load WHERE id = %s", (load,)).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(params=[False, True], ids=["head", "body"])
def case(request: pytest.FixtureRequest, lake: Lake, air: Dataset, db: Database) -> Case:
    made = Case(lake, air, db)
    if request.param:
        lake.close_days(air.id, AT + timedelta(days=1))
    return made


@pytest.mark.parametrize("row", [2, 3])
def test_with_its_file_a_decision_goes_and_what_another_file_holds_comes_back(
    case: Case, row: int
) -> None:
    decided = case.decide(row)
    assert case.value() == ({2: 5.0, 3: 7.0}[row], 0)
    case.lake.undo(case.file)
    assert case.value() == (5.0, 0)
    assert case.state(decided.load_id) == case.state(case.file) == "undone"
    assert case.conflict() is None


def test_a_later_file_stays_whatever_goes_below_it(case: Case) -> None:
    case.decide(3)
    case.store(9.0)
    case.lake.undo(case.file)
    assert case.value() == (9.0, 0)


def test_a_decision_taken_back_lets_the_contradiction_wait_again(case: Case) -> None:
    case.lake.undo(case.decide(3).load_id)
    assert case.value() == (5.0, int(Quality.CONFLICT))
    case.decide(2)
    assert case.value() == (5.0, 0)


def test_a_corrected_file_leaves_nothing_to_decide_until_it_is_taken_out(case: Case) -> None:
    corrected = case.store(9.0).load_id
    with pytest.raises(Conflict, match=f"load {corrected} "):
        case.decide(3)
    assert case.value() == (9.0, 0)
    with case.db.transaction() as conn:
        found = loads.contradictions(conn, load_id=case.file)
        (later,) = overtaken(case.lake, conn, case.air, found).values()
    assert later.id == corrected
    case.lake.undo(corrected)
    case.decide(3)
    assert case.value() == (7.0, 0)


def test_a_file_that_withdraws_the_value_leaves_nothing_to_decide(case: Case) -> None:
    withdrawn = case.lake.commit(
        Batch(
            case.air.id, SeriesRows([], [], [], [], []), Source("file"),
            replaces=[Span(case.stream, AT, AT)],
        )
    ).load_id  # fmt: skip
    assert case.value() is None
    with pytest.raises(Conflict, match=f"load {withdrawn} "):
        case.decide(3)
    case.lake.close_days(case.air.id, AT + timedelta(days=1))
    with pytest.raises(Conflict, match=f"load {withdrawn} "):
        case.decide(2)
    assert case.value() is None


def test_of_two_people_who_decide_at_once_one_is_told_and_leaves_nothing(case: Case) -> None:
    number = case.conflict()
    assert number is not None
    ready = threading.Barrier(2)
    done: list[Outcome] = []
    refused: list[Conflict] = []

    def decide(row: int) -> None:
        ready.wait()
        try:
            done.append(loads.decide_conflict(case.lake, SYSTEM, number, row))
        except Conflict as error:
            refused.append(error)

    people = [threading.Thread(target=decide, args=(row,)) for row in (2, 3)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert (len(done), len(refused)) == (1, 1)
    with case.db.transaction() as conn:
        standing = conn.execute(
            "SELECT id FROM load WHERE door = 'decision' AND state = 'committed'"
        ).fetchall()
        (decision,) = loads.contradictions(conn, load_id=case.file)
    assert standing == [(done[0].load_id,)]
    assert decision.decision and decision.decision["load"] == done[0].load_id
