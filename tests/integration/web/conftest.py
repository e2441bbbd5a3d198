"""The assembled application for the tests of its doors' manners."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.world import World, world


@pytest.fixture(scope="module")
def town(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The whole web application over HTTP."""
    with world(server, template, tmp_path_factory.mktemp("home")) as made:
        yield made
