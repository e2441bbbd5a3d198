"""A real browser, and the preview server: the product's screens with invented figures."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.preview import Preview, serve

if TYPE_CHECKING:
    from tests.browser.product import Product

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
SIZES = (
    (390, 844), (768, 1024), (1280, 800), (1366, 768), (1440, 900), (1440, 960), (1920, 1080),
    (3840, 2160),
)  # fmt: skip
"""Screens of phone, tablet, desktops and wall that every page must fit."""
CROWDING = Path(__file__).with_name("crowding.js")
SOFTWARE_GL = [
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",
]  # fmt: skip
"""Maps are drawn by a processor; that the rest of the page is not, halves the work of a page with one."""


@dataclass
class Screen:
    """An open page and what the browser had to say about it."""

    page: Page
    preview: Preview
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    weight: dict[str, int] = field(default_factory=dict)

    def axe(self) -> list[str]:
        """What axe-core finds wrong, one line for each element."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['html'][:160]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def crowded(self) -> list[str]:
        """What is cut off or lies on something else, one line each (see crowding.js)."""
        return self.page.evaluate(CROWDING.read_text(encoding="utf-8"))

    def crowded_at(self, *sizes: tuple[int, int]) -> dict[tuple[int, int], list[str]]:
        """The sizes at which something is, with what it is."""
        found: dict[tuple[int, int], list[str]] = {}
        for size in sizes:
            self.page.set_viewport_size({"width": size[0], "height": size[1]})
            self.page.wait_for_timeout(100)  # the chart follows its box a frame later
            if lines := self.crowded():
                found[size] = lines
        return found

    def go(self, path: str) -> None:
        """Another page in the same window, with what it has loaded already."""
        self.page.goto(self.preview.address + path)

    def close(self) -> None:
        """Ends the page; it must not have complained or spoken to another host."""
        if not self.page.is_closed():
            self.page.context.close()
        assert self.complaints == []
        assert self.foreign == []

    def map_ready(self) -> None:
        self.page.wait_for_selector("dothi-map[data-state=ready]", timeout=90_000)

    def live(self) -> None:
        self.page.wait_for_selector("dothi-live[data-state=live]")


Open = Callable[..., Screen]
Look = Callable[..., Screen]


def chromium_path() -> str | None:
    """The browser to use; None: the one Playwright brought along."""
    return os.environ.get("DOTHI_CHROMIUM") or shutil.which("chromium") or shutil.which("chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium of the system (or DOTHI_CHROMIUM), drawing WebGL in software."""
    expect.set_options(timeout=30_000)  # CI's two cores also run what the page talks to
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=SOFTWARE_GL)
        yield chromium
        chromium.close()


@pytest.fixture
def preview() -> Iterator[Preview]:
    server = serve()
    yield server
    server.cut += 1
    server.shutdown()
    server.server_close()


@pytest.fixture
def open_screen(browser: Browser, preview: Preview) -> Iterator[Open]:
    """Opens a path of the preview; at the end nothing may have complained or left this host."""
    screens: list[Screen] = []

    def open_screen(
        path: str,
        *,
        theme: str = "dark",
        lang: str = "vi",
        size: tuple[int, int] = (1920, 1080),
        script: str = "",
        may_complain: bool = False,
    ) -> Screen:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        context.add_cookies(
            [
                {"name": "theme", "value": theme, "url": preview.address},
                {"name": "lang", "value": lang, "url": preview.address},
            ]
        )
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.set_default_timeout(90_000)
        screen = Screen(page, preview)
        page.on("pageerror", lambda error: screen.complaints.append(error.message))
        page.on(
            "console",
            lambda said: (
                screen.complaints.append(said.text)
                if said.type == "error" and not may_complain
                else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((preview.address, "data:"))
                else screen.foreign.append(request.url)
            ),
        )
        page.on(
            "requestfinished",
            lambda request: screen.weight.update(
                {request.url: request.sizes()["responseBodySize"]}
            ),
        )
        page.goto(preview.address + path)
        screens.append(screen)
        return screen

    yield open_screen
    for screen in screens:
        screen.close()


# -- the real product ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def product() -> "Iterator[Product]":
    """`dothi up --demo`, once its worker has computed the first figures; one for all its tests."""
    from tests.browser.product import OUT, SERVICE, started

    with started() as running:
        with httpx.Client(base_url=running.address, timeout=30) as client:
            running.until(
                lambda: "badge aqi-" in client.get(f"{SERVICE}?").text, 200, "the first index"
            )
        OUT.mkdir(parents=True, exist_ok=True)
        yield running
        (OUT / "product.log").write_text("".join(running.lines), "utf-8")


@pytest.fixture(scope="session")
def admin(product: "Product") -> Iterator[httpx.Client]:
    """A session of the administrator."""
    client = product.browser_session()
    yield client
    client.close()


INDICATORS = {
    "air_means_daily", "air_means_hourly", "noise_hourly", "pm25_24h_mean", "vn_aqi_daily",
    "vn_aqi_hourly", "vn_wqi_daily",
}  # fmt: skip


@pytest.fixture(scope="session")
def computed(product: "Product", admin: httpx.Client) -> None:
    """The worker has computed every indicator of the demonstration."""

    def there() -> bool:
        said = admin.get("/ioc/arrange").text
        return all(f"show.i_{name}" in said for name in INDICATORS)

    product.until(there, 240, "every indicator")


@pytest.fixture
def open_page(browser: Browser, product: "Product") -> Iterator[Look]:
    """Opens pages; at the end none may have complained or spoken to another host."""
    from tests.browser.product import SERVICE, look

    screens: list[Screen] = []

    def open_page(path: str = SERVICE, **how: object) -> Screen:
        screens.append(look(browser, product, path, **how))  # pyright: ignore[reportArgumentType]
        return screens[-1]

    yield open_page
    for screen in screens:
        screen.close()
