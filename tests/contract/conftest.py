"""One assembled application for a module of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.world import World, fresh_database, with_street_lighting, world


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The whole web application over HTTP."""
    home: Path = tmp_path_factory.mktemp("home")
    packs = with_street_lighting(tmp_path_factory.mktemp("packs") / "all")
    with (
        fresh_database(server, template, f"dothi_access_{os.getpid()}") as url,
        world(url, home, lambda _: {"packs": packs}) as made,
    ):
        yield made
