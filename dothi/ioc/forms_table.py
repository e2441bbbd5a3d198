"""The table of a return of several lines, as its page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dothi.forms import table
from dothi.forms.model import Difference, Line, Place, State
from dothi.forms.service import Sheet
from dothi.ioc.forms_field import Field, Held, field, past
from dothi.kernel.i18n import NOTHING, number, t
from dothi.lake.form import Asked

SentLines = Sequence[tuple[str, Mapping[str, str]]]
FIRST_BLANKS = 3
"""Empty rows under a table that nobody has begun."""
ANY = "N"
"""Stands for a row's number in the row that the page adds."""


@dataclass(frozen=True)
class Row:
    """One line. `key`: the field that names it, or what stands there where it is not typed; `title`:
    what it is called; `said`: what is special about it; `change` against what was approved: "",
    "added" or "changed"."""

    number: str
    key: Field
    title: str
    fixed: bool
    fields: tuple[Field, ...]
    said: str
    change: str


@dataclass(frozen=True)
class TableView:
    """The lines of a return under the titles of its columns (`heads`, each with what the form says of
    it). `blank`: the row that the page adds where people add lines; `removable`: whether some row can
    be taken away; `totals`: the sums of columns by
    their place, "" where a column is not added up. `faults`: (where in the page, what is wrong)."""

    column: str
    heads: tuple[Field, ...]
    rows: tuple[Row, ...]
    blank: Row | None
    removable: bool
    most: int
    totals: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChangedLine:
    """What became of a line: its name, what in words, and by column before and after."""

    title: str
    what: str
    columns: tuple[tuple[str, str, str], ...]


def view(
    found: Sheet, sent: SentLines | None, stale: bool, faults: Mapping[str, tuple[str, ...]],
    more: int, lang: str,
) -> TableView | None:  # fmt: skip
    """The table of a return; None where its form is none. `more`: empty rows to type into."""
    place, asked = found.place, found.place.form.lines
    if asked is None:
        return None
    lines = found.lines
    by_key = {line.key: line for line in reversed(lines)}
    rows: list[tuple[Line, Mapping[str, str] | None, str, str]] = []
    if sent is None:
        rows = [(line, None, place.line_title(line.key, lang), "") for line in lines]
    else:
        for text, values in sent:
            code = table.code(place, text)
            rows.append((by_key.get(code, Line(code, {})), values, text, ""))
        if stale:
            there = {line.key for line, *_ in rows}
            new = t("forms.line_of_others", lang)
            rows += [
                (line, None, place.line_title(line.key, lang), new)
                for line in lines
                if line.key not in there
            ]
    if asked.added:
        wanted = more if rows else FIRST_BLANKS
        blanks = max(wanted, asked.least - len(rows))
        rows += [(Line("", {}), None, "", "")] * max(0, min(blanks, asked.most - len(rows)))
    changed = {d.key: d.what for d in against_approved(found)}
    rows_of = _Rows(found, stale, faults, changed, found.jumps, lang)
    built = tuple(
        rows_of.row(str(n), line, values, text, said)
        for n, (line, values, text, said) in enumerate(rows, 1)
    )
    return TableView(
        column=asked.title[lang],
        heads=tuple(field(one, Held("", None), lang) for one in place.form.asked),
        rows=built,
        blank=rows_of.row(ANY, Line("", {}), None, "", "") if asked.added else None,
        removable=not all(row.fixed for row in built),
        most=asked.most,
        totals=tuple(
            _total(one, lines, lang) if one.name in asked.totals else "" for one in place.form.asked
        )
        if asked.totals
        else (),
        faults=_listed(built, lang),
    )


def _total(asked: Asked, lines: Iterable[Line], lang: str) -> str:
    found = table.total(lines, asked.name)
    return NOTHING if found is None else number(found, lang, asked.decimals)


@dataclass(frozen=True)
class _Rows:
    """What the rows of one page are made from."""

    found: Sheet
    stale: bool
    faults: Mapping[str, tuple[str, ...]]
    changed: Mapping[str, str]
    jumps: Mapping[tuple[str, str], float]
    lang: str

    def row(
        self, number_: str, line: Line, sent: Mapping[str, str] | None, text: str, said: str
    ) -> Row:
        """One line; `text`: what names it as it was typed."""
        place = self.found.place
        asked = place.form.lines
        assert asked is not None
        known = any(one.code == line.key for one in place.options)
        if not asked.added and line.key and not known:
            said = said or t("forms.line_not_listed", self.lang)
        title = place.line_title(line.key, self.lang)
        key = Field(
            name=f"line.{number_}", label=asked.title[self.lang], unit="", help="", rule="",
            kind="choice" if asked.listed else "text", mode="",
            text=line.key if known else text, shown=title,
            options=tuple((one.code, one.title[self.lang]) for one in place.options),
            required=True, fixed="", hidden="", earlier="", moved="", jumps=False,
            faults=self.faults.get(f"{number_}.{asked.column}", ()), theirs=None, evidence=False,
        )  # fmt: skip
        fields = tuple(self._figure(number_, line, sent, one) for one in place.form.asked)
        fixed = not asked.added and known
        return Row(number_, key, title, fixed, fields, said, self.changed.get(line.key, ""))

    def _figure(
        self, number_: str, line: Line, sent: Mapping[str, str] | None, asked: Asked
    ) -> Field:
        earlier = self.found.earlier.get(line.key, {})
        held = Held(
            name=f"cell.{number_}.{asked.name}",
            cell=line.cells.get(asked.name),
            sent=sent.get(asked.name) if sent is not None else None,
            stale=self.stale,
            earlier=earlier.get(asked.name),
            has_earlier=bool(earlier),
            jumps=(line.key, asked.name) in self.jumps,
            hidden=self.found.hidden.get(asked.name),
            faults=self.faults.get(f"{number_}.{asked.name}", ()),
        )
        return field(asked, held, self.lang)


def _listed(rows: Sequence[Row], lang: str) -> tuple[tuple[str, str], ...]:
    """Every fault of a cell in words, with where it stands."""
    out: list[tuple[str, str]] = []
    for row in rows:
        for one in (row.key, *row.fields):
            for text in one.faults:
                said = t(
                    "forms.fault_at", lang, number=row.number, line=row.title or NOTHING,
                    column=one.label, text=text,
                )  # fmt: skip
                out.append((f"c-{one.name}", said))
    return tuple(out)


def against_approved(found: Sheet) -> list[Difference]:
    """What a correction changes in what was approved; nothing where none is being made."""
    one = found.found
    standing = one.standing
    if one.revision == 1 or one.state is State.APPROVED or standing is None:
        return []
    return table.differences(standing.lines, found.lines)


def changed_lines(
    place: Place, found: Iterable[Difference], lang: str
) -> tuple[ChangedLine, ...]:  # fmt: skip
    """What became of lines, in words."""
    return tuple(
        ChangedLine(
            place.line_title(one.key, lang) or (NOTHING if place.form.lines else ""),
            t(f"forms.line_{one.what}", lang) if place.form.lines else "",
            tuple(
                (a.title[lang], past(a, old, lang), past(a, new, lang))
                for a in place.form.asked
                if a.name in one.columns
                for old, new in (one.columns[a.name],)
            ),
        )
        for one in found
    )
