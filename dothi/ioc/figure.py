"""Everything a number of the overview leads to: what it is compared with, the others, the work
about it, its rows as a file, and the way to give it to an agency."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide
from dothi.indicators.model import Definition, Output
from dothi.indicators.sums import Sum
from dothi.ioc import aims, counts, figures, overview, overview_panels
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.span import Span
from dothi.ioc.tables import Cell, Sheet, shown
from dothi.ioc.work_view import rows_of
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import number, t
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import chart as charts
from dothi.lake.api import visible_stream
from dothi.web.view import Status
from dothi.work import standing


@dataclass(frozen=True)
class Subject:
    """A number as work is given for it: what it says, where, and what it is known by."""

    title: dict[str, str]
    detail: dict[str, str]
    place: str
    service: str | None
    source: dict[str, Any]


@dataclass(frozen=True)
class _Found:
    """A number with the table of comparisons and that of the others, both with raw values."""

    card: o.Card
    compare: Sheet
    others: Sheet
    rows: tuple[o.OtherRow, ...]
    decimals: int
    facts: tuple[v.Fact, ...] = ()
    source: dict[str, Any] | None = None
    place: str = ""
    stream: int | None = None
    aim: aims.Aim | None = None
    periods: tuple[Sum, ...] = ()


def view(
    desk: Desk, actor: Actor, lang: str, span: Span, key: str, thing: int | None
) -> o.FigureView:
    """The page of a number. Raises NotFound for one that is not there or not for this actor."""
    found = _found(desk, actor, lang, span, key, thing)
    card = found.card
    about: tuple[v.WorkRow, ...] = ()
    if found.source and desk.sees_work(actor):
        with desk.db.transaction() as conn:
            items = standing.about(conn, actor, found.source)
        about = rows_of(actor, items, desk.now(), lang, most_actions=0)
    where = {"what": "figure", "key": key, "thing": thing, "r": span.name}
    compare = found.compare
    return o.FigureView(
        key=key,
        title=card.title,
        value=card.text,
        unit=card.unit,
        about=card.about,
        status=card.status,
        aim=None if found.aim is None else found.aim.row,
        compare=v.Table(
            compare.columns,
            tuple(_compared(row, lang, found.decimals) for row in compare.rows),
            numeric=tuple(range(1, len(compare.columns))),
        ),
        periods=tuple(aims.of_sum(desk, one, lang).row for one in found.periods),
        others=found.rows,
        others_title=found.others.title,
        facts=found.facts,
        work=about,
        csv_url=overview.url("download", **where, format="csv"),
        xlsx_url=overview.url("download", **where, format="xlsx"),
        explain_url=card.explain_url,
        chart_url=card.chart_url,
        list_url=card.url,
        rows_url=None if found.stream is None else f"/api/v1/streams/{found.stream}/rows.csv",
        assign_url=overview.url("assign", key=key, thing=thing, r=span.name)
        if may_assign(actor)
        else None,
    )


def _compared(row: tuple[Cell, ...], lang: str, decimals: int) -> tuple[str, ...]:
    """A row of the comparison as the page writes it: the difference with its sign."""
    title, value, difference = row
    said = shown(difference, lang, decimals)
    if isinstance(difference, (int, float)) and difference > 0:
        said = f"+{said}"
    return shown(title, lang), shown(value, lang, decimals), said


def may_assign(actor: Actor) -> bool:
    """Whether this person may open work items, at least for their own agency."""
    own = Resource("work", owner_agency=actor.agency_id)
    return actor.signed_in and decide(actor, "work.open", own).allowed


def sheets(
    desk: Desk, actor: Actor, lang: str, span: Span, key: str, thing: int | None
) -> tuple[Sheet, ...]:
    """The page's tables as files hold them: the others first, they are what one counts with."""
    found = _found(desk, actor, lang, span, key, thing)
    first = (found.others, found.compare) if found.others.rows else (found.compare,)
    if not found.periods:
        return first
    return (*first, aims.period_sheet(desk, found.periods, lang))


def subject(desk: Desk, actor: Actor, span: Span, key: str, thing: int | None) -> Subject:
    """What stands in a work item that is opened for a number. Raises NotFound."""
    by_lang = {lang: _found(desk, actor, lang, span, key, thing) for lang in ("vi", "en")}
    title, detail = {}, {}
    for lang, found in by_lang.items():
        card = found.card
        said = f"{card.text} {card.unit}".strip()
        title[lang] = t("overview.assign_title", lang, what=card.title, value=said)[:300]
        detail[lang] = f"{card.about}. {card.status.text}."
    vi = by_lang["vi"]
    service = key.removeprefix("i_") if key.startswith("i_") else None
    indicator = desk.definitions().get(service) if service else None
    source = {"figure": key, "span": span.name, **(vi.source or {})}
    return Subject(
        title, detail, vi.place, indicator.definition.pack if indicator else None, source
    )


def _found(desk: Desk, actor: Actor, lang: str, span: Span, key: str, thing: int | None) -> _Found:
    if key.startswith("i_"):
        figs = figures.visible(desk, actor, key[2:])
        if figs is None or not figs.newest:
            raise NotFound("web.no_page")
        periods = tuple(aims.of_periods(desk, actor, key[2:]))
        return replace(_measured(desk, figs, lang, span, thing), periods=periods)
    card = overview.card(desk, actor, lang, span, key)
    if key.startswith("work_"):
        return _of_work(desk, actor, lang, span, key, card)
    if key in ("silent", "stations"):
        return _of_stations(desk, actor, lang, span, key, card)
    if key == "above":
        return _of_limits(desk, actor, lang, span, card)
    return _of_data(desk, actor, lang, span, key, card)


# -- measured figures -------------------------------------------------------------------------------


def _measured(desk: Desk, figs: Figures, lang: str, span: Span, thing: int | None) -> _Found:
    definition = figs.indicator.definition
    output = definition.outputs[0]
    card = overview.indicator_card(desk, figs, lang, span)
    one = figs.top or max(figs.newest.values(), key=lambda latest: latest.t)
    if thing is not None:
        if thing not in figs.newest:
            raise NotFound("web.no_page")
        one = figs.newest[thing]
        card = replace(
            card,
            text=number(one.value, lang, output.decimals),
            unit="" if output.unit == "1" else output.unit,
            about=f"{figs.things[thing].title(lang)} · {overview.moment(figs, one, lang)}",
            status=overview.status_of(one, lang),
            chart_url=overview.url("chart", stream=one.stream_id, r=span.name),
            explain_url=overview.explain_url(figs, one),
        )
    aim = aims.of_figure(desk, figs, one, lang)
    before = figures.before(desk, figs, span)
    ranked = sorted(figs.newest.values(), key=figs.rank)
    of_stations = figures.of_stations(desk, figs)
    others_word = "others" if of_stations else "reporters_others"
    others = Sheet(
        t(f"overview.{others_word}", lang),
        (
            t("ioc.stations" if of_stations else "overview.reporters", lang), t("overview.value", lang), t("common.unit", lang),
            t("overview.period", lang), _heading(definition, span, lang), t("overview.state", lang),
        ),
        tuple(
            (
                figs.things[x.thing_id].title(lang), x.value,
                "" if output.unit == "1" else output.unit,
                x.period.label(lang) if definition.by_calendar else x.period.end,
                before.get(x.thing_id), _status_of(figs, x, lang).text,
            )
            for x in ranked
        ),
    )  # fmt: skip
    rows = tuple(
        o.OtherRow(
            name=figs.things[x.thing_id].title(lang),
            value=number(x.value, lang, output.decimals),
            note=_change(
                x.value,
                before.get(x.thing_id),
                output.decimals,
                overview.versus_of(figs, x, span, lang),
                lang,
            )
            if figs.fresh(x)
            else t("overview.stale_since", lang, at=overview.until(x, lang)),
            status=_status_of(figs, x, lang),
            url=overview.url("figure", key=overview.key_of(figs), thing=x.thing_id, r=span.name),
            current=x.thing_id == one.thing_id,
        )
        for x in ranked
    )
    facts = [
        v.Fact(t("overview.fact_what", lang), definition.words[lang]),
        v.Fact(t("overview.fact_source", lang), definition.source),
    ]
    whole = figures.whole(desk, figs)
    compare = _compare(desk, figs, one, lang, span, aim, whole, others_word)
    if whole is not None:
        facts.insert(0, whole_fact(whole, output, lang))
    facts += [v.Fact(t("overview.fact_limit", lang), f"{number(limit.limit, lang)}: {limit.source}")
              for limit in one.limits]  # fmt: skip
    source = {"indicator": figs.indicator.name, "thing": one.thing_id}
    place = figs.things[one.thing_id].title("vi")
    return _Found(
        card,
        compare,
        others,
        rows,
        output.decimals,
        tuple(facts),
        source,
        place,
        one.stream_id,
        aim,
    )


def whole_fact(whole: figures.Whole, output: Output, lang: str) -> v.Fact:
    """The figure of all together, with the period and from how many of how many it was made."""
    unit = "" if output.unit == "1" else f" {output.unit}"
    said = t(
        "overview.whole_said", lang, value=number(whole.value, lang, output.decimals) + unit,
        period=whole.period.in_sentence(lang), count=whole.count, known=whole.known,
    )  # fmt: skip
    return v.Fact(t("overview.whole", lang), said)


def _status_of(figs: Figures, one: figures.Latest, lang: str) -> Status:
    """How a figure stands; what an old one was says nothing of now."""
    if figs.fresh(one):
        return overview.status_of(one, lang)
    return Status("unknown", t("overview.stale", lang))


def versus_title(span: Span, lang: str) -> str:
    """The heading over earlier values."""
    return t(f"overview.before_{span.name}", lang)


def _heading(definition: Definition, span: Span, lang: str) -> str:
    """The heading over the earlier values of an indicator."""
    if not definition.by_calendar:
        return versus_title(span, lang)
    year = span.name == "year" and definition.grain != "year"
    return t("overview.year_before" if year else "overview.period_before", lang)


def _change(value: float, was: float | None, decimals: int, versus: str, lang: str) -> str:
    if was is None:
        return t("overview.no_before", lang)
    moved = value - was
    told = number(abs(moved), lang, decimals)
    sign = "=" if told == number(0, lang, decimals) else "▲" if moved > 0 else "▼"
    return f"{sign} {told} {versus}"


def _compare(
    desk: Desk, figs: Figures, one: figures.Latest, lang: str, span: Span, aim: aims.Aim | None,
    whole: figures.Whole | None, others: str,
) -> Sheet:  # fmt: skip
    """The figure beside the period before, a span ago, last year, its target, the limits, that of all
    together, and the others."""
    dataset = figs.indicator.dataset
    definition = figs.indicator.definition
    periods: dict[str, Period | None] = {t("overview.period_before", lang): one.period.previous()}
    if not definition.by_calendar:
        periods[versus_title(span, lang)] = figures.earlier(definition, one.period, span)
    if definition.grain != "year":
        periods[t("overview.year_before", lang)] = one.period.a_year_earlier()
    rows: list[tuple[Cell, ...]] = [(t("overview.this_figure", lang), one.value, None)]
    for title, period in periods.items():
        was = None
        if period is not None:
            if definition.by_calendar:
                title += f" ({period.in_sentence(lang)})"
            instant = definition.instant_of(period)
            was = figures.values_at(desk, dataset, {one.stream_id: instant}).get(one.stream_id)
        rows.append((title, was, None if was is None else one.value - was))
    if aim is not None:
        rows.append((t("targets.row_title", lang, said=aim.said), aim.bound, aim.difference))
    for limit in one.limits:
        # Of several limits each says which it is; of one the document is enough.
        source = limit.source if len(one.limits) > 1 else limit.source.split(",")[0]
        title = t("overview.limit_row", lang, source=source)
        rows.append((title, limit.limit, one.value - limit.limit))
    if whole is not None and whole.period == one.period:
        rows.append((t("overview.whole", lang), whole.value, one.value - whole.value))
    fresh = sorted(x.value for x in figs.newest.values() if figs.fresh(x))
    if len(fresh) > 1:
        middle = statistics.median(fresh)
        rows += [
            (t(f"overview.{others}_highest", lang), fresh[-1], one.value - fresh[-1]),
            (t(f"overview.{others}_median", lang), middle, one.value - middle),
            (t(f"overview.{others}_lowest", lang), fresh[0], one.value - fresh[0]),
        ]
    columns = (t("overview.compared", lang), t("overview.value", lang),
               t("overview.difference", lang))  # fmt: skip
    return Sheet(t("overview.compare", lang), columns, tuple(rows))


# -- counted numbers --------------------------------------------------------------------------------


def _counted(
    lang: str, span: Span, now: float | None, before: float | None, year: float | None
) -> Sheet:
    def row(key: str, was: float | None) -> tuple[Cell, ...]:
        moved = None if was is None or now is None else now - was
        return t(key, lang), was, moved

    columns = (t("overview.compared", lang), t("overview.value", lang),
               t("overview.difference", lang))  # fmt: skip
    rows = (
        (t("overview.this_figure", lang), now, None),
        row(f"overview.before_{span.name}", before),
        row("overview.year_before", year),
    )
    return Sheet(t("overview.compare", lang), columns, rows)


def _of_work(desk: Desk, actor: Actor, lang: str, span: Span, key: str, card: o.Card) -> _Found:
    work = counts.work(desk, actor, span)
    if work is None:
        raise NotFound("identity.not_found")
    decimals = 0
    if key == "work_open":
        compare = _counted(lang, span, work.total, work.open_before, work.open_last_year)
    elif key == "work_punctual":
        shares = [f.punctual for f in (work.flow, work.before, work.last_year)]
        compare = _counted(lang, span, *(None if s is None else 100 * s for s in shares))
        decimals = 1
    elif key in ("work_new", "work_closed"):
        name = "opened" if key == "work_new" else "closed"
        found = [getattr(f, name) for f in (work.flow, work.before, work.last_year)]
        compare = _counted(lang, span, *found)
    else:
        value = work.overdue if key == "work_overdue" else work.soon
        compare = _counted(lang, span, value, None, None)
    columns = tuple(t(f"overview.col_{c}", lang) for c in
                    ("agency", "total", "overdue", "soon", "done"))  # fmt: skip
    others = Sheet(
        t("overview.by_agency", lang),
        columns,
        tuple((s.name[lang], s.total, s.overdue, s.soon, s.done) for s in work.now),
    )
    rows = tuple(
        o.OtherRow(
            s.name[lang], number(s.total, lang),
            t("overview.agency_note", lang, overdue=s.overdue, soon=s.soon),
            Status("critical", t("overview.col_overdue", lang)) if s.overdue else None,
            f"/work?agency={s.agency_id}",
        )
        for s in work.now
    )  # fmt: skip
    return _Found(card, compare, others, rows, decimals)


def _of_stations(desk: Desk, actor: Actor, lang: str, span: Span, key: str, card: o.Card) -> _Found:
    signals = figures.signals(desk, actor)
    silent = [s for s in signals if not s.online(span.end)]
    wanted = sorted(silent if key == "silent" else signals, key=lambda s: s.seen)
    value = len(silent) if key == "silent" else len(signals) - len(silent)
    word = {True: t("overview.online", lang), False: t("overview.offline", lang)}
    others = Sheet(
        t("ioc.stations", lang),
        (t("ioc.stations", lang), t("overview.dataset", lang), t("overview.state", lang),
         t("overview.seen", lang)),
        tuple(
            (s.thing.title(lang), s.dataset.contract.title[lang], word[s.online(span.end)], s.seen)
            for s in wanted
        ),
    )  # fmt: skip
    rows = tuple(
        o.OtherRow(
            s.thing.title(lang), shown(s.seen, lang), s.dataset.contract.title[lang],
            Status("ok" if s.online(span.end) else "notice", word[s.online(span.end)]),
            overview.url(r=span.name, stream=s.stream_id) + "#chart",
        )
        for s in wanted
    )  # fmt: skip
    return _Found(card, _counted(lang, span, value, None, None), others, rows, 0)


def _of_limits(desk: Desk, actor: Actor, lang: str, span: Span, card: o.Card) -> _Found:
    found = [
        (f, one) for f in figures.every(desk, actor) for one in f.newest.values()
        if one.passed and f.fresh(one)
    ]  # fmt: skip
    found.sort(key=lambda pair: -pair[1].value / (pair[1].passed[-1].limit or 1))

    def title(figs: Figures) -> str:
        return figs.indicator.definition.outputs[0].title[lang]

    others = Sheet(
        t("overview.above", lang),
        (t("overview.figure", lang), t("ioc.stations", lang), t("overview.value", lang),
         t("overview.fact_limit", lang), t("overview.period", lang)),
        tuple((title(f), f.things[x.thing_id].title(lang), x.value, x.passed[-1].limit,
               x.period.end) for f, x in found),
    )  # fmt: skip
    rows = tuple(
        o.OtherRow(
            f.things[x.thing_id].title(lang),
            number(x.value, lang, f.indicator.definition.outputs[0].decimals),
            f"{title(f)} · {overview.moment(f, x, lang)}",
            overview.status_of(x, lang),
            overview.url("figure", key=overview.key_of(f), thing=x.thing_id, r=span.name),
        )
        for f, x in found
    )
    return _Found(card, _counted(lang, span, len(found), None, None), others, rows, 0)


def _of_data(desk: Desk, actor: Actor, lang: str, span: Span, key: str, card: o.Card) -> _Found:
    data = overview_panels.data(desk, actor, lang, span)
    found = counts.data(desk, actor, span)
    decimals = 0
    if key == "valid" or found is None:
        all_ = counts.valid(desk, actor, span).values()
        came = sum(c for c, _ in all_)
        good = sum(g for _, g in all_)
        compare = _counted(lang, span, 100 * good / came if came else None, None, None)
        decimals = 1
    elif key == "conflicts":
        compare = _counted(lang, span, sum(found.conflicts.values()), None, None)
    else:
        sums = [sum(getattr(b, key) for b in stretch.values())
                for stretch in (found.now, found.before, found.last_year)]  # fmt: skip
        compare = _counted(lang, span, *sums)
    rows = tuple(
        o.OtherRow(
            r.name,
            number(None if r.valid is None else 100 * r.valid, lang, 1) + " %"
            if key == "valid"
            else number(getattr(r, key), lang),
            t("overview.newest", lang, at=shown(r.newest, lang)),
            None,
            r.url,
        )
        for r in data.rows
    )
    return _Found(card, compare, data_sheet(data, lang), rows, decimals)


# -- the panels as files ------------------------------------------------------------------------------


def data_sheet(data: o.DataView, lang: str) -> Sheet:
    """Loads and quality by dataset."""
    names = ("dataset", "loads", "rows", "rejected", "conflicts", "valid", "newest")
    return Sheet(
        t("overview.data", lang),
        tuple(t(f"overview.col_{name}", lang) for name in names),
        tuple(
            (r.name, r.loads, r.rows, r.rejected, r.conflicts,
             None if r.valid is None else round(100 * r.valid, 2), r.newest)
            for r in data.rows
        ),
    )  # fmt: skip


def cards_sheet(cards: o.CardsView, lang: str) -> Sheet:
    """The tiles as they are shown."""
    names = ("figure", "value", "unit", "about", "state", "change", "newest")
    return Sheet(
        t("overview.tiles", lang),
        tuple(t(f"overview.col_{name}", lang) for name in names),
        tuple(
            (c.title, c.text, c.unit, c.about, c.status.text,
             None if c.change is None else c.change.amount, c.at)
            for c in cards.cards
        ),
    )  # fmt: skip


def agencies_sheet(view_: o.AgenciesView, lang: str) -> Sheet:
    """Open work items by agency."""
    return Sheet(
        t("overview.by_agency", lang),
        tuple(t(f"overview.col_{c}", lang) for c in
              ("agency", "total", "overdue", "soon", "done")),
        tuple((r.name, r.total, r.overdue, r.soon, r.done) for r in view_.rows),
    )  # fmt: skip


def moved_sheet(view_: o.MovedView, lang: str) -> Sheet:
    """What moved."""
    names = ("figure", "place", "was", "value", "share")
    return Sheet(
        t("overview.moved", lang),
        tuple(t(f"overview.col_{name}", lang) for name in names),
        tuple((r.title, r.place, r.was, r.now, f"{'+' if r.up else '−'}{r.share} %")
              for r in view_.rows),
    )  # fmt: skip


def chart_sheet(
    desk: Desk, actor: Actor, lang: str, stream_id: int, span: str, width: int
) -> Sheet:
    """What a chart of a stream shows: its buckets."""
    with desk.db.transaction() as conn:
        dataset, thing, stream = visible_stream(conn, actor, stream_id)
    found = charts.chart(
        desk.lake, dataset, stream, span=span if span in charts.SPANS else "7d", width=width,
        now=desk.now(),
    )  # fmt: skip
    names = ("period" if found.periods else "from", "lowest", "mean", "highest", "invalid")
    times: list[Cell] = [period.label(lang) for period in found.periods]
    times = times or [datetime.fromtimestamp(at, VN) for at in found.t]
    spec = dataset.contract.parameter(stream.parameter)
    return Sheet(
        f"{spec.title[lang]} {thing.title(lang)}",
        tuple(t(f"overview.col_{name}", lang) for name in names),
        tuple(
            (at, low, mean, high, bad)
            for at, low, mean, high, bad in zip(
                times, found.low, found.mean, found.high, found.bad, strict=True
            )
        ),
    )
