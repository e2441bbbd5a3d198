"""The score of Decision 766: worked examples, and each rule at its edges.

Every case of `CASES` has an agency of its own, so that all are scored in one go: March 2026, asked in
July. What is expected is (numerator, denominator) of a component; None: not applicable.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dothi.indicators import score as scores
from dothi.indicators import trial
from dothi.indicators.score import ALL, TOTAL, Ceiling, Score
from dothi.indicators.scoring import Figure
from dothi.indicators.trial import score_of
from dothi.kernel.time import VN
from dothi.packs.demo.services import Services
from dothi.packs.load import load, shipped
from dothi.packs.model import Pack

JULY = datetime(2026, 7, 1, tzinfo=VN)
_numbers = itertools.count(1)
Rows = dict[str, list[dict[str, Any]]]


def at(text: str) -> datetime:
    """ "3-9 17:00" of 2026, or with the year before it."""
    day, _, clock = text.partition(" ")
    parts = [int(p) for p in day.split("-")]
    year, month, dom = parts if len(parts) == 3 else (2026, *parts)
    hour, minute, second = (int(p) for p in (clock or "0:0:0").split(":"))
    return datetime(year, month, dom, hour, minute, second, tzinfo=VN)


def instants(given: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(k, k): at(v) if k in names and v is not None else v for k, v in given.items()}


DOSSIER = {
    "received": "ngay_tiep_nhan", "due": "ngay_hen_tra", "finished": "ngay_ket_thuc_xu_ly",
    "returned": "ngay_tra_ket_qua", "stopped": "ngay_dung_tu_choi",
    "asked": "ngay_yeu_cau_bo_sung", "back": "ngay_nhan_bo_sung",
    "again": "ngay_yeu_cau_bo_sung_lan2",
}  # fmt: skip
PETITION = {
    "sent": "ngay_gui", "moved": "ngay_chuyen", "refused": "ngay_tu_choi",
    "asked": "ngay_yeu_cau_bo_sung", "back": "ngay_nhan_bo_sung", "answered": "ngay_tra_loi",
    "published": "ngay_cong_khai",
}  # fmt: skip


def d(**given: Any) -> Rows:
    """A dossier received on Monday 2 March at nine, promised for the 9th at five."""
    usual = {"received": "3-2 9:00:00", "due": "3-9 17:00:00", "ma_tthc": "T"}
    row = {"ma_ho_so": f"H{next(_numbers)}", **instants({**usual, **given}, DOSSIER)}
    return {"dossiers": [row]}


def done(**given: Any) -> Rows:
    """The same, finished in time."""
    return d(**{"finished": "3-6 9:00:00", **given})


def p(**given: Any) -> Rows:
    """A petition sent on Monday 2 March."""
    usual = {"sent": "3-2 9:00:00"}
    return {
        "petitions": [{"ma_pakn": f"P{next(_numbers)}", **instants({**usual, **given}, PETITION)}]
    }


def t(**given: Any) -> Rows:
    """A procedure in force, complete and with all parts."""
    parts = ("trinh_tu", "cach_thuc", "thanh_phan_ho_so", "thoi_han", "doi_tuong", "co_quan")
    return {
        "procedures": [
            {"ma_tthc": "T", "ten_tthc": "Cấp phép", **{f"co_{n}": True for n in parts}, **given}
        ]
    }


def q(decided: str, **given: Any) -> Rows:
    """A decision that announces procedure T; dates as "3-2"."""
    names = {"basis": "ngay_hieu_luc_can_cu", "published": "ngay_cong_khai"}
    row = {k: at(v).date() if k in ("basis", "published") else v for k, v in given.items()}
    return {
        "procedure_decisions": [
            {"ma_tthc": "T", "so_quyet_dinh": f"{next(_numbers)}/QĐ-UBND",
             "ngay_quyet_dinh": at(decided).date(), **{names.get(k, k): v for k, v in row.items()}}
        ]
    }  # fmt: skip


def n(ky: str, report: int | None, portal: int | None) -> Rows:
    """What was reported."""
    return {"reported_totals": [{"ky": ky, "so_ho_so_bao_cao": report, "so_ho_so_cong": portal}]}


def both(*parts: Rows) -> Rows:
    out: Rows = {}
    for part in parts:
        for name, rows in part.items():
            out.setdefault(name, []).extend(rows)
    return out


ASKED = {"asked": "3-4 9:00:00", "back": "3-6 9:00:00"}
IN, LATE, NA = (1, 1), (0, 1), None
LINK = {"duong_dan_ket_qua": "https://kq.example/1"}
PUBLIC = {"answered": "3-10 9:00:00", "published": "3-11 9:00:00"}

CASES: dict[str, tuple[str, tuple[float, float] | None, Rows]] = {
    # 2.1: end, promised return, supplements, cut
    "in time": ("2.1", IN, done()),
    "on the minute": ("2.1", IN, d(finished="3-9 17:00:00")),
    "a second late": ("2.1", LATE, d(finished="3-9 17:00:01")),
    "returned after it was finished": ("2.1", IN, done(returned="3-20 9:00:00")),
    "returned before it was finished": (
        "2.1", LATE, d(returned="3-5 9:00:00", finished="3-12 9:00:00")),
    "only returned": ("2.1", IN, d(returned="3-9 8:00:00")),
    "only returned, late": ("2.1", LATE, d(returned="3-10 8:00:00")),
    "returned goes before stopped": (
        "2.1", IN, d(returned="3-9 8:00:00", stopped="3-20 8:00:00")),
    "only stopped": ("2.1", IN, d(stopped="3-9 8:00:00")),
    "only stopped, late": ("2.1", LATE, d(stopped="3-10 8:00:00")),
    "supplement deducted": ("2.1", IN, d(finished="3-11 17:00:00", **ASKED)),
    "supplement deducted, late": ("2.1", LATE, d(finished="3-11 17:00:01", **ASKED)),
    "waiting counts at the request": ("2.1", IN, d(asked="3-9 17:00:00")),
    "waiting, asked too late": ("2.1", LATE, d(asked="3-9 17:00:01")),
    "ended while waiting": ("2.1", IN, d(asked="3-4 9:00:00", stopped="3-20 9:00:00")),
    "asked after the end": (
        "2.1", LATE, d(finished="3-10 9:00:00", asked="3-11 9:00:00", back="3-15 9:00:00")),
    "back after the end": (
        "2.1", IN, d(finished="3-12 9:00:00", asked="3-4 9:00:00", back="3-20 9:00:00")),
    "asked twice": ("2.1", LATE, done(**ASKED, again="3-6 8:00:00")),
    "asked twice after the end": ("2.1", LATE, done(**ASKED, again="3-7 8:00:00")),
    "asked twice, and still waiting": (
        "2.1", LATE, d(due="5-1 9:00:00", **ASKED, again="3-20 9:00:00")),
    "asked twice next month": (
        "2.1", IN, d(due="5-1 9:00:00", **ASKED, again="4-2 9:00:00")),
    "running, due is past": ("2.1", LATE, d()),
    "running, due is to come": ("2.1", IN, d(due="4-1 0:00:00")),
    "finished next month": ("2.1", LATE, d(due="3-31 23:59:59", finished="4-2 9:00:00")),
    "by working days": ("2.1", IN, both(t(thoi_han_ngay_lam_viec=5), done(due=None, finished="3-9 23:00:00"))),
    "by working days, late": (
        "2.1", LATE, both(t(thoi_han_ngay_lam_viec=5), done(due=None, finished="3-10 0:00:00"))),
    "by working days, weekend": (
        "2.1", IN, both(t(thoi_han_ngay_lam_viec=4), done(due=None, finished="3-8 9:00:00"))),
    "by working days, over Tết": ("2.1", IN, both(
        t(thoi_han_ngay_lam_viec=6), done(due=None, received="2-13 9:00:00", finished="3-2 9:00:00"))),
    "by working days, over Tết, late": ("2.1", LATE, both(
        t(thoi_han_ngay_lam_viec=5), done(due=None, received="2-13 9:00:00", finished="3-2 9:00:00"))),
    "by working days, supplement": ("2.1", IN, both(
        t(thoi_han_ngay_lam_viec=5), d(due=None, finished="3-11 9:00:00", **ASKED))),
    "by working days, supplement, late": ("2.1", LATE, both(
        t(thoi_han_ngay_lam_viec=5), d(due=None, finished="3-12 9:00:00", **ASKED))),
    "by working days, running": ("2.1", LATE, both(
        t(thoi_han_ngay_lam_viec=20), d(due=None))),
    "by working days, running in time": ("2.1", IN, both(
        t(thoi_han_ngay_lam_viec=21), d(due=None))),
    "the promised return goes before the limit": ("2.1", IN, both(
        t(thoi_han_ngay_lam_viec=1), d(finished="3-9 9:00:00"))),
    "no limit known": ("2.1", NA, done(due=None)),
    "no limit known, asked twice": ("2.1", LATE, done(due=None, **ASKED, again="3-6 8:00:00")),
    "carried over": ("2.1", IN, d(received="2-2 9:00:00", due="4-2 9:00:00")),
    "ended before": ("2.1", NA, d(received="2-2 9:00:00", finished="2-28 23:59:59")),
    "ended with the month's first moment": (
        "2.1", IN, d(received="2-2 9:00:00", finished="3-1 0:00:00")),
    "received with the next month's first moment": ("2.1", NA, d(received="4-1 0:00:00")),
    "two of three": ("2.1", (2, 3), both(done(), done(), d())),
    # 2.2
    "mean working days": ("2.2", (9, 2), both(done(finished="3-6 9:00:00"), done(finished="3-9 9:00:00"))),
    "mean working days less supplement": ("2.2", (5, 1), d(finished="3-11 9:00:00", **ASKED)),
    "mean of two procedures": ("2.2", NA, both(done(), done(ma_tthc="T2"))),
    # 5.4
    "late and disliked counts twice": ("5.4", (1, 3), both(done(), done(), d(khong_hai_long=True))),
    "never below zero": ("5.4", LATE, d(khong_hai_long=True)),
    "two complaints count once": ("5.4", (1, 2), both(done(), done(khong_hai_long=True, co_pakn=True))),
    "a petition about the dossier": ("5.4", (1, 2), both(done(), done(co_pakn=True))),
    "in time, not disliked": ("5.4", IN, done(khong_hai_long=False)),
    # 1.1
    "announced five working days before": ("1.1", IN, q("3-2", basis="3-9")),
    "announced four working days before": ("1.1", LATE, q("3-2", basis="3-6")),
    "announced on a Saturday": ("1.1", LATE, q("3-28", basis="4-3")),
    "in effect on a Sunday": ("1.1", IN, q("3-2", basis="3-8")),
    "announced after": ("1.1", LATE, q("3-12", basis="3-9")),
    "no legal basis known": ("1.1", NA, q("3-2")),
    "one late of two": ("1.1", LATE, both(q("3-2", basis="3-9"), q("3-3", basis="3-9"))),
    "the other is of another month": ("1.1", IN, both(q("3-2", basis="3-9"), q("4-3", basis="4-3"))),
    "no procedure of the agency alone": ("1.2", NA, q("3-2", basis="3-9", published="3-3")),
    # 1.3
    "all parts": ("1.3", IN, t()),
    "a part is missing": ("1.3", LATE, t(co_thoi_han=False)),
    "a part is not known": ("1.3", LATE, t(co_doi_tuong=None)),
    "no name": ("1.3", LATE, t(ten_tthc="")),
    "in force until today": ("1.3", IN, t(ngay_het_hieu_luc=date(2026, 7, 1))),
    "in force from tomorrow": ("1.3", NA, t(ngay_hieu_luc=date(2026, 7, 2))),
    "not in force any more": ("1.3", NA, t(ngay_het_hieu_luc=date(2026, 3, 15))),
    # 1.4
    "the larger of two totals": ("1.4", (1, 12), both(done(dong_bo_dvcqg=True), n("2026-03", 10, 12))),
    "the larger is the report's": ("1.4", (1, 12), both(done(dong_bo_dvcqg=True), n("2026-03", 12, None))),
    "last year's twelfth": (
        "1.4", (1, 2), both(done(dong_bo_dvcqg=True), n("2026-03", 0, None), n("2025", 24, 12))),
    "no total at all": ("1.4", NA, done(dong_bo_dvcqg=True)),
    "more synchronised than reported": (
        "1.4", (1, 1), both(done(dong_bo_dvcqg=True), done(dong_bo_dvcqg=True), n("2026-03", 1, 1))),
    "not synchronised": ("1.4", (0, 5), both(done(dong_bo_dvcqg=None), n("2026-03", 5, 5))),
    # 3a, 3.1, 3.2, 3.3
    "online": ("3a", IN, both(t(muc_do_dvc=2), done(kenh_thuc_hien=2))),
    "at the counter": ("3a", LATE, both(t(muc_do_dvc=2), done(kenh_thuc_hien=1))),
    "by post": ("3a", LATE, both(t(muc_do_dvc=2), done(kenh_thuc_hien=3))),
    "no channel": ("3a", LATE, both(t(muc_do_dvc=2), done())),
    "partly online": ("3a", NA, both(t(muc_do_dvc=1), done(kenh_thuc_hien=2))),
    "received before": (
        "3a", NA, both(t(muc_do_dvc=2), d(kenh_thuc_hien=2, received="2-28 9:00:00"))),
    "an online service": ("3.1", (1, 2), both(t(muc_do_dvc=1), t(ma_tthc="T2", muc_do_dvc=0))),
    "not in force yet": ("3.1", NA, t(muc_do_dvc=1, ngay_hieu_luc=date(2026, 4, 1))),
    "in force on the last day": ("3.1", IN, t(muc_do_dvc=1, ngay_hieu_luc=date(2026, 3, 31))),
    "in force until the first day": ("3.1", IN, t(muc_do_dvc=1, ngay_het_hieu_luc=date(2026, 3, 1))),
    "out of force the day before": ("3.1", NA, t(muc_do_dvc=1, ngay_het_hieu_luc=date(2026, 2, 28))),
    "a service that is used": ("3.2", IN, both(t(muc_do_dvc=1), done(kenh_thuc_hien=2))),
    "a service never used online": ("3.2", LATE, both(t(muc_do_dvc=1), done(kenh_thuc_hien=1))),
    "online with a result": ("3.3", (1, 2), both(
        done(kenh_thuc_hien=2, **LINK), done(kenh_thuc_hien=2))),
    # 3b
    "payable": ("3.5a", IN, t(co_nghia_vu_tai_chinh=True, thanh_toan_truc_tuyen=True)),
    "not payable": ("3.5a", LATE, t(co_nghia_vu_tai_chinh=True)),
    "no fee": ("3.5a", NA, t(thanh_toan_truc_tuyen=True)),
    "paid once": ("3.5b", IN, both(
        t(co_nghia_vu_tai_chinh=True, thanh_toan_truc_tuyen=True), done(kenh_thanh_toan=2), done())),
    "never paid": ("3.5b", LATE, both(
        t(co_nghia_vu_tai_chinh=True, thanh_toan_truc_tuyen=True), done(kenh_thanh_toan=0))),
    "paid on the national portal": ("3.6", IN, done(tong_phi_le_phi=5000, kenh_thanh_toan=1)),
    "paid at the province's gateway": ("3.6", IN, done(tong_phi_le_phi=5000, kenh_thanh_toan=2)),
    "paid in cash": ("3.6", LATE, done(tong_phi_le_phi=5000, kenh_thanh_toan=0)),
    "all fees are 0": ("3.6", NA, done(tong_phi_le_phi=0, kenh_thanh_toan=1)),
    "no fees known": ("3.6", NA, done(kenh_thanh_toan=1)),
    # 4
    "a link": ("4.1", IN, both(t(), done(**LINK))),
    "no link": ("4.1", LATE, both(t(), done())),
    "no valid link": ("4.1", LATE, done(duong_dan_ket_qua="https://")),
    "a link of another kind": ("4.1", LATE, done(duong_dan_ket_qua="ftp://kq.example/1")),
    "no paper in the end": ("4.1", NA, both(t(co_ket_qua_giay=False), done(**LINK))),
    "stopped has no result": ("4.1", NA, d(stopped="3-6 9:00:00", **LINK)),
    "finished next month has none yet": ("4.1", NA, d(finished="4-6 9:00:00", **LINK)),
    "parts and result": ("4.2", IN, done(so_tep_thanh_phan=1, so_tep_ket_qua=1)),
    "parts only": ("4.2", LATE, done(so_tep_thanh_phan=3, so_tep_ket_qua=0)),
    "result only": ("4.2", LATE, done(so_tep_ket_qua=1)),
    "certified": ("4.2b", IN, both(t(la_chung_thuc_ban_sao=True), done(ban_sao_dien_tu=True))),
    "not certified": ("4.2b", LATE, both(t(la_chung_thuc_ban_sao=True), done())),
    "no procedure of certification": ("4.2b", NA, both(t(), done(ban_sao_dien_tu=True))),
    "reused by the dossier": ("4.3", IN, done(ho_so_co_thanh_phan_so_hoa=True)),
    "reused by a part": ("4.3", IN, done(duoc_so_hoa=True)),
    "not reused": ("4.3", LATE, done(duoc_so_hoa=False)),
    "from the national store": ("4.4", IN, done(duoc_lay_tu_kho_dmqg=True)),
    "link synchronised": ("4.4", IN, done(ket_qua_dong_bo=True)),
    "not shared": ("4.4", LATE, done()),
    "connected": ("4.5a", (1, 2), both(t(ket_noi_dan_cu=True), t(ma_tthc="T2"))),
    "confirmed account": ("4.5b", IN, done(tai_khoan_duoc_xac_thuc_voi_vneid=True)),
    "a data base asked": ("4.5b", IN, done(ma_csdl="CSDLQG-DC")),
    "no data base named": ("4.5b", LATE, done(ma_csdl="")),
    # 5.1, 5.2, 5.3
    "classified": ("5.1", (1, 2), both(p(phan_loai="khac"), p())),
    "refused on the second working day": ("5.2", IN, p(refused="3-4 23:00:00")),
    "refused on the third": ("5.2", LATE, p(refused="3-5 0:00:00")),
    "refused on the Saturday after": ("5.2", LATE, p(sent="3-4 9:00:00", refused="3-7 9:00:00")),
    "refused on a Sunday in time": ("5.2", IN, p(sent="3-6 9:00:00", refused="3-8 9:00:00")),
    "asked on the fifth": ("5.2", IN, p(asked="3-9 9:00:00")),
    "asked on the sixth": ("5.2", LATE, p(asked="3-10 9:00:00")),
    "answered on the fifteenth": ("5.2", IN, p(answered="3-23 9:00:00", published="3-24 9:00:00")),
    "answered on the sixteenth": ("5.2", LATE, p(answered="3-24 9:00:00", published="3-24 9:00:00")),
    "answered on the fifteenth after the transfer": (
        "5.2", IN, p(moved="3-3 9:00:00", answered="3-24 9:00:00", published="3-24 9:00:00")),
    "waiting left out": ("5.2", IN, p(
        asked="3-4 9:00:00", back="3-6 9:00:00", answered="3-25 9:00:00", published="3-25 9:00:00")),
    "published on the second": ("5.2", IN, p(answered="3-10 9:00:00", published="3-12 9:00:00")),
    "published on the third": ("5.2", LATE, p(answered="3-10 9:00:00", published="3-13 9:00:00")),
    "published on the Saturday after": (
        "5.2", LATE, p(answered="3-11 9:00:00", published="3-14 9:00:00")),
    "not to be published": ("5.2", IN, p(answered="3-10 9:00:00", khong_cong_khai=True)),
    "not published yet": ("5.2", LATE, p(answered="3-10 9:00:00")),
    "not answered at the end": ("5.2", LATE, p()),
    "not answered, there is time": ("5.2", IN, p(sent="3-20 9:00:00")),
    "waiting at the end": ("5.2", IN, p(asked="3-4 9:00:00")),
    "closed before": ("5.2", NA, p(sent="2-2 9:00:00", refused="2-3 9:00:00")),
    "more dislikes": ("5.3", LATE, p(**PUBLIC, luot_thich=1, luot_khong_thich=2)),
    "as many likes": ("5.3", IN, p(**PUBLIC, luot_thich=2, luot_khong_thich=2)),
    "raised again": ("5.3", LATE, p(**PUBLIC, phan_anh_lai=True)),
    "each once": ("5.3", (1, 2), both(
        p(**PUBLIC), p(phan_anh_lai=True, luot_khong_thich=4))),
    "late only": ("5.3", LATE, p()),
}  # fmt: skip


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load(shipped() / "public-services")


@pytest.fixture(scope="module")
def score(pack: Pack) -> Score:
    (found,) = scores.load(pack)
    return found


@pytest.fixture(scope="module")
def oracle(shared: Path) -> dict[str, Any]:
    rows = json.loads((shared / "facts" / "oracles.json").read_text(encoding="utf-8"))["oracles"]
    return {row["id"]: row for row in rows}


Key = tuple[str, str, str]


def by_key(figures: list[Figure]) -> dict[Key, Figure]:
    return {(f.agency, f.unit, f.component): f for f in figures}


@pytest.fixture(scope="module")
def scored(pack: Pack, score: Score) -> dict[Key, Figure]:
    """All cases in one go."""
    rows: Rows = {}
    for name, (_, _, given) in CASES.items():
        own = {k: [{"ma_co_quan": name, **row} for row in v] for k, v in given.items()}
        rows = both(rows, own)
    return by_key(score_of(pack, score, rows, ["2026-03"], JULY))


@pytest.mark.parametrize("name", CASES)
def test_the_rule_at_its_edge(scored: dict[Key, Figure], score: Score, name: str) -> None:
    component, expected, _ = CASES[name]
    found = scored.get((name, ALL, component))
    got = found and (found.numerator, found.denominator)
    assert got == expected
    if found is None:
        return
    assert found.ratio is not None
    if expected is not None and component not in ("2.2", "3.3"):
        assert found.ratio == pytest.approx(100 * expected[0] / expected[1])
    ceiling = score.components[component].ceiling(date(2026, 3, 31))
    if ceiling and ceiling.most:
        assert found.points == pytest.approx(ceiling.points(found.ratio))


def test_every_component_is_tried_in_time_and_at_fault() -> None:
    tried: dict[str, set[bool]] = {}
    for component, expected, _ in CASES.values():
        tried.setdefault(component, set()).add(bool(expected and expected[0] == expected[1]))
    counted = {"1.1", "1.3", "1.4", "2.1", "3a", "3.1", "3.2", "3.5a", "3.5b", "3.6", "4.1", "4.2",
               "4.2b", "4.3", "4.4", "4.5b", "5.2", "5.3", "5.4"}  # fmt: skip
    assert {c for c, both_ in tried.items() if both_ == {True, False}} >= counted
    assert len(CASES) >= 60


def test_ceilings_are_those_of_the_table(score: Score) -> None:
    on = date(2026, 3, 31)
    most: dict[str, float] = {}
    for one in score.components.values():
        ceiling = one.ceiling(on)
        assert ceiling is not None
        most[one.group] = most.get(one.group, 0) + ceiling.most
    assert most == {"1": 18, "2": 20, "3a": 12, "3b": 10, "4": 22, "5": 18}
    assert sum(most.values()) == 100
    thresholds = {n: c.threshold for n, one in score.components.items()
                  if (c := one.ceiling(on)) and c.threshold}  # fmt: skip
    assert thresholds == {
        "3a": 50, "3.1": 80, "3.3": 50, "3.5a": 80, "3.5b": 80, "4.2": 80, "4.3": 80, "5.4": 90,
    }  # fmt: skip


# -- the worked examples; their maxima are inputs ---------------------------------------------------


def given(score: Score, rates: Mapping[str, tuple[float, float, float | None]]) -> Score:
    """The score with components of given ratios, ceilings and thresholds and no rule at all."""
    usual = score.components["1.1"]
    components = {
        name: dataclasses.replace(
            usual, name=name, group=name, ceilings=(Ceiling(date.min, None, most, threshold, ""),)
        )
        for name, (_, most, threshold) in rates.items()
    }
    lines = " UNION ALL ".join(
        f"SELECT '*', '*', number, '{name}', {rate}, 100.0, {rate} FROM periods"
        for name, (rate, _, _) in rates.items()
    )
    names = ", ".join(scores.COUNTED)
    sql = f"WITH given({names}) AS ({lines}) SELECT {names} FROM given"
    return dataclasses.replace(score, components=components, sql=sql)


def test_a_threshold_earns_all_points(pack: Pack, score: Score, oracle: dict[str, Any]) -> None:
    """PUB-01."""
    cases = oracle["PUB-01"]["input"]["cases"]
    rates = {
        str(i): (float(rate), float(most), float(threshold))
        for i, (_, rate, threshold, most) in enumerate(cases)
    }
    figures = by_key(score_of(pack, given(score, rates), {}, ["2026"], JULY))
    got = [figures[(ALL, ALL, str(i))].points for i in range(len(cases))]
    tolerance = oracle["PUB-01"]["tolerance"]
    assert got == pytest.approx(oracle["PUB-01"]["output"]["points"], abs=tolerance)


def test_the_on_time_rate(pack: Pack, score: Score, oracle: dict[str, Any]) -> None:
    """PUB-02, of so many dossiers."""
    case = oracle["PUB-02"]["input"]
    kinds = (
        (case["done_on_time"], {"finished": "3-6 9:00:00"}),
        (case["done_late"], {"finished": "3-10 9:00:00"}),
        (case["running_in_time"], {"due": "4-3 9:00:00"}),
        (case["running_late"], {}),
    )
    rows = both(*(d(**kind, ma_co_quan="A") for count, kind in kinds for _ in range(count)))
    found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))[("A", ALL, "2.1")]
    out, tolerance = oracle["PUB-02"]["output"], oracle["PUB-02"]["tolerance"]
    assert found.ratio == pytest.approx(out["rate_pct"], abs=tolerance)
    assert found.points == pytest.approx(out["score_of_20"], abs=tolerance)


def test_satisfaction_with_dossiers(pack: Pack, score: Score, oracle: dict[str, Any]) -> None:
    """PUB-04."""
    case, out = oracle["PUB-04"]["input"], oracle["PUB-04"]["output"]
    bad, late = case["complaint_or_dislike"], case["late"]
    kinds: tuple[tuple[int, dict[str, Any]], ...] = (
        (late, {"finished": "3-10 9:00:00"}), (bad, {"co_pakn": True}),
        (case["received"] - late - bad, {}),
    )  # fmt: skip
    rows = both(*(done(**kind, ma_co_quan="A") for count, kind in kinds for _ in range(count)))
    found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))[("A", ALL, "5.4")]
    assert (found.ratio, found.points) == (out["rate_pct"], out["points_of_6"])


def test_the_total_is_the_sum_of_the_groups(
    pack: Pack, score: Score, oracle: dict[str, Any]
) -> None:
    """PUB-07."""
    points = oracle["PUB-07"]["input"]["points"]
    rates = {}
    for title, earned in points.items():
        most = float(title[title.index("(") + 1 : -1])
        rates[title.split()[0]] = (100 * earned / most, most, None)
    figures = by_key(score_of(pack, given(score, rates), {}, ["2026"], JULY))
    total = figures[(ALL, ALL, TOTAL)]
    assert total.points == pytest.approx(oracle["PUB-07"]["output"]["total"], abs=1e-9)
    assert total.most == 100


# -- levels, periods, the cut -----------------------------------------------------------------------


def test_levels_add_up_and_no_unit_counts_for_none(pack: Pack, score: Score) -> None:
    rows = both(
        done(ma_co_quan="A", ma_don_vi="A.1"), d(ma_co_quan="A", ma_don_vi="A.2"),
        done(ma_co_quan="A"), done(ma_co_quan="B"),
    )  # fmt: skip
    found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))
    got = {
        (a, u): (f.numerator, f.denominator) for (a, u, c), f in found.items() if c == "2.1"
    }  # fmt: skip
    assert got == {
        ("*", "*"): (3, 4), ("A", "*"): (2, 3), ("A", "A.1"): (1, 1), ("A", "A.2"): (0, 1),
        ("B", "*"): (1, 1),
    }  # fmt: skip


def test_what_is_not_applicable_is_left_out_of_the_total(pack: Pack, score: Score) -> None:
    """Only 2.1 and 5.4 have a denominator: the total is out of 26, not out of 100."""
    rows = d(ma_co_quan="A", due="3-31 9:00:00", stopped="3-6 9:00:00")
    found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))
    scored_ = {c for (a, _, c), f in found.items() if a == "A" and f.points is not None}
    assert scored_ == {"2.1", "4.3", "4.5b", "5.4", "group 2", "group 4", "group 5", TOTAL}
    total = found[("A", ALL, TOTAL)]
    assert (total.points, total.most) == (26.0, 30.0)
    assert score_of(pack, score, {}, ["2026-03"], JULY) == []


def test_a_procedure_counts_once_in_the_province(pack: Pack, score: Score) -> None:
    rows = both(
        *({"procedures": [{**t(muc_do_dvc=1)["procedures"][0], "ma_co_quan": a}]} for a in "ABC")
    )
    found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))
    assert [found[(a, ALL, "3.1")].denominator for a in "ABC*"] == [1, 1, 1, 1]


def test_publication_is_judged_for_the_province(pack: Pack, score: Score) -> None:
    """1.2: five working days; one late version of two makes the procedure late."""

    def ratio(*parts: Rows) -> tuple[Any, Any]:
        rows = both(*parts)
        for row in rows["procedure_decisions"]:
            row["ma_co_quan"] = "A"
        found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))[(ALL, ALL, "1.2")]
        return found.numerator, found.denominator

    assert ratio(q("3-2", published="3-9")) == IN
    assert ratio(q("3-2", published="3-10")) == LATE
    assert ratio(q("3-6", published="3-14")) == LATE
    assert ratio(q("3-2")) == LATE
    assert ratio(q("3-30")) == IN
    assert ratio(q("3-2", published="3-3"), q("3-3", published="3-30")) == LATE
    assert ratio(q("3-2", published="3-3"), q("3-3", published="3-30", ma_tthc="T2")) == (1, 2)


def test_the_score_of_a_month_that_goes_on(pack: Pack, score: Score) -> None:
    """What happens after the asking has not happened: not the end, not the second request."""
    rows = both(
        d(ma_co_quan="A", finished="3-9 16:00:00", **LINK),
        d(ma_co_quan="A", due="3-20 9:00:00", asked="3-4 9:00:00", back="3-5 9:00:00", again="3-12 9:00:00"),
        d(ma_co_quan="A", received="3-25 9:00:00"),
    )  # fmt: skip
    early = by_key(score_of(pack, score, rows, ["2026-03"], at("3-9 12:00:00")))
    assert early[("A", ALL, "2.1")].numerator == early[("A", ALL, "2.1")].denominator == 2
    assert ("A", ALL, "4.1") not in early
    later = by_key(score_of(pack, score, rows, ["2026-03"], at("3-15 12:00:00")))
    assert (later[("A", ALL, "2.1")].numerator, later[("A", ALL, "2.1")].denominator) == (1, 2)
    assert ("A", ALL, "4.1") in later
    assert score_of(pack, score, rows, ["2026-04"], at("3-15 12:00:00")) == []


def test_quarters_and_years_count_their_own(pack: Pack, score: Score) -> None:
    rows = both(
        done(ma_co_quan="A", dong_bo_dvcqg=True), n("2025", 24, 12), n("2026-Q1", 6, 5),
        n("2026-03", 9, 9),
    )  # fmt: skip
    for row in rows["reported_totals"]:
        row["ma_co_quan"] = "A"
    for code, denominator in (("2026-03", 9), ("2026-Q1", 6), ("2026-02", None), ("2026", 24)):
        found = by_key(score_of(pack, score, rows, [code], JULY))
        figure = found.get(("A", ALL, "1.4"))
        assert (figure and figure.denominator) == (denominator if code != "2026-02" else 2)


def test_the_sync_factor_of_3_3(pack: Pack, score: Score) -> None:
    """Half of what was reported is synchronised: 3.3 counts half."""
    rows = both(
        done(ma_co_quan="A", kenh_thuc_hien=2, dong_bo_dvcqg=True, **LINK),
        {"reported_totals": [{"ma_co_quan": "A", "ky": "2026-03", "so_ho_so_cong": 2}]},
    )
    found = by_key(score_of(pack, score, rows, ["2026-03"], JULY))[("A", ALL, "3.3")]
    assert (found.ratio, found.points) == (50.0, None)


# -- any one rule changed ---------------------------------------------------------------------------

MUTANTS = {
    "the end's order": (
        "coalesce(x.ngay_ket_thuc_xu_ly_us, x.ngay_tra_ket_qua_us, x.ngay_dung_tu_choi_us) AS e",
        "coalesce(x.ngay_tra_ket_qua_us, x.ngay_ket_thuc_xu_ly_us, x.ngay_dung_tu_choi_us) AS e"),
    "a stopped dossier has a result": (
        "coalesce(x.ngay_ket_thuc_xu_ly_us, x.ngay_tra_ket_qua_us) IS NOT NULL AS with_result",
        "true AS with_result"),
    "late on the minute": ("stop > due AS late", "stop >= due AS late"),
    "nothing deducted": (
        "h.stop - greatest(0, least(coalesce(h.r, h.stop), h.stop) - h.q) > h.due",
        "h.stop > h.due"),
    "asked twice is no matter": ("WHEN h.q2 < h.cut THEN true", "WHEN false THEN true"),
    "asked twice counts before the end only": ("WHEN h.q2 < h.cut", "WHEN h.q2 < h.stop"),
    "a day more than the limit": (
        "ELSE greatest(0, h.o1 - h.o0) > pr.thoi_han_ngay_lam_viec",
        "ELSE greatest(0, h.o1 - h.o0) > pr.thoi_han_ngay_lam_viec + 1"),
    "nothing carried over": ("e >= c.cut_us)", "e >= c.cut_us) AND d.t0 >= c.start_us"),
    "post is online": ("x.kenh_thuc_hien = 2", "x.kenh_thuc_hien IN (2, 3)"),
    "any fee": ("x.tong_phi_le_phi > 0", "x.tong_phi_le_phi >= 0"),
    "paid at the gateway only": ("x.kenh_thanh_toan IN (1, 2)", "x.kenh_thanh_toan IN (2)"),
    "any link": ("LIKE 'https://_%'", "LIKE 'https://%'"),
    "one file is enough": ("AND x.so_tep_ket_qua >= 1", "OR x.so_tep_ket_qua >= 1"),
    "reuse by the dossier only": (
        "coalesce(x.ho_so_co_thanh_phan_so_hoa, false) OR coalesce(x.duoc_so_hoa, false)",
        "coalesce(x.ho_so_co_thanh_phan_so_hoa, false)"),
    "shared by the link only": ("coalesce(x.duoc_lay_tu_kho_dmqg, false) OR ", ""),
    "an empty data base": ("coalesce(x.ma_csdl <> '', false)", "x.ma_csdl IS NOT NULL"),
    "petitions do not matter": ("coalesce(x.co_pakn, false) OR ", ""),
    "refused in three days": ("refused - f > 2", "refused - f > 3"),
    "asked in six": ("next_q - f > 5", "next_q - f > 6"),
    "answered in sixteen": ("> 15, false)", "> 16, false)"),
    "published in three": ("- answered > 2", "- answered > 3"),
    "transfers do not matter": (
        "CASE WHEN x.moved < c.cut_us THEN x.of_moved ELSE x.of_sent END", "x.of_sent"),
    "waiting counts": ("ELSE greatest(0, r - q) END > 15", "ELSE 0 END > 15"),
    "as many dislikes": (
        "coalesce(x.luot_khong_thich, 0) > coalesce(x.luot_thich, 0)",
        "coalesce(x.luot_khong_thich, 0) > coalesce(x.luot_thich, 0) - 1"),
    "raised again is no matter": ("OR coalesce(x.phan_anh_lai, false) AS disliked", "AS disliked"),
    "announced six days before": ("l.next_ordinal - n.next_ordinal < 5", "l.next_ordinal - n.next_ordinal < 6"),
    "published in four": ("- n.ordinal > 5 AS unpublished", "- n.ordinal > 4 AS unpublished"),
    "published on a day off": ("THEN pb.next_ordinal ELSE", "THEN pb.ordinal ELSE"),
    "announced on a day off": ("l.next_ordinal - n.next_ordinal", "l.ordinal - n.ordinal"),
    "refused on a day off": ("rf.next_ordinal AS", "rf.ordinal AS"),
    "answered on a day off": (
        "an.next_ordinal AS next_answered", "an.ordinal AS next_answered"),
    "a nameless procedure is complete": ("x.ten_tthc <> '' AND ", ""),
    "partly online is eligible": ("pr.muc_do_dvc = 2 THEN x.n", "pr.muc_do_dvc >= 1 THEN x.n"),
    "papers for all": ("coalesce(pr.co_ket_qua_giay, true) THEN x.n", "true THEN x.n"),
    "dissatisfied once": ("greatest(0, n - late - disliked)", "greatest(0, n - greatest(late, disliked))"),
}  # fmt: skip


def test_changing_any_one_rule_changes_the_score(pack: Pack, score: Score) -> None:
    made = Services(procedures_each=12, agencies=("so-nnmt", "so-xd", "ubnd-01"))
    rows = {
        "dossiers": list(made.dossiers(2500)), "petitions": list(made.petitions(400)),
        "procedures": list(made.procedures()), "procedure_decisions": list(made.decisions()),
        "reported_totals": list(made.totals()),
    }  # fmt: skip
    periods = ["2026-02", "2026-03", "2026-04"]
    as_of = datetime(2026, 5, 12, 15, tzinfo=VN)
    unnoticed = []
    with trial.given(pack, score, rows) as figures:
        right = figures(score, periods, as_of)
        for name, (old, new) in MUTANTS.items():
            assert score.sql.count(old) >= 1, name
            other = dataclasses.replace(score, sql=score.sql.replace(old, new, 1))
            if figures(other, periods, as_of) == right:
                unnoticed.append(name)
    assert unnoticed == []


def test_generated_dossiers_reach_every_edge() -> None:
    """The generator makes what the rules distinguish, or agreement on its rows would say little."""
    rows = list(Services().dossiers(20_000))
    ends = [
        r["ngay_ket_thuc_xu_ly"] or r["ngay_tra_ket_qua"] or r["ngay_dung_tu_choi"] for r in rows
    ]
    kinds = {
        "running": sum(e is None for e in ends),
        "asked twice": sum(r["ngay_yeu_cau_bo_sung_lan2"] is not None for r in rows),
        "waiting": sum(
            r["ngay_yeu_cau_bo_sung"] is not None and r["ngay_nhan_bo_sung"] is None for r in rows
        ),
        "no promised return": sum(r["ngay_hen_tra"] is None for r in rows),
        "at midnight": sum(r["ngay_tiep_nhan"].timetz().hour == 0 for r in rows),
        "on the minute": sum(e == r["ngay_hen_tra"] for e, r in zip(ends, rows, strict=True)),
        "ended before it came in": sum(
            e is not None and e < r["ngay_tiep_nhan"] - timedelta(hours=1)
            for e, r in zip(ends, rows, strict=True)
        ),
    }
    assert min(kinds.values()) >= 10, kinds
