"""The search finds anything by the beginnings of its words, and only what the policy shows."""

from __future__ import annotations

import re

import pytest

from dothi.ioc.names import keep_names, words
from tests.contract.world import World


def found(town: World, who: str, query: str) -> list[str]:
    """The addresses found, best first."""
    with town.client(who) as client:
        answer = client.get("/search", params={"q": query}, headers={"accept-language": "vi"})
    assert answer.status_code == 200, query
    return re.findall(r'<li><a href="([^"]+)">', answer.text)


@pytest.fixture(scope="module")
def code(town: World) -> str:
    """A work item of another agency; all names are taken up."""
    made = town.new_work("other")
    keep_names(town.house.db)
    return made


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("vn_aqi_hourly", "/indicators/vn_aqi_hourly"),
        ("VN AQI giờ", "/indicators/vn_aqi_hourly"),
        ("vn aqi gio", "/indicators/vn_aqi_hourly"),
        ("CHẤT LƯỢNG KHÔNG KHÍ xung", "/data/air_quality"),
        ("chat luong khong khi xung", "/data/air_quality"),
        ("so xay dung", "/agencies/so-xd"),
        ("construct", "/agencies/so-xd"),
        ("man hinh lon", "/wall"),
        ("nhat ky", "/admin/audit"),
    ],
)
def test_names_are_found_with_and_without_accents_in_both_languages(
    town: World, code: str, query: str, first: str
) -> None:
    assert found(town, "admin", query)[0] == first


def test_a_work_item_is_found_by_its_code_its_title_and_parts_of_both(
    town: World, code: str
) -> None:
    for query in (code, code.lower(), code.replace("-", " "), code[3:], "muc nuoc cao"):
        assert f"/work/{code}" in found(town, "admin", query), query
    assert found(town, "admin", code)[0] == f"/work/{code}"


def test_nobody_finds_what_they_may_not_see(town: World, code: str) -> None:
    for who, sees in (("admin", True), ("operator", True), ("officer", False),
                      ("anonymous", False), ("feeder", False)):  # fmt: skip
        assert (f"/work/{code}" in found(town, who, code)) is sees, who
    for who, sees in (
        ("admin", {"own", "other", "public", "shared"}),
        ("officer", {"own", "public", "shared"}),
        ("anonymous", {"public"}),
    ):
        urls = found(town, who, "gauges")
        assert {u[6:-7] for u in urls if u.startswith("/data/")} == sees, who
    loads = {f"/loads/{number}": what for what, number in town.loads.items()}
    with town.client("admin") as client:
        names = {url: re.search(r'id="load-title">([^<]+)', client.get(url).text) for url in loads}
    for url, what in loads.items():
        name = names[url]
        assert name is not None
        assert url in found(town, "auditor", name[1])
        assert (url in found(town, "officer", name[1])) is (what != "other"), what
        assert found(town, "anonymous", name[1]) == []
    assert "/admin/audit" not in found(town, "officer", "nhat ky")


def test_a_new_name_comes_a_changed_one_follows_and_a_gone_one_goes(town: World) -> None:
    db = town.house.db
    with town.client("admin") as client:
        made = client.post(
            "/api/v1/datasets/own_gauges/things",
            json={"key": ["Z9"], "name": {"vi": "Cầu Phượng Hoàng", "en": "Phoenix bridge"}},
        )
        assert made.status_code == 201
    assert found(town, "admin", "phuong hoang") == []
    assert keep_names(db) >= 1
    assert len(found(town, "admin", "phuong hoang")) == 1
    with db.transaction() as conn:
        conn.execute("""UPDATE thing SET name = '{"vi": "Cầu Chim Lạc"}' WHERE key = '{Z9}'""")
    assert keep_names(db) == 1
    assert found(town, "admin", "phuong hoang") == []
    assert len(found(town, "admin", "chim lac z9")) == 1
    with db.transaction() as conn:
        conn.execute("DELETE FROM thing WHERE key = '{Z9}'")
    assert keep_names(db) == 1
    assert found(town, "admin", "chim lac") == []
    assert keep_names(db) == 0


@pytest.mark.parametrize(
    "query",
    ["'", '"; DROP TABLE search_name; --', "a & | ! <-> b:*", "%", "_", "\\", "( )", "—", "😀",
     "x" * 5000, " ".join("abcdefghijklmnop"), "<b>", "{{7*7}}", "2e5 -1 0x1F"],
)  # fmt: skip
def test_any_text_may_be_looked_for(town: World, code: str, query: str) -> None:
    for who in ("admin", "anonymous"):
        found(town, who, query)


def test_words_are_letters_and_digits_only() -> None:
    assert words("Đường tỉnh 391/2 (PM2.5) – SO₂") == "duong tinh 391 2 pm2 5 so2"
