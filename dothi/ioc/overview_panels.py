"""The panels of the overview beside its tiles, and the page they stand on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dothi.identity.model import Actor
from dothi.ioc import counts, environment, figures, overview
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.arrangement import Arrangement
from dothi.ioc.desk import AIR, HOURLY, Desk
from dothi.ioc.desk import TOPICS as AIR_TOPICS
from dothi.ioc.figures import Figures
from dothi.ioc.overview import (
    BASE,
    cards,
    computed,
    explain_url,
    key_of,
    measured,
    spans,
    status_of,
    topics,
    url,
    versus,
    weight,
)
from dothi.ioc.span import Span
from dothi.ioc.work_view import rows_of
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import number, t
from dothi.lake.api import visible_stream
from dothi.work import inbox
from dothi.work.inbox import Filters

MOST_MOVED = 8
MOST_WORK = 7


# -- stations and map -----------------------------------------------------------------------------


def stations(desk: Desk, actor: Actor, lang: str, span: Span) -> v.StationsView:
    """Every station of the province: those that are silent first, then those with the worst index."""
    indexed: dict[str, v.Station] = {}
    try:
        air = environment.stations(desk, actor, lang)
        indexed = {s.id: s for s in air.stations}
    except NotFound:
        pass  # an installation without the environment service
    hourly = figures.visible(desk, actor, HOURLY)
    listed = []
    for signal in figures.signals(desk, actor):
        thing, online = signal.thing, signal.online(span.end)
        known = indexed.get(str(thing.id)) if signal.dataset.name == AIR else None
        latest = hourly.newest.get(thing.id) if hourly else None
        listed.append(
            v.Station(
                id=str(thing.id),
                name=thing.title(lang),
                place=known.place if known else signal.dataset.contract.title[lang],
                longitude=thing.lon or 0.0,
                latitude=thing.lat or 0.0,
                aqi=known.aqi if known else None,
                aqi_class=known.aqi_class if known else None,
                at=signal.seen,
                online=online,
                main_pollutant=known.main_pollutant if known else None,
                reason=t("ioc.no_signal", lang) if not online else known.reason if known else None,
                advice=known.advice if known else None,
                pollutants=known.pollutants if known else (),
                chart_url=url(
                    "chart",
                    stream=latest.stream_id if known and latest else signal.stream_id,
                    r=span.name,
                ),
                explain_url=explain_url(hourly, latest) if hourly and known and latest else None,
                figure_url=url("figure", key=f"i_{HOURLY}", thing=thing.id, r=span.name)
                if known and latest
                else None,
                word=None if known and online
                else t("overview.online" if online else "overview.offline", lang),
                placed=thing.lon is not None and thing.lat is not None,
            )
        )  # fmt: skip
    listed.sort(key=lambda s: (s.online, -(s.aqi or -1), s.name))
    indexed_by = [topic for topic in computed(desk, actor) if topic in AIR_TOPICS]
    return v.StationsView(
        url("stations", r=span.name), (*measured(desk, actor), *indexed_by), tuple(listed),
        sum(s.online for s in listed),
    )  # fmt: skip


def ground(desk: Desk, stations_: v.StationsView, lang: str) -> v.MapView:
    """The map under the stations: the province in the demonstration, else what they span."""
    bounds = desk.bounds()
    placed = [(s.longitude, s.latitude) for s in stations_.stations if s.placed]
    if not desk.demo and placed:
        lons, lats = [p[0] for p in placed], [p[1] for p in placed]
        bounds = (min(lons) - 0.1, min(lats) - 0.1, max(lons) + 0.1, max(lats) + 0.1)
    silent = len(stations_.stations) - stations_.online
    subtitle = t("overview.map_about", lang, online=stations_.online, silent=silent)
    return v.MapView(t("overview.map_title", lang), subtitle, environment.base_url(bounds), bounds)


# -- chart ----------------------------------------------------------------------------------------


def chart(
    desk: Desk, actor: Actor, lang: str, span: Span, stream_id: int | None, base: str = BASE
) -> v.ChartView:
    """The chart of one stream, on the page at `base`; without one, of the figure that asks for most
    attention."""
    every = figures.every(desk, actor)
    tops = [(f, f.top) for f in every if f.top]
    if stream_id is None and tops:
        tops.sort(key=lambda pair: -weight(status_of(pair[1], lang).level))
        best = tops[0][1]
        stream_id = best.stream_id if best else None
    if stream_id is None:
        return v.ChartView(
            url("chart"), topics(desk, actor), t("ioc.chart", lang), t("ioc.no_data", lang), ""
        )
    with desk.db.transaction() as conn:
        dataset, thing, stream = visible_stream(conn, actor, stream_id)
    spec = dataset.contract.parameter(stream.parameter)
    latest = next(
        ((f, one) for f in every for one in f.newest.values() if one.stream_id == stream_id), None
    )
    named = spec.title[lang]
    return v.ChartView(
        url=url("chart", base, stream=stream_id, r=span.name),
        topics=(f"series:{dataset.name}",),
        title=t("ioc.chart_of", lang, what=named, place=thing.title(lang)),
        subtitle="" if dataset.contract.title[lang] == named else dataset.contract.title[lang],
        data_url=f"/api/v1/streams/{stream_id}/chart",
        csv_url=f"/api/v1/streams/{stream_id}/rows.csv",
        quantities=tuple(
            v.Choice(
                f.indicator.definition.outputs[0].title[lang],
                url("chart", base, stream=one.stream_id, r=span.name),
                one.stream_id == stream_id,
            )
            for f, one in _of_thing(every, thing.id)
        ),
        stations=_elsewhere(latest[0], stream_id, span, lang, base) if latest else (),
        of_stations=latest is None or figures.of_stations(desk, latest[0]),
        span=_shown(latest[0], span) if latest else span.chart,
        explain_url=explain_url(*latest) if latest else None,
    )


def _shown(figs: Figures, span: Span) -> v.ChartSpan:
    """The range that a chart shows first: never less than a few periods."""
    grain = figs.indicator.definition.grain
    if grain in ("quarter", "year"):
        return "all"
    if grain == "month":
        return "1y"
    return "30d" if grain == "day" and span.chart in ("24h", "7d") else span.chart


def _of_thing(every: Iterable[Figures], thing: int) -> list[tuple[Figures, figures.Latest]]:
    return [(f, f.newest[thing]) for f in every if thing in f.newest][:4]


def _elsewhere(
    figs: Figures, stream_id: int, span: Span, lang: str, base: str
) -> tuple[v.Choice, ...]:
    named = [(figs.things[one.thing_id].title(lang), one) for one in figs.newest.values()]
    return tuple(
        v.Choice(
            name, url("chart", base, stream=one.stream_id, r=span.name), one.stream_id == stream_id
        )
        for name, one in sorted(named, key=lambda pair: pair[0])
    )


# -- what moved -------------------------------------------------------------------------------------


def moved(desk: Desk, actor: Actor, lang: str, span: Span) -> o.MovedView:
    """The figures that changed most against the time before, by their share of what they were."""
    found: list[tuple[float, float, Figures, figures.Latest]] = []
    for figs in figures.every(desk, actor):
        if figs.indicator.definition.by_calendar and span.name in ("today", "7d"):
            continue  # a month's figure does not move from day to day
        for thing, was in figures.before(desk, figs, span).items():
            one = figs.newest[thing]
            if was and one.value != was and figs.fresh(one):
                found.append(((one.value - was) / abs(was), was, figs, one))
    found.sort(key=lambda row: -abs(row[0]))
    return o.MovedView(
        url("moved", r=span.name), computed(desk, actor), versus(span, lang),
        tuple(_moved_row(*row, lang, span) for row in found[:MOST_MOVED]),
        url("download", what="moved", r=span.name),
    )  # fmt: skip


def _moved_row(
    share: float, was: float, figs: Figures, one: figures.Latest, lang: str, span: Span
) -> o.MovedRow:
    definition = figs.indicator.definition
    output = definition.outputs[0]
    place = figs.things[one.thing_id].title(lang)
    if definition.by_calendar:
        place += f" · {overview.versus_of(figs, one, span, lang)}"
    return o.MovedRow(
        title=output.title[lang],
        place=place,
        was=number(was, lang, output.decimals),
        now=number(one.value, lang, output.decimals),
        share=number(abs(share) * 100, lang, 0),
        up=share > 0,
        level=status_of(one, lang).level,
        url=url("figure", key=key_of(figs), thing=one.thing_id, r=span.name),
    )


# -- data, agencies, work ---------------------------------------------------------------------------


def data(
    desk: Desk, actor: Actor, lang: str, span: Span, only: frozenset[str] | None = None
) -> o.DataView:
    """What came into each dataset in the span, and what of it waits for a person. `only`: of these
    datasets."""
    signals = figures.signals(desk, actor)
    newest: dict[int, datetime] = {}
    for s in signals:
        newest[s.dataset.id] = max(newest.get(s.dataset.id, s.seen), s.seen)
    found = counts.data(desk, actor, span)
    valid = counts.valid(desk, actor, span)
    if found is not None:
        datasets = found.datasets
    else:
        datasets = tuple({s.dataset.id: s.dataset for s in signals}.values())
    rows = []
    for dataset in datasets:
        if only is not None and dataset.name not in only:
            continue
        came = found.now.get(dataset.id, counts.Brought()) if found else None
        seen = newest.get(dataset.id) or (came.newest if came else None)
        waiting = found.conflicts.get(dataset.id, 0) if found else 0
        all_, good = valid.get(dataset.id, (0, 0))
        rejected = came.rejected if came else 0
        rows.append(
            o.DataRow(
                name=dataset.contract.title[lang],
                loads=came.loads if came else 0,
                rows=came.rows if came else all_,
                rejected=rejected,
                conflicts=waiting,
                valid=good / all_ if all_ else None,
                newest=seen,
                level="notice" if rejected or waiting else "ok" if seen else "unknown",
                url=f"/loads?dataset={dataset.name}" if found else None,
            )
        )
    return o.DataView(
        url("data", r=span.name), (*measured(desk, actor), "loads"), tuple(rows),
        url("download", what="data", r=span.name), "/loads" if found else None,
    )  # fmt: skip


def agencies(desk: Desk, actor: Actor, lang: str, span: Span) -> o.AgenciesView | None:
    """Open work items by agency, and by state."""
    work = counts.work(desk, actor, span)
    if work is None:
        return None
    with desk.db.transaction() as conn:
        states = inbox.counts(conn, actor).by_state
    rows = tuple(
        o.AgencyRow(
            one.name[lang], one.total, one.overdue, one.soon, one.done,
            "critical" if one.overdue else "warning" if one.soon else "ok",
            f"/work?agency={one.agency_id}",
        )
        for one in work.now
    )  # fmt: skip
    facts = tuple(
        v.Fact(t(f"work.state.{state}", lang), number(count, lang), f"/work?state={state}")
        for state, count in sorted(states.items())
    )
    return o.AgenciesView(
        url("agencies", r=span.name), ("work",), rows, facts,
        url("download", what="agencies", r=span.name),
    )  # fmt: skip


def work(
    desk: Desk, actor: Actor, lang: str, filters: Filters | None = None, most_actions: int = 0
) -> v.WorkPanel:
    """The open work items of all services, most urgent first. NotFound: not for this person."""
    if not desk.sees_work(actor):
        raise NotFound("identity.not_found")
    with desk.db.transaction() as conn:
        page = inbox.inbox(conn, actor, filters, limit=MOST_WORK)
        total = inbox.counts(conn, actor, filters).total
    rows = rows_of(actor, page.items, desk.now(), lang, most_actions=most_actions)
    return v.WorkPanel(url("work"), ("work",), rows, total, "/work")


def page(
    desk: Desk, actor: Actor, lang: str, span: Span, arrangement: Arrangement,
    stream: int | None = None,
) -> o.OverviewView:  # fmt: skip
    """Everything on the page."""
    listed = stations(desk, actor, lang, span)
    return o.OverviewView(
        spans=spans(span, lang),
        cards=cards(desk, actor, lang, span, arrangement),
        stations=listed,
        map=ground(desk, listed, lang),
        chart=chart(desk, actor, lang, span, stream),
        moved=moved(desk, actor, lang, span),
        data=data(desk, actor, lang, span),
        work=work(desk, actor, lang) if desk.sees_work(actor) else None,
        agencies=agencies(desk, actor, lang, span),
        arrange_url=url("arrange", r=span.name),
    )
