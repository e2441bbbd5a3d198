"""Contradictions between records: by the record's key instead of a stream and an instant."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE conflict
        ALTER COLUMN stream_id DROP NOT NULL,
        ALTER COLUMN t DROP NOT NULL,
        ADD COLUMN record_key text,
        ADD CONSTRAINT conflict_of_one_kind CHECK (
            CASE WHEN record_key IS NULL THEN num_nulls(stream_id, t) = 0
                 ELSE num_nonnulls(stream_id, t) = 0 END),
        ADD UNIQUE (load_id, record_key);
    COMMENT ON COLUMN conflict.candidates IS
        'Of a series [{"row", "value", "quality"}], of records [{"row", "quality", "values": '
        '{column: value}}]; row: the number in the file.';
    """)
