"""Each rule of the row-by-row score, changed: what else somebody might have read or written.

A mutant puts another thing in the place of one name of `score766`. A score with it must differ from
the right one on records that lie on the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.unit.packs import score766 as rows
from tests.unit.packs.score766 import CEILINGS, GROUPS, Case, Row

DAY = timedelta(days=1)
SWAPPED_OFF, SWAPPED_ON = date(2026, 1, 2), date(2026, 1, 10)

CACHED = (rows._working, rows.local_day, rows.last_day, rows.days_before, rows.days_taken)
"""What remembers results that another rule may change."""

right: dict[str, Callable[..., Any]] = {k: v for k, v in vars(rows).items() if callable(v)}
"""The rules as they are, for mutants that ask them."""


@dataclass(frozen=True)
class Mutant:
    """`name` of `score766`, or of a class in it after a dot, becomes `value`; `says`: how."""

    name: str
    says: str
    value: Any

    @contextmanager
    def living(self) -> Iterator[None]:
        """While it holds."""
        *owner, name = self.name.split(".")
        holder = getattr(rows, owner[0]) if owner else rows
        before = getattr(holder, name)
        setattr(holder, name, self.value)
        _forget()
        try:
            yield
        finally:
            setattr(holder, name, before)
            _forget()


def _forget() -> None:
    for function in CACHED:
        function.cache_clear()


def _ceilings(component: str, most: int, threshold: int | None) -> Mutant:
    changed = CEILINGS | {component: (most, threshold)}  # type: ignore[operator]
    return Mutant("CEILINGS", f"{component}: {most} points from {threshold} %", changed)


def _without(group: str, component: str) -> Mutant:
    left = tuple(k for k in GROUPS[group] if k != component)
    return Mutant("GROUPS", f"{group} without {component}", dict(GROUPS) | {group: left})


def _all(name: str, *values: tuple[str, Any]) -> list[Mutant]:
    return [Mutant(name, says, value) for says, value in values]


def _other(name: str, **ways: Callable[..., Any]) -> list[Mutant]:
    return [Mutant(name, says.replace("_", " "), value) for says, value in ways.items()]


def _yes(*_: Any) -> bool:
    return True


def _no(*_: Any) -> bool:
    return False


def _received(d: Row, p: Row, c: Case) -> bool:
    return right["received_in_period"](d, c)


def _with_result(d: Row, p: Row, c: Case) -> bool:
    return right["result_in_period"](d, c)


def _own_unless_unknown(d: Row, c: Case) -> bool:
    return bool(right["on_time"](d, c))


def _without_part(part: str) -> Callable[[Row], bool]:
    given = "x" if part == "ten_tthc" else True
    return lambda p: right["published_in_full"]({**p, part: given})


def _late_while_waiting(q: Row, start: date, c: Case) -> bool:
    waits = c.known(q["ngay_tra_loi"]) is None and c.known(q["ngay_nhan_bo_sung"]) is None
    return right["answered_on_time"]({**q, "ngay_yeu_cau_bo_sung": None} if waits else q, start, c)


def _steps_asked_alone(q: Row, c: Case) -> bool:
    return right["petition_on_time"]({**q, "ngay_yeu_cau_bo_sung": None}, c)


def _answered_though_refused(q: Row, c: Case) -> bool:
    return right["petition_on_time"]({**q, "ngay_tu_choi": None}, c)


def _larger_of_each(reported: Sequence[Row]) -> int:
    return sum(max(t["so_ho_so_bao_cao"] or 0, t["so_ho_so_cong"] or 0) for t in reported)


def _only(column: str) -> Callable[[Sequence[Row]], int]:
    return lambda reported: sum(t[column] or 0 for t in reported)


def _end(*columns: str) -> Callable[[Row, Case], datetime | None]:
    return lambda d, c: c.known(next((d[k] for k in columns if d[k] is not None), None))


def _first_in_time(d: Row, c: Case) -> datetime | None:
    ends = (d["ngay_ket_thuc_xu_ly"], d["ngay_tra_ket_qua"], d["ngay_dung_tu_choi"])
    return c.known(min((e for e in ends if e is not None), default=None))


def _flag(column: str) -> Callable[[Row], bool]:
    return lambda row: bool(row[column])


FINISHED, RETURNED, STOPPED = "ngay_ket_thuc_xu_ly", "ngay_tra_ket_qua", "ngay_dung_tu_choi"
PARTS = (
    "ten_tthc", "co_trinh_tu", "co_cach_thuc", "co_thanh_phan_ho_so", "co_thoi_han",
    "co_doi_tuong", "co_co_quan",
)  # fmt: skip

MUTANTS: list[Mutant] = [
    *(_ceilings(k, most + 1, threshold) for k, (most, threshold) in CEILINGS.items()),
    *(_ceilings(k, most, t - 5) for k, (most, t) in CEILINGS.items() if t and most),
    *(_ceilings(k, most, None) for k, (most, t) in CEILINGS.items() if t and most),
    *(_ceilings(k, most, 80) for k, (most, t) in CEILINGS.items() if t != 80 and most),
    *(_without(group, k) for group, parts in GROUPS.items() for k in parts if CEILINGS[k][0]),
    # Counting.
    *_other(
        "_working",
        no_day_off=lambda on: on.weekday() < 5,
        no_exchange=lambda on: on == SWAPPED_OFF
        or (on != SWAPPED_ON and right["is_working_day"](on)),
    ),
    *_other("local_day", by_utc=lambda moment: moment.astimezone(UTC).date()),
    *_other(
        "last_day",
        first_day_counts=lambda start, n: right["last_day"](start - DAY, n),
        calendar_days=lambda start, n: start + DAY * n,
    ),
    *_other(
        "days_before",
        last_day_counts=lambda end, n: right["days_before"](end + DAY, n),
        calendar_days=lambda end, n: end - DAY * n,
    ),
    *_other(
        "days_taken",
        first_day_counts=lambda start, end: right["days_taken"](start - DAY, end),
        calendar_days=lambda start, end: max((end - start).days, 0),
    ),
    *_other("percent", nothing_is_0=lambda a, b: a * 100 / b if b else Fraction(0)),
    *_other(
        "points",
        no_ceiling=lambda r, most, t: r * most / (t or 100),
        all_or_nothing=lambda r, most, t: Fraction(most if r >= (t or 100) else 0),
        below_by_100=lambda r, most, t: Fraction(most) if t and r >= t else r * most / 100,
    ),
    # The period.
    *_other(
        "Case.known",
        end_belongs=lambda c, m: m if m is not None and m <= c.end else None,
        whatever_comes=lambda c, m: m,
    ),
    *_other("Case.day_of", day_after=lambda c, end: rows.local_day(end)),
    *_other(
        "received_in_period",
        start_left_out=lambda d, c: c.start < d["ngay_tiep_nhan"] < c.end,
        end_belongs=lambda d, c: c.start <= d["ngay_tiep_nhan"] <= c.end,
        by_utc=lambda d, c: c.first <= d["ngay_tiep_nhan"].astimezone(UTC).date() <= c.last,
    ),
    *_other(
        "in_force_within",
        always=_yes,
        first_day_left_out=lambda p, a, b: right["in_force_within"](
            {**p, "ngay_hieu_luc": p["ngay_hieu_luc"] and p["ngay_hieu_luc"] + DAY}, a, b
        ),
        last_day_left_out=lambda p, a, b: right["in_force_within"](
            {**p, "ngay_het_hieu_luc": p["ngay_het_hieu_luc"] and p["ngay_het_hieu_luc"] - DAY}, a, b
        ),
    ),
    *_other(
        "in_force",
        on_the_last_day=lambda p, c: right["in_force_within"](p, c.last, c.last),
        all_the_period=lambda p, c: right["in_force_within"](p, c.last, c.first),
        now=lambda p, c: right["in_force_now"](p, c),
    ),
    *_other("in_force_now", in_the_period=lambda p, c: right["in_force"](p, c), always=_yes),
    # 1
    *_other(
        "decided_in_period",
        first_day_left_out=lambda q, c: c.first < q["ngay_quyet_dinh"] <= c.last,
        last_day_left_out=lambda q, c: c.first <= q["ngay_quyet_dinh"] < c.last,
    ),
    *_all("ANNOUNCED_BEFORE_EFFECT", ("4 days", 4), ("6 days", 6), ("as a ministry", 20)),
    *_all("PUBLISHED_AFTER_DECISION", ("4 days", 4), ("6 days", 6), ("as a ministry", 10)),
    *_other(
        "announced_on_time",
        unknown_is_late=lambda q: right["announced_on_time"](q) or False,
        unknown_is_in_time=lambda q: right["announced_on_time"](q) is not False,
    ),
    *_other(
        "published_on_time",
        unpublished_is_late=lambda q, c: q["ngay_cong_khai"] is not None
        and right["published_on_time"](q, c),
        unpublished_is_in_time=lambda q, c: q["ngay_cong_khai"] is None
        or right["published_on_time"](q, c),
    ),
    *_other("one_late_is_late", one_in_time_is_enough=any),
    *(Mutant("published_in_full", f"without {part}", _without_part(part)) for part in PARTS),
    *_other("synchronised", null_counts=lambda d: d["dong_bo_dvcqg"] is not False, all=_yes),
    *_other(
        "larger_total",
        of_each_agency=_larger_of_each,
        report_only=_only("so_ho_so_bao_cao"),
        portal_only=_only("so_ho_so_cong"),
    ),
    *_other(
        "without_total",
        whole_year=lambda n, c: Fraction(n),
        always_a_month=lambda n, c: Fraction(n, 12),
        whole_dossiers=lambda n, c: Fraction(round(n / c.parts_of_year)),
        nothing=lambda n, c: Fraction(0),
    ),
    # 2
    *_other(
        "ended",
        returned_first=_end(RETURNED, FINISHED, STOPPED),
        stopped_first=_end(STOPPED, FINISHED, RETURNED),
        stopped_before_returned=_end(FINISHED, STOPPED, RETURNED),
        without_stopped=_end(FINISHED, RETURNED),
        first_in_time=_first_in_time,
    ),
    *_other("end_of_running", never_late=lambda d, c: d["ngay_tiep_nhan"]),
    *_other("end_of_waiting", from_receipt=lambda d, c: d["ngay_tiep_nhan"]),
    *_other("waits", though_received=lambda d, c: c.known(d["ngay_yeu_cau_bo_sung"]) is not None),
    *_other(
        "asked_twice",
        never=_no,
        once_is_enough=lambda d, c: c.known(d["ngay_yeu_cau_bo_sung"]) is not None,
        after_the_period_too=lambda d, c: d["ngay_yeu_cau_bo_sung_lan2"] is not None,
        before_the_end_only=lambda d, c: right["asked_twice"](d, c)
        and d["ngay_yeu_cau_bo_sung_lan2"] < (right["ended"](d, c) or c.end),
    ),
    *_other(
        "supplement",
        open_ones_left_out=lambda d, end, c: right["supplement"](d, end, c)
        if d["ngay_nhan_bo_sung"]
        else None,
    ),
    *_other(
        "supplement_time",
        nothing=lambda span: timedelta(0),
        whole_days=lambda span: DAY * (span[1] - span[0]).days if span else timedelta(0),
        working_days=lambda span: DAY * right["supplement_days"](span),
    ),
    *_other(
        "supplement_days",
        nothing=lambda span: 0,
        calendar_days=lambda span: (rows.local_day(span[1]) - rows.local_day(span[0])).days
        if span
        else 0,
    ),
    *_other(
        "handled",
        received_in_period=lambda d, end, c: right["received_in_period"](d, c),
        ended_in_period=lambda d, end, c: end is not None and end >= c.start,
        ended_at_start_left_out=lambda d, end, c: d["ngay_tiep_nhan"] < c.end
        and (end is None or end > c.start),
    ),
    *_other(
        "by_promise",
        before=lambda end, promised, less: end - less < promised,
        on_the_day=lambda end, promised, less: rows.local_day(end - less)
        <= rows.local_day(promised),
    ),
    *_other("by_limit", before=lambda taken, less, limit: taken - less < limit),
    *_other(
        "on_time",
        unknown_is_late=_own_unless_unknown,
        unknown_is_in_time=lambda d, c: right["on_time"](d, c) is not False,
    ),
    *_other(
        "time_taken",
        with_supplement=lambda d, end, c: rows.days_taken(
            rows.local_day(d["ngay_tiep_nhan"]), rows.local_day(end)
        ),
    ),
    *_other(
        "result_in_period",
        also_stopped=lambda d, c: (e := right["ended"](d, c)) is not None and e >= c.start,
        finished_only=lambda d, c: right["result_in_period"]({**d, RETURNED: None}, c),
        received=lambda d, c: right["received_in_period"](d, c),
    ),
    # 3
    *_other(
        "filed_online",
        counter=lambda d: d["kenh_thuc_hien"] == 1,
        also_post=lambda d: d["kenh_thuc_hien"] in (2, 3),
        unknown_is_online=lambda d: d["kenh_thuc_hien"] in (None, 2),
    ),
    *_other("offered_fully", also_partly=lambda p: right["offered_online"](p)),
    *_other("offered_online", only_fully=lambda p: right["offered_fully"](p)),
    *_other(
        "electronic_result",
        any_text=_flag("duong_dan_ket_qua"),
        not_null=lambda d: d["duong_dan_ket_qua"] is not None,
        begins_alike=lambda d: (d["duong_dan_ket_qua"] or "").startswith("http"),
        nothing_follows=lambda d: (d["duong_dan_ket_qua"] or "").startswith(
            ("http://", "https://")
        ),
        https_only=lambda d: right["electronic_result"](d)
        and d["duong_dan_ket_qua"].startswith("https"),
        any_case=lambda d: right["electronic_result"](
            {"duong_dan_ket_qua": (d["duong_dan_ket_qua"] or "").lower().strip()}
        ),
    ),
    *_other(
        "online_with_result",
        without_result=lambda d: right["filed_online"](d),
        without_online=lambda d: right["electronic_result"](d),
    ),
    *_other("with_fee", all=_yes),
    *_other("payable_online", all=_yes),
    *_other(
        "fee_to_pay",
        with_zero=lambda d: d["tong_phi_le_phi"] is not None,
        all=_yes,
        more_than_1=lambda d: (d["tong_phi_le_phi"] or 0) > 1,
    ),
    *_other(
        "paid_online",
        national_only=lambda d: d["kenh_thanh_toan"] == 1,
        province_only=lambda d: d["kenh_thanh_toan"] == 2,
        any_value=lambda d: d["kenh_thanh_toan"] is not None,
    ),
    *_other("among_3a", all_received=_received, of_results=lambda d, p, c: _with_result(d, p, c)
            and right["offered_fully"](p)),
    *_other("among_3_3", with_result=_with_result),
    *_other("among_3_6", all_received=_received, of_results=lambda d, p, c: _with_result(d, p, c)
            and right["fee_to_pay"](d)),
    # 4
    *_other(
        "paper_result",
        unknown_has_none=lambda p: bool(p.get("co_ket_qua_giay")),
        unlisted_has_none=lambda p: bool(p) and right["paper_result"](p),
        all=_yes,
    ),
    *_other(
        "digitised",
        one_of_both=lambda d: (d["so_tep_thanh_phan"] or 0) + (d["so_tep_ket_qua"] or 0) > 0,
        component=lambda d: (d["so_tep_thanh_phan"] or 0) > 0,
        result=lambda d: (d["so_tep_ket_qua"] or 0) > 0,
        not_null=lambda d: None not in (d["so_tep_thanh_phan"], d["so_tep_ket_qua"]),
        more_than_one=lambda d: right["digitised"](d) and d["so_tep_ket_qua"] > 1,
    ),
    *_other("certifies_copies", all=_yes),
    *_other("certified_electronically", by_link=lambda d: right["electronic_result"](d)),
    *_other(
        "reused",
        dossier_only=_flag("ho_so_co_thanh_phan_so_hoa"),
        component_only=_flag("duoc_so_hoa"),
        both=lambda d: bool(d["ho_so_co_thanh_phan_so_hoa"] and d["duoc_so_hoa"]),
    ),
    *_other(
        "shared_for_reuse",
        store_only=_flag("duoc_lay_tu_kho_dmqg"),
        synchronised_only=_flag("ket_qua_dong_bo"),
    ),
    *_other("connected_with_population", null_counts=lambda p: p["ket_noi_dan_cu"] is not False),
    *_other(
        "uses_population",
        account_only=_flag("tai_khoan_duoc_xac_thuc_voi_vneid"),
        data_base_only=_flag("ma_csdl"),
        empty_code_counts=lambda d: bool(d["tai_khoan_duoc_xac_thuc_voi_vneid"])
        or d["ma_csdl"] is not None,
    ),
    *_other("among_4_1", received=lambda d, p, c: _received(d, p, c) and right["paper_result"](p)),
    *_other("among_4_2", received=_received),
    *_other(
        "among_4_2b", received=lambda d, p, c: _received(d, p, c) and right["certifies_copies"](p)
    ),
    *_other("among_4_3", with_result=_with_result),
    *_other("among_4_4", received=_received),
    *_other("among_4_5b", with_result=_with_result),
    # 5
    *_other(
        "submitted_in_period",
        start_left_out=lambda q, c: c.start < q["ngay_gui"] < c.end,
        end_belongs=lambda q, c: c.start <= q["ngay_gui"] <= c.end,
        open=lambda q, c: right["open_in_period"](q, c),
    ),
    *_other(
        "closed",
        answered=lambda q: q["ngay_tu_choi"] or q["ngay_tra_loi"],
        published=lambda q: q["ngay_tu_choi"] or q["ngay_cong_khai"],
        though_refused=lambda q: right["closed"]({**q, "ngay_tu_choi": None}),
    ),
    *_other(
        "open_in_period",
        submitted=lambda q, c: right["submitted_in_period"](q, c),
        closed_at_start_left_out=lambda q, c: right["open_in_period"](q, c)
        and right["closed"](q) != c.start,
    ),
    *_other(
        "clock_starts",
        submission=lambda q, c: rows.local_day(q["ngay_gui"]),
        transfer_to_come=lambda q, c: rows.local_day(q["ngay_chuyen"] or q["ngay_gui"]),
    ),
    *_other(
        "step_on_time",
        undone_is_late=lambda start, done, n, c: c.known(done) is not None
        and right["step_on_time"](start, done, n, c),
        undone_is_in_time=lambda start, done, n, c: c.known(done) is None
        or right["step_on_time"](start, done, n, c),
        days_elapsed=lambda start, done, n, c: right["days_taken"](
            start, rows.local_day(c.known(done) or c.end - timedelta(microseconds=1))
        )
        <= n,
    ),
    *(m for name in ("REFUSE", "ASK", "ANSWER", "PUBLISH")
      for m in _all(name, ("a day less", getattr(rows, name) - 1),
                    ("a day more", getattr(rows, name) + 1))),
    *_other("refused_on_time", never_late=_yes),
    *_other("asked_on_time", never_late=_yes),
    *_other("answered_on_time", never_late=_yes, late_while_waiting=_late_while_waiting),
    *_other(
        "awaited_days",
        nothing=lambda asked, received: 0,
        calendar_days=lambda asked, received: (received - asked).days if asked and received else 0,
    ),
    *_other(
        "published_after_answer",
        never_late=_yes,
        always_published=lambda q, c: right["published_after_answer"](
            {**q, "khong_cong_khai": None}, c
        ),
    ),
    *_other(
        "petition_on_time",
        request_left_out=_steps_asked_alone,
        answered_though_refused=_answered_though_refused,
    ),
    *_other(
        "more_disliked",
        as_many=lambda q: (q["luot_khong_thich"] or 0) >= (q["luot_thich"] or 0),
        any_dislike=lambda q: (q["luot_khong_thich"] or 0) > 0,
        never=_no,
    ),
    *_other("raised_again", never=_no, null_counts=lambda q: q["phan_anh_lai"] is not False),
    *_other(
        "satisfied",
        though_late=lambda q, in_time: right["satisfied"](q, True),
        only_in_time=lambda q, in_time: in_time,
    ),
    *_other("unhappy", complaint_only=_flag("co_pakn"), dislike_only=_flag("khong_hai_long")),
    *_other(
        "content",
        below_nothing=lambda n, late, unhappy: Fraction(n - late - unhappy),
        late_left_out=lambda n, late, unhappy: Fraction(n - unhappy),
        unhappy_left_out=lambda n, late, unhappy: Fraction(n - late),
        larger_of_both=lambda n, late, unhappy: Fraction(n - max(late, unhappy)),
    ),
    *_other("with_sync_factor", without=lambda rate, synced: rate),
]  # fmt: skip

PLUMBING = {
    "case_of", "procedure_of", "two_decimals", "scopes", "score", "count_decisions",
    "count_procedures", "mean_of_one_procedure", "count_dossiers", "count_petitions",
    "totals_received", "ratios", "with_points", "group_of",
}  # fmt: skip
"""What only goes through the rows and adds up."""
