"""The addresses of duty: who is on call, the roster, the log, the morning brief."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, TypeVar

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody

from dothi.documents import official
from dothi.identity.model import Actor
from dothi.ioc import duty, duty_document, duty_log, duty_roster, tables
from dothi.ioc.admin.office import Form, answered, chosen, refused
from dothi.ioc.data_pages import attached
from dothi.ioc.desk import Desk
from dothi.ioc.duty import BASE, Where
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.work.duty import brief, log, roster
from dothi.work.duty.log import NewEntry
from dothi.work.duty.model import Days, DutyRole, EntryKind, week_of
from dothi.work.duty.roster import NewShift, Slot

Sent = URLEncodedBody[dict[str, str]]
Page = Response[str]
Asked = Request[Any, Any, Any]
TheActor = NamedDependency[Actor]
TheSite = NamedDependency[Site]
TheDesk = NamedDependency[Desk]
Code = Annotated[str, QueryParameter(name="agency")]
Act = Callable[[Connection, Actor, int, Mapping[str, str]], object]

Kind = TypeVar("Kind", DutyRole, EntryKind, Days)

FIRST, LAST = date(2001, 1, 1), date(2099, 12, 1)
"""Days that the pages look at: those of which the working calendar knows."""


@dataclass(frozen=True)
class _Visit:
    """Somebody asking for a page of duty."""

    request: Asked
    actor: Actor
    site: Site
    desk: Desk
    place: Where

    @property
    def lang(self) -> str:
        return lang_of(self.request)

    def page(self, template: str, title: str, view: object) -> Page:
        shell = self.site.shell(self.request, t(title, self.lang), BASE)
        return self.site.page(self.request, f"duty/{template}", shell, view)

    def act(
        self,
        act: Act,
        name: str,
        sent: Mapping[str, str],
        again: Callable[[Form], Page],
        back: str | Callable[[Any], str],
    ) -> Any:
        """Do what a form asks, and look at the page again, or at the one that `back` names for what
        was done; where it cannot be done, the form as it was sent, with what is wrong beside its
        fields."""
        try:
            with self.desk.db.transaction() as conn:
                done = act(conn, self.actor, self.place.id, sent)
        except (Invalid, Conflict) as error:
            return answered(again(refused(name, sent, error, self.lang)), error)
        self.desk.ring()
        return see_other(f"{back}&done=saved" if isinstance(back, str) else back(done))


def _visit(request: Asked, actor: Actor, site: Site, desk: Desk, agency: str, part: str) -> _Visit:
    place = duty.where(desk, actor, lang_of(request), agency, part)
    return _Visit(request, actor, site, desk, place)


# -- who is on call --------------------------------------------------------------------------------


@get(BASE, opt={"access": "duty.read"}, sync_to_thread=True)
def now_page(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, agency: Code = ""
) -> Page:
    """Who is on call now and next."""
    visit = _visit(request, actor, site, desk, agency, "")
    view = duty.now_view(desk, actor, visit.lang, visit.place)
    if "hx-request" in request.headers:
        return site.fragment(request, "duty/now_panels.html", view)
    return visit.page("now.html", "duty.title", view)


# -- the roster ------------------------------------------------------------------------------------


@get(f"{BASE}/roster", opt={"access": "duty.read"}, sync_to_thread=True)
def roster_page(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, agency: Code = "",
    week: FromQuery[str] = "", copy: FromQuery[bool] = False,
) -> Page:  # fmt: skip
    """The roster of a week; with `copy`, what copying it forward would do."""
    visit = _visit(request, actor, site, desk, agency, "/roster")
    return _roster(visit, _monday(week, desk), copying=copy)


def _roster(
    visit: _Visit, monday: date, *, copying: bool = False, form: Form | None = None
) -> Page:
    view = duty_roster.roster_view(
        visit.desk, visit.actor, visit.lang, visit.place, monday, copying=copying,
        **({"form": form} if form else {}),
    )  # fmt: skip
    return visit.page("roster.html", "duty.part_roster", view)


@get(f"{BASE}/roster/file", opt={"access": "duty.read"}, sync_to_thread=True)
def roster_file(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, agency: Code = "",
    week: FromQuery[str] = "", form: Annotated[str, QueryParameter(name="format")] = "csv",
) -> Response[Any]:  # fmt: skip
    """The roster of a week as CSV or XLSX."""
    visit = _visit(request, actor, site, desk, agency, "/roster")
    kinds: dict[str, tables.Format] = {known: known for known in tables.FORMATS}
    kind = kinds.get(form)
    if kind is None:
        raise NotFound("web.no_page")
    monday = _monday(week, desk)
    sheet = duty_roster.sheet(desk, actor, visit.lang, visit.place, monday)
    content = io.BytesIO(tables.written((sheet,), kind))
    name = f"lich-truc-{visit.place.code}-{monday.isoformat()}.{kind}"
    return attached(content, tables.MEDIA[kind], name)


@post(
    f"{BASE}/roster/{{what:str}}", opt={"access": "duty.roster"}, status_code=303,
    sync_to_thread=True,
)  # fmt: skip
def roster_act(
    request: Asked, what: FromPath[str], data: Sent, actor: TheActor, site: TheSite, desk: TheDesk,
    agency: Code = "", week: FromQuery[str] = "",
) -> Any:  # fmt: skip
    """Change shifts, or who is in them."""
    visit = _visit(request, actor, site, desk, agency, "/roster")
    act = _ROSTER_ACTS.get(what)
    if act is None:
        raise NotFound("web.no_page")
    monday = _monday(week, desk)
    sent = {**data, "week": monday.isoformat()}
    back = f"{BASE}/roster?agency={visit.place.code}&week={monday.isoformat()}"
    if what == "copy":
        back = back.replace(monday.isoformat(), (monday + roster.WEEK).isoformat())
    name = f"{what}.{data.get('shift', '')}" if what in ("change-shift", "end-shift") else what
    return visit.act(act, name, sent, lambda form: _roster(visit, monday, form=form), back)


def _assign(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    """Put somebody into a shift on the days that were ticked: into all of them or into none."""
    days = [_day(text, "days") for text in chosen(sent, "days")]
    faults: list[Fault] = []
    if not days:
        faults.append(Fault("days", "duty.no_days"))
    for day in sorted(days):
        try:
            roster.assign(
                conn, actor, agency, _number(sent, "shift"), day, _number(sent, "person"),
                _choice(DutyRole, sent, "role"),
            )  # fmt: skip
        except Conflict as error:
            faults.append(Fault("days", error.key, error.params))
    if faults:
        raise Invalid("duty.invalid", faults=faults)


def _remove(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    slot = _slot(sent, "place")
    roster.remove(conn, actor, agency, slot.shift_id, slot.day, slot.account)


def _swap(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    """Two people swap, or somebody who has no turn takes one's place."""
    one, reason = _slot(sent, "place"), sent.get("reason", "")
    other = sent.get("other", "")
    if other.startswith("person:"):
        person = _number({"other": other.removeprefix("person:")}, "other")
        roster.substitute(conn, actor, agency, one, person, reason)
    else:
        roster.swap(conn, actor, agency, one, _slot(sent, "other"), reason)


def _copy_week(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    roster.copy_week(conn, actor, agency, _day(sent["week"], "week"))


def _add_shift(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    roster.add_shift(conn, actor, agency, _new_shift(sent))


def _change_shift(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    roster.change_shift(conn, actor, agency, _number(sent, "shift"), _new_shift(sent))


def _end_shift(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    day = _day(sent.get("from", ""), "from")
    roster.end_shift(conn, actor, agency, _number(sent, "shift"), day)


_ROSTER_ACTS: Mapping[str, Act] = {
    "assign": _assign,
    "remove": _remove,
    "swap": _swap,
    "copy": _copy_week,
    "add-shift": _add_shift,
    "change-shift": _change_shift,
    "end-shift": _end_shift,
}


# -- the log ---------------------------------------------------------------------------------------


@get(f"{BASE}/log", opt={"access": "duty.read"}, sync_to_thread=True)
def log_page(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, agency: Code = "",
    day: FromQuery[str] = "",
) -> Page:  # fmt: skip
    """The shift log of a day."""
    visit = _visit(request, actor, site, desk, agency, "/log")
    return _log(visit, _shown(day, desk))


def _log(visit: _Visit, day: date, form: Form | None = None) -> Page:
    more = {"form": form} if form else {}
    view = duty_log.log_view(visit.desk, visit.actor, visit.lang, visit.place, day, **more)
    return visit.page("log.html", "duty.part_log", view)


@post(f"{BASE}/log/{{what:str}}", opt={"access": "duty.log"}, status_code=303, sync_to_thread=True)
def log_act(
    request: Asked, what: FromPath[str], data: Sent, actor: TheActor, site: TheSite, desk: TheDesk,
    agency: Code = "",
) -> Any:  # fmt: skip
    """Write in the log, correct it, pull into it, hand over, take over."""
    visit = _visit(request, actor, site, desk, agency, "/log")
    acts: dict[str, Act] = {
        "write": lambda *told: _write(visit, *told), "correct": _correct, "pull": lambda *told: _pull(visit, *told),
        "hand-over": _hand_over, "accept": _accept,
    }  # fmt: skip
    if what not in acts:
        raise NotFound("web.no_page")
    today = local_date(desk.now(), VN)
    back = f"{BASE}/log?agency={visit.place.code}"
    name = f"correct.{data.get('entry', '')}" if what == "correct" else what

    def written(day: date) -> str:
        """The page of the day on which the entry stands."""
        return f"{back}&done=saved" if day == today else f"{back}&day={day}&done=written_before"

    again = lambda form: _log(visit, today, form)  # noqa: E731
    return visit.act(acts[what], name, data, again, written if what == "write" else back)


def _write(
    visit: _Visit, conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]
) -> date:
    """Write an entry; on which day it stands."""
    now = visit.desk.now()
    at = _moment(sent.get("at", ""), now) or now
    log.write(
        conn, actor, agency,
        NewEntry(
            kind=_choice(EntryKind, sent, "kind"), text=sent.get("text", ""),
            at=at, important="important.yes" in sent, link=sent.get("link", ""),
        ),
        now=now,
    )  # fmt: skip
    return local_date(at, VN)


def _correct(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    log.correct(conn, actor, agency, _number(sent, "entry"), sent.get("text", ""))


def _pull(
    visit: _Visit, conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]
) -> None:
    log.writer(conn, actor, agency, visit.desk.now())
    now = visit.desk.now()
    since = now.astimezone(VN).replace(hour=0, minute=0, second=0, microsecond=0)
    wanted = set(chosen(sent, "source"))
    found = duty_log.candidates(visit.desk, actor, visit.place, since, now)
    log.pull(conn, actor, agency, [one for one in found if one.source in wanted])


def _hand_over(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    log.hand_over(conn, actor, agency, sent.get("summary", ""))


def _accept(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
    log.take_over(conn, actor, agency, _number(sent, "handover"), sent.get("note", ""))


# -- the brief -------------------------------------------------------------------------------------


@get(f"{BASE}/brief", opt={"access": "duty.read"}, sync_to_thread=True)
def brief_newest(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, agency: Code = ""
) -> Any:
    """The newest morning brief; that there is none yet."""
    visit = _visit(request, actor, site, desk, agency, "/brief")
    with desk.db.transaction() as conn:
        days = brief.days(conn, actor, visit.place.id, 1)
    if days:
        return see_other(duty.brief_url(days[0][0], visit.place.code))
    return visit.page("no_brief.html", "duty.part_brief", visit.place)


@get(f"{BASE}/brief/{{day:str}}", opt={"access": "duty.read"}, sync_to_thread=True)
def brief_page(
    request: Asked, day: FromPath[str], actor: TheActor, site: TheSite, desk: TheDesk,
    agency: Code = "", version: FromQuery[int | None] = None, edit: FromQuery[bool] = False,
) -> Page:  # fmt: skip
    """The morning brief of a day."""
    visit = _visit(request, actor, site, desk, agency, "/brief")
    return _brief(visit, _brief_day(day), no=version, editing=edit)


def _brief(
    visit: _Visit, day: date, *, no: int | None = None, editing: bool = False,
    form: Form | None = None,
) -> Page:  # fmt: skip
    more = {"form": form} if form else {}
    view = duty_document.brief_view(
        visit.desk, visit.actor, visit.lang, visit.place, day, no=no, editing=editing, **more
    )
    return visit.page("brief.html", "duty.part_brief", view)


@get(f"{BASE}/brief/{{day:str}}/file", opt={"access": "duty.read"}, sync_to_thread=True)
def brief_file(
    request: Asked, day: FromPath[str], actor: TheActor, site: TheSite, desk: TheDesk,
    agency: Code = "", version: FromQuery[int | None] = None,
) -> Response[Any]:  # fmt: skip
    """The morning brief of a day as a document."""
    visit = _visit(request, actor, site, desk, agency, "/brief")
    view = duty_document.brief_view(
        desk, actor, "vi", duty.where(desk, actor, "vi", visit.place.code, "/brief"),
        _brief_day(day), no=version,
    )  # fmt: skip
    content = io.BytesIO(official.written(duty_document.official_of(view)))
    name = f"ban-tin-sang-{visit.place.code}-{day}.docx"
    return attached(content, official.MEDIA_TYPE, name)


@post(
    f"{BASE}/brief/{{day:str}}/{{what:str}}", opt={"access": "duty.log"}, status_code=303,
    sync_to_thread=True,
)  # fmt: skip
def brief_act(
    request: Asked, day: FromPath[str], what: FromPath[str], data: Sent, actor: TheActor,
    site: TheSite, desk: TheDesk, agency: Code = "",
) -> Any:  # fmt: skip
    """Save the brief as it was edited, or publish it."""
    visit = _visit(request, actor, site, desk, agency, "/brief")
    if what not in ("save", "publish"):
        raise NotFound("web.no_page")
    on = _brief_day(day)

    def act(conn: Connection, actor: Actor, agency: int, sent: Mapping[str, str]) -> None:
        version = _number(sent, "version")
        if what == "save":
            brief.save(conn, actor, agency, on, version, sent)
        else:
            brief.publish(conn, actor, agency, on, version)

    again = lambda form: _brief(visit, on, editing=what == "save", form=form)  # noqa: E731
    return visit.act(act, what, data, again, duty.brief_url(on, visit.place.code))


# -- what forms and addresses hold -----------------------------------------------------------------


def _monday(text: str, desk: Desk) -> date:
    return week_of(_shown(text, desk))


def _shown(text: str, desk: Desk) -> date:
    """A day of an address; today where there is none that can be shown."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return local_date(desk.now(), VN)
    return min(max(day, FIRST), LAST)


def _brief_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound("web.no_page") from None


def _day(text: str, name: str) -> date:
    """Raises Invalid."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        day = None
    if day is None or not FIRST <= day <= LAST:
        raise Invalid("duty.invalid", faults=[Fault(name, "duty.day_shape")])
    return day


def _clock(sent: Mapping[str, str], name: str) -> time:
    try:
        return datetime.strptime(sent.get(name, "").strip()[:5], "%H:%M").time()
    except ValueError:
        raise Invalid("duty.invalid", faults=[Fault(name, "duty.time_shape")]) from None


def _moment(text: str, now: datetime) -> datetime | None:
    """The local time of day a form says, today's or, where that is still to come, yesterday's."""
    if not text.strip():
        return None
    clock = _clock({"at": text}, "at")
    local = now.astimezone(VN)
    at = local.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
    return at if at <= now else at - timedelta(days=1)


def _number(sent: Mapping[str, str], name: str) -> int:
    text = sent.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Invalid("duty.invalid", faults=[Fault(name, "duty.choose")])
    return int(text)


def _choice(kinds: type[Kind], sent: Mapping[str, str], name: str) -> Kind:
    try:
        return kinds(sent.get(name, ""))
    except ValueError:
        raise Invalid("duty.invalid", faults=[Fault(name, "duty.choose")]) from None


def _slot(sent: Mapping[str, str], name: str) -> Slot:
    parts = sent.get(name, "").split(":")
    if len(parts) != 4 or parts[0] != "slot":
        raise Invalid("duty.invalid", faults=[Fault(name, "duty.choose")])
    shift, account = (_number({name: parts[n]}, name) for n in (1, 3))
    return Slot(shift, _day(parts[2], name), account)


def _new_shift(sent: Mapping[str, str]) -> NewShift:
    return NewShift(
        name=sent.get("name", ""), begins=_clock(sent, "begins"), ends=_clock(sent, "ends"),
        days=_choice(Days, sent, "days"), valid_from=_day(sent.get("from", ""), "from"),
    )  # fmt: skip


router = Router(
    "/",
    route_handlers=[
        now_page, roster_page, roster_file, roster_act, log_page, log_act, brief_newest, brief_page,
        brief_file, brief_act,
    ],
    include_in_schema=False,
)  # fmt: skip
