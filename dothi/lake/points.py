"""Single values of series that screens ask for again and again: head and body at one instant.

A snapshot of the lake never changes: what the body said at one is kept until the next comes. The
head, where all that is new stands, is asked each time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from dothi.lake import registry
from dothi.lake.body import METADATA_SCHEMA, Body
from dothi.lake.history import literal
from dothi.lake.layout import layout
from dothi.lake.model import Quality
from dothi.lake.read import View, one_of
from dothi.lake.registry import Dataset
from dothi.store.database import Connection, Database, own_sql

Newest = tuple[int, datetime, float, int]
"""Stream, instant, value, load."""
MOST_KEPT = 1_000
RECENT = timedelta(days=7)
"""Most streams have a value so near; only those without are looked for in all of the body."""
VALID = int(Quality.VALID)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Points:
    """Reads of one process; threads share it."""

    def __init__(self, db: Database, body: Body) -> None:
        self._db = db
        self._body = body
        self._kept: OrderedDict[Any, list[tuple[Any, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def at(
        self, dataset: Dataset, streams: Collection[int], times: Collection[datetime]
    ) -> dict[tuple[int, datetime], float]:
        """The valid values of streams at instants; those without a value are left out."""
        ids, wanted = sorted(set(streams)), sorted(set(times))
        with self._db.snapshot() as conn:
            head = conn.execute(
                "SELECT stream_id, t, v, q FROM series_head WHERE stream_id = ANY (%s) AND t = ANY (%s)",
                (ids, wanted),
            ).fetchall()
            until, version = _edge(conn, dataset)
        old = tuple(t for t in wanted if until is not None and t <= until)
        body = []
        if old and ids:
            moments = ", ".join(literal(t) for t in old)
            body = self._of_body(
                dataset, version, ("at", tuple(ids), old),
                lambda table: f"SELECT stream_id, epoch_us(t), v, q FROM {table} "
                f"WHERE {one_of('stream_id', ids)} AND t IN ({moments})",
            )  # fmt: skip
        found = {(s, t): (v, q) for s, t, v, q in (*body, *head)}
        return {key: v for key, (v, q) in found.items() if q == VALID and v is not None}

    def newest(self, dataset: Dataset, streams: Collection[int], until: datetime) -> list[Newest]:
        """The newest valid value of each stream up to an instant."""
        ids = sorted(set(streams))
        with self._db.snapshot() as conn:
            _, version = _edge(conn, dataset)
            old = self._newest_in_body(dataset, version, ids, until)
            rows = conn.execute(
                """SELECT s, h.t, h.v, h.load_id FROM unnest(%s::int[]) s, LATERAL (
                       SELECT t, v, load_id FROM series_head
                       WHERE stream_id = s AND t <= %s AND q = %s ORDER BY t DESC LIMIT 1) h""",
                (ids, until, VALID),
            ).fetchall()
            hidden = conn.execute(
                """SELECT h.stream_id FROM unnest(%s::int[], %s::timestamptz[]) w (s, t)
                   JOIN series_head h ON h.stream_id = w.s AND h.t = w.t WHERE h.q <> %s""",
                ([row[0] for row in old], [row[1] for row in old], VALID),
            ).fetchall()
        found: dict[int, Newest] = {row[0]: row for row in old}
        for row in rows:
            if row[0] not in found or found[row[0]][1] <= row[1]:
                found[row[0]] = row
        again = [s for (s,) in hidden]  # what hides the body's newest leaves an older one to find
        if again:
            found = {s: row for s, row in found.items() if s not in again}
            with self._body.snapshot() as cursor:
                relation = View(cursor).series(dataset, streams=again, end=until)
                rows = cursor.execute(_newest_of(relation, "true")).fetchall()
            found |= {s: (s, _instant(us), v, load) for s, us, v, load in rows}
        return list(found.values())

    def _newest_in_body(
        self, dataset: Dataset, version: int | None, ids: list[int], until: datetime
    ) -> list[Newest]:
        def look(streams: list[int], since: str) -> list[Newest]:
            where = f"{one_of('stream_id', streams)} AND t <= {literal(until)} {since}"
            key = ("newest", tuple(streams), until, since)
            rows = self._of_body(dataset, version, key, lambda table: _newest_of(table, where))
            return [(s, t, v, load) for s, t, v, load in rows]

        found = look(ids, f"AND t >= {literal(until - RECENT)}")
        left = sorted(set(ids) - {row[0] for row in found})
        return found + (look(left, "") if left else [])

    def _of_body(
        self, dataset: Dataset, version: int | None, key: Any, query: Callable[[str], str]
    ) -> list[tuple[Any, ...]]:
        """Rows of the body alone at a snapshot; their second column, µs since 1970, as an instant."""
        if version is None:
            return []
        key = (dataset.id, version, *key)
        with self._lock:
            known = self._kept.get(key)
        if known is None:
            with self._body.snapshot() as cursor:
                table = f"{layout(dataset).table} AT (VERSION => {version:d})"
                rows = cursor.execute(query(table)).fetchall()
            known = [(row[0], _instant(row[1]), *row[2:]) for row in rows]
        with self._lock:
            self._kept[key] = known
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return known


def _newest_of(relation: str, where: str) -> str:
    return f"""SELECT stream_id, epoch_us(max(t)), arg_max(v, t), arg_max(load_id, t)
               FROM {relation} WHERE q = {VALID} AND v IS NOT NULL AND {where} GROUP BY stream_id"""


def _edge(conn: Connection, dataset: Dataset) -> tuple[datetime | None, int | None]:
    """The last instant that may stand in the body, and the lake's snapshot; None: nothing is there."""
    until = registry.body_until(conn, [dataset.id])[dataset.id]
    if until is None:
        return None, None
    row = conn.execute(
        own_sql(f"SELECT max(snapshot_id) FROM {METADATA_SCHEMA}.ducklake_snapshot")
    ).fetchone()
    return until, row[0] if row else None


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
