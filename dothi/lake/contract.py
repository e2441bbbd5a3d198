"""Contracts: what a dataset promises, written in YAML, and how foreign files are read into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from dothi.kernel import units
from dothi.kernel.errors import Invalid
from dothi.kernel.time import zone
from dothi.lake.document import Place, Reading
from dothi.lake.model import Quality

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
COLUMN_TYPES = ("text", "integer", "number", "boolean", "date", "instant")
RESERVED = {"time", "value", "quality", "parameter", "stream", "usable", "load_id", "row_no", "q"}
_RHYTHM = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_DOCUMENT = {
    "dataset", "kind", "title", "owner", "time", "key", "parameters", "columns", "things",
    "sharing", "readers", "freshness",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a records dataset, or one of the key columns of a series."""

    name: str
    type: str = "text"
    title: dict[str, str] | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    required: bool = False
    missing: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """A measured quantity: one stream for each thing. Values outside [low, high] are suspect."""

    name: str
    title: dict[str, str]
    unit: str
    low: float | None = None
    high: float | None = None
    decimals: int = 1
    substance: str | None = None


@dataclass(frozen=True)
class Time:
    """How instants are written: without an offset they are in `zone`.

    `rhythm` is the expected distance of values, `stamp` whether an interval's value carries the
    interval's start or end.
    """

    column: str
    zone: str
    rhythm: timedelta | None
    stamp: Literal["start", "end"]
    format: str | None = None


@dataclass(frozen=True)
class Value:
    """The column that holds a parameter in a foreign file, its unit there, its missing markers."""

    column: str
    parameter: str
    factor: float
    offset: float
    missing: tuple[str, ...]
    where: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Reader:
    """How one form of file is read. A file is of this form when it has all these columns."""

    name: str
    time: Time
    key: tuple[tuple[str, str | None, str | None], ...]
    """For each key column: its name, the file's column, or a constant."""
    values: tuple[Value, ...]
    quality_column: str | None = None
    quality_words: tuple[tuple[str, int], ...] = ()
    delimiter: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a file must have for this reader."""
        names = [self.time.column, *(c for _, c, _ in self.key if c)]
        names += [c for v in self.values for c in (v.column, *(w for w, _ in v.where))]
        if self.quality_column:
            names.append(self.quality_column)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Contract:
    """A dataset's promise, checked. `source` is the YAML as written, kept with the dataset."""

    name: str
    kind: Literal["series", "records"]
    title: dict[str, str]
    owner: str
    key: tuple[Column, ...]
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    time: Time | None
    readers: tuple[Reader, ...]
    things: tuple[dict[str, Any], ...]
    sharing: dict[str, Any]
    freshness: timedelta | None
    source: str

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; KeyError when there is none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)


def read_contract(path: Path) -> Contract:
    """Read and check a contract file. Raises Invalid with every fault, each at line and column."""
    return _contract(Reading.of(path))


def parse_contract(text: str, name: str = "contract") -> Contract:
    """Check a contract's text, as stored with its dataset."""
    return _contract(Reading(text, name), text)


def _contract(reading: Reading, text: str | None = None) -> Contract:
    reading.finish()
    doc = reading.mapping(reading.root, (), known=_DOCUMENT)
    name = reading.text(doc, (), "dataset", None)
    if name and not NAME.fullmatch(name):
        reading.fault(("dataset",), "lake.bad_name", name=name)
    kind = reading.choice(doc, (), "kind", ("series", "records"))
    time = _time(reading, doc.get("time"), ("time",)) if "time" in doc else None
    if kind == "series" and time is None:
        reading.fault((), "lake.yaml_missing", name="time")
    key = _key(reading, doc.get("key"))
    parameters = _parameters(reading, doc) if kind == "series" else ()
    columns = _columns(reading, doc) if kind == "records" else ()
    if kind == "records":
        known = {c.name: c for c in columns}
        for i, column in enumerate(key):
            if column.name not in known:
                reading.fault(("key", i), "lake.key_without_column", name=column.name)
        key = tuple(known.get(c.name, c) for c in key)
    readers: tuple[Reader, ...] = ()
    if kind == "series" and time is not None:
        own = _own_reader(key, parameters, time)
        readers = (*_readers(reading, doc, key, parameters, time), own)
    contract = Contract(
        name=name,
        kind="series" if kind == "series" else "records",
        title=reading.titles(doc, ()),
        owner=reading.text(doc, (), "owner", None),
        key=key,
        parameters=parameters,
        columns=columns,
        time=time,
        readers=readers,
        things=_things(reading, doc, key),
        sharing=_sharing(reading, doc),
        freshness=_duration(reading, doc, (), "freshness"),
        source=text if text is not None else Path(reading.name).read_text("utf-8"),
    )
    reading.finish()
    return contract


def _key(reading: Reading, value: Any) -> tuple[Column, ...]:
    names = reading.sequence(value, ("key",))
    for i, name in enumerate(names):
        if not isinstance(name, str) or not NAME.fullmatch(name):
            reading.fault(("key", i), "lake.bad_name", name=name)
        elif name in RESERVED:
            reading.fault(("key", i), "lake.reserved_name", name=name)
    return tuple(Column(str(name), required=True) for name in names)


def _time(reading: Reading, value: Any, place: Place, base: Time | None = None) -> Time:
    known = {"column", "zone", "rhythm", "stamp", "format"}
    doc = reading.mapping(value, place, known=known)
    zone_name = reading.text(doc, place, "zone", base.zone if base else "Asia/Ho_Chi_Minh")
    reading.attempt((*place, "zone"), lambda: zone(zone_name))
    rhythm = _duration(reading, doc, place, "rhythm") or (base.rhythm if base else None)
    stamp = reading.choice(
        doc, place, "stamp", ("start", "end"), base.stamp if base else "start"
    )  # fmt: skip
    return Time(
        column=reading.text(doc, place, "column", base.column if base else "time"),
        zone=zone_name,
        rhythm=rhythm,
        stamp="end" if stamp == "end" else "start",
        format=reading.text(doc, place, "format") or None,
    )


def _duration(reading: Reading, doc: dict[str, Any], place: Place, name: str) -> timedelta | None:
    text = reading.text(doc, place, name)
    if not text:
        return None
    size = parse_duration(text)
    if size is None:
        reading.fault((*place, name), "lake.bad_duration", text=text)
    return size


def parse_duration(text: str) -> timedelta | None:
    """An ISO 8601 duration of days, hours, minutes, seconds (PT5M); None for anything else."""
    match = _RHYTHM.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) or None


def _parameters(reading: Reading, doc: dict[str, Any]) -> tuple[Parameter, ...]:
    out = []
    known = {"title", "unit", "range", "decimals", "substance"}
    for place, name, entry in reading.items(doc.get("parameters"), ("parameters",)):
        entry = reading.mapping(entry, place, known=known)
        if not NAME.fullmatch(name) or name in RESERVED:
            reading.fault(place, "lake.bad_name", name=name)
        unit = reading.text(entry, place, "unit", None)
        low, high = _range(reading, entry, place)
        out.append(
            Parameter(
                name=name,
                title=reading.titles(entry, place),
                unit=reading.attempt(
                    (*place, "unit"), lambda unit=unit: units.unit(unit).symbol, unit
                ),
                low=low,
                high=high,
                decimals=int(reading.number(entry.get("decimals"), (*place, "decimals")) or 0),
                substance=reading.text(entry, place, "substance") or None,
            )
        )
    if not out:
        reading.fault(("parameters",), "lake.yaml_missing", name="parameters")
    return tuple(out)


def _range(
    reading: Reading, entry: dict[str, Any], place: Place
) -> tuple[float | None, float | None]:
    if "range" not in entry:
        return None, None
    ends = reading.sequence(entry["range"], (*place, "range"))
    if len(ends) != 2:
        reading.fault((*place, "range"), "lake.bad_range")
        return None, None
    low, high = (reading.number(end, (*place, "range", i)) for i, end in enumerate(ends))
    if low is not None and high is not None and low > high:
        reading.fault((*place, "range"), "lake.bad_range")
    return low, high


def _columns(reading: Reading, doc: dict[str, Any]) -> tuple[Column, ...]:
    known = {"type", "title", "unit", "range", "required", "missing", "choices"}
    out = []
    for place, name, entry in reading.items(doc.get("columns"), ("columns",)):
        entry = reading.mapping(entry, place, known=known)
        if not NAME.fullmatch(name):
            reading.fault(place, "lake.bad_name", name=name)
        elif name in RESERVED - {"time", "value"}:
            reading.fault(place, "lake.reserved_name", name=name)
        low, high = _range(reading, entry, place)
        out.append(
            Column(
                name=name,
                type=reading.choice(entry, place, "type", COLUMN_TYPES, "text"),
                title=reading.titles(entry, place),
                unit=reading.text(entry, place, "unit") or None,
                low=low,
                high=high,
                required=bool(entry.get("required", False)),
                missing=_words(reading, entry, place, "missing"),
                choices=_words(reading, entry, place, "choices"),
            )
        )
    if not out:
        reading.fault(("columns",), "lake.yaml_missing", name="columns")
    return tuple(out)


def _words(reading: Reading, entry: dict[str, Any], place: Place, name: str) -> tuple[str, ...]:
    if name not in entry:
        return ()
    return tuple(str(word) for word in reading.sequence(entry[name], (*place, name)))


def _own_reader(key: tuple[Column, ...], parameters: tuple[Parameter, ...], time: Time) -> Reader:
    """The dataset's own wide form: time, key columns, one column a parameter."""
    values = tuple(Value(p.name, p.name, 1.0, 0.0, ("",)) for p in parameters)
    return Reader("own", time, tuple((c.name, c.name, None) for c in key), values)


def _readers(
    reading: Reading, doc: dict[str, Any], key: tuple[Column, ...],
    parameters: tuple[Parameter, ...], time: Time,
) -> tuple[Reader, ...]:  # fmt: skip
    out = []
    known = {"name", "time", "key", "values", "quality", "delimiter"}
    for i, entry in enumerate(reading.sequence(doc.get("readers", []), ("readers",))):
        place: Place = ("readers", i)
        entry = reading.mapping(entry, place, known=known)
        quality_column, words = _quality(reading, entry, place)
        out.append(
            Reader(
                name=reading.text(entry, place, "name", None),
                time=_time(reading, entry.get("time", {}), (*place, "time"), time),
                key=_key_columns(reading, entry, place, key),
                values=_values(reading, entry, place, parameters),
                quality_column=quality_column,
                quality_words=words,
                delimiter=reading.text(entry, place, "delimiter") or None,
            )
        )
    return tuple(out)


def _key_columns(
    reading: Reading, entry: dict[str, Any], place: Place, key: tuple[Column, ...]
) -> tuple[tuple[str, str | None, str | None], ...]:
    given = reading.mapping(entry.get("key", {}), (*place, "key"), known={c.name for c in key})
    out = []
    for column in key:
        where = (*place, "key", column.name)
        how = reading.mapping(given.get(column.name, {"column": column.name}), where,
                              known={"column", "constant"})  # fmt: skip
        file_column = reading.text(how, where, "column") or None
        constant = reading.text(how, where, "constant") or None
        if (file_column is None) == (constant is None):
            reading.fault(where, "lake.column_or_constant")
        out.append((column.name, file_column, constant))
    return tuple(out)


def _values(
    reading: Reading, entry: dict[str, Any], place: Place, parameters: tuple[Parameter, ...]
) -> tuple[Value, ...]:
    by_name = {p.name: p for p in parameters}
    out = []
    for where, name, value in reading.items(entry.get("values"), (*place, "values")):
        value = reading.mapping(value, where, known={"column", "unit", "missing", "where"})
        parameter = by_name.get(name)
        if parameter is None:
            reading.fault(where, "lake.unknown_parameter", name=name, known=", ".join(by_name))
            continue
        unit = reading.text(value, where, "unit", parameter.unit)
        conversion = reading.attempt(
            (*where, "unit"),
            lambda unit=unit, p=parameter: units.conversion(unit, p.unit, p.substance),
            units.Conversion(1.0, 0.0),
        )
        only = reading.mapping(value.get("where", {}), (*where, "where"))
        out.append(
            Value(
                column=reading.text(value, where, "column", None),
                parameter=name,
                factor=conversion.factor,
                offset=conversion.offset,
                missing=("", *_words(reading, value, where, "missing")),
                where=tuple((str(c), str(v)) for c, v in only.items()),
            )
        )
    return tuple(out)


def _quality(
    reading: Reading, entry: dict[str, Any], place: Place
) -> tuple[str | None, tuple[tuple[str, int], ...]]:
    if "quality" not in entry:
        return None, ()
    where = (*place, "quality")
    how = reading.mapping(entry["quality"], where, known={"column", "words"})
    allowed = {q.name.lower(): int(q) for q in Quality if q < Quality.CONFLICT}
    words = []
    for word_place, word, meaning in reading.items(how.get("words"), (*where, "words")):
        if meaning not in allowed:
            reading.fault(
                word_place, "lake.yaml_want_choice", name=word, choices=", ".join(allowed)
            )
            continue
        words.append((word, allowed[meaning]))
    return reading.text(how, where, "column", None), tuple(words)


def _things(
    reading: Reading, doc: dict[str, Any], key: tuple[Column, ...]
) -> tuple[dict[str, Any], ...]:
    out = []
    for i, entry in enumerate(reading.sequence(doc.get("things", []), ("things",))):
        place: Place = ("things", i)
        known = {"key", "name", "lon", "lat", "properties"}
        entry = reading.mapping(entry, place, known=known)
        values = reading.sequence(entry.get("key"), (*place, "key"))
        if len(values) != len(key):
            reading.fault((*place, "key"), "lake.key_length", count=len(key))
        out.append(
            {
                "key": [str(v) for v in values],
                "name": reading.titles(entry, place, "name"),
                "lon": reading.number(entry.get("lon"), (*place, "lon")),
                "lat": reading.number(entry.get("lat"), (*place, "lat")),
                "properties": entry.get("properties", {}),
            }
        )
    return tuple(out)


def _sharing(reading: Reading, doc: dict[str, Any]) -> dict[str, Any]:
    known = {"public", "agencies", "hidden", "ground"}
    sharing = reading.mapping(doc.get("sharing", {}), ("sharing",), known=known)
    public = sharing.get("public", False)
    if not isinstance(public, bool):
        reading.fault(("sharing", "public"), "lake.yaml_want_choice", name="public",
                      choices="true, false")  # fmt: skip
    ground = sharing.get("ground")
    if (public or sharing.get("agencies")) and not ground:
        reading.fault(("sharing",), "lake.sharing_without_ground")
    return {
        "public": public is True,
        "agencies": [str(a) for a in sharing.get("agencies", [])],
        "hidden": [str(c) for c in sharing.get("hidden", [])],
        "ground": ground,
    }


def check_unique(contracts: list[Contract]) -> None:
    """Raises Invalid when two contracts claim one dataset's name."""
    seen: set[str] = set()
    for contract in contracts:
        if contract.name in seen:
            raise Invalid("lake.dataset_twice", name=contract.name)
        seen.add(contract.name)
