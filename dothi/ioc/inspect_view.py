"""What the reader assistant shows of a file: form, columns, first rows, the contract proposed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dothi.ioc.view import Choice, Table
from dothi.kernel.errors import DothiError, Invalid
from dothi.kernel.i18n import number, t
from dothi.lake.inspecting import CHOICES, about_column, about_form, about_table, listed, one_line

MOST_FAULTS = 50
SEVERAL = {"sheet": "sheets", "member": "members", "layer": "layers"}


@dataclass(frozen=True)
class Asked:
    """One choice a person may make about a file; `text` is what they said, `offered` what the file
    has of it."""

    name: str
    label: str
    text: str
    offered: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnSeen:
    """A column as it was understood: its name in the file, what it holds, what else was seen."""

    name: str
    kind: str
    notes: str
    examples: str


@dataclass(frozen=True)
class Found:
    """What was found out about a file. `mark` names the kept copy."""

    name: str
    mark: str
    form: str
    above: tuple[str, ...]
    notes: tuple[str, ...]
    columns: tuple[ColumnSeen, ...]
    more_columns: int
    rows: Table
    looked_at: str
    contract: str
    lines: int
    offered: Mapping[str, tuple[str, ...]]
    """The sheets of a workbook, the files of an archive, the layers of a map, where it has several."""


@dataclass(frozen=True)
class InspectView:
    sections: tuple[Choice, ...]
    asked: tuple[Asked, ...]
    choosing: bool
    """The choices stand open: one was made, or the file could not be read without one."""
    found: Found | None
    refused: tuple[str, ...]
    """Why the file is not read."""
    faults: tuple[str, ...]
    """What is wrong with the contract as the person left it."""
    into: Choice | None = None
    """Where the file goes that belongs to a dataset which is there already."""


def said(error: DothiError, lang: str) -> tuple[str, ...]:
    """Why something is refused, and under it each fault with its place."""
    faults = error.faults if isinstance(error, Invalid) else ()
    lines = [f"{f.where}: {f.text(lang)}" if f.where else f.text(lang) for f in faults]
    return (error.text(lang), *lines[:MOST_FAULTS])


def asked(
    how: dict[str, Any], lang: str, offered: Mapping[str, tuple[str, ...]]
) -> tuple[Asked, ...]:
    """The choices with what was said; `offered` by the choice's name."""
    return tuple(
        Asked(
            name,
            _label(t(f"reading.option_{name}", lang)),
            str(how.get(name, "")),
            offered.get(name, ()),
        )
        for name in CHOICES
    )


def _label(help_text: str) -> str:
    """The help of a command's option as the label of a field: it begins as a sentence."""
    return help_text[:1].upper() + help_text[1:]


def found(description: dict[str, Any], name: str, mark: str, contract: str, lang: str) -> Found:
    """The description of a file (`reading.describe.describe`) in words."""
    columns = description["columns"]
    shown = [column["name"] for column in columns][: len((description["rows"] or [[]])[0])]
    key = "inspect.looked_whole" if description["whole"] else "inspect.looked_first"
    return Found(
        name=name,
        mark=mark,
        form=about_form(description["notes"], lang),
        above=tuple(map(one_line, description["notes"].get("above", ()))),
        notes=tuple(about_table(description, lang)),
        columns=tuple(_column(column, lang) for column in columns),
        more_columns=description["more_columns"],
        rows=Table(
            tuple(map(one_line, shown)),
            tuple(
                tuple("" if cell is None else one_line(cell) for cell in row)
                for row in description["rows"]
            ),
        ),
        looked_at=t(key, lang, rows=description["looked_at"]) if description["looked_at"] else "",
        contract=contract,
        offered={
            name: tuple(map(one_line, description["notes"].get(several, ())))
            for name, several in SEVERAL.items()
            if len(description["notes"].get(several, ())) > 1
        },
        lines=min(max(contract.count("\n") + 1, 12), 40),
    )


def _column(column: dict[str, Any], lang: str) -> ColumnSeen:
    notes = about_column(column, lang)
    if "low" in column:
        ends = column["low"], column["high"]
        decimals = 0 if all(float(end).is_integer() for end in ends) else 2
        low, high = (number(end, lang, decimals) for end in ends)
        notes = [t("inspect.from_to", lang, low=low, high=high), *notes]
    return ColumnSeen(
        one_line(column["name"]),
        t(f"reading.kind_{column['kind']}", lang),
        "; ".join(notes),
        listed(column.get("examples", ())),
    )
