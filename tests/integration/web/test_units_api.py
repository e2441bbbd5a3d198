"""Administrative units over HTTP: lists, one through time, maps."""

from __future__ import annotations

from tests.contract.world import UNIT, World


def test_units_are_listed_as_they_stood_on_a_day(town: World) -> None:
    with town.client() as anybody:
        now = anybody.get("/api/v1/units", params={"at": "2026-01-01"}).json()
        then = anybody.get("/api/v1/units", params={"at": "2025-06-30"}).json()
        first = anybody.get("/api/v1/units", params={"at": "2026-01-01", "limit": 1}).json()
        rest = {"at": "2026-01-01", "limit": 1, "after": first["next"]}
        second = anybody.get("/api/v1/units", params=rest).json()
    assert [u["code"] for u in now["units"]] == ["Z", UNIT, "S", "M"]
    assert [u["code"] for u in then["units"]] == ["b", "a", "c"]
    assert [u["code"] for u in first["units"] + second["units"]] == ["Z", UNIT]
    assert (then["at"], now["next"], second["next"]) == ("2025-06-30", None, UNIT)
    assert now["units"][1]["verify"] is True  # nobody told a legal basis


def test_names_are_found_without_accents(town: World) -> None:
    with town.client() as anybody:
        found = anybody.get("/api/v1/units", params={"q": "an ben", "level": "commune"}).json()
        refused = anybody.get("/api/v1/units", params={"level": "village"})
    assert [u["name"] for u in found["units"]] == ["Phường An Bến"]
    assert refused.status_code == 400


def test_one_unit_tells_what_it_came_from_and_what_became_of_it(town: World) -> None:
    with town.client() as anybody:
        new = anybody.get(f"/api/v1/units/{UNIT}").json()
        old = anybody.get("/api/v1/units/a").json()
        missing = anybody.get("/api/v1/units/zzz")
    assert [(v["valid_from"], v["valid_to"]) for v in new["versions"]] == [("2025-07-01", None)]
    [link, other] = new["links"]
    assert [link] == old["links"]
    assert (link["old"]["code"], link["new"]["name"]) == ("a", "Phường An Bến")
    assert (link["kind"], link["day"], link["row"]) == ("merged", "2025-07-01", 2)
    assert other["old"] == {"code": "b", "name": "Thị trấn Bến"}
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("application/problem+json")


def test_a_map_of_units_is_geojson_and_cannot_ask_for_any_column(town: World) -> None:
    with town.client() as anybody:
        told = anybody.get("/api/v1/units.geojson", params={"parent": "S", "at": "2026-01-01"})
        refused = anybody.get("/api/v1/units.geojson", params={"scale": "digest"})
    assert told.headers["content-type"].startswith("application/geo+json")
    feature, *others = sorted(told.json()["features"], key=lambda f: f["id"], reverse=True)[1:]
    assert feature["id"] == UNIT and len(others) == 1
    assert feature["geometry"] == {"type": "Point", "coordinates": [108.05, 13.0]}
    assert feature["properties"]["outline"] is False
    assert refused.status_code == 400
