"""The newest figures of every indicator and the state of every station, as far as an actor may see
them: what the overview stands on, whatever packs are installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dothi.identity.model import Actor
from dothi.identity.policy import Decision, cache_key, decide
from dothi.identity.predicate import admits
from dothi.indicators import service as indicators
from dothi.indicators.model import Definition
from dothi.indicators.service import Indicator, Latest
from dothi.ioc.desk import ONLINE_BEATS, Desk
from dothi.ioc.span import Span
from dothi.kernel.crosswalk import Aggregation
from dothi.kernel.period import Grain, Period
from dothi.lake import registry
from dothi.lake.contract import Contract
from dothi.lake.registry import Dataset, Thing
from dothi.web.view import Level

Sort = Literal["stations", "reporters", "units", "things"]
"""What series are of: stations that send, agencies that report, administrative units, or anything
else that is watched."""
LONGEST_RHYTHM = timedelta(days=1)
"""A station sends at least daily."""
LEAST: Mapping[Grain, int] = {"hour": 2, "day": 30, "month": 12, "quarter": 8, "year": 5}
"""How many periods before the newest a small curve has at least."""
LEVELS: Mapping[str, Level] = {"notice": "notice", "warning": "warning", "urgent": "critical"}


@dataclass(frozen=True)
class Figures:
    """The newest figures of one indicator's first output, by station (or what else it is of)."""

    indicator: Indicator
    things: dict[int, Thing]
    newest: dict[int, Latest]
    now: datetime

    @property
    def output(self) -> str:
        return self.indicator.definition.outputs[0].name

    def fresh(self, one: Latest) -> bool:
        """Whether a figure is as young as its definition promises."""
        return self.now - one.period.end <= self.indicator.definition.freshness

    @property
    def low_is_bad(self) -> bool:
        """Whether the lowest figure asks for most attention: more is better."""
        return self.indicator.definition.outputs[0].better == "higher"

    @property
    def top(self) -> Latest | None:
        """The worst of the fresh figures: the highest, or the lowest where more is better."""
        fresh = [one for one in self.newest.values() if self.fresh(one)]
        return min(fresh, key=self.rank, default=None)

    def rank(self, one: Latest) -> tuple[bool, float]:
        """Sorts figures: fresh ones first, the worst of them before the others."""
        return not self.fresh(one), one.value if self.low_is_bad else -one.value


def visible(desk: Desk, actor: Actor, name: str) -> Figures | None:
    """The figures of an indicator; None where there is none of that name for this actor."""
    indicator = desk.definitions().get(name)
    if indicator is None:
        return None
    decision = decide(actor, "dataset.read", indicator.dataset.resource)
    if not decision.allowed or indicator.definition.outputs[0].name in decision.hidden:
        return None
    key = ("figures", name, indicator.version, cache_key(decision))
    return desk.cache.value(key, (f"series:{name}",), lambda: _figures(desk, indicator, decision))


def every(desk: Desk, actor: Actor) -> list[Figures]:
    """Those of all indicators whose figures are numbers, in the order of their packs."""
    found = [visible(desk, actor, name) for name in desk.definitions()]
    return [f for f in found if f and f.newest and not f.indicator.definition.outputs[0].labels]


def _figures(desk: Desk, indicator: Indicator, decision: Decision) -> Figures:
    now = desk.now()
    output = indicator.definition.outputs[0].name
    with desk.db.transaction() as conn:
        things = {
            number: thing
            for number, thing in registry.things(conn, indicator.dataset).items()
            if admits(decision.rows, {"agency_id": thing.agency_id})
        }
        found = indicators.latest(conn, desk.lake, indicator, now=now, outputs=[output])
    newest = {thing: one for (thing, _), one in found.items() if thing in things}
    return Figures(indicator, things, newest, now)


def passed(one: Latest) -> Level:
    """How much attention a figure asks for by the limits it is above."""
    if not one.limits:
        return "unknown"
    return LEVELS[one.passed[-1].severity] if one.passed else "ok"


def values_at(desk: Desk, dataset: Dataset, wanted: Mapping[int, datetime]) -> dict[int, float]:
    """The valid values of streams at one instant each; those without a value are left out."""
    if not wanted:
        return {}
    found = desk.lake.points.at(dataset, wanted.keys(), wanted.values())
    return {s: found[s, t] for s, t in wanted.items() if (s, t) in found}


def earlier(definition: Definition, period: Period, span: Span) -> Period | None:
    """With which period one is compared. A month, a quarter or a year has no day before: it is held
    against the one before, or in a span of a year against the same one of last year."""
    if not definition.by_calendar:
        return Period.containing(definition.grain, span.before(period.start), period.zone)
    return period.a_year_earlier() if span.name == "year" else period.previous()


def before(desk: Desk, figures: Figures, span: Span) -> dict[int, float]:
    """With what the newest figures are compared: those of the periods a span earlier, by thing."""

    def look() -> dict[int, float]:
        definition = figures.indicator.definition
        wanted, things = {}, {}
        for thing, one in figures.newest.items():
            period = earlier(definition, one.period, span)
            if period is None:
                continue
            wanted[one.stream_id] = definition.instant_of(period)
            things[one.stream_id] = thing
        found = values_at(desk, figures.indicator.dataset, wanted)
        return {things[stream]: value for stream, value in found.items()}

    name = figures.indicator.dataset.name
    key = ("before", name, span.name, figures.now, tuple(figures.newest))
    return desk.cache.value(key, (f"series:{name}",), look)


@dataclass(frozen=True)
class Whole:
    """The figure of all things together: of what period, and from how many of those that have ever
    had a figure."""

    value: float
    period: Period
    count: int
    known: int


def whole(desk: Desk, figures: Figures) -> Whole | None:
    """The first output over everything seen, of the newest period that anything has a figure of: sums
    are added; of a rate numerator and denominator are, never the rates. None where the definition says
    neither, or there is nothing to put together."""
    definition = figures.indicator.definition
    output = definition.outputs[0]
    how = output.over_units
    if how.aggregation is Aggregation.NONE or not figures.newest:
        return None
    period = max(one.period for one in figures.newest.values())
    values = {thing: x.value for thing, x in figures.newest.items() if x.period == period}
    weights = dict.fromkeys(values, 1.0)
    if how.weight is not None:
        dataset = figures.indicator.dataset

        def look() -> dict[int, float]:
            with desk.db.transaction() as conn:
                streams = {
                    s.id: s.thing_id for s in registry.streams(conn, dataset).values()
                    if s.parameter == how.weight and s.thing_id in values
                }  # fmt: skip
            at = definition.instant_of(period)
            found = values_at(desk, dataset, dict.fromkeys(streams, at))
            return {streams[stream]: value for stream, value in found.items()}

        newest = hash(tuple(sorted((x.stream_id, x.t, x.value) for x in figures.newest.values())))
        key = ("weights", dataset.name, figures.indicator.version, newest)
        weights = desk.cache.value(key, (f"series:{dataset.name}",), look)
    both = values.keys() & weights.keys()
    total = sum(weights[thing] for thing in both) if how.weight is not None else 1.0
    if len(both) < 2 or not total:
        return None
    value = sum(values[x] * weights[x] for x in both) / total
    return Whole(value, period, len(both), len(figures.newest))


def curve(desk: Desk, figures: Figures, one: Latest, hours: int) -> tuple[float | None, ...]:
    """A stream's last values for a small curve, oldest first: at most some 90, of longer spans every
    n-th period, and never less than `LEAST`."""
    key = ("curve", one.stream_id, one.t, hours)
    topic = f"series:{figures.indicator.dataset.name}"
    return desk.cache.value(key, (topic,), lambda: _curve(desk, figures, one, hours), kept_s=600)


def _curve(desk: Desk, figures: Figures, one: Latest, hours: int) -> tuple[float | None, ...]:
    definition = figures.indicator.definition
    count = max(LEAST[definition.grain], int(timedelta(hours=hours) / definition.size))
    every_nth = max(1, count // 90)
    times = definition.instants_before(one.t, count // every_nth, every_nth)
    found = desk.lake.points.at(figures.indicator.dataset, [one.stream_id], times)
    return tuple(found.get((one.stream_id, t)) for t in times)


# -- stations -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signal:
    """A station or another thing of a dataset: when its newest value was measured, and whether it sends as its
    rhythm promises."""

    dataset: Dataset
    thing: Thing
    seen: datetime
    patience: timedelta
    stream_id: int

    @property
    def period(self) -> Period | None:
        """Of which month, quarter or year the newest value is; None where the rhythm is none."""
        time = self.dataset.contract.time
        return time.period(self.seen) if time else None

    def online(self, now: datetime) -> bool:
        """Whether there is what the rhythm promises: of months the last one that has ended."""
        if (period := self.period) is not None:
            return period >= Period.containing(period.grain, now, period.zone).previous()
        return now - self.seen <= self.patience


def signals(desk: Desk, actor: Actor) -> list[Signal]:
    """Every station that has ever sent anything, of the datasets that are measured, not computed.

    What people type, and what comes more seldom than daily, is of no station.
    """
    return [one for one in watched(desk, actor) if of_station(one.dataset.contract)]


def of_station(contract: Contract) -> bool:
    """Whether what a dataset measures is sent by stations."""
    rhythm = contract.time.rhythm if contract.time else None
    return contract.form is None and rhythm is not None and rhythm <= LONGEST_RHYTHM


def sort_of(contract: Contract) -> Sort:
    """What a dataset's series are of."""
    if contract.form is not None or (contract.units and contract.units.codes == "agencies"):
        return "reporters"
    if of_station(contract):
        return "stations"
    return "units" if contract.units else "things"


def watched(desk: Desk, actor: Actor) -> list[Signal]:
    """Everything that has a measured figure, stations or not."""
    computed = desk.computed()
    out: list[Signal] = []
    for dataset in desk.datasets():
        if dataset.name in computed or dataset.contract.kind != "series":
            continue
        decision = decide(actor, "dataset.read", dataset.resource)
        if decision.allowed:
            key = ("signals", dataset.name, cache_key(decision))
            out += desk.cache.value(
                key, (f"series:{dataset.name}",), lambda d=dataset, x=decision: _signals(desk, d, x)
            )
    return out


def of_stations(desk: Desk, figures: Figures) -> bool:
    """Whether an indicator's figures are of stations, and not of agencies that report."""
    base = measured_in(desk, figures)
    return base is None or base.contract.form is None


def measured_in(desk: Desk, figures: Figures) -> Dataset | None:
    """The dataset that an indicator's figures rest on in the end, the first of several."""
    definitions = desk.definitions()
    name = figures.indicator.name
    while name in definitions:
        name = next(iter(definitions[name].definition.inputs))
    return next((d for d in desk.datasets() if d.name == name), None)


def _signals(desk: Desk, dataset: Dataset, decision: Decision) -> list[Signal]:
    with desk.db.transaction() as conn:
        things = registry.things(conn, dataset)
        rows = conn.execute(
            """SELECT s.thing_id, max(n.t), (array_agg(s.id ORDER BY n.t DESC, s.id))[1]
               FROM stream s JOIN series_newest n ON n.stream_id = s.id
               WHERE s.dataset_id = %s AND NOT s.parameter = ANY (%s) GROUP BY s.thing_id""",
            (dataset.id, sorted(decision.hidden)),
        ).fetchall()
    time = dataset.contract.time
    out = []
    for thing_id, seen, stream_id in rows:
        thing = things[thing_id]
        if not admits(decision.rows, {"agency_id": thing.agency_id}):
            continue
        own = thing.properties.get("rhythm")
        beat = registry.duration(own) if own else (time.rhythm if time else None)
        patience = max((beat or timedelta(hours=1)) * ONLINE_BEATS, timedelta(minutes=15))
        out.append(Signal(dataset, thing, seen, patience, stream_id))
    return out
