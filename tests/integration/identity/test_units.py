"""Another province's own files: what they make, what is refused, what importing again does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from dothi.identity import units_read
from dothi.identity.model import SYSTEM, Actor, Role
from dothi.identity.units_import import Imported, import_files
from dothi.identity.units_read import Wanted
from dothi.kernel.crosswalk import Aggregation, Status
from dothi.kernel.errors import Forbidden, Invalid
from dothi.store.database import Database

DAY, BEFORE = date(2025, 7, 1), date(2025, 6, 30)

UNITS = """\
code,level,name,parent,kind,valid_from,valid_to,lon,lat,population,area_km2,legal_basis
S,province,Tỉnh Sông Bờ,,,,2025-07-01,108.1,13.1,,,
S,province,Tỉnh Sông Bờ,,,2025-07-01,,108.1,13.1,,,
S-1,district,Huyện Thượng,S,,,2025-07-01,,,,,
a,commune,Xã An,S-1,,,2025-07-01,108.0,13.0,4000,10.5,
b,commune,Thị trấn Bến,S-1,,,2025-07-01,108.1,13.0,2000,4.25,
c,commune,Xã Cồn,S-1,,,2025-07-01,108.2,13.0,900,7,
N,commune,Phường An Bến,S,,2025-07-01,,108.05,13.0,5200,12,Nghị quyết 1/NQ-UBTVQH15
M,commune,Xã Cồn,S,,2025-07-01,,108.15,13.05,800,2.75,
Z,commune,Đặc khu Hòn Dài,S,,2025-07-01,,108.4,13.0,900,7,
"""
LINKS = """\
old_code,new_code
a,N
b,N
b,M
c,Z
"""
SHARES = """\
old_code,new_code,basis,share,amount,source,given_by
b,N,population,,1200,Niên giám 2024,Chi cục Thống kê
b,M,population,,800,Niên giám 2024,Chi cục Thống kê
"""


def square(west: float, south: float, side: float) -> list[list[float]]:
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def outlines(**squares: list[list[float]]) -> str:
    features = [
        {
            "type": "Feature", "properties": {"code": code},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for code, ring in squares.items()
    ]  # fmt: skip
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a province; of its communes one has an outline."""
    folder = tmp_path / "sông bờ"
    folder.mkdir()
    (folder / "units.csv").write_text("\ufeff" + UNITS, "utf-8")
    (folder / "links.csv.gz").write_bytes(gzip.compress(LINKS.encode()))
    (folder / "shapes.geojson").write_text(outlines(N=square(108.0, 12.9, 0.1)), "utf-8")
    (folder / "notes.txt").write_text("not about units", "utf-8")
    return folder


@pytest.fixture
def province(db: Database, folder: Path) -> Iterator[tuple[Database, Imported]]:
    yield db, load(db, folder)


def load(db: Database, *paths: Path, actor: Actor = SYSTEM) -> Imported:
    return import_files(db, paths, day=DAY, actor=actor)


def test_its_units_stand_with_their_time_and_ground(province: tuple[Database, Imported]) -> None:
    with province[0].transaction() as conn:
        before, _ = units_read.units(conn, Wanted(BEFORE))
        after, _ = units_read.units(conn, Wanted(DAY))
        ward = units_read.unit(conn, "N", DAY)
    assert [u.name for u in before] == [
        "Huyện Thượng",
        "Thị trấn Bến",
        "Tỉnh Sông Bờ",
        "Xã An",
        "Xã Cồn",
    ]
    assert [(u.name, u.kind) for u in after] == [
        ("Đặc khu Hòn Dài", "special_zone"), ("Phường An Bến", "ward"),
        ("Tỉnh Sông Bờ", "province"), ("Xã Cồn", "commune"),
    ]  # fmt: skip
    assert ward is not None
    assert (ward.valid_from, ward.valid_to, ward.area_km2) == (DAY, None, Decimal(12))
    assert ward.legal_basis == "Nghị quyết 1/NQ-UBTVQH15"
    assert {u.legal_basis for u in after if u.code != "N"} == {None}


def test_where_outlines_are_missing_the_map_has_points(province: tuple[Database, Imported]) -> None:
    with province[0].transaction() as conn:
        told = b"".join(units_read.features(conn, Wanted(DAY, "commune")))
    shapes = {f["id"]: f["geometry"] for f in json.loads(told)["features"]}
    assert {code: shape["type"] for code, shape in shapes.items()} == {
        "N": "Polygon", "M": "Point", "Z": "Point",
    }  # fmt: skip
    assert shapes["M"]["coordinates"] == [108.15, 13.05]


def test_what_is_split_is_listed_and_divided_only_by_shares(
    province: tuple[Database, Imported], folder: Path
) -> None:
    db, done = province
    found = {f.kind: f.items for f in done.findings}
    assert found["split"] == ["S/S-1/b Thị trấn Bến → M, N"]
    people = {"a": 4000, "b": 2000, "c": 900}
    with db.transaction() as conn:
        told = units_read.crosswalk(conn).plan(BEFORE, DAY).convert(people, Aggregation.SUM)
    assert {code: v.status for code, v in told.values.items()} == {
        "N": Status.NOT_SEPARABLE, "M": Status.NOT_SEPARABLE, "Z": Status.EXACT,
    }  # fmt: skip
    (folder / "shares.csv").write_text(SHARES, "utf-8")
    load(db, folder / "shares.csv")
    with db.transaction() as conn:
        told = units_read.crosswalk(conn).plan(BEFORE, DAY).convert(people, Aggregation.SUM)
        by_area = units_read.crosswalk(conn, "area").plan(BEFORE, DAY)
    assert (told.values["N"].value, told.values["N"].status) == (5200, Status.ESTIMATED)
    assert (told.values["M"].value, told.values["M"].status) == (800, Status.ESTIMATED)
    assert told.values["M"].grounds == {"Niên giám 2024 (Chi cục Thống kê)"}
    area = by_area.convert(people, Aggregation.SUM).values["M"]
    assert area.status is Status.NOT_SEPARABLE


def test_importing_again_changes_nothing(province: tuple[Database, Imported], folder: Path) -> None:
    db, first = province
    assert first.number is not None
    with db.transaction() as conn:
        [before] = conn.execute("SELECT count(*) FROM audit_entry").fetchall()
    again = load(db, folder)
    assert again.number is None
    assert set(again.changes.values()) == {0}
    with db.transaction() as conn:
        [after] = conn.execute("SELECT count(*) FROM audit_entry").fetchall()
    assert before == after


def test_what_a_later_file_says_otherwise_replaces_and_is_kept(
    province: tuple[Database, Imported], folder: Path
) -> None:
    db, _ = province
    mended = UNITS.replace("Xã Cồn,S,,2025", "Xã Cồn Mới,S,,2025")
    (folder / "units.csv").write_text(mended, "utf-8")
    done = load(db, folder / "units.csv")
    assert (done.changes["versions"], done.changes["replaced"]) == (1, 1)
    with db.transaction() as conn:
        rows = conn.execute(
            "SELECT v.name, v.replaced_in FROM unit_version v JOIN unit u ON u.id = v.unit_id "
            "WHERE u.code = 'M' ORDER BY v.id"
        ).fetchall()
    assert rows == [("Xã Cồn", done.number), ("Xã Cồn Mới", None)]


WRONG: dict[str, tuple[str | bytes, set[tuple[str, str]]]] = {
    "units.csv": (
        "code,level,name,parent,lon,lat,valid_from,valid_to\n"
        "x1,village,Thôn Một,S,,,,\n"
        "x2,commune,Làng Hai,S,,,,\n"
        "x3,commune,Xã Ba,nowhere,,,,\n"
        "x4,commune,Xã Bốn,S,13.0,108.0,,\n"
        "x5,commune,Xã Năm,S,,,2025-13-01,\n"
        "x6,commune,Xã Sáu,S,,,2026-02-01,2026-01-01\n"
        "x7,commune\n",
        {
            ("units.csv:2", "units.bad_level"), ("units.csv:3", "units.bad_kind"),
            ("units.csv:5", "units.number_range"), ("units.csv:6", "units.bad_date"),
            ("units.csv:7", "units.dates_crossed"), ("units.csv:8", "units.row_length"),
        },
    ),
    "shapes.geojson": (
        outlines(N=[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]], M=square(500_000, 0, 10)),
        {
            ("shapes.geojson:1", "units.outline_invalid"),
            ("shapes.geojson:2", "units.outline_not_degrees"),
        },
    ),
    "shares.csv": (
        SHARES.replace("Niên giám 2024", "", 1), {("shares.csv:2", "units.cell_missing")},
    ),
    "broken.csv.gz": (b"\x1f\x8b\x08 no archive", {("broken.csv.gz", "units.bad_archive")}),
    "strange.csv": ("one,two\n1,2\n", {("strange.csv", "units.unknown_table")}),
    "empty.json": ("", {("empty.json", "units.file_empty")}),
}  # fmt: skip


def faults_of(db: Database, folder: Path) -> set[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        load(db, folder)
    return {(fault.where, fault.key) for fault in refused.value.faults}


def test_all_that_is_wrong_is_said_at_once_with_its_place(db: Database, tmp_path: Path) -> None:
    for name, (text, _) in WRONG.items():
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert faults_of(db, tmp_path) == set[tuple[str, str]]().union(*(f for _, f in WRONG.values()))
    with db.transaction() as conn:
        assert units_read.units(conn, Wanted(DAY)) == ([], None)


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("units.csv", "Xã Cồn,S,", "Xã Cồn,T,", ("units.csv:9", "units.parent_unknown")),
        ("units.csv", "Z,commune", "N,commune", ("units.csv:10", "units.unit_twice")),
        ("links.csv", "c,Z", "a,N", ("links.csv:5", "units.link_twice")),
        ("links.csv", "c,Z", "d,Z", ("links.csv:5", "units.link_unknown")),
        ("shares.csv", "800", "", ("shares.csv:3", "units.bad_share")),
        ("shares.csv", "b,M,", "c,M,", ("shares.csv:3", "units.share_without_link")),
        ("shares.csv", ",,1200", ",0.7,", ("shares.csv:3", "units.shares_mixed")),
        ("shapes.geojson", '"N"', '"Q"', ("shapes.geojson:1", "units.outline_of_nobody")),
    ],
)
def test_what_does_not_fit_together_is_refused(
    db: Database, tmp_path: Path, name: str, old: str, new: str, expected: tuple[str, str]
) -> None:
    files = {"units.csv": UNITS, "links.csv": LINKS, "shares.csv": SHARES}
    files["shapes.geojson"] = outlines(N=square(108, 12.9, 0.1))
    assert old in files[name]
    files[name] = files[name].replace(old, new, 1)
    for file, text in files.items():
        (tmp_path / file).write_text(text, "utf-8")
    assert expected in faults_of(db, tmp_path)


def test_shares_must_be_whole_and_complete(
    province: tuple[Database, Imported], tmp_path: Path
) -> None:
    only = tmp_path / "shares.csv"
    for text, key in (
        ("b,N,population,0.7,,x,y\nb,M,population,0.2,,x,y\n", "units.shares_not_one"),
        ("b,N,population,1,,x,y\n", "units.shares_incomplete"),
        ("b,N,weight,1,,x,y\n", "units.bad_basis"),
        ("b,N,population,,0,x,y\nb,M,population,,0,x,y\n", "units.amounts_nothing"),
    ):
        only.write_text(SHARES.split("\n")[0] + "\n" + text, "utf-8")
        with pytest.raises(Invalid) as refused:
            load(province[0], only)
        assert key in {fault.key for fault in refused.value.faults}


def test_only_an_administrator_imports(db: Database, folder: Path) -> None:
    someone = Actor("person", 7, agency_id=1, roles=frozenset({Role.DATA}))
    with pytest.raises(Forbidden):
        load(db, folder, actor=someone)
