"""The leader's page (trang lãnh đạo): the province's numbers with who answers for each, what is late,
what moved, and urging on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from urllib.parse import quote

from dothi.identity import agencies
from dothi.identity.agencies import successors
from dothi.identity.model import Actor, Agency
from dothi.identity.policy import Resource, decide, require
from dothi.indicators.model import Better
from dothi.ioc import aims, figures, leader_list, leader_numbers, overview
from dothi.ioc import leader_view as lv
from dothi.ioc.admin.trail import called
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures
from dothi.ioc.leader_list import Number
from dothi.ioc.leader_numbers import Known
from dothi.kernel import unusual
from dothi.kernel.errors import Forbidden, Invalid, NotFound
from dothi.kernel.i18n import LANGS, number, t
from dothi.kernel.time import VN, local_date
from dothi.store.database import Connection
from dothi.work import inbox, words
from dothi.work.inbox import Filters
from dothi.work.model import Item, Severity
from dothi.work.service import Opening
from dothi.work.urging import Last, Urging, last_of_items, last_of_keys, urge, urge_about

BASE = "/leader"
MOST_LATE = 200
SHOWN_LATE = 3
"""Late items of an agency that stand on the page; the rest is behind its name."""
MOST_MOVED = 6
PERIODS = {"hour": 72, "day": 60, "month": 24, "quarter": 12, "year": 8}
"""How many periods of the past say what is usual."""


def require_reader(actor: Actor) -> None:
    """Raises NotFound for whom the page is not there."""
    if not (actor.signed_in and decide(actor, "leader.open", Resource("leader")).allowed):
        raise NotFound("web.no_page")


def topics(desk: Desk, actor: Actor) -> tuple[str, ...]:
    """What may change the page of this person."""
    scores = tuple(f"series:{name}" for name in leader_numbers.score_names(desk, actor))
    return (*overview.topics(desk, actor), *scores, "leader", aims.TOPIC)


def page(desk: Desk, actor: Actor, lang: str) -> lv.LeaderView:
    """Everything on the page."""
    return lv.LeaderView(
        numbers(desk, actor, lang),
        late(desk, actor, lang) if desk.sees_work(actor) else None,
        moved(desk, actor, lang),
    )


# -- the numbers ------------------------------------------------------------------------------------


def numbers(desk: Desk, actor: Actor, lang: str) -> lv.NumbersView:
    """The fixed numbers that this person may see, in their order."""
    there = leader_numbers.there(desk, actor, lang)
    today = local_date(desk.now(), VN)
    with desk.db.transaction() as conn:
        fixed = [one for one in leader_list.numbers(conn) if one.key in there]
        living = _living(conn, fixed)
        keys = {one.key: _key(one, living) for one in fixed}
        last = last_of_keys(conn, keys.values())
        edit = leader_list.may_fix(conn, actor)
    rows = tuple(
        _row(actor, one, there[one.key](), living, last.get(keys[one.key]), today, lang)
        for one in fixed
    )
    url = f"{BASE}/numbers"
    return lv.NumbersView(url, topics(desk, actor), rows, f"{BASE}/fix" if edit else None)


def _living(conn: Connection, fixed: Iterable[Number]) -> dict[str, Agency]:
    """By the code on the list the agency that answers today: itself, or what it was merged into."""
    ids = successors(conn, {one.agency for one in fixed})
    by_id = {a.id: a for a in agencies.agencies(conn)}
    return {code: by_id[found] for code, found in ids.items() if found in by_id}


def _key(one: Number, living: Mapping[str, Agency]) -> str:
    """What the item that urges a number is known by: the number, and who answers for it."""
    agency = living.get(one.agency)
    return f"leader:{one.key}:{agency.id if agency else 0}"


def _row(
    actor: Actor, one: Number, known: Known, living: Mapping[str, Agency], last: Last | None,
    today: date, lang: str,
) -> lv.NumberRow:  # fmt: skip
    agency = living.get(one.agency)
    may = agency is not None and _may_urge(actor, agency.id)
    sees = agency is not None and _sees_work_of(actor, agency.id)
    name = agency.name(lang) if agency else one.agency
    return lv.NumberRow(
        key=one.key,
        title=known.title,
        text=known.text,
        unit=known.unit,
        about=known.about,
        status=known.status,
        url=known.url,
        agency=name,
        agency_url=f"/agencies/{agency.code}" if agency else None,
        role=t(f"identity.role.{one.role}", lang),
        urge=_urge(
            urge_id(one.key),
            f"{BASE}/urge?key={quote(one.key)}" if may else None,
            t("leader.urge_about", lang, agency=name, what=known.title),
            last if sees else None, today,
        ),
        change=known.change,
        trend=leader_numbers.trend(known, lang),
        aim=known.aim.row if known.aim else None,
        periods=known.periods,
        spark=known.spark,
        at=known.at,
        stale=known.stale,
    )  # fmt: skip


def _urge(id_: str, url: str | None, about: str, last: Last | None, today: date) -> lv.Urge:
    if last is None:
        return lv.Urge(id_, url, about)
    done = local_date(last.at, VN) == today
    said = lv.Urged(last.nth, last.at, last.by, f"/work/{last.code}", done)
    return lv.Urge(id_, None if done else url, about, said)


def _may_urge(actor: Actor, agency: int | None) -> bool:
    resource = Resource("work", owner_agency=agency)
    return all(decide(actor, what, resource).allowed for what in ("work.open", "work.assign"))


def _sees_work_of(actor: Actor, agency: int | None) -> bool:
    return decide(actor, "work.read", Resource("work", owner_agency=agency)).allowed


# -- urging -----------------------------------------------------------------------------------------


def urge_id(what: str) -> str:
    """What the button for a number or an item is called on the page."""
    return "urge-" + re.sub(r"[^A-Za-z0-9]+", "-", what)


def urge_number(desk: Desk, actor: Actor, key: str) -> Urging:
    """Urge who answers for a number: its open item, or a new one with a task's usual deadline. Once a
    day, whoever taps. Raises NotFound for a number that is not on the page of this person."""
    require_reader(actor)
    there = {lang: leader_numbers.there(desk, actor, lang).get(key) for lang in LANGS}
    makers: dict[str, Callable[[], Known]] = {k: make for k, make in there.items() if make}
    with desk.db.transaction() as conn:
        one = next((n for n in leader_list.numbers(conn) if n.key == key), None)
        living = _living(conn, [one] if one else [])
        agency = living.get(one.agency) if one else None
    if one is None or agency is None or agency.id is None or not makers:
        raise NotFound("identity.not_found")
    if not _may_urge(actor, agency.id):
        raise Forbidden("identity.reason.other_agency")
    opening = _opening(one, agency.id, {lang: make() for lang, make in makers.items()},
                       _key(one, living))  # fmt: skip
    with desk.db.transaction() as conn:
        done = urge_about(conn, actor, opening, now=desk.now())
    desk.ring()
    return done


def _opening(one: Number, agency: int, known: Mapping[str, Known], dedupe_key: str) -> Opening:
    title, detail = {}, {}
    for lang, now in known.items():
        said = f"{now.text} {now.unit}".strip()
        title[lang] = t("leader.urge_title", lang, what=now.title, value=said)[:300]
        parts = [now.about, now.status.text]
        if now.aim is not None and now.aim.status.text != now.status.text:
            parts.append(f"{now.aim.about}: {now.aim.status.text}")
        role = t(f"identity.role.{one.role}", lang)
        detail[lang] = t("leader.urge_detail", lang, state=". ".join(parts), role=role)
    return Opening(
        kind="task", title=title, detail=detail, severity=Severity.WARNING, agency_id=agency,
        service=known["vi"].service, source={"figure": one.key, "leader": True},
        dedupe_key=dedupe_key,
    )  # fmt: skip


def urge_item(desk: Desk, actor: Actor, code: str) -> Urging:
    """Urge an item on, once a day. Raises NotFound, Forbidden, Conflict where it is closed."""
    require_reader(actor)
    with desk.db.transaction() as conn:
        done = urge(conn, actor, code, now=desk.now())
    desk.ring()
    return done


def urged(done: Urging, id_: str, lang: str) -> tuple[lv.Urge, str]:
    """What stands in place of the button that was tapped, and the sentence that says what happened."""
    said = lv.Urged(done.nth, done.at, done.by, f"/work/{done.code}", True)
    key = "leader.urged_new" if done.new else "leader.urged_before"
    at = done.at.astimezone(VN).strftime("%H:%M")
    return lv.Urge(id_, None, "", said), t(
        key, lang, nth=done.nth, at=at, by=done.by, code=done.code
    )


# -- what is late -----------------------------------------------------------------------------------


def late(desk: Desk, actor: Actor, lang: str) -> lv.LateView:
    """Items past their deadline by agency: who has the oldest first, in it the oldest first."""
    require(actor, "work.read", Resource("work", agency_column="owner_agency"))
    now = desk.now()
    with desk.db.transaction() as conn:
        found = inbox.overdue(conn, actor, now=now, limit=MOST_LATE)
        total = inbox.counts(conn, actor, Filters(overdue=True), now=now).total
        last = last_of_items(conn, [one.id for one in found])
    by_agency: dict[int, list[Item]] = {}
    for one in found:  # the oldest first, so the agencies too
        by_agency.setdefault(one.agency_id, []).append(one)
    groups = tuple(
        lv.LateAgency(
            name=items[0].agency[lang],
            count=len(items),
            url=f"/work?agency={agency}",
            rows=tuple(_late_row(actor, x, last.get(x.id), now, lang) for x in items[:SHOWN_LATE]),
            more=max(0, len(items) - SHOWN_LATE),
        )
        for agency, items in by_agency.items()
    )
    return lv.LateView(f"{BASE}/late", ("work",), groups, total)


def _late_row(actor: Actor, item: Item, last: Last | None, now: datetime, lang: str) -> lv.LateRow:
    may = decide(actor, "work.assign", item.resource).allowed
    return lv.LateRow(
        code=item.code,
        title=item.title[lang],
        url=f"/work/{item.code}",
        due_at=item.due_at or now,
        left=item.left_by_calendar(now),
        state=words.state_text(item, lang),
        urge=_urge(
            urge_id(item.code), f"{BASE}/work/{item.code}/urge" if may else None,
            f"{item.code}: {item.title[lang]}", last, local_date(now, VN),
        ),
    )  # fmt: skip


# -- what moved -------------------------------------------------------------------------------------


def moved(desk: Desk, actor: Actor, lang: str) -> lv.MovedView:
    """The fresh figures whose last change is most unlike their own past, the most unlike first."""
    found: list[tuple[unusual.Change, Figures, figures.Latest]] = []
    judged = 0
    for figs in figures.every(desk, actor):
        for thing, change in _changes(desk, figs).items():
            one = figs.newest[thing]
            if figs.fresh(one):
                judged += 1
                if change.unusual:
                    found.append((change, figs, one))
    found.sort(key=lambda row: -row[0].times)
    return lv.MovedView(
        f"{BASE}/moved", topics(desk, actor),
        tuple(_moved_row(*row, lang) for row in found[:MOST_MOVED]), judged,
    )  # fmt: skip


def _changes(desk: Desk, figs: Figures) -> dict[int, unusual.Change]:
    """The last change of every thing's figure beside those before it."""
    definition = figs.indicator.definition
    step = 10.0 ** -definition.outputs[0].decimals

    def look() -> dict[int, unusual.Change]:
        ends: dict[datetime, list[figures.Latest]] = {}
        for one in figs.newest.values():
            ends.setdefault(one.t, []).append(one)
        out = {}
        for end, group in ends.items():
            count = PERIODS[definition.grain]
            times = definition.instants_before(end, count)
            streams = [one.stream_id for one in group]
            values = desk.lake.points.at(figs.indicator.dataset, streams, times)
            for one in group:
                past = [values.get((one.stream_id, at)) for at in times]
                if (change := unusual.last_change(past, step)) is not None:
                    out[one.thing_id] = change
        return out

    newest = tuple(sorted((x.stream_id, x.t, x.value) for x in figs.newest.values()))
    key = ("changes", figs.indicator.name, figs.indicator.version, hash(newest))
    return desk.cache.value(key, (), look, kept_s=600)


def _moved_row(
    change: unusual.Change, figs: Figures, one: figures.Latest, lang: str
) -> lv.MovedRow:
    definition = figs.indicator.definition
    output = definition.outputs[0]
    decimals = output.decimals
    up = change.amount > 0
    unit = "" if output.unit == "1" else f" {output.unit}"
    why = t(
        "leader.why", lang,
        moved=t("leader.rose" if up else "leader.fell", lang,
                amount=number(abs(change.amount), lang, decimals) + unit),
        since=t(f"leader.since_{definition.grain}", lang),
        usual=number(change.usual, lang, max(decimals, 1)) + unit,
        times=number(min(change.times, 999), lang, 0 if change.times >= 10 else 1),
    )  # fmt: skip
    return lv.MovedRow(
        title=output.title[lang],
        place=figs.things[one.thing_id].title(lang),
        was=number(change.was, lang, decimals),
        now=number(change.now, lang, decimals),
        up=up,
        better=_better(output.better, up=up),
        level=overview.status_of(one, lang).level,
        why=why,
        url=overview.url("figure", key=overview.key_of(figs), thing=one.thing_id),
    )


def _better(toward: Better, *, up: bool) -> bool | None:
    return None if toward == "none" else up == (toward == "higher")


# -- fixing the numbers -----------------------------------------------------------------------------


def fix_form(
    desk: Desk, actor: Actor, lang: str, sent: Mapping[str, str] | None = None,
    error: Invalid | None = None,
) -> lv.FixView:  # fmt: skip
    """The form that fixes the numbers, as it stands or as it was sent. Raises NotFound, Forbidden."""
    require_reader(actor)
    there = leader_numbers.there(desk, actor, lang)
    titles = {key: leader_numbers.title_of(key, make) for key, make in there.items()}
    with desk.db.transaction() as conn:
        require(actor, "leader.fix", leader_list.page(conn))
        lists = leader_list.lists(conn)
        today = local_date(desk.now(), VN)
        living = sorted((a.name(lang), a.code) for a in agencies.agencies(conn, today))
    now = [n for n in (lists[0].numbers if lists else ()) if n.key in there]
    slots = []
    for place in range(1, leader_list.MOST + 1):
        if sent is not None:
            given = [sent.get(f"{name}.{place}", "") for name in ("key", "agency", "role")]
        elif place <= len(now):
            given = [now[place - 1].key, now[place - 1].agency, now[place - 1].role]
        else:
            given = ["", "", leader_list.ANSWERING[0].value]
        slots.append(lv.Slot(place, *given))
    return lv.FixView(
        slots=tuple(slots),
        keys=tuple(titles.items()),
        agencies=tuple((code, name) for name, code in living),
        roles=tuple((r.value, t(f"identity.role.{r.value}", lang)) for r in leader_list.ANSWERING),
        faults={f.where: f.text(lang) for f in error.faults} if error else {},
        past=tuple(
            lv.PastList(
                x.at,
                called(x.ref, x.by, lang),
                tuple(titles[n.key] for n in x.numbers if n.key in titles),
            )
            for x in lists
        ),
        back_url=BASE,
    )


def fix(desk: Desk, actor: Actor, sent: Mapping[str, str]) -> None:
    """Fix the numbers as the form says them; empty lines are left out. Raises Invalid."""
    require_reader(actor)
    known = leader_numbers.there(desk, actor, "vi")
    wanted, places = [], []
    for place in range(1, leader_list.MOST + 1):
        if key := sent.get(f"key.{place}", ""):
            agency, role = sent.get(f"agency.{place}", ""), sent.get(f"role.{place}", "")
            wanted.append(Number(key, agency, role))
            places.append(place)
    with desk.db.transaction() as conn:
        leader_list.fix(conn, actor, wanted, known, places)
    desk.ring()
