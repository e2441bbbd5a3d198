"""`dothi pack`: list, check, test, begin and install monitoring services; and `dothi explain`: where
a figure comes from."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from dothi.indicators import cases
from dothi.indicators.checking import Checked, check, untested
from dothi.indicators.service import find, subject
from dothi.kernel.errors import Fault, Invalid, NotFound
from dothi.kernel.i18n import number, t
from dothi.kernel.period import Period
from dothi.kernel.time import zone
from dothi.packs import load, schemas
from dothi.packs.begin import begin, begin_with
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.runner import application_url
from dothi.store.settings import Settings, language

if TYPE_CHECKING:
    from dothi.indicators.explain import Explanation


PATIENCE_S = 60.0
"""How long `dothi pack install` waits for the figures."""


def arguments_pack(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    verbs = parser.add_subparsers(
        dest="verb", metavar="list|check|test|new|install|remove|schema", required=True
    )
    for name in ("list", "check", "test"):
        verb = verbs.add_parser(name, help=t(f"packs.help_{name}", lang))
        if name != "list":
            verb.add_argument(
                "folders", metavar="FOLDER", nargs="*", help=t("packs.option_folders", lang)
            )
    new = verbs.add_parser("new", help=t("packs.help_new", lang))
    new.add_argument("folder", metavar="FOLDER", help=t("packs.option_new", lang))
    from_what = new.add_mutually_exclusive_group(required=True)
    from_what.add_argument("--owner", metavar="CODE", help=t("packs.option_owner", lang))
    from_what.add_argument("--contract", metavar="FILE", help=t("packs.option_contract", lang))
    install = verbs.add_parser("install", help=t("packs.help_install", lang))
    install.add_argument("folder", metavar="FOLDER", help=t("packs.option_folder", lang))
    schema = verbs.add_parser("schema", help=t("packs.help_schema", lang))
    schema.add_argument("name", metavar="NAME", nargs="?", help=t("packs.option_schema", lang))
    schema.add_argument("--output", metavar="DIR", help=t("packs.option_schema_output", lang))
    remove = verbs.add_parser("remove", help=t("packs.help_remove", lang))
    remove.add_argument("name", metavar="NAME", help=t("packs.option_name", lang))


def run_pack(args: argparse.Namespace, settings: Settings) -> int:
    """0: done and sound; 1: faults, or cases that do not hold, each printed with its place."""
    lang = settings.lang
    try:
        if args.verb == "new":
            return _new(args, lang)
        if args.verb == "schema":
            return _schema(args)
        if args.verb in ("install", "remove"):
            return _take(args, settings)
        checked = _checked(args, settings)
    except Invalid as error:
        return _faulty(error.faults, lang, error.text(lang))
    if args.verb == "list":
        return _list(checked, lang)
    if args.verb == "test":
        return _test(checked, lang)
    for name in untested(checked):
        print(t("packs.untested", lang, name=name))
    print(t("packs.sound", lang, packs=", ".join(pack.name for pack in checked.packs)))
    return 0


def _new(args: argparse.Namespace, lang: str) -> int:
    folder = Path(args.folder)
    if args.contract is not None:
        written = begin_with(folder, Path(args.contract))
    else:
        written = begin(folder, args.owner)
    for path in written:
        print(path)
    print(t("packs.begun", lang, folder=args.folder))
    return 0


def _schema(args: argparse.Namespace) -> int:
    if args.output is not None:
        try:
            print("\n".join(map(str, schemas.write(Path(args.output)))))
        except OSError as error:
            problem = error.strerror or ""
            raise Invalid("lake.no_output", name=args.output, problem=problem) from error
    else:
        print("\n".join(schemas.NAMES) if args.name is None else schemas.text(args.name), end="")
        if args.name is None:
            print()
    return 0


def _take(args: argparse.Namespace, settings: Settings) -> int:
    """Install or remove a pack in the home that runs."""
    from dothi.indicators import installing

    lang = settings.lang
    db = Database(settings.database_url or application_url(Home(settings.home)), name="pack")
    try:
        if args.verb == "remove":
            installing.remove(db, settings, args.name)
            print(t("packs.removed", lang, name=args.name))
        else:
            pack = installing.put(db, settings, Path(args.folder).absolute())
            print(t("packs.installed", lang, name=pack.name, version=pack.version))
            done = installing.wait(db, pack.name, PATIENCE_S)
            print(t("packs.computed" if done else "packs.computing", lang))
    finally:
        db.close()
    return 0


def _checked(args: argparse.Namespace, settings: Settings) -> Checked:
    """The folders named, beside the installed packs; without names, the installed ones."""
    given = [Path(name).absolute() for name in getattr(args, "folders", ())]
    if not given:
        if not settings.packs.is_dir():
            raise Invalid("packs.no_folder", folder=str(settings.packs))
        return check(settings.pack_folders())
    there = load.load_all(settings.packs, settings.own_packs) if settings.packs.is_dir() else []
    names = {folder.name for folder in given}
    return check(given, [pack for pack in there if pack.name not in names])


def _list(checked: Checked, lang: str) -> int:
    for pack in checked.packs:
        print(
            t(
                "packs.row", lang, name=pack.name, version=pack.version, title=pack.title[lang],
                owner=pack.owner.title[lang], datasets=len(pack.contracts),
                indicators=len(pack.indicators) + len(pack.scores),
                cases=sum(case.about.pack == pack.name for case in checked.cases),
            )
        )  # fmt: skip
    return 0


def _test(checked: Checked, lang: str) -> int:
    faults: list[Fault] = []
    for case in checked.cases:
        found = cases.differences(case, checked.subjects)
        print(t("packs.case_fails" if found else "packs.case_holds", lang, path=case.path))
        faults += found
    for name in untested(checked):
        print(t("packs.untested", lang, name=name))
    if faults:
        return _faulty(faults, lang, t("packs.cases_fail", lang, count=len(faults)))
    print(t("packs.cases_hold", lang, count=len(checked.cases)))
    return 0


def _faulty(faults: list[Fault], lang: str, text: str) -> int:
    for fault in faults:
        print(f"{fault.where}: {fault.text(lang)}", file=sys.stderr)
    print(text, file=sys.stderr)
    return 1


# -- dothi explain -------------------------------------------------------------------------------


def arguments_explain(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    parser.add_argument("indicator", metavar="INDICATOR", help=t("indicators.option_name", lang))
    parser.add_argument("period", metavar="PERIOD", help=t("indicators.option_period", lang))
    parser.add_argument("key", metavar="KEY", nargs="+", help=t("indicators.option_key", lang))


def run_explain(args: argparse.Namespace, settings: Settings) -> int:
    """Print where a figure comes from: its meaning, and each row of each file it rests on."""
    from dothi.indicators.explain import explain
    from dothi.lake.service import Lake

    db = Database(settings.database_url or application_url(Home(settings.home)), name="explain")
    lake = Lake(db, settings.home / "lake")
    try:
        with db.transaction() as conn:
            indicator = find(conn, args.indicator)
            things = subject(conn, indicator).things
        thing = next((one.id for one in things if list(one.key) == args.key), None)
        if thing is None:
            raise NotFound("indicators.no_value", name=args.indicator)
        local = zone(indicator.definition.zone)
        period = Period.parse(args.period, local)
        found = explain(lake, args.indicator, thing, period)
    finally:
        lake.close()
        db.close()
    for line in _explained(found, local, settings.lang):
        print(line)
    return 0


def _explained(found: Explanation, local: tzinfo, lang: str) -> Iterator[str]:
    definition = found.indicator.definition
    for output in definition.outputs:
        if (value := found.values.get(output.name)) is not None:
            said = number(value, lang, output.decimals)
            unit = "" if output.unit == "1" else f" {output.unit}"
            yield f"{output.title[lang]}, {found.thing.title(lang)}, {found.period.code}: {said}{unit}"
    if found.again != found.values:
        yield t("ioc.explain_soon", lang)
    yield definition.words[lang]
    yield t("indicators.said_rows", lang, count=len(found.rows))
    for row in sorted(found.rows, key=lambda one: (one.t, one.parameter)):
        load = found.loads.get(row.load_id)
        spec = row.dataset.contract.parameter(row.parameter)
        # The mark first, so that what did not enter is seen at once.
        yield "  ".join((
            "+" if row.entered else "-",
            f"{row.t.astimezone(local):%Y-%m-%d %H:%M}",
            f"{row.parameter} {number(row.value, lang, spec.decimals)}",
            t(f"lake.quality_{int(row.quality)}", lang),
            t("indicators.said_row", lang, load=row.load_id, row=row.row_no,
              file=load.file_name if load and load.file_name else "—"),
        ))  # fmt: skip
