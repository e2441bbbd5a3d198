"""The embedded PostgreSQL: made once, started as our own child, stopped so that nothing is lost.

Nothing but the unix socket leads to it, and only with a password. The child gets SIGINT from the
kernel when its parent dies: PostgreSQL's fast shutdown.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from dothi.kernel.errors import Damaged, DothiError, Misconfigured, StorageFull, Unavailable
from dothi.store import engine, probe
from dothi.store.home import Home, cannot_write, sync_folder
from dothi.store.processes import LINUX, ProcessId, program_of, ps, spawn, working_in

OWNER = "dothi_owner"
"""The superuser; only `migrate` uses it."""

APPLICATION = "dothi_app"
"""The role of everything else: owns the database, is no superuser."""

DATABASE = "dothi"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 100
"""Systems allow 104 to 108 bytes for the path of a socket."""

ROOM_FOR_CLUSTER = 96 * 1024 * 1024
"""What a fresh cluster and its first log segments take."""

MEGABYTE = 1024 * 1024
LOG_SEGMENT = 16 * MEGABYTE
"""PostgreSQL's write-ahead log grows by files of this size; with less room it ends."""

LAST_WRITES_S = 5.0
FULL = "No space left on device"

Wait = Callable[["subprocess.Popen[bytes]"], int]
Pause = Callable[[float], None]


class EmbeddedPostgres:
    """The cluster of one data home. Whoever calls holds the home's lock."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.log_file = home.logs / "postgresql.log"
        self._account = engine.database_account()
        self._programs = Path()
        self._socket_folder = Path()
        self._log_start = 0

    # -- making it ---------------------------------------------------------------------------

    def prepare(self, wait: Wait, pause: Pause) -> None:
        """Bring the home to where `start` can be called: programs, cluster, socket, configuration.

        `wait` waits for a child and returns its exit code, `pause` sleeps; both may raise to give
        up. Raises Damaged for a cluster that is not whole, Misconfigured when the account cannot
        reach it, StorageFull when there is no room for a first cluster.
        """
        self._check_reachable()
        try:
            major = self._major()
            self._programs = engine.reachable_programs(
                engine.find_programs(major), self._account, self.home.path / "engine"
            )
            if major is None:
                self._make_cluster(wait)
            self.home.note_cluster_made()
            self.end_leftovers(pause)
            self._claim_socket_folder()
            self._configure()
        except OSError as error:
            raise cannot_write(self.home.path, error) from error

    def _check_reachable(self) -> None:
        if self._account is None:
            return
        folder = engine.blocking_folder(self.home.cluster / "PG_VERSION", self._account)
        if folder is not None and folder != self.home.cluster:
            raise Misconfigured(
                "supervisor.home_unreachable",
                home=self.home.path,
                folder=folder,
                account=self._account.name,
            )

    def _major(self) -> int | None:
        """Major version of the cluster, None when it has still to be made."""
        cluster = self.home.cluster
        if not cluster.exists():
            if self.home.cluster_was_made():
                raise Damaged("supervisor.cluster_missing", folder=cluster)
            return None
        for part in ("PG_VERSION", "global/pg_control", "base", "pg_wal"):
            if not (cluster / part).exists():
                raise Damaged("supervisor.cluster_damaged", folder=cluster, part=part)
        text = (cluster / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
        if not text.isdecimal():
            raise Damaged("supervisor.cluster_damaged", folder=cluster, part="PG_VERSION")
        return int(text)

    def _make_cluster(self, wait: Wait) -> None:
        """initdb beside the final place, then one rename: a torn attempt is started over."""
        making = self.home.cluster_in_making
        _clear(making)
        if shutil.disk_usage(self.home.path).free < ROOM_FOR_CLUSTER:
            raise StorageFull("supervisor.disk_full", home=self.home.path)
        making.mkdir(mode=0o700)
        password_file = self.home.run / "initdb.password"
        password_file.unlink(missing_ok=True)
        with os.fdopen(
            os.open(password_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w"
        ) as f:
            f.write(self.home.secret("database_owner"))
        try:
            if self._account:
                os.chown(making, self._account.uid, self._account.gid)
                os.chown(password_file, self._account.uid, self._account.gid)
            argv = [
                str(self._programs / "initdb"),
                f"--pgdata={making}",
                f"--username={OWNER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
            ]
            code = wait(self._spawn(argv, signal.SIGTERM, {}))
        finally:
            password_file.unlink(missing_ok=True)
        if code != 0:
            shutil.rmtree(making, ignore_errors=True)
            raise self.failure()
        making.replace(self.home.cluster)
        sync_folder(self.home.path)

    def _claim_socket_folder(self) -> None:
        """A folder of mode 0700 for the socket: in the home, or under /tmp if that path is long."""
        inside = self.home.run / "socket"
        note = self.home.run / "socket_folder"
        if len(os.fsencode(inside / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            folder = inside
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            noted = Path(note.read_text(encoding="utf-8")) if note.exists() else None
            if noted and self._private(noted):
                folder = noted
            else:
                folder = Path(tempfile.mkdtemp(prefix="dothi-", dir="/tmp"))
                note.write_text(str(folder), encoding="utf-8")
        if self._account:
            os.chown(folder, self._account.uid, self._account.gid)
        self._socket_folder = folder

    def _private(self, folder: Path) -> bool:
        try:
            facts = folder.lstat()
        except OSError:
            return False
        ours = self._account.uid if self._account else os.geteuid()
        return (
            stat.S_ISDIR(facts.st_mode)
            and facts.st_uid == ours
            and stat.S_IMODE(facts.st_mode) == 0o700
        )

    def _configure(self) -> None:
        """Write our configuration; `pg/local.conf` is the operator's and read after it."""
        total = shutil.disk_usage(self.home.path).total
        wal_mb = max(64, min(256, total // 8 // MEGABYTE))
        values: Mapping[str, object] = {
            "listen_addresses": "''",
            "unix_socket_directories": _quoted(str(self._socket_folder)),
            "unix_socket_permissions": "0700",
            "password_encryption": "'scram-sha-256'",
            "max_connections": 60,
            "superuser_reserved_connections": 3,
            "shared_buffers": "'96MB'",
            "huge_pages": "off",
            "work_mem": "'8MB'",
            "maintenance_work_mem": "'64MB'",
            "effective_cache_size": "'512MB'",
            # Large analysis is DuckDB's; parallel queries need shared memory containers may lack.
            "max_parallel_workers_per_gather": 0,
            "max_parallel_maintenance_workers": 0,
            "jit": "off",
            "io_workers": 2,
            # After the crash of one process PostgreSQL ends and its supervisor starts it again:
            # its own restart cannot be stopped in time (18: a fast shutdown meanwhile hangs).
            "restart_after_crash": "off",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "wal_level": "'replica'",
            "wal_compression": "on",
            "max_wal_senders": 2,
            # Bounds how much a start after a crash has to replay.
            "max_wal_size": f"'{wal_mb}MB'",
            "min_wal_size": f"'{min(80, wal_mb // 2)}MB'",
            "autovacuum_max_workers": 2,
            "idle_in_transaction_session_timeout": "'5min'",
            # A backend whose client died lets go of its locks; macOS cannot tell.
            "client_connection_check_interval": "'2s'" if LINUX else "0",
            "logging_collector": "off",
            "log_line_prefix": "'%m [%p] %a '",
            "log_checkpoints": "off",
            "log_timezone": "'UTC'",
            "timezone": "'UTC'",
            "datestyle": "'iso, ymd'",
            "lc_messages": "'C'",
            "default_text_search_config": "'pg_catalog.simple'",
        }
        lines = ["# Written by dothi at each start. Your own settings go into local.conf.", ""]
        lines += [f"{name} = {value}" for name, value in values.items()]
        lines += ["", "include_if_exists = 'local.conf'", ""]
        self._place("postgresql.conf", "\n".join(lines))
        self._place(
            "pg_hba.conf",
            f"local all all scram-sha-256\nlocal replication {OWNER} scram-sha-256\n",
        )

    def _place(self, name: str, text: str) -> None:
        path = self.home.cluster / name
        with contextlib.suppress(OSError):
            if path.read_text(encoding="utf-8") == text:
                return
        fresh = path.with_name(name + ".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.chmod(0o600)
        if self._account:
            os.chown(fresh, self._account.uid, self._account.gid)
        fresh.replace(path)

    # -- running it --------------------------------------------------------------------------

    def start(
        self, mark: Mapping[str, str] | None = None, lifeline: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the postmaster as our child, with a bare environment and `mark`.

        `lifeline`: the pipe whose end means that we died, for systems whose kernel does not tell.
        """
        argv = [str(self._programs / "postgres"), "-D", str(self.home.cluster)]
        return self._spawn(argv, signal.SIGINT, mark or {}, lifeline)

    def _spawn(
        self,
        argv: list[str],
        death_signal: int,
        mark: Mapping[str, str],
        lifeline: int | None = None,
    ) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **mark}
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._log_start = os.fstat(log).st_size
            return spawn(
                argv,
                environment=environment,
                output=log,
                death_signal=death_signal,
                user=self._account,
                folder="/",
                watched=lifeline,
            )
        finally:
            os.close(log)

    def answer(self) -> probe.Answer:
        """Would it let a client in now?"""
        return probe.postgres(self._socket_folder / SOCKET_NAME, OWNER)

    def url(self, user: str, database: str = DATABASE) -> str:
        """Where and as whom to connect, password included: for an environment, never for argv."""
        password = self.home.secret("database_owner" if user == OWNER else "database_app")
        return f"postgresql://{user}:{password}@/{database}?host={quote(str(self._socket_folder), safe='')}"

    def failure(self) -> DothiError:
        """Why the postmaster ended, from what it logged since it was started."""
        text = self._logged()
        if FULL in text or shutil.disk_usage(self.home.path).free < LOG_SEGMENT:
            return StorageFull("supervisor.disk_full", home=self.home.path)
        lines = text.splitlines()
        fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line or "error:" in line]
        last = (fatal or lines or ["?"])[-1]
        for word in ("FATAL:", "PANIC:", "error:"):
            last = last.partition(word)[2] or last
        return Damaged("supervisor.postgresql_fails", reason=last.strip(), log=self.log_file)

    def disk_was_full(self) -> bool:
        """Did it end because the disk was full?"""
        return FULL in self._logged()

    def _logged(self) -> str:
        try:
            with self.log_file.open("rb") as log:
                log.seek(max(self._log_start, os.fstat(log.fileno()).st_size - 65_536))
                return log.read().decode("utf-8", "replace")
        except OSError:
            return ""

    # -- what an earlier run left ------------------------------------------------------------

    def end_leftovers(self, pause: Pause) -> None:
        """Let a postmaster of this very cluster that lost its supervisor end, and its processes.

        A lock file that names a process which is no postmaster of this cluster is removed, the
        process is not touched.
        """
        # An immediate shutdown loses nothing: what was committed is replayed.
        deadlines = ((3.0, signal.SIGINT), (3.0, signal.SIGQUIT), (5.0, signal.SIGKILL))
        for patience_s, number in deadlines:
            postmaster = self._postmaster()
            if postmaster is None:
                break
            postmaster.signal(number)
            _pause_while(lambda p=postmaster: p.alive(), patience_s, pause)
        # Without a postmaster the rest end by themselves; they still hold the shared memory.
        _pause_while(lambda: bool(self._processes()), 5.0, pause)
        for process in self._processes():
            process.signal(signal.SIGKILL)
        _pause_while(lambda: bool(self._processes()), 5.0, pause)
        if self._postmaster() is None:
            (self.home.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _postmaster(self) -> ProcessId | None:
        """The live postmaster that this cluster's lock file names, if it is one."""
        try:
            text = (self.home.cluster / "postmaster.pid").read_text(encoding="utf-8")
            process = ProcessId.of(abs(int(text.splitlines()[0])))
        except (OSError, ValueError, IndexError):
            return None
        if process is None or not self._runs_here(process.pid):
            return None
        return process

    def _runs_here(self, pid: int) -> bool:
        if program_of(pid) != "postgres":
            return False
        cluster = self.home.cluster.resolve()
        if LINUX:
            try:
                return Path(f"/proc/{pid}/cwd").readlink() == cluster
            except OSError:
                return False
        return str(self.home.cluster) in (ps(pid, "args=") or "")

    def _processes(self) -> list[ProcessId]:
        found = (ProcessId.of(p) for p in working_in(self.home.cluster.resolve()))
        return [p for p in found if p is not None and program_of(p.pid) == "postgres"]

    def forget_socket(self) -> None:
        """Remove the socket's folder after a clean stop."""
        with contextlib.suppress(OSError):
            self._socket_folder.rmdir()


def application_url(home: Home) -> str:
    """The application's way to the embedded database of a home that is running now.

    Raises Unavailable when it does not run.
    """
    if not home.locked():
        raise Unavailable("supervisor.not_running", retry_after_s=1, home=home.path)
    inside, note = home.run / "socket", home.run / "socket_folder"
    folder = inside if inside.is_dir() else Path(note.read_text(encoding="utf-8"))
    password = home.secret("database_app")
    return f"postgresql://{APPLICATION}:{password}@/{DATABASE}?host={quote(str(folder), safe='')}"


@contextmanager
def running(home: Home, patience_s: float = 60.0) -> Iterator[EmbeddedPostgres]:
    """An embedded PostgreSQL for the length of a block, without a supervisor: tests and tools."""
    home.prepare()
    lock = home.lock()
    try:
        database = EmbeddedPostgres(home)
        database.prepare(lambda child: child.wait(), time.sleep)
        child = database.start()
        try:
            deadline = time.monotonic() + patience_s
            while database.answer() is not probe.Answer.READY:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise database.failure()
                time.sleep(0.05)
            yield database
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
            child.wait()
            database.forget_socket()
    finally:
        os.close(lock)


def _pause_while(condition: Callable[[], bool], patience_s: float, pause: Pause) -> None:
    deadline = time.monotonic() + patience_s
    while condition() and time.monotonic() < deadline:
        pause(0.05)


def _clear(folder: Path) -> None:
    """Remove a torn attempt; an initdb whose supervisor was killed may write on for a moment."""
    deadline = time.monotonic() + LAST_WRITES_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
