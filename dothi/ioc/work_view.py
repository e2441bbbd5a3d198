"""Work items on screens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from dothi.identity.model import Actor
from dothi.ioc import view as v
from dothi.kernel.i18n import number, t
from dothi.web.view import Status
from dothi.work import words
from dothi.work.model import OPEN, FullItem, Item, Move, State
from dothi.work.service import needs_note, possible

OFFERED = (
    Move.ACCEPT, Move.START, Move.DONE, Move.VERIFY, Move.RESUME, Move.PAUSE, Move.REFUSE,
    Move.RETURN, Move.CANCEL,
)  # fmt: skip


def rows_of(
    actor: Actor, items: Iterable[Item], now: datetime, lang: str, *, most_actions: int = 2
) -> tuple[v.WorkRow, ...]:
    """Rows of a list, each with the first things that this person may do."""
    return tuple(row_of(actor, item, now, lang, most_actions=most_actions) for item in items)


def row_of(
    actor: Actor, item: Item, now: datetime, lang: str, *, most_actions: int = 9
) -> v.WorkRow:
    """One row."""
    open_ = item.closed_at is None
    return v.WorkRow(
        code=item.code,
        kind=words.kind_text(item.kind, lang),
        title=item.title[lang],
        agency=item.agency[lang],
        state=Status(words.level(item), words.state_text(item, lang)),
        url=f"/work/{item.code}",
        opened_at=item.opened_at,
        place=item.place,
        due_at=item.due_at if open_ else None,
        left=item.left_by_calendar(now) if open_ and item.due_at else None,
        used=min(max(item.share_used(now), 0.0), 1.0) if open_ else None,
        paused=item.paused,
        actions=_actions(actor, item, lang)[:most_actions],
    )


def _actions(actor: Actor, item: Item, lang: str) -> tuple[v.Action, ...]:
    may = set(possible(actor, item))
    return tuple(
        v.Action(
            words.move_text(move, lang),
            f"/work/{item.code}/{move}?version={item.version}",
            primary=words.is_primary(move),
            reason_label=words.note_label(move, lang) if needs_note(item, move) else None,
        )
        for move in OFFERED
        if move in may
    )


def page_of(actor: Actor, full: FullItem, now: datetime, lang: str) -> v.WorkView:
    """One item with its clock, ladder and history."""
    item = full.item
    facts = [
        v.Fact(t("work.fact.agency", lang), item.agency[lang]),
        v.Fact(
            t("work.fact.assignee", lang), item.assignee_name or t("work.fact.unassigned", lang)
        ),
        v.Fact(t("work.fact.budget", lang), words.budget_text(item, lang)),
        v.Fact(t("work.fact.deadline", lang), words.deadline_text(item, now, lang)),
    ]
    if item.raised > 1:
        facts.append(v.Fact(t("work.fact.raised", lang), number(item.raised, lang)))
    return v.WorkView(
        url=f"/work/{item.code}",
        topics=("work",),
        row=row_of(actor, item, now, lang),
        summary=item.detail.get(lang, ""),
        facts=tuple(facts),
        rungs=tuple(
            v.Rung(words.rung_text(r, lang), at, r.fired_at)
            for r in full.rungs
            if (at := r.due_at or r.fired_at) is not None
        ),
        history=tuple(
            v.Event(
                line.at,
                words.actor_text(line, lang),
                words.history_text(line, lang),
                line.note,
                "notice" if line.what == "rung" else "unknown",
            )
            for line in full.history
        ),
    )


def list_url(asked: Mapping[str, object], **other: object) -> str:
    """The list with what is asked for, something of it changed; what is empty is left out."""
    said = {name: value for name, value in {**asked, **other}.items() if value not in ("", None)}
    return f"/work?{urlencode(said)}" if said else "/work"


def narrowed(asked: Mapping[str, object], names: Iterable[str], lang: str) -> tuple[v.Choice, ...]:
    """Of which service or agency the list is, and the way to that of all; empty for the latter."""
    said = " · ".join(names)
    if not said:
        return ()
    every = list_url(asked, service="", agency="")
    return v.Choice(t("ioc.work_everywhere", lang), every), v.Choice(said, list_url(asked), True)


def state_choices(asked: Mapping[str, object], lang: str) -> tuple[v.Choice, ...]:
    """The filter by state above the list."""
    state = asked["state"]
    every = v.Choice(t("common.all", lang), list_url(asked, state=""), not state)
    return (
        every,
        *(
            v.Choice(t(f"work.state.{one}", lang), list_url(asked, state=str(one)), state == one)
            for one in State
            if one in OPEN
        ),
    )
