"""What the administration pages share: services, their menu, forms as they were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from dothi.identity import agencies
from dothi.identity.guard import Guard
from dothi.identity.model import Actor, Agency
from dothi.identity.passwords import Passwords
from dothi.identity.policy import Action, Resource, decide
from dothi.ioc.view import Choice
from dothi.kernel.errors import Conflict, DothiError, Fault, Invalid
from dothi.kernel.i18n import t
from dothi.kernel.text import vietnamese_sort_key
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.store.database import Connection, Database
from dothi.store.events import Doorbell
from dothi.store.settings import Settings
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import PanelCache, Site

BASE = "/admin"
T = TypeVar("T")
Sent = URLEncodedBody[dict[str, str]]
Page = Response[str]

SECTIONS: tuple[tuple[str, str, Action], ...] = (
    ("admin.agencies", f"{BASE}/agencies", "agency.manage"),
    ("admin.accounts", f"{BASE}/accounts", "account.manage"),
    ("admin.keys", f"{BASE}/keys", "key.manage"),
    ("admin.roles", f"{BASE}/roles", "audit.read"),
    ("admin.datasets", f"{BASE}/datasets", "dataset.share"),
    ("admin.pulls", f"{BASE}/pulls", "pull.manage"),
    ("ioc.loads", "/loads", "load.read"),
    ("targets.title", f"{BASE}/targets", "target.set"),
    ("admin.packs", f"{BASE}/packs", "system.status"),
    ("admin.audit", f"{BASE}/audit", "audit.read"),
)
"""Catalogue key, address and the action that puts it into a person's menu."""


@dataclass(frozen=True)
class Office:
    """What the pages of one web process stand on."""

    db: Database
    settings: Settings
    hasher: Passwords
    guard: Guard
    cache: PanelCache
    bell: Doorbell


@dataclass(frozen=True)
class Form:
    """A form as it was sent: which one, what stood in its fields, what is wrong with them.

    Boxes of a group are sent as `group.name`.
    """

    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


EMPTY = Form()


@dataclass(frozen=True)
class Option:
    """One choice of a list."""

    value: str
    text: str


@dataclass(frozen=True)
class Told:
    """A secret that is shown once: what it is, for whom, and what to do with it."""

    title: str
    secret: str
    advice: str


def may(actor: Actor, action: Action) -> bool:
    """Whether they may do it to something, if only within their own agencies."""
    own = actor.agency_id
    on_data = action.startswith(("dataset", "target"))
    resource = Resource("dataset" if on_data else "agency", owner_agency=own)
    return actor.kind == "person" and decide(actor, action, resource).allowed


def sections(actor: Actor, lang: str, current: str) -> tuple[Choice, ...]:
    """The administration's menu, as far as it is for this person."""
    return tuple(
        Choice(t(key, lang), url, current == url)
        for key, url, action in SECTIONS
        if may(actor, action) or current == url
    )


def administers(actor: Actor) -> bool:
    """Whether the administration stands in somebody's menu."""
    return any(may(actor, action) for _, _, action in SECTIONS if action != "load.read")


def refused(name: str, sent: Mapping[str, str], error: DothiError, lang: str) -> Form:
    """The form again, with what was wrong beside its fields."""
    faults: dict[str, str] = {}
    for fault in error.faults if isinstance(error, Invalid) else ():
        text = fault.text(lang)
        faults[fault.where] = f"{faults[fault.where]} {text}" if fault.where in faults else text
    # A password is never sent back.
    kept = {key: value for key, value in sent.items() if "password" not in key}
    return Form(name, kept, faults, error.text(lang))


def answered(page: Page, error: DothiError) -> Page:
    """The page with the status that the error has."""
    page.status_code = status_of(error)
    return page


def chosen(sent: Mapping[str, str], group: str) -> list[str]:
    """The boxes of a group that were ticked."""
    return [key.removeprefix(f"{group}.") for key in sent if key.startswith(f"{group}.")]


def day_of(sent: Mapping[str, str], name: str) -> date:
    """The day in a field. Raises Invalid."""
    try:
        return date.fromisoformat(sent.get(name, "").strip())
    except ValueError:
        fault = Fault(name, "identity.day_unreadable")
        raise Invalid("admin.form_invalid", faults=[fault]) from None


def today() -> date:
    """The day it is in Vietnam."""
    return local_date(utc_now(), VN)


def living(conn: Connection, lang: str, only: Iterable[int] | None = None) -> tuple[Option, ...]:
    """The agencies there are today as choices, by name; with `only`, those of them."""
    wanted = None if only is None else set(only)
    found = [a for a in agencies.agencies(conn, today()) if wanted is None or a.id in wanted]
    return tuple(Option(a.code, f"{a.name(lang)} ({a.code})") for a in by_name(found, lang))


def by_name(found: Iterable[Agency], lang: str) -> list[Agency]:
    """In the order of a list that people read."""
    return sorted(found, key=lambda agency: (vietnamese_sort_key(agency.name(lang)), agency.code))


@dataclass(frozen=True)
class Visit:
    """One person asking for a page of the administration."""

    request: Request[Any, Any, Any]
    actor: Actor
    site: Site
    office: Office

    @property
    def db(self) -> Database:
        return self.office.db

    @property
    def lang(self) -> str:
        return lang_of(self.request)

    def show(
        self, template: str, current: str, view: object, *, title: str, told: Told | None = None
    ) -> Page:
        """A page of the administration. What holds a secret is kept nowhere."""
        shell = self.site.shell(self.request, title, f"{BASE}/agencies")
        body = Body(sections(self.actor, self.lang, current), view, told)
        page = self.site.page(self.request, f"admin/{template}", shell, body)
        if told is not None:
            page.headers["cache-control"] = "no-store"
        return page

    def change(
        self,
        name: str,
        sent: Mapping[str, str],
        act: Callable[[Connection], T],
        again: Callable[[Form], Page],
        then: Callable[[T], Any],
    ) -> Any:
        """What answers a sent form: `act` in a transaction, and then `then` of what it gave.

        Where it raises Invalid or Conflict nothing has changed: the page comes `again` with the
        form as it was sent, the faults beside its fields, and the status of the error.
        """
        try:
            with self.db.transaction() as conn:
                made = act(conn)
        except (Invalid, Conflict) as error:
            return answered(again(refused(name, sent, error, self.lang)), error)
        # Whoever is signed in may have other rights from now on.
        self.office.guard.forget()
        return then(made)


async def visit_of(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Visit:
    """The dependency `visit`."""
    return Visit(request, actor, site, office)


@dataclass(frozen=True)
class Body:
    """A page below the administration's menu."""

    sections: tuple[Choice, ...]
    page: object
    told: Told | None = None
