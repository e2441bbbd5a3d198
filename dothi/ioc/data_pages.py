"""The addresses of the catalogue: the list, one dataset, its rows as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Annotated, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from dothi.identity.model import Actor
from dothi.ioc import catalogue
from dothi.ioc.catalogue import DATA, Wanted
from dothi.ioc.desk import Desk
from dothi.kernel.i18n import t
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import Site

_PIECE = 256 * 1024


@get(DATA, opt={"access": "dataset.read"}, sync_to_thread=True)
def data_list(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Response[str]:
    """The datasets and indicators that this person may read."""
    lang = lang_of(request)
    view = catalogue.listing(desk, actor, lang)
    return site.page(request, "data.html", site.shell(request, t("web.nav_data", lang), DATA), view)


@get(f"{DATA}/{{name:str}}", opt={"access": "dataset.read"}, sync_to_thread=True)
def data_page(
    request: Request[Any, Any, Any],
    name: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    q: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    thing: FromQuery[str] = "",
    parameter: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Response[str]:
    """One dataset or indicator: what it is, its newest rows, its files."""
    lang = lang_of(request)
    wanted = Wanted(q, since, until, thing, parameter, after)
    view, error = catalogue.one(desk, actor, lang, name, wanted)
    shell = site.shell(request, view.entry.title, DATA)
    answer = site.page(request, "data_one.html", shell, view)
    if error is not None:
        answer.status_code = status_of(error)
    return answer


@get(f"{DATA}/{{name:str}}/file", opt={"access": "dataset.read"}, sync_to_thread=True)
def data_file(
    name: FromPath[str],
    actor: NamedDependency[Actor],
    desk: NamedDependency[Desk],
    form: Annotated[str, QueryParameter(name="format")] = "csv",
    q: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    thing: FromQuery[str] = "",
    parameter: FromQuery[str] = "",
) -> Response[Any]:
    """All rows meant, as CSV, XLSX or Parquet."""
    wanted = Wanted(q, since, until, thing, parameter)
    content, media_type, file_name = catalogue.file(desk, actor, name, wanted, form)
    return attached(content, media_type, file_name)


def attached(content: IO[bytes], media_type: str, name: str) -> Response[Any]:
    """A file that the browser keeps; it is closed when it has been sent."""
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "no-store",
    }
    return Stream(_pieces(content), media_type=media_type, headers=headers, status_code=200)


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    with content:
        while piece := content.read(_PIECE):
            yield piece


router = Router("/", route_handlers=[data_list, data_page, data_file], include_in_schema=False)
