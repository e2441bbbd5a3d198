"""Importing administrative units: files read in the jail, put together, stored as a whole.

What the files say is laid over what is stored: each unit has a timeline of versions, "old" facts
hold up to the day of the reform and "new" ones from it on. Only differences are written, so the
same files twice change nothing; what a later file says otherwise becomes a new version, and the
row before stays as replaced.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from psycopg.types.json import Jsonb

from dothi.identity import audit, units_store
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, require
from dothi.identity.units_gather import Finding, Said, gather
from dothi.identity.units_records import Records, ShareRecord, read
from dothi.identity.units_timeline import apply
from dothi.kernel.errors import Invalid
from dothi.store.database import Database

MOST_FILES = 200
ENDINGS = (".csv", ".csv.gz", ".json", ".json.gz", ".geojson", ".geojson.gz")


@dataclass(frozen=True)
class Imported:
    """What an import changed; `number` is None when it changed nothing."""

    number: int | None
    changes: dict[str, int]
    findings: list[Finding]


def import_files(
    db: Database,
    paths: Iterable[Path],
    *,
    day: date,
    actor: Actor,
    legal_basis: str | None = None,
    say: Callable[[str], None] = lambda _name: None,
) -> Imported:
    """Import files and folders about the reform that took effect on `day`: all of it or nothing.

    `legal_basis` is what the importing person cites; without it and without a word of the files a
    version's basis stays open, to be verified. Raises Invalid with all faults of all files.
    """
    require(actor, "unit.manage", Resource("unit"))
    said = Said(day, legal_basis)
    files: list[tuple[str, Records]] = []
    digests: list[dict[str, str]] = []
    for path in _listed(paths):
        say(path.name)
        records, faults = read(path, path.name)
        said.faults += faults
        if records is not None:
            files.append((path.name, records))
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            digests.append({"name": path.name, "sha256": sha256})
    return _store(db, said, files, digests, actor)


def give_shares(db: Database, shares: list[ShareRecord], *, day: date, actor: Actor) -> Imported:
    """Store how a person divides split units; the same checks as for a file of shares."""
    require(actor, "unit.manage", Resource("unit"))
    records = Records("shares", [], [], [], [], shares, [])
    return _store(db, Said(day, None), [("shares", records)], [], actor)


def _store(
    db: Database,
    said: Said,
    files: list[tuple[str, Records]],
    digests: list[dict[str, str]],
    actor: Actor,
) -> Imported:
    gather(said, files)
    _refuse_faults(said)  # before the rest, which would find fault with what is missing by these
    with db.transaction() as conn:
        stored = units_store.load(conn)
        wanted = apply(said, files, stored)
        _refuse_faults(said)
        changes = units_store.difference(stored, wanted)
        findings = said.findings()
        if not changes.any:
            return Imported(None, changes.counts, findings)
        number = units_store.begin(
            conn, actor.ref, said.day, Jsonb(digests), Jsonb(changes.counts),
            Jsonb([vars(finding) for finding in findings]),
        )  # fmt: skip
        units_store.write(conn, number, changes)
        audit.record(
            conn, "units.imported", actor, f"unit_import:{number}",
            day=said.day.isoformat(), files=digests, changes=changes.counts,
        )  # fmt: skip
    return Imported(number, changes.counts, findings)


def _refuse_faults(said: Said) -> None:
    if said.faults:
        raise Invalid("units.refused", faults=said.faults, count=len(said.faults))


def _listed(paths: Iterable[Path]) -> list[Path]:
    """The files, and those of the folders whose names say table, JSON or GeoJSON."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.name.endswith(ENDINGS))
        else:
            found.append(path)
    if not found:
        raise Invalid("units.no_files")
    if len(found) > MOST_FILES:
        raise Invalid("units.too_many_files", most=MOST_FILES)
    return found
