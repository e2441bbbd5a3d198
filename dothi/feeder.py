"""The role demo: the demonstration's stations, as an outside program that gives way to all others."""

from __future__ import annotations

import logging
import os
import signal
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dothi.kernel.errors import DothiError
from dothi.store import probe
from dothi.store.home import Home
from dothi.store.processes import give_back
from dothi.store.settings import Settings

if TYPE_CHECKING:
    from dothi.house import House
    from dothi.packs.demo.services import Services

    ServicesFed = tuple[str, datetime | None, Services]

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
            key, until, services = _catch_up(settings)
        except DothiError as error:
            log.warning("the demonstration waits: %s", error)
            stop.wait(TRY_AGAIN_S)
            continue
        give_back()
        _feed(f"http://{probe.shown(settings.host)}:{port}", key, stop, until, services)


def _catch_up(settings: Settings) -> tuple[str, list[datetime], ServicesFed]:
    """A key for the public door, the instant up to which all stations of each kind are complete, and
    where the public services stand."""
    # The first page is out: what comes now takes half a second of CPU and holds up nobody.
    from dothi.forms.demo import put_returns
    from dothi.forms.jobs import tell_late
    from dothi.forms.service import Forms
    from dothi.house import House
    from dothi.identity import keys
    from dothi.identity.model import SYSTEM, Role
    from dothi.kernel.time import utc_now
    from dothi.lake import registry
    from dothi.packs.demo.prepare import prepare
    from dothi.packs.demo.spec import demo_specs
    from dothi.packs.demo.units import put_units
    from dothi.work.duty.demo import put_duty

    house = House.open(settings, "demo", max_size=2)
    try:
        until = [prepare(house.db, house.lake, utc_now(), spec=spec).until for spec in demo_specs()]
        with house.db.transaction() as conn:
            dataset = registry.find(conn, "air_quality")
            issued = keys.issue(
                conn, name="Trạm đo minh họa", agency=dataset.contract.owner, roles=[Role.DATA],
                actions=["dataset.load"], lifetime=KEY_LIVES, actor=SYSTEM, now=utc_now(),
            )  # fmt: skip
        put_units(house.db)
        with house.db.transaction() as conn:
            put_duty(conn, utc_now())
        house.bell.ring()
        services = _services(house)
        put_returns(Forms(house.db, house.lake, house.files))
        if tell_late(house.db):
            house.bell.ring()
        return issued[1], until, services
    finally:
        house.close()


def _services(house: House) -> ServicesFed:
    """A key of their owner's, and the instant up to which their dossiers are complete, if they are."""
    from dothi.identity import keys
    from dothi.identity.model import SYSTEM, Role
    from dothi.kernel.time import VN, local_date, utc_now
    from dothi.lake import registry
    from dothi.packs.demo import services_feed
    from dothi.packs.demo.documents import put_documents

    now = utc_now()
    with house.db.transaction() as conn:
        agencies = services_feed.put_agencies(conn)
        _, key = keys.issue(
            conn, name="Hồ sơ minh họa", agency=services_feed.OWNER, roles=[Role.DATA],
            actions=["dataset.load"], lifetime=KEY_LIVES, actor=SYSTEM, now=now,
        )  # fmt: skip
        dataset = registry.find(conn, "dossiers")
        row = conn.execute(
            "SELECT max(at) FROM load WHERE dataset_id = %s AND state = 'committed'", (dataset.id,)
        ).fetchone()
    put_documents(house.lake, agencies, local_date(now, VN))
    made = services_feed.made(agencies, now)
    since = row[0] if row else None
    if since is not None and not services_feed.complete(house.lake, dataset, made, since):
        since = None
    return key, since, made


def _feed(
    address: str, key: str, stop: threading.Event, since: list[datetime], services: ServicesFed
) -> None:
    """Let the stations of each kind report and the public services work, all at once."""
    from dothi.packs.demo import services_feed
    from dothi.packs.demo.feed import feed
    from dothi.packs.demo.spec import demo_specs

    threads = [
        threading.Thread(
            target=feed, args=(address, key, stop), kwargs={"spec": spec, "since": at},
            name=f"demo {spec.dataset}",
        )
        for spec, at in zip(demo_specs(), since, strict=True)
    ]  # fmt: skip
    own_key, complete, made = services
    threads.append(
        threading.Thread(
            target=services_feed.feed, args=(address, own_key, stop, made),
            kwargs={"since": complete}, name="demo dossiers",
        )
    )  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _port(settings: Settings) -> int:
    """Where the instance on this home listens; as the settings say when there is none."""
    state = Home(settings.home).state()
    return int(state["port"]) if state else settings.port
