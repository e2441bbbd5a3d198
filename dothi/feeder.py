"""The role demo: the demonstration's stations, as an outside program that gives way to all others."""

from __future__ import annotations

import logging
import os
import signal
import threading
from datetime import datetime, timedelta

from dothi.kernel.errors import DothiError
from dothi.store import probe
from dothi.store.home import Home
from dothi.store.settings import Settings

NICENESS = 10
"""Lets the roles of the product go first where processors are short."""
TRY_AGAIN_S = 10.0
KEY_LIVES = timedelta(days=30)

log = logging.getLogger("dothi")


def run(settings: Settings) -> None:
    """Store what the stations would have sent meanwhile, then report live until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.nice(NICENESS)
    while not stop.is_set():
        port = _port(settings)
        if probe.http(settings.host, port) is not probe.Answer.READY:
            stop.wait(0.2)
            continue
        try:
            key, until = _catch_up(settings)
        except DothiError as error:
            log.warning("the demonstration waits: %s", error)
            stop.wait(TRY_AGAIN_S)
            continue
        _feed(f"http://{probe.shown(settings.host)}:{port}", key, stop, until)


def _catch_up(settings: Settings) -> tuple[str, datetime]:
    """A key for the public door, and the instant up to which every station is complete."""
    # The first page is out: what comes now takes half a second of CPU and holds up nobody.
    from dothi.house import House
    from dothi.identity import keys
    from dothi.identity.model import SYSTEM, Role
    from dothi.kernel.time import utc_now
    from dothi.lake import registry
    from dothi.packs.demo.prepare import prepare

    house = House.open(settings, "demo", max_size=2)
    try:
        until = prepare(house.db, house.lake, utc_now()).until
        with house.db.transaction() as conn:
            dataset = registry.find(conn, "air_quality")
            issued = keys.issue(
                conn, name="demo", agency=dataset.contract.owner, roles=[Role.DATA],
                actions=["dataset.load"], lifetime=KEY_LIVES, actor=SYSTEM, now=utc_now(),
            )  # fmt: skip
        return issued[1], until
    finally:
        house.close()


def _feed(address: str, key: str, stop: threading.Event, since: datetime) -> None:
    from dothi.packs.demo.feed import feed

    feed(address, key, stop, since=since)


def _port(settings: Settings) -> int:
    """Where the instance on this home listens; as the settings say when there is none."""
    state = Home(settings.home).state()
    return int(state["port"]) if state else settings.port
