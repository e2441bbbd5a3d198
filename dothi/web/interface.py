"""What `/openapi.json` says beyond what the framework knows: errors in our one shape, and bodies.

A handler with a JSON body gives an example of it in `opt["example"]`; its type is the body's
schema. One that takes a file (form field "file") names the file's type in `opt["upload"]`. One that
answers in several forms names their media types in `opt["forms"]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from dothi.web.problem import JSON_TYPE

SAFE = frozenset({"GET", "OPTIONS"})


class FaultFound(msgspec.Struct):
    """One thing wrong with the input; `where` is a field, a path, or a row and column."""

    where: str
    detail: str


class Problem(msgspec.Struct):
    """What went wrong (RFC 9457): `type` is for programs and stable, the words are for people.

    `faults` lists everything wrong with the input; `reference` leads to the log's entry.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    faults: list[FaultFound] = []
    reference: str | msgspec.UnsetType = msgspec.UNSET


def document(app: Litestar) -> dict[str, Any]:
    """An application's interface as OpenAPI 3.1."""
    described = app.openapi_schema.to_schema()
    examples = []
    for handler, method, operation in _operations(app, described["paths"]):
        answers = {c: a for c, a in operation["responses"].items() if int(c) < 400}
        answers |= {str(int(s)): _problem(s.phrase) for s in _errors(handler, method, operation)}
        operation["responses"] = answers | {"default": _problem("Any other error")}
        for media_type in handler.opt.get("forms", ()):
            answers["200"].setdefault("content", {}).setdefault(media_type, {"schema": {}})
        if (example := handler.opt.get("example")) is not None:
            examples.append(example)
            operation["requestBody"] = {"required": True, "content": {"application/json": {
                "schema": _reference(type(example)), "example": msgspec.to_builtins(example),
            }}}  # fmt: skip
        elif upload := handler.opt.get("upload"):
            operation["requestBody"] = {"required": True, "content": {"multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {
                    "file": {"type": "string", "contentMediaType": upload}}},
            }}}  # fmt: skip
    _, ours = msgspec.json.schema_components(
        [Problem, *(type(example) for example in examples)],
        ref_template="#/components/schemas/{name}",
    )
    described.setdefault("components", {}).setdefault("schemas", {}).update(ours)
    return described


def _operations(
    app: Litestar, paths: dict[str, Any]
) -> Iterator[tuple[HTTPRouteHandler, str, dict[str, Any]]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            for method in handler.http_methods:
                operation = paths.get(getattr(route, "path_format", ""), {}).get(method.lower())
                if operation is not None:
                    yield handler, method, operation


def _errors(
    handler: HTTPRouteHandler, method: str, operation: dict[str, Any]
) -> Iterator[HTTPStatus]:
    """The refusals to be ready for: by the policy, for the input, for the state of things."""
    if operation.get("parameters") or method not in SAFE:
        yield HTTPStatus.BAD_REQUEST
    if handler.opt["access"] is not None:
        yield from (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
    if method not in SAFE:
        yield from (
            HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INSUFFICIENT_STORAGE,
        )  # fmt: skip
    yield HTTPStatus.SERVICE_UNAVAILABLE


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {JSON_TYPE: {"schema": _reference(Problem)}},
    }


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
