"""The page on which a person asks in SQL. Nothing of it is kept: not the statement, not the answer."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.ioc import catalogue
from dothi.ioc.catalogue import SQL
from dothi.ioc.data_pages import attached
from dothi.ioc.desk import Desk
from dothi.ioc.view import Choice, Table
from dothi.kernel.errors import DothiError, Fault, Invalid, NotFound, Unauthenticated
from dothi.kernel.i18n import number, t
from dothi.kernel.time import VN, parse_instant
from dothi.lake import registry
from dothi.lake.out import sql
from dothi.lake.out.answer import instant
from dothi.lake.out.formats import ARROW, CSV, JSON
from dothi.lake.out.page import fields
from dothi.lake.registry import Dataset
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import Site

USUAL_ROWS = 200
MOST_SHOWN = 1_000
"""Rows of an answer that the page draws; files hold what the form asks for."""
FIRST_LOOK = timedelta(days=30)
"""The stretch of a series that a first statement looks at."""
FILES = (CSV, ARROW)
Form = URLEncodedBody[dict[str, str]]
_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "HUGEINT")


@dataclass(frozen=True)
class TableOf:
    """A dataset as a statement sees it."""

    name: str
    title: str
    columns: tuple[str, ...]
    url: str


@dataclass(frozen=True)
class Answer:
    """What a statement gave. `seconds`: from the question to the answer."""

    table: Table
    rows: int
    truncated: bool
    datasets: tuple[str, ...]
    seconds: str


@dataclass(frozen=True)
class SqlView:
    sections: tuple[Choice, ...]
    sql: str
    since: str
    until: str
    limit: str
    faults: tuple[str, ...]
    answer: Answer | None
    tables: tuple[TableOf, ...]
    files: tuple[str, ...]
    deadline_s: int


@get(SQL, opt={"access": "dataset.read"}, sync_to_thread=True)
def sql_page(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    dataset: FromQuery[str] = "",
) -> Response[str]:
    """An empty form, or one with a first statement about a dataset."""
    found = _readable(desk, actor)
    one = next((d for d in found if d.name == dataset), None)
    form = {"sql": _first_statement(one)} if one else {}
    if one is not None and one.contract.kind == "series":
        since = desk.now().astimezone(VN) - FIRST_LOOK
        form["since"] = since.date().isoformat()
    return _page(request, site, desk, actor, found, form)


@post(SQL, opt={"access": "dataset.read"}, status_code=200, sync_to_thread=True)
def sql_asked(
    request: Request[Any, Any, Any],
    data: Form,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Response[str]:
    """Run the statement and show what it gives, or why it gives nothing."""
    found = _readable(desk, actor)
    lang = lang_of(request)
    began = time.monotonic()
    try:
        statement = _statement(data)
        shown = replace(statement, limit=min(statement.limit, MOST_SHOWN), screen=True)
        told = sql.run(desk.lake, actor, shown, JSON)
        with told.file as file:
            content = json.load(file)
    except DothiError as error:
        page = _page(request, site, desk, actor, found, data, faults=_faults(error, lang))
        page.status_code = status_of(error)
        return page
    answer = Answer(
        _table(content, lang), told.rows, told.truncated, told.datasets,
        number(time.monotonic() - began, lang, 1),
    )  # fmt: skip
    return _page(request, site, desk, actor, found, data, answer=answer)


@post(f"{SQL}/file", opt={"access": "dataset.read"}, status_code=200, sync_to_thread=True)
def sql_file(
    request: Request[Any, Any, Any],
    data: Form,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Response[Any]:
    """Run the statement and hand its answer over as a file."""
    found = _readable(desk, actor)
    form = next((one for one in FILES if one.word == data.get("format")), None)
    try:
        if form is None:
            raise NotFound("web.no_page")
        told = sql.run(desk.lake, actor, _statement(data), form, bom=True)
    except DothiError as error:
        faults = _faults(error, lang_of(request))
        page = _page(request, site, desk, actor, found, data, faults=faults)
        page.status_code = status_of(error)
        return page
    stamp = f"{desk.now().astimezone(VN):%Y%m%d-%H%M%S}"
    return attached(told.file, form.media_type, f"sql-{stamp}.{form.ending}")


def _page(
    request: Request[Any, Any, Any], site: Site, desk: Desk, actor: Actor, found: list[Dataset],
    form: dict[str, str], *, faults: tuple[str, ...] = (), answer: Answer | None = None,
) -> Response[str]:  # fmt: skip
    lang = lang_of(request)
    view = SqlView(
        sections=catalogue.sections(desk, actor, lang, SQL),
        sql=form.get("sql", ""),
        since=form.get("since", ""),
        until=form.get("until", ""),
        limit=form.get("limit", str(USUAL_ROWS)),
        faults=faults,
        answer=answer,
        tables=tuple(_described(one, actor, lang) for one in found),
        files=tuple(form.word for form in FILES),
        deadline_s=round(sql.DEADLINE_S),
    )
    shell = site.shell(request, t("data.sql", lang), catalogue.DATA)
    page = site.page(request, "sql.html", shell, view)
    page.headers["cache-control"] = "no-store"
    return page


def _readable(desk: Desk, actor: Actor) -> list[Dataset]:
    """The datasets a statement may name. Raises Unauthenticated for who has not signed in."""
    if not actor.signed_in:
        raise Unauthenticated("identity.unauthenticated")
    with desk.db.transaction() as conn:
        every = registry.datasets(conn)
    return [one for one in every if decide(actor, "dataset.read", one.resource).allowed]


def _described(dataset: Dataset, actor: Actor, lang: str) -> TableOf:
    shown = fields(dataset, decide(actor, "dataset.read", dataset.resource))
    return TableOf(
        dataset.name, dataset.contract.title.get(lang) or dataset.name,
        tuple(field.name for field in shown), f"{SQL}?dataset={dataset.name}",
    )  # fmt: skip


def _first_statement(dataset: Dataset) -> str:
    if dataset.contract.kind != "series":
        return f"SELECT *\nFROM {dataset.name}\nLIMIT 20"
    return (
        "SELECT parameter, count(*) AS n, min(value) AS least, avg(value) AS mean, "
        f"max(value) AS most\nFROM {dataset.name}\nWHERE quality = 'valid'\n"
        "GROUP BY parameter\nORDER BY parameter"
    )


def _statement(form: dict[str, str]) -> sql.Statement:
    """What the form asks. Raises Invalid."""
    text = form.get("limit", "").strip() or str(USUAL_ROWS)
    if not (text.isascii() and text.isdecimal()):
        fault = Fault("limit", "out.rows_limit", {"most": sql.MOST_ANSWER})
        raise Invalid("out.sql_refused", faults=[fault])
    until = form.get("until", "").strip()
    # A day alone is its last instant here: the field asks for a last day.
    end = instant(f"{until}T23:59:59.999999" if len(until) == len("2026-01-31") else until)
    return sql.Statement(
        form.get("sql", "").replace("\r\n", "\n"),
        int(text[:9]),
        instant(form.get("since", "").strip()),
        end,
    )


def _faults(error: DothiError, lang: str) -> tuple[str, ...]:
    faults = error.faults if isinstance(error, Invalid) else ()
    return (error.text(lang), *(fault.text(lang) for fault in faults))


def _table(content: dict[str, Any], lang: str) -> Table:
    kinds = [field["type"] for field in content["fields"]]
    return Table(
        tuple(field["name"] for field in content["fields"]),
        tuple(
            tuple(_cell(value, kind, lang) for value, kind in zip(row.values(), kinds, strict=True))
            for row in content["rows"]
        ),
        tuple(i for i, kind in enumerate(kinds) if any(word in kind for word in _NUMBERS)),
    )


def _cell(value: Any, kind: str, lang: str) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and kind == "TIMESTAMP WITH TIME ZONE":
        try:
            return catalogue.cell(parse_instant(value), lang)
        except (Invalid, OverflowError):
            return value
    return catalogue.cell(value, lang)


router = Router("/", route_handlers=[sql_page, sql_asked, sql_file], include_in_schema=False)
