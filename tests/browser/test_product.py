"""The real product in a real browser: from what a station sends to what a person sees and does."""

from __future__ import annotations

import io
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from dothi.kernel.time import VN
from tests.browser.conftest import SIZES, Look
from tests.browser.product import OUT, SERVICE, Product, settled

pytestmark = pytest.mark.slow
STATION = "SH-KK-01"
EMBASSY = "air_hanoi_us_embassy_2018/Hanoi_PM2.5_2018_YTD.csv"


def rows(client: httpx.Client, *found: dict[str, object]) -> httpx.Response:
    answer = client.post("/api/v1/datasets/air_quality/rows", json={"rows": found})
    assert answer.status_code in (200, 201), answer.text
    return answer


# -- what is seen -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("vi", ("Môi trường không khí", "Trạm quan trắc", "Vụ việc môi trường đang mở", "Trực tiếp",
                "Chất lượng số liệu", "Dữ liệu minh họa", "Số này lấy từ đâu?")),
        ("en", ("Air", "Stations", "Open environment work items", "Live", "Data quality",
                "Demo data", "Where does this number come from?")),
    ],
)  # fmt: skip
def test_the_page_speaks_vietnamese_and_english(
    open_page: Look, admin: httpx.Client, lang: str, words: tuple[str, ...]
) -> None:
    screen = open_page(lang=lang, session=admin)
    screen.live()
    settled(screen)
    text = screen.page.locator("body").inner_text()
    assert [word for word in words if word not in text] in ([], [words[-1]])
    assert words[-1] in screen.page.content()
    for wrong in ("{", "undefined", "NaN", "nguy cấp", "TP."):
        assert wrong not in text, wrong
    assert screen.page.locator("html").get_attribute("lang") == lang


def test_the_map_shows_land_water_and_every_station_in_its_colour(open_page: Look) -> None:
    screen = open_page(theme="light")
    settled(screen)
    listed = screen.page.locator("#stations .station[data-lon]").count()
    expect(screen.page.locator(".map-pin")).to_have_count(listed)
    assert listed >= 24
    fills = screen.page.locator(".map-pin path").evaluate_all(
        "pins => pins.map(pin => getComputedStyle(pin).fill)"
    )
    assert {"rgb(0, 228, 0)", "rgb(255, 255, 0)"} & set(fills)
    colours = screen.page.evaluate(PIXELS)
    total = sum(colours.values())
    assert colours.get("227,235,231", 0) / total > 0.1, "land"
    assert colours.get("181,213,226", 0) / total > 0.005, "rivers and lake"


PIXELS = """async () => {
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


@pytest.mark.parametrize("size", [(1920, 1080), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_nothing_runs_out_of_the_page(
    open_page: Look, admin: httpx.Client, theme: str, size: tuple[int, int]
) -> None:
    with_load = f"/loads/{_first_load(admin)}"
    for path in (SERVICE, "/work", _first_work(admin), "/loads", with_load, "/account/password"):
        screen = open_page(path, theme=theme, size=size, session=admin)
        if path == SERVICE:
            settled(screen)
        name = f"{path.strip('/').replace('/', '-')}-{theme}-{size[0]}.png"
        screen.page.screenshot(path=OUT / name, full_page=size[0] == 390)
        assert screen.axe() == [], path
        assert screen.page.evaluate("document.documentElement.scrollWidth") == size[0], path
        screen.close()


def _first_load(client: httpx.Client) -> str:
    found = re.search(r'href="/loads/(\d+)"', client.get("/loads").text)
    assert found is not None
    return found[1]


def _first_work(client: httpx.Client) -> str:
    found = re.search(r'href="(/work/VV-[\d-]+)"', client.get("/work").text)
    assert found is not None
    return found[1]


def test_the_wall_shows_everything_without_scrolling(open_page: Look, admin: httpx.Client) -> None:
    screen = open_page(theme="dark", size=(3840, 2160), session=admin)
    settled(screen)
    assert screen.page.evaluate("document.documentElement.scrollHeight") == 2160
    screen.page.screenshot(path=OUT / "wall.png")


def test_nothing_is_cut_off_or_overlaps_signed_in_and_not(
    open_page: Look, admin: httpx.Client
) -> None:
    for session in (admin, None):
        screen = open_page(session=session)
        settled(screen)
        assert screen.page.locator("#work").count() == bool(session)
        assert screen.crowded_at(*SIZES) == {}
        screen.close()


# -- without a mouse ----------------------------------------------------------------------------------


def test_a_station_and_its_chart_are_reached_and_read_by_keys(open_page: Look) -> None:
    screen = open_page()
    settled(screen)
    keys, page = screen.page.keyboard, screen.page
    second = page.locator("#stations .station h3 a").nth(1)
    for _ in range(200):
        keys.press("Tab")
        if second.evaluate("link => link === document.activeElement"):
            break
    expect(second).to_be_focused()
    name = second.inner_text()
    keys.press("Enter")
    expect(page.locator("#chart-title")).to_contain_text(name)
    page.locator(".chart-note").wait_for(state="hidden")
    chart = page.locator(".chart-draw")
    chart.focus()
    keys.press("End")
    spoken = page.locator("dothi-chart [aria-live]")
    expect(spoken).to_have_text(re.compile(r"\d\d:\d\d, \d\d/\d\d/\d{4}: \d"))
    newest = spoken.inner_text()
    keys.press("ArrowLeft")
    expect(spoken).not_to_have_text(newest)


def test_the_answer_where_a_number_comes_from_opens_and_closes_by_keys(open_page: Look) -> None:
    screen = open_page()
    settled(screen)
    why = screen.page.locator("#tile-pm25 .why")
    why.focus()
    screen.page.keyboard.press("Enter")
    dialog = screen.page.locator("dialog")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Các dòng số liệu đã dùng")
    assert screen.axe() == []
    screen.page.screenshot(path=OUT / "explain.png")
    screen.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(why).to_be_focused()


# -- live ---------------------------------------------------------------------------------------------


def test_a_value_a_station_sends_is_on_an_open_screen_within_two_seconds(
    open_page: Look, admin: httpx.Client
) -> None:
    stream = _stream(admin, STATION, "pm25")
    screen = open_page(f"{SERVICE}?stream={stream}")
    settled(screen)
    screen.live()
    page = screen.page
    page.locator("dothi-chart button[data-span='24h']").click()
    page.get_by_text("Xem dạng bảng").click()
    newest = page.locator(".chart-more tbody tr").first
    expect(newest).to_be_visible()
    took = []
    for value in (47.3, 48.7, 46.1):
        rows(admin, {"station": STATION, "time": _this_beat().isoformat(), "pm25": value})
        acknowledged = time.monotonic()
        expect(newest).to_contain_text(f"{value}".replace(".", ","), timeout=2_000)
        took.append(time.monotonic() - acknowledged)
        page.wait_for_timeout(1_100)
    print(f"\nfrom acknowledged to visible: {', '.join(f'{s:.2f} s' for s in took)}")


def _this_beat() -> datetime:
    """The last full five minutes: stations send one value for each."""
    now = datetime.now(UTC)
    return now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0)


def _stream(client: httpx.Client, station: str, parameter: str) -> int:
    found = client.get("/api/v1/datasets/air_quality").json()
    thing = next(one["id"] for one in found["things"] if one["key"] == [station])
    streams = found["streams"]
    return next(
        one["id"] for one in streams if one["thing"] == thing and one["parameter"] == parameter
    )


def test_a_killed_web_process_is_said_and_the_page_recovers_alone(
    open_page: Look, product: Product
) -> None:
    screen = open_page(may_complain=True)
    screen.live()
    product.kill_web()
    state = screen.page.locator("dothi-live")
    expect(state).to_have_text(re.compile(r"Mất kết nối từ \d\d:\d\d"), timeout=30_000)
    began = time.monotonic()
    expect(state).to_have_text("Trực tiếp", timeout=90_000)
    print(f"\nlive again after {time.monotonic() - began:.1f} s")


# -- acting ---------------------------------------------------------------------------------------------


def test_signing_in_with_the_printed_password_taking_a_case_and_reporting_it_done(
    open_page: Look, product: Product, admin: httpx.Client
) -> None:
    product.until(lambda: "VV-" in admin.get("/work").text, 90, "a work item")
    screen = open_page("/login?next=/work")
    page = screen.page
    name, password = product.admin
    page.get_by_label("Tên đăng nhập").fill(name)
    page.get_by_label("Mật khẩu").fill(password)
    page.locator("form .button.primary").click()
    page.wait_for_url("**/work")
    screen.live()
    page.locator("a[href^='/work/VV-']").first.click()
    screen.live()
    code = page.url.rsplit("/", 1)[1]
    page.get_by_role("button", name=re.compile(f"^Tiếp nhận {code}")).click()
    expect(page.locator("#work-item")).to_contain_text("Đã tiếp nhận", timeout=30_000)
    page.locator("summary", has_text="Báo cáo đã xử lý").or_(
        page.locator("details.ask summary.primary")
    ).first.click()
    page.locator("details[open] textarea").fill("Đã kiểm tra tại chỗ, nguồn phát thải đã dừng.")
    page.locator("details[open] form .button").click()
    expect(page.locator("#work-item")).to_contain_text("chờ đánh giá", timeout=30_000)
    expect(page.locator(".history")).to_contain_text("Đã kiểm tra tại chỗ")
    page.screenshot(path=OUT / "work-done.png")


def load(client: httpx.Client, name: str, content: bytes) -> dict[str, object]:
    answer = client.post(
        "/api/v1/datasets/air_quality/files", files={"file": (name, io.BytesIO(content))}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_figure_leads_to_the_row_of_the_file_it_came_from_and_undoing_changes_it(
    open_page: Look, product: Product, admin: httpx.Client, shared: Path
) -> None:
    source = (shared / "data" / EMBASSY).read_bytes()
    first = load(admin, Path(EMBASSY).name, source)
    assert first["report"]["rows"] == 8339  # type: ignore[index]
    thing = next(
        one["id"]
        for one in admin.get("/api/v1/datasets/air_quality").json()["things"]
        if one["key"] == ["Hanoi"]
    )
    day = f"{SERVICE}/explain?indicator=pm25_24h_mean&thing={thing}&period=2018-12-30"
    product.until(lambda: _figure(admin, day) != "—", 120, "the mean of that day")
    before = _figure(admin, day)

    # The person's way: the station in the list, its question mark, the file, its findings.
    screen = open_page(session=admin)
    settled(screen)
    page = screen.page
    page.locator(f"#station-{thing} .why").click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text(Path(EMBASSY).name)
    page.screenshot(path=OUT / "explain-file.png")
    dialog.get_by_role("link", name=Path(EMBASSY).name).first.click()
    expect(page.locator("#load-title")).to_have_text(Path(EMBASSY).name)
    page.screenshot(path=OUT / "load-embassy.png")
    with page.expect_download() as got:
        page.locator("a[href$='/file']").click()
    assert Path(got.value.path()).read_bytes() == source

    hour = datetime(2018, 12, 30, 12, tzinfo=UTC) - timedelta(hours=7)
    text = f"station,time,pm25\nHanoi,{hour:%Y-%m-%dT%H:%M:%SZ},900\n"
    second = load(admin, "hieu-chinh.csv", text.encode())
    product.until(lambda: _figure(admin, day) != before, 60, "the corrected mean")
    changed = _figure(admin, day)
    screen = open_page(f"/loads/{second['load']}", session=admin)
    screen.page.locator("details:has(form[action$='/undo']) summary").click()
    screen.page.locator("form[action$='/undo'] button").click()
    expect(screen.page.locator(".detail-head")).to_contain_text("Đã gỡ", timeout=60_000)
    product.until(lambda: _figure(admin, day) == before, 60, "the mean as it was")
    assert changed != before


def _figure(client: httpx.Client, address: str) -> str:
    found = re.search(r'class="explain-value"><b>([^<]+)</b>', client.get(address).text)
    assert found is not None
    return found[1]


# -- what comes from outside is never run ---------------------------------------------------------------


def test_names_and_values_from_outside_are_shown_and_never_run(
    open_page: Look, admin: httpx.Client
) -> None:
    nasty = "<script>document.title='run'</script>\"><img src=x onerror=\"document.title='run'\">"
    named = {"vi": f"Trạm {nasty}", "en": f"Station {nasty}"}
    made = admin.post(
        "/api/v1/datasets/air_quality/things",
        json={"key": [nasty], "name": named, "lon": 109.7, "lat": 14.2,
              "properties": {"commune": nasty, "rhythm": "PT5M"}},
    )  # fmt: skip
    assert made.status_code == 201
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    rows(admin, {"station": nasty, "time": now, "pm25": 12.5, nasty: nasty})
    text = f"station,time,pm25\n{'SH-KK-02'},{now},13\n{nasty.replace(',', ' ')},{nasty},x\n"
    loaded = load(admin, f"{nasty.replace('/', '')}.csv", text.encode())
    for path in (SERVICE, "/loads", f"/loads/{loaded['load']}"):
        screen = open_page(path, session=admin)
        page = screen.page
        if path == SERVICE:
            settled(screen)
            page.get_by_role("link", name=re.compile("<script>")).first.click()
            expect(page.locator("#chart-title")).to_contain_text("<script>")
            page.locator(".map-pin[aria-label*='<script>']").first.evaluate("pin => pin.click()")
            page.wait_for_timeout(300)
        assert page.locator("img[src=x]").count() == 0
        assert page.title() != "run"
        assert "<script>" in page.locator("body").inner_text()


@pytest.mark.usefixtures("computed")
def test_the_page_of_a_unit_shows_no_figure_of_a_period_that_has_not_ended(
    admin: httpx.Client,
) -> None:
    page = admin.get("/units/SH-64").text
    now = datetime.now(VN)
    figures = "".join(re.findall(r'<dl class="figures">.*?</dl>', page, re.DOTALL))
    hours = re.findall(r"giờ (\d\d:\d\d), (\d\d/\d\d/\d{4})</span>", figures)
    days = re.findall(r'<span class="muted">(\d\d/\d\d/\d{4})</span>', figures)
    assert len(hours) >= 2
    assert len(days) >= 2
    for clock, day in hours:
        assert datetime.strptime(f"{day} {clock}", "%d/%m/%Y %H:%M").replace(tzinfo=VN) <= now
    for day in days:
        assert datetime.strptime(day, "%d/%m/%Y").date() < now.date()
