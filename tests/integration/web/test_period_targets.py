"""Targets of counts: a year's plan beside the sum of the months that were typed, on every page of it."""

from __future__ import annotations

import io

import pytest
from python_calamine import CalamineWorkbook

from dothi.identity.model import SYSTEM
from dothi.identity.policy import Decision
from dothi.identity.predicate import Compare
from dothi.indicators import service, targets
from dothi.indicators.sums import sums
from dothi.kernel.errors import Invalid
from dothi.kernel.period import Period
from dothi.kernel.time import utc_now
from tests.contract.world import UNIT
from tests.integration.web.test_enter_once import COLLECTED, Office, office

__all__ = ["office"]


def test_a_yearly_target_of_a_count_is_held_against_the_sum_so_far(office: Office) -> None:
    """Tonnes are added, a share never is; what is missing and how much time went by is said."""
    period, world = office.period, office.town
    year = Period.containing("year", period.start)
    other = office.place("ubnd-thuong")
    office.approve(other, office.hand_in(other, 0, 100, 40))
    mine = office.place("ubnd-an-ben")
    office.approve(mine, office.hand_in(mine, 0, 90, 60))
    target = {
        "measure": COLLECTED, "part": "collected_t", "grain": "year", "direction": "at_least",
        "value": "400", "valid_from": year.last_day.isoformat(), "ground": "Kế hoạch 12/KH-UBND",
    }  # fmt: skip
    share = target | {"part": "collected_share", "value": "90"}
    with world.house.db.transaction() as conn, pytest.raises(Invalid) as refused:
        targets.bring(conn, SYSTEM, [share, target | {"grain": "day"}], "test")
    assert [(f.where, f.key) for f in refused.value.faults] == [
        ("test:1:grain", "targets.not_added"),
        ("test:2:grain", "targets.no_grain"),
    ]
    with world.house.db.transaction() as conn:
        own = target | {"place": "agency:ubnd-an-ben", "value": "50"}
        limit = target | {"part": "generated_t", "direction": "at_most", "value": "100"}
        targets.bring(conn, SYSTEM, [target, own, limit], "test")
    world.house.bell.ring()

    with world.client("leader") as client:
        told = client.get(f"/api/v1/indicators/{COLLECTED}").json()["sums"]
    months = period.first_day.month
    expected = [
        ("collected_t", "*", 100.0, 0.25, 2 * months),
        ("collected_t", "agency:ubnd-an-ben", 60.0, 1.2, months),
        ("generated_t", "*", 190.0, 1.9, 2 * months),
    ]
    assert [
        (x["output"], x["place"], x["value"], pytest.approx(x["share"]), x["expected"]) for x in told
    ] == expected  # fmt: skip
    assert {x["figures"] for x in told if x["place"] == "*"} == {2}
    assert {x["until"] for x in told} == {period.code}
    gone = (period.end - year.start) / (year.end - year.start)
    assert all(x["elapsed"] == pytest.approx(gone) for x in told)

    page = office.page(f"/ioc/figure?key=i_{COLLECTED}")
    assert "đạt 25,0 % mục tiêu năm" in page and f"(2/{2 * months}, còn thiếu)" in page, page
    assert "Đã đạt: đạt 120,0 % mục tiêu năm" in page
    assert "Đã vượt: bằng 190,0 % mức tối đa của năm" in page
    assert f"thời gian đã qua {100 * gone:.1f} %".replace(".", ",") in page
    assert "chỉ để đối chiếu, không phải mục tiêu được giao" in page
    own_page = office.page(f"/units/{UNIT}")
    assert "đạt 120,0 % mục tiêu năm" in own_page and "đạt 25,0 %" not in own_page
    leader = office.page("/leader")
    assert "đạt 25,0 % mục tiêu năm" in leader and "đạt 120,0 %" not in leader
    with world.client("leader") as client:
        url = f"/ioc/download?what=figure&key=i_{COLLECTED}&format=xlsx"
        got = client.get(url, headers={"accept-language": "vi"}).content
    rows = CalamineWorkbook.from_filelike(io.BytesIO(got)).get_sheet_by_index(2).to_python()
    (row,) = [r for r in rows if r[0] == "Khối lượng thu gom" and r[1] == "Toàn tỉnh"]
    assert row[2:6] == [year.label("vi"), "ít nhất 400 t", "100 t", "đạt 25,0 % mục tiêu năm"]
    assert row[-1] == "Kế hoạch 12/KH-UBND"
    # who sees only a part of what is added sees no sum of it
    with world.house.db.transaction() as conn:
        found = targets.targets(conn, COLLECTED)
        indicator = service.find(conn, COLLECTED)
    only = Compare("agency_id", "=", world.agencies["ubnd-an-ben"])
    part = Decision(True, only, frozenset(), (), "")
    seen = sums(
        world.house.lake, indicator, found, part,
        {n: code for code, n in world.agencies.items()}, {}, utc_now(),
    )  # fmt: skip
    assert [one.target.place for one in seen] == ["agency:ubnd-an-ben"]
