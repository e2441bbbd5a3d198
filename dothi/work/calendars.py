"""The calendars that work is counted by: one that never rests, and those of offices, kept as data.

A definition is JSON: `zone`, `week` (hours by weekday, "0" is Monday) and `days`, single dates with
their own hours (none: a day off), each with the ground for it:

    {"zone": "Asia/Ho_Chi_Minh",
     "week": {"0": [["07:30", "11:30"], ["13:30", "17:00"]]},
     "days": {"2026-01-02": {"hours": [], "ground": "Hoán đổi với ngày 10/01/2026"}}}

Days that come from `kernel.workdays` carry `source` (notice or library) as well; `keep_up` renews
them. Days without it are the province's own: they stay, and win.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from dothi.identity import audit
from dothi.identity.model import SYSTEM, Actor
from dothi.identity.policy import Resource, require
from dothi.kernel import workdays
from dothi.kernel.clock import Calendar, Hours
from dothi.kernel.errors import Invalid
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date, utc_now, zone
from dothi.store.database import Connection
from dothi.work import store, timing

ALWAYS = Calendar.always()
OFFICE = "office"
"""The calendar of an office that has none of its own."""
YEARS_BEFORE, YEARS_AHEAD = 1, 2
"""How far around the present year an office's days are kept."""


class Calendars:
    """The calendars by name, each read from the database when it is first asked for.

    With `hold` it cannot change before the transaction ends: for who opens an item, which a change
    of the calendar could not see yet.
    """

    def __init__(self, conn: Connection, *, hold: bool = False) -> None:
        self._conn = conn
        self._hold = hold
        self._found: dict[str, Calendar] = {store.ALWAYS: ALWAYS}

    def __getitem__(self, name: str) -> Calendar:
        """Raises Invalid for a name that does not exist."""
        calendar = self._found.get(name)
        if calendar is None:
            definition = store.calendar_definition(self._conn, name, hold=self._hold)
            if definition is None:
                raise Invalid("work.no_calendar", name=name)
            calendar = self._found[name] = _parsed(definition)
        return calendar


def parse(definition: Mapping[str, Any]) -> Calendar:
    """The calendar a definition describes. Raises Invalid for anything else."""
    try:
        return Calendar(
            week={int(day): _hours(hours) for day, hours in definition["week"].items()},
            other_days={
                date.fromisoformat(day): _hours(entry["hours"])
                for day, entry in definition.get("days", {}).items()
                if str(entry["ground"]).strip()
            },
            zone=zone(definition["zone"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Invalid("work.calendar_unreadable", problem=str(error)) from error


def set_calendar(
    conn: Connection,
    actor: Actor,
    name: str,
    definition: Mapping[str, Any],
    *,
    ground: str,
    now: datetime | None = None,
) -> int:
    """Make or change an office's calendar; how many open items got another deadline by it.

    Every open item that counts by it is timed anew, and its history says why.
    """
    require(actor, "agency.manage", Resource("agency"))
    parse(definition)
    if not ground.strip() or name == store.ALWAYS:
        raise Invalid("work.calendar_needs_ground" if name != store.ALWAYS else "work.always_stays")
    now = now or utc_now()
    store.put_calendar(conn, name, definition, actor.ref)
    calendars = Calendars(conn)
    moved = 0
    for item in store.lock_open_by_calendar(conn, name, calendars):
        due = timing.retime(conn, item.id, item.state, item.clock)
        if due == item.due_at:
            continue
        moved += 1
        store.set_due(conn, item.id, due)
        store.add_history(
            conn, item.id, now, actor, "calendar", None, None, ground, {"calendar": name}
        )
    audit.record(conn, "work.calendar", actor, f"calendar:{name}", ground=ground, moved=moved)
    return moved


def keep_up(conn: Connection, now: datetime) -> int:
    """Bring the office calendar's days off up to date; how many open items got another deadline.

    Run at each start. Where nothing has changed nothing is written.
    """
    text = store.calendar_definition(conn, OFFICE, hold=False)
    if text is None:
        return 0
    definition = json.loads(text)
    year = local_date(now, VN).year
    years = range(year - YEARS_BEFORE, year + YEARS_AHEAD + 1)
    # Before it was first kept up, and by nobody's hand, its days are those of the migration.
    first = all("source" not in entry for entry in definition.get("days", {}).values())
    keep = not first or store.calendar_author(conn, OFFICE) != SYSTEM.ref
    renewed = with_days_off(definition, years, keep=keep)
    if renewed == definition:
        return 0
    ground = t("calendar.changed", "vi", first=years[0], last=years[-1])
    return set_calendar(conn, SYSTEM, OFFICE, renewed, ground=ground, now=now)


def with_days_off(
    definition: Mapping[str, Any], years: Iterable[int], *, keep: bool = True
) -> dict[str, Any]:
    """A definition with the days off of some years and the days worked in exchange for them.

    Those it had from here before are left out. `keep`: days it had from elsewhere stay, and win.
    A day worked in exchange has the hours of the day it stands for.
    """
    week = definition["week"]
    usual = next((hours for hours in week.values() if hours), [])
    days: dict[str, Any] = {}
    for one in (day for year in years for day in workdays.special_days(year)):
        weekday = str(one.on.weekday())
        if one.working:
            hours = week.get(str(one.other.weekday()), usual) if one.other else usual
        else:
            hours = []
        if hours != week.get(weekday, []):
            ground = f"{one.name['vi']}. {one.ground['vi']}" if one.name else one.ground["vi"]
            days[one.on.isoformat()] = {"hours": hours, "ground": ground, "source": one.source}
    had = definition.get("days", {})
    own = {at: entry for at, entry in had.items() if keep and "source" not in entry}
    return {**definition, "days": dict(sorted((days | own).items()))}


def _hours(pairs: Any) -> tuple[Hours, ...]:
    return tuple((time.fromisoformat(start), time.fromisoformat(end)) for start, end in pairs)


@lru_cache(maxsize=256)
def _parsed(definition: str) -> Calendar:
    return parse(json.loads(definition))
