"""`python -m tests.browser.album OUT`: every page in both themes on phone, desk and wall, and what is
wrong with each.

The pages are the GET addresses of tests/contract/access.yaml that answer a whole page; an example of
each is the first link to it that a walk from the overview meets. An address without an example is
reported: a page that nothing leads to. Writes OUT/NAME-WIDTH-THEME.jpg, OUT/index.html with all of
them, OUT/report.json, and ends with 1 where something was found.

Runs on a demonstration of its own, or on a running one: `--address http://127.0.0.1:8000`, with
ALBUM_LOGIN=NAME:PASSWORD in the environment.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import yaml
from playwright.sync_api import Browser, Error, FloatRect, Page, sync_playwright

from tests.browser.conftest import AXE, CROWDING, INDICATORS, SOFTWARE_GL, chromium_path
from tests.browser.product import ROOT, started

WIDTHS = {390: 844, 1440: 900, 3840: 2160}
THEMES = ("light", "dark")
LOCALES = {"vi": "vi-VN", "en": "en-GB"}
ACCESS = ROOT / "tests" / "contract" / "access.yaml"
UNSUITABLE = Path(__file__).with_name("unsuitable.js")
NO_PAGES = re.compile(
    r"/(api|static)/.*|/(live|healthz|readyz|metrics|openapi\.json|latest|chips)"
    r"|/login/oidc.*|.*/\{panel:str\}|.*\.(geojson|xlsx)|.*/(file|download|evidence/\{sha256:str\})"
)  # fmt: skip
"""Addresses that answer no page: data, parts of pages, files, the way to a provider of identities."""
ONWARD = {"/", "/admin", "/duty/brief", "/admin/pull-sources"}
"""Addresses that lead on to another one."""
MORE = (
    "/no/such", "/search?q=kim+son", "/search?q=zzzz", "/ioc?r=7d", "/work?state=done",
)  # fmt: skip
"""What the walk does not meet: the page for a missing thing, a search with and without hits."""
EXAMPLES_FOLLOWED = 3
MOST_TOLD = 4
MOST_SCREENS = 4
"""How far down a picture goes."""


@dataclass(frozen=True)
class Shot:
    """One page to look at."""

    name: str
    path: str
    status: int = 200
    known: bool = True

    @property
    def who(self) -> str:
        return "admin" if self.known else "anonymous"


class _Links(HTMLParser):
    """The addresses that a page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and (link := given.get("href")) and "download" not in given:
            self.found.append(link)
        if tag == "form" and given.get("method", "get") == "get" and given.get("action"):
            self.found.append(str(given["action"]))


def links(text: str, at: str) -> list[str]:
    """Paths of this host that a page links to, with their questions."""
    parser = _Links()
    parser.feed(text)
    whole = (urlsplit(urljoin(f"http://here{at}", link)) for link in parser.found)
    return [
        parts.path + (f"?{parts.query}" if parts.query else "")
        for parts in whole
        if parts.netloc == "here"
    ]


def page_routes() -> dict[str, str]:
    """The addresses that answer pages, each with the status a stranger gets; the most open of them
    where it depends on the thing."""
    access = yaml.safe_load(ACCESS.read_text("utf-8"))
    stranger = access["actors"].index("anonymous")
    return {
        route.removeprefix("GET "): min(line.split()[stranger] for line in lines.values())
        for route, lines in access["routes"].items()
        if route.startswith("GET ") and not NO_PAGES.fullmatch(route.removeprefix("GET "))
    }


def route_of(path: str, routes: Iterable[str]) -> str | None:
    """The address that answers a path: the one with the fewest parameters."""
    bare = urlsplit(path).path
    fit = [
        route
        for route in routes
        if re.fullmatch(re.sub(r"\{\w+:\w+\}", "[^/]+", route), bare)
    ]  # fmt: skip
    return min(fit, key=lambda route: route.count("{"), default=None)


def walk(session: httpx.Client, routes: dict[str, str]) -> dict[str, str]:
    """An example of each address, as links lead to it from the overview."""
    every = {*routes, *ONWARD}
    examples: dict[str, list[str]] = {}
    waiting, seen = ["/ioc", "/login", "/leader", "/wall"], set[str]()
    while waiting:
        path = waiting.pop(0)
        route = route_of(path, every)
        if path in seen or route is None or len(examples.get(route, ())) >= EXAMPLES_FOLLOWED:
            continue
        seen.add(path)
        answer = session.get(path, headers={"accept": "text/html"}, follow_redirects=True)
        if answer.status_code == 200 and "<html" in answer.text:
            examples.setdefault(route, []).append(path)
            waiting += links(answer.text, path)
    for route in examples:
        if "{" not in route and session.get(route, headers={"accept": "text/html"}).is_success:
            examples[route].insert(0, route)  # as the navigation opens it
    return {route: found[0] for route, found in examples.items() if route not in ONWARD}


def shots(session: httpx.Client) -> tuple[list[Shot], list[str]]:
    """What to look at, and the addresses for which no example was found."""
    routes = {route: status for route, status in page_routes().items() if route not in ONWARD}
    examples = walk(session, routes)
    found = []
    for route, path in sorted(examples.items()):
        name = re.sub(r"\{(\w+):\w+\}", r"\1", route).strip("/").replace("/", "-")
        found.append(Shot(name, path))
        if routes[route] == "200":
            with httpx.Client(base_url=session.base_url, timeout=60) as nobody:
                stranger = nobody.get(path, headers={"accept": "text/html"})
            if stranger.status_code == 200:
                found.append(Shot(f"{name}-open", path, known=False))
    for path in MORE:
        name = "more-" + re.sub(r"\W+", "-", path).strip("-")
        found.append(Shot(name, path, 404 if path == "/no/such" else 200))
    return found, sorted(set(routes) - set(examples))


def settle(page: Page) -> None:
    """Maps and charts have drawn, panels have come."""
    page.evaluate("document.fonts.ready")
    if page.locator("dothi-map").count():
        with contextlib.suppress(Error):  # a map that never draws is seen in the picture
            page.wait_for_selector("dothi-map[data-state=ready]:visible", timeout=30_000)
    if page.locator(".chart-note").count():
        with contextlib.suppress(Error):
            page.locator(".chart-note").first.wait_for(state="hidden", timeout=15_000)
    page.wait_for_timeout(400)


def look_at(page: Page, shot: Shot, where: str, width: int, picture: Path) -> list[str]:
    """Open it at one width; what is wrong with it, one line each."""
    wrong: list[str] = []
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    try:
        answer = page.goto(where)
    except Error as error:
        return [f"does not open: {error.message.splitlines()[0]}"]
    if answer is None or answer.status != shot.status:
        wrong.append(f"answers {answer.status if answer else 'nothing'}")
    settle(page)
    height = min(
        page.evaluate("document.documentElement.scrollHeight"), MOST_SCREENS * WIDTHS[width]
    )
    clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": height}
    page.screenshot(path=picture, full_page=True, clip=clip, type="jpeg", quality=80)
    wrong += page.evaluate(CROWDING.read_text("utf-8"))
    wrong += page.evaluate(UNSUITABLE.read_text("utf-8"))
    if width != max(WIDTHS):  # what axe judges is the same on larger screens
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        wrong += [
            f"axe {rule['id']}: {node['html'][:160]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
    return wrong


def pictures(
    browser: Browser, session: httpx.Client, wanted: list[Shot], out: Path, lang: str,
    themes: Iterable[str], widths: Iterable[int],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Take them all; one record for each."""
    address = str(session.base_url).rstrip("/")
    for theme in themes:
        for known in (True, False):
            context = browser.new_context(locale=LOCALES[lang])
            cookies = {"theme": theme, "lang": lang} | (dict(session.cookies) if known else {})
            context.add_cookies(
                [{"name": k, "value": v, "url": address} for k, v in cookies.items()]
            )
            for shot in wanted:
                if shot.known != known:
                    continue
                page = context.new_page()
                said: list[str] = []
                page.on("pageerror", lambda error, said=said: said.append(f"error {error.message}"))
                page.on("console", lambda line, said=said: said.append(f"{line.type} {line.text}"))
                page.on("request", lambda sent, said=said: said.append(f"request {sent.url}"))
                for width in widths:
                    picture = out / f"{shot.name}-{width}-{theme}.jpg"
                    wrong = look_at(page, shot, address + shot.path, width, picture)
                    wrong += [line for line in said if is_fault(line, address, shot)]
                    said.clear()
                    yield {
                        "page": shot.name, "path": shot.path, "who": shot.who, "theme": theme,
                        "width": width, "picture": picture.name, "wrong": list(dict.fromkeys(wrong)),
                    }  # fmt: skip
                page.close()
            context.close()


def is_fault(line: str, address: str, shot: Shot) -> bool:
    """Whether what the browser said is one: an error, or a request to another host."""
    if line.startswith("request "):
        own = (address, "data:", f"blob:{address}")
        return not line.removeprefix("request ").startswith(own)
    if line.startswith("error ") and shot.status >= 400:
        return False  # the browser notes the status that was expected
    return line.startswith("error ")


def index(records: list[dict[str, Any]], out: Path) -> None:
    """One page with all pictures, small, and what is wrong beside each."""
    cells = "\n".join(
        f'<figure><a href="{r["picture"]}"><img loading="lazy" src="{r["picture"]}"></a><figcaption>'
        f"<b>{r['page']}</b> {r['width']} {r['theme']}"
        + "".join(f"<br>{html.escape(str(line))}" for line in r["wrong"])
        + "</figcaption></figure>"
        for r in records
    )
    style = (
        "body{font:14px sans-serif;display:grid;gap:16px;"
        "grid-template-columns:repeat(auto-fill,minmax(22rem,1fr))}"
        "figure{margin:0}img{width:100%;max-height:40rem;object-fit:contain;object-position:top left}"
    )
    (out / "index.html").write_text(f"<!doctype html><style>{style}</style>{cells}", "utf-8")


def furnish(home: Path, session: httpx.Client) -> None:
    """What the demonstration has nothing of: a database to pull from, and an installed pack."""
    source = {
        "name": "album", "agency": "so-nnmt", "kind": "mysql", "tls": "verify", "host": "10.1.2.3",
        "database": "quan_trac", "account": "doc",
    }  # fmt: skip
    pull = {
        "name": "album", "source": "album", "dataset": "noise", "mark": "", "every_min": "60",
        "query": "SELECT station, time, laeq FROM noise",
    }  # fmt: skip
    for path, fields in (("/admin/pull-sources", source), ("/admin/pulls", pull)):
        answer = session.post(path, data=fields)
        assert answer.status_code == 303, answer.text
    folder = home / "album"
    for words in (["new", "--owner", "so-nnmt", folder], ["--home", home, "install", folder]):
        subprocess.run([sys.executable, "-m", "dothi", "pack", *words], cwd=ROOT, check=True)


@contextlib.contextmanager
def signed_in(address: str | None) -> Iterator[httpx.Client]:
    """The administrator's session of a demonstration: a new one, or the one at the address."""
    if address is None:
        with started() as product:
            session = product.browser_session()
            product.until(
                lambda: all(f"show.i_{n}" in session.get("/ioc/arrange").text for n in INDICATORS),
                300, "every indicator",
            )  # fmt: skip
            furnish(product.home, session)
            yield session
        return
    name, _, password = os.environ["ALBUM_LOGIN"].partition(":")
    with httpx.Client(base_url=address, timeout=120) as session:
        session.headers["sec-fetch-site"] = "same-origin"
        answer = session.post("/login", data={"username": name, "password": password})
        assert answer.status_code == 303, answer.text
        yield session


def main() -> int:
    """Take the pictures; print what was found."""
    options = argparse.ArgumentParser(description="every page, in both themes, at three widths")
    options.add_argument("out", type=Path)
    options.add_argument("--address", help="of a running demonstration; else a new one is started")
    options.add_argument("--lang", choices=("vi", "en"), default="vi")
    options.add_argument("--only", default="", help="pages whose name matches this expression")
    options.add_argument("--theme", choices=THEMES, action="append")
    options.add_argument("--width", type=int, choices=WIDTHS, action="append")
    asked = options.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with signed_in(asked.address) as session, sync_playwright() as playwright:
        wanted, missing = shots(session)
        wanted = [shot for shot in wanted if re.search(asked.only, shot.name)]
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=[*SOFTWARE_GL, f"--lang={LOCALES[asked.lang]}"]
        )
        records = []
        for record in pictures(
            browser, session, wanted, asked.out, asked.lang, asked.theme or THEMES,
            asked.width or tuple(WIDTHS),
        ):  # fmt: skip
            records.append(record)
            told = record["wrong"]
            for line in told[:MOST_TOLD]:
                print(record["page"], record["width"], record["theme"], line, flush=True)
            if len(told) > MOST_TOLD:
                print(record["page"], record["width"], record["theme"], f"… {len(told)} in all")
        browser.close()
    index(records, asked.out)
    report = {"pages": len(wanted), "missing": missing, "pictures": records}
    (asked.out / "report.json").write_text(
        json.dumps(report, ensure_ascii=False, indent=1), "utf-8"
    )
    for route in missing:
        print(f"no page leads to {route}")
    faulty = sum(bool(record["wrong"]) for record in records)
    print(f"{len(wanted)} pages, {len(records)} pictures, {faulty} of them with faults")
    return 1 if faulty or missing else 0


if __name__ == "__main__":
    sys.exit(main())
