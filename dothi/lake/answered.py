"""What several doors of the datasets answer with: an outcome, a file of CSV."""

from __future__ import annotations

import msgspec
from litestar import Response

from dothi.lake.model import Outcome

CSV_TYPE = "text/csv"
"""The framework says the encoding."""


class Rejected(msgspec.Struct):
    """One value that was not taken: row number from 1, column, what stood there, and why."""

    row: int
    column: str
    value: str | None
    reason: str


class Stored(msgspec.Struct):
    """What a request stored. `replay`: it had been stored before; nothing changed now."""

    load: int
    new: int
    changed: int
    same: int
    removed: int
    rejected: int
    replay: bool
    rejects: list[Rejected] = []


def stored(outcome: Outcome, rejects: list[Rejected] | None = None) -> Stored:
    """An outcome as doors answer it."""
    return Stored(
        outcome.load_id, outcome.new, outcome.changed, outcome.same, outcome.removed,
        outcome.rejected, outcome.replay, rejects or [],
    )  # fmt: skip


def download(text: str, name: str) -> Response[bytes]:
    """A text as a CSV file of that name, for spreadsheets."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    return Response(
        b"\xef\xbb\xbf" + text.encode(),
        media_type=CSV_TYPE,
        headers={"content-disposition": f'attachment; filename="{safe}"'},
    )
