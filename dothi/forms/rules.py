"""The contract's rules about records, held against one row before it is submitted."""

from __future__ import annotations

from typing import Any

from dothi.forms.model import Place
from dothi.lake.checks import Check
from dothi.lake.columns import DUCKDB_TYPES
from dothi.lake.engine import engine


def broken(place: Place, row: dict[str, Any]) -> list[Check]:
    """The rules that a row does not fulfil; a rule about an empty value holds, as in SQL."""
    contract = place.dataset.contract
    if not contract.checks:
        return []
    columns = ", ".join(f'?::{DUCKDB_TYPES[c.type]} AS "{c.name}"' for c in contract.columns)
    rules = ", ".join(f"({check.sql}) IS FALSE" for check in contract.checks)
    with engine(1, "100MB") as root:
        found = root.execute(
            f"SELECT {rules} FROM (SELECT {columns})", [row.get(c.name) for c in contract.columns]
        ).fetchone()
    assert found is not None
    return [check for check, fails in zip(contract.checks, found, strict=True) if fails]
