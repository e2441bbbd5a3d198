"""What the texts of one column seem to mean: numbers and how they are written, times, places."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MOSTLY = 0.95
"""Of a column's values so many must be of a kind; the rest are listed as strange."""

MISSING_WORDS = {
    "..", "...", "…", "-", "--", "–", "—", "n/a", "na", "#n/a", "null", "none", "nan", "x", "*",
    "không có", "chưa có", "khong co", "missing",
}  # fmt: skip
MISSING_NUMBERS = {"-999", "-9999", "-99", "-999.0", "-9999.0", "-99.9", "-999.9", "-999,0"}

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_POINT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d{1,3})?")
_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?")
_GROUPED = {
    (",", "."): re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d+)?"),
    (".", ","): re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"),
    (",", " "): re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:,\d+)?"),
}
_CODE = re.compile(r"0\d+")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d/%m/%y", "%m/%d/%y")
_OTHER_TIMES = ("%Y%m%d", "%m/%Y", "%Y-%m", "%Y%m%d%H%M", "%Y%m%d%H%M%S")
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
)
_LONGITUDE = re.compile(r"(^|_)(lon|lng|long|longitude|kinh_do|point_x)($|_)")
_LATITUDE = re.compile(r"(^|_)(lat|latitude|vi_do|point_y)($|_)")
_YEAR = re.compile(r"(^|_)(year|nam|yr)($|_)")
_MONTH = re.compile(r"(^|_)(month|thang)($|_)")
_DAY = re.compile(r"(^|_)(day|ngay)($|_)")
_CODE_BY_NAME = re.compile(
    r"(^|_)(phone|tel|mobile|fax|dien_thoai|sdt|so_dt|postcode|zip|cccd|cmnd|mst|ma_so|ma_buu_chinh)($|_)"
)
"""Digits that are no number: nobody adds them up."""
BEFORE_YEAR = r"(?:(?:prel|pre|est|sơ bộ|so bo|ước|năm|x)[. ]*)?"
_YEAR_SAID = re.compile(rf"(?i){BEFORE_YEAR}(?P<year>(?:19|20)\d\d)")
MONTHS = re.compile(
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?|(?:tháng|thg|t)\s?\d{1,2}",
    re.IGNORECASE,
)


@dataclass
class Guess:
    """What a column seems to hold.

    `kind`: integer, number, time, year, month, day, lon, lat, geometry, text or blank. Shares are
    of the rows looked at.
    """

    name: str
    kind: str
    blank: float
    distinct: int
    decimal: str | None = None
    thousands: str | None = None
    form: str | None = None
    """strptime form of a time; None for ISO 8601."""
    wordy: bool = False
    """Some of the years have a word before them ("Prel. 2016")."""
    unique: bool = False
    day_first: bool | None = None
    missing: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    examples: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without what is not known."""
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False and value != []
        }


def slug(name: str) -> str:
    """A header as a name in a contract: a-z, 0-9 and _, Vietnamese without its marks."""
    plain = unicodedata.normalize("NFD", name.replace("đ", "d").replace("Đ", "D"))
    plain = plain.encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:50].strip("_")
    return plain if plain[:1].isalpha() else f"c_{plain}".rstrip("_")


def guess(name: str, values: Sequence[str | None]) -> Guess:
    """What the column called `name` with these texts seems to hold."""
    texts = [v.strip() for v in values if v is not None and v.strip()]
    rows = len(values)
    out = Guess(name, "blank", round(1 - len(texts) / rows, 4) if rows else 1.0, len(set(texts)))
    if not texts:
        return out
    counts = Counter(texts)
    out.unique = len(counts) == rows
    out.missing = [w for w in counts if w.lower() in MISSING_WORDS][:20]
    rest = {t: n for t, n in counts.items() if t.lower() not in MISSING_WORDS}
    out.examples = [t[:100] for t in list(rest)[:3]]
    if not rest:
        return out
    plain = slug(name)
    if _shape(name, rest):
        out.kind = "geometry"
    elif not (_wordy_year(out, rest) or _number(out, rest) or _time(out, rest)):
        out.kind = "text"
        if sum(n for t, n in rest.items() if MONTHS.fullmatch(t)) >= MOSTLY * sum(rest.values()):
            out.kind = "month"
    if out.kind in ("integer", "number"):
        if _CODE_BY_NAME.search(plain):
            out.kind, out.decimal, out.thousands, out.strange = "text", None, None, []
        _meaning(out, plain)
        numbers = [w for w in rest if w in MISSING_NUMBERS and out.kind not in ("lon", "lat")]
        out.missing += numbers
        if numbers:
            bounds(out, [t for t in rest if t not in numbers])
    elif out.kind == "text" and len(out.missing) and len(rest) > 20:
        # A dash or an x among many words is a word.
        out.missing = [w for w in out.missing if w not in ("x", "*", "na")]
    return out


def _shape(name: str, rest: dict[str, int]) -> bool:
    first = next(iter(rest))
    return name == "geometry" and first.split("(")[0].strip().isupper()


def _share(rest: dict[str, int], fits: Any) -> float:
    return sum(n for t, n in rest.items() if fits(t)) / sum(rest.values())


def _wordy_year(out: Guess, rest: dict[str, int]) -> bool:
    if all(map(str.isdigit, rest)) or not all(map(_YEAR_SAID.fullmatch, rest)):
        return False
    out.kind, out.wordy = "year", True
    return True


def _number(out: Guess, rest: dict[str, int]) -> bool:
    """Numbers: with a point, with a comma, or with digits in groups."""
    if _share(rest, _CODE.fullmatch) > 0 and _share(rest, _INTEGER.fullmatch) > MOSTLY:
        lengths = {len(t) for t in rest}
        if len(lengths) <= 3 and not any("." in t or "," in t for t in rest):
            return False  # a code keeps its zeros
    if _share(rest, _INTEGER.fullmatch) >= MOSTLY and len({len(t) for t in rest}) >= 1:
        if all(_form_of(t) == "%Y%m%d" for t in list(rest)[:50]) and len(rest) > 1:
            return False
        out.kind = "integer"
        return _numbers(out, rest, _INTEGER, ".", None)
    for (decimal, thousands), pattern in _GROUPED.items():
        whole = _COMMA if decimal == "," else _POINT
        several = any(t.count(thousands) > 1 or (decimal in t and thousands in t) for t in rest)

        def either(t: str, p: re.Pattern[str] = pattern, w: re.Pattern[str] = whole) -> bool:
            return bool(p.fullmatch(t) or w.fullmatch(t))

        if several and _share(rest, either) >= MOSTLY and _share(rest, pattern.fullmatch) > 0:
            out.kind = "number"
            return _numbers(out, rest, either, decimal, thousands)
    if _share(rest, _POINT.fullmatch) >= MOSTLY:
        out.kind = "number"
        return _numbers(out, rest, _POINT, ".", None)
    if _share(rest, _COMMA.fullmatch) >= MOSTLY:
        out.kind = "number"
        return _numbers(out, rest, _COMMA, ",", None)
    return False


def _numbers(
    out: Guess, rest: dict[str, int], fits: Any, decimal: str, thousands: str | None
) -> bool:
    fits = getattr(fits, "fullmatch", fits)
    if out.kind == "number":
        out.decimal, out.thousands = decimal, thousands
    out.strange = [t[:60] for t in rest if not fits(t)][:10]
    bounds(out, [t for t in rest if fits(t)])
    return True


def bounds(out: Guess, texts: Sequence[str]) -> None:
    """Set the least and the greatest of the column's numbers."""
    numbers = []
    for text in texts:
        if out.thousands:
            text = re.sub(r"[\s\u00a0\u202f]", "", text.replace(out.thousands, ""))
        try:
            numbers.append(float(text.replace(",", ".") if out.decimal == "," else text))
        except ValueError:
            continue
    if numbers:
        out.low, out.high = min(numbers), max(numbers)


def _meaning(out: Guess, plain: str) -> None:
    if out.kind not in ("integer", "number"):
        return
    low = out.low if out.low is not None else 0.0
    high = out.high if out.high is not None else 0.0
    if _LONGITUDE.search(plain) and low >= -180 and high <= 180:
        out.kind = "lon"
    elif _LATITUDE.search(plain) and low >= -90 and high <= 90:
        out.kind = "lat"
    elif out.kind == "integer" and _YEAR.search(plain) and low >= 1800 and high <= 2200:
        out.kind = "year"
    elif out.kind == "integer" and _MONTH.search(plain) and low >= 1 and high <= 12:
        out.kind = "month"
    elif out.kind == "integer" and _DAY.search(plain) and low >= 1 and high <= 31:
        out.kind = "day"


def _time(out: Guess, rest: dict[str, int]) -> bool:
    """Dates and instants, the day first unless the numbers say otherwise."""
    if _share(rest, _ISO.fullmatch) >= MOSTLY:
        out.kind = "time"
        out.strange = [t[:60] for t in rest if not _ISO.fullmatch(t)][:10]
        return True
    texts = list(rest)[:2000]
    best, best_share = None, 0.0
    for form in [d + t for d in _DATES for t in _TIMES] + list(_OTHER_TIMES):
        # Most forms fail on the first few.
        if not any(_parses(t, form) for t in texts[:5]):
            continue
        share = sum(_parses(t, form) for t in texts) / len(texts)
        # Among equals the earlier counts: in Viet Nam the day comes first.
        if share > best_share:
            best, best_share = form, share
    if best is None or best_share < MOSTLY:
        return False
    out.kind, out.form = "time", best
    if "%d" in best and "%m" in best and best[:2] in ("%d", "%m"):
        out.day_first = best.startswith("%d")
    out.strange = [t[:60] for t in texts if not _parses(t, best)][:10]
    return True


def _parses(text: str, form: str) -> bool:
    try:
        found = datetime.strptime(text, form)
    except ValueError:
        return False
    return 1800 <= found.year <= 2200


def moment(text: str | None, form: str | None) -> datetime | None:
    """The time that a text of this form says, without its zone; None where it says none."""
    text = (text or "").strip()
    try:
        found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=None)


def _form_of(text: str) -> str | None:
    return "%Y%m%d" if len(text) == 8 and _parses(text, "%Y%m%d") else None
