"""Loading a file: read in the jail, matched to streams, looked at, committed as a whole."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from dothi import jail
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.kernel.time import utc_now
from dothi.lake import quality, registry
from dothi.lake.body import Body
from dothi.lake.columns import Time
from dothi.lake.commit import same_file
from dothi.lake.contract import Contract
from dothi.lake.drift import drift
from dothi.lake.engine import engine, table
from dothi.lake.form_only import only_by_form
from dothi.lake.load_records import StagedRecords
from dothi.lake.model import (
    MOST_CLASHES,
    THROUGH_HEAD,
    Batch,
    Clash,
    Outcome,
    Quality,
    Reject,
    SeriesRows,
    Source,
    StagedRows,
    Written,
)
from dothi.lake.reader_spec import reader_spec, records_spec
from dothi.lake.reading.limits import spans
from dothi.lake.registry import Dataset
from dothi.lake.replaced import note_replaced
from dothi.lake.service import Lake
from dothi.store.database import Connection

MOST_BYTES = 4 * 1024**3
FUTURE = timedelta(days=1)
"""A value further ahead than this has a wrong date and is set aside."""
LEFT_FOR = timedelta(days=1)
"""No load takes longer: what is older belongs to one that was killed."""
MIB = 1024 * 1024
FEW_BYTES = MIB // 4
"""A file of series up to this size has hardly more rows than go through the head."""


@dataclass(frozen=True)
class FileStore:
    """Where loaded files are kept, by content, so that a number can be followed to its file."""

    folder: Path

    def path(self, sha256: bytes) -> Path:
        """Where the file of this content is kept."""
        name = sha256.hex()
        return self.folder / name[:2] / name

    def keep(self, source: Path, sha256: bytes) -> None:
        """Keep a copy; a kill in the middle leaves none."""
        target = self.path(sha256)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        part.replace(target)

    def sweep(self, now: datetime) -> int:
        """Remove what killed loads left behind, once it is a day old; how many things it was."""
        left = [
            *self.folder.glob("upload-*"),
            *self.folder.glob("load-*"),
            *self.folder.glob("*/*.part"),
        ]
        count = 0
        for path in left:
            with suppress(OSError):
                if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) < LEFT_FOR:
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                count += 1
        return count


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
        straight = _many(dataset, size)
        beside.submit(body.warm if straight else lake.body.warm)
        return _load(lake, store, dataset, path, digest, source, note, say, root, body)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _many(dataset: Dataset, size: int) -> bool:
    """Whether a file of this size is likely to go straight to the body."""
    return dataset.contract.kind == "series" and size > FEW_BYTES


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
            series = _Staged(root, result.files, Path(work), value, dataset, body)
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
        store.keep(path, sha256)
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


class _Staged:
    """The jail's typed rows on their way to a batch: streams found, contradictions told apart.

    Nothing that the jail wrote is taken on trust: rows are numbered and sorted here.
    """

    def __init__(
        self,
        root: duckdb.DuckDBPyConnection,
        files: Path,
        work: Path,
        value: dict[str, Any],
        dataset: Dataset,
        body: Body,
    ) -> None:
        self._root = root
        self._work = work
        self._body = body
        self._written: Written | None = None
        self._rejects = _text(files / "rejects.parquet")
        self._value = value
        self._dataset = dataset
        self._keys = [f"k{i}" for i in range(int(value["keys"]))]
        usable = " AND ".join(f"{column} IS NOT NULL" for column in ("t", *self._keys))
        rows = _text(files / "rows.parquet")
        self._rows = f"(SELECT * FROM read_parquet({rows}) WHERE {usable})"
        if not value["numbered"]:
            self._rows = (
                f"(SELECT *, (file_row_number + 1)::INTEGER AS row_no "
                f"FROM read_parquet({rows}, file_row_number = true) WHERE {usable})"
            )
        root.execute(f"SET temp_directory = {_text(work)}")
        self._parameters = [str(p) for p in value["parameters"]]
        readers = {reader.name: reader for reader in dataset.contract.readers}
        reader = readers.get(value["reader"])
        self._time = reader.time if reader else dataset.contract.time

    def newest(self) -> list[datetime]:
        """The last instant (UTC, without a zone) of a dataset that has a form; else nothing."""
        if self._dataset.contract.form is None:
            return []
        last = self._one(f"SELECT max(t) FROM {self._rows}")
        return [] if last is None else [last]

    def batch(self, lake: Lake, source: Source) -> Batch:
        """Everything the file brings, ready to commit."""
        ids = self._streams(lake)
        rejects = self._read_rejects()
        edge = utc_now() + FUTURE
        rejects += self._future(edge)
        long = self._in_order(edge, lake, source)
        count, repeated = self._look(long)
        clashes: list[Clash] = []
        twice = 0
        if repeated:
            clashes, twice, long = self._tell_apart(long)
            self._written = None
            count -= repeated
        with lake.db.transaction() as conn:
            rhythms = _rhythms(conn, self._dataset, self._time, ids.values())
        report, reach = quality.report(
            self._root,
            long,
            rhythms=rhythms,
            ranges=self._ranges(ids),
            calendar=self._calendar(),
            extra={
                **self._value["extra"],
                "reader": self._value["reader"],
                "rows": self._value["rows"],
                "rejected": len(rejects),
                "conflict": len(clashes),
                "twice": twice,
            },
        )
        rows: SeriesRows | StagedRows
        if count <= THROUGH_HEAD:
            columns = list(
                zip(
                    *self._root.execute(
                        f"SELECT stream_id, t, v, q, row_no FROM {long} ORDER BY row_no"
                    ).fetchall(),
                    strict=True,
                )
            ) or [(), (), (), (), ()]
            rows = SeriesRows(*columns)
        else:
            rows = StagedRows(long, count, True, reach, self._written, self._body)
        return Batch(self._dataset.id, rows, source, rejects, clashes, report=report)

    def _calendar(self) -> quality.Calendar | None:
        time = self._time
        if time is None or not time.months:
            return None
        return quality.Calendar(time.months, time.zone, self._things)

    def _ranges(
        self, ids: dict[registry.StreamName, int]
    ) -> dict[int, tuple[float | None, float | None]]:
        bounds = {p.name: (p.low, p.high) for p in self._dataset.contract.parameters}
        return {number: bounds[parameter] for (_, parameter), number in ids.items()}

    def _streams(self, lake: Lake) -> dict[registry.StreamName, int]:
        """Numbers for the names in the file, and a table from one to the other for joining."""
        spelt = self._root.execute(
            f"SELECT DISTINCT {', '.join(self._keys) or 'NULL'} FROM {self._rows} ORDER BY ALL"
        ).fetchall()
        # Two spellings of one name are one thing.
        names = [tuple(part.strip() for part in row[: len(self._keys)]) for row in spelt]
        self._present = [
            (i, parameter)
            for i, parameter in enumerate(self._parameters)
            if self._one(f"SELECT EXISTS (SELECT 1 FROM {self._rows} WHERE q{i} IS NOT NULL)")
        ]
        wanted = [(name, parameter) for name in names for _, parameter in self._present]
        with lake.db.transaction() as conn:
            ids = registry.stream_ids(conn, self._dataset, wanted)
        columns = {"spelling": ("INTEGER", list(range(len(spelt))))}
        for i, k in enumerate(self._keys):
            columns[k] = "VARCHAR", [row[i] for row in spelt]
        for i, parameter in self._present:
            columns[f"s{i}"] = "INTEGER", [ids[(name, parameter)] for name in names]
        table(self._root, "names", columns)
        return ids

    def _in_order(self, edge: datetime, lake: Lake, source: Source) -> str:
        """A relation with one row for each value, those of a stream side by side in order of time:
        the file's rows are sorted once, before its columns of values are taken apart."""
        same = " AND ".join(f"r.{k} = n.{k}" for k in self._keys) or "true"
        wanted = [f"n.s{i}, r.v{i}, r.q{i}::SMALLINT AS q{i}" for i, _ in self._present]
        # Any stream of a thing stands for the thing.
        thing = f"n.s{self._present[0][0]}" if self._present else "NULL::INTEGER"
        typed = (
            f"SELECT {', '.join([*wanted, 'r.row_no'])}, make_timestamptz(epoch_us(r.t)) AS t "
            f"FROM {self._rows} r JOIN names n ON {same} "
            f"WHERE r.t <= TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}' ORDER BY {thing}, t"
        )
        if self._may_be_taken_over(source) and len(self._present) == 1:
            return self._write(typed, lake.load_number())
        self._root.execute(f"CREATE TABLE typed AS {typed}")
        self._things = f"(SELECT {thing.removeprefix('n.')} AS thing, t FROM typed)"
        parts = [
            f"SELECT s{i} AS stream_id, row_no, t, v{i} AS v, q{i} AS q "
            f"FROM typed WHERE q{i} IS NOT NULL"
            for i, _ in self._present
        ]
        return "(" + " UNION ALL ".join(parts or [_EMPTY]) + ")"

    def _may_be_taken_over(self, source: Source) -> bool:
        """Whether the rows are worth writing as a file of the lake before they are looked at."""
        by_months = self._time is not None and self._time.months
        return not by_months and _many(self._dataset, source.file_bytes or 0)

    def _write(self, typed: str, load_id: int) -> str:
        """The rows of the one value that there is, sorted and written as the lake keeps them."""
        ((i, _),) = self._present
        self._written = Written(self._work / "rows.parquet", load_id)
        self._root.execute(
            f"COPY (SELECT s{i} AS stream_id, row_no, t, v{i} AS v, {load_id:d}::BIGINT AS load_id, "
            f"q{i} AS q FROM ({typed}) WHERE q{i} IS NOT NULL) TO {_text(self._written.path)} "
            "(PARQUET_VERSION v2)"
        )
        return f"read_parquet({_text(self._written.path)})"

    def _look(self, long: str) -> tuple[int, int]:
        """How many rows there are, and how many repeat the key before them."""
        self._root.execute("SET preserve_insertion_order = true")
        row = self._root.execute(
            f"""SELECT count(*), count(*) FILTER (WHERE stream_id = stream_before AND t = t_before)
                FROM (SELECT stream_id, t, lag(t) OVER () AS t_before,
                          lag(stream_id) OVER () AS stream_before FROM {long})"""
        ).fetchone()
        self._root.execute("SET preserve_insertion_order = false")
        assert row is not None
        return row

    def _tell_apart(self, long: str) -> tuple[list[Clash], int, str]:
        """Keys that stand more than once: equal values count once, different ones clash."""
        self._root.execute(
            f"""CREATE TABLE repeated AS SELECT stream_id, t, count(*) AS n,
                    count(DISTINCT (coalesce(v, 'nan'::DOUBLE), q)) AS kinds, min(row_no) AS first,
                    list({{'row': row_no, 'value': v, 'quality': q}} ORDER BY row_no)
                        AS candidates
                FROM {long} GROUP BY stream_id, t HAVING count(*) > 1"""
        )
        found = self._root.execute(
            f"""SELECT stream_id, t, candidates FROM repeated WHERE kinds > 1
                ORDER BY t, stream_id LIMIT {MOST_CLASHES + 1}"""
        ).fetchall()
        if len(found) > MOST_CLASHES:
            raise Invalid("lake.too_many_conflicts", most=MOST_CLASHES)
        clashes = [
            Clash(stream_id, t.astimezone(UTC), candidates, self._hint(long, stream_id, t))
            for stream_id, t, candidates in found
        ]
        twice = self._one("SELECT coalesce(sum(n - 1), 0) FROM repeated WHERE kinds = 1")
        self._root.execute(
            f"""CREATE TABLE told AS SELECT l.stream_id, l.row_no, l.t, l.v,
                    (CASE WHEN r.kinds > 1 THEN {int(Quality.CONFLICT)} ELSE l.q END)::SMALLINT AS q
                FROM {long} l LEFT JOIN repeated r ON r.stream_id = l.stream_id AND r.t = l.t
                WHERE r.n IS NULL OR l.row_no = r.first ORDER BY l.stream_id, l.t"""
        )
        return clashes, int(twice), "told"

    def _hint(self, long: str, stream_id: int, t: datetime) -> str | None:
        """An hour given twice right after a missing one: clocks that were put forward."""
        step = self._dataset.contract.time.rhythm if self._dataset.contract.time else None
        if step is None:
            return None
        around = {
            row[0].astimezone(UTC)
            for row in self._root.execute(
                f"SELECT t FROM {long} WHERE stream_id = ? AND t BETWEEN ? AND ?",
                [stream_id, t - 2 * step, t - step],
            ).fetchall()
        }
        before = t.astimezone(UTC) - step
        return "summer_time" if before not in around and before - step in around else None

    def _read_rejects(self) -> list[Reject]:
        rows = self._root.execute(
            f"SELECT row_no, column_name, value, reason, limit_ FROM read_parquet({self._rejects}) "
            "ORDER BY row_no, column_name"
        ).fetchall()
        return [Reject(n, c, v, r, {} if p is None else {"form": p}) for n, c, v, r, p in rows]

    def _future(self, edge: datetime) -> list[Reject]:
        rows = self._root.execute(
            f"SELECT row_no, t FROM {self._rows} "
            f"WHERE t > TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}' ORDER BY 1"
        ).fetchall()
        column = self._dataset.contract.time.column if self._dataset.contract.time else "time"
        return [Reject(n, column, t.isoformat(sep=" "), "lake.future") for n, t in rows]

    def _one(self, query: str) -> Any:
        row = self._root.execute(query).fetchone()
        return row[0] if row else None


_EMPTY = (
    "SELECT 0 AS stream_id, 0 AS row_no, now() AS t, NULL::DOUBLE AS v, 0::SMALLINT AS q "
    "WHERE false"
)


def _rhythms(
    conn: Any, dataset: Dataset, time: Time | None, ids: Any
) -> dict[int, timedelta | None]:
    """The expected distance of values: a thing's own, or that of the file's form."""
    default = time.rhythm if time else None
    things = registry.things(conn, dataset)
    wanted = set(ids)
    out: dict[int, timedelta | None] = {}
    for stream in registry.streams(conn, dataset).values():
        if stream.id in wanted:
            own = things[stream.thing_id].properties.get("rhythm")
            out[stream.id] = registry.duration(own) if own else default
    return out


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
