"""The page of the public-services score: figures as the worker stored them, by agency, unit and
period; what costs an agency points, computed when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dothi.identity import agencies
from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.indicators.target import PROVINCE
from dothi.ioc import aims
from dothi.ioc import score_view as s
from dothi.ioc.desk import Desk
from dothi.ioc.overview_view import AimRow
from dothi.ioc.tables import Sheet
from dothi.ioc.view import Change, Choice, Fact
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import datetime_, number, t
from dothi.kernel.period import Grain, Period
from dothi.kernel.text import search_key
from dothi.kernel.time import local_date

if TYPE_CHECKING:
    from dothi.indicators.score import Component
    from dothi.indicators.scores import Scored
    from dothi.indicators.scoring import Correction, Figure
    from dothi.lake.read import View

BASE = "/services/public-services"
NAME = "score766"
TOPICS = (f"series:{NAME}", aims.TOPIC)
ALL = "*"
TOTAL = "total"
PAST = {"month": 12, "quarter": 8, "year": 5}
"""How many periods the strip of the past shows."""
MOST_FAULTS = 50
FAULTS_KEPT_S = 300
_GRAINS: tuple[Grain, ...] = ("month", "quarter", "year")


@dataclass(frozen=True)
class Asked:
    """Of whom and of which period; `flaw`: only faults of this name."""

    period: Period
    agency: str = ALL
    unit: str = ALL
    flaw: str = ""

    def url(self, panel: str = "", **other: Any) -> str:
        """The address of the same with something changed."""
        one = replace(self, **other)
        given = {
            "period": one.period.code,
            "agency": one.agency,
            "unit": one.unit,
            "flaw": one.flaw,
        }
        query = urlencode({k: v for k, v in given.items() if v not in ("", ALL)})
        return f"{BASE}{f'/{panel}' if panel else ''}?{query}"


@dataclass(frozen=True)
class _Known:
    """The score and the figures that a page of one period needs."""

    one: Scored
    asked: Asked
    names: dict[str, str]
    figures: dict[tuple[str, str, str], Figure]
    """Of the period, by agency, unit and component: all agencies, and the units of the one asked for."""
    past: dict[str, Figure]
    """Totals of who is asked for, by period."""
    without: frozenset[str]
    """The inputs of which there is no row of who is asked for, up to the period's end."""

    def points(self, component: str, agency: str, unit: str) -> s.Points:
        found = self.figures.get((agency, unit, component))
        return s.Points(found.points, found.most) if found else s.Points(None, None)

    def group(self, name: str, lang: str) -> s.Points:
        """The points of a group of who is asked for; without any, whether data is lacking."""
        points = self.points(f"group {name}", self.asked.agency, self.asked.unit)
        if points.points is not None:
            return points
        level = level_of(self.asked)
        lacks = any(
            c.rows in self.without and level in c.levels
            for c in self.one.score.components.values() if c.group == name
        )  # fmt: skip
        return replace(points, none=t("score.no_rows" if lacks else "score.not_applicable", lang))


def level_of(what: Asked) -> str:
    """Whether the province, an agency or a unit is asked for, as `Component.levels` says it."""
    return "province" if what.agency == ALL else "agency" if what.unit == ALL else "unit"


def asked(desk: Desk, period: str, agency: str, unit: str, flaw: str = "") -> Asked:
    """What an address asks for; without a period the present month."""
    try:
        found = Period.parse(period) if period else Period.containing("month", desk.now())
    except Invalid as error:
        raise NotFound("web.no_page") from error
    if found.grain not in _GRAINS:
        raise NotFound("web.no_page")
    return Asked(found, agency or ALL, (unit or ALL) if agency else ALL, flaw)


def _score(desk: Desk, actor: Actor) -> Scored:
    # With it comes the SQL parser, a tenth of a second that no start of the web should pay.
    from dothi.indicators import scores

    def look() -> Scored:
        with desk.db.transaction() as conn:
            return scores.find(conn, NAME)

    try:
        one = desk.cache.value(("score", NAME), TOPICS, look, kept_s=10)
    except NotFound as error:
        raise NotFound("identity.not_found") from error
    if not decide(actor, "dataset.read", one.dataset.resource).allowed:
        raise NotFound("identity.not_found")
    return one


def _known(desk: Desk, actor: Actor, lang: str, what: Asked) -> _Known:
    one = _score(desk, actor)
    what = replace(what, flaw="")
    return desk.cache.value(
        ("score", NAME, what, lang), TOPICS, lambda: _look(desk, one, lang, what), kept_s=30
    )


def _look(desk: Desk, one: Scored, lang: str, what: Asked) -> _Known:
    from dothi.indicators import scores

    past = [p.code for p in _past(what.period)]
    marks = ", ".join("?" for _ in past)
    with desk.lake.view() as view:
        found = scores.stored(
            view, one,
            "(period = ? AND (unit = '*' OR agency = ?)) OR "
            f"(agency = ? AND unit = ? AND component = '{TOTAL}' AND period IN ({marks}))",
            [what.period.code, what.agency, what.agency, what.unit, *past],
        )  # fmt: skip
        without = frozenset(name for name in one.inputs if not _has_rows(view, one, name, what))
    with desk.db.transaction() as conn:
        names = {a.code: a.name(lang) for a in agencies.agencies(conn)}
    now = [f for f in found if f.period == what.period.code]
    return _Known(
        one, what, names,
        {(f.agency, f.unit, f.component): f for f in now},
        {f.period: f for f in found
         if (f.agency, f.unit, f.component) == (what.agency, what.unit, TOTAL)},
        without,
    )  # fmt: skip


def _has_rows(view: View, one: Scored, name: str, what: Asked) -> bool:
    """Whether an input holds anything of an agency (of a unit: its agency's) that the period could
    count."""
    from dothi.indicators.rewrite import quoted

    dataset, score = one.inputs[name], one.score
    conditions, parameters = ["true"], list[Any]()
    if what.agency != ALL:
        conditions.append(f"{quoted(score.agency)} = ?")
        parameters.append(what.agency)
    if name in score.named:
        conditions.append(f"{quoted(score.named[name])} = ?")
        parameters.append(what.period.code)
    elif name in score.since:
        types = {column.name: column.type for column in dataset.contract.columns}
        is_day = types[score.since[name]] == "date"
        conditions.append(f"{quoted(score.since[name])} < ?")
        parameters.append(what.period.next().first_day if is_day else what.period.end)
    asked_ = f"SELECT 1 FROM {view.records(dataset)} WHERE {' AND '.join(conditions)} LIMIT 1"
    return bool(view.execute(asked_, parameters).fetchall())


def _past(period: Period) -> list[Period]:
    out = [period]
    while len(out) < PAST[period.grain]:
        out.insert(0, out[0].previous())
    return out


def _name(known: _Known, agency: str, unit: str, lang: str) -> str:
    if agency == ALL:
        return t("score.province", lang)
    return known.names.get(agency, agency) if unit == ALL else known.names.get(unit, unit)


# -- the panels -----------------------------------------------------------------------------------


def page(desk: Desk, actor: Actor, lang: str, what: Asked) -> s.ScorePage:
    """The whole page. Raises NotFound for who may not see it."""
    return s.ScorePage(
        head(desk, actor, lang, what),
        components(desk, actor, lang, what),
        ranking(desk, actor, lang, what),
        faults(desk, actor, lang, what),
        _about(desk, actor, lang),
    )


def head(desk: Desk, actor: Actor, lang: str, what: Asked) -> s.HeadView:
    """The total and its groups."""
    known = _known(desk, actor, lang, what)
    one, period = known.one, what.period
    total = known.points(TOTAL, what.agency, what.unit)
    before = known.past.get(period.previous().code)
    change = None
    # Points out of other ceilings are not compared.
    if total.points is not None and before and before.points and before.most == total.most:
        change = Change(
            total.points - before.points,
            t("score.than", lang, period=period.previous().in_sentence(lang)), 2,
        )  # fmt: skip
    now = desk.now()
    about = ""
    if total.points is None:
        about = t("score.waits" if one.as_of is None else "score.none", lang)
    elif one.as_of is not None and period.end > one.as_of:
        about = t("score.goes_on", lang)
    if one.problem:
        about = t("score.problem", lang)
    return s.HeadView(
        url=what.url("head"),
        topics=TOPICS,
        place=_name(known, what.agency, what.unit, lang),
        crumbs=_crumbs(known, what, lang),
        grains=tuple(
            Choice(
                t(f"score.grain_{grain}", lang), _of_grain(what, grain, now), grain == period.grain
            )
            for grain in _GRAINS
        ),
        period=period.label(lang),
        before_url=what.url(period=period.previous()),
        after_url=what.url(period=period.next()) if period.end <= now else None,
        known=total.points is not None,
        total=total,
        change=change,
        aim=_aim(desk, known, what, total.points, lang),
        groups=tuple(
            s.Group(name, title[lang], known.group(name, lang))
            for name, title in one.score.groups.items()
        ),
        past=tuple(_bar(known, p, what, lang) for p in _past(period)),
        as_of=one.as_of,
        about=about,
        verify=any(c.verify for c in one.score.components.values()),
        download_url=what.url("download"),
    )


def _aim(desk: Desk, known: _Known, what: Asked, points: float | None, lang: str) -> AimRow | None:
    """The total beside its target."""
    from dothi.indicators.targets import points_of

    if points is None:
        return None
    score = known.one.score
    found = aims.of_score(
        desk, NAME, TOTAL, place_of(what.agency, what.unit), what.period, points,
        points_of(score.title, score.better), lang,
    )  # fmt: skip
    return None if found is None else found.row


def place_of(agency: str, unit: str) -> str:
    """An agency or a unit as targets name it."""
    if agency == ALL:
        return PROVINCE
    return f"agency:{agency}" if unit == ALL else f"unit:{unit}"


def _of_grain(what: Asked, grain: Grain, now: datetime) -> str:
    """The period of another length that holds the end of this one, or today where it goes on."""
    day = min(what.period.last_day, local_date(now, what.period.zone))
    return what.url(period=Period.of_date(grain, day, what.period.zone))


def _crumbs(known: _Known, what: Asked, lang: str) -> tuple[Choice, ...]:
    out = [Choice(t("score.province", lang), what.url(agency=ALL, unit=ALL), what.agency == ALL)]
    if what.agency != ALL:
        name = _name(known, what.agency, ALL, lang)
        out.append(Choice(name, what.url(unit=ALL), what.unit == ALL))
    if what.unit != ALL:
        out.append(Choice(_name(known, what.agency, what.unit, lang), what.url(), True))
    return tuple(out)


def _bar(known: _Known, period: Period, what: Asked, lang: str) -> s.Bar:
    found = known.past.get(period.code)
    total = s.Points(found.points, found.most) if found else s.Points(None, None)
    return s.Bar(period.label(lang), what.url(period=period), total, period == what.period)


def components(desk: Desk, actor: Actor, lang: str, what: Asked) -> s.ComponentsView:
    """Every component with what it was counted from, by group."""
    known = _known(desk, actor, lang, what)
    score = known.one.score
    groups = []
    for name, title in score.groups.items():
        rows = tuple(
            _component(known, c, what, lang)
            for c in score.components.values()
            if c.group == name and c.behind is None
        )
        groups.append((s.Group(name, title[lang], known.group(name, lang)), rows))
    return s.ComponentsView(what.url("components"), TOPICS, tuple(groups))


def _component(known: _Known, component: Component, what: Asked, lang: str) -> s.ComponentRow:
    found = known.figures.get((what.agency, what.unit, component.name))
    ceiling = component.ceiling(what.period.last_day)
    most = ceiling.most if ceiling else 0.0
    threshold = ceiling.threshold if ceiling else None
    percent = component.unit == "%"
    ratio = counts = none = why = ""
    parts: list[str] = []
    if found is None or found.ratio is None:
        none, why = _without(known, component, what, lang)
    else:
        unit = " %" if percent else f" {component.unit}"
        ratio = number(found.ratio, lang, 2) + unit
        if component.factor is not None:
            parts.append(_terms(known, component, found, what, lang))
        counts = f"{number(found.numerator, lang)} / {number(found.denominator, lang)}"
        for other in known.one.score.components.values():
            part = known.figures.get((what.agency, what.unit, other.name))
            if other.behind == component.name and part is not None:
                parts.append(f"{other.title[lang]}: {number(part.numerator, lang)}")
    return s.ComponentRow(
        name=component.name,
        title=component.title[lang],
        counts=counts,
        ratio=ratio,
        none=none,
        why=why,
        threshold=f"≥ {number(threshold, lang)} %" if threshold is not None else "",
        points=s.Points(found.points if found else None, most or None),
        tracked=not most,
        parts=tuple(parts),
        verify=component.verify[lang] if component.verify else None,
    )


def _without(known: _Known, component: Component, what: Asked, lang: str) -> tuple[str, str]:
    """Why a component has no figure: it is not said of these at all, there is no data that it could
    count, or nothing of what there is counts."""
    level = level_of(what)
    if level not in component.levels:
        return t("score.not_applicable", lang), t(f"score.not_of_{level}", lang)
    if component.rows in known.without:
        dataset = known.one.inputs[component.rows]
        return t("score.no_rows", lang), dataset.contract.title[lang]
    return t("score.not_applicable", lang), t("score.nothing_counts", lang)


def _terms(known: _Known, component: Component, found: Figure, what: Asked, lang: str) -> str:
    """A share that is multiplied by another component's ratio, with both."""
    assert found.numerator is not None and found.denominator
    share = f"{number(100 * found.numerator / found.denominator, lang, 2)} %"
    other = known.figures.get((what.agency, what.unit, str(component.factor)))
    if other is None or other.ratio is None:
        return t("score.factor_none", lang, share=share, name=component.factor)
    factor, product = (f"{number(x, lang, 2)} %" for x in (other.ratio, found.ratio))
    return t(
        "score.factor", lang, share=share, factor=factor, name=component.factor, product=product
    )


def ranking(desk: Desk, actor: Actor, lang: str, what: Asked) -> s.RankingView | None:
    """All agencies, or the units of an agency, the highest total first."""
    known = _known(desk, actor, lang, what)
    groups = known.one.score.groups
    agency = what.agency
    totals = [
        f for (a, u, component), f in known.figures.items()
        if component == TOTAL and f.points is not None
        and ((a != ALL and u == ALL) if agency == ALL else (a == agency and u != ALL))
    ]  # fmt: skip
    if not totals:
        return None
    shares = sorted((_share(f) for f in totals), reverse=True)
    rows = tuple(
        s.Rank(
            place=shares.index(_share(f)) + 1,
            name=_name(known, f.agency, f.unit, lang),
            url=what.url(agency=f.agency, unit=f.unit),
            total=s.Points(f.points, f.most),
            groups=tuple(known.points(f"group {g}", f.agency, f.unit) for g in groups),
            current=f.unit == what.unit and f.agency == agency,
        )
        for f in sorted(totals, key=lambda f: (-_share(f), f.agency, f.unit))
    )
    title = t("score.agencies", lang)
    if agency != ALL:
        title = t("score.units", lang, place=_name(known, agency, ALL, lang))
    columns = tuple(title_[lang] for title_ in groups.values())
    return s.RankingView(what.url("ranking"), TOPICS, title, columns, rows)


def _share(figure: Figure) -> float:
    return (figure.points or 0.0) / (figure.most or 1.0)


# -- what costs points ----------------------------------------------------------------------------


def faults(desk: Desk, actor: Actor, lang: str, what: Asked) -> s.FaultsView | None:
    """What costs an agency points; None where there is no agency, or its rows are not for them."""
    known = _known(desk, actor, lang, what)
    if what.agency == ALL or not _may_see_rows(actor, known.one):
        return None
    found, about = _faults(desk, known.one, what.period, what.agency)
    if what.unit != ALL:
        found = [c for c in found if about.get((c.rows, c.key), ("", ""))[0] == what.unit]
    flaws = {flaw.name: flaw for flaw in known.one.score.flaws}
    kinds = []
    for name, flaw in flaws.items():
        here = [c.points for c in found if c.flaw == name]
        if here:
            chosen = what.flaw == name
            url = what.url(flaw="" if chosen else name) + "#faults"
            kinds.append(s.FaultKind(flaw.title[lang], len(here), max(here), url, chosen))
    kinds.sort(key=lambda kind: (-kind.most, -kind.count))
    listed = [c for c in found if not what.flaw or c.flaw == what.flaw]
    rows = tuple(
        s.FaultRow(
            key=c.key.replace("\x1f", " · "),
            title=flaws[c.flaw].title[lang],
            about=about.get((c.rows, c.key), ("", ""))[1],
            unit=_unit(known, about.get((c.rows, c.key), ("", ""))[0]),
            points=c.points,
            components=", ".join(name for name, _ in c.components),
        )
        for c in listed[:MOST_FAULTS]
    )
    return s.FaultsView(
        what.url("faults"), TOPICS, _name(known, what.agency, what.unit, lang), tuple(kinds), rows,
        len(listed), known.one.as_of, what.url("faults-download"),
    )  # fmt: skip


def _unit(known: _Known, code: str) -> str:
    return known.names.get(code, code)


def _may_see_rows(actor: Actor, one: Scored) -> bool:
    return all(decide(actor, "dataset.read", d.resource).allowed for d in one.inputs.values())


def _faults(
    desk: Desk, one: Scored, period: Period, agency: str
) -> tuple[list[Correction], dict[tuple[str, str], tuple[str, str]]]:
    """Every fault, and of each row its unit and the procedure or class it is about."""
    from dothi.indicators import scores

    def look() -> tuple[list[Correction], dict[tuple[str, str], tuple[str, str]]]:
        with desk.lake.view() as view:
            found = scores.faults(view, one, period, agency)
            return found, _rows(view, one, agency)

    key = ("score faults", one.name, one.as_of, period.code, agency)
    return desk.cache.value(key, TOPICS, look, kept_s=FAULTS_KEPT_S)


def _rows(view: View, one: Scored, agency: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Of an agency's dossiers and petitions: the unit, and the procedure or class, by dataset and key."""
    dossiers, procedures, petitions = (
        view.records(one.inputs[name]) for name in ("dossiers", "procedures", "petitions")
    )
    rows = view.execute(
        f"""SELECT 'dossiers', d._key, d.ma_don_vi, concat_ws(' · ', d.ma_tthc, p.ten_tthc)
            FROM {dossiers} d
            LEFT JOIN {procedures} p ON p.ma_tthc = d.ma_tthc AND p.ma_co_quan = d.ma_co_quan
            WHERE d.ma_co_quan = ?
            UNION ALL
            SELECT 'petitions', _key, ma_don_vi, phan_loai FROM {petitions} WHERE ma_co_quan = ?""",
        [agency, agency],
    ).fetchall()
    return {(name, key): (unit or "", about or "") for name, key, unit, about in rows}


# -- where it comes from, and files ---------------------------------------------------------------


def _about(desk: Desk, actor: Actor, lang: str) -> s.AboutView:
    one = _score(desk, actor)
    sees = desk.sees_loads(actor)
    rests = [
        Fact(d.contract.title[lang], t("score.load", lang, id=load),
             f"/loads/{load}" if sees and _may_see_rows(actor, one) else None)
        for name, d in one.inputs.items() if (load := one.rests_on.get(name))
    ]  # fmt: skip
    facts = (
        Fact(t("score.source", lang), one.score.source),
        Fact(t("score.formula", lang), ", ".join(one.score.formula.values())),
        Fact(t("score.version", lang),
             t("score.version_since", lang, version=one.version, at=datetime_(one.since, lang))),
        Fact(t("score.hash", lang), one.score.hash),
        Fact(t("score.as_of", lang), datetime_(one.as_of, lang)),
        *rests,
    )  # fmt: skip
    return s.AboutView(one.score.words[lang], facts)


def sheet(desk: Desk, actor: Actor, lang: str, what: Asked) -> Sheet:
    """The components as a table, with figures as they are."""
    known = _known(desk, actor, lang, what)
    columns = ("component", "title", "numerator", "denominator", "ratio", "points", "most", "note")
    rows = []
    for c in known.one.score.components.values():
        f = known.figures.get((what.agency, what.unit, c.name))
        if f is None:
            why = ": ".join(_without(known, c, what, lang))
            rows.append((c.name, c.title[lang], None, None, None, None, None, why))
        else:
            terms = _terms(known, c, f, what, lang) if c.factor and f.ratio is not None else None
            rows.append((c.name, c.title[lang], f.numerator, f.denominator, f.ratio, f.points,
                         f.most, terms))  # fmt: skip
    for name, title in (*known.one.score.groups.items(), (TOTAL, known.one.score.title)):
        one = known.points(name if name == TOTAL else f"group {name}", what.agency, what.unit)
        rows.append((name, title[lang], None, None, None, one.points, one.most, None))
    place = _name(known, what.agency, what.unit, lang)
    names = tuple(t(f"score.column_{name}", lang) for name in columns)
    return Sheet(f"{NAME} {place} {what.period.code}", names, tuple(rows))


def faults_sheet(desk: Desk, actor: Actor, lang: str, what: Asked) -> Sheet:
    """Every fault as a table; NotFound where they are not for this actor."""
    view = faults(desk, actor, lang, what)
    if view is None:
        raise NotFound("identity.not_found")
    known = _known(desk, actor, lang, what)
    found, about = _faults(desk, known.one, what.period, what.agency)
    flaws = {flaw.name: flaw.title[lang] for flaw in known.one.score.flaws}
    rows = []
    for c in found:
        unit, words = about.get((c.rows, c.key), ("", ""))
        if (what.unit == ALL or unit == what.unit) and (not what.flaw or c.flaw == what.flaw):
            parts = ", ".join(name for name, _ in c.components)
            rows.append((c.key, flaws[c.flaw], words, unit, c.points, parts))
    columns = ("row", "fault", "about", "unit", "points", "components")
    names = tuple(t(f"score.column_{name}", lang) for name in columns)
    return Sheet(f"{NAME} {what.agency} {what.period.code}", names, tuple(rows))


def file_name(sheet_: Sheet, form: str) -> str:
    """A table's file name, in letters that every system takes."""
    plain = search_key(sheet_.title).replace(" ", "-")
    return "".join(c for c in plain if c.isascii() and (c.isalnum() or c == "-"))[:60] + f".{form}"
