"""Packs (phân hệ) of this installation: version, content, and everything wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from litestar import Router, get
from litestar.di import NamedDependency

from dothi.identity.policy import Resource, require
from dothi.indicators import definition
from dothi.ioc.admin.office import BASE, Page, Visit
from dothi.ioc.pack import BASE as SERVICES
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.i18n import t
from dothi.lake import registry
from dothi.packs.load import load
from dothi.packs.model import Pack
from dothi.web.view import Status

URL = f"{BASE}/packs"
READ_AGAIN_S = 60.0
"""Reading all packs takes a second: what was found is kept so long."""


@dataclass(frozen=True)
class PackFault:
    """One thing wrong, at its file, line and column below the folder of packs."""

    where: str
    text: str


@dataclass(frozen=True)
class PackRow:
    name: str
    title: str
    version: str
    owner: str
    datasets: tuple[str, ...]
    indicators: tuple[str, ...]
    sources: tuple[str, ...]
    state: Status
    faults: tuple[PackFault, ...]
    url: str | None = None
    """Its page, once it is installed."""


@get(URL, opt={"access": "system.status"}, sync_to_thread=True)
def pack_list(visit: NamedDependency[Visit]) -> Page:
    """The packs."""
    require(visit.actor, "system.status", Resource("system"))
    lang = visit.lang
    found: dict[str, tuple[Pack | None, list[Fault]]] = visit.office.cache.value(
        ("packs",), (), lambda: _read(visit.office.settings.pack_folders()), kept_s=READ_AGAIN_S
    )
    with visit.db.transaction() as conn:
        known = {dataset.name for dataset in registry.datasets(conn)}
    rows = tuple(_row(name, *one, known, lang) for name, one in found.items())
    return visit.show("packs.html", URL, rows, title=t("admin.packs", lang))


def _read(folders: list[Path]) -> dict[str, tuple[Pack | None, list[Fault]]]:
    """Every pack by its folder's name: what could be read, and what is wrong."""
    found: dict[str, tuple[Pack | None, list[Fault]]] = {}
    for place in folders:
        try:
            found[place.name] = (load(place), [])
        except Invalid as error:
            found[place.name] = (None, list(error.faults))
    try:
        definition.load([pack for pack, _ in found.values() if pack is not None])
    except Invalid as error:
        for fault in error.faults:
            inside = [place.name for place in folders if fault.where.startswith(f"{place}/")]
            for name in inside or list(found)[:1]:
                found[name][1].append(fault)
    return found


def _row(name: str, pack: Pack | None, faults: list[Fault], known: set[str], lang: str) -> PackRow:
    said = tuple(
        PackFault(f"{name}/{fault.where.rpartition(f'/{name}/')[2]}", fault.text(lang))
        for fault in faults
    )
    installed = pack is not None and {contract.name for contract in pack.contracts} <= known
    if said:
        state = Status("warning", t("admin.pack_faults", lang, many=len(said)))
    elif installed:
        state = Status("ok", t("admin.pack_installed", lang))
    else:
        state = Status("notice", t("admin.pack_next_start", lang))
    if pack is None:
        return PackRow(name, name, "", "", (), (), (), state, said)
    return PackRow(
        name,
        pack.title.get(lang) or name,
        pack.version,
        pack.owner.title.get(lang) or pack.owner.code,
        tuple(contract.title.get(lang) or contract.name for contract in pack.contracts),
        tuple(file.name for file in pack.indicators),
        tuple(source.title for source in pack.sources),
        state,
        said,
        f"{SERVICES}/{name}" if installed else None,
    )


router = Router("/", route_handlers=[pack_list], include_in_schema=False)
