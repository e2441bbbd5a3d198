"""`dothi sql "SELECT …"`: the SQL door from the shell, as the house itself or as an account."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from dothi.identity.model import SYSTEM, Actor
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.store.database import Connection
from dothi.store.home import Home
from dothi.store.runner import application_url
from dothi.store.settings import Settings, language


def arguments_sql(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    parser.add_argument("sql", metavar="SELECT", help=t("out.option_sql", lang))
    parser.add_argument(
        "--format", choices=("csv", "json", "ndjson", "arrow"), default="csv",
        help=t("out.option_format", lang),
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=int, metavar="N", default=1_000, help=t("out.option_limit", lang)
    )
    parser.add_argument("--since", metavar="INSTANT", help=t("out.option_since", lang))
    parser.add_argument("--until", metavar="INSTANT", help=t("out.option_until", lang))
    parser.add_argument("--as", dest="login", metavar="LOGIN", help=t("out.option_as", lang))


def run_sql(args: argparse.Namespace, settings: Settings) -> int:
    """Run one SELECT; 0 with the answer on standard output, 1 with what is wrong with it."""
    from dothi.lake.out import formats, sql
    from dothi.lake.out.answer import instant
    from dothi.lake.service import Lake
    from dothi.store.database import Database

    lang = settings.lang
    db = Database(settings.database_url or application_url(Home(settings.home)), name="sql")
    lake = Lake(db, settings.home / "lake")
    try:
        actor = SYSTEM
        if args.login is not None:
            with db.transaction() as conn:
                actor = actor_of(conn, args.login)
        statement = sql.Statement(args.sql, args.limit, instant(args.since), instant(args.until))
        form = formats.chosen(args.format, "")
        assert form is not None
        told = sql.run(lake, actor, statement, form)
    except Invalid as error:
        print(error.text(lang), file=sys.stderr)
        for fault in error.faults:
            print(fault.text(lang), file=sys.stderr)
        return 1
    finally:
        lake.close()
        db.close()
    with told.file as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.flush()
    if told.truncated:
        print(t("out.said_truncated", lang, limit=args.limit), file=sys.stderr)
    return 0


def actor_of(conn: Connection, login: str) -> Actor:
    """An account as one who asks. Raises NotFound for none of that name that may sign in."""
    from dothi.identity.accounts import find_account
    from dothi.identity.agencies import branch

    found = find_account(conn, login)
    if found is None or found.disabled_at is not None:
        raise NotFound("out.no_account", login=login)
    return Actor(
        "person", found.id, found.agency_id, branch(conn, found.agency_id), found.roles,
        name=found.display_name,
    )  # fmt: skip
