"""What a person typed into a field, as a value of its column: one way for pages, files and programs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from dothi.forms.model import Cells
from dothi.kernel.errors import Fault
from dothi.kernel.i18n import number, t
from dothi.kernel.zone import VN
from dothi.lake.form import Asked, Form

MOST_TEXT = 2_000
_MARKS = {"vi": (".", ","), "en": (",", ".")}
"""In each language the mark between thousands, and that before decimals."""
_DAYS = ("%Y-%m-%d", "%d/%m/%Y")
_MOMENTS = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M")
_YES = {"1", "true", "yes", "có"}
_NO = {"0", "false", "no", "không"}


def cell(asked: Asked, given: Any, lang: str) -> dict[str, Any] | None:
    """A cell of a draft: {"v": value}, or {"t": text} for what is no value of the column; None for
    nothing. Numbers in texts are read as the language writes them."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    value = _value(asked, given, lang)
    return {"t": str(given)[:MOST_TEXT]} if value is None else {"v": value}


def cells(form: Form, given: Mapping[str, Any], lang: str) -> Cells:
    """The cells of a draft out of what was typed, by column."""
    found = ((a.name, cell(a, given.get(a.name), lang)) for a in form.asked)
    return {name: one for name, one in found if one is not None}


def faults(form: Form, found: Cells) -> list[Fault]:
    """Everything that keeps cells from being submitted; each fault names its column."""
    out: list[Fault] = []
    for asked in form.asked:
        one = found.get(asked.name)
        if one is None:
            if not asked.optional:
                out.append(Fault(asked.name, "forms.needed"))
        elif "t" in one:
            out.append(Fault(asked.name, f"forms.not_{asked.type}", {"text": one["t"][:60]}))
        elif fault := _outside(asked, one["v"]):
            out.append(fault)
    return out


def shown(asked: Asked, one: Mapping[str, Any] | None, lang: str) -> str:
    """A cell as a field shows it, so that reading it gives the same cell."""
    if one is None:
        return ""
    if "t" in one:
        return one["t"]
    return written(asked, one["v"], lang)


def written(asked: Asked, value: Any, lang: str) -> str:
    """A value as the language writes it; of a date or a choice as forms send it."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if asked.type in ("number", "integer"):
        exponent = Decimal(repr(value)).normalize().as_tuple().exponent
        return number(value, lang, max(0, -int(exponent))).replace("\u2212", "-")
    if asked.type == "instant":
        local = datetime.fromisoformat(value).astimezone(VN).replace(tzinfo=None)
        return local.isoformat(timespec="minutes")
    return str(value)


def word(value: bool, lang: str) -> str:
    """Yes or no as people write it into a file."""
    return t("common.yes" if value else "common.no", lang).lower()


def _outside(asked: Asked, value: Any) -> Fault | None:
    if asked.choices and value not in asked.choices:
        return Fault(asked.name, "lake.bad_choice", {"choices": ", ".join(asked.choices)})
    if isinstance(value, bool | str):
        return None
    if (asked.low is not None and value < asked.low) or (
        asked.high is not None and value > asked.high
    ):
        limits = {"low": asked.low, "high": asked.high}
        key = "forms.outside" if None not in limits.values() else (
            "forms.too_small" if asked.low is not None else "forms.too_large"
        )  # fmt: skip
        return Fault(asked.name, key, {k: v for k, v in limits.items() if v is not None})
    return None


def _value(asked: Asked, given: Any, lang: str) -> Any:
    """The value, or None for what is none of this column's type."""
    if asked.type == "boolean":
        return given if isinstance(given, bool) else _boolean(str(given))
    if isinstance(given, bool):
        return None
    if asked.type in ("number", "integer"):
        found = float(given) if isinstance(given, int | float) else _number(str(given), lang)
        if found is None or not math.isfinite(found) or abs(found) >= 2**53:
            return None
        if asked.type == "integer":
            return int(found) if found == int(found) else None
        return found
    text = str(given).strip()
    if asked.type == "date":
        return _date(text)
    if asked.type == "instant":
        return _instant(text)
    plain = len(text) <= MOST_TEXT and not any(c in text for c in "\0\x1f\ud800")
    return text if plain else None


def _number(text: str, lang: str) -> float | None:
    """A number with the language's marks; where only one reading is possible, with the other's."""
    text = re.sub(r"[\s\u00a0\u202f]", "", text).replace("\u2212", "-")
    group, point = _MARKS[lang]
    for g, p in ((group, point), (point, group)):
        whole = rf"[+-]?(?:\d{{1,3}}(?:{re.escape(g)}\d{{3}})+|\d+)(?:{re.escape(p)}\d+)?"
        if re.fullmatch(whole, text, re.ASCII):
            return float(text.replace(g, "").replace(p, "."))
    return None


def _boolean(text: str) -> bool | None:
    word = text.strip().casefold()
    return True if word in _YES else False if word in _NO else None


def _date(text: str) -> str | None:
    for form in _DAYS:
        try:
            return datetime.strptime(text.removesuffix(" 00:00:00"), form).date().isoformat()
        except ValueError:
            continue
    return None


def _instant(text: str) -> str | None:
    for form in _MOMENTS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=VN).astimezone(UTC).isoformat()
        except (ValueError, OverflowError):
            continue
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        found = _date(text)
        if found is None:
            return None
        day = date.fromisoformat(found)
        at = datetime(day.year, day.month, day.day, tzinfo=VN)
    return (at if at.tzinfo else at.replace(tzinfo=VN)).astimezone(UTC).isoformat()
