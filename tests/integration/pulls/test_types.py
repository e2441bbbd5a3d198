"""What values of each server become, and what cannot be read is said."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.integration.pulls.conftest import Foreign, Town

KINDS = """
dataset: kinds
kind: records
title: {vi: Kiểu, en: Kinds}
owner: so-tt
key: [code]
time: {zone: Asia/Ho_Chi_Minh}
columns:
  code: {type: text, title: {vi: Mã, en: Code}}
  amount: {type: number, title: {vi: Tiền, en: Amount}}
  count: {type: integer, title: {vi: Số, en: Count}}
  flag: {type: boolean, title: {vi: Cờ, en: Flag}}
  day: {type: date, title: {vi: Ngày, en: Day}}
  there: {type: instant, title: {vi: Theo giờ nơi đó, en: Local}}
  exact: {type: instant, title: {vi: Có múi giờ, en: With a zone}}
  words: {type: text, title: {vi: Chữ, en: Words}}
  more: {type: text, title: {vi: Khác, en: More}}
"""
SELECT = "SELECT code, amount, count, flag, day, there, exact, words, more FROM kieu"
WORDS = "Trạm “Bến Cát”,\n; 100 % 😀 \\ 'x'"


def _expected(rows: dict) -> None:
    first = rows["a"]
    assert first["amount"] == 12345678.25
    assert first["count"] == 9007199254740993
    assert first["flag"] is True
    assert first["day"] == date(2026, 2, 3)
    assert first["there"].astimezone(UTC) == datetime(2026, 2, 3, 0, 30, 0, 500000, tzinfo=UTC)
    assert first["exact"].astimezone(UTC) == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert first["words"] == WORDS
    assert all(value is None for name, value in rows["empty"].items() if name != "code")


def test_postgresql(town: Town, foreign_postgres: Foreign) -> None:
    town.define(KINDS)
    do = foreign_postgres.do
    do("DROP TABLE IF EXISTS kieu")
    do("CREATE TABLE kieu (code text, amount numeric(20, 4), count bigint, flag boolean, day date, "
       "there timestamp, exact timestamptz, words text, more text)")  # fmt: skip
    do(
        "INSERT INTO kieu VALUES ('a', 12345678.25, 9007199254740993, true, '2026-02-03', "
        "'2026-02-03 07:30:00.5', '2026-02-03 04:05:06+00', %s, NULL), ('empty', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", (WORDS,),
    )  # fmt: skip
    do("INSERT INTO kieu (code, there, day) VALUES ('forever', 'infinity', NULL), "
       "('bc', NULL, '0044-03-15 BC')")  # fmt: skip
    do("INSERT INTO kieu (code, more) VALUES ('array', ARRAY['x', 'y']::text), "
       "('json', '{\"a\": [1, 2]}'::jsonb::text), ('long', repeat('d', 200000))")  # fmt: skip
    raw = SELECT + " UNION ALL SELECT 'bytes', NULL, NULL, NULL, "
    raw += "NULL, NULL, NULL, NULL, '\\xc328'::bytea::text"
    pull = town.pull(town.source(foreign_postgres), dataset="kinds", query=raw, mark="")
    run = town.run(pull)
    assert (run.state, run.error) == ("done", None)
    rows = town.rows("kinds")
    _expected(rows)
    assert rows["array"]["more"] == "{x,y}"
    assert rows["json"]["more"] == '{"a": [1, 2]}'
    assert rows["bytes"]["more"] == "\\xc328"
    assert len(rows["long"]["more"]) == 200_000
    assert run.rejected == 2 and not {"forever", "bc"} & set(rows)
    assert run.findings == []


def test_mariadb(town: Town, foreign_mariadb: Foreign) -> None:
    town.define(KINDS)
    do = foreign_mariadb.do
    do("DROP TABLE IF EXISTS kieu")
    do("CREATE TABLE kieu (code varchar(20), amount decimal(20, 4), count bigint, flag tinyint(1), "
       "day date, there datetime(6), exact timestamp NULL, words text, more longblob) "
       "CHARACTER SET utf8mb4")  # fmt: skip
    do("SET time_zone = '+07:00'")
    do(
        "INSERT INTO kieu VALUES ('a', 12345678.25, 9007199254740993, 1, '2026-02-03', "
        "'2026-02-03 07:30:00.5', '2026-02-03 11:05:06', %s, NULL)", (WORDS,),
    )  # fmt: skip
    do("INSERT INTO kieu (code, exact) VALUES ('empty', NULL)")
    do("INSERT INTO kieu (code, day, there) VALUES ('zero', '0000-00-00', '0000-00-00 00:00:00')")
    do("INSERT INTO kieu (code, more) VALUES ('bytes', x'C328')")
    source = town.source(foreign_mariadb)
    run = town.run(town.pull(source, dataset="kinds", query=SELECT, mark=""))
    assert (run.state, run.error) == ("done", None)
    rows = town.rows("kinds")
    _expected(rows)
    assert rows["bytes"]["more"] == "\\xc328"
    assert (rows["zero"]["day"], rows["zero"]["there"]) == (None, None)
    assert run.findings == [{"kind": "zero_dates", "count": 2}]


def test_old_vietnamese_text_in_a_latin1_column(town: Town, foreign_mariadb: Foreign) -> None:
    town.define(
        KINDS.replace("dataset: kinds", "dataset: old")
        + "readers:\n  - name: tcvn3\n    file: {font: tcvn3}\n    columns:\n"
        "      code: {column: ma}\n      words: {column: ten}\n"
    )
    do = foreign_mariadb.do
    do("DROP TABLE IF EXISTS cu")
    do("CREATE TABLE cu (ma varchar(20), ten varchar(200) CHARACTER SET latin1)")
    # "Hà Nội" and "Đường phố" as programs of the nineties stored them.
    do("INSERT INTO cu VALUES ('1', x'48B5204EE96920'), ('2', x'A7AFEC6E67207068E8')")
    run = town.run(
        town.pull(town.source(foreign_mariadb), dataset="old", mark="", query="SELECT * FROM cu")
    )
    assert (run.state, run.error) == ("done", None)
    words = {code: row["words"].strip() for code, row in town.rows("old").items()}
    assert words["1"] == "Hà Nội"
