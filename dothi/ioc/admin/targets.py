"""Targets: what every indicator and score has to reach, who said so, and setting a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from dothi.identity import units_read
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.identity.units_read import Wanted
from dothi.indicators import target_words, targets
from dothi.indicators.target import DIRECTIONS, PROVINCE, Target, counting
from dothi.indicators.targets import TAKES_BACK, Measure
from dothi.ioc.admin.office import BASE, EMPTY, Form, Option, Page, Sent, Visit, living
from dothi.ioc.admin.trail import called
from dothi.kernel.i18n import t
from dothi.kernel.period import GRAINS
from dothi.store.database import Connection
from dothi.web.site import see_other
from dothi.web.view import Status

URL = f"{BASE}/targets"
MOST_ROWS = 300
MOST_UNITS = 500
"""A select with more places helps nobody; files name them by their codes."""


@dataclass(frozen=True)
class TargetRow:
    """One target in words, and whether it counts today. `form` names the one that withdraws it;
    without an address it is not for this person, or withdrawn."""

    measure: str
    part: str
    place: str
    grain: str
    said: str
    valid: str
    ground: str
    dated: date | None
    verify: bool
    who: str
    at: datetime
    state: Status
    withdraw_url: str | None
    form: str


@dataclass(frozen=True)
class TargetsView:
    """`chosen`: only of this indicator or score. Without figures to set a target for, no form.
    `province`: whether this person sets what the whole province has to reach."""

    chosen: str
    title: str
    rows: tuple[TargetRow, ...]
    figures: tuple[Option, ...]
    places: tuple[Option, ...]
    grains: tuple[Option, ...]
    directions: tuple[Option, ...]
    form: Form
    today: date
    province: bool


@get(URL, opt={"access": "target.set"}, sync_to_thread=True)
def target_list(visit: NamedDependency[Visit], measure: FromQuery[str] = "") -> Page:
    """Targets of the indicators and scores that this person may see."""
    return _page(visit, measure, EMPTY)


@post(URL, opt={"access": "target.set"}, status_code=303, sync_to_thread=True)
def target_sent(visit: NamedDependency[Visit], data: Sent, measure: FromQuery[str] = "") -> object:
    """Set one; with faults the form again."""
    name, _, part = data.get("figure", "").partition(" ")
    sent = {**data, "measure": name, "part": part}
    return visit.change(
        "target", sent,
        lambda conn: targets.put(conn, visit.actor, sent),
        again=partial(_page, visit, measure),
        then=lambda made: _onward(visit, made, measure),
    )  # fmt: skip


@post(f"{URL}/{{number:int}}/withdraw", opt={"access": "target.set"}, status_code=303,
      sync_to_thread=True)  # fmt: skip
def target_withdrawn(
    visit: NamedDependency[Visit], number: FromPath[int], data: Sent, measure: FromQuery[str] = ""
) -> object:
    """Withdraw one, with the reason."""
    return visit.change(
        f"withdraw-{number}", data,
        lambda conn: targets.withdraw(conn, visit.actor, number, data.get("reason", "")),
        again=partial(_page, visit, measure),
        then=lambda made: _onward(visit, made, measure),
    )  # fmt: skip


def _onward(visit: Visit, made: Target, measure: str) -> object:
    visit.office.bell.ring()
    query = f"measure={made.measure}&" if measure else ""
    return see_other(f"{URL}?{query}done=saved")


def _page(visit: Visit, measure: str, form: Form) -> Page:
    lang, today = visit.lang, units_read.today()
    own = Resource("dataset", owner_agency=visit.actor.agency_id)
    require(visit.actor, "target.set", own)
    with visit.db.transaction() as conn:
        known = targets.visible(conn, visit.actor)
        chosen = measure if measure in known else ""
        found = [one for one in targets.targets(conn, chosen or None) if one.measure in known]
        province = targets.may_province(conn, visit.actor)
        gone = targets.replaced(found)
        rows = tuple(
            _row(conn, one, found, known, today, lang, _withdraw_url(
                visit.actor, one, known[one.measure], chosen
            ) if one.direction and one.id not in gone and (
                province or one.place != PROVINCE
            ) else None)
            for one in found[::-1][:MOST_ROWS]
        )  # fmt: skip
        mine = {
            name: one for name, one in known.items()
            if _may(visit.actor, one) and chosen in ("", name)
        }  # fmt: skip
        view = TargetsView(
            chosen=chosen,
            title=t("targets.of", lang, name=known[chosen].title[lang])
            if chosen else t("targets.title", lang),
            rows=rows,
            figures=tuple(
                Option(f"{name} {part}", _figure(one, part, lang))
                for name, one in mine.items() for part in one.parts
            ),
            places=_places(conn, lang, province=province),
            grains=tuple(Option(g, t(f"targets.grain_{g}", lang)) for g in GRAINS
                         if any(g in one.grains or any(g in part.sums for part in one.parts.values())
                                for one in mine.values())),
            directions=tuple(Option(d, t(f"targets.direction_{d}", lang))
                             for d in (*DIRECTIONS, TAKES_BACK)),
            form=form,
            today=today,
            province=province,
        )  # fmt: skip
    return visit.show("targets.html", URL, view, title=view.title)


def _may(actor: Actor, one: Measure) -> bool:
    return decide(actor, "target.set", one.dataset.resource).allowed


def _withdraw_url(actor: Actor, one: Target, measure: Measure, chosen: str) -> str | None:
    if not _may(actor, measure):
        return None
    return f"{URL}/{one.id}/withdraw{f'?measure={chosen}' if chosen else ''}"


def _figure(one: Measure, part: str, lang: str) -> str:
    title, of_part = one.title[lang], one.parts[part].title[lang]
    unit = one.parts[part].unit[lang]
    said = title if title == of_part else f"{title} · {of_part}"
    return f"{said} ({unit})" if unit else said


def _places(conn: Connection, lang: str, *, province: bool) -> tuple[Option, ...]:
    """The province, where it is this person's, its agencies, its communes."""
    found, _ = units_read.units(conn, Wanted(units_read.today(), "commune"), limit=MOST_UNITS + 1)
    return (
        *((Option(PROVINCE, t("targets.province", lang)),) if province else ()),
        *(Option(f"agency:{o.value}", o.text) for o in living(conn, lang)),
        *(Option(f"unit:{u.code}", u.name) for u in found if len(found) <= MOST_UNITS),
    )


def _row(
    conn: Connection, one: Target, every: list[Target], known: dict[str, Measure], today: date,
    lang: str, withdraw_url: str | None,
) -> TargetRow:  # fmt: skip
    measure = known[one.measure]
    part = measure.parts.get(one.part)
    return TargetRow(
        measure=measure.title[lang],
        part=part.title[lang] if part and part.title != measure.title else "",
        place=target_words.place_of(conn, one.place, lang),
        grain=t(f"targets.grain_{one.grain}", lang),
        said=target_words.said_of(one, part, lang),
        valid=target_words.valid_of(one, lang),
        ground=one.ground,
        dated=one.ground_date,
        verify=one.verify,
        who=called(one.set_by, one.setter_name, lang),
        at=one.set_at,
        state=_state(one, every, today, lang),
        withdraw_url=withdraw_url,
        form=f"withdraw-{one.id}",
    )


def _state(one: Target, every: list[Target], today: date, lang: str) -> Status:
    figures = (one.measure, one.part, one.place, one.grain)
    alike = [x for x in every if (x.measure, x.part, x.place, x.grain) == figures]
    if counting(alike, today) == one:
        return Status("ok", t("targets.counts", lang))
    over = next((x for x in alike if x.id == targets.replaced(alike).get(one.id)), None)
    if one.direction and over and not over.direction:
        return Status("unknown", t("targets.withdrawn", lang))
    if one.valid_from > today:
        return Status("unknown", t("targets.later", lang))
    if not one.holds(today):
        return Status("unknown", t("targets.ended", lang))
    return Status("unknown", t("targets.replaced" if one.direction else "targets.taken_back", lang))


router = Router(
    "/", route_handlers=[target_list, target_sent, target_withdrawn], include_in_schema=False
)
