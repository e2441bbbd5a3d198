"""Processes by an identity that survives the reuse of their number, and children tied to their parent.

A process number alone names nobody: after a crash or a restart of the machine it may belong to an
innocent process. Here a process is its number together with the instant it was started, and a
signal goes through a handle that cannot slip to a successor.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LINUX = sys.platform.startswith("linux")
MARK = "DOTHI_RUN"
"""Environment variable that all processes of one `dothi up` carry with the same value."""

LIFELINE = "DOTHI_LIFELINE"
"""Environment variable with the number of the pipe that ends when the supervisor does."""

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class ProcessId:
    """One process: its number and an opaque text for the instant it was started."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now; None when there is none, or only a zombie."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    def alive(self) -> bool:
        """Does this very process still run?"""
        return _started(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Send a signal to this very process; False when it is gone."""
        if LINUX and hasattr(os, "pidfd_open"):
            try:
                handle = os.pidfd_open(self.pid)
            except ProcessLookupError:
                return False
            try:
                # The handle was taken first: what it names now can no longer change.
                if not self.alive():
                    return False
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                return False
            finally:
                os.close(handle)
            return True
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


@dataclass(frozen=True)
class SystemUser:
    """An account of the operating system that a child runs as."""

    name: str
    uid: int
    gid: int


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: int,
    death_signal: int,
    user: SystemUser | None = None,
    pass_fds: Sequence[int] = (),
    folder: str | None = None,
    watched: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that the kernel signals with `death_signal` when we die, however we die.

    To be called from the main thread: the kernel's tie is to the thread that forks. Where the
    kernel knows no such tie (macOS) a program that does not follow the lifeline by itself gets
    a parent that does: `watched` is the lifeline then. The child leads a session of its own, so that Ctrl-C reaches only us.
    """
    if watched is not None and not LINUX:
        watcher = [sys.executable, "-P", "-m", "dothi.store.lifeline"]
        argv = [*watcher, signal.Signals(death_signal).name, *argv]
        environment = {**environment, LIFELINE: str(watched)}
        pass_fds = [*pass_fds, watched]
    return subprocess.Popen(
        list(argv),
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        umask=0o077,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        preexec_fn=_tie(death_signal) if LINUX else None,
    )


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose own parent died, so that none goes unnoticed."""
    if LINUX:
        _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def give_back() -> None:
    """Hand memory that is free inside this process back to the system, where the C library can.

    Takes a tenth of a second: for a process that nobody waits for.
    """
    # Large arrays in a ring of objects wait for a collection that an idle process never comes to.
    gc.collect()
    if trim := getattr(_libc(), "malloc_trim", None):
        trim(0)


def children_of(pid: int) -> Iterator[int]:
    """Numbers of the direct children of a process (Linux; elsewhere none are found)."""
    for other in _numbers():
        fields = _stat(other)
        if fields is not None and int(fields[1]) == pid:
            yield other


def carries_mark(pid: int, mark: str) -> bool:
    """Was this process started with this run's mark in its environment?"""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={mark}".encode() in environ.split(b"\0")


def working_in(folder: Path) -> Iterator[int]:
    """Numbers of the processes whose current folder is this one (Linux; elsewhere none)."""
    for pid in _numbers():
        try:
            here = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            continue
        if here == folder:
            yield pid


def program_of(pid: int) -> str:
    """File name of the program a process runs, '' when it cannot be seen."""
    if LINUX:
        try:
            return Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
        except OSError:
            return ""
    return Path(ps(pid, "comm=") or "").name


def _tie(death_signal: int) -> Callable[[], None]:
    prctl, parent = _libc().prctl, os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:  # we died before the tie was made
            os._exit(1)

    return tie


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _started(pid: int) -> str | None:
    if not LINUX:
        return ps(pid, "lstart=")
    fields = _stat(pid)
    if fields is None or fields[0] in ("Z", "X"):
        return None
    return f"{_boot()} {fields[19]}"


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat from the third (state) on: the name before may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


@cache
def _boot() -> str:
    # Start instants count from the machine's start: without it they could repeat after a reboot.
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _numbers() -> Iterator[int]:
    with contextlib.suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                yield int(entry.name)


def ps(pid: int, column: str) -> str | None:
    """One column of `ps` for a process, None when there is none: for systems without /proc."""
    answer = subprocess.run(
        ["ps", "-p", str(pid), "-o", "stat=", "-o", column],
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, value = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else value.strip()
