"""Running pulls when they are due, beside everything else the worker does."""

from __future__ import annotations

import logging
import threading

from dothi.kernel.errors import Unavailable
from dothi.kernel.time import utc_now
from dothi.pulls import store
from dothi.pulls.running import Ground, run

LANES = 2
"""So many sources are read at once; of one source one pull at a time."""
LOOK_EVERY_S = 2.0

log = logging.getLogger(__name__)


class PullTimer:
    """Looks for due pulls on threads of its own, until closed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._closed = threading.Event()
        for lane in range(LANES):
            threading.Thread(target=self._work, name=f"pulls {lane}", daemon=True).start()

    def close(self) -> None:
        """Begin no more runs. One that runs is left to its end, or to the end of the process: the
        next one settles it."""
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            try:
                advance(self._ground)
            except Unavailable:
                continue
            except Exception:
                log.exception("looking for pulls that are due failed")


def advance(ground: Ground) -> bool:
    """Run the pull that has been due longest and whose source nobody reads; whether there was one."""
    if not ground.may_write():
        return False
    with ground.db.transaction() as conn:
        due = store.due(conn, utc_now())
    return any(run(ground, pull.id, only_due=True) is not None for pull in due)
