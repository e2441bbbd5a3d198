"""The data somebody may read: the list, one dataset or indicator with a look at its rows, its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import IO, Any
from urllib.parse import urlencode

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.identity.predicate import Compare, Predicate
from dothi.indicators.service import Indicator
from dothi.ioc.desk import Desk
from dothi.ioc.tables import Cell
from dothi.ioc.tables import shown as written_cell
from dothi.ioc.view import Choice, Fact, Table
from dothi.kernel.errors import Fault, Invalid, NotFound
from dothi.kernel.i18n import NOTHING, duration, number, t
from dothi.kernel.time import VN, day_start, zone
from dothi.lake import registry
from dothi.lake.columns import CALENDAR
from dothi.lake.model import Quality
from dothi.lake.out import download
from dothi.lake.out import filter as filters
from dothi.lake.out.formats import CSV, PARQUET, XLSX
from dothi.lake.out.page import Asked, Field, Order, Shown, page, parsed, shown
from dothi.lake.registry import Dataset
from dothi.web.view import Status

DATA, LOADS, SQL, INSPECT = "/data", "/loads", "/sql", "/loads/inspect"
UNITS = "/units"
FILES = (CSV, XLSX, PARQUET)
PREVIEW_ROWS = 50
MOST_THINGS = 500
_QUALITIES = {q.name.lower(): int(q) for q in Quality}
Names = dict[str, str]
_INSIDE = frozenset({"stream", "load_id", "row_no"})
"""Columns that are for programs, left out of what a person looks at."""


# -- what the pages show --------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue. `loaded`: when something was last stored in it."""

    name: str
    title: str
    owner: str
    kind: str
    sharing: Status
    loaded: datetime | None
    url: str


@dataclass(frozen=True)
class CatalogueView:
    sections: tuple[Choice, ...]
    datasets: tuple[Entry, ...]
    indicators: tuple[Entry, ...]


@dataclass(frozen=True)
class Wanted:
    """The rows somebody wants to see, as the form sends it. `until` is the last day."""

    q: str = ""
    since: str = ""
    until: str = ""
    thing: str = ""
    parameter: str = ""
    after: str = ""

    def address(self, url: str, **more: str) -> str:
        """The address of something about these rows."""
        told = {name: value for name, value in (vars(self) | more).items() if value}
        return f"{url}?{urlencode(told)}" if told else url


@dataclass(frozen=True)
class ColumnRow:
    """A column of the rows, or a quantity or output of a series."""

    name: str
    title: str
    unit: str


@dataclass(frozen=True)
class DataView:
    """One dataset. `table` is None where the form has a fault; `filtered`: not all rows are meant."""

    sections: tuple[Choice, ...]
    entry: Entry
    words: str
    verify: str
    facts: tuple[Fact, ...]
    columns: tuple[ColumnRow, ...]
    series: bool
    wanted: Wanted
    things: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, str], ...]
    faults: tuple[str, ...]
    table: Table | None
    files: tuple[Choice, ...]
    api_url: str
    sql_url: str
    next_url: str | None
    first_url: str | None
    filtered: bool


# -- the list -------------------------------------------------------------------------------------


def sections(desk: Desk, actor: Actor, lang: str, current: str) -> tuple[Choice, ...]:
    """The parts of the menu's entry "data" that are for them."""
    sees_loads = desk.sees_loads(actor)
    parts = [("data.catalogue", DATA, True), ("ioc.loads", LOADS, sees_loads)]
    parts.append(("loads.league_short", f"{LOADS}/agencies", sees_loads))
    parts.append(("units.page_title", UNITS, True))
    parts.append(("data.sql", SQL, actor.signed_in))
    own = Resource("dataset", owner_agency=actor.agency_id)
    parts.append(("inspect.short", INSPECT, decide(actor, "dataset.define", own).allowed))
    return tuple(Choice(t(key, lang), url, url == current) for key, url, may in parts if may)


def listing(desk: Desk, actor: Actor, lang: str) -> CatalogueView:
    """Everything they may read, by title."""
    indicators = desk.definitions()
    with desk.db.transaction() as conn:
        every = registry.datasets(conn)
        seen = [d for d in every if decide(actor, "dataset.read", d.resource).allowed]
        entries = _entries(conn, seen, indicators, lang)
    entries.sort(key=lambda one: one.title.casefold())
    return CatalogueView(
        sections(desk, actor, lang, DATA),
        tuple(one for one in entries if one.name not in indicators),
        tuple(one for one in entries if one.name in indicators),
    )


def _entries(
    conn: Any, found: Iterable[Dataset], indicators: dict[str, Indicator], lang: str
) -> list[Entry]:
    found = list(found)
    names = {agency.id: agency.name(lang) for agency in agencies.agencies(conn)}
    loaded = dict(
        conn.execute(
            "SELECT d.id, l.at FROM unnest(%s::int[]) d(id), LATERAL (SELECT at FROM load "
            "WHERE dataset_id = d.id AND state = 'committed' ORDER BY id DESC LIMIT 1) l",
            ([dataset.id for dataset in found],),
        ).fetchall()
    )
    return [
        Entry(
            name=dataset.name,
            title=dataset.contract.title.get(lang) or dataset.name,
            owner=names.get(dataset.owner_agency, NOTHING),
            kind=_kind(dataset, indicators, lang),
            sharing=_sharing(dataset, lang),
            loaded=loaded.get(dataset.id),
            url=f"{DATA}/{dataset.name}",
        )
        for dataset in found
    ]


def _kind(dataset: Dataset, indicators: dict[str, Indicator], lang: str) -> str:
    if dataset.name in indicators:
        return t(f"data.grain_{indicators[dataset.name].definition.grain}", lang)
    return t(f"admin.kind_{dataset.contract.kind}", lang)


def _sharing(dataset: Dataset, lang: str) -> Status:
    if dataset.sharing["public"]:
        return Status("ok", t("admin.shared_public", lang))
    if many := len(dataset.sharing.get("agency_ids", ())):
        return Status("notice", t("admin.shared_with", lang, many=many))
    return Status("unknown", t("admin.shared_none", lang))


# -- one dataset ----------------------------------------------------------------------------------


def one(
    desk: Desk, actor: Actor, lang: str, name: str, wanted: Wanted
) -> tuple[DataView, Invalid | None]:
    """A dataset and its first rows, and what was wrong with the form. Raises NotFound."""
    dataset, seen = _seen(desk, actor, name)
    indicators = desk.definitions()
    indicator = indicators.get(name)
    with desk.db.transaction() as conn:
        [entry] = _entries(conn, [dataset], indicators, lang)
    url, series = f"{DATA}/{name}", seen.series
    columns = _columns(seen, indicator, lang)
    quantities = {c.name: f"{c.title} ({c.unit})" if c.unit else c.title for c in columns}
    table, following, error, text = None, None, None, ""
    try:
        text = _filter(seen, wanted)
        table, following = _preview(
            desk, actor, seen, indicator, text, wanted.after, lang, quantities
        )
    except Invalid as wrong:
        error = wrong
    own = "indicators" if indicator else "datasets"
    rows = "values" if indicator else "rows"
    asked = {"filter": text} if text else {}
    told = replace(wanted, after="")
    return DataView(
        sections=sections(desk, actor, lang, DATA),
        entry=entry,
        words=indicator.definition.words.get(lang, "") if indicator else "",
        verify=(indicator.definition.verify or {}).get(lang, "") if indicator else "",
        facts=_facts(dataset, indicator, entry, lang),
        columns=columns,
        series=series,
        wanted=wanted,
        things=_things(seen, lang) if series else (),
        parameters=_parameters(seen, indicator, lang) if series else (),
        faults=_faults(error, lang),
        table=table,
        files=tuple(
            Choice(form.word.upper(), told.address(f"{url}/file", format=form.word))
            for form in FILES
        ),
        api_url=f"/api/v1/{own}/{indicator.name if indicator else name}/{rows}"
        + (f"?{urlencode(asked)}" if asked else ""),
        sql_url=f"{SQL}?dataset={name}",
        next_url=replace(wanted, after=following).address(url) if following else None,
        first_url=told.address(url) if wanted.after else None,
        filtered=bool(text),
    ), error


def file(
    desk: Desk, actor: Actor, name: str, wanted: Wanted, word: str
) -> tuple[IO[bytes], str, str]:
    """All the rows meant, as a file: its content, media type and name. Raises NotFound for a form
    that is none, and what `download` raises."""
    form = next((one for one in FILES if one.word == word), None)
    dataset, seen = _seen(desk, actor, name)
    if form is None:
        raise NotFound("web.no_page")
    content, _ = download.download(
        desk.lake, actor, dataset, form, filter=_filter(seen, wanted), order="key"
    )
    stamp = f"{desk.now().astimezone(VN):%Y%m%d-%H%M}"
    return content, form.media_type, f"{name}-{stamp}.{form.ending}"


def _seen(desk: Desk, actor: Actor, name: str) -> tuple[Dataset, Shown]:
    with desk.db.transaction() as conn:
        try:
            dataset = registry.find(conn, name)
        except NotFound:
            raise NotFound("identity.not_found") from None
        require(actor, "dataset.read", dataset.resource)
        return dataset, shown(conn, actor, dataset)


def _filter(seen: Shown, wanted: Wanted) -> str:
    """The form as a filter. Raises Invalid with what is wrong, each at its field."""
    parsed(seen, wanted.q)  # alone, so that a fault's place is that of the field
    parts: list[Predicate] = []
    faults = []
    if seen.series:
        time = seen.dataset.contract.time
        local = zone(time.zone) if time else VN
        for name in ("since", "until"):
            text = getattr(wanted, name).strip()
            try:
                if text and name == "since":
                    parts.append(Compare("time", ">=", day_start(date.fromisoformat(text), local)))
                elif text:
                    after = date.fromisoformat(text) + timedelta(days=1)
                    parts.append(Compare("time", "<", day_start(after, local)))
            except (ValueError, OverflowError):
                faults.append(Fault(name, "out.filter_no_date", {"text": text[:100]}))
        if wanted.parameter:
            parts.append(Compare("parameter", "=", wanted.parameter[:200]))
        thing = next((x for x, _ in seen.streams if str(x.id) == wanted.thing), None)
        columns = [column.name for column in seen.dataset.contract.key]
        if thing is not None and set(columns) <= seen.kinds.keys():
            parts += [Compare(c, "=", k) for c, k in zip(columns, thing.key, strict=True)]
    if faults:
        raise Invalid("out.rows_invalid", faults=faults)
    text = [f"({wanted.q})"] if wanted.q.strip() else []
    return " and ".join([*text, *(filters.written(part) for part in parts)])


def _preview(
    desk: Desk, actor: Actor, seen: Shown, indicator: Indicator | None, text: str, after: str,
    lang: str, quantities: Names,
) -> tuple[Table, str | None]:  # fmt: skip
    """The first rows. Computed figures have their definition's decimals; what a source gave stays as
    it was given."""
    order: Order = "-time" if seen.series else "key"
    fields = tuple(one for one in seen.fields if one.name not in _INSIDE)
    names = tuple(one.name for one in fields)
    if seen.series:
        names = ("stream", *names)
    asked = Asked(text, names, order, PREVIEW_ROWS, after or None)
    with page(desk.lake, actor, seen.dataset, asked) as found:
        rows = found.cursor.sql(found.select).fetchall()
        following = found.next
    titles = [_title(seen.dataset, one, lang) for one in fields]
    told: list[tuple[str, ...]] = []
    if not seen.series:
        told = [tuple(_cell(v, f, lang) for v, f in zip(row, fields, strict=True)) for row in rows]
    else:
        titles.insert(0, t("data.thing", lang))
        named = seen.dataset.contract.time
        outputs = indicator.definition.outputs if indicator else ()
        decimals = {output.name: output.decimals for output in outputs}
        places = {stream.id: thing.title(lang) for thing, stream in seen.streams}
        for stream, *values in rows:
            line = [places.get(stream, NOTHING)]
            row = dict(zip(names[1:], values, strict=True))
            for value, field in zip(values, fields, strict=True):
                known = quantities.get(value) if field.name == "parameter" else None
                if field.name == "value" and row["parameter"] in decimals:
                    known = number(value, lang, decimals[row["parameter"]])
                if named and field.name == "time" and (period := named.period(value)):
                    known = period.label(lang)
                line.append(known or _cell(value, field, lang))
            told.append(tuple(line))
    first = len(titles) - len(fields)
    numeric = (i for i, one in enumerate(fields, first) if one.type in ("number", "integer"))
    return Table(tuple(titles), tuple(told), tuple(numeric)), following


def _title(dataset: Dataset, field: Field, lang: str) -> str:
    if field.name == "quality":
        return t("data.column_quality", lang)
    if dataset.contract.kind == "series" and field.name in ("parameter", "time", "value"):
        return t(f"data.column_{field.name}", lang)
    known = {c.name: c.title for c in (*dataset.contract.columns, *dataset.contract.key)}
    title = known.get(field.name)
    text = title.get(lang) or field.name if title else field.name
    return f"{text} ({field.unit})" if field.unit else text


def _cell(value: Any, field: Field, lang: str) -> str:
    if field.name == "quality" and value in _QUALITIES:
        return t(f"lake.quality_{_QUALITIES[value]}", lang)
    return cell(value, lang)


def cell(value: Cell | bool, lang: str) -> str:
    """A value of a row as a page writes it."""
    if isinstance(value, bool):
        return t("common.yes" if value else "common.no", lang)
    return written_cell(value, lang)


# -- what stands around the rows ------------------------------------------------------------------


def _faults(error: Invalid | None, lang: str) -> tuple[str, ...]:
    if error is None:
        return ()
    told = (
        f"{fault.where.partition(':')[2]}: {fault.text(lang)}"
        if fault.where.startswith("filter:")
        else fault.text(lang)
        for fault in error.faults
    )
    return (error.text(lang), *told)


def _facts(
    dataset: Dataset, indicator: Indicator | None, entry: Entry, lang: str
) -> tuple[Fact, ...]:
    contract = dataset.contract
    facts = [
        Fact(t("admin.owner", lang), entry.owner), Fact(t("admin.kind", lang), entry.kind)
    ]  # fmt: skip
    if contract.time is not None:
        if contract.time.months in CALENDAR:
            every = t(f"subjects.grain_{CALENDAR[contract.time.months]}", lang)
            facts.append(Fact(t("data.rhythm", lang), every))
        elif contract.time.rhythm is not None:
            facts.append(Fact(t("data.rhythm", lang), duration(contract.time.rhythm, lang)))
        facts.append(Fact(t("data.zone", lang), contract.time.zone))
    facts.append(Fact(t("data.key", lang), ", ".join(column.name for column in contract.key)))
    if indicator is not None:
        definition = indicator.definition
        facts.append(Fact(t("data.source", lang), definition.source))
        word = t("data.input", lang)
        facts += [Fact(word, name, f"{DATA}/{name}") for name in definition.inputs]
        facts.append(Fact(t("data.version", lang), str(indicator.version)))
    if contract.units is not None:
        text = t("units.page_by_unit", lang)
        facts.append(Fact(t("units.page_title", lang), text, f"{DATA}/{dataset.name}/by-unit"))
    if ground := dataset.sharing.get("ground"):
        facts.append(Fact(t("admin.ground", lang), ground))
    return tuple(facts)


def _columns(seen: Shown, indicator: Indicator | None, lang: str) -> tuple[ColumnRow, ...]:
    contract = seen.dataset.contract
    if indicator is not None:
        outputs = indicator.definition.outputs
        return tuple(ColumnRow(o.name, o.title.get(lang, o.name), o.unit) for o in outputs)
    if seen.series:
        shown_ = [p for p in contract.parameters if p.name not in seen.decision.hidden]
        return tuple(ColumnRow(p.name, p.title.get(lang, p.name), p.unit) for p in shown_)
    return tuple(
        ColumnRow(c.name, (c.title or {}).get(lang, c.name), c.unit or "")
        for c in contract.columns
        if c.name in seen.kinds
    )


def _things(seen: Shown, lang: str) -> tuple[tuple[str, str], ...]:
    if not {c.name for c in seen.dataset.contract.key} <= seen.kinds.keys():
        return ()
    found = {thing.id: thing for thing, _ in seen.streams}
    told = sorted((thing.title(lang), str(number)) for number, thing in found.items())
    return tuple((number, title) for title, number in told[:MOST_THINGS])


def _parameters(seen: Shown, indicator: Indicator | None, lang: str) -> tuple[tuple[str, str], ...]:
    there = {stream.parameter for _, stream in seen.streams}
    return tuple(
        (row.name, row.title) for row in _columns(seen, indicator, lang) if row.name in there
    )
