"""Tables as files: what a tile, a list or a chart shows, as CSV or XLSX.

No cell becomes a formula in a spreadsheet: in CSV a text that would is quoted by an apostrophe, in
XLSX every text is written as a text.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from dothi.kernel.i18n import NOTHING, datetime_, number
from dothi.kernel.i18n import date as date_text
from dothi.kernel.time import VN

Cell = str | int | float | datetime | date | None
Format = Literal["csv", "xlsx"]
FORMATS: tuple[Format, ...] = ("csv", "xlsx")
# The framework says the encoding of texts.
MEDIA: dict[Format, str] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NOT_IN_A_NAME = str.maketrans(dict.fromkeys("[]:*?/\\'", " "))


@dataclass(frozen=True)
class Sheet:
    """A table with raw values: times aware, numbers as they are, None where there is no value."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def written(sheets: tuple[Sheet, ...], form: Format) -> bytes:
    """The file's content. CSV holds the first sheet only, in UTF-8 with the mark Excel needs."""
    return _csv(sheets[0]) if form == "csv" else _xlsx(sheets)


def shown(value: Cell, lang: str, decimals: int | None = None) -> str:
    """A cell as the page writes it."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return datetime_(value, lang)
    if isinstance(value, date):
        return date_text(value, lang)
    return value if isinstance(value, str) else number(value, lang, decimals)


def _csv(sheet: Sheet) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_harmless(name) for name in sheet.columns])
    writer.writerows([_plain(cell) for cell in row] for row in sheet.rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _plain(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(VN).isoformat(timespec="seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    return _harmless(cell) if isinstance(cell, str) else cell


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _xlsx(sheets: tuple[Sheet, ...]) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    told = {
        "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
        "strings_to_numbers": False, "remove_timezone": True, "nan_inf_to_errors": True,
    }  # fmt: skip
    with xlsxwriter.Workbook(out, told) as book:
        head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
        moment = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for number_, sheet in enumerate(sheets, 1):
            name = f"{number_} {sheet.title.translate(_NOT_IN_A_NAME)}"[:31].strip()
            page = book.add_worksheet(name)
            page.freeze_panes(1, 0)
            page.set_column(0, max(0, len(sheet.columns) - 1), 22)
            for column, title in enumerate(sheet.columns):
                page.write_string(0, column, title, head)
            for line, row in enumerate(sheet.rows, 1):
                for column, cell in enumerate(row):
                    if isinstance(cell, datetime):
                        page.write_datetime(line, column, cell.astimezone(VN), moment)
                    elif isinstance(cell, date):
                        page.write_datetime(
                            line, column, datetime(cell.year, cell.month, cell.day), day
                        )
                    elif isinstance(cell, str):
                        page.write_string(line, column, cell)
                    elif cell is not None:
                        page.write_number(line, column, cell)
    return out.getvalue()
