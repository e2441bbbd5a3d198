"""The catalogue of data, its files, and the page that asks in SQL: what each person gets there."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import httpx
import pytest
from python_calamine import CalamineWorkbook

from dothi.lake import registry, rows
from dothi.lake.contract import parse_contract
from dothi.lake.model import Batch, RecordRows, Source
from dothi.lake.out import download
from tests.contract.world import OURS, World

T0 = datetime(2025, 6, 1, tzinfo=UTC)
NOTES = ["=1+1", "@SUM(A1)", "sông\nHạ", "<script>x</script>"]
NOTED = f"""
dataset: noted
kind: records
title: {{vi: Ghi chú, en: Notes}}
owner: {OURS}
key: [code]
columns:
  code: {{type: text, title: {{vi: Mã, en: Code}}, required: true}}
  note: {{type: text, title: {{vi: Ghi chú, en: Note}}}}
"""


@pytest.fixture(scope="module", autouse=True)
def stored(town: World) -> None:
    """Sixty hours of a gauge, half of them in the body, and records with nasty texts."""
    lake, own = town.house.lake, town.datasets["own"]
    given = [
        {"station": "G1", "time": (T0 + timedelta(hours=n)).isoformat(), "level": n / 10}
        for n in range(60)
    ]
    lake.commit(rows.batch_of(lake, own, given, Source("form")))
    lake.close_days(own.id, T0 + timedelta(hours=30))
    with town.house.db.transaction() as conn:
        noted = registry.register(conn, parse_contract(NOTED))
    made: list[dict[str, Any]] = [{"code": str(n), "note": note} for n, note in enumerate(NOTES)]
    keys = [one["code"] for one in made]
    lake.commit(Batch(noted.id, RecordRows(noted.id, keys, made, [1, 2, 3, 4]), Source("form")))


def test_the_catalogue_lists_what_one_may_read(town: World) -> None:
    def listed(who: str) -> set[str]:
        with town.client(who) as client:
            page = client.get("/data")
        assert page.status_code == 200
        return set(re.findall(r'href="/data/(\w+)"', page.text))

    assert {"own_gauges", "public_gauges", "shared_gauges", "vn_aqi_daily"} <= listed("officer")
    assert "other_gauges" not in listed("officer")
    assert "other_gauges" in listed("admin")
    assert not {"own_gauges", "shared_gauges", "noted"} & listed("anonymous")


def cells(page: str) -> list[list[str]]:
    table = page.rpartition("<tbody>")[2].partition("</tbody>")[0]
    found = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in table.split("</tr>")]
    return [[html.unescape(cell) for cell in row] for row in found if row]


def test_a_dataset_shows_its_newest_rows_and_what_was_chosen(town: World) -> None:
    with town.client("officer") as client:
        chosen = {"since": "2025-06-01", "until": "2025-06-02", "q": "value >= 1"}
        page = client.get("/data/own_gauges", params=chosen)
        more = html.unescape(
            re.findall(
                r'href="(/data/own_gauges\?[^"]*after=[^"]+)"',
                client.get("/data/own_gauges", params={"until": "2025-06-30"}).text,
            )[0]
        )
        second = client.get(more)
        wrong = client.get("/data/own_gauges", params={"q": "value >= x"})
        no_day = client.get("/data/own_gauges", params={"since": "soon"})
    # The days are those of Viet Nam, seven hours ahead: the last hour begins at 16:00 UTC.
    shown = cells(page.text)
    assert [row[-2] for row in shown] == [f"{n / 10:g}" for n in range(40, 9, -1)]
    assert shown[0][0] == "Gauge G1"
    assert [row[-2] for row in cells(second.text)] == [f"{n / 10:g}" for n in range(9, -1, -1)]
    assert wrong.status_code == no_day.status_code == 422
    assert "10:" in wrong.text and "“x”" in wrong.text
    assert "“soon”" in no_day.text


def fetched(client: httpx.Client, name: str, word: str, **params: str) -> bytes:
    answer = client.get(f"/data/{name}/file", params={"format": word} | params)
    assert answer.status_code == 200, answer.text
    attached = answer.headers["content-disposition"]
    assert attached.startswith(f'attachment; filename="{name}-') and attached.endswith(f'.{word}"')
    assert answer.headers["cache-control"] == "no-store"
    return answer.content


def test_a_file_holds_all_rows_chosen_in_every_form(town: World) -> None:
    chosen = {"since": "2025-06-02", "until": "2025-06-02"}
    expected = [n / 10 for n in range(17, 41)]
    with town.client("officer") as client:
        text = fetched(client, "own_gauges", "csv", **chosen).decode("utf-8-sig")
        sheet = fetched(client, "own_gauges", "xlsx", **chosen)
        parquet = fetched(client, "own_gauges", "parquet", **chosen)
        assert client.get("/data/own_gauges/file", params={"format": "exe"}).status_code == 404
    table = list(csv.DictReader(io.StringIO(text)))
    assert [float(row["value"]) for row in table] == expected
    assert table[0]["time"] == "2025-06-02T00:00:00+07:00"
    book = CalamineWorkbook.from_filelike(io.BytesIO(sheet)).get_sheet_by_index(0).to_python()
    place = {name: i for i, name in enumerate(book[0])}
    assert [row[place["value"]] for row in book[1:]] == expected
    assert book[2][place["time"]] == datetime(2025, 6, 2, 1)
    path = town.house.settings.home / "rows.parquet"
    path.write_bytes(parquet)
    found = duckdb.execute("SELECT value FROM read_parquet(?)", [str(path)]).fetchall()
    path.unlink()
    assert [value for (value,) in found] == expected


def test_texts_of_a_file_and_of_a_page_run_nowhere(town: World) -> None:
    with town.client("officer") as client:
        text = fetched(client, "noted", "csv").decode("utf-8-sig")
        page = client.get("/data/noted").text
    told = [row["note"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert told == ["'=1+1", "'@SUM(A1)", "sông\nHạ", "<script>x</script>"]
    assert "<script>x" not in page and "&lt;script&gt;x" in page


def test_more_rows_than_a_file_holds_are_refused_whole(
    town: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MOST_ROWS", 59)
    with town.client("officer") as client:
        answer = client.get(
            "/data/own_gauges/file", params={"format": "csv", "until": "2025-07-01"}
        )
        fewer = client.get(
            "/data/own_gauges/file", params={"format": "csv", "q": "value > 0.05 and value < 5.95"}
        )
    assert answer.status_code == 413
    assert fewer.status_code == 200


def test_the_sql_page_answers_and_keeps_nothing(town: World) -> None:
    question = {
        "sql": "SELECT count(*) AS n, '<b>' AS t FROM own_gauges WHERE value < 6",
        "limit": "5",
    }
    before = kept(town)
    with town.client("officer") as client:
        empty = client.get("/sql", params={"dataset": "own_gauges"})
        page = client.post("/sql", data=question)
        file = client.post("/sql/file", data=question | {"format": "csv"})
        refused = client.post("/sql", data={"sql": "SELECT * FROM other_gauges"})
        wrong = client.post("/sql/file", data={"sql": "SELECT 1", "limit": "many", "format": "csv"})
    assert "FROM own_gauges" in empty.text and "other_gauges" not in empty.text
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    [[count, text]] = cells(page.text)
    assert int(count) >= 60 and text == "<b>" and "<td><b></td>" not in page.text
    assert file.text.splitlines()[1] == f"{count},<b>"
    assert file.headers["content-disposition"].startswith("attachment")
    assert refused.status_code == wrong.status_code == 422
    assert "other_gauges" in refused.text
    assert kept(town) == before


def kept(town: World) -> list[Any]:
    with town.house.db.transaction() as conn:
        return [
            conn.execute("SELECT count(*) FROM audit_entry").fetchone(),
            conn.execute("SELECT count(*) FROM event").fetchone(),
        ]


def test_who_has_not_signed_in_is_asked_to(town: World) -> None:
    with town.client(headers={"accept": "text/html"}) as client:
        answer = client.get("/sql")
    assert answer.status_code in (303, 401)
    assert "/login" in answer.headers.get("location", "") + answer.text
