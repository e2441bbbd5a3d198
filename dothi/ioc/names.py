"""What can be found by name: kept equal to the tables that hold the names.

The worker looks again and again for names that came, changed or went. Reading them here, where all
rooms are below, spares each room a part in the search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psycopg.types.json import Jsonb

from dothi.kernel.i18n import LANGS
from dothi.kernel.text import search_key
from dothi.kernel.time import VN, local_date, utc_now
from dothi.lake import registry
from dothi.store.database import Connection, Database, own_sql

MOST_AT_ONCE = 50_000
LONGEST_KEY = 1_000
_NO_WORD = re.compile(r"[\W_]+")

# kind, ref, code, title, place, url, dataset_id, agency_id, rank (small: shown first)
_SOURCES = {
    "indicator": """
        SELECT i.name AS ref, i.name AS code,
               %(titles)s::jsonb -> d.name AS title, i.pack AS place,
               '/indicators/' || i.name AS url, i.dataset_id, NULL::bigint AS agency_id, 1 AS rank
        FROM indicator i JOIN dataset d ON d.id = i.dataset_id WHERE i.active""",
    "dataset": """
        SELECT d.name, d.name, %(titles)s::jsonb -> d.name, coalesce(a.name_vi, ''),
               '/data/' || d.name, d.id, NULL::bigint, 2
        FROM dataset d LEFT JOIN agency a ON a.id = d.owner_agency
        WHERE NOT EXISTS (SELECT FROM indicator i WHERE i.dataset_id = d.id)""",
    "agency": """
        SELECT code, code, jsonb_build_object('vi', name_vi, 'en', name_en), '',
               '/agencies/' || code, NULL::int, NULL::bigint, 3
        FROM agency WHERE valid @> %(today)s""",
    "unit": """
        SELECT u.code, u.code, jsonb_build_object('vi', v.name, 'en', v.name_en),
               coalesce(p.name, ''), '/units/' || u.code, NULL::int, NULL::bigint,
               CASE u.level WHEN 'province' THEN 4 WHEN 'commune' THEN 5 ELSE 6 END
        FROM unit u
        JOIN unit_version v ON v.unit_id = u.id AND v.replaced_in IS NULL AND v.valid @> %(today)s
        LEFT JOIN unit_version p ON p.unit_id = v.parent AND p.replaced_in IS NULL
             AND p.valid @> %(today)s""",
    "thing": """
        SELECT t.id::text, array_to_string(t.key, ' '), t.name, %(titles)s::jsonb #>> ARRAY[d.name, 'vi'],
               coalesce('/ioc?stream=' || s.first || '#chart', '/ioc'), t.dataset_id, t.agency_id, 7
        FROM thing t JOIN dataset d ON d.id = t.dataset_id
        LEFT JOIN (SELECT thing_id, min(id) AS first FROM stream GROUP BY 1) s ON s.thing_id = t.id
        WHERE NOT EXISTS (SELECT FROM indicator i WHERE i.dataset_id = d.id)""",
    "work": """
        SELECT w.code, w.code, w.title, w.place, '/work/' || w.code, NULL::int, w.owner_agency, 8
        FROM work_item w""",
    "load": """
        SELECT l.id::text, l.id::text, jsonb_build_object('vi', l.file_name),
               %(titles)s::jsonb #>> ARRAY[d.name, 'vi'], '/loads/' || l.id, l.dataset_id, NULL::bigint, 9
        FROM load l JOIN dataset d ON d.id = l.dataset_id
        WHERE l.file_name IS NOT NULL AND l.state <> 'pending'""",
}
KINDS = tuple(_SOURCES)
_TABLES = {
    "indicator": ("indicator", "dataset"),
    "dataset": ("indicator", "dataset", "agency"),
    "agency": ("agency",),
    "unit": ("unit", "unit_version"),
    "thing": ("thing", "stream"),
    "work": ("work_item",),
    "load": ("load",),
}
"""The tables that a kind's names come from."""


def words(text: str) -> str:
    """A text as search compares it: words of letters and digits, without accents and case."""
    return _NO_WORD.sub(" ", search_key(text)).strip()


class Keeper:
    """Looks only at kinds whose tables were written to since it looked last, and at all of them when
    a day begins: units and agencies come and go with it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._written: dict[str, int] = {}
        self._day: date | None = None

    def look(self) -> int:
        """How many names came, changed or went."""
        today = local_date(utc_now(), VN)
        with self._db.transaction() as conn:
            written = dict(
                conn.execute(
                    """SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables
                       WHERE schemaname = current_schema()"""
                ).fetchall()
            )
        kinds = [
            kind for kind, tables in _TABLES.items()
            if today != self._day or any(written[t] != self._written.get(t) for t in tables)
        ]  # fmt: skip
        changed = keep_names(self._db, kinds)
        self._written, self._day = written, today
        return changed


def keep_names(db: Database, kinds: Sequence[str] = KINDS) -> int:
    """Bring the names in line with their sources; how many came, changed or went."""
    if not kinds:
        return 0
    with db.transaction() as conn:
        titles = {d.name: d.contract.title for d in registry.datasets(conn)}
    values = {"today": local_date(utc_now(), VN), "titles": Jsonb(titles), "most": MOST_AT_ONCE}
    changed = 0
    for kind in kinds:
        with db.transaction() as conn:
            changed += _forget(conn, kind, values)
        while True:
            with db.transaction() as conn:
                found = _take(conn, kind, values)
            changed += found
            if found < MOST_AT_ONCE:
                break
    return changed


def _source(kind: str) -> str:
    columns = "ref, code, title, place, url, dataset_id, agency_id, rank"
    return f"(SELECT * FROM ({_SOURCES[kind]}) x ({columns}))"


def _forget(conn: Connection, kind: str, values: Mapping[str, Any]) -> int:
    gone = conn.execute(
        own_sql(f"""
        DELETE FROM search_name n WHERE n.kind = %(kind)s
        AND NOT EXISTS (SELECT FROM {_source(kind)} s WHERE s.ref = n.ref)"""),
        {"kind": kind, **values},
    )
    return gone.rowcount


def _take(conn: Connection, kind: str, values: Mapping[str, Any]) -> int:
    """Take up names that are new or changed, at most so many."""
    rows: list[tuple[Any, ...]] = conn.execute(
        own_sql(f"""
        SELECT s.ref, s.code, s.title, s.place, s.url, s.dataset_id, s.agency_id, s.rank
        FROM {_source(kind)} s
        LEFT JOIN search_name n ON n.kind = %(kind)s AND n.ref = s.ref
        WHERE n.id IS NULL
           OR (n.code, n.title, n.place, n.url, n.dataset_id, n.agency_id, n.rank)
              IS DISTINCT FROM
              (s.code, s.title, s.place, s.url, s.dataset_id, s.agency_id, s.rank)
        LIMIT %(most)s"""),
        {"kind": kind, **values},
    ).fetchall()
    columns = ("ref", "code", "title", "place", "url", "dataset_id", "agency_id", "rank")
    entries: list[dict[str, Any]] = [dict(zip(columns, row, strict=True)) for row in rows]
    for one in entries:
        by_lang = {lang: one["title"].get(lang) for lang in LANGS}  # Vietnamese first
        titles = dict.fromkeys(filter(None, by_lang.values()))
        one["key"] = words(" ".join((*titles, one["code"], one["place"])))[:LONGEST_KEY]
        one |= {"kind": kind, "exact": words(one["code"]), "title": Jsonb(one["title"])}
    with conn.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO search_name
                   (kind, ref, code, title, place, url, dataset_id, agency_id, rank, exact, key)
               VALUES (%(kind)s, %(ref)s, %(code)s, %(title)s, %(place)s, %(url)s, %(dataset_id)s,
                       %(agency_id)s, %(rank)s, %(exact)s, %(key)s)
               ON CONFLICT (kind, ref) DO UPDATE SET
                   code = excluded.code, title = excluded.title, place = excluded.place,
                   url = excluded.url, dataset_id = excluded.dataset_id,
                   agency_id = excluded.agency_id, rank = excluded.rank, exact = excluded.exact,
                   key = excluded.key""",
            entries,
        )
    return len(entries)
