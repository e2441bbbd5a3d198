"""What the store holds already: figures that another dataset has, and those of the period before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dothi.forms.model import PLAIN, Line, Place
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.identity.predicate import admits
from dothi.kernel.errors import NotFound
from dothi.lake import registry
from dothi.lake.form import Asked
from dothi.lake.model import Batch, Quality, RecordRows, SeriesRows, Span
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

Rows = dict[str, dict[str, Any]]
"""By the key of a line (`PLAIN` where the form is no table) what stands in its columns."""


def from_elsewhere(lake: Lake, place: Place, actor: Actor | None) -> tuple[Rows, dict[str, str]]:
    """For each column with a `from` the values that its source holds for the same key and period;
    and the columns whose source this actor may not read. `actor` None: the house itself asks."""
    wanted: dict[str, list[Asked]] = {}
    for asked in place.form.asked:
        if asked.source is not None:
            wanted.setdefault(asked.source[0], []).append(asked)
    found: Rows = {}
    hidden: dict[str, str] = {}
    for name, columns in wanted.items():
        try:
            with lake.db.transaction() as conn:
                dataset = registry.find(conn, name)
        except NotFound:
            continue
        decision = decide(actor, "dataset.read", dataset.resource) if actor else None
        rows = rows_of(lake, place, dataset)
        for line, row in (rows or {PLAIN: {}}).items():
            owned = row | {"agency_id": place.party.agency_id}
            for asked in columns:
                assert asked.source is not None
                column = asked.source[1]
                if decision is not None and (
                    not decision.allowed
                    or column in decision.hidden
                    or not admits(decision.rows, owned)
                ):
                    hidden[asked.name] = name
                elif row.get(column) is not None:
                    found.setdefault(line, {})[asked.name] = row[column]
    return found, hidden


def rows_of(lake: Lake, place: Place, dataset: Dataset) -> Rows:
    """The figures that a dataset holds under the place's key: columns of the same names as in the
    form's own, and of a series the period's first instant. Of a table only a dataset with the lines'
    own column has any."""
    ours = {place.form.party_column: place.party.code}
    if place.form.period_column is not None:
        ours[place.form.period_column] = place.period_value
    line = place.form.lines.column if place.form.lines else None
    names = [column.name for column in dataset.contract.key]
    if not set(names) <= {*ours, line} or (line is not None and line not in names):
        return {}
    wanted = {name: ours[name] for name in names if name != line}
    if dataset.contract.kind == "series":
        return _of_series(lake, place, dataset, wanted, line)
    return _of_records(lake, dataset, wanted, line)


def withdraw(lake: Lake, place: Place, batch: Batch, lines: Collection[str]) -> None:
    """Let a batch take lines out of the store that its return does not have any more."""
    if not lines:
        return
    if isinstance(batch.rows, SeriesRows):
        keys = {tuple(place.key(line)) for line in lines}
        with lake.db.transaction() as conn:
            things = {t.id for t in registry.things(conn, place.dataset).values() if t.key in keys}
            streams = registry.streams(conn, place.dataset).values()
        at = place.period.start
        batch.replaces = [Span(s.id, at, at) for s in streams if s.thing_id in things]
        return
    assert isinstance(batch.rows, RecordRows)
    rows = batch.rows
    gone = [place.row(Line(line, {})) for line in sorted(lines)]
    names = [column.name for column in place.dataset.contract.key]
    count = len(rows)
    batch.rows = RecordRows(
        rows.dataset_id,
        [*rows.key, *("\x1f".join(str(row[name]) for name in names) for row in gone)],
        [*rows.row, *gone],
        [*rows.row_no, *range(count + 1, count + 1 + len(gone))],
        [int(Quality.VALID)] * count + [int(Quality.WITHDRAWN)] * len(gone),
    )


def _of_series(
    lake: Lake, place: Place, dataset: Dataset, wanted: dict[str, str], line: str | None
) -> Rows:
    names = [column.name for column in dataset.contract.key]
    with lake.db.transaction() as conn:
        lines: dict[int, str] = {}
        for thing in registry.things(conn, dataset).values():
            key = dict(zip(names, thing.key, strict=False))
            if wanted.items() <= key.items():
                lines[thing.id] = key.get(line, PLAIN) if line else PLAIN
        streams = {s.id: s for s in registry.streams(conn, dataset).values() if s.thing_id in lines}
    if not streams:
        return {}
    out: Rows = {}
    at = lake.points.at(dataset, list(streams), [place.period.start])
    for (stream, _), value in sorted(at.items()):
        one = streams[stream]
        out.setdefault(lines[one.thing_id], {})[one.parameter] = value
    return out


def _of_records(lake: Lake, dataset: Dataset, wanted: dict[str, str], line: str | None) -> Rows:
    columns = dataset.contract.columns
    names = ", ".join(f'"{c.name}"' for c in columns)
    same = " AND ".join(f'"{name}"::VARCHAR = ?' for name in wanted) or "true"
    with lake.view() as view:
        found = view.execute(
            f"SELECT {names} FROM {view.records(dataset)} WHERE {same} AND _q = ? "
            "ORDER BY _load_id, _row_no",
            [*wanted.values(), int(Quality.VALID)],
        ).fetchall()
    out: Rows = {}
    for cells in found:
        row = {
            c.name: value.isoformat()
            if c.type in ("date", "instant") and value is not None
            else value
            for c, value in zip(columns, cells, strict=True)
        }
        out[str(row[line]) if line else PLAIN] = row
    return out
