"""The main navigation: which parts there are for whom."""

from __future__ import annotations

from dothi.identity.model import Actor
from dothi.ioc import environment, leader, overview, pack, score
from dothi.ioc.catalogue import DATA
from dothi.ioc.desk import AIR, Desk
from dothi.kernel.i18n import t
from dothi.web.view import NavItem

# Catalogue key, address, icon, what one must be able to see (None: for everybody).
_SERVICES = (
    ("web.nav_overview", overview.BASE, "overview", None),
    ("web.nav_leader", leader.BASE, "leader", "leader"),
    ("web.nav_environment", environment.BASE, "air", f"hear:series:{AIR}"),
    ("web.nav_services", score.BASE, "services", f"hear:series:{score.NAME}"),
)
_OFFICE = (
    ("web.nav_duty", "/duty", "duty", "duty"),
    ("web.nav_work", "/work", "work", "work.read"),
    ("web.nav_forms", "/forms", "forms", "forms"),
    ("web.nav_data", DATA, "data", None),
    ("web.nav_admin", "/admin/agencies", "admin", "admin"),
)


def menu(desk: Desk, actor: Actor, lang: str) -> tuple[NavItem, ...]:
    """What this person may open: the services in the order of their packs' names, then the rest."""

    def of(entries: tuple[tuple[str, str, str, str | None], ...]) -> list[NavItem]:
        return [
            NavItem(t(key, lang), url, icon)
            for key, url, icon, what in entries
            if what is None or desk.may(actor, what)
        ]

    packs = [
        NavItem(title[lang], url, "pack")
        for title, url in (pack.address(desk, name) for name in pack.names(desk, actor))
    ]
    return (*of(_SERVICES), *packs, *of(_OFFICE))
