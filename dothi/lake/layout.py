"""How a dataset's rows stand in the lake: its tables, their columns, and what fills them."""

from __future__ import annotations

from dataclasses import dataclass

from dothi.lake.columns import DUCKDB_TYPES
from dothi.lake.head import RECORDS, SERIES, Shape
from dothi.lake.registry import Dataset
from dothi.store.database import SCHEMA

POSTGRES_TYPES = {
    "text": "text", "integer": "bigint", "number": "float8", "boolean": "boolean",
    "date": "date", "instant": "timestamptz",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """One dataset's body. `columns` are (name, DuckDB type); names are ours or checked ones."""

    shape: Shape
    dataset_id: int
    key: tuple[str, ...]
    payload: tuple[str, ...]
    load: str
    quality: str
    columns: tuple[tuple[str, str], ...]
    _head_select: tuple[str, ...]

    @property
    def row_no(self) -> str:
        """The column with a row's number in its file."""
        return "row_no" if self.shape is SERIES else "_row_no"

    @property
    def table(self) -> str:
        """The current rows, one for each key."""
        return f"lake.main.{self.shape.name}_{self.dataset_id}"

    @property
    def past(self) -> str:
        """The other versions of keys; a tombstone stands here even when it is the newest."""
        return f"{self.table}_past"

    @property
    def names(self) -> str:
        """The columns of a row, for a statement."""
        return ", ".join(name for name, _ in self.columns)

    def columns_of(self, relation: str) -> str:
        """The columns of a row of a named relation."""
        return self.list(tuple(name for name, _ in self.columns), f"{relation}.")

    def list(self, names: tuple[str, ...], prefix: str = "") -> str:
        """Column names for a statement."""
        return ", ".join(prefix + name for name in names)

    def same_key(self, a: str, b: str) -> str:
        """SQL: two rows are versions of one key."""
        return " AND ".join(f"{a}.{c} = {b}.{c}" for c in self.key)

    def differs(self, a: str, b: str) -> str:
        """SQL: two rows of one key say different things."""
        return " OR ".join(f"{a}.{c} IS DISTINCT FROM {b}.{c}" for c in self.payload)

    def create(self) -> list[str]:
        """SQL that makes the tables where they are missing."""
        columns = ", ".join(f"{name} {type_}" for name, type_ in self.columns)
        return [
            f"CREATE TABLE IF NOT EXISTS {self.table} ({columns})",
            f"CREATE TABLE IF NOT EXISTS {self.past} ({columns})",
        ]

    def mine(self) -> str:
        """PostgreSQL condition: rows of this dataset in the shared head."""
        if self.shape is SERIES:
            return (
                f"stream_id IN (SELECT id FROM {SCHEMA}.stream "
                f"WHERE dataset_id = {self.dataset_id:d})"
            )
        return f"dataset_id = {self.dataset_id:d}"

    def from_head(self, where: str, *, past: bool = False) -> str:
        """PostgreSQL query giving head rows (or their past) in the body's columns."""
        table = self.shape.past if past else self.shape.head
        return (
            f"SELECT {', '.join(self._head_select)} FROM {SCHEMA}.{table} "
            f"WHERE {self.mine()} AND {where}"
        )


def layout(dataset: Dataset) -> Layout:
    """The body of a dataset, by its contract."""
    if dataset.contract.kind == "series":
        return Layout(
            shape=SERIES,
            dataset_id=dataset.id,
            key=("stream_id", "t"),
            payload=("v", "q"),
            load="load_id",
            quality="q",
            columns=(
                ("stream_id", "INTEGER"), ("row_no", "INTEGER"), ("t", "TIMESTAMPTZ"),
                ("v", "DOUBLE"), ("load_id", "BIGINT"), ("q", "SMALLINT"),
            ),
            _head_select=SERIES.columns,
        )  # fmt: skip
    data = dataset.contract.columns
    return Layout(
        shape=RECORDS,
        dataset_id=dataset.id,
        key=("_key",),
        payload=("_q", *(c.name for c in data)),
        load="_load_id",
        quality="_q",
        columns=(
            ("_key", "VARCHAR"), ("_row_no", "INTEGER"), ("_load_id", "BIGINT"),
            ("_q", "SMALLINT"), *((c.name, DUCKDB_TYPES[c.type]) for c in data),
        ),
        _head_select=(
            "key AS _key", "row_no AS _row_no", "load_id AS _load_id", "q AS _q",
            *(f"(row->>'{c.name}')::{POSTGRES_TYPES[c.type]} AS {c.name}" for c in data),
        ),
    )  # fmt: skip
