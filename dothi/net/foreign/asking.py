"""Asking a foreign database through a process of our own, and hearing what came of it."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec

from dothi.net.foreign.model import Ask, Done, Event, Failed

GRACE_S = 30.0
"""So much longer than it was told to take may the reading take."""
LONGEST_LINE = 1 << 20
_KEPT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


def ask(what: Ask) -> Iterator[Event]:
    """What is asked for, file after file; the last event is Done or Failed. Files lie in the ask's
    folder and are the caller's. Where the caller leaves early, the process is killed."""
    ends = time.monotonic() + what.seconds + 2 * what.statement_s + GRACE_S
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dothi.net.foreign.reading"],
        # No PG*, no HOME with somebody's password file: what is asked says everything.
        env={**environment, "HOME": what.folder, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        umask=0o077,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(what) + b"\n")
            process.stdin.flush()
        for line in _lines(process.stdout.fileno(), ends):
            if line is None:
                yield Failed("pulls.deadline", {"seconds": what.seconds})
                return
            event: Event = msgspec.json.decode(line, type=Event)
            yield event
            if isinstance(event, Done | Failed):
                return
        yield Failed("pulls.reader_died", {"code": process.wait(5)})
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _lines(handle: int, ends: float) -> Iterator[bytes | None]:
    """Lines as they come; None when time is up."""
    held = b""
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while selector.select(max(0.0, ends - time.monotonic())):
            data = os.read(handle, 65_536)
            if not data:
                return
            *whole, held = (held + data).split(b"\n")
            yield from whole
            if len(held) > LONGEST_LINE:
                return
    yield None
