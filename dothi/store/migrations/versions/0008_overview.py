"""How a person arranged their overview, and the names people search by."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE screen_arrangement (
        account_id bigint PRIMARY KEY REFERENCES account ON DELETE CASCADE,
        tiles      jsonb NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    COMMENT ON COLUMN screen_arrangement.tiles IS
        'Keys of tiles in their order; a hidden one has a minus before it.';

    CREATE INDEX load_at ON load (at);

    CREATE TABLE search_name (
        id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind       text NOT NULL,
        ref        text NOT NULL,
        code       text NOT NULL,
        title      jsonb NOT NULL,
        place      text NOT NULL DEFAULT '',
        url        text NOT NULL,
        dataset_id int REFERENCES dataset ON DELETE CASCADE,
        agency_id  bigint,
        rank       smallint NOT NULL,
        exact      text NOT NULL,
        key        text NOT NULL,
        words      tsvector GENERATED ALWAYS AS (to_tsvector('simple', key)) STORED,
        UNIQUE (kind, ref)
    );
    CREATE INDEX search_name_words ON search_name USING gin (words);
    CREATE INDEX search_name_start ON search_name (key text_pattern_ops);
    COMMENT ON TABLE search_name IS
        'What can be found by name: kept by the worker from the tables it names. Whether somebody '
        'may see an entry is asked of the policy anew at each search.';
    CREATE INDEX search_name_first ON search_name (rank) WHERE rank <= 3;
    CREATE INDEX load_named ON load (id) WHERE file_name IS NOT NULL;
    COMMENT ON COLUMN search_name.exact IS 'The code as words without accents.';
    COMMENT ON COLUMN search_name.key IS 'Titles, code and place as words without accents, in lower case.';
    """)
