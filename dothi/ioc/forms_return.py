"""One return as its page shows it: what is typed, what is wrong with it, how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dothi.forms import rules, typed
from dothi.forms.model import EDITABLE, Act, Phase, Place, State
from dothi.forms.service import Sheet
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.ioc.admin.trail import in_words_of
from dothi.ioc.desk import Desk
from dothi.ioc.forms_view import BASE, status_of, url_of
from dothi.ioc.view import Fact
from dothi.kernel.errors import DothiError, Fault, Invalid
from dothi.kernel.i18n import NOTHING, date, datetime_, number, t
from dothi.lake import loads
from dothi.lake.form import Asked
from dothi.web.view import Status

INPUTS = {"number": "decimal", "integer": "numeric"}
"""Which keyboard a phone shows."""


@dataclass(frozen=True)
class Field:
    """One figure of the form: what is typed, what stood there the period before, what is wrong.

    `kind`: "text", "choice", "date" or "datetime-local". `fixed` says where a figure comes from that
    is not typed. `theirs` is what somebody else saved meanwhile.
    """

    name: str
    label: str
    unit: str
    help: str
    rule: str
    kind: str
    mode: str
    text: str
    shown: str
    options: tuple[tuple[str, str], ...]
    required: bool
    fixed: str
    hidden: str
    earlier: str
    moved: str
    jumps: bool
    faults: tuple[str, ...]
    theirs: str | None
    evidence: bool


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


@dataclass(frozen=True)
class ReturnView:
    """One return. Each `may_*` puts its button on the page."""

    url: str
    plan_url: str
    form: str
    period: str
    party: str
    help: str
    state: Status
    facts: tuple[Fact, ...]
    groups: tuple[tuple[str, tuple[Field, ...]], ...]
    note: str
    note_faults: tuple[str, ...]
    reason: str
    told: tuple[str, ...]
    notices: tuple[str, ...]
    version: int
    editable: bool
    earlier_period: str
    files: tuple[FileLine, ...]
    whole_faults: tuple[str, ...]
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
    note: str = ""
    error: DothiError | None = None
    stale: bool = False


def one(desk: Desk, actor: Actor, lang: str, found: Sheet, sent: Sent | None = None) -> ReturnView:
    """One return, with what was sent and refused where there is something."""
    place, stored = found.place, found.found
    form = place.form
    editable = found.may_enter and stored.state in EDITABLE
    by_column, note_faults, told = _faults(sent, {a.name for a in form.asked}, lang)
    if editable and not (sent and sent.stale):
        for fault in (rules.fault(place, check, lang) for check in found.broken):
            there = by_column.get(fault.where, ())
            by_column[fault.where] = tuple(dict.fromkeys((*there, fault.text(lang))))
    groups = tuple(
        (
            group.title[lang] if group.title else "",
            tuple(_field(found, asked, sent, by_column, lang) for asked in group.columns),
        )
        for group in form.groups
    )
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
        whole_faults=by_column.get("", ()),
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
        titles = {a.name: a.title[lang] for a in found.place.form.asked}
        names = ", ".join(titles[name] for name in found.differs)
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


def _field(
    found: Sheet, asked: Asked, sent: Sent | None, faults: Mapping[str, tuple[str, ...]], lang: str
) -> Field:
    cells = found.cells
    cell = cells.get(asked.name)
    text = typed.shown(asked, cell, lang)
    theirs = None
    if sent is not None and asked.name in sent.values:
        mine_ = sent.values[asked.name]
        if sent.stale and typed.cell(asked, mine_, lang) != cell:
            theirs = text or NOTHING
        text = mine_
    elsewhere = cell is not None and "from" in cell
    earlier = found.earlier.get(asked.name)
    value = cell.get("v") if cell else None
    moved, jumps = _moved(value, earlier, asked.name in found.jumps, lang)
    kind = {"date": "date", "instant": "datetime-local"}.get(asked.type, "text")
    if asked.choices or asked.type == "boolean":
        kind = "choice"
    return Field(
        name=asked.name,
        label=asked.title[lang],
        unit=asked.unit,
        help=(asked.help or {}).get(lang, ""),
        rule=_rule(asked, lang),
        kind=kind,
        mode=INPUTS.get(asked.type, ""),
        text=text,
        shown=_shown(asked, value, lang) if cell is None or "v" in cell else cell["t"],
        options=_options(asked, lang),
        required=not asked.optional,
        fixed=t("forms.from", lang, dataset=cell["from"]) if cell and elsewhere else "",
        hidden=t("forms.from_hidden", lang, dataset=found.hidden[asked.name])
        if asked.name in found.hidden
        else "",
        earlier=_shown(asked, earlier, lang) if found.earlier else "",
        moved=moved,
        jumps=jumps,
        faults=faults.get(asked.name, ()),
        theirs=theirs,
        evidence=asked.evidence,
    )


def _moved(now: Any, earlier: Any, jumps: bool, lang: str) -> tuple[str, bool]:
    """How far a figure moved since the period before, in words."""
    if isinstance(now, bool | str | None) or isinstance(earlier, bool | str | None):
        return "", False
    if now == earlier:
        return t("forms.moved_none", lang), False
    if not earlier:
        return t("forms.moved_from_zero", lang), jumps
    share = number(abs(100 * (now - earlier) / earlier), lang, 1)
    key = "forms.moved_up" if now > earlier else "forms.moved_down"
    return t(key, lang, share=share), jumps


def _options(asked: Asked, lang: str) -> tuple[tuple[str, str], ...]:
    if asked.type == "boolean":
        return (("1", t("common.yes", lang)), ("0", t("common.no", lang)))
    return tuple((choice, choice) for choice in asked.choices)


def _rule(asked: Asked, lang: str) -> str:
    if asked.low is not None and asked.high is not None:
        return t(
            "loads.rule_range", lang, low=number(asked.low, lang), high=number(asked.high, lang)
        )
    if asked.low is not None:
        return t("loads.rule_least", lang, low=number(asked.low, lang))
    if asked.high is not None:
        return t("loads.rule_most", lang, high=number(asked.high, lang))
    return ""


def _shown(asked: Asked, value: Any, lang: str) -> str:
    """A value to be read."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return t("common.yes" if value else "common.no", lang)
    if asked.type == "date":
        return date(datetime.fromisoformat(value).date(), lang)
    if asked.type == "instant":
        return datetime_(datetime.fromisoformat(value), lang)
    return number(value, lang) if isinstance(value, int | float) else str(value)


def _faults(
    sent: Sent | None, columns: set[str], lang: str
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...], tuple[str, ...]]:
    """What is wrong by column, with the note, and with the whole."""
    if sent is None or sent.error is None:
        return {}, (), ()
    found: dict[str, tuple[str, ...]] = {}
    note: list[str] = []
    told = [sent.error.text(lang)]
    faults: list[Fault] = sent.error.faults if isinstance(sent.error, Invalid) else []
    for fault in faults:
        text = fault.text(lang)
        if fault.where in columns:
            found[fault.where] = (*found.get(fault.where, ()), text)
        elif fault.where in ("note", "reason"):
            note.append(text)
        else:
            told.append(f"{fault.where}: {text}" if fault.where else text)
    return found, tuple(note), tuple(told)


def _act(place: Place, act: Act, who: Mapping[str, str], lang: str) -> HistoryLine:
    asked = {a.name: a for a in place.form.asked}
    changed = tuple(
        (asked[name].title[lang], _past(asked[name], old, lang), _past(asked[name], new, lang))
        for name in asked
        if name in act.changes
        for old, new in (act.changes[name],)
    )
    what = t(f"forms.act_{act.what}", lang)
    if act.revision > 1:
        what = t("forms.act_of_revision", lang, what=what, revision=act.revision)
    return HistoryLine(act.at, who.get(act.actor, act.actor_name), what, act.note, changed)


def _past(asked: Asked, value: Any, lang: str) -> str:
    """A value of the history: it may be a text that never became one."""
    one = typed.cell(asked, value, "en")
    return str(value) if one and "t" in one else _shown(asked, one["v"] if one else None, lang)


def _title(place: Place, column: str, lang: str) -> str:
    for asked in place.form.asked:
        if asked.name == column:
            return asked.title[lang]
    return t("forms.whole", lang)


def _size(count: int, lang: str) -> str:
    if count < 1024 * 1024:
        return t("forms.size_kb", lang, size=max(1, round(count / 1024)))
    return t("forms.size_mb", lang, size=number(count / 1024 / 1024, lang, 1))
