"""The leader's page in a real browser: on a phone in one hand, by keyboard, with and without scripts."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SIZES, Look
from tests.browser.product import OUT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("computed")]
PAGES = ("/leader", "/leader/fix", "/admin/targets")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_nothing_runs_out_of_the_page(
    open_page: Look, admin: httpx.Client, theme: str, size: tuple[int, int]
) -> None:
    for path in PAGES:
        screen = open_page(path, theme=theme, size=size, session=admin)
        name = re.sub(r"\W+", "-", path.strip("/"))
        screen.page.screenshot(path=OUT / f"{name}-{theme}-{size[0]}.png", full_page=True)
        assert screen.axe() == [], path
        assert screen.page.evaluate("document.documentElement.scrollWidth") == size[0], path
        screen.close()


def test_every_number_says_what_who_and_how_it_stands(open_page: Look, admin: httpx.Client) -> None:
    screen = open_page("/leader", size=(390, 844), session=admin)
    numbers = screen.page.locator("#numbers > ol > li")
    assert numbers.count() >= 7
    for number in numbers.all():
        expect(number.locator(".number-value b")).to_have_text(re.compile(r"\d|—"))
        expect(number.locator(".status").first).to_have_text(re.compile(r"\w"))
        expect(number.locator(".status svg").first).to_be_visible()
        expect(number.locator(".number-who p").first).to_contain_text("Chịu trách nhiệm:")
    text = screen.page.locator("main").inner_text()
    for wrong in ("{", "undefined", "NaN", "None", "leader."):
        assert wrong not in text, wrong
    assert "Mục tiêu: không quá 100" in text and "cần xác minh" in text
    for button in screen.page.locator("#numbers .urge button").all():
        box = button.bounding_box()
        assert box and box["height"] >= 44 and box["width"] >= 44
    assert screen.crowded_at(*SIZES) == {}


def test_urging_takes_one_key_and_the_page_says_what_came_of_it(
    open_page: Look, admin: httpx.Client
) -> None:
    page = open_page("/leader", size=(390, 844), session=admin).page
    number = page.locator("#numbers > ol > li").last
    title = number.locator("h3").inner_text()
    number.locator("h3 a").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.urge button')"):
            break
    page.keyboard.press("Enter")
    urged = number.locator(".urged")
    expect(urged).to_contain_text("Đã đôn đốc lần 1")
    expect(number.locator(".urge button")).to_have_count(0)
    urged.locator("a").click()
    expect(page.locator("main")).to_contain_text(f"Đôn đốc: {title}")
    expect(page.locator("main")).to_contain_text("Đôn đốc lần 1")


def test_without_scripts_the_button_is_a_form(admin: httpx.Client) -> None:
    text = admin.get("/leader").text
    action = re.search(r'action="(/leader/urge\?key=i_vn_aqi_hourly)"', text)
    if action:  # nobody urged it yet in this run
        answer = admin.post(action[1])
        assert answer.status_code == 303 and "done=urged#" in answer.headers["location"]
    again = admin.post("/leader/urge?key=i_vn_aqi_hourly")
    assert again.status_code == 303 and "done=urged_before" in again.headers["location"]
    page = admin.get(again.headers["location"].partition("#")[0]).text
    assert "Hôm nay đã được đôn đốc rồi" in page
