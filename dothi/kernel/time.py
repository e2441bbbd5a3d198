"""Instants, zones, and where a local day begins. Everything stored is UTC; a zone is always said."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dothi.kernel.errors import Invalid
from dothi.kernel.zone import VN, VN_NAME

__all__ = [
    "VN",
    "day_bounds",
    "day_start",
    "floor_hour",
    "local_date",
    "parse_instant",
    "rfc3339",
    "utc_now",
    "zone",
]

_LAST_DAY = date.max
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)

_ISO = re.compile(
    r"(?P<day>\d{4}-?\d\d-?\d\d)[Tt ]"
    r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"\ ?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"[+-]\d\d:\d\d", re.ASCII)


def utc_now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


@cache
def zone(name: str) -> tzinfo:
    """A zone by its IANA name or as a fixed offset ("+07:00"); Invalid for anything else."""
    if name == VN_NAME:
        return VN
    if name in ("UTC", "Z"):
        return UTC
    if _OFFSET.fullmatch(name) and int(name[1:3]) < 24 and int(name[4:6]) < 60:
        size = timedelta(hours=int(name[1:3]), minutes=int(name[4:6]))
        return timezone(-size if name[0] == "-" else size, name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid("kernel.unknown_zone", zone=name) from error


def named_zone(name: str) -> str:
    """A zone's name as databases know it: "+07:00" is "Etc/GMT-7", whose sign counts westward.

    Raises Invalid for what `zone` does not know, and for an offset that is no whole number of hours.
    """
    zone(name)
    if not _OFFSET.fullmatch(name):
        return "UTC" if name == "Z" else name
    hours = int(name[:3])
    if name[4:6] != "00" or not -12 <= hours <= 14:
        raise Invalid("kernel.unknown_zone", zone=name)
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def parse_instant(text: str, local: tzinfo | None = None) -> datetime:
    """An ISO 8601 date and time as an instant in UTC.

    A text without an offset is read in the zone `local`, and is Invalid where none is given or
    where that zone's clocks skipped the time; of a time that happened twice the first is meant.
    24:00 is the next midnight. Digits beyond the microsecond are cut.
    """
    parts = _ISO.fullmatch(text.strip())
    if parts is None:
        raise Invalid("kernel.bad_instant", text=text)
    try:
        day = date.fromisoformat(parts["day"])
        hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
        microsecond = int((parts["fraction"] or "").ljust(6, "0")[:6])
        midnight = timedelta(0)
        if (hour, minute, second, microsecond) == (24, 0, 0, 0):
            hour, midnight = 0, timedelta(days=1)
        naive = datetime(day.year, day.month, day.day, hour, minute, second, microsecond) + midnight
        offset = parts["offset"]
        if offset is not None:
            return naive.replace(tzinfo=_offset(offset)).astimezone(UTC)
        if local is None:
            raise Invalid("kernel.instant_without_zone", text=text)
        instant = naive.replace(tzinfo=local).astimezone(UTC)
        if instant.astimezone(local).replace(tzinfo=None) != naive:
            raise Invalid("kernel.skipped_time", text=text, zone=str(local))
        return instant
    except (ValueError, OverflowError) as error:
        raise Invalid("kernel.bad_instant", text=text) from error


def rfc3339(at: datetime) -> str:
    """An instant as machines read it: 2025-11-21T07:05:00Z, with a fraction only if it has one."""
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def local_date(at: datetime, local: tzinfo) -> date:
    """The calendar date on which the instant falls in the zone."""
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    try:
        return at.astimezone(local).date()
    except OverflowError as error:
        raise Invalid("kernel.beyond_calendar") from error


def day_start(day: date, local: tzinfo) -> datetime:
    """The instant at which the day begins in the zone, in UTC.

    Where midnight was skipped, the first instant of the day. Invalid before UTC's year 1.
    """
    try:
        return datetime(day.year, day.month, day.day, tzinfo=local).astimezone(UTC)
    except OverflowError as error:
        raise Invalid("kernel.beyond_calendar") from error


def day_bounds(day: date, local: tzinfo) -> tuple[datetime, datetime]:
    """Beginning (included) and end (excluded) of a local day, in UTC."""
    start = day_start(day, local)
    if day < _LAST_DAY:
        return start, day_start(day + timedelta(days=1), local)
    try:
        return start, start + timedelta(days=1)
    except OverflowError:
        return start, _END_OF_TIME


def floor_hour(at: datetime, local: tzinfo) -> datetime:
    """The last full hour on the zone's clocks at or before the instant, in UTC."""
    shown = at.astimezone(local)
    past = timedelta(minutes=shown.minute, seconds=shown.second, microseconds=shown.microsecond)
    return at.astimezone(UTC) - past


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise ValueError(text)
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-size if text[0] == "-" else size)
