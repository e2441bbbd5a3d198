"""Closes days and merges files without end, says what it is at; made to be killed.

`python -m tests.kill.housekeeper HOME`, beside a running `dothi up`.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import duckdb

from dothi.kernel.errors import DothiError
from dothi.kernel.time import VN, day_start, local_date, utc_now
from dothi.lake import registry
from dothi.lake.service import Lake
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.runner import application_url


def main() -> None:
    home = Home(Path(sys.argv[1]))
    while True:
        try:
            db = Database(application_url(home), name="housekeeper", max_size=2)
        except (DothiError, OSError):
            time.sleep(0.3)
            continue
        lake = Lake(db, home.lake, threads=1)
        try:
            while True:
                _keep_house(lake)
        except (DothiError, duckdb.Error) as error:
            _say(f"failed {type(error).__name__}")
        finally:
            lake.close()
            db.close()
        time.sleep(0.3)


def _keep_house(lake: Lake) -> None:
    with lake.db.transaction() as conn:
        numbers = [dataset.id for dataset in registry.datasets(conn)]
    # The day before yesterday, then all days that are over: rows of both are still coming in.
    midnight = day_start(local_date(utc_now(), VN), VN)
    for until in (midnight - timedelta(days=1), midnight):
        _say("close")
        for number in numbers:
            lake.close_days(number, until)
        _say("rest")
        time.sleep(1.0)
    _say("maintain")
    lake.maintain()
    _say("rest")
    time.sleep(1.0)


def _say(word: str) -> None:
    print(word, flush=True)


if __name__ == "__main__":
    main()
