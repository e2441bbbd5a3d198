"""Loaded files, kept by content."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

LEFT_FOR = timedelta(days=1)
"""No load takes longer: what is older belongs to one that was killed."""


@dataclass(frozen=True)
class FileStore:
    """Where loaded files are kept, by content, so that a number can be followed to its file."""

    folder: Path

    def path(self, sha256: bytes) -> Path:
        """Where the file of this content is kept."""
        name = sha256.hex()
        return self.folder / name[:2] / name

    def keep(self, source: Path, sha256: bytes) -> None:
        """Keep a copy; a kill in the middle leaves none."""
        if not self.path(sha256).exists():
            self.take(self.copy(source), sha256)

    def copy(self, source: Path) -> Path:
        """A copy that is not kept yet: it is `take`n, or the caller removes it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        copy = self.folder / f"copy-{uuid4()}"
        try:
            shutil.copyfile(source, copy)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy

    def take(self, copy: Path, sha256: bytes) -> None:
        """Keep the copy itself."""
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy.replace(target)

    def sweep(self, now: datetime) -> int:
        """Remove what killed loads left behind, once it is a day old; how many things it was."""
        left = [
            *self.folder.glob("upload-*"),
            *self.folder.glob("load-*"),
            *self.folder.glob("copy-*"),
        ]
        count = 0
        for path in left:
            with suppress(OSError):
                if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) < LEFT_FOR:
                    continue
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                count += 1
        return count
