"""What is being taken out, and finding loads that were begun and not ended."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE undoing (
        load_id bigint PRIMARY KEY REFERENCES load ON DELETE CASCADE,
        actor   text,
        streams int[] NOT NULL,
        payload jsonb NOT NULL,
        at      timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    COMMENT ON TABLE undoing IS
        'Stands here from before the lake gives up a load''s rows until PostgreSQL has too; what '
        'is found here under the writer''s lock is ended by whoever holds it.';

    CREATE INDEX load_pending ON load (dataset_id) WHERE state = 'pending';
    """)
