"""The role worker: reactions, indicators, rungs, the audit trail's seals, the lake's housekeeping."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial

from dothi import jail
from dothi.forms.jobs import tell_late
from dothi.house import House
from dothi.identity import audit, heads, sessions, throttle
from dothi.indicators.recompute import Recomputer
from dothi.indicators.scores import Scorer
from dothi.ioc.names import Keeper
from dothi.kernel.errors import Unavailable
from dothi.kernel.time import VN, day_start, local_date, utc_now
from dothi.lake import registry
from dothi.lake.unended import UnendedError
from dothi.pulls.jobs import PullTimer
from dothi.pulls.running import Ground
from dothi.reactions import REACTIONS
from dothi.store.events import Listener
from dothi.store.home import Home
from dothi.store.processes import give_back
from dothi.store.settings import Settings
from dothi.work.duty import brief
from dothi.work.jobs import RungTimer

IDEMPOTENCY_KEPT = timedelta(days=7)
HEADS_EVERY_S = 60.0
MAINTAIN_EVERY_S = 3600.0
BRIEFS_EVERY_S = 5.0
"""How late after its hour a morning brief is begun at most."""
BRIEF_AGAIN = timedelta(minutes=1)
NAMES_EVERY_S = 30.0
"""How late a new name can be found at most."""

log = logging.getLogger("dothi")


def work(settings: Settings) -> None:
    """Reactions, indicators, rungs, the audit trail's seals, the lake's housekeeping."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    house = House.open(settings, "worker")
    worker = _Worker(house, stop)
    try:
        worker.run()
    finally:
        house.close()
        # A computation in the middle holds nothing that a kill could harm.
        os._exit(0)


class _Worker:
    """The threads of the worker: each looks when the doorbell rings, and once a second."""

    def __init__(self, house: House, stop: threading.Event) -> None:
        self._house = house
        self._stop = stop
        self._recomputer = Recomputer(house.db, house.lake)
        self._scorer = Scorer(house.db, house.lake)
        self._names = Keeper(house.db)
        self._next: dict[str, datetime] = {}

    def run(self) -> None:
        """Work until told to stop."""
        house = self._house
        timer = RungTimer(house.db, fired=house.bell.ring)
        quick = Listener(house.db, lambda: self._quick(timer))
        heavy = Listener(house.db, self._indicators)
        heaviest = Listener(house.db, self._scores)
        keeper = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)
        keeper.start()
        briefs = threading.Thread(target=self._make_briefs, name="briefs", daemon=True)
        briefs.start()
        pulls = PullTimer(
            Ground(house.db, house.lake, house.files, house.settings, house.ballast.writes_allowed)
        )
        self._stop.wait()
        for part in (quick, heavy, heaviest):
            part.signal_close()
        timer.close()
        pulls.close()

    def _quick(self, timer: RungTimer) -> None:
        """What people wait for: reactions, then the audit trail."""
        moved = 0
        for cursor in REACTIONS:
            while not self._stop.is_set() and (count := cursor.advance(self._house.db)):
                moved += count
        audit.seal(self._house.db)
        if moved:
            timer.wake()
            self._house.bell.ring()

    def _indicators(self) -> None:
        while not self._stop.is_set() and self._recomputer.advance():
            self._house.bell.ring()

    def _scores(self) -> None:
        if not self._stop.is_set() and self._scorer.advance():
            self._house.bell.ring()
            give_back()

    # -- what happens by the clock ----------------------------------------------------------------

    def _make_briefs(self) -> None:
        """Make each morning brief at its hour, or as soon as there is somebody to make it."""
        again: dict[tuple[int, date], datetime] = {}
        while not self._stop.wait(BRIEFS_EVERY_S):
            now = utc_now()
            try:
                with self._house.db.transaction() as conn:
                    wanted = brief.due(conn, now)
            except Unavailable:
                continue
            except Exception:
                log.exception("nobody could be asked which briefs are due")
                continue
            for one in wanted:
                if again.get(one, now) > now:
                    continue
                try:
                    make_brief(self._house, *one)
                    self._house.bell.ring()
                except Exception:
                    # One that cannot be made does not keep the others waiting.
                    log.exception("a morning brief failed, tried again in a minute")
                    again[one] = now + BRIEF_AGAIN

    def _keep_house(self) -> None:
        jobs = (
            ("leftovers", timedelta(minutes=1), self._house.lake.end_leftovers),
            ("heads", timedelta(seconds=HEADS_EVERY_S), self._append_head),
            ("close", timedelta(minutes=10), self._close_days),
            ("maintain", timedelta(seconds=MAINTAIN_EVERY_S), self._house.lake.maintain),
            ("purge", timedelta(hours=1), self._purge),
            ("sweep", timedelta(hours=1), self._sweep),
            ("names", timedelta(seconds=NAMES_EVERY_S), self._names.look),
            ("forms", timedelta(minutes=10), self._tell_late),
            # What figures or a night's move took is not kept until the next ones.
            ("memory", timedelta(minutes=1), give_back),
        )
        while not self._stop.wait(1.0):
            for name, every, job in jobs:
                now = utc_now()
                if self._next.get(name, now) > now:
                    continue
                self._next[name] = now + every
                try:
                    job()
                except Unavailable:
                    self._next[name] = now + timedelta(seconds=5)
                except Exception:
                    log.exception("housekeeping: %s failed, tried again in a minute", name)
                    self._next[name] = now + timedelta(minutes=1)

    def _append_head(self) -> None:
        home = Home(self._house.settings.home)
        file = heads.heads_file(home.path)
        key = home.secret(heads.HEADS_KEY)
        with self._house.db.transaction() as conn:
            heads.append(conn, file, key.encode())

    def _close_days(self) -> None:
        """Move closed days into the lake; a later call finds only what came late."""
        midnight = day_start(local_date(utc_now(), VN), VN)
        with self._house.db.transaction() as conn:
            datasets = registry.datasets(conn)
        for dataset in datasets:
            if self._stop.is_set() or not self._house.ballast.writes_allowed():
                return
            # What waits for a person shows where people look; the other datasets do not wait.
            with suppress(UnendedError):
                self._house.lake.close_days(dataset.id, midnight)

    def _tell_late(self) -> None:
        # The demonstration tells by itself, once its made-up returns are in.
        if not self._house.settings.demo and tell_late(self._house.db):
            self._house.bell.ring()

    def _sweep(self) -> None:
        """Remove what killed processes left lying about."""
        self._house.files.sweep(utc_now())
        jail.sweep()

    def _purge(self) -> None:
        now = utc_now()
        with self._house.db.transaction() as conn:
            sessions.purge(conn, sessions.Lifetime(), now)
            throttle.purge(conn, now)
            conn.execute("DELETE FROM idempotency WHERE at < %s", (now - IDEMPOTENCY_KEPT,))


def make_brief(house: House, agency: int, day: date) -> bool:
    """Make the morning brief of a day; False where somebody else has made it meanwhile."""
    # The screens' parts take memory and half a second to load, and are needed once a day.
    from dothi.ioc.desk import Desk
    from dothi.ioc.duty_brief import gather
    from dothi.web.site import PanelCache

    now = utc_now()
    # Nothing that was kept for an earlier brief may be told in this one.
    desk = Desk(house.db, house.lake, PanelCache(lambda _: 0), house.settings)
    return brief.make(house.db, agency, day, partial(gather, desk, agency, day, now), now=now)
