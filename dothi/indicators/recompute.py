"""Keeping figures equal to what their definitions say of the data as it is.

The worker calls `Recomputer.advance`: it reads what was committed and undone, computes the periods
that this can touch, stores the differences, and only then moves its place in the event log, in
the transaction that also says which limits were passed. Computing happens outside a transaction
(a long one would hold back every reader of the log); killed anywhere, it is done again and finds
nothing left to change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dothi.indicators import cursor, limits, store
from dothi.indicators.changes import changes
from dothi.indicators.changes import store as store_changes
from dothi.indicators.engine import PROBLEMS, compute
from dothi.indicators.service import Indicator, indicators, subject
from dothi.indicators.subject import Subject, reach
from dothi.kernel.period import Period
from dothi.kernel.time import utc_now
from dothi.lake import registry
from dothi.lake.service import Lake
from dothi.store.database import Connection, Database
from dothi.store.events import Event, Position, read

log = logging.getLogger(__name__)

CURSOR = "indicators"
KINDS = ("data.committed", "data.undone")
_LOCK = "dothi indicators"
_NEIGHBOURS = 48
"""Stretches this many periods apart are computed in one go."""


@dataclass
class Stretch:
    """Periods to compute again, and for which things (None: all)."""

    first: Period
    last: Period
    things: set[int] | None = field(default_factory=set)


class Recomputer:
    """The cursor of indicators. One process at a time does the work; others find it taken."""

    def __init__(
        self,
        db: Database,
        lake: Lake,
        *,
        now: Callable[[], datetime] = utc_now,
        batch: int = 500,
    ) -> None:
        self._db = db
        self._lake = lake
        self._now = now
        self._batch = batch

    def advance(self) -> int:
        """Do what is next; 0 when there is nothing (or another process is at it)."""
        with self._db.transaction() as conn:
            position = cursor.position(conn, CURSOR)
            events = read(conn, position, limit=self._batch, kinds=KINDS)
            stale = store.any_stale(conn) and [one for one in indicators(conn) if one.stale]
        if not events and not stale:
            return 0
        with cursor.alone(self._db, _LOCK) as mine:
            if not mine:
                return 0
            for one in stale or ():
                self._whole(one)
            if events:
                self._follow(position, events)
        return len(events) + len(stale or ())

    def compute_all(self, name: str) -> int:
        """Compute everything of one indicator again; how many figures changed."""
        with self._db.transaction() as conn:
            one = next(i for i in indicators(conn) if i.name == name)
        return self._compute_whole(one)

    # -- everything again -------------------------------------------------------------------------

    def _whole(self, one: Indicator) -> None:
        try:
            self._compute_whole(one)
        except PROBLEMS as error:
            self._rest(one, error)
            return
        with self._db.transaction() as conn:
            limits.look(conn, self._lake, one, None, self._now())
            store.computed(conn, one.name, one.definition.hash)

    def _compute_whole(self, one: Indicator) -> int:
        with self._db.transaction() as conn:
            about = subject(conn, one)
            ids = [given.dataset.id for given in about.inputs]
            ends = [*store.measured(conn, ids), *store.measured(conn, [one.dataset.id])]
        known = [t for t in ends if t is not None]
        if not known:
            return 0
        first, last = reach(one.definition, min(known), max(known))
        return self._compute(one, about, [Stretch(first, last, None)])

    # -- what changed -----------------------------------------------------------------------------

    def _follow(self, position: Position, events: Sequence[Event]) -> None:
        touched: list[tuple[Indicator, set[int] | None]] = []
        with self._db.transaction() as conn:
            work = [
                (one, about, stretches)
                for one in indicators(conn)
                if one.problem is None
                and (about := _reads(conn, one, events))
                and (stretches := _stretches(about, events))
            ]
        for one, about, stretches in work:
            try:
                self._compute(one, about, stretches)
            except PROBLEMS as error:
                self._rest(one, error)
                continue
            things = [s.things for s in stretches]
            together = None if None in things else set().union(*(t for t in things if t))
            touched.append((one, together))
        with self._db.transaction() as conn:
            if cursor.position(conn, CURSOR, lock=True) != position:
                return
            for one, together in touched:
                limits.look(conn, self._lake, one, together, self._now())
            last = events[-1]
            cursor.move(conn, CURSOR, (last.tx, last.id))

    def _compute(self, one: Indicator, about: Subject, stretches: Sequence[Stretch]) -> int:
        """Compute stretches of one indicator and store what differs; how many figures changed."""
        if not about.things:
            return 0
        with self._db.transaction() as conn:
            known = registry.streams(conn, one.dataset).values()
        streams = {(s.thing_id, s.parameter): s.id for s in known}
        count = 0
        for stretch in stretches:
            things = None if stretch.things is None else sorted(stretch.things)
            with self._lake.view() as view:
                for piece in compute(view, about, things, stretch.first, stretch.last):
                    found = list(changes(view, about, streams, piece))
                    count += store_changes(self._lake, view, about, one.version, streams, found)
        return count

    def _rest(self, one: Indicator, error: Exception) -> None:
        """One definition that does not fit its data must not hold up the others."""
        log.error("indicator %s cannot be computed: %s", one.name, error)
        with self._db.transaction() as conn:
            store.cannot(conn, one.name, str(error))


def _reads(conn: Connection, one: Indicator, events: Sequence[Event]) -> Subject | None:
    """The indicator's subject if any of the events is about a dataset that it reads."""
    changed = {event.payload.get("dataset") for event in events}
    inputs = {registry.find(conn, name).id for name in one.definition.inputs}
    return subject(conn, one) if inputs & changed else None


def _stretches(about: Subject, events: Sequence[Event]) -> list[Stretch]:
    """What events can touch of an indicator, neighbouring stretches put together."""
    inputs = {given.dataset.id: given.streams for given in about.inputs}
    out: list[Stretch] = []
    for event in events:
        streams = inputs.get(event.payload.get("dataset", -1))
        start, end = event.payload.get("from"), event.payload.get("to")
        if streams is None or start is None or end is None:
            continue
        spans = event.payload.get("spans")
        if spans is None:
            out.append(_stretch(about, start, end, None))
            continue
        for stream_id, a, b in spans:
            if stream_id in streams:
                out.append(_stretch(about, a, b, {streams[stream_id].thing_id}))
    return _together(about, out)


def _stretch(about: Subject, start: str, end: str, things: set[int] | None) -> Stretch:
    a, b = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return Stretch(*reach(about.definition, a, b), things)


def _together(about: Subject, stretches: list[Stretch]) -> list[Stretch]:
    near = _NEIGHBOURS * about.definition.size
    out: list[Stretch] = []
    for one in sorted(stretches, key=lambda s: s.first.start):
        before = out[-1] if out else None
        if before is None or one.first.start > before.last.end + near:
            out.append(one)
            continue
        if one.last.start > before.last.start:
            before.last = one.last
        if before.things is None or one.things is None:
            before.things = None
        else:
            before.things |= one.things
    return out
