"""Nothing that runs in the jail reaches a file, a network, a socket or a process outside it.

Each attack is tried against all walls together, against each wall alone as far as it claims to
hold, and against none at all, where it must succeed: so it is the walls that stop it and not a
slip in the attack.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dothi.jail import JailCrashed, JailError, JailRefused
from tests.integration.jail import attacks
from tests.integration.jail.cell import (
    ATTACKS,
    JOBS,
    SECRET,
    Surroundings,
    do,
    machine_offers,
    surroundings,
    victim,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these walls are Linux's")

NONE = frozenset({"namespaces", "own_uid", "landlock", "seccomp"})
WALLS = {
    "all walls": frozenset[str](),
    "all but the own user": frozenset({"own_uid"}),
    "no namespaces": frozenset({"namespaces"}),
    "namespaces alone": NONE - {"namespaces"},
    "landlock alone": NONE - {"landlock"},
    "seccomp alone": NONE - {"seccomp"},
    "none": NONE,
}
# In an order in which none spoils the next where all of them succeed.
ON_FILES = [
    "read", "read_beside_the_input", "read_upwards", "read_through_a_link_in_the_input",
    "read_through_own_link", "read_with_duckdb", "link_into_the_output", "list_the_home",
    "open_up", "plant_a_file", "overwrite_the_input", "overwrite", "delete",
]  # fmt: skip
ON_THE_NETWORK = [
    "connect_tcp", "connect_local_socket", "connect_abstract_socket", "ask_by_udp",
    "reach_the_world",
]  # fmt: skip
ON_PROCESSES = [
    "read_their_environment", "look_through_their_root", "trace_them", "starve_them",
    "slow_them_down", "end_them",
]  # fmt: skip
ON_THE_KERNEL = [
    "fork", "start_a_program", "share_memory", "share_system_v_memory", "make_a_file_of_memory",
    "new_user_namespace", "ring_of_requests",
]  # fmt: skip
EVERYTHING = [*ON_PROCESSES[:2], *ON_FILES, *ON_THE_NETWORK, *ON_PROCESSES[2:], *ON_THE_KERNEL]
# What a wall stops when it stands alone, and what a job without any can do.
ALONE = {
    "namespaces alone": {*ON_FILES, *ON_THE_NETWORK, *ON_PROCESSES, "share_memory"},
    "landlock alone": {*ON_FILES} - {"open_up"}
    | {"connect_tcp", "connect_abstract_socket", "start_a_program", "share_memory", "end_them"},
    "seccomp alone": {*ON_THE_NETWORK, *ON_THE_KERNEL} - {"share_memory"}
    | {"open_up", "trace_them", "starve_them", "slow_them_down", "end_them"},
    "none": {*ON_FILES, *ON_THE_NETWORK, "share_memory", "make_a_file_of_memory", "fork",
             "starve_them", "end_them"},
}  # fmt: skip
REFUSALS = {"PermissionError", "FileNotFoundError", "ConnectionRefusedError", "OSError",
            "ProcessLookupError", "IOException"}  # fmt: skip


@cache
def outcomes(walls: str) -> dict[str, list[str]]:
    """How each attack ends that these walls must stop; for "none", those that must succeed."""
    alone = walls.removesuffix(" alone")
    if alone in NONE and not machine_offers(alone):
        pytest.skip(f"this machine offers no {alone}")
    with TemporaryDirectory() as folder, surroundings(Path(folder)) as around, victim() as pid:
        names = [name for name in EVERYTHING if name in ALONE.get(walls, EVERYTHING)]
        args = around.args(pid) | {"names": names}
        with do(
            f"{ATTACKS}:each", args, around.inputs(),
            scratch=Path(folder), leave_out=WALLS[walls],
        ) as result:  # fmt: skip
            if walls != "none":
                assert around.is_untouched()
            return result.value


def _attacks_with(*chosen: str) -> list[tuple[str, str]]:
    return [(w, name) for w in chosen for name in EVERYTHING if name in ALONE.get(w, EVERYTHING)]


@pytest.mark.parametrize(("walls", "attack"), _attacks_with(*list(WALLS)[:-1]))
def test_an_attack_fails(walls: str, attack: str) -> None:
    how, got = outcomes(walls)[attack]
    assert how in REFUSALS, got
    assert SECRET not in got


@pytest.mark.parametrize(("walls", "attack"), _attacks_with("none"))
def test_without_walls_the_same_job_gets_through(walls: str, attack: str) -> None:
    how, got = outcomes(walls)[attack]
    assert how == "done", got
    if attack.startswith(("read", "link")):
        assert got == SECRET
    if attack.startswith(("connect", "ask")):
        assert got == "welcome"


@pytest.mark.parametrize("attack", [name for name in EVERYTHING if name not in ALONE["none"]])
def test_outside_the_jail_the_attack_works(attack: str, tmp_path: Path) -> None:
    """What even a job without walls cannot do, because it has lost root's rights or its fork."""
    with surroundings(tmp_path) as around, victim() as pid:
        if attack in ("start_a_program", "new_user_namespace"):  # they change the process
            pid = os.fork()
            if pid == 0:
                getattr(attacks, attack)({}, {}, tmp_path)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        else:
            got = getattr(attacks, attack)(around.args(pid), around.inputs(), tmp_path)
            assert SECRET in (got or SECRET)


def test_a_job_sees_neither_our_variables_nor_our_open_files(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOTHI_DATABASE_URL", SECRET)
    with (tmp_path / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        for leave_out in (frozenset[str](), NONE):
            with do("surroundings", scratch=scratch, leave_out=leave_out) as result:
                assert SECRET not in str(result.value)
                assert set(result.value["environment"]) == {
                    "LANG", "LC_CTYPE", "PATH", "TZ", "HOME", "TMPDIR", "GDAL_SKIP", "OGR_SKIP",
                    "MALLOC_ARENA_MAX", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
                } - ({"LC_CTYPE"} - set(result.value["environment"]))  # fmt: skip
                # Nothing to read, two ways to talk, and the pipe for the value.
                assert len(result.value["files"]) == 4
    with do("surroundings", scratch=scratch) as result:
        if "own_uid" in result.in_force:
            assert result.value["uid"] >= 0x7000_0000
            assert result.value["groups"] == []
        assert result.value["uid"] != os.geteuid() or not result.in_force & {"namespaces"}


@pytest.mark.usefixtures("needs_namespaces")
def test_a_job_sees_its_inputs_and_the_interpreter_and_nothing_else(
    around: Surroundings, scratch: Path
) -> None:
    with do(
        "whole_world", inputs=around.inputs(), scratch=scratch, leave_out=frozenset({"landlock"})
    ) as result:
        world = result.value
    assert world["/in"] == ["folder", "upload.csv"]
    assert world["/out"] == []
    assert world["/dev"] == ["null", "random", "urandom", "zero"]
    assert world["/etc"] == ["ld.so.cache"]
    assert not {"root", "home", "tmp", "var", "run", "sys", "boot"} & {
        name for name in world["/"] if not str(sys.base_prefix).startswith(f"/{name}")
        and not sys.prefix.startswith(f"/{name}")
    }  # fmt: skip
    processes = [name for name in world["/proc"] if name.isdigit()]
    assert processes == ["1", "2"]
    assert "sys" not in world["/proc"]


VRT = """<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{source}</SrcDataSource>
<SrcLayer>secret</SrcLayer></OGRVRTLayer></OGRVRTDataSource>"""


@pytest.mark.parametrize("ending", ["csv", "json", "geojson", "kml"])
def test_a_virtual_file_in_disguise_shows_no_other_file(
    ending: str, around: Surroundings, scratch: Path
) -> None:
    secret = around.secret.with_name("secret.csv")
    secret.write_text("name,pw\nadmin,42-SECRET\n")
    disguised = around.upload.with_name(f"rows.{ending}")
    disguised.write_text(VRT.format(source=secret))
    inputs = {disguised.name: disguised}
    with do("read_as_csv", inputs=inputs, scratch=scratch) as result:
        assert "OGRVRTDataSource" in result.value
        assert "42-SECRET" not in result.value
    with pytest.raises(JailCrashed):
        do(f"{ATTACKS}:read", {"secret": str(secret)}, inputs, scratch=scratch)
    if importlib.util.find_spec("pyogrio") is None:
        return
    # Twice held: the driver is off, and where code turns it on again the file is not there.
    for args, leave_out in (({}, NONE), ({"with_vrt": True}, NONE - {"namespaces"}),
                            ({"with_vrt": True}, frozenset({"namespaces"}))):  # fmt: skip
        try:
            with do("read_with_gdal", args, inputs, scratch=scratch, leave_out=leave_out) as result:
                assert "42-SECRET" not in result.value
        except JailCrashed as error:
            assert "42-SECRET" not in error.detail
    with do(
        "read_with_gdal", {"with_vrt": True}, inputs, scratch=scratch, leave_out=NONE
    ) as result:
        assert "42-SECRET" in result.value


def test_a_link_is_no_input(around: Surroundings, scratch: Path) -> None:
    with pytest.raises(JailRefused, match=r"link\.csv"):
        do("lines", inputs={"link.csv": around.folder / "link.csv"}, scratch=scratch)


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "", ".", "..", "a\nb", "\0"])
def test_an_input_has_a_plain_name(name: str, around: Surroundings, scratch: Path) -> None:
    with pytest.raises(JailRefused):
        do("lines", inputs={name: around.upload}, scratch=scratch)


@pytest.mark.parametrize("path", ["missing.csv", "socket"])
def test_an_input_is_a_file_or_a_folder(path: str, around: Surroundings, scratch: Path) -> None:
    with pytest.raises(JailRefused):
        do("lines", inputs={"upload.csv": around.secret.with_name(path)}, scratch=scratch)


@pytest.mark.parametrize("entry", ["os:system", "nowhere:main", "dothi.jail", "a b:c", "dothi;x:y"])
def test_only_functions_of_our_packages_are_entries(entry: str, scratch: Path) -> None:
    with pytest.raises(JailRefused) as caught:
        do(entry, scratch=scratch) if ":" in entry else do(f"{entry}:", scratch=scratch)
    assert entry in caught.value.text("vi")


def test_a_function_that_does_not_exist_is_a_crash(scratch: Path) -> None:
    with pytest.raises(JailCrashed) as caught:
        do(f"{JOBS}:nobody_wrote_this", scratch=scratch)
    assert "nobody_wrote_this" in caught.value.detail


def test_what_a_job_leaves_is_plain_files_or_refused(around: Surroundings, scratch: Path) -> None:
    # With all walls a link cannot even be made; without Landlock it is found at the door.
    for leave_out in (frozenset[str](), frozenset({"landlock"}), NONE):
        for entry in ("leave_a_link", "leave_a_pipe"):
            with pytest.raises(JailError) as caught:
                do(entry, around.args(), scratch=scratch, leave_out=leave_out)
            assert SECRET not in caught.value.detail
