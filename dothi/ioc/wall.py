"""The wall: slides that follow one another on a large screen nobody touches.

One slide for the province's key figures, one for its stations on the map, one for each monitoring
service that has figures, one for work items and one for data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dothi.identity.model import Actor
from dothi.ioc import figures, overview, overview_panels
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.arrangement import Arrangement
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.span import Span
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import number, t
from dothi.web.view import Status

BASE = "/wall"
SERVICE = "service-"
SECONDS = 20
"""How long a slide stays."""
MOST_TILES = 12
MOST_PLACES = 6
MOST_CARDS = 6


@dataclass(frozen=True)
class Place:
    """A figure of one station."""

    name: str
    value: str
    status: Status


@dataclass(frozen=True)
class Ranking:
    """An indicator's tile with the stations that stand worst."""

    card: o.Card
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Slide:
    """One slide; what of it is None is not on it."""

    key: str
    title: str
    url: str
    topics: tuple[str, ...]
    keys: tuple[str, ...] = ()
    """On the first slide: every slide there is now."""
    cards: o.CardsView | None = None
    stations: v.StationsView | None = None
    map: v.MapView | None = None
    rankings: tuple[Ranking, ...] = ()
    work: v.WorkPanel | None = None
    agencies: o.AgenciesView | None = None
    data: o.DataView | None = None


@dataclass(frozen=True)
class WallView:
    """All slides; each stays for `seconds`."""

    slides: tuple[Slide, ...]
    seconds: int


def page(desk: Desk, actor: Actor, lang: str, arrangement: Arrangement, seconds: int) -> WallView:
    """Every slide there is for this actor."""
    keys = _keys(desk, actor)
    return WallView(tuple(slide(desk, actor, lang, arrangement, key) for key in keys), seconds)


def slide(desk: Desk, actor: Actor, lang: str, arrangement: Arrangement, key: str) -> Slide:
    """One slide. Raises NotFound for one that is not there or not for this actor."""
    makers: dict[str, Callable[[], Slide]] = {
        "overview": lambda: _overview(desk, actor, lang, arrangement),
        "map": lambda: _map(desk, actor, lang),
        "work": lambda: _work(desk, actor, lang),
        "data": lambda: _data(desk, actor, lang),
    }
    if key.startswith(SERVICE):
        return _service(desk, actor, lang, key.removeprefix(SERVICE))
    if key not in makers:
        raise NotFound("web.no_page")
    return makers[key]()


def _keys(desk: Desk, actor: Actor) -> Iterable[str]:
    services = dict.fromkeys(f.indicator.definition.pack for f in figures.every(desk, actor))
    yield "overview"
    yield "map"
    yield from (f"{SERVICE}{pack}" for pack in services)
    if desk.sees_work(actor):
        yield "work"
    yield "data"


def _url(key: str) -> str:
    return f"{BASE}/{key}"


def _span(desk: Desk) -> Span:
    return Span.of("today", desk.now())


def _overview(desk: Desk, actor: Actor, lang: str, arrangement: Arrangement) -> Slide:
    cards = overview.cards(desk, actor, lang, _span(desk), arrangement)
    few = o.CardsView(
        cards.url, cards.topics, cards.cards[:MOST_TILES], cards.newest, cards.updated,
        cards.download_url,
    )  # fmt: skip
    return Slide(
        "overview",
        t("overview.tiles", lang),
        _url("overview"),
        cards.topics,
        cards=few,
        keys=tuple(_keys(desk, actor)),
    )


def _map(desk: Desk, actor: Actor, lang: str) -> Slide:
    stations = overview_panels.stations(desk, actor, lang, _span(desk))
    return Slide(
        "map", t("overview.map_title", lang), _url("map"), stations.topics, stations=stations,
        map=overview_panels.ground(desk, stations, lang),
    )  # fmt: skip


def _service(desk: Desk, actor: Actor, lang: str, pack: str) -> Slide:
    shown = [f for f in figures.every(desk, actor) if f.indicator.definition.pack == pack]
    if not shown:
        raise NotFound("web.no_page")
    title = desk.packs[pack].title[lang] if pack in desk.packs else pack
    topics = tuple(f"series:{f.indicator.dataset.name}" for f in shown)
    span = _span(desk)
    rankings = tuple(_ranking(desk, f, lang, span) for f in shown[:MOST_CARDS])
    return Slide(f"{SERVICE}{pack}", title, _url(f"{SERVICE}{pack}"), topics, rankings=rankings)


def _ranking(desk: Desk, figs: Figures, lang: str, span: Span) -> Ranking:
    decimals = figs.indicator.definition.outputs[0].decimals
    worst = sorted((x for x in figs.newest.values() if figs.fresh(x)), key=figs.rank)
    return Ranking(
        overview.indicator_card(desk, figs, lang, span),
        tuple(
            Place(
                figs.things[one.thing_id].title(lang),
                number(one.value, lang, decimals),
                overview.status_of(one, lang),
            )
            for one in worst[:MOST_PLACES]
        ),
    )


def _work(desk: Desk, actor: Actor, lang: str) -> Slide:
    work = overview_panels.work(desk, actor, lang)
    agencies = overview_panels.agencies(desk, actor, lang, _span(desk))
    return Slide(
        "work", t("ioc.work_open", lang), _url("work"), ("work",), work=work, agencies=agencies
    )


def _data(desk: Desk, actor: Actor, lang: str) -> Slide:
    data = overview_panels.data(desk, actor, lang, _span(desk))
    return Slide("data", t("overview.data", lang), _url("data"), data.topics, data=data)
