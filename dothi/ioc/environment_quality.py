"""How good the environment service's data are: completeness, findings, contradictions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dothi.identity.model import Actor
from dothi.ioc import view as v
from dothi.ioc.conflict_view import conflict_views
from dothi.ioc.desk import AIR, Air, Desk
from dothi.ioc.environment import BASE
from dothi.kernel.i18n import t
from dothi.lake import loads
from dothi.lake.model import Quality

COMPLETENESS_DAYS = 30


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
            conflicts = conflict_views(desk.lake, conn, actor, air.dataset, found, lang)
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
