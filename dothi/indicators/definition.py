"""Reading indicator files: YAML front matter between two lines `---`, then one SELECT."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import yaml

from dothi.indicators.functions import FUNCTIONS
from dothi.indicators.model import (
    DIRECTIONS,
    FRESHNESS,
    SEVERITIES,
    SIZES,
    SUM_GRAINS,
    Better,
    Definition,
    Output,
    Threshold,
)
from dothi.kernel import units
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.period import GRAINS, Grain
from dothi.kernel.time import named_zone
from dothi.lake.columns import APART, NAME, RESERVED, OverUnits, check_weights, read_over_units
from dothi.lake.contract import Contract
from dothi.lake.document import Place, Reading
from dothi.packs.model import Pack, PackFile

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
_DOCUMENT = {
    "title", "words", "source", "owner", "inputs", "key", "period", "lookback", "lookahead",
    "freshness", "better", "outputs", "thresholds", "verify",
}  # fmt: skip
_FENCE = "---"
_RHYTHMS: dict[Grain, str] = {
    "hour": "PT1H", "day": "P1D", "month": "P1M", "quarter": "P3M", "year": "P1Y",
}  # fmt: skip


def load(packs: Sequence[Pack], others: Iterable[Contract] = ()) -> list[Definition]:
    """The indicators of packs, each after those it reads. Raises Invalid with every fault.

    They may read datasets of any of the packs and those of `others`, and other indicators.
    """
    # The SQL parser takes a tenth of a second to load; whoever parses what is stored needs none.
    from dothi.indicators import sql
    from dothi.indicators.rewrite import binding_faults

    contracts = {c.name: c for c in (*others, *(c for pack in packs for c in pack.contracts))}
    faults: list[Fault] = []
    drafts: dict[str, Definition] = {}
    for pack in packs:
        for file in pack.indicators:
            try:
                made = _read(file, pack)
            except Invalid as error:
                faults += error.faults
                continue
            if made.name in contracts or made.name in drafts:
                params = {"name": made.name}
                faults.append(Fault(f"{file.path}:1:1", "indicators.name_taken", params))
            else:
                drafts[made.name] = made
    for draft in drafts.values():
        faults += [*_meaning(draft, contracts, drafts), *sql.faults(draft)]
    ordered, circle = _in_order(drafts)
    for name in circle:
        params = {"names": " → ".join([*circle, circle[0]])}
        faults.append(Fault(f"{drafts[name].path}:1:1", "indicators.circle", params))
    if not faults:
        faults = binding_faults(ordered)
    if faults:
        raise Invalid("indicators.invalid", faults=faults)
    return ordered


def parse(text: str, pack: str, owner: str, path: str, *, stored: bool = True) -> Definition:
    """A definition's text. Raises Invalid with every fault of its front matter.

    One `stored` before front matter had to say which way is better is read as saying neither.
    """
    front, statement, line = _split(text, path)
    reading = Reading(front, path)
    reading.finish("indicators.invalid")
    doc = reading.mapping(reading.root, (), known=_DOCUMENT)
    better = direction(reading, doc, (), "none" if stored else None)
    grain, zone_name = _period(reading, doc)
    outputs = _outputs(reading, doc, better, grain)
    made = Definition(
        name=path.rpartition("/")[2].removesuffix(".sql"),
        pack=pack,
        owner=reading.text(doc, (), "owner", owner),
        title=reading.titles(doc, ()),
        words=reading.titles(doc, (), "words"),
        source=reading.text(doc, (), "source"),
        inputs=_inputs(reading, doc),
        key=reading.texts(doc.get("key"), ("key",)),
        grain=grain,
        zone=zone_name,
        lookback=_duration(reading, doc, "lookback"),
        lookahead=_duration(reading, doc, "lookahead"),
        freshness=_freshness(reading, doc, grain),
        outputs=outputs,
        thresholds=_thresholds(reading, doc, outputs),
        sql=statement,
        sql_line=line,
        path=path,
        text=text,
        formulas=tuple(
            f"{name} {FUNCTIONS[name].version}"
            for name in sorted(FUNCTIONS)
            if re.search(rf"\b{name}\b", statement)
        ),
        verify=reading.titles(doc, (), "verify") if "verify" in doc else None,
    )
    reading.finish("indicators.invalid")
    return made


def contract_text(definition: Definition, base: Contract, sharing: dict[str, Any]) -> str:
    """The contract of an indicator's own series, as YAML."""
    assert base.time is not None
    units = base.units and {
        "key": base.units.column, "as_of": base.units.as_of, "codes": base.units.codes,
    }  # fmt: skip
    return yaml.safe_dump(
        {
            "dataset": definition.name,
            "kind": "series",
            "title": definition.title,
            "owner": definition.owner,
            "key": list(definition.key),
            "time": {
                "zone": definition.zone,
                "rhythm": _RHYTHMS[definition.grain],
                "stamp": "end" if definition.grain == "hour" else "start",
            },
            "parameters": {
                output.name: {
                    "title": output.title,
                    "unit": output.unit,
                    "decimals": output.decimals,
                    **_over_units(output.over_units),
                }
                for output in definition.outputs
            },
            "sharing": sharing,
            **({"units": units} if units else {}),
        },
        allow_unicode=True,
        sort_keys=False,
    )


def _over_units(how: OverUnits) -> dict[str, Any]:
    if how.weight is not None:
        return {"over_units": {"mean": how.weight}}
    return {} if how == APART else {"over_units": how.aggregation.value}


def _read(file: PackFile, pack: Pack) -> Definition:
    return parse(file.text, pack.name, pack.owner.code, str(file.path), stored=False)


def _split(text: str, path: str) -> tuple[str, str, int]:
    """Front matter with the lines it stood on, the SELECT, and how many lines stand before it."""
    lines = text.splitlines()
    fences = [i for i, line in enumerate(lines) if line.rstrip() == _FENCE]
    if len(fences) < 2 or any(line.strip() for line in lines[: fences[0]]):
        fault = Fault(f"{path}:1:1", "indicators.no_front_matter")
        raise Invalid("indicators.invalid", faults=[fault])
    first, second = fences[:2]
    front = "\n" * (first + 1) + "\n".join(lines[first + 1 : second])
    return front, "\n".join(lines[second + 1 :]), second + 1


def _period(reading: Reading, doc: dict[str, Any]) -> tuple[Grain, str]:
    place: Place = ("period",)
    entry = reading.mapping(doc.get("period"), place, known={"grain", "zone"})
    zone_name = reading.text(entry, place, "zone", "Asia/Ho_Chi_Minh")
    zone_name = reading.attempt((*place, "zone"), lambda z=zone_name: named_zone(z), zone_name)
    said = reading.choice(entry, place, "grain", GRAINS)
    return next(grain for grain in GRAINS if grain == said), zone_name


def _freshness(reading: Reading, doc: dict[str, Any], grain: Grain) -> timedelta:
    """How old a figure may be. Of months, quarters and years not less than such a period: else the
    newest figure would be out of date before the next one can be there."""
    said = _duration(reading, doc, "freshness")
    if timedelta() < said < SIZES[grain] and grain not in ("hour", "day"):
        days = SIZES[grain].days
        reading.fault(("freshness",), "indicators.freshness_short", grain=grain, days=days)
    return said or FRESHNESS[grain]


def _duration(reading: Reading, doc: dict[str, Any], name: str) -> timedelta:
    text = reading.text(doc, (), name)
    match = _DURATION.fullmatch(text) if text else None
    if text and (match is None or not any(match.groups())):
        reading.fault((name,), "lake.bad_duration", text=text)
    if match is None:
        return timedelta()
    days, hours, minutes = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def _inputs(reading: Reading, doc: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    out = {}
    for place, name, entry in reading.items(doc.get("inputs"), ("inputs",)):
        out[name] = reading.texts(entry, place)
        if not out[name]:
            reading.fault(place, "indicators.no_parameters", name=name)
    if not out:
        reading.fault(("inputs",), "lake.yaml_missing", name="inputs")
    return out


def direction(
    reading: Reading, holder: dict[str, Any], place: Place, default: Better | None = None
) -> Better:
    """Which way is better, as `holder` says it; without a default it has to."""
    if "better" not in holder and default is None:
        reading.fault(place, "indicators.no_direction")
        return "none"
    said = reading.choice(holder, place, "better", DIRECTIONS, default)
    return next(one for one in DIRECTIONS if one == said)


def _outputs(
    reading: Reading, doc: dict[str, Any], better: Better, grain: Grain
) -> tuple[Output, ...]:
    out = []
    known = {"title", "unit", "decimals", "labels", "over_units", "over_time", "better"}
    for place, name, entry in reading.items(doc.get("outputs"), ("outputs",)):
        entry = reading.mapping(entry, place, known=known)
        if not NAME.fullmatch(name) or name in RESERVED:
            reading.fault(place, "lake.bad_name", name=name)
        unit = reading.text(entry, place, "unit", None)
        symbol = reading.attempt((*place, "unit"), lambda u=unit: units.unit(u).symbol, unit)
        labels = {}
        if "labels" in entry:
            labels_doc = reading.mapping(entry["labels"], (*place, "labels"))
            for number in labels_doc:
                if not isinstance(number, int):
                    reading.fault((*place, "labels", number), "lake.yaml_want_number", name=number)
                    continue
                labels[number] = reading.titles(labels_doc, (*place, "labels"), number)  # type: ignore[arg-type]
        decimals = int(reading.number(entry.get("decimals"), (*place, "decimals")) or 0)
        how = read_over_units(reading, entry, place)
        added = reading.choice(entry, place, "over_time", ("sum", "none"), "none") == "sum"
        if added and (labels or how.weight is not None or symbol == "%"):
            reading.fault((*place, "over_time"), "indicators.rate_not_added", name=name)
        if added and not SUM_GRAINS[grain]:
            reading.fault((*place, "over_time"), "indicators.no_longer_period", grain=grain)
        # Of names, neither way is better, unless it is said of them.
        toward = direction(reading, entry, place, "none" if labels else better)
        title = reading.titles(entry, place)
        out.append(Output(name, title, symbol, decimals, labels, how, toward, added))
    check_weights(reading, ("outputs",), {one.name: one.over_units for one in out})
    if not out:
        reading.fault(("outputs",), "lake.yaml_missing", name="outputs")
    return tuple(out)


def _thresholds(
    reading: Reading, doc: dict[str, Any], outputs: tuple[Output, ...]
) -> tuple[Threshold, ...]:
    out = []
    names = tuple(output.name for output in outputs)
    known = {"output", "above", "valid", "severity", "title", "source", "verify"}
    for i, entry in enumerate(reading.sequence(doc.get("thresholds", []), ("thresholds",))):
        place: Place = ("thresholds", i)
        entry = reading.mapping(entry, place, known=known)
        valid = reading.mapping(entry.get("valid", {}), (*place, "valid"), known={"from", "to"})
        limit = reading.number(entry.get("above"), (*place, "above"))
        if limit is None:
            reading.fault(place, "lake.yaml_missing", name="above")
        start, end = (_date(reading, valid, (*place, "valid"), name) for name in ("from", "to"))
        if start and end and start > end:
            reading.fault((*place, "valid"), "indicators.dates_reversed")
        severity = reading.choice(entry, place, "severity", SEVERITIES)
        out.append(
            Threshold(
                output=reading.choice(entry, place, "output", names or ("?",)),
                limit=limit or 0.0,
                valid_from=start,
                valid_to=end,
                severity=next(s for s in SEVERITIES if s == severity),
                title=reading.titles(entry, place),
                source=reading.text(entry, place, "source", None),
                verify=reading.truth(entry, place, "verify"),
            )
        )
    return tuple(out)


def _date(reading: Reading, holder: dict[str, Any], place: Place, name: str) -> date | None:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, datetime) or not isinstance(value, date):
        reading.fault((*place, name), "indicators.bad_date", text=str(value))
        return None
    return value


def _meaning(
    draft: Definition, contracts: dict[str, Contract], drafts: dict[str, Definition]
) -> list[Fault]:
    """What is wrong with a definition among the datasets and indicators that exist."""
    reading = Reading(_split(draft.text, draft.path)[0], draft.path)
    known = sorted({*contracts, *drafts})
    for name, parameters in draft.inputs.items():
        place: Place = ("inputs", name)
        if name in drafts:
            have: Iterable[str] = (o.name for o in drafts[name].outputs)
            key = drafts[name].key
        elif name in contracts and contracts[name].kind == "series":
            have = (p.name for p in contracts[name].parameters)
            key = tuple(c.name for c in contracts[name].key)
        else:
            reading.fault(place, "indicators.no_input", name=name, known=", ".join(known))
            continue
        have = list(have)
        for i, parameter in enumerate(parameters):
            if parameter not in have:
                where = (*place, i)
                params = {"name": parameter, "known": ", ".join(have)}
                reading.fault(where, "lake.unknown_parameter", **params)
        if key != draft.key:
            reading.fault(("key",), "indicators.other_key", name=name, wanted=", ".join(key))
        if base_of(name, contracts, drafts) != base_of(next(iter(draft.inputs)), contracts, drafts):
            reading.fault(place, "indicators.other_things", name=name)
    return reading.faults


def base_of(name: str, contracts: dict[str, Contract], drafts: dict[str, Definition]) -> str | None:
    """The dataset whose things a dataset's or indicator's series belong to; None when unknown."""
    seen = set()
    while name in drafts and name not in seen:
        seen.add(name)
        name = next(iter(drafts[name].inputs))
    return name if name in contracts else None


def _in_order(drafts: dict[str, Definition]) -> tuple[list[Definition], list[str]]:
    """Definitions with each after its inputs, and the names of a circle if there is one."""
    ordered: dict[str, Definition] = {}
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in ordered or name not in drafts:
            return []
        if name in path:
            return path[path.index(name) :]
        path.append(name)
        for other in drafts[name].inputs:
            if circle := visit(other):
                return circle
        path.pop()
        ordered[name] = drafts[name]
        return []

    for name in drafts:
        if circle := visit(name):
            return list(ordered.values()), circle
    return list(ordered.values()), []
