"""Runs inside the jail: the sheet that a person filled in, cell by cell, numbers as numbers."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from dothi.lake.reading import sheets, unpack
from dothi.lake.reading.kind import kind
from dothi.lake.reading.refused import Refused

MOST_COLUMNS = 500
MOST_TEXT = 4_000


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:  # noqa: ARG001
    """{"columns": names, "rows": [[row in the sheet, cells], …]} or {"fault": …}."""
    try:
        return _read(inputs["file"], str(args["sheet"]), int(args["header_row"]), int(args["most"]))
    except Refused as refused:
        return {"fault": refused.fault()}


def _read(path: Path, name: str, header: int, most: int) -> dict[str, Any]:
    if kind(path) != "zip":
        raise Refused("forms.no_workbook")
    with unpack.open_zip(path) as archive:
        if not sheets.is_workbook(archive):
            raise Refused("forms.no_workbook")
        sheets.check(archive)
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        if name not in book.sheet_names:
            found = ", ".join(book.sheet_names)[:300]
            raise Refused("reading.no_sheet", name=name, found=found)
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except (CalamineError, OSError, ValueError) as error:
        raise Refused("reading.damaged", format="XLSX", problem=str(error)[:200]) from error
    if len(rows) < header:
        raise Refused("reading.no_header_row", row=header)
    columns = [str(cell).strip()[:200] for cell in rows[header - 1][:MOST_COLUMNS]]
    filled = [
        [number, [_plain(cell) for cell in row[: len(columns)]]]
        for number, row in enumerate(rows[header:], header + 1)
        if any(cell not in ("", None) for cell in row)
    ]
    if len(filled) > most:
        raise Refused("forms.too_many_rows", most=most)
    return {"columns": columns, "rows": filled}


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return cell.isoformat(sep="T", timespec="minutes")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return cell[:MOST_TEXT] if isinstance(cell, str) else cell
