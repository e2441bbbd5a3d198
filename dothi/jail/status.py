"""Which protections hold on this machine, found out by running a job, and which do not."""

from __future__ import annotations

import os
import sys
from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

from dothi.jail import landlock, parent
from dothi.jail.model import Job, Limits
from dothi.kernel.i18n import t

Level = Literal["full", "part", "none"]


@dataclass(frozen=True)
class Protection:
    """One thing a job must not be able to do, how far this machine prevents it, and by what."""

    name: str
    level: Level
    by: tuple[str, ...]

    def text(self, lang: str) -> str:
        """What is protected and how far, for an administrator."""
        return f"{t(f'jail.protects.{self.name}', lang)}: {t(f'jail.level.{self.level}', lang)}"

    def degrades(self, lang: str) -> str:
        """What can happen because the protection is not full; empty where it is."""
        return "" if self.level == "full" else t(f"jail.degrades.{self.name}", lang)


def status(*, leave_out: Set[str] = frozenset()) -> list[Protection]:
    """All protections, most important first. Runs one short job; raises JailError if it cannot."""
    with parent.run(Job("dothi.jail.child:nothing"), Limits(), leave_out=leave_out) as result:
        return _protections(result.in_force, _landlock_version(), as_root=os.geteuid() == 0)


def _landlock_version() -> int:
    if sys.platform != "linux":
        return 0  # the number of the call means something else there
    try:
        return landlock.version()
    except OSError:
        return 0


def _protections(in_force: Set[str], version: int, *, as_root: bool) -> list[Protection]:
    def by(*walls: str) -> tuple[str, ...]:
        return tuple(wall for wall in walls if wall in in_force)

    def level(full: bool, part: bool = False) -> Level:
        return "full" if full else "part" if part else "none"

    spaces, filtered = "namespaces" in in_force, "seccomp" in in_force
    locked = "landlock" in in_force
    return [
        # Landlock alone leaves names, sizes and rights of files open to be seen and changed.
        Protection("files", level(spaces or (locked and filtered and version >= 3), locked),
                   by("namespaces", "landlock")),
        Protection("network", level(spaces or filtered, locked and version >= 4),
                   by("namespaces", "seccomp", "landlock")),
        Protection("processes", level(spaces or (filtered and locked), filtered or (locked and version >= 6)),
                   by("namespaces", "seccomp", "landlock")),
        Protection("memory", level("memory" in in_force), by("memory")),
        Protection("time", "full", ()),
        Protection("output", "full", ()),
        Protection("environment", "full", ()),
        Protection("ending", level(spaces or filtered), by("namespaces", "seccomp")),
        Protection("tasks", level("tasks" in in_force, filtered), by("tasks", "seccomp")),
        Protection("user", level("own_uid" in in_force, not as_root), by("own_uid")),
    ]  # fmt: skip
