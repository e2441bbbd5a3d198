"""Which columns tell the rows of a table apart, in this file and in the next of its form.

What is different in each row of one file need not be in the next month's: a running number begins
again at 1, and a column may never repeat by chance. So one column alone is taken only where it looks
like an identifier, and otherwise a date with what it is about; else a person has to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from dothi.lake.reading.guess import Guess, slug

Texts = Sequence[str | None]

_LOOKED_AT = 5_000
_MOST_TRIED = 12
_MOST_WORDS = 60
"""Characters: a text that is longer tells a story, it names nothing."""
_TIMES = ("time", "year", "month", "day")
_RUNNING = re.compile(r"stt|tt|so_tt|so_thu_tu|thu_tu|row_no|row_number")
_OFTEN_RUNNING = re.compile(r"no|nr|num|row|index")
"""Headers, as slugs, of running numbers; of the second only where they count ("NO" is a gas too)."""
_CODE_NAME = re.compile(
    r"(^|_)(id|iot_id|uuid|guid|code|key|identifier|imei|serial|ma|ma_so|so_hieu|so_ho_so|so_van_ban|"
    r"so_giay|so_gcn|so_quyet_dinh|so_phieu|so_hop_dong|bien_so|cccd|mst)($|_)"
)
_CODE_ENDS = re.compile(r"[a-z](ID|Id)$|(?i:^(?:\w+)(?:code|uuid))$")
_PLACE_NAME = re.compile(
    r"(^|_)(ten|name|tram|station|xa|phuong|thi_tran|dac_khu|huyen|quan|tinh|thanh_pho|thon|commune|ward|"
    r"district|province|city|dia_ban|dia_diem|diem|khu_vuc|don_vi|co_quan|agency|place|location|site|"
    r"region|vung|loai|type|nhom|chi_tieu|parameter|item|sensor|host|ip)($|_)"
)
_UUID = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_CODE = re.compile(r"[A-Za-zĐđ]{1,12}[-_./]?\d[A-Za-zĐđ0-9_./-]{0,40}")


@dataclass(frozen=True)
class Key:
    """The columns proposed as key, and on what ground.

    `ground`: "identifier" (one column of codes), "together" (columns that name things, with a date
    where there is one), "choose" (nothing of that kind tells the rows apart: all columns are taken
    meanwhile, so that no row replaces another, and a person has to choose) or "none" (even all
    columns together give some rows again). `alone`: columns without repetition in this file that
    do not look like identifiers; `running`: those of running numbers.
    """

    columns: list[str]
    ground: str
    alone: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in ("columns", "ground", "alone", "running")}


def telling(guesses: Sequence[Guess], values: Sequence[Texts]) -> Key:
    """The key of records: columns that are never blank and no running numbers."""
    pairs = list(zip(guesses, values, strict=True))
    running = [f.name for f, texts in pairs if counts_rows(f, texts)]
    full = [
        (f, texts)
        for f, texts in pairs
        if f.name not in running and not f.blank and not f.missing and f.kind != "geometry"
    ]
    single = [f for f, _ in full if f.unique and f.kind in ("integer", "text")]
    codes = [f.name for f, texts in full if f in single and _is_code(f, texts)]
    if codes:
        # "id" before "parent_id": the shortest name is the row's own.
        return Key([min(codes, key=lambda name: len(slug(name)))], "identifier", running=running)
    alone = [f.name for f in single if f.kind == "text"][:5]
    if chosen := _together(full):
        return Key(chosen, "together", alone, running)
    kinds = ("integer", "text", *_TIMES)
    every = [(f, texts) for f, texts in full if f.kind in kinds] or full
    if len(every) > 1 and not repeated([texts for _, texts in every]):
        return Key([f.name for f, _ in every], "choose", alone, running)
    if full and not repeated([texts for _, texts in full]):
        return Key([f.name for f, _ in full], "choose", alone, running)
    return Key([f.name for f, _ in full] or [guesses[0].name], "none", alone, running)


def is_numbering(found: Guess, texts: Texts) -> bool:
    """Whether a column by its header only numbers the rows (STT, TT, No., #): it says nothing of
    them."""
    plain = slug(found.name)
    filled = [t.strip() for t in texts if t and t.strip()]
    if _RUNNING.fullmatch(plain) or found.name.strip() in ("#", "№"):
        return not filled or not all(map(_CODE.fullmatch, filled))
    return bool(_OFTEN_RUNNING.fullmatch(plain)) and _counting(filled)


def counts_rows(found: Guess, texts: Texts) -> bool:
    """Whether a column numbers the rows: by its header, or because it counts from 1 (or 0) on in the
    order of the file."""
    if is_numbering(found, texts):
        return True
    filled = [t.strip() for t in texts if t and t.strip()]
    if _names_code(found.name) and any(t.startswith("0") and len(t) > 1 for t in filled):
        return False  # "01" under "Mã" is a code
    return found.kind in ("integer", "text") and len(filled) == len(texts) and _counting(filled)


def _counting(filled: Sequence[str]) -> bool:
    """Whether the texts are 1, 2, 3 … or 0, 1, 2 …"""
    if len(filled) < 2 or not all(t.isascii() and t.isdigit() for t in filled):
        return False
    first = int(filled[0])
    return first in (0, 1) and all(int(t) == n for n, t in enumerate(filled, first))


def repeated(columns: Sequence[Texts]) -> int:
    """How many rows give what a row before them gave in these columns."""
    if not columns:
        return 0
    return len(columns[0]) - len(set(zip(*columns, strict=True)))


def _is_code(found: Guess, texts: Texts) -> bool:
    """Whether a column without repetition holds identifiers of its rows, by its name or its values.

    What lies inside an object of its own ("signature.id") is that object's.
    """
    if "." in found.name and not found.name.startswith("@"):
        return False
    if _names_code(found.name):
        return max(map(len, filter(None, texts)), default=0) <= _MOST_WORDS
    filled = [t.strip() for t in texts if t]
    return found.kind == "text" and all(_UUID.fullmatch(t) or _CODE.fullmatch(t) for t in filled)


def _names_code(name: str) -> bool:
    return bool(_CODE_NAME.search(slug(name)) or _CODE_ENDS.search(name))


def _together(full: Sequence[tuple[Guess, Texts]]) -> list[str]:
    """The fewest naming columns that tell all rows apart: with the date where there is one, else at
    least one of codes; [] where none do."""
    times = [(f, texts) for f, texts in full if f.kind in _TIMES]
    whole = [(f, texts) for f, texts in times if f.kind == "time"]
    naming = [(f, texts) for f, texts in full if f.kind in ("text", "integer") and _names(f, texts)]
    naming.sort(key=lambda pair: _rank(pair[0]))
    naming = naming[:_MOST_TRIED]
    stems = [[pair] for pair in whole[:3]] or ([times] if times else [[]])
    for count in (1, 2, 3):
        for stem in stems:
            for chosen in combinations(naming, count):
                if not stem and (count == 1 or not any(_names_code(f.name) for f, _ in chosen)):
                    continue
                columns = [texts for _, texts in (*stem, *chosen)]
                if not repeated([c[:_LOOKED_AT] for c in columns]) and not repeated(columns):
                    return [f.name for f, _ in (*stem, *chosen)]
    return []


def _names(found: Guess, texts: Texts) -> bool:
    """Whether a column can name what a row is about."""
    if found.kind == "integer":
        return _names_code(found.name) or bool(re.search(r"(?i)sequence|hour|giờ", found.name))
    return max((len(t) for t in texts[:_LOOKED_AT] if t), default=0) <= _MOST_WORDS


def _rank(found: Guess) -> tuple[int, int]:
    plain = slug(found.name)
    order = 0 if _PLACE_NAME.search(plain) else 1 if _names_code(found.name) else 2
    return order, found.kind == "integer"
