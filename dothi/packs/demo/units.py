"""The demonstration's administrative units: Tỉnh Sông Hạ, through the import that everybody uses.

The communes are those of the map (`dothi/packs/province.py`). What stood before 1 July 2025, how
many people live where and the legal basis are made up from the same file, always alike: most old
communes merged whole, the island was a district without communes, two old communes were split, of
which one has shares.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from random import Random

from shapely.geometry import mapping

from dothi.identity.model import SYSTEM
from dothi.identity.units_import import import_files
from dothi.packs.load import shipped
from dothi.packs.province import Commune, Province, province
from dothi.store.database import Database

REFORM = date(2025, 7, 1)
CODE = "SH"
GROUND = "Nghị quyết minh họa số 01/NQ-SH (không có thật)"
SOURCE = "Dữ liệu minh họa"
_DISTRICTS = ("Huyện Thượng Sông", "Huyện Trung Sông", "Huyện Hạ Sông", "Thị xã Cửa Hạ")
_SIDES = ("", " Đông", " Nam")
_EDITION = 1
"""Raised when what is made here changes, so that a home gets it anew."""

Row = dict[str, object]


def put_units(db: Database) -> bool:
    """Import the province where this edition of it is not in the database yet; whether it was."""
    spec = (shipped() / "province.yaml").read_bytes()
    edition = hashlib.sha256(spec + b"%d" % _EDITION).hexdigest()[:12]
    name = f"tinh-song-ha-{edition}.csv"
    with db.transaction() as conn:
        known = conn.execute(
            "SELECT 1 FROM unit_import, jsonb_array_elements(files) f WHERE f ->> 'name' = %s",
            (name,),
        ).fetchone()
    if known:
        return False
    with tempfile.TemporaryDirectory(prefix="dothi-demo-") as folder:
        import_files(db, write(Path(folder), name, province()), day=REFORM, actor=SYSTEM)
    return True


def write(folder: Path, name: str, drawn: Province) -> list[Path]:
    """The files of the province: units (as `name`), links, shares, outlines."""
    links: list[Row] = []
    units = [*_new(drawn), *_old(drawn, links)]
    shares: list[Row] = [
        {"old_code": "SH-tren", "new_code": new, "basis": "population", "share": share,
         "source": SOURCE, "given_by": SOURCE}
        for new, share in ((drawn.communes[13].code, "0.6"), (drawn.communes[14].code, "0.4"))
    ]  # fmt: skip
    features = [
        {"type": "Feature", "properties": {"code": code}, "geometry": mapping(area)}
        for code, area in ((CODE, drawn.area), *((c.code, c.area) for c in drawn.communes))
    ]
    outlines = folder / "ranh-gioi.geojson"
    outlines.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return [
        _table(folder / name, units),
        _table(folder / "chuyen-doi.csv", links),
        _table(folder / "ty-le.csv", shares),
        outlines,
    ]


def _table(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(c for row in rows for c in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _new(drawn: Province) -> Iterable[Row]:
    seat = drawn.communes[0].label
    yield _row(CODE, "province", drawn.name, *seat, legal_basis=GROUND)
    for commune in drawn.communes:
        area = _km2(commune)
        chance = Random(f"people {commune.code}")  # noqa: S311 - a figure of an invented place
        density = 2_600 if commune.type == "phường" else 190
        yield _row(
            commune.code, "commune", commune.title, *commune.label, parent=CODE,
            area_km2=f"{area:.2f}", population=round(area * density * chance.uniform(0.7, 1.4)),
            legal_basis=GROUND,
        )  # fmt: skip


def _row(code: str, level: str, name: str, lon: float, lat: float, **more: object) -> Row:
    return {"code": code, "level": level, "name": name, "parent": "", "valid_from": REFORM,
            "valid_to": "", "lon": lon, "lat": lat} | more  # fmt: skip


def _old(drawn: Province, links: list[Row]) -> Iterable[Row]:
    ended = {"valid_from": "", "valid_to": REFORM}
    *_, island = drawn.communes
    yield _row(CODE, "province", drawn.name, *drawn.communes[0].label, **ended)
    for number, name in enumerate(_DISTRICTS):
        place = drawn.communes[number * 16].label
        yield _row(f"SH-h{number}", "district", name, *place, parent=CODE, **ended)
    yield _row("SH-hd", "district", f"Huyện {island.name}", *island.label, parent=CODE, **ended)
    links.append({"old_code": "SH-hd", "new_code": island.code})
    for number, commune in enumerate(drawn.communes[:-1]):
        above = f"SH-h{number * len(_DISTRICTS) // len(drawn.communes)}"
        kind = "Phường" if commune.type == "phường" else "Xã"
        for part, side in enumerate(_SIDES[: 1 + number % 3]):
            code = f"{commune.code}{'abc'[part]}"
            place = (commune.label[0] + 0.004 * part, commune.label[1] - 0.003 * part)
            title = f"{kind if part == 0 else 'Xã'} {commune.name}{side}"
            yield _row(code, "commune", title, *place, parent=above, **ended)
            links.append({"old_code": code, "new_code": commune.code})
    for code, name, first in (("SH-tren", "Xã Bãi Trên", 13), ("SH-duoi", "Xã Bãi Dưới", 40)):
        halves = drawn.communes[first : first + 2]
        above = f"SH-h{first * len(_DISTRICTS) // len(drawn.communes)}"
        yield _row(code, "commune", name, *halves[0].label, parent=above, **ended)
        links.extend({"old_code": code, "new_code": half.code} for half in halves)


def _km2(commune: Commune) -> float:
    return commune.area.area * 111.32**2 * math.cos(math.radians(commune.label[1]))
