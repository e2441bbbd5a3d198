"""The wall in a real browser: it fills a 4K screen, keys turn it (see test_soak.py for hours)."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Look
from tests.browser.product import OUT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("computed")]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_slide_fills_a_4k_screen_and_axe_finds_nothing(
    open_page: Look, admin: httpx.Client, theme: str
) -> None:
    screen = open_page("/wall?seconds=3600", theme=theme, size=(3840, 2160), session=admin)
    page = screen.page
    buttons = page.locator(".wall-bar button:not(.wall-pause)")
    expect(page.locator(".slide:visible")).to_have_count(1)
    assert buttons.count() >= 5
    for place in range(buttons.count()):
        buttons.nth(place).click()
        expect(buttons.nth(place)).to_have_attribute("aria-current", "true")
        if page.locator(".slide:visible dothi-map").count():
            screen.map_ready()
        page.screenshot(path=OUT / f"wall-{place}-{theme}.png")
        size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert page.evaluate(size) == [3840, 2160]
        assert screen.axe() == []
        assert screen.crowded() == []


def test_keys_turn_and_pause_the_wall(open_page: Look, admin: httpx.Client) -> None:
    page = open_page("/wall?seconds=3600", session=admin).page
    current = page.locator(".wall-bar [aria-current]")
    first = current.inner_text()
    page.keyboard.press("ArrowRight")
    expect(current).not_to_have_text(first)
    page.keyboard.press("ArrowLeft")
    expect(current).to_have_text(first)
    page.keyboard.press("Space")
    expect(page.locator(".wall-pause")).to_have_attribute("aria-pressed", "true")


def test_a_stranger_is_shown_no_work(open_page: Look) -> None:
    page = open_page("/wall").page
    expect(page.locator("#slide-overview")).to_be_visible()
    expect(page.locator("#slide-work")).to_have_count(0)
