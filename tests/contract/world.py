"""The assembled web application on loopback, with agencies, people, keys and things to ask for."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import secrets
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import uvicorn
from litestar import Litestar

from dothi.app import create_app
from dothi.house import House
from dothi.identity import accounts, keys, sessions
from dothi.identity.agencies import add_agency, find_agency
from dothi.identity.model import SYSTEM, Agency, Role
from dothi.identity.passwords import Passwords
from dothi.identity.units_import import import_files
from dothi.indicators import scores
from dothi.indicators import service as indicator_service
from dothi.kernel.time import utc_now
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.loading import load_file
from dothi.lake.model import Batch, Clash, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.packs import install as pack_install
from dothi.packs import load as pack_load
from dothi.store.database import own_sql
from dothi.store.settings import Settings, shipped_packs
from dothi.web.live import Hub
from dothi.work.model import Severity
from dothi.work.service import Opening, open_item
from tests.conftest import app_url
from tests.unit.packs.test_packs_doc import written

OURS, OTHERS = "so-nnmt", "so-xd"
PASSWORD = "Sông Ba chảy ngược"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: each would else read the machine's certificates anew, 24 ms of work."""
PEOPLE = ("admin", "operator", "officer", "leader", "data", "auditor")

CONTRACT = """
dataset: {name}
kind: series
title: {{vi: Số đo, en: Readings}}
owner: {owner}
time: {{zone: Asia/Ho_Chi_Minh, rhythm: PT1H, stamp: end}}
key: [station]
parameters:
  level: {{title: {{vi: Mực nước, en: Level}}, unit: m, range: [0, 10]}}
sharing: {sharing}
things:
  - key: [G1]
    name: {{vi: Trạm G1, en: Gauge G1}}
"""
UNIT, REFORM = "N", date(2025, 7, 1)
UNITS = f"""
code,level,name,parent,valid_from,valid_to,lon,lat
S,province,Tỉnh Sông Bờ,,2025-07-01,,108.1,13.1
a,commune,Xã An,,,2025-07-01,108.0,13.0
b,commune,Thị trấn Bến,,,2025-07-01,108.1,13.0
c,commune,Xã Cồn,,,2025-07-01,108.2,13.0
{UNIT},commune,Phường An Bến,S,2025-07-01,,108.05,13.0
M,commune,Xã Cồn Thượng,S,2025-07-01,,108.2,13.1
Z,commune,Đặc khu Cồn Hạ,S,2025-07-01,,108.3,13.0
"""
LINKS = f"old_code,new_code\na,{UNIT}\nb,{UNIT}\nc,M\nc,Z\n"
"""Two communes that merged, and one that was split."""
GROUND = "ground: for tests"
_worlds = itertools.count(1)
SHARINGS = {
    "own": (OURS, "{}"),
    "other": (OTHERS, "{}"),
    "public": (OTHERS, f"{{public: true, {GROUND}}}"),
    "shared": (OTHERS, f"{{agencies: [{OURS}], {GROUND}}}"),
}


@dataclass(kw_only=True)
class Town:
    """What is in a store, and everybody there."""

    house: House
    accounts: dict[str, int] = field(default_factory=dict)
    bearers: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=dict)
    agencies: dict[str, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def stream(self, what: str) -> int:
        with self.house.db.transaction() as conn:
            return min(registry.streams(conn, self.datasets[what]))

    def new_load(self, what: str) -> int:
        """A load of one value, free to be undone."""
        return self._commit(what, clash=False)

    def new_conflict(self, what: str) -> int:
        """A contradiction that waits for a decision; its rows are 2 and 3."""
        load = self._commit(what, clash=True)
        with self.house.db.transaction() as conn:
            row = conn.execute("SELECT id FROM conflict WHERE load_id = %s", (load,)).fetchone()
        assert row is not None
        return row[0]

    def _commit(self, what: str, *, clash: bool) -> int:
        dataset, number = self.datasets[what], next(self.numbers)
        at = utc_now().replace(microsecond=0) - timedelta(seconds=number)
        stream = self.house.lake.stream_ids(dataset, [(("G1",), "level")])[("G1",), "level"]
        candidates = [
            {"row": 2, "value": 1.0, "quality": 0},
            {"row": 3, "value": 2.0, "quality": 0},
        ]
        rows = SeriesRows([stream], [at], [1.0], [0], [2])
        clashes = [Clash(stream, at, candidates)] if clash else []
        done = self.house.lake.commit(Batch(dataset.id, rows, Source("form"), clashes=clashes))
        return done.load_id

    def new_work(self, what: str) -> str:
        """An alarm that waits to be accepted; its version is 1."""
        agency = self.agencies[OURS if what == "own" else OTHERS]
        opening = Opening(
            kind="alarm", title={"vi": "Mực nước cao", "en": "High water"},
            severity=Severity.WARNING, agency_id=agency,
        )  # fmt: skip
        with self.house.db.transaction() as conn:
            return open_item(conn, SYSTEM, opening).code

    def fresh_file(self) -> dict[str, tuple[str, io.BytesIO]]:
        """A form with a CSV file that nobody has loaded before."""
        at = utc_now() - timedelta(days=2, seconds=next(self.numbers))
        text = f"station,time,level\nG1,{at:%Y-%m-%dT%H:%M:%SZ},{next(self.numbers) / 1000}\nG1,yesterday,=1+1\n"
        return {"file": (f"{secrets.token_hex(4)}.csv", io.BytesIO(text.encode()))}


@dataclass(kw_only=True)
class World(Town):
    """One web process on such a store."""

    app: Litestar
    hub: Hub
    address: str

    def client(self, who: str = "anonymous", **more: Any) -> httpx.Client:
        """A browser or a machine of its own, signed in anew."""
        headers = {"accept-language": "en", **more.pop("headers", {})}
        more.setdefault("timeout", 30)
        client = httpx.Client(base_url=self.address, headers=headers, verify=NO_TLS, **more)
        if who in self.accounts:
            with self.house.db.transaction() as conn:
                token = sessions.start(conn, self.accounts[who], address="127.0.0.1", now=utc_now())
            client.cookies.set("dothi_session", token)
            client.headers["sec-fetch-site"] = "same-origin"
        elif who in self.bearers:
            client.headers["authorization"] = f"Bearer {self.bearers[who]}"
        else:
            assert who == "anonymous", who
        return client


@dataclass(frozen=True)
class _Kept:
    """A settled store that nobody uses: what each world is copied from."""

    database: str
    folder: TemporaryDirectory[str]
    known: dict[str, Any]

    @property
    def home(self) -> Path:
        return Path(self.folder.name) / "home"

    @property
    def packs(self) -> Path:
        lit = Path(self.folder.name) / "packs"
        return lit if lit.exists() else shipped_packs()


@cache
def _keep(server: str, template: str, lit: bool) -> _Kept:
    name = f"dothi_kept_{os.getpid()}_{int(lit)}"
    kept = _Kept(name, TemporaryDirectory(prefix="dothi-kept-"), {})
    kept.home.mkdir()
    if lit:
        written(shutil.copytree(shipped_packs(), kept.home.with_name("packs")))
    _copy(server, template, name)
    settings = Settings(
        home=kept.home, database_url=app_url(server, name), lang="en", packs=kept.packs
    )
    town = Town(house=House.open(settings, "kept"))
    _settle(town)
    town.house.close()
    kept.known.update({f.name: getattr(town, f.name) for f in fields(Town) if f.name != "house"})
    return kept


def _copy(server: str, database: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(own_sql(f"CREATE DATABASE {name} TEMPLATE {database} OWNER dothi_app"))


@contextmanager
def world(
    server: str,
    template: str,
    home: Path,
    more: Callable[[str], dict[str, Any]] | None = None,
    *,
    lit: bool = False,
) -> Iterator[World]:
    """The application as `dothi web` runs it, on a free port of this machine, its store settled.

    `more`: further settings, told the address it will have. `lit`: with the service of docs/packs.md,
    which is of `OTHERS` and shared with nobody, beside the shipped ones.
    """
    kept = _keep(server, template, lit)
    shutil.copytree(kept.home, home, dirs_exist_ok=True)
    name = f"dothi_world_{os.getpid()}_{next(_worlds)}"
    _copy(server, kept.database, name)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = Settings(
            home=home, database_url=app_url(server, name), lang="en", packs=kept.packs,
            **(more(address) if more else {}),
        )  # fmt: skip
        house = House.open(settings, "web", max_size=16)
        app, hub = create_app(house)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="on",
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        web = uvicorn.Server(config)
        running = threading.Thread(
            target=lambda: asyncio.run(web.serve(sockets=[listening])), daemon=True
        )
        running.start()
        try:
            _wait(lambda: web.started and hub.heard)
            yield World(house=house, app=app, hub=hub, address=address, **deepcopy(kept.known))
        finally:
            hub.close()
            web.should_exit = True
            running.join(10)
            house.close()
            with psycopg.connect(server, autocommit=True) as conn:
                conn.execute(own_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _wait(done: Any) -> None:
    for _ in range(3000):
        if done():
            return
        time.sleep(0.01)
    raise TimeoutError("the application did not start")


def _settle(made: Town) -> None:
    hasher = Passwords(memory_kib=1024, passes=1)
    packs = pack_load.load_all(made.house.settings.packs)
    with made.house.db.transaction() as conn:
        accounts.first_admin(conn, PASSWORD, hasher)
        pack_install.install(conn, packs)
        indicator_service.install(conn, packs)
        scores.install(conn, packs)
        if find_agency(conn, OTHERS) is None:  # a pack may have brought it
            add_agency(conn, Agency(OTHERS, "Sở Xây dựng", "Construction", "tinh"), actor=SYSTEM)
        made.agencies = dict(conn.execute("SELECT code, id FROM agency").fetchall())
        for what, (owner, sharing) in SHARINGS.items():
            text = CONTRACT.format(name=f"{what}_gauges", owner=owner, sharing=sharing)
            made.datasets[what] = registry.register(conn, parse_contract(text))
        made.datasets["air"] = registry.find(conn, "air_quality")
        for role in PEOPLE:
            made.accounts[role] = accounts.create_account(
                conn, login=role, display_name=role, agency=OURS, roles=[Role(role)],
                password=PASSWORD, hasher=hasher, actor=SYSTEM,
            ).id  # fmt: skip
        for name, actions in (("key", None), ("feeder", ["dataset.load"])):
            made.bearers[name] = keys.issue(
                conn, name=name, agency=OURS, roles=[Role.DATA], actions=actions, actor=SYSTEM,
                now=utc_now(),
            )[1]  # fmt: skip
    import_files(made.house.db, _unit_files(made.house.settings.home), day=REFORM, actor=SYSTEM)
    for what in SHARINGS:
        form = made.fresh_file()["file"]
        path = made.house.settings.home / form[0]
        path.write_bytes(form[1].getvalue())
        loaded = load_file(
            made.house.lake, made.house.files, made.datasets[what], path, name=form[0]
        )
        made.loads[what] = loaded.outcome.load_id


def _unit_files(home: Path) -> list[Path]:
    """Files of a small province, as `dothi units import` takes them."""
    files = [home / "units.csv", home / "links.csv"]
    for path, text in zip(files, (UNITS, LINKS), strict=True):
        path.write_text(text.lstrip(), "utf-8")
    return files
