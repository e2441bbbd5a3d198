"""`dothi units`: import administrative units, look at them, divide what was split.

Who may run these on the server acts as the house itself, as with the other commands of identity.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dothi.kernel.i18n import t
from dothi.store.command import database, faults_in
from dothi.store.settings import Settings, language

if TYPE_CHECKING:
    from dothi.identity.units import Unit
    from dothi.identity.units_import import Imported
    from dothi.store.database import Database

MOST_SHOWN = 10
"""Findings of one kind on the screen; `--all` shows the rest."""


def arguments_units(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    load = _act(acts, "import")
    _argument(load, "paths", nargs="+", type=Path, metavar="PATH")
    _argument(load, "--on", required=True, type=date.fromisoformat, metavar="YYYY-MM-DD")
    _argument(load, "--legal-basis", metavar="TEXT")
    _argument(load, "--all", action="store_true")
    listing = _act(acts, "list")
    _argument(listing, "--level", choices=("province", "district", "commune"))
    _argument(listing, "--parent", metavar="CODE")
    _argument(listing, "--at", type=date.fromisoformat, metavar="YYYY-MM-DD")
    _argument(listing, "-q", metavar="NAME")
    show = _act(acts, "show")
    _argument(show, "code", metavar="CODE")
    cross = _act(acts, "crosswalk")
    _argument(cross, "--split", action="store_true")
    _argument(cross, "--without-commune", action="store_true")
    share = _act(acts, "share")
    _argument(share, "old", metavar="CODE")
    _argument(share, "parts", nargs="+", metavar="CODE=N")
    _argument(share, "--on", required=True, type=date.fromisoformat, metavar="YYYY-MM-DD")
    _argument(share, "--by", choices=("population", "area"), default="population")
    _argument(share, "--amounts", action="store_true")
    _argument(share, "--source", required=True, metavar="TEXT")
    _argument(share, "--given-by", required=True, metavar="NAME")


def run_units(args: argparse.Namespace, settings: Settings) -> int:
    """Do one of the acts; 1 when files or shares are refused."""
    with database(settings) as db:
        act = {
            "import": _import, "list": _list, "show": _show, "crosswalk": _crosswalk,
            "share": _share,
        }[args.act]  # fmt: skip
        return act(args, settings.lang, db)


def _import(args: argparse.Namespace, lang: str, db: Database) -> int:
    from dothi.identity.model import SYSTEM
    from dothi.identity.units_import import import_files

    with faults_in(lang):
        done = import_files(
            db, args.paths, day=args.on, actor=SYSTEM, legal_basis=args.legal_basis,
            say=lambda name: print(t("units.reading", lang, name=name), file=sys.stderr),
        )  # fmt: skip
    _say(done, lang)
    for finding in done.findings:
        print(t(f"units.finding.{finding.kind}", lang, count=finding.count))
        shown = finding.items if args.all else finding.items[:MOST_SHOWN]
        for item in shown:
            print(f"  {item}")
        if len(shown) < finding.count:
            print(t("units.and_more", lang, count=finding.count - len(shown)))
    return 0


def _share(args: argparse.Namespace, lang: str, db: Database) -> int:
    from dothi.identity.model import SYSTEM
    from dothi.identity.units_import import give_shares
    from dothi.identity.units_records import ShareRecord

    rows = []
    for number, part in enumerate(args.parts, 1):
        new, _, value = part.partition("=")
        share, amount = (None, value) if args.amounts else (value, None)
        rows.append(
            ShareRecord(number, args.old, new, args.by, share, amount, args.source, args.given_by)
        )
    with faults_in(lang):
        _say(give_shares(db, rows, day=args.on, actor=SYSTEM), lang)
    return 0


def _say(done: Imported, lang: str) -> None:
    if done.number is None:
        print(t("units.nothing_new", lang))
    else:
        print(t("units.imported", lang, number=done.number, **done.changes))


def _list(args: argparse.Namespace, _lang: str, db: Database) -> int:
    from dothi.identity import units_read

    wanted = units_read.Wanted(args.at or units_read.today(), args.level, args.parent, args.q)
    with db.transaction() as conn:
        after = None
        while True:
            page, after = units_read.units(conn, wanted, after=after)
            for one in page:
                print(one.code, one.name, one.parent or "", sep="\t")
            if after is None:
                return 0


def _show(args: argparse.Namespace, lang: str, db: Database) -> int:
    from dothi.identity import units_read

    with db.transaction() as conn:
        versions = units_read.history(conn, args.code)
        links = units_read.links(conn, args.code)
    for one in versions:
        print("\n".join(_described(one, lang)))
    for link in links:
        kind = t(f"units.link.{link.kind}", lang)
        day = t("units.on_day", lang, day=link.day)
        print(f"{day}: {link.old} {link.old_name} → {link.new} {link.new_name} ({kind})")
    return 0


def _described(one: Unit, lang: str) -> Iterator[str]:
    yield f"{one.code} {one.name} ({t(f'units.kind.{one.kind}', lang)})"
    yield "  " + t("units.validity", lang, begin=one.valid_from, end=one.valid_to)
    yield "  " + t("units.basis", lang, basis=one.legal_basis or t("units.verify", lang))
    if one.parent:
        yield "  " + t("units.in_unit", lang, code=one.parent)
    if one.population is not None or one.area_km2 is not None:
        yield "  " + t("units.size", lang, population=one.population, area=one.area_km2)
    drawn = "outline" if one.has_shape else "point" if one.lon is not None else "undrawn"
    yield "  " + t(f"units.{drawn}", lang)


def _crosswalk(args: argparse.Namespace, _lang: str, db: Database) -> int:
    from dothi.identity import units_read

    with db.transaction() as conn:
        found = units_read.links(conn, split=args.split, without_commune=args.without_commune)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["day", "old_code", "old_name", "new_code", "new_name", "kind"])
    writer.writerows([k.day, k.old, k.old_name, k.new, k.new_name, k.kind] for k in found)
    return 0


def _act(acts: Any, name: str) -> argparse.ArgumentParser:
    text = t(f"units.help_{name}", language(os.environ))
    return acts.add_parser(name, help=text, description=text)


def _argument(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    key = f"units.option_{name.lstrip('-').replace('-', '_')}"
    parser.add_argument(name, help=t(key, language(os.environ)), **options)
