"""The contract's rules, held against the row of one return: when it is looked at and handed in."""

from __future__ import annotations

from typing import Any

from dothi.forms.model import Place
from dothi.kernel.errors import Fault
from dothi.lake.checks import Check
from dothi.lake.columns import DUCKDB_TYPES
from dothi.lake.engine import engine


def broken(place: Place, row: dict[str, Any]) -> list[Check]:
    """The rules that a row does not fulfil; a rule about an empty value holds, as in SQL."""
    contract = place.dataset.contract
    if not contract.checks:
        return []
    columns = ", ".join(f'?::{DUCKDB_TYPES[c.type]} AS "{c.name}"' for c in contract.row_columns)
    rules = ", ".join(f"({check.sql}) IS FALSE" for check in contract.checks)
    with engine(1, "100MB") as root:
        found = root.execute(
            f"SELECT {rules} FROM (SELECT {columns})",
            [row.get(c.name) for c in contract.row_columns],
        ).fetchone()
    assert found is not None
    return [check for check, fails in zip(contract.checks, found, strict=True) if fails]


def fault(place: Place, check: Check, lang: str) -> Fault:
    """A broken rule, at the first of the form's columns that it names."""
    asked = {a.name for a in place.form.asked}
    where = next((name for name in check.columns if name in asked), "")
    return Fault(where, "forms.check_broken", {"title": check.title[lang]})
