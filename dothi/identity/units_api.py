"""Administrative units through HTTP: lists, one with its history, outlines for maps."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from dothi.identity import units_read
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, require
from dothi.identity.units import Level, Scale, Unit, UnitLink
from dothi.identity.units_read import MOST_UNITS, Wanted
from dothi.store.database import Database

GEOJSON = "application/geo+json"
DOOR = Resource("unit")

AtLevel = Annotated[Level | None, QueryParameter(description="province, district or commune")]
Parent = Annotated[
    str | None, QueryParameter(max_length=20, description="Code of a unit that holds them")
]
At = Annotated[
    date | None, QueryParameter(description="The day they stand on; today when not given")
]
Name = Annotated[
    str | None, QueryParameter(max_length=100, description="Part of the name; accents may lack")
]


@get("/units", opt={"access": "unit.read"}, sync_to_thread=True)
def list_units(
    actor: NamedDependency[Actor],
    db: NamedDependency[Database],
    level: AtLevel = None,
    parent: Parent = None,
    at: At = None,
    q: Name = None,
    after: Annotated[str | None, QueryParameter(max_length=20)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_UNITS)] = 100,
) -> dict[str, Any]:
    """Units in Vietnamese order. `next` is the value of `after` for the next page."""
    require(actor, "unit.read", DOOR)
    wanted = Wanted(at or units_read.today(), level, parent, q)
    with db.transaction() as conn:
        found, mark = units_read.units(conn, wanted, after=after, limit=limit)
    return {"at": wanted.at, "units": [_described(one) for one in found], "next": mark}


@get("/units/{unit:str}", opt={"access": "unit.read"}, sync_to_thread=True)
def show_unit(
    unit: FromPath[str], actor: NamedDependency[Actor], db: NamedDependency[Database]
) -> dict[str, Any]:
    """All that a code has stood for, oldest first, and what became of it."""
    require(actor, "unit.read", DOOR)
    with db.transaction() as conn:
        versions = units_read.history(conn, unit)
        links = units_read.links(conn, unit)
    return {
        "code": versions[0].code,
        "level": versions[0].level,
        "versions": [_described(one) for one in versions],
        "links": [_link(link) for link in links],
    }


@get("/units.geojson", opt={"access": "unit.read"}, media_type=GEOJSON, sync_to_thread=True)
def units_geojson(
    actor: NamedDependency[Actor],
    db: NamedDependency[Database],
    level: AtLevel = None,
    parent: Parent = None,
    at: At = None,
    scale: Annotated[
        Scale | None,
        QueryParameter(
            description="For the map of a commune, a province, the country; or as given"
        ),
    ] = None,
) -> Response[bytes]:
    """Units for a map: their outlines where there are any, else their points."""
    require(actor, "unit.read", DOOR)
    wanted = Wanted(at or units_read.today(), level, parent)
    with db.transaction() as conn:
        body = b"".join(units_read.features(conn, wanted, scale))
    return Response(body, media_type=GEOJSON)


def _described(one: Unit) -> dict[str, Any]:
    """A unit as the doors answer it. `verify`: no source names the legal basis."""
    return {
        "code": one.code, "level": one.level, "kind": one.kind, "name": one.name,
        "name_en": one.name_en, "parent": one.parent, "valid_from": one.valid_from,
        "valid_to": one.valid_to, "legal_basis": one.legal_basis,
        "verify": one.legal_basis is None, "lon": one.lon, "lat": one.lat,
        "population": one.population, "area_km2": one.area_km2, "outline": one.has_shape,
        "sources": one.sources,
    }  # fmt: skip


def _link(link: UnitLink) -> dict[str, Any]:
    return {
        "day": link.day, "kind": link.kind,
        "old": {"code": link.old, "name": link.old_name},
        "new": {"code": link.new, "name": link.new_name},
        "legal_basis": link.legal_basis, "verify": link.legal_basis is None,
        "source": link.source, "row": link.row,
    }  # fmt: skip


router = Router("/api/v1", route_handlers=[list_units, show_unit, units_geojson])
