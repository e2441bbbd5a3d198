"""Forms and returns to ask for: of the own agency, collected by it, and of another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dothi.forms import plan
from dothi.forms.model import Place
from dothi.forms.service import Forms, Upload
from dothi.identity.model import SYSTEM
from dothi.kernel.period import Period
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.lake import registry
from dothi.lake.contract import parse_contract
from tests.contract.world import OTHERS, OURS, World

CONTRACT = """
dataset: {name}
kind: series
title: {{vi: Số nhập tay, en: Typed figures}}
owner: {owner}
time: {{zone: Asia/Ho_Chi_Minh, rhythm: P1M}}
key: [agency]
parameters:
  count: {{title: {{vi: Số lượng, en: Count}}, unit: "1", range: [0, 1000]}}
checks:
  no_dozen: {{rule: count <> 13, title: {{vi: Không phải 13, en: Never thirteen}}}}
form:
  period: {{grain: month, since: 2020-01}}
  by: {{column: agency, agencies: [{ours}, {others}]}}
"""
PLACES = {
    "own": ("typed_for_others", OURS),
    "collected": ("typed_for_us", OTHERS),
    "other": ("typed_for_others", OTHERS),
}
"""Whose return it is: ours in a form of another agency, another one's in a form of ours, theirs."""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16


def month() -> str:
    """The month that ended last."""
    return Period.of_date("month", local_date(utc_now(), VN)).previous().code


def address(what: str) -> str:
    """Form, period and party of a return, as addresses write them."""
    form, party = PLACES.get(what, ("no_such_form", OURS))
    return f"{form}/{month()}/{party}"


def fresh(town: World, what: str, *, submit: bool = False) -> int:
    """A return as nobody has touched it, or handed in; its version."""
    if what not in PLACES:
        return 0
    forms, place = Forms(town.house.db, town.house.lake, town.house.files), of(town, what)
    with town.house.db.transaction() as conn:
        conn.execute(
            "DELETE FROM form_return WHERE dataset_id = %s AND party = %s",
            (place.dataset.id, place.party.code),
        )
    if not submit:
        return 0
    return forms.save(SYSTEM, place, {"count": 5}, version=0, note="x", submit=True).version


def with_evidence(town: World, what: str) -> None:
    """A return with a picture attached."""
    if what not in PLACES:
        return
    fresh(town, what)
    path = Path(town.house.settings.home) / "evidence.png"
    path.write_bytes(PNG)
    forms = Forms(town.house.db, town.house.lake, town.house.files)
    forms.save(SYSTEM, of(town, what), {}, version=0, uploads=[Upload(path, "ảnh.png", "")])


def of(town: World, what: str) -> Place:
    """The place in the plan; its form is made where it is not yet."""
    name, party = PLACES[what]
    with town.house.db.transaction() as conn:
        owner = OURS if name == "typed_for_us" else OTHERS
        text = CONTRACT.format(name=name, owner=owner, ours=OURS, others=OTHERS)
        if name not in {d.name for d in registry.datasets(conn)}:
            registry.register(conn, parse_contract(text))
        return plan.place_of(conn, name, month(), party, local_date(utc_now(), VN))


def sent(fields: dict[str, str]) -> dict[str, Any]:
    """A form as browsers send it with files."""
    return {"files": {name: (None, text) for name, text in fields.items()}}
