"""Ids sort by the time they were made; tokens cannot be guessed."""

import threading
import uuid

import pytest

from dothi.kernel import ids
from dothi.kernel.time import utc_now


def test_ids_sort_in_the_order_they_were_made() -> None:
    made = [ids.new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {one.version for one in made} == {7}
    assert {one.variant for one in made} == {uuid.RFC_4122}


def test_threads_never_share_an_id() -> None:
    made: list[uuid.UUID] = []
    threads = [
        threading.Thread(target=lambda: made.extend(ids.new_id() for _ in range(5_000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.int >> 64 for one in made}) == 20_000


def test_a_clock_set_back_does_not_break_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids.new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert ids.new_id() > before


def test_an_id_knows_when_it_was_made() -> None:
    assert abs((ids.id_time(ids.new_id()) - utc_now()).total_seconds()) < 1


def test_tokens_are_long_and_name_their_use() -> None:
    tokens = {ids.token("key") for _ in range(1_000)}
    assert len(tokens) == 1_000
    assert all(one.startswith("key_") and len(one) == 44 for one in tokens)


def test_work_items_have_codes_for_paper() -> None:
    assert ids.work_code(2025, 123) == "VV-2025-000123"
    assert ids.work_code(2025, 1_234_567) == "VV-2025-1234567"
    for year, n in ((0, 1), (10_000, 1), (2025, 0)):
        with pytest.raises(ValueError, match="no work code"):
            ids.work_code(year, n)
