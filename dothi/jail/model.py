"""What a job is, what it may use, what comes back, and the ways it can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from dothi.kernel.errors import DothiError

MIB = 1024 * 1024


@dataclass(frozen=True)
class Job:
    """A call to make inside the jail: `entry(args, inputs, out)`.

    `entry` names a function of ours as "package.module:function"; it is never text from outside.
    `args` is anything JSON can hold. `inputs` are the only files and folders the job may read,
    under the given names: a plain file name each, and the function gets the path that holds
    inside. Files written below `out` come back in `Result.files`; the return value, JSON too,
    in `Result.value`. Both are the job's word, to be judged like any input: what ran inside may
    have been taken over by the file it was reading.
    """

    entry: str
    args: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What one job may use at most; crossing a limit ends the job with the error of that limit.

    `wall_s` runs from the call; `cpu_s` counts whole seconds, over all threads.
    `address_space_bytes` holds for each process: a job has one unless `processes` says more, and
    only then may it fork at all. `threads` come on top. `output_bytes` is the sum of the files
    below `out`.
    """

    address_space_bytes: int = 2048 * MIB
    cpu_s: int = 60
    wall_s: float = 60.0
    output_bytes: int = 256 * MIB
    open_files: int = 64
    processes: int = 1
    threads: int = 16


@dataclass
class Result:
    """What a job gave back; a context manager, because `files` is gone after `close`.

    `files` holds plain files and folders only, owned by the caller. `cpu_s` and `max_rss_bytes`
    (of the largest process) are those of init and job, without starting the interpreter.
    """

    value: Any
    files: Path
    cpu_s: float
    max_rss_bytes: int
    wall_s: float
    in_force: frozenset[str]
    close: Callable[[], None]

    def __enter__(self) -> Result:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class JailError(DothiError):
    """The job did not give a result. `detail` is what it printed last: for the log, not the user."""

    code: ClassVar[str] = "jail"

    def __init__(self, key: str, *, detail: str = "", **params: object) -> None:
        super().__init__(key, **params)
        self.detail = detail


class JailTimeout(JailError):
    """The job used up its seconds, on the clock or on the processor."""

    code = "jail_timeout"


class JailMemory(JailError):
    """The job asked for more memory than it may have."""

    code = "jail_memory"


class JailOutput(JailError):
    """The job wrote or returned more than it may, or something that is no plain file."""

    code = "jail_output"


class JailCrashed(JailError):
    """The job died or broke off without a usable result."""

    code = "jail_crashed"


class JailRefused(JailError):
    """The job was not started: its entry, its inputs or this machine do not allow it."""

    code = "jail_refused"
