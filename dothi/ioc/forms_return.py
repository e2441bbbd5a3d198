"""One return as its page shows it: what is typed, what is wrong with it, how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dothi.forms import rules, table
from dothi.forms.model import EDITABLE, PLAIN, Act, Phase, Place, State
from dothi.forms.service import Sheet
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.ioc.admin.trail import in_words_of
from dothi.ioc.desk import Desk
from dothi.ioc.forms_field import Field, Held, past
from dothi.ioc.forms_field import field as field_of
from dothi.ioc.forms_table import (
    ChangedLine,
    SentLines,
    TableView,
    against_approved,
    changed_lines,
)
from dothi.ioc.forms_table import view as table_of
from dothi.ioc.forms_view import BASE, status_of, url_of
from dothi.ioc.view import Fact
from dothi.kernel.errors import DothiError, Fault, Invalid
from dothi.kernel.i18n import date, datetime_, number, t
from dothi.lake import loads
from dothi.lake.form import Asked
from dothi.web.view import Status


@dataclass(frozen=True)
class FileLine:
    """A file of evidence."""

    name: str
    url: str
    about: str
    size: str
    at: datetime
    drop: str


@dataclass(frozen=True)
class HistoryLine:
    """One act, with what it changed in words."""

    at: datetime
    who: str
    what: str
    note: str
    changes: tuple[tuple[str, str, str], ...]
    lines: tuple[ChangedLine, ...]


@dataclass(frozen=True)
class ReturnView:
    """One return: its `groups` of fields, or its `table`. `corrects`: what a correction changes in what
    was approved. Each `may_*` puts its button on the page."""

    url: str
    plan_url: str
    form: str
    period: str
    party: str
    help: str
    state: Status
    facts: tuple[Fact, ...]
    groups: tuple[tuple[str, tuple[Field, ...]], ...]
    table: TableView | None
    corrects: tuple[ChangedLine, ...]
    evidence: tuple[tuple[str, str], ...]
    note: str
    note_faults: tuple[str, ...]
    reason: str
    told: tuple[str, ...]
    notices: tuple[str, ...]
    version: int
    editable: bool
    earlier_period: str
    files: tuple[FileLine, ...]
    history: tuple[HistoryLine, ...]
    may_recall: bool
    may_approve: bool
    own_figures: bool
    may_correct: bool
    may_abandon: bool
    submit_is_final: bool
    use_url: str | None


@dataclass(frozen=True)
class Sent:
    """A form that was sent and not accepted: what stood in it, and why."""

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    lines: SentLines | None = None
    note: str = ""
    error: DothiError | None = None
    stale: bool = False


def one(
    desk: Desk, actor: Actor, lang: str, found: Sheet, sent: Sent | None = None, more: int = 0
) -> ReturnView:
    """One return, with what was sent and refused where there is something; `more`: empty rows under its
    table."""
    place, stored = found.place, found.found
    form = place.form
    editable = found.may_enter and stored.state in EDITABLE
    stale = sent is not None and sent.stale
    by_column, note_faults, told = _faults(place, sent, lang)
    if editable and not stale:
        for number_, check in found.broken:
            fault = rules.fault(place, number_, check, lang)
            there = by_column.get(fault.where, ())
            by_column[fault.where] = tuple(dict.fromkeys((*there, fault.text(lang))))
    groups = _groups(found, sent, by_column, lang) if form.lines is None else ()
    lines = sent.lines if sent is not None and editable else None
    with desk.db.transaction() as conn:
        who = in_words_of(conn, {a.actor for a in found.history}, lang)
    standing = stored.standing
    reads_load = standing is not None and _may_read_load(actor, place)
    return ReturnView(
        url=url_of(place),
        plan_url=f"{BASE}/{place.dataset.name}",
        form=place.dataset.contract.title[lang],
        period=place.period.label(lang),
        party=place.party.title[lang],
        help=(form.help or {}).get(lang, ""),
        state=status_of(place, stored, lang),
        facts=_facts(desk, actor, found, who, lang),
        groups=groups,
        table=table_of(found, lines, stale, by_column, more if editable else 0, lang),
        corrects=changed_lines(place, against_approved(found), lang),
        evidence=tuple((a.name, a.title[lang]) for a in form.asked if a.evidence),
        note=sent.note if sent else stored.note,
        note_faults=note_faults,
        reason=stored.reason if stored.phase in (Phase.RETURNED, Phase.CORRECTING) else "",
        told=told,
        notices=_notices(found, lang),
        version=stored.version,
        editable=editable,
        earlier_period=place.period.previous().label(lang) if found.earlier else "",
        files=tuple(
            FileLine(
                e.name, f"{url_of(place)}/evidence/{e.sha256.hex()}", _title(place, e.column, lang),
                _size(e.bytes, lang), e.added_at, f"{e.sha256.hex()}.{e.column}",
            )
            for e in found.evidence
        ),
        history=tuple(_act(place, a, who, lang) for a in found.history),
        may_recall=found.may_enter and stored.state is State.SUBMITTED,
        may_approve=found.may_approve and stored.state is State.SUBMITTED and not found.typed_it,
        own_figures=found.may_approve and stored.state is State.SUBMITTED and found.typed_it,
        may_correct=found.may_enter and stored.state is State.APPROVED,
        may_abandon=found.may_enter and stored.phase is Phase.CORRECTING,
        submit_is_final=form.approval == "none",
        use_url=f"/loads/{standing.load_id}" if standing and reads_load else None,
    )  # fmt: skip


def _notices(found: Sheet, lang: str) -> tuple[str, ...]:
    """What the store says that the return does not."""
    lines = []
    standing = found.found.standing
    if found.found.phase is Phase.UNDONE and standing is not None:
        lines.append(t("forms.standing_before", lang, revision=standing.revision))
    if found.differs:
        names = ", ".join(table.named(found.place, *one, lang) for one in found.differs)
        lines.append(t("forms.differs", lang, names=names))
    return tuple(lines)


def _may_read_load(actor: Actor, place: Place) -> bool:
    return decide(actor, "load.read", loads.resource(place.dataset, 0)).allowed


def _facts(
    desk: Desk, actor: Actor, found: Sheet, who: Mapping[str, str], lang: str
) -> tuple[Fact, ...]:
    place, stored = found.place, found.found
    facts = [Fact(t("forms.due", lang), date(place.due, lang))]
    if stored.submitted_at and stored.state is State.SUBMITTED:
        facts.append(Fact(t("forms.submitted_at", lang), datetime_(stored.submitted_at, lang)))
    if standing := stored.standing:
        approved = t(
            "forms.approved_at", lang, at=datetime_(standing.approved_at, lang),
            who=who.get(standing.approved_by, standing.approved_by),
        )  # fmt: skip
        facts.append(Fact(t("forms.phase_approved", lang), approved))
    readers = sorted(
        one.definition.title[lang]
        for one in desk.definitions().values()
        if place.dataset.name in one.definition.inputs
        and decide(actor, "dataset.read", one.dataset.resource).allowed
    )
    if readers:
        facts.append(Fact(t("forms.used_for", lang), "; ".join(readers)))
    return tuple(facts)


def _groups(
    found: Sheet, sent: Sent | None, faults: Mapping[str, tuple[str, ...]], lang: str
) -> tuple[tuple[str, tuple[Field, ...]], ...]:
    """The fields of a form that is no table."""
    cells, earlier, jumps = found.cells, found.earlier.get(PLAIN, {}), found.jumps

    def one(asked: Asked) -> Field:
        held = Held(
            name=asked.name,
            cell=cells.get(asked.name),
            sent=sent.values.get(asked.name) if sent is not None else None,
            stale=sent is not None and sent.stale,
            earlier=earlier.get(asked.name),
            has_earlier=bool(earlier),
            jumps=(PLAIN, asked.name) in jumps,
            hidden=found.hidden.get(asked.name),
            faults=faults.get(asked.name, ()),
        )
        return field_of(asked, held, lang)

    return tuple(
        (group.title[lang] if group.title else "", tuple(one(asked) for asked in group.columns))
        for group in found.place.form.groups
    )


def _faults(
    place: Place, sent: Sent | None, lang: str
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...], tuple[str, ...]]:
    """What is wrong by cell, with the note, and with the whole."""
    if sent is None or sent.error is None:
        return {}, (), ()
    found: dict[str, tuple[str, ...]] = {}
    note: list[str] = []
    told = [sent.error.text(lang)]
    columns = {a.name for a in place.form.asked}
    if place.form.lines is not None:
        columns.add(place.form.lines.column)
    faults: list[Fault] = sent.error.faults if isinstance(sent.error, Invalid) else []
    for fault in faults:
        text = fault.text(lang)
        number_, _, column = fault.where.rpartition(".")
        if column in columns and number_.isdigit() is (place.form.lines is not None):
            found[fault.where] = (*found.get(fault.where, ()), text)
        elif fault.where in ("note", "reason"):
            note.append(text)
        else:
            told.append(f"{fault.where}: {text}" if fault.where not in ("", "lines") else text)
    return found, tuple(note), tuple(told)


def _act(place: Place, act: Act, who: Mapping[str, str], lang: str) -> HistoryLine:
    asked = {a.name: a for a in place.form.asked}
    changed = tuple(
        (asked[name].title[lang], past(asked[name], old, lang), past(asked[name], new, lang))
        for name in asked
        if name in act.changes
        for old, new in (act.changes[name],)
    )
    lines = changed_lines(place, act.lines, lang)
    what = t(f"forms.act_{act.what}", lang)
    if act.revision > 1:
        what = t("forms.act_of_revision", lang, what=what, revision=act.revision)
    return HistoryLine(act.at, who.get(act.actor, act.actor_name), what, act.note, changed, lines)


def _title(place: Place, column: str, lang: str) -> str:
    for asked in place.form.asked:
        if asked.name == column:
            return asked.title[lang]
    return t("forms.whole", lang)


def _size(count: int, lang: str) -> str:
    if count < 1024 * 1024:
        return t("forms.size_kb", lang, size=max(1, round(count / 1024)))
    return t("forms.size_mb", lang, size=number(count / 1024 / 1024, lang, 1))
