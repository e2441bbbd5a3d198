"""Making a home: schema, packs, indicators, first accounts, the demonstration's past."""

from __future__ import annotations

from dothi.house import House
from dothi.identity import accounts
from dothi.indicators import scores
from dothi.indicators import service as indicators
from dothi.kernel.i18n import t
from dothi.kernel.time import utc_now
from dothi.packs import install, load
from dothi.packs.demo.prepare import prepare
from dothi.packs.demo.spec import demo_accounts, demo_agencies, demo_specs
from dothi.store import settled
from dothi.store.home import Home
from dothi.store.migrations import migrate as migrate_schema
from dothi.store.settings import Settings
from dothi.work import calendars


def settle(settings: Settings, mark: str) -> None:
    """Bring everything to this version's state; the database carries `mark` from then on.

    Each part leaves alone what is there already.
    """
    assert settings.database_url is not None
    migrate_schema(settings.database_url)
    house = House.open(settings, "migrate", max_size=4)
    try:
        _install(house, mark)
        if settings.demo and house.ballast.writes_allowed():
            for spec in demo_specs():
                prepare(house.db, house.lake, utc_now(), spec=spec)
    finally:
        house.close()


def _install(house: House, mark: str) -> None:
    settings = house.settings
    packs = load.load_all(settings.packs)
    home = Home(settings.home)
    with house.db.transaction() as conn:
        password = home.first_password()
        if password and not accounts.first_admin(conn, password):
            home.forget_first_password()
        made: dict[str, str] = {}
        if settings.demo:
            made = accounts.demo_accounts(conn, demo_agencies(), demo_accounts())
        install.install(conn, packs)
        indicators.install(conn, packs)
        scores.install(conn, packs)
        calendars.keep_up(conn, utc_now())
        settled.put_mark(conn, mark)
    if made:
        lines = [
            t("cli.demo_account", settings.lang, login=login, password=password)
            for login, password in made.items()
        ]
        home.leave_notice("\n".join(lines))
