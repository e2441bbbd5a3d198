"""What a page shows is never older than its stream: a ring between the two is not lost."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable

import httpx
import pytest

from tests.contract.world import World


def page_and_what_it_heard(client: httpx.Client) -> tuple[str, str]:
    """The text of the live page of work and its place in the event log."""
    page = client.get("/work").text
    found = re.search(r'data-heard="(\d+\.\d+)"', page)
    assert found
    return page, found[1]


def first_ring(
    client: httpx.Client, since: str, *, topics: str = "work", patience_s: float = 30
) -> list[str] | None:
    """The topics rung at once on a stream that is opened now; None: only the hello came."""
    heard: list[str] = []
    asked = {"topics": topics, "since": since}
    while "event: hello" not in heard:  # even that takes longer than our patience at times
        with (
            contextlib.suppress(httpx.ReadTimeout),
            client.stream("GET", "/live", params=asked, timeout=patience_s) as stream,
        ):
            for line in stream.iter_lines():
                heard.append(line)
                if line.startswith("data: ") and "event: ring" in heard:
                    return json.loads(line.removeprefix("data: "))["topics"]
    return None


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_changed_while_the_page_was_on_its_way_rings_at_once(town: World) -> None:
    with town.client("admin") as client:
        page, heard = page_and_what_it_heard(client)
        code = town.new_work("own")
        assert code not in page
        until(lambda: page_and_what_it_heard(client)[1] != heard)
        assert first_ring(client, heard) == ["work"]

        page, heard = page_and_what_it_heard(client)
        assert code in page
        assert first_ring(client, heard, patience_s=1.5) is None


def test_a_page_from_before_this_process_refreshes_all_it_shows(town: World) -> None:
    with town.client("admin") as client:
        assert first_ring(client, "0.0", topics="loads,work") == ["loads", "work"]


@pytest.mark.parametrize("since", ["", "x", "1", "1.x", "-1.5", "1." + "9" * 60, "²..²"])
def test_an_unreadable_place_only_opens_the_stream(town: World, since: str) -> None:
    with town.client("admin") as client:
        assert first_ring(client, since, patience_s=1) is None


def test_while_the_log_cannot_be_read_no_page_is_told_that_it_is_live(town: World) -> None:
    with town.client("admin", timeout=40) as client, town.client(timeout=40) as other:
        with client.stream("GET", "/live", params={"topics": "work"}) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: hello"
            with town.house.db.connect() as held, held.transaction():
                held.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
                list(lines)  # the stream ends instead of beating on
                assert other.get("/live").status_code == 503
        until(lambda: not town.hub.deaf)
        with other.stream("GET", "/live") as stream:
            assert stream.status_code == 200
            assert next(stream.iter_lines()) == "event: hello"
