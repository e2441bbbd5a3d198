"""What a computation changes of the figures stored before, and storing exactly that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dothi.indicators.engine import Piece
from dothi.indicators.subject import TICK, Subject, instant
from dothi.kernel.aqi import Floats
from dothi.lake import registry
from dothi.lake.model import Batch, Quality, SeriesRows, Source, Span, StagedRows
from dothi.lake.read import View
from dothi.lake.service import Lake

ROWS_IN_MEMORY = 20_000
"""Beyond this many changed figures they go to the lake as a file, not row by row."""

StreamOf = Mapping[tuple[int, str], int]
"""An indicator's streams: (thing, output) → number."""


@dataclass(frozen=True)
class Change:
    """One output of a piece: where (place, instant) it is another figure or none any more.

    `before` and `after` are NaN where there was or is none; only differences are listed.
    """

    output: str
    place: NDArray[np.int64]
    us: NDArray[np.int64]
    before: Floats
    after: Floats


def changes(view: View, subject: Subject, streams: StreamOf, piece: Piece) -> Iterator[Change]:
    """Where a piece differs from what is stored, output by output."""
    stored = _stored(view, subject, streams, piece)
    shape = (len(piece.places), len(piece.us))
    for output in subject.definition.outputs:
        after, before = piece.columns.get(output.name), stored.get(output.name)
        if after is None and before is None:
            continue
        after, before = (np.full(shape, np.nan) if x is None else x for x in (after, before))
        differs = (after != before) & ~(np.isnan(after) & np.isnan(before))
        row, column = np.nonzero(differs)
        if len(row):
            yield Change(
                output.name, np.asarray(piece.places, np.int64)[row], piece.us[column],
                before[row, column], after[row, column],
            )  # fmt: skip


def _stored(view: View, subject: Subject, streams: StreamOf, piece: Piece) -> dict[str, Floats]:
    """What is stored for a piece, as its columns are."""
    row_of = {subject.things[place].id: row for row, place in enumerate(piece.places)}
    mine = {s: (row_of[thing], o) for (thing, o), s in streams.items() if thing in row_of}
    if not mine:
        return {}
    low, high = instant(int(piece.us[0])), instant(int(piece.us[-1]))
    relation = view.series(subject.dataset, streams=list(mine), start=low, end=high)
    found = view.execute(
        f"SELECT stream_id, epoch_us(t) AS us, v FROM {relation} WHERE v IS NOT NULL"
    ).fetchnumpy()
    stream, us, v = (np.asarray(found[name]) for name in ("stream_id", "us", "v"))
    if not len(stream):
        return {}
    names = [o.name for o in subject.definition.outputs]
    rows = np.zeros(max(mine) + 1, np.int64)
    outputs = np.full(max(mine) + 1, -1, np.int64)
    for s, (row, output) in mine.items():
        rows[s] = row
        outputs[s] = names.index(output) if output in names else -1
    column = np.searchsorted(piece.us, us)
    out = {}
    for number, name in enumerate(names):
        which = outputs[stream] == number
        if which.any():
            table = out[name] = np.full((len(piece.places), len(piece.us)), np.nan)
            table[rows[stream[which]], column[which]] = v[which]
    return out


def store(
    lake: Lake, view: View, subject: Subject, version: int, streams: dict[tuple[int, str], int],
    found: Sequence[Change],
) -> int:  # fmt: skip
    """Commit changes as one load of the indicator's own dataset; how many figures it touched.

    Streams that are new are made first and added to `streams`.
    """
    if not found:
        return 0
    _make_streams(lake, subject, streams, found)
    ids, us, v, spans = [], [], [], []
    step = subject.definition.size // TICK
    for change in found:
        stream = _stream_numbers(subject, streams, change)
        there = ~np.isnan(change.after)
        ids.append(stream[there])
        us.append(change.us[there])
        v.append(change.after[there])
        spans += _vanished(stream[~there], change.us[~there], step)
    columns = np.concatenate(ids), np.concatenate(us), np.concatenate(v)
    source = Source(door="indicator")
    report = {"indicator": subject.definition.name, "version": version}
    count = len(columns[0])
    if count <= ROWS_IN_MEMORY:
        rows = SeriesRows(
            columns[0].tolist(), [instant(one) for one in columns[1].tolist()],
            columns[2].tolist(), [int(Quality.VALID)] * count, [0] * count,
        )  # fmt: skip
        lake.commit(Batch(subject.dataset.id, rows, source, replaces=spans, report=report))
    else:
        with tempfile.TemporaryDirectory(prefix="dothi-indicator-") as folder:
            staged = _staged(view, Path(folder), *columns)
            lake.commit(Batch(subject.dataset.id, staged, source, replaces=spans, report=report))
    return count + sum(int(np.isnan(change.after).sum()) for change in found)


def _make_streams(
    lake: Lake, subject: Subject, streams: dict[tuple[int, str], int], found: Sequence[Change]
) -> None:
    pairs = {
        (subject.things[place].id, change.output)
        for change in found
        for place in np.unique(change.place).tolist()
    }
    if pairs - streams.keys():
        with lake.db.transaction() as conn:
            streams.update(registry.derived_streams(conn, subject.dataset, pairs - streams.keys()))


def _stream_numbers(subject: Subject, streams: StreamOf, change: Change) -> NDArray[np.int64]:
    number = np.full(len(subject.things), -1, np.int64)
    for place in np.unique(change.place).tolist():
        number[place] = streams[(subject.things[place].id, change.output)]
    return number[change.place]


def _vanished(stream: NDArray[np.int64], us: NDArray[np.int64], step: int) -> list[Span]:
    """Figures that are no more, neighbours in one span: nothing else stands between them."""
    if not len(stream):
        return []
    apart = np.r_[True, (np.diff(us) > step + step // 2) | (np.diff(stream) != 0)]
    starts = np.flatnonzero(apart)
    ends = np.r_[starts[1:] - 1, len(us) - 1]
    return [
        Span(int(stream[a]), instant(int(us[a])), instant(int(us[b])))
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


def _staged(
    view: View, folder: Path, ids: NDArray[np.int64], us: NDArray[np.int64], v: Floats
) -> StagedRows:
    path = str(folder / "figures.parquet").replace("'", "''")
    view.cursor.register("figures", {"stream_id": ids.astype(np.int32), "us": us, "v": v})
    try:
        view.cursor.execute(
            "COPY (SELECT stream_id, 0::INTEGER AS row_no, make_timestamptz(us) AS t, v, "
            f"{int(Quality.VALID)}::SMALLINT AS q FROM figures) TO '{path}'"
        )
    finally:
        view.cursor.unregister("figures")
    return StagedRows(f"read_parquet('{path}')", len(ids))
