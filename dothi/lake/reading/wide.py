"""Tables that are wider than long: years or months in the header, subtotals among the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dothi.lake.reading.guess import BEFORE_YEAR, MONTHS

ENOUGH = 3
"""So many columns with a year make a wide table."""

_YEAR = r"(?:19|20)[0-9][0-9]"
_FORMS = (
    # 2010, Năm 2010, Sơ bộ 2018, X2010, Prel. 2016
    rf"(?i){BEFORE_YEAR}(?P<year>{_YEAR})",
    # Total 1995, Deepest 2002, Total Prel. 2016
    rf"(?i)(?P<item>.*?[^\s.])[\s.]+{BEFORE_YEAR}(?P<year>{_YEAR})",
    # 2011 Area (Km2), Prel. 2016 Nurse
    rf"(?i){BEFORE_YEAR}(?P<year>{_YEAR})[\s.]+(?P<item>.+)",
)
_PRELIMINARY = re.compile(r"(?i)\b(?:prel?\b|est\b|sơ bộ|so bo|ước)")

_COUNTRY = {"whole country", "cả nước", "ca nuoc", "total", "tổng số", "tổng cộng", "toàn quốc"}
_REGIONS = {
    "red river delta", "northern midlands and mountain areas", "northern midlands and mountainous",
    "north central area and central coastal area", "north central and central coastal areas",
    "northern central area and central coastal area", "central highlands", "south east",
    "southeast", "mekong river delta", "đồng bằng sông hồng", "trung du và miền núi phía bắc",
    "bắc trung bộ và duyên hải miền trung", "tây nguyên", "đông nam bộ",
    "đồng bằng sông cửu long", "north central and central coastal area",
}  # fmt: skip


def wide_columns(columns: Sequence[str]) -> dict[str, Any] | None:
    """Columns that carry a year or a month in their names: their `names`, the `pattern` all of them
    fit where there is one, what they hold (`into`), and which are preliminary. None for a table
    that is long already."""
    for form in _FORMS:
        pattern = re.compile(form)
        found = {c: m for c in columns if (m := pattern.fullmatch(c))}
        years = {m["year"] for m in found.values()}
        if len(found) < ENOUGH or len(years) < 2:
            continue
        groups = list(pattern.groupindex)
        told = {tuple(m[g] for g in groups) for m in found.values()}
        if len(told) < len(found):
            continue
        return {
            "pattern": form,
            "into": sorted(groups, reverse=True),
            "names": list(found),
            "years": [min(years), max(years)],
            "preliminary": [c for c in found if _PRELIMINARY.search(c)],
        }
    months = [c for c in columns if MONTHS.fullmatch(c.strip())]
    if len(months) >= 12:
        return {"pattern": None, "into": ["month"], "names": months, "preliminary": []}
    return None


def subtotals(values: Sequence[str | None]) -> dict[str, list[str]]:
    """Names among the values that stand for the whole country or one of its regions."""
    found: dict[str, list[str]] = {"country": [], "region": []}
    for value in dict.fromkeys(v for v in values if v):
        plain = " ".join(value.replace("_", " ").split()).casefold()
        if plain in _COUNTRY:
            found["country"].append(" ".join(value.split()))
        elif plain in _REGIONS or plain.rstrip("*() 0123456789") in _REGIONS:
            found["region"].append(" ".join(value.split()))
    return {level: names for level, names in found.items() if names}
