"""The page of the environment service: its panels filled from the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dothi.identity.model import Actor
from dothi.identity.policy import decide
from dothi.indicators.service import Latest
from dothi.ioc import view as v
from dothi.ioc.desk import AIR, HOURLY, PM25_DAY, TOPICS, Air, Desk
from dothi.ioc.work_view import rows_of
from dothi.kernel.errors import NotFound
from dothi.kernel.i18n import date, number, t
from dothi.kernel.period import Period
from dothi.kernel.time import VN
from dothi.lake import chart as charts
from dothi.lake import loads, registry
from dothi.lake.loads import Contradiction
from dothi.lake.model import Quality
from dothi.web.view import Status
from dothi.work import inbox
from dothi.work.inbox import Filters
from dothi.work.model import Severity

BASE = "/services/environment"
PARAMETERS = ("pm25", "pm10", "o3", "no2", "so2", "co")
CLASSES: tuple[tuple[int, v.AqiClass], ...] = (
    (50, "good"), (100, "moderate"), (150, "poor"), (200, "bad"), (300, "very_bad"),
    (500, "hazardous"),
)  # fmt: skip
PANEL_WORK = 6
COMPLETENESS_DAYS = 30


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


# -- tiles ----------------------------------------------------------------------------------------


def tiles(desk: Desk, actor: Actor, lang: str) -> v.TilesView:
    """The figures on top, with what each is compared with."""
    air = desk.air(actor)
    listed = [
        _tile_aqi(desk, air, lang),
        _tile_pm25(desk, air, lang),
        _tile_bad(air, lang),
        _tile_stations(air, lang),
        _tile_complete(desk, air, lang),
    ]
    if desk.sees_work(actor):
        listed.append(_tile_work(desk, actor, air, lang))
    updated = max((at for at, _, _ in air.newest.values()), default=None)
    when = t("ioc.updated", lang, at=_clock(updated)) if updated else t("ioc.no_data", lang)
    return v.TilesView(f"{BASE}/tiles", (*TOPICS, "work"), tuple(listed), when)


def _clock(at: datetime) -> str:
    return at.astimezone(VN).strftime("%H:%M")


def _highest(found: dict[tuple[int, str], Latest], output: str, oldest: datetime) -> Latest | None:
    now = [x for (_, name), x in found.items() if name == output and x.period.end >= oldest]
    return max(now, key=lambda x: x.value, default=None)


def _tile_aqi(desk: Desk, air: Air, lang: str) -> v.Tile:
    title = t("ioc.tile_aqi", lang)
    top = _highest(air.aqi, "aqi", air.now - timedelta(hours=3))
    if top is None:
        newest = max((x.t for (_, o), x in air.aqi.items() if o == "aqi"), default=None)
        return v.Tile(
            key="aqi", title=title, value=None, unit="", period=t("ioc.hourly", lang),
            status=Status("unknown", t("ioc.no_fresh_value", lang)), at=newest, stale=True,
        )  # fmt: skip
    kind = aqi_class(top.value) or "good"
    spark = _spark(desk, air.hourly.dataset, top.stream_id, top.t, hours=24)
    day_ago = spark[0] if spark else None
    dominant = air.aqi.get((top.thing_id, "dominant"))
    label = air.hourly.definition.output("dominant").labels
    pollutant = label[int(dominant.value)][lang] if dominant else ""
    place = air.things[top.thing_id].title(lang)
    return v.Tile(
        key="aqi",
        title=title,
        value=top.value,
        unit="",
        period=t("ioc.hour_of", lang, at=_clock(top.t)),
        status=Status(attention(kind), t(f"aqi.{kind}", lang)),
        sub=f"{place} · {pollutant}" if pollutant else place,
        change=None
        if day_ago is None
        else v.Change(top.value - day_ago, t("ioc.than_yesterday", lang)),
        spark=spark,
        at=top.t,
        aqi_class=kind,
        chart_url=chart_url(top.stream_id),
        explain_url=explain_url(HOURLY, top.thing_id, top.period),
    )


def _tile_pm25(desk: Desk, air: Air, lang: str) -> v.Tile:
    title = t("ioc.tile_pm25", lang)
    unit = "µg/m³"
    top = _highest(air.day, "pm25_24h", air.now - timedelta(days=2))
    if top is None:
        newest = max((x.t for (_, o), x in air.day.items() if o == "pm25_24h"), default=None)
        return v.Tile(
            key="pm25", title=title, value=None, unit=unit, period=t("ioc.daily", lang),
            status=Status("unknown", t("ioc.no_fresh_value", lang)), at=newest, stale=True,
        )  # fmt: skip
    limit = top.limits[-1] if top.limits else None
    status = Status("ok", t("ioc.no_limit", lang))
    if limit is not None:
        said = number(limit.limit, lang)
        over = bool(top.passed)
        status = Status(
            "warning" if over else "ok", t("ioc.over" if over else "ioc.under", lang, limit=said)
        )
    spark = _spark(desk, air.pm25.dataset, top.stream_id, top.t, hours=24 * 30, bucket_h=24)
    before = spark[-2] if len(spark) > 1 else None
    return v.Tile(
        key="pm25",
        title=title,
        value=top.value,
        unit=unit,
        decimals=1,
        period=date(top.period.start.astimezone(VN), lang),
        status=status,
        sub=air.things[top.thing_id].title(lang),
        change=None
        if before is None
        else v.Change(top.value - before, t("ioc.than_day_before", lang), 1),
        spark=spark,
        source=limit.source.split(",")[0] if limit else None,
        at=top.period.end,
        chart_url=chart_url(top.stream_id),
        explain_url=explain_url(PM25_DAY, top.thing_id, top.period),
    )


def _tile_bad(air: Air, lang: str) -> v.Tile:
    fresh = [
        x for (_, o), x in air.aqi.items()
        if o == "aqi" and x.period.end >= air.now - timedelta(hours=3)
    ]  # fmt: skip
    bad = [x for x in fresh if x.value > 100]
    worse = [x for x in bad if x.value > 150]
    if not fresh:
        status = Status("unknown", t("ioc.no_fresh_value", lang))
    elif worse:
        status = Status("warning", t("ioc.of_them_bad", lang, count=len(worse)))
    else:
        status = Status("notice" if bad else "ok", t("ioc.none_bad", lang))
    return v.Tile(
        key="bad",
        title=t("ioc.tile_bad", lang),
        value=None,
        text=f"{len(bad)}/{len(fresh)}" if fresh else None,
        unit=t("ioc.unit_stations", lang),
        period=t("ioc.hourly_index", lang),
        status=status,
        at=max((x.t for x in fresh), default=None),
        url=f"{BASE}#stations",
    )


def _tile_stations(air: Air, lang: str) -> v.Tile:
    online = sum(air.online(thing) for thing in air.things)
    silent = len(air.things) - online
    status = (
        Status("ok", t("ioc.all_online", lang))
        if not silent
        else Status("notice", t("ioc.silent", lang, count=silent))
    )
    return v.Tile(
        key="stations",
        title=t("ioc.tile_stations", lang),
        value=None,
        text=f"{online}/{len(air.things)}",
        unit=t("ioc.unit_stations", lang),
        period=t("ioc.now", lang),
        status=status,
        at=air.now,
        url=f"{BASE}#stations",
    )


def _tile_work(desk: Desk, actor: Actor, air: Air, lang: str) -> v.Tile:
    counts = desk.counts(actor)
    critical = counts.by_severity.get(Severity.CRITICAL, 0)
    if counts.overdue:
        status = Status("critical", t("ioc.work_overdue", lang, count=counts.overdue))
    elif critical:
        status = Status("critical", t("ioc.work_critical", lang, count=critical))
    else:
        status = Status("ok", t("ioc.work_in_time", lang))
    return v.Tile(
        key="work",
        title=t("ioc.tile_work", lang),
        value=float(counts.total),
        unit=t("ioc.unit_work", lang),
        period=t("ioc.now", lang),
        status=status,
        at=air.now,
        url="/work",
    )


def _tile_complete(desk: Desk, air: Air, lang: str) -> v.Tile:
    share, _, _ = completeness(desk, air)
    good = share is not None and share >= 0.75
    status = (
        Status("unknown", t("ioc.no_data", lang))
        if share is None
        else Status("ok" if good else "notice", t("ioc.enough" if good else "ioc.few", lang))
    )
    return v.Tile(
        key="complete",
        title=t("ioc.tile_complete", lang),
        value=None if share is None else share * 100,
        unit="%",
        decimals=1,
        period=t("ioc.last_days", lang, days=COMPLETENESS_DAYS),
        status=status,
        sub="PM2.5",
        at=air.now,
        url=f"{BASE}#quality",
    )


def completeness(desk: Desk, air: Air) -> tuple[float | None, int, dict[int, int]]:
    """Share of the last 30 days' station hours with a valid PM2.5 value, the hours expected, and
    how many rows of each quality there were. Kept for a minute."""
    ids = sorted(s.id for (_, p), s in air.streams.items() if p == "pm25")
    if not ids:
        return None, 0, {}

    def look() -> tuple[float | None, int, dict[int, int]]:
        end = air.now.replace(minute=0, second=0, microsecond=0)
        start = end - timedelta(days=COMPLETENESS_DAYS)
        with desk.lake.view() as view:
            rows = view.series(air.dataset, streams=ids, start=start, end=end)
            found = view.execute(
                f"""SELECT q, count(*),
                           count(DISTINCT (stream_id, (epoch_us(t) - 1) // 3600000000))
                    FROM {rows} WHERE t > ? GROUP BY q""",
                [start],
            ).fetchall()
        expected = COMPLETENESS_DAYS * 24 * len(ids)
        hours = next((h for q, _, h in found if q == Quality.VALID), 0)
        share = hours / expected if found else None
        return share, expected, {q: count for q, count, _ in found}

    key = ("complete", tuple(ids), air.now.strftime("%Y%m%d%H%M"))
    return desk.cache.value(key, (), look, kept_s=60)


def _spark(
    desk: Desk, dataset: registry.Dataset, stream_id: int, end: datetime, *, hours: int,
    bucket_h: int = 1,
) -> tuple[float | None, ...]:  # fmt: skip
    """A stream's last values for a small curve, oldest first."""

    def look() -> tuple[float | None, ...]:
        with desk.db.transaction() as conn:
            stream = registry.stream(conn, stream_id)
        found = charts.chart(
            desk.lake, dataset, stream, span=None, start=end - timedelta(hours=hours), end=end,
            width=2 * (hours // bucket_h + 2), now=end,
        )  # fmt: skip
        return tuple(found.mean)

    key = ("spark", stream_id, end, hours)
    return desk.cache.value(key, (f"series:{dataset.name}",), look, kept_s=600)


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
    subtitle = t("ioc.map_at", lang, at=_clock(newest)) if newest else t("ioc.no_data", lang)
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
        top = _highest(air.aqi, "aqi", datetime.min.replace(tzinfo=VN))
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


# -- quality and work -----------------------------------------------------------------------------


def quality(desk: Desk, actor: Actor, lang: str) -> v.QualityView:
    """What is known of the data itself: the last 30 days, open contradictions, rejected rows."""
    air = desk.air(actor)
    share, expected, qualities = completeness(desk, air)
    findings: list[v.Finding] = []
    conflicts: tuple[v.Conflict, ...] = ()
    loads_url = None
    if desk.sees_loads(actor):
        loads_url = "/loads"
        with desk.db.transaction() as conn:
            found = loads.contradictions(conn, dataset_id=air.dataset.id, open_only=True, limit=20)
            conflicts = tuple(conflict_view(conn, actor, c, lang) for c in found)
            waiting = conn.execute(
                """SELECT count(*), max(q.load_id) FROM quarantine q JOIN load l ON l.id = q.load_id
                   WHERE l.dataset_id = %s AND l.state = 'committed'""",
                (air.dataset.id,),
            ).fetchone()
        if waiting and waiting[0]:
            findings.append(
                v.Finding(
                    "rejected", t("lake.finding_rejected", lang), waiting[0], "warning",
                    url=f"/loads/{waiting[1]}",
                    download_url=f"/api/v1/loads/{waiting[1]}/quarantine.csv",
                )
            )  # fmt: skip
    kinds: tuple[tuple[Quality, Any], ...] = (
        (Quality.SUSPECT, "negative"), (Quality.INVALID, "invalid"), (Quality.MISSING, "missing"),
    )  # fmt: skip
    for code, kind in kinds:
        if count := qualities.get(int(code), 0):
            name = {"negative": "suspect"}.get(kind, kind)
            note = "" if kind == "negative" else t("ioc.kept_not_used", lang)
            findings.append(
                v.Finding(kind, t(f"lake.finding_{name}", lang), count, "notice",
                          note)
            )  # fmt: skip
    return v.QualityView(
        url=f"{BASE}/quality",
        topics=(f"series:{AIR}", "loads"),
        dataset=air.dataset.contract.title[lang],
        subtitle=t("ioc.quality_of", lang, days=COMPLETENESS_DAYS),
        completeness=share,
        expected=expected,
        findings=tuple(findings),
        conflicts=conflicts,
        loads_url=loads_url,
    )


def conflict_view(conn: Any, actor: Actor, found: Contradiction, lang: str) -> v.Conflict:
    """A contradiction with what this person may do about it."""
    stream = registry.stream(conn, found.stream_id)
    dataset = registry.get(conn, found.dataset_id)
    thing = registry.things(conn, dataset)[stream.thing_id]
    spec = dataset.contract.parameter(stream.parameter)
    may = found.decided_at is None and decide(actor, "conflict.decide", dataset.resource).allowed
    row = conn.execute(
        "SELECT coalesce(file_name, door) FROM load WHERE id = %s", (found.load_id,)
    ).fetchone()
    kept = (found.decision or {}).get("keep")
    return v.Conflict(
        id=str(found.id),
        stream=t("ioc.chart_of", lang, what=spec.title[lang], place=thing.title(lang)),
        at=found.t,
        note=t(f"lake.hint_{found.hint}", lang) if found.hint else t("ioc.conflict_note", lang),
        rows=tuple(
            v.ConflictRow(
                value=f"{number(c['value'], lang, spec.decimals)} {spec.unit}",
                quality=t(f"lake.quality_{c['quality']}", lang),
                file=row[0] if row else "",
                row=c["row"],
                load_url=f"/loads/{found.load_id}",
                choose_url=f"/conflicts/{found.id}/{c['row']}" if may else None,
                chosen=kept == c["row"],
            )
            for c in found.candidates
        ),
        none_url=f"/conflicts/{found.id}/0" if may else None,
        decided_by=found.decided_by,
        decided_at=found.decided_at,
    )


def work(desk: Desk, actor: Actor, lang: str) -> v.WorkPanel:
    """The service's open work items, most urgent first.

    Raises NotFound for who may not see work items.
    """
    if not desk.sees_work(actor):
        raise NotFound("identity.not_found")
    filters = Filters(services=frozenset({"environment"}))
    with desk.db.transaction() as conn:
        page = inbox.inbox(conn, actor, filters, limit=PANEL_WORK)
        total = inbox.counts(conn, actor, filters).total
    return v.WorkPanel(
        f"{BASE}/work", ("work",), rows_of(actor, page.items, desk.now(), lang), total, "/work"
    )
