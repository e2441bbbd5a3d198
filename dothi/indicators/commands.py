"""`dothi pack`: list, check, test and begin monitoring services."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dothi.indicators import cases
from dothi.indicators.checking import Checked, check, untested
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.i18n import t
from dothi.packs import load
from dothi.packs.begin import begin
from dothi.store.settings import Settings, language


def arguments_pack(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    verbs = parser.add_subparsers(dest="verb", metavar="list|check|test|new", required=True)
    for name in ("list", "check", "test"):
        verb = verbs.add_parser(name, help=t(f"packs.help_{name}", lang))
        if name != "list":
            verb.add_argument(
                "folders", metavar="FOLDER", nargs="*", help=t("packs.option_folders", lang)
            )
    new = verbs.add_parser("new", help=t("packs.help_new", lang))
    new.add_argument("folder", metavar="FOLDER", help=t("packs.option_new", lang))
    new.add_argument("--owner", metavar="CODE", required=True, help=t("packs.option_owner", lang))


def run_pack(args: argparse.Namespace, settings: Settings) -> int:
    """0: done and sound; 1: faults, or cases that do not hold, each printed with its place."""
    lang = settings.lang
    if args.verb == "new":
        for path in begin(Path(args.folder), args.owner):
            print(path)
        print(t("packs.begun", lang, folder=args.folder))
        return 0
    try:
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


def _checked(args: argparse.Namespace, settings: Settings) -> Checked:
    """The folders named, beside the installed packs; without names, the installed ones."""
    given = [Path(name).absolute() for name in getattr(args, "folders", ())]
    if not given:
        if not settings.packs.is_dir():
            raise Invalid("packs.no_folder", folder=str(settings.packs))
        return check(sorted(p.parent for p in settings.packs.glob("[!.]*/pack.yaml")))
    there = load.load_all(settings.packs) if settings.packs.is_dir() else []
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
