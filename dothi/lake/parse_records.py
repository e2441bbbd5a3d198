"""Runs inside the jail: a file of unknown intent becomes typed records in Parquet, faults listed.

`main(args, inputs, out)` writes below `out`:

* `rows.parquet`: row_no and the contract's columns by their names and types;
* `rejects.parquet`: row_no, column_name, value, reason, limit_.

A value that is none of its column's type keeps its row out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.columns import DUCKDB_TYPES
from dothi.lake.engine import engine
from dothi.lake.malformed import MOST_SHOWN, make_rejects, numbered
from dothi.lake.opening import Opened, opened
from dothi.lake.parse_csv import decimal_text, instant, to_utc
from dothi.lake.reading.refused import Refused
from dothi.lake.reshape import literal, quoted

YES = ("true", "t", "1", "yes", "y", "có", "x")
NO = ("false", "f", "0", "no", "n", "không")
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_WHOLE = "[+-]?[0-9]+([.]0*)?"


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Parse one file. Returns counts, the reader used, and a fault when nothing could be read."""
    with engine(args["threads"], args["memory"]) as root:
        root.execute(f"SET temp_directory = {literal(out / 'spill')}")
        root.execute("SET preserve_insertion_order = true")
        make_rejects(root)
        try:
            return _write(root, opened(root, inputs["file"], args, out), args, out)
        except Refused as refused:
            return {"fault": refused.fault()}
        except duckdb.Error as error:
            problem = str(error).split("\n")[0][:300]
            return {"fault": {"key": "lake.file_unreadable", "problem": problem}}


def _write(
    root: duckdb.DuckDBPyConnection, file: Opened, args: dict[str, Any], out: Path
) -> dict[str, Any]:
    columns = args["columns"]
    fields = {f["name"]: f for f in file.reader["fields"]}
    texts = ", ".join(f"{_text_of(fields.get(c['name']))} AS x{i}" for i, c in enumerate(columns))
    number = ["row_no"] if file.numbered else []
    root.execute(f"CREATE TABLE raw AS SELECT {', '.join([*number, texts])} FROM {file.relation}")
    rows, malformed = ("raw", 0) if file.numbered else numbered(root, "raw")
    typed, judged = [], []
    for i, column in enumerate(columns):
        field = fields.get(column["name"], {"formats": [], "missing": []})
        blank = _blank(f"x{i}", [*column["missing"], *field["missing"]])
        value = _value(f"x{i}", column, field, file.reader, args["zone"])
        typed.append(f"x{i}, {blank} AS m{i}, CASE WHEN NOT {blank} THEN {value} END AS v{i}")
        judged.append(f"x{i}, v{i}, {_why(i, column)} AS b{i}")
    root.execute(
        f"CREATE TABLE typed AS SELECT row_no, {', '.join(judged)} "
        f"FROM (SELECT row_no, {', '.join(typed)} FROM {rows})"
    )
    for i, column in enumerate(columns):
        name = (fields.get(column["name"]) or {}).get("columns") or [column["name"]]
        root.execute(
            f"INSERT INTO rejects SELECT row_no, {literal(', '.join(name))}, "
            f"left(x{i}, {MOST_SHOWN}), b{i}, {literal(column['name'])} "
            f"FROM typed WHERE b{i} IS NOT NULL"
        )
    good = " AND ".join(f"b{i} IS NULL" for i in range(len(columns)))
    values = ", ".join(
        f"v{i}::{DUCKDB_TYPES[c['type']]} AS {quoted(c['name'])}" for i, c in enumerate(columns)
    )
    root.execute(
        f"COPY (SELECT row_no, {values} FROM typed WHERE {good} ORDER BY row_no) "
        f"TO {literal(out / 'rows.parquet')} (COMPRESSION lz4)"
    )
    root.execute(f"COPY rejects TO {literal(out / 'rejects.parquet')}")
    total = root.execute("SELECT count(*) FROM typed").fetchone()
    assert total is not None
    return {
        "reader": file.reader["name"],
        "rows": file.extra.get("file_rows", total[0] + malformed),
        "extra": file.extra,
    }


def _text_of(field: dict[str, Any] | None) -> str:
    """SQL: the text of a field, from the first of its columns that is not blank."""
    if field is None:
        return "NULL::VARCHAR"
    if field["constant"] is not None:
        return literal(field["constant"])
    cells = [quoted(column) for column in field["columns"]]
    if len(cells) == 1:
        return cells[0]
    filled = ", ".join(f"CASE WHEN trim({cell}) <> '' THEN {cell} END" for cell in cells)
    return f"coalesce({filled})"


def _blank(text: str, missing: list[str]) -> str:
    words = ", ".join(literal(word) for word in ("", *missing))
    return f"coalesce(trim({text}, ' \t\r\n') IN ({words}), true)"


def _value(
    text: str, column: dict[str, Any], field: dict[str, Any], reader: dict[str, Any], zone: str
) -> str:
    """SQL: the typed value of a text, null where it is none of the column's type."""
    plain = f"trim({text})"
    formats = ", ".join(literal(f) for f in field["formats"])
    kind = column["type"]
    if kind == "text":
        bad = f"contains({text}, chr(0)) OR contains({text}, chr(31))"
        return f"CASE WHEN NOT ({bad}) THEN {plain if column['key'] else text} END"
    if kind == "boolean":
        word = f"lower({plain})"
        return (
            f"CASE WHEN {word} IN ({', '.join(map(literal, YES))}) THEN true "
            f"WHEN {word} IN ({', '.join(map(literal, NO))}) THEN false END"
        )
    if kind in ("integer", "number"):
        number = decimal_text(plain, reader["decimal"], reader["thousands"])
        if kind == "integer":
            whole = f"regexp_full_match({number}, {literal(_WHOLE)})"
            cut = f"regexp_replace({number}, '[.]0*$', '')"
            return f"CASE WHEN {whole} THEN try_cast({cut} AS BIGINT) END"
        cast = f"try_cast({number} AS DOUBLE)"
        factor, offset = field.get("factor", 1.0), field.get("offset", 0.0)
        if (factor, offset) != (1.0, 0.0):
            cast = f"({cast} * {factor!r} + {offset!r})"
        return f"CASE WHEN isfinite({cast}) THEN {cast} END"
    if kind == "date":
        if formats:
            return f"try_strptime({plain}, [{formats}])::DATE"
        iso = f"regexp_full_match({plain}, {literal(_DATE)})"
        return f"CASE WHEN {iso} THEN try_cast({plain} AS DATE) END"
    if formats:
        return f"timezone('UTC', {to_utc(f'try_strptime({plain}, [{formats}])', zone)})"
    value = f"timezone('UTC', {instant(plain, f'try_cast({plain} AS TIMESTAMP)', zone)})"
    # The engine takes words such as "infinity" for instants; ours begin with a digit.
    return f"CASE WHEN {plain} BETWEEN '0' AND ':' THEN {value} END"


def _why(i: int, column: dict[str, Any]) -> str:
    """SQL: why a value is rejected, null where it is well."""
    absent = (
        "'lake.key_missing'" if column["key"]
        else "'lake.value_missing'" if column["required"] else "NULL"
    )  # fmt: skip
    cases = [f"WHEN m{i} THEN {absent}", f"WHEN v{i} IS NULL THEN 'lake.bad_value'"]
    low, high = column["low"], column["high"]
    if low is not None:
        cases.append(f"WHEN v{i} < {low!r} THEN 'lake.out_of_range'")
    if high is not None:
        cases.append(f"WHEN v{i} > {high!r} THEN 'lake.out_of_range'")
    if column["choices"]:
        words = ", ".join(literal(word) for word in column["choices"])
        cases.append(f"WHEN v{i}::VARCHAR NOT IN ({words}) THEN 'lake.bad_choice'")
    return f"CASE {' '.join(cases)} END"
