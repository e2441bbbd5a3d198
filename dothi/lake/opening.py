"""Runs inside the jail: a file of unknown intent is opened by the first reader that fits it.

Plain UTF-8 CSV in a form that needs no step is read straight from its text: that is the way of
millions of rows. Everything else goes through `dothi.lake.reading` and `dothi.lake.reshape`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.malformed import MOST_MALFORMED
from dothi.lake.reading import quotes
from dothi.lake.reading.refused import Refused
from dothi.lake.reshape import TIME, literal, shape, wide_columns

LOOKED_AT = 65_536
STEPS = ("constants", "extract", "skip", "apart", "wide")


@dataclass
class Opened:
    """A reader and the relation it reads. `numbered`: the relation has `row_no`; else rows are
    numbered by their order, lines that are no rows counted in."""

    reader: dict[str, Any]
    relation: str
    numbered: bool
    extra: dict[str, Any] = field(default_factory=dict)
    """What the steps found, for the report: skipped rows, rows kept apart by level."""


@dataclass(frozen=True)
class _Plain:
    names: list[str]
    delimiter: str


def opened(root: duckdb.DuckDBPyConnection, path: Path, args: dict[str, Any], work: Path) -> Opened:
    """The first reader that fits, with the relation of the columns it names. Raises Refused."""
    plain = _plain(path, args["delimiters"])
    tables: dict[str, Any] = {}
    refused: Refused | None = None
    seen: list[tuple[dict[str, Any], list[str]]] = []
    for reader in args["readers"]:
        if plain is not None and _needs_no_step(reader):
            seen.append((reader, plain.names))
            if fit := _fitting(reader, tuple(plain.names)):
                quotes.check(path, plain.delimiter)
                return _straight(path, plain, fit)
            continue
        how = dict(reader["file"])
        if str(how) not in tables:
            tables[str(how)] = _open(root, path, how, work / f"form-{len(tables)}")
        table = tables[str(how)]
        if isinstance(table, Refused):
            refused = refused or table
            continue
        seen.append((reader, list(table.columns)))
        if fit := _fitting(reader, table.columns):
            return _shaped(root, table, fit)
    if not seen and refused is not None:
        raise refused
    best, names = min(seen, key=lambda s: len(set(s[0]["columns"]) - set(s[1])))
    missing = [c for c in best["columns"] if c not in names]
    if best["wide"] and best["wide"]["pattern"]:
        missing.append(best["wide"]["pattern"])
    raise Refused("lake.no_reader", found=", ".join(names)[:300], missing=", ".join(missing)[:300])


def _needs_no_step(reader: dict[str, Any]) -> bool:
    parts = reader.get("time", {}).get("parts")
    return not (reader["file"] or parts or any(reader[step] for step in STEPS))


def _plain(path: Path, delimiters: str) -> _Plain | None:
    """The header of a plain UTF-8 CSV file; None for what else it may be. Raises Refused."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if not start.strip():
        raise Refused("lake.file_empty")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in start:
        return None
    start = start.removeprefix(b"\xef\xbb\xbf")
    line = start.split(b"\n", 1)[0]
    try:
        start[: start.rfind(b"\n") + 1].decode("utf-8")
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return None
    if text.lstrip().startswith("<"):
        raise Refused("lake.file_not_csv")
    if text.lstrip().startswith(("{", "[")):
        return None
    if len(line) >= LOOKED_AT - 500:
        raise Refused("lake.file_header_long")
    delimiter = max(delimiters, key=text.count)
    names = [n.strip() for n in next(csv.reader([text], delimiter=delimiter), [])]
    if not text.strip() or len(set(names)) < len(names) or "" in names:
        return None
    return _Plain(names, delimiter)


def _fitting(reader: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    """The reader with what of it this file has; None when it does not fit."""
    have = set(names)
    needed = set(reader["columns"])
    if reader["own"] and "values" in reader:
        # The dataset's own form: time and key, and at least one of its parameters.
        values = [v for v in reader["values"] if v["column"] in have]
        must = needed - {v["column"] for v in reader["values"]}
        return {**reader, "values": values} if must <= have and values else None
    if reader["own"]:
        fields = [f for f in reader["fields"] if f["name"] in have]
        return {**reader, "fields": fields} if set(reader["needed"]) <= have and fields else None
    if not needed <= have:
        return None
    if reader["wide"] and not wide_columns(reader["wide"], names):
        return None
    if "fields" not in reader:
        return reader
    there = have | set(reader["made"])
    fields = [{**f, "columns": [c for c in f["columns"] if c in there]} for f in reader["fields"]]
    return (
        {**reader, "fields": fields} if all(f["columns"] or f["constant"] for f in fields) else None
    )


def _straight(path: Path, plain: _Plain, reader: dict[str, Any]) -> Opened:
    columns = ", ".join(f"{literal(n)}: 'VARCHAR'" for n in plain.names)
    relation = (
        f"read_csv({literal(path)}, all_varchar = true, header = true, "
        f"delim = {literal(plain.delimiter)}, quote = '\"', escape = '\"', auto_detect = false, "
        f"columns = {{{columns}}}, ignore_errors = true, store_rejects = true, "
        f"rejects_limit = {MOST_MALFORMED + 1}, max_line_size = 1000000, null_padding = false, "
        "encoding = 'utf-8')"
    )
    return Opened(reader, relation, numbered=False)


def _open(root: duckdb.DuckDBPyConnection, path: Path, how: dict[str, Any], work: Path) -> Any:
    """The file as a table, or why it is refused."""
    # Only here: a plain CSV file needs none of the libraries for workbooks and maps.
    from dothi.lake.reading.table import open_table

    work.mkdir(exist_ok=True)
    try:
        return open_table(root, path, how, work)
    except Refused as error:
        return error


def _shaped(root: duckdb.DuckDBPyConnection, table: Any, reader: dict[str, Any]) -> Opened:
    have = {*table.columns, *reader["made"]}
    wanted = [c for c in _used(reader) if c in have]
    found = shape(root, table, reader, wanted)
    if reader.get("time", {}).get("parts"):
        time = reader["time"]
        label = time["column"]
        reader = {**reader, "time": {**time, "column": TIME, "formats": [], "label": label}}
    extra: dict[str, Any] = {"file_rows": found.rows, "notes": table.notes}
    if found.skipped:
        extra["skipped"] = found.skipped
    if reader["apart"]:
        extra["levels"] = found.levels
        extra["apart"] = sum(
            n for level, n in found.levels.items() if level != reader["apart"]["otherwise"]
        )
    return Opened(reader, found.relation, numbered=True, extra=extra)


def _used(reader: dict[str, Any]) -> list[str]:
    """The columns that the last step reads."""
    if "fields" in reader:
        return [column for f in reader["fields"] for column in f["columns"]]
    names = [] if reader["time"]["parts"] else [reader["time"]["column"]]
    names += [column for _, column, _ in reader["key"] if column]
    names += [c for v in reader["values"] for c in (v["column"], *(w for w, _ in v["where"]))]
    return names + [reader["quality_column"]] * bool(reader["quality_column"])
