"""Agencies, accounts and actors: who asks, and for whom they act."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What a person or a key does in the house; `policy.MATRIX` says what that allows."""

    ADMIN = "admin"  # quản trị hệ thống
    OPERATOR = "operator"  # trực ban IOC
    OFFICER = "officer"  # cán bộ
    LEADER = "leader"  # lãnh đạo
    DATA = "data"  # đội dữ liệu
    AUDITOR = "auditor"  # kiểm tra
    PUBLIC = "public"  # everybody, signed in or not; never given to an account


STAFF_ROLES: frozenset[Role] = frozenset(Role) - {Role.PUBLIC}
"""The roles an account or a key can be given."""

ActorKind = Literal["person", "key", "anonymous", "system"]


@dataclass(frozen=True, slots=True)
class Agency:
    """An organisation that owns data and work. `code` is its lasting name for people and contracts,
    `id` (None until stored) the one in tables; `parent` is the code of the one above it.

    An agency that is merged or renamed gets an end date and a successor gets a new code, so what
    was decided under the old name keeps reading as it did. `valid_to` is the first day it no
    longer existed, `merged_into` the code of the one that it became part of. `unit` is the code of
    the administrative unit whose body it is: a commune's People's Committee.
    """

    code: str
    name_vi: str
    name_en: str
    parent: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    id: int | None = None
    merged_into: str | None = None
    unit: str | None = None

    def name(self, lang: str) -> str:
        return self.name_vi if lang == "vi" else self.name_en


@dataclass(frozen=True, slots=True)
class Account:
    """A person who signs in. The password's hash never leaves `accounts.py`."""

    id: int
    login: str
    display_name: str
    agency_id: int
    roles: frozenset[Role]
    created_at: datetime
    disabled_at: datetime | None = None
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, as the policy sees them; the same for a person, a key, nobody and the house itself.

    `agencies` holds the own agency and every one below it, `predecessors` those that were merged
    into it. `actions` limits a key to some of what its roles allow; None is no further limit.
    With `must_change` the password was told by somebody else, and has to be changed first.
    """

    kind: ActorKind
    account_id: int | None = None
    agency_id: int | None = None
    agencies: frozenset[int] = frozenset()
    roles: frozenset[Role] = frozenset()
    actions: frozenset[str] | None = None
    key_prefix: str | None = None
    name: str = ""
    predecessors: frozenset[int] = frozenset()
    must_change: bool = False

    @property
    def signed_in(self) -> bool:
        return self.kind != "anonymous"

    @property
    def ref(self) -> str:
        """The actor's name in events and in the audit trail: `account:7`, `key:ab12cd34`."""
        if self.kind == "person":
            return f"account:{self.account_id}"
        if self.kind == "key":
            return f"key:{self.key_prefix}"
        return self.kind


ANONYMOUS = Actor(kind="anonymous")
SYSTEM = Actor(kind="system", name="dothi")
"""The house itself: schedules, reactions, commands typed on the server."""


def roles_of(names: Iterable[str]) -> frozenset[Role]:
    """Stored role names as roles. A name that no longer exists gives nothing."""
    known = {role.value for role in STAFF_ROLES}
    return frozenset(Role(name) for name in names if name in known)
