"""Forms that are tables: lines fixed by the contract or added by who types, from draft to store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from dothi.forms import plan
from dothi.forms.figures import rows_of
from dothi.forms.model import Phase, Place, Return
from dothi.forms.service import Sheet, Upload
from dothi.identity.model import Role
from dothi.kernel.errors import Invalid
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.reader import HEADER_ROW, SHEET
from tests.integration.forms.conftest import Town
from tests.integration.forms.test_workbook import saved

TREATED = """
dataset: treated
kind: series
title: {vi: Xử lý rác, en: Treatment}
owner: so-nnmt
key: [agency, way]
time: {zone: Asia/Ho_Chi_Minh, rhythm: P1M}
parameters:
  treated_t: {title: {vi: Khối lượng, en: Amount}, unit: t, range: [0, 1000]}
  cost: {title: {vi: Chi phí, en: Cost}, unit: "1"}
checks:
  paid: {rule: cost >= treated_t, title: {vi: Chi phí đủ, en: Cost covers}}
form:
  period: {grain: month, since: 2020-01}
  by: {column: agency, agencies: ["ubnd-*"]}
  lines:
    column: way
    title: {vi: Hình thức, en: Way}
    list: {landfill: {vi: Chôn lấp, en: Landfill}, burnt: {vi: Đốt, en: Burnt}}
    total: [treated_t]
  columns: {cost: {optional: true}}
"""
VISITS = """
dataset: visits
kind: records
title: {vi: Kiểm tra cơ sở, en: Inspections}
owner: so-nnmt
key: [agency, period, facility]
columns:
  agency: {type: text, title: {vi: Cơ quan, en: Agency}}
  period: {type: text, title: {vi: Kỳ, en: Period}}
  facility: {type: text, title: {vi: Cơ sở, en: Facility}}
  visits: {type: integer, title: {vi: Số lần, en: Visits}, range: [0, 100]}
  on_day: {type: date, title: {vi: Ngày, en: Day}}
  note: {type: text, title: {vi: Ghi chú, en: Note}}
form:
  period: {grain: month, since: 2020-01, column: period}
  by: {column: agency, agencies: ["ubnd-*"]}
  lines: {column: facility, least: 1, most: 3}
  columns: {on_day: {optional: true}, note: {optional: true}, visits: {jump: 20}}
"""
Rows = dict[str, dict[str, Any]]


@pytest.fixture
def tables(town: Town) -> Iterator[Town]:
    with town.db.transaction() as conn:
        for text in (TREATED, VISITS):
            registry.register(conn, parse_contract(text))
    yield town


def at(town: Town, name: str, back: int = 1) -> Place:
    with town.db.transaction() as conn:
        code = town.month(back).code
        return plan.place_of(conn, name, code, "ubnd-a", local_date(utc_now(), VN))


def typed(town: Town, place: Place, lines: Any, **more: Any) -> Return:
    found = look(town, place).found
    officer = town.actor("ubnd-a", Role.OFFICER)
    return town.forms.save(officer, place, lines, version=found.version, **more)


def look(town: Town, place: Place) -> Sheet:
    officer = town.actor("ubnd-a", Role.OFFICER)
    return town.forms.look(officer, place.dataset.name, place.period.code, "ubnd-a")


def approved(town: Town, place: Place, lines: Any) -> Return:
    handed = typed(town, place, lines, note="x", submit=True)
    return town.forms.approve(town.actor("ubnd-a", Role.LEADER), place, handed.version)


def stored(town: Town, place: Place) -> Rows:
    names = {a.name for a in place.form.asked}
    return {
        line: {k: v for k, v in row.items() if k in names and v is not None}
        for line, row in rows_of(town.lake, place, place.dataset).items()
    }


def faults(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(f.where, f.key) for f in refused.value.faults]


def test_fixed_lines_are_all_asked_for_and_named_in_either_language(tables: Town) -> None:
    place = at(tables, "treated")
    assert [line.key for line in look(tables, place).lines] == ["landfill", "burnt"]
    # by their words, in another order, and not all of them
    typed(tables, place, [("đốt", {"treated_t": "5,5"})])
    assert [(x.key, x.cells) for x in look(tables, place).lines] == [
        ("landfill", {}),
        ("burnt", {"treated_t": {"v": 5.5}}),
    ]
    with pytest.raises(Invalid) as refused:
        typed(
            tables, place,
            [("Landfill", {"cost": "x"}), ("burnt", {"treated_t": "2000"}), ("ném", {})],
            submit=True,
        )  # fmt: skip
    assert faults(refused) == [
        ("3.way", "forms.line_unknown"),
        ("1.treated_t", "forms.needed"),
        ("1.cost", "forms.not_number"),
        ("2.treated_t", "forms.outside"),
        ("3.treated_t", "forms.needed"),
    ]
    # everything that was typed is kept, also the line that does not exist
    assert [line.key for line in look(tables, place).lines] == ["landfill", "burnt", "ném"]
    with pytest.raises(Invalid) as broken:
        full = [("landfill", {"treated_t": "7", "cost": "3"}), ("burnt", {"treated_t": "1"})]
        typed(tables, place, full, submit=True)
    assert faults(broken) == [("1.cost", "forms.check_broken")]
    assert stored(tables, place) == {}


@pytest.mark.parametrize("name", ["treated", "visits"])
def test_a_table_goes_into_the_store_and_a_correction_takes_lines_out(
    tables: Town, name: str
) -> None:
    place = at(tables, name)
    if name == "treated":
        with tables.db.transaction() as conn:
            again = TREATED.replace("total: [treated_t]", "added: true")
            registry.register(conn, parse_contract(again))
        place = at(tables, name)
        keys, column = ("landfill", "burnt"), "treated_t"
    else:
        keys, column = ("Cơ sở A", "Cơ sở B"), "visits"
    first = approved(tables, place, [(key, {column: n}) for n, key in enumerate(keys, 1)])
    both = {keys[0]: {column: 1}, keys[1]: {column: 2}}
    assert stored(tables, place) == both
    assert look(tables, place).found.phase is Phase.APPROVED

    officer, leader = (tables.actor("ubnd-a", r) for r in (Role.OFFICER, Role.LEADER))
    tables.forms.correct(officer, place, first.version, "Cơ sở đã đóng cửa")
    handed = typed(tables, place, [(keys[1], {column: 9})], note="x", submit=True)
    assert stored(tables, place) == both  # the approved figures count until the correction does
    tables.forms.approve(leader, place, handed.version)
    assert stored(tables, place) == {keys[1]: {column: 9}}
    assert look(tables, place).differs == ()
    told = next(act for act in look(tables, place).history if act.lines)
    assert [(d.key, d.what, d.columns) for d in told.lines] == [
        (keys[1], "changed", {column: [2, 9]}),
        (keys[0], "removed", {column: [1, None]}),
    ]
    standing = look(tables, place).found.standing
    assert standing is not None
    with tables.db.transaction() as conn:
        counts = conn.execute(
            "SELECT rows_new, rows_changed, rows_removed FROM load WHERE id = %s",
            (standing.load_id,),
        ).fetchone()
    assert counts == ((0, 1, 2) if name == "treated" else (0, 1, 1))

    # the correction's load is taken out: the line is there again
    tables.lake.undo(standing.load_id)
    assert stored(tables, place) == both
    assert look(tables, place).found.phase is Phase.UNDONE


def test_added_lines_are_counted_told_apart_and_begin_with_those_of_before(tables: Town) -> None:
    before, place = at(tables, "visits", 2), at(tables, "visits")
    approved(tables, before, [("Chợ Đầm", {"visits": 10}), ("Bến xe", {"visits": 4})])
    seen = look(tables, place)
    assert [(line.key, line.cells) for line in seen.lines] == [("Chợ Đầm", {}), ("Bến xe", {})]
    with pytest.raises(Invalid) as none:
        typed(tables, place, [("", {}), ("  ", {"visits": " "})], submit=True)
    assert faults(none) == [("lines", "forms.lines_few")]
    four = [
        ("Chợ Đầm", {"visits": 10}),
        ("chợ  đầm", {"visits": 1}),
        ("", {"visits": 2}),
        ("D", {}),
    ]
    with pytest.raises(Invalid) as many:
        typed(tables, place, four, submit=True)
    assert faults(many) == [
        ("lines", "forms.lines_many"),
        ("2.facility", "forms.line_twice"),
        ("3.facility", "forms.line_needed"),
        ("4.visits", "forms.needed"),
    ]
    # a line moved far: that is explained, and only that one is named
    with pytest.raises(Invalid) as moved:
        both = [("Chợ Đầm", {"visits": 11}), ("Bến xe", {"visits": 9}), ("Mới", {"visits": 3})]
        typed(tables, place, both, submit=True)
    assert faults(moved) == [("note", "forms.jump_unexplained")]
    assert moved.value.faults[0].params == {"names": "Bến xe: Số lần"}


def test_things_of_the_same_owner_are_lines_of_who_reports(tables: Town) -> None:
    plants = """
dataset: plants
kind: series
title: {vi: Trạm xử lý, en: Plants}
owner: OWNER
key: [plant]
time: {zone: Asia/Ho_Chi_Minh, rhythm: P1D}
parameters: {flow: {title: {vi: Lưu lượng, en: Flow}, unit: "1"}}
things:
  - {key: [p1], name: {vi: Trạm Một, en: Plant One}}
  - {key: [p2], name: {vi: Trạm Hai, en: Plant Two}}
"""
    form = VISITS.replace("visits\nkind", "plant_visits\nkind").replace(
        "column: facility, least: 1, most: 3", "column: facility, things: plants"
    )
    with tables.db.transaction() as conn:
        registry.register(conn, parse_contract(form))
        made = registry.register(conn, parse_contract(plants.replace("OWNER", "so-nnmt")))
        registry.name_thing(
            conn, made, ["p1"], {"vi": "Trạm Một", "en": "Plant One"}, tables.ids["ubnd-a"]
        )
    assert [o.code for o in at(tables, "plant_visits").options] == ["p1"]
    with tables.db.transaction() as conn:
        registry.register(conn, parse_contract(plants.replace("OWNER", "so-khac")))
    assert at(tables, "plant_visits").options == ()


def test_what_is_no_table_takes_no_lines_and_the_other_way_round(tables: Town) -> None:
    with pytest.raises(Invalid) as no_table:
        typed(tables, tables.place("waste"), [("x", {"collected": 1})])
    with pytest.raises(Invalid) as table:
        typed(tables, at(tables, "treated"), {"treated_t": 1})
    assert (no_table.value.key, table.value.key) == ("forms.no_table", "forms.is_table")
    many = [(f"k{n}", {"visits": 1}) for n in range(501)]
    with pytest.raises(Invalid) as refused:
        typed(tables, at(tables, "visits"), many)
    assert faults(refused) == [("lines", "forms.lines_many")]


def workbook(town: Town, place: Place, lang: str = "vi") -> list[list[Any]]:
    officer = town.actor("ubnd-a", Role.OFFICER)
    content = town.forms.workbook(officer, place.dataset.name, place.period.code, "ubnd-a", lang)
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(SHEET).to_python()


def as_csv(town: Town, place: Place, lang: str = "vi") -> str:
    officer = town.actor("ubnd-a", Role.OFFICER)
    content = town.forms.csv(officer, place.dataset.name, place.period.code, "ubnd-a", lang)
    return content.decode("utf-8-sig")


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_table_goes_out_as_a_workbook_and_comes_back(
    tables: Town, tmp_path: Path, lang: str
) -> None:
    place = at(tables, "treated")
    rows = workbook(tables, place, lang)
    words = {"vi": ["Chôn lấp", "Đốt"], "en": ["Landfill", "Burnt"]}[lang]
    assert rows[HEADER_ROW - 1] == ["agency", "way", "time", "treated_t", "cost"]
    assert [row[1] for row in rows[HEADER_ROW:]] == words
    rows[HEADER_ROW][3], rows[HEADER_ROW + 1][3] = 12.125, "1,5" if lang == "vi" else "1.5"
    upload = Upload(saved(rows, tmp_path / "f.xlsx"), "bảng.xlsx", "")
    found = typed(tables, place, [], workbook=upload, lang=lang)
    assert [(x.key, x.cells) for x in found.lines] == [
        ("landfill", {"treated_t": {"v": 12.125}}),
        ("burnt", {"treated_t": {"v": 1.5}}),
    ]
    rows[HEADER_ROW + 1][1] = rows[HEADER_ROW][1]
    rows[HEADER_ROW][3] = "nhiều"
    rows.append(["ubnd-b", "ném", rows[HEADER_ROW][2], 4])
    upload = Upload(saved(rows, tmp_path / "g.xlsx"), "bảng.xlsx", "")
    with pytest.raises(Invalid) as refused:
        typed(tables, place, [], workbook=upload, lang=lang)
    assert faults(refused) == [
        ("D5", "forms.not_number"),
        ("A7", "forms.cell_other_party"),
        ("B6", "forms.line_twice"),
        ("B7", "forms.line_unknown"),
    ]
    assert refused.value.faults[2].params == {"first": 5}


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_table_goes_out_as_csv_and_comes_back(tables: Town, tmp_path: Path, lang: str) -> None:
    place = at(tables, "visits")
    lines = [
        ("=Chợ", {"visits": 12, "on_day": "2026-10-31", "note": 'a "b", c'}),
        ("Bến xe", {"visits": 3, "note": "-"}),
    ]
    before = typed(tables, place, lines).lines
    text = as_csv(tables, place, lang)
    assert text.splitlines()[0] == "agency,period,facility,visits,on_day,note"
    assert "31/10/2026" in text and "'=Chợ" in text
    path = tmp_path / "f.csv"
    path.write_bytes(text.encode("utf-8-sig"))
    typed(tables, place, [("Khác", {"visits": 1})])
    assert typed(tables, place, [], workbook=Upload(path, "f.csv", ""), lang=lang).lines == before
    wrong = text.replace("31/10/2026", "2026-13-01").replace(",12,", ",1.234,")
    path.write_bytes(wrong.replace("Bến xe", "").encode())
    with pytest.raises(Invalid) as refused:
        typed(tables, place, [], workbook=Upload(path, "f.csv", ""), lang=lang)
    assert faults(refused) == [
        ("D2", "forms.cell_either"),
        ("E2", "forms.not_date"),
        ("C3", "forms.line_needed"),
    ]


def test_numbers_come_back_from_csv_as_they_were(tables: Town, tmp_path: Path) -> None:
    place = at(tables, "treated")
    figures = [1.234, 234.567]
    keys = ("landfill", "burnt")
    typed(tables, place, [(k, {"treated_t": v}) for k, v in zip(keys, figures, strict=True)])
    for lang in ("vi", "en"):
        path = tmp_path / "f.csv"
        path.write_bytes(as_csv(tables, place, lang).encode())
        found = typed(tables, place, [], workbook=Upload(path, "f.csv", ""), lang=lang)
        assert [line.cells["treated_t"]["v"] for line in found.lines] == figures


def test_a_line_fills_from_its_own_line_elsewhere(
    tables: Town, make_town: Callable[..., Town]
) -> None:
    """`from` looks under the same line; the source's other lines say nothing of it."""
    form = TREATED.replace("dataset: treated", "dataset: cost_report").replace(
        "columns: {cost: {optional: true}}",
        "columns: {cost: {optional: true}, treated_t: {from: {dataset: treated, column: treated_t}}}",
    )
    with tables.db.transaction() as conn:
        registry.register(conn, parse_contract(form))
    source, place = at(tables, "treated"), at(tables, "cost_report")
    approved(tables, source, [("landfill", {"treated_t": 8}), ("burnt", {"treated_t": 2})])
    leader = tables.actor("so-nnmt", Role.LEADER)
    seen = tables.forms.look(leader, "cost_report", place.period.code, "ubnd-a")
    assert [line.cells for line in seen.lines] == [
        {"treated_t": {"v": 8.0, "from": "treated"}},
        {"treated_t": {"v": 2.0, "from": "treated"}},
    ]
