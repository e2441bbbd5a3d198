"""Writers that send rows without pause and keep the ledger: threads with their own connections."""

from __future__ import annotations

import csv
import http.client
import io
import itertools
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.kill.ledger import POLLUTANTS, Ack, Ledger, Request

PATIENCE_S = 20.0
LONGEST_RETRY_S = 90.0
PATH = "/api/v1/datasets/air_quality"


class Flight:
    """The requests that are on their way at this moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._open: dict[int, float] = {}
        self._lasted: list[float] = [0.05]

    @contextmanager
    def request(self, number: int) -> Iterator[None]:
        with self._changed:
            began = self._open[number] = time.monotonic()
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._lock:
                del self._open[number]
                self._lasted = [*self._lasted[-50:], time.monotonic() - began]

    def count(self) -> int:
        with self._lock:
            return len(self._open)

    def next_departure(self, patience_s: float) -> float:
        """Wait until a request leaves; how long one usually takes, in seconds."""
        with self._changed:
            self._changed.wait(patience_s)
            return sorted(self._lasted)[len(self._lasted) // 2]


class Writers:
    """Everything that writes: `http` threads of rows, one thread of files."""

    def __init__(
        self, port: int, key: str, ledger: Ledger, home: Path, *,
        day: datetime, rows_per_s: float, seed: int, http: int = 5, files: bool = True,
    ) -> None:  # fmt: skip
        self.flight = Flight()
        self.answers: Counter[str] = Counter()
        self.refused: list[str] = []
        self.words: Counter[str] = Counter()
        self._port, self._key, self._ledger, self._home, self._day = port, key, ledger, home, day
        self._pause_s = http * 60 / rows_per_s
        self._seed = seed
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send_rows, args=(i,), name=f"rows {i}", daemon=True)
            for i in range(http)
        ]
        if files:
            self._threads.append(threading.Thread(target=self._send_files, daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each end its request, acknowledged if it is one that is kept."""
        self._stop.set()
        for thread in self._threads:
            thread.join(LONGEST_RETRY_S + PATIENCE_S)
            assert not thread.is_alive(), f"{thread.name} waits for an answer for ever"

    # -- rows ---------------------------------------------------------------------------------

    def _send_rows(self, writer: int) -> None:
        chance = random.Random(self._seed * 100 + writer)
        mine: list[Request] = []
        due = time.monotonic() + chance.random() * self._pause_s
        while not self._stop.is_set():
            number = next(self._numbers)
            if len(mine) > 5 and chance.random() < 0.2:
                old = mine.pop(chance.randrange(len(mine)))
                request = Request(number, old.rows, first=old.number)
            else:
                kept = chance.random() > 0.15
                request = Request(number, chance.randint(20, 100), first=number, kept=kept)
            self._ledger.asked(request)
            body = self._json(request)
            headers = {
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/json",
                "Idempotency-Key": f"request-{number}",
            }
            # A client that goes away in the middle: what became of its request is open.
            hasty = not request.kept and chance.random() < 0.3
            if self._deliver(request, f"{PATH}/rows", body, headers, chance, hasty=hasty):
                mine = [*mine[-50:], *([] if request.corrects else [request])]
            due = max(due + self._pause_s * chance.uniform(0.5, 1.5), time.monotonic())
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _json(self, request: Request) -> bytes:
        rows = [
            {"station": station, "time": t.isoformat(), parameter: v}
            for station, parameter, t, v in request.values(self._day)
        ]
        return json.dumps({"rows": rows}).encode()

    # -- files --------------------------------------------------------------------------------

    def _send_files(self) -> None:
        chance = random.Random(self._seed * 100 + 99)
        for turn in itertools.count():
            if self._stop.wait(chance.uniform(1.0, 4.0)):
                return
            number = next(self._numbers)
            # Every fourth is so large that it goes straight into the lake's body.
            rows, columns = (3_500, 6) if turn % 4 == 1 else (chance.randint(200, 900), 1)
            door = "shell" if turn % 3 == 2 else "file"
            request = Request(number, rows, door, number, columns)
            self._ledger.asked(request)
            text = self._csv(request)
            if door == "shell":
                self._load(request, text, chance)
                continue
            edge = f"edge-{number}"
            head = (
                f'--{edge}\r\nContent-Disposition: form-data; name="file"; '
                f'filename="{number}.csv"\r\nContent-Type: text/csv\r\n\r\n'
            )
            body = head.encode() + text + f"\r\n--{edge}--\r\n".encode()
            headers = {
                "Authorization": f"Bearer {self._key}",
                "Content-Type": f"multipart/form-data; boundary={edge}",
            }
            self._deliver(request, f"{PATH}/files", body, headers, chance)

    def _csv(self, request: Request) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["station", "time", *POLLUTANTS[: request.columns]])
        values = request.values(self._day)
        while row := list(itertools.islice(values, request.columns)):
            writer.writerow([row[0][0], row[0][2].isoformat(), *(v for *_, v in row)])
        return out.getvalue().encode()

    def _load(self, request: Request, text: bytes, chance: random.Random) -> None:
        """Through `dothi load`, called again until it says that the file is stored."""
        path = self._home.parent / f"{request.number}.csv"
        path.write_bytes(text)
        argv = [sys.executable, "-m", "dothi", "load", str(path), "--dataset", "air_quality"]
        argv += ["--home", str(self._home)]
        began, words = time.monotonic(), ""
        while time.monotonic() - began < LONGEST_RETRY_S:
            with self.flight.request(request.number):
                done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                self.answers["load"] += 1
                self._ledger.acked(Ack(request.number, -1, -1, -1, -1, False))
                path.unlink()
                return
            words = (done.stderr.strip().splitlines() or ["?"])[-1][:150]
            self.answers[f"load exit {done.returncode}"] += 1
            self.words[f"load exit {done.returncode}: {words}"] += 1
            time.sleep(chance.uniform(0.3, 1.0))
        self.refused.append(f"load of {request.number}: {words}")

    # -- delivery -----------------------------------------------------------------------------

    def _deliver(
        self, request: Request, path: str, body: bytes, headers: dict[str, str],
        chance: random.Random, *, hasty: bool = False,
    ) -> bool:  # fmt: skip
        """Send until acknowledged; once only a request that is not kept. True: acknowledged."""
        began = time.monotonic()
        while time.monotonic() - began < LONGEST_RETRY_S:
            if hasty:
                with self.flight.request(request.number), suppress(OSError):
                    self._send_and_leave(path, body, headers, chance.uniform(0, 0.03))
                self.answers["left"] += 1
                return False
            status, said = self._ask(request, path, body, headers)
            self.answers[str(status)] += 1
            if status in (200, 201):
                self._ledger.acked(
                    Ack(request.number, said["load"], said["new"], said["changed"], said["same"],
                        said["replay"])
                )  # fmt: skip
                return True
            if status not in (0, 503):
                self.words[f"{status}: {str(said.get('detail'))[:120]}"] += 1
            if 400 <= status < 500:
                self.refused.append(f"request {request.number}: {status} {said}")
                return False
            if not request.kept:
                return False
            time.sleep(chance.uniform(0.05, 0.3))
        self.refused.append(f"request {request.number}: no acknowledgement in {LONGEST_RETRY_S} s")
        return False

    def _ask(
        self, request: Request, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            with self.flight.request(request.number):
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            connection.close()

    def _send_and_leave(
        self, path: str, body: bytes, headers: dict[str, str], after_s: float
    ) -> None:
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE_S) as line:
            head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
            head += [f"{name}: {value}" for name, value in headers.items()]
            line.sendall("\r\n".join([*head, "", ""]).encode() + body)
            time.sleep(after_s)
