"""Indicators over HTTP: what they mean, and their values."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.indicators import service, sums, target_store
from dothi.indicators.model import Definition
from dothi.indicators.service import Indicator
from dothi.kernel.errors import NotFound
from dothi.kernel.time import utc_now
from dothi.lake.out import answer
from dothi.lake.out.api import FORMS, After, AsOf, Bom, Fields, Filter, Form, Limit, Ordered
from dothi.lake.out.page import USUAL_ROWS
from dothi.lake.service import Lake


@get("/indicators", opt={"access": "dataset.read"}, sync_to_thread=True)
def list_indicators(
    actor: NamedDependency[Actor], lake: NamedDependency[Lake], lang: NamedDependency[str]
) -> list[dict[str, Any]]:
    """The indicators whose values the caller may read."""
    with lake.db.transaction() as conn:
        found = service.indicators(conn)
    may = [one for one in found if decide(actor, "dataset.read", one.dataset.resource).allowed]
    return [_short(one, lang) for one in may]


@get("/indicators/{indicator:str}", opt={"access": "dataset.read"}, sync_to_thread=True)
def show_indicator(
    indicator: FromPath[str],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    lang: NamedDependency[str],
) -> dict[str, Any]:
    """One indicator: its meaning, period, inputs, limits with their sources, its SELECT, and its targets
    for longer periods with the sums so far that the caller may see all of."""
    one = _found(lake, actor, indicator)
    definition = one.definition
    return _short(one, lang) | {
        "sums": _sums(lake, actor, one),
        "words": definition.words.get(lang),
        "source": definition.source,
        "inputs": definition.inputs,
        "key": definition.key,
        "zone": definition.zone,
        "freshness_s": definition.freshness.total_seconds(),
        "sql": definition.sql,
        "thresholds": [
            dataclasses.asdict(limit) | {"title": limit.title[lang]}
            for limit in definition.thresholds
        ],
    }


@get(
    "/indicators/{indicator:str}/values",
    opt={"access": "dataset.read", "forms": FORMS},
    sync_to_thread=True,
)
def indicator_values(
    indicator: FromPath[str],
    request: Request[Any, Any, Any],
    actor: NamedDependency[Actor],
    lake: NamedDependency[Lake],
    filter: Filter = None,
    fields: Fields = None,
    order: Ordered = "key",
    limit: Limit = USUAL_ROWS,
    after: After = None,
    as_of: AsOf = None,
    form: Form = None,
    bom: Bom = False,
) -> Response[Any]:
    """An indicator's values: a row for each output, thing and period; `parameter` is the output."""
    one = _found(lake, actor, indicator)
    what = answer.asked(
        filter=filter, fields=fields, order=order, limit=limit, after=after, as_of=as_of
    )
    definition = one.definition
    more = {
        "indicator": one.name, "version": one.version, "grain": definition.grain,
        "stamp": _stamp(definition), "source": definition.source, "stale": one.stale,
        "units": {output.name: output.unit for output in definition.outputs},
    }  # fmt: skip
    return answer.rows(request, lake, actor, one.dataset, what, word=form, bom=bom, more=more)


def _sums(lake: Lake, actor: Actor, one: Indicator) -> list[dict[str, Any]]:
    with lake.db.transaction() as conn:
        found = target_store.every(conn, one.name)
        codes = {a.id: a.code for a in agencies.agencies(conn) if a.id is not None}
        units = agencies.units_of(conn)
    decision = decide(actor, "dataset.read", one.dataset.resource)
    return [
        {
            "output": s.output.name, "place": s.target.place, "period": s.period.code,
            "low": s.target.low, "high": s.target.high, "ground": s.target.ground,
            "verify": s.target.verify, "value": s.value, "share": s.share, "elapsed": s.elapsed,
            "until": s.until.code, "figures": s.there, "expected": s.expected,
            "ended": s.over,
        }
        for s in sums.sums(lake, one, found, decision, codes, units, utc_now())
    ]  # fmt: skip


def _found(lake: Lake, actor: Actor, name: str) -> Indicator:
    with lake.db.transaction() as conn:
        try:
            one = service.find(conn, name)
        except NotFound as error:
            raise NotFound("identity.not_found") from error
    require(actor, "dataset.read", one.dataset.resource)
    return one


def _stamp(definition: Definition) -> str:
    """Which end of its period a value's `time` is."""
    return "end" if definition.grain == "hour" else "start"


def _short(one: Indicator, lang: str) -> dict[str, Any]:
    definition = one.definition
    return {
        "name": one.name,
        "title": definition.title[lang],
        "dataset": one.dataset.name,
        "pack": definition.pack,
        "owner": definition.owner,
        "grain": definition.grain,
        "stamp": _stamp(definition),
        "version": one.version,
        "since": one.since,
        "stale": one.stale,
        "problem": one.problem,
        "outputs": [
            msgspec.to_builtins(output) | {"title": output.title[lang]}
            for output in definition.outputs
        ],
    }


router = Router("/api/v1", route_handlers=[list_indicators, show_indicator, indicator_values])
