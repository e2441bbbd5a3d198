"""Administrative units (đơn vị hành chính): what they are called, how they stand in time.

Since 1 July 2025 there are provinces and, directly below them, communes (xã, phường, đặc khu);
before, districts stood between. A code belongs to a level; what stands under it changes: reforms
use codes again, so a unit is always a code on a day. The catalogue has the kinds' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

Level = Literal["province", "district", "commune"]
LEVELS: tuple[Level, ...] = ("province", "district", "commune")

KINDS: dict[str, dict[str, str]] = {
    "province": {"province": "Tỉnh", "municipality": "Thành phố"},
    "district": {
        "urban_district": "Quận",
        "rural_district": "Huyện",
        "town": "Thị xã",
        "city": "Thành phố",
    },
    "commune": {
        "commune": "Xã",
        "ward": "Phường",
        "township": "Thị trấn",
        "special_zone": "Đặc khu",
    },
}
"""For each level its kinds, and the word that a unit's full name begins with."""

BASES = ("population", "area")
"""What a share of a divided unit can be counted by."""

Scale = Literal["near", "middle", "far", "whole"]
SCALES: tuple[Scale, ...] = ("near", "middle", "far", "whole")
"""Outlines for the map of a commune, of a province, of the country; and as they were given."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it stood from `valid_from` (None: since before our sources begin) until the day
    before `valid_to`. `legal_basis` None: no source says it, to be verified. `has_shape`: there is
    an outline; else maps show the point, if one is known."""

    code: str
    level: Level
    kind: str
    name: str
    name_en: str | None
    parent: str | None
    valid_from: date | None
    valid_to: date | None
    legal_basis: str | None
    lon: float | None
    lat: float | None
    population: int | None
    area_km2: Decimal | None
    sources: list[str]
    has_shape: bool


@dataclass(frozen=True, slots=True)
class UnitLink:
    """What became of a unit on `day`. `kind`: unchanged, renamed, merged or split."""

    day: date
    old: str
    old_name: str
    new: str
    new_name: str
    kind: str
    legal_basis: str | None
    source: str
    row: int


def kind_of(level: str, name: str) -> str:
    """The kind that a full name begins with ("Đặc khu Côn Đảo" → special_zone), or ""."""
    lower = name.casefold()
    found = [k for k, word in KINDS[level].items() if lower.startswith(word.casefold() + " ")]
    return found[0] if found else ""


def full_name(level: str, kind: str, name: str) -> str:
    """The name with its kind written as it should be ("Thị Xã Mường Lay" → "Thị xã Mường Lay")."""
    word = KINDS[level][kind]
    return word + name[len(word) :] if kind_of(level, name) == kind else name
