"""What the leader's page shows; like `view.py`, values only, written in the page's language."""

import datetime as dt
from dataclasses import dataclass

from dothi.ioc.overview_view import AimRow
from dothi.ioc.view import Change
from dothi.web.view import Level, Status


@dataclass(frozen=True)
class Urged:
    """When something was urged last, by whom, the how-manieth time, and the item it went to."""

    nth: int
    at: dt.datetime
    by: str
    url: str
    today: bool


@dataclass(frozen=True)
class Urge:
    """The button that urges, and what came of it before. `url` is None where it is not for this
    person, or done today."""

    id: str
    url: str | None
    about: str
    last: Urged | None = None


@dataclass(frozen=True)
class NumberRow:
    """One of the leader's numbers. `trend`: whether it moved to the better; `source`: what the item
    that urges it is known by."""

    key: str
    title: str
    text: str
    unit: str
    about: str
    status: Status
    url: str | None
    agency: str
    agency_url: str | None
    role: str
    urge: Urge
    change: Change | None = None
    trend: Status | None = None
    aim: AimRow | None = None
    periods: tuple[AimRow, ...] = ()
    spark: tuple[float | None, ...] = ()
    at: dt.datetime | None = None
    stale: bool = False


@dataclass(frozen=True)
class NumbersView:
    url: str
    topics: tuple[str, ...]
    rows: tuple[NumberRow, ...]
    edit_url: str | None


@dataclass(frozen=True)
class LateRow:
    """An item past its deadline; `left` is below zero."""

    code: str
    title: str
    url: str
    due_at: dt.datetime
    left: dt.timedelta
    state: str
    urge: Urge


@dataclass(frozen=True)
class LateAgency:
    """An agency's late items, the oldest first; `more` of them are not shown."""

    name: str
    count: int
    url: str
    rows: tuple[LateRow, ...]
    more: int


@dataclass(frozen=True)
class LateView:
    url: str
    topics: tuple[str, ...]
    agencies: tuple[LateAgency, ...]
    total: int


@dataclass(frozen=True)
class MovedRow:
    """A figure that changed unlike itself; `why` says by how much that is more than usual."""

    title: str
    place: str
    was: str
    now: str
    up: bool
    better: bool | None
    level: Level
    why: str
    url: str


@dataclass(frozen=True)
class MovedView:
    url: str
    topics: tuple[str, ...]
    rows: tuple[MovedRow, ...]
    judged: int


@dataclass(frozen=True)
class LeaderView:
    """The whole page."""

    numbers: NumbersView
    late: LateView | None
    moved: MovedView


@dataclass(frozen=True)
class Slot:
    """A line of the form that fixes the numbers."""

    place: int
    key: str
    agency: str
    role: str


@dataclass(frozen=True)
class PastList:
    """A list of numbers as it was fixed."""

    at: dt.datetime
    by: str
    titles: tuple[str, ...]


@dataclass(frozen=True)
class FixView:
    """The form that fixes the numbers. Choices are (value, text); `faults` by field."""

    slots: tuple[Slot, ...]
    keys: tuple[tuple[str, str], ...]
    agencies: tuple[tuple[str, str], ...]
    roles: tuple[tuple[str, str], ...]
    faults: dict[str, str]
    past: tuple[PastList, ...]
    back_url: str
