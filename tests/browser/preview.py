"""A server that shows the screens with invented figures: ``python -m tests.browser.preview [PORT]``.

It answers as the product does (strict CSP, fragments, chart columns, live events), without a store.
"""

import datetime as dt
import gzip
import json
import math
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from dothi.ioc import view as v
from dothi.kernel.zone import VN
from dothi.web.assets import Assets
from dothi.web.render import CSP, Pages
from dothi.web.view import LoginView, PasswordView, ProblemView
from tests.browser import invented, invented_work
from tests.browser.province import province

PACKAGE = Path(__file__).parents[2] / "dothi"
FOLDERS = (PACKAGE / "web" / "templates", PACKAGE / "ioc" / "templates")
SPANS = {
    "24h": 86_400,
    "7d": 7 * 86_400,
    "30d": 30 * 86_400,
    "1y": 365 * 86_400,
    "all": 5 * 365 * 86_400,
}
LIMIT_CHANGES = dt.datetime(2026, 1, 1, tzinfo=VN).timestamp()


class Preview(ThreadingHTTPServer):
    """The server and what tests do to it: ring a topic, cut the live streams, refuse new ones."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.pages = Pages(FOLDERS, Assets())
        self.assets = Assets()
        self.ground = json.dumps(province()).encode()
        self.rings: list[tuple[int, str]] = []
        self.cut = 0
        self.refuse_live = False
        self.posts: list[str] = []
        self.asked: list[str] = []
        self.worst = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ring(self, topic: str) -> None:
        self.rings.append((len(self.rings), topic))


class Handler(BaseHTTPRequestHandler):
    server: Preview  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        self.server.posts.append(f"{self.path} {body}".strip())
        if self.path == "/preferences":
            form = {key: values[0] for key, values in parse_qs(body).items()}
            self.send_response(303)
            self.send_header("location", form.get("next", "/"))
            for name in ("lang", "theme"):
                if name in form:
                    self.send_header("set-cookie", f"{name}={form[name]}; Path=/")
            self.send_header("content-length", "0")
            self.end_headers()
        elif self.path.endswith("/1"):
            self.answer(
                409,
                json.dumps(
                    {"title": "Xung đột", "detail": "Nội dung đã được người khác thay đổi."}
                ),
                "application/problem+json",
            )
        else:
            self.answer(204, "", "text/plain")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.asked.append(self.path)
        path = parts.path
        if path.startswith("/static/"):
            self.static(path)
        elif path == "/live":
            self.live()
        elif path == "/api/v1/map/base.geojson":
            self.answer(200, self.server.ground, "application/geo+json")
        elif path.endswith("/chart") and path.startswith("/api/"):
            self.answer(200, json.dumps(columns(path, query)), "application/json")
        else:
            self.page(path, query)

    def page(self, path: str, query: dict[str, str]) -> None:
        cookies = dict(
            c.strip().split("=", 1) for c in self.headers.get("cookie", "").split(";") if "=" in c
        )
        lang = cookies.get("lang", "vi")
        theme = cookies.get("theme")
        htmx = self.headers.get("hx-request") == "true"
        pages = self.server.pages
        make = fragments(self.server, lang, query).get(path)
        if make and htmx:
            self.html(200, pages.render(make[0], lang, view=make[1]()))
            return
        name, title, current, view = whole(self.server, lang, path, query)
        guest = "guest" in query
        if guest and isinstance(view, v.ServiceView):
            view = replace(view, work=None, tiles=replace(view.tiles, tiles=view.tiles.tiles[:5]))
        signed_in = name != "login.html" and not guest
        shell = invented.shell(
            lang,
            theme if theme in ("dark", "light") else None,
            title,
            self.path,
            current,
            signed_in,
        )  # type: ignore[arg-type]
        self.html(404 if name == "problem.html" else 200, pages.page(name, lang, shell, view))

    def html(self, status: int, text: str) -> None:
        self.answer(status, text, "text/html; charset=utf-8")

    def static(self, path: str) -> None:
        _, _, tree, digest, inner = path.split("/", 4)
        asset = self.server.assets.find(
            tree, digest, inner, self.headers.get("accept-encoding", "")
        )
        if asset is None:
            self.answer(404, "", "text/plain")
            return
        self.send_response(200)
        for name, value in asset.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(asset.body)))
        self.end_headers()
        self.wfile.write(asset.body)

    def answer(self, status: int, body: str | bytes, media_type: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        packed = len(data) > 1000 and "gzip" in self.headers.get("accept-encoding", "")
        if packed:
            data = gzip.compress(data, 5)
        self.send_response(status)
        self.send_header("content-type", media_type)
        if packed:
            self.send_header("content-encoding", "gzip")
        self.send_header("content-security-policy", CSP)
        self.send_header("cache-control", "no-cache")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def live(self) -> None:
        if self.server.refuse_live:
            self.answer(503, "", "text/plain")
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("cache-control", "no-cache")
        self.send_header("connection", "close")
        self.end_headers()
        seen, cut = len(self.server.rings), self.server.cut
        try:
            self.event(
                "hello", {"build": self.server.assets.build, "now": invented.NOW.isoformat()}
            )
            while self.server.cut == cut:
                for _, topic in self.server.rings[seen:]:
                    self.event("ring", {"topics": [topic]})
                seen = len(self.server.rings)
                time.sleep(0.05)
        except OSError:
            pass
        self.close_connection = True

    def event(self, name: str, data: dict[str, object]) -> None:
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()


Maker = Callable[[], object]


def fragments(server: Preview, lang: str, query: dict[str, str]) -> dict[str, tuple[str, Maker]]:
    base = invented.BASE
    stream = query.get("stream", "kim-son-pm25")
    return {
        f"{base}/tiles": ("service/tiles.html", lambda: invented.tiles(lang)),
        f"{base}/stations": (
            "service/stations.html",
            lambda: worse(invented.stations(lang), server.worst),
        ),
        f"{base}/chart": ("service/chart.html", lambda: invented.chart(lang, stream)),
        f"{base}/quality": ("service/quality.html", lambda: invented.quality(lang)),
        f"{base}/work": ("service/work.html", lambda: invented_work.work(lang)),
        f"{base}/explain": ("service/explain.html", lambda: invented_work.explain(lang)),
        "/work/VV-2026-0415": ("work_item.html", lambda: invented_work.work_item(lang)),
        "/loads": (
            "loads_rows.html",
            lambda: v.LoadsView("/loads", ("loads",), invented_work.load_rows(lang)),
        ),
        "/chips": ("chips.html", lambda: invented.shell(lang, None, "", "").chips_view),
        "/latest": ("latest.html", lambda: invented.shell(lang, None, "", "").latest),
    }


def worse(view: v.StationsView, value: int) -> v.StationsView:
    """The list with another value at its first station, as after a new observation."""
    if not value:
        return view
    first = replace(view.stations[0], aqi=value, aqi_class="hazardous")
    return replace(view, stations=(first, *view.stations[1:]))


def whole(
    server: Preview, lang: str, path: str, query: dict[str, str]
) -> tuple[str, str, str, object]:
    vi = lang == "vi"
    stream = query.get("stream", "kim-son-pm25")
    if path == f"{invented.BASE}/explain":
        return (
            "explain.html",
            "Nguồn gốc số liệu" if vi else "Origin of a number",
            "environment",
            invented_work.explain(lang),
        )
    if path.startswith(invented.BASE) or path == "/":
        return (
            "service.html",
            "Môi trường: không khí" if vi else "Environment: air",
            "environment",
            invented_work.service(lang, stream),
        )
    if path == "/work":
        rows = invented_work.work_rows(lang)
        states = tuple(
            v.Choice(a if vi else b, "/work", a == "Đang mở")
            for a, b in (("Đang mở", "Open"), ("Quá hạn", "Overdue"), ("Đã xong", "Done"))
        )
        return (
            "work_list.html",
            "Vụ việc" if vi else "Work items",
            "work",
            v.WorkListView("/work", ("work",), rows, len(rows), states),
        )
    if path.startswith("/work/"):
        return (
            "work.html",
            "Vụ việc VV-2026-0415" if vi else "Work item VV-2026-0415",
            "work",
            invented_work.work_item(lang),
        )
    if path == "/loads":
        return (
            "loads.html",
            "Dữ liệu" if vi else "Data",
            "loads",
            v.LoadsView("/loads", ("loads",), invented_work.load_rows(lang)),
        )
    if path.startswith("/loads/"):
        return (
            "load.html",
            "Lần nạp dữ liệu" if vi else "Data load",
            "loads",
            invented_work.load(lang),
        )
    if path == "/login":
        return (
            "login.html",
            "Đăng nhập" if vi else "Sign in",
            "",
            LoginView(
                "/",
                "",
                None
                if "ok" in query
                else (
                    "Tên đăng nhập hoặc mật khẩu không đúng."
                    if vi
                    else "Wrong user name or password."
                ),
            ),
        )
    if path == "/account/password":
        return (
            "password.html",
            "Đổi mật khẩu" if vi else "Change password",
            "",
            PasswordView(
                True, faults={"new": "Mật khẩu quá ngắn." if vi else "The password is too short."}
            ),
        )
    return (
        "problem.html",
        "Không tìm thấy" if vi else "Not found",
        "",
        ProblemView(
            404,
            "Không tìm thấy nội dung" if vi else "There is nothing here",
            "Địa chỉ không còn, hoặc tài khoản không được xem nội dung này."
            if vi
            else "The address is gone, or this account may not see it.",
            reference="7f3a-19c2",
        ),
    )


def columns(path: str, query: dict[str, str]) -> dict[str, object]:
    """Five years of invented hours, cut into buckets as js/chart.js describes."""
    now = invented.NOW.replace(minute=0).timestamp()
    aqi = "aqi" in path
    if "span" in query:
        start, end = now - SPANS[query["span"]], now
    else:
        start, end = float(query["from"]), float(query["to"])
    least = (end - start) / 3600 / (int(query["width"]) / 2)
    hours = next((h for h in (1, 3, 6, 12, 24, 168) if h >= least), 672)
    bucket = 3600 * hours
    first = math.floor(start / bucket) * bucket
    t = list(range(int(first), int(end) + 1, bucket))
    low: list[float | None] = []
    high: list[float | None] = []
    mean: list[float | None] = []
    bad: list[int] = []
    for begin in t:
        values = [hour(begin + i * 3600, now) for i in range(hours)]
        known = [x for x in values if x is not None and x >= 0]
        bad.append(sum(1 for x in values if x is not None and x < 0))
        low.append(round(min(known), 1) if known else None)
        high.append(round(max(known), 1) if known else None)
        mean.append(round(sum(known) / len(known), 1) if known else None)
    limits = [
        {
            "value": 50,
            "text": "Giá trị giới hạn TB 24 giờ",
            "source": invented.QCVN,
            "from": None,
            "to": LIMIT_CHANGES,
        },
        {
            "value": 45,
            "text": "Giá trị giới hạn TB 24 giờ",
            "source": invented.QCVN,
            "from": LIMIT_CHANGES,
            "to": None,
        },
    ]
    return {
        "unit": "VN_AQI" if aqi else "µg/m³",
        "decimals": 0 if aqi else 1,
        "from": start,
        "to": end,
        "first": now - SPANS["all"],
        "last": now,
        "bucket_s": bucket,
        "raw": hours == 1,
        "t": t,
        "min": low,
        "max": high,
        "mean": mean,
        "bad": bad,
        "scale": "vn_aqi" if aqi else None,
        "thresholds": [] if aqi else limits,
    }


def hour(at: float, now: float) -> float | None:
    """An hourly value; None where no row exists, negative where the row is marked invalid."""
    index = int(at // 3600)
    chance = random.Random(index)
    if at > now or index % 731 < 9 or 0 <= index - int(now // 3600) + 62 < 7:
        return None
    if chance.random() < 0.02:
        return -1
    day = math.sin((index % 24 - 3) / 24 * math.tau)
    season = 1 + 0.45 * math.cos((at - now) / 86_400 / 365 * math.tau)
    slow = math.sin(index / 61) + math.sin(index / 143 + 1)
    rise = 42 * max(0.0, 1 - (now - at) / 86_400 / 1.6)
    return max(2.0, season * (34 + 9 * day + 11 * slow) + rise + chance.gauss(0, 3.2))


def serve(port: int = 0) -> Preview:
    """A preview running in a thread; `shutdown` and `server_close` end it."""
    server = Preview(port)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    return server


if __name__ == "__main__":
    running = serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8899)
    print(f"{running.address}{invented.BASE}")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        running.shutdown()
