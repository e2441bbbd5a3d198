"""Records from files: real ones, corrected ones, snapshots, and a naive model beside the store."""

from __future__ import annotations

import csv
import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dothi.kernel.errors import Invalid
from dothi.kernel.time import utc_now
from dothi.lake import load_records, registry
from dothi.lake.contract import parse_contract
from dothi.lake.files import FileStore
from dothi.lake.findings import drift_lines, note, title
from dothi.lake.loading import Loaded, load_file
from dothi.lake.model import Quality
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

CONTRACTS = Path(__file__).parent / "contracts"
SHOPS = """
dataset: shops
kind: records
title: {vi: Cửa hàng, en: Shops}
owner: demo
key: [code]
ROWS
columns:
  code: {type: text, title: {vi: Mã, en: Code}}
  opened: {type: date, title: {vi: Ngày mở, en: Opened}}
  closed: {type: date, title: {vi: Ngày đóng, en: Closed}}
  seen_at: {type: instant, title: {vi: Kiểm tra lúc, en: Seen}}
  staff: {type: integer, title: {vi: Nhân viên, en: Staff}, range: [0, 500]}
  area: {type: number, unit: m², title: {vi: Diện tích, en: Area}}
  licensed: {type: boolean, title: {vi: Có phép, en: Licensed}}
  kind: {type: text, title: {vi: Loại, en: Kind}, choices: [food, other]}
checks:
  closed_after_opened: closed >= opened
readers:
  - name: vietnamese
    decimal: ","
    thousands: "."
    missing: ["-"]
    columns:
      code: {column: Mã}
      opened: {column: Ngày mở, format: [%d/%m/%Y, "%d-%m-%Y"]}
      staff: {column: Nhân viên}
      area: {column: Diện tích (ha), unit: ha}
      licensed: {column: Có phép}
      kind: {constant: food}
""".replace('%d/%m/%Y, "', '"%d/%m/%Y", "')


def made(db: Database, text: str) -> Dataset:
    with db.transaction() as conn:
        return registry.register(conn, parse_contract(text))


def shops(db: Database, rows: str = "upsert") -> Dataset:
    return made(db, SHOPS.replace("ROWS", f"rows: {rows}"))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


def real(shared: Path, name: str) -> Path:
    path = shared / "data" / name
    if not path.exists():
        pytest.skip(f"the real data set is missing: {path}")
    return path


def found(loaded: Loaded) -> dict[str, int]:
    return {f.get("name", f["kind"]): f["count"] for f in loaded.report["findings"]}


def stored(lake: Lake, dataset: Dataset, columns: str) -> list[tuple[Any, ...]]:
    with lake.view() as view:
        return view.execute(
            f"SELECT {columns} FROM {view.records(dataset)} ORDER BY _key"
        ).fetchall()


def test_the_citizens_requests_load_with_what_is_odd_in_them(
    lake: Lake, db: Database, store: FileStore, shared: Path
) -> None:
    path = real(shared, "citizen_sf311/311_service_requests.csv.gz")
    requests = made(db, (CONTRACTS / "requests_sf311.yaml").read_text("utf-8"))
    loaded = load_file(lake, store, requests, path)
    told = found(loaded)
    assert (loaded.report["rows"], loaded.outcome.new) == (10_000, 10_000)
    assert told["has_place"] == 4_264
    assert told["closed_after_opened"] == 17
    newlines = next(f for f in loaded.report["findings"] if f["kind"] == "newlines")
    assert newlines["columns"]["notes"] == 139
    columns = {c["name"]: c for c in loaded.report["columns"]}
    assert columns["closed_at"]["nulls"] == 370
    assert 10_000 - columns["photo"]["nulls"] == 618
    assert columns["category"]["distinct"] == 61
    assert "rejected" not in told
    qualities = [q for (q,) in stored(lake, requests, "_q")]
    assert len(qualities) == 10_000
    assert 4_264 <= qualities.count(Quality.SUSPECT) <= 4_264 + 17
    for lang in ("vi", "en"):
        for finding in loaded.report["findings"]:
            assert title(finding, lang)
            note(finding, lang)


def test_hospitals_of_the_map_have_their_place_whether_point_or_area(
    lake: Lake, db: Database, store: FileStore, shared: Path, tmp_path: Path
) -> None:
    path = real(shared, "poi_osm_hanoi/osm_overpass_hospital_hanoi.json")
    hospitals = made(db, (CONTRACTS / "hospitals_osm.yaml").read_text("utf-8"))
    loaded = load_file(lake, store, hospitals, path)
    assert loaded.outcome.new == 252
    assert found(loaded)["has_name"] == 10
    rows = stored(lake, hospitals, "kind, id, lon, lat, name")
    elements = json.loads(path.read_text("utf-8"))["elements"]
    want = {}
    for e in elements:
        at = e if "lat" in e else e["center"]
        want[e["type"], e["id"]] = (at["lon"], at["lat"], e["tags"].get("name"))
    assert {(kind, number): (lon, lat, name) for kind, number, lon, lat, name in rows} == want
    less = tmp_path / "less.json"
    less.write_text(json.dumps({"elements": elements[2:]}), "utf-8")
    second = load_file(lake, store, hospitals, less)
    assert (second.outcome.removed, second.outcome.same) == (2, 250)
    assert len(stored(lake, hospitals, "id")) == 250
    lake.undo(second.outcome.load_id)
    assert stored(lake, hospitals, "kind, id, lon, lat, name") == rows


def test_a_vietnamese_file_is_read_by_its_marks_dates_and_units(
    lake: Lake, db: Database, store: FileStore, tmp_path: Path
) -> None:
    path = tmp_path / "cua-hang.csv"
    path.write_text(
        "Mã;Ngày mở;Nhân viên;Diện tích (ha);Có phép\n"
        "A;31/12/2020;1.200;0,5;có\n"
        "B;01-02-2021;12;1.234,25;không\n"
        "C;2021-02-01;12;1,5;có\n"
        "D;05/03/2021;12;1.5;có\n"
        "E;-;7,0;-;\n",
        "utf-8",
    )
    dataset = shops(db)
    loaded = load_file(lake, store, dataset, path)
    assert stored(lake, dataset, "code, opened::VARCHAR, staff, area, licensed, kind") == [
        ("B", "2021-02-01", 12, 12_342_500.0, False, "food"),
        ("E", None, 7, None, None, "food"),
    ]
    with db.transaction() as conn:
        rows = conn.execute(
            "SELECT row_no, column_name, value, reason FROM quarantine ORDER BY row_no"
        ).fetchall()
    assert rows == [
        (1, "Nhân viên", "1.200", "lake.out_of_range"),
        (3, "Ngày mở", "2021-02-01", "lake.bad_value"),
        (4, "Diện tích (ha)", "1.5", "lake.bad_value"),
    ]
    assert found(loaded)["rejected"] == 3


def test_the_same_file_changes_nothing_and_a_corrected_one_only_what_it_corrects(
    lake: Lake, db: Database, store: FileStore, tmp_path: Path
) -> None:
    dataset = shops(db)
    path = tmp_path / "shops.csv"
    path.write_text("code,staff,opened,closed\nA,1,2020-01-01,2021-01-01\nB,2,2020-01-01,\n")
    first = load_file(lake, store, dataset, path)
    again = load_file(lake, store, dataset, path)
    assert again.outcome.replay
    assert (again.outcome.load_id, again.report) == (first.outcome.load_id, first.report)
    path.write_text(
        "code,staff,opened,closed\nA,1,2020-01-01,2021-01-01\nB,3,2020-01-01,2019-01-01\nC,9,,\n"
    )
    second = load_file(lake, store, dataset, path)
    done = second.outcome
    assert (done.new, done.changed, done.same) == (1, 1, 1)
    assert stored(lake, dataset, "code, staff, _q") == [("A", 1, 0), ("B", 3, 1), ("C", 9, 0)]
    drift = second.report["drift"]
    assert (drift["load"], drift["rows"]) == (first.outcome.load_id, [2, 3])
    assert {"name": "staff", "before": 2, "now": 3} in drift["distinct"]
    assert "2 → 3" in drift_lines(second.report, "en")[0]
    lake.undo(done.load_id)
    assert stored(lake, dataset, "code, staff, _q") == [("A", 1, 0), ("B", 2, 0)]


def test_equal_repetitions_count_once_and_different_ones_wait_for_a_person(
    lake: Lake, db: Database, store: FileStore, tmp_path: Path
) -> None:
    dataset = shops(db)
    path = tmp_path / "shops.csv"
    path.write_text("code,staff\nA,1\nA,1\nB,2\nB,3\n,4\nC,x\n")
    loaded = load_file(lake, store, dataset, path)
    assert found(loaded) | {"empty": 0} == {"twice": 1, "conflict": 1, "rejected": 2, "empty": 0}
    told = {title(finding, "en") for finding in loaded.report["findings"]}
    assert "Several rows of different content for one key" in told
    assert stored(lake, dataset, "code, staff, _q") == [
        ("A", 1, 0),
        ("B", 2, int(Quality.CONFLICT)),
    ]
    with db.transaction() as conn:
        rows = conn.execute(
            "SELECT row_no, column_name, value, reason, params FROM quarantine ORDER BY row_no"
        ).fetchall()
    assert rows == [
        (5, "code", None, "lake.key_missing", {"type": "text"}),
        (6, "staff", "x", "lake.bad_value", {"type": "integer"}),
    ]
    path.write_text("code,staff\nB,3\n")
    load_file(lake, store, dataset, path)
    assert stored(lake, dataset, "code, staff, _q") == [("A", 1, 0), ("B", 3, 0)]


def test_a_file_whose_key_tells_nothing_apart_is_refused(
    lake: Lake, db: Database, store: FileStore, tmp_path: Path
) -> None:
    path = tmp_path / "shops.csv"
    path.write_text("code,staff\n" + "".join(f"{i // 2},{i % 2}\n" for i in range(2_100)))
    with pytest.raises(Invalid) as refused:
        load_file(lake, store, shops(db), path)
    assert refused.value.key == "lake.too_many_key_conflicts"


@pytest.mark.parametrize("seed", range(6))
def test_files_of_records_against_a_naive_model(
    lake: Lake, db: Database, store: FileStore, tmp_path: Path, seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Upserts and snapshots, small and straight into the body, closing, merging, undoing."""
    dice = random.Random(seed)
    datasets = {rows: made(db, SHOPS.replace("ROWS", f"rows: {rows}").replace(
        "dataset: shops", f"dataset: shops_{rows}")) for rows in ("upsert", "snapshot")}  # fmt: skip
    model: dict[str, dict[str, list[tuple[int, tuple[Any, ...] | None]]]] = {
        name: {} for name in datasets
    }
    loads: list[tuple[str, int]] = []
    for step in range(22):
        name = dice.choice(list(datasets))
        dataset, versions = datasets[name], model[name]
        act = dice.choices(["load", "close", "merge", "undo"], [10, 3, 1, 4])[0]
        if act == "load":
            monkeypatch.setattr(load_records, "THROUGH_HEAD", dice.choice([0, 20_000]))
            rows = {
                dice.choice("ABCDEFGHIJ"): (dice.randrange(3), dice.choice([None, "2024-05-06"]))
                for _ in range(dice.randrange(1, 9))
            }
            path = tmp_path / f"file-{step}.csv"
            with path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["code", "staff", "opened", "note"])
                for code, (staff, opened) in rows.items():
                    writer.writerow([code, staff, opened or "", step])
            before = _current(versions)
            done = load_file(lake, store, dataset, path).outcome
            loads.append((name, done.load_id))
            for code, row in rows.items():
                versions.setdefault(code, []).append((done.load_id, row))
            gone = set(before) - set(rows) if name == "snapshot" else set()
            for code in gone:
                versions[code].append((done.load_id, None))
            want = (
                len(set(rows) - set(before)),
                sum(1 for c in rows if c in before and before[c] != rows[c]),
                sum(1 for c in rows if before.get(c) == rows[c]),
                len(gone),
            )
            assert (done.new, done.changed, done.same, done.removed) == want, step
        elif act == "close":
            lake.close_days(dataset.id, utc_now() + timedelta(seconds=1))
        elif act == "merge":
            lake.maintain()
        elif loads:
            chosen = dice.choice(loads)
            loads.remove(chosen)
            lake.undo(chosen[1])
            for history in model[chosen[0]].values():
                history[:] = [v for v in history if v[0] != chosen[1]]
        for other, one in datasets.items():
            have = {c: (s, o) for c, s, o in stored(lake, one, "code, staff, opened::VARCHAR")}
            assert have == _current(model[other]), (step, act)


def _current(
    versions: dict[str, list[tuple[int, tuple[Any, ...] | None]]],
) -> dict[str, tuple[Any, ...]]:
    return {code: v[-1][1] for code, v in versions.items() if v and v[-1][1] is not None}
