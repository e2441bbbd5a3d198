"""The shift log of a day: its entries, what can be pulled in, the handovers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from dothi.identity.model import Actor
from dothi.ioc import duty_brief
from dothi.ioc.admin.office import EMPTY, Form, Option
from dothi.ioc.desk import Desk
from dothi.ioc.duty import BASE, DAY, HandoverView, Where, handover_view, names_of
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, day_bounds, local_date
from dothi.work.duty import log, roster, store
from dothi.work.duty.log import Candidate
from dothi.work.duty.model import (
    Entry,
    EntryKind,
    OnDuty,
)


@dataclass(frozen=True)
class EntryView:
    entry: Entry
    kind: str
    text: str
    who: str
    auto: bool


@dataclass(frozen=True)
class LogView:
    where: Where
    day: date
    before_url: str
    after_url: str | None
    today_url: str
    turns: tuple[str, ...]
    entries: tuple[EntryView, ...]
    may_write: bool
    closed: str
    kinds: tuple[Option, ...]
    candidates: tuple[tuple[Candidate, str], ...]
    handovers: tuple[HandoverView, ...]
    handing: OnDuty | None
    proposal: str
    form: Form
    now: datetime


def log_view(
    desk: Desk, actor: Actor, lang: str, place: Where, day: date, *, form: Form = EMPTY
) -> LogView:
    """The log of a day, with its forms for who is on duty; for others why there are none."""
    now = desk.now()
    today = local_date(now, VN)
    since, until = day_bounds(day, VN)
    with desk.db.transaction() as conn:
        found = roster.read(conn, actor, place.id, day - DAY, day)
        entries = log.read(conn, actor, place.id, since, until)
        may = day == today and log.may_write(conn, actor, place.id, now)
        handovers = [
            h for h in store.handovers(conn, place.id, since, until)
            if day == today or h.at >= since
        ]  # fmt: skip
        handing = log.leaving(conn, actor, place.id, now) if may else None
        if handing and any(
            (h.shift_id, h.day) == (handing.shift_id, handing.day) for h in handovers
        ):
            handing = None
        views = tuple(handover_view(conn, actor, place, h, lang, now) for h in handovers)
        work = log.open_work(conn, actor, now) if handing else []
        there = roster.on_duty(conn, place.id, now)
    closed = ""
    if not may:
        closed = t("duty.log_closed", lang, who=names_of(there, lang))
        if day != today:
            closed = t("duty.log_closed_day", lang)
    pulled = candidates(desk, actor, place, since, now) if may else []
    return LogView(
        where=place,
        day=day,
        before_url=_log_url(place, day - DAY),
        after_url=_log_url(place, day + DAY) if day < today else None,
        today_url=_log_url(place, today),
        turns=tuple(
            f"{turn.day:%d/%m} · {duty_brief.turn_line(turn, lang)}"
            for turn in found
            if turn.start < until and turn.end > since
        ),
        entries=tuple(_entry(entry, lang) for entry in entries),
        may_write=may,
        closed=closed,
        kinds=tuple(
            Option(k.value, t(f"duty.kind.{k}", lang))
            for k in (EntryKind.EVENT, EntryKind.DIRECTIVE)
        ),
        candidates=tuple((one, one.text[lang]) for one in pulled),
        handovers=views,
        handing=handing,
        proposal=_proposal(handing, entries, work, lang) if handing else "",
        form=form,
        now=now,
    )


def candidates(
    desk: Desk, actor: Actor, place: Where, since: datetime, now: datetime
) -> list[Candidate]:
    """What happened by itself and is not in the log yet."""
    quiet = duty_brief.silent_candidates(desk, actor, since, now)
    with desk.db.transaction() as conn:
        return log.candidates(conn, actor, place.id, since, now, quiet)


def _proposal(there: OnDuty, entries: list[Entry], work: list[dict[str, object]], lang: str) -> str:
    theirs = [e for e in entries if e.at >= there.since and e.corrected_by is None]
    important = [e for e in theirs if e.important]
    late = sum(bool(w["late"]) for w in work)
    lines = [t("duty.proposal", lang, n=len(theirs), important=len(important), open=len(work),
               late=late)]  # fmt: skip
    lines += [f"- {e.text[lang]}" for e in important]
    return "\n".join(lines)


def _entry(entry: Entry, lang: str) -> EntryView:
    return EntryView(
        entry, t(f"duty.kind.{entry.kind}", lang), entry.text[lang], entry.actor_name,
        entry.source is not None and not entry.source.startswith("handover:"),
    )  # fmt: skip


def _log_url(place: Where, day: date) -> str:
    return f"{BASE}/log?agency={place.code}&day={day.isoformat()}"
