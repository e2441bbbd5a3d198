"""The shared store as the other rooms use it: commit, read, close, undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import astuple
from datetime import datetime
from pathlib import Path

import duckdb
import psycopg
from psycopg.types.json import Jsonb

from dothi.kernel.errors import DothiError, StorageFull, Unavailable
from dothi.lake import history, registry
from dothi.lake.body import Body
from dothi.lake.commit import (
    Committer,
    book_details,
    committed_payload,
    confirms,
    rows_in,
    same_file,
)
from dothi.lake.head import SERIES
from dothi.lake.layout import layout
from dothi.lake.model import Batch, Outcome, Reach, StagedRows, Written
from dothi.lake.points import Points
from dothi.lake.read import View
from dothi.lake.span import cover_of
from dothi.lake.undoing import Undoing
from dothi.store.database import Connection, Database, own_sql
from dothi.store.events import Doorbell


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
        self._undoing = Undoing(db, self.body)
        self._committer = Committer(db, self.body, bell, may_write, self._end_leftovers_of)

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
        # From booking to commit, so that nobody takes a load that is still running for a leftover,
        # and of two loads of one file the second finds the first.
        with self.body.writer_lock():
            return self._commit_locked(batch, rows)

    def _commit_locked(self, batch: Batch, rows: StagedRows) -> Outcome:
        source = batch.source
        self._undoing.end_leftovers_of(batch.dataset_id)
        with self.db.transaction() as conn:
            place = layout(registry.get(conn, batch.dataset_id))
            if source.file_sha256 is not None and (
                before := same_file(conn, batch.dataset_id, source.file_sha256)
            ):
                return before
            load_id = self._book_pending(conn, batch, rows.written)
        staged = rows.relation
        placed: Path | None = None

        def work(cursor: duckdb.DuckDBPyConnection) -> Outcome:
            # The writer's lock goes with its connection: then another may have taken this load back.
            if not history.is_pending(cursor, load_id):
                raise Unavailable("store.database_down", retry_after_s=1)
            reach: Sequence[Reach] = ()
            spans, t_min, t_max = None, None, None
            if place.shape is SERIES:
                reach = rows.reach or history.reach_of(cursor, staged)
                spans, t_min, t_max = cover_of(
                    [*(r[:3] for r in reach), *map(astuple, batch.replaces)]
                )
            moved = history.bulk(
                cursor, place, rows, reach, load_id,
                confirm=confirms(source), replaces=batch.replaces, snapshot=batch.snapshot,
                placed=placed,
            )  # fmt: skip
            history.renew_newest(cursor, reach, load_id)
            if moved.removed and place.shape is SERIES:
                history.newest_of_both(cursor, place.table, [s.stream_id for s in batch.replaces])
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
            if rows.written and rows.written.load_id == load_id:
                placed = self.body.place(place.table, rows.written.path)
            outcome = (rows.body or self.body).write(work)
        except BaseException:
            # Where not even that can be done, whoever writes next does it.
            with suppress(DothiError, duckdb.Error, psycopg.Error):
                self._undoing.end_leftovers_of(batch.dataset_id)
            raise
        if self._bell is not None:
            self._bell.ring()
        return outcome

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

    def load_number(self) -> int:
        """The number of a load to come, for who has to write it into a file beforehand."""
        with self.db.transaction() as conn:
            row = conn.execute("SELECT nextval(pg_get_serial_sequence('load', 'id'))").fetchone()
        assert row is not None
        return row[0]

    def _book_pending(self, conn: Connection, batch: Batch, written: Written | None) -> int:
        """Write the load down; its number. The higher of two loads wins: a number that was taken
        beforehand counts only while the dataset has no load with a higher one."""
        source = batch.source
        row = conn.execute(
            """INSERT INTO load (id, dataset_id, door, actor, agency_id, state, file_name,
                   file_sha256, file_bytes, rows_in, rows_rejected, report)
               SELECT CASE WHEN taken IS NULL OR EXISTS (
                          SELECT FROM load WHERE id >= taken AND dataset_id = %(dataset)s)
                      THEN nextval(pg_get_serial_sequence('load', 'id')) ELSE taken END,
                   %(dataset)s, %(door)s, %(actor)s, %(agency)s, 'pending', %(name)s,
                   %(sha256)s, %(bytes)s, %(rows_in)s, %(rejected)s, %(report)s
               FROM (SELECT %(taken)s::bigint AS taken) AS t
               RETURNING id""",
            {
                "taken": written.load_id if written else None,
                "dataset": batch.dataset_id, "door": source.door, "actor": source.actor,
                "agency": source.agency_id, "name": source.file_name,
                "sha256": source.file_sha256, "bytes": source.file_bytes,
                "rows_in": rows_in(batch), "rejected": len(batch.rejects),
                "report": Jsonb(batch.report),
            },
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

        Of records those move whose load is older than the instant. Raises Unavailable where a
        leftover of the dataset cannot be ended.
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

        with self.body.writer_lock():
            self._undoing.end_leftovers_of(dataset_id)
            done = self.body.write(work)
        if self._bell is not None:
            self._bell.ring()
        return done

    def undo(self, load_id: int, *, actor: str | None = None) -> None:
        """Take a load out: its rows go, what they had replaced comes back. Nothing else changes.

        What was decided about its contradictions goes with it: the values chosen were its own.

        Raises NotFound for no such load, Conflict when it is out already.
        """
        self._undoing.undo(load_id, actor)
        if self._bell is not None:
            self._bell.ring()

    def maintain(self) -> dict[str, int]:
        """Merge small files and drop what nobody needs; how many files were merged, deleted."""
        return self.body.maintain()

    def end_leftovers(self) -> int:
        """End what a kill left between two commits; how many. While somebody writes it is theirs.

        What cannot be ended is written down (`unended`), and only its own dataset waits for it.
        """
        with self.body.writer_lock(wait=False) as held:
            return self._undoing.end_leftovers() if held else 0

    def _end_leftovers_of(self, dataset_id: int) -> int:
        with self.body.writer_lock(wait=False) as held:
            return self._undoing.end_leftovers_of(dataset_id) if held else 0
