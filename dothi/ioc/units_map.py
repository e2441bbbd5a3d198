"""Outlines of administrative units as GeoJSON, for maps."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from dothi.identity import units_read
from dothi.identity.units import Unit
from dothi.identity.units_read import Wanted
from dothi.ioc.desk import Desk
from dothi.kernel.errors import Invalid, NotFound
from dothi.packs.province import province_geojson

MOST_GROUND = 2_000
"""Units that a map under stations shows at most."""
MARGIN = 0.15
"""How much of a unit's size its map shows beside it."""
_GROUND = {"sea", "water", "river", "road"}

Bounds = tuple[float, float, float, float]


def wider(bounds: Bounds) -> Bounds:
    """The rectangle with some room around it."""
    west, south, east, north = bounds
    edge = max(east - west, north - south, 0.02) * MARGIN
    return west - edge, south - edge, east + edge, north + edge


def around(unit: Unit) -> Bounds | None:
    """A rectangle around the point of a unit without an outline; None without a point."""
    if unit.lon is None or unit.lat is None:
        return None
    return unit.lon - 0.08, unit.lat - 0.08, unit.lon + 0.08, unit.lat + 0.08


def map_of(desk: Desk, wanted: Wanted) -> bytes:
    """The ground of a list's map: the units as `commune`, the units above them as `province`."""
    with desk.db.transaction() as conn:
        drawn = json.loads(b"".join(units_read.features(conn, wanted)))
    return _collection(desk, drawn["features"], None)


def ground(desk: Desk, within: str) -> bytes:
    """What lies under the stations of a rectangle ("west,south,east,north"): the demonstration's own
    map, else the communes of today, or the provinces where there are too many of them."""
    if desk.demo:
        return province_geojson()
    if not within:
        return _collection(desk, [], None)
    try:
        west, south, east, north = (float(edge) for edge in within.split(","))
    except ValueError as error:
        raise Invalid("units.bad_bounds") from error
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise Invalid("units.bad_bounds")
    found = []
    with desk.db.transaction() as conn:
        for level in ("province", "commune"):
            wanted = Wanted(units_read.today(), level, within=(west, south, east, north))
            if units_read.count(conn, wanted) <= MOST_GROUND:
                drawn = b"".join(units_read.features(conn, wanted, "middle"))
                found += json.loads(drawn)["features"]
    return _collection(desk, found, None)


def map_around(desk: Desk, code: str, day: date) -> bytes:
    """The ground of a unit's map: itself as `chosen`, its neighbours, what else lies there."""
    with desk.db.transaction() as conn:
        unit = units_read.unit(conn, code, day)
        if unit is None:
            raise NotFound("units.not_found", code=code[:60])
        outline = units_read.outline(conn, code, day)
        bounds = outline.bounds if outline else around(unit)
        found = []
        if bounds:
            wanted = Wanted(day, unit.level, within=wider(bounds))
            found = json.loads(b"".join(units_read.features(conn, wanted, "near")))["features"]
    return _collection(desk, found, code)


def _collection(desk: Desk, found: list[dict[str, Any]], chosen: str | None) -> bytes:
    features = [f for f in json.loads(province_geojson())["features"]
                if f["properties"]["kind"] == "sea"] if desk.demo else []  # fmt: skip
    names = []
    outer = len({f["properties"]["level"] for f in found}) > 1
    for rank, feature in enumerate(sorted(found, key=lambda f: f["id"] != chosen)):
        about, shape = feature["properties"], feature["geometry"]
        here = feature["id"] == chosen
        name = {"name": about["name"], "code": feature["id"]}
        if shape and shape["type"] != "Point":
            kind = (
                "chosen"
                if here
                else "province"
                if outer and about["level"] == "province"
                else "commune"
            )
            features.append(_feature(kind, shape, **name))
        elif shape:
            features.append(_feature("spot", shape, **name, chosen=here))
        if about["point"] is not None and not (outer and about["level"] == "province"):
            at = {"type": "Point", "coordinates": about["point"]}
            aside = shape["type"] == "Point"
            names.append(_feature("place", at, **name, rank=rank, aside=aside))
    if desk.demo:
        features += [f for f in json.loads(province_geojson())["features"]
                     if f["properties"]["kind"] in _GROUND - {"sea"}]  # fmt: skip
    return json.dumps(
        {"type": "FeatureCollection", "features": [*features, *names]}, ensure_ascii=False
    ).encode()


def _feature(kind: str, geometry: dict[str, Any], **properties: object) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"kind": kind} | properties, "geometry": geometry}
