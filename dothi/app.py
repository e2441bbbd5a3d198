"""Assembly: the rooms put together into the roles web, worker, migrate and demo."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.config.compression import CompressionConfig
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ASGIApp

from dothi import __version__, jail
from dothi.identity import accounts, audit, heads, keys, sessions, throttle
from dothi.identity import commands as audit_commands
from dothi.identity.guard import Guard
from dothi.identity.model import SYSTEM, Actor, Role
from dothi.identity.passwords import Passwords
from dothi.indicators import service as indicator_service
from dothi.indicators.recompute import Recomputer
from dothi.ioc import pages as ioc_pages
from dothi.ioc.desk import Desk
from dothi.kernel.errors import DothiError, Unavailable
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, day_start, local_date, utc_now
from dothi.lake import api as lake_api
from dothi.lake import registry
from dothi.lake.loading import FileStore
from dothi.lake.service import Lake
from dothi.packs import install as pack_install
from dothi.packs import load as pack_load
from dothi.packs.demo import feed as demo_feed
from dothi.packs.demo import prepare as demo_prepare
from dothi.packs.demo.spec import demo_accounts, demo_agencies
from dothi.reactions import REACTIONS, topics_of
from dothi.store.ballast import Ballast
from dothi.store.database import Database
from dothi.store.events import Doorbell, Event, Listener
from dothi.store.home import Home
from dothi.store.provision import provision
from dothi.store.settings import Settings
from dothi.web import health
from dothi.web import pages as web_pages
from dothi.web.access import HEADERS, Access, actor_of, lang_of
from dothi.web.assets import Assets
from dothi.web.health import Requests
from dothi.web.live import Hub
from dothi.web.problem import as_dothi_error, body_of, json_response, status_of, wants_html
from dothi.web.render import Pages
from dothi.web.site import PanelCache, Site, html
from dothi.web.view import ProblemView
from dothi.work.jobs import RungTimer

PACKAGE = Path(__file__).parent
IDEMPOTENCY_KEPT = timedelta(days=7)
HEADS_EVERY_S = 60.0
MAINTAIN_EVERY_S = 3600.0

log = logging.getLogger("dothi")


@dataclass
class House:
    """What every role stands on: database, store, files, the guard of the disk."""

    settings: Settings
    db: Database
    bell: Doorbell
    lake: Lake
    files: FileStore
    ballast: Ballast

    @classmethod
    def open(cls, settings: Settings, name: str, *, max_size: int = 8) -> House:
        """Connect; nothing is asked of the database yet."""
        assert settings.database_url is not None
        db = Database(settings.database_url, name=name, max_size=max_size)
        bell = Doorbell(db)
        folder = settings.home / "lake"
        folder.mkdir(parents=True, exist_ok=True)
        ballast = Ballast(
            settings.home,
            reserve_bytes=settings.reserve_bytes,
            ballast_bytes=settings.ballast_bytes,
        )
        lake = Lake(db, folder, bell=bell, may_write=ballast.writes_allowed)
        return cls(settings, db, bell, lake, FileStore(settings.home / "files"), ballast)

    def close(self) -> None:
        """Commit what waits and let go of everything."""
        self.lake.close()
        self.bell.close()
        self.db.close()


# -- web ----------------------------------------------------------------------------------------


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
        menu=ioc_pages.MENU,
        frame=desk.frame,
        may=desk.may,
    )
    requests = Requests()

    def access(app: ASGIApp) -> ASGIApp:
        public = settings.public_url or ""
        return Access(app, guard, public_https=public.startswith("https://"))

    provided: dict[str, Any] = {
        "site": site,
        "desk": desk,
        "db": db,
        "lake": house.lake,
        "files": house.files,
        "assets": assets,
        "hub": hub,
        "figures": requests.figures,
    }
    dependencies = {name: _provide(value) for name, value in provided.items()}
    dependencies["actor"] = Provide(_actor, sync_to_thread=False)
    dependencies["lang"] = Provide(_lang, sync_to_thread=False)
    app = Litestar(
        route_handlers=[
            lake_api.router,
            web_pages.router,
            *ioc_pages.handlers,
            health.healthz,
            health.readyz,
            health.metrics,
            openapi,
        ],
        dependencies=dependencies,
        middleware=[requests.middleware, access],
        exception_handlers={Exception: _Problems(site)},
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
    return app, hub


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
    return request.app.openapi_schema.to_schema()


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
        view = ProblemView(status, body["title"], body["detail"], reference=reference)
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
    """uvicorn that ends open streams when it is told to stop: they would hold it otherwise."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

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


# -- worker -------------------------------------------------------------------------------------


def work(settings: Settings) -> None:
    """Reactions, indicators, rungs, the audit trail's seals, the lake's housekeeping."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    house = House.open(settings, "worker")
    worker = _Worker(house, stop)
    try:
        worker.run()
    finally:
        house.close()
        # A computation in the middle holds nothing that a kill could harm.
        os._exit(0)


class _Worker:
    """The threads of the worker: each looks when the doorbell rings, and once a second."""

    def __init__(self, house: House, stop: threading.Event) -> None:
        self._house = house
        self._stop = stop
        self._recomputer = Recomputer(house.db, house.lake)
        self._next: dict[str, datetime] = {}

    def run(self) -> None:
        """Work until told to stop."""
        house = self._house
        timer = RungTimer(house.db, fired=house.bell.ring)
        quick = Listener(house.db, lambda: self._quick(timer))
        heavy = Listener(house.db, self._indicators)
        keeper = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)
        keeper.start()
        self._stop.wait()
        for part in (quick, heavy):
            part.signal_close()
        timer.close()

    def _quick(self, timer: RungTimer) -> None:
        """What people wait for: reactions, then the audit trail."""
        moved = 0
        for cursor in REACTIONS:
            while not self._stop.is_set() and (count := cursor.advance(self._house.db)):
                moved += count
        audit.seal(self._house.db)
        if moved:
            timer.wake()
            self._house.bell.ring()

    def _indicators(self) -> None:
        while not self._stop.is_set() and self._recomputer.advance():
            self._house.bell.ring()

    # -- what happens by the clock ----------------------------------------------------------------

    def _keep_house(self) -> None:
        jobs = (
            ("pending", timedelta(days=3650), self._house.lake.drop_pending),
            ("heads", timedelta(seconds=HEADS_EVERY_S), self._append_head),
            ("close", timedelta(minutes=10), self._close_days),
            ("maintain", timedelta(seconds=MAINTAIN_EVERY_S), self._house.lake.maintain),
            ("purge", timedelta(hours=1), self._purge),
            ("sweep", timedelta(hours=1), self._sweep),
        )
        while not self._stop.wait(1.0):
            for name, every, job in jobs:
                now = utc_now()
                if self._next.get(name, now) > now:
                    continue
                self._next[name] = now + every
                try:
                    job()
                except Unavailable:
                    self._next[name] = now + timedelta(seconds=5)
                except Exception:
                    log.exception("housekeeping: %s failed, tried again in a minute", name)
                    self._next[name] = now + timedelta(minutes=1)

    def _append_head(self) -> None:
        home = Home(self._house.settings.home)
        file = audit_commands.heads_file(home.path)
        key = home.secret(audit_commands.HEADS_KEY)
        with self._house.db.transaction() as conn:
            heads.append(conn, file, key.encode())

    def _close_days(self) -> None:
        """Move closed days into the lake; a later call finds only what came late."""
        midnight = day_start(local_date(utc_now(), VN), VN)
        with self._house.db.transaction() as conn:
            datasets = registry.datasets(conn)
        for dataset in datasets:
            if self._stop.is_set() or not self._house.ballast.writes_allowed():
                return
            self._house.lake.close_days(dataset.id, midnight)

    def _sweep(self) -> None:
        """Remove what killed processes left lying about."""
        self._house.files.sweep(utc_now())
        jail.sweep()

    def _purge(self) -> None:
        now = utc_now()
        with self._house.db.transaction() as conn:
            sessions.purge(conn, sessions.Lifetime(), now)
            throttle.purge(conn, now)
            conn.execute("DELETE FROM idempotency WHERE at < %s", (now - IDEMPOTENCY_KEPT,))


# -- migrate and demo ---------------------------------------------------------------------------


def migrate(settings: Settings) -> None:
    """Bring the schema, the packs and the first account to this version's state."""
    # Alembic and what it stands on take half a second of CPU that only this role needs.
    from dothi.store.migrations import migrate as migrate_schema

    assert settings.database_url is not None
    if settings.owner_url is not None:
        provision(settings.owner_url, settings.database_url)
    migrate_schema(settings.database_url)
    house = House.open(settings, "migrate", max_size=4)
    try:
        _settle(house)
    finally:
        house.close()


def _settle(house: House) -> None:
    settings = house.settings
    packs = pack_load.load_all(settings.packs)
    home = Home(settings.home)
    with house.db.transaction() as conn:
        password = home.first_password()
        if password and not accounts.first_admin(conn, password):
            home.forget_first_password()
        made: dict[str, str] = {}
        if settings.demo:
            made = accounts.demo_accounts(conn, demo_agencies(), demo_accounts())
        pack_install.install(conn, packs)
        indicator_service.install(conn, packs)
    if made:
        lines = [
            t("cli.demo_account", settings.lang, login=login, password=password)
            for login, password in made.items()
        ]
        home.leave_notice("\n".join(lines))
    if settings.demo and house.ballast.writes_allowed():
        demo_prepare.prepare(house.db, house.lake, utc_now())


def demo(settings: Settings) -> None:
    """Feed live demonstration data through the public door until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    house = House.open(settings, "demo", max_size=2)
    try:
        key = _demo_key(house)
        while not stop.is_set():
            address = _own_address(settings)
            if address is not None:
                demo_feed.feed(address, key, stop)
            stop.wait(0.5)
    except DothiError:
        log.exception("the demonstration's feeder ends")
    finally:
        house.close()


def _demo_key(house: House) -> str:
    with house.db.transaction() as conn:
        dataset = registry.find(conn, "air_quality")
        issued = keys.issue(
            conn, name="demo", agency=dataset.contract.owner, roles=[Role.DATA],
            actions=["dataset.load"], lifetime=timedelta(days=30), actor=SYSTEM, now=utc_now(),
        )  # fmt: skip
    return issued[1]


def _own_address(settings: Settings) -> str | None:
    state = Home(settings.home).state()
    port = state["port"] if state else settings.port
    return f"http://127.0.0.1:{port}" if port else None
