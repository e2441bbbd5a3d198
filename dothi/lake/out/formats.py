"""Rows as JSON, NDJSON, CSV, an Arrow stream, XLSX and Parquet, written piece by piece into a file."""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import duckdb
import msgspec

from dothi.kernel.time import rfc3339

IN_MEMORY = 4 * 1024 * 1024
"""What an answer may hold in memory before it goes to a temporary file."""
AT_ONCE = 5_000
MOST_XLSX_ROWS = 100_000
_LONGEST_CELL = 32_767
_FIRST_YEAR = 1900
"""What a cell of a spreadsheet can hold: characters of a text, the first year of a date."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Format:
    """A form of answer: its word in `?format=`, its media type, its file's ending."""

    word: str
    media_type: str
    ending: str


JSON = Format("json", "application/json", "json")
NDJSON = Format("ndjson", "application/x-ndjson", "ndjson")
CSV = Format("csv", "text/csv", "csv")
ARROW = Format("arrow", "application/vnd.apache.arrow.stream", "arrows")
XLSX = Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx")
PARQUET = Format("parquet", "application/vnd.apache.parquet", "parquet")
FORMATS = (JSON, NDJSON, CSV, ARROW, XLSX, PARQUET)
PLAIN_FORMATS = (JSON, NDJSON, CSV, ARROW)
"""Those that need no file of their own while they are written: the jail has none to give."""


def chosen(word: str | None, accept: str, among: Collection[Format] = FORMATS) -> Format | None:
    """The form asked for: by its word, else the first that Accept likes best; None: no such word."""
    if word:
        return next((one for one in among if one.word == word), None)
    wanted: list[tuple[float, Format]] = []
    for part in accept.split(","):
        name, *settings = (piece.strip().lower() for piece in part.split(";"))
        weight = next((s[2:] for s in settings if s.startswith("q=")), "1")
        if re.fullmatch(r"[01](\.\d{0,3})?", weight, re.ASCII):
            same = (one for one in among if one.media_type == name)
            wanted.extend((float(weight), one) for one in same)
    return max(wanted, key=lambda pair: pair[0], default=(0, JSON))[1]


def written(
    form: Format,
    relation: duckdb.DuckDBPyRelation,
    head: dict[str, Any],
    *,
    bom: bool = False,
    local: tzinfo | None = None,
) -> IO[bytes]:
    """As `write`, into a file that vanishes when it is closed, to be read from its beginning."""
    out: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    try:
        write(out, form, relation, head, bom=bom, local=local)
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out


def write(
    out: IO[bytes],
    form: Format,
    relation: duckdb.DuckDBPyRelation,
    head: dict[str, Any],
    *,
    bom: bool = False,
    local: tzinfo | None = None,
) -> None:
    """Write a relation's rows.

    `head` stands before the rows in JSON; other forms have no room for it. `bom`: CSV as
    spreadsheets recognise it. `local`: the clock by which CSV and XLSX tell instants; without it
    UTC.
    """
    if form is ARROW:
        _arrow(out, relation)
    elif form is PARQUET:
        _parquet(out, relation)
    elif form is XLSX:
        _xlsx(out, relation, local or UTC)
    elif form is CSV:
        _csv(out, relation, bom=bom, local=local)
    elif form is NDJSON:
        for row in _objects(relation):
            out.write(msgspec.json.encode(row) + b"\n")
    else:
        _json(out, relation, head)


def _rows(relation: duckdb.DuckDBPyRelation) -> Iterator[Sequence[Any]]:
    while rows := relation.fetchmany(AT_ONCE):
        yield from rows


def _objects(relation: duckdb.DuckDBPyRelation) -> Iterator[dict[str, Any]]:
    names = relation.columns
    for row in _rows(relation):
        yield {name: plain(value) for name, value in zip(names, row, strict=True)}


def plain(value: Any) -> Any:
    """A value as JSON holds it: instants and dates as text, no NaN, what it has no form for as text."""
    if value is None or isinstance(value, str | bool | int):
        # Beyond this a reader's floating point would silently round it.
        return str(value) if type(value) is int and abs(value) > 2**53 else value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Decimal):
        # So many digits a reader's floating point keeps.
        return float(value) if len(value.as_tuple().digits) <= 15 else str(value)
    if isinstance(value, datetime):
        return rfc3339(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value.hex() if isinstance(value, bytes) else str(value)


def _json(out: IO[bytes], relation: duckdb.DuckDBPyRelation, head: dict[str, Any]) -> None:
    out.write(msgspec.json.encode(head)[:-1] + b',"rows":[' if head else b'{"rows":[')
    mark = b"\n"
    for row in _objects(relation):
        out.write(mark + msgspec.json.encode(row))
        mark = b",\n"
    out.write(b"\n]}\n")


def _csv(
    out: IO[bytes], relation: duckdb.DuckDBPyRelation, *, bom: bool, local: tzinfo | None
) -> None:
    if bom:
        out.write(b"\xef\xbb\xbf")
    # newline: cells keep their own line ends.
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([harmless(name) for name in relation.columns])
    for row in _rows(relation):
        writer.writerow([_cell(value, local) for value in row])
    text.detach()


def _cell(value: Any, local: tzinfo | None) -> Any:
    """A cell that no spreadsheet takes for a formula; numbers stay exact."""
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return value
    if local is not None and isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(local).isoformat()
    return _one_text(plain(value))


def harmed(text: str) -> str:
    """The text that was made harmless."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _one_text(value: Any) -> Any:
    """Lists and structures as JSON, since a cell has no other way to hold them."""
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def _arrow(out: IO[bytes], relation: duckdb.DuckDBPyRelation) -> None:
    # Imported when it is asked for: every jail that answers in SQL would pay for it.
    import nanoarrow
    from nanoarrow import ipc

    with ipc.StreamWriter.from_writable(out) as writer:
        writer.write_stream(nanoarrow.c_array_stream(relation))


def _parquet(out: IO[bytes], relation: duckdb.DuckDBPyRelation) -> None:
    with tempfile.TemporaryDirectory(prefix="dothi-out-") as folder:
        path = Path(folder) / "rows.parquet"
        relation.write_parquet(str(path), compression="zstd")
        with path.open("rb") as file:
            shutil.copyfileobj(file, out)


def _xlsx(out: IO[bytes], relation: duckdb.DuckDBPyRelation, local: tzinfo) -> None:
    """One sheet with times by the clock `local`. Every text is a text cell, so none is a formula."""
    import xlsxwriter

    told = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
        "strings_to_numbers": False, "default_date_format": "dd/mm/yyyy hh:mm:ss",
    }  # fmt: skip
    with xlsxwriter.Workbook(out, told) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        sheet = book.add_worksheet("1")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, max(0, len(relation.columns) - 1), 20)
        sheet.write_row(0, 0, relation.columns, bold)
        for line, row in enumerate(_rows(relation), 1):
            for column, value in enumerate(row):
                if isinstance(value, date) and value.year >= _FIRST_YEAR:
                    only_day = not isinstance(value, datetime)
                    sheet.write_datetime(
                        line, column, _moment(value, local), day if only_day else None
                    )
                    continue
                told_as = _one_text(plain(value))
                if isinstance(told_as, bool):
                    sheet.write_boolean(line, column, told_as)
                elif isinstance(told_as, int | float):
                    sheet.write_number(line, column, told_as)
                elif told_as is not None:
                    sheet.write_string(line, column, told_as[:_LONGEST_CELL])


def _moment(value: date, local: tzinfo) -> datetime:
    """A date or an instant as a clock on the wall shows it, which is all a cell can hold."""
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return value.astimezone(local).replace(tzinfo=None) if value.tzinfo else value
