"""Text tables: CSV with any delimiter, lines above the header, in any encoding we know.

UTF-8 with its header in the first line goes to DuckDB as it stands. Anything else is first written
anew as that, line by line: what is malformed stays malformed, and its line is set aside there.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dothi.lake.reading import header, quotes
from dothi.lake.reading.encodings import Written, written
from dothi.lake.reading.limits import MIB, MOST_CELL, MOST_HEADER
from dothi.lake.reading.refused import Refused
from dothi.lake.reading.relation import read_csv
from dothi.lake.reading.result import Table

DELIMITERS = ",;\t|"
_BLANK = " \t\r\n,;|\"'"


def open_delimited(path: Path, how: Mapping[str, Any], work: Path) -> Table:
    """The file as a table. Raises Refused."""
    text = written(path, dict(how))
    if text.sample.lstrip("\ufeff \t\r\n").startswith("<"):
        raise Refused("lake.file_not_csv")
    first = text.sample.split("\n", 1)[0]
    if len(first.encode("utf-8")) >= MOST_HEADER and path.stat().st_size > len(first):
        raise Refused("lake.file_header_long")
    quote = str(how.get("quote") or '"')
    delimiter = str(how.get("delimiter") or _delimiter(text.sample, quote))
    if len(delimiter) != 1 or len(quote) != 1:
        raise Refused("reading.bad_delimiter", name=delimiter[:20])
    if not text.encoding.startswith("utf-16"):
        quotes.check(path, delimiter, quote)
    rows, ends = _rows(text.sample, delimiter, quote)
    if not rows:
        raise Refused("lake.file_empty")
    at, again = _header_at(rows, how)
    columns, twice = header.names(
        rows[at] if at >= 0 else [f"column_{i}" for i in range(1, max(map(len, rows)) + 1)],
        number=how.get("twice") == "number",
    )
    notes: dict[str, Any] = {
        "format": "csv",
        "encoding": text.encoding,
        "delimiter": delimiter,
        "header_row": at + 1,
    }
    if quote != '"':
        notes["quote"] = quote
    if text.font:
        notes["font"] = text.font
    if again:
        notes["header_repeated"] = True
    if twice:
        notes["twice"] = twice
    if text.damaged:
        notes["damaged"] = text.damaged
    above = [" ".join(filter(None, map(str.strip, row))) for row in rows[: max(at - again, 0)]]
    if any(above):
        notes["above"] = [line[:300] for line in above if line][:10]
    if not (text.plain and at == 0 and ends[0] == 1):
        after = ends[at] if at >= 0 else 0
        path, skipped = _anew(path, text, work, after, columns, delimiter, quote, how)
        if skipped:
            notes["blank_rows"] = skipped
    return Table(read_csv(path, columns, delimiter, quote), columns, None, notes)


def _delimiter(sample: str, quote: str) -> str:
    """The delimiter that cuts most lines into the same number of cells."""

    def fit(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in _rows(sample, delimiter, quote)[0] if header.filled(row)]
        several = Counter(width for width in widths if width > 1)
        if not several:
            return 0.0, 0
        width, count = several.most_common(1)[0]
        return round(count / len(widths), 2), width

    return max(DELIMITERS, key=fit)


def _rows(sample: str, delimiter: str, quote: str) -> tuple[list[list[str]], list[int]]:
    """The first rows, and for each the number of lines up to its end."""
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(io.StringIO(sample), delimiter=delimiter, quotechar=quote)
    rows: list[list[str]] = []
    ends: list[int] = []
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
            if len(rows) >= header.LOOK_THROUGH:
                break
    except csv.Error:
        if not rows:
            raise Refused("reading.cell_too_long", most=MOST_CELL) from None
    return rows, ends


def _header_at(rows: list[list[str]], how: Mapping[str, Any]) -> tuple[int, bool]:
    """The index of the header row, -1 for none."""
    given = how.get("header_row")
    if given is None:
        return header.find(rows)
    if not 0 <= int(given) <= len(rows):
        raise Refused("reading.no_header_row", row=int(given))
    return int(given) - 1, False


def _anew(
    path: Path, text: Written, work: Path, after: int, columns: tuple[str, ...],
    delimiter: str, quote: str, how: Mapping[str, Any],
) -> tuple[Path, int]:  # fmt: skip
    """Write the table as UTF-8 with its header in the first line; lines up to `after` are left
    out. Returns the path and how many blank rows were left out."""
    target = work / "table.csv"
    skip_blank = bool(how.get("skip_blank", True))
    skipped = 0
    inside = False
    with path.open("rb") as raw, target.open("w", encoding="utf-8", newline="") as out:
        raw.seek(text.skip)
        # A quoted line end stays what it is; a lone carriage return ends a line only where no
        # other line ends are.
        lone = "\r" in text.sample and "\n" not in text.sample
        decoder = io.TextIOWrapper(
            raw, encoding=text.encoding, errors="replace", newline="\r" if lone else "\n"
        )
        csv.writer(out, delimiter=delimiter, quotechar=quote, lineterminator="\n").writerow(columns)
        line_no = 0
        while line := decoder.readline(16 * MIB):
            line_no += 1
            if line_no <= after:
                continue
            if len(line) >= 16 * MIB:
                raise Refused("reading.cell_too_long", most=MOST_CELL)
            if skip_blank and not inside and not line.strip(_BLANK):
                skipped += 1
                continue
            if line.count(quote) % 2:
                inside = not inside
            if "\x00" in line:
                raise Refused("reading.zero_bytes")
            line = text.convert(line)
            # One kind of line end throughout: DuckDB gives up where they are mixed.
            out.write(line.replace("\r", "\n") if lone else line.replace("\r\n", "\n"))
        decoder.detach()
    return target, skipped
