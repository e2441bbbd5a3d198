"""Returns that are tables: a return has lines, each with its key and its figures."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE form_return ADD COLUMN lines jsonb NOT NULL DEFAULT '[]';
    UPDATE form_return SET lines = jsonb_build_array(jsonb_build_object('line', '', 'cells', cells))
        WHERE version > 0;
    ALTER TABLE form_return DROP COLUMN cells;
    COMMENT ON COLUMN form_return.lines IS
        'In their order {"line": key, "cells": …}; key "" where the form is no table. Cells by column '
        '{"v": value}, {"t": text} that is no value, or {"v": value, "from": dataset}.';

    ALTER TABLE form_approval ADD COLUMN lines jsonb NOT NULL DEFAULT '[]';
    UPDATE form_approval SET lines = jsonb_build_array(jsonb_build_object('line', '', 'cells', cells));
    ALTER TABLE form_approval DROP COLUMN cells;
    ALTER TABLE form_approval ALTER COLUMN lines DROP DEFAULT;

    ALTER TABLE form_act ADD COLUMN lines jsonb NOT NULL DEFAULT '[]';
    COMMENT ON COLUMN form_act.lines IS
        'Of a table what became of each line: {"line": key, "what": added, removed or changed, '
        '"columns": {column: [before, after]}}.';
    """)
