"""The roster of a week: who is in which turn, what is missing, and the forms to change it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.ioc.admin.office import EMPTY, Form, Option
from dothi.ioc.desk import Desk
from dothi.ioc.duty import BASE, DAY, TurnView, Where, problems, role_text, turn_view
from dothi.ioc.tables import Sheet
from dothi.kernel import workdays
from dothi.kernel.i18n import date as date_text
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date
from dothi.work.duty import roster, store
from dothi.work.duty.model import (
    Change,
    Copy,
    Days,
    DutyRole,
    Person,
    Shift,
    Turn,
    duty_of,
    week_of,
)
from dothi.work.duty.roster import hours_text, turn_text

HISTORY = 20
"""Changes of the roster that the page tells."""


@dataclass(frozen=True)
class DayHead:
    """A day of the week's table; `note` names a holiday or a day worked in exchange."""

    day: date
    weekday: str
    note: str
    off: bool
    today: bool


@dataclass(frozen=True)
class Cell:
    """A shift's turn on a day; None as `turn`: it does not begin on that day."""

    label: str
    turn: TurnView | None


@dataclass(frozen=True)
class ShiftRow:
    shift: Shift
    hours: str
    days: str
    valid: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ChangeLine:
    at: datetime
    who: str
    text: str
    reason: str


@dataclass(frozen=True)
class CopyView:
    """What copying would do, in words."""

    to: date
    people: tuple[str, ...]
    skipped: tuple[str, ...]
    already: int


@dataclass(frozen=True)
class RosterView:
    where: Where
    monday: date
    title: str
    before_url: str
    after_url: str
    this_url: str
    heads: tuple[DayHead, ...]
    rows: tuple[ShiftRow, ...]
    problems: tuple[str, ...]
    may_edit: bool
    shifts: tuple[Option, ...]
    days: tuple[Option, ...]
    people: tuple[Option, ...]
    roles: tuple[Option, ...]
    places: tuple[Option, ...]
    others: tuple[Option, ...]
    kinds: tuple[Option, ...]
    copy: CopyView | None
    changes: tuple[ChangeLine, ...]
    form: Form
    today: date
    file_url: str


def roster_view(
    desk: Desk, actor: Actor, lang: str, place: Where, monday: date, *,
    copying: bool = False, form: Form = EMPTY,
) -> RosterView:  # fmt: skip
    """The roster of a week, with its forms for who may change it."""
    now = desk.now()
    today, sunday = local_date(now, VN), monday + timedelta(days=6)
    may = decide(actor, "duty.roster", duty_of(place.id)).allowed
    with desk.db.transaction() as conn:
        found = roster.read(conn, actor, place.id, monday, sunday)
        kept = store.shifts(conn, place.id, monday, sunday)
        staff = store.staff(conn, place.id) if may else []
        changes = store.changes(conn, place.id, HISTORY)
        plan = roster.copy_plan(conn, actor, place.id, monday, now=now) if copying else None
    days = [monday + timedelta(days=n) for n in range(7)]
    heads = tuple(_head(day, today, lang) for day in days)
    open_ = [turn for turn in found if turn.end > now]
    slots = [(turn, p) for turn in open_ for p in turn.people]
    people = tuple(Option(str(number), name) for number, name in staff)
    places = tuple(Option(slot_of(turn, p), _slot_text(turn, p, lang)) for turn, p in slots)
    return RosterView(
        where=place,
        monday=monday,
        title=t("duty.week", lang, first=monday, last=sunday),
        before_url=_week_url(place, monday - roster.WEEK),
        after_url=_week_url(place, monday + roster.WEEK),
        this_url=_week_url(place, week_of(today)),
        heads=heads,
        rows=tuple(_row(shift, found, days, lang) for shift in kept),
        problems=problems(found, now, lang),
        may_edit=may,
        shifts=tuple(Option(str(s.id), f"{s.name} ({hours_text(s, lang)})") for s in kept),
        days=tuple(
            Option(day.isoformat(), f"{_weekday(day, lang)} {day:%d/%m}")
            for day in days
            if any(turn.day == day for turn in open_)
        ),
        people=people,
        roles=tuple(Option(role.value, role_text(role, lang)) for role in DutyRole),
        places=places,
        others=(*places, *(Option(f"person:{p.value}", t("duty.other", lang, name=p.text))
                           for p in people)),
        kinds=tuple(Option(d.value, t(f"duty.days.{d}", lang)) for d in Days),
        copy=_copy(plan, monday, kept, lang) if plan else None,
        changes=tuple(_change(change, lang) for change in changes),
        form=form,
        today=today,
        file_url=f"{BASE}/roster/file?agency={place.code}&week={monday}",
    )  # fmt: skip


def sheet(desk: Desk, actor: Actor, lang: str, place: Where, monday: date) -> Sheet:
    """The roster of a week as a table."""
    with desk.db.transaction() as conn:
        found = roster.read(conn, actor, place.id, monday, monday + timedelta(days=6))
    columns = ("day", "shift", "begins", "ends", "role", "person")
    rows = [
        (turn.day, turn.shift.name, f"{turn.shift.begins:%H:%M}", f"{turn.shift.ends:%H:%M}",
         role_text(p.role, lang) if p else "", p.name if p else t("duty.nobody", lang))
        for turn in found
        for p in (turn.present or (None,))
    ]  # fmt: skip
    return Sheet(
        t("duty.part_roster", lang), tuple(t(f"duty.column_{name}", lang) for name in columns),
        tuple(rows),
    )  # fmt: skip


def slot_of(turn: Turn, person: Person) -> str:
    """One person's place in one turn, as a form sends it."""
    return f"slot:{turn.shift.id}:{turn.day.isoformat()}:{person.account_id}"


def _slot_text(turn: Turn, person: Person, lang: str) -> str:
    return t(
        "duty.slot",
        lang,
        turn=turn_text(turn, lang),
        name=person.name,
        role=role_text(person.role, lang),
    )


def _week_url(place: Where, monday: date) -> str:
    return f"{BASE}/roster?agency={place.code}&week={monday.isoformat()}"


def _head(day: date, today: date, lang: str) -> DayHead:
    known = workdays.day(day)
    return DayHead(
        day, _weekday(day, lang), known.name[lang] if known.name else "", not known.working,
        day == today,
    )  # fmt: skip


def _weekday(day: date, lang: str) -> str:
    return t(f"duty.weekday_{day.weekday()}", lang)


def _row(shift: Shift, found: list[Turn], days: list[date], lang: str) -> ShiftRow:
    theirs = {turn.day: turn for turn in found if turn.shift.id == shift.id}
    until = date_text(shift.valid_to - DAY, lang) if shift.valid_to else t("duty.no_end", lang)
    return ShiftRow(
        shift,
        hours_text(shift, lang),
        t(f"duty.days.{shift.days}", lang),
        f"{date_text(shift.valid_from, lang)} – {until}",
        tuple(
            Cell(
                f"{_weekday(day, lang)} {day:%d/%m}",
                turn_view(theirs[day], lang) if day in theirs else None,
            )
            for day in days
        ),
    )


def _copy(plan: Copy, monday: date, kept: list[Shift], lang: str) -> CopyView:
    shifts = {shift.id: shift for shift in kept}

    def said(person: Person) -> str:
        shift = shifts.get(person.shift_id)
        name = shift.name if shift else ""
        return f"{_weekday(person.day, lang)} {person.day:%d/%m} · {name}: {person.name}"

    skipped = [
        t(
            "duty.copy_clash",
            lang,
            name=c.name,
            one=turn_text(c.first, lang),
            other=turn_text(c.second, lang),
        )
        for c in plan.clashes
    ]
    skipped += [t("duty.copy_left", lang, who=said(p)) for p in plan.left]
    skipped += [t("duty.copy_missing", lang, who=said(p)) for p in plan.missing]
    people = sorted(plan.people, key=lambda p: (p.day, p.shift_id, p.name))
    return CopyView(
        monday + roster.WEEK, tuple(said(p) for p in people), tuple(skipped), plan.already
    )


def _change(change: Change, lang: str) -> ChangeLine:
    said = change.detail
    if change.what == "swapped":
        text = t("duty.change.swapped", lang, one=_place(said["one"], lang),
                 other=_place(said["other"], lang))  # fmt: skip
    elif change.what == "copied":
        text = t("duty.change.copied", lang, day=date.fromisoformat(said["week"]), n=said["count"])
    elif change.what == "brought":
        text = t("duty.change.brought", lang, file=said["file"], added=said["added"],
                 removed=said["removed"], changed=said["changed"])  # fmt: skip
    else:
        text = t(
            f"duty.change.{change.what}", lang, name=said.get("name", ""),
            turn=_place(said | {"name": ""}, lang),
        )  # fmt: skip
    name = t("work.by_system", lang) if change.actor == "system" else change.actor_name
    return ChangeLine(change.at, name, text, change.reason)


def _place(said: dict[str, str], lang: str) -> str:
    day = said.get("day") or said.get("from")
    when = date_text(date.fromisoformat(day), lang) if day else ""
    text = f"{said['shift']} {when} ({said['begins']}–{said['ends']})"
    return f"{said['name']}, {text}" if said.get("name") else text
