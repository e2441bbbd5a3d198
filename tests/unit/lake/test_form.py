"""The `form` section of a contract: everything wrong with it is said at once, at its place."""

from __future__ import annotations

import pytest

from dothi.kernel.errors import Invalid
from dothi.lake.contract import parse_contract

SERIES = """
dataset: waste
kind: series
title: {vi: Rác, en: Waste}
owner: so-nnmt
key: [agency]
time: {zone: Asia/Ho_Chi_Minh, rhythm: P1M}
parameters:
  collected: {title: {vi: Thu gom, en: Collected}, unit: t}
  sorted: {title: {vi: Phân loại, en: Sorted}, unit: t}
"""
RECORDS = """
dataset: counts
kind: records
title: {vi: Số liệu, en: Counts}
owner: so-nnmt
key: [agency, period]
columns:
  agency: {type: text, title: {vi: Cơ quan, en: Agency}}
  period: {type: text, title: {vi: Kỳ, en: Period}}
  received: {type: integer, title: {vi: Nhận, en: Received}, required: true}
"""


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as wrong:
        parse_contract(text)
    return [(f.where.removeprefix("contract:"), f.key) for f in wrong.value.faults]


def test_a_form_says_who_reports_what_when() -> None:
    form = parse_contract(
        SERIES
        + """form:
  period: {grain: month, since: 2026-09}
  by: {column: agency, units: {SH-01: ubnd-a, SH-02: null}}
  groups:
    - {title: {vi: Sau, en: Then}, columns: [sorted]}
"""
    ).form
    assert form is not None
    assert form.units == (("SH-01", "ubnd-a"), ("SH-02", None))
    assert [a.name for a in form.asked] == ["sorted", "collected"]
    assert [g.title for g in form.groups] == [{"vi": "Sau", "en": "Then"}, None]


def test_all_faults_of_a_form_are_told_with_line_and_column() -> None:
    assert faults(
        SERIES
        + """form:
  period: {grain: quarter, since: 2026-09, column: agency}
  by: {column: agency, agencies: ["*bnd"], units: [a, a]}
  due: -1
  approval: nobody
  columns:
    burnt: {}
    sorted: {jump: 0, evidence: perhaps, form: x}
  groups:
    - {title: {vi: A, en: A}, columns: [sorted, sorted]}
  colour: red
"""
    ) == [
        ("21:11", "lake.yaml_unknown_key"),
        ("12:35", "forms.yaml_since"),
        ("12:52", "forms.yaml_period_of_series"),
        ("12:19", "forms.yaml_rhythm"),
        ("13:7", "forms.yaml_by_both"),
        ("13:35", "forms.yaml_agency"),
        ("13:51", "forms.yaml_unit_twice"),
        ("14:8", "forms.yaml_whole"),
        ("15:13", "lake.yaml_want_choice"),
        ("17:12", "forms.yaml_column"),
        ("18:48", "lake.yaml_unknown_key"),
        ("18:20", "forms.yaml_jump"),
        ("18:33", "lake.yaml_want_choice"),
        ("20:49", "forms.yaml_column"),
    ]


@pytest.mark.parametrize(
    ("form", "key"),
    [
        ("period: {grain: month, since: 2026-09}\n  by: {column: agency}", "lake.yaml_want_choice"),
        (
            "period: {grain: month, since: 2026-09, column: period}\n  by: {column: period}",
            "forms.yaml_key",
        ),
        (
            "period: {grain: month, since: 2026-09, column: period}\n  by: {column: agency}\n"
            "  columns: {received: {optional: true}}",
            "forms.yaml_required",
        ),
        ("by: {column: agency}", "lake.yaml_missing"),
        ("period: {grain: month, column: period}\n  by: {column: agency}", "lake.yaml_missing"),
    ],
)
def test_forms_of_records_name_period_and_party(form: str, key: str) -> None:
    assert key in [k for _, k in faults(f"{RECORDS}form:\n  {form}\n")]


def test_other_keys_than_party_and_period_are_no_form() -> None:
    text = SERIES.replace("key: [agency]", "key: [agency, kind]")
    text += "form: {period: {grain: month, since: 2026-09}, by: {column: agency}}\n"
    assert [k for _, k in faults(text)] == ["forms.yaml_key"]


TABLE = RECORDS.replace("key: [agency, period]", "key: [agency, period, way]").replace(
    "columns:\n", "columns:\n  way: {type: text, title: {vi: Hình thức, en: Way}}\n", 1
)
BASE = """form:
  period: {grain: month, since: 2026-09, column: period}
  by: {column: agency}
"""


def test_a_table_says_which_lines_it_has() -> None:
    form = parse_contract(TABLE + BASE + "  lines: {column: way, total: [received]}\n").form
    assert form is not None and form.lines is not None
    assert (form.lines.added, form.lines.least, form.lines.most) == (True, 1, 100)
    assert form.lines.title == {"vi": "Hình thức", "en": "Way"}
    assert [a.name for a in form.asked] == ["received"]
    listed = "  lines: {column: way, list: {a: {vi: A, en: A}, b: {vi: B, en: B}}}\n"
    fixed = parse_contract(TABLE + BASE + listed).form
    assert fixed is not None and fixed.lines is not None and not fixed.lines.added
    assert [code for code, _ in fixed.lines.names] == ["a", "b"]


def test_all_faults_of_a_table_are_told_with_line_and_column() -> None:
    text = """  lines:
    column: period
    list: {" a": {vi: A, en: A}, b: {vi: A, en: B}}
    units: ["*x", SH-1, SH-1]
    things: Bad-Name
    added: false
    least: 5
    most: 900
    total: [way, received]
    colour: red
"""
    assert faults(TABLE + BASE + text) == [
        ("24:13", "lake.yaml_unknown_key"),
        ("16:13", "forms.yaml_line_column"),
        ("18:12", "forms.yaml_lines_one"),
        ("17:18", "forms.yaml_line_code"),
        ("17:37", "forms.yaml_line_twice"),
        ("18:13", "forms.yaml_line_unit"),
        ("18:25", "forms.yaml_unit_twice"),
        ("19:13", "lake.bad_name"),
        ("21:12", "forms.yaml_lines_fixed"),
        ("22:11", "forms.yaml_whole"),
        ("23:13", "forms.yaml_line_total"),
        ("14:7", "forms.yaml_key"),
    ]


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("{column: way, added: false}", "forms.yaml_lines_unlisted"),
        ("{column: way, least: 9, most: 3}", "forms.yaml_lines_bounds"),
        ("{column: way, list: {}}", "forms.yaml_lines_count"),
        ("{added: true}", "lake.yaml_missing"),
    ],
)
def test_a_table_without_lines_is_none(lines: str, key: str) -> None:
    assert key in [k for _, k in faults(f"{TABLE}{BASE}  lines: {lines}\n")]


def test_a_series_of_another_rhythm_is_no_monthly_form() -> None:
    text = SERIES.replace("P1M", "P1D")
    text += "form: {period: {grain: month, since: 2026-09}, by: {column: agency}}\n"
    assert [k for _, k in faults(text)] == ["forms.yaml_rhythm"]
