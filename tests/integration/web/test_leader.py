"""The leader's page and targets over HTTP: who sees which numbers, gaps, urging, what moved."""

from __future__ import annotations

import argparse
import html
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dothi.identity import accounts, keys
from dothi.identity.model import SYSTEM, Role
from dothi.identity.passwords import Passwords
from dothi.indicators import target_file, targets
from dothi.indicators.recompute import Recomputer
from dothi.indicators.target_commands import run_target
from dothi.ioc import leader_list
from dothi.ioc.leader_list import Number
from dothi.ioc.score import NAME, TOTAL
from dothi.kernel.errors import Invalid
from dothi.kernel.time import VN, local_date, utc_now
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item
from tests.contract.world import (
    OTHERS,
    OURS,
    PASSWORD,
    World,
    world,
)
from tests.integration.web.test_panels import until

LIT = "i_lamps_lit"
DAYS = 14
FIGURE = "lamps_lit lamps_lit"
GROUND = "Kế hoạch 12/KH-UBND"


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The application with the street lights of docs/packs.md, which are of OTHERS and shared with
    nobody, two weeks of their evenings, and the leader of the agency above all."""
    with world(server, template, tmp_path_factory.mktemp("home"), lit=True) as made:
        _settle(made)
        yield made


def _settle(made: World) -> None:
    hasher = Passwords(memory_kib=1024, passes=1)
    with made.house.db.transaction() as conn:
        for login, agency in (("governor", "tinh"), ("lights", OTHERS)):
            made.accounts[login] = accounts.create_account(
                conn, login=login, display_name=login, agency=agency, roles=[Role.LEADER],
                password=PASSWORD, hasher=hasher, actor=SYSTEM,
            ).id  # fmt: skip
        made.bearers["cabinets"] = keys.issue(
            conn, name="cabinets", agency=OTHERS, roles=[Role.DATA], actions=None, actor=SYSTEM,
            now=utc_now(),
        )[1]  # fmt: skip
        leader_list.fix_first(
            conn, SYSTEM,
            [Number(LIT, OTHERS, "leader"), Number("work_overdue", OURS, "officer")],
        )  # fmt: skip
    lines = ["cabinet,time,lit,installed"]
    today = local_date(utc_now(), VN)
    for back in range(DAYS, 0, -1):
        day = today - timedelta(days=back)
        for cabinet, lit in (("T-01", 45 if back % 2 else 44), ("T-02", 20 if back == 1 else 40)):
            for hour in range(19, 24):
                at = datetime(day.year, day.month, day.day, hour, tzinfo=VN)
                lines.append(f"{cabinet},{at:%Y-%m-%dT%H:%M:%S%z},{lit},50")
    with made.client("cabinets") as client:
        files = {"file": ("evenings.csv", "\n".join(lines).encode())}
        answer = client.post("/api/v1/datasets/lighting/files", files=files)
    assert answer.status_code == 201, answer.text
    worker = Recomputer(made.house.db, made.house.lake)
    while worker.advance():
        pass


def said(answer: httpx.Response) -> str:
    body = answer.text
    if "<main" in body:
        body = body[body.index("<main") : body.index("</main>")]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def panel(client: httpx.Client, name: str) -> httpx.Response:
    return client.get(f"/leader/{name}", headers={"hx-request": "true"})


def items(town: World, **source: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Codes and histories of the items about something."""
    with town.house.db.transaction() as conn:
        rows = conn.execute(
            "SELECT id, code FROM work_item WHERE source @> %s::jsonb ORDER BY id",
            ('{"' + '", "'.join(f'{k}": "{v}' for k, v in source.items()) + '"}',),
        ).fetchall()
        return [
            (code, conn.execute(
                "SELECT what, detail->>'nth' FROM work_history WHERE work_id = %s ORDER BY id", (id_,)
            ).fetchall())
            for id_, code in rows
        ]  # fmt: skip


def test_a_number_that_is_not_for_a_leader_is_not_on_their_page(town: World) -> None:
    with town.client("governor") as above, town.client("leader") as beside:
        assert "Share of lamps lit" in said(above.get("/leader"))
        page = said(beside.get("/leader"))
        assert "Share of lamps lit" not in page and "Overdue work items" in page
        assert beside.post(f"/leader/urge?key={LIT}").status_code == 404
        assert "lamps" not in panel(beside, "moved").text.lower()
        # The page of another agency's number: seen by the ones above, urged by them only.
        assert 'action="/leader/urge?key=work_overdue"' in beside.get("/leader").text
    with town.client("lights") as client:
        text = client.get("/leader").text
        assert f'action="/leader/urge?key={LIT}"' in text
        assert 'action="/leader/urge?key=work_overdue"' not in text
        assert client.post("/leader/urge?key=work_overdue").status_code == 403


def test_the_worst_figure_is_the_lowest_where_more_is_better(town: World) -> None:
    with town.client("governor") as client:
        page = said(client.get("/leader"))
    assert re.search(r"Share of lamps lit 40\.0 % Lowest · T-02", page), page
    assert re.search(r"▼\s+40(\.0)? vs yesterday worse", page), page
    assert "Answers for it: Department of Construction · Leader" in page


def test_what_moved_is_what_moved_unlike_itself(town: World) -> None:
    """T-01 swings by 2 points a day, as it always did; T-02 stood still and fell by 40."""
    with town.client("governor") as client:
        page = said(panel(client, "moved"))
    assert re.search(
        r"T-02 Down 40\.0 % since the day before: \d+ times its usual variation \(0\.1", page
    )
    assert "T-01" not in page and "2 figures judged" in page


def test_a_target_is_set_and_replaced_and_the_figure_shows_its_gap(town: World) -> None:
    today = local_date(utc_now(), VN)
    sent = {
        "figure": FIGURE, "direction": "at_least", "value": "95,5", "ground": GROUND,
        "valid_from": f"{today.year - 1}-01-01", "verify": "x",
    }  # fmt: skip
    with town.client("governor") as client:
        assert client.post("/admin/targets", data=sent).status_code == 303
        until(lambda: "Not on target, 55.5 percentage points short" in said(client.get("/leader")))
        figure = said(client.get(f"/ioc/figure?key={LIT}"))
        assert re.search(r"Target: at least 95\.5 % \(to be verified\) 95\.5 −55\.5", figure), (
            figure
        )
        assert f"Whole province · {GROUND} (to be verified)" in figure
        csv = client.get(f"/ioc/download?what=figure&key={LIT}&format=csv").text
        assert "Not" not in csv  # the table of the others comes first
        newer = sent | {"value": "35", "valid_from": (today - timedelta(days=3)).isoformat()}
        newer.pop("verify")
        assert client.post("/admin/targets?measure=lamps_lit", data=newer).status_code == 303
        until(lambda: "On target" in said(client.get("/leader")))
        listed = said(client.get("/admin/targets?measure=lamps_lit"))
        assert re.search(r"at least 35 % .* counts today .* at least 95\.5 % .* replaced", listed)
        back = newer | {"direction": "none", "value": ""}
        assert client.post("/admin/targets", data=back).status_code == 303
        until(lambda: "On target" not in said(client.get("/leader")))
        with town.house.db.transaction() as conn:
            kept = [one.low for one in targets.targets(conn, "lamps_lit")]
        assert kept == [95.5, 35.0, None]


def test_a_form_with_faults_names_them_all_and_sets_nothing(town: World) -> None:
    with town.house.db.transaction() as conn:
        before = len(targets.targets(conn))
    with town.client("governor") as client:
        sent = {"figure": FIGURE, "direction": "between", "value": "1.234", "valid_from": "x"}
        answer = client.post("/admin/targets", data=sent)
        assert answer.status_code == 422
        for name in ("value", "value_to", "valid_from", "ground"):
            assert f'id="fault-target-{name}"' in answer.text, name
        assert client.post("/admin/targets", data=sent | {"figure": "none x"}).status_code == 404
    with town.client("leader") as client:  # a leader of another agency
        assert client.post("/admin/targets", data=sent).status_code == 404
    with town.house.db.transaction() as conn:
        assert len(targets.targets(conn)) == before


def test_a_target_of_impossible_bounds_or_days_is_refused(town: World) -> None:
    sent = {"figure": FIGURE, "direction": "at_least", "value": "60", "ground": GROUND,
            "valid_from": "2026-01-01"}  # fmt: skip
    with town.client("governor") as client:
        for name, text in (
            ("value", "1e300"), ("value", "-1000000000"), ("valid_from", "01/01/0001"),
            ("valid_to", "9999-12-31"), ("ground_date", "1999-12-31"), ("figure", ""),
        ):  # fmt: skip
            answer = client.post("/admin/targets", data=sent | {name: text})
            assert answer.status_code == 422, (name, text)
            assert f'id="fault-target-{name}"' in answer.text, (name, text)


def test_points_and_percentages_of_a_score_stay_within_their_range(town: World) -> None:
    row = dict.fromkeys(targets.FIELDS, "") | {
        "measure": NAME, "grain": "month", "direction": "at_least", "ground": GROUND,
        "valid_from": "2026-01-01",
    }  # fmt: skip
    with town.house.db.transaction() as conn:
        known = targets.measures(conn)
        parts = known[NAME].parts
        share = next(name for name, part in parts.items() if part.unit["en"] == "%")
        for part, most in ((TOTAL, parts[TOTAL].most), (share, 100.0)):
            assert 0 < most <= 100
            for value, right in ((most, True), (most + 0.5, False), (-0.5, False)):
                said = row | {"part": part, "value": f"{value:g}"}
                draft, faults = targets.draft_of(conn, known, said)
                assert (draft is not None) is right, (part, value)
                assert [f.key for f in faults] == ([] if right else ["targets.value_range"])


def test_a_target_that_asks_for_the_worse_is_asked_about_once_more(town: World) -> None:
    sent = {"figure": FIGURE, "direction": "at_most", "value": "12", "ground": "QĐ 77",
            "valid_from": "2026-01-01", "place": f"agency:{OURS}"}  # fmt: skip
    with town.client("governor") as client:
        assert 'name="understood"' not in client.get("/admin/targets").text
        asked = client.post("/admin/targets", data=sent)
        assert asked.status_code == 422 and 'name="understood"' in asked.text
        assert client.post("/admin/targets", data=sent | {"understood": "x"}).status_code == 303


def test_a_target_is_withdrawn_with_a_reason_and_stays_in_the_history(town: World) -> None:
    with town.client("governor") as client:
        sent = {"figure": FIGURE, "direction": "at_least", "value": "61", "ground": GROUND,
                "valid_from": "2026-01-01", "place": f"agency:{OTHERS}"}  # fmt: skip
        assert client.post("/admin/targets", data=sent).status_code == 303
        with town.house.db.transaction() as conn:
            one = targets.targets(conn, "lamps_lit")[-1]
        url = f"/admin/targets/{one.id}/withdraw"
        assert url in client.get("/admin/targets").text
        empty = client.post(url, data={"reason": " "})
        assert empty.status_code == 422 and f'id="fault-withdraw-{one.id}-reason"' in empty.text
        assert client.post(url, data={"reason": "Nhập nhầm"}).status_code == 303
        assert client.post(url, data={"reason": "Nhập nhầm"}).status_code == 422
        page = client.get("/admin/targets")
        assert url not in page.text
        assert re.search(r"taken back .* Nhập nhầm .* at least 61 % .* withdrawn", said(page))
    with town.client("leader") as client:  # may not see what it is a target of
        assert client.post(url, data={"reason": "x"}).status_code == 404
    with town.house.db.transaction() as conn:
        last = targets.targets(conn, "lamps_lit")[-1]
        assert (last.low, last.high, last.place, last.ground) == (
            None, None, f"agency:{OTHERS}", "Nhập nhầm",
        )  # fmt: skip
        assert conn.execute(
            "SELECT count(*) FROM event WHERE kind = 'audit.target.set'"
            " AND payload->>'target' = %s", (str(last.id),)
        ).fetchone() == (1,)  # fmt: skip


def test_the_targets_of_the_province_are_of_the_agency_above_all(town: World) -> None:
    sent = {"figure": FIGURE, "direction": "at_least", "value": "60", "ground": GROUND,
            "valid_from": "2026-01-01"}  # fmt: skip
    with town.client("lights") as client:  # the owner of the lamps, below the province
        assert '<option value="*"' not in client.get("/admin/targets").text
        for place in ("", "*"):
            answer = client.post("/admin/targets", data=sent | {"place": place})
            assert answer.status_code == 422 and 'id="fault-target-place"' in answer.text
        own = client.post("/admin/targets", data=sent | {"place": f"agency:{OTHERS}"})
        assert own.status_code == 303
    with town.client("governor") as client:
        assert client.post("/admin/targets", data=sent | {"place": "*"}).status_code == 303
        with town.house.db.transaction() as conn:
            one = targets.targets(conn, "lamps_lit")[-1]
        url = f"/admin/targets/{one.id}/withdraw"
        with town.client("lights") as below:
            assert url not in below.get("/admin/targets").text
            assert below.post(url, data={"reason": "x"}).status_code == 422
        assert client.post(url, data={"reason": "x"}).status_code == 303


HEAD = "measure,part,place,grain,direction,value,value_to,valid_from,valid_to,ground,ground_date,verify\n"


def test_a_file_sets_all_of_its_targets_or_none(town: World, tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_text(
        HEAD + "vn_aqi_daily,aqi,,,at_most,100,,01/01/2026,,QĐ 5,02/01/2026,x\n"
        "nothing,,,,at_most,1,,2026-01-01,,QĐ 5,,\n"
        "vn_aqi_daily,aqi,agency:none,year,between,9,8,2026-02-30,,,,maybe\n",
        "utf-8",
    )
    rows = target_file.read(path, targets.FIELDS)
    with pytest.raises(Invalid) as caught, town.house.db.transaction() as conn:
        targets.bring(conn, SYSTEM, rows, path.name)
    found = {fault.where.removeprefix("targets.csv:") for fault in caught.value.faults}
    assert found == {"2:measure", "3:grain", "3:value_to", "3:valid_from", "3:ground", "3:verify",
                     "3:place"}  # fmt: skip
    for fault in caught.value.faults:
        assert fault.text("vi") and fault.text("en")
    with town.house.db.transaction() as conn:
        assert targets.targets(conn, "vn_aqi_daily") == []
        assert targets.bring(conn, SYSTEM, rows[:1], path.name) == (1, 0)
        assert targets.bring(conn, SYSTEM, rows[:1], path.name) == (0, 1)
        (one,) = targets.targets(conn, "vn_aqi_daily")
    assert (one.high, one.low, one.grain, one.place, one.verify) == (100, None, "day", "*", True)


def test_the_command_names_every_fault_or_sets_and_lists(
    town: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.csv"
    lines = [
        "noise_hourly,laeq,,,at_most,70,,2026-01-01,2026-12-31,QĐ 9,,",
        "noise_hourly,,,,up,,,,,,,",
    ]
    path.write_text(HEAD + "\n".join(lines) + "\n", "utf-8")
    settings = town.house.settings
    called = argparse.Namespace(verb="import", file=path)
    assert run_target(called, settings) == 1
    said = capsys.readouterr().err
    assert all(f"plan.csv:2:{name}: " in said for name in ("direction", "valid_from", "ground"))
    path.write_text(HEAD + lines[0] + "\n", "utf-8")
    assert run_target(called, settings) == 0 and "1 new" in capsys.readouterr().out
    listing = argparse.Namespace(verb="list", measure="noise_hourly", all=False)
    assert run_target(listing, settings) == 0
    assert "at most 70 dB(A) · 1 Jan 2026 – 31 Dec 2026 · QĐ 9" in capsys.readouterr().out


def test_a_file_that_is_no_table_of_targets_is_refused_with_its_reason(tmp_path: Path) -> None:
    for name, content, key in (
        ("columns.csv", b"measure,value\nx,1\n", "targets.columns"),
        ("binary.csv", b"\x00\x01\x02" * 500, None),
        (
            "long.csv",
            HEAD.encode() + b"x" * 5000 + b",,,,at_most,1,,2026-01-01,,Q,,\n",
            "targets.cell_long",
        ),
        (
            "many.csv",
            HEAD.encode() + b"a,,,,at_most,1,,2026-01-01,,Q,,\n" * 2001,
            "targets.too_many",
        ),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(Invalid) as caught:
            target_file.read(path, targets.FIELDS)
        (fault,) = caught.value.faults
        assert key in (None, fault.key) and fault.text("vi") != fault.text("en")


def test_two_taps_at_once_urge_once_and_the_second_says_who_was_first(town: World) -> None:
    gate = threading.Barrier(2)
    told: list[httpx.Response] = []

    def tap(who: str) -> None:
        with town.client(who) as client:
            client.get("/leader")
            gate.wait()
            told.append(client.post(f"/leader/urge?key={LIT}", headers={"hx-request": "true"}))

    threads = [threading.Thread(target=tap, args=(who,)) for who in ("governor", "admin")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    texts = sorted(said(one) for one in told)
    assert [one.status_code for one in told] == [200, 200]
    ((code, history),) = items(town, figure=LIT)
    assert history == [("opened", None), ("urged", "1")]
    first = next(text for text in texts if "Sent at" in text)
    assert code in first
    assert any(
        re.search(r"Already urged today at \d\d:\d\d, by (governor|admin)", x) for x in texts
    )
    with town.client("governor") as client:
        until(lambda: "Urged, time 1" in said(client.get("/leader")))
        text = client.get("/leader").text
        assert f'action="/leader/urge?key={LIT}"' not in text and f'href="/work/{code}"' in text
        again = client.post(f"/leader/urge?key={LIT}")
        assert again.headers["location"].startswith("/leader?done=urged_before")
        item = said(client.get(f"/work/{code}"))
        assert "Urged: Share of lamps lit (40.0 %)" in item and "Urged, time 1" in item


def test_what_is_late_stands_by_agency_the_oldest_first_and_can_be_urged(town: World) -> None:
    codes = []
    with town.house.db.transaction() as conn:
        for agency, days in ((OURS, 2), (OTHERS, 5), (OTHERS, 1)):
            opening = Opening(
                kind="task", title={"vi": f"Việc {days}", "en": f"Task {days}"},
                severity=Severity.NOTICE, agency_id=town.agencies[agency],
                budget=timedelta(hours=1), calendar="always",
            )  # fmt: skip
            codes.append(
                open_item(conn, SYSTEM, opening, now=utc_now() - timedelta(days=days)).code
            )
    with town.client("governor") as client:
        until(lambda: codes[0] in panel(client, "late").text)
        text = said(panel(client, "late"))
        assert [text.index(f"Task {n}") for n in (5, 1, 2)] == sorted(
            text.index(f"Task {n}") for n in (5, 1, 2)
        )
        done = client.post(f"/leader/work/{codes[1]}/urge", headers={"hx-request": "true"})
        assert "Urged, time 1" in said(done)
        assert (
            client.post(f"/leader/work/{codes[1]}/urge")
            .headers["location"]
            .startswith("/leader?done=urged_before")
        )
    with town.client("leader") as client:
        text = said(panel(client, "late"))
        assert "Task 2" in text and "Task 5" not in text
        assert client.post(f"/leader/work/{codes[1]}/urge").status_code == 404


def test_the_numbers_are_fixed_with_who_answers_and_their_past_is_kept(town: World) -> None:
    form = {"key.2": "work_overdue", "agency.2": OURS, "role.2": "officer", "key.5": LIT,
            "agency.5": OTHERS, "role.5": "leader"}  # fmt: skip
    with town.client("governor") as client:
        wrong = form | {"key.5": "work_overdue", "agency.2": "none", "role.5": "admin"}
        answer = client.post("/leader/fix", data=wrong)
        assert answer.status_code == 422
        for name in ("key.5", "agency.2", "role.5"):
            assert f'id="fault-{name}"' in answer.text, name
        assert client.post("/leader/fix", data=form).status_code == 303
        until(lambda: order(client) == ["Overdue work items", "Share of lamps lit"])
        page = said(client.get("/leader/fix"))
        assert (
            page.count("· governor") == 1
            and page.count("Share of lamps lit · Overdue work items") == 1
        )
    with town.client("leader") as client:
        assert client.post("/leader/fix", data=form).status_code == 403


def order(client: httpx.Client) -> list[str]:
    text = panel(client, "numbers").text
    return [
        html.unescape(re.sub(r"<[^>]+>", "", one)) for one in re.findall(r"<h3>(.*?)</h3>", text)
    ]
