"""The datasets' own doors: rows in as JSON or file, rows out, loads, quarantine, undoing.

Each handler names the action it needs in `opt["access"]`; the policy is asked in the handler,
where the thing is known. `opt["example"]` and `opt["upload"]` describe bodies in `/openapi.json`.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, MultipartBody, QueryParameter
from litestar.response import Stream as StreamResponse

from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.identity.predicate import admits
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.lake import loads, registry, rows
from dothi.lake import workbook as workbooks
from dothi.lake.loading import FileStore, Loaded, load_file
from dothi.lake.model import Outcome, Source
from dothi.lake.out.api import dataset_rows
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.lake.service import Lake

MOST_BODY = 32 * 1024 * 1024
CSV_TYPE = "text/csv; charset=utf-8"


class RowsIn(msgspec.Struct, forbid_unknown_fields=True):
    """Rows with the contract's column names."""

    rows: list[dict[str, str | float | int | bool | None]]


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


class ThingIn(msgspec.Struct, forbid_unknown_fields=True):
    """A thing to make known or to describe anew."""

    key: list[str]
    name: dict[str, str] = {}
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    properties: dict[str, Any] = {}


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """The row number of what holds; null: none of it does."""

    keep: int | None = None


EXAMPLE_ROWS = RowsIn([{"station": "G1", "time": "2026-01-02T03:00:00Z", "level": 2.5}])
EXAMPLE_THING = ThingIn(
    ["G1"], {"vi": "Trạm G1", "en": "Gauge G1"}, lon=108.2, lat=16.1, properties={"rhythm": "PT10M"}
)


def stored(outcome: Outcome, rejects: list[Rejected] | None = None) -> Stored:
    """An outcome as doors answer it."""
    return Stored(
        outcome.load_id, outcome.new, outcome.changed, outcome.same, outcome.removed,
        outcome.rejected, outcome.replay, rejects or [],
    )  # fmt: skip


@get("/datasets", opt={"access": "dataset.read"}, sync_to_thread=True)
def list_datasets(
    actor: NamedDependency[Actor], lake: NamedDependency[Lake], lang: NamedDependency[str]
) -> list[dict[str, Any]]:
    """The datasets that the caller may read."""
    with lake.db.transaction() as conn:
        found = registry.datasets(conn)
    return [_described(d, lang) for d in found if decide(actor, "dataset.read", d.resource).allowed]


@get("/datasets/{name:str}", opt={"access": "dataset.read"}, sync_to_thread=True)
def show_dataset(
    name: FromPath[str],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    lang: NamedDependency[str],
) -> dict[str, Any]:
    """One dataset: its contract in short, its things and streams."""
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
        found = visible(conn, actor, dataset)
    return _described(dataset, lang) | {
        "things": [
            {"id": t.id, "key": t.key, "name": t.title(lang), "lon": t.lon, "lat": t.lat}
            for t in {thing.id: thing for thing, _ in found}.values()
        ],
        "streams": [{"id": s.id, "thing": s.thing_id, "parameter": s.parameter} for _, s in found],
    }


def visible(conn: Any, actor: Actor, dataset: Dataset) -> list[tuple[Thing, Stream]]:
    """The streams that the policy shows to an actor, with their things. Raises NotFound."""
    decision = require(actor, "dataset.read", dataset.resource)
    # In this order: between the two a stream may be added, with a thing of its own.
    streams = registry.streams(conn, dataset)
    things = registry.things(conn, dataset)
    return [
        (things[s.thing_id], s)
        for s in streams.values()
        if s.parameter not in decision.hidden
        and admits(decision.rows, {"agency_id": things[s.thing_id].agency_id})
    ]


def visible_stream(conn: Any, actor: Actor, stream_id: int) -> tuple[Dataset, Thing, Stream]:
    """One stream, if the policy shows it. Raises NotFound."""
    stream = registry.stream(conn, stream_id)
    dataset = registry.get(conn, stream.dataset_id)
    for thing, candidate in visible(conn, actor, dataset):
        if candidate.id == stream_id:
            return dataset, thing, candidate
    raise registry.no_stream(stream_id)


def _described(dataset: Dataset, lang: str) -> dict[str, Any]:
    contract = dataset.contract
    return {
        "name": dataset.name,
        "kind": contract.kind,
        "title": contract.title[lang],
        "owner": contract.owner,
        "key": [c.name for c in contract.key],
        "parameters": [
            {"name": p.name, "title": p.title[lang], "unit": p.unit} for p in contract.parameters
        ],
        "columns": [{"name": c.name, "type": c.type, "unit": c.unit} for c in contract.columns],
        "public": dataset.sharing["public"],
    }


@post(
    "/datasets/{name:str}/rows",
    opt={"access": "dataset.load", "example": EXAMPLE_ROWS},
    status_code=201,
    responses={200: ResponseSpec(Stored, generate_examples=False, description="Stored before")},
    request_max_body_size=MOST_BODY,
)
async def put_rows(
    name: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    lang: NamedDependency[str],
    idempotency_key: Annotated[
        str | None, HeaderParameter(name="Idempotency-Key", max_length=200)
    ] = None,
) -> Response[Stored]:
    """Store rows. Answered only when they are durable; 200 for a request stored before.

    Values that do not fit the contract are kept out and listed; the others are stored.
    """
    raw = await request.body()
    try:
        body = msgspec.json.decode(raw, type=RowsIn)
    except msgspec.DecodeError as error:
        raise Invalid("lake.body_unreadable", faults=[_body_fault(error)]) from error
    if len(body.rows) > rows.MOST_ROWS:
        raise TooLarge("lake.too_many_rows", most=rows.MOST_ROWS)
    source = Source(
        "http",
        actor=actor.ref,
        agency_id=actor.agency_id,
        idempotency=(idempotency_key, hashlib.sha256(raw).digest()) if idempotency_key else None,
    )
    batch = await asyncio.to_thread(_prepare, lake, actor, name, body.rows, source)
    outcome = await asyncio.wrap_future(lake.submit(batch))
    rejects = [
        Rejected(r.row_no, r.column, r.value, Fault("", r.reason, r.params).text(lang))
        for r in batch.rejects
    ]
    return Response(stored(outcome, rejects), status_code=200 if outcome.replay else 201)


def _body_fault(error: msgspec.DecodeError) -> Fault:
    return Fault("", "lake.body_fault", {"problem": str(error)[:300]})


def _prepare(
    lake: Lake, actor: Actor, name: str, given: list[dict[str, Any]], source: Source
) -> Any:
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
        require(actor, "dataset.load", dataset.resource)
    return rows.batch_of(lake, dataset, given, source)


@post(
    "/datasets/{name:str}/files",
    opt={"access": "dataset.load", "upload": "text/csv"},
    status_code=201,
    sync_to_thread=True,
    request_max_body_size=512 * 1024 * 1024,
)
def put_file(
    name: FromPath[str],
    data: MultipartBody[dict[str, UploadFile]],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    files: NamedDependency[FileStore],
) -> Response[dict[str, Any]]:
    """Load a file (form field "file") that one of the dataset's readers fits: all of it or nothing;
    with its quality report."""
    done = load_upload(lake, files, actor, name, data.get("file"))
    body = msgspec.to_builtins(stored(done.outcome)) | {"report": done.report}
    return Response(body, status_code=200 if done.outcome.replay else 201)


def load_upload(lake: Lake, files: FileStore, actor: Actor, name: str, upload: Any) -> Loaded:
    """Load what a form sent in its field "file" into the dataset of that name.

    Raises NotFound and Forbidden by the policy, Invalid without a file, and what `load_file` raises.
    """
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
        require(actor, "dataset.load", dataset.resource)
    if not isinstance(upload, UploadFile) or not upload.filename:
        raise Invalid("lake.no_upload")
    files.folder.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(prefix="upload-", dir=files.folder) as kept:
        while chunk := upload.file.read(1 << 20):
            kept.write(chunk)
        kept.flush()
        return load_file(
            lake, files, dataset, Path(kept.name), name=Path(upload.filename).name[:200],
            actor=actor.ref, agency_id=actor.agency_id,
        )  # fmt: skip


@get(
    "/datasets/{name:str}/workbook.xlsx",
    opt={"access": "dataset.load"},
    media_type=workbooks.MEDIA_TYPE,
    sync_to_thread=True,
)
def get_workbook(
    name: FromPath[str],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    lang: NamedDependency[str],
) -> Response[bytes]:
    """The dataset's workbook to fill in and to load as a file."""
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
        require(actor, "dataset.load", dataset.resource)
        things = registry.things(conn, dataset).values()
    return Response(
        workbooks.workbook(dataset.contract, things, lang),
        media_type=workbooks.MEDIA_TYPE,
        headers={"content-disposition": f'attachment; filename="{dataset.name}.xlsx"'},
    )


@post(
    "/datasets/{name:str}/things",
    opt={"access": "dataset.define", "example": EXAMPLE_THING},
    sync_to_thread=True,
)
def put_thing(
    name: FromPath[str],
    data: JSONBody[ThingIn],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
) -> dict[str, int]:
    """Make a station, a machine or a gauge known, or describe it anew."""
    with lake.db.transaction() as conn:
        dataset = registry.find(conn, name)
        require(actor, "dataset.define", dataset.resource)
        if len(data.key) != len(dataset.contract.key):
            raise Invalid("lake.key_length", count=len(dataset.contract.key))
        number = registry.put_thing(
            conn, dataset, key=data.key, name=data.name, lon=data.lon, lat=data.lat,
            properties=data.properties,
        )  # fmt: skip
    return {"id": number}


@get(
    "/streams/{stream_id:int}/rows.csv",
    opt={"access": "dataset.read"},
    media_type=CSV_TYPE,
    sync_to_thread=True,
)
def stream_csv(
    stream_id: FromPath[int],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    start: Annotated[datetime | None, QueryParameter(name="from")] = None,
    end: Annotated[datetime | None, QueryParameter(name="to")] = None,
) -> Response[bytes]:
    """All rows of a stream as CSV: time, value, quality, load, row in the file."""
    with lake.db.transaction() as conn:
        dataset, thing, stream = visible_stream(conn, actor, stream_id)
    with lake.view() as view:
        found = view.execute(
            f"SELECT t, v, q, load_id, row_no FROM "
            f"{view.series(dataset, streams=[stream_id], start=start, end=end)} ORDER BY t"
        ).fetchall()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["time", stream.parameter, "quality", "load", "row"])
    names = [registry.quality_word(q) for q in range(10)]
    for t, v, q, load_id, row_no in found:
        writer.writerow([t.isoformat(), v, names[q], load_id, row_no])
    file = f"{dataset.name}-{'-'.join(thing.key)}-{stream.parameter}.csv"
    return _download(out.getvalue(), file)


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
    return _download(out.getvalue(), f"load-{load_id}-quarantine.csv")


def _cell(text: str | None) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = text or ""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _download(text: str, name: str) -> Response[bytes]:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    return Response(
        b"\xef\xbb\xbf" + text.encode(),
        media_type=CSV_TYPE,
        headers={"content-disposition": f'attachment; filename="{safe}"'},
    )


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
    load_id: FromPath[int], actor: NamedDependency[Actor], lake: NamedDependency[Lake]
) -> list[dict[str, Any]]:
    """A load's contradictions as the caller may see them, the undecided first: of a series by
    stream and time with candidate values, of records with whole candidate rows."""
    with lake.db.transaction() as conn:
        _, dataset = loads.get(conn, actor, load_id)
        found = loads.shown(conn, actor, dataset, loads.contradictions(conn, load_id=load_id))
    return [
        {
            "id": one.id, "stream": one.stream_id, "time": one.t, "candidates": one.candidates,
            "hint": one.hint, "decision": one.decision, "decided_at": one.decided_at,
        }
        for one in found
    ]  # fmt: skip


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
        list_datasets, show_dataset, dataset_rows, put_rows, put_file, get_workbook, put_thing, stream_csv, show_load,
        undo_load, quarantine_csv, load_source_file, load_conflicts, decide_conflict,
    ],
)  # fmt: skip
