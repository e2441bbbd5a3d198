"""Runs inside the jail: a CSV file of unknown intent becomes typed Parquet, faults listed.

`main(args, inputs, out)` picks the first of the given readers whose columns the file has, and
writes below `out`:

* `rows.parquet`: row_no, the key columns k0…, t (instant without zone, UTC), and for each value
  i of the reader v{i} and q{i} (null where the row does not carry that value);
* `rejects.parquet`: row_no, column_name, value, reason, limit_.

Rows are numbered from 1 as in the file, the header not counted. What is wrong with one value keeps
only that value out; what is wrong with time or key keeps the row out.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb

from dothi.lake.body import engine

MISSING, SUSPECT = 3, 1
MOST_MALFORMED = 50_000
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
        root.execute("SET preserve_insertion_order = true; SET temp_directory = ''")
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
    keys, values = reader["key"], reader["values"]
    typed, final = _columns(reader)
    usable = " AND ".join(["t IS NOT NULL", *(f"k{i} IS NOT NULL" for i in range(len(keys)))])
    carried = " OR ".join(f"w{i}" for i in range(len(values)))
    wrong = " OR ".join(f"b{i} IS NOT NULL" for i in range(len(values)))
    bad = f"NOT ({usable}) OR NOT ({carried}) OR {wrong}"
    texts = ", ".join(
        ["CASE WHEN bad THEN t_text END AS t_text"]
        + [f"CASE WHEN bad THEN left(x{i}, 200) END AS r{i}" for i in range(len(values))]
    )
    dropped = ", ".join(["t_text", *(f"x{i}" for i in range(len(values)))])
    # One pass over the text: typed rows to Parquet, in their order, with what is bad marked.
    every_file = out / "all.parquet"
    root.execute(
        f"COPY (SELECT * EXCLUDE ({dropped}), {texts} FROM (SELECT *, {bad} AS bad FROM ("
        f"SELECT {final} FROM (SELECT {typed} FROM {source})))) "
        f"TO {_text(str(every_file))} (COMPRESSION lz4)"
    )
    every = f"read_parquet({_text(str(every_file))}, file_row_number = true)"
    total, faulty = _one(root, f"SELECT count(*), count(*) FILTER (WHERE bad) FROM {every}")
    malformed = _malformed(root)
    root.execute(
        "CREATE TABLE rejects (row_no INTEGER, column_name VARCHAR, value VARCHAR, "
        "reason VARCHAR, limit_ VARCHAR)"
    )
    number = _renumber(root, malformed)
    offsets = "ASOF LEFT JOIN offsets o ON o.after <= r.file_row_number + 1" if malformed else ""
    numbered = f"(SELECT *, ({number})::INTEGER AS row_no FROM {every} r {offsets})"
    if faulty:
        _collect(root, numbered, reader)
    if faulty or malformed:
        columns = ["row_no", *(f"k{i}" for i in range(len(keys))), "t"]
        columns += [c for i in range(len(values)) for c in (f"v{i}", f"q{i}")]
        root.execute(
            f"COPY (SELECT {', '.join(columns)} FROM {numbered} WHERE {usable}) "
            f"TO {_text(str(out / 'rows.parquet'))} (COMPRESSION lz4)"
        )
        every_file.unlink()
    else:
        every_file.rename(out / "rows.parquet")
    root.execute(f"COPY rejects TO {_text(str(out / 'rejects.parquet'))}")
    return {
        "reader": reader["name"],
        "rows": total + len(malformed),
        "rejected_rows": _one(root, "SELECT count(DISTINCT row_no) FROM rejects")[0],
        "numbered": bool(faulty or malformed),
        "parameters": [v["parameter"] for v in values],
        "keys": len(keys),
    }


def _columns(reader: dict[str, Any]) -> tuple[str, str]:
    """SQL of the two steps: texts with their casts, then what they mean.

    Each text is cast once, and only what does not cast is looked at more closely.
    """
    time = reader["time"]
    stamp = _name(time["column"])
    cast = (
        f"try_strptime({stamp}, {_text(time['format'])})"
        if time["format"]
        else f"try_cast({stamp} AS TIMESTAMP)"
    )
    typed = [f"{stamp} AS t_text", f"{cast} AS t_local"]
    final = ["t_text", f"{_instant(time)} AS t"]
    for i, (_, column, constant) in enumerate(reader["key"]):
        typed.append(f"{_name(column) if column else _text(constant)} AS k{i}")
        # Blank is no key; spaces around a name are taken off where streams are looked up.
        final.append(f"CASE WHEN k{i} = '' THEN NULL ELSE k{i} END AS k{i}")
    if reader["quality_column"]:
        cases = " ".join(f"WHEN {_text(w)} THEN {code:d}" for w, code in reader["quality_words"])
        typed.append(f"CASE {_name(reader['quality_column'])} {cases} END AS word")
    else:
        typed.append("0 AS word")
    for i, value in enumerate(reader["values"]):
        column = _name(value["column"])
        typed += [f"{column} AS x{i}", f"try_cast({column} AS DOUBLE) AS n{i}"]
        where = " AND ".join(f"trim({_name(c)}) = {_text(word)}" for c, word in value["where"])
        typed.append(f"coalesce({where}, false) AS w{i}" if where else f"true AS w{i}")
        final += _value(i, value)
    return ", ".join(typed), ", ".join(final)


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
    """SQL for value i: w (the row carries it), its text x, v, q, and b (why it is rejected)."""
    numbers, words = [], []
    for marker in value["missing"]:
        try:
            numbers.append(repr(float(marker)))
        except ValueError:
            words.append(_text(marker))
    said = f"n{i} IN ({', '.join(numbers)})" if numbers else "false"
    blank = f"trim(x{i}) IN ({', '.join(words)})" if words else "false"
    missing = f"CASE WHEN x{i} IS NULL THEN true WHEN n{i} IS NULL THEN {blank} ELSE {said} END"
    number = f"n{i}"
    if value["factor"] != 1.0 or value["offset"] != 0.0:
        number = f"(n{i} * {value['factor']!r} + {value['offset']!r})"
    low, high = value["low"], value["high"]
    outside = " OR ".join(
        [f"{number} < {low!r}"] * (low is not None) + [f"{number} > {high!r}"] * (high is not None)
    ) or "false"  # fmt: skip
    usable = f"n{i} IS NOT NULL AND isfinite(n{i})"
    return [
        f"w{i}",
        f"x{i}",
        f"CASE WHEN NOT w{i} OR word IS NULL OR ({missing}) THEN NULL "
        f"WHEN {usable} THEN {number} END AS v{i}",
        f"(CASE WHEN NOT w{i} OR word IS NULL THEN NULL WHEN {missing} THEN {MISSING} "
        f"WHEN NOT ({usable}) THEN NULL WHEN word = 0 AND ({outside}) THEN {SUSPECT} "
        f"ELSE word END)::UTINYINT AS q{i}",
        f"CASE WHEN NOT w{i} THEN NULL WHEN word IS NULL THEN 'lake.bad_quality' "
        f"WHEN NOT ({usable}) AND NOT ({missing}) THEN 'lake.bad_number' END AS b{i}",
    ]


def _collect(root: duckdb.DuckDBPyConnection, numbered: str, reader: dict[str, Any]) -> None:
    """List what is wrong, value by value."""
    time = reader["time"]["column"]
    parts = [
        f"SELECT row_no, {_text(time)}, left(t_text, 200), "
        "CASE WHEN t_text IS NULL OR trim(t_text) = '' THEN 'lake.time_missing' "
        f"ELSE 'lake.bad_time' END, {_text(reader['time']['format'] or 'ISO 8601')} "
        "FROM n WHERE t IS NULL"
    ]
    for i, (name, column, _) in enumerate(reader["key"]):
        parts.append(
            f"SELECT row_no, {_text(column or name)}, NULL, 'lake.key_missing', NULL "
            f"FROM n WHERE k{i} IS NULL"
        )
    for i, value in enumerate(reader["values"]):
        parts.append(
            f"SELECT row_no, CASE b{i} WHEN 'lake.bad_quality' "
            f"THEN {_text(reader['quality_column'] or '')} ELSE {_text(value['column'])} END, "
            f"r{i}, b{i}, NULL FROM n WHERE b{i} IS NOT NULL"
        )
    carried = " AND ".join(f"NOT w{i}" for i in range(len(reader["values"])))
    where_columns = sorted({c for v in reader["values"] for c, _ in v["where"]})
    parts.append(
        f"SELECT row_no, {_text(', '.join(where_columns))}, NULL, 'lake.row_of_nothing', NULL "
        f"FROM n WHERE {carried}"
    )
    root.execute(
        f"INSERT INTO rejects WITH n AS (SELECT * FROM {numbered} WHERE bad) "
        + " UNION ALL ".join(parts)
    )


def _malformed(root: duckdb.DuckDBPyConnection) -> list[tuple[int, str, str]]:
    """Lines that are no row of this table at all: (row number, text, what is wrong)."""
    found = root.execute(
        """SELECT line, min(left(csv_line, 200)), min(error_type::VARCHAR)
           FROM reject_errors GROUP BY line ORDER BY line LIMIT ?""",
        [MOST_MALFORMED + 1],
    ).fetchall()
    if len(found) > MOST_MALFORMED:
        raise duckdb.InvalidInputException("more than 50 000 lines do not fit the header")
    return [(line - 1, text, kind) for line, text, kind in found]


def _renumber(root: duckdb.DuckDBPyConnection, malformed: list[tuple[int, str, str]]) -> str:
    """SQL for a parsed row's number in the file: malformed rows before it count too."""
    if not malformed:
        return "file_row_number + 1"
    root.execute("CREATE TABLE offsets (after INTEGER, extra INTEGER)")
    root.executemany(
        "INSERT INTO offsets VALUES (?, ?)",
        [[row_no - i, i + 1] for i, (row_no, _, _) in enumerate(malformed)],
    )
    root.executemany(
        "INSERT INTO rejects VALUES (?, '', ?, 'lake.bad_line', ?)",
        [[row_no, text, kind] for row_no, text, kind in malformed],
    )
    return "file_row_number + 1 + coalesce(o.extra, 0)"


def _one(root: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = root.execute(query).fetchone()
    assert row is not None
    return row


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"
