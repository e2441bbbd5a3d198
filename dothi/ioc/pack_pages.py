"""The addresses of a monitoring service's page where none was made for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from dothi.identity.model import Actor
from dothi.ioc import overview, pack, pack_board
from dothi.ioc.desk import Desk
from dothi.ioc.pack import BASE, BOARD, PackView, Service
from dothi.ioc.span import Span
from dothi.kernel.errors import NotFound
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Shell


def page(
    request: Request[Any, Any, Any], service: FromPath[str], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk], r: FromQuery[str] = "",
    stream: FromQuery[int | None] = None,
) -> Response[Any]:  # fmt: skip
    """Figures, things, chart, work, data and sources of a pack."""
    lang = lang_of(request)
    one = _service(request, desk, actor, service)

    def make() -> tuple[Shell, PackView]:
        span = Span.of(r or (one.dashboard and one.dashboard.span) or "", desk.now())
        view = pack_board.page(desk, actor, lang, span, one, stream)
        return site.shell(request, view.title, one.base), view

    return site.kept_page(request, "pack.html", (*one.topics, "work", "loads"), make)


def panel(
    request: Request[Any, Any, Any], service: FromPath[str], panel: FromPath[str],
    actor: NamedDependency[Actor], site: NamedDependency[Site], desk: NamedDependency[Desk],
    r: FromQuery[str] = "", stream: FromQuery[int | None] = None,
) -> Any:  # fmt: skip
    """One panel alone, for live refreshing."""
    lang, span = lang_of(request), Span.of(r, desk.now())
    one = _service(request, desk, actor, service)
    makers = {
        "tiles": lambda: pack.cards(desk, actor, lang, span, one),
        "stations": lambda: pack.things(desk, actor, lang, span, one),
        "chart": lambda: pack.chart(desk, actor, lang, span, one, stream),
        "data": lambda: pack.data(desk, actor, lang, span, one),
        "work": lambda: pack.work(desk, actor, lang, one),
    }
    make = makers.get(panel, lambda: pack_board.alone(desk, actor, lang, span, one, panel))
    if "hx-request" not in request.headers:
        make()
        return see_other(overview.url(base=one.base, r=span.name, stream=stream) + f"#{panel}")
    folder = "overview" if panel in ("tiles", "data") else "service"
    template = f"{folder}/{panel}.html" if panel in makers else "pack_list.html"
    return site.kept_fragment(request, template, (*one.topics, "work", "loads"), make)


def _service(request: Request[Any, Any, Any], desk: Desk, actor: Actor, name: str) -> Service:
    """The service at this address. Raises NotFound for one whose page has the other address."""
    one = pack.service(desk, actor, name)
    if not request.url.path.startswith(f"{one.base.rpartition('/')[0]}/"):
        raise NotFound("web.no_page")
    return one


def _at(address: str, shown: Callable[..., Any]) -> Any:
    opt = {"access": "dataset.read", "packed": True}
    return get(address, opt=opt, sync_to_thread=True)(shown)


router = Router(
    "/",
    route_handlers=[
        _at(f"{base}/{{service:str}}{below}", shown)
        for base in (BASE, BOARD)
        for below, shown in (("", page), ("/{panel:str}", panel))
    ],
    include_in_schema=False,
)
