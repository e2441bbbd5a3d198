"""Every request's way in: who asks, in which language, whether the change was meant; and the
headers every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie, MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from dothi.identity.guard import (
    CSRF_FIELD,
    SAFE_METHODS,
    Guard,
    Sent,
    check_same_site,
    cookie_name,
)
from dothi.identity.model import ANONYMOUS, Actor
from dothi.kernel.errors import Forbidden
from dothi.kernel.i18n import LANGS
from dothi.kernel.time import utc_now
from dothi.web.assets import PREFIX
from dothi.web.live import Hub
from dothi.web.problem import BadRequestError, wants_html
from dothi.web.render import CSP
from dothi.web.view import Theme

HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(self), camera=(), microphone=()",
}
WITH_SPENT_PASSWORD = frozenset({
    "/account/password", "/logout", "/login", "/login/oidc", "/login/oidc/callback", "/preferences",
})  # fmt: skip
"""What may be done before a password that serves once is changed."""
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an answer that is ready to send."""
OPEN = ("/healthz", "/readyz", "/metrics", PREFIX)
"""Addresses that answer without asking who it is."""


def https(scope: Scope, trusted_proxy: bool = False) -> bool:
    """Whether the browser speaks https to us (a proxy on this machine may say so)."""
    if scope.get("scheme") == "https":
        return True
    headers = dict(scope.get("headers", []))
    return trusted_proxy and headers.get(b"x-forwarded-proto") == b"https"


class Access:
    """ASGI middleware: puts `actor`, `lang`, `theme`, the session cookie and what the hub had heard
    into the state. What is at hand for who asks is answered here."""

    def __init__(
        self,
        app: ASGIApp,
        guard: Guard,
        hub: Hub,
        at_hand: Callable[[Request[Any, Any, Any]], AbstractAsyncContextManager[Answer | None]],
        *,
        public_https: bool = False,
    ) -> None:
        self._app = app
        self._guard = guard
        self._hub = hub
        self._at_hand = at_hand
        self._https = public_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request: Request[Any, Any, Any] = Request(scope)
        secure = https(scope, self._https)
        cookie = request.cookies.get(cookie_name(https=secure))
        authorization = request.headers.get("authorization")
        state: dict[str, Any] = scope.setdefault("state", {})
        state["heard"] = self._hub.heard  # before anything is read for the answer
        state["cookie"] = cookie
        state["https"] = secure
        state["lang"] = language(request)
        state["theme"] = theme_of(request)
        state["actor"] = ANONYMOUS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders(message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise BadRequestError("web.bad_request")
        if not scope["path"].startswith(OPEN):
            # A known session is answered without a thread; a new one asks the database in one.
            actor = self._guard.remembered(cookie, authorization)
            if actor is None:
                actor = await asyncio.to_thread(
                    self._guard.authenticate, cookie, authorization, utc_now()
                )
            state["actor"] = actor
            check_same_site(
                Sent(
                    method=request.method,
                    https=secure,
                    host=request.headers.get("host", ""),
                    sec_fetch_site=request.headers.get("sec-fetch-site"),
                    origin=request.headers.get("origin"),
                    form_token=request.headers.get(CSRF_FIELD),
                ),
                cookie,
                by_key=actor.kind == "key",
            )
            if actor.must_change and scope["path"] not in WITH_SPENT_PASSWORD:
                await self._to_password(request, send_with_headers)
                return
            async with self._at_hand(request) as answer:
                if answer is not None:
                    await _send(answer, send_with_headers)
                else:
                    await self._app(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    async def _to_password(self, request: Request[Any, Any, Any], send: Send) -> None:
        """A password told by somebody else opens only the page that changes it."""
        if request.method not in SAFE_METHODS or not wants_html(request):
            raise Forbidden("identity.must_change")
        headers = [(b"location", b"/account/password"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(answer: Answer, send: Send) -> None:
    status, headers, body = answer
    if status != 304:
        headers |= {"content-type": "text/html; charset=utf-8", "content-length": str(len(body))}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def answering_head(app: ASGIApp) -> ASGIApp:
    """An ASGI application that answers HEAD as GET without the body: same handler, same policy."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            # The end comes at once: a stream hears it as its reader's going away.
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        as_get: Any = {**scope, "method": "GET"}
        await app(as_get, receive, send_head)

    return answer


def language(request: Request[Any, Any, Any]) -> str:
    """The cookie's language, else the first of ours that the browser names, else Vietnamese."""
    chosen = request.cookies.get("lang")
    if chosen in LANGS:
        return chosen
    for part in request.headers.get("accept-language", "").split(","):
        name = part.strip()[:2].lower()
        if name in LANGS:
            return name
    return "vi"


def theme_of(request: Request[Any, Any, Any]) -> Theme | None:
    """The cookie's theme; None: as the browser prefers."""
    chosen = request.cookies.get("theme")
    return chosen if chosen == "dark" or chosen == "light" else None


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """Who asks."""
    return request.scope["state"]["actor"]


def lang_of(request: Request[Any, Any, Any]) -> str:
    """In which language; also for a request that no route was found for."""
    return request.scope.get("state", {}).get("lang") or language(request)


def preference(name: str, value: str, *, secure: bool) -> Cookie:
    """A cookie for a choice about looks, kept for a year."""
    return Cookie(
        key=name,
        value=value,
        max_age=365 * 86_400,
        httponly=False,  # the theme switch of the page writes it too
        samesite="lax",
        secure=secure,
        path="/",
    )
