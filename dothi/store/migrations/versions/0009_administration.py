"""Merged agencies, passwords that must be changed, sharing decisions, sign-in by a provider."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE agency ADD COLUMN merged_into bigint REFERENCES agency;
    CREATE INDEX agency_merged_into ON agency (merged_into) WHERE merged_into IS NOT NULL;

    ALTER TABLE account ADD COLUMN must_change boolean NOT NULL DEFAULT false;
    COMMENT ON COLUMN account.must_change IS
        'The password was told by somebody else: nothing but changing it is possible.';

    CREATE TABLE sharing_decision (
        id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dataset_id   int NOT NULL REFERENCES dataset ON DELETE CASCADE,
        sharing      jsonb NOT NULL,
        valid_from   date NOT NULL,
        valid_to     date CHECK (valid_to >= valid_from),
        decided_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        decided_by   text NOT NULL,
        decider_name text NOT NULL
    );
    CREATE INDEX sharing_decision_dataset ON sharing_decision (dataset_id, id);
    COMMENT ON TABLE sharing_decision IS
        'Of the decisions that have begun the newest counts until its last day (valid_to); without '
        'one, what the contract says.';

    CREATE TABLE account_link (
        issuer    text NOT NULL,
        subject   text NOT NULL,
        account   bigint NOT NULL REFERENCES account,
        linked_at timestamptz NOT NULL,
        PRIMARY KEY (issuer, subject)
    );
    CREATE INDEX account_link_account ON account_link (account);
    ALTER TABLE session ADD COLUMN issuer text;
    COMMENT ON COLUMN session.issuer IS 'The provider that signed them in; none: a password did.';

    CREATE TABLE oidc_attempt (
        state_hash bytea PRIMARY KEY,
        nonce      text NOT NULL,
        verifier   text NOT NULL,
        goal       text NOT NULL,
        account    bigint REFERENCES account,
        at         timestamptz NOT NULL
    );
    COMMENT ON COLUMN oidc_attempt.account IS
        'Who was signed in when they began, and wants this identity linked.';
    """)
