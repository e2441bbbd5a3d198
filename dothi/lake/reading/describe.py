"""The base of the reader assistant: what an unknown file seems to be, and a contract to read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.engine import engine
from dothi.lake.reading.guess import Guess, guess
from dothi.lake.reading.propose import Seen, left_out, propose
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import name, text
from dothi.lake.reading.table import open_table
from dothi.lake.reading.tail import tail
from dothi.lake.reading.wide import subtotals, wide_columns

MOST_CELLS = 1_000_000
MOST_ROWS = 20_000
SHOWN_ROWS = 10
SHOWN_COLUMNS = 60
SHOWN_CHARS = 100
DESCRIBED_COLUMNS = 500


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Runs inside the jail: {"description": …} or {"fault": …}."""
    with engine(2, args["memory"]) as root:
        root.execute(f"SET temp_directory = {text(out / 'spill')}")
        try:
            found = describe(root, inputs["file"], args["how"], out, args["name"], args["proposal"])
            return {"description": found}
        except Refused as refused:
            return {"fault": refused.fault()}


def describe(
    root: duckdb.DuckDBPyConnection,
    path: Path,
    how: Mapping[str, Any],
    work: Path,
    title: str = "file",
    proposal: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """What the file seems to be, as JSON: notes on its form, columns with their guessed meaning,
    first rows, wide columns, subtotals, `key` (`keys.Key`; of records), and `contract`, a proposal for
    a person to judge, with what is known of it already (`propose`), and the columns that it leaves
    out.

    Guesses rest on the first rows only (`looked_at`). Raises Refused.
    """
    table = open_table(root, path, {"twice": "number", **how}, work)
    most = min(MOST_ROWS, MOST_CELLS // len(table.columns))
    listed = ", ".join(map(name, table.columns))
    try:
        rows = root.execute(f"SELECT {listed} FROM {table.relation} LIMIT {most}").fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        problem = str(error).split("\n")[0][:300]
        raise Refused("lake.file_unreadable", problem=problem) from error
    ends, places = tail(table.columns, rows) if len(rows) < most else ({}, [])
    if len(places) < len(rows):
        rows = [row for place, row in enumerate(rows) if place not in places]
    else:
        ends = {}
    values = [[row[i] for row in rows] for i in range(len(table.columns))]
    guesses = [guess(c, v) for c, v in zip(table.columns, values, strict=True)]
    seen = Seen(
        title,
        table.notes,
        guesses,
        values,
        wide_columns(table.columns),
        _levels(guesses, values),
        ends,
    )
    # First, because how all numbers are written decides what each of them is.
    contract = propose(seen, **(proposal or {}))
    return {
        "notes": table.notes,
        "looked_at": len(rows),
        "whole": len(rows) < most,
        "columns": [g.as_dict() for g in guesses[:DESCRIBED_COLUMNS]],
        "more_columns": max(0, len(guesses) - DESCRIBED_COLUMNS),
        "rows": [[_shown(cell) for cell in row[:SHOWN_COLUMNS]] for row in rows[:SHOWN_ROWS]],
        "wide": seen.wide,
        "subtotals": seen.levels,
        "ends": sorted(ends),
        "contract": contract,
        "key": seen.key.as_dict() if contract["kind"] == "records" else None,
        "left_out": left_out(contract, table.columns),
    }


def _levels(guesses: list[Guess], values: list[list[str | None]]) -> dict[str, Any] | None:
    for found, column in zip(guesses, values, strict=True):
        levels = subtotals(column) if found.kind == "text" else {}
        # One word "total" in a column of words says nothing; a region does.
        if "region" in levels or ("country" in levels and found.distinct > 2):
            return {"column": found.name, "levels": levels}
    return None


def _shown(cell: str | None) -> str | None:
    if cell is None or len(cell) <= SHOWN_CHARS:
        return cell
    return cell[:SHOWN_CHARS] + "…"
