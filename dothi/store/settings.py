"""What the operator can set: built once from the command line and the environment, handed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
    "DOTHI_RESERVE_MB": "free space below which writes are refused, 128 unless told",
    "DOTHI_BALLAST_MB": "size of the file that is deleted to make room when the disk is full, 64",
}
"""Every environment variable dothi reads, with its meaning."""

MEGABYTE = 1024 * 1024


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
            reserve_bytes=_whole(environ, "DOTHI_RESERVE_MB", 128, 1, 1_000_000) * MEGABYTE,
            ballast_bytes=_whole(environ, "DOTHI_BALLAST_MB", 64, 0, 1_000_000) * MEGABYTE,
        )

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


def _whole(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise Misconfigured("cli.bad_number", name=name, value=text, low=low, high=high)
    return int(text)
