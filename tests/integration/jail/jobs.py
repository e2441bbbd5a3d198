"""Jobs for the tests: honest ones, greedy ones, and some that lie about their end."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

Args = dict[str, Any]
Inputs = dict[str, Path]


def echo(args: Args, inputs: Inputs, out: Path) -> Args:
    print("said aloud")
    (out / "letter.txt").write_text("from inside")
    (out / "deeper").mkdir()
    (out / "deeper" / "note.txt").write_text("also")
    return {"args": args, "inputs": {name: path.name for name, path in inputs.items()}}


def lines(_args: Args, inputs: Inputs, _out: Path) -> int:
    with inputs["upload.csv"].open() as text:
        return sum(1 for _ in text)


def surroundings(_args: Args, _inputs: Inputs, _out: Path) -> Args:
    return {
        "environment": dict(os.environ),
        "files": [number for number in range(64) if _is_open(number)],
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "pid": os.getpid(),
    }


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def whole_world(_args: Args, _inputs: Inputs, _out: Path) -> Args:
    folders = map(Path, ("/", "/dev", "/etc", "/in", "/out", "/proc"))
    return {str(one): sorted(path.name for path in one.iterdir()) for one in folders}


# -- the libraries that will run here ---------------------------------------------------------------


def csv_to_parquet(args: Args, inputs: Inputs, out: Path) -> Args:
    import duckdb

    connection = duckdb.connect(config={"threads": 2, **args.get("config", {})})
    source = str(inputs["upload.csv"])
    target = str(out / "rows.parquet")
    connection.execute(f"COPY (SELECT * FROM read_csv('{source}')) TO '{target}'")
    row = connection.execute(f"SELECT count(*) FROM '{target}'").fetchone()
    assert row is not None
    return {"rows": row[0]}


def local_hour(_args: Args, _inputs: Inputs, _out: Path) -> str:
    import duckdb
    import duckdb_extension_icu

    connection = duckdb.connect()
    package = Path(duckdb_extension_icu.__file__).parent
    for extension in package.rglob("*.duckdb_extension"):
        connection.execute(f"LOAD '{extension}'")
    connection.execute("SET TimeZone = 'Asia/Ho_Chi_Minh'")
    row = connection.execute(
        "SELECT strftime(TIMESTAMPTZ '2018-03-11 17:00:00+00', '%Y-%m-%d %H:%M')"
    ).fetchone()
    assert row is not None
    return row[0]


def numbers_and_shapes(_args: Args, _inputs: Inputs, _out: Path) -> Args:
    import numpy as np
    import shapely

    product = np.ones((400, 400)) @ np.ones((400, 400))
    return {"sum": float(product.sum()), "area": shapely.box(0, 0, 2, 3).area}


def sql(args: Args, _inputs: Inputs, _out: Path) -> list[Any]:
    import duckdb

    return duckdb.connect(config={"threads": 2}).execute(args["sql"]).fetchall()


def read_as_csv(_args: Args, inputs: Inputs, _out: Path) -> str:
    import duckdb

    (path,) = inputs.values()
    query = "SELECT * FROM read_csv(?, header=false, delim='\t', quote='', all_varchar=true)"
    return str(duckdb.execute(query, [str(path)]).fetchall())


def read_with_gdal(args: Args, inputs: Inputs, _out: Path) -> str:
    if args.get("with_vrt"):  # what an earlier line of the same job might have done
        os.environ.pop("OGR_SKIP")
        os.environ.pop("GDAL_SKIP")
    raw = importlib.import_module("pyogrio.raw")
    (path,) = inputs.values()
    return str(raw.read(str(path)))


# -- using up -----------------------------------------------------------------------------------------


def eat_bytes(_args: Args, _inputs: Inputs, _out: Path) -> int:
    return len(bytearray(8 * 1024**3))


def eat_slowly(_args: Args, _inputs: Inputs, _out: Path) -> None:
    kept = []
    while True:
        kept.append(b"x" * 1_000_000)


def eat_natively(_args: Args, _inputs: Inputs, _out: Path) -> None:
    # What a C++ library does when nobody catches bad_alloc.
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def loop(args: Args, _inputs: Inputs, _out: Path) -> None:
    if args.get("deaf"):
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
    while True:
        pass


def sleep(args: Args, _inputs: Inputs, out: Path) -> None:
    (out / "started").touch()
    time.sleep(args.get("seconds", 1000))


def start_threads(args: Args, _inputs: Inputs, _out: Path) -> int:
    hold = threading.Event()
    started = 0
    try:
        for _ in range(args["count"]):
            threading.Thread(target=hold.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    hold.set()
    return started


def fork_without_end(_args: Args, _inputs: Inputs, _out: Path) -> int:
    forked = 0
    for _ in range(500):
        try:
            if os.fork() == 0:
                time.sleep(1000)
        except OSError:
            return forked
        forked += 1
    return forked


def leave_a_child(args: Args, _inputs: Inputs, _out: Path) -> bool:
    """A grandchild in a session of its own, deaf and with everything closed."""
    split, go = os.pipe()
    if os.fork() == 0:
        try:
            os.setsid()
            answer = b"y"
        except OSError:
            answer = b"n"
        if os.fork() == 0:
            os.write(go, answer)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.closerange(0, 64)
            time.sleep(1000)
        os._exit(0)
    has_split = os.read(split, 1) == b"y"
    if args.get("wait"):
        time.sleep(1000)
    return has_split


def fill_one_file(args: Args, _inputs: Inputs, out: Path) -> None:
    with (out / "big").open("wb") as big:
        if args.get("with_a_hole"):
            big.truncate(1 << 40)
        while True:
            big.write(b"x" * 1_000_000)


def fill_many_files(_args: Args, _inputs: Inputs, out: Path) -> None:
    for number in range(100_000):
        (out / f"part{number}").write_bytes(b"x" * 1_000_000)
        time.sleep(0.001)


def many_empty_files(_args: Args, _inputs: Inputs, out: Path) -> None:
    for number in range(11_000):
        (out / f"part{number}").touch()


def nest_folders(_args: Args, _inputs: Inputs, out: Path) -> None:
    os.chdir(out)
    for _ in range(3_000):
        Path("d").mkdir()
        os.chdir("d")


def hide_in_a_closed_folder(args: Args, _inputs: Inputs, out: Path) -> None:
    os.chdir(out)
    for _ in range(args["levels"]):
        Path("closed").mkdir(mode=0o300)
        os.chdir("closed")
    Path("big").write_bytes(b"x" * 10_000_000)


def leave_a_link(args: Args, _inputs: Inputs, out: Path) -> None:
    (out / "rows.parquet").symlink_to(args["secret"])


def leave_a_pipe(_args: Args, _inputs: Inputs, out: Path) -> None:
    os.mkfifo(out / "rows.parquet")


# -- lying about the end --------------------------------------------------------------------------------


def huge_value(_args: Args, _inputs: Inputs, _out: Path) -> str:
    return "x" * 50_000_000


def no_json(_args: Args, _inputs: Inputs, _out: Path) -> object:
    return object()


def not_a_number(_args: Args, _inputs: Inputs, _out: Path) -> float:
    return float("nan")


def write_raw_answer(args: Args, _inputs: Inputs, _out: Path) -> None:
    """Answer in place of the machinery, as code that took the job over could."""
    text = args["text"].encode() * args.get("times", 1)
    for number in range(3, 64):
        try:
            os.write(number, text)
        except OSError:
            continue
    os._exit(args.get("code", 0))


def raise_error(_args: Args, _inputs: Inputs, _out: Path) -> None:
    raise RuntimeError("the plan has a fault")


def break_off(args: Args, _inputs: Inputs, _out: Path) -> None:
    os._exit(args["code"])


def exit_politely(_args: Args, _inputs: Inputs, _out: Path) -> None:
    sys.exit(0)


def touch_nowhere(_args: Args, _inputs: Inputs, _out: Path) -> None:
    ctypes.string_at(0)


def shout(_args: Args, _inputs: Inputs, _out: Path) -> None:
    for _ in range(300):
        print("x" * 100_000)
    raise RuntimeError("the last word")
