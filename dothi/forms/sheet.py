"""A return's workbook and CSV file, out and in: the contract's own form with this return's rows.

What comes back is read in the jail. It fills the draft as typing does, all of it or nothing: faults
are named by cell.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dothi import jail
from dothi.forms import table, typed
from dothi.forms.model import PLAIN, Line, Place, values
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.kernel.period import Period
from dothi.lake.form import Asked
from dothi.lake.form_lines import MOST_LINES
from dothi.lake.out.formats import harmed, harmless
from dothi.lake.reader import HEADER_ROW, SHEET
from dothi.lake.reading.limits import MIB
from dothi.lake.reading.small import read_small
from dothi.lake.workbook import workbook

MOST_BYTES = 8 * MIB
_MOST_CELL = 4_000
_LIMITS = jail.Limits(
    address_space_bytes=1024 * MIB, cpu_s=20, wall_s=40.0, output_bytes=16 * MIB, threads=16
)
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
"""A number that could have thousands or decimals."""
Rows = list[tuple[int, list[Any]]]


def written(place: Place, lines: Sequence[Line], lang: str) -> bytes:
    """The workbook for one return, with what is typed already. Lines stand in it by what the form
    calls them, and are chosen from its list."""
    contract, asked = place.dataset.contract, place.form.lines
    known, titles = {}, {}
    if asked is not None:
        titles = {asked.column: asked.title[lang]}
        if place.options:
            known = {asked.column: tuple(one.title[lang] for one in place.options)}
    rows = [_row(place, line, lang) for line in table.arranged(place, tuple(lines))]
    return workbook(contract, (), lang, rows=rows or [_row(place, Line("", {}), lang)],
                    known=known, titles=titles)  # fmt: skip


def as_csv(place: Place, lines: Sequence[Line], lang: str) -> bytes:
    """The return as CSV (UTF-8 with its mark, so that spreadsheet programs know it): the columns'
    names, then a row for each line; dates as dd/mm/yyyy, numbers with a decimal point."""
    asked = {one.name: one for one in place.form.asked}
    rows = [_row(place, line, lang) for line in table.arranged(place, tuple(lines))]
    columns = _columns(place)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows or [_row(place, Line("", {}), lang)]:
        writer.writerow([_plain(asked.get(name), row.get(name), lang) for name in columns])
    return out.getvalue().encode("utf-8-sig")


def read(place: Place, path: Path, name: str, lang: str) -> tuple[Line, ...]:
    """The lines of a filled workbook or CSV file. Raises Invalid with all faults, each at its cell."""
    if path.stat().st_size > MOST_BYTES:
        raise TooLarge("forms.workbook_too_large", most=MOST_BYTES // MIB)
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    if not zipped:
        small = read_small(path, name, most_rows=MOST_LINES, most_cell=_MOST_CELL)
        if isinstance(small, Fault):
            raise Invalid("forms.workbook_refused", faults=[small], name=name)
        if len(small.rows) > MOST_LINES:
            fault = Fault(name, "forms.too_many_rows", {"most": MOST_LINES})
            raise Invalid("forms.workbook_refused", faults=[fault], name=name)
        header = small.rows[0][0] - 1 if small.rows else 1
        rows: Rows = [(n, [harmed(x) for x in row]) for n, row in small.rows if any(row)]
        columns = [column.strip() for column in small.columns]
        return _lines(place, columns, rows, header, name, lang, texts=True)
    args = {"sheet": SHEET, "header_row": HEADER_ROW, "most": MOST_LINES}
    job = jail.Job("dothi.forms.parse_workbook:main", args, {"file": path})
    with jail.run(job, _LIMITS) as result:
        answer: dict[str, Any] = result.value
    if fault := answer.get("fault"):
        params = {k: v for k, v in fault.items() if k != "key"}
        raise Invalid(
            "forms.workbook_refused", faults=[Fault(name, fault["key"], params)], name=name
        )
    columns = [str(c) for c in answer["columns"]]
    rows = [(int(n), list(row)) for n, row in answer["rows"]]
    return _lines(place, columns, rows, HEADER_ROW, name, lang, texts=False)


def _columns(place: Place) -> list[str]:
    form = place.form
    time = place.dataset.contract.time
    keys = [form.party_column, form.period_column or (time.column if time else "")]
    keys += [form.lines.column] if form.lines else []
    return [*keys, *(one.name for one in form.asked)]


def _row(place: Place, line: Line, lang: str) -> dict[str, Any]:
    contract, asked = place.dataset.contract, place.form.lines
    held = {name: {"v": value} for name, value in values(line.cells).items()}
    row = place.row(Line(line.key, held))
    if contract.time is not None and contract.kind == "series":
        row[contract.time.column] = place.period.first_day
    if asked is not None:
        row[asked.column] = place.line_title(line.key, lang) or None
    return row


def _plain(asked: Asked | None, value: Any, lang: str) -> str:
    """A cell of CSV as people write it; read again it gives the same value."""
    if value is None:
        return ""
    if asked is not None and asked.type in ("number", "integer"):
        text = typed.written(asked, value, "en").replace(",", "")
        return f"{text}0" if _EITHER.fullmatch(text) else text
    if asked is not None and asked.type == "boolean":
        return typed.word(value, lang)
    text = str(value)
    if day := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", text):
        return f"{day[3]}/{day[2]}/{day[1]}"
    return harmless(text)


def _lines(
    place: Place, columns: list[str], rows: Rows, header: int, name: str, lang: str, *, texts: bool
) -> tuple[Line, ...]:
    form = place.form
    wanted = {a.name: a for a in form.asked}
    needed = _columns(place)
    faults = [
        Fault(f"{_letter(len(columns))}{header}", "forms.cell_no_column", {"name": column})
        for column in needed
        if column not in columns
    ]
    if faults:
        raise Invalid("forms.workbook_faults", faults=faults, name=name)
    at = {column: columns.index(column) for column in needed}
    if form.lines is None and len(rows) != 1:
        fault = Fault(f"A{header + 1}", "forms.cell_one_row", {"count": len(rows)})
        raise Invalid("forms.workbook_faults", faults=[fault], name=name)
    party, time, *_ = needed
    found: list[tuple[int, Line]] = []
    for number, row in rows:
        cells = {c: row[i] if i < len(row) else None for c, i in at.items()}

        def cell(column: str, number: int = number) -> str:
            return f"{_letter(at[column])}{number}"

        key = _name(cells[form.lines.column]) if form.lines else PLAIN
        figures = {column: cells[column] for column in wanted}
        if (
            form.lines
            and not key.strip()
            and not any(v not in ("", None) for v in figures.values())
        ):
            continue  # a row of the template that nobody filled
        if str(cells[party] or "").strip() != place.party.code:
            params = {"found": str(cells[party])[:60], "wanted": place.party.code}
            faults.append(Fault(cell(party), "forms.cell_other_party", params))
        if not _means(place.period, cells[time]):
            params = {"found": str(cells[time])[:60], "wanted": place.period.code}
            faults.append(Fault(cell(time), "forms.cell_other_period", params))
        if texts:
            either = _either(wanted, figures)
            faults += [Fault(cell(c), "forms.cell_either", {"text": figures[c]}) for c in either]
            figures = {c: None if c in either else value for c, value in figures.items()}
        line = Line(
            table.code(place, key) if form.lines else PLAIN, typed.cells(form, figures, lang)
        )
        faults += [
            Fault(cell(one.where), one.key, one.params)
            for one in typed.faults(form, line.cells)
            if one.key != "forms.needed"  # what is empty can still be typed
        ]
        found.append((number, line))
    faults += _keys(place, found, at)
    if faults:
        raise Invalid("forms.workbook_faults", faults=faults, name=name)
    return table.arranged(place, tuple(line for _, line in found))


def _keys(place: Place, found: list[tuple[int, Line]], at: Mapping[str, int]) -> list[Fault]:
    """What is wrong with the lines' keys, at their cells."""
    asked = place.form.lines
    if asked is None:
        return []
    out: list[Fault] = []
    for one in table.key_faults(place, [line for _, line in found]):
        number, _, _ = one.where.partition(".")
        if not number.isdigit():
            continue  # too few or too many: that is mended where it is handed in
        params = dict(one.params)
        if "first" in params:
            params["first"] = found[params["first"] - 1][0]
        cell = f"{_letter(at[asked.column])}{found[int(number) - 1][0]}"
        out.append(Fault(cell, one.key, params))
    return out


def _either(wanted: Mapping[str, Asked], figures: Mapping[str, Any]) -> set[str]:
    """Columns of numbers whose text could mean two: 1.234 is not guessed in a file."""
    return {
        name
        for name, asked in wanted.items()
        if asked.type in ("number", "integer")
        and _EITHER.fullmatch(str(figures[name] or "").strip())
    }


def _means(period: Period, given: Any) -> bool:
    """Whether a cell names the period: by its code, its first day, or as people write months."""
    if isinstance(given, float) and given == int(given):
        given = int(given)
    text = str(given or "").strip().split("T")[0]
    first = period.first_day
    forms: Mapping[str, tuple[str, ...]] = {
        "year": (), "quarter": (f"{first:%m/%Y}",), "month": (f"{first:%m/%Y}", f"{first.month}/{first.year}"), "day": (),
    }  # fmt: skip
    known = {period.code, first.isoformat(), f"{first:%d/%m/%Y}", *forms[period.grain]}
    return text in known


def _name(cell: Any) -> str:
    """A line's name as it is written: a workbook holds 12 as 12.0."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell)


def _letter(place: int) -> str:
    """The letters of a column, counted from 0."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
