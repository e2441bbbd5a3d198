"""The tables of pulls: all SQL of this room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from dothi.kernel.errors import Conflict, NotFound
from dothi.pulls.model import Pull, Run, Source
from dothi.store.database import Connection, Database, own_sql

_SOURCE = """SELECT id, name, kind, host, port, database, account, password_env, tls, agency_id,
                    created_by, created_at FROM pull_source """
_PULL = """SELECT id, name, source_id, dataset_id, query, mark, mark_type, overlap, every_min,
                  daily_at, batch_rows, enabled, created_by, created_at, due_at, asked_by, failures,
                  reached, pending, last_content, last_load FROM pull """
_RUN = """SELECT id, pull_id, asked_by, started_at, ended_at, state, mark_from, mark_to, counted,
                 read, parsed, new, changed, same, removed, twice, rejected, loads, findings, error
          FROM pull_run """
_LOCKS = 0x5055_4C4C
"""The family of advisory locks in which each source has its own."""


def sources(conn: Connection) -> list[Source]:
    """All sources by name."""
    return [Source(*row) for row in conn.execute(_SOURCE + "ORDER BY name").fetchall()]


def source(conn: Connection, name: str) -> Source:
    """The source of that name. Raises NotFound."""
    row = conn.execute(_SOURCE + "WHERE name = %s", (name,)).fetchone()
    if row is None:
        raise NotFound("pulls.no_source", name=name)
    return Source(*row)


def source_of(conn: Connection, pull: Pull) -> Source:
    """Where a pull reads."""
    row = conn.execute(_SOURCE + "WHERE id = %s", (pull.source_id,)).fetchone()
    assert row is not None
    return Source(*row)


def add_source(conn: Connection, values: Mapping[str, Any]) -> Source:
    """A new source. Raises Conflict for a name that is taken."""
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    try:
        with conn.transaction():
            conn.execute(
                own_sql(f"INSERT INTO pull_source ({names}) VALUES ({marks})"),
                tuple(values.values()),
            )
    except psycopg.errors.UniqueViolation:
        raise Conflict("pulls.name_taken", name=values["name"]) from None
    return source(conn, values["name"])


def pulls(conn: Connection) -> list[Pull]:
    """All pulls by name."""
    return [Pull(*row) for row in conn.execute(_PULL + "ORDER BY name").fetchall()]


def pull(conn: Connection, name: str) -> Pull:
    """The pull of that name. Raises NotFound."""
    row = conn.execute(_PULL + "WHERE name = %s", (name,)).fetchone()
    if row is None:
        raise NotFound("pulls.no_pull", name=name)
    return Pull(*row)


def pull_by_id(conn: Connection, number: int) -> Pull:
    """A pull as it is now; its row stays as it is until the transaction ends."""
    row = conn.execute(_PULL + "WHERE id = %s FOR UPDATE", (number,)).fetchone()
    if row is None:
        raise NotFound("pulls.no_pull", name=str(number))
    return Pull(*row)


def add_pull(conn: Connection, values: Mapping[str, Any]) -> Pull:
    """A new pull. Raises Conflict for a name that is taken."""
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    try:
        with conn.transaction():
            conn.execute(
                own_sql(f"INSERT INTO pull ({names}) VALUES ({marks})"), tuple(values.values())
            )
    except psycopg.errors.UniqueViolation:
        raise Conflict("pulls.name_taken", name=values["name"]) from None
    return pull(conn, values["name"])


def change(conn: Connection, number: int, **values: Any) -> None:
    """Set columns of a pull."""
    sets = ", ".join(f"{name} = %s" for name in values)
    conn.execute(own_sql(f"UPDATE pull SET {sets} WHERE id = %s"), (*values.values(), number))


def book_pending(conn: Connection, number: int, pending: Mapping[str, Any]) -> None:
    """Say which file is being loaded now."""
    conn.execute("UPDATE pull SET pending = %s WHERE id = %s", (Jsonb(dict(pending)), number))


def due(conn: Connection, now: datetime) -> list[Pull]:
    """The pulls that are due, the longest due first."""
    rows = conn.execute(
        _PULL + "WHERE enabled AND due_at <= %s ORDER BY due_at, id", (now,)
    ).fetchall()
    return [Pull(*row) for row in rows]


@contextmanager
def alone(db: Database, source_id: int) -> Iterator[bool]:
    """Whether this source is ours alone until the end: no other run of any process reads from it.

    The lock is the database's and ends with its connection, however the process ends.
    """
    conn = db.connect()
    try:
        row = conn.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCKS, source_id)).fetchone()
        ours = bool(row and row[0])
        try:
            yield ours
        finally:
            if ours:  # the end of a connection is noticed a moment later only
                conn.execute("SELECT pg_advisory_unlock(%s, %s)", (_LOCKS, source_id))
    finally:
        conn.close()


def begin(conn: Connection, one: Pull, mark_from: str | None, asked_by: str | None) -> int:
    """Write down that a run begins; its number."""
    row = conn.execute(
        "INSERT INTO pull_run (pull_id, asked_by, mark_from) VALUES (%s, %s, %s) RETURNING id",
        (one.id, asked_by, mark_from),
    ).fetchone()
    assert row is not None
    return row[0]


def end_broken(conn: Connection, source_id: int) -> int:
    """Mark the runs that nobody runs any more; to be called by whom the source belongs alone."""
    return conn.execute(
        """UPDATE pull_run r SET state = 'interrupted', ended_at = clock_timestamp()
           FROM pull p WHERE p.id = r.pull_id AND p.source_id = %s AND r.state = 'running'""",
        (source_id,),
    ).rowcount


def add_to_run(conn: Connection, number: int, **counts: int | list[int]) -> None:
    """Count on in a run; lists are appended to."""
    sets = ", ".join(
        f"{name} = {name} || %s" if isinstance(value, list) else f"{name} = {name} + %s"
        for name, value in counts.items()
    )
    conn.execute(own_sql(f"UPDATE pull_run SET {sets} WHERE id = %s"), (*counts.values(), number))


def set_run(conn: Connection, number: int, **values: Any) -> None:
    """Set columns of a run."""
    sets = ", ".join(f"{name} = %s" for name in values)
    plain = [Jsonb(v) if name in ("findings", "error") and v is not None else v
             for name, v in values.items()]  # fmt: skip
    conn.execute(own_sql(f"UPDATE pull_run SET {sets} WHERE id = %s"), (*plain, number))


def run(conn: Connection, number: int) -> Run:
    """One run."""
    row = conn.execute(_RUN + "WHERE id = %s", (number,)).fetchone()
    assert row is not None
    return Run(*row)


def runs(conn: Connection, pull_id: int, limit: int) -> list[Run]:
    """The newest runs of a pull."""
    rows = conn.execute(
        _RUN + "WHERE pull_id = %s ORDER BY id DESC LIMIT %s", (pull_id, limit)
    ).fetchall()
    return [Run(*row) for row in rows]


def newest_runs(conn: Connection, numbers: Sequence[int]) -> dict[int, Run]:
    """The newest run of each of these pulls."""
    rows = conn.execute(
        _RUN
        + """WHERE id IN (SELECT max(id) FROM pull_run WHERE pull_id = ANY (%s)
                               GROUP BY pull_id)""",
        (list(numbers),),
    ).fetchall()
    return {row[1]: Run(*row) for row in rows}


def load_of(conn: Connection, dataset_id: int, sha256: bytes) -> int | None:
    """The load of this very file, if it is stored."""
    row = conn.execute(
        """SELECT id FROM load
           WHERE dataset_id = %s AND file_sha256 = %s AND state = 'committed'""",
        (dataset_id, sha256),
    ).fetchone()
    return row[0] if row else None


class Counts(NamedTuple):
    """What a load did."""

    rows: int
    new: int
    changed: int
    same: int
    removed: int
    twice: int


def counts_of(conn: Connection, load_id: int) -> Counts:
    """What a load did, as it is written down with it."""
    row = conn.execute(
        """SELECT rows_in, rows_new, rows_changed, rows_same, rows_removed,
                  coalesce((report->>'twice')::bigint, 0) FROM load WHERE id = %s""",
        (load_id,),
    ).fetchone()
    assert row is not None
    return Counts(*row)


def is_newest(conn: Connection, dataset_id: int, load_id: int) -> bool:
    """Whether a load stands and nothing was loaded into its dataset after it."""
    row = conn.execute(
        """SELECT state = 'committed' AND NOT EXISTS (
               SELECT FROM load l WHERE l.dataset_id = load.dataset_id AND l.id > load.id)
           FROM load WHERE id = %s AND dataset_id = %s""",
        (load_id, dataset_id),
    ).fetchone()
    return bool(row and row[0])


def rejected_rows(conn: Connection, load_id: int) -> int:
    """How many rows of a load have a value in quarantine."""
    row = conn.execute(
        "SELECT count(DISTINCT row_no) FROM quarantine WHERE load_id = %s", (load_id,)
    ).fetchone()
    return row[0] if row else 0
