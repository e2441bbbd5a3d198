"""Requests to other machines: only to hosts the operator named, only to addresses that were checked.

- A host is asked only if a setting names it; https only, but for loopback.
- Its name is resolved once, and the connection goes to the address that was looked at: a name cannot
  mean something else between look and use. Addresses that are not public (loopback, private,
  link-local) need their network to be named by `DOTHI_OUTGOING_PRIVATE`.
- No redirect is followed: where an answer would lead has not been named by anybody.
- The whole answer has a deadline and a size, whatever the other side does.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from dothi.kernel.errors import Misconfigured, Unavailable

TIMEOUT_S = 8.0
MOST_BYTES = 1 << 20
AGAIN_S = 10
_PLACE = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9._-]+)(:\d{1,5})?")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Answer:
    """What the other side said; `headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outgoing:
    """The door, for the hosts that are named: `id.example.vn`, or `id.example.vn:8443`."""

    def __init__(
        self,
        hosts: Collection[str],
        private: Sequence[Network] = (),
        *,
        timeout_s: float = TIMEOUT_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._hosts = frozenset(place_of(host) for host in hosts)
        self._private = tuple(private)
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._tls: ssl.SSLContext | None = None

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for what stands at an address. As `post`."""
        return self._send("GET", url, headers or {}, None)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a body.

        Misconfigured for an address that is not allowed, Unavailable where no whole answer of
        acceptable size came in time. A status of any kind is an answer.
        """
        return self._send("POST", url, headers, body)

    def check(self, url: str) -> SplitResult:
        """The parts of an address that may be asked. Raises Misconfigured."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Misconfigured("net.bad_address", url=url[:200]) from None
        if not host or parts.username is not None or not url.isascii() or not url.isprintable():
            raise Misconfigured("net.bad_address", url=url[:200])
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise Misconfigured("net.not_https", url=url[:200])
        port = port or (443 if parts.scheme == "https" else 80)
        if (host, port) not in self._hosts:
            raise Misconfigured("net.host_not_named", host=f"{host}:{port}")
        return parts

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        parts = self.check(url)
        if parts.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        backend = _Checked(self._private, time.monotonic() + self._timeout_s)
        wanted = {"accept-encoding": "identity", **headers}
        waits = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self._tls, network_backend=backend, retries=0
                ) as pool,
                pool.stream(
                    method,
                    url,
                    headers=list(wanted.items()),
                    content=body,
                    extensions={"timeout": waits},
                ) as said,
            ):
                told = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in said.headers
                }
                if told.get("content-encoding", "identity") != "identity":
                    raise Unavailable("net.packed", host=parts.hostname, retry_after_s=AGAIN_S)
                return Answer(said.status, told, self._read(said.iter_stream(), parts))
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unavailable(
                "net.unreachable", host=parts.hostname, retry_after_s=AGAIN_S
            ) from error

    def _read(self, chunks: Iterable[bytes], parts: SplitResult) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > self._most_bytes:
                raise Unavailable("net.too_large", host=parts.hostname, retry_after_s=AGAIN_S)
        return bytes(body)


class _Checked(httpcore.NetworkBackend):
    """Connects to addresses that may be asked, whatever a name says, until an instant."""

    def __init__(self, private: Sequence[Network], ends: float) -> None:
        self._private = private
        self._ends = ends
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = [str(info[4][0]) for info in found]
        fine = [a for a in dict.fromkeys(addresses) if may_ask(a, self._private)]
        if not fine:
            raise Misconfigured("net.not_public", host=host, address=", ".join(addresses[:3]))
        for place, address in enumerate(fine):
            try:
                stream = self._plain.connect_tcp(
                    address, port, _left(self._ends, timeout), local_address, socket_options
                )
                return _Timed(stream, self._ends)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if place == len(fine) - 1:
                    raise
        raise AssertionError("there is a last one")


class _Timed(httpcore.NetworkStream):
    """A connection that ends at an instant, however little by little it is answered."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._ends, timeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._ends, timeout))
        return _Timed(stream, self._ends)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends: float, timeout: float | None) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(left, timeout)


def place_of(text: str) -> tuple[str, int]:
    """Host and port of `id.example.vn` (443) or `id.example.vn:8443`. Raises Misconfigured."""
    name = text.strip().lower()
    try:
        parts = urlsplit(f"//{name}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.netloc != name or not _PLACE.fullmatch(name):
            host = None
    if not host:
        raise Misconfigured("net.bad_address", url=text[:200])
    return host, port or 443


def may_ask(text: str, private: Sequence[Network]) -> bool:
    """Whether an address is public, or lies in one of the private networks that were named."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = _inside(address)
    if any(
        one.version == net.version and one in net for one in (address, inner) for net in private
    ):
        return True
    return all(one.is_global and not one.is_multicast for one in (address, inner))


def _inside(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to (mapped, 6to4, NAT64), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def is_loopback(host: str) -> bool:
    """Whether a host of an address is this machine by its very name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
