"""Scores: components of a decision counted over records, by agency, unit and period.

A score is a file of a pack, `scores/NAME.sql`: its words, inputs, dated ceilings and thresholds, then one
SELECT. The SELECT counts: for an agency, a unit and a period it gives each component's numerator and
denominator. Points, groups and the total follow here, by the same rule for every component. `*` stands
for all units of an agency, and for all agencies.

What the SELECT sees beside its inputs (their columns; an instant `x` also as `x_us`, microseconds since
1970, and `x_day`, its local date):
`periods` (number, code, start_us, cut_us, first_day, last_day: the last before the cut; today: the day of
the asking; last_ordinal, last_next_ordinal, year_before, parts), `days` (day, ordinal: working days up to
it; next_ordinal: that of the first working day from it on; period, cut_us), `levels` (level: province,
agency, unit).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import sqlglot
import yaml
from sqlglot import exp

from dothi.indicators import sql
from dothi.indicators.definition import direction
from dothi.indicators.model import Better
from dothi.indicators.rewrite import put
from dothi.kernel import workdays
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.period import Grain
from dothi.kernel.time import zone
from dothi.lake.contract import Contract
from dothi.lake.document import Place, Reading
from dothi.packs.model import Pack, PackFile

ALL = "*"
"""In place of an agency or a unit: all of them together."""
TOTAL = "total"
LEVELS = ("province", "agency", "unit")
"""Of whom a component may be said."""
GRAINS: tuple[Grain, ...] = ("month", "quarter", "year")
COUNTED = ("agency", "unit", "period", "component", "numerator", "denominator", "ratio")
"""What the SELECT gives."""
KEY = ("agency", "unit", "period", "component")
"""What a figure is of."""
STATES = ("scored", "tracked", "not_applicable")
"""With points; a ratio without points; no denominator."""
GIVEN = {
    "periods": ("number", "code", "start_us", "cut_us", "first_day", "last_day", "today",
                "last_ordinal", "last_next_ordinal", "year_before", "parts"),
    "days": ("day", "ordinal", "next_ordinal", "period", "cut_us"),
    "levels": ("level",),
}  # fmt: skip
_DOCUMENT = {
    "title", "words", "source", "formula", "inputs", "period", "agency", "unit", "components",
    "derived", "faults", "groups", "since", "named", "sharing", "better",
}  # fmt: skip
_FENCE = "---"


@dataclass(frozen=True)
class Ceiling:
    """The most points of a component and the percentage that earns them all, from a date to a date
    (both included). None: every per cent earns its share."""

    valid_from: date
    valid_to: date | None
    most: float
    threshold: float | None
    source: str

    def points(self, ratio: float) -> float:
        """The points of a percentage, unrounded."""
        if self.threshold is not None and ratio >= self.threshold:
            return self.most
        return ratio * self.most / (self.threshold or 100.0)


@dataclass(frozen=True)
class Component:
    """One component. Without points of its own where the ceiling is 0. `better`: which way its ratio
    should move. `verify`: what an officer
    still has to confirm; `unit`: what its ratio is measured in where it is no percentage; `behind`:
    the component of which it is a count, shown with it; `rows`: the dataset that its denominator
    counts; `levels`: of whom it is said at all; `factor`: the component by whose ratio its share is
    multiplied, where that one is applicable."""

    name: str
    group: str
    title: dict[str, str]
    unit: str
    verify: dict[str, str] | None
    behind: str | None
    ceilings: tuple[Ceiling, ...]
    better: Better
    rows: str | None = None
    levels: tuple[str, ...] = LEVELS
    factor: str | None = None

    def ceiling(self, on: date) -> Ceiling | None:
        """What is in force on a date."""
        for one in self.ceilings:
            if one.valid_from <= on and (one.valid_to is None or on <= one.valid_to):
                return one
        return None


@dataclass(frozen=True)
class Move:
    """A count that a correction changes by `by`, where another count of the row is there
    (`only_if`) or is not (`unless`)."""

    count: str
    by: int
    unless: str | None
    only_if: str | None


@dataclass(frozen=True)
class Flaw:
    """A fault that a row of `rows` can have. `seen`: the component that shows it: the row lacks in its
    count, or stands in it (`has`)."""

    name: str
    rows: str
    title: dict[str, str]
    seen: str
    has: bool
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class Derived:
    """A component that is no sum over rows: a count up to the denominator (`capped`), or the
    denominator less counts, never below 0 (`less`)."""

    capped: str | None
    less: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """A score as its file says it. `inputs`: datasets of records and the columns it reads.

    `since`: the column of a dataset with whose earliest value its periods begin; `named`: the column
    of a dataset that names the period a row is of. `sharing` as in
    contracts; None: who may see every input.
    """

    name: str
    pack: str
    owner: str
    title: dict[str, str]
    words: dict[str, str]
    source: str
    formula: dict[str, str]
    inputs: dict[str, tuple[str, ...]]
    since: dict[str, str]
    named: dict[str, str]
    sharing: dict[str, Any] | None
    grains: tuple[Grain, ...]
    zone: str
    agency: str
    unit: str
    better: Better
    components: dict[str, Component]
    derived: dict[str, Derived]
    flaws: tuple[Flaw, ...]
    groups: dict[str, dict[str, str]]
    sql: str
    sql_line: int
    path: str
    text: str

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the file and the working calendar: kept with every figure."""
        return hashlib.sha256(self.text.encode() + workdays.DATA.read_bytes()).hexdigest()

    @cached_property
    def select(self) -> str:
        """The checked SELECT for the engine, reading the views `in_…`."""
        tree = next(s for s in sqlglot.parse(self.sql, read="duckdb") if s is not None)
        common = {cte.alias for cte in tree.find_all(exp.CTE)}
        for table in list(tree.find_all(exp.Table)):
            if table.name not in common:
                put(table, f"in_{table.name}", table.name)
        return sql.written(tree)


def load(pack: Pack) -> list[Score]:
    """A pack's scores. Raises Invalid with every fault."""
    faults: list[Fault] = []
    out: list[Score] = []
    contracts = {c.name: c for c in pack.contracts}
    for file in pack.scores:
        try:
            made = parse(file, pack)
        except Invalid as error:
            faults += error.faults
            continue
        out.append(made)
        faults += [*_meaning(made, contracts), *_sql_faults(made)]
    if faults:
        raise Invalid("indicators.invalid", faults=faults)
    return out


def parse(file: PackFile, pack: Pack) -> Score:
    """One file. Raises Invalid with every fault of its front matter."""
    return _parse(file.text, file.name, pack.name, pack.owner.code, str(file.path), stored=False)


@lru_cache(maxsize=50)
def parse_text(text: str, name: str, pack: str, owner: str) -> Score:
    """A score from its text as a home keeps it."""
    return _parse(text, name, pack, owner, f"{name}.sql", stored=True)


def _parse(text: str, name: str, pack: str, owner: str, path: str, *, stored: bool) -> Score:
    lines = text.splitlines()
    fences = [i for i, line in enumerate(lines) if line.rstrip() == _FENCE]
    if len(fences) < 2 or any(line.strip() for line in lines[: fences[0]]):
        fault = Fault(f"{path}:1:1", "indicators.no_front_matter")
        raise Invalid("indicators.invalid", faults=[fault])
    first, second = fences[:2]
    reading = Reading("\n" * (first + 1) + "\n".join(lines[first + 1 : second]), path)
    reading.finish("indicators.invalid")
    doc = reading.mapping(reading.root, (), known=_DOCUMENT)
    period = reading.mapping(doc.get("period"), ("period",), known={"grains", "zone"})
    zone_name = reading.text(period, ("period",), "zone", "Asia/Ho_Chi_Minh")
    reading.attempt(("period", "zone"), lambda: zone(zone_name))
    named = [str(g) for g in reading.sequence(period.get("grains"), ("period", "grains"))]
    for i, grain in enumerate(named):
        if grain not in GRAINS:
            reading.fault(("period", "grains", i), "lake.yaml_want_choice", name=grain,
                          choices=", ".join(GRAINS))  # fmt: skip
    groups = {
        name: reading.titles({name: entry}, ("groups",), name)
        for _, name, entry in reading.items(doc.get("groups"), ("groups",))
    }
    better = direction(reading, doc, (), "none" if stored else None)
    components = _components(reading, doc, groups, better)
    made = Score(
        name=name,
        pack=pack,
        owner=owner,
        title=reading.titles(doc, ()),
        words=reading.titles(doc, (), "words"),
        source=reading.text(doc, (), "source", None),
        formula={str(k): str(v) for k, v in (doc.get("formula") or {}).items()},
        inputs={
            name: reading.texts(entry, place)
            for place, name, entry in reading.items(doc.get("inputs"), ("inputs",))
        },
        since={name: str(entry) for _, name, entry in reading.items(doc.get("since"), ("since",))},
        named={
            name: str(entry) for _, name, entry in reading.items(doc.get("named", {}), ("named",))
        },
        sharing=doc.get("sharing"),
        grains=tuple(grain for grain in GRAINS if grain in named),
        zone=zone_name,
        agency=reading.text(doc, (), "agency", None),
        unit=reading.text(doc, (), "unit", None),
        better=better,
        components=components,
        derived=_derived(reading, doc, components),
        flaws=_flaws(reading, doc, components),
        groups=groups,
        sql="\n".join(lines[second + 1 :]),
        sql_line=second + 1,
        path=path,
        text=text,
    )
    reading.finish("indicators.invalid")
    return made


def contract_text(score: Score, sharing: Mapping[str, Any]) -> str:
    """The contract of a score's own records, as YAML: a row for each agency, unit, period and
    component, group and total; `*` stands for all. Sharing as the score's file says, else as given."""
    text = {"type": "text"}
    number = {"type": "number"}
    columns: dict[str, Any] = {
        "agency": text | {"title": {"vi": "Mã cơ quan (* là toàn tỉnh)", "en": "Agency (*: all)"}},
        "unit": text | {"title": {"vi": "Mã đơn vị (* là cả cơ quan)", "en": "Unit (*: all)"}},
        "period": text | {"title": {"vi": "Kỳ", "en": "Period"}},
        "component": text | {"title": {"vi": "Chỉ số thành phần", "en": "Component"}},
        "state": text | {
            "title": {"vi": "Trạng thái", "en": "State"}, "choices": list(STATES),
        },
        "numerator": number | {"title": {"vi": "Tử số", "en": "Numerator"}},
        "denominator": number | {"title": {"vi": "Mẫu số", "en": "Denominator"}},
        "ratio": number | {"title": {"vi": "Tỷ lệ", "en": "Ratio"}},
        "points": number | {"title": {"vi": "Điểm", "en": "Points"}},
        "most": number | {"title": {"vi": "Điểm tối đa", "en": "Points at most"}},
    }  # fmt: skip
    for name in KEY:
        columns[name]["required"] = True
    return yaml.safe_dump(
        {
            "dataset": score.name,
            "kind": "records",
            "title": score.title,
            "owner": score.owner,
            "key": list(KEY),
            "columns": columns,
            "sharing": dict(score.sharing or sharing),
        },
        allow_unicode=True,
        sort_keys=False,
    )


def _components(
    reading: Reading, doc: dict[str, Any], groups: Mapping[str, Any], better: Better
) -> dict[str, Component]:
    out = {}
    known = {
        "group", "title", "unit", "verify", "behind", "valid", "better", "rows", "levels", "factor",
    }  # fmt: skip
    for place, name, entry in reading.items(doc.get("components"), ("components",)):
        entry = reading.mapping(entry, place, known=known)
        ceilings = []
        for i, rule in enumerate(reading.sequence(entry.get("valid"), (*place, "valid"))):
            where: Place = (*place, "valid", i)
            rule = reading.mapping(rule, where, known={"from", "to", "max", "threshold", "source"})
            start, end = (_date(reading, rule, where, side) for side in ("from", "to"))
            ceilings.append(
                Ceiling(
                    start or date.min,
                    end,
                    reading.number(rule.get("max"), (*where, "max")) or 0.0,
                    reading.number(rule.get("threshold"), (*where, "threshold")),
                    reading.text(rule, where, "source", None),
                )
            )
        out[name] = Component(
            name=name,
            group=reading.choice(entry, place, "group", tuple(groups) or ("?",)),
            title=reading.titles(entry, place),
            unit=reading.text(entry, place, "unit", "%"),
            verify=reading.titles(entry, place, "verify") if "verify" in entry else None,
            behind=reading.text(entry, place, "behind") or None,
            ceilings=tuple(ceilings),
            better=direction(reading, entry, place, better),
            rows=reading.text(entry, place, "rows") or None,
            levels=_levels(reading, entry, place),
            factor=reading.text(entry, place, "factor") or None,
        )
    for name, one in out.items():
        for word, other in (("behind", one.behind), ("factor", one.factor)):
            if other is not None:
                _known(reading, ("components", name, word), other, out)
        if one.rows is not None and one.rows not in (inputs := doc.get("inputs") or {}):
            reading.fault(
                ("components", name, "rows"), "lake.yaml_want_choice", name=one.rows,
                choices=", ".join(inputs),
            )  # fmt: skip
    return out


def _levels(reading: Reading, entry: dict[str, Any], place: Place) -> tuple[str, ...]:
    if "levels" not in entry:
        return LEVELS
    named = reading.texts(entry["levels"], (*place, "levels"))
    for i, level in enumerate(named):
        if level not in LEVELS:
            reading.fault((*place, "levels", i), "lake.yaml_want_choice", name=level,
                          choices=", ".join(LEVELS))  # fmt: skip
    return named


def _date(reading: Reading, holder: dict[str, Any], place: Place, name: str) -> date | None:
    value = holder.get(name)
    if value is not None and type(value) is not date:
        reading.fault((*place, name), "indicators.bad_date", text=str(value))
        return None
    return value


def _derived(
    reading: Reading, doc: dict[str, Any], components: Mapping[str, Component]
) -> dict[str, Derived]:
    out = {}
    for place, name, entry in reading.items(doc.get("derived", {}), ("derived",)):
        entry = reading.mapping(entry, place, known={"capped", "less"})
        capped = reading.text(entry, place, "capped") or None
        less = reading.texts(entry.get("less", []), (*place, "less"))
        for other in (name, *less, *([capped] if capped else [])):
            _known(reading, place, other, components)
        out[name] = Derived(capped, less)
    return out


def _flaws(
    reading: Reading, doc: dict[str, Any], components: Mapping[str, Component]
) -> tuple[Flaw, ...]:
    out = []
    known = {"name", "rows", "seen", "has", "moves", "title"}
    for i, entry in enumerate(reading.sequence(doc.get("faults", []), ("faults",))):
        place: Place = ("faults", i)
        entry = reading.mapping(entry, place, known=known)
        moves = []
        for j, move in enumerate(reading.sequence(entry.get("moves"), (*place, "moves"))):
            where: Place = (*place, "moves", j)
            move = reading.mapping(move, where, known={"count", "by", "unless", "only_if"})
            names = [
                reading.text(move, where, "count", None) or None,
                *(reading.text(move, where, n) or None for n in ("unless", "only_if")),
            ]
            for name in names:
                if name is not None:
                    _known(reading, where, name, components)
            by = reading.number(move.get("by", 1), (*where, "by"))
            moves.append(Move(names[0] or "", int(by or 0), names[1], names[2]))
        seen = reading.text(entry, place, "seen", None)
        _known(reading, place, seen, components)
        out.append(
            Flaw(
                name=reading.text(entry, place, "name", None),
                rows=reading.text(entry, place, "rows", None),
                title=reading.titles(entry, place),
                seen=seen,
                has=reading.truth(entry, place, "has"),
                moves=tuple(moves),
            )
        )
    return tuple(out)


def _known(reading: Reading, place: Place, name: str, components: Mapping[str, Component]) -> None:
    if name not in components:
        names = ", ".join(components)
        reading.fault(place, "lake.yaml_want_choice", name=name, choices=names)


def _meaning(score: Score, contracts: Mapping[str, Contract]) -> list[Fault]:
    """What is wrong with a score among the datasets of its pack."""
    out = []
    for name, columns in score.inputs.items():
        contract = contracts.get(name)
        if contract is None or contract.kind != "records":
            params: dict[str, object] = {"name": name, "known": ", ".join(contracts)}
            out.append(Fault(f"{score.path}:1:1", "indicators.no_input", params))
            continue
        have = [c.name for c in contract.columns]
        said = [where[name] for where in (score.since, score.named) if name in where]
        for column in (*columns, *said):
            if column not in have:
                params = {"name": column, "known": ", ".join(have)}
                out.append(Fault(f"{score.path}:1:1", "lake.unknown_parameter", params))
    return out


def _sql_faults(score: Score) -> list[Fault]:
    columns = {name for given in GIVEN.values() for name in given}
    for read in score.inputs.values():
        for column in read:
            columns |= {column, f"{column}_us", f"{column}_day"}
    return sql.Check(
        score.path, score.sql, score.sql_line,
        tables=frozenset((*score.inputs, *GIVEN)),
        columns=frozenset(columns),
        wanted=COUNTED,
    ).run()  # fmt: skip
