"""Where a table begins: titles, blank lines and repeated headers stand above many of them."""

from __future__ import annotations

from collections.abc import Sequence

from dothi.lake.reading.limits import MOST_COLUMNS
from dothi.lake.reading.refused import Refused

LOOK_THROUGH = 200
_FULL_ENOUGH = 0.6


def filled(row: Sequence[object]) -> int:
    """How many cells of the row hold something."""
    return sum(1 for cell in row if cell is not None and str(cell).strip())


def find(rows: Sequence[Sequence[object]]) -> tuple[int, bool]:
    """The index of the header among the first rows of a sheet or file, and whether the row after
    it says the same again (then that one is the header)."""
    counts = [filled(row) + _unnamed_index(row) for row in rows[:LOOK_THROUGH]]
    full = max(counts, default=0)
    wanted = max(min(full, 2), _FULL_ENOUGH * full)
    at = next((i for i, count in enumerate(counts) if count >= wanted), 0)
    again = at + 1 < len(rows) and list(rows[at]) == list(rows[at + 1]) and counts[at] > 1
    return (at + 1, True) if again else (at, False)


def two_rows(
    first: Sequence[object], second: Sequence[object], third: Sequence[object], *, merged: bool
) -> list[str] | None:
    """The titles of a head in two rows, "Tổng số – Nữ"; None where the second row is no head.

    Its cells stand below what the first row joins or leaves blank, all of them words; and cells of
    the first are merged, or numbers follow below.
    """
    width = max(len(first), len(second))
    above = [_said(first, i) for i in range(width)]
    below = [_said(second, i) for i in range(width)]
    if not any(below) or not any(a and not b for a, b in zip(above, below, strict=True)):
        return None
    if any(isinstance(cell, int | float) for cell in second) or not any(
        b and not a for a, b in zip(above, below, strict=True)
    ):
        return None
    under = [cell for cell, b in zip(third, below, strict=False) if b]
    if not merged and not any(isinstance(cell, int | float) for cell in under):
        return None
    titles, parent = [], ""
    for a, b in zip(above, below, strict=True):
        # A blank belongs to the title on its left as long as the second row goes on.
        parent = a or (parent if b else "")
        titles.append(f"{parent} – {b}" if parent and b else parent or b)
    return titles


def _said(row: Sequence[object], place: int) -> str:
    cell = row[place] if place < len(row) else None
    return " ".join(str("" if cell is None else cell).split())


def _unnamed_index(row: Sequence[object]) -> bool:
    """Tables written with their row labels often leave the first column without a name."""
    return len(row) > 1 and not filled(row[:1]) and bool(filled(row[1:2]))


def names(cells: Sequence[object], *, number: bool) -> tuple[tuple[str, ...], list[str]]:
    """Column names as the header gives them, and those that stand twice.

    A column without a name is called by its place. Names that repeat are refused, because nobody
    could say which one is meant, unless `number` asks to number them.
    """
    if len(cells) > MOST_COLUMNS:
        raise Refused("reading.too_many_columns", count=len(cells), most=MOST_COLUMNS)
    given = [" ".join(str("" if cell is None else cell).split()) for cell in cells]
    taken = {name for name in given if name}
    twice = sorted(name for name in taken if given.count(name) > 1)
    if twice and not number:
        raise Refused("lake.file_column_twice", name=", ".join(twice)[:200])
    out: list[str] = []
    for place, name in enumerate(given, 1):
        wanted, tries = name or f"column_{place}", 1
        while wanted in out or (not name and wanted in taken):
            tries += 1
            wanted = f"{name or f'column_{place}'}_{tries}"
        out.append(wanted)
    return tuple(out), twice
