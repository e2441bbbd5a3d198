"""The addresses of administrative units: the list, one unit, their maps."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from dothi.identity import units_read
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, require
from dothi.identity.units import Level
from dothi.identity.units_read import Wanted
from dothi.ioc import units, units_map, units_measured
from dothi.ioc.catalogue import DATA, UNITS
from dothi.ioc.desk import Desk
from dothi.kernel.i18n import t
from dothi.web.access import lang_of
from dothi.web.site import Site

DOOR = Resource("unit")
Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=100)]


@get(UNITS, opt={"access": "unit.read"}, sync_to_thread=True)
def unit_list(
    request: Asked,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    q: Text = "",
    level: Text = "",
    parent: Text = "",
    at: FromQuery[date | None] = None,
    after: FromQuery[str | None] = None,
) -> Response[str]:
    """Units by name, as they stand on a day."""
    lang = lang_of(request)
    require(actor, "unit.read", DOOR)
    view = units.listing(
        desk, actor, lang, q=q.strip(), level=level, parent=parent, at=at, after=after
    )
    shell = site.shell(request, t("units.page_title", lang), DATA)
    return site.page(request, "units.html", shell, view)


@get(f"{UNITS}/map.geojson", opt={"access": "unit.read"}, sync_to_thread=True)
def list_map(
    actor: NamedDependency[Actor],
    desk: NamedDependency[Desk],
    at: FromQuery[date | None] = None,
    level: FromQuery[Level | None] = None,
    parent: Text = "",
    q: Text = "",
) -> Response[bytes]:
    """The map of a list."""
    require(actor, "unit.read", DOOR)
    wanted = Wanted(at or units_read.today(), level, parent or None, q or None)
    return _map(units_map.map_of(desk, wanted))


@get(f"{UNITS}/{{unit:str}}", opt={"access": "unit.read"}, sync_to_thread=True)
def unit_page(
    request: Asked,
    unit: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    at: FromQuery[date | None] = None,
) -> Response[str]:
    """One unit: what it is, what it came from, what became of it, what is measured in it."""
    lang = lang_of(request)
    require(actor, "unit.read", DOOR)
    view = units.one(desk, actor, lang, unit, at)
    return site.page(request, "unit.html", site.shell(request, view.name, DATA), view)


@get(f"{UNITS}/{{unit:str}}/map.geojson", opt={"access": "unit.read"}, sync_to_thread=True)
def unit_map(
    unit: FromPath[str],
    actor: NamedDependency[Actor],
    desk: NamedDependency[Desk],
    at: FromQuery[date | None] = None,
) -> Response[bytes]:
    """The map of a unit and what lies around it."""
    require(actor, "unit.read", DOOR)
    return _map(units_map.map_around(desk, unit, at or units_read.today()))


@get(f"{DATA}/{{name:str}}/by-unit", opt={"access": "dataset.read"}, sync_to_thread=True)
def series_page(
    request: Asked,
    name: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    day: Annotated[date | None, QueryParameter(name="units")] = None,
    basis: Text = "population",
    parameter: Text = "",
    period: Text = "",
    unit: Text = "",
    sort: Text = "",
) -> Response[str]:
    """A series by the units of a day."""
    lang = lang_of(request)
    view = units_measured.series(
        desk, actor, lang, name, day=day, basis=basis, parameter=parameter, period=period,
        unit=unit, sort="value" if sort == "value" else "unit",
    )  # fmt: skip
    return site.page(request, "by_unit.html", site.shell(request, view.title, DATA), view)


def _map(body: bytes) -> Response[bytes]:
    headers = {"cache-control": "private, max-age=300"}
    return Response(body, media_type="application/geo+json", headers=headers)


router = Router(
    "/",
    route_handlers=[unit_list, list_map, unit_page, unit_map, series_page],
    include_in_schema=False,
)
