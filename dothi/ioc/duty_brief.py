"""What the morning brief says, gathered from the whole house.

The brief of an agency says what its people on duty may see: an operations centre's that of an
operator, any other's that of its leader. It is read by who may read the agency's duty.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any

from dothi.identity import accounts
from dothi.identity.agencies import branch, get_agency
from dothi.identity.model import Actor, Role
from dothi.indicators import service as indicators
from dothi.indicators import store as store_of_indicators
from dothi.ioc import figures
from dothi.ioc.desk import Desk
from dothi.ioc.figures import Figures, Signal
from dothi.ioc.overview import key_of, url
from dothi.ioc.span import Span
from dothi.kernel.i18n import LANGS, number, t
from dothi.kernel.time import VN, local_date, rfc3339
from dothi.store.database import Connection
from dothi.web.site import PanelCache
from dothi.work import standing
from dothi.work.duty import store
from dothi.work.duty.brief import LATE, SECTIONS, Body, Line, Section
from dothi.work.duty.log import Candidate
from dothi.work.duty.model import Link, Turn, brief_span, turns
from dothi.work.duty.roster import hours_text

MOST_LIMITS = 12
MOST_SILENT = 10
MOST_MOVED = 8
MOST_OF_A_FIGURE = 2
MOST_REPORTED = 4
MOST_AGENCIES = 12
MOST_ENTRIES = 20
MOST_EVENTS = 5_000
LONGEST_ABOVE = timedelta(days=366)
"""How far back the beginning of a limit's passing is looked for."""

Texts = dict[str, str]
Key = tuple[str, int, str]
"""An indicator, a thing, an output."""
_PASSED = ["indicator.threshold"]
_SILENT = url("figure", key="silent")


class Past(Desk):
    """The figures as they stood at an instant: those of periods that had ended by then."""

    def __init__(self, desk: Desk, at: datetime) -> None:
        super().__init__(desk.db, desk.lake, PanelCache(lambda _: 0), desk.settings)
        self._at = at

    def now(self) -> datetime:
        return self._at


def gather(desk: Desk, agency: int, day: date, now: datetime) -> Body:
    """The sections as they are generated, all as things stood at the end of the brief's time; the
    last two are left to who edits the brief. `now`: when it is made."""
    since, until = brief_span(day)
    with desk.db.transaction() as conn:
        viewer = viewer_of(conn, agency)
        found = {
            "work": _work(conn, viewer, since, until),
            "log": _log(conn, agency, since, until),
            "roster": _roster(conn, agency, day),
        }
    past = Past(desk, until)
    found["limits"] = _limits(past, viewer, since, until)
    found["silent"] = _silent(past, viewer, until, now)
    found["moved"] = [*_reported(past, viewer, since, until), *_moved(past, viewer, until)]
    return tuple(
        Section(
            key,
            tuple(
                Line(f"{key}-{n}", texts, link)
                for n, (texts, link) in enumerate(found.get(key, ()), 1)
            ),
        )
        for key in SECTIONS
    )


def viewer_of(conn: Connection, agency: int) -> Actor:
    """With whose eyes the brief of an agency is gathered."""
    operators = any(
        a.agency_id == agency and a.disabled_at is None and Role.OPERATOR in a.roles
        for a in accounts.accounts(conn)
    )
    role = Role.OPERATOR if operators else Role.LEADER
    return Actor("person", agency_id=agency, agencies=branch(conn, agency), roles=frozenset({role}))


def silent(desk: Desk, actor: Actor, now: datetime) -> list[Signal]:
    """The stations that do not send as they promise, those silent longest first."""
    found = [s for s in figures.signals(desk, actor) if not s.online(now)]
    return sorted(found, key=lambda s: s.seen)


def silent_candidates(desk: Desk, actor: Actor, since: datetime, now: datetime) -> list[Candidate]:
    """The sources that fell silent from an instant on, for the shift log."""
    return [
        Candidate(
            f"silent:{s.stream_id}:{rfc3339(s.seen)}",
            fell,
            _both("duty.brief.silent", station=lambda lang, s=s: s.thing.title(lang), at=s.seen,
                  data=lambda lang, s=s: s.dataset.contract.title[lang]),
            Link(_SILENT, s.thing.title("vi")),
        )
        for s in silent(desk, actor, now)
        if (fell := s.seen + s.patience) >= since
    ]  # fmt: skip


# -- the sections ----------------------------------------------------------------------------------


def _limits(
    desk: Desk, viewer: Actor, since: datetime, until: datetime
) -> list[tuple[Texts, str | None]]:
    """What was above a limit before and stayed so; then the limits that were passed, by figure and
    station: how often, and the worst of it."""
    passed: defaultdict[Key, list[dict[str, Any]]] = defaultdict(list)
    fell: dict[Key, datetime] = {}
    with desk.db.transaction() as conn:
        above = _above(conn, since)
        for _, at, _, said in store.events(conn, _PASSED, since, until, MOST_EVENTS):
            if said["direction"] == "up":
                passed[_key(said)].append(said)
            elif said["level"] == 0:
                fell.setdefault(_key(said), at)
    lines = [
        ((0, texts["vi"]), texts, link)
        for key, (began, said) in above.items()
        if key not in passed
        for texts, link in _still(desk, viewer, said, began, fell.get(key), since, until)
    ]
    for (name, thing, parameter), events in passed.items():
        figs = figures.visible(desk, viewer, name)
        if figs is None or thing not in figs.things:
            continue
        output = figs.indicator.definition.output(parameter)
        worst = (min if figs.low_is_bad else max)(events, key=lambda said: said["value"])
        unit = "" if output.unit == "1" else f" {output.unit}"
        texts = {
            lang: t(
                "duty.brief.limit", lang, what=output.title[lang],
                place=figs.things[thing].title(lang),
                value=number(worst["value"], lang, output.decimals) + unit,
                limit=number(worst["threshold"], lang, output.decimals) + unit,
                source=worst["source"], count=len(events),
            )
            for lang in LANGS
        }  # fmt: skip
        # After those that were above all the time, the most frequent first.
        rank = (MOST_EVENTS + 1 - len(events), texts["vi"])
        lines.append((rank, texts, url("figure", key=f"i_{name}", thing=thing)))
    lines.sort(key=lambda line: line[0])
    shown: list[tuple[Texts, str | None]] = [
        (texts, link) for _, texts, link in lines[:MOST_LIMITS]
    ]
    return _and_more(shown, len(lines), "duty.brief.more_limits", "/ioc")


def _key(said: dict[str, Any]) -> Key:
    return said["indicator"], said["thing"], said["parameter"]


def _above(conn: Connection, at: datetime) -> dict[Key, tuple[datetime, dict[str, Any]]]:
    """What was above a limit at an instant: since when, and what was said then."""
    found: dict[Key, tuple[datetime, dict[str, Any]]] = {}
    for _, when, _, said in store.events(conn, _PASSED, at - LONGEST_ABOVE, at, MOST_EVENTS):
        if said["level"] == 0:
            found.pop(_key(said), None)
        else:
            found.setdefault(_key(said), (when, said))
    return found


def _still(
    desk: Desk, viewer: Actor, said: dict[str, Any], began: datetime, fell: datetime | None,
    since: datetime, until: datetime,
) -> list[tuple[Texts, str | None]]:  # fmt: skip
    """The line about what was above a limit when the brief's time began. None where nothing was
    measured since: that it is silent is told elsewhere."""
    name, thing, parameter = _key(said)
    figs = figures.visible(desk, viewer, name)
    if figs is None or thing not in figs.things:
        return []
    output = figs.indicator.definition.output(parameter)
    words = {
        "what": lambda lang: output.title[lang],
        "place": lambda lang: figs.things[thing].title(lang),
        "began": began,
    }
    link = url("figure", key=f"i_{name}", thing=thing)
    if fell is not None:
        return [(_both("duty.brief.limit_until", fell=fell, **words), link)]
    with desk.db.transaction() as conn:
        newest = indicators.latest(
            conn, desk.lake, figs.indicator, now=until, outputs=[parameter],
            streams=[said["stream"]],
        ).get((thing, parameter))  # fmt: skip
    if newest is None or newest.period.end <= since or not newest.passed:
        return []
    unit = "" if output.unit == "1" else f" {output.unit}"
    limit = newest.passed[-1]
    texts = _both(
        "duty.brief.limit_still", at=newest.period.end, source=limit.source,
        value=lambda lang: number(newest.value, lang, output.decimals) + unit,
        limit=lambda lang: number(limit.limit, lang, output.decimals) + unit, **words,
    )  # fmt: skip
    return [(texts, link)]


def _work(
    conn: Connection, viewer: Actor, since: datetime, until: datetime
) -> list[tuple[Texts, str | None]]:
    flow = standing.flow(conn, viewer, since, until)
    by_agency = standing.flow_by_agency(conn, viewer, since, until)
    open_then = standing.open_at(conn, viewer, until)
    late = sum(row[4] for row in by_agency)
    if not (by_agency or open_then):
        return []
    lines: list[tuple[Texts, str | None]] = [
        (
            _both("duty.brief.work", opened=flow.opened, closed=sum(r[3] for r in by_agency),
                  verified=flow.closed, in_time=flow.in_time, open=open_then, late=late),
            "/work",
        )
    ]  # fmt: skip
    lines += [
        (
            _both("duty.brief.work_of", agency=name, opened=opened, closed=closed, late=late_),
            f"/work?agency={agency}",
        )
        for agency, name, opened, closed, late_ in by_agency[:MOST_AGENCIES]
    ]
    return _and_more(lines, len(by_agency) + 1, "duty.brief.more_agencies", "/work")


def _silent(
    desk: Desk, viewer: Actor, until: datetime, now: datetime
) -> list[tuple[Texts, str | None]]:
    """Who was silent at the end of the brief's time. When a station sent last is known only of its
    newest value: a brief made late says that who has sent since is not in it."""
    found = silent(desk, viewer, until)
    lines: list[tuple[Texts, str | None]] = [
        (
            _both("duty.brief.silent", station=lambda lang, s=s: s.thing.title(lang), at=s.seen,
                  data=lambda lang, s=s: s.dataset.contract.title[lang]),
            _SILENT,
        )
        for s in found[:MOST_SILENT]
    ]  # fmt: skip
    lines = _and_more(lines, len(found), "duty.brief.more_silent", _SILENT)
    if now > until + LATE and any(s.seen > until for s in figures.signals(desk, viewer)):
        lines.append((_both("duty.brief.silent_unknown", at=now), _SILENT))
    return lines


def _moved(desk: Desk, viewer: Actor, until: datetime) -> list[tuple[Texts, str | None]]:
    """The figures that changed most against the day before, of each kind of figure only a few."""
    span = Span.of("today", until)
    found: list[tuple[float, float, Figures, figures.Latest]] = []
    for figs in figures.every(desk, viewer):
        if figs.indicator.definition.by_calendar:
            continue
        changed = [
            ((one.value - was) / abs(was), was, figs, one)
            for thing, was in figures.before(desk, figs, span).items()
            if was and (one := figs.newest[thing]).value != was and figs.fresh(one)
        ]
        found += sorted(changed, key=lambda row: -abs(row[0]))[:MOST_OF_A_FIGURE]
    found.sort(key=lambda row: -abs(row[0]))
    lines: list[tuple[Texts, str | None]] = []
    for share, was, figs, one in found[:MOST_MOVED]:
        output = figs.indicator.definition.outputs[0]
        unit = "" if output.unit == "1" else f" {output.unit}"
        texts = {
            lang: t(
                "duty.brief.moved_up" if share > 0 else "duty.brief.moved_down", lang,
                what=output.title[lang], place=figs.things[one.thing_id].title(lang),
                was=number(was, lang, output.decimals),
                now=number(one.value, lang, output.decimals) + unit,
                share=number(abs(share) * 100, lang, 0),
                day=local_date(span.before(one.period.start), VN),
            )
            for lang in LANGS
        }  # fmt: skip
        lines.append((texts, url("figure", key=key_of(figs), thing=one.thing_id)))
    return lines


def _reported(
    desk: Desk, viewer: Actor, since: datetime, until: datetime
) -> list[tuple[Texts, str | None]]:
    """The figures of months, quarters and years that came in, or came to be others, in the brief's
    time: each kind in a line, those that moved most named."""
    span = Span.of("month", until)
    lines: list[tuple[Texts, str | None]] = []
    for figs in figures.every(desk, viewer):
        if not figs.indicator.definition.by_calendar:
            continue
        with desk.db.transaction() as conn:
            loads = store_of_indicators.loads(conn, [x.load_id for x in figs.newest.values()])
        new = [x for x in figs.newest.values() if since <= loads[x.load_id].at < until]
        period = max((x.period for x in new), default=None)
        if period is None:
            continue
        new = [x for x in new if x.period == period]
        was = figures.before(desk, figs, span)
        new.sort(key=lambda x: (-_moved_by(x.value, was.get(x.thing_id)), x.thing_id))
        texts = {
            lang: t(
                "duty.brief.reported", lang, what=figs.indicator.definition.outputs[0].title[lang],
                period=period.in_sentence(lang), count=len(new),
                places="; ".join(_place(figs, x, was, lang) for x in new[:MOST_REPORTED])
                + ("; …" if len(new) > MOST_REPORTED else ""),
            )
            for lang in LANGS
        }  # fmt: skip
        lines.append((texts, url("figure", key=key_of(figs))))
    return lines


def _moved_by(value: float, was: float | None) -> float:
    return abs(value - was) / abs(was) if was else 0.0


def _place(figs: Figures, one: figures.Latest, was: dict[int, float], lang: str) -> str:
    """A figure with its place and what it was a period before."""
    output = figs.indicator.definition.outputs[0]
    unit = "" if output.unit == "1" else f" {output.unit}"
    earlier = was.get(one.thing_id)
    return t(
        "duty.brief.reported_first" if earlier is None else "duty.brief.reported_of", lang,
        place=figs.things[one.thing_id].title(lang),
        now=number(one.value, lang, output.decimals) + unit,
        was="" if earlier is None else number(earlier, lang, output.decimals) + unit,
    )  # fmt: skip


def _log(
    conn: Connection, agency: int, since: datetime, until: datetime
) -> list[tuple[Texts, str | None]]:
    day = until.astimezone(VN).date() - timedelta(days=1)
    log_url = f"/duty/log?agency={get_agency(conn, agency).code}&day={day.isoformat()}"
    found = [
        e for e in store.entries(conn, agency, since, until)
        if e.important and e.corrected_by is None
    ]  # fmt: skip
    lines: list[tuple[Texts, str | None]] = [
        (
            _both("duty.brief.entry", at=entry.at.astimezone(VN).strftime("%H:%M"),
                  text=lambda lang, e=entry: _one_line(e.text[lang])),
            entry.links[0].url if entry.links else log_url,
        )
        for entry in found[:MOST_ENTRIES]
    ]  # fmt: skip
    return _and_more(lines, len(found), "duty.brief.more_entries", log_url)


def _roster(conn: Connection, agency: int, day: date) -> list[tuple[Texts, str | None]]:
    found = turns(
        store.shifts(conn, agency, day, day), store.people(conn, agency, day, day), day, day
    )
    link = f"/duty?agency={get_agency(conn, agency).code}"
    return [({lang: turn_line(turn, lang) for lang in LANGS}, link) for turn in found]


def turn_line(turn: Turn, lang: str) -> str:
    """Who is in a turn: "Ca ngày (06:00–14:00): Trực ban IOC (trực chính)"; or that nobody is."""
    who = ", ".join(
        t("duty.person", lang, name=p.name, role=t(f"duty.role_in.{p.role}", lang))
        for p in turn.present
    )
    return t(
        "duty.brief.turn", lang, shift=turn.shift.name, hours=hours_text(turn.shift, lang),
        who=who or t("duty.nobody", lang),
    )  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _and_more(
    lines: list[tuple[Texts, str | None]], total: int, key: str, link: str
) -> list[tuple[Texts, str | None]]:
    """What is shown, and how many more there are."""
    if total > len(lines):
        lines.append((_both(key, count=total - len(lines)), link))
    return lines


def _both(key: str, **params: Any) -> Texts:
    """A text in both languages; a parameter that differs is a function or a text by language."""

    def of(value: Any, lang: str) -> Any:
        if callable(value):
            return value(lang)
        return value[lang] if isinstance(value, dict) else value

    return {lang: t(key, lang, **{k: of(v, lang) for k, v in params.items()}) for lang in LANGS}
