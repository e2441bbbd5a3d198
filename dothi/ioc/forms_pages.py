"""The addresses of typed figures: what waits, a form's plan, one return and what is done with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, MultipartBody, URLEncodedBody

from dothi.forms.evidence import MOST_BYTES, MOST_FILES
from dothi.forms.model import Place
from dothi.forms.service import Forms, Upload
from dothi.identity.model import Actor
from dothi.ioc import forms_return, forms_view
from dothi.ioc.data_pages import attached
from dothi.ioc.desk import Desk
from dothi.ioc.forms_return import Sent
from dothi.ioc.forms_view import BASE
from dothi.kernel.errors import Conflict, DothiError, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.lake import workbook as workbooks
from dothi.lake.files import FileStore
from dothi.lake.form_lines import MOST_LINES
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import Site, see_other

_ONE = f"{BASE}/{{form:str}}/{{period:str}}/{{party:str}}"
_DROP = re.compile(r"drop\.([0-9a-f]{64})\.([a-z][a-z0-9_]{0,62})?")
_ROW = re.compile(r"(?:line|cell)\.(\d{1,4})(?:\..*)?", re.ASCII)
_Request = Request[Any, Any, Any]
_Actor = NamedDependency[Actor]
_Desk = NamedDependency[Desk]
_Forms = NamedDependency[Forms]
_Site = NamedDependency[Site]


@get(BASE, opt={"access": "form.read"}, sync_to_thread=True)
def forms_mine(request: _Request, actor: _Actor, site: _Site, forms: _Forms) -> Response[str]:
    """What waits for this person: returns to type, returns to approve."""
    lang = lang_of(request)
    view = forms_view.mine(forms, actor, lang)
    shell = site.shell(request, t("web.nav_forms", lang), BASE)
    return site.page(request, "forms/mine.html", shell, view)


@get(f"{BASE}/{{form:str}}", opt={"access": "form.read"}, sync_to_thread=True)
def forms_plan(
    request: _Request,
    form: FromPath[str],
    actor: _Actor,
    site: _Site,
    forms: _Forms,
    until: FromQuery[str] = "",
    phase: FromQuery[str] = "",
) -> Response[str]:
    """A form's parties by period, all of them or those in one state."""
    view = forms_view.one_plan(forms, actor, lang_of(request), form, until, phase)
    shell = site.shell(request, view.title, BASE)
    return site.page(request, "forms/plan.html", shell, view)


@get(_ONE, opt={"access": "form.read"}, sync_to_thread=True)
def forms_one(
    request: _Request,
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    actor: _Actor,
    site: _Site,
    desk: _Desk,
    forms: _Forms,
    more: FromQuery[int] = 0,
) -> Response[str]:
    """One return; `more`: so many empty rows under its table."""
    place = (form, period, party)
    return _page(request, site, desk, forms, actor, place, more=max(0, min(more, MOST_LINES)))


@post(
    _ONE,
    opt={"access": "form.enter"},
    status_code=303,
    sync_to_thread=True,
    request_max_body_size=MOST_FILES * MOST_BYTES,
)
def forms_save(
    request: _Request,
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    data: MultipartBody[dict[str, Any]],
    actor: _Actor,
    site: _Site,
    desk: _Desk,
    forms: _Forms,
    files: NamedDependency[FileStore],
) -> Any:
    """Keep what was typed, with its evidence; and hand it in, if that button was pressed."""
    place = forms.place(actor, form, period, party)
    note, act = str(data.get("note", "")), str(data.get("act", "save"))
    names = [asked.name for asked in place.form.asked]
    typed = {name: data[name] for name in names if isinstance(data.get(name), str)}
    lines = _lines(data, names, act) if place.form.lines is not None else None
    files.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="upload-", dir=files.folder) as kept:
        uploads = [
            _received(kept, upload, key.removeprefix("file."))
            for key, upload in data.items()
            if key.startswith("file.") and isinstance(upload, UploadFile) and upload.filename
        ]
        book = data.get("workbook")
        filled = isinstance(book, UploadFile) and bool(book.filename)
        try:
            forms.save(
                actor, place, typed if lines is None else lines, version=_number(data.get("version")), note=note,
                lang=lang_of(request), uploads=uploads, drop=_dropped(data),
                workbook=_received(kept, book, "")
                if filled and isinstance(book, UploadFile) else None,
                submit=act == "submit",
            )  # fmt: skip
        except DothiError as error:
            sent = Sent(typed, lines, note, error, stale=error.key == "forms.stale")
            if filled and error.key == "forms.not_ready":
                # What the workbook holds is kept: that is what the page goes on with.
                sent = Sent(note=note, error=error)
            page = _page(request, site, desk, forms, actor, (form, period, party), sent)
            page.status_code = status_of(error)
            return page
    done = "handed_in" if act == "submit" else "saved"
    more = "&more=1#table-end" if act == "add" else ""
    return see_other(f"{forms_view.url_of(place)}?done={done}{more}")


@post(f"{_ONE}/{{act:str}}", opt={"access": "form.read"}, status_code=303, sync_to_thread=True)
def forms_act(
    request: _Request,
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    act: FromPath[str],
    data: URLEncodedBody[dict[str, str]],
    actor: _Actor,
    site: _Site,
    desk: _Desk,
    forms: _Forms,
) -> Any:
    """Approve, return, take back, begin or give up a correction."""
    place = forms.place(actor, form, period, party)
    version, reason = _number(data.get("version")), data.get("reason", "")
    acts: dict[str, tuple[str, Callable[[Place], Any]]] = {
        "approve": ("approved", lambda p: forms.approve(actor, p, version, lang_of(request))),
        "return": ("sent_back", lambda p: forms.send_back(actor, p, version, reason)),
        "recall": ("recalled", lambda p: forms.recall(actor, p, version)),
        "correct": ("correcting", lambda p: forms.correct(actor, p, version, reason)),
        "abandon": ("abandoned", lambda p: forms.abandon(actor, p, version)),
    }
    if act not in acts:
        raise NotFound("web.no_page")
    done, do = acts[act]
    try:
        do(place)
    except (Conflict, Invalid) as error:
        sent = Sent(error=error)
        page = _page(request, site, desk, forms, actor, (form, period, party), sent)
        page.status_code = status_of(error)
        return page
    return see_other(f"{forms_view.url_of(place)}?done={done}")


@get(f"{_ONE}/workbook.xlsx", opt={"access": "form.enter"}, sync_to_thread=True)
def forms_workbook(
    request: _Request,
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    actor: _Actor,
    forms: _Forms,
) -> Response[bytes]:
    """The return as a workbook to fill in."""
    content = forms.workbook(actor, form, period, party, lang_of(request))
    return _download(content, workbooks.MEDIA_TYPE, f"{form}-{period}-{party}.xlsx")


@get(f"{_ONE}/return.csv", opt={"access": "form.enter"}, sync_to_thread=True)
def forms_csv(
    request: _Request,
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    actor: _Actor,
    forms: _Forms,
) -> Response[bytes]:
    """The return as CSV to fill in."""
    content = forms.csv(actor, form, period, party, lang_of(request))
    return _download(content, "text/csv", f"{form}-{period}-{party}.csv")


@get(f"{_ONE}/evidence/{{sha256:str}}", opt={"access": "form.read"}, sync_to_thread=True)
def forms_evidence(
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    sha256: FromPath[str],
    actor: _Actor,
    forms: _Forms,
) -> Response[Any]:
    """A file of evidence, to be kept by the browser and opened by nobody of ours."""
    path, found = forms.evidence(actor, form, period, party, sha256)
    answer = attached(path.open("rb"), found.media, "evidence")
    named = quote(found.name, safe="")
    answer.headers["content-disposition"] = f"attachment; filename*=UTF-8''{named}"
    return answer


def _download(content: bytes, media: str, name: str) -> Response[bytes]:
    return Response(
        content,
        media_type=media,
        headers={
            "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "cache-control": "no-store",
        },
    )


def _page(
    request: _Request, site: Site, desk: Desk, forms: Forms, actor: Actor,
    place: tuple[str, str, str], sent: Sent | None = None, more: int = 0,
) -> Response[str]:  # fmt: skip
    lang = lang_of(request)
    view = forms_return.one(desk, actor, lang, forms.look(actor, *place), sent, more)
    shell = site.shell(request, view.form, BASE)
    page = site.page(request, "forms/one.html", shell, view)
    page.headers["cache-control"] = "no-store"
    return page


def _received(folder: str, upload: UploadFile, column: str) -> Upload:
    path = Path(folder) / f"{len(list(Path(folder).iterdir()))}"
    with path.open("wb") as file:
        while chunk := upload.file.read(1 << 20):
            file.write(chunk)
    return Upload(path, Path(upload.filename).name[:200], column)


def _dropped(data: dict[str, Any]) -> list[tuple[bytes, str]]:
    found = (_DROP.fullmatch(key) for key in data)
    return [(bytes.fromhex(one[1]), one[2] or "") for one in found if one]


def _lines(
    data: dict[str, Any], names: list[str], act: str
) -> list[tuple[str, dict[str, str]]]:  # fmt: skip
    """The lines of a table that were sent, in the order of the page, without empty ones and the one
    that is taken away."""
    numbers = {int(one[1]) for one in map(_ROW.fullmatch, data) if one}
    out: list[tuple[str, dict[str, str]]] = []
    for number in sorted(numbers):
        key = data.get(f"line.{number}")
        cells = {name: data.get(f"cell.{number}.{name}") for name in names}
        typed = {name: text for name, text in cells.items() if isinstance(text, str)}
        key = key if isinstance(key, str) else ""
        if act != f"remove.{number}" and (key.strip() or any(map(str.strip, typed.values()))):
            out.append((key, typed))
    return out


def _number(text: Any) -> int:
    """The version that the page was made from; -1, which none has, for anything else."""
    plain = str(text)
    return int(plain) if plain.isascii() and plain.isdecimal() and len(plain) < 10 else -1


router = Router(
    "/",
    route_handlers=[
        forms_mine, forms_plan, forms_one, forms_save, forms_act, forms_workbook, forms_csv,
        forms_evidence,
    ],
    include_in_schema=False,
)  # fmt: skip
