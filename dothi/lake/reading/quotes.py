"""A quote that is opened and never closed: every parser reads on from it to the end of the file."""

from __future__ import annotations

from pathlib import Path

from dothi.lake.reading.limits import MIB, MOST_CELL
from dothi.lake.reading.refused import Refused


def check(path: Path, delimiter: str, quote: str = '"') -> None:
    """Refuse a file with such a quote. Its text is in an encoding that keeps ASCII.

    Only files whose quotes do not pair are looked at line by line.
    """
    if not quote.isascii() or not delimiter.isascii():
        return
    mark, before = quote.encode(), delimiter.encode()
    with path.open("rb") as file:
        # Most files have none, and looking for the first is thrice as fast as counting.
        part, count = bytearray(MIB // 4), 0
        while size := file.readinto(part):
            if part.find(mark, 0, size) >= 0:
                count += part.count(mark, 0, size)
        if count % 2 == 0:
            return
        file.seek(0)
        opened = size = 0
        for number, line in enumerate(iter(lambda: file.readline(MIB), b""), 1):
            if opened:
                size += len(line)
                if size > MOST_CELL:
                    raise Refused("reading.open_quote", line=opened)
            if line.count(mark) % 2:
                if opened:
                    opened = size = 0
                elif _opens(line, mark, before):
                    opened = number


def _opens(line: bytes, mark: bytes, before: bytes) -> bool:
    """Whether the last quote of the line stands where a cell begins."""
    start = line[: line.rindex(mark)].strip(b" \xef\xbb\xbf")
    return not start or start.endswith(before)
