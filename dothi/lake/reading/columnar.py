"""Parquet: what its footer claims is checked before a page is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.reading.limits import (
    MOST_CELL,
    MOST_COLUMNS,
    MOST_FOOTER,
    MOST_ROWS,
    unpacked,
)  # fmt: skip
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import name, text
from dothi.lake.reading.result import Table

_NESTED = ("STRUCT", "MAP", "UNION")


def open_parquet(root: duckdb.DuckDBPyConnection, path: Path, work: Path) -> Table:
    """A Parquet file as a table; nested values become JSON. Raises Refused."""
    _check_footer(path)
    file = text(path)
    try:
        rows, groups = _one(
            root, f"SELECT num_rows, num_row_groups FROM parquet_file_metadata({file})"
        )
        leaves = _one(root, f"SELECT count(*) FROM parquet_schema({file})")[0] - 1
        if leaves > MOST_COLUMNS:
            raise Refused("reading.too_many_columns", count=leaves, most=MOST_COLUMNS)
        if rows > MOST_ROWS or rows < 0:
            raise Refused("reading.too_many_rows", most=MOST_ROWS)
        size, claimed, least = _one(
            root,
            f"""SELECT coalesce(sum(total_uncompressed_size), 0),
                    coalesce(max(row_group_num_rows), 0), coalesce(min(total_uncompressed_size), 0)
                FROM parquet_metadata({file})""",
        )
        most = unpacked(path.stat().st_size)
        if size > most or least < 0:
            raise Refused("reading.unpacks_too_large", most=most)
        if claimed > rows:
            raise _damaged("a row group claims more rows than the file")
        columns = root.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()
        names = tuple(" ".join(str(c[0]).split()) for c in columns)
        if any("\x00" in n or len(n) > 200 or not n for n in names) or len(set(names)) < len(names):
            raise Refused("reading.bad_column_name", name=", ".join(names)[:60])
        target = work / "table.parquet"
        cells = ", ".join(
            _cell(str(c[0]), str(c[1]), n) for c, n in zip(columns, names, strict=True)
        )
        root.execute(
            f"COPY (SELECT {cells} FROM read_parquet({file})) TO {text(target)} (COMPRESSION lz4)"
        )
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if "reading.cell_too_long" in str(error):
            raise Refused("reading.cell_too_long", most=MOST_CELL) from error
        raise _damaged(str(error).split("\n")[0]) from error
    notes: dict[str, Any] = {"format": "parquet", "rows": rows, "row_groups": groups}
    return Table(f"read_parquet({text(target)})", names, None, notes)


def _check_footer(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] == b"PARE":
        raise Refused("reading.encrypted")
    if size < 12 or tail[4:] != b"PAR1" or length > size - 12 or length > MOST_FOOTER:
        raise _damaged("footer")


def _cell(column: str, kind: str, as_: str) -> str:
    """SQL for one column as text."""
    said = name(column)
    if kind.startswith(_NESTED) or kind.endswith("]"):
        value = f"to_json({said})::VARCHAR"
    elif kind == "BLOB":
        value = f"hex({said})"
    else:
        value = f"{said}::VARCHAR"
    return (
        f"CASE WHEN strlen({value}) > {MOST_CELL} THEN error('reading.cell_too_long') "
        f"ELSE {value} END AS {name(as_)}"
    )


def _damaged(problem: str) -> Refused:
    return Refused("reading.damaged", format="Parquet", problem=problem[:200])


def _one(root: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = root.execute(query).fetchone()
    assert row is not None
    return row
