"""`dothi load FILE --dataset NAME`: a file into a dataset, with its findings on the screen; and
`dothi workbook NAME`: the dataset's XLSX file to fill in."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import t
from dothi.store.ballast import Ballast
from dothi.store.home import Home
from dothi.store.runner import application_url
from dothi.store.settings import Settings, language

NICENESS = 10
"""Loading gives way to the people who look at screens meanwhile."""


def arguments_load(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    parser.add_argument("file", metavar="FILE", help=t("lake.option_file", lang))
    parser.add_argument(
        "--dataset", metavar="NAME", required=True, help=t("lake.option_dataset", lang)
    )


def run_load(args: argparse.Namespace, settings: Settings) -> int:
    """Load a file; 0 when it is stored (or was before), 1 with its faults when it is refused."""
    lang = settings.lang
    path = Path(args.file)
    try:
        path.open("rb").close()
    except OSError as error:
        raise Invalid("lake.no_such_file", name=args.file, problem=error.strerror or "") from error
    url = settings.database_url or application_url(Home(settings.home))
    os.nice(NICENESS)

    from dothi.lake import findings, registry
    from dothi.lake.files import FileStore
    from dothi.lake.loading import load_file
    from dothi.lake.service import Lake
    from dothi.store.database import Database
    from dothi.store.events import Doorbell

    ballast = Ballast(
        settings.home, reserve_bytes=settings.reserve_bytes, ballast_bytes=settings.ballast_bytes
    )
    db = Database(url, name="load", max_size=4)
    bell = Doorbell(db)
    lake = Lake(db, settings.home / "lake", bell=bell, may_write=ballast.writes_allowed)
    try:
        with db.transaction() as conn:
            dataset = registry.find(conn, args.dataset)
        done = load_file(
            lake,
            FileStore(settings.home / "files"),
            dataset,
            path,
            actor=f"shell:{getpass.getuser()}",
            say=lambda step: print(t(f"lake.step_{step}", lang), file=sys.stderr),
        )
    except Invalid as error:
        print(error.text(lang), file=sys.stderr)
        for fault in error.faults[:50]:
            print(
                t("lake.said_fault", lang, where=fault.where, what=fault.text(lang)),
                file=sys.stderr,
            )
        return 1
    finally:
        lake.close()
        bell.close()
        db.close()
    outcome = done.outcome
    if outcome.replay:
        print(t("lake.said_replay", lang, id=outcome.load_id))
    else:
        print(
            t(
                "lake.said_loaded", lang, id=outcome.load_id, rows=done.report.get("rows", 0),
                new=outcome.new, changed=outcome.changed, same=outcome.same,
            )
        )  # fmt: skip
    for finding in done.report.get("findings", []):
        what = findings.title(finding, lang)
        if note := findings.note(finding, lang):
            what += "; " + note
        print(t("lake.said_finding", lang, count=finding["count"], what=what))
    for line in findings.drift_lines(done.report, lang):
        print(f"  {line}")
    return 0


def arguments_workbook(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    parser.add_argument("dataset", metavar="NAME", help=t("lake.option_dataset", lang))
    parser.add_argument("--output", metavar="FILE", help=t("lake.option_output", lang))


def run_workbook(args: argparse.Namespace, settings: Settings) -> int:
    """Write the workbook of a dataset; 0 when it is written."""
    url = settings.database_url or application_url(Home(settings.home))

    from dothi.lake import registry
    from dothi.lake.workbook import workbook
    from dothi.store.database import Database

    db = Database(url, name="workbook", max_size=1)
    try:
        with db.transaction() as conn:
            dataset = registry.find(conn, args.dataset)
            things = registry.things(conn, dataset).values()
    finally:
        db.close()
    path = Path(args.output or f"{args.dataset}.xlsx")
    try:
        path.write_bytes(workbook(dataset.contract, things, settings.lang))
    except OSError as error:
        raise Invalid("lake.no_output", name=str(path), problem=error.strerror or "") from error
    print(path)
    return 0


def arguments_undo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "load", metavar="N", type=int, help=t("lake.option_load", language(os.environ))
    )


def run_undo(args: argparse.Namespace, settings: Settings) -> int:
    """Take a load out again; its rows go, what they had replaced comes back."""
    url = settings.database_url or application_url(Home(settings.home))

    from dothi.identity.model import SYSTEM
    from dothi.lake import loads
    from dothi.lake.service import Lake
    from dothi.store.database import Database
    from dothi.store.events import Doorbell

    ballast = Ballast(
        settings.home, reserve_bytes=settings.reserve_bytes, ballast_bytes=settings.ballast_bytes
    )
    db = Database(url, name="undo", max_size=4)
    bell = Doorbell(db)
    lake = Lake(db, settings.home / "lake", bell=bell, may_write=ballast.writes_allowed)
    try:
        with db.transaction() as conn:
            load, dataset = loads.get(conn, SYSTEM, args.load)
        lake.undo(load.id, actor=f"shell:{getpass.getuser()}")
    finally:
        lake.close()
        bell.close()
        db.close()
    print(t("lake.said_undone", settings.lang, id=load.id, name=dataset.name))
    return 0
