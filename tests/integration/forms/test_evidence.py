"""Evidence is told by its content, kept by it, and handed out to who may see the return."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from dothi.forms import evidence
from dothi.forms.service import Upload
from dothi.identity.model import Role
from dothi.kernel.errors import Invalid, NotFound, TooLarge
from tests.integration.forms.conftest import Town

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"


def file(town: Town, name: str, content: bytes, column: str = "") -> Upload:
    folder = Path(town.forms._files.folder).parent / "sent"  # pyright: ignore[reportPrivateUsage]
    folder.mkdir(exist_ok=True)
    path = folder / hashlib.sha256(content).hexdigest()[:16]
    path.write_bytes(content)
    return Upload(path, name, column)


def pdf(town: Town, column: str = "", more: bytes = b"") -> Upload:
    return file(town, "Biên bản.pdf", PDF + more, column)


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


def test_evidence_is_kept_and_given_to_who_may_see_the_return(town: Town) -> None:
    place = town.place()
    officer = town.actor("ubnd-a", Role.OFFICER)
    found = town.forms.save(officer, place, {}, version=0, uploads=[pdf(town)])
    digest = hashlib.sha256(PDF).hexdigest()
    where = ("waste", place.period.code, "ubnd-a", digest)
    path, kept = town.forms.evidence(town.actor("so-nnmt", Role.LEADER), *where)
    assert path.read_bytes() == PDF
    assert (kept.name, kept.media) == ("Biên bản.pdf", "application/pdf")
    with pytest.raises(NotFound):
        town.forms.evidence(town.actor("ubnd-b", Role.OFFICER), *where)
    with pytest.raises(NotFound):
        town.forms.evidence(officer, *where[:3], "00" * 32)
    with pytest.raises(NotFound):
        town.forms.evidence(officer, *where[:3], "../../etc/passwd")
    # the same file is not another return's
    with pytest.raises(NotFound):
        town.forms.evidence(
            town.actor("ubnd-b", Role.OFFICER), "waste", place.period.code, "ubnd-b", digest
        )
    town.forms.save(officer, place, {}, version=found.version, drop=[(bytes.fromhex(digest), "")])
    look = town.forms.look(officer, *where[:3])
    assert look.evidence == ()
    assert [act.what for act in look.history][:2] == ["saved", "detached"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trang.pdf", b"<html><script>alert(1)</script></html>"),
        ("anh.png", b"GIF89a" + b"\0" * 40),
        ("may.pdf", b"MZ\x90\0" + b"\0" * 60),
        ("ve.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("kho.zip", zipped("a.txt")),
        ("macro.docx", zipped("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin")),
        ("nua.docx", zipped("[Content_Types].xml", "word/document.xml")[:-40]),
        ("trang.docx", b"PK\x03\x04" + b"\xff" * 200),
        ("rong.pdf", b""),
    ],
)
def test_what_is_no_document_is_refused_whatever_it_is_called(
    town: Town, name: str, content: bytes
) -> None:
    place = town.place()
    officer = town.actor("ubnd-a", Role.OFFICER)
    with pytest.raises(Invalid) as refused:
        town.forms.save(officer, place, {}, version=0, uploads=[file(town, name, content)])
    assert [f.key for f in refused.value.faults] == ["forms.evidence_kind"]


@pytest.mark.parametrize(
    ("content", "media", "ending"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 8, "image/png", ".png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 8, "image/jpeg", ".jpg"),
        (zipped("[Content_Types].xml", "word/document.xml"), evidence.DOCX, ".docx"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), evidence.XLSX, ".xlsx"),
    ],
)
def test_a_file_gets_the_ending_of_what_it_is(
    tmp_path: Path, content: bytes, media: str, ending: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert evidence.media_of(path, "x.exe") == media
    assert evidence.safe_name('..\\..\\a/b<"x>.exe', media) == f"bx.exe{ending}"


def test_a_file_beyond_the_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    with path.open("wb") as file:
        file.write(PDF)
        file.truncate(evidence.MOST_BYTES + 1)
    with pytest.raises(TooLarge):
        evidence.media_of(path, "large.pdf")
