"""SQL over files: every column as text, in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dothi.lake.reading.limits import MOST_CELL

MOST_MALFORMED = 50_000


def read_csv(
    path: Path, columns: Sequence[str], delimiter: str = ",", quote: str = '"', longest: int = 0
) -> str:
    """A CSV file in UTF-8 with its header in the first line; malformed lines go to DuckDB's
    `reject_errors`. `longest`: bytes of the longest row, where it may be longer than a cell."""
    types = "{" + ", ".join(f"{text(name)}: 'VARCHAR'" for name in columns) + "}"
    # DuckDB takes sixteen times the longest line for a buffer unless told otherwise.
    buffer = f", buffer_size = {2 * longest}" if longest > MOST_CELL else ""
    return (
        f"read_csv({text(path)}, all_varchar = true, header = true, delim = {text(delimiter)}, "
        f"quote = {text(quote)}, escape = {text(quote)}, auto_detect = false, columns = {types}, "
        f"ignore_errors = true, store_rejects = true, rejects_limit = {MOST_MALFORMED + 1}, "
        f"max_line_size = {max(longest, MOST_CELL)}, null_padding = false, encoding = 'utf-8'{buffer})"
    )


def name(column: str) -> str:
    """A column's name in SQL."""
    return '"' + column.replace('"', '""') + '"'


def text(value: Any) -> str:
    """A text in SQL."""
    return "'" + str(value).replace("'", "''") + "'"
