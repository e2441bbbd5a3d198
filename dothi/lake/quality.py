"""What a load says about its own data: counts, gaps against the rhythm, contradictions.

A report is JSON-able: `{"reader", "rows", "findings": [{"kind", "count", …}], "streams": […]}`.
Kinds: missing, invalid, outside (the range; `marked_valid`: how many of these the source calls
valid), suspect, absent, conflict, twice, rejected.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import duckdb

from dothi.lake.model import Quality

MOST_GAPS = 20
"""Gaps listed for one stream, the longest first; their number is always complete."""


def report(
    root: duckdb.DuckDBPyConnection,
    rows: str,
    *,
    rhythms: dict[int, timedelta | None],
    ranges: dict[int, tuple[float | None, float | None]],
    extra: dict[str, Any],
) -> dict[str, Any]:
    """Look at a batch's rows: `rows` is a relation (stream_id, row_no, t, v, q), keys unique.

    For each stream `rhythms` holds the expected distance of its values and `ranges` the bounds of
    its contract, None where there is none.
    """
    streams = root.execute(
        f"""SELECT stream_id, count(*), min(t), max(t),
                   count(*) FILTER (WHERE q = {int(Quality.VALID)}),
                   count(*) FILTER (WHERE q = {int(Quality.SUSPECT)}),
                   count(*) FILTER (WHERE q = {int(Quality.INVALID)}),
                   count(*) FILTER (WHERE q = {int(Quality.MISSING)}),
                   min(v) FILTER (WHERE q = {int(Quality.VALID)}),
                   max(v) FILTER (WHERE q = {int(Quality.VALID)}),
                   avg(v) FILTER (WHERE q = {int(Quality.VALID)}), min(v), max(v)
            FROM {rows} GROUP BY stream_id ORDER BY stream_id"""
    ).fetchall()
    out = []
    for (
        stream_id, count, first, last, valid, suspect, invalid, missing, low, high, mean,
        least, most,
    ) in streams:  # fmt: skip
        step = rhythms.get(stream_id)
        expected = round((last - first) / step) + 1 if step else None
        on_beat = count
        if step and expected is not None and expected != count:
            on_beat = _on_beat(root, rows, stream_id, step)
        absent = max(0, expected - on_beat) if expected is not None else 0
        outside, marked = _outside(root, rows, stream_id, ranges.get(stream_id), least, most)
        out.append(
            {
                "outside": outside, "marked_valid": marked, "suspect": suspect - marked,
                "stream": stream_id, "rows": count,
                "from": first.isoformat(), "to": last.isoformat(),
                "valid": valid, "invalid": invalid, "missing": missing,
                "low": low, "high": high, "mean": mean, "absent": absent,
                "gaps": _gaps(root, rows, stream_id, step) if step and absent else [],
            }
        )  # fmt: skip
    findings: list[dict[str, Any]] = [
        {"kind": kind, "count": total}
        for kind in ("missing", "invalid", "outside", "suspect", "absent")
        if (total := sum(s[kind] for s in out))
    ]
    for finding in findings:
        if finding["kind"] == "outside":
            finding["marked_valid"] = sum(s["marked_valid"] for s in out)
    findings += [
        {"kind": kind, "count": extra[kind]}
        for kind in ("conflict", "twice", "rejected")
        if extra.get(kind)
    ]
    return {**extra, "findings": findings, "streams": out}


def _outside(
    root: duckdb.DuckDBPyConnection,
    rows: str,
    stream_id: int,
    bounds: tuple[float | None, float | None] | None,
    least: float | None,
    most: float | None,
) -> tuple[int, int]:
    """How many values lie outside the contract's range, and how many of them only became suspect
    by that; counted only where the extremes say that there are some."""
    low, high = bounds or (None, None)
    below = low is not None and least is not None and least < low
    above = high is not None and most is not None and most > high
    if not (below or above):
        return 0, 0
    row = root.execute(
        f"""SELECT count(*), count(*) FILTER (WHERE q = {int(Quality.SUSPECT)})
            FROM {rows} WHERE stream_id = {stream_id:d} AND (v < ? OR v > ?)""",
        [low if low is not None else float("-inf"), high if high is not None else float("inf")],
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _on_beat(root: duckdb.DuckDBPyConnection, rows: str, stream_id: int, step: timedelta) -> int:
    """How many beats of the rhythm have a value: two values within one beat count once."""
    row = root.execute(
        f"""SELECT count(DISTINCT (epoch_us(t) - (SELECT min(epoch_us(t)) FROM {rows}
                   WHERE stream_id = {stream_id:d}) + {_us(step) // 2}) // {_us(step)})
            FROM {rows} WHERE stream_id = {stream_id:d}"""
    ).fetchone()
    return row[0] if row else 0


def _gaps(
    root: duckdb.DuckDBPyConnection, rows: str, stream_id: int, step: timedelta
) -> list[dict[str, Any]]:
    """The longest stretches without a value: the last before, the first after, beats missed."""
    found = root.execute(
        f"""SELECT before, t, round((epoch_us(t) - epoch_us(before)) / {_us(step)})::BIGINT - 1
            FROM (SELECT t, lag(t) OVER (ORDER BY t) AS before
                  FROM {rows} WHERE stream_id = {stream_id:d})
            WHERE epoch_us(t) - epoch_us(before) >= {_us(step) * 3 // 2}
            ORDER BY 3 DESC, 1 LIMIT {MOST_GAPS}"""
    ).fetchall()
    return [
        {"after": before.isoformat(), "before": t.isoformat(), "missed": missed}
        for before, t, missed in found
    ]


def _us(step: timedelta) -> int:
    return round(step / timedelta(microseconds=1))
