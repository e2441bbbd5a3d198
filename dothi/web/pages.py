"""Pages that belong to no service: signing in, passwords, preferences, live stream, static files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from litestar import MediaType, Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect
from litestar.response import Stream as StreamResponse

from dothi.identity import links, signin
from dothi.identity.guard import clear_cookie
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import (
    DothiError,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from dothi.kernel.i18n import LANGS, t
from dothi.kernel.time import utc_now
from dothi.web.access import lang_of, preference
from dothi.web.assets import Assets
from dothi.web.problem import status_of
from dothi.web.site import Site, html, local_path, see_other, with_session
from dothi.web.view import LoginView, PasswordView

Form = URLEncodedBody[dict[str, str]]


def address_of(request: Request[Any, Any, Any]) -> str:
    """The network address that sends a request."""
    return request.client.host if request.client else ""


@get("/login", opt={"access": None}, media_type=MediaType.HTML, sync_to_thread=True)
def login_page(
    request: Request[Any, Any, Any],
    site: NamedDependency[Site],
    next: FromQuery[str] = "/",
    left: FromQuery[bool] = False,
) -> Response[str]:
    """The sign-in form. `left`: who comes here has ended a session that a provider began."""
    out = site.oidc.sign_out_url() if left and site.oidc else None
    return login_form(request, site, LoginView(next=local_path(next), provider_out=out), 200)


def login_form(
    request: Request[Any, Any, Any], site: Site, view: LoginView, status: int
) -> Response[str]:
    """The sign-in form as an answer of any status."""
    lang = lang_of(request)
    view = replace(view, provider=site.oidc.name if site.oidc else None)
    # Choosing a language leads back to the form, not to a provider's answer, which counts once.
    shell = replace(site.bare_shell(request, t("web.sign_in", lang)), path="/login")
    return html(
        site.pages.page("login.html", lang, shell, view), status, {"cache-control": "no-store"}
    )


@post("/login", opt={"access": None}, sync_to_thread=True, status_code=303)
def login(request: Request[Any, Any, Any], data: Form, site: NamedDependency[Site]) -> Any:
    """Check name and password; on to where the person wanted to go."""
    state = request.scope["state"]
    username = data.get("username", "").strip()[:200]
    goal = local_path(data.get("next"))
    try:
        done = signin.sign_in(
            site.db,
            site.hasher,
            login=username,
            password=data.get("password", "")[:1000],
            address=address_of(request),
            now=utc_now(),
            cookie=state["cookie"],
        )
    except (Unauthenticated, TooMany) as error:
        view = LoginView(goal, username, error.text(lang_of(request)))
        answer = login_form(request, site, view, status_of(error))
        if isinstance(error, TooMany):
            answer.headers["retry-after"] = str(error.retry_after_s)
        return answer
    site.guard.forget()
    return with_session(site, see_other(goal), done.token, https=state["https"])


@post("/logout", opt={"access": None}, sync_to_thread=True, status_code=303)
def logout(
    request: Request[Any, Any, Any], actor: NamedDependency[Actor], site: NamedDependency[Site]
) -> Redirect:
    """End the session."""
    state = request.scope["state"]
    issuer = None
    if state["cookie"] and actor.signed_in:
        issuer = signin.sign_out(site.db, actor, state["cookie"])
    site.guard.forget()
    answer = see_other("/login?left=true" if issuer else "/login")
    answer.headers["set-cookie"] = clear_cookie(https=state["https"])
    return answer


def _own(actor: Actor) -> None:
    require(
        actor,
        "account.self",
        Resource("account", str(actor.account_id), owner_account=actor.account_id),
    )


@get("/account/password", opt={"access": "account.self"}, sync_to_thread=True)
def password_page(
    request: Request[Any, Any, Any], actor: NamedDependency[Actor], site: NamedDependency[Site]
) -> Response[str]:
    """The form to change one's own password."""
    _own_or_signin(actor)
    lang = lang_of(request)
    shell = site.shell(request, t("web.change_password", lang))
    told = t("identity.must_change", lang) if actor.must_change else None
    return site.page(request, "password.html", shell, _own_account(site, actor, error=told))


def _own_account(site: Site, actor: Actor, **more: Any) -> PasswordView:
    if site.oidc is None or actor.must_change or actor.account_id is None:
        return PasswordView(**more)
    with site.db.transaction() as conn:
        linked = tuple(link.subject for link in links.links(conn, actor.account_id))
    return PasswordView(provider=site.oidc.name, linked=linked, **more)


def _own_or_signin(actor: Actor) -> None:
    if not actor.signed_in:
        raise Unauthenticated("identity.unauthenticated")
    _own(actor)


@post("/account/password", opt={"access": "account.self"}, sync_to_thread=True, status_code=303)
def change_password(
    request: Request[Any, Any, Any],
    data: Form,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
) -> Any:
    """Change one's own password; every other session of the account ends."""
    _own_or_signin(actor)
    state, lang = request.scope["state"], lang_of(request)
    faults: dict[str, str] = {}
    if data.get("new", "") != data.get("again", data.get("new", "")):
        faults["again"] = t("web.password_differs", lang)
    error: DothiError | None = None
    if not faults:
        try:
            token = signin.change_password(
                site.db, site.hasher, actor=actor, old=data.get("current", "")[:1000],
                new=data.get("new", "")[:1000], address=address_of(request), now=utc_now(),
            )  # fmt: skip
            site.guard.forget()
            answer = see_other("/account/password?done=password")
            return with_session(site, answer, token, https=state["https"])
        except Invalid as refused:
            error = refused
            faults = {
                "current" if f.where == "old" else f.where: f.text(lang) for f in refused.faults
            }
        except TooMany as refused:
            error = refused
    shell = site.shell(request, t("web.change_password", lang))
    view = _own_account(site, actor, error=error.text(lang) if error else None, faults=faults)
    response = site.page(request, "password.html", shell, view)
    response.status_code = status_of(error) if error else 422
    return response


@post("/preferences", opt={"access": None}, status_code=303)
async def preferences(request: Request[Any, Any, Any], data: Form) -> Redirect:
    """Remember language and theme in cookies, and go back."""
    secure = request.scope["state"]["https"]
    answer = see_other(local_path(data.get("next")))
    if data.get("lang") in LANGS:
        answer.cookies.append(preference("lang", data["lang"], secure=secure))
    if data.get("theme") in ("dark", "light"):
        answer.cookies.append(preference("theme", data["theme"], secure=secure))
    return answer


@get("/live", opt={"access": None})
async def live(
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    topics: FromQuery[str] = "",
    since: FromQuery[str] = "",
) -> StreamResponse:
    """The page's event stream: rings of the topics that the policy lets this actor hear.

    `since` is the page's `data-heard`: what was rung while the page was on its way is not missed.
    """
    if site.hub.deaf:
        raise Unavailable("store.database_down", retry_after_s=1)
    asked = [topic for topic in topics.split(",")[:50] if topic]
    heard = frozenset(topic for topic in asked if site.may(actor, f"hear:{topic}"))
    return StreamResponse(
        site.hub.stream(heard, since),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@get("/static/{tree:str}/{digest:str}/{path:path}", opt={"access": None})
async def static(
    request: Request[Any, Any, Any],
    tree: FromPath[str],
    digest: FromPath[str],
    path: FromPath[str],
    assets: NamedDependency[Assets],
) -> Response[bytes]:
    """A file of ours or of a browser library."""
    found = assets.find(tree, digest, path.lstrip("/"), request.headers.get("accept-encoding", ""))
    if found is None:
        raise NotFound("web.no_page")
    media_type = found.headers["content-type"]
    return Response(found.body, media_type=media_type, headers=found.headers)


# A router of their own: registered one by one, two handlers in threads at one address break.
router = Router(
    "/",
    route_handlers=[
        login_page, login, logout, password_page, change_password, preferences, live, static,
    ],
    include_in_schema=False,
)  # fmt: skip
