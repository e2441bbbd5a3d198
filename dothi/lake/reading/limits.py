"""How much of a file is read at most. Checked before unpacking and again while reading."""

from __future__ import annotations

from pathlib import Path

MIB = 1024 * 1024

MOST_UNPACKED = 4 * 1024 * MIB
ALWAYS_UNPACKED = 64 * MIB
"""So much may come out of any archive; more only in proportion to its size."""
MOST_RATIO = 100
MOST_MEMBERS = 1_000
MOST_DIRECTORY = 1 * MIB
"""Bytes of a zip's own list of its members."""

MOST_COLUMNS = 2_000
MOST_HEADER = 65_000
"""Bytes of the line with the column names."""
MOST_CELL = 1_000_000
MOST_GEOMETRY = 16_000_000
"""Characters of one shape as text: a province with its islands has some millions."""
MOST_SHEET_CELLS = 12_000_000
"""Rows × columns that a sheet spans: it is held in memory whole."""
MOST_SHEET_TEXT = 256 * MIB
MOST_JSON = 256 * MIB
MOST_DEPTH = 64
MOST_NUMBER = 400
"""Digits of a number in JSON."""
MOST_ROWS = 50_000_000
MOST_FOOTER = 16 * MIB
LOOKED_AT = 256 * 1024
"""Bytes at the start of a file from which its form is told."""


def unpacked(size: int) -> int:
    """Bytes that may come out of an archive of `size` bytes."""
    return min(MOST_UNPACKED, max(ALWAYS_UNPACKED, MOST_RATIO * size))


def spans(path: Path) -> int:
    """Bytes that reading the file may have to do with: where it is packed, what may come out."""
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(4).startswith((b"\x1f\x8b", b"PK", b"PAR1"))
    return unpacked(size) if packed else size
