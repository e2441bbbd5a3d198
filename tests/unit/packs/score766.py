"""The score of Decision 766/QD-TTg (23/6/2022), row by row: a transcription of the rules, for tests.

Source: `facts/citizen-services.md` section 3.1, the table that stands, and where it is silent
`facts/regulations.md` section 5.1. Written from these alone: it shares with the product nothing but
which days are working days, and counts them itself.

Each rule is a small function, or one of the constants, that is looked up when it is used, so that a
test can put another in its place. Where the facts leave a choice, the docstring says "Read as". Figures are exact; a rate is in percent, None is N/A.
A row is a record by the column names of the pack's datasets (the national portal's field names).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from dothi.kernel.time import VN
from dothi.kernel.workdays import is_working_day

Row = Mapping[str, Any]
DAY, NONE = timedelta(days=1), timedelta(0)

CEILINGS: Mapping[str, tuple[int, int | None]] = {
    "1.1": (6, None), "1.2": (4, None), "1.3": (2, None), "1.4": (6, None),
    "2.1": (20, None), "2.2": (0, None),
    "3a": (12, 50), "3.1": (0, 80), "3.2": (0, None), "3.3": (0, 50),
    "3.5a": (2, 80), "3.5b": (2, 80), "3.6": (6, None),
    "4.1": (6, None), "4.2": (4, 80), "4.2b": (2, None), "4.3": (2, 80), "4.4": (4, None),
    "4.5a": (2, None), "4.5b": (2, None),
    "5.1": (0, None), "5.2": (6, None), "5.3": (6, None), "5.4": (6, 90),
}  # fmt: skip
"""Component: its most points and the rate from which all are given, in percent. Read as: 50 where
the source gives 50 to 80 (3a), none where it gives "?" (4.2b)."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "group 1": ("1.1", "1.2", "1.3", "1.4"),
    "group 2": ("2.1", "2.2"),
    "group 3a": ("3a", "3.1", "3.2", "3.3"),
    "group 3b": ("3.5a", "3.5b", "3.6"),
    "group 4": ("4.1", "4.2", "4.2b", "4.3", "4.4", "4.5a", "4.5b"),
    "group 5": ("5.1", "5.2", "5.3", "5.4"),
}

ANNOUNCED_BEFORE_EFFECT, PUBLISHED_AFTER_DECISION = 5, 5
"""Working days, for a province (a ministry: 20 and 10)."""

REFUSE, ASK, ANSWER, PUBLISH = 2, 5, 15, 2
"""Working days for the steps of a petition."""

_working = cache(is_working_day)


@cache
def local_day(moment: datetime) -> date:
    """The date in Việt Nam."""
    return moment.astimezone(VN).date()


# --- counting -----------------------------------------------------------------------------------


@cache
def last_day(start: date, count: int) -> date:
    """The last day of a term of `count` working days; `start` does not count."""
    on = start
    while count > 0:
        on += DAY
        count -= _working(on)
    return on


@cache
def days_before(end: date, count: int) -> date:
    """The day `count` working days before `end`; `end` does not count."""
    on = end
    while count > 0:
        on -= DAY
        count -= _working(on)
    return on


@cache
def days_taken(start: date, end: date) -> int:
    """How many working days come after `start`, up to and with `end`."""
    found, on = 0, start
    while on < end:
        on += DAY
        found += _working(on)
    return found


def percent(part: Fraction, whole: Fraction) -> Fraction | None:
    """The rate; N/A without a denominator."""
    return part * 100 / whole if whole else None


def points(rate: Fraction, most: Fraction, threshold: int | None) -> Fraction:
    """All points from the threshold on, below it their share; never more than all."""
    return min(rate / (threshold or 100), 1) * most


def two_decimals(value: Fraction) -> Decimal:
    """As it is shown: half up."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


# --- the period ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A period as seen at an instant: from `start` up to, without, `end`.

    `end` is the period's end, or the instant of asking where the period still runs; `today` is the
    day of asking. `code` and `year_before` are periods as written in `ky`.
    """

    code: str
    start: datetime
    end: datetime
    today: date
    procedures: Mapping[tuple[str, str], Row]

    @property
    def first(self) -> date:
        return local_day(self.start)

    @property
    def last(self) -> date:
        return local_day(self.end - timedelta(microseconds=1))

    @property
    def year_before(self) -> str:
        return str(int(self.code[:4]) - 1)

    @property
    def parts_of_year(self) -> int:
        return 1 if len(self.code) == 4 else 4 if "Q" in self.code else 12

    def day_of(self, end: datetime) -> date:
        """The day of an end; the period's end belongs to its last day."""
        return min(local_day(end), self.last)

    def known(self, moment: datetime | None) -> datetime | None:
        """The instant, where it had come when the period ended."""
        return moment if moment is not None and moment < self.end else None


def case_of(code: str, procedures: Iterable[Row], as_of: datetime) -> Case:
    """A period written 2026-03, 2026-Q1 or 2026, as seen at `as_of`."""
    year, part = int(code[:4]), code[5:]
    if not part:
        first, months = 1, 12
    elif part[0] == "Q":
        first, months = int(part[1]) * 3 - 2, 3
    else:
        first, months = int(part), 1
    later, month = divmod(first + months - 1, 12)
    start = datetime(year, first, 1, tzinfo=VN)
    end = datetime(year + later, month + 1, 1, tzinfo=VN)
    by_key = {(p["ma_tthc"], p["ma_co_quan"]): p for p in procedures}
    return Case(code, start, min(end, as_of), local_day(as_of), by_key)


def received_in_period(d: Row, c: Case) -> bool:
    """By NgayTiepNhan."""
    return c.start <= d["ngay_tiep_nhan"] < c.end


def procedure_of(d: Row, c: Case) -> Row:
    """The dossier's procedure; nothing is known of one that is not listed."""
    return c.procedures.get((d["ma_tthc"], d["ma_co_quan"]), {})


def in_force(p: Row, c: Case) -> bool:
    """On any day of the period."""
    return in_force_within(p, c.first, c.last)


def in_force_now(p: Row, c: Case) -> bool:
    """1.3 is not by period: on the day of asking."""
    return in_force_within(p, c.today, c.today)


def in_force_within(p: Row, first: date, last: date) -> bool:
    """On any day from `first` to `last`."""
    since, until = p.get("ngay_hieu_luc"), p.get("ngay_het_hieu_luc")
    return (since is None or since <= last) and (until is None or until >= first)


# --- 1: openness --------------------------------------------------------------------------------


def decided_in_period(q: Row, c: Case) -> bool:
    """By NgayQuyetDinh."""
    return c.first <= q["ngay_quyet_dinh"] <= c.last


def announced_on_time(q: Row) -> bool | None:
    """1.1: decided at least five working days before the legal basis takes effect."""
    effect = q["ngay_hieu_luc_can_cu"]
    if effect is None:
        return None
    return q["ngay_quyet_dinh"] <= days_before(effect, ANNOUNCED_BEFORE_EFFECT)


def published_on_time(q: Row, c: Case) -> bool:
    """1.2: published within five working days of the decision. Read as: while it is not published
    the period's last day counts."""
    published = q["ngay_cong_khai"]
    if published is None or published > c.last:
        published = c.last
    return published <= last_day(q["ngay_quyet_dinh"], PUBLISHED_AFTER_DECISION)


def one_late_is_late(verdicts: Iterable[bool]) -> bool:
    """Of several decisions on a procedure in the period."""
    return all(verdicts)


def published_in_full(p: Row) -> bool:
    """1.3: all seven parts of Decree 63/2010, article 8.2."""
    return bool(
        p["ten_tthc"]
        and p["co_trinh_tu"]
        and p["co_cach_thuc"]
        and p["co_thanh_phan_ho_so"]
        and p["co_thoi_han"]
        and p["co_doi_tuong"]
        and p["co_co_quan"]
    )


def synchronised(d: Row) -> bool:
    """1.4: it stands on the national portal."""
    return bool(d["dong_bo_dvcqg"])


def larger_total(reported: Sequence[Row]) -> int:
    """1.4: the larger of what the reporting system and the portal say was received."""
    by_report = sum(t["so_ho_so_bao_cao"] or 0 for t in reported)
    by_portal = sum(t["so_ho_so_cong"] or 0 for t in reported)
    return max(by_report, by_portal)


def without_total(year_before: int, c: Case) -> Fraction:
    """1.4: without a total of the period, last year's share of such a period."""
    return Fraction(year_before, c.parts_of_year)


# --- 2: progress --------------------------------------------------------------------------------


def ended(d: Row, c: Case) -> datetime | None:
    """Finished before returned before stopped or refused: the first that is given, whichever came
    first. None: not before the period's end."""
    return c.known(d["ngay_ket_thuc_xu_ly"] or d["ngay_tra_ket_qua"] or d["ngay_dung_tu_choi"])


def end_of_running(d: Row, c: Case) -> datetime:
    """Of a dossier that has not ended, the period's end counts."""
    return c.end


def end_of_waiting(d: Row, c: Case) -> datetime:
    """Of a dossier that waits for its supplement, the time of the request counts."""
    return d["ngay_yeu_cau_bo_sung"]


def waits(d: Row, c: Case) -> bool:
    """A supplement was asked for and has not come."""
    asked, received = d["ngay_yeu_cau_bo_sung"], d["ngay_nhan_bo_sung"]
    return c.known(asked) is not None and c.known(received) is None


def asked_twice(d: Row, c: Case) -> bool:
    """More than one request for a supplement makes a dossier late."""
    return c.known(d["ngay_yeu_cau_bo_sung_lan2"]) is not None


def supplement(d: Row, end: datetime, c: Case) -> tuple[datetime, datetime] | None:
    """From the request to its supplement, as far as it lies before the end; of one that never came,
    to the end."""
    asked, received = c.known(d["ngay_yeu_cau_bo_sung"]), c.known(d["ngay_nhan_bo_sung"])
    if asked is None or asked >= end:
        return None
    return asked, min(received or end, end)


def supplement_time(span: tuple[datetime, datetime] | None) -> timedelta:
    """What is deducted where there is a promised return."""
    return span[1] - span[0] if span else NONE


def supplement_days(span: tuple[datetime, datetime] | None) -> int:
    """What is deducted where only a time limit in working days is known."""
    return days_taken(local_day(span[0]), local_day(span[1])) if span else 0


def handled(d: Row, end: datetime | None, c: Case) -> bool:
    """2.1 counts what was received and handled in the period. Read as: with dossiers of before that
    had not ended when the period began."""
    return d["ngay_tiep_nhan"] < c.end and (end is None or end >= c.start)


def by_promise(end: datetime, promised: datetime, deducted: timedelta) -> bool:
    """NgayKetThucXuLy is not after NgayHenTra, supplement time deducted."""
    return end - deducted <= promised


def by_limit(elapsed: int, deducted: int, limit: int) -> bool:
    """Without NgayHenTra: the working days it took, less those of the supplement, by the limit."""
    return elapsed - deducted <= limit


def on_time(d: Row, c: Case) -> bool | None:
    """2.1. None: it cannot be told, as there is neither a promise nor a limit."""
    if asked_twice(d, c):
        return False
    end = ended(d, c)
    if end is None:
        end = end_of_waiting(d, c) if waits(d, c) else end_of_running(d, c)
    span = supplement(d, end, c)
    promised = d["ngay_hen_tra"]
    if promised is not None:
        return by_promise(end, promised, supplement_time(span))
    limit = procedure_of(d, c).get("thoi_han_ngay_lam_viec")
    if limit is None:
        return None
    elapsed = days_taken(local_day(d["ngay_tiep_nhan"]), c.day_of(end))
    return by_limit(elapsed, supplement_days(span), limit)


def time_taken(d: Row, end: datetime, c: Case) -> int:
    """2.2: working days from receipt to the end, less those of the supplement."""
    elapsed = days_taken(local_day(d["ngay_tiep_nhan"]), local_day(end))
    return elapsed - supplement_days(supplement(d, end, c))


def result_in_period(d: Row, c: Case) -> bool:
    """It ended in the period with a result: finished or returned, not stopped or refused."""
    end = c.known(d["ngay_ket_thuc_xu_ly"] or d["ngay_tra_ket_qua"])
    return end is not None and end >= c.start


# --- 3: online services and payment -------------------------------------------------------------


def filed_online(d: Row) -> bool:
    """KenhThucHien 2; 1 or null is the counter, 3 is post."""
    return d["kenh_thuc_hien"] == 2


def offered_fully(p: Row) -> bool:
    """Toàn trình."""
    return p.get("muc_do_dvc") == 2


def offered_online(p: Row) -> bool:
    """Toàn trình or một phần."""
    return (p.get("muc_do_dvc") or 0) >= 1


def electronic_result(d: Row) -> bool:
    """A link to the result that can be one."""
    link = d["duong_dan_ket_qua"] or ""
    return any(link.startswith(s) and len(link) > len(s) for s in ("http://", "https://"))


def online_with_result(d: Row) -> bool:
    """3.3: filed online, and with an electronic result."""
    return filed_online(d) and electronic_result(d)


def among_3a(d: Row, p: Row, c: Case) -> bool:
    """Read as: eligible is a dossier of a procedure that is offered fully online."""
    return received_in_period(d, c) and offered_fully(p)


def among_3_3(d: Row, p: Row, c: Case) -> bool:
    """All received."""
    return received_in_period(d, c)


def among_3_6(d: Row, p: Row, c: Case) -> bool:
    """Received with something to pay."""
    return received_in_period(d, c) and fee_to_pay(d)


def with_fee(p: Row) -> bool:
    """Có nghĩa vụ tài chính."""
    return bool(p.get("co_nghia_vu_tai_chinh"))


def payable_online(p: Row) -> bool:
    """Thanh toán được trên Cổng."""
    return bool(p.get("thanh_toan_truc_tuyen"))


def fee_to_pay(d: Row) -> bool:
    """3.6 leaves out dossiers whose fees are all 0, and those without any."""
    return (d["tong_phi_le_phi"] or 0) > 0


def paid_online(d: Row) -> bool:
    """On the national portal (1) or at the province's gateway (2)."""
    return d["kenh_thanh_toan"] in (1, 2)


# --- 4: digitisation ----------------------------------------------------------------------------


def paper_result(p: Row) -> bool:
    """Its procedure ends with a paper; where nothing is said, it does."""
    return p.get("co_ket_qua_giay") is not False


def digitised(d: Row) -> bool:
    """4.2: a file of a component and a file of the result."""
    return (d["so_tep_thanh_phan"] or 0) > 0 and (d["so_tep_ket_qua"] or 0) > 0


def certifies_copies(p: Row) -> bool:
    """Chứng thực bản sao."""
    return bool(p.get("la_chung_thuc_ban_sao"))


def certified_electronically(d: Row) -> bool:
    """Answered with an electronic certified copy."""
    return bool(d["ban_sao_dien_tu"])


def reused(d: Row) -> bool:
    """4.3: by the dossier's flag or by that of a component."""
    return bool(d["ho_so_co_thanh_phan_so_hoa"] or d["duoc_so_hoa"])


def shared_for_reuse(d: Row) -> bool:
    """4.4: taken from the national store, or the link to the result synchronised."""
    return bool(d["duoc_lay_tu_kho_dmqg"] or d["ket_qua_dong_bo"])


def connected_with_population(p: Row) -> bool:
    """4.5a: with the national population data base."""
    return bool(p["ket_noi_dan_cu"])


def among_4_1(d: Row, p: Row, c: Case) -> bool:
    """Read as, here and in 4.2 and 4.4: what got its result in the period."""
    return result_in_period(d, c) and paper_result(p)


def among_4_2(d: Row, p: Row, c: Case) -> bool:
    """As 4.1, whatever the result is."""
    return result_in_period(d, c)


def among_4_2b(d: Row, p: Row, c: Case) -> bool:
    """As 4.1, of procedures that certify copies."""
    return result_in_period(d, c) and certifies_copies(p)


def among_4_3(d: Row, p: Row, c: Case) -> bool:
    """All received."""
    return received_in_period(d, c)


def among_4_4(d: Row, p: Row, c: Case) -> bool:
    """As 4.2."""
    return result_in_period(d, c)


def among_4_5b(d: Row, p: Row, c: Case) -> bool:
    """All received."""
    return received_in_period(d, c)


def uses_population(d: Row) -> bool:
    """4.5b: an account confirmed by VNeID, or a data base that was asked."""
    return bool(d["tai_khoan_duoc_xac_thuc_voi_vneid"] or d["ma_csdl"])


# --- 5: satisfaction ----------------------------------------------------------------------------


def submitted_in_period(q: Row, c: Case) -> bool:
    """By NgayGui."""
    return c.start <= q["ngay_gui"] < c.end


def closed(q: Row) -> datetime | None:
    """When nothing was left to do: refused, or published, or answered where it is not published."""
    return q["ngay_tu_choi"] or q["ngay_tra_loi" if q["khong_cong_khai"] else "ngay_cong_khai"]


def open_in_period(q: Row, c: Case) -> bool:
    """5.2 and 5.3. Read as 2.1: with petitions of before that were not closed when it began."""
    end = closed(q)
    return q["ngay_gui"] < c.end and (end is None or end >= c.start)


def clock_starts(q: Row, c: Case) -> date:
    """A petition's terms run from submission, or from the last transfer."""
    return local_day(c.known(q["ngay_chuyen"]) or q["ngay_gui"])


def step_on_time(start: date, done: datetime | None, days: int, c: Case) -> bool:
    """Within so many working days; a step not yet done has until now, the period's last day."""
    done = c.known(done)
    return (c.last if done is None else local_day(done)) <= last_day(start, days)


def refused_on_time(q: Row, start: date, c: Case) -> bool:
    return step_on_time(start, q["ngay_tu_choi"], REFUSE, c)


def asked_on_time(q: Row, start: date, c: Case) -> bool:
    return step_on_time(start, q["ngay_yeu_cau_bo_sung"], ASK, c)


def answered_on_time(q: Row, start: date, c: Case) -> bool:
    """Read as: the term is longer by the working days in which more information was awaited; one
    that still waits is not late. What was answered without it has no such days."""
    answered = c.known(q["ngay_tra_loi"])
    asked, received = c.known(q["ngay_yeu_cau_bo_sung"]), c.known(q["ngay_nhan_bo_sung"])
    if answered is None and asked is not None and received is None:
        return True
    end = c.last if answered is None else local_day(answered)
    return end <= last_day(start, ANSWER + awaited_days(asked, received))


def awaited_days(asked: datetime | None, received: datetime | None) -> int:
    """The working days between the request and the information that came."""
    if asked is None or received is None:
        return 0
    return days_taken(local_day(asked), local_day(received))


def published_after_answer(q: Row, c: Case) -> bool:
    """Within two working days of the answer, unless it is not to be published."""
    answered = c.known(q["ngay_tra_loi"])
    if answered is None or q["khong_cong_khai"]:
        return True
    return step_on_time(local_day(answered), q["ngay_cong_khai"], PUBLISH, c)


def petition_on_time(q: Row, c: Case) -> bool:
    """5.2: every step in its time. One that was refused needs no answer."""
    start = clock_starts(q, c)
    if c.known(q["ngay_yeu_cau_bo_sung"]) is not None and not asked_on_time(q, start, c):
        return False
    if c.known(q["ngay_tu_choi"]) is not None:
        return refused_on_time(q, start, c)
    return answered_on_time(q, start, c) and published_after_answer(q, c)


def more_disliked(q: Row) -> bool:
    """More dislikes than likes."""
    return (q["luot_khong_thich"] or 0) > (q["luot_thich"] or 0)


def raised_again(q: Row) -> bool:
    """Phản ánh lại."""
    return bool(q["phan_anh_lai"])


def satisfied(q: Row, in_time: bool) -> bool:
    """5.3: neither more disliked than liked, nor raised again, nor late; each is taken off once."""
    return in_time and not more_disliked(q) and not raised_again(q)


def unhappy(d: Row) -> bool:
    """5.4: complained about, or disliked."""
    return bool(d["co_pakn"] or d["khong_hai_long"])


def content(received: int, late: int, complained: int) -> Fraction:
    """5.4: all less the late and the unhappy ones; what is both is taken off twice, and less than
    nothing is nothing. Read as: of the dossiers of 2.1, whose late ones they are."""
    return Fraction(max(received - late - complained, 0))


# --- the score ----------------------------------------------------------------------------------

Scope = tuple[str, str]
"""("*", "*") the province, (agency, "*") an agency, (agency, unit) a unit."""


@dataclass(frozen=True)
class Figure:
    """A component, group or total of a scope. `most`: what the points are out of; both are None for
    a component that is only tracked."""

    numerator: Fraction | None
    denominator: Fraction | None
    ratio: Fraction | None
    points: Fraction | None
    most: Fraction | None


class Counts:
    """Numerators and denominators by scope and component."""

    def __init__(self) -> None:
        self.part: dict[Scope, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.whole: dict[Scope, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, row: Row, component: str, part: int, whole: int = 1) -> None:
        """Count a row for its unit, its agency and the province."""
        for scope in scopes(row):
            self.part[scope][component] += part
            self.whole[scope][component] += whole


def scopes(row: Row) -> list[Scope]:
    """Where a row counts."""
    agency, unit = row["ma_co_quan"], row.get("ma_don_vi")
    found = [("*", "*"), (agency, "*")]
    return [*found, (agency, unit)] if unit is not None else found


def score(
    data: Mapping[str, Sequence[Row]], code: str, as_of: datetime
) -> dict[tuple[str, str, str], Figure]:
    """Figures by (agency, unit, component) of a period; what is N/A is not there, and nothing is of a
    period that has not begun."""
    c = case_of(code, data.get("procedures", ()), as_of)
    if as_of <= c.start:
        return {}
    counts = Counts()
    count_decisions(counts, data.get("procedure_decisions", ()), c)
    count_procedures(counts, data.get("procedures", ()), data.get("dossiers", ()), c)
    mean_of_one_procedure(counts, data.get("dossiers", ()), c)
    count_dossiers(counts, data.get("dossiers", ()), c)
    count_petitions(counts, data.get("petitions", ()), c)
    received = totals_received(data.get("reported_totals", ()), c)

    figures: dict[tuple[str, str, str], Figure] = {}
    for scope in {*counts.whole, *received}:
        of_scope = with_points(ratios(counts, scope, received.get(scope, Fraction(0))))
        for component, figure in of_scope.items():
            figures[(*scope, component)] = figure
    return figures


def count_decisions(counts: Counts, decisions: Iterable[Row], c: Case) -> None:
    """1.1 for agencies and the province, 1.2 for the province only: a procedure counts once."""
    announced: dict[tuple[Scope, str], list[bool]] = defaultdict(list)
    published: dict[tuple[Scope, str], list[bool]] = defaultdict(list)
    for q in decisions:
        if not decided_in_period(q, c):
            continue
        verdict = announced_on_time(q)
        for scope in scopes(q):
            if verdict is not None:
                announced[scope, q["ma_tthc"]].append(verdict)
            if scope == ("*", "*"):
                published[scope, q["ma_tthc"]].append(published_on_time(q, c))
    for component, procedures in (("1.1", announced), ("1.2", published)):
        for (scope, _), verdicts in procedures.items():
            counts.part[scope][component] += one_late_is_late(verdicts)
            counts.whole[scope][component] += 1


def count_procedures(
    counts: Counts, procedures: Iterable[Row], dossiers: Iterable[Row], c: Case
) -> None:
    """1.3, 3.1, 3.2, 3.5, 4.5a. Read as: for the province a procedure counts once, and has what it
    has at any of the agencies that carry it out."""
    filed, paid = set(), set()
    for d in dossiers:
        if received_in_period(d, c):
            if filed_online(d):
                filed.add((d["ma_tthc"], d["ma_co_quan"]))
            if paid_online(d):
                paid.add((d["ma_tthc"], d["ma_co_quan"]))

    found: dict[tuple[Scope, str], dict[str, bool]] = defaultdict(dict)
    for p in procedures:
        key = p["ma_tthc"], p["ma_co_quan"]
        verdicts = {}
        if in_force_now(p, c):
            verdicts["1.3"] = published_in_full(p)
        if in_force(p, c):
            verdicts["3.1"] = offered_online(p)
            verdicts["4.5a"] = connected_with_population(p)
            if offered_online(p):
                verdicts["3.2"] = key in filed
            if with_fee(p):
                verdicts["3.5a"] = payable_online(p)
                if payable_online(p):
                    verdicts["3.5b"] = key in paid
        for scope in scopes(p):
            of_procedure = found[scope, p["ma_tthc"]]
            for component, verdict in verdicts.items():
                of_procedure[component] = of_procedure.get(component, False) or verdict
    for (scope, _), of_procedure in found.items():
        for component, verdict in of_procedure.items():
            counts.part[scope][component] += verdict
            counts.whole[scope][component] += 1


def mean_of_one_procedure(counts: Counts, dossiers: Iterable[Row], c: Case) -> None:
    """2.2: only where all that ended in the period is of one procedure."""
    taken: dict[Scope, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for d in dossiers:
        end = ended(d, c)
        if end is not None and end >= c.start:
            for scope in scopes(d):
                taken[scope][d["ma_tthc"]].append(time_taken(d, end, c))
    for scope, by_procedure in taken.items():
        if len(by_procedure) == 1:
            (days,) = by_procedure.values()
            counts.part[scope]["2.2"], counts.whole[scope]["2.2"] = sum(days), len(days)


def count_dossiers(counts: Counts, dossiers: Iterable[Row], c: Case) -> None:
    """What is counted dossier by dossier: among which, and which of them."""
    shares = (
        ("3a", among_3a, filed_online),
        ("3.3", among_3_3, online_with_result),
        ("3.6", among_3_6, paid_online),
        ("4.1", among_4_1, electronic_result),
        ("4.2", among_4_2, digitised),
        ("4.2b", among_4_2b, certified_electronically),
        ("4.3", among_4_3, reused),
        ("4.4", among_4_4, shared_for_reuse),
        ("4.5b", among_4_5b, uses_population),
    )
    for d in dossiers:
        p = procedure_of(d, c)
        for component, among, part in shares:
            if among(d, p, c):
                counts.add(d, component, part(d))
        if received_in_period(d, c):
            counts.add(d, "1.4", synchronised(d), 0)
        in_time = on_time(d, c) if handled(d, ended(d, c), c) else None
        if in_time is not None:
            counts.add(d, "2.1", in_time)
            counts.add(d, "5.4 late", not in_time)
            counts.add(d, "5.4 unhappy", unhappy(d))


def count_petitions(counts: Counts, petitions: Iterable[Row], c: Case) -> None:
    """What is counted petition by petition."""
    for q in petitions:
        if submitted_in_period(q, c):
            counts.add(q, "5.1", q["phan_loai"] is not None)
        if open_in_period(q, c):
            in_time = petition_on_time(q, c)
            counts.add(q, "5.2", in_time)
            counts.add(q, "5.3", satisfied(q, in_time))


def totals_received(totals: Iterable[Row], c: Case) -> dict[Scope, Fraction]:
    """1.4: how many dossiers agencies and the province received as reported."""
    now: dict[Scope, list[Row]] = defaultdict(list)
    before: dict[Scope, list[Row]] = defaultdict(list)
    for t in totals:
        for scope in scopes(t):
            if t["ky"] == c.code:
                now[scope].append(t)
            if t["ky"] == c.year_before:
                before[scope].append(t)
    return {
        scope: Fraction(larger_total(now[scope])) or without_total(larger_total(before[scope]), c)
        for scope in {*now, *before}
    }


def ratios(
    counts: Counts, scope: Scope, received: Fraction
) -> dict[str, tuple[Fraction, Fraction, Fraction]]:
    """Numerator, denominator and rate by component."""
    part, whole = counts.part[scope], counts.whole[scope]
    pairs = {k: (Fraction(part[k]), Fraction(whole[k])) for k in CEILINGS}
    pairs["1.4"] = min(Fraction(part["1.4"]), received), received
    dossiers = whole["5.4 late"]
    pairs["5.4"] = content(dossiers, part["5.4 late"], part["5.4 unhappy"]), Fraction(dossiers)
    found = {}
    for component, (numerator, denominator) in pairs.items():
        rate = percent(numerator, denominator)
        if rate is not None:
            found[component] = numerator, denominator, rate
    if "2.2" in found:
        days, ended, rate = found["2.2"]
        found["2.2"] = days, ended, rate / 100
    if "3.3" in found and "1.4" in found:
        filed, all_, rate = found["3.3"]
        found["3.3"] = filed, all_, with_sync_factor(rate, found["1.4"][2])
    return found


def with_sync_factor(rate: Fraction, synced: Fraction) -> Fraction:
    """3.3: times the rate of synchronised dossiers."""
    return rate * synced / 100


def with_points(
    rates: Mapping[str, tuple[Fraction, Fraction, Fraction]],
) -> dict[str, Figure]:
    """Points of components, groups and all; what is N/A is left out of both sums."""
    found = {}
    for component, (numerator, denominator, rate) in rates.items():
        most, threshold = CEILINGS[component]
        given = points(rate, Fraction(most), threshold) if most else None
        of = Fraction(most) if most else None
        found[component] = Figure(numerator, denominator, rate, given, of)
    for group, components in {**GROUPS, "total": tuple(CEILINGS)}.items():
        scored = [found[k] for k in components if k in found and found[k].points is not None]
        if scored:
            found[group] = group_of(scored)
    return found


def group_of(scored: Sequence[Figure]) -> Figure:
    """The sum, out of what can be given."""
    given, most = sum(f.points or 0 for f in scored), sum(f.most or 0 for f in scored)
    return Figure(None, None, None, Fraction(given), Fraction(most))
