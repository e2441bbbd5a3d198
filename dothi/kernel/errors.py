"""What can go wrong for a user, one class per cause; `dothi/web/problem.py` maps causes to statuses.

An error carries a catalogue key and its parameters, so the same error reads in either language.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dothi.kernel.i18n import t


class DothiError(Exception):
    """Base of all; `code` is the stable name of the cause for machines and logs."""

    code: ClassVar[str] = "error"

    def __init__(self, key: str, /, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params

    def text(self, lang: str) -> str:
        """What is wrong, where, and what to do, for a person."""
        return t(self.key, lang, **self.params)

    def __str__(self) -> str:
        try:
            return self.text("en")
        except (KeyError, ValueError, TypeError):
            # A slip in the catalogue must not hide the error itself.
            return f"{self.key} {self.params}"


class Unauthenticated(DothiError):
    """We do not know who asks."""

    code = "unauthenticated"


class Forbidden(DothiError):
    """We know who asks, and the policy says no. Hidden things are `NotFound` instead."""

    code = "forbidden"


class NotFound(DothiError):
    """There is no such thing, or the one who asks may not know of it."""

    code = "not_found"


class Conflict(DothiError):
    """The request contradicts what is stored now."""

    code = "conflict"


@dataclass(frozen=True)
class Fault:
    """One thing wrong with the input; `where` is a field, a path, or a row and column."""

    where: str
    key: str
    params: dict[str, Any] = field(default_factory=dict)

    def text(self, lang: str) -> str:
        """What is wrong there, for a person."""
        return t(self.key, lang, **self.params)


class Invalid(DothiError):
    """The input cannot be accepted; `faults` names everything wrong with it at once."""

    code = "invalid"

    def __init__(self, key: str, /, *, faults: Sequence[Fault] = (), **params: object) -> None:
        super().__init__(key, **params)
        self.faults = list(faults)


class TooLarge(DothiError):
    """The input is bigger than the limit it meets."""

    code = "too_large"


class _Later(DothiError):
    def __init__(self, key: str, /, *, retry_after_s: int, **params: object) -> None:
        super().__init__(key, retry_after_s=retry_after_s, **params)
        self.retry_after_s = retry_after_s


class TooMany(_Later):
    """Too many requests in too short a time."""

    code = "too_many"


class Unavailable(_Later):
    """A part needed for the answer does not run at the moment."""

    code = "unavailable"


class StorageFull(DothiError):
    """The disk's reserve is reached: reading goes on, writing does not."""

    code = "storage_full"


class IdempotencyMismatch(DothiError):
    """An idempotency key was used again with a different body."""

    code = "idempotency_mismatch"


class Damaged(DothiError):
    """Something stored does not hold what it must: a home, a file, the audit chain."""

    code = "damaged"


class Busy(DothiError):
    """Somebody else holds what must be ours alone: the port, the data home."""

    code = "busy"


class Misconfigured(DothiError):
    """An option, a variable or a folder the operator gave cannot be used."""

    code = "misconfigured"
