"""The row-by-row score of Decision 766 against the worked examples and the rules it is written from."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dothi.kernel.time import VN
from tests.unit.packs import score766
from tests.unit.packs.records766 import records
from tests.unit.packs.score766 import Figure, score, two_decimals

LATER = datetime(2026, 11, 1, tzinfo=VN)
ALL = ("*", "*")
DOSSIER = dict.fromkeys(
    (
        "ma_don_vi", "ngay_hen_tra", "ngay_ket_thuc_xu_ly", "ngay_tra_ket_qua", "ngay_dung_tu_choi",
        "ngay_yeu_cau_bo_sung", "ngay_nhan_bo_sung", "ngay_yeu_cau_bo_sung_lan2", "kenh_thuc_hien",
        "dong_bo_dvcqg", "tong_phi_le_phi", "kenh_thanh_toan", "duong_dan_ket_qua",
        "so_tep_thanh_phan", "so_tep_ket_qua", "ho_so_co_thanh_phan_so_hoa", "duoc_so_hoa",
        "duoc_lay_tu_kho_dmqg", "ket_qua_dong_bo", "ban_sao_dien_tu",
        "tai_khoan_duoc_xac_thuc_voi_vneid", "ma_csdl", "co_pakn", "khong_hai_long",
    )
)  # fmt: skip
PETITION = dict.fromkeys(
    (
        "ma_don_vi", "phan_loai", "ngay_chuyen", "ngay_tu_choi", "ngay_yeu_cau_bo_sung",
        "ngay_nhan_bo_sung", "ngay_tra_loi", "ngay_cong_khai", "khong_cong_khai", "luot_thich",
        "luot_khong_thich", "phan_anh_lai",
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def oracles(shared: Path) -> dict[str, Any]:
    found = json.loads((shared / "facts" / "oracles.json").read_text("utf-8"))["oracles"]
    return {oracle["id"]: oracle for oracle in found}


def at(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=VN)


def dossier(**given: Any) -> dict[str, Any]:
    """Received on 2 March 2026 at nine."""
    base = DOSSIER | {"ma_ho_so": "H", "ma_tthc": "1.001", "ma_co_quan": "A"}
    return base | {"ngay_tiep_nhan": at(3, 2)} | given


def petition(**given: Any) -> dict[str, Any]:
    """Submitted on Monday 2 March 2026 at nine."""
    return PETITION | {"ma_pakn": "P", "ma_co_quan": "A", "ngay_gui": at(3, 2)} | given


def of_province(component: str, period: str = "2026-03", **data: Any) -> Figure | None:
    return score(data, period, LATER).get((*ALL, component))


def counted(component: str, **data: Any) -> tuple[int, int] | None:
    """Numerator and denominator."""
    figure = of_province(component, **data)
    if figure is None or figure.numerator is None or figure.denominator is None:
        return None
    return int(figure.numerator), int(figure.denominator)


def test_points_saturate_at_the_threshold(oracles: dict[str, Any]) -> None:
    oracle = oracles["PUB-01"]
    for (_, rate, threshold, most), expected in zip(
        oracle["input"]["cases"], oracle["output"]["points"], strict=True
    ):
        assert score766.points(Fraction(str(rate)), most, threshold) == Fraction(str(expected))


def test_dossiers_done_and_running_are_on_time(oracles: dict[str, Any]) -> None:
    oracle = oracles["PUB-02"]
    given, expected = oracle["input"], oracle["output"]
    end = datetime(2026, 4, 1, tzinfo=VN)
    ways = {
        "done_on_time": {"ngay_hen_tra": at(3, 20), "ngay_ket_thuc_xu_ly": at(3, 20)},
        "done_late": {"ngay_hen_tra": at(3, 20), "ngay_ket_thuc_xu_ly": at(3, 20, 9, 1)},
        "running_in_time": {"ngay_hen_tra": end},
        "running_late": {"ngay_hen_tra": end - timedelta(microseconds=1)},
    }
    rows = [dossier(**ways[way]) for way, count in given.items() for _ in range(count)]
    found = of_province("2.1", dossiers=rows)
    assert found and found.ratio and found.points
    assert float(found.ratio) == pytest.approx(expected["rate_pct"], abs=oracle["tolerance"])
    assert float(found.points) == pytest.approx(expected["score_of_20"], abs=oracle["tolerance"])


def test_satisfaction_with_dossiers(oracles: dict[str, Any]) -> None:
    oracle = oracles["PUB-04"]
    given, expected = oracle["input"], oracle["output"]
    in_time = {"ngay_hen_tra": at(3, 20), "ngay_ket_thuc_xu_ly": at(3, 20)}
    rows = [dossier(ngay_hen_tra=at(3, 3)) for _ in range(given["late"])]
    rows += [
        dossier(**in_time, co_pakn=n < 9, khong_hai_long=n >= 8)
        for n in range(given["complaint_or_dislike"])
    ]
    rows += [dossier(**in_time) for _ in range(given["received"] - len(rows))]
    found = of_province("5.4", dossiers=rows)
    assert found == Figure(
        Fraction(1152), Fraction(1200), Fraction(expected["rate_pct"]),
        Fraction(expected["points_of_6"]), Fraction(6),
    )  # fmt: skip


def test_the_total_is_the_sum_of_the_groups(oracles: dict[str, Any]) -> None:
    oracle = oracles["PUB-07"]
    groups = [
        Figure(None, None, None, Fraction(str(given)), None)
        for given in oracle["input"]["points"].values()
    ]
    total = score766.group_of(groups).points
    assert total and two_decimals(total) == Decimal(str(oracle["output"]["total"]))
    assert sum(most for most, _ in score766.CEILINGS.values()) == 100
    assert {g: sum(score766.CEILINGS[k][0] for k in parts) for g, parts in score766.GROUPS.items()} == {
        "group 1": 18, "group 2": 20, "group 3a": 12, "group 3b": 10, "group 4": 22, "group 5": 18,
    }  # fmt: skip


def test_what_is_not_applicable_has_no_figure_and_no_share_of_the_total() -> None:
    figures = score({"dossiers": [dossier(ngay_hen_tra=at(3, 5))]}, "2026-03", LATER)
    assert (*ALL, "3.6") not in figures and (*ALL, "1.4") not in figures
    assert (*ALL, "group 3b") not in figures
    assert figures[*ALL, "total"].most == 20 + 6 + 2 + 2
    assert score({}, "2026-03", LATER) == {}


@pytest.mark.parametrize(
    ("way", "in_time"),
    [
        ({"ngay_ket_thuc_xu_ly": at(3, 6), "ngay_hen_tra": at(3, 6)}, True),
        ({"ngay_ket_thuc_xu_ly": at(3, 6, 9, 1), "ngay_hen_tra": at(3, 6)}, False),
        # Finished stands before returned and before stopped, whichever came first.
        (
            {
                "ngay_ket_thuc_xu_ly": at(3, 6),
                "ngay_tra_ket_qua": at(3, 5),
                "ngay_dung_tu_choi": at(3, 4),
                "ngay_hen_tra": at(3, 5),
            },
            False,
        ),
        (
            {"ngay_tra_ket_qua": at(3, 5), "ngay_dung_tu_choi": at(3, 9), "ngay_hen_tra": at(3, 5)},
            True,
        ),
        ({"ngay_dung_tu_choi": at(3, 5), "ngay_hen_tra": at(3, 5)}, True),
        # Four days of waiting are deducted.
        (
            {
                "ngay_yeu_cau_bo_sung": at(3, 3),
                "ngay_nhan_bo_sung": at(3, 7),
                "ngay_ket_thuc_xu_ly": at(3, 10),
                "ngay_hen_tra": at(3, 6),
            },
            True,
        ),
        # It still waits: the time of the request counts.
        ({"ngay_yeu_cau_bo_sung": at(3, 5), "ngay_hen_tra": at(3, 5)}, True),
        ({"ngay_yeu_cau_bo_sung": at(3, 5, 9, 1), "ngay_hen_tra": at(3, 5)}, False),
        # Asked twice is late, though it ended in time.
        (
            {
                "ngay_yeu_cau_bo_sung": at(3, 3),
                "ngay_nhan_bo_sung": at(3, 3),
                "ngay_yeu_cau_bo_sung_lan2": at(3, 4),
                "ngay_ket_thuc_xu_ly": at(3, 5),
                "ngay_hen_tra": at(3, 20),
            },
            False,
        ),
        # Without a promise the limit of the procedure counts: five working days from Monday the 2nd.
        ({"ngay_ket_thuc_xu_ly": at(3, 9, 23, 59)}, True),
        ({"ngay_ket_thuc_xu_ly": at(3, 10, 0)}, False),
        ({"ngay_tiep_nhan": at(3, 23)}, False),
        ({"ngay_tiep_nhan": at(3, 24)}, True),
    ],
)
def test_dossiers_on_time(way: dict[str, Any], in_time: bool) -> None:
    procedure = {"ma_tthc": "1.001", "ma_co_quan": "A", "thoi_han_ngay_lam_viec": 5}
    case = score766.case_of("2026-03", [procedure], LATER)
    assert score766.on_time(dossier(**way), case) is in_time


def test_terms_pass_over_tet_and_the_exchanged_days() -> None:
    assert score766.last_day(date(2025, 12, 31), 1) == date(2026, 1, 5)
    assert score766.last_day(date(2026, 1, 9), 1) == date(2026, 1, 10)
    assert score766.last_day(date(2026, 2, 13), 1) == date(2026, 2, 23)
    assert score766.days_before(date(2026, 1, 12), 5) == date(2026, 1, 6)
    assert score766.days_taken(date(2026, 1, 1), date(2026, 1, 10)) == 6


@pytest.mark.parametrize(
    ("way", "in_time"),
    [
        ({"ngay_tu_choi": at(3, 4, 23)}, True),
        ({"ngay_tu_choi": at(3, 5, 0)}, False),
        ({"ngay_chuyen": at(3, 9), "ngay_tu_choi": at(3, 11)}, True),
        ({"ngay_yeu_cau_bo_sung": at(3, 9)}, True),
        ({"ngay_yeu_cau_bo_sung": at(3, 10)}, False),
        ({"ngay_tra_loi": at(3, 23), "ngay_cong_khai": at(3, 25)}, True),
        ({"ngay_tra_loi": at(3, 24), "ngay_cong_khai": at(3, 24)}, False),
        ({"ngay_tra_loi": at(3, 23), "ngay_cong_khai": at(3, 26)}, False),
        ({"ngay_tra_loi": at(3, 23), "khong_cong_khai": True}, True),
        # Two working days from a Thursday end on Monday; a Saturday after a Friday is too late.
        ({"ngay_tra_loi": at(3, 12), "ngay_cong_khai": at(3, 16)}, True),
        ({"ngay_tra_loi": at(3, 11), "ngay_cong_khai": at(3, 14)}, False),
        ({}, False),
        ({"ngay_gui": at(3, 10)}, True),
    ],
)
def test_petitions_on_time(way: dict[str, Any], in_time: bool) -> None:
    case = score766.case_of("2026-03", [], LATER)
    assert score766.petition_on_time(petition(**way), case) is in_time


def test_an_unhappy_petition_is_taken_off_once() -> None:
    rows = [
        petition(ngay_tu_choi=at(3, 3)),
        petition(ngay_tu_choi=at(3, 3), luot_thich=2, luot_khong_thich=2),
        petition(ngay_tu_choi=at(3, 3), luot_khong_thich=1, phan_anh_lai=True),
        petition(ngay_tu_choi=at(3, 9), luot_khong_thich=1, phan_anh_lai=True),
    ]
    assert counted("5.3", petitions=rows) == (2, 4)


def test_payments_leave_out_dossiers_whose_fees_are_zero() -> None:
    rows = [
        dossier(tong_phi_le_phi=0, kenh_thanh_toan=1),
        dossier(tong_phi_le_phi=None),
        dossier(tong_phi_le_phi=1, kenh_thanh_toan=0),
        dossier(tong_phi_le_phi=1, kenh_thanh_toan=2),
    ]
    assert counted("3.6", dossiers=rows) == (1, 2)


def test_a_decision_late_makes_its_procedure_late() -> None:
    base = {"ma_tthc": "1.001", "ma_co_quan": "A", "so_quyet_dinh": "1/QĐ-UBND"}
    effect = date(2026, 3, 20)
    good = base | {"ngay_quyet_dinh": date(2026, 3, 13), "ngay_hieu_luc_can_cu": effect}
    good |= {"ngay_cong_khai": date(2026, 3, 20)}
    bad = base | {"ngay_quyet_dinh": date(2026, 3, 14), "ngay_hieu_luc_can_cu": effect}
    bad |= {"ngay_cong_khai": date(2026, 3, 21)}
    assert counted("1.1", procedure_decisions=[good]) == (1, 1)
    assert counted("1.2", procedure_decisions=[good]) == (1, 1)
    assert counted("1.1", procedure_decisions=[good, bad]) == (0, 1)
    assert counted("1.2", procedure_decisions=[good, bad]) == (0, 1)


@pytest.mark.parametrize(
    ("period", "expected"), [("2026-03", 10), ("2026-Q1", 30), ("2026", 120), ("2026-02", 40)]
)
def test_without_a_total_last_years_share_counts(period: str, expected: int) -> None:
    totals = [
        {"ma_co_quan": "A", "ky": "2025", "so_ho_so_bao_cao": 120, "so_ho_so_cong": 90},
        {"ma_co_quan": "A", "ky": "2026-03", "so_ho_so_bao_cao": 0, "so_ho_so_cong": None},
        {"ma_co_quan": "A", "ky": "2026-02", "so_ho_so_bao_cao": None, "so_ho_so_cong": 40},
    ]
    found = of_province("1.4", period, reported_totals=totals)
    assert found and found.denominator == expected


def test_the_same_seed_invents_the_same_records() -> None:
    assert records(3, 400) == records(3, 400)
    assert records(3, 400) != records(4, 400)
