"""The reader assistant's page: a person looks at a file, judges the contract, and has a dataset."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dothi.identity import audit
from dothi.lake import registry
from tests.contract.world import OTHERS, OURS, World, world
from tests.integration.reading.test_forms import FORMS

LEVELS = "Ngày;Mực nước (m);Ghi chú\n31/01/2026;1,5;<b>cao</b>\n01/02/2026;-;\n02/02/2026;2,25;\n"


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The whole web application over HTTP."""
    with world(server, template, tmp_path_factory.mktemp("home")) as made:
        yield made


def looked_at(client: httpx.Client, name: str, content: bytes, **how: str) -> httpx.Response:
    return client.post("/loads/inspect", files={"file": (name, content)}, data=how)


def form_of(page: httpx.Response) -> dict[str, str]:
    """What the form to confirm would send."""
    assert page.status_code in (200, 403, 409, 422), page.text
    below = page.text[page.text.index('action="/loads/inspect/define"') :]
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', below)
    (text,) = re.findall(r"<textarea[^>]*>\n([^<]*)</textarea>", below)
    return {n: html.unescape(v) for n, v in [*fields, ("contract", text)]}


def confirmed(client: httpx.Client, form: dict[str, str], **changed: str) -> httpx.Response:
    return client.post("/loads/inspect/define", data=form | changed)


def test_a_file_nobody_knew_becomes_a_dataset_with_its_rows(town: World) -> None:
    with town.client("data") as client:
        page = looked_at(client, "mực nước sông Ba.csv", LEVELS.encode())
        assert "31/01/2026" in page.text
        assert "<b>cao</b>" not in page.text
        assert "decimal comma" in page.text
        form = form_of(page)
        assert f"owner: {OURS}" in form["contract"]
        done = confirmed(client, form)
        assert done.status_code == 303
        load = client.get(done.headers["location"])
        assert "muc_nuoc_song_ba" in client.get("/api/v1/datasets").text
        assert "The dataset was made" in load.text
        # Nothing waits in the files any more, and what was read is what stood there.
        assert list(town.house.files.folder.glob("upload-*")) == []
        rows = client.get("/api/v1/datasets/muc_nuoc_song_ba/rows").json()["rows"]
    assert [(r["value"], r["quality"]) for r in rows] == [
        (1.5, "valid"), (None, "missing"), (2.25, "valid"),
    ]  # fmt: skip
    with town.house.db.transaction() as conn:
        kinds = conn.execute(
            "SELECT subject FROM event WHERE kind = %s", (audit.PREFIX + "dataset.defined",)
        ).fetchall()
    assert ("dataset:muc_nuoc_song_ba",) in kinds


def test_what_is_wrong_with_the_contract_is_said_and_the_text_stays(town: World) -> None:
    with town.client("data") as client:
        form = form_of(looked_at(client, "a.csv", LEVELS.encode()))
        wrong = form["contract"].replace("kind: series", "kind: serious") + "colour: blue\n"
        page = confirmed(client, form, contract=wrong)
        assert page.status_code == 422
        assert "serious" in page.text and "colour" in page.text
        assert form_of(page)["contract"] == wrong
        # A contract that does not fit its file makes no dataset.
        other = form["contract"].replace("column: Ngày", "column: Tháng")
        page = confirmed(client, form, contract=other)
        assert page.status_code == 422
        assert "Tháng" in page.text
        assert client.get("/api/v1/datasets/a").status_code == 404
        assert confirmed(client, form_of(page), contract=form["contract"]).status_code == 303


def test_a_name_that_is_taken_is_not_taken_over(town: World) -> None:
    with town.client("data") as client:
        form = form_of(looked_at(client, "other_gauges.csv", LEVELS.encode()))
        page = confirmed(client, form)
        assert page.status_code == 409
        assert "other_gauges" in page.text
        assert "/loads?dataset=other_gauges" not in page.text, "nothing of theirs is loaded there"
        form = form_of(looked_at(client, "own_gauges.csv", LEVELS.encode()))
        page = confirmed(client, form)
        assert page.status_code == 409
        assert 'href="/loads?dataset=own_gauges"' in page.text
    with town.house.db.transaction() as conn:
        assert registry.find(conn, "other_gauges").contract.owner == OTHERS


def test_a_first_file_that_cannot_be_loaded_leaves_no_dataset(town: World) -> None:
    far = "day,level\n01/01/2090,1\n02/01/2090,2\n03/01/2090,3\n"
    with town.client("data") as client:
        form = form_of(looked_at(client, "far level.csv", far.encode()))
        assert "kind: series" in form["contract"]
        page = confirmed(client, form)
        assert page.status_code == 422, "every value lies in the future"
        assert client.get("/api/v1/datasets/far_level").status_code == 404
        # The next try may say something else altogether under the same name.
        near = "id,name\nPA-1,a\nPA-2,b\n"
        form = form_of(looked_at(client, "far level.csv", near.encode()))
        assert confirmed(client, form).status_code == 303


def test_only_who_may_share_shares_by_a_contract(town: World) -> None:
    sharing = "sharing: {public: true, ground: Quyết định 1}\n"
    with town.client("data") as client:
        form = form_of(looked_at(client, "shared level.csv", LEVELS.encode()))
        assert confirmed(client, form, contract=form["contract"] + sharing).status_code == 403
        theirs = form["contract"].replace(f"owner: {OURS}", f"owner: {OTHERS}")
        assert confirmed(client, form, contract=theirs).status_code == 403
        nobody = form["contract"].replace(f"owner: {OURS}", "owner: nobody")
        assert confirmed(client, form, contract=nobody).status_code == 422
    with town.client("admin") as client:
        form = form_of(looked_at(client, "shared level.csv", LEVELS.encode()))
        assert confirmed(client, form, contract=form["contract"] + sharing).status_code == 303


def test_a_kept_file_is_only_for_who_sent_it(town: World) -> None:
    with town.client("data") as client:
        form = form_of(looked_at(client, "mine.csv", LEVELS.encode()))
    with town.client("admin") as client:
        page = confirmed(client, form)
        assert page.status_code == 422
        assert "not kept" in page.text
        for mark in ("../" + form["mark"], "", "x" * 32):
            assert confirmed(client, form, mark=mark).status_code == 422
    with town.client("data") as client:
        looked_at(client, "newer.csv", LEVELS.encode())
        assert confirmed(client, form).status_code == 422
        assert len(list(town.house.files.folder.glob("upload-*"))) == 1


def test_what_a_person_says_of_the_file_is_kept_up_to_the_load(town: World, tmp_path: Path) -> None:
    with town.client("data") as client:
        page = looked_at(client, "x.csv", b"a;b\nc;d\n1;2\n3;4\n")
        assert page.status_code == 200
        kept = form_of(page)
        again = client.post(
            "/loads/inspect",
            files={"file": ("", b"")},
            data={"mark": kept["mark"], "name": kept["name"], "header_row": "2"},
        )
        form = form_of(again)
        assert form["header_row"] == "2"
        assert "column: c" in form["contract"]
        assert confirmed(client, form).status_code == 303
        FORMS["xlsx"](tmp_path / "x.xlsx")
        page = looked_at(client, "x.xlsx", (tmp_path / "x.xlsx").read_bytes(), sheet="Bảng 7")
        assert page.status_code == 422
        assert "Bảng 1" in page.text
        assert looked_at(client, "y.csv", b"a\n1\n", header_row="two").status_code == 422


def test_a_hostile_file_is_refused_on_the_page(town: World) -> None:
    with town.client("data") as client:
        page = looked_at(client, "map.csv", b"<OGRVRTDataSource/>")
        assert page.status_code == 422
        assert "XML" in page.text
        contract = client.post("/loads/inspect/contract.yaml", data={"contract": "dataset: x\r\n"})
        assert contract.content == b"dataset: x\n"
        assert contract.headers["content-disposition"].startswith("attachment")
