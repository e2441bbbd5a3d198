"""What the store holds already: figures that another dataset has, and those of the period before."""

from __future__ import annotations

from typing import Any

from dothi.forms.model import Place
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.identity.predicate import admits
from dothi.kernel.errors import NotFound
from dothi.lake import registry
from dothi.lake.form import Asked
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

Row = dict[str, Any]


def from_elsewhere(
    lake: Lake, place: Place, actor: Actor | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """For each column with a `from` the value that its source holds for the same key and period;
    and the columns whose source this actor may not read. `actor` None: the house itself asks."""
    wanted: dict[str, list[Asked]] = {}
    for asked in place.form.asked:
        if asked.source is not None:
            wanted.setdefault(asked.source[0], []).append(asked)
    found: dict[str, Any] = {}
    hidden: dict[str, str] = {}
    for name, columns in wanted.items():
        try:
            with lake.db.transaction() as conn:
                dataset = registry.find(conn, name)
        except NotFound:
            continue
        decision = decide(actor, "dataset.read", dataset.resource) if actor else None
        row = row_of(lake, place, dataset)
        for asked in columns:
            assert asked.source is not None
            column = asked.source[1]
            if decision is not None and (
                not decision.allowed
                or column in decision.hidden
                or not admits(decision.rows, row | {"agency_id": place.party.agency_id})
            ):
                hidden[asked.name] = name
            elif row.get(column) is not None:
                found[asked.name] = row[column]
    return found, hidden


def row_of(lake: Lake, place: Place, dataset: Dataset) -> Row:
    """The figures that a dataset holds under the place's key: columns of the same names as in the
    form's own, and of a series the period's first instant. {} where there are none."""
    ours = {place.form.party_column: place.party.code}
    if place.form.period_column is not None:
        ours[place.form.period_column] = place.period_value
    contract = dataset.contract
    names = [column.name for column in contract.key]
    if not set(names) <= ours.keys():
        return {}
    if contract.kind == "series":
        return _of_series(lake, place, dataset, tuple(ours[name] for name in names))
    return _of_records(lake, dataset, "\x1f".join(ours[name] for name in names))


def _of_series(lake: Lake, place: Place, dataset: Dataset, key: tuple[str, ...]) -> Row:
    with lake.db.transaction() as conn:
        things = {t.id for t in registry.things(conn, dataset).values() if t.key == key}
        streams = {
            s.id: s.parameter
            for s in registry.streams(conn, dataset).values()
            if s.thing_id in things
        }
    if not streams:
        return {}
    found = lake.points.at(dataset, list(streams), [place.period.start])
    return {streams[stream]: value for (stream, _), value in found.items()}


def _of_records(lake: Lake, dataset: Dataset, key: str) -> Row:
    columns = dataset.contract.columns
    names = ", ".join(f'"{c.name}"' for c in columns)
    with lake.view() as view:
        row = view.execute(
            f"SELECT {names} FROM {view.records(dataset)} WHERE _key = ? AND _q = ?",
            [key, int(Quality.VALID)],
        ).fetchone()
    if row is None:
        return {}
    return {
        c.name: value.isoformat() if c.type in ("date", "instant") and value is not None else value
        for c, value in zip(columns, row, strict=True)
    }
