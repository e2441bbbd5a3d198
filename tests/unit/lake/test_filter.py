"""The filter language of the read API: what it says, what it refuses, and that it never breaks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dothi.identity.predicate import (
    And,
    ColumnType,
    Compare,
    In,
    IsNull,
    Not,
    Or,
    Predicate,
    admits,
    to_duckdb,
)
from dothi.kernel.errors import Invalid
from dothi.kernel.time import VN
from dothi.lake.out.filter import parse, written

COLUMNS: dict[str, ColumnType] = {
    "station": "text", "level": "number", "people": "int", "open": "bool", "day": "date",
    "time": "instant",
}  # fmt: skip
CONSTANTS: dict[ColumnType, st.SearchStrategy[Any]] = {
    "text": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
    "number": st.floats(-1e6, 1e6),
    "int": st.integers(-(2**70), 2**70),
    "bool": st.booleans(),
    "date": st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    "instant": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
}


def _conditions() -> st.SearchStrategy[Predicate]:
    def of(name: str) -> st.SearchStrategy[Predicate]:
        constant = CONSTANTS[COLUMNS[name]]
        return st.one_of(
            st.builds(
                Compare, st.just(name), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), constant
            ),
            st.builds(In, st.just(name), st.lists(constant, min_size=1, max_size=3).map(tuple)),
            st.just(IsNull(name)),
        )

    return st.sampled_from(sorted(COLUMNS)).flatmap(of)


PREDICATES: st.SearchStrategy[Predicate] = st.recursive(
    _conditions(),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=6,
)


def _rows() -> st.SearchStrategy[dict[str, Any]]:
    small: dict[str, st.SearchStrategy[Any]] = {
        name: st.none() | CONSTANTS[kind] for name, kind in COLUMNS.items()
    }
    small["people"] = st.none() | st.integers(-(2**63), 2**63 - 1)
    return st.fixed_dictionaries(small)


@given(PREDICATES)
def test_a_filter_says_what_it_was_written_from(predicate: Predicate) -> None:
    assert parse(written(predicate), COLUMNS, VN) == predicate


@settings(max_examples=60, deadline=None)
@given(PREDICATES, st.lists(_rows(), min_size=1, max_size=4))
def test_the_engine_admits_the_rows_that_the_meaning_admits(
    predicate: Predicate, rows: list[dict[str, Any]]
) -> None:
    made = to_duckdb(parse(written(predicate), COLUMNS, VN), COLUMNS)
    with duckdb.connect() as engine:
        engine.execute(
            "SET TimeZone='UTC'; CREATE TABLE t (n INT, station VARCHAR, level DOUBLE, "
            "people BIGINT, open BOOLEAN, day DATE, time TIMESTAMPTZ)"
        )
        for n, row in enumerate(rows):
            engine.execute(
                "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", [n, *(row[c] for c in COLUMNS)]
            )
        found = engine.execute(f"SELECT n FROM t WHERE {made.text}", made.params).fetchall()
    assert {n for (n,) in found} == {n for n, row in enumerate(rows) if admits(predicate, row)}


@settings(max_examples=400)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                ["station", "level", "time", "=", "<", "<>", "(", ")", ",", "and", "or", "not", "in",
                 "is", "null", "between", "'a'", "'", '"', ";", "--", "/*", "1", "-1e400", "2026-01-01",
                 "9999-99-99", "true", "$f0", "?", "\\", "%s", "UNION SELECT", "\ud800", "\0"]
            ),
            max_size=14,
        ).map(" ".join),
    )
)  # fmt: skip
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    try:
        predicate = parse(text, COLUMNS, VN)
    except Invalid as error:
        assert all(fault.where.startswith("filter:") for fault in error.faults)
        assert error.text("vi") and [fault.text("vi") for fault in error.faults]
    else:
        # Nothing of the text reaches SQL but the names of columns.
        words = to_duckdb(predicate, COLUMNS).text
        assert "'" not in words and ";" not in words and "--" not in words


def test_what_people_write() -> None:
    assert parse("level >= 2.5 AND station in ('G1', \"G'2\")", COLUMNS, VN) == And(
        (Compare("level", ">=", 2.5), In("station", ("G1", "G'2")))
    )
    assert parse("not open = true or day is not null", COLUMNS, VN) == Or(
        (Not(Compare("open", "=", True)), Not(IsNull("day")))
    )
    night = datetime(2025, 12, 31, 17, tzinfo=UTC)
    assert parse("time between 2026-01-01 and '2026-01-01T00:00Z'", COLUMNS, VN) == And(
        (Compare("time", ">=", night), Compare("time", "<=", datetime(2026, 1, 1, tzinfo=UTC)))
    )
    assert parse("people not in (1)", COLUMNS, VN) == Not(In("people", (1,)))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("nothing = 1", 1), ("level = 'x'", 9), ("level =", 8), ("level = 1 2", 11),
        ("station = 5", 11), ("people = 2.5", 10), ("level = 1; DROP TABLE x", 10),
        ("(" * 60 + "level = 1" + ")" * 60, 42), ("level = 1_000", 10), ("level = '1_000'", 9),
        ("time > 2026-02-30", 8), ("level between 1 or 2", 17), ("level == 1", 8), ("", 1),
    ],
)  # fmt: skip
def test_what_is_wrong_is_shown_at_its_place(text: str, where: int) -> None:
    with pytest.raises(Invalid) as error:
        parse(text, COLUMNS, VN)
    assert [fault.where for fault in error.value.faults] == [f"filter:{where}"]
