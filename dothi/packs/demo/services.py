"""Invented dossiers, petitions and procedures for tests, measurements and the demonstration.

A function of the seed alone. Most rows are ordinary; every edge of the rules of Decision 766 comes up at
the rate said in `RATES`, on purpose also where real systems make mistakes (a result before the receipt,
a supplement after the end, instants exactly at midnight).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from dothi.kernel.time import VN
from dothi.kernel.workdays import add_working_days, is_working_day

Row = dict[str, Any]
"""A row with the contract's column names; instants and dates as such, None where there is nothing."""

DEPARTMENTS = ("so-nnmt", "so-xd", "so-ct", "so-yt", "so-tc", "so-nv", "so-tp", "so-gddt")
COMMUNES = tuple(f"ubnd-{number:02d}" for number in range(1, 65))

RATES: Mapping[str, float] = {
    "late": 0.06, "running": 0.04, "slow": 0.03, "stopped": 0.03, "only_returned": 0.05,
    "returned_first": 0.02, "asked": 0.10, "asked_twice": 0.12, "waiting": 0.12,
    "supplement_after_end": 0.03, "supplement_before_request": 0.01, "asked_after_end": 0.02,
    "no_due": 0.06, "no_unit": 0.08, "unknown_procedure": 0.004, "midnight": 0.01,
    "on_the_minute": 0.02, "ended_before_received": 0.002, "channel_null": 0.03, "by_post": 0.05,
    "bad_link": 0.04, "no_files": 0.33,
}  # fmt: skip
"""Shares of all dossiers; asked_twice, waiting and the two after it: of those asked for a supplement."""

_BAD_LINKS = (
    "",
    "http://",
    "https://",
    "ftp://kq.example/1",
    "HTTPS://kq.example/1",
    "kq.example/1",
)
_MINUTE = timedelta(minutes=1)
_CLASSES = ("Quy định hành chính", "Hành vi hành chính", "Hành vi hành chính", "Khác")
_UNITS = ("hcc", "kt", "vhxh", "vp")
_OF_COMMUNES = (
    "Chứng thực bản sao từ bản chính",
    "Đăng ký khai sinh",
    "Cấp bản sao trích lục hộ tịch",
    "Xác nhận tình trạng hôn nhân",
    "Đăng ký kết hôn",
    "Đăng ký khai tử",
    "Đăng ký hộ kinh doanh",
    "Hỗ trợ chi phí mai táng",
    "Trợ cấp xã hội hằng tháng",
    "Đăng ký biến động đất đai",
    "Cấp giấy phép xây dựng nhà ở riêng lẻ",
    "Cấp bản sao từ sổ gốc",
)
_ACTS = ("Cấp", "Cấp lại", "Gia hạn", "Điều chỉnh")
_THINGS = {
    "so-nnmt": (
        "giấy phép môi trường",
        "giấy phép khai thác nước mặt",
        "giấy phép khai thác khoáng sản",
    ),
    "so-xd": (
        "giấy phép xây dựng",
        "chứng chỉ hành nghề xây dựng",
        "phù hiệu xe ô tô kinh doanh vận tải",
    ),
    "so-ct": (
        "giấy phép bán buôn rượu",
        "giấy chứng nhận đủ điều kiện bán lẻ xăng dầu",
        "giấy phép sử dụng vật liệu nổ công nghiệp",
    ),
    "so-yt": (
        "giấy phép hành nghề khám bệnh, chữa bệnh",
        "giấy chứng nhận đủ điều kiện kinh doanh dược",
        "giấy chứng nhận an toàn thực phẩm",
    ),
    "so-tc": (
        "giấy chứng nhận đăng ký doanh nghiệp",
        "giấy chứng nhận đăng ký đầu tư",
        "giấy chứng nhận đăng ký hợp tác xã",
    ),
    "so-nv": (
        "giấy phép lao động",
        "giấy phép hoạt động cho thuê lại lao động",
        "giấy phép thành lập hội",
    ),
    "so-tp": ("phiếu lý lịch tư pháp", "thẻ công chứng viên", "giấy đăng ký hoạt động luật sư"),
    "so-gddt": (
        "giấy phép hoạt động giáo dục",
        "bản sao văn bằng, chứng chỉ từ sổ gốc",
        "giấy phép dạy thêm ngoài nhà trường",
    ),
}
"""What departments carry out, each with every one of the acts; communes carry out the same ones."""


@dataclass(frozen=True)
class Services:
    """The invented province's services between two dates, `last` included."""

    seed: int = 766
    first: date = date(2025, 10, 1)
    last: date = date(2026, 9, 30)
    agencies: tuple[str, ...] = (*DEPARTMENTS, *COMMUNES)
    procedures_each: int = 30
    uneven: bool = False
    """Whether agencies differ in how well they work; else all are alike."""
    _offered: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def procedures(self) -> Iterator[Row]:
        """Procedures with the agencies that carry them out; communes share theirs."""
        for agency in self.agencies:
            for code in self._codes(agency):
                dice = Random(f"{self.seed} {code}")
                online = dice.choices((0, 1, 2, None), (10, 40, 47, 3))[0]
                fee = dice.random() < 0.6
                since = self.first - timedelta(days=dice.randrange(-60, 900))
                ends = dice.random() < 0.08
                until = self.first + timedelta(days=dice.randrange(0, 330))
                parts = [dice.random() < 0.985 for _ in range(6)]
                own = Random(f"{self.seed} {code} {agency}")
                yield {
                    "ma_tthc": code, "ma_co_quan": agency,
                    "ten_tthc": self._title(agency, code) if dice.random() < 0.99 else "",
                    "ngay_hieu_luc": since if dice.random() < 0.9 else None,
                    "ngay_het_hieu_luc": until if ends else None,
                    "co_trinh_tu": parts[0], "co_cach_thuc": parts[1],
                    "co_thanh_phan_ho_so": parts[2], "co_thoi_han": parts[3],
                    "co_doi_tuong": parts[4], "co_co_quan": parts[5],
                    "thoi_han_ngay_lam_viec": dice.choice((0, 1, 3, 5, 10, 15, 20, None)),
                    "muc_do_dvc": online if own.random() < 0.97 else 0,
                    "co_nghia_vu_tai_chinh": fee,
                    "thanh_toan_truc_tuyen": (fee and dice.random() < 0.8) or None,
                    "co_ket_qua_giay": dice.choices((True, False, None), (80, 10, 10))[0],
                    "la_chung_thuc_ban_sao": dice.random() < 0.05,
                    "ket_noi_dan_cu": own.random() < 0.7,
                }  # fmt: skip

    def decisions(self) -> Iterator[Row]:
        """Announcements: one or two for every third procedure, some late, some never published."""
        codes = sorted({(code, a) for a in self.agencies[:12] for code in self._codes(a)})
        span = (self.last - self.first).days
        seen: set[str] = set()
        for code, agency in codes:
            dice = Random(f"{self.seed} decision {code}")
            if code in seen or dice.random() > 0.35:
                continue
            seen.add(code)
            for number in range(dice.choice((1, 1, 2))):
                made = self.first + timedelta(days=dice.randrange(span))
                yield {
                    "ma_tthc": code, "so_quyet_dinh": f"{number + 1}-{made:%m%y}/QĐ-UBND",
                    "ma_co_quan": agency, "ngay_quyet_dinh": made,
                    "ngay_hieu_luc_can_cu": made + timedelta(days=dice.randrange(-3, 25))
                    if dice.random() < 0.95 else None,
                    "ngay_cong_khai": made + timedelta(days=dice.randrange(0, 11))
                    if dice.random() < 0.95 else None,
                }  # fmt: skip

    def totals(self) -> Iterator[Row]:
        """What agencies reported; some months are missing or zero, so that last year's counts."""
        for agency in self.agencies:
            dice = Random(f"{self.seed} totals {agency}")
            for year in range(self.first.year - 1, self.last.year + 1):
                yield self._total(dice, agency, f"{year:04d}", 1200)
                for quarter in range(1, 5):
                    yield self._total(dice, agency, f"{year:04d}-Q{quarter}", 300)
                for month in range(1, 13):
                    yield self._total(dice, agency, f"{year:04d}-{month:02d}", 100)

    def _total(self, dice: Random, agency: str, code: str, about: int) -> Row:
        kind = dice.random()
        report = None if kind < 0.05 else 0 if kind < 0.1 else round(about * dice.uniform(0.5, 1.5))
        portal = None if kind < 0.08 else 0 if kind < 0.1 else round(about * dice.uniform(0.5, 1.5))
        return {
            "ma_co_quan": agency,
            "ky": code,
            "so_ho_so_bao_cao": report,
            "so_ho_so_cong": portal,
        }

    def dossiers(self, count: int) -> Iterator[Row]:
        """So many dossiers, received from `first` to `last`."""
        dice = Random(self.seed)
        span = (self.last - self.first).days + 1
        for number in range(count):
            yield self._dossier(dice, number, self.first + timedelta(days=dice.randrange(span)))

    def of_day(self, day: date) -> list[Row]:
        """The dossiers received on a day, whatever the days around it: a few at a weekend."""
        dice = Random(f"{self.seed} day {day}")
        count = round((60 if is_working_day(day) else 5) * dice.uniform(0.8, 1.2))
        first = (day - date(2000, 1, 1)).days * 1000
        return [self._dossier(dice, first + n, day) for n in range(count)]

    def petitions_of_day(self, day: date) -> list[Row]:
        """The petitions sent on a day."""
        dice = Random(f"{self.seed} petitions {day}")
        first = (day - date(2000, 1, 1)).days * 1000
        return [self._petition(dice, first + n, day) for n in range(dice.randrange(2, 7))]

    def care(self, agency: str) -> float:
        """How often an agency fails where the usual one fails once."""
        return Random(f"{self.seed} care {agency}").uniform(0.1, 1.1) if self.uneven else 1.0

    def _dossier(self, dice: Random, number: int, day: date) -> Row:
        agency = dice.choice(self.agencies)
        care = self.care(agency)

        def now(what: str) -> bool:
            return dice.random() < RATES[what] * care

        def maybe(share: float) -> bool | None:
            return _often(dice, 1.0 - (1.0 - share) * care)

        codes = self._codes(agency)
        # A few procedures make most of the work.
        code = codes[min(int(dice.expovariate(6 / len(codes))), len(codes) - 1)]
        if now("unknown_procedure"):
            code = "9.999999"
        received = datetime.combine(day, time(), VN)
        if not now("midnight"):
            received += timedelta(hours=7, minutes=dice.randrange(600), seconds=dice.randrange(60))
        allowed = dice.choice((1, 3, 5, 7, 10, 15, 20))
        due = datetime.combine(add_working_days(day, allowed), time(17), VN)
        end = self._end(dice, received, due, late=now("late"), slow=now("slow"))
        if now("on_the_minute"):
            end = due
        asked, back, twice = self._supplement(dice, received, end)
        finished: datetime | None = end
        returned: datetime | None = end + timedelta(hours=dice.randrange(0, 72))
        stopped: datetime | None = None
        if now("running"):
            finished = returned = None
        elif now("stopped"):
            finished, returned, stopped = None, None, end
        elif now("only_returned"):
            finished = None
        elif now("returned_first"):
            returned = received + (end - received) / 2
        elif now("ended_before_received"):
            finished, returned = received - timedelta(days=dice.randrange(1, 70)), None
        fee = dice.choices((None, 0, dice.randrange(1, 60) * 5000), (35, 10, 55))[0]
        online = dice.random() < 1.0 - 0.38 * care
        channel = 2 if online else 1
        if now("channel_null"):
            channel = None
        elif now("by_post"):
            channel = 3
        link = f"https://kq.example/{number}" if dice.random() < 1.0 - 0.28 * care else None
        if now("bad_link"):
            link = dice.choice(_BAD_LINKS)
        return {
            "ma_ho_so": f"H{self.seed}.{number:07d}", "ma_tthc": code, "ma_co_quan": agency,
            "ma_don_vi": None if now("no_unit") else f"{agency}.{dice.choice(_UNITS)}",
            "ngay_tiep_nhan": received,
            "ngay_hen_tra": None if now("no_due") else due,
            "ngay_ket_thuc_xu_ly": finished, "ngay_tra_ket_qua": returned,
            "ngay_dung_tu_choi": stopped,
            "ngay_yeu_cau_bo_sung": asked, "ngay_nhan_bo_sung": back,
            "ngay_yeu_cau_bo_sung_lan2": twice,
            "kenh_thuc_hien": channel,
            "dong_bo_dvcqg": maybe(0.88),
            "tong_phi_le_phi": fee,
            "kenh_thanh_toan": dice.choice((1, 1, 2)) if dice.random() < 1.0 - 0.55 * care else
            dice.choice((0, None)),
            "duong_dan_ket_qua": link,
            "so_tep_thanh_phan": dice.choice((None, 0)) if now("no_files") else dice.randrange(1, 5),
            "so_tep_ket_qua": dice.choice((None, 0)) if now("no_files") else dice.randrange(1, 3),
            "ho_so_co_thanh_phan_so_hoa": maybe(0.4),
            "duoc_so_hoa": maybe(0.45),
            "duoc_lay_tu_kho_dmqg": maybe(0.25),
            "ket_qua_dong_bo": maybe(0.5),
            "ban_sao_dien_tu": maybe(0.3),
            "tai_khoan_duoc_xac_thuc_voi_vneid": maybe(0.7),
            "ma_csdl": dice.choices((None, "", "CSDLQG-DC"), (60, 5, 35))[0],
            "co_pakn": _often(dice, 0.015 * care), "khong_hai_long": _often(dice, 0.02 * care),
        }  # fmt: skip

    @staticmethod
    def _end(
        dice: Random, received: datetime, due: datetime, *, late: bool, slow: bool
    ) -> datetime:
        if slow:
            return due + timedelta(days=dice.randrange(20, 120), minutes=dice.randrange(1440))
        if late:
            return due + timedelta(minutes=dice.randrange(1, 14 * 1440))
        whole = max(due - received, _MINUTE)
        return received + whole * dice.betavariate(3, 1.5)

    @staticmethod
    def _supplement(
        dice: Random, received: datetime, end: datetime
    ) -> tuple[datetime | None, datetime | None, datetime | None]:
        """First request, what came back on it, second request."""
        if dice.random() >= RATES["asked"]:
            return None, None, None
        whole = max(end - received, _MINUTE)
        asked = received + whole * dice.uniform(0.05, 0.6)
        if dice.random() < RATES["asked_after_end"]:
            asked = end + timedelta(hours=dice.randrange(0, 100))
        back: datetime | None = asked + timedelta(hours=dice.randrange(1, 240))
        if dice.random() < RATES["waiting"]:
            back = None
        elif dice.random() < RATES["supplement_after_end"]:
            back = max(end, asked) + timedelta(days=dice.randrange(1, 40))
        elif dice.random() < RATES["supplement_before_request"]:
            back = asked - timedelta(hours=5)
        twice = None
        if back is not None and dice.random() < RATES["asked_twice"]:
            twice = back + timedelta(hours=dice.randrange(1, 300))
        return asked, back, twice

    def petitions(self, count: int) -> Iterator[Row]:
        """So many petitions, sent from `first` to `last`."""
        dice = Random(self.seed + 1)
        span = (self.last - self.first).days
        for number in range(count):
            yield self._petition(dice, number, self.first + timedelta(days=dice.randrange(span)))

    def _petition(self, dice: Random, number: int, day: date) -> Row:
        sent = datetime.combine(day, time(), VN) + timedelta(minutes=dice.randrange(1440))
        agency = dice.choice(self.agencies)
        care = self.care(agency)
        moved = sent + timedelta(hours=dice.randrange(1, 80)) if dice.random() < 0.4 else None
        begun = moved or sent
        refused = asked = back = answered = published = None
        kind = dice.random()
        if kind < 0.08:
            refused = begun + timedelta(hours=dice.randrange(1, 110))
        if 0.05 < kind < 0.2:
            asked = begun + timedelta(hours=dice.randrange(1, 200))
            if dice.random() < 0.75:
                back = asked + timedelta(hours=dice.randrange(1, 400))
        if kind > 0.08 and dice.random() < 1.0 - 0.07 * care:
            answered = (back or begun) + timedelta(hours=dice.randrange(1, 24 + round(600 * care)))
            if dice.random() < 1.0 - 0.1 * care:
                published = answered + timedelta(hours=dice.randrange(0, 8 + round(102 * care)))
        return {
            "ma_pakn": f"P{self.seed}.{number:06d}", "ma_co_quan": agency,
            "ma_don_vi": None if dice.random() < 0.2 else f"{agency}.{dice.choice(_UNITS)}",
            "phan_loai": dice.choice((None, *_CLASSES)),
            "ngay_gui": sent, "ngay_chuyen": moved, "ngay_tu_choi": refused,
            "ngay_yeu_cau_bo_sung": asked, "ngay_nhan_bo_sung": back,
            "ngay_tra_loi": answered, "ngay_cong_khai": published,
            "khong_cong_khai": dice.choices((None, False, True), (45, 45, 10))[0],
            "luot_thich": dice.choice((None, 0, 1, 5)),
            "luot_khong_thich": dice.choices((None, 0, 1, 6), (50, 35, 10, 5))[0],
            "phan_anh_lai": _often(dice, 0.05 * care),
        }  # fmt: skip

    def _codes(self, agency: str) -> list[str]:
        # Communes carry out the same procedures, a department its own.
        owner = "commune" if agency.startswith("ubnd-") else agency
        if owner not in self._offered:
            dice = Random(f"{self.seed} codes {owner}")
            chosen = dice.sample(range(100_000, 999_999), self.procedures_each)
            self._offered[owner] = [f"1.{number}" for number in chosen]
        return self._offered[owner]

    def _title(self, agency: str, code: str) -> str:
        """What a procedure is called; those beyond the names there are have a number."""
        round_, place = divmod(self._codes(agency).index(code), 12)
        if agency.startswith("ubnd-"):
            name = _OF_COMMUNES[place]
        else:
            things = _THINGS.get(agency, _THINGS["so-xd"])
            name = f"{_ACTS[place % 4]} {things[place // 4]}"
        return name if not round_ else f"{name} (trường hợp {round_ + 1})"


def _often(dice: Random, share: float) -> bool | None:
    """True that often; false and nothing said are as good as each other."""
    return True if dice.random() < share else dice.choice((False, None))
