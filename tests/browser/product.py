"""The real product: `dothi up --demo` in a home of its own, and screens of it in the browser."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

from tests.browser.conftest import Screen

ROOT = Path(__file__).parents[2]
OUT = ROOT / "tests" / "out"
SERVICE = "/services/environment"


@dataclass
class Product:
    """A running installation, what it printed, and the ways to it."""

    process: subprocess.Popen[str]
    home: Path
    lines: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self._said(r"(http://127\.0\.0\.1:\d+)")[0]

    @property
    def admin(self) -> tuple[str, str]:
        """The administrator's name and the password that the first start printed."""
        name, password = self._said(r"quản trị: (\S+)\s+Mật khẩu: (\S+)")
        return name, password

    def _said(self, pattern: str, patience_s: float = 180) -> tuple[str, ...]:
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            if found := re.search(pattern, "".join(self.lines)):
                return found.groups()
            time.sleep(0.05)
        raise TimeoutError(f"{pattern} is not in {self.lines}")

    def browser_session(self) -> httpx.Client:
        """The administrator's session, for what a script would do with it."""
        client = httpx.Client(base_url=self.address, timeout=120, follow_redirects=False)
        client.headers["sec-fetch-site"] = "same-origin"
        name, password = self.admin
        answer = client.post("/login", data={"username": name, "password": password})
        assert answer.status_code == 303, answer.text
        return client

    def children(self, name: str) -> list[int]:
        """Process numbers of the supervisor's children of that name."""
        import json

        state = subprocess.run(
            [sys.executable, "-m", "dothi", "status", "--json", "--home", self.home],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        return [c["pid"] for c in json.loads(state.stdout)["children"] if name in c["name"]]

    def kill_web(self) -> None:
        """Kill our own web process without warning."""
        for pid in self.children("web"):
            os.kill(pid, signal.SIGKILL)

    def until(self, done: Any, patience_s: float = 60, what: str = "") -> None:
        """Wait until something the product works on has come true."""
        end = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < end, f"not within {patience_s} s: {what}"
            time.sleep(0.2)


@contextlib.contextmanager
def started() -> Iterator[Product]:
    """The demonstration from nothing to ready, ended and removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="dothi-show-", dir="/tmp"))
    home.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DOTHI_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "dothi", "up", "--demo", "--home", home / "home", "--port", "0"],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment | {"DOTHI_LANG": "vi", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    product = Product(process, home / "home")
    reader = threading.Thread(target=_read, args=(process, product.lines), daemon=True)
    reader.start()
    try:
        assert product.admin and product.address
        yield product
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(iter(process.stdout.readline, ""))


def look(
    browser: Browser,
    product: Product,
    path: str = SERVICE,
    *,
    theme: str = "light",
    lang: str = "vi",
    size: tuple[int, int] = (1920, 1080),
    session: httpx.Client | None = None,
    may_complain: bool = False,
    scale: float = 1.0,
) -> Screen:
    """A page of the product; what the browser complains of and foreign addresses are kept."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, device_scale_factor=scale
    )
    cookies = {"theme": theme, "lang": lang} | dict(session.cookies if session else {})
    context.add_cookies(
        [{"name": k, "value": v, "url": product.address} for k, v in cookies.items()]
    )
    page = context.new_page()
    page.set_default_timeout(90_000)
    screen = Screen(page, product)  # pyright: ignore[reportArgumentType]
    if not may_complain:
        page.on("pageerror", lambda error: screen.complaints.append(error.message))
        page.on(
            "console",
            lambda said: screen.complaints.append(said.text) if said.type == "error" else None,
        )
        page.on(
            "response",
            lambda answer: (
                screen.complaints.append(f"{answer.status} {answer.url}")
                if answer.status >= 500
                else None
            ),
        )
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((product.address, "data:", "blob:" + product.address))
            else screen.foreign.append(request.url)
        ),
    )
    page.goto(product.address + path)
    return screen


def settled(screen: Screen) -> None:
    """Map and chart have drawn what they show."""
    screen.map_ready()
    screen.page.locator("dothi-chart canvas").wait_for()
    screen.page.locator(".chart-note").wait_for(state="hidden")
    screen.page.evaluate("document.fonts.ready")
    screen.page.wait_for_timeout(400)
