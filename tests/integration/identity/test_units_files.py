"""The real lists, outlines and crosswalk of 2025, imported once and looked at from all sides."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dothi.identity import units_read
from dothi.identity.model import SYSTEM
from dothi.identity.units_import import Imported, give_shares, import_files
from dothi.identity.units_read import Wanted
from dothi.identity.units_records import ShareRecord
from dothi.kernel.crosswalk import Aggregation, Status, Value
from dothi.store.database import Connection, Database, own_sql
from tests.conftest import app_url

REFORM, BEFORE, AFTER = date(2025, 7, 1), date(2025, 6, 30), date(2025, 12, 31)
FOLDERS = ("vn_admin_2025", "vn_admin_mapping", "vn_admin_pre2025")


@pytest.fixture(scope="module")
def files(shared: Path) -> list[Path]:
    folders = [shared / "data" / name for name in FOLDERS]
    for folder in folders:
        if not folder.is_dir():
            pytest.skip(f"the shared data are missing: no {folder}")
    return folders


@pytest.fixture(scope="module")
def country(server: str, template: str, files: list[Path]) -> Iterator[tuple[Database, Imported]]:
    """A database with all the files, and what the import said."""
    name = f"dothi_units_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(own_sql(f"CREATE DATABASE {name} TEMPLATE {template} OWNER dothi_app"))
    db = Database(app_url(server, name), name="units test")
    try:
        yield db, import_files(db, files, day=REFORM, actor=SYSTEM)
    finally:
        db.close()
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(own_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture
def conn(country: tuple[Database, Imported]) -> Iterator[Connection]:
    with country[0].transaction() as conn:
        yield conn


def everything(conn: Connection, **wanted: Any) -> list[units_read.Unit]:
    found, after = [], None
    while True:
        page, after = units_read.units(conn, Wanted(**wanted), after=after)
        found += page
        if after is None:
            return found


def finding(done: Imported, kind: str) -> list[str]:
    return next(f.items for f in done.findings if f.kind == kind)


def test_all_rows_of_the_mapping_are_there(conn: Connection) -> None:
    assert len(units_read.links(conn)) == 10_602
    rows = conn.execute(
        "SELECT count(DISTINCT (source, row_no)) FROM unit_link WHERE NOT derived"
    ).fetchone()
    assert rows == (10_602,)


def test_the_units_of_both_times_are_there(conn: Connection) -> None:
    count = {
        (level, day): len(everything(conn, at=day, level=level))
        for level in ("province", "district", "commune")
        for day in (BEFORE, REFORM)
    }
    assert count == {
        ("province", BEFORE): 63, ("district", BEFORE): 696, ("commune", BEFORE): 10_047,
        ("province", REFORM): 34, ("district", REFORM): 0, ("commune", REFORM): 3_321,
    }  # fmt: skip


def test_split_communes_are_listed_by_province_district_and_ward(
    conn: Connection, country: tuple[Database, Imported]
) -> None:
    split = {link.old for link in units_read.links(conn, split=True)}
    assert len(split) == 471
    told = finding(country[1], "split")
    assert len(told) == 471
    assert "01/001/00007 Phường Cống Vị → 00008, 00025" in told


def test_districts_without_a_ward_are_listed(
    conn: Connection, country: tuple[Database, Imported]
) -> None:
    rows = units_read.links(conn, without_commune=True)
    assert {(row.old_name, row.new_name) for row in rows} == {
        ("Huyện Bạch Long Vĩ", "Đặc khu Bạch Long Vĩ"), ("Huyện Cồn Cỏ", "Đặc khu Cồn Cỏ"),
        ("Huyện Hoàng Sa", "Đặc khu Hoàng Sa"), ("Huyện Lý Sơn", "Đặc khu Lý Sơn"),
        ("Huyện Côn Đảo", "Đặc khu Côn Đảo"),
    }  # fmt: skip
    assert len(finding(country[1], "without_commune")) == 5


def test_what_the_files_leave_open_is_said(country: tuple[Database, Imported]) -> None:
    assert [item[:15] for item in finding(country[1], "code_mended")] == ["06970 → 06978 X"]
    assert len(finding(country[1], "without_successor")) == 12
    assert "75 Tỉnh Đồng Nai / Thành phố Đồng Nai" in finding(country[1], "kind_differs")


def test_special_zones_appear_as_such(conn: Connection) -> None:
    zones = [u for u in everything(conn, at=REFORM, level="commune") if u.kind == "special_zone"]
    assert len(zones) == 13
    assert all(zone.name.startswith("Đặc khu ") for zone in zones)
    assert not [u for u in everything(conn, at=BEFORE) if u.kind == "special_zone"]


def test_a_code_used_again_has_two_lives(conn: Connection) -> None:
    old, new = units_read.history(conn, "00004")
    assert (old.name, old.valid_from, old.valid_to) == ("Phường Trúc Bạch", None, REFORM)
    assert (new.name, new.valid_from, new.valid_to) == ("Phường Ba Đình", REFORM, None)
    assert (old.parent, new.parent) == ("001", "01")
    assert old.legal_basis is new.legal_basis is None  # the files name none: to be verified


def test_names_are_found_without_accents_and_inside_a_province(conn: Connection) -> None:
    found = everything(conn, at=REFORM, q="buon ma thuot", parent="66")
    assert [(u.code, u.name) for u in found] == [("24133", "Phường Buôn Ma Thuột")]
    assert len(everything(conn, at=REFORM, parent="66")) == 102
    assert len(everything(conn, at=BEFORE, parent="66", level="commune")) > 102
    assert everything(conn, at=REFORM, q="100%_\\") == []


def test_population_and_area_come_from_the_table_without_codes(conn: Connection) -> None:
    ward = units_read.unit(conn, "00004", REFORM)
    assert ward is not None
    assert (ward.population, ward.area_km2) == (65_023, Decimal("2.97"))


def test_maps_show_outlines_and_elsewhere_points(conn: Connection) -> None:
    def drawn(**wanted: Any) -> dict[str, int]:
        kinds: dict[str, int] = {}
        collection = json.loads(b"".join(units_read.features(conn, Wanted(**wanted))))
        for feature in collection["features"]:
            kind = (feature["geometry"] or {"type": "none"})["type"]
            kinds[kind] = kinds.get(kind, 0) + 1
        return kinds

    assert sum(drawn(at=REFORM, level="commune", parent="66").values()) == 102
    assert set(drawn(at=REFORM, level="commune", parent="66")) <= {"Polygon", "MultiPolygon"}
    assert drawn(at=REFORM, level="commune", parent="01") == {"Point": 126}
    assert sum(drawn(at=REFORM, level="province").values()) == 34
    assert "Point" not in drawn(at=REFORM, level="province")
    sizes = [
        len(b"".join(units_read.features(conn, Wanted(REFORM, "commune", "66"), scale)))
        for scale in ("far", "middle", "near", "whole")
    ]
    assert sizes == sorted(sizes) and sizes[0] * 20 < sizes[-1]


def test_sums_over_old_and_new_units_agree_to_the_last_digit(conn: Connection) -> None:
    """Python and SQL: whole units exactly; what splits stays together, nothing is lost."""
    dice = random.Random(7)
    plan = units_read.crosswalk(conn).plan(BEFORE, AFTER)
    old = [u.code for u in everything(conn, at=BEFORE, level="commune")]
    old += [link.old for link in units_read.links(conn, without_commune=True)]
    for make in (lambda: dice.randrange(10**9), lambda: Decimal(dice.randrange(10**15)).scaleb(-4)):
        values: dict[str, Value | None] = {code: make() for code in old}
        done = plan.convert(values, Aggregation.SUM)
        exact = {code: v.value for code, v in done.values.items() if v.status is Status.EXACT}
        left = [*exact.values(), *(g.value for g in done.groups), *done.unplaced.values()]
        assert sum(Fraction(v or 0) for v in left) == sum(Fraction(v or 0) for v in values.values())
        assert {g.status for g in done.groups} == {Status.EXACT}
        assert len(done.unplaced) == 12
        targets = {link.new for link in units_read.links(conn, split=True)}
        assert {c for c, v in done.values.items() if v.status is Status.NOT_SEPARABLE} == targets
        assert _by_sql(conn, values) == exact


def _by_sql(conn: Connection, values: dict[str, Any]) -> dict[str, Any]:
    """The whole units by the statement that docs/units.md gives."""
    conn.execute("CREATE TEMP TABLE figures (unit text, value numeric) ON COMMIT DROP")
    with conn.cursor() as cursor, cursor.copy("COPY figures FROM STDIN") as copy:
        for row in values.items():
            copy.write_row(row)
    rows = conn.execute(
        "SELECT c.target, sum(f.value) FROM unit_crosswalk(%s, %s) c LEFT JOIN figures f "
        "ON f.unit = c.source WHERE c.target IS NOT NULL GROUP BY c.target "
        "HAVING bool_and(c.share IS NOT DISTINCT FROM 1) AND count(f.value) = count(*)",
        (BEFORE, AFTER),
    ).fetchall()
    conn.execute("DROP TABLE figures")
    return dict(rows)


def test_provinces_follow_from_their_communes(conn: Connection) -> None:
    plan = units_read.crosswalk(conn).plan(BEFORE, AFTER)
    people: dict[str, Value | None] = {
        u.code: 1_000 + int(u.code) for u in everything(conn, at=BEFORE, level="province")
    }
    done = plan.convert(people, Aggregation.SUM)
    assert len(done.values) == 34
    assert {v.status for v in done.values.values()} == {Status.EXACT}
    assert done.values["66"].value == 1_066 + 1_054  # Đắk Lắk and Phú Yên
    assert set(done.values["68"].sources) == {"60", "67", "68"}


def test_a_million_values_are_converted_in_the_store(conn: Connection) -> None:
    conn.execute("SET LOCAL statement_timeout = '30s'")
    row = conn.execute(
        "WITH f AS (SELECT source AS unit, n AS month, 1 AS value FROM "
        "(SELECT DISTINCT source FROM unit_crosswalk(%(a)s, %(b)s)) s, generate_series(1, 100) n), "
        "c AS MATERIALIZED (SELECT * FROM unit_crosswalk(%(a)s, %(b)s)) "
        "SELECT count(*), sum(value) FROM (SELECT c.target, f.month, sum(f.value) AS value "
        "FROM f JOIN c ON c.source = f.unit WHERE c.share = 1 GROUP BY 1, 2) x",
        {"a": BEFORE, "b": AFTER},
    ).fetchone()
    assert row is not None and row[1] > 900_000


def test_the_same_files_again_change_nothing(
    country: tuple[Database, Imported], files: list[Path]
) -> None:
    db, _ = country
    again = import_files(db, files, day=REFORM, actor=SYSTEM)
    assert again.number is None
    assert set(again.changes.values()) == {0}


def test_given_shares_make_estimates_that_name_their_source(
    country: tuple[Database, Imported],
) -> None:
    """Last: it changes what is stored."""
    db, _ = country
    shares = [
        ShareRecord(1, "00007", new, "population", share, None, "khảo sát", "UBND phường")
        for new, share in (("00008", "0.7"), ("00025", "0.3"))
    ]
    assert give_shares(db, shares, day=REFORM, actor=SYSTEM).changes["shares"] == 2
    assert give_shares(db, shares, day=REFORM, actor=SYSTEM).number is None
    with db.transaction() as conn:
        plan = units_read.crosswalk(conn).plan(BEFORE, AFTER)
        by_area = units_read.crosswalk(conn, "area").plan(BEFORE, AFTER)
        rows = conn.execute(
            "SELECT target, share FROM unit_crosswalk(%s, %s) WHERE source = '00007'",
            (BEFORE, AFTER),
        ).fetchall()
    parts = {
        code: part
        for code, target in plan.targets.items()
        for part in target.parts
        if part.source == "00007"
    }
    assert dict(rows) == {"00008": Decimal("0.7"), "00025": Decimal("0.3")}
    assert {code: part.share for code, part in parts.items()} == {
        "00008": Fraction(7, 10), "00025": Fraction(3, 10),
    }  # fmt: skip
    assert parts["00008"].grounds == {"khảo sát (UBND phường)"}
    assert {p.share for t in by_area.targets.values() for p in t.parts if p.source == "00007"} == {
        None
    }
