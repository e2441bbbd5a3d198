"""What is asked of a foreign database, and what a driver of ours offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

Kind = Literal["postgresql", "mysql", "sqlserver", "oracle"]
KINDS: tuple[Kind, ...] = ("postgresql", "mysql", "sqlserver", "oracle")
PORTS: dict[str, int] = {"postgresql": 5432, "mysql": 3306, "sqlserver": 1433, "oracle": 1521}
UNPROVEN: tuple[Kind, ...] = ("sqlserver", "oracle")
"""Written after the drivers' documents and not tried with a real server yet."""

Tls = Literal["verify", "require", "off"]
TLS: tuple[Tls, ...] = ("verify", "require", "off")

MarkType = Literal["integer", "number", "date", "timestamp"]
MARK_TYPES: tuple[MarkType, ...] = ("integer", "number", "date", "timestamp")
"""Types of a watermark. Not text: two texts that one side takes for equal may differ for the other."""

CONNECT_S = 10
MOST_COLUMNS = 500
MOST_ROW = 900_000
"""Bytes of one row as text; a longer one could not be read as a line of a file."""


class Place(msgspec.Struct, frozen=True):
    """Where a database lies and who we are to it."""

    kind: Kind
    host: str
    port: int
    database: str
    account: str
    password: str
    tls: Tls
    networks: tuple[str, ...]
    ca_file: str | None = None


class Ask(msgspec.Struct, frozen=True):
    """What to read. `start` is the watermark's first value, that one included; None: from the
    beginning. Without `mark` all rows come in whatever order. `batch_rows` None: one file."""

    place: Place
    query: str
    folder: str
    origin: str
    mark: str | None = None
    mark_type: MarkType | None = None
    start: str | None = None
    batch_rows: int | None = None
    most_rows: int = 2_000_000
    most_bytes: int = 2 * 1024**3
    seconds: int = 1_200
    """After so long the rest is left for another time."""
    statement_s: int = 600
    count: bool = True


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """One file is whole. `low` and `high` are the watermark's values in its first and last row;
    `content` is the SHA-256 of its rows without the header."""

    file: str
    rows: int
    low: str | None
    high: str | None
    content: str


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The source's own count of the rows asked for, and of those without a watermark (None: not
    asked)."""

    rows: int
    without_mark: int | None = None


class Done(msgspec.Struct, frozen=True, tag="done"):
    """All was read that there is, or with `more` as much as one run may."""

    rows: int
    more: bool
    zero_dates: int = 0


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why it ended: a key of the catalogue and its parameters."""

    key: str
    params: dict[str, Any] = {}


Event = Batch | Counted | Done | Failed


class ForeignError(Exception):
    """The source cannot be read; carries what `Failed` says."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


Cell = str | None


class Driver(Protocol):
    """One connection in a read-only transaction. Every error is a ForeignError."""

    zero_dates: int
    """Cells that held a date without a day, month or year, and became empty."""

    def __init__(self, place: Place, addresses: Sequence[str], statement_s: int) -> None: ...

    def source(self, query: str) -> str:
        """A SELECT as what stands after FROM, with the name q."""
        ...

    def escaped(self, sql: str) -> str:
        """A part of a statement that goes with values, in which nothing stands for one."""
        ...

    def quote(self, name: str) -> str: ...

    def bind(self, text: str, kind: MarkType) -> Any:
        """A watermark's value as the driver wants it for the statement's one parameter."""
        ...

    parameter: str
    """How that parameter is written."""

    def columns(self, sql: str) -> list[str]:
        """The names of a statement's columns."""
        ...

    def number(self, sql: str, values: Sequence[Any]) -> int:
        """The one number that a statement gives."""
        ...

    def rows(self, sql: str, values: Sequence[Any]) -> Iterator[Sequence[Cell]]:
        """The rows as texts, few of them in memory at a time."""
        ...


def shown(text: object) -> str:
    """What a server said, short and without control characters."""
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(plain.split())[:300]
