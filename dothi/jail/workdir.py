"""The folder a job shares with its caller: made, measured, taken back and removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dothi.jail.model import JailOutput

PREFIX = "dothi-jail-"
MOST_ENTRIES = 10_000
MOST_LEVELS = 16


class Workdir:
    """`dothi-jail-…/{in,out,root}`, held by a lock as long as this process lives (see `sweep`)."""

    def __init__(self, scratch: Path | None) -> None:
        self._lock: int | None = None
        # Another process may sweep it away in the moment before it is held: then a new one is made.
        while self._lock is None:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch)).resolve()
            self._lock = _held(self.path)
        for name in ("in", "out", "root"):
            (self.path / name).mkdir()
        self.out = self.path / "out"

    def remove(self) -> None:
        """Remove everything, whatever the job left there."""
        remove(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _held(folder: Path) -> int | None:
    """A lock on the folder; None where it is gone already."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return None


def remove(folder: Path) -> None:
    """Remove a folder, also where a hostile job closed folders or nested them beyond any path."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", folder], check=False, stderr=subprocess.DEVNULL)


def sweep(scratch: Path | None = None) -> int:
    """Remove what jobs of dead processes left below `scratch`; returns how many there were."""
    count = 0
    for folder in Path(scratch or tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            there = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(there).st_uid == os.geteuid():
                fcntl.flock(there, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(folder)
                count += 1
        except BlockingIOError:
            pass  # its owner lives
        finally:
            os.close(there)
    return count


def measure(out: Path) -> int:
    """The bytes on disk or of length, whichever is more, of all files below `out`.

    Raises JailOutput for too many or too deeply nested entries.
    """
    total = 0
    for entry in _walk(out):
        with contextlib.suppress(FileNotFoundError):
            found = entry.stat(follow_symlinks=False)
            total += max(found.st_size, found.st_blocks * 512)
    return total


def take_back(out: Path) -> None:
    """Make everything below `out` the caller's own, once no process of the job is left.

    A symlink or device the job left would lead the caller, who may read everything, astray:
    raises JailOutput for anything but files and folders.
    """
    mine = (os.geteuid(), os.getegid())
    _own(out, mine, is_folder=True)
    for entry in _walk(out):
        mode = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise JailOutput("jail.strange_output", name=entry.name)
        _own(Path(entry.path), mine, is_folder=stat.S_ISDIR(mode))


def _own(path: Path, mine: tuple[int, int], *, is_folder: bool) -> None:
    found = path.lstat()
    if (found.st_uid, found.st_gid) != mine:
        os.chown(path, *mine, follow_symlinks=False)
    wanted = 0o755 if is_folder else 0o644
    if stat.S_IMODE(found.st_mode) != wanted:
        path.chmod(wanted)


def _walk(out: Path) -> Iterator[os.DirEntry[str]]:
    """All entries below, a folder before what is in it. Folders may vanish while we look."""
    waiting = [(str(out), 0)]
    count = 0
    while waiting:
        folder, level = waiting.pop()
        if level > MOST_LEVELS:
            raise JailOutput("jail.too_many_files", most=MOST_ENTRIES, levels=MOST_LEVELS)
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:  # a folder closed to us, to hide in
            raise JailOutput("jail.strange_output", name=Path(folder).name) from error
        with entries:
            for entry in entries:
                count += 1
                if count > MOST_ENTRIES:
                    raise JailOutput("jail.too_many_files", most=MOST_ENTRIES, levels=MOST_LEVELS)
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, level + 1))
