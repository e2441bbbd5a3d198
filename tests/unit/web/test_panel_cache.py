"""What screens share is made once, and anew after a ring."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dothi.web.site import PanelCache

ASKING = 12


def test_many_that_ask_at_once_get_one_making() -> None:
    cache, made, all_here = PanelCache(lambda _: 0), [], threading.Barrier(ASKING)

    def make() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    def ask() -> object:
        all_here.wait(10)
        return cache.value("key", (), make)

    with ThreadPoolExecutor(ASKING) as pool:
        answers = [job.result(10) for job in [pool.submit(ask) for _ in range(ASKING)]]
    assert len(made) == 1 and set(answers) == set(made)


def test_who_asks_after_a_ring_does_not_get_what_was_begun_before_it() -> None:
    rings = [0]
    cache, begun, go_on = PanelCache(lambda _: rings[0]), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(10)
        return "old"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.value, "key", ("work",), slow)
        assert begun.wait(10)
        rings[0] += 1
        assert cache.value("key", ("work",), lambda: "new") == "new"
        go_on.set()
        assert first.result(10) == "old"
    assert cache.value("key", ("work",), lambda: "newest") == "newest"


def test_a_failure_is_told_to_all_who_wait_and_forgotten() -> None:
    cache, begun, go_on = PanelCache(lambda _: 0), threading.Event(), threading.Event()

    def fail() -> str:
        begun.set()
        assert go_on.wait(10)
        raise ValueError("away")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.value, "key", (), fail)
        assert begun.wait(10)
        second = pool.submit(cache.value, "key", (), fail)
        time.sleep(0.05)
        go_on.set()
        for asked in (first, second):
            with pytest.raises(ValueError, match="away"):
                asked.result(10)
    assert cache.known("key") is None
    assert cache.value("key", (), lambda: "well") == "well"


def test_what_is_kept_is_known_until_a_ring_or_its_time() -> None:
    rings = [0]
    cache = PanelCache(lambda _: rings[0])
    assert cache.known("key") is None
    cache.value("key", ("work",), lambda: "kept", kept_s=0.2)
    assert cache.known("key") == "kept"
    rings[0] += 1
    assert cache.known("key") is None
    cache.value("short", (), lambda: "kept", kept_s=0.0)
    assert cache.known("short") is None
