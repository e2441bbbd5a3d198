"""A file of targets, of any form that tables come in, read in the jail into rows of texts."""

from __future__ import annotations

from pathlib import Path

from dothi.kernel.errors import Fault, Invalid
from dothi.lake.reading.small import read_small

COLUMNS = ("measure", "direction", "value", "valid_from", "ground")
"""What a file must have; the other fields of a target may be missing."""
MOST_ROWS = 2_000
MOST_CELL = 1_000
MOST_BYTES = 8 * 1024 * 1024


def read(path: Path, fields: tuple[str, ...]) -> list[dict[str, str]]:
    """The file's rows as `fields` say them, what is not there as "". Raises Invalid with the reason
    why the file is refused."""
    try:
        size = path.stat().st_size
    except OSError as error:
        problem = error.strerror or ""
        raise _refused(path, Fault(path.name, "targets.no_file", {"problem": problem})) from error
    if size > MOST_BYTES:
        raise _refused(path, Fault(path.name, "targets.too_many", {"most": MOST_ROWS}))
    table = read_small(path, path.name, most_rows=MOST_ROWS, most_cell=MOST_CELL)
    if isinstance(table, Fault):
        raise _refused(path, table)
    columns = [column.strip().lower() for column in table.columns]
    if missing := [name for name in COLUMNS if name not in columns]:
        params = {"missing": ", ".join(missing), "known": ", ".join(fields)}
        raise _refused(path, Fault(path.name, "targets.columns", params))
    if len(table.rows) > MOST_ROWS:
        raise _refused(path, Fault(path.name, "targets.too_many", {"most": MOST_ROWS}))
    if any(len(cell) > MOST_CELL for _, cells in table.rows for cell in cells):
        raise _refused(path, Fault(path.name, "targets.cell_long", {"most": MOST_CELL}))
    rows = [dict(zip(columns, cells, strict=True)) for _, cells in table.rows]
    return [{name: row.get(name, "") for name in fields} for row in rows]


def _refused(path: Path, fault: Fault) -> Invalid:
    return Invalid("targets.file_refused", faults=[fault], name=path.name)
