"""A seccomp filter: system calls a job has no business with answer "not permitted".

A list of what is refused, not of what is allowed: numpy, DuckDB and the C library change what
they call with each release. It is therefore one wall of three, and it is the one that holds
where namespaces are forbidden: it alone stops local and UDP sockets, signals to other processes
of the same user, chmod, ptrace and programs being started.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from dothi.jail import linux

# name: (x86_64, aarch64); None where the architecture never had the call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # the network and everything that pretends to be it
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200),
    "listen": (50, 201), "accept4": (288, 242),
    # other processes: seeing, stopping, slowing down
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # leaving the process group the keeper kills, starting programs
    "setsid": (112, 157), "setpgid": (109, 154), "execve": (59, 221), "execveat": (322, 281),
    # memory that address space and file size limits do not count
    "memfd_create": (319, 279), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "mq_open": (240, 180), "mq_unlink": (241, 181),
    # rights and ownership of files, which Landlock does not watch
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "mknod": (133, None),
    "mknodat": (259, 33), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "inotify_init": (253, None), "inotify_init1": (294, 26),
    "fanotify_init": (300, 262), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268),
    # corners of the kernel with a history of holes
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "personality": (135, 92), "vmsplice": (278, 75), "uselib": (134, None),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "ustat": (136, None),
    # the machine itself
    "acct": (163, 89), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "clock_settime": (227, 112), "settimeofday": (164, 170), "create_module": (174, None),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "ioperm": (173, None),
    "iopl": (172, None), "quotactl": (179, 60), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "syslog": (103, 116), "sethostname": (170, 161),
    "setdomainname": (171, 162), "vhangup": (153, 58),
}  # fmt: skip
_FORK: tuple[tuple[int | None, int | None], ...] = ((57, None), (58, None))
_CLONE, _TGKILL, _PRLIMIT = (56, 220), (234, 131), (302, 261)

# Since Linux 5.1 all architectures share one numbering. Of everything newer only these are let
# through; the rest "does not exist", which every library must expect on an older kernel. For
# clone3 that makes the C library fall back to clone, whose flags a filter can read.
_FIRST_SHARED = 424
_NEW_AND_HARMLESS = (436, 439, 441, 449)  # close_range, faccessat2, epoll_pwait2, futex_waitv

_CLONE_THREAD = 0x0001_0000
_CLONE_NEW_ANYTHING = 0x7E02_0000
_X32_BIT = 0x4000_0000
_ARCHITECTURES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}

# Classic BPF. The data it reads: number at 0, architecture at 4, arguments from 16, 8 bytes each.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW = 0x7FFF_0000
_NOT_PERMITTED = 0x0005_0000 | errno.EPERM
_NO_SUCH_CALL = 0x0005_0000 | errno.ENOSYS


def restrict(*, may_fork: bool) -> None:
    """Filter this process from now on. Needs `no_new_privileges`.

    Raises OSError (ENOSYS) on an architecture whose numbers we do not have.
    """
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call numbers for {machine}")
    linux.install_filter(_program(machine, may_fork=may_fork, own_pid=os.getpid()))


def _program(machine: str, *, may_fork: bool, own_pid: int) -> bytes:
    column, architecture = _ARCHITECTURES[machine]
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _NOT_PERMITTED),
        _step(_LOAD, _NUMBER),
        *_when(_AT_LEAST, _X32_BIT, _NO_SUCH_CALL),
    ]
    for number in _NEW_AND_HARMLESS:
        code += _when(_EQUAL, number, _ALLOW)
    code += _when(_AT_LEAST, _FIRST_SHARED, _NO_SUCH_CALL)
    calls: Iterable[tuple[int | None, int | None]] = _REFUSED.values()
    for numbers in [*calls, *(() if may_fork else _FORK)]:
        number = numbers[column]
        if number is not None:
            code += _when(_EQUAL, number, _NOT_PERMITTED)
    new_process = () if may_fork else (_step(_ANY_BIT, _CLONE_THREAD, 1, 0), _refuse())
    code += _inspect(
        _CLONE[column], (*_when(_ANY_BIT, _CLONE_NEW_ANYTHING, _NOT_PERMITTED), *new_process)
    )
    # abort() signals its own process; prlimit(0, …) is how the C library reads our own limits.
    code += _inspect(_TGKILL[column], (_step(_EQUAL, own_pid, 1, 0), _refuse()))
    code += _inspect(_PRLIMIT[column], (_step(_EQUAL, 0, 1, 0), _refuse()))
    code.append(_step(_RETURN, _ALLOW))
    return b"".join(code)


def _inspect(number: int, steps: tuple[bytes, ...]) -> list[bytes]:
    """Where the call is `number`: run the steps over the low half of its first argument."""
    inner = [_step(_LOAD, _FIRST_ARGUMENT), *steps, _step(_RETURN, _ALLOW)]
    return [_step(_EQUAL, number, 0, len(inner)), *inner]


def _when(test: int, value: int, answer: int) -> tuple[bytes, bytes]:
    return _step(test, value, 0, 1), _step(_RETURN, answer)


def _refuse() -> bytes:
    return _step(_RETURN, _NOT_PERMITTED)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
