"""SQL by people: their SELECT runs in the jail over the rows that the policy shows them (ADR 0017).

The rows of the datasets that the statement may mean are written as Parquet, as this caller sees
them and at one snapshot; the jail gets these files and nothing else. Nothing outside can be read
there because it is not there, whatever the statement says.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import duckdb

from dothi import jail
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.identity.predicate import Compare, Predicate, all_of
from dothi.kernel.errors import Fault, Invalid, TooLarge, TooMany, Unauthenticated
from dothi.lake import registry
from dothi.lake.out.formats import IN_MEMORY, Format
from dothi.lake.out.page import Shown, joined, relation, series_parts, shown
from dothi.lake.read import View
from dothi.lake.service import Lake

MOST_CHARACTERS = 20_000
MOST_ANSWER = 100_000
"""Rows of an answer."""
MOST_INPUT = 10_000_000
"""Rows of all datasets that a statement names."""
MOST_DATASETS = 20
DEADLINE_S = 20.0
COPYING = 0.75
"""The share of the deadline that putting the rows into files may take."""
AT_ONCE = 2
"""Statements that one process of ours runs at a time."""
MIB = 1024 * 1024

_free = threading.BoundedSemaphore(AT_ONCE)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Statement:
    """What somebody wants to know. `since`, `until`: only this stretch of series is looked at.

    `screen`: the answer is to be looked at, not worked with. Long cells are cut, and there are only
    as many rows as a page can hold.
    """

    sql: str
    limit: int = 1_000
    since: datetime | None = None
    until: datetime | None = None
    screen: bool = False


@dataclass(frozen=True)
class Told:
    """An answer: its bytes in the form asked for, how many rows, whether there were more."""

    file: IO[bytes]
    rows: int
    truncated: bool
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A dataset's rows as one caller sees them: the files, and the SELECT that reads them, with each
    file's part in braces."""

    files: dict[str, Path]
    how: str


def run(
    lake: Lake,
    actor: Actor,
    statement: Statement,
    form: Format,
    *,
    bom: bool = False,
    deadline_s: float = DEADLINE_S,
) -> Told:
    """Run one statement for an actor.

    Raises Invalid where it cannot be run, TooLarge where it names more rows than a statement may
    look at, TooMany when others are running, Unauthenticated, and what the jail raises at its
    limits.
    """
    if not actor.signed_in:
        raise Unauthenticated("identity.unauthenticated")
    _check(statement)
    began = time.monotonic()
    if not _free.acquire(blocking=False):
        raise TooMany("out.sql_busy", retry_after_s=2, most=AT_ONCE)
    try:
        with tempfile.TemporaryDirectory(prefix="dothi-sql-") as folder:
            tables = _tables(lake, actor, statement, Path(folder), COPYING * deadline_s)
            left = max(0.5, deadline_s - (time.monotonic() - began))
            return _jailed(statement, form, tables, bom=bom, deadline_s=left)
    finally:
        _free.release()


def _check(statement: Statement) -> None:
    faults = []
    if not 1 <= statement.limit <= MOST_ANSWER:
        faults.append(Fault("limit", "out.rows_limit", {"most": MOST_ANSWER}))
    if len(statement.sql) > MOST_CHARACTERS:
        faults.append(Fault("sql", "out.filter_long", {"most": MOST_CHARACTERS}))
    if "\0" in statement.sql or not statement.sql.strip():
        faults.append(Fault("sql", "out.sql_one_select"))
    if faults:
        raise Invalid("out.sql_refused", faults=faults)


def _tables(
    lake: Lake, actor: Actor, statement: Statement, folder: Path, most_s: float
) -> dict[str, Table]:
    """The datasets named, as this actor sees them: files of their rows, and how to read them."""
    # Whatever a statement reads, it names; a name in a comment only costs a file more.
    words = {word.lower() for word in _WORD.findall(statement.sql)}
    with lake.db.transaction() as conn:
        named = [d for d in registry.datasets(conn) if d.name in words]
        may = [d for d in named if decide(actor, "dataset.read", d.resource).allowed]
        if len(may) > MOST_DATASETS:
            raise TooLarge("out.sql_datasets", most=MOST_DATASETS)
        seen = [shown(conn, actor, dataset) for dataset in may]
    found: dict[str, Table] = {}
    left = MOST_INPUT
    if not seen:
        return found
    with lake.view() as view, _ended(view, most_s):
        for one in seen:
            name = one.dataset.name
            selects, how = _selects(view, one, statement)
            rows, params = selects["rows"]
            [(count,)] = view.cursor.execute(f"SELECT count(*) FROM ({rows})", params).fetchall()
            left -= count
            if left < 0:
                raise TooLarge("out.sql_input", most=MOST_INPUT, name=name)
            files = {}
            for part, (select, params) in selects.items():
                files[part] = folder / f"{name}.{part}.parquet"
                view.cursor.sql(select, params=params).write_parquet(str(files[part]))
                files[part].chmod(0o644)
            found[name] = Table(files, how)
    return found


@contextmanager
def _ended(view: View, after_s: float) -> Iterator[None]:
    """Raises TooLarge when what the view is asked takes longer."""
    done = threading.Event()

    def insist() -> None:
        # Again and again: an interrupt that falls between two queries is forgotten.
        wait_s = after_s
        while not done.wait(wait_s):
            view.cursor.interrupt()
            wait_s = 0.05

    ends = time.monotonic() + after_s
    threading.Thread(target=insist, daemon=True).start()
    try:
        yield
    except duckdb.InterruptException:
        ends = 0.0
    finally:
        done.set()
    if time.monotonic() > ends:
        raise TooLarge("out.sql_slow", seconds=round(after_s))


def _selects(
    view: View, seen: Shown, statement: Statement
) -> tuple[dict[str, tuple[str, dict[str, Any]]], str]:
    """What goes into a table's files, with its parameters, and how it is put together from them."""
    if not seen.series:
        source, params = relation(view, seen)
        names = ", ".join(f'"{field.name}"' for field in seen.fields)
        return {"rows": (f"SELECT {names} FROM {source}", params)}, "SELECT * FROM {rows}"
    # Names apart from rows: a million times the same names would be half of the work.
    rows, streams, params = series_parts(view, seen, _span(statement))
    names = ", ".join(f'"{field.name}"' for field in seen.fields if field.by_stream)
    selects = {
        "rows": (f"SELECT stream_id, t, v, q, load_id, row_no FROM {rows}", {}),
        "streams": (f"SELECT {names} FROM {streams}", params),
    }
    return selects, joined(seen, "{rows}", "{streams}")


def _span(statement: Statement) -> Predicate:
    parts: list[Predicate] = []
    if statement.since is not None:
        parts.append(Compare("time", ">=", statement.since))
    if statement.until is not None:
        parts.append(Compare("time", "<=", statement.until))
    return all_of(*parts)


def _jailed(
    statement: Statement, form: Format, tables: dict[str, Table], *, bom: bool, deadline_s: float
) -> Told:
    job = jail.Job(
        "dothi.lake.out.jailed_sql:main",
        args={
            "sql": statement.sql, "limit": statement.limit, "format": form.word, "bom": bom,
            "screen": statement.screen,
            "tables": {name: [sorted(table.files), table.how] for name, table in tables.items()},
            "threads": 2, "memory": "700MB",
        },
        inputs={
            f"{name}.{part}": path
            for name, table in tables.items() for part, path in table.files.items()
        },
    )  # fmt: skip
    limits = jail.Limits(
        address_space_bytes=1_500 * MIB,
        cpu_s=max(1, round(2 * deadline_s)),
        wall_s=deadline_s,
        output_bytes=128 * MIB,
    )
    with jail.run(job, limits) as result:
        told: dict[str, Any] = result.value
        fault = told.get("fault")
        if fault is not None:
            params = {name: value for name, value in fault.items() if name != "key"}
            raise Invalid("out.sql_refused", faults=[Fault("sql", fault["key"], params)])
        out: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        with (result.files / "answer").open("rb") as file:
            while piece := file.read(1 << 18):
                out.write(piece)
        out.seek(0, os.SEEK_SET)
        return Told(out, int(told["rows"]), bool(told["truncated"]), tuple(sorted(tables)))
