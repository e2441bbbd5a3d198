"""The leader's numbers one by one: figures of indicators, counts of the overview, months of scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.indicators.model import Better
from dothi.ioc import aims, figures, overview, score
from dothi.ioc import overview_view as o
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.span import Name, Span
from dothi.ioc.view import Change
from dothi.kernel.i18n import LANGS, number, t
from dothi.kernel.period import Period
from dothi.web.view import Status

if TYPE_CHECKING:
    from dothi.indicators.scores import Scored
    from dothi.indicators.scoring import Figure

MONTHS = 12
BEFORE: tuple[Name, ...] = ("today", "7d")
"""What a figure is compared with: a day before, else a week, else the last one known."""
LOOKED_BACK_H = 24 * 90
MOST_RARE = 30
RARE = timedelta(days=7)
"""What may be older than this is measured by hand, now and then: its curve has only what is known."""
COUNTS: dict[str, Better] = {
    "above": "lower", "work_open": "none", "work_overdue": "lower", "work_punctual": "higher",
    "work_soon": "lower", "work_new": "none", "work_closed": "higher", "silent": "lower",
    "stations": "higher", "valid": "higher", "rows": "none", "loads": "none", "rejected": "lower",
    "conflicts": "lower",
}  # fmt: skip
"""Which way the counts of the overview should move."""


@dataclass(frozen=True)
class Known:
    """A number as it is now. `service`: the pack it is of; `source`: what work about it names."""

    title: str
    text: str
    unit: str
    about: str
    status: Status
    better: Better
    url: str | None
    change: Change | None = None
    aim: aims.Aim | None = None
    periods: tuple[o.AimRow, ...] = ()
    spark: tuple[float | None, ...] = ()
    at: datetime | None = None
    stale: bool = False
    service: str | None = None


def there(desk: Desk, actor: Actor, lang: str) -> dict[str, Callable[[], Known]]:
    """Every number that this person may see, by its key, with the function that makes it."""
    spans: dict[Name, Span] = {name: Span.of(name, desk.now()) for name in BEFORE}
    made: dict[str, Callable[[], Known]] = {}
    makers, _ = overview.makers(desk, actor, lang, spans["today"])
    for key, make in makers.items():
        if key in COUNTS:
            made[key] = lambda key=key, make=make: _count(key, make())
    for figs in figures.every(desk, actor):
        made[overview.key_of(figs)] = lambda figs=figs: _figure(desk, actor, figs, lang, spans)
    for one in _scores(desk, actor):
        for part in _parts(one):
            made[f"s_{one.name} {part}"] = lambda one=one, part=part: _score(desk, one, part, lang)
    return made


def title_of(key: str, make: Callable[[], Known]) -> str:
    """A number's name in a list of all: with its score where it is a part of one."""
    known = make()
    if not key.startswith("s_"):
        return known.title
    name, _, part = key.removeprefix("s_").partition(" ")
    return known.title if part == score.TOTAL else f"{known.title} ({name}, {part})"


def score_names(desk: Desk, actor: Actor) -> list[str]:
    """The scores that this person may see."""
    return [one.name for one in _scores(desk, actor)]


def trend(known: Known, lang: str) -> Status | None:
    """Whether the number moved to the better, in a word."""
    if known.change is None or known.change.still or known.better == "none":
        return None
    good = (known.change.amount > 0) == (known.better == "higher")
    return Status("ok" if good else "notice", t("leader.better" if good else "leader.worse", lang))


def _count(key: str, card: o.Card) -> Known:
    return Known(
        card.title, card.text, card.unit, card.about, card.status, COUNTS[key], card.figure_url,
        change=card.change, at=card.at, stale=card.stale,
    )  # fmt: skip


def _figure(desk: Desk, actor: Actor, figs: Figures, lang: str, spans: dict[Name, Span]) -> Known:
    card = overview.indicator_card(desk, figs, lang, spans["today"])
    definition = figs.indicator.definition
    change, top = card.change, figs.top
    for name in BEFORE[1:]:
        if change is None and top is not None:
            was = figures.before(desk, figs, spans[name]).get(top.thing_id)
            if was is not None:
                versus = overview.versus_of(figs, top, spans[name], lang)
                change = Change(top.value - was, versus, definition.outputs[0].decimals)
    spark = card.spark
    if top is not None and definition.freshness > RARE:
        past = figures.curve(desk, figs, top, LOOKED_BACK_H)
        spark = tuple(value for value in past if value is not None)[-MOST_RARE:]
        if change is None and len(spark) > 1:
            moved, decimals = spark[-1] - spark[-2], definition.outputs[0].decimals
            change = Change(moved, t("leader.than_last", lang), decimals)
    return Known(
        card.title, card.text, card.unit, card.about, card.status, definition.outputs[0].better,
        card.figure_url, change=change,
        aim=aims.of_figure(desk, figs, top, lang) if top else None,
        periods=_periods(desk, actor, figs, lang), spark=spark, at=card.at, stale=card.stale, service=definition.pack,
    )  # fmt: skip


def _periods(desk: Desk, actor: Actor, figs: Figures, lang: str) -> tuple[o.AimRow, ...]:
    """The province's targets for whole periods, over which the indicator's counts are added."""
    return tuple(
        aims.of_sum(desk, one, lang).row
        for one in aims.of_periods(desk, actor, figs.indicator.name)
        if one.target.place == aims.PROVINCE
    )


# -- scores -----------------------------------------------------------------------------------------


def _scores(desk: Desk, actor: Actor) -> list[Scored]:
    # With scores comes the SQL parser, which no start of the web should pay for.
    from dothi.indicators import scores

    def look() -> list[Scored]:
        with desk.db.transaction() as conn:
            return scores.scores(conn)

    topics = (*score.TOPICS,)
    found = desk.cache.value(("all scores",), topics, look, kept_s=30)
    return [s for s in found if decide(actor, "dataset.read", s.dataset.resource).allowed]


def _parts(one: Scored) -> list[str]:
    """The total, the groups, and the components that are no count behind another."""
    groups = (f"group {name}" for name in one.score.groups)
    return [score.TOTAL, *groups, *(c.name for c in one.score.components.values() if not c.behind)]


def _score(desk: Desk, one: Scored, part: str, lang: str) -> Known:
    """A score's figure of the whole province for the month that goes on, or the last one known."""
    from dothi.indicators.targets import Part, points_of

    month = Period.containing("month", desk.now())
    months = [month]
    while len(months) < MONTHS:
        months.append(months[-1].previous())
    found = _past(desk, one, months)
    component = one.score.components.get(part)
    if component is None:
        group = part.removeprefix("group ")
        named = one.score.groups.get(group, one.score.title)
        about = points_of(named, one.score.better)
    else:
        unit: dict[str, str] = dict.fromkeys(LANGS, component.unit)
        about = Part(component.title, unit, 2, component.better)
    values = [_value(found.get((p.code, part)), points=component is None) for p in months]
    title = about.title[lang]
    shown = months[1] if values[0] is None and values[1] is not None else month
    value = values[months.index(shown)]
    before = values[months.index(shown) + 1]
    url = None
    if one.name == score.NAME:
        url = score.Asked(shown).url()
    if value is None:
        return Known(
            title, "—", "", shown.label(lang), Status("unknown", t("ioc.no_data", lang)),
            about.better, url, service=one.score.pack,
        )  # fmt: skip
    label = shown.label(lang)
    if one.as_of is not None and shown.end > one.as_of:
        label = t("leader.so_far", lang, period=label)
    aim = aims.of_score(desk, one.name, part, aims.PROVINCE, shown, value, about, lang, decimals=1)
    most = found[shown.code, part].most
    last = shown.previous()
    change = None
    # Points out of other ceilings are not compared.
    if before is not None and (component or found[last.code, part].most == most):
        versus = t("leader.than", lang, period=last.in_sentence(lang))
        change = Change(value - before, versus, 1)
    said = t("score.of_most", lang, most=number(most, lang)) if component is None else ""
    return Known(
        title, number(value, lang, 1), said or about.unit[lang],
        f"{t('score.province', lang)} · {label}",
        aim.status if aim else Status("unknown", t("leader.no_target", lang)),
        about.better, url,
        change=change, aim=aim, spark=tuple(values[::-1]), at=one.as_of, service=one.score.pack,
    )  # fmt: skip


def _value(found: Figure | None, *, points: bool) -> float | None:
    if found is None:
        return None
    return found.points if points else found.ratio


def _past(desk: Desk, one: Scored, months: list[Period]) -> dict[tuple[str, str], Figure]:
    """The province's figures of these months, by month and part."""
    from dothi.indicators import scores

    def look() -> dict[tuple[str, str], Figure]:
        marks = ", ".join("?" for _ in months)
        with desk.lake.view() as view:
            found = scores.stored(
                view, one, f"agency = '*' AND unit = '*' AND period IN ({marks})",
                [p.code for p in months],
            )  # fmt: skip
        return {(f.period, f.component): f for f in found}

    key = ("score past", one.name, months[0].code, one.as_of)
    return desk.cache.value(key, (f"series:{one.name}",), look, kept_s=30)
