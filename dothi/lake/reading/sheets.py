"""XLSX: a zip of XML, checked before the workbook is opened, because a sheet is held whole."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dothi.lake.reading import header, unpack
from dothi.lake.reading.limits import (
    MIB,
    MOST_CELL,
    MOST_COLUMNS,
    MOST_SHEET_CELLS,
    MOST_SHEET_TEXT,
)  # fmt: skip
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import read_csv
from dothi.lake.reading.result import Table
from dothi.lake.reading.writer import Writer

_CHUNK = 1 * MIB
_ROW = "row of the sheet"
"""The column that holds the number a spreadsheet program shows beside the row."""
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,4})(\d{1,9})["']""")
_TEXT_ITEM = re.compile(rb"<(?:\w+:)?si\b.*?</(?:\w+:)?si>", re.DOTALL)
_TEXT_USED = re.compile(rb"""t\s*=\s*["']s["'][^>]*>\s*<(?:\w+:)?v>\s*(\d{1,9})\s*<""")
_FORBIDDEN = (b"<!DOCTYPE", b"<!ENTITY")


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether the zip is an XLSX file."""
    names = archive.namelist()
    return "[Content_Types].xml" in names and any(
        n.startswith("xl/") and n.endswith((".xml", ".bin")) for n in names
    )


def open_sheet(path: Path, archive: zipfile.ZipFile, how: Mapping[str, Any], work: Path) -> Table:
    """One sheet of a workbook as a table. Raises Refused."""
    check(archive)
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        name = _sheet(book, how)
        sheet = book.get_sheet_by_name(name)
        rows = iter(sheet.iter_rows())
        first = _take(rows, header.LOOK_THROUGH)
    except (CalamineError, OSError, ValueError) as error:
        raise Refused("reading.damaged", format="XLSX", problem=str(error)[:200]) from error
    if not first:
        raise Refused("reading.empty_sheet", name=name[:100])
    given = how.get("header_row")
    at, again = header.find(first) if given is None else (int(given) - 1, False)
    if at >= len(first):
        raise Refused("reading.no_header_row", row=at + 1)
    at, titles = _head(first, at, again, sheet.merged_cell_ranges or (), given is None)
    cells: list[Any] = list(titles or (_trimmed(first[at]) if at >= 0 else []))
    end = at + 2 if titles else at + 1
    cells += [None] * (max((len(_trimmed(r)) for r in first[end:]), default=0) - len(cells))
    columns, twice = header.names(cells, number=how.get("twice") == "number")
    notes: dict[str, Any] = {
        "format": "xlsx",
        "sheet": name,
        "sheets": [n[:100] for n in book.sheet_names[:100]],
        "header_row": at + 1,
    }
    if again:
        notes["header_repeated"] = True
    if titles:
        notes["header_rows"] = 2
    if twice:
        notes["twice"] = twice
    if above := [
        " ".join(str(c) for c in row if header.filled([c])) for row in first[: max(at - again, 0)]
    ]:
        notes["above"] = [line[:300] for line in above if line][:10]
    row_of = _ROW
    while row_of in columns:
        row_of += "_"
    writer = Writer(work / "table.csv", (*columns, row_of))
    blank = _Blank(bool(how.get("skip_blank", True)))
    try:
        numbered = enumerate(_chain(first[end:], rows), end + 1)
        writer.write(_named(blank.without(numbered), columns, row_of))
    except (CalamineError, ValueError) as error:
        raise Refused("reading.damaged", format="XLSX", problem=str(error)[:200]) from error
    font = writer.finish(how.get("font"))
    if font:
        notes["font"] = font
    if blank.count:
        notes["blank_rows"] = blank.count
    written = writer.names(font)
    place = list(writer.columns).index(row_of)
    return Table(
        read_csv(work / "table.csv", written, longest=writer.longest_row),
        (*written[:place], *written[place + 1 :]),
        written[place],
        notes,
    )


def _head(
    first: list[list[Any]], at: int, again: bool, merged: Any, guessed: bool
) -> tuple[int, list[str] | None]:
    """Where the head begins, and its titles where it has two rows. A first row with few cells is
    passed over when the head is looked for."""
    if at < 0 or again:
        return at, None
    for place in (at, at - 1) if guessed else (at,):
        if 0 <= place < len(first) - 1:
            across = any(
                top == place == bottom and right > left for (top, left), (bottom, right) in merged
            )
            third = first[place + 2] if place + 2 < len(first) else []
            found = header.two_rows(first[place], first[place + 1], third, merged=across)
            if found:
                return place, found
    return at, None


class _Blank:
    """Leaves out rows without any value, and counts them."""

    def __init__(self, leave_out: bool) -> None:
        self._leave_out = leave_out
        self.count = 0

    def without(self, rows: Iterable[tuple[int, list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
        waiting = 0
        for number, row in rows:
            if self._leave_out and not header.filled(row):
                waiting += 1
                continue
            # Blank rows at the end of a sheet are none.
            self.count, waiting = self.count + waiting, 0
            yield number, row


def check(archive: zipfile.ZipFile) -> None:
    """What is held against a workbook before anything opens it. Raises Refused."""
    lengths: list[int] = []
    used = 0
    parts = [m for m in archive.infolist() if m.filename.endswith((".xml", ".rels", ".vml"))]
    # Texts first: what the sheets use of them is counted.
    for part in sorted(parts, key=lambda m: "sharedStrings" not in m.filename):
        is_text = "sharedstrings" in part.filename.lower()
        if is_text and part.file_size > MOST_SHEET_TEXT:
            raise Refused("reading.unpacks_too_large", most=MOST_SHEET_TEXT)
        columns = rows = 0
        for piece in _pieces(archive, part):
            if is_text:
                lengths += [len(found[0]) for found in _TEXT_ITEM.finditer(piece)]
                if max(lengths, default=0) > MOST_CELL:
                    raise Refused("reading.cell_too_long", most=MOST_CELL)
            else:
                for found in _PLACE.finditer(piece):
                    columns = max(columns, _column(found[1]))
                    rows = max(rows, int(found[2]))
                if lengths:
                    used += sum(
                        lengths[int(n[1])]
                        for n in _TEXT_USED.finditer(piece)
                        if int(n[1]) < len(lengths)
                    )
        if columns > MOST_COLUMNS:
            raise Refused("reading.too_many_columns", count=columns, most=MOST_COLUMNS)
        if columns * rows > MOST_SHEET_CELLS:
            raise Refused("reading.sheet_too_wide", cells=columns * rows, most=MOST_SHEET_CELLS)
        if used > MOST_SHEET_TEXT:
            raise Refused("reading.unpacks_too_large", most=MOST_SHEET_TEXT)


def _pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """A part's bytes in pieces that end where a tag ends. Raises Refused for what no spreadsheet
    program writes: a document type, which is where entities are declared, and UTF-16."""
    rest = b""
    first = True
    with unpack.damaged(), archive.open(part) as file:
        while data := file.read(_CHUNK):
            if first and (data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in data[:64]):
                raise Refused("reading.strange_xml", name=part.filename[:100])
            first = False
            data = rest + data
            if any(word in data for word in _FORBIDDEN):
                raise Refused("reading.xml_entities", name=part.filename[:100])
            end = max(data.rfind(b"</row>"), data.rfind(b"</si>"), data.rfind(b"</c>"))
            cut = data.find(b">", end) + 1 if end >= 0 else 0
            rest = data[cut:]
            if len(rest) > 4 * MOST_CELL:
                if "sharedstrings" in part.filename.lower():
                    raise Refused("reading.cell_too_long", most=MOST_CELL)
                # No cells here; what was looked for has been.
                rest = rest[-64:]
            yield data[:cut]
    yield rest


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _sheet(book: Any, how: Mapping[str, Any]) -> str:
    """The sheet that `how` names, else the first that is shown and holds anything."""
    names = book.sheet_names
    if wanted := how.get("sheet"):
        if wanted not in names:
            raise Refused("reading.no_sheet", name=str(wanted)[:100], found=", ".join(names)[:300])
        return str(wanted)
    shown = [m.name for m in book.sheets_metadata if str(m.visible).endswith("Visible")]
    for name in shown or names:
        if book.get_sheet_by_name(name).height > 0:
            return name
    raise Refused("lake.file_empty")


def _take(rows: Iterator[list[Any]], count: int) -> list[list[Any]]:
    out: list[list[Any]] = []
    for row in rows:
        out.append(row)
        if len(out) >= count:
            break
    return out


def _chain(first: list[list[Any]], rest: Iterator[list[Any]]) -> Iterator[list[Any]]:
    yield from first
    yield from rest


def _trimmed(row: list[Any]) -> list[Any]:
    end = len(row)
    while end and not header.filled(row[end - 1 : end]):
        end -= 1
    return row[:end]


def _named(
    rows: Iterator[tuple[int, list[Any]]], columns: tuple[str, ...], row_of: str
) -> Iterator[dict[str, Any]]:
    for number, row in rows:
        named = {c: v for c, v in zip(columns, row, strict=False) if v is not None and v != ""}
        for place, value in enumerate(row[len(columns) :], len(columns) + 1):
            if header.filled([value]):
                named[f"column_{place}"] = value
        named[row_of] = number
        yield named
