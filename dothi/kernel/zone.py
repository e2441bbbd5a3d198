"""The time zone of Vietnam, kept apart so that texts and times can both use it."""

from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

VN_NAME = "Asia/Ho_Chi_Minh"


def _vietnam() -> tzinfo:
    try:
        return ZoneInfo(VN_NAME)
    except (ZoneInfoNotFoundError, OSError):
        # Machines without tzdata: exact since 1975-06-13, one hour off before that.
        return timezone(timedelta(hours=7), VN_NAME)


VN: tzinfo = _vietnam()
"""Vietnamese civil time: UTC+07:00, no daylight saving time."""
