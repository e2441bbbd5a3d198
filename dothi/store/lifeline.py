"""The pipe that ends when the supervisor does, and what a child does then.

The supervisor alone holds the writing end, so the reading end ends with it, however it ends.
Our own children follow it by a thread. A foreign program on a system whose kernel does not signal
children of a dead parent gets this module as its parent: `python -m dothi.store.lifeline SIGNAL
PROGRAM ...`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

from dothi.store.processes import LIFELINE, LINUX

PATIENCE_S = 2.8
"""How long a child may take to end by itself after its supervisor died."""


def follow() -> None:
    """End this process when the supervisor that started it dies; nothing without a supervisor."""
    number = os.environ.pop(LIFELINE, "")
    if number:
        threading.Thread(target=_follow, args=(int(number),), name="lifeline", daemon=True).start()


def _follow(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    if not LINUX:  # there the kernel has sent it already
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os._exit(1)


def main(argv: list[str]) -> int:
    """Run a program as our child, hand signals on to it, and send it SIGNAL when the pipe ends."""
    ending = signal.Signals[argv[0]]
    pipe = int(os.environ.pop(LIFELINE))
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waker)
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is not None:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, pass_on)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = subprocess.Popen(argv[1:])
    watched = [pipe, woken]
    while child.poll() is None:
        ready, _, _ = select.select(watched, [], [], 1.0)
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
        if pipe in ready:
            watched.remove(pipe)
            child.send_signal(ending)
    code = child.returncode
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
