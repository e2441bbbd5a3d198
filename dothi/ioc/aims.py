"""Figures beside their targets, for screens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dothi.identity import agencies
from dothi.indicators import target_words, targets
from dothi.indicators.service import Latest
from dothi.indicators.target import PROVINCE, Target, chosen
from dothi.indicators.targets import Part
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.overview_view import AimRow
from dothi.kernel.i18n import date, t
from dothi.kernel.period import Period
from dothi.web.view import Status

TOPIC = "targets"


@dataclass(frozen=True)
class Aim:
    """How a figure stands to its target: on track or not, what it should be, by which document.

    `difference` is the figure less the bound that counts, `bound` that bound.
    """

    status: Status
    said: str
    about: str
    difference: float
    bound: float

    @property
    def row(self) -> AimRow:
        """As pages show it."""
        return AimRow(self.status, self.said, self.about)


def of_figure(desk: Desk, figs: Figures, one: Latest, lang: str) -> Aim | None:
    """The figure of a thing beside the target of its commune, its agency or the province."""
    output = figs.indicator.definition.output(one.output)
    part = targets.part_of(output)
    thing = figs.things[one.thing_id]
    places = []
    contract = figs.indicator.dataset.contract
    if contract.units is not None:
        names = [column.name for column in contract.key]
        code = thing.key[names.index(contract.units.column)]
        if contract.units.codes == "agencies":
            places.append(f"agency:{code}")
            code = _units(desk).get(code)
        if code:
            places.append(f"unit:{code}")
    if thing.agency_id is not None and (code := _codes(desk).get(thing.agency_id)):
        places.append(f"agency:{code}")
    places.append(PROVINCE)
    found = _targets(desk, figs.indicator.name)
    return _aim(desk, found, one.output, places, one.period, one.value, part, lang)


def of_score(
    desk: Desk, measure: str, name: str, place: str, period: Period, value: float, part: Part,
    lang: str, decimals: int | None = None,
) -> Aim | None:  # fmt: skip
    """A figure of a score beside the target of just its own agency, unit or the province: what is
    asked of the whole is not asked of each. `decimals` as the figure is shown, where not its part's."""
    found = _targets(desk, measure)
    return _aim(desk, found, name, [place], period, value, part, lang, decimals)


def _targets(desk: Desk, measure: str) -> list[Target]:
    def look() -> dict[str, list[Target]]:
        found: dict[str, list[Target]] = {}
        with desk.db.transaction() as conn:
            for one in targets.targets(conn):
                found.setdefault(one.measure, []).append(one)
        return found

    by_measure = desk.cache.value(("targets",), (TOPIC,), look, kept_s=10)
    return by_measure.get(measure, [])


def _codes(desk: Desk) -> dict[int, str]:
    def look() -> dict[int, str]:
        with desk.db.transaction() as conn:
            return {a.id: a.code for a in agencies.agencies(conn) if a.id is not None}

    return desk.cache.value(("agency codes",), (), look, kept_s=60)


def _units(desk: Desk) -> dict[str, str]:
    def look() -> dict[str, str]:
        with desk.db.transaction() as conn:
            return agencies.units_of(conn)

    return desk.cache.value(("units of agencies",), (), look, kept_s=60)


def _aim(
    desk: Desk, found: Sequence[Target], name: str, places: Sequence[str], period: Period,
    value: float, part: Part, lang: str, decimals: int | None = None,
) -> Aim | None:  # fmt: skip
    if not found:
        return None
    one = chosen(found, name, places, period)
    if one is None:
        return None
    met = one.met(value)
    said = target_words.said_of(one, part, lang)
    shown = f"{said} ({t('targets.verify', lang)})" if one.verify else said
    ground = one.ground
    if one.ground_date:
        ground += f", {date(one.ground_date, lang)}"
    if one.verify:
        ground += f" ({t('targets.verify', lang)})"
    place = desk.cache.value(("place", one.place, lang), (), lambda: _place(desk, one, lang))
    difference = one.difference(value)
    bound = value - difference if difference or one.low is None or one.high is None else one.low
    standing = target_words.standing(one, value, part, lang, decimals)
    return Aim(
        status=Status("ok" if met else "warning", standing),
        said=shown,
        about=t("targets.about", lang, said=said, place=place, ground=ground),
        difference=difference,
        bound=bound,
    )


def _place(desk: Desk, one: Target, lang: str) -> str:
    with desk.db.transaction() as conn:
        return target_words.place_of(conn, one.place, lang)
