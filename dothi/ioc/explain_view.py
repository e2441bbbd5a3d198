"""The answer to "Số này lấy từ đâu?": definition, rows, loads and files behind one figure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dothi.forms import store
from dothi.identity.model import Actor
from dothi.identity.policy import decide, require
from dothi.identity.predicate import admits
from dothi.indicators import service as indicators
from dothi.ioc import view as v
from dothi.ioc.admin.trail import in_words_of
from dothi.ioc.desk import Desk
from dothi.ioc.environment import aqi_class, attention
from dothi.kernel import wqi
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import NOTHING, date, datetime_, number, t
from dothi.kernel.period import Period
from dothi.kernel.time import VN, zone
from dothi.lake import loads
from dothi.lake.model import Quality
from dothi.web.view import Level, Status

if TYPE_CHECKING:
    from dothi.indicators.explain import Brought, Explanation, InputRow

MOST_ROWS = 400
WATER: dict[str, Level] = {
    "excellent": "ok", "good": "ok", "moderate": "notice", "bad": "warning", "poor": "critical",
    "severe": "critical",
}  # fmt: skip
"""How much attention a class of VN_WQI asks for."""


def explained(
    desk: Desk, actor: Actor, lang: str, indicator: str, thing_id: int, period: str
) -> v.ExplainView:
    """What stands behind an indicator's figures of a station and period.

    Raises NotFound for a figure that is not there or not for this actor.
    """
    # With it comes the SQL parser, a tenth of a second that no start of the web should pay.
    from dothi.indicators.explain import explain

    with desk.db.transaction() as conn:
        local = zone(indicators.find(conn, indicator).definition.zone)
    found = explain(desk.lake, indicator, thing_id, Period.parse(period, local))
    decision = require(actor, "dataset.read", found.indicator.dataset.resource)
    if not admits(decision.rows, {"agency_id": found.thing.agency_id}):
        raise NotFound("identity.not_found")
    definition = found.indicator.definition
    output = definition.outputs[0]
    value = found.values.get(output.name)
    level, limit = definition.exceeded(output.name, value or 0.0, found.period.first_day)
    status = None
    if found.limits.get(output.name):
        text = limit.title[lang] if limit else t("ioc.within_limits", lang)
        status = Status("warning" if level else "ok", text)
    if output.name == "aqi" and (kind := aqi_class(value)):
        status = Status(attention(kind), t(f"aqi.{kind}", lang))
    if output.name == "wqi" and value is not None:
        kind = wqi.category(value)
        status = Status(WATER[kind.code], kind.name(lang))
    return v.ExplainView(
        title=t("ioc.chart_of", lang, what=output.title[lang], place=found.thing.title(lang)),
        value=number(value, lang, output.decimals),
        unit="" if output.unit == "1" else output.unit,
        period=when(found.period, lang),
        status=status,
        words=definition.words[lang],
        inputs=_inputs(actor, found, lang),
        loads=_loads(desk, actor, found, lang),
        quality=_quality(found, lang),
        legal=definition.source,
        sql=definition.sql.strip(),
        computed_at=found.computed_at,
        version=str(found.indicator.version),
        verify=_verify(found, output.name, lang),
    )


def _verify(found: Explanation, output: str, lang: str) -> tuple[str, ...]:
    """What nobody has confirmed yet: of the definition, and each limit that holds in the period."""
    definition = found.indicator.definition
    said = [definition.verify[lang]] if definition.verify else []
    for one in definition.outputs:
        said += [
            t("ioc.explain_verify_limit", lang, what=limit.title[lang], source=limit.source)
            for limit in found.limits.get(one.name, ())
            if limit.verify and (one.name == output or not definition.verify)
        ]
    return tuple(said)


def when(period: Period, lang: str) -> str:
    """A figure's period in words; an hour by its end, as Decision 1459 names it."""
    if period.grain != "hour":
        return period.label(lang)
    end = period.end.astimezone(VN)
    last = period.start.astimezone(VN)
    return f"{t('ioc.hour_of', lang, at=f'{end:%H:%M}')}, {date(last, lang)}"


def _moment(row: InputRow, lang: str) -> str:
    """When a row was measured, or for which month, quarter or year it was reported."""
    time = row.dataset.contract.time
    period = row.period or (time.period(row.t) if time else None)
    return when(period, lang) if period else datetime_(row.t, lang)


def _inputs(actor: Actor, found: Explanation, lang: str) -> v.Table:
    """The rows; figures of other indicators lead to what stands behind them."""
    rows, links = list[tuple[str, ...]](), list[str | None]()
    for row in found.rows[:MOST_ROWS]:
        spec = row.dataset.contract.parameter(row.parameter)
        unit = "" if spec.unit == "1" else f" {spec.unit}"
        rows.append(
            (
                _moment(row, lang),
                spec.title[lang],
                f"{number(row.value, lang, spec.decimals)}{unit}",
                t(f"lake.quality_{int(row.quality)}", lang),
                t("common.yes" if row.entered else "common.no", lang),
                NOTHING if row.period else str(row.load_id),
                NOTHING if row.period else str(row.row_no),
            )
        )
        known = row.period and row.value is not None
        may = known and decide(actor, "dataset.read", row.dataset.resource).allowed
        links.append(_explained(row, found.thing.id) if may else None)
    columns = ("time", "what", "value", "quality", "used", "load", "row")
    return v.Table(
        tuple(t(f"ioc.input_{name}", lang) for name in columns),
        tuple(rows),
        numeric=(2, 5, 6),
        total=len(found.rows),
        links=tuple(links),
    )


def _explained(row: InputRow, thing: int) -> str:
    assert row.period is not None
    asked = {"indicator": row.dataset.name, "thing": thing, "period": row.period.code}
    return f"/ioc/explain?{urlencode(asked)}"


def _quality(found: Explanation, lang: str) -> tuple[v.Fact, ...]:
    """The intermediate figures, so that a person can compute the value again by hand."""
    facts = []
    definition = found.indicator.definition
    for output in definition.outputs[1:]:
        value = found.values.get(output.name)
        if value is None:
            continue
        shown = output.labels.get(int(value), {}).get(lang) or number(value, lang, output.decimals)
        facts.append(v.Fact(output.title[lang], shown))
    if found.again != found.values:
        facts.append(v.Fact(t("ioc.explain_behind", lang), t("ioc.explain_soon", lang)))
    counts: dict[Quality, int] = {}
    for row in found.rows:
        counts[row.quality] = counts.get(row.quality, 0) + 1
    facts += [
        v.Fact(t(f"lake.quality_{int(q)}", lang), number(count, lang))
        for q, count in sorted(counts.items())
    ]
    return tuple(facts)


def _via(door: str, typed: tuple[list[str], str] | None, who: dict[str, str], lang: str) -> str:
    """Through which door a load came; of typed figures also by whom, and who approved them."""
    said = t(f"ioc.door_{door}", lang)
    if typed is None:
        return said
    authors, by = typed
    names = ", ".join(who[ref] for ref in authors)
    return t("forms.via", lang, door=said, authors=names, by=who[by])


def _loads(desk: Desk, actor: Actor, found: Explanation, lang: str) -> tuple[v.LoadRef, ...]:
    brought = _brought(found)
    datasets = {one.dataset.id: one.dataset for one in brought.values()}
    may = {
        number for number, one in datasets.items()
        if decide(actor, "load.read", loads.resource(one, 0)).allowed
    }  # fmt: skip
    with desk.db.transaction() as conn:
        shown = [load for load, one in brought.items() if one.dataset.id in may]
        typed = store.typed_by(conn, sorted(shown)) if shown else {}
        people = {ref for authors, by in typed.values() for ref in (*authors, by)}
        who = in_words_of(conn, people, lang)
    refs = []
    for load_id, facts in sorted(found.loads.items(), reverse=True):
        one = brought[load_id]
        text = (
            t("ioc.one_row", lang, row=one.first)
            if one.rows == 1
            else t("ioc.some_rows", lang, count=one.rows, first=one.first, last=one.last)
        )
        refs.append(
            v.LoadRef(
                file=facts.file_name or t("ioc.load_number", lang, id=load_id),
                sha256=facts.file_sha256 or "—",
                rows=text,
                at=facts.at,
                url=f"/loads/{load_id}" if one.dataset.id in may else None,
                via=_via(facts.door, typed.get(load_id), who, lang),
            )
        )
    return tuple(refs[:100])


def _brought(found: Explanation) -> dict[int, Brought]:
    """What each load brought, whether to the figure itself or to those that it is made of."""
    from dothi.indicators.explain import Brought

    out = {one.load_id: one for one in found.below}
    numbers: dict[tuple[int, int], set[int]] = {}
    for row in found.rows:
        if row.period is None:
            numbers.setdefault((row.dataset.id, row.load_id), set()).add(row.row_no)
    datasets = {row.dataset.id: row.dataset for row in found.rows}
    for (dataset, load), rows in numbers.items():
        out[load] = Brought(datasets[dataset], load, len(rows), min(rows), max(rows))
    return out
