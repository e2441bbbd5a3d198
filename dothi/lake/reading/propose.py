"""A contract proposed for an unknown file, for a person to judge, name and confirm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dothi.kernel import units
from dothi.kernel.errors import Invalid
from dothi.lake.reading.guess import Guess, slug
from dothi.lake.reading.keys import Key, Texts, is_numbering, telling
from dothi.lake.reading.together import agree, completed, rhythm

HOME_ZONE = "Asia/Ho_Chi_Minh"
OWNER = "co-quan"
"""Stands where the person writes the agency's code."""
_FILE = ("format", "member", "sheet", "layer", "path", "encoding", "font", "quote")
_TAKEN = {"time", "value", "quality", "parameter", "stream", "usable", "load_id", "row_no", "q"}
_TYPES = {
    "integer": "integer", "year": "integer", "day": "integer", "number": "number",
    "lon": "number", "lat": "number",
}  # fmt: skip
_MOST_WORDS = 2
MOST_DECIMALS = 6
BINARY_REST = 1e-9
_YEAR_IN_WORDS = r"(?P<{name}>(?:19|20)[0-9][0-9])"
_UNIT_ABOVE = re.compile(r"(?i)(?:đơn vị(?: tính)?|đvt|unit)\s*:\s*([^()\[\],;]{1,15})")
_NO_TITLE = re.compile(
    r"(?i)cộng h[oò][aà] xã hội|độc lập|ủy ban nhân dân|uỷ ban nhân dân|ubnd\b|sở\b|\(|"
    r"(?:biểu|mẫu|phụ lục)(?: mẫu)?(?: số)?\s*\S*$|(?:nguồn|source)\s*:|(?:kèm theo|ban hành)\b"
)
"""How the lines of a form's head begin that say nothing of the table."""
_LEAST_TITLE, _LONGEST_TITLE = 3, 200
"""In words and in characters."""
_UNIT = re.compile(r"\s*(?:\(([^()]{1,15})\)|\[([^\[\]]{1,15})\]|,\s*(\S{1,12}))\s*$")


@dataclass(frozen=True)
class Seen:
    """What was found out about a file. `values` are the texts looked at, column by column."""

    title: str
    notes: dict[str, Any]
    guesses: list[Guess]
    values: Sequence[Texts]
    wide: dict[str, Any] | None
    levels: dict[str, Any] | None
    ends: dict[str, str]
    """By column what says that a row at the end is a total or a signature."""

    @property
    def kinds(self) -> dict[str, list[Guess]]:
        """The columns by what they hold."""
        out: dict[str, list[Guess]] = {}
        for found in self.guesses:
            out.setdefault(found.kind, []).append(found)
        return out

    @cached_property
    def key(self) -> Key:
        """Which columns tell the rows apart, were they records."""
        return telling(self.guesses, self.values)

    @cached_property
    def numbering(self) -> set[str]:
        """The columns that only number the rows; no contract takes them."""
        pairs = zip(self.guesses, self.values, strict=True)
        found = {f.name for f, texts in pairs if is_numbering(f, texts)}
        return found if len(found) < len(self.guesses) else set()

    def texts(self, names: Sequence[str]) -> list[Texts]:
        """The texts of the columns with these names."""
        by_name = {f.name: texts for f, texts in zip(self.guesses, self.values, strict=True)}
        return [by_name[name] for name in names if name in by_name]


def propose(
    seen: Seen, owner: str | None = None, named: str | None = None, zone: str | None = None
) -> dict[str, Any]:
    """The contract, ready to be written as YAML: for a dataset called `named`, or else as the file
    is; with instants in `zone`, or else in Việt Nam's. A unit is what the header says in brackets,
    "1" where it says none."""
    decimal, thousands = agree(seen.guesses, seen.values)
    title = title_above(seen.notes) or " ".join(seen.title.replace("_", " ").split())
    name = named or slug(seen.title)[:63]
    doc: dict[str, Any] = {
        "dataset": name,
        "kind": "records",
        "title": {"vi": title, "en": title},
        "owner": owner or OWNER,
    }
    reader = {"name": name, **_form(seen)}
    if decimal != ".":
        reader["decimal"] = decimal
    if thousands:
        reader["thousands"] = thousands
    if markers := list(dict.fromkeys(m for g in seen.guesses for m in g.missing))[:20]:
        reader["missing"] = markers
    time = _time(seen, reader)
    if seen.ends:
        reader["skip"] = seen.ends
    if seen.levels:
        reader["apart"] = {
            "column": seen.levels["column"],
            "as": "level",
            "levels": seen.levels["levels"],
            "otherwise": "unit",
        }
    key = _key(seen, time)
    if time is not None and key is not None:
        _series(doc, reader, seen, time, key)
        doc["time"]["zone"] = zone or HOME_ZONE
    else:
        _records(doc, reader, seen)
    doc["readers"] = [reader]
    return doc


def _form(seen: Seen) -> dict[str, Any]:
    """How the file is opened: only what is not the rule."""
    notes = seen.notes
    file = {k: notes[k] for k in _FILE if notes.get(k) not in (None, "", "csv", "utf-8", '"')}
    if notes.get("delimiter") not in (None, ","):
        file["delimiter"] = notes["delimiter"]
    if notes.get("header_row", 1) > 1:
        file["header_row"] = notes["header_row"]
    return {"file": file} if file else {}


def _time(seen: Seen, reader: dict[str, Any]) -> dict[str, Any] | None:
    """How the reader finds the time; None when there is none, or several could be."""
    parts: dict[str, Any] = {}
    if seen.wide:
        parts = {part: part for part in ("year", "month") if part in seen.wide["into"]}
    kinds = seen.kinds
    for part in ("year", "month", "day"):
        if part in kinds and part not in parts:
            parts[part] = kinds[part][0].name
            if kinds[part][0].wordy:
                made = _free("year_told", {g.name for g in seen.guesses})
                reader["extract"] = {parts[part]: _YEAR_IN_WORDS.format(name=made)}
                parts[part] = made
    times = kinds.get("time", [])
    if len(times) == 1 and not seen.wide:
        return {"column": times[0].name} | ({"format": times[0].form} if times[0].form else {})
    if "year" in parts and ("day" not in parts or "month" in parts):
        return parts
    return None


def _key(seen: Seen, time: dict[str, Any] | None) -> list[str] | None:
    """The columns that name the things of a series; None where the rows are none."""
    # A remark that only some rows have names nothing.
    words = [
        g.name for g in seen.guesses
        if g.kind not in ("number", "integer", "geometry", "lon", "lat", "blank", "time")
        and not g.blank and g.name not in _used(seen, time) | seen.numbering
    ]  # fmt: skip
    if time is None:
        return None
    if seen.wide:
        return words
    kinds = seen.kinds
    if not ("number" in kinds or "integer" in kinds) or "geometry" in kinds:
        return None
    if len(words) > _MOST_WORDS:
        return None
    key = completed(seen.guesses, seen.values, words, sorted(_used(seen, time)))
    # A table of nothing but names and times measures nothing.
    rest = [
        g
        for g in seen.guesses
        if g.kind in ("number", "integer") and g.name not in {*(key or ()), *seen.numbering}
    ]
    return key if rest else None


def _used(seen: Seen, time: dict[str, Any] | None) -> set[str]:
    """The columns that tell the time."""
    if time is None:
        return set()
    used = {value for part, value in time.items() if part != "format"}
    return used | {g.name for g in seen.guesses if g.kind == "year" and g.wordy}


def _series(
    doc: dict[str, Any], reader: dict[str, Any], seen: Seen, time: dict[str, Any], key: list[str]
) -> None:
    turned = set(seen.wide["names"] if seen.wide else ())
    used = _used(seen, time) | seen.numbering
    names = _Names()
    keys: dict[str, dict[str, str]] = {}
    values: dict[str, dict[str, str]] = {}
    parameters: dict[str, Any] = {}

    def measured(name: str, column: str, said: str) -> None:
        unit, title = unit_of(said)
        unit = unit if unit != "1" else unit_above(seen.notes)
        values[name] = {"column": column}
        parameters[name] = {"title": {"vi": title, "en": title}, "unit": unit}
        if places := _decimals(seen, column, reader.get("decimal", ".")):
            parameters[name]["decimals"] = places

    for found in seen.guesses:
        if found.name in turned or found.name in used:
            continue
        if found.name in key:
            keys[names.of(found.name)] = {"column": found.name}
        elif found.kind in ("number", "integer"):
            measured(names.of(unit_of(found.name)[1]), found.name, found.name)
    if seen.wide:
        columns = seen.wide["pattern"] or seen.wide["names"]
        reader["wide"] = {"columns": columns, "value": "value"}
        if not seen.wide["pattern"]:
            reader["wide"]["into"] = seen.wide["into"][0]
        measured(names.of("figure"), "value", doc["title"]["vi"])
        if "item" in seen.wide["into"]:
            keys[names.of("item")] = {"column": "item"}
    if seen.levels:
        keys[names.of("level")] = {"column": "level"}
    if not keys:
        keys["place"] = {"constant": doc["dataset"]}
    step = _step(seen, time, key)
    doc |= {
        "kind": "series",
        "key": list(keys),
        "time": {"zone": HOME_ZONE} | ({"rhythm": step} if step else {}),
        "parameters": parameters,
    }
    reader |= {"time": time, "key": keys, "values": values}


def _decimals(seen: Seen, column: str, mark: str) -> int:
    """How many decimals nearly all figures of a column have; those across are looked at together.
    Digits far behind, as binary arithmetic leaves them, do not count."""
    texts = seen.texts(seen.wide["names"] if column == "value" and seen.wide else [column])
    behind = [x.partition(mark)[2].strip() for one in texts for x in one if x]
    digits = [float(f"0.{x}") for x in behind if x.isascii() and x.isdecimal()]
    for places in range(MOST_DECIMALS):
        told = sum(abs(x - round(x, places)) < BINARY_REST for x in digits)
        if told >= 0.95 * len(digits):
            return places
    return MOST_DECIMALS


def _step(seen: Seen, time: dict[str, Any], key: list[str]) -> str | None:
    """The rhythm of the series."""
    if "year" in time:
        return "P1D" if "day" in time else "P1M" if "month" in time else "P1Y"
    return rhythm(seen.texts([time["column"]])[0], time.get("format"), seen.texts(key))


def _records(doc: dict[str, Any], reader: dict[str, Any], seen: Seen) -> None:
    names = _Names({"time", "value"})
    columns: dict[str, dict[str, Any]] = {}
    fields: dict[str, dict[str, Any]] = {}
    told = seen.key.columns
    reader.pop("extract", None)
    keys = []
    for found in seen.guesses:
        if found.name in seen.numbering - set(told):
            continue
        unit, title = unit_of(found.name) if found.kind in ("number", "integer") else ("1", "")
        title = title or found.name
        if unit == "1" and found.kind in ("number", "integer") and found.name not in told:
            unit = unit_above(seen.notes)
        name = names.of(title)
        columns[name] = {"type": _type(found), "title": {"vi": title, "en": title}}
        if unit != "1":
            columns[name]["unit"] = unit
        fields[name] = {"column": found.name} | ({"format": found.form} if found.form else {})
        if found.name in told:
            keys.append(name)
            columns[name]["required"] = True
    if seen.levels:
        name = names.of("level")
        columns[name] = {"type": "text", "title": {"vi": "Cấp", "en": "Level"}}
        fields[name] = {"column": "level"}
    doc |= {"key": keys, "columns": columns}
    reader["columns"] = fields


def _type(found: Guess) -> str:
    """The type of a records column."""
    if found.kind == "time":
        with_hours = "%H" in (found.form or "") or "%I" in (found.form or "")
        if found.form is None:
            with_hours = any(len(example) > 10 for example in found.examples)
        return "instant" if with_hours else "date"
    return "text" if found.wordy else _TYPES.get(found.kind, "text")


def left_out(doc: dict[str, Any], columns: Sequence[str]) -> list[str]:
    """The columns of the file that the proposed contract does not take."""
    (reader,) = doc["readers"]
    taken = {v for v in reader.get("time", {}).values() if isinstance(v, str)}
    for part in ("key", "values", "columns"):
        taken |= {entry.get("column") for entry in reader.get(part, {}).values()}
    taken |= set(reader.get("extract", {}))
    wide = reader.get("wide", {}).get("columns", [])
    pattern = re.compile(wide) if isinstance(wide, str) else None
    taken |= set() if pattern else set(wide)
    return [c for c in columns if c not in taken and not (pattern and pattern.fullmatch(c))]


def unit_above(notes: dict[str, Any]) -> str:
    """The unit that a line above the table gives for all of it, "(Đơn vị tính: tấn)"; else "1"."""
    for line in notes.get("above", ()):
        if found := _UNIT_ABOVE.search(line):
            # Units are known by their words without marks: tan.
            for said in (found[1].strip(), slug(found[1])):
                with suppress(Invalid):
                    return units.unit(said).symbol
    return "1"


def title_above(notes: dict[str, Any]) -> str:
    """The line above the table that is its title; "" where none looks like one."""
    for line in notes.get("above", ()):
        said = " ".join(line.split())
        plain = len(said.split()) >= _LEAST_TITLE and len(said) <= _LONGEST_TITLE
        if plain and not _NO_TITLE.match(said) and not _UNIT_ABOVE.match(said):
            return said
    return ""


def unit_of(header: str) -> tuple[str, str]:
    """The unit that a header gives at its end, (m³/s), [%] or ", mm", and the header without it;
    "1" and the whole header where it gives none that is known."""
    found = _UNIT.search(header)
    rest = header[: found.start()].strip() if found else ""
    if found and rest:
        try:
            return units.unit(next(filter(None, found.groups())).strip()).symbol, rest
        except Invalid:
            pass
    return "1", header


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)


class _Names:
    """Names in a contract, each only once and none that the house keeps for itself."""

    def __init__(self, free: set[str] | None = None) -> None:
        self._taken = _TAKEN - (free or set())

    def of(self, header: str) -> str:
        name, tries = slug(header), 1
        if name in self._taken & _TAKEN:
            name = f"{name}_measured"
        wanted = name
        while wanted in self._taken:
            tries += 1
            wanted = f"{name}_{tries}"
        self._taken = self._taken | {wanted}
        return wanted
