"""A predicate means the same in PostgreSQL, in DuckDB and in Python."""

from collections.abc import Iterator

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dothi.identity.predicate import (
    And,
    ColumnType,
    Compare,
    Compiled,
    Constant,
    In,
    IsNull,
    Not,
    Or,
    Predicate,
    Truth,
    all_of,
    any_of,
    canonical,
    evaluate,
    from_json,
    to_duckdb,
    to_json,
    to_postgres,
)

COLUMNS: dict[str, ColumnType] = {"n": "int", "m": "int", "s": "text", "u": "text", "b": "bool"}
Row = tuple[int | None, int | None, str | None, str | None, bool | None]

edges = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**31])
stored_int = edges | st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
any_int = stored_int | st.sampled_from([2**63, -(2**63) - 1, 10**40, -(10**40)])
text = st.sampled_from(
    [
        "",
        "a",
        "A",
        "Đ",
        "đ",
        "e\u0301",
        "é",
        "'",
        '"',
        "\\",
        "%s",
        "%(x)s",
        "$p0",
        "a ",
        " a",
        "\U0001f409",
    ]
) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
OF_TYPE: dict[ColumnType, st.SearchStrategy[Constant]] = {
    "int": any_int, "text": text, "bool": st.booleans(),
}  # fmt: skip


@st.composite
def comparisons(draw: st.DrawFn) -> Predicate:
    column = draw(st.sampled_from(sorted(COLUMNS)))
    values = OF_TYPE[COLUMNS[column]] | st.none()
    match draw(st.integers(0, 3)):
        case 0:
            return IsNull(column)
        case 1:
            return In(column, tuple(draw(st.lists(values, max_size=3))))
        case _:
            return Compare(
                column, draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="])), draw(values)
            )


predicates: st.SearchStrategy[Predicate] = st.recursive(
    comparisons() | st.sampled_from([Truth(True), Truth(False), Truth(None)]),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=8,
)
rows = st.lists(
    st.tuples(
        stored_int | st.none(),
        stored_int | st.none(),
        text | st.none(),
        text | st.none(),
        st.booleans() | st.none(),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def engines(
    server: str, template: str
) -> Iterator[tuple[psycopg.Connection, duckdb.DuckDBPyConnection]]:
    lake = duckdb.connect()
    lake.execute("CREATE TABLE r (k INT, n BIGINT, m BIGINT, s TEXT, u TEXT, b BOOLEAN)")
    with psycopg.connect(server, dbname=template, autocommit=True) as postgres:
        postgres.execute(
            "CREATE TEMP TABLE r (k int, n bigint, m bigint, s text, u text, b boolean)"
        )
        yield postgres, lake
    lake.close()


def in_postgres(conn: psycopg.Connection, query: Compiled, data: list[Row]) -> list[bool | None]:
    conn.execute("TRUNCATE r")
    conn.cursor().executemany(
        "INSERT INTO r VALUES (%s, %s, %s, %s, %s, %s)",
        [(k, *row) for k, row in enumerate(data)],
    )
    found = conn.execute(f"SELECT {query.text} FROM r ORDER BY k", query.params)  # type: ignore[arg-type]
    return [value for (value,) in found.fetchall()]


def in_duckdb(
    conn: duckdb.DuckDBPyConnection, query: Compiled, data: list[Row]
) -> list[bool | None]:
    conn.execute("DELETE FROM r")
    for k, row in enumerate(data):
        conn.execute("INSERT INTO r VALUES (?, ?, ?, ?, ?, ?)", [k, *row])
    found = conn.execute(f"SELECT {query.text} FROM r ORDER BY k", query.params)
    return [value for (value,) in found.fetchall()]


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(predicate=predicates, data=rows)
def test_the_same_rows_everywhere(
    engines: tuple[psycopg.Connection, duckdb.DuckDBPyConnection],
    predicate: Predicate,
    data: list[Row],
) -> None:
    postgres, lake = engines
    expected = [evaluate(predicate, dict(zip("nmsub", row, strict=True))) for row in data]
    assert in_postgres(postgres, to_postgres(predicate, COLUMNS), data) == expected
    assert in_duckdb(lake, to_duckdb(predicate, COLUMNS), data) == expected


@given(predicate=predicates, data=rows)
def test_simplifying_storing_and_sorting_do_not_change_the_answer(
    predicate: Predicate, data: list[Row]
) -> None:
    assert from_json(to_json(predicate)) == predicate
    others = (
        all_of(predicate, Truth(True)),
        any_of(Truth(False), predicate, predicate),
        from_json(__import__("json").loads(canonical(predicate))),
    )
    for row in data:
        named = dict(zip("nmsub", row, strict=True))
        assert {evaluate(other, named) for other in others} == {evaluate(predicate, named)}


@given(st.lists(predicates, min_size=2, max_size=4))
def test_the_order_of_parts_gives_no_other_cache_key(parts: list[Predicate]) -> None:
    turned = list(reversed(parts))
    assert canonical(And(tuple(parts))) == canonical(And(tuple(turned)))
    assert canonical(Or(tuple(parts))) == canonical(Or((*turned, parts[0])))
