"""What moves rows between head and body: the day's close, bulk commits, undoing a load.

Every function works inside one `Body.writing` transaction: the lake's part commits first, then what
PostgreSQL holds of it (docs/adr/0004-one-snapshot.md). PostgreSQL text is built from our own
names and from literals that psycopg quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from psycopg import sql

from dothi.lake import head
from dothi.lake.body import CATALOGUE
from dothi.lake.engine import table as make_table
from dothi.lake.layout import Layout
from dothi.lake.model import Quality, Reach, Span, StagedRows
from dothi.store.database import SCHEMA, own_sql

WITHDRAWN = int(Quality.WITHDRAWN)


@dataclass
class Moved:
    """What a bulk commit did to the body, and the newest value of each stream it brought."""

    new: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0


def postgres(cursor: duckdb.DuckDBPyConnection, text: str, **values: Any) -> None:
    """Run SQL in the PostgreSQL transaction that commits right after the lake."""
    made = sql.SQL(own_sql(f"SET LOCAL search_path TO {SCHEMA}; {text}")).format(
        **{name: sql.Literal(value) for name, value in values.items()}
    )
    cursor.execute("CALL postgres_execute(?, ?)", [CATALOGUE, made.as_string(None)])


def from_postgres(cursor: duckdb.DuckDBPyConnection, query: str, into: str) -> int:
    """Read a PostgreSQL query at the transaction's snapshot into a temporary table; its size."""
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {into} AS SELECT * FROM postgres_query(?, ?)",
        [CATALOGUE, query],
    )
    return _count(cursor, into)


def move_head(cursor: duckdb.DuckDBPyConnection, layout: Layout, where: str) -> int:
    """Move head rows and their older versions into the body; the number of current rows moved.

    `where` is PostgreSQL, ours alone. Of the head's and the body's version of a key the one with
    the higher load stays current. Moving again what a move brought that ended between its two
    commits changes nothing in the body.
    """
    moved = from_postgres(cursor, layout.from_head(where), "moving")
    older = from_postgres(cursor, layout.from_head(where, past=True), "moving_past")
    if moved + older == 0:
        return 0
    for statement in layout.create():
        cursor.execute(statement)
    met = from_duckdb(
        cursor,
        f"""SELECT {layout.columns_of("b")}, b.{layout.load} >= m.{layout.load} AS stays
            FROM {layout.table} b JOIN moving m ON {layout.same_key("b", "m")}""",
        "met",
    )
    if met:
        _to_past(cursor, layout, "met WHERE NOT stays")
        cursor.execute("DELETE FROM met WHERE stays")
        _delete(cursor, layout.table, layout, "met")
    # What a higher load in the body beats, and tombstones, join the other versions.
    beaten = f"EXISTS (SELECT 1 FROM {layout.table} b WHERE {layout.same_key('b', 'm')})"
    ends = f"m.{layout.quality} = {WITHDRAWN}"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE tops AS SELECT m.*, {ends} OR "
        f"{beaten if met else 'false'} AS aside FROM moving m"
    )
    if older:
        _to_past_once(cursor, layout, "moving_past")
    _to_past_once(cursor, layout, "(SELECT * FROM tops WHERE aside)")
    cursor.execute(
        f"INSERT INTO {layout.table} ({layout.names}) SELECT {layout.names} FROM tops "
        f"WHERE NOT aside ORDER BY {layout.list(layout.key)}"
    )
    # Before the rows leave the head: a late commit that holds the dataset's row meets them in one
    # of the two.
    _extend_body(cursor, layout, _last_of(cursor, layout, "moving"))
    for table in (layout.shape.past, layout.shape.head):
        postgres(cursor, f"DELETE FROM {table} WHERE {layout.mine()} AND {where}")
    return moved


def _to_past(cursor: duckdb.DuckDBPyConnection, layout: Layout, source: str) -> None:
    cursor.execute(
        f"INSERT INTO {layout.past} ({layout.names}) SELECT {layout.names} FROM {source}"
    )


def _to_past_once(cursor: duckdb.DuckDBPyConnection, layout: Layout, source: str) -> None:
    """As `_to_past`, without the versions that the body has already."""
    row = cursor.execute(f"SELECT min({layout.load}), max({layout.load}) FROM {source}").fetchone()
    if row is None or row[0] is None:
        return
    # Files tell their lowest and highest load: without these bounds all of the body is read.
    there = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {table} b WHERE {layout.same_key('b', 'm')} "
        f"AND b.{layout.load} = m.{layout.load} "
        f"AND b.{layout.load} BETWEEN {row[0]:d} AND {row[1]:d})"
        for table in (layout.table, layout.past)
    )
    _to_past(cursor, layout, f"{source} m WHERE {there}")


def _last_of(cursor: duckdb.DuckDBPyConnection, layout: Layout, relation: str) -> datetime | None:
    if "t" not in layout.key:
        return None
    row = cursor.execute(f"SELECT max(t) FROM {relation}").fetchone()
    return row[0] if row else None


def _extend_body(cursor: duckdb.DuckDBPyConnection, layout: Layout, until: datetime | None) -> None:
    # None for records, which may be touched at any time: all of them may stand in the body.
    newest = "now()" if until is None else literal(until)
    postgres(
        cursor,
        # Also where nothing changes: it takes the row's lock.
        f"UPDATE dataset SET body_until = greatest(body_until, {newest}) WHERE id = {{id}}",
        id=layout.dataset_id,
    )


def bulk(
    cursor: duckdb.DuckDBPyConnection,
    layout: Layout,
    rows: StagedRows,
    reach: Sequence[Reach],
    load_id: int,
    *,
    confirm: bool,
    replaces: Sequence[Span] = (),
    snapshot: bool = False,
    placed: Path | None = None,
) -> Moved:
    """Commit many typed rows straight into the body. `reach` is that of the rows, empty for
    records. `placed`: the same rows as a file in the lake's folder, with this load's number.

    Head rows of the same stretch move into the body first, so that versions stay in one chain.
    """
    staged = rows.relation
    first = min((r.first for r in reach), default=None)
    last = max((r.last for r in reach), default=None)
    for statement in layout.create():
        cursor.execute(statement)
    _move_overlap(cursor, layout, first, last, replaces)
    key = layout.list(layout.key)
    data = tuple(n for n, _ in layout.columns if n != layout.load)
    moved = Moved()
    old = 0
    if _overlaps(cursor, layout, first, last):
        old = from_duckdb(
            cursor,
            f"SELECT {layout.columns_of('b')}, ({layout.differs('b', 's')}) AS changed "
            f"FROM {layout.table} b JOIN {staged} s ON {layout.same_key('b', 's')}",
            "old",
        )
    if old:
        row = cursor.execute("SELECT count(*) FILTER (WHERE changed) FROM old").fetchone()
        moved.changed = row[0] if row else 0
        moved.same = old - moved.changed
        if not confirm:
            cursor.execute("DELETE FROM old WHERE NOT changed")
        _to_past(cursor, layout, "old")
        _delete(cursor, layout.table, layout, "old")
    moved.new = len(rows) - old
    kept = (
        ""
        if confirm or not moved.same
        else f"WHERE NOT EXISTS (SELECT 1 FROM {layout.table} b WHERE {layout.same_key('b', 's')})"
    )
    if placed and not kept:
        name = layout.table.rpartition(".")[2]
        cursor.execute("CALL ducklake_add_data_files('lake', ?, ?)", [name, str(placed)])
    else:
        order = "" if rows.ordered else f"ORDER BY {key}"
        cursor.execute(
            f"INSERT INTO {layout.table} ({layout.list(data)}, {layout.load}) "
            f"SELECT {layout.list(data)}, {load_id:d} FROM {staged} s {kept} {order}"
        )
    if replaces:
        moved.removed = _withdraw(cursor, layout, staged, load_id, replaces)
    if snapshot:
        moved.removed = _withdraw_rest(cursor, layout, staged, load_id)
    if len(rows):
        _extend_body(cursor, layout, last)
    return moved


def _overlaps(
    cursor: duckdb.DuckDBPyConnection, layout: Layout, first: datetime | None, last: datetime | None
) -> bool:
    """Whether the body may hold keys of the batch: looked up in file statistics first."""
    if first is None or last is None:
        return "t" not in layout.key and _count(cursor, layout.table) > 0
    row = cursor.execute(
        f"SELECT EXISTS (SELECT 1 FROM {layout.table} "
        f"WHERE t BETWEEN {literal(first)} AND {literal(last)})"
    ).fetchone()
    return bool(row and row[0])


def _move_overlap(
    cursor: duckdb.DuckDBPyConnection,
    layout: Layout,
    first: datetime | None,
    last: datetime | None,
    replaces: Sequence[Span],
) -> None:
    if "t" not in layout.key:
        move_head(cursor, layout, "true")
        return
    ends = [t for t in (first, last) if t is not None]
    ends += [end for span in replaces for end in (span.start, span.end)]
    if ends:
        move_head(cursor, layout, f"t BETWEEN {literal(min(ends))} AND {literal(max(ends))}")


def _withdraw(
    cursor: duckdb.DuckDBPyConnection, layout: Layout, staged: str, load_id: int,
    replaces: Sequence[Span],
) -> int:  # fmt: skip
    make_spans(cursor, replaces)
    gone = from_duckdb(
        cursor,
        f"""SELECT DISTINCT b.* FROM {layout.table} b JOIN spans s
            ON b.stream_id = s.stream_id AND b.t BETWEEN s.a AND s.b
            WHERE NOT EXISTS (SELECT 1 FROM {staged} n WHERE {layout.same_key("n", "b")})""",
        "old",
    )
    return _bury(cursor, layout, load_id, gone)


def make_spans(cursor: duckdb.DuckDBPyConnection, spans: Sequence[Span]) -> None:
    """Put spans into the temporary table `spans`: stream_id, a, b."""
    columns = {
        "stream_id": ("INTEGER", [s.stream_id for s in spans]),
        "a": ("TIMESTAMPTZ", [s.start.isoformat() for s in spans]),
        "b": ("TIMESTAMPTZ", [s.end.isoformat() for s in spans]),
    }
    make_table(cursor, "spans", columns)


def _withdraw_rest(
    cursor: duckdb.DuckDBPyConnection, layout: Layout, staged: str, load_id: int
) -> int:
    """Withdraw all that the body holds and the staged rows do not name."""
    gone = from_duckdb(
        cursor,
        f"""SELECT b.* FROM {layout.table} b
            WHERE NOT EXISTS (SELECT 1 FROM {staged} n WHERE {layout.same_key("n", "b")})""",
        "old",
    )
    return _bury(cursor, layout, load_id, gone)


def _bury(cursor: duckdb.DuckDBPyConnection, layout: Layout, load_id: int, gone: int) -> int:
    """Move the rows in `old` to the past, each under a tombstone of this load."""
    if gone:
        _to_past(cursor, layout, "old")
        _delete(cursor, layout.table, layout, "old")
        key = layout.list(layout.key)
        cursor.execute(
            f"INSERT INTO {layout.past} ({key}, {layout.row_no}, {layout.load}, {layout.quality}) "
            f"SELECT {key}, 0, {load_id:d}, {WITHDRAWN} FROM old"
        )
    return gone


def is_there(cursor: duckdb.DuckDBPyConnection, layout: Layout) -> bool:
    """Whether the dataset has a body."""
    found = cursor.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = $1",
        [layout.table.rpartition(".")[2]],
    ).fetchone()
    return found != (0,)


def is_pending(cursor: duckdb.DuckDBPyConnection, load_id: int) -> bool:
    """Whether a load is begun, not ended, and nobody has begun to take it back."""
    query = (
        f"SELECT id FROM {SCHEMA}.load "
        f"WHERE id = {load_id:d} AND state = 'pending' AND undone_at IS NULL"
    )
    return from_postgres(cursor, query, "pending") == 1


def will_change(
    cursor: duckdb.DuckDBPyConnection, layout: Layout, load_id: int
) -> tuple[int, list[tuple[int, datetime, datetime]]]:
    """How many keys of head and body change when a load goes, and the first and the last of the
    instants of each stream; of records no stretch."""
    from_postgres(
        cursor,
        head.touched_by(layout.shape, load_id).replace("FROM ", f"FROM {SCHEMA}."),
        "touched_head",
    )
    keys = f"SELECT {'stream_id, t' if layout.shape is head.SERIES else 'key'} FROM touched_head"
    if is_there(cursor, layout):
        keys = f"{touched_by(layout, load_id)} UNION {keys}"
    count = from_duckdb(cursor, keys, "touched")
    if layout.shape is not head.SERIES:
        return count, []
    found = cursor.execute(
        "SELECT stream_id, min(t), max(t) FROM touched GROUP BY ALL ORDER BY ALL"
    )
    return count, found.fetchall()


def touched_by(layout: Layout, load_id: int) -> str:
    """SQL for the keys of the body that change when a load goes."""
    key = layout.list(layout.key)
    return f"""SELECT {key} FROM {layout.table} WHERE {layout.load} = {load_id:d}
               UNION SELECT {key} FROM {layout.past}
               WHERE {layout.load} = {load_id:d} AND {layout.quality} = {WITHDRAWN}"""


def undo(cursor: duckdb.DuckDBPyConnection, layout: Layout, load_id: int) -> None:
    """Take a load's versions out of head and body; in each the version before comes back."""
    for statement in layout.create():
        cursor.execute(statement)
    lost = from_duckdb(cursor, touched_by(layout, load_id), "lost")
    cursor.execute(f"DELETE FROM {layout.table} WHERE {layout.load} = ?", [load_id])
    cursor.execute(f"DELETE FROM {layout.past} WHERE {layout.load} = ?", [load_id])
    if lost:
        cursor.execute(
            f"""CREATE OR REPLACE TEMP TABLE back AS
                SELECT {layout.columns_of("p")}
                FROM {layout.past} p JOIN lost ON {layout.same_key("p", "lost")}
                WHERE NOT EXISTS
                    (SELECT 1 FROM {layout.table} b WHERE {layout.same_key("b", "lost")})
                QUALIFY row_number() OVER (
                    PARTITION BY {layout.list(layout.key, "p.")}
                    ORDER BY p.{layout.load} DESC) = 1"""
        )
        cursor.execute(f"DELETE FROM back WHERE {layout.quality} = {WITHDRAWN}")
        cursor.execute(
            f"DELETE FROM {layout.past} p USING back "
            f"WHERE {layout.same_key('p', 'back')} AND p.{layout.load} = back.{layout.load}"
        )
        cursor.execute(
            f"INSERT INTO {layout.table} ({layout.names}) SELECT {layout.names} FROM back"
        )
    for statement in head.undo(layout.shape, load_id):
        postgres(cursor, statement)


def reach_of(cursor: duckdb.DuckDBPyConnection, relation: str) -> list[Reach]:
    """How far each stream of a relation of series rows goes."""
    found = cursor.execute(
        f"""SELECT stream_id, min(t), max(t), max(t) FILTER (WHERE q <> {WITHDRAWN}),
                arg_max(struct_pack(v := v, q := q), t) FILTER (WHERE q <> {WITHDRAWN})
            FROM {relation} GROUP BY stream_id ORDER BY stream_id"""
    ).fetchall()
    return [
        Reach(stream_id, first, last, t, *((last_row["v"], last_row["q"]) if t else (None, None)))
        for stream_id, first, last, t, last_row in found
    ]


def renew_newest(cursor: duckdb.DuckDBPyConnection, reach: Sequence[Reach], load_id: int) -> None:
    """Bring the newest values of streams up to date with those of a load."""
    rows = [r for r in reach if r.t is not None]
    if rows:
        postgres(
            cursor,
            """INSERT INTO series_newest (stream_id, t, v, q, load_id)
               SELECT s, t, v, q, {load} FROM unnest({s}::int[], {t}::timestamptz[],
                   {v}::float8[], {q}::smallint[]) AS n(s, t, v, q)
               ON CONFLICT (stream_id) DO UPDATE
                   SET t = excluded.t, v = excluded.v, q = excluded.q, load_id = excluded.load_id
                   WHERE excluded.t >= series_newest.t""",
            load=load_id,
            s=[r.stream_id for r in rows],
            t=[r.t for r in rows],
            v=[r.v for r in rows],
            q=[r.q for r in rows],
        )


def newest_of_both(cursor: duckdb.DuckDBPyConnection, table: str, ids: Sequence[int]) -> None:
    """Write the newest values of streams again, from head and body as they are now."""
    chosen = ", ".join(str(int(i)) for i in sorted(set(ids)))
    from_postgres(
        cursor,
        f"SELECT stream_id, t, v, q, load_id FROM {SCHEMA}.series_head "
        f"WHERE stream_id IN ({chosen})",
        "now_head",
    )
    rows = cursor.execute(
        f"""SELECT stream_id, t, v, q, load_id FROM (
                SELECT * FROM now_head
                UNION ALL
                SELECT stream_id, t, v, q, load_id FROM {table} b
                WHERE stream_id IN ({chosen}) AND NOT EXISTS (
                    SELECT 1 FROM now_head h WHERE h.stream_id = b.stream_id AND h.t = b.t))
            WHERE q <> {WITHDRAWN}
            QUALIFY row_number() OVER (PARTITION BY stream_id ORDER BY t DESC) = 1
            ORDER BY stream_id"""
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [[], [], [], [], []]
    postgres(
        cursor,
        """DELETE FROM series_newest WHERE stream_id = ANY ({ids}::int[]);
           INSERT INTO series_newest (stream_id, t, v, q, load_id)
           SELECT * FROM unnest({s}::int[], {t}::timestamptz[], {v}::float8[], {q}::smallint[],
                                {l}::bigint[])""",
        ids=[int(i) for i in ids],
        s=list(columns[0]),
        t=list(columns[1]),
        v=list(columns[2]),
        q=list(columns[3]),
        l=list(columns[4]),
    )


def literal(value: datetime | int | str) -> str:
    """A value as PostgreSQL and DuckDB text; only for instants and numbers of ours."""
    if isinstance(value, datetime):
        return f"'{value.isoformat()}'::timestamptz"
    return sql.Literal(value).as_string(None)


def from_duckdb(cursor: duckdb.DuckDBPyConnection, query: str, into: str) -> int:
    """Keep a query's answer in a temporary table; its size."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {into} AS {query}")
    return _count(cursor, into)


def _count(cursor: duckdb.DuckDBPyConnection, relation: str) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {relation}").fetchone()
    return row[0] if row else 0


def _delete(cursor: duckdb.DuckDBPyConnection, table: str, layout: Layout, which: str) -> None:
    cursor.execute(f"DELETE FROM {table} b USING {which} gone WHERE {layout.same_key('b', 'gone')}")
