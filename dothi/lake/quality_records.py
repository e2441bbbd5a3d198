"""What a load of records says about its own data: empty cells, rules not held, repetitions."""

from __future__ import annotations

from typing import Any

import duckdb

from dothi.lake.contract import Contract
from dothi.lake.quality import counted
from dothi.lake.reshape import quoted

MOST_LISTED = 20
"""Rows listed for a rule that is not held; their number is always complete."""


def report(
    root: duckdb.DuckDBPyConnection, rows: str, contract: Contract, *, extra: dict[str, Any]
) -> dict[str, Any]:
    """Look at a batch's records: `rows` is a relation (_key, _row_no, _q, the contract's columns).

    The report is JSON-able: `{"reader", "rows", "findings", "columns": [{"name", "nulls",
    "distinct", "newlines", "low", "high"}]}`.
    """
    columns = _columns(root, rows, contract)
    findings: list[dict[str, Any]] = []
    for check in contract.checks:
        found = root.execute(
            f"SELECT count(*), list(_row_no ORDER BY _row_no)[:{MOST_LISTED}] FROM {rows} "
            f"WHERE ({check.sql}) IS FALSE"
        ).fetchone()
        if found and found[0]:
            findings.append(
                {"kind": "check", "name": check.name, "title": check.title, "count": found[0],
                 "rows": found[1]}
            )  # fmt: skip
    for kind, name in (("empty", "nulls"), ("newlines", "newlines")):
        counts = {c["name"]: c[name] for c in columns if c.get(name)}
        if counts:
            findings.append(
                {"kind": kind, "count": sum(counts.values()), "columns": counts,
                 "titles": {c.name: c.title for c in contract.columns if c.name in counts}}
            )  # fmt: skip
    findings += [f | {"by": "key"} if f["kind"] == "conflict" else f for f in counted(extra)]
    return {**extra, "findings": findings, "columns": columns}


def _columns(
    root: duckdb.DuckDBPyConnection, rows: str, contract: Contract
) -> list[dict[str, Any]]:
    """Each column's empty cells, different values, cells with line ends, extremes."""
    parts, shapes = [], []
    for column in contract.columns:
        name = quoted(column.name)
        text = column.type == "text"
        shapes.append(("nulls", "distinct", *(("newlines",) if text else ("low", "high"))))
        parts += [f"count(*) - count({name})", f"count(DISTINCT {name})"]
        if text:
            parts.append(f"count(*) FILTER (WHERE {name} LIKE '%' || chr(10) || '%' "
                         f"OR {name} LIKE '%' || chr(13) || '%')")  # fmt: skip
        else:
            parts += [f"min({name})::VARCHAR", f"max({name})::VARCHAR"]
    row = root.execute(f"SELECT {', '.join(parts)} FROM {rows}").fetchone()
    values = iter(row or ())
    return [
        {"name": column.name, **{word: next(values) for word in shape}}
        for column, shape in zip(contract.columns, shapes, strict=True)
    ]
