"""Watching a child to its end: what it says, which limit it crosses, what its end means."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from dothi.jail.model import (
    JailCrashed,
    JailError,
    JailMemory,
    JailOutput,
    JailRefused,
    JailTimeout,
    Limits,
)
from dothi.jail.workdir import measure

VALUE_BYTES = 1024 * 1024
_SAID_BYTES = 8192
_LOOK_EVERY_S = 0.1
_GRACE_S = 5.0

_NOT_OFFERED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_OUT_OF_MEMORY = re.compile(
    rb"bad_alloc|MemoryError|[Oo]ut of [Mm]emory|memory allocation of|Cannot allocate"
)

# All the child gets to see: nothing of ours, and no driver that opens other files by name.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "TZ": "UTC",
    "GDAL_SKIP": "VRT",
    "OGR_SKIP": "OGR_VRT",
    # Each arena and each worker thread reserves address space that the limit counts.
    "MALLOC_ARENA_MAX": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "2",
}


class Lacking(Exception):
    """This machine cannot build one of the walls; the job has not begun."""

    def __init__(self, wall: str, why: str) -> None:
        super().__init__(wall, why)
        self.wall = wall
        self.why = why


@dataclass
class Heard:
    """All that came out of a child. Only `value` and `said` are the job's; the rest is the keeper's."""

    in_force: list[str] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    value: bytes = b""
    said: bytes = b""
    stopped_by: JailError | None = None

    def line(self, text: bytes) -> None:
        """One line of the keeper."""
        try:
            told = json.loads(text)
        except ValueError:  # cut off: somebody killed the keeper
            return
        self.in_force = told.get("in_force", self.in_force)
        self.refused = told.get("refused", self.refused)
        if "lacking" in told:
            self.missing = told
        if "ended" in told:
            self.end = told


class Watch:
    """One child from its start to its end; everything is over when `until_the_end` returns."""

    def __init__(self, spec: dict[str, Any], limits: Limits, out: Path, started: float) -> None:
        self._spec = spec
        self._limits = limits
        self._out = out
        self._deadline = started + limits.wall_s
        self._look = started + _LOOK_EVERY_S
        self._heard = Heard()
        self._lines = b""

    def until_the_end(self) -> Heard:
        """Start the child, read what it says, stop it at the first limit it crosses, reap it."""
        status, status_end = os.pipe()
        value, value_end = os.pipe()
        with os.fdopen(status, "rb", 0) as status_pipe, os.fdopen(value, "rb", 0) as value_pipe:
            try:
                child = _start(status_end, value_end)
            finally:
                os.close(status_end)
                os.close(value_end)
            stdin, said_pipe = child.stdin, child.stdout
            assert stdin is not None
            assert said_pipe is not None
            with stdin, said_pipe:
                try:
                    _send(stdin, self._spec)
                    self._listen(stdin, status_pipe, value_pipe, said_pipe)
                finally:
                    # The keeper hears this, also when we leave by an exception, and ends the rest.
                    stdin.close()
                    _reap(child)
        for line in self._lines.splitlines():
            self._heard.line(line)
        return self._heard

    def _listen(
        self, stdin: IO[bytes], status: IO[bytes], value: IO[bytes], said: IO[bytes]
    ) -> None:
        """Read all pipes until the keeper closes its own; close `stdin` to stop it."""
        with selectors.DefaultSelector() as pipes:
            for pipe, take in (
                (status, self._take_line),
                (value, self._take_value),
                (said, self._take_said),
            ):
                os.set_blocking(pipe.fileno(), False)
                pipes.register(pipe, selectors.EVENT_READ, take)
            while status in pipes.get_map():
                wait_s = min(self._deadline, self._look) - time.monotonic()
                for key, _ in pipes.select(max(0.0, wait_s)):
                    part = os.read(key.fd, 65536)
                    key.data(part)
                    if not part:
                        pipes.unregister(key.fileobj)
                now = time.monotonic()
                if self._heard.stopped_by is None:
                    self._heard.stopped_by = self._crossed(now)
                    if self._heard.stopped_by is not None:
                        stdin.close()
                        self._deadline = now + _GRACE_S
                elif now >= self._deadline:
                    return
                if now >= self._look:
                    self._look = now + _LOOK_EVERY_S
        _drain(value, self._take_value)
        _drain(said, self._take_said)

    def _take_line(self, part: bytes) -> None:
        self._lines += part

    def _take_value(self, part: bytes) -> None:
        if len(self._heard.value) <= VALUE_BYTES:
            self._heard.value += part

    def _take_said(self, part: bytes) -> None:
        self._heard.said = (self._heard.said + part)[-_SAID_BYTES:]

    def _crossed(self, now: float) -> JailError | None:
        """The limit that was crossed, if one was."""
        if len(self._heard.value) > VALUE_BYTES:
            return _value_too_large()
        if now >= self._deadline:
            return JailTimeout("jail.wall_time", limit_s=self._limits.wall_s)
        if now >= self._look:
            try:
                if measure(self._out) > self._limits.output_bytes:
                    return too_much(self._limits)
            except JailOutput as error:
                return error
        return None


def _start(status_end: int, value_end: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-B", "-c", "from dothi.jail.child import main; main()"]
    try:
        return subprocess.Popen(
            [*command, str(status_end), str(value_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd="/",
            env=_ENVIRONMENT,
            pass_fds=(status_end, value_end),
            start_new_session=True,
        )
    except OSError as error:
        raise JailRefused("jail.no_process", why=error.strerror) from error


def _send(stdin: IO[bytes], spec: dict[str, Any]) -> None:
    text = json.dumps(spec).encode()
    waiting = memoryview(len(text).to_bytes(8, "big") + text)
    # A child that is already gone is told by its silence.
    with contextlib.suppress(BrokenPipeError):
        while waiting:
            waiting = waiting[stdin.write(waiting) :]


def _reap(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _drain(pipe: IO[bytes], take: Callable[[bytes], None]) -> None:
    """What is left in a pipe whose writers are gone; a job without walls may still hold it open."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(2 * VALUE_BYTES // 65536):
            part = os.read(pipe.fileno(), 65536)
            if not part:
                return
            take(part)


def _value_too_large() -> JailOutput:
    return JailOutput("jail.value_too_large", most_kib=VALUE_BYTES // 1024)


def too_much(limits: Limits) -> JailOutput:
    return JailOutput("jail.output_too_large", most_mib=limits.output_bytes / (1024 * 1024))


def judge(heard: Heard, limits: Limits) -> Any:
    """The job's value, or the error that says why there is none."""
    detail = heard.said.decode("utf-8", "replace")
    if heard.missing:
        wall, why = heard.missing["lacking"], heard.missing["why"]
        if heard.missing["errno"] in _NOT_OFFERED or _no_user_namespaces():
            raise Lacking(wall, why)
        raise JailRefused("jail.no_process", why=why, detail=detail)
    if heard.refused:
        raise JailRefused("jail.no_process", why=heard.refused, detail=detail)
    if heard.stopped_by is not None:
        heard.stopped_by.detail = detail
        raise heard.stopped_by
    if not heard.end:
        raise JailCrashed("jail.crashed", detail=detail)
    if heard.end["ended"] != 0:
        raise _died(heard, limits, detail)
    if len(heard.value) > VALUE_BYTES:
        raise _value_too_large()
    try:
        answer = json.loads(heard.value, parse_constant=_no_number)
        failed = answer.get("failed")
        value = answer["value"] if failed is None else None
    except (ValueError, RecursionError, KeyError, AttributeError) as error:
        raise JailCrashed("jail.crashed", detail=detail) from error
    if failed == "memory":
        raise _too_much_memory(limits, detail)
    if failed == "output":
        raise too_much(limits)
    if failed is not None:
        raise JailCrashed("jail.crashed", detail=f"{detail}{answer.get('detail', '')}")
    return value


def _died(heard: Heard, limits: Limits, detail: str) -> JailError:
    """Why a job ended without an answer, from its exit code and its last words."""
    code = heard.end["ended"]
    number = code - 128 if code > 128 else -code
    if number == signal.SIGXCPU or (
        number == signal.SIGKILL and heard.end["cpu_s"] >= limits.cpu_s
    ):
        return JailTimeout("jail.cpu_time", limit_s=limits.cpu_s, detail=detail)
    if number == signal.SIGXFSZ:
        return too_much(limits)
    # We did not kill it, so it was the system, for memory.
    if number == signal.SIGKILL or _OUT_OF_MEMORY.search(heard.said):
        return _too_much_memory(limits, detail)
    return JailCrashed("jail.crashed", detail=detail or f"exit code {code}")


def _too_much_memory(limits: Limits, detail: str) -> JailMemory:
    most = limits.address_space_bytes // (1024 * 1024)
    return JailMemory("jail.memory", most_mib=most, detail=detail)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _no_user_namespaces() -> bool:
    try:
        return int(Path("/proc/sys/user/max_user_namespaces").read_text()) == 0
    except (OSError, ValueError):
        return False
