"""Indicators as other rooms use them: install, find, newest values, limits."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dothi.indicators import definition as files
from dothi.indicators import store
from dothi.indicators.model import Definition, Threshold
from dothi.indicators.subject import Input, Subject
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.kernel.time import local_date, zone
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.lake.service import Lake
from dothi.packs.model import Pack
from dothi.store.database import Connection


@dataclass(frozen=True)
class Indicator:
    """An indicator of this home with its definition, its own dataset and its newest version.

    `problem`: why its definition does not fit the data; its figures are out of date then.
    """

    definition: Definition
    dataset: Dataset
    version: int
    since: datetime
    stale: bool
    problem: str | None

    @property
    def name(self) -> str:
        return self.definition.name


@dataclass(frozen=True)
class Latest:
    """The newest figure of an output for a period that has ended; `t` is the series' instant.

    `passed` are the limits it is above, lowest first; `limits` all in force for that period.
    """

    thing_id: int
    stream_id: int
    output: str
    period: Period
    t: datetime
    value: float
    load_id: int
    limits: tuple[Threshold, ...]
    passed: tuple[Threshold, ...]


def install(conn: Connection, packs: Sequence[Pack]) -> list[Indicator]:
    """Make the packs' indicators those of this home, in the caller's transaction.

    `packs.install` has run before. Run at each start: a changed definition becomes a new version
    whose values the worker computes again; one that is gone is computed no more. Sharing follows
    the inputs and is never wider. Raises Invalid with every fault.
    """
    ours = {c.name for pack in packs for c in pack.contracts}
    names = store.names(conn)
    there = [d for d in registry.datasets(conn) if d.name not in ours and d.name not in names]
    definitions = files.load(packs, [d.contract for d in there if d.contract.kind == "series"])
    for one in definitions:
        inputs = [registry.find(conn, name) for name in one.inputs]
        text = files.contract_text(one, inputs[0].contract, shared(inputs))
        dataset = registry.register(conn, parse_contract(text, one.name))
        ids = [given.id for given in inputs]
        store.put(conn, one.name, dataset.id, one.pack, one.owner, one.hash, one.text, ids)
    store.retire(conn, [one.name for one in definitions])
    return [find(conn, one.name) for one in definitions]


def shared(inputs: Sequence[Dataset]) -> dict[str, Any]:
    """Who may see what is computed from these: those who may see every one of them."""
    sharing = [given.sharing for given in inputs]
    agencies = set.intersection(*(set(s.get("agencies", ())) for s in sharing))
    grounds = dict.fromkeys(s["ground"] for s in sharing if s.get("ground"))
    return {
        "public": all(s["public"] for s in sharing),
        "agencies": sorted(agencies),
        "hidden": sorted({c for s in sharing for c in s.get("hidden", ())}),
        "ground": " · ".join(grounds) or None,
    }


_definitions: dict[tuple[str, str], Definition] = {}
_lock = threading.Lock()


def _definition(row: store.Installed) -> Definition:
    with _lock:
        made = _definitions.get((row.name, row.hash))
        if made is None:
            if len(_definitions) > 500:
                _definitions.clear()
            made = files.parse(row.text, row.pack, row.owner, f"{row.name}.sql")
            _definitions[(row.name, row.hash)] = made
        return made


def _indicator(conn: Connection, row: store.Installed) -> Indicator:
    dataset = registry.get(conn, row.dataset_id)
    return Indicator(_definition(row), dataset, row.version, row.since, row.stale, row.problem)


def find(conn: Connection, name: str) -> Indicator:
    """The indicator of that name. Raises NotFound."""
    row = store.find(conn, name)
    if row is None:
        raise NotFound("indicators.none", name=name)
    return _indicator(conn, row)


def indicators(conn: Connection) -> list[Indicator]:
    """All active indicators, each after those it reads."""
    found = {row.name: _indicator(conn, row) for row in store.installed(conn)}
    ordered: dict[str, Indicator] = {}

    def visit(one: Indicator) -> None:
        if one.name not in ordered:
            for name in one.definition.inputs:
                if name in found:
                    visit(found[name])
            ordered[one.name] = one

    for one in found.values():
        visit(one)
    return list(ordered.values())


def subject(conn: Connection, indicator: Indicator) -> Subject:
    """What the engine needs to compute an indicator."""
    inputs = []
    things: dict[int, Thing] = {}
    for name, parameters in indicator.definition.inputs.items():
        dataset = registry.find(conn, name)
        every = registry.streams(conn, dataset)
        streams: Mapping[int, Stream] = {
            id_: s for id_, s in every.items() if s.parameter in parameters
        }
        known = registry.things(conn, dataset)
        for one in streams.values():
            things[one.thing_id] = known[one.thing_id]
        inputs.append(Input(dataset, streams, len(streams) == len(every)))
    ordered = sorted(things.values(), key=lambda thing: thing.key)
    return Subject(indicator.definition, indicator.dataset, tuple(inputs), tuple(ordered))


def latest(
    conn: Connection,
    lake: Lake,
    indicator: Indicator,
    *,
    now: datetime,
    outputs: Iterable[str] | None = None,
    streams: Sequence[int] | None = None,
) -> dict[tuple[int, str], Latest]:
    """The newest figures by (thing, output): of periods that have ended by `now`.

    A NowCast can be told for an hour that nobody has measured yet, and a mean for a day that goes
    on; such figures are stored but are no period's figure before it ends.
    """
    wanted = {o.name for o in indicator.definition.outputs} if outputs is None else set(outputs)
    chosen_ids = None if streams is None else set(streams)
    chosen = {
        s.id: s
        for s in registry.streams(conn, indicator.dataset).values()
        if s.parameter in wanted and (chosen_ids is None or s.id in chosen_ids)
    }
    until = _last_instant(indicator.definition, now)
    out = {}
    for stream_id, t, v, load_id in _newest(conn, lake, indicator.dataset, list(chosen), until):
        one = chosen[stream_id]
        period = indicator.definition.period_at(t)
        limits = indicator.definition.limits(one.parameter, _day(indicator.definition, period))
        passed = tuple(limit for limit in limits if v > limit.limit)
        out[(one.thing_id, one.parameter)] = Latest(
            one.thing_id, stream_id, one.parameter, period, t, v, load_id, tuple(limits), passed
        )
    return out


def _day(definition: Definition, period: Period) -> date:
    return local_date(period.start, zone(definition.zone))


def _last_instant(definition: Definition, now: datetime) -> datetime:
    """The instant of the newest period that has ended."""
    period = Period.containing(definition.grain, now, zone(definition.zone)).previous()
    return definition.instant_of(period)


def _newest(
    conn: Connection, lake: Lake, dataset: Dataset, streams: Sequence[int], until: datetime
) -> list[tuple[int, datetime, float, int]]:
    """(stream, instant, value, load) of the newest value of each stream up to an instant."""
    rows = conn.execute(
        """SELECT n.stream_id, h.t, h.v, h.load_id, n.t, n.v, n.load_id
           FROM series_newest n
           LEFT JOIN LATERAL (
               SELECT t, v, load_id FROM series_head
               WHERE stream_id = n.stream_id AND t <= %s AND q = %s ORDER BY t DESC LIMIT 1) h
             ON n.t > %s
           WHERE n.stream_id = ANY (%s)""",
        (until, int(Quality.VALID), until, list(streams)),
    ).fetchall()
    edge = registry.body_until(conn, [dataset.id])[dataset.id]
    out, search = [], []
    for stream_id, t, v, load_id, top_t, top_v, top_load in rows:
        if top_t <= until:
            out.append((stream_id, top_t, top_v, top_load))
        elif t is not None and (edge is None or edge <= t):
            out.append((stream_id, t, v, load_id))
        elif edge is not None:
            search.append(stream_id)
    if search:
        out += lake.points.newest(dataset, search, until)
    return [row for row in out if row[2] is not None]
