"""`dothi pull`: set up, try, run, switch what is kept up from other people's databases.

Who can read the data home acts as the house itself; what they do is in the audit trail as done by
`system`.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.i18n import number, t
from dothi.lake import registry
from dothi.lake.document import Reading
from dothi.lake.files import FileStore
from dothi.lake.service import Lake
from dothi.pulls import service, store
from dothi.pulls.model import Run
from dothi.pulls.running import Ground, run
from dothi.store.ballast import Ballast
from dothi.store.database import Database
from dothi.store.events import Doorbell
from dothi.store.home import Home
from dothi.store.runner import application_url
from dothi.store.settings import Settings, language

NICENESS = 10
_SOURCE = {"name", "agency", "kind", "host", "port", "database", "account", "tls", "password_env"}
_PULL = {
    "name", "source", "dataset", "query", "mark", "mark_type", "overlap", "every_min", "daily_at",
    "batch_rows",
}  # fmt: skip


def arguments_pull(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    verbs = parser.add_subparsers(
        dest="verb", metavar="add|password|list|try|run|on|off|again", required=True
    )
    for name, what in (
        ("add", "FILE"), ("password", "SOURCE"), ("list", ""), ("try", "NAME"), ("run", "NAME"),
        ("on", "NAME"), ("off", "NAME"), ("again", "NAME"),
    ):  # fmt: skip
        verb = verbs.add_parser(name, help=t(f"pulls.help_{name}", lang))
        if what:
            verb.add_argument("what", metavar=what, help=t(f"pulls.option_{what.lower()}", lang))


def run_pull(args: argparse.Namespace, settings: Settings) -> int:
    """0: done; 1: what was asked for is not valid, or a run did not come to its end."""
    try:
        with _ground(settings) as ground:
            return _DO[args.verb](ground, settings, getattr(args, "what", ""))
    except Invalid as error:
        print(error.text(settings.lang), file=sys.stderr)
        for fault in error.faults:
            print(f"  {fault.where}: {fault.text(settings.lang)}", file=sys.stderr)
        return 1


@contextmanager
def _ground(settings: Settings) -> Iterator[Ground]:
    url = settings.database_url or application_url(Home(settings.home))
    ballast = Ballast(
        settings.home, reserve_bytes=settings.reserve_bytes, ballast_bytes=settings.ballast_bytes
    )
    db = Database(url, name="pull", max_size=4)
    bell = Doorbell(db)
    lake = Lake(db, settings.home / "lake", bell=bell, may_write=ballast.writes_allowed)
    try:
        yield Ground(db, lake, FileStore(settings.home / "files"), settings, ballast.writes_allowed)
    finally:
        lake.close()
        bell.close()
        db.close()


def _add(ground: Ground, settings: Settings, what: str) -> int:
    reading = Reading.of(Path(what))
    reading.finish()
    doc = reading.mapping(reading.root, (), known={"source", "pull"})
    parts = {
        name: reading.mapping(doc[name], (name,), known=known)
        for name, known in (("source", _SOURCE), ("pull", _PULL))
        if name in doc
    }
    with ground.db.transaction() as conn:
        for name, add in (("source", service.add_source), ("pull", service.add_pull)):
            if name not in parts:
                continue
            try:
                made = add(conn, SYSTEM, _texts(parts[name]))
            except Invalid as error:
                for fault in error.faults:
                    reading.fault((name, fault.where), fault.key, **fault.params)
            else:
                print(t(f"pulls.said_{name}", settings.lang, name=made.name))
        reading.finish("pulls.form_invalid")
    return 0


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """What a form would send; a time of day that YAML takes for minutes is one again."""
    out = {name: "" if value is None else str(value) for name, value in values.items()}
    daily = values.get("daily_at")
    if isinstance(daily, int):
        out["daily_at"] = f"{daily // 60:02d}:{daily % 60:02d}"
    return out


def _password(ground: Ground, settings: Settings, what: str) -> int:
    if sys.stdin.isatty():
        password = getpass.getpass(t("pulls.ask_password", settings.lang, name=what) + " ")
    else:
        password = sys.stdin.readline().rstrip("\n")
    with ground.db.transaction() as conn:
        service.set_password(conn, ground.home, SYSTEM, what, password)
    print(t("web.done_pull_password", settings.lang))
    return 0


def _list(ground: Ground, settings: Settings, _what: str) -> int:
    lang = settings.lang
    with ground.db.transaction() as conn:
        for source in store.sources(conn):
            print(
                f"{source.name:<20} {source.kind:<11} "
                f"{source.account}@{source.host}:{source.port}/{source.database} {source.tls}"
            )
        pulls = store.pulls(conn)
        runs = store.newest_runs(conn, [pull.id for pull in pulls])
        names = {pull.dataset_id: registry.get(conn, pull.dataset_id).name for pull in pulls}
    for pull in pulls:
        newest = runs.get(pull.id)
        state = newest.state if newest else "never"
        word = t(f"pulls.state_{state if pull.enabled else 'off'}", lang)
        print(f"{pull.name:<20} {names[pull.dataset_id]:<24} {word:<24} {pull.reached or ''}")
        if newest is not None:
            _say(newest, lang)
    return 0


def _try(ground: Ground, settings: Settings, what: str) -> int:
    lang = settings.lang
    with ground.db.transaction() as conn:
        found = service.pull(conn, SYSTEM, what)
    tried = service.try_it(ground, *found)
    print("\t".join(tried.names))
    for row in tried.rows:
        print("\t".join(row))
    if tried.refused is not None:
        print(tried.refused.text(lang), file=sys.stderr)
        return 1
    for reject in tried.faults:
        text = Fault("", reject.reason, dict(reject.params)).text(lang)
        print(f"  {reject.row_no}, {reject.column}: {text}")
    print(t("pulls.tried_kept", lang, rows=len(tried.rows), kept=tried.kept))
    return 0


def _run(ground: Ground, settings: Settings, what: str) -> int:
    with ground.db.transaction() as conn:
        pull, _, _ = service.pull(conn, SYSTEM, what)
    os.nice(NICENESS)
    done = run(ground, pull.id, SYSTEM.ref)
    if done is None:
        print(t("pulls.busy", settings.lang), file=sys.stderr)
        return 1
    _say(done, settings.lang)
    return 1 if done.error else 0


def _say(run: Run, lang: str) -> None:
    counts = {
        name: number(getattr(run, name), lang)
        for name in ("read", "new", "changed", "same", "removed", "twice", "rejected")
    }
    print("  " + t("pulls.said_run", lang, at=run.started_at, **counts))
    if run.error is not None:
        print("  " + t(run.error["key"], lang, **run.error["params"]))
        for fault in run.error.get("faults", ()):
            print(f"    {fault['where']}: {Fault('', fault['key'], fault['params']).text(lang)}")
    for one in run.findings:
        print("  " + t(f"pulls.finding_{one['kind']}", lang, count=one["count"]))


def _switch(on: bool) -> Any:
    def act(ground: Ground, settings: Settings, what: str) -> int:
        with ground.db.transaction() as conn:
            service.switch(conn, SYSTEM, what, on=on)
        print(t("web.done_pull_on" if on else "web.done_pull_off", settings.lang))
        return 0

    return act


def _again(ground: Ground, settings: Settings, what: str) -> int:
    with ground.db.transaction() as conn:
        service.read_again(conn, SYSTEM, what)
    print(t("web.done_pull_again", settings.lang))
    return 0


_DO = {
    "add": _add, "password": _password, "list": _list, "try": _try, "run": _run,
    "on": _switch(True), "off": _switch(False), "again": _again,
}  # fmt: skip
