"""The pages of administrative units: the list, one unit, their maps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dothi.identity.model import SYSTEM
from dothi.identity.units_import import import_files
from dothi.lake import registry
from tests.contract.world import REFORM, UNIT, World
from tests.integration.identity.test_units import outlines, square


@pytest.fixture(scope="module")
def drawn(town: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world with an outline for one commune, in which the gauge of a dataset stands."""
    path: Path = tmp_path_factory.mktemp("outlines") / "outlines.geojson"
    path.write_text(outlines(N=square(108.0, 12.9, 0.1)), "utf-8")
    import_files(town.house.db, [path], day=REFORM, actor=SYSTEM)
    for what in ("public", "other"):
        with town.house.db.transaction() as conn:
            registry.put_thing(
                conn, town.datasets[what], key=["G1"], name={"vi": f"Trạm {what}"}, lon=108.05,
                lat=12.95,
            )  # fmt: skip
    return town


def page(town: World, path: str, who: str = "anonymous", lang: str = "vi") -> str:
    with town.client(who, headers={"accept-language": lang}) as client:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_list_finds_names_without_accents(drawn: World) -> None:
    every = page(drawn, "/units?at=2026-01-01")
    assert "3 đơn vị" in every and "Đặc khu Cồn Hạ" in every
    found = page(drawn, "/units?q=an+ben&at=2026-01-01")
    assert "Phường An Bến" in found and "Đặc khu Cồn Hạ" not in found
    then = page(drawn, "/units?at=2025-06-30&level=commune")
    assert "Thị trấn Bến" in then and "Phường An Bến" not in then
    assert "Không có đơn vị nào" in page(drawn, "/units?q=zzz")


def test_a_unit_shows_what_it_came_from_and_what_became_of_it(drawn: World) -> None:
    new = page(drawn, f"/units/{UNIT}")
    assert "Được lập từ" in new and "Thị trấn Bến" in new and "nhập toàn bộ" in new
    assert "cần xác minh" in new  # nobody told the legal basis
    old = page(drawn, "/units/c")
    assert "hết hiệu lực từ 01/07/2025" in old
    assert "Đặc khu Cồn Hạ" in old and "chia tách" in old
    assert "không tách được" in old
    assert "Became" in page(drawn, "/units/c", lang="en")


def test_stations_inside_are_those_the_reader_may_see(drawn: World) -> None:
    assert "Trạm public" in page(drawn, f"/units/{UNIT}")
    assert "Trạm other" not in page(drawn, f"/units/{UNIT}")
    assert "Trạm other" in page(drawn, f"/units/{UNIT}", who="admin")
    assert "Chưa có ranh giới" in page(drawn, "/units/M")


def test_maps_show_the_unit_among_its_neighbours(drawn: World) -> None:
    text = page(drawn, f"/units/{UNIT}")
    found = re.search(r'data-base="([^"]+)"', text)
    assert found is not None
    with drawn.client() as anybody:
        ground = anybody.get(found[1].replace("&amp;", "&")).json()
        point = anybody.get("/units/M/map.geojson?at=2026-01-01").json()
        listed = anybody.get("/units/map.geojson?at=2026-01-01&level=commune").json()
    assert {(f["properties"]["kind"], f["properties"]["code"]) for f in ground["features"]} >= {
        ("chosen", UNIT), ("place", UNIT),
    }  # fmt: skip
    [spot] = [f for f in point["features"] if f["properties"].get("chosen")]
    assert (spot["properties"]["kind"], spot["geometry"]["type"]) == ("spot", "Point")
    kinds = sorted(f["properties"]["kind"] for f in listed["features"])
    assert kinds == ["commune", "place", "place", "place", "spot", "spot"]


def test_a_code_is_shown_as_of_a_day(drawn: World) -> None:
    with drawn.client() as anybody:
        assert anybody.get(f"/units/{UNIT}?at=2025-06-30").status_code == 404
        assert anybody.get("/units/c?at=2025-06-30").status_code == 200
        assert anybody.get("/units/c?at=nonsense").status_code == 400


def test_the_ground_of_a_map_of_stations_is_the_units_there(drawn: World) -> None:
    with drawn.client() as anybody:
        service = anybody.get("/services/environment").text
        near = anybody.get("/services/environment/base.geojson?within=108,12.9,108.2,13.2").json()
        far = anybody.get("/services/environment/base.geojson?within=0,0,1,1").json()
        wrong = anybody.get("/services/environment/base.geojson?within=1,2,3")
    assert "/services/environment/base.geojson?within=" in service
    kinds = {(f["properties"]["kind"], f["properties"].get("code")) for f in near["features"]}
    assert kinds >= {("commune", UNIT), ("spot", "M"), ("place", "M")}
    assert far["features"] == []
    assert wrong.status_code == 422
