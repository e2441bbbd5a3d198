"""What reading a file gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A file as a table of texts.

    `relation` stands after FROM: all columns VARCHAR, in the file's order of rows, over files below
    the work folder or the input itself. `columns` are the names as the header gives them. Row n is
    the n-th row of the relation, the first row of data being 1, unless `row_of` names the column
    that holds its number. `notes` (JSON) tell how the file was understood: format, encoding, font,
    delimiter, header_row, member, sheet, layer …
    """

    relation: str
    columns: tuple[str, ...]
    row_of: str | None
    notes: dict[str, Any]
