"""Runs inside the jail: a file about administrative units becomes plain records, faults listed.

The form is told by the content, never by the name. `main` writes `records.json`: an object with
`form`, `units`, `links`, `places`, `shapes`, `shares` and `faults`, as the structs of `units_records` have
them; the caller checks it against those. The forms are described in docs/units.md.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import math
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_UNPACKED = 128 * 1024 * 1024
MOST_RATIO = 200
"""A text packs to a tenth; what packs to less than a two-hundredth is made to fill the memory."""
MOST_ROWS = 200_000
MOST_CELL = 20_000
MOST_VERTICES = 5_000_000
MOST_FAULTS = 200

SCALES = {"near": 0.0001, "middle": 0.001, "far": 0.01}
"""Tolerances in degrees: about 10 m for a commune's map, 100 m for a province's, 1 km for all."""

Row = dict[str, str]


class _Unreadable(Exception):
    """The whole file cannot be read: the key of the reason and its parameters."""

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key)
        self.fault = {"row": 0, "key": key, "params": params}


class _Records:
    """What a file holds, gathered row by row."""

    def __init__(self) -> None:
        self.form = ""
        self.units: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []
        self.places: list[dict[str, Any]] = []
        self.shapes: list[dict[str, Any]] = []
        self.shares: list[dict[str, Any]] = []
        self.faults: list[dict[str, Any]] = []

    def fault(self, row: int, key: str, **params: object) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append({"row": row, "key": key, "params": params})


def main(_args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Read one file. Returns the number of records of each sort."""
    records = _Records()
    try:
        _read(_text(inputs["file"]), records)
    except _Unreadable as error:
        records.faults = [error.fault]
    (out / "records.json").write_text(
        json.dumps(vars(records), ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
    return {name: len(found) for name, found in vars(records).items() if name != "form"}


def _text(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as source:
            raw = source.read(min(MOST_UNPACKED, max(size, 4096) * MOST_RATIO) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _Unreadable("units.bad_archive") from error
    if len(raw) > MOST_UNPACKED:
        raise _Unreadable("units.unpacked_too_large", most=MOST_UNPACKED)
    if packed and len(raw) > max(size, 4096) * MOST_RATIO:
        raise _Unreadable("units.packed_too_tight", most=MOST_RATIO)
    if not raw.strip():
        raise _Unreadable("units.file_empty")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _Unreadable("units.not_utf8", line=line) from error
    if "\x00" in text:
        raise _Unreadable("units.not_text")
    return unicodedata.normalize("NFC", text)


def _read(text: str, records: _Records) -> None:
    if text.lstrip()[:1] not in ("{", "["):
        _read_csv(text, records)
        return
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _Unreadable("units.bad_json", problem=str(error)[:200]) from error
    if isinstance(document, list):
        records.form = "list"
        _national_list(document, records)
    elif document.get("type") == "FeatureCollection":
        records.form = "outlines"
        _features(document, records)
    elif "level2s" in document:
        records.form = "old_outlines"
        _old_outlines(document, records)
    elif isinstance(document.get("data"), list):
        records.form = "old_list"
        _old_list(document["data"], records)
    else:
        raise _Unreadable("units.unknown_json")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


# -- tables -------------------------------------------------------------------------------------


def _read_csv(text: str, records: _Records) -> None:
    csv.field_size_limit(MOST_CELL)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        form = next((f for f in FORMS if set(f[1]) <= set(header)), None)
        if form is None:
            raise _Unreadable("units.unknown_table", found=", ".join(header)[:300])
        records.form, _, take = form
        for number, cells in enumerate(reader, 2):  # the header is row 1, as a spreadsheet counts
            if number > MOST_ROWS + 1:
                raise _Unreadable("units.too_many_rows", most=MOST_ROWS)
            if not any(cells):
                continue
            if len(cells) != len(header):
                records.fault(number, "units.row_length", wanted=len(header), found=len(cells))
                continue
            row = {n: " ".join(c.split()) for n, c in zip(header, cells, strict=True)}
            take(_Line(number, row, records))
    except csv.Error as error:
        raise _Unreadable("units.bad_csv", line=reader.line_num, problem=str(error)) from error


class _Line:
    """One row of a table; what is wrong in it becomes a fault, and the value None."""

    def __init__(self, number: int, row: Row, records: _Records) -> None:
        self.number, self.row, self.records = number, row, records

    def text(self, column: str) -> str | None:
        return self.row.get(column) or None

    def need(self, column: str) -> str:
        value = self.text(column)
        if value is None:
            self.fault("units.cell_missing", column=column)
        return value or ""

    def code(self, column: str, digits: int) -> str | None:
        """A code whose leading zeros a spreadsheet may have taken ("97.0" → "00097")."""
        value = self.text(column)
        if value is None:
            return None
        whole = value.removesuffix(".0")
        if not (whole.isascii() and whole.isdecimal() and len(whole) <= digits):
            self.fault("units.bad_code", column=column, value=value[:60], digits=digits)
            return None
        return whole.zfill(digits)

    def number_of(self, column: str, low: float, high: float) -> float | None:
        value = self.text(column)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            self.fault("units.bad_number", column=column, value=value[:60])
            return None
        if not (math.isfinite(number) and low <= number <= high):
            self.fault("units.number_range", column=column, value=value[:60], low=low, high=high)
            return None
        return number

    def point(self, lon: str, lat: str) -> dict[str, float | None]:
        return {"lon": self.number_of(lon, -180, 180), "lat": self.number_of(lat, -90, 90)}

    def area(self, column: str) -> str | None:
        number = self.number_of(column, 0, 1_000_000)
        return self.text(column) if number else None

    def unit(self, era: str, code: str | None, level: str, name: str, **more: Any) -> None:
        if code is not None and name:
            self.records.units.append(
                {"row": self.number, "era": era, "code": code, "level": level, "name": name, **more}
            )

    def fault(self, key: str, **params: object) -> None:
        self.records.fault(self.number, key, **params)


def _crosswalk(line: _Line) -> None:
    """A row of the table old commune → new commune; both sides are units too."""
    province, district = line.code("provinceCode", 2), line.code("districtCode", 3)
    ward = line.code("wardCode", 5)
    into, new = line.code("newProvinceCode", 2), line.code("newWardCode", 5)
    line.unit("old", province, "province", line.need("province"))
    line.unit("old", district, "district", line.need("district"), parent=province)
    if line.text("wardCode"):
        line.unit("old", ward, "commune", line.need("ward"), parent=district)
    elif line.text("ward"):
        line.fault("units.cell_missing", column="wardCode")
    near = line.point("newProvinceLon", "newProvinceLat")
    line.unit("new", into, "province", line.need("newProvince"), **near)
    line.unit(
        "new", new, "commune", line.need("newWard"), parent=into,
        area_km2=line.area("newWardAreaKm2"), **line.point("newWardLon", "newWardLat"),
    )  # fmt: skip
    # An island district without communes became a unit itself.
    old = ward if line.text("wardCode") else district
    if old is not None and new is not None:
        line.records.links.append({"row": line.number, "old": old, "new": new})
    elif not line.records.faults or line.records.faults[-1]["row"] != line.number:
        line.fault("units.cell_missing", column="newWardCode")


def _new_points(line: _Line) -> None:
    province = line.code("provinceCode", 2)
    near = line.point("provinceLon", "provinceLat")
    line.unit("new", province, "province", line.need("province"), **near)
    line.unit(
        "new", line.code("wardCode", 5), "commune", line.need("ward"), parent=province,
        area_km2=line.area("wardAreaKm2"), **line.point("wardLon", "wardLat"),
    )  # fmt: skip


def _old_table(line: _Line) -> None:
    province, district = line.code("Mã TP", 2), line.code("Mã QH", 3)
    line.unit("old", province, "province", line.need("Tỉnh / Thành Phố"))
    line.unit("old", district, "district", line.need("Quận Huyện"), parent=province)
    line.unit("old", line.code("Mã", 5), "commune", line.need("Tên"), parent=district)


def _figures(line: _Line) -> None:
    """Population and area of new communes, which the table names but gives no code we know."""
    people = (line.text("dansonguoi") or "").replace(".", "")
    line.records.places.append(
        {
            "row": line.number, "era": "new",
            "names": [f"{line.need('loai')} {line.need('tenhc')}", line.need("tentinh")],
            "population": int(people) if people.isascii() and people.isdecimal() else None,
            "area_km2": line.area("dientichkm2"), **line.point("kinhdo", "vido"),
        }
    )  # fmt: skip


def _places(line: _Line) -> None:
    """Points of old communes by address: commune, district, province."""
    names = [name.strip() for name in line.need("address").split(",")]
    line.records.places.append(
        {"row": line.number, "era": "old", "names": names, **line.point("longitude", "latitude")}
    )


def _own_units(line: _Line) -> None:
    people = line.number_of("population", 0, 2_000_000_000)
    line.unit(
        "", line.need("code") or None, line.need("level"), line.need("name"),
        parent=line.text("parent"), name_en=line.text("name_en"), kind=line.text("kind"),
        valid_from=line.text("valid_from"), valid_to=line.text("valid_to"),
        legal_basis=line.text("legal_basis"), area_km2=line.area("area_km2"),
        population=None if people is None else int(people), **line.point("lon", "lat"),
    )  # fmt: skip


def _own_links(line: _Line) -> None:
    line.records.links.append(
        {
            "row": line.number, "old": line.need("old_code"), "new": line.need("new_code"),
            "legal_basis": line.text("legal_basis"),
        }
    )  # fmt: skip


def _shares(line: _Line) -> None:
    line.records.shares.append(
        {
            "row": line.number, "old": line.need("old_code"), "new": line.need("new_code"),
            "basis": line.need("basis"), "share": line.text("share"),
            "amount": line.text("amount"), "source": line.need("source"),
            "given_by": line.need("given_by"),
        }
    )  # fmt: skip


FORMS: tuple[tuple[str, tuple[str, ...], Callable[[_Line], None]], ...] = (
    (
        "crosswalk",
        ("provinceCode", "province", "districtCode", "district", "wardCode", "ward",
         "newProvinceCode", "newProvince", "newWardCode", "newWard"),
        _crosswalk,
    ),
    ("new_points", ("provinceCode", "province", "wardCode", "ward", "wardLat", "wardLon"), _new_points),
    ("old_table", ("Mã", "Tên", "Mã QH", "Quận Huyện", "Mã TP", "Tỉnh / Thành Phố"), _old_table),
    ("figures", ("tentinh", "loai", "tenhc", "dientichkm2", "dansonguoi"), _figures),
    ("places", ("address", "latitude", "longitude"), _places),
    ("shares", ("old_code", "new_code", "basis", "source", "given_by"), _shares),
    ("links", ("old_code", "new_code"), _own_links),
    ("units", ("code", "level", "name"), _own_units),
)  # fmt: skip
"""Name, the columns a table of this form has, and who reads its rows; the first that fits."""


# -- lists --------------------------------------------------------------------------------------


def _national_list(provinces: list[Any], records: _Records) -> None:
    """Provinces with their communes, as the open database of units gives them."""
    number = 0
    for province in provinces:
        number += 1
        code = _from_list(province, number, "province", None, records)
        wards = province.get("Wards") if isinstance(province, dict) else None
        for ward in wards if isinstance(wards, list) else ():
            number += 1
            _from_list(ward, number, "commune", code, records)


def _from_list(
    entry: Any, row: int, level: str, parent: str | None, records: _Records
) -> str | None:
    fields = entry if isinstance(entry, dict) else {}
    code, name, english = (fields.get(key) for key in ("Code", "FullName", "FullNameEn"))
    if not (isinstance(code, str) and isinstance(name, str) and code and name):
        records.fault(row, "units.entry_incomplete", needs="Code, FullName")
        return None
    english = english if isinstance(english, str) else None
    records.units.append(
        {
            "row": row, "era": "new", "code": code, "level": level, "name": name,
            "name_en": english, "parent": parent,
        }
    )  # fmt: skip
    return code


def _old_list(provinces: list[Any], records: _Records) -> None:
    levels = (("province", 1), ("district", 2), ("commune", 3))
    number = 0

    def take(entries: Any, depth: int, parent: str | None) -> None:
        nonlocal number
        level, place = levels[depth]
        for entry in entries if isinstance(entries, list) else ():
            number += 1
            fields = entry if isinstance(entry, dict) else {}
            code, name = fields.get(f"level{place}_id"), fields.get("name")
            if not (isinstance(code, str) and isinstance(name, str) and code and name):
                records.fault(number, "units.entry_incomplete", needs=f"level{place}_id, name")
                continue
            records.units.append(
                {
                    "row": number, "era": "old", "code": code, "level": level, "name": name,
                    "parent": parent,
                }
            )  # fmt: skip
            if depth < 2:
                take(fields.get(f"level{place + 1}s"), depth + 1, code)

    take(provinces, 0, None)


# -- outlines -----------------------------------------------------------------------------------


def _features(document: dict[str, Any], records: _Records) -> None:
    features = document.get("features")
    if not isinstance(features, list):
        raise _Unreadable("units.unknown_json")
    found = []
    for number, feature in enumerate(features, 1):
        fields = feature if isinstance(feature, dict) else {}
        properties = fields.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        code = properties.get("code", fields.get("id"))
        if not isinstance(code, str) or not code:
            records.fault(number, "units.outline_without_code")
            continue
        found.append((number, code, fields.get("geometry")))
    _outlines(found, "new", records)


def _old_outlines(province: dict[str, Any], records: _Records) -> None:
    """An outline of a province and its districts: bare coordinates, not GeoJSON."""
    entries = [(1, province.get("level1_id"), province)]
    districts = province.get("level2s")
    for number, district in enumerate(districts if isinstance(districts, list) else (), 2):
        fields = district if isinstance(district, dict) else {}
        entries.append((number, fields.get("level2_id"), fields))
    found = []
    for number, code, fields in entries:
        if not isinstance(code, str) or not code:
            records.fault(number, "units.outline_without_code")
            continue
        shape = {"type": fields.get("type"), "coordinates": fields.get("coordinates")}
        found.append((number, code, shape))
    for group in (found[:1], found[1:]):  # each level covers the same ground
        _outlines(group, "old", records)


def _outlines(found: list[tuple[int, str, Any]], era: str, records: _Records) -> None:
    import shapely

    kept: list[tuple[int, str, Any]] = []
    vertices = 0
    for number, code, geometry in found:
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if kind not in ("Polygon", "MultiPolygon"):
            records.fault(number, "units.outline_kind", code=code[:60], kind=str(kind)[:60])
            continue
        try:
            shape = shapely.from_geojson(json.dumps(geometry))
        except shapely.errors.GEOSException:
            records.fault(number, "units.outline_unreadable", code=code[:60])
            continue
        vertices += shapely.get_num_coordinates(shape)
        if vertices > MOST_VERTICES:
            raise _Unreadable("units.too_many_vertices", most=MOST_VERTICES)
        if problem := _wrong_with(shapely, shape):
            records.fault(number, problem, code=code[:60])
            continue
        kept.append((number, code, shape))
    shapes = [shapely.force_2d(shape) for _, _, shape in kept]
    scaled = {name: _simplified(shapely, shapes, size) for name, size in SCALES.items()}
    for place, (number, code, _) in enumerate(kept):
        written = {"whole": _written(shapely, shapes[place], 7)}
        for name, digits in (("near", 5), ("middle", 4), ("far", 3)):
            written[name] = _written(shapely, scaled[name][place], digits)
        records.shapes.append(
            {
                "row": number, "era": era, "code": code, **written,
                "extent": [float(edge) for edge in shapely.bounds(shapes[place])],
                "digest": hashlib.sha256(written["whole"].encode()).hexdigest(),
            }
        )  # fmt: skip


def _wrong_with(shapely: Any, shape: Any) -> str | None:
    if shapely.is_empty(shape):
        return "units.outline_empty"
    west, south, east, north = shapely.bounds(shape)
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        return "units.outline_not_degrees"
    return None if shapely.is_valid(shape) else "units.outline_invalid"


def _simplified(shapely: Any, shapes: list[Any], tolerance: float) -> list[Any]:
    """Outlines with fewer vertices; neighbours that shared a border still share it."""
    if len(shapes) > 1 and shapely.coverage_is_valid(shapes):
        simple = list(shapely.coverage_simplify(shapes, tolerance))
    else:
        simple = [shapely.simplify(shape, tolerance, preserve_topology=True) for shape in shapes]
    return [_without_specks(shapely, shape, tolerance) for shape in simple]


def _without_specks(shapely: Any, shape: Any, tolerance: float) -> Any:
    """Islands smaller than a dot are left out, never the largest one."""
    parts = [part for part in shapely.get_parts(shape) if not shapely.is_empty(part)]
    largest = max(parts, key=lambda part: part.area)
    kept = [p for p in parts if p is largest or p.area >= tolerance * tolerance]
    return kept[0] if len(kept) == 1 else shapely.multipolygons(kept)


def _written(shapely: Any, shape: Any, digits: int) -> str:
    """A GeoJSON geometry with so many decimals, repeated points left out."""
    geometry = json.loads(shapely.to_geojson(shape))
    single = geometry["type"] == "Polygon"
    polygons = [geometry["coordinates"]] if single else geometry["coordinates"]
    slim = [[_ring(ring, digits) for ring in polygon] for polygon in polygons]
    coordinates = slim[0] if single else slim
    return json.dumps({"type": geometry["type"], "coordinates": coordinates}, separators=(",", ":"))


def _ring(ring: list[list[float]], digits: int) -> list[list[float]]:
    points = [[round(x, digits), round(y, digits)] for x, y in ring]
    slim = [p for n, p in enumerate(points) if n == 0 or p != points[n - 1]]
    return slim if len(slim) >= 4 else points
