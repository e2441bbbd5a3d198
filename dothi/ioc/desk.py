"""What the operations screens know: the environment's state now, the shell's chips and lines.

Everything here is asked for an actor and within what the policy shows them; what is computed is
kept until a topic rings, keyed by the policy's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dothi.forms.plan import has_part
from dothi.identity.model import Actor
from dothi.identity.policy import Resource, cache_key, decide
from dothi.identity.predicate import admits
from dothi.indicators import dashboard
from dothi.indicators import service as indicators
from dothi.indicators import store as indicator_store
from dothi.indicators.dashboard import Dashboard
from dothi.indicators.service import Indicator, Latest
from dothi.ioc.admin.office import administers
from dothi.kernel.errors import Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.kernel.time import VN, local_date, utc_now
from dothi.lake import loads, registry
from dothi.lake.registry import Dataset, Stream, Thing
from dothi.lake.service import Lake
from dothi.packs.load import load
from dothi.packs.model import Pack
from dothi.packs.province import province, province_bounds
from dothi.store.database import Database
from dothi.store.events import Doorbell
from dothi.store.settings import Settings
from dothi.web import view as w
from dothi.web.site import PanelCache, who
from dothi.work import inbox
from dothi.work.duty import store as duty_store
from dothi.work.duty.model import duty_of
from dothi.work.model import Severity

AIR = "air_quality"
HOURLY = "vn_aqi_hourly"
DAILY = "vn_aqi_daily"
PM25_DAY = "pm25_24h_mean"
TOPICS = (f"series:{AIR}", f"series:{HOURLY}", f"series:{DAILY}", f"series:{PM25_DAY}")
ONLINE_BEATS = 6
"""A station is online while its newest value is at most this many beats of its rhythm old."""

Newest = dict[tuple[int, str], tuple[datetime, float | None, int]]


@dataclass(frozen=True)
class Air:
    """The air service's state at an instant, as far as an actor may see it."""

    now: datetime
    dataset: Dataset
    things: dict[int, Thing]
    streams: dict[tuple[int, str], Stream]
    newest: Newest
    hourly: Indicator
    aqi: dict[tuple[int, str], Latest]
    pm25: Indicator
    day: dict[tuple[int, str], Latest]

    def seen(self, thing_id: int) -> datetime | None:
        """When the newest value of a station was measured."""
        times = [at for (thing, _), (at, _, _) in self.newest.items() if thing == thing_id]
        return max(times, default=None)

    def online(self, thing_id: int) -> bool:
        """Whether the station sends as its rhythm promises."""
        seen = self.seen(thing_id)
        return seen is not None and self.now - seen <= self.patience(thing_id)

    def patience(self, thing_id: int) -> timedelta:
        """How old a station's newest value may be."""
        own = self.things[thing_id].properties.get("rhythm")
        time = self.dataset.contract.time
        beat = registry.duration(own) if own else (time.rhythm if time else None)
        return max((beat or timedelta(hours=1)) * ONLINE_BEATS, timedelta(minutes=15))


class Desk:
    """Reads for the screens of one web process."""

    def __init__(
        self,
        db: Database,
        lake: Lake,
        cache: PanelCache,
        settings: Settings,
        bell: Doorbell | None = None,
    ) -> None:
        self.db = db
        self.lake = lake
        self.cache = cache
        self.settings = settings
        self._bell = bell
        self._packs: tuple[int, dict[str, Pack]] | None = None
        self._dashboards: tuple[int, dict[str, Dashboard]] | None = None

    @property
    def province(self) -> str:
        """The province's name; the demonstration's until an installation gives its own."""
        return province().name if self.settings.demo else "dothi"

    @property
    def demo(self) -> bool:
        """Whether demonstration data is shown."""
        return self.settings.demo

    @property
    def packs(self) -> dict[str, Pack]:
        """The packs by name; one with faults is left out. Read again when one was installed."""
        mark = self._installed()
        if self._packs is None or self._packs[0] != mark:
            self._packs = mark, self._read_packs()
        return self._packs[1]

    @property
    def dashboards(self) -> dict[str, Dashboard]:
        """The layouts that packs give their pages, by pack."""
        mark = self._installed()
        if self._dashboards is None or self._dashboards[0] != mark:
            found = ((name, dashboard.fits(pack.folder)) for name, pack in self.packs.items())
            self._dashboards = mark, {name: one for name, one in found if one is not None}
        return self._dashboards[1]

    def _installed(self) -> int:
        """A number that changes when a pack is installed or removed."""
        try:
            return self.settings.own_packs.stat().st_mtime_ns
        except OSError:
            return 0

    def _read_packs(self) -> dict[str, Pack]:
        found: dict[str, Pack] = {}
        for place in self.settings.pack_folders():
            try:
                found[place.name] = load(place)
            except Invalid:
                continue  # the page of packs says what is wrong
        return found

    def ring(self) -> None:
        """Say that something was committed."""
        if self._bell is not None:
            self._bell.ring()

    def now(self) -> datetime:
        """The present instant."""
        return utc_now()

    def definitions(self) -> dict[str, Indicator]:
        """All indicators by the name of their dataset; kept for a while, since they rarely change."""

        def look() -> dict[str, Indicator]:
            with self.db.transaction() as conn:
                return {one.dataset.name: one for one in indicators.indicators(conn)}

        return self.cache.value(("definitions", self._installed()), (), look, kept_s=30)

    def computed(self) -> frozenset[str]:
        """The datasets that nobody brings: indicators and scores."""

        def look() -> frozenset[str]:
            with self.db.transaction() as conn:
                return indicator_store.computed_datasets(conn)

        return self.cache.value(("computed", self._installed()), (), look, kept_s=30)

    def datasets(self) -> list[Dataset]:
        """All datasets by name; kept for a while. The caller asks the policy."""

        def look() -> list[Dataset]:
            with self.db.transaction() as conn:
                return registry.datasets(conn)

        return self.cache.value("datasets", (), look, kept_s=30)

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the map."""
        return province_bounds()

    def air(self, actor: Actor) -> Air:
        """The air service now. Raises NotFound where the actor may not see it."""

        def look() -> Dataset:
            with self.db.transaction() as conn:
                return registry.find(conn, AIR)

        dataset = self.cache.value(("dataset", AIR), (), look, kept_s=10)
        decision = decide(actor, "dataset.read", dataset.resource)
        if not decision.allowed:
            raise NotFound("identity.not_found")
        key = ("air", cache_key(decision))
        return self.cache.value(key, TOPICS, lambda: self._air(dataset, decision))

    def _air(self, dataset: Dataset, decision: Any) -> Air:
        now = utc_now()
        with self.db.transaction() as conn:
            things = {
                number: thing
                for number, thing in registry.things(conn, dataset).items()
                if admits(decision.rows, {"agency_id": thing.agency_id})
            }
            streams = {
                (s.thing_id, s.parameter): s
                for s in registry.streams(conn, dataset).values()
                if s.thing_id in things and s.parameter not in decision.hidden
            }
            # A station that has never sent anything is not on the screen yet.
            sending = {thing for thing, _ in streams}
            things = {number: thing for number, thing in things.items() if number in sending}
            rows = conn.execute(
                "SELECT stream_id, t, v, q FROM series_newest WHERE stream_id = ANY (%s)",
                ([s.id for s in streams.values()],),
            ).fetchall()
            hourly = indicators.find(conn, HOURLY)
            pm25 = indicators.find(conn, PM25_DAY)
            aqi = indicators.latest(conn, self.lake, hourly, now=now)
            day = indicators.latest(conn, self.lake, pm25, now=now)
        names = {s.id: place for place, s in streams.items()}
        newest = {names[s]: (at, v, q) for s, at, v, q in rows}
        return Air(
            now, dataset, things, streams, newest,
            hourly, {k: x for k, x in aqi.items() if k[0] in things},
            pm25, {k: x for k, x in day.items() if k[0] in things},
        )  # fmt: skip

    # -- the shell --------------------------------------------------------------------------------

    def may(self, actor: Actor, what: str) -> bool:
        """Whether an actor may open a part of the menu or hear a live topic."""
        if what.startswith("hear:"):
            topic = what.removeprefix("hear:")
            if topic.startswith("series:"):
                return self._may_read(actor, topic.removeprefix("series:"))
            heard = {
                "work": self.sees_work, "loads": self.sees_loads, "leader": sees_leader,
                "duty": self.sees_duty, "targets": _always,
            }  # fmt: skip
            return heard.get(topic, _never)(actor)
        parts = {
            "work.read": self.sees_work, "load.read": self.sees_loads, "admin": administers,
            "leader": sees_leader, "duty": self.sees_duty, "forms": self.has_forms,
        }  # fmt: skip
        return parts.get(what, _never)(actor)

    def _may_read(self, actor: Actor, name: str) -> bool:
        def look() -> Dataset | None:
            with self.db.transaction() as conn:
                found = [d for d in registry.datasets(conn) if d.name == name]
            return found[0] if found else None

        dataset = self.cache.value(("dataset?", name), (), look, kept_s=30)
        return dataset is not None and decide(actor, "dataset.read", dataset.resource).allowed

    def sees_work(self, actor: Actor) -> bool:
        """Whether the list of work items is for them."""
        return decide(actor, "work.read", Resource("work", agency_column="owner_agency")).allowed

    def has_forms(self, actor: Actor) -> bool:
        """Whether somebody types, approves or looks through figures that are typed."""

        def look() -> bool:
            found = [d for d in self.datasets() if d.contract.form is not None]
            with self.db.transaction() as conn:
                return has_part(conn, actor, found, local_date(utc_now(), VN))

        return actor.signed_in and self.cache.value(("forms", who(actor)), (), look, kept_s=30)

    def sees_loads(self, actor: Actor) -> bool:
        """Whether the list of loads is for them."""
        return actor.signed_in and any(
            decide(actor, "load.read", loads.resource(d, 0)).allowed for d in self.datasets()
        )

    def sees_duty(self, actor: Actor) -> bool:
        """Whether duty is for them: where shifts are kept, or for who may begin to keep them."""
        own = duty_of(actor.agency_id or 0)
        if not actor.signed_in or not decide(actor, "duty.read", own).allowed:
            return False
        return bool(self.duty_agencies(actor)) or decide(actor, "duty.roster", own).allowed

    def duty_agencies(self, actor: Actor) -> tuple[tuple[int, str, str, str], ...]:
        """(id, code, names) of the agencies that keep shifts and whose duty the actor may see."""

        def look() -> tuple[tuple[int, str, str, str], ...]:
            with self.db.transaction() as conn:
                every = duty_store.agencies_on_duty(conn)
            return tuple(a for a in every if decide(actor, "duty.read", duty_of(a[0])).allowed)

        return self.cache.value(("duty agencies", who(actor)), ("duty",), look, kept_s=30)

    def frame(self, actor: Actor, lang: str) -> tuple[tuple[w.Chip, ...], tuple[w.Latest, ...]]:
        """The header's chips and the footer's lines."""
        return self.chips(actor, lang), self.latest(actor, lang)

    def chips(self, actor: Actor, lang: str) -> tuple[w.Chip, ...]:
        """How many work items of each severity are open, how many stations send."""
        chips: list[w.Chip] = []
        if self.sees_work(actor):
            counts = self.counts(actor)
            for severity in (Severity.CRITICAL, Severity.WARNING, Severity.NOTICE):
                name = severity.name.lower()
                if count := counts.by_severity.get(severity, 0):
                    text = t(f"ioc.chip_{name}", lang)
                    chips.append(w.Chip(_level(name), str(count), text, f"/work?severity={name}"))
        try:
            air = self.air(actor)
        except NotFound:
            return tuple(chips)
        if air.things:
            online = sum(air.online(thing) for thing in air.things)
            level = "ok" if online == len(air.things) else "unknown"
            chips.append(w.Chip(level, f"{online}/{len(air.things)}", t("ioc.chip_online", lang)))
        return tuple(chips)

    def counts(self, actor: Actor, filters: inbox.Filters | None = None) -> inbox.Counts:
        """How many work items are open for an actor."""

        def look() -> inbox.Counts:
            with self.db.transaction() as conn:
                return inbox.counts(conn, actor, filters)

        return self.cache.value(("counts", who(actor), filters), ("work",), look, kept_s=10)

    def latest(self, actor: Actor, lang: str) -> tuple[w.Latest, ...]:
        """The newest things that happened, of those the actor may know."""

        def look() -> tuple[w.Latest, ...]:
            lines: list[w.Latest] = []
            sees_loads = self.sees_loads(actor)
            with self.db.transaction() as conn:
                if self.sees_work(actor):
                    newest = inbox.inbox(conn, actor, limit=30).items
                    for item in sorted(newest, key=lambda i: i.opened_at, reverse=True)[:4]:
                        text = t("ioc.latest_work", lang, code=item.code, title=item.title[lang])
                        lines.append(w.Latest(item.opened_at, text))
                if sees_loads:
                    for load in loads.page(conn, actor, limit=3):
                        name = load.file_name or load.door
                        text = t("ioc.latest_load", lang, file=name, rows=load.rows_in)
                        lines.append(w.Latest(load.at, text))
            try:
                air = self.air(actor)
            except NotFound:
                return tuple(sorted(lines, key=lambda line: line.at, reverse=True))
            seen = sorted(
                ((at, thing) for thing in air.things if (at := air.seen(thing))), reverse=True
            )
            for at, thing in seen[:3]:
                text = t("ioc.latest_station", lang, name=air.things[thing].title(lang))
                lines.append(w.Latest(at, text))
            return tuple(sorted(lines, key=lambda line: line.at, reverse=True))

        key = ("latest", who(actor), lang)
        return self.cache.value(key, (*TOPICS, "work", "loads"), look, kept_s=30)


def sees_leader(actor: Actor) -> bool:
    """Whether the leader's page is for them."""
    return actor.signed_in and decide(actor, "leader.open", Resource("leader")).allowed


def _never(_actor: Actor) -> bool:
    return False


def _always(_actor: Actor) -> bool:
    return True


def _level(name: str) -> w.Level:
    levels: dict[str, w.Level] = {
        "notice": "notice", "warning": "warning", "critical": "critical",
    }  # fmt: skip
    return levels.get(name, "unknown")
