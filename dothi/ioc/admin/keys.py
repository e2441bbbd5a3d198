"""API keys: the list, one key, issuing (the key is shown once) and revoking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from dothi.identity import agencies, keys
from dothi.identity.keys import ApiKey
from dothi.identity.model import Actor, Role
from dothi.identity.policy import MATRIX, PERSONS_ONLY, Resource, decide, require
from dothi.ioc.admin.accounts import role_options
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
from dothi.ioc.admin.trail import in_words_of
from dothi.kernel.errors import Conflict, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.time import utc_now
from dothi.store.database import Connection
from dothi.web.access import lang_of
from dothi.web.site import Site, see_other
from dothi.web.view import Status

URL = f"{BASE}/keys"
USUAL_DAYS = 365


@dataclass(frozen=True)
class KeyRow:
    """A key in a list or on its page. `actions` None: all that its roles allow."""

    prefix: str
    name: str
    agency: str
    roles: tuple[str, ...]
    actions: tuple[str, ...] | None
    state: Status
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None
    url: str
    revocable: bool


@dataclass(frozen=True)
class KeysView:
    keys: tuple[KeyRow, ...]
    agencies: tuple[Option, ...]
    roles: tuple[Option, ...]
    actions: tuple[Option, ...]
    days: int
    most_days: int
    form: Form


@get(URL, opt={"access": "key.manage"}, sync_to_thread=True)
def key_list(
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Page:
    """The keys this person may manage."""
    return _list(request, actor, site, office, EMPTY)


def _list(
    request: Request[Any, Any, Any],
    actor: Actor,
    site: Site,
    office: Office,
    form: Form,
    told: Told | None = None,
) -> Page:
    _require(actor)
    lang = lang_of(request)
    with office.db.transaction() as conn:
        rows = _rows(conn, keys.visible(conn, actor), lang)
        everywhere = decide(actor, "key.manage", Resource("key")).allowed
        choices = living(conn, lang, None if everywhere else actor.agencies)
    grants = [o for o in role_options(lang) if everywhere or Role(o.value) in actor.roles]
    view = KeysView(
        rows,
        choices,
        tuple(grants),
        tuple(
            Option(action, t(f"identity.action.{action}", lang))
            for action in MATRIX
            if action not in PERSONS_ONLY
        ),
        USUAL_DAYS,
        keys.LONGEST.days,
        form,
    )
    title = t("admin.keys", lang)
    return show(request, site, actor, "keys.html", URL, view, title=title, told=told)


def _require(actor: Actor) -> None:
    """Whether they may manage keys of any agency, if only of their own."""
    own = Resource("key", owner_agency=actor.agency_id)
    require(actor, "key.manage", own)


@post(URL, opt={"access": "key.manage"}, sync_to_thread=True, status_code=201)
def key_add(
    request: Request[Any, Any, Any],
    data: Sent,
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Page:
    """Issue a key; its text is shown here and nowhere else."""
    _require(actor)
    lang = lang_of(request)
    days = data.get("lifetime", "").strip()
    try:
        with office.db.transaction() as conn:
            key, text = keys.issue(
                conn, name=data.get("name", ""), agency=data.get("agency", ""),
                roles=chosen(data, "roles"), actions=chosen(data, "actions") or None,
                lifetime=timedelta(days=int(days) if days.isascii() and days.isdecimal() and len(days) < 6 else 0),
                actor=actor, now=utc_now(),
            )  # fmt: skip
    except (Invalid, Conflict) as error:
        form = refused("add", data, error, lang)
        return answered(_list(request, actor, site, office, form), error)
    told = Told(t("admin.key_of", lang, name=key.name), text, t("admin.key_once", lang))
    page = _list(request, actor, site, office, EMPTY, told)
    page.status_code = 201
    return page


def _seen(conn: Connection, actor: Actor, prefix: str) -> ApiKey:
    found = next((k for k in keys.visible(conn, actor) if k.prefix == prefix), None)
    if found is None:
        raise NotFound("identity.not_found")
    return found


@get(f"{URL}/{{prefix:str}}", opt={"access": "key.manage"}, sync_to_thread=True)
def key_page(
    request: Request[Any, Any, Any],
    prefix: FromPath[str],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    office: NamedDependency[Office],
) -> Page:
    """One key: whose it is, what it may do, when it was used."""
    lang = lang_of(request)
    with office.db.transaction() as conn:
        row = _rows(conn, [_seen(conn, actor, prefix)], lang)[0]
    return show(request, site, actor, "key.html", URL, row, title=row.name)


@post(
    f"{URL}/{{prefix:str}}/revoke",
    opt={"access": "key.manage"},
    sync_to_thread=True,
    status_code=303,
)
def key_revoke(
    prefix: FromPath[str],
    actor: NamedDependency[Actor],
    office: NamedDependency[Office],
) -> Any:
    """End a key at once."""
    with office.db.transaction() as conn:
        _seen(conn, actor, prefix)
        keys.revoke(conn, prefix, actor=actor)
    office.guard.forget()
    return see_other(f"{URL}/{prefix}?done=revoked")


def _rows(conn: Connection, found: list[ApiKey], lang: str) -> tuple[KeyRow, ...]:
    names = {agency.id: agency.name(lang) for agency in agencies.agencies(conn)}
    makers = in_words_of(conn, {key.created_by for key in found}, lang)
    now = utc_now()
    return tuple(
        KeyRow(
            key.prefix, key.name, names[key.agency_id],
            tuple(t(f"identity.role.{r.value}", lang) for r in Role if r in key.roles),
            None if key.actions is None
            else tuple(t(f"identity.action.{a}", lang) for a in MATRIX if a in key.actions),
            _state(key, now, lang), key.created_at, makers[key.created_by], key.expires_at,
            key.used_at, f"{URL}/{key.prefix}",
            key.revoked_at is None and key.expires_at > now,
        )
        for key in found
    )  # fmt: skip


def _state(key: ApiKey, now: datetime, lang: str) -> Status:
    if key.revoked_at is not None:
        return Status("unknown", t("admin.key_revoked", lang, at=key.revoked_at))
    if key.expires_at <= now:
        return Status("unknown", t("admin.key_expired", lang))
    if key.expires_at - now < timedelta(days=30):
        return Status("notice", t("admin.key_ends_soon", lang))
    return Status("ok", t("admin.key_valid", lang))


router = Router(
    "/",
    route_handlers=[key_list, key_add, key_page, key_revoke],
    include_in_schema=False,
)
