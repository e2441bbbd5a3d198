"""`run`: what a job gets to see, with which walls it starts, and what its caller gets back."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import os
import re
import secrets
import shutil
import stat
import sys
import sysconfig
import time
from collections.abc import Iterable, Set
from functools import cache
from pathlib import Path

from dothi.jail.model import JailError, JailRefused, Job, Limits, Result
from dothi.jail.watch import Lacking, Watch, judge, too_much
from dothi.jail.workdir import Workdir, measure, take_back

log = logging.getLogger(__name__)

WALLS = ("namespaces", "own_uid", "landlock", "seccomp")

_ENTRY = re.compile(r"[a-zA-Z_]\w*(\.\w+)*:[a-zA-Z_]\w*")
_INPUT_NAME = re.compile(r"\w[\w. -]{0,199}")
# Above all ranges that distributions, containers and systemd hand out.
_FREE_UIDS = range(0x7000_0000, 0x7000_0000 + 0x10_0000)

# Walls this machine turned out not to have, and why. Filled by the first jobs of the process.
lacking: dict[str, str] = {}


def run(
    job: Job,
    limits: Limits,
    *,
    scratch: Path | None = None,
    leave_out: Set[str] = frozenset(),
) -> Result:
    """Do the job in a child of its own and wait for it; raises a JailError when it gives no result.

    `scratch` is the folder for its work directory, by default the system's for temporary files.
    May be called from any thread; nothing is left behind on any way out. `leave_out` omits walls
    (`WALLS`), for tests that prove of each that it holds alone.
    """
    _check(job)
    while True:
        walls = [wall for wall in _walls_here() if wall not in leave_out and wall not in lacking]
        if "namespaces" not in walls and "own_uid" in walls:
            walls.remove("own_uid")  # only a bind mount makes our files reachable for another user
        try:
            return _run_once(job, limits, scratch, walls)
        except Lacking as missing:
            log.warning("this machine offers no %s to the jail: %s", missing.wall, missing.why)
            lacking[missing.wall] = missing.why
        except JailError as error:
            # As a literal: what a hostile job says must not look like lines of the log.
            log.warning("job %s: %s %r", job.entry, error, error.detail)
            raise


def _walls_here() -> tuple[str, ...]:
    if sys.platform != "linux":
        return ()
    return WALLS if os.geteuid() == 0 else tuple(wall for wall in WALLS if wall != "own_uid")


def _check(job: Job) -> None:
    if not _ENTRY.fullmatch(job.entry):
        raise JailRefused("jail.no_entry", entry=job.entry)
    for name, path in job.inputs.items():
        if not _INPUT_NAME.fullmatch(name):
            raise JailRefused("jail.bad_input_name", name=name)
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise JailRefused("jail.bad_input", name=name) from error
        # A symlink is somebody else's choice of what the job gets to see.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or not os.access(path, os.R_OK):
            raise JailRefused("jail.bad_input", name=name)


def _run_once(job: Job, limits: Limits, scratch: Path | None, walls: list[str]) -> Result:
    started = time.monotonic()
    work = Workdir(scratch)
    try:
        uid = _free_uid() if "own_uid" in walls else None
        spec = {
            "entry": job.entry,
            "args": dict(job.args),
            "inputs": {
                name: str(_stage(work, name, path.resolve(), foreign=uid is not None))
                for name, path in job.inputs.items()
            },
            "readable": [str(path) for path in _code(job.entry)],
            "folder": str(work.path),
            "limits": dataclasses.asdict(limits),
            "walls": walls,
            "uid": uid,
            "count_tasks": uid is not None or ("namespaces" in walls and _own_user_namespace()),
        }
        heard = Watch(spec, limits, work.out, started).until_the_end()
        value = judge(heard, limits)
        take_back(work.out)
        if measure(work.out) > limits.output_bytes:
            raise too_much(limits)
        return Result(
            value=value,
            files=work.out,
            cpu_s=heard.end["cpu_s"],
            max_rss_bytes=heard.end["max_rss_bytes"],
            wall_s=time.monotonic() - started,
            in_force=frozenset(heard.in_force),
            close=work.remove,
        )
    except BaseException:
        work.remove()
        raise


def _stage(work: Workdir, name: str, path: Path, *, foreign: bool) -> Path:
    """The path to show the job as input `name`: the file itself, or a copy it may read."""
    place = work.path / "in" / name
    mode = path.stat().st_mode
    if foreign and not mode & stat.S_IROTH:
        if stat.S_ISDIR(mode):
            raise JailRefused("jail.closed_folder", name=name)
        shutil.copyfile(path, place)
        place.chmod(0o644)
        return place
    place.symlink_to(path)
    return path


@cache
def _free_uid_range() -> range:
    """User ids that nobody has; inside a container only part of all numbers exists."""
    mapped = [
        range(int(first), int(first) + int(count))
        for first, _, count in map(str.split, Path("/proc/self/uid_map").read_text().splitlines())
    ]
    if any(_FREE_UIDS[0] in ids and _FREE_UIDS[-1] in ids for ids in mapped):
        return _FREE_UIDS
    return mapped[-1][-1:] if mapped and mapped[-1][-1] != 0 else range(0)


def _free_uid() -> int | None:
    """Another one for each job, so that two jobs cannot touch each other either."""
    ids = _free_uid_range()
    return ids[secrets.randbelow(len(ids))] if ids else None


@cache
def _own_user_namespace() -> bool:
    """Whether the job's processes are counted apart from the caller's: from Linux 5.14 on there."""
    major, minor = re.findall(r"\d+", os.uname().release)[:2]
    return os.geteuid() != 0 and (int(major), int(minor)) >= (5, 14)


@cache
def _code(entry: str) -> tuple[Path, ...]:
    """What an interpreter needs to run the entry: its libraries, ours, and the entry's package."""
    top = entry.partition(":")[0].partition(".")[0]
    found = [importlib.util.find_spec(name) for name in {"dothi", top}]
    packages: list[str] = []
    for spec in found:
        if spec is None or not spec.submodule_search_locations:
            raise JailRefused("jail.no_entry", entry=entry)
        packages += spec.submodule_search_locations
    named = ("stdlib", "platstdlib", "purelib", "platlib")
    wanted = [sysconfig.get_path(name) for name in named]
    wanted += [f"{sys.base_prefix}/lib", "/lib", "/lib64", "/usr/lib", "/usr/lib64"]
    wanted += ["/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache"]
    return _outermost(Path(path) for path in [*packages, *wanted])


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if path.exists() and not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return tuple(kept)
