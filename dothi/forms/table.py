"""The lines of a return: how what was typed becomes them, what is wrong with them, what changed.

A form that is no table has one line, with the key `PLAIN`; so every rule is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dothi.forms import typed
from dothi.forms.model import PLAIN, Cells, Difference, Line, Place, changes, jump, values
from dothi.kernel.errors import Fault, Invalid
from dothi.kernel.text import nfc
from dothi.lake.form_lines import MOST_LINES, fits

Given = Mapping[str, Any] | Sequence[tuple[str, Mapping[str, Any]]]
"""What was typed: by column, or of a table line by line, each with its key."""
Figures = Mapping[str, Mapping[str, Any]]
"""By line what the store holds in its columns."""


def lines(place: Place, given: Given, lang: str) -> tuple[Line, ...]:
    """The lines of a draft out of what was typed. Raises Invalid for a table where the form is none,
    for the other way round, and for more lines than any return has."""
    form = place.form
    if form.lines is None:
        if not isinstance(given, Mapping):
            raise Invalid("forms.no_table", name=place.dataset.name)
        return (Line(PLAIN, typed.cells(form, given, lang)),)
    if isinstance(given, Mapping):
        if given:
            raise Invalid("forms.is_table", name=place.dataset.name, column=form.lines.column)
        given = ()
    if len(given) > MOST_LINES:
        fault = Fault("lines", "forms.lines_many", {"most": MOST_LINES, "count": len(given)})
        raise Invalid("forms.not_ready", faults=[fault])
    found = (Line(code(place, key), typed.cells(form, row, lang)) for key, row in given)
    return arranged(place, tuple(line for line in found if line.key or line.cells))


def code(place: Place, text: str) -> str:
    """The code of a line out of what was typed: a code of the list or what it is called there, in
    either language; anything else stays as it is."""
    text = nfc(" ".join(text.split()))
    if any(one.code == text for one in place.options):
        return text
    word = text.casefold()
    for one in place.options:
        if word in {title.casefold() for title in one.title.values()}:
            return one.code
    return text


def arranged(place: Place, found: tuple[Line, ...]) -> tuple[Line, ...]:
    """Lines as a form shows them: all that it asks for, in the order of its list; those that it does
    not know last. Lines that people add stay in the order in which they were typed."""
    form = place.form
    if form.lines is None:
        return found or (Line(PLAIN, {}),)
    if form.lines.added:
        return found
    known = {one.code for one in place.options}
    there: dict[str, Line] = {}
    rest: list[Line] = []
    for line in found:
        if line.key in known and line.key not in there:
            there[line.key] = line
        else:
            rest.append(line)
    listed = (there.get(one.code, Line(one.code, {})) for one in place.options)
    return (*listed, *rest)


def merged(place: Place, found: tuple[Line, ...], elsewhere: Figures) -> tuple[Line, ...]:
    """What was typed, with the figures that other datasets hold in the place of typed ones."""
    return tuple(
        Line(line.key, _merged(place, line.cells, elsewhere.get(line.key, {})))
        for line in arranged(place, found)
    )


def _merged(place: Place, cells: Cells, elsewhere: Mapping[str, Any]) -> Cells:
    out: Cells = {}
    for asked in place.form.asked:
        one = cells.get(asked.name)
        if asked.source is not None and asked.name in elsewhere:
            found = typed.cell(asked, elsewhere[asked.name], "en")
            if found is not None and "v" in found:
                one = found | {"from": asked.source[0]}
        if one is not None:
            out[asked.name] = one
    return out


def where(place: Place, number: int, column: str) -> str:
    """How a fault names a cell: its column, of a table "line.column" with lines from 1."""
    return column if place.form.lines is None else f"{number}.{column}"


def faults(place: Place, found: Sequence[Line]) -> list[Fault]:
    """Everything that keeps lines from being submitted; each fault names its line and column."""
    out = key_faults(place, found)
    for number, line in enumerate(found, 1):
        out += [
            Fault(where(place, number, one.where), one.key, one.params)
            for one in typed.faults(place.form, line.cells)
        ]
    return out


def key_faults(place: Place, found: Sequence[Line]) -> list[Fault]:
    """What is wrong with the number of a table's lines and with what tells them apart."""
    asked = place.form.lines
    out: list[Fault] = []
    if asked is None:
        return out
    if asked.added and len(found) < asked.least:
        out.append(Fault("lines", "forms.lines_few", {"least": asked.least, "count": len(found)}))
    if asked.added and len(found) > asked.most:
        out.append(Fault("lines", "forms.lines_many", {"most": asked.most, "count": len(found)}))
    if not asked.added and not place.options:
        out.append(Fault("lines", "forms.lines_none_listed"))
    known = {one.code for one in place.options}
    first: dict[str, int] = {}
    for number, line in enumerate(found, 1):
        at = where(place, number, asked.column)
        if not line.key:
            out.append(Fault(at, "forms.line_needed"))
        elif asked.listed and line.key not in known:
            out.append(Fault(at, "forms.line_unknown", {"text": line.key[:60]}))
        elif not fits(line.key):
            out.append(Fault(at, "forms.not_text", {"text": line.key[:60]}))
        elif (word := line.key.casefold()) in first:
            out.append(Fault(at, "forms.line_twice", {"first": first[word]}))
        else:
            first[word] = number
    return out


def differences(before: Sequence[Line], after: Sequence[Line]) -> list[Difference]:
    """What became of the lines, in the order in which they stand; those that are gone last."""
    old, new = _numbered(before), _numbered(after)
    out = []
    for name, line in new.items():
        earlier = old.get(name)
        moved = changes(earlier.cells if earlier else {}, line.cells)
        if earlier is None:
            out.append(Difference(line.key, "added", moved))
        elif moved:
            out.append(Difference(line.key, "changed", moved))
    out += [
        Difference(line.key, "removed", changes(line.cells, {}))
        for name, line in old.items()
        if name not in new
    ]
    return out


def jumps(place: Place, found: Iterable[Line], earlier: Figures) -> dict[tuple[str, str], float]:
    """Figures, by line and column, that moved further since the period before than the form lets
    pass unexplained."""
    out: dict[tuple[str, str], float] = {}
    for line in found:
        before = earlier.get(line.key, {})
        for asked in place.form.asked:
            moved = jump(asked, line.cells.get(asked.name, {}).get("v"), before.get(asked.name))
            if moved is not None:
                out[line.key, asked.name] = moved
    return out


def named(place: Place, line: str, column: str, lang: str) -> str:
    """A figure in words: its column's title, of a table after its line's."""
    title = next((a.title[lang] for a in place.form.asked if a.name == column), column)
    return title if place.form.lines is None else f"{place.line_title(line, lang)}: {title}"


def total(found: Iterable[Line], column: str) -> float | None:
    """The sum of a column over the lines that have a figure in it; None where none has."""
    figures = [values(line.cells)[column] for line in found if column in values(line.cells)]
    return sum(figures) if figures else None


def _numbered(found: Sequence[Line]) -> dict[tuple[str, int], Line]:
    """Lines by key; a key that a draft has twice also by which of them it is."""
    out: dict[tuple[str, int], Line] = {}
    for line in found:
        nth = sum(key == line.key for key, _ in out)
        out[line.key, nth] = line
    return out
