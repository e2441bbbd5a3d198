"""Packs taken into use while dothi runs: copied into the home, their datasets and figures made known."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dothi.identity import audit
from dothi.identity.model import SYSTEM
from dothi.indicators import scores, service
from dothi.indicators.checking import check
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.packs import load
from dothi.packs.install import install as install_datasets
from dothi.packs.model import Pack
from dothi.store.database import Connection, Database
from dothi.store.settings import Settings


def bring(conn: Connection, packs: Sequence[Pack]) -> None:
    """Make these the packs of this home, in the caller's transaction: agencies and datasets,
    indicators, scores. Raises Invalid with every fault, Conflict where a contract would break what
    is stored."""
    install_datasets(conn, packs)
    service.install(conn, packs)
    scores.install(conn, packs)


def usable(settings: Settings) -> tuple[list[Pack], list[Fault]]:
    """The packs that this version can use, and the faults of installed ones that it cannot.

    Raises Invalid with every fault of those that came with it: without them there is nothing to
    serve. An installed one that an older version took must not keep dothi from starting.
    """
    packs = load.load_all(settings.packs)
    waiting = [path.parent for path in sorted(settings.own_packs.glob("[!.]*/pack.yaml"))]
    faults: dict[Path, list[Fault]] = {}
    while waiting:  # one may read what another declares
        taken = []
        for folder in waiting:
            try:
                packs += check([folder], packs).packs
                taken.append(folder)
            except Invalid as error:
                faults[folder] = error.faults
        waiting = [folder for folder in waiting if folder not in taken]
        if not taken:
            break
    return packs, [fault for folder in waiting for fault in faults[folder]]


def put(db: Database, settings: Settings, folder: Path) -> Pack:
    """Check a pack's folder, copy it into the home and bring it into use; the pack.

    One of that name that was installed before is replaced. Raises Invalid with every fault, and
    Conflict for a name that the shipped packs have or a contract that breaks what is stored;
    nothing is changed then.
    """
    target = settings.own_packs / folder.name
    if (settings.packs / folder.name / "pack.yaml").is_file():
        raise Conflict("packs.shipped_name", name=folder.name, folder=str(settings.packs))
    others = [
        pack for pack in load.load_all(settings.packs, settings.own_packs)
        if pack.name != folder.name
    ]  # fmt: skip
    (pack,) = check([folder], others).packs
    if folder.resolve() == target.resolve():
        raise Conflict("packs.installed_itself", folder=str(folder))
    settings.own_packs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.own_packs, prefix=".coming-") as coming:
        # Hidden files stay behind: nothing reads them, and an editor's leftovers are no part of it.
        new = Path(shutil.copytree(folder, f"{coming}/new", ignore=shutil.ignore_patterns(".*")))
        with db.transaction() as conn:
            bring(conn, [*others, pack])
            audit.record(conn, "pack.installed", SYSTEM, f"pack:{pack.name}", version=pack.version)
            _exchange(target, new, Path(coming) / "old")
    return pack


def remove(db: Database, settings: Settings, name: str) -> None:
    """Take an installed pack out of use. Its datasets and what was computed stay readable.

    Raises NotFound for one that was not installed here, Invalid with the faults of packs that
    read what it declares.
    """
    there = load.load_all(settings.packs, settings.own_packs)
    gone = next(
        (p for p in there if p.name == name and p.folder.parent == settings.own_packs), None
    )
    if gone is None:
        raise NotFound("packs.not_installed", name=name)
    left = [pack for pack in there if pack is not gone]
    declared = {contract.name for contract in gone.contracts}
    declared |= {file.name for file in gone.indicators}
    with (
        tempfile.TemporaryDirectory(dir=settings.own_packs, prefix=".going-") as going,
        db.transaction() as conn,
    ):
        readers = [
            Fault(one.definition.pack, "packs.read_by", {"name": name, "by": one.name})
            for one in service.indicators(conn)
            if one.definition.pack != name and declared & set(one.definition.inputs)
        ]
        if readers:
            raise Invalid("packs.invalid", faults=readers)
        bring(conn, left)
        audit.record(conn, "pack.removed", SYSTEM, f"pack:{name}", version=gone.version)
        gone.folder.rename(Path(going) / "old")


def wait(db: Database, name: str, patience_s: float) -> bool:
    """Whether the worker computed a pack's indicators from all that is stored within that time."""
    until = time.monotonic() + patience_s
    while True:
        with db.transaction() as conn:
            if not any(i.stale for i in service.indicators(conn) if i.definition.pack == name):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.2)


def _exchange(target: Path, new: Path, old: Path) -> None:
    """Put the new folder in the place of the one that is there, if any."""
    if target.exists():
        target.rename(old)
    new.rename(target)
