"""A score of given records, without a store: for golden cases of packs, tests and measurements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import duckdb
import numpy as np

from dothi.indicators.score import Score
from dothi.indicators.scoring import Figure, Source, compute
from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.lake.columns import DUCKDB_TYPES
from dothi.lake.contract import Contract
from dothi.packs.model import Pack

Row = Mapping[str, Any]
"""A record by the contract's column names; instants and dates as such, None where there is nothing."""

_BLOCK = 50_000
_NOTHING = "\x01"
"""Stands for None in arrays of text, which know none."""


def score_of(
    pack: Pack,
    score: Score,
    records: Mapping[str, Iterable[Row]],
    periods: Sequence[str],
    as_of: datetime,
) -> list[Figure]:
    """The figures of periods of one length, written as `Period.parse` reads them, from records by
    dataset; datasets left out are empty. What is not applicable has no figure."""
    with given(pack, score, records) as figures:
        return figures(score, periods, as_of)


@contextmanager
def given(
    pack: Pack, score: Score, records: Mapping[str, Iterable[Row]]
) -> Iterator[Callable[[Score, Sequence[str], datetime], list[Figure]]]:
    """As `score_of`, the records kept for several questions; the scores asked for have the inputs
    of this one."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        sources = {}
        for contract in pack.contracts:
            if contract.name not in score.inputs:
                continue
            fill(engine, contract, records.get(contract.name, ()), contract.name)
            sources[contract.name] = Source(contract, contract.name)

        def figures(asked: Score, periods: Sequence[str], as_of: datetime) -> list[Figure]:
            local = zone(asked.zone)
            return compute(engine, asked, sources, [Period.parse(p, local) for p in periods], as_of)

        yield figures


def fill(
    engine: duckdb.DuckDBPyConnection, contract: Contract, rows: Iterable[Row], table: str
) -> int:
    """Make rows a temporary table of the engine with the contract's columns; how many there are."""
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} "
        f"({', '.join(f'{c.name} {DUCKDB_TYPES[c.type]}' for c in contract.columns)})"
    )
    count = 0
    rows = iter(rows)
    while some := list(itertools.islice(rows, _BLOCK)):
        count += len(some)
        given = {
            c.name: np.array([_text(row.get(c.name)) for row in some], dtype=str)
            for c in contract.columns
        }
        given |= {"row": np.arange(len(some))}
        shown = ", ".join(
            f"CAST(nullif({c.name}, '{_NOTHING}') AS {DUCKDB_TYPES[c.type]})"
            for c in contract.columns
        )
        engine.register("rows_now", given)
        engine.execute(f"INSERT INTO {table} SELECT {shown} FROM rows_now ORDER BY row")
        engine.unregister("rows_now")
    return count


def _text(value: Any) -> str:
    if value is None:
        return _NOTHING
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)
