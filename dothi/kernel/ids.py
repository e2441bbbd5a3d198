"""Identifiers: time-ordered ids, secret tokens, and the codes people read out on the telephone."""

import secrets
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Without 0/o, 1/l/i: a token may have to be typed.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_TOKEN_LENGTH = 40

_lock = threading.Lock()
_last = 0


def new_id() -> uuid.UUID:
    """A UUID version 7 (RFC 9562): ids made later in this process sort later, also as text.

    48 bits milliseconds, 12 bits of the millisecond, 62 random bits.
    """
    global _last
    with _lock:
        # In units of 1/4096 ms; a clock that stands or steps back must not break the order.
        _last = max((time.time_ns() << 12) // 1_000_000, _last + 1)
        ticks = _last
    value = (ticks >> 12 & (1 << 48) - 1) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64
    return uuid.UUID(int=value | 0b10 << 62 | secrets.randbits(62))


def id_time(value: uuid.UUID) -> datetime:
    """When a `new_id` was made, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=value.int >> 80)


def token(prefix: str) -> str:
    """A fresh secret of 198 random bits; the prefix tells people and scanners what it opens."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH))}"


def work_code(year: int, n: int) -> str:
    """The code of the n-th work item (vụ việc) of a year, as it stands on paper: VV-2025-000123."""
    if not 1 <= year <= 9999 or n < 1:
        raise ValueError(f"no work code for {n} of {year}")
    return f"VV-{year:04d}-{n:06d}"
