"""The overview of the whole province: its panels, filled from whatever packs are installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlencode

from dothi.identity.model import Actor
from dothi.ioc import counts, environment, figures
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.arrangement import Arrangement
from dothi.ioc.desk import AIR, HOURLY, PM25_DAY, Desk
from dothi.ioc.desk import TOPICS as AIR_TOPICS
from dothi.ioc.explain_view import WATER
from dothi.ioc.figures import Figures, Signal
from dothi.ioc.span import NAMES, Span
from dothi.ioc.work_view import rows_of
from dothi.kernel import wqi
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import date, number, t
from dothi.kernel.time import VN
from dothi.lake.api import visible_stream
from dothi.web.site import who
from dothi.web.view import Level, Status
from dothi.work import inbox
from dothi.work.inbox import Filters

BASE = "/ioc"
MOST_OF_A_PACK = 3
"""Indicators of one pack that are shown before a person has arranged anything; one whose figure
asks for attention is shown besides."""
FIRST = (HOURLY, PM25_DAY)
"""What a pack is known by comes before its other indicators."""
HIDDEN_AT_FIRST = frozenset(
    {"stations", "loads", "conflicts", "work_soon", "work_new", "work_closed", "rejected"}
)
MOST_MOVED = 8
MOST_WORK = 7


def url(path: str = "", /, base: str = BASE, **query: object) -> str:
    """An address below the overview, or another page with panels of its own; parameters that are
    empty are left out."""
    said = urlencode({k: v for k, v in query.items() if v not in ("", None)})
    return f"{base}{'/' + path if path else ''}{'?' + said if said else ''}"


def topics(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """What may change the overview of this person."""
    return (*_measured(desk, actor), *_computed(desk, actor), "work", "loads")


def _measured(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """The topics of what stations send."""
    return _topics(s.dataset.name for s in figures.signals(desk, actor))


def _computed(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """The topics of the indicators."""

    def look() -> tuple[str, ...]:
        return _topics(f.indicator.dataset.name for f in figures.every(desk, actor))

    return desk.cache.value(("computed", who(actor)), (), look, kept_s=5)


def _topics(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"series:{name}" for name in sorted(set(names)))


def clock(at: datetime) -> str:
    """The local time of day."""
    return at.astimezone(VN).strftime("%H:%M")


def moment(figs: Figures, one: figures.Latest, lang: str) -> str:
    """What a figure covers: the hour by its end, with its date unless that is today's; or the day."""
    if one.period.grain != "hour":
        return one.period.label(lang)
    said = t("ioc.hour_of", lang, at=clock(one.period.end))
    today = one.period.start.astimezone(VN).date() == figs.now.astimezone(VN).date()
    return said if today else f"{said}, {date(one.period.start.astimezone(VN), lang)}"


def spans(span: Span, lang: str, base: str = BASE) -> tuple[v.Choice, ...]:
    """The choice of the time range of a page."""
    return tuple(
        v.Choice(t(f"overview.span_{n}", lang), url(base=base, r=n), n == span.name) for n in NAMES
    )


# -- tiles ----------------------------------------------------------------------------------------


def cards(desk: Desk, actor: Actor, lang: str, span: Span, arrangement: Arrangement) -> o.CardsView:
    """The tiles this person wants to see, in their order."""
    makers, later = _cards_there(desk, actor, lang, span)
    shown = [key for key in arrangement.sorted(list(makers)) if _is_shown(key, later, arrangement)]
    newest = max((s.seen for s in figures.signals(desk, actor)), default=None)
    when = t("ioc.updated", lang, at=clock(newest)) if newest else t("ioc.no_data", lang)
    return o.CardsView(
        url=url("tiles", r=span.name),
        topics=topics(desk, actor),
        cards=tuple(makers[key]() for key in shown),
        newest=newest,
        updated=when,
        download_url=url("download", what="tiles", r=span.name),
    )


def choices(
    desk: Desk, actor: Actor, lang: str, span: Span, arrangement: Arrangement
) -> tuple[o.ArrangeRow, ...]:
    """Every tile there is for this person, shown or not, in their order."""
    makers, later = _cards_there(desk, actor, lang, span)
    return tuple(
        o.ArrangeRow(key, makers[key]().title, n, _is_shown(key, later, arrangement))
        for n, key in enumerate(arrangement.sorted(list(makers)), 1)
    )


def _is_shown(key: str, later: frozenset[str], arrangement: Arrangement) -> bool:
    if key in arrangement.order:
        return key not in arrangement.hidden
    return key not in later


def card(desk: Desk, actor: Actor, lang: str, span: Span, key: str) -> o.Card:
    """The tile of that key. Raises NotFound."""
    makers, _ = _cards_there(desk, actor, lang, span)
    if key not in makers:
        raise NotFound("web.no_page")
    return makers[key]()


def _cards_there(
    desk: Desk, actor: Actor, lang: str, span: Span
) -> tuple[dict[str, Callable[[], o.Card]], frozenset[str]]:
    """Every tile's key with the function that makes it, in the order of a first visit; and the keys
    of those that are not shown then."""
    makers: dict[str, Callable[[], o.Card]] = {}
    later, of_pack = set(HIDDEN_AT_FIRST), Counter[str]()
    every = figures.every(desk, actor)
    every.sort(key=lambda f: FIRST.index(f.indicator.name) if f.indicator.name in FIRST else 99)
    for figs in every:
        pack = figs.indicator.definition.pack
        of_pack[pack] += 1
        makers[key_of(figs)] = partial(indicator_card, desk, figs, lang, span)
        calm = figs.top is None or _weight(status_of(figs.top, lang).level) < _weight("notice")
        if of_pack[pack] > MOST_OF_A_PACK and calm:
            later.add(key_of(figs))
    if any(one.limits for f in every for one in f.newest.values()):
        makers["above"] = partial(_above, desk, actor, lang, span)
    if (work := counts.work(desk, actor, span)) is not None:
        for key in ("work_open", "work_overdue", "work_punctual", "work_soon", "work_new",
                    "work_closed"):  # fmt: skip
            makers[key] = partial(_work_card, key, work, lang, span)
    signals = figures.signals(desk, actor)
    if signals:
        makers["silent"] = partial(_silent, signals, lang, span)
        makers["stations"] = partial(_online, signals, lang, span)
        makers["valid"] = partial(_valid, desk, actor, lang, span)
    if (data := counts.data(desk, actor, span)) is not None:
        for key in ("rows", "loads", "rejected", "conflicts"):
            makers[key] = partial(_data_card, key, data, lang, span)
    return makers, frozenset(later)


def key_of(figs: Figures) -> str:
    """The key of an indicator's tile."""
    return f"i_{figs.indicator.name}"


def versus(span: Span, lang: str) -> str:
    """With what this span is compared, in words."""
    return t(f"overview.versus_{span.name}", lang)


def status_of(one: figures.Latest, lang: str) -> Status:
    """How a figure stands to the limits in force, or to the classes of its index."""
    if one.output == "aqi" and (kind := environment.aqi_class(one.value)):
        return Status(environment.attention(kind), t(f"aqi.{kind}", lang))
    if one.output == "wqi":
        water = wqi.category(one.value)
        return Status(WATER[water.code], water.name(lang))
    level = figures.passed(one)
    if not one.limits:
        return Status("unknown", t("overview.no_limit", lang))
    limit = number((one.passed or one.limits)[-1].limit, lang)
    return Status(level, t("ioc.over" if one.passed else "ioc.under", lang, limit=limit))


def indicator_card(desk: Desk, figs: Figures, lang: str, span: Span) -> o.Card:
    """The highest fresh figure of an indicator, with its station and what it was before."""
    definition = figs.indicator.definition
    output = definition.outputs[0]
    key, title = key_of(figs), output.title[lang]
    address = url("figure", key=key, r=span.name)
    top = figs.top
    if top is None:
        newest = max(figs.newest.values(), key=lambda one: one.t)
        return o.Card(
            key, title, "—", "", moment(figs, newest, lang),
            Status("unknown", t("ioc.no_fresh_value", lang)), address, at=newest.period.end,
            stale=True,
        )  # fmt: skip
    place = figs.things[top.thing_id].title(lang)
    was = figures.before(desk, figs, span).get(top.thing_id)
    unit = "" if output.unit == "1" else output.unit
    worst = t("overview.lowest" if figs.low_is_bad else "overview.highest", lang)
    about = f"{worst} · {place}" if len(figs.newest) > 1 else place
    return o.Card(
        key=key,
        title=title,
        text=number(top.value, lang, output.decimals),
        unit=unit,
        about=f"{about} · {moment(figs, top, lang)}",
        status=status_of(top, lang),
        figure_url=address,
        change=None
        if was is None
        else v.Change(top.value - was, versus(span, lang), output.decimals),
        spark=figures.curve(desk, figs, top, span.hours),
        source=top.limits[-1].source.split(",")[0] if top.limits else None,
        at=top.period.end,
        chart_url=url("chart", stream=top.stream_id, r=span.name),
        explain_url=explain_url(figs, top),
    )


def explain_url(figs: Figures, one: figures.Latest) -> str:
    """Where the answer to "Số này lấy từ đâu?" stands for a figure."""
    return url("explain", indicator=figs.indicator.name, thing=one.thing_id, period=one.period.code)


def _above(desk: Desk, actor: Actor, lang: str, span: Span) -> o.Card:
    judged = [
        one for f in figures.every(desk, actor) for one in f.newest.values()
        if one.limits and f.fresh(one)
    ]  # fmt: skip
    over = [one for one in judged if one.passed]
    level: Level = "ok"
    if over:
        level = max((figures.passed(one) for one in over), key=_weight)
    text = t("overview.above_some" if over else "overview.above_none", lang)
    return o.Card(
        "above", t("overview.above", lang), f"{len(over)}/{len(judged)}",
        t("overview.unit_figures", lang), t("overview.above_about", lang),
        Status(level if judged else "unknown", text), url("figure", key="above", r=span.name),
    )  # fmt: skip


def _weight(level: Level) -> int:
    return ("unknown", "ok", "notice", "warning", "critical").index(level)


def _count(
    key: str, lang: str, span: Span, value: float | None, status: Status, *,
    unit: str = "", about: str = "", before: float | None = None, decimals: int = 0,
    list_url: str | None = None,
) -> o.Card:  # fmt: skip
    change = None
    if before is not None and value is not None:
        change = v.Change(value - before, versus(span, lang), decimals)
    return o.Card(
        key, t(f"overview.{key}", lang), number(value, lang, decimals), unit, about, status,
        url("figure", key=key, r=span.name), change=change, url=list_url,
    )  # fmt: skip


def _work_card(key: str, work: counts.Work, lang: str, span: Span) -> o.Card:
    unit = t("overview.unit_work", lang)
    now, during = t("ioc.now", lang), t(f"overview.span_{span.name}", lang)
    calm = Status("ok", t("ioc.work_in_time", lang))
    if key == "work_open":
        late = work.overdue
        status = Status("critical", t("ioc.work_overdue", lang, count=late)) if late else calm
        return _count(
            key, lang, span, work.total, status, unit=unit, about=now, before=work.open_before,
            list_url="/work",
        )  # fmt: skip
    if key == "work_overdue":
        at = sum(1 for one in work.now if one.overdue)
        said = t("overview.at_agencies", lang, count=at)
        status = Status("critical", said) if work.overdue else calm
        return _count(key, lang, span, work.overdue, status, unit=unit, about=now)
    if key == "work_soon":
        status = Status("warning", t("overview.soon_some", lang)) if work.soon else calm
        return _count(key, lang, span, work.soon, status, unit=unit, about=now)
    if key == "work_punctual":
        share, before = work.flow.punctual, work.before.punctual
        level: Level = "unknown" if share is None else "ok" if share == 1 else "notice"
        said = t("overview.of_closed", lang, count=work.flow.closed)
        if share is None:
            said = t("overview.none_closed", lang)
        return _count(
            key, lang, span, None if share is None else share * 100, Status(level, said),
            unit="%", about=during, before=None if before is None else before * 100, decimals=1,
        )  # fmt: skip
    new = key == "work_new"
    value = work.flow.opened if new else work.flow.closed
    before = work.before.opened if new else work.before.closed
    status = Status("unknown", t("overview.counted", lang))
    return _count(key, lang, span, value, status, unit=unit, about=during, before=before)


def _silent(signals: list[Signal], lang: str, span: Span) -> o.Card:
    silent = [s for s in signals if not s.online(span.end)]
    if silent:
        oldest = min(s.seen for s in silent)
        said = t("overview.longest_since", lang, at=date(oldest.astimezone(VN), lang))
        status = Status("notice", said)
    else:
        status = Status("ok", t("ioc.all_online", lang))
    about = t("overview.of_stations", lang, count=len(signals))
    unit = t("ioc.unit_stations", lang)
    return _count("silent", lang, span, len(silent), status, unit=unit, about=about)


def _online(signals: list[Signal], lang: str, span: Span) -> o.Card:
    online = sum(s.online(span.end) for s in signals)
    status = Status("ok" if online == len(signals) else "notice", t("overview.sending", lang))
    return o.Card(
        "stations", t("overview.stations", lang), f"{online}/{len(signals)}",
        t("ioc.unit_stations", lang), t("ioc.now", lang), status,
        url("figure", key="stations", r=span.name),
    )  # fmt: skip


def _valid(desk: Desk, actor: Actor, lang: str, span: Span) -> o.Card:
    found = counts.valid(desk, actor, span)
    came, good = sum(c for c, _ in found.values()), sum(g for _, g in found.values())
    share = good / came if came else None
    if share is None:
        status = Status("unknown", t("ioc.no_data", lang))
    else:
        status = Status("ok" if share >= 0.95 else "notice",
                        t("overview.not_valid", lang, count=came - good))  # fmt: skip
    about = t("overview.since_midnight", lang)
    return _count(
        "valid",
        lang,
        span,
        None if share is None else share * 100,
        status,
        unit="%",
        about=about,
        decimals=1,
    )


def _data_card(key: str, data: counts.Data, lang: str, span: Span) -> o.Card:
    during = t(f"overview.span_{span.name}", lang)
    if key == "conflicts":
        waiting = sum(data.conflicts.values())
        said = t("overview.wait_decision" if waiting else "overview.none_waiting", lang)
        return _count(
            key, lang, span, waiting, Status("notice" if waiting else "ok", said),
            about=t("ioc.now", lang), list_url="/loads",
        )  # fmt: skip
    value = sum(getattr(one, key) for one in data.now.values())
    before = sum(getattr(one, key) for one in data.before.values())
    if key == "rejected":
        said = t("overview.rejected_some" if value else "overview.none_waiting", lang)
        status = Status("notice" if value else "ok", said)
    else:
        status = Status("unknown", t("overview.counted", lang))
    unit = t("overview.unit_loads" if key == "loads" else "overview.unit_rows", lang)
    return _count(
        key,
        lang,
        span,
        value,
        status,
        unit=unit,
        about=during,
        before=before,
        list_url="/loads",
    )


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
    indexed_by = [topic for topic in _computed(desk, actor) if topic in AIR_TOPICS]
    return v.StationsView(
        url("stations", r=span.name), (*_measured(desk, actor), *indexed_by), tuple(listed),
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
        tops.sort(key=lambda pair: -_weight(status_of(pair[1], lang).level))
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
        span="30d" if latest and _daily(latest[0]) and span.chart in ("24h", "7d") else span.chart,
        explain_url=explain_url(*latest) if latest else None,
    )


def _daily(figs: Figures) -> bool:
    return figs.indicator.definition.size >= timedelta(days=1)


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
        for thing, was in figures.before(desk, figs, span).items():
            one = figs.newest[thing]
            if was and one.value != was and figs.fresh(one):
                found.append(((one.value - was) / abs(was), was, figs, one))
    found.sort(key=lambda row: -abs(row[0]))
    return o.MovedView(
        url("moved", r=span.name), _computed(desk, actor), versus(span, lang),
        tuple(_moved_row(*row, lang, span) for row in found[:MOST_MOVED]),
        url("download", what="moved", r=span.name),
    )  # fmt: skip


def _moved_row(
    share: float, was: float, figs: Figures, one: figures.Latest, lang: str, span: Span
) -> o.MovedRow:
    output = figs.indicator.definition.outputs[0]
    return o.MovedRow(
        title=output.title[lang],
        place=figs.things[one.thing_id].title(lang),
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
        url("data", r=span.name), (*_measured(desk, actor), "loads"), tuple(rows),
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
