"""Runs inside the jail: one SELECT of a user over the rows that were given for it.

The walls of the jail, its limits and the fact that nothing but these rows is there keep the rest
safe. What is checked here beside that (one statement, of type SELECT, on the named tables, without
functions that look around) is for clear answers and as a wall of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.engine import extension_path
from dothi.lake.out import formats

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
PRYING = frozenset(
    {"getenv", "getvariable", "current_setting", "current_query", "current_database",
     "current_schemas", "current_catalog", "current_user", "session_user", "user", "version",
     "nextval", "currval", "write_log", "in_search_path", "txid_current", "query", "query_table",
     "json_execute_serialized_sql", "json_serialize_sql", "json_serialize_plan",
     "json_deserialize_sql", "set_config", "pg_sleep", "sleep_ms"}
)  # fmt: skip
"""Scalar functions that tell of the engine instead of the data, or run text as SQL."""
_MESSAGE_CHARS = 600

SCREEN_CELL = 300
"""Characters of a cell on a page."""
SCREEN_CELLS = 20_000
LONG_KINDS = frozenset(
    {"varchar", "blob", "bit", "list", "struct", "map", "array", "union", "variant"}
)


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Run `args["sql"]` over `args["tables"]`: names with the parts of their files and the SELECT that
    reads them. The inputs are the Parquet files `name.part`.

    Writes `answer` below `out` in the form named. Returns how many rows it holds, whether there
    were more, and a fault when the statement cannot be run.
    """
    try:
        with _engine(args, inputs) as root:
            fault = _fault(root, args["sql"], set(args["tables"]))
            if fault is not None:
                return {"fault": fault}
            return _answer(root, args, out)
    except (duckdb.OutOfMemoryException, MemoryError):
        raise
    except duckdb.Error as error:
        problem = str(error)[:_MESSAGE_CHARS]
        return {"fault": {"key": "out.sql_failed", "problem": problem}}


def _engine(args: dict[str, Any], inputs: dict[str, Path]) -> duckdb.DuckDBPyConnection:
    root = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            "threads": str(args["threads"]),
            "memory_limit": args["memory"],
            "max_temp_directory_size": "0B",
        }
    )
    root.execute(f"LOAD '{extension_path('icu')}'")
    root.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET temp_directory = ''")
    paths = {name: str(path).replace("'", "''") for name, path in inputs.items()}
    # Reading them stays possible; nothing can be written there, and they hold the caller's rows.
    quoted = ", ".join(f"'{path}'" for path in paths.values())
    root.execute(f"SET allowed_paths = [{quoted}]")
    for name, (parts, how) in args["tables"].items():
        files = {part: f"read_parquet('{paths[f'{name}.{part}']}')" for part in parts}
        root.execute(f'CREATE VIEW "{name}" AS {how.format(**files)}')
    root.execute("SET enable_external_access = false; SET lock_configuration = true")
    return root


def _fault(root: duckdb.DuckDBPyConnection, text: str, tables: set[str]) -> dict[str, Any] | None:
    """Why the statement may not run; None: it may."""
    statements = root.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return {"key": "out.sql_one_select"}
    [(told,)] = root.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    tree = json.loads(told)
    if tree.get("error"):
        return {"key": "out.sql_one_select"}
    nodes = list(_nodes(tree))
    common = {
        str(entry.get("key", "")).lower()
        for node in nodes
        for entry in (node.get("cte_map") or {}).get("map", [])
    }
    for node in nodes:
        kind = node.get("type")
        if kind == "BASE_TABLE":
            name = str(node.get("table_name"))
            plain = not (node.get("schema_name") or node.get("catalog_name"))
            if not plain or name.lower() not in tables | common:
                return {"key": "out.sql_table", "name": name, "known": ", ".join(sorted(tables))}
        elif kind in ("SHOW_REF", "COLUMN_DATA"):
            return {"key": "out.sql_one_select"}
        elif kind == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name"))
            if name.lower() not in TABLE_FUNCTIONS:
                return {"key": "out.sql_function", "name": name}
        elif node.get("class") == "FUNCTION":
            name = str(node.get("function_name"))
            if name.lower() in PRYING:
                return {"key": "out.sql_function", "name": name}
    return None


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _answer(root: duckdb.DuckDBPyConnection, args: dict[str, Any], out: Path) -> dict[str, Any]:
    limit = int(args["limit"])
    asked = root.sql(args["sql"])
    if args["screen"]:
        limit = max(1, min(limit, SCREEN_CELLS // len(asked.columns)))
    # Kept first: what fails in the middle gives no half answer, and more than the limit shows.
    asked.limit(limit + 1).create("_answer")
    [(count,)] = root.execute("SELECT count(*) FROM _answer").fetchall()
    relation = root.sql(f"SELECT * FROM _answer LIMIT {limit:d}")
    if args["screen"]:
        relation = _cut(relation)
    truncated = count > limit
    fields = [
        {"name": name, "type": str(kind)}
        for name, kind in zip(relation.columns, relation.types, strict=True)
    ]
    rows = min(count, limit)
    head = {"count": rows, "limit": limit, "truncated": truncated, "fields": fields}
    form = next(one for one in formats.FORMATS if one.word == args["format"])
    with (out / "answer").open("wb") as file:
        formats.write(file, form, relation, head, bom=bool(args["bom"]))
    return {"rows": rows, "truncated": truncated}


def _cut(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """With the beginnings of cells that are too long to be looked at."""
    shown = []
    for name, kind in zip(relation.columns, relation.types, strict=True):
        column = '"' + name.replace('"', '""') + '"'
        if kind.id in LONG_KINDS:
            text = f"{column}::VARCHAR"
            shown.append(
                f"CASE WHEN length({text}) > {SCREEN_CELL:d} THEN left({text}, {SCREEN_CELL:d}) || '…' "
                f"ELSE {text} END AS {column}"
            )
        else:
            shown.append(column)
    return relation.project(", ".join(shown))
