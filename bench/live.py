"""From the answer to a station's row until a person sees the value on a page that is open.

`python -m bench.live [--values 10]`. A real browser has the environment page with its table open; rows come
through the public door. The longest counts: a person waits for each. No floor: the target is in seconds.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import sync_playwright

from bench.measure import line, percentile, show
from bench.product import PAGE, Product, product
from dothi.lake import registry
from tests.browser.conftest import SOFTWARE_GL, chromium_path

TARGET_S = 2.0
STATION = "SH-KK-01"


def main() -> None:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="a new value on an open screen")
    options.add_argument("--values", type=int, default=10)
    show(measured(options.parse_args().values))


def measured(values: int = 10) -> dict[str, Any]:
    """Seconds of each value."""
    with product("--demo") as running, sync_playwright() as playwright:
        key, client = running.key(), running.client()
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=SOFTWARE_GL)
        page = browser.new_page(locale="vi-VN")
        page.goto(f"http://127.0.0.1:{running.port}{PAGE}?stream={_stream(running)}")
        page.wait_for_selector("dothi-live[data-state=live]")
        page.locator("dothi-chart button[data-span='24h']").click()
        page.locator(".chart-more summary").click()
        newest = page.locator(".chart-more tbody tr").first
        newest.wait_for()
        taken = []
        for number in range(values):
            value = round(41.1 + 0.7 * number, 1)
            now = datetime.now(UTC)
            beat = now.replace(minute=now.minute // 5 * 5, second=0, microsecond=0).isoformat()
            row = {"station": STATION, "time": beat, "pm25": value}
            assert client.post_rows(key, f"{beat}-{number}", [row]) in (200, 201)
            acknowledged = time.perf_counter()
            newest.filter(has_text=f"{value}".replace(".", ",")).wait_for(timeout=30_000)
            taken.append(time.perf_counter() - acknowledged)
            page.wait_for_timeout(1_100)
        browser.close()
        client.close()
    worst = max(taken)
    return {
        "name": "live", "rows": None, "runs": values, "figure_s": round(worst, 2),
        "median_s": round(percentile(taken, 0.5), 2), "target": f"{TARGET_S} s",
        "met": worst <= TARGET_S, "taken_s": [round(s, 2) for s in taken],
        "lines": [line("new value on an open screen, longest", worst, "s", TARGET_S)],
    }  # fmt: skip


def _stream(running: Product) -> int:
    """The number of the quantity that is sent."""
    with running.database() as db, db.transaction() as conn:
        name = ((STATION,), "pm25")
        return registry.stream_ids(conn, registry.find(conn, "air_quality"), [name])[name]


if __name__ == "__main__":
    main()
