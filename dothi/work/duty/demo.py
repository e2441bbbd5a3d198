"""The demonstration's duty: the operations centre in three shifts, its people by their roles."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from dothi.identity.accounts import find_account
from dothi.identity.agencies import agency_id
from dothi.identity.model import SYSTEM, Account, Actor
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.store.events import emit
from dothi.work.duty import store
from dothi.work.duty.model import Days, DutyRole, EntryKind, Shift, brief_day, brief_span

AGENCY = "ioc"
OPERATORS = ("trucban", "trucban2", "trucban3")
LEADER = "lanhdaoioc"
SHIFTS = (
    ("Ca sáng", time(6), time(14)),
    ("Ca chiều", time(14), time(22)),
    ("Ca đêm", time(22), time(6)),
)
LED = ("Lãnh đạo trực", time(7), time(7))
BEFORE, AHEAD = 2, 28
"""How many days before and after today have people."""
GAP = 5
"""On this day from today nobody has the afternoon yet: so that a gap is seen."""
_WRITTEN = (
    ("Ca sáng", timedelta(minutes=10), EntryKind.EVENT, False,
     "Kiểm tra đầu ngày: màn hình, đường truyền, điện thoại trực bình thường.",
     "Checked in the morning: screens, lines and the duty telephone work as usual."),
    ("Ca chiều", timedelta(hours=9, minutes=30), EntryKind.DIRECTIVE, True,
     "Lãnh đạo trực yêu cầu theo dõi sát các trạm không có số liệu trong đêm.",
     "The leader on duty asks to watch the stations without data through the night."),
)  # fmt: skip
"""Entries of the log by their shift and the time after the newest brief's span began."""


def put_duty(conn: Connection, now: datetime) -> bool:
    """Shifts, people for the weeks around today and entries of the log, as far as they are missing;
    whether anything was. Without the demonstration's agency and accounts nothing is done."""
    agency = agency_id(conn, AGENCY)
    people = [find_account(conn, login) for login in (*OPERATORS, LEADER)]
    staff = [p for p in people if p is not None and p.disabled_at is None]
    if agency is None or len(staff) != len(people):
        return False
    # Two demonstrations that start at the same time make one roster.
    conn.execute("SELECT FROM agency WHERE id = %s FOR NO KEY UPDATE", (agency,))
    today = local_date(now, VN)
    first, last = today - timedelta(days=BEFORE), today + timedelta(days=AHEAD)
    kept = store.shifts(conn, agency, first, last)
    fresh = not kept
    if fresh:
        for name, begins, ends in (*SHIFTS, LED):
            store.add_shift(conn, agency, name, begins, ends, Days.EVERY, first, None)
        kept = store.shifts(conn, agency, first, last)
    filled = max((p.day for p in store.people(conn, agency, first, last)), default=None)
    since = first if filled is None else filled + timedelta(days=1)
    by_name = {shift.name: shift for shift in kept}
    for n in range((last - since).days):
        day = since + timedelta(days=n)
        for place, (name, _, _) in enumerate(SHIFTS):
            shift = by_name.get(name)
            if shift and not (fresh and name == "Ca chiều" and (day - today).days == GAP):
                who = staff[(day.toordinal() + place) % len(OPERATORS)]
                store.assign(conn, shift, day, who.id, DutyRole.MAIN)
        if led := by_name.get(LED[0]):
            store.assign(conn, led, day, staff[-1].id, DutyRole.LEADER)
    if fresh:
        _write(conn, agency, by_name, staff, now)
    emit(conn, "duty.roster", {"agency": agency, "what": "demo"}, actor=SYSTEM.ref)
    return since < last


def _write(
    conn: Connection, agency: int, shifts: dict[str, Shift], staff: list[Account], now: datetime
) -> None:
    since, _ = brief_span(brief_day(now))
    day = local_date(since, VN)
    for name, after, kind, important, vi, en in _WRITTEN:
        there = store.on_duty(conn, agency, since + after)
        account = next((p.account_id for p in there if p.role is DutyRole.MAIN), staff[0].id)
        person = next(p for p in staff if p.id == account)
        store.add_entry(
            conn, agency, (shifts[name].id, day), since + after, kind=kind, text=vi, text_en=en,
            important=important,
            actor=Actor("person", person.id, agency, name=person.display_name),
        )  # fmt: skip
