"""The event log and its cursors."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
    CREATE TABLE event (
        id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tx      xid8 NOT NULL DEFAULT pg_current_xact_id(),
        at      timestamptz NOT NULL DEFAULT clock_timestamp(),
        kind    text NOT NULL,
        subject text,
        actor   text,
        payload jsonb NOT NULL DEFAULT '{}'
    );
    CREATE INDEX event_order ON event (tx, id);
    COMMENT ON TABLE event IS
        'What happened, written in the transaction of its cause; read in (tx, id) order only '
        'below pg_snapshot_xmin, so that no late commit is passed over.';

    CREATE TABLE event_cursor (
        name  text PRIMARY KEY,
        tx    xid8 NOT NULL DEFAULT '0',
        id    bigint NOT NULL DEFAULT 0,
        moved timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    """)
