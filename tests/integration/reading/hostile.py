"""Files that mean harm, or are broken: each is written by a few lines here, none is kept."""

from __future__ import annotations

import gzip
import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import shapefile

MIB = 1024 * 1024
ROWS = b"time,place,value\n" + b"2026-01-01,A,1\n" * 1000
VRT = """<OGRVRTDataSource><OGRVRTLayer name="other">
<SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"""
LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9)
) + "]>"  # fmt: skip
EXTERNAL = '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


class Hostile(NamedTuple):
    """A file by its name, how it is written, and why it is refused."""

    name: str
    write: Callable[[Path], object]
    reason: str


def zipped(
    members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED
) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in members.items():
                info = zipfile.ZipInfo("x")
                info.filename = name
                info.compress_type = method
                archive.writestr(info, data)

    return write


def zeros_zipped(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("data.csv", "w", force_zip64=True) as file,
    ):
        for _ in range(1024):
            file.write(b"0" * MIB)


def zeros_gz(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(1024):
            file.write(b"1,2,3\n" * (MIB // 6))


def truncated(data: bytes, keep: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data[: int(len(data) * keep)])


def link(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("data.csv")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")


def encrypted_zip(path: Path) -> None:
    zipped({"data.csv": ROWS})(path)
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def lying_size(path: Path) -> None:
    """The list says 10 bytes, the member holds 20 MB."""
    zipped({"data.csv": b"1,2\n" * (5 * MIB)})(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    data[22:26] = struct.pack("<I", 10)
    path.write_bytes(data)


def many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(5_000):
            archive.writestr(f"{i}.csv", "")


def same_member_twice(path: Path) -> None:
    zipped({"data.csv": ROWS, "Data.csv": b"time,place,value\n"})(path)


def two_faces(path: Path) -> None:
    zipped({"other.csv": ROWS})(path)
    path.write_bytes(ROWS + path.read_bytes())


def sheet_parts(sheet: str, texts: str | None = None, before: str = "") -> dict[str, bytes | str]:
    """The parts of a small workbook around the given rows."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kinds}.worksheet+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kinds}.sharedStrings+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Bảng 1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'<?xml version="1.0"?>{before}<worksheet xmlns="{main}">'
        f"<sheetData>{sheet}</sheetData></worksheet>",
    }
    if texts is not None:
        parts["xl/sharedStrings.xml"] = f'<?xml version="1.0"?><sst xmlns="{main}">{texts}</sst>'
    return parts


def workbook(sheet: str, texts: str | None = None, before: str = "") -> Callable[[Path], None]:
    return zipped(sheet_parts(sheet, texts, before))


def cell(place: str, value: str = "1") -> str:
    return f'<c r="{place}"><v>{value}</v></c>'


def laughing_workbook(path: Path) -> None:
    parts = sheet_parts('<row r="1"><c r="A1" t="s"><v>0</v></c></row>', "<si><t>&j;</t></si>")
    text = str(parts["xl/sharedStrings.xml"])
    parts["xl/sharedStrings.xml"] = text.replace("<sst", LAUGHS + "<sst")
    zipped(parts)(path)


def one_text_everywhere(path: Path) -> None:
    """30,000 cells that all show one text of 30,000 characters."""
    rows = "".join(
        f'<row r="{i}">'
        + "".join(f'<c r="{c}{i}" t="s"><v>0</v></c>' for c in "ABCDEFGHIJ")
        + "</row>"
        for i in range(1, 3001)
    )
    workbook(rows, f"<si><t>{'x' * 30_000}</t></si>")(path)


def blown_up_workbook(path: Path) -> None:
    parts = sheet_parts("")
    parts["xl/worksheets/sheet1.xml"] = b" " * (300 * MIB)
    zipped(parts)(path)


def utf16_workbook(path: Path) -> None:
    parts = sheet_parts("", None, EXTERNAL)
    parts["xl/worksheets/sheet1.xml"] = str(parts["xl/worksheets/sheet1.xml"]).encode("utf-16")
    zipped(parts)(path)


def parquet(query: str, options: str = "") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with duckdb.connect() as db:
            db.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet{options})")

    return write


def patched_parquet(patch: Callable[[bytearray], object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        parquet("SELECT i, 'v' || i AS v FROM range(5000) t(i)")(path)
        data = bytearray(path.read_bytes())
        patch(data)
        path.write_bytes(data)

    return write


def scrambled_footer(data: bytearray) -> None:
    length = struct.unpack("<I", data[-8:-4])[0]
    data[-8 - length : -8] = b"\xff" * length


def endless_footer(data: bytearray) -> None:
    data[-8:-4] = struct.pack("<I", 0x7FFFFFFF)


def more_rows_than_there_are(data: bytearray) -> None:
    """The row group claims 8,000 rows where 5,000 are stored (zigzag varints of two bytes)."""
    length = struct.unpack("<I", data[-8:-4])[0]
    footer = bytes(data[-8 - length : -8])
    data[-8 - length : -8] = footer.replace(b"\x90\x4e", b"\x80\x7d")


def scrambled_pages(data: bytearray) -> None:
    data[4:2000] = bytes(range(256)) * 7 + b"\xff" * 204


def geopackage(*statements: str, layer: str = "places") -> Callable[[Path], None]:
    """A GeoPackage in which `statements` make the layer."""

    def write(path: Path) -> None:
        with sqlite3.connect(path) as db:
            db.executescript(
                "PRAGMA application_id = 1196444487;"
                "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, srs_id INTEGER);"
                "CREATE TABLE gpkg_geometry_columns "
                "(table_name TEXT, column_name TEXT, srs_id INTEGER);"
                "CREATE TABLE gpkg_spatial_ref_sys (srs_id INTEGER, organization TEXT, "
                "organization_coordsys_id INTEGER, definition TEXT);"
            )
            db.execute("INSERT INTO gpkg_contents VALUES (?, 'features', 4326)", [layer])
            db.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 4326)", [layer])
            for statement in statements:
                db.execute(statement)
        db.close()

    return write


def broken_geopackage(path: Path) -> None:
    geopackage("CREATE TABLE places (geom BLOB, name TEXT)")(path)
    data = bytearray(path.read_bytes())
    data[100:8192] = b"\x5a" * (8192 - 100)
    path.write_bytes(data)


def shapefile_parts(folder: Path) -> dict[str, bytes]:
    stem = folder / "places"
    opened: Any = shapefile.Writer(str(stem), shapeType=shapefile.POINT)
    with opened as writer:
        writer.field("name", "C", size=20)
        for i in range(10):
            writer.point(105.8 + i / 100, 21.0)
            writer.record(f"place {i}")
    return {f"places{s}": stem.with_suffix(s).read_bytes() for s in (".shp", ".shx", ".dbf")}


def shapefiles(patch: Callable[[dict[str, bytes]], object]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        parts = shapefile_parts(path.parent)
        patch(parts)
        zipped(dict(parts))(path)

    return write


def endless_shape(parts: dict[str, bytes]) -> None:
    """Turns the points into polygons that claim two thousand million corners."""
    data = bytearray(parts["places.shp"])
    data[32:36] = struct.pack("<i", 5)
    data[108:112] = struct.pack("<i", 5)
    data[112:160] = struct.pack("<4d2i", 0, 0, 1, 1, 0x7FFFFFFF, 0x7FFFFFFF) + b"\x00" * 8
    parts["places.shp"] = bytes(data)


def features(*geometries: object, crs: str = "EPSG:4326") -> str:
    items = [{"type": "Feature", "properties": {"n": 1}, "geometry": g} for g in geometries]
    named = {"type": "name", "properties": {"name": crs}}
    return json.dumps({"type": "FeatureCollection", "crs": named, "features": items})


def write(data: bytes | str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data.encode() if isinstance(data, str) else data)


HOSTILE = [
    # Archives
    Hostile("zip of a thousand million zeros", zeros_zipped, "reading.unpacks_too_large"),
    Hostile("gz of a thousand million bytes", zeros_gz, "reading.unpacks_too_large"),
    Hostile("gz cut off", truncated(gzip.compress(ROWS), 0.6), "reading.damaged_archive"),
    Hostile("gz in gz", write(gzip.compress(gzip.compress(ROWS))), "reading.nested_archive"),
    Hostile("zip in zip", zipped({"a.zip": b"PK\x03\x04"}), "reading.nested_archive"),
    Hostile("zip called csv in zip", zipped({"a.csv": b"PK\x03\x04 "}), "reading.nested_archive"),
    Hostile("zip with a password", encrypted_zip, "reading.encrypted"),
    Hostile("zip that climbs", zipped({"../../x.csv": ROWS}), "reading.path_leads_out"),
    Hostile("zip to the root", zipped({"/etc/x.csv": ROWS}), "reading.path_leads_out"),
    Hostile("zip climbs backwards", zipped({"..\\x.csv": ROWS}), "reading.path_leads_out"),
    Hostile("zip to a drive", zipped({"C:\\x.csv": ROWS}), "reading.path_leads_out"),
    Hostile("zip with a link", link, "reading.link_in_archive"),
    Hostile("zip of 5,000 files", many_members, "reading.too_many_members"),
    Hostile("zip with one name twice", same_member_twice, "reading.member_twice"),
    Hostile("zip that lies about a size", lying_size, "reading.damaged_archive"),
    Hostile("zip packed with lzma", zipped({"a.csv": ROWS}, zipfile.ZIP_LZMA),
            "reading.other_archive"),
    Hostile("zip cut off", truncated(b"PK\x03\x04" + b"\x00" * 500, 1), "reading.damaged_archive"),
    Hostile("zip without a table", zipped({"a.docx": b"x"}), "reading.no_table_inside"),
    Hostile("text before a zip", two_faces, "reading.two_faces"),
    Hostile("7z", write(b"7z\xbc\xaf\x27\x1c" + b"\x00" * 99), "reading.other_archive"),
    # Text
    Hostile("empty", write(b""), "lake.file_empty"),
    Hostile("only blanks", write(b" \n\n\t\n"), "lake.file_empty"),
    Hostile("quote never closed, 60 MB", write(b'a,b\n1,"x\n' + b"2,y\n" * 15_000_000),
            "reading.open_quote"),
    Hostile("200,000 columns", write(b",".join(b"c%d" % i for i in range(200_000)) + b"\n1\n"),
            "lake.file_header_long"),
    Hostile("3,000 columns", write(b",".join(b"c%d" % i for i in range(3_000)) + b"\n1\n"),
            "reading.too_many_columns"),
    Hostile("zero bytes in a CSV", write(ROWS + b"2026-01-01,\x00,1\n"), "reading.zero_bytes"),
    Hostile("one line of 60 MB", write(b"x" * (60 * MIB)), "lake.file_header_long"),
    Hostile("two columns of one name", write(b"a,a\n1,2\n"), "lake.file_column_twice"),
    Hostile("vrt.csv", write(VRT), "lake.file_not_csv"),
    Hostile("vrt.json", write(VRT), "lake.file_not_csv"),
    Hostile("vrt.geojson", write(VRT), "lake.file_not_csv"),
    Hostile("vrt.kml", write(VRT), "lake.file_not_csv"),
    Hostile("vrt in utf-16", write(VRT.encode("utf-16")), "lake.file_not_csv"),
    Hostile("web page called xls", write("<html><table><tr><td>1</td></tr></table></html>"),
            "lake.file_not_csv"),
    Hostile("billion laughs.kml", write(f"<?xml version='1.0'?>{LAUGHS}<kml>&j;</kml>"),
            "lake.file_not_csv"),
    # Workbooks
    Hostile("billion laughs.xlsx", laughing_workbook, "reading.xml_entities"),
    Hostile("entity from outside.xlsx", workbook("", None, EXTERNAL), "reading.xml_entities"),
    Hostile("entity from outside in utf-16.xlsx", utf16_workbook, "reading.strange_xml"),
    Hostile("16,384 columns.xlsx",
            workbook(f'<row r="1">{cell("A1")}</row><row r="9">{cell("XFD1048576")}</row>'),
            "reading.too_many_columns"),
    Hostile("a million rows of nothing.xlsx",
            workbook(f'<row r="1">{cell("A1")}</row><row r="9">{cell("ZZ1048576")}</row>'),
            "reading.sheet_too_wide"),
    Hostile("one long text in every cell.xlsx", one_text_everywhere, "reading.unpacks_too_large"),
    Hostile("text of 3 MB.xlsx",
            workbook('<row r="1"><c r="A1" t="s"><v>0</v></c></row>',
                     f"<si><t>{'ab' * 1_500_000}</t></si>"), "reading.cell_too_long"),
    Hostile("300 MB of blanks.xlsx", blown_up_workbook, "reading.unpacks_too_large"),
    Hostile("workbook with a password.xlsx", write(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"0" * 99),
            "reading.old_office"),
    Hostile("broken.xlsx", workbook('<row r="1"><c r="A1"><v>1</v></row>'), "reading.damaged"),
    # JSON
    Hostile("nested 100,000 deep.geojson",
            write('{"type":"FeatureCollection","features":[{"type":"Feature","geometry":'
                  + "[" * 100_000 + "]" * 100_000 + "}]}"), "reading.too_deep"),
    Hostile("nested 100,000 deep.ndjson", write('{"a":1}\n{"a":' + "[" * 100_000 + "\n"),
            "reading.too_deep"),
    Hostile("not a number.json", write('[{"a": 1}, {"a": NaN}]'), "reading.bad_number"),
    Hostile("1e400.json", write('[{"a": 1e400}]'), "reading.bad_number"),
    Hostile("100,000 digits.json", write('[{"a": ' + "9" * 100_000 + "}]"), "reading.bad_number"),
    Hostile("cut off.json", write('[{"a": 1}, {"a": '), "reading.bad_json"),
    Hostile("zero byte in a text.json", write('[{"a": "x\\u0000y"}]'), "reading.zero_bytes"),
    Hostile("100,000 names.json", write("[" + json.dumps({f"c{i}": i for i in range(100_000)})
            + "]"), "reading.too_many_columns"),
    Hostile("text of 2 MB.json", write(json.dumps([{"a": "x" * 2 * MIB}])),
            "reading.cell_too_long"),
    Hostile("text that never ends.json", write('[{"a": "' + '\\"' * 5_000_000), "reading.bad_json"),
    Hostile("latin-1.json", write('[{"a": "é"}]'.encode("latin-1")), "reading.json_not_utf8"),
    Hostile("no rows.json", write('{"a": [1, 2, 3]}'), "reading.no_array"),
    Hostile("half a polygon.geojson", write(features({"type": "Polygon", "coordinates": [[1]]})),
            "reading.bad_geometry"),
    Hostile("shape of another kind.geojson", write(features({"type": "Sphere", "r": 1})),
            "reading.bad_geometry"),
    Hostile("system from elsewhere.geojson",
            write(features(None, crs="https://example.org/crs")), "reading.bad_crs"),
    Hostile("system out of a file.geojson",
            write(features(None, crs="+init=/etc/passwd:root")), "reading.bad_crs"),
    # Parquet
    Hostile("scrambled footer.parquet", patched_parquet(scrambled_footer), "reading.damaged"),
    Hostile("endless footer.parquet", patched_parquet(endless_footer), "reading.damaged"),
    Hostile("rows that are not there.parquet", patched_parquet(more_rows_than_there_are),
            "reading.damaged"),
    Hostile("scrambled pages.parquet", patched_parquet(scrambled_pages), "reading.damaged"),
    Hostile("60 million rows in little.parquet", parquet("SELECT 1 AS a FROM range(60000000)"),
            "reading.too_many_rows"),
    Hostile("texts of 2 MB.parquet", parquet("SELECT repeat('x', 2000000) AS a FROM range(3)"),
            "reading.cell_too_long"),
    Hostile("3,000 columns.parquet",
            parquet("SELECT " + ", ".join(f"{i} AS c{i}" for i in range(3_000))),
            "reading.too_many_columns"),
    Hostile("encrypted.parquet", write(b"PARE" + b"\x00" * 99), "reading.encrypted"),
    # GeoPackage, Shapefile
    Hostile("layer that computes.gpkg",
            geopackage("CREATE VIEW places AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL "
                       "SELECT n + 1 FROM r) SELECT NULL AS geom, n FROM r"), "reading.gpkg_code"),
    Hostile("column that computes.gpkg",
            geopackage("CREATE TABLE places (geom BLOB, n INT, z BLOB AS (zeroblob(1000000000)))",
                       "INSERT INTO places (n) VALUES (1)"), "reading.gpkg_code"),
    Hostile("virtual layer.gpkg",
            geopackage("CREATE VIRTUAL TABLE places USING fts5(geom, n)"), "reading.gpkg_code"),
    Hostile("list of layers that is a view.gpkg",
            lambda path: sqlite3.connect(path).executescript(
                "CREATE VIEW gpkg_contents AS SELECT 'x' AS table_name, 'features' AS data_type"
            ).close(), "reading.gpkg_code"),
    Hostile("other database.gpkg", lambda path: sqlite3.connect(path).executescript(
        "CREATE TABLE accounts (name)").close(), "reading.not_geopackage"),
    Hostile("scrambled.gpkg", broken_geopackage, "reading.damaged"),
    Hostile("shape without its header.gpkg",
            geopackage("CREATE TABLE places (geom BLOB, n INT)",
                       "INSERT INTO places VALUES (x'00112233445566778899', 1)"),
            "reading.bad_geometry"),
    Hostile("shapefile without its table", shapefiles(lambda p: p.pop("places.dbf")),
            "reading.shapefile_part"),
    Hostile("shapefile with endless shapes", shapefiles(endless_shape), "reading.damaged"),
    Hostile("shapefile of a strange system",
            shapefiles(lambda p: p.update({"places.prj": b"GEOGCS[" * 500})), "reading.bad_crs"),
    Hostile("shapefile alone", write(b"\x00\x00\x27\x0a" + b"\x00" * 99), "reading.bare_shapefile"),
    # Other things
    Hostile("pdf called csv", write(b"%PDF-1.7\n"), "reading.pdf"),
    Hostile("program", write(b"\x7fELF" + b"\x00" * 99), "reading.unknown_binary"),
    Hostile("image", write(b"\x89PNG\r\n\x1a\n" + b"\x00" * 99), "reading.unknown_binary"),
]  # fmt: skip
