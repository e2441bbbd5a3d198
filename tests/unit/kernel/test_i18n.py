"""Both languages say the same things, and write numbers and times as their readers do."""

import ast
import datetime as dt
import re
import string
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dothi
from dothi.kernel import errors
from dothi.kernel.i18n import (
    LANGS,
    MESSAGES,
    catalogue,
    date,
    datetime_,
    duration,
    number,
    relative,
    remaining,
    t,
)

PACKAGE = Path(dothi.__file__).parent
IN_TEMPLATE = re.compile(r"""\bt\(\s*["']([a-z_]+\.[a-z0-9_.]*[a-z0-9_])["']\s*[,)]""")
AREAS = sorted(path.stem for path in MESSAGES.glob("*.toml"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("area", AREAS)
def test_every_text_exists_in_both_languages_with_the_same_fields(area: str) -> None:
    wrong: list[str] = []
    for key, entry in catalogue().items():
        if not key.startswith(f"{area}."):
            continue
        if set(entry) != set(LANGS) or not all(text.strip() for text in entry.values()):
            wrong.append(f"{key}: has {sorted(entry)}")
        elif fields(entry["vi"]) != fields(entry["en"]):
            wrong.append(f"{key}: {fields(entry['vi'])} in vi, {fields(entry['en'])} in en")
        elif not all(name.isidentifier() for name in fields(entry["vi"])):
            wrong.append(f"{key}: fields must be names, not {fields(entry['vi'])}")
    assert wrong == []


def test_a_text_is_found_in_the_file_named_like_its_area() -> None:
    assert {key.partition(".")[0] for key in catalogue()} <= set(AREAS)


def named_keys() -> Iterator[tuple[str, str]]:
    """Keys written out in the code, the first argument of t() or of an error, the second of a
    Fault, and in t() in the templates."""
    causes = {name for name, thing in vars(errors).items() if isinstance(thing, type)}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            place = 1 if called == "Fault" else 0
            if called not in causes | {"t"} or len(node.args) <= place:
                continue
            argument = node.args[place]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value, f"{path.relative_to(PACKAGE)}:{node.lineno}"
    for path in sorted(PACKAGE.rglob("templates/**/*")):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for call in IN_TEMPLATE.finditer(text):
            yield call[1], str(path.relative_to(PACKAGE))


def test_every_text_the_code_names_is_in_the_catalogue() -> None:
    missing = [f"{where}: {key}" for key, where in named_keys() if key not in catalogue()]
    assert missing == []


def test_an_unknown_text_or_language_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        t("common.no_such_text", "vi")
    with pytest.raises(KeyError):
        t("common.save", "fr")
    with pytest.raises(KeyError):
        t("common.ago", "vi")


def test_what_a_user_typed_is_never_read_as_a_field() -> None:
    shown = t("kernel.unknown_unit", "en", unit="{0.__class__} {x}")
    assert "{0.__class__} {x}" in shown


@pytest.mark.parametrize(
    ("value", "digits", "vi", "en"),
    [
        (1234.5, None, "1.234,5", "1,234.5"),
        (-1234567.891, 2, "−1.234.567,89", "−1,234,567.89"),
        (0, None, "0", "0"),
        (12, 1, "12,0", "12.0"),
        (-0.04, 1, "0,0", "0.0"),
        (2.675, 2, "2,68", "2.68"),
        (0.5, 0, "1", "1"),
        (-2.5, 0, "−3", "−3"),
        (0.1 + 0.2, None, "0,3", "0.3"),
        (1e21, None, "1.000.000.000.000.000.000.000", "1,000,000,000,000,000,000,000"),
        (1e300, 1, number(10**300, "vi") + ",0", number(10**300, "en") + ".0"),
        (Decimal("1E+3"), None, "1.000", "1,000"),
        (np.float32(1.5), None, "1,5", "1.5"),
        (np.int64(-7), None, "−7", "−7"),
        (None, None, "—", "—"),
        (None, 2, "—", "—"),
        (float("nan"), 1, "—", "—"),
        (float("-inf"), None, "—", "—"),
    ],
)
def test_numbers_are_written_as_readers_expect(
    value: float | None, digits: int | None, vi: str, en: str
) -> None:
    assert number(value, "vi", digits) == vi
    assert number(value, "en", digits) == en


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers(0, 6))
def test_a_written_number_reads_back_as_the_value_shown(value: float, digits: int | None) -> None:
    read = float(number(value, "vi", digits).replace(".", "").replace(",", ".").replace("−", "-"))
    if digits is None:
        assert read == pytest.approx(value, rel=1e-11, abs=0)
    else:
        assert abs(read - value) <= 0.5000001 * 10**-digits + abs(value) * 1e-15


NOON_UTC = dt.datetime(2025, 11, 21, 20, 5, 59, tzinfo=dt.UTC)


def test_instants_are_shown_in_vietnamese_time() -> None:
    assert datetime_(NOON_UTC, "vi") == "22/11/2025 03:05"
    assert datetime_(NOON_UTC, "en") == "22 Nov 2025 03:05"
    assert date(NOON_UTC, "vi") == "22/11/2025"
    assert date(dt.date(2025, 3, 1), "vi") == "01/03/2025"
    assert date(dt.date(2025, 3, 1), "en") == "1 Mar 2025"
    assert datetime_(None, "vi") == date(None, "en") == "—"
    with pytest.raises(ValueError, match="time zone"):
        datetime_(NOON_UTC.replace(tzinfo=None), "vi")


@pytest.mark.parametrize(
    ("minutes", "vi", "en"),
    [
        (80, "Còn 1 giờ 20 phút", "1 hour 20 minutes left"),
        (-2 * 1440, "Quá hạn 2 ngày", "Overdue by 2 days"),
        (1440 + 61, "Còn 1 ngày 1 giờ", "1 day 1 hour left"),
        (1440 + 5, "Còn 1 ngày", "1 day left"),
        (0.5, "Còn chưa đến 1 phút", "less than a minute left"),
        (1500 * 1440, "Còn 1.500 ngày", "1,500 days left"),
    ],
)
def test_a_deadline_says_what_is_left(minutes: float, vi: str, en: str) -> None:
    assert remaining(dt.timedelta(minutes=minutes), "vi") == vi
    assert remaining(dt.timedelta(minutes=minutes), "en") == en


def test_the_age_of_a_number_reads_naturally() -> None:
    assert relative(-dt.timedelta(minutes=3), "vi") == "3 phút trước"
    assert relative(-dt.timedelta(minutes=3), "en") == "3 minutes ago"
    assert relative(dt.timedelta(hours=2), "vi") == "2 giờ nữa"
    assert relative(-dt.timedelta(seconds=5), "vi") == "vừa xong"
    assert duration(dt.timedelta(days=-3), "vi") == "3 ngày"


def test_a_text_can_write_its_own_numbers_and_times() -> None:
    assert t("common.updated", "vi", at=NOON_UTC) == "Cập nhật lúc 22/11/2025 03:05"
    assert t("common.too_many", "vi", retry_after_s=1200).endswith("1.200 giây.")
