"""What rests on a load: rows of it that still count, indicators that read them, figures that would
change without it."""

from __future__ import annotations

from dataclasses import dataclass

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.identity.predicate import admits
from dothi.indicators.service import Indicator
from dothi.ioc.desk import Desk
from dothi.ioc.view import Fact, Table
from dothi.kernel.i18n import number, t
from dothi.lake import loads, registry

MOST_SHOWN = 50
MOST_FORESEEN = 200_000
"""Values of a load up to which its figures are told beforehand: that computes them all anew."""


@dataclass(frozen=True)
class UseView:
    """`figures` is None where nothing would change; `note` says why it is not told."""

    load_id: int
    title: str
    facts: tuple[Fact, ...]
    figures: Table | None
    note: str


def use(desk: Desk, actor: Actor, lang: str, load_id: int) -> UseView:
    """What would change if the load was taken out, of what the actor may read. Raises NotFound."""
    with desk.db.transaction() as conn:
        load, dataset = loads.get(conn, actor, load_id)
    definitions = desk.definitions()
    readable = {
        name: one
        for name, one in definitions.items()
        if decide(actor, "dataset.read", one.dataset.resource).allowed
    }
    readers = sorted(
        one.definition.title[lang]
        for one in readable.values()
        if dataset.name in one.definition.inputs
    )
    facts = [
        Fact(t("loads.living", lang), number(loads.living(desk.lake, load, dataset), lang)),
        Fact(t("loads.readers", lang), "; ".join(readers) or t("loads.readers_none", lang)),
    ]
    figures, note = None, ""
    values = load.rows_new + load.rows_changed + load.rows_same
    if dataset.contract.kind != "series" or load.state != "committed":
        note = t("loads.not_foreseen", lang) if load.state == "committed" else ""
    elif values > MOST_FORESEEN:
        note = t("loads.too_large_to_foresee", lang, most=MOST_FORESEEN)
    else:
        figures, counts = _figures(desk, actor, load_id, readable, lang)
        note = "" if figures else t("loads.nothing_changes", lang)
        facts += [
            Fact(t("loads.would_change", lang), f"{title}: {number(count, lang)}")
            for title, count in counts
        ]
    title = load.file_name or t("ioc.load_number", lang, id=load_id)
    return UseView(load_id, title, tuple(facts), figures, note)


def _figures(
    desk: Desk, actor: Actor, load_id: int, readable: dict[str, Indicator], lang: str
) -> tuple[Table | None, list[tuple[str, int]]]:
    """The first figures that would change, and how many of each indicator."""
    # With it comes the computing of indicators, which no start of the web should pay.
    from dothi.indicators.lineage import affected_by_load

    with desk.db.transaction() as conn:
        things = {
            number_: thing
            for one in readable.values()
            for number_, thing in registry.things(conn, one.dataset).items()
            if admits(
                decide(actor, "dataset.read", one.dataset.resource).rows,
                {"agency_id": thing.agency_id},
            )
        }
    affected = [
        a
        for a in affected_by_load(desk.lake, load_id)
        if a.indicator in readable and a.thing_id in things
    ]
    counts: dict[str, int] = {}
    rows = []
    for a in affected:
        definition = readable[a.indicator].definition
        title = definition.title[lang]
        counts[title] = counts.get(title, 0) + 1
        if len(rows) < MOST_SHOWN:
            output = definition.output(a.output)
            rows.append(
                (
                    t("ioc.chart_of", lang, what=output.title[lang],
                      place=things[a.thing_id].title(lang)),
                    definition.period_at(a.t).label(lang),
                    number(a.before, lang, output.decimals),
                    number(a.after, lang, output.decimals),
                )
            )  # fmt: skip
    if not affected:
        return None, []
    heads = tuple(t(f"loads.head_{n}", lang) for n in ("figure", "period", "now", "without"))
    return Table(heads, tuple(rows), numeric=(2, 3), total=len(affected)), sorted(counts.items())
