"""Returns (phiếu báo cáo): what one party reports for one period, and in which state it stands.

A return is one line of figures, or, where its form is a table, several lines with a key each.

A return is worked on in revisions. What counts is the newest approval whose load stands in the
store; all other states say only how far a revision has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from dothi.identity.policy import Resource, Sharing
from dothi.kernel.period import Grain, Period
from dothi.kernel.workdays import add_working_days
from dothi.lake.form import Asked, Form
from dothi.lake.registry import Dataset

Cells = dict[str, dict[str, Any]]
"""By column {"v": value}, {"t": text} where the text is no value, {"v": value, "from": dataset}."""
PLAIN = ""
"""The key of the one line of a form that is no table."""
HORIZON: Mapping[Grain, int] = {"day": 31, "month": 12, "quarter": 8, "year": 5}
"""How many periods back returns are asked for and told to be late; older ones can still be typed."""
MOST_NOTE = 2_000
ALWAYS = "the contract's form"


class State(StrEnum):
    """How far the present revision has come."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"


class Phase(StrEnum):
    """A return as people see it."""

    EMPTY = "empty"  # nothing has been typed
    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    APPROVED = "approved"  # and locked: its figures stand in the store
    CORRECTING = "correcting"  # a correction is being typed, what was approved still counts
    UNDONE = "undone"  # its load was taken out of the store


EDITABLE = frozenset({State.DRAFT, State.RETURNED})


@dataclass(frozen=True)
class Party:
    """Who reports: an agency, or a unit for which an agency enters. `code` stands in the data."""

    code: str
    title: dict[str, str]
    agency_id: int
    agency: str
    """The code of the agency that enters."""


@dataclass(frozen=True)
class Option:
    """A line that can be chosen, or is asked for: its code in the data, what it is called."""

    code: str
    title: dict[str, str]


@dataclass(frozen=True)
class Line:
    """One line of a return. `key`: its code, or in a draft whatever was typed as that; `PLAIN` of a
    form that is no table."""

    key: str
    cells: Cells


@dataclass(frozen=True)
class Difference:
    """What became of one line: "added", "removed" or "changed"; by column before and after."""

    key: str
    what: str
    columns: dict[str, list[Any]]


@dataclass(frozen=True)
class Approval:
    """A revision that was approved, and whether its load stands."""

    revision: int
    load_id: int
    lines: tuple[Line, ...]
    approved_at: datetime
    approved_by: str
    stands: bool

    @property
    def cells(self) -> Cells:
        """The figures of a form that is no table."""
        return plain(self.lines)


@dataclass(frozen=True)
class Return:
    """A return as it is stored; `id` and `version` 0: nothing is yet. `approvals` newest first."""

    party: str
    period: str
    agency_id: int
    id: int = 0
    revision: int = 1
    state: State = State.DRAFT
    version: int = 0
    lines: tuple[Line, ...] = ()
    note: str = ""
    reason: str = ""
    authors: tuple[str, ...] = ()
    changed_at: datetime | None = None
    changed_by: str = ""
    submitted_at: datetime | None = None
    approvals: tuple[Approval, ...] = ()

    @property
    def cells(self) -> Cells:
        """The figures of a form that is no table."""
        return plain(self.lines)

    @property
    def standing(self) -> Approval | None:
        """What counts: the newest approval whose load stands in the store."""
        return next((a for a in self.approvals if a.stands), None)

    @property
    def phase(self) -> Phase:
        """The state in which people see it."""
        if self.version == 0:
            return Phase.EMPTY
        if self.state is State.APPROVED:
            standing = self.standing
            there = standing is not None and standing.revision == self.revision
            return Phase.APPROVED if there else Phase.UNDONE
        if self.revision > 1 and self.state in EDITABLE:
            return Phase.CORRECTING
        return Phase(self.state.value)

    def late(self, due: date, today: date) -> bool:
        """Whether it should have been submitted, and never was."""
        return today > due and self.revision == 1 and self.state in EDITABLE


@dataclass(frozen=True)
class Act:
    """One entry of a return's history; `changes` by column: before, after; `lines` of a table."""

    at: datetime
    actor: str
    actor_name: str
    what: str
    revision: int
    note: str
    changes: dict[str, list[Any]]
    lines: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """A file that proves a figure, kept by its content; `column` "": it is about the whole return."""

    sha256: bytes
    column: str
    name: str
    media: str
    bytes: int
    added_at: datetime
    added_by: str


@dataclass(frozen=True)
class Place:
    """One cell of the plan: this form, this period, this party. `options`: the lines of a table that
    the form lists for them."""

    dataset: Dataset
    form: Form
    period: Period
    party: Party
    options: tuple[Option, ...] = ()

    @property
    def subject(self) -> str:
        """Its name in events, in the audit trail and in addresses."""
        return f"{self.dataset.name}/{self.period.code}/{self.party.code}"

    @property
    def due(self) -> date:
        """The last day on which it comes in time."""
        return due(self.form, self.period)

    @property
    def read_resource(self) -> Resource:
        """What the policy judges of entering and seeing it: it belongs to the agency that enters,
        and the dataset's owner, for whom it is, sees it too."""
        return resource_of(self.subject, self.party.agency_id, self.dataset.owner_agency)

    @property
    def approve_resource(self) -> Resource:
        """What the policy judges of approving it."""
        if self.form.approval != "owner":
            return self.read_resource
        return resource_of(self.subject, self.dataset.owner_agency, self.party.agency_id)

    def row(self, line: Line) -> dict[str, Any]:
        """The row that the store gets: key, period and the figures."""
        out: dict[str, Any] = {self.form.party_column: self.party.code}
        if self.form.period_column is not None:
            out[self.form.period_column] = self.period_value
        else:
            assert self.dataset.contract.time is not None
            out[self.dataset.contract.time.column] = self.period.start.isoformat()
        if self.form.lines is not None:
            out[self.form.lines.column] = line.key
        for asked in self.form.asked:
            out[asked.name] = line.cells.get(asked.name, {}).get("v")
        return out

    def key(self, line: str) -> list[str]:
        """The key of a line's thing in a series."""
        known = {self.form.party_column: self.party.code}
        if self.form.lines is not None:
            known[self.form.lines.column] = line
        return [known[column.name] for column in self.dataset.contract.key]

    def line_title(self, key: str, lang: str) -> str:
        """What a line is called: the list's word for it, else its key."""
        return next((one.title[lang] for one in self.options if one.code == key), key)

    @property
    def period_value(self) -> str:
        """What stands in the period's key column: the code, or in a column of dates the first day."""
        columns = {c.name: c for c in self.dataset.contract.key}
        dated = columns[self.form.period_column or ""].type == "date"
        return self.period.first_day.isoformat() if dated else self.period.code


def resource_of(subject: str, agency: int | None, other: int | None) -> Resource:
    """A return as the policy sees it: one agency's own, which another one sees too."""
    sharing = Sharing()
    if other is not None:
        sharing = Sharing(agencies=frozenset({other}), ground=ALWAYS)
    return Resource("form", subject, owner_agency=agency, sharing=sharing)


def due(form: Form, period: Period) -> date:
    """The last day for a period's returns: so many working days after it ended."""
    return add_working_days(period.last_day, form.due)


def periods(form: Form, today: date) -> list[Period]:
    """The periods that returns are asked for, the one that runs first."""
    out = []
    one = Period.of_date(form.grain, today)
    while one.start >= form.since.start and len(out) <= HORIZON[form.grain]:
        out.append(one)
        one = one.previous()
    return out


def values(cells: Cells) -> dict[str, Any]:
    """The values of cells, those that hold one."""
    return {name: cell["v"] for name, cell in cells.items() if cell.get("v") is not None}


def plain(lines: tuple[Line, ...]) -> Cells:
    """The cells of a form that is no table."""
    return next((line.cells for line in lines if line.key == PLAIN), {})


def changes(before: Cells, after: Cells) -> dict[str, list[Any]]:
    """What is not the same, by column: what stood there, what stands there."""
    found = {}
    for name in [*after, *(n for n in before if n not in after)]:
        old, new = _content(before.get(name, {})), _content(after.get(name, {}))
        if old != new:
            found[name] = [old, new]
    return found


def jump(asked: Asked, now: Any, earlier: Any) -> float | None:
    """By how many per cent a figure moved, where that is more than the form lets pass unexplained;
    infinity from zero."""
    if isinstance(now, bool | str | None) or isinstance(earlier, bool | str | None):
        return None
    if now == earlier:
        return None
    moved = 100 * (now - earlier) / abs(earlier) if earlier else float("inf")
    return moved if abs(moved) > asked.jump else None


def _content(cell: Mapping[str, Any]) -> Any:
    return cell.get("v", cell.get("t"))
