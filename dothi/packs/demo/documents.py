"""The demonstration's official documents: made-up monthly counts of every agency that answers for
procedures, always alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from random import Random

from dothi.identity import agencies
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.lake import registry
from dothi.lake.model import Batch, Quality, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Connection

DATASET = "official_documents"
MONTHS = 3
"""So many months that have ended are there from the first start on."""


def put_documents(lake: Lake, wanted: Iterable[str], today: date) -> int:
    """Store the counts of these agencies' ended months that are missing; how many."""
    month = Period.of_date("month", today)
    ended = [month := month.previous() for _ in range(MONTHS)]
    with lake.db.transaction() as conn:
        try:
            dataset = registry.find(conn, DATASET)
        except NotFound:
            return 0
        there = {a.code: a for a in agencies.agencies(conn, today)}
        newest = _newest(conn, dataset)
        rows: list[tuple[str, str, Period, float]] = []
        for code in wanted:
            if code not in there:
                continue
            own = there[code]
            names = {"vi": own.name_vi, "en": own.name_en}
            registry.put_thing(conn, dataset, key=[code], name=names, agency_id=own.id)
            for period in ended:
                if newest is None or period.start > newest:
                    rows += [(code, name, period, n) for name, n in counts(code, period).items()]
        if not rows:
            return 0
        streams = registry.stream_ids(conn, dataset, {((code,), name) for code, name, _, _ in rows})
    batch = SeriesRows(
        [streams[(code,), name] for code, name, _, _ in rows],
        [period.start for _, _, period, _ in rows],
        [value for _, _, _, value in rows],
        [int(Quality.VALID)] * len(rows),
        list(range(1, len(rows) + 1)),
    )
    source = Source("demo", actor="system", agency_id=dataset.owner_agency)
    lake.commit(Batch(dataset.id, batch, source))
    return len(rows)


def counts(code: str, period: Period) -> dict[str, float]:
    """An agency's month: its own size and habits, a little chance."""
    own = Random(f"documents {code}")  # noqa: S311 - figures of an invented agency
    chance = Random(f"documents {code} {period.code}")  # noqa: S311
    size = own.uniform(250, 900) * (0.35 if code.startswith("ubnd-") else 1)
    incoming = round(size * chance.uniform(0.9, 1.1))
    outgoing = round(size * own.uniform(0.5, 0.9) * chance.uniform(0.9, 1.1))
    signed = round(outgoing * own.uniform(0.9, 1))
    return {
        "incoming_due": incoming,
        "done_on_time": round(
            incoming * min(1, own.uniform(0.88, 0.99) * chance.uniform(0.99, 1.01))
        ),
        "outgoing": outgoing,
        "signed": signed,
        "electronic_only": round(signed * own.uniform(0.9, 1)),
    }


def _newest(conn: Connection, dataset: Dataset) -> datetime | None:
    row = conn.execute(
        "SELECT max(n.t) FROM series_newest n JOIN stream s ON s.id = n.stream_id "
        "WHERE s.dataset_id = %s",
        (dataset.id,),
    ).fetchone()
    return row[0] if row else None
