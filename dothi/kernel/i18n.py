"""Every text a person sees, in Vietnamese and English, and how numbers and times are written.

The catalogue is the set of ``messages/<area>.toml``; an entry is a table ``[area.key]`` with the
strings ``vi`` and ``en``. Both may hold named fields, with these format codes of our own besides
the usual ones: ``{rows:n}`` a number as the language writes it (``n2``: two decimals),
``{at:date}``, ``{at:datetime}``.
"""

import datetime as dt
import re
import string
import tomllib
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, SupportsIndex

from dothi.kernel.zone import VN

Lang = Literal["vi", "en"]
LANGS = ("vi", "en")

MESSAGES = Path(__file__).parent / "messages"
NOTHING = "—"
MINUS = "\u2212"

# Wide enough for every float written out in full.
_ON_PAPER = Context(prec=350, rounding=ROUND_HALF_UP)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECONDS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


class Number(Protocol):
    """What `number` writes: int, float, Decimal and numpy's scalars."""

    def __float__(self) -> float: ...


def t(key: str, lang: str, /, **params: object) -> str:
    """The text of a catalogue entry with its fields filled in.

    Raises KeyError for an unknown key or language and for a field without a value.
    """
    text = catalogue()[key][lang]
    return _Writer(lang).vformat(text, (), params) if "{" in text else text


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """All entries by key, read from the files once."""
    entries: dict[str, dict[str, str]] = {}
    for path in sorted(MESSAGES.glob("*.toml")):
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        for key, entry in _entries(tables, ""):
            if key in entries:
                raise ValueError(f"{path.name}: {key} is already defined in another file")
            entries[key] = entry
    return entries


def number(value: Number | None, lang: str, digits: int | None = None) -> str:
    """A number as the language writes it: 1.234,5 (vi), 1,234.5 (en); a missing one as a dash.

    With `digits` exactly that many decimals, halves rounded away from zero as on paper; without,
    as many as the value has, up to twelve significant digits.
    """
    if value is None:
        return NOTHING
    exact = _decimal(value, 12 if digits is None else 17)
    if not exact.is_finite():
        return NOTHING
    if digits is not None:
        exact = exact.quantize(Decimal(1).scaleb(-digits), context=_ON_PAPER)
    whole, _, fraction = f"{exact.copy_abs():,f}".partition(".")
    if digits is None:
        fraction = fraction.rstrip("0")
    group, point = (".", ",") if lang == "vi" else (",", ".")
    sign = MINUS if exact < 0 else ""
    return sign + whole.replace(",", group) + (point + fraction if fraction else "")


def date(value: dt.date | None, lang: str) -> str:
    """A calendar date: 21/11/2025 (vi), 21 Nov 2025 (en). An instant counts in Vietnamese time."""
    if value is None:
        return NOTHING
    if isinstance(value, dt.datetime):
        value = _local(value)
    if lang == "vi":
        return f"{value.day:02d}/{value.month:02d}/{value.year:04d}"
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year:04d}"


def datetime_(value: dt.datetime | None, lang: str) -> str:
    """An instant to the minute in Vietnamese time: 21/11/2025 14:05 (vi), 21 Nov 2025 14:05 (en)."""
    if value is None:
        return NOTHING
    local = _local(value)
    return f"{date(local, lang)} {local.hour:02d}:{local.minute:02d}"


def duration(span: dt.timedelta, lang: str) -> str:
    """A length of time in its two largest units, cut, not rounded: "1 giờ 20 phút", "2 days"."""
    rest = int(abs(span).total_seconds())
    parts: list[str] = []
    for unit, seconds in _SECONDS:
        count, rest = divmod(rest, seconds)
        if count:
            key = f"common.{unit}_one" if count == 1 else f"common.{unit}_many"
            parts.append(t(key, lang, count=count))
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or t("common.under_a_minute", lang)


def relative(ahead: dt.timedelta, lang: str) -> str:
    """When something is or was, seen from now: "3 phút trước" for −3 minutes, "3 phút nữa" for +3."""
    if abs(ahead) < dt.timedelta(minutes=1):
        return t("common.just_now", lang)
    key = "common.ago" if ahead < dt.timedelta(0) else "common.from_now"
    return t(key, lang, span=duration(ahead, lang))


def remaining(left: dt.timedelta, lang: str) -> str:
    """What is left of a deadline: "Còn 1 giờ 20 phút"; below zero "Quá hạn 2 ngày"."""
    key = "common.overdue_by" if left < dt.timedelta(0) else "common.time_left"
    return t(key, lang, span=duration(left, lang))


class _Writer(string.Formatter):
    """str.format with the codes that depend on the language."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "n":
            return number(value, self.lang)
        if format_spec[:1] == "n" and format_spec[1:].isdecimal():
            return number(value, self.lang, int(format_spec[1:]))
        if format_spec == "date":
            return date(value, self.lang)
        if format_spec == "datetime":
            return datetime_(value, self.lang)
        if format_spec == "type":
            return t(f"kernel.type_{value}", self.lang)
        if format_spec == "written":
            return written(str(value), self.lang)
        return super().format_field(value, format_spec)


def written(form: str, lang: str) -> str:
    """A strptime form as people write it: %d/%m/%Y is day/month/year. Other texts stay."""
    for code in set(re.findall("%[dmYyHIMSpf]", form)):
        form = form.replace(code, t(f"kernel.written_{_CODES[code[1]]}", lang))
    return form


_CODES = {
    "d": "day", "m": "month", "Y": "year", "y": "short_year", "H": "hour", "I": "hour",
    "M": "minute", "S": "second", "p": "half_day", "f": "fraction",
}  # fmt: skip


def _entries(table: Mapping[str, Any], prefix: str) -> list[tuple[str, dict[str, str]]]:
    """The leaves of nested TOML tables, by their dotted path."""
    if any(isinstance(value, str) for value in table.values()):
        return [(prefix, dict(table))]
    found: list[tuple[str, dict[str, str]]] = []
    for name, inner in table.items():
        found += _entries(inner, f"{prefix}.{name}" if prefix else name)
    return found


def _decimal(value: Number, significant: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, float) and isinstance(value, SupportsIndex):
        return Decimal(value.__index__())
    return Decimal(f"{float(value):.{significant}g}" if significant < 17 else repr(float(value)))


def _local(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise ValueError("an instant without a time zone cannot be shown")
    return value.astimezone(VN)
