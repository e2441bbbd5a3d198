"""Scores of a home: installed, computed by the worker, stored with what they rest on, read.

Figures of a score are records of a dataset of its own. They are always those of all periods: a
change of one dossier can move every period it was in hand, and time alone makes dossiers late. So
the whole is computed again, with a pause that keeps it to a small share of a processor, and what
differs is stored.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dothi.indicators import cursor, store
from dothi.indicators import score as files
from dothi.indicators.engine import PROBLEMS
from dothi.indicators.score import KEY, Score
from dothi.indicators.scoring import FIGURE, Correction, Figure, Source, compute_into, corrections
from dothi.indicators.service import shared
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.kernel.time import utc_now, zone
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.model import THROUGH_HEAD, Batch, Quality, RecordRows, StagedRows
from dothi.lake.model import Source as Door
from dothi.lake.read import View
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.packs.model import Pack
from dothi.store.database import SCHEMA, Connection, Database
from dothi.store.events import read

log = logging.getLogger(__name__)

CURSOR = "scores"
KINDS = ("data.committed", "data.undone")
LONGEST_PAST = timedelta(days=5 * 366)
"""Periods before that are not scored: a wrong date would make hundreds of them."""
AGAIN = timedelta(hours=1)
"""How old figures may get before time alone has them computed again."""
SHARE = 20
"""The pause after a computation, in its durations."""
LEAST_PAUSE_S = 3.0
_LOCK = "dothi scores"
_READ = 1_000


@dataclass(frozen=True)
class Scored:
    """A score of this home: its definition, own dataset, inputs and newest version.

    `as_of`: the instant for which its figures hold; `rests_on`: the newest load of each input in
    them; None before the first computation. `problem`: why it does not fit the data.
    """

    score: Score
    dataset: Dataset
    inputs: Mapping[str, Dataset]
    version: int
    since: datetime
    stale: bool
    problem: str | None
    as_of: datetime | None
    rests_on: Mapping[str, int]

    @property
    def name(self) -> str:
        return self.score.name


def install(conn: Connection, packs: Sequence[Pack]) -> list[Scored]:
    """Make the packs' scores those of this home, in the caller's transaction; as `service.install`.

    Raises Invalid with every fault.
    """
    found = [one for pack in packs for one in files.load(pack)]
    for one in found:
        inputs = [registry.find(conn, name) for name in one.inputs]
        contract = parse_contract(files.contract_text(one, shared(inputs)), one.name)
        dataset = registry.register(conn, contract)
        ids = [given.id for given in inputs]
        store.put(conn, one.name, dataset.id, one.pack, one.owner, one.hash, one.text, ids, "score")
    store.retire(conn, [one.name for one in found], "score")
    return [find(conn, one.name) for one in found]


def find(conn: Connection, name: str) -> Scored:
    """The score of that name. Raises NotFound."""
    row = store.find(conn, name, "score")
    if row is None:
        raise NotFound("indicators.none", name=name)
    return _scored(conn, row)


def scores(conn: Connection) -> list[Scored]:
    """All active scores by name."""
    return [_scored(conn, row) for row in store.installed(conn, "score")]


def _scored(conn: Connection, row: store.Installed) -> Scored:
    score = files.parse_text(row.text, row.name, row.pack, row.owner)
    inputs = {name: registry.find(conn, name) for name in score.inputs}
    return Scored(
        score, registry.get(conn, row.dataset_id), inputs, row.version, row.since, row.stale,
        row.problem, row.as_of, row.rests_on or {},
    )  # fmt: skip


# -- reading --------------------------------------------------------------------------------------


def stored(view: View, one: Scored, where: str, parameters: Sequence[Any]) -> list[Figure]:
    """Stored figures, those that are not applicable left out; `where` is SQL of ours."""
    rows = view.execute(
        f"SELECT {FIGURE} FROM {view.records(one.dataset)} "
        f"WHERE state <> 'not_applicable' AND ({where}) ORDER BY ALL",
        parameters,
    ).fetchall()
    return [Figure(*row) for row in rows]


def faults(view: View, one: Scored, period: Period, agency: str) -> list[Correction]:
    """What costs an agency points in a period, the largest gain first, as of the stored figures."""
    if one.as_of is None or period.start >= one.as_of:
        return []
    return corrections(view.cursor, one.score, _sources(view, one), period, one.as_of, agency)


def _sources(view: View, one: Scored) -> dict[str, Source]:
    return {name: Source(d.contract, view.records(d)) for name, d in one.inputs.items()}


# -- computing ------------------------------------------------------------------------------------


class Scorer:
    """Keeps stored figures equal to what the scores say of the data. One process at a time works."""

    def __init__(
        self,
        db: Database,
        lake: Lake,
        *,
        now: Callable[[], datetime] = utc_now,
        pause: bool = True,
    ) -> None:
        self._db = db
        self._lake = lake
        self._now = now
        self._pause = pause
        self._not_before = 0.0

    def advance(self) -> int:
        """Compute what has to be computed again; how many scores that were."""
        if time.monotonic() < self._not_before:
            return 0
        with self._db.transaction() as conn:
            position = after = cursor.position(conn, CURSOR)
            found = scores(conn)
            changed: set[int] = set()
            while events := read(conn, after, limit=_READ, kinds=KINDS):
                after = events[-1].tx, events[-1].id
                changed |= {event.payload.get("dataset", -1) for event in events}
        now = self._now()
        due = [
            one for one in found
            if one.problem is None
            and (one.stale or one.as_of is None or now - one.as_of >= AGAIN
                 or changed & {d.id for d in one.inputs.values()})
        ]  # fmt: skip
        if not due:
            return 0
        with cursor.alone(self._db, _LOCK) as mine:
            if not mine:
                return 0
            begun = time.monotonic()
            for one in due:
                self.compute(one)
            with self._db.transaction() as conn:
                if cursor.position(conn, CURSOR, lock=True) == position:
                    cursor.move(conn, CURSOR, after)
            if self._pause:
                took = time.monotonic() - begun
                self._not_before = time.monotonic() + max(LEAST_PAUSE_S, SHARE * took)
        return len(due)

    def compute(self, one: Scored) -> int:
        """Compute one score and store what differs; how many figures that were."""
        as_of = self._now()
        try:
            with self._lake.view() as view:
                rests_on = _newest_loads(view, one)
                count = self._changed(view, one, as_of)
                self._commit(view, one, count, as_of, rests_on)
        except PROBLEMS as error:
            log.error("score %s cannot be computed: %s", one.name, error)
            with self._db.transaction() as conn:
                store.cannot(conn, one.name, str(error))
            return 0
        with self._db.transaction() as conn:
            store.scored(conn, one.name, one.score.hash, as_of, rests_on)
        return count

    def _changed(self, view: View, one: Scored, as_of: datetime) -> int:
        """Put into the table `differs` the rows whose figures are other ones than those stored."""
        sources = _sources(view, one)
        first = _earliest(view, one, sources, as_of)
        made = []
        for grain in one.score.grains:
            periods = _periods(one.score, grain, first, as_of)
            table = f"score_{grain}"
            if compute_into(view.cursor, one.score, sources, periods, as_of, table):
                made.append(table)
        if not made:
            return 0
        figures = ", ".join(f"round({name}, 9) AS {name}" for name in _FIGURES)
        now = " UNION ALL ".join(f"SELECT {_KEYS}, state, {figures} FROM {t}" for t in made)
        before = view.records(one.dataset)
        keys = ", ".join(f"coalesce(n.{name}, b.{name}) AS {name}" for name in KEY)
        same = " AND ".join(f"n.{name} = b.{name}" for name in KEY)
        row = view.execute(
            f"""CREATE OR REPLACE TEMP TABLE differs AS
                SELECT {keys}, coalesce(n.state, 'not_applicable') AS state,
                    {", ".join(f"n.{name}" for name in _FIGURES)}
                FROM ({now}) n FULL JOIN {before} b ON {same}
                WHERE {_differ("n.state", "b.state", "'not_applicable'")}
                    OR {" OR ".join(f"n.{x} IS DISTINCT FROM b.{x}" for x in _FIGURES)};
                SELECT count(*) FROM differs"""
        ).fetchone()
        return row[0] if row else 0

    def _commit(
        self, view: View, one: Scored, count: int, as_of: datetime, rests_on: Mapping[str, int]
    ) -> None:
        if not count:
            return
        report = {
            "score": one.name, "version": one.version, "hash": one.score.hash,
            "formula": one.score.formula, "as_of": as_of.isoformat(), "rests_on": dict(rests_on),
        }  # fmt: skip
        door = Door("indicator")
        if count <= THROUGH_HEAD:
            found = view.execute(f"SELECT {_KEYS}, state, {', '.join(_FIGURES)} FROM differs")
            names = [column[0] for column in found.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            keys = ["\x1f".join(row[name] for name in KEY) for row in rows]
            data = RecordRows(one.dataset.id, keys, rows, list(range(1, len(rows) + 1)))
            self._lake.commit(Batch(one.dataset.id, data, door, report=report))
            return
        with tempfile.TemporaryDirectory(prefix="dothi-score-") as folder:
            path = Path(folder) / "figures.parquet"
            quoted = str(path).replace("'", "''")
            key = " || '\x1f' || ".join(KEY)
            view.execute(
                f"""COPY (SELECT {key} AS _key, row_number() OVER ()::INTEGER AS _row_no,
                        {int(Quality.VALID)}::SMALLINT AS _q, * FROM differs) TO '{quoted}'"""
            )
            staged = StagedRows.of(path, count)
            self._lake.commit(Batch(one.dataset.id, staged, door, report=report))


_KEYS = ", ".join(KEY)
_FIGURES = ("numerator", "denominator", "ratio", "points", "most")


def _differ(now: str, before: str, otherwise: str) -> str:
    return f"coalesce({now}, {otherwise}) <> coalesce({before}, 'none')"


def _newest_loads(view: View, one: Scored) -> dict[str, int]:
    names = {d.id: name for name, d in one.inputs.items()}
    rows = view.postgres(
        f"SELECT dataset_id, max(id) FROM {SCHEMA}.load WHERE state = 'committed' "
        f"AND dataset_id IN ({', '.join(str(int(n)) for n in names)}) GROUP BY 1"
    )
    return {names[dataset]: load for dataset, load in rows}


def _earliest(view: View, one: Scored, sources: Mapping[str, Source], as_of: datetime) -> datetime:
    """With what the first period begins: the earliest row, at most so long ago."""
    found = [as_of]
    for name, column in one.score.since.items():
        oldest = (as_of - LONGEST_PAST).isoformat()
        row = view.execute(
            f"SELECT min({column}::TIMESTAMPTZ) FROM {sources[name].relation} "
            f"WHERE {column} >= '{oldest}'::TIMESTAMPTZ"
        ).fetchone()
        if row and row[0] is not None:
            found.append(row[0])
    return min(found)


def _periods(score: Score, grain: Any, first: datetime, as_of: datetime) -> list[Period]:
    local = zone(score.zone)
    out = [Period.containing(grain, first, local)]
    while out[-1].end <= as_of:
        out.append(out[-1].next())
    return out
