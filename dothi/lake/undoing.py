"""Taking loads out, and ending what was ended between the lake's commit and PostgreSQL's.

The lake commits first (docs/adr/0004-one-snapshot.md). What is about to be done is written down
before: a load as `pending`, an undoing as a row of `undoing`. Under the writer's lock nobody is in
the middle of either, so what is found there is a leftover: a pending load is written down to be
taken back, an undoing is ended. Every writer does that first in its dataset, the worker in all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import duckdb
import psycopg
from psycopg.types.json import Jsonb

from dothi.kernel.errors import Conflict, DothiError, NotFound, Unavailable
from dothi.lake import head, history, registry, unended
from dothi.lake.body import METADATA_SCHEMA, TRIES, Body
from dothi.lake.commit import committed_payload
from dothi.lake.head import SERIES
from dothi.lake.layout import Layout, layout
from dothi.lake.registry import Dataset
from dothi.lake.span import cover_of
from dothi.store.database import RETRY, Connection, Database, own_sql

Keys = Iterable[Sequence[Any]]
Stretch = tuple[int, datetime, datetime]
"""A stream, the first and the last instant."""
Statement = tuple[str, tuple[Any, ...]]
"""A statement and its values."""

log = logging.getLogger(__name__)


class Undoing:
    """The one way in which rows of a load leave the store."""

    def __init__(self, db: Database, body: Body) -> None:
        self._db = db
        self._body = body

    def undo(self, load_id: int, actor: str | None) -> None:
        """As `Lake.undo`."""
        with self._db.transaction() as conn:
            dataset = _committed(conn, load_id)
        for attempt in range(TRIES):
            try:
                if self._undo_in_head(dataset, load_id, actor):
                    return
                break
            except RETRY:
                if attempt == TRIES - 1:
                    raise
        with self._body.writer_lock():
            self.end_leftovers_of(dataset.id)
            touched = self._write_down(dataset, load_id, actor)
            try:
                self._end_undoings(dataset)
            except (DothiError, duckdb.Error, psycopg.Error):
                # Where the lake has not committed, it was not done and will not be.
                with suppress(DothiError, duckdb.Error, psycopg.Error):
                    self._forget(dataset, touched)
                raise

    def end_leftovers(self) -> int:
        """End what was begun and not ended; how many. The caller holds the writer's lock.

        A dataset where that fails does not keep the others waiting: it is written down as unended.
        """
        with self._db.transaction() as conn:
            waiting = {one.dataset_id for one in unended.unended(conn)}
            found = conn.execute(
                """SELECT dataset_id FROM load WHERE state = 'pending'
                   UNION SELECT dataset_id FROM undoing JOIN load ON load.id = load_id ORDER BY 1"""
            )
            left = [dataset_id for (dataset_id,) in found.fetchall()]
            unended.clear(conn, sorted(waiting.difference(left)))
        count = 0
        for dataset_id in left:
            with suppress(unended.UnendedError):
                count += self.end_leftovers_of(dataset_id)
        return count

    def end_leftovers_of(self, dataset_id: int) -> int:
        """As `end_leftovers`, of one dataset. Raises Unavailable where something cannot be ended."""
        with self._db.transaction() as conn:
            dataset = registry.get(conn, dataset_id)
        try:
            count = self._end(dataset)
        except Unavailable:
            raise  # the database is away: that says nothing about the leftover
        except (DothiError, duckdb.Error, psycopg.Error) as error:
            with self._db.transaction() as conn:
                first = unended.note(conn, dataset_id, error)
            if first:
                log.exception("%s: what a load or its undoing left cannot be ended", dataset.name)
            raise unended.refusal(dataset.name) from error
        if count:
            with self._db.transaction() as conn:
                unended.clear(conn, [dataset_id])
        return count

    def _end(self, dataset: Dataset) -> int:
        with self._db.transaction() as conn:
            pending = conn.execute(
                """SELECT id FROM load WHERE state = 'pending' AND dataset_id = %s
                   AND NOT EXISTS (SELECT FROM undoing WHERE load_id = load.id)""",
                (dataset.id,),
            ).fetchall()
        for (load_id,) in pending:
            self._give_up(dataset, load_id)
        return self._end_undoings(dataset)

    def _give_up(self, dataset: Dataset, load_id: int) -> None:
        """Write down that a load is to be taken back: who computes may have seen its rows."""
        with self._db.transaction() as conn:
            # Its own process, should it be alive without the lock, commits before this or not at all.
            mine = conn.execute(
                "UPDATE load SET undone_at = clock_timestamp() WHERE id = %s AND state = 'pending'",
                (load_id,),
            ).rowcount
            if mine:
                self._note(conn, dataset, load_id, None)

    # -- all in PostgreSQL ------------------------------------------------------------------------

    def _undo_in_head(self, dataset: Dataset, load_id: int, actor: str | None) -> bool:
        """Take the load out where all of its dataset stands in the head; False where it does not."""
        place = layout(dataset)
        with self._db.transaction() as conn:
            # No close can commit from here on.
            conn.execute("SELECT FROM dataset WHERE id = %s FOR SHARE", (dataset.id,))
            if _in_body(conn, place):
                return False
            conn.execute("SELECT FROM load WHERE id = %s FOR UPDATE", (load_id,))
            for number in _to_take_out(conn, load_id):
                touched = conn.execute(own_sql(head.touched_by(place.shape, number))).fetchall()
                for statement in head.undo(place.shape, number):
                    conn.execute(own_sql(statement))
                reach = _reach(place, touched)
                if reach:
                    head.refresh_newest(conn, [stream_id for stream_id, *_ in reach])
                payload = _payload(number, dataset, len(touched), reach)
                for text, values in _undone(dataset, number, actor, payload):
                    conn.execute(own_sql(text), values)
        return True

    # -- head and body ----------------------------------------------------------------------------

    def _write_down(self, dataset: Dataset, load_id: int, actor: str | None) -> dict[int, int]:
        """Keep what is about to be taken out, its spans above all: afterwards nobody could tell.

        Returns how many versions of each load the body holds.
        """
        place = layout(dataset)
        in_body: dict[int, int] = {}
        with self._db.transaction() as conn:
            # Who decides about its contradictions has done so before this, or finds it going.
            conn.execute("SELECT FROM load WHERE id = %s FOR UPDATE", (load_id,))
            for number in _to_take_out(conn, load_id):
                in_body[number] = self._versions(place, number)
                self._note(conn, dataset, number, actor)
        return in_body

    def _note(self, conn: Connection, dataset: Dataset, load_id: int, actor: str | None) -> None:
        with self._body.snapshot() as cursor:
            count, reach = history.will_change(cursor, layout(dataset), load_id)
        conn.execute(
            "INSERT INTO undoing (load_id, actor, streams, payload) VALUES (%s, %s, %s, %s)",
            (
                load_id, actor, [stream_id for stream_id, *_ in reach],
                Jsonb(_payload(load_id, dataset, count, reach)),
            ),
        )  # fmt: skip

    def _versions(self, place: Layout, load_id: int) -> int:
        with self._body.snapshot() as cursor:
            if not history.is_there(cursor, place):
                return 0
            counts = [
                cursor.execute(
                    f"SELECT count(*) FROM {table} WHERE {place.load} = {load_id:d}"
                ).fetchone()
                for table in (place.table, place.past)
            ]
            return sum(row[0] for row in counts if row)

    def _end_undoings(self, dataset: Dataset) -> int:
        """Do what is written down for a dataset, the newest load first."""
        with self._db.transaction() as conn:
            work = conn.execute(
                "SELECT load_id, u.actor, streams, payload, state FROM undoing u "
                "JOIN load ON load.id = load_id WHERE dataset_id = %s ORDER BY load_id DESC",
                (dataset.id,),
            ).fetchall()
        if not work:
            return 0
        place = layout(dataset)

        def all_at_once(cursor: duckdb.DuckDBPyConnection) -> None:
            for number, actor, streams, payload, state in work:
                history.undo(cursor, place, number)
                if streams:
                    history.newest_of_both(cursor, place.table, streams)
                ends = (
                    _taken_back(dataset, number, payload)
                    if state == "pending"
                    else _undone(dataset, number, actor, payload)
                )
                for text, values in ends:
                    names = [f"v{i}" for i in range(len(values))]
                    for name in names:
                        text = text.replace("%s", f"{{{name}}}", 1)
                    history.postgres(cursor, text, **dict(zip(names, values, strict=True)))

        self._body.write(all_at_once)
        return len(work)

    def _forget(self, dataset: Dataset, in_body: dict[int, int]) -> None:
        place = layout(dataset)
        if all(self._versions(place, number) == count for number, count in in_body.items()):
            with self._db.transaction() as conn:
                conn.execute("DELETE FROM undoing WHERE load_id = ANY (%s)", (list(in_body),))


def taken_out_with(conn: Connection, load_id: int) -> list[int]:
    """The loads that undoing one takes out, the newest first: decisions about its contradictions,
    then itself. Those that are out already are not among them."""
    found = conn.execute(
        """SELECT id FROM load WHERE state = 'committed' AND id = %(id)s
           UNION SELECT id FROM load WHERE state = 'committed'
               AND door = 'decision' AND (report->>'of_load')::bigint = %(id)s
           ORDER BY id DESC""",
        {"id": load_id},
    ).fetchall()
    return [number for (number,) in found]


def _committed(conn: Connection, load_id: int) -> Dataset:
    row = conn.execute("SELECT dataset_id, state FROM load WHERE id = %s", (load_id,)).fetchone()
    if row is None:
        raise NotFound("lake.no_load", id=load_id)
    if row[1] != "committed":
        raise Conflict("lake.load_undone", id=load_id)
    return registry.get(conn, row[0])


def _to_take_out(conn: Connection, load_id: int) -> list[int]:
    numbers = taken_out_with(conn, load_id)
    if load_id not in numbers:
        raise Conflict("lake.load_undone", id=load_id)
    return numbers


def _in_body(conn: Connection, place: Layout) -> bool:
    """Whether the body may hold rows of the dataset; also those that a close left there."""
    if registry.body_until(conn, [place.dataset_id])[place.dataset_id] is not None:
        return True
    tables = f"{METADATA_SCHEMA}.ducklake_table"
    if conn.execute("SELECT to_regclass(%s)", (tables,)).fetchone() == (None,):
        return False
    found = conn.execute(
        own_sql(f"SELECT FROM {tables} WHERE table_name = %s AND end_snapshot IS NULL"),
        (place.table.rpartition(".")[2],),
    )
    return found.fetchone() is not None


def _reach(place: Layout, keys: Keys) -> list[Stretch]:
    """The first and the last of the instants of each stream; of records nothing."""
    reach: dict[int, tuple[datetime, datetime]] = {}
    if place.shape is SERIES:
        for stream_id, t in keys:
            first, last = reach.get(stream_id, (t, t))
            reach[stream_id] = min(first, t), max(last, t)
    return [(stream_id, *ends) for stream_id, ends in reach.items()]


def _payload(
    load_id: int, dataset: Dataset, count: int, reach: Sequence[Stretch]
) -> dict[str, Any]:
    return committed_payload(load_id, dataset.id, "undo", count, *cover_of(reach))


def _told(dataset: Dataset, actor: str | None, payload: dict[str, Any]) -> Statement:
    return (
        "INSERT INTO event (kind, subject, actor, payload) "
        "VALUES ('data.undone', %s, %s, %s::jsonb)",
        (str(dataset.id), actor, Jsonb(payload)),
    )


def _taken_back(dataset: Dataset, load_id: int, payload: dict[str, Any]) -> list[Statement]:
    """What ends a load that never was."""
    told = [_told(dataset, None, payload)] if payload["rows"] else []
    return [*told, ("DELETE FROM load WHERE id = %s", (load_id,))]


def _undone(
    dataset: Dataset, load_id: int, actor: str | None, payload: dict[str, Any]
) -> list[Statement]:
    detail = {"dataset": dataset.name, "load": load_id, "rows": payload["rows"]}
    return [
        (
            "UPDATE load SET state = 'undone', undone_at = clock_timestamp(), undone_by = %s "
            "WHERE id = %s",
            (actor, load_id),
        ),
        ("DELETE FROM undoing WHERE load_id = %s", (load_id,)),
        (
            "DELETE FROM conflict WHERE load_id = %s AND decided_at IS NULL",
            (load_id,),
        ),
        (
            # A decision that is taken back: the contradiction waits again.
            "UPDATE conflict SET decision = NULL, decided_by = NULL, decided_at = NULL "
            "WHERE (decision->>'load')::bigint = %s",
            (load_id,),
        ),
        _told(dataset, actor, payload),
        (
            "INSERT INTO event (kind, subject, actor, payload) "
            "VALUES ('audit.load.undone', %s, %s, %s::jsonb)",
            (f"load:{load_id}", actor, Jsonb(detail)),
        ),
    ]
