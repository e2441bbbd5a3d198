"""Targets of counts: what has been added up in a longer period beside what it should come to.

Only figures that their definition says may be added over time are; a rate never is. Only periods that
have ended are added, and how many of their figures there are is told with the sum. How much of the
longer period has gone by stands beside the share that was reached, and is no target of anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dothi.identity.policy import Decision
from dothi.identity.predicate import admits
from dothi.indicators.model import SUM_GRAINS, Output
from dothi.indicators.service import Indicator
from dothi.indicators.target import PROVINCE, Target, for_period
from dothi.kernel.crosswalk import Aggregation
from dothi.kernel.period import Period
from dothi.lake import registry
from dothi.lake.registry import Thing
from dothi.lake.service import Lake


@dataclass(frozen=True)
class Sum:
    """A target for a longer period and the sum so far. `until`: the last shorter period that has ended;
    `there` of `expected` figures of ended periods are in `value`; `elapsed`: the share of the period's
    days that these periods cover. `share`: of the bound that counts, None where that is zero."""

    target: Target
    output: Output
    period: Period
    value: float
    until: Period
    there: int
    expected: int
    over: bool

    @property
    def bound(self) -> float:
        """What the sum is held against: what has to be reached, else what may not be passed."""
        low, high = self.target.low, self.target.high
        assert low is not None or high is not None
        return low if low is not None else high or 0.0

    @property
    def share(self) -> float | None:
        """How much of the bound has been reached."""
        return self.value / self.bound if self.bound else None

    @property
    def elapsed(self) -> float:
        """How much of the period has gone by, by days, at the end of `until`."""
        return (self.until.end - self.period.start) / (self.period.end - self.period.start)

    @property
    def whole(self) -> bool:
        """Whether no figure of the ended periods is missing."""
        return self.there == self.expected


def places_of(
    indicator: Indicator, thing: Thing, codes: Mapping[int, str], units: Mapping[str, str]
) -> list[str]:
    """Where a thing is, the nearest first: its commune and its agency. `codes`: of agencies by number;
    `units`: of which unit an agency is the body."""
    places: list[str] = []
    contract = indicator.dataset.contract
    if contract.units is not None:
        names = [column.name for column in contract.key]
        code = thing.key[names.index(contract.units.column)]
        if contract.units.codes == "agencies":
            places.append(f"agency:{code}")
            code = units.get(code, "")
        if code:
            places.append(f"unit:{code}")
    if thing.agency_id is not None and (code := codes.get(thing.agency_id)):
        places.append(f"agency:{code}")
    return list(dict.fromkeys(places))


def sums(
    lake: Lake, indicator: Indicator, targets: Sequence[Target], decision: Decision,
    codes: Mapping[int, str], units: Mapping[str, str], now: datetime,
) -> list[Sum]:  # fmt: skip
    """What has been reached of the targets for longer periods, by place. Where somebody may not see all
    that belongs to a sum, they do not see the sum; nor is one made over things that are not added."""
    definition = indicator.definition
    wanted = [o for o in definition.outputs if o.over_time and o.name not in decision.hidden]
    named = {o.name for o in wanted}
    asked = [x for x in targets if x.part in named and x.grain in SUM_GRAINS[definition.grain]]
    if not asked or not decision.allowed:
        return []
    with lake.db.transaction() as conn:
        things = registry.things(conn, indicator.dataset)
        streams = {
            (s.parameter, s.thing_id): s.id
            for s in registry.streams(conn, indicator.dataset).values()
            if s.parameter in named
        }
    seen = {n for n, x in things.items() if admits(decision.rows, {"agency_id": x.agency_id})}
    where = {n: places_of(indicator, x, codes, units) for n, x in things.items()}
    out: list[Sum] = []
    for output in wanted:
        of_output = {thing: s for (part, thing), s in streams.items() if part == output.name}
        for place in dict.fromkeys(x.place for x in asked if x.part == output.name):
            there = {n: s for n, s in of_output.items() if place == PROVINCE or place in where[n]}
            added = output.over_units.aggregation is Aggregation.SUM
            if not there or not there.keys() <= seen or (len(there) > 1 and not added):
                continue
            for grain in SUM_GRAINS[definition.grain]:
                period = Period.containing(grain, now, definition.period_at(now).zone)
                made = _sum(
                    lake, indicator, output, place, asked, period, list(there.values()), now
                )
                if made is None and period.previous().end > now - timedelta(days=366):
                    before = period.previous()
                    made = _sum(
                        lake, indicator, output, place, asked, before, list(there.values()), now
                    )
                if made is not None:
                    out.append(made)
    return out


def _sum(
    lake: Lake, indicator: Indicator, output: Output, place: str, targets: Sequence[Target],
    period: Period, streams: list[int], now: datetime,
) -> Sum | None:  # fmt: skip
    """The sum of one place and period; None without a target, or before anything of it has ended."""
    target = for_period(targets, output.name, place, period)
    definition = indicator.definition
    ended = [p for p in definition.periods_in(period) if p.end <= now]
    if target is None or not ended:
        return None
    times = [definition.instant_of(p) for p in ended]
    found = lake.points.at(indicator.dataset, streams, times)
    if not found:
        return None
    return Sum(
        target, output, period, sum(found.values()), ended[-1], len(found),
        len(streams) * len(ended), now >= period.end,
    )  # fmt: skip
