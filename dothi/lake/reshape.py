"""Runs inside the jail: a foreign table of texts gets the columns and rows that its reader means.

The steps are those of `dothi.lake.reader`. A column of the file is never named in SQL: the table is
copied with columns of our own names, and every later column is an expression over these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import duckdb

from dothi.lake.engine import table as make_table
from dothi.lake.malformed import numbered
from dothi.lake.reading.result import Table

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
TIME = "date of its parts"
"""The name of the instant that is put together from the parts of a date."""


@dataclass
class Shaped:
    """A relation with `row_no` and the columns asked for, and what the steps did to the rows."""

    relation: str
    rows: int
    skipped: int = 0
    levels: dict[str, int] = field(default_factory=dict)


def shape(
    root: duckdb.DuckDBPyConnection,
    table: Table,
    reader: dict[str, Any],
    wanted: list[str],
) -> Shaped:
    """The table reshaped as the reader says.

    `wanted` are the columns that the result must have.
    """
    names = table.columns
    columns = ", ".join(f"{quoted(name)} AS c{i}" for i, name in enumerate(names))
    if table.row_of:
        columns += f", try_cast({quoted(table.row_of)} AS INTEGER) AS row_no"
    root.execute(f"CREATE TABLE base AS SELECT {columns} FROM {table.relation}")
    cells = {name: f"c{i}" for i, name in enumerate(names)}
    cells |= {name: literal(value) for name, value in reader["constants"]}
    for column, pattern in reader["extract"]:
        groups = re.compile(pattern).groupindex
        for name, number in groups.items():
            found = f"regexp_extract({cells[column]}, {literal(pattern)}, {number:d})"
            cells[name] = f"nullif({found}, '')"
    rows, malformed = ("base", 0) if table.row_of else numbered(root, "base")
    total = _one(root, "SELECT count(*) FROM base") + malformed
    out = ""
    if reader["skip"]:
        out = " OR ".join(
            f"coalesce(regexp_full_match({cells[column]}, {literal(pattern)}), false)"
            for column, pattern in reader["skip"]
        )
    skipped = _one(root, f"SELECT count(*) FROM base WHERE {out}") if out else 0
    kept = f"WHERE NOT ({out})" if out else ""
    source = f"(SELECT * FROM {rows} {kept})"
    apart = reader["apart"]
    levels: dict[str, int] = {}
    if apart and apart["column"] in cells:
        levels = _tell_apart(root, source, apart, cells)
    if reader["wide"]:
        source = _long(root, source, names, reader["wide"], cells)
    if apart and not levels:
        levels = _tell_apart(root, source, apart, cells)
    if parts := reader.get("time", {}).get("parts"):
        cells[TIME] = _date(parts, cells)
        wanted = [TIME, *wanted]
    listed = ", ".join(f"{cells[name]} AS {quoted(name)}" for name in dict.fromkeys(wanted))
    return Shaped(f"(SELECT row_no, {listed} FROM {source})", total, skipped, levels)


def wide_columns(wide: dict[str, Any], names: tuple[str, ...]) -> list[tuple[int, tuple[str, ...]]]:
    """The columns that become rows: position, and what `into` gets from the name."""
    if wide["pattern"] is None:
        return [(names.index(name), (name,)) for name in wide["names"] if name in names]
    pattern = re.compile(wide["pattern"])
    found = [(i, pattern.fullmatch(name)) for i, name in enumerate(names)]
    return [
        (i, tuple(g or "" for g in match.groupdict().values()) or (names[i],))
        for i, match in found
        if match
    ]


def _long(
    root: duckdb.DuckDBPyConnection,
    source: str,
    names: tuple[str, ...],
    wide: dict[str, Any],
    cells: dict[str, str],
) -> str:
    """One row for each cell of the wide columns, in the order of the file."""
    found = wide_columns(wide, names)
    heads: dict[str, tuple[str, list[Any]]] = {"head": ("INTEGER", list(range(1, len(found) + 1)))}
    for j in range(len(wide["into"])):
        heads[f"g{j}"] = "VARCHAR", [groups[j] for _, groups in found]
    make_table(root, "heads", heads)
    cells |= {name: f"g{j}" for j, name in enumerate(wide["into"])}
    cells[wide["value"]] = "cell"
    listed = ", ".join(f"c{i}" for i, _ in found)
    return (
        f"(SELECT * FROM (SELECT *, unnest([{listed}]) AS cell, "
        f"unnest(range(1, {len(found) + 1:d})) AS head FROM {source}) JOIN heads USING (head))"
    )


def _tell_apart(
    root: duckdb.DuckDBPyConnection, source: str, apart: dict[str, Any], cells: dict[str, str]
) -> dict[str, int]:
    """Add the column with each row's level; how many rows are of which."""
    level = cells[apart["into"]] = _level(apart, cells[apart["column"]])
    counted = root.execute(f"SELECT {level}, count(*) FROM {source} GROUP BY 1 ORDER BY 1")
    return dict(counted.fetchall())


def _level(apart: dict[str, Any], cell: str) -> str:
    """SQL: which level a row is of."""
    plain = f"lower(trim(regexp_replace({cell}, '\\s+', ' ', 'g')))"
    cases = []
    for name, words, pattern in apart["levels"]:
        if pattern is not None:
            told = f"regexp_full_match(trim({cell}), {literal(pattern)})"
        else:
            told = f"{plain} IN ({', '.join(literal(_folded(word)) for word in words) or 'NULL'})"
        cases.append(f"WHEN {told} THEN {literal(name)}")
    return f"CASE {' '.join(cases)} ELSE {literal(apart['otherwise'])} END"


def _folded(word: str) -> str:
    return " ".join(word.split()).lower()


def _date(parts: list[list[str]], cells: dict[str, str]) -> str:
    """SQL: the parts of a date as one ISO text; where one is no number, the texts as they stand."""
    by_name = {part: cells[column] for part, column in parts}
    texts = ", ".join(f"trim({cell})" for cell in by_name.values())
    year = f"try_cast(trim({by_name['year']}) AS SMALLINT)"
    month = _month(by_name["month"]) if "month" in by_name else "1"
    day = f"try_cast(trim({by_name['day']}) AS SMALLINT)" if "day" in by_name else "1"
    whole = f"{year} BETWEEN 1 AND 9999 AND {month} BETWEEN 1 AND 12 AND {day} BETWEEN 1 AND 31"
    made = f"printf('%04d-%02d-%02d', {year}, {month}, {day})"
    return f"CASE WHEN {whole} THEN {made} ELSE concat_ws(' ', {texts}) END"


def _month(cell: str) -> str:
    """SQL: the number of a month: 3, 03, Tháng 3, T3, Mar., March."""
    cases = " ".join(f"WHEN {literal(m)} THEN {i}" for i, m in enumerate(MONTHS, 1))
    number = (
        f"try_cast(nullif(regexp_extract(lower(trim({cell})), "
        "'^(?:th[aá]ng *|t)?([0-9]{1,2})$', 1), '') AS SMALLINT)"
    )
    word = f"regexp_full_match(lower(trim({cell})), '[a-z]{{3,9}}\\.?')"
    return f"CASE WHEN {word} THEN CASE left(lower(trim({cell})), 3) {cases} END ELSE {number} END"


def quoted(name: str) -> str:
    """A column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A text as SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def _one(root: duckdb.DuckDBPyConnection, query: str) -> int:
    row = root.execute(query).fetchone()
    return row[0] if row else 0
