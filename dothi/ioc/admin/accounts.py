"""Accounts of people: the list, one account, making, changing, locking, a new password."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from dothi.identity import accounts, agencies, links, passwords, sessions
from dothi.identity.links import Link
from dothi.identity.model import STAFF_ROLES, Account, Actor, Role
from dothi.identity.policy import Resource, require
from dothi.ioc.admin.office import (
    BASE,
    EMPTY,
    Form,
    Office,
    Option,
    Page,
    Sent,
    Told,
    answered,
    chosen,
    living,
    refused,
    show,
)
from dothi.ioc.admin.trail import Line, lines
from dothi.kernel.errors import Conflict, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.text import search_key
from dothi.kernel.time import utc_now
from dothi.store.database import Connection
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Status

URL = f"{BASE}/accounts"
MOST_SHOWN = 100
HISTORY = 30
ACTS = ("lock", "unlock", "password", "sessions")


@dataclass(frozen=True)
class Person:
    """An account in a list or on its page. `seen_at`: last active, of the sessions that hold."""

    id: int
    login: str
    name: str
    agency: str
    agency_code: str
    roles: tuple[str, ...]
    role_names: tuple[str, ...]
    state: Status
    locked: bool
    created_at: datetime
    seen_at: datetime | None
    sessions: int
    url: str


@dataclass(frozen=True)
class PeopleView:
    people: tuple[Person, ...]
    total: int
    text: str
    agencies: tuple[Option, ...]
    roles: tuple[Option, ...]
    form: Form


@dataclass(frozen=True)
class PersonView:
    person: Person
    history: tuple[Line, ...]
    agencies: tuple[Option, ...]
    roles: tuple[Option, ...]
    form: Form
    oneself: bool
    provider: str | None
    linked: tuple[Link, ...]


@get(URL, opt={"access": "account.manage"}, sync_to_thread=True)
def account_list(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
    q: FromQuery[str] = "",
) -> Page:
    """The accounts, or those whose login, name, agency or role holds the words looked for."""
    return _list(request, actor, site, office, EMPTY, q)


def _list(
    request: Request[Any, Any, Any],
    actor: Actor,
    site: Site,
    office: Office,
    form: Form,
    text: str = "",
    told: Told | None = None,
) -> Page:
    require(actor, "account.manage", Resource("account"))
    lang = lang_of(request)
    with office.db.transaction() as conn:
        people = _people(conn, office, accounts.accounts(conn), lang)
        choices = living(conn, lang)
    wanted = search_key(text[:200]).split()
    found = [person for person in people if all(word in _words(person) for word in wanted)]
    view = PeopleView(
        tuple(found[:MOST_SHOWN]), len(found), text, choices, role_options(lang), form
    )
    title = t("admin.accounts", lang)
    return show(request, site, actor, "accounts.html", URL, view, title=title, told=told)


@post(URL, opt={"access": "account.manage"}, sync_to_thread=True, status_code=201)
def account_add(
    request: Request[Any, Any, Any],
    data: Sent,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Page:
    """Make an account; its first password is shown here and nowhere else, and serves once."""
    require(actor, "account.manage", Resource("account"))
    lang, password = lang_of(request), passwords.generate()
    try:
        with office.db.transaction() as conn:
            made = accounts.create_account(
                conn, login=data.get("login", ""), display_name=data.get("display_name", ""),
                agency=data.get("agency", ""), roles=chosen(data, "roles"), password=password,
                hasher=office.hasher, actor=actor, must_change=True,
            )  # fmt: skip
    except (Invalid, Conflict) as error:
        form = refused("add", data, error, lang)
        return answered(_list(request, actor, site, office, form), error)
    page = _list(request, actor, site, office, EMPTY, told=_told(made, password, lang))
    page.status_code = 201
    return page


@get(f"{URL}/{{account_id:int}}", opt={"access": "account.manage"}, sync_to_thread=True)
def account_page(
    request: Request[Any, Any, Any],
    account_id: FromPath[int],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Page:
    """One account."""
    return _page(request, account_id, actor, site, office, EMPTY)


def _seen(conn: Connection, actor: Actor, account_id: int) -> Account:
    require(actor, "account.manage", Resource("account", str(account_id)))
    if account_id > 2**62:
        raise NotFound("identity.not_found")
    return accounts.get_account(conn, account_id)


def _page(
    request: Request[Any, Any, Any],
    account_id: int,
    actor: Actor,
    site: Site,
    office: Office,
    form: Form,
    told: Told | None = None,
) -> Page:
    lang = lang_of(request)
    with office.db.transaction() as conn:
        account = _seen(conn, actor, account_id)
        view = PersonView(
            person=_people(conn, office, [account], lang)[0],
            history=lines(conn, lang, subject=f"account:{account_id}", limit=HISTORY),
            agencies=living(conn, lang),
            roles=role_options(lang),
            form=form,
            oneself=actor.account_id == account_id,
            provider=site.oidc.name if site.oidc else None,
            linked=tuple(links.links(conn, account_id)),
        )
    title = account.login
    return show(request, site, actor, "account.html", URL, view, title=title, told=told)


@post(
    f"{URL}/{{account_id:int}}",
    opt={"access": "account.manage"},
    sync_to_thread=True,
    status_code=303,
)
def account_change(
    request: Request[Any, Any, Any],
    account_id: FromPath[int],
    data: Sent,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Any:
    """Give an account another agency or other roles."""
    try:
        with office.db.transaction() as conn:
            _seen(conn, actor, account_id)
            accounts.change_roles(
                conn, account_id, agency=data.get("agency", ""), roles=chosen(data, "roles"),
                actor=actor,
            )  # fmt: skip
    except (Invalid, Conflict) as error:
        form = refused("change", data, error, lang_of(request))
        return answered(_page(request, account_id, actor, site, office, form), error)
    office.guard.forget()
    return see_other(f"{URL}/{account_id}?done=saved")


@post(
    f"{URL}/{{account_id:int}}/{{what:str}}",
    opt={"access": "account.manage"},
    sync_to_thread=True,
    status_code=303,
)
def account_act(
    request: Request[Any, Any, Any],
    account_id: FromPath[int],
    what: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Any:
    """Lock it, let it in again, sign it out everywhere, give it a new password that serves once."""
    lang = lang_of(request)
    told: Told | None = None
    try:
        with office.db.transaction() as conn:
            account = _seen(conn, actor, account_id)
            if what not in ACTS:
                raise NotFound("web.no_page")
            if what == "lock":
                accounts.disable_account(conn, account_id, actor=actor)
            elif what == "unlock":
                accounts.enable_account(conn, account_id, actor=actor)
            elif what == "sessions":
                accounts.end_sessions(conn, account_id, actor=actor)
            else:
                password = passwords.generate()
                accounts.set_password(
                    conn, account_id, password, hasher=office.hasher, actor=actor, must_change=True
                )
                told = _told(account, password, lang)
    except Conflict as error:
        form = refused(what, {}, error, lang)
        return answered(_page(request, account_id, actor, site, office, form), error)
    office.guard.forget()
    if told is not None:
        page = _page(request, account_id, actor, site, office, EMPTY, told)
        page.status_code = 200
        return page
    return see_other(f"{URL}/{account_id}?done={what}")


@post(
    f"{URL}/{{account_id:int}}/links",
    opt={"access": "account.manage"},
    sync_to_thread=True,
    status_code=303,
)
def account_link(
    request: Request[Any, Any, Any],
    account_id: FromPath[int],
    data: Sent,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Any:
    """Let an identity of the provider sign in as this account, or not any more (`remove`)."""
    done = "unlinked" if "remove" in data else "linked"
    try:
        with office.db.transaction() as conn:
            _seen(conn, actor, account_id)
            if "remove" in data:
                issuer = data.get("issuer", "")
                links.unlink(conn, account_id, issuer, data.get("subject", ""), actor=actor)
            elif site.oidc is None:
                raise Conflict("oidc.not_configured")
            else:
                subject = data.get("subject", "")
                links.link(conn, account_id, site.oidc.issuer, subject, actor=actor, now=utc_now())
    except (Invalid, Conflict) as error:
        form = refused("link", data, error, lang_of(request))
        return answered(_page(request, account_id, actor, site, office, form), error)
    office.guard.forget()
    return see_other(f"{URL}/{account_id}?done={done}")


def role_options(lang: str) -> tuple[Option, ...]:
    """The roles that can be given, in the policy's order."""
    return tuple(
        Option(role.value, t(f"identity.role.{role.value}", lang))
        for role in Role
        if role in STAFF_ROLES
    )


def _told(account: Account, password: str, lang: str) -> Told:
    return Told(
        t("admin.password_of", lang, login=account.login), password, t("admin.password_once", lang)
    )


def _words(person: Person) -> str:
    return search_key(
        " ".join((person.login, person.name, person.agency, person.agency_code, *person.role_names))
    )


def _people(conn: Connection, office: Office, found: list[Account], lang: str) -> list[Person]:
    houses = {agency.id: agency for agency in agencies.agencies(conn)}
    active = sessions.uses(conn, office.guard.lifetime, utc_now())
    people = []
    for account in found:
        house = houses[account.agency_id]
        use = active.get(account.id)
        roles = tuple(role.value for role in Role if role in account.roles)
        people.append(
            Person(
                account.id, account.login, account.display_name, house.name(lang), house.code,
                roles, tuple(t(f"identity.role.{role}", lang) for role in roles),
                _state(account, lang), account.disabled_at is not None, account.created_at,
                use.seen_at if use else None, use.sessions if use else 0, f"{URL}/{account.id}",
            )
        )  # fmt: skip
    return people


def _state(account: Account, lang: str) -> Status:
    if account.disabled_at is not None:
        return Status("warning", t("admin.locked_since", lang, at=account.disabled_at))
    if account.must_change:
        return Status("notice", t("admin.must_change", lang))
    return Status("ok", t("admin.account_active", lang))


router = Router(
    "/",
    route_handlers=[
        account_list, account_add, account_page, account_change, account_act, account_link,
    ],
    include_in_schema=False,
)  # fmt: skip
