"""Greedy, endless and lying jobs end at their limit with a typed error; the parent lives on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dothi.jail import (
    JailCrashed,
    JailMemory,
    JailOutput,
    JailTimeout,
    Job,
    Limits,
    run,
    status,
    sweep,
)
from tests.integration.jail.cell import JOBS, Surroundings, do, machine_offers, wait_until

MIB = 1024 * 1024
COUNTED = pytest.mark.usefixtures("needs_tasks")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="this limit is Linux's")
BARE = frozenset({"namespaces", "own_uid", "landlock", "seccomp"})
MODES = [
    frozenset[str](),
    frozenset({"namespaces"}),
    frozenset({"landlock", "seccomp"}),
    BARE,
]


def say(mode: frozenset[str]) -> str:
    return "without " + ("+".join(sorted(mode)) or "nothing")


# -- honest work --------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave_out", MODES, ids=say)
def test_a_job_gives_back_its_value_and_its_files(
    leave_out: frozenset[str], around: Surroundings, scratch: Path
) -> None:
    args = {"tên": "đô thị", "list": [1, 2.5, None]}
    with do("echo", args, around.inputs(), scratch=scratch, leave_out=leave_out) as result:
        assert result.value == {
            "args": args,
            "inputs": {"upload.csv": "upload.csv", "folder": "folder"},
        }
        assert (result.files / "letter.txt").read_text() == "from inside"
        assert (result.files / "deeper" / "note.txt").read_text() == "also"
        for path in (result.files, *result.files.rglob("*")):
            assert path.stat().st_uid == os.geteuid()
        assert result.wall_s < 5
        assert result.max_rss_bytes > 5 * MIB
    assert not result.files.exists()


def test_an_input_closed_to_others_is_still_read(around: Surroundings, scratch: Path) -> None:
    around.upload.chmod(0o600)
    with do("lines", inputs={"upload.csv": around.upload}, scratch=scratch) as result:
        assert result.value == 3
    assert around.upload.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("leave_out", MODES, ids=say)
def test_duckdb_numpy_and_shapely_work_inside(
    leave_out: frozenset[str], around: Surroundings, scratch: Path
) -> None:
    inputs = {"upload.csv": around.upload}
    with do("csv_to_parquet", {}, inputs, scratch=scratch, leave_out=leave_out) as result:
        assert result.value == {"rows": 2}
        assert (result.files / "rows.parquet").read_bytes()[:4] == b"PAR1"
    with do("local_hour", scratch=scratch, leave_out=leave_out) as result:
        assert result.value == "2018-03-12 00:00"
    with do("numbers_and_shapes", scratch=scratch, leave_out=leave_out) as result:
        assert result.value == {"sum": 400.0**3, "area": 6.0}


def test_a_real_file_of_a_year_fits_in_half_a_gigabyte(shared: Path, scratch: Path) -> None:
    upload = shared / "data" / "air_hanoi_us_embassy_2018" / "Hanoi_PM2.5_2018_YTD.csv"
    with do(
        "csv_to_parquet", {}, {"upload.csv": upload},
        scratch=scratch, address_space_bytes=512 * MIB,
    ) as result:  # fmt: skip
        assert result.value == {"rows": 8339}


def test_many_jobs_run_side_by_side(around: Surroundings, scratch: Path) -> None:
    counts: list[int] = []

    def work() -> None:
        for _ in range(3):
            with do("lines", inputs={"upload.csv": around.upload}, scratch=scratch) as result:
                counts.append(result.value)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [3] * 24


def test_a_trivial_job_costs_little_more_than_an_interpreter(scratch: Path) -> None:
    def spent(work: Callable[[], object]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        work()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def job() -> None:
        with do("dothi.jail.child:nothing", scratch=scratch):
            pass

    bare = [sys.executable, "-I", "-c", "import ctypes, json, subprocess"]
    began = time.monotonic()
    pairs = [(spent(job), spent(lambda: subprocess.run(bare, check=True))) for _ in range(7)]
    assert time.monotonic() - began < 30, "it waits for something"
    # Processor seconds, and against each other: the machine may be busy with something else.
    assert min(one for one, _ in pairs) < 4 * min(other for _, other in pairs)


# -- memory -------------------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("leave_out", MODES[::3], ids=say)
@pytest.mark.parametrize(
    ("entry", "args"),
    [
        ("eat_bytes", {}),
        ("eat_slowly", {}),
        ("eat_natively", {}),
        ("sql", {"sql": "SELECT length(repeat('a', 2000000000))"}),
        ("sql", {"sql": "SELECT array_length(range(300000000))"}),
    ],
)
def test_eating_memory_ends_the_job_only(
    entry: str, args: dict[str, Any], leave_out: frozenset[str], scratch: Path
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(JailMemory) as caught:
        do(entry, args, scratch=scratch, leave_out=leave_out, address_space_bytes=700 * MIB)
    assert "700" in caught.value.text("vi")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@COUNTED
def test_threads_are_counted(scratch: Path) -> None:
    with do("start_threads", {"count": 300}, scratch=scratch, threads=20) as result:
        # The count has room for init, and for the keeper where it shares the user id.
        assert 20 <= result.value <= 22
    with do("start_threads", {"count": 10}, scratch=scratch, threads=20) as result:
        assert result.value == 10


# -- time ---------------------------------------------------------------------------------------------

LEVENSHTEIN = "SELECT levenshtein(repeat('ab', 200000), repeat('ba', 200000))"


@pytest.mark.parametrize("leave_out", MODES, ids=say)
@pytest.mark.parametrize(
    ("entry", "args"),
    [
        ("loop", {}),
        ("loop", {"deaf": True}),
        ("sleep", {}),
        pytest.param("sql", {"sql": LEVENSHTEIN}, marks=LINUX),
    ],
)
def test_running_for_ever_ends_at_the_deadline(
    entry: str, args: dict[str, Any], leave_out: frozenset[str], scratch: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(JailTimeout) as caught:
        do(entry, args, scratch=scratch, leave_out=leave_out, wall_s=0.7)
    assert time.monotonic() - started < 2.0
    assert "0,7 giây" in caught.value.text("vi")


def test_computing_has_its_own_limit(scratch: Path) -> None:
    with pytest.raises(JailTimeout, match="computing"):
        do("loop", scratch=scratch, cpu_s=1)
    with pytest.raises(JailTimeout, match="computing"):
        do("loop", {"deaf": True}, scratch=scratch, cpu_s=1)


# -- processes ----------------------------------------------------------------------------------------


@LINUX
@pytest.mark.parametrize("leave_out", MODES[:3], ids=say)
@pytest.mark.parametrize("waits", [False, True])
def test_a_grandchild_that_hides_dies_with_the_job(
    leave_out: frozenset[str], waits: bool, scratch: Path
) -> None:
    if waits:
        with pytest.raises(JailTimeout):
            do("leave_a_child", {"wait": True}, scratch=scratch, leave_out=leave_out,
               processes=4, wall_s=0.7)  # fmt: skip
    else:
        with do(
            "leave_a_child", scratch=scratch, leave_out=leave_out, processes=4
        ) as result:  # fmt: skip
            assert result.value == ("seccomp" in leave_out)  # the filter forbids to split off


@COUNTED
def test_a_fork_bomb_stops_at_the_count(scratch: Path) -> None:
    with do("fork_without_end", scratch=scratch, processes=8, threads=8) as result:
        assert 8 <= result.value <= 18


def test_when_the_parent_is_killed_the_job_and_its_folder_go_too(scratch: Path) -> None:
    code = (
        "from pathlib import Path; from dothi.jail import Job, Limits, run;"
        f"run(Job('{JOBS}:sleep'), Limits(), scratch=Path({str(scratch)!r}))"
    )
    known = _children()
    for leave_out in ("", "namespaces"):
        call = code.replace("scratch=", f"leave_out={{'{leave_out}'}}, scratch=")
        parent = subprocess.Popen([sys.executable, "-c", call])
        assert wait_until(lambda: any(scratch.glob("*/out/started")))
        parent.kill()
        parent.wait()
        assert wait_until(lambda: not any(scratch.iterdir()))
        assert wait_until(lambda: _reaped(known))


@LINUX
@pytest.mark.parametrize("leave_out", [frozenset[str](), frozenset({"namespaces"})], ids=say)
def test_when_the_keeper_is_killed_the_job_goes_too(
    leave_out: frozenset[str], scratch: Path
) -> None:
    known = _children()
    caught: list[Exception] = []

    def work() -> None:
        try:
            do("sleep", scratch=scratch, leave_out=leave_out)
        except JailCrashed as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert wait_until(lambda: any(scratch.glob("*/out/started")))
    (keeper,) = [c for c in psutil.Process().children() if c.pid not in known]
    keeper.kill()
    thread.join(5)
    assert len(caught) == 1
    assert wait_until(lambda: _reaped(known))


def _children() -> set[int]:
    """Ours that live now: another test's database server may be one of them."""
    return {child.pid for child in psutil.Process().children()}


def _reaped(known: set[int]) -> bool:
    """Collect what was handed to us as the next living ancestor; True when all new ones are gone."""
    for child in psutil.Process().children():
        if child.pid not in known and child.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(child.pid, os.WNOHANG)
    return _children() <= known


# -- output -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave_out", MODES[::3], ids=say)
@pytest.mark.parametrize(
    ("entry", "args"),
    [
        ("fill_one_file", {}),
        ("fill_one_file", {"with_a_hole": True}),
        ("fill_many_files", {}),
        ("many_empty_files", {}),
        ("nest_folders", {}),
    ],
)
def test_filling_the_disk_ends_the_job(
    entry: str, args: dict[str, Any], leave_out: frozenset[str], scratch: Path
) -> None:
    with pytest.raises(JailOutput):
        do(entry, args, scratch=scratch, leave_out=leave_out, output_bytes=20 * MIB)


def test_a_folder_closed_to_us_hides_nothing(scratch: Path) -> None:
    # As root nothing is closed, but it is large.
    with pytest.raises(JailOutput):
        do("hide_in_a_closed_folder", {"levels": 1}, scratch=scratch, output_bytes=MIB)
    with pytest.raises(JailOutput):
        do("hide_in_a_closed_folder", {"levels": 2000}, scratch=scratch, output_bytes=MIB)


@pytest.mark.parametrize(
    ("entry", "args", "error"),
    [
        ("huge_value", {}, JailOutput),
        ("write_raw_answer", {"text": "x" * 1000, "times": 50_000}, JailOutput),
        ("write_raw_answer", {"text": "[" * 1000, "times": 200}, JailCrashed),
        ("write_raw_answer", {"text": '{"value": NaN}'}, JailCrashed),
        ("write_raw_answer", {"text": '{"value": 1}', "code": 7}, JailCrashed),
        ("write_raw_answer", {"text": "[1]"}, JailCrashed),
        ("write_raw_answer", {"text": '{"failed": {"a": 1}}'}, JailCrashed),
        ("write_raw_answer", {"text": '{"ended": 0, "in_force": ["luck"]}'}, JailCrashed),
        ("write_raw_answer", {"text": "\u00ff"}, JailCrashed),
        ("no_json", {}, JailCrashed),
        ("not_a_number", {}, JailCrashed),
        ("raise_error", {}, JailCrashed),
        ("break_off", {"code": 0}, JailCrashed),
        ("break_off", {"code": 3}, JailCrashed),
        ("break_off", {"code": 99}, JailCrashed),
        ("exit_politely", {}, JailCrashed),
        ("touch_nowhere", {}, JailCrashed),
        ("shout", {}, JailCrashed),
    ],
)
def test_a_bad_end_is_a_typed_error(
    entry: str, args: dict[str, Any], error: type[Exception], scratch: Path
) -> None:
    with pytest.raises(error) as caught:
        do(entry, args, scratch=scratch)
    assert type(caught.value) is error
    for lang in ("vi", "en"):
        assert caught.value.text(lang)  # type: ignore[attr-defined]


def test_the_last_words_of_a_crash_reach_the_log_and_not_the_user(scratch: Path) -> None:
    with pytest.raises(JailCrashed) as caught:
        do("raise_error", scratch=scratch)
    assert "the plan has a fault" in caught.value.detail
    assert "the plan" not in str(caught.value)


# -- afterwards ---------------------------------------------------------------------------------------


def test_sweeping_removes_only_what_no_living_process_holds(
    around: Surroundings, scratch: Path
) -> None:
    with do("echo", scratch=scratch) as result:
        stale = scratch / "dothi-jail-of-the-dead"
        (stale / "out").mkdir(parents=True)
        (scratch / "something-else").mkdir()
        assert sweep(scratch) == 1
        assert result.files.exists()
        assert not stale.exists()
    (scratch / "something-else").rmdir()


def test_status_says_what_holds_and_what_does_not() -> None:
    whole = {protection.name: protection for protection in status()}
    bare = {protection.name: protection for protection in status(leave_out=BARE)}
    always = {"memory", "time", "output", "environment"} if sys.platform == "linux" else {"time"}
    for name in always:
        assert bare[name].level == "full"
    for name in ("files", "network", "processes", "ending"):
        assert bare[name].level == "none"
        assert bare[name].degrades("vi") != ""
    if sys.platform == "linux":
        spared = {"user"} if machine_offers("tasks") else {"user", "tasks"}
        assert {name for name, one in whole.items() if one.level != "full"} <= spared
        assert (whole["user"].level == "full") == machine_offers("own_uid")


RESTRICTED = """
from dothi import jail
print(*(f"{one.name}={one.level}" for one in jail.status()))
with jail.run(jail.Job("dothi.jail.child:nothing"), jail.Limits()) as result:
    print(*sorted(result.in_force))
"""


@LINUX
def test_where_namespaces_are_forbidden_the_rest_holds_and_status_says_so() -> None:
    forbid = ["unshare", "-Ur", "setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    if subprocess.run([*forbid, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no way to forbid them here")
    done = subprocess.run(
        [*forbid, sys.executable, "-c", RESTRICTED], capture_output=True, text=True, check=True
    )
    said, walls = done.stdout.splitlines()
    assert walls == "landlock memory seccomp"
    assert said.split()[:3] == ["files=full", "network=full", "processes=full"]
    assert "tasks=part" in said
    assert "offers no namespaces" in done.stderr


def test_every_limit_has_a_number_in_its_message(scratch: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(JailTimeout) as caught:
        run(Job(f"{JOBS}:loop"), Limits(wall_s=0.5), scratch=scratch)
    assert "0,5" in caught.value.text("vi")
    assert "0.5" in caught.value.text("en")
    assert signal.getsignal(signal.SIGINT) is before
