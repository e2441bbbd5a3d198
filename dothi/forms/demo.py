"""The demonstration's returns: made-up figures of the fictional communes, in every state, and of the
department's own table by way of treatment.

They come in as any return does: typed, handed in, approved by the department's leader.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from dothi.forms import plan, store
from dothi.forms.model import Place, Return, periods
from dothi.forms.service import Forms
from dothi.identity import accounts, agencies
from dothi.identity.model import SYSTEM, Actor
from dothi.kernel.errors import NotFound
from dothi.kernel.time import local_date, utc_now
from dothi.kernel.zone import VN
from dothi.lake import registry
from dothi.store.database import Connection

DATASET = "household_waste"
LEADER = "lanhdao"
FIRST = "ubnd-kim-son"
"""Its officer has a demonstration account, and finds a return to type."""
NOTE = "Số liệu minh họa"
TABLE = "waste_treatment"
_SHARES = {
    "landfill": 0.46, "incineration": 0.12, "energy": 0.21, "compost": 0.13, "recycling": 0.08,
}  # fmt: skip
"""Of each month's waste the made-up part that goes each way."""
_LEFT = {"incineration": 0.16, "energy": 0.14, "compost": 0.09, "recycling": 0.05}
"""What is left of it for landfill."""
_FATES = ("draft", "submitted", "returned", "missing")
"""What becomes of the last period's returns that are not approved, one commune after another."""


def put_returns(forms: Forms) -> int:
    """Make the returns that are missing of the periods that have ended; how many."""
    with forms.db.transaction() as conn:
        leader = _leader(conn)
        wanted = list(_wanted(conn, DATASET)) if leader else []
        tables = list(_wanted(conn, TABLE)) if leader else []
    if leader is None:
        return 0
    for place in tables:
        found = forms.save(SYSTEM, place, _lines(place), version=0, note=NOTE, submit=True)
        forms.approve(leader, place, found.version)
    last = wanted[-1].period if wanted else None
    for number, place in enumerate(wanted):
        fate = "approved"
        if place.period == last and (place.party.code == FIRST or number % 7 == 0):
            fate = "draft" if place.party.code == FIRST else _FATES[number // 7 % len(_FATES)]
        _make(forms, place, leader, fate)
    return len(wanted) + len(tables)


def _lines(place: Place) -> list[tuple[str, dict[str, float]]]:
    """A month's table: the part of each way moves a little towards recycling within the year."""
    out: list[tuple[str, dict[str, float]]] = []
    for way, share in _SHARES.items():
        chance = Random(f"{place.subject} {way}")
        month = place.period.first_day.month
        drift = 1 - 0.006 * month if way == "landfill" else 1 + 0.008 * month
        treated = round(15_800 * share * drift * chance.uniform(0.97, 1.03), 1)
        row = {"treated_t": treated}
        if way in _LEFT:
            row["residue_t"] = round(treated * _LEFT[way] * chance.uniform(0.95, 1.05), 1)
        out.append((way, row))
    return out


def _make(forms: Forms, place: Place, leader: Actor, fate: str) -> None:
    if fate == "missing":
        return
    given = _figures(place)
    if fate == "draft":
        given.pop("households")
    found = forms.save(SYSTEM, place, given, version=0, note=NOTE, submit=fate != "draft")
    if fate == "returned":
        reason = "Số hộ được thu gom chưa khớp phiếu cân (minh họa)"
        forms.send_back(leader, place, found.version, reason)
    elif fate == "approved":
        forms.approve(leader, place, found.version)


def _figures(place: Place) -> dict[str, float]:
    """A commune's month: its own size, a little season, a little chance."""
    size = Random(place.party.code).uniform(90, 420)
    chance = Random(place.subject).uniform(0.95, 1.05)
    generated = round(size * chance * (1 + 0.02 * (place.period.first_day.month % 3)), 1)
    share = Random(f"{place.party.code} share").uniform(0.86, 0.98)
    share *= Random(f"{place.subject} share").uniform(0.985, 1.0)
    households = round(size * 38 * (1 + 0.001 * place.period.first_day.month))
    people = round(size * Random(f"{place.party.code} people").uniform(44, 62))
    return {
        "generated_t": generated, "collected_t": round(generated * share, 1),
        "households": households, "population": people,
    }  # fmt: skip


def _wanted(conn: Connection, name: str) -> Iterator[Place]:
    """The places of ended periods that nobody has typed into, the oldest first."""
    today = local_date(utc_now(), VN)
    try:
        dataset = registry.find(conn, name)
        form = plan.form_of(dataset)
    except NotFound:
        return
    ended = [p for p in reversed(periods(form, today)) if p.last_day < today]
    known: dict[tuple[str, str], Return] = store.of_periods(
        conn, dataset.id, [p.code for p in ended]
    )
    for period in ended:
        if any(code == period.code for code, _ in known):
            continue  # made at an earlier start; what is missing there is meant to be
        for party in plan.parties(conn, dataset, period, today):
            yield plan.with_options(conn, Place(dataset, form, period, party))


def _leader(conn: Connection) -> Actor | None:
    account = accounts.find_account(conn, LEADER)
    if account is None:
        return None
    return Actor(
        "person", account.id, account.agency_id, agencies.branch(conn, account.agency_id),
        account.roles, name=account.display_name,
    )  # fmt: skip
