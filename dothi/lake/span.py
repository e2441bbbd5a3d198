"""Which stretch of which streams a batch touches, so that only what depends on it is computed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dothi.lake.model import Batch, SeriesRows, Span

MOST_SPANS = 64
"""Beyond this many streams one common stretch stands for all of the dataset."""


Cover = tuple[list[Span] | None, datetime | None, datetime | None]
"""The spans (None: any stream of the dataset), the first and the last instant."""


def cover_of(reach: Iterable[tuple[int, datetime, datetime]]) -> Cover:
    """Of stretches (stream, first, last), several of one stream among them."""
    lows: dict[int, datetime] = {}
    highs: dict[int, datetime] = {}
    for stream_id, first, last in reach:
        lows[stream_id] = min(first, lows.get(stream_id, first))
        highs[stream_id] = max(last, highs.get(stream_id, last))
    if not lows:
        return None, None, None
    first, last = min(lows.values()), max(highs.values())
    if len(lows) > MOST_SPANS:
        return None, first, last
    return [Span(i, lows[i], highs[i]) for i in sorted(lows)], first, last


def cover(batch: Batch) -> Cover:
    """Of a batch in memory."""
    rows = batch.rows
    if not isinstance(rows, SeriesRows):
        return None, None, None
    edges = [*(s.start for s in batch.replaces), *(s.end for s in batch.replaces)]
    first = min([*rows.t, *edges], default=None)
    last = max([*rows.t, *edges], default=None)
    ids = {*rows.stream_id, *(s.stream_id for s in batch.replaces)}
    if len(ids) > MOST_SPANS or first is None or last is None:
        return None, first, last
    lows: dict[int, datetime] = {}
    highs: dict[int, datetime] = {}
    pairs = [*zip(rows.stream_id, rows.t, strict=True)]
    pairs += [(s.stream_id, t) for s in batch.replaces for t in (s.start, s.end)]
    for stream_id, t in pairs:
        low = lows.get(stream_id)
        if low is None:
            lows[stream_id] = highs[stream_id] = t
        elif t < low:
            lows[stream_id] = t
        elif t > highs[stream_id]:
            highs[stream_id] = t
    return [Span(i, lows[i], highs[i]) for i in sorted(lows)], first, last
