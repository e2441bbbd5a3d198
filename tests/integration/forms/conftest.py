"""A province with three communes that report household waste each month to a department."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from dothi.forms import plan
from dothi.forms.figures import rows_of
from dothi.forms.model import Place
from dothi.forms.service import Forms
from dothi.identity.agencies import add_agency, branch
from dothi.identity.model import SYSTEM, Actor, Agency, Role
from dothi.kernel.period import Period
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.lake.files import FileStore
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Database

WASTE = """
dataset: waste
kind: series
title: {vi: Rác thải sinh hoạt, en: Household waste}
owner: so-nnmt
key: [commune]
time: {zone: Asia/Ho_Chi_Minh, rhythm: P1M}
parameters:
  collected: {title: {vi: Khối lượng thu gom, en: Collected}, unit: t, range: [0, 100000]}
  sorted: {title: {vi: Đã phân loại, en: Sorted}, unit: t, range: [0, 100000]}
form:
  period: {grain: month, since: 2020-01}
  by: {column: commune, agencies: ["ubnd-*"]}
  due: 5
  approval: APPROVAL
  columns:
    sorted: {optional: true}
"""

PLACES = """
dataset: counts
kind: records
title: {vi: Số liệu một cửa, en: One-stop counts}
owner: so-nnmt
key: [agency, period]
columns:
  agency: {type: text, title: {vi: Cơ quan, en: Agency}}
  period: {type: text, title: {vi: Kỳ, en: Period}}
  received: {type: integer, title: {vi: Tiếp nhận, en: Received}, range: [0, 1000000]}
  late: {type: integer, title: {vi: Trễ hạn, en: Late}, range: [0, 1000000]}
  plan: {type: text, title: {vi: Kế hoạch, en: Plan}, choices: [paper, online]}
  closed: {type: date, title: {vi: Ngày chốt, en: Closed on}}
  sent: {type: boolean, title: {vi: Đã công khai, en: Published}}
checks:
  late_within: {rule: late <= received, title: {vi: Trễ hạn không quá tiếp nhận, en: Late within received}}
form:
  period: {grain: month, since: 2020-01, column: period}
  by: {column: agency, agencies: ["ubnd-*"]}
  columns:
    received: {from: {dataset: portal, column: received}}
    late: {evidence: true}
    plan: {optional: true}
    closed: {optional: true}
    sent: {optional: true}
"""

PORTAL = """
dataset: portal
kind: records
title: {vi: Cổng dịch vụ công, en: Portal}
owner: so-nnmt
key: [agency, period]
columns:
  agency: {type: text, title: {vi: Cơ quan, en: Agency}}
  period: {type: text, title: {vi: Kỳ, en: Period}}
  received: {type: integer, title: {vi: Tiếp nhận, en: Received}}
sharing: {agencies: [ubnd-a], ground: for tests}
"""


@dataclass
class Town:
    """Forms with their people. Months are those before the present one, the last ended first."""

    forms: Forms
    lake: Lake
    db: Database
    waste: Dataset
    counts: Dataset
    portal: Dataset
    ids: dict[str, int]

    def actor(self, agency: str, role: Role, number: int = 0) -> Actor:
        """Somebody of an agency; the same numbers are the same person, each role has its own."""
        number = number or 1 + list(Role).index(role)
        own = self.ids[agency]
        with self.db.transaction() as conn:
            below = branch(conn, own)
        return Actor(
            "person", account_id=1000 * own + number, agency_id=own, agencies=below,
            roles=frozenset({role}), name=f"{role.value} {agency} {number}",
        )  # fmt: skip

    def month(self, back: int = 1) -> Period:
        """A month that ended so many months ago."""
        one = Period.of_date("month", local_date(utc_now(), VN))
        for _ in range(back):
            one = one.previous()
        return one

    def place(self, name: str = "waste", party: str = "ubnd-a", back: int = 1) -> Place:
        """One cell of the plan."""
        with self.db.transaction() as conn:
            code = self.month(back).code
            return plan.place_of(conn, name, code, party, local_date(utc_now(), VN))

    def in_store(self, place: Place) -> dict[str, object]:
        """What the store holds under a place's key."""
        row = rows_of(self.lake, place, place.dataset).get("", {})
        return {a.name: row[a.name] for a in place.form.asked if row.get(a.name) is not None}


@pytest.fixture
def make_town(db: Database, tmp_path: Path) -> Iterator[Callable[..., Town]]:
    """Towns whose form is approved by whom a test says."""
    lakes: list[Lake] = []

    def make(approval: str = "own") -> Town:
        folder = tmp_path / "lake"
        folder.mkdir()
        lake = Lake(db, folder)
        lakes.append(lake)
        with db.transaction() as conn:
            add_agency(conn, Agency("tinh", "Tỉnh", "Province"), actor=SYSTEM)
            for code in ("so-nnmt", "so-khac", "ubnd-a", "ubnd-b", "ubnd-c"):
                added = Agency(code, code.upper(), code, "tinh", valid_from=date(2000, 1, 1))
                add_agency(conn, added, actor=SYSTEM)
            waste, counts, portal = (
                registry.register(conn, parse_contract(text))
                for text in (WASTE.replace("APPROVAL", approval), PLACES, PORTAL)
            )
            ids = dict(conn.execute("SELECT code, id FROM agency").fetchall())
        return Town(
            Forms(db, lake, FileStore(tmp_path / "files")), lake, db, waste, counts, portal, ids
        )

    yield make
    for lake in lakes:
        lake.close()


@pytest.fixture
def town(make_town: Callable[..., Town]) -> Town:
    """Leaders of the communes approve."""
    return make_town()
