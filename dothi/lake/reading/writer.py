"""Rows of values, from whatever held them, written as a table of texts."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dothi.lake.reading import fonts
from dothi.lake.reading.limits import MOST_CELL, MOST_COLUMNS, MOST_ROWS
from dothi.lake.reading.refused import Refused

_SEEN_FOR_FONT = 2_000


def as_text(value: Any, longest: int = MOST_CELL) -> str | None:
    """A value as text: numbers with a point, times in ISO 8601, lists and objects as JSON."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    elif isinstance(value, dt.datetime):
        text = value.isoformat(" ")
    elif isinstance(value, (dt.date, dt.time)):
        text = value.isoformat()
    elif isinstance(value, (list, dict)):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    else:
        text = str(value)
    if len(text) > longest:
        raise Refused("reading.cell_too_long", most=longest)
    if "\x00" in text:
        raise Refused("reading.zero_bytes")
    return text


def finite(value: float) -> float:
    """The number; Refused when it is none that can be stored."""
    if not math.isfinite(value):
        raise Refused("reading.bad_number")
    return value


class Writer:
    """Texts on their way to a CSV file in UTF-8. Columns may turn up in any row."""

    def __init__(self, target: Path, columns: Sequence[str] = (), longest: int = MOST_CELL) -> None:
        self.columns: dict[str, int] = {name: i for i, name in enumerate(columns)}
        self.rows = 0
        self.longest_row = 0
        """In bytes, at most."""
        self._target = target
        self._part = target.with_suffix(".part")
        self._longest = longest

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write all rows; raises Refused at the first that is beyond a limit."""
        with self._part.open("w", encoding="utf-8", errors="replace", newline="") as file:
            out = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for row in rows:
                for name in row:
                    if name not in self.columns:
                        self._add(name)
                cells: list[str | None] = [None] * len(self.columns)
                for name, value in row.items():
                    cells[self.columns[name]] = as_text(value, self._longest)
                out.writerow(cells)
                # Texts in old fonts grow while they are converted; quotes are doubled.
                size = sum(4 * len(cell) + 4 for cell in cells if cell)
                self.longest_row = max(self.longest_row, size)
                self.rows += 1
                if self.rows > MOST_ROWS:
                    raise Refused("reading.too_many_rows", most=MOST_ROWS)

    def _add(self, name: str) -> None:
        if len(self.columns) >= MOST_COLUMNS:
            raise Refused(
                "reading.too_many_columns", count=len(self.columns) + 1, most=MOST_COLUMNS
            )
        if len(name) > 200 or "\x00" in name:
            raise Refused("reading.bad_column_name", name=name[:60].replace("\x00", "␀"))
        self.columns[name] = len(self.columns)

    def finish(self, font: str | None = None) -> str | None:
        """Put the header on top, fill short rows, read texts of old fonts; which font it was."""
        csv.field_size_limit(2 * self._longest)
        if font is None:
            font = fonts.font_of(self._sample())
        convert = fonts.CONVERTERS[font] if font else str
        width = len(self.columns)
        with (
            self._part.open("r", encoding="utf-8", newline="") as read,
            self._target.open("w", encoding="utf-8", newline="") as file,
        ):
            out = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            out.writerow([convert(name) for name in self.columns])
            for row in csv.reader(read):
                out.writerow([convert(cell) for cell in row] + [""] * (width - len(row)))
        self._part.unlink()
        return font

    def names(self, font: str | None) -> tuple[str, ...]:
        """The columns as they stand in the finished file."""
        convert = fonts.CONVERTERS[font] if font else str
        return tuple(map(convert, self.columns))

    def _sample(self) -> str:
        found: list[str] = list(self.columns)
        with self._part.open("r", encoding="utf-8", newline="") as read:
            for number, row in enumerate(csv.reader(read)):
                if number >= _SEEN_FOR_FONT:
                    break
                found += [cell[:1000] for cell in row if not cell.isascii()]
        return "\n".join(found)


def flat(item: dict[str, Any], prefix: str = "", depth: int = 3) -> Iterator[tuple[str, Any]]:
    """An object's members as columns: those of an object inside are called "outer.inner"."""
    for name, value in item.items():
        if isinstance(value, dict) and value and depth > 0:
            yield from flat(value, f"{prefix}{name}.", depth - 1)
        else:
            yield prefix + name, value
