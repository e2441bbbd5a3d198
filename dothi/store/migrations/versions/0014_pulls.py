"""Pulls from databases: sources, what is pulled from them, and each run."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE pull_source (
        id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name         text NOT NULL UNIQUE,
        kind         text NOT NULL CHECK (kind IN ('postgresql', 'mysql', 'sqlserver', 'oracle')),
        host         text NOT NULL,
        port         int NOT NULL CHECK (port BETWEEN 1 AND 65535),
        database     text NOT NULL,
        account      text NOT NULL,
        password_env text,
        tls          text NOT NULL CHECK (tls IN ('verify', 'require', 'off')),
        agency_id    bigint NOT NULL REFERENCES agency,
        created_by   text NOT NULL,
        created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    COMMENT ON TABLE pull_source IS
        'Where it lies and who we are there never changes: a password told for one place must not '
        'be sent to another. The password is a file of the home, or in the variable password_env.';

    CREATE TABLE pull (
        id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name         text NOT NULL UNIQUE,
        source_id    bigint NOT NULL REFERENCES pull_source,
        dataset_id   int NOT NULL REFERENCES dataset ON DELETE CASCADE,
        query        text NOT NULL,
        mark         text,
        mark_type    text CHECK (mark_type IN ('integer', 'number', 'date', 'timestamp')),
        overlap      bigint NOT NULL DEFAULT 0 CHECK (overlap >= 0),
        every_min    int CHECK (every_min BETWEEN 1 AND 43200),
        daily_at     time,
        batch_rows   int NOT NULL DEFAULT 20000 CHECK (batch_rows BETWEEN 100 AND 1000000),
        enabled      boolean NOT NULL DEFAULT true,
        created_by   text NOT NULL,
        created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        due_at       timestamptz,
        asked_by     text,
        failures     int NOT NULL DEFAULT 0,
        reached      text,
        pending      jsonb,
        last_content text,
        last_load    bigint,
        CHECK ((mark IS NULL) = (mark_type IS NULL)),
        CHECK ((every_min IS NULL) <> (daily_at IS NULL))
    );
    CREATE INDEX pull_due ON pull (due_at) WHERE enabled;
    COMMENT ON COLUMN pull.reached IS
        'The watermark''s last value that is stored here; the next run begins with it, overlap back.';
    COMMENT ON COLUMN pull.pending IS
        'The file being loaded: where its load is there after a crash, the watermark follows it.';
    COMMENT ON COLUMN pull.overlap IS 'Seconds, days or whole numbers, by the type of the watermark.';

    CREATE TABLE pull_run (
        id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        pull_id      bigint NOT NULL REFERENCES pull ON DELETE CASCADE,
        asked_by     text,
        started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        ended_at     timestamptz,
        state        text NOT NULL DEFAULT 'running'
                     CHECK (state IN ('running', 'done', 'more', 'failed', 'interrupted')),
        mark_from    text,
        mark_to      text,
        counted      bigint,
        read         bigint NOT NULL DEFAULT 0,
        parsed       bigint NOT NULL DEFAULT 0,
        new          bigint NOT NULL DEFAULT 0,
        changed      bigint NOT NULL DEFAULT 0,
        same         bigint NOT NULL DEFAULT 0,
        removed      bigint NOT NULL DEFAULT 0,
        twice        bigint NOT NULL DEFAULT 0,
        rejected     bigint NOT NULL DEFAULT 0,
        loads        bigint[] NOT NULL DEFAULT '{}',
        findings     jsonb NOT NULL DEFAULT '[]',
        error        jsonb
    );
    CREATE INDEX pull_run_pull ON pull_run (pull_id, id);
    """)
