"""The demonstration province as units: the same import, the same map, made up alike each time."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from dothi.identity import units_read
from dothi.identity.units_read import Wanted
from dothi.kernel.crosswalk import Aggregation, Status
from dothi.packs.demo.units import REFORM, put_units, write
from dothi.packs.province import province
from dothi.store.database import Database

AFTER, BEFORE = date(2026, 1, 1), date(2025, 6, 30)


def test_the_province_is_imported_once(db: Database) -> None:
    assert put_units(db)
    assert not put_units(db)
    with db.transaction() as conn:
        communes, _ = units_read.units(conn, Wanted(AFTER, "commune", "SH"))
        old, _ = units_read.units(conn, Wanted(BEFORE, "commune"))
        told = b"".join(units_read.features(conn, Wanted(AFTER, "commune"), "whole"))
        plan = units_read.crosswalk(conn).plan(BEFORE, REFORM)
        [links] = conn.execute("SELECT count(*) FROM unit_link WHERE NOT derived").fetchall()
    assert len(communes) == 64
    assert all(u.has_shape and u.population and u.area_km2 and u.legal_basis for u in communes)
    assert [u.name for u in communes if u.kind == "special_zone"] == ["Đặc khu Hải Âu"]
    shapes = {f["id"]: f["geometry"]["type"] for f in json.loads(told)["features"]}
    assert shapes == {c.code: "Polygon" for c in province().communes}
    assert links == (len(old) + 1 + 2,)  # the island's district; two old communes went to two
    people = {u.code: 100 for u in old} | {"SH-hd": 100}
    done = plan.convert(people, Aggregation.SUM)
    statuses = [one.status for one in done.values.values()]
    assert (statuses.count(Status.ESTIMATED), statuses.count(Status.NOT_SEPARABLE)) == (2, 2)


def test_it_is_made_up_alike_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append([f.read_bytes() for f in write(tmp_path / name, "units.csv", province())])
    assert made[0] == made[1]
