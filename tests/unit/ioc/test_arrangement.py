"""The order of the tiles, as it is stored, sent and applied."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dothi.ioc.arrangement import LONGEST, Arrangement

KEYS = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


def test_what_a_person_hid_stays_in_its_place_and_new_tiles_come_last() -> None:
    arrangement = Arrangement.read(["work_open", "-silent", "i_aqi"])
    assert arrangement.hidden == {"silent"}
    assert arrangement.sorted(["i_aqi", "newer", "silent", "work_open"]) == [
        "work_open", "silent", "i_aqi", "newer",
    ]  # fmt: skip


@given(st.lists(KEYS, unique=True, max_size=30), st.data())
def test_what_is_kept_is_read_again(keys: list[str], data: st.DataObject) -> None:
    hidden = frozenset(data.draw(st.sets(st.sampled_from(keys)))) if keys else frozenset()
    arrangement = Arrangement(tuple(keys), hidden)
    assert Arrangement.read(arrangement.words) == arrangement
    assert Arrangement.read(".".join(arrangement.words).split(".")) == arrangement


@given(st.lists(st.one_of(st.text(), st.integers(), st.none()), max_size=LONGEST + 50))
def test_nonsense_is_passed_over(words: list[object]) -> None:
    arrangement = Arrangement.read(words)
    assert len(arrangement.order) <= LONGEST
    assert arrangement.hidden <= set(arrangement.order)
