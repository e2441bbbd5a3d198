"""A file of targets, of any form that tables come in, read in the jail into rows of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dothi import jail
from dothi.kernel.errors import Fault, Invalid

COLUMNS = ("measure", "direction", "value", "valid_from", "ground")
"""What a file must have; the other fields of a target may be missing."""
MOST_ROWS = 2_000
MOST_CELL = 1_000
MOST_BYTES = 8 * 1024 * 1024
_MIB = 1024 * 1024
_LIMITS = jail.Limits(
    address_space_bytes=2048 * _MIB, cpu_s=20, wall_s=30.0, output_bytes=64 * _MIB, threads=32
)


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
    job = jail.Job("dothi.indicators.target_file:main", {}, {"file": path})
    try:
        with jail.run(job, _LIMITS) as result:
            told = json.loads((result.files / "rows.json").read_text("utf-8"))
    except jail.JailError as error:
        raise _refused(path, Fault(path.name, error.key, dict(error.params))) from error
    if fault := told.get("fault"):
        params = {name: value for name, value in fault.items() if name != "key"}
        raise _refused(path, Fault(path.name, fault["key"], params))
    columns = told["columns"]
    if missing := [name for name in COLUMNS if name not in columns]:
        params = {"missing": ", ".join(missing), "known": ", ".join(fields)}
        raise _refused(path, Fault(path.name, "targets.columns", params))
    if len(told["rows"]) > MOST_ROWS:
        raise _refused(path, Fault(path.name, "targets.too_many", {"most": MOST_ROWS}))
    if any(len(cell or "") > MOST_CELL for row in told["rows"] for cell in row):
        raise _refused(path, Fault(path.name, "targets.cell_long", {"most": MOST_CELL}))
    rows = [dict(zip(columns, row, strict=True)) for row in told["rows"]]
    return [{name: str(row.get(name) or "") for name in fields} for row in rows]


def _refused(path: Path, fault: Fault) -> Invalid:
    return Invalid("targets.file_refused", faults=[fault], name=path.name)


def main(_args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Runs inside the jail: writes `rows.json` with `columns` and `rows`, or a `fault`."""
    from dothi.lake.engine import engine
    from dothi.lake.reading.refused import Refused
    from dothi.lake.reading.table import open_table

    with engine(2, "256MB") as root:
        try:
            table = open_table(root, inputs["file"], {}, out)
            listed = ", ".join('"' + name.replace('"', '""') + '"' for name in table.columns)
            rows = root.execute(
                f"SELECT {listed} FROM {table.relation} LIMIT {MOST_ROWS + 1}"
            ).fetchall()
            told: dict[str, Any] = {
                "columns": [c.strip().lower() for c in table.columns],
                "rows": rows,
            }
        except Refused as refused:
            told = {"fault": refused.fault()}
    (out / "rows.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    return {}
