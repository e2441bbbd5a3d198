"""What the pages of duty share, and who is on call now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dothi.identity import agencies
from dothi.identity.model import Actor, Agency
from dothi.identity.policy import decide, require
from dothi.ioc.desk import Desk
from dothi.ioc.view import Choice
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.web.view import Level, Status
from dothi.work.duty import brief, log, roster, store
from dothi.work.duty.model import (
    DutyRole,
    Handover,
    OnDuty,
    Turn,
    at,
    duty_of,
)
from dothi.work.duty.roster import hours_text, turn_text

BASE = "/duty"
AHEAD = timedelta(days=7)
"""How far ahead gaps are told."""
DAY = timedelta(days=1)

TOPIC = "duty"


@dataclass(frozen=True)
class Where:
    """The agency whose duty is shown, the others one may look at, the parts of the pages."""

    id: int
    code: str
    name: str
    agencies: tuple[Choice, ...]
    sections: tuple[Choice, ...]


def where(desk: Desk, actor: Actor, lang: str, code: str, part: str, more: str = "") -> Where:
    """The agency asked for; without one the own, or the first that keeps shifts.

    Raises NotFound for one that is not there or whose duty is hidden, and what the policy raises for
    who may see no duty at all.
    """
    kept = desk.duty_agencies(actor)
    with desk.db.transaction() as conn:
        if code:
            found = agencies.find_agency(conn, code) if code.isprintable() else None
            if found is None or found.id is None:
                raise NotFound("identity.not_found")
            require(actor, "duty.read", duty_of(found.id, code))
        else:
            require(actor, "duty.read", duty_of(actor.agency_id or 0))
            found = _first(conn, actor, kept)
    assert found.id is not None
    parts = (("now", ""), ("roster", "/roster"), ("log", "/log"), ("brief", "/brief"))
    return Where(
        found.id,
        found.code,
        found.name(lang),
        tuple(
            Choice(vi if lang == "vi" else en, f"{BASE}{part}?agency={other}{more}",
                   number == found.id)
            for number, other, vi, en in kept
        ) if len(kept) > 1 or (kept and kept[0][0] != found.id) else (),
        tuple(
            Choice(t(f"duty.part_{name}", lang), f"{BASE}{path}?agency={found.code}", path == part)
            for name, path in parts
        ),
    )  # fmt: skip


def _first(conn: Connection, actor: Actor, kept: Iterable[tuple[int, str, str, str]]) -> Agency:
    numbers = [number for number, *_ in kept]
    own = actor.agency_id or 0
    return agencies.get_agency(conn, own if own in numbers or not numbers else numbers[0])


# -- who is on call --------------------------------------------------------------------------------


@dataclass(frozen=True)
class PersonView:
    name: str
    role: str
    active: bool


@dataclass(frozen=True)
class TurnView:
    """A turn with its people; `state` says what is missing."""

    name: str
    hours: str
    start: datetime
    end: datetime
    people: tuple[PersonView, ...]
    state: Status | None


@dataclass(frozen=True)
class HandoverView:
    """A handover; `url`: where the viewer can confirm it."""

    handover: Handover
    title: str
    work: tuple[tuple[str, str, bool], ...]
    url: str | None


@dataclass(frozen=True)
class NowView:
    where: Where
    url: str
    topics: tuple[str, ...]
    now: datetime
    turns: tuple[TurnView, ...]
    ahead: tuple[TurnView, ...]
    mine: tuple[str, ...]
    gaps: tuple[str, ...]
    waiting: tuple[HandoverView, ...]
    brief: Choice | None
    brief_state: Status | None
    kept: bool
    may_edit: bool


def now_view(desk: Desk, actor: Actor, lang: str, place: Where) -> NowView:
    """Who is on call now and next."""
    now = desk.now()
    today = local_date(now, VN)
    with desk.db.transaction() as conn:
        found = roster.read(conn, actor, place.id, today - DAY, today + AHEAD)
        mine = roster.next_turns(conn, actor.account_id, now) if actor.account_id else []
        waiting = [h for h in store.handovers(conn, place.id, now - DAY, now) if not h.taken_at]
        days = brief.days(conn, actor, place.id, 1)
        waiting_views = tuple(handover_view(conn, actor, place, h, lang, now) for h in waiting)
    coming = [turn for turn in found if now < turn.start <= now + DAY]
    day, what = days[0] if days else (None, "")
    return NowView(
        where=place,
        url=f"{BASE}?agency={place.code}",
        topics=(TOPIC,),
        now=now,
        turns=tuple(turn_view(turn, lang) for turn in sorted(at(found, now), key=_called)),
        ahead=tuple(turn_view(turn, lang) for turn in coming),
        mine=tuple(
            t("duty.mine", lang, turn=turn_text(turn, lang), role=role_text(turn.people[0].role, lang))
            for turn in mine[:5]
        ),
        gaps=problems([turn for turn in found if turn.start < now + AHEAD], now, lang),
        waiting=waiting_views,
        brief=Choice(t("duty.brief_of", lang, day=day), brief_url(day, place.code), False)
        if day else None,
        brief_state=brief_state(what, lang) if day else None,
        kept=bool(found),
        may_edit=decide(actor, "duty.roster", duty_of(place.id)).allowed,
    )  # fmt: skip


def on_duty_line(desk: Desk, actor: Actor, lang: str) -> str | None:
    """Who is on duty now in the own agency, or in the first one that keeps shifts: "Đang trực: …".

    None for who may not see it, or where no shifts are kept.
    """
    kept = desk.duty_agencies(actor) if actor.signed_in else ()
    if not kept:
        return None
    number = next((a[0] for a in kept if a[0] == actor.agency_id), kept[0][0])

    def look() -> list[OnDuty]:
        with desk.db.transaction() as conn:
            return roster.on_duty(conn, number, desk.now())

    found = desk.cache.value(("on duty", number), (TOPIC,), look, kept_s=20)
    return t("duty.on_duty", lang, who=names_of(found, lang))


def names_of(found: Iterable[OnDuty], lang: str) -> str:
    """Who is on duty and as what; or that nobody is."""
    names = ", ".join(
        t("duty.person", lang, name=p.name, role=t(f"duty.role_in.{p.role}", lang)) for p in found
    )
    return names or t("duty.nobody", lang)


def problems(found: Iterable[Turn], now: datetime, lang: str) -> tuple[str, ...]:
    """The gaps among turns that are not over, in words."""
    out = []
    for turn in found:
        if turn.end <= now:
            continue
        if turn.empty:
            left = ", ".join(p.name for p in turn.people)
            key = "duty.gap_left" if left else "duty.gap"
            out.append(t(key, lang, turn=turn_text(turn, lang), who=left))
        elif turn.headless:
            out.append(t("duty.headless", lang, turn=turn_text(turn, lang)))
    return tuple(out)


def _called(turn: Turn) -> int:
    """The order in which turns are called: those with a main duty first."""
    order = list(DutyRole)
    return min((order.index(p.role) for p in turn.present), default=len(order))


def turn_view(turn: Turn, lang: str) -> TurnView:
    state = None
    if turn.empty:
        state = Status("warning", t("duty.empty", lang))
    elif turn.headless:
        state = Status("notice", t("duty.no_main", lang))
    return TurnView(
        turn.shift.name, hours_text(turn.shift, lang), turn.start, turn.end,
        tuple(PersonView(p.name, role_text(p.role, lang), p.active) for p in turn.people), state,
    )  # fmt: skip


def handover_view(
    conn: Connection, actor: Actor, place: Where, found: Handover, lang: str, now: datetime
) -> HandoverView:
    may = (
        found.taken_at is None
        and decide(actor, "duty.log", duty_of(place.id)).allowed
        and log.taking(conn, actor, place.id, found, now) is not None
    )
    return HandoverView(
        found,
        t("duty.handover_of", lang, shift=found.shift, day=found.day),
        tuple((w["code"], w["title"][lang], w["late"]) for w in found.open_work),
        f"{BASE}/log/accept?agency={place.code}" if may else None,
    )


def role_text(role: DutyRole, lang: str) -> str:
    return t(f"duty.role.{role}", lang)


def brief_url(day: date, agency: str) -> str:
    return f"{BASE}/brief/{day.isoformat()}?agency={agency}"


def brief_state(what: str, lang: str) -> Status:
    """Generated, edited or published, as screens draw it."""
    levels: dict[str, Level] = {"published": "ok", "edited": "notice"}
    return Status(levels.get(what, "unknown"), t(f"duty.state.{what}", lang))
