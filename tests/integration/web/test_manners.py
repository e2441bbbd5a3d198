"""How every door answers: errors in one shape and two languages, headers, cookies, sessions."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from dothi.web.access import HEADERS
from tests.contract.world import PASSWORD, World

ROWS = "/api/v1/datasets/own_gauges/rows"
FAULTY = [
    ("POST", ROWS, {"content": b"{"}, 422),
    ("POST", ROWS, {"content": b"\xff\xfe\x00"}, 422),
    ("POST", ROWS, {"json": {"rows": "no"}}, 422),
    ("POST", ROWS, {"json": {"rows": [{"level": [1]}]}}, 422),
    ("POST", ROWS, {"json": {"rows": [], "more": 1}}, 422),
    ("POST", ROWS, {"json": {"rows": []}, "headers": {"idempotency-key": "k" * 201}}, 400),
    ("POST", ROWS, {"content": b"[" * 200_000}, 422),
    ("POST", "/api/v1/datasets/own_gauges/files", {"json": {}}, 400),
    ("POST", "/api/v1/datasets/own_gauges/files", {"files": {"other": b"x"}}, 422),
    ("POST", "/api/v1/datasets/own_gauges/files", {"files": {"file": ("a.csv", b"\0\0")}}, 422),
    ("POST", "/api/v1/datasets/own_gauges/things", {"json": {"key": ["a", "b"]}}, 422),
    ("POST", "/api/v1/datasets/own_gauges/things", {"json": {"key": ["a\0b"]}}, 400),
    ("POST", "/api/v1/datasets/own_gauges/things", {"json": {"key": ["a"], "lon": 999}}, 400),
    ("PUT", ROWS, {}, 405),
    ("GET", "/no/such/page", {}, 404),
    ("GET", "/api/v1/datasets/a%00b", {}, 400),
    ("GET", "/api/v1/datasets/" + "x" * 4000, {}, 404),
    ("GET", "/work/%00", {}, 400),
    ("GET", "/work/%ED%A0%80", {}, 404),
    ("GET", "/work?after=%00", {}, 400),
    ("GET", "/work?after=W10", {}, 422),
    ("GET", "/loads?before=x", {}, 400),
    ("GET", "/loads?before=99999999999999999999", {}, 400),
    ("GET", "/api/v1/loads/99999999999999999999", {}, 404),
    ("GET", "/api/v1/streams/99999999999/rows.csv", {}, 404),
    ("GET", "/api/v1/streams/-1/chart", {}, 404),
    ("GET", "/services/environment?stream=x", {}, 400),
    ("GET", "/services/environment/explain?indicator=%00&thing=1&period=2026", {}, 400),
    ("GET", "/services/environment/explain?indicator=vn_aqi_hourly&thing=1&period=x", {}, 422),
    ("GET", "/services/environment/explain?indicator=pm25_24h_mean&thing=999999999"
            "&period=2026-01-01", {}, 404),
    ("GET", "/static/app/x/..%2f..%2fapp.py", {}, 404),
    ("GET", "/static/app/x/../../../etc/passwd", {}, 404),
    ("POST", "/conflicts/1/99999999999999999999", {}, 404),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "more", "status"), FAULTY)
def test_an_error_has_one_shape_at_every_door(
    town: World, method: str, path: str, more: dict[str, object], status: int
) -> None:
    titles = set()
    for lang in ("vi", "en"):
        with town.client("admin", headers={"accept-language": f"{lang};q=0.9"}) as client:
            answer = client.request(method, path, **more)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        body = answer.json()
        assert {"type", "title", "status", "detail", "instance"} <= set(body)
        assert body["type"].startswith("urn:dothi:problem:")
        assert body["status"] == status
        assert set(body) <= {"type", "title", "status", "detail", "instance", "faults"}
        for fault in body.get("faults", []):
            assert set(fault) == {"where", "detail"}
        titles.add(body["title"])
        for inside in ("Traceback", "psycopg", 'File "', "SELECT "):
            assert inside not in answer.text
    assert len(titles) == 2, "one title in each language"


def test_a_browser_gets_errors_as_a_page_in_its_language(town: World) -> None:
    for lang, words in (("vi", "Không tìm thấy"), ("en", "ot found")):
        with town.client(headers={"accept": "text/html", "accept-language": lang}) as client:
            answer = client.get("/no/such/page")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert words in answer.text


@pytest.mark.parametrize("path", [
    "/services/environment", "/login", "/no/such", "/api/v1/datasets", "/healthz", "/metrics",
    "/static/app/x/css/base.css", "/api/v1/loads/x", "/work",
])  # fmt: skip
def test_security_headers_are_on_every_answer(town: World, path: str) -> None:
    with town.client() as client:
        answer = client.get(path)
        for name in HEADERS:
            assert name in answer.headers, name
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        refused = client.post("/preferences", headers={"sec-fetch-site": "cross-site"})
        assert refused.status_code == 403
        for name in HEADERS:
            assert name in refused.headers, f"{name} on a refusal"
        bad = client.get("/api/v1/datasets", headers={"authorization": "Bearer nonsense"})
        assert bad.status_code == 401
        assert bad.headers["www-authenticate"] == "Bearer"
        assert "content-security-policy" in bad.headers


def test_a_foreign_page_changes_nothing_and_a_key_needs_no_page(town: World) -> None:
    row = {"station": "G1", "time": "2026-01-02T03:00:00Z", "level": 2.5}
    for sent in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
    ):
        with town.client("admin", headers=sent) as client:
            if not sent["sec-fetch-site"]:
                del client.headers["sec-fetch-site"]
            else:
                client.headers["sec-fetch-site"] = sent["sec-fetch-site"]
            assert client.post(ROWS, json={"rows": [row]}).status_code == 403, sent
            assert client.post("/logout").status_code == 403, sent
    with town.client("key", headers={"sec-fetch-site": "cross-site"}) as client:
        assert client.post(ROWS, json={"rows": [row]}).status_code == 201


def test_signing_in_gives_a_new_cookie_that_scripts_cannot_read_and_signing_out_ends_it(
    town: World,
) -> None:
    with town.client() as client:
        form = {"username": "operator", "password": PASSWORD, "next": "/work"}
        answer = client.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/work")
        cookie = answer.headers["set-cookie"]
        for flag in ("dothi_session=", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert flag in cookie
        token = client.cookies["dothi_session"]
        assert client.get("/work").status_code == 200
        again = client.post("/login", data=form, headers={"sec-fetch-site": "same-origin"})
        assert client.cookies["dothi_session"] != token, again.headers
        fresh = client.cookies["dothi_session"]
        out = client.post("/logout", headers={"sec-fetch-site": "same-origin"})
        assert "Max-Age=0" in out.headers["set-cookie"]
    for ended in (token, fresh):
        with town.client(cookies={"dothi_session": ended}) as client:
            assert client.get("/work").status_code == 401


@pytest.mark.parametrize("goal", [
    "//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example",
    "javascript:alert(1)", "/\n/evil.example", "\\\\evil.example", "/%09/evil.example/..",
])  # fmt: skip
def test_nobody_is_sent_to_a_foreign_address(town: World, goal: str) -> None:
    with town.client("officer") as client:
        for path, form in (
            ("/login", {"username": "officer", "password": PASSWORD, "next": goal}),
            ("/preferences", {"lang": "en", "next": goal}),
        ):
            answer = client.post(path, data=form)
            where = urlsplit(httpx.URL(town.address).join(answer.headers["location"]).__str__())
            assert where.netloc == urlsplit(town.address).netloc
            plain = "".join(c for c in answer.headers["location"] if c not in "\t\r\n\\")
            assert not plain.startswith("//")
        assert "evil" not in client.get("/login", params={"next": goal}).text.replace(
            "/%09/evil.example/..", ""
        )


def test_guessing_passwords_has_to_wait(town: World) -> None:
    with town.client() as client:
        form = {"username": "nobody.here", "password": "guess"}
        answers = [client.post("/login", data=form) for _ in range(6)]
        assert [answer.status_code for answer in answers[:4]] == [401] * 4
        assert answers[-1].status_code == 429
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60


def test_a_body_larger_than_allowed_is_refused_before_it_is_sent(town: World) -> None:
    host, _, port = town.address.removeprefix("http://").partition(":")
    key = town.bearers["key"]
    with socket.create_connection((host, int(port)), timeout=10) as line:
        head = (
            f"POST {ROWS} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {64 * 2**20}\r\n\r\n"
        )
        line.sendall(head.encode() + b'{"rows":[')
        assert b" 413 " in line.recv(4096).split(b"\r\n")[0]
