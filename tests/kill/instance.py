"""A real `dothi up` on a home of its own: started, killed in parts or as a whole, started again."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from dothi.identity import keys
from dothi.identity.model import SYSTEM, Role
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.processes import carries_mark
from dothi.store.runner import application_url
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
VICTIMS = ("supervisor", "web", "worker", "postmaster", "backend")
FIRST_START_S = 180.0


class Instance:
    """One home and the `dothi up` that runs on it. Every start takes the same port."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = Home(home)
        self.port = free_port()
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DOTHI_")},
            "DOTHI_LANG": "en",
            **environment,
        }
        self.log = home.parent / "up.log"
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "dothi", "up", "--home", str(self.home.path)]
        argv += ["--port", str(self.port)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                argv, env=self._environment, cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def start_again(self) -> None:
        """What an operator does after a crash: the same command, nothing else."""
        self.process = self._spawn()

    def until_ready(self, patience_s: float = 60.0) -> float:
        """Wait until it serves; the seconds it took."""
        began = time.monotonic()
        while not self._answers():
            said = f"\n{self.log.read_text()[-2000:]}"
            assert self.process.poll() is None, f"dothi up ended by itself{said}"
            assert time.monotonic() - began < patience_s, f"does not serve in {patience_s} s{said}"
            time.sleep(0.05)
        return time.monotonic() - began

    def _answers(self) -> bool:
        state = self.home.state()
        if not state or state["supervisor"]["pid"] != self.process.pid:
            return False
        return self.get("/readyz", patience_s=2.0)[0] == 200

    def get(self, path: str, key: str = "", *, patience_s: float = 10.0) -> tuple[int, str]:
        """Status and text of an answer; status 0 when there is none."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=patience_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def mark(self) -> str:
        """What all processes of this run carry."""
        state = self.home.state()
        return state["mark"] if state else ""

    def victim(self, name: str, chance: random.Random) -> psutil.Process | None:
        """The process to kill; None when there is none at this moment."""
        if name == "supervisor":
            return psutil.Process(self.process.pid)
        state = self.home.state() or {}
        wanted = name if name in ("web", "worker") else "postgresql"
        pids = [c["pid"] for c in state.get("children", ()) if c["name"] == wanted and c["pid"]]
        with suppress(psutil.Error):
            process = psutil.Process(pids[0]) if pids else None
            if process is None or name != "backend":
                return process
            return chance.choice(process.children())
        return None

    def restarts(self) -> dict[str, int]:
        state = self.home.state() or {}
        return {c["name"]: c["restarts"] for c in state.get("children", ())}

    def leftovers(self, mark: str) -> list[str]:
        """Processes that carry a mark, or work in the cluster but belong to no run of now."""
        left = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and carries_mark(process.pid, mark):
                    left.append(f"{process.pid} {' '.join(process.cmdline())}")
        return left

    def stop(self, patience_s: float = 10.0) -> float:
        """Stop as an operator does; the seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(patience_s)
        return time.monotonic() - began

    def database(self, name: str = "torture") -> Database:
        return Database(application_url(self.home), name=name, max_size=3)

    def key(self) -> str:
        """A key that may load and read, made as whoever administers the server makes it."""
        db = self.database()
        try:
            with db.transaction() as conn:
                return keys.issue(
                    conn, name="torture", agency="so-nnmt", roles=[Role.DATA],
                    actor=SYSTEM, now=datetime.now(UTC),
                )[1]  # fmt: skip
        finally:
            db.close()


@contextmanager
def running(folder: Path | None = None, **environment: str) -> Iterator[Instance]:
    """An instance that serves, on a fresh home; ended and removed afterwards."""
    above = Path(tempfile.mkdtemp(prefix="dothi-kill-", dir="/tmp"))
    above.chmod(0o711)  # the database's own account passes through
    instance = Instance(folder or above / "home", **environment)
    try:
        instance.until_ready(FIRST_START_S)
        yield instance
    finally:
        if instance.process.poll() is None:
            instance.process.terminate()
            try:
                instance.process.wait(10)
            except subprocess.TimeoutExpired:
                instance.process.kill()
                instance.process.wait()
        shutil.rmtree(above, ignore_errors=True)
