"""What the server's administrator types."""

import argparse
import io
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dothi.identity import audit, commands, heads, signin
from dothi.identity.guard import authenticate
from dothi.identity.passwords import Passwords
from dothi.kernel.errors import Invalid, Misconfigured, NotFound, Unauthenticated, Unavailable
from dothi.store.database import Database
from dothi.store.home import Home
from dothi.store.settings import Settings

from .conftest import NOW

Dothi = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def dothi(
    city: Database, database_url: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> Dothi:
    """Run a command of this room; what it printed."""

    def run(command: str, *words: str, code: int = 0) -> str:
        parser = argparse.ArgumentParser()
        getattr(commands, f"arguments_{command}")(parser)
        settings = Settings(home=home.path, database_url=database_url, lang="en")
        assert getattr(commands, f"run_{command}")(parser.parse_args(words), settings) == code
        return capsys.readouterr().out

    return run


def can_sign_in(db: Database, login: str, password: str) -> bool:
    try:
        signin.sign_in(db, Passwords(), login=login, password=password, address="10.0.0.7", now=NOW)
    except Unauthenticated:
        return False
    return True


def test_an_account_is_made_changed_and_disabled(dothi: Dothi, city: Database) -> None:
    said = dothi("account", "add", "truc", "--name", "Trực ban", "--agency", "env", "--role", "operator", "officer")  # fmt: skip
    made = said.split("Password: ")[1].strip()
    assert can_sign_in(city, "truc", made)
    changed = dothi("account", "password", "truc").split("Password: ")[1].strip()
    assert not can_sign_in(city, "truc", made)
    assert can_sign_in(city, "truc", changed)
    assert "+ truc officer,operator Trực ban" in dothi("account", "list")
    dothi("account", "disable", "truc")
    assert not can_sign_in(city, "truc", changed)
    assert "- truc" in dothi("account", "list")


def test_a_password_may_come_through_standard_input(
    dothi: Dothi, city: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Núi Cư Yang Sin xa\n"))
    said = dothi("account", "password", "quantri", "--password-stdin")
    assert "Núi" not in said
    assert can_sign_in(city, "quantri", "Núi Cư Yang Sin xa")


def test_what_is_wrong_is_said_field_by_field(
    dothi: Dothi, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Invalid):
        dothi("account", "add", "!", "--name", "x", "--agency", "none", "--role", "king")
    faults = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in faults] == ["roles", "login", "agency"]
    with pytest.raises(NotFound):
        dothi("account", "disable", "nobody")


def test_a_key_is_shown_once_and_can_be_revoked(dothi: Dothi, city: Database) -> None:
    with pytest.raises(Invalid):
        dothi("key", "add", "x", "--agency", "env", "--role", "data", "--days", "9999999999")
    said = dothi("key", "add", "Trạm", "--agency", "env", "--role", "data")
    text = said.split(": ")[-1].strip()
    actor = authenticate(city, None, f"Bearer {text}", datetime.now(UTC))
    prefix = actor.key_prefix or ""
    listed = dothi("key", "list")
    assert f"+ {prefix} data" in listed
    assert text not in listed
    dothi("key", "revoke", prefix)
    with pytest.raises(Unauthenticated):
        authenticate(city, None, f"Bearer {text}", datetime.now(UTC))


def test_the_trail_is_checked_against_the_homes_seals(
    dothi: Dothi, city: Database, home: Home, tmp_path: Path
) -> None:
    audit.seal(city)
    assert "Not compared" in dothi("audit", "verify")
    file = heads.heads_file(home.path)
    with city.transaction() as conn:
        heads.append(conn, file, home.secret(heads.HEADS_KEY).encode())
    said = dothi("audit", "verify")
    assert "is whole" in said
    assert "Compared with 1 seals" in said
    assert "no key" not in said
    assert "Wrote" in dothi("audit", "export", str(tmp_path / "trail.ndjson"))
    with city.transaction() as conn:
        conn.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
        conn.execute("DELETE FROM audit_entry WHERE seq = 2")
    assert "CHANGED from entry 2 on" in dothi("audit", "verify", "--heads", str(file), code=1)
    with pytest.raises(Misconfigured):
        dothi("audit", "verify", "--heads", str(tmp_path / "none"))
    with pytest.raises(Misconfigured):
        dothi("audit", "export", str(tmp_path / "none" / "x"))


def test_without_a_running_instance_it_says_so(home: Home) -> None:
    parser = argparse.ArgumentParser()
    commands.arguments_account(parser)
    with pytest.raises(Unavailable, match="dothi up"):
        commands.run_account(parser.parse_args(["list"]), Settings(home=home.path))


def test_agencies_are_made_renamed_merged_and_ended(dothi: Dothi, city: Database) -> None:
    dothi("agency", "add", "so-cu", "--vi", "Sở Cũ", "--en", "Old department")
    dothi("agency", "add", "so-moi", "--vi", "Sở Mới", "--en", "New department", "--parent", "so-cu",
          "--from", "2026-01-01")  # fmt: skip
    assert dothi("agency", "rename", "so-moi", "--en", "Newer department") == (
        "+  so-moi  Newer department  below so-cu\n"
    )
    dothi("agency", "add", "ban-tam", "--vi", "Ban Tạm", "--en", "Board", "--from", "2026-01-01")
    dothi("agency", "close", "ban-tam", "--on", "2026-02-01", "--ground", "QĐ 1/2026")
    dothi("agency", "rename", "so-moi", "--parent", "ban-tam")
    dothi("agency", "merge", "so-cu", "--into", "so-moi", "--on", "2026-03-01", "--ground", "QĐ 2")
    said = dothi("agency", "list")
    assert "-  so-cu  Old department  merged into so-moi on" in said
    assert "-  ban-tam  Board  ended on" in said
    before = dothi("agency", "list", "--on", "2026-01-15")
    assert "so-cu" in before and "ban-tam" in before
    assert "so-cu" not in dothi("agency", "list", "--on", "2026-03-02")
    with city.transaction() as conn:
        kinds = conn.execute(
            "SELECT kind, actor FROM event WHERE subject IN "
            "('agency:so-cu', 'agency:so-moi', 'agency:ban-tam') AND kind LIKE 'audit.%' ORDER BY id"
        ).fetchall()
    wanted = ["added", "added", "changed", "added", "closed", "changed", "merged"]
    assert kinds == [(f"audit.agency_{what}", "system") for what in wanted]


def test_what_cannot_be_done_to_an_agency_is_said(
    dothi: Dothi, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotFound):
        dothi("agency", "rename", "nobody", "--en", "x")
    with pytest.raises(Invalid):
        dothi("agency", "add", "no good", "--vi", "", "--en", "x")
    assert "name_vi: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        dothi("agency", "list", "--on", "yesterday")
    assert "2026-11-21" in capsys.readouterr().err
