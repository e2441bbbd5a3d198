"""The assembled application for the tests of its doors' manners."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.contract.world import World, fresh_database, world


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The whole web application over HTTP."""
    with (
        fresh_database(server, template, f"dothi_web_{os.getpid()}") as url,
        world(url, tmp_path_factory.mktemp("home")) as made,
    ):
        yield made
