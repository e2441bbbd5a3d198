"""Errors as people and machines see them: one table from cause to status, one shape (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import psycopg
from litestar import Request, Response
from litestar.exceptions import HTTPException

from dothi.kernel import errors, i18n, ids
from dothi.kernel.errors import DothiError

STATUSES: dict[type[DothiError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Busy: 409,
    errors.TooLarge: 413,
    errors.Invalid: 422,
    errors.IdempotencyMismatch: 422,
    errors.TooMany: 429,
    errors.Damaged: 500,
    errors.Misconfigured: 500,
    errors.Unavailable: 503,
    errors.StorageFull: 507,
}
JSON_TYPE = "application/problem+json"

log = logging.getLogger(__name__)


def status_of(error: DothiError) -> int:
    """The status of the nearest class in the table; 500 for a cause that has none."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    # The jail's failures are about the file that was given, not about us.
    return 422 if error.code.startswith("jail") else 500


def body_of(error: DothiError, lang: str, path: str) -> dict[str, Any]:
    """A problem document. `faults` lists everything wrong with the input."""
    status = status_of(error)
    # What is missing and what is hidden must read alike, or the words would tell them apart.
    hidden = isinstance(error, errors.NotFound) and error.key != "web.no_page"
    body: dict[str, Any] = {
        "type": f"urn:dothi:problem:{error.code}",
        "title": i18n.t(f"web.status_{status}", lang),
        "status": status,
        "detail": i18n.t("identity.not_found", lang) if hidden else error.text(lang),
        "instance": path,
    }
    if isinstance(error, errors.Invalid) and error.faults:
        body["faults"] = [{"where": f.where, "detail": f.text(lang)} for f in error.faults]
    return body


def as_dothi_error(error: Exception) -> tuple[DothiError, str | None]:
    """Any exception as one of ours; with a reference number where the log has more to say."""
    if isinstance(error, DothiError):
        return error, None
    if isinstance(error, HTTPException):
        return _from_framework(error), None
    if isinstance(error, psycopg.errors.DiskFull):
        return errors.StorageFull("lake.disk_full"), None
    if isinstance(error, psycopg.OperationalError):
        return errors.Unavailable("store.database_down", retry_after_s=1), None
    if isinstance(error, psycopg.DataError):
        # A NUL character, a number too large for its column: nothing of ours holds such a thing.
        log.warning("a request held what the database cannot store", exc_info=error)
        return BadRequestError("web.bad_request"), None
    reference = ids.token("ref")[:16]
    log.exception("unexpected error %s", reference, exc_info=error)
    return DothiError("web.unexpected", reference=reference), reference


def _from_framework(error: HTTPException) -> DothiError:
    status = error.status_code
    if status == HTTPStatus.NOT_FOUND:
        return errors.NotFound("web.no_page")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowedError("web.wrong_method")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return errors.TooLarge("web.body_too_large")
    faults = []
    extra = getattr(error, "extra", None)
    for item in extra if isinstance(extra, list) else []:
        if isinstance(item, dict):
            problem = str(item.get("message", ""))[:300]
            faults.append(
                errors.Fault(str(item.get("key", "")), "web.bad_field", {"problem": problem})
            )
    if not faults and error.detail:
        faults.append(errors.Fault("", "web.bad_field", {"problem": str(error.detail)[:300]}))
    return BadRequestError("web.bad_request", faults=faults)


class MethodNotAllowedError(DothiError):
    """The address is right, the verb is not."""

    code = "method_not_allowed"


class BadRequestError(errors.Invalid):
    """The request cannot be read: a parameter or the body has the wrong form."""

    code = "bad_request"


STATUSES[MethodNotAllowedError] = 405
STATUSES[BadRequestError] = 400


def wants_html(request: Request[Any, Any, Any]) -> bool:
    """Whether a page was asked for rather than data."""
    if request.url.path.startswith(("/api/", "/openapi", "/metrics", "/readyz", "/healthz")):
        return False
    return "text/html" in request.headers.get("accept", "")


def json_response(
    error: DothiError, lang: str, path: str, reference: str | None = None
) -> Response[Any]:
    """The answer to a machine."""
    body = body_of(error, lang, path)
    if reference:
        body["reference"] = reference
    headers = {}
    wait = getattr(error, "retry_after_s", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, int(wait)))
    if body["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(body, status_code=body["status"], media_type=JSON_TYPE, headers=headers)
