"""A checked SELECT in the form that the engine runs, and a trial of it on empty datasets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import duckdb
from sqlglot import exp

from dothi.indicators import sql
from dothi.indicators.functions import FUNCTIONS
from dothi.indicators.model import Definition
from dothi.kernel.errors import Fault
from dothi.lake.engine import extension_path

_NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
    "UBIGINT", "FLOAT", "DOUBLE", "BOOLEAN",
)  # fmt: skip


def with_inputs(node: exp.Expr, definition: Definition) -> exp.Expr:
    """The query with each dataset's name turned into that of the engine's view, kept as alias."""
    node = node.copy()
    for table in list(node.find_all(exp.Table)):
        name = table.name
        if isinstance(table.this, exp.Identifier) and name in definition.inputs:
            put(table, input_name(name), name)
    return node


def put(table: exp.Table, name: str, alias: str) -> None:
    """Let a table of the query be another one, under the name it had."""
    shown = table.alias or alias
    table.set("this", exp.to_identifier(name, quoted=True))
    table.set("alias", exp.TableAlias(this=exp.to_identifier(shown, quoted=True)))


def final(definition: Definition, text: str) -> str:
    """The SELECT around the indicator's: codes of the key, µs since 1970, outputs as doubles."""
    keys = [f"enum_code({quoted(k)}) AS k{i}" for i, k in enumerate(definition.key)]
    outputs = [
        f"CAST({quoted(o.name)} AS DOUBLE) AS o{i}" for i, o in enumerate(definition.outputs)
    ]
    return f"SELECT {', '.join(keys)}, epoch_us(time) AS us, {', '.join(outputs)} FROM ({text})"


def named_columns(tree: exp.Select, definition: Definition) -> dict[str, str] | None:
    """Output → function's column, of a SELECT that does nothing but name columns of one function.

    None for any other SELECT.
    """
    parts = {name for name, value in tree.args.items() if value}
    source = tree.find(exp.From)
    if parts - {"expressions", "from_", "from"} or source is None:
        return None
    table = source.this
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Anonymous):
        return None
    if table.args.get("joins"):
        return None
    named: dict[str, str] = {}
    for selected in tree.expressions:
        column = selected.unalias()
        if not isinstance(column, exp.Column):
            return None
        named[selected.alias_or_name] = column.name
    if any(named.pop(name) != name for name in (*definition.key, "time")):
        return None
    return named


def input_name(name: str) -> str:
    """The engine's name of a dataset's view."""
    return f"in_{name}"


def calendar_columns(definition: Definition, at: str) -> list[tuple[str, str]]:
    """The columns that say to which periods an instant `at` (SQL) belongs, each with its SQL: hours by
    their end, longer periods by their beginning. What the key has a column of is left out."""
    local = literal(definition.zone)
    shown = f"timezone({local}, {at})"
    made = {
        "hour": f"timezone({local}, date_trunc('hour', {shown}) + INTERVAL 1 HOUR)",
        **{
            name: f"timezone({local}, date_trunc('{name}', {shown}))"
            for name in ("day", "month", "quarter", "year")
        },
        "period_days": _days(definition, shown),
    }
    return [(name, shown) for name, shown in made.items() if name not in definition.key]


def _days(definition: Definition, shown: str) -> str:
    if not definition.by_calendar:
        return f"{definition.size / timedelta(days=1)!r}::DOUBLE"
    first = f"date_trunc('{definition.grain}', {shown})"
    months = {"month": 1, "quarter": 3, "year": 12}[definition.grain]
    return f"date_diff('day', {first}, {first} + INTERVAL {months} MONTH)::DOUBLE"


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def binding_faults(definitions: Sequence[Definition]) -> list[Fault]:
    """What the engine has against SELECTs that the check let through, tried on empty datasets."""
    root = duckdb.connect(config={"autoload_known_extensions": "false"})
    try:
        root.execute(f"LOAD '{extension_path('icu')}'")
        return [fault for one in definitions if (fault := _binding_fault(root, one))]
    finally:
        root.close()


def _binding_fault(root: duckdb.DuckDBPyConnection, definition: Definition) -> Fault | None:
    keys = "".join(f"'x'::ENUM('x') AS {quoted(k)}, " for k in definition.key)
    calendar = "".join(
        f"{shown} AS {name}, " for name, shown in calendar_columns(definition, "now()")
    )
    tree = sql.tree(definition)
    try:
        for name in definition.inputs:
            root.execute(
                f"CREATE OR REPLACE VIEW {quoted(input_name(name))} AS SELECT {keys} "
                f"1::INTEGER AS stream, 'x' AS parameter, now() AS time, {calendar}"
                "1.0::DOUBLE AS value, 0::SMALLINT AS quality, true AS usable LIMIT 0"
            )
        for number, (table, name, query) in enumerate(list(sql.calls(tree))):
            root.execute(f"DESCRIBE {sql.written(with_inputs(query, definition))}")
            columns = "".join(f", 1.0::DOUBLE AS {c}" for c in FUNCTIONS[name].columns)
            root.execute(
                f"CREATE OR REPLACE VIEW called_{number} AS "
                f"SELECT {keys} now() AS time {columns} LIMIT 0"
            )
            put(table, f"called_{number}", name)
        outer = sql.written(with_inputs(tree, definition))
        types = {row[0]: row[1] for row in root.execute(f"DESCRIBE {outer}").fetchall()}
        root.execute(f"DESCRIBE {final(definition, outer)}")
    except duckdb.Error as error:
        problem = str(error).split("\n")[0].partition(": ")[2] or str(error)
        return _fault(definition, "indicators.sql_binding", problem=problem)
    if types["time"] != "TIMESTAMP WITH TIME ZONE":
        return _fault(definition, "indicators.sql_time", type=types["time"])
    for output in definition.outputs:
        kind = types[output.name]
        if kind not in _NUMBERS and not kind.startswith("DECIMAL"):
            return _fault(definition, "indicators.sql_number", name=output.name, type=kind)
    return None


def _fault(definition: Definition, key: str, **params: object) -> Fault:
    return Fault(f"{definition.path}:{definition.sql_line + 1}:1", key, params)
