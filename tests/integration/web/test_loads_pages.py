"""One load's page, what rests on a load, and agencies compared: in both languages, from real files."""

from __future__ import annotations

import html
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dothi.identity.model import SYSTEM
from dothi.indicators.recompute import Recomputer
from dothi.ioc import load_use
from dothi.kernel.time import VN, utc_now
from dothi.lake import registry, rows
from dothi.lake.contract import parse_contract
from dothi.lake.loading import load_file
from dothi.lake.model import Batch, Clash, Quality, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.lake.sharing import decide_sharing
from tests.contract.world import OTHERS, OURS, World

CONTRACTS = Path(__file__).parents[1] / "lake" / "contracts"
SHOWN = {
    ("requests_sf311", "citizen_sf311/311_service_requests.csv.gz"): {
        "vi": [
            ("Đóng trước khi tiếp nhận", "17"), ("Không có vị trí: tọa độ (0, 0)", "4.264"),
            ("Ô chữ có xuống dòng Ghi chú: 139", "139"),
        ],
        "en": [
            ("Closed before it was opened", "17"), ("No place: coordinates (0, 0)", "4,264"),
            ("Text cells with line breaks Notes: 139", "139"),
        ],
    },
    ("climate_imhen", "hydro_vn_imhen/meteo.csv"): {
        "vi": [
            ("trong khoảng thời gian của từng đối tượng trên 38.328 kỳ của 67 đối tượng", "480"),
            ("so với lưới đầy đủ trên 45.828 kỳ của 67 đối tượng", "7.980"),
        ],
        "en": [
            ("within each place's own span of 38,328 periods of 67 places", "480"),
            ("against the full grid of 45,828 periods of 67 places", "7,980"),
        ],
    },
    (
        "gso_table",
        "indicators_vn_gso_2018/csv/Average population by province.csv",
    ): {
        "vi": [("province: 64, region: 6, country: 1", "71"), ("Nguồn ghi là thiếu số liệu", "180")],
        "en": [("province: 64, region: 6, country: 1", "71"), ("Marked missing by the source", "180")],
    },
    ("hospitals_osm", "poi_osm_hanoi/osm_overpass_hospital_hanoi.json"): {
        "vi": [("Không có tên", "10")],
        "en": [("Without a name", "10")],
    },
}  # fmt: skip


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def loaded(town: World, contract: str, path: Path) -> int:
    source = (CONTRACTS / f"{contract}.yaml").read_text("utf-8")
    with town.house.db.transaction() as conn:
        dataset = registry.register(
            conn, parse_contract(source.replace("owner: demo", f"owner: {OURS}"))
        )
    return load_file(town.house.lake, town.house.files, dataset, path).outcome.load_id


@pytest.mark.parametrize(("what", "told"), SHOWN.items(), ids=[name for name, _ in SHOWN])
def test_what_is_odd_in_real_files_is_shown_in_words(
    town: World, shared: Path, what: tuple[str, str], told: dict[str, list[tuple[str, str]]]
) -> None:
    contract, name = what
    path = shared / "data" / name
    if not path.exists():
        pytest.skip(f"the real data set is missing: {path}")
    load = loaded(town, contract, path)
    for lang, lines in told.items():
        with town.client("data", headers={"accept-language": lang}) as client:
            page = client.get(f"/loads/{load}")
        assert page.status_code == 200
        findings = re.findall(r'<li class="finding.*?</li>', page.text, re.DOTALL)
        seen = [text_of(f) for f in findings]
        for words, count in lines:
            if words.startswith("province"):
                count = "7"
            assert any(words in line and line.endswith(count) for line in seen), (words, seen)


def gauge(values: dict[str, str]) -> dict[str, Any]:
    text = "station,time,level\n" + "".join(f"G1,{at},{v}\n" for at, v in values.items())
    return {"file": ("gauge.csv", io.BytesIO(text.encode()))}


def test_a_load_tells_its_gaps_its_drift_and_what_undoing_it_takes_away(town: World) -> None:
    at = utc_now().astimezone(VN).replace(minute=0, second=0, microsecond=0)
    hours = [(at - timedelta(days=400, hours=-n)).isoformat(" ") for n in range(10)]
    with town.client("data") as client:
        where = "/api/v1/datasets/own_gauges/files"
        first = client.post(where, files=gauge(dict.fromkeys(hours, "1"))).json()["load"]
        some = {at: "3" for at in hours if at not in hours[3:7]}
        second = client.post(where, files=gauge(some)).json()["load"]
        page = text_of(client.get(f"/loads/{second}").text)
        assert "Rows 10 6" in page, "drift"
        assert "Mean: Level, Gauge G1 1.00 3.00" in page
        assert f"{hours[2][11:16]}" in page and "Longest gaps" in page
        use = text_of(client.get(f"/loads/{first}/use", headers={"hx-request": "true"}).text)
        assert "Rows that still count 4" in use
        client.post(f"/loads/{second}/undo")
        use = text_of(client.get(f"/loads/{first}/use").text)
        assert "Rows that still count 10" in use
        assert "own_gauges" not in use
        client.post(f"/loads/{first}/undo")


STALLS = """
dataset: {name}
kind: records
title: {{vi: Sạp hàng, en: Stalls}}
owner: {owner}
key: [code]
columns:
  code: {{type: text, title: {{vi: Mã sạp, en: Stall}}}}
  staff: {{type: integer, title: {{vi: Nhân viên, en: Staff}}}}
  seen_at: {{type: instant, title: {{vi: Kiểm tra lúc, en: Seen}}}}
  holder: {{type: text, title: {{vi: Người thuê, en: Held by}}}}
  kind: {{type: text, title: {{vi: Loại, en: Kind}}}}
sharing: {sharing}
"""


def contradicting(
    town: World, folder: Path, owner: str, sharing: str, stall: str = "B7"
) -> tuple[Dataset, int]:
    """A dataset of stalls, and a load in which one stands twice."""
    text = STALLS.format(name=f"stalls_{owner.replace('-', '_')}", owner=owner, sharing=sharing)
    with town.house.db.transaction() as conn:
        dataset = registry.register(conn, parse_contract(text))
    path = folder / "stalls.csv"
    path.write_text(
        "code,staff,seen_at,holder,kind\n"
        f"{stall},1200,2026-03-01T08:00:01Z,<b>An</b>,fish\n"
        f"{stall},1300,2026-03-01T08:00:02Z,Bình,fish\n"
    )
    return dataset, load_file(town.house.lake, town.house.files, dataset, path).outcome.load_id


def test_records_that_contradict_are_shown_where_they_differ_and_decided_on_the_page(
    town: World, tmp_path: Path
) -> None:
    _, load = contradicting(town, tmp_path, OURS, "{}")
    with town.client("officer") as client:
        assert "Keep this row" not in client.get(f"/loads/{load}").text
    with town.client("data") as client:
        page = client.get(f"/loads/{load}").text
        article = re.findall(r'<article class="conflict".*?</article>', page, re.DOTALL)[0]
        assert "<b>An</b>" not in page
        differing = re.findall(r'<div class="differs">.*?</div></li>', article, re.DOTALL)
        assert [text_of(one) for one in differing] == [
            "Staff 1,200 Seen 2026-03-01T08:00:01+00:00 Held by <b>An</b>",
            "Staff 1,300 Seen 2026-03-01T08:00:02+00:00 Held by Bình",
        ], "two seconds of one minute are told apart"
        assert "Stall: B7" in text_of(article)
        assert "Columns that agree (1) Kind fish" in text_of(article)
        (second,) = re.findall(r'action="(/conflicts/\d+/2)"', article)
        api = client.get(f"/api/v1/loads/{load}/conflicts").json()
        assert [row["values"]["holder"] for row in api["conflicts"][0]["candidates"]] == [
            "<b>An</b>",
            "Bình",
        ]
        assert client.post(second).status_code == 303
        page = client.get(f"/loads/{load}").text
        article = re.findall(r'<article class="conflict".*?</article>', page, re.DOTALL)[0]
        chosen = re.findall(r'<li class="chosen">.*?</li>', article, re.DOTALL)
        assert len(chosen) == 1 and "Row 2" in text_of(chosen[0]) and "Kept" in text_of(chosen[0])
        assert "Keep this row" not in article and "Decided by data" in text_of(article)


def test_a_corrected_file_leaves_nothing_to_decide_and_page_and_program_say_so(
    town: World, tmp_path: Path
) -> None:
    dataset, load = contradicting(town, tmp_path, OURS, "{}", "B8")
    path = tmp_path / "corrected.csv"
    path.write_text("code,staff,seen_at,holder,kind\nB8,1250,2026-03-02T08:00:00Z,Bình,fish\n")
    corrected = load_file(town.house.lake, town.house.files, dataset, path).outcome.load_id
    with town.client("data") as client:
        (told,) = client.get(f"/api/v1/loads/{load}/conflicts").json()["conflicts"]
        assert told["overtaken_by"] == corrected
        page = client.get(f"/loads/{load}").text
        article = re.findall(r'<article class="conflict".*?</article>', page, re.DOTALL)[0]
        assert f'href="/loads/{corrected}"' in article and "Keep this row" not in article
        assert f"by load {corrected} (corrected.csv)" in text_of(article)
        refused = client.post(f"/api/v1/conflicts/{told['id']}", json={"keep": 1})
        assert refused.status_code == 409 and f"load {corrected} " in refused.json()["detail"]
        assert client.delete(f"/api/v1/loads/{corrected}").status_code == 204
        page = client.get(f"/loads/{load}").text
        assert "Keep this row" in page and "Nothing to decide" not in page


def test_a_program_gets_all_contradictions_page_by_page(town: World) -> None:
    house, dataset = town.house, town.datasets["own"]
    stream = town.stream("own")
    first = datetime(2021, 5, 1, tzinfo=UTC)
    times = [first + timedelta(minutes=n) for n in range(450)]
    candidates = [{"row": n, "value": float(n), "quality": 0} for n in (1, 2)]
    clash = [int(Quality.CONFLICT)] * 450
    values = SeriesRows([stream] * 450, times, [1.0] * 450, clash, [1] * 450)
    clashes = [Clash(stream, t, candidates) for t in times]
    load = house.lake.commit(Batch(dataset.id, values, Source("file"), clashes=clashes)).load_id
    with town.client("data") as client:
        address, seen, after = f"/api/v1/loads/{load}/conflicts", [], None
        page = client.get(address).json()
        assert (len(page["conflicts"]), page["limit"]) == (200, 200)
        decided = page["conflicts"][0]["id"]
        assert client.post(f"/api/v1/conflicts/{decided}", json={"keep": 2}).status_code == 201
        while True:
            params = {"limit": 150, "waiting": True} | ({"after": after} if after else {})
            page = client.get(address, params=params).json()
            seen += [one["time"] for one in page["conflicts"]]
            after = page["next"]
            if after is None:
                break
            assert len(page["conflicts"]) == 150
        assert [datetime.fromisoformat(t) for t in seen] == times[1:]
        assert "first 200 contradictions" in text_of(client.get(f"/loads/{load}").text)
        assert client.get(address, params={"after": "x"}).status_code == 422
        assert client.get(address, params={"limit": 5000}).status_code in (400, 422)


def test_what_is_hidden_of_a_shared_dataset_is_hidden_in_its_contradictions(
    town: World, tmp_path: Path
) -> None:
    dataset, load = contradicting(
        town, tmp_path, OTHERS, f"{{agencies: [{OURS}], ground: for tests}}"
    )
    with town.client("data") as client:
        for hidden, seen in (
            ([], "Bình"),
            (["holder"], "1,300"),
            (["holder", "staff", "seen_at"], ""),
        ):
            with town.house.db.transaction() as conn:
                decide_sharing(
                    conn, dataset, public=False, agencies=[OURS], hidden=hidden, ground="for tests",
                    valid_from=utc_now().date() - timedelta(days=1), valid_to=None, actor=SYSTEM,
                )  # fmt: skip
            page, api = (
                client.get(where).text
                for where in (f"/loads/{load}", f"/api/v1/loads/{load}/conflicts")
            )
            assert ("Bình" in page, "Bình" in api) == (("holder" not in hidden),) * 2
            assert seen in page and ("conflict-" in page) == bool(seen)
            assert (json.loads(api)["conflicts"] == []) is not bool(seen)
            assert "Keep this row" not in page
            # Nor do extremes and counts of the load's report tell of what is hidden.
            report = client.get(f"/api/v1/loads/{load}").json()["report"]
            told = {column["name"] for column in report["columns"]}
            assert told == {"code", "staff", "seen_at", "holder", "kind"} - set(hidden)
            parts = page.partition('id="parts-title"')[2]
            assert "Stall" in parts and ("1,200" in parts) is ("staff" not in hidden)


def test_figures_that_would_change_are_told_before_a_load_is_taken_out(
    town: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, air = town.house, town.datasets["air"]
    first = datetime(2025, 2, 1, tzinfo=VN)
    given = [
        {"station": "DT-01", "time": (first + timedelta(hours=n)).isoformat(), "pm25": 40.0}
        for n in range(1, 25)
    ]
    load = house.lake.commit(rows.batch_of(house.lake, air, given, Source("form"))).load_id
    worker = Recomputer(house.db, house.lake)
    while worker.advance():
        pass
    with town.client("admin") as client:
        page = text_of(client.get(f"/loads/{load}/use").text)
        assert re.search(r"2025 40(\.0)? —", page), page
        assert "Figures that would change" in page
        monkeypatch.setattr(load_use, "MOST_FORESEEN", 10)
        page = text_of(client.get(f"/loads/{load}/use").text)
        assert "more than 10 values" in page
        assert "Figures that would change" not in page


def test_the_list_is_narrowed_to_a_dataset_one_may_know_of(town: World) -> None:
    with town.client("officer") as client:
        own = client.get("/loads?dataset=own_gauges")
        assert own.status_code == 200
        assert f"/loads/{town.loads['own']}" in own.text
        assert f"/loads/{town.loads['public']}" not in own.text
        assert client.get("/loads?dataset=other_gauges").status_code == 404
        assert client.get("/loads?dataset=nothing").status_code == 404


def test_agencies_stand_by_what_they_brought(town: World) -> None:
    now = utc_now().replace(minute=0, second=0, microsecond=0)
    hours = {f"{now - timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ}": str(n % 5) for n in range(24)}
    with town.client("data") as client:
        client.post("/api/v1/datasets/own_gauges/files", files=gauge(hours))
    with town.client("auditor") as client:
        told = {one["agency"]: one for one in client.get("/api/v1/agencies/quality").json()}
        page = text_of(client.get("/loads/agencies").text)
    with town.house.db.transaction() as conn:
        names = dict(conn.execute("SELECT code, name_en FROM agency").fetchall())
    ours = {d["name"]: d for d in told[names[OURS]]["datasets"]}
    assert ours["own_gauges"]["freshness"] == 1.0
    assert "vn_aqi_hourly" not in ours, "what is computed is nobody's delivery"
    late = {d["name"]: d for d in told[names[OTHERS]]["datasets"]}
    assert late["public_gauges"]["freshness"] == 0.0, "its newest value is two days old"
    assert late["public_gauges"]["rejected"] == 2, "a time and a value of one row"
    assert names[OTHERS] in page and names[OURS] in page
    with town.client("officer") as client:
        seen = client.get("/api/v1/agencies/quality").json()
    assert "other_gauges" not in {d["name"] for one in seen for d in one["datasets"]}


def test_a_workbook_is_for_those_who_may_load(town: World) -> None:
    with town.client("data") as client:
        answer = client.get("/api/v1/datasets/own_gauges/workbook.xlsx")
        assert answer.status_code == 200
        assert answer.content[:2] == b"PK"
        page = client.get("/loads?dataset=own_gauges").text
        assert "/api/v1/datasets/own_gauges/workbook.xlsx" in page
    with town.client("officer") as client:
        assert client.get("/api/v1/datasets/own_gauges/workbook.xlsx").status_code == 403
        assert "workbook.xlsx" not in client.get("/loads?dataset=own_gauges").text


def test_a_file_is_given_back_under_its_own_kind(town: World) -> None:
    at = datetime(2024, 2, 3, tzinfo=UTC)
    with town.client("data") as client:
        load = client.post(
            "/api/v1/datasets/own_gauges/files", files=gauge({at.isoformat(): "1"})
        ).json()["load"]
        answer = client.get(f"/api/v1/loads/{load}/file")
    assert f'filename="load-{load}.csv"' in answer.headers["content-disposition"]


def test_a_file_goes_into_a_dataset_from_the_screen(town: World) -> None:
    where = "/loads/into/own_gauges"
    with town.client("data") as client:
        assert f'action="{where}"' in client.get("/loads?dataset=own_gauges").text
        sent = gauge({"2023-05-06T07:00:00+07:00": "1.25"})
        done = client.post(where, files=sent)
        assert done.status_code == 303
        page = client.get(done.headers["location"])
        assert "The file was loaded" in page.text
        assert f'action="{where}"' in page.text, "a corrected file is loaded from here"
        assert '<a href="/data/own_gauges">' in page.text
        again = client.post(where, files=gauge({"2023-05-06T07:00:00+07:00": "1.25"}))
        assert (
            again.headers["location"].partition("?")[0]
            == done.headers["location"].partition("?")[0]
        )
        assert "loaded before" in client.get(again.headers["location"]).text
        page = client.post(where, files={"file": ("x.csv", b"a,b\n1,2\n")})
        assert page.status_code == 422
        assert "station" in text_of(page.text) and f'action="{where}"' in page.text
        assert client.post(where, files={"file": ("", b"")}).status_code == 422
    with town.client("officer") as client:
        assert where not in client.get("/loads?dataset=own_gauges").text
        assert client.post(where, files=gauge({"2023-05-06": "1"})).status_code == 403
