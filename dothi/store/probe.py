"""Asking a server whether it serves, in its own protocol and without its client library."""

from __future__ import annotations

import socket
import struct
from enum import Enum
from pathlib import Path

PROTOCOL_3_0 = 196_608
CANNOT_CONNECT_NOW = b"57P03"
"""SQLSTATE of a PostgreSQL that starts, recovers or stops."""


class Answer(Enum):
    """What a server said."""

    SILENT = "silent"
    NOT_YET = "not yet"
    READY = "ready"


def postgres(socket_file: Path, user: str, timeout_s: float = 0.5) -> Answer:
    """Would PostgreSQL let a client in now? Goes as far as its question for the password."""
    pairs = b"".join(
        name + b"\0" + value + b"\0"
        for name, value in ((b"user", user.encode()), (b"database", b"postgres"))
    )
    body = struct.pack("!i", PROTOCOL_3_0) + pairs + b"\0"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout_s)
            client.connect(str(socket_file))
            client.sendall(struct.pack("!i", len(body) + 4) + body)
            reply = client.recv(4096)
    except OSError:
        return Answer.SILENT
    if reply[:1] == b"R":
        return Answer.READY
    if reply[:1] == b"E":
        # Any other refusal (too many clients) is the word of a server that serves.
        return Answer.NOT_YET if b"C" + CANNOT_CONNECT_NOW in reply else Answer.READY
    return Answer.SILENT


def http(host: str, port: int, path: str = "/readyz", timeout_s: float = 0.5) -> Answer:
    """Does GET `path` answer 200? Any other status is "not yet"."""
    question = f"GET {path} HTTP/1.1\r\nHost: {shown(host)}:{port}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((reachable(host), port), timeout_s) as client:
            client.settimeout(timeout_s)
            client.sendall(question.encode("ascii"))
            line = client.recv(4096).partition(b"\r\n")[0].split(b" ")
    except OSError:
        return Answer.SILENT
    if len(line) < 2 or not line[0].startswith(b"HTTP/"):
        return Answer.SILENT
    return Answer.READY if line[1] == b"200" else Answer.NOT_YET


def reachable(host: str) -> str:
    """The address under which one reaches a server on this machine that listens on `host`."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def shown(host: str) -> str:
    """The same as it stands in an address line."""
    name = reachable(host)
    return f"[{name}]" if ":" in name else name
