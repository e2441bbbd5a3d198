"""`python -m tests.browser.screenshot`: the picture of the environment service for the documents."""

from __future__ import annotations

from playwright.sync_api import sync_playwright

from tests.browser.conftest import SOFTWARE_GL, chromium_path
from tests.browser.product import ROOT, look, settled, started

PICTURE = ROOT / "docs" / "images" / "environment.png"


def main() -> None:
    """Start the demonstration, wait for its figures, take the picture."""
    with started() as product, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=SOFTWARE_GL)
        session = product.browser_session()
        # The board of a usual screen, drawn 1440 pixels wide.
        screen = look(chromium, product, size=(1920, 1080), scale=0.75, session=session)
        screen.page.locator("#stations .badge b").nth(5).wait_for(timeout=90_000)
        screen.page.reload()
        settled(screen)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        screen.page.screenshot(path=PICTURE)
        screen.page.context.close()
        chromium.close()


if __name__ == "__main__":
    main()
