"""The words of the shared store: qualities, batches on their way in, what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from dothi.lake.body import Body

THROUGH_HEAD = 20_000
"""Loads up to this many values go through the head; larger ones straight into the body."""
MOST_CLASHES = 1_000
MOST_CANDIDATES = 20
"""Rows of one key that a person is asked to choose between; more are mended in the file."""
MOST_CANDIDATE_BYTES = 16_384
"""Text in the candidates of one key."""
LONGEST_CLASH_KEY = 2_000
"""Bytes of a record's key that can be decided about: it stands in an index."""


class Quality(IntEnum):
    """What may be done with a value. Only VALID enters means and indicators."""

    VALID = 0
    SUSPECT = 1
    """Outside the contract's range: kept for a person to look at."""
    INVALID = 2
    """Its source says that it is wrong."""
    MISSING = 3
    """Its source says that there is none; the value is null."""
    CONFLICT = 4
    """One load gave several values for this instant; a person decides."""
    WITHDRAWN = 9
    """A tombstone in the head: hides a row of the body. Never shown."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who brings a batch in, through which door, and what it can be recognised by.

    `idempotency` is (key, SHA-256 of the body): the same key with another body is refused.
    """

    door: str
    actor: str | None = None
    agency_id: int | None = None
    file_name: str | None = None
    file_sha256: bytes | None = None
    file_bytes: int | None = None
    idempotency: tuple[str, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """One value that kept its row out: data row number (from 1), column, text, reason."""

    row_no: int
    column: str
    value: str | None
    reason: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clash:
    """Several different values for one instant within one load."""

    stream_id: int
    t: datetime
    candidates: list[dict[str, Any]]
    """Each `{"row", "value", "quality"}`, in the order of the file."""
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class RecordClash:
    """Several rows of different content with one key within one load."""

    key: str
    candidates: list[dict[str, Any]]
    """Each `{"row", "quality", "values": {column: JSON value}}`, in the order of the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one stream, both ends included, that a batch speaks for completely."""

    stream_id: int
    start: datetime
    end: datetime


@dataclass(slots=True)
class SeriesRows:
    """Measured values in columns of equal length; `v` is None where there is no value."""

    stream_id: Sequence[int]
    t: Sequence[datetime]
    v: Sequence[float | None]
    q: Sequence[int]
    row_no: Sequence[int]

    def __len__(self) -> int:
        return len(self.stream_id)

    def tuples(self, load_id: int) -> list[tuple[Any, ...]]:
        """Rows in the order of the head's columns."""
        return list(
            zip(self.stream_id, self.row_no, self.t, self.v, [load_id] * len(self), self.q,
                strict=True)
        )  # fmt: skip


@dataclass(slots=True)
class RecordRows:
    """Filed or counted things in columns of equal length: key and row as JSON-able mapping."""

    dataset_id: int
    key: Sequence[str]
    row: Sequence[dict[str, Any]]
    row_no: Sequence[int]
    q: Sequence[int] | None = None
    """Qualities; None: all are valid. WITHDRAWN takes the record of that key out."""

    @property
    def ends(self) -> int:
        """How many rows take a record out."""
        return sum(q == Quality.WITHDRAWN for q in self.q or ())

    def __len__(self) -> int:
        return len(self.key)

    def tuples(self, load_id: int) -> list[tuple[Any, ...]]:
        """Rows in the order of the head's columns."""
        from psycopg.types.json import Jsonb

        qualities = self.q if self.q is not None else [0] * len(self)
        return [
            (self.dataset_id, n, load_id, q, k, Jsonb(r))
            for k, r, n, q in zip(self.key, self.row, self.row_no, qualities, strict=True)
        ]


class Reach(NamedTuple):
    """How far a batch's rows of one stream go, and the newest of them that is not withdrawn."""

    stream_id: int
    first: datetime
    last: datetime
    t: datetime | None
    v: float | None
    q: int | None


class Written(NamedTuple):
    """A Parquet file of series rows that the body may take over as it is: all of its columns, and
    the number that the load will have."""

    path: Path
    load_id: int


@dataclass(slots=True)
class StagedRows:
    """Many rows already typed, as a DuckDB relation with the body's columns without the load's.

    `relation` is SQL of ours to put after FROM, read several times: over Parquet files, or over
    tables of the engine that `body` is opened on. `ordered`: it stands in key order already.
    `reach`, where it is known, saves one reading; `written`, one writing.
    """

    relation: str
    count: int
    ordered: bool = False
    reach: Sequence[Reach] | None = None
    written: Written | None = None
    body: Body | None = None

    @classmethod
    def of(cls, path: Path, count: int) -> StagedRows:
        """The rows of a Parquet file of ours."""
        quoted = str(path).replace("'", "''")
        return cls(f"read_parquet('{quoted}')", count)

    def __len__(self) -> int:
        return self.count


@dataclass(slots=True)
class Batch:
    """What one request or file brings to one dataset: all of it is stored, or nothing.

    `replaces` names stretches of series that the batch speaks for completely: what is stored
    there and not in the batch is withdrawn. `snapshot`: staged records that speak for the whole
    dataset so.
    """

    dataset_id: int
    rows: SeriesRows | RecordRows | StagedRows
    source: Source
    rejects: Sequence[Reject] = ()
    clashes: Sequence[Clash | RecordClash] = ()
    replaces: Sequence[Span] = ()
    snapshot: bool = False
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a commit did. `replay`: this very request was stored before; nothing changed now."""

    load_id: int
    new: int = 0
    changed: int = 0
    same: int = 0
    removed: int = 0
    rejected: int = 0
    replay: bool = False
