"""Work items: their clocks, pauses, rungs, history, and the calendars they count by."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE work_calendar (
        name       text PRIMARY KEY CHECK (name <> 'always'),
        definition jsonb NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        changed_by text NOT NULL
    );
    COMMENT ON TABLE work_calendar IS
        'Hours of a week, days off and days with other hours, each with its ground; '
        '"always" needs no row.';

    CREATE TABLE work_number (
        series text NOT NULL,
        year   int NOT NULL,
        last   int NOT NULL,
        PRIMARY KEY (series, year)
    );

    CREATE TABLE work_item (
        id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        code         text NOT NULL UNIQUE,
        kind         text NOT NULL,
        title        jsonb NOT NULL,
        detail       jsonb NOT NULL,
        severity     smallint NOT NULL CHECK (severity BETWEEN 1 AND 3),
        owner_agency bigint NOT NULL REFERENCES agency,
        assignee     bigint REFERENCES account,
        state        text NOT NULL,
        service      text,
        place        text NOT NULL,
        source       jsonb NOT NULL,
        dedupe_key   text,
        opened_at    timestamptz NOT NULL,
        started_at   timestamptz NOT NULL,
        budget       interval NOT NULL CHECK (budget >= '0'),
        calendar     text NOT NULL,
        due_at       timestamptz,
        done_at      timestamptz,
        used         interval,
        closed_at    timestamptz,
        raised       int NOT NULL DEFAULT 1,
        version      int NOT NULL DEFAULT 1
    );
    CREATE UNIQUE INDEX work_item_open_key ON work_item (dedupe_key) WHERE closed_at IS NULL;
    CREATE INDEX work_item_urgent ON work_item
        ((-severity), (coalesce(due_at, 'infinity'::timestamptz)), id) WHERE closed_at IS NULL;
    CREATE INDEX work_item_agency ON work_item (owner_agency) WHERE closed_at IS NULL;
    CREATE INDEX work_item_closed ON work_item (closed_at DESC, id DESC)
        WHERE closed_at IS NOT NULL;
    COMMENT ON COLUMN work_item.due_at IS
        'When the budget is used up; null while a pause that came earlier lasts.';
    COMMENT ON COLUMN work_item.used IS
        'The working time used when the item was reported done or was cancelled.';

    CREATE TABLE work_pause (
        work_id bigint NOT NULL REFERENCES work_item ON DELETE CASCADE,
        since   timestamptz NOT NULL,
        until   timestamptz CHECK (until >= since),
        reason  text NOT NULL,
        actor   text NOT NULL,
        waits   boolean NOT NULL DEFAULT false
    );
    CREATE INDEX work_pause_item ON work_pause (work_id);
    CREATE UNIQUE INDEX work_pause_open ON work_pause (work_id) WHERE until IS NULL;
    COMMENT ON COLUMN work_pause.waits IS
        'The time an item lay reported done before its result was refused, not a pause by a person.';

    CREATE TABLE work_rung (
        work_id   bigint NOT NULL REFERENCES work_item ON DELETE CASCADE,
        name      text NOT NULL,
        after     interval NOT NULL CHECK (after >= '0'),
        recipient text NOT NULL,
        message   text NOT NULL,
        due_at    timestamptz,
        fired_at  timestamptz,
        PRIMARY KEY (work_id, name)
    );
    CREATE INDEX work_rung_due ON work_rung (due_at) WHERE fired_at IS NULL AND due_at IS NOT NULL;
    COMMENT ON COLUMN work_rung.due_at IS
        'Null while its clock stands still and once the item is done or closed.';

    CREATE TABLE work_history (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        work_id    bigint NOT NULL REFERENCES work_item ON DELETE CASCADE,
        at         timestamptz NOT NULL,
        actor      text NOT NULL,
        actor_name text NOT NULL,
        what       text NOT NULL,
        from_state text,
        to_state   text,
        note       text NOT NULL,
        detail     jsonb NOT NULL DEFAULT '{}'
    );
    CREATE INDEX work_history_item ON work_history (work_id, id);

    -- Office hours as most agencies keep them, with the days off of 2026. A province sets its own.
    INSERT INTO work_calendar (name, changed_by, definition) VALUES ('office', 'system', '{
        "zone": "Asia/Ho_Chi_Minh",
        "week": {
            "0": [["07:30", "11:30"], ["13:30", "17:00"]],
            "1": [["07:30", "11:30"], ["13:30", "17:00"]],
            "2": [["07:30", "11:30"], ["13:30", "17:00"]],
            "3": [["07:30", "11:30"], ["13:30", "17:00"]],
            "4": [["07:30", "11:30"], ["13:30", "17:00"]]
        },
        "days": {
            "2026-01-01": {"hours": [], "ground": "Tết Dương lịch"},
            "2026-01-02": {"hours": [], "ground": "Hoán đổi với ngày 10/01/2026"},
            "2026-01-10": {"hours": [["07:30", "11:30"], ["13:30", "17:00"]],
                           "ground": "Làm bù cho ngày 02/01/2026"},
            "2026-02-16": {"hours": [], "ground": "Tết Nguyên đán"},
            "2026-02-17": {"hours": [], "ground": "Tết Nguyên đán"},
            "2026-02-18": {"hours": [], "ground": "Tết Nguyên đán"},
            "2026-02-19": {"hours": [], "ground": "Tết Nguyên đán"},
            "2026-02-20": {"hours": [], "ground": "Tết Nguyên đán"},
            "2026-04-27": {"hours": [], "ground": "Nghỉ bù ngày Giỗ Tổ Hùng Vương"},
            "2026-04-30": {"hours": [], "ground": "Ngày Chiến thắng"},
            "2026-05-01": {"hours": [], "ground": "Ngày Quốc tế lao động"},
            "2026-08-22": {"hours": [["07:30", "11:30"], ["13:30", "17:00"]],
                           "ground": "Làm bù cho ngày 31/08/2026"},
            "2026-08-31": {"hours": [], "ground": "Hoán đổi với ngày 22/08/2026"},
            "2026-09-01": {"hours": [], "ground": "Quốc khánh"},
            "2026-09-02": {"hours": [], "ground": "Quốc khánh"},
            "2026-11-24": {"hours": [], "ground": "Ngày Văn hóa Việt Nam"}
        }
    }');
    """)
