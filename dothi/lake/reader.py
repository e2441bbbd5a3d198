"""Readers: how one form of foreign file becomes a dataset's rows, as its contract says.

A file is a table of texts. Step by step a reader opens it (`file`), adds columns (`constants`,
`extract`), leaves rows out (`skip`), marks rows that are no parts of the whole (`apart`), turns
columns into rows (`wide`), and at last says which column is what. Every step names columns that the
file or an earlier step has; what `wide` makes can be told apart too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from dothi.kernel import units
from dothi.lake.columns import (
    Column,
    Parameter,
    Time,
    read_formats,
    read_time,
    read_words,
)
from dothi.lake.document import Place, Reading
from dothi.lake.model import Quality

FILE_OPTIONS: dict[str, type] = {
    "format": str, "member": str, "sheet": str, "layer": str, "path": str, "header_row": int,
    "delimiter": str, "quote": str, "encoding": str, "font": str, "skip_blank": bool,
}  # fmt: skip
WORKBOOK, SHEET, HEADER_ROW = "workbook", "Số liệu", 4
"""The reader of a dataset's workbook, the sheet to fill in, and its row with the columns' names."""
_WORKBOOK = {"format": "xlsx", "sheet": SHEET, "header_row": HEADER_ROW}
MOMENTS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M")
DAYS = ("%Y-%m-%d", "%d/%m/%Y")
PERIODS = {1: ("%m/%Y",), 3: ("%m/%Y",), 12: ("%Y",)}
"""How people write instants in a workbook; beside these of rhythms of so many months."""
_BEYOND_RE2 = re.compile(r"\(\?(?!P<|:|i\))|\\[1-9]")
"""What the engine's linear-time expressions do not have: looking around, back references."""


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
class Field:
    """Where a records column stands in a foreign file: in the first of `columns` that is not
    blank, or nowhere but in `constant`."""

    name: str
    columns: tuple[str, ...]
    constant: str | None = None
    formats: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Wide:
    """Columns that become rows: those named, or whose whole name the pattern fits. Each cell
    becomes a row with the cell in `value` and the name, or the pattern's groups, in `into`."""

    names: tuple[str, ...]
    pattern: str | None
    into: tuple[str, ...]
    value: str


@dataclass(frozen=True)
class Apart:
    """Rows that are not parts like the others (subtotals): `into` says for each row its level.

    A level is told by words, compared without case and doubled spaces, or by one pattern.
    """

    column: str
    into: str
    levels: tuple[tuple[str, tuple[str, ...], str | None], ...]
    otherwise: str


@dataclass(frozen=True)
class Reader:
    """How one form of file is read. A file is of this form when it has all these columns."""

    name: str
    time: Time | None
    key: tuple[tuple[str, str | None, str | None], ...]
    """For each key column of a series: its name, the file's column, or a constant."""
    values: tuple[Value, ...]
    fields: tuple[Field, ...] = ()
    """For records instead of time, key and values."""
    quality_column: str | None = None
    quality_words: tuple[tuple[str, int], ...] = ()
    file: dict[str, Any] = field(default_factory=dict)
    decimal: str = "."
    thousands: str = ""
    constants: tuple[tuple[str, str], ...] = ()
    extract: tuple[tuple[str, str], ...] = ()
    skip: tuple[tuple[str, str], ...] = ()
    apart: Apart | None = None
    wide: Wide | None = None
    own: bool = False
    """The dataset's own columns by their names; those that may be empty may be absent."""

    @property
    def made(self) -> set[str]:
        """The columns that its steps add."""
        names = {name for name, _ in self.constants}
        for _, pattern in self.extract:
            names.update(re.compile(pattern).groupindex)
        if self.apart:
            names.add(self.apart.into)
        if self.wide:
            names.update((*self.wide.into, self.wide.value))
        return names

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a file must have for this reader."""
        names = [column for column, _ in (*self.extract, *self.skip)]
        if self.apart:
            names.append(self.apart.column)
        if self.wide:
            names += self.wide.names
        if self.time:
            names += [c for _, c in self.time.parts] or [self.time.column]
        names += [c for _, c, _ in self.key if c]
        names += [c for v in self.values for c in (v.column, *(w for w, _ in v.where))]
        names += [f.columns[0] for f in self.fields if len(f.columns) == 1]
        if self.quality_column:
            names.append(self.quality_column)
        return tuple(name for name in dict.fromkeys(names) if name not in self.made)


def own_series_readers(
    key: tuple[Column, ...], parameters: tuple[Parameter, ...], time: Time
) -> tuple[Reader, ...]:
    """The dataset's own wide form (time, key columns, one column a parameter) and its workbook."""
    values = tuple(Value(p.name, p.name, 1.0, 0.0, ("",)) for p in parameters)
    own = Reader("own", time, tuple((c.name, c.name, None) for c in key), values, own=True)
    forms = (*time.formats, *MOMENTS, *DAYS, *PERIODS.get(time.months, ()))
    column = time.column if not time.parts else "time"
    filled = replace(time, formats=forms, parts=(), column=column)
    return own, replace(own, name=WORKBOOK, file=_WORKBOOK, time=filled)


def own_records_readers(columns: tuple[Column, ...]) -> tuple[Reader, ...]:
    """The dataset's own form, its columns by their names, and its workbook."""
    fields = tuple(Field(c.name, (c.name,)) for c in columns)
    forms = {"date": (*DAYS, *MOMENTS), "instant": (*MOMENTS, *DAYS)}
    filled = tuple(Field(c.name, (c.name,), formats=forms.get(c.type, ())) for c in columns)
    own = Reader("own", None, (), (), fields, own=True)
    return own, replace(own, name=WORKBOOK, file=_WORKBOOK, fields=filled)


_STEPS = {"name", "file", "decimal", "thousands", "constants", "extract", "skip", "apart", "wide",
          "missing"}  # fmt: skip


def read_series_readers(
    reading: Reading, entries: Any, key: tuple[Column, ...],
    parameters: tuple[Parameter, ...], time: Time,
) -> tuple[Reader, ...]:  # fmt: skip
    """The readers of a series dataset."""
    out = []
    for i, entry in enumerate(reading.sequence(entries, ("readers",))):
        place: Place = ("readers", i)
        known = _STEPS | {"time", "key", "values", "quality"}
        entry = reading.mapping(entry, place, known=known)
        quality_column, words = _quality(reading, entry, place)
        out.append(
            Reader(
                name=reading.text(entry, place, "name", None),
                time=read_time(reading, entry.get("time", {}), (*place, "time"), time),
                key=_key_columns(reading, entry, place, key),
                values=_values(reading, entry, place, parameters),
                quality_column=quality_column,
                quality_words=words,
                **_steps(reading, entry, place),
            )
        )
    return tuple(out)


def read_record_readers(
    reading: Reading, entries: Any, columns: tuple[Column, ...]
) -> tuple[Reader, ...]:
    """The readers of a records dataset."""
    out = []
    for i, entry in enumerate(reading.sequence(entries, ("readers",))):
        place: Place = ("readers", i)
        entry = reading.mapping(entry, place, known=_STEPS | {"columns"})
        out.append(
            Reader(
                name=reading.text(entry, place, "name", None),
                time=None, key=(), values=(),
                fields=_fields(reading, entry, place, columns),
                **_steps(reading, entry, place),
            )
        )  # fmt: skip
    return tuple(out)


def _steps(reading: Reading, entry: dict[str, Any], place: Place) -> dict[str, Any]:
    decimal = reading.choice(entry, place, "decimal", (".", ","), ".")
    thousands = reading.choice(entry, place, "thousands", ("", ".", ",", " ", "'"), "")
    if thousands == decimal:
        reading.fault((*place, "thousands"), "lake.marks_alike")
    constants = [
        (name, str(value))
        for _, name, value in reading.items(entry.get("constants", {}), (*place, "constants"))
    ]
    return {
        "file": _file(reading, entry, place),
        "decimal": decimal,
        "thousands": thousands,
        "constants": tuple(constants),
        "extract": _patterns(reading, entry, place, "extract", groups=True),
        "skip": _patterns(reading, entry, place, "skip", groups=False),
        "apart": _apart(reading, entry, place),
        "wide": _wide(reading, entry, place),
    }


def _file(reading: Reading, entry: dict[str, Any], place: Place) -> dict[str, Any]:
    where = (*place, "file")
    given = reading.mapping(entry.get("file", {}), where, known=set(FILE_OPTIONS))
    for name, value in given.items():
        want = FILE_OPTIONS.get(name)
        if want is int and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            reading.fault((*where, name), "lake.want_row_number", name=name)
        elif want is str:
            reading.text(given, where, name)
        elif want is bool and not isinstance(value, bool):
            reading.fault((*where, name), "lake.yaml_want_choice", name=name,
                          choices="true, false")  # fmt: skip
    return dict(given)


def _pattern(reading: Reading, text: Any, place: Place) -> str:
    """A regular expression that both Python and the engine read alike; a fault otherwise."""
    try:
        re.compile(text)
    except (re.error, TypeError) as error:
        reading.fault(place, "lake.bad_pattern", problem=str(error)[:100])
        return "x"
    if _BEYOND_RE2.search(text):
        reading.fault(place, "lake.bad_pattern", problem="(?=, (?!, (?<, \\1")
        return "x"
    return text


def _patterns(
    reading: Reading, entry: dict[str, Any], place: Place, name: str, *, groups: bool
) -> tuple[tuple[str, str], ...]:
    out = []
    for where, column, text in reading.items(entry.get(name, {}), (*place, name)):
        pattern = _pattern(reading, text, where)
        if groups and not re.compile(pattern).groupindex:
            reading.fault(where, "lake.pattern_without_groups")
        out.append((column, pattern))
    return tuple(out)


def _apart(reading: Reading, entry: dict[str, Any], place: Place) -> Apart | None:
    if "apart" not in entry:
        return None
    where = (*place, "apart")
    doc = reading.mapping(entry["apart"], where, known={"column", "as", "levels", "otherwise"})
    levels = []
    for at, level, told in reading.items(doc.get("levels"), (*where, "levels")):
        if isinstance(told, list):
            levels.append((level, tuple(str(word) for word in told), None))
        else:
            levels.append((level, (), _pattern(reading, told, at)))
    return Apart(
        column=reading.text(doc, where, "column", None),
        into=reading.text(doc, where, "as", None),
        levels=tuple(levels),
        otherwise=reading.text(doc, where, "otherwise", None),
    )


def _wide(reading: Reading, entry: dict[str, Any], place: Place) -> Wide | None:
    if "wide" not in entry:
        return None
    where = (*place, "wide")
    doc = reading.mapping(entry["wide"], where, known={"columns", "into", "value"})
    columns = doc.get("columns")
    into = reading.text(doc, where, "into")
    value = reading.text(doc, where, "value", "value")
    if isinstance(columns, list):
        if not into:
            reading.fault(where, "lake.yaml_missing", name="into")
        return Wide(tuple(str(c) for c in columns), None, (into,), value)
    if columns is None:
        reading.fault(where, "lake.yaml_missing", name="columns")
        return None
    pattern = _pattern(reading, columns, (*where, "columns"))
    groups = tuple(re.compile(pattern).groupindex)
    if bool(into) == bool(groups):
        reading.fault(where, "lake.into_or_groups")
    return Wide((), pattern, groups or (into,), value)


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
    everywhere = read_words(reading, entry, place, "missing")
    out = []
    for where, name, value in reading.items(entry.get("values"), (*place, "values")):
        value = reading.mapping(value, where, known={"column", "unit", "missing", "where"})
        parameter = by_name.get(name)
        if parameter is None:
            reading.fault(where, "lake.unknown_parameter", name=name, known=", ".join(by_name))
            continue
        conversion = _conversion(reading, value, where, parameter.unit, parameter.substance)
        only = reading.mapping(value.get("where", {}), (*where, "where"))
        out.append(
            Value(
                column=reading.text(value, where, "column", None),
                parameter=name,
                factor=conversion.factor,
                offset=conversion.offset,
                missing=("", *everywhere, *read_words(reading, value, where, "missing")),
                where=tuple((str(c), str(v)) for c, v in only.items()),
            )
        )
    return tuple(out)


def _conversion(
    reading: Reading, entry: dict[str, Any], place: Place, target: str | None, substance: str | None
) -> units.Conversion:
    same = units.Conversion(1.0, 0.0)
    source = reading.text(entry, place, "unit") or target
    if source is None or source == target:
        return same
    return reading.attempt(
        (*place, "unit"), lambda: units.conversion(source, target or "", substance), same
    )


def _fields(
    reading: Reading, entry: dict[str, Any], place: Place, columns: tuple[Column, ...]
) -> tuple[Field, ...]:
    by_name = {c.name: c for c in columns}
    everywhere = read_words(reading, entry, place, "missing")
    out = []
    for where, name, given in reading.items(entry.get("columns"), (*place, "columns")):
        known = {"column", "constant", "format", "missing", "unit"}
        given = reading.mapping(given, where, known=known)
        column = by_name.get(name)
        if column is None:
            reading.fault(where, "lake.unknown_column", name=name)
            continue
        source = given.get("column")
        sources = source if isinstance(source, list) else [source] if source is not None else []
        if any(isinstance(one, dict | list) for one in sources):
            reading.fault((*where, "column"), "lake.yaml_want_text", name="column")
        constant = reading.text(given, where, "constant") or None
        if bool(sources) == bool(constant):
            reading.fault(where, "lake.column_or_constant")
        conversion = _conversion(reading, given, where, column.unit, None)
        out.append(
            Field(
                name=name,
                columns=tuple(str(s) for s in sources),
                constant=constant,
                formats=read_formats(reading, given, where),
                missing=(*everywhere, *read_words(reading, given, where, "missing")),
                factor=conversion.factor,
                offset=conversion.offset,
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
        if not isinstance(meaning, str) or meaning not in allowed:
            reading.fault(
                word_place, "lake.yaml_want_choice", name=word, choices=", ".join(allowed)
            )
            continue
        words.append((word, allowed[meaning]))
    return reading.text(how, where, "column", None), tuple(words)
