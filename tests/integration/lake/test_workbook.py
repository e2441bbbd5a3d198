"""A dataset's workbook: written, filled in as people fill in workbooks, read back."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from dothi.kernel.errors import Invalid
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.files import FileStore
from dothi.lake.loading import load_file
from dothi.lake.reader import HEADER_ROW, SHEET
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.lake.workbook import workbook
from dothi.store.database import Database
from tests.integration.lake.test_record_files import SHOPS, made

MONTHLY = """
dataset: births
kind: series
title: {vi: "Trẻ sinh ra", en: Births}
owner: demo
key: [commune]
time: {zone: Asia/Ho_Chi_Minh, rhythm: P1M}
parameters:
  born: {title: {vi: Số trẻ, en: Born}, unit: "1", range: [0, 1000]}
  share: {title: {vi: Tỷ lệ, en: Share}, unit: "%"}
things:
  - {key: [An Bình], name: {vi: Xã An Bình, en: An Binh}}
  - {key: ["00123"], name: {vi: Xã Mười, en: Muoi}}
"""


def given(db: Database, dataset: Dataset, lang: str = "vi") -> bytes:
    with db.transaction() as conn:
        return workbook(dataset.contract, registry.things(conn, dataset).values(), lang)


def filled(form: bytes, rows: list[dict[str, Any]], path: Path) -> Path:
    """The workbook with rows below its header, as a spreadsheet program would save it."""
    above = CalamineWorkbook.from_filelike(io.BytesIO(form)).get_sheet_by_name(SHEET).to_python()
    names = above[HEADER_ROW - 1]
    assert len(above) == HEADER_ROW
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        book.add_worksheet("Ghi chú")
        sheet = book.add_worksheet(SHEET)
        moment = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        for line, texts in enumerate(above):
            for place, text in enumerate(texts):
                sheet.write_string(line, place, str(text))
        for line, row in enumerate(rows, HEADER_ROW):
            for name, value in row.items():
                place = names.index(name)
                if isinstance(value, date):
                    at = datetime(*value.timetuple()[:5])
                    sheet.write_datetime(line, place, at, moment)
                else:
                    sheet.write(line, place, value)
    return path


def test_figures_of_months_typed_in_many_ways_are_the_same_month(
    lake: Lake, db: Database, tmp_path: Path
) -> None:
    births = made(db, MONTHLY)
    rows = [
        {"commune": "An Bình", "time": datetime(2026, 1, 1), "born": 12, "share": 1.5},
        {"commune": "An Bình", "time": "2/2026", "born": 13},
        {"commune": "An Bình", "time": "01/03/2026", "born": 2000},
        {"commune": "An Bình", "time": "2026-04-01", "share": "-"},
        {"commune": "00123", "time": date(2026, 1, 1), "born": 0},
        {"commune": "00123", "time": "tháng hai", "born": 1},
    ]
    path = filled(given(db, births), rows, tmp_path / "sinh.xlsx")
    done = load_file(lake, FileStore(tmp_path / "files"), births, path)
    assert done.report["reader"] == "workbook"
    assert done.outcome.rejected == 2
    with db.transaction() as conn:
        things, streams = registry.things(conn, births), registry.streams(conn, births)
    names = {s.id: (things[s.thing_id].key[0], s.parameter) for s in streams.values()}
    with lake.view() as view:
        found = view.execute(
            f"SELECT stream_id, timezone('Asia/Ho_Chi_Minh', t), v, q FROM {view.series(births)} "
            "WHERE v IS NOT NULL"
        ).fetchall()
    assert {(*names[s], at.day, at.month, v, q) for s, at, v, q in found} == {
        ("An Bình", "born", 1, 1, 12.0, 0),
        ("An Bình", "share", 1, 1, 1.5, 0),
        ("An Bình", "born", 1, 2, 13.0, 0),
        ("An Bình", "born", 1, 3, 2000.0, 1),
        ("00123", "born", 1, 1, 0.0, 0),
    }


def test_records_come_back_with_their_types(lake: Lake, db: Database, tmp_path: Path) -> None:
    shops = made(db, SHOPS.replace("ROWS", ""))
    seen = datetime(2026, 5, 4, 7, 30)
    rows = [
        {"code": "=1+1", "opened": date(2020, 12, 31), "seen_at": seen, "staff": 12,
         "area": 10.5, "licensed": "có", "kind": "food"},
        {"code": "007", "opened": "31/12/2020", "seen_at": "04/05/2026 07:30", "licensed": "không"},
        {"code": "C", "kind": "toys"},
    ]  # fmt: skip
    path = filled(given(db, shops), rows, tmp_path / "shops.xlsx")
    done = load_file(lake, FileStore(tmp_path / "files"), shops, path)
    assert (done.outcome.new, done.outcome.rejected) == (2, 1)
    with lake.view() as view:
        found = view.execute(
            f"SELECT code, opened, seen_at, staff, area, licensed, kind "
            f"FROM {view.records(shops)} ORDER BY code DESC"
        ).fetchall()
    at = (seen - timedelta(hours=7)).replace(tzinfo=UTC)
    day = date(2020, 12, 31)
    assert [(*row[:2], row[2].astimezone(UTC), *row[3:]) for row in found] == [
        ("=1+1", day, at, 12, 10.5, True, "food"),
        ("007", day, at, None, None, False, None),
    ]


def test_every_minute_of_a_day_survives_the_workbooks_fractions(
    lake: Lake, db: Database, tmp_path: Path
) -> None:
    sensor = made(db, MONTHLY.replace("P1M", "PT1M").replace("births", "sensor"))
    start = datetime(2026, 3, 5)
    rows = [{"commune": "A", "time": start + timedelta(minutes=n), "born": 1} for n in range(1440)]
    path = filled(given(db, sensor), rows, tmp_path / "day.xlsx")
    done = load_file(lake, FileStore(tmp_path / "files"), sensor, path)
    (stream,) = (s for s in done.report["streams"] if s["valid"])
    assert (stream["rows"], stream["absent"]) == (1440, 0)
    with lake.view() as view:
        odd = view.execute(
            f"SELECT count(*) FROM {view.series(sensor)} WHERE epoch_us(t) % 60000000 <> 0"
        ).fetchone()
    assert odd == (0,)


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_workbook_tells_what_it_asks_for(lake: Lake, db: Database, lang: str) -> None:
    births = made(db, MONTHLY)
    book = CalamineWorkbook.from_filelike(io.BytesIO(given(db, births, lang)))
    title, heads, rules, names = book.get_sheet_by_name(SHEET).to_python()[:HEADER_ROW]
    assert names == ["commune", "time", "born", "share"]
    assert title[0] == births.contract.title[lang]
    assert heads[3] == {"vi": "Tỷ lệ (%)", "en": "Share (%)"}[lang]
    assert {"vi": "1.000", "en": "1,000"}[lang] in str(rules[2])
    guide = book.get_sheet_by_index(1).to_python()
    assert [row[0] for row in guide[4:]] == names


def test_a_workbook_of_another_dataset_is_refused(lake: Lake, db: Database, tmp_path: Path) -> None:
    births, shops = made(db, MONTHLY), made(db, SHOPS.replace("ROWS", ""))
    path = filled(given(db, shops), [{"code": "A"}], tmp_path / "shops.xlsx")
    with pytest.raises(Invalid) as refused:
        load_file(lake, FileStore(tmp_path / "files"), births, path)
    assert refused.value.faults[0].key == "lake.no_reader"


def test_a_contract_with_everything_makes_a_workbook(lake: Lake, db: Database) -> None:
    many = ", ".join(f"choice {n} of many" for n in range(60))
    everything = parse_contract(
        SHOPS.replace("ROWS", "").replace("choices: [food, other]", f"choices: [{many}]")
    )
    book = CalamineWorkbook.from_filelike(io.BytesIO(workbook(everything, [], "en")))
    assert book.get_sheet_by_name("Lists").to_python()[1] == ["choice 0 of many"]
