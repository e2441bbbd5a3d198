"""The role migrate: the database brought to this code and these packs before anything uses it."""

from __future__ import annotations

from pathlib import Path

from dothi.kernel.time import VN, local_date, utc_now
from dothi.store import settled
from dothi.store.home import Home
from dothi.store.provision import provision
from dothi.store.settings import Settings, shipped_packs

PACKAGE = Path(__file__).parent


def migrate(settings: Settings) -> None:
    """Bring the schema, the packs and the first account to this version's state.

    Where they are there already, that is one query.
    """
    assert settings.database_url is not None
    if settings.owner_url is not None:
        provision(settings.owner_url, settings.database_url)
    mark = _fingerprint(settings)
    shown = Home(settings.home).first_password() is None
    if shown and settled.mark_of(settings.database_url) == mark:
        return
    # Alembic and the readers of packs take a second of CPU, and only now do they have work.
    from dothi.settle import settle

    settle(settings, mark)


def _fingerprint(settings: Settings) -> str:
    """Of all code, since any of it may read a pack otherwise than before, of all packs and of the
    working calendar, whose days are kept for some years around the present one."""
    files = {*PACKAGE.rglob("*.py"), PACKAGE / "kernel" / "workdays.toml"}
    for folder in (settings.packs, settings.own_packs, shipped_packs()):
        files |= {path for path in folder.rglob("*") if path.is_file()}
    year = local_date(utc_now(), VN).year
    return settled.fingerprint(files, settings.packs, settings.demo, year)
