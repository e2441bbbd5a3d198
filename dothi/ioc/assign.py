"""Giving a number to an agency: the form, what it was sent with, and the work item it opens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc import figure, overview
from dothi.ioc import overview_view as o
from dothi.ioc.desk import Desk
from dothi.ioc.span import Span
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item

USUAL_DEADLINE = timedelta(days=1)
LEAST = timedelta(minutes=30)
MOST = timedelta(days=366)
LONGEST_NOTE = 2_000
_INPUT = "%Y-%m-%dT%H:%M"


def form(
    desk: Desk, actor: Actor, lang: str, span: Span, key: str, thing: int | None,
    sent: Mapping[str, str] | None = None, error: Invalid | None = None,
) -> o.AssignView:  # fmt: skip
    """The form for a number; with what was sent and what was wrong with it.

    Raises NotFound for a number that is not there, Forbidden for who may open no work items.
    """
    _may(actor)
    subject = figure.subject(desk, actor, span, key, thing)
    sent = sent or {}
    with desk.db.transaction() as conn:
        choices = _agencies(conn, actor, lang)
    now = desk.now().astimezone(VN)
    due = (now + USUAL_DEADLINE).replace(minute=0)
    wanted = sent.get("agency", "")
    return o.AssignView(
        action=overview.url("assign", key=key, thing=thing, r=span.name),
        title=subject.title[lang],
        about=subject.detail[lang],
        agencies=tuple((code, name, code == wanted) for code, name in choices),
        due=sent.get("due") or due.strftime(_INPUT),
        least=(now + LEAST).strftime(_INPUT),
        note=sent.get("note", ""),
        severity=sent.get("severity", Severity.NOTICE.name.lower()),
        severities=tuple((s.name.lower(), t(f"overview.severity_{s.name.lower()}", lang))
                         for s in Severity),
        faults={f.where: f.text(lang) for f in error.faults} if error else {},
        back_url=overview.url(r=span.name),
    )  # fmt: skip


def give(
    desk: Desk, actor: Actor, span: Span, key: str, thing: int | None, sent: Mapping[str, str]
) -> str:
    """Open a work item for the number; its code. The same number given to the same agency again
    joins the item that is open. Raises Invalid with every fault."""
    _may(actor)
    subject = figure.subject(desk, actor, span, key, thing)
    now = desk.now()
    faults: list[Fault] = []
    due = _due(sent.get("due", ""), now, faults)
    note = sent.get("note", "").strip()
    if not note:
        faults.append(Fault("note", "overview.note_missing"))
    elif len(note) > LONGEST_NOTE:
        faults.append(Fault("note", "overview.note_long", {"most": LONGEST_NOTE}))
    names = {s.name.lower(): s for s in Severity}
    severity = names.get(sent.get("severity", ""), Severity.NOTICE)
    with desk.db.transaction() as conn:
        agency = agencies.agency_id(conn, sent.get("agency", ""))
        if agency is None:
            faults.append(Fault("agency", "overview.agency_missing"))
        if faults or agency is None or due is None:
            raise Invalid("overview.assign_invalid", faults=faults)
        opened = open_item(
            conn,
            actor,
            Opening(
                kind="task",
                title=subject.title,
                detail={lang: f"{note}\n{text}" for lang, text in subject.detail.items()},
                severity=severity,
                agency_id=agency,
                service=subject.service,
                place=subject.place,
                source=subject.source,
                dedupe_key=f"given:{key}:{subject.source.get('thing', '')}:{agency}",
                budget=due - now,
                calendar="always",
                note=note,
            ),
            now=now,
        )
    desk.ring()
    return opened.code


def _may(actor: Actor) -> None:
    require(actor, "work.open", Resource("work", owner_agency=actor.agency_id))


def _agencies(conn: Connection, actor: Actor, lang: str) -> list[tuple[str, str]]:
    """The agencies of today that this person may open work for."""
    today = local_date(datetime.now(VN), VN)

    def may(agency: Any) -> bool:
        return decide(actor, "work.open", Resource("work", owner_agency=agency.id)).allowed

    listed = [a for a in agencies.agencies(conn, today) if may(a)]
    return sorted(((a.code, a.name(lang)) for a in listed), key=lambda pair: pair[1])


def _due(text: str, now: datetime, faults: list[Fault]) -> datetime | None:
    try:
        due = datetime.strptime(text, _INPUT).replace(tzinfo=VN)
    except ValueError:
        faults.append(Fault("due", "overview.due_shape"))
        return None
    if not now + LEAST - timedelta(minutes=5) <= due <= now + MOST:
        faults.append(Fault("due", "overview.due_range"))
        return None
    return due
