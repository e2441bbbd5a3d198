"""The data home as files: what makes a folder one, and what it never loses."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from dothi.kernel.errors import Busy, Damaged, Misconfigured
from dothi.store.home import Home, write_durably


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def test_a_home_can_be_prepared_again_and_again(home: Home) -> None:
    password = home.first_password()
    home.prepare()
    assert home.first_password() == password


def test_nobody_else_can_look_into_a_home(home: Home) -> None:
    for folder in (home.path, *home.path.rglob("*")):
        if folder.is_dir():
            assert stat.S_IMODE(folder.stat().st_mode) & 0o066 == 0, folder


def test_a_secret_is_made_once_and_is_long(home: Home) -> None:
    secret = home.secret("session")
    assert len(secret) >= 43
    assert Home(home.path).secret("session") == secret
    assert home.secret("other") != secret
    assert stat.S_IMODE((home.secrets / "session").stat().st_mode) == 0o600


def test_many_who_ask_for_the_same_new_secret_get_the_same(home: Home) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(home.secret("shared"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16
    assert len(set(answers)) == 1


def test_a_forgotten_first_password_never_comes_back(home: Home) -> None:
    assert home.first_password()
    home.forget_first_password()
    home.prepare()
    assert home.first_password() is None


def test_two_first_starts_at_once_agree_on_one_home(tmp_path: Path) -> None:
    for round_ in range(20):
        path = tmp_path / str(round_)
        failures: list[Exception] = []

        def prepare(path: Path = path, failures: list[Exception] = failures) -> None:
            try:
                Home(path).prepare()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=prepare) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_only_one_instance_claims_a_home(home: Home) -> None:
    assert not home.locked()
    handle = home.lock()
    assert home.locked()
    with pytest.raises(Busy):
        home.lock()
    os.close(handle)
    assert not home.locked()
    os.close(home.lock())


def test_a_mounted_empty_disk_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    Home(tmp_path).prepare()
    assert (tmp_path / "VERSION").exists()


def test_a_first_start_that_was_cut_off_is_taken_up_again(tmp_path: Path) -> None:
    (tmp_path / "VERSION.x1y2").write_text("")
    Home(tmp_path).prepare()


def test_a_foreign_folder_is_refused_unchanged(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    before = tmp_path.stat().st_mode
    with pytest.raises(Misconfigured):
        Home(tmp_path).prepare()
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]
    assert tmp_path.stat().st_mode == before


def test_a_newer_layout_is_named(home: Home) -> None:
    home.version_file.write_text('{"mark": "dothi-home", "layout": 2}')
    with pytest.raises(Damaged, match=r"layout 2, this one knows up to 1"):
        home.prepare()


def test_a_text_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_durably(target, "one", 0o600)
    with pytest.raises(UnicodeEncodeError):
        write_durably(target, "two \ud800", 0o600)
    assert target.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
