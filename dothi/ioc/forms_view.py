"""The pages of typed figures as values: what waits for somebody, a form's plan, one return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as date_
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from dothi.forms import plan
from dothi.forms.model import Phase, Place, Return, periods
from dothi.forms.service import Forms
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc.view import Choice, Fact
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import date, t
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.lake import registry
from dothi.web.view import Level, Status

BASE = "/forms"
SHOWN = 6
"""Periods that the plan shows at once."""
MOST_LISTED = 200
LATE = "late"
"""The word for returns that are late, beside those for phases."""
LEVELS: Mapping[Phase, Level] = {
    Phase.EMPTY: "unknown",
    Phase.DRAFT: "unknown",
    Phase.SUBMITTED: "notice",
    Phase.RETURNED: "warning",
    Phase.APPROVED: "ok",
    Phase.CORRECTING: "notice",
    Phase.UNDONE: "warning",
}


@dataclass(frozen=True)
class Line:
    """A return in a list."""

    url: str
    form: str
    period: str
    party: str
    state: Status
    due: str
    at: datetime | None


@dataclass(frozen=True)
class FormLine:
    """A form in the list, with how the returns of its last period stand."""

    url: str
    title: str
    period: str
    states: tuple[Status, ...]


@dataclass(frozen=True)
class MineView:
    """`late` counts those of `to_enter` whose last day has passed."""

    to_enter: tuple[Line, ...]
    to_approve: tuple[Line, ...]
    forms: tuple[FormLine, ...]
    late: int
    returned: int
    enters: bool
    approves: bool


@dataclass(frozen=True)
class Count:
    """How many returns stand so; `url` shows them, or all again where they are `current`."""

    state: Status
    url: str
    current: bool


@dataclass(frozen=True)
class PlanView:
    """A form's parties with the state of each of its `periods`, those that are late and those that
    wait in the period `counted` first. `counts` are of that period and lead to their returns."""

    title: str
    help: str
    facts: tuple[Fact, ...]
    periods: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, Status] | None, ...]], ...]
    counted: str
    counts: tuple[Count, ...]
    pages: tuple[Choice, ...]
    data_url: str


def today() -> Any:
    """The day it is in Việt Nam."""
    return local_date(utc_now(), VN)


def url_of(place: Place) -> str:
    """Where a return is shown."""
    return f"{BASE}/{place.subject}"


def mine(forms: Forms, actor: Actor, lang: str) -> MineView:
    """What waits for somebody. Raises what the policy raises for who may never see a return."""
    require(actor, "form.read", Resource("form", owner_agency=actor.agency_id))
    day = today()
    with forms.db.transaction() as conn:
        found = plan.mine(conn, actor, day)
    listed = []
    for dataset, counts, late in found.forms:
        form = plan.form_of(dataset)
        wanted = periods(form, day)
        last = next((p for p in wanted if p.last_day < day), wanted[0])
        states = tuple(one for _, one in _states(counts, late, lang))
        title = dataset.contract.title[lang]
        listed.append(FormLine(f"{BASE}/{dataset.name}", title, last.label(lang), states))
    return MineView(
        to_enter=tuple(_line(x.place, x.found, lang) for x in found.to_enter[:MOST_LISTED]),
        to_approve=tuple(_line(x.place, x.found, lang) for x in found.to_approve[:MOST_LISTED]),
        forms=tuple(listed),
        late=sum(x.late for x in found.to_enter),
        returned=sum(x.found.phase is Phase.RETURNED for x in found.to_enter),
        enters=found.enters,
        approves=found.approves,
    )


def one_plan(
    forms: Forms, actor: Actor, lang: str, name: str, until: str, phase: str = ""
) -> PlanView:
    """A form's plan; with `phase` (one of `Phase`, or "late") only who stands so in the counted period.
    Raises NotFound for who may see none of its returns."""
    day = today()
    with forms.db.transaction() as conn:
        dataset = registry.find(conn, name)
        form = plan.form_of(dataset)
        wanted = periods(form, day)
        codes = [p.code for p in wanted]
        first = codes.index(until) if until in codes else 0
        shown = wanted[first : first + SHOWN]
        lines = plan.matrix(conn, actor, dataset, shown, day)
    if not lines:
        raise NotFound("identity.not_found")
    counts: dict[Phase, int] = {}
    late = 0
    rows = []
    last = next((p for p in shown if p.last_day < day), shown[0])
    last_of = {code: line.get(last.code) for code, (_, line) in lines.items()}
    for party, line in sorted(lines.values(), key=lambda x: _rank(last_of[x[0].code], day)):
        cells: list[tuple[str, Status] | None] = []
        for period in shown:
            if period.code not in line:
                cells.append(None)
                continue
            place, found = line[period.code]
            cells.append((url_of(place), status_of(place, found, lang)))
            if period is last:
                counts[found.phase] = counts.get(found.phase, 0) + 1
                late += found.late(place.due, day)
        if not phase or _stands(last_of[party.code], phase, day):
            rows.append((party.title[lang], tuple(cells)))
    around = {"until": until} if first else {}
    pages = []
    if first:
        newer = codes[max(0, first - SHOWN)]
        pages.append(Choice(t("forms.newer", lang), f"{BASE}/{name}?until={newer}", False))
    if first + SHOWN < len(codes):
        older = codes[first + SHOWN]
        pages.append(Choice(t("forms.older", lang), f"{BASE}/{name}?until={older}", False))
    facts = (
        Fact(t("forms.asked_each", lang), t(f"forms.grain_{form.grain}", lang)),
        Fact(t("forms.due", lang), t("forms.due_days", lang, days=form.due)),
        Fact(t("forms.approved_by_whom", lang), t(f"forms.approval_{form.approval}", lang)),
    )
    return PlanView(
        title=dataset.contract.title[lang],
        help=(form.help or {}).get(lang, ""),
        facts=facts,
        periods=tuple(p.label(lang) for p in shown),
        rows=tuple(rows),
        counted=last.label(lang),
        counts=tuple(
            Count(one, f"{BASE}/{name}?{urlencode(around | asked)}", word == phase)
            for word, one in _states(counts, late, lang)
            for asked in ({} if word == phase else {"phase": word},)
        ),
        pages=tuple(pages),
        data_url=f"/data/{name}" if decide(actor, "dataset.read", dataset.resource).allowed else "",
    )


def _line(place: Place, found: Return, lang: str) -> Line:
    return Line(
        url_of(place), place.dataset.contract.title[lang], place.period.label(lang),
        place.party.title[lang], status_of(place, found, lang), date(place.due, lang),
        found.submitted_at,
    )  # fmt: skip


def status_of(place: Place, found: Return, lang: str) -> Status:
    """A return's state in words."""
    if found.late(place.due, today()):
        return Status("critical", t(f"forms.late_{found.phase.value}", lang))
    if found.phase is Phase.EMPTY and place.period.last_day >= today():
        return Status("unknown", t("forms.phase_running", lang))
    return Status(LEVELS[found.phase], t(f"forms.phase_{found.phase.value}", lang))


def _rank(found: tuple[Place, Return] | None, day: date_) -> int:
    """What somebody has to see to first: late, then waiting for approval, then the others by name."""
    if found is None:
        return 3
    place, one = found
    return 0 if one.late(place.due, day) else 1 if one.phase is Phase.SUBMITTED else 2


def _stands(found: tuple[Place, Return] | None, phase: str, day: date_) -> bool:
    if found is None:
        return False
    place, one = found
    return one.late(place.due, day) if phase == LATE else one.phase.value == phase


def _states(counts: Mapping[Phase, int], late: int, lang: str) -> list[tuple[str, Status]]:
    """How many returns there are in each state, and how many of them are late; each by its word."""
    out = []
    for phase in Phase:
        if count := counts.get(phase, 0):
            text = t("forms.count", lang, count=count, state=t(f"forms.phase_{phase.value}", lang))
            out.append((phase.value, Status(LEVELS[phase], text)))
    if late:
        out.append((LATE, Status("critical", t("forms.count_late", lang, count=late))))
    return out
