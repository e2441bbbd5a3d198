"""The list of loads and one load on screens."""

from __future__ import annotations

from typing import Any

from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.ioc import view as v
from dothi.ioc.desk import Desk
from dothi.ioc.environment import conflict_view
from dothi.kernel.errors import Fault
from dothi.kernel.i18n import datetime_, number, t
from dothi.lake import loads, registry
from dothi.lake.loads import FILE_DOORS, Load
from dothi.lake.registry import Dataset
from dothi.web.view import Status

PAGE = 40
MOST_REJECTED = 200
EVERY_DOOR = (*FILE_DOORS, "demo", "http")
LEVELS: dict[str, Any] = {
    "missing": "notice", "invalid": "notice", "suspect": "notice", "outside": "notice", "absent": "notice",
    "twice": "notice", "conflict": "warning", "rejected": "warning",
}  # fmt: skip
KINDS: dict[str, Any] = {"suspect": "negative", "outside": "negative", "twice": "conflict"}


def page(
    desk: Desk, actor: Actor, lang: str, before: int | None, dataset_name: str | None
) -> v.LoadsView:
    """What people brought, newest first. Raises what the policy raises for who may see none."""
    sees_some = desk.sees_loads(actor)
    with desk.db.transaction() as conn:
        datasets = {d.id: d for d in registry.datasets(conn)}
        chosen = next((d for d in datasets.values() if d.name == dataset_name), None)
        if not sees_some:
            require(actor, "load.read", loads.resource(next(iter(datasets.values()))))
        found = loads.page(
            conn, actor, dataset_id=chosen.id if chosen else None, before=before,
            doors=(*FILE_DOORS, "demo"), limit=PAGE + 1,
        )  # fmt: skip
        names = _actors(conn, found)
    more = len(found) > PAGE
    found = found[:PAGE]
    return v.LoadsView(
        url="/loads",
        topics=("loads",),
        rows=tuple(_row(x, datasets[x.dataset_id], actor, names, lang) for x in found),
        next_url=f"/loads?before={found[-1].id}" if more else None,
    )


def one(desk: Desk, actor: Actor, lang: str, load_id: int) -> v.LoadView:
    """One load with its findings, its rejected rows and its contradictions."""
    with desk.db.transaction() as conn:
        load, dataset = loads.get(conn, actor, load_id)
        names = _actors(conn, [load])
        conflicts = tuple(
            conflict_view(conn, actor, c, lang) for c in loads.contradictions(conn, load_id=load_id)
        )
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
        facts=_facts(load, lang),
        findings=_findings(load, may, lang),
        conflicts=conflicts,
        rejected=rejected,
        undo=v.Action(t("ioc.undo_load", lang), f"/loads/{load_id}/undo", reason_label=None)
        if load.state == "committed" and decide(actor, "dataset.undo", dataset.resource).allowed
        else None,
    )


def _actors(conn: Any, found: list[Load]) -> dict[str, str]:
    ids = [int(x.actor.split(":")[1]) for x in found if x.actor and x.actor.startswith("account:")]
    rows = conn.execute("SELECT id, display_name FROM account WHERE id = ANY (%s)", (ids,))
    return {f"account:{number_}": name for number_, name in rows.fetchall()}


def _row(load: Load, dataset: Dataset, actor: Actor, names: dict[str, str], lang: str) -> v.LoadRow:
    conflicts = sum(f["count"] for f in load.report.get("findings", []) if f["kind"] == "conflict")
    if load.state == "undone":
        state = Status("unknown", t("ioc.load_undone", lang))
    elif load.rows_rejected or conflicts:
        state = Status("warning", t("ioc.load_waits", lang))
    else:
        state = Status("ok", t("ioc.load_fine", lang))
    may = decide(actor, "quarantine.read", dataset.resource).allowed
    by = names.get(load.actor or "") or t(f"ioc.door_{load.door}", lang)
    return v.LoadRow(
        id=str(load.id),
        dataset=dataset.contract.title[lang],
        file=load.file_name or t("ioc.load_number", lang, id=load.id),
        at=load.at,
        by=by,
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


def _facts(load: Load, lang: str) -> tuple[v.Fact, ...]:
    facts = [
        v.Fact(t("ioc.fact_new", lang), number(load.rows_new, lang)),
        v.Fact(t("ioc.fact_changed", lang), number(load.rows_changed, lang)),
        v.Fact(t("ioc.fact_same", lang), number(load.rows_same, lang)),
    ]
    if load.t_min and load.t_max:
        text = f"{datetime_(load.t_min, lang)} – {datetime_(load.t_max, lang)}"
        facts.append(v.Fact(t("ioc.fact_span", lang), text))
    if load.file_sha256:
        facts.append(v.Fact("SHA-256", load.file_sha256.hex(), f"/api/v1/loads/{load.id}/file"))
    if load.undone_at:
        facts.append(v.Fact(t("ioc.fact_undone", lang), datetime_(load.undone_at, lang)))
    return tuple(facts)


def _findings(load: Load, may: bool, lang: str) -> tuple[v.Finding, ...]:
    out = []
    for finding in load.report.get("findings", []):
        kind = finding["kind"]
        note = ""
        if kind == "absent":
            expected = sum(s["rows"] + s["absent"] for s in load.report.get("streams", []))
            note = t("ioc.of_expected", lang, expected=expected)
        if kind == "outside":
            note = t("lake.outside_note", lang, count=finding["marked_valid"])
        out.append(
            v.Finding(
                KINDS.get(kind, kind),
                t(f"lake.finding_{kind}", lang),
                finding["count"],
                LEVELS.get(kind, "notice"),
                note,
                download_url=f"/api/v1/loads/{load.id}/quarantine.csv"
                if kind == "rejected" and may
                else None,
            )
        )
    return tuple(out)
