"""A return's workbook, out and in: the contract's own form with this return's row filled in.

What comes back is read in the jail. It fills the draft as typing does, all of it or nothing: faults
are named by cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dothi import jail
from dothi.forms import typed
from dothi.forms.model import Cells, Place, values
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.kernel.period import Period
from dothi.lake.reader import HEADER_ROW, SHEET
from dothi.lake.reading.limits import MIB
from dothi.lake.workbook import workbook

MOST_BYTES = 8 * MIB
_LIMITS = jail.Limits(
    address_space_bytes=1024 * MIB, cpu_s=20, wall_s=40.0, output_bytes=16 * MIB, threads=16
)


def written(place: Place, cells: Cells, lang: str) -> bytes:
    """The workbook for one return, with what is typed already."""
    contract = place.dataset.contract
    row = place.row({name: {"v": value} for name, value in values(cells).items()})
    if contract.time is not None and contract.kind == "series":
        row[contract.time.column] = place.period.first_day
    return workbook(contract, (), lang, rows=[row])


def read(place: Place, path: Path, name: str, lang: str) -> Cells:
    """The cells of a filled workbook. Raises Invalid with all faults, each at its cell."""
    if path.stat().st_size > MOST_BYTES:
        raise TooLarge("forms.workbook_too_large", most=MOST_BYTES // MIB)
    args = {"sheet": SHEET, "header_row": HEADER_ROW}
    job = jail.Job("dothi.forms.parse_workbook:main", args, {"file": path})
    with jail.run(job, _LIMITS) as result:
        answer: dict[str, Any] = result.value
    if fault := answer.get("fault"):
        params = {k: v for k, v in fault.items() if k != "key"}
        raise Invalid(
            "forms.workbook_refused", faults=[Fault(name, fault["key"], params)], name=name
        )
    columns: list[str] = [str(c) for c in answer["columns"]]
    rows: list[tuple[int, list[Any]]] = [(int(n), list(row)) for n, row in answer["rows"]]
    return _cells(place, columns, rows, name, lang)


def _cells(
    place: Place, columns: list[str], rows: list[tuple[int, list[Any]]], name: str, lang: str
) -> Cells:
    contract, form = place.dataset.contract, place.form
    wanted = {a.name: a for a in form.asked}
    time = form.period_column or (contract.time.column if contract.time else "")
    needed = [form.party_column, time, *wanted]
    faults = [
        Fault(f"{_letter(len(columns))}{HEADER_ROW}", "forms.cell_no_column", {"name": column})
        for column in needed
        if column not in columns
    ]
    if faults:
        raise Invalid("forms.workbook_faults", faults=faults, name=name)
    at = {column: columns.index(column) for column in needed}
    if len(rows) != 1:
        fault = Fault(f"A{HEADER_ROW + 1}", "forms.cell_one_row", {"count": len(rows)})
        raise Invalid("forms.workbook_faults", faults=[fault], name=name)
    number, row = rows[0]

    def given(column: str) -> Any:
        return row[at[column]] if at[column] < len(row) else None

    def cell(column: str) -> str:
        return f"{_letter(at[column])}{number}"

    if str(given(form.party_column) or "").strip() != place.party.code:
        params = {"found": str(given(form.party_column))[:60], "wanted": place.party.code}
        faults.append(Fault(cell(form.party_column), "forms.cell_other_party", params))
    if not _means(place.period, given(time)):
        params = {"found": str(given(time))[:60], "wanted": place.period.code}
        faults.append(Fault(cell(time), "forms.cell_other_period", params))
    found = typed.cells(form, {column: given(column) for column in wanted}, lang)
    faults += [
        Fault(cell(fault.where), fault.key, fault.params)
        for fault in typed.faults(form, found)
        if fault.key != "forms.needed"  # what is empty can still be typed
    ]
    if faults:
        raise Invalid("forms.workbook_faults", faults=faults, name=name)
    return found


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


def _letter(place: int) -> str:
    """The letters of a column, counted from 0."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
