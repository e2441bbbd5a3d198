"""GeoPackage: an SQLite database of unknown intent, opened to read and for plain tables alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dothi.lake.reading.limits import MOST_COLUMNS, MOST_GEOMETRY
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import name, read_csv
from dothi.lake.reading.result import Table
from dothi.lake.reading.shapes import Shapes
from dothi.lake.reading.writer import Writer

SECONDS = 120.0
_ENVELOPES = (0, 32, 48, 48, 64)
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA}


def open_layer(path: Path, how: Mapping[str, Any], work: Path) -> Table:
    """One layer of a GeoPackage as a table. Raises Refused."""
    try:
        db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)
        try:
            return _open(db, how, work)
        finally:
            db.close()
    except (sqlite3.Error, OverflowError) as error:
        if "not authorized" in str(error) or "prohibited" in str(error):
            raise Refused("reading.gpkg_code") from error
        raise Refused("reading.damaged", format="GeoPackage", problem=str(error)[:200]) from error


def _open(db: sqlite3.Connection, how: Mapping[str, Any], work: Path) -> Table:
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.execute("PRAGMA query_only = ON")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * MOST_GEOMETRY)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, MOST_COLUMNS)
    # Reading a plain table calls no function; a view or a generated column might.
    db.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
    )
    end = time.monotonic() + SECONDS
    db.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    db.text_factory = lambda data: data.decode("utf-8", "replace")

    kinds = {
        str(n): (str(k), str(sql))
        for n, k, sql in db.execute("SELECT name, type, sql FROM sqlite_master").fetchmany(10_000)
        if k in ("table", "view")
    }
    if "gpkg_contents" not in kinds:
        raise Refused("reading.not_geopackage")
    for table in ("gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys"):
        _plain(kinds, table)
    layers = [
        (str(n), str(k))
        for n, k in db.execute("SELECT table_name, data_type FROM gpkg_contents").fetchmany(1_000)
        if k in ("features", "attributes")
    ]
    layer = _choose(layers, how)
    _plain(kinds, layer)
    columns = [
        str(row[1]) for row in db.execute(f"PRAGMA table_xinfo({name(layer)})") if row[6] == 0
    ]
    hidden = [row for row in db.execute(f"PRAGMA table_xinfo({name(layer)})") if row[6] != 0]
    if hidden:
        raise Refused("reading.gpkg_code")
    shape = None
    for table, column, srs in db.execute(
        "SELECT table_name, column_name, srs_id FROM gpkg_geometry_columns"
    ):
        if table == layer:
            shape = (str(column), int(srs))
    shapes = Shapes(_crs(db, shape[1]) if shape else None)
    listed = ", ".join(map(name, columns))
    found = db.execute(f"SELECT {listed} FROM {name(layer)}")
    notes: dict[str, Any] = {"format": "gpkg", "layer": layer, "layers": [n for n, _ in layers]}
    writer = Writer(work / "table.csv", longest=MOST_GEOMETRY)
    writer.write(_rows(found, columns, shape[0] if shape else None, shapes))
    if not writer.rows:
        raise Refused("lake.file_empty")
    if font := writer.finish(how.get("font")):
        notes["font"] = font
    notes.update(shapes.notes)
    names = writer.names(font)
    relation = read_csv(work / "table.csv", names, longest=writer.longest_row)
    return Table(relation, names, None, notes)


def _plain(kinds: dict[str, tuple[str, str]], table: str) -> None:
    kind, sql = kinds.get(table, ("", ""))
    if not kind:
        raise Refused("reading.no_layer", name=table[:100], found="—")
    if kind != "table" or sql.upper().split()[:2] != ["CREATE", "TABLE"]:
        raise Refused("reading.gpkg_code")


def _choose(layers: list[tuple[str, str]], how: Mapping[str, Any]) -> str:
    names = [n for n, _ in layers]
    wanted = how.get("layer") or how.get("sheet")
    listed = ", ".join(names)[:300] or "—"
    if wanted:
        if wanted not in names:
            raise Refused("reading.no_layer", name=str(wanted)[:100], found=listed)
        return str(wanted)
    features = [n for n, kind in layers if kind == "features"] or names
    if not features:
        raise Refused("lake.file_empty")
    if len(features) > 1:
        raise Refused("reading.several_layers", found=listed)
    return features[0]


def _crs(db: sqlite3.Connection, srs: int) -> str | None:
    if srs in (4326, 0, -1):
        return None
    row = db.execute(
        "SELECT organization, organization_coordsys_id, definition FROM gpkg_spatial_ref_sys "
        "WHERE srs_id = ?",
        [srs],
    ).fetchone()
    if row is None:
        raise Refused("reading.bad_crs", name=str(srs))
    return f"EPSG:{int(row[1])}" if str(row[0]).upper() == "EPSG" else str(row[2])


def _rows(
    found: sqlite3.Cursor, columns: list[str], geometry: str | None, shapes: Shapes
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(found, 1):
        out: dict[str, Any] = {}
        shape: dict[str, Any] = {}
        for column, value in zip(columns, row, strict=True):
            if column == geometry:
                shape = shapes.from_wkb(_wkb(value, number), number)
            else:
                out[column] = value.hex() if isinstance(value, bytes) else value
        yield out | shape


def _wkb(blob: Any, row: int) -> bytes | None:
    """The well-known binary behind a GeoPackage geometry's own header."""
    if blob is None:
        return None
    if not isinstance(blob, bytes) or blob[:2] != b"GP" or len(blob) < 8:
        raise Refused("reading.bad_geometry", row=row)
    flags = blob[3]
    envelope = (flags >> 1) & 7
    if envelope >= len(_ENVELOPES) or flags & 0x20:
        raise Refused("reading.bad_geometry", row=row)
    return None if flags & 0x10 else blob[8 + _ENVELOPES[envelope] :]
