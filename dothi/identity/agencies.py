"""Agencies: the organisations that own data and work, and which stand below which."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from psycopg import errors
from psycopg.types.range import DateRange

from dothi.identity import audit
from dothi.identity.model import Actor, Agency
from dothi.identity.policy import Resource, require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.zone import VN
from dothi.store.database import Connection

LONGEST_NAME = 200

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
    """The agency as stored. Raises Invalid with all faults, Conflict for a code in use."""
    require(actor, "agency.manage", Resource("agency"))
    values = _checked(conn, agency)
    try:
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO agency (name_vi, name_en, parent, valid, code) "
                "VALUES (%s, %s, %s, %s, %s) RETURNING id",
                (*values, agency.code),
            ).fetchone()
    except errors.UniqueViolation:
        raise Conflict("identity.agency_taken", code=agency.code) from None
    assert row is not None
    audit.record(conn, "agency_added", actor, f"agency:{agency.code}", **_facts(agency))
    return replace(agency, id=row[0])


def change_agency(conn: Connection, agency: Agency, *, actor: Actor) -> None:
    """Give the agency of this code these names, parent and validity."""
    require(actor, "agency.manage", Resource("agency"))
    # Two changes at once could otherwise close a circle that neither sees.
    conn.execute("LOCK TABLE agency IN SHARE ROW EXCLUSIVE MODE")
    before = find_agency(conn, agency.code)
    if before is None or before.id is None:
        raise NotFound("identity.not_found")
    values = _checked(conn, agency)
    if values[2] in branch(conn, before.id):
        raise Conflict("identity.agency_circle", code=agency.code)
    conn.execute(
        "UPDATE agency SET name_vi = %s, name_en = %s, parent = %s, valid = %s WHERE code = %s",
        (*values, agency.code),
    )
    detail = {"before": _facts(before), "after": _facts(agency)}
    audit.record(conn, "agency_changed", actor, f"agency:{agency.code}", **detail)


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


def _checked(conn: Connection, agency: Agency) -> tuple[str, str, int | None, DateRange]:
    """Names, parent's id and validity as stored; Invalid with all faults."""
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
    if faults:
        raise Invalid("identity.agency_invalid", faults=faults)
    valid = DateRange(agency.valid_from, agency.valid_to, "[)")
    names = agency.name_vi.strip(), agency.name_en.strip()
    return (*names, parent.id if parent else None, valid)


def _facts(agency: Agency) -> dict[str, str | None]:
    return {
        "name_vi": agency.name_vi,
        "name_en": agency.name_en,
        "parent": agency.parent,
        "valid_from": agency.valid_from.isoformat() if agency.valid_from else None,
        "valid_to": agency.valid_to.isoformat() if agency.valid_to else None,
    }


_SELECT_AGENCY = (
    "SELECT a.code, a.name_vi, a.name_en, p.code, lower(a.valid), upper(a.valid), a.id "
    "FROM agency a LEFT JOIN agency p ON p.id = a.parent"
)


def _agency(row: tuple[Any, ...]) -> Agency:
    return Agency(*row)


def _today() -> date:
    return datetime.now(UTC).astimezone(VN).date()
