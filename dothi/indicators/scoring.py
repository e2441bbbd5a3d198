"""Computing a score: its SELECT over one snapshot, then points, groups and the total.

The same SELECT also says which rows are at fault: with the row's key in the place of its unit, the
figures of a "unit" are those of one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal

import duckdb
import numpy as np

from dothi.indicators.rewrite import quoted
from dothi.indicators.score import ALL, TOTAL, Ceiling, Flaw, Score
from dothi.indicators.subject import micros
from dothi.kernel import workdays
from dothi.kernel.period import Period
from dothi.kernel.time import local_date, zone
from dothi.lake.contract import Contract

FIGURE = "agency, unit, period, component, numerator, denominator, ratio, points, most"
"""The columns of a figure, in its order."""
_DAY_US = 86_400_000_000
_TICK = timedelta(microseconds=1)
_CALENDAR = (date(workdays.FIRST_YEAR, 1, 1), date(workdays.LAST_YEAR, 12, 31))


@dataclass(frozen=True)
class Figure:
    """One component, group (`group 3a`) or the total of an agency and unit (`*`: all) in a period.

    `points` are unrounded; `most` is what they are out of. None: not applicable. A group and the total
    count the components that are not.
    """

    agency: str
    unit: str
    period: str
    component: str
    numerator: float | None
    denominator: float | None
    ratio: float | None
    points: float | None
    most: float | None


@dataclass(frozen=True)
class Correction:
    """One fault of one row, and the points that the agency's score gains when it is put right."""

    flaw: str
    rows: str
    key: str
    points: float
    components: tuple[tuple[str, float], ...]
    """The points by component; components that gain nothing are left out."""


@dataclass(frozen=True)
class Source:
    """A dataset of records as the engine reads it: its contract and a relation with its columns."""

    contract: Contract
    relation: str


def compute(
    cursor: duckdb.DuckDBPyConnection,
    score: Score,
    sources: Mapping[str, Source],
    periods: Sequence[Period],
    as_of: datetime,
) -> list[Figure]:
    """All figures of periods (of one length) that began before `as_of`, as they are at that instant.

    What is not applicable has no figure.
    """
    if not compute_into(cursor, score, sources, periods, as_of, "figures_now"):
        return []
    rows = cursor.execute(
        f"SELECT {FIGURE} FROM figures_now WHERE state <> 'not_applicable' ORDER BY ALL"
    ).fetchall()
    cursor.execute("DROP TABLE figures_now")
    return [Figure(*row) for row in rows]


def compute_into(
    cursor: duckdb.DuckDBPyConnection,
    score: Score,
    sources: Mapping[str, Source],
    periods: Sequence[Period],
    as_of: datetime,
    table: str,
) -> bool:
    """As `compute`, into a temporary table of ours, with `state`: every agency and unit that has any
    figure in a period has all components, groups and the total. False: no period has begun."""
    known = [p for p in periods if p.start < as_of]
    if not known:
        return False
    with _Tables(cursor, score, sources, known, as_of):
        cursor.execute(
            f"""CREATE OR REPLACE TEMP TABLE {table} AS
                WITH counted AS ({score.select}), figured AS MATERIALIZED (
                    SELECT c.agency, c.unit, c.period, c.component, r.part, c.numerator,
                        c.denominator, c.ratio, nullif(r.most, 0) AS most,
                        CASE WHEN r.most = 0 THEN NULL WHEN c.ratio >= r.threshold THEN r.most
                            ELSE c.ratio * r.most / coalesce(r.threshold, 100) END AS points
                    FROM counted c
                    JOIN in_rules r ON r.component = c.component AND r.period = c.period),
                there AS (
                    SELECT agency, unit, period, component, numerator, denominator, ratio, points,
                        most FROM figured
                    UNION ALL
                    SELECT agency, unit, period, 'group ' || part, NULL, NULL, NULL, sum(points),
                        sum(most)
                    FROM figured WHERE points IS NOT NULL GROUP BY agency, unit, period, part
                    UNION ALL
                    SELECT agency, unit, period, '{TOTAL}', NULL, NULL, NULL, sum(points), sum(most)
                    FROM figured WHERE points IS NOT NULL GROUP BY agency, unit, period),
                wanted AS (
                    SELECT s.agency, s.unit, s.period, r.component
                    FROM (SELECT DISTINCT agency, unit, period FROM figured) s
                    JOIN (SELECT period, component FROM in_rules
                        UNION SELECT period, 'group ' || part FROM in_rules
                        UNION SELECT number, '{TOTAL}' FROM in_periods) r ON r.period = s.period)
                SELECT w.agency, w.unit, p.code AS period, w.component,
                    CASE WHEN t.component IS NULL THEN 'not_applicable'
                        WHEN t.points IS NULL THEN 'tracked' ELSE 'scored' END AS state,
                    t.numerator, t.denominator, t.ratio, t.points, t.most
                FROM wanted w JOIN in_periods p ON p.number = w.period
                LEFT JOIN there t ON t.agency = w.agency AND t.unit = w.unit
                    AND t.period = w.period AND t.component = w.component"""
        )
    return True


def corrections(
    cursor: duckdb.DuckDBPyConnection,
    score: Score,
    sources: Mapping[str, Source],
    period: Period,
    as_of: datetime,
    agency: str,
) -> list[Correction]:
    """Every fault of every row of an agency in a period, the largest gain first.

    A gain is exact for one correction at a time: thresholds and ceilings are taken into account.
    """
    with _Tables(cursor, score, sources, [period], as_of, one_agency=agency):
        rows = cursor.execute(
            f"SELECT unit, component, numerator, denominator FROM ({score.select}) WHERE agency = ?",
            [agency],
        ).fetchall()
    whole: dict[str, tuple[float, float]] = {}
    parts: dict[str, dict[str, tuple[float, float]]] = {}
    for unit, component, numerator, denominator in rows:
        if unit == ALL:
            whole[component] = (numerator, denominator)
        else:
            parts.setdefault(unit, {})[component] = (numerator, denominator)
    worth = _Worth(score, whole, period.last_day)
    found = [one for key, row in parts.items() for one in _faults_of(score, worth, key, row)]
    return sorted(found, key=lambda c: (-c.points, c.flaw, c.key))


def _faults_of(
    score: Score, worth: _Worth, name: str, row: Mapping[str, tuple[float, float]]
) -> Iterator[Correction]:
    rows, _, key = name.partition("\x1f")
    for flaw in score.flaws:
        if flaw.rows != rows or flaw.seen not in row:
            continue
        count, of = row[flaw.seen]
        if (count <= 0) if flaw.has else (count >= of):
            continue
        gains = worth.of(_moved(flaw, row))
        yield Correction(flaw.name, rows, key, sum(g for _, g in gains), gains)


def _moved(flaw: Flaw, row: Mapping[str, tuple[float, float]]) -> tuple[tuple[str, int], ...]:
    """The counts that putting a fault right changes."""
    return tuple(
        (move.count, move.by)
        for move in flaw.moves
        if (move.only_if is None or _has(row, move.only_if))
        and (move.unless is None or not _has(row, move.unless))
    )


def _has(row: Mapping[str, tuple[float, float]], component: str) -> bool:
    return row.get(component, (0.0, 0.0))[0] > 0


class _Worth:
    """What a change of counts gains an agency, by component."""

    def __init__(self, score: Score, whole: Mapping[str, tuple[float, float]], on: date) -> None:
        self._score = score
        self._whole = whole
        self._ceilings = {
            name: ceiling
            for name, one in score.components.items()
            if (ceiling := one.ceiling(on)) is not None and ceiling.most > 0 and name in whole
        }
        self._known: dict[tuple[tuple[str, int], ...], tuple[tuple[str, float], ...]] = {}

    def of(self, moves: tuple[tuple[str, int], ...]) -> tuple[tuple[str, float], ...]:
        if moves not in self._known:
            change = dict(moves)
            self._known[moves] = tuple(
                (name, gain)
                for name, ceiling in self._ceilings.items()
                if (gain := self._points(name, ceiling, change) - self._points(name, ceiling, {}))
            )
        return self._known[moves]

    def _points(self, name: str, ceiling: Ceiling, change: Mapping[str, int]) -> float:
        numerator, denominator = self._whole[name]
        derived = self._score.derived.get(name)
        if derived is None:
            numerator += change.get(name, 0)
        elif derived.capped is not None:
            numerator = min(denominator, self._count(derived.capped, change))
        else:
            less = sum(self._count(other, change) for other in derived.less)
            numerator = max(0.0, denominator - less)
        return ceiling.points(100.0 * numerator / denominator)

    def _count(self, name: str, change: Mapping[str, int]) -> float:
        return self._whole.get(name, (0.0, 0.0))[0] + change.get(name, 0)


class _Tables:
    """The views and tables that a SELECT reads, there while it runs."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, score: Score, sources: Mapping[str, Source],
        periods: Sequence[Period], as_of: datetime, *, one_agency: str | None = None,
    ) -> None:  # fmt: skip
        self._cursor = cursor
        self._score = score
        self._sources = sources
        self._periods = periods
        self._as_of = as_of
        self._agency = one_agency
        self._made: list[tuple[Literal["VIEW", "TABLE"], str]] = []

    def __enter__(self) -> _Tables:
        self._calendar()
        self._rules()
        if self._agency is not None:
            self._cursor.execute("CREATE OR REPLACE TEMP TABLE in_chosen (agency VARCHAR)")
            self._cursor.execute("INSERT INTO in_chosen VALUES (?)", [self._agency])
            self._made.append(("TABLE", "in_chosen"))
        for name, columns in self._score.inputs.items():
            self._view(name, self._sources[name], columns)
        return self

    def __exit__(self, *_: object) -> None:
        for kind, name in reversed(self._made):
            self._cursor.execute(f"DROP {kind} IF EXISTS {quoted(name)}")

    def _table(self, name: str, columns: Mapping[str, object], select: str = "*") -> None:
        self._cursor.register("given_now", columns)
        try:
            self._cursor.execute(
                f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS SELECT {select} FROM given_now"
            )
        finally:
            self._cursor.unregister("given_now")
        self._made.append(("TABLE", name))

    def _calendar(self) -> None:
        local = zone(self._score.zone)
        first, ordinals, nexts = _calendar()
        cut = [min(p.end, self._as_of) for p in self._periods]
        last = [local_date(c - _TICK, local) for c in cut]
        year = [p.first_day.year - 1 for p in self._periods]
        parts = {"month": 12, "quarter": 4, "year": 1}[self._periods[0].grain]
        self._table(
            "in_periods",
            {
                "number": np.arange(len(cut), dtype=np.int32),
                "code": np.array([p.code for p in self._periods], dtype=str),
                "start_us": np.array([micros(p.start) for p in self._periods], np.int64),
                "cut_us": np.array([micros(c) for c in cut], np.int64),
                "first_day": _dates([p.first_day for p in self._periods]),
                "last_day": _dates(last),
                "today": _dates([local_date(self._as_of, local)] * len(cut)),
                "last_ordinal": np.array([ordinals[(d - first).days] for d in last], np.int32),
                "last_next_ordinal": np.array([nexts[(d - first).days] for d in last], np.int32),
                "year_before": np.array([f"{y:04d}" for y in year], dtype=str),
                "parts": np.full(len(cut), parts, np.int32),
            },
            "* REPLACE (first_day::DATE AS first_day, last_day::DATE AS last_day, "
            "today::DATE AS today)",
        )
        period = np.full(len(ordinals), -1, np.int32)
        until = np.zeros(len(ordinals), np.int64)
        for number, one in enumerate(self._periods):
            a, b = (one.first_day - first).days, (one.last_day - first).days + 1
            period[a:b] = number
            until[a:b] = micros(cut[number])
        days = np.arange(len(ordinals), dtype=np.int64) + (first - date(1970, 1, 1)).days
        self._table(
            "in_days",
            {"day": days.astype("datetime64[D]").astype("datetime64[us]"), "ordinal": ordinals, "next_ordinal": nexts,
             "period": period, "cut_us": until},
            "day::DATE AS day, ordinal, next_ordinal, nullif(period, -1) AS period, cut_us",
        )  # fmt: skip
        self._table("in_levels", {"level": np.array(["province", "agency", "unit"], dtype=str)})

    def _rules(self) -> None:
        """Ceilings and thresholds by period: those in force on its last calendar day."""
        rows = [
            (name, component.group, number, ceiling.most, ceiling.threshold)
            for number, period in enumerate(self._periods)
            for name, component in self._score.components.items()
            if (ceiling := component.ceiling(period.last_day)) is not None
        ]
        names, parts, numbers, most, thresholds = zip(*rows, strict=True) if rows else [()] * 5
        self._table(
            "in_rules",
            {
                "component": np.array(names, dtype=str),
                "part": np.array(parts, dtype=str),
                "period": np.array(numbers, np.int32),
                "most": np.array(most, np.float64),
                "threshold": np.array([np.nan if t is None else t for t in thresholds]),
            },
            "* REPLACE (CASE WHEN isnan(threshold) THEN NULL ELSE threshold END AS threshold)",
        )

    def _view(self, name: str, source: Source, columns: Sequence[str]) -> None:
        types = {c.name: c.type for c in source.contract.columns}
        shown = []
        for column in columns:
            if self._agency is not None and column == self._score.unit:
                key = " || '\x1f' || ".join(quoted(k.name) for k in source.contract.key)
                shown.append(f"'{name}\x1f' || {key} AS {quoted(column)}")
                continue
            shown.append(quoted(column))
            if types[column] == "instant":
                shown.append(f"epoch_us({quoted(column)}) AS {quoted(column + '_us')}")
                shown.append(f"{self._local_day(quoted(column))} AS {quoted(column + '_day')}")
        where = ""
        if self._agency is not None:
            where = f"WHERE {quoted(self._score.agency)} = (SELECT agency FROM in_chosen)"
        self._cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW {quoted(f'in_{name}')} AS "
            f"SELECT {', '.join(shown)} FROM {source.relation} {where}"
        )
        self._made.append(("VIEW", f"in_{name}"))

    def _local_day(self, column: str) -> str:
        offset = _fixed_offset(self._score.zone)
        if offset is None:
            name = self._score.zone.replace("'", "''")
            return f"CAST(timezone('{name}', {column}) AS DATE)"
        return f"DATE '1970-01-01' + CAST((epoch_us({column}) + {offset}) // {_DAY_US} AS INTEGER)"


def _dates(days: Sequence[date]) -> np.ndarray:
    return np.array(days, dtype="datetime64[us]")


@cache
def _fixed_offset(name: str) -> int | None:
    """A zone's offset in µs where it is the same all through the working calendar; else None."""
    local = zone(name)
    years = range(_CALENDAR[0].year, _CALENDAR[1].year + 1)
    instants = [datetime(y, m, 1, tzinfo=UTC) for y in years for m in range(1, 13)]
    offsets = {at.astimezone(local).utcoffset() for at in instants}
    only = offsets.pop()
    return None if offsets or only is None else only // _TICK


@cache
def _calendar() -> tuple[date, np.ndarray, np.ndarray]:
    """The calendar's first day; for each of its days the working days up to and with it, and those
    up to the first working day from it on."""
    first, last = _CALENDAR
    works = [
        workdays.is_working_day(first + timedelta(days=n)) for n in range((last - first).days + 1)
    ]
    ordinals = np.cumsum(works, dtype=np.int32)
    return first, ordinals, ordinals + ~np.array(works)
