"""Administrative units on screen: the list, and one unit with its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

from dothi.identity import agencies, units_read
from dothi.identity.model import Actor, Agency
from dothi.identity.units import LEVELS, Unit, UnitLink
from dothi.identity.units import Level as UnitLevel
from dothi.identity.units_read import Share, Wanted
from dothi.ioc import aims
from dothi.ioc import units_measured as measured
from dothi.ioc.catalogue import UNITS, sections
from dothi.ioc.desk import Desk
from dothi.ioc.overview_view import AimRow
from dothi.ioc.units_map import around, wider
from dothi.ioc.units_view import Life, LinkRow, ListView, UnitRow, UnitView
from dothi.ioc.view import Choice, Fact, MapView
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import NOTHING, number, t
from dothi.store.database import Connection
from dothi.web.view import Status

ON_PAGE = 100


# -- the list -------------------------------------------------------------------------------------


def listing(
    desk: Desk, actor: Actor, lang: str, *, q: str, level: str, parent: str, at: date | None,
    after: str | None,
) -> ListView:  # fmt: skip
    """Units of a day by name; without a choice those right below the country, or the communes where
    there is one province."""
    day = at or units_read.today()
    with desk.db.transaction() as conn:
        provinces, _ = units_read.units(conn, Wanted(day, "province"))
        chosen: UnitLevel | None = next((one for one in LEVELS if one == level), None)
        if level != "all" and not chosen and not q and not parent:
            chosen = "commune" if len(provinces) == 1 else "province"
        wanted = Wanted(day, chosen, parent or None, q or None)
        found, following = units_read.units(conn, wanted, after=after, limit=ON_PAGE)
        total = units_read.count(conn, wanted)
        bounds = units_read.bounds(conn, wanted)
        names = units_read.names(conn, day)
    asked = {"q": q, "level": level, "parent": parent, "at": at.isoformat() if at else ""}
    asked = {name: value for name, value in asked.items() if value}
    address = f"{UNITS}?{urlencode(asked)}" if asked else UNITS
    drawn = {"at": day, "level": chosen or "", "parent": parent, "q": q}
    drawn = {name: value for name, value in drawn.items() if value}
    return ListView(
        sections=sections(desk, actor, lang, UNITS),
        q=q, level=chosen or "all", parent=parent, at=day,
        levels=(("all", t("common.all", lang)), *((one, t(f"units.level.{one}", lang)) for one in LEVELS)),
        parents=tuple((one.code, one.name) for one in provinces),
        rows=tuple(
            UnitRow(
                _address(one, at), one.code, one.name, t(f"units.kind.{one.kind}", lang),
                names.get(one.parent or "", ""), one.population,
                None if one.area_km2 is None else float(one.area_km2),
            )
            for one in found
        ),
        total=total,
        map=MapView(
            t("units.page_map", lang), t("units.page_on", lang, day=day),
            f"{UNITS}/map.geojson?{urlencode(drawn)}", wider(bounds),
        ) if bounds and total <= units_read.MOST_FEATURES else None,
        next_url=f"{address}{'&' if asked else '?'}after={following}" if following else None,
        first_url=address if after else None,
    )  # fmt: skip


def _address(one: Unit, at: date | None = None) -> str:
    """Where a unit is shown: as of a day, where its code stands for another one today."""
    if one.valid_to is None and at is None:
        return f"{UNITS}/{one.code}"
    day = at or (one.valid_to - timedelta(days=1) if one.valid_to else None)
    return f"{UNITS}/{one.code}?at={day}" if day else f"{UNITS}/{one.code}"


# -- one unit -------------------------------------------------------------------------------------


def one(desk: Desk, actor: Actor, lang: str, code: str, at: date | None) -> UnitView:
    """A unit on a day, without one as it stands now or stood last. Raises NotFound."""
    with desk.db.transaction() as conn:
        lives = units_read.history(conn, code)
        unit = _of(lives, at)
        day = _day_of(unit, at)
        links = units_read.links(conn, code)
        shares = units_read.shares(conn, code)
        above = _above(conn, unit, day)
        outline = units_read.outline(conn, code, day)
        below = units_read.count(conn, Wanted(day, None, code))
        bounds = outline.bounds if outline else around(unit)
        bodies = [a for a in agencies.agencies(conn, day) if a.unit == code]
        places = measured.places(conn, desk, actor, lang, outline)
    begins = [k for k in links if k.new == code and k.day == unit.valid_from]
    ends = [k for k in links if k.old == code and k.day == unit.valid_to]
    return UnitView(
        sections=sections(desk, actor, lang, UNITS),
        code=code,
        name=unit.name,
        kind=t(f"units.kind.{unit.kind}", lang),
        trail=tuple(Choice(x.name, _address(x, at if unit.valid_to is None else day)) for x in above),
        status=_standing(unit, lang),
        facts=(*_facts(unit, lang), *_bodies(bodies, lang)),
        lives=tuple(
            Life(_address(x), x.name, t(f"units.kind.{x.kind}", lang), _span(x, lang), x == unit)
            for x in lives
        ) if len(lives) > 1 else (),
        before=tuple(_link(k, True, shares, lang) for k in begins),
        after=tuple(_link(k, False, shares, lang) for k in ends),
        inside=Choice(
            t("units.page_inside", lang, count=below),
            f"{UNITS}?{urlencode({'parent': code, 'level': 'all', 'at': day})}",
        ) if below else None,
        map=MapView(
            unit.name, t("units.outline" if outline else "units.point", lang),
            f"{UNITS}/{code}/map.geojson?at={day}", wider(bounds),
        ) if bounds else None,
        drawn=outline is not None,
        places=places,
        series=tuple(measured.series_of(desk, actor, lang, unit, day)),
        periods=_periods(desk, actor, lang, {f"unit:{code}", *(f"agency:{a.code}" for a in bodies)}),
    )  # fmt: skip


def _periods(desk: Desk, actor: Actor, lang: str, own: set[str]) -> tuple[AimRow, ...]:
    """The targets for whole periods that are a unit's own or those of its body."""
    return tuple(
        aims.of_sum(desk, one, lang).row
        for name in desk.definitions()
        for one in aims.of_periods(desk, actor, name)
        if one.target.place in own
    )


def _of(lives: Sequence[Unit], at: date | None) -> Unit:
    day = at or units_read.today()
    for life in lives:
        if (life.valid_from is None or life.valid_from <= day) and (
            life.valid_to is None or day < life.valid_to
        ):
            return life
    if at is not None:
        raise NotFound("units.not_found", code=lives[0].code)
    return lives[-1]


def _day_of(unit: Unit, at: date | None) -> date:
    """A day on which the unit stands."""
    if at is not None:
        return at
    today = units_read.today()
    if unit.valid_to is not None and unit.valid_to <= today:
        return unit.valid_to - timedelta(days=1)
    return max(unit.valid_from or today, today)


def _above(conn: Connection, unit: Unit, day: date) -> list[Unit]:
    """The units that hold it, the largest first."""
    found: list[Unit] = []
    code = unit.parent
    while code and len(found) < len(LEVELS) and (held := units_read.unit(conn, code, day)):
        found.insert(0, held)
        code = held.parent
    return found


def _standing(unit: Unit, lang: str) -> Status:
    if unit.valid_to is not None and unit.valid_to <= units_read.today():
        return Status("unknown", t("units.page_ended", lang, day=unit.valid_to))
    if unit.legal_basis is None:
        return Status("notice", t("units.page_verify", lang))
    return Status("ok", t("units.page_stands", lang))


def _facts(unit: Unit, lang: str) -> Iterator[Fact]:
    yield Fact(t("units.page_code", lang), unit.code)
    yield Fact(t("units.page_span", lang), _span(unit, lang))
    yield Fact(t("units.page_basis", lang), unit.legal_basis or t("units.verify", lang))
    if unit.population is not None:
        yield Fact(t("units.page_population", lang), number(unit.population, lang, 0))
    if unit.area_km2 is not None:
        yield Fact(t("units.page_area", lang), f"{number(float(unit.area_km2), lang, 2)} km²")
    if unit.population is not None and unit.area_km2:
        density = number(unit.population / float(unit.area_km2), lang, 0)
        yield Fact(t("units.page_density", lang), t("units.page_per_km2", lang, count=density))
    yield Fact(t("units.page_sources", lang), ", ".join(unit.sources))


def _bodies(found: Sequence[Agency], lang: str) -> Iterator[Fact]:
    for agency in found:
        yield Fact(t("units.page_agency", lang), agency.name(lang), f"/agencies/{agency.code}")


def _span(unit: Unit, lang: str) -> str:
    begin, end = unit.valid_from, unit.valid_to
    if begin and end:
        last = end - timedelta(days=1)
        return t("units.page_from_to", lang, begin=begin, end=last)
    if begin:
        return t("units.page_since", lang, begin=begin)
    return t("units.page_until", lang, end=end - timedelta(days=1)) if end else NOTHING


def _link(link: UnitLink, back: bool, shares: Sequence[Share], lang: str) -> LinkRow:
    code, name = (link.old, link.old_name) if back else (link.new, link.new_name)
    day = link.day - timedelta(days=1) if back else link.day
    told = [s for s in shares if (s.day, s.old, s.new) == (link.day, link.old, link.new)]
    share = ""
    if told:
        share = "; ".join(
            t(
                f"units.page_share_{s.basis}", lang, part=number(float(s.part) * 100, lang, 1),
                source=s.source, given_by=s.given_by,
            )
            for s in told
        )  # fmt: skip
    elif link.kind == "split":
        share = t("units.page_no_shares", lang)
    return LinkRow(
        f"{UNITS}/{code}?at={day}", name, code, link.day, t(f"units.link.{link.kind}", lang), share,
        link.legal_basis,
    )  # fmt: skip
