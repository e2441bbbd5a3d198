"""What a predicate refuses to become SQL from."""

import pytest

from dothi.identity.predicate import (
    FALSE,
    TRUE,
    UNKNOWN,
    Compare,
    In,
    Predicate,
    admits,
    all_of,
    any_of,
    from_json,
    to_duckdb,
    to_postgres,
)


@pytest.mark.parametrize("compiler", [to_postgres, to_duckdb])
@pytest.mark.parametrize(
    "predicate",
    [
        Compare("secret", "=", 1),
        Compare('n" OR TRUE --', "=", 1),
        Compare("n", "=", "1"),
        Compare("n", "=", True),
        Compare("s", "=", 1),
        Compare("b", "=", 1),
        Compare("s", "=", "a\0b"),
        In("s", ("fine", "\ud800")),
    ],
)
def test_unknown_columns_and_wrong_constants_never_reach_sql(
    compiler, predicate: Predicate
) -> None:
    with pytest.raises(ValueError, match="column"):
        compiler(predicate, {"n": "int", "s": "text", "b": "bool"})


def test_a_name_on_the_allow_list_must_still_be_a_name() -> None:
    with pytest.raises(ValueError, match="column"):
        to_postgres(Compare("n%s", "=", 1), {"n%s": "int"})
    with pytest.raises(ValueError, match="name"):
        to_postgres(TRUE, {}, table='t"')
    with pytest.raises(ValueError, match="name"):
        to_duckdb(TRUE, {}, prefix="p)")


def test_values_travel_as_parameters() -> None:
    hostile = "'; DROP TABLE account; --"
    for compiler in (to_postgres, to_duckdb):
        query = compiler(Compare("s", "=", hostile), {"s": "text"}, table="w", prefix="x_")
        assert hostile not in query.text
        assert query.params == {"x_0": hostile}
        assert '"w"."s"' in query.text


def test_unknown_is_not_a_permission() -> None:
    assert not admits(UNKNOWN, {})
    assert not admits(Compare("n", "=", 1), {"n": None})


def test_parts_that_decide_alone_swallow_the_rest() -> None:
    part = Compare("n", "=", 1)
    assert all_of(part, FALSE) == FALSE
    assert any_of(part, TRUE) == TRUE
    assert all_of() == TRUE
    assert any_of() == FALSE
    assert all_of(TRUE, part, part) == part


@pytest.mark.parametrize(
    "value", ["x", ["and", 1], ["=", "n"], ["=", 1, 1], ["in", "n", [1.5]], ["like", "n", "%"], {}]
)
def test_stored_text_that_is_no_predicate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a predicate"):
        from_json(value)
