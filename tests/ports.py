"""A port that stays free while nobody listens on it."""

import random
import socket

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Systems give outgoing connections ports above these, so none is taken between two starts."""


def free_port() -> int:
    """A port of this machine to start, stop and start a product on."""
    for port in random.sample(BELOW_EPHEMERAL, 200):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is free
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("none of 200 ports is free")
