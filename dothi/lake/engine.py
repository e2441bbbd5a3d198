"""DuckDB as this house uses it, whether for files alone or under the lake.

Imports little: the jail starts a new process for every file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

TIME_ZONES = ("icu",)
"""All that an engine needs that works on files alone."""


def engine(threads: int, memory: str, *, our_sql_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB of ours: extensions from pinned wheels only, nothing fetched, UTC.

    `our_sql_only`: nobody else's statements will run in it. Then extensions are taken as pip has
    checked them, by their hashes, without another look at a signature over all of their 80 MB.
    """
    root = duckdb.connect(
        config={
            "allow_unsigned_extensions": str(our_sql_only).lower(),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": str(threads),
            "memory_limit": memory,
        }
    )
    load(root, TIME_ZONES)
    root.execute(
        "SET TimeZone = 'UTC'; SET preserve_insertion_order = false; "
        "SET enable_progress_bar = false"
    )
    return root


def load(root: duckdb.DuckDBPyConnection, extensions: Sequence[str]) -> None:
    """Give an engine more extensions."""
    for name in extensions:
        root.execute(f"LOAD '{extension_path(name)}'")


def table(
    root: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, tuple[str, Sequence[Any]]]
) -> None:
    """Make a temporary table of columns held in memory, each a type and its values.

    They go in as JSON: of lists and of rows the engine takes a thousand values in a tenth of a
    second and more.
    """
    listed = ", ".join(
        f"unnest(from_json(?, '[\"{kind}\"]')) AS {column}" for column, (kind, _) in columns.items()
    )
    root.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {listed}",
        [json.dumps(values) for _, values in columns.values()],
    )


def extension_path(name: str) -> str:
    """Where an extension's wheel has put it. Raises ModuleNotFoundError when it is missing."""
    spec = find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"duckdb-extension-{name.replace('_', '-')} is not installed")
    files = list(Path(spec.origin).parent.rglob(f"{name}.duckdb_extension"))
    return str(files[0]).replace("'", "''")
