"""The addresses of indicators' and agencies' pages."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from dothi.identity.model import Actor
from dothi.ioc import overview, subjects
from dothi.ioc.desk import Desk
from dothi.ioc.span import Span
from dothi.ioc.subjects import AGENCIES, INDICATORS
from dothi.web.access import lang_of
from dothi.web.site import Site


@get(f"{INDICATORS}/{{indicator:str}}", opt={"access": "dataset.read"}, sync_to_thread=True)
def indicator_page(
    request: Request[Any, Any, Any], indicator: FromPath[str], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk], r: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """Definition, chart, stations, communes, quality and files of an indicator."""
    span = Span.of(r, desk.now())
    view = subjects.indicator(desk, actor, lang_of(request), span, indicator)
    return site.page(
        request, "indicator.html", site.shell(request, view.title, overview.BASE), view
    )


@get(f"{AGENCIES}/{{agency:str}}", opt={"access": "agency.read"}, sync_to_thread=True)
def agency_page(
    request: Request[Any, Any, Any], agency: FromPath[str], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk], r: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """An agency with its work and its data."""
    span = Span.of(r or "30d", desk.now())
    view = subjects.agency(desk, actor, lang_of(request), span, agency)
    return site.page(request, "agency.html", site.shell(request, view.name, overview.BASE), view)


router = Router("/", route_handlers=[indicator_page, agency_page], include_in_schema=False)
