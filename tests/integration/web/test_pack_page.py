"""A pack that nobody made a page for has one: the service of docs/packs.md, loaded and looked at."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from dothi.identity import accounts, keys
from dothi.identity.model import SYSTEM, Role
from dothi.identity.passwords import Passwords
from dothi.indicators.recompute import Recomputer
from dothi.kernel.time import VN, local_date, utc_now
from dothi.lake import registry
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item
from tests.contract.world import (
    OTHERS,
    PASSWORD,
    World,
    world,
)
from tests.integration.web.test_panels import until

PAGE = "/services/street-lighting"
TITLE = "Street lighting"
LIT = {"T-01": (45, 45, 45, 45, 20), "T-02": (30, 30, 30, 30, 30)}
"""Lamps of 50 that burned at 19, 20, … 23 o'clock yesterday: 80 % and 60 % of them."""


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The application with the service among its packs, its people, and one evening's file."""
    with world(server, template, tmp_path_factory.mktemp("home"), lit=True) as made:
        _settle(made)
        yield made


def _settle(made: World) -> None:
    hasher = Passwords(memory_kib=1024, passes=1)
    with made.house.db.transaction() as conn:
        made.accounts["lights"] = accounts.create_account(
            conn, login="lights", display_name="lights", agency=OTHERS,
            roles=[Role.OFFICER, Role.DATA], password=PASSWORD, hasher=hasher, actor=SYSTEM,
        ).id  # fmt: skip
        made.bearers["cabinets"] = keys.issue(
            conn, name="cabinets", agency=OTHERS, roles=[Role.DATA], actions=None, actor=SYSTEM,
            now=utc_now(),
        )[1]  # fmt: skip
        registry.put_thing(
            conn, registry.find(conn, "lighting"), key=["T-01"], lon=108.1, lat=13.1,
            name={"vi": "Tủ Bến Gỗ", "en": "Timber Wharf cabinet"},
        )  # fmt: skip
    day = local_date(utc_now(), VN) - timedelta(days=1)
    evening = datetime(day.year, day.month, day.day, 19, tzinfo=VN)
    lines = ["cabinet,time,lit,installed"]
    lines += [
        f"{cabinet},{evening + timedelta(hours=n):%Y-%m-%dT%H:%M:%S%z},{lit},50"
        for cabinet, counts in LIT.items()
        for n, lit in enumerate(counts)
    ]
    with made.client("cabinets") as client:
        files = {"file": ("evening.csv", "\n".join(lines).encode())}
        answer = client.post("/api/v1/datasets/lighting/files", files=files)
    assert answer.status_code == 201, answer.text
    worker = Recomputer(made.house.db, made.house.lake)
    while worker.advance():
        pass


def said(answer: httpx.Response) -> str:
    """The text that a page or panel shows."""
    assert answer.status_code == 200, answer.text
    body = answer.text
    if "<main" in body:
        body = body[body.index("<main") : body.index("</main>")]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def seen(town: World, who: str, path: str = PAGE, **more: Any) -> httpx.Response:
    with town.client(who) as client:
        return client.get(path, **more)


def test_the_page_shows_the_figures_of_a_file_that_came_over_http(town: World) -> None:
    page = said(seen(town, "lights"))
    # The tile shows the one that asks for most attention: of lamps lit more is better.
    assert re.search(r"Share of lamps lit .{0,60}60\.0 % Lowest", page), page
    assert re.search(r"Timber Wharf cabinet Lamps lit 20 · Lamps installed 50", page)
    assert re.search(r"T-02 Lamps lit 30 · Lamps installed 50", page)
    assert "80.0 %" in page
    assert "Agency in charge Department of Construction" in page
    assert "Quy chế quản lý hệ thống chiếu sáng công cộng" in page


def test_it_leads_to_indicator_data_explanation_and_the_form_that_gives_it_away(
    town: World,
) -> None:
    text = html.unescape(seen(town, "lights").text)
    for address in ("/indicators/lamps_lit", "/data/lighting", f"/agencies/{OTHERS}",
                    "/loads?dataset=lighting"):  # fmt: skip
        assert f'href="{address}"' in text, address
        assert seen(town, "lights", address).status_code == 200, address
    (explain,) = set(
        re.findall(r'class="why" href="(/ioc/explain\?[^"]*)"', text[: text.index("</ul>")])
    )
    assert "evening.csv" in said(seen(town, "lights", explain))
    (figure,) = set(re.findall(r'href="(/ioc/figure\?key=i_lamps_lit&r=[^"]*)"', text))
    number = seen(town, "lights", figure)
    assert "Give to an agency" in said(number) and "The period before" in said(number)
    assert "/ioc/assign?key=i_lamps_lit" in html.unescape(number.text)


def test_only_things_with_coordinates_are_on_its_map(town: World) -> None:
    text = seen(town, "lights").text
    assert "<dothi-map" in text
    assert len(re.findall(r"data-lon=", text)) == 1
    assert "VN_AQI" not in said(seen(town, "lights"))


def test_each_panel_comes_alone_and_its_tables_as_files(town: World) -> None:
    alone = {"hx-request": "true"}
    for panel, word in (("tiles", "Share of lamps lit"), ("stations", "T-02"), ("chart", "Share"),
                        ("data", "Lamps by cabinet"), ("work", "Open work items")):  # fmt: skip
        assert word in said(seen(town, "lights", f"{PAGE}/{panel}", headers=alone)), panel
        to = seen(town, "lights", f"{PAGE}/{panel}").headers["location"]
        assert to.startswith(PAGE) and to.endswith(f"#{panel}")
    assert seen(town, "lights", f"{PAGE}/moved", headers=alone).status_code == 404
    for what, cell in (("tiles", "Share of lamps lit"), ("data", "Lamps by cabinet")):
        file = seen(town, "lights", f"/ioc/download?what={what}&pack=street-lighting&format=csv")
        assert cell in file.text and "AQI" not in file.text
    assert seen(town, "lights", "/ioc/download?what=moved&pack=street-lighting").status_code == 404


def test_the_chart_offers_what_was_measured_at_the_same_thing(town: World) -> None:
    chart = seen(town, "lights", f"{PAGE}/chart", headers={"hx-request": "true"}).text
    offered = re.findall(r">(Share of lamps lit|Lamps lit|Lamps installed)</a>", chart)
    assert offered == ["Share of lamps lit", "Lamps lit", "Lamps installed"]


def test_only_its_own_work_stands_on_it(town: World) -> None:
    with town.house.db.transaction() as conn:
        for service, title in (("street-lighting", "Dark street"), ("environment", "Bad air")):
            opening = Opening(
                kind="alarm", title={"vi": title, "en": title}, severity=Severity.WARNING,
                agency_id=town.agencies[OTHERS], service=service,
            )  # fmt: skip
            open_item(conn, SYSTEM, opening)
    alone = {"hx-request": "true"}
    # The panel is kept until the work rings.
    until(lambda: "Dark street" in seen(town, "lights", f"{PAGE}/work", headers=alone).text)
    panel = seen(town, "lights", f"{PAGE}/work", headers=alone)
    for listed in (panel, seen(town, "lights", "/work?service=street-lighting", headers=alone)):
        assert "Dark street" in said(listed)
        assert "Bad air" not in said(listed)
    assert 'href="/work?service=street-lighting"' in panel.text


@pytest.mark.parametrize("who", ["anonymous", "officer", "auditor", "key"])
def test_who_may_see_nothing_of_it_meets_no_page_no_link_and_no_name(town: World, who: str) -> None:
    hidden, missing = seen(town, who), seen(town, who, "/services/no-such-pack")
    assert hidden.status_code == missing.status_code == 404
    assert seen(town, who, f"{PAGE}/tiles").status_code == 404
    assert PAGE not in seen(town, who, "/ioc").text
    assert PAGE not in seen(town, who, "/search?q=street").text


def test_it_stands_in_the_navigation_and_is_found_without_accents(town: World) -> None:
    shell = seen(town, "lights", "/data").text
    assert re.search(rf'<a href="{PAGE}"[^>]*>.*<span>{TITLE}</span></a>', shell)
    current = seen(town, "lights").text
    assert re.search(rf'<a href="{PAGE}"[^>]* aria-current="page">', current)
    vietnamese = {"accept-language": "vi"}
    found = seen(town, "lights", "/search?q=chieu sang", headers=vietnamese).text
    assert f'href="{PAGE}"' in found and "Chiếu sáng công cộng" in found


def test_packs_that_a_page_was_made_for_keep_it(town: World) -> None:
    assert "VN_AQI" in seen(town, "admin", "/services/environment").text
    nav = seen(town, "admin").text
    nav = nav[nav.index("<nav") : nav.index("</nav>")]
    assert (
        len(re.findall(r'href="/services/', nav))
        == len(set(re.findall(r'href="(/services/[^"]*)', nav)))
        == 3
    )
    with town.client("admin") as client:
        assert f'<a href="{PAGE}">' in client.get("/admin/packs").text


def test_the_page_is_laid_out_as_the_pack_says(town: World) -> None:
    page = seen(town, "lights")
    text = said(page)
    order = ["A cabinet with fewer than 90 %", "Key figures", "Cabinets in order", "Monitored points",
             "Open work items", "Data and quality", "About this service"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    league = text[text.index("Cabinets in order") :]
    assert re.match(r"Cabinets in order .{0,80}1 T-02 .{0,60}60\.0 %.{0,80}2 Timber Wharf cabinet ",
                    league)  # fmt: skip
    assert re.search(rf'href="{PAGE}\?r=7d"[^>]*aria-(current|pressed)="(true|page)"', page.text)


def test_a_list_of_the_layout_comes_alone_and_nothing_else_by_its_name(town: World) -> None:
    alone = {"hx-request": "true"}
    answer = seen(town, "lights", f"{PAGE}/section-2", headers=alone)
    assert "Timber Wharf cabinet" in said(answer) and 'id="section-2"' in answer.text
    assert seen(town, "lights", f"{PAGE}/section-2").headers["location"].endswith("#section-2")
    for name in ("section-0", "section-99", "section-", "section-x", "section--1"):
        assert seen(town, "lights", f"{PAGE}/{name}", headers=alone).status_code == 404, name


def test_a_pack_with_a_page_of_its_own_has_its_layout_beside_it(town: World) -> None:
    board = seen(town, "admin", "/board/environment")
    assert "Surface water" in said(board) and "Noise" in said(board)
    for who in ("anonymous", "lights"):
        assert seen(town, who, "/board/environment").status_code == 200
        assert 'href="/board/environment"' in seen(town, who, "/ioc").text
    assert seen(town, "lights", "/board/street-lighting").status_code == 404
    assert seen(town, "admin", "/board/no-such-pack").status_code == 404
    alone = {"hx-request": "true"}
    tiles = seen(town, "admin", "/board/environment/tiles", headers=alone)
    assert 'hx-get="/board/environment/tiles' in tiles.text
