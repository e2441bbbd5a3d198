"""Corrections that arrive while a day is being closed are counted as what they are."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import duckdb

from dothi.lake import registry
from dothi.lake.model import Batch, Outcome, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

START = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 40
ROUNDS = 60


def test_a_load_that_corrects_says_so_whatever_a_close_does_meanwhile(
    lake: Lake, air: Dataset, db: Database
) -> None:
    with db.transaction() as conn:
        (stream,) = registry.stream_ids(conn, air, [(("A",), "pm25")]).values()

    def commit(first: int, value: float) -> Outcome:
        times = [START + timedelta(minutes=first + i) for i in range(ROWS)]
        rows = SeriesRows(
            [stream] * ROWS, times, [value] * ROWS, [0] * ROWS, list(range(1, ROWS + 1))
        )
        return lake.commit(Batch(air.id, rows, Source("http")))

    # The body reaches beyond everything that follows: no close moves its edge again.
    commit(ROUNDS * ROWS, 1.0)
    lake.close_days(air.id, START + timedelta(days=90))
    over = threading.Event()

    def close_without_end() -> None:
        while not over.is_set():
            with suppress(duckdb.Error):  # met corrections at each of its tries
                lake.close_days(air.id, START + timedelta(days=90))

    closing = threading.Thread(target=close_without_end)
    closing.start()
    try:
        for round_ in range(ROUNDS):
            stored, corrected = commit(round_ * ROWS, 2.0), commit(round_ * ROWS, 3.0)
            assert (stored.new, stored.changed) == (ROWS, 0)
            assert (corrected.new, corrected.changed) == (0, ROWS)
    finally:
        over.set()
        closing.join()
