"""What a load says about its own data: counts, gaps against the rhythm, contradictions.

A report is JSON-able: `{"reader", "rows", "findings": [{"kind", "count", …}], "streams": […]}`.
Kinds: missing, invalid, outside (the range; `marked_valid`: how many of these the source calls
valid), suspect, absent, conflict, twice, rejected; of rhythms by the calendar absent_within and
absent_grid (rows of things, within each one's own span and against the full grid); of readers with
steps skipped and apart (rows by `levels`); of records check, newlines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import duckdb

from dothi.lake.engine import table
from dothi.lake.model import Quality, Reach
from dothi.lake.reshape import literal

MOST_GAPS = 20
"""Gaps listed for one stream, the longest first; their number is always complete."""


class Calendar(NamedTuple):
    """A rhythm by the calendar: every `months` months of the zone. `things` is a relation (thing,
    t) of all rows, to tell which of all things' beats are absent."""

    months: int
    zone: str
    things: str

    def beat(self, t: str) -> str:
        """SQL: the number of the beat that an instant lies in."""
        local = f"timezone({literal(self.zone)}, {t})"
        return f"(date_diff('month', TIMESTAMP '0001-01-01', {local}) // {self.months:d})"


class _Part(NamedTuple):
    """A stream's values of one quality."""

    size: int
    first: datetime
    last: datetime
    low: float | None
    high: float | None
    total: float
    newest: float | None


_NONE = _Part(0, datetime.max, datetime.min, None, None, 0.0, None)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class _Stream:
    """What is found of one stream; `step` is the expected distance of its values."""

    id: int
    parts: dict[int, _Part]
    step: timedelta | None
    on_beat: int = 0
    outside: int = 0
    marked: int = 0
    gaps: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        every = self.parts.values()
        self.count = self.on_beat = sum(part.size for part in every)
        self.first, self.last = min(p.first for p in every), max(p.last for p in every)
        self.low = min((p.low for p in every if p.low is not None), default=math.inf)
        self.high = max((p.high for p in every if p.high is not None), default=-math.inf)
        self.expected = round((self.last - self.first) / self.step) + 1 if self.step else self.count

    @property
    def absent(self) -> int:
        """Beats of the rhythm without a value, between the first and the last."""
        return max(0, self.expected - self.on_beat) if self.step else 0

    def of(self, quality: Quality) -> _Part:
        """The values of one quality."""
        return self.parts.get(int(quality), _NONE)

    def reach(self) -> Reach:
        """How far it goes, and its newest value."""
        quality, newest = max(self.parts.items(), key=lambda item: item[1].last)
        return Reach(self.id, self.first, self.last, newest.last, newest.newest, quality)

    def said(self) -> dict[str, Any]:
        """The stream's part of the report."""
        valid = self.of(Quality.VALID)
        return {
            "outside": self.outside, "marked_valid": self.marked,
            "suspect": self.of(Quality.SUSPECT).size - self.marked,
            "stream": self.id, "rows": self.count,
            "from": self.first.isoformat(), "to": self.last.isoformat(),
            "valid": valid.size, "invalid": self.of(Quality.INVALID).size,
            "missing": self.of(Quality.MISSING).size,
            "low": valid.low, "high": valid.high, "absent": self.absent,
            "mean": valid.total / valid.size if valid.size else None,
            "gaps": self.gaps,
        }  # fmt: skip


def report(
    root: duckdb.DuckDBPyConnection,
    rows: str,
    *,
    rhythms: dict[int, timedelta | None],
    ranges: dict[int, tuple[float | None, float | None]],
    extra: dict[str, Any],
    calendar: Calendar | None = None,
) -> tuple[dict[str, Any], list[Reach]]:
    """Look at a batch's rows: `rows` is a relation (stream_id, row_no, t, v, q), keys unique and
    none withdrawn. Gives the report, and how far each stream goes.

    For each stream `rhythms` holds the expected distance of its values and `ranges` the bounds of
    its contract, None where there is none.
    """
    found = root.execute(
        f"""SELECT stream_id, q, count(*), min(t), max(t), min(v), max(v), sum(v),
                arg_max_null(v, t)
            FROM {rows} GROUP BY stream_id, q ORDER BY stream_id, q"""
    ).fetchall()
    streams = [
        _Stream(stream_id, {q: _Part(*rest) for _, q, *rest in parts}, rhythms.get(stream_id))
        for stream_id, parts in groupby(found, key=itemgetter(0))
    ]
    grid: dict[str, int] = {}
    if calendar:
        _count_months(root, rows, streams, calendar)
        grid = _grid(root, calendar)
    else:
        _count_beats(root, rows, [s for s in streams if s.step and s.expected != s.count])
        _list_gaps(root, rows, [s for s in streams if s.absent])
    _count_outside(root, rows, streams, ranges)
    out = [stream.said() for stream in streams]
    findings: list[dict[str, Any]] = [
        {"kind": kind, "count": total}
        for kind in ("missing", "invalid", "outside", "suspect", "absent")
        if (total := sum(s[kind] for s in out))
    ]
    for finding in findings:
        if finding["kind"] == "outside":
            finding["marked_valid"] = sum(s["marked_valid"] for s in out)
    findings += [
        {"kind": kind, "count": grid[kind], "of": grid[of], "things": grid["things"]}
        for kind, of in (("absent_within", "own_grid"), ("absent_grid", "grid"))
        if grid.get(kind)
    ]
    findings += counted(extra)
    return {**extra, **grid, "findings": findings, "streams": out}, [s.reach() for s in streams]


def counted(extra: dict[str, Any]) -> list[dict[str, Any]]:
    """Findings that were counted on the way here."""
    findings = [
        {"kind": kind, "count": extra[kind]}
        for kind in ("conflict", "twice", "rejected", "skipped", "apart")
        if extra.get(kind)
    ]
    for finding in findings:
        if finding["kind"] == "apart":
            finding["levels"] = extra["levels"]
    return findings


def _count_months(
    root: duckdb.DuckDBPyConnection, rows: str, streams: list[_Stream], calendar: Calendar
) -> None:
    """How many beats of the calendar each stream spans, how many have a value, and the gaps."""
    by_id = {stream.id: stream for stream in streams}
    for stream_id, beats, expected in root.execute(
        f"""SELECT stream_id, count(DISTINCT b), max(b) - min(b) + 1
            FROM (SELECT stream_id, {calendar.beat("t")} AS b FROM {rows}) GROUP BY stream_id"""
    ).fetchall():
        by_id[stream_id].on_beat, by_id[stream_id].expected = beats, expected
    for stream_id, before, t, missed in root.execute(
        f"""SELECT stream_id, before, t, {calendar.beat("t")} - {calendar.beat("before")} - 1
            FROM (SELECT stream_id, t,
                      lag(t) OVER (PARTITION BY stream_id ORDER BY t) AS before FROM {rows})
            WHERE {calendar.beat("t")} - {calendar.beat("before")} > 1
            QUALIFY row_number() OVER (PARTITION BY stream_id ORDER BY 4 DESC, before)
                <= {MOST_GAPS}
            ORDER BY stream_id, 4 DESC, before"""
    ).fetchall():
        by_id[stream_id].gaps.append(
            {"after": before.isoformat(), "before": t.isoformat(), "missed": missed}
        )


def _grid(root: duckdb.DuckDBPyConnection, calendar: Calendar) -> dict[str, int]:
    """Absent rows counted for things: within each one's own span, and against the full grid of all
    things and all beats that the file spans."""
    row = root.execute(
        f"""SELECT count(*), sum(n), sum(last - first + 1), max(last) - min(first) + 1
            FROM (SELECT thing, count(DISTINCT b) AS n, min(b) AS first, max(b) AS last
                  FROM (SELECT thing, {calendar.beat("t")} AS b FROM {calendar.things})
                  GROUP BY thing)"""
    ).fetchone()
    if row is None or row[0] < 2:
        return {}
    things, present, own, beats = (int(n) for n in row)
    return {
        "things": things,
        "grid": things * beats,
        "own_grid": own,
        "absent_within": own - present,
        "absent_grid": things * beats - present,
    }


def _count_beats(root: duckdb.DuckDBPyConnection, rows: str, streams: list[_Stream]) -> None:
    """How many beats of the rhythm have a value: two values within one beat count once."""
    if not streams:
        return
    _about(root, streams)
    by_id = {stream.id: stream for stream in streams}
    for stream_id, beats in root.execute(
        f"""SELECT stream_id, count(DISTINCT (epoch_us(t) - start + step // 2) // step)
            FROM {rows} JOIN about USING (stream_id) GROUP BY stream_id"""
    ).fetchall():
        by_id[stream_id].on_beat = beats


def _list_gaps(root: duckdb.DuckDBPyConnection, rows: str, streams: list[_Stream]) -> None:
    """The longest stretches without a value: the last before, the first after, beats missed."""
    if not streams:
        return
    _about(root, streams)
    by_id = {stream.id: stream for stream in streams}
    for stream_id, before, t, missed in root.execute(
        f"""SELECT stream_id, before, t, missed FROM (
                SELECT stream_id, before, t,
                    round((epoch_us(t) - epoch_us(before)) / step)::BIGINT - 1 AS missed
                FROM (SELECT stream_id, t, step,
                          lag(t) OVER (PARTITION BY stream_id ORDER BY t) AS before
                      FROM {rows} JOIN about USING (stream_id))
                WHERE epoch_us(t) - epoch_us(before) >= step * 3 // 2)
            QUALIFY row_number() OVER (PARTITION BY stream_id ORDER BY missed DESC, before)
                <= {MOST_GAPS}
            ORDER BY stream_id, missed DESC, before"""
    ).fetchall():
        by_id[stream_id].gaps.append(
            {"after": before.isoformat(), "before": t.isoformat(), "missed": missed}
        )


def _count_outside(
    root: duckdb.DuckDBPyConnection,
    rows: str,
    streams: list[_Stream],
    ranges: dict[int, tuple[float | None, float | None]],
) -> None:
    """Values outside the contract's range, and how many of them only became suspect by that;
    counted only where the extremes say that there are some."""
    beyond = {}
    for stream in streams:
        low, high = ranges.get(stream.id) or (None, None)
        low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
        if stream.low < low or stream.high > high:
            beyond[stream.id] = stream
    if not beyond:
        return
    # Where there is no bound, nothing is beyond it.
    bounds = [ranges[stream_id] for stream_id in beyond]
    table(root, "bounds", {
        "stream_id": ("INTEGER", list(beyond)),
        "low": ("DOUBLE", [low for low, _ in bounds]),
        "high": ("DOUBLE", [high for _, high in bounds]),
    })  # fmt: skip
    for stream_id, outside, marked in root.execute(
        f"""SELECT stream_id, count(*), count(*) FILTER (WHERE q = {int(Quality.SUSPECT)})
            FROM {rows} JOIN bounds USING (stream_id) WHERE v < low OR v > high GROUP BY stream_id"""
    ).fetchall():
        beyond[stream_id].outside, beyond[stream_id].marked = outside, marked


def _about(root: duckdb.DuckDBPyConnection, streams: list[_Stream]) -> None:
    """A table of streams with their first instant and their step, in microseconds."""
    regular = [(s.id, _us(s.first - _EPOCH), _us(s.step)) for s in streams if s.step]
    table(root, "about", {
        "stream_id": ("INTEGER", [number for number, _, _ in regular]),
        "start": ("BIGINT", [start for _, start, _ in regular]),
        "step": ("BIGINT", [step for _, _, step in regular]),
    })  # fmt: skip


def _us(step: timedelta) -> int:
    return round(step / timedelta(microseconds=1))
