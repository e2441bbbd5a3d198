"""A service's page as its pack lays it out (`dashboard.yaml`): the sections that this person may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.indicators.dashboard import Section
from dothi.ioc import overview, pack
from dothi.ioc import view as v
from dothi.ioc.desk import Desk
from dothi.ioc.pack import PackView, Service
from dothi.ioc.score import ALL, TOTAL
from dothi.ioc.span import Span
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import number, t
from dothi.kernel.period import Period
from dothi.web.view import Status


@dataclass(frozen=True)
class Line:
    """A row of a list in order: its place, who, the figure, how it stands."""

    place: int
    name: str
    value: str
    note: str
    status: Status | None = None
    url: str | None = None


@dataclass(frozen=True)
class ListView:
    """A list in order, renewed by itself. `name` is unique on the page."""

    name: str
    title: str
    subtitle: str
    url: str
    topics: tuple[str, ...]
    lines: tuple[Line, ...]


def page(
    desk: Desk, actor: Actor, lang: str, span: Span, one: Service, stream: int | None = None
) -> PackView:
    """The whole page of a pack, as it lays it out or as dothi does without that."""
    if one.dashboard is None:
        return pack.page(desk, actor, lang, span, one.pack.name, stream)
    view = pack.about(desk, actor, lang, span, one)
    found = parts(desk, actor, lang, span, one, stream)
    # The template loads what draws maps only where there is one.
    return replace(
        view, parts=found, map=next((part.view for part in found if part.kind == "map"), None)
    )


@dataclass(frozen=True)
class Part:
    """One section: the kind says how its `view` is drawn; of `text` and `about` it is text alone."""

    kind: str
    title: str | None
    view: Any


def parts(
    desk: Desk, actor: Actor, lang: str, span: Span, one: Service, stream: int | None = None
) -> tuple[Part, ...]:
    """The sections in their order; those that there is nothing for, or not for this person, are
    left out."""
    assert one.dashboard is not None
    found = []
    for n, section in enumerate(one.dashboard.sections):
        made = _made(desk, actor, lang, span, one, n, section, stream)
        if made is not None:
            title = section.title[lang] if section.title else None
            found.append(Part(section.kind, title, made))
    return tuple(found)


def _made(
    desk: Desk, actor: Actor, lang: str, span: Span, one: Service, n: int, section: Section,
    stream: int | None,
) -> Any:  # fmt: skip
    makers: dict[str, Callable[[], Any]] = {
        "tiles": lambda: pack.cards(desk, actor, lang, span, one),
        "map": lambda: pack.map_of(desk, pack.things(desk, actor, lang, span, one), lang),
        "table": lambda: _some(pack.things(desk, actor, lang, span, one)),
        "chart": lambda: pack.chart(desk, actor, lang, span, one, stream),
        "league": lambda: league(lang, span, one, n),
        "score": lambda: score(desk, actor, lang, one, n),
        "text": lambda: section.text and section.text[lang],
        "work": lambda: pack.work(desk, actor, lang, one) if desk.sees_work(actor) else None,
        "data": lambda: pack.data(desk, actor, lang, span, one),
        "about": lambda: section.kind,
    }
    try:
        return makers[section.kind]()
    except NotFound:
        return None


def _some(listed: v.StationsView) -> v.StationsView | None:
    return listed if listed.stations else None


def alone(desk: Desk, actor: Actor, lang: str, span: Span, one: Service, name: str) -> ListView:
    """One list for live refreshing, by its name. Raises NotFound."""
    number_ = name.removeprefix("section-")
    sections = one.dashboard.sections if one.dashboard else ()
    if name != f"section-{number_}" or not number_.isdecimal() or int(number_) >= len(sections):
        raise NotFound("web.no_page")
    if sections[int(number_)].kind == "league":
        return league(lang, span, one, int(number_))
    return score(desk, actor, lang, one, int(number_))


def league(lang: str, span: Span, one: Service, n: int) -> ListView:
    """Things by their newest figure, the worst first; what is not fresh comes last. Raises NotFound."""
    section = _section(one, n, "league")
    figs = next((f for f in one.figures if f.indicator.name == section.indicator), None)
    if figs is None:
        raise NotFound("web.no_page")
    output = figs.indicator.definition.outputs[0]
    unit = "" if output.unit in ("1", "count") else f" {output.unit}"
    ordered = sorted(figs.newest.values(), key=figs.rank)
    lines = []
    for place, latest in enumerate(ordered[: section.most], 1):
        fresh = figs.fresh(latest)
        link = overview.url("figure", key=overview.key_of(figs), thing=latest.thing_id, r=span.name)
        lines.append(
            Line(
                place, figs.things[latest.thing_id].title(lang),
                f"{number(latest.value, lang, output.decimals)}{unit}",
                overview.moment(figs, latest, lang),
                overview.status_of(latest, lang) if fresh
                else Status("unknown", t("overview.stale_since", lang, at=overview.until(latest, lang))),
                link,
            )
        )  # fmt: skip
    return ListView(
        name=f"section-{n}",
        title=output.title[lang],
        subtitle=t(f"pack.order_{output.better}", lang),
        url=overview.url(f"section-{n}", one.base, r=span.name),
        topics=(f"series:{figs.indicator.dataset.name}",),
        lines=tuple(lines),
    )


def score(desk: Desk, actor: Actor, lang: str, one: Service, n: int) -> ListView:
    """Agencies by their total of a score in the present period, or the one before while there is
    none yet. Raises NotFound."""
    from dothi.indicators import scores

    section = _section(one, n, "score")
    with desk.db.transaction() as conn:
        found = scores.find(conn, section.score or "")
        names = {agency.code: agency.name(lang) for agency in agencies.agencies(conn)}
    if not decide(actor, "dataset.read", found.dataset.resource).allowed:
        raise NotFound("web.no_page")
    now = Period.containing(section.grain, desk.now())
    topics = (f"series:{found.dataset.name}",)
    where = f"unit = '{ALL}' AND component = '{TOTAL}' AND agency <> '{ALL}' AND period = ?"

    def look() -> tuple[Period, list[Any]]:
        with desk.lake.view() as view:
            for period in (now, now.previous()):
                totals = scores.stored(view, found, where, [period.code])
                if totals:
                    break
        return period, totals

    period, totals = desk.cache.value(
        ("board score", found.name, now.code), topics, look, kept_s=30
    )
    ordered = sorted(totals, key=lambda x: (-(x.points or 0) / (x.most or 1), x.agency))
    lines = (
        Line(
            place, names.get(x.agency) or x.agency,
            f"{number(x.points, lang, 2)} / {number(x.most, lang, 0)}", period.label(lang),
        )
        for place, x in enumerate(ordered, 1)
    )  # fmt: skip
    return ListView(
        name=f"section-{n}",
        title=found.score.title[lang],
        subtitle=period.label(lang),
        url=overview.url(f"section-{n}", one.base),
        topics=topics,
        lines=tuple(lines),
    )


def _section(one: Service, n: int, kind: str) -> Section:
    assert one.dashboard is not None
    section = one.dashboard.sections[n]
    if section.kind != kind:
        raise NotFound("web.no_page")
    return section
