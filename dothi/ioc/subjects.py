"""The page of an indicator and that of an agency."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, decide, require
from dothi.ioc import figure, figures, overview, overview_panels
from dothi.ioc import overview_view as o
from dothi.ioc import view as v
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.span import Span
from dothi.ioc.tables import shown
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import NOTHING, date, duration, number, t
from dothi.lake import registry
from dothi.web.view import Status
from dothi.work.inbox import Filters

INDICATORS, AGENCIES = "/indicators", "/agencies"
FILES = ("csv", "xlsx", "parquet")


@dataclass(frozen=True)
class IndicatorView:
    """An indicator: its definition, its figures by station and by commune, its quality, its files.

    Without figures `figure` and `chart` are None."""

    name: str
    title: str
    words: str
    verify: str | None
    spans: tuple[v.Choice, ...]
    facts: tuple[v.Fact, ...]
    quality: tuple[v.Fact, ...]
    limits: v.Table | None
    sql: str
    files: tuple[v.Choice, ...]
    data_url: str
    figure: o.FigureView | None = None
    chart: v.ChartView | None = None
    by_unit: v.Table | None = None


def indicator(desk: Desk, actor: Actor, lang: str, span: Span, name: str) -> IndicatorView:
    """Raises NotFound for one that is not there or not for this actor."""
    figs = figures.visible(desk, actor, name)
    if figs is None:
        raise NotFound("identity.not_found")
    definition = figs.indicator.definition
    output = definition.outputs[0]
    plain = bool(figs.newest) and not output.labels
    top = figs.top or max(figs.newest.values(), key=lambda one: one.t, default=None)
    whole = figures.whole(desk, figs)
    counted = "fresh" if figures.of_stations(desk, figs) else "fresh_reporters"
    fresh = sum(figs.fresh(one) for one in figs.newest.values())
    data_url = f"/data/{name}"
    return IndicatorView(
        name=name,
        title=definition.title[lang],
        words=definition.words[lang],
        verify=definition.verify[lang] if definition.verify else None,
        spans=overview.spans(span, lang, f"{INDICATORS}/{name}"),
        facts=(
            v.Fact(t("subjects.code", lang), name),
            v.Fact(t("subjects.unit", lang), NOTHING if output.unit == "1" else output.unit),
            v.Fact(t("subjects.grain", lang), t(f"subjects.grain_{definition.grain}", lang)),
            *([figure.whole_fact(whole, output, lang)] if whole else []),
            v.Fact(t("overview.fact_source", lang), definition.source),
            v.Fact(t("subjects.inputs", lang), ", ".join(definition.inputs)),
            v.Fact(t("subjects.version", lang), f"{figs.indicator.version}"),
            *_targets(actor, figs, lang),
        ),
        quality=(
            v.Fact(t(f"subjects.{counted}", lang), f"{fresh}/{len(figs.newest)}"),
            v.Fact(t("subjects.promise", lang), duration(definition.freshness, lang)),
            v.Fact(t("subjects.newest", lang), _newest(figs, lang)),
            v.Fact(t("subjects.state", lang), figs.indicator.problem
                   or t("subjects.stale" if figs.indicator.stale else "subjects.current", lang)),
        ),
        limits=_limits(figs, lang),
        sql=definition.sql,
        files=tuple(v.Choice(f.upper(), f"{data_url}/file?format={f}") for f in FILES),
        data_url=data_url,
        figure=figure.view(desk, actor, lang, span, overview.key_of(figs), None) if plain else None,
        chart=overview_panels.chart(desk, actor, lang, span, top.stream_id) if plain and top else None,
        by_unit=_by_unit(figs, lang) if plain else None,
    )  # fmt: skip


def _newest(figs: Figures, lang: str) -> str:
    """Of when the newest figure is: the end of its hour or day, or its month, quarter or year."""
    newest = max((one.period for one in figs.newest.values()), default=None)
    if newest is None:
        return shown(None, lang)
    return newest.label(lang) if figs.indicator.definition.by_calendar else shown(newest.end, lang)


def _targets(actor: Actor, figs: Figures, lang: str) -> tuple[v.Fact, ...]:
    """The way to its targets, for who may set them."""
    if not decide(actor, "target.set", figs.indicator.dataset.resource).allowed:
        return ()
    url = f"/admin/targets?measure={figs.indicator.name}"
    return (v.Fact(t("targets.title", lang), t("targets.new", lang), url),)


def _limits(figs: Figures, lang: str) -> v.Table | None:
    thresholds = figs.indicator.definition.thresholds
    if not thresholds:
        return None
    columns = ("what", "limit", "valid", "source")
    return v.Table(
        tuple(t(f"subjects.limit_{name}", lang) for name in columns),
        tuple(
            (
                limit.title[lang],
                number(limit.limit, lang),
                " – ".join(
                    date(day, lang) if day else "…" for day in (limit.valid_from, limit.valid_to)
                ),
                limit.source + (f" ({t('subjects.verify', lang)})" if limit.verify else ""),
            )
            for limit in thresholds
        ),
        numeric=(1,),
    )


def _by_unit(figs: Figures, lang: str) -> v.Table | None:
    """The worst fresh figure of each commune: figures of stations are never added up."""
    decimals = figs.indicator.definition.outputs[0].decimals
    by_commune: dict[str, list[figures.Latest]] = {}
    for one in figs.newest.values():
        commune = figs.things[one.thing_id].properties.get("commune")
        if commune and figs.fresh(one):
            by_commune.setdefault(str(commune), []).append(one)
    if not by_commune:
        return None
    worst = {commune: min(found, key=figs.rank) for commune, found in by_commune.items()}
    columns = ("commune", "worst", "station", "stations", "state")
    return v.Table(
        tuple(t(f"subjects.unit_{name}", lang) for name in columns),
        tuple(
            (commune, number(one.value, lang, decimals), figs.things[one.thing_id].title(lang),
             str(len(by_commune[commune])), overview.status_of(one, lang).text)
            for commune, one in sorted(worst.items(), key=lambda pair: figs.rank(pair[1]))
        ),
        numeric=(1, 3),
    )  # fmt: skip


# -- agencies ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AgencyView:
    """An agency: what it is, its work, its data."""

    name: str
    status: Status
    facts: tuple[v.Fact, ...]
    below: tuple[v.Choice, ...]
    work: v.WorkPanel | None
    standing: o.AgencyRow | None
    data: tuple[o.DataRow, ...]
    manage_url: str | None


def agency(desk: Desk, actor: Actor, lang: str, span: Span, code: str) -> AgencyView:
    """Raises NotFound."""
    require(actor, "agency.read", Resource("agency", code))
    with desk.db.transaction() as conn:
        found = agencies.find_agency(conn, code)
        if found is None or found.id is None:
            raise NotFound("identity.not_found")
        names = {one.code: one.name(lang) for one in agencies.agencies(conn)}
        below = [one for one in agencies.agencies(conn, span.end.date()) if one.parent == code]
        owned = {d.contract.title[lang] for d in registry.datasets(conn)
                 if d.owner_agency == found.id}  # fmt: skip
    facts = [v.Fact(t("subjects.code", lang), code)]
    if found.parent:
        facts.append(v.Fact(t("subjects.above", lang), names.get(found.parent, found.parent),
                            f"{AGENCIES}/{found.parent}"))  # fmt: skip
    if found.merged_into:
        facts.append(v.Fact(t("subjects.merged", lang), names[found.merged_into],
                            f"{AGENCIES}/{found.merged_into}"))  # fmt: skip
    for key, day in (("since", found.valid_from), ("until", found.valid_to)):
        if day:
            facts.append(v.Fact(t(f"subjects.{key}", lang), date(day, lang)))
    listed = overview_panels.agencies(desk, actor, lang, span)
    address = f"/work?agency={found.id}"
    return AgencyView(
        name=found.name(lang),
        status=Status("unknown", t("subjects.ended", lang)) if found.valid_to
        else Status("ok", t("subjects.active", lang)),
        facts=tuple(facts),
        below=tuple(v.Choice(one.name(lang), f"{AGENCIES}/{one.code}") for one in below),
        work=replace(
            overview_panels.work(desk, actor, lang, Filters(agencies=frozenset({found.id}))),
            url=address, all_url=address,
        ) if desk.sees_work(actor) else None,
        standing=next((row for row in listed.rows if row.url == address), None) if listed else None,
        data=tuple(r for r in overview_panels.data(desk, actor, lang, span).rows if r.name in owned),
        manage_url=f"/admin/agencies/{code}"
        if decide(actor, "agency.manage", Resource("agency", code)).allowed else None,
    )  # fmt: skip
