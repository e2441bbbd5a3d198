"""Checks: rules that every row of records should fulfil, written as SQL conditions in a contract.

A condition may name the row's own columns, compare, calculate and combine; nothing else. It is
parsed, held against a list of what is allowed, tried on the columns' types, and only SQL written
again from the checked tree is ever run. A rule about an empty value holds, as in SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from dothi.lake.columns import DUCKDB_TYPES, NAME, Column
from dothi.lake.document import Place, Reading
from dothi.lake.engine import engine

MOST_LETTERS = 2_000


@dataclass(frozen=True)
class Check:
    """A named rule; `sql` is the checked condition, its columns quoted; `columns` are those that it
    names, in its order."""

    name: str
    title: dict[str, str]
    sql: str
    columns: tuple[str, ...]


def read_checks(
    reading: Reading, doc: dict[str, Any], columns: tuple[Column, ...]
) -> tuple[Check, ...]:
    """`checks` of a contract: name → condition, or name → {rule, title}."""
    out = []
    for place, name, given in reading.items(doc.get("checks", {}), ("checks",)):
        if not NAME.fullmatch(name):
            reading.fault(place, "lake.bad_name", name=name)
        title = {"vi": name, "en": name}
        rule = given
        if isinstance(given, dict):
            given = reading.mapping(given, place, known={"rule", "title"})
            rule = reading.text(given, place, "rule", None)
            title = reading.titles(given, place) if "title" in given else title
        if not isinstance(rule, str) or not rule.strip():
            reading.fault(place, "lake.yaml_want_text", name=name)
            continue
        if found := _condition(reading, place, rule, columns):
            out.append(Check(name, title, *found))
    return tuple(out)


def _condition(
    reading: Reading, place: Place, rule: str, columns: tuple[Column, ...]
) -> tuple[str, tuple[str, ...]] | None:
    """The rule as checked SQL and the columns that it names; None after a fault."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ParseError, TokenError

    allowed = (
        exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Tuple,
        exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is,
        exp.In, exp.Between, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Abs,
        exp.Length, exp.Lower, exp.Upper, exp.Trim, exp.Coalesce, exp.Nullif, exp.Like,
        exp.StartsWith, exp.Interval, exp.Var,
    )  # fmt: skip
    if len(rule) > MOST_LETTERS:
        reading.fault(place, "lake.check_too_long", most=MOST_LETTERS)
        return None
    try:
        tree = sqlglot.parse_one(rule, read="duckdb")
    except (ParseError, TokenError, RecursionError) as error:
        problem = str(error).splitlines()[0][:150]
        reading.fault(place, "lake.check_syntax", problem=problem)
        return None
    known = {c.name for c in columns}
    for node in tree.walk():
        if type(node) not in allowed:
            reading.fault(place, "lake.check_not_allowed", what=node.sql("duckdb")[:80])
            return None
        if isinstance(node, exp.Column) and (node.name not in known or node.table):
            reading.fault(place, "lake.check_unknown_column", name=node.sql("duckdb"),
                          known=", ".join(sorted(known)))  # fmt: skip
            return None
    sql = tree.sql("duckdb", identify=True, comments=False)
    empty = ", ".join(f'NULL::{DUCKDB_TYPES[c.type]} AS "{c.name}"' for c in columns)
    try:
        with engine(1, "100MB") as root:
            told = root.execute(f"SELECT typeof({sql}) FROM (SELECT {empty})").fetchone()
    except duckdb.Error as error:
        problem = str(error).splitlines()[0][:150]
        reading.fault(place, "lake.check_syntax", problem=problem)
        return None
    if told is None or told[0] != "BOOLEAN":
        reading.fault(place, "lake.check_no_condition")
        return None
    # Left to right: the walk goes by depth otherwise.
    named = dict.fromkeys(
        node.name for node in tree.walk(bfs=False) if isinstance(node, exp.Column)
    )
    return sql, tuple(named)
