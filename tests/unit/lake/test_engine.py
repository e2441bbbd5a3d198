"""Values that go into an engine as a small table come out as they were."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dothi.lake.engine import engine, table

_BIG = 2**63 - 1
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
_ROWS = st.lists(
    st.tuples(st.none() | st.integers(-_BIG, _BIG), st.none() | _TEXT, st.none() | _FLOAT),
    min_size=1,
)


@pytest.fixture(scope="module")
def root() -> Iterator[duckdb.DuckDBPyConnection]:
    with engine(1, "100MB") as made:
        yield made


@settings(deadline=None, max_examples=60)
@given(rows=_ROWS)
def test_what_went_in_comes_out(
    root: duckdb.DuckDBPyConnection, rows: list[tuple[int | None, str | None, float | None]]
) -> None:
    numbers, texts, values = zip(*rows, strict=True)
    table(root, "given", {
        "n": ("BIGINT", numbers), "s": ("VARCHAR", texts), "v": ("DOUBLE", values),
    })  # fmt: skip
    assert root.execute("FROM given").fetchall() == rows


def test_no_rows_make_an_empty_table(root: duckdb.DuckDBPyConnection) -> None:
    table(root, "given", {"n": ("INTEGER", []), "s": ("VARCHAR", [])})
    assert root.execute("SELECT count(*), max(n), max(s) FROM given").fetchone() == (0, None, None)
