"""The jail: hostile or heavy work runs in a short-lived child that can reach nothing but its task.

    with jail.run(Job("dothi.lake.foreign:read", inputs={"upload.csv": path}), Limits()) as result:
        use(result.value, result.files)

`model` says what a job, its limits and its failures are; `parent` starts and watches the child;
`child` is what runs there: keeper, init and job, each with less power than the one before;
`namespaces`, `landlock` and `seccomp` are its three independent walls; `workdir` keeps the folder
they share; `status` tells which protections are in force on this machine.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dothi.jail.model import (
        JailCrashed,
        JailError,
        JailMemory,
        JailOutput,
        JailRefused,
        JailTimeout,
        Job,
        Limits,
        Result,
    )
    from dothi.jail.parent import run
    from dothi.jail.status import Protection, status
    from dothi.jail.workdir import sweep

__all__ = [
    "JailCrashed",
    "JailError",
    "JailMemory",
    "JailOutput",
    "JailRefused",
    "JailTimeout",
    "Job",
    "Limits",
    "Protection",
    "Result",
    "run",
    "status",
    "sweep",
]

_HOMES = {"run": "parent", "status": "status", "Protection": "status", "sweep": "workdir"}


def __getattr__(name: str) -> Any:
    # Found on first use: every child imports this package too and must not pay for the parent.
    if name not in __all__:
        raise AttributeError(name)
    from importlib import import_module

    value = getattr(import_module(f"dothi.jail.{_HOMES.get(name, 'model')}"), name)
    globals()[name] = value
    return value
