"""The numbers of the overview that are counted, not measured: work, stations, loads, quality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.ioc import figures
from dothi.ioc.desk import Desk
from dothi.ioc.span import Span
from dothi.lake import loads, registry
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset
from dothi.web.site import who
from dothi.work import standing
from dothi.work.standing import Flow, Standing


@dataclass(frozen=True)
class Work:
    """How work stands now, and what came and went in the span, the one before, and a year ago."""

    now: tuple[Standing, ...]
    flow: Flow
    before: Flow
    last_year: Flow
    open_before: int
    open_last_year: int

    @property
    def total(self) -> int:
        return sum(one.total for one in self.now)

    @property
    def overdue(self) -> int:
        return sum(one.overdue for one in self.now)

    @property
    def soon(self) -> int:
        return sum(one.soon for one in self.now)


def work(desk: Desk, actor: Actor, span: Span) -> Work | None:
    """None for who may not see work items."""
    if not desk.sees_work(actor):
        return None

    def look() -> Work:
        with desk.db.transaction() as conn:
            return Work(
                tuple(standing.by_agency(conn, actor, span.end)),
                standing.flow(conn, actor, span.start, span.end),
                standing.flow(conn, actor, *span.previous),
                standing.flow(conn, actor, *span.last_year),
                standing.open_at(conn, actor, span.previous[1]),
                standing.open_at(conn, actor, span.last_year[1]),
            )

    return desk.cache.value(("work", who(actor), span.name), ("work",), look)


@dataclass(frozen=True)
class Brought:
    """What came into one dataset in a stretch of time. `loads` counts what people and files
    brought; `rows` and `rejected` every door."""

    loads: int = 0
    rows: int = 0
    rejected: int = 0
    newest: datetime | None = None


@dataclass(frozen=True)
class Data:
    """Loads by dataset in the span, the one before and a year ago; contradictions open now."""

    datasets: tuple[Dataset, ...]
    now: dict[int, Brought]
    before: dict[int, Brought]
    last_year: dict[int, Brought]
    conflicts: dict[int, int]


def data(desk: Desk, actor: Actor, span: Span) -> Data | None:
    """Of the datasets that are not computed; None for who may see no loads."""
    if not desk.sees_loads(actor):
        return None
    computed = desk.computed()

    def look() -> Data:
        with desk.db.transaction() as conn:
            seen = tuple(
                d
                for d in registry.datasets(conn)
                if d.name not in computed
                and decide(actor, "load.read", loads.resource(d, 0)).allowed
            )
            ids = [d.id for d in seen]
            stretches = [(span.start, span.end), span.previous, span.last_year]
            brought = []
            for start, end in stretches:
                rows = conn.execute(
                    """SELECT dataset_id, count(*) FILTER (WHERE door = ANY (%s)),
                              coalesce(sum(rows_new + rows_changed), 0),
                              coalesce(sum(rows_rejected), 0), max(at)
                       FROM load WHERE dataset_id = ANY (%s) AND state = 'committed'
                         AND at >= %s AND at < %s GROUP BY 1""",
                    (list(loads.FILE_DOORS), ids, start, end),
                ).fetchall()
                brought.append({r[0]: Brought(r[1], int(r[2]), int(r[3]), r[4]) for r in rows})
            conflicts = dict(
                conn.execute(
                    """SELECT c.dataset_id, count(*) FROM conflict c JOIN load l ON l.id = c.load_id
                       WHERE c.dataset_id = ANY (%s) AND c.decided_at IS NULL
                         AND l.state = 'committed' GROUP BY 1""",
                    (ids,),
                ).fetchall()
            )
        return Data(seen, brought[0], brought[1], brought[2], conflicts)

    return desk.cache.value(("data", who(actor), span.name), ("loads", "series:air_quality"), look)


def valid(desk: Desk, actor: Actor, span: Span) -> dict[int, tuple[int, int]]:
    """Of the rows measured since midnight, by dataset: how many came, how many are valid."""
    midnight = Span.of("today", span.end).start
    found = figures.signals(desk, actor)
    datasets = {s.dataset.id: s.dataset for s in found}
    things = sorted(s.thing.id for s in found)

    def look() -> dict[int, tuple[int, int]]:
        with desk.db.transaction() as conn:
            streams: dict[int, list[int]] = {}
            for number, dataset_id in conn.execute(
                "SELECT id, dataset_id FROM stream "
                "WHERE dataset_id = ANY (%s) AND thing_id = ANY (%s)",
                (list(datasets), things),
            ):
                streams.setdefault(dataset_id, []).append(number)
        counted = {}
        with desk.lake.view() as view:
            for number, ids in streams.items():
                held = view.qualities(datasets[number], streams=ids, start=midnight, end=span.end)
                if held:
                    counted[number] = (sum(held.values()), held.get(Quality.VALID, 0))
        return counted

    return desk.cache.value(("valid", tuple(things), midnight), (), look, kept_s=60)
