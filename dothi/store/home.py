"""The data home: one folder that holds everything an installation keeps.

    VERSION     the mark of a home and the version of its layout
    pg/         the embedded PostgreSQL's cluster (`pg.new` while it is being made)
    lake/       closed data, files/ attachments and loaded files
    secrets/    passwords and keys, made at random, one per file
    run/        lock, state and socket of the running instance
    logs/       what each process writes
    ballast     the file deleted to make room when the disk is full

A folder with other content and no mark is never touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dothi.kernel.errors import Busy, Damaged, DothiError, Misconfigured, StorageFull

LAYOUT = 1
"""Version of the layout this code reads and writes."""

MARK = "dothi-home"
LOCK_PATIENCE_S = 0.4


class Home:
    """Paths of a data home, and what is done to it as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version_file = path / "VERSION"
        self.cluster = path / "pg"
        self.cluster_in_making = path / "pg.new"
        self.lake = path / "lake"
        self.files = path / "files"
        self.secrets = path / "secrets"
        self.run = path / "run"
        self.logs = path / "logs"
        self.ballast = path / "ballast"
        self.state_file = self.run / "state.json"
        self._lock_file = self.run / "lock"
        self._notice = path / "secrets" / "notice"
        self._first_password = self.secrets / "first_password"

    def prepare(self) -> None:
        """Make a new home, or check that this is one of ours and make missing folders.

        Raises Misconfigured for a foreign or unusable folder, Damaged for a home whose mark
        cannot be read or is newer, StorageFull when there is no room for the folders.
        """
        try:
            self._prepare()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _prepare(self) -> None:
        if self.path.exists():
            if not self.path.is_dir():
                raise Misconfigured("supervisor.home_not_a_folder", home=self.path)
            self._check_owner()
        else:
            self._make_folders_above()
            self.path.mkdir(mode=0o700, exist_ok=True)
        if self.version_file.exists():
            self._read_mark()
            self._check_writable()
        else:
            self._take()
        # PostgreSQL under its own account passes through here; nothing can be listed.
        passing = 0o711 if os.geteuid() == 0 else 0o700
        for folder, mode in (
            (self.path, passing),
            (self.run, passing),
            (self.secrets, 0o700),
            (self.lake, 0o700),
            (self.files, 0o700),
            (self.logs, 0o700),
        ):
            folder.mkdir(exist_ok=True)
            if stat.S_IMODE(folder.stat().st_mode) != mode:
                folder.chmod(mode)
        self._make_first_password()

    def _take(self) -> None:
        """Make an empty folder a home. The mark comes first: whatever follows is then ours."""
        content = {entry.name for entry in self.path.iterdir()} - {"lost+found"}
        if {name for name in content if not name.startswith("VERSION.")}:
            if self.version_file.exists():
                return  # another first start was quicker
            raise Misconfigured("supervisor.home_foreign", home=self.path)
        if os.geteuid() == 0:
            os.chown(self.path, 0, 0)
        self.path.chmod(0o700)
        self._write_mark({})

    def _read_mark(self) -> dict[str, Any]:
        try:
            mark = json.loads(self.version_file.read_bytes())
            layout = mark["layout"]
            known = mark["mark"] == MARK and isinstance(layout, int)
        except (ValueError, TypeError, KeyError):
            known, layout, mark = False, 0, {}
        if not known:
            raise Damaged("supervisor.home_mark_unreadable", home=self.path)
        if layout > LAYOUT:
            raise Damaged("supervisor.home_newer", home=self.path, found=layout, known=LAYOUT)
        return mark

    def _note(self, fact: str) -> None:
        mark = self._read_mark()
        if not mark.get(fact):
            self._write_mark({**mark, fact: True})

    def _write_mark(self, facts: Mapping[str, object]) -> None:
        text = json.dumps({**facts, "mark": MARK, "layout": LAYOUT}) + "\n"
        write_durably(self.version_file, text, 0o644)

    def _check_owner(self) -> None:
        owner = self.path.stat().st_uid
        if os.geteuid() == 0 and owner != 0 and any(self.path.iterdir()):
            raise Misconfigured("supervisor.home_of_other_user", home=self.path, uid=owner)

    def _check_writable(self) -> None:
        try:
            handle, name = tempfile.mkstemp(prefix=".probe-", dir=self.path)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return  # a full disk is the ballast's affair
            raise
        os.close(handle)
        Path(name).unlink()

    def _make_folders_above(self) -> None:
        mode = 0o711 if os.geteuid() == 0 else 0o700
        missing = [p for p in self.path.parents if not p.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=mode)
            folder.chmod(mode)

    # -- the cluster's part of the mark ------------------------------------------------------

    def cluster_was_made(self) -> bool:
        """Did this home ever hold a complete PostgreSQL cluster?"""
        return bool(self._read_mark().get("cluster"))

    def note_cluster_made(self) -> None:
        """From now on a missing cluster is a loss, not a first start."""
        self._note("cluster")

    # -- one instance ------------------------------------------------------------------------

    def lock(self) -> int:
        """Claim the home for this process until it ends; the handle that holds the claim.

        Raises Busy when another instance runs on it.
        """
        try:
            handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                # Somebody who only looks (`locked`) holds it for an instant.
                if time.monotonic() > deadline:
                    os.close(handle)
                    pid = (self.state() or {}).get("supervisor", {}).get("pid", "?")
                    raise Busy("supervisor.home_busy", home=self.path, pid=pid) from None
            time.sleep(0.05)

    def locked(self) -> bool:
        """Does an instance run on this home?"""
        try:
            handle = os.open(self._lock_file, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    # -- state of the running instance -------------------------------------------------------

    def state(self) -> dict[str, Any] | None:
        """What the instance wrote last; None when there is nothing readable."""
        try:
            state = json.loads(self.state_file.read_bytes())
        except (OSError, ValueError):
            return None
        return state if isinstance(state, dict) else None

    def write_state(self, state: Mapping[str, object]) -> None:
        """Replace the state as a whole. On a full disk the old one stays."""
        fresh = self.state_file.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
            fresh.replace(self.state_file)

    def forget_state(self) -> None:
        """Nothing of ours runs any more."""
        with contextlib.suppress(OSError):
            self.state_file.unlink(missing_ok=True)

    # -- secrets -----------------------------------------------------------------------------

    def secret(self, name: str) -> str:
        """The secret of this name, 32 random bytes as text, made when it is first asked for."""
        path = self.secrets / name
        try:
            return path.read_text(encoding="ascii")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            write_durably(path, secrets.token_urlsafe(32), 0o600, keep=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return path.read_text(encoding="ascii")

    def _make_first_password(self) -> None:
        if not self._first_password.exists() and not self._read_mark().get("password_shown"):
            alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
            groups = ("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))
            write_durably(self._first_password, "-".join(groups), 0o600)

    def first_password(self) -> str | None:
        """The first administrator's password as long as it was not shown, else None.

        `migrate` makes the account with it when there are no accounts, and calls
        `forget_first_password` when there are; the supervisor shows it once and forgets it.
        """
        try:
            return self._first_password.read_text(encoding="ascii")
        except OSError:
            return None

    def forget_first_password(self) -> None:
        """From now on only its hash is known."""
        self._note("password_shown")
        self._first_password.unlink(missing_ok=True)

    def leave_notice(self, text: str) -> None:
        """Lines for the operator that the supervisor shows once when it serves, then forgets."""
        write_durably(self._notice, text, 0o600)

    def take_notice(self) -> str | None:
        """What was left to be shown, once."""
        try:
            text = self._notice.read_text(encoding="utf-8")
        except OSError:
            return None
        self._notice.unlink(missing_ok=True)
        return text


def write_durably(path: Path, text: str, mode: int, *, keep: bool = False) -> None:
    """Write a file so that after a crash it holds all of the text, or what it held before.

    With `keep`, a file that exists stays as it is. Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if keep:
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        else:
            Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(home: Path, error: OSError) -> DothiError:
    """The cause a person can act on, for an error met while writing in a home."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("supervisor.disk_full", home=home)
    reason = os.strerror(error.errno) if error.errno else str(error)
    return Misconfigured("supervisor.home_not_writable", home=home, reason=reason)
