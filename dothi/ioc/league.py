"""Agencies compared by the data they bring: how much of it is valid, complete and on time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc.catalogue import DATA, LOADS, sections
from dothi.ioc.desk import Desk
from dothi.ioc.view import Choice
from dothi.kernel.i18n import t
from dothi.lake import loads, registry
from dothi.lake.league import SPAN, Counts, Place, Shares, counted, ranked
from dothi.lake.registry import Dataset
from dothi.web.access import lang_of
from dothi.web.site import Site

URL = f"{LOADS}/agencies"
KEPT_S = 300.0


@dataclass(frozen=True)
class Line:
    """An agency, or one of its datasets, with its counts."""

    number: int | None
    name: str
    shares: Shares
    counts: Counts
    url: str = ""
    datasets: tuple[Line, ...] = ()


@dataclass(frozen=True)
class LeagueView:
    sections: tuple[Choice, ...]
    days: int
    at: datetime
    lines: tuple[Line, ...]


@get(URL, opt={"access": "load.read"}, sync_to_thread=True)
def league_page(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Response[str]:
    """The agencies whose datasets this person knows, the best first."""
    lang = lang_of(request)
    places, names = _found(desk, actor, lang)
    view = LeagueView(
        sections(desk, actor, lang, URL), SPAN.days, desk.now(),
        tuple(_line(place, names, lang) for place in places),
    )  # fmt: skip
    shell = site.shell(request, t("loads.league", lang), DATA)
    return site.page(request, "league.html", shell, view)


@get(
    "/api/v1/agencies/quality", opt={"access": "load.read"}, include_in_schema=True,
    sync_to_thread=True,
)  # fmt: skip
def league_api(
    actor: NamedDependency[Actor], lang: NamedDependency[str], desk: NamedDependency[Desk]
) -> list[dict[str, Any]]:
    """Agencies by the quality and freshness of their data over 30 days, the best first.

    A share is 0…1, null where there is nothing to judge; the score is the mean of those known. An
    agency's shares are the means over its datasets.
    """
    places, names = _found(desk, actor, lang)
    return [
        {"place": place.number, "agency": names.get(place.agency_id, "")}
        | _told(place.shares, place.counts)
        | {
            "datasets": [
                {"name": dataset.name, "title": dataset.contract.title[lang]}
                | _told(counts.shares, counts)
                for dataset, counts in place.datasets
            ]
        }
        for place in places
    ]


def _found(desk: Desk, actor: Actor, lang: str) -> tuple[list[Place], dict[int | None, str]]:
    """Agencies and their names. Raises what the policy raises for who may see no load."""
    derived = desk.computed()
    with desk.db.transaction() as conn:
        every = registry.datasets(conn)
        names: dict[int | None, str] = {a.id: a.name(lang) for a in agencies.agencies(conn)}
    seen = [d for d in every if decide(actor, "load.read", loads.resource(d, 0)).allowed]
    if not seen:
        require(actor, "load.read", Resource("load", owner_agency=actor.agency_id))
    brought = [d for d in seen if d.name not in derived]
    return ranked((d, _counts(desk, d)) for d in brought), names


def _counts(desk: Desk, dataset: Dataset) -> Counts:
    def look() -> Counts:
        return counted(desk.lake, dataset, desk.now())

    return desk.cache.value(("league", dataset.id), (), look, kept_s=KEPT_S)


def _line(place: Place, names: dict[int | None, str], lang: str) -> Line:
    return Line(
        place.number,
        names.get(place.agency_id) or t("loads.no_owner", lang),
        place.shares,
        place.counts,
        datasets=tuple(
            Line(
                None, dataset.contract.title[lang], counts.shares, counts, f"{DATA}/{dataset.name}"
            )
            for dataset, counts in place.datasets
        ),
    )


def _told(shares: Shares, counts: Counts) -> dict[str, Any]:
    return {
        "score": shares.score, "validity": shares.validity, "completeness": shares.completeness,
        "freshness": shares.freshness, "values": counts.values, "valid": counts.valid,
        "accepted": counts.accepted, "rejected": counts.rejected, "conflicts": counts.conflicts, "expected": counts.expected,
        "kept": counts.kept, "promised": counts.promised, "on_time": counts.on_time,
        "newest": counts.newest,
    }  # fmt: skip


router = Router("/", route_handlers=[league_page, league_api], include_in_schema=False)
