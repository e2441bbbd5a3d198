"""Indicators: their definitions and versions, and which limits stand passed."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE indicator (
        name       text PRIMARY KEY,
        dataset_id int NOT NULL UNIQUE REFERENCES dataset,
        pack       text NOT NULL,
        owner      text NOT NULL,
        version    int NOT NULL,
        hash       text NOT NULL,
        computed   text,
        problem    text,
        active     boolean NOT NULL DEFAULT true
    );
    COMMENT ON COLUMN indicator.computed IS
        'Hash of the definition by which all stored values were computed; where it differs from '
        'hash everything is computed again.';
    COMMENT ON COLUMN indicator.problem IS
        'Why the definition does not fit the data; it rests until the next start.';

    CREATE TABLE indicator_version (
        name    text NOT NULL REFERENCES indicator ON DELETE CASCADE,
        version int NOT NULL,
        hash    text NOT NULL,
        text    text NOT NULL,
        since   timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (name, version)
    );

    CREATE TABLE indicator_input (
        name       text NOT NULL REFERENCES indicator ON DELETE CASCADE,
        dataset_id int NOT NULL REFERENCES dataset,
        PRIMARY KEY (name, dataset_id)
    );
    CREATE INDEX indicator_input_dataset ON indicator_input (dataset_id);

    CREATE TABLE indicator_state (
        stream_id int PRIMARY KEY REFERENCES stream ON DELETE CASCADE,
        level     int NOT NULL,
        since     timestamptz NOT NULL,
        period    timestamptz NOT NULL,
        value     float8 NOT NULL
    );
    COMMENT ON TABLE indicator_state IS
        'How many limits the newest period of an indicator''s stream passes, since which period; '
        'moves in the transaction that says so in the event log.';
    """)
