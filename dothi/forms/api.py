"""Returns by program: what is asked for, one return, and typing it. Approving is for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from dothi.forms import plan
from dothi.forms.model import Cells, Difference, Line, Phase, Place, periods
from dothi.forms.service import Forms, Sheet
from dothi.forms.table import Given
from dothi.identity.model import Actor
from dothi.kernel.errors import Invalid
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN

Value = str | float | int | bool | None


class LineIn(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a table: its code, or what the form calls it, and values by column."""

    line: str
    values: dict[str, Value]


class ReturnIn(msgspec.Struct, forbid_unknown_fields=True):
    """What is typed: values by column, null or left out for none; of a form that is a table `lines`
    instead, all of them. `version` is the one that was read, 0 for a return that nobody began; with
    `submit` it is handed in."""

    version: int
    values: dict[str, Value] = msgspec.field(default_factory=dict[str, Value])
    lines: list[LineIn] | None = None
    note: str = ""
    submit: bool = False


EXAMPLE = ReturnIn(0, {"collected_t": 118.5, "sorted_t": 31})


@get("/forms", opt={"access": "form.read"}, sync_to_thread=True)
def list_forms(
    actor: NamedDependency[Actor], forms: NamedDependency[Forms], lang: NamedDependency[str]
) -> list[dict[str, Any]]:
    """The forms of which the caller may see returns, with the parties and the last day of each
    period that they may see."""
    today = local_date(utc_now(), VN)
    out = []
    with forms.db.transaction() as conn:
        for dataset in plan.forms(conn):
            form = plan.form_of(dataset)
            shown = periods(form, today)
            lines = plan.matrix(conn, actor, dataset, shown, today)
            if not lines:
                continue
            out.append(
                {
                    "dataset": dataset.name,
                    "title": dataset.contract.title[lang],
                    "grain": form.grain,
                    "columns": [
                        {"name": a.name, "title": a.title[lang], "type": a.type, "unit": a.unit}
                        for a in form.asked
                    ],
                    "lines": None if form.lines is None else {
                        "column": form.lines.column, "title": form.lines.title[lang],
                        "added": form.lines.added, "least": form.lines.least,
                        "most": form.lines.most,
                    },
                    "returns": [
                        {
                            "period": code, "party": party, "state": found.phase.value,
                            "due": place.due.isoformat(), "late": found.late(place.due, today),
                        }
                        for party, (_, line) in lines.items()
                        for code, (place, found) in line.items()
                    ],
                }
            )  # fmt: skip
    return out


@get("/forms/{form:str}/{period:str}/{party:str}", opt={"access": "form.read"}, sync_to_thread=True)
def show_return(
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    actor: NamedDependency[Actor],
    forms: NamedDependency[Forms],
    lang: NamedDependency[str],
) -> dict[str, Any]:
    """One return: its state, what is typed, what was approved, its history."""
    return _described(forms.look(actor, form, period, party), lang)


@put(
    "/forms/{form:str}/{period:str}/{party:str}",
    opt={"access": "form.enter", "example": EXAMPLE},
    sync_to_thread=True,
)
def put_return(
    form: FromPath[str],
    period: FromPath[str],
    party: FromPath[str],
    data: JSONBody[ReturnIn],
    actor: NamedDependency[Actor],
    forms: NamedDependency[Forms],
    lang: NamedDependency[str],
) -> dict[str, Any]:
    """Type a return, and hand it in when asked to. 409 when somebody else changed it since
    `version`, 422 with all faults when it cannot be handed in; what was typed is kept then. A fault of
    a table says its line and column: "2.collected_t"."""
    place = forms.place(actor, form, period, party)
    given: Given = data.values
    if data.lines is not None:
        if data.values:
            raise Invalid("forms.values_or_lines")
        given = [(one.line, one.values) for one in data.lines]
    forms.save(
        actor, place, given, version=data.version, note=data.note, lang=lang,
        submit=data.submit,
    )  # fmt: skip
    return _described(forms.look(actor, form, period, party), lang)


def _described(found: Sheet, lang: str) -> dict[str, Any]:
    one, place = found.found, found.place
    standing = one.standing
    table = place.form.lines is not None
    held = _lines(place, found.lines, lang) if table else _values(place, found.cells)
    figures = "lines" if table else "values"
    return {
        "dataset": place.dataset.name,
        "period": place.period.code,
        "party": place.party.code,
        "due": place.due.isoformat(),
        "state": one.phase.value,
        "revision": one.revision,
        "version": one.version,
        figures: held,
        "from_elsewhere": sorted(
            f"{number}.{name}" if table else name
            for number, line in enumerate(found.lines, 1)
            for name, cell in line.cells.items()
            if "from" in cell
        ),
        "note": one.note,
        "reason": one.reason if one.phase in (Phase.RETURNED, Phase.CORRECTING) else "",
        "approved": None
        if standing is None
        else {
            "revision": standing.revision,
            "load": standing.load_id,
            "at": standing.approved_at.isoformat(),
            figures: _lines(place, standing.lines, lang) if table
            else {name: cell.get("v") for name, cell in standing.cells.items()},
        },
        "history": [
            {
                "at": act.at.isoformat(), "what": act.what, "revision": act.revision,
                "note": act.note, "changes": act.changes,
                **({"lines": [_difference(one) for one in act.lines]} if table else {}),
            }
            for act in found.history
        ],
    }  # fmt: skip


def _values(place: Place, cells: Cells) -> dict[str, Any]:
    return {
        asked.name: cell.get("v", cell.get("t")) if (cell := cells.get(asked.name)) else None
        for asked in place.form.asked
    }


def _lines(place: Place, lines: Iterable[Line], lang: str) -> list[dict[str, Any]]:
    return [
        {
            "line": line.key, "title": place.line_title(line.key, lang),
            "values": _values(place, line.cells),
        }
        for line in lines
    ]  # fmt: skip


def _difference(one: Difference) -> dict[str, Any]:
    return {"line": one.key, "what": one.what, "columns": one.columns}


router = Router("/api/v1", route_handlers=[list_forms, show_return, put_return])
