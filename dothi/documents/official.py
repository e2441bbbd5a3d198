"""An official document as DOCX, in the form of Decree 30/2020/NĐ-CP, Annex I.

What only a person can give (number, recipients, signature) is left as a dotted space, never made up.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FONT = "Times New Roman"
BLANK = "……………"
NATION = "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"
MOTTO = "Độc lập - Tự do - Hạnh phúc"
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Part:
    """A numbered part: its heading, and its lines."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Official:
    """A document with a type (văn bản có tên loại). `parent` stands above `issuer` ("" for none);
    `symbol` is the type's sign in the number ("BC"); `status` is written above it while it is no
    final document; `signer` the name under the signature, "" for none yet."""

    parent: str
    issuer: str
    symbol: str
    place: str
    day: date
    kind: str
    about: str
    intro: tuple[str, ...]
    parts: tuple[Part, ...]
    office: str
    signer: str = ""
    status: str = ""


def written(document: Official) -> bytes:
    """The document as a file."""
    # Loading it takes a quarter of a second, and only who downloads needs it.
    from docx import Document

    made = Document()
    _page(made)
    made.core_properties.title = _clean(f"{document.kind} {document.about}")
    made.core_properties.author = _clean(document.issuer)
    made.core_properties.comments = ""
    _head(made, document)
    if document.status:
        _paragraph(made, document.status, size=13, bold=True, align="center", before=12)
    _paragraph(made, document.kind.upper(), size=14, bold=True, align="center", before=18)
    _paragraph(made, document.about, size=14, bold=True, align="center")
    _rule(made.add_paragraph(), left_mm=65, right_mm=65)
    for text in document.intro:
        _paragraph(made, text, size=14, align="justify", indent_mm=10, before=6)
    for number, part in enumerate(document.parts, 1):
        heading = _paragraph(
            made, f"{number}. {part.heading}", size=14, bold=True, align="justify", indent_mm=10,
            before=6,
        )  # fmt: skip
        heading.paragraph_format.keep_with_next = True
        for text in part.lines:
            _paragraph(made, text, size=14, align="justify", indent_mm=10, before=6)
    _foot(made, document)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def place_and_day(place: str, day: date) -> str:
    """Box 4: "Sông Hạ, ngày 05 tháng 01 năm 2026"; a zero before days below 10 and months 1 and 2."""
    month = f"{day.month:02d}" if day.month < 3 else str(day.month)
    return f"{place}, ngày {day.day:02d} tháng {month} năm {day.year}"


def _page(made: Document) -> None:
    """A4 upright, the decree's margins, page numbers from the second page on."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Mm, Pt

    section = made.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin = section.bottom_margin = Mm(20)
    section.left_margin, section.right_margin = Mm(30), Mm(15)
    section.header_distance = Mm(10)
    section.different_first_page_header_footer = True
    style: Any = made.styles["Normal"]
    style.font.name, style.font.size = FONT, Pt(14)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), FONT)
    style.paragraph_format.space_after = Pt(0)
    header = section.header.paragraphs[0]
    _align(header, "center")
    run = header.add_run()
    run.font.size = Pt(13)
    for kind, text in (("begin", None), (None, "PAGE"), ("end", None)):
        if kind:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
        else:
            mark = OxmlElement("w:instrText")
            mark.text = text
        run._r.append(mark)


def _head(made: Document, document: Official) -> None:
    """Boxes 1 to 4: the nation and its motto, who issues, number, place and day."""
    from docx.shared import Mm

    table = made.add_table(rows=2, cols=2)
    table.autofit = False
    widths = (Mm(72), Mm(93))
    for row in table.rows:
        for cell, width in zip(row.cells, widths, strict=True):
            cell.width = width
    left, right = table.rows[0].cells
    lines = [(document.parent.upper(), False)] if document.parent else []
    _cell(left, [*lines, (document.issuer.upper(), True)], size=12, rule_mm=24)
    _cell(right, [(NATION, True)], size=12)
    _paragraph(right, MOTTO, size=13, bold=True, align="center")
    _rule(right.add_paragraph(), left_mm=18, right_mm=18)
    left, right = table.rows[1].cells
    _cell(left, [(f"Số: {BLANK}/{document.symbol}-{BLANK}", False)], size=13)
    where = _paragraph(
        right, place_and_day(document.place, document.day), size=13, align="center", first=True
    )
    where.runs[0].italic = True


def _foot(made: Document, document: Official) -> None:
    """Boxes 7 and 9b: who signs, and who receives it."""
    from docx.shared import Mm

    table = made.add_table(rows=1, cols=2)
    table.autofit = False
    left, right = table.rows[0].cells
    left.width = right.width = Mm(82)
    to = _paragraph(left, "Nơi nhận:", size=12, bold=True, first=True, before=18)
    to.runs[0].italic = True
    for text in (f"- {BLANK};", "- Lưu: VT."):
        _paragraph(left, text, size=11)
    _paragraph(
        right, document.office.upper(), size=13, bold=True, align="center", first=True, before=18
    )
    for _ in range(4):
        _paragraph(right, "", size=13)
    _paragraph(right, document.signer or BLANK, size=13, bold=True, align="center")


def _cell(
    cell: Any, lines: Sequence[tuple[str, bool]], *, size: int, rule_mm: int | None = None
) -> None:
    for number, (text, bold) in enumerate(lines):
        _paragraph(cell, text, size=size, bold=bold, align="center", first=number == 0)
    if rule_mm is not None:
        _rule(cell.add_paragraph(), left_mm=rule_mm, right_mm=rule_mm)


def _paragraph(
    place: Any, text: str, *, size: int, bold: bool = False, align: str = "left",
    indent_mm: int = 0, before: int = 0, first: bool = False,
) -> Paragraph:  # fmt: skip
    """A paragraph at the end; `first`: the one that a cell begins with."""
    from docx.shared import Mm, Pt

    made = place.paragraphs[0] if first else place.add_paragraph()
    _align(made, align)
    if indent_mm:
        made.paragraph_format.first_line_indent = Mm(indent_mm)
    if before:
        made.paragraph_format.space_before = Pt(before)
    run = made.add_run(_clean(text))
    run.bold = bold
    run.font.size = Pt(size)
    return made


def _align(paragraph: Paragraph, align: str) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH

    paragraph.alignment = {
        "left": WD_ALIGN_PARAGRAPH.LEFT, "center": WD_ALIGN_PARAGRAPH.CENTER,
        "justify": WD_ALIGN_PARAGRAPH.JUSTIFY,
    }[align]  # fmt: skip


def _rule(paragraph: Paragraph, *, left_mm: int, right_mm: int) -> None:
    """A line across what the indents leave."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Mm, Pt

    shape = paragraph.paragraph_format
    shape.left_indent, shape.right_indent = Mm(left_mm), Mm(right_mm)
    shape.line_spacing = Pt(4)
    border, line = OxmlElement("w:pBdr"), OxmlElement("w:top")
    for name, value in (("val", "single"), ("sz", "6"), ("space", "1"), ("color", "000000")):
        line.set(qn(f"w:{name}"), value)
    border.append(line)
    paragraph._p.get_or_add_pPr().append(border)


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return _NOT_IN_XML.sub("", text)
