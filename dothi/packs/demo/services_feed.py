"""The demonstration's public services: dossiers and petitions that come in, move on and end, through
the public HTTP door.

What happens is a function of the day alone (`Services.of_day`); a row is sent again whenever something
has happened to it since, as a province's own system would. What was not acknowledged is sent again.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from dothi.identity import units_read
from dothi.identity.agencies import add_agency, change_agency, find_agency
from dothi.identity.model import SYSTEM, Agency
from dothi.kernel.period import Period
from dothi.kernel.text import search_key
from dothi.kernel.time import VN, local_date, utc_now
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.packs.demo.feed import LONGEST_WAIT_S, Door, Sending
from dothi.packs.demo.services import DEPARTMENTS, Row, Services
from dothi.packs.province import province
from dothi.store.database import Connection

OWNER = "vp-ubnd"
MONTHS = 12
"""How many whole months before this one the demonstration has; lasting figures go a year further."""
ROWS = 400
"""Rows in one request."""
TICK_S = 5.0
_RESULTS = (
    "duong_dan_ket_qua", "so_tep_ket_qua", "ket_qua_dong_bo", "duoc_lay_tu_kho_dmqg",
    "ban_sao_dien_tu", "co_pakn", "khong_hai_long",
)  # fmt: skip
"""What nobody knows of a dossier before it has ended."""
_VERDICTS = ("luot_thich", "luot_khong_thich", "phan_anh_lai")
_NAMES = {
    "so-tc": ("Sở Tài chính", "Department of Finance"),
    "so-nv": ("Sở Nội vụ", "Department of Home Affairs"),
    "so-tp": ("Sở Tư pháp", "Department of Justice"),
    "so-gddt": ("Sở Giáo dục và Đào tạo", "Department of Education and Training"),
}
_KINDS = {"phường": "Ward", "xã": "Commune", "đặc khu": "Special Zone"}


def put_agencies(conn: Connection) -> tuple[str, ...]:
    """Make the departments and the communes' People's Committees known that are missing, these as the
    bodies of their units; their codes."""
    wanted = [Agency(code, *_NAMES[code], parent="tinh") for code in DEPARTMENTS if code in _NAMES]
    units: dict[str, str] = {}
    for commune in province().communes:
        code = "ubnd-" + search_key(commune.name).replace(" ", "-")
        units[code] = commune.code
        vi = f"Ủy ban nhân dân {commune.type} {commune.name}"
        en = f"{commune.name} {_KINDS[commune.type]} People's Committee"
        wanted.append(Agency(code, vi, en, parent="tinh"))
    for agency in wanted:
        if find_agency(conn, agency.code) is None:
            add_agency(conn, agency, actor=SYSTEM)
    for code, unit in units.items():
        found = find_agency(conn, code)
        if found and found.unit is None and units_read.known(conn, unit):
            change_agency(conn, replace(found, unit=unit), actor=SYSTEM)
    communes = tuple(a.code for a in wanted if a.code.startswith("ubnd-"))
    return (*DEPARTMENTS, *communes)


def made(agencies: tuple[str, ...], now: datetime) -> Services:
    """The demonstration's services as they are up to an instant."""
    first = local_date(now, VN).replace(day=1)
    for _ in range(MONTHS):
        first = (first - timedelta(days=1)).replace(day=1)
    return Services(
        first=first, last=local_date(now, VN), agencies=agencies, procedures_each=12, uneven=True
    )


def as_known(row: Row, now: datetime) -> Row:
    """A row as it stood at an instant: what happens later is not there yet."""
    out = {
        k: None if isinstance(v, datetime) and v > now and k != "ngay_hen_tra" else v
        for k, v in row.items()
    }
    ends = ("ngay_ket_thuc_xu_ly", "ngay_tra_ket_qua", "ngay_dung_tu_choi", "ngay_tra_loi")
    if not any(out.get(name) for name in ends):
        out |= dict.fromkeys((k for k in (*_RESULTS, *_VERDICTS) if k in out), None)
    return out


def moments(row: Row) -> list[datetime]:
    """When something happens to a row."""
    return [v for k, v in row.items() if isinstance(v, datetime) and k != "ngay_hen_tra"]


class Timeline:
    """Rows of one dataset by the instants at which they change."""

    def __init__(self, of_day: Callable[[date], list[Row]], first: date) -> None:
        self._of_day = of_day
        self._next = first
        self._due: list[tuple[datetime, int, Row]] = []
        self._count = 0

    def until(self, now: datetime) -> list[Row]:
        """The rows to which something has happened since the last call, as they are known now."""
        while self._next <= local_date(now, VN):
            for row in self._of_day(self._next):
                for at in moments(row):
                    self._count += 1
                    heapq.heappush(self._due, (at, self._count, row))
            self._next += timedelta(days=1)
        changed: dict[int, Row] = {}
        while self._due and self._due[0][0] <= now:
            row = heapq.heappop(self._due)[2]
            changed[id(row)] = row
        return [as_known(row, now) for row in changed.values()]


def complete(lake: Lake, dataset: Dataset, services: Services, until: datetime) -> bool:
    """Whether all dossiers that have come in up to an instant are there."""
    days = (local_date(until, VN) - services.first).days
    rows = (r for n in range(days + 1) for r in services.of_day(services.first + timedelta(days=n)))
    wanted = sum(row["ngay_tiep_nhan"] <= until for row in rows)
    with lake.view() as view:
        held = view.execute(f"SELECT count(*) FROM {view.records(dataset)}").fetchone()
    return held is not None and held[0] >= wanted


def totals(services: Services, now: datetime) -> Iterator[Row]:
    """What agencies report as received, by month, quarter and year, up to last midnight; and of the
    year before, of which there are no dossiers here."""
    counted: Counter[tuple[str, str]] = Counter()
    day = services.first
    while day < local_date(now, VN):
        for row in services.of_day(day):
            for grain in ("month", "quarter", "year"):
                counted[(row["ma_co_quan"], Period.of_date(grain, day).code)] += 1
        day += timedelta(days=1)
    before = f"{services.first.year - 1:04d}"
    for agency in services.agencies:
        counted[(agency, before)] = Random(f"{agency} {before}").randrange(150, 260)
    for (agency, code), count in sorted(counted.items()):
        more = Random(f"{services.seed} {agency} {code}").uniform(1.0, 1.06)
        yield {
            "ma_co_quan": agency, "ky": code, "so_ho_so_bao_cao": round(count * more),
            "so_ho_so_cong": count,
        }  # fmt: skip


def feed(
    base_url: str,
    api_key: str,
    stop: threading.Event,
    services: Services,
    *,
    since: datetime | None = None,
    now: Callable[[], datetime] = utc_now,
    tick_s: float = TICK_S,
) -> None:
    """Send until told to stop. `since`: the instant up to which all dossiers have been sent; without
    it everything is sent from the beginning."""
    dossiers = Timeline(services.of_day, services.first)
    petitions = Timeline(services.petitions_of_day, services.first)
    if since is not None:
        dossiers.until(since)
        petitions.until(since)
    post = _Post(base_url, api_key, stop)
    day: date | None = None
    try:
        if since is None:
            post("procedures", services.procedures())
            post("procedure_decisions", _decided(services, now()))
        while not stop.is_set():
            at = now()
            if day != local_date(at, VN):
                day = local_date(at, VN)
                post("reported_totals", totals(services, at))
            post("dossiers", dossiers.until(at))
            post("petitions", petitions.until(at))
            stop.wait(tick_s)
    finally:
        post.close()


def _decided(services: Services, now: datetime) -> Iterator[Row]:
    """Decisions that have been made."""
    return (row for row in services.decisions() if row["ngay_quyet_dinh"] <= local_date(now, VN))


class _Post:
    """Sends rows to datasets, in requests of bounded size, each until it is answered for good."""

    def __init__(self, base_url: str, api_key: str, stop: threading.Event) -> None:
        self._given = base_url, api_key
        self._stop = stop
        self._doors: dict[str, Door] = {}

    def __call__(self, dataset: str, rows: Iterable[Row]) -> None:
        some = list(rows)
        for first in range(0, len(some), ROWS):
            self._send(dataset, some[first : first + ROWS])

    def _send(self, dataset: str, rows: list[Row]) -> None:
        door = self._doors.setdefault(dataset, Door(*self._given, dataset))
        said = [{k: _json(v) for k, v in row.items() if v is not None} for row in rows]
        body = json.dumps({"rows": said}, ensure_ascii=False, separators=(",", ":")).encode()
        request = Sending(body, f"demo-{hashlib.sha256(body).hexdigest()[:40]}", {})
        wait_s = 1.0
        while not self._stop.is_set() and not door.takes(request):
            self._stop.wait(max(wait_s, min(door.retry_after_s, LONGEST_WAIT_S)))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def close(self) -> None:
        for door in self._doors.values():
            door.close()


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime | time) else value
