"""What pages share: templates, the live hub, the cache of panels, answers and cookies."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from litestar import MediaType, Request, Response
from litestar.response import Redirect

from dothi.identity import agencies
from dothi.identity.guard import Guard, cookie_name, set_cookie
from dothi.identity.model import Actor
from dothi.identity.oidc import Provider
from dothi.identity.passwords import Passwords
from dothi.kernel.i18n import t
from dothi.kernel.time import utc_now
from dothi.store.database import Database
from dothi.web.access import Answer, actor_of, lang_of, theme_of
from dothi.web.live import Hub
from dothi.web.render import Pages
from dothi.web.view import Account, Chip, Flash, Latest, LatestView, NavItem, Shell

Frame = Callable[[Actor, str], tuple[tuple[Chip, ...], tuple[Latest, ...]]]
"""What the rooms put into the shell: chips of the header, lines of the footer."""


MOST_PAGES = 64
"""Whole pages that a process keeps; each takes some 120 KB."""
MOST_PANELS = 512
"""Panels that a process keeps, ready to send; each takes some 20 KB."""
PAGE_KEPT_S = 10.0
LONGEST_QUERY = 40
"""A page under a longer query is rendered anew: it is nobody's usual view."""


@dataclass(frozen=True)
class _Ready:
    """A page or panel as it is sent: plain, packed, and its tag."""

    text: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, text: str) -> _Ready:
        raw = text.encode()
        return cls(raw, gzip.compress(raw, 5, mtime=0), _tag(raw))

    def answer(self, request: Request[Any, Any, Any]) -> Answer:
        """Packed where the browser takes it; 304 without content where it has it already."""
        headers = {
            "etag": self.tag,
            "cache-control": "private, no-cache",
            "vary": "HX-Request, Cookie, Accept-Encoding",
        }
        if request.headers.get("if-none-match") == self.tag:
            return 304, headers, b""
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return 200, headers, self.text
        return 200, headers | {"content-encoding": "gzip"}, self.packed


@dataclass
class Site:
    """One web process's parts that pages need."""

    db: Database
    guard: Guard
    hasher: Passwords
    pages: Pages
    hub: Hub
    province: str
    demo: bool
    cache: PanelCache
    menu: Callable[[Actor, str], Sequence[NavItem]]
    """The main navigation for somebody, in a language."""
    frame: Frame
    may: Callable[[Actor, str], bool]
    oidc: Provider | None = None
    choices: Sequence[str] = ()
    """Cookies that change what a panel shows."""
    _kept: PanelCache = field(init=False)
    _panels: PanelCache = field(init=False)
    _asked: dict[Any, asyncio.Event] = field(default_factory=dict[Any, asyncio.Event])

    def __post_init__(self) -> None:
        self._kept = PanelCache(self.hub.version, MOST_PAGES)
        self._panels = PanelCache(self.hub.version, MOST_PANELS)

    def shell(self, request: Request[Any, Any, Any], title: str, current: str = "") -> Shell:
        """The shell around a page for who asks."""
        actor, lang = actor_of(request), lang_of(request)
        if actor.must_change:  # nothing else opens, and nothing is told, before that
            return replace(self.bare_shell(request, title), account=self._account(actor, lang))
        state = request.scope["state"]
        chips, latest = self.frame(actor, lang)
        flash = request.query_params.get("done")
        query = request.url.query
        return Shell(
            title=title,
            province=self.province,
            now=utc_now(),
            path=request.url.path + (f"?{query}" if query and not flash else ""),
            theme=state["theme"],
            demo=self.demo,
            nav=tuple(
                replace(item, current=item.url == current) for item in self.menu(actor, lang)
            ),
            chips=chips,
            chips_url="/chips",
            chips_topics=CHIP_TOPICS,
            account=self._account(actor, lang),
            live_url="/live",
            heard=state["heard"],
            latest=LatestView("/latest", ("work", "loads"), latest) if latest else None,
            flash=Flash("ok", t(f"web.done_{flash}", lang)) if flash in DONE else None,
        )

    def bare_shell(self, request: Request[Any, Any, Any], title: str) -> Shell:
        """The shell of a page that must work without the database: errors and signing in.

        A request that no route was found for has no state: nobody looked who sends it.
        """
        state = request.scope.get("state", {})
        session = cookie_name(https=state.get("https", request.url.scheme == "https"))
        return Shell(
            title=title,
            province=self.province,
            now=utc_now(),
            path=request.url.path,
            theme=theme_of(request),
            demo=self.demo,
            sign_in=session not in request.cookies,
        )

    def _account(self, actor: Actor, lang: str) -> Account | None:
        if actor.kind != "person" or actor.agency_id is None:
            return None

        def look() -> str:
            with self.db.transaction() as conn:
                return agencies.get_agency(conn, actor.agency_id or 0).name(lang)

        name = self.cache.value(("agency", actor.agency_id, lang), (), look, kept_s=300)
        role = min((r.value for r in actor.roles), default="officer")
        return Account(title=t(f"identity.role.{role}", lang), agency=name)

    def page(
        self, request: Request[Any, Any, Any], template: str, shell: Shell, view: object
    ) -> Response[str]:
        """A whole page."""
        text = self.pages.page(template, lang_of(request), shell, view)
        return html(
            text, headers={"cache-control": "private, no-cache", "vary": "HX-Request, Cookie"}
        )

    def kept_page(
        self,
        request: Request[Any, Any, Any],
        template: str,
        topics: Sequence[str],
        make: Callable[[], tuple[Shell, object]],
        *,
        also: tuple[str, ...] = (),
    ) -> Response[Any]:
        """A whole page, rendered and packed once for who sees the same, until a topic rings.

        `also`: what else it depends on, beside who asks and for what. Its handler says `packed` in its options, so that nothing packs it again.
        """
        actor, lang = actor_of(request), lang_of(request)
        query = request.url.query

        def look() -> _Ready:
            return _Ready.of(self.pages.page(template, lang, *make()))

        if len(query) > LONGEST_QUERY or "done" in request.query_params:
            found = look()
        else:
            theme = request.scope["state"]["theme"]
            key = (who(actor), lang, theme, request.url.path, query, also)
            found = self._kept.value(key, topics, look, kept_s=PAGE_KEPT_S)
        return _response(found.answer(request))

    def kept_fragment(
        self,
        request: Request[Any, Any, Any],
        template: str,
        topics: Sequence[str],
        make: Callable[[], object],
    ) -> Response[Any]:
        """A panel alone, as `kept_page` keeps pages: all screens that hear a ring get one rendering.

        Until the next ring `at_hand` answers for its handler, which says `packed` in its options.
        """

        def look() -> _Ready:
            return _Ready.of(self.pages.render(template, lang_of(request), view=make()))

        if len(request.scope["query_string"]) > LONGEST_QUERY:
            return _response(look().answer(request))
        key = self._panel_key(request)
        found = self._panels.value(key, topics, look, kept_s=PAGE_KEPT_S)
        return _response(found.answer(request))

    @asynccontextmanager
    async def at_hand(self, request: Request[Any, Any, Any]) -> AsyncIterator[Answer | None]:
        """The answer to who asks for a panel that `kept_fragment` still keeps; None: go on.

        A ring makes all screens ask at once: one goes on, the others wait here for what it makes.
        """
        if request.method != "GET" or "hx-request" not in request.headers:
            yield None
            return
        key = self._panel_key(request)
        if waited := key in self._asked:
            await self._asked[key].wait()
        found = self._panels.known(key)
        if found or waited or key not in self._panels:
            yield found.answer(request) if found else None
            return
        made = self._asked[key] = asyncio.Event()
        try:
            yield None
        finally:
            del self._asked[key]
            made.set()

    def _panel_key(self, request: Request[Any, Any, Any]) -> Any:
        asked = (request.scope["path"], request.scope["query_string"])
        chosen = [request.cookies.get(name) for name in self.choices]
        return (who(actor_of(request)), lang_of(request), *asked, *chosen)

    def fragment(
        self, request: Request[Any, Any, Any], template: str, view: object
    ) -> Response[str]:
        """A panel alone, for swapping in; unchanged ones are answered by their tag."""
        return tagged(request, self.pages.render(template, lang_of(request), view=view))


CHIP_TOPICS = ("work", "series:air_quality")
DONE = frozenset({
    "undone", "decided", "moved", "password", "signed_in", "given", "arranged", "added", "saved",
    "linked", "unlinked", "merged", "closed", "lock", "unlock", "sessions", "revoked", "shared",
    "pull_on", "pull_off", "pull_run", "pull_again", "pull_password",
    "defined", "loaded", "loaded_before", "urged", "urged_before", "handed_in", "approved",
    "sent_back", "recalled", "correcting", "abandoned", "written_before",
})  # fmt: skip


def html(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    """An HTML answer."""
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers or {})


def tagged(request: Request[Any, Any, Any], text: str) -> Response[str]:
    """An HTML answer with an ETag; 304 without content where the browser has it already."""
    tag = _tag(text.encode())
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "HX-Request, Cookie"}
    if request.headers.get("if-none-match") == tag:
        return Response("", status_code=304, media_type=MediaType.HTML, headers=headers)
    return html(text, headers=headers)


def _response(answer: Answer) -> Response[Any]:
    status, headers, body = answer
    return Response(body, status_code=status, media_type=MediaType.HTML, headers=headers)


def _tag(body: bytes) -> str:
    return '"' + hashlib.blake2b(body, digest_size=12).hexdigest() + '"'


def who(actor: Actor) -> Any:
    """All of an actor that an answer of the policy depends on: for keys of caches."""
    return (
        actor.kind,
        actor.account_id,
        actor.agency_id,
        actor.agencies,
        actor.predecessors,
        actor.roles,
        actor.actions,
    )


def see_other(path: str) -> Redirect:
    """After a form: look at the page again. `path` must be local."""
    return Redirect(path, status_code=303)


def local_path(text: str | None, otherwise: str = "/") -> str:
    """A path of ours, or another: no address of a foreign host passes, nor what browsers make one
    of (they drop tabs and line ends, and read a backslash as a slash)."""
    if not text or not text.startswith("/") or text.startswith("//") or "\\" in text:
        return otherwise
    return text if text.isprintable() else otherwise


def with_session(site: Site, response: Any, token: str, *, https: bool) -> Any:
    """The answer, with the session's cookie."""
    response.headers["set-cookie"] = set_cookie(token, site.guard.lifetime, https=https)
    return response


@dataclass(frozen=True, slots=True)
class _Kept:
    topics: Sequence[str]
    version: int
    until: float
    value: Any


class PanelCache:
    """Values kept until one of their topics rings; keyed by all that the answer depends on,
    the policy's answer included."""

    def __init__(self, hub_version: Callable[[Sequence[str]], int], most: int = 4_000) -> None:
        self._version = hub_version
        self._most = most
        self._kept: OrderedDict[Any, _Kept] = OrderedDict()
        self._making: dict[Any, Future[Any]] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: Any) -> bool:
        """Whether something is kept under a key, be it out of date."""
        return key in self._kept

    def known(self, key: Any) -> Any:
        """What is kept under a key and may still be shown; None where there is nothing."""
        with self._lock:
            found = self._kept.get(key)
        if found is None or found.until <= time.monotonic():
            return None
        return found.value if found.version == self._version(found.topics) else None

    def value(
        self, key: Any, topics: Sequence[str], make: Callable[[], Any], *, kept_s: float = 30.0
    ) -> Any:
        """The kept value, or a new one: made once, however many ask for it at the same time. It is
        never older than `kept_s` seconds."""
        version, now = self._version(topics), time.monotonic()
        mine = Future[Any]()
        with self._lock:
            found = self._kept.get(key)
            if found and found.version == version and now < found.until:
                return found.value
            first = self._making.setdefault((key, version), mine)
        if first is not mine:
            return first.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._making[key, version]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key, version]
            self._kept[key] = _Kept(topics, version, now + kept_s, made)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        mine.set_result(made)
        return made
