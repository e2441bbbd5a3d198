"""Landlock: the kernel's own list of what a process may open, open to every user (Linux 5.13).

It follows files, not names: a symlink or `..` that leads elsewhere is judged by where it leads.
What it cannot see: metadata (stat, chmod), sockets by path, UDP; the seccomp filter covers those.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from dothi.jail import linux

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_REFER = 1 << 13
_TRUNCATE = 1 << 14

# Rights that exist at each version of the interface: execute…make_sym, then one more each.
_FIRST_RIGHTS = (1 << 13) - 1
_SINCE = ((2, _REFER), (3, _TRUNCATE), (5, 1 << 15))
_TCP_BIND_AND_CONNECT = 0b11  # since 4
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11  # since 6

# Never granted: execute, and making links, sockets, pipes or devices.
_READ = _READ_FILE | _READ_DIR
_WRITE = _WRITE_FILE | _TRUNCATE | _MAKE_REG | _MAKE_DIR | _REMOVE_FILE | _REMOVE_DIR | _REFER
_FOR_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE


def version() -> int:
    """The version of the interface this kernel speaks; raises OSError where it has none."""
    return linux.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> int:
    """Close everything to this process but the given files and folders; returns the version.

    Needs `no_new_privileges`. Paths that do not exist are left out.
    """
    known = version()
    handled = _FIRST_RIGHTS
    for since, right in _SINCE:
        if known >= since:
            handled |= right
    network = _TCP_BIND_AND_CONNECT if known >= 4 else 0
    scoped = _ABSTRACT_SOCKETS_AND_SIGNALS if known >= 6 else 0
    attributes = (ctypes.c_uint64 * 3)(handled, network, scoped)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = linux.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        for path in writable:
            _allow(ruleset, path, (_READ | _WRITE) & handled)
        linux.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return known


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(there).st_mode):
            rights &= _FOR_A_FILE
        # struct landlock_path_beneath_attr is packed: u64 rights, s32 file descriptor.
        rule = rights.to_bytes(8, "little") + there.to_bytes(4, "little")
        linux.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(there)
