"""Typed figures in a real browser: by keyboard, on a phone, on paper, with nothing lost."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SIZES, Look
from tests.browser.product import OUT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("computed")]
FORM = "household_waste"
TABLE = "waste_treatment"


@pytest.fixture(scope="module")
def draft(admin: httpx.Client) -> str:
    """The page of a return that the demonstration left to be typed; it comes after the start."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        for form in admin.get("/api/v1/forms").json():
            for one in form["returns"]:
                if (one["party"], one["state"]) == ("ubnd-kim-son", "draft"):
                    return f"/forms/{form['dataset']}/{one['period']}/{one['party']}"
        time.sleep(1)
    raise TimeoutError("the demonstration made no returns")


@pytest.fixture(scope="module")
def table(admin: httpx.Client) -> str:
    """The page of the table of the month that runs: nobody has typed it."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        for form in admin.get("/api/v1/forms").json():
            found = [one for one in form["returns"] if one["state"] == "empty"]
            if form["dataset"] == TABLE and found and len(found) < len(form["returns"]):
                return f"/forms/{TABLE}/{found[0]['period']}/{found[0]['party']}"
        time.sleep(1)
    raise TimeoutError("the demonstration made no tables")


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_nothing_runs_out_of_the_page(
    open_page: Look, admin: httpx.Client, draft: str, table: str, theme: str, size: tuple[int, int]
) -> None:
    for path in ("/forms", f"/forms/{FORM}", draft, table):
        screen = open_page(path, theme=theme, size=size, session=admin)
        name = re.sub(r"\W+", "-", path.strip("/"))
        screen.page.screenshot(path=OUT / f"{name}-{theme}-{size[0]}.png", full_page=True)
        assert screen.axe() == [], path
        assert screen.page.evaluate("document.documentElement.scrollWidth") == size[0], path
        screen.close()


def test_nothing_is_cut_off_at_any_size(
    open_page: Look, admin: httpx.Client, draft: str, table: str
) -> None:
    for path in ("/forms", f"/forms/{FORM}", draft, table):
        screen = open_page(path, size=(390, 844), session=admin)
        assert screen.crowded_at(*SIZES) == {}, path
        screen.close()


def test_a_return_is_typed_by_keyboard_and_keeps_everything(
    open_page: Look, admin: httpx.Client, draft: str
) -> None:
    page = open_page(draft, size=(1440, 900), session=admin).page
    households = page.locator("#c-households")
    households.focus()
    page.keyboard.type("mười")
    expect(page.locator("[data-unsaved]")).to_be_visible()
    page.keyboard.press("Control+s")
    page.wait_for_url("**done=saved")
    expect(households).to_have_value("mười")
    page.emulate_media(media="print")
    expect(households).to_be_visible()
    expect(page.locator(".return-foot")).to_be_hidden()
    page.emulate_media(media="screen")
    # Enter in a field saves too, and hands nothing in
    households.fill("15.000")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(households).to_have_value("15.000")
    expect(page.locator(".history li").first).to_contain_text("mười")
    expect(page.locator(".return .status").first).to_contain_text("đang nhập")


def test_a_table_is_typed_by_keyboard_from_line_to_line(
    open_page: Look, admin: httpx.Client, table: str
) -> None:
    screen = open_page(table, size=(1440, 900), session=admin)
    page = screen.page
    first = page.locator('[name="cell.1.treated_t"]')
    first.focus()
    page.keyboard.type("7.000,5")
    page.keyboard.press("ArrowDown")
    expect(page.locator('[name="cell.2.treated_t"]')).to_be_focused()
    page.keyboard.type("nhiều")
    with page.expect_navigation():
        page.keyboard.press("Enter")  # saves, and takes no line away
    expect(first).to_have_value("7.000,5")
    expect(page.locator("[data-line]")).to_have_count(5)
    page.get_by_role("button", name="Gửi duyệt").click()
    fault = page.get_by_role("link", name=re.compile("Dòng 2 .*“nhiều” không phải là số"))
    fault.click()
    expect(page.locator('[name="cell.2.treated_t"]')).to_have_attribute("aria-invalid", "true")
    expect(page.locator("tfoot")).to_contain_text("7.000,5")
    page.emulate_media(media="print")
    expect(first).to_be_visible()
    expect(page.locator(".return-foot")).to_be_hidden()
    # the refusal is an answer of its own kind, of which browsers tell
    assert [line for line in screen.complaints if "422" not in line] == []
    screen.complaints.clear()
