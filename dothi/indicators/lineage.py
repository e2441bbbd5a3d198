"""What taking a load out would change, told before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan

import numpy as np

from dothi.indicators.changes import Change, changes
from dothi.indicators.engine import compute
from dothi.indicators.service import Indicator, indicators, subject
from dothi.indicators.subject import Subject, current, instant, reach
from dothi.kernel.errors import NotFound
from dothi.lake import registry
from dothi.lake.body import CATALOGUE
from dothi.lake.layout import Layout, layout
from dothi.lake.model import Quality
from dothi.lake.read import View
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.lake.undoing import taken_out_with
from dothi.store.database import SCHEMA


@dataclass(frozen=True)
class Affected:
    """A figure that rests on a load: what it is now and what it would be; None is none."""

    indicator: str
    thing_id: int
    output: str
    t: datetime
    before: float | None
    after: float | None


def affected_by_load(lake: Lake, load_id: int) -> list[Affected]:
    """Exactly the stored figures that undoing the load changes once the worker has followed,
    decisions about its contradictions included.

    Figures of indicators over indicators are among them. Raises NotFound for no such load.
    """
    with lake.db.transaction() as conn:
        row = conn.execute("SELECT dataset_id FROM load WHERE id = %s", (load_id,))
        found = row.fetchone()
        if found is None:
            raise NotFound("lake.no_load", id=load_id)
        dataset = registry.get(conn, found[0])
        loads = taken_out_with(conn, load_id)
        if load_id not in loads or dataset.contract.kind != "series":
            return []
        in_body = registry.body_until(conn, [dataset.id])[dataset.id] is not None
        work = [(one, subject(conn, one)) for one in indicators(conn)]
        known = {
            one.name: {
                (s.thing_id, s.parameter): s.id
                for s in registry.streams(conn, one.dataset).values()
            }
            for one, _ in work
        }
    out: list[Affected] = []
    with lake.view() as view:
        without = _Without(view, dataset, loads, in_body=in_body)
        for one, about in work:
            out += without.follow(one, about, known[one.name])
    return sorted(out, key=lambda a: (a.indicator, a.thing_id, a.output, a.t))


class _Without:
    """The store as it would be without some loads, indicator after indicator."""

    def __init__(
        self, view: View, dataset: Dataset, loads: Sequence[int], *, in_body: bool
    ) -> None:
        self.view = view
        self._loads = ", ".join(str(int(number)) for number in loads)
        self._in_place: dict[int, str] = {dataset.id: "less"}
        """For each dataset that changes: the table of what stands in place of its changed keys."""
        self._extents: dict[int, list[tuple[int, datetime, datetime]]] = {}
        self._versions(dataset, layout(dataset), in_body=in_body)

    def follow(self, one: Indicator, about: Subject, streams: dict[tuple[int, str], int]
               ) -> Iterator[Affected]:  # fmt: skip
        """What changes of an indicator; its new figures are what those after it read."""
        touched = [
            (given.streams[s].thing_id, *reach(one.definition, a, b))
            for given in about.inputs
            for s, a, b in self._extents.get(given.dataset.id, ())
            if s in given.streams
        ]
        if not touched:
            return
        things = sorted({thing for thing, *_ in touched})
        first = min((a for _, a, _ in touched), key=lambda p: p.start)
        last = max((b for *_, b in touched), key=lambda p: p.start)
        found: list[Change] = []
        for piece in compute(self.view, about, things, first, last, relation=self.relation):
            found += changes(self.view, about, streams, piece)
        self._keep(one.dataset, about, streams, found)
        for change in found:
            for place, us, before, after in zip(
                change.place.tolist(), change.us.tolist(), change.before.tolist(),
                change.after.tolist(), strict=True,
            ):  # fmt: skip
                yield Affected(
                    one.name, about.things[place].id, change.output, instant(us),
                    None if isnan(before) else before, None if isnan(after) else after,
                )  # fmt: skip

    def relation(
        self, view: View, dataset: Dataset, streams: Sequence[int] | None, a: datetime, b: datetime
    ) -> str:
        """A dataset's rows as they would be."""
        now = current(view, dataset, streams, a, b)
        instead = self._in_place.get(dataset.id)
        if instead is None:
            return now
        chosen = "true"
        if streams is not None:
            chosen = f"stream_id IN ({', '.join(str(int(s)) for s in streams) or 'NULL'})"
        inside = (
            f"{chosen} AND t BETWEEN '{a.isoformat()}'::TIMESTAMPTZ "
            f"AND '{b.isoformat()}'::TIMESTAMPTZ"
        )
        columns = "stream_id, row_no, t, v, load_id, q"
        return (
            f"(SELECT {columns} FROM {now} n WHERE NOT EXISTS (SELECT 1 FROM {instead} i "
            f"WHERE i.stream_id = n.stream_id AND i.t = n.t) "
            f"UNION ALL SELECT {columns} FROM {instead} WHERE q <> {int(Quality.WITHDRAWN)} "
            f"AND {inside})"
        )

    def _versions(self, dataset: Dataset, place: Layout, *, in_body: bool) -> None:
        """The keys whose newest version is one of the loads', with the version that stands below it."""
        columns = place.names
        for name, past in (("head_now", False), ("head_past", True)):
            self.view.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {columns} FROM postgres_query(?, ?)",
                [CATALOGUE, _of_keys(place, self._loads, past=past)],
            )
        body = ""
        if in_body:
            mine = f"SELECT stream_id, t FROM {place.table} WHERE load_id IN ({self._loads})"
            more = f"SELECT stream_id, t FROM {place.past} WHERE load_id IN ({self._loads})"
            keys = f"({mine} UNION {more} UNION SELECT stream_id, t FROM head_now)"
            body = "".join(
                f" UNION ALL SELECT {place.columns_of('b')} FROM {table} b JOIN {keys} k "
                "ON k.stream_id = b.stream_id AND k.t = b.t"
                for table in (place.table, place.past)
            )
            self._head_of(place, keys)
        self.view.execute(
            f"""CREATE OR REPLACE TEMP TABLE versions AS
                SELECT {columns} FROM head_now UNION ALL SELECT {columns} FROM head_past {body}"""
        )
        newest = "QUALIFY row_number() OVER (PARTITION BY stream_id, t ORDER BY load_id DESC) = 1"
        self.view.execute(
            f"""CREATE OR REPLACE TEMP TABLE less AS
                WITH mine AS (
                    SELECT stream_id, t, load_id FROM versions {newest}),
                below AS (
                    SELECT {columns} FROM versions WHERE load_id NOT IN ({self._loads}) {newest})
                SELECT m.stream_id, coalesce(b.row_no, 0) AS row_no, m.t, b.v,
                       coalesce(b.load_id, 0) AS load_id,
                       coalesce(b.q, {int(Quality.WITHDRAWN)}) AS q
                FROM mine m LEFT JOIN below b ON b.stream_id = m.stream_id AND b.t = m.t
                WHERE m.load_id IN ({self._loads})"""
        )
        self._extent(dataset, "less")

    def _head_of(self, place: Layout, keys: str) -> None:
        """Versions in the head of keys that the load has in the body: one may stand above it."""
        self.view.execute(f"CREATE OR REPLACE TEMP TABLE body_keys AS SELECT * FROM {keys}")
        row = self.view.execute("SELECT min(t), max(t) FROM body_keys").fetchone()
        if row is None or row[0] is None:
            return
        where = (
            f"t BETWEEN '{row[0].isoformat()}'::timestamptz AND '{row[1].isoformat()}'::timestamptz"
        )
        for name, past in (("head_now", False), ("head_past", True)):
            self.view.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT DISTINCT h.* FROM ("
                f"SELECT * FROM {name} UNION SELECT {place.names} FROM postgres_query(?, ?)) h "
                "JOIN body_keys k ON k.stream_id = h.stream_id AND k.t = h.t",
                [CATALOGUE, place.from_head(where, past=past)],
            )

    def _extent(self, dataset: Dataset, table: str) -> None:
        rows = self.view.execute(
            f"SELECT stream_id, epoch_us(min(t)), epoch_us(max(t)) FROM {table} GROUP BY stream_id"
        ).fetchall()
        self._extents[dataset.id] = [(s, instant(a), instant(b)) for s, a, b in rows]

    def _keep(
        self, dataset: Dataset, about: Subject, streams: dict[tuple[int, str], int],
        found: list[Change],
    ) -> None:  # fmt: skip
        """Let an indicator's own dataset be as it would be, for those that read it."""
        parts = []
        for change in found:
            number = np.full(len(about.things), -1, np.int64)
            for place in np.unique(change.place).tolist():
                number[place] = streams.get((about.things[place].id, change.output), -1)
            parts.append((number[change.place], change.us, change.after))
        if not parts:
            return
        ids, us, v = (np.concatenate(column) for column in zip(*parts, strict=True))
        name = f"less_{dataset.id}"
        self.view.cursor.register("less_rows", {"s": ids, "us": us, "v": v})
        self.view.execute(
            f"""CREATE OR REPLACE TEMP TABLE {name} AS
                SELECT s::INTEGER AS stream_id, 0 AS row_no, make_timestamptz(us) AS t, v,
                       0::BIGINT AS load_id,
                       CASE WHEN v IS NULL THEN {int(Quality.WITHDRAWN)} ELSE 0 END AS q
                FROM less_rows WHERE s >= 0"""
        )
        self.view.cursor.unregister("less_rows")
        self._in_place[dataset.id] = name
        self._extent(dataset, name)


def _of_keys(place: Layout, loads: str, *, past: bool) -> str:
    """PostgreSQL: versions in the head of the keys that have one of these loads."""
    head, before = (f"{SCHEMA}.{table}" for table in (place.shape.head, place.shape.past))
    keys = (
        f"(stream_id, t) IN (SELECT stream_id, t FROM {head} WHERE load_id IN ({loads}) "
        f"UNION SELECT stream_id, t FROM {before} WHERE load_id IN ({loads}))"
    )
    return place.from_head(keys, past=past)
