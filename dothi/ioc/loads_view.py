"""The list of loads and one load on screens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from dothi.forms.model import resource_of
from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.ioc import load_report
from dothi.ioc import view as v
from dothi.ioc.admin.trail import in_words_of
from dothi.ioc.catalogue import DATA, LOADS, sections
from dothi.ioc.conflict_view import conflict_views
from dothi.ioc.desk import Desk
from dothi.kernel.errors import Fault
from dothi.kernel.i18n import datetime_, number, t
from dothi.kernel.period import Period
from dothi.lake import findings, loads, registry
from dothi.lake.loads import FILE_DOORS, Load
from dothi.lake.registry import Dataset
from dothi.web.view import Status

PAGE = 40
MOST_CONFLICTS = 200
MOST_REJECTED = 200
DOORS = (*FILE_DOORS, "demo")
MOST_CHOICES = 12
"""Datasets offered to look at alone, those loaded last."""
LEVELS: dict[str, Any] = {
    "missing": "notice", "invalid": "notice", "suspect": "notice", "outside": "notice", "absent": "notice",
    "twice": "notice", "conflict": "warning", "rejected": "warning", "check": "warning",
    "replaced": "warning",
}  # fmt: skip
KINDS: dict[str, Any] = {
    "suspect": "negative", "outside": "negative", "check": "negative", "twice": "conflict",
    "absent_within": "absent", "absent_grid": "absent", "empty": "missing", "newlines": "valid",
    "skipped": "valid", "apart": "valid",
    "replaced": "conflict",
}  # fmt: skip


def page(
    desk: Desk,
    actor: Actor,
    lang: str,
    before: int | None,
    dataset_name: str | None,
    *,
    refused: tuple[str, ...] = (),
) -> v.LoadsView:
    """What people brought, newest first, of one dataset or all. `refused`: why
    a file was not loaded just now. Raises what the policy raises for who may see none, NotFound for a dataset the actor may not know of."""
    sees_some = desk.sees_loads(actor)
    with desk.db.transaction() as conn:
        datasets = {d.id: d for d in registry.datasets(conn)}
        if not sees_some:
            require(actor, "load.read", loads.resource(next(iter(datasets.values()))))
        chosen = None
        if dataset_name:
            chosen = registry.find(conn, dataset_name)
            require(actor, "load.read", loads.resource(chosen, 0))
        found = loads.page(
            conn, actor, dataset_id=chosen.id if chosen else None, before=before,
            doors=DOORS, limit=PAGE + 1,
        )  # fmt: skip
        names = _names(conn, found, lang)
        lately = loads.lately(conn, actor, doors=DOORS, limit=MOST_CHOICES)
    more = len(found) > PAGE
    found = found[:PAGE]
    only = {"dataset": chosen.name} if chosen else {}
    here = only | ({"before": before} if before else {})
    return v.LoadsView(
        url=f"{LOADS}?{urlencode(here)}" if here else LOADS,
        topics=("loads",),
        sections=sections(desk, actor, lang, LOADS),
        datasets=_choices([datasets[d] for d in lately], chosen, lang),
        rows=tuple(_row(x, datasets[x.dataset_id], actor, names, lang) for x in found),
        next_url=f"{LOADS}?{urlencode(only | {'before': found[-1].id})}" if more else None,
        workbook_url=f"/api/v1/datasets/{chosen.name}/workbook.xlsx"
        if chosen and decide(actor, "dataset.load", chosen.resource).allowed
        else None,
        upload=_upload(chosen, actor, lang, refused) if chosen else None,
    )


def _upload(
    dataset: Dataset, actor: Actor, lang: str, refused: tuple[str, ...] = ()
) -> v.Upload | None:
    if not decide(actor, "dataset.load", dataset.resource).allowed:
        return None
    return v.Upload(f"{LOADS}/into/{dataset.name}", dataset.contract.title[lang], refused)


def _choices(found: list[Dataset], chosen: Dataset | None, lang: str) -> tuple[v.Choice, ...]:
    """The datasets one can look at alone; nothing to choose where there is one."""
    if chosen is not None and chosen not in found:
        found = [chosen, *found]
    if len(found) < 2:
        return ()
    return (
        v.Choice(t("common.all", lang), LOADS, chosen is None),
        *(
            v.Choice(d.contract.title[lang], f"{LOADS}?dataset={d.name}", d == chosen)
            for d in found
        ),
    )


def one(desk: Desk, actor: Actor, lang: str, load_id: int) -> v.LoadView:
    """One load with its findings, its rejected rows and its contradictions."""
    with desk.db.transaction() as conn:
        load, dataset = loads.get(conn, actor, load_id)
        expected = sum(s["rows"] + s.get("absent", 0) for s in load.report.get("streams", []))
        load = replace(load, report=loads.reported(conn, actor, load, dataset))
        names = _names(conn, [load], lang)
        streams, things = registry.streams(conn, dataset), registry.things(conn, dataset)
        form = load.report.get("form", {})
        refs = {*form.get("authors", ()), form.get("approved_by", "")} - {""}
        who = in_words_of(conn, refs, lang)
        found = loads.contradictions(conn, load_id=load_id, limit=MOST_CONFLICTS + 1)
        more_conflicts = len(found) > MOST_CONFLICTS
        found = found[:MOST_CONFLICTS]
        conflicts = conflict_views(desk.lake, conn, actor, dataset, found, lang)
        may = decide(actor, "quarantine.read", dataset.resource).allowed
        rejected = (
            tuple(
                v.RejectedRow(row, column, value or "", Fault("", reason, params).text(lang))
                for row, column, value, reason, params in loads.quarantine(
                    conn, load_id, limit=MOST_REJECTED
                )
            )
            if may
            else ()
        )
    return v.LoadView(
        row=_row(load, dataset, actor, names, lang),
        facts=(*_facts(load, lang), *_typed(load, dataset, actor, who, lang)),
        findings=_findings(load, expected, may, lang),
        conflicts=conflicts,
        most_conflicts=MOST_CONFLICTS if more_conflicts else None,
        rejected=rejected,
        use_url=f"{LOADS}/{load_id}/use",
        upload=_upload(dataset, actor, lang),
        data_url=f"{DATA}/{dataset.name}"
        if decide(actor, "dataset.read", dataset.resource).allowed
        else None,
        parts=load_report.parts(load.report, dataset, streams, things, lang),
        gaps=load_report.gaps(load.report, dataset, streams, things, lang),
        drift=load_report.drift(load.report, dataset, streams, things, lang),
        undo=v.Action(t("ioc.undo_load", lang), f"/loads/{load_id}/undo", reason_label=None)
        if load.state == "committed" and decide(actor, "dataset.undo", dataset.resource).allowed
        else None,
    )


@dataclass(frozen=True)
class _Names:
    """People and agencies behind loads, by what loads keep of them."""

    people: dict[str, str]
    agencies: dict[int, str]

    def of(self, load: Load, lang: str) -> str:
        """Who brought a load, and for whom."""
        actor = load.actor or ""
        who = self.people.get(actor) or t(f"ioc.door_{load.door}", lang)
        if actor.startswith("shell:"):
            who = t("loads.shell", lang, name=actor.removeprefix("shell:"))
        agency = self.agencies.get(load.agency_id or 0)
        return f"{who} · {agency}" if agency else who


def _names(conn: Any, found: list[Load], lang: str) -> _Names:
    ids = [int(x.actor.split(":")[1]) for x in found if x.actor and x.actor.startswith("account:")]
    rows = conn.execute("SELECT id, display_name FROM account WHERE id = ANY (%s)", (ids,))
    people = {f"account:{number_}": name for number_, name in rows.fetchall()}
    wanted = {x.agency_id for x in found}
    every = agencies.agencies(conn) if wanted - {None} else []
    return _Names(people, {a.id: a.name(lang) for a in every if a.id is not None})


def _row(load: Load, dataset: Dataset, actor: Actor, names: _Names, lang: str) -> v.LoadRow:
    conflicts = sum(f["count"] for f in load.report.get("findings", []) if f["kind"] == "conflict")
    if load.state == "undone":
        state = Status("unknown", t("ioc.load_undone", lang))
    elif load.rows_rejected or conflicts:
        state = Status("warning", t("ioc.load_waits", lang))
    else:
        state = Status("ok", t("ioc.load_fine", lang))
    may = decide(actor, "quarantine.read", dataset.resource).allowed
    return v.LoadRow(
        id=str(load.id),
        dataset=dataset.contract.title[lang],
        file=_called(load, lang),
        at=load.at,
        by=names.of(load, lang),
        rows=load.rows_in,
        accepted=load.rows_new + load.rows_changed + load.rows_same,
        rejected=load.rows_rejected,
        conflicts=conflicts,
        state=state,
        url=f"/loads/{load.id}",
        quarantine_url=f"/api/v1/loads/{load.id}/quarantine.csv"
        if load.rows_rejected and may
        else None,
    )


def _called(load: Load, lang: str) -> str:
    """What a load is called: its file, of typed figures their return."""
    if form := load.report.get("form"):
        period = Period.parse(form["period"]).label(lang)
        return t("forms.load_title", lang, period=period, party=form["party"])
    return load.file_name or t("ioc.load_number", lang, id=load.id)


def _facts(load: Load, lang: str) -> tuple[v.Fact, ...]:
    facts = [v.Fact(t("loads.rows_of_file", lang), number(load.rows_in, lang))]
    facts += [
        v.Fact(t("ioc.fact_new", lang), number(load.rows_new, lang)),
        v.Fact(t("ioc.fact_changed", lang), number(load.rows_changed, lang)),
        v.Fact(t("ioc.fact_same", lang), number(load.rows_same, lang)),
    ]
    if load.rows_removed:
        facts.append(v.Fact(t("loads.fact_removed", lang), number(load.rows_removed, lang)))
    if load.t_min and load.t_max:
        text = f"{datetime_(load.t_min, lang)} – {datetime_(load.t_max, lang)}"
        facts.append(v.Fact(t("ioc.fact_span", lang), text))
    if reader := load.report.get("reader"):
        ours = t(f"loads.reader_{reader}", lang) if reader in ("own", "workbook") else reader
        facts.append(v.Fact(t("loads.reader", lang), ours))
    if encoding := load.report.get("notes", {}).get("encoding"):
        facts.append(v.Fact(t("loads.encoding", lang), encoding))
    if load.file_sha256:
        facts.append(v.Fact("SHA-256", load.file_sha256.hex(), f"/api/v1/loads/{load.id}/file"))
    if pulled := load.report.get("pull"):
        facts.append(v.Fact(t("loads.pulled_by", lang), f"{pulled['name']} ← {pulled['source']}"))
        if pulled["mark"]:
            text = f"{pulled['mark']}: {pulled['from']} – {pulled['to']}"
            facts.append(v.Fact(t("pulls.mark", lang), text))
        facts.append(v.Fact(t("pulls.query", lang), pulled["query"]))
    if load.undone_at:
        facts.append(v.Fact(t("ioc.fact_undone", lang), datetime_(load.undone_at, lang)))
    return tuple(facts)


def _typed(
    load: Load, dataset: Dataset, actor: Actor, who: dict[str, str], lang: str
) -> tuple[v.Fact, ...]:
    """Of figures that were typed: by whom, who approved them, and their return."""
    form = load.report.get("form")
    if not form or load.file_name is None:
        return ()
    resource = resource_of(load.file_name, load.agency_id, dataset.owner_agency)
    may = decide(actor, "form.read", resource).allowed
    url = f"/forms/{load.file_name}" if may else None
    authors = ", ".join(who[ref] for ref in form["authors"])
    return (
        v.Fact(t("forms.typed_by", lang), authors),
        v.Fact(t("forms.approved_by", lang), who[form["approved_by"]]),
        v.Fact(t("forms.of_return", lang), f"{form['period']} · {form['party']}", url),
    )


def _findings(load: Load, expected: int, may: bool, lang: str) -> tuple[v.Finding, ...]:
    out = []
    for finding in load.report.get("findings", []):
        kind = finding["kind"]
        note = findings.note(finding, lang)
        if kind == "absent":
            note = t("ioc.of_expected", lang, expected=expected)
        out.append(
            v.Finding(
                KINDS.get(kind, kind),
                findings.title(finding, lang),
                finding["count"],
                LEVELS.get(kind, "notice"),
                note,
                download_url=f"/api/v1/loads/{load.id}/quarantine.csv"
                if kind == "rejected" and may
                else None,
            )
        )
    return tuple(out)
