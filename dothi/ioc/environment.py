"""The page of the environment service: its panels filled from the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dothi.identity.model import Actor
from dothi.indicators.service import Latest
from dothi.ioc import view as v
from dothi.ioc.desk import HOURLY, PM25_DAY, TOPICS, Air, Desk
from dothi.ioc.work_view import rows_of
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import t
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import chart as charts
from dothi.lake import registry
from dothi.lake.model import Quality
from dothi.work import inbox
from dothi.work.inbox import Filters

BASE = "/services/environment"
PARAMETERS = ("pm25", "pm10", "o3", "no2", "so2", "co")
CLASSES: tuple[tuple[int, v.AqiClass], ...] = (
    (50, "good"), (100, "moderate"), (150, "poor"), (200, "bad"), (300, "very_bad"),
    (500, "hazardous"),
)  # fmt: skip
PANEL_WORK = 6


def aqi_class(value: float | None) -> v.AqiClass | None:
    """The class of an index."""
    if value is None:
        return None
    for high, name in CLASSES:
        if value <= high:
            return name
    return "hazardous"


def attention(name: v.AqiClass) -> Any:
    """How much attention a class of the index asks for."""
    return {
        "good": "ok", "moderate": "ok", "poor": "notice", "bad": "warning",
        "very_bad": "critical", "hazardous": "critical",
    }[name]  # fmt: skip


def explain_url(indicator: str, thing_id: int, period: Period) -> str:
    """Where the answer to "Số này lấy từ đâu?" stands for a figure."""
    return f"{BASE}/explain?indicator={indicator}&thing={thing_id}&period={period.code}"


def chart_url(stream_id: int) -> str:
    """The chart panel of a stream."""
    return f"{BASE}/chart?stream={stream_id}"


def clock(at: datetime) -> str:
    """The local time of day."""
    return at.astimezone(VN).strftime("%H:%M")


def highest(found: dict[tuple[int, str], Latest], output: str, oldest: datetime) -> Latest | None:
    """The highest figure of an output that is not older."""
    now = [x for (_, name), x in found.items() if name == output and x.period.end >= oldest]
    return max(now, key=lambda x: x.value, default=None)


# -- stations and map -----------------------------------------------------------------------------


def stations(desk: Desk, actor: Actor, lang: str) -> v.StationsView:
    """Every station with its index and values, worst first."""
    air = desk.air(actor)
    listed = [_station(air, thing, lang) for thing in air.things]
    listed.sort(key=lambda s: (-(s.aqi if s.aqi is not None else -1), s.name))
    return v.StationsView(f"{BASE}/stations", TOPICS, tuple(listed), sum(s.online for s in listed))


def _station(air: Air, thing_id: int, lang: str) -> v.Station:
    thing = air.things[thing_id]
    index = air.aqi.get((thing_id, "aqi"))
    fresh = index is not None and index.period.end >= air.now - timedelta(hours=3)
    online = air.online(thing_id)
    kind = aqi_class(index.value) if fresh and index else None
    dominant = air.aqi.get((thing_id, "dominant")) if fresh else None
    label = air.hourly.definition.output("dominant").labels
    reason = None
    if not online:
        reason = t("ioc.no_signal", lang)
    elif not fresh:
        reason = t("ioc.no_dust", lang)
    shown = index or next((x for (place, _), x in air.day.items() if place == thing_id), None)
    return v.Station(
        id=str(thing_id),
        name=thing.title(lang),
        place=str(thing.properties.get("commune", "") or ""),
        longitude=thing.lon or 0.0,
        latitude=thing.lat or 0.0,
        aqi=round(index.value) if fresh and index else None,
        aqi_class=kind,
        at=index.t if fresh and index else air.seen(thing_id),
        online=online,
        main_pollutant=label[int(dominant.value)][lang] if dominant else None,
        reason=reason,
        advice=t(f"ioc.advice_{kind}", lang) if kind else None,
        pollutants=tuple(_pollutant(air, thing_id, p, fresh) for p in PARAMETERS
                         if (thing_id, p) in air.streams),
        chart_url=chart_url(shown.stream_id) if shown else _first_chart(air, thing_id),
        explain_url=explain_url(HOURLY, thing_id, index.period) if index else None,
    )  # fmt: skip


def _first_chart(air: Air, thing_id: int) -> str | None:
    for parameter in PARAMETERS:
        if stream := air.streams.get((thing_id, parameter)):
            return chart_url(stream.id)
    return None


def _pollutant(air: Air, thing_id: int, parameter: str, fresh: bool) -> v.Pollutant:
    spec = air.dataset.contract.parameter(parameter)
    found = air.newest.get((thing_id, parameter))
    part = air.aqi.get((thing_id, f"aqi_{parameter}")) if fresh else None
    return v.Pollutant(
        name={"pm25": "PM2.5", "pm10": "PM10", "o3": "O₃", "no2": "NO₂", "so2": "SO₂",
              "co": "CO"}[parameter],
        value=found[1] if found and found[2] == Quality.VALID else None,
        unit=spec.unit,
        decimals=spec.decimals,
        aqi=round(part.value) if part else None,
    )  # fmt: skip


def ground(desk: Desk, actor: Actor, lang: str) -> v.MapView:
    """The map under the stations: the province in the demonstration, else what they span."""
    air = desk.air(actor)
    places = [
        (x.lon, x.lat) for x in air.things.values() if x.lon is not None and x.lat is not None
    ]
    bounds = desk.bounds()
    if not desk.demo and places:
        lons, lats = [p[0] for p in places], [p[1] for p in places]
        bounds = (min(lons) - 0.1, min(lats) - 0.1, max(lons) + 0.1, max(lats) + 0.1)
    newest = max((x.t for (_, o), x in air.aqi.items() if o == "aqi"), default=None)
    subtitle = t("ioc.map_at", lang, at=clock(newest)) if newest else t("ioc.no_data", lang)
    return v.MapView(t("ioc.map_title", lang), subtitle, base_url(bounds), bounds)


def base_url(bounds: tuple[float, float, float, float]) -> str:
    """The address of a map's ground."""
    return f"{BASE}/base.geojson?within={','.join(f'{edge:.4f}' for edge in bounds)}"


# -- chart ----------------------------------------------------------------------------------------


def chart(desk: Desk, actor: Actor, lang: str, stream_id: int | None) -> v.ChartView:
    """The chart panel: one stream, with ways to the others of its station and to other stations."""
    air = desk.air(actor)
    named = _named_streams(air, desk)
    if stream_id not in named:
        top = highest(air.aqi, "aqi", datetime.min.replace(tzinfo=VN))
        stream_id = top.stream_id if top else next(iter(named), 0)
    if stream_id not in named:
        return v.ChartView(
            f"{BASE}/chart", TOPICS, t("ioc.chart", lang), t("ioc.no_data", lang), ""
        )
    thing_id, parameter, dataset = named[stream_id]
    thing = air.things[thing_id]
    spec = dataset.contract.parameter(parameter)
    here = {p: s for s, (place, p, _) in named.items() if place == thing_id}
    there = {place: s for s, (place, p, _) in named.items() if p == parameter}
    order = ("aqi", "pm25_24h", *PARAMETERS)
    indicator = {HOURLY: air.hourly, PM25_DAY: air.pm25}.get(dataset.name)
    latest = (
        next((x for x in (*air.aqi.values(), *air.day.values()) if x.stream_id == stream_id), None)
        if indicator
        else None
    )
    return v.ChartView(
        url=chart_url(stream_id),
        topics=(f"series:{dataset.name}",),
        title=t("ioc.chart_of", lang, what=spec.title[lang], place=thing.title(lang)),
        subtitle=""
        if dataset.contract.title[lang] == spec.title[lang]
        else dataset.contract.title[lang],
        data_url=f"/api/v1/streams/{stream_id}/chart",
        csv_url=f"/api/v1/streams/{stream_id}/rows.csv",
        quantities=tuple(
            v.Choice(_short(named[here[p]], lang), chart_url(here[p]), here[p] == stream_id)
            for p in order
            if p in here
        ),
        stations=tuple(
            v.Choice(air.things[place].title(lang), chart_url(s), s == stream_id)
            for place, s in sorted(there.items(), key=lambda e: air.things[e[0]].title(lang))
        ),
        span="7d",
        method=None,
        explain_url=explain_url(dataset.name, thing_id, latest.period) if latest else None,
    )


def _named_streams(air: Air, desk: Desk) -> dict[int, tuple[int, str, registry.Dataset]]:
    """The streams the chart can show: number → (thing, parameter, dataset)."""

    def look() -> dict[int, tuple[int, str, registry.Dataset]]:
        named = {
            s.id: (thing, parameter, air.dataset) for (thing, parameter), s in air.streams.items()
        }
        with desk.db.transaction() as conn:
            for indicator, outputs in ((air.hourly, ("aqi",)), (air.pm25, ("pm25_24h",))):
                for s in registry.streams(conn, indicator.dataset).values():
                    if s.thing_id in air.things and s.parameter in outputs:
                        named[s.id] = (s.thing_id, s.parameter, indicator.dataset)
        return named

    figures = {x.stream_id for x in (*air.aqi.values(), *air.day.values())}
    key = ("named", tuple(sorted(air.streams)), tuple(sorted(figures)))
    return desk.cache.value(key, (), look, kept_s=15)


def _short(named: tuple[int, str, registry.Dataset], lang: str) -> str:
    return t(f"ioc.quantity_{named[1]}", lang)


def chart_data(
    desk: Desk, actor: Actor, lang: str, stream_id: int, *, span: str | None,
    start: datetime | None, end: datetime | None, width: int,
) -> dict[str, Any]:  # fmt: skip
    """What `js/chart.js` draws."""
    from dothi.lake.api import visible_stream

    with desk.db.transaction() as conn:
        dataset, _, stream = visible_stream(conn, actor, stream_id)
    found = charts.chart(
        desk.lake, dataset, stream, span=span, start=start, end=end, width=width,
        now=desk.now(),
    )  # fmt: skip
    spec = dataset.contract.parameter(stream.parameter)
    return {
        "unit": "" if spec.unit == "1" else spec.unit,
        "decimals": spec.decimals,
        "from": found.start.timestamp(),
        "to": found.end.timestamp(),
        "first": found.first.timestamp() if found.first else None,
        "last": found.last.timestamp() if found.last else None,
        "bucket_s": found.bucket_s,
        "raw": found.raw,
        "t": found.t,
        "min": found.low,
        "max": found.high,
        "mean": found.mean,
        "bad": found.bad,
        "labels": [period.label(lang) for period in found.periods] or None,
        "scale": "vn_aqi" if stream.parameter == "aqi" else None,
        "thresholds": _thresholds(desk, dataset.name, stream.parameter, lang),
    }


def _thresholds(desk: Desk, dataset: str, parameter: str, lang: str) -> list[dict[str, Any]]:
    air = desk.definitions()
    found = air.get(dataset)
    if found is None or parameter == "aqi":
        return []
    return [
        {
            "value": limit.limit,
            "text": limit.title[lang],
            "source": limit.source,
            "from": _day(limit.valid_from),
            "to": _day(limit.valid_to),
        }
        for limit in found.definition.thresholds
        if limit.output == parameter
    ]


def _day(day: Any) -> float | None:
    if day is None:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=VN).timestamp()


# -- work ---------------------------------------------------------------------------------------


OWN_WORK = Filters(services=frozenset({"environment"}))
"""The work items that the page is about."""
OWN_WORK_URL = "/work?service=environment"


def work(desk: Desk, actor: Actor, lang: str) -> v.WorkPanel:
    """The service's open work items, most urgent first.

    Raises NotFound for who may not see work items.
    """
    if not desk.sees_work(actor):
        raise NotFound("identity.not_found")
    with desk.db.transaction() as conn:
        page = inbox.inbox(conn, actor, OWN_WORK, limit=PANEL_WORK)
        total = inbox.counts(conn, actor, OWN_WORK).total
    rows = rows_of(actor, page.items, desk.now(), lang)
    return v.WorkPanel(
        f"{BASE}/work", ("work",), rows, total, OWN_WORK_URL, t("ioc.work_environment", lang)
    )
