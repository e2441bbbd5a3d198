"""What every process of ours stands on."""

from __future__ import annotations

from dataclasses import dataclass

from dothi.lake.files import FileStore
from dothi.lake.service import Lake
from dothi.store.ballast import Ballast
from dothi.store.database import Database
from dothi.store.events import Doorbell
from dothi.store.settings import Settings


@dataclass
class House:
    """What every role stands on: database, store, files, the guard of the disk."""

    settings: Settings
    db: Database
    bell: Doorbell
    lake: Lake
    files: FileStore
    ballast: Ballast

    @classmethod
    def open(cls, settings: Settings, name: str, *, max_size: int = 8) -> House:
        """Connect; nothing is asked of the database yet."""
        assert settings.database_url is not None
        db = Database(settings.database_url, name=name, max_size=max_size)
        bell = Doorbell(db)
        folder = settings.home / "lake"
        folder.mkdir(parents=True, exist_ok=True)
        ballast = Ballast(
            settings.home,
            reserve_bytes=settings.reserve_bytes,
            ballast_bytes=settings.ballast_bytes,
        )
        lake = Lake(db, folder, bell=bell, may_write=ballast.writes_allowed)
        return cls(settings, db, bell, lake, FileStore(settings.home / "files"), ballast)

    def close(self) -> None:
        """Commit what waits and let go of everything."""
        self.lake.close()
        self.bell.close()
        self.db.close()
