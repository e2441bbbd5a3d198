"""The process that reads from a foreign database: asked on its standard input, telling on its output.

The other side may be hostile or broken: rows without end, cells of a gigabyte, a byte a minute. So
this is a process of its own with little memory, which its parent may kill at any time, and which
ends by itself when its parent does. It writes files of rows and knows nothing else of the house.

    python -m dothi.net.foreign.reading <ask.json >events.ndjson
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dothi.kernel.errors import DothiError
from dothi.net import databases
from dothi.net.foreign.model import (
    MOST_COLUMNS,
    MOST_ROW,
    Ask,
    Batch,
    Cell,
    Counted,
    Done,
    Driver,
    Event,
    Failed,
    ForeignError,
    shown,
)

MEMORY_BYTES = 1024 * 1024 * 1024
BATCH_BYTES = 256 * 1024 * 1024
"""A file of part of the rows is closed at this size, whatever its rows."""
_MODULES = {
    "postgresql": "dothi.net.foreign.postgres",
    "mysql": "dothi.net.foreign.mysql",
    "sqlserver": "dothi.net.foreign.sqlserver",
    "oracle": "dothi.net.foreign.oracle",
}
_Tell = Callable[[Event], None]
_UNREADABLE = str.maketrans({"\x00": "\x1f"})
"""A zero byte cannot stand in a file of text; this one no contract accepts either."""


def main() -> None:
    """Read what is asked for, tell what came of it, end."""
    out = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    ask = msgspec.json.decode(sys.stdin.buffer.readline(), type=Ask)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)

    def tell(event: Event) -> None:
        os.write(out, msgspec.json.encode(event) + b"\n")

    try:
        tell(_read(ask, tell))
    except ForeignError as error:
        tell(Failed(error.key, error.params))
    except DothiError as error:
        tell(Failed(error.key, {k: str(v) for k, v in error.params.items()}))
    except MemoryError:
        tell(Failed("pulls.memory"))
    except Exception as error:
        tell(Failed("pulls.unexpected", {"problem": f"{type(error).__name__}: {shown(error)}"}))
    # Whatever the other side still sends is its own affair.
    os._exit(0)


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(65_536):
        pass
    os._exit(75)


def _read(ask: Ask, tell: _Tell) -> Done:
    place = ask.place
    known = databases.addresses(place.host, place.port, databases.networks(place.networks))
    databases.hold_to(known, place.port)
    driver: Driver = importlib.import_module(_MODULES[place.kind]).Driver(
        place, known, ask.statement_s
    )
    names = driver.columns(f"SELECT q.* FROM {driver.source(ask.query)} WHERE 1 = 0")
    _check(names)
    mark = None if ask.mark is None else _place_of(ask.mark, names)
    chosen, order, values = _chosen(driver, ask, None if mark is None else names[mark])
    if ask.count:
        empty = None
        if mark is not None and not values:
            column = driver.quote(names[mark])
            empty = driver.number(
                f"SELECT count(*) FROM {driver.source(ask.query)} WHERE q.{column} IS NULL", ()
            )
        tell(Counted(driver.number(f"SELECT count(*) FROM {chosen}", values), empty))
    rows = driver.rows(f"SELECT q.* FROM {chosen}{order}", values)
    return _write(rows, ask, names, mark, driver, tell)


def _chosen(driver: Driver, ask: Ask, mark: str | None) -> tuple[str, str, list[Any]]:
    """What stands after FROM, how it is ordered, and the statement's values."""
    source = driver.source(ask.query)
    if mark is None:
        return source, "", []
    column = f"q.{driver.quote(mark)}"
    order = f" ORDER BY {column}"
    if ask.start is None or ask.mark_type is None:
        return f"{source} WHERE {column} IS NOT NULL", order, []
    try:
        values = [driver.bind(ask.start, ask.mark_type)]
    except (ValueError, ArithmeticError):
        raise ForeignError("pulls.bad_mark", value=ask.start, name=mark) from None
    escaped = driver.escaped(f"{source} WHERE {column} >= ")
    return escaped + driver.parameter, driver.escaped(order), values


def _check(names: Sequence[str]) -> None:
    if len(names) > MOST_COLUMNS:
        raise ForeignError("pulls.many_columns", count=len(names), most=MOST_COLUMNS)
    bad = [name for name in names if not name.strip() or not name.isprintable()]
    twice = [name for name in names if names.count(name) > 1]
    if bad or twice:
        raise ForeignError("pulls.column_names", names=", ".join(dict.fromkeys(bad + twice)))


def _place_of(mark: str, names: Sequence[str]) -> int:
    for i, name in enumerate(names):
        if name == mark:
            return i
    for i, name in enumerate(names):
        if name.lower() == mark.lower():
            return i
    raise ForeignError("pulls.no_mark_column", name=mark, found=shown(", ".join(names)))


def _write(
    rows: Iterator[Sequence[Cell]],
    ask: Ask,
    names: Sequence[str],
    mark: int | None,
    driver: Driver,
    tell: _Tell,
) -> Done:
    total, size, more, ends = 0, 0, False, 0.0
    part: _Part | None = None
    try:
        for row in rows:
            # Only once there is one more row: otherwise it was the last.
            if total >= ask.most_rows or size >= ask.most_bytes or 0 < ends < time.monotonic():
                more = True
                break
            # From the first row: what a source needs to find it is its statement's affair.
            ends = ends or time.monotonic() + ask.seconds
            if part is None:
                part = _Part(ask, names, mark)
            size += part.add(row)
            total += 1
            if ask.batch_rows is not None and (
                part.rows >= ask.batch_rows or part.size >= BATCH_BYTES
            ):
                tell(part.close())
                part = None
    finally:
        # Also of a source that goes away: what it has sent until then is in order.
        if part is not None and part.rows:
            tell(part.close())
    return Done(total, more, driver.zero_dates)


class _Part:
    """A file in the making. Its last column has no values: its name says what the file is of, so
    that the same rows read twice are two files."""

    count = 0

    def __init__(self, ask: Ask, names: Sequence[str], mark: int | None) -> None:
        _Part.count += 1
        self.path = Path(ask.folder) / f"{_Part.count:06d}.csv"
        self._file = self.path.open("xb", buffering=1 << 20)
        self._line = io.StringIO(newline="")
        self._writer = csv.writer(self._line, lineterminator="\n")
        self._digest = hashlib.sha256()
        self._names = names
        self._mark = mark
        self._low: Cell = None
        self._high: Cell = None
        self.rows = self.size = 0
        self._writer.writerow([*names, f"{ask.origin}/{_Part.count}"])
        self._flush()

    def _flush(self) -> bytes:
        text = self._line.getvalue().encode("utf-8", "surrogatepass")
        self._line.seek(0)
        self._line.truncate()
        self._file.write(text)
        return text

    def add(self, row: Sequence[Cell]) -> int:
        """Write one row; its size in bytes."""
        cells = [c if c is None or "\x00" not in c else c.translate(_UNREADABLE) for c in row]
        if sum(len(c) for c in cells if c is not None) > MOST_ROW // 4:
            self._refuse_long(cells)
        self._writer.writerow([*cells, None])
        text = self._flush()
        self._digest.update(text)
        if self._mark is not None:
            self._high = cells[self._mark]
            if self.rows == 0:
                self._low = self._high
        self.rows += 1
        self.size += len(text)
        return len(text)

    def _refuse_long(self, cells: Sequence[Cell]) -> None:
        sizes = [len(c.encode("utf-8", "replace")) if c is not None else 0 for c in cells]
        if sum(sizes) > MOST_ROW:
            longest = sizes.index(max(sizes))
            raise ForeignError(
                "pulls.long_row", column=self._names[longest], size=sizes[longest], most=MOST_ROW
            )

    def close(self) -> Batch:
        self._file.close()
        return Batch(self.path.name, self.rows, self._low, self._high, self._digest.hexdigest())


if __name__ == "__main__":
    main()
