"""Runs inside the jail: a CSV file of unknown intent becomes typed Parquet, faults listed.

`main(args, inputs, out)` picks the first of the given readers whose columns the file has, and
writes below `out`:

* `names.parquet`: the key columns k0… of each thing, and name_no;
* `rows.parquet`: row_no, name_no, t (instant without zone, UTC), and for each value i of the
  reader v{i} and q{i} (null where the row does not carry that value), in the order of name_no,
  t and row_no;
* `rejects.parquet`: row_no, column_name, value, reason, limit_.

Rows are numbered from 1 as in the file, the header not counted. What is wrong with one value keeps
only that value out; what is wrong with time or key keeps the row out.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.engine import engine

MISSING, SUSPECT = 3, 1
MOST_MALFORMED = 50_000
MOST_SHOWN = 200
"""Characters of a rejected text that are kept."""
VIETNAM = "Asia/Ho_Chi_Minh"


def main(args: dict[str, Any], inputs: dict[str, Path], out: Path) -> dict[str, Any]:
    """Parse one file. Returns counts, the reader used, and a fault when nothing could be read."""
    path = inputs["file"]
    header, fault = _header(path, args["delimiters"])
    if fault:
        return {"fault": fault}
    names, delimiter = header
    reader = _choose(args["readers"], names)
    if reader is None:
        best = min(args["readers"], key=lambda r: len(set(r["columns"]) - set(names)))
        missing = [c for c in best["columns"] if c not in names]
        return {
            "fault": {
                "key": "lake.no_reader",
                "found": ", ".join(names)[:300],
                "missing": ", ".join(missing)[:300],
            }
        }
    with engine(args["threads"], args["memory"]) as root:
        # Files larger than memory are sorted on disk, within what the job may write.
        root.execute(f"SET temp_directory = {_text(str(out / 'spill'))}")
        root.execute("SET preserve_insertion_order = true")
        return _parse(root, path, delimiter, reader, out)


def _header(path: Path, delimiters: str) -> tuple[tuple[list[str], str], dict[str, Any] | None]:
    """The column names and the delimiter, from the first line."""
    with path.open("rb") as file:
        start = file.read(65_536)
    if not start.strip():
        return ([], ","), {"key": "lake.file_empty"}
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in start:
        return ([], ","), {"key": "lake.file_not_text"}
    line = start.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    if len(line) >= 65_000:
        return ([], ","), {"key": "lake.file_header_long"}
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return ([], ","), {"key": "lake.file_not_utf8"}
    if text.lstrip().startswith("<"):
        return ([], ","), {"key": "lake.file_not_csv"}
    delimiter = max(delimiters, key=text.count)
    names = [n.strip() for n in next(csv.reader([text], delimiter=delimiter), [])]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        return (names, delimiter), {"key": "lake.file_column_twice", "name": ", ".join(twice)[:200]}
    return (names, delimiter), None


def _choose(readers: list[dict[str, Any]], names: list[str]) -> dict[str, Any] | None:
    have = set(names)
    for reader in readers:
        wanted = reader["columns"]
        if reader["name"] == "own":
            # The dataset's own form: time and key, and at least one of its parameters.
            must = [c for c in wanted if c not in {v["column"] for v in reader["values"]}]
            values = [v for v in reader["values"] if v["column"] in have]
            if have.issuperset(must) and values:
                return {**reader, "values": values}
        elif have.issuperset(wanted):
            return reader
    return None


def _parse(
    root: duckdb.DuckDBPyConnection, path: Path, delimiter: str, reader: dict[str, Any], out: Path
) -> dict[str, Any]:
    source = (
        f"read_csv({_text(str(path))}, all_varchar = true, header = true, delim = {_text(delimiter)}, "
        "quote = '\"', escape = '\"', auto_detect = false, columns = {columns}, "
        f"ignore_errors = true, store_rejects = true, rejects_limit = {MOST_MALFORMED + 1}, "
        "max_line_size = 1000000, null_padding = false, encoding = 'utf-8')"
    )
    names = _names(path, delimiter)
    columns = "{" + ", ".join(f"{_text(n)}: 'VARCHAR'" for n in names) + "}"
    source = source.replace("{columns}", columns)
    try:
        result = _write(root, source, reader, out)
    except duckdb.Error as error:
        return {
            "fault": {"key": "lake.file_unreadable", "problem": str(error).split("\n")[0][:300]}
        }
    return result


def _names(path: Path, delimiter: str) -> list[str]:
    with path.open("r", encoding="utf-8-sig", newline="") as file:
        return [n.strip() for n in next(csv.reader([file.readline()], delimiter=delimiter))]


def _write(
    root: duckdb.DuckDBPyConnection, source: str, reader: dict[str, Any], out: Path
) -> dict[str, Any]:
    values = reader["values"]
    keys = [f"k{i}" for i in range(len(reader["key"]))]
    # One pass over the text; the order of the table is the file's.
    root.execute(f"CREATE TABLE raw AS {_typed(source, reader)}")
    total, faulty = _one(root, "SELECT count(*), count(fault) FROM raw")
    malformed = _malformed(root)
    root.execute(
        "CREATE TABLE rejects (row_no INTEGER, column_name VARCHAR, value VARCHAR, "
        "reason VARCHAR, limit_ VARCHAR)"
    )
    numbered = _numbered(root, malformed)
    if faulty:
        _collect(root, numbered, reader)
    usable = " AND ".join(f"{column} IS NOT NULL" for column in ["t", *keys])
    names = _files(out, "names.parquet")
    listed = ", ".join(keys) or "'' AS nothing"
    root.execute(
        f"CREATE TABLE names AS SELECT *, (row_number() OVER ())::INTEGER AS name_no "
        f"FROM (SELECT DISTINCT {listed} FROM raw WHERE {usable} ORDER BY ALL)"
    )
    root.execute(f"COPY names TO {names}")
    # Numbers sort twice as fast as names.
    same = " AND ".join(f"r.{k} = n.{k}" for k in keys) or "true"
    columns = ", ".join(f"v{i}, q{i}" for i in range(len(values)))
    root.execute(
        f"COPY (SELECT row_no, name_no, t, {columns} FROM {numbered} r JOIN names n ON {same} "
        f"WHERE t IS NOT NULL ORDER BY name_no, t, row_no) "
        f"TO {_files(out, 'rows.parquet')} (COMPRESSION lz4)"
    )
    root.execute(f"COPY rejects TO {_files(out, 'rejects.parquet')}")
    return {
        "reader": reader["name"],
        "rows": total + len(malformed),
        "rejected_rows": _one(root, "SELECT count(DISTINCT row_no) FROM rejects")[0],
        "parameters": [v["parameter"] for v in values],
        "keys": len(keys),
    }


def _typed(source: str, reader: dict[str, Any]) -> str:
    """The query from text to k{i}, t, v{i}, q{i}, and fault: null where nothing is wrong, else
    the time's text and for each value its text, why it is rejected, and whether the row carries it.

    Each text is cast once. What is as it should be (p{i}) is told by one comparison; only the rest
    is looked at more closely.
    """
    time, values = reader["time"], reader["values"]
    stamp = _name(time["column"])
    cast = (
        f"try_strptime({stamp}, {_text(time['format'])})"
        if time["format"]
        else f"try_cast({stamp} AS TIMESTAMP)"
    )
    typed = [f"{stamp} AS t_text", f"{cast} AS t_local"]
    meant = ["t_text", f"{_instant(time)} AS t"]
    told, judged, keys = ["t_text", "t"], ["t_text", "t"], []
    for i, (_, column, constant) in enumerate(reader["key"]):
        typed.append(f"{_name(column) if column else _text(constant)} AS k{i}")
        # Blank is no key; spaces around a name are taken off where streams are looked up.
        meant.append(f"CASE WHEN k{i} = '' THEN NULL ELSE k{i} END AS k{i}")
        keys.append(f"k{i}")
    if reader["quality_column"]:
        cases = " ".join(f"WHEN {_text(w)} THEN {code:d}" for w, code in reader["quality_words"])
        typed.append(f"CASE {_name(reader['quality_column'])} {cases} END AS word")
    else:
        typed.append("0 AS word")
    for i, value in enumerate(values):
        column = _name(value["column"])
        typed += [f"{column} AS x{i}", f"try_cast({column} AS DOUBLE) AS n{i}"]
        where = " AND ".join(f"trim({_name(c)}) = {_text(word)}" for c, word in value["where"])
        typed.append(f"coalesce({where}, false) AS w{i}" if where else f"true AS w{i}")
        meant += [f"x{i}", f"n{i}", f"w{i}", f"{_plain(i, value)} AS p{i}"]
        told += [f"x{i}", f"p{i}", f"w{i}", *_value(i, value)]
        judged += [f"x{i}", f"w{i}", f"v{i}", f"q{i}", f"b{i}"]
    meant.append("word")
    good = " AND ".join(["t IS NOT NULL", *(f"{k} IS NOT NULL" for k in keys)])
    carried = " OR ".join(f"w{i}" for i in range(len(values)))
    wrong = " OR ".join(f"b{i} IS NOT NULL" for i in range(len(values)))
    plain = " AND ".join([f"p{i}" for i in range(len(values))] + [good])
    bad = f"CASE WHEN {plain} THEN false ELSE NOT ({good}) OR NOT ({carried}) OR {wrong} END"
    fault = ["t_text"]
    for i in range(len(values)):
        fault += [f"left(x{i}, {MOST_SHOWN})", f"b{i}", f"CASE WHEN w{i} THEN 'carried' END"]
    kept = [c for i in range(len(values)) for c in (f"v{i}", f"q{i}")]
    steps = [typed, meant, [*told, *keys], [*judged, *keys, f"{bad} AS bad"]]
    query = source
    for step in steps:
        query = f"(SELECT {', '.join(step)} FROM {query})"
    return (
        f"SELECT {', '.join(['t', *keys, *kept])}, "
        f"CASE WHEN bad THEN [{', '.join(fault)}] END AS fault FROM {query}"
    )


def _plain(i: int, value: dict[str, Any]) -> str:
    """SQL: value i is a number within its bounds that stands for nothing else."""
    low, high = value["low"], value["high"]
    most = 1.7976931348623157e308
    return (
        f"(w{i} AND word = 0 AND {_number(i, value)} BETWEEN "
        f"{-most if low is None else low!r}::DOUBLE AND {most if high is None else high!r}::DOUBLE"
        + "".join(f" AND n{i} <> {m}::DOUBLE" for m in _markers(value)[0])
        + ")"
    )


def _markers(value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What stands for a missing value: numbers, and words, as SQL."""
    numbers, words = [], []
    for marker in value["missing"]:
        try:
            numbers.append(repr(float(marker)))
        except ValueError:
            words.append(_text(marker))
    return numbers, words


def _number(i: int, value: dict[str, Any]) -> str:
    if value["factor"] == 1.0 and value["offset"] == 0.0:
        return f"n{i}"
    return f"(n{i} * {value['factor']!r} + {value['offset']!r})"


def _instant(time: dict[str, Any]) -> str:
    """SQL for the instant in UTC, null where the text is no time of the declared form."""
    local = _to_utc("t_local", time["zone"])
    if time["format"]:
        return local
    # A text longer than date and second may carry an offset; the cast to an instant reads both.
    offset = "(right(t_text, 1) IN ('Z', 'z') OR regexp_matches(substr(t_text, 17), '[+-]'))"
    return (
        f"CASE WHEN strlen(t_text) <= 19 THEN {local} "
        f"WHEN {offset} THEN timezone('UTC', try_cast(t_text AS TIMESTAMPTZ)) ELSE {local} END"
    )


def _to_utc(local: str, zone: str) -> str:
    general = f"timezone('UTC', timezone({_text(zone)}, {local}))"
    if zone != VIETNAM:
        return general
    # Viet Nam has kept UTC+7 since 1975; the subtraction is ten times as fast as the zone table.
    return (
        f"CASE WHEN {local} < TIMESTAMP '1976-01-01' THEN {general} "
        f"ELSE {local} - INTERVAL 7 HOUR END"
    )


def _value(i: int, value: dict[str, Any]) -> list[str]:
    """SQL for value i: v, q, and b (why it is rejected), each with the short way first."""
    numbers, words = _markers(value)
    said = f"n{i} IN ({', '.join(numbers)})" if numbers else "false"
    blank = f"trim(x{i}) IN ({', '.join(words)})" if words else "false"
    missing = f"CASE WHEN x{i} IS NULL THEN true WHEN n{i} IS NULL THEN {blank} ELSE {said} END"
    number = _number(i, value)
    low, high = value["low"], value["high"]
    outside = " OR ".join(
        [f"{number} < {low!r}"] * (low is not None) + [f"{number} > {high!r}"] * (high is not None)
    ) or "false"  # fmt: skip
    usable = f"n{i} IS NOT NULL AND isfinite(n{i})"
    return [
        f"CASE WHEN p{i} THEN {number} WHEN NOT w{i} OR word IS NULL OR ({missing}) THEN NULL "
        f"WHEN {usable} THEN {number} END AS v{i}",
        f"(CASE WHEN p{i} THEN 0 WHEN NOT w{i} OR word IS NULL THEN NULL "
        f"WHEN {missing} THEN {MISSING} WHEN NOT ({usable}) THEN NULL "
        f"WHEN word = 0 AND ({outside}) THEN {SUSPECT} ELSE word END)::UTINYINT AS q{i}",
        f"CASE WHEN p{i} OR NOT w{i} THEN NULL WHEN word IS NULL THEN 'lake.bad_quality' "
        f"WHEN NOT ({usable}) AND NOT ({missing}) THEN 'lake.bad_number' END AS b{i}",
    ]


def _collect(root: duckdb.DuckDBPyConnection, numbered: str, reader: dict[str, Any]) -> None:
    """List what is wrong, value by value."""
    time, values = reader["time"]["column"], reader["values"]
    parts = [
        f"SELECT row_no, {_text(time)}, left(fault[1], {MOST_SHOWN}), "
        "CASE WHEN trim(coalesce(fault[1], '')) = '' THEN 'lake.time_missing' "
        f"ELSE 'lake.bad_time' END, {_text(reader['time']['format'] or 'ISO 8601')} "
        "FROM n WHERE t IS NULL"
    ]
    for i, (name, column, _) in enumerate(reader["key"]):
        parts.append(
            f"SELECT row_no, {_text(column or name)}, NULL, 'lake.key_missing', NULL "
            f"FROM n WHERE k{i} IS NULL"
        )
    for i, value in enumerate(values):
        text, why = f"fault[{3 * i + 2}]", f"fault[{3 * i + 3}]"
        parts.append(
            f"SELECT row_no, CASE {why} WHEN 'lake.bad_quality' "
            f"THEN {_text(reader['quality_column'] or '')} ELSE {_text(value['column'])} END, "
            f"{text}, {why}, NULL FROM n WHERE {why} IS NOT NULL"
        )
    carries_nothing = " AND ".join(f"fault[{3 * i + 4}] IS NULL" for i in range(len(values)))
    where_columns = sorted({c for v in values for c, _ in v["where"]})
    parts.append(
        f"SELECT row_no, {_text(', '.join(where_columns))}, NULL, 'lake.row_of_nothing', NULL "
        f"FROM n WHERE {carries_nothing}"
    )
    root.execute(
        f"INSERT INTO rejects WITH n AS (SELECT * FROM {numbered} WHERE fault IS NOT NULL) "
        + " UNION ALL ".join(parts)
    )


def _malformed(root: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Lines that are no row of this table at all: (row number, text, what is wrong)."""
    found = root.execute(
        f"""SELECT line, min(left(csv_line, {MOST_SHOWN})), min(error_type::VARCHAR)
           FROM reject_errors GROUP BY line ORDER BY line LIMIT ?""",
        [MOST_MALFORMED + 1],
    ).fetchall()
    if len(found) > MOST_MALFORMED:
        raise duckdb.InvalidInputException("more than 50 000 lines do not fit the header")
    return [(line - 1, text, kind) for line, text, kind in found]


def _numbered(root: duckdb.DuckDBPyConnection, malformed: list[tuple[int, str, str]]) -> str:
    """The rows with their number in the file: malformed rows before them count too."""
    if not malformed:
        return "(SELECT *, (rowid + 1)::INTEGER AS row_no FROM raw)"
    root.execute("CREATE TABLE offsets (after INTEGER, extra INTEGER)")
    root.executemany(
        "INSERT INTO offsets VALUES (?, ?)",
        [[row_no - i, i + 1] for i, (row_no, _, _) in enumerate(malformed)],
    )
    root.executemany(
        "INSERT INTO rejects VALUES (?, '', ?, 'lake.bad_line', ?)",
        [[row_no, text, kind] for row_no, text, kind in malformed],
    )
    return (
        "(SELECT r.*, (r.rowid + 1 + coalesce(o.extra, 0))::INTEGER AS row_no "
        "FROM raw r ASOF LEFT JOIN offsets o ON o.after <= r.rowid + 1)"
    )


def _one(root: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = root.execute(query).fetchone()
    assert row is not None
    return row


def _files(out: Path, name: str) -> str:
    return _text(str(out / name))


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"
