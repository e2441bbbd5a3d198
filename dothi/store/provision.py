"""The role and the database that the application uses, made with the superuser's rights."""

from __future__ import annotations

import contextlib

import psycopg
from psycopg import conninfo, sql

from dothi.kernel.errors import Unavailable
from dothi.store.runner import APPLICATION, DATABASE


def provision(owner_url: str, application_url: str) -> None:
    """Make sure that `application_url` can be used: its role, no superuser, owns its database.

    Writes nothing when it can be used already, so it also works on a full disk. The password
    goes to the server only as a SCRAM verifier. Raises Unavailable when the server is away.
    """
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(application_url, connect_timeout=5).close()
        return
    password = conninfo.conninfo_to_dict(application_url).get("password")
    try:
        with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as conn:
            _make_role(conn, str(password or ""))
            _make_database(conn)
    except psycopg.OperationalError as error:
        raise Unavailable("store.database_down", retry_after_s=1) from error


def _make_role(conn: psycopg.Connection, password: str) -> None:
    role = sql.Identifier(APPLICATION)
    found = conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APPLICATION,)).fetchone()
    if not found:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    verifier = conn.pgconn.encrypt_password(
        password.encode(), APPLICATION.encode(), b"scram-sha-256"
    ).decode()
    conn.execute(
        sql.SQL(
            "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}"
        ).format(role, sql.Literal(verifier))
    )


def _make_database(conn: psycopg.Connection) -> None:
    database = sql.Identifier(DATABASE)
    found = conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
    if not found:
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(database, sql.Identifier(APPLICATION))
        )
    for name in (DATABASE, "postgres", "template1"):
        conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
