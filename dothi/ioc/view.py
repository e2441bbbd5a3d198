"""What the operations screens show: frozen values that routes fill and templates render.

Strings are already in the page's language, times are aware, numbers are in the unit named beside
them and None where there is no valid value: never zero. Fields named `*_url` are local paths; the
templates know no route of their own. A panel with an `url` renders alone at that address.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from dothi.kernel.i18n import number
from dothi.web.view import Level, Status

AqiClass = Literal["good", "moderate", "poor", "bad", "very_bad", "hazardous"]
"""The classes of Decision 1459/QĐ-TCMT: Tốt, Trung bình, Kém, Xấu, Rất xấu, Nguy hại."""


# -- tiles ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """How far a value moved, and since when: +21 "so với hôm qua"."""

    amount: float
    versus: str
    decimals: int = 0
    unit: str = ""

    @property
    def still(self) -> bool:
        """Whether it moved by less than is shown."""
        return number(abs(self.amount), "en", self.decimals) == number(0, "en", self.decimals)


@dataclass(frozen=True)
class Tile:
    """One figure with everything it answers: compared with what, since when, from where.

    `text` replaces the number where it is none ("11/12"). `sub` is a short line under the value
    (station, place). `period` says what the value covers; `source` the limit's legal source.
    """

    key: str
    title: str
    value: float | None
    unit: str
    period: str
    status: Status
    decimals: int = 0
    text: str | None = None
    sub: str | None = None
    change: Change | None = None
    spark: tuple[float | None, ...] = ()
    source: str | None = None
    at: dt.datetime | None = None
    stale: bool = False
    aqi_class: AqiClass | None = None
    chart_url: str | None = None
    explain_url: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class TilesView:
    """`topics`: live topics that make the panel refresh itself."""

    url: str
    topics: tuple[str, ...]
    tiles: tuple[Tile, ...]
    period: str


# -- stations and map -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Pollutant:
    """One pollutant at a station: concentration and its sub-index."""

    name: str
    value: float | None
    unit: str
    decimals: int = 0
    aqi: int | None = None


@dataclass(frozen=True)
class Station:
    """A station now. `reason` says in words why there is no index ("Thiếu số liệu bụi"); `word`
    stands in the place of the index's class; one that is not `placed` has no coordinates."""

    id: str
    name: str
    place: str
    longitude: float
    latitude: float
    aqi: int | None
    aqi_class: AqiClass | None
    at: dt.datetime | None
    online: bool
    main_pollutant: str | None = None
    reason: str | None = None
    advice: str | None = None
    pollutants: tuple[Pollutant, ...] = ()
    chart_url: str | None = None
    explain_url: str | None = None
    word: str | None = None
    figure_url: str | None = None
    placed: bool = True
    value: str | None = None
    status: Status | None = None
    """Where it is set, its shape marks the station in the place of the index's class, and `value`
    is the newest figure with its unit."""
    period: str | None = None
    """Of which month, quarter or year `at` is, where it is the instant of one."""


@dataclass(frozen=True)
class StationsView:
    """Stations, worst first. The map reads its markers from this list, live updates included.
    `title` and `counted`: what they are and how many are as they should be, where they are none of
    the environment's."""

    url: str
    topics: tuple[str, ...]
    stations: tuple[Station, ...]
    online: int
    title: str | None = None
    counted: str | None = None


@dataclass(frozen=True)
class MapView:
    """The map's ground: a GeoJSON FeatureCollection whose features carry `kind`: province, commune,
    water, river, road, and for communes `name` and `label` [lon, lat]. `bounds`: W, S, E, N."""

    title: str
    subtitle: str
    base_url: str
    bounds: tuple[float, float, float, float]
    legend: bool = True


# -- chart ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """One option of a selection; `url` shows it."""

    text: str
    url: str
    current: bool = False


ChartSpan = Literal["24h", "7d", "30d", "1y", "all"]


@dataclass(frozen=True)
class ChartView:
    """The chart of one stream. `data_url` answers as js/chart.js describes; `csv_url` gives all rows.

    `span` is the range shown first: "24h", "7d", "30d", "1y" or "all".
    """

    url: str
    topics: tuple[str, ...]
    title: str
    subtitle: str
    data_url: str
    stations: tuple[Choice, ...] = ()
    quantities: tuple[Choice, ...] = ()
    span: ChartSpan = "7d"
    method: str | None = None
    csv_url: str | None = None
    explain_url: str | None = None
    of_stations: bool = True
    """Whether `stations` are such, and not agencies that report."""


# -- quality --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One kind of finding of a load or dataset: how many of how many, and what became of them."""

    kind: Literal["valid", "missing", "invalid", "negative", "absent", "conflict", "rejected"]
    title: str
    count: int
    level: Level
    note: str = ""
    of: int | None = None
    url: str | None = None
    download_url: str | None = None


@dataclass(frozen=True)
class Fact:
    """A labelled value of a detail page."""

    label: str
    value: str
    url: str | None = None


@dataclass(frozen=True)
class ConflictRow:
    """One of the rows that claim the same place. `value` names it: of a series its value, of records
    what is in `fields`, the columns in which the rows differ. `choose_url`: POST decides for it."""

    value: str
    quality: str
    file: str
    row: int
    load_url: str | None = None
    choose_url: str | None = None
    chosen: bool = False
    fields: tuple[Fact, ...] = ()


@dataclass(frozen=True)
class Conflict:
    """Rows of the same key with different values, for a person to decide. `what` is a stream or
    names a record, which has no instant `at`; `same` are the columns in which the rows of a record
    agree. `none_url`: POST says that none of them holds. `later`: the load that has replaced them at
    `later_at`, after which nothing is to be decided."""

    id: str
    what: str
    at: dt.datetime | None
    note: str
    rows: tuple[ConflictRow, ...]
    same: tuple[Fact, ...] = ()
    none_url: str | None = None
    decided_by: str | None = None
    decided_at: dt.datetime | None = None
    later: Choice | None = None
    later_at: dt.datetime | None = None


@dataclass(frozen=True)
class QualityView:
    """Findings of one dataset. `completeness` is 0…1: valid hours of expected hours."""

    url: str
    topics: tuple[str, ...]
    dataset: str
    subtitle: str
    completeness: float | None
    expected: int
    findings: tuple[Finding, ...]
    conflicts: tuple[Conflict, ...] = ()
    loads_url: str | None = None


# -- work -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Action:
    """Something this person may do now; POST to `url`. `reason_label`: asks for a reason in words."""

    text: str
    url: str
    primary: bool = False
    reason_label: str | None = None


@dataclass(frozen=True)
class WorkRow:
    """A work item in a list. `left` below zero is overdue; `used` is the share of the clock, 0…1."""

    code: str
    kind: str
    title: str
    agency: str
    state: Status
    url: str
    opened_at: dt.datetime
    place: str = ""
    due_at: dt.datetime | None = None
    left: dt.timedelta | None = None
    used: float | None = None
    paused: bool = False
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True)
class WorkPanel:
    """The open work items of a service, most urgent first; `total` counts those not shown too.
    `title`: which they are, where they are not all."""

    url: str
    topics: tuple[str, ...]
    rows: tuple[WorkRow, ...]
    total: int
    all_url: str
    title: str | None = None


@dataclass(frozen=True)
class WorkListView:
    """The page of work items with its filters. `narrowed`: to which service or agency, and a way back
    to all."""

    url: str
    topics: tuple[str, ...]
    rows: tuple[WorkRow, ...]
    total: int
    states: tuple[Choice, ...] = ()
    narrowed: tuple[Choice, ...] = ()
    next_url: str | None = None


@dataclass(frozen=True)
class Event:
    """One line of a history: who (by role), did what, when, with which words."""

    at: dt.datetime
    actor: str
    text: str
    note: str = ""
    level: Level = "unknown"


@dataclass(frozen=True)
class Rung:
    """A step of the escalation ladder: when it fires or fired, and who is told."""

    text: str
    at: dt.datetime
    fired_at: dt.datetime | None = None


@dataclass(frozen=True)
class WorkView:
    """One work item with its clock, ladder and history; `chart` shows what raised it."""

    url: str
    topics: tuple[str, ...]
    row: WorkRow
    summary: str
    facts: tuple[Fact, ...]
    rungs: tuple[Rung, ...]
    history: tuple[Event, ...]
    chart: ChartView | None = None
    explain_url: str | None = None
    back_url: str = "/work"


# -- where a number comes from ----------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Rows as shown, already written in the page's language. `numeric`: columns set right. `links`:
    for each row where its first cell leads, None for nowhere."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    total: int | None = None
    links: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class LoadRef:
    """A load a number rests on, down to the file and its rows."""

    file: str
    sha256: str
    rows: str
    at: dt.datetime
    url: str | None = None
    via: str = ""


@dataclass(frozen=True)
class ExplainView:
    """The answer to "Số này lấy từ đâu?": definition, rows, loads and files behind one value.

    `verify`: what somebody still has to confirm before the figure is official.
    """

    title: str
    value: str
    unit: str
    period: str
    status: Status | None
    words: str
    inputs: Table
    loads: tuple[LoadRef, ...]
    quality: tuple[Fact, ...] = ()
    legal: str | None = None
    sql: str | None = None
    computed_at: dt.datetime | None = None
    version: str | None = None
    rows_url: str | None = None
    verify: tuple[str, ...] = ()


# -- loads ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadRow:
    """One load in the list of loads."""

    id: str
    dataset: str
    file: str
    at: dt.datetime
    by: str
    rows: int
    accepted: int
    rejected: int
    conflicts: int
    state: Status
    url: str
    quarantine_url: str | None = None


@dataclass(frozen=True)
class Upload:
    """The form that loads a file into the dataset called `title`; `refused`: why the last was not
    loaded."""

    url: str
    title: str
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadsView:
    """The list of loads. `workbook_url`: the form to fill in, of the dataset chosen; `upload`: for
    who may load into it."""

    url: str
    topics: tuple[str, ...]
    rows: tuple[LoadRow, ...]
    sections: tuple[Choice, ...] = ()
    datasets: tuple[Choice, ...] = ()
    next_url: str | None = None
    workbook_url: str | None = None
    upload: Upload | None = None


@dataclass(frozen=True)
class RejectedRow:
    """A row of the file that was not accepted: where, what, and why."""

    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class LoadView:
    """One load: what was in the file, what was found, what is waiting for a decision.

    `parts` are its streams or columns; `drift` is it against the load before; `use_url` answers
    what rests on it; `data_url` is its dataset's page. `most_conflicts`: there are more than so many.
    """

    row: LoadRow
    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    conflicts: tuple[Conflict, ...]
    rejected: tuple[RejectedRow, ...]
    use_url: str
    parts: Table | None = None
    gaps: Table | None = None
    drift: Table | None = None
    undo: Action | None = None
    upload: Upload | None = None
    data_url: str | None = None
    most_conflicts: int | None = None
    back_url: str = "/loads"


# -- the page of a service --------------------------------------------------------------------------


@dataclass(frozen=True)
class ServiceView:
    """The page of one monitoring service."""

    tiles: TilesView
    stations: StationsView
    map: MapView
    chart: ChartView
    quality: QualityView
    work: WorkPanel | None
    """None for who may not see work items."""
