"""Cases of a pack: given rows → expected figures, computed by the product's own engine.

A pack's `tests/*.yaml` holds them; the form is described in docs/packs.md. They need no store.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from dothi.indicators.definition import contract_text
from dothi.indicators.engine import SPARE_DECIMALS, compute
from dothi.indicators.model import Definition
from dothi.indicators.score import Score
from dothi.indicators.subject import Input, Subject
from dothi.indicators.trial import score_of
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.lake.columns import Column, calendar_months, parse_duration
from dothi.lake.contract import Contract, parse_contract
from dothi.lake.document import Place, Reading
from dothi.lake.engine import engine
from dothi.lake.history import literal
from dothi.lake.model import Quality
from dothi.lake.read import View, one_of
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.packs.model import Pack

MOST_ROWS = 100_000
"""Rows of one case, runs unrolled."""
_DOCUMENT = {"indicator", "score", "about", "things", "rows", "expect", "as_of"}
_RUN = {"from", "to", "every"}
_SCORE_KEY = ("agency", "unit", "period", "component")
_SCORE_FIGURES = ("numerator", "denominator", "ratio", "points", "most")
_PRIVATE = {"public": False, "agencies": [], "hidden": []}


@dataclass(frozen=True)
class Case:
    """One file of cases about one indicator or score: what is given, what must come out."""

    about: Definition | Score
    reading: Reading
    things: tuple[Mapping[str, Any], ...]
    rows: Mapping[str, tuple[Mapping[str, Any], ...]]
    expect: tuple[Mapping[str, Any], ...]
    as_of: datetime | None

    @property
    def path(self) -> str:
        """The file, for messages."""
        return self.reading.name


class Subjects:
    """What cases may be about and read: the definitions, scores and contracts of all packs."""

    def __init__(
        self, packs: Sequence[Pack], definitions: Sequence[Definition], scores: Sequence[Score]
    ) -> None:
        self.packs = {pack.name: pack for pack in packs}
        self.definitions = {one.name: one for one in definitions}
        self.scores = {one.name: one for one in scores}
        self.contracts = {c.name: c for pack in packs for c in pack.contracts}

    def contract(self, name: str) -> Contract:
        """The contract of a dataset, or that of an indicator's own series."""
        if name in self.contracts:
            return self.contracts[name]
        one = self.definitions[name]
        base = self.contract(next(iter(one.inputs)))
        return parse_contract(contract_text(one, base, {**_PRIVATE, "ground": "-"}), name)


def read(folder: Path, subjects: Subjects) -> list[Case]:
    """The cases of a pack's folder `tests`. Raises Invalid with every fault in their form."""
    cases, faults = [], []
    for path in sorted((folder / "tests").glob("*.yaml")):
        reading = Reading.of(path)
        unreadable = reading.root is None and reading.faults
        case = None if unreadable else _case(reading, subjects)
        faults += {fault.where: fault for fault in reversed(reading.faults)}.values()
        if case is not None:
            cases.append(case)
    if faults:
        raise Invalid("packs.invalid", faults=faults)
    return cases


def differences(case: Case, subjects: Subjects) -> list[Fault]:
    """Where the figures are not those expected, each at its line; empty: the case holds."""
    if isinstance(case.about, Score):
        return _score_differences(case, case.about, subjects)
    return _indicator_differences(case, case.about, subjects)


# -- reading --------------------------------------------------------------------------------------


def _case(reading: Reading, subjects: Subjects) -> Case | None:
    doc = reading.mapping(reading.root, (), known=_DOCUMENT)
    about = _about(reading, doc, subjects)
    if about is None:
        return None
    local = zone(about.zone)
    given: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for place, name, value in reading.items(doc.get("rows", {}), ("rows",)):
        if name not in about.inputs:
            reading.fault(
                place, "indicators.no_input", name=name, known=", ".join(sorted(about.inputs))
            )
            continue
        contract = subjects.contract(name)
        rows: list[Mapping[str, Any]] = []
        for i, entry in enumerate(reading.sequence(value, place)):
            rows += _rows(reading, entry, (*place, i), contract, local)
        given[name] = tuple(rows)
    if sum(map(len, given.values())) > MOST_ROWS:
        reading.fault(("rows",), "packs.case_rows", most=MOST_ROWS)
    things = []
    for i, entry in enumerate(reading.sequence(doc.get("things", []), ("things",))):
        thing = reading.mapping(entry, ("things", i), known={"key", "properties"})
        reading.sequence(thing.get("key"), ("things", i, "key"))
        reading.mapping(thing.get("properties", {}), ("things", i, "properties"))
        things.append(thing)
    expect = _expectations(reading, doc, about, local)
    as_of = None
    if isinstance(about, Score):
        as_of = _instant(reading, doc.get("as_of"), ("as_of",), local)
    return Case(about, reading, tuple(things), given, expect, as_of)


def _about(
    reading: Reading, doc: Mapping[str, Any], subjects: Subjects
) -> Definition | Score | None:
    for word, known in (("indicator", subjects.definitions), ("score", subjects.scores)):
        if word in doc:
            if isinstance(doc[word], str) and doc[word] in known:
                return known[doc[word]]
            names = ", ".join(sorted(known)) or "–"
            reading.fault((word,), "packs.case_unknown", name=str(doc[word]), known=names)
            return None
    reading.fault((), "lake.yaml_missing", name="indicator")
    return None


def _rows(
    reading: Reading, entry: Any, place: Place, contract: Contract, local: Any
) -> Iterator[Mapping[str, Any]]:
    """A row, or each of a run of equal rows (`from`, `to`, `every`), with instants as such."""
    series = contract.kind == "series"
    columns = {c.name: c for c in contract.columns}
    known = set(columns)
    if series:
        known = {c.name for c in contract.key} | {p.name for p in contract.parameters}
        known |= {"time", "quality", *_RUN}
    row = dict(reading.mapping(entry, place, known=known))
    for column in (c for c in contract.key if c.name not in row):
        reading.fault(place, "lake.yaml_missing", name=column.name)
    if not series:
        for name, value in row.items():
            row[name] = _typed(reading, value, (*place, name), columns.get(name), local)
        yield row
        return
    quality = reading.choice(row, place, "quality", ("valid", "suspect", "invalid"), "valid")
    row["quality"] = int(Quality[quality.upper()])
    if not _RUN & row.keys():
        row["time"] = _instant(reading, row.get("time"), (*place, "time"), local)
        if row["time"] is not None:
            yield row
        return
    at = _instant(reading, row.pop("from", None), (*place, "from"), local)
    to = _instant(reading, row.pop("to", None), (*place, "to"), local)
    said = str(row.pop("every", ""))
    every, months = parse_duration(said), calendar_months(said)
    if every is None:
        reading.fault((*place, "every"), "lake.bad_duration", text="")
    if at is None or to is None or every is None:
        return
    if (to - at) / every > MOST_ROWS:
        reading.fault(place, "packs.case_rows", most=MOST_ROWS)
        return
    step, moment = 0, at
    while moment <= to:
        yield row | {"time": moment}
        step += 1
        moment = _months_after(at, months * step, local) if months else at + every * step


def _months_after(at: datetime, months: int, local: tzinfo) -> datetime:
    """So many calendar months later; where the month is too short for the day, its last one."""
    here = at.astimezone(local)
    years, month = divmod(here.month - 1 + months, 12)
    year = here.year + years
    day = min(here.day, monthrange(year, month + 1)[1])
    return here.replace(year=year, month=month + 1, day=day)


def _typed(reading: Reading, value: Any, place: Place, column: Column | None, local: Any) -> Any:
    if column is None or value is None:
        return None
    if column.type == "instant":
        return _instant(reading, value, place, local)
    if column.type == "date":
        found = _instant(reading, value, place, local)
        return found.astimezone(local).date() if found else None
    if column.type == "text":
        return value if isinstance(value, str) else reading.text({"": value}, place, "")
    if column.type == "boolean" and not isinstance(value, bool):
        reading.fault(place, "packs.case_boolean")
        return None
    return value if isinstance(value, bool) else reading.number(value, place)


def _instant(reading: Reading, value: Any, place: Place, local: Any) -> datetime | None:
    """An instant as YAML or ISO 8601 has it; without an offset it is local."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=local)
    except ValueError:
        pass
    reading.fault(place, "packs.case_time", text=str(value))
    return None


def _expectations(
    reading: Reading, doc: Mapping[str, Any], about: Definition | Score, local: Any
) -> tuple[Mapping[str, Any], ...]:
    if isinstance(about, Score):
        known = {*_SCORE_KEY, *_SCORE_FIGURES}
        needed = ("agency", "period", "component")
    else:
        known = {*about.key, "period", *(o.name for o in about.outputs)}
        needed = (*about.key, "period")
    out = []
    for i, entry in enumerate(reading.sequence(doc.get("expect"), ("expect",))):
        place: Place = ("expect", i)
        row = dict(reading.mapping(entry, place, known=known))
        for name in needed:
            if row.get(name) is None:
                reading.fault(place, "lake.yaml_missing", name=name)
            else:
                row[name] = _plain_text(row[name])
        for name in row.keys() - {*needed, "unit"}:
            reading.number(row[name], (*place, name))
        if row.get("period"):
            reading.attempt(
                (*place, "period"), lambda code=row["period"]: Period.parse(code, local)
            )
        out.append(row)
    if not out:
        reading.fault(("expect",), "packs.case_nothing_expected")
    return tuple(out)


def _plain_text(value: Any) -> str:
    """A key or period as text: YAML takes 2026-11-01 for a date and 2.1 for a number."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H")
    return str(value)


# -- computing ------------------------------------------------------------------------------------


def _indicator_differences(case: Case, one: Definition, subjects: Subjects) -> list[Fault]:
    local = zone(one.zone)
    periods = [Period.parse(row["period"], local) for row in case.expect]
    inputs, things, table = _streams(case, one, subjects)
    own = Dataset(0, one.name, subjects.contract(one.name), None, _PRIVATE)
    got: dict[tuple[tuple[str, ...], datetime], dict[str, float]] = {}
    with engine(1, "512MB") as root:
        root.register("given", table)
        root.execute(
            "CREATE TABLE trial AS SELECT stream_id::INTEGER AS stream_id, "
            "make_timestamptz(us) AS t, CASE WHEN isnan(v) THEN NULL ELSE v END AS v, "
            "q::SMALLINT AS q, row_no FROM given"
        )

        def relation(
            _view: View, _dataset: Dataset, streams: Sequence[int] | None, a: datetime, b: datetime
        ) -> str:
            chosen = "true" if streams is None else one_of("stream_id", streams)
            return (
                f"(SELECT * FROM trial WHERE {chosen} "
                f"AND t BETWEEN {literal(a)} AND {literal(b)} ORDER BY row_no)"
            )

        subject = Subject(one, own, inputs, things)
        if things:
            first, last = min(periods, key=_start), max(periods, key=_start)
            try:
                for piece in compute(View(root), subject, None, first, last, relation=relation):
                    for name, values in piece.columns.items():
                        for i, j in zip(*np.nonzero(~np.isnan(values)), strict=True):
                            at = datetime.fromtimestamp(int(piece.us[j]) / 1e6, tz=local)
                            key = (things[piece.places[i]].key, at)
                            got.setdefault(key, {})[name] = float(values[i, j])
            except duckdb.Error as error:
                raise Invalid("packs.case_sql", name=one.name, problem=str(error)) from error
    faults = []
    for i, (row, period) in enumerate(zip(case.expect, periods, strict=True)):
        key = tuple(row[name] for name in one.key)
        if period.grain != one.grain:
            place = case.reading.at(("expect", i, "period"))
            faults.append(Fault(place, "packs.case_grain", {"grain": one.grain}))
            continue
        found = got.get((key, one.instant_of(period).astimezone(local)), {})
        decimals = {o.name: o.decimals for o in one.outputs}
        where = f"{', '.join(key)} {row['period']}"
        faults += _compared(case, i, row, found, decimals, where)
    return faults


def _start(period: Period) -> datetime:
    return period.start


def _streams(
    case: Case, one: Definition, subjects: Subjects
) -> tuple[tuple[Input, ...], tuple[Thing, ...], dict[str, Any]]:
    """Inputs and things made of a case's rows, and the rows as columns."""
    properties = {
        tuple(_plain_text(k) for k in entry.get("key", ())): dict(entry.get("properties", {}))
        for entry in case.things
    }
    keys = dict.fromkeys(
        tuple(_plain_text(row[k]) for k in one.key)
        for name in one.inputs
        for row in case.rows.get(name, ())
    )
    things = {
        key: Thing(i + 1, key, {}, None, None, None, properties.get(key, {}))
        for i, key in enumerate(keys)
    }
    columns: dict[str, list[Any]] = {name: [] for name in ("stream_id", "us", "v", "q", "row_no")}
    inputs, numbers = [], 0
    for number, (name, wanted) in enumerate(one.inputs.items(), 1):
        contract = subjects.contract(name)
        streams: dict[tuple[int, str], Stream] = {}
        for row in case.rows.get(name, ()):
            thing = things[tuple(_plain_text(row[k]) for k in one.key)]
            for parameter in (p for p in contract.parameters if p.name in row):
                if parameter.name not in wanted:
                    continue
                at = (thing.id, parameter.name)
                if at not in streams:
                    numbers += 1
                    streams[at] = Stream(numbers, number, thing.id, parameter.name)
                value, quality = row[parameter.name], row["quality"]
                if value is None:
                    quality = int(Quality.MISSING)
                elif _outside(float(value), parameter.low, parameter.high):
                    quality = max(quality, int(Quality.SUSPECT))
                columns["stream_id"].append(streams[at].id)
                columns["us"].append(round(row["time"].timestamp() * 1_000_000))
                columns["v"].append(np.nan if value is None else float(value))
                columns["q"].append(quality)
                columns["row_no"].append(len(columns["row_no"]))
        dataset = Dataset(number, name, contract, None, _PRIVATE)
        by_number = {stream.id: stream for stream in streams.values()}
        inputs.append(Input(dataset, by_number, complete=False))
    table = {
        name: np.array(values, np.float64 if name == "v" else np.int64)
        for name, values in columns.items()
    }
    return tuple(inputs), tuple(things.values()), table


def _outside(value: float, low: float | None, high: float | None) -> bool:
    return (low is not None and value < low) or (high is not None and value > high)


def _score_differences(case: Case, score: Score, subjects: Subjects) -> list[Fault]:
    pack = subjects.packs[score.pack]
    local = zone(score.zone)
    codes = list(dict.fromkeys(row["period"] for row in case.expect))
    as_of = case.as_of or max(Period.parse(code, local).end for code in codes)
    got = {
        (f.agency, f.unit, f.period, f.component): f
        for code in codes
        for f in score_of(pack, score, case.rows, [code], as_of)
    }
    faults = []
    for i, row in enumerate(case.expect):
        key = (row["agency"], row.get("unit") or "*", row["period"], row["component"])
        figure = got.get(key)
        found = {
            name: value
            for name in _SCORE_FIGURES
            if figure and (value := getattr(figure, name)) is not None
        }
        decimals: dict[str, int] = dict.fromkeys(_SCORE_FIGURES, SPARE_DECIMALS)
        faults += _compared(case, i, row, found, decimals, " ".join(key))
    return faults


def _compared(
    case: Case,
    number: int,
    row: Mapping[str, Any],
    found: Mapping[str, float],
    decimals: Mapping[str, int],
    where: str,
) -> list[Fault]:
    """A fault for each named figure that differs once rounded to the places it is shown with."""
    faults = []
    for name in sorted(decimals.keys() & row.keys()):
        wanted, is_now = row[name], found.get(name)
        if wanted is None and is_now is None:
            continue
        if wanted is None or is_now is None or round(wanted - is_now, decimals[name]) != 0:
            shown = "–" if is_now is None else f"{round(is_now, decimals[name] + 3):g}"
            expected = "–" if wanted is None else f"{wanted:g}"
            params = {"name": name, "where": where, "wanted": expected, "found": shown}
            place = case.reading.at(("expect", number, name))
            faults.append(Fault(place, "packs.case_differs", params))
    return faults
