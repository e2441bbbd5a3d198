"""A province with a centre, two departments and a unit below one of them, and people in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from dothi.identity.agencies import branch
from dothi.identity.model import SYSTEM, Actor, Role
from dothi.kernel.time import VN, parse_instant
from dothi.store.database import Database
from dothi.work.inbox import item as read_item
from dothi.work.model import FullItem, Item, Move, Severity
from dothi.work.service import Opening, move, open_item

MONDAY = parse_instant("2026-03-02 08:00", VN)


@dataclass(frozen=True)
class Province:
    """Agencies by code and one person for each of them and each role."""

    agencies: dict[str, int]
    people: dict[tuple[str, Role], Actor]

    def person(self, agency: str, role: Role = Role.OFFICER) -> Actor:
        return self.people[agency, role]


@pytest.fixture
def province(db: Database) -> Province:
    agencies: dict[str, int] = {}
    people: dict[tuple[str, Role], Actor] = {}
    with db.transaction() as conn:
        for code, parent in (("top", None), ("env", "top"), ("air", "env"), ("build", "top")):
            row = conn.execute(
                "INSERT INTO agency (code, name_vi, name_en, parent) VALUES (%s, %s, %s, %s) "
                "RETURNING id",
                (code, f"Cơ quan {code}", f"Agency {code}", agencies.get(parent or "")),
            ).fetchone()
            assert row is not None
            agencies[code] = row[0]
        for code, agency_id in agencies.items():
            for role in Role:
                if role is Role.PUBLIC:
                    continue
                row = conn.execute(
                    "INSERT INTO account (login, display_name, agency_id, roles, password_hash) "
                    "VALUES (%s, %s, %s, %s, '') RETURNING id",
                    (f"{code}.{role}", f"{role} {code}", agency_id, [role.value]),
                ).fetchone()
                assert row is not None
                people[code, role] = Actor(
                    "person", row[0], agency_id, branch(conn, agency_id), frozenset({role}),
                    name=f"{role} {code}",
                )  # fmt: skip
    return Province(agencies, people)


class Desk:
    """Opens and moves items, each act in a transaction of its own."""

    def __init__(self, db: Database, province: Province) -> None:
        self.db = db
        self.province = province

    def open(
        self,
        agency: str = "env",
        *,
        kind: str = "alarm",
        severity: Severity = Severity.WARNING,
        now: datetime = MONDAY,
        **more: Any,
    ) -> str:
        opening = Opening(
            kind=kind,
            title={"vi": "PM2.5 vượt ngưỡng", "en": "PM2.5 above the threshold"},
            severity=severity,
            agency_id=self.province.agencies[agency],
            **more,
        )
        with self.db.transaction() as conn:
            return open_item(conn, SYSTEM, opening, now=now).code

    def full(self, code: str) -> FullItem:
        with self.db.transaction() as conn:
            return read_item(conn, SYSTEM, code)

    def item(self, code: str) -> Item:
        return self.full(code).item

    def move(
        self,
        code: str,
        *moves: Move,
        actor: Actor = SYSTEM,
        now: datetime = MONDAY,
        note: str = "theo quy trình",
    ) -> Item:
        for what in moves:
            with self.db.transaction() as conn:
                version = self.item(code).version
                move(conn, actor, code, what, version=version, note=note, now=now)
        return self.item(code)

    def events(self, kind: str) -> list[dict[str, Any]]:
        with self.db.transaction() as conn:
            rows = conn.execute(
                "SELECT payload FROM event WHERE kind = %s ORDER BY id", (kind,)
            ).fetchall()
        return [row[0] for row in rows]

    def count(self, query: str, *values: Any) -> int:
        with self.db.transaction() as conn:
            row = conn.execute(query, values).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


@pytest.fixture
def desk(db: Database, province: Province) -> Desk:
    return Desk(db, province)


MakeItems = Callable[[int], None]


@pytest.fixture
def many_sleeping(db: Database, province: Province) -> MakeItems:
    """Puts items with four rungs each into the database that are due in a year, in bulk."""

    def make(count: int) -> None:
        with db.transaction() as conn:
            conn.execute(
                """INSERT INTO work_item (code, kind, title, detail, severity, owner_agency, state,
                       place, source, opened_at, started_at, budget, calendar, due_at)
                   SELECT 'VV-2027-' || n, 'alarm', '{}', '{}', 1 + n %% 3, %s, 'new', '', '{}',
                       now(), now(), '1 day', 'always', now() + n * interval '1 second'
                   FROM generate_series(1, %s) n""",
                (province.agencies["env"], count),
            )
            conn.execute(
                """INSERT INTO work_rung (work_id, name, after, recipient, message, due_at)
                   SELECT id, 'step' || n, '1 day', 'assignee', 'work.rung.urge_1',
                       now() + interval '1 year' + id * interval '1 second'
                   FROM work_item, generate_series(1, 4) n WHERE code LIKE 'VV-2027-%'"""
            )

    return make


def hours(n: float) -> timedelta:
    return timedelta(hours=n)
