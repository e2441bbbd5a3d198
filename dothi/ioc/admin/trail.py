"""The audit trail in words, for the pages that show parts of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dothi.identity import audit
from dothi.identity.audit import Entry
from dothi.identity.model import SYSTEM
from dothi.kernel.i18n import catalogue, date, datetime_, number, t
from dothi.store.database import Connection

LONGEST_DETAIL = 600
_ACCOUNT = re.compile(r"account:\d+")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_CODES = {
    "kind": "work.kind", "roles": "identity.role", "role": "identity.role", "from": "work.state",
    "to": "work.state",
}  # fmt: skip
"""Facts whose values are codes, and where these stand in words."""


@dataclass(frozen=True)
class Line:
    """One act. `detail` is what changed, as it is sealed, its names and codes in words."""

    seq: int
    at: datetime
    who: str
    what: str
    subject: str
    detail: str


def lines(conn: Connection, lang: str, **wanted: Any) -> tuple[Line, ...]:
    """Acts in words, newest first; `wanted` as for `audit.entries`."""
    return in_words(conn, audit.entries(conn, **wanted), lang)


def in_words(conn: Connection, entries: Iterable[Entry], lang: str) -> tuple[Line, ...]:
    """Acts with the logins of who did them: names may be alike, and change."""
    found = list(entries)
    refs = {ref for e in found for ref in (e.actor, e.subject, *_ACCOUNT.findall(e.detail)) if ref}
    logins = {ref: login for ref, login, _ in _accounts(conn, refs)}
    return tuple(
        Line(
            seq=e.seq,
            at=moment_of(e.at),
            who=_who(e.actor, logins, lang),
            what=act_text(e.action, lang),
            subject=logins.get(e.subject or "", e.subject or ""),
            detail=_detail(e.detail, logins, lang),
        )
        for e in found
    )


def in_words_of(conn: Connection, refs: Iterable[str], lang: str) -> dict[str, str]:
    """Who is meant by `account:7` or `key:ab12cd34`, for people: by their names."""
    asked = set(refs)
    names = {ref: name for ref, _, name in _accounts(conn, asked)}
    return {ref: _who(ref, names, lang) for ref in asked}


def called(ref: str, name: str, lang: str) -> str:
    """Who is meant by `ref`, by the `name` they had then."""
    return t("admin.by_system", lang) if ref == SYSTEM.ref else name


def _accounts(conn: Connection, refs: Iterable[str]) -> list[tuple[str, str, str]]:
    """Of the accounts among `refs`: the ref, the login and the name."""
    return conn.execute(
        "SELECT 'account:' || id, login, display_name FROM account "
        "WHERE 'account:' || id = ANY (%s)",
        (sorted(refs),),
    ).fetchall()


def act_text(action: str, lang: str) -> str:
    """What was done: "Đăng nhập"; the bare name of an act that has no words."""
    return _word("admin.act", action, lang)


def moment_of(text: str) -> datetime:
    """The instant of an entry or a seal, as they are sealed."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _who(ref: str | None, names: dict[str, str], lang: str) -> str:
    if ref is None:
        return t("admin.nobody_known", lang)
    if ref == SYSTEM.ref:
        return t("admin.by_system", lang)
    if ref.startswith("key:"):
        return t("admin.by_key", lang, prefix=ref.removeprefix("key:"))
    return names.get(ref, ref)


def _detail(text: str, logins: dict[str, str], lang: str) -> str:
    line = "; ".join(_facts(json.loads(text), logins, lang))
    return line if len(line) <= LONGEST_DETAIL else line[:LONGEST_DETAIL] + "…"


def _facts(said: dict[str, Any], logins: dict[str, str], lang: str) -> list[str]:
    return [
        f"{_word('admin.said', name, lang)}: {_value(name, value, logins, lang)}"
        for name, value in said.items()
        if value not in (None, "", [], {})
    ]


def _value(name: str, value: Any, logins: dict[str, str], lang: str) -> str:
    if isinstance(value, dict):
        return f"({', '.join(_facts(value, logins, lang))})"
    if isinstance(value, list):
        return ", ".join(_value(name, one, logins, lang) for one in value if one is not None)
    if isinstance(value, bool):
        return t("common.yes" if value else "common.no", lang)
    if not isinstance(value, str):
        return number(value, lang) if isinstance(value, float) else str(value)
    if value == SYSTEM.ref or value in logins:
        return _who(value, logins, lang)
    if _MOMENT.fullmatch(value):
        return datetime_(datetime.fromisoformat(value), lang)
    if _DAY.fullmatch(value):
        return date(datetime.fromisoformat(value).date(), lang)
    area = _CODES.get(name)
    return _word(area, value, lang) if area else value


def _word(area: str, code: str, lang: str) -> str:
    key = f"{area}.{code}"
    return t(key, lang) if key in catalogue() else code
