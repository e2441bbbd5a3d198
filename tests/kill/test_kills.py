"""Whatever is killed under load: nothing acknowledged is lost, nothing is there twice.

The long version of the same run is `make torture`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from dothi.lake.service import Lake
from dothi.store.database import Database
from tests.kill import checker
from tests.kill.instance import VICTIMS, running
from tests.kill.ledger import Ack, Book, Request
from tests.kill.torture import Torture

pytestmark = [pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(400)]

KILLS = 10
SECONDS = 30.0


@dataclass
class Run:
    """A run that is over, its instance serving again after an ordinary restart."""

    torture: Torture
    book: Book
    db: Database

    def rows(self, book: Book | None = None) -> list[str]:
        with closing(Lake(self.db, self.torture.instance.home.lake, threads=1)) as lake:
            return list(checker.rows(lake, book or self.book))

    def parts(self) -> list[str]:
        return list(checker.parts(self.torture.instance.home, self.db))


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with running() as instance:
        torture = Torture(instance, seed=1459)
        torture.run(KILLS, seconds=SECONDS, say=lambda _text: None)
        book = torture.settle()
        with closing(instance.database("test")) as db:
            yield Run(torture, book, db)


def test_every_acknowledged_row_is_stored_exactly_once_and_all_parts_agree(run):
    assert run.torture.check(run.book) == []
    assert run.book.rows > 1_000


def test_everything_was_killed_at_work(run):
    figures = run.torture.figures
    assert set(figures.kills) >= set(VICTIMS)
    assert figures.in_flight_share >= 0.9


def test_it_served_again_in_time_without_a_repair_step(run):
    assert run.torture.figures.starts_s
    assert run.torture.figures.faults == []


# -- the check itself: it must notice what it is there for -----------------------------------------


def test_a_commit_that_was_dropped_is_noticed(run):
    """One stored row taken away, as if its commit had been acknowledged and lost."""
    corrected = {r.first for r in run.book.asked.values() if r.corrects}
    loads = [
        ack.load for n, ack in run.book.acked.items()
        if ack.load != -1 and n not in corrected and run.book.asked[n].door == "http"
        and not run.book.asked[n].corrects
    ]  # fmt: skip
    with run.db.transaction() as conn:
        row = conn.execute(
            "DELETE FROM series_head WHERE (stream_id, t) = (SELECT stream_id, t FROM series_head "
            "WHERE load_id = ANY (%s) AND q <> 9 LIMIT 1) "
            "RETURNING stream_id, row_no, t, v, load_id, q", (loads,),
        ).fetchone()  # fmt: skip
    assert row is not None
    try:
        found = run.rows()
    finally:
        with run.db.transaction() as conn:
            conn.execute("INSERT INTO series_head VALUES (%s, %s, %s, %s, %s, %s)", row)
    assert any("was acknowledged and is lost" in fault for fault in found)
    assert any("the loads say" in fault for fault in found)
    assert run.rows() == []


def test_an_acknowledgement_without_a_commit_is_noticed(run):
    number = max(run.book.asked) + 1
    invented = Request(number, 20, first=number)
    book = Book(
        run.book.day,
        {**run.book.asked, number: invented},
        {**run.book.acked, number: Ack(number, 999_999_999, 20, 0, 0, False)},
    )
    found = run.rows(book)
    assert any("is lost" in fault for fault in found)
    assert any(f"request {number}: acknowledged load" in fault for fault in found)


def test_a_request_stored_by_half_is_noticed(run):
    """An acknowledged request is declared open and one of its rows another request's."""
    number = next(
        n for n, r in run.book.asked.items()
        if n in run.book.acked and r.door == "http" and not r.corrects
        and not any(o.first == n for o in run.book.asked.values() if o.corrects)
    )  # fmt: skip
    acked = {n: ack for n, ack in run.book.acked.items() if n != number}
    longer = replace(run.book.asked[number], rows=run.book.asked[number].rows + 1)
    found = run.rows(Book(run.book.day, {**run.book.asked, number: longer}, acked))
    assert any("is half of a request" in fault for fault in found)


@pytest.mark.parametrize("kind", ["data.committed", "work.rung"])
def test_an_event_that_was_written_twice_is_noticed(run, kind):
    with run.db.transaction() as conn:
        again = conn.execute(
            "INSERT INTO event (kind, subject, actor, payload) "
            "SELECT kind, subject, actor, payload FROM event WHERE kind = %s LIMIT 1 RETURNING id",
            (kind,),
        ).fetchone()
    assert again is not None
    try:
        found = run.parts()
    finally:
        with run.db.transaction() as conn:
            conn.execute("DELETE FROM event WHERE id = %s", again)
    assert any("exactly one event" in fault for fault in found)
