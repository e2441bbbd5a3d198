"""The page of a monitoring service that none was made for: its figures, things, data and work, built
from what its pack says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, cache_key, decide
from dothi.indicators.dashboard import Dashboard, Section
from dothi.indicators.service import Indicator
from dothi.ioc import figures, overview, overview_panels
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.catalogue import DATA
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures, Signal, Sort
from dothi.ioc.span import Span
from dothi.ioc.subjects import AGENCIES, INDICATORS
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import number, t
from dothi.kernel.period import Period
from dothi.lake import registry
from dothi.lake.columns import Parameter
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset
from dothi.packs.model import Pack, Reference
from dothi.web.view import Status
from dothi.work.inbox import Filters

BASE, BOARD = "/services", "/board"
WITH_OWN_PAGE = frozenset({"environment", "public-services"})
"""Packs that a page was made for, at the address this one would have."""
MOST_MEASURED = 3
"""Newest measured values that stand beside a thing's name."""
_URGENT_FIRST = ("critical", "warning", "notice", "unknown", "ok")


@dataclass(frozen=True)
class Service:
    """A pack as far as an actor may see it: its own datasets, its indicators, their figures."""

    pack: Pack
    datasets: tuple[Dataset, ...]
    indicators: tuple[Indicator, ...]
    figures: tuple[Figures, ...]
    dashboard: Dashboard | None = None
    """The layout that the pack gives its page."""

    @property
    def base(self) -> str:
        """The address of its page, or of the one beside that which was made for it."""
        return f"{BOARD if self.pack.name in WITH_OWN_PAGE else BASE}/{self.pack.name}"

    @property
    def title(self) -> dict[str, str]:
        """The title of its page."""
        return (self.dashboard and self.dashboard.title) or self.pack.title

    def section(self, kind: str) -> Section | None:
        """The first section of a kind that its layout has."""
        sections = self.dashboard.sections if self.dashboard else ()
        return next((one for one in sections if one.kind == kind), None)

    @property
    def topics(self) -> tuple[str, ...]:
        """What may change the page, work and loads besides."""
        computed = (one.dataset for one in self.indicators)
        return tuple(f"series:{dataset.name}" for dataset in (*self.datasets, *computed))


def service(desk: Desk, actor: Actor, name: str) -> Service:
    """Raises NotFound for a pack that is not installed, or of which the actor may see nothing."""
    pack = desk.packs.get(name)
    board = desk.dashboards.get(name)
    if pack is None or (name in WITH_OWN_PAGE and board is None):
        raise NotFound("web.no_page")
    own = {contract.name for contract in pack.contracts}
    datasets = tuple(d for d in desk.datasets() if d.name in own and _may_read(actor, d))
    indicators = tuple(
        one for one in desk.definitions().values()
        if one.definition.pack == name and _may_read(actor, one.dataset)
    )  # fmt: skip
    if not datasets and not indicators:
        raise NotFound("web.no_page")
    figs = (f for f in figures.every(desk, actor) if f.indicator.definition.pack == name)
    return Service(pack, datasets, indicators, tuple(figs), board)


def names(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """The packs whose page is this one, of those that the actor may see something of; with a layout
    of its own also one that has another page."""
    seen = {dataset.name for dataset in desk.datasets() if _may_read(actor, dataset)}
    computed = desk.definitions().values()
    return tuple(
        name for name, pack in desk.packs.items()
        if (name not in WITH_OWN_PAGE or name in desk.dashboards)
        and (any(contract.name in seen for contract in pack.contracts)
             or any(i.definition.pack == name and i.dataset.name in seen for i in computed))
    )  # fmt: skip


def address(desk: Desk, name: str) -> tuple[dict[str, str], str]:
    """The title and address of a pack's page of this kind."""
    one = Service(desk.packs[name], (), (), (), desk.dashboards.get(name))
    return one.title, one.base


def _may_read(actor: Actor, dataset: Dataset) -> bool:
    return decide(actor, "dataset.read", dataset.resource).allowed


# -- panels -----------------------------------------------------------------------------------------


def cards(desk: Desk, actor: Actor, lang: str, span: Span, one: Service) -> o.CardsView:
    """A tile for every indicator that has figures."""
    newest = max((s.seen for s in _signals(desk, actor, one)), default=None)
    at = t("ioc.updated", lang, at=overview.clock(newest)) if newest else t("ioc.no_data", lang)
    return o.CardsView(
        url=overview.url("tiles", one.base, r=span.name),
        topics=one.topics,
        cards=tuple(
            overview.indicator_card(desk, figs, lang, span)
            for figs in _chosen(one.figures, one.section("tiles"))
        ),
        newest=newest,
        updated=at,
        download_url=overview.url("download", what="tiles", pack=one.pack.name, r=span.name),
    )


def _chosen(figs: tuple[Figures, ...], section: Section | None) -> tuple[Figures, ...]:
    """The figures that a section names, in its order; all where it names none."""
    if section is None or not section.indicators:
        return figs
    by_name = {one.indicator.name: one for one in figs}
    return tuple(by_name[name] for name in section.indicators if name in by_name)


def data(desk: Desk, actor: Actor, lang: str, span: Span, one: Service) -> o.DataView:
    """Loads and quality of the pack's own datasets."""
    own = frozenset(dataset.name for dataset in one.datasets)
    return replace(
        overview_panels.data(desk, actor, lang, span, own),
        url=overview.url("data", one.base, r=span.name),
        topics=(*one.topics, "loads"),
        download_url=overview.url("download", what="data", pack=one.pack.name, r=span.name),
    )


def work(desk: Desk, actor: Actor, lang: str, one: Service) -> v.WorkPanel:
    """Its open work items. Raises NotFound for who may see none."""
    filters = Filters(services=frozenset({one.pack.name}))
    return replace(
        overview_panels.work(desk, actor, lang, filters, most_actions=2),
        url=f"{one.base}/work", all_url=f"/work?service={one.pack.name}",
    )  # fmt: skip


@dataclass(frozen=True)
class _Value:
    """The newest value of a thing's parameter, as measured."""

    stream_id: int
    parameter: Parameter
    value: float | None


def _signals(desk: Desk, actor: Actor, one: Service) -> list[Signal]:
    own = {dataset.id for dataset in one.datasets}
    return [signal for signal in figures.watched(desk, actor) if signal.dataset.id in own]


def _measured(desk: Desk, actor: Actor, one: Service) -> dict[int, list[_Value]]:
    """The newest values of every thing, its parameters in the contract's order."""
    found: dict[int, list[_Value]] = {}
    for dataset in one.datasets:
        if dataset.contract.kind != "series":
            continue
        decision = decide(actor, "dataset.read", dataset.resource)
        by_thing = desk.cache.value(
            ("measured", dataset.name, cache_key(decision)), (f"series:{dataset.name}",),
            lambda d=dataset, hidden=decision.hidden: _newest(desk, d, hidden),
        )  # fmt: skip
        for thing, values in by_thing.items():
            found.setdefault(thing, []).extend(values)
    return found


def _newest(desk: Desk, dataset: Dataset, hidden: Iterable[str]) -> dict[int, list[_Value]]:
    order = {p.name: n for n, p in enumerate(dataset.contract.parameters) if p.name not in hidden}
    with desk.db.transaction() as conn:
        rows = conn.execute(
            """SELECT s.thing_id, s.id, s.parameter, CASE WHEN n.q = %s THEN n.v END
               FROM stream s JOIN series_newest n ON n.stream_id = s.id
               WHERE s.dataset_id = %s AND s.parameter = ANY (%s)""",
            (int(Quality.VALID), dataset.id, list(order)),
        ).fetchall()
    found: dict[int, list[_Value]] = {}
    for thing, stream, name, value in sorted(rows, key=lambda row: order[row[2]]):
        parameter = dataset.contract.parameter(name)
        found.setdefault(thing, []).append(_Value(stream, parameter, value))
    return found


def things(desk: Desk, actor: Actor, lang: str, span: Span, one: Service) -> v.StationsView:
    """What the pack watches, with the newest figure and state of each: those first that ask for
    attention."""
    measured = _measured(desk, actor, one)
    table = one.section("table")
    only = frozenset(table.datasets) if table else frozenset()
    sorts, listed = set[Sort](), list[v.Station]()
    for signal in _signals(desk, actor, one):
        if only and signal.dataset.name not in only:
            continue
        sorts.add(sort := figures.sort_of(signal.dataset.contract))
        thing = signal.thing
        listed.append(
            _thing(one, _figures_of(one, thing.id), thing, sort, signal.seen, signal.period,
                   signal.online(span.end), measured.get(thing.id, ()), signal.stream_id, span, lang)
        )  # fmt: skip
    sending = {station.id for station in listed}
    for figs in one.figures if not only else ():  # over things of other packs
        base = figures.measured_in(desk, figs)
        sort = figures.sort_of(base.contract) if base else "things"
        for number_, latest in figs.newest.items():
            if str(number_) not in sending:
                sending.add(str(number_))
                sorts.add(sort)
                named = latest.period if figs.indicator.definition.by_calendar else None
                listed.append(
                    _thing(one, figs, figs.things[number_], sort, latest.period.end, named,
                           figs.fresh(latest), (), latest.stream_id, span, lang)
                )  # fmt: skip
    listed.sort(key=lambda s: (_URGENT_FIRST.index(s.status.level if s.status else "ok"), s.name))
    sort = sorts.pop() if len(sorts) == 1 else "things"
    there = sum(s.online for s in listed)
    return v.StationsView(
        overview.url("stations", one.base, r=span.name), one.topics, tuple(listed), there,
        t(f"pack.of_{sort}", lang),
        t(f"pack.counted_{sort}", lang, there=there, total=len(listed)),
    )  # fmt: skip


def _figures_of(one: Service, thing: int) -> Figures | None:
    return next((figs for figs in one.figures if thing in figs.newest), None)


def _thing(
    one: Service, figs: Figures | None, thing: registry.Thing, sort: Sort, seen: datetime,
    period: Period | None, online: bool, measured: Iterable[_Value], stream: int, span: Span,
    lang: str,
) -> v.Station:  # fmt: skip
    standing = t(f"pack.{'there' if online else 'lacks'}_{sort}", lang)
    signal = status = Status("ok" if online else "notice", standing)
    latest = figs.newest.get(thing.id) if figs else None
    value = None
    if figs and latest and figs.fresh(latest):
        output = figs.indicator.definition.outputs[0]
        value = _with_unit(number(latest.value, lang, output.decimals), output.unit)
        judged = overview.status_of(latest, lang)
        graver = _URGENT_FIRST.index(judged.level) <= _URGENT_FIRST.index(signal.level)
        status = judged if graver and judged.level != "unknown" else signal
    said = [
        f"{m.parameter.title[lang]} "
        + _with_unit(number(m.value, lang, m.parameter.decimals), m.parameter.unit)
        for m in measured
        if m.value is not None
    ]
    return v.Station(
        id=str(thing.id),
        name=thing.title(lang),
        place=" · ".join(said[:MOST_MEASURED]),
        longitude=thing.lon or 0.0,
        latitude=thing.lat or 0.0,
        aqi=None,
        aqi_class=None,
        at=seen,
        online=online,
        reason=None if online or status is signal else standing,
        chart_url=overview.url(
            "chart", one.base, stream=latest.stream_id if latest else stream, r=span.name
        ),
        explain_url=overview.explain_url(figs, latest) if figs and latest else None,
        figure_url=overview.url("figure", key=overview.key_of(figs), thing=thing.id, r=span.name)
        if figs and latest
        else None,
        word=status.text,
        placed=thing.lon is not None and thing.lat is not None,
        value=value,
        status=status,
        period=period.label(lang) if period else None,
    )


def _with_unit(said: str, unit: str) -> str:
    return said if unit in ("1", "count", "pH") else f"{said} {unit}"  # a pH is said without


def chart(
    desk: Desk, actor: Actor, lang: str, span: Span, one: Service, stream: int | None
) -> v.ChartView:
    """The chart of a stream, with ways to what else is known of its thing; without one, of the
    figure that asks for most attention, or of what was measured. Raises NotFound where there is
    nothing to draw."""
    measured = _measured(desk, actor, one)
    if stream is None:
        wanted = one.section("chart")
        named = wanted.indicator if wanted else None
        tops = [f.top for f in one.figures if f.top and named in (None, f.indicator.name)]
        stands = [overview.status_of(top, lang).level for top in tops]
        drawn = [*sorted(zip(stands, tops, strict=True), key=lambda x: _URGENT_FIRST.index(x[0]))]
        every = (value.stream_id for values in measured.values() for value in values)
        stream = drawn[0][1].stream_id if drawn else min(every, default=None)
    if stream is None:
        raise NotFound("web.no_page")
    view = overview_panels.chart(desk, actor, lang, span, stream, one.base)
    here = next((found for found in measured.values() if any(m.stream_id == stream for m in found)),
                _of_figure(one, measured, stream))  # fmt: skip
    return replace(
        view,
        quantities=(
            *view.quantities,
            *(
                v.Choice(m.parameter.title[lang],
                         overview.url("chart", one.base, stream=m.stream_id, r=span.name),
                         m.stream_id == stream)
                for m in here
            ),
        ),
        stations=(),  # the list beside it has them all
    )  # fmt: skip


def _of_figure(one: Service, measured: dict[int, list[_Value]], stream: int) -> list[_Value]:
    """What was measured at the thing whose figures a stream holds."""
    things_ = (x.thing_id for f in one.figures for x in f.newest.values() if x.stream_id == stream)
    return measured.get(next(things_, 0), [])


# -- the page ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """An indicator or dataset of the pack: where it is shown, what nobody has confirmed yet."""

    title: str
    url: str
    note: str
    verify: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackView:
    """The whole page. Panels that there is nothing for, or that are not for this person, are None."""

    title: str
    spans: tuple[v.Choice, ...]
    cards: o.CardsView | None
    stations: v.StationsView | None
    map: v.MapView | None
    chart: v.ChartView | None
    data: o.DataView | None
    work: v.WorkPanel | None
    facts: tuple[v.Fact, ...]
    indicators: tuple[Part, ...]
    datasets: tuple[Part, ...]
    sources: tuple[Reference, ...]
    parts: tuple[Any, ...] = ()
    """The sections of the pack's own layout (`pack_board.Part`); without one the page is laid out
    by the template."""


def page(
    desk: Desk, actor: Actor, lang: str, span: Span, name: str, stream: int | None = None
) -> PackView:
    """Raises NotFound as `service` does."""
    one = service(desk, actor, name)
    listed = things(desk, actor, lang, span, one)
    return replace(
        about(desk, actor, lang, span, one),
        cards=cards(desk, actor, lang, span, one),
        stations=listed if listed.stations else None,
        map=map_of(desk, listed, lang),
        chart=chart(desk, actor, lang, span, one, stream) if listed.stations else None,
        data=data(desk, actor, lang, span, one),
        work=work(desk, actor, lang, one) if desk.sees_work(actor) else None,
    )


def about(desk: Desk, actor: Actor, lang: str, span: Span, one: Service) -> PackView:
    """The page without panels: what a layout of its own puts its sections into."""
    return PackView(
        title=one.title[lang],
        spans=overview.spans(span, lang, one.base),
        cards=None, stations=None, map=None, chart=None, data=None, work=None,
        facts=_facts(desk, actor, lang, one.pack),
        indicators=tuple(_indicator(i, lang) for i in one.indicators),
        datasets=tuple(
            Part(d.contract.title[lang], f"{DATA}/{d.name}", d.name) for d in one.datasets
        ),
        sources=one.pack.sources,
    )  # fmt: skip


def map_of(desk: Desk, listed: v.StationsView, lang: str) -> v.MapView | None:
    """The points with coordinates on a map; None where none has any."""
    placed = any(station.placed for station in listed.stations)
    return _map(desk, listed, lang) if placed else None


def _map(desk: Desk, listed: v.StationsView, lang: str) -> v.MapView:
    ground = overview_panels.ground(desk, listed, lang)
    title = t("pack.on_map", lang, what=listed.title)
    return replace(ground, title=title, subtitle=listed.counted or "", legend=False)


def _facts(desk: Desk, actor: Actor, lang: str, pack: Pack) -> tuple[v.Fact, ...]:
    with desk.db.transaction() as conn:
        agency = agencies.find_agency(conn, pack.owner.code)
    owner = agency.name(lang) if agency else pack.owner.title[lang]
    may = agency and decide(actor, "agency.read", Resource("agency", pack.owner.code)).allowed
    return (
        v.Fact(t("pack.owner", lang), owner, f"{AGENCIES}/{pack.owner.code}" if may else None),
        v.Fact(t("pack.version", lang), pack.version),
    )


def _indicator(indicator: Indicator, lang: str) -> Part:
    definition = indicator.definition
    unit = definition.outputs[0].unit
    note = t(f"subjects.grain_{definition.grain}", lang)
    verify = [definition.verify[lang]] if definition.verify else []
    verify += [
        f"{limit.title[lang]}: {limit.source}" for limit in definition.thresholds if limit.verify
    ]
    return Part(
        definition.title[lang], f"{INDICATORS}/{definition.name}",
        note if unit == "1" else f"{note} · {unit}", tuple(verify),
    )  # fmt: skip
