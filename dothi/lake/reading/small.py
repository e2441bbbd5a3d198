"""A small table of texts in a file of any form, read whole in the jail: targets, rosters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dothi import jail
from dothi.kernel.errors import Fault

_MIB = 1024 * 1024
_LIMITS = jail.Limits(
    address_space_bytes=2048 * _MIB, cpu_s=20, wall_s=30.0, output_bytes=64 * _MIB, threads=32
)


@dataclass(frozen=True)
class SmallTable:
    """Columns as the file names them; rows are (number in the file, its cells), no cell is None.

    One row and one letter of a cell more than asked for tell that there is more.
    """

    columns: list[str]
    rows: list[tuple[int, list[str]]]


def read_small(path: Path, name: str, *, most_rows: int, most_cell: int) -> SmallTable | Fault:
    """The file's table, or why it is refused; `name` is what its sender calls it."""
    args = {"rows": most_rows + 1, "cell": most_cell + 1}
    job = jail.Job("dothi.lake.reading.small:main", args, {"file": path})
    try:
        with jail.run(job, _LIMITS) as result:
            told = json.loads((result.files / "rows.json").read_text("utf-8"))
    except jail.JailError as error:
        return Fault(name, error.key, dict(error.params))
    if fault := told.get("fault"):
        return Fault(name, fault["key"], {key: v for key, v in fault.items() if key != "key"})
    return SmallTable(told["columns"], [(number, cells) for number, cells in told["rows"]])


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Runs inside the jail: writes `rows.json` with `columns` and numbered `rows`, or a `fault`."""
    from dothi.lake.engine import engine
    from dothi.lake.reading.refused import Refused
    from dothi.lake.reading.table import open_table

    with engine(2, "256MB") as root:
        try:
            table = open_table(root, inputs["file"], {}, out)
            columns = [name for name in table.columns if name != table.row_of]
            listed = ", ".join(_quoted(name) for name in columns)
            number = f"{_quoted(table.row_of)}::INT" if table.row_of else "0"
            found = root.execute(
                f"SELECT {number}, {listed} FROM {table.relation} LIMIT {args['rows']:d}"
            ).fetchall()
            above = int(table.notes.get("header_row") or 1)
            rows = [
                [own if table.row_of else above + nth, [_text(c)[: args["cell"]] for c in cells]]
                for nth, (own, *cells) in enumerate(found, 1)
            ]
            told: dict[str, Any] = {"columns": columns, "rows": rows}
        except Refused as refused:
            told = {"fault": refused.fault()}
    (out / "rows.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    return {}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)
