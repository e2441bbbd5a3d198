"""Which rows: one predicate form with one meaning in PostgreSQL, DuckDB and Python.

A predicate is a tree over named columns and constants. Its meaning is SQL's three-valued logic,
defined by `evaluate`: a comparison with NULL is unknown, NOT keeps unknown, AND is false if any
part is false, OR is true if any part is true; a row is admitted only where the whole is true.
Beyond SQL's letter: IN over no values is false, also for NULL.

Columns are `int` (64 bit signed), `text` (ordered by code point), `bool`, `number` (64 bit float,
finite), `date` or `instant` (with an offset). An int constant may be of any size. Text holds no NUL
character and no lone surrogate, since PostgreSQL stores neither. Stored predicates (`to_json`) have
only the first three.
Column names reach SQL only through the allow-list given to the compiler.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

Constant = int | str | bool | float | date | datetime | None
ColumnType = Literal["int", "text", "bool", "number", "date", "instant"]
Comparison = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Truth:
    """A constant: true, false, or unknown (None)."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Compare:
    """`column op value`; unknown where either is NULL."""

    column: str
    op: Comparison
    value: Constant


@dataclass(frozen=True, slots=True)
class In:
    """True where the column equals one of the values; unknown where NULL could have decided."""

    column: str
    values: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    column: str


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Predicate", ...]


Predicate = Truth | Compare | In | IsNull | Not | And | Or

TRUE = Truth(True)
FALSE = Truth(False)
UNKNOWN = Truth(None)


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL of type boolean, complete with its own brackets, and the values of its parameters."""

    text: str
    params: dict[str, Any]


def all_of(*parts: Predicate) -> Predicate:
    """AND, without the parts that cannot change it."""
    return _joined(And, parts, neutral=TRUE, final=FALSE)


def any_of(*parts: Predicate) -> Predicate:
    """OR, without the parts that cannot change it."""
    return _joined(Or, parts, neutral=FALSE, final=TRUE)


def evaluate(predicate: Predicate, row: Mapping[str, Constant]) -> bool | None:
    """The predicate's value for one row: true, false or unknown. KeyError for an absent column."""
    match predicate:
        case Truth(value):
            return value
        case IsNull(column):
            return row[column] is None
        case Not(part):
            inner = evaluate(part, row)
            return None if inner is None else not inner
        case And(parts):
            values = [evaluate(part, row) for part in parts]
            return False if False in values else None if None in values else True
        case Or(parts):
            values = [evaluate(part, row) for part in parts]
            return True if True in values else None if None in values else False
        case Compare(column, op, value):
            return _compare(row[column], op, value)
        case In(column, values):
            found = [_compare(row[column], "=", value) for value in values]
            return True if True in found else None if None in found else False


def admits(predicate: Predicate, row: Mapping[str, Constant]) -> bool:
    """Whether the row may be seen."""
    return evaluate(predicate, row) is True


def to_postgres(
    predicate: Predicate,
    columns: Mapping[str, ColumnType],
    *,
    prefix: str = "policy_",
    table: str | None = None,
) -> Compiled:
    """For psycopg, with `%(name)s` parameters whose names begin with `prefix`.

    `columns` is the allow-list with types, `table` a name or alias to qualify columns with.
    ValueError for a column outside the list or a constant of the wrong type.
    """
    return _Sql(columns, prefix, table, "%({})s", ' COLLATE "C"').compile(predicate)


def to_duckdb(
    predicate: Predicate,
    columns: Mapping[str, ColumnType],
    *,
    prefix: str = "policy_",
    table: str | None = None,
) -> Compiled:
    """As `to_postgres`, with `$name` parameters."""
    return _Sql(columns, prefix, table, "${}", "").compile(predicate)


def to_json(predicate: Predicate) -> Any:
    """As JSON values: `true`, `["=", column, value]`, `["and", …]`; the form sharing is stored in."""
    match predicate:
        case Truth(value):
            return value
        case Compare(column, op, value):
            return [op, column, value]
        case In(column, values):
            return ["in", column, list(values)]
        case IsNull(column):
            return ["null", column]
        case Not(part):
            return ["not", to_json(part)]
        case And(parts):
            return ["and", *(to_json(part) for part in parts)]
        case Or(parts):
            return ["or", *(to_json(part) for part in parts)]


def from_json(value: Any) -> Predicate:
    """The inverse of `to_json`; ValueError for anything else."""
    match value:
        case None | True | False:
            return Truth(value)
        case ["in", str(column), list(values)] if all(_is_constant(item) for item in values):
            return In(column, tuple(values))
        case ["null", str(column)]:
            return IsNull(column)
        case ["not", part]:
            return Not(from_json(part))
        case ["and", *parts]:
            return And(tuple(from_json(part) for part in parts))
        case ["or", *parts]:
            return Or(tuple(from_json(part) for part in parts))
        case ["=" | "<>" | "<" | "<=" | ">" | ">=" as op, str(column), constant]:
            if _is_constant(constant):
                return Compare(column, op, constant)
    raise ValueError(f"not a predicate: {value!r}")


def canonical(predicate: Predicate) -> str:
    """One text for predicates that differ only in the order or repetition of their parts."""
    return json.dumps(_sorted(predicate), ensure_ascii=True, separators=(",", ":"))


_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_SQL_TYPE: dict[ColumnType, str] = {
    "int": "BIGINT", "text": "TEXT", "bool": "BOOLEAN", "number": "FLOAT8", "date": "DATE",
    "instant": "TIMESTAMPTZ",
}  # fmt: skip
_PYTHON_TYPE: dict[ColumnType, type] = {
    "int": int, "text": str, "bool": bool, "number": float, "date": date, "instant": datetime,
}  # fmt: skip
_COMPARE: dict[Comparison, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _Sql:
    """One compilation. The two dialects differ in the parameter mark and in naming byte order."""

    def __init__(
        self,
        columns: Mapping[str, ColumnType],
        prefix: str,
        table: str | None,
        mark: str,
        byte_order: str,
    ) -> None:
        for name in (prefix, table):
            if name is not None and not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be a name in SQL")
        self.columns = columns
        self.prefix = prefix
        self.qualifier = f'"{table}".' if table else ""
        self.mark = mark
        self.byte_order = byte_order
        self.params: dict[str, Any] = {}

    def compile(self, predicate: Predicate) -> Compiled:
        return Compiled(self._sql(predicate), self.params)

    def _sql(self, predicate: Predicate) -> str:
        match predicate:
            case Truth(value):
                return "CAST(NULL AS BOOLEAN)" if value is None else "TRUE" if value else "FALSE"
            case IsNull(column):
                return f"({self._column(column)[0]} IS NULL)"
            case Not(part):
                return f"(NOT {self._sql(part)})"
            case And(parts):
                return self._all(parts, " AND ", "TRUE")
            case Or(parts):
                return self._all(parts, " OR ", "FALSE")
            case Compare(column, op, value):
                return self._comparison(column, op, value)
            case In(column, values):
                return self._membership(column, values)

    def _all(self, parts: tuple[Predicate, ...], word: str, empty: str) -> str:
        return f"({word.join(self._sql(part) for part in parts)})" if parts else empty

    def _comparison(self, column: str, op: Comparison, value: Constant) -> str:
        name, kind = self._column(column)
        _check(column, kind, value)
        if value is None:
            return "CAST(NULL AS BOOLEAN)"
        if _beyond(kind, value):
            # No 64-bit value can equal it, and all lie on the same side of it.
            return self._unless_null(name, _COMPARE[op](0, value))
        order = self.byte_order if kind == "text" and op not in ("=", "<>") else ""
        return f"({name}{order} {op} {self._parameter(kind, value)})"

    def _membership(self, column: str, values: tuple[Constant, ...]) -> str:
        name, kind = self._column(column)
        for value in values:
            _check(column, kind, value)
        if not values:
            return "FALSE"
        possible = [value for value in values if not _beyond(kind, value)]
        if not possible:
            return self._unless_null(name, False)
        return f"({name} IN ({', '.join(self._parameter(kind, value) for value in possible)}))"

    def _unless_null(self, name: str, value: bool) -> str:
        return f"({name} = {name})" if value else f"({name} <> {name})"

    def _column(self, column: str) -> tuple[str, ColumnType]:
        kind = self.columns.get(column)
        if kind is None or not _NAME.fullmatch(column):
            raise ValueError(f"column {column!r} is not one a predicate may use here")
        return f'{self.qualifier}"{column}"', kind

    def _parameter(self, kind: ColumnType, value: Constant) -> str:
        name = f"{self.prefix}{len(self.params)}"
        self.params[name] = value
        return f"CAST({self.mark.format(name)} AS {_SQL_TYPE[kind]})"


def _compare(left: Any, op: Comparison, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    return _COMPARE[op](left, right)


def _check(column: str, kind: ColumnType, value: Constant) -> None:
    if value is None:
        return
    if type(value) is not _PYTHON_TYPE[kind]:
        raise ValueError(f"column {column!r} holds {kind}, which {value!r} is not")
    if isinstance(value, str) and ("\0" in value or not _encodable(value)):
        raise ValueError(f"column {column!r} cannot hold the text {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"column {column!r} cannot be held against {value!r}")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"column {column!r} holds instants, and {value!r} has no offset")


def _beyond(kind: ColumnType, value: Constant) -> bool:
    return kind == "int" and isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_constant(value: Any) -> bool:
    return value is None or type(value) in (int, str, bool)


def _joined(
    kind: type[And] | type[Or], parts: Iterable[Predicate], *, neutral: Truth, final: Truth
) -> Predicate:
    kept: list[Predicate] = []
    for part in parts:
        if part == final:
            return final
        if part != neutral and part not in kept:
            kept.append(part)
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else kind(tuple(kept))


def _sorted(predicate: Predicate) -> Any:
    """`to_json` with the parts of AND, OR and IN in one order and once each."""
    match predicate:
        case Not(part):
            return ["not", _sorted(part)]
        case And(parts) | Or(parts):
            unique = {json.dumps(inner): inner for inner in map(_sorted, parts)}
            word = "and" if isinstance(predicate, And) else "or"
            return [word, *(unique[text] for text in sorted(unique))]
        case In(column, values):
            unique = {json.dumps(value): value for value in values}
            return ["in", column, [unique[text] for text in sorted(unique)]]
        case _:
            return to_json(predicate)
