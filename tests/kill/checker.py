"""Compares the ledger with what the product holds, and the product's parts with one another.

Every finding is one sentence; a product that lost or doubled nothing gives an empty list.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dothi.identity import audit, heads
from dothi.identity.heads import HEADS_KEY, heads_file
from dothi.indicators.recompute import CURSOR, KINDS, Recomputer
from dothi.lake import registry
from dothi.lake.layout import layout
from dothi.lake.read import View
from dothi.lake.service import Lake
from dothi.reactions import REACTIONS
from dothi.store.database import Connection, Database, own_sql
from dothi.store.events import read as read_events
from dothi.store.home import Home
from tests.kill.ledger import Book, Request

DATASET = "air_quality"
SHOWN = 5


def check(home: Home, db: Database, book: Book) -> list[str]:
    """Everything that is wrong. Run it when nothing writes and the worker has caught up."""
    lake = Lake(db, home.lake, threads=1)
    try:
        return [*rows(lake, book), *parts(home, db), *figures(db, lake)]
    finally:
        lake.close()


# -- the ledger against the store -----------------------------------------------------------------


def rows(lake: Lake, book: Book) -> Iterator[str]:
    """Every acknowledged value once, with its last value, from the load that was named."""
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, DATASET)
        things = registry.things(conn, dataset)
        streams = [
            (s.id, things[s.thing_id].key[0], s.parameter)
            for s in registry.streams(conn, dataset).values()
        ]
        loads = _loads(conn, book)
        told = _told(conn, dataset.id)
    yield from loads.faults
    with tempfile.TemporaryDirectory() as name, lake.view() as view:
        folder = Path(name)
        _write(folder / "streams.csv", ("stream_id", "station", "parameter"), streams)
        _write(folder / "expected.csv", _COLUMNS, _expected(book, loads.of))
        for table in ("streams", "expected"):
            view.execute(
                f"CREATE OR REPLACE TEMP TABLE {table} AS "
                f"SELECT * FROM read_csv('{folder / table}.csv', header = true, types = "
                "{'station': 'VARCHAR', 'parameter': 'VARCHAR'"
                + (", 't': 'TIMESTAMPTZ', 'v': 'DOUBLE'" if table == "expected" else "")
                + "})"
            )
        view.execute(
            f"CREATE OR REPLACE TEMP TABLE stored AS SELECT stream_id, t, v, load_id "
            f"FROM {view.series(dataset)}"
        )
        yield from _compare(view)
        yield from _past(view, layout(dataset).past, lake, book)
        (count,) = view.execute("SELECT count(*) FROM stored").fetchone() or (0,)
    if count != told:
        yield f"{count} rows are stored, the loads say that they brought {told}"


_COLUMNS = ("number", "open", "load_id", "station", "parameter", "t", "v")


def _expected(book: Book, loads: dict[int, int]) -> Iterator[tuple[object, ...]]:
    """The values the store has to hold, and those of requests whose fate is open."""
    corrected = {r.first for n, r in book.asked.items() if r.corrects and n in book.acked}
    for number, request in book.asked.items():
        is_open = number not in book.acked
        if number in corrected or (is_open and request.corrects):
            continue
        for station, parameter, t, v in request.values(book.day):
            yield number, is_open, loads.get(number, -1), station, parameter, t.isoformat(), v


def _compare(view: View) -> Iterator[str]:
    view.execute("""CREATE OR REPLACE TEMP TABLE met AS
        SELECT e.*, s.stream_id, o.v AS stored, o.load_id AS stored_load, o.t AS stored_t
        FROM expected e LEFT JOIN streams s USING (station, parameter)
        LEFT JOIN stored o ON o.stream_id = s.stream_id AND o.t = e.t""")
    wrong = {
        "stands more than once": """SELECT min(load_id), stream_id, t FROM stored
            GROUP BY stream_id, t HAVING count(*) > 1""",
        "was acknowledged and is lost": """SELECT number, station, t FROM met
            WHERE NOT open AND stored_t IS NULL""",
        "has another value than the acknowledged one": """SELECT number, station, t, v, stored
            FROM met WHERE NOT open AND stored_t IS NOT NULL AND stored IS DISTINCT FROM v""",
        "comes from another load than the acknowledged one": """SELECT number, load_id, stored_load
            FROM met WHERE NOT open AND load_id <> -1 AND stored_load <> load_id""",
        "was never sent": """SELECT o.load_id, o.stream_id, o.t FROM stored o
            ANTI JOIN met m ON m.stream_id = o.stream_id AND m.t = o.t""",
        "is half of a request": """SELECT number, count(stored_t), count(*), bool_and(stored = v)
            FROM met WHERE open GROUP BY number
            HAVING count(stored_t) NOT IN (0, count(*)) OR NOT coalesce(bool_and(stored = v), true)
                OR count(DISTINCT stored_load) > 1""",
    }
    for what, query in wrong.items():
        found = view.execute(query).fetchall()
        for row in found[:SHOWN]:
            yield f"{what}: {tuple(str(part) for part in row)}"
        if len(found) > SHOWN:
            yield f"{what}: {len(found)} in all"


def _past(view: View, past: str, lake: Lake, book: Book) -> Iterator[str]:
    """A corrected value has one version before it, any other none."""
    in_body = view.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = $1",
        [past.rpartition(".")[2]],
    ).fetchone()
    versions = (
        [view.execute(f"SELECT stream_id, t FROM {past}").fetchall()] if in_body != (0,) else []
    )
    with lake.db.snapshot() as conn:
        versions.append(
            conn.execute(
                "SELECT stream_id, t FROM series_past JOIN stream ON stream.id = stream_id "
                "JOIN dataset d ON d.id = dataset_id WHERE d.name = %s", (DATASET,),
            ).fetchall()
        )  # fmt: skip
    found = [version for part in versions for version in part]
    expected = sum(r.rows for n, r in book.asked.items() if r.corrects and n in book.acked)
    if len(found) != len(set(found)) or len(found) != expected:
        yield (
            f"{len(found)} older versions ({len(set(found))} keys), {expected} values were corrected"
        )


class _loads:
    """The loads of requests: acknowledged ones by number, and what is wrong with them."""

    def __init__(self, conn: Connection, book: Book) -> None:
        self.faults: list[str] = []
        self.of: dict[int, int] = {}
        stored = {
            row[0]: row[1:]
            for row in conn.execute(
                "SELECT l.id, state, rows_in, rows_new, rows_changed, rows_same, rows_rejected, "
                "coalesce(i.key, file_name), door FROM load l LEFT JOIN idempotency i "
                "ON i.load_id = l.id WHERE door IN ('http', 'file')"
            )
        }
        by_name: dict[str, list[int]] = {}
        for number, row in stored.items():
            by_name.setdefault(row[6], []).append(number)
        for number, request in book.asked.items():
            name = f"request-{number}" if request.door == "http" else f"{number}.csv"
            mine = by_name.pop(name, [])
            if len(mine) > 1:
                self.faults.append(f"request {number} has {len(mine)} loads")
            if ack := book.acked.get(number):
                if ack.load not in (-1, *mine) or not mine:
                    self.faults.append(
                        f"request {number}: acknowledged load {ack.load}, has {mine}"
                    )
                self.of[number] = mine[0] if mine else ack.load
            for load in mine:
                self._count(request, load, stored[load])
        self.faults += [f"load {name} belongs to no request" for name in list(by_name)[:SHOWN]]

    def _count(self, request: Request, load: int, row: tuple[object, ...]) -> None:
        values = request.rows * request.columns
        new, changed = (0, values) if request.corrects else (values, 0)
        if row[:6] != ("committed", request.rows, new, changed, 0, 0):
            self.faults.append(f"load {load} of request {request.number} says {row}")


def _told(conn: Connection, dataset_id: int) -> int:
    row = conn.execute(
        "SELECT coalesce(sum(rows_new - rows_removed), 0) FROM load "
        "WHERE dataset_id = %s AND state = 'committed'", (dataset_id,),
    ).fetchone()  # fmt: skip
    assert row is not None
    return row[0]


def _write(path: Path, names: tuple[str, ...], lines: object) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(lines)  # type: ignore[arg-type]


# -- the product's parts among one another --------------------------------------------------------


def parts(home: Home, db: Database) -> Iterator[str]:
    """Loads, events, cursors, rungs, reactions and the audit trail agree."""
    with db.snapshot() as conn:
        for what, query in _NEVER.items():
            found = conn.execute(own_sql(query)).fetchall()
            if found:
                yield f"{what}: {len(found)}, first {[tuple(map(str, r)) for r in found[:SHOWN]]}"
        for name, kinds in _cursors():
            if waiting := unread(conn, name, kinds):
                yield f"cursor {name} has left {waiting} events"
    with db.snapshot() as conn:
        report = heads.verify(conn, heads_file(home.path), home.secret(HEADS_KEY).encode())
    for flaw in report.flaws:
        yield f"audit trail: {flaw}"


_NEVER = {
    "loads still pending": "SELECT id FROM load WHERE state = 'pending'",
    "loads without exactly one event": """
        SELECT l.id, count(e.id) FROM load l LEFT JOIN event e
            ON e.kind = 'data.committed' AND (e.payload->>'load')::bigint = l.id
        GROUP BY l.id HAVING count(e.id) <> 1""",
    "events of no load": """
        SELECT e.id FROM event e WHERE kind = 'data.committed' AND NOT EXISTS (
            SELECT FROM load l WHERE l.id = (e.payload->>'load')::bigint)""",
    "requests of no load": """
        SELECT key FROM idempotency i WHERE NOT EXISTS (
            SELECT FROM load l WHERE l.id = i.load_id AND state = 'committed')""",
    "rungs due and not fired": """
        SELECT work_id, name FROM work_rung
        WHERE fired_at IS NULL AND due_at < clock_timestamp() - interval '3 s'""",
    "rungs without exactly one event and one line of history": """
        SELECT i.code, r.name, count(DISTINCT e.id), count(DISTINCT h.id)
        FROM work_rung r JOIN work_item i ON i.id = r.work_id
        LEFT JOIN event e ON e.kind = 'work.rung' AND e.subject = 'work:' || i.code
            AND e.payload->>'rung' = r.name
        LEFT JOIN work_history h ON h.work_id = i.id AND h.what = 'rung'
            AND h.detail->>'rung' = r.name
        GROUP BY i.code, r.name, r.fired_at
        HAVING (count(DISTINCT e.id), count(DISTINCT h.id)) <>
            CASE WHEN r.fired_at IS NULL THEN (0::bigint, 0::bigint) ELSE (1::bigint, 1::bigint) END""",
    "limits passed without exactly one work item or line of history": """
        SELECT said.n, done.n FROM
            (SELECT count(*) AS n FROM event
             WHERE kind = 'indicator.threshold' AND payload->>'direction' = 'up') said,
            (SELECT count(*) AS n FROM event WHERE kind IN ('work.opened', 'work.raised')
             AND payload->>'service' = 'environment') done
        WHERE said.n <> done.n""",
    "acts not sealed exactly once": """
        SELECT e.id, count(a.seq) FROM event e LEFT JOIN audit_entry a ON a.event_id = e.id
        WHERE e.kind LIKE 'audit.%' GROUP BY e.id HAVING count(a.seq) <> 1""",
    "keys that stand twice in the head": """
        SELECT stream_id, t FROM series_head GROUP BY stream_id, t HAVING count(*) > 1""",
}


def _cursors() -> list[tuple[str, tuple[str, ...]]]:
    own = [*REACTIONS, audit.CURSOR]
    return [(cursor.name, cursor.kinds) for cursor in own] + [(CURSOR, KINDS)]


def unread(conn: Connection, name: str, kinds: tuple[str, ...]) -> int:
    """How many events a cursor has still to read (counted up to 1,000)."""
    row = conn.execute(
        "SELECT tx::text::bigint, id FROM event_cursor WHERE name = %s", (name,)
    ).fetchone()
    return len(read_events(conn, (row[0], row[1]) if row else (0, 0), limit=1_000, kinds=kinds))


def caught_up(db: Database) -> bool:
    """Has every cursor read everything, and every rung that is due fired?

    An event that an open transaction keeps from the cursors is not read either.
    """
    with db.transaction() as conn:
        hidden = conn.execute(
            "SELECT EXISTS (SELECT FROM event WHERE tx >= pg_snapshot_xmin(pg_current_snapshot()))"
        ).fetchone()
        if hidden != (False,):
            return False
        late = conn.execute(
            "SELECT EXISTS (SELECT FROM work_rung WHERE fired_at IS NULL "
            "AND due_at < clock_timestamp())"
        ).fetchone()
        return late == (False,) and not any(unread(conn, name, kinds) for name, kinds in _cursors())


def figures(db: Database, lake: Lake) -> Iterator[str]:
    """Indicators that followed event by event equal a full recompute."""
    with db.transaction() as conn:
        series = "SELECT name FROM indicator WHERE active AND kind = 'indicator'"
        names = [row[0] for row in conn.execute(series)]
    for name in names:
        before = _figures(lake, name)
        Recomputer(db, lake).compute_all(name)
        after = _figures(lake, name)
        # The order of summing moves the last of the seven decimals that are kept.
        other = [
            key for key in before.keys() | after.keys()
            if key not in before or key not in after or abs(before[key] - after[key]) > 2e-7
        ]  # fmt: skip
        if other:
            yield f"indicator {name} had {len(other)} figures that a full recompute changes"


def _figures(lake: Lake, name: str) -> dict[tuple[int, object], float]:
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
    with lake.view() as view:
        found = view.execute(
            f"SELECT stream_id, t, v FROM {view.series(dataset)} WHERE v IS NOT NULL"
        ).fetchall()
    return {(stream, t): v for stream, t, v in found}
