"""Loading a file: read in the jail, matched to streams, looked at, committed as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from dothi import jail
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.lake.body import Body
from dothi.lake.commit import same_file
from dothi.lake.contract import Contract
from dothi.lake.drift import drift
from dothi.lake.engine import engine
from dothi.lake.files import FileStore
from dothi.lake.form_only import only_by_form
from dothi.lake.load_records import StagedRecords
from dothi.lake.load_series import StagedSeries, many
from dothi.lake.model import (
    Outcome,
    Source,
)
from dothi.lake.reader_spec import reader_spec, records_spec
from dothi.lake.reading.limits import spans
from dothi.lake.registry import Dataset
from dothi.lake.replaced import note_replaced
from dothi.lake.service import Lake
from dothi.store.database import Connection

MOST_BYTES = 4 * 1024**3
MIB = 1024 * 1024


@dataclass(frozen=True)
class Loaded:
    """What a load did, and its quality report."""

    outcome: Outcome
    report: dict[str, Any]


def load_file(
    lake: Lake,
    store: FileStore,
    dataset: Dataset,
    path: Path,
    *,
    name: str | None = None,
    door: str = "file",
    actor: str | None = None,
    agency_id: int | None = None,
    note: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda _step: None,
) -> Loaded:
    """Load a file into a dataset: all of it or nothing.

    A file that is loaded already changes nothing. `say` hears each step's name. `note` is added to
    the report: where rows come from that nobody brought as a file. Of those even a file with no
    usable row is a load, so that its faults can be looked at. Raises Invalid with its faults when
    the file cannot be read at all, TooLarge, and what `Lake.commit` raises.
    """
    size = path.stat().st_size
    source = Source(
        door=door, actor=actor, agency_id=agency_id, file_name=name or path.name, file_bytes=size
    )
    if size > MOST_BYTES:
        raise TooLarge("lake.file_too_large", size=size, most=MOST_BYTES)
    with (
        ThreadPoolExecutor(max_workers=2) as beside,
        engine(2, "1GB", our_sql_only=True) as root,
        closing(lake.body.on(root)) as body,
    ):
        digest = beside.submit(_sha256, path)
        if _size_is_known(lake, dataset, size):
            say("hash")
            with lake.db.transaction() as conn:
                if before := same_file(conn, dataset.id, digest.result()):
                    return Loaded(before, _report_of(conn, before))
        # The lake opens while the file is read: on the engine that its rows will come from.
        straight = dataset.contract.kind == "series" and many(size)
        beside.submit(body.warm if straight else lake.body.warm)
        copied = beside.submit(store.copy, path)
        try:
            return _load(lake, store, dataset, path, digest, copied, source, note, say, root, body)
        finally:
            with suppress(OSError):
                copied.result().unlink(missing_ok=True)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _size_is_known(lake: Lake, dataset: Dataset, size: int) -> bool:
    """Whether a loaded file has this size: only then can it be the same file."""
    with lake.db.transaction() as conn:
        row = conn.execute(
            "SELECT FROM load WHERE dataset_id = %s AND file_bytes = %s LIMIT 1", (dataset.id, size)
        ).fetchone()
    return row is not None


def _report_of(conn: Connection, outcome: Outcome) -> dict[str, Any]:
    row = conn.execute("SELECT report FROM load WHERE id = %s", (outcome.load_id,)).fetchone()
    return row[0] if row else {}


def _load(
    lake: Lake,
    store: FileStore,
    dataset: Dataset,
    path: Path,
    digest: Future[bytes],
    copied: Future[Path],
    source: Source,
    note: Mapping[str, Any] | None,
    say: Callable[[str], None],
    root: duckdb.DuckDBPyConnection,
    body: Body,
) -> Loaded:
    say("read")
    name = source.file_name or path.name
    # Beside the files, not in a temporary file system: staged rows can be as large as the file.
    store.folder.mkdir(parents=True, exist_ok=True)
    with (
        jail.run(job(dataset.contract, path), limits(path), scratch=None) as result,
        TemporaryDirectory(prefix="load-", dir=store.folder) as work,
    ):
        value = result.value
        refused(value, name)
        say("match")
        sha256 = digest.result()
        source = replace(source, file_sha256=sha256)
        if dataset.contract.kind == "records":
            records = StagedRecords(root, result.files, Path(work), value, dataset)
            only_by_form(dataset.contract, records.periods())
            batch = records.batch(source)
        else:
            series = StagedSeries(root, result.files, Path(work), value, dataset, body)
            only_by_form(dataset.contract, series.newest())
            batch = series.batch(lake, source)
        if not len(batch.rows) and (note is None or batch.snapshot or not batch.rejects):
            raise Invalid(
                "lake.nothing_usable",
                faults=[
                    Fault(f"{r.row_no}, {r.column}", r.reason, {"value": r.value, **r.params})
                    for r in batch.rejects[:20]
                ],
                name=name,
            )
        with lake.db.transaction() as conn:
            if moved := drift(conn, dataset, source.door, batch.report):
                batch.report["drift"] = moved
        batch.report.update(note or {})
        say("commit")
        store.take(copied.result(), sha256)
        outcome = lake.commit(batch)
        if source.door == "file" and (finding := note_replaced(lake, dataset, outcome)):
            batch.report["findings"] = [finding, *batch.report.get("findings", ())]
        return Loaded(outcome, batch.report)


def refused(answer: dict[str, Any], name: str) -> None:
    """Raise Invalid when the jailed job refused the file called `name`."""
    if fault := answer.get("fault"):
        params = {k: v for k, v in fault.items() if k != "key"}
        faults = [Fault(name, fault["key"], params)]
        raise Invalid("lake.file_refused", faults=faults, name=name)


def job(contract: Contract, path: Path) -> jail.Job:
    """The job that reads a file for a dataset of this contract."""
    readers = [reader_spec(contract, reader) for reader in contract.readers]
    args = {"readers": readers, "delimiters": ",;\t|", "threads": 2, "memory": "700MB"}
    if contract.kind == "records":
        args |= records_spec(contract)
        return jail.Job("dothi.lake.parse_records:main", args, {"file": path})
    return jail.Job("dothi.lake.parse_csv:main", args, {"file": path})


def limits(path: Path) -> jail.Limits:
    """How much reading the file for a dataset may use."""
    size = spans(path)
    return jail.Limits(
        address_space_bytes=3072 * MIB,
        cpu_s=60 + size // (2 * MIB),
        wall_s=120.0 + size / (1 * MIB),
        output_bytes=256 * MIB + 4 * size,
        threads=64,
    )
