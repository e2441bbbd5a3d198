"""The lake and PostgreSQL commit one after the other: what stands when something ends in between.

PostgreSQL is made to refuse its part by a constraint that is looked at when it commits.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Conflict, NotFound, Unavailable
from dothi.lake import history, registry
from dothi.lake.contract import parse_contract
from dothi.lake.layout import layout
from dothi.lake.loads import contradictions, decide_conflict
from dothi.lake.model import Batch, Clash, Quality, SeriesRows, Source, StagedRows
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.lake.unended import unended
from dothi.store.database import Database, own_sql
from tests.integration.lake.conftest import AIR
from tests.integration.lake.refusing import refused
from tests.integration.lake.test_versions import START, _ids, _staged, _stored

HOURS = 6
LATER = datetime(2026, 4, 1, tzinfo=UTC)


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
    ):
        order = (use_lake, use_postgres) if first == "the lake" else (use_postgres, use_lake)
        lake.body.write(lambda cursor: [use(cursor) for use in order])
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
    with refused(db, "load", "UPDATE OF rows_new"), pytest.raises(duckdb.Error, match="refused"):
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
        assert lake.end_leftovers() == 1
    else:
        more = SeriesRows([ids[1]], [LATER], [3.0], [0], [0])
        lake.commit(_batch(air, _staged(tmp_path, more)))
        before |= {(ids[1], more.t[0]): 3.0}
    assert _stored(lake, air) == before
    assert ("pending",) not in _loads(db)


@pytest.mark.parametrize("ended", ["UPDATE OR DELETE", "UPDATE OF rows_new OR DELETE"])
def test_what_was_computed_from_rows_that_are_taken_back_is_computed_again(
    lake: Lake, db: Database, air: Dataset, tmp_path: Path, ended: str
) -> None:
    """Also where taking them back ended between the two commits itself."""
    ids = _ids(db, air)
    with refused(db, "load", ended), pytest.raises(duckdb.Error, match="refused"):
        lake.commit(_batch(air, _staged(tmp_path, _rows(ids, 2.0))))
    assert lake.end_leftovers() == 1
    with db.transaction() as conn:
        told = conn.execute("SELECT payload FROM event WHERE kind = 'data.undone'").fetchall()
    first, last = START, START + timedelta(hours=HOURS - 1)
    assert [payload["spans"] for (payload,) in told] == [
        [[ids[0], first.isoformat(), last.isoformat()]]
    ]


def test_nothing_is_decided_about_a_load_that_is_going(
    lake: Lake, db: Database, air: Dataset
) -> None:
    key = (_ids(db, air)[0], START)
    candidates = [{"row": n, "value": float(n), "quality": 0} for n in (1, 2)]
    rows = SeriesRows([key[0]], [key[1]], [1.0], [int(Quality.CONFLICT)], [1])
    clash = Clash(*key, candidates)
    load = lake.commit(Batch(air.id, rows, Source("file"), clashes=[clash])).load_id
    lake.close_days(air.id, START + timedelta(days=1))
    with refused(db, "load", "UPDATE"), pytest.raises(duckdb.Error, match="refused"):
        lake.undo(load)
    with db.transaction() as conn:
        (waiting,) = contradictions(conn, load_id=load)
    with pytest.raises(Conflict):
        decide_conflict(lake, SYSTEM, waiting.id, 2)
    lake.end_leftovers()
    assert _stored(lake, air) == {}
    assert _loads(db) == [("undone",)]


def test_a_load_that_never_was_has_nothing_to_decide(
    lake: Lake, db: Database, air: Dataset, tmp_path: Path
) -> None:
    ids = _ids(db, air)
    clash = Clash(ids[0], START, [{"row": n, "value": float(n), "quality": 0} for n in (1, 2)])
    batch = Batch(air.id, _staged(tmp_path, _rows(ids, 1.0)), Source("file"), clashes=[clash])
    with refused(db, "load", "UPDATE OR DELETE"), pytest.raises(duckdb.Error, match="refused"):
        lake.commit(batch)
    with db.transaction() as conn:
        assert contradictions(conn, dataset_id=air.id) == []
        row = conn.execute("SELECT id FROM conflict").fetchone()
    assert row is not None
    with pytest.raises(NotFound):
        decide_conflict(lake, SYSTEM, row[0], 2)
    lake.commit(batch)
    with db.transaction() as conn:
        assert len(contradictions(conn, dataset_id=air.id)) == 1


def test_a_load_whose_lock_is_lost_is_stored_whole_or_refused(
    lake: Lake, db: Database, air: Dataset, tmp_path: Path
) -> None:
    ids = _ids(db, air)
    staged = _staged(tmp_path, _rows(ids, 2.0))
    with ThreadPoolExecutor() as beside:
        with db.transaction() as conn:
            # A load gets as far as the dataset's row, and has looked at PostgreSQL before.
            conn.execute("SELECT FROM dataset WHERE id = %s FOR NO KEY UPDATE", (air.id,))
            load = beside.submit(lake.commit, _batch(air, staged))
            _wait_for(db, "SELECT FROM pg_stat_activity WHERE query ~ 'UPDATE dataset SET body' "
                          "AND wait_event_type = 'Lock'")  # fmt: skip
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            _wait_for(db, "SELECT WHERE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'"
                          " AND database = (SELECT oid FROM pg_database "
                          "WHERE datname = current_database()))")  # fmt: skip
            assert lake.end_leftovers() == 1
        with pytest.raises(Unavailable):
            load.result(60)
    assert _stored(lake, air) == {}
    assert _loads(db) == []


@pytest.fixture
def water(db: Database) -> Dataset:
    """A second dataset of series."""
    with db.transaction() as conn:
        return registry.register(
            conn, parse_contract(AIR.replace("dataset: air", "dataset: water"))
        )


@pytest.mark.parametrize("left", ["a load", "an undoing"])
def test_what_cannot_be_ended_keeps_only_its_own_dataset_waiting(
    lake: Lake, db: Database, air: Dataset, water: Dataset, tmp_path: Path, left: str
) -> None:
    mine, theirs = _ids(db, air), _ids(db, water)
    kept = lake.commit(_batch(water, _staged(tmp_path, _rows(theirs, 1.0)))).load_id
    lake.commit(_batch(air, _staged(tmp_path, _rows(mine, 1.0))))
    before = _stored(lake, air)
    if left == "a load":
        with refused(db, "load", "UPDATE OR DELETE"), pytest.raises(duckdb.Error, match="refused"):
            lake.commit(_batch(air, _staged(tmp_path, _rows(mine, 2.0))))
    else:
        second = lake.commit(_batch(air, _staged(tmp_path, _rows(mine, 2.0)))).load_id
        with refused(db, "undoing", "DELETE"), pytest.raises(duckdb.Error, match="refused"):
            lake.undo(second)
    files = [(path, path.read_bytes()) for path in tmp_path.glob("lake/**/*.parquet")]
    lost = [one for one in files if one[0].parent.name == layout(air).table.rpartition(".")[2]]
    assert lost and len(lost) < len(files)
    for path, _ in lost:
        path.unlink()
    assert lake.end_leftovers() == 0
    with db.transaction() as conn:
        (waits,) = unended(conn)
    assert waits.dataset_id == air.id
    assert waits.missing_file in {str(path) for path, _ in lost}

    with pytest.raises(Unavailable):
        lake.commit(_batch(air, _staged(tmp_path, _rows(mine, 3.0))))
    lake.commit(_batch(air, SeriesRows([mine[1]], [LATER], [3.0], [0], [0])))
    with pytest.raises(Unavailable):
        lake.close_days(air.id, LATER + timedelta(days=1))
    lake.commit(_batch(water, _staged(tmp_path, _rows(theirs, 4.0))))
    lake.commit(_batch(water, SeriesRows([theirs[1]], [LATER], [5.0], [0], [0])))
    assert lake.close_days(water.id, LATER + timedelta(days=1)) == 1
    lake.undo(kept)
    assert set(_stored(lake, water).values()) == {4.0, 5.0}

    for path, content in lost:
        path.write_bytes(content)
    assert lake.end_leftovers() == 1
    with db.transaction() as conn:
        assert unended(conn) == []
    assert _stored(lake, air) == before | {(mine[1], LATER): 3.0}


def _wait_for(db: Database, query: str) -> None:
    for _ in range(600):
        with db.transaction() as conn:
            if conn.execute(own_sql(query)).fetchone() is not None:
                return
        time.sleep(0.1)
    raise AssertionError(f"never true: {query}")
