"""What the page of a score shows; like `view.py`, values only, written in the page's language."""

import datetime as dt
from dataclasses import dataclass

from dothi.ioc.overview_view import AimRow
from dothi.ioc.view import Change, Choice, Fact


@dataclass(frozen=True)
class Points:
    """Points of what counts at most `most`; None: there are none, and never zero. `none` says why."""

    points: float | None
    most: float | None
    none: str = ""

    @property
    def share(self) -> float:
        """From 0 to 1, for a bar."""
        return min(1.0, self.points / self.most) if self.points and self.most else 0.0


@dataclass(frozen=True)
class Group:
    """A group of components with its points."""

    name: str
    title: str
    points: Points


@dataclass(frozen=True)
class Bar:
    """One period of the past: its total, and where its score stands."""

    label: str
    url: str
    total: Points
    current: bool


@dataclass(frozen=True)
class HeadView:
    """The total of a subject in a period, its groups, the periods before it.

    `known` is False where nothing is known of the period: `about` says why then.
    """

    url: str
    topics: tuple[str, ...]
    place: str
    crumbs: tuple[Choice, ...]
    grains: tuple[Choice, ...]
    period: str
    before_url: str | None
    after_url: str | None
    known: bool
    total: Points
    change: Change | None
    aim: AimRow | None
    groups: tuple[Group, ...]
    past: tuple[Bar, ...]
    as_of: dt.datetime | None
    about: str
    verify: bool
    download_url: str


@dataclass(frozen=True)
class ComponentRow:
    """One component. `ratio` as it is written, with its unit; where there is none, `none` says so in
    words and `why` the reason; `verify`: what is still to confirm."""

    name: str
    title: str
    counts: str
    ratio: str
    threshold: str
    points: Points
    tracked: bool
    none: str = ""
    why: str = ""
    parts: tuple[str, ...] = ()
    verify: str | None = None


@dataclass(frozen=True)
class ComponentsView:
    url: str
    topics: tuple[str, ...]
    groups: tuple[tuple[Group, tuple[ComponentRow, ...]], ...]


@dataclass(frozen=True)
class Rank:
    """One agency (or unit) among its peers."""

    place: int
    name: str
    url: str
    total: Points
    groups: tuple[Points, ...]
    current: bool


@dataclass(frozen=True)
class RankingView:
    url: str
    topics: tuple[str, ...]
    title: str
    columns: tuple[str, ...]
    rows: tuple[Rank, ...]


@dataclass(frozen=True)
class FaultKind:
    """How often a fault is there, and what correcting a single one of them gives at most."""

    title: str
    count: int
    most: float
    url: str
    current: bool


@dataclass(frozen=True)
class FaultRow:
    """A fault of one row, and the points that the agency gains when it alone is put right."""

    key: str
    title: str
    about: str
    unit: str
    points: float
    components: str


@dataclass(frozen=True)
class FaultsView:
    url: str
    topics: tuple[str, ...]
    place: str
    kinds: tuple[FaultKind, ...]
    rows: tuple[FaultRow, ...]
    total: int
    as_of: dt.datetime | None
    download_url: str


@dataclass(frozen=True)
class AboutView:
    """Where the figures come from: rule, version, what they rest on."""

    words: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class ScorePage:
    head: HeadView
    components: ComponentsView
    ranking: RankingView | None
    faults: FaultsView | None
    about: AboutView
