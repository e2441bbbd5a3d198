"""What the jail's tests share: how they run a job, and what lies around it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dothi.jail import Job, Limits, Result, run

SECRET = "pass word of the database"
UPLOAD = "hour,value\n1,2.5\n2,3.5\n"
JOBS = "tests.integration.jail.jobs"
ATTACKS = "tests.integration.jail.attacks"


@dataclass
class Surroundings:
    """A data home with a secret, two inputs, and listeners: what a job could reach and must not."""

    secret: Path
    upload: Path
    folder: Path
    tcp: int
    udp: int
    unix: Path
    abstract: str

    def is_untouched(self) -> bool:
        return (
            self.secret.read_text() == SECRET
            and self.secret.stat().st_mode & 0o777 == 0o600
            and self.upload.read_text() == UPLOAD
            and {path.name for path in self.secret.parent.iterdir()}
            == {"secret.txt", "upload.csv", "folder", "socket"}
        )

    def inputs(self) -> dict[str, Path]:
        return {"upload.csv": self.upload, "folder": self.folder}

    def args(self, victim: int = 0) -> dict[str, Any]:
        return {
            "secret": str(self.secret),
            "tcp": self.tcp,
            "udp": self.udp,
            "unix": str(self.unix),
            "abstract": self.abstract,
            "victim": victim,
        }


def do(
    entry: str,
    args: dict[str, Any] | None = None,
    inputs: dict[str, Path] | None = None,
    *,
    scratch: Path,
    leave_out: frozenset[str] = frozenset(),
    **limits: Any,
) -> Result:
    """Run one of the jobs next door; the result's files are gone with its `with` block."""
    entry = entry if ":" in entry else f"{JOBS}:{entry}"
    job = Job(entry, args or {}, inputs or {})
    return run(job, Limits(**{"wall_s": 20.0, **limits}), scratch=scratch, leave_out=leave_out)


@cache
def machine_offers(wall: str) -> bool:
    """Whether this machine can build the wall at all; a test about it alone is skipped elsewhere."""
    with do("dothi.jail.child:nothing", scratch=Path(tempfile.gettempdir())) as result:
        return wall in result.in_force


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@contextmanager
def surroundings(place: Path) -> Iterator[Surroundings]:
    """A data home as the product has it: closed to others, its files readable below."""
    home = place / "home"
    home.mkdir(mode=0o700)
    secret = home / "secret.txt"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    upload = home / "upload.csv"
    upload.write_text(UPLOAD)
    upload.chmod(0o644)
    folder = home / "folder"
    folder.mkdir(mode=0o755)
    (folder / "link.csv").symlink_to(secret)
    abstract = f"dothi-test-{os.getpid()}"
    with (
        _listening(socket.AF_INET, ("127.0.0.1", 0)) as tcp,
        _listening(socket.AF_UNIX, str(home / "socket")),
        _listening(socket.AF_UNIX, "\0" + abstract),
        _answering() as udp,
    ):
        yield Surroundings(secret, upload, folder, tcp, udp, home / "socket", abstract)


@contextmanager
def _listening(family: socket.AddressFamily, address: Any) -> Iterator[int]:
    """A listener that greets everybody; gives its port."""
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen(64)

        def greet() -> None:
            line, _ = listener.accept()
            with line:
                line.sendall(b"welcome")

        with _repeated(listener, greet):
            yield listener.getsockname()[1] if family == socket.AF_INET else 0


@contextmanager
def _answering() -> Iterator[int]:
    """A UDP port that answers everybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        with _repeated(line, lambda: line.sendto(b"welcome", line.recvfrom(16)[1])):
            yield line.getsockname()[1]


@contextmanager
def _repeated(line: socket.socket, step: Callable[[], object]) -> Iterator[None]:
    line.settimeout(0.1)
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            try:
                step()
            except OSError:
                continue

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def victim() -> Iterator[int]:
    """A process of ours that a job might want to read, trace, slow down or end."""
    process = subprocess.Popen(["/bin/sleep", "1000"], env={"DOTHI_SECRET": SECRET})
    try:
        # The kernel shows a new program's variables a moment after it has started.
        assert wait_until(lambda: Path(f"/proc/{process.pid}/environ").read_bytes() != b"")
        yield process.pid
    finally:
        process.kill()
        process.wait()
