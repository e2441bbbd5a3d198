"""Administrative units with validity, their outlines, and what became of each in a reform."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE unit_import (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at          timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor       text NOT NULL,
        day         date NOT NULL,
        files       jsonb NOT NULL,
        changes     jsonb NOT NULL,
        findings    jsonb NOT NULL
    );
    COMMENT ON TABLE unit_import IS
        'One for each import that changed something: files with their SHA-256, counts, findings.';

    CREATE TABLE unit (
        id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        code  text NOT NULL UNIQUE,
        level text NOT NULL CHECK (level IN ('province', 'district', 'commune'))
    );
    COMMENT ON TABLE unit IS
        'A code. What stood under it from when to when: unit_version. Reforms use codes again.';

    CREATE TABLE unit_version (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        unit_id     bigint NOT NULL REFERENCES unit,
        valid       daterange NOT NULL CHECK (NOT isempty(valid)),
        name        text NOT NULL,
        name_en     text,
        kind        text NOT NULL,
        parent      bigint REFERENCES unit,
        legal_basis text,
        lon         double precision,
        lat         double precision,
        population  bigint,
        area_km2    numeric,
        search_key  text NOT NULL,
        sort_key    text NOT NULL,
        sources     text[] NOT NULL,
        import_id   bigint NOT NULL REFERENCES unit_import,
        replaced_in bigint REFERENCES unit_import,
        EXCLUDE USING gist (int8range(unit_id, unit_id, '[]') WITH =, valid WITH &&)
            WHERE (replaced_in IS NULL)
    );
    CREATE INDEX unit_version_unit ON unit_version (unit_id) WHERE replaced_in IS NULL;
    CREATE INDEX unit_version_parent ON unit_version (parent) WHERE replaced_in IS NULL;
    CREATE INDEX unit_version_order ON unit_version (sort_key COLLATE "C", unit_id)
        WHERE replaced_in IS NULL;
    COMMENT ON COLUMN unit_version.valid IS 'Open below: since before our sources begin.';
    COMMENT ON COLUMN unit_version.legal_basis IS
        'Only what a source or the importing person says; NULL: to be verified.';
    COMMENT ON COLUMN unit_version.replaced_in IS
        'A later import said otherwise; the row stays so that what was shown can be explained.';

    CREATE TABLE unit_shape (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        unit_id     bigint NOT NULL REFERENCES unit,
        valid       daterange NOT NULL CHECK (NOT isempty(valid)),
        extent      box NOT NULL,
        digest      bytea NOT NULL,
        whole       text NOT NULL,
        near        text NOT NULL,
        middle      text NOT NULL,
        far         text NOT NULL,
        source      text NOT NULL,
        import_id   bigint NOT NULL REFERENCES unit_import,
        replaced_in bigint REFERENCES unit_import,
        EXCLUDE USING gist (int8range(unit_id, unit_id, '[]') WITH =, valid WITH &&)
            WHERE (replaced_in IS NULL)
    );
    CREATE INDEX unit_shape_unit ON unit_shape (unit_id) WHERE replaced_in IS NULL;
    CREATE INDEX unit_shape_extent ON unit_shape USING gist (extent) WHERE replaced_in IS NULL;
    COMMENT ON TABLE unit_shape IS
        'Outlines in WGS 84 as GeoJSON geometries: as given, and for maps of a commune (about '
        '10 m), of a province (100 m) and of the country (1 km).';

    CREATE TABLE unit_link (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        old_unit    bigint NOT NULL REFERENCES unit,
        new_unit    bigint NOT NULL REFERENCES unit,
        day         date NOT NULL,
        kind        text NOT NULL CHECK (kind IN ('unchanged', 'renamed', 'merged', 'split')),
        derived     boolean NOT NULL,
        legal_basis text,
        source      text NOT NULL,
        row_no      integer NOT NULL,
        import_id   bigint NOT NULL REFERENCES unit_import,
        replaced_in bigint REFERENCES unit_import
    );
    CREATE UNIQUE INDEX unit_link_once ON unit_link (day, old_unit, new_unit)
        WHERE replaced_in IS NULL;
    CREATE INDEX unit_link_new ON unit_link (new_unit) WHERE replaced_in IS NULL;
    COMMENT ON COLUMN unit_link.day IS
        'The first day of the new unit: old_unit is meant as of the day before, new_unit from it on.';
    COMMENT ON COLUMN unit_link.derived IS
        'Not in a file: a province link that follows from those of its communes.';

    CREATE TABLE unit_share (
        id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        old_unit    bigint NOT NULL REFERENCES unit,
        new_unit    bigint NOT NULL REFERENCES unit,
        day         date NOT NULL,
        basis       text NOT NULL CHECK (basis IN ('population', 'area')),
        share       numeric CHECK (share >= 0 AND share <= 1),
        amount      numeric CHECK (amount >= 0),
        source      text NOT NULL,
        given_by    text NOT NULL,
        import_id   bigint NOT NULL REFERENCES unit_import,
        replaced_in bigint REFERENCES unit_import,
        CHECK ((share IS NULL) <> (amount IS NULL))
    );
    CREATE UNIQUE INDEX unit_share_once ON unit_share (day, old_unit, new_unit, basis)
        WHERE replaced_in IS NULL;
    COMMENT ON TABLE unit_share IS
        'How an old unit divides: the share of it that went to the new one, or the people or km2.';

    CREATE VIEW unit_flow AS
    SELECT l.day, l.old_unit, l.new_unit, l.basis,
        CASE WHEN count(*) OVER from_old = 1 THEN 1
             WHEN s.share IS NOT NULL THEN s.share
             WHEN count(s.amount) OVER from_old = count(*) OVER from_old
             THEN s.amount / nullif(sum(s.amount) OVER from_old, 0) END AS forward,
        CASE WHEN count(*) OVER into_new = 1 THEN 1
             WHEN count(s.amount) OVER into_new = count(*) OVER into_new
             THEN s.amount / nullif(sum(s.amount) OVER into_new, 0) END AS back
    FROM (SELECT l.day, l.old_unit, l.new_unit, b.basis
          FROM unit_link l, (VALUES ('population'), ('area')) b (basis)
          WHERE l.replaced_in IS NULL) l
    LEFT JOIN (SELECT * FROM unit_share WHERE replaced_in IS NULL) s
        ON (s.day, s.old_unit, s.new_unit, s.basis) = (l.day, l.old_unit, l.new_unit, l.basis)
    WINDOW from_old AS (PARTITION BY l.basis, l.day, l.old_unit),
           into_new AS (PARTITION BY l.basis, l.day, l.new_unit);

    COMMENT ON VIEW unit_flow IS
        'Of each link and basis the share of the old unit that went to the new one, and the share '
        'of the new one that came from the old; 1: all of it, NULL: nobody has said.';

    CREATE FUNCTION unit_crosswalk(from_day date, to_day date, on_basis text DEFAULT 'population')
    RETURNS TABLE (source text, target text, share numeric) LANGUAGE sql STABLE AS $$
        WITH RECURSIVE reform AS (
            SELECT day, row_number() OVER (
                ORDER BY CASE WHEN from_day <= to_day THEN 1 ELSE -1 END * (day - date '2000-01-01')
            ) AS n
            FROM (SELECT DISTINCT day FROM unit_link WHERE replaced_in IS NULL
                  AND day > least(from_day, to_day) AND day <= greatest(from_day, to_day)) d
        ), step AS MATERIALIZED (
            SELECT r.n, f.old_unit AS a, f.new_unit AS b, f.forward AS part
            FROM unit_flow f JOIN reform r USING (day)
            WHERE f.basis = on_basis AND from_day <= to_day
            UNION ALL
            SELECT r.n, f.new_unit, f.old_unit, f.back
            FROM unit_flow f JOIN reform r USING (day)
            WHERE f.basis = on_basis AND from_day > to_day
        ), walk AS (
            SELECT unit_id AS source, unit_id AS at, 1::numeric AS share, 0::bigint AS n
            FROM unit_version WHERE replaced_in IS NULL AND valid @> from_day
            UNION ALL
            SELECT w.source, CASE WHEN s.a IS NULL THEN v.unit_id ELSE s.b END,
                CASE WHEN s.a IS NULL THEN w.share ELSE w.share * s.part END, w.n + 1
            FROM walk w JOIN reform r ON r.n = w.n + 1
            LEFT JOIN step s ON s.n = r.n AND s.a = w.at
            LEFT JOIN unit_version v ON v.unit_id = w.at AND v.replaced_in IS NULL
                AND v.valid @> daterange(r.day - 1, r.day, '[]')
        ), arrived AS (
            SELECT w.source, v.unit_id AS target,
                CASE WHEN count(w.share) = count(*) THEN sum(w.share) END AS share
            FROM walk w
            LEFT JOIN unit_version v ON v.unit_id = w.at AND v.replaced_in IS NULL
                AND v.valid @> to_day
            WHERE w.n = (SELECT count(*) FROM reform)
            GROUP BY w.source, v.unit_id
        )
        SELECT s.code, t.code, CASE
            WHEN count(*) OVER (PARTITION BY a.source) = 1 THEN 1
            WHEN count(a.share) OVER (PARTITION BY a.source) = count(*) OVER (PARTITION BY a.source)
                AND count(a.target) OVER (PARTITION BY a.source)
                    = count(*) OVER (PARTITION BY a.source)
            THEN a.share END
        FROM arrived a JOIN unit s ON s.id = a.source LEFT JOIN unit t ON t.id = a.target
    $$;
    COMMENT ON FUNCTION unit_crosswalk IS
        'Where the units of one day are on another: share 1 whole, below 1 by given shares, NULL '
        'not separable; target NULL: no unit followed.';
    """)
