"""What the jail tells of a file about administrative units, checked like any input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from dothi import jail
from dothi.kernel.errors import Fault

MOST_BYTES = 64 * 1024 * 1024
LIMITS = jail.Limits(
    address_space_bytes=3 * 1024**3, cpu_s=120, wall_s=180.0, output_bytes=512 * 1024**2
)

Code = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z._-]{0,19}\Z")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Note = Annotated[str, msgspec.Meta(max_length=1000)]
Lon = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Lat = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Era = Literal["old", "new", ""]
Geometry = Annotated[str, msgspec.Meta(max_length=64 * 1024**2)]


class UnitRecord(msgspec.Struct):
    """What a row says of one unit, before the day of the reform ("old") or from it on ("new")."""

    row: int
    era: Era
    code: str
    level: str
    name: str
    name_en: str | None = None
    kind: str | None = None
    parent: str | None = None
    lon: Lon | None = None
    lat: Lat | None = None
    population: Annotated[int, msgspec.Meta(ge=0)] | None = None
    area_km2: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    legal_basis: Note | None = None


class LinkRecord(msgspec.Struct):
    row: int
    old: str
    new: str
    legal_basis: Note | None = None


class PlaceRecord(msgspec.Struct):
    """Facts of a unit that is named, from the smallest area up, without a code."""

    row: int
    era: Era
    names: list[str]
    lon: Lon | None = None
    lat: Lat | None = None
    population: Annotated[int, msgspec.Meta(ge=0)] | None = None
    area_km2: str | None = None


class ShapeRecord(msgspec.Struct):
    """An outline at four scales; `extent` is west, south, east, north."""

    row: int
    era: Era
    code: str
    whole: Geometry
    near: Geometry
    middle: Geometry
    far: Geometry
    extent: tuple[Lon, Lat, Lon, Lat]
    digest: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class ShareRecord(msgspec.Struct):
    row: int
    old: str
    new: str
    basis: str
    share: str | None
    amount: str | None
    source: Note
    given_by: Note


class FaultRecord(msgspec.Struct):
    row: int
    key: Annotated[str, msgspec.Meta(pattern=r"\Aunits\.[a-z0-9_]+\Z")]
    params: dict[str, Any]


class Records(msgspec.Struct):
    """One file: its form and all that it says."""

    form: str
    units: list[UnitRecord]
    links: list[LinkRecord]
    places: list[PlaceRecord]
    shapes: list[ShapeRecord]
    shares: list[ShareRecord]
    faults: list[FaultRecord]


class Polygon(msgspec.Struct, tag_field="type", tag="Polygon"):
    coordinates: list[list[tuple[Lon, Lat]]]


class MultiPolygon(msgspec.Struct, tag_field="type", tag="MultiPolygon"):
    coordinates: list[list[list[tuple[Lon, Lat]]]]


def read(path: Path, name: str) -> tuple[Records | None, list[Fault]]:
    """A file's records, or what is wrong with it; `name` is what people call it."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None, [Fault(name, "units.file_too_large", {"most": MOST_BYTES})]
    except OSError as error:
        return None, [Fault(name, "units.no_such_file", {"problem": error.strerror or ""})]
    job = jail.Job("dothi.identity.units_parse:main", inputs={"file": path})
    try:
        with jail.run(job, LIMITS) as result:
            told = (result.files / "records.json").read_bytes()
        records = msgspec.json.decode(told, type=Records)
        for shape in records.shapes:
            for text in (shape.whole, shape.near, shape.middle, shape.far):
                msgspec.json.decode(text, type=Polygon | MultiPolygon)
    except jail.JailError as error:
        return None, [Fault(name, error.key, dict(error.params))]
    except (OSError, msgspec.DecodeError) as error:
        return None, [Fault(name, "units.told_wrong", {"problem": str(error)[:200]})]
    return records, [Fault(_at(name, f.row), f.key, f.params) for f in records.faults]


def _at(name: str, row: int) -> str:
    return f"{name}:{row}" if row else name
