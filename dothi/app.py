"""Assembly: the rooms put together into the role web."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.config.compression import CompressionConfig
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ASGIApp

from dothi import __version__
from dothi.forms import api as forms_api
from dothi.forms.service import Forms
from dothi.house import House
from dothi.identity import units_api
from dothi.identity.guard import Guard
from dothi.identity.model import Actor
from dothi.identity.oidc import Provider
from dothi.identity.passwords import Passwords
from dothi.indicators import api as indicators_api
from dothi.ioc import (
    arrangement,
    data_pages,
    duty_bring,
    duty_pages,
    forms_pages,
    inspect_pages,
    leader_pages,
    league,
    load_pages,
    overview_pages,
    pack_pages,
    score_pages,
    search_pages,
    sql_pages,
    subject_pages,
    units_pages,
    wall_pages,
)
from dothi.ioc import pages as ioc_pages
from dothi.ioc.admin import pages as admin_pages
from dothi.ioc.admin.office import Office, visit_of
from dothi.ioc.desk import Desk
from dothi.ioc.menu import menu
from dothi.kernel.errors import Unavailable
from dothi.kernel.i18n import t
from dothi.lake import api as lake_api
from dothi.lake import loads_api, registry
from dothi.lake.form_lines import MOST_LINES
from dothi.lake.out import api as out_api
from dothi.lake.unended import unended
from dothi.net.outgoing import Outgoing
from dothi.reactions import topics_of
from dothi.store import pulse
from dothi.store.database import Database
from dothi.store.events import Event
from dothi.store.settings import Settings
from dothi.web import health, interface, oidc_pages
from dothi.web import pages as web_pages
from dothi.web.access import HEADERS, Access, actor_of, answering_head, lang_of
from dothi.web.assets import Assets
from dothi.web.health import Requests
from dothi.web.live import Hub
from dothi.web.problem import as_dothi_error, body_of, json_response, status_of, wants_html
from dothi.web.render import Pages
from dothi.web.site import PanelCache, Site, html
from dothi.web.view import ProblemView

PACKAGE = Path(__file__).parent


def create_app(house: House) -> tuple[Litestar, Hub]:
    """The web application of one process, and the hub that its server must close first."""
    settings, db = house.settings, house.db
    assets = Assets()
    datasets = _Names(house)
    hub = Hub(db, lambda event: topics_of(event, datasets.by_number(event)), assets.build)
    guard = Guard(db)
    pages = Pages([PACKAGE / "web" / "templates", PACKAGE / "ioc" / "templates"], assets)
    cache = PanelCache(hub.version)
    desk = Desk(db, house.lake, cache, settings, house.bell)
    site = Site(
        db=db,
        guard=guard,
        hasher=Passwords(),
        pages=pages,
        hub=hub,
        province=desk.province,
        demo=settings.demo,
        cache=cache,
        menu=partial(menu, desk),
        frame=desk.frame,
        may=desk.may,
        oidc=_provider(settings),
        choices=(arrangement.COOKIE,),
    )
    requests = Requests()

    def access(app: ASGIApp) -> ASGIApp:
        public = settings.public_url or ""
        return Access(app, guard, hub, site.at_hand, public_https=public.startswith("https://"))

    provided: dict[str, Any] = {
        "site": site,
        "desk": desk,
        "office": Office(db, settings, site.hasher, guard, cache, house.bell),
        "db": db,
        "lake": house.lake,
        "forms": Forms(db, house.lake, house.files),
        "files": house.files,
        "assets": assets,
        "hub": hub,
        "figures": lambda: requests.figures() | _waiting(db),
    }
    dependencies = {name: _provide(value) for name, value in provided.items()}
    dependencies["actor"] = Provide(_actor, sync_to_thread=False)
    dependencies["lang"] = Provide(_lang, sync_to_thread=False)
    dependencies["visit"] = Provide(visit_of)
    app = Litestar(
        route_handlers=[
            units_api.router,
            lake_api.router,
            loads_api.router,
            out_api.router,
            indicators_api.router,
            forms_api.router,
            web_pages.router,
            oidc_pages.router,
            ioc_pages.router,
            overview_pages.router,
            units_pages.router,
            score_pages.router,
            pack_pages.router,
            wall_pages.router,
            leader_pages.router,
            subject_pages.router,
            search_pages.router,
            data_pages.router,
            duty_pages.router,
            duty_bring.router,
            forms_pages.router,
            league.router,
            sql_pages.router,
            inspect_pages.router,
            load_pages.router,
            *admin_pages.ROUTERS,
            Router(
                "/", route_handlers=[health.healthz, health.readyz, health.metrics, openapi]
            ),
        ],
        dependencies=dependencies,
        middleware=[requests.middleware, access],
        exception_handlers={Exception: _Problems(site)},
        # A return with as many lines as one may have, each with its name and its columns.
        multipart_form_part_limit=MOST_LINES * 40,
        openapi_config=OpenAPIConfig(
            title="dothi", version=__version__,
            openapi_router=_NoRoutes("/openapi", route_handlers=[]),
        ),
        compression_config=CompressionConfig(
            backend="gzip", minimum_size=1000, gzip_compress_level=3,
            exclude=["^/live", "^/static"], exclude_opt_key="packed",
        ),
        on_startup=[hub.start],
        on_shutdown=[hub.stop],
        logging_config=None,
        debug=False,
    )  # fmt: skip
    app.asgi_handler = answering_head(app.asgi_handler)
    return app, hub


def _provider(settings: Settings) -> Provider | None:
    """The provider that people may sign in with beside local accounts."""
    if settings.oidc is None or settings.public_url is None:
        return None
    parts = urlsplit(settings.oidc.issuer)
    host = (
        parts.netloc if parts.port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
    )
    private = [ip_network(text) for text in settings.outgoing_private]
    outgoing = Outgoing([host, *settings.outgoing], private)
    return Provider(settings.oidc, settings.public_url, outgoing)


def _waiting(db: Database) -> dict[str, float]:
    """How many datasets wait for what cannot be ended; nothing while the database is away."""
    try:
        with db.transaction() as conn:
            return {"dothi_datasets_waiting": float(len(unended(conn)))}
    except Unavailable:
        return {}


def _provide(value: Any) -> Provide:
    async def give() -> Any:
        return value

    return Provide(give, use_cache=True)


def _actor(request: Request[Any, Any, Any]) -> Actor:
    return actor_of(request)


def _lang(request: Request[Any, Any, Any]) -> str:
    return lang_of(request)


class _NoRoutes(Router):
    """Takes the framework's own pages about the interface and serves none of them."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002
        return []


@get("/openapi.json", opt={"access": None}, include_in_schema=False, media_type=MediaType.JSON)
async def openapi(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """This application's interface as OpenAPI 3.1."""
    return interface.document(request.app)


class _Problems:
    """Turns every exception into a problem document, or into a page for a browser."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        known, reference = as_dothi_error(error)
        lang = lang_of(request)
        if not wants_html(request):
            answer = json_response(known, lang, request.url.path, reference)
            answer.headers.update(HEADERS)
            return answer
        body = body_of(known, lang, request.url.path)
        status = status_of(known)
        advice = t(f"web.advice_{status}", lang) if status in (403, 404) else None
        view = ProblemView(status, body["title"], body["detail"], advice, reference)
        shell = self._site.bare_shell(request, body["title"])
        page = self._site.pages.page("problem.html", lang, shell, view)
        return html(page, status, dict(HEADERS))


class _Names:
    """Datasets' names by number, looked up anew when an unknown number appears."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._names: dict[str, str] = {}

    def by_number(self, event: Event) -> dict[str, str]:
        if event.kind.startswith("data.") and event.subject not in self._names:
            with self._house.db.transaction() as conn:
                self._names = {str(d.id): d.name for d in registry.datasets(conn)}
        return self._names


class _Server(uvicorn.Server):
    """uvicorn that beats for its supervisor, and ends open streams when it is told to stop: they
    would hold it otherwise."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub
        self._beat = pulse.beat()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # each tick is a tenth of a second
            self._beat()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._hub.close()
        super().handle_exit(sig, frame)


def serve(settings: Settings, sock: socket.socket | None) -> None:
    """Answer HTTP until told to stop."""
    house = House.open(settings, "web", max_size=16)
    app, hub = create_app(house)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=30,
        limit_concurrency=4_000,
        lifespan="on",
    )
    server = _Server(config, hub)
    try:
        asyncio.run(server.serve(sockets=[sock] if sock else None))
    finally:
        house.close()
