"""From rows to dense hourly means: what the kernel's functions compute on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dothi.indicators.functions import HOUR_US, HourGrid
from dothi.indicators.subject import Subject, micros, span_of
from dothi.kernel.aqi import Floats
from dothi.kernel.period import Period
from dothi.lake.read import View

LOOSE = 4
"""Up to so many numbers of streams to one that is read, their numbers themselves are the rows."""


def hour_grid(
    view: View, subject: Subject, places: Sequence[int], text: str, first: Period, last: Period
) -> HourGrid:
    """The hourly means of things (by place) from a query that gives stream, time and value.

    Hours are named by their end and begin where the inputs of the first period begin.
    """
    definition = subject.definition
    a, b = span_of(definition, first, last)
    start = micros(a)
    hours = -(-(micros(b) - start) // HOUR_US)
    lead = definition.lookback // timedelta(hours=1)
    means = {}
    if row_of := _rows_of(subject, places):
        ends = 1 if subject.inputs[0].ends else 0
        cell, value, row_of = _cells(view, text, row_of, start, hours, ends)
        if len(value):
            cells = _averaged((max(row_of.values()) + 1) * hours, cell, value)
            means = _by_parameter(subject, places, row_of, cells.reshape(-1, hours))
    about = tuple(subject.things[place].properties for place in places)
    return HourGrid(start, lead, len(places), hours, means, about)


def _rows_of(subject: Subject, places: Sequence[int]) -> dict[int, int]:
    """A row for each stream of these things."""
    things = {subject.things[place].id for place in places}
    chosen = [
        s.id for given in subject.inputs for s in given.streams.values() if s.thing_id in things
    ]
    return {stream: row for row, stream in enumerate(sorted(chosen))}


def _cells(
    view: View, text: str, row_of: dict[int, int], start: int, hours: int, ends: int
) -> tuple[NDArray[np.int64], Floats, dict[int, int]]:
    """The cell and the value of each row, and the table's row of each stream.

    Station, pollutant and hour come over as one number: each column fetched has its price. Rows
    that the query moved out of the hours asked for are left out.
    """
    low, high = min(row_of), max(row_of)
    past = f"(epoch_us(time) - {start})"
    hour = f"CAST(({past} - {ends}) // {HOUR_US} AS INTEGER)"
    row, source = f"(stream - {low})::INTEGER", f"({text})"
    if high - low >= LOOSE * len(row_of):
        _register_rows(view, row_of)
        row, source = 's."row"', f"({text}) JOIN stream_rows s USING (stream)"
    else:
        row_of = {stream: stream - low for stream in row_of}
    rows = view.execute(
        f"SELECT {row} * {hours} + {hour} AS cell, CAST(value AS DOUBLE) AS value FROM {source} "
        f"WHERE stream BETWEEN {low} AND {high} "
        f"AND {past} BETWEEN {ends} AND {hours * HOUR_US - 1 + ends}"
    ).fetchnumpy()
    return plain(rows["cell"]), plain(rows["value"]), row_of


def _register_rows(view: View, row_of: dict[int, int]) -> None:
    view.cursor.register(
        "stream_rows_now",
        {"stream": np.array([*row_of], np.int32), "row": np.array([*row_of.values()], np.int32)},
    )
    view.execute("CREATE OR REPLACE TEMP TABLE stream_rows AS SELECT * FROM stream_rows_now")
    view.cursor.unregister("stream_rows_now")


def _averaged(size: int, cell: NDArray[np.int64], value: Floats) -> Floats:
    """Cells with the mean of the values that fall into each, NaN where none does.

    Where several fall into one they are sorted before they are summed, so that the sum does not
    hang on the order in which rows come.
    """
    cells = np.full(size, np.nan)
    cells[cell] = value
    if np.count_nonzero(~np.isnan(cells)) == len(value):
        return cells
    there = ~np.isnan(value)
    cell, value = cell[there], value[there]
    order = np.lexsort((value, cell))
    cell, value = cell[order], value[order]
    cells = np.full(size, np.nan)
    if len(cell):
        starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
        counts = np.diff(np.r_[starts, len(cell)])
        cells[cell[starts]] = np.add.reduceat(value, starts) / counts
    return cells


def _by_parameter(
    subject: Subject, places: Sequence[int], row_of: dict[int, int], cells: Floats
) -> dict[str, Floats]:
    """For each parameter its rows in the order of things."""
    at = {subject.things[place].id: i for i, place in enumerate(places)}
    rows: dict[str, NDArray[np.int64]] = {}
    for given in subject.inputs:
        for s in given.streams.values():
            if s.id in row_of:
                mine = rows.setdefault(s.parameter, np.full(len(places), -1, np.int64))
                mine[at[s.thing_id]] = row_of[s.id]
    return {parameter: _chosen(cells, mine) for parameter, mine in rows.items()}


def _chosen(cells: Floats, rows: NDArray[np.int64]) -> Floats:
    """Some rows of a table, uncopied where they are evenly spaced; a row numbered −1 is empty."""
    step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
    if step > 0 and rows[0] >= 0 and (np.diff(rows) == step).all():
        return cells[rows[0] : rows[-1] + 1 : step]
    out = cells[rows]
    out[rows < 0] = np.nan
    return out


def plain(column: Any) -> NDArray[Any]:
    """A fetched column with NaN where it was null."""
    if isinstance(column, np.ma.MaskedArray):
        return column.filled(np.nan) if column.dtype.kind == "f" else column.data
    return column
