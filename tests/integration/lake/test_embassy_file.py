"""A real file nobody here wrote: hourly PM2.5 of one station in 2018, with all its oddities."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Conflict, Invalid
from dothi.lake import loads, registry
from dothi.lake.contract import read_contract
from dothi.lake.files import FileStore
from dothi.lake.loading import Loaded, load_file
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

ROOT = Path(__file__).parents[3]


@pytest.fixture
def source(shared: Path) -> Path:
    path = shared / "data/air_hanoi_us_embassy_2018/Hanoi_PM2.5_2018_YTD.csv"
    if not path.exists():
        pytest.skip(f"the real file is missing: {path}")
    return path


@pytest.fixture
def dataset(db: Database) -> Dataset:
    contract = read_contract(ROOT / "packs/environment/datasets/air_quality.yaml")
    with db.transaction() as conn:
        return registry.register(conn, contract)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def _findings(loaded: Loaded) -> dict[str, int]:
    return {f["kind"]: f["count"] for f in loaded.report["findings"]}


def test_the_findings_of_the_real_file_are_shown(
    lake: Lake, dataset: Dataset, store: FileStore, source: Path, db: Database
) -> None:
    loaded = load_file(lake, store, dataset, source)
    assert loaded.report["rows"] == 8339
    assert _findings(loaded) == {
        "missing": 145, "invalid": 196, "outside": 4, "absent": 422, "conflict": 1,
    }  # fmt: skip
    assert [f["marked_valid"] for f in loaded.report["findings"] if f["kind"] == "outside"] == [1]
    assert loaded.outcome.new == 8338, "the two rows of one hour are one key, kept as a conflict"
    with db.transaction() as conn:
        (stream,) = registry.streams(conn, dataset).values()
        conflict = conn.execute("SELECT t, candidates, hint FROM conflict").fetchall()
        negatives = conn.execute(
            "SELECT v, q FROM series_head WHERE v < 0 ORDER BY v, q"
        ).fetchall()
        mean = conn.execute("SELECT avg(v) FROM series_head WHERE q = 0").fetchone()
    assert negatives == [(-15.0, 2), (-15.0, 2), (-13.5, 2), (-2.0, 1)]
    assert len(conflict) == 1
    t, candidates, hint = conflict[0]
    assert t == datetime(2018, 3, 10, 20, tzinfo=UTC)
    assert [c["value"] for c in candidates] == [43.0, 44.1]
    assert hint == "summer_time"
    rows = list(csv.DictReader(source.open(encoding="utf-8-sig")))
    usable = [
        float(r["Raw Conc."]) for r in rows
        if r["QC Name"] == "Valid" and float(r["Raw Conc."]) >= 0
        and r["Date (LT)"] != "2018-03-11 03:00 AM"
    ]  # fmt: skip
    assert mean is not None and mean[0] == pytest.approx(sum(usable) / len(usable))
    with lake.view() as view:
        midnight = view.execute(
            f"SELECT v, row_no FROM {view.series(dataset, streams=[stream.id])} "
            "WHERE t = TIMESTAMPTZ '2018-01-01 17:00:00+00'"
        ).fetchall()
    assert midnight == [(122.4, 24)], '"2018-01-02 12:00 AM" is the midnight that ends 1 January'


def test_the_same_file_twice_changes_nothing(
    lake: Lake, dataset: Dataset, store: FileStore, source: Path, db: Database
) -> None:
    first = load_file(lake, store, dataset, source)
    again = load_file(lake, store, dataset, source)
    assert again.outcome.replay
    assert again.outcome.load_id == first.outcome.load_id
    assert again.report == first.report
    with db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM load").fetchone() == (1,)


def test_a_corrected_file_replaces_what_it_corrects_and_can_be_taken_out(
    lake: Lake, dataset: Dataset, store: FileStore, source: Path, tmp_path: Path
) -> None:
    load_file(lake, store, dataset, source)
    text = source.read_text("utf-8-sig")
    lines = text.splitlines(keepends=True)
    lines[10] = lines[10].replace(",UG/M3", "7,UG/M3", 1)
    corrected = tmp_path / "corrected.csv"
    corrected.write_text("".join(lines), "utf-8")
    before = _all(lake, dataset)
    done = load_file(lake, store, dataset, corrected)
    assert (done.outcome.new, done.outcome.changed, done.outcome.same) == (0, 1, 8337)
    after = _all(lake, dataset)
    assert len({k for k in before if before[k] != after[k]}) == 1
    lake.undo(done.outcome.load_id)
    assert _all(lake, dataset) == before


def _all(lake: Lake, dataset: Dataset) -> dict[datetime, tuple[float | None, int]]:
    with lake.view() as view:
        rows = view.execute(f"SELECT t, v, q FROM {view.series(dataset)}").fetchall()
    return {t: (v, q) for t, v, q in rows}


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_to_the_file_change_the_findings_accordingly(
    lake: Lake, dataset: Dataset, store: FileStore, source: Path, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    rows = list(csv.DictReader(source.open(encoding="utf-8-sig")))
    inner = [
        i for i in range(1, len(rows) - 1)
        if not rows[i]["Date (LT)"].startswith("2018-03-11 03")
    ]  # fmt: skip
    expected = {"missing": 145, "invalid": 196, "outside": 4, "absent": 422, "conflict": 1}
    gone = set()
    for i in dice.sample(inner, 10):
        row = rows[i]
        act = dice.choice(["remove", "missing", "negative", "garbage"])
        for was in _kinds(row):
            expected[was] -= 1
        if act == "remove":
            gone.add(i)
            expected["absent"] += 1
        elif act == "missing":
            row["Raw Conc."], row["QC Name"] = "-999", "Missing"
            expected["missing"] += 1
        elif act == "negative":
            row["Raw Conc."], row["QC Name"] = "-3.5", "Valid"
            expected["outside"] += 1
        else:
            row["Raw Conc."], row["QC Name"] = "n/a", "Valid"
            expected["rejected"] = expected.get("rejected", 0) + 1
            expected["absent"] += 1
    changed = tmp_path / "changed.csv"
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(r for i, r in enumerate(rows) if i not in gone)
    changed.write_text(out.getvalue(), "utf-8")
    loaded = load_file(lake, store, dataset, changed)
    assert _findings(loaded) == {k: v for k, v in expected.items() if v}


def _kinds(row: dict[str, str]) -> list[str]:
    """The findings that a row of the original counts in."""
    if row["QC Name"] == "Missing":
        return ["missing"]
    kinds = ["invalid"] if row["QC Name"] == "Invalid" else []
    return kinds + ["outside"] * (float(row["Raw Conc."]) < 0)


def test_a_file_that_is_no_table_is_refused_and_nothing_is_stored(
    lake: Lake, dataset: Dataset, store: FileStore, tmp_path: Path, db: Database
) -> None:
    disguised = tmp_path / "rows.csv"
    disguised.write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="secret">'
        "<SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    for path, key in ((disguised, "lake.file_not_csv"), (wrong, "lake.no_reader")):
        with pytest.raises(Invalid) as refused:
            load_file(lake, store, dataset, path)
        assert [f.key for f in refused.value.faults] == [key]
    with db.transaction() as conn:
        assert conn.execute("SELECT count(*) FROM load").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM stream").fetchone() == (0,)


def test_rejected_values_keep_their_row_number_value_and_reason(
    lake: Lake, dataset: Dataset, store: FileStore, tmp_path: Path, db: Database
) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "station,time,pm25\nA,2026-01-01 00:00,5\nA,yesterday,6\nB,2026-01-01 01:00,abc\n"
        "B,2026-01-01 02:00\nA,2026-01-01 03:00,8\n,2026-01-01 03:00,7\nA,2026-01-01 04:00,nan\n"
    )
    loaded = load_file(lake, store, dataset, path)
    assert loaded.outcome.new == 2
    with db.transaction() as conn:
        rows = conn.execute(
            "SELECT row_no, column_name, value, reason FROM quarantine ORDER BY row_no"
        ).fetchall()
    assert rows == [
        (2, "time", "yesterday", "lake.bad_time"),
        (3, "pm25", "abc", "lake.bad_number"),
        (4, "", "B,2026-01-01 02:00", "lake.bad_line"),
        (6, "station", None, "lake.key_missing"),
        (7, "pm25", "nan", "lake.bad_number"),
    ]
    assert Quality.VALID == 0


def test_a_contradiction_is_decided_by_a_person_and_can_be_taken_back(
    lake: Lake, dataset: Dataset, store: FileStore, source: Path, db: Database
) -> None:
    load_file(lake, store, dataset, source)
    at = datetime(2018, 3, 10, 20, tzinfo=UTC)
    assert _all(lake, dataset)[at] == (43.0, int(Quality.CONFLICT))
    with db.transaction() as conn:
        (waiting,) = loads.contradictions(conn, open_only=True)
    done = loads.decide_conflict(lake, SYSTEM, waiting.id, waiting.candidates[1]["row"])
    assert _all(lake, dataset)[at] == (44.1, int(Quality.VALID))
    with pytest.raises(Conflict):
        loads.decide_conflict(lake, SYSTEM, waiting.id, None)
    lake.undo(done.load_id)
    assert _all(lake, dataset)[at] == (43.0, int(Quality.CONFLICT))
    with db.transaction() as conn:
        assert [c.id for c in loads.contradictions(conn, open_only=True)] == [waiting.id]
    loads.decide_conflict(lake, SYSTEM, waiting.id, None)
    assert _all(lake, dataset)[at] == (43.0, int(Quality.INVALID))
