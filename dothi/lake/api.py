"""The datasets' own doors: rows in as JSON or file, rows out.

Each handler names the action it needs in `opt["access"]`; the policy is asked in the handler,
where the thing is known. `opt["example"]` and `opt["upload"]` describe bodies in `/openapi.json`.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, MultipartBody, QueryParameter

from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.identity.predicate import admits
from dothi.kernel.errors import Fault, Invalid, TooLarge
from dothi.lake import registry, rows
from dothi.lake import workbook as workbooks
from dothi.lake.answered import CSV_TYPE, Rejected, Stored, download, stored
from dothi.lake.files import FileStore
from dothi.lake.loading import Loaded, load_file
from dothi.lake.model import Source
from dothi.lake.out.api import dataset_rows
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.lake.service import Lake

MOST_BODY = 32 * 1024 * 1024


class RowsIn(msgspec.Struct, forbid_unknown_fields=True):
    """Rows with the contract's column names."""

    rows: list[dict[str, str | float | int | bool | None]]


class ThingIn(msgspec.Struct, forbid_unknown_fields=True):
    """A thing to make known or to describe anew."""

    key: list[str]
    name: dict[str, str] = {}
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    properties: dict[str, Any] = {}


EXAMPLE_ROWS = RowsIn([{"station": "G1", "time": "2026-01-02T03:00:00Z", "level": 2.5}])
EXAMPLE_THING = ThingIn(
    ["G1"], {"vi": "Trạm G1", "en": "Gauge G1"}, lon=108.2, lat=16.1, properties={"rhythm": "PT10M"}
)


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
    return download(out.getvalue(), file)


router = Router(
    "/api/v1",
    route_handlers=[
        list_datasets, show_dataset, dataset_rows, put_rows, put_file, get_workbook, put_thing, stream_csv,
    ],
)  # fmt: skip
