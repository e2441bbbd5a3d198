"""The pulse of a child: beats through a pipe that tell its supervisor that it goes on answering.

A process that hangs does not end, so nothing else would tell; and a question over HTTP would be
answered by another of the processes that share the socket.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

PULSE = "DOTHI_PULSE"
"""Environment variable with the number of the pipe a child beats into."""

SILENCE_S = 30.0
"""A process that beats each second and was not heard for so long hangs."""

LONGEST_LOOK_S = 1.5
"""Most that counts as silence between two looks: when the whole machine stood still (suspended, out
of memory), we slept as long as the child."""


class Pulse:
    """The supervisor's end. A child that never began to beat is not silent, it starts."""

    def __init__(self) -> None:
        self._heard, self.child_end = os.pipe()
        for end in (self._heard, self.child_end):
            os.set_blocking(end, False)
        self._begun = False
        self._silent_s = 0.0

    def silent_s(self, since_last_look_s: float) -> float:
        """For how long it has been silent."""
        beats = b""
        with suppress(BlockingIOError):
            beats = os.read(self._heard, 65_536)
        if beats:
            self._begun, self._silent_s = True, 0.0
        elif self._begun:
            self._silent_s += min(since_last_look_s, LONGEST_LOOK_S)
        return self._silent_s

    def handed_over(self) -> None:
        """The child has its end: ours of it goes."""
        os.close(self.child_end)

    def close(self) -> None:
        os.close(self._heard)


def beat() -> Callable[[], None]:
    """What a child calls once a second from the loop that answers; does nothing alone."""
    number = os.environ.pop(PULSE, "")
    if not number:
        return lambda: None
    pipe = int(number)

    def once() -> None:
        with suppress(BlockingIOError):  # nobody has looked for long
            os.write(pipe, b".")

    return once
