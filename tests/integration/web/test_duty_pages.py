"""Duty over HTTP: shifts and roster by forms, the log, the brief as it is gathered, edited, taken home."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import httpx
import pytest
from docx import Document

from dothi.identity import accounts, agencies
from dothi.identity.model import SYSTEM, Agency, Role
from dothi.identity.passwords import Passwords
from dothi.indicators import service
from dothi.ioc import duty, duty_brief, duty_document, duty_pages
from dothi.ioc.desk import Desk
from dothi.kernel import i18n
from dothi.kernel.period import Period
from dothi.kernel.time import VN, local_date, rfc3339, utc_now
from dothi.lake import registry
from dothi.lake.model import Batch, SeriesRows, Source
from dothi.lake.rows import batch_of
from dothi.packs.demo.spec import demo_accounts, demo_agencies
from dothi.reactions import REACTIONS
from dothi.store.events import emit
from dothi.web.site import PanelCache
from dothi.work.duty import demo, roster, store
from dothi.work.duty.model import Days, brief_day, brief_span
from dothi.worker import make_brief
from tests.contract.world import OTHERS, OURS, World

HASHER = Passwords(memory_kib=1024, passes=1)


@pytest.fixture(scope="module")
def leader(town: World) -> Iterator[httpx.Client]:
    """The leader of our agency, which keeps a shift of the whole day that the operator has."""
    today = local_date(utc_now(), VN)
    with town.client("leader") as client:
        for name, begins, ends in (("Cả ngày", "00:00", "00:00"), ("Lãnh đạo", "00:00", "23:59")):
            made = client.post(
                "/duty/roster/add-shift",
                data={"name": name, "begins": begins, "ends": ends, "days": "every",
                      "from": (today - timedelta(days=2)).isoformat()},
            )  # fmt: skip
            assert made.status_code == 303, made.text
        shift = shift_of(town, "Cả ngày")
        fields = {
            "shift": str(shift), "person": str(town.accounts["operator"]), "role": "main",
            f"days.{today.isoformat()}": "on",
        }  # fmt: skip
        assert client.post("/duty/roster/assign", data=fields).status_code == 303
        yield client


def shift_of(town: World, name: str) -> int:
    today = local_date(utc_now(), VN)
    with town.house.db.transaction() as conn:
        found = store.shifts(conn, town.agencies[OURS], today, today)
    return next(shift.id for shift in found if shift.name == name)


def words(answer: httpx.Response) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def test_the_page_says_who_is_on_call(town: World, leader: httpx.Client) -> None:
    said = words(leader.get("/duty"))
    assert "Cả ngày" in said and "until" in said
    with town.client("officer") as officer:
        assert 'href="/duty"' in officer.get("/duty").text, "it stands in the menu"
        assert "On duty:" in words(officer.get("/ioc"))
    with town.client("anonymous") as anybody:
        assert "On duty:" not in words(anybody.get("/ioc"))


def test_a_double_booking_is_told_in_words_and_the_form_stays(
    town: World, leader: httpx.Client
) -> None:
    today = local_date(utc_now(), VN)
    fields = {
        "shift": str(shift_of(town, "Lãnh đạo")), "person": str(town.accounts["operator"]),
        "role": "leader", f"days.{today.isoformat()}": "on",
    }  # fmt: skip
    refused = leader.post("/duty/roster/assign", data=fields)
    assert refused.status_code == 422
    assert f"Double booking: operator cannot take Lãnh đạo {today:%d/%m/%Y}" in words(refused)
    assert f'<option value="{town.accounts["operator"]}" selected>' in refused.text


def test_gaps_are_told_and_the_roster_is_taken_home(leader: httpx.Client) -> None:
    said = words(leader.get("/duty/roster"))
    assert "nobody on duty" in said
    taken = leader.get("/duty/roster/file", params={"format": "csv"})
    lines = list(csv.reader(io.StringIO(taken.content.decode("utf-8-sig"))))
    assert lines[0] == ["Day", "Shift", "Begins", "Ends", "Role", "Person"]
    today = local_date(utc_now(), VN).isoformat()
    assert [today, "Cả ngày", "00:00", "00:00", "On duty", "operator"] in lines
    assert leader.get("/duty/roster/file", params={"format": "exe"}).status_code == 404


def test_a_day_beyond_the_calendar_or_none_at_all_shows_a_page(leader: httpx.Client) -> None:
    for day in ("9999-12-31", "0001-01-01", "never", ""):
        assert leader.get("/duty/roster", params={"week": day}).status_code == 200
        assert leader.get("/duty/log", params={"day": day}).status_code == 200
    for day in ("9999-12-31", "0001-01-01", "never"):
        assert leader.get(f"/duty/brief/{day}").status_code == 404
    bad = leader.post("/duty/roster/end-shift", data={"shift": "1", "from": "9999-12-31"})
    assert bad.status_code == 422


def test_an_entry_is_written_corrected_and_both_are_shown(
    town: World, leader: httpx.Client
) -> None:
    with town.client("operator") as operator:
        fields = {"kind": "directive", "text": "Mưa <b>to</b>", "important.yes": "on"}
        assert operator.post("/duty/log/write", data=fields).status_code == 303
        page = operator.get("/duty/log").text
        assert "Mưa &lt;b&gt;to&lt;/b&gt;" in page
        (entry,) = re.findall(r'name="entry" value="(\d+)"', page)
        fields = {"entry": entry, "text": "Mưa rất to"}
        assert operator.post("/duty/log/correct", data=fields).status_code == 303
        assert operator.post("/duty/log/correct", data=fields).status_code == 409
        said = words(operator.get("/duty/log"))
        assert "was corrected" in said and "Mưa rất to" in said
        refused = operator.post("/duty/log/write", data={"kind": "event", "text": " "})
        assert refused.status_code == 422 and "Enter a text" in words(refused)


def test_the_brief_says_what_happened_edited_and_as_a_document(
    town: World, leader: httpx.Client
) -> None:
    now = utc_now()
    day = brief_day(now)
    since, until = brief_span(day)
    agency = town.agencies[OURS]
    town.new_work("own")
    with town.house.db.transaction() as conn:
        conn.execute("UPDATE work_item SET opened_at = %s, due_at = %s", (since, until))
        dataset = registry.find(conn, "vn_aqi_hourly")
        station = registry.put_thing(
            conn, dataset, key=["T1"], name={"vi": "Trạm Bến", "en": "Trạm Bến"}, lon=108.1, lat=13.1, agency_id=agency,
            properties={},
        )  # fmt: skip
        # The first of the next brief is told there.
        for at in (since, until - timedelta(seconds=1), until):
            emit(conn, "indicator.threshold", {
                "indicator": "vn_aqi_hourly", "thing": station,
                "parameter": "aqi", "value": 160, "threshold": 150, "source": "x", "stream": 0, "period": "x",
                "title": {"vi": "x", "en": "x"},
                "severity": "notice", "direction": "up", "level": 1,
            })  # fmt: skip
            conn.execute("UPDATE event SET at = %s WHERE id = (SELECT max(id) FROM event)", (at,))
        conn.execute("ALTER TABLE duty_entry DISABLE TRIGGER duty_entry_final")
        conn.execute("UPDATE duty_entry SET at = %s", (until - timedelta(hours=1),))
        conn.execute("ALTER TABLE duty_entry ENABLE TRIGGER duty_entry_final")
    assert make_brief(town.house, agency, day)
    assert not make_brief(town.house, agency, day)

    first = leader.get("/duty/brief", follow_redirects=True)
    said = words(first)
    assert first.url.path == f"/duty/brief/{day.isoformat()}"
    assert re.search(r"[1-9]\d* work items opened", said), said
    assert re.search(r"Trạm Bến: worst 160, limit 150 \(x\); passed 2 times", said), said
    assert "Mưa rất to" in said and "Mưa <b>to</b>" not in said, "only what still holds"
    assert "No remarks." in said and "No proposals." in said
    assert f'href="/work?agency={agency}"' in first.text, "a number leads to what it counts"
    assert leader.get("/duty/brief/2001-01-01").status_code == 404

    path = first.url.path
    edit = leader.get(path, params={"edit": "1"}).text
    (log_line,) = re.findall(r'name="(line\.log-1)"', edit)
    sent = {"version": "1", log_line: "Mưa rất to cả đêm", "add.remarks": "Không có ngập"}
    assert leader.post(f"{path}/save", data=sent).status_code == 303
    late = leader.post(f"{path}/save", data=sent | {"add.remarks": "Có ngập"})
    assert late.status_code == 409
    assert "saved version 2" in words(late) and "Có ngập" in late.text, "what was typed stays"
    shown = words(leader.get(path))
    assert "Mưa rất to cả đêm edited" in shown and "Không có ngập added" in shown

    draft = said_by(leader, path)
    assert "DỰ THẢO" in draft and "- Không có ngập" in draft
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in draft
    assert leader.post(f"{path}/publish", data={"version": "1"}).status_code == 409
    assert leader.post(f"{path}/publish", data={"version": "2"}).status_code == 303
    final = said_by(leader, path)
    assert "DỰ THẢO" not in final and "leader" in final
    unreasoned = leader.post(f"{path}/save", data={"version": "3", "add.remarks": "Sửa"})
    assert unreasoned.status_code == 422 and "Say why" in words(unreasoned)
    amended = {"version": "3", "add.remarks": "Sửa", "reason": "Nhầm"}
    assert leader.post(f"{path}/save", data=amended).status_code == 303
    assert "Corrected. Reason: Nhầm" in words(leader.get(path))
    assert "Sửa" not in words(leader.get(path, params={"version": "3"}))


def test_a_brief_made_late_tells_what_stood_at_its_hour(town: World, leader: httpx.Client) -> None:
    """What came after its time is not in it; what was above its limit all the time is."""
    now = utc_now()
    since, until = brief_span(brief_day(now) - timedelta(days=1))
    hour, lake, agency = timedelta(hours=1), town.house.lake, town.agencies[OURS]
    with town.house.db.transaction() as conn:
        hourly = service.find(conn, "vn_aqi_hourly")
        things = {
            key: registry.put_thing(
                conn, hourly.dataset, key=[key], name={"vi": f"Trạm {key}", "en": f"Trạm {key}"},
                lon=108.1, lat=13.1, agency_id=agency, properties={},
            )
            for key in ("K1", "K2")
        }  # fmt: skip
    streams = lake.stream_ids(hourly.dataset, [((key,), "aqi") for key in things])
    ids = [streams[(key,), "aqi"] for key in things]
    period = Period.containing(hourly.definition.grain, until - hour, VN)
    at = hourly.definition.instant_of(period)
    given = [(at - 24 * hour, 80.0), (at, 160.0), (at + 3 * hour, 20.0)]
    lake.commit(Batch(hourly.dataset.id, SeriesRows(
        [ids[0]] * 3, [t for t, _ in given], [v for _, v in given], [0] * 3, [2, 3, 4]
    ), Source("form")))  # fmt: skip
    with town.house.db.transaction() as conn:
        for when, thing, direction, level in (
            (since - 30 * hour, "K1", "up", 1), (since - 29 * hour, "K1", "down", 0),
            (since - 5 * hour, "K1", "up", 1), (since - 2 * hour, "K2", "up", 1),
            (since + hour, "K2", "down", 0),
        ):  # fmt: skip
            emit(conn, "indicator.threshold", {
                "indicator": "vn_aqi_hourly", "thing": things[thing], "parameter": "aqi",
                "stream": streams[(thing,), "aqi"], "value": 155, "threshold": 150, "source": "x",
                "direction": direction, "level": level, "period": "x", "severity": "notice",
                "title": {"vi": "x", "en": "x"},
            })  # fmt: skip
            conn.execute("UPDATE event SET at = %s WHERE id = (SELECT max(id) FROM event)", (when,))
    own = town.datasets["own"]
    seen = {"G8": until - timedelta(days=2), "G9": until + hour}
    lines = [{"station": key, "time": t.isoformat(), "level": 1.0} for key, t in seen.items()]
    lake.commit(batch_of(lake, own, lines, Source("form")))

    desk = Desk(town.house.db, lake, PanelCache(lambda _: 0), town.house.settings)
    body = duty_brief.gather(desk, agency, local_date(until, VN), now)
    said = {s.key: "\n".join(line.text["en"] for line in s.lines) for s in body}

    def told(when: datetime) -> str:
        return i18n.t("duty.made_at", "en", at=when).removeprefix("Made at ")

    assert f"Trạm K1: still above since {told(since - 5 * hour)}" in said["limits"], said["limits"]
    assert f"newest figure ({told(period.end)}) 160, limit 150" in said["limits"], said["limits"]
    assert (
        f"Trạm K2: above its limit from {told(since - 2 * hour)} to {told(since + hour)}"
        in said["limits"]
    )
    assert f"G8 (Readings): no data since {told(seen['G8'])}" in said["silent"], said["silent"]
    assert "G9" not in said["silent"], "it sent after the brief's time: nobody knows"
    assert "Made late" in said["silent"] and "cannot be told" in said["silent"]
    day = local_date(period.start, VN) - timedelta(days=1)
    assert "Trạm K1: up 100 %, from 80 to 160" in said["moved"], said["moved"]
    assert f"against the same period of {i18n.date(day, 'en')}" in said["moved"]
    punctual = duty_brief.gather(desk, agency, local_date(until, VN), until)
    (silent,) = (s for s in punctual if s.key == "silent")
    assert not any("Made late" in line.text["en"] for line in silent.lines)


def test_an_entry_stands_on_the_day_on_which_it_happened(town: World, leader: httpx.Client) -> None:
    """A time that is still to come is yesterday's: its page opens and says so."""
    now = utc_now().astimezone(VN)
    later = now + timedelta(minutes=5)
    fields = {"kind": "event", "text": "Mất điện", "at": f"{later:%H:%M}"}
    written = leader.post("/duty/log/write", data=fields, follow_redirects=True)
    tomorrow = later.date() > now.date()  # then it is a time of today, just after midnight
    said = words(written)
    assert "Mất điện" in said
    assert ("the day before." in said.split("Mất điện")[0]) is not tomorrow
    day = now.date() if tomorrow else now.date() - timedelta(days=1)
    assert i18n.t("duty.log_of", "en", day=day) in said
    unknown = leader.post("/duty/log/write", data=fields | {"link": "VV-2026-999999"})
    assert unknown.status_code == 422 and "no work item VV-2026-999999" in words(unknown)
    early = datetime(2026, 11, 21, 4, 29, tzinfo=VN)
    assert duty_pages._moment("23:50", early) == datetime(2026, 11, 20, 23, 50, tzinfo=VN)


def test_who_is_off_duty_is_told_why_there_is_no_form(town: World, leader: httpx.Client) -> None:
    with town.client("officer") as officer:
        log = words(officer.get("/duty/log"))
        assert "Only who is on duty, or a leader of the agency, writes in the log." in log
        assert "On duty: operator (on duty)." in log
        brief = officer.get("/duty/brief", follow_redirects=True)
        assert re.search(r"Only who .*On duty: operator \(on duty\)\.", words(brief))
    assert "writes in the log" not in words(leader.get("/duty/log"))


def test_nobody_is_chosen_before_one_chooses(leader: httpx.Client) -> None:
    page = leader.get("/duty/roster").text
    for name in ("shift", "person", "role"):
        assert re.search(rf'<select name="{name}"[^>]*><option value="">Choose…</option>', page)
    assert "00:00 – 00:00 next day" in words(leader.get("/duty/log"))


def test_the_paper_of_a_demonstration_says_so_and_names_the_province(
    town: World, leader: httpx.Client
) -> None:
    actor = replace(SYSTEM, agencies=frozenset(town.agencies.values()))
    settings = replace(town.house.settings, demo=True)
    desk = Desk(town.house.db, town.house.lake, PanelCache(lambda _: 0), settings)
    place = duty.where(desk, actor, "vi", OURS, "/brief")
    view = duty_document.brief_view(desk, actor, "vi", place, brief_day(utc_now()))
    paper = duty_document.official_of(view)
    assert paper.parent.upper() == f"ỦY BAN NHÂN DÂN {desk.province.upper()}"
    assert paper.status.endswith("DỮ LIỆU MINH HỌA")
    assert paper.kind == "Bản tin sáng" and f"{view.brief.day:%d/%m/%Y}" in paper.about
    assert "dothi" not in duty_document.official_of(replace(view, demo=False)).place


def said_by(client: httpx.Client, path: str) -> list[str]:
    answer = client.get(f"{path}/file")
    assert answer.status_code == 200
    made = Document(io.BytesIO(answer.content))
    cells = [
        p.text
        for table in made.tables
        for row in table.rows
        for cell in row.cells
        for p in cell.paragraphs
    ]
    return [*cells, *(p.text for p in made.paragraphs)]


def test_the_demonstration_has_a_roster_that_is_made_once(town: World) -> None:
    now = datetime(2026, 11, 21, 14, 0, tzinfo=VN)
    with town.house.db.transaction() as conn:
        accounts.demo_accounts(conn, demo_agencies(), demo_accounts(), HASHER)
        assert demo.put_duty(conn, now) and not demo.put_duty(conn, now)
        agency = agencies.agency_id(conn, demo.AGENCY)
        assert agency is not None
        for hour in range(24 * 14):
            found = roster.on_duty(conn, agency, now + timedelta(hours=hour))
            day = local_date(now + timedelta(hours=hour), VN)
            here = [one.shift for one in found]
            gap = (day - now.date()).days == demo.GAP and 14 <= (14 + hour) % 24 < 22
            assert len(here) == (1 if gap else 2) and demo.LED[0] in here, (hour, here)
        later = now + timedelta(days=3)
        assert demo.put_duty(conn, later), "it goes on"
        since, until = brief_span(brief_day(now))
        assert len(store.entries(conn, agency, since, until)) == len(demo._WRITTEN)


def test_shifts_pass_on_with_a_merger(town: World) -> None:
    with town.house.db.transaction() as conn:
        made = agencies.add_agency(
            conn, Agency("doi-truc", "Đội trực", "Watch", OTHERS), actor=SYSTEM
        )
        assert made.id is not None
        person = accounts.create_account(
            conn, login="nguoi.truc", display_name="Người trực", agency="doi-truc",
            roles=[Role.OFFICER], password="a long enough phrase 7", hasher=HASHER, actor=SYSTEM,
        )  # fmt: skip
        hours = time(0), time(0), Days.EVERY, date(2026, 1, 1), None
        shift = store.add_shift(conn, made.id, "Trực", *hours)
        (kept,) = store.shifts(conn, made.id, date(2026, 1, 1), date(2026, 1, 1))
        today = local_date(utc_now(), VN)
        assert store.assign(conn, kept, today, person.id, roster.DutyRole.MAIN) and shift
        agencies.merge_agency(
            conn, "doi-truc", OTHERS, on=today, ground="Quyết định 1/QĐ-UBND", actor=SYSTEM
        )
    for cursor in REACTIONS:
        while cursor.advance(town.house.db):
            pass
    with town.house.db.transaction() as conn:
        found = roster.on_duty(conn, town.agencies[OTHERS], utc_now())
    assert [one.name for one in found] == ["Người trực"], rfc3339(utc_now())
