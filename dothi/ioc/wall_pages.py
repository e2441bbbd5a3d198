"""The addresses of the wall: the page, and each slide alone."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from dothi.identity.model import Actor
from dothi.ioc import arrangement, overview, wall
from dothi.ioc.arrangement import COOKIE
from dothi.ioc.desk import Desk
from dothi.ioc.wall import BASE
from dothi.kernel.i18n import t
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Shell

LEAST_S, MOST_S = 1, 3600


@get(BASE, opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def page(
    request: Request[Any, Any, Any], actor: NamedDependency[Actor], site: NamedDependency[Site],
    desk: NamedDependency[Desk], seconds: FromQuery[int] = wall.SECONDS,
) -> Response[Any]:  # fmt: skip
    """The slides of a large screen; `seconds`: how long each stays."""
    lang = lang_of(request)
    arranged = arrangement.kept(desk.db, actor, request.cookies.get(COOKIE))
    stay = min(max(seconds, LEAST_S), MOST_S)

    def make() -> tuple[Shell, wall.WallView]:
        shell = site.shell(request, t("overview.wall", lang), overview.BASE)
        return shell, wall.page(desk, actor, lang, arranged, stay)

    topics = overview.topics(desk, actor)
    return site.kept_page(request, "wall.html", topics, make, also=tuple(arranged.words))


@get(f"{BASE}/{{panel:str}}", opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def slide(
    request: Request[Any, Any, Any], panel: FromPath[str], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk],
) -> Any:  # fmt: skip
    """One slide alone, for live refreshing."""
    arranged = arrangement.kept(desk.db, actor, request.cookies.get(COOKIE))

    def make() -> wall.Slide:
        return wall.slide(desk, actor, lang_of(request), arranged, panel)

    if "hx-request" not in request.headers:
        make()
        return see_other(BASE)
    topics = (*overview.topics(desk, actor), *arrangement.topics(actor))
    return site.kept_fragment(request, "wall/slide.html", topics, make)


router = Router("/", route_handlers=[page, slide], include_in_schema=False)
