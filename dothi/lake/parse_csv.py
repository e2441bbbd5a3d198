"""Runs inside the jail: a file of unknown intent becomes typed series in Parquet, faults listed.

`main(args, inputs, out)` picks the first of the given readers whose columns the file has, and
writes below `out`:

* `rows.parquet`: the key columns k0…, t (instant without zone, UTC), and for each value i of the
  reader v{i} and q{i} (null where the row does not carry that value); in the order of the file,
  which numbers them, unless there is a column row_no;
* `rejects.parquet`: row_no, column_name, value, reason, limit_.

Rows are numbered from 1 as in the file, the header not counted. What is wrong with one value keeps
only that value out; what is wrong with time or key keeps the row out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.engine import engine
from dothi.lake.malformed import MOST_SHOWN, make_rejects, numbered
from dothi.lake.opening import Opened, opened
from dothi.lake.reading.refused import Refused
from dothi.lake.reshape import literal, quoted

MISSING, SUSPECT = 3, 1
VIETNAM = "Asia/Ho_Chi_Minh"


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Parse one file. Returns counts, the reader used, and a fault when nothing could be read."""
    with engine(args["threads"], args["memory"]) as root:
        # Files larger than memory are sorted on disk, within what the job may write.
        root.execute(f"SET temp_directory = {literal(out / 'spill')}")
        root.execute("SET preserve_insertion_order = true")
        make_rejects(root)
        try:
            return _write(root, opened(root, inputs["file"], args, out), out)
        except Refused as refused:
            return {"fault": refused.fault()}
        except duckdb.Error as error:
            problem = str(error).split("\n")[0][:300]
            return {"fault": {"key": "lake.file_unreadable", "problem": problem}}


def _write(root: duckdb.DuckDBPyConnection, file: Opened, out: Path) -> dict[str, Any]:
    reader, values = file.reader, file.reader["values"]
    keys = [f"k{i}" for i in range(len(reader["key"]))]
    # One pass from text to Parquet, in the order of the file. Sorting is not for here: nobody would
    # take our word for it.
    written, rows = _files(out, "rows.parquet"), _files(out, "read.parquet")
    root.execute(f"COPY ({_typed(file, reader)}) TO {rows} (COMPRESSION lz4)")
    total, faulty = _one(root, f"SELECT count(*), count(fault) FROM read_parquet({rows})")
    relation, malformed = f"read_parquet({rows})", 0
    if not file.numbered:
        relation, malformed = numbered(
            root, f"read_parquet({rows}, file_row_number = true)", "file_row_number"
        )
    if faulty:
        _collect(root, relation, reader)
    if malformed:
        columns = ", ".join(["row_no", *keys, "t", *_kept(values)])
        root.execute(f"COPY (SELECT {columns} FROM {relation}) TO {written} (COMPRESSION lz4)")
        (out / "read.parquet").unlink()
    else:
        (out / "read.parquet").rename(out / "rows.parquet")
    root.execute(f"COPY rejects TO {_files(out, 'rejects.parquet')}")
    return {
        "reader": reader["name"],
        "rows": file.extra.get("file_rows", total + malformed),
        "numbered": file.numbered or malformed > 0,
        "rejected_rows": _one(root, "SELECT count(DISTINCT row_no) FROM rejects")[0],
        "parameters": [v["parameter"] for v in values],
        "keys": len(keys),
        "extra": file.extra,
    }


def _kept(values: list[dict[str, Any]]) -> list[str]:
    return [column for i in range(len(values)) for column in (f"v{i}", f"q{i}")]


def _typed(file: Opened, reader: dict[str, Any]) -> str:
    """The query from text to k{i}, t, v{i}, q{i}, and fault: null where nothing is wrong, else
    the time's text and for each value its text, why it is rejected, and whether the row carries it.

    Each text is cast once. What is as it should be (p{i}) is told by one comparison; only the rest
    is looked at more closely.
    """
    time, values = reader["time"], reader["values"]
    stamp = quoted(time["column"])
    cast = (
        f"try_strptime({stamp}, [{', '.join(map(literal, time['formats']))}])"
        if time["formats"]
        else f"try_cast({stamp} AS TIMESTAMP)"
    )
    typed = [f"{stamp} AS t_text", f"{cast} AS t_local"]
    meant = ["t_text", f"{_instant(time)} AS t"]
    told, keys = ["t_text", "t"], []
    for i, (_, column, constant) in enumerate(reader["key"]):
        typed.append(f"{quoted(column) if column else literal(constant)} AS k{i}")
        # Blank is no key; spaces around a name are taken off where streams are looked up.
        meant.append(f"CASE WHEN k{i} = '' THEN NULL ELSE k{i} END AS k{i}")
        keys.append(f"k{i}")
    word = "word" if reader["quality_column"] else "0"
    if reader["quality_column"]:
        cases = " ".join(f"WHEN {literal(w)} THEN {code:d}" for w, code in reader["quality_words"])
        typed.append(f"(CASE {quoted(reader['quality_column'])} {cases} END)::UTINYINT AS word")
        meant.append("word")
        told.append("word")
    wheres, whys = [], []
    for i, value in enumerate(values):
        column = quoted(value["column"])
        number = decimal_text(column, reader["decimal"], reader["thousands"])
        typed += [f"{column} AS x{i}", f"try_cast({number} AS DOUBLE) AS n{i}"]
        where = " AND ".join(f"trim({quoted(c)}) = {literal(word)}" for c, word in value["where"])
        carries = f"w{i}" if where else "true"
        if where:
            typed.append(f"coalesce({where}, false) AS w{i}")
            meant.append(f"w{i}")
            told.append(f"w{i}")
        wheres.append(carries)
        meant += [f"x{i}", f"n{i}", f"{_plain(i, value, carries, word)} AS p{i}"]
        told += [f"x{i}", f"n{i}", *_value(i, value, carries, word)]
        whys.append(_why(i, value, carries, word))
    good = " AND ".join(["t IS NOT NULL", *(f"{k} IS NOT NULL" for k in keys)])
    wrong = " OR ".join(f"({why}) IS NOT NULL" for why in whys)
    told.append(" AND ".join([f"p{i}" for i in range(len(values))]) + " AS plain")
    fault = ["t_text"]
    for i, (carries, why) in enumerate(zip(wheres, whys, strict=True)):
        fault += [f"left(x{i}, {MOST_SHOWN})", why, f"CASE WHEN {carries} THEN 'carried' END"]
    query = file.relation
    number = ["row_no"] if file.numbered else []
    for step in (typed, meant, [*told, *keys]):
        query = f"(SELECT {', '.join([*number, *step])} FROM {query})"
    # As text: a column of lists costs a tenth of all even where every one is null.
    return (
        f"SELECT {', '.join([*number, 't', *keys, *_kept(values)])}, "
        f"CASE WHEN plain AND {good} THEN NULL "
        f"WHEN NOT ({good}) OR NOT ({' OR '.join(wheres)}) OR {wrong} "
        f"THEN to_json([{', '.join(fault)}])::VARCHAR END AS fault FROM {query}"
    )


def decimal_text(cell: str, decimal: str, thousands: str) -> str:
    """SQL: a number's text with a decimal point, null where its marks are not as declared."""
    if decimal == "." and not thousands:
        return cell
    mark = "[.]" if decimal == "." else ","
    # A blank between digits may be one that keeps a line together.
    group = {"": "", " ": "[ \u00a0\u202f]"}.get(thousands, f"[{thousands}]")
    whole = f"[0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]+" if group else "[0-9]+"
    form = f"[+-]?({whole})?({mark}[0-9]+)?([eE][+-]?[0-9]+)?"
    plain = f"trim({cell})"
    if group:
        plain = f"regexp_replace({plain}, {literal(group)}, '', 'g')"
    return (
        f"CASE WHEN regexp_full_match(trim({cell}), {literal(form)}) "
        f"THEN replace({plain}, {literal(decimal)}, '.') END"
    )


def _plain(i: int, value: dict[str, Any], carries: str, word: str) -> str:
    """SQL: value i is a number within its bounds that stands for nothing else."""
    low, high = value["low"], value["high"]
    most = 1.7976931348623157e308
    return (
        f"({carries} AND {word} = 0 AND {_number(i, value)} BETWEEN "
        f"{-most if low is None else low!r}::DOUBLE AND {most if high is None else high!r}::DOUBLE"
        + "".join(f" AND n{i} <> {m}::DOUBLE" for m in _markers(value)[0])
        + ")"
    )


def _markers(value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What stands for a missing value: numbers, and words, as SQL."""
    numbers: list[str] = []
    words: list[str] = []
    for marker in value["missing"]:
        try:
            numbers.append(repr(float(marker)))
        except ValueError:
            words.append(literal(marker))
    return numbers, words


def _number(i: int, value: dict[str, Any]) -> str:
    if value["factor"] == 1.0 and value["offset"] == 0.0:
        return f"n{i}"
    return f"(n{i} * {value['factor']!r} + {value['offset']!r})"


def _instant(time: dict[str, Any]) -> str:
    """SQL for the instant in UTC, null where the text is no time of the declared form."""
    if time["formats"]:
        return to_utc("t_local", time["zone"])
    return instant("t_text", "t_local", time["zone"])


def instant(text: str, local: str, zone: str) -> str:
    """SQL: an instant in UTC from an ISO 8601 text; `local` is the text cast to a timestamp."""
    in_zone = to_utc(local, zone)
    # A text longer than date and second may carry an offset; the cast to an instant reads both.
    offset = f"(right({text}, 1) IN ('Z', 'z') OR regexp_matches(substr({text}, 17), '[+-]'))"
    return (
        f"CASE WHEN strlen({text}) <= 19 THEN {in_zone} "
        f"WHEN {offset} THEN timezone('UTC', try_cast({text} AS TIMESTAMPTZ)) ELSE {in_zone} END"
    )


def to_utc(local: str, zone: str) -> str:
    """SQL: a timestamp of a zone as one of UTC."""
    general = f"timezone('UTC', timezone({literal(zone)}, {local}))"
    if zone != VIETNAM:
        return general
    # Viet Nam has kept UTC+7 since 1975; the subtraction is ten times as fast as the zone table,
    # and three times as fast on numbers.
    return (
        f"CASE WHEN {local} BETWEEN TIMESTAMP '1976-01-01' AND TIMESTAMP '9999-12-31' "
        f"THEN make_timestamp(epoch_us({local}) - {7 * 3600 * 1_000_000}) ELSE {general} END"
    )


def _missing(i: int, value: dict[str, Any]) -> str:
    """SQL: the text of value i stands for none."""
    numbers, words = _markers(value)
    said = f"n{i} IN ({', '.join(numbers)})" if numbers else "false"
    blank = f"trim(x{i}) IN ({', '.join(words)})" if words else "false"
    return f"(CASE WHEN x{i} IS NULL THEN true WHEN n{i} IS NULL THEN {blank} ELSE {said} END)"


def _value(i: int, value: dict[str, Any], carries: str, word: str) -> list[str]:
    """SQL for value i: v and q, each with the short way first."""
    missing, number = _missing(i, value), _number(i, value)
    low, high = value["low"], value["high"]
    outside = " OR ".join(
        [f"{number} < {low!r}"] * (low is not None) + [f"{number} > {high!r}"] * (high is not None)
    ) or "false"  # fmt: skip
    usable = f"isfinite(n{i})"
    return [
        f"CASE WHEN p{i} THEN {number} WHEN NOT {carries} OR {word} IS NULL OR {missing} THEN NULL "
        f"WHEN {usable} THEN {number} END AS v{i}",
        f"CASE WHEN p{i} THEN 0::UTINYINT WHEN NOT {carries} OR {word} IS NULL THEN NULL "
        f"WHEN {missing} THEN {MISSING}::UTINYINT WHEN NOT {usable} OR n{i} IS NULL THEN NULL "
        f"WHEN {word} = 0 AND ({outside}) THEN {SUSPECT}::UTINYINT "
        f"ELSE {word}::UTINYINT END AS q{i}",
        f"p{i}",
    ]


def _why(i: int, value: dict[str, Any], carries: str, word: str) -> str:
    """SQL: why value i is rejected, null where it is well."""
    return (
        f"CASE WHEN NOT {carries} THEN NULL WHEN {word} IS NULL THEN 'lake.bad_quality' "
        f"WHEN NOT {_missing(i, value)} AND (n{i} IS NULL OR NOT isfinite(n{i})) "
        "THEN 'lake.bad_number' END"
    )


def _collect(root: duckdb.DuckDBPyConnection, rows: str, reader: dict[str, Any]) -> None:
    """List what is wrong, value by value."""
    time, values = reader["time"].get("label", reader["time"]["column"]), reader["values"]
    parts = [
        f"SELECT row_no, {literal(time)}, left(fault[1], {MOST_SHOWN}), "
        "CASE WHEN trim(coalesce(fault[1], '')) = '' THEN 'lake.time_missing' "
        f"ELSE 'lake.bad_time' END, {literal(', '.join(reader['time']['formats']) or 'ISO 8601')} "
        "FROM n WHERE t IS NULL"
    ]
    for i, (name, column, _) in enumerate(reader["key"]):
        parts.append(
            f"SELECT row_no, {literal(column or name)}, NULL, 'lake.key_missing', NULL "
            f"FROM n WHERE k{i} IS NULL"
        )
    for i, value in enumerate(values):
        text, why = f"fault[{3 * i + 2}]", f"fault[{3 * i + 3}]"
        parts.append(
            f"SELECT row_no, CASE {why} WHEN 'lake.bad_quality' "
            f"THEN {literal(reader['quality_column'] or '')} ELSE {literal(value['column'])} END, "
            f"{text}, {why}, NULL FROM n WHERE {why} IS NOT NULL"
        )
    carries_nothing = " AND ".join(f"fault[{3 * i + 4}] IS NULL" for i in range(len(values)))
    where_columns = sorted({c for v in values for c, _ in v["where"]})
    parts.append(
        f"SELECT row_no, {literal(', '.join(where_columns))}, NULL, 'lake.row_of_nothing', NULL "
        f"FROM n WHERE {carries_nothing}"
    )
    root.execute(
        "INSERT INTO rejects WITH n AS (SELECT * REPLACE (from_json(fault, '[\"VARCHAR\"]') AS fault) "
        f"FROM {rows} WHERE fault IS NOT NULL) " + " UNION ALL ".join(parts)
    )


def _one(root: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = root.execute(query).fetchone()
    assert row is not None
    return row


def _files(out: Path, name: str) -> str:
    return literal(str(out / name))
