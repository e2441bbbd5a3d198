"""Signing in with a provider of OpenID Connect: there, back, and linking one's own account."""

from __future__ import annotations

import hmac
import logging
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery

from dothi.identity import links
from dothi.identity.links import PATIENCE
from dothi.identity.model import Actor
from dothi.identity.oidc import Provider
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import (
    DothiError,
    Misconfigured,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from dothi.kernel.i18n import t
from dothi.kernel.time import utc_now
from dothi.web.access import lang_of
from dothi.web.pages import address_of, login_form
from dothi.web.problem import status_of
from dothi.web.site import Site, local_path, see_other, with_session
from dothi.web.view import LoginView, OnwardView

log = logging.getLogger(__name__)


@get("/login/oidc", opt={"access": None}, sync_to_thread=True)
def oidc_begin(
    request: Request[Any, Any, Any], site: NamedDependency[Site], next: FromQuery[str] = "/"
) -> Any:
    """Send the browser to the provider."""
    provider = _provider(site)
    goal = local_path(next)
    try:
        url, attempt = provider.begin(goal)
        with site.db.transaction() as conn:
            links.keep(conn, attempt, address_of(request), utc_now())
    except DothiError as error:
        return _refused(request, site, provider, goal, error)
    answer = see_other(url)
    answer.cookies.append(_cookie(request, attempt.state))
    return answer


@get("/login/oidc/callback", opt={"access": None}, sync_to_thread=True)
def oidc_back(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
) -> Any:
    """Back from the provider: sign in as the linked account, or link one's own."""
    provider, goal = _provider(site), "/"
    said = {name: value[:4000] for name, value in request.query_params.items()}
    brought, now = request.cookies.get(_name(request), ""), utc_now()
    scope = request.scope["state"]
    try:
        # The cookie says that this browser began: nobody is signed in by somebody else's link.
        if not brought or not hmac.compare_digest(
            brought.encode(), said.get("state", "").encode("utf-8", "replace")
        ):
            raise Unauthenticated("oidc.begin_again")
        with site.db.transaction() as conn:
            attempt = links.take(conn, brought, now)
        goal = attempt.goal
        identity = provider.finish(attempt, said)
        if attempt.account is None:
            token = links.sign_in(
                site.db, identity, address=address_of(request), now=now, cookie=scope["cookie"]
            )
            answer = with_session(site, see_other(goal), token, https=scope["https"])
        else:
            if actor.account_id != attempt.account:
                raise Unauthenticated("oidc.begin_again")
            with site.db.transaction() as conn:
                links.link_own(conn, identity, actor=actor, now=now)
            answer = see_other(goal)
    except DothiError as error:
        answer = _refused(request, site, provider, goal, error)
    site.guard.forget()
    answer.cookies.append(_cookie(request, ""))
    return answer


@post("/account/link", opt={"access": "account.self"}, sync_to_thread=True, status_code=200)
def oidc_link(
    request: Request[Any, Any, Any], actor: NamedDependency[Actor], site: NamedDependency[Site]
) -> Any:
    """Begin to link an identity of the provider to one's own account.

    A form of ours leads to no other host (`form-action` of the pages' policy), so this shows a link.
    """
    provider, lang = _provider(site), lang_of(request)
    mine = Resource("account", str(actor.account_id), owner_account=actor.account_id)
    if not actor.signed_in:
        raise Unauthenticated("identity.unauthenticated")
    require(actor, "account.self", mine)
    url, attempt = provider.begin("/account/password?done=linked", actor.account_id)
    with site.db.transaction() as conn:
        links.keep(conn, attempt, address_of(request), utc_now())
    title = t("oidc.link", lang, name=provider.name)
    view = OnwardView(t("oidc.link_help", lang, name=provider.name), t("oidc.onward", lang), url)
    answer = site.page(request, "onward.html", site.shell(request, title), view)
    answer.headers["cache-control"] = "no-store"
    answer.cookies.append(_cookie(request, attempt.state))
    return answer


def _provider(site: Site) -> Provider:
    if site.oidc is None:
        raise NotFound("web.no_page")
    return site.oidc


def _refused(
    request: Request[Any, Any, Any], site: Site, provider: Provider, goal: str, error: DothiError
) -> Response[str]:
    """The sign-in form with the reason. What only an operator can mend stands in the log."""
    status = status_of(error)
    if isinstance(error, Misconfigured | Unavailable):
        log.error("the provider cannot be used: %s", error.text("en"))
        error = Unavailable("oidc.no_provider", name=provider.name, retry_after_s=10)
        status = 503
    answer = login_form(request, site, LoginView(goal, error=error.text(lang_of(request))), status)
    if isinstance(error, TooMany | Unavailable):
        answer.headers["retry-after"] = str(error.retry_after_s)
    return answer


def _name(request: Request[Any, Any, Any]) -> str:
    return "__Host-dothi_oidc" if request.scope["state"]["https"] else "dothi_oidc"


def _cookie(request: Request[Any, Any, Any], value: str) -> Cookie:
    """Says that this browser began; empty takes it away."""
    return Cookie(
        key=_name(request),
        value=value,
        max_age=int(PATIENCE.total_seconds()) if value else 0,
        httponly=True,
        samesite="lax",
        secure=request.scope["state"]["https"],
        path="/",
    )


router = Router("/", route_handlers=[oidc_begin, oidc_back, oidc_link], include_in_schema=False)
