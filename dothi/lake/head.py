"""The hot head: recent and late rows in PostgreSQL, one current version for each key.

Versions of a key are ordered by the number of their load; the highest stands in the head, the
others in the `past` table, so that an undone load gives back what it had replaced. A version may be
a tombstone: it hides what the body holds. Series and records share the statements; a `Shape` names
their tables and columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dothi.lake.model import Quality
from dothi.store.database import Connection, own_sql

WITHDRAWN = int(Quality.WITHDRAWN)


@dataclass(frozen=True)
class Shape:
    """The tables and columns of one physical shape. All names are ours, none from outside."""

    name: str
    key: tuple[str, ...]
    payload: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def head(self) -> str:
        return f"{self.name}_head"

    @property
    def past(self) -> str:
        return f"{self.name}_past"

    @property
    def batch(self) -> str:
        return f"{self.name}_batch"

    def list(self, names: Sequence[str], prefix: str = "") -> str:
        """Column names for a statement."""
        return ", ".join(prefix + name for name in names)


SERIES = Shape(
    "series",
    ("stream_id", "t"),
    ("v", "q"),
    ("stream_id", "row_no", "t", "v", "load_id", "q"),
    ("int4", "int4", "timestamptz", "float8", "int8", "int2"),
)
RECORDS = Shape(
    "record",
    ("dataset_id", "key"),
    ("q", "row"),
    ("dataset_id", "row_no", "load_id", "q", "key", "row"),
    ("int4", "int4", "int8", "int2", "text", "jsonb"),
)


class OvertakenError(Exception):
    """A load with a higher number stored one of these keys first: try again with new numbers."""


class LeftoverError(OvertakenError):
    """The body holds rows of a load that was begun and never ended: end it, then try again."""

    def __init__(self, dataset_id: int) -> None:
        super().__init__(dataset_id)
        self.dataset_id = dataset_id


def make_batch(conn: Connection, shape: Shape) -> None:
    """Make sure that this connection has the temporary table; a rolled back transaction that made
    it has taken it away again."""
    conn.execute(
        own_sql(
            f"CREATE TEMP TABLE IF NOT EXISTS {shape.batch} (LIKE {shape.head}) "
            "ON COMMIT DELETE ROWS"
        ),
        prepare=False,
    )


def copy_in(conn: Connection, shape: Shape, rows: Iterable[Sequence[Any]]) -> None:
    """Put rows into the transaction's temporary table, which empties itself at commit."""
    with conn.cursor().copy(
        own_sql(f"COPY {shape.batch} ({shape.list(shape.columns)}) FROM STDIN (FORMAT BINARY)")
    ) as copy:
        copy.set_types(shape.types)
        for row in rows:
            copy.write_row(row)


def insert_new(shape: Shape) -> str:
    """SQL: put rows with new keys into the head; (load_id, rows inserted, of them no tombstone).

    Rows are taken in key order, so that two transactions with common keys cannot deadlock.
    """
    order = shape.list(shape.key)
    return f"""
        WITH inserted AS (
            INSERT INTO {shape.head} ({shape.list(shape.columns)})
            SELECT {shape.list(shape.columns)} FROM {shape.batch} ORDER BY {order}
            ON CONFLICT DO NOTHING RETURNING load_id, q)
        SELECT load_id, count(*), count(*) FILTER (WHERE q <> {WITHDRAWN})
        FROM inserted GROUP BY load_id"""


UPDATE_NEWEST = f"""
    INSERT INTO series_newest (stream_id, t, v, q, load_id)
    SELECT DISTINCT ON (stream_id) stream_id, t, v, q, load_id FROM series_batch
    WHERE q <> {WITHDRAWN} ORDER BY stream_id, t DESC
    ON CONFLICT (stream_id) DO UPDATE
        SET t = excluded.t, v = excluded.v, q = excluded.q, load_id = excluded.load_id
        WHERE excluded.t >= series_newest.t"""
"""Keeps the newest value of each stream; a tombstone is no value."""


def replace(conn: Connection, shape: Shape, *, confirm: bool) -> dict[int, tuple[int, int]]:
    """Give keys that the head already had their new version; load → (came again, changed).

    A value that takes a tombstone's place came again.

    The version replaced goes to the past. A row with the payload it had is left alone, unless
    `confirm`: then the new load counts as its origin too, and undoing the older one keeps it.
    """
    differs = (
        f"({shape.list(shape.payload, 'h.')}) IS DISTINCT FROM ({shape.list(shape.payload, 'b.')})"
    )
    same_key = " AND ".join(f"h.{c} = b.{c}" for c in shape.key)
    wanted = "true" if confirm else differs
    payload = ", ".join(f"{c} = b.{c}" for c in shape.payload)
    with conn.pipeline():
        _joins_by_key(conn, only=True)
        held = conn.execute(
            own_sql(f"""WITH old AS (
                    SELECT {shape.list(shape.columns, "h.")}, b.load_id AS later,
                           {differs} AS changed, h.q = {WITHDRAWN} AS again,
                           b.q = {WITHDRAWN} AS ends
                    FROM {shape.head} h JOIN {shape.batch} b ON {same_key}
                    WHERE h.load_id <> b.load_id AND (h.load_id > b.load_id OR {wanted})
                    ORDER BY {shape.list(shape.key, "h.")} FOR UPDATE OF h),
                kept AS (
                    INSERT INTO {shape.past} ({shape.list(shape.columns)})
                    SELECT {shape.list(shape.columns)} FROM old WHERE load_id < later)
                SELECT later, count(*) FILTER (WHERE again AND NOT ends),
                       count(*) FILTER (WHERE changed AND NOT again AND NOT ends),
                       bool_or(load_id > later)
                FROM old GROUP BY later"""),
            prepare=False,
        )
        conn.execute(
            own_sql(
                f"""UPDATE {shape.head} h SET {payload}, load_id = b.load_id, row_no = b.row_no
                FROM {shape.batch} b WHERE {same_key} AND h.load_id <> b.load_id AND {wanted}"""
            ),
            prepare=False,
        )
        _joins_by_key(conn, only=False)
    rows = held.fetchall()
    if any(overtaken for *_, overtaken in rows):
        raise OvertakenError
    return {load_id: (again, changed) for load_id, again, changed, _ in rows}


# The batch has no statistics and the head grows between its analyses: a planner left to itself
# reads all of the head for a thousand keys.
_JOINS = ("hashjoin", "mergejoin")


def _joins_by_key(conn: Connection, *, only: bool) -> None:
    value = "off" if only else "DEFAULT"
    for join in _JOINS:
        conn.execute(own_sql(f"SET LOCAL enable_{join} TO {value}"))


def refresh_newest(conn: Connection, stream_ids: Sequence[int]) -> None:
    """Compute the newest values again from the head, after rows were taken away.

    Where the head has no row of a stream the entry is dropped; the caller puts the body's newest
    in its place.
    """
    conn.execute(
        own_sql(f"""WITH top AS (
                SELECT s.id, h.* FROM unnest(%(ids)s::int[]) AS s(id)
                LEFT JOIN LATERAL (
                    SELECT t, v, q, load_id FROM series_head
                    WHERE stream_id = s.id AND q <> {WITHDRAWN}
                    ORDER BY t DESC LIMIT 1) h ON true),
            gone AS (
                DELETE FROM series_newest n USING top
                WHERE n.stream_id = top.id AND top.t IS NULL)
            INSERT INTO series_newest (stream_id, t, v, q, load_id)
            SELECT id, t, v, q, load_id FROM top WHERE t IS NOT NULL ORDER BY id
            ON CONFLICT (stream_id) DO UPDATE
                SET t = excluded.t, v = excluded.v, q = excluded.q, load_id = excluded.load_id"""),
        {"ids": sorted(set(stream_ids))},
    )


def touched_by(shape: Shape, load_id: int) -> str:
    """SQL for the keys of the head whose current version is this load's."""
    return f"SELECT {shape.list(shape.key)} FROM {shape.head} WHERE load_id = {load_id:d}"


def undo(shape: Shape, load_id: int) -> list[str]:
    """SQL that takes a load's versions out of the head; the version before each comes back."""
    same = " AND ".join(f"h.{c} = p.{c}" for c in shape.key)
    rest = ", ".join((*shape.payload, "row_no", "load_id"))
    best = ", ".join(f"best.{c}" for c in (*shape.payload, "row_no", "load_id"))
    return [
        f"DELETE FROM {shape.past} WHERE load_id = {load_id:d}",
        f"""UPDATE {shape.head} h SET ({rest}) = ROW({best})
            FROM (SELECT DISTINCT ON ({shape.list(shape.key, "p.")}) p.* FROM {shape.past} p
                  JOIN {shape.head} h ON {same} WHERE h.load_id = {load_id:d}
                  ORDER BY {shape.list(shape.key, "p.")}, p.load_id DESC) best
            WHERE {same.replace("p.", "best.")} AND h.load_id = {load_id:d}""",
        f"DELETE FROM {shape.past} p USING {shape.head} h WHERE {same} AND h.load_id = p.load_id",
        f"DELETE FROM {shape.head} WHERE load_id = {load_id:d}",
    ]
