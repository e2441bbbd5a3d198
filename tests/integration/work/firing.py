"""A worker to be killed: for each line on standard input it forks a process that fires rungs.

Forking from a process that has everything imported makes a new worker in a few milliseconds.
"""

import os
import signal
import sys
import time

from dothi.store.database import Database
from dothi.work.jobs import fire_due


def fire_for_ever(url: str, batch: int) -> None:
    """Fire what is due until killed, or until nobody is left who could kill."""
    parent = os.getppid()
    db = Database(url, name="firing", max_size=1)
    while os.getppid() == parent:
        if not fire_due(db, batch=batch):
            time.sleep(0.002)


def main() -> None:
    url = sys.argv[1]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                fire_for_ever(url, int(line))
            finally:
                os._exit(1)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
