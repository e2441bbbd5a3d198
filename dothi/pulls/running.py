"""One run of a pull: rows come as files, file after file is loaded, and the watermark follows.

A file is booked (`pull.pending`) before it is loaded, and the watermark moves after its load has
committed. A kill in between is settled by the next run: where the load is there for certain, the
watermark follows it; else its rows are read again. Rows have keys, so that what is read twice
replaces itself: nothing is lost, nothing is there twice.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dothi.kernel.errors import DothiError, Invalid, StorageFull, Unavailable
from dothi.kernel.time import utc_now
from dothi.lake import registry
from dothi.lake.files import FileStore
from dothi.lake.loading import load_file
from dothi.lake.model import THROUGH_HEAD
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.net.foreign.asking import ask
from dothi.net.foreign.model import Ask, Batch, Counted, Done, Failed, Place
from dothi.pulls import passwords, store
from dothi.pulls.model import (
    Pull,
    Run,
    Source,
    compared,
    farther,
    next_due,
    not_ahead,
    start_of,
    wait_after,
)
from dothi.store.database import Connection, Database
from dothi.store.home import Home
from dothi.store.settings import Settings

MOST_FAULTS = 20
FAR = datetime(9000, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much one run may take; what is left over is for the next, which follows at once."""

    rows: int = 2_000_000
    size: int = 2 * 1024**3
    seconds: int = 1_200
    statement_s: int = 600


@dataclass(frozen=True)
class Ground:
    """What a run stands on."""

    db: Database
    lake: Lake
    files: FileStore
    settings: Settings
    may_write: Callable[[], bool] = lambda: True
    limits: Limits = field(default_factory=Limits)

    @property
    def home(self) -> Home:
        """The folder in which passwords lie."""
        return Home(self.settings.home)


class _RunError(Exception):
    """Why a run ends before it is done."""

    def __init__(self, key: str, params: dict[str, Any] | None = None, faults: Any = ()) -> None:
        super().__init__(key)
        self.told = {"key": key, "params": params or {}}
        if faults:
            self.told["faults"] = [
                {"where": f.where, "key": f.key, "params": _plain(f.params)}
                for f in faults[:MOST_FAULTS]
            ]


def run(
    ground: Ground, number: int, asked_by: str | None = None, *, only_due: bool = False
) -> Run | None:
    """Run a pull to its end and write down what came of it.

    None when another run reads from its source at the moment, or with `only_due` when it is due no
    more. Raises Unavailable when our own database is away.
    """
    with ground.db.transaction() as conn:
        source = store.source_of(conn, store.pull_by_id(conn, number))
    with store.alone(ground.db, source.id) as ours:
        if not ours:
            return None
        with ground.db.transaction() as conn:
            store.end_broken(conn, source.id)
            pull = store.pull_by_id(conn, number)
            if only_due and not (pull.enabled and pull.due_at and pull.due_at <= utc_now()):
                return None
            dataset = registry.get(conn, pull.dataset_id)
            _settle(conn, pull, dataset)
            pull = store.pull_by_id(conn, number)
            made = store.begin(conn, pull, pull.reached, asked_by or pull.asked_by)
        _Running(ground, source, pull, dataset, made).to_the_end()
        with ground.db.transaction() as conn:
            return store.run(conn, made)


def place_of(settings: Settings, source: Source) -> Place:
    """Where to connect and as whom. Raises Conflict when the password is missing."""
    known = ssl.get_default_verify_paths()
    return Place(
        source.kind, source.host, source.port, source.database, source.account,
        passwords.of(Home(settings.home), source), source.tls, settings.pull_networks,
        str(settings.pull_ca) if settings.pull_ca else known.cafile or known.openssl_cafile,
    )  # fmt: skip


def _settle(conn: Connection, pull: Pull, dataset: Dataset) -> None:
    """Let the watermark follow a load that was committed right before a crash.

    Only one that went through the head, where rows and load are one commit. A larger one is read
    again: its rows follow its entry a moment later, and after a crash nobody knows whether they did.
    """
    if pull.pending is None:
        return
    load_id = store.load_of(conn, pull.dataset_id, bytes.fromhex(pull.pending["sha256"]))
    if load_id is not None and not dataset.contract.snapshot:
        done = store.counts_of(conn, load_id)
        if done.new + done.changed + done.same <= THROUGH_HEAD:
            _book(conn, pull, load_id)
            return
    store.change(conn, pull.id, pending=None, last_content=None)


def _book(conn: Connection, pull: Pull, load_id: int) -> None:
    """The pending file is stored: the watermark and the run's counts move, in one transaction."""
    pending = pull.pending
    assert pending is not None
    done = store.counts_of(conn, load_id)
    store.add_to_run(
        conn, pending["run"], parsed=done.rows, new=done.new, changed=done.changed, same=done.same,
        removed=done.removed, twice=done.twice, rejected=store.rejected_rows(conn, load_id),
        loads=[load_id],
    )  # fmt: skip
    if pending["reached"] is not None:
        store.set_run(conn, pending["run"], mark_to=pending["reached"])
    store.change(
        conn, pull.id, reached=pending["reached"], pending=None,
        last_content=pending["content"], last_load=load_id,
    )  # fmt: skip


class _Running:
    """A run on its way."""

    def __init__(
        self, ground: Ground, source: Source, pull: Pull, dataset: Dataset, number: int
    ) -> None:
        self._ground = ground
        self._source = source
        self._pull = pull
        self._dataset = dataset
        self._number = number
        self._reached = pull.reached
        self._files = 0
        self._unchanged = 0
        self._ahead = False
        self._without_mark = 0

    def to_the_end(self) -> None:
        """Read, load, compare; whatever goes wrong is written down in words."""
        error: dict[str, Any] | None = None
        done = None
        try:
            with _told():
                done = self._read()
        except _RunError as one:
            error = one.told
        now = utc_now()
        pull, more = self._pull, done is not None and done.more
        failures = pull.failures + 1 if error else 0
        due = next_due(pull.every_min, pull.daily_at, now)
        if error:
            due = min(due, now + wait_after(error["key"], failures))
            if error["key"] == "pulls.login":
                due = now + wait_after(error["key"], failures)
        elif more:
            due = now
        with self._ground.db.transaction() as conn:
            state = "failed" if error else "more" if more else "done"
            store.set_run(conn, self._number, state=state, error=error, ended_at=now)
            findings = [] if done is None else self._findings(store.run(conn, self._number), done)
            store.set_run(conn, self._number, findings=findings)
            store.change(conn, pull.id, failures=failures, due_at=due, asked_by=None)

    def _read(self) -> Done:
        ground, pull = self._ground, self._pull
        if not ground.may_write():
            raise _RunError("lake.disk_full")
        snapshot = self._dataset.contract.snapshot
        try:
            start = start_of(pull)
        except ValueError:
            raise _RunError("pulls.bad_mark", {"value": pull.reached, "name": pull.mark}) from None
        limits = ground.limits
        ground.files.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="load-", dir=ground.files.folder) as folder:
            what = Ask(
                place_of(ground.settings, self._source), pull.query, folder,
                f"pull:{pull.name}/{self._number}", pull.mark, pull.mark_type, start,
                None if snapshot else pull.batch_rows, limits.rows, limits.size, limits.seconds,
                limits.statement_s,
            )  # fmt: skip
            held: list[Batch] = []
            for event in ask(what):
                if isinstance(event, Failed):
                    raise _RunError(event.key, event.params)
                if isinstance(event, Counted):
                    self._count(event)
                elif isinstance(event, Batch) and snapshot:
                    held.append(event)
                elif isinstance(event, Batch):
                    self._load(Path(folder), event)
                elif isinstance(event, Done):
                    self._check(event, snapshot=snapshot)
                    for batch in held:
                        self._load(Path(folder), batch)
                    return event
        raise _RunError("pulls.reader_died", {"code": 0})

    def _count(self, event: Counted) -> None:
        with self._ground.db.transaction() as conn:
            store.set_run(conn, self._number, counted=event.rows)
        self._without_mark = event.without_mark or 0

    def _check(self, done: Done, *, snapshot: bool) -> None:
        """Refuse an end that is none."""
        if snapshot and not done.rows:
            raise _RunError("pulls.empty_snapshot")
        if not done.more:
            return
        if self._pull.mark is None:
            raise _RunError("pulls.too_much", {"rows": done.rows})
        if self._reached == self._pull.reached:
            raise _RunError("pulls.no_progress", {"value": self._reached, "rows": done.rows})

    def _load(self, folder: Path, batch: Batch) -> None:
        pull, path = self._pull, folder / batch.file
        reached = self._farthest(batch.high)
        with self._ground.db.transaction() as conn:
            store.add_to_run(conn, self._number, read=batch.rows)
            fresh = store.pull_by_id(conn, pull.id)
            known = fresh.last_load
            if (
                batch.content == fresh.last_content
                and known is not None
                and store.is_newest(conn, pull.dataset_id, known)
            ):
                store.add_to_run(conn, self._number, parsed=batch.rows)
                store.change(conn, pull.id, reached=reached)
                self._reached = reached
                self._unchanged += batch.rows
                return
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            pending = {
                "run": self._number, "sha256": sha256, "reached": reached,
                "content": batch.content,
            }  # fmt: skip
            store.book_pending(conn, pull.id, pending)
        self._files += 1
        loaded = load_file(
            self._ground.lake, self._ground.files, self._dataset, path,
            name=f"{pull.name}-{self._number}-{self._files}.csv", door="pull",
            actor=f"pull:{pull.name}", agency_id=self._source.agency_id,
            note={"pull": self._lineage(batch)},
        )  # fmt: skip
        with self._ground.db.transaction() as conn:
            _book(conn, store.pull_by_id(conn, pull.id), loaded.outcome.load_id)
        self._reached = reached
        path.unlink()

    def _farthest(self, high: str | None) -> str | None:
        """The watermark after a file: never back, never far into the future."""
        kind = self._pull.mark_type
        if kind is None or high is None:
            return None
        try:
            near = not_ahead(high, kind, utc_now())
            self._ahead = self._ahead or near != not_ahead(high, kind, FAR)
            return near if self._reached is None else farther(self._reached, near, kind)
        except (ValueError, ArithmeticError):
            raise _RunError("pulls.bad_mark", {"value": high, "name": self._pull.mark}) from None

    def _lineage(self, batch: Batch) -> dict[str, Any]:
        """Where the rows of a file come from, for its load's report."""
        source, pull = self._source, self._pull
        return {
            "name": pull.name, "run": self._number, "source": source.name, "query": pull.query,
            "mark": pull.mark, "from": batch.low, "to": batch.high,
        }  # fmt: skip

    def _findings(self, run: Run, done: Done) -> list[dict[str, Any]]:
        records = self._dataset.contract.kind == "records" and not self._unchanged
        found = compared(run, records=records)
        if self._without_mark:
            found.append({"kind": "no_mark", "count": self._without_mark})
        if done.zero_dates:
            found.append({"kind": "zero_dates", "count": done.zero_dates})
        if self._ahead:
            found.append({"kind": "ahead", "count": 1})
        if self._unchanged:
            found.append({"kind": "unchanged", "count": self._unchanged})
        return found


@contextmanager
def _told() -> Iterator[None]:
    """Whatever goes wrong, as something that can be written down."""
    try:
        yield
    except (_RunError, Unavailable):
        raise
    except (Invalid, StorageFull) as error:
        faults = error.faults if isinstance(error, Invalid) else ()
        raise _RunError(error.key, _plain(error.params), faults) from error
    except DothiError as error:
        raise _RunError(error.key, _plain(error.params)) from error
    except Exception as error:
        log.exception("a pull failed")
        raise _RunError("pulls.unexpected", {"problem": type(error).__name__}) from error


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a message as JSON can hold them."""
    return {k: v if isinstance(v, str | int | float | None) else str(v) for k, v in params.items()}
