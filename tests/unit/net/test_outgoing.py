"""Requests to other machines go where the operator said, and end in time."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel.errors import Misconfigured, Unavailable
from dothi.net.outgoing import Outgoing, may_ask, place_of

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
Reply = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def site() -> Iterator[Callable[[Reply], str]]:
    """A server on loopback that answers as told; its address."""
    running: list[ThreadingHTTPServer] = []

    def start(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                reply(self)

            do_POST = do_GET

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def said(status: int = 200, body: bytes = b"fine", **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def door(address: str, **more: object) -> Outgoing:
    return Outgoing([address.removeprefix("http://")], LOOPBACK, **more)  # type: ignore[arg-type]


def test_a_named_host_is_asked(site: Callable[[Reply], str]) -> None:
    got: list[tuple[str, str | None, bytes]] = []

    def reply(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length", 0))
        got.append((handler.path, handler.headers["x-a"], handler.rfile.read(length)))
        said(404, b"no", x_b="c")(handler)

    address = site(reply)
    answer = door(address).post(f"{address}/p?q=1", {"x-a": "b"}, b"body")
    assert (answer.status, answer.headers["x-b"], answer.body) == (404, "c", b"no")
    assert got == [("/p?q=1", "b", b"body")]


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.vn/",  # not https
        "https://other.example.vn/",
        "https://id.example.vn:444/",
        "https://id.example.vn.evil.example/",
        "https://user@id.example.vn/",
        "https://id.example.vn@evil.example/",
        "https://evil.example#@id.example.vn/",
        "https://evil.example\\@id.example.vn/",
        "https://id.example.vn:x/",
        "https://[::1/",
        "ftp://id.example.vn/",
        "file:///etc/passwd",
        "//id.example.vn/",
        "",
        "https://id.example.vn/\r\nx: y",
        "https://ìd.example.vn/",
    ],
)
def test_what_no_setting_names_is_not_asked(url: str) -> None:
    with pytest.raises(Misconfigured):
        Outgoing(["id.example.vn"]).get(url)


def test_a_network_that_is_not_public_must_be_named(site: Callable[[Reply], str]) -> None:
    asked: list[str] = []
    address = site(lambda handler: (asked.append(handler.path), said()(handler))[1])
    place = address.removeprefix("http://")
    for name in (place, place.replace("127.0.0.1", "localhost")):
        with pytest.raises(Misconfigured, match="not public"):
            Outgoing([name]).get(f"http://{name}/")
    assert asked == []
    assert Outgoing([place], LOOPBACK).get(address).status == 200


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "255.255.255.255", "224.0.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
     "not an address"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not may_ask(address, [])


def test_public_and_named_addresses() -> None:
    for address in ("9.9.9.9", "2620:fe::fe", "64:ff9b::909:909"):
        assert may_ask(address, [])
    office = [ipaddress.ip_network("10.20.0.0/16")]
    assert may_ask("10.20.3.4", office) and may_ask("::ffff:10.20.3.4", office)
    assert not may_ask("10.21.3.4", office) and not may_ask("127.0.0.1", office)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_means_the_same_inside_ipv6(address: ipaddress.IPv4Address) -> None:
    mapped = f"::ffff:{address}"
    if not may_ask(str(address), []):
        assert not may_ask(mapped, [])
        assert not may_ask(str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))), [])
        assert not may_ask(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address))), [])


def test_no_redirect_is_followed(site: Callable[[Reply], str]) -> None:
    asked: list[str] = []
    inner = site(lambda handler: (asked.append(handler.path), said()(handler))[1])
    outer = site(said(302, b"", location=f"{inner}/secret"))
    assert door(outer).get(outer).status == 302
    assert asked == []


def test_an_answer_has_a_size(site: Callable[[Reply], str]) -> None:
    address = site(said(body=b"x" * 50_001))
    with pytest.raises(Unavailable, match="too long"):
        door(address, most_bytes=50_000).get(address)
    assert len(door(address, most_bytes=50_001).get(address).body) == 50_001


def test_a_packed_answer_is_not_unpacked(site: Callable[[Reply], str]) -> None:
    address = site(said(body=b"\x1f\x8b", content_encoding="gzip"))
    with pytest.raises(Unavailable, match="packed"):
        door(address).get(address)


@pytest.mark.parametrize("where", ["head", "body"])
def test_an_answer_little_by_little_ends_in_time(site: Callable[[Reply], str], where: str) -> None:
    """Each piece comes soon enough; all of them together never would."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        start = b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if where == "body" else b"x-a: ")
        handler.wfile.write(start)
        try:
            for _ in range(600):
                handler.wfile.write(b"y")
                handler.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass  # the other side has gone, as it should

    address = site(reply)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        door(address, timeout_s=1.0).get(address)
    assert time.monotonic() - began < 30  # of 60


def test_nobody_there_and_no_such_name(site: Callable[[Reply], str]) -> None:
    with pytest.raises(Unavailable):
        Outgoing(["127.0.0.1:1"], LOOPBACK).get("http://127.0.0.1:1/")
    with pytest.raises(Unavailable):
        Outgoing(["nobody.invalid"]).get("https://nobody.invalid/")


def test_a_server_that_cannot_prove_its_name_is_not_asked(site: Callable[[Reply], str]) -> None:
    address = site(said())
    place = address.removeprefix("http://")
    with pytest.raises(Unavailable):
        Outgoing([place], LOOPBACK).get(f"https://{place}/")


@pytest.mark.parametrize("name", ["", "a b", "u@h", "h:x", "h/p", "https://h"])
def test_a_host_that_cannot_be_one_is_refused_at_once(name: str) -> None:
    with pytest.raises(Misconfigured):
        place_of(name)
    assert place_of("ID.example.vn") == ("id.example.vn", 443)
    assert place_of("[::1]:8443") == ("::1", 8443)
