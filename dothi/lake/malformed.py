"""Runs inside the jail: lines that are no row of their table, and the numbers of the rows beside
them. Lines are found by the engine while a table is copied from text."""

from __future__ import annotations

import duckdb

from dothi.lake.engine import table

MOST_MALFORMED = 50_000
MOST_SHOWN = 200
"""Characters of a rejected text that are kept."""


def make_rejects(root: duckdb.DuckDBPyConnection) -> None:
    """The table of what is kept out: row, column, text, reason, what the reason needs to say."""
    root.execute(
        "CREATE TABLE rejects (row_no INTEGER, column_name VARCHAR, value VARCHAR, "
        "reason VARCHAR, limit_ VARCHAR)"
    )


def numbered(root: duckdb.DuckDBPyConnection, source: str, place: str = "rowid") -> tuple[str, int]:
    """The rows just copied into a table with their number in the file, malformed lines before them
    counted in; and how many such lines there are. They go to the rejects.

    `place`: the table's column that counts its rows from 0.
    """
    malformed = _lines(root)
    if not malformed:
        return f"(SELECT *, ({place} + 1)::INTEGER AS row_no FROM {source})", 0
    numbers, texts, kinds = zip(*malformed, strict=True)
    after = [row_no - i for i, row_no in enumerate(numbers)]
    extra = list(range(1, len(malformed) + 1))
    table(root, "offsets", {"after": ("INTEGER", after), "extra": ("INTEGER", extra)})
    table(root, "lines", {
        "row_no": ("INTEGER", numbers), "value": ("VARCHAR", texts), "kind": ("VARCHAR", kinds),
    })  # fmt: skip
    root.execute("INSERT INTO rejects SELECT row_no, '', value, 'lake.bad_line', kind FROM lines")
    rows = (
        f"(SELECT r.*, (r.{place} + 1 + coalesce(o.extra, 0))::INTEGER AS row_no "
        f"FROM {source} r ASOF LEFT JOIN offsets o ON o.after <= r.{place} + 1)"
    )
    return rows, len(malformed)


def _lines(root: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """(row number, text, what is wrong) of lines that are no row of the table."""
    known = root.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'"
    ).fetchone()
    if not known or not known[0]:
        return []
    found = root.execute(
        f"""SELECT line, min(left(csv_line, {MOST_SHOWN})), min(error_type::VARCHAR)
           FROM reject_errors GROUP BY line ORDER BY line LIMIT ?""",
        [MOST_MALFORMED + 1],
    ).fetchall()
    if len(found) > MOST_MALFORMED:
        raise duckdb.InvalidInputException("more than 50 000 lines do not fit the header")
    return [(line - 1, text, kind) for line, text, kind in found]
