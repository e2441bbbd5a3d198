"""The socket HTTP is answered on: opened once, before anything else starts, shared by web processes."""

from __future__ import annotations

import errno
import os
import socket

from dothi.kernel.errors import Busy, Misconfigured

SOCKET = "DOTHI_SOCKET"
"""Environment variable with the number of the listening socket a web process inherits."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Busy for a taken port, Misconfigured for an impossible address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Misconfigured(
            "supervisor.bad_address", host=host, port=port, reason=error.strerror
        ) from error
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(2048)
    except OSError as error:
        server.close()
        if error.errno == errno.EADDRINUSE:
            raise Busy("supervisor.port_taken", host=host, port=port) from error
        raise Misconfigured(
            "supervisor.bad_address", host=host, port=port, reason=error.strerror
        ) from error
    return server


def inherited() -> socket.socket | None:
    """The listening socket our supervisor handed us; None without one."""
    number = os.environ.pop(SOCKET, "")
    return socket.socket(fileno=int(number)) if number else None
