"""A series by administrative unit, shown by the units of another day.

Units merge, split and are renamed. A `Crosswalk` holds what became of each; a `Plan` is what it
says between two days, in either direction; `Plan.convert` carries values over. Nothing is dropped
or guessed: what cannot be separated stays together in a `Group` whose total still holds, and what
has no successor is named. Over all values, whole groups and the unplaced, a sum stays the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple, cast

Value = int | float | Decimal
"""A series has one of these types: int and Decimal are added without any rounding."""

WHOLE = Fraction(1)
ESTIMATE_DIGITS = 6
"""Decimals an estimated part of an int or Decimal has, if the value itself has no more."""

_MEAN = Context(prec=28, rounding=ROUND_HALF_EVEN)
_WIDE = Context(prec=2000)

Span = tuple[date | None, date | None]
NOWHERE = ""

_Step = dict[str, list[tuple[str, Fraction | None, str]]]
_Routes = dict[str, tuple[Fraction | None, frozenset[str]]]


class Aggregation(StrEnum):
    """How a measure of several units becomes that of the unit they form."""

    SUM = "sum"  # counts and amounts
    MEAN = "mean"  # rates, weighted by another measure
    NONE = "none"  # nothing can be said of the whole


class Status(StrEnum):
    """What a converted value rests on."""

    EXACT = "exact"
    ESTIMATED = "estimated"  # a unit was divided by shares that somebody gave
    NOT_SEPARABLE = "not_separable"  # a unit was divided and nobody gave shares
    NOT_ADDITIVE = "not_additive"  # the measure does not allow putting units together
    MISSING = "missing"  # a unit that belongs to it has no value


@dataclass(frozen=True, slots=True)
class Link:
    """From `day` on, `new` holds all or part of what was `old`.

    `forward` is the share of the old unit that went to the new one, `back` the share of the new
    one that came from the old; None where nobody said. A unit's only link is whole in any case.
    `ground` says where the shares come from.
    """

    old: str
    new: str
    day: date
    forward: Fraction | None = None
    back: Fraction | None = None
    ground: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What a unit gives: the stretch from `low` to `high` of its value; None: nobody knows which.

    The stretches of a unit lie end to end from 0 to 1, so that rounded parts add up to the whole.
    """

    source: str
    low: Fraction
    high: Fraction | None
    grounds: frozenset[str] = frozenset()

    @property
    def share(self) -> Fraction | None:
        return None if self.high is None else self.high - self.low

    @property
    def whole(self) -> bool:
        return self.share == WHOLE


class Converted(NamedTuple):
    """A value by a unit of the other day. `sources` are the units it was made from; `grounds`
    whose shares it rests on. `known` is the sum of what is certain to lie inside a unit whose own
    value is None because a part cannot be separated."""

    value: Value | None
    status: Status
    sources: tuple[str, ...]
    grounds: frozenset[str] = frozenset()
    known: Value | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A unit of the other day and the parts it is made from, ordered by their units."""

    parts: tuple[Part, ...]
    sources: tuple[str, ...]
    grounds: frozenset[str]
    open_ended: bool
    whole: bool

    @classmethod
    def of(cls, parts: list[Part]) -> Target:
        ordered = tuple(sorted(parts, key=lambda part: part.source))
        return cls(
            ordered,
            tuple(part.source for part in ordered),
            frozenset[str]().union(*(part.grounds for part in ordered)),
            any(part.high is None for part in ordered),
            all(part.whole for part in ordered),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Units whose values cannot be told apart, with the total that holds for all of them."""

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    value: Value | None
    status: Status


@dataclass(frozen=True, slots=True)
class Conversion:
    """Values by the units of the other day; `unplaced` are those of units without successor, and of
    codes that stood for no unit on the first day."""

    values: dict[str, Converted]
    groups: list[Group]
    unplaced: dict[str, Value]


class Crosswalk:
    """All links known, and from when to when each code stood for one and the same unit.

    `spans` has for each code its versions' first days and the days after their last ones; None is
    open. On a day of links a unit without one goes on only if a span of it does: a code that begins
    anew on that day belongs to somebody else.
    """

    def __init__(self, links: Iterable[Link], spans: Mapping[str, Sequence[Span]]) -> None:
        self._spans = spans
        self._by_day: dict[date, list[Link]] = defaultdict(list)
        for link in links:
            self._by_day[link.day].append(link)
        ends = (day for found in spans.values() for span in found for day in span if day)
        self._changes = sorted({*self._by_day, *ends})
        self._plans: dict[tuple[int, int], Plan] = {}

    def era(self, day: date) -> int:
        """A number that is the same for days between which nothing changed."""
        return bisect_right(self._changes, day)

    def plan(self, start: date, end: date) -> Plan:
        """How the units of the day `start` become those of the day `end`, earlier or later.

        All of them: a unit whose part is absent from a series has no whole value. Made once for
        days between which nothing changed.
        """
        eras = self.era(start), self.era(end)
        if eras not in self._plans:
            self._plans[eras] = self._plan(start, end)
        return self._plans[eras]

    def _plan(self, start: date, end: date) -> Plan:
        units = [code for code in self._spans if self._stands(code, start, start)]
        later = start <= end
        days = sorted(d for d in self._by_day if min(start, end) < d <= max(start, end))
        steps = [(day, self._step(day, later)) for day in (days if later else reversed(days))]
        routes = {unit: self._walk(unit, steps) for unit in units}
        return Plan(routes, lambda code: self._stands(code, end, end))

    def _step(self, day: date, later: bool) -> _Step:
        step: _Step = defaultdict(list)
        for link in self._by_day[day]:
            a, b, part = (
                (link.old, link.new, link.forward) if later else (link.new, link.old, link.back)
            )
            step[a].append((b, part, link.ground))
        return {
            a: [(ways[0][0], WHOLE, "")] if len(ways) == 1 else ways for a, ways in step.items()
        }

    def _walk(self, unit: str, steps: list[tuple[date, _Step]]) -> _Routes:
        """Where a unit arrives, with which share (None: not known) and on whose word; NOWHERE for
        what nothing followed."""
        here: _Routes = {unit: (WHOLE, frozenset())}
        for day, step in steps:
            there: _Routes = {}
            for at, (share, grounds) in here.items():
                for target, part, ground in step.get(at) or self._on(at, day):
                    known = None if share is None or part is None else share * part
                    said = grounds | {ground} if ground else grounds
                    if target in there:
                        before, others = there[target]
                        known = None if known is None or before is None else known + before
                        said |= others
                    there[target] = (known, said)
            here = there
        if len(here) == 1:  # divided and joined again: nothing was lost on the way
            return dict.fromkeys(here, (WHOLE, frozenset()))
        return here

    def _on(self, code: str, day: date) -> list[tuple[str, Fraction | None, str]]:
        """A unit without a link on a day of links: itself, if it did not begin or end there."""
        goes_on = self._stands(code, day - timedelta(days=1), day)
        return [(code if goes_on else NOWHERE, WHOLE, "")]

    def _stands(self, code: str, first: date, last: date) -> bool:
        return any(
            (begin is None or begin <= first) and (end is None or last < end)
            for begin, end in self._spans.get(code, ())
        )


class Plan:
    """What becomes of each unit between two days; made once, used for each period of a series."""

    def __init__(self, routes: Mapping[str, _Routes], exists: Callable[[str], bool]) -> None:
        parts: dict[str, list[Part]] = defaultdict(list)
        self._units = frozenset(routes)
        self.unplaced: set[str] = set()
        together: list[list[str]] = []
        for source, ways in routes.items():
            targets = [target for target in ways if exists(target)]
            if len(targets) < len(ways):
                self.unplaced.add(source)
            open_ended = source in self.unplaced or any(s is None for s, _ in ways.values())
            low = Fraction(0)
            for target in sorted(targets):
                share, grounds = ways[target]
                high = None if open_ended or share is None else low + share
                parts[target].append(Part(source, low, high, grounds))
                low = high or low
            if open_ended and targets:
                together.append(targets)
        self.targets = {target: Target.of(found) for target, found in parts.items()}
        self.groups = _joined(together)

    def convert(
        self,
        values: Mapping[str, Value | None],
        aggregation: Aggregation,
        weights: Mapping[str, Value | None] | None = None,
    ) -> Conversion:
        """The values of one period by the units of the other day.

        A unit that is absent or None has no value, which is not zero. `weights` are those of the
        mean, by the same units as the values; a mean without weights is not formed. Units none of
        whose sources is among `values` are left out.
        """
        done: dict[str, Converted] = {}
        with localcontext(_WIDE):
            for code, target in self.targets.items():
                if aggregation is Aggregation.SUM and target.whole:
                    # By far the most units of the longest series: no more than an addition.
                    addends = [values.get(source) for source in target.sources]
                    if None not in addends:
                        value = sum(cast("list[Value]", addends))
                        done[code] = Converted(value, Status.EXACT, target.sources, target.grounds)
                        continue
                if any(source in values for source in target.sources):
                    done[code] = _one(target, values, aggregation, weights)
            groups = []
            if aggregation is Aggregation.SUM:
                groups = [g for t in self.groups if (g := self._group(t, values)) is not None]
            strange = (self.unplaced & values.keys()) | (values.keys() - self._units)
            lost = {s: v for s in sorted(strange) if (v := values[s]) is not None}
        return Conversion(done, groups, lost)

    def _group(self, targets: tuple[str, ...], values: Mapping[str, Value | None]) -> Group | None:
        """The total of units that cannot be told apart: each open source counts once, whole."""
        parts = {
            (p.source, p.low, p.high): p
            for target in targets
            for p in self.targets[target].parts
            if p.source not in self.unplaced
        }.values()
        opened = {p.source for p in parts if p.high is None}
        sources = tuple(sorted({p.source for p in parts}))
        if not any(s in values for s in sources):
            return None
        addends: list[Value | None] = [values.get(s) for s in sorted(opened)]
        addends += [_portion(values.get(p.source), p) for p in parts if p.source not in opened]
        total = _total(addends)
        shared = any(p.high is not None and not p.whole for p in parts)
        status = Status.ESTIMATED if shared else Status.EXACT
        return Group(targets, sources, total, Status.MISSING if total is None else status)


def _one(
    target: Target,
    values: Mapping[str, Value | None],
    aggregation: Aggregation,
    weights: Mapping[str, Value | None] | None,
) -> Converted:
    parts, sources, grounds = target.parts, target.sources, target.grounds
    if target.open_ended:
        known = None
        if aggregation is Aggregation.SUM:
            known = _total([_portion(values.get(p.source), p) for p in parts if p.high is not None])
        return Converted(None, Status.NOT_SEPARABLE, sources, grounds, known)
    status = Status.EXACT if target.whole else Status.ESTIMATED
    if aggregation is Aggregation.SUM:
        value = _total([_portion(values.get(part.source), part) for part in parts])
    elif target.whole and len(parts) == 1:
        value = values.get(sources[0])
    elif aggregation is Aggregation.MEAN and weights is not None:
        value = _mean(parts, values, weights)
    else:
        return Converted(None, Status.NOT_ADDITIVE, sources, grounds)
    return Converted(value, Status.MISSING if value is None else status, sources, grounds)


def _total(addends: list[Value | None]) -> Value | None:
    """The sum; None when there is none, or when one of them is missing."""
    if not addends or any(value is None for value in addends):
        return None
    return sum(value for value in addends if value is not None)


def _portion(value: Value | None, part: Part) -> Value | None:
    """The part's stretch of a value, rounded so that the parts of a unit add up to it."""
    if value is None or part.high is None or part.whole:
        return value
    if isinstance(value, float):
        return value * float(part.high - part.low)
    exact = Fraction(value)
    places = ESTIMATE_DIGITS
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        places = max(places, -exponent) if isinstance(exponent, int) else places
    step = 10**places
    units = round(exact * part.high * step) - round(exact * part.low * step)
    return Decimal(units).scaleb(-places)


def _mean(
    parts: tuple[Part, ...],
    values: Mapping[str, Value | None],
    weights: Mapping[str, Value | None],
) -> Value | None:
    """Σ weight · share · value / Σ weight · share; None when one is missing or all weigh nothing."""
    over, under, floating = Fraction(0), Fraction(0), False
    for part in parts:
        value, weight = values.get(part.source), weights.get(part.source)
        if value is None or weight is None:
            return None
        portion = Fraction(weight) * (part.share or 0)
        over, under = over + portion * Fraction(value), under + portion
        floating = floating or isinstance(value, float)
    if under <= 0:
        return None
    mean = over / under
    if floating:
        return float(mean)
    return _MEAN.divide(Decimal(mean.numerator), Decimal(mean.denominator))


def _joined(sets: Iterable[Iterable[str]]) -> list[tuple[str, ...]]:
    """Sets that share a member, put together."""
    leader: dict[str, str] = {}

    def find(code: str) -> str:
        while (above := leader.setdefault(code, code)) != code:
            leader[code] = leader[above]
            code = leader[code]
        return code

    for members in sets:
        first, *others = members
        find(first)
        for other in others:
            leader[find(other)] = find(first)
    groups: dict[str, list[str]] = defaultdict(list)
    for code in leader:
        groups[find(code)].append(code)
    return sorted(tuple(sorted(group)) for group in groups.values())


def convert(
    values: Mapping[str, Value | None],
    crosswalk: Crosswalk,
    start: date,
    end: date,
    aggregation: Aggregation,
    weights: Mapping[str, Value | None] | None = None,
) -> Conversion:
    """Values by the units of the day `start`, by the units of the day `end`.

    The shares that divide a unit are those of the crosswalk's links. For a series of many periods
    make the plan once: `crosswalk.plan(start, end).convert(...)`.
    """
    return crosswalk.plan(start, end).convert(values, aggregation, weights)
