"""Rows that arrive as JSON: matched to the contract, each fault with its row and column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dothi.kernel.errors import Invalid
from dothi.kernel.time import parse_instant, utc_now, zone
from dothi.lake import registry
from dothi.lake.columns import Column
from dothi.lake.contract import Contract
from dothi.lake.form_only import DOOR, only_by_form
from dothi.lake.load_series import FUTURE
from dothi.lake.model import Batch, Quality, RecordRows, Reject, SeriesRows, Source
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake

MOST_ROWS = 50_000
_QUALITIES = {q.name.lower(): int(q) for q in Quality if q < Quality.CONFLICT}


def batch_of(lake: Lake, dataset: Dataset, rows: Sequence[dict[str, Any]], source: Source) -> Batch:
    """A batch of rows with the contract's column names; rejected values stand in it with reasons.

    A series row: its time, its key, parameters with numbers (null: missing), and optionally
    `quality` (valid, suspect, invalid, missing) for all of them.
    """
    if dataset.contract.kind == "records":
        return _records(dataset, rows, source)
    return _series(lake, dataset, rows, source)


def _series(lake: Lake, dataset: Dataset, rows: Sequence[dict[str, Any]], source: Source) -> Batch:
    contract = dataset.contract
    assert contract.time is not None
    local = zone(contract.time.zone)
    column = contract.time.column
    keys = [c.name for c in contract.key]
    parameters = {p.name: p for p in contract.parameters}
    known = {column, "quality", *keys}
    edge = utc_now() + FUTURE
    rejects: list[Reject] = []
    found: dict[tuple[registry.StreamName, datetime], tuple[float | None, int, int]] = {}
    for number, row in enumerate(rows, 1):
        key = tuple(str(row.get(k) if row.get(k) is not None else "").strip() for k in keys)
        if "" in key:
            rejects.append(Reject(number, keys[key.index("")], None, "lake.key_missing"))
            continue
        text = row.get(column)
        at = _instant(text, local)
        if at is None:
            reason = "lake.time_missing" if text in (None, "") else "lake.bad_time"
            rejects.append(Reject(number, column, _shown(text), reason, {"form": "ISO 8601"}))
            continue
        if at > edge:
            rejects.append(Reject(number, column, _shown(text), "lake.future"))
            continue
        word = row.get("quality", "valid")
        said = _QUALITIES.get(word) if isinstance(word, str) else None
        if said is None:
            rejects.append(Reject(number, "quality", _shown(word), "lake.bad_quality"))
            continue
        for name, value in row.items():
            parameter = parameters.get(name)
            if parameter is None:
                if name not in known:
                    rejects.append(
                        Reject(number, name[:200], _shown(value), "lake.unknown_column",
                               {"name": name[:200]})
                    )  # fmt: skip
                continue
            v, q = _measured(value, said, parameter.low, parameter.high)
            if q is None:
                rejects.append(Reject(number, name, _shown(value), "lake.bad_number"))
                continue
            # Of two values for one instant in one request the later row is the device's last word.
            found[((key, name), at)] = (v, q, number)
    if source.door != DOOR:
        only_by_form(contract, {at for _, at in found})
    ids = lake.stream_ids(dataset, {name for name, _ in found})
    values = found.values()
    series = SeriesRows(
        [ids[name] for name, _ in found],
        [at for _, at in found],
        [v for v, _, _ in values],
        [q for _, q, _ in values],
        [n for *_, n in values],
    )
    return Batch(dataset.id, series, source, rejects)


def _instant(text: Any, local: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            return parse_instant(text, local)
        except Invalid:
            return None
    try:
        return (at if at.tzinfo else at.replace(tzinfo=local)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _measured(
    value: Any, said: int, low: float | None, high: float | None
) -> tuple[float | None, int | None]:
    """A value and its quality; quality None: it is no number."""
    if value is None or said == Quality.MISSING:
        return None, int(Quality.MISSING)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, None
    try:
        number = float(value)
    except OverflowError:
        return None, None
    if not math.isfinite(number):
        return None, None
    outside = (low is not None and number < low) or (high is not None and number > high)
    return number, int(Quality.SUSPECT) if outside and said == Quality.VALID else said


def _records(dataset: Dataset, rows: Sequence[dict[str, Any]], source: Source) -> Batch:
    contract = dataset.contract
    columns = {c.name: c for c in contract.columns}
    rejects: list[Reject] = []
    found: dict[str, tuple[dict[str, Any], int]] = {}
    for number, row in enumerate(rows, 1):
        clean: dict[str, Any] = {}
        before = len(rejects)
        for name, value in row.items():
            column = columns.get(name)
            if column is None:
                rejects.append(
                    Reject(number, name[:200], _shown(value), "lake.unknown_column",
                           {"name": name[:200]})
                )  # fmt: skip
                continue
            try:
                clean[name] = _typed(column, value, contract)
            except (ValueError, Invalid, OverflowError):
                rejects.append(
                    Reject(number, name, _shown(value), "lake.bad_value", {"type": column.type})
                )
        for column in contract.columns:
            needed = column.required or column in contract.key
            told = {r.column for r in rejects[before:]}
            if needed and clean.get(column.name) is None and column.name not in told:
                rejects.append(Reject(number, column.name, None, "lake.key_missing"))
        if len(rejects) > before:
            continue
        key = "\x1f".join(str(clean[c.name]) for c in contract.key)
        found[key] = ({c.name: clean.get(c.name) for c in contract.columns}, number)
    if source.door != DOOR and contract.form and (column := contract.form.period_column):
        only_by_form(contract, {row[column] for row, _ in found.values()})
    records = RecordRows(
        dataset.id,
        list(found),
        [row for row, _ in found.values()],
        [number for _, number in found.values()],
    )
    return Batch(dataset.id, records, source, rejects)


def _typed(column: Column, value: Any, contract: Contract) -> Any:
    """A value as it is stored in JSON. ValueError when it is none of the column's type."""
    if value is None or (isinstance(value, str) and value.strip() in ("", *column.missing)):
        return None
    if column.type == "text":
        text = str(value)
        if column.choices and text not in column.choices:
            raise ValueError(text)
        if "\x00" in text or "\x1f" in text:
            raise ValueError("control character")
        return text
    if column.type == "boolean":
        if not isinstance(value, bool):
            raise ValueError(value)
        return value
    if column.type in ("integer", "number"):
        if isinstance(value, bool):
            raise ValueError(value)
        number = int(value) if column.type == "integer" else float(value)
        if column.type == "integer" and (number != float(value) or abs(number) >= 2**63):
            raise ValueError(value)
        if not math.isfinite(number):
            raise ValueError(value)
        if (column.low is not None and number < column.low) or (
            column.high is not None and number > column.high
        ):
            raise ValueError(value)
        return number
    if column.type == "date":
        return datetime.strptime(str(value), "%Y-%m-%d").date().isoformat()
    local = zone(contract.time.zone if contract.time else "Asia/Ho_Chi_Minh")
    at = _instant(str(value), local)
    if at is None:
        raise ValueError(value)
    return at.isoformat()


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)[:200]
