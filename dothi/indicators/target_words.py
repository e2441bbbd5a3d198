"""Targets in words: what they say, where, when, and how a figure stands to one."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from dothi.identity import agencies, units_read
from dothi.indicators.target import PROVINCE, Draft, Target
from dothi.indicators.targets import Part
from dothi.kernel.i18n import date, number, t
from dothi.store.database import Connection


def said_of(one: Draft, part: Part | None, lang: str) -> str:
    """ "at least 85 points" """
    if one.direction is None:
        return t("targets.taken_back", lang)
    first = one.high if one.low is None else one.low
    given = {"value": amount(first, part, lang)}
    if one.direction == "between":
        given = {"value": figure(first, part, lang), "value_to": amount(one.high, part, lang)}
    return t(f"targets.{one.direction}", lang, **given)


def figure(value: float | None, part: Part | None, lang: str) -> str:
    """A number as its figure is written, without decimals that say nothing."""
    decimals = part.decimals if part else 2
    while decimals and value is not None and round(value, decimals) == round(value, decimals - 1):
        decimals -= 1
    return number(value, lang, decimals)


def amount(value: float | None, part: Part | None, lang: str) -> str:
    """A number with its unit."""
    unit = part.unit[lang] if part else ""
    return f"{figure(value, part, lang)} {unit}".rstrip()


def standing(
    one: Draft, value: float, part: Part | None, lang: str, decimals: int | None = None
) -> str:
    """How a figure stands to its target: "Chưa đạt, còn thiếu 3,2 điểm".

    `decimals` of the figure as it is shown beside it, where those are not its part's: the gap is
    that of the figure people read.
    """
    if one.met(value):
        return t("targets.met", lang)
    if part is not None and decimals is not None:
        part = replace(part, decimals=decimals)
    exact = one.difference(value)
    shown = value if part is None else _on_paper(value, part.decimals)
    # A figure that is rounded up to its target still misses it, by what rounding hid.
    gap = abs(one.difference(shown) if not one.met(shown) else exact)
    if part is not None and not round(gap, part.decimals):
        part = replace(part, decimals=max(2, part.decimals))
    said = amount(gap, part, lang)
    if part is not None and part.unit[lang] == "%":
        said = t("targets.percentage_points", lang, value=figure(gap, part, lang))
    return t("targets.short" if exact < 0 else "targets.over", lang, gap=said)


def _on_paper(value: float, decimals: int) -> float:
    """Rounded as `number` writes it."""
    step = Decimal(1).scaleb(-decimals)
    return float(Decimal(repr(value)).quantize(step, rounding=ROUND_HALF_UP))


def valid_of(one: Target, lang: str) -> str:
    """From when to when it holds."""
    until = date(one.valid_to, lang) if one.valid_to else "…"
    return f"{date(one.valid_from, lang)} – {until}"


def place_of(conn: Connection, place: str, lang: str) -> str:
    """The name of where it holds."""
    if place == PROVINCE:
        return t("targets.province", lang)
    kind, _, code = place.partition(":")
    agency = agencies.find_agency(conn, code)
    if agency is not None:
        return agency.name(lang)
    unit = units_read.unit(conn, code, units_read.today()) if kind == "unit" else None
    return unit.name if unit else code
