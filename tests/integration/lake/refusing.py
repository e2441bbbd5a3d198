"""PostgreSQL refuses its part of a transaction when it commits: the lake has committed before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dothi.store.database import Database, own_sql


@contextmanager
def refused(db: Database, table: str, event: str) -> Iterator[None]:
    """No transaction that does this to this table comes through its commit."""
    with db.transaction() as conn:
        conn.execute(
            own_sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'refused at commit'; END $$"
            )
        )
        conn.execute(
            own_sql(
                f"CREATE CONSTRAINT TRIGGER refuse AFTER {event} ON {table} "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    try:
        yield
    finally:
        with db.transaction() as conn:
            conn.execute(own_sql("DROP FUNCTION refuse CASCADE"))
