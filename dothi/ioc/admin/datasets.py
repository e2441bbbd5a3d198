"""Datasets: what each promises, who owns it, who may read it, and the decisions about that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from dothi.identity import agencies
from dothi.identity.agencies import successors
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc.admin.office import (
    BASE,
    EMPTY,
    Form,
    Option,
    Page,
    Sent,
    Visit,
    chosen,
    day_of,
    living,
    today,
)
from dothi.ioc.admin.trail import in_words_of
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import number, t
from dothi.lake import loads, registry, sharing
from dothi.lake.registry import Dataset
from dothi.lake.sharing import SharingDecision
from dothi.lake.unended import unended
from dothi.store.database import Connection
from dothi.web.site import see_other
from dothi.web.view import Status

URL = f"{BASE}/datasets"
MOST_COUNTED = 1_000
"""Loads of a dataset that are counted; of more it is said that they are more."""


@dataclass(frozen=True)
class DatasetRow:
    """A dataset in a list. `loads` counts what was brought by any door and not taken out."""

    name: str
    title: str
    owner: str
    kind: str
    sharing: Status
    loads: str
    last: datetime | None
    url: str


@dataclass(frozen=True)
class DecisionRow:
    """One sharing decision in words."""

    level: str
    ground: str
    hidden: str
    who: str
    at: datetime
    valid_from: date
    valid_to: date | None
    state: Status


@dataclass(frozen=True)
class WaitingRow:
    """A dataset where something begun cannot be ended (`lake.unended`).

    Reason and remedy name files: they are for who runs the system, else None.
    """

    title: str
    since: datetime
    tried_at: datetime
    reason: str | None
    remedy: str
    url: str


@dataclass(frozen=True)
class DatasetsView:
    rows: tuple[DatasetRow, ...]
    waiting: tuple[WaitingRow, ...]


@dataclass(frozen=True)
class DatasetView:
    row: DatasetRow
    waiting: tuple[WaitingRow, ...]
    readers: tuple[str, ...]
    hidden: tuple[str, ...]
    ground: str
    contract: str
    loads_url: str
    decisions: tuple[DecisionRow, ...]
    may_share: bool
    agencies: tuple[Option, ...]
    columns: tuple[Option, ...]
    form: Form
    today: date


@get(URL, opt={"access": "load.read"}, sync_to_thread=True)
def dataset_list(visit: NamedDependency[Visit]) -> Page:
    """The datasets whose loads this person may see."""
    lang, actor = visit.lang, visit.actor
    with visit.db.transaction() as conn:
        every = registry.datasets(conn)
        seen = [d for d in every if decide(actor, "load.read", loads.resource(d, 0)).allowed]
        if not seen:
            require(actor, "load.read", Resource("load", owner_agency=actor.agency_id))
        view = DatasetsView(_rows(conn, seen, lang), _waiting(conn, actor, seen, lang))
    return visit.show("datasets.html", URL, view, title=t("admin.datasets", lang))


@get(f"{URL}/{{name:str}}", opt={"access": "load.read"}, sync_to_thread=True)
def dataset_page(
    name: FromPath[str],
    visit: NamedDependency[Visit],
) -> Page:
    """One dataset."""
    return _page(visit, name, EMPTY)


def _seen(conn: Connection, actor: Actor, name: str) -> Dataset:
    try:
        found = registry.find(conn, name if name.isprintable() else "")
    except NotFound:
        raise NotFound("identity.not_found") from None
    require(actor, "load.read", loads.resource(found, 0))
    return found


def _page(visit: Visit, name: str, form: Form) -> Page:
    lang, actor = visit.lang, visit.actor
    with visit.db.transaction() as conn:
        dataset = _seen(conn, actor, name)
        names = {a.id: a.name(lang) for a in agencies.agencies(conn)}
        found = sharing.decisions(conn, dataset)
        deciders = in_words_of(conn, {d.decided_by for d in found}, lang)
        shared = successors(conn, {code for d in found for code in d.agencies})
        view = DatasetView(
            row=_rows(conn, [dataset], lang)[0],
            waiting=_waiting(conn, actor, [dataset], lang),
            readers=tuple(_readers(dataset, names, lang)),
            hidden=tuple(sorted(dataset.sharing.get("hidden", ()))),
            ground=dataset.sharing.get("ground") or "",
            contract=dataset.contract.source.strip(),
            loads_url=f"/loads?dataset={name}",
            decisions=tuple(
                _decision(d, deciders, {c: names[n] for c, n in shared.items()}, found, lang)
                for d in found
            ),
            may_share=decide(actor, "dataset.share", dataset.resource).allowed,
            agencies=living(conn, lang),
            columns=tuple(Option(c, c) for c in sharing.columns_of(dataset)),
            form=form,
            today=today(),
        )
    return visit.show("dataset.html", URL, view, title=view.row.title)


@post(
    f"{URL}/{{name:str}}/sharing",
    opt={"access": "dataset.share"},
    sync_to_thread=True,
    status_code=303,
)
def dataset_share(
    name: FromPath[str],
    data: Sent,
    visit: NamedDependency[Visit],
) -> Any:
    """Decide who outside the owner may see it."""

    def decide_on(conn: Connection) -> None:
        dataset = _seen(conn, visit.actor, name)
        require(visit.actor, "dataset.share", dataset.resource)
        level = data.get("level", "none")
        sharing.decide_sharing(
            conn, dataset, public=level == "public",
            agencies=chosen(data, "agencies") if level == "agencies" else (),
            hidden=chosen(data, "hidden"), ground=data.get("ground", ""),
            valid_from=day_of(data, "valid_from"),
            valid_to=day_of(data, "valid_to") if data.get("valid_to", "").strip() else None,
            actor=visit.actor,
        )  # fmt: skip

    return visit.change(
        "share", data, decide_on,
        again=partial(_page, visit, name),
        then=lambda _: see_other(f"{URL}/{name}?done=shared"),
    )  # fmt: skip


def _rows(conn: Connection, found: list[Dataset], lang: str) -> tuple[DatasetRow, ...]:
    names = {agency.id: agency.name(lang) for agency in agencies.agencies(conn)}
    counted = {
        row[0]: row[1:]
        for row in conn.execute(
            # By the index over datasets and loads: stations make a load every minute.
            """SELECT d, (SELECT count(*) FROM (SELECT FROM load WHERE dataset_id = d
                              AND state = 'committed' LIMIT %s) AS counted),
                      (SELECT at FROM load WHERE dataset_id = d AND state = 'committed'
                       ORDER BY id DESC LIMIT 1)
               FROM unnest(%s::int[]) AS d""",
            (MOST_COUNTED + 1, [dataset.id for dataset in found]),
        )
    }
    rows = []
    for dataset in found:
        many, last = counted.get(dataset.id, (0, None))
        rows.append(
            DatasetRow(
                dataset.name, dataset.contract.title.get(lang) or dataset.name,
                names.get(dataset.owner_agency, ""), t(f"admin.kind_{dataset.contract.kind}", lang),
                _level(dataset, lang), _many(many, lang), last, f"{URL}/{dataset.name}",
            )
        )  # fmt: skip
    return tuple(rows)


def _waiting(
    conn: Connection, actor: Actor, among: list[Dataset], lang: str
) -> tuple[WaitingRow, ...]:
    runs_it = decide(actor, "system.status", Resource("system")).allowed
    by_number = {dataset.id: dataset for dataset in among}
    out = []
    for one in unended(conn):
        if (dataset := by_number.get(one.dataset_id)) is None:
            continue
        if not runs_it:
            remedy = t("lake.unended_ask", lang)
        elif one.missing_file is not None:
            remedy = t("lake.unended_file", lang, file=one.missing_file)
        else:
            remedy = t("lake.unended_other", lang)
        out.append(
            WaitingRow(
                dataset.contract.title.get(lang) or dataset.name, one.since, one.tried_at,
                one.reason if runs_it else None, remedy, f"{URL}/{dataset.name}",
            )
        )  # fmt: skip
    return tuple(out)


def _many(count: int, lang: str) -> str:
    more = "+" if count > MOST_COUNTED else ""
    return number(min(count, MOST_COUNTED), lang) + more


def _level(dataset: Dataset, lang: str) -> Status:
    if dataset.sharing["public"]:
        return Status("ok", t("admin.shared_public", lang))
    if many := len(dataset.sharing.get("agency_ids", ())):
        return Status("notice", t("admin.shared_with", lang, many=many))
    return Status("unknown", t("admin.shared_none", lang))


def _readers(dataset: Dataset, names: dict[int | None, str], lang: str) -> list[str]:
    readers = [t("admin.reads_owner", lang), t("admin.reads_admin", lang)]
    ids = dataset.sharing.get("agency_ids", ())
    readers += [t("admin.reads_agency", lang, name=names[n]) for n in ids if n in names]
    if dataset.sharing["public"]:
        readers.append(t("admin.reads_public", lang))
    return readers


def _decision(
    decision: SharingDecision,
    deciders: dict[str, str],
    names: dict[str, str],
    every: list[SharingDecision],
    lang: str,
) -> DecisionRow:
    if decision.public:
        level = t("admin.shared_public", lang)
    elif decision.agencies:
        level = ", ".join(names.get(code, code) for code in decision.agencies)
    else:
        level = t("admin.shared_none", lang)
    begun = next((d for d in every if d.valid_from <= today()), None)
    if decision.valid_from > today():
        state = Status("notice", t("admin.decision_to_come", lang))
    elif decision.valid_to is not None and decision.valid_to < today():
        state = Status("unknown", t("admin.decision_over", lang))
    elif decision is begun:
        state = Status("ok", t("admin.decision_in_force", lang))
    else:
        state = Status("unknown", t("admin.decision_replaced", lang))
    return DecisionRow(
        level, decision.ground, ", ".join(decision.hidden), deciders[decision.decided_by],
        decision.decided_at, decision.valid_from, decision.valid_to, state,
    )  # fmt: skip


router = Router(
    "/", route_handlers=[dataset_list, dataset_page, dataset_share], include_in_schema=False
)
