"""Pulls from databases: the list, one pull with its runs, one source; trying, running, switching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc.admin.office import BASE, EMPTY, Form, Option, Page, Sent, Visit, living
from dothi.ioc.admin.trail import in_words_of
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.i18n import number, t
from dothi.lake import registry
from dothi.lake.files import FileStore
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.net.foreign.model import KINDS, MARK_TYPES, TLS, UNPROVEN
from dothi.pulls import passwords, service, store
from dothi.pulls.model import Pull, Run, Source
from dothi.pulls.running import Ground
from dothi.pulls.service import Tried
from dothi.store.database import Connection
from dothi.store.home import Home
from dothi.web.site import see_other
from dothi.web.view import Level, Status

URL = f"{BASE}/pulls"
SOURCES_URL = f"{BASE}/pull-sources"
MOST_RUNS = 20
_LEVELS: dict[str, Level] = {
    "running": "unknown", "done": "ok", "more": "ok", "failed": "warning",
    "interrupted": "notice",
}  # fmt: skip


@dataclass(frozen=True)
class PullRow:
    """A pull in the list."""

    name: str
    url: str
    dataset: str
    source: str
    schedule: str
    state: Status
    last_at: datetime | None
    counts: str
    due_at: datetime | None


@dataclass(frozen=True)
class SourceRow:
    """A source, in the list and on its page."""

    name: str
    url: str
    kind: str
    place: str
    account: str
    tls: str
    agency: str
    password: Status
    changeable: bool
    variable: str | None
    unproven: bool
    created: str


@dataclass(frozen=True)
class RunRow:
    """One run in words: its counts, what does not agree, what went wrong and what to do."""

    at: datetime
    state: Status
    asked_by: str
    span: str
    counted: int | None
    read: int
    kept: int
    changed: int
    removed: int
    twice: int
    rejected: int
    findings: tuple[str, ...]
    error: str | None
    faults: tuple[str, ...]
    loads: tuple[int, ...]


@dataclass(frozen=True)
class PullsView:
    pulls: tuple[PullRow, ...]
    sources: tuple[SourceRow, ...]
    kinds: tuple[Option, ...]
    tls: tuple[Option, ...]
    agencies: tuple[Option, ...]
    datasets: tuple[Option, ...]
    source_names: tuple[Option, ...]
    mark_types: tuple[Option, ...]
    networks: str
    form: Form


@dataclass(frozen=True)
class TriedView:
    """The first rows: each with what is wrong with it."""

    names: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    refused: str | None
    kept: int


@dataclass(frozen=True)
class PullView:
    row: PullRow
    source: SourceRow
    pull: Pull
    dataset_url: str
    mark: str
    whole: str
    runs: tuple[RunRow, ...]
    tried: TriedView | None
    error: str | None
    created: str


def _require(actor: Actor) -> None:
    """Whether they may manage pulls of any agency, if only of their own."""
    require(actor, "pull.manage", Resource("pull", owner_agency=actor.agency_id))


@get(URL, opt={"access": "pull.manage"}, sync_to_thread=True)
def pull_list(visit: NamedDependency[Visit]) -> Page:
    """The pulls and sources this person may manage."""
    return _list(visit, EMPTY)


def _list(visit: Visit, form: Form) -> Page:
    actor, lang, settings = visit.actor, visit.lang, visit.office.settings
    _require(actor)
    with visit.db.transaction() as conn:
        found = service.visible_pulls(conn, actor)
        runs = store.newest_runs(conn, [pull.id for pull, _, _ in found])
        sources = service.visible_sources(conn, actor)
        everywhere = decide(actor, "pull.manage", Resource("pull")).allowed
        rows = _source_rows(conn, visit, sources)
        view = PullsView(
            tuple(_pull_row(*one, runs.get(one[0].id), lang) for one in found),
            rows,
            tuple(Option(kind, t(f"pulls.kind_{kind}", lang)) for kind in KINDS),
            tuple(Option(tls, t(f"pulls.tls_{tls}", lang)) for tls in TLS),
            living(conn, lang, None if everywhere else actor.agencies),
            tuple(
                Option(d.name, f"{d.contract.title[lang]} ({d.name})")
                for d in registry.datasets(conn)
                if decide(actor, "dataset.load", d.resource).allowed
            ),
            tuple(Option(source.name, source.name) for source in sources),
            tuple(Option(kind, t(f"pulls.mark_{kind}", lang)) for kind in MARK_TYPES),
            ", ".join(settings.pull_networks),
            form,
        )
    return visit.show("pulls.html", URL, view, title=t("admin.pulls", lang))


@post(URL, opt={"access": "pull.manage"}, sync_to_thread=True, status_code=303)
def pull_add(data: Sent, visit: NamedDependency[Visit]) -> Any:
    """Describe a pull; it begins when it is switched on."""
    _require(visit.actor)
    return visit.change(
        "pull", data, lambda conn: service.add_pull(conn, visit.actor, data),
        again=partial(_list, visit), then=lambda pull: see_other(f"{URL}/{pull.name}"),
    )  # fmt: skip


@post(SOURCES_URL, opt={"access": "pull.manage"}, sync_to_thread=True, status_code=303)
def source_add(data: Sent, visit: NamedDependency[Visit]) -> Any:
    """Describe a source. A password that is sent with it is kept and never shown."""
    _require(visit.actor)
    home, password = Home(visit.office.settings.home), data.get("password", "")

    def add(conn: Connection) -> Source:
        made = service.add_source(conn, visit.actor, data)
        if password:
            service.set_password(conn, home, visit.actor, made.name, password)
        return made

    return visit.change(
        "source", data, add, again=partial(_list, visit),
        then=lambda source: see_other(f"{SOURCES_URL}/{source.name}"),
    )  # fmt: skip


@get(SOURCES_URL, opt={"access": "pull.manage"}, sync_to_thread=True, status_code=303)
def source_list(visit: NamedDependency[Visit]) -> Any:
    """The sources stand on the page of the pulls; a refused form has this address."""
    _require(visit.actor)
    return see_other(URL)


@get(f"{SOURCES_URL}/{{source:str}}", opt={"access": "pull.manage"}, sync_to_thread=True)
def source_page(source: FromPath[str], visit: NamedDependency[Visit]) -> Page:
    """One source, and whether its password is known."""
    return _source_page(visit, source, EMPTY)


@dataclass(frozen=True)
class SourceView:
    row: SourceRow
    form: Form


def _source_page(visit: Visit, name: str, form: Form) -> Page:
    with visit.db.transaction() as conn:
        found = service.source(conn, visit.actor, name)
        (row,) = _source_rows(conn, visit, [found])
    return visit.show("pull_source.html", URL, SourceView(row, form), title=name)


@post(
    f"{SOURCES_URL}/{{source:str}}/password",
    opt={"access": "pull.manage"},
    sync_to_thread=True,
    status_code=303,
)
def source_password(source: FromPath[str], data: Sent, visit: NamedDependency[Visit]) -> Any:
    """Keep a password instead of the one before."""
    home = Home(visit.office.settings.home)
    with visit.db.transaction() as conn:
        service.source(conn, visit.actor, source)
    return visit.change(
        "password", data,
        lambda conn: service.set_password(
            conn, home, visit.actor, source, data.get("password", "")
        ),
        again=partial(_source_page, visit, source),
        then=lambda _: see_other(f"{SOURCES_URL}/{source}?done=pull_password"),
    )  # fmt: skip


@get(f"{URL}/{{pull:str}}", opt={"access": "pull.manage"}, sync_to_thread=True)
def pull_page(pull: FromPath[str], visit: NamedDependency[Visit]) -> Page:
    """One pull: what it asks, its runs, what to do."""
    return _pull_page(visit, pull)


@post(
    f"{URL}/{{pull:str}}/try", opt={"access": "pull.manage"}, sync_to_thread=True, status_code=200
)
def pull_try(
    pull: FromPath[str],
    visit: NamedDependency[Visit],
    lake: NamedDependency[Lake],
    files: NamedDependency[FileStore],
) -> Page:
    """Read the first rows and judge them by the contract; nothing is stored."""
    with visit.db.transaction() as conn:
        found = service.pull(conn, visit.actor, pull)
    try:
        tried = service.try_it(Ground(visit.db, lake, files, visit.office.settings), *found)
    except (Invalid, Conflict) as error:
        return _pull_page(visit, pull, error=error.text(visit.lang))
    return _pull_page(visit, pull, tried=tried)


@post(
    f"{URL}/{{pull:str}}/{{what:str}}",
    opt={"access": "pull.manage"},
    sync_to_thread=True,
    status_code=303,
)
def pull_act(pull: FromPath[str], what: FromPath[str], visit: NamedDependency[Visit]) -> Any:
    """Switch on or off, run now, read again from the beginning."""
    acts = {
        "on": partial(service.switch, on=True),
        "off": partial(service.switch, on=False),
        "run": service.run_soon,
        "again": service.read_again,
    }
    with visit.db.transaction() as conn:
        service.pull(conn, visit.actor, pull)
        if what not in acts:
            raise NotFound("identity.not_found")
        acts[what](conn, visit.actor, pull)
    return see_other(f"{URL}/{pull}?done=pull_{what}")


def _pull_page(
    visit: Visit, name: str, *, tried: Tried | None = None, error: str | None = None
) -> Page:
    lang = visit.lang
    with visit.db.transaction() as conn:
        pull, source, dataset = service.pull(conn, visit.actor, name)
        runs = store.runs(conn, pull.id, MOST_RUNS)
        (source_row,) = _source_rows(conn, visit, [source])
        people = in_words_of(
            conn, {pull.created_by, *(run.asked_by for run in runs if run.asked_by)}, lang
        )
    snapshot = dataset.contract.snapshot
    whole = "snapshot" if snapshot else "increment" if pull.mark else "all"
    view = PullView(
        _pull_row(pull, source, dataset, runs[0] if runs else None, lang),
        source_row,
        pull,
        f"/data/{dataset.name}",
        f"{pull.mark} ({t(f'pulls.mark_{pull.mark_type}', lang)})" if pull.mark else "",
        t(f"pulls.whole_{whole}", lang),
        tuple(_run_row(run, people, lang) for run in runs),
        _tried_view(tried, lang) if tried else None,
        error,
        people[pull.created_by],
    )
    return visit.show("pull.html", URL, view, title=name)


def _pull_row(pull: Pull, source: Source, dataset: Dataset, run: Run | None, lang: str) -> PullRow:
    if not pull.enabled:
        state = Status("unknown", t("pulls.state_off", lang))
    elif run is None:
        state = Status("unknown", t("pulls.state_never", lang))
    else:
        level = "notice" if run.state == "done" and _told(run) else _LEVELS[run.state]
        state = Status(level, t(f"pulls.state_{run.state}", lang))
    counts = ""
    if run is not None:
        counts = t("pulls.counts", lang, read=number(run.read, lang),
                   new=number(run.new, lang), changed=number(run.changed, lang))  # fmt: skip
    return PullRow(
        pull.name, f"{URL}/{pull.name}", dataset.contract.title[lang], source.name,
        schedule(pull, lang), state, run.started_at if run else None, counts,
        pull.due_at if pull.enabled else None,
    )  # fmt: skip


def schedule(pull: Pull, lang: str) -> str:
    """When it runs, in words."""
    if pull.every_min is not None:
        return t("pulls.every", lang, minutes=pull.every_min)
    return t("pulls.daily", lang, at=f"{pull.daily_at:%H:%M}")


def _told(run: Run) -> list[dict[str, Any]]:
    """The findings that somebody should look at."""
    return [one for one in run.findings if one["kind"] not in ("left", "unchanged")]


def _run_row(run: Run, people: Mapping[str, str], lang: str) -> RunRow:
    error, faults = None, ()
    if run.error is not None:
        error = t(run.error["key"], lang, **run.error["params"])
        faults = tuple(
            f"{fault['where']}: {Fault('', fault['key'], fault['params']).text(lang)}"
            for fault in run.error.get("faults", ())[:5]
        )
    level = "notice" if run.state == "done" and _told(run) else _LEVELS[run.state]
    return RunRow(
        run.started_at,
        Status(level, t(f"pulls.state_{run.state}", lang)),
        people[run.asked_by] if run.asked_by else t("pulls.by_schedule", lang),
        " → ".join(mark for mark in (run.mark_from, run.mark_to) if mark),
        run.counted, run.read, run.new + run.changed + run.same, run.changed, run.removed,
        run.twice, run.rejected,
        tuple(t(f"pulls.finding_{one['kind']}", lang, count=one["count"]) for one in run.findings),
        error,
        faults,
        tuple(run.loads),
    )  # fmt: skip


def _tried_view(tried: Tried, lang: str) -> TriedView:
    wrong: dict[int, list[str]] = {}
    for reject in tried.faults:
        text = Fault("", reject.reason, dict(reject.params)).text(lang)
        wrong.setdefault(reject.row_no, []).append(f"{reject.column}: {text}")
    return TriedView(
        tried.names,
        tuple((row, tuple(wrong.get(i, ()))) for i, row in enumerate(tried.rows, 1)),
        tried.refused.text(lang) if tried.refused else None,
        tried.kept,
    )


def _source_rows(conn: Connection, visit: Visit, found: list[Source]) -> tuple[SourceRow, ...]:
    lang, home = visit.lang, Home(visit.office.settings.home)
    names = {agency.id: agency.name(lang) for agency in agencies.agencies(conn)}
    makers = in_words_of(conn, {source.created_by for source in found}, lang)
    out = []
    for source in found:
        known = passwords.there(home, source)
        word = "known" if known else "missing"
        out.append(
            SourceRow(
                source.name, f"{SOURCES_URL}/{source.name}",
                t(f"pulls.kind_{source.kind}", lang),
                f"{source.host}:{source.port}/{source.database}", source.account,
                t(f"pulls.tls_{source.tls}", lang), names[source.agency_id],
                Status("ok" if known else "warning", t(f"pulls.password_{word}", lang)),
                source.password_env is None, source.password_env, source.kind in UNPROVEN,
                t("pulls.made", lang, by=makers[source.created_by], at=source.created_at),
            )
        )  # fmt: skip
    return tuple(out)


router = Router(
    "/",
    route_handlers=[
        pull_list, pull_add, source_list, source_add, source_page, source_password, pull_page,
        pull_try, pull_act,
    ],
    include_in_schema=False,
)  # fmt: skip
