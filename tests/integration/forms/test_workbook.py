"""A return's workbook: out with what is typed, in as people fill it, faults named by cell."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from dothi.forms.service import Upload
from dothi.identity.model import Role
from dothi.kernel.errors import Forbidden, Invalid, TooLarge
from dothi.lake.reader import HEADER_ROW, SHEET
from tests.integration.forms.conftest import Town

Rows = list[list[Any]]


def taken(town: Town, name: str = "waste", party: str = "ubnd-a", lang: str = "vi") -> Rows:
    place = town.place(name, party)
    content = town.forms.workbook(
        town.actor(party, Role.OFFICER), name, place.period.code, party, lang
    )
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(SHEET).to_python()


def saved(rows: Rows, path: Path, sheet: str = SHEET) -> Path:
    """As a spreadsheet program writes it."""
    import datetime as dt

    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        page = book.add_worksheet(sheet)
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for line, row in enumerate(rows):
            for place, cell in enumerate(row):
                if isinstance(cell, dt.date):
                    page.write_datetime(
                        line, place, dt.datetime(cell.year, cell.month, cell.day), day
                    )
                elif isinstance(cell, bool):
                    page.write_boolean(line, place, cell)
                elif isinstance(cell, int | float):
                    page.write_number(line, place, cell)
                elif cell not in ("", None):
                    page.write_string(line, place, str(cell))
    return path


def brought(town: Town, path: Path, name: str = "waste", version: int = 0) -> Any:
    place = town.place(name)
    town.forms.save(
        town.actor("ubnd-a", Role.OFFICER), place, {}, version=version,
        workbook=Upload(path, "mẫu.xlsx", ""),
    )  # fmt: skip
    return town.forms.look(town.actor("ubnd-a", Role.OFFICER), name, place.period.code, "ubnd-a")


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("figure", [1.234, 1234.5, "1.234,5", 31])
def test_a_filled_workbook_fills_the_draft_and_not_the_store(
    town: Town, tmp_path: Path, lang: str, figure: Any
) -> None:
    rows = taken(town, lang=lang)
    assert rows[HEADER_ROW - 1] == ["commune", "time", "collected", "sorted"]
    assert rows[HEADER_ROW][0] == "ubnd-a"
    rows[HEADER_ROW][2:] = [figure]
    seen = brought(town, saved(rows, tmp_path / "f.xlsx"))
    value = 1234.5 if isinstance(figure, str) else float(figure)
    assert seen.found.cells == {"collected": {"v": value}}
    assert town.in_store(town.place()) == {}
    # out again with what is typed
    assert taken(town)[HEADER_ROW][2] == value


def test_records_of_every_type_go_out_and_come_back(town: Town, tmp_path: Path) -> None:
    officer = town.actor("ubnd-a", Role.OFFICER)
    place = town.place("counts")
    typed = {
        "received": 10, "late": 2, "plan": "online", "closed": "2026-10-31", "sent": True,
    }  # fmt: skip
    found = town.forms.save(officer, place, typed, version=0)
    rows = taken(town, "counts")
    again = brought(town, saved(rows, tmp_path / "f.xlsx"), "counts", found.version)
    assert again.found.cells == {name: {"v": value} for name, value in typed.items()}


def test_all_faults_are_named_by_cell_and_nothing_is_taken(town: Town, tmp_path: Path) -> None:
    rows = taken(town)
    rows[HEADER_ROW] = ["ubnd-b", "12/1999", "nhiều", -4]
    with pytest.raises(Invalid) as refused:
        brought(town, saved(rows, tmp_path / "f.xlsx"))
    assert [(f.where, f.key) for f in refused.value.faults] == [
        ("A5", "forms.cell_other_party"),
        ("B5", "forms.cell_other_period"),
        ("C5", "forms.not_number"),
        ("D5", "forms.outside"),
    ]
    place = town.place()
    look = town.forms.look(town.actor("ubnd-a", Role.OFFICER), "waste", place.period.code, "ubnd-a")
    assert look.found.version == 0


def two_rows(rows: Rows) -> None:
    rows.append(list(rows[HEADER_ROW]))


def no_row(rows: Rows) -> None:
    del rows[HEADER_ROW]


def no_column(rows: Rows) -> None:
    for row in rows:
        del row[2:3]


@pytest.mark.parametrize(
    ("change", "where", "key"),
    [
        (two_rows, "A5", "forms.cell_one_row"),
        (no_row, "A5", "forms.cell_one_row"),
        (no_column, "D4", "forms.cell_no_column"),
    ],
)
def test_what_is_not_this_forms_sheet_is_told(
    town: Town, tmp_path: Path, change: Callable[[Rows], None], where: str, key: str
) -> None:
    rows = taken(town)
    change(rows)
    with pytest.raises(Invalid) as refused:
        brought(town, saved(rows, tmp_path / "f.xlsx"))
    assert [f.key for f in refused.value.faults] == [key]
    assert refused.value.faults[0].where in (where, "C4")


def test_other_files_are_refused_with_their_reason(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "f.xlsx"
    for content, key in (
        (b"PK\x03\x04 no archive", "reading.damaged_archive"),
        (b"PK\x03\x04" + b"\0" * 50, "reading.damaged_archive"),
        (b"%PDF-1.7 ...", "reading.pdf"),
        (saved([["x"]], tmp_path / "o.xlsx", "Khác").read_bytes(), "reading.no_sheet"),
        (saved([["x"]], tmp_path / "s.xlsx").read_bytes(), "reading.no_header_row"),
    ):
        path.write_bytes(content)
        with pytest.raises(Invalid) as refused:
            brought(town, path)
        assert [f.key for f in refused.value.faults] == [key]
        assert refused.value.faults[0].text("vi")
    with path.open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    with pytest.raises(TooLarge):
        brought(town, path)


def test_the_workbook_is_for_who_enters(town: Town) -> None:
    place = town.place()
    with pytest.raises(Forbidden):
        town.forms.workbook(
            town.actor("so-nnmt", Role.OFFICER), "waste", place.period.code, "ubnd-a", "vi"
        )
