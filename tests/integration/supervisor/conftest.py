"""A whole instance under test: the real supervisor and PostgreSQL, small roles in place of ours."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from dothi.store.home import Home
from dothi.store.processes import ProcessId, carries_mark

HERE = Path(__file__).parent
ADDRESS = re.compile(r"http://\S+/")


class Instance:
    """One `dothi up`. What it printed is in `output`."""

    def __init__(
        self, path: Path, *roles: str, port: int = 0, prefix: tuple[str, ...] = (), **env: str
    ) -> None:
        self.home = Home(path)
        self.output = ""
        self._log = tempfile.TemporaryFile("w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "up.py"), str(path), str(port), *roles],
            env={**os.environ, "DOTHI_LANG": "en", **env},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def read(self) -> str:
        self._log.seek(0)
        self.output = self._log.read().decode()
        return self.output

    def until(self, condition: Callable[[], object], seconds: float = 30.0) -> float:
        """Wait for a condition; the seconds it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, f"waited {seconds} s\n{self.read()}"
            time.sleep(0.02)
        return time.monotonic() - began

    def ready(self, seconds: float = 30.0) -> Instance:
        self.until(lambda: "Ready: " in self.read() or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, self.output
        return self

    @property
    def address(self) -> str:
        found = ADDRESS.search(self.read())
        assert found, self.output
        return found.group()

    def get(self, path: str, timeout: float = 10.0) -> tuple[int, str]:
        """Status and text of an answer; status 0 when there was none."""
        try:
            with urllib.request.urlopen(self.address + path, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def child(self, name: str) -> ProcessId:
        state = self.home.state()
        assert state
        found = next(c for c in state["children"] if c["name"] == name)
        assert found["pid"], f"{name} does not run"
        return ProcessId(found["pid"], found["started"])

    def mark(self) -> str:
        state = self.home.state()
        assert state
        return state["mark"]

    def end(self, number: int = signal.SIGTERM) -> float:
        """Signal the supervisor and wait for it; the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(10)
        self.read()
        return time.monotonic() - began

    def exit(self, seconds: float = 30.0) -> str:
        """Wait until it ends by itself; the last line it said."""
        self.process.wait(seconds)
        return self.read().strip().splitlines()[-1]


def family(home: Path, mark: str) -> list[psutil.Process]:
    """Every process of an instance, by its mark in the environment or by its cluster."""
    found = []
    for process in psutil.process_iter():
        try:
            of_cluster = process.cwd() == str(home / "pg")
            if process.status() != "zombie" and (of_cluster or carries_mark(process.pid, mark)):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def home_path() -> Iterator[Path]:
    """A path for a home that the database's account can reach; pytest's own is closed to it."""
    above = Path(tempfile.mkdtemp(prefix="dothi-up-", dir="/tmp"))
    above.chmod(0o711)
    try:
        yield above / "home"
    finally:
        shutil.rmtree(above, ignore_errors=True)


@pytest.fixture
def up(home_path: Path) -> Iterator[Callable[..., Instance]]:
    """Start an instance; whatever of it still runs is ended after the test."""
    started: list[Instance] = []

    def start(*roles: str, path: Path = home_path, **options: object) -> Instance:
        instance = Instance(path, *roles, **options)  # type: ignore[arg-type]
        started.append(instance)
        return instance

    yield start
    for instance in started:
        if instance.process.poll() is None:
            instance.process.terminate()
            try:
                instance.process.wait(6)
            except subprocess.TimeoutExpired:
                instance.process.kill()
                instance.process.wait()


@pytest.fixture
def orphans() -> Callable[[Path, str], list[str]]:
    """The processes an instance left, after the time a busy machine may need to end them."""

    def look(home: Path, mark: str) -> list[str]:
        deadline = time.monotonic() + 15.0
        while (left := family(home, mark)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [f"{p.pid} {' '.join(p.cmdline())}" for p in left]

    return look
