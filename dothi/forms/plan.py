"""Which returns there are to be: forms, their parties, their periods, and who may do what with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from dothi.forms import store
from dothi.forms.model import Option, Party, Phase, Place, Return, periods
from dothi.identity import agencies, units_read
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.period import Period
from dothi.kernel.text import vietnamese_sort_key
from dothi.lake import registry
from dothi.lake.form import Form
from dothi.lake.form_lines import MOST_LINES
from dothi.lake.registry import Dataset
from dothi.store.database import Connection


@dataclass(frozen=True)
class Todo:
    """A return that somebody has to do something with."""

    place: Place
    found: Return
    late: bool


@dataclass(frozen=True)
class Mine:
    """What waits for one person: to type (late ones first), to approve; and the forms they may look
    through. `enters`, `approves`: whether they have such a part at all."""

    to_enter: tuple[Todo, ...]
    to_approve: tuple[Todo, ...]
    forms: tuple[tuple[Dataset, dict[Phase, int], int], ...]
    """Each with its returns of the last period that ended, by phase, and how many of them are late."""
    enters: bool
    approves: bool


def forms(conn: Connection) -> list[Dataset]:
    """The datasets whose figures are typed."""
    return [d for d in registry.datasets(conn) if d.contract.form is not None]


def form_of(dataset: Dataset) -> Form:
    """A dataset's form. Raises NotFound for one that has none."""
    if dataset.contract.form is None:
        raise NotFound("identity.not_found")
    return dataset.contract.form


def parties(conn: Connection, dataset: Dataset, period: Period, today: date) -> list[Party]:
    """Who reports for a period, by name: the agencies that were there on its last day."""
    form = form_of(dataset)
    on = min(period.last_day, today)
    there = {a.code: a for a in agencies.agencies(conn, on) if a.id is not None}
    found: list[Party] = []
    if form.units:
        names = units_read.names(conn, on)
        owner = dataset.contract.owner
        ids = agencies.successors(conn, {agency or owner for _, agency in form.units})
        for code, agency in form.units:
            by = agency or owner
            if by in ids:
                name = names.get(code, code)
                found.append(Party(code, {"vi": name, "en": name}, ids[by], by))
    elif form.agencies:
        found = [
            Party(a.code, {"vi": a.name_vi, "en": a.name_en}, a.id or 0, a.code)
            for a in there.values()
            if form.names(a.code)
        ]
    elif dataset.owner_agency is not None:
        a = agencies.get_agency(conn, dataset.owner_agency)
        found = [Party(a.code, {"vi": a.name_vi, "en": a.name_en}, dataset.owner_agency, a.code)]
    return sorted(found, key=lambda p: (vietnamese_sort_key(p.title["vi"]), p.code))


def place_of(conn: Connection, name: str, period: str, party: str, today: date) -> Place:
    """One cell of the plan. Raises NotFound where nothing is asked for."""
    dataset = registry.find(conn, name)
    form = form_of(dataset)
    try:
        when = Period.parse(period)
    except Invalid:
        raise NotFound("identity.not_found") from None
    begun = when.start >= form.since.start and when.first_day <= today
    if when.grain != form.grain or not begun or when.code != period:
        raise NotFound("identity.not_found")
    for one in parties(conn, dataset, when, today):
        if one.code == party:
            return with_options(conn, Place(dataset, form, when, one))
    raise NotFound("identity.not_found")


def with_options(conn: Connection, place: Place) -> Place:
    """A place with the lines that its form lists: those of the contract, the units of the period's
    last day, or the things of another dataset that belong to who reports."""
    asked = place.form.lines
    if asked is None or not asked.listed:
        return place
    if asked.names:
        found = [Option(code, title) for code, title in asked.names]
    elif asked.units:
        named = units_read.names(conn, place.period.last_day)
        found = [
            Option(code, {"vi": name, "en": name})
            for code, name in named.items()
            if asked.names_unit(code)
        ]
    else:
        found = _things(conn, place, asked.things or "")
    if not asked.names:
        found = _apart(sorted(found, key=lambda o: (vietnamese_sort_key(o.title["vi"]), o.code)))
    return replace(place, options=tuple(found[:MOST_LINES]))


def _things(conn: Connection, place: Place, name: str) -> list[Option]:
    """Things of a dataset of the same owner: of one agency those that are its own, of the owner all."""
    try:
        dataset = registry.find(conn, name)
    except NotFound:
        return []
    if dataset.owner_agency != place.dataset.owner_agency or len(dataset.contract.key) != 1:
        return []
    all_of = place.party.agency_id == dataset.owner_agency
    return [
        Option(thing.key[0], thing.name or {"vi": thing.key[0], "en": thing.key[0]})
        for thing in registry.things(conn, dataset).values()
        if all_of or thing.agency_id == place.party.agency_id
    ]


def _apart(found: list[Option]) -> list[Option]:
    """Lines of the same name are told apart by their codes."""
    twice = Counter(title.casefold() for one in found for title in set(one.title.values()))
    return [
        replace(one, title={lang: f"{text} ({one.code})" for lang, text in one.title.items()})
        if any(twice[text.casefold()] > 1 for text in one.title.values())
        else one
        for one in found
    ]


def may_read(actor: Actor, place: Place) -> bool:
    """Whether they may see the return."""
    return decide(actor, "form.read", place.read_resource).allowed


def may_enter(actor: Actor, place: Place) -> bool:
    """Whether they may type it."""
    return decide(actor, "form.enter", place.read_resource).allowed


def may_approve(actor: Actor, place: Place) -> bool:
    """Whether they may approve what others typed."""
    approvable = place.form.approval != "none"
    return approvable and decide(actor, "form.approve", place.approve_resource).allowed


def seen(
    conn: Connection, actor: Actor, dataset: Dataset, period: Period, today: date
) -> list[Place]:
    """A period's places that an actor may see."""
    form = form_of(dataset)
    all_of = (Place(dataset, form, period, p) for p in parties(conn, dataset, period, today))
    return [place for place in all_of if may_read(actor, place)]


def has_part(conn: Connection, actor: Actor, found: Iterable[Dataset], today: date) -> bool:
    """Whether there is a form for somebody to type, approve or look through."""
    if not actor.signed_in:
        return False
    return any(
        seen(conn, actor, dataset, Period.of_date(form_of(dataset).grain, today), today)
        for dataset in found
    )


def mine(conn: Connection, actor: Actor, today: date) -> Mine:
    """What waits for a person."""
    own = {actor.agency_id, *actor.predecessors}
    enter: list[Todo] = []
    approve: list[Todo] = []
    listed: list[tuple[Dataset, dict[Phase, int], int]] = []
    enters = approves = False
    for dataset in forms(conn):
        form = form_of(dataset)
        wanted = periods(form, today)
        if not wanted:
            continue
        returns = store.of_periods(conn, dataset.id, [p.code for p in wanted])
        places = {p: seen(conn, actor, dataset, p, today) for p in wanted}
        if not any(places.values()):
            continue
        last = next((p for p in wanted if p.last_day < today), wanted[0])
        listed.append((dataset, *_counts(places[last], returns, today)))
        for period, there in places.items():
            for place in there:
                found = _return(returns, place)
                late = found.late(place.due, today)
                approves = approves or may_approve(actor, place)
                if place.party.agency_id in own and may_enter(actor, place):
                    enters = True
                    ended = period.last_day < today
                    begun = found.version > 0
                    if found.phase not in (Phase.APPROVED, Phase.SUBMITTED) and (ended or begun):
                        enter.append(Todo(place, found, late))
        approve += _waiting(conn, actor, dataset, today)
    enter.sort(key=lambda todo: (not todo.late, todo.place.due, todo.place.subject))
    return Mine(tuple(enter), tuple(approve), tuple(listed), enters, approves)


def matrix(
    conn: Connection, actor: Actor, dataset: Dataset, shown: Iterable[Period], today: date
) -> dict[str, tuple[Party, dict[str, tuple[Place, Return]]]]:
    """Parties by code with their returns by period, as far as an actor may see them."""
    wanted = list(shown)
    returns = store.of_periods(conn, dataset.id, [p.code for p in wanted])
    out: dict[str, tuple[Party, dict[str, tuple[Place, Return]]]] = {}
    for period in wanted:
        for place in seen(conn, actor, dataset, period, today):
            line = out.setdefault(place.party.code, (place.party, {}))
            line[1][period.code] = (place, _return(returns, place))
    return out


def _waiting(conn: Connection, actor: Actor, dataset: Dataset, today: date) -> list[Todo]:
    out = []
    for found in store.waiting(conn, dataset.id):
        try:
            place = place_of(conn, dataset.name, found.period, found.party, today)
        except NotFound:
            continue  # an agency or unit that the form does not name any more
        if may_approve(actor, place) and actor.ref not in found.authors:
            out.append(Todo(place, found, False))
    return out


def _counts(
    places: Iterable[Place], returns: dict[tuple[str, str], Return], today: date
) -> tuple[dict[Phase, int], int]:
    counts: dict[Phase, int] = {}
    late = 0
    for place in places:
        found = _return(returns, place)
        counts[found.phase] = counts.get(found.phase, 0) + 1
        late += found.late(place.due, today)
    return counts, late


def _return(returns: dict[tuple[str, str], Return], place: Place) -> Return:
    code, party = place.period.code, place.party
    return returns.get((code, party.code)) or Return(party.code, code, party.agency_id)
