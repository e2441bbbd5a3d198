"""Invented records for the score of Decision 766 that lie on the edges of its rules.

They are meant to be awkward, not likely: instants on and beside the ends of periods, terms and
promises, days around Tết and around the exchange of 2 and 10 January 2026, supplements across them,
nulls wherever a column allows them, procedures that are not listed, agencies without dossiers, units
of few dossiers, where a share meets a threshold exactly. The same seed gives the same records.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from typing import Any

from dothi.kernel.time import VN
from dothi.kernel.workdays import add_working_days

Records = dict[str, list[dict[str, Any]]]

TICK, SECOND, DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)
AROUND = (-DAY, -SECOND, -TICK, timedelta(0), TICK, SECOND, DAY)
"""Beside an edge in time."""

NOW = (timedelta(0),) * 4

FIRST, LAST = date(2025, 11, 17), date(2026, 4, 20)
TURNS = tuple(
    datetime(y, m, 1, tzinfo=VN)
    for y, m in ((2025, 12), (2026, 1), (2026, 2), (2026, 3), (2026, 4))
)
"""Where periods begin and end."""

FAR = (date(2020, 1, 1), date(2026, 12, 11), date(2030, 1, 1))
"""Long ago, and after all that happens here."""

ODD_DAYS = (
    date(2025, 12, 31),
    *(date(2026, 1, d) for d in (1, 2, 3, 5, 9, 10, 12)),
    *(date(2026, 2, d) for d in (13, 14, 16, 17, 20, 21, 23)),
)
"""New Year with its exchange, Tết, and the days beside them."""

HOURS = (
    time(0), time(0, 0, 1), time(6, 59, 59), time(7), time(7, 30), time(11, 45), time(16, 59, 59),
    time(17), time(17, 0, 1), time(23, 59, 59, 999999),
)  # fmt: skip
"""Times of day; 7:00 in Việt Nam is midnight in UTC."""

LINKS = (
    "https://ket-qua.example/1", "http://ket-qua.example/2", "https://x", "http://x",
    None, "", "https://", "http://", "http:/x", "HTTPS://x", " https://x", "ftp://x", "co",
)  # fmt: skip


def records(seed: int, dossiers: int, petitions: int | None = None) -> Records:
    """So many dossiers and a tenth as many petitions, with all that belongs to them."""
    return _Maker(seed, dossiers).make(dossiers, dossiers // 10 if petitions is None else petitions)


@cache
def _term(start: date, days: int) -> date:
    return add_working_days(start, days)


class _Maker:
    """One set of records."""

    def __init__(self, seed: int, dossiers: int) -> None:
        self.random = Random(seed)
        self.agencies = [f"A{n:02}" for n in range(max(16, min(40, dossiers // 300)))]
        self.procedures: list[dict[str, Any]] = []
        self.by_agency: dict[str, list[dict[str, Any]]] = {}
        # The last agency has many procedures and no dossiers, the one before it dossiers and no
        # procedures listed; the first three are communes, which carry out the same procedures.
        self.busy, self.unlisted, self.communes = (
            self.agencies[:-1],
            self.agencies[-2],
            self.agencies[:3],
        )

    def make(self, dossiers: int, petitions: int) -> Records:
        for agency in self.agencies:
            count = 120 if agency == self.agencies[-1] else self.one_of(NUMBERS)
            self.by_agency[agency] = [self.procedure(agency, n) for n in range(count)]
        self.procedures = [
            p for a in self.agencies if a != self.unlisted for p in self.by_agency[a]
        ]
        desks = self.desks(dossiers)
        made = [self.dossier(n, *self.one_of(desks)) for n in range(dossiers)]
        return {
            "dossiers": made,
            "petitions": [self.petition(n, *self.one_of(desks)) for n in range(petitions)],
            "procedures": self.procedures,
            "procedure_decisions": [d for p in self.procedures for d in self.decisions(p)],
            "reported_totals": self.totals(made),
        }

    def desks(self, dossiers: int) -> list[tuple[str, str | None, _Habit]]:
        """Where dossiers lie: (agency, unit, habit). Many units are small, and several agencies have
        a unit of the same code."""
        found: list[tuple[str, str | None, _Habit]] = []
        while len(found) < max(12, dossiers // 25):
            agency = self.one_of(self.busy)
            unit = self.one_of((None, "MC", f"D{len(found):04}", f"D{len(found):04}"))
            found.append((agency, unit, _Habit(self.random)))
        # One agency has a single procedure, for the mean time of one.
        self.by_agency[self.busy[0]] = self.by_agency[self.busy[0]][:1]
        return found

    # --- choosing -------------------------------------------------------------------------------

    def one_of(self, choices: Any) -> Any:
        return choices[int(self.random.random() * len(choices))]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def flag(self, share: float) -> bool | None:
        if self.random.random() < share:
            return True
        return None if self.random.random() < 0.3 else False

    def day(self) -> date:
        if self.chance(0.15):
            return self.one_of(ODD_DAYS)
        return FIRST + DAY * int(self.random.random() * (LAST - FIRST).days)

    def moment(self) -> datetime:
        if self.chance(0.06):
            return self.one_of(TURNS) + self.one_of(AROUND)
        return self.at(self.day())

    def at(self, day: date) -> datetime:
        """A time of that day in Việt Nam; some are written in UTC."""
        moment = datetime.combine(day, self.one_of(HOURS), VN)
        return moment.astimezone(UTC) if self.chance(0.1) else moment

    # --- rows -----------------------------------------------------------------------------------

    def procedure(self, agency: str, n: int) -> dict[str, Any]:
        parts = dict.fromkeys(PARTS, True)
        for part in PARTS:
            if self.chance(0.05):
                parts[part] = self.one_of((None, False))
        if self.chance(0.4):
            parts[self.one_of(PARTS)] = self.one_of((None, False))
        return {
            "ma_tthc": f"1.{n:03}" if agency in self.communes else f"{agency}.{n:03}",
            "ma_co_quan": agency,
            "ten_tthc": self.one_of(("Cấp giấy phép", "Đăng ký", "Cấp giấy phép", None, "")),
            "ngay_hieu_luc": self.edge_of_force(0.6),
            "ngay_het_hieu_luc": self.edge_of_force(0.7),
            **parts,
            "thoi_han_ngay_lam_viec": self.one_of((0, 1, 2, 3, 5, 7, 10, 15, 20, None)),
            "muc_do_dvc": self.one_of((None, 0, 1, 1, 2, 2, 2)),
            "co_nghia_vu_tai_chinh": self.flag(0.6),
            "thanh_toan_truc_tuyen": self.flag(0.7),
            "co_ket_qua_giay": self.one_of((True, False, None)),
            "la_chung_thuc_ban_sao": self.flag(0.25),
            "ket_noi_dan_cu": self.flag(0.5),
        }

    def edge_of_force(self, never: float) -> date | None:
        if self.chance(never):
            return None
        if self.chance(0.2):
            return self.one_of(FAR)
        return self.one_of(TURNS).date() + self.one_of((-DAY, timedelta(0), DAY))

    def decisions(self, procedure: dict[str, Any]) -> list[dict[str, Any]]:
        return [self.decision(procedure, n) for n in range(self.one_of((0, 1, 1, 1, 2, 3)))]

    def decision(self, procedure: dict[str, Any], n: int) -> dict[str, Any]:
        decided = self.day()
        if self.chance(0.1):
            decided = self.one_of(TURNS).date() + self.one_of((-DAY, timedelta(0)))
        beside = DAY * self.one_of((-1, 0, 0, 0, 0, 1))
        effect = _term(decided, self.one_of((5, 5, 5, 5, 6, 6, 20, 4))) + beside
        published = _term(decided, self.one_of((5, 5, 5, 5, 0, 4, 6, 10))) + DAY * self.one_of(
            (-1, 0, 0, 0, 1)
        )
        return {
            "ma_tthc": procedure["ma_tthc"],
            "so_quyet_dinh": f"{n}/{procedure['ma_co_quan']}/QĐ-UBND",
            "ma_co_quan": procedure["ma_co_quan"],
            "ngay_quyet_dinh": decided,
            "ngay_hieu_luc_can_cu": None if self.chance(0.08) else effect,
            "ngay_cong_khai": None if self.chance(0.1) else published,
        }

    def totals(self, dossiers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """For each agency some periods of its own, last year, nothing, or zeros."""
        share = len(dossiers) / len(self.busy)
        found = []
        for agency in self.agencies:
            for period, part in (
                ("2026-01", 0.2), ("2026-02", 0.2), ("2026-03", 0.2), ("2026-Q1", 0.6),
                ("2025", 2.4), ("2026", 0.7), ("2024", 9.0), ("2025-12", 0.2),
            ):  # fmt: skip
                if self.chance(0.25):
                    continue
                about = int(share * part * (0.6 + self.random.random()))
                found.append({
                    "ma_co_quan": agency,
                    "ky": period,
                    "so_ho_so_bao_cao": self.one_of((about, about + 7, about, 0, None)),
                    "so_ho_so_cong": self.one_of((about, about + 3, about - about // 3, 0, None)),
                })  # fmt: skip
        return found

    def dossier(self, n: int, agency: str, unit: str | None, habit: _Habit) -> dict[str, Any]:
        procedures = self.by_agency[agency]
        procedure = self.one_of(procedures) if procedures else {"ma_tthc": "9.999"}
        code = "9.998" if agency != self.busy[0] and self.chance(0.02) else procedure["ma_tthc"]
        d: dict[str, Any] = {
            "ma_ho_so": f"H{n:07}",
            "ma_tthc": code,
            "ma_co_quan": agency,
            "ma_don_vi": unit,
            "kenh_thuc_hien": 2 if self.chance(habit.online) else self.one_of((None, 1, 3)),
            "dong_bo_dvcqg": self.flag(habit.synced),
            "tong_phi_le_phi": self.one_of((0, 1, 20000)) if self.chance(habit.fees) else None,
            "kenh_thanh_toan": self.one_of((1, 2)) if self.chance(habit.paid)
            else self.one_of((None, 0)),
            "duong_dan_ket_qua": self.one_of(LINKS[:4]) if self.chance(habit.linked)
            else self.one_of(LINKS[4:]),
            "so_tep_thanh_phan": self.one_of((1, 2)) if self.chance(habit.digital)
            else self.one_of((None, 0)),
            "so_tep_ket_qua": self.one_of((1, 3)) if self.chance(habit.digital)
            else self.one_of((None, 0)),
            "ho_so_co_thanh_phan_so_hoa": self.flag(habit.reuse),
            "duoc_so_hoa": self.flag(habit.reuse),
            "duoc_lay_tu_kho_dmqg": self.flag(habit.reuse),
            "ket_qua_dong_bo": self.flag(habit.shared),
            "ban_sao_dien_tu": self.flag(0.5),
            "tai_khoan_duoc_xac_thuc_voi_vneid": self.flag(habit.shared),
            "ma_csdl": self.one_of((None, None, None, "", "DC")),
            "co_pakn": self.flag(habit.unhappy),
            "khong_hai_long": self.flag(habit.unhappy),
        }  # fmt: skip
        d |= self.way(procedure)
        return d

    def way(self, procedure: dict[str, Any]) -> dict[str, Any]:
        """How a dossier went: often an end on the edge of its promise or limit."""
        received = self.moment()
        limit = procedure.get("thoi_han_ngay_lam_viec")
        term = self.one_of((0, 1, 3, 5, 15)) if limit is None else limit
        due = self.at(_term(received.astimezone(VN).date(), term))
        end = due + self.one_of(AROUND)
        asked = came = asked_again = None
        if self.chance(0.3):
            asked = received + (due - received) * self.random.random()
            if self.chance(0.5):
                asked = self.at(asked.date())
            if self.chance(0.2):
                asked = due + self.one_of(AROUND)
            asked = max(asked, received)
            came = asked + self.one_of(GAPS)
            end += came - asked
            if self.chance(0.3):
                # Across days off the same wait takes fewer working days.
                end = self.at(_term(end.astimezone(VN).date(), self.one_of((0, 1, 2))))
            if self.chance(0.2):
                came = None
            if self.chance(0.15):
                asked_again = (came or asked) + self.one_of(GAPS)
        if self.chance(0.05):
            end = self.one_of(TURNS) + self.one_of((*AROUND, *NOW))
        if self.chance(0.02):
            due = self.one_of(TURNS) + self.one_of(AROUND)
        finished, returned, stopped = self.one_of(ENDS)(max(end, received))
        promised = None if self.chance(0.3) else due
        if self.chance(0.03):
            # It still runs, and its limit ends with the period.
            last = (self.one_of(TURNS) - DAY).date()
            received = self.at(add_working_days(last, -term))
            promised = finished = returned = stopped = asked = came = asked_again = None
        return {
            "ngay_tiep_nhan": received,
            "ngay_hen_tra": promised,
            "ngay_ket_thuc_xu_ly": finished,
            "ngay_tra_ket_qua": returned,
            "ngay_dung_tu_choi": stopped,
            "ngay_yeu_cau_bo_sung": asked,
            "ngay_nhan_bo_sung": came,
            "ngay_yeu_cau_bo_sung_lan2": asked_again,
        }

    def petition(self, n: int, agency: str, unit: str | None, habit: _Habit) -> dict[str, Any]:
        """Often a step on the last day of its term, or on the day after."""
        submitted = self.moment()
        moved = submitted + self.one_of((*GAPS, DAY * 40)) if self.chance(0.3) else None
        start = (moved or submitted).astimezone(VN).date()
        refused = asked = came = answered = public = None
        if self.chance(0.12):
            refused = self.step(start, 2)
            if self.chance(0.1):
                refused = self.one_of(TURNS) + self.one_of(AROUND)
        if self.chance(0.3):
            asked = self.step(start, self.one_of((5, 5, 3, 14)))
            came = None if self.chance(0.3) else asked + self.one_of(GAPS)
        if self.chance(0.75):
            end = self.step(start, self.one_of((15, 15, 15, 16)))
            if asked and came and self.chance(0.6):
                end += came - asked
            answered = end
            if self.chance(0.8):
                public = self.step(answered.astimezone(VN).date(), 2)
            if self.chance(0.05):
                answered = public = self.one_of(TURNS) + self.one_of(AROUND)
        return {
            "ma_pakn": f"P{n:07}",
            "ma_co_quan": agency,
            "ma_don_vi": unit,
            "phan_loai": self.one_of(("hành vi", "quy định", None)),
            "ngay_gui": submitted,
            "ngay_chuyen": moved,
            "ngay_tu_choi": refused,
            "ngay_yeu_cau_bo_sung": asked,
            "ngay_nhan_bo_sung": came,
            "ngay_tra_loi": answered,
            "ngay_cong_khai": public,
            "khong_cong_khai": self.flag(0.1),
            "luot_thich": self.one_of((None, 0, 1, 1, 2, 5)),
            "luot_khong_thich": self.one_of((None, 0, 0, 0, 1, 2)),
            "phan_anh_lai": self.flag(habit.unhappy),
        }

    def step(self, start: date, days: int) -> datetime:
        """Something done on the last day of a term, or beside it."""
        return self.at(_term(start, days) + DAY * self.one_of((-1, 0, 0, 0, 0, 0, 0, 1)))


NUMBERS = (1, 3, 5, 8, 12)
PARTS = (
    "co_trinh_tu", "co_cach_thuc", "co_thanh_phan_ho_so", "co_thoi_han", "co_doi_tuong",
    "co_co_quan",
)  # fmt: skip
GAPS = (
    timedelta(0), TICK, timedelta(hours=8), DAY, DAY * 2, DAY * 3, DAY * 7, DAY * 12,
    timedelta(days=2, hours=9),
)  # fmt: skip
"""How long somebody waited."""

_Ends = tuple[datetime | None, datetime | None, datetime | None]
ENDS: tuple[Callable[[datetime], _Ends], ...] = (
    lambda end: (end, None, None),
    lambda end: (end, None, None),
    lambda end: (end, end + DAY, None),
    lambda end: (end, end + DAY * 3, None),
    lambda end: (end, end - DAY, None),
    lambda end: (None, end, None),
    lambda end: (None, None, end),
    lambda end: (None, end, end - DAY),
    lambda end: (end + DAY, None, end),
    lambda end: (None, None, None),
)
"""Finished, returned, stopped or refused: which are known, and in which order they came."""


class _Habit:
    """How a desk works: the share of dossiers for which something holds. 0 and 1 leave rates without
    a denominator or at their ends; the others meet thresholds."""

    def __init__(self, random: Random) -> None:
        def share() -> float:
            return (0.0, 0.4, 0.5, 0.8, 0.9, 1.0)[int(random.random() * 6)]

        self.online, self.synced, self.fees, self.paid = share(), share(), share(), share()
        self.linked, self.digital, self.reuse, self.shared = share(), share(), share(), share()
        self.unhappy = (0.0, 0.02, 0.05, 0.4)[int(random.random() * 4)]
