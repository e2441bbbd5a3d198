"""Values of drivers that give objects instead of the server's texts, as texts."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from dothi.net.foreign.model import MarkType


def as_text(value: Any) -> str | None:
    """A value as the loading of files reads it: a point in numbers, ISO 8601, \\x and hex digits."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return str(value)


def as_object(text: str, kind: MarkType) -> Any:
    """A watermark's text as the object that was it."""
    if kind == "integer":
        return int(text)
    if kind == "number":
        return Decimal(text)
    if kind == "date":
        return date.fromisoformat(text[:10])
    return datetime.fromisoformat(text)
