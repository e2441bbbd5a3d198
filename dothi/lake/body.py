"""The lake: closed days and bulk loads as Parquet under DuckLake, its catalogue in our PostgreSQL.

What makes head and body one store: DuckLake's own catalogue connection takes our SQL too
(`postgres_query`, `postgres_execute`), in the order that docs/adr/0004-one-snapshot.md tells: the
lake commits first, then what PostgreSQL holds of it; a reader looks at PostgreSQL first.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import duckdb
import psycopg
from psycopg.conninfo import make_conninfo

from dothi.kernel.errors import Unavailable
from dothi.lake.engine import engine, load
from dothi.store.database import Database, own_sql

CATALOGUE = "__ducklake_metadata_lake"
METADATA_SCHEMA = "dothi_lake"
EXTENSIONS = ("ducklake", "postgres_scanner")
KEEP_SNAPSHOTS = timedelta(days=2)
KEEP_FILES = timedelta(hours=2)
"""A file that no snapshot needs any more stays this long, for readers that hold it open."""
KEEP_UNKNOWN = timedelta(days=1)
"""A file that the catalogue does not know is younger while its writer is at work."""

TRIES = 4
CLASHES = ("could not serialize access", "deadlock detected", "transaction conflict")

T = TypeVar("T")

log = logging.getLogger(__name__)


class Body:
    """One process's way to the lake. Threads share it; each use takes a cursor of its own."""

    def __init__(
        self,
        db: Database,
        folder: Path,
        *,
        threads: int = 2,
        memory: str = "1GB",
        given: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        """`given`: the engine to open the lake on, in place of one of its own."""
        self._db = db
        self._folder = folder
        self._threads = threads
        self._memory = memory
        self._given = given
        self._root: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def on(self, root: duckdb.DuckDBPyConnection) -> Body:
        """The same lake opened on an engine that holds something to be written to it."""
        return Body(self._db, self._folder, given=root)

    @contextmanager
    def snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor inside one transaction: every read sees head and body at one instant.

        Raises Unavailable when PostgreSQL is away; the next call connects again.
        """
        with self._transaction() as cursor:
            yield cursor

    def write(self, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Do work in a transaction that may change the lake; the caller holds the writer's lock.

        A clash with a concurrent change is tried again.
        """
        for attempt in range(TRIES):
            try:
                with self._transaction() as cursor:
                    done = work(cursor)
            except duckdb.Error as error:
                clash = any(sign in str(error).lower() for sign in CLASHES)
                if not clash or attempt == TRIES - 1:
                    raise
                continue
            return done
        raise AssertionError("unreachable")

    @contextmanager
    def writer_lock(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold the right to write to the lake, which one process on all machines has at a time.

        Gives whether it is held: without `wait` it is not where somebody else holds it.
        """
        lock = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
        with self._db.connect() as conn:
            row = conn.execute(own_sql(f"SELECT {lock}(hashtext('dothi lake writer'))")).fetchone()
            held = wait or row == (True,)
            try:
                yield held
            finally:
                # The server notices the end of a connection a moment later: the next one would
                # find the lock taken.
                if held:
                    with suppress(psycopg.Error):
                        conn.execute("SELECT pg_advisory_unlock(hashtext('dothi lake writer'))")

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        root, cursor = self._cursor()
        try:
            cursor.execute("BEGIN")
            try:
                # What a transaction used first commits last, and is what it sees the earliest of.
                cursor.execute("FROM postgres_query(?, 'SELECT 1')", [CATALOGUE])
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
        except duckdb.Error as error:
            if _lost_connection(error):
                self._forget(root)
                raise Unavailable("store.database_down", retry_after_s=1) from error
            raise
        finally:
            cursor.close()

    def folder_of(self, table: str) -> Path:
        """Where the files of a table are."""
        return self._folder / "main" / table.rpartition(".")[2]

    def place(self, table: str, file: Path) -> Path:
        """Put a Parquet file where those of a table are; the lake knows of it once a transaction
        that adds it has committed. What none adds goes with `maintain`."""
        folder = self.folder_of(table)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"ducklake-{uuid4()}.parquet"
        try:
            target.hardlink_to(file)
        except OSError:  # another file system
            shutil.copyfile(file, target)
        return target

    def maintain(self) -> dict[str, int]:
        """Merge small neighbouring files, forget old snapshots, delete files nobody needs: also
        those that a killed writer left.

        Returns how many files were merged away and deleted. Killed in the middle it leaves the
        lake as it was before or after a step.
        """
        with self.writer_lock():
            _, cursor = self._cursor()
            try:
                merged = cursor.execute("CALL ducklake_merge_adjacent_files('lake')").fetchall()
                cursor.execute(
                    "CALL ducklake_expire_snapshots('lake', older_than => now() - $1::interval)",
                    [KEEP_SNAPSHOTS],
                )
                gone = cursor.execute(
                    "CALL ducklake_cleanup_old_files('lake', older_than => now() - $1::interval)",
                    [KEEP_FILES],
                ).fetchall()
                left = cursor.execute(
                    "CALL ducklake_delete_orphaned_files('lake', "
                    "older_than => now() - $1::interval)",
                    [KEEP_UNKNOWN],
                ).fetchall()
                return {"merged": len(merged), "deleted": len(gone) + len(left)}
            finally:
                cursor.close()

    def settle(self) -> None:
        """How files are written from now on, remembered in the catalogue.

        Version 2 of Parquet writes numbers that go up as their steps: a tenth of the bytes where
        instants and rows are counted, and less work.
        """
        with self.writer_lock():
            _, cursor = self._cursor()
            try:
                cursor.execute("CALL lake.set_option('parquet_version', 2)")
            finally:
                cursor.close()

    def warm(self) -> None:
        """Make the engine, so that the next use finds it; where that fails, the next use says why."""
        with suppress(Unavailable):
            self._cursor()[1].close()

    def close(self) -> None:
        """End the engine and every use of it."""
        with self._lock:
            if self._root is not None:
                with suppress(duckdb.Error):
                    self._root.close()
            self._root = None

    def _forget(self, root: duckdb.DuckDBPyConnection) -> None:
        """Make the next use begin with a new engine.

        The old one is not closed: that would close the cursors of other threads, whose own
        connections may be well. It goes with the last of them.
        """
        with self._lock:
            if self._root is root:
                self._root = None

    def _cursor(self) -> tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]:
        """The engine and a cursor of it."""
        with self._lock:
            if self._root is None:
                self._root = self._open()
            return self._root, self._root.cursor()

    def _open(self) -> duckdb.DuckDBPyConnection:
        root = self._given or engine(self._threads, self._memory, our_sql_only=True)
        load(root, EXTENSIONS)
        root.execute("SET ducklake_max_retry_count = 100")
        conninfo = make_conninfo(self._db.url, application_name=f"dothi {self._db.name} lake")
        quoted = conninfo.replace("'", "''")
        folder = str(self._folder).replace("'", "''")
        try:
            root.execute(
                f"ATTACH 'ducklake:postgres:{quoted}' AS lake (DATA_PATH '{folder}', "
                f"METADATA_SCHEMA '{METADATA_SCHEMA}', DATA_INLINING_ROW_LIMIT 0, "
                "OVERRIDE_DATA_PATH true)"
            )
        except duckdb.Error as error:
            root.close()
            raise Unavailable("store.database_down", retry_after_s=1) from error
        return root


def _lost_connection(error: duckdb.Error) -> bool:
    text = str(error).lower()
    return any(
        sign in text
        for sign in (
            "server closed the connection", "connection to server", "terminating connection",
            "no connection to the server", "could not connect", "unable to connect",
            "connection refused", "ssl syscall error", "the database system is",
            "connection has been closed", "failed to fetch", "connection not open",
            'failed to execute query "rollback"',
        )
    )  # fmt: skip
