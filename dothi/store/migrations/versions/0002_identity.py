"""Agencies, accounts, sessions, keys, the login throttle and the audit chain."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE agency (
        id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        code    text NOT NULL UNIQUE,
        name_vi text NOT NULL,
        name_en text NOT NULL,
        parent  bigint REFERENCES agency,
        valid   daterange NOT NULL DEFAULT '(,)' CHECK (NOT isempty(valid))
    );
    CREATE INDEX agency_parent ON agency (parent);

    CREATE TABLE account (
        id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        login         text NOT NULL UNIQUE,
        display_name  text NOT NULL,
        agency_id     bigint NOT NULL REFERENCES agency,
        roles         text[] NOT NULL CHECK (cardinality(roles) > 0),
        password_hash text NOT NULL,
        created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        disabled_at   timestamptz
    );

    CREATE TABLE session (
        token_hash bytea PRIMARY KEY,
        account    bigint NOT NULL REFERENCES account,
        created_at timestamptz NOT NULL,
        seen_at    timestamptz NOT NULL,
        address    text NOT NULL DEFAULT ''
    );
    CREATE INDEX session_account ON session (account);
    CREATE INDEX session_seen ON session (seen_at);
    COMMENT ON COLUMN session.token_hash IS 'SHA-256 of the cookie; the cookie itself is not kept.';

    CREATE TABLE api_key (
        prefix      text PRIMARY KEY,
        secret_hash bytea NOT NULL,
        name        text NOT NULL,
        agency_id   bigint NOT NULL REFERENCES agency,
        roles       text[] NOT NULL CHECK (cardinality(roles) > 0),
        actions     text[],
        created_at  timestamptz NOT NULL,
        created_by  text NOT NULL,
        expires_at  timestamptz NOT NULL,
        used_at     timestamptz,
        revoked_at  timestamptz
    );
    COMMENT ON COLUMN api_key.actions IS 'Limits the key to these actions; NULL: all its roles allow.';

    CREATE TABLE login_throttle (
        subject       bytea PRIMARY KEY,
        failures      integer NOT NULL,
        since         timestamptz NOT NULL,
        blocks        integer NOT NULL,
        blocked_until timestamptz
    );
    CREATE TABLE login_place (
        subject bytea PRIMARY KEY,
        seen_at timestamptz NOT NULL
    );
    COMMENT ON TABLE login_place IS
        'From where a login succeeded before: failures elsewhere do not make such a place wait.';

    CREATE TABLE audit_entry (
        seq       bigint PRIMARY KEY CHECK (seq > 0),
        event_id  bigint NOT NULL UNIQUE,
        at        timestamptz NOT NULL,
        actor     text,
        action    text NOT NULL,
        subject   text,
        detail    json NOT NULL,
        prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
        hash      bytea NOT NULL CHECK (octet_length(hash) = 32)
    );
    CREATE INDEX audit_entry_subject ON audit_entry (subject, seq);
    COMMENT ON COLUMN audit_entry.detail IS
        'json, not jsonb: the hash covers this text byte for byte.';

    CREATE FUNCTION audit_entry_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'entries of the audit trail are never changed or removed';
    END $$;
    CREATE TRIGGER audit_entry_final BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_final();
    """)
