"""Contradictions between records: kept whole, decided by a person, taken back; who sees them."""

from __future__ import annotations

import csv
import random
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dothi.identity.model import SYSTEM, Actor, Role
from dothi.kernel.errors import Conflict, Invalid
from dothi.kernel.time import utc_now
from dothi.lake import load_records, loads, registry
from dothi.lake.contract import parse_contract
from dothi.lake.engine import engine
from dothi.lake.files import FileStore
from dothi.lake.loading import load_file
from dothi.lake.loads import Contradiction
from dothi.lake.model import (
    MOST_CANDIDATE_BYTES,
    MOST_CANDIDATES,
    Batch,
    Outcome,
    Quality,
    RecordClash,
    RecordRows,
    Source,
    StagedRows,
)
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

STALLS = """
dataset: stalls
kind: records
title: {vi: Sạp hàng, en: Stalls}
owner: demo
key: [code]
rows: ROWS
columns:
  code: {type: text, title: {vi: Mã, en: Code}}
  staff: {type: integer, title: {vi: Nhân viên, en: Staff}}
  area: {type: number, unit: m², title: {vi: Diện tích, en: Area}}
  opened: {type: date, title: {vi: Ngày mở, en: Opened}}
  seen_at: {type: instant, title: {vi: Kiểm tra lúc, en: Seen}}
  licensed: {type: boolean, title: {vi: Có phép, en: Licensed}}
  note: {type: text, title: {vi: Ghi chú, en: Note}}
checks:
  staffed: staff > 0
readers:
  - name: by_shift
    wide: {columns: "staff (?P<shift>.)"}
    columns:
      code: {column: code}
      staff: {column: value}
"""
HEAD = "code,staff,area,opened,seen_at,licensed,note\n"
FULL = "B,0,2.5,2024-05-06,2024-05-06T08:00:00.5+07:00,true,một\n"
OTHER = "B,2,2.5,,,,\n"
CONFLICT = int(Quality.CONFLICT)


def stalls(db: Database, rows: str = "upsert", name: str = "stalls") -> Dataset:
    text = STALLS.replace("ROWS", rows).replace("dataset: stalls", f"dataset: {name}")
    with db.transaction() as conn:
        return registry.register(conn, parse_contract(text))


def stored(lake: Lake, dataset: Dataset) -> list[tuple[Any, ...]]:
    with lake.view() as view:
        return view.execute(
            f"SELECT code, staff, _q FROM {view.records(dataset)} ORDER BY _key"
        ).fetchall()


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "files")


class Case:
    """Stalls of which an earlier file says B has 5 staff, and a later one both 0 and 2."""

    def __init__(self, lake: Lake, db: Database, files: FileStore, folder: Path, rows: str) -> None:
        self.lake, self.db, self.files, self.folder = lake, db, files, folder
        self.stalls = stalls(db, rows)
        self.load("A,1,,,,,\nB,5,,,,,\n")
        self.file = self.load("A,1,,,,,\n" + FULL + OTHER).load_id

    def load(self, text: str) -> Outcome:
        path = self.folder / "stalls.csv"
        path.write_text(HEAD + text, "utf-8")
        return load_file(self.lake, self.files, self.stalls, path).outcome

    def waiting(self) -> list[Contradiction]:
        with self.db.transaction() as conn:
            return loads.contradictions(conn, dataset_id=self.stalls.id, open_only=True)

    def decide(self, row: int | None) -> Outcome:
        (one,) = self.waiting()
        return loads.decide_conflict(self.lake, SYSTEM, one.id, row)

    def of_b(self) -> tuple[Any, ...]:
        return stored(self.lake, self.stalls)[1]


@pytest.fixture(params=["head", "bulk", "snapshot", "closed"])
def case(
    request: pytest.FixtureRequest, lake: Lake, db: Database, files: FileStore, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Case:  # fmt: skip
    if request.param == "bulk":
        monkeypatch.setattr(load_records, "THROUGH_HEAD", 0)
    rows = "snapshot" if request.param == "snapshot" else "upsert"
    made = Case(lake, db, files, tmp_path, rows)
    if request.param == "closed":
        lake.close_days(made.stalls.id, utc_now() + timedelta(seconds=1))
    return made


def test_a_corrected_file_leaves_nothing_to_decide_until_it_is_taken_out(case: Case) -> None:
    corrected = case.load("A,1,,,,,\nB,7,,,,,\n").load_id
    for keep in (2, None):
        with pytest.raises(Conflict, match=f"load {corrected} "):
            case.decide(keep)
    assert case.of_b() == ("B", 7, 0)
    case.lake.undo(corrected)
    case.decide(3)
    assert case.of_b() == ("B", 2, 0)


def test_each_row_is_kept_whole_and_the_one_decided_for_counts_with_its_own_quality(
    case: Case,
) -> None:
    (one,) = case.waiting()
    assert (one.load_id, one.record_key, one.stream_id, one.t) == (case.file, "B", None, None)
    full = {
        "code": "B", "staff": 0, "area": 2.5, "opened": "2024-05-06",
        "seen_at": "2024-05-06T01:00:00.500000+00:00", "licensed": True, "note": "một",
    }  # fmt: skip
    other = dict.fromkeys(full) | {"code": "B", "staff": 2, "area": 2.5}
    assert one.candidates == [
        {"row": 2, "quality": int(Quality.SUSPECT), "values": full},
        {"row": 3, "quality": int(Quality.VALID), "values": other},
    ]
    with case.db.transaction() as conn:
        assert list(loads.quarantine(conn, case.file)) == []
    assert case.of_b() == ("B", 0, CONFLICT)

    decided = case.decide(3)
    assert case.of_b() == ("B", 2, 0)
    assert (decided.new, decided.changed) == (0, 1)
    with pytest.raises(Conflict):
        loads.decide_conflict(case.lake, SYSTEM, one.id, 2)
    case.lake.undo(decided.load_id)
    assert case.of_b() == ("B", 0, CONFLICT), "the contradiction waits again"
    taken = case.decide(2)
    assert case.of_b() == ("B", 0, int(Quality.SUSPECT))
    case.lake.undo(taken.load_id)
    with pytest.raises(Invalid, match="Row 1"):
        case.decide(1)
    final = case.decide(None)
    assert case.of_b() == ("B", 0, int(Quality.INVALID))
    with case.lake.view() as view:
        row = view.execute(
            f"SELECT area, opened, seen_at, licensed, note FROM {view.records(case.stalls)} "
            "WHERE _key = 'B'"
        ).fetchone()
    assert row is not None
    assert [str(value) for value in row] == [
        "2.5", "2024-05-06", "2024-05-06 01:00:00.500000+00:00", "True", "một",
    ]  # fmt: skip

    # With its file a decision goes, and what the file before held comes back.
    case.lake.undo(case.file)
    assert stored(case.lake, case.stalls) == [("A", 1, 0), ("B", 5, 0)]
    assert case.waiting() == []
    with case.db.transaction() as conn:
        states = conn.execute(
            "SELECT state FROM load WHERE id = ANY (%s)", ([case.file, final.load_id],)
        ).fetchall()
    assert states == [("undone",)] * 2


def test_a_corrected_file_counts_decided_or_not(
    lake: Lake, db: Database, files: FileStore, tmp_path: Path
) -> None:
    case = Case(lake, db, files, tmp_path, "upsert")
    case.load("B,7,,,,,\n")
    assert case.of_b() == ("B", 7, 0)


def test_what_nobody_can_choose_between_on_a_screen_waits_for_a_mended_file(
    lake: Lake, db: Database, files: FileStore, tmp_path: Path
) -> None:
    dataset = stalls(db)
    long = "K" * 2_001
    rows = [["many", n + 1, ""] for n in range(MOST_CANDIDATES + 1)]
    rows += [["wordy", 1, "x" * MOST_CANDIDATE_BYTES], ["wordy", 1, "y"]]
    rows += [[long, 1, ""], [long, 2, ""], ["B", 1, ""], ["B", 2, ""]]
    path = tmp_path / "stalls.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["code", "staff", "note"], *rows])
    loaded = load_file(lake, files, dataset, path)
    assert {f["kind"]: f["count"] for f in loaded.report["findings"]}["conflict"] == 4
    assert [q for *_, q in stored(lake, dataset)] == [CONFLICT] * 4
    with db.transaction() as conn:
        (one,) = loads.contradictions(conn, load_id=loaded.outcome.load_id)
        apart = [(row, reason, params) for row, _, _, reason, params in
                 loads.quarantine(conn, loaded.outcome.load_id)]  # fmt: skip
    assert one.record_key == "B"
    wordy, longs = MOST_CANDIDATES + 3, MOST_CANDIDATES + 5
    assert apart == [
        *((n, "lake.key_conflict", {"row": 1}) for n in range(2, MOST_CANDIDATES + 2)),
        (wordy, "lake.key_conflict", {"row": wordy - 1}),
        (longs, "lake.key_conflict", {"row": longs - 1}),
    ]


def test_one_line_that_gives_a_key_twice_is_one_row_that_nobody_can_tell_from_the_other(
    lake: Lake, db: Database, files: FileStore, tmp_path: Path
) -> None:
    """A choice is made by row number, and these have the same."""
    dataset = stalls(db)
    path = tmp_path / "stalls.csv"
    path.write_text("code,staff 1,staff 2\nA,4,4\nB,5,6\n")
    loaded = load_file(lake, files, dataset, path)
    found = stored(lake, dataset)
    assert found[0] == ("A", 4, 0)
    assert [found[1]] in ([("B", 5, CONFLICT)], [("B", 6, CONFLICT)]) and len(found) == 2
    with db.transaction() as conn:
        assert loads.contradictions(conn, load_id=loaded.outcome.load_id) == []
        apart = [one[0] for one in loads.quarantine(conn, loaded.outcome.load_id)]
    assert apart == [2]


def test_a_contradiction_is_of_a_stream_and_an_instant_or_of_a_record(
    lake: Lake, db: Database, files: FileStore, tmp_path: Path
) -> None:
    case = Case(lake, db, files, tmp_path, "upsert")
    for place in product((None, 1), (None, utc_now()), (None, "A")):
        there = [part is not None for part in place]
        allowed = there in ([True, True, False], [False, False, True])
        try:
            with db.transaction() as conn:
                conn.execute(
                    "INSERT INTO conflict (dataset_id, load_id, candidates, stream_id, t, "
                    "record_key) VALUES (%s, %s, '[]', %s, %s, %s)",
                    (case.stalls.id, case.file, *place),
                )
        except psycopg.errors.CheckViolation:
            assert not allowed, place
        else:
            assert allowed, place


def person(agency: int, *roles: Role) -> Actor:
    return Actor("person", 1, agency, frozenset({agency}), frozenset(roles))


def test_who_may_not_see_a_row_or_a_column_sees_none_of_it_in_a_contradiction(
    lake: Lake, db: Database, files: FileStore, tmp_path: Path
) -> None:
    case = Case(lake, db, files, tmp_path, "upsert")
    case.load("C,1,,,,,same\nC,2,,,,,same\n" + FULL + OTHER)
    shared = {
        "public": False, "agencies": ["x"], "agency_ids": [77], "hidden": ["staff", "note"],
        "ground": "for tests",
    }  # fmt: skip
    owner = case.stalls.owner_agency or 5
    dataset = Dataset(case.stalls.id, "stalls", case.stalls.contract, owner, shared)

    def seen(actor: Actor) -> list[Contradiction]:
        with db.transaction() as conn:
            found = loads.contradictions(conn, dataset_id=dataset.id)
            return loads.shown(conn, actor, dataset, found)

    for inside in (person(owner, Role.DATA), person(owner, Role.OFFICER), person(9, Role.AUDITOR)):
        assert [c.record_key for c in seen(inside)] == ["B", "C", "B"]
        assert all("staff" in row["values"] for c in seen(inside) for row in c.candidates)
    assert seen(person(9, Role.DATA)) == []
    told = seen(person(77, Role.DATA, Role.LEADER))
    assert [c.record_key for c in told] == ["B", "B"], "C differs in nothing that may be seen"
    for one in told:
        assert [set(row["values"]) for row in one.candidates] == [
            {"code", "area", "opened", "seen_at", "licensed"}
        ] * 2


Row = tuple[int, int]
"""People and quality."""


@pytest.mark.parametrize("seed", range(3))
def test_decisions_about_records_against_a_naive_model(
    lake: Lake, db: Database, sites: Dataset, tmp_path: Path, seed: int
) -> None:
    """Loads that contradict themselves, small and straight into the body, decided, closed, undone:
    the model keeps each key's versions, and with a load those of its decisions vanish."""
    dice = random.Random(seed)
    versions: dict[str, list[tuple[int, Row]]] = {}
    waiting: dict[tuple[int, str], list[Row]] = {}
    taken: dict[int, tuple[tuple[int, str], list[Row]]] = {}
    standing: list[int] = []
    for step in range(20):
        act = dice.choices(["load", "decide", "close", "merge", "undo"], [8, 6, 3, 1, 5])[0]
        if act == "load":
            given = {
                code: [(dice.randrange(9), 0) for _ in range(dice.choice([1, 2, 3]))]
                for code in dice.sample("ABCDEF", dice.randrange(1, 5))
            }
            number = _commit(lake, sites, given, tmp_path if dice.random() < 0.4 else None)
            standing.append(number)
            for code, candidates in given.items():
                people, quality = candidates[0]
                if len(candidates) > 1:
                    waiting[number, code] = candidates
                    quality = CONFLICT
                versions.setdefault(code, []).append((number, (people, quality)))
        elif act == "decide" and waiting:
            with db.transaction() as conn:
                open_ = loads.contradictions(conn, dataset_id=sites.id, open_only=True)
            one = dice.choice(open_)
            place = (one.load_id, one.record_key or "")
            newest, _ = versions[place[1]][-1]
            if newest > one.load_id:
                with pytest.raises(Conflict, match=f"load {newest} "):
                    loads.decide_conflict(lake, SYSTEM, one.id, None)
                continue
            candidates = waiting.pop(place)
            keep = dice.choice([None, *range(1, len(candidates) + 1)])
            row = candidates[keep - 1] if keep else (candidates[0][0], int(Quality.INVALID))
            done = loads.decide_conflict(lake, SYSTEM, one.id, keep)
            taken[done.load_id] = (place, candidates)
            standing.append(done.load_id)
            versions[place[1]].append((done.load_id, row))
        elif act == "close":
            lake.close_days(sites.id, utc_now() + timedelta(seconds=1))
        elif act == "merge":
            lake.maintain()
        elif act == "undo" and standing:
            load = dice.choice(standing)
            lake.undo(load)
            gone = {load, *(n for n, (place, _) in taken.items() if place[0] == load)}
            if load in taken:
                place, candidates = taken[load]
                waiting[place] = candidates
            standing = [n for n in standing if n not in gone]
            taken = {n: what for n, what in taken.items() if n not in gone}
            waiting = {place: what for place, what in waiting.items() if place[0] != load}
            for history in versions.values():
                history[:] = [v for v in history if v[0] not in gone]
        with lake.view() as view:
            found = view.execute(f"SELECT code, people, _q FROM {view.records(sites)}").fetchall()
        assert sorted(found) == sorted((c, *v[-1][1]) for c, v in versions.items() if v), (
            step,
            act,
        )
        with db.transaction() as conn:
            open_ = loads.contradictions(conn, dataset_id=sites.id, open_only=True)
        assert {
            (c.load_id, c.record_key): [(r["values"]["people"], r["quality"]) for r in c.candidates]
            for c in open_
        } == waiting, (step, act)


def _commit(lake: Lake, sites: Dataset, given: dict[str, list[Row]], bulk: Path | None) -> int:
    """Store the first row of each code, with the others as what contradicts it; the load."""
    clashes = [
        RecordClash(
            code,
            [
                {"row": n, "quality": q, "values": {"code": code, "people": people}}
                for n, (people, q) in enumerate(candidates, 1)
            ],
        )
        for code, candidates in given.items()
        if len(candidates) > 1
    ]
    qualities = [CONFLICT if len(candidates) > 1 else 0 for candidates in given.values()]
    people = [candidates[0][0] for candidates in given.values()]
    rows: RecordRows | StagedRows
    if bulk is None:
        made = [{"code": c, "people": n} for c, n in zip(given, people, strict=True)]
        rows = RecordRows(sites.id, list(given), made, [1] * len(given), qualities)
    else:
        path = bulk / f"staged-{random.getrandbits(60):x}.parquet"
        engine(1, "200MB").execute(
            f"""COPY (SELECT code AS _key, 1::INTEGER AS _row_no, q::SMALLINT AS _q, code,
                    people::BIGINT AS people, NULL::DOUBLE AS share, NULL::DATE AS opened
                FROM (SELECT unnest(?::VARCHAR[]) AS code, unnest(?::INT[]) AS people,
                          unnest(?::INT[]) AS q) ORDER BY code) TO '{path}'""",
            [list(given), people, qualities],
        )
        rows = StagedRows.of(path, len(given))
    return lake.commit(Batch(sites.id, rows, Source("file"), clashes=clashes)).load_id
