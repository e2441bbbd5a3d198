"""What docs/contracts.md says of contracts is true: its examples are read as it tells."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from dothi.lake.contract import Contract, parse_contract
from dothi.lake.loading import job
from dothi.lake.parse_csv import main as parse_series
from dothi.lake.parse_records import main as parse_records

DOCS = Path(__file__).parents[3] / "docs" / "contracts.md"
BLOCKS = re.findall(
    r"^```(yaml|csv)\n(.*?)^```$", DOCS.read_text("utf-8"), re.MULTILINE | re.DOTALL
)
PAIRS = [(BLOCKS[i][1], BLOCKS[i + 1][1]) for i in range(0, len(BLOCKS), 2)]


def read(contract: Contract, text: str, folder: Path) -> duckdb.DuckDBPyConnection:
    """The tables that the jailed job writes for a file, as views."""
    path = folder / "file.csv"
    path.write_text(text, "utf-8")
    main = parse_series if contract.kind == "series" else parse_records
    done = main(dict(job(contract, path).args), {"file": path}, folder)
    assert "fault" not in done, done
    found = duckdb.connect()
    for file in folder.glob("*.parquet"):
        found.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM '{file}'")
    return found


def test_the_statistics_table(tmp_path: Path) -> None:
    found = read(parse_contract(PAIRS[0][0]), PAIRS[0][1], tmp_path)
    rows = found.execute(
        "SELECT trim(k0), k1, year(t + INTERVAL 7 HOUR), v0, q0 FROM rows ORDER BY row_no, t"
    ).fetchall()
    assert rows == [
        ("WHOLE COUNTRY", "country", 2015, 91709.8, 0),
        ("WHOLE COUNTRY", "country", 2016, 92695.1, 0),
        ("Red River Delta", "region", 2015, 20912.2, 0),
        ("Red River Delta", "region", 2016, 21133.8, 0),
        ("Ha Noi", "province", 2015, 7202.9, 0),
        ("Ha Noi", "province", 2016, 7328.4, 0),
        ("Ha Tay", "province", 2015, None, 3),
        ("Ha Tay", "province", 2016, None, 3),
    ]


def test_months_across_and_a_decimal_comma(tmp_path: Path) -> None:
    found = read(parse_contract(PAIRS[1][0]), PAIRS[1][1], tmp_path)
    rows = found.execute(
        "SELECT k0, strftime(t + INTERVAL 7 HOUR, '%Y-%m-%d'), v0, q0 FROM rows ORDER BY row_no, t"
    ).fetchall()
    assert rows == [
        ("Huế", "2024-01-01", 125.0, 0),
        ("Huế", "2024-02-01", 11002.5, 1),
        ("A Lưới", "2024-01-01", None, 3),
        ("A Lưới", "2024-02-01", 70.0, 0),
    ]


def test_records(tmp_path: Path) -> None:
    contract = parse_contract(PAIRS[2][0])
    found = read(contract, PAIRS[2][1], tmp_path)
    rows = found.execute(
        "SELECT id, strftime(timezone('UTC', opened_at), '%d %H:%M'), status, lon FROM rows"
    ).fetchall()
    assert rows == [("PA-1", "05 01:00", "new", 105.85), ("PA-2", "04 17:00", "new", 0.0)]
    broken = [
        found.execute(f"SELECT list(id) FROM rows WHERE ({check.sql}) IS FALSE").fetchall()[0][0]
        for check in contract.checks
    ]
    assert broken == [["PA-2"], ["PA-2"]]


def test_the_form_and_the_own_form_of_its_dataset(tmp_path: Path) -> None:
    contract = parse_contract(PAIRS[3][0])
    form = contract.form
    assert form is not None
    assert (form.grain, form.since.code, form.due, form.approval) == (
        "month",
        "2026-09",
        5,
        "owner",
    )
    assert [(a.name, a.optional, a.evidence, a.jump) for a in form.asked] == [
        ("collected", False, False, 30),
        ("sorted", True, True, 50),
    ]
    assert form.names("ubnd-a") and form.names("so-xd") and not form.names("so-yt")
    found = read(contract, PAIRS[3][1], tmp_path)
    rows = found.execute("SELECT v0, v1, strftime(timezone('UTC', t), '%Y-%m-%d %H') FROM rows")
    assert rows.fetchall() == [(118.5, 31.0, "2026-08-31 17")]
    assert found.execute("SELECT * FROM rejects").fetchall() == []


def test_a_form_of_several_lines_and_its_rows(tmp_path: Path) -> None:
    contract = parse_contract(PAIRS[4][0])
    form = contract.form
    assert form is not None and form.lines is not None
    assert (form.lines.column, form.lines.least, form.lines.most) == ("facility", 0, 50)
    found = read(contract, PAIRS[4][1], tmp_path)
    rows = found.execute("SELECT agency, period, facility, visits FROM rows ORDER BY ALL")
    assert rows.fetchall() == [
        ("ubnd-a", "2026-09", "Chợ Bến", 2),
        ("ubnd-a", "2026-09", "Lò giết mổ số 1", 1),
    ]
    assert found.execute("SELECT * FROM rejects").fetchall() == []


def test_every_block_is_tried() -> None:
    assert [kind for kind, _ in BLOCKS] == ["yaml", "csv"] * 5


@pytest.mark.parametrize("name", ["constants", "extract", "skip", "apart", "wide", "file"])
def test_every_step_is_explained(name: str) -> None:
    assert f"| `{name}` |" in DOCS.read_text("utf-8")
