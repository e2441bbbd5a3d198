"""The jail holds for an ordinary user too: root's tests run once more as "nobody"."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dothi.jail import linux

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_everything_holds_for_an_ordinary_user_as_well() -> None:
    user = pwd.getpwnam("nobody")
    place = Path(tempfile.mkdtemp(prefix="dothi-test-", dir="/tmp"))
    try:
        os.chown(place, user.pw_uid, user.pw_gid)
        done = subprocess.run(
            [sys.executable, __file__, str(user.pw_uid), str(user.pw_gid), str(place)],
            cwd=ROOT,
            env={
                "HOME": str(place),
                "TMPDIR": str(place),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "DOTHI_SHARED": os.environ.get("DOTHI_SHARED", str(ROOT.parent / "shared")),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(place)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 200


def _as_somebody_else(uid: int, gid: int, place: Path) -> None:
    """Become that user and run the tests; an interpreter in a closed home is made reachable."""
    _open_the_way_to([Path(sys.base_prefix), Path(sys.prefix), ROOT])
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    tests = [str(HERE / name) for name in ("test_escape.py", "test_limits.py")]
    os.execv(
        sys.executable,
        [sys.executable, "-m", "pytest", f"--basetemp={place / 'pytest'}", *tests],
    )


def _open_the_way_to(paths: list[Path]) -> None:
    """In mounts of our own, cover each closed folder above the paths with an open, empty one."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
    held = {path: os.open(path, os.O_PATH) for path in paths}
    for path in paths:
        for above in reversed(path.parents):
            if above.exists() and not above.stat().st_mode & 0o001:
                linux.mount("open", str(above), "tmpfs", 0, "mode=0755")
        path.mkdir(parents=True, exist_ok=True)
        linux.mount(
            f"/proc/self/fd/{held[path]}", str(path), "", linux.MS_BIND | linux.MS_REC
        )  # fmt: skip


if __name__ == "__main__":
    _as_somebody_else(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
