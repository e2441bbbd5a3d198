"""Running an indicator's SELECT over one snapshot of the store.

The SELECT sees its datasets by name, restricted to the things and the stretch of time being
computed. What it calls of the kernel is computed on dense grids (a row for each thing and
parameter, a column for each hour) and handed back to the SELECT as a table. Work is cut into
pieces of bounded size, so that memory does not grow with the history.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from dothi.indicators import sql
from dothi.indicators.functions import FUNCTIONS, HourGrid
from dothi.indicators.grid import hour_grid, plain
from dothi.indicators.model import Definition
from dothi.indicators.rewrite import (
    calendar_columns,
    final,
    input_name,
    named_columns,
    put,
    quoted,
    with_inputs,
)
from dothi.indicators.subject import (
    Input,
    Relation,
    Subject,
    current,
    inside,
    instant,
    instants_of,
    span_of,
)
from dothi.kernel.aqi import Floats
from dothi.kernel.errors import Invalid
from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.lake.model import Quality
from dothi.lake.read import View

CELLS_AT_ONCE = 4_000_000
"""Tables of up to 32 MB: memory that is given back and taken again without the kernel."""
HOURS_AT_ONCE = 60_000
SPARE_DECIMALS = 6
"""Figures are kept to this many places beyond those shown: sums in another order stay equal."""
PROBLEMS = (
    Invalid, duckdb.BinderException, duckdb.ConversionException, duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
)  # fmt: skip
"""What `compute` raises where a definition does not fit its data."""

_numbers = itertools.count()


@dataclass(frozen=True)
class Piece:
    """All figures of some things (places in `Subject.things`) for a stretch of periods.

    Each output is a table: a row for each place, a column for each of `us` (instants in µs since
    1970), NaN where there is no figure. An output that is left out has none at all.
    """

    places: Sequence[int]
    first: Period
    last: Period
    us: NDArray[np.int64]
    columns: Mapping[str, Floats]


def compute(
    view: View,
    subject: Subject,
    things: Sequence[int] | None,
    first: Period,
    last: Period,
    *,
    relation: Relation = current,
) -> Iterator[Piece]:
    """The indicator's figures for things (by number; None: all) from a period to another.

    Every thing and period asked for is in exactly one piece, also where there is no figure.
    Raises one of PROBLEMS where the SELECT does not fit the data: it gives a row twice, or an
    instant that names no period.
    """
    run = _Run(view, subject, relation, everything=things is None)
    wanted = None if things is None else set(things)
    places = [i for i, t in enumerate(subject.things) if wanted is None or t.id in wanted]
    for a, b in _windows(subject.definition, first, last):
        for group in run.groups(places, a, b):
            yield run.piece(group, a, b)


def grid_of(view: View, subject: Subject, thing: int, period: Period) -> HourGrid | None:
    """What the first kernel function called saw of one thing and period; None when none is."""
    run = _Run(view, subject, current)
    place = next(i for i, t in enumerate(subject.things) if t.id == thing)
    for _, _, query in sql.calls(sql.tree(subject.definition)):
        chosen = run.restrict([place], *span_of(subject.definition, period, period))
        return run.grid(query, [place], chosen, period, period)
    return None


class _Run:
    """One indicator on one view."""

    def __init__(
        self, view: View, subject: Subject, relation: Relation, *, everything: bool = False
    ) -> None:
        self.view = view
        self.subject = subject
        self.definition = subject.definition
        self._relation = relation
        self._everything = everything
        self._whole: dict[tuple[int, datetime, datetime], str] = {}
        self._number = next(_numbers)
        self._tree = sql.tree(self.definition)
        self._named = named_columns(self._tree, self.definition)
        self._streams = [self._by_place(one) for one in subject.inputs]
        self._place_of = _Places(subject)
        self._tables()

    def groups(self, places: list[int], a: Period, b: Period) -> Iterator[list[int]]:
        """Places in groups whose grids together stay within bounds."""
        hours = (b.end - a.start) // timedelta(hours=1) + 1
        parameters = [{s.parameter for s in i.streams.values()} for i in self.subject.inputs]
        size = max(1, CELLS_AT_ONCE // (hours * max(1, *map(len, parameters))))
        for start in range(0, len(places), size):
            yield places[start : start + size]

    def piece(self, places: list[int], first: Period, last: Period) -> Piece:
        """The figures of some things for a stretch of periods."""
        tree = self._tree.copy()
        us = instants_of(self.definition, first, last)
        chosen = self.restrict(places, *span_of(self.definition, first, last))
        made: list[str] = []
        try:
            for table, name, query in list(sql.calls(tree)):
                grid = self.grid(query, places, chosen, first, last)
                wanted = self._wanted(tree)
                columns = FUNCTIONS[name].compute(grid, wanted, len(us))
                if self._named is not None:
                    # A SELECT that only names a function's columns needs no engine.
                    straight = {o: columns[c] for o, c in self._named.items() if c in columns}
                    return Piece(places, first, last, us, straight)
                made.append(self._hand_over(places, us, columns, name, len(made)))
                put(table, f"{made[-1]}_named", name)
            self._show_inputs(tree, chosen)
            text = sql.written(with_inputs(tree, self.definition))
            return Piece(places, first, last, us, self._select(text, places, us))
        finally:
            for registered in made:
                self.view.cursor.unregister(registered)

    def _wanted(self, tree: exp.Expr) -> frozenset[str]:
        if self._named is not None:
            return frozenset(self._named.values())
        return frozenset(column.name for column in tree.find_all(exp.Column))

    # -- what the SELECT reads --------------------------------------------------------------------

    def restrict(self, places: Sequence[int], a: datetime, b: datetime) -> list[str]:
        """For each input the relation of its rows that were measured from a to b."""
        out = []
        for given, by_place in zip(self.subject.inputs, self._streams, strict=True):
            streams = [s for place in places for s in by_place.get(place, ())]
            out.append(self._rows(given, streams, *inside(given, a, b)))
        return out

    def _rows(self, given: Input, streams: Sequence[int], a: datetime, b: datetime) -> str:
        if not (self._everything and given.complete):
            return self._relation(self.view, given.dataset, streams, a, b)
        # One relation for all pieces: the head is copied once.
        at = (given.dataset.id, a, b)
        if at not in self._whole:
            self._whole[at] = self._relation(self.view, given.dataset, None, a, b)
        if len(streams) == len(given.streams):
            return self._whole[at]
        where = f"IN ({', '.join(str(int(s)) for s in streams) or 'NULL'})"
        if streams and max(streams) - min(streams) + 1 == len(streams):
            where = f"BETWEEN {min(streams):d} AND {max(streams):d}"
        return f"(SELECT * FROM {self._whole[at]} WHERE stream_id {where})"

    def grid(
        self, query: exp.Query, places: Sequence[int], chosen: list[str], a: Period, b: Period
    ) -> HourGrid:
        """What a function called with this query sees."""
        self._show_inputs(query, chosen)
        text = sql.written(with_inputs(query, self.definition))
        return hour_grid(self.view, self.subject, places, text, a, b)

    def _by_place(self, given: Input) -> dict[int, list[int]]:
        place = {thing.id: i for i, thing in enumerate(self.subject.things)}
        out: dict[int, list[int]] = {}
        for stream in given.streams.values():
            out.setdefault(place[stream.thing_id], []).append(stream.id)
        return out

    def _tables(self) -> None:
        """The things' keys as enumerations: comparing and grouping by them costs no text."""
        cursor, n = self.view.cursor, self._number
        things, streams = self.subject.things, [
            s for given in self.subject.inputs for s in given.streams.values()
        ]  # fmt: skip
        place = {thing.id: i for i, thing in enumerate(things)}
        data: dict[str, Any] = {"place": np.arange(len(things), dtype=np.int32)}
        for i in range(len(self.definition.key)):
            data[f"k{i}"] = np.array([t.key[i] for t in things], dtype=str)
        cursor.register("things_now", data)
        columns = []
        for i, name in enumerate(self.definition.key):
            columns.append(f"k{i}::key_{n}_{i} AS {quoted(name)}")
            cursor.execute(
                f"CREATE TEMP TYPE key_{n}_{i} AS ENUM "
                f"(SELECT DISTINCT k{i} FROM things_now ORDER BY k{i})"
            )
        cursor.execute(
            f"CREATE TEMP TABLE things_{n} AS SELECT place, {', '.join(columns)} FROM things_now"
        )
        cursor.register(
            "streams_now",
            {
                "stream_id": np.array([s.id for s in streams], dtype=np.int32),
                "place": np.array([place[s.thing_id] for s in streams], dtype=np.int32),
                "parameter": np.array([s.parameter for s in streams], dtype=str),
            },
        )
        cursor.execute(
            f"CREATE TEMP TABLE streams_{n} AS SELECT s.stream_id, s.parameter, "
            f"t.* EXCLUDE (place) FROM streams_now s JOIN things_{n} t USING (place)"
        )
        for name in ("things_now", "streams_now"):
            cursor.unregister(name)

    def _show_inputs(self, tree: exp.Expr, chosen: list[str]) -> None:
        """Make the datasets that a query names visible to it."""
        names = {table.name for table in tree.find_all(exp.Table)}
        columns = {column.name.lower() for column in tree.find_all(exp.Column)}
        keyed = bool(columns & {"parameter", *(k.lower() for k in self.definition.key)})
        for given, relation in zip(self.subject.inputs, chosen, strict=True):
            if given.dataset.name in names:
                self.view.execute(
                    f"CREATE OR REPLACE TEMP VIEW {quoted(input_name(given.dataset.name))} AS "
                    + self._dataset(given, relation, keyed=keyed)
                )

    def _dataset(self, given: Input, relation: str, *, keyed: bool) -> str:
        at = "s.t - INTERVAL 1 MICROSECOND" if given.ends else "s.t"
        calendar = "".join(
            f"{shown} AS {name}, " for name, shown in calendar_columns(self.definition, at)
        )
        keys = "".join(f"k.{quoted(name)}, " for name in ("parameter", *self.definition.key))
        join = f"JOIN streams_{self._number} k ON k.stream_id = s.stream_id" if keyed else ""
        return (
            f"SELECT {keys if keyed else ''}s.stream_id AS stream, s.t AS time, "
            f"{calendar}s.v AS value, s.q AS quality, "
            f"s.q = {int(Quality.VALID)} AND s.v IS NOT NULL AS usable "
            f"FROM {relation} s {join}"
        )

    def _hand_over(
        self, places: Sequence[int], us: NDArray[np.int64], columns: Mapping[str, Floats],
        name: str, number: int,
    ) -> str:  # fmt: skip
        """Make a function's figures a table of the engine: key, time, columns; its name."""
        said = np.zeros((len(places), len(us)), bool)
        for values in columns.values():
            said |= ~np.isnan(values)
        row, column = np.nonzero(said)
        registered = f"called_{self._number}_{number}"
        data = {"place": np.asarray(places, np.int32)[row], "us": us[column]}
        data |= {c: values[row, column] for c, values in columns.items()}
        self.view.cursor.register(registered, data)
        keys = "".join(f"t.{quoted(k)}, " for k in self.definition.key)
        shown = "".join(
            f", f.{c}" if c in columns else f", NULL::DOUBLE AS {c}"
            for c in FUNCTIONS[name].columns
        )
        self.view.execute(
            f"CREATE OR REPLACE TEMP VIEW {registered}_named AS SELECT {keys}"
            f"make_timestamptz(f.us) AS time {shown} "
            f"FROM {registered} f JOIN things_{self._number} t USING (place)"
        )
        return registered

    # -- what the SELECT gives --------------------------------------------------------------------

    def _select(self, text: str, places: Sequence[int], us: NDArray[np.int64]) -> dict[str, Floats]:
        rows = self.view.execute(
            f"SELECT * FROM ({final(self.definition, text)}) WHERE us BETWEEN {us[0]} AND {us[-1]}"
        ).fetchnumpy()
        given = plain(rows["us"])
        codes = [plain(rows[f"k{i}"]) for i in range(len(self.definition.key))]
        row_of = np.full(len(self.subject.things), -1, np.int64)
        row_of[list(places)] = np.arange(len(places))
        column = np.searchsorted(us, given)
        odd = given[us[column] != given]
        if len(odd):
            at = instant(int(odd[0])).isoformat()
            raise Invalid("indicators.no_period", name=self.definition.name, at=at)
        cell = row_of[self._place_of(codes)] * len(us) + column
        if len(np.unique(cell)) != len(cell):
            raise Invalid("indicators.rows_twice", name=self.definition.name)
        out = {}
        for i, output in enumerate(self.definition.outputs):
            values = plain(rows[f"o{i}"]).astype(np.float64)
            table = np.full(len(places) * len(us), np.nan)
            table[cell] = np.round(values, output.decimals + SPARE_DECIMALS)
            out[output.name] = table.reshape(len(places), len(us))
        return out


class _Places:
    """From the codes of key columns to the place of the thing."""

    def __init__(self, subject: Subject) -> None:
        things, width = subject.things, len(subject.definition.key)
        values = [sorted({t.key[i] for t in things}) for i in range(width)]
        self._sizes = [len(v) for v in values]
        number = [{text: n for n, text in enumerate(v)} for v in values]
        codes = [np.array([number[i][t.key[i]] for t in things], np.int64) for i in range(width)]
        mixed = self._mixed(codes)
        self._order = np.argsort(mixed)
        self._sorted = mixed[self._order]

    def _mixed(self, codes: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        mixed = np.zeros(len(codes[0]), np.int64)
        for code, size in zip(codes, self._sizes, strict=True):
            mixed = mixed * size + code
        return mixed

    def __call__(self, codes: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
        if not len(codes[0]):
            return np.empty(0, np.int64)
        return self._order[np.searchsorted(self._sorted, self._mixed(codes))]


def _windows(
    definition: Definition, first: Period, last: Period
) -> Iterator[tuple[Period, Period]]:
    """A stretch of periods in pieces of at most HOURS_AT_ONCE."""
    local = zone(definition.zone)
    size = timedelta(hours=HOURS_AT_ONCE)
    a = first
    while last.end - a.start > size:
        b = Period.containing(definition.grain, a.start + size, local).previous()
        yield a, b
        a = b.next()
    yield a, last
