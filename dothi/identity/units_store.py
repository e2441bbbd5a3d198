"""Stored units as an import sees them, and what it takes to turn one state into another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from psycopg.types.json import Jsonb
from psycopg.types.range import DateRange

from dothi.kernel.text import search_key, vietnamese_sort_key
from dothi.store.database import Connection

LinkKey = tuple[date, str, str]
"""Day, old code, new code."""
ShareKey = tuple[date, str, str, str]
"""Day, old code, new code, basis."""


@dataclass(frozen=True)
class Version:
    """What a unit was from `begin` (None: open) until the day before `end`."""

    name: str
    kind: str
    name_en: str | None = None
    parent: str | None = None
    legal_basis: str | None = None
    lon: float | None = None
    lat: float | None = None
    population: int | None = None
    area_km2: Decimal | None = None
    begin: date | None = None
    end: date | None = None
    sources: tuple[str, ...] = field(default=(), compare=False)

    def filled_from(self, other: Version) -> Version:
        """This, with what it does not say taken from another."""
        blank = {f.name: getattr(other, f.name) for f in fields(self)}
        said = {k: getattr(self, k) or v for k, v in blank.items()}
        said["sources"] = tuple(dict.fromkeys((*self.sources, *other.sources)))
        return Version(**said)


@dataclass(frozen=True)
class Shape:
    """An outline from `begin` until the day before `end`; the digest stands for the texts."""

    digest: str
    begin: date | None
    end: date | None
    texts: tuple[str, str, str, str] = field(default=("", "", "", ""), compare=False)
    extent: tuple[float, float, float, float] = field(default=(0, 0, 0, 0), compare=False)
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class StoredLink:
    kind: str
    derived: bool
    legal_basis: str | None
    source: str = field(default="", compare=False)
    row: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Share:
    share: Decimal | None
    amount: Decimal | None
    source: str
    given_by: str


@dataclass
class Stored:
    """All current units by code: level, versions in order, outlines; links; shares."""

    levels: dict[str, str] = field(default_factory=dict)
    versions: dict[str, list[Version]] = field(default_factory=dict)
    shapes: dict[str, list[Shape]] = field(default_factory=dict)
    links: dict[LinkKey, StoredLink] = field(default_factory=dict)
    shares: dict[ShareKey, Share] = field(default_factory=dict)
    rows: dict[tuple[str, Hashable], int] = field(default_factory=dict)
    """The row that holds a thing: ("version", (code, version)) and so on."""

    def copy(self) -> Stored:
        return Stored(
            dict(self.levels),
            {code: list(found) for code, found in self.versions.items()},
            {code: list(found) for code, found in self.shapes.items()},
            dict(self.links),
            dict(self.shares),
        )

    def on(self, code: str, day: date) -> Version | None:
        """The version of a code that holds on a day."""
        return next((v for v in self.versions.get(code, ()) if holds(v, day)), None)

    def things(self) -> dict[str, set[tuple[Hashable, Hashable]]]:
        """All that is stored, by sort, as (key, thing)."""
        return {
            "version": {(code, v) for code, found in self.versions.items() for v in found},
            "shape": {(code, s) for code, found in self.shapes.items() for s in found},
            "link": set(self.links.items()),
            "share": set(self.shares.items()),
        }


@dataclass
class Changes:
    """What is new and which rows are replaced, by sort."""

    levels: dict[str, str]
    added: dict[str, list[tuple[Any, Any]]]
    replaced: dict[str, list[int]]

    @property
    def any(self) -> bool:
        return any(self.added.values()) or any(self.replaced.values())

    @property
    def counts(self) -> dict[str, int]:
        sorts = {f"{sort}s": len(found) for sort, found in self.added.items()}
        return sorts | {"replaced": sum(map(len, self.replaced.values()))}


def holds(thing: Version | Shape, day: date) -> bool:
    """Whether a day lies between its ends."""
    begin, end = thing.begin, thing.end
    return (begin is None or begin <= day) and (end is None or day < end)


def load(conn: Connection) -> Stored:
    """What is stored now; nobody else changes it until the transaction ends."""
    conn.execute("LOCK TABLE unit IN SHARE ROW EXCLUSIVE MODE")
    stored = Stored(dict(conn.execute("SELECT code, level FROM unit").fetchall()))
    versions: dict[str, list[Version]] = defaultdict(list)
    for number, code, *told in conn.execute(
        "SELECT v.id, u.code, v.name, v.kind, v.name_en, p.code, v.legal_basis, v.lon, v.lat, "
        "v.population, v.area_km2, lower(v.valid), upper(v.valid), v.sources "
        "FROM unit_version v JOIN unit u ON u.id = v.unit_id LEFT JOIN unit p ON p.id = v.parent "
        "WHERE v.replaced_in IS NULL ORDER BY u.code, v.valid"
    ):
        version = Version(*told[:-1], sources=tuple(told[-1]))
        versions[code].append(version)
        stored.rows["version", (code, version)] = number
    shapes: dict[str, list[Shape]] = defaultdict(list)
    for number, code, digest, begin, end in conn.execute(
        "SELECT s.id, u.code, encode(s.digest, 'hex'), lower(s.valid), upper(s.valid) "
        "FROM unit_shape s JOIN unit u ON u.id = s.unit_id WHERE s.replaced_in IS NULL"
    ):
        shape = Shape(digest, begin, end)
        shapes[code].append(shape)
        stored.rows["shape", (code, shape)] = number
    for number, day, old, new, *told in conn.execute(
        "SELECT l.id, l.day, o.code, n.code, l.kind, l.derived, l.legal_basis, l.source, l.row_no "
        "FROM unit_link l JOIN unit o ON o.id = l.old_unit JOIN unit n ON n.id = l.new_unit "
        "WHERE l.replaced_in IS NULL"
    ):
        link = stored.links[day, old, new] = StoredLink(*told)
        stored.rows["link", ((day, old, new), link)] = number
    for number, day, old, new, basis, *told in conn.execute(
        "SELECT s.id, s.day, o.code, n.code, s.basis, s.share, s.amount, s.source, s.given_by "
        "FROM unit_share s JOIN unit o ON o.id = s.old_unit JOIN unit n ON n.id = s.new_unit "
        "WHERE s.replaced_in IS NULL"
    ):
        share = stored.shares[day, old, new, basis] = Share(*told)
        stored.rows["share", ((day, old, new, basis), share)] = number
    stored.versions, stored.shapes = dict(versions), dict(shapes)
    return stored


def difference(before: Stored, after: Stored) -> Changes:
    """What must be written so that `after` is stored."""
    old, new = before.things(), after.things()
    added = {sort: list(new[sort] - old[sort]) for sort in new}
    gone = {sort: [before.rows[sort, one] for one in old[sort] - new[sort]] for sort in new}
    return Changes(_without(after.levels, before.levels), added, gone)


def _without(all_of: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    return {code: level for code, level in all_of.items() if code not in known}


def begin(
    conn: Connection, actor: str, day: date, files: Jsonb, changes: Jsonb, findings: Jsonb
) -> int:
    """Enter an import; its number."""
    row = conn.execute(
        "INSERT INTO unit_import (actor, day, files, changes, findings) "
        "VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (actor, day, files, changes, findings),
    ).fetchone()
    assert row is not None
    return row[0]


def write(conn: Connection, number: int, changes: Changes) -> None:
    """Make the changes of import `number`."""
    for sort, statement in _REPLACE.items():
        if changes.replaced[sort]:
            conn.execute(statement, (number, changes.replaced[sort]))
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO unit (code, level) VALUES (%s, %s)", sorted(changes.levels.items())
        )
    ids: dict[str | None, int] = dict(conn.execute("SELECT code, id FROM unit").fetchall())
    _insert(conn, _VERSIONS, (_version(ids, number, *one) for one in changes.added["version"]))
    _insert(conn, _SHAPES, (_shape(conn, ids, number, *one) for one in changes.added["shape"]))
    links: Sequence[tuple[LinkKey, StoredLink]] = changes.added["link"]
    _insert(
        conn,
        "COPY unit_link (day, old_unit, new_unit, kind, derived, legal_basis, source, row_no, "
        "import_id) FROM STDIN",
        (
            (day, ids[old], ids[new], k.kind, k.derived, k.legal_basis, k.source, k.row, number)
            for (day, old, new), k in links
        ),
    )
    shares: Sequence[tuple[ShareKey, Share]] = changes.added["share"]
    _insert(
        conn,
        "COPY unit_share (day, old_unit, new_unit, basis, share, amount, source, given_by, "
        "import_id) FROM STDIN",
        (
            (day, ids[old], ids[new], basis, s.share, s.amount, s.source, s.given_by, number)
            for (day, old, new, basis), s in shares
        ),
    )
    # A country arrives at once; with the statistics of empty tables its first maps take seconds.
    conn.execute("ANALYZE unit, unit_version, unit_shape, unit_link, unit_share")


_REPLACE: dict[str, LiteralString] = {
    "version": "UPDATE unit_version SET replaced_in = %s WHERE id = ANY (%s)",
    "shape": "UPDATE unit_shape SET replaced_in = %s WHERE id = ANY (%s)",
    "link": "UPDATE unit_link SET replaced_in = %s WHERE id = ANY (%s)",
    "share": "UPDATE unit_share SET replaced_in = %s WHERE id = ANY (%s)",
}
_VERSIONS = (
    "COPY unit_version (unit_id, valid, name, name_en, kind, parent, legal_basis, lon, lat, "
    "population, area_km2, search_key, sort_key, sources, import_id) FROM STDIN"
)
_SHAPES = (
    "COPY unit_shape (unit_id, valid, extent, digest, whole, near, middle, far, source, "
    "import_id) FROM STDIN"
)


def _insert(conn: Connection, statement: Any, rows: Iterable[Sequence[Any]]) -> None:
    made = list(rows)
    if not made:
        return
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in made:
            copy.write_row(row)


def _version(ids: dict[str | None, int], number: int, code: str, v: Version) -> Sequence[Any]:
    return (
        ids[code], DateRange(v.begin, v.end, "[)"), v.name, v.name_en, v.kind, ids.get(v.parent),
        v.legal_basis, v.lon, v.lat, v.population, v.area_km2, search_key(v.name),
        vietnamese_sort_key(v.name), list(v.sources), number,
    )  # fmt: skip


def _shape(
    conn: Connection, ids: dict[str | None, int], number: int, code: str, s: Shape
) -> Sequence[Any]:
    if not s.source:  # one that was stored before and now has another end
        s = _texts_of(conn, ids[code], s)
    west, south, east, north = s.extent
    return (
        ids[code], DateRange(s.begin, s.end, "[)"), f"({east},{north}),({west},{south})",
        bytes.fromhex(s.digest), *s.texts, s.source, number,
    )  # fmt: skip


def _texts_of(conn: Connection, unit_id: int, shape: Shape) -> Shape:
    row = conn.execute(
        "SELECT whole, near, middle, far, source, (extent[1])[0], (extent[1])[1], (extent[0])[0], "
        "(extent[0])[1] FROM unit_shape WHERE unit_id = %s AND digest = %s ORDER BY id LIMIT 1",
        (unit_id, bytes.fromhex(shape.digest)),
    ).fetchone()
    assert row is not None
    return replace(shape, texts=row[:4], source=row[4], extent=row[5:])
