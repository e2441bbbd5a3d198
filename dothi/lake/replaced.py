"""Whether a load gave most of the rows that were there other content: a key that does not tell one
month from the next looks like a correction of everything."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from dothi.lake.model import Outcome
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

SHARE = 0.5
"""Of the rows that were there; more is told."""


def note_replaced(lake: Lake, dataset: Dataset, outcome: Outcome) -> dict[str, Any] | None:
    """The finding for the load's report, where it is added; None where no more than half of the rows
    changed."""
    if outcome.replay or not outcome.changed:
        return None
    # No more are counted than decide it: a series may have millions.
    most = int(outcome.changed / SHARE) + outcome.new
    with lake.view() as view:
        rows = view.series if dataset.contract.kind == "series" else view.records
        counted = view.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {rows(dataset)} LIMIT {most:d})"
        ).fetchone()
    before = (counted[0] if counted else 0) - outcome.new + outcome.removed
    if before <= 0 or outcome.changed <= SHARE * before:
        return None
    finding = {
        "kind": "replaced",
        "count": outcome.changed,
        "of": max(before, outcome.changed),
        "load": outcome.load_id,
    }
    with lake.db.transaction() as conn:
        conn.execute(
            """UPDATE load SET report = jsonb_set(report, '{findings}',
                   %s || coalesce(report -> 'findings', '[]'::jsonb)) WHERE id = %s""",
            (Jsonb([finding]), outcome.load_id),
        )
    return finding
