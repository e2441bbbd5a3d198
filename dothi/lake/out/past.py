"""A dataset as it stood at an instant of the past: by the loads committed until then.

Every version of a key carries its load's number, and the highest load counts (ADR 0002); so a past
state is that of the highest version among the loads that were committed by then. What cannot be
told exactly is refused: loads that counted then and have been taken out since, and an instant that
a running transaction may still reach back to. Names, contract and policy are today's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dothi.kernel.errors import Conflict, Invalid, Unavailable
from dothi.kernel.time import rfc3339
from dothi.lake.history import WITHDRAWN, literal
from dothi.lake.layout import Layout
from dothi.lake.read import View
from dothi.lake.registry import Dataset
from dothi.store.database import SCHEMA, Connection

ALL_LOADS = 2**62
MOST_NAMED = 10


@dataclass(frozen=True)
class Loads:
    """The loads that counted at an instant: all below `below`, and `late` ones above it."""

    below: int
    late: tuple[int, ...]

    def among(self, column: str) -> str:
        """SQL: the row's load is one of them."""
        numbers = ", ".join(str(int(n)) for n in self.late)
        also = f" OR {column} IN ({numbers})" if numbers else ""
        return f"({column} < {self.below:d}{also})"


def settle(conn: Connection, at: datetime) -> None:
    """Make sure that no load can still be committed with an instant up to `at`.

    Raises Invalid for an instant to come, Unavailable while something runs that began before it.
    Ask before the snapshot that is then read: `load.at` is written by PostgreSQL's clock inside
    the transaction that commits the load.
    """
    row = conn.execute(
        """SELECT %(at)s > clock_timestamp(), EXISTS (
               SELECT FROM pg_stat_activity
               WHERE datname = current_database() AND backend_xid IS NOT NULL
                 AND pid <> pg_backend_pid() AND xact_start <= %(at)s)""",
        {"at": at},
    ).fetchone()
    assert row is not None
    if row[0]:
        raise Invalid("out.as_of_future", at=rfc3339(at))
    if row[1]:
        raise Unavailable("out.as_of_unsettled", retry_after_s=2, at=rfc3339(at))


def loads_at(
    view: View,
    dataset: Dataset,
    at: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Loads:
    """The loads of a dataset that counted at an instant, looked up in the view's own snapshot.

    Raises Conflict where one of them has been taken out since, and its rows may lie in
    [start, end].
    """
    mine = f"FROM {SCHEMA}.load WHERE dataset_id = {dataset.id:d}"
    reach = []
    if start is not None:
        reach.append(f" AND coalesce(t_max, 'infinity') >= {literal(start)}")
    if end is not None:
        reach.append(f" AND coalesce(t_min, '-infinity') <= {literal(end)}")
    gone = view.postgres(
        f"SELECT id {mine} AND state = 'undone' AND at <= {literal(at)} "
        f"AND undone_at > {literal(at)}{''.join(reach)} ORDER BY id LIMIT {MOST_NAMED}"
    )
    if gone:
        numbers = ", ".join(str(number) for (number,) in gone)
        raise Conflict("out.as_of_lost", at=rfc3339(at), loads=numbers)
    [(below,)] = view.postgres(f"SELECT min(id) {mine} AND at > {literal(at)}")
    if below is None:
        return Loads(ALL_LOADS, ())
    late = view.postgres(f"SELECT id {mine} AND id > {below:d} AND at <= {literal(at)}")
    return Loads(below, tuple(sorted(number for (number,) in late)))


def relation(view: View, place: Layout, loads: Loads, where: str = "true") -> str:
    """The rows that counted, as SQL to put after FROM. `where`: ours, meant for head and body."""
    head_load = "load_id"
    sources = [
        view.head(place, f"{where} AND {loads.among(head_load)}"),
        view.head(place, f"{where} AND {loads.among(head_load)}", past=True),
    ]
    if view.body_until(place.dataset_id) is not None:
        sources += [
            f"SELECT {place.names} FROM {table} WHERE {where} AND {loads.among(place.load)}"
            for table in (place.table, place.past)
        ]
    versions = " UNION ALL ".join(sources)
    newest = f"PARTITION BY {place.list(place.key)} ORDER BY {place.load} DESC"
    return (
        f"(SELECT {place.names} FROM ({versions}) "
        f"QUALIFY row_number() OVER ({newest}) = 1 AND {place.quality} <> {WITHDRAWN})"
    )


def instants(start: datetime | None, end: datetime | None) -> list[str]:
    """Conditions on a series' time, the same text for PostgreSQL and DuckDB."""
    found = []
    if start is not None:
        found.append(f"t >= {literal(start)}")
    if end is not None:
        found.append(f"t <= {literal(end)}")
    return found
