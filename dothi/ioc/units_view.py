"""What the pages of administrative units show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dothi.ioc.overview_view import AimRow
from dothi.ioc.view import Choice, Fact, MapView
from dothi.web.view import Status


@dataclass(frozen=True)
class UnitRow:
    """A unit in a list; `above` is the unit that holds it."""

    url: str
    code: str
    name: str
    kind: str
    above: str
    population: int | None
    area_km2: float | None


@dataclass(frozen=True)
class ListView:
    """Units of a day. `map` is None where there is nothing to draw."""

    sections: tuple[Choice, ...]
    q: str
    level: str
    parent: str
    at: date
    levels: tuple[tuple[str, str], ...]
    parents: tuple[tuple[str, str], ...]
    rows: tuple[UnitRow, ...]
    total: int
    map: MapView | None
    next_url: str | None
    first_url: str | None


@dataclass(frozen=True)
class LinkRow:
    """What became of a unit, seen from one side: the other unit, since when, how, on what shares."""

    url: str
    name: str
    code: str
    day: date
    kind: str
    share: str
    basis: str | None


@dataclass(frozen=True)
class Life:
    """One of the units that a code has stood for."""

    url: str
    name: str
    kind: str
    span: str
    current: bool


@dataclass(frozen=True)
class FigureRow:
    """The newest value of an indicator's output; `title` is empty where the indicator's says it."""

    title: str
    value: str
    unit: str


@dataclass(frozen=True)
class IndicatorPart:
    """An indicator at a station: the period of its newest figures, and these."""

    title: str
    url: str
    period: str
    figures: tuple[FigureRow, ...]


@dataclass(frozen=True)
class Place:
    """A station in the unit and the indicators about it."""

    name: str
    lon: float
    lat: float
    indicators: tuple[IndicatorPart, ...]


@dataclass(frozen=True)
class UnitCell:
    """A unit's value in a period; `status` says how far it holds where that is not all the way, `note`
    on whose shares."""

    value: str
    status: Status | None = None
    note: str = ""


@dataclass(frozen=True)
class PeriodRow:
    """What a unit had in a period, and the loads that brought it, as far as they may be seen."""

    label: str
    cells: tuple[UnitCell, ...]
    loads: tuple[Choice, ...]


@dataclass(frozen=True)
class Beside:
    """A unit's newest value beside those of the other units: the middle one, and its place from the
    highest down (`url`: all of them)."""

    middle: str
    place: str
    url: str


@dataclass(frozen=True)
class SeriesPart:
    """A dataset by units, as one of them has it, newest period first. `beside` is for its newest
    period (`newest`), a parameter each; empty where no other unit has a value."""

    title: str
    url: str
    columns: tuple[str, ...]
    rows: tuple[PeriodRow, ...]
    newest: str
    beside: tuple[Beside | None, ...]
    files: tuple[Choice, ...]


@dataclass(frozen=True)
class UnitView:
    sections: tuple[Choice, ...]
    code: str
    name: str
    kind: str
    trail: tuple[Choice, ...]
    status: Status
    facts: tuple[Fact, ...]
    lives: tuple[Life, ...]
    before: tuple[LinkRow, ...]
    after: tuple[LinkRow, ...]
    inside: Choice | None
    map: MapView | None
    drawn: bool
    places: tuple[Place, ...]
    series: tuple[SeriesPart, ...]
    periods: tuple[AimRow, ...] = ()
    """Its targets for whole periods, over which figures are added."""


@dataclass(frozen=True)
class SeriesRow:
    """A value by units: of one, of several that cannot be told apart, or of none (`note` says so)."""

    units: tuple[Choice, ...]
    chosen: bool
    rest: str
    value: str
    status: Status
    note: str


@dataclass(frozen=True)
class SeriesView:
    """A series by the units of a day. `total` is None where nothing may be added."""

    sections: tuple[Choice, ...]
    title: str
    url: str
    data_url: str
    at: date
    days: tuple[Choice, ...]
    basis: str
    bases: tuple[tuple[str, str], ...]
    parameter: str
    parameters: tuple[tuple[str, str], ...]
    period: str
    periods: tuple[tuple[str, str], ...]
    unit: str
    rows: tuple[SeriesRow, ...]
    total: str | None
    sort: str
    sorts: tuple[tuple[str, str], ...]
    chosen: str
    api_url: str
    files: tuple[Choice, ...]
