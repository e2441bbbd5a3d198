"""Which key the assistant proposes, and what it says where a person has to choose."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml

from dothi.identity.model import SYSTEM
from dothi.kernel.errors import Fault
from dothi.lake import findings, loads
from dothi.lake.contract import parse_contract
from dothi.lake.engine import engine
from dothi.lake.files import FileStore
from dothi.lake.inspecting import contract_text, report
from dothi.lake.loading import load_file
from dothi.lake.out.page import Asked, Order, page
from dothi.lake.reading.describe import describe
from dothi.lake.reading.guess import guess
from dothi.lake.reading.keys import telling
from dothi.lake.registry import register
from dothi.lake.service import Lake
from dothi.store.database import Database

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("DOTHI_SHARED", ROOT.parent / "shared")) / "data"
HEADS = ("STT", "Ngày", "Xã/phường", "Loại", "Số vụ", "Ghi chú")
AUGUST = [
    (1, "01/08/2026", "Xã A", "Cháy", 2, "x"),
    (2, "01/08/2026", "Xã B", "Cháy", 1, "y"),
    (3, "02/08/2026", "Xã A", "Ngập", 1, "z"),
]


def sheet(path: Path, *rows: tuple[Any, ...]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        one = book.add_worksheet()
        for number, row in enumerate(rows):
            one.write_row(number, 0, row)
    return path


def described(path: Path, tmp_path: Path) -> dict[str, Any]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    with engine(2, "300MB") as root:
        return describe(root, path, {}, work, path.name.split(".")[0])


def key_of(heads: tuple[str, ...], *rows: tuple[str | None, ...]) -> tuple[list[str], str]:
    values = [[row[i] for row in rows] for i in range(len(heads))]
    key = telling([guess(n, v) for n, v in zip(heads, values, strict=True)], values)
    return key.columns, key.ground


def test_a_month_does_not_replace_the_month_before(
    db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    first = sheet(tmp_path / "tình hình.xlsx", HEADS, *AUGUST)
    found = described(first, tmp_path)
    assert found["contract"]["key"] == ["ngay", "xa_phuong"]
    assert "stt" not in found["contract"]["columns"]
    assert found["left_out"] == ["STT"]
    contract = parse_contract(contract_text(found, "vi").replace("co-quan", "demo"))
    with db.transaction() as conn:
        dataset = register(conn, contract)
    load_file(lake, store, dataset, first)
    september = [(n, day.replace("/08/", "/09/"), *rest) for n, day, *rest in AUGUST]
    done = load_file(lake, store, dataset, sheet(tmp_path / "9.xlsx", HEADS, *september))
    assert (done.outcome.new, done.outcome.changed) == (3, 0)


def test_a_load_that_changes_most_rows_says_so_and_how_to_take_it_out(
    db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    contract = parse_contract(
        "dataset: x\nkind: records\ntitle: {vi: X, en: X}\nowner: demo\nkey: [stt]\n"
        "columns:\n  stt: {type: integer, title: {vi: A, en: A}}\n"
        "  what: {type: text, title: {vi: B, en: B}}\n"
    )
    with db.transaction() as conn:
        dataset = register(conn, contract)

    def load(*what: str) -> tuple[int, list[str], list[str]]:
        path = tmp_path / "x.csv"
        path.write_text("stt,what\n" + "".join(f"{n},{w}\n" for n, w in enumerate(what, 1)))
        done = load_file(lake, store, dataset, path)
        with db.transaction() as conn:
            kept, _ = loads.get(conn, SYSTEM, done.outcome.load_id)
        kinds = [f["kind"] for f in done.report["findings"]]
        assert [f["kind"] for f in kept.report["findings"]] == kinds
        notes = [findings.note(f, "vi") for f in done.report["findings"]]
        return done.outcome.load_id, kinds, notes

    assert load("a", "b", "c", "d")[1] == []
    assert load("a2", "b2", "c", "d")[1] == [], "half is a correction"
    last, kinds, notes = load("p", "q", "r", "d", "e")
    assert kinds == ["replaced"]
    assert "trên 4 dòng" in notes[0] and f"dothi undo {last}" in notes[0]


@pytest.mark.parametrize(
    ("heads", "rows", "key", "ground"),
    [
        (("TT", "Tên", "Mã hồ sơ"), [("1", "a", "7"), ("2", "b", "9")], ["Mã hồ sơ"], "identifier"),
        (("No.", "name", "code"), [("1", "a", "PA-1"), ("2", "b", "PA-2")], ["code"], "identifier"),
        (("số", "hồ sơ"), [("5", "HS.26.001"), ("5", "HS.26.002")], ["hồ sơ"], "identifier"),
        (("#", "tên", "id"), [("1", "a", "1"), ("2", "b", "2")], ["tên"], "choose"),
        (("author", "note"), [("a", "u"), ("b", "u")], ["author", "note"], "choose"),
        (("ngày", "author", "x"), [("2026-01-01", "a", "1"), ("2026-01-01", "b", "1")],
         ["ngày", "author"], "together"),
        (("trip_id", "stop_sequence"), [("a", "4"), ("a", "5"), ("b", "4")],
         ["trip_id", "stop_sequence"], "together"),
        (("STT", "tên"), [("1", "a"), ("2", "a")], ["tên"], "none"),
        (("mã", "tên"), [("01", "a"), ("02", "b"), ("03", "b")], ["mã"], "identifier"),
    ],
)  # fmt: skip
def test_a_key_rests_on_what_the_columns_are(
    heads: tuple[str, ...], rows: list[tuple[str, ...]], key: list[str], ground: str
) -> None:
    told = key_of(heads, *rows)
    assert (sorted(told[0]), told[1]) == (sorted(key), ground)


def test_a_number_that_only_counts_is_told_from_a_gas() -> None:
    heads = ("STT", "Trạm", "Ngày", "NO")
    rows = [
        ("1", "A", "2026-01-01", "14"),
        ("2", "A", "2026-01-02", "3"),
        ("3", "A", "2026-01-03", "9"),
    ]
    values = [[row[i] for row in rows] for i in range(4)]
    key = telling([guess(n, v) for n, v in zip(heads, values, strict=True)], values)
    assert key.running == ["STT"]


def test_who_must_choose_is_told_in_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("STT,tác giả,nội dung\n1,a,x\n2,b,x\n3,c,y\n")
    found = described(path, tmp_path)
    text = contract_text(found, "vi")
    assert "# PHẢI CHỌN KHÓA" in text
    assert yaml.safe_load(text) == found["contract"]
    assert any("STT" in line and "số thứ tự" in line for line in report(found, "vi"))
    path.write_text("STT,tác giả\n1,a\n2,a\n")
    assert "giống hệt nhau" in contract_text(described(path, tmp_path), "vi")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ckan_envidat/package_search.json", ["id"]),
        (
            "security_suricata_alerts/wrccdc-2018.alerts.json.gz",
            ["timestamp", "alert_signature_id"],
        ),
        ("gtfs_hanoi_partial/routes.txt", ["route_id"]),
    ],
)
def test_the_key_of_a_real_file(name: str, key: list[str], tmp_path: Path) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"the real data set is missing: {name}")
    assert described(DATA / name, tmp_path)["contract"]["key"] == key


def test_numbers_in_a_key_stand_by_their_value(
    db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    contract = parse_contract(
        "dataset: x\nkind: records\ntitle: {vi: X, en: X}\nowner: demo\nkey: [area, n]\n"
        "columns:\n  area: {type: text, title: {vi: A, en: A}}\n"
        "  n: {type: integer, title: {vi: B, en: B}}\n"
    )
    path = tmp_path / "x.csv"
    path.write_text("area,n\n" + "".join(f"{a},{n}\n" for a in "ba" for n in (10, 1, 11, -3, 2)))
    with db.transaction() as conn:
        dataset = register(conn, contract)
    load_file(lake, store, dataset, path)
    rising = [(a, n) for a in "ab" for n in (-3, 1, 2, 10, 11)]
    orders: list[tuple[Order, list[tuple[str, int]]]] = [("key", rising), ("-key", rising[::-1])]
    for order, wanted in orders:
        seen: list[tuple[Any, ...]] = []
        after = None
        while after or not seen:
            asked = Asked(order=order, limit=3, after=after)
            with page(lake, SYSTEM, dataset, asked) as found:
                seen += [row[:2] for row in found.cursor.execute(found.select).fetchall()]
                after = found.next
        assert seen == wanted


def test_what_is_wrong_with_a_value_is_said_in_words() -> None:
    wrong = Fault("", "lake.bad_value", {"type": "integer"})
    assert "số nguyên" in wrong.text("vi") and "integer" not in wrong.text("en")
    late = Fault("", "lake.bad_time", {"form": "%d/%m/%Y %H:%M"})
    assert late.text("vi") == "Thời gian không đúng dạng ngày/tháng/năm giờ:phút."


def test_a_printed_table_is_read_as_it_is_meant(
    db: Database, lake: Lake, store: FileStore, tmp_path: Path
) -> None:
    path = tmp_path / "sản lượng.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        one = book.add_worksheet("Tháng 8")
        one.merge_range(0, 0, 0, 5, "SẢN LƯỢNG")
        one.write(1, 5, "(Đơn vị tính: tấn)")
        for column, title in ((0, "STT"), (1, "Ngày"), (2, "Xã/phường"), (5, "Ghi chú")):
            one.merge_range(2, column, 3, column, title)
        one.merge_range(2, 3, 2, 4, "Tổng số")
        one.write_row(3, 3, ["Lúa", "Ngô"])
        one.write_row(4, 0, [1, "01/08/2026", "Xã A", 10.5, 4.5, "a1 b"])
        one.write_row(6, 0, [2, "01/08/2026", "Xã B", "hỏng", 5.5, "a2 b"])
        one.write_row(7, 0, [3, "02/08/2026", "Xã A", 12.5, 6.5, "a3 b"])
        one.write_row(8, 2, ["Tổng cộng", 23, 16.5])
        one.write(10, 2, "Người lập biểu")
        book.add_worksheet("Tháng 9").write(0, 0, "x")
    found = described(path, tmp_path)
    kinds = {c["name"]: c["kind"] for c in found["columns"]}
    assert {"Tổng số – Lúa", "Tổng số – Ngô"} <= kinds.keys()
    contract = contract_text(found, "vi").replace("co-quan", "demo")
    assert found["contract"]["columns"]["tong_so_ngo"]["unit"] == "t"
    said = "\n".join(report(found, "vi"))
    assert "Tháng 9" in said and "bỏ qua" in said
    contract = contract.replace(
        "type: text\n    title:\n      vi: Tổng", "type: number\n    title:\n      vi: Tổng"
    )
    with db.transaction() as conn:
        dataset = register(conn, parse_contract(contract))
    done = load_file(lake, store, dataset, path)
    assert done.outcome.new == 2
    assert {f["kind"]: f["count"] for f in done.report["findings"]}["skipped"] == 2
    with db.transaction() as conn:
        wrong = [(row, value) for row, _, value, *_ in loads.quarantine(conn, done.outcome.load_id)]
    assert wrong == [(7, "hỏng")], "the number that the spreadsheet shows beside the row"
