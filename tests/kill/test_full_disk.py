"""The real product on a small disk that fills up: writes are refused, reads go on, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dothi.kernel.time import VN, day_start, local_date, utc_now
from dothi.store.ballast import FRESH_S
from tests.kill import checker, ledger
from tests.kill.instance import Instance, running
from tests.kill.ledger import Ack, Ledger, Request
from tests.kill.torture import CATCHES_UP_S

pytestmark = [pytest.mark.kill, pytest.mark.slow, pytest.mark.timeout(400)]

MEGABYTE = 1024 * 1024
SIZE_MB = 640
RESERVE_MB = 128


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own for the home: reserve 128 MB, ballast 64 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    above = Path(tempfile.mkdtemp(prefix="dothi-disk-", dir="/tmp"))
    above.chmod(0o711)
    home = above / "home"
    home.mkdir(mode=0o711)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0711", "none", str(home)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        shutil.rmtree(above)
        pytest.skip("mounting is not allowed here")
    try:
        yield home
    finally:
        subprocess.run(["umount", "-l", home], check=True)
        shutil.rmtree(above, ignore_errors=True)


class Writer:
    """Sends one request after the other and keeps the ledger."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance = instance
        self.key = instance.key()
        self.ledger = Ledger(folder / "ledger", day_start(local_date(utc_now(), VN), VN))
        self.day = day_start(local_date(utc_now(), VN), VN)
        self.number = 0

    def send(self, rows: int = 50) -> tuple[int, dict[str, object], str]:
        """Status, body and media type of the answer; acknowledged ones are in the ledger."""
        request = Request(self.number, rows, first=self.number, kept=False)
        self.number += 1
        self.ledger.asked(request)
        body = {
            "rows": [
                {"station": station, "time": t.isoformat(), parameter: v}
                for station, parameter, t, v in request.values(self.day)
            ]
        }
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.instance.port}/api/v1/datasets/air_quality/rows",
            json.dumps(body).encode(),
            {
                "Authorization": f"Bearer {self.key}", "Content-Type": "application/json",
                "Idempotency-Key": f"request-{request.number}",
            },
        )  # fmt: skip
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                said = json.loads(answer.read())
                self.ledger.acked(
                    Ack(request.number, said["load"], said["new"], said["changed"], said["same"],
                        said["replay"])
                )  # fmt: skip
                return answer.status, said, answer.headers["content-type"]
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), error.headers["content-type"]
        except OSError:
            return 0, {}, ""

    def reads(self) -> list[int]:
        """What reading answers: a list, a dataset, a stream's rows, a page."""
        stream = json.loads(self.instance.get("/api/v1/datasets/air_quality", self.key)[1])
        first = stream["streams"][0]["id"]
        paths = ("/api/v1/datasets", f"/api/v1/streams/{first}/rows.csv", "/readyz")
        return [self.instance.get(path, self.key)[0] for path in paths]


def free(folder: Path) -> int:
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def fill(folder: Path, leave: int) -> Path:
    """Another program's file that leaves this much room."""
    filler = folder / "lost+found"
    with filler.open("ab") as file:
        while (room := free(folder) - leave) > 0:
            try:
                file.write(b"x" * min(room, MEGABYTE))
                file.flush()
            except OSError:
                break
    return filler


def until(condition, seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"waited {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_full_disk_refuses_writes_reads_go_on_and_it_recovers_by_itself(small_disk):
    with running(small_disk) as instance:
        writer = Writer(instance, small_disk.parent)
        for _ in range(20):
            assert writer.send()[0] == 201

        filler = fill(small_disk, leave=(RESERVE_MB - 30) * MEGABYTE)
        time.sleep(2 * FRESH_S)
        status, said, media = writer.send()
        assert (status, media) == (507, "application/problem+json")
        assert said["type"] == "urn:dothi:problem:storage_full"
        assert writer.reads() == [200, 200, 200]

        # To the last byte, while the product's own processes still have things to write.
        fill(small_disk, leave=0)
        until(lambda: writer.reads() == [200, 200, 200], 60)
        assert writer.send()[0] == 507
        assert instance.process.poll() is None

        filler.unlink()
        assert until(lambda: writer.send()[0] == 201, 20) < 20
        assert writer.reads() == [200, 200, 200]
        writer.ledger.close()
        with closing(instance.database("test")) as db:
            until(lambda: checker.caught_up(db), CATCHES_UP_S)
            assert checker.check(instance.home, db, ledger.read(writer.ledger.path)) == []
