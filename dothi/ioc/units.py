"""Administrative units on screen: the list, one unit with its history and what is measured in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from dothi.identity import units_read
from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.identity.predicate import admits
from dothi.identity.units import BASES, LEVELS, Unit, UnitLink
from dothi.identity.units import Level as UnitLevel
from dothi.identity.units_read import Outline, Share, Wanted
from dothi.indicators.model import Output
from dothi.indicators.service import Indicator
from dothi.ioc.catalogue import DATA, UNITS, sections
from dothi.ioc.desk import Desk
from dothi.ioc.view import Choice, Fact, MapView
from dothi.kernel.crosswalk import Aggregation
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import NOTHING, datetime_, number, t
from dothi.lake import registry
from dothi.lake.model import Quality
from dothi.lake.out.by_unit import Line, by_unit, exactly
from dothi.lake.out.by_unit import Wanted as WantedSeries
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.packs.province import province_geojson
from dothi.store.database import Connection
from dothi.web.view import Level, Status

ON_PAGE = 100
MOST_THINGS = 200
SHOWN_PERIODS = 12
"""How many of the newest periods of a series by units are offered."""
MOST_GROUND = 2_000
"""Units that a map under stations shows at most."""
MARGIN = 0.15
"""How much of a unit's size its map shows beside it."""
_NO_UNIT = ("1", "count")
_GROUND = {"sea", "water", "river", "road"}
_LEVELS: dict[str, Level] = {"exact": "ok", "estimated": "notice", "not_separable": "warning"}

Bounds = tuple[float, float, float, float]


# -- what the pages show --------------------------------------------------------------------------


@dataclass(frozen=True)
class UnitRow:
    """A unit in a list; `above` is the unit that holds it."""

    url: str
    code: str
    name: str
    kind: str
    above: str
    population: int | None
    area_km2: float | None


@dataclass(frozen=True)
class ListView:
    """Units of a day. `map` is None where there is nothing to draw."""

    sections: tuple[Choice, ...]
    q: str
    level: str
    parent: str
    at: date
    levels: tuple[tuple[str, str], ...]
    parents: tuple[tuple[str, str], ...]
    rows: tuple[UnitRow, ...]
    total: int
    map: MapView | None
    next_url: str | None
    first_url: str | None


@dataclass(frozen=True)
class LinkRow:
    """What became of a unit, seen from one side: the other unit, since when, how, on what shares."""

    url: str
    name: str
    code: str
    day: date
    kind: str
    share: str
    basis: str | None


@dataclass(frozen=True)
class Life:
    """One of the units that a code has stood for."""

    url: str
    name: str
    kind: str
    span: str
    current: bool


@dataclass(frozen=True)
class FigureRow:
    """The newest value of an indicator's output; `title` is empty where the indicator's says it."""

    title: str
    value: str
    unit: str


@dataclass(frozen=True)
class IndicatorPart:
    """An indicator at a station: the instant of its newest figures, and these."""

    title: str
    url: str
    at: datetime
    figures: tuple[FigureRow, ...]


@dataclass(frozen=True)
class Place:
    """A station in the unit and the indicators about it."""

    name: str
    lon: float
    lat: float
    indicators: tuple[IndicatorPart, ...]


@dataclass(frozen=True)
class PeriodRow:
    """A value of a series by units; `status` says how far it holds, `note` on whose shares."""

    at: datetime
    value: str
    status: Status
    note: str


@dataclass(frozen=True)
class SeriesPart:
    """A parameter of a series by units, newest first."""

    title: str
    url: str
    unit: str
    rows: tuple[PeriodRow, ...]


@dataclass(frozen=True)
class UnitView:
    sections: tuple[Choice, ...]
    code: str
    name: str
    kind: str
    trail: tuple[Choice, ...]
    status: Status
    facts: tuple[Fact, ...]
    lives: tuple[Life, ...]
    before: tuple[LinkRow, ...]
    after: tuple[LinkRow, ...]
    inside: Choice | None
    map: MapView | None
    drawn: bool
    places: tuple[Place, ...]
    series: tuple[SeriesPart, ...]


@dataclass(frozen=True)
class SeriesRow:
    """A value by units: of one, of several that cannot be told apart, or of none (`note` says so)."""

    units: tuple[Choice, ...]
    rest: str
    value: str
    status: Status
    note: str


@dataclass(frozen=True)
class SeriesView:
    """A series by the units of a day. `total` is None where nothing may be added."""

    sections: tuple[Choice, ...]
    title: str
    url: str
    data_url: str
    at: date
    days: tuple[Choice, ...]
    basis: str
    bases: tuple[tuple[str, str], ...]
    parameter: str
    parameters: tuple[tuple[str, str], ...]
    period: str
    periods: tuple[tuple[str, str], ...]
    unit: str
    rows: tuple[SeriesRow, ...]
    total: str | None
    api_url: str


# -- the list -------------------------------------------------------------------------------------


def listing(
    desk: Desk, actor: Actor, lang: str, *, q: str, level: str, parent: str, at: date | None,
    after: str | None,
) -> ListView:  # fmt: skip
    """Units of a day by name; without a choice those right below the country, or the communes where
    there is one province."""
    day = at or units_read.today()
    with desk.db.transaction() as conn:
        provinces, _ = units_read.units(conn, Wanted(day, "province"))
        chosen: UnitLevel | None = next((one for one in LEVELS if one == level), None)
        if level != "all" and not chosen and not q and not parent:
            chosen = "commune" if len(provinces) == 1 else "province"
        wanted = Wanted(day, chosen, parent or None, q or None)
        found, following = units_read.units(conn, wanted, after=after, limit=ON_PAGE)
        total = units_read.count(conn, wanted)
        bounds = units_read.bounds(conn, wanted)
        names = units_read.names(conn, day)
    asked = {"q": q, "level": level, "parent": parent, "at": at.isoformat() if at else ""}
    asked = {name: value for name, value in asked.items() if value}
    address = f"{UNITS}?{urlencode(asked)}" if asked else UNITS
    drawn = {"at": day, "level": chosen or "", "parent": parent, "q": q}
    drawn = {name: value for name, value in drawn.items() if value}
    return ListView(
        sections=sections(desk, actor, lang, UNITS),
        q=q, level=chosen or "all", parent=parent, at=day,
        levels=(("all", t("common.all", lang)), *((one, t(f"units.level.{one}", lang)) for one in LEVELS)),
        parents=tuple((one.code, one.name) for one in provinces),
        rows=tuple(
            UnitRow(
                _address(one, at), one.code, one.name, t(f"units.kind.{one.kind}", lang),
                names.get(one.parent or "", ""), one.population,
                None if one.area_km2 is None else float(one.area_km2),
            )
            for one in found
        ),
        total=total,
        map=MapView(
            t("units.page_map", lang), t("units.page_on", lang, day=day),
            f"{UNITS}/map.geojson?{urlencode(drawn)}", _wider(bounds),
        ) if bounds and total <= units_read.MOST_FEATURES else None,
        next_url=f"{address}{'&' if asked else '?'}after={following}" if following else None,
        first_url=address if after else None,
    )  # fmt: skip


def _address(one: Unit, at: date | None = None) -> str:
    """Where a unit is shown: as of a day, where its code stands for another one today."""
    if one.valid_to is None and at is None:
        return f"{UNITS}/{one.code}"
    day = at or (one.valid_to - timedelta(days=1) if one.valid_to else None)
    return f"{UNITS}/{one.code}?at={day}" if day else f"{UNITS}/{one.code}"


def _wider(bounds: Bounds) -> Bounds:
    west, south, east, north = bounds
    edge = max(east - west, north - south, 0.02) * MARGIN
    return west - edge, south - edge, east + edge, north + edge


# -- one unit -------------------------------------------------------------------------------------


def one(desk: Desk, actor: Actor, lang: str, code: str, at: date | None) -> UnitView:
    """A unit on a day, without one as it stands now or stood last. Raises NotFound."""
    with desk.db.transaction() as conn:
        lives = units_read.history(conn, code)
        unit = _of(lives, at)
        day = _day_of(unit, at)
        links = units_read.links(conn, code)
        shares = units_read.shares(conn, code)
        above = _above(conn, unit, day)
        outline = units_read.outline(conn, code, day)
        below = units_read.count(conn, Wanted(day, None, code))
        bounds = outline.bounds if outline else _around(unit)
        places = _places(conn, desk, actor, lang, outline)
    begins = [k for k in links if k.new == code and k.day == unit.valid_from]
    ends = [k for k in links if k.old == code and k.day == unit.valid_to]
    return UnitView(
        sections=sections(desk, actor, lang, UNITS),
        code=code,
        name=unit.name,
        kind=t(f"units.kind.{unit.kind}", lang),
        trail=tuple(Choice(x.name, _address(x, at if unit.valid_to is None else day)) for x in above),
        status=_standing(unit, lang),
        facts=tuple(_facts(unit, lang)),
        lives=tuple(
            Life(_address(x), x.name, t(f"units.kind.{x.kind}", lang), _span(x, lang), x == unit)
            for x in lives
        ) if len(lives) > 1 else (),
        before=tuple(_link(k, True, shares, lang) for k in begins),
        after=tuple(_link(k, False, shares, lang) for k in ends),
        inside=Choice(
            t("units.page_inside", lang, count=below),
            f"{UNITS}?{urlencode({'parent': code, 'level': 'all', 'at': day})}",
        ) if below else None,
        map=MapView(
            unit.name, t("units.outline" if outline else "units.point", lang),
            f"{UNITS}/{code}/map.geojson?at={day}", _wider(bounds),
        ) if bounds else None,
        drawn=outline is not None,
        places=places,
        series=tuple(_series(desk, actor, lang, unit, day)),
    )  # fmt: skip


def _of(lives: Sequence[Unit], at: date | None) -> Unit:
    day = at or units_read.today()
    for life in lives:
        if (life.valid_from is None or life.valid_from <= day) and (
            life.valid_to is None or day < life.valid_to
        ):
            return life
    if at is not None:
        raise NotFound("units.not_found", code=lives[0].code)
    return lives[-1]


def _day_of(unit: Unit, at: date | None) -> date:
    """A day on which the unit stands."""
    if at is not None:
        return at
    today = units_read.today()
    if unit.valid_to is not None and unit.valid_to <= today:
        return unit.valid_to - timedelta(days=1)
    return max(unit.valid_from or today, today)


def _above(conn: Connection, unit: Unit, day: date) -> list[Unit]:
    """The units that hold it, the largest first."""
    found: list[Unit] = []
    code = unit.parent
    while code and len(found) < len(LEVELS) and (held := units_read.unit(conn, code, day)):
        found.insert(0, held)
        code = held.parent
    return found


def _around(unit: Unit) -> Bounds | None:
    if unit.lon is None or unit.lat is None:
        return None
    return unit.lon - 0.08, unit.lat - 0.08, unit.lon + 0.08, unit.lat + 0.08


def _standing(unit: Unit, lang: str) -> Status:
    if unit.valid_to is not None and unit.valid_to <= units_read.today():
        return Status("unknown", t("units.page_ended", lang, day=unit.valid_to))
    if unit.legal_basis is None:
        return Status("notice", t("units.page_verify", lang))
    return Status("ok", t("units.page_stands", lang))


def _facts(unit: Unit, lang: str) -> Iterator[Fact]:
    yield Fact(t("units.page_code", lang), unit.code)
    yield Fact(t("units.page_span", lang), _span(unit, lang))
    yield Fact(t("units.page_basis", lang), unit.legal_basis or t("units.verify", lang))
    if unit.population is not None:
        yield Fact(t("units.page_population", lang), number(unit.population, lang, 0))
    if unit.area_km2 is not None:
        yield Fact(t("units.page_area", lang), f"{number(float(unit.area_km2), lang, 2)} km²")
    if unit.population is not None and unit.area_km2:
        density = number(unit.population / float(unit.area_km2), lang, 0)
        yield Fact(t("units.page_density", lang), t("units.page_per_km2", lang, count=density))
    yield Fact(t("units.page_sources", lang), ", ".join(unit.sources))


def _span(unit: Unit, lang: str) -> str:
    begin, end = unit.valid_from, unit.valid_to
    if begin and end:
        last = end - timedelta(days=1)
        return t("units.page_from_to", lang, begin=begin, end=last)
    if begin:
        return t("units.page_since", lang, begin=begin)
    return t("units.page_until", lang, end=end - timedelta(days=1)) if end else NOTHING


def _link(link: UnitLink, back: bool, shares: Sequence[Share], lang: str) -> LinkRow:
    code, name = (link.old, link.old_name) if back else (link.new, link.new_name)
    day = link.day - timedelta(days=1) if back else link.day
    told = [s for s in shares if (s.day, s.old, s.new) == (link.day, link.old, link.new)]
    share = ""
    if told:
        share = "; ".join(
            t(
                f"units.page_share_{s.basis}", lang, part=number(float(s.part) * 100, lang, 1),
                source=s.source, given_by=s.given_by,
            )
            for s in told
        )  # fmt: skip
    elif link.kind == "split":
        share = t("units.page_no_shares", lang)
    return LinkRow(
        f"{UNITS}/{code}?at={day}", name, code, link.day, t(f"units.link.{link.kind}", lang), share,
        link.legal_basis,
    )  # fmt: skip


# -- what is measured in it -----------------------------------------------------------------------


def _places(
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
            for thing_id, part in _newest(conn, definitions[dataset.name], streams, lang):
                found[thing_id][1].append(part)
    places = [
        Place(thing.title(lang), thing.lon or 0, thing.lat or 0, tuple(parts))
        for thing, parts in found.values()
    ]
    return tuple(sorted(places, key=lambda place: place.name))


def _newest(
    conn: Connection, indicator: Indicator, streams: Sequence[Stream], lang: str
) -> Iterator[tuple[int, IndicatorPart]]:
    """The newest figures of an indicator at each station, in the order of its outputs."""
    newest = {
        number_: (at, value)
        for number_, at, value in conn.execute(
            "SELECT stream_id, t, v FROM series_newest WHERE stream_id = ANY (%s) AND q = %s",
            ([s.id for s in streams], int(Quality.VALID)),
        )
    }
    definition = indicator.definition
    by_place = {(s.thing_id, s.parameter): s.id for s in streams}
    for thing_id in dict.fromkeys(s.thing_id for s in streams):
        told = [
            (output, *newest[stream])
            for output in definition.outputs
            if (stream := by_place.get((thing_id, output.name))) in newest
        ]
        last = max((at for _, at, _ in told), default=None)
        rows = [
            _figure(output, value, definition.title[lang], lang)
            for output, at, value in told
            if at == last and value is not None
        ]
        if last is not None and rows:
            url = f"{DATA}/{definition.name}"
            yield thing_id, IndicatorPart(definition.title[lang], url, last, tuple(rows))


def _figure(output: Output, value: float, title: str, lang: str) -> FigureRow:
    label = output.labels.get(int(value)) if output.labels else None
    return FigureRow(
        "" if output.title[lang] == title else output.title[lang],
        label[lang] if label else number(value, lang, output.decimals),
        "" if label or output.unit in _NO_UNIT else output.unit,
    )


def _series(desk: Desk, actor: Actor, lang: str, unit: Unit, day: date) -> Iterator[SeriesPart]:
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
        for parameter in dataset.contract.parameters:
            rows = [x for x in mine if x.parameter == parameter.name]
            for rest in sorted({x.rest for x in rows}):
                shown = sorted((x for x in rows if x.rest == rest), key=lambda x: x.time)
                title = dataset.contract.title[lang]
                if parameter.title[lang] != title:
                    title += f" · {parameter.title[lang]}"
                yield SeriesPart(
                    " · ".join([title, *rest]), f"{DATA}/{dataset.name}",
                    "" if parameter.unit in _NO_UNIT else parameter.unit,
                    tuple(_period(x, parameter.decimals, lang) for x in shown[: -SHOWN_PERIODS - 1 : -1]),
                )  # fmt: skip


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
    parameter: str, period: str,
) -> SeriesView:  # fmt: skip
    """A series by the units of a day, one parameter and one period at a time. Raises NotFound."""
    with desk.db.transaction() as conn:
        try:
            dataset = registry.find(conn, name)
        except NotFound:
            raise NotFound("identity.not_found") from None
        require(actor, "dataset.read", dataset.resource)
        reforms = units_read.reforms(conn)
    contract = dataset.contract
    at = day or units_read.today()
    asked = [p for p in contract.parameters if p.name == parameter] or [*contract.parameters]
    wanted = WantedSeries(at, basis, (asked[0].name,), _since(desk, dataset))
    told = by_unit(desk.lake, actor, dataset, wanted)
    times = sorted({line.time for line in told.lines}, reverse=True)
    chosen = next((t_ for t_ in times if t_.isoformat() == period), times[0] if times else None)
    lines = [line for line in told.lines if line.time == chosen]
    url = f"{DATA}/{name}/by-unit"
    same = {"basis": basis, "parameter": asked[0].name} | ({"period": period} if period else {})
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
        parameters=tuple((p.name, p.title[lang]) for p in contract.parameters),
        period=chosen.isoformat() if chosen else "",
        periods=tuple((t_.isoformat(), datetime_(t_, lang)) for t_ in times),
        unit="" if asked[0].unit in _NO_UNIT else asked[0].unit,
        rows=tuple(_series_row(line, told.names, at, asked[0].decimals, lang) for line in lines),
        total=_total(lines, asked[0].decimals, lang)
        if asked[0].over_units.aggregation is Aggregation.SUM else None,
        api_url=f"/api/v1/datasets/{name}/by-unit?{urlencode({'units': at, 'basis': basis})}",
    )  # fmt: skip


def _series_row(line: Line, names: dict[str, str], at: date, decimals: int, lang: str) -> SeriesRow:
    places = tuple(Choice(names.get(code, code), f"{UNITS}/{code}?at={at}") for code in line.units)
    note = _note(line, decimals, lang)
    if line.kind == "group":
        note = t("units.page_group", lang)
    elif line.kind == "unplaced":
        note = t("units.page_unplaced", lang, code=line.sources[0])
    return SeriesRow(places, " · ".join(line.rest), _value(line, decimals, lang),
                     _how(line, lang), note)  # fmt: skip


def _total(lines: Sequence[Line], decimals: int, lang: str) -> str:
    """The sum over units, groups and what is without a unit: the same by any day's units."""
    values = [exactly(line.value) for line in lines if line.value is not None]
    return number(float(sum(values)), lang, decimals) if values else NOTHING


def _period(line: Line, decimals: int, lang: str) -> PeriodRow:
    return PeriodRow(
        line.time, _value(line, decimals, lang), _how(line, lang), _note(line, decimals, lang)
    )


def _value(line: Line, decimals: int, lang: str) -> str:
    return NOTHING if line.value is None else number(line.value, lang, decimals)


def _how(line: Line, lang: str) -> Status:
    return Status(_LEVELS.get(line.status, "unknown"), t(f"units.status.{line.status}", lang))


def _note(line: Line, decimals: int, lang: str) -> str:
    if line.value is None and line.known is not None:
        return t("units.page_known", lang, value=number(line.known, lang, decimals))
    return "; ".join(line.grounds)


# -- maps -----------------------------------------------------------------------------------------


def map_of(desk: Desk, wanted: Wanted) -> bytes:
    """The ground of a list's map: the units as `commune`, the units above them as `province`."""
    with desk.db.transaction() as conn:
        drawn = json.loads(b"".join(units_read.features(conn, wanted)))
    return _collection(desk, drawn["features"], None)


def ground(desk: Desk, within: str) -> bytes:
    """What lies under the stations of a rectangle ("west,south,east,north"): the demonstration's own
    map, else the communes of today, or the provinces where there are too many of them."""
    if desk.demo:
        return province_geojson()
    if not within:
        return _collection(desk, [], None)
    try:
        west, south, east, north = (float(edge) for edge in within.split(","))
    except ValueError as error:
        raise Invalid("units.bad_bounds") from error
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise Invalid("units.bad_bounds")
    found = []
    with desk.db.transaction() as conn:
        for level in ("province", "commune"):
            wanted = Wanted(units_read.today(), level, within=(west, south, east, north))
            if units_read.count(conn, wanted) <= MOST_GROUND:
                drawn = b"".join(units_read.features(conn, wanted, "middle"))
                found += json.loads(drawn)["features"]
    return _collection(desk, found, None)


def map_around(desk: Desk, code: str, day: date) -> bytes:
    """The ground of a unit's map: itself as `chosen`, its neighbours, what else lies there."""
    with desk.db.transaction() as conn:
        unit = units_read.unit(conn, code, day)
        if unit is None:
            raise NotFound("units.not_found", code=code[:60])
        outline = units_read.outline(conn, code, day)
        bounds = outline.bounds if outline else _around(unit)
        found = []
        if bounds:
            wanted = Wanted(day, unit.level, within=_wider(bounds))
            found = json.loads(b"".join(units_read.features(conn, wanted, "near")))["features"]
    return _collection(desk, found, code)


def _collection(desk: Desk, found: list[dict[str, Any]], chosen: str | None) -> bytes:
    features = [f for f in json.loads(province_geojson())["features"]
                if f["properties"]["kind"] == "sea"] if desk.demo else []  # fmt: skip
    names = []
    outer = len({f["properties"]["level"] for f in found}) > 1
    for rank, feature in enumerate(sorted(found, key=lambda f: f["id"] != chosen)):
        about, shape = feature["properties"], feature["geometry"]
        here = feature["id"] == chosen
        name = {"name": about["name"], "code": feature["id"]}
        if shape and shape["type"] != "Point":
            kind = (
                "chosen"
                if here
                else "province"
                if outer and about["level"] == "province"
                else "commune"
            )
            features.append(_feature(kind, shape, **name))
        elif shape:
            features.append(_feature("spot", shape, **name, chosen=here))
        if about["point"] is not None and not (outer and about["level"] == "province"):
            at = {"type": "Point", "coordinates": about["point"]}
            aside = shape["type"] == "Point"
            names.append(_feature("place", at, **name, rank=rank, aside=aside))
    if desk.demo:
        features += [f for f in json.loads(province_geojson())["features"]
                     if f["properties"]["kind"] in _GROUND - {"sea"}]  # fmt: skip
    return json.dumps(
        {"type": "FeatureCollection", "features": [*features, *names]}, ensure_ascii=False
    ).encode()


def _feature(kind: str, geometry: dict[str, Any], **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"kind": kind} | properties, "geometry": geometry}
