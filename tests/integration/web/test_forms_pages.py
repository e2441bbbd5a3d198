"""The pages of typed figures over HTTP: nothing typed is lost, faults stand beside their fields, and
a figure can be followed to who typed and who approved it."""

from __future__ import annotations

import hashlib
import html
import io
import re
from typing import Any

import httpx
import pytest
from python_calamine import CalamineWorkbook

from dothi.identity.model import SYSTEM, Role
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.reader import HEADER_ROW, SHEET
from tests.contract import returns
from tests.contract.world import OURS, PASSWORD, World

WHAT = "own"
PAGE = f"/forms/{returns.address(WHAT)}"


@pytest.fixture
def empty(town: World) -> World:
    """Nobody has typed anything of the month."""
    returns.fresh(town, WHAT)
    return town


def posted(client: httpx.Client, version: int, act: str = "save", **fields: Any) -> httpx.Response:
    sent: dict[str, Any] = {"version": (None, str(version)), "act": (None, act)}
    for name, value in fields.items():
        sent[name.replace("__", ".")] = value if isinstance(value, tuple) else (None, value)
    return client.post(PAGE, files=sent)


def test_what_is_wrong_stands_beside_its_field_and_is_kept(empty: World) -> None:
    with empty.client("officer") as client:
        page = posted(client, 0, "submit", count="nhiều")
        assert page.status_code == 422
        assert 'value="nhiều"' in page.text and 'aria-invalid="true"' in page.text
        assert "“nhiều” is no number." in page.text
        assert '<input type="hidden" name="version" value="1">' in page.text
        again = client.get(PAGE)
        assert 'value="nhiều"' in again.text
        assert again.headers["cache-control"] == "no-store"


def test_a_broken_rule_stands_beside_its_field_before_anything_is_handed_in(empty: World) -> None:
    with empty.client("officer") as client:
        assert posted(client, 0, count="13").status_code == 303
        page = client.get(PAGE).text
        assert "Does not fulfil the rule: Never thirteen." in page and 'aria-invalid="true"' in page
        assert posted(client, 1, count="12").status_code == 303
        assert "Never thirteen" not in client.get(PAGE).text


def test_the_second_of_two_editors_sees_what_the_first_saved_and_loses_nothing(
    empty: World,
) -> None:
    with empty.client("officer") as one, empty.client("data") as other:
        assert posted(one, 0, count="5").status_code == 303
        clash = posted(other, 0, count="6", note="của tôi")
        assert clash.status_code == 409
        assert 'value="6"' in clash.text and "của tôi" in clash.text
        assert "Somebody else saved: 5." in clash.text
        (version,) = set(re.findall(r'name="version" value="(\d+)"', clash.text))
        assert posted(other, int(version), count="6").status_code == 303
        assert 'value="6"' in one.get(PAGE).text


def test_a_figure_is_followed_to_who_typed_and_who_approved_it(empty: World) -> None:
    with empty.client("officer") as officer, empty.client("leader") as leader:
        done = posted(officer, 0, "submit", count="7", note="x")
        assert done.headers["location"] == f"{PAGE}?done=handed_in"
        assert "Approve" not in officer.get(PAGE).text
        waiting = leader.get("/forms").text
        assert PAGE in waiting
        page = leader.get(PAGE).text
        assert f'action="{PAGE}/approve"' in page
        (version,) = set(re.findall(r'name="version" value="(\d+)"', page))
        assert leader.post(f"{PAGE}/approve", data={"version": version}).status_code == 303
        # who may not read the dataset is not led to its loads
        assert "/loads/" not in leader.get(PAGE).text
        with empty.client("admin") as admin:
            load = re.search(r'href="(/loads/\d+)"', admin.get(PAGE).text)
            assert load
            told = admin.get(load[1]).text
        text = re.sub(r"<[^>]+>", " ", told)
        assert re.search(r"Typed by\s+officer", text)
        assert re.search(r"Approved by\s+leader", text)
        assert f'href="{PAGE}"' in told
        assert "Correct" in officer.get(PAGE).text
        history = officer.get(PAGE).text
        assert "Approved and locked" in history


def test_evidence_is_a_download_of_its_own_kind(empty: World) -> None:
    with empty.client("officer") as client:
        file = ("Ảnh cân.png", io.BytesIO(returns.PNG), "text/html")
        assert posted(client, 0, file__=file, count="7").status_code == 303
        digest = hashlib.sha256(returns.PNG).hexdigest()
        got = client.get(f"{PAGE}/evidence/{digest}")
        assert got.content == returns.PNG
        assert got.headers["content-type"] == "image/png"
        assert got.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert got.headers["x-content-type-options"] == "nosniff"
        page = client.get(PAGE).text
        assert "Ảnh cân.png" in page
        bad = ("a.png", io.BytesIO(b"<script>alert(1)</script>"), "image/png")
        refused = posted(client, 1, file__=bad, count="8")
        assert refused.status_code == 422 and 'value="8"' in refused.text
        dropped = posted(client, 1, **{f"drop__{digest}__": "on"}, count="7")
        assert dropped.status_code == 303
        assert f"/evidence/{digest}" not in client.get(PAGE).text


def test_the_workbook_comes_filled_in_and_goes_back_into_the_draft(empty: World) -> None:
    with empty.client("officer") as client:
        assert posted(client, 0, count="7").status_code == 303
        got = client.get(f"{PAGE}/workbook.xlsx")
        rows = CalamineWorkbook.from_filelike(io.BytesIO(got.content)).get_sheet_by_name(SHEET)
        assert rows.to_python()[HEADER_ROW][2] == 7
        returns.fresh(empty, WHAT)
        book = ("m.xlsx", io.BytesIO(got.content))
        assert posted(client, 0, workbook=book).status_code == 303
        assert 'value="7"' in client.get(PAGE).text
        wrong = ("m.xlsx", io.BytesIO(b"PK\x03\x04 no"))
        assert posted(client, 1, workbook=wrong, count="9").status_code == 422


def test_the_interface_for_programs_types_and_hands_in(empty: World) -> None:
    address = f"/api/v1/forms/{returns.address(WHAT)}"
    with empty.client("key") as client:
        bad = client.put(address, json={"version": 0, "values": {"count": 5000}, "submit": True})
        assert bad.status_code == 422
        assert bad.json()["faults"] == [{"where": "count", "detail": "Must be from 0 to 1,000."}]
        stale = client.put(address, json={"version": 0, "values": {"count": 5}})
        assert stale.status_code == 409
        good = client.put(
            address, json={"version": 1, "values": {"count": 5}, "note": "x", "submit": True}
        ).json()
        assert (good["state"], good["values"], good["approved"]) == (
            "submitted",
            {"count": 5},
            None,
        )
        listed = {one["dataset"]: one for one in client.get("/api/v1/forms").json()}
        mine = [
            one for one in listed["typed_for_others"]["returns"] if one["period"] == returns.month()
        ]
        assert [(one["party"], one["state"]) for one in mine] == [("so-nnmt", "submitted")]
        version = {"version": str(good["version"])}
        assert client.post(f"{PAGE}/approve", data=version).status_code == 403


def test_a_form_from_another_site_types_nothing(empty: World) -> None:
    with empty.client("officer", headers={"origin": "https://elsewhere.example"}) as client:
        client.headers["sec-fetch-site"] = "cross-site"
        assert posted(client, 0, count="5").status_code == 403


def test_the_entry_stands_in_the_menu_of_who_has_a_part(empty: World) -> None:
    from dothi.identity.accounts import create_account
    from dothi.identity.agencies import add_agency, find_agency
    from dothi.identity.model import Agency
    from dothi.identity.passwords import Passwords

    with empty.house.db.transaction() as conn:
        if find_agency(conn, "so-yt") is None:
            add_agency(conn, Agency("so-yt", "Sở Y tế", "Health", "tinh"), actor=SYSTEM)
        empty.accounts["stranger"] = create_account(
            conn, login="stranger", display_name="x", agency="so-yt", roles=[Role.OFFICER],
            password=PASSWORD, hasher=Passwords(memory_kib=1024, passes=1), actor=SYSTEM,
        ).id  # fmt: skip
    for who, there in (("officer", True), ("leader", True), ("stranger", False)):
        with empty.client(who) as client:
            assert ('href="/forms"' in client.get("/data").text) is there, who
            assert client.get("/forms").status_code == 200
    with empty.client("stranger") as client:
        assert client.get(PAGE).status_code == 404
        assert client.get("/forms/typed_for_others").status_code == 404


def test_no_upload_brings_what_the_form_asks_for(empty: World) -> None:
    """Neither the page nor the interface for programs loads a return's period beside the return."""
    form, month, party = returns.address("collected").split("/")
    returns.fresh(empty, "collected")
    rows = f"agency,time,count\n{party},{month}-01T00:00:00+07:00,99\n".encode()
    with empty.client("data") as client:
        upload = {"file": ("rows.csv", rows, "text/csv")}
        page = client.post(f"/loads/into/{form}", files=upload)
        file = client.post(f"/api/v1/datasets/{form}/files", files=upload)
        row = {"agency": party, "time": f"{month}-01T00:00:00+07:00", "count": 99}
        sent = client.post(f"/api/v1/datasets/{form}/rows", json={"rows": [row]})
    for answer in (page, file, sent):
        assert answer.status_code == 422
        assert f"/forms/{form}" in answer.text


def test_the_plan_begins_with_what_is_late_and_its_counts_lead_to_the_returns(
    empty: World,
) -> None:
    form = returns.address(WHAT).split("/")[0]
    with empty.client("admin") as client:
        returns.fresh(empty, WHAT, submit=True)
        page = client.get(f"/forms/{form}").text
        links = re.findall(rf'href="/forms/{form}\?phase=(\w+)"', page)
        assert "submitted" in links
        first = re.findall(r'<tr><th scope="row">.*?status is-(\w+)', page)
        assert first == sorted(first, key=["critical", "notice", "unknown"].index)
        shown = client.get(f"/forms/{form}?phase=submitted").text
        assert 'aria-current="true"' in shown
        rows = re.findall(r'<tr><th scope="row">', shown)
        assert 0 < len(rows) < len(re.findall(r'<tr><th scope="row">', page))
        assert PAGE in shown


TABLE = """
dataset: inspections
kind: records
title: {vi: Kiểm tra, en: Inspections}
owner: OURS
key: [agency, period, facility]
columns:
  agency: {type: text, title: {vi: Cơ quan, en: Agency}}
  period: {type: text, title: {vi: Kỳ, en: Period}}
  facility: {type: text, title: {vi: Cơ sở, en: Facility}}
  visits: {type: integer, title: {vi: Số lần, en: Visits}, range: [0, 100]}
form:
  period: {grain: month, since: 2020-01, column: period}
  by: {column: agency}
  lines: {column: facility, most: 4, total: [visits]}
"""


def sent(client: httpx.Client, at: str, version: int, act: str, *lines: tuple[str, str]) -> Any:
    fields: dict[str, Any] = {"version": (None, str(version)), "act": (None, act)}
    for number, (facility, visits) in enumerate(lines, 1):
        fields[f"line.{number}"] = (None, facility)
        fields[f"cell.{number}.visits"] = (None, visits)
    return client.post(at, files=fields)


def words(page: str) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def version_of(page: str) -> str:
    (version,) = set(re.findall(r'name="version" value="(\d+)"', page))
    return version


def test_a_table_is_filled_in_without_any_script(town: World) -> None:
    with town.house.db.transaction() as conn:
        registry.register(conn, parse_contract(TABLE.replace("OURS", OURS)))
    at = f"/forms/inspections/{returns.month()}/{OURS}"
    with town.client("officer") as officer, town.client("leader") as leader:
        page = officer.get(at).text
        assert page.count('name="line.3"') == 1 and 'name="line.4"' not in page
        # a line is added by the server, empty ones are left out, and what is typed stays
        added = sent(officer, at, 0, "add", ("Chợ <Đầm>", "5"), ("", ""), ("Bến xe", "x"))
        assert added.headers["location"] == f"{at}?done=saved&more=1#table-end"
        page = officer.get(f"{at}?more=1").text
        assert page.count("<tr data-line") == 4  # with the one of the template
        assert "Chợ &lt;Đầm&gt;" in page and "<Đầm>" not in page
        wrong = sent(officer, at, 1, "submit", ("Chợ", "5"), ("", "3"), ("chợ", "x"))
        assert wrong.status_code == 422
        for said in (
            "Line 2 (—), Facility: What this line is about is missing.",
            "Line 3 (chợ), Facility: The same as line 1.",
            "Line 3 (chợ), Visits: “x” is no whole number.",
        ):
            assert said in words(wrong.text), said
        assert 'href="#c-cell.3.visits"' in wrong.text and 'id="c-cell.3.visits"' in wrong.text
        gone = sent(officer, at, 2, "remove.2", ("Chợ", "5"), ("Bến", "3"), ("Ga", "1"))
        assert gone.status_code == 303
        page = officer.get(at).text
        assert 'value="Ga"' in page and 'value="Bến"' not in page
        assert re.search(r'class="sum">6<', page)
        # somebody else's lines are not lost by who saves with an old page
        clash = sent(officer, at, 2, "save", ("Mới", "2"))
        assert clash.status_code == 409
        assert clash.text.count("Somebody else added this line.") == 2
        assert sent(officer, at, 3, "submit", ("Chợ", "5"), ("Ga", "1")).status_code == 303
        waiting = {"version": version_of(leader.get(at).text)}
        assert leader.post(f"{at}/approve", data=waiting).status_code == 303
        page = officer.get(at).text
        assert page.count("<tr data-line") == 2
        version = version_of(page)
        why = {"version": version, "reason": "Đóng cửa"}
        assert officer.post(f"{at}/correct", data=why).status_code == 303
        assert sent(officer, at, int(version) + 1, "save", ("Chợ", "9")).status_code == 303
        told = words(officer.get(at).text)
        assert "What the correction changes in what was approved Chợ · changed" in told
        assert "Ga · taken away" in told


def test_a_table_comes_and_goes_as_csv_and_by_program(town: World) -> None:
    with town.house.db.transaction() as conn:
        made = registry.register(conn, parse_contract(TABLE.replace("OURS", OURS)))
        conn.execute("DELETE FROM form_return WHERE dataset_id = %s", (made.id,))
    address = f"inspections/{returns.month()}/{OURS}"
    with town.client("officer") as officer, town.client("key") as key:
        lines = [
            {"line": "Chợ", "values": {"visits": 2}},
            {"line": "Ga", "values": {"visits": 300}},
        ]
        put = {"version": 0, "lines": lines, "note": "x", "submit": True}
        refused = key.put(f"/api/v1/forms/{address}", json=put)
        assert refused.json()["faults"] == [
            {"where": "2.visits", "detail": "Must be from 0 to 100."}
        ]
        both = put | {"version": 1, "values": {"visits": 1}}
        assert key.put(f"/api/v1/forms/{address}", json=both).status_code == 422
        got = officer.get(f"/forms/{address}/return.csv")
        assert got.headers["content-type"] == "text/csv; charset=utf-8"
        assert got.text.splitlines()[1] == f"{OURS},{returns.month()},Chợ,2"
        upload = ("bảng.csv", io.BytesIO(got.content.replace(b"300", b"30")))
        filled = {"version": (None, "1"), "act": (None, "save"), "workbook": upload}
        assert officer.post(f"/forms/{address}", files=filled).status_code == 303
        found = key.get(f"/api/v1/forms/{address}").json()
        assert [(x["line"], x["values"]) for x in found["lines"]] == [
            ("Chợ", {"visits": 2}), ("Ga", {"visits": 30}),
        ]  # fmt: skip
        (told,) = [x for x in key.get("/api/v1/forms").json() if x["dataset"] == "inspections"]
        assert told["lines"] == {
            "column": "facility", "title": "Facility", "added": True, "least": 1, "most": 4,
        }  # fmt: skip


def test_a_page_of_as_many_lines_as_there_may_be_is_saved(town: World) -> None:
    many = (
        TABLE.replace("OURS", OURS).replace("inspections", "long").replace("most: 4", "most: 500")
    )
    with town.house.db.transaction() as conn:
        registry.register(conn, parse_contract(many))
    at = f"/forms/long/{returns.month()}/{OURS}"
    with town.client("officer") as officer:
        lines = [(f"Cơ sở {n}", str(n % 100)) for n in range(500)]
        assert sent(officer, at, 0, "save", *lines).status_code == 303
        assert officer.get(at).text.count("<tr data-line") == 501  # with the one of the template


def test_a_workbook_that_is_kept_but_not_handed_in_is_what_the_page_goes_on_with(
    town: World,
) -> None:
    with town.house.db.transaction() as conn:
        registry.register(
            conn, parse_contract(TABLE.replace("OURS", OURS).replace("inspections", "uploaded"))
        )
    at = f"/forms/uploaded/{returns.month()}/{OURS}"
    book = f"agency,period,facility,visits\n{OURS},{returns.month()},Chợ,2\n{OURS},{returns.month()},12,\n"
    with town.client("officer") as officer:
        assert sent(officer, at, 0, "save", ("Cũ", "1")).status_code == 303
        version = version_of(officer.get(at).text)
        fields = {
            "version": (None, version), "act": (None, "submit"), "line.1": (None, "Cũ"),
            "cell.1.visits": (None, "1"), "workbook": ("bảng.csv", io.BytesIO(book.encode())),
        }  # fmt: skip
        refused = officer.post(at, files=fields)
        assert refused.status_code == 422
        assert 'value="Chợ"' in refused.text and 'value="12"' in refused.text
        assert 'value="Cũ"' not in refused.text
        assert "Line 2 (12), Visits:" in words(refused.text)
