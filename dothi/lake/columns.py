"""The parts of a contract: columns, measured quantities, how instants are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from dothi.kernel.crosswalk import Aggregation
from dothi.kernel.period import Grain, Period
from dothi.kernel.time import named_zone, zone
from dothi.lake.document import Place, Reading

CALENDAR: Mapping[int, Grain] = {1: "month", 3: "quarter", 12: "year"}
"""The periods of rhythms of so many months."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
COLUMN_TYPES = ("text", "integer", "number", "boolean", "date", "instant")
DUCKDB_TYPES = {
    "text": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN",
    "date": "DATE", "instant": "TIMESTAMPTZ",
}  # fmt: skip
RESERVED = {"time", "value", "quality", "parameter", "stream", "usable", "load_id", "row_no", "q"}
DATE_PARTS = ("year", "month", "day")
_RHYTHM = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)
_MONTH = timedelta(days=365.2425 / 12)


@dataclass(frozen=True)
class Column:
    """A column of a records dataset, or one of the key columns of a series."""

    name: str
    type: str = "text"
    title: dict[str, str] | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    required: bool = False
    missing: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class OverUnits:
    """How values of several administrative units become that of one they form: added, averaged with
    another parameter as weight, or, where nobody said, not at all."""

    aggregation: Aggregation = Aggregation.NONE
    weight: str | None = None


APART = OverUnits()
"""What holds of a parameter whose contract says nothing."""


@dataclass(frozen=True)
class Units:
    """The key column that holds codes of administrative units. They are meant as on the day `as_of`;
    without it as on the day that each value is about. `codes`: the column holds the units' own codes,
    or those of the agencies that are the units' bodies."""

    column: str
    as_of: date | None = None
    codes: Literal["units", "agencies"] = "units"


@dataclass(frozen=True)
class Parameter:
    """A measured quantity: one stream for each thing. Values outside [low, high] are suspect."""

    name: str
    title: dict[str, str]
    unit: str
    low: float | None = None
    high: float | None = None
    decimals: int = 1
    substance: str | None = None
    over_units: OverUnits = APART


@dataclass(frozen=True)
class Time:
    """How instants are written: without an offset they are in `zone`.

    `rhythm` is the expected distance of values, `stamp` whether an interval's value carries the
    interval's start or end. `months` is the rhythm where it goes by the calendar (12: yearly),
    else 0; `rhythm` is then the mean length. `formats` are strptime forms, the first that fits
    counts; without them ISO 8601. `parts` are the columns of a date that is split into year, month
    and day; without a day the first of the month is meant, without a month the first of January.
    """

    column: str
    zone: str
    rhythm: timedelta | None
    stamp: Literal["start", "end"]
    formats: tuple[str, ...] = ()
    months: int = 0
    parts: tuple[tuple[str, str], ...] = ()

    def period(self, at: datetime) -> Period | None:
        """The month, quarter or year that a value's instant names; None where the rhythm is none."""
        grain = CALENDAR.get(self.months)
        if grain is None:
            return None
        inside = at - timedelta(microseconds=1) if self.stamp == "end" else at
        return Period.containing(grain, inside, zone(self.zone))


def read_time(reading: Reading, value: Any, place: Place, base: Time | None = None) -> Time:
    """A contract's or a reader's `time`; a reader's is completed by its contract's (`base`)."""
    known = {"column", "zone", "rhythm", "stamp", "format", *DATE_PARTS}
    doc = reading.mapping(value, place, known=known)
    zone_name = reading.text(doc, place, "zone", base.zone if base else "Asia/Ho_Chi_Minh")
    zone_name = reading.attempt((*place, "zone"), lambda z=zone_name: named_zone(z), zone_name)
    rhythm = read_duration(reading, doc, place, "rhythm")
    months = calendar_months(str(doc.get("rhythm", "")))
    if rhythm is None and base:
        rhythm, months = base.rhythm, base.months
    stamp = reading.choice(
        doc, place, "stamp", ("start", "end"), base.stamp if base else "start"
    )  # fmt: skip
    parts = tuple((part, reading.text(doc, place, part)) for part in DATE_PARTS if part in doc)
    if parts and ("year" not in doc or ("day" in doc and "month" not in doc) or "column" in doc):
        reading.fault(place, "lake.bad_date_parts")
    column = reading.text(doc, place, "column", base.column if base else "time")
    return Time(
        column=", ".join(column for _, column in parts) if parts else column,
        zone=zone_name,
        rhythm=rhythm,
        stamp="end" if stamp == "end" else "start",
        formats=read_formats(reading, doc, place),
        months=months,
        parts=parts,
    )


def read_over_units(reading: Reading, entry: dict[str, Any], place: Place) -> OverUnits:
    """`over_units`: `sum`, `none`, or `{mean: <parameter that weighs>}`."""
    value = entry.get("over_units", "none")
    if value in (Aggregation.SUM, Aggregation.NONE):
        return OverUnits(Aggregation(value))
    if isinstance(value, dict) and [*value] == ["mean"] and isinstance(value["mean"], str):
        return OverUnits(Aggregation.MEAN, value["mean"])
    reading.fault((*place, "over_units"), "lake.bad_over_units")
    return APART


def check_weights(reading: Reading, place: Place, found: Mapping[str, OverUnits]) -> None:
    """Every weight is a parameter that may be added itself."""
    sums = [name for name, how in found.items() if how.aggregation is Aggregation.SUM]
    for name, how in found.items():
        if how.weight is not None and how.weight not in sums:
            params = {"name": how.weight, "known": ", ".join(sums)}
            reading.fault((*place, name, "over_units"), "lake.bad_weight", **params)


def read_units(reading: Reading, value: Any, key: tuple[Column, ...]) -> Units:
    """A contract's `units`: which key column holds codes of units, and of which day."""
    place: Place = ("units",)
    doc = reading.mapping(value, place, known={"key", "as_of", "codes"})
    names = tuple(column.name for column in key)
    column = reading.choice(doc, place, "key", names or ("?",))
    as_of = doc.get("as_of")
    if as_of is not None and (isinstance(as_of, datetime) or not isinstance(as_of, date)):
        reading.fault((*place, "as_of"), "lake.bad_units_day", text=str(as_of)[:60])
        as_of = None
    codes = reading.choice(doc, place, "codes", ("units", "agencies"), "units")
    return Units(column, as_of, "agencies" if codes == "agencies" else "units")


def read_formats(reading: Reading, doc: dict[str, Any], place: Place) -> tuple[str, ...]:
    """`format`: one strptime form, or a list of them."""
    value = doc.get("format")
    if value is None:
        return ()
    forms = value if isinstance(value, list) else [value]
    for form in forms:
        if not isinstance(form, str) or "%" not in form:
            reading.fault((*place, "format"), "lake.bad_time_format", form=str(form)[:60])
    return tuple(str(form) for form in forms)


def read_duration(
    reading: Reading, doc: dict[str, Any], place: Place, name: str
) -> timedelta | None:
    """An ISO 8601 duration, None where it is not given."""
    text = reading.text(doc, place, name)
    if not text:
        return None
    size = parse_duration(text)
    if size is None:
        reading.fault((*place, name), "lake.bad_duration", text=text)
    return size


def parse_duration(text: str) -> timedelta | None:
    """An ISO 8601 duration (PT5M, P1D); of months and years (P1M, P1Y) the mean length. None for
    anything else."""
    match = _RHYTHM.fullmatch(text)
    if match is None:
        return None
    years, months, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if years or months:
        return None if days or hours or minutes or seconds else _MONTH * (12 * years + months)
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) or None


def calendar_months(text: str) -> int:
    """How many calendar months a duration of months or years spans; 0 for any other."""
    match = _RHYTHM.fullmatch(text)
    return 12 * int(match[1] or 0) + int(match[2] or 0) if match else 0


def read_range(
    reading: Reading, entry: dict[str, Any], place: Place
) -> tuple[float | None, float | None]:
    """`range`: two numbers, the smaller first; None, None where it is not given."""
    if "range" not in entry:
        return None, None
    ends = reading.sequence(entry["range"], (*place, "range"))
    if len(ends) != 2:
        reading.fault((*place, "range"), "lake.bad_range")
        return None, None
    low, high = (reading.number(end, (*place, "range", i)) for i, end in enumerate(ends))
    if low is not None and high is not None and low > high:
        reading.fault((*place, "range"), "lake.bad_range")
    return low, high


def read_words(reading: Reading, entry: dict[str, Any], place: Place, name: str) -> tuple[str, ...]:
    """A list of texts; numbers in it are taken as they are written."""
    if name not in entry:
        return ()
    found = reading.sequence(entry[name], (*place, name))
    for i, word in enumerate(found):
        if isinstance(word, dict | list):
            reading.fault((*place, name, i), "lake.yaml_want_text", name=name)
    return tuple(str(word) for word in found)
