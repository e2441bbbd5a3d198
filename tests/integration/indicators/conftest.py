"""A home with the environment pack installed, a worker's recomputer, and ways to bring data in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dothi.indicators import service
from dothi.indicators.recompute import Recomputer
from dothi.kernel.time import VN
from dothi.lake import registry
from dothi.lake.engine import engine
from dothi.lake.model import Batch, Quality, SeriesRows, Source, Span, StagedRows
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.packs.install import install
from dothi.packs.load import load_all, shipped
from dothi.packs.model import Pack
from dothi.store.database import Database

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=VN).astimezone(UTC)


@dataclass
class Home:
    """What a test needs of a home."""

    db: Database
    lake: Lake
    air: Dataset
    worker: Recomputer
    folder: Path
    now: list[datetime]

    def streams(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Numbers of (station, parameter)."""
        with self.db.transaction() as conn:
            found = registry.stream_ids(conn, self.air, [((s,), p) for s, p in names])
        return {(key[0], p): id_ for (key, p), id_ in found.items()}

    def thing(self, station: str) -> int:
        with self.db.transaction() as conn:
            known = registry.things(conn, self.air)
        return next(id_ for id_, thing in known.items() if thing.key == (station,))

    def put(
        self,
        rows: Mapping[tuple[str, str, datetime], float | None],
        *,
        door: str = "http",
        quality: Quality = Quality.VALID,
        bulk: bool = False,
        replaces: Sequence[Span] = (),
        file: str | None = None,
    ) -> int:
        """Commit values by (station, parameter, time); the load's number."""
        ids = self.streams([(s, p) for s, p, _ in rows])
        data = SeriesRows(
            [ids[(s, p)] for s, p, _ in rows], [t for *_, t in rows], list(rows.values()),
            [int(quality)] * len(rows), list(range(1, len(rows) + 1)),
        )  # fmt: skip
        source = Source(door, file_name=file)
        staged = self._staged(data) if bulk else data
        return self.lake.commit(Batch(self.air.id, staged, source, replaces=replaces)).load_id

    def _staged(self, rows: SeriesRows) -> StagedRows:
        path = self.folder / f"staged-{len(list(self.folder.iterdir()))}.parquet"
        table = engine(1, "200MB")
        us = np.array([round(t.timestamp() * 1e6) for t in rows.t], np.int64)
        data = {
            "s": np.array(rows.stream_id, np.int32), "n": np.array(rows.row_no, np.int32), "us": us,
            "v": np.array([np.nan if v is None else v for v in rows.v]),
            "q": np.array(rows.q, np.int16),
        }  # fmt: skip
        table.register("rows", data)
        table.execute(
            "COPY (SELECT s AS stream_id, n AS row_no, make_timestamptz(us) AS t, v, q FROM rows) "
            f"TO '{path}'"
        )
        table.close()
        return StagedRows(f"read_parquet('{path}')", len(rows))

    def follow(self) -> None:
        """Let the worker do everything there is to do."""
        while self.worker.advance():
            pass

    def figures(self, name: str) -> dict[tuple[int, str, datetime], float]:
        """All stored figures of an indicator by (thing, output, instant)."""
        with self.db.transaction() as conn:
            dataset = registry.find(conn, name)
            streams = registry.streams(conn, dataset)
        with self.lake.view() as view:
            rows = view.execute(f"SELECT stream_id, t, v FROM {view.series(dataset)}").fetchall()
        return {(streams[s].thing_id, streams[s].parameter, t): v for s, t, v in rows}

    def value(self, name: str, station: str, output: str, t: datetime) -> float | None:
        return self.figures(name).get((self.thing(station), output, t))


@pytest.fixture(scope="session")
def environment() -> list[Pack]:
    """The shipped pack whose indicators these tests follow; reading it takes a while."""
    return [pack for pack in load_all(shipped()) if pack.name == "environment"]


@pytest.fixture
def home(db: Database, tmp_path: Path, environment: list[Pack]) -> Iterator[Home]:
    """A fresh home with the shipped packs; its clock stands where `home.now[0]` says."""
    for name in ("lake", "staged"):
        (tmp_path / name).mkdir()
    lake = Lake(db, tmp_path / "lake")
    with db.transaction() as conn:
        install(conn, environment)
        service.install(conn, environment)
        air = registry.find(conn, "air_quality")
    now = [NOON]
    yield Home(db, lake, air, Recomputer(db, lake, now=lambda: now[0]), tmp_path / "staged", now)
    lake.close()
