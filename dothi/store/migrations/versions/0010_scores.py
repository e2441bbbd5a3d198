"""Scores: definitions beside those of indicators, and the instant for which their figures hold."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE indicator
        ADD COLUMN kind text NOT NULL DEFAULT 'indicator' CHECK (kind IN ('indicator', 'score')),
        ADD COLUMN as_of timestamptz,
        ADD COLUMN rests_on jsonb;
    COMMENT ON COLUMN indicator.as_of IS
        'Of a score: the instant for which its figures were last computed.';
    COMMENT ON COLUMN indicator.rests_on IS
        'Of a score: the newest load of each of its datasets that its figures know.';
    """)
