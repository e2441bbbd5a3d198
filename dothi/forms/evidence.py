"""Files that prove a figure: told by their content, kept by it, handed out as they came.

Nothing here opens a document. What a zip is, an office document or something else, is told in the
jail; the rest by the first bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from dothi import jail
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.lake.reading import unpack
from dothi.lake.reading.limits import MIB
from dothi.lake.reading.refused import Refused

MOST_BYTES = 20 * MIB
MOST_FILES = 20
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_STARTS = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)
ENDINGS = {
    "application/pdf": ".pdf", "image/png": ".png", "image/jpeg": ".jpg", DOCX: ".docx",
    XLSX: ".xlsx",
}  # fmt: skip
_LIMITS = jail.Limits(
    address_space_bytes=512 * MIB, cpu_s=10, wall_s=20.0, output_bytes=1 * MIB, threads=8
)


def digest(path: Path) -> bytes:
    """SHA-256 of a file's content, by which it is kept."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def media_of(path: Path, name: str) -> str:
    """What a file is by its content. Raises Invalid for what no evidence may be, TooLarge."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise TooLarge("forms.evidence_too_large", most=MOST_BYTES // MIB)
    with path.open("rb") as file:
        head = file.read(16)
    for start, media in _STARTS:
        if head.startswith(start):
            return media
    if head.startswith(b"PK\x03\x04"):
        job = jail.Job("dothi.forms.evidence:main", {}, {"file": path})
        with jail.run(job, _LIMITS) as result:
            media = str(result.value.get("media", ""))
        if media in ENDINGS:
            return media
    raise Invalid("forms.evidence_refused", faults=[Fault(name, "forms.evidence_kind")], name=name)


def safe_name(given: str, media: str) -> str:
    """A file's name as we keep it: no folders, nothing unprintable, its ending by its content."""
    stem = Path(given.replace("\\", "/")).name
    stem = "".join(c for c in stem if c.isprintable() and c not in '"<>|:*?').strip(" .")
    ending = ENDINGS[media]
    lower = stem.lower()
    if lower.endswith(ending) or (ending == ".jpg" and lower.endswith(".jpeg")):
        return stem[-120:]
    return f"{stem[:110] or 'file'}{ending}"


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:  # noqa: ARG001
    """Runs inside the jail: {"media": …}, "" for a zip that is no document, or one with macros."""
    try:
        with unpack.open_zip(inputs["file"]) as archive:
            names = archive.namelist()
    except Refused:
        return {"media": ""}
    if "[Content_Types].xml" not in names or any("vbaproject" in n.lower() for n in names):
        return {"media": ""}
    if "word/document.xml" in names:
        return {"media": DOCX}
    if "xl/workbook.xml" in names:
        return {"media": XLSX}
    return {"media": ""}
