"""A series carried from old units to new ones and back: what holds exactly, what does not."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.kernel.crosswalk import (
    Aggregation,
    Conversion,
    Converted,
    Crosswalk,
    Link,
    Span,
    Status,
    Value,
    convert,
)

DAY, BEFORE, AFTER = date(2025, 7, 1), date(2024, 12, 31), date(2025, 12, 31)
SUM, MEAN, NONE = Aggregation.SUM, Aggregation.MEAN, Aggregation.NONE
GROUND = "điều tra 2024 (Cục Thống kê)"


def reform(*links: Link, **others: Span) -> Crosswalk:
    """A crosswalk whose old units end and new ones begin on DAY."""
    spans: dict[str, list[Span]] = {}
    for link in links:
        spans[link.old] = [(None, DAY)]
        spans[link.new] = [(DAY, None)]
    return Crosswalk(links, spans | {code: [span] for code, span in others.items()})


MERGED = reform(Link("a", "N", DAY), Link("b", "N", DAY), Link("c", "M", DAY))


def split(**shares: str) -> Crosswalk:
    """a divides between N and M; b goes to N whole."""
    forward = {new: Fraction(share) for new, share in shares.items()}
    return reform(
        Link("a", "N", DAY, forward.get("N"), ground=GROUND if forward else ""),
        Link("a", "M", DAY, forward.get("M"), ground=GROUND if forward else ""),
        Link("b", "N", DAY),
    )


def total(conversion: Conversion) -> Fraction:
    """All that is left of the values, however it can be told apart."""
    sure = [v.value for v in conversion.values.values()]
    groups = [g.value for g in conversion.groups]
    return sum(
        (Fraction(v) for v in [*sure, *groups, *conversion.unplaced.values()] if v is not None),
        Fraction(0),
    )


def test_where_units_only_merged_the_sums_are_exact() -> None:
    done = convert({"a": 3, "b": 4, "c": 5}, MERGED, BEFORE, AFTER, SUM)
    assert done.values == {
        "N": Converted(7, Status.EXACT, ("a", "b")),
        "M": Converted(5, Status.EXACT, ("c",)),
    }


def test_a_split_unit_without_shares_is_not_separable_and_its_total_is_kept() -> None:
    done = convert({"a": 10, "b": 4}, split(), BEFORE, AFTER, SUM)
    assert done.values["N"] == Converted(None, Status.NOT_SEPARABLE, ("a", "b"), known=4)
    assert done.values["M"] == Converted(None, Status.NOT_SEPARABLE, ("a",))
    [group] = done.groups
    assert (group.targets, group.sources, group.value) == (("M", "N"), ("a", "b"), 14)
    assert group.status is Status.EXACT


def test_with_shares_it_is_estimated_and_names_whose_shares_they_are() -> None:
    done = convert({"a": 10, "b": 4}, split(N="0.6", M="0.4"), BEFORE, AFTER, SUM)
    assert done.values["N"] == Converted(
        Decimal("10.000000"), Status.ESTIMATED, ("a", "b"), frozenset({GROUND})
    )
    assert done.values["M"].value == 4
    assert done.groups == []


def test_a_unit_that_lacks_a_value_makes_the_whole_missing_not_smaller() -> None:
    for values in ({"a": 3}, {"a": 3, "b": None}):
        done = convert(values, MERGED, BEFORE, AFTER, SUM)
        assert done.values == {"N": Converted(None, Status.MISSING, ("a", "b"))}


def test_a_rate_is_never_summed() -> None:
    rates = {"a": 3.0, "b": 4.0, "c": 5.0}
    alone = convert(rates, MERGED, BEFORE, AFTER, NONE).values
    assert (alone["N"].value, alone["N"].status) == (None, Status.NOT_ADDITIVE)
    assert (alone["M"].value, alone["M"].status) == (5.0, Status.EXACT)
    assert convert(rates, MERGED, BEFORE, AFTER, MEAN).values == alone
    weighted = convert(rates, MERGED, BEFORE, AFTER, MEAN, {"a": 1, "b": 3, "c": 9}).values
    assert (weighted["N"].value, weighted["N"].status) == (3.75, Status.EXACT)
    lacking = convert(rates, MERGED, BEFORE, AFTER, MEAN, {"a": 1, "c": 9}).values
    assert (lacking["N"].value, lacking["N"].status) == (None, Status.MISSING)


def test_the_rate_of_a_divided_unit_is_estimated_with_shares_only() -> None:
    rates, people = {"a": Decimal(10), "b": Decimal(20)}, {"a": 100, "b": 40}
    done = convert(rates, split(N="0.6", M="0.4"), BEFORE, AFTER, MEAN, people).values
    assert (done["N"].value, done["N"].status) == (Decimal(14), Status.ESTIMATED)
    assert (done["M"].value, done["M"].status) == (Decimal(10), Status.ESTIMATED)
    open_ended = convert(rates, split(), BEFORE, AFTER, MEAN, people)
    assert {v.status for v in open_ended.values.values()} == {Status.NOT_SEPARABLE}
    assert open_ended.groups == []


def test_a_new_series_by_old_units_needs_the_parts_of_the_new_one() -> None:
    done = convert({"N": 10, "M": 5}, MERGED, AFTER, BEFORE, SUM)
    assert done.values["c"] == Converted(5, Status.EXACT, ("M",))
    assert done.values["a"].status is done.values["b"].status is Status.NOT_SEPARABLE
    assert [(g.targets, g.value) for g in done.groups] == [(("a", "b"), 10)]
    people = reform(
        Link("a", "N", DAY, back=Fraction(1, 3)), Link("b", "N", DAY, back=Fraction(2, 3))
    )
    shared = convert({"N": 10}, people, AFTER, BEFORE, SUM).values
    assert (shared["a"].value, shared["b"].value) == (Decimal("3.333333"), Decimal("6.666667"))


def test_what_split_into_units_of_its_own_comes_back_exactly() -> None:
    apart = reform(Link("a", "N", DAY), Link("a", "M", DAY))
    done = convert({"N": 3, "M": 4}, apart, AFTER, BEFORE, SUM)
    assert done.values == {"a": Converted(7, Status.EXACT, ("M", "N"))}


def test_a_code_used_again_belongs_to_somebody_else() -> None:
    spans: dict[str, list[Span]] = {
        "1": [(None, DAY), (DAY, None)], "2": [(None, DAY)], "3": [(None, None)],
    }  # fmt: skip
    again = Crosswalk([Link("2", "1", DAY)], spans)
    done = convert({"1": 100, "2": 5, "3": 7}, again, BEFORE, AFTER, SUM)
    assert {code: v.value for code, v in done.values.items()} == {"1": 5, "3": 7}
    assert done.unplaced == {"1": 100}


def test_two_reforms_in_a_row_are_followed_through() -> None:
    second = date(2027, 1, 1)
    links = [Link("a", "N", DAY), Link("b", "N", DAY), Link("N", "X", second, Fraction(1, 4)),
             Link("N", "Y", second, Fraction(3, 4))]  # fmt: skip
    spans: dict[str, list[Span]] = {
        "a": [(None, DAY)], "b": [(None, DAY)], "N": [(DAY, second)],
        "X": [(second, None)], "Y": [(second, None)],
    }  # fmt: skip
    walk = Crosswalk(links, spans)
    done = convert({"a": 4, "b": 8}, walk, BEFORE, second, SUM).values
    assert (done["X"].value, done["Y"].value) == (3, 9)
    assert convert({"a": 4, "b": 8}, walk, BEFORE, DAY, SUM).values["N"].value == 12
    back = convert({"X": 3, "Y": 9}, walk, second, DAY, SUM).values
    assert back == {"N": Converted(12, Status.EXACT, ("X", "Y"))}


NUMBERS = st.one_of(
    st.dictionaries(st.integers(0, 19), st.integers(), min_size=1),
    st.dictionaries(
        st.integers(0, 19),
        st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
        min_size=1,
    ),
)


@given(NUMBERS, st.lists(st.integers(0, 6), min_size=20, max_size=20))
def test_merging_keeps_every_sum(numbers: dict[int, Any], into: list[int]) -> None:
    walk = reform(*(Link(f"o{n}", f"n{into[n]}", DAY) for n in range(20)))
    values: dict[str, Value | None] = {f"o{n}": numbers.get(n, 0) for n in range(20)}
    done = convert(values, walk, BEFORE, AFTER, SUM)
    assert {v.status for v in done.values.values()} == {Status.EXACT}
    assert total(done) == sum(Fraction(v) for v in values.values() if v is not None)


@given(
    NUMBERS,
    st.lists(st.sets(st.integers(0, 6), max_size=3), min_size=20, max_size=20),
    st.lists(st.booleans(), min_size=20, max_size=20),
    st.booleans(),
)
def test_nothing_is_ever_lost_whatever_splits(
    numbers: dict[int, Any], into: list[set[int]], shared: list[bool], backward: bool
) -> None:
    links, spans = [], dict[str, list[Span]]()
    for n, targets in enumerate(into):
        spans[f"o{n}"] = [(None, DAY)]
        for place, new in enumerate(sorted(targets)):
            spans[f"n{new}"] = [(DAY, None)]
            thirds = (
                (Fraction(1, 3), Fraction(2, 3)) if len(targets) == 2 else (Fraction(1, 3),) * 3
            )
            links.append(Link(f"o{n}", f"n{new}", DAY, thirds[place] if shared[n] else None))
    walk = Crosswalk(links, spans)
    there, start, end = ("n", AFTER, BEFORE) if backward else ("o", BEFORE, AFTER)
    values: dict[str, Value | None] = {
        code: numbers.get(int(code[1:]), 0) for code in spans if code.startswith(there)
    }
    done = convert(values, walk, start, end, SUM)
    assert total(done) == sum(Fraction(v) for v in values.values() if v is not None)
    for one in done.values.values():
        assert (one.value is None) == (one.status is Status.NOT_SEPARABLE)


@pytest.mark.parametrize("kind", [int, float, Decimal])
def test_a_million_values_take_seconds(kind: type) -> None:
    links = [Link(f"o{n}", f"n{n // 3}", DAY) for n in range(10_000)]
    plan = reform(*links).plan(BEFORE, AFTER)
    values = {f"o{n}": kind(n) for n in range(10_000)}
    began = time.process_time()
    months = [plan.convert(values, SUM) for _ in range(100)]
    assert time.process_time() - began < 10
    assert total(months[-1]) == sum(range(10_000))
