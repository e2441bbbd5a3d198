"""Returns: what agencies type into the forms of contracts, who approved it, what it rests on."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE form_return (
        id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dataset_id   int NOT NULL REFERENCES dataset ON DELETE CASCADE,
        period       text NOT NULL,
        party        text NOT NULL,
        agency_id    bigint NOT NULL REFERENCES agency,
        revision     int NOT NULL DEFAULT 1,
        state        text NOT NULL CHECK (state IN ('draft', 'submitted', 'returned', 'approved')),
        version      int NOT NULL DEFAULT 1,
        cells        jsonb NOT NULL DEFAULT '{}',
        note         text NOT NULL DEFAULT '',
        reason       text NOT NULL DEFAULT '',
        authors      text[] NOT NULL DEFAULT '{}',
        changed_at   timestamptz NOT NULL,
        changed_by   text NOT NULL,
        submitted_at timestamptz,
        UNIQUE (dataset_id, period, party)
    );
    COMMENT ON TABLE form_return IS
        'What one party reports for one period: the revision being worked on. What stands in the '
        'store is the newest approval whose load has not been undone.';
    COMMENT ON COLUMN form_return.cells IS
        'By column {"v": value}, {"t": text} that is no value, or {"v": value, "from": dataset}.';
    COMMENT ON COLUMN form_return.reason IS
        'Why it was returned, or why an approved one is corrected.';
    COMMENT ON COLUMN form_return.authors IS 'Who typed something of this revision.';
    CREATE INDEX form_return_waiting ON form_return (dataset_id, state);

    CREATE TABLE form_approval (
        return_id   bigint NOT NULL REFERENCES form_return ON DELETE CASCADE,
        revision    int NOT NULL,
        load_id     bigint NOT NULL REFERENCES load,
        cells       jsonb NOT NULL,
        evidence    jsonb NOT NULL,
        approved_at timestamptz NOT NULL,
        approved_by text NOT NULL,
        PRIMARY KEY (return_id, revision)
    );
    CREATE UNIQUE INDEX form_approval_load ON form_approval (load_id);

    CREATE TABLE form_act (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        return_id  bigint NOT NULL REFERENCES form_return ON DELETE CASCADE,
        revision   int NOT NULL,
        at         timestamptz NOT NULL,
        actor      text NOT NULL,
        actor_name text NOT NULL,
        what       text NOT NULL,
        note       text NOT NULL DEFAULT '',
        changes    jsonb NOT NULL DEFAULT '{}'
    );
    CREATE INDEX form_act_return ON form_act (return_id, id);
    COMMENT ON TABLE form_act IS 'The history of a return: nothing in it changes or goes.';
    COMMENT ON COLUMN form_act.changes IS 'By column [before, after].';

    CREATE TABLE form_evidence (
        return_id   bigint NOT NULL REFERENCES form_return ON DELETE CASCADE,
        sha256      bytea NOT NULL,
        column_name text NOT NULL DEFAULT '',
        name        text NOT NULL,
        media       text NOT NULL,
        bytes       bigint NOT NULL,
        added_at    timestamptz NOT NULL,
        added_by    text NOT NULL,
        removed_at  timestamptz,
        PRIMARY KEY (return_id, sha256, column_name)
    );

    CREATE TABLE form_late (
        dataset_id int NOT NULL REFERENCES dataset ON DELETE CASCADE,
        period     text NOT NULL,
        party      text NOT NULL,
        told_at    timestamptz NOT NULL,
        PRIMARY KEY (dataset_id, period, party)
    );
    COMMENT ON TABLE form_late IS 'Returns whose being late has been told.';
    """)
