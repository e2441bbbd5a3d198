"""What moved: a change is unusual by the figure's own past, not by its share of what it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel.unusual import LEAST_CHANGES, TO_SIGMA, last_change

CALM = [100.0, 101, 100, 102, 101, 100, 101, 99, 100, 101, 100]


def test_a_jump_of_a_calm_figure_outranks_a_larger_one_of_a_restless_figure() -> None:
    restless = [100.0, 160, 90, 170, 80, 150, 95, 165, 85, 155, 90]
    calm = last_change([*CALM, 112.0], 0.1)
    wild = last_change([*restless, 150.0], 0.1)
    assert calm and wild
    assert calm.unusual and calm.amount == 12 and not wild.unusual
    assert calm.times > 5 > wild.times


def test_the_deviation_is_the_median_one() -> None:
    # Changes 1, 3, 1, 3, …: their middle is 2, every one deviates by 1.
    values, at = [0.0], 0.0
    for n in range(10):
        at += 1 if n % 2 else 3
        values.append(at)
    found = last_change([*values, at + 12], 0.1)
    assert found and found.usual == pytest.approx(TO_SIGMA)
    assert found.times == pytest.approx(10 / TO_SIGMA)


def test_one_wild_value_of_the_past_hides_nothing() -> None:
    spiked = [*CALM[:5], 900.0, *CALM[5:]]
    found = last_change([*spiked, 112.0], 0.1)
    assert found and found.unusual and found.usual < 4


def test_a_figure_that_never_moved_is_judged_by_what_its_decimals_show() -> None:
    still = [5.0] * 12
    assert (found := last_change([*still, 5.0], 0.1)) and not found.unusual
    assert (found := last_change([*still, 5.2], 0.1)) and not found.unusual
    assert (found := last_change([*still, 5.5], 0.1)) and found.unusual and found.usual == 0.1


def test_too_little_known_is_no_judgement() -> None:
    assert last_change([], 1) is None
    assert last_change([*CALM, None], 1) is None
    assert last_change([1.0] * (LEAST_CHANGES + 1), 1) is None
    assert last_change([1.0] * (LEAST_CHANGES + 2), 1) is not None
    gaps = [value for one in CALM for value in (one, None)]
    assert last_change([*gaps, 112.0], 0.1) == last_change([*CALM, 112.0], 0.1)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=40),
    st.floats(0.5, 100), st.integers(-10**6, 10**6),
)  # fmt: skip
def test_units_and_zero_do_not_matter(values: list[float], scale: float, shift: int) -> None:
    one = last_change(values, 1e-3)
    other = last_change([value * scale + shift for value in values], 1e-3 * scale)
    assert one and other
    assert other.times == pytest.approx(one.times, rel=1e-3, abs=1e-3)
