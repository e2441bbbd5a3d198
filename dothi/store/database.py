"""The pool of PostgreSQL connections: one way to run SQL for web, worker, commands and tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg
from psycopg import IsolationLevel
from psycopg_pool import ConnectionPool, PoolTimeout

from dothi.kernel.errors import Unavailable

SCHEMA = "dothi"

Connection = psycopg.Connection[tuple[Any, ...]]

RETRY = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
"""What PostgreSQL asks the client to try again."""


class Database:
    """A pool on one database, its connections set to our schema and to UTC.

    `name` is shown by PostgreSQL as the application's name, so that an operator sees which
    process holds a connection. Rows come as tuples.
    """

    def __init__(self, url: str, *, name: str, max_size: int = 8, timeout_s: float = 5.0) -> None:
        self.url = url
        self.name = name
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=0,
            max_size=max_size,
            timeout=timeout_s,
            max_idle=60.0,
            kwargs={"application_name": f"dothi {name}", "autocommit": True},
            configure=_configure,
            check=ConnectionPool.check_connection,
            open=True,
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A READ COMMITTED transaction: committed at the end, rolled back by an exception.

        Raises Unavailable when the database cannot be reached.
        """
        with self._connection() as conn, conn.transaction():
            yield conn

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only transaction in which every statement sees the same instant."""
        with self._connection() as conn:
            conn.isolation_level = IsolationLevel.REPEATABLE_READ
            conn.read_only = True
            try:
                with conn.transaction():
                    yield conn
            finally:
                if not conn.closed:
                    conn.isolation_level = None
                    conn.read_only = None

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            conn = self._pool.getconn()
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise Unavailable("store.database_down", retry_after_s=1) from error
        try:
            yield conn
        except psycopg.OperationalError as error:
            if conn.closed or conn.broken:
                raise Unavailable("store.database_down", retry_after_s=1) from error
            raise
        finally:
            self._pool.putconn(conn)

    def connect(self) -> Connection:
        """A connection of one's own, outside the pool: for LISTEN and for session locks."""
        try:
            conn = psycopg.connect(self.url, application_name=f"dothi {self.name}", autocommit=True)
        except psycopg.OperationalError as error:
            raise Unavailable("store.database_down", retry_after_s=1) from error
        _configure(conn)
        return conn

    def close(self) -> None:
        self._pool.close()


def own_sql(text: str) -> LiteralString:
    """A statement put together from our own names and numbers only: nothing from outside is in it.

    The type checker lets psycopg run literal text alone; this is the one place that vouches.
    """
    return cast(LiteralString, text)


def _configure(conn: Connection) -> None:
    conn.execute(f"SET search_path TO {SCHEMA}; SET timezone TO 'UTC'")
