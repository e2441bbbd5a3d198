"""Which administrative unit an agency is the body of: what it counts is shown with the unit. From
which network somebody is on the way to a provider of identities: each has its own count."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE agency ADD COLUMN unit_code text;
    CREATE UNIQUE INDEX agency_unit ON agency (unit_code) WHERE upper(valid) IS NULL;
    COMMENT ON COLUMN agency.unit_code IS
        'The code of the unit whose body it is (People''s Committee of a commune), as long as it '
        'lasts; one living agency for each unit.';

    ALTER TABLE oidc_attempt ADD COLUMN network bytea;
    CREATE INDEX oidc_attempt_network ON oidc_attempt (network);
    COMMENT ON COLUMN oidc_attempt.network IS 'Hashed; one network has only so many attempts at once.';
    """)
