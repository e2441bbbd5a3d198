"""Alembic's entry: the connection, its transaction and its search path come from `migrate`."""

from alembic import context

from dothi.store.database import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=SCHEMA,
    transactional_ddl=False,  # the caller's transaction holds all steps
)
context.run_migrations()
