"""What the commands of several rooms share: the database at hand, faults line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dothi.kernel.errors import Invalid
from dothi.store.home import Home

if TYPE_CHECKING:
    from dothi.store.database import Database
    from dothi.store.settings import Settings


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """The installation's database: the one that is named, or the embedded one if it runs."""
    from dothi.store.database import Database
    from dothi.store.runner import application_url

    db = Database(
        settings.database_url or application_url(Home(settings.home)), name="command", max_size=2
    )
    try:
        yield db
    finally:
        db.close()


@contextmanager
def faults_in(lang: str) -> Iterator[None]:
    """Print each fault of an Invalid on its own line before the error itself."""
    try:
        yield
    except Invalid as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.text(lang)}", file=sys.stderr)
        raise
