"""The demonstration province's map: communes, coast, rivers and roads, drawn from `province.yaml`.

The same file always gives the same map. Borders are arcs that two neighbours share point by point,
so there is neither gap nor overlap between communes, and together they are the province. Drawing
happens in kilometres from the provincial seat; features are in longitude and latitude (WGS 84).
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import shapely
import yaml
from numpy.typing import NDArray
from shapely import LineString, MultiPoint, MultiPolygon, Point, Polygon
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from dothi.kernel.text import nfc
from dothi.packs.load import shipped

Position = tuple[float, float]
UnitType = Literal["phường", "xã", "đặc khu"]
Bounds = tuple[float, float, float, float]

DECIMALS = 5
"""About a metre: finer than any border drawn here."""
_KM_PER_DEGREE = 111.32
_FAR_KM = 160.0
"""How far the sea reaches beyond the province's own map."""
_TOLERANCE_KM = 0.04
_BESIDE_WATER_DEG = 0.006
"""How far a name keeps away from rivers and lakes."""
_SAMPLES = 6_000
_ROUNDS = 40


@dataclass(frozen=True)
class Commune:
    """A unit of the level below the province. `label` is where its name stands, well inside."""

    code: str
    name: str
    type: UnitType
    area: Polygon
    label: Position

    @property
    def title(self) -> str:
        """As it is written in full: "Phường Kim Sơn"."""
        return f"{self.type.capitalize()} {self.name}"


@dataclass(frozen=True)
class Course:
    """A river. `width` is that of the line on a map, in pixels."""

    name: str
    width: int
    line: LineString


@dataclass(frozen=True)
class Province:
    """All that the map shows, in longitude and latitude."""

    name: str
    communes: tuple[Commune, ...]
    area: MultiPolygon
    sea: Polygon
    lakes: tuple[tuple[str, Polygon], ...]
    rivers: tuple[Course, ...]
    roads: tuple[BaseGeometry, ...]

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north."""
        west, south, east, north = self.area.bounds
        return west, south, east, north

    def commune(self, name: str) -> Commune:
        """The commune of that name; KeyError when there is none."""
        for commune in self.communes:
            if commune.name == name:
                return commune
        raise KeyError(name)


@cache
def province() -> Province:
    """Tỉnh Sông Hạ, drawn once a process."""
    return draw(yaml.safe_load((shipped() / "province.yaml").read_text("utf-8")))


@cache
def province_geojson() -> bytes:
    """The map's ground as GeoJSON, as `MapView` describes it; drawn once a process.

    Besides communes there is a point of kind `place` for each name, ranked so that the names shown
    first lie far apart, and the open water is of kind `sea`, inland water of kind `water`.
    """
    return json.dumps(_collection(province()), ensure_ascii=False, separators=(",", ":")).encode()


def province_bounds() -> Bounds:
    """West, south, east, north of the province with its islands."""
    return province().bounds


def draw(spec: dict[str, Any]) -> Province:
    """The map of a specification in the form of `province.yaml`.

    Raises ValueError where the file asks for something that cannot be drawn.
    """
    ground = _Ground(spec["seat"], f"{spec['seed']}")
    outline = Polygon(_spline([*spec["outline"], spec["outline"][0]], closed=True))
    count = len(spec["wards"]) + len(spec["communes"])
    seeds = _seeds(outline, count, spec["crowding"], ground.chance())
    cells = _cells(ground, outline, seeds)
    islands = [_blob(ground, one["name"], one["at"], one["radius"]) for one in spec["islands"]]
    mainland = shapely.unary_union(cells)
    assert isinstance(mainland, Polygon)
    sea = _sea(ground, mainland, spec["coast"], islands)
    rivers = _rivers(ground, spec["rivers"], sea)
    lakes = tuple(
        (nfc(one["name"]), _blob(ground, one["name"], one["at"], one["radius"]))
        for one in spec["lakes"]
    )
    water = shapely.union_all([*(r.line for r in rivers), *(lake for _, lake in lakes)])
    return Province(
        name=nfc(spec["name"]),
        communes=_named(spec, seeds, [*cells, *islands], water.buffer(_BESIDE_WATER_DEG, 2)),
        area=shapely.multipolygons([mainland, *islands]),
        sea=sea,
        lakes=lakes,
        rivers=rivers,
        roads=tuple(_road(ground, i, course, sea) for i, course in enumerate(spec["roads"])),
    )


# -- communes -------------------------------------------------------------------------------------


def _seeds(
    outline: Polygon, count: int, crowding: dict[str, float], chance: random.Random
) -> NDArray[np.float64]:
    """Middles of communes: spread evenly, but closer together around the seat.

    k-means over points that are drawn more often near the seat.
    """
    west, south, east, north = outline.bounds
    points: list[Position] = []
    most = 1 + crowding["factor"]
    shapely.prepare(outline)
    while len(points) < _SAMPLES:
        at = chance.uniform(west, east), chance.uniform(south, north)
        weight = 1 + crowding["factor"] * math.exp(-((math.hypot(*at) / crowding["reach"]) ** 2))
        if chance.random() * most < weight and shapely.contains_xy(outline, *at):
            points.append(at)
    cloud = np.array(points)
    x, y = cloud[:, 0], cloud[:, 1]
    seeds = cloud[:count].copy()
    for _ in range(_ROUNDS):
        nearest = (np.subtract.outer(x, seeds[:, 0]) ** 2
                   + np.subtract.outer(y, seeds[:, 1]) ** 2).argmin(axis=1)  # fmt: skip
        members = np.bincount(nearest, minlength=count)
        for axis in (0, 1):
            sums = np.bincount(nearest, cloud[:, axis], minlength=count)
            seeds[:, axis] = np.where(members, sums / np.maximum(members, 1), seeds[:, axis])
    return seeds


def _cells(ground: _Ground, outline: Polygon, seeds: NDArray[np.float64]) -> list[Polygon]:
    """One area around each seed: Voronoi cells whose arcs were bent, each arc once for both sides."""
    edges = shapely.voronoi_polygons(
        MultiPoint(seeds), extend_to=outline.buffer(40), only_edges=True
    )
    pieces = shapely.get_parts(shapely.unary_union([edges, outline.boundary]))
    middles = shapely.line_interpolate_point(pieces, 0.5, normalized=True)
    kept = pieces[shapely.distance(middles, outline) < 1e-9]
    arcs = [
        _oriented(arc) for arc in shapely.get_parts(shapely.line_merge(shapely.union_all(kept)))
    ]
    arcs.sort(key=lambda arc: arc.coords[0] + arc.coords[-1])
    bent = _apart(ground, arcs)
    faces = shapely.get_parts(shapely.polygonize(bent))
    found = shapely.STRtree(faces).query(ground.points(seeds), predicate="within")
    if len(faces) != len(seeds) or sorted(found[1]) != list(range(len(faces))):
        raise ValueError(f"{len(seeds)} communes asked for, {len(faces)} drawn: try another seed")
    order = dict(zip(found[0], found[1], strict=True))
    drawn = [faces[order[i]] for i in range(len(seeds))]
    return [area for area in drawn if isinstance(area, Polygon)]


def _apart(ground: _Ground, arcs: Sequence[LineString]) -> list[LineString]:
    """The arcs with detail; those that would cross another get less of it."""
    force = [1.0] * len(arcs)
    while True:
        bent = [
            ground.line(_bent(arc, ground.chance(arc), strength), smooth=True)
            for arc, strength in zip(arcs, force, strict=True)
        ]
        crossing = _crossing(bent)
        if not crossing or min(force[i] for i in crossing) < 0.02:
            return bent
        for i in crossing:
            force[i] /= 2


def _crossing(lines: Sequence[LineString]) -> set[int]:
    """Which lines cross another or themselves; meeting at their ends is no crossing."""
    tree = shapely.STRtree(lines)
    pairs = tree.query(lines, predicate="crosses")
    loops = np.flatnonzero(~shapely.is_simple(lines))
    return {int(i) for i in (*pairs[0], *loops)}


def _named(
    spec: dict[str, Any],
    seeds: NDArray[np.float64],
    areas: Sequence[Polygon],
    water: BaseGeometry,
) -> tuple[Commune, ...]:
    """Names by place: wards from the seat outwards, the others from the hills to the sea."""
    by_distance = np.argsort(np.hypot(seeds[:, 0], seeds[:, 1]), kind="stable")
    wards = [int(i) for i in by_distance[: len(spec["wards"])]]
    others = sorted(set(range(len(seeds))) - set(wards), key=lambda i: seeds[i, 0])
    islands = range(len(seeds), len(areas))
    island_names = [one["name"] for one in spec["islands"]]
    listed: list[tuple[str, UnitType, int]] = [
        *((name, "phường", i) for name, i in zip(spec["wards"], wards, strict=True)),
        *((name, "xã", i) for name, i in zip(spec["communes"], others, strict=True)),
        *((name, "đặc khu", i) for name, i in zip(island_names, islands, strict=True)),
    ]
    return tuple(
        Commune(f"SH-{number:02d}", nfc(name), type_, areas[i], _label(areas[i], water))
        for number, (name, type_, i) in enumerate(listed, 1)
    )


def _label(area: Polygon, water: BaseGeometry) -> Position:
    """The middle of the largest circle on dry land."""
    dry = area.difference(water)
    circles = shapely.maximum_inscribed_circle([area if dry.is_empty else dry])
    x, y = shapely.get_coordinates(circles)[0]
    return round(float(x), DECIMALS), round(float(y), DECIMALS)


# -- water and roads ------------------------------------------------------------------------------


def _sea(
    ground: _Ground, mainland: Polygon, coast: dict[str, Any], islands: Sequence[Polygon]
) -> Polygon:
    """The open water east of the coast, which goes on north and south of the province."""
    ring = mainland.exterior.coords[:-1]
    if not mainland.exterior.is_ccw:
        ring = ring[::-1]
    first, last = (_nearest(ring, ground.position(*coast[end])) for end in ("from", "to"))
    shore = (ring[last:] + ring[: first + 1]) if last > first else ring[last : first + 1]
    # Counter-clockwise the shore is walked from south to north.
    south = _wander(ground, "coast south", [coast["to"], *coast["south"]], 1.5)
    north = _wander(ground, "coast north", [coast["from"], *coast["north"]], 1.5)
    corners = [ground.position(_FAR_KM, _FAR_KM), ground.position(_FAR_KM, -_FAR_KM)]
    shell = [*south.coords[:0:-1], *shore, *north.coords[1:], *corners]
    return Polygon(shell, [island.exterior.coords for island in islands])


def _rivers(ground: _Ground, rivers: Sequence[dict[str, Any]], sea: Polygon) -> tuple[Course, ...]:
    """Rivers down to the sea, and tributaries down to a point of the river they flow into."""
    drawn: dict[str, Course] = {}
    for river in rivers:
        line = _wander(ground, river["name"], river["course"], 1.6)
        if "into" in river:
            target = list(drawn[river["into"]].line.coords)
            meeting = target[_nearest(target, line.coords[-1])]
            line = LineString([*line.coords[:-1], meeting])
        else:
            line = shapely.get_parts(line.difference(sea))[0]
        drawn[river["name"]] = Course(nfc(river["name"]), river["width"], ground.rounded(line))
    return tuple(drawn.values())


def _road(ground: _Ground, number: int, course: Sequence[Position], sea: Polygon) -> BaseGeometry:
    return ground.rounded(_wander(ground, f"road {number}", course, 0.7).difference(sea))


def _wander(ground: _Ground, name: str, course: Sequence[Position], reach_km: float) -> LineString:
    """A course as nature or people lead it: a smooth line through the points with small bends."""
    line = LineString(_spline(course))
    return ground.line(_bent(line, ground.chance(name), 1.0, reach_km), smooth=True)


def _blob(ground: _Ground, name: str, at: Position, radius: Position) -> Polygon:
    """A rounded, uneven area: a lake or an island."""
    chance = ground.chance(name)
    waves = [(k, chance.uniform(0, math.tau), 0.22 / k) for k in (2, 3, 5, 7)]
    shore = []
    for step in range(72):
        angle = step / 72 * math.tau
        size = 1 + sum(height * math.sin(k * angle + phase) for k, phase, height in waves)
        shore.append(
            (at[0] + radius[0] * size * math.cos(angle), at[1] + radius[1] * size * math.sin(angle))
        )
    return Polygon(ground.line(shore).coords)


# -- lines ----------------------------------------------------------------------------------------


class _Ground:
    """Where and with which chance a province is drawn: kilometres to degrees, rounded once."""

    def __init__(self, seat: Position, seed: str) -> None:
        self.seat = seat
        self.seed = seed
        self._east = _KM_PER_DEGREE * math.cos(math.radians(seat[1]))

    def chance(self, of: str | LineString = "") -> random.Random:
        """The dice of one line: what else is drawn does not move them."""
        if isinstance(of, LineString):
            of = ",".join(f"{c:.3f}" for end in (0, -1) for c in of.coords[end])
        return random.Random(f"{self.seed} {of}".strip())  # noqa: S311 - a map holds no secret

    def position(self, x: float, y: float) -> Position:
        """Longitude and latitude of a place, as they are written."""
        return (
            round(self.seat[0] + x / self._east, DECIMALS),
            round(self.seat[1] + y / _KM_PER_DEGREE, DECIMALS),
        )

    def points(self, places: NDArray[np.float64]) -> NDArray[np.object_]:
        """Many places at once."""
        return shapely.points([self.position(x, y) for x, y in places])

    def line(self, places: Sequence[Position], *, smooth: bool = False) -> LineString:
        """A line through places; `smooth` rounds its corners and keeps its ends."""
        if smooth:
            curve = LineString(_chaikin(_chaikin(places)))
            kept = curve.simplify(_TOLERANCE_KM, preserve_topology=False)
            places = [(x, y) for x, y in kept.coords]
        return LineString([self.position(x, y) for x, y in places])

    def rounded(self, geometry: Any) -> Any:
        """The same geometry with coordinates as they are written."""
        return shapely.transform(geometry, lambda places: places.round(DECIMALS))


def _spline(points: Sequence[Position], *, closed: bool = False) -> list[Position]:
    """A smooth curve through points (Catmull-Rom), a step for every four kilometres."""
    before, after = (points[-2], points[1]) if closed else (points[0], points[-1])
    padded = np.array([before, *points, after], dtype=float)
    curve: list[Position] = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        steps = max(2, round(math.dist(b, c) / 4))
        for t in np.arange(steps) / steps:
            x, y = (
                2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * b - a - 3 * c + d) * t**3
            ) / 2  # fmt: skip
            curve.append((float(x), float(y)))
    return [*curve, (float(points[-1][0]), float(points[-1][1]))]


def _bent(
    line: LineString, chance: random.Random, force: float, reach_km: float = 1.4
) -> list[Position]:
    """A line with detail: midpoints pushed aside, again and again, ends kept."""
    points: list[Position] = [(x, y) for x, y in line.coords]
    size = 0.24 * force
    while any(math.dist(a, b) > 1.3 for a, b in pairwise(points)):
        finer = points[:1]
        for (x1, y1), (x2, y2) in pairwise(points):
            length = math.hypot(x2 - x1, y2 - y1)
            if length > 1.3:
                push = chance.uniform(-1, 1) * min(size, reach_km * force / length)
                finer.append(((x1 + x2) / 2 - (y2 - y1) * push, (y1 + y2) / 2 + (x2 - x1) * push))
            finer.append((x2, y2))
        points = finer
    return points


def _chaikin(points: Sequence[Position]) -> list[Position]:
    """Corners cut once; the ends stay."""
    if len(points) < 3:
        return list(points)
    smooth = [points[0]]
    for (x1, y1), (x2, y2) in pairwise(points):
        smooth += [
            (0.75 * x1 + 0.25 * x2, 0.75 * y1 + 0.25 * y2),
            (0.25 * x1 + 0.75 * x2, 0.25 * y1 + 0.75 * y2),
        ]
    return [smooth[0], *smooth[2:-1], points[-1]]


def _oriented(arc: LineString) -> LineString:
    """The arc with its lesser end first, whichever way GEOS had walked it."""
    return arc if arc.coords[0] <= arc.coords[-1] else arc.reverse()


def _nearest(points: Sequence[Any], to: Any) -> int:
    return min(range(len(points)), key=lambda i: math.dist(points[i], to))


# -- GeoJSON --------------------------------------------------------------------------------------


def _collection(drawn: Province) -> dict[str, Any]:
    features = [_feature("sea", drawn.sea)]
    for one in drawn.communes:
        about = {"name": one.name, "type": one.type, "code": one.code, "label": one.label}
        features.append(_feature("commune", one.area, **about))
    features += [_feature("water", lake, name=name) for name, lake in drawn.lakes]
    features += [_feature("river", r.line, name=r.name, width=r.width) for r in drawn.rivers]
    features += [_feature("road", road) for road in drawn.roads]
    features.append(_feature("province", drawn.area, name=drawn.name))
    features += [
        _feature("place", Point(one.label), name=one.name, rank=rank)
        for rank, one in enumerate(_spread(drawn.communes))
    ]
    return {"type": "FeatureCollection", "features": features}


def _spread(communes: Sequence[Commune]) -> list[Commune]:
    """Communes from the first on, each next one as far as possible from those before."""
    left = list(communes)
    order = [left.pop(0)]
    while left:
        far = max(left, key=lambda one: min(math.dist(one.label, o.label) for o in order))
        left.remove(far)
        order.append(far)
    return order


def _feature(kind: str, geometry: BaseGeometry, **properties: object) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"kind": kind, **properties},
        "geometry": mapping(geometry),
    }
