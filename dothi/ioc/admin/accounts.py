"""Accounts of people: the list, one account, making, changing, locking, a new password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from litestar import Router, get, post
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
    Visit,
    chosen,
    living,
)
from dothi.ioc.admin.trail import Line, lines
from dothi.kernel.errors import Conflict, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.text import search_key
from dothi.kernel.time import utc_now
from dothi.store.database import Connection
from dothi.web.site import see_other
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
    visit: NamedDependency[Visit],
    q: FromQuery[str] = "",
) -> Page:
    """The accounts, or those whose login, name, agency or role holds the words looked for."""
    return _list(visit, EMPTY, q)


def _list(visit: Visit, form: Form, text: str = "", told: Told | None = None) -> Page:
    require(visit.actor, "account.manage", Resource("account"))
    lang = visit.lang
    with visit.db.transaction() as conn:
        people = _people(conn, visit.office, accounts.accounts(conn), lang)
        choices = living(conn, lang)
    wanted = search_key(text[:200]).split()
    found = [person for person in people if all(word in _words(person) for word in wanted)]
    view = PeopleView(
        tuple(found[:MOST_SHOWN]), len(found), text, choices, role_options(lang), form
    )
    title = t("admin.accounts", lang)
    return visit.show("accounts.html", URL, view, title=title, told=told)


@post(URL, opt={"access": "account.manage"}, sync_to_thread=True, status_code=201)
def account_add(
    data: Sent,
    visit: NamedDependency[Visit],
) -> Page:
    """Make an account; its first password is shown here and nowhere else, and serves once."""
    require(visit.actor, "account.manage", Resource("account"))
    password = passwords.generate()

    def add(conn: Connection) -> Account:
        return accounts.create_account(
            conn, login=data.get("login", ""), display_name=data.get("display_name", ""),
            agency=data.get("agency", ""), roles=chosen(data, "roles"), password=password,
            hasher=visit.office.hasher, actor=visit.actor, must_change=True,
        )  # fmt: skip

    def shown(made: Account) -> Page:
        page = _list(visit, EMPTY, told=_told(made, password, visit.lang))
        page.status_code = 201
        return page

    return visit.change("add", data, add, again=partial(_list, visit), then=shown)


@get(f"{URL}/{{account_id:int}}", opt={"access": "account.manage"}, sync_to_thread=True)
def account_page(
    account_id: FromPath[int],
    visit: NamedDependency[Visit],
) -> Page:
    """One account."""
    return _page(visit, account_id, EMPTY)


def _seen(conn: Connection, actor: Actor, account_id: int) -> Account:
    require(actor, "account.manage", Resource("account", str(account_id)))
    if account_id > 2**62:
        raise NotFound("identity.not_found")
    return accounts.get_account(conn, account_id)


def _page(visit: Visit, account_id: int, form: Form, told: Told | None = None) -> Page:
    lang, actor, site = visit.lang, visit.actor, visit.site
    with visit.db.transaction() as conn:
        account = _seen(conn, actor, account_id)
        view = PersonView(
            person=_people(conn, visit.office, [account], lang)[0],
            history=lines(conn, lang, subject=f"account:{account_id}", limit=HISTORY),
            agencies=living(conn, lang),
            roles=role_options(lang),
            form=form,
            oneself=actor.account_id == account_id,
            provider=site.oidc.name if site.oidc else None,
            linked=tuple(links.links(conn, account_id)),
        )
    title = account.login
    return visit.show("account.html", URL, view, title=title, told=told)


@post(
    f"{URL}/{{account_id:int}}",
    opt={"access": "account.manage"},
    sync_to_thread=True,
    status_code=303,
)
def account_change(
    account_id: FromPath[int],
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """Give an account another agency or other roles."""

    def change(conn: Connection, _: Account) -> None:
        accounts.change_roles(
            conn, account_id, agency=data.get("agency", ""), roles=chosen(data, "roles"),
            actor=visit.actor,
        )  # fmt: skip

    return _changed(visit, account_id, "change", data, change, "saved")


def _changed(
    visit: Visit,
    account_id: int,
    name: str,
    sent: Mapping[str, str],
    act: Callable[[Connection, Account], Told | None],
    done: str,
) -> Any:
    """What answers a form about one account; a secret that came of it is shown at once."""

    def then(told: Told | None) -> Any:
        if told is None:
            return see_other(f"{URL}/{account_id}?done={done}")
        page = _page(visit, account_id, EMPTY, told)
        page.status_code = 200
        return page

    return visit.change(
        name, sent, lambda conn: act(conn, _seen(conn, visit.actor, account_id)),
        again=partial(_page, visit, account_id),
        then=then,
    )  # fmt: skip


@post(
    f"{URL}/{{account_id:int}}/{{what:str}}",
    opt={"access": "account.manage"},
    sync_to_thread=True,
    status_code=303,
)
def account_act(
    account_id: FromPath[int],
    what: FromPath[str],
    visit: NamedDependency[Visit],
) -> Any:
    """Lock it, let it in again, sign it out everywhere, give it a new password that serves once."""

    def act(conn: Connection, account: Account) -> Told | None:
        if what not in ACTS:
            raise NotFound("web.no_page")
        if what == "lock":
            accounts.disable_account(conn, account_id, actor=visit.actor)
        elif what == "unlock":
            accounts.enable_account(conn, account_id, actor=visit.actor)
        elif what == "sessions":
            accounts.end_sessions(conn, account_id, actor=visit.actor)
        else:
            password = passwords.generate()
            accounts.set_password(
                conn, account_id, password, hasher=visit.office.hasher, actor=visit.actor,
                must_change=True,
            )  # fmt: skip
            return _told(account, password, visit.lang)
        return None

    return _changed(visit, account_id, what, {}, act, what)


@post(
    f"{URL}/{{account_id:int}}/links",
    opt={"access": "account.manage"},
    sync_to_thread=True,
    status_code=303,
)
def account_link(
    account_id: FromPath[int],
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """Let an identity of the provider sign in as this account, or not any more (`remove`)."""
    provider, actor = visit.site.oidc, visit.actor

    def link(conn: Connection, _: Account) -> None:
        subject = data.get("subject", "")
        if "remove" in data:
            links.unlink(conn, account_id, data.get("issuer", ""), subject, actor=actor)
        elif provider is None:
            raise Conflict("oidc.not_configured")
        else:
            links.link(conn, account_id, provider.issuer, subject, actor=actor, now=utc_now())

    done = "unlinked" if "remove" in data else "linked"
    return _changed(visit, account_id, "link", data, link, done)


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
