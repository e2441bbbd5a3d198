"""Which datasets wait because what was begun in them cannot be ended."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE unended (
        dataset_id int PRIMARY KEY REFERENCES dataset ON DELETE CASCADE,
        since      timestamptz NOT NULL DEFAULT clock_timestamp(),
        tried_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        reason     text NOT NULL
    );
    COMMENT ON TABLE unended IS
        'Datasets with a leftover of two commits that could not be ended when it was last tried; '
        'a row goes as soon as it could be.';
    """)
