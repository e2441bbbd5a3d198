"""`Lake.commit`: the only way in. Validated rows of every door become stored, or nothing does.

Small batches go to the head by one transaction shared between the requests that wait at that
moment (group commit); large ones go straight to the body. A batch is answered only after its
transaction has committed.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from dothi.kernel.errors import Conflict, IdempotencyMismatch, StorageFull, Unavailable
from dothi.lake import head, registry
from dothi.lake import late as lookup
from dothi.lake.body import Body
from dothi.lake.head import RECORDS, SERIES
from dothi.lake.model import (
    Batch,
    Clash,
    Outcome,
    Quality,
    RecordRows,
    SeriesRows,
    Source,
    Span,
    StagedRows,
)
from dothi.lake.span import cover
from dothi.store.database import RETRY, Connection, Database, own_sql
from dothi.store.events import Doorbell

GROUP_ROWS = 20_000
GROUP_BATCHES = 64
TRIES = 4
PATIENCE_S = 0.2

Fate = Outcome | Exception


@dataclass
class _Waiting:
    batch: Batch
    future: Future[Outcome]
    keys: set[Any]
    """What the batch's rows are, to be held against those of others in its group."""


@dataclass
class _Part:
    """One batch inside a transaction, with what is found out about it on the way."""

    batch: Batch
    load_id: int
    fate: Fate | None = None
    keep: list[int] | None = None
    """Which of its rows still go in; None means all."""
    late_changed: int = 0
    late_same: int = 0
    tombstones: list[tuple[int, datetime]] = field(default_factory=list)

    @property
    def rows(self) -> Any:
        return self.batch.rows


class Committer:
    """Takes batches from all threads of a process and commits them in groups, in order."""

    def __init__(
        self, db: Database, body: Body, bell: Doorbell | None, may_write: Callable[[], bool],
        end_leftovers: Callable[[int], int],
    ) -> None:  # fmt: skip
        self._db = db
        self._body = body
        self._bell = bell
        self._may_write = may_write
        self._end_leftovers = end_leftovers
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._held: _Waiting | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, batch: Batch) -> Future[Outcome]:
        """Hand a batch over; the future holds its outcome once it is durable."""
        future: Future[Outcome] = Future()
        # What is wrong with a batch's form is the caller's, not the thread's that others wait for.
        waiting = _Waiting(batch, future, _keys(batch))
        if not self._may_write():
            future.set_exception(StorageFull("lake.disk_full"))
            return future
        with self._lock:
            if self._closed:
                future.set_exception(Unavailable("lake.closing", retry_after_s=1))
                return future
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
                self._thread.start()
        self._queue.put(waiting)
        return future

    def together(self, batch: Batch, then: Callable[[Connection, Outcome], None]) -> Outcome:
        """Commit one batch and do `then` in its transaction: both are true from then on, or neither.

        `then` may be called again after a clash, and undoes everything by raising.
        """
        if not self._may_write():
            raise StorageFull("lake.disk_full")
        for attempt in range(TRIES):
            try:
                with self._db.transaction() as conn:
                    (fate,) = apply(conn, self._body, [batch])
                    if isinstance(fate, Exception):
                        raise fate
                    then(conn, fate)
            except (*RETRY, head.OvertakenError) as error:
                self._before_again(error, attempt)
                continue
            except psycopg.errors.DiskFull as error:
                raise StorageFull("lake.disk_full") from error
            if self._bell is not None:
                self._bell.ring()
            return fate
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Commit what waits, then end."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(10)

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            for waiting, fate in zip(group, self._fates([w.batch for w in group]), strict=True):
                if isinstance(fate, Exception):
                    waiting.future.set_exception(fate)
                else:
                    waiting.future.set_result(fate)
            if self._bell is not None:
                self._bell.ring()

    def _next_group(self) -> list[_Waiting] | None:
        """The batches waiting now that may share a transaction; None at the end."""
        first = self._held or self._queue.get()
        self._held = None
        if first is None:
            return None
        group, rows = [first], len(first.batch.rows)
        keys = set(first.keys)
        while len(group) < GROUP_BATCHES and rows < GROUP_ROWS:
            try:
                other = self._queue.get_nowait()
            except queue.Empty:
                break
            if other is None:
                self._queue.put(None)
                break
            if not _may_share(first.batch, other.batch) or not keys.isdisjoint(other.keys):
                self._held = other
                break
            keys |= other.keys
            group.append(other)
            rows += len(other.batch.rows)
        return group

    def _fates(self, batches: list[Batch]) -> list[Fate]:
        try:
            return self._try(batches)
        except Exception as error:
            if len(batches) == 1:
                return [error]
            # One batch of the group was at fault: each on its own, so that only it fails.
            return [self._fates([batch])[0] for batch in batches]

    def _try(self, batches: list[Batch]) -> list[Fate]:
        for attempt in range(TRIES):
            try:
                with self._db.transaction() as conn:
                    return apply(conn, self._body, batches)
            # Two loads of one file at once: the second finds the first when it looks again.
            except (*RETRY, head.OvertakenError, psycopg.errors.UniqueViolation) as error:
                self._before_again(error, attempt)
            except psycopg.errors.DiskFull as error:
                raise StorageFull("lake.disk_full") from error
        raise AssertionError("unreachable")

    def _before_again(self, error: Exception, attempt: int) -> None:
        """Raises the error when it was met often enough, Unavailable where a leftover stays."""
        if attempt == TRIES - 1:
            if isinstance(error, head.LeftoverError):
                raise Unavailable("lake.leftover", retry_after_s=5) from error
            raise error
        if isinstance(error, head.LeftoverError) and not self._end_leftovers(error.dataset_id):
            # Somebody else holds the writer's lock, and ends it.
            time.sleep(PATIENCE_S)


def _keys(batch: Batch) -> set[Any]:
    rows = batch.rows
    if isinstance(rows, SeriesRows):
        return set(zip(rows.stream_id, rows.t, strict=True))
    if isinstance(rows, StagedRows):
        return set()
    return {(rows.dataset_id, key) for key in rows.key}


def _may_share(a: Batch, b: Batch) -> bool:
    return (
        type(a.rows) is type(b.rows)
        and confirms(a.source) == confirms(b.source)
        and not a.replaces
        and not b.replaces
    )


def confirms(source: Source) -> bool:
    """Whether rows equal to what is stored count as this load's too.

    A person's file or form does: undoing an earlier load must not take them away. A device that
    repeats itself and a recomputed indicator do not.
    """
    return source.door in ("file", "form", "decision")


def apply(conn: Connection, body: Body, batches: Sequence[Batch]) -> list[Fate]:
    """Commit batches of one shape in the caller's transaction; what became of each.

    Keys of the batches must not overlap, and within one batch each key stands once.
    """
    shape = SERIES if isinstance(batches[0].rows, SeriesRows) else RECORDS
    with conn.pipeline():
        head.make_batch(conn, shape)
        numbers = conn.execute(
            "SELECT nextval(pg_get_serial_sequence('load', 'id')) FROM generate_series(1, %s)",
            (len(batches),),
        )
        until = registry.body_until(conn, sorted({batch.dataset_id for batch in batches}))
    ids = numbers.fetchall()
    parts = [_Part(batch, id_) for batch, (id_,) in zip(batches, ids, strict=True)]
    _recognise(conn, parts)
    live = [part for part in parts if part.fate is None]
    if live:
        _store(conn, body, live, shape, until)
    return [part.fate or Outcome(part.load_id) for part in parts]


def _store(
    conn: Connection, body: Body, parts: list[_Part], shape: head.Shape,
    until: dict[int, datetime | None],
) -> None:  # fmt: skip
    confirm = confirms(parts[0].batch.source)
    _meet_body(conn, body, parts, until, confirm=confirm)
    head.copy_in(conn, shape, _tuples(parts))
    with conn.pipeline():
        inserted = conn.execute(own_sql(head.insert_new(shape)))
        if shape is SERIES:
            conn.execute(own_sql(head.UPDATE_NEWEST))
    # A close that committed since our first look has taken away what our rows would have met.
    if len(_late(parts, registry.body_until(conn, _datasets(parts)))) > len(_late(parts, until)):
        raise head.OvertakenError
    counts = inserted.fetchall()
    new = {load_id: values for load_id, _, values in counts}
    replaced: dict[int, tuple[int, int]] = {}
    if sum(rows for _, rows, _ in counts) < sum(_count(part) for part in parts):
        replaced = head.replace(conn, shape, confirm=confirm)
    touched = [s for part in parts for s, _ in part.tombstones]
    if touched:
        head.refresh_newest(conn, touched)
        lookup.newest_from_body(conn, body, parts[0].batch.dataset_id, touched)
    with conn.pipeline():
        for part in parts:
            again, changed = replaced.get(part.load_id, (0, 0))
            _book(conn, part, new.get(part.load_id, 0) + again, changed)


def _tuples(parts: list[_Part]) -> Iterator[tuple[Any, ...]]:
    for part in parts:
        rows = part.rows.tuples(part.load_id)
        yield from rows if part.keep is None else (rows[i] for i in part.keep)
        for stream_id, t in part.tombstones:
            yield (stream_id, 0, t, None, part.load_id, int(Quality.WITHDRAWN))


def _count(part: _Part) -> int:
    rows = len(part.rows) if part.keep is None else len(part.keep)
    return rows + len(part.tombstones)


def _recognise(conn: Connection, parts: list[_Part]) -> None:
    """Find requests and files that were stored before, and refuse keys used for another body."""
    for part in parts:
        source = part.batch.source
        if source.idempotency is not None:
            key, body_hash = source.idempotency
            actor = source.actor or ""
            fresh = conn.execute(
                """INSERT INTO idempotency (actor, key, body_hash, load_id)
                   VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1""",
                (actor, key, body_hash, part.load_id),
            ).fetchone()
            if fresh is None:
                row = conn.execute(
                    "SELECT body_hash, load_id FROM idempotency WHERE actor = %s AND key = %s",
                    (actor, key),
                ).fetchone()
                assert row is not None
                if bytes(row[0]) != body_hash:
                    part.fate = IdempotencyMismatch("lake.idempotency_mismatch", name=key)
                else:
                    part.fate = replay(conn, row[1])
        elif source.file_sha256 is not None:
            part.fate = same_file(conn, part.batch.dataset_id, source.file_sha256)


def same_file(conn: Connection, dataset_id: int, sha256: bytes) -> Outcome | None:
    """The outcome of the committed load of this very file, if there is one."""
    row = conn.execute(
        "SELECT id FROM load WHERE dataset_id = %s AND file_sha256 = %s AND state = 'committed'",
        (dataset_id, sha256),
    ).fetchone()
    return replay(conn, row[0]) if row else None


def replay(conn: Connection, load_id: int) -> Outcome:
    """What a request did when it was stored first. Raises Conflict when that load was undone."""
    row = conn.execute(
        """SELECT rows_new, rows_changed, rows_same, rows_removed, rows_rejected, state
           FROM load WHERE id = %s""",
        (load_id,),
    ).fetchone()
    if row is None or row[5] != "committed":
        raise Conflict("lake.load_undone", id=load_id)
    return Outcome(load_id, *row[:5], replay=True)


def _meet_body(
    conn: Connection, body: Body, parts: list[_Part], until: dict[int, datetime | None],
    *, confirm: bool,
) -> None:  # fmt: skip
    """Find what the batches' spans withdraw, and compare late rows with the lake's versions.

    The dataset's row is locked for share first: no close can commit between reading the lake and
    storing what follows from it.
    """
    for part in parts:
        part.tombstones = lookup.vanished_from_head(conn, part.batch)
    late = _late(parts, until)
    if not late:
        return
    ids = _datasets(parts)
    conn.execute("SELECT FROM dataset WHERE id = ANY (%s) ORDER BY id FOR SHARE", (ids,))
    # Of those, none can commit now: what the body has of them was left there.
    begun = conn.execute(
        "SELECT id FROM load WHERE state = 'pending' AND dataset_id = ANY (%s)", (ids,)
    ).fetchall()
    for part in late:
        found = lookup.compare(conn, body, part.batch)
        if not found.loads.isdisjoint(number for (number,) in begun):
            raise head.LeftoverError(part.batch.dataset_id)
        if any(number > part.load_id for number in found.loads):
            raise head.OvertakenError
        part.late_same, part.late_changed = found.same, found.changed
        part.tombstones = sorted({*part.tombstones, *found.tombstones})
        if not confirm and found.drop:
            part.keep = [i for i in range(len(part.rows)) if i not in found.drop]


def _late(parts: list[_Part], until: dict[int, datetime | None]) -> list[_Part]:
    """Those with rows of a time that may stand in the body."""
    return [
        part
        for part in parts
        if (edge := until.get(part.batch.dataset_id)) is not None
        and (not isinstance(part.rows, SeriesRows) or _first(part) <= edge)
    ]


def _datasets(parts: list[_Part]) -> list[int]:
    return sorted({part.batch.dataset_id for part in parts})


def _first(part: _Part) -> datetime:
    starts = [span.start for span in part.batch.replaces]
    rows = part.rows
    return min([*rows.t, *starts]) if len(rows) or starts else datetime.max.replace(tzinfo=UTC)


def _book(conn: Connection, part: _Part, new: int, changed: int) -> None:
    """Write down the load, what it kept out, what contradicts itself, and the event."""
    batch, source = part.batch, part.batch.source
    spans, t_min, t_max = cover(batch)
    ends = part.rows.ends if isinstance(part.rows, RecordRows) else 0
    total = len(part.rows) - ends
    new -= part.late_changed + part.late_same if part.keep is None else part.late_changed
    changed += part.late_changed
    outcome = Outcome(
        part.load_id, new, changed, total - new - changed, len(part.tombstones) + ends,
        len(batch.rejects),
    )  # fmt: skip
    conn.execute(
        """INSERT INTO load (id, dataset_id, door, actor, agency_id, file_name, file_sha256,
               file_bytes, rows_in, rows_new, rows_changed, rows_same, rows_removed,
               rows_rejected, t_min, t_max, report)
           VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)""",
        (
            part.load_id, batch.dataset_id, source.door, source.actor, source.agency_id,
            source.file_name, source.file_sha256, source.file_bytes,
            rows_in(batch), outcome.new, outcome.changed,
            outcome.same, outcome.removed, outcome.rejected, t_min, t_max, Jsonb(batch.report),
        ),
    )  # fmt: skip
    book_details(conn, part.load_id, batch)
    emit_committed(
        conn, part.load_id, batch.dataset_id, source.door, total + ends, spans, t_min, t_max
    )
    part.fate = outcome


def rows_in(batch: Batch) -> int:
    """How many rows the source held, as it said or as they came."""
    said = batch.report.get("rows")
    return said if said is not None else len(batch.rows) + len({r.row_no for r in batch.rejects})


def book_details(conn: Connection, load_id: int, batch: Batch) -> None:
    """Keep a load's rejected values and its contradictions."""
    if batch.rejects:
        conn.cursor().executemany(
            """INSERT INTO quarantine (load_id, row_no, column_name, value, reason, params)
               VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (load_id, r.row_no, r.column, r.value, r.reason, Jsonb(r.params))
                for r in batch.rejects
            ],
        )
    if batch.clashes:
        conn.cursor().executemany(
            """INSERT INTO conflict (dataset_id, load_id, stream_id, t, record_key, candidates, hint)
               VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (batch.dataset_id, load_id, c.stream_id, c.t, None, Jsonb(c.candidates), c.hint)
                if isinstance(c, Clash)
                else (batch.dataset_id, load_id, None, None, c.key, Jsonb(c.candidates), None)
                for c in batch.clashes
            ],
        )


def emit_committed(
    conn: Connection, load_id: int, dataset_id: int, door: str, count: int,
    spans: Sequence[Span] | None, t_min: datetime | None, t_max: datetime | None,
) -> None:  # fmt: skip
    """Say that rows were stored. `spans` None: any stream of the dataset, in [t_min, t_max]."""
    conn.execute(
        "INSERT INTO event (kind, subject, payload) VALUES ('data.committed', %s, %s)",
        (
            str(dataset_id),
            Jsonb(committed_payload(load_id, dataset_id, door, count, spans, t_min, t_max)),
        ),
    )


def committed_payload(
    load_id: int, dataset_id: int, door: str, count: int,
    spans: Sequence[Span] | None, t_min: datetime | None, t_max: datetime | None,
) -> dict[str, Any]:  # fmt: skip
    """The content of `data.committed` and `data.undone`."""
    return {
        "load": load_id,
        "dataset": dataset_id,
        "door": door,
        "rows": count,
        "from": t_min.isoformat() if t_min else None,
        "to": t_max.isoformat() if t_max else None,
        "spans": None
        if spans is None
        else [[s.stream_id, s.start.isoformat(), s.end.isoformat()] for s in spans],
    }
