"""What is measured in a unit: its stations, and series by units of a day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from statistics import median
from urllib.parse import urlencode

from dothi.identity import units_read
from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.identity.predicate import admits
from dothi.identity.units import BASES, Unit
from dothi.identity.units_read import Outline
from dothi.indicators.model import Output
from dothi.indicators.service import Indicator, latest
from dothi.ioc.catalogue import DATA, LOADS, UNITS, sections
from dothi.ioc.desk import Desk
from dothi.ioc.explain_view import when
from dothi.ioc.units_view import (
    Beside,
    FigureRow,
    IndicatorPart,
    PeriodRow,
    Place,
    SeriesPart,
    SeriesRow,
    SeriesView,
    UnitCell,
)
from dothi.ioc.view import Choice
from dothi.kernel.crosswalk import Aggregation
from dothi.kernel.crosswalk import Status as Standing
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import NOTHING, datetime_, number, t
from dothi.kernel.period import Grain, Period
from dothi.kernel.time import zone
from dothi.lake import registry
from dothi.lake.columns import Parameter
from dothi.lake.loads import resource as load_resource
from dothi.lake.out.by_unit import Line, by_unit, exactly
from dothi.lake.out.by_unit import Wanted as WantedSeries
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.store.database import Connection
from dothi.web.view import Level, Status

MOST_THINGS = 200
SHOWN_PERIODS = 12
"""How many of the newest periods of a series by units are offered."""
_NO_UNIT = ("1", "count")
_GRAINS: dict[int, Grain] = {1: "month", 3: "quarter", 12: "year"}
_FILES = ("csv", "xlsx")
_LEVELS: dict[str, Level] = {"exact": "ok", "estimated": "notice", "not_separable": "warning"}


def places(
    conn: Connection, desk: Desk, actor: Actor, lang: str, outline: Outline | None
) -> tuple[Place, ...]:
    """Stations inside the outline with the newest values of the indicators about them."""
    if outline is None:
        return ()
    definitions = desk.definitions()
    found: dict[int, tuple[Thing, list[IndicatorPart]]] = {}
    for dataset in registry.datasets(conn):
        decision = decide(actor, "dataset.read", dataset.resource)
        if dataset.contract.kind != "series" or not decision.allowed:
            continue
        things = {
            key: thing
            for key, thing in registry.things(conn, dataset).items()
            if thing.lon is not None and thing.lat is not None
            and outline.holds(thing.lon, thing.lat)
            and admits(decision.rows, {"agency_id": thing.agency_id})
        }  # fmt: skip
        if len(found) > MOST_THINGS:
            break
        for thing in things.values():
            found.setdefault(thing.id, (thing, []))
        if things and dataset.name in definitions:
            streams = [
                s for s in registry.streams(conn, dataset).values()
                if s.thing_id in things and s.parameter not in decision.hidden
            ]  # fmt: skip
            for thing_id, part in _newest(conn, desk, definitions[dataset.name], streams, lang):
                found[thing_id][1].append(part)
    places = [
        Place(thing.title(lang), thing.lon or 0, thing.lat or 0, tuple(parts))
        for thing, parts in found.values()
    ]
    return tuple(sorted(places, key=lambda place: place.name))


def _newest(
    conn: Connection, desk: Desk, indicator: Indicator, streams: Sequence[Stream], lang: str
) -> Iterator[tuple[int, IndicatorPart]]:
    """The newest figures of an indicator at each station, of a period that has ended, in the order
    of its outputs."""
    newest = latest(conn, desk.lake, indicator, now=desk.now(), streams=[s.id for s in streams])
    definition = indicator.definition
    for thing_id in dict.fromkeys(s.thing_id for s in streams):
        told = [
            (output, newest[thing_id, output.name])
            for output in definition.outputs
            if (thing_id, output.name) in newest
        ]
        last = max((one.period for _, one in told), default=None)
        rows = [
            _figure(output, one.value, definition.title[lang], lang)
            for output, one in told
            if one.period == last
        ]
        if last is not None:
            url = f"{DATA}/{definition.name}"
            named = IndicatorPart(definition.title[lang], url, when(last, lang), tuple(rows))
            yield thing_id, named


def _figure(output: Output, value: float, title: str, lang: str) -> FigureRow:
    label = output.labels.get(int(value)) if output.labels else None
    return FigureRow(
        "" if output.title[lang] == title else output.title[lang],
        label[lang] if label else number(value, lang, output.decimals),
        "" if label or output.unit in _NO_UNIT else output.unit,
    )


def series_of(desk: Desk, actor: Actor, lang: str, unit: Unit, day: date) -> Iterator[SeriesPart]:
    """The figures of series that are kept by units, carried over to the units of this day."""
    with desk.db.transaction() as conn:
        found = [
            d for d in registry.datasets(conn)
            if d.contract.units and decide(actor, "dataset.read", d.resource).allowed
        ]  # fmt: skip
    for dataset in found:
        wanted = WantedSeries(day, start=_since(desk, dataset))
        try:
            told = by_unit(desk.lake, actor, dataset, wanted)
        except Invalid:  # its codes are not for them, or there is too much of it
            continue
        mine = [x for x in told.lines if x.kind == "unit" and x.units == (unit.code,)]
        for rest in sorted({x.rest for x in mine}):
            same = [x for x in told.lines if x.rest == rest]
            yield _part(dataset, actor, lang, unit, day, same)


def _part(
    dataset: Dataset, actor: Actor, lang: str, unit: Unit, day: date, lines: Sequence[Line]
) -> SeriesPart:
    """A dataset as a unit has it; `lines` are those of all units with the same rest of the key."""
    contract = dataset.contract
    mine = {
        (line.time, line.parameter): line
        for line in lines if line.kind == "unit" and line.units == (unit.code,)
    }  # fmt: skip
    there = {name for (_, name), line in mine.items() if line.status != Standing.MISSING}
    there = there or {name for _, name in mine}
    asked = [p for p in contract.parameters if p.name in there]
    times = sorted({at for at, _ in mine}, reverse=True)[:SHOWN_PERIODS]
    loads = decide(actor, "load.read", load_resource(dataset)).allowed
    url = f"{DATA}/{dataset.name}"
    api = f"/api/v1/datasets/{dataset.name}/by-unit?"
    file = {"units": day, "unit": unit.code, "bom": "true"}
    rows: list[PeriodRow] = []
    for at in times:
        own = [mine.get((at, p.name)) for p in asked]
        brought = sorted({load for line in own if line for load in line.loads}) if loads else []
        cells = tuple(_cell(line, p.decimals, lang) for line, p in zip(own, asked, strict=True))
        links = tuple(
            Choice(t("units.page_load", lang, number=load), f"{LOADS}/{load}") for load in brought
        )
        rows.append(PeriodRow(_when(dataset, at, lang), cells, links))
    beside = [_beside(dataset, lines, unit, times[0], day, p, lang) for p in asked]
    return SeriesPart(
        title=" · ".join([contract.title[lang], *lines[0].rest]),
        url=url,
        columns=tuple(_column(contract.title[lang], p, lang) for p in asked),
        rows=tuple(rows),
        newest=rows[0].label,
        beside=tuple(beside) if any(beside) else (),
        files=tuple(
            Choice(word.upper(), api + urlencode(file | {"format": word})) for word in _FILES
        ),
    )


def _column(title: str, parameter: Parameter, lang: str) -> str:
    unit = "" if parameter.unit in _NO_UNIT else f" ({parameter.unit})"
    return f"{parameter.title[lang] or title}{unit}"


def _cell(line: Line | None, decimals: int, lang: str) -> UnitCell:
    if line is None:
        return UnitCell(NOTHING)
    status = None if line.status == Standing.EXACT else _how(line, lang)
    return UnitCell(_value(line, decimals, lang), status, _note(line, decimals, lang))


def _beside(
    dataset: Dataset, lines: Sequence[Line], unit: Unit, at: datetime, day: date,
    parameter: Parameter, lang: str,
) -> Beside | None:  # fmt: skip
    """Where a unit's value of a period stands among the units'; None without one, or without others."""
    values = {
        line.units[0]: line.value
        for line in lines
        if line.kind == "unit" and line.time == at and line.parameter == parameter.name
        and line.value is not None
    }  # fmt: skip
    own = values.get(unit.code)
    if own is None or len(values) < 2:
        return None
    above = sum(value > own for value in values.values())
    asked = {
        "units": day, "parameter": parameter.name, "period": at.isoformat(), "unit": unit.code,
        "sort": "value",
    }  # fmt: skip
    return Beside(
        number(median(values.values()), lang, parameter.decimals),
        t("units.page_place_of", lang, place=above + 1, count=len(values)),
        f"{DATA}/{dataset.name}/by-unit?{urlencode(asked)}",
    )


def _when(dataset: Dataset, at: datetime, lang: str) -> str:
    """A value's time: the period's name where values go by the calendar, else the instant."""
    time = dataset.contract.time
    assert time is not None
    grain = _GRAINS.get(time.months) or ("day" if time.rhythm == timedelta(days=1) else None)
    if grain is None:
        return datetime_(at, lang)
    inside = at - timedelta(microseconds=1) if time.stamp == "end" else at
    return Period.containing(grain, inside, zone(time.zone)).label(lang)


def _since(desk: Desk, dataset: Dataset) -> datetime | None:
    """Where the newest periods of a series begin."""
    with desk.db.transaction() as conn:
        row = conn.execute(
            "SELECT max(n.t) FROM series_newest n JOIN stream s ON s.id = n.stream_id "
            "WHERE s.dataset_id = %s",
            (dataset.id,),
        ).fetchone()
    time = dataset.contract.time
    if row is None or row[0] is None or time is None:
        return None
    return row[0] - (time.rhythm or timedelta(days=31)) * SHOWN_PERIODS


def series(
    desk: Desk, actor: Actor, lang: str, name: str, *, day: date | None, basis: str,
    parameter: str, period: str, unit: str, sort: str,
) -> SeriesView:  # fmt: skip
    """A series by the units of a day, one parameter and one period at a time; the line of `unit` is
    marked. Raises NotFound."""
    with desk.db.transaction() as conn:
        try:
            dataset = registry.find(conn, name)
        except NotFound:
            raise NotFound("identity.not_found") from None
        decision = require(actor, "dataset.read", dataset.resource)
        reforms = units_read.reforms(conn)
    contract = dataset.contract
    at = day or units_read.today()
    known = [p for p in contract.parameters if p.name not in decision.hidden]
    if not known:
        raise NotFound("identity.not_found")
    asked = [p for p in known if p.name == parameter] or known
    wanted = WantedSeries(at, basis, (asked[0].name,), _since(desk, dataset))
    told = by_unit(desk.lake, actor, dataset, wanted)
    times = sorted({line.time for line in told.lines}, reverse=True)
    chosen = next((t_ for t_ in times if t_.isoformat() == period), times[0] if times else None)
    lines = [line for line in told.lines if line.time == chosen]
    if sort == "value":
        lines.sort(key=lambda line: -math.inf if line.value is None else line.value, reverse=True)
    url, api = f"{DATA}/{name}/by-unit", f"/api/v1/datasets/{name}/by-unit"
    whole = {"units": at, "basis": basis}
    same = {
        "basis": basis,
        "parameter": asked[0].name,
        "period": period,
        "unit": unit,
        "sort": sort,
    }
    same = {word: value for word, value in same.items() if value}
    days = [(units_read.today(), t("units.page_today", lang))]
    days += [
        (reform - timedelta(days=1), t("units.page_before_day", lang, day=reform))
        for reform in reforms
    ]
    return SeriesView(
        sections=sections(desk, actor, lang, DATA),
        title=contract.title[lang],
        url=url,
        data_url=f"{DATA}/{name}",
        at=at,
        days=tuple(
            Choice(text, f"{url}?{urlencode(same | {'units': one_})}", one_ == at)
            for one_, text in days
        ),
        basis=basis,
        bases=tuple((one_, t(f"units.page_by_{one_}", lang)) for one_ in BASES),
        parameter=asked[0].name,
        parameters=tuple((p.name, p.title[lang]) for p in known),
        period=chosen.isoformat() if chosen else "",
        periods=tuple((t_.isoformat(), _when(dataset, t_, lang)) for t_ in times),
        unit="" if asked[0].unit in _NO_UNIT else asked[0].unit,
        rows=tuple(
            _series_row(line, told.names, at, asked[0].decimals, lang, unit) for line in lines
        ),
        total=_total(lines, asked[0].decimals, lang)
        if asked[0].over_units.aggregation is Aggregation.SUM else None,
        sort=sort,
        sorts=tuple((one_, t(f"units.page_sort_{one_}", lang)) for one_ in ("unit", "value")),
        chosen=unit,
        api_url=f"{api}?{urlencode(whole)}",
        files=tuple(
            Choice(word.upper(), f"{api}?{urlencode(whole | {'format': word, 'bom': 'true'})}")
            for word in _FILES
        ),
    )  # fmt: skip


def _series_row(
    line: Line, names: dict[str, str], at: date, decimals: int, lang: str, chosen: str
) -> SeriesRow:
    places = tuple(Choice(names.get(code, code), f"{UNITS}/{code}?at={at}") for code in line.units)
    note = _note(line, decimals, lang)
    if line.kind == "group":
        note = t("units.page_group", lang)
    elif line.kind == "unplaced":
        note = t("units.page_unplaced", lang, code=line.sources[0])
    marked = bool(chosen) and chosen in line.units
    return SeriesRow(places, marked, " · ".join(line.rest), _value(line, decimals, lang),
                     _how(line, lang), note)  # fmt: skip


def _total(lines: Sequence[Line], decimals: int, lang: str) -> str:
    """The sum over units, groups and what is without a unit: the same by any day's units."""
    values = [exactly(line.value) for line in lines if line.value is not None]
    return number(float(sum(values)), lang, decimals) if values else NOTHING


def _value(line: Line, decimals: int, lang: str) -> str:
    return NOTHING if line.value is None else number(line.value, lang, decimals)


def _how(line: Line, lang: str) -> Status:
    return Status(_LEVELS.get(line.status, "unknown"), t(f"units.status.{line.status}", lang))


def _note(line: Line, decimals: int, lang: str) -> str:
    if line.value is None and line.known is not None:
        return t("units.page_known", lang, value=number(line.known, lang, decimals))
    return "; ".join(line.grounds)
