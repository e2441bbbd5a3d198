"""The audit trail: looking for who did what when, and whether the chain is whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlencode

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Stream

from dothi.identity import accounts, audit, heads
from dothi.identity.heads import Report
from dothi.identity.policy import Resource, require
from dothi.ioc.admin.office import (
    BASE,
    EMPTY,
    Form,
    Option,
    Page,
    Visit,
    day_of,
    refused,
)
from dothi.ioc.admin.trail import Line, act_text, in_words, moment_of
from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import datetime_, t
from dothi.kernel.time import day_start, local_date, utc_now
from dothi.kernel.zone import VN
from dothi.store.database import Connection
from dothi.store.home import Home
from dothi.web.view import Status

URL = f"{BASE}/audit"
PAGE = 50
CHECKED_AGAIN_S = 60.0
"""The whole chain is read for a check: its result is kept so long."""


@dataclass(frozen=True)
class CheckView:
    """Whether the chain is whole. `lines` says more, each in words."""

    state: Status
    lines: tuple[str, ...]


@dataclass(frozen=True)
class AuditView:
    lines: tuple[Line, ...]
    actions: tuple[Option, ...]
    query: Mapping[str, str]
    form: Form
    check_url: str
    next_url: str | None


@get(URL, opt={"access": "audit.read"}, sync_to_thread=True)
def audit_list(
    visit: NamedDependency[Visit],
    after: FromQuery[int] = 0,
) -> Page:
    """The trail, newest first, as far as it meets what is looked for."""
    require(visit.actor, "audit.read", Resource("audit"))
    lang = visit.lang
    asked = {
        k: visit.request.query_params.get(k, "").strip()[:200]
        for k in ("who", "what", "from", "to")
    }
    form, found = EMPTY, []
    with visit.db.transaction() as conn:
        actions = tuple(Option(a, act_text(a, lang)) for a in audit.actions(conn))
        try:
            wanted = _wanted(conn, asked)
        except Invalid as error:
            form = refused("search", asked, error, lang)
        else:
            if wanted is not None:
                found = audit.entries(conn, after=after, limit=PAGE + 1, **wanted)
        shown = in_words(conn, found[:PAGE], lang)
    more = {k: v for k, v in asked.items() if v}
    view = AuditView(
        shown,
        tuple(sorted(actions, key=lambda option: option.text.casefold())),
        asked,
        form,
        f"{URL}/check",
        f"{URL}?{urlencode({**more, 'after': found[PAGE - 1].seq})}" if len(found) > PAGE else None,
    )
    return visit.show("audit.html", URL, view, title=t("admin.audit", lang))


def _wanted(conn: Connection, asked: dict[str, str]) -> dict[str, Any] | None:
    """What to look for; None where nobody of that name can have done anything."""
    wanted: dict[str, Any] = {}
    if who := asked["who"]:
        account = accounts.find_account(conn, who)
        if account is not None:
            wanted["actor"] = f"account:{account.id}"
        elif who == "system" or who.startswith("key:"):
            wanted["actor"] = who
        else:
            return None
    if asked["what"]:
        wanted["action"] = asked["what"]
    if asked["from"]:
        wanted["since"] = day_start(day_of(asked, "from"), VN)
    if asked["to"]:
        wanted["until"] = day_start(day_of(asked, "to") + timedelta(days=1), VN)
    return wanted


@get(f"{URL}/check", opt={"access": "audit.read"}, sync_to_thread=True)
def audit_check(visit: NamedDependency[Visit]) -> Page:
    """Whether the trail is as it was sealed."""
    require(visit.actor, "audit.read", Resource("audit"))
    lang = visit.lang

    def look() -> tuple[Report, bool]:
        file, key = heads.kept(Home(visit.office.settings.home))
        with visit.db.snapshot() as conn:
            return heads.verify(conn, file, key), file is not None

    report, compared = visit.office.cache.value(("audit chain",), (), look, kept_s=CHECKED_AGAIN_S)
    view = CheckView(_state(report, lang), tuple(_more(report, compared, lang)))
    if "hx-request" in visit.request.headers:
        return visit.site.fragment(visit.request, "admin/audit_check.html", view)
    title = t("admin.audit", lang)
    return visit.show("audit_checked.html", URL, view, title=title)


@post(f"{URL}/export", opt={"access": "audit.read"}, sync_to_thread=True, status_code=200)
def audit_export(visit: NamedDependency[Visit]) -> Stream:
    """The whole trail as NDJSON with its hashes, as `dothi audit export` writes it."""
    require(visit.actor, "audit.read", Resource("audit"))
    file = TemporaryFile("w+", encoding="ascii", newline="\n")  # noqa: SIM115 -- `chunks` ends it
    try:
        with visit.db.snapshot() as conn:
            audit.write(conn, file)
        with visit.db.transaction() as conn:
            audit.record(conn, "audit_exported", visit.actor, None)
        file.seek(0)
    except BaseException:
        file.close()
        raise

    def chunks() -> Iterator[str]:
        with file:
            while chunk := file.read(1 << 18):
                yield chunk

    name = f"audit-{local_date(utc_now(), VN):%Y%m%d}.ndjson"
    return Stream(
        chunks(),
        media_type="application/x-ndjson",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
        },
    )


def _state(report: Report, lang: str) -> Status:
    if report.sound:
        return Status("ok", t("admin.chain_whole", lang, seq=report.last_seq))
    return Status("critical", t("admin.chain_broken", lang, seq=report.first_bad))


def _more(report: Report, compared: bool, lang: str) -> list[str]:
    said = [t(flaw.key, lang, **flaw.params) for flaw in report.flaws]
    if not compared:
        said.append(t("identity.audit.heads_none", lang))
    elif last := report.last_head:
        key = "identity.audit.heads_sound"
        said.append(
            t(key, lang, heads=report.heads, seq=last.seq, at=datetime_(moment_of(last.at), lang))
        )
    return said


router = Router(
    "/", route_handlers=[audit_list, audit_check, audit_export], include_in_schema=False
)
