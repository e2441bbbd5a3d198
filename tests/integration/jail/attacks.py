"""Ways out of the jail, each an attempt to do something for real: they end with an exception where
a wall stands, and return what they got where none does."""

from __future__ import annotations

import _posixshmem  # type: ignore[import-not-found]
import ctypes
import os
import resource
import signal
import socket
from pathlib import Path
from typing import Any

Args = dict[str, Any]
Inputs = dict[str, Path]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# -- files ----------------------------------------------------------------------------------------


def read(args: Args, _inputs: Inputs, _out: Path) -> str:
    return Path(args["secret"]).read_text()


def read_beside_the_input(args: Args, inputs: Inputs, _out: Path) -> str:
    place = Path(os.path.realpath(inputs["upload.csv"])).parent
    return (place / Path(args["secret"]).name).read_text()


def read_upwards(args: Args, inputs: Inputs, _out: Path) -> str:
    up = "/.." * 30
    return Path(f"{inputs['folder']}{up}{args['secret']}").read_text()


def read_through_a_link_in_the_input(_args: Args, inputs: Inputs, _out: Path) -> str:
    return (inputs["folder"] / "link.csv").read_text()


def read_through_own_link(args: Args, _inputs: Inputs, out: Path) -> str:
    (out / "own.csv").symlink_to(args["secret"])
    try:
        return (out / "own.csv").read_text()
    finally:
        (out / "own.csv").unlink()


def read_with_duckdb(args: Args, _inputs: Inputs, _out: Path) -> str:
    import duckdb

    query = "SELECT * FROM read_csv(?, header=false, columns={'line': 'VARCHAR'})"
    row = duckdb.execute(query, [args["secret"]]).fetchone()
    assert row is not None
    return row[0]


def link_into_the_output(args: Args, _inputs: Inputs, out: Path) -> str:
    os.link(args["secret"], out / "linked")
    return (out / "linked").read_text()


def list_the_home(args: Args, _inputs: Inputs, _out: Path) -> list[str]:
    return [path.name for path in Path(args["secret"]).parent.iterdir()]


def overwrite(args: Args, _inputs: Inputs, _out: Path) -> int:
    return Path(args["secret"]).write_text("spoiled")


def overwrite_the_input(_args: Args, inputs: Inputs, _out: Path) -> int:
    return inputs["upload.csv"].write_text("spoiled")


def delete(args: Args, _inputs: Inputs, _out: Path) -> None:
    Path(args["secret"]).unlink()


def open_up(args: Args, _inputs: Inputs, _out: Path) -> None:
    Path(args["secret"]).chmod(0o666)


def plant_a_file(args: Args, _inputs: Inputs, _out: Path) -> int:
    return (Path(args["secret"]).parent / "planted.txt").write_text("here")


# -- the network ----------------------------------------------------------------------------------


def connect_tcp(args: Args, _inputs: Inputs, _out: Path) -> str:
    with socket.create_connection(("127.0.0.1", args["tcp"]), 2) as line:
        return line.recv(16).decode()


def connect_local_socket(args: Args, _inputs: Inputs, _out: Path) -> str:
    return _greeting(args["unix"])


def connect_abstract_socket(args: Args, _inputs: Inputs, _out: Path) -> str:
    return _greeting("\0" + args["abstract"])


def _greeting(address: str) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(2)
        line.connect(address)
        return line.recv(16).decode()


def ask_by_udp(args: Args, _inputs: Inputs, _out: Path) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(1)
        line.sendto(b"?", ("127.0.0.1", args["udp"]))
        return line.recv(16).decode()


def reach_the_world(args: Args, _inputs: Inputs, _out: Path) -> None:
    # Routing alone shows it: a datagram socket "connects" without sending anything.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", args["udp"]))


# -- other processes --------------------------------------------------------------------------------


def read_their_environment(args: Args, _inputs: Inputs, _out: Path) -> str:
    text = Path(f"/proc/{args['victim']}/environ").read_bytes()
    assert text
    return text.decode()


def look_through_their_root(args: Args, _inputs: Inputs, _out: Path) -> str:
    return Path(f"/proc/{args['victim']}/root{args['secret']}").read_text()


def end_them(args: Args, _inputs: Inputs, _out: Path) -> None:
    os.kill(args["victim"], signal.SIGTERM)


def trace_them(args: Args, _inputs: Inputs, _out: Path) -> None:
    seize, detach = 0x4206, 17
    _checked(_libc().ptrace(ctypes.c_long(seize), ctypes.c_long(args["victim"]), None, None))
    _libc().ptrace(ctypes.c_long(detach), ctypes.c_long(args["victim"]), None, None)


def starve_them(args: Args, _inputs: Inputs, _out: Path) -> None:
    resource.prlimit(args["victim"], resource.RLIMIT_NOFILE, (3, 3))


def slow_them_down(args: Args, _inputs: Inputs, _out: Path) -> None:
    os.setpriority(os.PRIO_PROCESS, args["victim"], 19)


# -- more of its own ----------------------------------------------------------------------------------


def fork(_args: Args, _inputs: Inputs, _out: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def start_a_program(_args: Args, _inputs: Inputs, _out: Path) -> None:
    os.execv("/bin/true", ["true"])


def share_memory(_args: Args, _inputs: Inputs, _out: Path) -> None:
    name = f"/dothi-test-{os.getpid()}"
    os.close(_posixshmem.shm_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    _posixshmem.shm_unlink(name)


def share_system_v_memory(_args: Args, _inputs: Inputs, _out: Path) -> None:
    private, remove = 0, 0
    number = _checked(_libc().shmget(private, ctypes.c_size_t(4096), 0o600))
    _libc().shmctl(number, remove, None)


def make_a_file_of_memory(_args: Args, _inputs: Inputs, _out: Path) -> None:
    os.close(os.memfd_create("hidden"))


def new_user_namespace(_args: Args, _inputs: Inputs, _out: Path) -> None:
    _checked(_libc().unshare(0x1000_0000))


def ring_of_requests(_args: Args, _inputs: Inputs, _out: Path) -> None:
    io_uring_setup = 425
    parameters = (ctypes.c_char * 120)()
    os.close(_checked(_libc().syscall(io_uring_setup, 4, parameters)))


def each(args: Args, inputs: Inputs, out: Path) -> dict[str, list[str]]:
    """All attacks named, one after the other: the exception's name or "done", and what it brought."""
    outcomes: dict[str, list[str]] = {}
    for name in args["names"]:
        try:
            got = globals()[name](args, inputs, out)
        except Exception as error:
            outcomes[name] = [type(error).__name__, str(error)]
        else:
            outcomes[name] = ["done", str(got)]
    return outcomes
