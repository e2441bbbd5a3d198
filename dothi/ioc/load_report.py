"""A load's report as tables: by stream or column, the longest gaps, against the load before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dothi.ioc.view import Table
from dothi.kernel.i18n import NOTHING, date, datetime_, number, t
from dothi.lake.registry import Dataset, Stream, Thing

MOST_ROWS = 200
MOST_GAPS = 30
_FAULTS = ("missing", "invalid", "outside", "suspect", "absent")


def parts(
    report: dict[str, Any], dataset: Dataset, streams: Mapping[int, Stream],
    things: Mapping[int, Thing], lang: str,
) -> Table | None:  # fmt: skip
    """What was found of each stream, or of each column of records; None of loads without a report.

    Of more than 200 streams those with the most faults are shown.
    """
    if report.get("streams"):
        return _streams(report["streams"], dataset, streams, things, lang)
    if report.get("columns"):
        return _columns(report["columns"], dataset, lang)
    return None


def gaps(
    report: dict[str, Any], dataset: Dataset, streams: Mapping[int, Stream],
    things: Mapping[int, Thing], lang: str,
) -> Table | None:  # fmt: skip
    """The longest stretches without a value; None where there is none."""
    found = [(gap, s["stream"]) for s in report.get("streams", ()) for gap in s.get("gaps", ())]
    if not found:
        return None
    found.sort(key=lambda pair: -pair[0]["missed"])
    # A month or a year is told by its first day.
    told = date if dataset.contract.time and dataset.contract.time.months else datetime_
    rows = tuple(
        (
            _name(stream, dataset, streams, things, lang),
            told(datetime.fromisoformat(gap["after"]), lang),
            told(datetime.fromisoformat(gap["before"]), lang),
            number(gap["missed"], lang),
        )
        for gap, stream in found[:MOST_GAPS]
    )
    heads = ("stream", "gap_after", "gap_before", "gap_missed")
    return Table(_heads(heads, lang), rows, numeric=(3,), total=len(found))


def drift(
    report: dict[str, Any], dataset: Dataset, streams: Mapping[int, Stream],
    things: Mapping[int, Thing], lang: str,
) -> Table | None:  # fmt: skip
    """What moved since the load before by the same reader; None of the first."""
    moved = report.get("drift")
    if not moved:
        return None
    rows, missing = moved["rows"], moved["missing"]
    told = [
        (t("ioc.rows", lang), number(rows[0], lang), number(rows[1], lang)),
        (t("loads.share_missing", lang), *(f"{number(100 * m, lang, 1)} %" for m in missing)),
    ]
    for one in moved.get("means", ()):
        name = _name(one["stream"], dataset, streams, things, lang)
        what = t("loads.mean_of", lang, what=name)
        told.append((what, number(one["before"], lang, 2), number(one["now"], lang, 2)))
    titles = {c.name: (c.title or {}).get(lang, c.name) for c in dataset.contract.columns}
    for one in moved.get("distinct", ()):
        what = t("loads.distinct_of", lang, what=titles.get(one["name"], one["name"]))
        told.append((what, number(one["before"], lang), number(one["now"], lang)))
    heads = (
        t("loads.what", lang), t("loads.load_before", lang, load=moved["load"]),
        t("loads.load_now", lang),
    )  # fmt: skip
    return Table(heads, tuple(told), numeric=(1, 2))


def _streams(
    found: list[dict[str, Any]], dataset: Dataset, streams: Mapping[int, Stream],
    things: Mapping[int, Thing], lang: str,
) -> Table:  # fmt: skip
    ordered = sorted(found, key=lambda s: -sum(s.get(kind) or 0 for kind in _FAULTS))
    rows = []
    for s in ordered[:MOST_ROWS]:
        stream = streams.get(s["stream"])
        digits = dataset.contract.parameter(stream.parameter).decimals if stream else None
        extremes = (number(s[end], lang, digits) for end in ("low", "high"))
        rows.append(
            (
                _name(s["stream"], dataset, streams, things, lang),
                *(number(s[kind], lang) for kind in ("rows", "valid")),
                *(_count(s.get(kind), lang) for kind in _FAULTS),
                " – ".join(extremes) if s["low"] is not None else NOTHING,
                number(s.get("mean"), lang, digits),
            )
        )
    heads = ("stream", "rows", "valid", *_FAULTS, "extremes", "mean")
    return Table(_heads(heads, lang), tuple(rows), numeric=tuple(range(1, 10)), total=len(found))


def _columns(found: list[dict[str, Any]], dataset: Dataset, lang: str) -> Table:
    by_name = {c.name: c for c in dataset.contract.columns}
    rows = []
    for c in found:
        column = by_name.get(c["name"])
        title = (column.title or {}).get(lang) if column else None
        kind = column.type if column else "text"
        rows.append(
            (
                title or c["name"],
                t(f"loads.type_{kind}", lang),
                _count(c["nulls"], lang),
                number(c["distinct"], lang),
                _extreme(c.get("low"), kind, lang),
                _extreme(c.get("high"), kind, lang),
                _count(c.get("newlines"), lang),
            )
        )
    heads = ("column", "type", "empty", "distinct", "low", "high", "newlines")
    return Table(_heads(heads, lang), tuple(rows), numeric=(2, 3, 6), total=len(found))


def _extreme(text: str | None, kind: str, lang: str) -> str:
    """A column's smallest or largest value, which the report keeps as the engine's text."""
    if text is None:
        return NOTHING
    if kind == "instant":
        return datetime_(datetime.fromisoformat(text), lang)
    if kind in ("integer", "number"):
        return number(float(text), lang, 0 if kind == "integer" else None)
    return text


def _count(count: int | None, lang: str) -> str:
    """A count of something wrong; nothing wrong is not worth a figure."""
    return number(count, lang) if count else NOTHING


def _name(
    number_: int, dataset: Dataset, streams: Mapping[int, Stream], things: Mapping[int, Thing],
    lang: str,
) -> str:  # fmt: skip
    """A stream by its thing and what is measured."""
    stream = streams.get(number_)
    if stream is None:
        return str(number_)
    what = dataset.contract.parameter(stream.parameter).title[lang]
    return t("ioc.chart_of", lang, what=what, place=things[stream.thing_id].title(lang))


def _heads(names: tuple[str, ...], lang: str) -> tuple[str, ...]:
    return tuple(t(f"loads.head_{name}", lang) for name in names)
