"""`dothi account`, `dothi key` and `dothi audit`, for whoever administers the server.

Who can read the data home or knows the database's address acts as the house itself; what they do
is in the audit trail as done by `system`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dothi.kernel.errors import Invalid, Misconfigured, NotFound
from dothi.kernel.i18n import t
from dothi.store.home import Home
from dothi.store.settings import Settings, language

if TYPE_CHECKING:
    from dothi.identity.heads import Report
    from dothi.store.database import Database

# -- dothi account -------------------------------------------------------------------------------


def arguments_account(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    add = _act(acts, "add", "identity.help_account_add")
    _argument(add, "login", "identity.option_login")
    _argument(add, "--name", "identity.option_name", required=True)
    _argument(add, "--agency", "identity.option_agency", required=True)
    _argument(add, "--role", "identity.option_roles", required=True, nargs="+", dest="roles")
    password = _act(acts, "password", "identity.help_account_password")
    _argument(password, "login", "identity.option_login")
    for act in (add, password):
        _argument(act, "--password-stdin", "identity.option_password_stdin", action="store_true")
    for name in ("disable", "enable"):
        act = _act(acts, name, f"identity.help_account_{name}")
        _argument(act, "login", "identity.option_login")
    _act(acts, "list", "identity.help_account_list")


def run_account(args: argparse.Namespace, settings: Settings) -> int:
    """Make, change or list accounts. A password made at random has to be changed once used."""
    from dothi.identity import accounts, passwords
    from dothi.identity.model import SYSTEM

    lang, hasher = settings.lang, passwords.Passwords()
    with _database(settings) as db, db.transaction() as conn:
        if args.act == "list":
            for account in accounts.accounts(conn):
                off = "-" if account.disabled_at else "+"
                print(off, account.login, ",".join(sorted(account.roles)), account.display_name)
            return 0
        if args.act == "add":
            password, made = _password(args)
            with _faults_in(lang):
                accounts.create_account(
                    conn,
                    login=args.login,
                    display_name=args.name,
                    agency=args.agency,
                    roles=args.roles,
                    password=password,
                    hasher=hasher,
                    actor=SYSTEM,
                    must_change=made,
                )
            said = [t("identity.account_added", lang, login=args.login)]
        else:
            account = accounts.find_account(conn, args.login)
            if account is None:
                raise NotFound("identity.account_not_found", login=args.login)
            if args.act == "password":
                password, made = _password(args)
                with _faults_in(lang):
                    accounts.set_password(
                        conn, account.id, password, hasher=hasher, actor=SYSTEM, must_change=made
                    )
                said = [t("identity.password_changed", lang, login=account.login)]
            else:
                change = (
                    accounts.disable_account if args.act == "disable" else accounts.enable_account
                )
                change(conn, account.id, actor=SYSTEM)
                password, made = "", False
                said = [t(f"identity.account_{args.act}d", lang, login=account.login)]
    if made:
        said.append(t("identity.password_made", lang, password=password))
    print("\n".join(said))
    return 0


# -- dothi key -----------------------------------------------------------------------------------


def arguments_key(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    add = _act(acts, "add", "identity.help_key_add")
    _argument(add, "name", "identity.option_key_name")
    _argument(add, "--agency", "identity.option_agency", required=True)
    _argument(add, "--role", "identity.option_roles", required=True, nargs="+", dest="roles")
    _argument(add, "--action", "identity.option_actions", nargs="+", dest="actions")
    _argument(add, "--days", "identity.option_days", type=int, default=365)
    revoke = _act(acts, "revoke", "identity.help_key_revoke")
    _argument(revoke, "prefix", "identity.option_prefix")
    _act(acts, "list", "identity.help_key_list")


def run_key(args: argparse.Namespace, settings: Settings) -> int:
    """Issue, revoke or list API keys."""
    from dothi.identity import keys
    from dothi.identity.model import SYSTEM

    lang, now = settings.lang, datetime.now(UTC)
    with _database(settings) as db, db.transaction() as conn:
        if args.act == "list":
            for key in keys.visible(conn, SYSTEM):
                off = "-" if key.revoked_at or key.expires_at <= now else "+"
                print(off, key.prefix, ",".join(sorted(key.roles)), key.expires_at.date(), key.name)
            return 0
        if args.act == "revoke":
            keys.revoke(conn, args.prefix, actor=SYSTEM)
            said = t("identity.key_revoked", lang, prefix=args.prefix)
        else:
            with _faults_in(lang):
                key, text = keys.issue(
                    conn,
                    name=args.name,
                    agency=args.agency,
                    roles=args.roles,
                    actions=args.actions,
                    lifetime=timedelta(days=max(0, min(args.days, 100_000))),
                    actor=SYSTEM,
                    now=now,
                )
            said = t("identity.key_added", lang, key=text, expires_at=key.expires_at)
    print(said)
    return 0


# -- dothi audit ---------------------------------------------------------------------------------


def arguments_audit(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    verify = _act(acts, "verify", "identity.help_audit_verify")
    _argument(verify, "--heads", "identity.option_heads", type=Path, metavar="FILE")
    export = _act(acts, "export", "identity.help_audit_export")
    _argument(export, "file", "identity.option_file", type=Path, metavar="FILE")


def run_audit(args: argparse.Namespace, settings: Settings) -> int:
    """Check or export the audit trail; 1 if it was changed."""
    from dothi.identity import audit, heads

    lang, home = settings.lang, Home(settings.home)
    if args.act == "export":
        with _database(settings) as db, db.snapshot() as conn:
            try:
                count = audit.export(conn, args.file)
            except OSError as error:
                raise Misconfigured(
                    "identity.audit.not_written", file=args.file, reason=error.strerror
                ) from error
        print(t("identity.audit.exported", lang, entries=count, file=args.file))
        return 0
    if args.heads and not args.heads.is_file():
        raise Misconfigured("identity.audit.no_heads_file", file=args.heads)
    file, key = heads.kept(home)
    file = args.heads or file
    with _database(settings) as db, db.snapshot() as conn:
        report = heads.verify(conn, file, key)
    print("\n".join(_said(report, compared=file is not None, lang=lang)))
    return 0 if report.sound else 1


def _said(report: Report, *, compared: bool, lang: str) -> Iterator[str]:
    if report.sound:
        yield t("identity.audit.sound", lang, entries=report.entries)
    else:
        yield t("identity.audit.damaged", lang, seq=report.first_bad)
    for flaw in report.flaws:
        yield "  " + t(flaw.key, lang, **flaw.params)
    if not compared:
        yield t("identity.audit.heads_none", lang)
    elif last := report.last_head:
        yield t("identity.audit.heads_sound", lang, heads=report.heads, seq=last.seq, at=last.at)
    if compared and not report.signed:
        yield t("identity.audit.heads_unsigned", lang)


# -- what they share -----------------------------------------------------------------------------


def _act(acts: Any, name: str, help_key: str) -> argparse.ArgumentParser:
    text = t(help_key, language(os.environ))
    return acts.add_parser(name, help=text, description=text)


def _argument(parser: argparse.ArgumentParser, name: str, help_key: str, **options: Any) -> None:
    parser.add_argument(name, help=t(help_key, language(os.environ)), **options)


def _password(args: argparse.Namespace) -> tuple[str, bool]:
    """The password to set and whether we made it. Never an argument: others can list those."""
    from dothi.identity import passwords

    if args.password_stdin:
        return sys.stdin.readline().rstrip("\n"), False
    return passwords.generate(), True


@contextmanager
def _faults_in(lang: str) -> Iterator[None]:
    """Print each fault of a form on its own line before the error itself."""
    try:
        yield
    except Invalid as error:
        for fault in error.faults:
            print(f"{fault.where}: {fault.text(lang)}", file=sys.stderr)
        raise


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    """The installation's database: the one that is named, or the embedded one if it runs."""
    from dothi.store.database import Database
    from dothi.store.runner import application_url

    db = Database(
        settings.database_url or application_url(Home(settings.home)), name="command", max_size=2
    )
    try:
        yield db
    finally:
        db.close()
