"""API keys: the list, one key, issuing (the key is shown once) and revoking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from litestar import Router, get, post
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
    Option,
    Page,
    Sent,
    Told,
    Visit,
    chosen,
    living,
)
from dothi.ioc.admin.trail import in_words_of
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import t
from dothi.kernel.time import utc_now
from dothi.store.database import Connection
from dothi.web.site import see_other
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
def key_list(visit: NamedDependency[Visit]) -> Page:
    """The keys this person may manage."""
    return _list(visit, EMPTY)


def _list(visit: Visit, form: Form, told: Told | None = None) -> Page:
    lang, actor = visit.lang, visit.actor
    _require(actor)
    with visit.db.transaction() as conn:
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
    return visit.show("keys.html", URL, view, title=title, told=told)


def _require(actor: Actor) -> None:
    """Whether they may manage keys of any agency, if only of their own."""
    own = Resource("key", owner_agency=actor.agency_id)
    require(actor, "key.manage", own)


@post(URL, opt={"access": "key.manage"}, sync_to_thread=True, status_code=201)
def key_add(
    data: Sent,
    visit: NamedDependency[Visit],
) -> Page:
    """Issue a key; its text is shown here and nowhere else."""
    _require(visit.actor)
    days = data.get("lifetime", "").strip()
    whole = days.isascii() and days.isdecimal() and len(days) < 6

    def issue(conn: Connection) -> tuple[ApiKey, str]:
        return keys.issue(
            conn, name=data.get("name", ""), agency=data.get("agency", ""),
            roles=chosen(data, "roles"), actions=chosen(data, "actions") or None,
            lifetime=timedelta(days=int(days) if whole else 0),
            actor=visit.actor, now=utc_now(),
        )  # fmt: skip

    def shown(made: tuple[ApiKey, str]) -> Page:
        key, text = made
        name, advice = t("admin.key_of", visit.lang, name=key.name), t("admin.key_once", visit.lang)
        page = _list(visit, EMPTY, Told(name, text, advice))
        page.status_code = 201
        return page

    return visit.change("add", data, issue, again=partial(_list, visit), then=shown)


def _seen(conn: Connection, actor: Actor, prefix: str) -> ApiKey:
    found = next((k for k in keys.visible(conn, actor) if k.prefix == prefix), None)
    if found is None:
        raise NotFound("identity.not_found")
    return found


@get(f"{URL}/{{prefix:str}}", opt={"access": "key.manage"}, sync_to_thread=True)
def key_page(
    prefix: FromPath[str],
    visit: NamedDependency[Visit],
) -> Page:
    """One key: whose it is, what it may do, when it was used."""
    lang = visit.lang
    with visit.db.transaction() as conn:
        row = _rows(conn, [_seen(conn, visit.actor, prefix)], lang)[0]
    return visit.show("key.html", URL, row, title=row.name)


@post(
    f"{URL}/{{prefix:str}}/revoke",
    opt={"access": "key.manage"},
    sync_to_thread=True,
    status_code=303,
)
def key_revoke(prefix: FromPath[str], visit: NamedDependency[Visit]) -> Any:
    """End a key at once."""
    with visit.db.transaction() as conn:
        _seen(conn, visit.actor, prefix)
        keys.revoke(conn, prefix, actor=visit.actor)
    visit.office.guard.forget()
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
