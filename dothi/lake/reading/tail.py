"""The end of a table that people print: its total, and who signs below it."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_ROWS = 12
"""From the end; what stands further up belongs to the table."""
TOTAL = r"(?:tổng|tổng cộng|tổng số|cộng|total)[ .:]*"
SIGNED = (
    r"(?:người lập|lập biểu|kế toán|thủ trưởng|giám đốc|chủ tịch|phó chủ tịch|trưởng phòng|"
    r"nơi nhận|\(ký|ghi chú *:|nguồn *:|ngày[ .…\d]+tháng).*"
)
_PATTERNS = {pattern: re.compile(pattern, re.IGNORECASE) for pattern in (TOTAL, SIGNED)}


def tail(
    columns: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> tuple[dict[str, str], list[int]]:
    """The patterns of the cells, by column, that say that a row at the end is none of the data, and
    the places of those rows."""
    found: dict[str, set[str]] = {}
    places = []
    for place in range(len(rows) - 1, max(-1, len(rows) - 1 - MOST_ROWS), -1):
        for name, cell in zip(columns, rows[place], strict=True):
            text = (cell or "").strip()
            said = [p for p, pattern in _PATTERNS.items() if text and pattern.fullmatch(text)]
            if said:
                found.setdefault(name, set()).update(said)
                places.append(place)
                break
    return {name: f"(?i)(?:{'|'.join(sorted(said))})" for name, said in found.items()}, sorted(
        places
    )
