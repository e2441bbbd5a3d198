"""Making a home: schema, packs, indicators, first accounts, the demonstration's past."""

from __future__ import annotations

from dothi.house import House
from dothi.identity import accounts
from dothi.identity.model import SYSTEM
from dothi.indicators.installing import bring, usable
from dothi.ioc import leader_demo
from dothi.kernel.i18n import t
from dothi.kernel.time import utc_now
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
        house.lake.body.settle()
        _install(house, mark)
        if settings.demo and house.ballast.writes_allowed():
            for spec in demo_specs():
                prepare(house.db, house.lake, utc_now(), spec=spec)
    finally:
        house.close()


def _install(house: House, mark: str) -> None:
    settings = house.settings
    packs, faults = usable(settings)
    home = Home(settings.home)
    with house.db.transaction() as conn:
        password = home.first_password()
        if password and not accounts.first_admin(conn, password):
            home.forget_first_password()
        made: dict[str, str] = {}
        if settings.demo:
            made = accounts.demo_accounts(conn, demo_agencies(), demo_accounts())
        bring(conn, packs)
        if settings.demo:
            leader_demo.put(conn, SYSTEM, utc_now().year)
        calendars.keep_up(conn, utc_now())
        settled.put_mark(conn, mark)
    lang = settings.lang
    lines = [t("packs.left_out", lang)] if faults else []
    lines += [f"  {fault.where}: {fault.text(lang)}" for fault in faults[:50]]
    lines += [
        t("cli.demo_account", lang, login=login, password=password)
        for login, password in made.items()
    ]
    if lines:
        home.leave_notice("\n".join(lines))
