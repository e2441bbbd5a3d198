"""Whether a database was brought to this very code and these packs: one query at each start.

The mark is kept like Alembic's own level: in a table that whoever writes it makes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg import sql

from dothi.store.database import SCHEMA


def fingerprint(files: Iterable[Path], *facts: object) -> str:
    """A text that changes when one of the files or facts does. Raises OSError."""
    found = hashlib.sha256(repr(facts).encode())
    for file in sorted(files):
        content = file.read_bytes()
        found.update(f"\0{file}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def mark_of(url: str) -> str | None:
    """The mark that the database carries; None when it has none or cannot be asked."""
    with (
        suppress(psycopg.OperationalError, psycopg.errors.UndefinedTable),
        psycopg.connect(url, connect_timeout=10) as conn,
    ):
        query = sql.SQL("SELECT mark FROM {}.settled").format(sql.Identifier(SCHEMA))
        row = conn.execute(query).fetchone()
        return row[0] if row else None
    return None


def put_mark(conn: psycopg.Connection, mark: str) -> None:
    """From the end of the caller's transaction on, the database is what the mark stands for."""
    conn.execute("CREATE TABLE IF NOT EXISTS settled (mark text NOT NULL)")
    conn.execute("DELETE FROM settled")
    conn.execute("INSERT INTO settled VALUES (%s)", (mark,))
