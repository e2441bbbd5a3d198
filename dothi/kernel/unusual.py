"""How unusual a change of a figure is, by the figure's own past.

Robust: the median of earlier changes and their median absolute deviation (MAD) say what is usual, so
that one outlier of the past neither hides nor makes another. For normally spread changes 1.4826 · MAD is
the standard deviation (Rousseeuw & Croux, 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

TO_SIGMA = 1.4826
LEAST_CHANGES = 8
"""Earlier changes that must be known before anything is called unusual."""
UNUSUAL = 3.0
"""How many usual deviations a change differs by that is told."""


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of a series: how much, what changes by usually (`usual`, as a deviation), and
    by how many of those it differs from the middle of the earlier changes."""

    was: float
    now: float
    usual: float
    times: float

    @property
    def amount(self) -> float:
        return self.now - self.was

    @property
    def unusual(self) -> bool:
        return self.times >= UNUSUAL


def last_change(values: Sequence[float | None], step: float) -> Change | None:
    """The last change of a series, oldest value first, beside those before it; None where the last
    value is missing or too little is known.

    Missing values are passed over: a change is that between two known neighbours. `step` is the
    smallest difference that the figure's decimals show: nothing below it is called a deviation.
    """
    if not values or values[-1] is None:
        return None
    known = [value for value in values if value is not None]
    changes = [after - before for before, after in pairwise(known)]
    if len(changes) <= LEAST_CHANGES:
        return None
    *earlier, last = changes
    middle = median(earlier)
    usual = max(TO_SIGMA * median(abs(one - middle) for one in earlier), step)
    return Change(known[-2], known[-1], usual, abs(last - middle) / usual)
