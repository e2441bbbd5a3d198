"""The reader assistant: a file nobody has a contract for is looked at, a person judges the contract
proposed, and with their word it becomes a dataset.

The file is kept between the two, under a name that only this person's form carries; one a person,
and a day at most (`FileStore.sweep`).
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import MultipartBody, URLEncodedBody

from dothi.identity.agencies import get_agency
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc import catalogue
from dothi.ioc.catalogue import INSPECT
from dothi.ioc.desk import Desk
from dothi.ioc.inspect_view import Found, InspectView, asked, found, said
from dothi.ioc.view import Choice
from dothi.kernel.errors import DothiError, Invalid, TooLarge
from dothi.kernel.i18n import t
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.defining import check_reads, define_and_load, refuse_of_pack
from dothi.lake.files import FileStore
from dothi.lake.inspecting import CHOICES, contract_text, inspect
from dothi.lake.service import Lake
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import Site, see_other

MOST_CONTRACT = 500_000
_MARK = re.compile(r"[0-9a-f]{32}")
_WHOLE = re.compile(r"[0-9]{1,6}")
_Request = Request[Any, Any, Any]
_Actor = NamedDependency[Actor]
_Desk = NamedDependency[Desk]
_Files = NamedDependency[FileStore]
_Site = NamedDependency[Site]


@get(INSPECT, opt={"access": "dataset.define"}, sync_to_thread=True)
def inspect_page(request: _Request, actor: _Actor, site: _Site, desk: _Desk) -> Response[str]:
    """An empty form."""
    _may(actor)
    return _page(request, site, desk, actor, {})


@post(
    INSPECT,
    opt={"access": "dataset.define"},
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=512 * 1024 * 1024,
)
def inspect_file(
    request: _Request,
    data: MultipartBody[dict[str, Any]],
    actor: _Actor,
    site: _Site,
    desk: _Desk,
    files: _Files,
) -> Response[str]:
    """Look at a file that is sent, or again at the one kept, with what the person says of it."""
    _may(actor)
    lang = lang_of(request)
    name, mark = _name(str(data.get("name", ""))), str(data.get("mark", ""))
    how: dict[str, Any] = {}
    try:
        upload = data.get("file")
        if isinstance(upload, UploadFile) and upload.filename:
            name, mark = _name(upload.filename), secrets.token_hex(16)
            _keep(files, actor, mark, upload)
        path = _kept(files, actor, mark)
        how = _how(data)
        return _page(
            request, site, desk, actor, how, _seen(desk, actor, path, name, how, mark, lang)
        )
    except DothiError as error:
        page = _page(request, site, desk, actor, how, refused=said(error, lang))
        page.status_code = status_of(error)
        return page


@post(f"{INSPECT}/define", opt={"access": "dataset.define"}, status_code=303, sync_to_thread=True)
def inspect_define(
    request: _Request,
    data: URLEncodedBody[dict[str, str]],
    actor: _Actor,
    site: _Site,
    desk: _Desk,
    files: _Files,
    lake: NamedDependency[Lake],
) -> Any:
    """Make the dataset of the contract as the person left it, and load the file that was looked at."""
    _may(actor)
    lang = lang_of(request)
    name, mark = _name(data.get("name", "")), data.get("mark", "")
    text = data.get("contract", "").replace("\r\n", "\n")
    try:
        path = _kept(files, actor, mark)
        how = _how(data)
        seen = _seen(desk, actor, path, name, how, mark, lang, text)
    except DothiError as error:
        page = _page(request, site, desk, actor, {}, refused=said(error, lang))
        page.status_code = status_of(error)
        return page
    try:
        if len(text) > MOST_CONTRACT:
            raise TooLarge("lake.contract_too_large", most=MOST_CONTRACT)
        contract = parse_contract(text, t("inspect.contract", lang))
        # A contract that does not read its file makes no dataset.
        check_reads(contract, path, name)
        refuse_of_pack(desk.settings, contract.name)
        done = define_and_load(lake, files, contract, actor, path, name=name)
    except DothiError as error:
        into = _there(desk, actor, error, lang)
        page = _page(request, site, desk, actor, how, seen, faults=said(error, lang), into=into)
        page.status_code = status_of(error)
        return page
    path.unlink(missing_ok=True)
    return see_other(f"{catalogue.LOADS}/{done.outcome.load_id}?done=defined")


@post(f"{INSPECT}/contract.yaml", opt={"access": "dataset.define"}, status_code=200)
async def inspect_download(data: URLEncodedBody[dict[str, str]], actor: _Actor) -> Response[bytes]:
    """The contract as the person left it, as a file."""
    _may(actor)
    text = data.get("contract", "").replace("\r\n", "\n")
    return Response(
        text.encode("utf-8", "replace"),
        media_type="application/yaml",
        headers={"content-disposition": 'attachment; filename="contract.yaml"'},
    )


def _may(actor: Actor) -> None:
    require(actor, "dataset.define", Resource("dataset", owner_agency=actor.agency_id))


def _seen(
    desk: Desk, actor: Actor, path: Path, name: str, how: dict[str, Any], mark: str, lang: str,
    text: str | None = None,
) -> Found:  # fmt: skip
    """What the file seems to be, with the contract proposed or as the person left it."""
    owner = None
    if actor.agency_id is not None:
        with desk.db.transaction() as conn:
            owner = get_agency(conn, actor.agency_id).code
    description = inspect(path, how, name, owner=owner)
    return found(
        description, name, mark, contract_text(description, lang) if text is None else text, lang
    )


def _page(
    request: _Request, site: Site, desk: Desk, actor: Actor, how: dict[str, Any],
    seen: Found | None = None, *, refused: tuple[str, ...] = (), faults: tuple[str, ...] = (),
    into: Choice | None = None,
) -> Response[str]:  # fmt: skip
    lang = lang_of(request)
    view = InspectView(
        sections=catalogue.sections(desk, actor, lang, INSPECT),
        asked=asked(how, lang, seen.offered if seen else {}),
        choosing=bool(how or refused or (seen and "sheet" in seen.offered)),
        found=seen,
        refused=refused,
        faults=faults,
        into=into,
    )
    shell = site.shell(request, t("inspect.title", lang), catalogue.DATA)
    page = site.page(request, "inspect.html", shell, view)
    page.headers["cache-control"] = "no-store"
    return page


def _there(desk: Desk, actor: Actor, error: DothiError, lang: str) -> Choice | None:
    """Where the file goes into the dataset that has the name already, for who may load there."""
    if error.key != "lake.name_taken":
        return None
    with desk.db.transaction() as conn:
        dataset = registry.find(conn, str(error.params["name"]))
    if not decide(actor, "dataset.load", dataset.resource).allowed:
        return None
    title = dataset.contract.title[lang]
    return Choice(t("inspect.into", lang, title=title), f"{catalogue.LOADS}?dataset={dataset.name}")


def _how(data: dict[str, Any]) -> dict[str, Any]:
    """What the person says of the file. Raises Invalid."""
    how: dict[str, Any] = {
        name: text for name in CHOICES if (text := str(data.get(name, "")).strip()[:200])
    }
    if row := how.get("header_row"):
        if not _WHOLE.fullmatch(row):
            raise Invalid("reading.no_header_row_word", text=row[:40])
        how["header_row"] = int(row)
    if how.get("delimiter") in ("\\t", "tab"):
        how["delimiter"] = "\t"
    return how


def _name(given: str) -> str:
    plain = "".join(c for c in Path(given.replace("\\", "/")).name if c.isprintable())
    return plain[:200] or "file"


def _keep(files: FileStore, actor: Actor, mark: str, upload: UploadFile) -> None:
    files.folder.mkdir(parents=True, exist_ok=True)
    for before in files.folder.glob(f"{_prefix(actor)}*"):
        before.unlink(missing_ok=True)
    with _place(files, actor, mark).open("wb") as kept:
        while chunk := upload.file.read(1 << 20):
            kept.write(chunk)


def _kept(files: FileStore, actor: Actor, mark: str) -> Path:
    """The file that this person's form names. Raises Invalid when it is not there any more."""
    if not mark:
        raise Invalid("lake.no_upload")
    if not _MARK.fullmatch(mark) or not (path := _place(files, actor, mark)).exists():
        raise Invalid("inspect.gone")
    return path


def _place(files: FileStore, actor: Actor, mark: str) -> Path:
    return files.folder / f"{_prefix(actor)}{mark}"


def _prefix(actor: Actor) -> str:
    return f"upload-seen-{actor.ref.replace(':', '-')}-"


router = Router(
    "/",
    route_handlers=[inspect_page, inspect_file, inspect_define, inspect_download],
    include_in_schema=False,
)
