"""How far a number moved, as screens say it: by what is shown, halves rounded as on paper."""

from __future__ import annotations

import pytest

from dothi.ioc.view import Change


@pytest.mark.parametrize(
    ("amount", "decimals", "still"),
    [
        (0.0, 0, True),
        (0.04, 1, True),
        (-0.04, 1, True),
        (0.05, 1, False),
        (-0.25, 1, False),
        (0.49, 0, True),
    ],
)
def test_what_moved_by_less_than_is_shown_did_not_move(
    amount: float, decimals: int, still: bool
) -> None:
    assert Change(amount, "so với hôm qua", decimals).still is still
