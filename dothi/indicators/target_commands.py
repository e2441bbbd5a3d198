"""`dothi target`: set targets from a file, list them.

Who may run it on the server acts as the house itself, as with the other commands.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import datetime_, t
from dothi.store.home import Home
from dothi.store.settings import Settings, language

if TYPE_CHECKING:
    from dothi.store.database import Database


def arguments_target(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    verbs = parser.add_subparsers(dest="verb", metavar="import|list", required=True)
    bring = verbs.add_parser("import", help=t("targets.help_import", lang))
    bring.add_argument("file", type=Path, metavar="FILE", help=t("targets.option_file", lang))
    listing = verbs.add_parser("list", help=t("targets.help_list", lang))
    listing.add_argument("--all", action="store_true", help=t("targets.option_all", lang))
    listing.add_argument("--measure", metavar="NAME", help=t("targets.option_measure", lang))


def run_target(args: argparse.Namespace, settings: Settings) -> int:
    """0: done; 1: the file has faults, each printed with its row and field, and nothing is set."""
    from dothi.store.database import Database
    from dothi.store.runner import application_url

    address = settings.database_url or application_url(Home(settings.home))
    db = Database(address, name="command", max_size=2)
    try:
        if args.verb == "import":
            return _import(db, args.file, settings.lang)
        return _list(db, args.measure, everything=args.all, lang=settings.lang)
    finally:
        db.close()


def _import(db: Database, path: Path, lang: str) -> int:
    from dothi.identity.model import SYSTEM
    from dothi.indicators import target_file, targets

    try:
        rows = target_file.read(path, targets.FIELDS)
        with db.transaction() as conn:
            new, same = targets.bring(conn, SYSTEM, rows, path.name)
    except Invalid as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.text(lang)}", file=sys.stderr)
        print(error.text(lang), file=sys.stderr)
        return 1
    print(t("targets.brought", lang, new=new, same=same))
    return 0


def _list(db: Database, measure: str | None, *, everything: bool, lang: str) -> int:
    from dothi.indicators import targets
    from dothi.indicators.target_words import place_of, said_of, valid_of

    with db.transaction() as conn:
        known = targets.measures(conn)
        found = targets.targets(conn, measure)
        replaced = targets.replaced(found)
        for one in found:
            if one.id in replaced and not everything:
                continue
            part = known[one.measure].parts.get(one.part) if one.measure in known else None
            state = f" ({t('targets.replaced', lang)})" if one.id in replaced else ""
            ground = one.ground + (f" ({t('targets.verify', lang)})" if one.verify else "")
            print(
                t(
                    "targets.row", lang, measure=one.measure, part=one.part,
                    place=place_of(conn, one.place, lang),
                    grain=t(f"targets.grain_{one.grain}", lang), said=said_of(one, part, lang),
                    valid=valid_of(one, lang), ground=ground, who=one.setter_name,
                    at=datetime_(one.set_at, lang), state=state,
                )
            )  # fmt: skip
    if not found:
        print(t("targets.none", lang))
    return 0
