"""A series whose key holds codes of administrative units, or of the agencies that are their bodies,
shown by the units of another day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

import duckdb

from dothi.identity import agencies, units_read
from dothi.identity.model import Actor
from dothi.identity.predicate import Compare, In, Predicate, all_of, to_duckdb
from dothi.identity.units import BASES
from dothi.kernel.crosswalk import Conversion, Plan, Status, Value
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.time import local_date, zone
from dothi.lake.columns import OverUnits
from dothi.lake.model import Quality
from dothi.lake.out.page import Shown, relation, shown
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

MOST_READ = 500_000
"""Values that one answer may be made from."""
_TICK = timedelta(microseconds=1)
_VALID = Quality.VALID.name.lower()


@dataclass(frozen=True)
class Wanted:
    """Which values, and by the units of which day. `basis`: by what shares of divided units count.

    `parameters` empty: all. The stretch of time has its beginning in it, its end not. `unit`: only
    lines about this one.
    """

    day: date
    basis: str = "population"
    parameters: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Line:
    """A value by units of the other day.

    `kind`: `unit`; `group`, units that cannot be told apart, whose total this is; `unplaced`, what a
    code had that no unit followed, or that stood for none. `known`: what of a unit without a value
    of its own is certain. `sources`: the codes it was made from; `grounds`: whose shares it rests
    on; `loads`: the loads that brought what it was made from. `rest` are the other columns of the
    key. Over all lines of a period and parameter that is added the values keep their sum.
    """

    kind: str
    units: tuple[str, ...]
    rest: tuple[str, ...]
    parameter: str
    time: datetime
    value: float | None
    status: str
    known: float | None
    sources: tuple[str, ...]
    grounds: tuple[str, ...]
    loads: tuple[int, ...] = ()


@dataclass(frozen=True)
class ByUnit:
    """Lines by time, rest of the key and parameter; `names` are those of units on that day."""

    dataset: Dataset
    rest: tuple[str, ...]
    lines: list[Line]
    names: dict[str, str]


def by_unit(lake: Lake, actor: Actor, dataset: Dataset, wanted: Wanted) -> ByUnit:
    """What the caller may see of a series, by the units of a day.

    Raises NotFound as the policy does, Invalid for a dataset without units and for too much.
    """
    contract = dataset.contract
    with lake.db.transaction() as conn:
        seen = shown(conn, actor, dataset)
        if contract.units is None or contract.time is None:
            raise Invalid("out.no_units", name=dataset.name)
        known = [p.name for p in contract.parameters if p.name not in seen.decision.hidden]
        _check(seen, wanted, known)
        names = units_read.names(conn, wanted.day)
        crosswalk = units_read.crosswalk(conn, wanted.basis)
        bodies: dict[str, str] = {}
        if contract.units.codes == "agencies":
            bodies = agencies.units_of(conn)
    column = contract.units.column
    how = {p.name: p.over_units for p in contract.parameters}
    asked = wanted.parameters or tuple(known)
    rest = tuple(c.name for c in contract.key if c.name != column)
    others = ", ".join(f'"{name}"' for name in rest)
    needed = {*asked, *(w for name in asked if (w := how[name].weight) in known)}
    local, ends = zone(contract.time.zone), contract.time.stamp == "end"
    as_of = contract.units.as_of
    lines: list[Line] = []
    with lake.view() as view:
        condition = _condition(needed, wanted)
        source, params = relation(view, seen, condition, order="time")
        where = to_duckdb(condition, seen.kinds, prefix="w")
        found = view.cursor.execute(
            f'SELECT time, [{others}]::VARCHAR[], "{column}", parameter, '
            f"CASE WHEN quality = '{_VALID}' THEN value END, load_id FROM {source} "
            f"WHERE {where.text} ORDER BY 1, 2, 3 LIMIT {MOST_READ + 1:d}",
            params | where.params,
        )
        read = 0
        for (at, apart), rows in groupby(_fetched(found), key=lambda row: (row[0], row[1])):
            told: dict[str, dict[str, Value | None]] = {name: {} for name in needed}
            loads: dict[tuple[str, str], int] = {}
            for _, _, written, parameter, value, load in rows:
                code = str(bodies.get(written, written))
                if code in told[parameter]:  # two agencies of one unit: each keeps what it said
                    code = written
                told[parameter][code] = None if value is None else exactly(value)
                loads[parameter, code] = load
                read += 1
            if read > MOST_READ:
                raise Invalid("out.units_too_many", most=MOST_READ)
            meant = as_of or local_date(at - _TICK if ends else at, local)
            plan = crosswalk.plan(meant, wanted.day)
            for name in asked:
                if told[name]:
                    done = _converted(plan, told, name, how[name])
                    brought = {code: load for (p, code), load in loads.items() if p == name}
                    lines += _lines(done, tuple(apart), name, at, brought)
    if wanted.unit is not None:
        lines = [line for line in lines if wanted.unit in line.units]
    return ByUnit(dataset, rest, lines, names)


def _check(seen: Shown, wanted: Wanted, known: Sequence[str]) -> None:
    faults = []
    for name in wanted.parameters:
        if name not in known:
            params = {"name": name[:60], "known": ", ".join(known)}
            faults.append(Fault("parameter", "lake.unknown_parameter", params))
    if wanted.basis not in BASES:
        params = {"value": wanted.basis[:60], "bases": ", ".join(BASES)}
        faults.append(Fault("basis", "units.bad_basis", params))
    # Without a column of the key values of different things could not be told apart.
    if not {"value", *(c.name for c in seen.dataset.contract.key)} <= seen.kinds.keys():
        faults.append(Fault("units", "out.units_hidden"))
    if faults:
        raise Invalid("out.rows_invalid", faults=faults)


def _condition(parameters: Iterable[str], wanted: Wanted) -> Predicate:
    parts: list[Predicate] = [In("parameter", tuple(sorted(parameters)))]
    if wanted.start is not None:
        parts.append(Compare("time", ">=", wanted.start))
    if wanted.end is not None:
        parts.append(Compare("time", "<", wanted.end))
    return all_of(*parts)


def _fetched(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := found.fetchmany(10_000):
        yield from rows


def exactly(value: float) -> Value:
    """A stored number as the one that was written: sums of them are those of the decimals."""
    return int(value) if value.is_integer() else Decimal(repr(value))


def _converted(
    plan: Plan, told: Mapping[str, Mapping[str, Value | None]], name: str, how: OverUnits
) -> Conversion:
    # A weight that the caller may not see weighs nothing: the mean is not formed.
    weights = told.get(how.weight) if how.weight else None
    return plan.convert(told[name], how.aggregation, weights)


def _lines(
    done: Conversion, rest: tuple[str, ...], name: str, at: datetime, brought: Mapping[str, int]
) -> Iterator[Line]:
    def loads(sources: Iterable[str]) -> tuple[int, ...]:
        return tuple(sorted({brought[code] for code in sources if code in brought}))

    for code, one in sorted(done.values.items()):
        yield Line(
            "unit", (code,), rest, name, at, _float(one.value), one.status, _float(one.known),
            one.sources, tuple(sorted(one.grounds)), loads(one.sources),
        )  # fmt: skip
    for group in done.groups:
        yield Line(
            "group", group.targets, rest, name, at, _float(group.value), group.status, None,
            group.sources, (), loads(group.sources),
        )  # fmt: skip
    for code, value in done.unplaced.items():
        yield Line(
            "unplaced", (), rest, name, at, _float(value), Status.EXACT, None, (code,), (),
            loads((code,)),
        )  # fmt: skip


def _float(value: Value | None) -> float | None:
    return None if value is None else float(value)


# -- as a table -----------------------------------------------------------------------------------

_OWN = {"kind", "unit", "name", "status", "known", "sources", "grounds", "loads"}


@contextmanager
def table(lake: Lake, found: ByUnit) -> Iterator[duckdb.DuckDBPyRelation]:
    """The lines as a relation, codes joined by blanks, grounds by semicolons. A key column that has
    the name of one of the answer's own is called `key_…`."""
    columns: dict[str, tuple[str, Sequence[Any]]] = {
        "kind": ("VARCHAR", [one.kind for one in found.lines]),
        "unit": ("VARCHAR", [" ".join(one.units) for one in found.lines]),
        "name": (
            "VARCHAR",
            [", ".join(found.names.get(code, code) for code in one.units) for one in found.lines],
        ),
        **{
            f"key_{name}" if name in _OWN else name: (
                "VARCHAR",
                [one.rest[place] for one in found.lines],
            )
            for place, name in enumerate(found.rest)
        },
        "parameter": ("VARCHAR", [one.parameter for one in found.lines]),
        "time": ("TIMESTAMPTZ", [one.time for one in found.lines]),
        "value": ("DOUBLE", [one.value for one in found.lines]),
        "status": ("VARCHAR", [str(one.status) for one in found.lines]),
        "known": ("DOUBLE", [one.known for one in found.lines]),
        "sources": ("VARCHAR", [" ".join(one.sources) for one in found.lines]),
        "grounds": ("VARCHAR", ["; ".join(one.grounds) for one in found.lines]),
        "loads": ("VARCHAR", [" ".join(map(str, one.loads)) for one in found.lines]),
    }
    made = ", ".join(f'unnest($c{i}::{columns[name][0]}[]) AS "{name}"'
                     for i, name in enumerate(columns))  # fmt: skip
    with lake.view() as view:
        view.cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE by_unit AS SELECT {made}",
            {f"c{i}": values for i, (_, values) in enumerate(columns.values())},
        )
        yield view.cursor.sql("SELECT * FROM by_unit")
