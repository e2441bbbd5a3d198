"""Decisions by the load whose contradictions they decide: they are taken out with it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("""
    CREATE INDEX load_decision ON load (((report->>'of_load')::bigint)) WHERE door = 'decision';
    """)
