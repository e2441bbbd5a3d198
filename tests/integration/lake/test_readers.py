"""Readers that read at once stand on their own."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Unavailable
from dothi.lake import registry
from dothi.lake.api import visible
from dothi.lake.body import CATALOGUE
from dothi.lake.model import Batch, SeriesRows, Source
from dothi.lake.read import View
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

START = datetime(2026, 3, 1, tzinfo=UTC)


def _count(view: View, dataset: Dataset) -> int:
    row = view.execute(f"SELECT count(*) FROM {view.series(dataset)}").fetchone()
    assert row is not None
    return row[0]


def test_a_reader_whose_connection_breaks_takes_no_other_down_with_it(
    lake: Lake, air: Dataset, db: Database
) -> None:
    (stream,) = lake.stream_ids(air, [(("A",), "pm25")]).values()
    rows = SeriesRows([stream] * 2, [START, START + timedelta(days=1)], [1.0, 2.0], [0, 0], [1, 2])
    lake.commit(Batch(air.id, rows, Source("http")))
    lake.close_days(air.id, START + timedelta(hours=12))
    with lake.view() as unharmed:
        assert _count(unharmed, air) == 2
        with pytest.raises(Unavailable), lake.view() as broken:
            row = broken.execute(
                "SELECT * FROM postgres_query(?, 'SELECT pg_backend_pid()')", [CATALOGUE]
            ).fetchone()
            assert row is not None
            with db.transaction() as conn:
                conn.execute("SELECT pg_terminate_backend(%s, 5000)", (row[0],))
            _count(broken, air)
        assert _count(unharmed, air) == 2
    with lake.view() as after:
        assert _count(after, air) == 2


def test_streams_that_are_added_while_somebody_looks_break_no_look(
    lake: Lake, air: Dataset, db: Database
) -> None:
    def add() -> None:
        for number in range(200):
            lake.stream_ids(air, [((f"S{number}",), "pm25")])

    adding = threading.Thread(target=add)
    adding.start()
    try:
        while adding.is_alive():
            with db.transaction() as conn:
                found = visible(conn, SYSTEM, air)
            assert all(stream.thing_id == thing.id for thing, stream in found)
    finally:
        adding.join()
    with db.transaction() as conn:
        assert len(registry.streams(conn, air)) == 200
