"""The command line: help in both languages, and one sentence for what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dothi import cli
from dothi.kernel.i18n import t

COMMANDS = ["up", "status", "stop", "web", "worker", "migrate", "demo"]


def dothi(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DOTHI_", "LC_"))}
    return subprocess.run(
        [sys.executable, "-m", "dothi", *words],
        env={**environment, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_help_lists_every_command_in_the_language_of_the_person(lang: str) -> None:
    said = dothi("--help", DOTHI_LANG=lang, COLUMNS="200")
    assert said.returncode == 0
    for command in cli.COMMANDS:
        assert t(f"cli.help_{command.name}", lang) in said.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str) -> None:
    said = dothi(name, "--help", DOTHI_LANG="en", COLUMNS="200")
    assert said.returncode == 0
    assert "--home DIR" in said.stdout


def test_no_command_shows_the_help(tmp_path: Path) -> None:
    said = dothi(DOTHI_HOME=str(tmp_path))
    assert said.returncode == 2
    assert "up" in said.stdout


@pytest.mark.parametrize("name", ["worker", "migrate", "demo"])
def test_a_role_alone_without_a_database_says_what_to_set(name: str, tmp_path: Path) -> None:
    said = dothi(name, DOTHI_HOME=str(tmp_path / "home"), DOTHI_LANG="en")
    assert said.returncode == 78
    assert said.stderr.startswith("No database is given: set DOTHI_DATABASE_URL")
    assert said.stderr.count("\n") == 1
    assert not (tmp_path / "home").exists()


def test_the_web_alone_says_when_its_port_is_taken(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        said = dothi(
            "web", "--port", str(other.getsockname()[1]),
            DOTHI_HOME=str(tmp_path / "home"), DOTHI_DATABASE_URL="postgresql://x/y",
        )  # fmt: skip
    assert said.returncode == 78
    assert "đang được chương trình khác sử dụng" in said.stderr


@pytest.mark.parametrize("words", [["up", "--port", "x"], ["up", "--web", "0"]])
def test_a_bad_number_is_one_sentence(words: list[str], tmp_path: Path) -> None:
    said = dothi(*words, DOTHI_HOME=str(tmp_path / "home"), DOTHI_LANG="en")
    assert said.returncode == 78
    assert "must be a whole number from" in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_reader_that_leaves_early_causes_no_words() -> None:
    said = subprocess.run(
        f"{sys.executable} -m dothi --help | head -c 1", shell=True, capture_output=True, check=True
    )
    assert said.stderr == b""
