"""The tiles of the environment service's page, with what each figure is compared with."""

from __future__ import annotations

from datetime import datetime, timedelta

from dothi.identity.model import Actor
from dothi.ioc import view as v
from dothi.ioc.desk import HOURLY, PM25_DAY, TOPICS, Air, Desk
from dothi.ioc.environment import (
    BASE,
    OWN_WORK,
    OWN_WORK_URL,
    aqi_class,
    attention,
    chart_url,
    clock,
    explain_url,
    highest,
)
from dothi.ioc.environment_quality import COMPLETENESS_DAYS, completeness
from dothi.kernel.i18n import date, number, t
from dothi.kernel.time import VN
from dothi.lake import chart as charts
from dothi.lake import registry
from dothi.web.view import Status
from dothi.work.model import Severity


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
    when = t("ioc.updated", lang, at=clock(updated)) if updated else t("ioc.no_data", lang)
    return v.TilesView(f"{BASE}/tiles", (*TOPICS, "work"), tuple(listed), when)


def _tile_aqi(desk: Desk, air: Air, lang: str) -> v.Tile:
    title = t("ioc.tile_aqi", lang)
    top = highest(air.aqi, "aqi", air.now - timedelta(hours=3))
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
        period=t("ioc.hour_of", lang, at=clock(top.t)),
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
    top = highest(air.day, "pm25_24h", air.now - timedelta(days=2))
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
    if not air.things:
        status = Status("unknown", t("ioc.no_stations", lang))
    elif silent:
        status = Status("notice", t("ioc.silent", lang, count=silent))
    else:
        status = Status("ok", t("ioc.all_online", lang))
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
    counts = desk.counts(actor, OWN_WORK)
    critical = counts.by_severity.get(Severity.CRITICAL, 0)
    if counts.overdue:
        status = Status("critical", t("ioc.work_overdue", lang, count=counts.overdue))
    elif critical:
        status = Status("critical", t("ioc.work_critical", lang, count=critical))
    else:
        status = Status("ok", t("ioc.work_in_time", lang))
    return v.Tile(
        key="work",
        title=t("ioc.work_environment", lang),
        value=float(counts.total),
        unit=t("ioc.unit_work", lang),
        period=t("ioc.now", lang),
        status=status,
        at=air.now,
        url=OWN_WORK_URL,
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
