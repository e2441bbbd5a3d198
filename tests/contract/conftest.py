"""One assembled application for a module of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.world import World, fresh_database, world


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The whole web application over HTTP."""
    home: Path = tmp_path_factory.mktemp("home")
    with (
        fresh_database(server, template, f"dothi_access_{os.getpid()}") as url,
        world(url, home) as made,
    ):
        yield made
