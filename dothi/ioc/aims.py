"""Figures beside their targets, for screens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import cache_key, decide
from dothi.indicators import sums, target_words, targets
from dothi.indicators.service import Latest
from dothi.indicators.sums import Sum
from dothi.indicators.target import PROVINCE, Target, chosen
from dothi.indicators.targets import Part
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.overview_view import AimRow
from dothi.ioc.tables import Sheet
from dothi.kernel.i18n import date, number, t
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


@dataclass(frozen=True)
class PeriodAim:
    """A target for a longer period in words: of what, where, for when, what it asks, the sum so far and
    what it is of the target; how much of the time has gone by at the end of `until`, and how many
    figures there are."""

    what: str
    place: str
    period: str
    said: str
    value: str
    status: Status
    elapsed: str
    until: str
    there: str
    ground: str


def of_figure(desk: Desk, figs: Figures, one: Latest, lang: str) -> Aim | None:
    """The figure of a thing beside the target of its commune, its agency or the province."""
    output = figs.indicator.definition.output(one.output)
    part = targets.part_of(output)
    thing = figs.things[one.thing_id]
    places = sums.places_of(figs.indicator, thing, _codes(desk), _units(desk))
    places.append(PROVINCE)
    found = _targets(desk, figs.indicator.name)
    return _aim(desk, found, one.output, places, one.period, one.value, part, lang)


def of_periods(desk: Desk, actor: Actor, name: str) -> list[Sum]:
    """The targets of an indicator for longer periods, each with the sum so far, as far as this person
    may see all of it."""
    indicator = desk.definitions().get(name)
    found = _targets(desk, name)
    if indicator is None or not found:
        return []
    decision = decide(actor, "dataset.read", indicator.dataset.resource)

    def look() -> list[Sum]:
        return sums.sums(
            desk.lake, indicator, found, decision, _codes(desk), _units(desk), desk.now()
        )

    key = ("sums", name, indicator.version, cache_key(decision))
    return desk.cache.value(key, (f"series:{name}", TOPIC), look, kept_s=60)


def of_sum(desk: Desk, one: Sum, lang: str) -> Aim:
    """A target for a longer period as an aim: what was reached of it, and how much time has gone by."""
    row = period_row(desk, one, lang)
    said = t(
        "targets.sum_said", lang, said=row.said, place=row.place, period=one.period.in_sentence(lang),
        elapsed=row.elapsed, until=one.until.in_sentence(lang),
    )  # fmt: skip
    said = f"{row.what}: {said}"
    about = f"{said}. {t('targets.sum_value', lang)}: {row.value} ({row.there}); {row.ground}"
    return Aim(row.status, said, about, one.value - one.bound, one.bound)


def period_row(desk: Desk, one: Sum, lang: str) -> PeriodAim:
    """A target for a longer period with the sum so far, in words."""
    part = targets.part_of(one.output)
    share = None if one.share is None else number(100 * one.share, lang, 1)
    grain = t(f"targets.sum_grain_{one.period.grain}", lang)
    limit = one.target.direction == "at_most"
    said = t("targets.sum_of_nothing", lang)
    if share is not None:
        said = t(
            "targets.sum_used" if limit else "targets.sum_reached", lang, share=share, grain=grain
        )
    status = Status("unknown", said)
    passed = one.target.high is not None and one.value > one.target.high
    if passed:
        status = Status("warning", t("targets.sum_passed", lang, reached=said))
    # A sum that lacks figures says of a limit only that it is passed.
    elif one.target.met(one.value) and (
        one.target.direction == "at_least" or (one.over and one.whole)
    ):
        status = Status("ok", t("targets.sum_done", lang, reached=said))
    elif one.over and one.whole:
        status = Status("warning", t("targets.sum_failed", lang, reached=said))
    asked = target_words.said_of(one.target, part, lang)
    if one.target.verify:
        asked += f" ({t('targets.verify', lang)})"
    ground = one.target.ground
    if one.target.ground_date:
        ground += f", {date(one.target.ground_date, lang)}"
    return PeriodAim(
        what=one.output.title[lang],
        place=desk.cache.value(
            ("place", one.target.place, lang), (), lambda: _place(desk, one.target, lang)
        ),
        period=one.period.label(lang),
        said=asked,
        value=target_words.amount(one.value, part, lang),
        status=status,
        elapsed=number(100 * one.elapsed, lang, 1),
        until=one.until.label(lang),
        there=t(
            "targets.sum_of" if one.whole else "targets.sum_missing", lang, there=one.there,
            expected=one.expected,
        ),
        ground=ground,
    )  # fmt: skip


def period_sheet(desk: Desk, found: Sequence[Sum], lang: str) -> Sheet:
    """The targets for longer periods as pages and files hold them."""
    rows = [period_row(desk, one, lang) for one in found]
    columns = ("measure", "place", "sum_period", "sum_target", "sum_value", "sum_share",
               "sum_elapsed", "sum_until", "sum_there", "ground")  # fmt: skip
    return Sheet(
        t("targets.sums", lang),
        tuple(t(f"targets.{name}", lang) for name in columns),
        tuple(
            (r.what, r.place, r.period, r.said, r.value, r.status.text, r.elapsed, r.until, r.there,
             r.ground)
            for r in rows
        ),
    )  # fmt: skip


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
