"""A roster as a file, in the form in which it is taken home: read in the jail into lines of texts."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.i18n import LANGS, t
from dothi.kernel.text import nfc
from dothi.lake.reading.small import read_small

COLUMNS = ("day", "shift", "begins", "ends", "role", "person")
NEEDED = ("day", "shift", "role", "person")
MOST_ROWS = 1_000
MOST_CELL = 200
MOST_BYTES = 4 * 1024 * 1024
_MIB = 1024 * 1024
_FORMULA = ("=", "+", "-", "@")


class Line(msgspec.Struct, frozen=True):
    """A row as it was written; `row` is its number in the file."""

    row: int
    day: str
    shift: str
    begins: str
    ends: str
    role: str
    person: str


def head(name: str, lang: str) -> str:
    """A column's name in the file."""
    return t(f"duty.column_{name}", lang)


def read(path: Path, name: str, lang: str) -> list[Line]:
    """The file's lines. Raises Invalid with the reason why the file is refused."""
    if path.stat().st_size > MOST_BYTES:
        raise _refused(name, Fault(name, "duty.file_large", {"most": MOST_BYTES // _MIB}))
    table = read_small(path, name, most_rows=MOST_ROWS, most_cell=MOST_CELL)
    if isinstance(table, Fault):
        raise _refused(name, table)
    heads = {_key(head(column, one)): column for column in COLUMNS for one in LANGS}
    columns = [heads.get(_key(column), "") for column in table.columns]
    if missing := [head(column, lang) for column in NEEDED if column not in columns]:
        known = ", ".join(head(column, lang) for column in COLUMNS)
        params = {"missing": ", ".join(missing), "known": known}
        raise _refused(name, Fault(name, "duty.file_columns", params))
    if twice := [head(c, lang) for c in COLUMNS if columns.count(c) > 1]:
        raise _refused(name, Fault(name, "duty.file_column_twice", {"names": ", ".join(twice)}))
    if len(table.rows) > MOST_ROWS:
        raise _refused(name, Fault(name, "duty.file_rows", {"most": MOST_ROWS}))
    if not table.rows:
        raise _refused(name, Fault(name, "duty.file_empty"))
    lines = []
    for number, row in table.rows:
        cells = {
            column: _text(cell[:MOST_CELL])
            for column, cell in zip(columns, row, strict=True)
            if column
        }
        lines.append(Line(number, *(cells.get(column, "") for column in COLUMNS)))
    return lines


def _text(cell: str) -> str:
    """As it was meant: without the apostrophe that keeps a text from being a formula."""
    text = nfc(cell.strip())
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _key(name: str) -> str:
    return nfc(name.strip()).casefold()


def _refused(name: str, fault: Fault) -> Invalid:
    return Invalid("duty.file_refused", faults=[fault], name=name)
