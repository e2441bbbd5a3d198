"""An error tells a person what is wrong in their language, and a machine its cause."""

import inspect

import pytest

from dothi.kernel import errors
from dothi.kernel.errors import DothiError, Fault, Invalid, TooMany, Unavailable


def causes() -> list[type[DothiError]]:
    found = [thing for thing in vars(errors).values() if inspect.isclass(thing)]
    return [one for one in found if issubclass(one, DothiError) and one.__name__[0] != "_"]


def test_every_cause_has_its_own_code() -> None:
    codes = [cause.code for cause in causes()]
    assert len(codes) >= 14
    assert len(set(codes)) == len(codes)


def test_an_error_reads_in_both_languages() -> None:
    error = DothiError("common.damaged", what="events")
    assert error.text("vi") == "Dữ liệu đã lưu không còn nguyên vẹn: events."
    assert str(error) == error.text("en") == "Stored data are damaged: events."


def test_all_faults_of_an_input_are_kept() -> None:
    faults = [Fault("rows.3.PM2.5", "common.required"), Fault("rows.4", "common.invalid")]
    error = Invalid("common.invalid", faults=faults)
    assert [fault.where for fault in error.faults] == ["rows.3.PM2.5", "rows.4"]
    assert error.faults[0].text("vi") == "Bắt buộc phải có."


@pytest.mark.parametrize("cause", [TooMany, Unavailable])
def test_come_back_later_says_when(cause: type[TooMany | Unavailable]) -> None:
    error = cause(f"common.{cause.code}", retry_after_s=30)
    assert error.retry_after_s == 30
    assert "30 s" in str(error)


def test_a_slip_in_the_catalogue_does_not_hide_the_error() -> None:
    assert "nowhere.at_all" in str(DothiError("nowhere.at_all", room="7"))
    assert "common.damaged" in str(DothiError("common.damaged"))


def test_a_parameter_may_have_any_name() -> None:
    error = Invalid("kernel.bad_instant", text="x", key="k", lang="l")
    assert "“x”" in error.text("vi")
