"""Where a figure comes from: definition, rows, loads, and the steps to compute it by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan

from dothi.indicators import sql, store
from dothi.indicators.engine import compute, grid_of
from dothi.indicators.functions import FUNCTIONS, HOUR_US, Step
from dothi.indicators.model import Threshold
from dothi.indicators.service import Indicator, find, subject
from dothi.indicators.store import LoadFacts
from dothi.indicators.subject import Subject, current, inside, instant, micros, span_of
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.kernel.time import local_date, zone
from dothi.lake.model import Quality
from dothi.lake.read import View
from dothi.lake.registry import Dataset, Thing
from dothi.lake.service import Lake


@dataclass(frozen=True)
class InputRow:
    """A row within reach of the figure. `entered`: the figure rests on it; else why not is seen
    from its quality or its hour."""

    dataset: Dataset
    stream_id: int
    parameter: str
    t: datetime
    value: float | None
    quality: Quality
    row_no: int
    load_id: int
    entered: bool


@dataclass(frozen=True)
class Explanation:
    """Everything behind one thing's figures of one period.

    `values` are the stored outputs, `again` the same computed now from `rows`; they differ only
    while the worker has something left to do. `steps` is empty for a SELECT without kernel
    functions: its words, SQL and rows say it all.
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


def explain(lake: Lake, name: str, thing_id: int, period: Period) -> Explanation:
    """What stands behind an indicator's figures of a thing and period.

    Raises NotFound where there is no such indicator, thing or figure.
    """
    with lake.db.transaction() as conn:
        indicator = find(conn, name)
        about = subject(conn, indicator)
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
        rows = _rows(view, about, thing_id, period, steps)
    wanted = {row.load_id for row in rows} | {load for _, load in stored.values()}
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
        loads={row.load_id: loads[row.load_id] for row in rows if row.load_id in loads},
        steps=tuple(steps),
    )


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
    view: View, about: Subject, thing_id: int, period: Period, steps: Sequence[Step]
) -> list[InputRow]:
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
            out.append(
                InputRow(given.dataset, stream_id, parameter, instant(us), v, Quality(q), row_no,
                         load_id, entered)
            )  # fmt: skip
    return out


def _hour_end(us: int, start: int, *, ends: bool) -> datetime:
    """The end of the hour that a row belongs to, in hours counted from the grid's beginning."""
    past = us - start
    number = -(-past // HOUR_US) if ends else past // HOUR_US + 1
    return instant(start + number * HOUR_US)
