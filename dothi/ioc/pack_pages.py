"""The addresses of a monitoring service's page where none was made for it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from dothi.identity.model import Actor
from dothi.ioc import overview, pack
from dothi.ioc.desk import Desk
from dothi.ioc.pack import BASE, PackView
from dothi.ioc.span import Span
from dothi.kernel.errors import NotFound
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Shell


@get(f"{BASE}/{{service:str}}", opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def page(
    request: Request[Any, Any, Any], service: FromPath[str], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk], r: FromQuery[str] = "",
    stream: FromQuery[int | None] = None,
) -> Response[Any]:  # fmt: skip
    """Figures, things, chart, work, data and sources of a pack."""
    lang = lang_of(request)
    one = pack.service(desk, actor, service)

    def make() -> tuple[Shell, PackView]:
        view = pack.page(desk, actor, lang, Span.of(r, desk.now()), service, stream)
        return site.shell(request, view.title, one.base), view

    return site.kept_page(request, "pack.html", (*one.topics, "work", "loads"), make)


@get(f"{BASE}/{{service:str}}/{{panel:str}}", opt={"access": "dataset.read"}, sync_to_thread=True)
def panel(
    request: Request[Any, Any, Any], service: FromPath[str], panel: FromPath[str],
    actor: NamedDependency[Actor], site: NamedDependency[Site], desk: NamedDependency[Desk],
    r: FromQuery[str] = "", stream: FromQuery[int | None] = None,
) -> Any:  # fmt: skip
    """One panel alone, for live refreshing."""
    lang, span = lang_of(request), Span.of(r, desk.now())
    one = pack.service(desk, actor, service)
    makers = {
        "tiles": lambda: pack.cards(desk, actor, lang, span, one),
        "stations": lambda: pack.things(desk, actor, lang, span, one),
        "chart": lambda: pack.chart(desk, actor, lang, span, one, stream),
        "data": lambda: pack.data(desk, actor, lang, span, one),
        "work": lambda: pack.work(desk, actor, lang, one),
    }
    if panel not in makers:
        raise NotFound("web.no_page")
    view = makers[panel]()
    if "hx-request" not in request.headers:
        return see_other(overview.url(base=one.base, r=span.name, stream=stream) + f"#{panel}")
    folder = "overview" if panel in ("tiles", "data") else "service"
    return site.fragment(request, f"{folder}/{panel}.html", view)


router = Router("/", route_handlers=[page, panel], include_in_schema=False)
