"""The demonstration province is a sound map: the same each time, without gaps, with proper names."""

import gzip
import json
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import pytest
import shapely
import yaml
from shapely.geometry import shape

from dothi.kernel.text import search_key
from dothi.packs.demo.spec import demo_spec
from dothi.packs.load import shipped
from dothi.packs.province import (
    Province,
    draw,
    province,
    province_bounds,
    province_geojson,
)


@pytest.fixture(scope="module")
def drawn() -> Province:
    return province()


@pytest.fixture(scope="module")
def features() -> list[dict[str, Any]]:
    collection = json.loads(province_geojson())
    assert collection["type"] == "FeatureCollection"
    return collection["features"]


def test_another_process_draws_the_same_map() -> None:
    show = (
        "import sys; from dothi.packs.province import province_geojson as p;"
        "sys.stdout.buffer.write(p())"
    )
    other = subprocess.run([sys.executable, "-c", show], capture_output=True, check=True)
    assert other.stdout == province_geojson()


def test_another_seed_draws_another_map(drawn: Province) -> None:
    spec = yaml.safe_load((shipped() / "province.yaml").read_text("utf-8"))
    spec["seed"] += 1
    try:
        other = draw(spec)
    except ValueError as error:
        assert "try another seed" in str(error)
    else:
        assert [c.label for c in other.communes] != [c.label for c in drawn.communes]


def test_the_map_is_small_and_quickly_drawn() -> None:
    body = province_geojson()
    assert len(body) <= 150_000
    assert len(gzip.compress(body)) <= 50_000
    spec = yaml.safe_load((shipped() / "province.yaml").read_text("utf-8"))
    begun = time.process_time()
    draw(spec)
    assert time.process_time() - begun < 1.5


def test_there_are_64_units_as_the_law_has_known_them_since_july_2025(drawn: Province) -> None:
    assert Counter(c.type for c in drawn.communes) == {"phường": 13, "xã": 50, "đặc khu": 1}
    assert drawn.communes[0].title == "Phường Đông Thành"
    text = province_geojson().decode().casefold()
    assert not [word for word in ("huyện", "quận", "thị xã", "thành phố") if word in text]


def test_names_and_codes_are_each_used_once_and_composed(drawn: Province) -> None:
    names = [c.name for c in drawn.communes]
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
    assert len({search_key(name) for name in names}) == 64
    assert len({c.code for c in drawn.communes}) == 64


def test_communes_meet_without_gap_or_overlap_and_together_are_the_province(
    drawn: Province,
) -> None:
    areas = [c.area for c in drawn.communes]
    assert shapely.is_valid(areas).all()
    assert all(len(area.interiors) == 0 for area in areas)
    assert shapely.coverage_is_valid(areas)
    assert shapely.union_all(areas).equals(drawn.area)
    assert sum(area.area for area in areas) == pytest.approx(drawn.area.area, rel=1e-12)


def test_each_point_of_an_inner_border_is_a_point_of_the_neighbour_too(drawn: Province) -> None:
    outer = {p for part in drawn.area.geoms for p in part.exterior.coords}
    owners = Counter(p for c in drawn.communes for p in set(c.area.exterior.coords))
    assert [p for p, count in owners.items() if count == 1 and p not in outer] == []


def test_borders_look_drawn_by_nature_not_by_a_ruler(drawn: Province) -> None:
    mainland = max(drawn.area.geoms, key=lambda part: part.area)
    assert len(mainland.exterior.coords) > 300
    assert mainland.length > 1.05 * mainland.convex_hull.length
    corners = [len(c.area.exterior.coords) for c in drawn.communes]
    assert min(corners) > 15
    assert float(np.median(corners)) > 40


def test_wards_are_the_small_units_in_the_middle(drawn: Province) -> None:
    wards = [c for c in drawn.communes if c.type == "phường"]
    others = [c for c in drawn.communes if c.type == "xã"]
    assert max(c.area.area for c in wards) < float(np.median([c.area.area for c in others]))
    assert shapely.union_all([c.area for c in wards]).geom_type == "Polygon"


def test_the_special_zone_is_an_island(drawn: Province) -> None:
    (island,) = [c.area for c in drawn.communes if c.type == "đặc khu"]
    assert island.boundary.distance(drawn.sea) == 0
    assert min(island.distance(c.area) for c in drawn.communes if c.area is not island) > 0.05


def test_land_and_sea_share_the_coast_and_nothing_else(drawn: Province) -> None:
    assert drawn.sea.is_valid
    assert drawn.sea.intersection(drawn.area).area == 0
    coast = drawn.sea.boundary.intersection(drawn.area.boundary)
    assert coast.length > 0.5


def test_the_river_runs_from_beyond_the_border_to_the_sea_and_takes_in_its_tributary(
    drawn: Province,
) -> None:
    main, tributary = drawn.rivers
    assert main.name == "Sông Hạ"
    assert main.line.crosses(drawn.area)
    assert shapely.Point(main.line.coords[-1]).distance(drawn.sea) < 1e-4
    assert tributary.line.coords[-1] in set(main.line.coords)
    assert main.width > tributary.width
    assert all(drawn.area.contains(lake) for _, lake in drawn.lakes)
    assert len(drawn.roads) >= 4
    assert not any(road.intersection(drawn.sea).length > 1e-4 for road in drawn.roads)


def test_names_stand_inside_their_unit_and_off_the_water(drawn: Province) -> None:
    water = shapely.union_all([*(r.line for r in drawn.rivers), *(lake for _, lake in drawn.lakes)])
    for commune in drawn.communes:
        label = shapely.Point(commune.label)
        assert commune.area.contains(label), commune.name
        assert label.distance(water) > 0.005, commune.name


def test_the_file_is_what_the_map_draws(features: list[dict[str, Any]]) -> None:
    kinds = Counter(f["properties"]["kind"] for f in features)
    assert kinds == {
        "sea": 1, "commune": 64, "water": 1, "river": 2, "road": 6, "province": 1, "place": 64,
    }  # fmt: skip
    assert all(shape(f["geometry"]).is_valid for f in features)
    by_name = {}
    for feature in features:
        about = feature["properties"]
        if about["kind"] == "commune":
            assert {"name", "type", "code", "label"} <= about.keys()
            by_name[about["name"]] = about["label"]
        if about["kind"] == "place":
            assert feature["geometry"]["coordinates"] == by_name[about["name"]]
    ranks = [f["properties"]["rank"] for f in features if f["properties"]["kind"] == "place"]
    assert sorted(ranks) == list(range(64))


def test_coordinates_have_five_decimals_and_lie_off_the_coast(
    features: list[dict[str, Any]],
) -> None:
    west, south, east, north = province_bounds()
    assert (109.5 < west < east < 110.6) and (13.7 < south < north < 14.5)
    for feature in features:
        places = shapely.get_coordinates(shape(feature["geometry"]))
        assert np.abs(places - places.round(5)).max() < 1e-12


def test_stations_stand_in_the_communes_they_name_on_dry_land(drawn: Province) -> None:
    lakes = shapely.union_all([lake for _, lake in drawn.lakes])
    stations = demo_spec().stations
    for station in stations:
        place = shapely.Point(station.lon, station.lat)
        assert drawn.commune(station.commune).area.contains(place), station.code
        assert not lakes.contains(place), station.code
    assert len({s.commune for s in stations}) == len(stations) == 24
