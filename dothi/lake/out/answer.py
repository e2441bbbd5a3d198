"""One answer over HTTP from a page of rows: negotiated form, ETag, link to the next page."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import IO, Any
from urllib.parse import urlencode

from litestar import Request, Response
from litestar.response import Stream as StreamResponse

from dothi.identity.model import Actor
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.time import VN, parse_instant, rfc3339
from dothi.lake.out import formats
from dothi.lake.out.formats import FORMATS, Format
from dothi.lake.out.page import MOST_ROWS, Asked, Order, Page, page
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

_PIECE = 256 * 1024


def asked(
    *,
    filter: str | None,
    fields: str | None,
    order: Order,
    limit: int,
    after: str | None,
    as_of: str | None,
) -> Asked:
    """A request's parameters. Raises Invalid for an instant that is none."""
    names = tuple(name.strip() for name in (fields or "").split(",") if name.strip())
    return Asked(filter or "", names, order, limit, after, instant(as_of))


def instant(text: str | None) -> datetime | None:
    """An instant of a request, in Viet Nam's time where it has no offset. Raises Invalid."""
    if not text:
        return None
    # In a query string "+07:00" arrives with a blank where nobody encoded it.
    return parse_instant(text.replace(" ", "+") if "T" in text.upper() else f"{text}T00:00", VN)


def rows(
    request: Request[Any, Any, Any],
    lake: Lake,
    actor: Actor,
    dataset: Dataset,
    what: Asked,
    *,
    word: str | None,
    bom: bool,
    more: dict[str, Any] | None = None,
) -> Response[Any]:
    """A page of rows in the form asked for. `more`: what JSON says beside the dataset's name."""
    form = form_of(request, word)
    with page(lake, actor, dataset, what) as found:
        file = formats.written(
            form, found.cursor.sql(found.select), head_of(found) | (more or {}), bom=bom
        )
    headers = {"dothi-rows": str(found.count), "dothi-limit": str(found.limit)}
    headers["dothi-most-rows"] = str(MOST_ROWS)
    if found.next is not None:
        told = [
            (name, value) for name, value in request.query_params.multi_items() if name != "after"
        ]
        address = f"{request.url.path}?{urlencode([*told, ('after', found.next)])}"
        headers["link"] = f'<{address}>; rel="next"'
        headers["dothi-next"] = found.next
    return sent(request, file, form, dataset.name, headers)


def form_of(
    request: Request[Any, Any, Any], word: str | None, among: Collection[Format] = FORMATS
) -> Format:
    """The form a request asks for. Raises Invalid for a word that names none."""
    form = formats.chosen(word, request.headers.get("accept", ""), among)
    if form is None:
        known = ", ".join(one.word for one in among)
        raise Invalid(
            "out.rows_invalid", faults=[Fault("format", "out.rows_format", {"known": known})]
        )
    return form


def head_of(found: Page) -> dict[str, Any]:
    """What JSON says before the rows."""
    return {
        "dataset": found.dataset.name,
        "as_of": rfc3339(found.as_of) if found.as_of else None,
        "fields": [{"name": f.name, "type": f.type, "unit": f.unit} for f in found.fields],
        "count": found.count,
        "limit": found.limit,
        "most": MOST_ROWS,
        "next": found.next,
    }


def sent(
    request: Request[Any, Any, Any], file: IO[bytes], form: Format, name: str,
    headers: dict[str, str],
) -> Response[Any]:  # fmt: skip
    """A file as an answer; 304 where the caller holds the same already."""
    digest = hashlib.sha256(headers.get("dothi-next", "").encode())
    while piece := file.read(_PIECE):
        digest.update(piece)
    # Weak: the same rows may travel packed or not.
    tag = f'W/"{digest.hexdigest()[:32]}"'
    headers = headers | {"etag": tag, "cache-control": "private, no-cache", "vary": "accept"}
    if tag in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]:
        file.close()
        return Response(None, status_code=304, headers=headers)
    file.seek(0)
    if form is not formats.JSON:
        headers["content-disposition"] = f'attachment; filename="{name}.{form.ending}"'
    return StreamResponse(
        _pieces(file), media_type=form.media_type, headers=headers, status_code=200
    )


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
