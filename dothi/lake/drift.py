"""How a load differs from the one before it: rows, share of missing values, means, variety."""

from __future__ import annotations

from typing import Any

from dothi.lake import registry
from dothi.lake.registry import Dataset
from dothi.store.database import Connection

LEAST = 0.001
MOST_LISTED = 20
"""Streams or columns listed, those that moved most."""


def drift(
    conn: Connection, dataset: Dataset, door: str, report: dict[str, Any]
) -> dict[str, Any] | None:
    """A report held against that of the dataset's last load through the same door and by the same
    reader; None without one.

    `{"load", "rows": [before, now], "missing": [share, share], "means": [{"stream", "name",
    "before", "now"}], "distinct": [{"name", "before", "now"}]}`; of means and distinct counts those
    that differ.
    """
    row = conn.execute(
        """SELECT id, report FROM load WHERE dataset_id = %s AND door = %s
           AND state = 'committed' AND report->>'reader' = %s ORDER BY id DESC LIMIT 1""",
        (dataset.id, door, report["reader"]),
    ).fetchone()
    if row is None:
        return None
    number, before = row
    out = {
        "load": number,
        "rows": [before.get("rows", 0), report["rows"]],
        "missing": [_missing(before), _missing(report)],
    }
    if "streams" in report:
        means = {s["stream"]: s["mean"] for s in before.get("streams", ())}
        moved = _moved(
            [(s["stream"], means.get(s["stream"]), s["mean"]) for s in report["streams"]]
        )
        out["means"] = _named(conn, dataset, moved)
    else:
        counts = {c["name"]: c["distinct"] for c in before.get("columns", ())}
        out["distinct"] = _moved(
            [(c["name"], counts.get(c["name"]), c["distinct"]) for c in report["columns"]]
        )
    return out


def _missing(report: dict[str, Any]) -> float:
    """The share of values that are not there, of all that the file could have held."""
    if "streams" in report:
        total = sum(s["rows"] for s in report["streams"])
        gone = sum(s["missing"] for s in report["streams"])
    else:
        columns = report.get("columns", [])
        gone = sum(c["nulls"] for c in columns)
        total = max(report.get("rows", 0) - report.get("rejected", 0), 0) * len(columns)
    return round(min(1.0, gone / total), 4) if total else 0.0


def _moved(pairs: list[tuple[Any, Any, Any]]) -> list[dict[str, Any]]:
    """Of (name, before, now) those that moved by at least a thousandth, the farthest first."""

    def share(pair: tuple[Any, Any, Any]) -> float:
        _, a, b = pair
        return abs(b - a) / max(abs(a), abs(b)) if a != b else 0.0

    known = [p for p in pairs if p[1] is not None and p[2] is not None and share(p) >= LEAST]
    known.sort(key=share, reverse=True)
    return [{"name": name, "before": a, "now": b} for name, a, b in known[:MOST_LISTED]]


def _named(conn: Connection, dataset: Dataset, moved: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Streams by their thing and parameter instead of their number."""
    streams = registry.streams(conn, dataset)
    things = registry.things(conn, dataset)
    out = []
    for move in moved:
        stream = streams[move["name"]]
        name = " ".join((*things[stream.thing_id].key, stream.parameter))
        out.append({**move, "stream": stream.id, "name": name})
    return out
