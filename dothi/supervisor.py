"""`dothi up`: owns PostgreSQL, web and worker, restarts what dies, and stops all of it in 3 s.

It imports nothing of the application, so nothing the application does can take it down. One
thread, one loop (`_pump`): the order of a start reads as ordinary code, and every wait in it goes
through the loop, which notices deaths, signals and the state of the disk meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from subprocess import Popen
from types import FrameType

from dothi.kernel.errors import Busy, DothiError, Unavailable
from dothi.kernel.i18n import t
from dothi.store import probe
from dothi.store.ballast import Ballast
from dothi.store.child import DELAYS_S, Child
from dothi.store.home import Home
from dothi.store.listening import SOCKET, listen
from dothi.store.processes import (
    LIFELINE,
    LINUX,
    MARK,
    ProcessId,
    adopt_orphans,
    carries_mark,
    children_of,
    spawn,
)
from dothi.store.pulse import PULSE, SILENCE_S, Pulse
from dothi.store.runner import APPLICATION, LOG_SEGMENT, OWNER, EmbeddedPostgres
from dothi.store.settings import FIRST_ACCOUNT, Settings

POSTGRESQL = "postgresql"

APPLICATION_STOPS_S = 2.0
"""From the stop signal until web and worker are killed."""
DATABASE_STOPS_S = 2.6
"""From the stop signal until PostgreSQL's fast shutdown becomes an immediate one."""
EVERYTHING_STOPS_S = 2.85
"""From the stop signal until everything is killed."""


@dataclass(frozen=True)
class Role:
    """One kind of child. `once`: it must end well before what is listed after it starts.

    `database`: the variables with the embedded database's addresses it gets. `listens`: it
    inherits the listening socket, its number in DOTHI_SOCKET, and is started again when its pulse
    is not felt for `silence_s`.
    """

    name: str
    argv: Sequence[str]
    count: int = 1
    once: bool = False
    listens: bool = False
    silence_s: float = SILENCE_S
    database: Sequence[str] = ("DOTHI_DATABASE_URL",)
    environment: Mapping[str, str] = field(default_factory=dict)


def roles_of(settings: Settings) -> list[Role]:
    """The children of `dothi up`, in the order they are started."""

    def command(name: str) -> list[str]:
        # -P: what lies in the operator's current folder is never imported.
        return [sys.executable, "-P", "-m", "dothi", name]

    roles = [
        Role(
            "migrate",
            command("migrate"),
            once=True,
            database=("DOTHI_DATABASE_URL", "DOTHI_OWNER_URL"),
        ),
        Role("worker", command("worker")),
        Role("web", command("web"), count=settings.web_processes, listens=True),
    ]
    if settings.demo:
        roles.append(Role("demo", command("demo")))
    return roles


class _Stop(Exception):
    """A signal asked us to end."""


class Supervisor:
    """One run of `dothi up` on one data home. `say` prints a line to the operator."""

    def __init__(
        self, settings: Settings, roles: Sequence[Role], say: Callable[[str], None] | None = None
    ) -> None:
        self.settings = settings
        self.home = Home(settings.home)
        self._roles = roles
        self._say_line = say or _print
        self._mark = secrets.token_hex(8)
        self._children: list[Child] = []
        self._pulses: dict[str, tuple[Pulse, float]] = {}
        self._database: EmbeddedPostgres | None = None
        self._socket: socket.socket | None = None
        self._port = settings.port
        self._phase = "starting"
        self._was_ready = False
        self._stop_asked = False
        self._stopping = False
        self._refusing = False
        self._checked_at = 0.0
        self._sweep_at: float | None = None
        self._ballast: Ballast | None = None
        self._woken, self._waker = os.pipe()
        self._lifeline, self._lifeline_held = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._not_ours = set(children_of(os.getpid()))
        self._sessions: set[int] = set()

    # -- the order of a start ----------------------------------------------------------------

    def run(self) -> int:
        """Serve until a signal ends it; 0 then. Raises DothiError when it cannot start."""
        self._listen_to_signals()
        self.home.prepare()
        lock = self.home.lock()
        try:
            self._start()
            while True:
                self._pump(1.0)
        except _Stop:
            return 0
        finally:
            self._stop()
            os.close(lock)

    def _start(self) -> None:
        adopt_orphans()
        was_killed = self.home.state() is not None
        self._end_leftovers()
        self._socket = self._listen(EVERYTHING_STOPS_S if was_killed else 0.0)
        self._port = self._socket.getsockname()[1]
        self._write_state()
        self._ballast = Ballast(
            self.home.path,
            reserve_bytes=self.settings.reserve_bytes,
            ballast_bytes=self.settings.ballast_bytes,
        )
        if not self.settings.database_url:
            self._start_database()
        self._ballast.restore()
        for role in self._roles:
            self._start_role(role)
        self._await_readiness()
        self._announce()

    def _listen(self, patience_s: float) -> socket.socket:
        """The socket. A run that was killed between making a web process and writing its number
        down leaves one that nobody knows of, and that holds the port until it notices."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                return listen(self.settings.host, self.settings.port)
            except Busy:
                if time.monotonic() >= deadline:
                    raise
            self._pump(0.05)

    def _start_database(self) -> None:
        self._say("database_starts")
        self._database = EmbeddedPostgres(self.home)
        self._database.prepare(self._wait_for, self._pump)
        child = Child(
            POSTGRESQL,
            lambda: self._postgres().start({MARK: self._mark}, self._lifeline),
            self._database.log_file,
        )
        self._children.append(child)
        self._launch(child)
        self._await_database()

    def _await_database(self) -> None:
        """Wait as long as it takes while it makes progress; give up when it keeps ending."""
        database, began, told = self._postgres(), time.monotonic(), 0
        while database.answer() is not probe.Answer.READY:
            self._pump(0.03)
            waited = int(time.monotonic() - began)
            if waited >= told + 5:
                told = waited
                self._say("database_recovers", seconds=waited)

    def _start_role(self, role: Role) -> None:
        for number in range(role.count):
            name = role.name if role.count == 1 else f"{role.name}-{number + 1}"
            child = Child(
                name,
                lambda role=role, name=name: self._spawn_role(role, name),
                self.home.logs / f"{name}.log",
                once=role.once,
            )
            self._children.append(child)
            self._launch(child)
            if role.once:
                while child.code != 0:
                    self._pump(0.5)
                self._children.remove(child)

    def _await_readiness(self) -> None:
        if not any(role.listens for role in self._roles):
            return
        began, told = time.monotonic(), 0
        while probe.http(self.settings.host, self._port, timeout_s=0.3) is not probe.Answer.READY:
            self._pump(0.05)
            waited = int(time.monotonic() - began)
            if waited >= told + 10:
                told = waited
                self._say("web_starts", seconds=waited)

    def _announce(self) -> None:
        self._phase, self._was_ready = "ready", True
        self._write_state()
        self._say("serving", address=self.address)
        password = self.home.first_password()
        if password:
            self._say("first_account", account=FIRST_ACCOUNT, password=password)
            with contextlib.suppress(OSError, DothiError):
                self.home.forget_first_password()
        if notice := self.home.take_notice():
            self._say_line(notice.rstrip())

    @property
    def address(self) -> str:
        """Where a browser on this machine reaches us."""
        return f"http://{probe.shown(self.settings.host)}:{self._port}/"

    # -- children ----------------------------------------------------------------------------

    def _spawn_role(self, role: Role, name: str) -> Popen[bytes]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        for key in ("DOTHI_DATABASE_URL", "DOTHI_OWNER_URL"):
            environment.pop(key, None)
        environment |= self.settings.with_(port=self._port).environment()
        environment |= {MARK: self._mark, LIFELINE: str(self._lifeline), **role.environment}
        urls = {"DOTHI_DATABASE_URL": self.settings.database_url}
        if self._database:
            urls = {
                "DOTHI_DATABASE_URL": self._database.url(APPLICATION),
                "DOTHI_OWNER_URL": self._database.url(OWNER, "postgres"),
            }
        environment |= {k: v for k in role.database if (v := urls.get(k))}
        inherited = [self._lifeline]
        if role.listens and self._socket:
            inherited.append(self._socket.fileno())
            environment[SOCKET] = str(self._socket.fileno())
        pulse = self._new_pulse(role, name) if role.listens else None
        if pulse:
            inherited.append(pulse.child_end)
            environment[PULSE] = str(pulse.child_end)
        log = os.open(self.home.logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return spawn(
                role.argv,
                environment=environment,
                output=log,
                death_signal=signal.SIGTERM,
                pass_fds=inherited,
            )
        finally:
            os.close(log)
            if pulse:
                pulse.handed_over()

    def _new_pulse(self, role: Role, name: str) -> Pulse:
        if name in self._pulses:
            self._pulses[name][0].close()
        self._pulses[name] = Pulse(), role.silence_s
        return self._pulses[name][0]

    def _end_hung(self, since_last_look_s: float) -> None:
        """Kill who lives but answers no more; it is started again like whoever was killed."""
        for child in self._children:
            if child.process and child.name in self._pulses:
                pulse, longest_s = self._pulses[child.name]
                if (silent_s := pulse.silent_s(since_last_look_s)) >= longest_s:
                    self._say("hangs", name=child.name, seconds=int(silent_s))
                    child.process.kill()

    def _launch(self, child: Child) -> None:
        try:
            child.launch()
        except OSError as error:
            self._ended(child, 127, str(error))
        if child.process:
            self._sessions.add(child.process.pid)
        self._write_state()

    def _ended(self, child: Child, code: int, reason: str | None = None) -> None:
        """A child is no more: say so, and give up where that is the only honest thing."""
        comes_back = child.ended(code, proven=self._was_ready)
        self._sweep_at = time.monotonic() + 2.0
        if self._stopping or not comes_back:
            return
        if child.name == POSTGRESQL:
            self._make_room()
        # Somebody's kill never ends a start.
        if child.hopeless and not self._was_ready and code != -signal.SIGKILL:
            raise self._crash_loop(child, reason)
        if not child.hopeless:
            self._say("restarts", name=child.name, how=child.how(self.settings.lang))
        elif not child.complained:
            child.complained = True
            self._say_line(self._crash_loop(child, reason).text(self.settings.lang))
        self._write_state()

    def _crash_loop(self, child: Child, reason: str | None) -> DothiError:
        if child.name == POSTGRESQL:
            return self._postgres().failure()
        return Unavailable(
            "supervisor.crash_loop",
            retry_after_s=int(DELAYS_S[-1]),
            name=child.name,
            how=child.how(self.settings.lang),
            reason=reason or child.last_words(),
            log=child.log,
        )

    def _wait_for(self, process: Popen[bytes]) -> int:
        """Wait for a one-off helper of the runner through the loop."""
        child = Child("initdb", lambda: process, self.home.logs / "postgresql.log", restarted=False)
        child.process, child.identity = process, ProcessId.of(process.pid)
        child.born_at = float("-inf")
        self._children.append(child)
        try:
            while child.process is not None:
                self._pump(0.5)
        finally:
            if child.process is None:
                self._children.remove(child)
        return 1 if child.code is None else child.code

    def _postgres(self) -> EmbeddedPostgres:
        assert self._database is not None
        return self._database

    # -- the loop ----------------------------------------------------------------------------

    def _pump(self, seconds: float) -> None:
        """Let at most `seconds` pass, less when something happens; raises _Stop on a signal."""
        now = time.monotonic()
        due = [c.due_at for c in self._children if c.due_at is not None]
        timeout = max(0.0, min([seconds, *(d - now for d in due)]))
        if not self._stop_asked or self._stopping:
            select.select([self._woken], [], [], timeout)
            with contextlib.suppress(BlockingIOError):
                while os.read(self._woken, 512):
                    pass
        self._reap()
        if self._stopping:
            return
        if self._stop_asked:
            raise _Stop
        now = time.monotonic()
        for child in self._children:
            if child.due_at is not None and child.due_at <= now:
                self._launch(child)
            elif self._was_ready:
                child.forgive(now)
        if self._sweep_at is not None and self._sweep_at <= now:
            self._sweep_at = None
            self._sweep()
        if now - self._checked_at >= 1.0:
            self._end_hung(now - self._checked_at)
            self._checked_at = now
            self._look_at_disk()
            for child in self._children:
                child.shorten_log()

    def _reap(self) -> None:
        """Take note of everything that ended, adopted grandchildren included."""
        known = {c.process.pid: c for c in self._children if c.process}
        if LINUX:
            for _ in range(1000):
                try:
                    ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                except ChildProcessError:
                    break
                if ended is None:
                    break
                child = known.get(ended.si_pid)
                if child is None or child.process is None:
                    os.waitpid(ended.si_pid, 0)
                else:
                    self._ended(child, child.process.wait())
        for child in known.values():
            # Popen may have reaped it before, when it was sent a signal.
            if child.process and (code := child.process.poll()) is not None:
                self._ended(child, code)

    def _sweep(self) -> bool:
        """Kill what dead children left behind: it has only us for a parent, and carries our mark
        or belongs to a session that a child of ours opened. True when there was any."""
        found = False
        known = {c.process.pid for c in self._children if c.process} | self._not_ours
        for pid in children_of(os.getpid()):
            process = ProcessId.of(pid)
            if process is None or pid in known:
                continue
            with contextlib.suppress(ProcessLookupError):
                if carries_mark(pid, self._mark) or os.getsid(pid) in self._sessions:
                    found = process.signal(signal.SIGKILL) or found
        return found

    # -- disk and logs -----------------------------------------------------------------------

    def _make_room(self) -> None:
        """PostgreSQL ended: if the disk is full, give it the ballast's room."""
        if not self._ballast:
            return
        # On a full disk even the words about it may be missing from the log.
        full = self._ballast.free_bytes() < LOG_SEGMENT or self._postgres().disk_was_full()
        if full and self._ballast.release():
            self._say("ballast_released", home=self.home.path)

    def _look_at_disk(self) -> None:
        if self._ballast is None:
            return
        refusing = not self._ballast.writes_allowed()
        if refusing != self._refusing:
            self._refusing = refusing
            megabytes = self._ballast.free_bytes() // (1024 * 1024)
            self._say("writes_refused" if refusing else "writes_again", megabytes=megabytes)
            self._write_state()
        if not refusing:
            self._ballast.restore()

    # -- the end -----------------------------------------------------------------------------

    def _stop(self) -> None:
        """Everything ends within 3 s: first what uses the database, then the database."""
        self._stopping, self._phase = True, "stopping"
        began = time.monotonic()
        if any(c.process for c in self._children):
            self._say("stops")
            self._write_state()
        if self._socket:
            self._socket.close()
        application = [c for c in self._children if c.name != POSTGRESQL]
        database = [c for c in self._children if c.name == POSTGRESQL]
        self._signal(application, signal.SIGTERM)
        self._until_gone(application, began + APPLICATION_STOPS_S)
        self._signal(application, signal.SIGKILL)
        self._signal(database, signal.SIGINT)
        self._until_gone(database, began + DATABASE_STOPS_S)
        # Immediate shutdown: what was committed is replayed at the next start.
        self._signal(database, signal.SIGQUIT)
        self._until_gone(self._children, began + EVERYTHING_STOPS_S)
        self._signal(self._children, signal.SIGKILL)
        self._until_gone(self._children, began + EVERYTHING_STOPS_S + 1.0)
        if self._sweep():
            self._pump(0.05)
        if self._database:
            self._database.forget_socket()
        for end in (self._lifeline_held, self._lifeline):
            os.close(end)
        self.home.forget_state()
        if self._was_ready:
            self._say("stopped")

    def _until_gone(self, children: Sequence[Child], deadline: float) -> None:
        while any(c.process for c in children) and time.monotonic() < deadline:
            self._pump(min(0.2, deadline - time.monotonic()))

    def _signal(self, children: Sequence[Child], number: int) -> None:
        for child in children:
            if child.process:
                child.process.send_signal(number)

    def _end_leftovers(self) -> None:
        """Wait for the children of a run that was killed, and end those that do not end."""
        state = self.home.state() or {}
        mark = str(state.get("mark"))
        left: list[ProcessId] = []
        for entry in state.get("children", ()):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                # PostgreSQL needs its time; its own lock file tells (runner.end_leftovers).
                if entry["name"] != POSTGRESQL:
                    left.append(ProcessId(int(entry["pid"]), str(entry["started"])))
        deadline = time.monotonic() + EVERYTHING_STOPS_S
        while any(p.alive() for p in left) and time.monotonic() < deadline:
            self._pump(0.05)
        for process in left:
            if carries_mark(process.pid, mark) or not LINUX:
                process.signal(signal.SIGKILL)

    # -- signals, words, state ---------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        def ask(_number: int, _frame: FrameType | None) -> None:
            self._stop_asked = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
            signal.signal(signal.SIGHUP, ask)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)

    def _say(self, key: str, **params: object) -> None:
        self._say_line(t(f"supervisor.{key}", self.settings.lang, **params))

    def _write_state(self) -> None:
        me = ProcessId.of(os.getpid())
        self.home.write_state(
            {
                "supervisor": {"pid": os.getpid(), "started": me.started if me else ""},
                "mark": self._mark,
                "phase": self._phase,
                "host": self.settings.host,
                "port": self._port,
                "address": self.address,
                "database": "embedded" if self._database else "external",
                "writes": "refused" if self._refusing else "allowed",
                "children": [
                    {
                        "name": c.name,
                        "pid": c.identity.pid if c.identity else None,
                        "started": c.identity.started if c.identity else None,
                        "restarts": c.restarts,
                    }
                    for c in self._children
                ],
            }
        )


def _print(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
        print(line, flush=True)
