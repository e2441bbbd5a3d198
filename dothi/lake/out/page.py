"""A page of a dataset's rows as one caller may see them: filtered, in key order, at one snapshot."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import duckdb
import msgspec

from dothi.identity.model import Actor
from dothi.identity.policy import Decision, require
from dothi.identity.predicate import (
    TRUE,
    And,
    ColumnType,
    Compare,
    In,
    IsNull,
    Not,
    Or,
    Predicate,
    Truth,
    admits,
    to_duckdb,
)
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.time import VN, parse_instant, zone
from dothi.lake import registry
from dothi.lake.layout import layout
from dothi.lake.model import Quality
from dothi.lake.out import filter as filters
from dothi.lake.out import past
from dothi.lake.read import View, one_of
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.lake.service import Lake
from dothi.store.database import SCHEMA, Connection

MOST_ROWS = 100_000
USUAL_ROWS = 1_000

Order = Literal["key", "-key", "time", "-time"]

_KINDS: dict[str, ColumnType] = {
    "text": "text", "integer": "int", "number": "number", "boolean": "bool", "date": "date",
    "instant": "instant",
}  # fmt: skip
_QUALITY = "CASE {} " + " ".join(f"WHEN {q:d} THEN '{q.name.lower()}'" for q in Quality) + " END"


@dataclass(frozen=True)
class Field:
    """A column of the answer; `type` as in contracts. `by_stream`: one value for a whole stream."""

    name: str
    type: str
    unit: str | None = None
    by_stream: bool = False

    @property
    def kind(self) -> ColumnType:
        """What a filter may hold it against."""
        return _KINDS.get(self.type, "text")


@dataclass(frozen=True)
class Asked:
    """What a caller asks, in their words. `after`: the `next` of the page before."""

    filter: str = ""
    fields: tuple[str, ...] = ()
    order: Order = "key"
    limit: int = USUAL_ROWS
    after: str | None = None
    as_of: datetime | None = None


@dataclass(frozen=True)
class Shown:
    """What of a dataset one caller may see: columns, and for a series its streams."""

    dataset: Dataset
    decision: Decision
    fields: tuple[Field, ...]
    streams: tuple[tuple[Thing, Stream], ...] = ()

    @property
    def series(self) -> bool:
        return self.dataset.contract.kind == "series"

    @property
    def kinds(self) -> dict[str, ColumnType]:
        return {one.name: one.kind for one in self.fields}

    @property
    def pages(self) -> bool:
        """Whether a page may tell where the next begins: not by a key that is hidden."""
        return self.series or {c.name for c in self.dataset.contract.key} <= self.kinds.keys()


@dataclass(frozen=True)
class Page:
    """Rows in a temporary table of an open view, read by `select`; `next` asks for what follows."""

    cursor: duckdb.DuckDBPyConnection
    dataset: Dataset
    fields: tuple[Field, ...]
    select: str
    count: int
    limit: int
    as_of: datetime | None
    next: str | None


def shown(conn: Connection, actor: Actor, dataset: Dataset) -> Shown:
    """What the policy shows of a dataset. Raises NotFound and the rest as the policy does."""
    decision = require(actor, "dataset.read", dataset.resource)
    columns = fields(dataset, decision)
    if dataset.contract.kind != "series":
        return Shown(dataset, decision, columns)
    # In this order: between the two a stream may be added, with a thing of its own.
    streams = registry.streams(conn, dataset)
    things = registry.things(conn, dataset)
    seen = tuple(
        (things[s.thing_id], s)
        for s in streams.values()
        if s.parameter not in decision.hidden
        and admits(decision.rows, {"agency_id": things[s.thing_id].agency_id})
    )
    return Shown(dataset, decision, columns, seen)


def fields(dataset: Dataset, decision: Decision) -> tuple[Field, ...]:
    """The columns of a dataset's rows that a decision shows."""
    contract = dataset.contract
    if contract.kind != "series":
        columns = (Field(c.name, c.type, c.unit) for c in contract.columns)
        return _visible((*columns, *_TAIL), decision)
    return (
        Field("stream", "integer", by_stream=True),
        *_visible([Field(c.name, "text", by_stream=True) for c in contract.key], decision),
        Field("parameter", "text", by_stream=True), Field("time", "instant"),
        Field("value", "number"), *_TAIL,
    )  # fmt: skip


_TAIL = (Field("quality", "text"), Field("load_id", "integer"), Field("row_no", "integer"))


def _visible(fields: Sequence[Field], decision: Decision) -> tuple[Field, ...]:
    # What outsiders get only by the cell it lies in is no column of rows.
    hidden = decision.hidden | {c.column for c in decision.coarsened}
    return tuple(one for one in fields if one.name not in hidden)


@contextmanager
def page(
    lake: Lake, actor: Actor, dataset: Dataset, asked: Asked, *, most: int = MOST_ROWS
) -> Iterator[Page]:
    """The rows asked for, while the context is open. `most`: the highest limit that may be asked.

    Raises Invalid for what cannot be asked, what the policy raises, and of a past state what
    `past` raises.
    """
    with lake.db.transaction() as conn:
        seen = shown(conn, actor, dataset)
        if asked.as_of is not None:
            past.settle(conn, asked.as_of)
    wanted = parsed(seen, asked.filter)
    chosen = _chosen(seen, asked.fields)
    _check(seen, asked, most)
    question = repr((dataset.id, wanted, asked.order, asked.as_of)).encode()
    mark = hashlib.sha256(question).hexdigest()[:16]
    after = _position(asked.after, mark, seen) if asked.after else None
    keys = _order(seen, asked.order)
    with lake.view() as view:
        names = ", ".join(f'"{one.name}"' for one in chosen)
        marks = [f"_o{i}" for i in range(len(keys))]
        hidden = ", ".join(f"{key} AS {o}" for key, o in zip(keys, marks, strict=True))
        direction = " DESC" if asked.order.startswith("-") else ""
        by = marks if seen.series else _in_order(dataset, marks[0])
        order = ", ".join(f"{o}{direction}" for o in by)
        count = 0
        for near in _nears(seen, asked):
            source, params = relation(
                view, seen, wanted, asked.as_of, order=asked.order, after=after, near=near
            )
            conditions = [_sql(wanted, seen.kinds, "f", params)]
            if after is not None:
                conditions.append(_beyond(seen, keys, asked.order, after, params))
            view.cursor.execute(
                f"CREATE OR REPLACE TEMP TABLE page AS SELECT {names}, {hidden} FROM {source} "
                f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT {asked.limit + 1:d}",
                params,
            )
            [(count,)] = view.execute("SELECT count(*) FROM page").fetchall()
            if count > asked.limit:
                break
        following = None
        if count > asked.limit:
            if not seen.pages:
                raise Invalid("out.page_hidden_key", most=asked.limit)
            [last] = view.execute(
                f"SELECT {', '.join(marks)} FROM page ORDER BY {order} "
                f"LIMIT 1 OFFSET {asked.limit - 1:d}"
            ).fetchall()
            following = _cursor(mark, last)
        yield Page(
            view.cursor, dataset, chosen,
            f"SELECT {names} FROM page ORDER BY {order} LIMIT {asked.limit:d}",
            min(count, asked.limit), asked.limit, asked.as_of, following,
        )  # fmt: skip


def parsed(seen: Shown, text: str) -> Predicate:
    """A filter over the columns shown. Raises Invalid."""
    contract = seen.dataset.contract
    local = zone(contract.time.zone) if contract.time else VN
    return filters.parse(text, seen.kinds, local) if text.strip() else TRUE


def relation(
    view: View,
    seen: Shown,
    wanted: Predicate = TRUE,
    as_of: datetime | None = None,
    *,
    order: Order = "key",
    after: Sequence[Any] | None = None,
    near: Near | None = None,
) -> tuple[str, dict[str, Any]]:
    """What a caller may see of a dataset, as SQL to put after FROM, and its parameters.

    It has the columns shown, and `_key` for records. `wanted` and `after` only narrow what is
    read; the caller puts them into its WHERE as well. `near`: only what comes first in that order.
    """
    if seen.series:
        rows, streams, values = series_parts(
            view, seen, wanted, as_of, order=order, after=after, near=near
        )
        return f"({joined(seen, rows, streams)})", values
    dataset = seen.dataset
    params: dict[str, Any] = {}
    if as_of is None:
        rows = view.records(dataset)
    else:
        rows = past.relation(view, layout(dataset), past.loads_at(view, dataset, as_of))
    every: dict[str, ColumnType] = {
        c.name: Field(c.name, c.type).kind for c in dataset.contract.columns
    }
    may = _sql(seen.decision.rows, every, "p", params)
    told = {"quality": _QUALITY.format("_q"), "load_id": "_load_id", "row_no": "_row_no"}
    columns = _columns(seen, told, "")
    return f"(SELECT {', '.join(columns)}, _key FROM {rows} WHERE {may})", params


def series_parts(
    view: View, seen: Shown, wanted: Predicate = TRUE, as_of: datetime | None = None, *,
    order: Order = "key", after: Sequence[Any] | None = None, near: Near | None = None,
) -> tuple[str, str, dict[str, Any]]:  # fmt: skip
    """The two halves of a series for `joined`, as SQL to put after FROM, and their parameters: the
    rows of the streams that may match, and these streams with their names, hidden ones among them."""
    dataset = seen.dataset
    names = ["stream", *(c.name for c in dataset.contract.key), "parameter"]
    known = {
        s.id: dict(zip(names, (s.id, *thing.key, s.parameter), strict=True))
        for thing, s in seen.streams
    }
    by_stream = {one.name for one in seen.fields if one.by_stream}
    parts = [p for p in _parts(wanted) if _named(p) <= by_stream]
    chosen = {id_: row for id_, row in known.items() if all(admits(p, row) for p in parts)}
    start, end = _span(wanted)
    if after is not None:
        start, end, chosen = _narrowed(order, after, start, end, chosen)
    if near is not None and order.endswith("key"):
        first = sorted(chosen, reverse=order.startswith("-"))[: near.streams]
        chosen = {id_: chosen[id_] for id_ in first}
    elif near is not None:
        start, end = _beside(view, dataset, order, near, start, end)
    if as_of is None:
        rows = view.series(dataset, streams=list(chosen), start=start, end=end)
    else:
        loads = past.loads_at(view, dataset, as_of, start, end)
        where = " AND ".join([one_of("stream_id", chosen), *past.instants(start, end)])
        rows = past.relation(view, layout(dataset), loads, where)
    params: dict[str, Any] = {}
    columns = []
    for i, name in enumerate(names):
        params[f"s{i}"] = [row[name] for row in chosen.values()]
        kind = "INTEGER" if name == "stream" else "VARCHAR"
        columns.append(f'unnest($s{i}::{kind}[]) AS "{name}"')
    return rows, f"(SELECT {', '.join(columns)})", params


def joined(seen: Shown, rows: str, streams: str) -> str:
    """The SELECT that makes the columns shown of the two halves of a series."""
    told = {"time": "r.t", "value": "r.v", "quality": _QUALITY.format("r.q")}
    told |= {"load_id": "r.load_id", "row_no": "r.row_no", "stream": "s.stream"}
    columns = ", ".join(_columns(seen, told, "s."))
    return f"SELECT {columns} FROM {rows} r JOIN {streams} s ON s.stream = r.stream_id"


def _columns(seen: Shown, told: Mapping[str, str], prefix: str) -> list[str]:
    """The columns shown; `told`: those that stand under another name below."""
    found = ((one.name, told.get(one.name, f'{prefix}"{one.name}"')) for one in seen.fields)
    return [f'{text} AS "{name}"' for name, text in found]


@dataclass(frozen=True)
class Near:
    """Where to look for a page's rows first: among so many streams, or so far from where it begins."""

    streams: int
    span: timedelta


_FIRST = (Near(2, timedelta(hours=6)), Near(16, timedelta(days=7)))


def _nears(seen: Shown, asked: Asked) -> Iterator[Near | None]:
    """Ever wider, at last everywhere. A page that is full is right: all else comes after it."""
    # A past state is told or refused for all that was asked, not for the part that was looked at.
    if seen.series and asked.as_of is None and asked.limit <= USUAL_ROWS:
        yield from _FIRST
    yield None


def _beside(
    view: View, dataset: Dataset, order: Order, near: Near,
    start: datetime | None, end: datetime | None,
) -> tuple[datetime | None, datetime | None]:  # fmt: skip
    """The stretch of time at whose edge a page in order of time begins."""
    if order == "-time" and end is None:
        [(edge,)] = view.postgres(
            f"SELECT max(n.t) FROM {SCHEMA}.series_newest n JOIN {SCHEMA}.stream s "
            f"ON s.id = n.stream_id WHERE s.dataset_id = {dataset.id:d}"
        )
    else:
        edge = start if order == "time" else end
    try:
        if edge is not None and order == "time":
            end = min(end or edge + near.span, edge + near.span)
        elif edge is not None:
            start = max(start or edge - near.span, edge - near.span)
    except OverflowError:
        pass  # at the calendar's edge nothing is narrowed
    return start, end


def _narrowed(
    order: Order,
    after: Sequence[Any],
    start: datetime | None,
    end: datetime | None,
    chosen: dict[int, dict[str, Any]],
) -> tuple[datetime | None, datetime | None, dict[int, dict[str, Any]]]:
    """What can still follow the last row of the page before."""
    match order:
        case "time":
            start = max(start or after[0], after[0])
        case "-time":
            end = min(end or after[0], after[0])
        case "key":
            chosen = {id_: row for id_, row in chosen.items() if id_ >= after[0]}
        case "-key":
            chosen = {id_: row for id_, row in chosen.items() if id_ <= after[0]}
    return start, end, chosen


# -- what was asked -------------------------------------------------------------------------------


def _chosen(seen: Shown, names: Sequence[str]) -> tuple[Field, ...]:
    if not names:
        return seen.fields
    there = {one.name: one for one in seen.fields}
    unknown = [name for name in names if name not in there]
    if unknown:
        params = {"name": ", ".join(unknown)[:200], "known": ", ".join(there)}
        raise Invalid("out.rows_invalid", faults=[Fault("fields", "out.filter_column", params)])
    return tuple(there[name] for name in dict.fromkeys(names))


def _check(seen: Shown, asked: Asked, most: int) -> None:
    faults = []
    if not 1 <= asked.limit <= most:
        faults.append(Fault("limit", "out.rows_limit", {"most": most}))
    if not seen.series and asked.order.endswith("time"):
        faults.append(Fault("order", "out.rows_order_time"))
    if faults:
        raise Invalid("out.rows_invalid", faults=faults)


def _parts(predicate: Predicate) -> list[Predicate]:
    """The conditions that all must hold."""
    if isinstance(predicate, And):
        return list(itertools.chain.from_iterable(_parts(part) for part in predicate.parts))
    return [predicate]


def _named(predicate: Predicate) -> set[str]:
    match predicate:
        case Compare(column) | In(column) | IsNull(column):
            return {column}
        case Not(part):
            return _named(part)
        case And(parts) | Or(parts):
            return set().union(*(_named(part) for part in parts))
        case Truth():
            return set()


def _span(predicate: Predicate) -> tuple[datetime | None, datetime | None]:
    """The stretch of time outside which the predicate admits nothing."""
    start: datetime | None = None
    end: datetime | None = None
    for part in _parts(predicate):
        if isinstance(part, Compare) and part.column == "time" and isinstance(part.value, datetime):
            if part.op in ("=", ">", ">="):
                start = max(start or part.value, part.value)
            if part.op in ("=", "<", "<="):
                end = min(end or part.value, part.value)
    return start, end


def _sql(
    predicate: Predicate, kinds: Mapping[str, ColumnType], prefix: str, params: dict[str, Any]
) -> str:
    made = to_duckdb(predicate, kinds, prefix=prefix)
    params.update(made.params)
    return made.text


# -- keyset ---------------------------------------------------------------------------------------


def _order(seen: Shown, order: Order) -> tuple[str, ...]:
    if not seen.series:
        return ("_key",)
    return ("time", "stream") if order.endswith("time") else ("stream", "time")


_NUMBERS = {"integer": "BIGINT", "number": "DOUBLE"}
_KEY_TYPES = {"stream": "INTEGER", "time": "TIMESTAMPTZ", "_key": "VARCHAR"}


def _in_order(dataset: Dataset, key: str) -> list[str]:
    """SQL: what records stand in order by, from the text of their key: numbers by their value, so
    that 2 comes before 10."""
    parts = []
    for place, column in enumerate(dataset.contract.key, 1):
        part = f"split_part({key}, chr(31), {place:d})"
        if column.type in _NUMBERS:
            part = f"coalesce(try_cast({part} AS {_NUMBERS[column.type]}), 0)"
        parts.append(part)
    return [*parts, key]


def _beyond(
    seen: Shown, keys: Sequence[str], order: Order, after: Sequence[Any], params: dict[str, Any]
) -> str:
    params.update({f"a{i}": value for i, value in enumerate(after)})
    values = [f"CAST($a{i} AS {_KEY_TYPES[key]})" for i, key in enumerate(keys)]
    if not seen.series:
        keys, values = (_in_order(seen.dataset, one[0]) for one in (keys, values))
    return f"({', '.join(keys)}) {'<' if order.startswith('-') else '>'} ({', '.join(values)})"


def _cursor(mark: str, last: Sequence[Any]) -> str:
    told = [mark, *(v.astimezone(UTC).isoformat() if isinstance(v, datetime) else v for v in last)]
    return base64.urlsafe_b64encode(msgspec.json.encode(told)).decode().rstrip("=")


def _position(text: str, mark: str, seen: Shown) -> tuple[Any, ...]:
    """Where a page begins. Raises Invalid for another question's cursor, or for none at all."""
    try:
        told = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        match told:
            case [given, str(key)] if given == mark and not seen.series and seen.pages:
                return (key,)
            case [given, int(stream), str(at)] if given == mark and seen.series:
                return (_stream(stream), parse_instant(at))
            case [given, str(at), int(stream)] if given == mark and seen.series:
                return (parse_instant(at), _stream(stream))
    except (ValueError, msgspec.DecodeError, Invalid):
        pass
    raise Invalid("out.rows_invalid", faults=[Fault("after", "out.rows_cursor")])


def _stream(number: int) -> int:
    if not 0 <= number < 2**31:
        raise ValueError("no stream has this number")
    return number
