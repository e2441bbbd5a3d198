"""Schema changes, one file each, applied in one transaction: a kill in the middle leaves none."""

from __future__ import annotations

from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from dothi.kernel.errors import Damaged, Unavailable
from dothi.store.database import SCHEMA

HERE = Path(__file__).parent


def migrate(url: str) -> str:
    """Bring the schema to the newest level and return that level.

    Raises Damaged when the database carries a level that this version does not know, Unavailable
    when it cannot be reached or lets us not in.
    """
    try:
        with psycopg.connect(url, connect_timeout=10):
            pass
    except psycopg.OperationalError as error:
        problem = str(error).strip().splitlines()[-1]
        raise Unavailable("store.cannot_connect", retry_after_s=5, problem=problem) from error
    engine = sqlalchemy.create_engine(_dialect_url(url), poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(HERE))
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head() or ""
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('dothi migrate'))")
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.exec_driver_sql(f"SET LOCAL search_path TO {SCHEMA}")
        context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
        found = context.get_current_revision()
        if found is not None and found not in {r.revision for r in script.walk_revisions()}:
            raise Damaged("store.newer_schema", found=found, known=head)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    return head


def _dialect_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"{scheme.split('+')[0].replace('postgres', 'postgresql', 1) if scheme == 'postgres' else 'postgresql'}+psycopg://{rest}"
