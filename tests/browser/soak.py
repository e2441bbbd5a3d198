"""`python -m tests.browser.soak [--hours 8]`: the wall unattended, through restarts and a cut.

The database is restarted twice and the network is cut once (10 minutes of the full run). The wall has
to say that it lost the connection, go on with its slides, recover alone and show what came since; its
JavaScript heap must not grow by a tenth. Prints one JSON object, ends with 1 where something fails.
`test_soak.py` goes the same way in 5 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dothi.kernel.time import VN
from tests.browser.conftest import SOFTWARE_GL, chromium_path
from tests.browser.product import Product, started

MOST_GROWTH = 0.10
LONGEST_CUT_S = 600
WEIGHED_EVERY_S = 900
LOST = re.compile(r"Mất kết nối từ \d\d:\d\d")
NUMBERS = ("work_open", "work_overdue", "work_soon", "silent", "stations", "valid", "rows", "loads")
"""Numbers that work is given for, one after the other: a new item is what must appear on the wall."""


class Wire:
    """A port of this machine that leads to another one, until it is cut: then nothing gets through,
    and what is connected hears nothing more."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = threading.Event()
        self._whole.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._whole.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._port), 10)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                self._whole.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@dataclass
class Wall:
    """The open wall, and what was seen on it."""

    page: Page
    product: Product
    wire: Wire
    session: httpx.Client
    slides: int = 0
    lost: list[str] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    heap: list[int] = field(default_factory=list)
    _numbers: Iterator[str] = field(default_factory=lambda: iter(NUMBERS))

    def weigh(self) -> int:
        """Bytes of JavaScript that are in use after a collection of garbage, on the first slide."""
        self.page.locator("#slide-overview").wait_for()
        tools = self.page.context.new_cdp_session(self.page)
        for _ in range(3):
            tools.send("HeapProfiler.collectGarbage")
        self.heap.append(int(tools.send("Runtime.getHeapUsage")["usedSize"]))
        tools.detach()
        return self.heap[-1]

    def shown(self) -> str:
        return self.page.locator(".wall-bar [aria-current]").inner_text()

    def turns(self, count: int, patience_s: float) -> None:
        """Wait until the slides have changed so many times."""
        for _ in range(count):
            before = self.shown()
            expect(self.page.locator(".wall-bar [aria-current]")).not_to_have_text(
                before, timeout=patience_s * 1000
            )
            self.slides += 1

    def is_fresh(self, patience_s: float) -> None:
        """Something that happens now comes to be on the wall."""
        code = give(self.session, next(self._numbers))
        began = time.monotonic()
        expect(self.page.locator("#slide-work")).to_contain_text(code, timeout=patience_s * 1000)
        self.recovered_s.append(round(time.monotonic() - began, 1))

    def restart_database(self) -> None:
        """The database is ended hard; the supervisor starts it again."""
        (postgres,) = self.product.children("postgresql")
        os.kill(postgres, signal.SIGQUIT)

        def back() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                again = self.product.children("postgresql")
                ready = self.session.get("/readyz", timeout=5).status_code == 200
                return ready and again != [postgres]
            return False

        self.product.until(back, 120, "the database is back")

    def cut_for(self, seconds: float, patience_s: float) -> None:
        """The network is cut; the wall says so, its slides go on, and it comes back alone."""
        self.wire.cut()
        began = time.monotonic()
        state = self.page.locator("dothi-live")
        expect(state).to_have_text(LOST, timeout=90_000)
        self.lost.append(state.inner_text())
        self.turns(2, patience_s)
        while (rest := seconds - (time.monotonic() - began)) > 0:
            self.page.wait_for_timeout(min(rest, 5) * 1000)
        expect(state).to_have_text(LOST)
        self.wire.mend()
        expect(state).to_have_text("Trực tiếp", timeout=120_000)

    @property
    def growth(self) -> float:
        """From the first weighing to the last."""
        return self.heap[-1] / self.heap[0] - 1


def give(session: httpx.Client, key: str) -> str:
    """Give a number to the first agency of the form, as urgent; the code of the work item."""
    form = session.get("/ioc/assign", params={"key": key}).text
    agency = re.search(r'<option value="([^"]+)"', form)
    assert agency is not None
    due = datetime.now(VN) + timedelta(minutes=40)
    fields = {
        "agency": agency[1], "severity": "critical", "due": f"{due:%Y-%m-%dT%H:%M}",
        "note": "Kiểm tra màn hình lớn.",
    }  # fmt: skip
    answer = session.post("/ioc/assign", params={"key": key}, data=fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].split("/")[-1].split("?")[0]


@contextlib.contextmanager
def watched(
    browser: Browser, product: Product, session: httpx.Client, seconds: int,
    size: tuple[int, int] = (3840, 2160),
) -> Iterator[Wall]:  # fmt: skip
    """The wall on a 4K screen, over a wire that can be cut."""
    wire = Wire(int(product.address.rsplit(":", 1)[1]))
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    cookies = {"theme": "dark", "lang": "vi", **dict(session.cookies)}
    context.add_cookies([{"name": k, "value": v, "url": wire.address} for k, v in cookies.items()])
    try:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{wire.address}/wall?seconds={seconds}")
        page.wait_for_selector("dothi-live[data-state=live]")
        yield Wall(page, product, wire, session)
    finally:
        wire.mend()
        wire.close()
        context.close()


def soak(wall: Wall, lasting_s: float, seconds: int) -> None:
    """So long on the wall: restarts after a fifth and two fifths of the time, the cut after three.

    It is weighed first after a twentieth: what the browser compiles on its way is no growth.
    """
    began, patience = time.monotonic(), 4.0 * seconds + 60
    slides = wall.page.locator(".slide").count()
    wall.turns(2 * slides, patience)
    while time.monotonic() - began < lasting_s / 20:
        wall.turns(1, patience)
    wall.weigh()
    weighed = time.monotonic()
    steps = [
        (0.2, wall.restart_database),
        (0.4, wall.restart_database),
        (0.6, lambda: wall.cut_for(min(LONGEST_CUT_S, lasting_s / 4), patience)),
        (1.0, lambda: None),
    ]
    for share, disturb in steps:
        while time.monotonic() - began < share * lasting_s:
            wall.turns(1, patience)
            if time.monotonic() - weighed > WEIGHED_EVERY_S:
                wall.weigh()
                weighed = time.monotonic()
        disturb()
        wall.is_fresh(2 * slides * seconds + 120)
    wall.turns(slides, patience)
    wall.weigh()


def main() -> int:
    """Run and print one JSON object."""
    options = argparse.ArgumentParser(description="the wall, unattended for hours")
    options.add_argument("--hours", type=float, default=8.0)
    options.add_argument("--seconds", type=int, default=20, help="how long a slide stays")
    options.add_argument("--picture", type=Path, help="where to put a picture of the end")
    asked = options.parse_args()
    with started() as product, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=SOFTWARE_GL)
        session = product.browser_session()
        product.until(lambda: "show.i_vn_wqi_daily" in session.get("/ioc/arrange").text, 300)
        with watched(browser, product, session, asked.seconds) as wall:
            soak(wall, asked.hours * 3600, asked.seconds)
            if asked.picture:
                wall.page.screenshot(path=asked.picture)
        browser.close()
    met = wall.growth < MOST_GROWTH
    json.dump(
        {
            "name": "soak", "hours": asked.hours, "slides": wall.slides, "said": wall.lost,
            "recovered_s": wall.recovered_s, "heap_mb": [round(h / 1e6, 2) for h in wall.heap],
            "growth": round(wall.growth, 4), "target": MOST_GROWTH, "met": met,
        },
        sys.stdout, indent=1, ensure_ascii=False,
    )  # fmt: skip
    print()
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
