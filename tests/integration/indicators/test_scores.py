"""The score of Decision 766 in a home: computed by the worker, stored with what it rests on; and what
the drill-down promises."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dothi.indicators import scores
from dothi.indicators.scores import Scored, Scorer
from dothi.indicators.scoring import Correction, Figure
from dothi.indicators.trial import score_of
from dothi.kernel.errors import NotFound
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import registry
from dothi.lake.model import Source
from dothi.lake.rows import batch_of
from dothi.lake.service import Lake
from dothi.packs.demo.services import Services
from dothi.packs.install import install
from dothi.packs.load import load, shipped
from dothi.packs.model import Pack
from dothi.store.database import Database

AS_OF = datetime(2026, 4, 20, 15, 30, tzinfo=VN)
MARCH = Period.parse("2026-03")
AGENCIES = ("so-nnmt", "so-xd", "ubnd-01", "ubnd-02")
Rows = dict[str, list[dict[str, Any]]]


@dataclass
class Office:
    """A home with the pack, its clock at `now[0]`."""

    db: Database
    lake: Lake
    pack: Pack
    worker: Scorer
    now: list[datetime]

    @property
    def score(self) -> Scored:
        with self.db.transaction() as conn:
            return scores.find(conn, "score766")

    def put(self, rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, int]:
        """Rows by dataset through the HTTP door's own function; the loads' numbers."""
        out = {}
        for name, some in rows.items():
            with self.db.transaction() as conn:
                dataset = registry.find(conn, name)
            said = [{k: _json(v) for k, v in row.items()} for row in some]
            batch = batch_of(self.lake, dataset, said, Source("http"))
            assert batch.rejects == []
            out[name] = self.lake.commit(batch).load_id
        return out

    def figures(self) -> list[Figure]:
        with self.lake.view() as view:
            return scores.stored(view, self.score, "true", ())

    def expected(self, rows: Rows) -> list[Figure]:
        """What a trial of the same rows gives."""
        came = ("ngay_tiep_nhan", "ngay_gui", "ngay_quyet_dinh")
        first = min(
            f"{row[name]:%Y-%m}"
            for some in rows.values()
            for row in some
            for name in came
            if row.get(name)
        )
        out = []
        for grain in ("month", "quarter", "year"):
            one, codes = Period.containing(grain, Period.parse(first).start, VN), []
            while one.start < self.now[0]:
                codes.append(one.code)
                one = one.next()
            out += score_of(self.pack, self.score.score, rows, codes, self.now[0])
        return sorted(out, key=_order)


def _json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _order(figure: Figure) -> tuple[str, ...]:
    return figure.agency, figure.unit, figure.period, figure.component


def _same(a: list[Figure], b: list[Figure]) -> None:
    assert [_order(x) for x in a] == [_order(x) for x in b]
    for x, y in zip(a, b, strict=True):
        assert dataclasses.astuple(x)[4:] == pytest.approx(dataclasses.astuple(y)[4:], abs=1e-8)


@pytest.fixture(scope="module")
def made() -> Rows:
    made = Services(seed=11, agencies=AGENCIES, procedures_each=8)
    made = dataclasses.replace(made, first=datetime(2025, 12, 1).date(), last=AS_OF.date())
    procedures = list(made.procedures())
    procedures[0]["la_chung_thuc_ban_sao"] = procedures[8]["la_chung_thuc_ban_sao"] = True
    return {
        "dossiers": list(made.dossiers(900)), "petitions": list(made.petitions(120)),
        "procedures": procedures, "procedure_decisions": list(made.decisions()),
        "reported_totals": list(made.totals()),
    }  # fmt: skip


@pytest.fixture
def office(db: Database, tmp_path: Path) -> Iterator[Office]:
    (tmp_path / "lake").mkdir()
    lake = Lake(db, tmp_path / "lake")
    pack = load(shipped() / "public-services")
    with db.transaction() as conn:
        install(conn, [pack])
        scores.install(conn, [pack])
    now = [AS_OF]
    yield Office(db, lake, pack, Scorer(db, lake, now=lambda: now[0], pause=False), now)
    lake.close()


def test_the_worker_stores_what_the_score_says(office: Office, made: Rows) -> None:
    loads = office.put(made)
    assert office.worker.advance() == 1
    _same(office.figures(), office.expected(made))
    found = office.score
    assert (found.stale, found.problem, found.as_of) == (False, None, AS_OF)
    assert found.rests_on == loads
    with office.db.transaction() as conn:
        report = conn.execute(
            "SELECT report FROM load WHERE dataset_id = %s ORDER BY id DESC LIMIT 1",
            (found.dataset.id,),
        ).fetchone()
    assert report is not None
    assert report[0]["hash"] == found.score.hash
    assert report[0]["formula"] == found.score.formula
    assert report[0]["rests_on"] == loads
    assert office.worker.advance() == 0


def test_what_is_not_applicable_is_stored_as_such(office: Office, made: Rows) -> None:
    office.put({"dossiers": made["dossiers"][:40]})
    office.worker.advance()
    with office.lake.view() as view:
        relation = view.records(office.score.dataset)
        rows = view.execute(
            f"SELECT state, count(*), count(numerator), count(points), count(ratio) FROM {relation} "
            "GROUP BY 1"
        ).fetchall()
        whole = view.execute(
            f"SELECT DISTINCT count(*) FROM {relation} GROUP BY agency, unit, period"
        ).fetchall()
    states = {state: counts for state, *counts in rows}
    assert states["not_applicable"][0] > 0
    assert states["not_applicable"][1:] == [0, 0, 0]
    assert states["tracked"][2] == 0
    assert whole == [(len(office.score.score.components) + 7,)]


def test_one_change_and_its_undoing(office: Office, made: Rows) -> None:
    """A corrected dossier moves the figures as a trial says; taking the load out brings them back."""
    office.put(made)
    office.worker.advance()
    before = office.figures()
    late = next(
        c for c in faults_of(office, "so-xd") if c.flaw == "late" and c.points > 0
    )  # fmt: skip
    row = next(r for r in made["dossiers"] if r["ma_ho_so"] == late.key)
    load_ = office.put({"dossiers": [{**row, **CURED["late"](row)}]})["dossiers"]
    assert office.worker.advance() == 1
    other = office.figures()
    assert other != before
    with office.db.transaction() as conn:
        counts = conn.execute(
            "SELECT rows_in, rows_changed FROM load WHERE dataset_id = %s ORDER BY id DESC LIMIT 1",
            (office.score.dataset.id,),
        ).fetchone()
    assert counts is not None
    assert 0 < counts[0] < len(before) / 4
    office.lake.undo(load_)
    assert office.worker.advance() == 1
    _same(office.figures(), before)


def test_a_row_that_vanishes_leaves_nothing_behind(office: Office, made: Rows) -> None:
    loads = office.put({"dossiers": made["dossiers"][:5]})
    office.worker.advance()
    assert office.figures()
    office.lake.undo(loads["dossiers"])
    office.worker.advance()
    assert office.figures() == []


def test_time_alone_makes_a_dossier_late(office: Office) -> None:
    due = AS_OF + timedelta(minutes=50)
    row = {
        "ma_ho_so": "H1", "ma_tthc": "T", "ma_co_quan": "so-xd",
        "ngay_tiep_nhan": AS_OF - timedelta(days=2), "ngay_hen_tra": due,
    }  # fmt: skip
    office.put({"dossiers": [row]})
    office.worker.advance()

    def rate() -> list[float | None]:
        return [f.ratio for f in office.figures()
                if (f.agency, f.period, f.component) == ("so-xd", "2026-04", "2.1")]  # fmt: skip

    assert rate() == [100.0]
    office.now[0] = AS_OF + timedelta(minutes=59)
    assert office.worker.advance() == 0
    office.now[0] = AS_OF + timedelta(minutes=61)
    assert office.worker.advance() == 1
    assert rate() == [0.0]


def test_other_data_does_not_wake_it(office: Office, made: Rows) -> None:
    office.put({"dossiers": made["dossiers"][:5]})
    assert office.worker.advance() == 1
    assert office.worker.advance() == 0
    with office.db.transaction() as conn:
        conn.execute(
            "INSERT INTO event (kind, payload) VALUES ('data.committed', '{\"dataset\": 99}')"
        )
    assert office.worker.advance() == 0


def test_a_wrong_date_makes_no_century_of_periods(office: Office, made: Rows) -> None:
    row = {
        **made["dossiers"][0],
        "ma_ho_so": "old",
        "ngay_tiep_nhan": datetime(1926, 1, 1, tzinfo=VN),
    }
    office.put({"dossiers": [row, *made["dossiers"][1:9]]})
    office.worker.advance()
    assert min(f.period for f in office.figures()) >= "2025"


def test_a_changed_definition_is_a_new_version(office: Office, made: Rows) -> None:
    office.put({"dossiers": made["dossiers"][:200]})
    office.worker.advance()
    (file,) = office.pack.scores
    text = file.text.replace("max: 20,", "max: 40,")
    assert text != file.text
    other = dataclasses.replace(office.pack, scores=(dataclasses.replace(file, text=text),))
    with office.db.transaction() as conn:
        (one,) = scores.install(conn, [other])
    assert (one.version, one.stale) == (2, True)
    assert office.worker.advance() == 1
    most = {f.most for f in office.figures() if f.component == "2.1"}
    assert most == {40.0}
    with office.db.transaction() as conn:
        scores.install(conn, [])
        with pytest.raises(NotFound):
            scores.find(conn, "score766")
    assert office.worker.advance() == 0


def test_many_figures_go_as_a_file(
    office: Office, monkeypatch: pytest.MonkeyPatch, made: Rows
) -> None:
    """More than go through the head: the same figures stand in the body."""
    monkeypatch.setattr(scores, "THROUGH_HEAD", 100)
    office.put(made)
    office.worker.advance()
    _same(office.figures(), office.expected(made))


# -- the drill-down ---------------------------------------------------------------------------------


def _in_time(row: dict[str, Any]) -> dict[str, Any]:
    return {"ngay_hen_tra": AS_OF + timedelta(days=900), "ngay_yeu_cau_bo_sung_lan2": None}


def _petition_in_time(row: dict[str, Any]) -> dict[str, Any]:
    """Sent, answered and published in the period, one day each."""
    sent = MARCH.start + timedelta(days=2)
    return {
        "ngay_gui": sent, "ngay_chuyen": None, "ngay_tu_choi": None, "ngay_yeu_cau_bo_sung": None,
        "ngay_nhan_bo_sung": None, "ngay_tra_loi": sent + timedelta(days=1),
        "ngay_cong_khai": sent + timedelta(days=2),
    }  # fmt: skip


CURED: dict[str, Any] = {
    "not_synced": lambda _: {"dong_bo_dvcqg": True},
    "late": _in_time,
    "not_online": lambda _: {"kenh_thuc_hien": 2},
    "not_paid_online": lambda _: {"kenh_thanh_toan": 1},
    "no_result_link": lambda _: {"duong_dan_ket_qua": "https://kq.example/x"},
    "not_digitised": lambda _: {"so_tep_thanh_phan": 1, "so_tep_ket_qua": 1},
    "no_certified_copy": lambda _: {"ban_sao_dien_tu": True},
    "not_reused": lambda _: {"duoc_so_hoa": True},
    "not_shared": lambda _: {"ket_qua_dong_bo": True},
    "no_population_data": lambda _: {"tai_khoan_duoc_xac_thuc_voi_vneid": True},
    "dissatisfied": lambda _: {"co_pakn": False, "khong_hai_long": False},
    "petition_late": _petition_in_time,
    "petition_disliked": lambda _: {"luot_thich": 0, "luot_khong_thich": 0, "phan_anh_lai": False},
}
"""What is written into a row's columns to put each fault right."""
KEYS = {"dossiers": "ma_ho_so", "petitions": "ma_pakn"}


def faults_of(office: Office, agency: str) -> list[Correction]:
    with office.lake.view() as view:
        return scores.faults(view, office.score, MARCH, agency)


def chosen(found: list[Correction], count: int) -> list[Correction]:
    """Faults of every kind in turn, half of each the largest gains, half the smallest."""
    kinds: dict[str, list[Correction]] = {}
    for one in found:
        kinds.setdefault(one.flaw, []).append(one)
    for kind in kinds.values():
        kind[:] = [x for pair in zip(kind, reversed(kind), strict=True) for x in pair]
    out: list[Correction] = []
    while len(out) < count and any(kinds.values()):
        for kind in kinds.values():
            if kind and kind[0] not in out:
                out.append(kind[0])
            del kind[:1]
    return out[:count]


def test_correcting_a_fault_moves_the_score_by_the_points_shown(office: Office, made: Rows) -> None:
    office.put(made)
    office.worker.advance()
    score = office.score.score

    def total(rows: Rows) -> dict[str, float]:
        figures = score_of(office.pack, score, rows, [MARCH.code], AS_OF)
        return {f.component: f.points for f in figures
                if (f.agency, f.unit) == (agency, "*") and f.points is not None}  # fmt: skip

    tried: list[Correction] = []
    for agency in ("so-xd", "ubnd-01"):
        shown = faults_of(office, agency)
        assert shown == sorted(shown, key=lambda c: -c.points)
        own = {name: [r for r in rows if r["ma_co_quan"] == agency] for name, rows in made.items()}
        before = total(own)
        stored = {f.component: f.points for f in office.figures()
                  if (f.agency, f.unit, f.period) == (agency, "*", MARCH.code)}  # fmt: skip
        assert before["total"] == pytest.approx(stored["total"], abs=1e-8)
        for one in chosen(shown, 32):
            key = KEYS[one.rows]
            rows = [
                {**row, **CURED[one.flaw](row)} if row[key] == one.key else row
                for row in own[one.rows]
            ]
            after = total({**own, one.rows: rows})
            assert after["total"] - before["total"] == pytest.approx(one.points, abs=1e-9), one
            for component, points in one.components:
                assert after[component] - before[component] == pytest.approx(points, abs=1e-9)
            tried.append(one)
    assert len(tried) >= 50
    assert {one.flaw for one in tried} == {flaw.name for flaw in score.flaws}
    assert sum(one.points > 0 for one in tried) >= 30


def test_every_row_that_lacks_in_a_component_is_listed(office: Office, made: Rows) -> None:
    """The list is whole: as many faults as the denominators lack."""
    office.put(made)
    office.worker.advance()
    figures = {f.component: f for f in office.figures()
               if (f.agency, f.unit, f.period) == ("so-xd", "*", MARCH.code)}  # fmt: skip
    found = faults_of(office, "so-xd")
    for flaw in office.score.score.flaws:
        figure = figures.get(flaw.seen)
        listed = {c.key for c in found if c.flaw == flaw.name}
        if figure is None:
            assert listed == set()
            continue
        assert figure.numerator is not None
        assert figure.denominator is not None
        lacking = figure.numerator if flaw.has else figure.denominator - figure.numerator
        assert len(listed) == lacking, flaw.name


def test_a_period_that_has_not_begun_has_no_faults(office: Office, made: Rows) -> None:
    office.put({"dossiers": made["dossiers"][:9]})
    with office.lake.view() as view:
        assert scores.faults(view, office.score, MARCH, "so-xd") == []
    office.worker.advance()
    with office.lake.view() as view:
        assert scores.faults(view, office.score, Period.parse("2026-06"), "so-xd") == []
