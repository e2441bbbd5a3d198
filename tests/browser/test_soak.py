"""Five minutes on the wall: two restarts of the database and a cut of the network (see soak.py).

Most of that time is waiting: it may run beside anything but what else uses the same installation.
"""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import Browser

from tests.browser.product import Product
from tests.browser.soak import MOST_GROWTH, soak, watched

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("computed"),
]  # fmt: skip
LASTING_S = 300


def test_the_wall_recovers_alone_from_two_restarts_and_a_cut_and_does_not_grow(
    browser: Browser, product: Product, admin: httpx.Client
) -> None:
    with watched(browser, product, admin, seconds=5, size=(1920, 1080)) as wall:
        soak(wall, LASTING_S, seconds=5)
        assert len(wall.lost) == 1
        assert len(wall.recovered_s) == 4
        assert wall.growth < MOST_GROWTH, wall.heap
