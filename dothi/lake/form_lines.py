"""The `lines` of a form: a return that is a table, one line for each code of one more key column.

Lines are fixed by a list, and then all of them are asked for, or added by who types: chosen from the
list, or named freely where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dothi.lake.columns import NAME, Column
from dothi.lake.document import Place, Reading

MOST_LINES = 500
"""A return has no more lines than that."""
MOST_KEY = 200
"""Letters of a line's key."""
USUAL_MOST = 100
_KNOWN = {"column", "title", "list", "units", "things", "added", "least", "most", "total"}
_LISTS = ("list", "units", "things")
_NUMBERS = ("number", "integer")


@dataclass(frozen=True)
class Lines:
    """Which lines a return has. `column`: the key column that tells them apart, `title` what it is
    called.

    Their codes come from `names` (the contract's own list with titles), `units` (codes of
    administrative units, `*` at the end stands for any ending) or `things` (a dataset of the same
    owner: its things that belong to who reports); from none of them: typed freely. `added`: who types
    adds them, between `least` and `most`; else each of the list is asked for. `totals`: columns whose
    sum over the lines is shown.
    """

    column: str
    title: dict[str, str]
    names: tuple[tuple[str, dict[str, str]], ...] = ()
    units: tuple[str, ...] = ()
    things: str | None = None
    added: bool = False
    least: int = 0
    most: int = MOST_LINES
    totals: tuple[str, ...] = ()

    @property
    def listed(self) -> bool:
        """Whether a line's key is chosen from a list."""
        return bool(self.names or self.units or self.things)

    def names_unit(self, code: str) -> bool:
        """Whether the unit of this code is a line."""
        return any(fnmatchcase(code, pattern) for pattern in self.units)


def read_lines(
    reading: Reading, value: Any, key: tuple[Column, ...], taken: set[str], asked: Mapping[str, str]
) -> Lines:
    """A form's `lines`, faults noted. `taken`: key columns of who reports and of the period;
    `asked`: the types of the columns that are filled in."""
    place: Place = ("form", "lines")
    doc = reading.mapping(value, place, known=_KNOWN)
    columns = {column.name: column for column in key if column.name not in taken}
    column = reading.text(doc, place, "column", None)
    if column and column not in columns:
        known = ", ".join(columns) or "–"
        reading.fault((*place, "column"), "forms.yaml_line_column", name=column, known=known)
    elif column and columns[column].type != "text":
        reading.fault((*place, "column"), "forms.yaml_line_type", name=column)
    title = columns[column].title if column in columns else {"vi": column, "en": column}
    if "title" in doc or title is None:
        title = reading.titles(doc, place)
    given = [word for word in _LISTS if word in doc]
    if len(given) > 1:
        reading.fault((*place, given[1]), "forms.yaml_lines_one", names=", ".join(given))
    names = _names(reading, doc["list"], (*place, "list")) if "list" in doc else ()
    units = _units(reading, doc["units"], (*place, "units")) if "units" in doc else ()
    things = reading.text(doc, place, "things", None) if "things" in doc else None
    if things is not None and not NAME.fullmatch(things):
        reading.fault((*place, "things"), "lake.bad_name", name=things)
    added = reading.truth(doc, place, "added") if "added" in doc else not given
    if not added and not given:
        reading.fault((*place, "added"), "forms.yaml_lines_unlisted")
    least, most = _bounds(reading, doc, place, added=added)
    return Lines(
        column, title, names, units, things, added, least, most,
        _totals(reading, doc, (*place, "total"), asked),
    )  # fmt: skip


def _names(
    reading: Reading, value: Any, place: Place
) -> tuple[tuple[str, dict[str, str]], ...]:  # fmt: skip
    found: dict[str, dict[str, str]] = {}
    for at, code, entry in reading.items(value, place):
        if not fits(code):
            reading.fault(at, "forms.yaml_line_code", text=code[:60], most=MOST_KEY)
        title = reading.titles({"title": entry}, at)
        for lang, text in title.items():
            if text and any(text == other[lang] for other in found.values()):
                reading.fault(at, "forms.yaml_line_twice", text=text[:60])
        found[code] = title
    if not found or len(found) > MOST_LINES:
        reading.fault(place, "forms.yaml_lines_count", most=MOST_LINES)
    return tuple(found.items())


def _units(reading: Reading, value: Any, place: Place) -> tuple[str, ...]:
    out: list[str] = []
    for i, code in enumerate(reading.sequence(value, place)):
        text = str(code)
        if not text or "*" in text[:-1] or set("[]?") & set(text):
            reading.fault((*place, i), "forms.yaml_line_unit", text=text[:60])
        if text in out:
            reading.fault((*place, i), "forms.yaml_unit_twice")
        out.append(text)
    if not out:
        reading.fault(place, "forms.yaml_lines_count", most=MOST_LINES)
    return tuple(out)


def _bounds(reading: Reading, doc: dict[str, Any], place: Place, *, added: bool) -> tuple[int, int]:
    found = []
    for word, usual in (("least", 1), ("most", USUAL_MOST)):
        value = doc.get(word, usual)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not 0 <= value <= MOST_LINES:
            reading.fault((*place, word), "forms.yaml_whole", name=word, most=MOST_LINES)
            value = usual
        elif word in doc and not added:
            reading.fault((*place, word), "forms.yaml_lines_fixed", name=word)
        found.append(value)
    if not added:
        return 0, MOST_LINES
    least, most = found
    if most < max(least, 1):
        reading.fault((*place, "most"), "forms.yaml_lines_bounds")
    return least, most


def _totals(
    reading: Reading, doc: dict[str, Any], place: Place, asked: Mapping[str, str]
) -> tuple[str, ...]:
    if "total" not in doc:
        return ()
    names = reading.texts(doc["total"], place)
    for i, name in enumerate(names):
        if asked.get(name) not in _NUMBERS:
            known = ", ".join(one for one, kind in asked.items() if kind in _NUMBERS)
            reading.fault((*place, i), "forms.yaml_line_total", name=name, known=known)
    return names


def fits(key: str) -> bool:
    """Whether a text can tell a line from the others in the store."""
    return bool(key) and key == key.strip() and len(key) <= MOST_KEY and key.isprintable()
