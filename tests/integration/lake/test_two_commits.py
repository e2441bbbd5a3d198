"""The lake and PostgreSQL commit one after the other: what stands when something ends in between.

PostgreSQL is made to refuse its part by a constraint that is looked at when it commits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from dothi.lake import history
from dothi.lake.layout import layout
from dothi.lake.model import Batch, SeriesRows, Source, StagedRows
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database, own_sql
from tests.integration.lake.test_versions import START, _ids, _staged, _stored

HOURS = 6


@contextmanager
def refused(db: Database, table: str, event: str) -> Iterator[None]:
    """No transaction that does this to this table comes through its commit."""
    with db.transaction() as conn:
        conn.execute(
            own_sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'refused at commit'; END $$"
            )
        )
        conn.execute(
            own_sql(
                f"CREATE CONSTRAINT TRIGGER refuse AFTER {event} ON {table} "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    try:
        yield
    finally:
        with db.transaction() as conn:
            conn.execute(own_sql("DROP FUNCTION refuse CASCADE"))


def _rows(ids: list[int], value: float) -> SeriesRows:
    t = [START + timedelta(hours=n) for n in range(HOURS)]
    return SeriesRows([ids[0]] * HOURS, t, [value] * HOURS, [0] * HOURS, list(range(HOURS)))


def _in_body(lake: Lake, dataset: Dataset) -> int:
    with lake.body.snapshot() as cursor:
        try:
            found = cursor.execute(f"SELECT count(*) FROM {layout(dataset).table}").fetchone()
        except duckdb.CatalogException:
            return 0
    assert found is not None
    return found[0]


def _loads(db: Database) -> list[tuple[str]]:
    with db.transaction() as conn:
        return conn.execute("SELECT state FROM load ORDER BY id").fetchall()


def _batch(air: Dataset, rows: SeriesRows | StagedRows) -> Batch:
    return Batch(air.id, rows, Source("file"))


@pytest.mark.parametrize("first", ["the lake", "PostgreSQL"])
def test_the_lake_commits_first_whatever_was_used_first(
    lake: Lake, db: Database, air: Dataset, first: str
) -> None:
    place = layout(air)

    def use_lake(cursor: duckdb.DuckDBPyConnection) -> None:
        for statement in place.create():
            cursor.execute(statement)
        cursor.execute(f"INSERT INTO {place.table} VALUES (1, 1, now(), 1.0, 1, 0)")

    def use_postgres(cursor: duckdb.DuckDBPyConnection) -> None:
        history.postgres(cursor, "UPDATE dataset SET body_until = now()")

    with (
        refused(db, "dataset", "UPDATE"),
        pytest.raises(duckdb.Error, match="refused"),
        lake.body.writing() as cursor,
    ):
        for use in (use_lake, use_postgres) if first == "the lake" else (use_postgres, use_lake):
            use(cursor)
    assert _in_body(lake, air) == 1


def test_a_close_that_ends_between_its_commits_loses_nothing(
    lake: Lake, db: Database, air: Dataset
) -> None:
    ids = _ids(db, air)
    lake.commit(_batch(air, _rows(ids, 1.0)))
    before = _stored(lake, air)
    with refused(db, "series_head", "DELETE"), pytest.raises(duckdb.Error, match="refused"):
        lake.close_days(air.id, START + timedelta(days=1))
    assert _in_body(lake, air) == HOURS, "the lake has to commit first"
    assert _stored(lake, air) == before
    assert lake.close_days(air.id, START + timedelta(days=1)) == HOURS
    assert _stored(lake, air) == before
    assert _in_body(lake, air) == HOURS
    with db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM series_head").fetchone() == (0,)


def test_a_load_whose_bookkeeping_fails_is_taken_back(
    lake: Lake, db: Database, air: Dataset, tmp_path: Path
) -> None:
    ids = _ids(db, air)
    lake.commit(_batch(air, _rows(ids, 1.0)))
    before = _stored(lake, air)
    staged = _staged(tmp_path, _rows(ids, 2.0))
    with refused(db, "load", "UPDATE"), pytest.raises(duckdb.Error, match="refused"):
        lake.commit(_batch(air, staged))
    assert _stored(lake, air) == before
    assert _loads(db) == [("committed",)]
    assert lake.commit(_batch(air, staged)).changed == HOURS
    assert set(_stored(lake, air).values()) == {2.0}


@pytest.mark.parametrize("by", ["the worker's start", "the next load"])
def test_what_a_kill_between_the_commits_left_is_taken_back_later(
    lake: Lake, db: Database, air: Dataset, tmp_path: Path, by: str
) -> None:
    ids = _ids(db, air)
    lake.commit(_batch(air, _staged(tmp_path, _rows(ids, 1.0))))
    before = _stored(lake, air)
    with refused(db, "load", "UPDATE OR DELETE"), pytest.raises(duckdb.Error, match="refused"):
        lake.commit(_batch(air, _staged(tmp_path, _rows(ids, 2.0))))
    assert _loads(db) == [("committed",), ("pending",)]
    if by == "the worker's start":
        assert lake.drop_pending() == 1
    else:
        more = SeriesRows([ids[1]], [datetime(2026, 4, 1, tzinfo=UTC)], [3.0], [0], [0])
        lake.commit(_batch(air, _staged(tmp_path, more)))
        before |= {(ids[1], more.t[0]): 3.0}
    assert _stored(lake, air) == before
    assert ("pending",) not in _loads(db)
