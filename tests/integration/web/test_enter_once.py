"""One figure typed in a form, once: every indicator, page and report that needs it has it when it is
approved, not before, and a correction moves all of them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from dothi.forms import plan
from dothi.forms.model import Place
from dothi.forms.service import Forms
from dothi.identity.agencies import add_agency
from dothi.identity.model import SYSTEM, Actor, Agency, Role
from dothi.indicators import targets
from dothi.indicators.recompute import Recomputer
from dothi.ioc import duty_brief, leader_list
from dothi.ioc.desk import Desk
from dothi.ioc.leader_list import Number
from dothi.kernel.period import Period
from dothi.kernel.time import VN, local_date, utc_now
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from dothi.web.site import PanelCache
from dothi.work.duty.model import brief_span
from tests.contract.world import OURS, UNIT, World

PER_PERSON, COLLECTED = "waste_per_person", "waste_collected"
FORM = "household_waste"
PEOPLE = {"ubnd-an-ben": 20_000, "ubnd-thuong": 5_000}


@dataclass
class Office:
    """A department whose communes report household waste, and what it sees of one month."""

    town: World
    forms: Forms
    period: Period

    def actor(self, agency: str, role: Role) -> Actor:
        own = self.town.agencies[agency]
        return Actor(
            "person", account_id=100 * own + list(Role).index(role), agency_id=own,
            agencies=frozenset({own}), roles=frozenset({role}), name=f"{role.value} {agency}",
        )  # fmt: skip

    def place(self, party: str, back: int = 0) -> Place:
        period = self.period
        for _ in range(back):
            period = period.previous()
        with self.town.house.db.transaction() as conn:
            return plan.place_of(conn, FORM, period.code, party, local_date(utc_now(), VN))

    def hand_in(self, place: Place, version: int, tonnes: float, collected: float) -> int:
        """Type the month and hand it in; the return's version."""
        given = {
            "generated_t": tonnes, "collected_t": collected, "households": 3000,
            "population": PEOPLE[place.party.code],
        }  # fmt: skip
        officer = self.actor(place.party.code, Role.OFFICER)
        return self.forms.save(
            officer, place, given, version=version, note="x", submit=True
        ).version

    def approve(self, place: Place, version: int) -> int:
        done = self.forms.approve(self.actor(OURS, Role.LEADER), place, version)
        self.follow()
        return done.version

    def follow(self) -> None:
        worker = Recomputer(self.town.house.db, self.town.house.lake)
        while worker.advance():
            pass

    def values(self, name: str, party: str) -> dict[str, float]:
        """The month's figures of an indicator for one commune, over HTTP."""
        start = self.period.start.strftime("%Y-%m-%dT%H:%M:%SZ")
        with self.town.client("leader") as client:
            answer = client.get(f"/api/v1/indicators/{name}/values", params={"limit": 1000})
        assert answer.status_code == 200, answer.text
        return {
            row["parameter"]: row["value"]
            for row in answer.json()["rows"]
            if row["agency"] == party and row["time"] == start
        }

    def page(self, address: str) -> str:
        with self.town.client("leader") as client:
            answer = client.get(address, headers={"accept-language": "vi"})
        assert answer.status_code == 200, answer.text
        return said(answer)

    def thing(self) -> int:
        with self.town.house.db.transaction() as conn:
            dataset = registry.find(conn, FORM)
            return next(
                id_ for id_, thing in registry.things(conn, dataset).items()
                if thing.key == ("ubnd-an-ben",)
            )  # fmt: skip

    def explained(self, name: str) -> str:
        return self.page(
            f"/ioc/explain?indicator={name}&thing={self.thing()}&period={self.period.code}"
        )

    def brief(self) -> str:
        """The morning brief in whose time it is now."""
        house, now = self.town.house, utc_now()
        desk = Desk(house.db, house.lake, PanelCache(lambda _: 0), house.settings)
        day = local_date(now, VN)
        while not brief_span(day)[0] <= now < brief_span(day)[1]:
            day += timedelta(days=1)
        until = brief_span(day)[1]
        body = duty_brief.gather(desk, self.town.agencies[OURS], day, until)
        return "\n".join(
            line.text["vi"] for section in body for line in section.lines if section.key == "moved"
        )


def said(answer: httpx.Response) -> str:
    body = answer.text
    if "<main" in body:
        body = body[body.index("<main") : body.index("</main>")]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def office(town: World) -> Iterator[Office]:
    house = town.house
    with house.db.transaction() as conn:
        contract = registry.find(conn, FORM).contract
        text = re.sub(r"since: \d{4}-\d\d", "since: 2020-01", contract.source)
        registry.register(conn, parse_contract(text))
        for code, unit in (("ubnd-an-ben", UNIT), ("ubnd-thuong", "M")):
            named = {"ubnd-an-ben": "phường An Bến", "ubnd-thuong": "xã Cồn Thượng"}[code]
            made = Agency(code, f"Ủy ban nhân dân {named}", code, OURS, unit=unit)
            town.agencies[code] = add_agency(conn, made, actor=SYSTEM).id or 0
        leader_list.fix_first(
            conn, SYSTEM,
            [Number(f"i_{PER_PERSON}", OURS, "leader"), Number(f"i_{COLLECTED}", OURS, "leader")],
        )  # fmt: skip
        targets.bring(conn, SYSTEM, [{
            "measure": COLLECTED, "part": "collected_share", "grain": "month",
            "direction": "at_least", "value": "95", "valid_from": "2020-01-01", "ground": "Kế hoạch",
        }], "test")  # fmt: skip
    yield Office(
        town, Forms(house.db, house.lake, house.files),
        Period.of_date("month", local_date(utc_now(), VN)).previous(),
    )  # fmt: skip


def test_an_old_month_is_named_and_not_dated(office: Office) -> None:
    """The month's last instant is the first day of the next: no page says that day of an old figure."""
    place = office.place("ubnd-an-ben", 14)
    office.approve(place, office.hand_in(place, 0, 100, 90))
    with office.town.client("leader") as client:
        page = client.get("/ioc", headers={"accept-language": "vi"}).text
    tile = page[page.index(f'id="tile-i_{COLLECTED}"') :].partition("</li>")[0]
    tile = html.unescape(re.sub(r"<[^>]+>", " ", tile))
    assert place.period.label("vi") in tile and "Số liệu cũ" in tile, tile
    assert "Số liệu cũ," not in tile, tile
    page = office.page(f"/ioc/figure?key=i_{COLLECTED}")
    assert f"Số liệu cũ, {place.period.in_sentence('vi')}" in page, page


def test_a_figure_typed_once_is_everywhere_when_it_is_approved(office: Office) -> None:
    days = (office.period.end - office.period.start).days
    label, place = office.period.label("vi"), office.place("ubnd-an-ben")
    for party, back in (("ubnd-an-ben", 1), ("ubnd-thuong", 0), ("ubnd-an-ben", 12)):
        one = office.place(party, back)
        office.approve(one, office.hand_in(one, 0, 100, 90))

    def everywhere(check: Callable[[str, str, str], None], *figures: dict[str, Any]) -> None:
        """Each place that shows what was typed, with what it is computed from it there."""
        for name, wanted in zip((PER_PERSON, COLLECTED), figures, strict=True):
            values = office.values(name, "ubnd-an-ben")
            assert values == (pytest.approx(wanted["values"]) if wanted["values"] else {}), name
            for where in (
                office.page(f"/ioc/figure?key=i_{name}"), office.page(f"/indicators/{name}"),
                office.page("/leader"), office.page(f"/units/{UNIT}"),
            ):  # fmt: skip
                check(name, where, wanted["said"])

    def shown(name: str, where: str, said: str) -> None:
        assert said in where, (name, said, where)

    def absent(name: str, where: str, said: str) -> None:
        assert said not in where, (name, said, where)

    def of(tonnes: float, collected: float) -> tuple[dict[str, Any], dict[str, Any]]:
        each = 1000 * tonnes / PEOPLE["ubnd-an-ben"] / days
        share = 100 * collected / tonnes
        return (
            {"said": f"{each:.2f}".replace(".", ","), "values": {
                "per_person_kg": each, "generated_t": tonnes,
                "person_days": PEOPLE["ubnd-an-ben"] * days}},
            {"said": f"{share:.1f}".replace(".", ","), "values": {
                "collected_share": share, "collected_t": collected, "generated_t": tonnes}},
        )  # fmt: skip

    first, second = of(823, 600), of(764, 600)
    nothing = tuple(one | {"values": {}} for one in first)
    version = office.hand_in(place, 0, 823, 600)
    office.follow()
    everywhere(absent, *nothing)

    version = office.approve(place, version)
    everywhere(shown, *first)
    brief = office.brief()
    assert f"một người mỗi ngày, {office.period.in_sentence('vi')}" in brief, brief
    assert f"phường An Bến {first[0]['said']} kg (kỳ trước" in brief, brief
    assert f"phường An Bến {first[1]['said']} % (kỳ trước 90,0 %)" in brief, brief

    officer = office.actor("ubnd-an-ben", Role.OFFICER)
    office.forms.correct(officer, place, version, "Cộng nhầm một tuyến")
    version = office.hand_in(place, version + 1, 764, 600)
    office.follow()
    everywhere(shown, *first)
    office.approve(place, version)
    everywhere(shown, *second)
    assert f"phường An Bến {second[0]['said']} kg" in office.brief()

    page = office.page(f"/ioc/figure?key=i_{COLLECTED}&thing={office.thing()}")
    before = office.period.previous().in_sentence("vi")
    assert f"Kỳ liền trước ({before}) 90,0 −11,5" in page, page
    a_year = office.period.a_year_earlier()
    assert a_year is not None
    assert f"Cùng kỳ năm trước ({a_year.in_sentence('vi')}) 90,0 −11,5" in page, page
    assert f"▼ 11,5 so với {before}" in page, page
    assert label in page and "ít nhất 95" in page.lower(), page
    assert "Trạm" not in page, page
    # All communes together: amounts and person-days are added, the rates are not.
    both = 1000 * (764 + 100) / (sum(PEOPLE.values()) * days)
    whole = f"{both:.2f}".replace(".", ",") + f" kg ({office.period.in_sentence('vi')}, 2/2 đơn vị"
    assert whole in office.page(f"/indicators/{PER_PERSON}"), whole
    rows = office.page(f"/data/{COLLECTED}")
    assert f"thu gom (%) {label} {second[1]['said']} Hợp lệ" in rows, rows
    for name in (PER_PERSON, COLLECTED):
        told = office.explained(name)
        assert f"{label} Khối lượng phát sinh (ước tính) 764,0 t" in told, told
        assert f"{FORM}/{office.period.code}/ubnd-an-ben" in told
        leader = office.actor(OURS, Role.LEADER)
        assert f"dòng 1 · nhập tay: {officer.ref} nhập, {leader.ref} duyệt" in told, told


def test_a_chart_of_months_has_one_bucket_for_each(office: Office) -> None:
    place = office.place("ubnd-an-ben", 2)
    found = office.forms.look(
        office.actor("ubnd-an-ben", Role.OFFICER), FORM, place.period.code, place.party.code
    ).found
    office.approve(place, office.hand_in(place, found.version, 50, 40))
    with office.town.house.db.transaction() as conn:
        dataset = registry.find(conn, COLLECTED)
        stream = next(
            s.id for s in registry.streams(conn, dataset).values()
            if s.parameter == "collected_share" and s.thing_id == office.thing()
        )  # fmt: skip
    with office.town.client("leader") as client:
        answer = client.get(f"/api/v1/streams/{stream}/chart", params={"span": "1y", "width": 800})
    series = answer.json()
    assert series["labels"][-1] == office.period.label("en") and len(series["labels"]) >= 12
    at = dict(zip(series["labels"], series["mean"], strict=True))
    assert at[place.period.label("en")] == 80.0 and series["raw"]
    starts = dict(zip(series["labels"], series["t"], strict=True))
    assert starts[place.period.label("en")] == place.period.start.timestamp()
