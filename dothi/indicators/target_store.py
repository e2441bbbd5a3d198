"""The SQL of targets."""

from __future__ import annotations

from dothi.identity.model import Actor
from dothi.indicators.target import Draft, Target
from dothi.store.database import Connection

_COLUMNS = (
    "measure", "part", "place", "grain", "low", "high", "valid_from", "valid_to", "ground",
    "ground_date", "verify", "id", "set_at", "set_by", "setter_name",
)  # fmt: skip


def insert(conn: Connection, one: Draft, actor: Actor) -> Target:
    """A new target."""
    row = conn.execute(
        """INSERT INTO target (measure, part, place, grain, low, high, valid_from, valid_to, ground,
                               ground_date, verify, set_by, setter_name)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
           RETURNING measure, part, place, grain, low, high, valid_from, valid_to, ground,
                     ground_date, verify, id, set_at, set_by, setter_name""",
        (
            one.measure, one.part, one.place, one.grain, one.low, one.high, one.valid_from,
            one.valid_to, one.ground, one.ground_date, one.verify, actor.ref, actor.name,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    return Target(**dict(zip(_COLUMNS, row, strict=True)))


def every(conn: Connection, measure: str | None = None) -> list[Target]:
    """All targets, or those of one measure, in the order in which they were set."""
    rows = conn.execute(
        """SELECT measure, part, place, grain, low, high, valid_from, valid_to, ground,
                  ground_date, verify, id, set_at, set_by, setter_name
           FROM target WHERE %(measure)s::text IS NULL OR measure = %(measure)s ORDER BY id""",
        {"measure": measure},
    ).fetchall()
    return [Target(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]
