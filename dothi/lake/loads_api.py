"""The doors of loads: one load, its rejected rows, its file, its contradictions, undoing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream as StreamResponse

from dothi.identity.model import Actor
from dothi.identity.policy import require
from dothi.kernel.errors import Fault, Invalid
from dothi.lake import loads
from dothi.lake.answered import CSV_TYPE, Stored, download, stored
from dothi.lake.files import FileStore
from dothi.lake.overtaken import overtaken
from dothi.lake.service import Lake

USUAL_CONFLICTS = 200
MOST_CONFLICTS = 1_000
MOST_NUMBER = 2**63 - 1


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """The row number of what holds; null: none of it does."""

    keep: int | None = None


class ConflictOut(msgspec.Struct):
    """One contradiction. `overtaken_by`: the later load that has replaced what contradicts itself."""

    id: int
    stream: int | None
    time: datetime | None
    candidates: list[dict[str, Any]]
    hint: str | None
    decision: dict[str, Any] | None
    decided_at: datetime | None
    overtaken_by: int | None


class ConflictPage(msgspec.Struct):
    """A page of a load's contradictions; `next` is the `after` of the page that follows, or null."""

    load: int
    limit: int
    next: str | None
    conflicts: list[ConflictOut]


@get("/loads/{load_id:int}", opt={"access": "load.read"}, sync_to_thread=True)
def show_load(
    load_id: FromPath[int], actor: NamedDependency[Actor], lake: NamedDependency[Lake]
) -> dict[str, Any]:
    """One load with its quality report, without what is hidden from the caller."""
    with lake.db.transaction() as conn:
        load, dataset = loads.get(conn, actor, load_id)
        report = loads.reported(conn, actor, load, dataset)
    return {
        "id": load.id, "dataset": dataset.name, "door": load.door, "at": load.at,
        "state": load.state, "file": load.file_name,
        "sha256": load.file_sha256.hex() if load.file_sha256 else None,
        "rows": load.rows_in, "new": load.rows_new, "changed": load.rows_changed,
        "same": load.rows_same, "removed": load.rows_removed, "rejected": load.rows_rejected,
        "report": report,
    }  # fmt: skip


@delete(
    "/loads/{load_id:int}",
    opt={"access": "dataset.undo"},
    status_code=204,
    sync_to_thread=True,
)
def undo_load(
    load_id: FromPath[int], actor: NamedDependency[Actor], lake: NamedDependency[Lake]
) -> None:
    """Take a load out: its rows go, what they had replaced comes back."""
    undo(lake, actor, load_id)


def undo(lake: Lake, actor: Actor, load_id: int) -> None:
    """Undo a load for an actor."""
    with lake.db.transaction() as conn:
        _, dataset = loads.get(conn, actor, load_id)
        require(actor, "dataset.undo", dataset.resource)
    lake.undo(load_id, actor=actor.ref)


@get(
    "/loads/{load_id:int}/quarantine.csv",
    opt={"access": "quarantine.read"},
    media_type=CSV_TYPE,
    sync_to_thread=True,
)
def quarantine_csv(
    load_id: FromPath[int],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    lang: NamedDependency[str],
) -> Response[bytes]:
    """The rejected values of a load, to mend and load again."""
    with lake.db.transaction() as conn:
        _, dataset = loads.get(conn, actor, load_id)
        require(actor, "quarantine.read", dataset.resource)
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["row", "column", "value", "reason"])
        for row_no, column, value, reason, params in loads.quarantine(conn, load_id):
            writer.writerow(
                [row_no, _cell(column), _cell(value), Fault("", reason, params).text(lang)]
            )
    return download(out.getvalue(), f"load-{load_id}-quarantine.csv")


def _cell(text: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = text or ""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


@get(
    "/loads/{load_id:int}/file",
    opt={"access": "quarantine.read"},
    media_type="application/octet-stream",
    sync_to_thread=True,
)
def load_source_file(
    load_id: FromPath[int],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    files: NamedDependency[FileStore],
) -> StreamResponse:
    """The file that was loaded, as it came."""
    with lake.db.transaction() as conn:
        load, dataset = loads.get(conn, actor, load_id)
        require(actor, "quarantine.read", dataset.resource)
    if load.file_sha256 is None or not files.path(load.file_sha256).exists():
        raise loads.no_file(load_id)
    path = files.path(load.file_sha256)

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(1 << 18):
                yield chunk

    return StreamResponse(
        chunks(),
        media_type="application/octet-stream",
        headers={
            "content-disposition": f'attachment; filename="load-{load_id}{_ending(load.file_name)}"'
        },
    )


def _ending(name: str | None) -> str:
    """The kind of a file by its name: ".csv", ".csv.gz", ".xlsx"; "" for what has none."""
    endings = Path(name or "").suffixes[-2:]
    return "".join(e for e in endings if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", e))


@get("/loads/{load_id:int}/conflicts", opt={"access": "load.read"}, sync_to_thread=True)
def load_conflicts(
    load_id: FromPath[int],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    waiting: Annotated[
        bool, QueryParameter(description="Only those that nobody has decided yet")
    ] = False,
    limit: Annotated[
        int, QueryParameter(description="Contradictions in one answer", ge=1, le=MOST_CONFLICTS)
    ] = USUAL_CONFLICTS,
    after: Annotated[
        str | None, QueryParameter(description="The `next` of the page before", max_length=20)
    ] = None,
) -> ConflictPage:
    """A load's contradictions as the caller may see them, by number: of a series by stream and time
    with candidate values, of records with whole candidate rows."""
    with lake.db.transaction() as conn:
        _, dataset = loads.get(conn, actor, load_id)
        found, following = loads.contradiction_page(
            conn, actor, dataset, load_id, open_only=waiting, after=_after(after), limit=limit
        )
        replaced = overtaken(lake, conn, dataset, found)
    return ConflictPage(
        load_id,
        limit,
        None if following is None else str(following),
        [
            ConflictOut(
                one.id, one.stream_id, one.t, one.candidates, one.hint,
                one.decision, one.decided_at,
                replaced[one.id].id if one.id in replaced else None,
            )
            for one in found
        ],
    )  # fmt: skip


def _after(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise Invalid("lake.conflict_page", faults=[Fault("after", "lake.conflict_after")])
    return min(int(text), MOST_NUMBER)


@post(
    "/conflicts/{conflict_id:int}",
    opt={"access": "conflict.decide", "example": Decision(keep=3)},
    sync_to_thread=True,
)
def decide_conflict(
    conflict_id: FromPath[int],
    data: JSONBody[Decision],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
) -> Stored:
    """Say which of several contradicting values or rows holds, by its row number in the file."""
    return stored(loads.decide_conflict(lake, actor, conflict_id, data.keep))


router = Router(
    "/api/v1",
    route_handlers=[
        show_load, undo_load, quarantine_csv, load_source_file, load_conflicts, decide_conflict,
    ],
)  # fmt: skip
