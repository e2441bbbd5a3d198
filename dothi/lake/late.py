"""Late rows: what the lake already holds for their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import numpy as np

from dothi.lake import history, registry
from dothi.lake.body import Body
from dothi.lake.engine import table
from dothi.lake.head import RECORDS, SERIES
from dothi.lake.layout import Layout, layout
from dothi.lake.model import Batch, Quality, RecordRows, SeriesRows, Span
from dothi.store.database import Connection, own_sql

WITHDRAWN = int(Quality.WITHDRAWN)


@dataclass
class Found:
    """Of a batch's rows: how many the lake holds equal or different, and which may be left out."""

    same: int = 0
    changed: int = 0
    loads: set[int] = field(default_factory=set)
    """The loads of the versions that the lake holds for these keys, and within the batch's spans."""
    drop: set[int] = field(default_factory=set)
    tombstones: list[tuple[int, datetime]] = field(default_factory=list)


def compare(conn: Connection, body: Body, batch: Batch) -> Found:
    """Look the batch's keys up in the body. The caller holds the dataset's row for share."""
    dataset = registry.get(conn, batch.dataset_id)
    place = layout(dataset)
    found = Found()
    with body.snapshot() as cursor:
        if isinstance(batch.rows, SeriesRows):
            hits, found.loads = _series_hits(cursor, place, batch.rows)
            in_head = _series_in_head(conn, batch.rows, [i for i, _ in hits])
            if batch.replaces:
                found.tombstones, loads = _vanished(conn, cursor, place, batch)
                found.loads |= loads
        else:
            assert isinstance(batch.rows, RecordRows)
            hits, found.loads = _record_hits(cursor, place, batch.rows)
            in_head = _records_in_head(conn, batch.rows, [i for i, _ in hits])
    for i, differs in hits:
        if i in in_head or _ends(batch, i):
            continue
        if differs:
            found.changed += 1
        else:
            found.same += 1
            found.drop.add(i)
    return found


def _ends(batch: Batch, i: int) -> bool:
    """Whether a row takes out what the body holds; it hides it, and is none itself."""
    rows = batch.rows
    return isinstance(rows, RecordRows) and bool(rows.q) and rows.q[i] == WITHDRAWN


def _series_hits(
    cursor: duckdb.DuckDBPyConnection, place: Layout, rows: SeriesRows
) -> tuple[list[tuple[int, bool]], set[int]]:
    """(position in the batch, whether it differs) for keys that the body holds; their loads."""
    if not len(rows):
        return [], set()
    batch = {  # noqa: F841 (DuckDB scans it by its name)
        "i": np.arange(len(rows)),
        "stream_id": np.array(rows.stream_id, dtype=np.int32),
        "us": np.array([_micros(t) for t in rows.t], dtype=np.int64),
        "v": np.array([np.nan if v is None else v for v in rows.v]),
        "q": np.array(rows.q, dtype=np.int16),
    }
    low, high = min(rows.t), max(rows.t)
    hits = cursor.execute(
        f"""SELECT n.i, b.v IS DISTINCT FROM (CASE WHEN isnan(n.v) THEN NULL ELSE n.v END)
                        OR b.q <> n.q, b.load_id
            FROM batch n JOIN {place.table} b
              ON b.stream_id = n.stream_id AND epoch_us(b.t) = n.us
            WHERE b.t BETWEEN ? AND ?""",
        [low, high],
    ).fetchall()
    return [(i, differs) for i, differs, _ in hits], {load for *_, load in hits}


def _micros(t: datetime) -> int:
    return round(t.timestamp() * 1_000_000)


def _series_in_head(conn: Connection, rows: SeriesRows, which: Sequence[int]) -> set[int]:
    found = conn.execute(
        own_sql(f"""SELECT n.i FROM unnest(%s::int[], %s::int[], %s::timestamptz[]) AS n(i, s, t)
            JOIN {SERIES.head} h ON h.stream_id = n.s AND h.t = n.t"""),
        (list(which), [rows.stream_id[i] for i in which], [rows.t[i] for i in which]),
    ).fetchall()
    return {i for (i,) in found}


def vanished_from_head(conn: Connection, batch: Batch) -> list[tuple[int, datetime]]:
    """Keys of the head inside the batch's spans that it does not name."""
    if not batch.replaces or not isinstance(batch.rows, SeriesRows):
        return []
    held = _within(conn, batch.replaces, f"q <> {WITHDRAWN} ORDER BY t FOR UPDATE")
    return sorted(held - set(zip(batch.rows.stream_id, batch.rows.t, strict=True)))


def _within(conn: Connection, spans: Sequence[Span], which: str) -> set[tuple[int, datetime]]:
    """Keys of the head inside spans; `which`: SQL of ours that chooses and locks rows."""
    found = conn.execute(
        own_sql(
            f"""SELECT h.stream_id, h.t
                FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS span(s, a, b)
                CROSS JOIN LATERAL (SELECT stream_id, t FROM {SERIES.head}
                    WHERE stream_id = s AND t BETWEEN a AND b AND {which}) h"""
        ),
        _columns(spans),
    ).fetchall()
    return {(stream_id, t) for stream_id, t in found}


def _columns(spans: Sequence[Span]) -> tuple[list[int], list[datetime], list[datetime]]:
    """Spans as arrays, in the one order in which writers take locks."""
    ordered = sorted(spans, key=lambda span: (span.stream_id, span.start))
    return (
        [s.stream_id for s in ordered], [s.start for s in ordered], [s.end for s in ordered],
    )  # fmt: skip


def _vanished(
    conn: Connection, cursor: duckdb.DuckDBPyConnection, place: Layout, batch: Batch
) -> tuple[list[tuple[int, datetime]], set[int]]:
    """Keys of the body inside the batch's spans that it does not name and the head lacks; the loads
    of all that the body holds there."""
    rows = batch.rows
    assert isinstance(rows, SeriesRows)
    history.make_spans(cursor, batch.replaces)
    low, high = min(s.start for s in batch.replaces), max(s.end for s in batch.replaces)
    held = cursor.execute(
        f"""SELECT b.stream_id, b.t, b.load_id FROM {place.table} b
            JOIN spans s ON b.stream_id = s.stream_id AND b.t BETWEEN s.a AND s.b
            WHERE b.t BETWEEN ? AND ?""",
        [low, high],
    ).fetchall()
    hidden = _within(conn, batch.replaces, f"q = {WITHDRAWN}")
    keys = {(stream_id, t) for stream_id, t, _ in held}
    named = set(zip(rows.stream_id, rows.t, strict=True))
    return list(keys - hidden - named), {load for *_, load in held}


def _record_hits(
    cursor: duckdb.DuckDBPyConnection, place: Layout, rows: RecordRows
) -> tuple[list[tuple[int, bool]], set[int]]:
    table(cursor, "keys", {"_key": ("VARCHAR", list(rows.key))})
    held = cursor.execute(
        f"SELECT {place.names} FROM {place.table} WHERE _key IN (SELECT _key FROM keys)"
    )
    names = [column[0] for column in held.description or ()]
    by_key = {row[0]: dict(zip(names, row, strict=True)) for row in held.fetchall()}
    out = []
    qualities = rows.q if rows.q is not None else [0] * len(rows)
    for i, (key, row, q) in enumerate(zip(rows.key, rows.row, qualities, strict=True)):
        stored = by_key.get(key)
        if stored is not None:
            differs = any(_as_json(stored[n]) != row.get(n) for n in place.payload[1:])
            out.append((i, differs or stored["_q"] != q))
    return out, {row["_load_id"] for row in by_key.values()}


def _as_json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _records_in_head(conn: Connection, rows: RecordRows, which: Sequence[int]) -> set[int]:
    found = conn.execute(
        own_sql(f"""SELECT n.i FROM unnest(%s::int[], %s::text[]) AS n(i, k)
            JOIN {RECORDS.head} h ON h.dataset_id = %s AND h.key = n.k"""),
        (list(which), [rows.key[i] for i in which], rows.dataset_id),
    ).fetchall()
    return {i for (i,) in found}


def newest_from_body(
    conn: Connection, body: Body, dataset_id: int, stream_ids: Sequence[int]
) -> None:
    """Where the body has a newer row of a stream than the head, make it the newest value.

    Rows that a tombstone of the head hides do not count.
    """
    dataset = registry.get(conn, dataset_id)
    if registry.body_until(conn, [dataset_id]).get(dataset_id) is None:
        return
    place = layout(dataset)
    hidden = conn.execute(
        "SELECT stream_id, t FROM series_head WHERE stream_id = ANY (%s) AND q = %s",
        (list(stream_ids), WITHDRAWN),
    ).fetchall()
    with body.snapshot() as cursor:
        columns = {"s": ("INTEGER", [s for s, _ in hidden]),
                   "t": ("TIMESTAMPTZ", [t.isoformat() for _, t in hidden])}  # fmt: skip
        table(cursor, "hidden", columns)
        table(cursor, "wanted", {"s": ("INTEGER", list(stream_ids))})
        rows = cursor.execute(
            f"""SELECT stream_id, t, v, q, load_id FROM {place.table} b
                WHERE stream_id IN (SELECT s FROM wanted)
                  AND NOT EXISTS (SELECT 1 FROM hidden h WHERE h.s = b.stream_id AND h.t = b.t)
                QUALIFY row_number() OVER (PARTITION BY stream_id ORDER BY t DESC) = 1"""
        ).fetchall()
    conn.cursor().executemany(
        """INSERT INTO series_newest (stream_id, t, v, q, load_id) VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (stream_id) DO UPDATE
               SET t = excluded.t, v = excluded.v, q = excluded.q, load_id = excluded.load_id
               WHERE excluded.t > series_newest.t""",
        rows,
    )
