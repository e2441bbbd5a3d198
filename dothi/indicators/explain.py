"""Where a figure comes from: definition, rows, loads, and the steps to compute it by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan

from dothi.indicators import sql, store
from dothi.indicators.engine import compute, grid_of
from dothi.indicators.functions import FUNCTIONS, HOUR_US, Step
from dothi.indicators.model import Threshold
from dothi.indicators.service import Indicator, find, indicators, subject
from dothi.indicators.store import LoadFacts
from dothi.indicators.subject import (
    Input,
    Subject,
    current,
    inside,
    instant,
    micros,
    span_of,
)
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.kernel.time import local_date, zone
from dothi.lake.model import Quality
from dothi.lake.read import View
from dothi.lake.registry import Dataset, Thing
from dothi.lake.service import Lake
from dothi.store.database import Connection


@dataclass(frozen=True)
class InputRow:
    """A row within reach of the figure. `entered`: the figure rests on it; else why not is seen
    from its quality or its hour. `period`: of which period it is, where it is itself a figure of an
    indicator, that of its dataset."""

    dataset: Dataset
    stream_id: int
    parameter: str
    t: datetime
    value: float | None
    quality: Quality
    row_no: int
    load_id: int
    entered: bool
    period: Period | None = None


@dataclass(frozen=True)
class Brought:
    """What a load brought of a dataset to the figures that a figure is made of: how many rows, and
    between which numbers in its file."""

    dataset: Dataset
    load_id: int
    rows: int
    first: int
    last: int


@dataclass(frozen=True)
class Explanation:
    """Everything behind one thing's figures of one period.

    `values` are the stored outputs, `again` the same computed now from `rows`; they differ only
    while the worker has something left to do. `steps` is empty for a SELECT without kernel
    functions: its words, SQL and rows say it all. `below`: what was measured, where rows are figures
    of other indicators.
    """

    indicator: Indicator
    thing: Thing
    period: Period
    t: datetime
    values: dict[str, float]
    again: dict[str, float]
    computed_at: datetime | None
    limits: dict[str, tuple[Threshold, ...]]
    rows: tuple[InputRow, ...]
    loads: dict[int, LoadFacts]
    steps: tuple[Step, ...]
    below: tuple[Brought, ...] = ()


def explain(lake: Lake, name: str, thing_id: int, period: Period) -> Explanation:
    """What stands behind an indicator's figures of a thing and period.

    Raises NotFound where there is no such indicator, thing or figure.
    """
    with lake.db.transaction() as conn:
        indicator = find(conn, name)
        about = subject(conn, indicator)
        lower = _lower(conn, about)
    definition = indicator.definition
    thing = next((one for one in about.things if one.id == thing_id), None)
    if thing is None or period.grain != definition.grain:
        raise NotFound("indicators.no_value", name=name)
    with lake.view() as view:
        stored = _stored(view, lake, about, thing_id, definition.instant_of(period))
        again = _again(view, about, thing_id, period)
        if not stored and not again:
            raise NotFound("indicators.no_value", name=name)
        steps = _steps(view, about, thing_id, period)
        rows = _rows(view, about, lower, thing_id, period, steps)
        below = [one for given in about.inputs if given.dataset.id in lower
                 for one in _below(view, given, lower, thing_id, rows)]  # fmt: skip
    wanted = {one.load_id for one in (*rows, *below)} | {load for _, load in stored.values()}
    with lake.db.transaction() as conn:
        loads = store.loads(conn, sorted(wanted))
    computed = [loads[load].at for _, load in stored.values() if load in loads]
    day = local_date(period.start, zone(definition.zone))
    return Explanation(
        indicator=indicator,
        thing=thing,
        period=period,
        t=definition.instant_of(period),
        values={output: value for output, (value, _) in stored.items()},
        again=again,
        computed_at=max(computed, default=None),
        limits={o.name: tuple(definition.limits(o.name, day)) for o in definition.outputs},
        rows=tuple(rows),
        loads={
            one.load_id: loads[one.load_id] for one in (*rows, *below)
            if one.load_id in loads and one.dataset.id not in lower
        },
        steps=tuple(steps),
        below=tuple(below),
    )  # fmt: skip


def _lower(conn: Connection, about: Subject) -> dict[int, Subject]:
    """The indicators under one, those under them too, by their datasets."""
    known = {one.dataset.id: one for one in indicators(conn)}
    found: dict[int, Subject] = {}
    waiting = [about]
    while waiting:
        for given in waiting.pop().inputs:
            if (one := known.get(given.dataset.id)) and given.dataset.id not in found:
                found[given.dataset.id] = subject(conn, one)
                waiting.append(found[given.dataset.id])
    return found


def _stored(
    view: View, lake: Lake, about: Subject, thing_id: int, t: datetime
) -> dict[str, tuple[float, int]]:
    """Output → (value, load) as stored."""
    with lake.db.transaction() as conn:
        streams = dict(
            conn.execute(
                "SELECT id, parameter FROM stream WHERE dataset_id = %s AND thing_id = %s",
                (about.dataset.id, thing_id),
            ).fetchall()
        )
    if not streams:
        return {}
    relation = view.series(about.dataset, streams=list(streams), start=t, end=t)
    found = view.execute(f"SELECT stream_id, v, load_id FROM {relation}").fetchall()
    return {streams[s]: (v, load) for s, v, load in found if v is not None}


def _again(view: View, about: Subject, thing_id: int, period: Period) -> dict[str, float]:
    out = {}
    for piece in compute(view, about, [thing_id], period, period):
        for name, values in piece.columns.items():
            value = float(values[0, 0])
            if not isnan(value):
                out[name] = value
    return out


def _steps(view: View, about: Subject, thing_id: int, period: Period) -> list[Step]:
    names = [name for _, name, _ in sql.calls(sql.tree(about.definition))]
    if not names:
        return []
    grid = grid_of(view, about, thing_id, period)
    return FUNCTIONS[names[0]].steps(grid) if grid is not None else []


def _rows(
    view: View, about: Subject, lower: Mapping[int, Subject], thing_id: int, period: Period,
    steps: Sequence[Step],
) -> list[InputRow]:  # fmt: skip
    """Rows within reach, latest first; what entered is told by the steps where there are some."""
    used = {(step.parameter, part.at) for step in steps for part in step.parts}
    a, b = span_of(about.definition, period, period)
    out = []
    for given in about.inputs:
        streams = {s.id: s.parameter for s in given.streams.values() if s.thing_id == thing_id}
        if not streams:
            continue
        relation = current(view, given.dataset, list(streams), *inside(given, a, b))
        found = view.execute(
            f"SELECT stream_id, epoch_us(t), v, q, row_no, load_id FROM {relation} "
            "ORDER BY t DESC, stream_id"
        ).fetchall()
        for stream_id, us, v, q, row_no, load_id in found:
            parameter = streams[stream_id]
            usable = q == Quality.VALID and v is not None
            hour = _hour_end(us, micros(a), ends=given.ends)
            entered = usable and (not steps or (parameter, hour) in used)
            by = lower.get(given.dataset.id)
            of = by.definition.period_at(instant(us)) if by else None
            out.append(
                InputRow(given.dataset, stream_id, parameter, instant(us), v, Quality(q), row_no,
                         load_id, entered, of)
            )  # fmt: skip
    return out


def _below(
    view: View, given: Input, lower: Mapping[int, Subject], thing_id: int, rows: Sequence[InputRow]
) -> list[Brought]:
    """What was measured under those rows of an indicator's dataset that entered, by load."""
    of = [row.period for row in rows if row.dataset.id == given.dataset.id and row.entered]
    periods = [period for period in of if period]
    if not periods:
        return []
    found: dict[tuple[int, int], Brought] = {}
    waiting = [(lower[given.dataset.id], min(periods), max(periods))]
    while waiting:
        about, first, last = waiting.pop()
        a, b = span_of(about.definition, first, last)
        for one in about.inputs:
            if one.dataset.id in lower:
                below = lower[one.dataset.id]
                low, high = (below.definition.period_at(at) for at in inside(one, a, b))
                waiting.append((below, low, high))
                continue
            streams = [s.id for s in one.streams.values() if s.thing_id == thing_id]
            if not streams:
                continue
            relation = current(view, one.dataset, streams, *inside(one, a, b))
            for load, count, low, high in view.execute(
                f"SELECT load_id, count(*), min(row_no), max(row_no) FROM {relation} "
                f"WHERE q = {int(Quality.VALID)} AND v IS NOT NULL GROUP BY load_id"
            ).fetchall():
                found[one.dataset.id, load] = Brought(one.dataset, load, count, low, high)
    return list(found.values())


def _hour_end(us: int, start: int, *, ends: bool) -> datetime:
    """The end of the hour that a row belongs to, in hours counted from the grid's beginning."""
    past = us - start
    number = -(-past // HOUR_US) if ends else past // HOUR_US + 1
    return instant(start + number * HOUR_US)
