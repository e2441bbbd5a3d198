"""Targets as other rooms use them: what can have one, setting, importing, reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from dothi.identity import agencies, audit, units_read
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.indicators import service, target_store
from dothi.indicators.model import SUM_GRAINS, Better, Output
from dothi.indicators.target import (
    DIRECTIONS,
    FIRST_YEAR,
    LAST_YEAR,
    LONGEST_GROUND,
    MOST,
    PROVINCE,
    Direction,
    Draft,
    Target,
    bound,
    day_of,
)
from dothi.kernel.errors import Fault, Invalid, NotFound
from dothi.kernel.i18n import LANGS, t
from dothi.kernel.period import GRAINS, Grain
from dothi.lake.registry import Dataset
from dothi.store.database import Connection
from dothi.store.events import emit

if TYPE_CHECKING:
    from dothi.indicators.score import Score

FIELDS = (
    "measure", "part", "place", "grain", "direction", "value", "value_to", "valid_from",
    "valid_to", "ground", "ground_date", "verify", "understood",
)  # fmt: skip
"""What a row of a file or a form says of a target. `understood`: that it asks for the worse is meant."""
TAKES_BACK = "none"
"""In place of a direction: what counted on these days counts no more."""
_YES, _NO = frozenset({"1", "x", "yes", "true", "có"}), frozenset({"", "0", "no", "false", "không"})


@dataclass(frozen=True)
class Part:
    """A figure that can have a target. It lies between `least` and `most`, where that is known."""

    title: dict[str, str]
    unit: Mapping[str, str]
    decimals: int
    better: Better
    least: float = -MOST
    most: float = MOST
    sums: tuple[Grain, ...] = ()
    """The longer periods that a target may be about: then it is held against the sum over them."""


@dataclass(frozen=True)
class Measure:
    """An indicator or a score: the parts of it that can have a target, the lengths of its periods."""

    name: str
    title: dict[str, str]
    dataset: Dataset
    parts: Mapping[str, Part]
    grains: tuple[Grain, ...]
    score: bool


def measures(conn: Connection) -> dict[str, Measure]:
    """Everything that can have a target, by name."""
    # With scores comes the SQL parser, which whoever only reads figures needs not load.
    from dothi.indicators import scores
    from dothi.indicators.score import TOTAL

    found = {}
    for one in service.indicators(conn):
        definition = one.definition
        parts = {
            o.name: replace(part_of(o), sums=SUM_GRAINS[definition.grain] if o.over_time else ())
            for o in definition.outputs
            if not o.labels
        }
        grains: tuple[Grain, ...] = (definition.grain,)
        found[one.name] = Measure(one.name, definition.title, one.dataset, parts, grains, False)
    for one in scores.scores(conn):
        parts = {TOTAL: points_of(one.score.title, one.score.better, _points(one.score))}
        for name, title in one.score.groups.items():
            most = _points(one.score, name)
            parts[f"group {name}"] = points_of(title, one.score.better, most)
        for name, component in one.score.components.items():
            unit: dict[str, str] = dict.fromkeys(LANGS, component.unit)
            least, most = (0.0, 100.0) if component.unit == "%" else (-MOST, MOST)
            parts[name] = Part(component.title, unit, 2, component.better, least, most)
        found[one.name] = Measure(
            one.name, one.score.title, one.dataset, parts, one.score.grains, True
        )
    return found


def part_of(output: Output) -> Part:
    """An indicator's output."""
    unit: dict[str, str] = dict.fromkeys(LANGS, "" if output.unit == "1" else output.unit)
    return Part(output.title, unit, output.decimals, output.better)


def points_of(title: dict[str, str], better: Better, most: float = MOST) -> Part:
    """A score's total or group, in points."""
    unit: dict[str, str] = {lang: t("targets.points", lang) for lang in LANGS}
    return Part(title, unit, 2, better, 0.0, most)


def _points(score: Score, group: str | None = None) -> float:
    """The most points that all components, or those of a group, ever gave."""
    return sum(
        max((ceiling.most for ceiling in one.ceilings), default=0.0)
        for one in score.components.values()
        if group in (None, one.group)
    )


def visible(conn: Connection, actor: Actor) -> dict[str, Measure]:
    """Those whose figures this person may see."""
    return {
        name: one for name, one in measures(conn).items()
        if decide(actor, "dataset.read", one.dataset.resource).allowed
    }  # fmt: skip


def targets(conn: Connection, measure: str | None = None) -> list[Target]:
    """All targets ever set, or those of one measure; the caller has asked the policy."""
    return target_store.every(conn, measure)


def put(conn: Connection, actor: Actor, sent: Mapping[str, str]) -> Target:
    """Set a target as a form says it, in the caller's transaction. Raises Invalid with every fault,
    NotFound for a measure that is not there for this person, Forbidden."""
    known = visible(conn, actor)
    if not sent.get("measure"):
        raise Invalid("targets.invalid", faults=[Fault("figure", "targets.figure_missing")])
    measure = known.get(sent["measure"])
    if measure is None:
        raise NotFound("identity.not_found")
    require(actor, "target.set", measure.dataset.resource)
    draft, faults = draft_of(conn, known, sent)
    if sent.get("place") in (None, "", PROVINCE) and not may_province(conn, actor):
        faults.append(Fault("place", "targets.province_not_yours"))
    if faults or draft is None:
        raise Invalid("targets.invalid", faults=faults)
    return _put(conn, actor, draft)


def may_province(conn: Connection, actor: Actor) -> bool:
    """Whether somebody may set what the whole province has to reach: who may for the agency above
    all others."""
    tops = [one.id for one in agencies.agencies(conn, units_read.today()) if one.parent is None]
    whole = Resource("dataset", owner_agency=tops[0] if len(tops) == 1 else None)
    return decide(actor, "target.set", whole).allowed


def may_withdraw(conn: Connection, actor: Actor, one: Target, measure: Measure) -> bool:
    """Whether a target, of a measure that they see, is theirs to withdraw."""
    return decide(actor, "target.set", measure.dataset.resource).allowed and (
        one.place != PROVINCE or may_province(conn, actor)
    )


def withdraw(conn: Connection, actor: Actor, number: int, reason: str) -> Target:
    """Take a target back for all its days, in the caller's transaction; it stays in the history, and
    what takes it back has the reason for its ground.

    Raises NotFound, Forbidden, Invalid without a reason or where it was taken back or replaced
    before.
    """
    found = target_store.every(conn)
    one = next((one for one in found if one.id == number), None)
    measure = visible(conn, actor).get(one.measure) if one else None
    if one is None or measure is None:
        raise NotFound("identity.not_found")
    require(actor, "target.set", measure.dataset.resource)
    faults: list[Fault] = []
    if not may_withdraw(conn, actor, one, measure):
        faults.append(Fault("reason", "targets.province_not_yours"))
    if one.direction is None or one.id in replaced(found):
        faults.append(Fault("reason", "targets.counts_no_more"))
    ground = reason.strip()
    if not ground:
        faults.append(Fault("reason", "targets.reason_missing"))
    elif len(ground) > LONGEST_GROUND or not ground.isprintable():
        faults.append(Fault("reason", "targets.ground_shape", {"limit": LONGEST_GROUND}))
    if faults:
        raise Invalid("targets.invalid", faults=faults)
    back = replace(taken_back(one), ground=ground, ground_date=None, verify=False)
    return _put(conn, actor, back)


def bring(
    conn: Connection, actor: Actor, rows: Sequence[Mapping[str, str]], name: str
) -> tuple[int, int]:
    """Set the targets of a file's rows, all or none: how many are new, how many stood so already.

    Raises Invalid with every fault of every row, each with the file's name and its row.
    """
    known = visible(conn, actor)
    drafts: list[Draft] = []
    faults: list[Fault] = []
    province = may_province(conn, actor)
    for number, row in enumerate(rows, 1):
        draft, wrong = draft_of(conn, known, row)
        if draft is not None:
            may = decide(actor, "target.set", known[draft.measure].dataset.resource).allowed
            if not may:
                wrong = [Fault("measure", "targets.not_yours", {"name": draft.measure})]
            elif draft.place == PROVINCE and not province:
                wrong = [Fault("place", "targets.province_not_yours")]
            drafts.append(draft)
        faults += [Fault(f"{name}:{number}:{f.where}", f.key, dict(f.params)) for f in wrong]
    if faults:
        raise Invalid("targets.invalid", faults=faults)
    there = {_said(one) for one in _unreplaced(target_store.every(conn))}
    new = [one for one in dict.fromkeys(drafts) if one not in there]
    for one in new:
        _put(conn, actor, one)
    return len(new), len(drafts) - len(new)


def _unreplaced(found: Sequence[Target]) -> list[Target]:
    """Those after which nothing was set for the same figures."""
    return [
        one for n, one in enumerate(found)
        if not any(_same(one, later) for later in found[n + 1 :])
    ]  # fmt: skip


def _same(one: Draft, other: Draft) -> bool:
    figures = [(d.measure, d.part, d.place, d.grain) for d in (one, other)]
    overlap = (one.valid_to or date.max) >= other.valid_from and (
        other.valid_to or date.max
    ) >= one.valid_from
    return figures[0] == figures[1] and overlap


def _said(one: Target) -> Draft:
    return Draft(
        measure=one.measure, part=one.part, place=one.place, grain=one.grain, low=one.low,
        high=one.high, valid_from=one.valid_from, valid_to=one.valid_to, ground=one.ground,
        ground_date=one.ground_date, verify=one.verify,
    )  # fmt: skip


def _put(conn: Connection, actor: Actor, draft: Draft) -> Target:
    made = target_store.insert(conn, draft, actor)
    told: dict[str, Any] = {
        "measure": made.measure, "part": made.part, "place": made.place, "grain": made.grain,
        "low": made.low, "high": made.high, "target": made.id,
        "valid": [made.valid_from.isoformat(), made.valid_to.isoformat() if made.valid_to else None],
    }  # fmt: skip
    emit(conn, "target.set", told, actor=actor.ref, subject=f"target:{made.measure}")
    audit.record(conn, "target.set", actor, f"target:{made.measure}", **told)
    return made


# -- what a form or a row says ----------------------------------------------------------------------


def draft_of(
    conn: Connection, known: Mapping[str, Measure], sent: Mapping[str, str]
) -> tuple[Draft | None, list[Fault]]:
    """The target that texts say, or everything that is wrong with them by field."""
    said = {name: str(sent.get(name) or "").strip() for name in FIELDS}
    faults: list[Fault] = []
    measure = known.get(said["measure"])
    if measure is None:
        names = ", ".join(sorted(known))
        faults.append(
            Fault("measure", "targets.no_measure", {"name": said["measure"], "known": names})
        )
    part = said["part"] or (next(iter(measure.parts), "") if measure else "")
    if measure is not None and part not in measure.parts:
        names = ", ".join(measure.parts)
        faults.append(Fault("part", "targets.no_part", {"name": part, "known": names}))
    shown = measure.parts.get(part) if measure else None
    grain = _grain(said["grain"], measure, shown, faults)
    low, high = _bounds(said, shown, faults)
    understood = _yes(said, "understood", faults)
    against = shown and {"higher": "at_most", "lower": "at_least"}.get(shown.better)
    if shown and against and against == said["direction"] and not understood:
        better = "targets.more_is_better" if shown.better == "higher" else "targets.less_is_better"
        faults.append(Fault("understood", better))
    valid_from = _day(said, "valid_from", faults, needed=True) or date.max
    valid_to = _day(said, "valid_to", faults)
    if valid_to is not None and valid_to < valid_from != date.max:
        faults.append(Fault("valid_to", "targets.dates"))
    if not said["ground"]:
        faults.append(Fault("ground", "targets.ground_missing"))
    elif len(said["ground"]) > LONGEST_GROUND or not said["ground"].isprintable():
        faults.append(Fault("ground", "targets.ground_shape", {"limit": LONGEST_GROUND}))
    verify = _yes(said, "verify", faults)
    place = _place(conn, said["place"], valid_from, faults)
    ground_date = _day(said, "ground_date", faults)
    if faults or grain is None:
        return None, faults
    return Draft(
        measure=said["measure"], part=part, place=place, grain=grain, low=low, high=high,
        valid_from=valid_from, valid_to=valid_to, ground=said["ground"], ground_date=ground_date,
        verify=verify,
    ), []  # fmt: skip


def _yes(said: Mapping[str, str], name: str, faults: list[Fault]) -> bool:
    """Whether a box is ticked."""
    text = said[name].casefold()
    if text not in _YES | _NO | {"on"}:
        faults.append(Fault(name, "targets.yes_or_no", {"text": text}))
    return text not in _NO


def _grain(
    text: str, measure: Measure | None, part: Part | None, faults: list[Fault]
) -> Grain | None:
    """The length of the periods; of a measure that has only one, that, where nothing is said. A count
    may have longer ones, over which it is added; of a rate that is told."""
    known = measure.grains if measure else GRAINS
    if not text and len(known) == 1:
        return known[0]
    if measure and not measure.score and part is not None:
        if text in SUM_GRAINS[measure.grains[0]] and not part.sums:
            faults.append(Fault("grain", "targets.not_added", {"name": text, "known": known[0]}))
            return None
        known = (*known, *part.sums)
    if text not in known and (text or measure):
        names = ", ".join(known)
        faults.append(Fault("grain", "targets.no_grain", {"name": text, "known": names}))
    return next((grain for grain in known if grain == text), None)


def _bounds(
    said: Mapping[str, str], part: Part | None, faults: list[Fault]
) -> tuple[float | None, float | None]:
    least, most = (part.least, part.most) if part else (-MOST, MOST)
    values: dict[str, float | None] = {"value": None, "value_to": None}
    direction: Direction | None = next((d for d in DIRECTIONS if d == said["direction"]), None)
    needed = {"value": direction is not None, "value_to": direction == "between"}
    if direction is None and said["direction"] != TAKES_BACK:
        names = ", ".join((*DIRECTIONS, TAKES_BACK))
        faults.append(Fault("direction", "targets.no_direction", {"known": names}))
        return None, None
    for name in values:
        if said[name] and not needed[name]:
            faults.append(Fault(name, "targets.value_not_wanted"))
        elif needed[name]:
            try:
                values[name] = value = bound(said[name])
            except ValueError:
                faults.append(Fault(name, "targets.value_shape", {"text": said[name]}))
                continue
            if not least <= value <= most or abs(value) >= MOST:
                limits = {"least": f"{least:.12g}", "most": f"{most:.12g}"}
                faults.append(Fault(name, "targets.value_range", limits))
    first, second = values["value"], values["value_to"]
    if first is not None and second is not None and first > second:
        faults.append(Fault("value_to", "targets.values_reversed"))
    return (None, first) if direction == "at_most" else (first, second)


def _day(
    said: Mapping[str, str], name: str, faults: list[Fault], *, needed: bool = False
) -> date | None:
    try:
        found = day_of(said[name])
    except ValueError:
        faults.append(Fault(name, "targets.day_shape", {"text": said[name]}))
        return None
    if found is None and needed:
        faults.append(Fault(name, "targets.day_missing"))
    if found is not None and not FIRST_YEAR <= found.year <= LAST_YEAR:
        years = {"first": FIRST_YEAR, "last": LAST_YEAR}
        faults.append(Fault(name, "targets.day_range", years))
    return found


def _place(conn: Connection, text: str, on: date, faults: list[Fault]) -> str:
    if text in ("", PROVINCE):
        return PROVINCE
    kind, _, code = text.partition(":")
    there = False
    if kind == "agency":
        there = agencies.find_agency(conn, code) is not None
    elif kind == "unit":
        day = on if on != date.max else units_read.today()
        there = (
            units_read.unit(conn, code, day) is not None
            or agencies.find_agency(conn, code) is not None
        )
    if not there:
        faults.append(Fault("place", "targets.no_place", {"text": text}))
    return text


def replaced(found: Sequence[Target]) -> dict[int, int]:
    """Of every target that a later one stands before on at least one day: by its number, the number
    of the newest such."""
    return {
        one.id: newest
        for n, one in enumerate(found)
        if (newest := max((x.id for x in found[n + 1 :] if _same(one, x)), default=0))
    }


def taken_back(one: Target) -> Draft:
    """What takes a target back for the days it holds."""
    return replace(_said(one), low=None, high=None)
