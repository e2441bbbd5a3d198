"""Sources, pulls and their runs; when a pull is due, where it begins, whether its counts agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Literal

from dothi.identity.policy import Resource
from dothi.kernel.time import VN
from dothi.net.foreign.model import Kind, MarkType, Tls

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ENVIRONMENT = "DOTHI_PULL_PASSWORD_"
"""How a variable with a password begins. No other may be named: its content goes to a server that
whoever sets up the source has chosen."""
ENVIRONMENT_NAME = re.compile(ENVIRONMENT + "[A-Z0-9_]{1,60}")
MOST_QUERY = 20_000
AHEAD = timedelta(days=1)
"""A watermark further in the future than this is not followed: nothing would be read any more."""
LONGEST_WAIT = timedelta(hours=1)
LOGIN_WAIT = timedelta(hours=1)
LONGEST_LOGIN_WAIT = timedelta(days=1)
"""Wrong passwords lock accounts: after a refused login the next try waits longer."""

MOST_DIGITS = 1_000
_EXACT = Context(prec=3 * MOST_DIGITS)
"""A watermark that were rounded up would pass rows over."""

State = Literal["running", "done", "more", "failed", "interrupted"]


@dataclass(frozen=True)
class Source:
    """A database of somebody else's, and the account that reads it."""

    id: int
    name: str
    kind: Kind
    host: str
    port: int
    database: str
    account: str
    password_env: str | None
    tls: Tls
    agency_id: int
    created_by: str
    created_at: datetime

    @property
    def resource(self) -> Resource:
        """What the policy judges."""
        return Resource("pull", self.name, owner_agency=self.agency_id)


@dataclass(frozen=True)
class Pull:
    """One SELECT that keeps one dataset up. Without `mark` every run reads all rows."""

    id: int
    name: str
    source_id: int
    dataset_id: int
    query: str
    mark: str | None
    mark_type: MarkType | None
    overlap: int
    every_min: int | None
    daily_at: time | None
    batch_rows: int
    enabled: bool
    created_by: str
    created_at: datetime
    due_at: datetime | None
    asked_by: str | None
    failures: int
    reached: str | None
    pending: dict[str, Any] | None
    last_content: str | None
    last_load: int | None


@dataclass(frozen=True)
class Run:
    """One run: from where to where, what the source counted, what came of its rows.

    `new`, `changed`, `same` and `removed` count what is stored: rows of records, values of series.
    """

    id: int
    pull_id: int
    asked_by: str | None
    started_at: datetime
    ended_at: datetime | None
    state: State
    mark_from: str | None
    mark_to: str | None
    counted: int | None
    read: int
    parsed: int
    new: int
    changed: int
    same: int
    removed: int
    twice: int
    rejected: int
    loads: list[int]
    findings: list[dict[str, Any]]
    error: dict[str, Any] | None


def next_due(every_min: int | None, daily_at: time | None, now: datetime) -> datetime:
    """When a pull runs next after a run that ended `now`; the time of day is that of Vietnam."""
    if every_min is not None:
        return now + timedelta(minutes=every_min)
    assert daily_at is not None
    local = now.astimezone(VN)
    at = datetime.combine(local.date(), daily_at, VN)
    return at if at > local else at + timedelta(days=1)


def wait_after(key: str, failures: int) -> timedelta:
    """How long after the `failures`-th failure in a row the next try waits."""
    doubled = 2 ** min(failures - 1, 20)
    if key == "pulls.login":
        return min(LOGIN_WAIT * doubled, LONGEST_LOGIN_WAIT)
    return min(timedelta(minutes=1) * doubled, LONGEST_WAIT)


def start_of(pull: Pull) -> str | None:
    """The watermark's first value of the next run: the one reached, the overlap taken back.

    The value reached is read again: rows may have come since that have the same. None: from the
    beginning. ValueError where the text is none of the type.
    """
    if pull.mark_type is None or pull.reached is None:
        return None
    return back(pull.reached, pull.mark_type, pull.overlap)


def back(text: str, kind: MarkType, by: int) -> str:
    """A watermark's value taken back by seconds, days or whole numbers. ValueError."""
    if kind in ("integer", "number"):
        return format(_EXACT.subtract(_number(text), Decimal(by)), "f")
    if kind == "date":
        return (date.fromisoformat(text[:10]) - timedelta(days=by)).isoformat()
    at = datetime.fromisoformat(text)
    return (at - timedelta(seconds=by)).isoformat(sep=" ") if by else text


def not_ahead(text: str, kind: MarkType, now: datetime) -> str:
    """A watermark's value, or the farthest instant that it may have now. ValueError."""
    if kind == "date":
        day = date.fromisoformat(text[:10])
        return min(day, (now.astimezone(VN) + AHEAD).date()).isoformat()
    if kind == "timestamp":
        at = datetime.fromisoformat(text)
        edge = now + AHEAD if at.tzinfo else (now.astimezone(VN) + AHEAD).replace(tzinfo=None)
        return text if at <= edge else edge.isoformat(sep=" ", timespec="seconds")
    return back(text, kind, 0)


def farther(a: str, b: str, kind: MarkType) -> str:
    """The later of two values of a watermark. ValueError."""
    if kind in ("integer", "number"):
        return b if _number(b) > _number(a) else a
    if kind == "date":
        return max(a[:10], b[:10])
    first, second = datetime.fromisoformat(a), datetime.fromisoformat(b)
    if (first.tzinfo is None) != (second.tzinfo is None):
        return b  # the column has got another type: its newest value counts
    return b if second > first else a


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        raise ValueError(text)
    return number


def query_fault(query: str) -> str | None:
    """Why a text is not one SELECT, as a key of the catalogue; None: it may be one.

    The account that only reads is what protects the source; this keeps slips away.
    """
    text = query.strip()
    if not text:
        return "pulls.query_empty"
    if len(text) > MOST_QUERY:
        return "pulls.query_long"
    bare = _TOLD.sub(" ", text)
    if ";" in bare or "\x00" in text:
        return "pulls.query_many"
    if not re.match(r"(select|with)\b", bare.lstrip(" (\n\r\t"), re.IGNORECASE):
        return "pulls.query_no_select"
    depth = 0
    for letter in bare:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return "pulls.query_brackets"
    return "pulls.query_brackets" if depth else None


_TOLD = re.compile(r"""'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
"""Texts, quoted names and comments, in which signs mean nothing."""


def compared(run: Run, *, records: bool) -> list[dict[str, Any]]:
    """Where the counts of a run do not agree: `{"kind", "count"}`.

    What the source counted must have been read, what was read must have been found in the file,
    and each row of records found there is kept, a repetition, or rejected.
    """
    out = []
    if run.counted is not None and run.counted != run.read:
        kind = "left" if run.state == "more" else "unread"
        out.append({"kind": kind, "count": run.counted - run.read})
    if run.read != run.parsed:
        out.append({"kind": "misread", "count": run.read - run.parsed})
    kept = run.new + run.changed + run.same
    if records and run.parsed != kept + run.twice + run.rejected:
        out.append({"kind": "unaccounted", "count": run.parsed - kept - run.twice - run.rejected})
    return out
