"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from dothi.kernel.errors import Misconfigured
from dothi.store.settings import Settings, language


def test_a_child_reads_the_same_settings_from_what_its_parent_hands_down() -> None:
    settings = Settings.read(
        {"DOTHI_HOME": "/srv/city", "DOTHI_PORT": "9000", "DOTHI_LANG": "en", "DOTHI_DEMO": "1",
         "DOTHI_PUBLIC_URL": "https://city.example", "DOTHI_RESERVE_MB": "256"}
    )  # fmt: skip
    assert Settings.read(settings.environment()) == settings


def test_the_databases_address_is_not_handed_down_by_the_way() -> None:
    settings = Settings.read(
        {"DOTHI_HOME": "/srv/city", "DOTHI_DATABASE_URL": "postgresql://u:secret@h/d"}
    )
    assert settings.database_url == "postgresql://u:secret@h/d"
    assert "secret" not in str(settings.environment())


def test_a_relative_home_is_made_absolute_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.read({"DOTHI_HOME": "data"}).home == tmp_path / "data"


@pytest.mark.parametrize(
    ("environ", "lang"),
    [
        ({}, "vi"),
        ({"LANG": "C.UTF-8"}, "vi"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "vi_VN", "DOTHI_LANG": "en"}, "en"),
    ],
)
def test_the_language_follows_the_person(environ: dict[str, str], lang: str) -> None:
    assert language(environ) == lang


@pytest.mark.parametrize(
    ("name", "value"),
    [("DOTHI_PORT", "http"), ("DOTHI_PORT", "65536"), ("DOTHI_PORT", "-1"), ("DOTHI_WEB", "0"),
     ("DOTHI_PORT", "٨٠"), ("DOTHI_LANG", "fr")],
)  # fmt: skip
def test_a_value_without_sense_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        Settings.read({name: value})
