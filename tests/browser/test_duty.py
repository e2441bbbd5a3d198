"""Duty in a real browser: who is on call on a phone, the roster, the log, the brief as paper."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Look
from tests.browser.product import OUT, Product

pytestmark = pytest.mark.slow
PAGES = ("/duty", "/duty/roster", "/duty/log", "/duty/brief", "edit")


@pytest.fixture(scope="module")
def leader(product: Product) -> Iterator[httpx.Client]:
    """The leader of the demonstration's operations centre, once there is a brief."""
    with httpx.Client(base_url=product.address, timeout=120) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        (password,) = product._said(r"lanhdaoioc\s+mật khẩu: (\S+)")
        form = {"username": "lanhdaoioc", "password": password}
        assert client.post("/login", data=form).status_code == 303
        product.until(
            lambda: client.get("/duty/brief?agency=ioc").status_code == 303, 240, "the first brief"
        )
        yield client


def address_of(client: httpx.Client, path: str) -> str:
    if path != "edit":
        return path
    return client.get("/duty/brief?agency=ioc").headers["location"] + "&edit=1"


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_nothing_runs_out_of_the_page(
    open_page: Look, leader: httpx.Client, theme: str, size: tuple[int, int]
) -> None:
    for path in PAGES:
        screen = open_page(address_of(leader, path), theme=theme, size=size, session=leader)
        name = "duty-brief-edit" if path == "edit" else path.strip("/").replace("/", "-")
        screen.page.screenshot(path=OUT / f"{name}-{theme}-{size[0]}.png", full_page=True)
        assert screen.axe() == [], path
        assert screen.page.evaluate("document.documentElement.scrollWidth") == size[0], path
        assert screen.crowded() == [], path
        text = screen.page.locator("main").inner_text()
        for wrong in ("{", "undefined", "None", "duty."):
            assert wrong not in text, (path, wrong)
        screen.close()


def test_a_phone_shows_who_is_on_call_first(open_page: Look, leader: httpx.Client) -> None:
    page = open_page("/duty", size=(390, 844), session=leader).page
    first = page.locator(".on-call .on-duty b").first
    expect(first).to_contain_text("Trực ban")
    box = first.bounding_box()
    assert box and box["y"] + box["height"] < 844, "without scrolling"
    expect(page.locator(".gap-list li").first).to_contain_text("chưa có người trực")


def test_a_leader_writes_by_keyboard_and_the_brief_prints_as_paper(
    open_page: Look, leader: httpx.Client
) -> None:
    page = open_page("/duty/log", session=leader).page
    page.get_by_label("Nội dung", exact=True).focus()
    page.keyboard.type("Kiểm tra bằng bàn phím")
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".log .said").last).to_have_text("Kiểm tra bằng bàn phím")

    page.goto(page.url.split("/duty")[0] + address_of(leader, "/duty/brief"))
    page.emulate_media(media="print")
    expect(page.locator(".brief h2")).to_contain_text("Bản tin sáng ngày")
    for hidden in (".brief .panel-foot", ".choices", ".side"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.get_by_text(re.compile("Lịch sử phiên bản"))).to_be_hidden()
