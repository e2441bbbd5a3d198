"""The store against a naive model: whatever happens in whatever order, both hold the same.

The model keeps for each key the list of versions; an undone load's versions vanish, and with them
those of decisions about its contradictions. Operations: commits through the head and in bulk,
corrections, withdrawals, contradictions and decisions, closing days, merging, undoing. With
`killed` half of what writes to the lake ends between its commit and PostgreSQL's.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Conflict
from dothi.lake import history, registry
from dothi.lake import loads as lake_loads
from dothi.lake.engine import engine
from dothi.lake.layout import layout
from dothi.lake.model import (
    Batch,
    Clash,
    Quality,
    SeriesRows,
    Source,
    Span,
    StagedRows,
    Written,
)
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.lake.unended import UnendedError
from dothi.store.database import Database
from tests.integration.lake.refusing import refused

START = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 40

Key = tuple[int, datetime]
Versions = dict[Key, list[tuple[int, float | None]]]


def _ids(db: Database, air: Dataset) -> list[int]:
    names = [((station,), p) for station in ("A", "B") for p in ("pm25", "o3")]
    with db.transaction() as conn:
        found = registry.stream_ids(conn, air, names)
    return sorted(found.values())


def _stored(lake: Lake, air: Dataset) -> dict[Key, float | None]:
    with lake.view() as view:
        rows = view.execute(f"SELECT stream_id, t, v FROM {view.series(air)}").fetchall()
    keys = [(s, t) for s, t, _ in rows]
    assert len(keys) == len(set(keys)), "a key stands twice"
    return {(s, t): v for s, t, v in rows}


def _newest(db: Database) -> dict[int, tuple[datetime, float | None]]:
    with db.transaction() as conn:
        rows = conn.execute("SELECT stream_id, t, v FROM series_newest").fetchall()
    return {s: (t, v) for s, t, v in rows}


def _current(model: Versions) -> dict[Key, float | None]:
    out: dict[Key, float | None] = {}
    for key, versions in model.items():
        if versions and versions[-1][1] != float("inf"):  # inf: withdrawn
            out[key] = versions[-1][1]
    return out


def _staged(folder: Path, rows: SeriesRows, number: int | None = None) -> StagedRows:
    """Rows in a file; with the `number` of their load in one that the body may take over."""
    path = folder / f"staged-{random.getrandbits(60):x}.parquet"
    table = engine(1, "200MB")
    table.execute(
        "CREATE TABLE s (stream_id INTEGER, row_no INTEGER, t TIMESTAMPTZ, v DOUBLE, q SMALLINT)"
    )
    if len(rows):
        table.executemany("INSERT INTO s VALUES (?, ?, ?, ?, ?)", [
            [a, b, c, d, e] for a, b, c, d, e in
            zip(rows.stream_id, rows.row_no, rows.t, rows.v, rows.q, strict=True)
        ])  # fmt: skip
    if number is None:
        table.execute(f"COPY s TO '{path}'")
        return StagedRows.of(path, len(rows))
    table.execute(
        f"COPY (SELECT stream_id, row_no, t, v, {number}::BIGINT AS load_id, q FROM s "
        f"ORDER BY stream_id, t) TO '{path}'"
    )
    return replace(StagedRows.of(path, len(rows)), written=Written(path, number))


def _ended_between_commits(
    db: Database, refuse: tuple[str, str], work: Callable[..., object], *about: object
) -> bool:
    """Do work whose PostgreSQL part is refused; whether it was."""
    with refused(db, *refuse):
        try:
            work(*about)
        except (duckdb.Error, psycopg.Error, UnendedError):
            return True
    return False


def _leftovers(db: Database) -> list[int]:
    with db.transaction() as conn:
        rows = conn.execute(
            "SELECT id FROM load WHERE state = 'pending' UNION ALL SELECT load_id FROM undoing"
        ).fetchall()
    return [number for (number,) in rows]


def _all_versions(lake: Lake, air: Dataset) -> list[tuple[int, datetime, int]]:
    place = layout(air)
    with lake.view() as view:
        if not history.is_there(view.cursor, place):
            return []
        return view.execute(
            f"SELECT stream_id, t, load_id FROM {place.table} "
            f"UNION ALL SELECT stream_id, t, load_id FROM {place.past} ORDER BY ALL"
        ).fetchall()


@pytest.mark.parametrize(
    ("seed", "killed"),
    [*((seed, 0.0) for seed in range(3)), *((seed, 0.5) for seed in range(3, 9))],
)
def test_head_and_body_hold_what_a_naive_model_holds(
    lake: Lake, air: Dataset, db: Database, tmp_path: Path, seed: int, killed: float
) -> None:
    dice = random.Random(seed)
    streams = _ids(db, air)
    model: Versions = {}
    loads: list[int] = []
    decisions: dict[int, list[int]] = {}
    for step in range(34):
        act = dice.choices(
            ["head", "bulk", "span", "bulkspan", "close", "undo", "merge", "clash", "decide"],
            [8, 3, 2, 1, 3, 4, 1, 3, 3],
        )[0]
        broken = dice.random() < killed
        if act == "close":
            until = START + timedelta(hours=dice.randrange(HOURS))
            if broken:
                _ended_between_commits(db, ("event", "INSERT"), lake.close_days, air.id, until)
            else:
                lake.close_days(air.id, until)
        elif act == "merge":
            lake.maintain()
        elif act == "undo" and loads:
            load = dice.choice(loads)
            if not broken:
                lake.undo(load)
            elif _ended_between_commits(db, ("load", "UPDATE"), lake.undo, load):
                if load not in _leftovers(db):
                    continue
                dice.choice([lake.end_leftovers, lambda: lake.close_days(air.id, START)])()
            out = {load, *decisions.pop(load, [])}
            loads = [number for number in loads if number not in out]
            for versions in model.values():
                versions[:] = [v for v in versions if v[0] not in out]
        elif act == "clash":
            key = (dice.choice(streams), START + timedelta(hours=dice.randrange(HOURS)))
            candidates = [{"row": n, "value": 100.0 * n + step, "quality": 0} for n in (1, 2)]
            rows = SeriesRows([key[0]], [key[1]], [100.0 + step], [int(Quality.CONFLICT)], [1])
            clash = Clash(*key, candidates)
            done = lake.commit(Batch(air.id, rows, Source("file"), clashes=[clash]))
            loads.append(done.load_id)
            model.setdefault(key, []).append((done.load_id, 100.0 + step))
        elif act == "decide":
            with db.transaction() as conn:
                waiting = lake_loads.contradictions(conn, dataset_id=air.id, open_only=True)
            going = _leftovers(db)
            if waiting := [one for one in waiting if one.load_id not in going]:
                one = dice.choice(waiting)
                chosen = dice.choice(one.candidates)
                assert one.stream_id is not None and one.t is not None
                versions = model[one.stream_id, one.t]
                if versions[-1][0] > one.load_id:
                    with pytest.raises(Conflict, match=f"load {versions[-1][0]} "):
                        lake_loads.decide_conflict(lake, SYSTEM, one.id, chosen["row"])
                    continue
                done = lake_loads.decide_conflict(lake, SYSTEM, one.id, chosen["row"])
                loads.append(done.load_id)
                decisions.setdefault(one.load_id, []).append(done.load_id)
                versions.append((done.load_id, chosen["value"]))
        elif act in ("head", "bulk", "span", "bulkspan"):
            door = dice.choice(["file", "http"])
            keys = {
                (dice.choice(streams), START + timedelta(hours=dice.randrange(HOURS)))
                for _ in range(dice.randrange(1, 25))
            }
            values = {key: float(dice.randrange(4)) for key in keys}
            rows = SeriesRows(
                [k[0] for k in values], [k[1] for k in values], list(values.values()),
                [int(Quality.VALID)] * len(values), list(range(1, len(values) + 1)),
            )  # fmt: skip
            spans = []
            if act in ("span", "bulkspan"):
                a, b = sorted(dice.randrange(HOURS) for _ in range(2))
                spans = [
                    Span(
                        dice.choice(streams), START + timedelta(hours=a), START + timedelta(hours=b)
                    )
                ]
            number = lake.load_number() if dice.random() < 0.5 else None
            batch = Batch(
                air.id,
                _staged(tmp_path, rows, number) if act.startswith("bulk") else rows,
                Source(door),
                replaces=spans,
            )
            before = _current(model)
            if broken and act.startswith("bulk"):
                assert _ended_between_commits(db, ("load", "UPDATE OR DELETE"), lake.commit, batch)
                continue
            going = _leftovers(db)
            outcome = lake.commit(batch)
            loads.append(outcome.load_id)
            new = changed = same = removed = 0
            for key, value in values.items():
                versions = model.setdefault(key, [])
                if key not in before:
                    new += 1
                elif before[key] != value:
                    changed += 1
                else:
                    same += 1
                    if door != "file":
                        continue
                versions.append((outcome.load_id, value))
            for span in spans:
                for key in before:
                    if (
                        key[0] == span.stream_id
                        and span.start <= key[1] <= span.end
                        and key not in values
                    ):
                        model[key].append((outcome.load_id, float("inf")))
                        removed += 1
            # What is half undone stands in the head until it is ended.
            counted = (new, changed, same, removed)
            found = (outcome.new, outcome.changed, outcome.same, outcome.removed)
            assert going or found == counted, f"step {step} {act} {door}"
        if _leftovers(db) and dice.random() < 0.5:
            continue
        lake.end_leftovers()
        expected = _current(model)
        assert _stored(lake, air) == expected, f"step {step}: {act}"
        tops = {}
        for (s, t), v in expected.items():
            if s not in tops or t > tops[s][0]:
                tops[s] = (t, v)
        assert _newest(db) == tops, f"step {step}: newest after {act}"
    lake.end_leftovers()
    lake.close_days(air.id, START + timedelta(days=365))
    assert _stored(lake, air) == _current(model)
    assert _all_versions(lake, air) == sorted(
        (*key, load) for key, versions in model.items() for load, _ in versions
    )


def _files(lake: Lake, air: Dataset) -> dict[str, float]:
    """The Parquet files of the dataset's current rows, each with its last change."""
    folder = lake.body.folder_of(layout(air).table)
    return {path.name: path.stat().st_mtime for path in folder.glob("*.parquet")}


def test_a_file_with_its_loads_number_is_taken_over_as_it_is(
    lake: Lake, air: Dataset, db: Database, tmp_path: Path
) -> None:
    stream = _ids(db, air)[0]
    rows = SeriesRows([stream], [START], [1.0], [0], [1])
    number = lake.load_number()
    staged = _staged(tmp_path, rows, number)
    assert staged.written is not None
    written = staged.written.path.read_bytes()
    assert lake.commit(Batch(air.id, staged, Source("file"))).load_id == number
    assert _all_versions(lake, air) == [(stream, START, number)]
    folder = lake.body.folder_of(layout(air).table)
    assert [path.read_bytes() for path in folder.glob("*.parquet")] == [written]


def test_a_number_that_a_later_load_has_passed_does_not_count(
    lake: Lake, air: Dataset, db: Database, tmp_path: Path
) -> None:
    stream = _ids(db, air)[0]
    early = _staged(tmp_path, SeriesRows([stream], [START], [1.0], [0], [1]), lake.load_number())
    passed = lake.commit(
        Batch(air.id, SeriesRows([stream], [START], [2.0], [0], [1]), Source("http"))
    )
    outcome = lake.commit(Batch(air.id, early, Source("file")))
    assert outcome.load_id > passed.load_id
    assert _stored(lake, air) == {(stream, START): 1.0}
    lake.undo(outcome.load_id)
    assert _stored(lake, air) == {(stream, START): 2.0}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("numbered", [False, True])
def test_files_that_nobody_added_go_after_a_day(
    air: Dataset, db: Database, tmp_path: Path, linked: bool, numbered: bool
) -> None:
    """Those of a load stay, inserted or taken over, also where the home is reached by a link."""
    folder = tmp_path / "lake"
    (tmp_path / "disk").mkdir()
    folder.symlink_to(tmp_path / "disk") if linked else folder.mkdir()
    lake = Lake(db, folder)
    stream = _ids(db, air)[0]
    number = lake.load_number() if numbered else None
    staged = _staged(tmp_path, SeriesRows([stream], [START], [1.0], [0], [1]), number)
    lake.commit(Batch(air.id, staged, Source("file")))
    (known,) = _files(lake, air)
    young = lake.body.place(layout(air).table, Path(staged.relation.split("'")[1]))
    old = young.with_name("ducklake-of-a-killed-load.parquet")
    old.write_bytes(young.read_bytes())
    yesterday = time.time() - timedelta(days=1, minutes=5).total_seconds()
    kept = young.with_name(known)
    kept.write_bytes(kept.read_bytes())
    for path in (old, kept):
        os.utime(path, (yesterday, yesterday))
    young.unlink()
    young.write_bytes(old.read_bytes())
    assert lake.maintain()["deleted"] == 1
    assert set(_files(lake, air)) == {known, young.name}
    assert _stored(lake, air) == {(stream, START): 1.0}
    lake.close()
