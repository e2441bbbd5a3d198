"""The contract's rules, held against the rows of a return: when it is looked at and handed in."""

from __future__ import annotations

from collections.abc import Sequence

from dothi.forms.model import Line, Place
from dothi.forms.table import where
from dothi.kernel.errors import Fault
from dothi.lake.checks import Check
from dothi.lake.columns import DUCKDB_TYPES
from dothi.lake.engine import engine


def broken(place: Place, lines: Sequence[Line]) -> list[tuple[int, Check]]:
    """The rules that lines do not fulfil, each with the number of its line (from 1); a rule about an
    empty value holds, as in SQL."""
    contract = place.dataset.contract
    if not contract.checks or not lines:
        return []
    columns = ", ".join(f'?::{DUCKDB_TYPES[c.type]} AS "{c.name}"' for c in contract.row_columns)
    rules = ", ".join(f"({check.sql}) IS FALSE" for check in contract.checks)
    out: list[tuple[int, Check]] = []
    with engine(1, "100MB") as root:
        for number, line in enumerate(lines, 1):
            row = place.row(line)
            found = root.execute(
                f"SELECT {rules} FROM (SELECT {columns})",
                [row.get(c.name) for c in contract.row_columns],
            ).fetchone()
            assert found is not None
            told = zip(contract.checks, found, strict=True)
            out += [(number, check) for check, fails in told if fails]
    return out


def fault(place: Place, number: int, check: Check, lang: str) -> Fault:
    """A broken rule, at the first of the form's columns that it names."""
    asked = {a.name for a in place.form.asked}
    column = next((name for name in check.columns if name in asked), "")
    at = where(place, number, column) if column else ""
    return Fault(at, "forms.check_broken", {"title": check.title[lang]})
