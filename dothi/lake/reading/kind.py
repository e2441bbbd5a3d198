"""What a file is, by its first bytes. Its name says nothing: it may lie."""

from __future__ import annotations

import re
from pathlib import Path

from dothi.lake.reading.limits import LOOKED_AT
from dothi.lake.reading.refused import Refused

FORMATS = ("csv", "xlsx", "json", "ndjson", "parquet", "geojson", "gpkg", "shp")
_SQLITE = b"SQLite format 3\x00"
_OTHER = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "reading.old_office"),
    (b"%PDF", "reading.pdf"),
    (b"7z\xbc\xaf\x27\x1c", "reading.other_archive"),
    (b"Rar!\x1a\x07", "reading.other_archive"),
    (b"BZh", "reading.other_archive"),
    (b"\xfd7zXZ\x00", "reading.other_archive"),
    (b"\x28\xb5\x2f\xfd", "reading.other_archive"),
    (b"PARE", "reading.encrypted"),
    (b"\x00\x00\x27\x0a", "reading.bare_shapefile"),
    (b"RDX", "reading.unknown_binary"),
    (b"\x89PNG", "reading.unknown_binary"),
    (b"\xff\xd8\xff", "reading.unknown_binary"),
    (b"\x7fELF", "reading.unknown_binary"),
    (b"MZ\x90", "reading.unknown_binary"),
)
_LINES = re.compile(rb"^\s*\{[^\n]*\}[ \t]*\r?\n\s*\{")


def kind(path: Path) -> str:
    """ "gz", "zip", "parquet", "gpkg", "ndjson", "json" or "csv". Raises Refused for what is none."""
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
        file.seek(max(0, path.stat().st_size - 512))
        tail = file.read(512)
    if not head:
        raise Refused("lake.file_empty")
    if head.startswith(b"\x1f\x8b"):
        return "gz"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return "zip"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(_SQLITE):
        return "gpkg"
    for start, key in _OTHER:
        if head.startswith(start):
            raise Refused(key)
    if head[257:262] == b"ustar":
        raise Refused("reading.other_archive")
    if b"PK\x05\x06" in tail or b"PK\x03\x04" in head[:4096]:
        # An archive behind other bytes: two programs would see two different files.
        raise Refused("reading.two_faces")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"{", b"["):
        return "ndjson" if _LINES.match(head.removeprefix(b"\xef\xbb\xbf")) else "json"
    return "csv"
