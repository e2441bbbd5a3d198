"""The command `dothi`. A command's module is loaded only when that command is called.

To add one: a line in `COMMANDS`, its one-line help `cli.help_<name>` in the catalogue, and in the
module two functions, `arguments_<name>(parser)` and `run_<name>(args, settings) -> exit code`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dothi.kernel.errors import DothiError, Misconfigured, Unavailable
from dothi.kernel.i18n import t
from dothi.store import lifeline, probe
from dothi.store.child import FINAL
from dothi.store.home import Home
from dothi.store.listening import inherited, listen
from dothi.store.processes import ProcessId
from dothi.store.settings import Settings, language

TRY_AGAIN = 69
"""Exit code when something needed does not run at the moment (EX_UNAVAILABLE of sysexits.h)."""

NOT_RUNNING = 3
"""Exit code of `dothi status` when nothing runs, as init scripts have it."""

STOP_PATIENCE_S = 8.0


class Command(NamedTuple):
    """A name on the command line and the module that holds its two functions."""

    name: str
    module: str


COMMANDS = (
    Command("up", "dothi.cli"),
    Command("status", "dothi.cli"),
    Command("stop", "dothi.cli"),
    Command("web", "dothi.cli"),
    Command("worker", "dothi.cli"),
    Command("migrate", "dothi.cli"),
    Command("demo", "dothi.cli"),
    Command("load", "dothi.lake.commands"),
    Command("undo", "dothi.lake.commands"),
    Command("workbook", "dothi.lake.commands"),
    Command("inspect", "dothi.lake.inspecting"),
    Command("define", "dothi.lake.defining"),
    Command("units", "dothi.identity.units_commands"),
    Command("sql", "dothi.lake.out.commands"),
    Command("account", "dothi.identity.commands"),
    Command("agency", "dothi.identity.commands"),
    Command("key", "dothi.identity.commands"),
    Command("audit", "dothi.identity.commands"),
    Command("calendar", "dothi.work.commands"),
    Command("explain", "dothi.indicators.commands"),
    Command("pack", "dothi.indicators.commands"),
    Command("pull", "dothi.pulls.commands"),
    Command("target", "dothi.indicators.target_commands"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. What goes wrong is one sentence on stderr."""
    words, home = _take_home(sys.argv[1:] if argv is None else list(argv))
    lang = "vi"
    try:
        lang = language(os.environ)
        settings = Settings.read(os.environ)
        parser, called = _parser(words, lang)
        args = parser.parse_args(words)
        if called is None:
            parser.print_help()
            return 2
        if home is not None:
            settings = settings.with_(home=Path(home).expanduser().absolute())
        module = importlib.import_module(called.module)
        return getattr(module, f"run_{called.name}")(args, settings)
    except DothiError as error:
        print(error.text(lang), file=sys.stderr)
        return TRY_AGAIN if isinstance(error, Unavailable) else FINAL
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output left; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _take_home(words: Sequence[str]) -> tuple[list[str], str | None]:
    """The words without `--home DIR`, which may stand anywhere, and the folder."""
    rest, home = list(words), None
    for i, word in enumerate(words):
        if word == "--home" and i + 1 < len(words):
            home = words[i + 1]
            del rest[i : i + 2]
            break
        if word.startswith("--home="):
            home = word.removeprefix("--home=")
            del rest[i]
            break
    return rest, home


def _parser(words: Sequence[str], lang: str) -> tuple[argparse.ArgumentParser, Command | None]:
    """A parser that knows all names, and the options of the one that is called."""
    parser = argparse.ArgumentParser(prog="dothi", description=t("cli.about", lang))
    names = parser.add_subparsers(metavar="COMMAND")
    first = next((word for word in words if not word.startswith("-")), None)
    called = None
    for command in COMMANDS:
        text = t(f"cli.help_{command.name}", lang)
        own = names.add_parser(command.name, help=text, description=text)
        if command.name == first:
            called = command
            own.add_argument("--home", metavar="DIR", help=t("cli.option_home", lang))
            module = importlib.import_module(command.module)
            if arguments := getattr(module, f"arguments_{command.name}", None):
                arguments(own)
    return parser, called


# -- dothi up, status, stop ----------------------------------------------------------------------


def arguments_up(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    _arguments_address(parser, lang)
    parser.add_argument("--web", metavar="N", help=t("cli.option_web", lang))
    parser.add_argument("--demo", action="store_true", help=t("cli.option_demo", lang))


def run_up(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until stopped."""
    from dothi.supervisor import Supervisor, roles_of

    settings = _with_address(args, settings).with_(demo=args.demo or settings.demo)
    if args.web is not None:
        settings = settings.with_(web_processes=_whole("--web", args.web, 1, 64))
    return Supervisor(settings, roles_of(settings)).run()


def arguments_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help=t("cli.option_json", language(os.environ))
    )
    parser.add_argument("--wait", metavar="S", help=t("cli.option_wait", language(os.environ)))


def run_status(args: argparse.Namespace, settings: Settings) -> int:
    """What runs on this home: 0 it serves, 1 not yet or no more, 3 nothing runs."""
    home, lang = Home(settings.home), settings.lang
    until = time.monotonic() + (_whole("--wait", args.wait, 0, 86_400) if args.wait else 0)
    state, ready = _standing(home)
    while not ready and time.monotonic() < until:
        time.sleep(0.2)
        state, ready = _standing(home)
    if state is None:
        if args.json:
            print(json.dumps({"running": False, "home": str(home.path)}))
        else:
            print(t("cli.not_running", lang, home=home.path))
        return NOT_RUNNING
    if args.json:
        print(json.dumps({"running": True, "ready": ready, "home": str(home.path), **state}))
        return 0 if ready else 1
    word = "serves" if ready else "not_ready"
    print(t(f"cli.{word}", lang, address=state["address"], home=home.path))
    if state["writes"] == "refused":
        print(t("cli.writes_refused", lang))
    for child in [{"name": "dothi up", "restarts": 0, **state["supervisor"]}, *state["children"]]:
        alive = child["pid"] and ProcessId(child["pid"], child["started"]).alive()
        line = t("cli.runs" if alive else "cli.runs_not", lang, pid=child["pid"] or 0)
        if child["restarts"]:
            line += " " + t("cli.restarted", lang, count=child["restarts"])
        print(f"  {child['name']:<12} {line}")
    return 0 if ready else 1


def _standing(home: Home) -> tuple[dict[str, Any] | None, bool]:
    """What the supervisor of a home wrote, None when none runs; and whether it serves."""
    state = home.state() if home.locked() else None
    if state is None or _supervisor(state) is None:
        return None, False
    return state, probe.http(state["host"], state["port"], timeout_s=2.0) is probe.Answer.READY


def run_stop(_args: argparse.Namespace, settings: Settings) -> int:
    """Ask the supervisor of this home to end, and wait until it has."""
    home, lang = Home(settings.home), settings.lang
    state = home.state() if home.locked() else None
    supervisor = _supervisor(state) if state else None
    if supervisor is None or not supervisor.signal(signal.SIGTERM):
        print(t("cli.not_running", lang, home=home.path))
        return 0
    began = time.monotonic()
    while home.locked():
        if time.monotonic() - began > STOP_PATIENCE_S:
            raise Unavailable("cli.stop_takes_long", retry_after_s=5, pid=supervisor.pid)
        time.sleep(0.05)
    print(t("cli.stopped", lang, pid=supervisor.pid, seconds=time.monotonic() - began))
    return 0


def _supervisor(state: dict[str, object]) -> ProcessId | None:
    """The live process that wrote the state; None when its number names somebody else now."""
    entry = state.get("supervisor")
    if not isinstance(entry, dict):
        return None
    process = ProcessId(int(entry["pid"]), str(entry["started"]))
    return process if process.alive() else None


# -- the roles, alone or as the supervisor's children --------------------------------------------


def arguments_web(parser: argparse.ArgumentParser) -> None:
    _arguments_address(parser, language(os.environ))


def run_web(args: argparse.Namespace, settings: Settings) -> int:
    """Answer HTTP on the supervisor's socket, or on one of our own."""
    settings = _with_address(args, settings)
    server = inherited()
    if server is None:
        server = listen(settings.host, settings.port)
        settings = settings.with_(port=server.getsockname()[1])
    _begin_role(settings)
    from dothi import app

    app.serve(settings, server)
    return 0


def run_worker(_args: argparse.Namespace, settings: Settings) -> int:
    """Alarms, roll-ups, schedules, the lake's writer."""
    _begin_role(settings)
    from dothi import worker

    worker.work(settings)
    return 0


def run_migrate(_args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database to this version's schema."""
    _begin_role(settings)
    from dothi import migrate

    migrate.migrate(settings)
    return 0


def run_demo(_args: argparse.Namespace, settings: Settings) -> int:
    """Feed demonstration data."""
    _begin_role(settings)
    from dothi import feeder

    feeder.run(settings)
    return 0


def _begin_role(settings: Settings) -> None:
    lifeline.follow()
    if settings.database_url is None:
        raise Misconfigured("cli.no_database")
    Home(settings.home).prepare()


def _arguments_address(parser: argparse.ArgumentParser, lang: str) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help=t("cli.option_host", lang))
    parser.add_argument("--port", metavar="N", help=t("cli.option_port", lang))


def _with_address(args: argparse.Namespace, settings: Settings) -> Settings:
    if args.host is not None:
        settings = settings.with_(host=args.host)
    if args.port is not None:
        settings = settings.with_(port=_whole("--port", args.port, 0, 65_535))
    return settings


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise Misconfigured("cli.bad_number", name=name, value=text, low=low, high=high)
    return int(text)
