"""Contracts: what a dataset promises, written in YAML, and how foreign files are read into it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from dothi.kernel import units
from dothi.kernel.errors import Invalid
from dothi.lake.checks import Check, read_checks
from dothi.lake.columns import (
    COLUMN_TYPES,
    NAME,
    RESERVED,
    Column,
    Parameter,
    Time,
    Units,
    check_weights,
    read_duration,
    read_over_units,
    read_range,
    read_time,
    read_units,
    read_words,
)
from dothi.lake.document import Place, Reading
from dothi.lake.form import Form, read_form
from dothi.lake.reader import (
    Reader,
    own_records_readers,
    own_series_readers,
    read_record_readers,
    read_series_readers,
)

_DOCUMENT = {
    "dataset", "kind", "title", "owner", "time", "key", "parameters", "columns", "things",
    "sharing", "readers", "freshness", "rows", "checks", "units", "form",
}  # fmt: skip


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
    snapshot: bool = False
    """A file of records speaks for the whole dataset: rows missing in it are withdrawn."""
    checks: tuple[Check, ...] = ()
    """What every row of records should fulfil; a row that does not is kept as suspect. Of a series
    with a form: what every return has to fulfil."""
    units: Units | None = None
    """Where a series has codes of administrative units in its key."""
    form: Form | None = None
    """Where officers type its figures."""

    @property
    def row_columns(self) -> tuple[Column, ...]:
        """What a row holds that `checks` are about: the columns of records, the key and the
        parameters of a series."""
        return self.columns or row_columns(self.key, self.parameters)

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
    time = read_time(reading, doc.get("time"), ("time",)) if "time" in doc else None
    if kind == "series" and time is None:
        reading.fault((), "lake.yaml_missing", name="time")
    key = _key(reading, doc.get("key"))
    parameters = _parameters(reading, doc) if kind == "series" else ()
    columns = _columns(reading, doc) if kind == "records" else ()
    if kind == "records" and not key:
        reading.fault(("key",), "lake.yaml_missing", name="key")
    if kind == "records":
        known = {c.name: c for c in columns}
        for i, column in enumerate(key):
            if column.name not in known:
                reading.fault(("key", i), "lake.key_without_column", name=column.name)
        key = tuple(known.get(c.name, c) for c in key)
    given = doc.get("readers", [])
    readers: tuple[Reader, ...] = ()
    if kind == "series" and time is not None:
        own = own_series_readers(key, parameters, time)
        readers = (*read_series_readers(reading, given, key, parameters, time), *own)
    if kind == "records":
        readers = (*read_record_readers(reading, given, columns), *own_records_readers(columns))
    for word in ("rows", "checks"):
        typed = word == "checks" and "form" in doc
        if word in doc and kind != "records" and not typed:
            reading.fault((word,), "lake.only_for_records", name=word)
    if "units" in doc and kind != "series":
        reading.fault(("units",), "lake.only_for_series", name="units")
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
        freshness=read_duration(reading, doc, (), "freshness"),
        snapshot=reading.choice(doc, (), "rows", ("upsert", "snapshot"), "upsert") == "snapshot",
        checks=read_checks(reading, doc, columns or row_columns(key, parameters)),
        units=read_units(reading, doc["units"], key) if "units" in doc else None,
        form=read_form(reading, doc["form"], key, parameters, columns, time)
        if "form" in doc
        else None,
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


def row_columns(key: tuple[Column, ...], parameters: tuple[Parameter, ...]) -> tuple[Column, ...]:
    """Key and parameters of a series as columns of one row."""
    return (*key, *(Column(p.name, "number", p.title) for p in parameters))


def _parameters(reading: Reading, doc: dict[str, Any]) -> tuple[Parameter, ...]:
    out = []
    known = {"title", "unit", "range", "decimals", "substance", "over_units"}
    for place, name, entry in reading.items(doc.get("parameters"), ("parameters",)):
        entry = reading.mapping(entry, place, known=known)
        if not NAME.fullmatch(name) or name in RESERVED:
            reading.fault(place, "lake.bad_name", name=name)
        unit = reading.text(entry, place, "unit", None)
        low, high = read_range(reading, entry, place)
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
                over_units=read_over_units(reading, entry, place),
            )
        )
    check_weights(reading, ("parameters",), {one.name: one.over_units for one in out})
    if not out:
        reading.fault(("parameters",), "lake.yaml_missing", name="parameters")
    return tuple(out)


def _columns(reading: Reading, doc: dict[str, Any]) -> tuple[Column, ...]:
    known = {"type", "title", "unit", "range", "required", "missing", "choices"}
    out = []
    for place, name, entry in reading.items(doc.get("columns"), ("columns",)):
        entry = reading.mapping(entry, place, known=known)
        if not NAME.fullmatch(name):
            reading.fault(place, "lake.bad_name", name=name)
        elif name in RESERVED - {"time", "value"}:
            reading.fault(place, "lake.reserved_name", name=name)
        low, high = read_range(reading, entry, place)
        out.append(
            Column(
                name=name,
                type=reading.choice(entry, place, "type", COLUMN_TYPES, "text"),
                title=reading.titles(entry, place),
                unit=reading.text(entry, place, "unit") or None,
                low=low,
                high=high,
                required=reading.truth(entry, place, "required"),
                missing=read_words(reading, entry, place, "missing"),
                choices=read_words(reading, entry, place, "choices"),
            )
        )
    if not out:
        reading.fault(("columns",), "lake.yaml_missing", name="columns")
    return tuple(out)


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
                "properties": reading.mapping(entry.get("properties", {}), (*place, "properties")),
            }
        )
    return tuple(out)


def _sharing(reading: Reading, doc: dict[str, Any]) -> dict[str, Any]:
    known = {"public", "agencies", "hidden", "ground"}
    sharing = reading.mapping(doc.get("sharing", {}), ("sharing",), known=known)
    public = reading.truth(sharing, ("sharing",), "public")
    named = {
        word: list(reading.texts(sharing.get(word, []), ("sharing", word)))
        for word in ("agencies", "hidden")
    }
    ground = reading.text(sharing, ("sharing",), "ground") or None
    if (public or named["agencies"]) and not ground:
        reading.fault(("sharing",), "lake.sharing_without_ground")
    return {"public": public, **named, "ground": ground}


def check_unique(contracts: list[Contract]) -> None:
    """Raises Invalid when two contracts claim one dataset's name."""
    seen: set[str] = set()
    for contract in contracts:
        if contract.name in seen:
            raise Invalid("lake.dataset_twice", name=contract.name)
        seen.add(contract.name)
