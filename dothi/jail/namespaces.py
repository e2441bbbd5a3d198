"""Own mounts, process ids, network and IPC for the job: what it may not touch is not there.

As root this needs CAP_SYS_ADMIN; as an ordinary user the job gets a user namespace of its own,
in which the keeper is mighty for as long as it takes to furnish it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dothi.jail import linux

IN = Path("/in")
OUT = Path("/out")

_DEVICES = ("null", "zero", "random", "urandom")
_INSIDE_ID = 1000


class CannotShow(Exception):
    """A file or folder that the job needs cannot be mounted; the fault is not the machine's."""


def separate(*, as_root: bool) -> None:
    """New network, IPC and host name for this process; new process ids for its next child."""
    flags = linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    if as_root:
        linux.unshare(flags)
        return
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(flags | linux.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_INSIDE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE_ID} {gid} 1")


def furnish(root: Path, readable: Iterable[Path], inputs: Mapping[str, Path], out: Path) -> None:
    """Make the empty folder `root` the whole world of this process.

    It then holds `readable` under the same paths, the inputs below `IN`, and `out` as `OUT`, the
    only place that can be written. Raises OSError where the machine forbids this, CannotShow
    for a path that cannot be mounted.
    """
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("jail", str(root), "tmpfs", flags, "size=1m,mode=0755")
    library = linux.READ_ONLY | linux.NO_SUID | linux.NO_DEVICES
    for path in readable:
        _show(path, root / path.relative_to("/"), library)
    for name, path in inputs.items():
        _show(path, root / "in" / name, library | linux.NO_EXECUTE)
    for name in _DEVICES:
        _show(Path("/dev", name), root / "dev" / name, linux.NO_SUID | linux.NO_EXECUTE)
    _show(out, root / "out", linux.NO_SUID | linux.NO_DEVICES | linux.NO_EXECUTE)
    _show_processes(root / "proc")
    os.chdir(root)
    linux.pivot_root_here()
    linux.protect_mount("/", linux.READ_ONLY, recursive=False)


def _show(source: Path, target: Path, attributes: int) -> None:
    try:
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        linux.mount(str(source), str(target), "", linux.MS_BIND | linux.MS_REC)
        linux.protect_mount(str(target), attributes)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise
        raise CannotShow(f"{source}: {error}") from error


def _show_processes(target: Path) -> None:
    """A /proc with the job's own processes and nothing else of the kernel, where one is granted."""
    target.mkdir()
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_RDONLY
    # Inside some containers a fresh /proc is forbidden. Nothing of ours needs it.
    with contextlib.suppress(OSError):
        linux.mount("proc", str(target), "proc", flags, "subset=pid")
