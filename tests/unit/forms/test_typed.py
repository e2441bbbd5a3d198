"""What people type becomes values, whatever they type; what is shown reads back as the same."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dothi.forms import typed
from dothi.forms.model import changes, jump
from dothi.lake.form import Asked

TITLE = {"vi": "x", "en": "x"}
KINDS = ("number", "integer", "text", "boolean", "date", "instant")
LANGS = st.sampled_from(["vi", "en"])


def asked(kind: str, **more: Any) -> Asked:
    return Asked("x", TITLE, kind, "", **more)


@pytest.mark.parametrize(
    ("text", "lang", "value"),
    [
        ("1.118,5", "vi", 1118.5),
        ("1,118.5", "en", 1118.5),
        ("1.118", "vi", 1118.0),
        ("1.118", "en", 1.118),
        ("12.5", "vi", 12.5),  # only one reading is possible
        (" 1 234 567 ", "vi", 1234567.0),
        ("−3,5", "vi", -3.5),
        ("1.2.3", "vi", None),
        ("1,2,3", "en", None),
        ("mười", "vi", None),
        ("1e9", "vi", None),
        ("nan", "en", None),
        ("99999999999999999999", "vi", None),
        ("=1+1", "vi", None),
    ],
)
def test_numbers_are_read_as_the_language_writes_them(
    text: str, lang: str, value: float | None
) -> None:
    expected = {"t": text} if value is None else {"v": value}
    assert typed.cell(asked("number"), text, lang) == expected


@given(
    st.sampled_from(KINDS), st.one_of(st.text(), st.floats(), st.integers(), st.booleans()), LANGS
)
def test_nothing_typed_is_ever_lost(kind: str, given_: Any, lang: str) -> None:
    one = typed.cell(asked(kind), given_, lang)
    if one is None:
        assert given_ is None or not str(given_).strip()
    elif "t" in one:
        assert one["t"] == str(given_)[: typed.MOST_TEXT]
    else:
        assert one["v"] is not None
        assert typed.cell(asked(kind), typed.shown(asked(kind), one, lang), lang) is not None


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-(2**52), max_value=2**52), LANGS)
def test_a_number_that_is_shown_reads_back_as_itself(value: float, lang: str) -> None:
    one = typed.cell(asked("number"), value, lang)
    assert one is not None and math.isclose(one["v"], value)
    again = typed.cell(asked("number"), typed.shown(asked("number"), one, lang), lang)
    assert again == one or value == 0


@given(st.datetimes(min_value=datetime(1900, 1, 1)), LANGS)
def test_dates_and_times_read_back_as_themselves(at: datetime, lang: str) -> None:
    for kind, text in (
        ("date", f"{at:%d/%m}/{at.year:04d}"),
        ("instant", f"{at:%d/%m}/{at.year:04d} {at:%H:%M}"),
    ):
        one = typed.cell(asked(kind), text, lang)
        assert one is not None and "v" in one
        shown = typed.shown(asked(kind), one, lang)
        assert typed.cell(asked(kind), shown, lang) == one


def test_a_choice_and_limits_hold() -> None:
    from dothi.forms.model import Cells
    from dothi.kernel.period import Period
    from dothi.lake.form import Form, Group

    columns = (
        asked("text", choices=("paper", "online")),
        Asked("y", TITLE, "number", "", low=0),
        Asked("z", TITLE, "integer", "", optional=True),
    )
    form = Form(
        "month", Period.parse("2026-01"), None, "agency", (), (), 5, "own", None,
        (Group(None, columns),),
    )  # fmt: skip

    def keys(cells: Cells) -> list[str]:
        return [fault.key for fault in typed.faults(form, cells)]

    assert keys({}) == ["forms.needed", "forms.needed"]
    assert keys({"x": {"v": "fax"}, "y": {"v": -1.0}}) == ["lake.bad_choice", "forms.too_small"]
    assert keys({"x": {"v": "paper"}, "y": {"t": "?"}, "z": {"t": "1,5"}}) == [
        "forms.not_number",
        "forms.not_integer",
    ]
    for lang in ("vi", "en"):
        assert all(fault.text(lang) for fault in typed.faults(form, {"y": {"v": -1.0}}))


def test_a_jump_is_what_moved_further_than_the_form_lets_pass() -> None:
    column = asked("number", jump=30)
    assert jump(column, 130, 100) is None
    assert jump(column, 131, 100) == pytest.approx(31)
    assert jump(column, 60, 100) == pytest.approx(-40)
    assert jump(column, 1, 0) == math.inf
    assert jump(column, 0, 0) is None
    assert jump(column, 5, None) is None


def test_changes_name_what_was_and_what_is() -> None:
    before = {"a": {"v": 1}, "b": {"t": "?"}, "c": {"v": 3}}
    after = {"a": {"v": 2}, "b": {"v": 5}, "d": {"v": 0}}
    assert changes(before, after) == {
        "a": [1, 2], "b": ["?", 5], "d": [None, 0], "c": [3, None],
    }  # fmt: skip
