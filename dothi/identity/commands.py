"""`dothi account`, `dothi agency`, `dothi key` and `dothi audit`, for whoever administers the server.

Who can read the data home or knows the database's address acts as the house itself; what they do
is in the audit trail as done by `system`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dothi.kernel.errors import Misconfigured, NotFound
from dothi.kernel.i18n import t
from dothi.store.command import database, faults_in
from dothi.store.home import Home
from dothi.store.settings import Settings, language

if TYPE_CHECKING:
    from dothi.identity.heads import Report
    from dothi.identity.model import Agency

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
    with database(settings) as db, db.transaction() as conn:
        if args.act == "list":
            for account in accounts.accounts(conn):
                off = "-" if account.disabled_at else "+"
                print(off, account.login, ",".join(sorted(account.roles)), account.display_name)
            return 0
        if args.act == "add":
            password, made = _password(args)
            with faults_in(lang):
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
                with faults_in(lang):
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


# -- dothi agency --------------------------------------------------------------------------------


def arguments_agency(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    listed = _act(acts, "list", "identity.help_agency_list")
    _argument(listed, "--on", "identity.option_agency_on", type=_day, metavar="DAY")
    add = _act(acts, "add", "identity.help_agency_add")
    rename = _act(acts, "rename", "identity.help_agency_rename")
    merge = _act(acts, "merge", "identity.help_agency_merge")
    close = _act(acts, "close", "identity.help_agency_close")
    for act in (add, rename, merge, close):
        _argument(act, "code", "identity.option_agency_code", metavar="CODE")
    for act, needed in ((add, True), (rename, False)):
        _argument(act, "--vi", "identity.option_agency_vi", metavar="NAME", required=needed)
        _argument(act, "--en", "identity.option_agency_en", metavar="NAME", required=needed)
        _argument(act, "--parent", "identity.option_agency_parent", metavar="CODE")
        _argument(act, "--unit", "identity.option_agency_unit", metavar="CODE")
    _argument(add, "--from", "identity.option_agency_from", type=_day, metavar="DAY", dest="since")
    _argument(merge, "--into", "identity.option_agency_into", required=True, metavar="CODE")
    for act in (merge, close):
        _argument(
            act, "--on", "identity.option_agency_day", required=True, type=_day, metavar="DAY"
        )
        _argument(act, "--ground", "identity.option_agency_ground", required=True, metavar="TEXT")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        said = t("identity.bad_day", language(os.environ), text=text)
        raise argparse.ArgumentTypeError(said) from error


def run_agency(args: argparse.Namespace, settings: Settings) -> int:
    """Make, rename, merge, end or list agencies, as the administration's page does."""
    from dothi.identity import agencies
    from dothi.identity.model import SYSTEM, Agency

    lang = settings.lang
    with database(settings) as db, db.transaction() as conn:
        if args.act == "list":
            for one in agencies.agencies(conn, args.on):
                print(_agency_line(one, lang))
            return 0
        with faults_in(lang):
            if args.act == "add":
                made = Agency(
                    args.code, args.vi, args.en, args.parent, valid_from=args.since,
                    unit=None if args.unit == "-" else args.unit,
                )  # fmt: skip
                agencies.add_agency(conn, made, actor=SYSTEM)
            elif args.act == "rename":
                before = agencies.find_agency(conn, args.code)
                if before is None:
                    raise NotFound("identity.agency_unknown", code=args.code)
                given = {"name_vi": args.vi, "name_en": args.en, "parent": args.parent}
                after = replace(before, **{k: v for k, v in given.items() if v is not None})
                if args.unit is not None:
                    after = replace(after, unit=None if args.unit == "-" else args.unit)
                agencies.change_agency(conn, after, actor=SYSTEM)
            elif args.act == "merge":
                agencies.merge_agency(
                    conn, args.code, args.into, on=args.on, ground=args.ground, actor=SYSTEM
                )
            else:
                agencies.close_agency(conn, args.code, on=args.on, ground=args.ground, actor=SYSTEM)
        now = agencies.find_agency(conn, args.code)
        assert now is not None
    print(_agency_line(now, lang))
    return 0


def _agency_line(one: Agency, lang: str) -> str:
    """A sign whether it goes on, its code and name, what it stands below, how it ended."""
    said = ["-" if one.valid_to else "+", one.code, one.name(lang)]
    if one.merged_into:
        said.append(t("identity.said_merged", lang, into=one.merged_into, day=one.valid_to))
    elif one.valid_to:
        said.append(t("identity.said_ended", lang, day=one.valid_to))
    elif one.parent:
        said.append(t("identity.said_below", lang, parent=one.parent))
    return "  ".join(said)


# -- dothi key -----------------------------------------------------------------------------------


def arguments_key(parser: argparse.ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    add = _act(acts, "add", "identity.help_key_add")
    _argument(add, "name", "identity.option_key_name")
    _argument(add, "--agency", "identity.option_agency", required=True)
    _argument(add, "--role", "identity.option_roles", required=True, nargs="+", dest="roles")
    _argument(add, "--action", "identity.option_actions", nargs="+", dest="actions")
    _argument(add, "--days", "identity.option_days", type=int, default=365)
    _argument(add, "--bare", "identity.option_bare", action="store_true")
    revoke = _act(acts, "revoke", "identity.help_key_revoke")
    _argument(revoke, "prefix", "identity.option_prefix")
    _act(acts, "list", "identity.help_key_list")


def run_key(args: argparse.Namespace, settings: Settings) -> int:
    """Issue, revoke or list API keys."""
    from dothi.identity import keys
    from dothi.identity.model import SYSTEM

    lang, now = settings.lang, datetime.now(UTC)
    with database(settings) as db, db.transaction() as conn:
        if args.act == "list":
            for key in keys.visible(conn, SYSTEM):
                off = "-" if key.revoked_at or key.expires_at <= now else "+"
                print(off, key.prefix, ",".join(sorted(key.roles)), key.expires_at.date(), key.name)
            return 0
        if args.act == "revoke":
            keys.revoke(conn, args.prefix, actor=SYSTEM)
            said = t("identity.key_revoked", lang, prefix=args.prefix)
        else:
            with faults_in(lang):
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
            said = text if args.bare else t("identity.key_added", lang, key=text,
                                            expires_at=key.expires_at)  # fmt: skip
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
        with database(settings) as db, db.snapshot() as conn:
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
    with database(settings) as db, db.snapshot() as conn:
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
