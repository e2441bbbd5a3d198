"""Agencies: the tree, one agency, making, renaming, merging and ending them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from dothi.identity import accounts, agencies, keys
from dothi.identity.model import Actor, Agency
from dothi.identity.policy import Resource, decide, require
from dothi.ioc.admin.office import (
    BASE,
    EMPTY,
    Form,
    Option,
    Page,
    Sent,
    Visit,
    by_name,
    day_of,
    living,
    today,
)
from dothi.ioc.admin.trail import Line, lines
from dothi.kernel.errors import Conflict, NotFound
from dothi.kernel.i18n import t
from dothi.lake import sharing
from dothi.store.database import Connection
from dothi.web.site import see_other
from dothi.web.view import Status
from dothi.work.store import open_of

URL = f"{BASE}/agencies"
HISTORY = 30


@dataclass(frozen=True)
class Branch:
    """A line of the tree; `depth` from 0. `parent` names the one above for who cannot see depth."""

    code: str
    name: str
    url: str
    depth: int
    state: Status
    accounts: int
    datasets: int
    parent: str | None = None


@dataclass(frozen=True)
class TreeView:
    branches: tuple[Branch, ...]
    ended: tuple[Branch, ...]
    parents: tuple[Option, ...]
    may_manage: bool
    form: Form


@dataclass(frozen=True)
class AgencyView:
    """One agency. `holds` says what still belongs to it."""

    agency: Agency
    name: str
    state: Status
    parent: Option | None
    successor: Option | None
    below: tuple[Option, ...]
    people: int
    keys: int
    datasets: tuple[str, ...]
    open_work: int
    history: tuple[Line, ...] | None
    may_manage: bool
    parents: tuple[Option, ...]
    others: tuple[Option, ...]
    form: Form
    today: date


@get(BASE, opt={"access": None})
async def front() -> Any:
    """The first part of the administration."""
    return see_other(URL)


@get(URL, opt={"access": "agency.read"}, sync_to_thread=True)
def agency_list(visit: NamedDependency[Visit]) -> Page:
    """All agencies, each below the one it belongs to."""
    return _tree(visit, EMPTY)


def _tree(visit: Visit, form: Form) -> Page:
    actor = visit.actor
    require(actor, "agency.read", Resource("agency"))
    lang = visit.lang
    with visit.db.transaction() as conn:
        found = agencies.agencies(conn)
        people = _counts(conn, "account")
        datasets = _counts(conn, "dataset")
        parents = living(conn, lang)
    branches = [
        _branch(agency, depth, people, datasets, lang) for agency, depth in _in_order(found, lang)
    ]
    names = {agency.code: agency.name(lang) for agency in found}
    above = {agency.code: names.get(agency.parent or "") for agency in found}
    branches = [replace(branch, parent=above[branch.code]) for branch in branches]
    view = TreeView(
        branches=tuple(b for b in branches if b.state.level == "ok"),
        ended=tuple(b for b in branches if b.state.level != "ok"),
        parents=parents,
        may_manage=decide(actor, "agency.manage", Resource("agency")).allowed,
        form=form,
    )
    return visit.show("agencies.html", URL, view, title=t("admin.agencies", lang))


@post(URL, opt={"access": "agency.manage"}, sync_to_thread=True, status_code=303)
def agency_add(
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """Make an agency known."""
    require(visit.actor, "agency.manage", Resource("agency"))
    code = data.get("code", "").strip()

    def add(conn: Connection) -> None:
        made = Agency(
            code, data.get("name_vi", ""), data.get("name_en", ""), data.get("parent") or None
        )
        if data.get("from", "").strip():
            made = replace(made, valid_from=day_of(data, "from"))
        made = replace(made, unit=data.get("unit", "").strip() or None)
        agencies.add_agency(conn, made, actor=visit.actor)

    return visit.change(
        "add", data, add,
        again=partial(_tree, visit),
        then=lambda _: see_other(f"{URL}/{code}?done=added"),
    )  # fmt: skip


@get(f"{URL}/{{agency:str}}", opt={"access": "agency.read"}, sync_to_thread=True)
def agency_page(
    agency: FromPath[str],
    visit: NamedDependency[Visit],
) -> Page:
    """One agency: what belongs to it, and what became of it."""
    return _page(visit, agency, EMPTY)


def _seen(conn: Connection, actor: Actor, code: str) -> Agency:
    require(actor, "agency.read", Resource("agency", code))
    found = agencies.find_agency(conn, code) if code.isprintable() else None
    if found is None:
        raise NotFound("identity.not_found")
    return found


def _page(visit: Visit, code: str, form: Form) -> Page:
    lang, actor = visit.lang, visit.actor
    manages = decide(actor, "agency.manage", Resource("agency")).allowed
    with visit.db.transaction() as conn:
        found = _seen(conn, actor, code)
        assert found.id is not None
        every = {a.code: a for a in agencies.agencies(conn)}
        own = agencies.branch(conn, found.id)
        outside = [a.id for a in every.values() if a.id is not None and a.id not in own]
        choices = living(conn, lang, outside)
        history = lines(conn, lang, subject=f"agency:{code}", limit=HISTORY)
        view = AgencyView(
            agency=found,
            name=found.name(lang),
            state=_state(found, lang),
            parent=_option(every.get(found.parent or ""), lang),
            successor=_option(every.get(found.merged_into or ""), lang),
            below=tuple(
                Option(a.code, a.name(lang))
                for a in by_name(every.values(), lang)
                if a.parent == code
            ),
            people=sum(a.agency_id == found.id for a in accounts.accounts(conn)),
            keys=sum(k.agency_id == found.id and k.revoked_at is None for k in keys.all_keys(conn)),
            datasets=tuple(sharing.owned(conn, found.id)),
            open_work=open_of(conn, found.id),
            history=history if decide(actor, "audit.read", Resource("audit")).allowed else None,
            may_manage=manages and found.valid_to is None,
            parents=choices,
            others=choices,
            form=form,
            today=today(),
        )
    return visit.show("agency.html", URL, view, title=view.name)


@post(
    f"{URL}/{{agency:str}}", opt={"access": "agency.manage"}, sync_to_thread=True, status_code=303
)
def agency_change(
    agency: FromPath[str],
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """Correct an agency's names and its unit, or put it below another one."""

    def change(conn: Connection, found: Agency) -> None:
        changed = replace(
            found,
            name_vi=data.get("name_vi", ""),
            name_en=data.get("name_en", ""),
            parent=data.get("parent") or None,
            unit=data.get("unit", found.unit or "").strip() or None,
        )
        agencies.change_agency(conn, changed, actor=visit.actor)

    return _changed(visit, agency, "change", data, change, "saved")


def _changed(
    visit: Visit,
    code: str,
    name: str,
    sent: Mapping[str, str],
    act: Callable[[Connection, Agency], None],
    done: str,
) -> Any:
    return visit.change(
        name, sent, lambda conn: act(conn, _seen(conn, visit.actor, code)),
        again=partial(_page, visit, code),
        then=lambda _: see_other(f"{URL}/{code}?done={done}"),
    )  # fmt: skip


@post(
    f"{URL}/{{agency:str}}/merge",
    opt={"access": "agency.manage"},
    sync_to_thread=True,
    status_code=303,
)
def agency_merge(
    agency: FromPath[str],
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """Merge an agency into another one."""

    def merge(conn: Connection, _: Agency) -> None:
        require(visit.actor, "agency.manage", Resource("agency"))
        agencies.merge_agency(
            conn, agency, data.get("into", ""), on=day_of(data, "on"),
            ground=data.get("ground", ""), actor=visit.actor,
        )  # fmt: skip

    answer = _changed(visit, agency, "merge", data, merge, "merged")
    visit.office.bell.ring()
    return answer


@post(
    f"{URL}/{{agency:str}}/close",
    opt={"access": "agency.manage"},
    sync_to_thread=True,
    status_code=303,
)
def agency_close(
    agency: FromPath[str],
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """End an agency that nothing belongs to any more."""

    def close(conn: Connection, found: Agency) -> None:
        require(visit.actor, "agency.manage", Resource("agency"))
        agencies.close_agency(
            conn, agency, on=day_of(data, "on"), ground=data.get("ground", ""), actor=visit.actor
        )
        assert found.id is not None
        datasets, work = len(sharing.owned(conn, found.id)), open_of(conn, found.id)
        if datasets or work:
            raise Conflict("admin.agency_holds", datasets=datasets, work=work)

    return _changed(visit, agency, "close", data, close, "closed")


def _counts(conn: Connection, what: str) -> dict[int, int]:
    rows = conn.execute(
        "SELECT agency_id, count(*) FROM account WHERE disabled_at IS NULL GROUP BY 1"
        if what == "account"
        else "SELECT owner_agency, count(*) FROM dataset GROUP BY 1"
    )
    return dict(rows.fetchall())


def _in_order(found: list[Agency], lang: str) -> Iterator[tuple[Agency, int]]:
    """Every agency after the one above it, with its depth."""
    below: defaultdict[str | None, list[Agency]] = defaultdict(list)
    for agency in by_name(found, lang):
        below[agency.parent].append(agency)

    def walk(parent: str | None, depth: int) -> Iterator[tuple[Agency, int]]:
        for agency in below[parent]:
            yield agency, depth
            yield from walk(agency.code, depth + 1)

    yield from walk(None, 0)


def _branch(
    agency: Agency, depth: int, people: dict[int, int], datasets: dict[int, int], lang: str
) -> Branch:
    number = agency.id or 0
    return Branch(
        agency.code, agency.name(lang), f"{URL}/{agency.code}", depth, _state(agency, lang),
        people.get(number, 0), datasets.get(number, 0),
    )  # fmt: skip


def _state(agency: Agency, lang: str) -> Status:
    if agency.valid_to is None or agency.valid_to > today():
        return Status("ok", t("admin.agency_active", lang))
    key = "admin.agency_merged" if agency.merged_into else "admin.agency_ended"
    return Status("unknown", t(key, lang, day=agency.valid_to))


def _option(agency: Agency | None, lang: str) -> Option | None:
    return Option(agency.code, agency.name(lang)) if agency else None


router = Router(
    "/",
    route_handlers=[
        front, agency_list, agency_add, agency_page, agency_change, agency_merge, agency_close,
    ],
    include_in_schema=False,
)  # fmt: skip
