"""One figure of a return as its page shows it: a field to type into, or what stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dothi.forms import typed
from dothi.kernel.i18n import NOTHING, date, datetime_, number, t
from dothi.lake.form import Asked

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
class Held:
    """What is known of one figure. `name`: of its field in the page. `cell`: what is stored; `sent`:
    what was sent and refused (None: nothing), `stale`: because somebody else saved; `earlier`: the
    period before, `has_earlier`: whether there is one at all; `hidden`: the source that the person may
    not see."""

    name: str
    cell: Mapping[str, Any] | None
    sent: str | None = None
    stale: bool = False
    earlier: Any = None
    has_earlier: bool = False
    jumps: bool = False
    hidden: str | None = None
    faults: tuple[str, ...] = ()


def field(asked: Asked, held: Held, lang: str) -> Field:
    """A figure with all that stands beside it."""
    cell = held.cell
    text = typed.shown(asked, cell, lang)
    theirs = None
    if held.sent is not None:
        if held.stale and typed.cell(asked, held.sent, lang) != cell:
            theirs = text or NOTHING
        text = held.sent
    value = cell.get("v") if cell else None
    moved, jumps = _moved(value, held.earlier, held.jumps, lang)
    kind = {"date": "date", "instant": "datetime-local"}.get(asked.type, "text")
    if asked.choices or asked.type == "boolean":
        kind = "choice"
    return Field(
        name=held.name,
        label=asked.title[lang],
        unit=asked.unit,
        help=(asked.help or {}).get(lang, ""),
        rule=_rule(asked, lang),
        kind=kind,
        mode=INPUTS.get(asked.type, ""),
        text=text,
        shown=shown(asked, value, lang) if cell is None or "v" in cell else cell["t"],
        options=_options(asked, lang),
        required=not asked.optional,
        fixed=t("forms.from", lang, dataset=cell["from"]) if cell and "from" in cell else "",
        hidden=t("forms.from_hidden", lang, dataset=held.hidden) if held.hidden else "",
        earlier=shown(asked, held.earlier, lang) if held.has_earlier else "",
        moved=moved,
        jumps=jumps,
        faults=held.faults,
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


def shown(asked: Asked, value: Any, lang: str) -> str:
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


def past(asked: Asked, value: Any, lang: str) -> str:
    """A value of the history: it may be a text that never became one."""
    one = typed.cell(asked, value, "en")
    return str(value) if one and "t" in one else shown(asked, one["v"] if one else None, lang)
