"""The operations screens' addresses: the environment service, work items, loads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import MediaType, Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter, URLEncodedBody

from dothi.identity import agencies as known_agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc import (
    environment,
    environment_quality,
    environment_tiles,
    explain_view,
    load_use,
    loads_view,
    units_map,
    work_view,
)
from dothi.ioc import view as v
from dothi.ioc.catalogue import DATA
from dothi.ioc.desk import TOPICS, Desk
from dothi.ioc.environment import BASE
from dothi.ioc.overview import BASE as OVERVIEW
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.lake.loads import decide_conflict
from dothi.lake.loads_api import undo as undo_for
from dothi.lake.service import Lake
from dothi.web.access import lang_of
from dothi.web.site import CHIP_TOPICS, Site, see_other, tagged
from dothi.web.view import ChipsView, LatestView, Shell
from dothi.work import inbox
from dothi.work.inbox import Filters
from dothi.work.model import Move, Severity, State
from dothi.work.service import move as move_item

Form = URLEncodedBody[dict[str, str]]
Page = Response[str]
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


@get("/", opt={"access": None})
async def home() -> Any:
    """The first page: the overview."""
    return see_other(OVERVIEW)


# -- the environment service ----------------------------------------------------------------------


@get(BASE, opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def service(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    stream: FromQuery[int | None] = None,
) -> Response[Any]:
    """The page of the environment service."""
    lang = lang_of(request)

    def make() -> tuple[Shell, v.ServiceView]:
        shell = site.shell(request, t("ioc.environment", lang), BASE)
        return shell, v.ServiceView(
            tiles=environment_tiles.tiles(desk, actor, lang),
            stations=environment.stations(desk, actor, lang),
            map=environment.ground(desk, actor, lang),
            chart=environment.chart(desk, actor, lang, stream),
            quality=environment_quality.quality(desk, actor, lang),
            work=environment.work(desk, actor, lang) if desk.sees_work(actor) else None,
        )

    return site.kept_page(request, "service.html", (*TOPICS, "work", "loads"), make)


@get(f"{BASE}/{{panel:str}}", opt={"access": "dataset.read", "packed": True}, sync_to_thread=True)
def panel(
    request: Request[Any, Any, Any],
    panel: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    stream: FromQuery[int | None] = None,
) -> Any:
    """One panel alone, for live refreshing."""
    lang = lang_of(request)
    makers = {
        "tiles": lambda: environment_tiles.tiles(desk, actor, lang),
        "stations": lambda: environment.stations(desk, actor, lang),
        "chart": lambda: environment.chart(desk, actor, lang, stream),
        "quality": lambda: environment_quality.quality(desk, actor, lang),
        "work": lambda: environment.work(desk, actor, lang),
    }
    if panel not in makers:
        raise NotFound("web.no_page")
    if "hx-request" not in request.headers:
        makers[panel]()
        return see_other(f"{BASE}?stream={stream}#{panel}" if stream else f"{BASE}#{panel}")
    topics = (*TOPICS, "work", "loads")
    return site.kept_fragment(request, f"service/{panel}.html", topics, makers[panel])


@get(f"{BASE}/explain", opt={"access": "dataset.read"}, sync_to_thread=True)
def explain(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    indicator: FromQuery[str] = "",
    thing: FromQuery[int] = 0,
    period: FromQuery[str] = "",
) -> Any:
    """The answer to where a number of this service comes from."""
    desk.air(actor)
    view = explain_view.explained(desk, actor, lang_of(request), indicator, thing, period)
    if "hx-request" in request.headers:
        return site.fragment(request, "service/explain.html", view)
    return site.page(request, "explain.html", site.shell(request, view.title, BASE), view)


@get(f"{BASE}/base.geojson", opt={"access": "dataset.read"}, sync_to_thread=True)
def base_map(desk: NamedDependency[Desk], within: FromQuery[str] = "") -> Response[bytes]:
    """The map's ground: the administrative units of a rectangle."""
    body = units_map.ground(desk, within)
    return Response(
        body, media_type="application/geo+json", headers={"cache-control": "public, max-age=3600"}
    )


@get(
    "/api/v1/streams/{stream_id:int}/chart",
    opt={"access": "dataset.read"},
    include_in_schema=True,
    sync_to_thread=True,
)
def stream_chart(
    request: Request[Any, Any, Any],
    stream_id: FromPath[int],
    actor: NamedDependency[Actor],
    desk: NamedDependency[Desk],
    span: FromQuery[str | None] = None,
    start: Annotated[float | None, QueryParameter(name="from")] = None,
    end: Annotated[float | None, QueryParameter(name="to")] = None,
    width: Annotated[int, QueryParameter(ge=10, le=8000)] = 1400,
) -> dict[str, Any]:
    """A stream over any span, cut into buckets with minimum, maximum and mean."""
    return environment.chart_data(
        desk, actor, lang_of(request), stream_id,
        span=span, start=_instant(start), end=_instant(end), width=width,
    )  # fmt: skip


def _instant(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return max(datetime.fromtimestamp(seconds, UTC), EARLIEST)
    except (OverflowError, ValueError, OSError) as error:
        raise Invalid("ioc.bad_span") from error


@get("/latest", opt={"access": None, "packed": True}, sync_to_thread=True)
def latest(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Page:
    """The footer's lines."""
    lang = lang_of(request)
    topics = ("work", "loads")

    def make() -> LatestView:
        return LatestView("/latest", topics, desk.latest(actor, lang))

    return site.kept_fragment(request, "latest.html", topics, make)


@get("/chips", opt={"access": None, "packed": True}, sync_to_thread=True)
def chips(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Page:
    """The header's counts."""
    lang = lang_of(request)

    def make() -> ChipsView:
        return ChipsView(desk.chips(actor, lang), "/chips", CHIP_TOPICS)

    return site.kept_fragment(request, "chips.html", CHIP_TOPICS, make)


# -- work items -----------------------------------------------------------------------------------


@get("/work", opt={"access": "work.read"}, sync_to_thread=True)
def work_list(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    severity: FromQuery[str] = "",
    standing: Annotated[str, QueryParameter(name="state")] = "",
    agency: FromQuery[int | None] = None,
    service: FromQuery[str] = "",
    after: FromQuery[str | None] = None,
) -> Page:
    """The open work items that this person may see."""
    lang = lang_of(request)
    require(actor, "work.read", Resource("work", agency_column="owner_agency"))
    severities = {s for s in Severity if s.name.lower() == severity}
    states = {s for s in State if s == standing and s in work_view.OPEN}
    agencies = frozenset(() if agency is None else (agency,))
    services = frozenset((service,) if service else ())
    filters = Filters(
        severities=frozenset(severities), states=frozenset(states), agencies=agencies,
        services=services,
    )  # fmt: skip
    asked = {"severity": severity, "state": standing, "agency": agency, "service": service}
    address = work_view.list_url(asked)
    with desk.db.transaction() as conn:
        found = inbox.inbox(conn, actor, filters, after=after)
        counts = inbox.counts(conn, actor, filters)
        of = [
            one.name(lang) for one in known_agencies.agencies(conn)
            if one.id == agency and decide(actor, "agency.read", Resource("agency", one.code)).allowed
        ]  # fmt: skip
    if service:  # a service of which somebody sees nothing has no name for them
        sees = counts.total and service in desk.packs
        of.insert(0, desk.packs[service].title[lang] if sees else service)
    view = v.WorkListView(
        url=address,
        topics=("work",),
        rows=work_view.rows_of(actor, found.items, desk.now(), lang),
        total=counts.total,
        states=work_view.state_choices(asked, lang),
        narrowed=work_view.narrowed(asked, of, lang),
        next_url=work_view.list_url(asked, after=found.after) if found.after else None,
    )
    if "hx-request" in request.headers:
        return tagged(request, site.pages.render("work_rows.html", lang, view=view))
    return site.page(
        request, "work_list.html", site.shell(request, t("ioc.work", lang), "/work"), view
    )


@get("/work/{code:str}", opt={"access": "work.read"}, sync_to_thread=True)
def work_page(
    request: Request[Any, Any, Any],
    code: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Page:
    """One work item."""
    lang = lang_of(request)
    with desk.db.transaction() as conn:
        full = inbox.item(conn, actor, code)
    view = work_view.page_of(actor, full, desk.now(), lang)
    if "hx-request" in request.headers:
        return tagged(request, site.pages.render("work_item.html", lang, view=view))
    return site.page(request, "work.html", site.shell(request, code, "/work"), view)


@post(
    "/work/{code:str}/{what:str}",
    opt={"access": "work.handle"},
    status_code=303,
    sync_to_thread=True,
)
def work_move(
    request: Request[Any, Any, Any],
    code: FromPath[str],
    what: FromPath[str],
    version: FromQuery[int],
    data: Form,
    actor: NamedDependency[Actor],
    desk: NamedDependency[Desk],
) -> Any:
    """Do something with a work item."""
    if what not in {m.value for m in work_view.OFFERED}:
        raise NotFound("web.no_page")
    with desk.db.transaction() as conn:
        move_item(conn, actor, code, Move(what), version=version, note=data.get("reason", ""))
    desk.ring()
    return _done(request, f"/work/{code}", "moved")


def _done(request: Request[Any, Any, Any], path: str, what: str) -> Any:
    """After a form: nothing for a script, which hears the ring; the page again for others."""
    if "hx-request" in request.headers:
        return Response("", status_code=204, media_type=MediaType.HTML)
    return see_other(f"{path}?done={what}")


# -- loads ----------------------------------------------------------------------------------------


@get("/loads", opt={"access": "load.read"}, sync_to_thread=True)
def loads_list(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    before: FromQuery[int | None] = None,
    dataset: FromQuery[str | None] = None,
) -> Page:
    """What people and files brought."""
    lang = lang_of(request)
    view = loads_view.page(desk, actor, lang, before, dataset)
    if "hx-request" in request.headers:
        return tagged(request, site.pages.render("loads_rows.html", lang, view=view))
    shell = site.shell(request, t("ioc.loads", lang), DATA)
    return site.page(request, "loads.html", shell, view)


@get("/loads/{load_id:int}", opt={"access": "load.read"}, sync_to_thread=True)
def load_page(
    request: Request[Any, Any, Any],
    load_id: FromPath[int],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Page:
    """One load with its quality report."""
    lang = lang_of(request)
    view = loads_view.one(desk, actor, lang, load_id)
    shell = site.shell(request, view.row.file, DATA)
    return site.page(request, "load.html", shell, view)


@get("/loads/{load_id:int}/use", opt={"access": "load.read"}, sync_to_thread=True)
def load_use_page(
    request: Request[Any, Any, Any],
    load_id: FromPath[int],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
) -> Page:
    """What rests on a load."""
    lang = lang_of(request)
    view = load_use.use(desk, actor, lang, load_id)
    if "hx-request" in request.headers:
        return site.fragment(request, "load_use.html", view)
    shell = site.shell(request, t("loads.use", lang), DATA)
    return site.page(request, "load_use_page.html", shell, view)


@post(
    "/loads/{load_id:int}/undo",
    opt={"access": "dataset.undo"},
    status_code=303,
    sync_to_thread=True,
)
def load_undo(
    request: Request[Any, Any, Any],
    load_id: FromPath[int],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
) -> Any:
    """Take a load out."""
    undo_for(lake, actor, load_id)
    return _done(request, f"/loads/{load_id}", "undone")


@post(
    "/conflicts/{conflict_id:int}/{row:int}",
    opt={"access": "conflict.decide"},
    status_code=303,
    sync_to_thread=True,
)
def conflict(
    request: Request[Any, Any, Any],
    conflict_id: FromPath[int],
    row: FromPath[int],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
) -> Any:
    """Keep one of two contradicting values; row 0: none of them."""
    decided = decide_conflict(lake, actor, conflict_id, row or None)
    return _done(request, f"/loads/{decided.load_id}", "decided")


# A router of their own: registered one by one, two handlers in threads at one address break.
router = Router(
    "/",
    route_handlers=[
        home, service, panel, explain, base_map, stream_chart, latest, chips, work_list, work_page,
        work_move, loads_list, load_page, load_use_page, load_undo, conflict,
    ],
    include_in_schema=False,
)  # fmt: skip
