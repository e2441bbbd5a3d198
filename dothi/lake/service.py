"""The shared store as the other rooms use it: commit, read, close, undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from psycopg.types.json import Jsonb

from dothi.kernel.errors import Conflict, DothiError, NotFound, StorageFull
from dothi.lake import head, history, registry
from dothi.lake.body import CATALOGUE, Body
from dothi.lake.commit import (
    TRIES,
    Committer,
    book_details,
    committed_payload,
    confirms,
    rows_in,
    same_file,
)
from dothi.lake.head import SERIES
from dothi.lake.layout import Layout, layout
from dothi.lake.model import Batch, Outcome, Reach, Span, StagedRows
from dothi.lake.points import Points
from dothi.lake.read import View
from dothi.lake.span import MOST_SPANS
from dothi.store.database import SCHEMA, Connection, Database, own_sql
from dothi.store.events import Doorbell

DUCKDB_RETRY = ("could not serialize access", "deadlock detected", "transaction conflict")


class Lake:
    """The one store. `folder` holds the Parquet files; every process of a home shares it."""

    def __init__(
        self,
        db: Database,
        folder: Path,
        *,
        bell: Doorbell | None = None,
        may_write: Callable[[], bool] = lambda: True,
        threads: int = 2,
        memory: str = "1GB",
    ) -> None:
        self.db = db
        self.body = Body(db, folder, threads=threads, memory=memory)
        self.points = Points(db, self.body)
        self._bell = bell
        self._may_write = may_write
        self.firsts: dict[int, tuple[float, datetime | None]] = {}
        """The oldest instant of streams that charts asked for, and when it was looked up."""
        self._streams: dict[int, dict[registry.StreamName, int]] = {}
        self._committer = Committer(db, self.body, bell, may_write)

    def close(self) -> None:
        """Commit what waits and let go of the engine."""
        self._committer.close()
        self.body.close()

    # -- in ---------------------------------------------------------------------------------------

    def submit(self, batch: Batch) -> Future[Outcome]:
        """Hand over a batch held in memory; the future is set once it is durable."""
        return self._committer.submit(batch)

    def commit(self, batch: Batch) -> Outcome:
        """Store a batch: all of it or nothing, exactly once; returns after the commit.

        Raises StorageFull at the disk's reserve, IdempotencyMismatch and Conflict as they are
        named, Unavailable when the database is away.
        """
        if isinstance(batch.rows, StagedRows):
            return self._commit_staged(batch, batch.rows)
        return self.submit(batch).result()

    def commit_with(self, batch: Batch, then: Callable[[Connection, Outcome], None]) -> Outcome:
        """As `commit`, for a batch held in memory, with what must become true at the same instant.

        `then` writes in the batch's transaction; what it raises takes the batch back too.
        """
        return self._committer.together(batch, then)

    def _commit_staged(self, batch: Batch, rows: StagedRows) -> Outcome:
        if not self._may_write():
            raise StorageFull("lake.disk_full")
        # From booking to commit, so that `drop_pending` never meets a load that is still running,
        # and of two loads of one file the second finds the first.
        with self.body.writer_lock():
            return self._commit_locked(batch, rows)

    def _commit_locked(self, batch: Batch, rows: StagedRows) -> Outcome:
        source = batch.source
        self._take_back_pending()
        with self.db.transaction() as conn:
            place = layout(registry.get(conn, batch.dataset_id))
            if source.file_sha256 is not None and (
                before := same_file(conn, batch.dataset_id, source.file_sha256)
            ):
                return before
            load_id = self._book_pending(conn, batch)
        staged = rows.relation

        def work(cursor: duckdb.DuckDBPyConnection) -> Outcome:
            reach: Sequence[Reach] = ()
            spans, t_min, t_max = None, None, None
            if place.shape is SERIES:
                reach = rows.reach or history.reach_of(cursor, staged)
                spans, t_min, t_max = _cover([r[:3] for r in reach], batch.replaces)
            moved = history.bulk(
                cursor, place, rows, reach, load_id,
                confirm=confirms(source), replaces=batch.replaces, snapshot=batch.snapshot,
            )  # fmt: skip
            history.renew_newest(cursor, reach, load_id)
            if moved.removed and place.shape is SERIES:
                _renew_newest(cursor, place.table, [s.stream_id for s in batch.replaces])
            payload = committed_payload(
                load_id, batch.dataset_id, source.door, len(rows), spans, t_min, t_max
            )
            history.postgres(
                cursor,
                """UPDATE load SET state = 'committed', at = clock_timestamp(), rows_new = {new},
                       rows_changed = {changed},
                       rows_same = {same}, rows_removed = {removed}, t_min = {t_min}, t_max = {t_max}
                   WHERE id = {id};
                   INSERT INTO event (kind, subject, payload)
                   VALUES ('data.committed', {subject}, {payload}::jsonb)""",
                new=moved.new, changed=moved.changed, same=moved.same, removed=moved.removed,
                t_min=t_min, t_max=t_max, id=load_id, subject=str(batch.dataset_id),
                payload=Jsonb(payload),
            )  # fmt: skip
            return Outcome(
                load_id, moved.new, moved.changed, moved.same, moved.removed, len(batch.rejects)
            )

        try:
            return self._write(work, rows.body, locked=True)
        except BaseException:
            # Where not even that can be done, whoever writes next does it.
            with suppress(DothiError, duckdb.Error):
                self._take_back_pending()
            raise

    def stream_ids(
        self, dataset: registry.Dataset, names: Iterable[registry.StreamName]
    ) -> dict[registry.StreamName, int]:
        """The numbers of streams, made where they are new; known ones without asking."""
        known = self._streams.setdefault(dataset.id, {})
        wanted = set(names)
        if not wanted <= known.keys():
            with self.db.transaction() as conn:
                known.update(registry.stream_ids(conn, dataset, wanted - known.keys()))
        return {name: known[name] for name in wanted}

    def _book_pending(self, conn: Connection, batch: Batch) -> int:
        source = batch.source
        row = conn.execute(
            """INSERT INTO load (dataset_id, door, actor, agency_id, state, file_name, file_sha256,
                   file_bytes, rows_in, rows_rejected, report)
               VALUES (%s,%s,%s,%s,'pending',%s,%s,%s,%s,%s,%s) RETURNING id""",
            (
                batch.dataset_id, source.door, source.actor, source.agency_id, source.file_name,
                source.file_sha256, source.file_bytes,
                rows_in(batch), len(batch.rejects),
                Jsonb(batch.report),
            ),
        ).fetchone()  # fmt: skip
        assert row is not None
        book_details(conn, row[0], batch)
        return row[0]

    # -- out --------------------------------------------------------------------------------------

    @contextmanager
    def view(self) -> Iterator[View]:
        """Head and body as one, at one instant, for any number of queries."""
        with self.body.snapshot() as cursor:
            yield View(cursor)

    # -- moving and taking out --------------------------------------------------------------------

    def close_days(self, dataset_id: int, until: datetime) -> int:
        """Move rows before an instant from the head to the body; the number moved.

        Of records those move whose load is older than the instant.
        """
        with self.db.transaction() as conn:
            place = layout(registry.get(conn, dataset_id))
            if place.shape is SERIES:
                where = f"t < {history.literal(until)}"
            else:
                row = conn.execute(
                    "SELECT max(id) FROM load WHERE dataset_id = %s AND at < %s",
                    (dataset_id, until),
                ).fetchone()
                if row is None or row[0] is None:
                    return 0
                where = f"load_id <= {row[0]:d}"
            ready = conn.execute(
                own_sql(
                    f"SELECT EXISTS (SELECT FROM {place.shape.head} "
                    f"WHERE {place.mine()} AND {where})"
                )
            ).fetchone()
            if ready is None or not ready[0]:
                return 0

        def work(cursor: duckdb.DuckDBPyConnection) -> int:
            moved = history.move_head(cursor, place, where)
            if moved:
                history.postgres(
                    cursor,
                    "INSERT INTO event (kind, subject, payload) "
                    "VALUES ('lake.closed', {subject}, {payload}::jsonb)",
                    subject=str(dataset_id),
                    payload=Jsonb({"dataset": dataset_id, "rows": moved}),
                )
            return moved

        return self._write(work)

    def undo(self, load_id: int, *, actor: str | None = None) -> None:
        """Take a load out: its rows go, what they had replaced comes back. Nothing else changes.

        What was decided about its contradictions goes with it: the values chosen were its own.

        Raises NotFound for no such load, Conflict when it is out already.
        """
        with self.db.transaction() as conn:
            row = conn.execute("SELECT dataset_id, state FROM load WHERE id = %s", (load_id,))
            found = row.fetchone()
            if found is None:
                raise NotFound("lake.no_load", id=load_id)
            if found[1] != "committed":
                raise Conflict("lake.load_undone", id=load_id)
            dataset = registry.get(conn, found[0])
            in_body = registry.body_until(conn, [dataset.id])[dataset.id] is not None
        if in_body:
            self._write(lambda cursor: self._undo_everywhere(cursor, dataset, load_id, actor))
        else:
            self._undo_in_head(dataset, load_id, actor)
        if self._bell is not None:
            self._bell.ring()

    def _undo_in_head(self, dataset: registry.Dataset, load_id: int, actor: str | None) -> None:
        place = layout(dataset)
        with self.db.transaction() as conn:
            conn.execute("SELECT FROM load WHERE id = %s FOR UPDATE", (load_id,))
            numbers = taken_out_with(conn, load_id)
            if load_id not in numbers:
                raise Conflict("lake.load_undone", id=load_id)
            for number in numbers:
                touched = conn.execute(own_sql(head.touched_by(place.shape, number))).fetchall()
                for statement in head.undo(place.shape, number):
                    conn.execute(own_sql(statement))
                spans, t_min, t_max = None, None, None
                if place.shape is SERIES and touched:
                    spans, t_min, t_max = _spans_of(touched)
                    head.refresh_newest(conn, [s for s, _ in touched])
                for text, values in _undone(
                    dataset, number, actor, len(touched), spans, t_min, t_max
                ):
                    conn.execute(own_sql(text), values)

    def _undo_everywhere(
        self,
        cursor: duckdb.DuckDBPyConnection,
        dataset: registry.Dataset,
        load_id: int,
        actor: str | None,
    ) -> None:
        found = cursor.execute(
            "SELECT * FROM postgres_query(?, ?)", [CATALOGUE, _taken_out_with(load_id)]
        ).fetchall()
        numbers = [number for (number,) in found]
        if load_id not in numbers:
            raise Conflict("lake.load_undone", id=load_id)
        for number in numbers:
            self._undo_one(cursor, dataset, number, actor)

    def _undo_one(
        self,
        cursor: duckdb.DuckDBPyConnection,
        dataset: registry.Dataset,
        load_id: int,
        actor: str | None,
    ) -> None:
        place = layout(dataset)
        for statement in place.create():
            cursor.execute(statement)
        keys = ", ".join(place.key)
        history.from_postgres(
            cursor,
            head.touched_by(place.shape, load_id).replace("FROM ", f"FROM {SCHEMA}."),
            "touched_head",
        )
        touched = "touched"
        count = history.from_duckdb(
            cursor,
            f"""SELECT {keys} FROM {place.table} WHERE {place.load} = {load_id:d}
                UNION SELECT {keys} FROM {place.past}
                WHERE {place.load} = {load_id:d} AND {place.quality} = {history.WITHDRAWN}
                UNION SELECT {"*" if place.shape is SERIES else "key"} FROM touched_head""",
            touched,
        )
        spans, t_min, t_max = _extent(cursor, touched, place.shape is SERIES)
        ids = []
        if place.shape is SERIES:
            ids = [
                s for (s,) in cursor.execute("SELECT DISTINCT stream_id FROM touched").fetchall()
            ]
        history.undo(cursor, place, load_id)
        if ids:
            _renew_newest(cursor, place.table, ids)
        for text, values in _undone(dataset, load_id, actor, count, spans, t_min, t_max):
            names = [f"v{i}" for i in range(len(values))]
            for name in names:
                text = text.replace("%s", f"{{{name}}}", 1)
            history.postgres(cursor, text, **dict(zip(names, values, strict=True)))

    def maintain(self) -> dict[str, int]:
        """Merge small files and drop what nobody needs; how many files were merged, deleted."""
        return self.body.maintain()

    def drop_pending(self) -> int:
        """Take back loads that a kill left unfinished; their number."""
        with self.body.writer_lock():
            return self._take_back_pending()

    def _take_back_pending(self) -> int:
        """Take out every load that was booked and not finished; the writer's lock is held, so none
        of them is still running.

        The lake commits before PostgreSQL does: where something ended in between, the rows stand in
        the body already.
        """
        with self.db.transaction() as conn:
            found = conn.execute("SELECT id, dataset_id FROM load WHERE state = 'pending'")
            pending = [(load_id, registry.get(conn, n)) for load_id, n in found.fetchall()]
        for load_id, dataset in pending:
            place = layout(dataset)

            def work(
                cursor: duckdb.DuckDBPyConnection, place: Layout = place, load_id: int = load_id
            ) -> None:
                history.undo(cursor, place, load_id)
                history.postgres(cursor, "DELETE FROM load WHERE id = {id}", id=load_id)

            self._write(work, locked=True)
        return len(pending)

    def _write(
        self,
        work: Callable[[duckdb.DuckDBPyConnection], Any],
        body: Body | None = None,
        *,
        locked: bool = False,
    ) -> Any:
        """Do work as the one writer; a clash with another transaction is tried again."""
        body = body or self.body
        for attempt in range(TRIES):
            try:
                with body.writing(locked=locked) as cursor:
                    done = work(cursor)
            except duckdb.Error as error:
                clash = any(sign in str(error).lower() for sign in DUCKDB_RETRY)
                if not clash or attempt == TRIES - 1:
                    raise
                continue
            if self._bell is not None:
                self._bell.ring()
            return done
        raise AssertionError("unreachable")


def taken_out_with(conn: Connection, load_id: int) -> list[int]:
    """The loads that undoing one takes out, the newest first: decisions about its contradictions,
    then itself. Those that are out already are not among them."""
    return [number for (number,) in conn.execute(own_sql(_taken_out_with(load_id))).fetchall()]


def _taken_out_with(load_id: int) -> str:
    return f"""SELECT id FROM {SCHEMA}.load WHERE state = 'committed' AND id = {load_id:d}
               UNION SELECT id FROM {SCHEMA}.load WHERE state = 'committed'
                   AND door = 'decision' AND (report->>'of_load')::bigint = {load_id:d}
               ORDER BY id DESC"""


def _spans_of(
    keys: Sequence[Sequence[Any]],
) -> tuple[list[Span] | None, datetime | None, datetime | None]:
    lows: dict[int, datetime] = {}
    highs: dict[int, datetime] = {}
    for stream_id, t in keys:
        lows[stream_id] = min(t, lows.get(stream_id, t))
        highs[stream_id] = max(t, highs.get(stream_id, t))
    first, last = min(lows.values()), max(highs.values())
    if len(lows) > MOST_SPANS:
        return None, first, last
    return [Span(i, lows[i], highs[i]) for i in sorted(lows)], first, last


def _extent(
    cursor: duckdb.DuckDBPyConnection, relation: str, series: bool
) -> tuple[list[Span] | None, datetime | None, datetime | None]:
    if not series:
        return None, None, None
    rows = cursor.execute(
        f"SELECT stream_id, min(t), max(t) FROM {relation} GROUP BY stream_id"
    ).fetchall()
    return _cover(rows, ())


def _cover(
    reach: Sequence[tuple[int, datetime, datetime]], replaces: Sequence[Span]
) -> tuple[list[Span] | None, datetime | None, datetime | None]:
    ends = [(s, t) for s, a, b in reach for t in (a, b)]
    ends += [(span.stream_id, t) for span in replaces for t in (span.start, span.end)]
    return _spans_of(ends) if ends else (None, None, None)


def _renew_newest(cursor: duckdb.DuckDBPyConnection, table: str, ids: Sequence[int]) -> None:
    """Write the newest values of streams again, from head and body as they are now."""
    chosen = ", ".join(str(int(i)) for i in sorted(set(ids)))
    history.from_postgres(
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
            WHERE q <> {history.WITHDRAWN}
            QUALIFY row_number() OVER (PARTITION BY stream_id ORDER BY t DESC) = 1
            ORDER BY stream_id"""
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [[], [], [], [], []]
    history.postgres(
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


def _undone(
    dataset: registry.Dataset, load_id: int, actor: str | None, count: int,
    spans: list[Span] | None, t_min: datetime | None, t_max: datetime | None,
) -> list[tuple[str, tuple[Any, ...]]]:  # fmt: skip
    payload = committed_payload(load_id, dataset.id, "undo", count, spans, t_min, t_max)
    detail = {"dataset": dataset.name, "load": load_id, "rows": count}
    return [
        (
            "UPDATE load SET state = 'undone', undone_at = clock_timestamp(), undone_by = %s "
            "WHERE id = %s",
            (actor, load_id),
        ),
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
        (
            "INSERT INTO event (kind, subject, actor, payload) "
            "VALUES ('data.undone', %s, %s, %s::jsonb)",
            (str(dataset.id), actor, Jsonb(payload)),
        ),
        (
            "INSERT INTO event (kind, subject, actor, payload) "
            "VALUES ('audit.load.undone', %s, %s, %s::jsonb)",
            (f"load:{load_id}", actor, Jsonb(detail)),
        ),
    ]
