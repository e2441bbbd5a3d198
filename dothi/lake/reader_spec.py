"""Readers in the plain form in which the jailed job takes them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dothi.lake.contract import Contract
from dothi.lake.reader import Reader


def reader_spec(contract: Contract, reader: Reader) -> dict[str, Any]:
    """A reader and all of its contract that reading needs, as JSON-able values."""
    ranges = {p.name: (p.low, p.high) for p in contract.parameters}
    spec: dict[str, Any] = {
        "name": reader.name,
        "own": reader.own,
        "columns": list(reader.columns),
        "made": sorted(reader.made),
        "file": reader.file,
        "decimal": reader.decimal,
        "thousands": reader.thousands,
        "constants": [list(c) for c in reader.constants],
        "extract": [list(e) for e in reader.extract],
        "skip": [list(s) for s in reader.skip],
        "apart": asdict(reader.apart) if reader.apart else None,
        "wide": asdict(reader.wide) if reader.wide else None,
    }
    if reader.time is None:
        needed = [c.name for c in contract.columns if c.required or c in contract.key]
        return spec | {"fields": [asdict(f) for f in reader.fields], "needed": needed}
    return spec | {
        "time": {
            "column": reader.time.column, "zone": reader.time.zone,
            "formats": list(reader.time.formats), "parts": [list(p) for p in reader.time.parts],
        },
        "key": [list(k) for k in reader.key],
        "values": [
            {
                "column": v.column, "parameter": v.parameter, "factor": v.factor,
                "offset": v.offset, "missing": list(v.missing),
                "where": [list(w) for w in v.where],
                "low": ranges[v.parameter][0], "high": ranges[v.parameter][1],
            }
            for v in reader.values
        ],
        "quality_column": reader.quality_column,
        "quality_words": [list(w) for w in reader.quality_words],
    }  # fmt: skip


def records_spec(contract: Contract) -> dict[str, Any]:
    """The columns that records have, and the zone of instants without an offset."""
    keys = {c.name for c in contract.key}
    return {
        "zone": contract.time.zone if contract.time else "Asia/Ho_Chi_Minh",
        "columns": [
            {
                "name": c.name, "type": c.type, "key": c.name in keys, "required": c.required,
                "low": c.low, "high": c.high, "choices": list(c.choices),
                "missing": list(c.missing),
            }
            for c in contract.columns
        ],
    }  # fmt: skip
