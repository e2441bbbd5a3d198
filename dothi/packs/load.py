"""Reading pack folders: everything wrong with all of them is said at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dothi.kernel.errors import Fault, Invalid
from dothi.lake.contract import Contract, read_contract
from dothi.lake.document import Reading
from dothi.packs.model import Owner, Pack, PackFile, Reference

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_PACK = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_DOCUMENT = {"pack", "version", "title", "owner", "sources"}


def shipped() -> Path:
    """The packs that come with dothi: inside an installed package, else beside the source."""
    package = Path(__file__).parent.parent
    installed = package / "_packs"
    return installed if installed.is_dir() else package.parent / "packs"


def load_all(folder: Path, own: Path | None = None) -> list[Pack]:
    """All packs of a folder by name, then those of `own`, which need not be there. Raises Invalid
    with every fault, each at file, line, column.

    A folder is a pack when it holds a pack.yaml; names beginning with a dot are passed over.
    """
    if not folder.is_dir():
        raise Invalid("packs.no_folder", folder=str(folder))
    faults: list[Fault] = []
    packs: list[Pack] = []
    folders = (folder, own) if own else (folder,)
    for place in (p.parent for one in folders for p in sorted(one.glob("[!.]*/pack.yaml"))):
        try:
            packs.append(load(place))
        except Invalid as error:
            faults += error.faults
    faults += claimed_twice(packs)
    if faults:
        raise Invalid("packs.invalid", faults=faults)
    return packs


def load(folder: Path) -> Pack:
    """One pack. Raises Invalid with every fault in it."""
    reading = Reading.of(folder / "pack.yaml")
    doc: dict[str, Any] = {}
    if not reading.faults:
        doc = reading.mapping(reading.root, (), known=_DOCUMENT)
    name = reading.text(doc, (), "pack", None) if doc else folder.name
    if not _PACK.fullmatch(name):
        reading.fault(("pack",), "packs.bad_name", name=name)
    elif name != folder.name:
        reading.fault(("pack",), "packs.name_is_folder", name=name, folder=folder.name)
    if doc:
        version = reading.text(doc, (), "version", None)
        if version and not _VERSION.fullmatch(version):
            reading.fault(("version",), "packs.bad_version", text=version)
        title, owner, sources = (
            reading.titles(doc, ()),
            _owner(reading, doc),
            _sources(reading, doc),
        )
    else:
        version, title, owner, sources = "", {}, Owner("", {}), ()
    contracts, faults = _contracts(folder / "datasets", owner)
    files, unreadable = _files(folder / "indicators", "*.sql")
    scores, also_unreadable = _files(folder / "scores", "*.sql")
    faults = [*reading.faults, *faults, *unreadable, *also_unreadable]
    if faults:
        raise Invalid("packs.invalid", faults=faults)
    return Pack(name, version, title, owner, sources, folder, contracts, files, scores)


def _owner(reading: Reading, doc: dict[str, Any]) -> Owner:
    entry = reading.mapping(doc.get("owner"), ("owner",), known={"code", "title"})
    code = reading.text(entry, ("owner",), "code", None)
    return Owner(code, reading.titles(entry, ("owner",)))


def _sources(reading: Reading, doc: dict[str, Any]) -> tuple[Reference, ...]:
    out = []
    for i, entry in enumerate(reading.sequence(doc.get("sources", []), ("sources",))):
        place = ("sources", i)
        entry = reading.mapping(entry, place, known={"title", "url", "licence"})
        out.append(
            Reference(
                reading.text(entry, place, "title", None),
                reading.text(entry, place, "url") or None,
                reading.text(entry, place, "licence") or None,
            )
        )
    return tuple(out)


def _contracts(folder: Path, owner: Owner) -> tuple[tuple[Contract, ...], list[Fault]]:
    contracts, faults = [], []
    for path in sorted(folder.glob("*.yaml")):
        try:
            contract = read_contract(path)
        except Invalid as error:
            faults += error.faults
            continue
        if contract.name != path.stem:
            faults.append(Fault(f"{path}:1:1", "packs.file_name", {"name": contract.name}))
        if owner.code and contract.owner != owner.code:
            params = {"name": contract.owner, "owner": owner.code}
            faults.append(Fault(f"{path}:1:1", "packs.owner_differs", params))
        contracts.append(contract)
    return tuple(contracts), faults


def _files(folder: Path, pattern: str) -> tuple[tuple[PackFile, ...], list[Fault]]:
    files, faults = [], []
    for path in sorted(folder.glob(pattern)):
        if not NAME.fullmatch(path.stem):
            faults.append(Fault(str(path), "packs.bad_name", {"name": path.stem}))
        try:
            files.append(PackFile(path, path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            problem = {"problem": str(error)[:200]}
            faults.append(Fault(str(path), "lake.yaml_unreadable", problem))
    return tuple(files), faults


def claimed_twice(packs: Iterable[Pack]) -> list[Fault]:
    """Faults where two packs have the same name or declare the same dataset."""
    seen: dict[str, Path] = {}
    names: dict[str, Path] = {}
    faults = []
    for pack in packs:
        if pack.name in names:
            params = {"name": pack.name, "other": str(names[pack.name])}
            faults.append(Fault(f"{pack.folder / 'pack.yaml'}:1:1", "packs.pack_twice", params))
            continue
        names[pack.name] = pack.folder
        for contract in pack.contracts:
            path = pack.folder / "datasets" / f"{contract.name}.yaml"
            if contract.name in seen:
                params = {"name": contract.name, "other": str(seen[contract.name])}
                faults.append(Fault(f"{path}:1:1", "packs.dataset_twice", params))
            seen.setdefault(contract.name, path)
    return faults
