"""What rows and columns say together: one way of writing numbers, which columns tell the values of a
series apart, how far apart their times are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from dothi.lake.reading.guess import MOSTLY, Guess, bounds, moment
from dothi.lake.reading.keys import Texts, counts_rows, repeated

MOST_REPEATED = 0.02
"""Of rows so many may give a thing and a time again: more, and it is not these that tell them
apart."""
_MOST_TRIED = 12
_AMBIGUOUS = re.compile(r"[+-]?(?:\d{1,3}\.\d{3}|\d{1,3})")
"""1.234 is one and a bit, or with a decimal comma more than a thousand."""
_MARKED = {"integer", "number", "lon", "lat"}
_NAME_OF_ONE = re.compile(r"(^|_)(id|ma|code|so|no|number|station|tram|key)($|_)")


def agree(guesses: Sequence[Guess], values: Sequence[Texts]) -> tuple[str, str]:
    """The decimal and thousands marks of the file: those that most cells are written in. Columns
    that cannot be read with them become text; the marks of the others are set to them."""
    weights: Counter[tuple[str, str]] = Counter()
    for found, texts in zip(guesses, values, strict=True):
        if found.decimal and not _ambiguous(found, texts):
            weights[found.decimal, found.thousands or ""] += round(
                len(texts) * (1 - found.blank) + 0.5
            )
    decimals: Counter[str] = Counter()
    for (mark, _), weight in weights.items():
        decimals[mark] += weight
    decimal = decimals.most_common(1)[0][0] if decimals else "."
    grouped = [(n, t) for (mark, t), n in weights.items() if mark == decimal and t]
    thousands = max(grouped)[1] if grouped else ""
    if decimal == "," and not thousands and _groups_by_points(guesses, values):
        thousands = "."
    number = _number(decimal, thousands)
    for found, texts in zip(guesses, values, strict=True):
        if found.kind not in _MARKED or (found.decimal, found.thousands or "") in (
            (None, ""), (decimal, ""), (decimal, thousands),
        ):  # fmt: skip
            continue
        filled = [t.strip() for t in texts if t and t.strip() and t.strip() not in found.missing]
        fits = [t for t in filled if number.fullmatch(t)]
        if len(fits) < MOSTLY * len(filled):
            found.kind, found.decimal, found.thousands = "text", None, None
            found.low = found.high = None
            found.strange = []
            continue
        found.decimal, found.thousands = decimal, thousands or None
        found.strange = [t[:60] for t in dict.fromkeys(filled) if not number.fullmatch(t)][:10]
        bounds(found, fits)
    return decimal, thousands


def _ambiguous(found: Guess, texts: Texts) -> bool:
    return (
        found.decimal == "."
        and not found.thousands
        and all(_AMBIGUOUS.fullmatch(t.strip()) for t in texts if t and t.strip())
    )


def _groups_by_points(guesses: Sequence[Guess], values: Sequence[Texts]) -> bool:
    """Whether a column has 1.234, which beside a decimal comma is more than a thousand."""
    return any(
        found.kind == "number"
        and _ambiguous(found, texts)
        and any("." in text for text in texts if text)
        for found, texts in zip(guesses, values, strict=True)
    )


def _number(decimal: str, thousands: str) -> re.Pattern[str]:
    group = "[ \u00a0\u202f]" if thousands == " " else re.escape(thousands)
    whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)" if thousands else r"\d+"
    return re.compile(rf"[+-]?(?:{whole})?(?:{re.escape(decimal)}\d*)?(?:[eE][+-]?\d+)?")


def completed(
    guesses: Sequence[Guess], values: Sequence[Texts], key: Sequence[str], time: Sequence[str]
) -> list[str] | None:
    """The key columns of a series, with a number that tells things apart where their names do not;
    None where things and times do not tell the rows apart."""
    by_name = {found.name: texts for found, texts in zip(guesses, values, strict=True)}
    given = [by_name[name] for name in (*key, *time) if name in by_name]
    most = MOST_REPEATED * len(values[0]) if values else 0
    if repeated(given) <= most:
        return list(key)
    whole = [
        f
        for f, texts in zip(guesses, values, strict=True)
        if f.kind == "integer" and not f.blank and f.name not in key and not counts_rows(f, texts)
    ]
    whole.sort(key=lambda f: (not _NAME_OF_ONE.search(f.name.lower()), f.distinct))
    for found in whole[:_MOST_TRIED]:
        if repeated([*given, by_name[found.name]]) <= most:
            return [*key, found.name]
    return None


def rhythm(times: Texts, form: str | None, things: Sequence[Texts]) -> str | None:
    """The distance that most values of a thing have from the one before, as ISO 8601; None where
    there is no such distance."""
    seen: dict[tuple[str | None, ...], set[datetime]] = defaultdict(set)
    names = list(zip(*things, strict=True)) or [()] * len(times)
    for name, text in zip(names, times, strict=True):
        if at := moment(text, form):
            seen[name].add(at)
    gaps: Counter[int] = Counter()
    for found in seen.values():
        for before, after in pairwise(sorted(found)):
            gaps[round((after - before).total_seconds())] += 1
    if not gaps:
        return None
    days = 86_400
    gap, count = gaps.most_common(1)[0]
    for lengths, said in (((28, 29, 30, 31), "P1M"), ((365, 366), "P1Y")):
        of_calendar = sum(gaps[n * days] for n in lengths)
        if of_calendar > max(count, gaps.total() / 2):
            return said
    if count <= gaps.total() / 2 or count < 2:
        return None
    for size, said in ((days, "P{}D"), (3_600, "PT{}H"), (60, "PT{}M"), (1, "PT{}S")):
        if gap % size == 0:
            return said.format(gap // size)
    return None
