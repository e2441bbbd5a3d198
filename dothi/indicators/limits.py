"""Limits passed: said once, when the newest figure of a stream rises above one or falls below."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dothi.indicators import store
from dothi.indicators.service import Indicator, Latest, latest
from dothi.kernel.time import rfc3339
from dothi.lake import registry
from dothi.lake.service import Lake
from dothi.store.database import Connection
from dothi.store.events import emit

PASSED = "indicator.threshold"


def look(
    conn: Connection, lake: Lake, indicator: Indicator, things: Iterable[int] | None, now: datetime
) -> int:
    """Compare the newest figures of things (None: all) with what was known; events written.

    Only the newest period that has ended counts, and only while it is fresh: history that is
    loaded today raises nothing. Limits are counted, not compared as numbers, so that a new limit
    coming into force does not look like a fall and a rise.
    """
    outputs = {t.output for t in indicator.definition.thresholds}
    if not outputs:
        return 0
    wanted = None if things is None else set(things)
    streams = [
        s.id
        for s in registry.streams(conn, indicator.dataset).values()
        if s.parameter in outputs and (wanted is None or s.thing_id in wanted)
    ]
    newest = latest(conn, lake, indicator, now=now, outputs=outputs, streams=streams)
    fresh = [
        one for one in newest.values() if one.period.end >= now - indicator.definition.freshness
    ]
    known = store.levels(conn, sorted(one.stream_id for one in fresh))
    said = 0
    for one in sorted(fresh, key=lambda one: one.stream_id):
        before = known.get(one.stream_id)
        was, is_ = before.level if before else 0, len(one.passed)
        since = before.since if before and was == is_ else one.t
        if before is None or was != is_ or before.period != one.t:
            store.set_level(conn, one.stream_id, is_, since, one.t, one.value)
        if was != is_:
            _say(conn, indicator, one, was)
            said += 1
    return said


def _say(conn: Connection, indicator: Indicator, one: Latest, was: int) -> None:
    """Up: the highest limit passed now. Down: the highest limit that is passed no more."""
    level = len(one.passed)
    limit = one.passed[-1] if level > was else one.limits[min(was, len(one.limits)) - 1]
    emit(
        conn,
        PASSED,
        {
            "indicator": indicator.name,
            "version": indicator.version,
            "dataset": indicator.dataset.id,
            "thing": one.thing_id,
            "stream": one.stream_id,
            "parameter": one.output,
            "period": one.period.code,
            "t": rfc3339(one.t),
            "value": one.value,
            "threshold": limit.limit,
            "title": limit.title,
            "source": limit.source,
            "verify": limit.verify,
            "severity": limit.severity,
            "direction": "up" if level > was else "down",
            "level": level,
        },
        subject=f"stream:{one.stream_id}",
    )
