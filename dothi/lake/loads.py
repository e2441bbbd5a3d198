"""Loads as people look at them: the list, one load, its quarantine, its contradictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from dothi.identity.model import Actor
from dothi.identity.policy import Decision, Resource, decide, require
from dothi.identity.predicate import TRUE, admits
from dothi.kernel.errors import Conflict, Invalid, NotFound
from dothi.lake import registry
from dothi.lake.model import Batch, Outcome, Quality, RecordRows, SeriesRows, Source
from dothi.lake.overtaken import overtaken
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store import events
from dothi.store.database import Connection

FILE_DOORS = ("file", "form", "decision", "pull")
"""Doors through which people bring things; the list of loads shows these unless told."""


@dataclass(frozen=True)
class Load:
    """One load: who brought what when, and what became of it."""

    id: int
    dataset_id: int
    door: str
    actor: str | None
    agency_id: int | None
    at: datetime
    state: str
    file_name: str | None
    file_sha256: bytes | None
    file_bytes: int | None
    rows_in: int
    rows_new: int
    rows_changed: int
    rows_same: int
    rows_removed: int
    rows_rejected: int
    t_min: datetime | None
    t_max: datetime | None
    report: dict[str, Any]
    undone_at: datetime | None
    undone_by: str | None


@dataclass(frozen=True)
class Contradiction:
    """Several values for one instant, or several rows with one key, in one load, and what was
    decided. Either `stream_id` and `t` are there or `record_key` is; `candidates` as in `Clash` and
    `RecordClash`."""

    id: int
    dataset_id: int
    load_id: int
    stream_id: int | None
    t: datetime | None
    record_key: str | None
    candidates: list[dict[str, Any]]
    hint: str | None
    decision: dict[str, Any] | None
    decided_by: str | None
    decided_at: datetime | None


_LOAD = """SELECT id, dataset_id, door, actor, agency_id, at, state, file_name, file_sha256,
                  file_bytes, rows_in, rows_new, rows_changed, rows_same, rows_removed,
                  rows_rejected, t_min, t_max, report, undone_at, undone_by FROM load """
_CONFLICT = """SELECT id, dataset_id, load_id, stream_id, t, record_key, candidates, hint,
                      decision, decided_by, decided_at FROM conflict
               WHERE NOT EXISTS (SELECT FROM load
                   WHERE load.id = conflict.load_id AND load.state = 'pending') """


def resource(dataset: Dataset, load_id: int | None = None) -> Resource:
    """What the policy judges of a load: it is shared as its dataset is."""
    whole = dataset.resource
    return Resource(
        "load",
        str(load_id) if load_id is not None else None,
        owner_agency=whole.owner_agency,
        sharing=whole.sharing,
    )


def page(
    conn: Connection, actor: Actor, *, dataset_id: int | None = None, before: int | None = None,
    doors: Sequence[str] = FILE_DOORS, limit: int = 50,
) -> list[Load]:  # fmt: skip
    """Loads that the actor may see, newest first; `before` is the number to go on from."""
    visible = [
        d.id
        for d in registry.datasets(conn)
        if (dataset_id is None or d.id == dataset_id)
        and decide(actor, "load.read", resource(d, 0)).allowed
    ]
    rows = conn.execute(
        _LOAD
        + """WHERE dataset_id = ANY (%s) AND door = ANY (%s) AND state <> 'pending'
               AND (%s::bigint IS NULL OR id < %s) ORDER BY id DESC LIMIT %s""",
        (visible, list(doors), before, before, limit),
    ).fetchall()
    return [Load(*row) for row in rows]


def lately(
    conn: Connection, actor: Actor, *, doors: Sequence[str] = FILE_DOORS, limit: int
) -> list[int]:
    """Datasets whose loads the actor may see, those loaded last first."""
    visible = [
        d.id for d in registry.datasets(conn) if decide(actor, "load.read", resource(d, 0)).allowed
    ]
    rows = conn.execute(
        """SELECT dataset_id FROM load
           WHERE dataset_id = ANY (%s) AND door = ANY (%s) AND state <> 'pending'
           GROUP BY dataset_id ORDER BY max(id) DESC LIMIT %s""",
        (visible, list(doors), limit),
    ).fetchall()
    return [number for (number,) in rows]


def get(conn: Connection, actor: Actor, load_id: int) -> tuple[Load, Dataset]:
    """One load and its dataset. Raises NotFound for one the actor may not know of."""
    row = conn.execute(_LOAD + "WHERE id = %s AND state <> 'pending'", (load_id,)).fetchone()
    if row is None:
        raise NotFound("lake.no_load", id=load_id)
    load = Load(*row)
    dataset = registry.get(conn, load.dataset_id)
    require(actor, "load.read", resource(dataset, load_id))
    return load, dataset


def living(lake: Lake, load: Load, dataset: Dataset) -> int:
    """How many rows of a load no later one has replaced."""
    with lake.view() as view:
        if dataset.contract.kind == "series":
            rows, column = view.series(dataset, start=load.t_min, end=load.t_max), "load_id"
        else:
            rows, column = view.records(dataset), "_load_id"
        found = view.execute(
            f"SELECT count(*) FROM {rows} WHERE {column} = ?", [load.id]
        ).fetchone()
    return found[0] if found else 0


def no_file(load_id: int) -> NotFound:
    """The error for a load that came without a file, or whose file is gone."""
    return NotFound("lake.no_file", id=load_id)


def quarantine(
    conn: Connection, load_id: int, *, limit: int | None = None
) -> Iterator[tuple[int, str, str | None, str, dict[str, Any]]]:
    """A load's rejected values in the order of the file: row, column, value, reason, details."""
    yield from conn.execute(
        """SELECT row_no, column_name, value, reason, params FROM quarantine
           WHERE load_id = %s ORDER BY row_no, column_name LIMIT %s""",
        (load_id, limit),
    )


def contradictions(
    conn: Connection, *, dataset_id: int | None = None, load_id: int | None = None,
    open_only: bool = False, limit: int = 200,
) -> list[Contradiction]:  # fmt: skip
    """Contradictions of a dataset or a load, the undecided first."""
    rows = conn.execute(
        _CONFLICT
        + """AND (%(d)s::int IS NULL OR dataset_id = %(d)s)
               AND (%(l)s::bigint IS NULL OR load_id = %(l)s)
               AND (NOT %(o)s OR decided_at IS NULL)
             ORDER BY decided_at IS NOT NULL, t DESC, id LIMIT %(n)s""",
        {"d": dataset_id, "l": load_id, "o": open_only, "n": limit},
    ).fetchall()
    return [Contradiction(*row) for row in rows]


def contradiction_page(
    conn: Connection, actor: Actor, dataset: Dataset, load_id: int, *,
    open_only: bool, after: int, limit: int,
) -> tuple[list[Contradiction], int | None]:  # fmt: skip
    """A load's contradictions that an actor may see, by number; the number after which more are."""
    out: list[Contradiction] = []
    while True:
        rows = conn.execute(
            _CONFLICT
            + "AND load_id = %s AND (NOT %s OR decided_at IS NULL) AND id > %s ORDER BY id LIMIT %s",
            (load_id, open_only, after, limit + 1),
        ).fetchall()
        found = [Contradiction(*row) for row in rows]
        out += shown(conn, actor, dataset, found)
        if len(out) > limit:
            return out[:limit], out[limit - 1].id
        if len(found) <= limit:
            return out, None
        after = found[-1].id


def shown(
    conn: Connection, actor: Actor, dataset: Dataset, found: Iterable[Contradiction]
) -> list[Contradiction]:
    """What of a dataset's contradictions an actor may see.

    Who may see rejected rows as they came sees all. Others see no more than of the dataset's rows:
    not what is hidden from them, and nothing where what is left of the rows does not differ.
    """
    if decide(actor, "quarantine.read", dataset.resource).allowed:
        return list(found)
    decision = decide(actor, "dataset.read", dataset.resource)
    if not decision.allowed:
        return []
    if dataset.contract.kind == "records":
        return [left for one in found if (left := _shown_record(one, decision))]
    open_ = _open_streams(conn, dataset, decision)
    return [one for one in found if one.stream_id in open_]


def reported(conn: Connection, actor: Actor, load: Load, dataset: Dataset) -> dict[str, Any]:
    """A load's quality report as an actor may see it.

    Who may see rejected rows as they came sees all. Others get no extremes, means and counts of
    streams and columns that are hidden from them.
    """
    report = load.report
    if decide(actor, "quarantine.read", dataset.resource).allowed:
        return report
    decision = decide(actor, "dataset.read", dataset.resource)
    names: set[str] = set()
    streams: set[int] = set()
    if decision.allowed and dataset.contract.kind == "series":
        streams = _open_streams(conn, dataset, decision)
    elif decision.allowed and decision.rows == TRUE:  # else extremes tell of rows that are hidden
        names = {c.name for c in dataset.contract.columns} - _hidden(decision)
    out = {**report}
    if "streams" in report:
        out["streams"] = [s for s in report["streams"] if s["stream"] in streams]
    if "columns" in report:
        out["columns"] = [c for c in report["columns"] if c["name"] in names]
        out["findings"] = [
            left for one in report.get("findings", ()) if (left := _of_columns(one, names))
        ]
    if moved := report.get("drift"):
        kept = {**moved}
        if "means" in moved:
            kept["means"] = [one for one in moved["means"] if one["stream"] in streams]
        if "distinct" in moved:
            kept["distinct"] = [one for one in moved["distinct"] if one["name"] in names]
        out["drift"] = kept
    return out


def _of_columns(finding: dict[str, Any], names: set[str]) -> dict[str, Any] | None:
    """A finding without the columns that are not among these; None where none is left."""
    if "columns" not in finding:
        return finding
    counts = {name: count for name, count in finding["columns"].items() if name in names}
    titles = {name: title for name, title in finding.get("titles", {}).items() if name in names}
    left = {**finding, "count": sum(counts.values()), "columns": counts, "titles": titles}
    return left if counts else None


def _hidden(decision: Decision) -> frozenset[str]:
    return decision.hidden | {one.column for one in decision.coarsened}


def _open_streams(conn: Connection, dataset: Dataset, decision: Decision) -> set[int]:
    """The streams of which nothing is hidden."""
    # In this order: between the two a stream may be added, with a thing of its own.
    streams = registry.streams(conn, dataset)
    agencies = {thing.id: thing.agency_id for thing in registry.things(conn, dataset).values()}
    named = {column.name for column in dataset.contract.key}
    return {
        stream.id
        for stream in streams.values()
        if decision.hidden.isdisjoint({stream.parameter, *named})
        and admits(decision.rows, {"agency_id": agencies[stream.thing_id]})
    }


def _shown_record(found: Contradiction, decision: Decision) -> Contradiction | None:
    hidden = _hidden(decision)
    candidates = [
        {**c, "values": {name: v for name, v in c["values"].items() if name not in hidden}}
        for c in found.candidates
        if admits(decision.rows, c["values"])
    ]
    differ = any(c["values"] != candidates[0]["values"] for c in candidates)
    return replace(found, candidates=candidates) if differ else None


def decide_conflict(lake: Lake, actor: Actor, conflict_id: int, keep: int | None) -> Outcome:
    """Say which of a contradiction's rows holds (its row number), or that none does.

    The chosen row counts with the quality it came with, without one the first stays as invalid.
    Raises NotFound, Invalid for a row that is no candidate, Conflict when it is decided already,
    its load is out, or a later load has replaced what would be decided about.
    """
    with lake.db.transaction() as conn:
        row = conn.execute(_CONFLICT + "AND id = %s", (conflict_id,)).fetchone()
        if row is None:
            raise NotFound("lake.no_conflict", id=conflict_id)
        found = Contradiction(*row)
        dataset = registry.get(conn, found.dataset_id)
        # Who may not know of the load may not know that anything in it waits for a decision.
        require(actor, "load.read", resource(dataset, found.load_id))
        require(actor, "conflict.decide", dataset.resource)
        if found.decided_at is not None:
            raise Conflict("lake.conflict_decided", by=found.decided_by or "", at=found.decided_at)
        rows = _decided(found, dataset, keep)

    def settle(conn: Connection, outcome: Outcome) -> None:
        # Waits for somebody who takes the load out; after them there is nothing to decide.
        conn.execute("SELECT FROM load WHERE id = %s FOR SHARE", (found.load_id,))
        decision = {"keep": keep, "load": outcome.load_id}
        first = conn.execute(
            """UPDATE conflict SET decision = %s, decided_by = %s, decided_at = clock_timestamp()
               WHERE id = %s AND decided_at IS NULL
                 AND NOT EXISTS (SELECT FROM undoing WHERE undoing.load_id = conflict.load_id)""",
            (Jsonb(decision), actor.ref, conflict_id),
        ).rowcount
        if not first:
            raise Conflict("lake.conflict_settled")
        # Our version is stored and not committed: others wait for it, and a view shows what it meets.
        if later := overtaken(lake, conn, dataset, [found]).get(conflict_id):
            raise Conflict("lake.conflict_overtaken", load=later.id, at=later.at)
        events.emit(
            conn, "audit.conflict.decided", {"dataset": dataset.name, **decision},
            actor=actor.ref, subject=f"conflict:{conflict_id}",
        )  # fmt: skip

    report = {"decides": conflict_id, "of_load": found.load_id}
    source = Source("decision", actor=actor.ref, agency_id=actor.agency_id)
    return lake.commit_with(Batch(dataset.id, rows, source, report=report), settle)


def _decided(found: Contradiction, dataset: Dataset, keep: int | None) -> SeriesRows | RecordRows:
    """What a decision stores. Raises Invalid for a row that is no candidate."""
    one = {c["row"]: c for c in found.candidates}.get(keep) if keep is not None else None
    if keep is not None and one is None:
        raise Invalid("lake.not_a_candidate", row=keep)
    quality = one["quality"] if one else int(Quality.INVALID)
    one = one or found.candidates[0]
    if found.record_key is None:
        assert found.stream_id is not None and found.t is not None
        return SeriesRows([found.stream_id], [found.t], [one["value"]], [quality], [one["row"]])
    # The contract may have other columns by now.
    row = {c.name: one["values"].get(c.name) for c in dataset.contract.columns}
    return RecordRows(dataset.id, [found.record_key], [row], [one["row"]], [quality])
