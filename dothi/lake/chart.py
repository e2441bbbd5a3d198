"""A stream over any length of time, cut on the server into buckets with minimum and maximum."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.lake import registry
from dothi.lake.columns import CALENDAR, Time
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset, Stream
from dothi.lake.service import Lake
from dothi.store.database import Connection, own_sql

SPANS = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "1y": timedelta(days=365),
}
BUCKETS_S = (
    60, 300, 600, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 28 * 86_400,
)  # fmt: skip
LOCAL_S = 7 * 3600
"""Viet Nam's distance from UTC: buckets begin at local midnight where they can."""
WITHDRAWN = int(Quality.WITHDRAWN)


@dataclass(frozen=True)
class Chart:
    """Columns of equal length, one entry for each bucket, empty ones included.

    `t`: the bucket's start in seconds since 1970; min, max, mean of valid values, None without
    one; `bad`: how many rows were kept but are not valid. `raw`: at most one value in a bucket.
    `periods`: the buckets, where they are months, quarters or years; else empty.
    """

    start: datetime
    end: datetime
    first: datetime | None
    last: datetime | None
    bucket_s: int
    raw: bool
    t: list[int]
    low: list[float | None]
    high: list[float | None]
    mean: list[float | None]
    bad: list[int]
    periods: tuple[Period, ...] = ()


def chart(
    lake: Lake,
    dataset: Dataset,
    stream: Stream,
    *,
    span: str | None,
    start: datetime | None = None,
    end: datetime | None = None,
    width: int = 1400,
    now: datetime,
) -> Chart:
    """A stretch of a stream in at most width / 2 buckets. `span`: one of SPANS, or "all"."""
    with lake.db.transaction() as conn:
        row = conn.execute(
            "SELECT t FROM series_newest WHERE stream_id = %s", (stream.id,)
        ).fetchone()
        last = row[0] if row else None
        rhythm = _rhythm(conn, dataset, stream)
        until = registry.body_until(conn, [dataset.id])[dataset.id]
    first = _first(lake, dataset, stream.id, until)
    if start is None or end is None:
        start, end = _span(span, first, last, now)
    start = max(start, datetime(1900, 1, 1, tzinfo=UTC))
    end = max(end, start + timedelta(minutes=1))
    room = max(2, min(width, 8_000) // 2)
    contract_time = dataset.contract.time
    periods: list[Period] = []
    if contract_time is not None and contract_time.months in CALENDAR:
        periods = _periods(contract_time, start, end, last, now)
    if 0 < len(periods) <= room and contract_time is not None:
        bucket = contract_time.months * 30 * 86_400
        key = _MONTHS.format(
            zone=contract_time.zone, months=contract_time.months, early=_early(contract_time)
        )
        start = min(start, periods[0].start)
        low_k, size = _number(periods[0], contract_time.months), len(periods)
        t = [int(one.start.timestamp()) for one in periods]
    else:
        periods = []
        bucket = _bucket((end - start).total_seconds(), room, rhythm)
        key = f"floor((extract(epoch FROM t) + {LOCAL_S}) / {bucket:d})"
        low_k = _index(start, bucket)
        size = _index(end, bucket) - low_k + 1
        t = [(low_k + i) * bucket - LOCAL_S for i in range(size)]
    rows = _buckets(lake, dataset, stream.id, start, end, key, until)
    lows: list[float | None] = [None] * size
    highs: list[float | None] = [None] * size
    means: list[float | None] = [None] * size
    bad = [0] * size
    most = 1
    for k, low, high, mean, invalid, count in rows:
        i = int(k) - low_k
        if 0 <= i < size:
            lows[i], highs[i], means[i], bad[i] = low, high, mean, invalid
            most = max(most, count)
    raw = most <= 1
    return Chart(start, end, first, last, bucket, raw, t, lows, highs, means, bad, tuple(periods))


def _span(
    span: str | None, first: datetime | None, last: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """What a named span means: it ends now, or at the newest value where that is older."""
    if span == "all":
        return first or now - SPANS["7d"], last or now
    length = SPANS.get(span or "7d", SPANS["7d"])
    end = last if last is not None and last < now - length else now
    return end - length, end


def _periods(
    about: Time, start: datetime, end: datetime, last: datetime | None, now: datetime
) -> list[Period]:
    """The periods of a stretch that have a value or have ended: what goes on has none to miss."""
    grain, local = CALENDAR[about.months], zone(about.zone)
    ended = Period.containing(grain, now, local).previous()
    newest = ended if last is None else max(ended, Period.containing(grain, last, local))
    one = Period.containing(grain, start, local)
    until = min(newest, Period.containing(grain, end, local))
    out = []
    while one <= until:
        out.append(one)
        one = one.next()
    return out


def _number(period: Period, months: int) -> int:
    """A period counted from year 0, as `_MONTHS` counts."""
    first = period.first_day
    return (first.year * 12 + first.month - 1) // months


def _early(about: Time) -> str:
    """What is taken from a value's instant so that it lies within its period."""
    return " - INTERVAL '1 microsecond'" if about.stamp == "end" else ""


def _index(at: datetime, bucket: int) -> int:
    return int((at.timestamp() + LOCAL_S) // bucket)


def _bucket(span_s: float, most: int, rhythm: timedelta | None) -> int:
    least = max(span_s / most, 1)
    step = rhythm.total_seconds() if rhythm else 0
    for bucket in BUCKETS_S:
        if bucket >= least and bucket >= step:
            return bucket
    return int(BUCKETS_S[-1] * -(-least // BUCKETS_S[-1]))


def _rhythm(conn: Connection, dataset: Dataset, stream: Stream) -> timedelta | None:
    # A derived dataset keeps its own rhythm: a thing's is that of the dataset it belongs to.
    own = conn.execute(
        "SELECT properties->>'rhythm' FROM thing WHERE id = %s AND dataset_id = %s",
        (stream.thing_id, dataset.id),
    ).fetchone()
    if own and own[0]:
        return registry.duration(own[0])
    return dataset.contract.time.rhythm if dataset.contract.time else None


_MONTHS = (
    "floor((extract(year FROM (t{early}) AT TIME ZONE '{zone}') * 12 "
    "+ extract(month FROM (t{early}) AT TIME ZONE '{zone}') - 1) / {months:d})"
)
_SELECT = """
    SELECT {key} AS k,
           min(v) FILTER (WHERE q = 0), max(v) FILTER (WHERE q = 0), avg(v) FILTER (WHERE q = 0),
           count(*) FILTER (WHERE q <> 0), count(*) FROM {rows} GROUP BY 1 ORDER BY 1"""
"""The same text for PostgreSQL and DuckDB."""


def _buckets(
    lake: Lake, dataset: Dataset, stream_id: int, start: datetime, end: datetime, key: str,
    until: datetime | None,
) -> Sequence[tuple[float, float | None, float | None, float | None, int, int]]:  # fmt: skip
    if until is None or start > until:
        rows = (
            f"(SELECT t, v, q FROM series_head WHERE stream_id = %s AND t BETWEEN %s AND %s "
            f"AND q <> {WITHDRAWN}) h"
        )
        with lake.db.transaction() as conn:
            return conn.execute(
                own_sql(_SELECT.format(key=key, rows=rows)), (stream_id, start, end)
            ).fetchall()
    with lake.view() as view:
        rows = view.series(dataset, streams=[stream_id], start=start, end=end)
        return view.execute(_SELECT.format(key=key, rows=rows)).fetchall()


def _first(lake: Lake, dataset: Dataset, stream_id: int, until: datetime | None) -> datetime | None:
    """The oldest value's instant; looked up at most once a minute, because the past rarely moves."""
    known = lake.firsts.get(stream_id)
    if known and time.monotonic() - known[0] < 60:
        return known[1]
    with lake.db.transaction() as conn:
        row = conn.execute(
            "SELECT min(t) FROM series_head WHERE stream_id = %s AND q <> %s",
            (stream_id, WITHDRAWN),
        ).fetchone()
    first = row[0] if row else None
    if until is not None:
        with lake.view() as view:
            found = view.execute(
                f"SELECT min(t) FROM {view.series(dataset, streams=[stream_id])}"
            ).fetchone()
            first = found[0] if found else first
    if len(lake.firsts) > 20_000:
        lake.firsts.clear()
    lake.firsts[stream_id] = (time.monotonic(), first)
    return first
