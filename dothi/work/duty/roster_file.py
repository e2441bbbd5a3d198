"""A roster as a file, in the form in which it is taken home: read in the jail into lines of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from dothi import jail
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.i18n import LANGS, t
from dothi.kernel.text import nfc

COLUMNS = ("day", "shift", "begins", "ends", "role", "person")
NEEDED = ("day", "shift", "role", "person")
MOST_ROWS = 1_000
MOST_CELL = 200
MOST_BYTES = 4 * 1024 * 1024
_MIB = 1024 * 1024
_LIMITS = jail.Limits(
    address_space_bytes=2048 * _MIB, cpu_s=20, wall_s=30.0, output_bytes=16 * _MIB, threads=32
)
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
    job = jail.Job("dothi.work.duty.roster_file:main", {}, {"file": path})
    try:
        with jail.run(job, _LIMITS) as result:
            told = json.loads((result.files / "rows.json").read_text("utf-8"))
    except jail.JailError as error:
        raise _refused(name, Fault(name, error.key, dict(error.params))) from error
    if fault := told.get("fault"):
        params = {key: value for key, value in fault.items() if key != "key"}
        raise _refused(name, Fault(name, fault["key"], params))
    heads = {_key(head(column, one)): column for column in COLUMNS for one in LANGS}
    columns = [heads.get(_key(column), "") for column in told["columns"]]
    if missing := [head(column, lang) for column in NEEDED if column not in columns]:
        known = ", ".join(head(column, lang) for column in COLUMNS)
        params = {"missing": ", ".join(missing), "known": known}
        raise _refused(name, Fault(name, "duty.file_columns", params))
    if twice := [head(c, lang) for c in COLUMNS if columns.count(c) > 1]:
        raise _refused(name, Fault(name, "duty.file_column_twice", {"names": ", ".join(twice)}))
    if len(told["rows"]) > MOST_ROWS:
        raise _refused(name, Fault(name, "duty.file_rows", {"most": MOST_ROWS}))
    if not told["rows"]:
        raise _refused(name, Fault(name, "duty.file_empty"))
    lines = []
    for number, row in told["rows"]:
        cells = {column: _text(cell) for column, cell in zip(columns, row, strict=True) if column}
        lines.append(Line(number, *(cells.get(column, "") for column in COLUMNS)))
    return lines


def main(_args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Runs inside the jail: writes `rows.json` with `columns` and numbered `rows`, or a `fault`."""
    from dothi.lake.engine import engine
    from dothi.lake.reading.refused import Refused
    from dothi.lake.reading.table import open_table

    with engine(2, "256MB") as root:
        try:
            table = open_table(root, inputs["file"], {}, out)
            columns = [name for name in table.columns if name != table.row_of]
            listed = ", ".join(_quoted(name) for name in columns)
            number = f"{_quoted(table.row_of)}::INT" if table.row_of else "0"
            found = root.execute(
                f"SELECT {number}, {listed} FROM {table.relation} LIMIT {MOST_ROWS + 1}"
            ).fetchall()
            above = int(table.notes.get("header_row") or 1)
            rows = [
                [own if table.row_of else above + nth, [_short(cell) for cell in cells]]
                for nth, (own, *cells) in enumerate(found, 1)
            ]
            told: dict[str, Any] = {"columns": columns, "rows": rows}
        except Refused as refused:
            told = {"fault": refused.fault()}
    (out / "rows.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    return {}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _short(cell: Any) -> str:
    return "" if cell is None else str(cell)[:MOST_CELL]


def _text(cell: str) -> str:
    """As it was meant: without the apostrophe that keeps a text from being a formula."""
    text = nfc(cell.strip())
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _key(name: str) -> str:
    return nfc(name.strip()).casefold()


def _refused(name: str, fault: Fault) -> Invalid:
    return Invalid("duty.file_refused", faults=[fault], name=name)
