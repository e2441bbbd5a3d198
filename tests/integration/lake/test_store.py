"""What the store promises to those who bring rows and to those who read them."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from dothi.kernel.errors import Conflict, IdempotencyMismatch, NotFound, StorageFull
from dothi.lake import chart, registry, rows
from dothi.lake.model import Batch, Outcome, Quality, SeriesRows, Source, Span
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database
from tests.integration.lake.test_versions import _staged, _stored

T0 = datetime(2026, 5, 1, tzinfo=UTC)


def _send(
    lake: Lake, dataset: Dataset, given: list[dict[str, object]], key: str | None = None
) -> Outcome:
    body = hashlib.sha256(repr(given).encode()).digest()
    source = Source("http", actor="key:test", idempotency=(key, body) if key else None)
    return lake.commit(rows.batch_of(lake, dataset, given, source))


def _hour(n: int, station: str = "A", **values: object) -> dict[str, object]:
    return {"station": station, "time": (T0 + timedelta(hours=n)).isoformat(), **values}


def _values(lake: Lake, dataset: Dataset) -> dict[datetime, float | None]:
    with lake.view() as view:
        return dict(view.execute(f"SELECT t, v FROM {view.series(dataset)}").fetchall())


def _records(lake: Lake, dataset: Dataset) -> dict[str, tuple[object, ...]]:
    with lake.view() as view:
        found = view.execute(
            f"SELECT code, people, share, opened FROM {view.records(dataset)}"
        ).fetchall()
    assert len(found) == len({row[0] for row in found}), "a key stands twice"
    return {row[0]: row[1:] for row in found}


def test_a_request_sent_again_is_stored_once(lake: Lake, air: Dataset) -> None:
    first = _send(lake, air, [_hour(1, pm25=5.0)], key="k1")
    again = _send(lake, air, [_hour(1, pm25=5.0)], key="k1")
    assert (again.load_id, again.replay) == (first.load_id, True)
    with pytest.raises(IdempotencyMismatch):
        _send(lake, air, [_hour(1, pm25=6.0)], key="k1")
    assert list(_values(lake, air).values()) == [5.0]


def test_a_replay_of_an_undone_request_says_so(lake: Lake, air: Dataset) -> None:
    first = _send(lake, air, [_hour(1, pm25=5.0)], key="k1")
    lake.undo(first.load_id)
    with pytest.raises(Conflict):
        _send(lake, air, [_hour(1, pm25=5.0)], key="k1")
    with pytest.raises(Conflict):
        lake.undo(first.load_id)
    with pytest.raises(NotFound):
        lake.undo(10**12)


def test_many_threads_share_transactions_and_each_learns_its_own_outcome(
    lake: Lake, air: Dataset, db: Database
) -> None:
    outcomes: dict[int, Outcome] = {}

    def send(n: int) -> None:
        given = [_hour(h, f"S{n}", pm25=float(n), o3=1.0) for h in range(n + 1)]
        outcomes[n] = _send(lake, air, given, key=f"t{n}")

    threads = [threading.Thread(target=send, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: o.new for n, o in outcomes.items()} == {n: 2 * (n + 1) for n in range(24)}
    assert len({o.load_id for o in outcomes.values()}) == 24
    with db.transaction() as conn:
        events = conn.execute("SELECT count(*) FROM event WHERE kind = 'data.committed'").fetchone()
    assert events == (24,)


def test_one_bad_request_in_a_group_does_not_harm_the_others(lake: Lake, air: Dataset) -> None:
    good = rows.batch_of(lake, air, [_hour(1, pm25=1.0)], Source("http"))
    bad = Batch(999_999, SeriesRows([1], [T0], [1.0], [0], [1]), Source("http"))
    futures = [lake.submit(b) for b in (good, bad)]
    assert futures[0].result().new == 1
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        futures[1].result()


def test_a_late_row_wins_over_the_closed_day_and_stays_when_it_is_closed_again(
    lake: Lake, air: Dataset, db: Database
) -> None:
    _send(lake, air, [_hour(n, pm25=float(n)) for n in range(48)])
    assert lake.close_days(air.id, T0 + timedelta(hours=24)) == 24
    late = _send(lake, air, [_hour(3, pm25=300.0), _hour(4, pm25=4.0)])
    assert (late.new, late.changed, late.same) == (0, 1, 1)
    expected = {T0 + timedelta(hours=n): float(n) for n in range(48)}
    expected[T0 + timedelta(hours=3)] = 300.0
    assert _values(lake, air) == expected
    lake.close_days(air.id, T0 + timedelta(hours=24))
    assert _values(lake, air) == expected
    with db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM series_head").fetchone() == (24,)
    lake.undo(late.load_id)
    expected[T0 + timedelta(hours=3)] = 3.0
    assert _values(lake, air) == expected


def test_a_reader_sees_one_instant_while_a_day_is_closed_and_rows_arrive(
    lake: Lake, air: Dataset
) -> None:
    _send(lake, air, [_hour(n, pm25=1.0) for n in range(30)])
    with lake.view() as view:
        before = view.execute(f"SELECT count(*), sum(v) FROM {view.series(air)}").fetchone()
        lake.close_days(air.id, T0 + timedelta(hours=20))
        _send(lake, air, [_hour(n, pm25=2.0) for n in range(10, 40)])
        after = view.execute(f"SELECT count(*), sum(v) FROM {view.series(air)}").fetchone()
    assert before == after == (30, 30.0)
    assert sum(v or 0 for v in _values(lake, air).values()) == 10 * 1.0 + 30 * 2.0


def test_small_files_are_merged_and_nothing_changes(
    lake: Lake, air: Dataset, tmp_path: Path
) -> None:
    for day in range(6):
        _send(lake, air, [_hour(24 * day + n, pm25=float(n)) for n in range(24)])
        lake.close_days(air.id, T0 + timedelta(days=day + 1))
    before = _values(lake, air)
    done = lake.maintain()
    assert done["merged"] >= 1
    assert _values(lake, air) == before
    with lake.view() as view:
        files = view.execute(
            "SELECT count(*) FROM ducklake_list_files('lake', 'series_' || ?)", [str(air.id)]
        ).fetchone()
    assert files == (1,)


def test_records_are_kept_corrected_closed_and_undone_like_series(
    lake: Lake, sites: Dataset
) -> None:
    first = _send(lake, sites, [
        {"code": "A", "people": 10, "share": 0.5, "opened": "2026-01-02"},
        {"code": "B", "people": 20, "share": None, "opened": None},
    ])  # fmt: skip
    assert first.new == 2
    assert lake.close_days(sites.id, datetime.now(UTC) + timedelta(days=1)) == 2
    second = _send(lake, sites, [
        {"code": "A", "people": 11, "share": 0.5, "opened": "2026-01-02"},
        {"code": "B", "people": 20},
        {"code": "C", "people": 30},
    ])  # fmt: skip
    assert (second.new, second.changed, second.same) == (1, 1, 1)
    found = _records(lake, sites)
    assert {code: row[0] for code, row in found.items()} == {"A": 11, "B": 20, "C": 30}
    lake.close_days(sites.id, datetime.now(UTC) + timedelta(days=1))
    assert _records(lake, sites) == found
    lake.undo(second.load_id)
    assert {code: row[0] for code, row in _records(lake, sites).items()} == {"A": 10, "B": 20}


def test_what_does_not_fit_is_kept_out_with_place_and_reason(lake: Lake, air: Dataset) -> None:
    batch = rows.batch_of(
        lake,
        air,
        [
            _hour(1, pm25="abc", o3=3.0),
            {"station": "A", "time": "not a time", "pm25": 1.0},
            {"time": "2026-05-01T00:00:00Z", "pm25": 1.0},
            _hour(2, pm25=True),
            _hour(3, pm25=1e400, noise=2),
            _hour(4, pm25=-5.0),
            _hour(5, pm25=None),
            {"station": "A", "time": "2999-01-01T00:00:00Z", "pm25": 1.0},
        ],
        Source("http"),
    )
    told = [(r.row_no, r.column, r.reason) for r in batch.rejects]
    assert told == [
        (1, "pm25", "lake.bad_number"),
        (2, "time", "lake.bad_time"),
        (3, "station", "lake.key_missing"),
        (4, "pm25", "lake.bad_number"),
        (5, "pm25", "lake.bad_number"),
        (5, "noise", "lake.unknown_column"),
        (8, "time", "lake.future"),
    ]
    outcome = lake.commit(batch)
    assert (outcome.new, outcome.rejected) == (3, 7)
    with lake.view() as view:
        kept = view.execute(f"SELECT v, q FROM {view.series(air)} ORDER BY row_no").fetchall()
    assert kept == [
        (3.0, int(Quality.VALID)), (-5.0, int(Quality.SUSPECT)), (None, int(Quality.MISSING)),
    ]  # fmt: skip


def test_at_the_disks_reserve_writing_is_refused_and_reading_goes_on(
    db: Database, air: Dataset, tmp_path: Path
) -> None:
    room = True
    folder = tmp_path / "lake"
    folder.mkdir(exist_ok=True)
    lake = Lake(db, folder, may_write=lambda: room)
    try:
        _send(lake, air, [_hour(1, pm25=1.0)])
        room = False
        with pytest.raises(StorageFull):
            _send(lake, air, [_hour(2, pm25=1.0)])
        assert len(_values(lake, air)) == 1
        room = True
        assert _send(lake, air, [_hour(2, pm25=1.0)]).new == 1
    finally:
        lake.close()


@pytest.mark.parametrize("closed", [False, True])
def test_a_chart_of_any_length_keeps_every_minimum_and_maximum(
    lake: Lake, air: Dataset, db: Database, closed: bool
) -> None:
    values = {n: float((n * 7919) % 1000) for n in range(24 * 90)}
    _send(lake, air, [_hour(n, pm25=v) for n, v in values.items()])
    if closed:
        lake.close_days(air.id, T0 + timedelta(days=80))
    with db.transaction() as conn:
        (stream,) = registry.streams(conn, air).values()
    end = T0 + timedelta(days=90)
    drawn = chart.chart(
        lake, air, stream, span=None, start=T0, end=end, width=300, now=end
    )  # fmt: skip
    assert len(drawn.t) <= 150 + 2
    expected: dict[int, list[float]] = {}
    for n, v in values.items():
        at = (T0 + timedelta(hours=n)).timestamp()
        expected.setdefault(int((at + 25_200) // drawn.bucket_s), []).append(v)
    got = {
        (t + 25_200) // drawn.bucket_s: (low, high)
        for t, low, high in zip(drawn.t, drawn.low, drawn.high, strict=True)
        if low is not None
    }
    assert got == {k: (min(v), max(v)) for k, v in expected.items()}
    assert drawn.last == T0 + timedelta(hours=24 * 90 - 1)


@pytest.mark.parametrize("way", ["straight into the body", "through the head"])
def test_fifty_thousand_spans_are_withdrawn_within_the_engines_memory(
    lake: Lake, air: Dataset, tmp_path: Path, way: str
) -> None:
    """One batch that replaces each hour of six years by nothing, and one value by another."""
    (stream,) = lake.stream_ids(air, [(("A",), "pm25")]).values()
    start = datetime(2020, 1, 1, tzinfo=UTC)
    times = [start + timedelta(hours=n) for n in range(50_000)]
    kept = SeriesRows([stream] * 3, [times[0], times[7], times[-1]], [1.0] * 3, [0] * 3, [1, 2, 3])
    lake.commit(Batch(air.id, kept, Source("file")))
    lake.close_days(air.id, times[-1] + timedelta(days=1))
    again = SeriesRows([stream], [times[7]], [2.0], [0], [1])
    rows = _staged(tmp_path, again) if way == "straight into the body" else again
    spans = [Span(stream, t, t) for t in times]
    done = lake.commit(Batch(air.id, rows, Source("file"), replaces=spans))
    assert (done.changed, done.removed) == (1, 2)
    assert list(_stored(lake, air).values()) == [2.0]
