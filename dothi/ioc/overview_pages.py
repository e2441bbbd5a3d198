"""The addresses of the overview: the page, its panels, what a number leads to, its files."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody

from dothi.identity.model import Actor
from dothi.ioc import (
    arrangement,
    assign,
    explain_view,
    figure,
    overview,
    overview_panels,
    pack,
    tables,
)
from dothi.ioc import overview_view as o
from dothi.ioc.arrangement import COOKIE, Arrangement
from dothi.ioc.desk import Desk
from dothi.ioc.overview import BASE
from dothi.ioc.span import Span
from dothi.ioc.tables import Sheet
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.text import search_key
from dothi.kernel.zone import VN
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Shell

Form = URLEncodedBody[dict[str, str]]
Asked = Request[Any, Any, Any]
TheActor = NamedDependency[Actor]
TheSite = NamedDependency[Site]
TheDesk = NamedDependency[Desk]
R = FromQuery[str]
COOKIE_AGE_S = 365 * 86_400


def _arranged(request: Asked, actor: Actor, desk: Desk) -> Arrangement:
    return arrangement.kept(desk.db, actor, request.cookies.get(COOKIE))


@get(BASE, opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def page(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, r: R = "",
    stream: FromQuery[int | None] = None,
) -> Response[Any]:  # fmt: skip
    """The whole province on one page."""
    lang = lang_of(request)
    arranged = _arranged(request, actor, desk)

    def make() -> tuple[Shell, o.OverviewView]:
        span = Span.of(r, desk.now())
        shell = site.shell(request, t("overview.title", lang), BASE)
        return shell, overview_panels.page(desk, actor, lang, span, arranged, stream)

    topics = overview.topics(desk, actor)
    return site.kept_page(request, "overview.html", topics, make, also=tuple(arranged.words))


@get(f"{BASE}/{{panel:str}}", opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def panel(
    request: Asked, panel: FromPath[str], actor: TheActor, site: TheSite, desk: TheDesk,
    r: R = "", stream: FromQuery[int | None] = None,
) -> Any:  # fmt: skip
    """One panel alone, for live refreshing."""
    lang, span = lang_of(request), Span.of(r, desk.now())
    arranged = _arranged(request, actor, desk) if panel == "tiles" else Arrangement()
    makers = {
        "tiles": lambda: overview.cards(desk, actor, lang, span, arranged),
        "stations": lambda: overview_panels.stations(desk, actor, lang, span),
        "chart": lambda: overview_panels.chart(desk, actor, lang, span, stream),
        "moved": lambda: overview_panels.moved(desk, actor, lang, span),
        "data": lambda: overview_panels.data(desk, actor, lang, span),
        "agencies": lambda: overview_panels.agencies(desk, actor, lang, span),
        "work": lambda: overview_panels.work(desk, actor, lang),
    }

    def make() -> object:
        view = makers[panel]() if panel in makers else None
        if view is None:
            raise NotFound("web.no_page")
        return view

    if "hx-request" not in request.headers:
        make()
        return see_other(overview.url(r=span.name, stream=stream) + f"#{panel}")
    folder = "service" if panel in ("stations", "chart", "work") else "overview"
    topics = (*overview.topics(desk, actor), *arrangement.topics(actor))
    return site.kept_fragment(request, f"{folder}/{panel}.html", topics, make)


@get(f"{BASE}/figure", opt={"access": "dataset.read"}, sync_to_thread=True)
def figure_page(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, key: FromQuery[str] = "",
    thing: FromQuery[int | None] = None, r: R = "",
) -> Any:  # fmt: skip
    """Everything a number leads to."""
    lang = lang_of(request)
    view = figure.view(desk, actor, lang, Span.of(r, desk.now()), key, thing)
    return _dialog(request, site, "figure", view.title, view)


@get(f"{BASE}/explain", opt={"access": "dataset.read"}, sync_to_thread=True)
def explain(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk,
    indicator: FromQuery[str] = "", thing: FromQuery[int] = 0, period: FromQuery[str] = "",
) -> Any:  # fmt: skip
    """The answer to where a number comes from."""
    view = explain_view.explained(desk, actor, lang_of(request), indicator, thing, period)
    if "hx-request" in request.headers:
        return site.fragment(request, "service/explain.html", view)
    return site.page(request, "explain.html", site.shell(request, view.title, BASE), view)


def _dialog(request: Asked, site: Site, name: str, title: str, view: object) -> Any:
    """For a script the part that stands in the dialog; for others a page of its own."""
    if "hx-request" in request.headers:
        return site.fragment(request, f"overview/{name}.html", view)
    shell = site.shell(request, title, BASE)
    return site.page(request, f"overview_{name}.html", shell, view)


# -- giving a number to an agency -------------------------------------------------------------------


@get(f"{BASE}/assign", opt={"access": "work.open"}, sync_to_thread=True)
def assign_form(
    request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, key: FromQuery[str] = "",
    thing: FromQuery[int | None] = None, r: R = "",
) -> Any:  # fmt: skip
    """The form that gives a number to an agency."""
    lang = lang_of(request)
    view = assign.form(desk, actor, lang, Span.of(r, desk.now()), key, thing)
    return _dialog(request, site, "assign", t("overview.assign", lang), view)


@post(f"{BASE}/assign", opt={"access": "work.open"}, status_code=303, sync_to_thread=True)
def assign_sent(
    request: Asked, data: Form, actor: TheActor, site: TheSite, desk: TheDesk,
    key: FromQuery[str] = "", thing: FromQuery[int | None] = None, r: R = "",
) -> Any:  # fmt: skip
    """Give it; on to the work item. With faults the form again, with what was sent."""
    lang, span = lang_of(request), Span.of(r, desk.now())
    try:
        code = assign.give(desk, actor, span, key, thing, data)
    except Invalid as error:
        view = assign.form(desk, actor, lang, span, key, thing, data, error)
        shell = site.shell(request, t("overview.assign", lang), BASE)
        answer = site.page(request, "overview_assign.html", shell, view)
        answer.status_code = 422
        return answer
    return see_other(f"/work/{code}?done=given")


# -- files --------------------------------------------------------------------------------------------


@get(f"{BASE}/download", opt={"access": "dataset.read"}, sync_to_thread=True)
def download(
    request: Asked, actor: TheActor, desk: TheDesk, what: FromQuery[str] = "",
    key: FromQuery[str] = "", thing: FromQuery[int | None] = None,
    stream: FromQuery[int] = 0, span: FromQuery[str] = "7d", r: R = "",
    service: Annotated[str, QueryParameter(name="pack")] = "",
    form: Annotated[str, QueryParameter(name="format")] = "csv",
) -> Response[bytes]:  # fmt: skip
    """What a tile, a panel or a chart shows, as CSV or XLSX. `pack`: of this pack's page."""
    lang, chosen = lang_of(request), Span.of(r, desk.now())
    if form not in tables.FORMATS:
        raise NotFound("web.no_page")
    if service:
        sheets = (_sheet_of(actor, desk, lang, chosen, what, service),)
    else:
        sheets = _sheets(request, actor, desk, lang, chosen, what, key, thing, stream, span)
    name = search_key(sheets[0].title).replace(" ", "-")
    name = "".join(c for c in name if c.isascii() and (c.isalnum() or c == "-"))[:60] or what
    stamp = f"{chosen.end.astimezone(VN):%Y%m%d-%H%M}"
    return Response(
        tables.written(sheets, form),
        media_type=tables.MEDIA[form],
        headers={
            "content-disposition": f'attachment; filename="{name}-{stamp}.{form}"',
            "cache-control": "no-store",
        },
    )


def _sheets(
    request: Asked, actor: Actor, desk: Desk, lang: str, span: Span, what: str, key: str,
    thing: int | None, stream: int, length: str,
) -> tuple[Sheet, ...]:  # fmt: skip
    if what == "figure":
        return figure.sheets(desk, actor, lang, span, key, thing)
    if what == "tiles":
        arranged = _arranged(request, actor, desk)
        cards = overview.cards(desk, actor, lang, span, arranged)
        return (figure.cards_sheet(cards, lang),)
    if what == "chart":
        return (figure.chart_sheet(desk, actor, lang, stream, length, 1400),)
    if what == "moved":
        return (figure.moved_sheet(overview_panels.moved(desk, actor, lang, span), lang),)
    if what == "data":
        return (figure.data_sheet(overview_panels.data(desk, actor, lang, span), lang),)
    if (
        what == "agencies"
        and (view := overview_panels.agencies(desk, actor, lang, span)) is not None
    ):
        return (figure.agencies_sheet(view, lang),)
    raise NotFound("web.no_page")


def _sheet_of(actor: Actor, desk: Desk, lang: str, span: Span, what: str, service: str) -> Sheet:
    one = pack.service(desk, actor, service)
    if what == "tiles":
        return figure.cards_sheet(pack.cards(desk, actor, lang, span, one), lang)
    if what == "data":
        return figure.data_sheet(pack.data(desk, actor, lang, span, one), lang)
    raise NotFound("web.no_page")


# -- arranging the tiles ------------------------------------------------------------------------------


@get(f"{BASE}/arrange", opt={"access": None}, sync_to_thread=True)
def arrange_form(request: Asked, actor: TheActor, site: TheSite, desk: TheDesk, r: R = "") -> Any:
    """The form that orders and hides tiles."""
    lang, span = lang_of(request), Span.of(r, desk.now())
    rows = overview.choices(desk, actor, lang, span, _arranged(request, actor, desk))
    kept = t("overview.kept_account" if actor.kind == "person" else "overview.kept_cookie", lang)
    view = o.ArrangeView(rows, kept, overview.url(r=span.name))
    return _dialog(request, site, "arrange", t("overview.arrange", lang), view)


@post(f"{BASE}/arrange", opt={"access": None}, status_code=303, sync_to_thread=True)
def arrange_sent(request: Asked, data: Form, actor: TheActor, desk: TheDesk, r: R = "") -> Any:
    """Keep the order and what is hidden; `reset` goes back to how it was at first."""
    words: list[str] = []
    if "reset" not in data:
        keys = [name[6:] for name in data if name.startswith("place.")]
        keys.sort(key=lambda key: _place(data[f"place.{key}"]))
        words = [key if f"show.{key}" in data else f"-{key}" for key in keys]
    cookie = arrangement.keep(desk.db, actor, Arrangement.read(words))
    desk.ring()
    answer = see_other(overview.url(r=Span.of(r, desk.now()).name, done="arranged"))
    if cookie is not None:
        answer.cookies.append(
            Cookie(
                key=COOKIE, value=cookie, max_age=COOKIE_AGE_S, httponly=True, samesite="lax",
                secure=request.scope["state"]["https"], path="/",
            )
        )  # fmt: skip
    return answer


def _place(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


router = Router(
    "/",
    route_handlers=[
        page, panel, figure_page, explain, assign_form, assign_sent, download, arrange_form,
        arrange_sent,
    ],
    include_in_schema=False,
)  # fmt: skip
