"""The addresses of the search: the page, and its results alone while somebody types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from dothi.identity.model import Actor
from dothi.ioc import search, wall
from dothi.ioc.admin.office import SECTIONS, may
from dothi.ioc.desk import Desk
from dothi.ioc.search import BASE, Results
from dothi.kernel.i18n import t
from dothi.web.access import lang_of
from dothi.web.site import Site


@dataclass(frozen=True)
class SearchView:
    """The field and what was found for it; `asked`: there was something to look for."""

    results: Results
    asked: bool


@get(BASE, opt={"access": None}, sync_to_thread=True)
def page(
    request: Request[Any, Any, Any], actor: NamedDependency[Actor], site: NamedDependency[Site],
    desk: NamedDependency[Desk], q: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """Names that begin with the words of `q`. A script gets the results, the dialog the field too."""
    lang = lang_of(request)
    found = search.search(desk, actor, lang, q, _pages(site, actor, lang))
    view = SearchView(found, bool(found.query))
    target = request.headers.get("hx-target")
    if target == "search-results":
        return site.fragment(request, "search/results.html", view)
    if target == "dialog-body":
        return site.fragment(request, "search/box.html", view)
    shell = site.shell(request, t("search.title", lang))
    return site.page(request, "search.html", shell, view)


def _pages(site: Site, actor: Actor, lang: str) -> list[tuple[str, str]]:
    """What of the menu and of the administration this person may open."""
    menu = [(item.text, item.url) for item in site.menu(actor, lang)]
    office = [(t(key, lang), url) for key, url, action in SECTIONS if may(actor, action)]
    pages = [*menu, (t("overview.wall", lang), wall.BASE), *office]
    return [(text, url) for url, text in {url: text for text, url in reversed(pages)}.items()]


router = Router("/", route_handlers=[page], include_in_schema=False)
