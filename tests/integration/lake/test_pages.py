"""Pages of rows and past states: compared with what was stored, while more is being stored."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Conflict, Invalid, Unavailable
from dothi.lake import rows
from dothi.lake.model import Batch, RecordRows, SeriesRows, Source, StagedRows
from dothi.lake.out import page as pages
from dothi.lake.out.page import Asked, page
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

T0 = datetime(2026, 5, 1, tzinfo=UTC)


def send(lake: Lake, dataset: Dataset, values: dict[tuple[str, int], float]) -> int:
    given = [
        {"station": station, "time": (T0 + timedelta(hours=n)).isoformat(), "pm25": value}
        for (station, n), value in values.items()
    ]
    return lake.commit(rows.batch_of(lake, dataset, given, Source("file"))).load_id


def told(lake: Lake, dataset: Dataset, asked: Asked) -> tuple[list[dict[str, Any]], str | None]:
    with page(lake, SYSTEM, dataset, asked) as found:
        relation = found.cursor.sql(found.select)
        names = relation.columns
        out = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
        assert len(out) == found.count <= asked.limit
        return out, found.next


def state(lake: Lake, dataset: Dataset, **more: Any) -> dict[tuple[str, int], float]:
    found, following = told(lake, dataset, Asked(limit=10_000, **more))
    assert following is None
    return {
        (row["station"], round((row["time"] - T0).total_seconds() / 3600)): row["value"]
        for row in found
    }


def now(db: Database) -> datetime:
    with db.transaction() as conn:
        row = conn.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("order", ["key", "-key", "time", "-time"])
def test_pages_hold_every_row_once_while_rows_arrive_and_days_close(
    lake: Lake, air: Dataset, order: Any
) -> None:
    before = {(s, n): float(n) for s in "ABC" for n in range(0, 40, 2)}
    send(lake, air, before)
    seen: list[tuple[str, int, float]] = []
    after = None
    for turn in range(20):
        found, after = told(lake, air, Asked(order=order, limit=7, after=after))
        seen += [
            (row["station"], round((row["time"] - T0).total_seconds() / 3600), row["value"])
            for row in found
        ]
        if after is None:
            break
        send(lake, air, {("B", 2 * turn + 1): -1.0, ("D", turn): -1.0})
        if turn == 2:
            lake.close_days(air.id, T0 + timedelta(hours=20))
    assert after is None
    kept = [one for one in seen if one[2] != -1.0]
    assert sorted(kept) == sorted((s, n, v) for (s, n), v in before.items())
    assert len(set(seen)) == len(seen)
    by_time = [n for _, n, _ in kept]
    if order.endswith("time"):
        assert by_time == sorted(by_time, reverse=order.startswith("-"))


def test_head_and_body_answer_alike(lake: Lake, air: Dataset) -> None:
    send(lake, air, {(s, n): float(n) for s in "ABC" for n in range(30)})
    send(lake, air, {("B", n): -float(n) for n in range(5, 25, 3)})
    questions = [
        Asked(filter, fields, order, limit)
        for filter in ("", "value < 0 or station = 'C'", "time >= 2026-05-01T10:00Z and value > 3")
        for order in ("key", "-key", "time", "-time")
        for fields, limit in (((), 1_000), (("value", "time", "quality"), 7))
    ]

    def answers() -> list[tuple[list[dict[str, Any]], str | None]]:
        return [told(lake, air, one) for one in questions]

    in_head = answers()
    assert all(found for found, _ in in_head)
    lake.close_days(air.id, T0 + timedelta(hours=12))
    assert answers() == in_head
    lake.close_days(air.id, T0 + timedelta(hours=40))
    assert answers() == in_head


@pytest.mark.parametrize("order", ["key", "-key", "time", "-time"])
def test_a_page_looked_for_nearby_is_the_one_of_the_whole(
    lake: Lake, air: Dataset, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(lake, air, {(f"S{s}", 37 * n): float(s + n) for s in range(20) for n in range(6)})
    lake.close_days(air.id, T0 + timedelta(hours=100))
    questions = [
        Asked(filter, ("stream", "time"), order, limit)
        for filter in ("", "value > 20", "time < 0001-01-02", "time > 9999-12-30", "value = 3")
        for limit in (1, 9, 60)
    ]
    nearby = [told(lake, air, one) for one in questions]
    monkeypatch.setattr(pages, "_FIRST", ())
    assert [told(lake, air, one) for one in questions] == nearby


def test_filters_fields_and_limits(lake: Lake, air: Dataset) -> None:
    send(lake, air, {(s, n): float(n) for s in "AB" for n in range(10)})
    found, _ = told(
        lake, air,
        Asked("station = 'B' and value >= 7 and time < 2026-05-01T09:00Z", ("value", "time")),
    )  # fmt: skip
    assert [list(row) for row in found] == [["value", "time"]] * 2
    assert [row["value"] for row in found] == [7.0, 8.0]
    assert told(lake, air, Asked("station = 'nowhere'")) == ([], None)
    assert len(told(lake, air, Asked("station = 'A' or value > 8"))[0]) == 11
    for asked in (Asked(limit=0), Asked(limit=10**7), Asked(fields=("v",)), Asked(after="x")):
        with pytest.raises(Invalid):
            told(lake, air, asked)
    _, after = told(lake, air, Asked(limit=3))
    assert after is not None
    with pytest.raises(Invalid):  # another question's page
        told(lake, air, Asked("value > 1", limit=3, after=after))


def test_records_have_pages_and_a_past_too(lake: Lake, db: Database, sites: Dataset) -> None:
    def put(values: dict[str, int]) -> int:
        made = [
            {"code": c, "people": n, "share": n / 8, "opened": "2020-01-31"}
            for c, n in values.items()
        ]
        batch = RecordRows(sites.id, list(values), made, list(range(1, len(values) + 1)))
        return lake.commit(Batch(sites.id, batch, Source("file"))).load_id

    put({f"S{n:02}": n for n in range(10)})
    first = now(db)
    lake.close_days(sites.id, now(db))
    put({"S03": 300, "S99": 99})
    found, after = told(lake, sites, Asked("people > 2", ("code", "people"), limit=4))
    assert [row["code"] for row in found] == ["S03", "S04", "S05", "S06"]
    found, after = told(lake, sites, Asked("people > 2", ("code", "people"), limit=4, after=after))
    assert [row["code"] for row in found] == ["S07", "S08", "S09", "S99"]
    assert after is None
    past, _ = told(lake, sites, Asked(as_of=first))
    assert [row["people"] for row in past] == list(range(10))
    with pytest.raises(Invalid):
        told(lake, sites, Asked(order="time"))


@pytest.mark.parametrize("seed", range(3))
def test_a_past_state_is_what_a_reader_saw_then(
    lake: Lake, db: Database, air: Dataset, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    ids = lake.stream_ids(air, [((s,), "pm25") for s in "AB"])
    seen: list[tuple[datetime, dict[tuple[str, int], float]]] = []
    for turn in range(12):
        keys = {(chance.choice("AB"), chance.randrange(30)) for _ in range(8)}
        values = {key: float(chance.randrange(5)) for key in keys}
        if turn % 4 == 3:
            numbers = sorted((ids[(s,), "pm25"], T0 + timedelta(hours=n), v)
                             for (s, n), v in values.items())  # fmt: skip
            s, t, v = (list(column) for column in zip(*numbers, strict=True))
            count = len(s)
            stage = tmp_path / f"{turn}.parquet"
            _stage(SeriesRows(s, t, v, [0] * count, list(range(1, count + 1))), stage)
            lake.commit(Batch(air.id, StagedRows.of(stage, count), Source("file")))
        else:
            send(lake, air, values)
        if turn % 3 == 1:
            lake.close_days(air.id, T0 + timedelta(hours=chance.randrange(30)))
        at = now(db)
        seen.append((at, state(lake, air)))
    for at, values in seen:
        assert state(lake, air, as_of=at) == values
    assert state(lake, air, as_of=T0) == {}


def _stage(rows_: SeriesRows, path: Path) -> None:
    import duckdb

    with duckdb.connect() as engine:
        engine.execute("SET TimeZone='UTC'; CREATE TABLE s (stream_id INT, row_no INT, "
                       "t TIMESTAMPTZ, v DOUBLE, q SMALLINT)")  # fmt: skip
        for s, n, t, v, _, q in rows_.tuples(0):
            engine.execute("INSERT INTO s VALUES (?, ?, ?, ?, ?)", [s, n, t, v, q])
        engine.execute(f"COPY s TO '{path}'")


def test_what_cannot_be_told_exactly_is_refused(lake: Lake, db: Database, air: Dataset) -> None:
    send(lake, air, {("A", 1): 1.0})
    early = now(db)
    wrong = send(lake, air, {("A", 5): 5.0})
    between = now(db)
    lake.undo(wrong)
    assert state(lake, air, as_of=early) == {("A", 1): 1.0}
    with pytest.raises(Conflict, match=str(wrong)):
        state(lake, air, as_of=between)
    # That load lies outside of what is asked here, so this can be told.
    assert state(lake, air, as_of=between, filter="time < 2026-05-01T02:00Z") == {("A", 1): 1.0}
    assert state(lake, air, as_of=now(db)) == {("A", 1): 1.0}
    with pytest.raises(Invalid):
        state(lake, air, as_of=now(db) + timedelta(hours=1))


def test_a_past_that_a_running_transaction_may_still_reach_is_not_told(
    lake: Lake, db: Database, air: Dataset
) -> None:
    send(lake, air, {("A", 1): 1.0})
    calm = now(db)
    with db.connect() as other, other.transaction():
        other.execute("UPDATE dataset SET created = created")
        with pytest.raises(Unavailable):
            state(lake, air, as_of=now(db))
        assert state(lake, air, as_of=calm) == {("A", 1): 1.0}
    assert state(lake, air, as_of=now(db)) == {("A", 1): 1.0}
