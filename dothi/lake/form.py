"""A contract's `form`: figures that officers type, one return (phiếu) for each party and period.

It says who reports when and what is asked beyond the columns themselves; types, ranges, choices and
rules stay the contract's. A party is an agency or an administrative unit, named by its code in one
key column; the period is the time of a series, or another key column of records. With `lines` a
return is a table: one more key column tells its lines apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from dothi.kernel.errors import Invalid
from dothi.kernel.period import Grain, Period
from dothi.lake.columns import Column, Parameter, Time
from dothi.lake.document import Place, Reading
from dothi.lake.form_lines import Lines, read_lines

Approval = Literal["own", "owner", "none"]
"""Whose leader approves: that of the agency that enters, that of the dataset's owner, nobody's."""
GRAINS: tuple[Grain, ...] = ("day", "month", "quarter", "year")
USUAL_JUMP = 50.0
"""A figure that moved by more per cent since the period before has to be explained."""
USUAL_DUE = 5
MOST_DUE = 120
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_KNOWN = {"period", "by", "due", "approval", "help", "columns", "groups", "lines"}


@dataclass(frozen=True)
class Asked:
    """What a form asks for, and how it is filled in. `source`: dataset and column that may hold the
    figure already, under the same key and period. `jump` in per cent."""

    name: str
    title: dict[str, str]
    type: str
    unit: str
    low: float | None = None
    high: float | None = None
    decimals: int | None = None
    choices: tuple[str, ...] = ()
    help: dict[str, str] | None = None
    optional: bool = False
    evidence: bool = False
    source: tuple[str, str] | None = None
    jump: float = USUAL_JUMP


@dataclass(frozen=True)
class Group:
    """Columns that stand together; `title` None: those that no group names."""

    title: dict[str, str] | None
    columns: tuple[Asked, ...]


@dataclass(frozen=True)
class Form:
    """Who reports what when. `due` counts working days after the period's last; `since` is the
    first period asked for. Without `agencies` and `units` the owner alone reports.

    `agencies` are codes, a `*` at the end stands for any ending. `units` are codes of units with the
    agency that enters them (None: the owner).
    """

    grain: Grain
    since: Period
    period_column: str | None
    party_column: str
    agencies: tuple[str, ...]
    units: tuple[tuple[str, str | None], ...]
    due: int
    approval: Approval
    help: dict[str, str] | None
    groups: tuple[Group, ...]
    lines: Lines | None = None
    """Where a return is a table."""

    @property
    def asked(self) -> tuple[Asked, ...]:
        """All that is asked for, in the form's order."""
        return tuple(column for group in self.groups for column in group.columns)

    def names(self, agency: str) -> bool:
        """Whether the agency of this code is one of those that report."""
        return any(fnmatchcase(agency, pattern) for pattern in self.agencies)


def read_form(
    reading: Reading,
    value: Any,
    key: tuple[Column, ...],
    parameters: tuple[Parameter, ...],
    columns: tuple[Column, ...],
    time: Time | None,
) -> Form:
    """A contract's `form`, its faults noted. `parameters` are a series', `columns` those of records."""
    place: Place = ("form",)
    doc = reading.mapping(value, place, known=_KNOWN)
    series = bool(parameters)
    grain, since, period_column = _period(reading, doc, key, time, series=series)
    party, agencies, units = _by(reading, doc, key)
    taken = {party, period_column} - {None}
    plain = _plain(parameters, columns, {column.name for column in key})
    lines = None
    if "lines" in doc:
        types = {one.name: one.type for one in plain.values()}
        lines = read_lines(reading, doc["lines"], key, taken, types)
    wanted = taken | ({lines.column} if lines else set())
    for name in [column.name for column in key if column.name not in wanted]:
        reading.fault((*place, "by"), "forms.yaml_key", name=name)
    if period_column is not None and party == period_column:
        reading.fault((*place, "by", "column"), "forms.yaml_key", name=party)
    due = _whole(reading, doc, "due", USUAL_DUE, MOST_DUE)
    approval = reading.choice(doc, place, "approval", get_args(Approval), "own")
    required = {column.name for column in columns if column.required}
    asked = _asked(reading, doc, plain, required)
    return Form(
        grain=grain,
        since=since,
        period_column=period_column,
        party_column=party,
        agencies=agencies,
        units=units,
        due=due,
        approval=approval,  # type: ignore[arg-type]
        help=reading.titles(doc, place, "help") if "help" in doc else None,
        groups=_groups(reading, doc, asked),
        lines=lines,
    )


def _period(
    reading: Reading, doc: dict[str, Any], key: tuple[Column, ...], time: Time | None, *,
    series: bool,
) -> tuple[Grain, Period, str | None]:  # fmt: skip
    place: Place = ("form", "period")
    if "period" not in doc:
        reading.fault(("form",), "lake.yaml_missing", name="period")
        return "month", Period.parse("2000-01"), None
    given = reading.mapping(doc["period"], place, known={"grain", "since", "column"})
    grain: Any = reading.choice(given, place, "grain", GRAINS)
    since = _since(reading, given, grain)
    if series:
        if "column" in given:
            reading.fault((*place, "column"), "forms.yaml_period_of_series")
        fits = time is not None and (
            time.rhythm == timedelta(days=1) if grain == "day" else time.months == _MONTHS[grain]
        )
        if time is not None and (not fits or time.stamp != "start"):
            reading.fault((*place, "grain"), "forms.yaml_rhythm", grain=grain)
        return grain, since, None
    types = {column.name: column.type for column in key}
    name = reading.choice(given, place, "column", tuple(types) or ("?",))
    if types.get(name, "text") not in ("text", "date"):
        reading.fault((*place, "column"), "forms.yaml_period_type", name=name)
    return grain, since, name


def _since(reading: Reading, given: dict[str, Any], grain: Grain) -> Period:
    first = {"day": "2000-01-01", "month": "2000-01", "quarter": "2000-Q1", "year": "2000"}[grain]
    if given.get("since") is None:
        reading.fault(("form", "period"), "lake.yaml_missing", name="since")
        return Period.parse(first)
    text = str(given["since"])
    try:
        found = Period.parse(text)
    except Invalid:
        found = None
    if found is None or found.grain != grain:
        reading.fault(
            ("form", "period", "since"), "forms.yaml_since", text=text[:40], example=first
        )
        return Period.parse(first)
    return found


def _by(
    reading: Reading, doc: dict[str, Any], key: tuple[Column, ...]
) -> tuple[str, tuple[str, ...], tuple[tuple[str, str | None], ...]]:
    place: Place = ("form", "by")
    if "by" not in doc:
        reading.fault(("form",), "lake.yaml_missing", name="by")
        return "", (), ()
    given = reading.mapping(doc["by"], place, known={"column", "agencies", "units"})
    types = {column.name: column.type for column in key}
    column = reading.choice(given, place, "column", tuple(types) or ("?",))
    if types.get(column, "text") != "text":
        reading.fault((*place, "column"), "forms.yaml_party_type", name=column)
    if "agencies" in given and "units" in given:
        reading.fault(place, "forms.yaml_by_both")
    agencies: list[str] = []
    for i, code in enumerate(
        reading.sequence(given["agencies"], (*place, "agencies")) if "agencies" in given else []
    ):
        if not isinstance(code, str) or not code or "*" in code[:-1] or set("[]?") & set(code):
            reading.fault((*place, "agencies", i), "forms.yaml_agency", text=str(code)[:60])
        agencies.append(str(code))
    units: list[tuple[str, str | None]] = []
    listed = given.get("units", {})
    if isinstance(listed, list):
        units = [(str(code), None) for code in listed]
    else:
        units = [
            (code, None if agency is None else str(agency))
            for _, code, agency in reading.items(listed, (*place, "units"))
        ]
    if len({code for code, _ in units}) < len(units):
        reading.fault((*place, "units"), "forms.yaml_unit_twice")
    return column, tuple(agencies), tuple(units)


def _plain(
    parameters: tuple[Parameter, ...], columns: tuple[Column, ...], key: set[str]
) -> dict[str, Asked]:
    """What the contract itself says of each column that is not filled in."""
    found = [
        Asked(p.name, p.title, "number", "" if p.unit == "1" else p.unit, p.low, p.high, p.decimals)
        for p in parameters
    ]
    found += [
        Asked(
            c.name, c.title or {"vi": c.name, "en": c.name}, c.type, c.unit or "", c.low, c.high,
            None, c.choices, optional=False,
        )
        for c in columns
        if c.name not in key
    ]  # fmt: skip
    return {asked.name: asked for asked in found}


def _asked(
    reading: Reading, doc: dict[str, Any], plain: dict[str, Asked], required: set[str]
) -> dict[str, Asked]:
    place: Place = ("form", "columns")
    found = dict(plain)
    for at, name, entry in reading.items(doc.get("columns", {}), place):
        if name not in plain:
            reading.fault(at, "forms.yaml_column", name=name, known=", ".join(plain))
            continue
        known = {"help", "optional", "evidence", "from", "jump"}
        entry = reading.mapping(entry, at, known=known)
        base = plain[name]
        jump = reading.number(entry.get("jump", USUAL_JUMP), (*at, "jump"))
        if jump is None or jump <= 0:
            reading.fault((*at, "jump"), "forms.yaml_jump")
            jump = USUAL_JUMP
        optional = _yes(reading, entry, at, "optional")
        if optional and name in required:
            reading.fault((*at, "optional"), "forms.yaml_required", name=name)
        found[name] = Asked(
            base.name, base.title, base.type, base.unit, base.low, base.high, base.decimals,
            base.choices,
            help=reading.titles(entry, at, "help") if "help" in entry else None,
            optional=optional,
            evidence=_yes(reading, entry, at, "evidence"),
            source=_source(reading, entry, at),
            jump=jump,
        )  # fmt: skip
    return found


def _source(reading: Reading, entry: dict[str, Any], at: Place) -> tuple[str, str] | None:
    if "from" not in entry:
        return None
    given = reading.mapping(entry["from"], (*at, "from"), known={"dataset", "column"})
    dataset = reading.text(given, (*at, "from"), "dataset", None)
    return dataset, reading.text(given, (*at, "from"), "column", None)


def _groups(reading: Reading, doc: dict[str, Any], asked: dict[str, Asked]) -> tuple[Group, ...]:
    place: Place = ("form", "groups")
    left = dict(asked)
    groups: list[Group] = []
    for i, entry in enumerate(reading.sequence(doc.get("groups", []), place)):
        entry = reading.mapping(entry, (*place, i), known={"title", "columns"})
        title = reading.titles(entry, (*place, i))
        found = []
        for j, name in enumerate(reading.sequence(entry.get("columns"), (*place, i, "columns"))):
            column = left.pop(str(name), None)
            if column is None:
                known = ", ".join(asked)
                reading.fault(
                    (*place, i, "columns", j), "forms.yaml_column", name=str(name), known=known
                )
                continue
            found.append(column)
        groups.append(Group(title, tuple(found)))
    if left:
        groups.append(Group(None, tuple(left.values())))
    if not asked:
        reading.fault(("form",), "forms.yaml_nothing_asked")
    return tuple(groups)


def _whole(reading: Reading, doc: dict[str, Any], name: str, usual: int, most: int) -> int:
    value = doc.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        reading.fault(("form", name), "forms.yaml_whole", name=name, most=most)
        return usual
    return value


def _yes(reading: Reading, entry: dict[str, Any], at: Place, name: str) -> bool:
    value = entry.get(name, False)
    if not isinstance(value, bool):
        reading.fault((*at, name), "lake.yaml_want_choice", name=name, choices="true, false")
        return False
    return value
