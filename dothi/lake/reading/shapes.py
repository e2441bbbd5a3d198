"""Shapes as text: WKT in degrees of WGS 84, points with lon and lat beside it."""

from __future__ import annotations

import json
from typing import Any

import numpy
import shapely
from shapely import wkb, wkt

from dothi.lake.reading.limits import MOST_GEOMETRY
from dothi.lake.reading.refused import Refused

MOST_CRS = 64 * 1024
"""Characters of the text that describes a coordinate system."""
_DEGREES = ("EPSG:4326", "OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", "CRS84")


class Shapes:
    """Turns the shapes of one layer into columns. `crs` is its coordinate system, as EPSG code or
    WKT; None means degrees."""

    def __init__(self, crs: str | None) -> None:
        self.notes: dict[str, Any] = {}
        self._to_degrees: Any = None
        if crs is None or crs in _DEGREES:
            return
        if len(crs) > MOST_CRS:
            raise Refused("reading.bad_crs", name=crs[:60])
        from pyproj import CRS, Transformer
        from pyproj.exceptions import ProjError

        try:
            known = CRS.from_user_input(crs)
            self.notes["crs"] = known.name
            if epsg := known.to_epsg(50):
                self.notes["epsg"] = epsg
            if not known.equals(CRS.from_epsg(4326), ignore_axis_order=True):
                self._to_degrees = Transformer.from_crs(known, 4326, always_xy=True)
        except ProjError as error:
            raise Refused("reading.bad_crs", name=crs[:60]) from error

    def from_geojson(self, geometry: dict[str, Any] | None, row: int) -> dict[str, Any]:
        """Columns for a GeoJSON geometry."""
        if geometry is None:
            return {"geometry": None}
        try:
            return self.columns(shapely.from_geojson(json.dumps(geometry)), row)
        except (shapely.errors.GEOSException, ValueError, TypeError) as error:
            raise Refused("reading.bad_geometry", row=row) from error

    def from_wkb(self, data: bytes | None, row: int) -> dict[str, Any]:
        """Columns for a geometry in well-known binary."""
        if not data:
            return {"geometry": None}
        try:
            return self.columns(wkb.loads(data), row)
        except (shapely.errors.GEOSException, ValueError, TypeError) as error:
            raise Refused("reading.bad_geometry", row=row) from error

    def columns(self, shape: Any, row: int) -> dict[str, Any]:
        """Columns for a shape of shapely's."""
        if self._to_degrees is not None:
            shape = shapely.transform(shape, self._project)
        if shape is None or shape.is_empty:
            return {"geometry": None}
        west, south, east, north = shape.bounds
        if not (-1e9 < west <= east < 1e9 and -1e9 < south <= north < 1e9):
            raise Refused("reading.bad_geometry", row=row)
        text = wkt.dumps(shapely.force_2d(shape), trim=True, rounding_precision=7)
        if len(text) > MOST_GEOMETRY:
            raise Refused("reading.cell_too_long", most=MOST_GEOMETRY)
        if shape.geom_type == "Point":
            return {"geometry": text, "lon": round(shape.x, 7), "lat": round(shape.y, 7)}
        return {"geometry": text}

    def _project(self, places: Any) -> Any:
        return numpy.column_stack(self._to_degrees.transform(places[:, 0], places[:, 1]))
