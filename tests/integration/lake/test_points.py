"""Single values for screens are those that a whole view of the store gives, whatever happens to it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from dothi.lake import registry
from dothi.lake.model import Batch, Quality, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

START = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 24 * 20
QUALITIES = [Quality.VALID] * 4 + [Quality.INVALID, Quality.MISSING]


@pytest.mark.parametrize("seed", range(3))
def test_points_are_those_of_a_view_after_any_loads_closes_and_undoings(
    lake: Lake, air: Dataset, db: Database, seed: int
) -> None:
    chance = random.Random(seed)
    with db.transaction() as conn:
        names = [((place,), "pm25") for place in "ABC"]
        streams = sorted(registry.stream_ids(conn, air, names).values())
    loads: list[int] = []

    def commit() -> None:
        cells = {
            (chance.choice(streams), START + timedelta(hours=chance.randrange(HOURS)))
            for _ in range(chance.choice((3, 200)))
        }
        kinds = [chance.choice(QUALITIES) for _ in cells]
        rows = SeriesRows(
            [s for s, _ in cells], [t for _, t in cells],
            [None if q is Quality.MISSING else chance.random() for q in kinds],
            [int(q) for q in kinds], list(range(1, len(cells) + 1)),
        )  # fmt: skip
        loads.append(lake.commit(Batch(air.id, rows, Source("http"))).load_id)

    def close() -> None:
        lake.close_days(air.id, START + timedelta(hours=chance.randrange(HOURS)))

    def undo() -> None:
        if loads:
            lake.undo(loads.pop(chance.randrange(len(loads))))

    times = [START + timedelta(hours=hour) for hour in range(0, HOURS, 7)]
    untils = [START + timedelta(hours=hour) for hour in (5, HOURS // 2, HOURS)]
    for _ in range(14):
        chance.choice((commit, commit, close, undo))()
        with lake.view() as view:
            relation = view.series(air)
            stored = view.execute(
                f"SELECT stream_id, t, v FROM {relation} WHERE q = {int(Quality.VALID)}"
            ).fetchall()
        known = {(s, t.astimezone(UTC)): v for s, t, v in stored}
        expected = {key: v for key, v in known.items() if key[1] in times}
        for _ in range(2):  # read from the body, then kept
            assert lake.points.at(air, streams, times) == expected
            for until in untils:
                last = {
                    s: max(t for x, t in known if x == s and t <= until)
                    for s in streams
                    if any(x == s and t <= until for x, t in known)
                }
                found = lake.points.newest(air, streams, until)
                assert {row[0]: row[1] for row in found} == last
                assert all(known[s, t] == v for s, t, v, _ in found)
