"""Targets of indicators and scores, the numbers of the leader's page, urgings of work items."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE target (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        measure     text NOT NULL,
        part        text NOT NULL,
        place       text NOT NULL,
        grain       text NOT NULL CHECK (grain IN ('hour', 'day', 'month', 'quarter', 'year')),
        low         double precision,
        high        double precision CHECK (high >= low),
        valid_from  date NOT NULL,
        valid_to    date CHECK (valid_to >= valid_from),
        ground      text NOT NULL,
        ground_date date,
        verify      boolean NOT NULL,
        set_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
        set_by      text NOT NULL,
        setter_name text NOT NULL
    );
    CREATE INDEX target_measure ON target (measure, part);
    COMMENT ON TABLE target IS
        'Never changed: of those of one measure, part, place and grain that hold a day, the newest '
        'counts. One without bounds takes the others back on its days.';
    COMMENT ON COLUMN target.place IS '*: the whole province; agency:CODE; unit:CODE.';
    COMMENT ON COLUMN target.low IS 'A figure below it misses the target.';
    COMMENT ON COLUMN target.high IS 'A figure above it misses the target.';

    CREATE TABLE leader_list (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        numbers     jsonb NOT NULL,
        fixed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
        fixed_by    text NOT NULL,
        fixer_name  text NOT NULL
    );
    COMMENT ON TABLE leader_list IS 'The newest is what the leader''s page shows; the others are its past.';

    CREATE TABLE work_urging (
        key        text NOT NULL,
        day        date NOT NULL,
        work_id    bigint NOT NULL REFERENCES work_item ON DELETE CASCADE,
        nth        int NOT NULL,
        at         timestamptz NOT NULL,
        actor      text NOT NULL,
        actor_name text NOT NULL,
        PRIMARY KEY (key, day)
    );
    CREATE INDEX work_urging_work ON work_urging (work_id);
    COMMENT ON TABLE work_urging IS 'What was urged: once a day for each key, however often somebody taps.';
    """)
