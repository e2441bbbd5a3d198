"""What several files say of the same units, put together: names joined, codes mended, faults listed."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from dothi.identity.units import KINDS, LEVELS, full_name, kind_of
from dothi.identity.units_records import PlaceRecord, Records, UnitRecord
from dothi.identity.units_store import Version
from dothi.kernel.errors import Fault

MOST_LISTED = 1_000
"""Findings of one kind that are kept with an import; the count is always whole."""

_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,19}")
_TONES = "\u0300\u0301\u0303\u0309\u0323"
_BETWEEN = re.compile(r"\W+")
_RANK = ("list", "units", "new_points", "old_list", "old_table", "crosswalk")
"""Whose name counts where files differ: lists of units before tables made from them."""

File = tuple[str, Records]
Key = tuple[str, str]
"""A code and its era: "old" before the day of the reform, "new" from it on."""


@dataclass(frozen=True)
class Finding:
    """Something worth knowing that does not stop an import: how often, and which."""

    kind: str
    count: int
    items: list[str]


@dataclass(frozen=True)
class Facts:
    """What all files together say of a code in one era; `begin` and `end` only where given."""

    version: Version
    level: str
    era: str
    form: str
    where: str
    begin: date | None = None
    end: date | None = None


@dataclass
class Said:
    """All that the files of one import say, with what is wrong and what is worth knowing."""

    day: date
    legal_basis: str | None
    units: dict[Key, Facts] = field(default_factory=dict)
    mended: dict[str, str] = field(default_factory=dict)
    """New codes of a crosswalk that the list of units writes otherwise."""
    faults: list[Fault] = field(default_factory=list)
    _noted: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def fault(self, where: str, key: str, **params: object) -> None:
        self.faults.append(Fault(where, key, params))

    def note(self, kind: str, item: str) -> None:
        self._noted[kind][item] = None

    def findings(self) -> list[Finding]:
        return [Finding(k, len(v), list(v)[:MOST_LISTED]) for k, v in sorted(self._noted.items())]


def gather(said: Said, files: Sequence[File]) -> None:
    """Fill `said.units` from the files' records."""
    for name, records in files:
        for record in records.units:
            facts = _facts(said, name, records.form, record)
            if facts is None:
                continue
            key = (record.code, facts.era)
            before = said.units.get(key)
            said.units[key] = _together(said, key, before, facts) if before else facts
    _mend_codes(said)
    named = {era: _by_name(said, era) for era in ("old", "new")}
    for name, records in files:
        for place in records.places:
            era = place.era or "new"
            codes = named[era].get(_name_key(place.names), [])
            if len(codes) == 1:
                _add_place(said, (codes[0], era), place, name)
            else:
                said.note("name_unknown", f"{name}:{place.row} {', '.join(place.names)}")


@lru_cache(maxsize=100_000)
def spelled(name: str) -> str:
    """A name with each word's tone at its end: "Hoà" and "Hòa" are the same, "Hoá" is not."""
    words = []
    for word in _BETWEEN.split(unicodedata.normalize("NFC", name).casefold()):
        letters = unicodedata.normalize("NFD", word)
        tones = "".join(sorted(c for c in letters if c in _TONES))
        words.append("".join(c for c in letters if c not in _TONES) + tones)
    return " ".join(word for word in words if word)


def same_name(one: str, other: str) -> bool:
    """Whether two names differ in spelling at most."""
    return one == other or spelled(one) == spelled(other)


def decimal(value: str | None) -> Decimal | None:
    """A number exactly as written; None for what is none."""
    try:
        number = Decimal(value) if value is not None else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _facts(said: Said, name: str, form: str, record: UnitRecord) -> Facts | None:
    where = f"{name}:{record.row}"
    before = len(said.faults)
    if not _CODE.fullmatch(record.code):
        said.fault(where, "units.bad_unit_code", value=record.code[:60])
    if record.level not in LEVELS:
        said.fault(where, "units.bad_level", value=record.level[:60], levels=", ".join(LEVELS))
        return None
    kind = record.kind or kind_of(record.level, record.name)
    if kind not in KINDS[record.level]:
        kinds = ", ".join(KINDS[record.level].values())
        said.fault(where, "units.bad_kind", name=record.name[:100], kinds=kinds)
    if len(record.name) > 200 or not record.name.isprintable():
        said.fault(where, "units.bad_name", name=record.name[:60])
    begin, end = (_day(said, where, value) for value in (record.valid_from, record.valid_to))
    if begin and end and begin >= end:
        said.fault(where, "units.dates_crossed", begin=begin, end=end)
    if len(said.faults) > before:
        return None
    # A row that ends with the reform or earlier is about the time before.
    era = record.era or ("old" if end and end <= said.day else "new")
    basis = record.legal_basis or (said.legal_basis if era == "new" else None)
    version = Version(
        name=full_name(record.level, kind, record.name), name_en=record.name_en, kind=kind, parent=record.parent,
        legal_basis=basis, lon=record.lon, lat=record.lat, population=record.population,
        area_km2=decimal(record.area_km2), sources=(name,),
    )  # fmt: skip
    return Facts(version, record.level, era, form, where, begin, end)


def _day(said: Said, where: str, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value is not None else None
    except ValueError:
        said.fault(where, "units.bad_date", value=(value or "")[:60])
        return None


def _together(said: Said, key: Key, one: Facts, two: Facts) -> Facts:
    """What two rows say of the same unit in the same era."""
    if one.form == two.form == "units":
        said.fault(two.where, "units.unit_twice", code=key[0], other=one.where)
    if one.level != two.level:
        said.fault(two.where, "units.level_differs", code=key[0], other=one.where)
        return one
    by_rank = _RANK.index(one.form) <= _RANK.index(two.form)
    if one.version.kind != two.version.kind:
        # A list may be younger than the reform; the table of the reform knows what it made.
        by_rank = not by_rank
    first, second = (one, two) if by_rank else (two, one)
    a, b = first.version, second.version
    if a.kind != b.kind:
        said.note("kind_differs", f"{key[0]} {a.name} / {b.name}")
        b = replace(b, name_en=None)
    elif a.name != b.name:
        difference = "spelling_differs" if same_name(a.name, b.name) else "name_differs"
        said.note(difference, f"{key[0]} {a.name} / {b.name}")
    if a.parent and b.parent and a.parent != b.parent:
        said.fault(second.where, "units.parent_differs", code=key[0], one=a.parent, other=b.parent)
    filled = a if a == b else a.filled_from(b)
    return replace(
        first, version=filled, begin=first.begin or second.begin, end=first.end or second.end
    )


def _name_key(names: Sequence[str]) -> tuple[str, ...]:
    """Names from the smallest area up; the province without its office, which sources vary."""
    *inner, province = map(spelled, names)
    for office in map(spelled, ("Thành phố", "Thủ đô", "Tỉnh")):
        province = province.removeprefix(office + " ")
    return (*inner, province)


def _by_name(said: Said, era: str) -> dict[tuple[str, ...], list[str]]:
    """Communes of an era by their names from the smallest area up to the province."""
    index: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (code, which), facts in said.units.items():
        if which != era or facts.level != "commune":
            continue
        names, above, seen = [facts.version.name], facts.version.parent, {code}
        while above and above not in seen and (up := said.units.get((above, era))):
            names.append(up.version.name)
            seen.add(above)
            above = up.version.parent
        if len(names) > 1:
            index[_name_key(names)].append(code)
    return index


def _mend_codes(said: Said) -> None:
    """New codes that the list of units does not have, where it has exactly one commune of that
    name in that province that no other file names: they mean that one."""
    listed = {code for (code, era), facts in said.units.items()
              if era == "new" and facts.form == "list"}  # fmt: skip
    if not listed:
        return
    for codes in _by_name(said, "new").values():
        known, strange = [c for c in codes if c in listed], [c for c in codes if c not in listed]
        if len(known) == len(strange) == 1:
            gone, kept = said.units.pop((strange[0], "new")), said.units[known[0], "new"]
            filled = kept.version.filled_from(gone.version)
            said.units[known[0], "new"] = replace(kept, version=filled)
            said.mended[strange[0]] = known[0]
            above = said.units.get((kept.version.parent or "", "new"))
            place = f", {above.version.name}" if above else ""
            said.note("code_mended", f"{strange[0]} → {known[0]} {kept.version.name}{place}")


def _add_place(said: Said, key: Key, place: PlaceRecord, name: str) -> None:
    more = Version(
        name="", kind="", lon=place.lon, lat=place.lat, population=place.population or None,
        area_km2=decimal(place.area_km2), sources=(name,),
    )  # fmt: skip
    facts = said.units[key]
    said.units[key] = replace(facts, version=facts.version.filled_from(more))
