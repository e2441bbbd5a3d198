"""Storing the demonstration's past: once all of it, at later starts what is missing since."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dothi.identity.agencies import agency_id
from dothi.lake import registry
from dothi.lake.engine import engine
from dothi.lake.model import Batch, Outcome, Quality, SeriesRows, Source, StagedRows
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.packs.demo.curve import History, history
from dothi.packs.demo.spec import Spec, demo_spec
from dothi.store.database import Connection, Database

DOOR = "demo"
DAYS = 120
MOST_IN_MEMORY = 20_000
"""Rows that go through the head; more of them go straight to the body."""


@dataclass(frozen=True)
class Prepared:
    """What a start added: rows, and the instant up to which every station is complete."""

    rows: int
    until: datetime
    outcome: Outcome | None = None


def prepare(
    db: Database, lake: Lake, now: datetime, *, spec: Spec | None = None, days: int = DAYS
) -> Prepared:
    """Make the stations known and store their values up to now, as far as they are missing.

    The dataset must be registered. A station that has values goes on after its newest one, so a
    second call right after the first stores nothing.
    """
    spec = spec or demo_spec()
    with db.transaction() as conn:
        dataset = registry.find(conn, spec.dataset)
        _put_stations(conn, dataset, spec)
        streams = _streams(conn, dataset, spec)
        newest = _newest(conn, dataset)
    found = history(spec, now, days, after=newest)
    if not len(found):
        return Prepared(0, now)
    source = Source(DOOR, actor="system", agency_id=dataset.owner_agency)
    quality = _quality(dataset, spec, found)
    numbers = streams[found.station, found.pollutant]
    row_no = np.arange(1, len(found) + 1, dtype=np.int32)
    if len(found) <= MOST_IN_MEMORY:
        rows = SeriesRows(
            numbers.tolist(), _instants(found), found.value.tolist(), quality.tolist(),
            row_no.tolist(),
        )  # fmt: skip
        outcome = lake.commit(Batch(dataset.id, rows, source))
        return Prepared(len(found), now, outcome)
    with tempfile.TemporaryDirectory(prefix="dothi-demo-") as folder:
        path = Path(folder) / "history.parquet"
        _write(path, {"stream_id": numbers, "row_no": row_no, "moment": found.at,
                      "v": found.value, "q": quality})  # fmt: skip
        outcome = lake.commit(Batch(dataset.id, StagedRows.of(path, len(found)), source))
    return Prepared(len(found), now, outcome)


def _put_stations(conn: Connection, dataset: Dataset, spec: Spec) -> None:
    for station in spec.stations:
        registry.put_thing(
            conn,
            dataset,
            key=[station.code],
            name=station.name,
            lon=station.lon,
            lat=station.lat,
            agency_id=agency_id(conn, station.agency),
            properties={
                "rhythm": spec.rhythm,
                "commune": station.commune,
                "profile": station.profile,
                "demo": True,
                **({"area": station.area} if station.area else {}),
            },
        )


def _streams(conn: Connection, dataset: Dataset, spec: Spec) -> NDArray[np.int32]:
    """Stream numbers by place of station and pollutant."""
    names = [[((s.code,), p.name) for p in spec.pollutants] for s in spec.stations]
    ids = registry.stream_ids(conn, dataset, [name for line in names for name in line])
    return np.array([[ids[name] for name in line] for line in names], np.int32)


def _newest(conn: Connection, dataset: Dataset) -> dict[str, datetime]:
    """For each station the instant of its newest value of any pollutant."""
    rows = conn.execute(
        """SELECT t.key[1], max(n.t) FROM series_newest n
           JOIN stream s ON s.id = n.stream_id JOIN thing t ON t.id = s.thing_id
           WHERE s.dataset_id = %s GROUP BY 1""",
        (dataset.id,),
    ).fetchall()
    return dict(rows)


def _quality(dataset: Dataset, spec: Spec, found: History) -> NDArray[np.int16]:
    """As every door judges: outside the contract's range is suspect."""
    parameters = [dataset.contract.parameter(p.name) for p in spec.pollutants]
    low = np.array([-np.inf if p.low is None else p.low for p in parameters])
    high = np.array([np.inf if p.high is None else p.high for p in parameters])
    outside = (found.value < low[found.pollutant]) | (found.value > high[found.pollutant])
    return np.where(outside, int(Quality.SUSPECT), int(Quality.VALID)).astype(np.int16)


def _instants(found: History) -> list[datetime]:
    seconds = found.at.astype("datetime64[s]").astype(np.int64).tolist()
    return [datetime.fromtimestamp(s, UTC) for s in seconds]


def _write(path: Path, columns: dict[str, NDArray]) -> None:
    """A Parquet file of ours in the columns of a series' body."""
    table = engine(2, "500MB")
    try:
        table.register("made", columns)
        made = table.sql("SELECT stream_id, row_no, moment::TIMESTAMPTZ AS t, v, q FROM made")
        made.write_parquet(str(path))
    finally:
        table.close()
