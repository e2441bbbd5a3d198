"""What the overview shows; like `view.py`, values only, written in the page's language."""

import datetime as dt
from dataclasses import dataclass

from dothi.ioc.view import (
    Change,
    ChartView,
    Choice,
    Fact,
    MapView,
    StationsView,
    Table,
    WorkPanel,
    WorkRow,
)  # fmt: skip
from dothi.web.view import Level, Status


@dataclass(frozen=True)
class Card:
    """One tile of the overview: a number, what it covers, what it is compared with.

    `figure_url` opens everything the number leads to; `level` of the status decides its colour. A
    number of a month, quarter or year that is `stale` has no `at`: `about` names its period.
    """

    key: str
    title: str
    text: str
    unit: str
    about: str
    status: Status
    figure_url: str
    change: Change | None = None
    spark: tuple[float | None, ...] = ()
    source: str | None = None
    at: dt.datetime | None = None
    stale: bool = False
    chart_url: str | None = None
    explain_url: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class CardsView:
    url: str
    topics: tuple[str, ...]
    cards: tuple[Card, ...]
    newest: dt.datetime | None
    updated: str
    download_url: str
    on_duty: str | None = None

    @property
    def rows(self) -> str:
        """How many tiles a desktop shows in a row: six or five, whichever leaves fewer places empty; of
        a few, four."""
        count = len(self.cards)
        if count < 5:
            return "by-four"
        return "by-five" if count > 6 and -count % 5 < -count % 6 else "by-six"


@dataclass(frozen=True)
class AgencyRow:
    """An agency's open work items, and how many of them are late, soon due, done."""

    name: str
    total: int
    overdue: int
    soon: int
    done: int
    level: Level
    url: str


@dataclass(frozen=True)
class AgenciesView:
    url: str
    topics: tuple[str, ...]
    rows: tuple[AgencyRow, ...]
    states: tuple[Fact, ...]
    download_url: str


@dataclass(frozen=True)
class MovedRow:
    """A figure that moved: from what to what, where, how far in per cent."""

    title: str
    place: str
    was: str
    now: str
    share: str
    up: bool
    level: Level
    url: str


@dataclass(frozen=True)
class MovedView:
    url: str
    topics: tuple[str, ...]
    versus: str
    rows: tuple[MovedRow, ...]
    download_url: str


@dataclass(frozen=True)
class DataRow:
    """A dataset's loads and rows in the span. `rejected`, `conflicts`: what waits for a person;
    `valid`: the share of today's rows that is valid, 0…1."""

    name: str
    loads: int
    rows: int
    rejected: int
    conflicts: int
    valid: float | None
    newest: dt.datetime | None
    level: Level
    url: str | None


@dataclass(frozen=True)
class DataView:
    url: str
    topics: tuple[str, ...]
    rows: tuple[DataRow, ...]
    download_url: str
    loads_url: str | None


@dataclass(frozen=True)
class OverviewView:
    """The whole page. Panels that are not for this person are None."""

    spans: tuple[Choice, ...]
    cards: CardsView
    stations: StationsView
    map: MapView
    chart: ChartView
    moved: MovedView
    data: DataView
    work: WorkPanel | None
    agencies: AgenciesView | None
    arrange_url: str


@dataclass(frozen=True)
class OtherRow:
    """One of the others a figure is compared with."""

    name: str
    value: str
    note: str
    status: Status | None
    url: str | None
    current: bool = False


@dataclass(frozen=True)
class AimRow:
    """How a figure stands to its target; `said`: what it should be; `about`: with where and by which
    document."""

    status: Status
    said: str
    about: str


@dataclass(frozen=True)
class FigureView:
    """Everything a number leads to."""

    key: str
    title: str
    value: str
    unit: str
    about: str
    status: Status | None
    compare: Table
    others: tuple[OtherRow, ...]
    others_title: str
    facts: tuple[Fact, ...]
    work: tuple[WorkRow, ...]
    csv_url: str
    xlsx_url: str
    explain_url: str | None = None
    chart_url: str | None = None
    list_url: str | None = None
    rows_url: str | None = None
    assign_url: str | None = None
    aim: AimRow | None = None
    periods: tuple[AimRow, ...] = ()
    """Targets for longer periods, over which the figure is added."""


@dataclass(frozen=True)
class AssignView:
    """The form that gives a number to an agency. `faults` by field; values as they were sent."""

    action: str
    title: str
    about: str
    agencies: tuple[tuple[str, str, bool], ...]
    due: str
    least: str
    note: str
    severity: str
    severities: tuple[tuple[str, str], ...]
    faults: dict[str, str]
    back_url: str


@dataclass(frozen=True)
class ArrangeRow:
    key: str
    title: str
    place: int
    shown: bool


@dataclass(frozen=True)
class ArrangeView:
    """The form that orders and hides tiles. `kept`: where the choice is kept, in words."""

    rows: tuple[ArrangeRow, ...]
    kept: str
    back_url: str
