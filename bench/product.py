"""A real `dothi up` on a home of its own, and clients of it."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.measure import cpu_s, tree
from dothi.identity import accounts, keys, sessions
from dothi.identity.model import SYSTEM, Role
from dothi.identity.passwords import Passwords
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.runner import application_url
from tests.ports import free_port

AGENCY = "so-nnmt"
PAGE = "/services/environment"
PATIENCE_S = 180.0


@dataclass
class Product:
    """A running instance. `started_s`: from the command to the first page, and the CPU of all its
    processes until then, which a busy machine does not change."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    started_s: dict[str, float] = field(default_factory=dict)

    def child(self, name: str) -> int:
        """Number of the supervisor's child of this name."""
        state = Home(self.home).state() or {}
        return next(int(c["pid"]) for c in state["children"] if c["name"].startswith(name))

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The instance's database, as its own processes see it."""
        db = Database(application_url(Home(self.home)), name="bench", max_size=2)
        try:
            yield db
        finally:
            db.close()

    def key(self) -> str:
        """An API key that may load rows."""
        with self.database() as db, db.transaction() as conn:
            return keys.issue(
                conn, name="bench", agency=AGENCY, roles=[Role.DATA], actions=["dataset.load"],
                lifetime=timedelta(days=1), actor=SYSTEM, now=datetime.now(UTC),
            )[1]  # fmt: skip

    def cookie(self) -> str:
        """The cookie of a person who is signed in and sees the most."""
        with self.database() as db, db.transaction() as conn:
            account = accounts.find_account(conn, "bench") or accounts.create_account(
                conn, login="bench", display_name="Bench", agency=AGENCY, roles=[Role.OPERATOR],
                password="only for this run", hasher=Passwords(), actor=SYSTEM,
            )  # fmt: skip
            token = sessions.start(conn, account.id, address="127.0.0.1", now=datetime.now(UTC))
        return f"dothi_session={token}"

    def client(self) -> Client:
        """A kept connection."""
        return Client(self.port)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.terminate()
        self.process.wait(30)

    def kill(self) -> list[int]:
        """`kill -9` of the supervisor; the processes it had."""
        below = tree(self.process.pid)[1:]
        self.process.kill()
        self.process.wait()
        return below


class Client:
    """One kept HTTP connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body."""
        self._connection.request("GET", path, headers=headers or {})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post_rows(self, key: str, name: str, rows: Sequence[dict[str, Any]]) -> int:
        """Store rows of the air dataset; the status."""
        self._connection.request(
            "POST", "/api/v1/datasets/air_quality/rows", json.dumps({"rows": list(rows)}),
            {"Authorization": f"Bearer {key}", "Idempotency-Key": name,
             "Content-Type": "application/json"},
        )  # fmt: skip
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        self._connection.close()


@contextmanager
def product(*words: str, home: Path | None = None) -> Iterator[Product]:
    """An instance for the length of a block, on a new home unless one is given."""
    above = None
    if home is None:
        above = Path(tempfile.mkdtemp(prefix="dothi-bench-", dir="/tmp"))
        above.chmod(0o711)
        home = above / "home"
    try:
        running = up(home, *words)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.stop()
    finally:
        if above is not None:
            shutil.rmtree(above, ignore_errors=True)


def up(home: Path, *words: str, page: str = PAGE) -> Product:
    """Start `dothi up`; wait until it is ready and has shown a page with data."""
    port = free_port()
    command = [sys.executable, "-m", "dothi", "up", "--home", str(home), "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    running = Product(home, port, process)
    try:
        _await(running, "/readyz")
        running.started_s["ready"] = time.perf_counter() - began
        _await(running, page)
        running.started_s["page"] = time.perf_counter() - began
        running.started_s["cpu"] = cpu_s(process.pid)
    except BaseException:
        process.terminate()
        process.wait(30)
        raise
    return running


def _await(running: Product, path: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise RuntimeError(f"dothi up ended with {running.process.returncode}")
        try:
            if running.client().get(path)[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    raise TimeoutError(f"{path} does not answer")
