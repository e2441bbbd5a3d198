"""The overview of the whole province: how its figures are said and addressed, and its tiles, filled
from whatever packs are installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from dothi.identity.model import Actor
from dothi.ioc import counts, duty, environment, figures
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.arrangement import Arrangement
from dothi.ioc.desk import HOURLY, PM25_DAY, Desk
from dothi.ioc.explain_view import WATER
from dothi.ioc.figures import Figures, Signal
from dothi.ioc.span import NAMES, Span
from dothi.kernel import wqi
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import date, number, t
from dothi.kernel.time import VN
from dothi.web.site import who
from dothi.web.view import Level, Status

BASE = "/ioc"
MOST_OF_A_PACK = 3
"""Indicators of one pack that are shown before a person has arranged anything; one whose figure
asks for attention is shown besides."""
FIRST = (HOURLY, PM25_DAY)
"""What a pack is known by comes before its other indicators."""
HIDDEN_AT_FIRST = frozenset(
    {"stations", "loads", "conflicts", "work_soon", "work_new", "work_closed", "rejected"}
)


def url(path: str = "", /, base: str = BASE, **query: object) -> str:
    """An address below the overview, or another page with panels of its own; parameters that are
    empty are left out."""
    said = urlencode({k: v for k, v in query.items() if v not in ("", None)})
    return f"{base}{'/' + path if path else ''}{'?' + said if said else ''}"


def topics(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """What may change the overview of this person."""
    return (*measured(desk, actor), *computed(desk, actor), "work", "loads")


def measured(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """The topics of what stations send."""
    return _topics(s.dataset.name for s in figures.signals(desk, actor))


def computed(desk: Desk, actor: Actor) -> tuple[str, ...]:
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


def until(one: figures.Latest, lang: str) -> str:
    """Of what time an old figure is."""
    if one.period.grain in ("hour", "day"):
        return date(one.period.end.astimezone(VN), lang)
    return one.period.in_sentence(lang)


def spans(span: Span, lang: str, base: str = BASE) -> tuple[v.Choice, ...]:
    """The choice of the time range of a page."""
    return tuple(
        v.Choice(t(f"overview.span_{n}", lang), url(base=base, r=n), n == span.name) for n in NAMES
    )


# -- tiles ----------------------------------------------------------------------------------------


def cards(desk: Desk, actor: Actor, lang: str, span: Span, arrangement: Arrangement) -> o.CardsView:
    """The tiles this person wants to see, in their order."""
    there, later = makers(desk, actor, lang, span)
    shown = [key for key in arrangement.sorted(list(there)) if _is_shown(key, later, arrangement)]
    newest = max((s.seen for s in figures.signals(desk, actor)), default=None)
    when = t("ioc.updated", lang, at=clock(newest)) if newest else t("ioc.no_data", lang)
    return o.CardsView(
        url=url("tiles", r=span.name),
        topics=topics(desk, actor),
        cards=tuple(there[key]() for key in shown),
        newest=newest,
        updated=when,
        download_url=url("download", what="tiles", r=span.name),
        on_duty=duty.on_duty_line(desk, actor, lang),
    )


def choices(
    desk: Desk, actor: Actor, lang: str, span: Span, arrangement: Arrangement
) -> tuple[o.ArrangeRow, ...]:
    """Every tile there is for this person, shown or not, in their order."""
    there, later = makers(desk, actor, lang, span)
    return tuple(
        o.ArrangeRow(key, there[key]().title, n, _is_shown(key, later, arrangement))
        for n, key in enumerate(arrangement.sorted(list(there)), 1)
    )


def _is_shown(key: str, later: frozenset[str], arrangement: Arrangement) -> bool:
    if key in arrangement.order:
        return key not in arrangement.hidden
    return key not in later


def card(desk: Desk, actor: Actor, lang: str, span: Span, key: str) -> o.Card:
    """The tile of that key. Raises NotFound."""
    there, _ = makers(desk, actor, lang, span)
    if key not in there:
        raise NotFound("web.no_page")
    return there[key]()


def makers(
    desk: Desk, actor: Actor, lang: str, span: Span
) -> tuple[dict[str, Callable[[], o.Card]], frozenset[str]]:
    """Every tile's key for this person with the function that makes it, in the order of a first
    visit; and the keys of those that are not shown then."""
    made: dict[str, Callable[[], o.Card]] = {}
    later, of_pack = set(HIDDEN_AT_FIRST), Counter[str]()
    every = figures.every(desk, actor)
    every.sort(key=lambda f: FIRST.index(f.indicator.name) if f.indicator.name in FIRST else 99)
    for figs in every:
        pack = figs.indicator.definition.pack
        of_pack[pack] += 1
        made[key_of(figs)] = partial(indicator_card, desk, figs, lang, span)
        calm = figs.top is None or weight(status_of(figs.top, lang).level) < weight("notice")
        if of_pack[pack] > MOST_OF_A_PACK and calm:
            later.add(key_of(figs))
    if any(one.limits for f in every for one in f.newest.values()):
        made["above"] = partial(_above, desk, actor, lang, span)
    if (work := counts.work(desk, actor, span)) is not None:
        for key in ("work_open", "work_overdue", "work_punctual", "work_soon", "work_new",
                    "work_closed"):  # fmt: skip
            made[key] = partial(_work_card, key, work, lang, span)
    signals = figures.signals(desk, actor)
    if signals:
        made["silent"] = partial(_silent, signals, lang, span)
        made["stations"] = partial(_online, signals, lang, span)
        made["valid"] = partial(_valid, desk, actor, lang, span)
    if (data := counts.data(desk, actor, span)) is not None:
        for key in ("rows", "loads", "rejected", "conflicts"):
            made[key] = partial(_data_card, key, data, lang, span)
    return made, frozenset(later)


def key_of(figs: Figures) -> str:
    """The key of an indicator's tile."""
    return f"i_{figs.indicator.name}"


def versus(span: Span, lang: str) -> str:
    """With what this span is compared, in words."""
    return t(f"overview.versus_{span.name}", lang)


def versus_of(figs: Figures, one: figures.Latest, span: Span, lang: str) -> str:
    """With what a figure is compared in this span, in words: of months, quarters and years by name."""
    definition = figs.indicator.definition
    period = figures.earlier(definition, one.period, span)
    if not definition.by_calendar or period is None:
        return versus(span, lang)
    return t("overview.versus_period", lang, period=period.in_sentence(lang))


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
        # A month, a quarter or a year is named; the day after it would be another one's.
        at = None if definition.by_calendar else newest.period.end
        return o.Card(
            key, title, "—", "", moment(figs, newest, lang),
            Status("unknown", t("ioc.no_fresh_value", lang)), address, at=at, stale=True,
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
        else v.Change(top.value - was, versus_of(figs, top, span, lang), output.decimals),
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
        level = max((figures.passed(one) for one in over), key=weight)
    text = t("overview.above_some" if over else "overview.above_none", lang)
    return o.Card(
        "above", t("overview.above", lang), f"{len(over)}/{len(judged)}",
        t("overview.unit_figures", lang), t("overview.above_about", lang),
        Status(level if judged else "unknown", text), url("figure", key="above", r=span.name),
    )  # fmt: skip


def weight(level: Level) -> int:
    """Sorts levels: the more attention one asks for, the more."""
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
    elif signals:
        status = Status("ok", t("ioc.all_online", lang))
    else:
        status = Status("unknown", t("ioc.no_stations", lang))
    about = t("overview.of_stations", lang, count=len(signals))
    unit = t("ioc.unit_stations", lang)
    return _count("silent", lang, span, len(silent), status, unit=unit, about=about)


def _online(signals: list[Signal], lang: str, span: Span) -> o.Card:
    online = sum(s.online(span.end) for s in signals)
    status = Status("ok" if online == len(signals) else "notice", t("overview.sending", lang))
    if not signals:
        status = Status("unknown", t("ioc.no_stations", lang))
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
