"""Rows as files: the same values in every form, and nothing that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nanoarrow import Array, ipc
from python_calamine import CalamineWorkbook

from dothi.lake.out import formats
from dothi.lake.out.formats import ARROW, CSV, FORMATS, JSON, NDJSON, PARQUET, XLSX

HANOI = timezone(timedelta(hours=7))
EVIL = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|'/c calc'!A0"]
QUERY = """SELECT 2::BIGINT AS whole, 0.5::DOUBLE AS part, 'sông "Hạ"; a,b' AS words, true AS yes,
    DATE '2026-01-31' AS day, TIMESTAMPTZ '2026-01-31 01:30:00+07' AS at,
    NULL::DOUBLE AS nothing, 'NaN'::DOUBLE AS none, 9007199254740993::BIGINT AS large"""


@pytest.fixture(scope="module")
def engine() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")
    return made


def written(form: formats.Format, relation: Any, **more: Any) -> bytes:
    with formats.written(form, relation, {}, **more) as file:
        return file.read()


def sheet(content: bytes) -> list[list[Any]]:
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()


def test_a_row_is_the_same_in_every_form(engine: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    def row(form: formats.Format, **more: Any) -> bytes:
        return written(form, engine.sql(QUERY), **more)

    plain = {
        "whole": 2, "part": 0.5, "words": 'sông "Hạ"; a,b', "yes": True, "day": "2026-01-31",
        "at": "2026-01-30T18:30:00Z", "nothing": None, "none": None,
        "large": "9007199254740993",
    }  # fmt: skip
    assert json.loads(row(JSON))["rows"] == [plain]
    assert json.loads(row(NDJSON)) == plain
    table = list(csv.reader(io.StringIO(row(CSV, bom=True).decode("utf-8-sig"))))
    assert table[0] == list(plain)
    assert table[1][:6] == ["2", "0.5", 'sông "Hạ"; a,b', "true", "2026-01-31", plain["at"]]
    local = list(csv.reader(io.StringIO(row(CSV, local=HANOI).decode())))
    assert local[1][5] == "2026-01-31T01:30:00+07:00"
    cells = dict(zip(plain, sheet(row(XLSX, local=HANOI))[1], strict=True))
    assert cells["at"] == datetime(2026, 1, 31, 1, 30)
    assert (cells["day"], cells["large"]) == (date(2026, 1, 31), plain["large"])
    assert (cells["whole"], cells["part"], cells["words"], cells["yes"]) == (
        2, 0.5, plain["words"], True,
    )  # fmt: skip
    with ipc.InputStream.from_readable(io.BytesIO(row(ARROW))) as stream:
        [arrow] = Array(stream).to_pylist()
    path = tmp_path / "rows.parquet"
    path.write_bytes(row(PARQUET))
    [parquet] = engine.sql(f"FROM '{path}'").fetchall()
    exact = dict(zip(plain, parquet, strict=True))
    assert exact["at"] == datetime(2026, 1, 30, 18, 30, tzinfo=UTC) == arrow["at"]
    assert exact["large"] == arrow["large"] == 9007199254740993
    assert exact["nothing"] is None and exact["words"] == arrow["words"] == plain["words"]


@given(text=st.one_of(st.sampled_from(EVIL), st.text(max_size=20)))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_becomes_a_formula(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    text = text.replace("\0", "").encode(errors="ignore").decode()
    rows = engine.sql("SELECT $text AS a, -1.5 AS b, [$text] AS c", params={"text": text})
    [_, [cell, number, several]] = csv.reader(io.StringIO(written(CSV, rows).decode(), newline=""))
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell in (text, f"'{text}")
    assert number == "-1.5"
    assert json.loads(several) == [text]


def test_a_sheet_holds_no_formula_and_no_link(engine: duckdb.DuckDBPyConnection) -> None:
    texts = [*EVIL, "https://example.invalid/", "12", "x" * 40_000]
    rows = engine.sql("SELECT unnest($texts) AS a", params={"texts": texts})
    content = written(XLSX, rows)
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        page = book.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in page and "hyperlink" not in page
    told = [row[0] for row in sheet(content)[1:]]
    assert told[-4:-1] == texts[-4:-1]
    assert told[-1] == "x" * 32_767  # as much as a cell holds


def test_the_form_is_the_one_asked_for() -> None:
    assert formats.chosen(None, "") is JSON
    assert formats.chosen("csv", "application/json") is CSV
    assert formats.chosen("pdf", "text/csv") is None
    assert formats.chosen(None, "text/html, text/csv;q=0.5, application/x-ndjson;q=0.9") is NDJSON
    assert formats.chosen(None, f"{XLSX.media_type}") is XLSX
    assert formats.chosen("xlsx", "", formats.PLAIN_FORMATS) is None
    assert len({one.word for one in FORMATS}) == len(FORMATS)
