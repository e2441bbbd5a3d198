"""The morning brief as a page: one version, its marks, its history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from dothi.documents.official import BLANK, Official, Part
from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.ioc.admin.office import EMPTY, Form
from dothi.ioc.desk import Desk
from dothi.ioc.duty import BASE, Where, brief_state, brief_url, names_of
from dothi.ioc.view import Choice
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.web.view import Status
from dothi.work.duty import brief, roster
from dothi.work.duty.brief import SECTIONS, Brief, Version


@dataclass(frozen=True)
class LineView:
    id: str
    text: str
    vi: str
    url: str | None
    mark: str
    mark_text: str


@dataclass(frozen=True)
class PartView:
    key: str
    title: str
    lines: tuple[LineView, ...]
    none: str


@dataclass(frozen=True)
class VersionView:
    no: int
    at: datetime
    text: str
    who: str
    reason: str
    url: str
    current: bool


@dataclass(frozen=True)
class BriefView:
    where: Where
    parent: str
    brief: Brief
    version: Version
    old: bool
    state: Status
    late: str | None
    span: str
    place: str
    parts: tuple[PartView, ...]
    versions: tuple[VersionView, ...]
    others: tuple[Choice, ...]
    may_edit: bool
    may_publish: bool
    closed: str
    demo: bool
    editing: bool
    url: str
    file_url: str
    form: Form


def brief_view(
    desk: Desk, actor: Actor, lang: str, place: Where, day: date, *,
    no: int | None = None, editing: bool = False, form: Form = EMPTY,
) -> BriefView:  # fmt: skip
    """A version of a day's brief, the newest unless another is asked for.

    Raises NotFound where there is none.
    """
    now = desk.now()
    with desk.db.transaction() as conn:
        found = brief.read(conn, actor, place.id, day)
        days = brief.days(conn, actor, place.id)
        may_publish = brief.may_publish(conn, actor, place.id, now)
        may_edit = brief.may_edit(conn, actor, place.id, now)
        parent = _parent(conn, place, lang)
        there = names_of(roster.on_duty(conn, place.id, now), lang)
    version = next((v for v in found.versions if v.no == no), None) if no else found.newest
    if version is None:
        raise NotFound("duty.no_brief", day=day)
    done = found.published
    url = brief_url(day, place.code)
    what = "published" if done else found.newest.what
    return BriefView(
        where=place,
        parent=parent,
        brief=found,
        version=version,
        old=version.no != found.newest.no,
        state=brief_state(what, lang),
        late=t(f"duty.late.{found.late}", lang, at=found.made_at) if found.late else None,
        span=t("duty.brief_span", lang, since=found.since, until=found.until),
        place=desk.province,
        parts=_parts(found, version, lang),
        versions=tuple(
            VersionView(
                v.no, v.at, t(f"duty.version.{v.what}", lang),
                t("work.by_system", lang) if v.actor == "system" else v.actor_name, v.reason,
                f"{url}&version={v.no}", v.no == version.no,
            )
            for v in reversed(found.versions)
        ),
        others=tuple(
            Choice(f"{other:%d/%m}", brief_url(other, place.code), other == day)
            for other, _ in days[:14]
        ),
        may_edit=may_publish if done else may_edit,
        may_publish=may_publish and not done,
        closed=_closed(done is not None, may_edit, may_publish, there, lang),
        demo=desk.demo,
        editing=editing and version is found.newest and (may_publish if done else may_edit),
        url=url,
        file_url=f"{BASE}/brief/{day.isoformat()}/file?agency={place.code}&version={version.no}",
        form=form,
    )  # fmt: skip


def _parent(conn: Connection, place: Where, lang: str) -> str:
    own = agencies.find_agency(conn, place.code)
    above = agencies.find_agency(conn, own.parent) if own and own.parent else None
    return above.name(lang) if above else ""


def _closed(done: bool, may_edit: bool, may_publish: bool, there: str, lang: str) -> str:
    """Why the viewer has not all the forms; "" where they have."""
    if may_publish:
        return ""
    if done:
        return t("duty.amend_closed", lang, who=there)
    return t("duty.not_publishing" if may_edit else "duty.brief_closed", lang, who=there)


def _parts(found: Brief, version: Version, lang: str) -> tuple[PartView, ...]:
    marks = brief.compared(found.versions[0].body, version.body)
    return tuple(
        PartView(
            key,
            t(f"duty.section.{key}", lang),
            tuple(
                LineView(
                    one.line.id, one.line.text[lang], one.line.text["vi"], one.line.url, one.mark,
                    "" if one.mark == "same" else t(f"duty.mark.{one.mark}", lang),
                )
                for one in marks.get(key, ())
            ),
            t(f"duty.none.{key}", lang),
        )
        for key in SECTIONS
    )  # fmt: skip


def official_of(view: BriefView) -> Official:
    """The version shown as an official document. A draft says that it is one; number, recipients and
    signature are left to people; so is the sign of its kind, as a brief is none of the decree's. The
    view has to be in Vietnamese."""
    found, done = view.brief, view.brief.published
    final = done is not None and view.version.what in ("published", "amended")
    intro = [t("duty.document_intro", "vi", since=found.since, until=found.until)]
    if view.late:
        intro.append(view.late)
    if view.version.what == "amended":
        intro.append(t("duty.document_amended", "vi", reason=view.version.reason))
    marks = [] if final else [t("duty.document_draft", "vi")]
    if view.demo:
        marks.append(t("web.demo", "vi").upper())
    return Official(
        parent=_of_province(view, view.parent),
        issuer=_of_province(view, view.where.name),
        symbol=BLANK,
        place=view.place.removeprefix("Tỉnh ").removeprefix("Thành phố ") if view.demo else BLANK,
        day=local_date(done.at if done else found.made_at, VN),
        kind=t("duty.part_brief", "vi"),
        about=t(
            "duty.document_about", "vi", day=found.day, since=_hour_day(found.since),
            until=_hour_day(found.until),
        ),
        intro=tuple(intro),
        parts=tuple(
            Part(
                part.title,
                tuple(f"- {line.text}" for line in part.lines if line.mark != "removed")
                or (part.none,),
            )
            for part in view.parts
        ),
        office=t("duty.document_office", "vi"),
        signer=done.actor_name if final and done else "",
        status=" – ".join(marks),
    )  # fmt: skip


def _of_province(view: BriefView, name: str) -> str:
    """An agency's name as a document's head has it: the committee with its province's name."""
    if view.demo and name.casefold() in ("ủy ban nhân dân tỉnh", "ubnd tỉnh"):
        return f"Ủy ban nhân dân {view.place}"
    return name


def _hour_day(at_: datetime) -> str:
    local = at_.astimezone(VN)
    return f"{local:%H} giờ {local:%M} ngày {local:%d/%m/%Y}"
