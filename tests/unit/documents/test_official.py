"""An official document opens again and says what it was given, in the decree's form."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest
from docx import Document
from docx.shared import Mm, Pt
from hypothesis import given, settings
from hypothesis import strategies as st

from dothi.documents.official import BLANK, MOTTO, NATION, Official, Part, place_and_day, written


def official(**more: Any) -> Official:
    values: dict[str, Any] = {
        "parent": "Ủy ban nhân dân tỉnh", "issuer": "Trung tâm", "symbol": "BC",
        "place": "Sông Hạ", "day": date(2026, 2, 5), "kind": "Báo cáo nhanh",
        "about": "Tình hình trong ngày", "intro": ("Từ 07 giờ 00.",),
        "parts": (Part("Vụ việc", ("- Không phát sinh vụ việc.",)),), "office": "Trực ban",
    } | more  # fmt: skip
    return Official(**values)


def texts(content: bytes) -> list[str]:
    made = Document(io.BytesIO(content))
    cells = [p.text for table in made.tables for row in table.rows for cell in row.cells
             for p in cell.paragraphs]  # fmt: skip
    return [*cells, *(p.text for p in made.paragraphs)]


def test_it_says_what_it_was_given_and_makes_nothing_up() -> None:
    said = texts(written(official(status="DỰ THẢO")))
    for text in (
        NATION, MOTTO, "ỦY BAN NHÂN DÂN TỈNH", "TRUNG TÂM", f"Số: {BLANK}/BC-{BLANK}",
        "Sông Hạ, ngày 05 tháng 02 năm 2026", "DỰ THẢO", "BÁO CÁO NHANH", "Tình hình trong ngày",
        "1. Vụ việc", "- Không phát sinh vụ việc.", "Nơi nhận:", "TRỰC BAN", BLANK,
    ):  # fmt: skip
        assert text in said, text


def test_it_has_the_page_and_the_letters_of_the_decree() -> None:
    made = Document(io.BytesIO(written(official())))
    section = made.sections[0]
    for found, mm in (
        (section.page_width, 210), (section.page_height, 297), (section.left_margin, 30),
        (section.right_margin, 15), (section.top_margin, 20),
    ):  # fmt: skip
        assert found == pytest.approx(Mm(mm), abs=700)
    assert section.different_first_page_header_footer
    assert "PAGE" in section.header.paragraphs[0]._p.xml
    assert 'w:ascii="Times New Roman"' in made.styles["Normal"].element.xml
    body = next(p for p in made.paragraphs if p.text.startswith("- Không"))
    assert body.runs[0].font.size == Pt(14)
    assert body.paragraph_format.first_line_indent == pytest.approx(Mm(10), abs=700)


def test_days_below_ten_and_the_first_two_months_have_a_zero() -> None:
    assert place_and_day("X", date(2026, 1, 9)) == "X, ngày 09 tháng 01 năm 2026"
    assert place_and_day("X", date(2026, 3, 10)) == "X, ngày 10 tháng 3 năm 2026"


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=60))
def test_whatever_somebody_typed_the_file_opens(text: str) -> None:
    said = texts(written(official(parts=(Part(text, (text,)),), signer=text)))
    assert MOTTO in said
