"""Series keyed by administrative units, shown by the units of another day, from door to door."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from dothi.identity.agencies import add_agency, change_agency, find_agency, merge_agency
from dothi.identity.model import SYSTEM, Agency
from dothi.identity.units_import import give_shares
from dothi.identity.units_records import ShareRecord
from dothi.kernel.errors import Conflict, Invalid
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.sharing import decide_sharing
from tests.contract.world import OTHERS, OURS, REFORM, UNIT, World

BEFORE, AFTER = "2025-06-30", "2026-01-01"

CONTRACT = f"""
dataset: commune_figures
kind: series
title: {{vi: Số liệu cấp xã, en: Figures of communes}}
owner: {OURS}
time: {{zone: Asia/Ho_Chi_Minh, rhythm: P1Y, stamp: start}}
key: [sex, commune]
units: {{key: commune}}
parameters:
  people: {{title: {{vi: Dân số, en: People}}, unit: count, over_units: sum}}
  poor: {{title: {{vi: Tỷ lệ hộ nghèo, en: Poverty}}, unit: percent, over_units: {{mean: people}}}}
  rank: {{title: {{vi: Xếp hạng, en: Rank}}, unit: count}}
sharing: {{public: true, ground: for tests}}
"""


@pytest.fixture(scope="module")
def figures(town: World) -> Iterator[World]:
    """Two years by the units of before the reform, one by those from it on."""
    with town.house.db.transaction() as conn:
        registry.register(conn, parse_contract(CONTRACT))
    rows: list[dict[str, Any]] = []
    for year, codes in (("2023", "abc"), ("2024", "abc"), ("2026", f"{UNIT}MZ")):
        for place, code in enumerate(codes):
            for sex in ("f", "m"):
                people = round(100.1 * (place + 1) + (0.2 if sex == "f" else 0), 1)
                rows.append(
                    {"sex": sex, "commune": code, "time": f"{year}-01-01", "people": people,
                     "poor": 10 * (place + 1), "rank": place + 1}
                )  # fmt: skip
    rows.append({"sex": "f", "commune": "gone", "time": "2024-01-01", "people": 7})
    with town.client("data") as client:
        answer = client.post("/api/v1/datasets/commune_figures/rows", json={"rows": rows})
        assert answer.status_code == 201, answer.text
        assert answer.json()["rejected"] == 0
    yield town


def ask(town: World, day: str, **more: str) -> list[dict[str, Any]]:
    with town.client() as anybody:
        answer = anybody.get(
            "/api/v1/datasets/commune_figures/by-unit", params={"units": day} | more
        )
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def line(rows: list[dict[str, Any]], unit: str, parameter: str, year: str) -> dict[str, Any]:
    """The line of a unit for men."""
    [found] = [r for r in rows if (r["kind"], r["unit"], r["parameter"], r["sex"]) ==
               ("unit", unit, parameter, "m") and r["time"].startswith(year)]  # fmt: skip
    return found


def test_an_old_series_is_shown_by_new_units(figures: World) -> None:
    rows = ask(figures, AFTER)
    merged = line(rows, UNIT, "people", "2023-12-31")
    assert (merged["value"], merged["status"], merged["sources"]) == (300.3, "exact", "a b")
    assert merged["name"] == "Phường An Bến"
    split = line(rows, "M", "people", "2023-12-31")
    assert (split["value"], split["status"]) == (None, "not_separable")
    [group] = [r for r in rows if r["kind"] == "group" and r["sex"] == "m"
               and r["time"].startswith("2023-12-31")]  # fmt: skip
    assert (group["unit"], group["value"], group["status"]) == ("M Z", 300.3, "exact")
    already = line(rows, "Z", "people", "2025-12-31")
    assert (already["value"], already["status"]) == (300.3, "exact")


def test_a_new_series_is_shown_by_old_units(figures: World) -> None:
    rows = ask(figures, BEFORE)
    assert line(rows, "c", "people", "2025-12-31")["value"] == 500.5
    assert line(rows, "a", "people", "2025-12-31")["status"] == "not_separable"
    assert line(rows, "a", "people", "2023-12-31")["value"] == 100.1


def test_a_rate_is_averaged_by_its_weight_and_never_summed(figures: World) -> None:
    rows = ask(figures, AFTER)
    rate = line(rows, UNIT, "poor", "2023-12-31")
    assert rate["status"] == "exact"
    assert rate["value"] == pytest.approx((100.1 * 10 + 200.2 * 20) / 300.3, abs=1e-12)
    rank = line(rows, UNIT, "rank", "2023-12-31")
    assert (rank["value"], rank["status"]) == (None, "not_additive")


def test_every_sum_of_a_year_is_kept_to_the_last_digit(figures: World) -> None:
    stored: dict[str, Fraction] = {}
    with figures.client() as anybody:
        page = anybody.get("/api/v1/datasets/commune_figures/rows", params={"limit": 1000}).json()
    for row in page["rows"]:
        if row["parameter"] == "people":
            year = row["time"][:4]
            stored[year] = stored.get(year, Fraction(0)) + Fraction(repr(row["value"]))
    for day in (BEFORE, AFTER):
        shown: dict[str, Fraction] = {}
        for row in ask(figures, day, parameter="people"):
            if row["value"] is not None:
                year = row["time"][:4]
                shown[year] = shown.get(year, Fraction(0)) + Fraction(repr(row["value"]))
        assert shown == stored


def test_what_stood_for_no_unit_is_named(figures: World) -> None:
    [lost] = [r for r in ask(figures, AFTER) if r["kind"] == "unplaced"]
    assert (lost["sources"], lost["value"], lost["unit"]) == ("gone", 7, "")


def test_time_and_parameters_narrow_the_answer(figures: World) -> None:
    rows = ask(figures, AFTER, parameter="poor", **{"from": "2024-01-01", "to": "2024-06-01"})
    assert {(r["parameter"], r["time"][:10]) for r in rows} == {("poor", "2023-12-31")}
    assert line(rows, UNIT, "poor", "2023-12-31")["status"] == "exact"  # its weight was read too


def test_other_forms_say_the_same(figures: World) -> None:
    params = {"units": AFTER, "format": "csv", "parameter": "people"}
    with figures.client() as anybody:
        text = anybody.get("/api/v1/datasets/commune_figures/by-unit", params=params).text
    told = list(csv.DictReader(io.StringIO(text)))
    assert [*told[0]] == [
        "kind", "unit", "name", "sex", "parameter", "time", "value", "status", "known",
        "sources", "grounds", "loads",
    ]  # fmt: skip
    assert len(told) == len(ask(figures, AFTER, parameter="people"))


def test_the_page_shows_one_period_by_units_of_the_chosen_day(figures: World) -> None:
    with figures.client(headers={"accept-language": "vi"}) as anybody:
        now = anybody.get("/data/commune_figures/by-unit").text
        then = anybody.get(f"/data/commune_figures/by-unit?units={BEFORE}").text
        rank = anybody.get("/data/commune_figures/by-unit?parameter=rank").text
        linked = anybody.get("/data/commune_figures").text
        unit = anybody.get(f"/units/{UNIT}").text
    assert "Phường An Bến" in now and "Thị trấn Bến" not in now
    assert "không tách được" in then and "Thị trấn Bến" in then
    total = re.compile(r'<tr class="total">.*?<td class="right">([^<]+)</td>', re.DOTALL)
    assert total.findall(now) == total.findall(then) == ["1.202"]
    assert not total.findall(rank)
    assert "/data/commune_figures/by-unit" in linked
    assert "Số liệu cấp xã" in unit and "300,3" not in rank


@pytest.mark.parametrize(
    ("wrong", "key"),
    [({"basis": "weight"}, "basis"), ({"parameter": "dogs"}, "parameter")],
)
def test_wrong_questions_are_told_what_is_wrong(
    figures: World, wrong: dict[str, str], key: str
) -> None:
    with figures.client() as anybody:
        answer = anybody.get(
            "/api/v1/datasets/commune_figures/by-unit", params={"units": AFTER} | wrong
        )
    assert answer.status_code == 422
    assert [fault["where"] for fault in answer.json()["faults"]] == [key]


REPORTED = f"""
dataset: commune_returns
kind: series
title: {{vi: Số liệu ủy ban nhân dân báo cáo, en: What committees report}}
owner: {OURS}
time: {{zone: Asia/Ho_Chi_Minh, rhythm: P1M, stamp: start}}
key: [committee]
units: {{key: committee, codes: agencies}}
parameters:
  tonnes: {{title: {{vi: Khối lượng, en: Tonnes}}, unit: t, over_units: sum}}
sharing: {{public: true, ground: for tests}}
"""


@pytest.fixture(scope="module")
def reported(town: World) -> World:
    """September by the agencies of two units and by one of none; October by the first alone."""
    with town.house.db.transaction() as conn:
        for code, unit in (("ub-n", UNIT), ("ub-m", "M"), ("ub-x", None)):
            add_agency(conn, Agency(code, f"UBND {code}", code, "tinh", unit=unit), actor=SYSTEM)
        registry.register(conn, parse_contract(REPORTED))
    september = [
        {"committee": code, "time": "2026-09-01", "tonnes": tonnes}
        for code, tonnes in (("ub-n", 12.5), ("ub-m", 30), ("ub-x", 1))
    ]
    october = [{"committee": "ub-n", "time": "2026-10-01", "tonnes": 14}]
    with town.client("data") as client:
        for rows in (september, october):
            answer = client.post("/api/v1/datasets/commune_returns/rows", json={"rows": rows})
            assert answer.status_code == 201, answer.text
    return town


def test_what_an_agency_reports_is_its_units(reported: World) -> None:
    url = "/api/v1/datasets/commune_returns/by-unit"
    with reported.client() as anybody:
        told = anybody.get(url, params={"units": AFTER}).json()["rows"]
        own = anybody.get(url, params={"units": AFTER, "unit": UNIT}).json()["rows"]
        before = anybody.get(url, params={"units": BEFORE}).json()["rows"]
    september = [r for r in told if r["time"].startswith("2026-08-31")]
    assert {(r["kind"], r["unit"] or r["sources"], r["value"]) for r in september
            if r["value"] is not None} == {
        ("unit", UNIT, 12.5), ("unit", "M", 30), ("unplaced", "ub-x", 1),
    }  # fmt: skip
    assert [(r["value"], r["unit"]) for r in own] == [(12.5, UNIT), (14, UNIT)]
    assert own[0]["loads"] != own[1]["loads"] and own[0]["loads"].isdigit()
    assert [r["value"] for r in before if r["unit"] == "a b"] == [12.5, 14]


def test_what_agencies_report_is_called_by_their_names_at_once(reported: World) -> None:
    with reported.client() as anybody:
        told = anybody.get("/api/v1/datasets/commune_returns").json()["things"]
    assert {tuple(thing["key"]): thing["name"] for thing in told} == {
        ("ub-n",): "ub-n", ("ub-m",): "ub-m", ("ub-x",): "ub-x"
    }  # fmt: skip
    with reported.client(headers={"accept-language": "vi"}) as anybody:
        told = anybody.get("/api/v1/datasets/commune_returns").json()["things"]
    assert {thing["name"] for thing in told} == {"UBND ub-n", "UBND ub-m", "UBND ub-x"}


def test_a_unit_shows_its_figures_by_period_with_source_and_rank(reported: World) -> None:
    with reported.client("officer", headers={"accept-language": "vi"}) as officer:
        page = officer.get("/units/M").text
        other = officer.get(f"/units/{UNIT}").text
    with reported.client(headers={"accept-language": "vi"}) as anybody:
        plain = anybody.get("/units/M").text
    part = page[page.index("Số liệu ủy ban nhân dân báo cáo") :]
    assert "Tháng 9/2026" in part and "30" in part and "1 trong 2" in part
    assert re.search(r'href="/loads/\d+"', part) and not re.search(r'href="/loads/\d+"', plain)
    assert "UBND ub-m" in page and 'href="/agencies/ub-m"' in page
    # Of October no other unit has a value: there is nothing to stand beside.
    assert "14" in other and "trong 2" not in other
    [compare] = set(re.findall(r'href="(/data/commune_returns/by-unit[^"]*)"', part))
    [file] = [x for x in re.findall(r'href="([^"]*by-unit[^"]*)"', part) if "format=csv" in x]
    with reported.client(headers={"accept-language": "vi"}) as anybody:
        beside = anybody.get(compare.replace("&amp;", "&")).text
        rows = list(csv.DictReader(io.StringIO(anybody.get(file.replace("&amp;", "&")).text)))
    assert re.findall(r'<tr class="chosen".*?</tr>', beside, re.DOTALL)[0].count("Xã Cồn Thượng")
    assert [row["value"] for row in rows if row["value"]] == ["30.0"]


def test_a_unit_has_one_living_agency(reported: World) -> None:
    with reported.house.db.transaction() as conn:
        with pytest.raises(Conflict):
            add_agency(conn, Agency("ub-n2", "UBND hai", "Two", "tinh", unit=UNIT), actor=SYSTEM)
        strange = find_agency(conn, "ub-x")
        assert strange is not None
        with pytest.raises(Conflict):
            change_agency(conn, replace(strange, unit="M"), actor=SYSTEM)
        with pytest.raises(Invalid) as unknown:
            change_agency(conn, replace(strange, unit="no-such"), actor=SYSTEM)
        assert [fault.where for fault in unknown.value.faults] == ["unit"]
        change_agency(conn, replace(strange, unit="Z"), actor=SYSTEM)
    assert line_of(reported, "Z")["value"] == 1


def line_of(town: World, unit: str) -> dict[str, Any]:
    with town.client() as anybody:
        url = "/api/v1/datasets/commune_returns/by-unit"
        [found] = anybody.get(url, params={"units": AFTER, "unit": unit}).json()["rows"]
    return found


def test_two_agencies_of_one_unit_keep_their_sum(reported: World) -> None:
    """An agency that ended and its successor both reported for one month: nothing is lost."""
    with reported.house.db.transaction() as conn:
        merge_agency(conn, "ub-m", OURS, on=date(2026, 10, 1), ground="for tests", actor=SYSTEM)
        add_agency(conn, Agency("ub-m2", "UBND mới", "New", "tinh", unit="M"), actor=SYSTEM)
    row = {"committee": "ub-m2", "time": "2026-09-01", "tonnes": 5}
    with reported.client("data") as client:
        assert client.post("/api/v1/datasets/commune_returns/rows", json={"rows": [row]}).is_success
    with reported.client() as anybody:
        url = "/api/v1/datasets/commune_returns/by-unit"
        told = anybody.get(url, params={"units": AFTER}).json()["rows"]
    assert sum(r["value"] or 0 for r in told) == 12.5 + 30 + 1 + 14 + 5


def test_figures_by_unit_are_shown_as_far_as_the_dataset_is_shared(figures: World) -> None:
    text = CONTRACT.replace("commune_figures", "their_figures").replace(OURS, OTHERS)
    text = text.replace("Dân số, en: People", "Số dân ở, en: Residents")
    text = text.replace("{public: true, ground: for tests}", "{}")
    row = {"sex": "f", "commune": UNIT, "time": "2026-01-01", "people": 8123, "poor": 41, "rank": 1}
    with figures.house.db.transaction() as conn:
        dataset = registry.register(conn, parse_contract(text))
    with figures.client("admin") as admin:
        rows = {"rows": [row, {**row, "commune": "M", "people": 8321}]}
        assert admin.post("/api/v1/datasets/their_figures/rows", json=rows).is_success
    doors = (
        "/data/their_figures/by-unit",
        f"/api/v1/datasets/their_figures/by-unit?units={AFTER}",
        f"/api/v1/datasets/their_figures/by-unit?units={AFTER}&unit={UNIT}&format=csv",
    )
    with figures.client("officer") as officer:
        assert [officer.get(door).status_code for door in doors] == [404] * 3
        assert "Residents" not in officer.get(f"/units/{UNIT}").text
        for hidden, answers in (
            (["people"], [200] * 3), (["commune"], [422] * 3),
            (["people", "poor", "rank"], [404, 200, 200]),
        ):  # fmt: skip
            with figures.house.db.transaction() as conn:
                decide_sharing(
                    conn, dataset, public=False, agencies=[OURS], hidden=hidden, ground="for tests",
                    valid_from=date(2026, 1, 1), valid_to=None, actor=SYSTEM,
                )  # fmt: skip
            told = [officer.get(door) for door in doors]
            assert [answer.status_code for answer in told] == answers
            page = officer.get(f"/units/{UNIT}").text
            assert ("/data/their_figures" in page) is (hidden == ["people"])
            for one in (page, *(answer.text for answer in told)):
                assert not re.search(r"Residents|8,?123|8,?321", one)


def test_given_shares_divide_and_are_named(figures: World) -> None:
    """Last: it changes what is stored."""
    shares = [
        ShareRecord(1, "c", new, "population", share, None, "Điều tra 2024", "Chi cục Thống kê")
        for new, share in (("M", "0.25"), ("Z", "0.75"))
    ]
    give_shares(figures.house.db, shares, day=REFORM, actor=SYSTEM)
    part = line(ask(figures, AFTER), "M", "people", "2023-12-31")
    assert (part["value"], part["status"]) == (75.075, "estimated")
    assert part["grounds"] == "Điều tra 2024 (Chi cục Thống kê)"
    by_area = line(ask(figures, AFTER, basis="area"), "M", "people", "2023-12-31")
    assert by_area["status"] == "not_separable"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("units: {key: commune}", "units: {key: village}", "lake.yaml_want_choice"),
        ("units: {key: commune}", "units: {key: commune, as_of: 2024}", "lake.bad_units_day"),
        ("over_units: sum", "over_units: total", "lake.bad_over_units"),
        ("mean: people", "mean: rank", "lake.bad_weight"),
        ("{key: commune}", "{key: commune, codes: people}", "lake.yaml_want_choice"),
    ],
)
def test_contracts_say_what_is_wrong_with_their_units(old: str, new: str, key: str) -> None:
    with pytest.raises(Invalid) as wrong:
        parse_contract(CONTRACT.replace(old, new, 1))
    assert key in {fault.key for fault in wrong.value.faults}


def test_units_of_a_fixed_list_are_those_of_its_day() -> None:
    contract = parse_contract(
        CONTRACT.replace("{key: commune}", "{key: commune, as_of: 2024-12-31}")
    )
    assert contract.units is not None and contract.units.as_of == date(2024, 12, 31)
