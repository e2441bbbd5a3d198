"""One small table in every form a file may have reads as the same texts."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import shapefile
import shapely

from dothi.lake.engine import engine
from dothi.lake.reading.table import Refused, Table, open_table
from tests.integration.reading.hostile import cell, geopackage, workbook

COLUMNS = ("mã", "tên", "số")
ROWS = [("01", "Phường Tân Lập", "1.5"), ("02", 'Xã "Ea Kao", mới', None), ("03", "Cư Êbur", "-3")]
CSV = 'mã,tên,số\n01,Phường Tân Lập,1.5\n02,"Xã ""Ea Kao"", mới",\n03,Cư Êbur,-3\n'
OBJECTS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


@pytest.fixture
def root() -> Iterator[duckdb.DuckDBPyConnection]:
    with engine(2, "300MB") as connection:
        yield connection


def rows_of(root: duckdb.DuckDBPyConnection, table: Table) -> list[tuple[Any, ...]]:
    listed = ", ".join(f'"{name}"' for name in table.columns)
    return root.execute(f"SELECT {listed} FROM {table.relation}").fetchall()


def as_gz(path: Path) -> None:
    path.write_bytes(gzip.compress(CSV.encode()))


def as_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.txt", "about")
        archive.writestr("__MACOSX/._data.csv", "x")
        archive.writestr("folder/data.csv", CSV)


def as_titled(path: Path) -> None:
    body = (
        CSV.replace('"Xã ""Ea Kao"", mới",', "x")
        .replace(",", ";")
        .replace("x", '"Xã ""Ea Kao"", mới";')
    )
    path.write_text("Dân số các xã, phường\n\n" + body)


def as_xlsx(path: Path) -> None:
    texts = [*COLUMNS, *(text for row in ROWS for text in row[:2])]
    shared = "".join("<si><t>" + str(t).replace('"', "&quot;") + "</t></si>" for t in texts)
    head = "".join(f'<c r="{c}4" t="s"><v>{i}</v></c>' for i, c in enumerate("BCD"))
    body = ""
    for i, row in enumerate(ROWS):
        numbers = cell(f"D{5 + i}", row[2]) if row[2] else ""
        body += f'<row r="{5 + i}">' + "".join(
            f'<c r="{c}{5 + i}" t="s"><v>{3 + 2 * i + j}</v></c>' for j, c in enumerate("BC")
        ) + numbers + "</row>"  # fmt: skip
    workbook(f'<row r="2">{cell("B2")}</row><row r="4">{head}</row>{body}', shared)(path)


def as_json(path: Path) -> None:
    path.write_text(json.dumps({"ok": True, "result": {"rows": OBJECTS}}, ensure_ascii=False))


def as_array(path: Path) -> None:
    path.write_text(json.dumps(OBJECTS))


def as_ndjson(path: Path) -> None:
    path.write_text("\n".join(json.dumps(o, ensure_ascii=False) for o in OBJECTS) + "\n")


def as_parquet(path: Path) -> None:
    with duckdb.connect() as db:
        db.execute("CREATE TABLE t (mã VARCHAR, tên VARCHAR, số VARCHAR)")
        db.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
        db.execute(f"COPY t TO '{path}' (FORMAT parquet)")


def as_utf16(path: Path) -> None:
    path.write_text(CSV, encoding="utf-16")


FORMS = {
    "csv": lambda path: path.write_text(CSV),
    "csv with a mark": lambda path: path.write_text("\ufeff" + CSV),
    "csv with title": as_titled,
    "csv in utf-16": as_utf16,
    "csv.gz": as_gz,
    "zip": as_zip,
    "xlsx": as_xlsx,
    "json": as_json,
    "array": as_array,
    "ndjson": as_ndjson,
    "parquet": as_parquet,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_table_comes_out_of_every_form(
    form: str, root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    FORMS[form](path)
    table = open_table(root, path, {}, tmp_path)
    assert table.columns == COLUMNS
    assert rows_of(root, table) == ROWS
    json.dumps(table.notes)


def test_plain_csv_is_read_where_it_lies(root: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path, work = tmp_path / "upload", tmp_path / "work"
    work.mkdir()
    path.write_text(CSV)
    table = open_table(root, path, {}, work)
    assert str(path) in table.relation
    assert list(work.iterdir()) == []


def test_what_a_person_says_counts_more_than_what_is_told(
    root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    path.write_text("a,b;c\n1,2;3\n")
    assert open_table(root, path, {"delimiter": ";"}, tmp_path).columns == ("a,b", "c")
    assert open_table(root, path, {"delimiter": ",", "header_row": 2}, tmp_path).columns == (
        "1", "2;3",
    )  # fmt: skip
    table = open_table(root, path, {"delimiter": ",", "header_row": 0}, tmp_path)
    assert rows_of(root, table) == [("a", "b;c"), ("1", "2;3")]
    with pytest.raises(Refused, match="other_format"):
        open_table(root, path, {"format": "xlsx"}, tmp_path)


def test_malformed_lines_stay_visible_after_writing_anew(
    root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    path.write_text("title\n\na;b\n1;2\n3\n4;5\n")
    table = open_table(root, path, {}, tmp_path)
    root.execute(f"CREATE TABLE raw AS SELECT * FROM {table.relation}")
    assert root.execute("FROM raw").fetchall() == [("1", "2"), ("4", "5")]
    assert root.execute("SELECT line FROM reject_errors").fetchall() == [(3,)]


def test_dates_and_numbers_of_a_workbook_are_written_plainly(
    root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    workbook(
        '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c>'
        '<c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'
        f'<row r="2">{cell("A2", "1234567")}{cell("B2", "0.1")}</row>'
        f'<row r="3">{cell("A3", "1E3")}<c r="B3" t="b"><v>1</v></c></row>'
    )(path)
    table = open_table(root, path, {}, tmp_path)
    assert rows_of(root, table) == [("1234567", "0.1"), ("1000", "true")]


def as_features(path: Path) -> None:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "Trạm 1"},
         "geometry": {"type": "Point", "coordinates": [108.05, 12.67]}}]}))  # fmt: skip


def as_geopackage(path: Path) -> None:
    shape = b"GP\x00\x01" + (4326).to_bytes(4, "little") + shapely.Point(108.05, 12.67).wkb
    geopackage(
        "CREATE TABLE places (fid INTEGER PRIMARY KEY, geom BLOB, name TEXT)",
        # What a trigger would do is never done: nothing is written.
        "CREATE TRIGGER rtree AFTER INSERT ON places BEGIN SELECT load_extension('x'); END",
        "DROP TRIGGER rtree",
        f"INSERT INTO places VALUES (1, x'{shape.hex()}', 'Trạm 1')",
        "CREATE TRIGGER evil AFTER INSERT ON places BEGIN DELETE FROM places; END",
    )(path)


def as_shapefile(path: Path) -> None:
    """In VN-2000 / UTM zone 48N, as Vietnamese offices keep it."""
    from pyproj import CRS, Transformer

    x, y = Transformer.from_crs(4326, 3405, always_xy=True).transform(108.05, 12.67)
    stem = path.parent / "stations"
    opened: Any = shapefile.Writer(str(stem), shapeType=shapefile.POINT, encoding="utf-8")
    with opened as writer:
        writer.field("name", "C", size=20)
        writer.point(x, y)
        writer.record("Trạm 1")
    with zipfile.ZipFile(path, "w") as archive:
        for suffix in (".shp", ".shx", ".dbf"):
            archive.write(stem.with_suffix(suffix), f"stations{suffix}")
        archive.writestr("stations.prj", CRS.from_epsg(3405).to_wkt("WKT1_ESRI"))


@pytest.mark.parametrize("form", [as_features, as_geopackage, as_shapefile])
def test_a_place_comes_out_of_every_map_in_degrees(
    form: Any, root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    form(path)
    table = open_table(root, path, {}, tmp_path)
    name, lon, lat, geometry = root.execute(
        f"SELECT name, lon::DOUBLE, lat::DOUBLE, geometry FROM {table.relation}"
    ).fetchall()[0]
    assert name == "Trạm 1"
    # Without grids the step from VN-2000 to WGS 84 is good to some metres.
    assert (lon, lat) == pytest.approx((108.05, 12.67), abs=3e-3)
    assert shapely.from_wkt(geometry).distance(shapely.Point(lon, lat)) < 1e-6


def test_reading_a_geopackage_changes_nothing_in_it(
    root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    as_geopackage(path)
    before = path.read_bytes()
    open_table(root, path, {}, tmp_path)
    assert path.read_bytes() == before
    assert sqlite3.connect(path).execute("SELECT count(*) FROM places").fetchone() == (1,)


@pytest.mark.parametrize("way", ["member", "layer", "sheet"])
def test_where_several_tables_are_the_person_is_told_which(
    way: str, root: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    if way == "member":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", CSV)
            archive.writestr("b.csv", "x,y\n1,2\n")
        with pytest.raises(Refused) as refused:
            open_table(root, path, {}, tmp_path)
        assert refused.value.params == {"found": "a.csv, b.csv"}
        assert open_table(root, path, {"member": "b.csv"}, tmp_path).columns == ("x", "y")
    elif way == "layer":
        geopackage(
            "CREATE TABLE places (geom BLOB, n INT)",
            "CREATE TABLE roads (geom BLOB, n INT)",
            "INSERT INTO roads VALUES (NULL, 7)",
            "INSERT INTO gpkg_contents VALUES ('roads', 'features', 4326)",
        )(path)
        with pytest.raises(Refused) as refused:
            open_table(root, path, {}, tmp_path)
        assert refused.value.params == {"found": "places, roads"}
        table = open_table(root, path, {"layer": "roads"}, tmp_path)
        assert root.execute(f"SELECT n FROM {table.relation}").fetchall() == [("7",)]
    else:
        as_xlsx(path)
        with pytest.raises(Refused) as refused:
            open_table(root, path, {"sheet": "Bảng 2"}, tmp_path)
        assert refused.value.params == {"name": "Bảng 2", "found": "Bảng 1"}
        assert open_table(root, path, {"sheet": "Bảng 1"}, tmp_path).columns == COLUMNS
