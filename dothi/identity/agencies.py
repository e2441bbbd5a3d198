"""Agencies: the organisations that own data and work, and which stand below which."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, LiteralString

from psycopg import errors
from psycopg.types.range import DateRange

from dothi.identity import audit, units_read
from dothi.identity.model import Actor, Agency
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.zone import VN
from dothi.store.database import Connection
from dothi.store.events import emit

LONGEST_NAME = 200
LONGEST_GROUND = 500

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def agencies(conn: Connection, on: date | None = None) -> list[Agency]:
    """All agencies by code; with `on`, those that existed on that day."""
    rows = conn.execute(
        f"{_SELECT_AGENCY} WHERE %(on)s::date IS NULL OR a.valid @> %(on)s::date ORDER BY a.code",
        {"on": on},
    )
    return [_agency(row) for row in rows]


def find_agency(conn: Connection, code: str) -> Agency | None:
    row = conn.execute(f"{_SELECT_AGENCY} WHERE a.code = %s", (code,)).fetchone()
    return _agency(row) if row else None


def get_agency(conn: Connection, agency_id: int) -> Agency:
    """Raises NotFound."""
    row = conn.execute(f"{_SELECT_AGENCY} WHERE a.id = %s", (agency_id,)).fetchone()
    if row is None:
        raise NotFound("identity.not_found")
    return _agency(row)


def branch(conn: Connection, agency_id: int) -> frozenset[int]:
    """The agency and all below it, also those that no longer exist."""
    rows = conn.execute(
        "WITH RECURSIVE below(id) AS (SELECT id FROM agency WHERE id = %s "
        "UNION SELECT a.id FROM agency a JOIN below b ON a.parent = b.id) "
        "SELECT id FROM below",
        (agency_id,),
    )
    return frozenset(row[0] for row in rows)


def add_agency(conn: Connection, agency: Agency, *, actor: Actor) -> Agency:
    """The agency as stored. Raises Invalid with all faults, Conflict for a code in use or a unit that
    has its agency."""
    require(actor, "agency.manage", Resource("agency"))
    values = _checked(conn, agency)
    try:
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO agency (name_vi, name_en, parent, valid, unit_code, code) "
                "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                (*values, agency.code),
            ).fetchone()
    except errors.UniqueViolation as error:
        if error.diag.constraint_name == _ONE_OF_UNIT:
            raise Conflict("identity.unit_taken", unit=agency.unit) from None
        raise Conflict("identity.agency_taken", code=agency.code) from None
    assert row is not None
    audit.record(conn, "agency_added", actor, f"agency:{agency.code}", **_facts(agency))
    return replace(agency, id=row[0])


def change_agency(conn: Connection, agency: Agency, *, actor: Actor) -> None:
    """Give the agency of this code these names, parent, validity and unit. Raises as `add_agency`."""
    require(actor, "agency.manage", Resource("agency"))
    # Two changes at once could otherwise close a circle that neither sees.
    conn.execute("LOCK TABLE agency IN SHARE ROW EXCLUSIVE MODE")
    before = find_agency(conn, agency.code)
    if before is None or before.id is None:
        raise NotFound("identity.not_found")
    values = _checked(conn, agency)
    if values[2] in branch(conn, before.id):
        raise Conflict("identity.agency_circle", code=agency.code)
    try:
        with conn.transaction():
            conn.execute(
                "UPDATE agency SET name_vi = %s, name_en = %s, parent = %s, valid = %s, "
                "unit_code = %s WHERE code = %s",
                (*values, agency.code),
            )
    except errors.UniqueViolation:
        raise Conflict("identity.unit_taken", unit=agency.unit) from None
    detail = {"before": _facts(before), "after": _facts(agency)}
    audit.record(conn, "agency_changed", actor, f"agency:{agency.code}", **detail)


def merge_agency(
    conn: Connection, code: str, into: str, *, on: date, ground: str, actor: Actor
) -> None:
    """One agency becomes part of another on a day that has come, by a legal ground.

    Its accounts, its keys and the agencies below it belong to the other one at once; what it owns
    in other rooms follows by the event `agency.merged`. It keeps its code and names, ends on that
    day, and stands below its successor, so that what was done under it stays readable there.
    """
    require(actor, "agency.manage", Resource("agency"))
    conn.execute("LOCK TABLE agency IN SHARE ROW EXCLUSIVE MODE")
    old, new = _living(conn, code), find_agency(conn, into)
    assert old.id is not None
    faults = _end_faults(old, on, ground)
    if new is None or new.id is None or (new.valid_to and new.valid_to <= _today()):
        faults.append(Fault("into", "identity.agency_unknown", {"code": into}))
    elif new.id == old.id:
        faults.append(Fault("into", "identity.merge_itself"))
    elif new.id in branch(conn, old.id):
        faults.append(Fault("into", "identity.merge_below", {"code": into}))
    if faults or new is None:
        raise Invalid("identity.agency_invalid", faults=faults)
    ids = {"old": old.id, "new": new.id, "on": on}
    conn.execute(
        "UPDATE agency SET valid = daterange(lower(valid), %(on)s), parent = %(new)s, "
        "merged_into = %(new)s WHERE id = %(old)s",
        ids,
    )
    moved = {}
    for what, statement in _MERGE.items():
        moved[what] = [row[0] for row in conn.execute(statement, ids)]
    detail = {"into": into, "on": on.isoformat(), "ground": ground.strip(), **moved}
    audit.record(conn, "agency_merged", actor, f"agency:{code}", **detail)
    told = {"agency": old.id, "into": new.id, "on": on.isoformat(), "by": actor.name}
    emit(conn, "agency.merged", told, actor=actor.ref, subject=f"agency:{code}")


def close_agency(conn: Connection, code: str, *, on: date, ground: str, actor: Actor) -> None:
    """An agency that nobody takes the place of ends on a day that has come.

    Raises Conflict while people may sign in for it, a key acts for it or an agency stands below it.
    """
    require(actor, "agency.manage", Resource("agency"))
    conn.execute("LOCK TABLE agency IN SHARE ROW EXCLUSIVE MODE")
    old = _living(conn, code)
    if faults := _end_faults(old, on, ground):
        raise Invalid("identity.agency_invalid", faults=faults)
    row = conn.execute(
        "SELECT (SELECT count(*) FROM account WHERE agency_id = %(id)s AND disabled_at IS NULL),"
        " (SELECT count(*) FROM api_key WHERE agency_id = %(id)s AND revoked_at IS NULL"
        "    AND expires_at > clock_timestamp()),"
        " (SELECT count(*) FROM agency WHERE parent = %(id)s AND valid @> %(on)s::date)",
        {"id": old.id, "on": on},
    ).fetchone()
    assert row is not None
    if any(row):
        raise Conflict("identity.agency_in_use", people=row[0], keys=row[1], below=row[2])
    conn.execute(
        "UPDATE agency SET valid = daterange(lower(valid), %s) WHERE id = %s", (on, old.id)
    )
    detail = {"on": on.isoformat(), "ground": ground.strip()}
    audit.record(conn, "agency_closed", actor, f"agency:{code}", **detail)


def successors(conn: Connection, codes: Iterable[str]) -> dict[str, int]:
    """For each code that is known the id of its agency, or of the one it was merged into."""
    rows = conn.execute(
        "WITH RECURSIVE heir(code, id, next) AS ("
        "  SELECT code, id, merged_into FROM agency WHERE code = ANY (%s)"
        "  UNION SELECT h.code, g.id, g.merged_into FROM heir h JOIN agency g ON g.id = h.next) "
        "SELECT code, id FROM heir WHERE next IS NULL",
        (list(codes),),
    )
    return dict(rows.fetchall())


def units_of(conn: Connection) -> dict[str, str]:
    """For each agency that is a unit's body, ended ones too, the code of the unit."""
    rows = conn.execute("SELECT code, unit_code FROM agency WHERE unit_code IS NOT NULL")
    return dict(rows.fetchall())


def agency_id(conn: Connection, code: str) -> int | None:
    """The id of the agency with this code, if it exists today."""
    row = conn.execute(
        "SELECT id FROM agency WHERE code = %s AND valid @> %s::date", (code, _today())
    ).fetchone()
    return row[0] if row else None


def agency_faults(code: str, found: int | None) -> list[Fault]:
    """The fault of a code that `agency_id` did not find, for the field `agency`."""
    if found is not None:
        return []
    return [Fault("agency", "identity.agency_unknown", {"code": code})]


def name_faults(where: str, name: str) -> list[Fault]:
    """What is wrong with a name that people read, for the field `where`."""
    if not name:
        return [Fault(where, "identity.name_missing")]
    if not name.isprintable():
        return [Fault(where, "identity.name_characters")]
    if len(name) > LONGEST_NAME:
        return [Fault(where, "identity.name_too_long", {"limit": LONGEST_NAME})]
    return []


def _living(conn: Connection, code: str) -> Agency:
    found = find_agency(conn, code)
    if found is None:
        raise NotFound("identity.not_found")
    if found.valid_to is not None:
        raise Conflict("identity.agency_ended", code=code, day=found.valid_to)
    return found


def _end_faults(agency: Agency, on: date, ground: str) -> list[Fault]:
    faults = []
    if on > _today():
        faults.append(Fault("on", "identity.day_to_come"))
    elif agency.valid_from and on <= agency.valid_from:
        faults.append(Fault("on", "identity.agency_dates"))
    if not ground.strip():
        faults.append(Fault("ground", "identity.ground_missing"))
    elif len(ground) > LONGEST_GROUND or not ground.strip().isprintable():
        faults.append(Fault("ground", "identity.ground_shape", {"limit": LONGEST_GROUND}))
    return faults


def _checked(
    conn: Connection, agency: Agency
) -> tuple[str, str, int | None, DateRange, str | None]:
    """Names, parent's id, validity and unit as stored; Invalid with all faults."""
    parent = find_agency(conn, agency.parent) if agency.parent is not None else None
    faults = [
        *name_faults("name_vi", agency.name_vi.strip()),
        *name_faults("name_en", agency.name_en.strip()),
    ]
    if not _CODE.fullmatch(agency.code):
        faults.append(Fault("code", "identity.agency_code_shape"))
    if agency.parent is not None and parent is None:
        faults.append(Fault("parent", "identity.agency_unknown", {"code": agency.parent}))
    if agency.valid_from and agency.valid_to and agency.valid_from >= agency.valid_to:
        faults.append(Fault("valid_to", "identity.agency_dates"))
    if agency.unit is not None and not units_read.known(conn, agency.unit):
        faults.append(Fault("unit", "units.not_found", {"code": agency.unit[:60]}))
    if faults:
        raise Invalid("identity.agency_invalid", faults=faults)
    valid = DateRange(agency.valid_from, agency.valid_to, "[)")
    names = agency.name_vi.strip(), agency.name_en.strip()
    return (*names, parent.id if parent else None, valid, agency.unit)


def _facts(agency: Agency) -> dict[str, str | None]:
    return {
        "name_vi": agency.name_vi,
        "name_en": agency.name_en,
        "parent": agency.parent,
        "valid_from": agency.valid_from.isoformat() if agency.valid_from else None,
        "valid_to": agency.valid_to.isoformat() if agency.valid_to else None,
        "unit": agency.unit,
    }


_SELECT_AGENCY = (
    "SELECT a.code, a.name_vi, a.name_en, p.code, lower(a.valid), upper(a.valid), a.id, m.code, "
    "a.unit_code "
    "FROM agency a LEFT JOIN agency p ON p.id = a.parent LEFT JOIN agency m ON m.id = a.merged_into"
)
_ONE_OF_UNIT = "agency_unit"
_MERGE: dict[str, LiteralString] = {
    "accounts": "UPDATE account SET agency_id = %(new)s WHERE agency_id = %(old)s RETURNING login",
    "keys": "UPDATE api_key SET agency_id = %(new)s WHERE agency_id = %(old)s RETURNING prefix",
    "below": "UPDATE agency SET parent = %(new)s WHERE parent = %(old)s AND merged_into IS NULL "
    "RETURNING code",
}
"""What passes to the successor in this room; what was merged earlier stays below its own."""


def _agency(row: tuple[Any, ...]) -> Agency:
    return Agency(*row)


def _today() -> date:
    return datetime.now(UTC).astimezone(VN).date()
