"""A roster brought as a file: what it would change is shown, then it is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery, MultipartBody, QueryParameter, URLEncodedBody

from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.ioc import duty
from dothi.ioc.desk import Desk
from dothi.ioc.duty import BASE, Where, role_text
from dothi.kernel.errors import Conflict, DothiError, Fault, Invalid
from dothi.kernel.i18n import t
from dothi.lake.files import FileStore
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import Site, see_other
from dothi.work.duty import bringing, roster_file
from dothi.work.duty.bringing import Bringing, Place
from dothi.work.duty.model import duty_of
from dothi.work.duty.roster import turn_text
from dothi.work.duty.roster_file import Line

Asked = Request[Any, Any, Any]
Code = Annotated[str, QueryParameter(name="agency")]
LONGEST_NAME = 200


@dataclass(frozen=True)
class FaultRow:
    """What is wrong with a cell, and what to do; `row` and `column` are "" for the whole file."""

    row: str
    column: str
    text: str


@dataclass(frozen=True)
class BringView:
    """What a file would change, or what is wrong with it. `lines`: what taking it over sends."""

    where: Where
    week: str
    title: str
    name: str
    error: str = ""
    faults: tuple[FaultRow, ...] = ()
    about: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lines: str = ""
    mark: str = ""


@post(f"{BASE}/bring", opt={"access": "duty.roster"}, status_code=200, sync_to_thread=True)
def roster_bring(
    request: Asked, data: MultipartBody[dict[str, Any]], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk], files: NamedDependency[FileStore],
    agency: Code = "", week: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """What a file would change about the roster; nothing is stored."""
    lang = lang_of(request)
    place = duty.where(desk, actor, lang, agency, "/roster")
    require(actor, "duty.roster", duty_of(place.id))
    name = _name_of(data.get("file"))
    try:
        lines = _lines(files, data.get("file"), lang)
        with desk.db.transaction() as conn:
            found = bringing.plan(conn, actor, place.id, lines, lang, now=desk.now())
    except Invalid as error:
        return _page(request, site, _wrong(place, week, name, error, lang), error)
    return _page(request, site, _told(place, week, name, lines, found, lang))


@post(f"{BASE}/bring/take", opt={"access": "duty.roster"}, status_code=303, sync_to_thread=True)
def roster_take(
    request: Asked, data: URLEncodedBody[dict[str, str]], actor: NamedDependency[Actor],
    site: NamedDependency[Site], desk: NamedDependency[Desk],
    agency: Code = "", week: FromQuery[str] = "",
) -> Any:  # fmt: skip
    """Take over what was shown: all of it, or nothing where the roster has changed since."""
    lang = lang_of(request)
    place = duty.where(desk, actor, lang, agency, "/roster")
    require(actor, "duty.roster", duty_of(place.id))
    name = data.get("name", "")[:LONGEST_NAME]
    lines: list[Line] = []
    try:
        lines = _sent(data)
        with desk.db.transaction() as conn:
            found = bringing.take(
                conn, actor, place.id, lines, lang, name=name, mark=data.get("mark", ""),
                now=desk.now(),
            )  # fmt: skip
    except Invalid as error:
        return _page(request, site, _wrong(place, week, name, error, lang), error)
    except Conflict as error:
        try:
            with desk.db.transaction() as conn:
                now = bringing.plan(conn, actor, place.id, lines, lang, now=desk.now())
        except Invalid as wrong:
            return _page(request, site, _wrong(place, week, name, wrong, lang), wrong)
        view = _told(place, week, name, lines, now, lang, error.text(lang))
        return _page(request, site, view, error)
    desk.ring()
    first = min((p.turn.day for p in (*found.added, *found.changed, *found.removed)), default=None)
    shown = first.isoformat() if first else week
    return see_other(f"{BASE}/roster?agency={place.code}&week={shown}&done=saved")


def _page(
    request: Asked, site: Site, view: BringView, error: DothiError | None = None
) -> Response[str]:
    shell = site.shell(request, t("duty.part_roster", lang_of(request)), BASE)
    page = site.page(request, "duty/bring.html", shell, view)
    if error is not None:
        page.status_code = status_of(error)
    return page


def _told(
    place: Where, week: str, name: str, lines: list[Line], found: Bringing, lang: str,
    error: str = "",
) -> BringView:  # fmt: skip
    about = t(
        "duty.bring_about", lang, turns=found.turns, added=len(found.added),
        removed=len(found.removed), changed=len(found.changed), same=found.same,
    )  # fmt: skip
    return BringView(
        where=place, week=week, name=name, title=t("duty.bring_title", lang, name=name),
        error=error, about=t("duty.bring_nothing", lang) if found.empty else about,
        added=tuple(_said(p, lang) for p in found.added),
        removed=tuple(_said(p, lang) for p in found.removed),
        changed=tuple(_said(p, lang) for p in found.changed),
        lines="" if found.empty else msgspec.json.encode(lines).decode(),
        mark=found.mark,
    )  # fmt: skip


def _said(place: Place, lang: str) -> str:
    told = {
        "turn": turn_text(place.turn, lang), "name": place.name,
        "role": role_text(place.role, lang).lower(),
    }  # fmt: skip
    if place.before is None:
        return t("duty.bring_line", lang, **told)
    return t("duty.bring_role", lang, **told, before=role_text(place.before, lang).lower())


def _wrong(place: Where, week: str, name: str, error: Invalid, lang: str) -> BringView:
    rows = tuple(_fault(fault, lang) for fault in error.faults)
    title = t("duty.bring_faults", lang, name=name, count=len(rows))
    told = "" if all(row.row for row in rows) else error.text(lang)
    return BringView(place, week, title, name, error=told, faults=rows)


def _fault(fault: Fault, lang: str) -> FaultRow:
    row, _, column = fault.where.partition(":")
    if column not in roster_file.COLUMNS:
        return FaultRow("", "", fault.text(lang))
    return FaultRow(row, roster_file.head(column, lang), fault.text(lang))


def _name_of(upload: Any) -> str:
    name = Path(upload.filename or "").name if isinstance(upload, UploadFile) else ""
    return "".join(c for c in name if c.isprintable())[:LONGEST_NAME]


def _lines(files: FileStore, upload: Any, lang: str) -> list[Line]:
    """The lines of a file that was sent. Raises Invalid."""
    name = _name_of(upload)
    if not isinstance(upload, UploadFile) or not name:
        raise Invalid("duty.invalid", faults=[Fault("file", "duty.file_none")])
    files.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="upload-", dir=files.folder) as kept:
        path = Path(kept) / "file"
        with path.open("wb") as file:
            while chunk := upload.file.read(1 << 20):
                file.write(chunk)
        return roster_file.read(path, name, lang)


def _sent(data: Mapping[str, str]) -> list[Line]:
    """The lines that a preview held. Raises Invalid."""
    try:
        lines = msgspec.json.decode(data.get("lines", ""), type=list[Line])
    except msgspec.DecodeError:
        lines = []
    long = any(
        len(cell) > roster_file.MOST_CELL
        for line in lines
        for cell in (line.day, line.shift, line.begins, line.ends, line.role, line.person)
    )
    if not lines or len(lines) > roster_file.MOST_ROWS or long:
        raise Invalid("duty.invalid", faults=[Fault("file", "duty.file_none")])
    return lines


router = Router("/", route_handlers=[roster_bring, roster_take], include_in_schema=False)
