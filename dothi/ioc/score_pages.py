"""The addresses of the public-services score: the page, its panels, its files."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from dothi.identity.model import Actor
from dothi.ioc import score, tables
from dothi.ioc.desk import Desk
from dothi.ioc.score import BASE
from dothi.ioc.score_view import ScorePage
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import t
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Shell

Asking = Request[Any, Any, Any]
TheActor = NamedDependency[Actor]
TheSite = NamedDependency[Site]
TheDesk = NamedDependency[Desk]
Word = FromQuery[str]
_SHEETS = {"download": score.sheet, "faults-download": score.faults_sheet}


@get(BASE, opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def page(
    request: Asking, actor: TheActor, site: TheSite, desk: TheDesk, period: Word = "",
    agency: Word = "", unit: Word = "", flaw: Word = "",
) -> Response[Any]:  # fmt: skip
    """The score of the province, an agency or a unit."""
    lang = lang_of(request)
    what = score.asked(desk, period, agency, unit, flaw)

    def make() -> tuple[Shell, ScorePage]:
        view = score.page(desk, actor, lang, what)
        return site.shell(request, t("score.title", lang), BASE), view

    return site.kept_page(request, "score.html", (*score.TOPICS, "work"), make)


@get(f"{BASE}/{{panel:str}}", opt={"access": "dataset.read"}, sync_to_thread=True)
def panel(
    request: Asking, panel: FromPath[str], actor: TheActor, site: TheSite, desk: TheDesk,
    period: Word = "", agency: Word = "", unit: Word = "", flaw: Word = "",
    form: Annotated[str, QueryParameter(name="format")] = "csv",
) -> Any:  # fmt: skip
    """One panel alone, for live refreshing; or a table as a file."""
    lang = lang_of(request)
    what = score.asked(desk, period, agency, unit, flaw)
    if panel in _SHEETS and form in tables.FORMATS:
        sheet = _SHEETS[panel](desk, actor, lang, what)
        name = score.file_name(sheet, form)
        headers = {
            "content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store",
        }  # fmt: skip
        return Response(
            tables.written((sheet,), form), media_type=tables.MEDIA[form], headers=headers
        )
    makers = {
        "head": score.head, "components": score.components, "ranking": score.ranking,
        "faults": score.faults,
    }  # fmt: skip
    view = makers[panel](desk, actor, lang, what) if panel in makers else None
    if view is None:
        raise NotFound("web.no_page")
    if "hx-request" not in request.headers:
        return see_other(f"{what.url()}#{panel}")
    return site.fragment(request, f"score/{panel}.html", view)


router = Router("/", route_handlers=[page, panel], include_in_schema=False)
