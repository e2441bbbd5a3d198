"""Tables as files: what a spreadsheet gets, and what it must not run."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from dothi.ioc.tables import Sheet, written

AT = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)
SHEET = Sheet("Trạm: [A]/B", ("Trạm", "Giá trị", "Lúc", "Ngày"), (
    ("Kim Sơn", 81.25, AT, date(2026, 11, 21)), ("Đèo Gió", None, None, None),
))  # fmt: skip


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_csv_holds_raw_numbers_local_times_and_nothing_for_what_is_missing() -> None:
    assert rows(written((SHEET,), "csv")) == [
        ["Trạm", "Giá trị", "Lúc", "Ngày"],
        ["Kim Sơn", "81.25", "2026-11-22T00:30:00+07:00", "2026-11-21"],
        ["Đèo Gió", "", "", ""],
    ]


def test_xlsx_holds_numbers_as_numbers_and_every_sheet() -> None:
    book = CalamineWorkbook.from_filelike(io.BytesIO(written((SHEET, SHEET), "xlsx")))
    assert len(book.sheet_names) == 2
    found = book.get_sheet_by_index(0).to_python()
    assert found[1][:3] == ["Kim Sơn", 81.25, datetime(2026, 11, 22, 0, 30)]
    assert str(found[1][3]).startswith("2026-11-21")
    assert found[2] == ["Đèo Gió", "", "", ""]


@pytest.mark.parametrize("text", ["=1+1", "+84 90", "-1", "@SUM(A1)", "\tx", "=cmd|'/c calc'!A1"])
def test_no_text_becomes_a_formula(text: str) -> None:
    sheet = Sheet(text, (text,), ((text,),))
    assert rows(written((sheet,), "csv")) == [[f"'{text}"], [f"'{text}"]]
    content = written((sheet,), "xlsx")
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    assert book.get_sheet_by_index(0).to_python() == [[text], [text]]
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        assert b"<f>" not in packed.read("xl/worksheets/sheet1.xml")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1))
def test_every_text_comes_back_from_csv(texts: list[str]) -> None:
    sheet = Sheet("x", ("a",), tuple((text,) for text in texts))
    assert [row[0].removeprefix("'") for row in rows(written((sheet,), "csv"))[1:]] == [
        text.removeprefix("'") for text in texts
    ]
