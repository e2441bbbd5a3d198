"""Draws the fictional province Sông Hạ as GeoJSON: communes, rivers, roads, places, the sea.

``python -m tests.browser.province FILE`` writes the map's ground as `MapView` describes it. The
same seed always gives the same province; no boundary or name is taken from a real one.
"""

import json
import math
import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from shapely import (
    LineString,
    MultiPoint,
    Point,
    Polygon,
    get_parts,
    line_merge,
    union_all,
    voronoi_polygons,
)
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import polygonize

CENTRE = (106.32, 20.52)
BOUNDS = (105.92, 20.24, 106.72, 20.80)
NAMES = """
Đông Thành, Kim Sơn, An Lạc, Gia Hòa, Tân Hưng, Mỹ Đức, Trường Yên, Liên Châu,
Việt Tiến, Phượng Cách, Tam Giang, Đại Đồng, Ngọc Lâm, Văn Hội, Tiên Động, Tứ Kỳ,
Đức Giang, Hưng Đạo, Thanh Bình, Thái Sơn, Hòa Bình, Quảng Phú, Kiến Quốc, Minh Tân,
An Bồi, Xuân Quang, Thượng Cát, Yên Mỹ, Cẩm Phúc, Phú Lương, Bình Minh, Hải Triều,
Vĩnh Lộc, Trung Nghĩa, Tân Dân, Đồng Tâm, Hồng Phong, Nam Cường, Lạc Thủy, Song An,
Phúc Khánh, Hợp Tiến, Vạn Xuân, Thiện Phiến, Đông Hải, Nghĩa Phong
"""


def province(seed: int = 7) -> dict[str, Any]:
    """The FeatureCollection. Features carry `kind`; communes and places carry `name`."""
    chance = random.Random(seed)
    outline = _blob(chance)
    cells = _communes(chance, outline)
    ground = union_all(cells)
    sea = Polygon(
        [
            (108.5, 19.0),
            (108.5, 22.0),
            (106.66, 22.0),
            (106.60, 20.72),
            (106.63, 20.5),
            (106.56, 20.28),
            (106.6, 19.0),
        ]
    )
    features = [_feature(sea.buffer(0.02).buffer(-0.02), "sea")]
    centre = Point(CENTRE)
    order = sorted(
        range(len(cells)), key=lambda i: cells[i].representative_point().distance(centre)
    )
    names = [name.strip() for name in NAMES.split(",")]
    places = []
    for rank, index in enumerate(order):
        cell = cells[index]
        name = names[rank] if rank < len(names) else f"Khu {rank}"
        kind = "Phường" if rank < 9 else "Xã"
        features.append(_feature(cell, "commune", name=f"{kind} {name}"))
        places.append(_feature(cell.representative_point(), "place", name=name, rank=rank))
    lake = _ring(chance, (106.12, 20.49), 0.028, 0.018)
    features.append(_feature(lake, "water"))
    for width, points in _rivers():
        features.append(_feature(_wander(chance, points, 0.012), "river", width=width))
    for points in _roads():
        road = _wander(chance, points, 0.006).intersection(ground)
        features.append(_feature(road, "road"))
    features.append(_feature(ground, "province", name="Tỉnh Sông Hạ"))
    return {"type": "FeatureCollection", "features": features + places}


def _blob(chance: random.Random) -> Polygon:
    phases = [chance.uniform(0, math.tau) for _ in range(5)]
    points = []
    for step in range(48):
        angle = step / 48 * math.tau
        radius = 1 + sum(math.sin((k + 2) * angle + phases[k]) * 0.12 / (k + 1) for k in range(5))
        points.append(
            (
                CENTRE[0] + 0.34 * radius * math.cos(angle),
                CENTRE[1] + 0.235 * radius * math.sin(angle),
            )
        )
    return Polygon(_wander(chance, [*points, points[0]], 0.008).coords)


def _communes(chance: random.Random, outline: Polygon) -> list[Polygon]:
    west, south, east, north = outline.bounds
    seeds: list[Point] = []
    while len(seeds) < 46:
        point = Point(chance.uniform(west, east), chance.uniform(south, north))
        # Small units in the middle, large ones outside, as in a province with one urban core.
        crowded = math.exp(-((point.distance(Point(CENTRE)) / 0.13) ** 2))
        if outline.contains(point) and chance.random() < 0.25 + crowded:
            seeds.append(point)
    for _ in range(3):
        seeds = [cell.centroid for cell in _cells(seeds, outline)]
    edges = union_all([cell.boundary for cell in _cells(seeds, outline)])
    lines = [LineString(line.coords) for line in get_parts(line_merge(edges))]
    coast = outline.boundary.buffer(1e-6)
    rough = [
        line
        if coast.contains(line)
        else _wander(random.Random(str(line.bounds)), list(line.coords), 0.0045, smooth=False)
        for line in lines
    ]
    return [cell for cell in polygonize(union_all(rough)) if cell.area > 1e-5]


def _cells(seeds: list[Point], outline: Polygon) -> list[Polygon]:
    cells = get_parts(voronoi_polygons(MultiPoint(seeds), extend_to=outline.buffer(0.3)))
    inside = [get_parts(cell.intersection(outline)) for cell in cells]
    return [max(parts, key=lambda part: part.area) for parts in inside if len(parts)]


def _wander(
    chance: random.Random, points: Sequence[Sequence[float]], size: float, smooth: bool = True
) -> LineString:
    """The line with detail: midpoints pushed aside, finer and finer, end points kept."""
    line = [(x, y) for x, y, *_ in points]
    for _ in range(4 if smooth else 2):
        finer = [line[0]]
        for (x1, y1), (x2, y2) in pairwise(line):
            length = math.hypot(x2 - x1, y2 - y1)
            push = chance.uniform(-1, 1) * min(size, length * 0.16) if length > 0.006 else 0
            middle = (
                (x1 + x2) / 2 - (y2 - y1) / (length or 1) * push,
                (y1 + y2) / 2 + (x2 - x1) / (length or 1) * push,
            )
            finer += [middle, (x2, y2)] if length > 0.006 else [(x2, y2)]
        line = finer
        size /= 1.8
    return _chaikin(line) if smooth else LineString(line)


def _chaikin(line: list[tuple[float, float]]) -> LineString:
    for _ in range(2):
        cut = [line[0]]
        for (x1, y1), (x2, y2) in pairwise(line):
            cut += [
                (0.75 * x1 + 0.25 * x2, 0.75 * y1 + 0.25 * y2),
                (0.25 * x1 + 0.75 * x2, 0.25 * y1 + 0.75 * y2),
            ]
        line = [*cut, line[-1]]
    return LineString(LineString(line).simplify(0.0004).coords)


def _ring(chance: random.Random, centre: tuple[float, float], rx: float, ry: float) -> BaseGeometry:
    points = []
    for step in range(24):
        angle = step / 24 * math.tau
        radius = chance.uniform(0.82, 1.1)
        points.append(
            (centre[0] + rx * radius * math.cos(angle), centre[1] + ry * radius * math.sin(angle))
        )
    return Polygon(points).buffer(0.004).simplify(0.0005)


def _rivers() -> list[tuple[int, list[tuple[float, float]]]]:
    return [
        (
            9,
            [
                (105.7, 20.70),
                (105.98, 20.68),
                (106.1, 20.64),
                (106.22, 20.65),
                (106.30, 20.58),
                (106.36, 20.55),
                (106.45, 20.54),
                (106.53, 20.47),
                (106.62, 20.43),
                (106.75, 20.40),
            ],
        ),
        (
            5,
            [
                (106.29, 20.59),
                (106.25, 20.52),
                (106.22, 20.46),
                (106.16, 20.40),
                (106.15, 20.30),
                (106.13, 20.1),
            ],
        ),
        (3, [(106.44, 20.9), (106.42, 20.74), (106.45, 20.66), (106.43, 20.60), (106.45, 20.54)]),
    ]


def _roads() -> list[list[tuple[float, float]]]:
    return [
        [
            (105.8, 20.55),
            (106.05, 20.56),
            (106.2, 20.535),
            (106.32, 20.52),
            (106.45, 20.50),
            (106.65, 20.53),
        ],
        [(106.28, 20.9), (106.31, 20.7), (106.32, 20.52), (106.33, 20.40), (106.38, 20.15)],
        [(106.0, 20.35), (106.18, 20.42), (106.32, 20.52), (106.42, 20.62), (106.55, 20.75)],
        [(106.12, 20.75), (106.22, 20.62), (106.32, 20.52), (106.40, 20.44), (106.55, 20.36)],
    ]


def _feature(geometry: BaseGeometry, kind: str, **properties: object) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"kind": kind, **properties},
        "geometry": _rounded(mapping(geometry)),
    }


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(
        json.dumps(province(), ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
