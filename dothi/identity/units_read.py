"""Reading administrative units: lists, one with its history, outlines for maps, the crosswalk."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

from dothi.identity.units import SCALES, Scale, Unit, UnitLink
from dothi.kernel.crosswalk import Crosswalk, Link, Span
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.text import search_key
from dothi.kernel.zone import VN
from dothi.store.database import Connection, own_sql

MOST_UNITS = 500
Bounds = tuple[float, float, float, float]
"""West, south, east, north."""
MOST_FEATURES = 15_000
"""More than all communes of the country before 2025."""

MOST_KEPT = 4
"""Crosswalks kept in memory: those of a country take some 20 MB."""
_crosswalks: dict[Hashable, Crosswalk] = {}
_lock = threading.Lock()

_SCALE_OF: dict[str, Scale] = {"province": "far", "district": "middle", "commune": "middle"}


@dataclass(frozen=True)
class Wanted:
    """Which units: those that stand on a day, of a level, in a unit (at any depth), by a name as
    people type it, with or without accents, touching a rectangle."""

    at: date
    level: str | None = None
    parent: str | None = None
    q: str | None = None
    within: Bounds | None = None


def today() -> date:
    """The date in Viet Nam."""
    return datetime.now(UTC).astimezone(VN).date()


def units(
    conn: Connection, wanted: Wanted, *, after: str | None = None, limit: int = MOST_UNITS
) -> tuple[list[Unit], str | None]:
    """A page of units in Vietnamese order, and the mark for the next (None: this was the last).

    The mark is the code of the last unit shown. Raises Invalid when it stands for none that day.
    """
    values = _values(wanted) | {"after": after, "limit": min(max(limit, 1), MOST_UNITS) + 1}
    if after is not None and _one(conn, after, wanted.at) is None:
        raise Invalid("units.bad_mark", code=after[:60], day=wanted.at)
    beyond = (
        'AND (%(after)s::text IS NULL OR (v.sort_key COLLATE "C", v.unit_id) > '
        '(SELECT a.sort_key COLLATE "C", a.unit_id FROM unit_version a JOIN unit ua '
        "ON ua.id = a.unit_id WHERE ua.code = %(after)s AND a.replaced_in IS NULL "
        "AND a.valid @> %(at)s::date))"
    )
    found = [
        Unit(*row)
        for row in conn.execute(
            own_sql(
                f"SELECT {_COLUMNS} {_FROM} {_WHERE} {beyond} "
                'ORDER BY v.sort_key COLLATE "C", v.unit_id LIMIT %(limit)s'
            ),
            values,
        )
    ]
    more = len(found) == values["limit"]
    page = found[:-1] if more else found
    return page, page[-1].code if more else None


def unit(conn: Connection, code: str, at: date) -> Unit | None:
    """The unit that a code stands for on a day."""
    return _one(conn, code, at)


def count(conn: Connection, wanted: Wanted) -> int:
    """How many units are wanted."""
    [[found]] = conn.execute(
        own_sql(f"SELECT count(*) {_FROM} {_WHERE}"), _values(wanted)
    ).fetchall()
    return found


def bounds(conn: Connection, wanted: Wanted) -> Bounds | None:
    """The rectangle around the units' outlines and points; None where none has either."""
    [[west, south, east, north]] = conn.execute(
        own_sql(
            "SELECT min(least((s.extent[1])[0], v.lon)), min(least((s.extent[1])[1], v.lat)), "
            "max(greatest((s.extent[0])[0], v.lon)), max(greatest((s.extent[0])[1], v.lat)) "
            f"{_FROM} {_WHERE}"
        ),
        _values(wanted),
    ).fetchall()
    return None if west is None or south is None else (west, south, east, north)


@dataclass(frozen=True)
class Outline:
    """A unit's outline at about 10 m, as polygons of rings, and the rectangle around it."""

    polygons: list[list[list[tuple[float, float]]]]
    bounds: Bounds

    def holds(self, lon: float, lat: float) -> bool:
        """Whether a point lies inside; one on the very border may belong to either side."""
        west, south, east, north = self.bounds
        if not (west <= lon <= east and south <= lat <= north):
            return False
        return any(
            sum(_crossed(ring, lon, lat) for ring in polygon) % 2 for polygon in self.polygons
        )


def _crossed(ring: list[tuple[float, float]], lon: float, lat: float) -> int:
    """How many edges a ray to the east crosses."""
    return sum(
        (a[1] > lat) != (b[1] > lat) and lon < (b[0] - a[0]) * (lat - a[1]) / (b[1] - a[1]) + a[0]
        for a, b in pairwise(ring)
    )


def outline(conn: Connection, code: str, at: date) -> Outline | None:
    """The outline of the unit that a code stands for on a day, if there is one."""
    row = conn.execute(
        "SELECT s.near, (s.extent[1])[0], (s.extent[1])[1], (s.extent[0])[0], (s.extent[0])[1] "
        "FROM unit_shape s JOIN unit u ON u.id = s.unit_id "
        "WHERE u.code = %s AND s.replaced_in IS NULL AND s.valid @> %s::date",
        (code, at),
    ).fetchone()
    if row is None:
        return None
    shape = json.loads(row[0])
    single = shape["type"] == "Polygon"
    return Outline([shape["coordinates"]] if single else shape["coordinates"], row[1:])


@dataclass(frozen=True)
class Share:
    """Which part of an old unit went to a new one, by `basis`, and whose word that is."""

    day: date
    old: str
    new: str
    basis: str
    part: Fraction
    source: str
    given_by: str


def shares(conn: Connection, code: str) -> list[Share]:
    """The shares given for the divisions that a code took part in."""
    rows = conn.execute(
        "SELECT s.day, o.code, n.code, s.basis, f.forward, s.source, s.given_by FROM unit_share s "
        "JOIN unit o ON o.id = s.old_unit JOIN unit n ON n.id = s.new_unit "
        "JOIN unit_flow f ON (f.day, f.old_unit, f.new_unit, f.basis) "
        "= (s.day, s.old_unit, s.new_unit, s.basis) "
        "WHERE s.replaced_in IS NULL AND %s IN (o.code, n.code) AND f.forward IS NOT NULL "
        "ORDER BY s.day, o.code, n.code, s.basis",
        (code,),
    )
    return [Share(d, o, n, b, Fraction(part), s, g) for d, o, n, b, part, s, g in rows]


def names(conn: Connection, at: date) -> dict[str, str]:
    """What the units of a day are called, by code."""
    rows = conn.execute(
        "SELECT u.code, v.name FROM unit_version v JOIN unit u ON u.id = v.unit_id "
        "WHERE v.replaced_in IS NULL AND v.valid @> %s::date",
        (at,),
    )
    return dict(rows.fetchall())


def known(conn: Connection, code: str) -> bool:
    """Whether a code has ever stood for a unit."""
    return bool(conn.execute("SELECT 1 FROM unit WHERE code = %s", (code,)).fetchone())


def history(conn: Connection, code: str) -> list[Unit]:
    """All that a code has stood for, oldest first. Raises NotFound."""
    rows = conn.execute(
        own_sql(
            f"SELECT {_COLUMNS} {_FROM} WHERE v.replaced_in IS NULL AND u.code = %(code)s "
            "ORDER BY v.valid"
        ),
        {"code": code},
    )
    found = [Unit(*row) for row in rows]
    if not found:
        raise NotFound("units.not_found", code=code[:60])
    return found


def links(conn: Connection, code: str | None = None, **only: bool) -> list[UnitLink]:
    """What became of units, as files told it: of one code, or all; `split` only those of divided
    units, `without_commune` only those of districts that had no commune."""
    rows = conn.execute(
        own_sql(
            f"{_LINKS} AND (%(code)s::text IS NULL OR %(code)s IN (o.code, n.code)) "
            "AND (NOT %(split)s OR l.kind = 'split') "
            "AND (NOT %(without_commune)s OR o.level = 'district') "
            "AND (NOT l.derived OR %(code)s::text IS NOT NULL) ORDER BY l.day, o.code, n.code"
        ),
        {"code": code, "split": False, "without_commune": False} | only,
    )
    return [UnitLink(*row) for row in rows]


def reforms(conn: Connection) -> list[date]:
    """The days on which units became others, the last first."""
    rows = conn.execute(
        "SELECT DISTINCT day FROM unit_link WHERE replaced_in IS NULL ORDER BY day DESC"
    )
    return [day for (day,) in rows]


def features(conn: Connection, wanted: Wanted, scale: Scale | None = None) -> Iterator[bytes]:
    """The units as a GeoJSON feature collection: outlines where there are any, else points.

    Without a scale the one that suits the level. Raises Invalid for more than a map can show.
    """
    text = scale or _SCALE_OF.get(wanted.level or "", "middle")
    if text not in SCALES:
        raise Invalid("units.bad_scale", scales=", ".join(SCALES))
    rows = conn.execute(
        own_sql(f"SELECT {_COLUMNS}, s.{text} {_FROM} {_WHERE} ORDER BY u.code LIMIT %(limit)s"),
        _values(wanted) | {"limit": MOST_FEATURES + 1},
    ).fetchall()
    if len(rows) > MOST_FEATURES:
        raise Invalid("units.too_many_features", most=MOST_FEATURES)
    yield b'{"type":"FeatureCollection","features":['
    for number, (*told, shape) in enumerate(rows):
        yield (b"," if number else b"") + _feature(Unit(*told), shape)
    yield b"]}"


def crosswalk(conn: Connection, basis: str = "population") -> Crosswalk:
    """All links with the shares counted by `basis`, for `dothi.kernel.crosswalk`; kept until the
    next import.

    The same as SQL has in `unit_crosswalk(from, to, basis)`.
    """
    newest = conn.execute("SELECT max(id), max(at) FROM unit_import").fetchone()
    key = (conn.info.host, conn.info.port, conn.info.dbname, newest, basis)
    with _lock:
        found = _crosswalks.get(key)
    if found is None:
        found = _read_crosswalk(conn, basis)
        with _lock:
            while len(_crosswalks) >= MOST_KEPT:
                del _crosswalks[next(iter(_crosswalks))]
            _crosswalks[key] = found
    return found


def _read_crosswalk(conn: Connection, basis: str) -> Crosswalk:
    spans: dict[str, list[Span]] = defaultdict(list)
    for code, begin, end in conn.execute(
        "SELECT u.code, lower(v.valid), upper(v.valid) FROM unit_version v "
        "JOIN unit u ON u.id = v.unit_id WHERE v.replaced_in IS NULL"
    ):
        spans[code].append((begin, end))
    rows = conn.execute(
        "SELECT l.day, o.code, n.code, s.share, s.amount, s.source, s.given_by "
        "FROM unit_link l JOIN unit o ON o.id = l.old_unit JOIN unit n ON n.id = l.new_unit "
        "LEFT JOIN unit_share s ON s.replaced_in IS NULL AND s.basis = %s "
        "AND (s.day, s.old_unit, s.new_unit) = (l.day, l.old_unit, l.new_unit) "
        "WHERE l.replaced_in IS NULL ORDER BY l.day, o.code, n.code",
        (basis,),
    ).fetchall()
    leaving: dict[tuple[date, str], list[Any]] = defaultdict(list)
    entering: dict[tuple[date, str], list[Any]] = defaultdict(list)
    for day, old, new, _, amount, *_ in rows:
        leaving[day, old].append(amount)
        entering[day, new].append(amount)
    found = []
    for day, old, new, share, amount, source, given_by in rows:
        forward = Fraction(share) if share is not None else _of(amount, leaving[day, old])
        ground = f"{source} ({given_by})" if source else ""
        found.append(Link(old, new, day, forward, _of(amount, entering[day, new]), ground))
    return Crosswalk(found, spans)


def _of(amount: Any, amounts: list[Any]) -> Fraction | None:
    """An amount as a share of all; None unless all are known."""
    if amount is None or any(a is None for a in amounts) or not sum(amounts):
        return None
    return Fraction(amount) / Fraction(sum(amounts))


def _one(conn: Connection, code: str, at: date) -> Unit | None:
    row = conn.execute(
        own_sql(
            f"SELECT {_COLUMNS} {_FROM} WHERE v.replaced_in IS NULL AND u.code = %(code)s "
            "AND v.valid @> %(at)s::date"
        ),
        {"code": code, "at": at},
    ).fetchone()
    return Unit(*row) if row else None


def _values(wanted: Wanted) -> dict[str, Any]:
    key = search_key(wanted.q) if wanted.q else ""
    for sign in ("\\", "%", "_"):
        key = key.replace(sign, "\\" + sign)
    west, south, east, north = wanted.within or (0, 0, 0, 0)
    return {
        "at": wanted.at, "level": wanted.level, "parent": wanted.parent,
        "like": f"%{key}%" if key else None,
        "within": f"({east},{north}),({west},{south})" if wanted.within else None,
    }  # fmt: skip


def _feature(one: Unit, shape: str | None) -> bytes:
    place = None if one.lon is None or one.lat is None else [one.lon, one.lat]
    geometry = shape or json.dumps(place and {"type": "Point", "coordinates": place})
    properties = {
        "code": one.code, "level": one.level, "kind": one.kind, "name": one.name,
        "name_en": one.name_en, "parent": one.parent, "outline": shape is not None, "point": place,
    }  # fmt: skip
    told = json.dumps({"id": one.code, "properties": properties}, ensure_ascii=False)
    return f'{{"type":"Feature","geometry":{geometry},{told[1:]}'.encode()


_COLUMNS = (
    "u.code, u.level, v.kind, v.name, v.name_en, p.code, lower(v.valid), upper(v.valid), "
    "v.legal_basis, v.lon, v.lat, v.population, v.area_km2, v.sources, s.id IS NOT NULL"
)
_FROM = (
    "FROM unit_version v JOIN unit u ON u.id = v.unit_id LEFT JOIN unit p ON p.id = v.parent "
    "LEFT JOIN unit_shape s ON s.unit_id = v.unit_id AND s.replaced_in IS NULL "
    "AND s.valid @> CASE WHEN upper_inf(v.valid) THEN coalesce(lower(v.valid), 'today') "
    "ELSE upper(v.valid) - 1 END"
)
_WHERE = (
    "WHERE v.replaced_in IS NULL AND v.valid @> %(at)s::date "
    "AND (%(level)s::text IS NULL OR u.level = %(level)s) "
    "AND (%(within)s::box IS NULL OR s.extent && %(within)s::box "
    "OR s.id IS NULL AND point(v.lon, v.lat) <@ %(within)s::box) "
    "AND (%(like)s::text IS NULL OR v.search_key LIKE %(like)s) "
    "AND (%(parent)s::text IS NULL OR p.code = %(parent)s OR EXISTS (SELECT FROM unit_version m "
    "JOIN unit g ON g.id = m.parent WHERE m.unit_id = v.parent AND m.replaced_in IS NULL "
    "AND m.valid @> %(at)s::date AND g.code = %(parent)s))"
)
_LINKS = (
    "SELECT l.day, o.code, ov.name, n.code, nv.name, l.kind, l.legal_basis, l.source, l.row_no "
    "FROM unit_link l JOIN unit o ON o.id = l.old_unit JOIN unit n ON n.id = l.new_unit "
    "JOIN unit_version ov ON ov.unit_id = o.id AND ov.replaced_in IS NULL "
    "AND ov.valid @> l.day - 1 "
    "JOIN unit_version nv ON nv.unit_id = n.id AND nv.replaced_in IS NULL AND nv.valid @> l.day "
    "WHERE l.replaced_in IS NULL"
)
