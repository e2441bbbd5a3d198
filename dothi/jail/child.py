"""What runs in the child: three processes, each with less power than the one before.

The *keeper* is started by the parent with an empty environment. It hears on standard input when
the parent wants the end, or is dead, and then ends everything and removes the folder. The *init*
builds the walls and, with process ids of its own, is number 1: when it goes, the kernel ends
every process inside, whatever those did to hide. The *job* gives up the rest, closes its way to
the keeper and only then imports the code that meets hostile input.

The keeper and its parent speak in lines of JSON on a pipe the job does not have; the job returns
its value on another one.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from dothi.jail import landlock, linux, namespaces, seccomp

NOT_SET_UP = 99
NICENESS = 5
_DETAIL_CHARS = 4000
# DuckDB asks these for the memory and processors it may use, and aborts where it sees but may not
# read them. In the job's own namespaces most are not there.
_ABOUT_THE_MACHINE = (
    *(Path("/dev", name) for name in ("zero", "random", "urandom")),
    Path("/proc/self"),
    Path("/sys/fs/cgroup"),
    Path("/sys/devices/system/cpu"),
)


class _NotSetUp(Exception):
    """A wall could not be built; the parent has been told and decides."""


class _Child:
    """The task as the parent wrote it, and the ways back to the parent."""

    def __init__(self, spec: dict[str, Any], status: int, result: int) -> None:
        self.spec = spec
        self.status = status
        self.result = result
        self.walls: list[str] = spec["walls"]
        self.limits: dict[str, Any] = spec["limits"]
        self.folder = Path(spec["folder"])
        self.in_force: list[str] = []

    def tell(self, **line: Any) -> None:
        os.write(self.status, json.dumps(line).encode() + b"\n")

    def lacks(self, wall: str, error: OSError) -> NoReturn:
        self.tell(lacking=wall, errno=error.errno, why=str(error))
        raise _NotSetUp


def main() -> None:
    """The keeper. Arguments: the descriptors for the status lines and for the job's value."""
    status, result = int(sys.argv[1]), int(sys.argv[2])
    size = int.from_bytes(_read_exactly(8), "big")
    child = _Child(json.loads(_read_exactly(size)), status, result)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Found now: once the walls stand, the folder that holds the package cannot be listed.
    importlib.import_module(child.spec["entry"].partition(".")[0])
    _prefer_to_die()
    try:
        _keep(child)
    except _NotSetUp:
        os._exit(NOT_SET_UP)


def nothing(_args: dict[str, Any], _inputs: dict[str, Path], _out: Path) -> None:
    """The shortest job: it only shows that the walls stand."""


def _keep(child: _Child) -> None:
    if "namespaces" in child.walls:
        try:
            namespaces.separate(as_root=os.geteuid() == 0)
        except OSError as error:
            child.lacks("namespaces", error)
    elif sys.platform == "linux":
        linux.adopt_orphans()
    alive, held = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(alive)
        _leave_with(_init, child, held)
    os.close(held)
    os.close(child.result)
    # `held` closes when init ends; standard input when the parent lets go of us.
    ended, _, _ = select.select([alive, 0], [], [])
    stopped = alive not in ended
    if stopped:
        os.kill(init, signal.SIGKILL)
    if "namespaces" not in child.walls:
        # Its group is all there is to hold on to. Init still is a zombie, so the number is ours.
        _kill_group(init)
    _, code = os.waitpid(init, 0)
    _reap_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    if stopped:
        from dothi.jail.workdir import remove

        remove(child.folder)
    scale = 1 if sys.platform == "darwin" else 1024
    child.tell(
        ended=os.waitstatus_to_exitcode(code),
        cpu_s=used.ru_utime + used.ru_stime,
        max_rss_bytes=used.ru_maxrss * scale,
    )


def _init(child: _Child, held: int) -> int:
    """Build the walls, start the job and wait for it; returns its exit code, 128 + n for a signal."""
    os.umask(0o022)
    os.setpgid(0, 0)
    if sys.platform == "linux":
        linux.die_with_parent(signal.SIGKILL)
    keeper = select.poll()
    keeper.register(held, 0)
    if keeper.poll(0):
        return NOT_SET_UP  # it died before we could ask to be told
    paths = _build(child)
    if sys.platform == "linux":
        linux.die_with_parent(signal.SIGKILL)
        linux.hide_memory()
        linux.no_new_privileges()
    job = os.fork()
    if job == 0:
        os.close(held)
        _leave_with(_job, child, paths)
    os.close(child.status)
    os.close(child.result)
    while True:
        pid, code = os.wait()
        if pid == job:
            exit_code = os.waitstatus_to_exitcode(code)
            return exit_code if exit_code >= 0 else 128 - exit_code


def _build(child: _Child) -> _Paths:
    inputs = {name: Path(path) for name, path in child.spec["inputs"].items()}
    readable = [Path(path) for path in child.spec["readable"]]
    out = child.folder / "out"
    uid: int | None = child.spec["uid"]
    if uid is not None:
        os.chown(out, uid, uid)
    if "namespaces" in child.walls:
        try:
            namespaces.furnish(child.folder / "root", readable, inputs, out)
        except namespaces.CannotShow as error:
            child.tell(refused=str(error))
            raise _NotSetUp from error
        except OSError as error:
            child.lacks("namespaces", error)
        child.in_force.append("namespaces")
        inputs = {name: namespaces.IN / name for name in inputs}
        out = namespaces.OUT
    else:
        inputs = {name: child.folder / "in" / name for name in inputs}
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        child.in_force.append("own_uid")
    if sys.platform == "linux":
        linux.drop_capabilities()
    return _Paths(readable, inputs, out)


class _Paths:
    """Where things are for the job: the real places without namespaces, short ones with them."""

    def __init__(self, readable: list[Path], inputs: dict[str, Path], out: Path) -> None:
        self.readable = readable
        self.inputs = inputs
        self.out = out


def _job(child: _Child, paths: _Paths) -> int:
    if sys.platform == "linux":
        linux.die_with_parent(signal.SIGKILL)
    _limit(child)
    if "landlock" in child.walls:
        readable = [*paths.readable, *paths.inputs.values(), *_ABOUT_THE_MACHINE]
        try:
            landlock.restrict(readable, [paths.out, Path("/dev/null")])
        except OSError as error:
            child.lacks("landlock", error)
        child.in_force.append("landlock")
    if "seccomp" in child.walls:
        try:
            seccomp.restrict(may_fork=child.limits["processes"] > 1)
        except OSError as error:
            child.lacks("seccomp", error)
        child.in_force.append("seccomp")
    child.tell(in_force=child.in_force)
    os.close(child.status)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ["HOME"] = os.environ["TMPDIR"] = str(paths.out)
    os.chdir(paths.out)
    answer = _call(child.spec, paths)
    sys.stdout.flush()
    sys.stderr.flush()
    while answer:
        answer = answer[os.write(child.result, answer) :]
    return 0


def _call(spec: dict[str, Any], paths: _Paths) -> bytes:
    """The job's value, or why there is none, as JSON."""
    module, _, function = spec["entry"].partition(":")
    try:
        entry = getattr(importlib.import_module(module), function)
        value = entry(spec["args"], paths.inputs, paths.out)
        return json.dumps({"value": value}, allow_nan=False).encode()
    except BaseException as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        number = getattr(error, "errno", None)
        if kinds & {"MemoryError", "OutOfMemoryException"} or number == 12:
            # Its frames still hold the memory: nothing may be formatted before they are gone.
            return b'{"failed": "memory"}'
        failed = "output" if number == 27 else "crashed"  # EFBIG
        detail = "".join(traceback.format_exception(error))[-_DETAIL_CHARS:]
        return json.dumps({"failed": failed, "detail": detail}).encode()


def _limit(child: _Child) -> None:
    limits = child.limits
    cpu = max(1, math.ceil(limits["cpu_s"]))
    _set(resource.RLIMIT_CPU, cpu, cpu + 1)
    _set(resource.RLIMIT_NOFILE, limits["open_files"])
    _set(resource.RLIMIT_FSIZE, limits["output_bytes"])
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_MEMLOCK, 0)
    if child.spec["count_tasks"]:
        # The kernel counts threads, and counts init; the keeper too where it has our user id.
        _set(resource.RLIMIT_NPROC, limits["processes"] + limits["threads"] + 2)
        child.in_force.append("tasks")
    if sys.platform == "linux":  # macOS accepts the number and ignores it
        _set(resource.RLIMIT_AS, limits["address_space_bytes"])
        child.in_force.append("memory")
    os.nice(NICENESS)


def _set(what: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or leave a lower one that already holds."""
    _, most = resource.getrlimit(what)
    hard = soft if hard is None else hard
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(what, (soft, hard))


def _prefer_to_die() -> None:
    """When the machine runs out of memory, let it be us and not the database."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:
        return


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _reap_orphans() -> None:
    """What init left when it was killed came to us; without namespaces it may take a moment."""
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.001)


def _leave_with(role: Any, child: _Child, extra: Any) -> NoReturn:
    """Run a role in a fresh fork and end there; nothing of the forked stack may run again."""
    code = NOT_SET_UP
    try:
        code = role(child, extra)
    except _NotSetUp:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _read_exactly(size: int) -> bytes:
    got = b""
    while len(got) < size:
        part = os.read(0, size - len(got))
        if not part:
            os._exit(NOT_SET_UP)
        got += part
    return got
