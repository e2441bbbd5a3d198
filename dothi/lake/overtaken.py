"""Contradictions that a later load has answered: nothing is left to decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from psycopg import sql

from dothi.lake.engine import table
from dothi.lake.head import SERIES
from dothi.lake.history import is_there, literal
from dothi.lake.layout import Layout, layout
from dothi.lake.model import Quality
from dothi.lake.read import View, one_of
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Connection

if TYPE_CHECKING:
    from dothi.lake.loads import Contradiction

WITHDRAWN = int(Quality.WITHDRAWN)


@dataclass(frozen=True)
class Later:
    """The load whose version of a contradicting place counts now: a corrected file, or one that
    withdrew it."""

    id: int
    at: datetime
    door: str
    file_name: str | None


def overtaken(
    lake: Lake, conn: Connection, dataset: Dataset, found: Sequence[Contradiction]
) -> dict[int, Later]:
    """Of a dataset's undecided contradictions those that are overtaken, each with the later load."""
    waiting = [one for one in found if one.decided_at is None]
    if not waiting:
        return {}
    with lake.view() as view:
        found_later = _later(view, layout(dataset), waiting)
    # The body may hold rows of a load that was begun and never ended.
    rows = conn.execute(
        "SELECT id, at, door, file_name FROM load WHERE id = ANY (%s) AND state = 'committed'",
        (sorted({load for _, load in found_later}),),
    )
    loads = {row[0]: Later(*row) for row in rows}
    return {number: loads[load] for number, load in sorted(found_later) if load in loads}


def _later(
    view: View, place: Layout, waiting: Sequence[Contradiction]
) -> list[tuple[int, int]]:  # fmt: skip
    """(contradiction, load) for each version of its place that a later load has given."""
    columns: dict[str, tuple[str, list[int | str | None]]] = {
        "number": ("BIGINT", [one.id for one in waiting]),
        "of_load": ("BIGINT", [one.load_id for one in waiting]),
    }
    if place.shape is SERIES:
        # The engine reads JSON: instants go in as text.
        columns["stream_id"] = "INTEGER", [one.stream_id for one in waiting]
        columns["t"] = "TIMESTAMPTZ", [one.t.isoformat() if one.t else None for one in waiting]
        times = [one.t for one in waiting if one.t is not None]
        streams = one_of("stream_id", [one.stream_id for one in waiting if one.stream_id])
        where = f"{streams} AND t BETWEEN {literal(min(times))} AND {literal(max(times))}"
        in_head = where
    else:
        keys = [one.record_key for one in waiting]
        columns["_key"] = "VARCHAR", list(keys)
        where = "_key IN (SELECT _key FROM contradicting)"
        in_head = f"key = ANY ({sql.Literal(keys).as_string(None)})"
    table(view.cursor, "contradicting", columns)
    wanted = f"{place.list(place.key)}, {place.load}"
    versions = [f"SELECT {wanted} FROM ({view.head(place, in_head)})"]
    if is_there(view.cursor, place):
        versions += [
            f"SELECT {wanted} FROM {place.table} WHERE {where}",
            f"SELECT {wanted} FROM {place.past} WHERE {where} AND {place.quality} = {WITHDRAWN}",
        ]
    found = view.execute(
        f"""SELECT DISTINCT c.number, v.{place.load}
            FROM contradicting c JOIN ({" UNION ALL ".join(versions)}) v
              ON {place.same_key("c", "v")} AND v.{place.load} > c.of_load"""
    )
    return found.fetchall()
