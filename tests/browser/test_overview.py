"""The overview of the province in a real browser: what is on it, where its numbers lead, arranging."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from dothi.ioc.overview_view import Card, CardsView
from dothi.web.view import Status
from tests.browser.conftest import SIZES, Look
from tests.browser.product import OUT, Product, settled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("computed")]
FIGURE = "/ioc/figure?key=i_pm25_24h_mean"
CARD = Card("x", "", "", "", "", Status("ok", ""), "")
PAGES = ("/ioc", FIGURE, "/ioc/arrange", "/ioc/assign?key=work_open", "/search?q=kim+son",
         "/indicators/vn_aqi_hourly", "/agencies/so-nnmt", "/board/environment")  # fmt: skip


def tiles(page: Page) -> list[str]:
    return page.locator(".tile h3 a").all_inner_texts()


@pytest.fixture
def as_it_was(admin: httpx.Client) -> Iterator[None]:
    """The administrator's tiles go back to how they are at first."""
    yield
    admin.post("/ioc/arrange", data={"reset": "1"})


# -- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1920, 1080), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_nothing_runs_out_of_the_page(
    open_page: Look, admin: httpx.Client, theme: str, size: tuple[int, int]
) -> None:
    for path in PAGES:
        screen = open_page(path, theme=theme, size=size, session=admin)
        if path == "/ioc":
            settled(screen)
        name = re.sub(r"\W+", "-", path.strip("/"))
        screen.page.screenshot(path=OUT / f"{name}-{theme}-{size[0]}.png", full_page=True)
        assert screen.axe() == [], path
        assert screen.page.evaluate("document.documentElement.scrollWidth") == size[0], path
        screen.close()


def test_nothing_is_cut_off_or_overlaps_signed_in_and_not(
    open_page: Look, admin: httpx.Client
) -> None:
    for session in (admin, None):
        screen = open_page("/ioc", session=session)
        settled(screen)
        assert screen.page.locator("#work").count() == bool(session)
        assert screen.page.locator("#agencies").count() == bool(session)
        assert screen.crowded_at(*SIZES) == {}
        screen.close()


def test_no_tile_is_alone_in_its_row_however_many_there_are(
    open_page: Look, admin: httpx.Client
) -> None:
    """At every width, of two tiles up to more than anybody arranges."""
    screen = open_page("/ioc", session=admin)
    for count in (*range(2, 17), 31):
        cards = CardsView("", (), (CARD,) * count, None, "", "")
        screen.page.evaluate(
            """([count, rows]) => {
                const list = document.querySelector('#tiles > ul')
                const one = list.firstElementChild
                list.className = rows
                list.replaceChildren(...Array.from({ length: count }, () => one.cloneNode(true)))
            }""",
            [count, cards.rows],
        )  # fmt: skip
        for width in (390, 800, 1280, 1440, 1920, 3840):
            screen.page.set_viewport_size({"width": width, "height": 900})
            rows = screen.page.evaluate(
                """() => {
                    const tops = {}
                    for (const tile of document.querySelectorAll('#tiles .tile')) {
                        const box = tile.getBoundingClientRect()
                        ;(tops[Math.round(box.top)] ??= []).push(box.width)
                    }
                    return Object.values(tops)
                }"""
            )
            room = max(sum(row) for row in rows)
            alone = [row for row in rows if len(row) == 1 and row[0] < 0.9 * room]
            assert not alone, (count, width, rows)


@pytest.mark.parametrize("span", ["today", "7d", "30d", "month", "year"])
def test_every_time_range_shows_every_panel_and_says_with_what_it_compares(
    open_page: Look, admin: httpx.Client, span: str
) -> None:
    page = open_page(f"/ioc?r={span}", session=admin).page
    expect(page.locator(".board-bar [aria-current]")).to_have_count(1)
    for panel in ("tiles", "map-panel", "work", "chart", "agencies", "moved", "stations", "data"):
        expect(page.locator(f"#{panel}")).to_have_count(1)
    text = page.locator("main").inner_text()
    words = {"today": "so với hôm qua", "7d": "so với 7 ngày trước", "30d": "so với 30 ngày trước",
             "month": "cùng thời điểm tháng trước", "year": "cùng thời điểm năm trước"}  # fmt: skip
    assert words[span] in text
    for wrong in ("{", "undefined", "NaN", "None", "nguy cấp"):
        assert wrong not in text, wrong


# -- where numbers lead -----------------------------------------------------------------------------


def test_a_tile_leads_to_comparison_explanation_chart_rows_and_files(
    open_page: Look, admin: httpx.Client
) -> None:
    screen = open_page("/ioc", session=admin)
    settled(screen)
    page, dialog = screen.page, screen.page.locator("dialog")
    value = page.locator("#tile-i_pm25_24h_mean .tile-value b").inner_text()
    page.locator("#tile-i_pm25_24h_mean .tile-link").press("Enter")
    expect(dialog.locator(".explain-value b")).to_have_text(value)
    compared = dialog.locator("table").first
    for row in ("Kỳ liền trước", "Cùng thời điểm hôm qua", "Cùng kỳ năm trước",
                "Giá trị giới hạn", "Cao nhất trong các trạm"):  # fmt: skip
        expect(compared).to_contain_text(row)
    assert screen.axe() == []
    with page.expect_download() as got:
        dialog.get_by_role("link", name="CSV", exact=True).click()
    content = got.value.path().read_bytes().decode("utf-8-sig")
    found = list(csv.DictReader(io.StringIO(content)))
    shown = float(value.replace(".", "").replace(",", "."))
    assert max(float(row["Giá trị"]) for row in found) == pytest.approx(shown, abs=0.06)
    with page.expect_download() as got:
        dialog.get_by_role("link", name="Toàn bộ dòng số liệu").click()
    assert got.value.path().read_bytes().count(b"\n") > 100
    dialog.get_by_role("link", name="Xem biểu đồ").click()
    expect(page.locator("#chart-title")).to_contain_text("PM2.5 trung bình 24 giờ")
    expect(dialog).to_be_hidden()
    page.locator("#tile-i_pm25_24h_mean .tile-link").press("Enter")
    dialog.get_by_role("link", name="Số này lấy từ đâu?").click()
    expect(dialog).to_contain_text("Các dòng số liệu đã dùng")
    assert screen.axe() == []


def test_every_tile_there_is_leads_to_a_comparison(open_page: Look, admin: httpx.Client) -> None:
    keys = re.findall(r'name="show\.(\w+)"', admin.get("/ioc/arrange").text)
    assert len(keys) >= 16
    for key in keys:
        text = admin.get("/ioc/figure", params={"key": key}).text
        assert 'id="dialog-title"' in text and "So sánh" in text, key
        for form in ("csv", "xlsx"):
            asked = {"what": "figure", "key": key, "format": form}
            assert admin.get("/ioc/download", params=asked).status_code == 200, (key, form)


def test_a_number_is_given_to_an_agency_and_given_again_joins_what_is_open(
    open_page: Look, product: Product, admin: httpx.Client
) -> None:
    page = open_page(FIGURE, session=admin, may_complain=True).page  # of the 422
    page.get_by_role("link", name="Giao cho cơ quan").click()
    form = page.locator("form[action^='/ioc/assign']")
    form.locator("select[name=agency]").select_option(index=1)
    form.get_by_label("Nội dung yêu cầu").fill("Kiểm tra nguồn thải, báo cáo trước giờ hẹn.")
    form.locator("input[name=due]").evaluate("field => (field.value = '2020-01-01T00:00')")
    form.evaluate("form => (form.noValidate = true)")
    form.locator(".primary").click()
    expect(page.locator("#fault-due")).to_contain_text("Hạn phải sau hiện tại")
    codes = []
    for _ in range(2):
        page.goto(product.address + FIGURE.replace("figure", "assign"))
        form.locator("select[name=agency]").select_option(index=1)
        form.get_by_label("Nội dung yêu cầu").fill("Kiểm tra nguồn thải, báo cáo trước giờ hẹn.")
        form.locator(".primary").click()
        page.wait_for_url(re.compile(r"/work/VV-"))
        codes.append(re.search(r"VV-[\d-]+", page.url)[0])  # type: ignore[index]
        expect(page.locator("#work-item")).to_contain_text("Kiểm tra nguồn thải")
    assert codes[0] == codes[1]
    page.goto(product.address + FIGURE)
    expect(page.locator(".figure-work")).to_contain_text(codes[0])


# -- arranging --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("as_it_was")
def test_tiles_are_ordered_and_hidden_by_keys_and_kept_with_the_account(
    open_page: Look, product: Product, admin: httpx.Client
) -> None:
    page = open_page("/ioc", session=admin).page
    before = tiles(page)
    page.get_by_role("link", name="Sắp xếp thẻ").focus()
    page.keyboard.press("Enter")
    rows = page.locator(".arrange li")
    expect(rows.first).to_be_visible()
    second = rows.nth(1).locator("input[type=checkbox]")
    second.focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("dothi-arrange [aria-live]")).to_contain_text(f"{before[1]}: 1/")
    rows.nth(1).locator("input[type=checkbox]").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Lưu").press("Enter")
    page.wait_for_url("**/ioc**done=arranged")
    assert tiles(page) == [before[1], *before[2:]]
    other = product.browser_session()  # another browser of the same person
    assert tiles(open_page("/ioc", session=other).page) == [before[1], *before[2:]]
    other.close()
    assert tiles(open_page("/ioc").page)[:2] == before[:2]  # a stranger's are untouched


def test_without_an_account_the_order_is_kept_in_the_browser_and_without_scripts(
    open_page: Look,
) -> None:
    page = open_page("/ioc").page
    before = tiles(page)
    keys = page.locator(".tile").evaluate_all("all => all.map(tile => tile.id.slice(5))")
    fields: dict[str, str | float | bool] = {
        f"place.{key}": n for n, key in enumerate(reversed(keys))
    }
    for key in keys[1:]:
        fields[f"show.{key}"] = "on"
    answer = page.request.post(
        page.url + "/arrange", form=fields, headers={"sec-fetch-site": "same-origin"}
    )
    assert answer.status == 200
    page.reload()
    assert tiles(page) == before[:0:-1]


# -- search -------------------------------------------------------------------------------------------


def test_what_is_typed_the_moment_the_search_has_the_focus_is_searched(
    open_page: Look, admin: httpx.Client, product: Product
) -> None:
    product.until(lambda: "VN_AQI giờ" in admin.get("/search?q=vn+aqi").text, 120, "the names")
    page = open_page("/work", session=admin).page
    page.evaluate(
        """document.addEventListener('focusin', ({ target }) => {
            if (target.type !== 'search') return
            target.value = 'vn aqi gio'
            target.dispatchEvent(new Event('input', { bubbles: true }))
        }, { once: true })"""
    )
    page.keyboard.press("/")
    expect(page.locator("dialog .found a", has_text="VN_AQI giờ").first).to_be_visible()


def test_the_slash_key_opens_the_search_and_typing_without_accents_finds(
    open_page: Look, admin: httpx.Client, product: Product
) -> None:
    product.until(
        lambda: "/agencies/ubnd-kim-son" in admin.get("/search?q=kim+son").text, 120, "the names"
    )
    screen = open_page("/work", session=admin)
    page = screen.page
    page.keyboard.press("/")
    dialog = page.locator("dialog")
    expect(dialog.locator("input[type=search]")).to_be_focused()
    page.keyboard.type("vn aqi gio")
    found = dialog.locator(".found a", has_text="VN_AQI giờ").first
    expect(found).to_be_visible()
    assert screen.axe() == []
    found.press("Enter")
    page.wait_for_url("**/indicators/vn_aqi_hourly")
    expect(page.locator("#definition-title")).to_be_visible()
