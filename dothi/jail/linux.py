"""The few Linux system calls that Python 3.11 does not offer, as functions that raise OSError."""

from __future__ import annotations

import ctypes
import os
from functools import cache

# Numbers that are the same on every architecture.
_MOUNT_SETATTR = 442

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

# What mount_setattr(2) may add to a mount.
READ_ONLY = 1
NO_SUID = 2
NO_DEVICES = 4
NO_EXECUTE = 8


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *args: object) -> int:
    """A system call by number; integers go as 64 bits."""
    plain = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return _checked(_libc().syscall(ctypes.c_long(number), *plain), f"system call {number}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by the flags for new ones."""
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    done = _libc().mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _checked(done, f"mount {target}")


def protect_mount(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Add READ_ONLY, NO_SUID, NO_DEVICES, NO_EXECUTE to a mount and those below (Linux 5.12)."""
    change = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    syscall(
        _MOUNT_SETATTR, _AT_FDCWD, target.encode(), flags, ctypes.byref(change), ctypes.sizeof(change)
    )  # fmt: skip


def pivot_root_here() -> None:
    """Make the current folder, a mount point, the root and let go of the old root."""
    _checked(_libc().pivot_root(b".", b"."), "pivot_root")
    _checked(_libc().umount2(b".", ctypes.c_int(MNT_DETACH)), "umount2")
    os.chdir("/")


def _prctl(option: int, *args: object) -> None:
    _checked(_libc().prctl(ctypes.c_int(option), *args), f"prctl {option}")


def die_with_parent(signal_number: int) -> None:
    """Get this signal when the parent dies. Changing the user id forgets it."""
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number))


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def hide_memory() -> None:
    """Let no process of the same user trace this one or read its /proc files."""
    _prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0))


def no_new_privileges() -> None:
    """From here on nothing this process starts can gain rights."""
    zero = ctypes.c_ulong(0)
    _prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)


def drop_capabilities() -> None:
    """Give up every capability, for good together with `no_new_privileges`."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _checked(_libc().capset(ctypes.byref(header), ctypes.byref(nothing)), "capset")


def install_filter(program: bytes) -> None:
    """Put a seccomp filter (BPF instructions of 8 bytes) on this process and its children."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    filled = Program(len(program) // 8, program)
    _prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(filled))
