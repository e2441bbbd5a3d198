"""Who outside the owner may see a dataset: decisions of the owner, and what a merger does to them.

A decision counts from its first day to its last; of those that have begun the newest. Without one,
what the contract says counts. `registry` reads datasets with what counts today.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from dothi.identity import audit
from dothi.identity.agencies import LONGEST_GROUND, successors
from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.kernel.errors import Fault, Invalid
from dothi.lake.registry import Dataset
from dothi.store.database import Connection


@dataclass(frozen=True)
class SharingDecision:
    """One decision. `agencies` are codes; `valid_to` is the last day it counts, None: no end."""

    id: int
    public: bool
    agencies: tuple[str, ...]
    hidden: tuple[str, ...]
    ground: str
    valid_from: date
    valid_to: date | None
    decided_at: datetime
    decided_by: str
    decider_name: str


def decide_sharing(
    conn: Connection,
    dataset: Dataset,
    *,
    public: bool,
    agencies: Collection[str],
    hidden: Collection[str] = (),
    ground: str,
    valid_from: date,
    valid_to: date | None,
    actor: Actor,
) -> None:
    """Record who may see a dataset, by which legal ground, from when to when.

    Sharing with nobody is a decision too. Raises Invalid with all faults.
    """
    require(actor, "dataset.share", dataset.resource)
    known = successors(conn, agencies)
    columns = columns_of(dataset)
    faults = [
        Fault("agencies", "identity.agency_unknown", {"code": code})
        for code in agencies
        if code not in known
    ]
    faults += [
        Fault("hidden", "lake.sharing_column", {"column": column})
        for column in hidden
        if column not in columns
    ]
    if not ground.strip():
        faults.append(Fault("ground", "identity.ground_missing"))
    elif len(ground) > LONGEST_GROUND or not ground.strip().isprintable():
        faults.append(Fault("ground", "identity.ground_shape", {"limit": LONGEST_GROUND}))
    if valid_to is not None and valid_to < valid_from:
        faults.append(Fault("valid_to", "identity.agency_dates"))
    if faults:
        raise Invalid("lake.sharing_invalid", faults=faults)
    sharing = {
        "public": public,
        "agencies": sorted(agencies),
        "agency_ids": sorted(set(known.values())),
        "hidden": sorted(hidden),
        "ground": ground.strip(),
    }
    conn.execute(
        "INSERT INTO sharing_decision (dataset_id, sharing, valid_from, valid_to, decided_by, "
        "decider_name) VALUES (%s, %s, %s, %s, %s, %s)",
        (dataset.id, Jsonb(sharing), valid_from, valid_to, actor.ref, actor.name),
    )
    detail = {name: sharing[name] for name in ("public", "agencies", "hidden", "ground")}
    span = [valid_from.isoformat(), valid_to.isoformat() if valid_to else None]
    audit.record(conn, "dataset.shared", actor, f"dataset:{dataset.name}", valid=span, **detail)


def columns_of(dataset: Dataset) -> list[str]:
    """The columns that a decision may hide."""
    contract = dataset.contract
    return [c.name for c in (*contract.key, *contract.parameters, *contract.columns)]


def decisions(conn: Connection, dataset: Dataset) -> list[SharingDecision]:
    """All decisions about a dataset, newest first."""
    rows = conn.execute(
        "SELECT id, sharing, valid_from, valid_to, decided_at, decided_by, decider_name "
        "FROM sharing_decision WHERE dataset_id = %s ORDER BY id DESC",
        (dataset.id,),
    )
    return [
        SharingDecision(
            row[0], row[1]["public"], tuple(row[1]["agencies"]), tuple(row[1]["hidden"]),
            row[1]["ground"], *row[2:],
        )
        for row in rows
    ]  # fmt: skip


def owned(conn: Connection, agency_id: int) -> list[str]:
    """The names of the datasets an agency owns."""
    rows = conn.execute("SELECT name FROM dataset WHERE owner_agency = %s ORDER BY 1", (agency_id,))
    return [row[0] for row in rows]


def pass_on(conn: Connection, old: int, new: int) -> None:
    """Give an agency's datasets and the things it looks after to its successor; what was shared
    with it is shared with the successor. Loads keep the agency that brought them."""
    values: dict[str, Any] = {"old": old, "new": new}
    conn.execute("UPDATE dataset SET owner_agency = %(new)s WHERE owner_agency = %(old)s", values)
    conn.execute("UPDATE thing SET agency_id = %(new)s WHERE agency_id = %(old)s", values)
    for statement in _SHARED_WITH:
        conn.execute(statement, values)


_SHARED_WITH: tuple[LiteralString, ...] = (
    """UPDATE dataset SET sharing = jsonb_set(sharing, '{agency_ids}', (
           SELECT jsonb_agg(DISTINCT CASE WHEN one = to_jsonb(%(old)s::bigint)
                                          THEN to_jsonb(%(new)s::bigint) ELSE one END)
           FROM jsonb_array_elements(sharing->'agency_ids') AS one))
       WHERE sharing->'agency_ids' @> to_jsonb(%(old)s::bigint)""",
    """UPDATE sharing_decision SET sharing = jsonb_set(sharing, '{agency_ids}', (
           SELECT jsonb_agg(DISTINCT CASE WHEN one = to_jsonb(%(old)s::bigint)
                                          THEN to_jsonb(%(new)s::bigint) ELSE one END)
           FROM jsonb_array_elements(sharing->'agency_ids') AS one))
       WHERE sharing->'agency_ids' @> to_jsonb(%(old)s::bigint)""",
)
