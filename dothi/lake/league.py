"""How good and how fresh the data is that each dataset got lately: what agencies are compared by.

Counted are the beats of the last 30 days, or of the last twelve beats of a rhythm longer than a few
days. Beats whose values need not be there yet are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dothi.lake import registry
from dothi.lake.model import Quality
from dothi.lake.quality import Calendar
from dothi.lake.read import View
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Connection

SPAN = timedelta(days=30)
BEATS = 12
PATIENCE = 3
"""Without a promise in the contract a value is late after this many beats."""


@dataclass(frozen=True)
class Counts:
    """Counts that can be added up. A share without anything to be a share of is None."""

    values: int = 0
    """Values or rows in the stretch of time."""
    valid: int = 0
    accepted: int = 0
    """Values or rows that loads of the stretch brought and that were taken in."""
    rejected: int = 0
    conflicts: int = 0
    """Contradictions nobody has decided, of any time."""
    expected: int = 0
    """Beats that rhythms ask for."""
    kept: int = 0
    """Of these, beats with a valid value."""
    promised: int = 0
    """Streams, and datasets of records, that promise to be up to date."""
    on_time: int = 0
    newest: datetime | None = None

    def __add__(self, other: Counts) -> Counts:
        newest = max((t for t in (self.newest, other.newest) if t), default=None)
        return Counts(
            self.values + other.values, self.valid + other.valid, self.accepted + other.accepted,
            self.rejected + other.rejected, self.conflicts + other.conflicts,
            self.expected + other.expected, self.kept + other.kept,
            self.promised + other.promised, self.on_time + other.on_time, newest,
        )  # fmt: skip

    @property
    def validity(self) -> float | None:
        """The share of values that are valid, less the share that loads brought in vain."""
        share = _share(self.valid, self.values)
        taken = _share(self.accepted, self.accepted + self.rejected)
        return share if share is None or taken is None else share * taken

    @property
    def completeness(self) -> float | None:
        """The share of expected beats with a valid value."""
        return _share(min(self.kept, self.expected), self.expected)

    @property
    def freshness(self) -> float | None:
        """The share of what promises to be up to date that is."""
        return _share(self.on_time, self.promised)

    @property
    def shares(self) -> Shares:
        """What is judged."""
        return Shares(self.validity, self.completeness, self.freshness)


@dataclass(frozen=True)
class Shares:
    """What a dataset or an agency is judged by, each 0…1, None where there is nothing to judge."""

    validity: float | None
    completeness: float | None
    freshness: float | None

    @property
    def score(self) -> float | None:
        """The mean of what is known."""
        return _mean((self.validity, self.completeness, self.freshness))


@dataclass(frozen=True)
class Place:
    """An agency's place: its number among those with a score, None without; its datasets.

    Its shares are the means over its datasets, so that one with many sensors does not drown the
    others; its counts are the sums.
    """

    number: int | None
    agency_id: int | None
    shares: Shares
    counts: Counts
    datasets: tuple[tuple[Dataset, Counts], ...]


def ranked(found: Iterable[tuple[Dataset, Counts]]) -> list[Place]:
    """Agencies by their score, best first; equal ones share a place."""
    owned: dict[int | None, list[tuple[Dataset, Counts]]] = {}
    for dataset, counts in found:
        owned.setdefault(dataset.owner_agency, []).append((dataset, counts))
    judged = []
    for agency, own in owned.items():
        shares = [counts.shares for _, counts in own]
        means = Shares(
            _mean(s.validity for s in shares), _mean(s.completeness for s in shares),
            _mean(s.freshness for s in shares),
        )  # fmt: skip
        judged.append((means, agency, sum((counts for _, counts in own), Counts()), tuple(own)))
    judged.sort(key=lambda j: (j[0].score is None, -(j[0].score or 0), j[1] or 0))
    scores = [shares.score for shares, *_ in judged]
    return [
        Place(
            None if shares.score is None else scores.index(shares.score) + 1,
            agency, shares, counts, own,
        )
        for shares, agency, counts, own in judged
    ]  # fmt: skip


def counted(lake: Lake, dataset: Dataset, now: datetime) -> Counts:
    """One dataset's counts."""
    return (_series if dataset.contract.kind == "series" else _records)(lake, dataset, now)


def _series(lake: Lake, dataset: Dataset, now: datetime) -> Counts:
    with lake.db.transaction() as conn:
        first, _, accepted, rejected, conflicts = _loads(conn, dataset, now)
        steps = _steps(conn, dataset)
        on_time, newest = _on_time(conn, dataset, steps, now)
    end = now - (dataset.contract.freshness or timedelta(0))
    start = max(first or end, end - _span(dataset))
    with lake.view() as view:
        found = _by_quality(view, view.series(dataset, start=start, end=now), "q")
        kept, expected = _beats(view, dataset, steps, start, end)
    return Counts(
        values=sum(found.values()), valid=found.get(Quality.VALID, 0), accepted=accepted,
        rejected=rejected, conflicts=conflicts, expected=expected, kept=kept,
        promised=sum(1 for step in steps.values() if step or dataset.contract.freshness),
        on_time=on_time, newest=newest,
    )  # fmt: skip


def _records(lake: Lake, dataset: Dataset, now: datetime) -> Counts:
    with lake.db.transaction() as conn:
        _, last, accepted, rejected, conflicts = _loads(conn, dataset, now)
    promise = dataset.contract.freshness
    with lake.view() as view:
        found = _by_quality(view, view.records(dataset), "_q")
    return Counts(
        values=sum(found.values()), valid=found.get(Quality.VALID, 0), accepted=accepted,
        rejected=rejected, conflicts=conflicts, promised=1 if promise else 0, newest=last,
        on_time=1 if promise and last and now - last <= promise else 0,
    )  # fmt: skip


def _mean(shares: Iterable[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _span(dataset: Dataset) -> timedelta:
    rhythm = dataset.contract.time.rhythm if dataset.contract.time else None
    return max(SPAN, BEATS * rhythm) if rhythm else SPAN


def _loads(
    conn: Connection, dataset: Dataset, now: datetime
) -> tuple[datetime | None, datetime | None, int, int, int]:
    """The first instant of all, when something was last brought, what was accepted and what
    rejected lately, open contradictions."""
    row = conn.execute(
        """SELECT min(t_min), max(at),
                  coalesce(sum(rows_new + rows_changed + rows_same) FILTER (WHERE at > %(since)s), 0),
                  coalesce(sum(rows_rejected) FILTER (WHERE at > %(since)s), 0),
                  (SELECT count(*) FROM conflict c JOIN load l ON l.id = c.load_id
                   WHERE c.dataset_id = %(id)s AND c.decided_at IS NULL AND l.state = 'committed')
           FROM load WHERE dataset_id = %(id)s AND state = 'committed'""",
        {"since": now - _span(dataset), "id": dataset.id},
    ).fetchone()
    assert row is not None
    return row[0], row[1], int(row[2]), int(row[3]), row[4]


def _steps(conn: Connection, dataset: Dataset) -> dict[int, timedelta | None]:
    """The expected distance of each stream's values: its thing's own, or the contract's."""
    usual = dataset.contract.time.rhythm if dataset.contract.time else None
    things = registry.things(conn, dataset)
    return {
        stream.id: registry.duration(own)
        if (own := things[stream.thing_id].properties.get("rhythm"))
        else usual
        for stream in registry.streams(conn, dataset).values()
    }


def _on_time(
    conn: Connection, dataset: Dataset, steps: dict[int, timedelta | None], now: datetime
) -> tuple[int, datetime | None]:
    """How many streams are up to date, and the newest instant of all."""
    promised = dataset.contract.freshness
    newest = dict(
        conn.execute(
            "SELECT stream_id, t FROM series_newest WHERE stream_id = ANY (%s)", (list(steps),)
        ).fetchall()
    )
    late = {s: promised or (PATIENCE * step if step else None) for s, step in steps.items()}
    on_time = sum(
        1 for s, t in newest.items() if (patience := late[s]) is not None and now - t <= patience
    )
    return on_time, max(newest.values(), default=None)


def _by_quality(view: View, rows: str, column: str) -> dict[int, int]:
    return dict(view.execute(f"SELECT {column}, count(*) FROM {rows} GROUP BY 1").fetchall())


def _beats(
    view: View, dataset: Dataset, steps: dict[int, timedelta | None], start: datetime, end: datetime
) -> tuple[int, int]:
    """Beats with a valid value, and beats that the rhythms ask for."""
    time = dataset.contract.time
    known = {s: step for s, step in steps.items() if step}
    if not known or end <= start:
        return 0, 0
    rows = view.series(dataset, streams=list(known), start=start, end=end)
    if time and time.months:
        calendar = Calendar(time.months, time.zone, "")
        row = view.execute(
            f"""SELECT count(DISTINCT (stream_id, {calendar.beat("t")})) FILTER (
                    WHERE q = {int(Quality.VALID)}),
                {calendar.beat("?::TIMESTAMPTZ")} - {calendar.beat("?::TIMESTAMPTZ")}
                FROM {rows}""",
            # The value of a beat stands at its beginning: one that begins with `start` counts.
            [end, start - timedelta(microseconds=1)],
        ).fetchone()
        kept, beats = row or (0, 0)
        return kept, max(beats, 0) * len(known)
    each = ", ".join(f"({s:d}, {step // timedelta(microseconds=1):d})" for s, step in known.items())
    row = view.execute(
        f"""SELECT count(DISTINCT (stream_id, epoch_us(t) // step))
            FROM {rows} JOIN (VALUES {each}) AS steps (stream_id, step) USING (stream_id)
            WHERE q = {int(Quality.VALID)}"""
    ).fetchone()
    return row[0] if row else 0, sum((end - start) // step for step in known.values())
