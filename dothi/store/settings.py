"""What the operator can set: built once from the command line and the environment, handed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from dothi.kernel.errors import Misconfigured
from dothi.kernel.i18n import LANGS

FIRST_ACCOUNT = "quantri"
"""Name of the administrator's account made at the first start."""

VARIABLES = {
    "DOTHI_HOME": "folder that holds everything dothi keeps: database, lake, files, secrets",
    "DOTHI_DATABASE_URL": "PostgreSQL 15 or newer to use instead of the embedded one",
    "DOTHI_OWNER_URL": "superuser of the embedded database; set by the supervisor for migrate only",
    "DOTHI_HOST": "address to listen on, 127.0.0.1 unless told",
    "DOTHI_PORT": "port to listen on, 8080 unless told; 0 takes a free one",
    "DOTHI_WEB": "number of web processes",
    "DOTHI_LANG": "vi or en; unless told, what LC_ALL or LANG asks for, else vi",
    "DOTHI_DEMO": "1 feeds demonstration data",
    "DOTHI_PACKS": "folder of packs used instead of the shipped one",
    "DOTHI_PUBLIC_URL": "address under which people reach this installation, for links and cookies",
    "DOTHI_OIDC_ISSUER": "issuer of the OpenID Connect provider that people may sign in with",
    "DOTHI_OIDC_CLIENT_ID": "what the provider calls this installation",
    "DOTHI_OIDC_SECRET_FILE": "file with the secret agreed with the provider; none for PKCE alone",
    "DOTHI_OIDC_NAME": "what the sign-in page calls the provider; unless told, the issuer's host",
    "DOTHI_OUTGOING": "hosts that may be asked beside the issuer's, as host or host:port",
    "DOTHI_OUTGOING_PRIVATE": "networks that may be asked although they are not public, as CIDR",
    "DOTHI_PULL_NETWORKS": "networks in which databases may be read, as CIDR; none unless told",
    "DOTHI_PULL_CA": "file with the authorities that certify those databases, in PEM; unless told, the system's",
    "DOTHI_RESERVE_MB": "free space below which writes are refused, 128 unless told",
    "DOTHI_BALLAST_MB": "size of the file that is deleted to make room when the disk is full, 64",
}
"""Every environment variable dothi reads, with its meaning."""

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Oidc:
    """A provider of OpenID Connect that people may sign in with, and who we are to it."""

    issuer: str
    client_id: str
    name: str
    secret_file: Path | None = None

    def secret(self) -> str | None:
        """What was agreed with the provider. Raises Misconfigured."""
        if self.secret_file is None:
            return None
        try:
            text = self.secret_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            text = ""
        if not text:
            raise Misconfigured("cli.oidc_no_secret", file=self.secret_file)
        return text


@dataclass(frozen=True)
class Settings:
    """One installation's settings. `database_url` None means the embedded PostgreSQL."""

    home: Path
    database_url: str | None = None
    owner_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    web_processes: int = 1
    lang: str = "vi"
    demo: bool = False
    packs: Path = Path("packs")
    public_url: str | None = None
    oidc: Oidc | None = None
    outgoing: tuple[str, ...] = ()
    outgoing_private: tuple[str, ...] = ()
    pull_networks: tuple[str, ...] = ()
    pull_ca: Path | None = None
    reserve_bytes: int = 128 * MEGABYTE
    ballast_bytes: int = 64 * MEGABYTE

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings an environment asks for. Raises Misconfigured for a value without sense."""
        return cls(
            home=Path(environ.get("DOTHI_HOME") or default_home(environ)).expanduser().absolute(),
            database_url=environ.get("DOTHI_DATABASE_URL") or None,
            owner_url=environ.get("DOTHI_OWNER_URL") or None,
            host=environ.get("DOTHI_HOST") or "127.0.0.1",
            port=_whole(environ, "DOTHI_PORT", 8080, 0, 65_535),
            web_processes=_whole(environ, "DOTHI_WEB", default_web_processes(), 1, 64),
            lang=language(environ),
            demo=environ.get("DOTHI_DEMO", "") not in ("", "0"),
            packs=Path(environ.get("DOTHI_PACKS") or shipped_packs()).expanduser().absolute(),
            public_url=environ.get("DOTHI_PUBLIC_URL") or None,
            oidc=_oidc(environ),
            outgoing=_list(environ, "DOTHI_OUTGOING"),
            outgoing_private=_networks(environ, "DOTHI_OUTGOING_PRIVATE"),
            pull_networks=_networks(environ, "DOTHI_PULL_NETWORKS"),
            pull_ca=_file(environ, "DOTHI_PULL_CA"),
            reserve_bytes=_whole(environ, "DOTHI_RESERVE_MB", 128, 1, 1_000_000) * MEGABYTE,
            ballast_bytes=_whole(environ, "DOTHI_BALLAST_MB", 64, 0, 1_000_000) * MEGABYTE,
        )

    @property
    def own_packs(self) -> Path:
        """The home's folder of packs that were installed beside those of `packs`."""
        return self.home / "packs"

    def pack_folders(self) -> list[Path]:
        """Every folder of a pack in use, those of `packs` first."""
        return [
            found.parent
            for folder in (self.packs, self.own_packs)
            for found in sorted(folder.glob("[!.]*/pack.yaml"))
        ]

    def with_(self, **changes: object) -> Settings:
        """A copy with some settings changed."""
        return replace(self, **changes)  # pyright: ignore[reportArgumentType]

    def environment(self) -> dict[str, str]:
        """The variables from which a child reads the same settings, the database's URLs left out:
        those go only to the processes that need them."""
        variables = {
            "DOTHI_HOME": str(self.home),
            "DOTHI_HOST": self.host,
            "DOTHI_PORT": str(self.port),
            "DOTHI_WEB": str(self.web_processes),
            "DOTHI_LANG": self.lang,
            "DOTHI_DEMO": "1" if self.demo else "0",
            "DOTHI_PACKS": str(self.packs),
            "DOTHI_RESERVE_MB": str(self.reserve_bytes // MEGABYTE),
            "DOTHI_BALLAST_MB": str(self.ballast_bytes // MEGABYTE),
        }
        if self.public_url:
            variables["DOTHI_PUBLIC_URL"] = self.public_url
        if self.oidc:
            variables["DOTHI_OIDC_ISSUER"] = self.oidc.issuer
            variables["DOTHI_OIDC_CLIENT_ID"] = self.oidc.client_id
            variables["DOTHI_OIDC_NAME"] = self.oidc.name
            if self.oidc.secret_file:
                variables["DOTHI_OIDC_SECRET_FILE"] = str(self.oidc.secret_file)
        if self.outgoing:
            variables["DOTHI_OUTGOING"] = ",".join(self.outgoing)
        if self.outgoing_private:
            variables["DOTHI_OUTGOING_PRIVATE"] = ",".join(self.outgoing_private)
        if self.pull_networks:
            variables["DOTHI_PULL_NETWORKS"] = ",".join(self.pull_networks)
        if self.pull_ca:
            variables["DOTHI_PULL_CA"] = str(self.pull_ca)
        return variables


def default_home(environ: Mapping[str, str]) -> Path:
    """Where data lives unless told: the system's place for root, the user's own otherwise."""
    if os.geteuid() == 0:
        # PostgreSQL runs as its own user then, who cannot enter root's folder.
        return Path("/var/lib/dothi")
    data = environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "dothi"


def default_web_processes() -> int:
    """One web process on a small machine, half the processors on a larger one, at most eight."""
    processors = os.cpu_count() or 1
    return 1 if processors <= 2 else min(8, processors // 2)


def language(environ: Mapping[str, str]) -> str:
    """The language of everything dothi prints: DOTHI_LANG, else the locale's, else Vietnamese."""
    for name in ("DOTHI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        asked = environ.get(name, "")[:2].lower()
        if asked in LANGS:
            return asked
        if name == "DOTHI_LANG" and asked:
            raise Misconfigured("cli.bad_language", value=environ[name])
    return "vi"


def shipped_packs() -> Path:
    """The packs that came with this copy: inside the installed package, or beside the checkout's."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_packs"
    return installed if installed.is_dir() else package.parent / "packs"


def _oidc(environ: Mapping[str, str]) -> Oidc | None:
    issuer = environ.get("DOTHI_OIDC_ISSUER", "").strip()
    if not issuer:
        return None
    client_id = environ.get("DOTHI_OIDC_CLIENT_ID", "").strip()
    if not client_id or not environ.get("DOTHI_PUBLIC_URL"):
        raise Misconfigured("cli.oidc_incomplete")
    try:
        host = urlsplit(issuer).hostname
    except ValueError:
        host = None
    if not host or urlsplit(issuer).scheme not in ("https", "http"):
        raise Misconfigured("cli.oidc_issuer", issuer=issuer)
    file = environ.get("DOTHI_OIDC_SECRET_FILE")
    return Oidc(
        issuer, client_id, environ.get("DOTHI_OIDC_NAME", "").strip() or host,
        Path(file).expanduser().absolute() if file else None,
    )  # fmt: skip


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name, "").strip()
    return Path(text).expanduser().absolute() if text else None


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part for part in environ.get(name, "").replace(",", " ").split())


def _networks(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    networks = _list(environ, name)
    for text in networks:
        try:
            ip_network(text)
        except ValueError:
            raise Misconfigured("cli.bad_network", name=name, value=text) from None
    return networks


def _whole(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise Misconfigured("cli.bad_number", name=name, value=text, low=low, high=high)
    return int(text)
