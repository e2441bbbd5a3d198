"""The office calendar follows the official days off, keeps what the province set, and moves items."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from dothi.identity.model import SYSTEM, Role
from dothi.kernel.time import VN, parse_instant
from dothi.store.database import Database
from dothi.work import store
from dothi.work.calendars import Calendars, keep_up, set_calendar, with_days_off
from dothi.work.model import Severity

from .conftest import MONDAY


def definition(db: Database) -> dict[str, Any]:
    with db.transaction() as conn:
        return json.loads(store.calendar_definition(conn, "office", hold=False) or "")


def test_the_office_calendar_is_kept_up(db: Database) -> None:
    with db.transaction() as conn:
        keep_up(conn, MONDAY)
    kept = definition(db)
    assert {day[:4] for day in kept["days"]} == {"2025", "2026", "2027", "2028"}
    swap, works = kept["days"]["2026-01-02"], kept["days"]["2026-01-10"]
    assert (swap["hours"], swap["source"]) == ([], "notice")
    assert works["hours"] == kept["week"]["4"]
    assert "2026-04-26" not in kept["days"], "a holiday on a Sunday changes nothing"
    assert kept["days"]["2027-02-08"]["source"] == "library"
    with db.transaction() as conn:
        calendar = Calendars(conn)["office"]
        assert keep_up(conn, MONDAY) == 0
    begin = parse_instant("2026-01-01 00:00", VN)
    whole_week = calendar.elapsed(begin, begin + timedelta(days=4))
    assert whole_week == timedelta(0)
    with db.transaction() as conn:
        query = "SELECT count(*) FROM event WHERE kind = 'audit.work.calendar'"
        changes = conn.execute(query).fetchone()
    assert changes == (1,)


def test_days_of_the_province_stay_and_win(desk, province, db: Database) -> None:
    own = definition(db)
    own["days"] = {
        "2026-05-01": {"hours": [["08:00", "10:00"]], "ground": "Trực lễ"},
        "2026-03-03": {"hours": [], "ground": "Ngày truyền thống của tỉnh"},
    }
    admin = province.person("top", Role.ADMIN)
    with db.transaction() as conn:
        set_calendar(conn, admin, "office", own, ground="Quyết định của tỉnh", now=MONDAY)
    task = desk.open(
        kind="task", severity=Severity.CRITICAL, now=parse_instant("2026-02-13 16:00", VN)
    )
    assert desk.item(task).due_at == parse_instant("2026-02-16 16:00", VN), "Tết is not known yet"
    with db.transaction() as conn:
        assert keep_up(conn, MONDAY) == 1
    kept = definition(db)
    assert kept["days"]["2026-05-01"] == own["days"]["2026-05-01"]
    assert kept["days"]["2026-03-03"] == own["days"]["2026-03-03"]
    full = desk.full(task)
    assert full.item.due_at == parse_instant("2026-02-23 16:00", VN)
    assert (full.history[-1].what, full.history[-1].actor) == ("calendar", SYSTEM.ref)
    # Years that are over go, those of the province stay.
    with db.transaction() as conn:
        keep_up(conn, datetime(2028, 6, 1, tzinfo=UTC))
    later = definition(db)["days"]
    assert {day for day in later if day < "2027"} == {"2026-05-01", "2026-03-03"}
    with db.transaction() as conn:
        keep_up(conn, datetime(2028, 6, 1, tzinfo=UTC))
    assert definition(db)["days"] == later


def test_an_office_that_works_on_saturdays_knows_no_exchange() -> None:
    morning = [["07:30", "11:30"]]
    week = {str(n): morning for n in range(6)}
    days = with_days_off({"zone": "Asia/Ho_Chi_Minh", "week": week}, [2026])["days"]
    assert "2026-01-10" not in days
    assert days["2026-01-02"]["hours"] == []
