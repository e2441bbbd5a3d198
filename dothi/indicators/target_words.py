"""Targets in words: what they say, where, when, and how a figure stands to one."""

from __future__ import annotations

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


def standing(one: Draft, value: float, part: Part | None, lang: str) -> str:
    """How a figure stands to its target: "Chưa đạt, còn thiếu 3,2 điểm"."""
    if one.met(value):
        return t("targets.met", lang)
    gap = one.difference(value)
    return t("targets.short" if gap < 0 else "targets.over", lang, gap=amount(abs(gap), part, lang))


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
