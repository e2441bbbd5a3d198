"""What keeps a full disk from stopping everything: a reserve that is not written into, and ballast.

PostgreSQL ends when it cannot write its log, and then cannot even be read. So writes are refused
while free space is below the reserve; if the disk fills nevertheless (other programs write too)
the supervisor deletes the ballast, a file that only takes up room, and PostgreSQL can start again.
The reserve is larger than the ballast: after its release reads go on, writes stay refused until
somebody makes room.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from dothi.kernel.errors import StorageFull

FRESH_S = 0.5
"""How old an answer of `writes_allowed` may be."""


class Ballast:
    """The guard of the file system that holds a data home.

    On a small file system both sizes shrink: the ballast to an eighth, the reserve to a quarter.
    """

    def __init__(self, home: Path, *, reserve_bytes: int, ballast_bytes: int) -> None:
        self.home = home
        self.file = home / "ballast"
        system = os.statvfs(home)
        total = system.f_blocks * system.f_frsize
        self.ballast_bytes = min(ballast_bytes, total // 8)
        self.reserve_bytes = max(min(reserve_bytes, total // 4), self.ballast_bytes * 3 // 2)
        self._again_bytes = self.reserve_bytes * 5 // 4
        self._allowed = True
        self._asked_at = float("-inf")
        self._asking = threading.Lock()

    def free_bytes(self) -> int:
        """Space that an ordinary account may still fill; 0 when it cannot be found out."""
        try:
            system = os.statvfs(self.home)
        except OSError:
            return 0
        return system.f_bavail * system.f_frsize

    def writes_allowed(self) -> bool:
        """May something be stored now? At most `FRESH_S` old, cheap enough for every commit.

        Once refused, writing is allowed again a quarter above the reserve.
        """
        now = time.monotonic()
        if now - self._asked_at < FRESH_S:
            return self._allowed
        with self._asking:
            bound = self.reserve_bytes if self._allowed else self._again_bytes
            self._allowed = self.free_bytes() >= bound
            self._asked_at = now
        return self._allowed

    def require_room(self) -> None:
        """Raise StorageFull when nothing may be stored now."""
        if not self.writes_allowed():
            raise StorageFull("supervisor.disk_full", home=self.home)

    def release(self) -> bool:
        """Give the ballast's room to PostgreSQL; False when there was none left."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        return True

    def restore(self) -> bool:
        """Make the ballast again where there is room for it above the reserve; True when it is there."""
        if self.ballast_bytes == 0 or self.file.exists():
            return True
        if self.free_bytes() < self._again_bytes + self.ballast_bytes:
            return False
        making = self.file.with_suffix(".new")
        try:
            with making.open("wb") as file:
                _fill(file.fileno(), self.ballast_bytes)
            making.replace(self.file)
        except OSError:
            making.unlink(missing_ok=True)
            return False
        return True


def _fill(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    block = os.urandom(1024 * 1024)  # zeros might take no room
    for start in range(0, size, len(block)):
        os.write(handle, block[: size - start])
