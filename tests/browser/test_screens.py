"""The screens in a real browser: how they read, how they are reached, how they stay live."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SIZES, Open, Screen

SERVICE = "/services/environment"
PAGES = (
    SERVICE,
    f"{SERVICE}/explain",
    "/work",
    "/work/VV-2026-0415",
    "/loads",
    "/loads/41",
    "/login",
    "/account/password",
)


@pytest.mark.parametrize("size", [(1920, 1080), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_on_any_page(
    open_screen: Open, theme: str, size: tuple[int, int]
) -> None:
    screen = open_screen(PAGES[-1], theme=theme, size=size)
    for path in PAGES:
        screen.go(path)
        if path == SERVICE:
            screen.map_ready()
        assert screen.axe() == [], path


def test_axe_finds_nothing_in_the_dialog_and_the_popup(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.map_ready()
    screen.page.locator(".map-pin").last.click()
    screen.page.get_by_text("Giá trị mâu thuẫn chờ quyết định").click()
    screen.page.get_by_text("Xem dạng bảng").click()
    assert screen.axe() == []
    screen.page.locator("#tile-pm25 .why").click()
    expect(screen.page.locator("dialog")).to_be_visible()
    screen.page.get_by_text("Câu lệnh SQL").click()
    assert screen.axe() == []


@pytest.mark.parametrize("size", [(390, 844), (960, 540), (1366, 768), (1920, 1080), (3840, 2160)])
def test_nothing_runs_out_of_the_page_at_any_width(
    open_screen: Open, size: tuple[int, int]
) -> None:
    screen = open_screen(PAGES[-1], size=size)
    for path in PAGES:
        screen.go(path)
        width = screen.page.evaluate("document.documentElement.scrollWidth")
        assert width == size[0], f"{path} is {width} px wide"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_nothing_is_cut_off_or_lies_on_something_else(open_screen: Open, lang: str) -> None:
    others = PAGES[1:] if lang == "vi" else ()
    for path in (SERVICE, f"{SERVICE}?guest=1", *others, "/no/such"):
        screen = open_screen(path, lang=lang, may_complain=path == "/no/such")
        if path.startswith(SERVICE) and "explain" not in path:
            drawn(screen)
        assert screen.crowded_at(*SIZES) == {}, path
        screen.close()


def test_what_is_opened_makes_room_for_itself(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    drawn(screen)
    screen.page.locator("#chart details").evaluate_all("all => all.forEach(d => (d.open = true))")
    screen.page.locator("#quality details").first.evaluate("d => (d.open = true)")
    screen.page.locator("#work details").first.evaluate("d => (d.open = true)")
    assert screen.crowded_at(*SIZES) == {}


def test_crowding_is_noticed(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    drawn(screen)
    for style, what in (
        (".tile { height: 5rem; min-height: 0 }", "cut off by"),
        (".chart-bar { margin-bottom: -2rem }", "control on control"),
        ("#quality .panel-head { margin-bottom: -2rem }", "text on text"),
        ("#stations .panel-body { max-height: 3rem }", "px high"),
        (".side { flex-direction: row; gap: 0 } .side a { flex: none; padding: 0 }", "words touch"),
    ):
        screen.page.evaluate(
            "text => { const sheet = new CSSStyleSheet(); sheet.replaceSync(text);"
            " document.adoptedStyleSheets = [sheet] }",
            style,
        )
        assert any(what in line for line in screen.crowded()), style
    screen.page.evaluate("document.adoptedStyleSheets = []")
    assert screen.crowded() == []


def test_who_may_not_see_work_items_is_shown_no_panel_of_them(open_screen: Open) -> None:
    page = open_screen(f"{SERVICE}?guest=1").page
    expect(page.locator("#stations .station")).to_have_count(12)
    expect(page.locator("#work")).to_have_count(0)


def test_the_board_fills_a_wall_twice_as_large_and_needs_no_scrolling(open_screen: Open) -> None:
    sizes = {}
    for size in ((1920, 1080), (3840, 2160)):
        page = open_screen(SERVICE, size=size).page
        assert page.evaluate("document.documentElement.scrollHeight") == size[1]
        sizes[size[0]] = page.locator("#tile-pm25 .tile-value b").evaluate(
            "e => parseFloat(getComputedStyle(e).fontSize)"
        )
    assert sizes[3840] == pytest.approx(2 * sizes[1920], rel=0.02)


def test_the_page_weighs_less_than_300_kb_before_map_and_chart(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.map_ready()
    light = {
        url: size
        for url, size in screen.weight.items()
        if not re.search(r"/vendor/\w+/(maplibre|uplot)/|/api/", url)
    }
    assert len(light) > 10
    assert sum(light.values()) < 300_000


def test_static_files_are_cached_for_a_year(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    address = screen.page.locator("link[href*='css/base.css']").get_attribute("href")
    answer = screen.page.request.get(f"{screen.preview.address}{address}")
    assert "max-age=31536000, immutable" in answer.headers["cache-control"]


def test_the_map_shows_every_station_in_the_colour_of_its_class(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.map_ready()
    pins = screen.page.locator(".map-pin")
    expect(pins).to_have_count(12)
    worst = screen.page.get_by_role("button", name="Trạm Kim Sơn: VN_AQI 187, Xấu")
    fill = worst.locator("path").evaluate("e => getComputedStyle(e).fill")
    assert fill == "rgb(255, 0, 0)"
    silent = screen.page.get_by_role("button", name="Trạm Lạc Thủy: Không tính được")
    expect(silent).to_be_visible()


def test_the_map_draws_land_and_water(open_screen: Open) -> None:
    screen = open_screen(SERVICE, theme="light")
    screen.map_ready()
    colours = screen.page.evaluate(
        """async () => {
          const map = document.querySelector('dothi-map').map
          const pixels = new Promise((done) => map.once('render', () => {
            const gl = map.getCanvas().getContext('webgl2')
            const { drawingBufferWidth: w, drawingBufferHeight: h } = gl
            const data = new Uint8Array(w * h * 4)
            gl.readPixels(0, 0, w, h, gl.RGBA, gl.UNSIGNED_BYTE, data)
            const count = {}
            for (let i = 0; i < data.length; i += 4 * 7) {
              const key = `${data[i]},${data[i + 1]},${data[i + 2]}`
              count[key] = (count[key] || 0) + 1
            }
            done(count)
          }))
          map.triggerRepaint()
          return pixels
        }"""
    )
    total = sum(colours.values())
    assert colours.get("227,235,231", 0) / total > 0.1, "land"
    assert colours.get("181,213,226", 0) / total > 0.005, "rivers and lake"
    assert len(colours) > 50, "borders, names and the glow of stations"


def test_without_webgl_the_list_still_holds_every_station(open_screen: Open) -> None:
    screen = open_screen(
        SERVICE,
        script="const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest) }",
    )
    expect(screen.page.locator(".map-note")).to_have_text(
        "Trình duyệt này không vẽ được bản đồ. Danh sách trạm vẫn đầy đủ số liệu."
    )
    expect(screen.page.locator("#stations .station")).to_have_count(12)


# -- without a mouse --------------------------------------------------------------------------------


def test_a_number_is_explained_without_a_mouse(open_screen: Open) -> None:
    page = open_screen(SERVICE).page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#tile-aqi .tile-link")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_contain_text("Các dòng số liệu đã dùng")
    expect(page.locator("dialog")).to_contain_text("9f2c6a7d0b1e4c8f")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator("#tile-aqi .why")).to_be_focused()


def test_a_station_is_reached_and_left_by_keys(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.map_ready()
    pin = screen.page.get_by_role("button", name="Trạm An Lạc")
    pin.focus()
    screen.page.keyboard.press("Enter")
    popup = screen.page.get_by_role("dialog", name="An Lạc")
    expect(popup).to_contain_text("PM2.5 (NowCast)")
    screen.page.keyboard.press("Escape")
    expect(popup).to_be_hidden()
    expect(pin).to_be_focused()


def drawn(screen: Screen) -> None:
    expect(screen.page.locator("dothi-chart canvas")).to_be_visible()
    expect(screen.page.locator(".chart-note")).to_be_hidden()


def test_the_chart_is_read_by_keys(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    drawn(screen)
    screen.page.locator(".chart-draw").focus()
    screen.page.keyboard.press("End")
    expect(screen.page.locator("dothi-chart [aria-live]")).to_have_text(
        re.compile(r"08:00, 21/11/2026: \d+,\d µg/m³, vượt giá trị giới hạn 45")
    )
    screen.page.keyboard.press("Home")
    expect(screen.page.locator(".chart-tip")).to_contain_text("14/11/2026")


def test_zooming_asks_the_server_for_the_shorter_span(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    drawn(screen)
    screen.page.locator(".chart-draw").focus()
    with screen.page.expect_request(lambda request: "from=" in request.url) as asked:
        screen.page.keyboard.press("+")
    span = {k: int(v) for k, v in re.findall(r"(from|to)=(\d+)", asked.value.url)}
    assert span["to"] - span["from"] == pytest.approx(3.5 * 86_400, abs=7_200)
    drawn(screen)
    box = screen.page.locator(".chart-draw .u-over").bounding_box()
    assert box is not None
    with screen.page.expect_request(lambda request: "from=" in request.url) as asked:
        screen.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 30)
        screen.page.mouse.down()
        screen.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30, steps=4)
        screen.page.mouse.up()
    closer = {k: int(v) for k, v in re.findall(r"(from|to)=(\d+)", asked.value.url)}
    assert closer["to"] - closer["from"] == pytest.approx(86_400 * 3.5 / 4, rel=0.1)
    with screen.page.expect_request(lambda request: "span=7d" in request.url):
        screen.page.get_by_role("button", name="Bỏ phóng to").click()


def test_the_chart_is_a_table_too(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    drawn(screen)
    screen.page.get_by_role("button", name="24 giờ").click()
    screen.page.get_by_text("Xem dạng bảng").click()
    rows = screen.page.locator(".chart-more tbody tr")
    expect(rows).to_have_count(25)
    expect(rows.first).to_contain_text("08:00, 21/11/2026")


def test_a_tile_opens_its_chart(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    drawn(screen)
    screen.page.locator("#tile-aqi .tile-link").click()
    expect(screen.page.locator("#chart h2")).to_have_text("VN_AQI giờ, trạm Kim Sơn")
    expect(screen.page.locator(".chart-key")).to_contain_text("VN_AQI")


# -- live -------------------------------------------------------------------------------------------


def test_a_new_value_is_on_the_open_page_and_map_within_two_seconds(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.map_ready()
    screen.live()
    screen.preview.worst = 312
    screen.preview.ring("series:air_quality")
    expect(screen.page.locator("#station-kim-son .badge b").first).to_have_text(
        "312", timeout=2_000
    )
    expect(screen.page.get_by_role("button", name="Trạm Kim Sơn: VN_AQI 312")).to_be_visible(
        timeout=500
    )


def test_what_a_person_opened_stays_open_when_the_panel_refreshes(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.live()
    screen.page.get_by_text("Giá trị mâu thuẫn chờ quyết định").click()
    with screen.page.expect_response(lambda answer: answer.url.endswith("/quality")):
        screen.preview.ring("loads")
    expect(screen.page.get_by_text("Một giờ có hai giá trị")).to_be_visible()


def test_a_lost_connection_is_said_and_mended_alone(open_screen: Open) -> None:
    screen = open_screen(SERVICE, may_complain=True)
    screen.live()
    screen.preview.refuse_live = True
    screen.preview.cut += 1
    state = screen.page.locator("dothi-live")
    expect(state).to_have_text(re.compile(r"Mất kết nối từ \d\d:\d\d"))
    screen.preview.worst = 312
    screen.preview.refuse_live = False
    expect(state).to_have_text("Trực tiếp", timeout=60_000)
    expect(screen.page.locator("#station-kim-son .badge b").first).to_have_text("312")


# -- acting -----------------------------------------------------------------------------------------


def test_taking_a_work_item_is_recorded_and_its_panel_refreshes(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.live()
    with screen.page.expect_response(lambda answer: answer.url.endswith("/environment/work")):
        screen.page.get_by_role("button", name="Tiếp nhận VV-2026-0418").click()
    expect(screen.page.locator("#toast")).to_have_text("Đã ghi nhận.")
    assert screen.preview.posts == ["/work/VV-2026-0418/take"]


def test_an_action_that_needs_a_reason_asks_for_it(open_screen: Open) -> None:
    screen = open_screen(SERVICE)
    screen.page.locator("summary", has_text="Tạm dừng").click()
    screen.page.get_by_label("Lý do tạm dừng").fill("Chờ kết quả đo")
    screen.page.get_by_role("button", name="Xác nhận Tạm dừng").click()
    expect(screen.page.locator("#toast")).to_have_text("Đã ghi nhận.")
    assert screen.preview.posts[0].startswith("/work/VV-2026-0415/pause reason=Ch")


def test_a_refused_action_says_why(open_screen: Open) -> None:
    screen = open_screen("/loads/41", may_complain=True)
    screen.page.get_by_role("button", name="Giữ giá trị này 54,0").click()
    expect(screen.page.locator("#toast")).to_have_text("Nội dung đã được người khác thay đổi.")


# -- language and theme -----------------------------------------------------------------------------


def test_the_theme_changes_at_once_and_is_remembered(open_screen: Open) -> None:
    page = open_screen(SERVICE, theme="dark").page
    drawn(Screen(page, open_screen("/login").preview))
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Đổi nền sáng, tối").click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark, light) == ("rgb(14, 20, 24)", "rgb(242, 244, 243)")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"


def test_the_language_button_brings_the_same_page_in_english(open_screen: Open) -> None:
    page = open_screen(f"{SERVICE}?stream=kim-son-aqi").page
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.url.endswith(f"{SERVICE}?stream=kim-son-aqi")
    expect(page.locator("#stations-title")).to_have_text("Stations")


def test_without_a_choice_the_theme_follows_the_browser(open_screen: Open) -> None:
    page = open_screen("/login", theme="").page
    page.emulate_media(color_scheme="light")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(242, 244, 243)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 20, 24)"


def test_the_page_prints_every_row_in_black_on_white(open_screen: Open) -> None:
    page = open_screen(SERVICE, theme="dark").page
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator("nav.side")).to_be_hidden()
    assert page.locator("#stations .panel-body").evaluate(
        "e => e.scrollHeight <= e.clientHeight + 1"
    )


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs poppler-utils")
def test_on_paper_the_page_is_a4_and_its_map_light_and_whole(
    open_screen: Open, tmp_path: Path
) -> None:
    screen = open_screen(SERVICE, theme="dark", size=(1440, 960))
    screen.map_ready()
    drawn(screen)
    screen.page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    run = {"cwd": tmp_path, "check": True, "capture_output": True}
    said = subprocess.run(["pdfinfo", "page.pdf"], text=True, **run).stdout  # type: ignore[call-overload]
    assert "(A4)" in said
    assert int(re.findall(r"Pages:\s+(\d+)", said)[0]) <= 3
    subprocess.run(["pdftoppm", "-r", "40", "-l", "1", "page.pdf", "page"], **run)  # type: ignore[call-overload]
    head, _, rest = next(tmp_path.glob("page*.ppm")).read_bytes().partition(b"\n255\n")
    width = int(head.split()[1])
    pixels = [rest[i : i + 3] for i in range(0, len(rest) - 2, 3)]
    colour = (227, 235, 231)
    land = [
        i % width for i, p in enumerate(pixels)
        if all(abs(a - b) <= 3 for a, b in zip(p, colour, strict=True))
    ]  # fmt: skip
    assert len(land) / len(pixels) > 0.015, "land in the light theme's colour"
    assert max(land) - min(land) > width / 3, "the whole province, not its left part"
    assert sum(max(p) < 60 for p in pixels) / len(pixels) < 0.02, "nothing dark"
    # Back on the screen everything is as it was.
    assert screen.page.locator("html").get_attribute("data-theme") == "dark"
    expect(screen.page.locator(".map-paper")).to_have_count(0)


def test_on_a_phone_a_station_opens_in_the_dialog_and_leads_to_its_chart(
    open_screen: Open,
) -> None:
    screen = open_screen(SERVICE, size=(390, 844))
    screen.map_ready()
    screen.page.locator(".map-pin").last.click()
    dialog = screen.page.get_by_role("dialog", name="Kim Sơn")
    expect(dialog).to_contain_text("PM10 (NowCast)")
    assert screen.axe() == []
    dialog.get_by_text("Xem biểu đồ").click()
    expect(dialog).to_be_hidden()
    expect(screen.page.locator("#chart h2")).to_have_text("VN_AQI giờ, trạm Kim Sơn")
    expect(screen.page.locator("#chart h2")).to_be_in_viewport()
