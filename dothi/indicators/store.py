"""The SQL of indicators: what is installed, which version, what must be computed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.types.json import Jsonb

from dothi.store.database import Connection

Kind = Literal["indicator", "score"]


@dataclass(frozen=True)
class Installed:
    """An indicator of this home: its own dataset, its newest version and that version's text."""

    name: str
    dataset_id: int
    pack: str
    owner: str
    version: int
    hash: str
    computed: str | None
    problem: str | None
    text: str
    since: datetime
    as_of: datetime | None = None
    rests_on: dict[str, int] | None = None
    """Of scores: the instant for which the figures hold, and the newest load of each dataset in them."""

    @property
    def stale(self) -> bool:
        """Whether everything must be computed again, and can be."""
        return self.computed != self.hash and self.problem is None


_SELECT = """
    SELECT i.name, i.dataset_id, i.pack, i.owner, i.version, i.hash, i.computed,
           i.problem, v.text, v.since, i.as_of, i.rests_on
    FROM indicator i JOIN indicator_version v ON v.name = i.name AND v.version = i.version
    WHERE i.active"""


def put(
    conn: Connection, name: str, dataset_id: int, pack: str, owner: str, hash_: str, text: str,
    inputs: Sequence[int], kind: Kind = "indicator",
) -> None:  # fmt: skip
    """Make an indicator or a score known; another hash than the newest one is a new version."""
    row = conn.execute(
        "SELECT version, hash FROM indicator WHERE name = %s FOR UPDATE", (name,)
    ).fetchone()
    version = 1 if row is None else row[0] + (row[1] != hash_)
    conn.execute(
        """INSERT INTO indicator (name, dataset_id, pack, owner, version, hash, kind)
           VALUES (%s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, pack = excluded.pack, owner = excluded.owner,
               version = excluded.version, hash = excluded.hash, active = true,
               problem = NULL""",
        (name, dataset_id, pack, owner, version, hash_, kind),
    )
    conn.execute(
        """INSERT INTO indicator_version (name, version, hash, text) VALUES (%s, %s, %s, %s)
           ON CONFLICT DO NOTHING""",
        (name, version, hash_, text),
    )
    conn.execute("DELETE FROM indicator_input WHERE name = %s", (name,))
    conn.cursor().executemany(
        "INSERT INTO indicator_input (name, dataset_id) VALUES (%s, %s)",
        [(name, dataset_id) for dataset_id in inputs],
    )


def retire(conn: Connection, keep: Sequence[str], kind: Kind = "indicator") -> None:
    """Compute only these from now on; what others have computed stays readable.

    One that comes back is computed again, whatever it missed.
    """
    conn.execute(
        """UPDATE indicator SET active = false, computed = NULL
           WHERE active AND kind = %s AND name <> ALL (%s)""",
        (kind, list(keep)),
    )


def installed(conn: Connection, kind: Kind = "indicator") -> list[Installed]:
    """The active ones of a kind by name."""
    rows = conn.execute(f"{_SELECT} AND i.kind = %s ORDER BY i.name", (kind,)).fetchall()
    return [Installed(*row) for row in rows]


def computed_datasets(conn: Connection) -> frozenset[str]:
    """The datasets that hold what is computed here, of every indicator and score there ever was."""
    rows = conn.execute("SELECT d.name FROM indicator i JOIN dataset d ON d.id = i.dataset_id")
    return frozenset(name for (name,) in rows.fetchall())


def names(conn: Connection) -> set[str]:
    """Every indicator and score there ever was here."""
    return {name for (name,) in conn.execute("SELECT name FROM indicator").fetchall()}


def find(conn: Connection, name: str, kind: Kind = "indicator") -> Installed | None:
    """The active one of that kind and name."""
    row = conn.execute(f"{_SELECT} AND i.name = %s AND i.kind = %s", (name, kind)).fetchone()
    return Installed(*row) if row else None


def any_stale(conn: Connection) -> bool:
    """Whether some indicator must be computed again, and can be."""
    row = conn.execute(
        """SELECT EXISTS (SELECT FROM indicator WHERE active AND kind = 'indicator'
                              AND problem IS NULL AND computed IS DISTINCT FROM hash)"""
    ).fetchone()
    return bool(row and row[0])


def computed(conn: Connection, name: str, hash_: str) -> None:
    """All stored values come from this version now."""
    conn.execute("UPDATE indicator SET computed = %s WHERE name = %s", (hash_, name))


def scored(
    conn: Connection, name: str, hash_: str, as_of: datetime, rests_on: dict[str, int]
) -> None:
    """A score's stored figures are those of this version, for this instant, from these loads."""
    conn.execute(
        "UPDATE indicator SET computed = %s, as_of = %s, rests_on = %s WHERE name = %s",
        (hash_, as_of, Jsonb(rests_on), name),
    )


def cannot(conn: Connection, name: str, problem: str) -> None:
    """The definition does not fit the data: its values are out of date until it does."""
    conn.execute(
        "UPDATE indicator SET problem = %s, computed = NULL WHERE name = %s", (problem[:500], name)
    )


def measured(
    conn: Connection, dataset_ids: Sequence[int]
) -> tuple[datetime | None, datetime | None]:
    """From when to when these datasets can hold anything, by all loads there ever were."""
    row = conn.execute(
        "SELECT min(t_min), max(t_max) FROM load WHERE dataset_id = ANY (%s)", (list(dataset_ids),)
    ).fetchone()
    return (row[0], row[1]) if row else (None, None)


@dataclass(frozen=True)
class Level:
    """How many limits a stream's newest period passed when it was last looked at."""

    level: int
    since: datetime
    period: datetime


def levels(conn: Connection, stream_ids: Sequence[int]) -> dict[int, Level]:
    """What is known of these streams, held until the transaction ends."""
    rows = conn.execute(
        """SELECT stream_id, level, since, period FROM indicator_state
           WHERE stream_id = ANY (%s) ORDER BY stream_id FOR UPDATE""",
        (list(stream_ids),),
    ).fetchall()
    return {row[0]: Level(*row[1:]) for row in rows}


def set_level(
    conn: Connection, stream_id: int, level: int, since: datetime, period: datetime, value: float
) -> None:
    """Remember a stream's level, since which period, and what was looked at last."""
    conn.execute(
        """INSERT INTO indicator_state (stream_id, level, since, period, value)
           VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (stream_id) DO UPDATE SET level = excluded.level, since = excluded.since,
               period = excluded.period, value = excluded.value""",
        (stream_id, level, since, period, value),
    )


@dataclass(frozen=True)
class LoadFacts:
    """Where rows came from: file, its digest, who, when, through which door."""

    id: int
    dataset_id: int
    door: str
    actor: str | None
    at: datetime
    state: str
    file_name: str | None
    file_sha256: str | None
    rows_in: int


def loads(conn: Connection, ids: Sequence[int]) -> dict[int, LoadFacts]:
    """Loads by number."""
    rows = conn.execute(
        """SELECT id, dataset_id, door, actor, at, state, file_name, encode(file_sha256, 'hex'),
                  rows_in
           FROM load WHERE id = ANY (%s) ORDER BY id""",
        (list(ids),),
    ).fetchall()
    return {row[0]: LoadFacts(*row) for row in rows}
