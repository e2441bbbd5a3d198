"""Duty (trực ban): shifts, who is on call, the log, handovers, the morning brief."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE duty_shift (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        agency_id  bigint NOT NULL REFERENCES agency,
        name       text NOT NULL CHECK (name <> ''),
        begins     time NOT NULL,
        ends       time NOT NULL,
        days       text NOT NULL CHECK (days IN ('every', 'working', 'off')),
        valid      daterange NOT NULL CHECK (NOT isempty(valid) AND NOT lower_inf(valid)),
        created_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE INDEX duty_shift_agency ON duty_shift (agency_id);
    COMMENT ON COLUMN duty_shift.ends IS
        'Vietnamese time, as begins; not after begins: on the next day.';
    COMMENT ON COLUMN duty_shift.valid IS 'The days on which it may begin.';

    CREATE TABLE duty_person (
        shift_id   bigint NOT NULL REFERENCES duty_shift,
        day        date NOT NULL,
        account_id bigint NOT NULL REFERENCES account,
        role       text NOT NULL CHECK (role IN ('main', 'second', 'leader')),
        during     tstzrange NOT NULL CHECK (NOT isempty(during)),
        PRIMARY KEY (shift_id, day, account_id),
        CONSTRAINT duty_person_once EXCLUDE USING gist
            (int8range(account_id, account_id, '[]') WITH &&, during WITH &&)
    );
    COMMENT ON CONSTRAINT duty_person_once ON duty_person IS
        'Nobody is in two shifts at the same time.';

    CREATE TABLE duty_change (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        agency_id  bigint NOT NULL REFERENCES agency,
        at         timestamptz NOT NULL,
        actor      text NOT NULL,
        actor_name text NOT NULL,
        what       text NOT NULL,
        detail     jsonb NOT NULL,
        reason     text NOT NULL DEFAULT ''
    );
    CREATE INDEX duty_change_agency ON duty_change (agency_id, id);

    CREATE TABLE duty_entry (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        agency_id  bigint NOT NULL REFERENCES agency,
        shift_id   bigint REFERENCES duty_shift,
        day        date NOT NULL,
        at         timestamptz NOT NULL,
        kind       text NOT NULL CHECK (kind IN ('event', 'directive', 'handover')),
        text       text NOT NULL CHECK (text <> ''),
        text_en    text,
        important  boolean NOT NULL,
        links      jsonb NOT NULL DEFAULT '[]',
        actor      text NOT NULL,
        actor_name text NOT NULL,
        corrects   bigint UNIQUE REFERENCES duty_entry,
        source     text,
        written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (agency_id, source)
    );
    CREATE INDEX duty_entry_day ON duty_entry (agency_id, at);
    COMMENT ON COLUMN duty_entry.source IS
        'What an entry was pulled in from ("event:7"): once for each agency.';

    CREATE TABLE duty_handover (
        id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        agency_id      bigint NOT NULL REFERENCES agency,
        shift_id       bigint NOT NULL REFERENCES duty_shift,
        day            date NOT NULL,
        at             timestamptz NOT NULL,
        given_by       bigint NOT NULL REFERENCES account,
        given_name     text NOT NULL,
        summary        text NOT NULL CHECK (summary <> ''),
        open_work      jsonb NOT NULL,
        taken_by       bigint REFERENCES account CHECK (taken_by <> given_by),
        taken_name     text,
        taken_at       timestamptz,
        note           text NOT NULL DEFAULT '',
        UNIQUE (shift_id, day),
        CHECK ((taken_by IS NULL) = (taken_at IS NULL))
    );
    CREATE INDEX duty_handover_agency ON duty_handover (agency_id, at);

    CREATE TABLE duty_brief (
        id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        agency_id bigint NOT NULL REFERENCES agency,
        day       date NOT NULL,
        since     timestamptz NOT NULL,
        until     timestamptz NOT NULL,
        made_at   timestamptz NOT NULL,
        late      text CHECK (late IN ('stopped', 'no_shift')),
        UNIQUE (agency_id, day)
    );
    COMMENT ON COLUMN duty_brief.late IS
        'Why it was not made at its hour: nothing ran then, or there was no shift yet.';

    CREATE TABLE duty_brief_version (
        brief_id   bigint NOT NULL REFERENCES duty_brief,
        no         integer NOT NULL CHECK (no > 0),
        at         timestamptz NOT NULL,
        what       text NOT NULL CHECK (what IN ('generated', 'edited', 'published', 'amended')),
        actor      text NOT NULL,
        actor_name text NOT NULL,
        reason     text NOT NULL DEFAULT '',
        body       jsonb NOT NULL,
        PRIMARY KEY (brief_id, no),
        CHECK (what <> 'amended' OR reason <> '')
    );

    CREATE FUNCTION duty_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'what was written on duty is corrected by a new entry, never changed';
    END $$;
    CREATE TRIGGER duty_entry_final BEFORE UPDATE OR DELETE OR TRUNCATE ON duty_entry
        FOR EACH STATEMENT EXECUTE FUNCTION duty_is_final();
    CREATE TRIGGER duty_change_final BEFORE UPDATE OR DELETE OR TRUNCATE ON duty_change
        FOR EACH STATEMENT EXECUTE FUNCTION duty_is_final();
    CREATE TRIGGER duty_brief_version_final BEFORE UPDATE OR DELETE OR TRUNCATE
        ON duty_brief_version FOR EACH STATEMENT EXECUTE FUNCTION duty_is_final();
    CREATE TRIGGER duty_handover_final BEFORE UPDATE ON duty_handover
        FOR EACH ROW WHEN (OLD.taken_at IS NOT NULL) EXECUTE FUNCTION duty_is_final();
    CREATE TRIGGER duty_handover_kept BEFORE DELETE OR TRUNCATE ON duty_handover
        FOR EACH STATEMENT EXECUTE FUNCTION duty_is_final();
    """)
